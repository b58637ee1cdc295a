"""The card: the result of each law under a policy, as value and as text."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from attrs import evolve

from tests.field_options import merging
from upsertcore import (
    Contact,
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    never,
    normalize,
)
from upsertcore.laws import (
    CALLS,
    LOGS,
    MERGES,
    Counterexample,
    LawBroken,
    LawCard,
    Log,
    card,
    check,
    check_log,
    claims,
    estimate,
)
from upsertcore.laws.card import _Progress
from upsertcore.laws.card_size import parts_of
from upsertcore.laws.state_space import World
from upsertcore.matching.protocol import Match, Strategy
from upsertcore.rules import (
    add,
    constant,
    custom,
    ignore,
    keep,
    largest,
    last_updated,
    latest,
    refuse_if,
    replace,
    sticky,
)

pytestmark = pytest.mark.full

Row = dict[str, Any]


def line(**options: Any) -> Any:
    return field(key=normalize.exact, **options)


def one_key(**options: Any) -> Policy:
    """Make a policy of one key that keeps aliases, with one rule for it."""
    rule = options.pop("rule", keep)
    fields = {"id": line(keep_aliases=True, rule=rule), **options.pop("fields", {})}
    return Policy(options.pop("match", first_match("id")), fields, **options)


SMALL = Policy(first_match("id"), {"id": line(unique=True)})
NAMED = Policy(first_match("id"), {"id": line(unique=True), "name": field()})
COUNTS = Policy(first_match("id"), {"id": line(), "visits": field(rule=add)})
CLOCKED = one_key(
    rule=largest,
    fields={"name": field(rule=latest(by="at")), "at": field(rule=largest)},
)
TWO_KEYS = first_match("id", "more")
GUARDED = merge_all("id", "more", guard="if_set")


def two_keys(**options: Any) -> Policy:
    """Make a policy of a unique key and another key."""
    fields = {"id": line(unique=True), "more": options.pop("more", line())}
    return Policy(options.pop("match", first_match("id")), fields, **options)


def ordered(**options: Any) -> Policy:
    """Make a policy in which the order of calls does not matter."""
    return one_key(rule=largest, fields={"more": line(rule=largest, **options)})


CONDITIONS = ("constant_is_set", "refused_stays_apart")
"""Laws of what rules for merges set, or refuse."""
KEPT = one_key(fields={"name": field(rule=keep)})
OPT_OUT = one_key(fields={"name": field(rule=sticky("x")), "tags": field(many=True)})

ASKED = one_key(
    fields={
        "role": field(on_merge=refuse_if("user")),
        "seen": field(rule=latest(by="at"), on_merge=constant("x")),
        "at": field(),
    }
)


def add_numbers(stored: Any, sent: Any) -> Any:
    """Add numbers, and ignore other values."""
    return (stored or 0) + (sent if isinstance(sent, int) else 0)


WRONGLY_IDEMPOTENT = custom(add_numbers, name="sum")


class TestValue:
    """The card as a value."""

    def test_verdicts_are_in_the_order_of_the_laws(self) -> None:
        """Each law is described in a sentence."""
        result = card(SMALL, contacts=1)

        laws = [*dict.fromkeys((*CALLS, *MERGES, *LOGS))]

        assert laws == [verdict.law for verdict in result.verdicts]
        assert all(verdict.says.endswith(".") for verdict in result.verdicts)

    def test_verdict_is_looked_up_by_the_name_of_its_law(self) -> None:
        result = card(SMALL, contacts=1)

        assert "idempotent" == result["idempotent"].law
        with pytest.raises(StopIteration):
            result["swift"]

    def test_kept_is_true_if_all_claimed_laws_hold(self) -> None:
        """A law that is not claimed may fail."""
        honest, wrong = (
            card(
                Policy(first_match("id"), {"id": line(), "n": field(rule=rule)}),
                contacts=1,
            )
            for rule in (add, WRONGLY_IDEMPOTENT)
        )

        assert honest.kept
        assert not wrong.kept
        assert (False, False) == (
            honest["idempotent"].claimed,
            honest["idempotent"].holds,
        )
        assert (True, False) == (wrong["idempotent"].claimed, wrong["idempotent"].holds)

    def test_cards_of_one_policy_are_equal(self) -> None:
        assert card(COUNTS, contacts=1) == card(COUNTS, contacts=1)

    def test_card_can_be_written_as_json(self) -> None:
        """With the counterexamples."""
        result = card(COUNTS, contacts=1)
        plain = json.loads(json.dumps(result.to_dict()))
        laws = {verdict["law"]: verdict for verdict in plain["laws"]}

        assert [*result.world] == plain["world"]
        assert str(result["idempotent"].broken) == laws["idempotent"]["counterexample"]
        assert "counterexample" not in laws["unique"]
        assert [verdict.calls for verdict in result.verdicts] == [
            verdict["calls"] for verdict in plain["laws"]
        ]

    def test_progress_starts_before_the_first_call_and_rises(self) -> None:
        """The first total is an estimate, the last one exact."""
        reports: list[tuple[int, int]] = []
        card(
            NAMED,
            contacts=2,
            progress=lambda done, total: reports.append((done, total)),
        )
        done, totals = zip(*reports, strict=True)

        assert (0, estimate(NAMED, contacts=2)) == reports[0]
        assert [0, 100, 200] == [*done[:3]]
        assert sorted(done) == [*done]
        assert done[-1] == totals[-1]
        assert all(done_calls <= total for done_calls, total in reports)
        assert totals[-1] / 1.2 < totals[0] < totals[-1] * 1.2

    def test_total_rises_with_the_calls_if_estimated_too_low(self) -> None:
        reports: list[tuple[int, int]] = []
        progress = _Progress(
            lambda done, total: reports.append((done, total)), [], None
        )
        done = [*progress.over([(None, ((), (), ""), 1)] * 101)]
        progress.end()

        assert 101 == len(done)
        assert [(0, 0), (100, 100), (101, 101)] == reports

    def test_more_contacts_need_more_calls(self) -> None:
        small, more = (card(SMALL, contacts=n)["idempotent"] for n in (0, 2))

        assert (54, 54) == (small.calls, small.stands_for)
        assert small.calls < more.calls < more.stands_for


FOUR_KEYS = {name: line() for name in ("a", "b", "c", "d")}
PAIRED = Policy(
    first_match(*FOUR_KEYS, "both"),
    {**FOUR_KEYS, "name": field()},
    keys={"both": key("a", "b", normalize=normalize.exact)},
)


class TestLimit:
    """The number of calls of a card can be estimated and limited."""

    def test_estimate_makes_no_calls(self) -> None:
        """Also for a world too large to be tried."""
        small, large = (estimate(PAIRED, contacts=n) for n in (0, 3))

        # Four keys: each omitted, null, blank or in four spellings, and unusual values.
        assert 7**4 < small < 50_000
        assert large > 100_000_000

    @pytest.mark.parametrize("limit", [1, 40, 1_000])
    def test_card_makes_at_most_limit_calls(self, limit: int) -> None:
        """In the same order each time."""
        reports: list[tuple[int, int]] = []
        result = card(
            PAIRED, limit=limit, progress=lambda *report: reports.append(report)
        )

        assert (0, limit) == reports[0]
        assert (limit, limit) == reports[-1]
        assert result.kept
        assert result == card(PAIRED, limit=limit)

    def test_limited_card_says_what_it_left_out(self) -> None:
        """Per part: the calls made, and about how many there are."""
        complete = card(NAMED, contacts=2)
        limited = card(NAMED, contacts=2, limit=700)

        assert () == complete.left_out
        assert (
            "tried 95 of about 170: keys alone, ids and options, states of 1 contact",
            "tried 95 of about 156: keys alone, ids and options, states of 2 contacts",
            "tried 95 of about 124: with name, states of 2 contacts",
            "tried 95 of about 100: with name, ids and options, states of 1 contact",
        ) == limited.left_out
        assert [*limited.left_out] == str(limited).split("\n")[2:6]
        assert [*limited.left_out] == limited.to_dict()["left_out"]

    def test_small_part_is_complete_and_the_rest_shared(self) -> None:
        reports: list[int] = []
        result = card(
            SMALL, limit=400, progress=lambda done, _total: reports.append(done)
        )

        assert (
            "tried 96 of about 170: keys alone, ids and options, states of 1 contact",
            "tried 96 of about 156: keys alone, ids and options, states of 2 contacts",
        ) == result.left_out
        assert 400 == reports[-1]

    def test_card_below_the_limit_equals_the_complete_one(self) -> None:
        """In another order."""
        complete = card(NAMED, contacts=2)
        limited = card(NAMED, contacts=2, limit=100_000)

        assert () == limited.left_out
        assert [
            (v.law, v.calls, v.stands_for) for v in complete.verdicts if v.holds
        ] == [(v.law, v.calls, v.stands_for) for v in limited.verdicts if v.holds]

    @pytest.mark.parametrize("line", [None, "name"])
    def test_sample_of_a_part_contains_all_its_cases(self, line: str | None) -> None:
        """Each once."""
        for part in parts_of(World(NAMED, line, contacts=2)):
            complete = [shown for _, shown, _ in part.all_cases()]
            sampled = [shown for _, shown, _ in part.sample()]

            assert {*map(repr, complete)} <= {*map(repr, sampled)}
            assert len({*map(repr, sampled)}) == len(sampled)

    def test_limited_card_finds_a_broken_law(self) -> None:
        """The sample is spread over all cases."""
        lines = {**FOUR_KEYS, "n": field(rule=WRONGLY_IDEMPOTENT)}
        result = card(Policy(first_match(*FOUR_KEYS), lines), limit=1_000)

        assert not result["idempotent"].holds
        assert not result.kept

    @pytest.mark.parametrize("limit", [0, -1, True, 1.5, "9"])
    def test_limit_that_is_no_positive_integer_is_refused(self, limit: Any) -> None:
        message = f"limit: must be a number of calls from 1, not {limit!r}"
        with pytest.raises(ValueError, match=re.escape(message)):
            card(SMALL, limit=limit)


class TestText:
    """The card as text."""

    def test_text_shows_verdicts_and_counterexamples(self) -> None:
        """The smallest counterexample, and whether the law is claimed."""
        lines = str(card(COUNTS, contacts=1)).split("\n")

        assert lines[:5] == [
            "states of up to 1 contact; keys: id",
            "with one other field at a time: visits",
            "idempotent              fails, not claimed:",
            '    sent {"id": 7, "visits": 1}',
            "    created new-1, then updated new-1",
        ]
        assert "unique                  holds (402 calls, standing for 631)" in lines
        start = lines.index("create_makes_one        fails, not claimed:")
        assert lines[start + 1 : start + 3] == [
            '    sent {"id": 7}',
            "    created new-1 then created new-2",
        ]

    def test_counterexample_is_the_smallest(self) -> None:
        """No contact, and two sent fields."""
        policy = Policy(
            first_match("id"), {"id": line(), "n": field(rule=WRONGLY_IDEMPOTENT)}
        )
        result = card(policy, contacts=1)["idempotent"].broken

        assert result is not None
        assert (0, 1, 2) == result.size()
        assert 'sent {"id": 7, "n": 1}\ncreated new-1, then updated new-1' == str(
            result
        )

    def test_counterexample_shows_contacts_and_patches(self) -> None:
        """Parts that are no fields are in brackets; values are JSON."""
        time = datetime(2024, 1, 1, tzinfo=UTC)
        parts: Row = {"aliases": {"id": ("7",)}, "clocks": {"name": 3}}
        first = Contact("c-1", "", {"name": "Åsa"}, 1, time, time)
        second = Contact("c-2", "", {}, 1, time, time, deleted_at=time)
        third = Contact("c-3", "", {"id": 8}, 1, time, time, **parts)
        result = Counterexample(
            (first, second, third), ({"tags": ("a",)}, {}), "so it was"
        )

        assert str(result).split("\n") == [
            'holds c-1 {"name": "Åsa"}',
            'holds c-2 {"(deleted)": true}',
            'holds c-3 {"id": 8, "(aliases)": {"id": ["7"]}, "(clocks)": {"name": 3}}',
            'sent {"tags": ["a"]}',
            "sent {}",
            "so it was",
        ]
        assert (3, 2, 3) == result.size()

    def test_smaller_counterexample_of_another_field_replaces_the_first(self) -> None:
        """Fewer contacts first, then fewer fields."""

        def append_mark(stored: Any, sent: Any) -> Any:
            return sent if stored is None else f"{stored}+"

        lines = {"id": line(), "b": field(rule=custom(append_mark))}
        policy = Policy(
            first_match("id"),
            {**lines, "a": field(rule=WRONGLY_IDEMPOTENT)},
            on_no_key="create",
        )
        result = card(policy, contacts=1)["idempotent"].broken

        assert result is not None
        assert (0, 1, 0) == result.size()

    def test_policy_without_keys_has_laws_without_trials(self) -> None:
        lines = str(card(Policy(never(), {}))).split("\n")

        assert "states of up to 3 contacts; keys: none" == lines[0]
        assert "with one other field at a time: none" == lines[1]
        assert "create_makes_one        nothing to try, not claimed" in lines
        assert "finds_again             nothing to try, not claimed" in lines

    def test_claimed_law_without_trials_is_shown(self) -> None:
        result = LawCard((), (card(SMALL, contacts=0)["scopes_apart"],))

        assert "scopes_apart            nothing to try" == str(result)


class TestValues:
    """Values that the card cannot find itself."""

    def test_key_without_sample_values_is_named(self) -> None:
        """Two values of different normal forms are enough."""
        colours = {"red": "r", "blue": "b"}
        policy = Policy(
            first_match("hue"), {"hue": field(key=lambda v: colours.get(str(v)))}
        )
        with pytest.raises(ValueError, match="hue: needs two values"):
            card(policy)

        assert card(policy, contacts=1, values={"hue": ["red", "blue"]}).kept

    def test_field_without_sample_values_is_named(self) -> None:
        """Two values that the policy accepts are enough."""

        def colour(value: Any) -> Any:
            if value not in ("red", "blue"):
                raise ValueError("must be a colour")
            return value

        policy = Policy(first_match("id"), {"id": line(), "hue": field(clean=colour)})
        with pytest.raises(ValueError, match="hue: needs two values that"):
            card(policy)

        result = card(policy, contacts=1, values={"hue": ["red", "blue"]})
        assert result.kept
        assert '"hue": "red"' in str(result["log_again"].broken)


class TestClaims:
    """The laws that a policy claims, and the verdicts of its card."""

    @pytest.mark.parametrize(
        ("policy", "law", "expected"),
        [
            (SMALL, "idempotent", True),
            (COUNTS, "idempotent", False),
            (Policy(never(), {}), "idempotent", False),
            (one_key(on_no_key="create"), "idempotent", False),
            (one_key(extra_fields=field(rule=replace)), "idempotent", True),
            (one_key(extra_fields=field(rule=add)), "idempotent", False),
            (two_keys(match=GUARDED), "idempotent", True),
            (two_keys(match=GUARDED, on_key_in_use="allow"), "idempotent", False),
            (SMALL, "finds_again", True),
            (Policy(never(), {}), "finds_again", False),
            (SMALL, "empty_changes_nothing", True),
            (one_key(on_no_key="create"), "empty_changes_nothing", False),
            (SMALL, "unique", True),
            (SMALL, "round_trip", True),
            (
                Policy(first_match("id"), {"id": line()}, on_key_in_use="allow"),
                "unique",
                False,
            ),
            (Policy(never(), {}), "empty_changes_nothing", False),
            (SMALL, "create_makes_one", True),
            (COUNTS, "create_makes_one", False),
            (Policy(never(), {}), "create_makes_one", False),
            (two_keys(), "create_makes_one", True),
            (two_keys(match=TWO_KEYS), "create_makes_one", False),
            (
                two_keys(match=TWO_KEYS, more=line(unique=True)),
                "create_makes_one",
                True,
            ),
            (two_keys(on_key_in_use="withhold"), "create_makes_one", False),
            (two_keys(on_key_in_use="allow"), "create_makes_one", False),
            (COUNTS, "refuses_as_told", True),
            (COUNTS, "index_follows", True),
            (COUNTS, "batch_is_fold", True),
            (SMALL, "log_again", False),
            (KEPT, "log_again", True),
            (KEPT, "any_order", False),
            (CLOCKED, "log_again", True),
            (CLOCKED, "any_order", True),
            (ordered(keep_aliases=True), "any_order", True),
            (ordered(keep_aliases=True, unique=True), "any_order", False),
            (ordered(keep_aliases=True, unique=True), "log_again", True),
            (one_key(fields={"name": field()}), "log_again", False),
            (one_key(extra_fields=field(rule=add)), "log_again", False),
            (one_key(extra_fields=field(rule=ignore)), "log_again", True),
            (one_key(on_no_key="create"), "log_again", False),
            (one_key(on_not_found="refuse"), "log_again", False),
            (one_key(on_found="refuse"), "log_again", False),
            (one_key(on_found="ignore"), "log_again", False),
            (one_key(on_deleted="restore"), "log_again", False),
            (one_key(match=never()), "log_again", False),
            (
                one_key(fields={"n": field(rule=keep, required=True)}),
                "log_again",
                False,
            ),
            (
                Policy(first_match("id"), {"id": line(rule=keep)}),
                "log_again",
                False,
            ),
            (
                Policy(
                    first_match("id"),
                    {"id": line(rule=keep, keep_aliases=True, max_forms=1)},
                ),
                "log_again",
                False,
            ),
        ],
        ids=map(str, count()),
    )
    def test_claim_follows_from_the_policy(
        self,
        policy: Policy,
        law: str,
        expected: bool,  # noqa: FBT001
    ) -> None:
        assert expected == claims(policy, law)

    @pytest.mark.parametrize("law", ["idempotent", "finds_again"])
    def test_law_of_keyed_patches_is_claimed_under_on_no_key_create(
        self, law: str
    ) -> None:
        """Patches without a key do not have it."""
        policy = one_key(on_no_key="create", fields={"name": field()})

        assert not claims(policy, law)
        assert claims(policy, law, carries=True)
        assert not claims(policy, "empty_changes_nothing", carries=True)
        assert not claims(Policy(never(), {}), law, carries=True)
        book = ContactBook(policy)
        assert law in check(book, {"id": 7})
        assert law not in check(book, {"name": "x"})

    @pytest.mark.parametrize("name", ["first_match", "first_present", "all_agree"])
    def test_own_strategy_with_a_library_name_is_not_taken_for_it(
        self, name: str
    ) -> None:
        """It may report no other matches, and continue after a key without match."""

        def first(keys: Any, probe: Any, _pick: Any) -> Match:
            hits = [(ids[0], key) for key in keys for _, ids in probe(key) if ids]
            return Match(*hits[0]) if hits else Match()

        strategy = Strategy(name, ("id", "more"), first)
        lines = {"id": line(), "more": line(), "name": field()}
        book = ContactBook(Policy(strategy, lines, on_ambiguous="oldest"))
        for row in ({"id": 1}, {"more": 2}, {"more": 2}):
            book.create(row)

        for patch in ({"id": 1, "more": 2}, {"id": 9, "more": 2, "name": "x"}):
            assert "nothing_silent" in check(book, patch)

    def test_log_again_fails_for_a_rule_that_replaces(self) -> None:
        """The first patch writes its older value again."""
        verdict = card(NAMED, contacts=0)["log_again"]

        assert (False, False) == (verdict.claimed, verdict.holds)
        assert str(verdict.broken).split("\n") == [
            'sent {"id": 7, "name": "x"}',
            'sent {"id": 7, "name": "y"}',
            "sent again, patch 1 updated a contact",
        ]

    @pytest.mark.parametrize("policy", [KEPT, CLOCKED], ids=["kept", "clocked"])
    def test_log_again_holds_for_absorbing_rules(self, policy: Policy) -> None:
        """With one key that keeps aliases."""
        verdict = card(policy, contacts=0)["log_again"]

        assert (True, True) == (verdict.claimed, verdict.holds)
        assert verdict.calls > 0

    def test_any_order_holds_for_clocks_and_not_for_keep(self) -> None:
        clocked, keep_verdict = (
            card(policy, contacts=0)["any_order"] for policy in (CLOCKED, KEPT)
        )

        assert (True, True) == (clocked.claimed, clocked.holds)
        assert (False, False) == (keep_verdict.claimed, keep_verdict.holds)
        assert str(keep_verdict.broken).endswith(
            """['{"id": 7, "name": "x"}'] in one order, """
            """['{"id": 7, "name": "y"}'] in another"""
        )

    def test_log_again_is_not_claimed_for_two_keys(self) -> None:
        """A key that was left out matches no contact on its own."""
        lines = {n: line(keep_aliases=True, rule=keep) for n in ("id", "email")}
        verdict = card(Policy(merge_all("id", "email"), lines), contacts=0)["log_again"]

        assert (False, False) == (verdict.claimed, verdict.holds)
        assert str(verdict.broken).endswith("sent again, patch 2 merged a contact")

    def test_log_again_is_not_claimed_for_an_any_of_key(self) -> None:
        any_of = key(
            "id", "more", normalize=normalize.exact, any_of=True, keep_aliases=True
        )
        lines = {"id": field(rule=keep), "more": field(rule=keep)}
        policy = Policy(first_match("any"), lines, keys={"any": any_of})
        log: list[Row] = [
            {"id": "a", "more": ["b"]},
            {"id": "a", "more": ["c"]},
            {"more": ["c"]},
        ]

        assert not claims(policy, "log_again")
        assert ("batch_is_fold", "replay_is_equal") == check_log(policy, log)

    def test_log_again_fails_if_a_refused_patch_is_accepted_later(self) -> None:
        """A required field comes with the second patch."""
        lines = {"n": field(rule=largest, required=True), "m": field(rule=largest)}
        log = [{"id": 7, "m": "y"}, {"id": 7, "n": "b", "m": "x"}]
        with pytest.raises(LawBroken, match="log_again: sent again, patch 1"):
            LOGS["log_again"](Log(one_key(fields=lines), log))


@pytest.mark.parametrize(
    "policy",
    [
        *(SMALL, NAMED, COUNTS, KEPT, CLOCKED, OPT_OUT),
        one_key(extra_fields=field(rule=replace)),
    ],
    ids=["small", "named", "counts", "kept", "clocked", "opt-out", "others"],
)
def test_claimed_laws_hold_and_have_trials(policy: Policy) -> None:
    result = card(policy, contacts=2 if policy is SMALL else 1)

    claimed = [verdict for verdict in result.verdicts if verdict.claimed]

    assert result.kept
    assert all(verdict.calls for verdict in claimed if verdict.law not in MERGES)


@pytest.mark.parametrize(
    ("policy", "without_trials"),
    [
        (NAMED, {"clock_travels", "sticky_wins", *CONDITIONS}),
        (CLOCKED, {"sticky_wins", *CONDITIONS}),
        (
            evolve(NAMED, fields=merging(NAMED.fields, {"name": last_updated})),
            {"sticky_wins", *CONDITIONS},
        ),
        (SMALL, {"absent_gives_way", "clock_travels", "sticky_wins", *CONDITIONS}),
        (OPT_OUT, {"clock_travels", *CONDITIONS}),
        (ASKED, {"sticky_wins"}),
    ],
    ids=["named", "clocked", "newest", "keys", "opt-out", "asked"],
)
def test_laws_of_merges_have_trials_from_two_contacts(
    policy: Policy, without_trials: set[str]
) -> None:
    """Laws of blanks and clocks only if the policy has such fields."""
    values = {"name": ["x", "y"]} if "name" in policy.fields else {}
    result = card(policy, limit=600, values=values)

    assert result.kept
    assert without_trials == {name for name in MERGES if not result[name].calls}
    one_contact = card(policy, contacts=1, limit=100, values=values)
    assert not any(one_contact[name].calls for name in MERGES)
