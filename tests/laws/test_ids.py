"""The laws of calls with ids, visitors and options, and of conditions of merges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve

from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    all_agree,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.errors import KeyInUse, UnknownContact
from upsertcore.laws import (
    CALLS,
    MERGES,
    Counterexample,
    LawBroken,
    Merge,
    Trial,
    card,
    check,
    check_merge,
    claims,
)
from upsertcore.laws.call_kinds import calls_by_id, calls_with_options
from upsertcore.laws.trial import Call, state_of
from upsertcore.rules import constant, immutable, last_updated, latest, refuse_if
from upsertcore.testing import new_book
from upsertcore.values import FrozenMap

Sent = Mapping[str, Any]
EMAIL = field(key=normalize.email, unique=True)
PHONE = field(key=normalize.phone)
FIELDS = {"email": EMAIL, "phone": PHONE, "name": field()}
ADA: Sent = {"email": "ada@x.org", "phone": "+15550001111", "name": "Ada"}
EVE: Sent = {"email": "eve@x.org"}
NEW: Sent = {"email": "new@x.org", "name": "Bo"}


def policy(**options: Any) -> Policy:
    """Make a policy of an address and a phone, with options of a case."""
    match = options.pop("match", first_match("email", "phone"))
    fields = {**FIELDS, **options.pop("fields", {})}
    return Policy(match, fields, **{"on_no_key": "create", **options})


PLAIN = policy()
CARRIED = policy(match=first_match("id", "email"), id_field="id")
MAILS = key("main", "more", normalize=normalize.email, any_of=True, append_new=True)
APPENDING = policy(fields={"main": field(), "more": field()}, keys={"mails": MAILS})
TWO_MAILS: Sent = {**ADA, "main": "a@x.org", "more": ["b@x.org"]}
CLOCKED = policy(
    fields={
        "note": field(rule=latest(by="at")),
        "at": field(),
        "born": field(rule=immutable),
    }
)
NOTED: Sent = {"email": "may@x.org", "note": "x", "at": 2, "born": "1815"}
ASKED = policy(
    match=merge_all("email", "phone"),
    fields={
        "role": field(on_merge=refuse_if("user")),
        "seen": field(on_merge=constant("yes")),
    },
)


def book_of(policy: Policy = PLAIN, *rows: Sent) -> ContactBook:
    """Make a book of Ada, into whom c-2 was merged, of Eve as c-3, and of others."""
    book = new_book(policy)
    for row in (ADA, {"name": "A"}, EVE, *rows):
        book.create(row)
    book.merge("c-1", "c-2")
    return book


def trial_of(patch: Sent, table: Policy = PLAIN, *rows: Sent, **how: Any) -> Trial:
    """Make a trial of a call in this book."""
    return Trial.of(book_of(table, *rows), patch, **how)


def next_to(**options: Any) -> Policy:
    return policy(on_unknown_id="next", **options)


EVERY = ("idempotent", "unique", "index_follows", "moves_with_a_field", "undo_inverts")
APPLICABLE: list[tuple[str, Trial]] = [
    ("named_by_id", trial_of(NEW, id="c-1")),
    ("named_by_id", trial_of(NEW, id="c-2")),
    ("named_by_id", trial_of(EVE, id="c-1")),
    ("named_by_id", trial_of(NEW, id="x")),
    ("named_by_id", trial_of(EVE, next_to(), id="x")),
    ("named_by_id", trial_of(NEW, policy(on_unknown_id="refuse"), id="x")),
    ("named_by_id", trial_of(NEW, id="x", visitor="c-1")),
    ("named_by_id", trial_of(NEW, verb="update", id="c-2")),
    ("named_by_id", trial_of(NEW, verb="update", id="x")),
    ("named_by_id", trial_of(NEW, verb="create", id="x")),
    ("named_by_id", trial_of(NEW, verb="create", id="c-1")),
    ("named_by_id", trial_of({**NEW, "id": "c-2"}, CARRIED)),
    ("named_by_id", trial_of({**NEW, "id": "x"}, CARRIED)),
    (
        "named_by_id",
        trial_of({**EVE, "id": "x"}, evolve(CARRIED, on_unknown_id="next")),
    ),
    ("named_by_id", trial_of({**EVE, "id": "c-1"}, policy(id_field="id"))),
    ("visitor_joins", trial_of(EVE, visitor="x")),
    ("visitor_joins", Trial.of(book_of(PLAIN, {"name": "?"}), EVE, visitor="c-4")),
    ("visitor_joins", trial_of(EVE, visitor="c-2")),
    ("visitor_joins", trial_of(EVE, visitor="c-3")),
    ("visitor_joins", trial_of({"name": "Bo"}, visitor="c-2")),
    ("visitor_joins", trial_of(EVE, visitor="c-1", on_found="ignore")),
    (
        "visitor_joins",
        Trial.of(book_of(PLAIN, {"name": "?"}), EVE, visitor="c-4", on_found="ignore"),
    ),
    (
        "visitor_joins",
        Trial.of(
            book_of(policy(match=all_agree("email", "phone")), {"name": "?"}),
            EVE,
            visitor="c-4",
        ),
    ),
    (
        "visitor_joins",
        trial_of(
            {**EVE, "phone": ADA["phone"]},
            policy(
                match=first_match(
                    "email", "phone", guard="if_set", on_contradiction="drop"
                )
            ),
            visitor="c-1",
        ),
    ),
    (
        "visitor_joins",
        trial_of(
            {**EVE, "phone": ADA["phone"]},
            policy(match=first_match("email", "phone", guard="strict")),
            visitor="c-1",
        ),
    ),
    ("plan_is_upsert", trial_of(EVE, id="c-1")),
    ("plan_is_upsert", trial_of({**EVE, "id": "c-1"}, CARRIED)),
    ("plan_is_upsert", trial_of(EVE, visitor="c-1", omitted="clear")),
    ("idempotent", trial_of(NEW, verb="create", id="x")),
    ("idempotent", trial_of(NEW, verb="update", id="x")),
    ("retry_is_once", trial_of(NEW, verb="update", id="c-1")),
    ("retry_is_once", trial_of(NEW, on_found="ignore")),
    ("scopes_apart", trial_of(NEW, verb="create", id="c-1", scope="east")),
    ("scopes_apart", Trial.of(book_of(), NEW, id="x", scope="east")),
    ("round_trip", trial_of({**EVE, "name": "E"}, visitor="c-1")),
    ("nothing_silent", trial_of(EVE, policy(on_key_in_use="withhold"), id="c-1")),
    ("nothing_silent", trial_of({"phone": "none"}, verb="update", id="c-1")),
    ("nothing_silent", trial_of({**NEW, "phone": "none"}, id="x")),
    ("nothing_silent", trial_of({**NEW, "id": " "}, CARRIED)),
    ("omitted_is_unchanged", trial_of({"email": ADA["email"]}, omitted="clear")),
    *[
        (
            "omitted_is_unchanged",
            trial_of({"email": "may@x.org", **at}, CLOCKED, NOTED, omitted="clear"),
        )
        for at in ({"at": 1}, {})
    ],
    (
        "omitted_is_unchanged",
        trial_of({"main": "c@x"}, APPENDING, verb="update", id="c-1"),
    ),
    ("refuses_as_told", trial_of({"phone": ADA["phone"]}, id="c-3")),
    ("refuses_as_told", trial_of(NEW, verb="update", id="c-1")),
    ("finds_again", trial_of(NEW, id="c-1")),
    ("options_hold", trial_of({**EVE, "name": None}, null="ignore")),
    ("options_hold", trial_of({**EVE, "name": None}, null="clear")),
    ("options_hold", trial_of({**EVE, "name": " "}, blank="ignore")),
    ("options_hold", trial_of({**EVE, "name": "E"}, on_found="ignore")),
    ("options_hold", trial_of(EVE, on_found="refuse")),
    ("options_hold", trial_of({**EVE, "name": "E"}, on_not_found="refuse")),
    ("constant_is_set", trial_of({**EVE, "phone": ADA["phone"]}, ASKED)),
    ("refused_stays_apart", trial_of({**EVE, "phone": ADA["phone"]}, ASKED)),
]
APPLICABLE[:0] = [(law, trial_of(NEW, id="c-1")) for law in EVERY]

NOT_APPLICABLE: list[tuple[str, Trial]] = [
    ("named_by_id", trial_of(NEW, visitor="c-1")),
    ("visitor_joins", trial_of(NEW, id="c-1")),
    (
        "visitor_joins",
        trial_of(
            {"email": 7}, policy(on_no_key="refuse"), visitor="x", on_not_found="refuse"
        ),
    ),
    ("options_hold", trial_of(NEW)),
    ("options_hold", trial_of(NEW, on_not_found="refuse")),
    ("plan_is_upsert", trial_of(NEW, verb="update", id="c-1")),
    ("finds_again", trial_of(NEW, verb="create", id="x")),
    ("finds_who_is_named", trial_of(NEW, id="c-1")),
    ("empty_changes_nothing", trial_of({}, verb="update", id="c-1")),
    ("create_makes_one", trial_of(NEW, verb="create", id="x")),
    ("constant_is_set", trial_of(NEW, ASKED)),
    (
        "constant_is_set",
        trial_of({**EVE, "phone": ADA["phone"]}, ASKED, omitted="clear"),
    ),
    (
        "constant_is_set",
        trial_of(
            {**EVE, "phone": ADA["phone"]}, policy(match=merge_all("email", "phone"))
        ),
    ),
    ("refused_stays_apart", trial_of(NEW, ASKED)),
    (
        "refused_stays_apart",
        trial_of(
            {**EVE, "phone": ADA["phone"]}, policy(match=merge_all("email", "phone"))
        ),
    ),
]


def numbered(cases: list[Any]) -> list[str]:
    """Return a test id for each case: its law and its number."""
    return [f"{case[0]}-{number}" for number, case in enumerate(cases)]


@pytest.mark.parametrize(("law", "trial"), APPLICABLE, ids=numbered(APPLICABLE))
def test_law_that_applies_and_holds_returns_true(law: str, trial: Trial) -> None:
    assert CALLS[law](trial)


@pytest.mark.parametrize(("law", "trial"), NOT_APPLICABLE, ids=numbered(NOT_APPLICABLE))
def test_law_that_does_not_apply_returns_false(law: str, trial: Trial) -> None:
    assert not CALLS[law](trial)


def changed(trial: Trial, **parts: Any) -> Outcome:
    """Return the first outcome with other parts."""
    assert isinstance(trial.first, Outcome)
    return evolve(trial.first, **parts)


def moved(trial: Trial, **parts: Any) -> Outcome:
    """Return the first outcome with another contact."""
    assert isinstance(trial.first, Outcome)
    return evolve(trial.first, contact=evolve(trial.first.contact, **parts))


JOINING = Trial.of(book_of(PLAIN, {"name": "?"}), EVE, visitor="c-4")
STAYING = trial_of(EVE, visitor="c-1")
UNKNOWN_VISITOR = trial_of(EVE, visitor="x")
MERGING = trial_of({**EVE, "phone": ADA["phone"]}, ASKED)
BROKEN: list[tuple[str, Trial, Any, str]] = [
    (
        *("named_by_id", trial_of(NEW, id="c-1")),
        lambda t: changed(t, before=t.before[1]),
        "upsert with id='c-1': updated c-1",
    ),
    (
        *("named_by_id", trial_of(NEW, id="x")),
        lambda t: moved(t, id="y"),
        "upsert with id='x': created y",
    ),
    (
        *("named_by_id", trial_of(EVE, next_to(), id="x")),
        lambda t: changed(t, ignored={}),
        "upsert with id='x': unchanged c-3",
    ),
    (
        *("named_by_id", trial_of(NEW, verb="update", id="x")),
        lambda t: Trial(PLAIN, t.state, NEW).first,
        "update with id='x': created new-1",
    ),
    (
        *("named_by_id", trial_of(NEW, verb="update", id="c-2")),
        lambda _t: UnknownContact("c-2"),
        f"update with id='c-2': UnknownContact: {UnknownContact('c-2')}",
    ),
    (
        *("named_by_id", trial_of(NEW, verb="create", id="c-1")),
        lambda t: Trial(PLAIN, t.state, NEW).first,
        "create with id='c-1': created new-1",
    ),
    (
        *("named_by_id", trial_of({**NEW, "id": "x"}, CARRIED)),
        lambda t: moved(t, id="y"),
        "upsert with id in the patch='x': created y",
    ),
    (
        *("named_by_id", trial_of({**NEW, "id": "x"}, CARRIED)),
        lambda t: evolve(moved(t, id="y"), ignored=FrozenMap({"id": "id"})),
        "upsert with id in the patch='x': created y",
    ),
    (
        *("named_by_id", trial_of({**NEW, "id": "c-2"}, CARRIED)),
        lambda t: changed(t, before=t.before[1]),
        "upsert with id in the patch='c-2': updated c-1",
    ),
    (
        *("visitor_joins", UNKNOWN_VISITOR),
        lambda t: changed(t, ignored={}),
        "upsert with visitor='x': unchanged c-3, None",
    ),
    (
        *("visitor_joins", JOINING),
        lambda t: changed(t, merged=()),
        "upsert with visitor='c-4': merged c-3, None",
    ),
    (
        *("visitor_joins", JOINING),
        lambda t: Trial(PLAIN, t.state, EVE).first,
        "upsert with visitor='c-4': unchanged c-3, None",
    ),
    (
        *("visitor_joins", JOINING),
        lambda t: changed(
            Trial.of(t.new_book(), EVE, visitor="c-4", on_found="ignore"),
            ignored=FrozenMap({"visitor": "visitor"}),
        ),
        "upsert with visitor='c-4': unchanged c-3, visitor, and it has no other key",
    ),
    (
        *("visitor_joins", STAYING),
        lambda t: changed(t, also_matched=()),
        "upsert with visitor='c-1': unchanged c-3, visitor",
    ),
    (
        *("visitor_joins", STAYING),
        lambda t: evolve(
            moved(t, merged_ids=("c-1", "c-2")),
            merged=t.before[:1],
            ignored=FrozenMap({}),
        ),
        "upsert with visitor='c-1': unchanged c-3, None, and it has another key",
    ),
    (
        *(
            "visitor_joins",
            trial_of(EVE, policy(match=all_agree("email")), visitor="c-1"),
        ),
        lambda t: Trial(PLAIN, t.state, EVE, "", t.call).first,
        "upsert with visitor='c-1': unchanged c-3, visitor, and the keys disagree",
    ),
    (
        *("idempotent", trial_of(NEW, verb="create", id="x")),
        lambda t: Trial(PLAIN, t.state, NEW).first,
        "created new-1, then created x",
    ),
    (
        *("options_hold", trial_of({**EVE, "name": None}, null="ignore")),
        lambda t: changed(t, ignored=FrozenMap({})),
        "unchanged c-3: [] is ignored under null='ignore'",
    ),
    (
        *("options_hold", trial_of({**EVE, "name": ""}, blank="clear")),
        lambda t: changed(t, ignored=FrozenMap({"name": "blank"})),
        "unchanged c-3: ['name'] is ignored under blank='clear'",
    ),
    (
        *("options_hold", trial_of({**EVE, "name": ""}, blank="reject")),
        lambda t: Trial(PLAIN, t.state, EVE).first,
        "unchanged c-3: blank is sent",
    ),
    (
        *("options_hold", trial_of({**EVE, "name": "E"}, on_found="ignore")),
        lambda t: Trial(PLAIN, t.state, t.patch).first,
        "updated c-3 with on_found: {'on_found': 'ignore'}",
    ),
    (
        *("options_hold", trial_of(NEW, on_not_found="refuse")),
        lambda t: Trial(PLAIN, t.state, t.patch).first,
        "created new-1 with on_not_found: {'on_not_found': 'refuse'}",
    ),
    (
        *("constant_is_set", MERGING),
        lambda t: moved(t, fields={}),
        "seen: None after a merge, not 'yes'",
    ),
    (
        *("refused_stays_apart", MERGING),
        lambda t: changed(
            t, merged=(evolve(t.before[1], fields=FrozenMap({"role": "user"})),)
        ),
        "role: c-3 has 'user', and is merged",
    ),
]


@pytest.mark.parametrize(
    ("law", "trial", "defect", "expected"), BROKEN, ids=numbered(BROKEN)
)
def test_wrong_outcome_breaks_the_law(
    law: str, trial: Trial, defect: Any, expected: str
) -> None:
    fresh = Trial(trial._base, trial.state, trial.patch, trial.scope, trial.call)
    vars(fresh)["first"] = defect(trial)
    with pytest.raises(LawBroken) as caught:
        CALLS[law](fresh)

    assert (law, expected) == (caught.value.law, caught.value.reason)


def test_laws_of_ids_have_cases() -> None:
    """Where they apply, where not, and where they are broken."""
    laws = {"named_by_id", "visitor_joins", "options_hold"}
    laws |= {"constant_is_set", "refused_stays_apart"}
    for cases in (APPLICABLE, NOT_APPLICABLE, BROKEN):
        assert laws <= {case[0] for case in cases}


def test_call_is_described_with_what_names_a_contact() -> None:
    calls = [Call(), Call("update", id="c-1"), Call(carried="x", visitor="c-2")]

    assert [
        "upsert",
        "update with id='c-1'",
        "upsert with id in the patch='x', visitor='c-2'",
    ] == [*map(str, calls)]
    assert [None, "c-1", "x"] == [call.named for call in calls]
    assert [True, False, False] == [call.is_plain for call in calls]


def test_calls_by_id_name_known_merged_and_unknown_contacts() -> None:
    """In the patch, too, where the policy has a field for it."""
    named = [{call.named for call in calls_by_id(CARRIED, n)} for n in range(3)]
    carried = [
        [c.carried for c in calls_by_id(CARRIED, n) if c.carried] for n in (0, 2)
    ]

    assert [
        {"x-1", None},
        {"c-1", "m-1", "x-1", None},
        {"c-1", "c-2", "x-1", None},
    ] == named
    assert [["x-1"], ["c-1", "c-2", "x-1"]] == carried
    assert not any(call.carried for call in calls_by_id(PLAIN, 1))


def test_options_of_calls_differ_from_the_policy_and_fit_it() -> None:
    ignores = policy(on_found="ignore", on_not_found="create")
    options = [dict(c.options) for c in calls_with_options(ignores, ["name"])]

    assert {"on_found": "refuse"} in options
    assert {"on_found": "ignore"} not in options
    assert {"on_not_found": "refuse"} not in options
    assert {"omitted": "clear"} in options
    assert [{"null": "ignore"}, {"null": "reject"}] == [
        o for o in options if "null" in o
    ]


def test_check_names_the_laws_of_a_call_with_an_id() -> None:
    book = book_of()

    assert "named_by_id" in check(book, NEW, verb="update", id="c-1")
    assert "visitor_joins" in check(book, NEW, visitor="c-1")
    assert "idempotent" in check(book, {"name": "Bo"}, id="c-1")


def test_counterexample_shows_how_the_patch_is_sent() -> None:
    shown = Counterexample((), (EVE,), "so it was", "upsert with id='x'")

    assert 'sent {"email": "eve@x.org"}\nby upsert with id=\'x\'\nso it was' == str(
        shown
    )


MERGES_OF_TWO = (
    (PLAIN, NEW, True),
    (PLAIN, {"phone": None}, True),
    (PLAIN, None, False),
    (policy(on_found="refuse"), NEW, False),
    (
        policy(fields={"name": field(on_merge=last_updated)}),
        {"email": "new@x.org"},
        True,
    ),
    (policy(fields={"name": field(clean=normalize.email)}), {"name": "?"}, True),
)


@pytest.mark.parametrize(("table", "patch", "applies"), MERGES_OF_TWO)
def test_merge_with_a_patch_equals_the_merge_and_the_patch(
    table: Policy, patch: Sent | None, *, applies: bool
) -> None:
    """Where the merge alone is refused, the law does not apply."""
    book = new_book(evolve(table, fields={**table.fields, "name": field()}))
    for row in (ADA, EVE):
        book.create(row)
    merge = Merge(table, state_of(book), patch=patch)

    assert applies == MERGES["patch_after_merge"](merge)
    names = check_merge(ContactBook.load(table, book.dump()), "c-1", "c-2", patch=patch)
    assert applies == ("patch_after_merge" in names)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"version": 9}, "version 1 -> 9"),
        ({"fields": {}}, "in one step, (None, None) in two"),
        ({"merged_ids": ()}, "set(), (), {})"),
    ],
)
def test_merge_with_a_patch_that_differs_breaks_the_law(
    parts: Sent, reason: str
) -> None:
    table = policy(fields={"email": evolve(EMAIL, keep_aliases=True)})
    book = new_book(table)
    for row in (ADA, EVE):
        book.create(row)
    merge = Merge(table, state_of(book), patch=NEW)
    name = "with_patch" if "version" in parts else "then_patch"
    outcome = getattr(merge, name)
    vars(merge)[name] = evolve(outcome, contact=evolve(outcome.contact, **parts))
    with pytest.raises(LawBroken) as caught:
        MERGES["patch_after_merge"](merge)

    assert reason in caught.value.reason


def test_merge_with_a_patch_that_alone_is_refused_breaks_the_law() -> None:
    book = book_of()
    merge = Merge.of(book, "c-1", "c-3", patch=NEW)
    vars(merge)["with_patch"] = KeyInUse("email", "eve@x.org", "c-3")
    with pytest.raises(LawBroken, match="in one step, updated c-1 in two"):
        MERGES["patch_after_merge"](merge)


@pytest.mark.parametrize("role", ["user", "lead"])
def test_conditions_of_a_merge_are_laws_of_merges_too(role: str) -> None:
    """A merge that a value refuses is refused."""
    book = book_of(ASKED, {"role": role})
    merge = Merge.of(book, "c-1", "c-4")
    applied = {
        n for n in ("constant_is_set", "refused_stays_apart") if MERGES[n](merge)
    }

    assert (
        set() if role == "user" else {"constant_is_set", "refused_stays_apart"}
    ) == (applied)
    assert claims(ASKED, "constant_is_set")
    assert claims(ASKED, "refused_stays_apart")
    assert not claims(PLAIN, "constant_is_set")


def test_card_tries_ids_that_patches_carry() -> None:
    """A replay takes no such ids, so its law does not apply."""
    result = card(evolve(CARRIED, on_unknown_id="next"), contacts=1, limit=400)

    assert result.kept
    assert result["named_by_id"].calls
    assert not result["by_components"].calls


def test_card_tries_conditions_of_merges_in_calls_and_merges() -> None:
    result = card(ASKED, limit=1_500)

    assert result.kept
    assert result["constant_is_set"].calls
    assert result["refused_stays_apart"].calls
    assert result["named_by_id"].calls
    assert result["visitor_joins"].calls
    assert result["patch_after_merge"].calls


def test_card_finds_an_id_that_is_not_the_contacts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And shows how the patch was sent."""
    upsert = ContactBook.upsert

    def without_id(book: Any, patch: Any, **how: Any) -> Outcome:
        return upsert(book, patch, **{**how, "id": None})

    monkeypatch.setattr(ContactBook, "upsert", without_id)
    broken = card(PLAIN, contacts=1)["named_by_id"].broken

    assert broken is not None
    assert broken.call == "upsert with id='x-1'"


def test_omitted_option_that_is_lost_breaks_a_law() -> None:
    trial = trial_of({"email": ADA["email"]}, omitted="clear")
    vars(trial)["first"] = trial_of({"email": ADA["email"]}).first
    with pytest.raises(LawBroken, match=" is not sent, and is"):
        CALLS["omitted_is_unchanged"](trial)
