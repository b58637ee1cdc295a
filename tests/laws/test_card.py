"""The card: what each law comes to under a policy, as a value and as text."""

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
    custom,
    ignore,
    keep,
    largest,
    last_updated,
    latest,
    replace,
)

pytestmark = pytest.mark.full

Row = dict[str, Any]


def line(**how: Any) -> Any:
    return field(key=normalize.exact, **how)


def one_key(**how: Any) -> Policy:
    """Make a policy of one key that remembers, all of it as *rule* says."""
    rule = how.pop("rule", keep)
    fields = {"id": line(keep_aliases=True, rule=rule), **how.pop("fields", {})}
    return Policy(how.pop("match", first_match("id")), fields, **how)


SMALL = Policy(first_match("id"), {"id": line(unique=True)})
NAMED = Policy(first_match("id"), {"id": line(unique=True), "name": field()})
COUNTS = Policy(first_match("id"), {"id": line(), "visits": field(rule=add)})
CLOCKED = one_key(
    rule=largest,
    fields={"name": field(rule=latest(by="at")), "at": field(rule=largest)},
)
EITHER = first_match("id", "more")


def beside(**how: Any) -> Policy:
    """Make a policy of a unique key, and of another that need not be one."""
    fields = {"id": line(unique=True), "more": how.pop("more", line())}
    return Policy(how.pop("match", first_match("id")), fields, **how)


def clocked(**how: Any) -> Policy:
    """Make a policy in which no order counts, with a key that finds nobody."""
    return one_key(rule=largest, fields={"more": line(rule=largest, **how)})


KEPT = one_key(fields={"name": field(rule=keep)})


def total(stored: Any, sent: Any) -> Any:
    """Add up numbers, whatever else is sent."""
    return (stored or 0) + (sent if isinstance(sent, int) else 0)


LIAR = custom(total, name="sum")


class TestValue:
    """A card is a value."""

    def test_the_laws_stand_in_their_order(self) -> None:
        """Those of one call first; each says what it says in a sentence."""
        made = card(SMALL, contacts=1)

        assert [*CALLS, *MERGES, *LOGS] == [each.law for each in made.verdicts]
        assert all(each.says.endswith(".") for each in made.verdicts)

    def test_a_law_is_found_by_its_name(self) -> None:
        """One that there is not is an error."""
        made = card(SMALL, contacts=1)

        assert "idempotent" == made["idempotent"].law
        with pytest.raises(StopIteration):
            made["swift"]

    def test_kept_asks_for_what_is_claimed_alone(self) -> None:
        """A policy that counts keeps what it claims; one that lies does not."""
        honest, lying = (
            card(
                Policy(first_match("id"), {"id": line(), "n": field(rule=rule)}),
                contacts=1,
            )
            for rule in (add, LIAR)
        )

        assert honest.kept
        assert not lying.kept
        assert (False, False) == (
            honest["idempotent"].claimed,
            honest["idempotent"].holds,
        )
        assert (True, False) == (lying["idempotent"].claimed, lying["idempotent"].holds)

    def test_two_cards_of_one_policy_are_equal(self) -> None:
        """Nothing is drawn by chance."""
        assert card(COUNTS, contacts=1) == card(COUNTS, contacts=1)

    def test_it_is_ready_for_json(self) -> None:
        """With the counterexample of what fails."""
        made = card(COUNTS, contacts=1)
        plain = json.loads(json.dumps(made.to_dict()))
        laws = {each["law"]: each for each in plain["laws"]}

        assert [*made.world] == plain["world"]
        assert str(made["idempotent"].broken) == laws["idempotent"]["counterexample"]
        assert "counterexample" not in laws["unique"]
        assert [each.calls for each in made.verdicts] == [
            each["calls"] for each in plain["laws"]
        ]

    def test_progress_is_told_before_the_first_call_and_rises(self) -> None:
        """First how many calls there will be, about; at last, how many there were."""
        told: list[tuple[int, int]] = []
        card(NAMED, contacts=2, progress=lambda done, total: told.append((done, total)))
        done, totals = zip(*told, strict=True)

        assert (0, estimate(NAMED, contacts=2)) == told[0]
        assert [0, 100, 200] == [*done[:3]]
        assert sorted(done) == [*done]
        assert done[-1] == totals[-1]
        assert all(each <= total for each, total in told)
        assert totals[-1] / 1.2 < totals[0] < totals[-1] * 1.2

    def test_progress_does_not_pass_the_total(self) -> None:
        """Where more is done than was judged, the total rises with it."""
        told: list[tuple[int, int]] = []
        watch = _Progress(lambda done, total: told.append((done, total)), [], None)
        done = [*watch.over([(None, ((), ()), 1)] * 101)]
        watch.end()

        assert 101 == len(done)
        assert [(0, 0), (100, 100), (101, 101)] == told

    def test_more_contacts_are_more_calls(self) -> None:
        """Of every law that speaks of contacts."""
        few, more = (card(SMALL, contacts=n)["idempotent"] for n in (0, 2))

        assert (9, 9) == (few.calls, few.stands_for)
        assert few.calls < more.calls < more.stands_for


WIDE = {name: line() for name in ("a", "b", "c", "d")}
PAIRED = Policy(
    first_match(*WIDE, "both"),
    {**WIDE, "name": field()},
    keys={"both": key("a", "b", normalize=normalize.exact)},
)


class TestLimit:
    """What a card tries can be known beforehand, and bounded."""

    def test_it_is_estimated_without_being_tried(self) -> None:
        """Of a world that nobody could try in a day."""
        few, many = (estimate(PAIRED, contacts=n) for n in (0, 3))

        # Four keys, each omitted, null, blank or sent in four spellings, and more.
        assert 7**4 < few < 50_000
        assert many > 100_000_000

    @pytest.mark.parametrize("limit", [1, 40, 1_000])
    def test_so_many_are_tried_at_most(self, limit: int) -> None:
        """Of a world of any size, and in the same order each time."""
        told: list[tuple[int, int]] = []
        made = card(PAIRED, limit=limit, progress=lambda *each: told.append(each))

        assert (0, limit) == told[0]
        assert (limit, limit) == told[-1]
        assert made.kept
        assert made == card(PAIRED, limit=limit)

    def test_it_says_what_it_left_out(self) -> None:
        """Part by part: how many were tried, and of about how many."""
        whole = card(NAMED, contacts=2)
        some = card(NAMED, contacts=2, limit=200)

        assert () == whole.left_out
        assert (
            "tried 38 of about 51: with name, states of 1 contact",
            "tried 38 of about 124: with name, states of 2 contacts",
        ) == some.left_out
        assert [*some.left_out] == str(some).split("\n")[2:4]
        assert [*some.left_out] == some.to_dict()["left_out"]

    def test_a_small_part_is_tried_whole(self) -> None:
        """What it does not need is shared among the larger ones."""
        told: list[int] = []
        made = card(SMALL, limit=100, progress=lambda done, _total: told.append(done))

        assert (
            "tried 28 of about 36: keys alone, states of 2 contacts",
            "tried 28 of about 63: keys alone, states of 3 contacts",
        ) == made.left_out
        assert 100 == told[-1]

    def test_a_limit_that_is_not_reached_leaves_nothing_out(self) -> None:
        """It is the card that is made without one, in another order."""
        whole = card(NAMED, contacts=2)
        same = card(NAMED, contacts=2, limit=100_000)

        assert () == same.left_out
        assert [(v.law, v.calls, v.stands_for) for v in whole.verdicts if v.holds] == [
            (v.law, v.calls, v.stands_for) for v in same.verdicts if v.holds
        ]

    @pytest.mark.parametrize("line", [None, "name"])
    def test_what_is_drawn_comes_to_all_of_it(self, line: str | None) -> None:
        """Each once, those that a renaming makes equal beside one another."""
        for part in parts_of(World(NAMED, line, contacts=2)):
            whole = [shown for _, shown, _ in part.all_cases()]
            drawn = [shown for _, shown, _ in part.sample()]

            assert {*map(repr, whole)} <= {*map(repr, drawn)}
            assert len({*map(repr, drawn)}) == len(drawn)

    def test_what_breaks_a_law_is_found_in_part_of_the_world(self) -> None:
        """What is drawn is spread over all of it."""
        lines = {**WIDE, "n": field(rule=LIAR)}
        made = card(Policy(first_match(*WIDE), lines), limit=1_000)

        assert not made["idempotent"].holds
        assert not made.kept

    @pytest.mark.parametrize("limit", [0, -1, True, 1.5, "9"])
    def test_a_limit_is_a_number_of_calls(self, limit: Any) -> None:
        """The message says which."""
        told = f"limit: must be a number of calls from 1, not {limit!r}"
        with pytest.raises(ValueError, match=re.escape(told)):
            card(SMALL, limit=limit)


class TestText:
    """A card is read."""

    def test_what_holds_and_what_does_not(self) -> None:
        """With the smallest counterexample, and whether it is claimed."""
        lines = str(card(COUNTS, contacts=1)).split("\n")

        assert lines[:5] == [
            "states of up to 1 contact; keys: id",
            "with one other field at a time: visits",
            "idempotent              fails, not claimed:",
            '    sent {"id": 7, "visits": 1}',
            "    created new-1, then updated new-1",
        ]
        assert "unique                  holds (87 calls, standing for 231)" in lines
        at = lines.index("create_makes_one        fails, not claimed:")
        assert lines[at + 1 : at + 3] == [
            '    sent {"id": 7}',
            "    created new-1 then created new-2",
        ]

    def test_a_claimed_law_that_fails(self) -> None:
        """The smallest: nobody there, and two fields sent."""
        policy = Policy(first_match("id"), {"id": line(), "n": field(rule=LIAR)})
        made = card(policy, contacts=1)["idempotent"].broken

        assert made is not None
        assert (0, 1, 2) == made.size()
        assert 'sent {"id": 7, "n": 1}\ncreated new-1, then updated new-1' == str(made)

    def test_a_counterexample_tells_who_is_there(self) -> None:
        """What is no field stands in brackets; what is sent stands as JSON."""
        now = datetime(2024, 1, 1, tzinfo=UTC)
        parts: Row = {"aliases": {"id": ("7",)}, "clocks": {"name": 3}}
        ada = Contact("c-1", "", {"name": "Åsa"}, 1, now, now)
        bob = Contact("c-2", "", {}, 1, now, now, deleted_at=now)
        cid = Contact("c-3", "", {"id": 8}, 1, now, now, **parts)
        made = Counterexample((ada, bob, cid), ({"tags": ("a",)}, {}), "so it was")

        assert str(made).split("\n") == [
            'holds c-1 {"name": "Åsa"}',
            'holds c-2 {"(deleted)": true}',
            'holds c-3 {"id": 8, "(aliases)": {"id": ["7"]}, "(clocks)": {"name": 3}}',
            'sent {"tags": ["a"]}',
            "sent {}",
            "so it was",
        ]
        assert (3, 2, 3) == made.size()

    def test_a_smaller_counterexample_takes_its_place(self) -> None:
        """Whatever world it is found in: fewer contacts, then fewer fields."""

        def grows(was: Any, new: Any) -> Any:
            return new if was is None else f"{was}+"

        lines = {"id": line(), "b": field(rule=custom(grows))}
        policy = Policy(
            first_match("id"), {**lines, "a": field(rule=LIAR)}, on_no_key="create"
        )
        made = card(policy, contacts=1)["idempotent"].broken

        assert made is not None
        assert (0, 1, 0) == made.size()

    def test_a_policy_that_matches_nobody(self) -> None:
        """There are no keys, and little to try."""
        lines = str(card(Policy(never(), {}))).split("\n")

        assert "states of up to 3 contacts; keys: none" == lines[0]
        assert "with one other field at a time: none" == lines[1]
        assert "create_makes_one        nothing to try, not claimed" in lines
        assert "finds_again             nothing to try, not claimed" in lines

    def test_nothing_to_try_though_claimed(self) -> None:
        """A law that no trial speaks of says so."""
        made = LawCard((), (card(SMALL, contacts=0)["scopes_apart"],))

        assert "scopes_apart            nothing to try" == str(made)


class TestValues:
    """What cannot be found is asked for."""

    def test_a_key_without_an_alphabet_is_named(self) -> None:
        """And is mended by two values of different normal forms."""
        colours = {"red": "r", "blue": "b"}
        policy = Policy(
            first_match("hue"), {"hue": field(key=lambda v: colours.get(str(v)))}
        )
        with pytest.raises(ValueError, match="hue: needs two values"):
            card(policy)

        assert card(policy, contacts=1, values={"hue": ["red", "blue"]}).kept

    def test_a_line_without_an_alphabet_is_named(self) -> None:
        """And is mended by two values that the policy takes."""

        def colour(value: Any) -> Any:
            if value not in ("red", "blue"):
                raise ValueError("must be a colour")
            return value

        policy = Policy(first_match("id"), {"id": line(), "hue": field(clean=colour)})
        with pytest.raises(ValueError, match="hue: needs two values that"):
            card(policy)

        made = card(policy, contacts=1, values={"hue": ["red", "blue"]})
        assert made.kept
        assert '"hue": "red"' in str(made["log_again"].broken)


class TestClaims:
    """What a table says of itself, and what a card says of it."""

    @pytest.mark.parametrize(
        ("policy", "law", "expected"),
        [
            (SMALL, "idempotent", True),
            (COUNTS, "idempotent", False),
            (Policy(never(), {}), "idempotent", False),
            (one_key(on_no_key="create"), "idempotent", False),
            (one_key(extra_fields=field(rule=replace)), "idempotent", True),
            (one_key(extra_fields=field(rule=add)), "idempotent", False),
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
            (beside(), "create_makes_one", True),
            (beside(match=EITHER), "create_makes_one", False),
            (beside(match=EITHER, more=line(unique=True)), "create_makes_one", True),
            (beside(on_key_in_use="withhold"), "create_makes_one", False),
            (beside(on_key_in_use="allow"), "create_makes_one", False),
            (COUNTS, "refuses_as_told", True),
            (COUNTS, "index_follows", True),
            (COUNTS, "batch_is_fold", True),
            (SMALL, "log_again", False),
            (KEPT, "log_again", True),
            (KEPT, "any_order", False),
            (CLOCKED, "log_again", True),
            (CLOCKED, "any_order", True),
            (clocked(keep_aliases=True), "any_order", True),
            (clocked(keep_aliases=True, unique=True), "any_order", False),
            (clocked(keep_aliases=True, unique=True), "log_again", True),
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
    def test_a_claim_follows_from_the_table(
        self,
        policy: Policy,
        law: str,
        expected: bool,  # noqa: FBT001
    ) -> None:
        """Each part of it counts."""
        assert expected == claims(policy, law)

    @pytest.mark.parametrize("law", ["idempotent", "finds_again"])
    def test_a_patch_that_carries_a_key_is_idempotent_where_others_are_not(
        self, law: str
    ) -> None:
        """Creating without a key takes nothing from those that have one."""
        policy = one_key(on_no_key="create", fields={"name": field()})

        assert not claims(policy, law)
        assert claims(policy, law, carries=True)
        assert not claims(policy, "empty_changes_nothing", carries=True)
        assert not claims(Policy(never(), {}), law, carries=True)
        book = ContactBook(policy)
        assert law in check(book, {"id": 7})
        assert law not in check(book, {"name": "x"})

    @pytest.mark.parametrize("name", ["first_match", "first_present", "all_agree"])
    def test_a_strategy_of_the_application_is_known_by_no_name(self, name: str) -> None:
        """It names nobody else, and goes on where a key finds nobody; it may."""

        def first(keys: Any, probe: Any, _pick: Any) -> Match:
            hits = [(ids[0], key) for key in keys for _, ids in probe(key) if ids]
            return Match(*hits[0]) if hits else Match()

        strategy = Strategy(name, ("id", "more"), first)
        lines = {"id": line(), "more": line(), "name": field()}
        book = ContactBook(Policy(strategy, lines, on_ambiguous="oldest"))
        for each in ({"id": 1}, {"more": 2}, {"more": 2}):
            book.create(each)

        for patch in ({"id": 1, "more": 2}, {"id": 9, "more": 2, "name": "x"}):
            assert "nothing_silent" in check(book, patch)

    def test_a_log_again_over_its_own_result(self) -> None:
        """Fails where a rule replaces: the first patch writes its older value again."""
        found = card(NAMED, contacts=0)["log_again"]

        assert (False, False) == (found.claimed, found.holds)
        assert str(found.broken).split("\n") == [
            'sent {"id": 7, "name": "x"}',
            'sent {"id": 7, "name": "y"}',
            "sent again, patch 1 updated a contact",
        ]

    @pytest.mark.parametrize("policy", [KEPT, CLOCKED], ids=["kept", "clocked"])
    def test_a_log_that_absorbs(self, policy: Policy) -> None:
        """One key that remembers, and rules to which what is older is nothing."""
        found = card(policy, contacts=0)["log_again"]

        assert (True, True) == (found.claimed, found.holds)
        assert found.calls > 0

    def test_any_order(self) -> None:
        """Clocks make the order of calls not matter; what comes first, does not."""
        clocked, kept = (
            card(policy, contacts=0)["any_order"] for policy in (CLOCKED, KEPT)
        )

        assert (True, True) == (clocked.claimed, clocked.holds)
        assert (False, False) == (kept.claimed, kept.holds)
        assert str(kept.broken).endswith(
            """['{"id": 7, "name": "x"}'] in one order, """
            """['{"id": 7, "name": "y"}'] in another"""
        )

    def test_several_keys_may_let_a_form_go(self) -> None:
        """A key that is left out finds nobody alone, so two keys claim nothing."""
        lines = {n: line(keep_aliases=True, rule=keep) for n in ("id", "email")}
        found = card(Policy(merge_all("id", "email"), lines), contacts=0)["log_again"]

        assert (False, False) == (found.claimed, found.holds)
        assert str(found.broken).endswith("sent again, patch 2 merged a contact")

    def test_a_key_of_each_of_several_fields_may_too(self) -> None:
        """As several keys would."""
        each = key(
            "id", "more", normalize=normalize.exact, any_of=True, keep_aliases=True
        )
        lines = {"id": field(rule=keep), "more": field(rule=keep)}
        policy = Policy(first_match("any"), lines, keys={"any": each})
        log: list[Row] = [
            {"id": "a", "more": ["b"]},
            {"id": "a", "more": ["c"]},
            {"more": ["c"]},
        ]

        assert not claims(policy, "log_again")
        assert ("batch_is_fold", "replay_is_equal") == check_log(policy, log)

    def test_what_was_refused_may_be_taken_later(self) -> None:
        """A needed field that comes with the second patch."""
        lines = {"n": field(rule=largest, required=True), "m": field(rule=largest)}
        log = [{"id": 7, "m": "y"}, {"id": 7, "n": "b", "m": "x"}]
        with pytest.raises(LawBroken, match="log_again: sent again, patch 1"):
            LOGS["log_again"](Log(one_key(fields=lines), log))


@pytest.mark.parametrize(
    "policy",
    [SMALL, NAMED, COUNTS, KEPT, CLOCKED, one_key(extra_fields=field(rule=replace))],
    ids=["small", "named", "counts", "kept", "clocked", "others"],
)
def test_a_plain_policy_keeps_what_it_claims(policy: Policy) -> None:
    """Every claimed law holds, and has something to say."""
    made = card(policy, contacts=2 if policy is SMALL else 1)

    claimed = [each for each in made.verdicts if each.claimed]

    assert made.kept
    assert all(each.calls for each in claimed if each.law not in MERGES)


@pytest.mark.parametrize(
    ("policy", "silent"),
    [
        (NAMED, {"clock_travels"}),
        (CLOCKED, set()),
        (evolve(NAMED, fields=merging(NAMED.fields, {"name": last_updated})), set()),
        (SMALL, {"absent_gives_way", "clock_travels"}),
    ],
    ids=["named", "clocked", "newest", "keys"],
)
def test_merges_are_tried_from_two_contacts_on(
    policy: Policy, silent: set[str]
) -> None:
    """In one step or several from three on; blank and clocks where there are such."""
    values = {"name": ["x", "y"]} if "name" in policy.fields else {}
    made = card(policy, limit=600, values=values)

    assert made.kept
    assert silent == {name for name in MERGES if not made[name].calls}
    alone = card(policy, contacts=1, limit=100, values=values)
    assert not any(alone[name].calls for name in MERGES)
