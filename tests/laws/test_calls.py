"""The laws of calls and logs: where they apply, and the defects they detect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from attrs import evolve

from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Outcome,
    Plan,
    Policy,
    Withheld,
    all_agree,
    field,
    first_match,
    first_present,
    key,
    merge_all,
    never,
    normalize,
)
from upsertcore.engine import patch
from upsertcore.errors import ChangesNotRetained, KeyInUse, NoMatchKey, Refused
from upsertcore.laws import (
    CALLS,
    LOGS,
    LawBroken,
    Log,
    Trial,
    check,
    check_log,
    claims,
    logs,
)
from upsertcore.laws.trial import describe, try_upsert
from upsertcore.matching.protocol import Match, Strategy
from upsertcore.policy.fields import UNUSABLE
from upsertcore.replay import StoredContact, replay
from upsertcore.rules import (
    add,
    append,
    custom,
    deep_keep,
    ignore,
    keep,
    largest,
    latest,
    remove,
    sticky,
    union,
)
from upsertcore.store.contact_index import ContactIndex
from upsertcore.store.idempotency import CallLog
from upsertcore.store.journal import Entry, Journal
from upsertcore.values import FrozenMap, freeze

DAWN = datetime(2024, 1, 1, tzinfo=UTC)
Sent = Mapping[str, Any]
ADA: Sent = {"id": 7, "name": "Ada"}
BOB: Sent = {"id": 8, "name": "Bob"}
Plants = dict[str, Callable[[Trial], Any]]


def one_key_policy(**options: Any) -> Policy:
    """Make a policy of one key, with options of a case."""
    line = {"key": normalize.exact, **options.pop("id", {})}
    fields = {"id": field(**line), "name": field(), **options.pop("fields", {})}
    match = options.pop("match", first_match("id"))
    return Policy(match, fields, **options)


def two_key_policy(**options: Any) -> Policy:
    """Make a policy of two keys."""
    line = field(key=normalize.email, **options.pop("email", {}))
    match = options.pop("match", first_match("id", "email"))
    return one_key_policy(
        match=match, fields={"email": line, **options.pop("fields", {})}, **options
    )


PLAIN = one_key_policy(id={"unique": True})
UNIQUE = two_key_policy(id={"unique": True}, email={"unique": True})
MERGES = two_key_policy(
    match=merge_all("id", "email"), fields={"list": field(rule=append)}
)


def book_with(policy: Policy, *rows: Sent) -> ContactBook:
    """Make a book with these contacts, created without matching."""
    numbers, seconds = count(1), count(1)
    book = ContactBook(
        policy,
        ids=lambda: f"c-{next(numbers)}",
        clock=lambda: DAWN + timedelta(seconds=next(seconds)),
    )
    for row in rows:
        book.create(row)
    return book


def numbered(cases: Iterable[Any]) -> list[str]:
    """Return a test id for each case: its law and its number."""
    return [f"{case[0]}-{number}" for number, case in enumerate(cases)]


def trial_of(patch: Sent, *rows: Sent, policy: Policy = PLAIN) -> Trial:
    """Make a trial of a patch for a book with these contacts."""
    return Trial.of(book_with(policy, *rows), patch)


def broken_law(law: Callable[[Any], bool], subject: Any) -> tuple[str, str]:
    """Return the law that is broken, and the reason."""
    with pytest.raises(LawBroken) as caught:
        law(subject)
    return caught.value.law, caught.value.reason


def count_up(value: Any) -> str:
    """Stand for a function that is not pure; see ``_fresh_ticks``."""
    return f"{value}-{next(TICKS)}"


TICKS = count()


@pytest.fixture(autouse=True)
def _fresh_ticks() -> None:
    """Start the ticks anew in each test."""
    globals()["TICKS"] = count(1)


def refuse_at(turn: int) -> Callable[[Any], Any]:
    """Make a clean function that refuses at one turn only."""
    turns = count(1)

    def clean(value: Any) -> Any:
        if next(turns) == turn:
            raise ValueError("must wait")
        return value

    return clean


def trial_of_deleted(policy: Policy) -> Trial:
    """Make a trial of a patch for a deleted contact."""
    book = book_with(policy, ADA)
    book.delete("c-1")
    return Trial.of(book, {"id": 7})


def trial_over_limit(patch: Sent) -> Trial:
    """Make a trial under a limit that the stored contact exceeds."""
    return Trial(
        ONE_ID, trial_of({}, {"id": [7, 8]}, policy=one_key_policy()).state, patch
    )


def outcome_under(policy: Policy) -> Callable[[Trial], Any]:
    """Answer a call as another policy would."""
    return lambda trial: Trial(policy, trial.state, trial.patch).first


LONGEST = custom(lambda a, b: max(a or "", b or "", key=len), name="longest")
NO_KEY_CREATES = one_key_policy(on_no_key="create")
LINES = {
    "more": field(rule=deep_keep),
    "note": field(rule=latest(by="at")),
    "at": field(),
    "long": field(rule=LONGEST),
    "tags": field(rule=union),
    "log": field(rule=append),
    "own": field(rule=ignore),
    "left": field(null="ignore"),
}
ALL_RULES = one_key_policy(fields=LINES)
ALL_FIELDS: Sent = {
    "id": 7,
    "name": None,
    "more": {"a": 1},
    "note": "x",
    "at": 3,
    "long": "Al",
    "tags": ["a"],
    "log": ["a"],
    "own": 1,
    "left": None,
}
IGNORES_LIST = evolve(MERGES, fields=merging(MERGES.fields, {"list": ignore}))
RESTORES = one_key_policy(on_deleted="restore")
NAME_REQUIRED = one_key_policy(fields={"name": field(required=True)})
BLANK_IGNORED = one_key_policy(fields={"name": field(blank="ignore")})
ONE_ID = one_key_policy(id={"max_forms": 1})
OLDEST = one_key_policy(on_ambiguous="oldest")
GUARDED = two_key_policy(match=first_match("id", "email", guard="if_set"))
AGREE = two_key_policy(match=all_agree("id", "email"))
SUM = one_key_policy(fields={"n": field(rule=add)})
SUM_NO_UPDATE = evolve(SUM, on_found="ignore")
SUM_OF_ONE: Sent = {"id": 7, "n": 1}
HUGE: Sent = {"id": 7, "n": 1e308}
BOTH: Sent = {"id": 7, "email": "a@x"}
MAIL: Sent = {"email": "a@x"}
MAILS = key("main", "more", normalize=normalize.email, any_of=True, append_new=True)
APPENDING = one_key_policy(
    match=first_match("id", "mail"),
    fields={"main": field(), "more": field()},
    keys={"mail": MAILS},
)
KNOWN: Sent = {**ADA, "main": "a@x", "more": ["b@x"]}
NEW_PRIMARY: Sent = {"id": 7, "main": "c@x"}
IGNORES = evolve(ALL_RULES, on_found="ignore")
REMOVES = one_key_policy(fields={"tags": field(rule=remove)}, on_found="ignore")
TWO_TAGS: Sent = {"id": 7, "tags": ["a", "b"]}
ONE_TAG: Sent = {"id": 7, "tags": ["a"]}
REMOVED = Trial(REMOVES, trial_of({}, TWO_TAGS, policy=ALL_RULES).state, ONE_TAG)
ANY_OF = one_key_policy(
    id={"unique": True},
    fields={"main": field(), "more": field()},
    keys={
        "mail": key("main", "more", normalize=normalize.email, any_of=True, unique=True)
    },
    on_key_in_use="withhold",
)
HOLDERS: list[Sent] = [{"main": "a@x"}, {"main": "d@x"}, {"id": 7, "main": "e@x"}]
TWO_IN_USE: Sent = {"id": 7, "main": "a@x", "more": ["d@x"]}
PHONES = one_key_policy(fields={"tel": field(clean=normalize.phone)})
PHONES_UNCHECKED = one_key_policy(fields={"tel": field()})
PERSON = {
    name: key(*name.split(), normalize=normalize.text, unique=True)
    for name in ("surname born", "first born")
}
PERSONS = one_key_policy(
    id={"unique": True},
    fields={name: field() for name in ("first", "surname", "born")},
    keys=PERSON,
    on_key_in_use="withhold",
)
_FIRST = key("first", "born", normalize=normalize.text)
ONE_UNIQUE = evolve(PERSONS, keys={**PERSON, "first born": _FIRST})
BORN_LARGEST = evolve(PERSONS, fields={**PERSONS.fields, "born": field(rule=largest)})
XENIA: Sent = {"id": 1, "first": "Xenia", "surname": "Page", "born": "1990"}
ANN: Sent = {"id": 2, "first": "Ann", "surname": "Lee", "born": "1970"}
BLOCKS = one_key_policy(
    fields={
        "first": field(),
        "surname": field(key=normalize.text, blocked=("n/a",)),
    },
    keys={"name": key("first", "surname", normalize=normalize.text)},
    on_blocked="ignore",
)
NO_NAME: Sent = {"id": 7, "first": "Bo", "surname": "n/a"}
NAME_KEY = Policy(
    first_match("who"),
    {"first": field(), "last": field()},
    keys={"who": key("first", "last", normalize=normalize.text)},
)
RENAMED: Sent = {"id": 7, "name": "Bo"}
ADA_KING: Sent = {"first": "Ada", "last": "King"}

OMITTED = NoMatchKey(("id",), (("id", "omitted", None),))
STICKY = one_key_policy(fields={"name": field(rule=sticky("Ada"))})
MANY = one_key_policy(fields={"tags": field(many=True)})

APPLICABLE: list[tuple[str, Trial]] = [
    ("idempotent", trial_of(ADA)),
    ("idempotent", trial_of({})),
    ("finds_again", trial_of(ADA)),
    ("finds_again", trial_of({"id": 7}, ADA, BOB)),
    ("finds_who_is_named", trial_of({"id": 7}, ADA, BOB)),
    (
        "finds_who_is_named",
        trial_of({"id": 7}, ADA, ADA, policy=one_key_policy(on_ambiguous="newest")),
    ),
    (
        "finds_who_is_named",
        trial_of({"id": 7}, ADA, ADA, policy=one_key_policy(on_ambiguous="oldest")),
    ),
    ("finds_who_is_named", trial_of({"id": 7}, ADA, ADA, policy=one_key_policy())),
    ("finds_who_is_named", trial_of({"id": [7, 8]}, ADA, BOB, policy=one_key_policy())),
    ("finds_who_is_named", trial_of({"name": "Ada"}, policy=NO_KEY_CREATES)),
    (
        "finds_who_is_named",
        trial_of({"id": 7, "email": "a@x"}, ADA, {"email": "a@x"}, policy=MERGES),
    ),
    (
        "finds_who_is_named",
        trial_of(
            {"id": 7, "email": "a@x"},
            ADA,
            policy=two_key_policy(match=first_present("id", "email")),
        ),
    ),
    ("omitted_is_unchanged", trial_of({"id": 7}, ADA, BOB)),
    (
        "omitted_is_unchanged",
        trial_of({"id": 7, "email": "a@x"}, ADA, {"email": "a@x"}, policy=MERGES),
    ),
    ("empty_changes_nothing", trial_of({}, ADA)),
    ("nothing_silent", trial_of(ADA)),
    ("nothing_silent", trial_of(ALL_FIELDS, policy=ALL_RULES)),
    ("nothing_silent", trial_of(ALL_FIELDS, {"id": 7, "long": "Bo"}, policy=ALL_RULES)),
    (
        "nothing_silent",
        trial_of({**ALL_FIELDS, "at": 2, "long": "A"}, ALL_FIELDS, policy=ALL_RULES),
    ),
    (
        "nothing_silent",
        trial_of(
            {"id": 7, "email": "a@x", "list": [1]},
            {"id": 7, "list": [2]},
            {"email": "a@x", "list": [1]},
            policy=MERGES,
        ),
    ),
    (
        "nothing_silent",
        trial_of(
            {**ADA, "email": "b@x"},
            ADA,
            {"email": "b@x"},
            policy=two_key_policy(email={"unique": True}, on_key_in_use="withhold"),
        ),
    ),
    ("nothing_silent", trial_of(BOB, BOB, policy=one_key_policy(on_found="ignore"))),
    (
        "nothing_silent",
        trial_of(RENAMED, ADA, policy=one_key_policy(on_found="ignore")),
    ),
    ("nothing_silent", trial_of(ONE_TAG, TWO_TAGS, policy=IGNORES)),
    ("nothing_silent", trial_of({**ALL_FIELDS, "at": 2}, TWO_TAGS, policy=IGNORES)),
    ("nothing_silent", REMOVED),
    ("nothing_silent", trial_of({"id": 7, "n": "x"}, SUM_OF_ONE, policy=SUM_NO_UPDATE)),
    ("nothing_silent", trial_of({"id": 7, "n": 0}, SUM_OF_ONE, policy=SUM_NO_UPDATE)),
    ("nothing_silent", trial_of({"id": 7, "tel": "+1 555 000 1111"}, policy=PHONES)),
    ("nothing_silent", trial_of({"id": 7, "email": "none"}, policy=two_key_policy())),
    (
        "nothing_silent",
        trial_of({"id": 7, "email": ["a@x", "none"]}, policy=two_key_policy()),
    ),
    ("nothing_silent", trial_of(TWO_IN_USE, *HOLDERS, policy=ANY_OF)),
    ("nothing_silent", trial_of({**XENIA, "id": 2}, XENIA, ANN, policy=PERSONS)),
    ("nothing_silent", trial_of({**XENIA, "id": 2}, XENIA, ANN, policy=ONE_UNIQUE)),
    ("nothing_silent", trial_of({**XENIA, "id": 2}, XENIA, ANN, policy=BORN_LARGEST)),
    ("nothing_silent", trial_of(NO_NAME, ADA, policy=BLOCKS)),
    ("left_out_together", trial_of({**XENIA, "id": 2}, XENIA, ANN, policy=PERSONS)),
    ("left_out_together", trial_of(NO_NAME, ADA, policy=BLOCKS)),
    ("sticky_stays", trial_of({"id": 7, "name": "Bo"}, ADA, policy=STICKY)),
    ("sticky_stays", trial_of({"id": 7}, ADA, policy=STICKY)),
    ("one_is_a_list", trial_of({"id": 7, "tags": "a"}, ADA, policy=MANY)),
    ("one_is_a_list", trial_of({"id": 7, "tags": ""}, ADA, policy=MANY)),
    ("moves_with_a_field", trial_of(ADA)),
    ("moves_with_a_field", trial_of({"id": 7, "name": "Bo"}, ADA)),
    ("refusal_changes_nothing", trial_of({}, ADA)),
    ("unique", trial_of({"id": 7}, ADA, BOB)),
    ("index_follows", trial_of({"id": 7}, ADA, BOB)),
    ("scopes_apart", trial_of({"id": 7}, ADA, BOB)),
    ("plan_is_upsert", trial_of({"id": 7, "name": "Bo"}, ADA, BOB)),
    ("plan_is_upsert", trial_of({})),
    ("undo_inverts", trial_of({"id": 7, "name": "Bo"}, ADA, BOB)),
    (
        "round_trip",
        trial_of(
            {"id": 7},
            ADA,
            {"name": "Bo"},
            policy=one_key_policy(id={"unique": True}, on_no_key="create"),
        ),
    ),
    (
        "round_trip",
        trial_of(
            {"id": 7},
            ADA,
            policy=one_key_policy(id={"unique": True}, on_key_in_use="allow"),
        ),
    ),
    ("retry_is_once", trial_of(ADA)),
    ("retry_is_once", trial_of(ADA, ADA)),
    ("retry_is_once", trial_of({}, policy=NO_KEY_CREATES)),
    ("create_makes_one", trial_of(ADA)),
    ("finds_who_is_named", trial_of(ADA_KING, ADA_KING, policy=NAME_KEY)),
    ("finds_who_is_named", trial_of({"more": ["b@x"]}, KNOWN, policy=APPENDING)),
    ("omitted_is_unchanged", trial_of(NEW_PRIMARY, KNOWN, policy=APPENDING)),
    ("omitted_is_unchanged", trial_of({"id": 7, "name": None}, ADA)),
    (
        "omitted_is_unchanged",
        trial_of({**BOTH, "name": None}, ADA, {**MAIL, "name": "Bo"}, policy=MERGES),
    ),
    (
        "omitted_is_unchanged",
        trial_of(
            {**BOTH, "name": None}, {"id": 7}, {**MAIL, "name": "Bo"}, policy=MERGES
        ),
    ),
    (
        "omitted_is_unchanged",
        trial_of({"id": 7, "left": None}, ALL_FIELDS, policy=ALL_RULES),
    ),
    (
        "omitted_is_unchanged",
        trial_of(BOTH, ADA, {**MAIL, "list": [1]}, policy=IGNORES_LIST),
    ),
    (
        "nothing_silent",
        trial_of({**NEW_PRIMARY, "more": ["d@x"]}, KNOWN, policy=APPENDING),
    ),
    ("nothing_silent", trial_of(BOTH, ADA, MAIL, policy=two_key_policy())),
    ("refuses_as_told", trial_of(ADA)),
    (
        "refuses_as_told",
        Trial(one_key_policy(on_not_found="refuse"), trial_of({}, ADA).state, RENAMED),
    ),
    (
        "refuses_as_told",
        trial_of({"id": 7}, ADA, policy=one_key_policy(on_found="refuse")),
    ),
    ("refuses_as_told", trial_of(ADA, policy=NAME_REQUIRED)),
    ("refuses_as_told", trial_of({"id": 7, "name": ""}, ADA, policy=NAME_REQUIRED)),
    ("refuses_as_told", trial_of_deleted(RESTORES)),
    (
        "refuses_as_told",
        trial_of_deleted(one_key_policy(on_deleted="restore", on_found="ignore")),
    ),
    ("refuses_as_told", trial_of(ADA, policy=ONE_ID)),
    ("refuses_as_told", trial_over_limit({"id": [8, 7]})),
    ("refuses_as_told", trial_of({"id": 7}, ADA, ADA, policy=OLDEST)),
    (
        "refuses_as_told",
        trial_of({"id": [7, 8]}, ADA, BOB, BOB, policy=one_key_policy()),
    ),
    ("refuses_as_told", trial_of({"id": 9, **MAIL}, BOTH, MAIL, policy=GUARDED)),
    ("refuses_as_told", trial_of(MAIL, MAIL, MAIL, policy=MERGES)),
    ("refuses_as_told", trial_of(BOTH, BOTH, policy=AGREE)),
]

NOT_APPLICABLE: list[tuple[str, Trial]] = [
    ("finds_again", trial_of({})),
    ("finds_again", trial_of({"name": "Ada"}, policy=NO_KEY_CREATES)),
    ("finds_who_is_named", trial_of(ADA)),
    ("finds_who_is_named", trial_of({"id": {1}})),
    ("omitted_is_unchanged", trial_of({})),
    ("empty_changes_nothing", trial_of(ADA)),
    ("nothing_silent", trial_of({})),
    ("nothing_silent", trial_of({}, policy=NO_KEY_CREATES)),
    ("left_out_together", trial_of({}, policy=PERSONS)),
    ("left_out_together", trial_of(XENIA, policy=PERSONS)),
    ("left_out_together", trial_of(BOTH, ADA, MAIL, policy=MERGES)),
    ("sticky_stays", trial_of({}, policy=STICKY)),
    ("sticky_stays", trial_of(ADA, policy=STICKY)),
    ("sticky_stays", trial_of(ADA, {"id": 7, "name": "Bo"}, policy=STICKY)),
    ("sticky_stays", trial_of({"id": 7, "name": "Bo"}, ADA)),
    ("one_is_a_list", trial_of({"tags": "a"}, policy=MANY)),
    ("one_is_a_list", trial_of({"id": 7, "tags": ["a"]}, policy=MANY)),
    ("one_is_a_list", trial_of({"id": 7, "tags": None}, policy=MANY)),
    ("one_is_a_list", trial_of(ADA)),
    ("moves_with_a_field", trial_of({})),
    ("refusal_changes_nothing", trial_of(ADA)),
    ("scopes_apart", trial_of(ADA)),
    ("undo_inverts", trial_of({})),
    ("retry_is_once", trial_of({"id": {1}})),
    ("create_makes_one", trial_of({})),
    ("create_makes_one", trial_of(ADA, ADA)),
    ("finds_again", trial_of(HUGE, policy=SUM)),
    ("refuses_as_told", trial_of({})),
    ("refuses_as_told", trial_of(BOTH, ADA, MAIL, policy=AGREE)),
]


@pytest.mark.parametrize(("law", "trial"), APPLICABLE, ids=numbered(APPLICABLE))
def test_law_that_applies_and_holds_returns_true(law: str, trial: Trial) -> None:
    assert CALLS[law](trial)


@pytest.mark.parametrize(("law", "trial"), NOT_APPLICABLE, ids=numbered(NOT_APPLICABLE))
def test_law_that_does_not_apply_returns_false(law: str, trial: Trial) -> None:
    assert not CALLS[law](trial)


def test_every_law_has_cases() -> None:
    """Some laws apply to every call."""
    not_always = {law for law, _trial in NOT_APPLICABLE}
    always = {"idempotent", "unique", "index_follows", "plan_is_upsert", "round_trip"}
    own = {*CALLS} - OF_IDS

    assert own == {law for law, _trial in APPLICABLE}
    assert own == not_always | always
    assert own | {*LOGS} == {
        law for law, *_case in (*BAD_POLICIES, *PLANTED, *PATCHED, *LOGGED)
    }


OF_IDS = {"named_by_id", "visitor_joins", "options_hold"}
OF_IDS |= {"constant_is_set", "refused_stays_apart"}
"""Laws whose cases are those of calls with ids and options, and of merges."""
COUNTS_UP = custom(lambda a, b: (a or 0) + (b or 0), name="sum")


def strategy(find: Callable[[Any], Match]) -> Strategy:
    """Make a match strategy of an application, which looks up an id."""
    return Strategy("own", ("id",), lambda _keys, probe, _pick: find(probe("id")))


BAD_POLICIES: list[tuple[str, Callable[[], Trial], str]] = [
    (
        "idempotent",
        lambda: trial_of(
            {"id": 7, "n": 1},
            policy=one_key_policy(fields={"n": field(rule=COUNTS_UP)}),
        ),
        "created new-1, then updated new-1",
    ),
    (
        "idempotent",
        lambda: trial_of(
            ADA, policy=one_key_policy(fields={"name": field(clean=count_up)})
        ),
        "created new-1, then updated new-1",
    ),
    (
        "idempotent",
        lambda: trial_of({"name": "Ada"}, policy=NO_KEY_CREATES),
        "created new-1, then created new-2",
    ),
    (
        "idempotent",
        lambda: trial_of(
            ADA, policy=one_key_policy(fields={"name": field(clean=refuse_at(1))})
        ),
        "refused, then created new-1",
    ),
    (
        "idempotent",
        lambda: trial_of(
            ADA, policy=one_key_policy(fields={"name": field(clean=refuse_at(2))})
        ),
        "created new-1, then InvalidField: name: must wait, not 'Ada'",
    ),
    (
        "finds_again",
        lambda: trial_of(
            ADA, policy=one_key_policy(fields={"id": field(key=count_up)})
        ),
        "created new-1, then created new-2",
    ),
    (
        "finds_again",
        lambda: trial_of(
            ADA, policy=one_key_policy(fields={"name": field(clean=refuse_at(3))})
        ),
        "created new-1, then InvalidField: name: must wait, not 'Ada'",
    ),
    (
        "finds_who_is_named",
        lambda: trial_of(
            {"id": 7}, ADA, policy=one_key_policy(match=strategy(lambda _hits: Match()))
        ),
        "id is ['c-1']: created new-1",
    ),
    (
        "finds_who_is_named",
        lambda: trial_of(
            {"id": 7},
            ADA,
            ADA,
            policy=one_key_policy(
                match=strategy(lambda hits: Match(hits[0][1][-1], "id")),
                on_ambiguous="oldest",
            ),
        ),
        "expected c-1: unchanged c-2",
    ),
    (
        "finds_who_is_named",
        lambda: trial_of(
            {"id": 7},
            BOB,
            policy=one_key_policy(match=strategy(lambda _hits: Match("c-1", "id"))),
        ),
        "updated c-1 by id",
    ),
    (
        "finds_who_is_named",
        lambda: trial_of(
            {"id": None, "name": "x"},
            BOB,
            policy=one_key_policy(match=strategy(lambda _h: Match("c-1"))),
        ),
        "updated c-1 by None",
    ),
    (
        "empty_changes_nothing",
        lambda: trial_of({}, policy=NO_KEY_CREATES),
        "created new-1",
    ),
    (
        "unique",
        lambda: trial_of(
            {"id": 8, "email": "a@x"},
            {"id": 7, "email": "a@x"},
            policy=two_key_policy(
                match=first_present("id"), email={"unique": True}, on_key_in_use="allow"
            ),
        ),
        "email: c-1 and new-1 hold a@x",
    ),
    (
        "index_follows",
        lambda: trial_of(
            ADA, policy=one_key_policy(fields={"id": field(key=count_up)})
        ),
        "new-1 holds ('7-1',) for id, not ('7-2',)",
    ),
    (
        "plan_is_upsert",
        lambda: trial_of(
            ADA, policy=one_key_policy(fields={"name": field(clean=refuse_at(1))})
        ),
        "InvalidField: name: must wait, not 'Ada', not created new-1",
    ),
    (
        "plan_is_upsert",
        lambda: trial_of(
            ADA, policy=one_key_policy(fields={"name": field(clean=refuse_at(2))})
        ),
        "created new-1, not InvalidField: name: must wait, not 'Ada'",
    ),
    (
        "create_makes_one",
        lambda: trial_of(ADA, policy=one_key_policy()),
        "created new-1 then created new-2",
    ),
]


@pytest.mark.parametrize(
    ("law", "trial", "expected"), BAD_POLICIES, ids=numbered(BAD_POLICIES)
)
def test_bad_policy_breaks_the_law(
    law: str, trial: Callable[[], Trial], expected: str
) -> None:
    assert (law, expected) == broken_law(CALLS[law], trial())


def with_contact(trial: Trial, **parts: Any) -> Outcome:
    """Return the first outcome with another contact."""
    assert isinstance(trial.first, Outcome)
    return evolve(trial.first, contact=evolve(trial.first.contact, **parts))


def with_fields(trial: Trial, parts: Sent) -> Outcome:
    """Return the first outcome with other values of some fields."""
    assert isinstance(trial.first, Outcome)
    return with_contact(trial, fields={**trial.first.contact.fields, **parts})


def with_parts(trial: Trial, **parts: Any) -> Outcome:
    """Return the first outcome with other parts."""
    assert isinstance(trial.first, Outcome)
    return evolve(trial.first, **parts)


def with_last_withheld_stored(trial: Trial) -> Outcome:
    """Return the first outcome with the last withheld value stored."""
    assert isinstance(trial.first, Outcome)
    *withheld, last = trial.first.withheld
    stored = {**trial.first.contact.fields, last.field: last.value}
    return evolve(with_contact(trial, fields=stored), withheld=tuple(withheld))


def with_composite_of_blocked_stored(trial: Trial) -> Outcome:
    """Return the first outcome with all but the blocked value stored."""
    stored = with_fields(trial, {"first": "Bo"})
    return evolve(stored, ignored=freeze({"surname": "blocked"}))


def with_holders(trial: Trial, **holders: str) -> Outcome:
    """Return the first outcome with other holders of withheld fields."""
    assert isinstance(trial.first, Outcome)
    withheld = [
        evolve(item, holder=holders.get(item.field, item.holder))
        for item in trial.first.withheld
    ]
    assert {*holders} <= {item.field for item in withheld}
    return with_parts(trial, withheld=tuple(withheld))


LATER = datetime(2030, 1, 1, tzinfo=UTC)
PRESENT = two_key_policy(match=first_present("id", "email"))
PLANTED: list[tuple[str, Trial, Plants, str]] = [
    (
        "sticky_stays",
        trial_of({"id": 7, "name": "Bo"}, ADA, policy=STICKY),
        {"first": lambda t: with_contact(t, fields=FrozenMap({"name": "Bo"}))},
        "name: 'Ada' becomes 'Bo'",
    ),
    (
        "one_is_a_list",
        trial_of({"id": 7, "tags": "a"}, ADA, policy=MANY),
        {"first": lambda t: with_contact(t, version=9)},
        "updated c-1; sent as lists, updated c-1",
    ),
    (
        "idempotent",
        trial_of({"id": 7}, ADA, BOB),
        {"second": lambda t: with_parts(t, contact=t.before[1])},
        "unchanged c-1, then unchanged c-2, another contact",
    ),
    (
        "idempotent",
        trial_of({"id": 7}, ADA),
        {"after_second": lambda _t: ()},
        "unchanged c-1, then unchanged c-1, but the state differs",
    ),
    (
        "finds_again",
        trial_of({"id": 7}, ADA),
        {"second": lambda _t: Refused("no")},
        "unchanged c-1, then Refused: no",
    ),
    (
        "finds_who_is_named",
        trial_of({"id": 7}, ADA),
        {"first": lambda t: with_contact(t, id="c-9")},
        "id is ['c-1']: unchanged c-9",
    ),
    (
        "finds_who_is_named",
        trial_of({"id": 7}, ADA),
        {"first": lambda t: with_parts(t, before=evolve(t.before[0], scope="x"))},
        "unchanged c-1 by id",
    ),
    (
        "omitted_is_unchanged",
        trial_of({"id": 7}, ADA, BOB),
        {"after": lambda t: t.before[:1]},
        "another contact has changed",
    ),
    (
        "omitted_is_unchanged",
        trial_of({"id": 7}, ADA),
        {"first": lambda t: with_contact(t, fields={"id": 7})},
        "name has moved",
    ),
    (
        "omitted_is_unchanged",
        trial_of({"id": 7}, ADA),
        {"first": lambda t: with_contact(t, fields={**ADA, "city": "Oslo"})},
        "city has moved",
    ),
    (
        "nothing_silent",
        trial_of(ALL_FIELDS, policy=ALL_RULES),
        {"first": lambda t: with_parts(t, ignored={"own": "ignore"})},
        "left is not named",
    ),
    (
        "nothing_silent",
        trial_of({"id": 7, "note": "x", "at": 3}, policy=ALL_RULES),
        {"first": lambda t: with_contact(t, clocks={"note": 2})},
        "note: 'x' is neither stored nor named",
    ),
    (
        "nothing_silent",
        trial_of({"id": 7, "long": "A"}, {"id": 7, "long": "Al"}, policy=ALL_RULES),
        {"first": lambda t: with_parts(t, ignored={})},
        "long: 'A' is neither stored nor named",
    ),
    (
        "nothing_silent",
        trial_of(ADA),
        {"first": lambda t: with_parts(t, withheld=(Withheld("email", "a", "c-9"),))},
        "email is withheld for c-9",
    ),
    (
        "finds_who_is_named",
        trial_of(BOTH, ADA, {"email": "a@x"}, policy=PRESENT),
        {"first": lambda t: Trial(PRESENT, t.state, {"email": "a@x"}).first},
        "unchanged c-2 by email",
    ),
    (
        "finds_who_is_named",
        trial_of(BOTH, ADA, {"email": "a@x"}, policy=MERGES),
        {"first": lambda t: with_parts(t, merged=())},
        "merged c-1, without {'c-2'}",
    ),
    (
        "finds_who_is_named",
        trial_of({"id": None, "name": "Ada"}, policy=NO_KEY_CREATES),
        {"second": lambda t: with_parts(t, matched_by="id")},
        "created new-1 by blank",
    ),
    (
        "finds_who_is_named",
        trial_of({"id": 7}),
        {"first": lambda _t: NoMatchKey(("id",))},
        "NoMatchKey: patch: has no key to match by; send a usable value for id",
    ),
    (
        "omitted_is_unchanged",
        trial_of({"id": 7, "left": None}, {"id": 7, "left": "x"}, policy=ALL_RULES),
        {"first": lambda t: with_contact(t, fields={"id": 7})},
        "left has moved",
    ),
    (
        "nothing_silent",
        trial_of(BOTH, ADA, {"email": "a@x"}, policy=two_key_policy()),
        {"first": lambda t: with_parts(t, also_matched=())},
        "updated c-1, and {'c-2'} are not named",
    ),
    (
        "index_follows",
        trial_of({"id": 7}, ADA, policy=one_key_policy(id={"keep_aliases": True})),
        {
            "book": lambda t: t.new_book(),
            "state": lambda t: ((t.before[0], (("7", "9"),)),),
        },
        "id: {'9'} of c-1 is not remembered",
    ),
    (
        "refusal_changes_nothing",
        trial_of({}, ADA),
        {"after": lambda _t: ()},
        f"NoMatchKey: {OMITTED}, but the book has changed",
    ),
    (
        "moves_with_a_field",
        trial_of(ADA),
        {"first": lambda t: with_contact(t, version=2)},
        "created at version 2",
    ),
    (
        "moves_with_a_field",
        trial_of(ADA),
        {"first": lambda t: with_contact(t, updated_at=LATER)},
        "created at version 1",
    ),
    (
        "moves_with_a_field",
        trial_of({"id": 7}, ADA),
        {"first": lambda t: with_contact(t, version=2)},
        "version 1 -> 2, moved: False",
    ),
    (
        "moves_with_a_field",
        trial_of(RENAMED, ADA),
        {"first": lambda t: with_contact(t, version=1)},
        "version 1 -> 1, moved: True",
    ),
    (
        "moves_with_a_field",
        trial_of({"id": 7}, ADA),
        {"first": lambda t: with_contact(t, updated_at=LATER)},
        "updated_at: 2030-01-01 00:00:00+00:00",
    ),
    (
        "moves_with_a_field",
        trial_of(RENAMED, ADA),
        {"first": lambda t: with_parts(t, result="unchanged")},
        "unchanged c-1",
    ),
    (
        "unique",
        trial_of({"id": 7}, ADA, BOB),
        {"after": lambda t: (*t.before, evolve(t.before[0], id="c-9"))},
        "id: c-1 and c-9 hold 7",
    ),
    (
        "plan_is_upsert",
        trial_of(ADA),
        {"after": lambda _t: ()},
        "the state differs",
    ),
    (
        "plan_is_upsert",
        trial_of(ADA),
        {"first": lambda t: with_parts(t, result="updated")},
        "created new-1, not updated new-1",
    ),
    (
        "undo_inverts",
        trial_of(RENAMED, ADA),
        {"state": lambda t: (*t.state, *t.state)},
        "updated c-1, undone: moved",
    ),
    (
        "finds_who_is_named",
        trial_of(
            {"first": "Ada"}, ADA_KING, policy=evolve(NAME_KEY, on_no_key="create")
        ),
        {"first": lambda t: with_parts(t, matched_by="who")},
        "created new-1 by blank",
    ),
    (
        "omitted_is_unchanged",
        trial_of(BOTH, ADA, {**MAIL, "list": [1]}, policy=MERGES),
        {
            "first": lambda t: with_contact(t, fields={**BOTH, "name": "Ada"}),
            "after": lambda t: t.after,
        },
        "list of c-2 is lost",
    ),
    (
        "omitted_is_unchanged",
        trial_of({"main": "a@x"}, KNOWN, policy=APPENDING),
        {"first": partial(with_fields, parts={"more": ("b@x", "c@x")})},
        "more has moved",
    ),
    (
        "omitted_is_unchanged",
        trial_of(NEW_PRIMARY, KNOWN, policy=APPENDING),
        {"first": partial(with_fields, parts={"name": "Bo"})},
        "name has moved",
    ),
    (
        "omitted_is_unchanged",
        trial_of({"id": 7, "name": ""}, ADA, policy=BLANK_IGNORED),
        {"first": lambda t: with_contact(t, fields={"id": 7})},
        "name has moved",
    ),
    (
        "nothing_silent",
        trial_of(BOTH, ADA, MAIL, policy=AGREE),
        {
            "first": lambda t: evolve(
                outcome_under(two_key_policy())(t), also_matched=()
            )
        },
        "updated c-1, and {'c-2'} are not named",
    ),
    (
        "omitted_is_unchanged",
        trial_of({"id": 7, "own": 1}, ADA, policy=ALL_RULES),
        {"first": partial(with_fields, parts={"own": 1})},
        "own has moved",
    ),
    (
        "nothing_silent",
        trial_of(RENAMED, ADA, policy=one_key_policy(on_found="ignore")),
        {"first": lambda t: with_parts(t, ignored={})},
        "name: 'Bo' is neither stored nor named",
    ),
    (
        "nothing_silent",
        REMOVED,
        {"first": lambda t: with_parts(t, ignored={})},
        "tags: ('a',) is neither stored nor named",
    ),
    (
        "nothing_silent",
        trial_of(ONE_TAG, TWO_TAGS, policy=IGNORES),
        {"first": lambda t: with_parts(t, ignored={"tags": "on_found"})},
        "tags: on_found is named, but nothing would have moved",
    ),
    (
        "nothing_silent",
        trial_of({"id": 7, "tel": "x"}, ADA, policy=PHONES),
        {"first": outcome_under(PHONES_UNCHECKED)},
        f"updated c-1, not InvalidField: tel: {UNUSABLE}, not 'x'",
    ),
    (
        "nothing_silent",
        trial_of(TWO_IN_USE, *HOLDERS, policy=ANY_OF),
        {"first": partial(with_holders, more="c-1")},
        "more is withheld for c-1",
    ),
    (
        "nothing_silent",
        trial_of(TWO_IN_USE, *HOLDERS, policy=ANY_OF),
        {"first": partial(with_holders, main="c-3")},
        "main is withheld for c-3",
    ),
    (
        "nothing_silent",
        trial_of({**XENIA, "id": 2}, XENIA, ANN, BOB, policy=PERSONS),
        {"first": partial(with_holders, first="c-3")},
        "first is withheld for c-3",
    ),
    (
        "left_out_together",
        trial_of({**XENIA, "id": 2}, XENIA, ANN, policy=PERSONS),
        {"first": with_last_withheld_stored},
        "['born', 'surname'] is left out, and ['first'] is stored",
    ),
    (
        "left_out_together",
        trial_of(NO_NAME, ADA, policy=BLOCKS),
        {"first": with_composite_of_blocked_stored},
        "['surname'] is left out, and ['first'] is stored",
    ),
    (
        *(
            "refuses_as_told",
            trial_of(ADA, policy=one_key_policy(on_not_found="refuse")),
        ),
        *({"first": outcome_under(one_key_policy())}, "created new-1"),
    ),
    (
        *(
            "refuses_as_told",
            trial_of(RENAMED, ADA, policy=one_key_policy(on_found="refuse")),
        ),
        *({"first": outcome_under(one_key_policy())}, "updated c-1"),
    ),
    (
        *("refuses_as_told", trial_of({"id": 7}, policy=NAME_REQUIRED)),
        *({"first": outcome_under(one_key_policy())}, "created new-1 without name"),
    ),
    (
        *("refuses_as_told", trial_of({"id": 7, "name": ""}, policy=NAME_REQUIRED)),
        *({"first": outcome_under(one_key_policy())}, "created new-1 without name"),
    ),
    (
        *("refuses_as_told", trial_of_deleted(one_key_policy(on_deleted="refuse"))),
        *({"first": outcome_under(RESTORES)}, "updated c-1"),
    ),
    (
        "refuses_as_told",
        trial_of_deleted(RESTORES),
        {"first": lambda t: with_contact(t, deleted_at=LATER)},
        "updated c-1, and it is deleted still",
    ),
    (
        *("refuses_as_told", trial_of({"id": [7, 8]}, policy=ONE_ID)),
        *(
            {"first": outcome_under(one_key_policy())},
            "created new-1: ('7', '8') for id",
        ),
    ),
    (
        *("refuses_as_told", trial_over_limit({"id": [7, 9]})),
        *({"first": outcome_under(one_key_policy())}, "updated c-1: ('7', '9') for id"),
    ),
    (
        *("refuses_as_told", trial_of({"id": 7}, ADA, ADA, policy=one_key_policy())),
        *({"first": outcome_under(OLDEST)}, "unchanged c-1 of ['c-1', 'c-2']"),
    ),
    (
        *(
            "refuses_as_told",
            trial_of({"id": [9, 7]}, ADA, ADA, policy=one_key_policy()),
        ),
        *({"first": outcome_under(OLDEST)}, "updated c-1 of ['c-1', 'c-2']"),
    ),
    (
        *("refuses_as_told", trial_of(BOTH, ADA, MAIL, policy=AGREE)),
        *({"first": outcome_under(two_key_policy())}, "updated c-1 of ['c-1', 'c-2']"),
    ),
]


LOST_VALUES: list[tuple[str, Any, Sent]] = [
    ("name", None, {"name": "Ada"}),
    ("note", "x", {"note": "y"}),
    ("tags", ("a",), {"tags": ["b"]}),
    ("log", ("a",), {"log": []}),
]
for _name, _sent, _other in LOST_VALUES:
    message = f"{_name}: {_sent!r} is neither stored nor named"
    planted: Plants = {"first": partial(with_fields, parts=_other)}
    PLANTED.append(
        ("nothing_silent", trial_of(ALL_FIELDS, policy=ALL_RULES), planted, message)
    )
PARTS: list[dict[str, Any]] = [{"id": "c-9"}, {"scope": "x"}, {"created_at": LATER}]
for _part in PARTS:
    message = "its id, scope or creation has moved"
    planted = {"first": partial(with_contact, **_part)}
    PLANTED.append(("moves_with_a_field", trial_of(RENAMED, ADA), planted, message))


@pytest.mark.parametrize(
    ("law", "trial", "plants", "expected"), PLANTED, ids=numbered(PLANTED)
)
def test_outcome_of_a_faulty_book_breaks_the_law(
    law: str, trial: Trial, plants: Plants, expected: str
) -> None:
    """The faulty parts are set by hand."""
    faulty = Trial(trial.policy, trial.state, trial.patch)
    for name, plant in plants.items():
        faulty.__dict__[name] = plant(trial)

    assert (law, expected) == broken_law(CALLS[law], faulty)


def _holders_in_any_scope(holders: Any) -> Any:
    return lambda self, key, form, _scope="": (
        holders(self, key, form, "") or holders(self, key, form, "+")
    )


class AnyScope(dict[str, Any]):
    """Holders of a key, or rows, that ignore the scope."""

    def get(self, _scope: str, default: Any = None) -> Any:
        """Return those of some scope."""
        return next(iter(self.values()), default)

    def __missing__(self, scope: str) -> Any:
        if not self:
            raise KeyError(scope)
        return self.get(scope)


def _read_any_scope(scopes: Any) -> Any:
    """Make the fast path read the holders and rows of any scope."""

    def call(self: Any, key: str) -> Any:
        self._holders[key] = AnyScope(scopes(self, key))
        self.rows = AnyScope(self.rows)
        return self._holders[key]

    return call


def _delete_first(upsert: Any) -> Any:
    """Make a call delete the first contact at its end."""

    def call(self: Any, patch: Any, **options: Any) -> Any:
        outcome = upsert(self, patch, **options)
        if len(self) > 1:
            first = next(iter(self))
            self.delete(first.id, scope=first.scope)
        return outcome

    return call


def _write_while_planning(plan: Any) -> Any:
    def call(self: Any, patch: Any, **options: Any) -> Any:
        result = plan(self, patch, **options)
        self.upsert(patch, **options)
        return result

    return call


def _ignore_key(call: Any) -> Any:
    """Make a call ignore its idempotency key."""
    return lambda self, patch, *, scope="", **_options: call(self, patch, scope=scope)


def _ignore_key_of_empty_patch(upsert: Any) -> Any:
    """Make a call with an empty patch ignore its idempotency key."""
    return lambda self, patch, **options: (
        upsert(self, patch, **options) if patch else upsert(self, patch)
    )


def _unmark_replay(call: Any) -> Any:
    """Make a retry look like the first call."""
    return lambda self, patch, **options: (
        answer
        if isinstance(answer := call(self, patch, **options), Refused)
        else evolve(answer, replayed=False)
    )


def _find_in_any_scope(call: Any) -> Any:
    """Make a verb find an id of any scope."""

    def verb(self: Any, *ids: str, **_options: Any) -> Any:
        [scope] = {contact.scope for contact in self if contact.id in ids} or [""]
        return call(self, *ids, scope=scope)

    return verb


def _name_holder(_merge: Any) -> Any:
    """Make a merge name a contact of another scope."""

    def call(*ids: Any, **_options: Any) -> Any:
        raise KeyInUse("id", 7, ids[-1])

    return call


def _look_up_in_all_scopes(lookup: Any) -> Any:
    """Make a lookup search the calls of all scopes."""

    def call(self: Any, _scope: str, key: str) -> Any:
        logged = None
        for scope in [*self.calls]:
            logged = logged or lookup(self, scope, key)
        return logged

    return call


def _explain_nothing(_explain: Any) -> Any:
    return lambda self: self.result


def _return_first_result(apply: Any) -> Any:
    """Make a second application of a plan return the first result."""
    applied: list[Any] = []

    def call(self: Any, plan: Any) -> Any:
        if not applied:
            applied.append(apply(self, plan))
        return applied[0]

    return call


def _refuse_call(_call: Any) -> Any:
    def call(*_args: Any, **_options: Any) -> Any:
        raise Refused("no")

    return call


def _allow_duplicates(load: Any) -> Any:
    """Make loading accept duplicate keys."""
    return lambda policy, rows: load(
        one_key_policy(on_key_in_use="allow", id={"unique": True}), rows
    )


def _without_first_row(load: Any) -> Any:
    return lambda policy, rows: load(policy, rows[1:])


def _do_nothing(_call: Any) -> Any:
    return lambda *_args, **_options: None


def _lose_holder(check: Any) -> Any:
    def call(self: Any) -> None:
        self._holders["id"][""].pop("7")
        check(self)

    return call


Defect = Callable[[Any], Any]
PATCHED: list[tuple[str, Trial, type, str, Defect, str]] = [
    (
        *("index_follows", trial_of(ADA), ContactIndex, "check", _lose_holder),
        (
            "expected {('id', '', '7'): ['new-1']}, found {}, "
            "ids [(('', 'new-1'), 'new-1')]"
        ),
    ),
    (
        *(
            "scopes_apart",
            trial_of({"id": 7}, ADA),
            ContactIndex,
            "scopes",
            _read_any_scope,
        ),
        "unchanged c-1, not created new-1",
    ),
    (
        *("scopes_apart", trial_of(MAIL, BOTH, policy=MERGES)),
        *(ContactIndex, "scopes", _read_any_scope),
        "unchanged c-1, not created new-1",
    ),
    (
        *(
            "scopes_apart",
            trial_of({"id": 8}, ADA),
            ContactBook,
            "upsert",
            _delete_first,
        ),
        "a contact of it has moved",
    ),
    (
        *("scopes_apart", trial_of(BOB, ADA), ContactBook, "get", _find_in_any_scope),
        "get finds c-1 from another scope",
    ),
    (
        *(
            "scopes_apart",
            trial_of(BOB, ADA),
            ContactBook,
            "delete",
            _find_in_any_scope,
        ),
        "delete finds c-1 from another scope",
    ),
    (
        *("scopes_apart", trial_of(BOB, ADA), ContactBook, "purge", _find_in_any_scope),
        "purge finds c-1 from another scope",
    ),
    (
        *("scopes_apart", trial_of(BOB, ADA), ContactBook, "merge", _name_holder),
        f"merge c-1: KeyInUse: {KeyInUse('id', 7, 'c-1')}",
    ),
    (
        *(
            "scopes_apart",
            trial_of(BOB, ADA),
            CallLog,
            "lookup",
            _look_up_in_all_scopes,
        ),
        "its idempotency key: created new-1",
    ),
    (
        *(
            "nothing_silent",
            trial_of({"id": 7, "email": "none"}, policy=two_key_policy()),
        ),
        *(Outcome, "explain", _explain_nothing),
        "email: 'none' is stored and makes no key, and is not reported",
    ),
    (
        *(
            "nothing_silent",
            trial_of({"id": 7, "email": ["a@x", "none"]}, policy=two_key_policy()),
        ),
        *(Plan, "explain", _explain_nothing),
        "email: 'none' is stored and makes no key, and is not reported",
    ),
    (
        *("plan_is_upsert", trial_of(ADA), ContactBook, "plan", _write_while_planning),
        "planning has written",
    ),
    (
        *(
            "plan_is_upsert",
            trial_of(RENAMED, ADA),
            ContactBook,
            "apply",
            _return_first_result,
        ),
        "it could be applied again",
    ),
    (
        *("undo_inverts", trial_of(RENAMED, ADA), ContactBook, "undo", _do_nothing),
        "updated c-1, undone: moved",
    ),
    (
        *("undo_inverts", trial_of(RENAMED, ADA), ContactBook, "undo", _refuse_call),
        "updated c-1, undone: no",
    ),
    (
        *("undo_inverts", trial_of(RENAMED, ADA), ContactIndex, "check", _lose_holder),
        "expected {('id', '', '7'): ['c-1']}, found {}, ids [(('', 'c-1'), 'c-1')]",
    ),
    (
        "round_trip",
        trial_of(ADA, ADA),
        ContactBook,
        "load",
        _without_first_row,
        "the rows differ",
    ),
    (
        "round_trip",
        trial_of(ADA, ADA),
        ContactBook,
        "load",
        _allow_duplicates,
        "twin of c-1",
    ),
    (
        *(
            "retry_is_once",
            trial_of(ADA, policy=one_key_policy()),
            ContactBook,
            "create",
            _ignore_key,
        ),
        "created new-1 then created new-2",
    ),
    (
        *(
            "retry_is_once",
            trial_of(ADA),
            ContactBook,
            "upsert",
            _ignore_key_of_empty_patch,
        ),
        f"{{}} with the same key: NoMatchKey: {OMITTED}",
    ),
    (
        *("retry_is_once", trial_of(ADA), ContactBook, "upsert", _ignore_key),
        "created new-1 then unchanged new-1",
    ),
    (
        *("retry_is_once", trial_of(ADA), ContactBook, "upsert", _unmark_replay),
        "created new-1 then created new-1",
    ),
    (
        *("retry_is_once", trial_of(ADA), ContactBook, "create", _unmark_replay),
        "created new-1 then created new-1",
    ),
]


@pytest.mark.parametrize(
    ("law", "trial", "kind", "name", "defect", "expected"),
    PATCHED,
    ids=numbered(PATCHED),
)
def test_defect_of_the_library_breaks_its_law(
    law: str,
    trial: Trial,
    kind: type,
    name: str,
    defect: Defect,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fresh = Trial(trial.policy, trial.state, trial.patch)
    monkeypatch.setattr(kind, name, defect(getattr(kind, name)))

    assert (law, expected) == broken_law(CALLS[law], fresh)


def test_value_that_clean_makes_null_breaks_a_law(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader of the patch would take it for null."""
    lenient = lambda _name, clean, _raw, value: clean(value)  # noqa: E731
    monkeypatch.setattr(patch, "_clean_value", lenient)
    book = book_with(PHONES, {"id": 7, "tel": "+15550001111"})
    sent = {"tel": "x", "id": 7}
    trial = Trial(evolve(PHONES, on_found="ignore"), Trial.of(book, {}).state, sent)

    assert (
        "nothing_silent",
        "tel: 'x' is made None by clean, not refused",
    ) == broken_law(CALLS["nothing_silent"], trial)


def test_round_trip_compares_contacts_and_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Equal dumps must not hide that the books differ."""
    trial = trial_of(ADA, ADA)
    rows = trial.new_book().dump()
    monkeypatch.setattr(ContactBook, "dump", lambda _self: rows)
    monkeypatch.setattr(ContactBook, "load", lambda policy, _rows: book_with(policy))

    assert ("round_trip", "the contacts differ") == broken_law(
        CALLS["round_trip"], trial
    )


TWO: list[Sent] = [ADA, {"id": 7, "name": "Bo"}]
SPELLED: list[Sent] = [{"id": 7}, {"id": "7"}]
REFUSED: list[Sent] = [ADA, {}]


@pytest.mark.parametrize("patches", [[], TWO, REFUSED], ids=["none", "two", "refused"])
@pytest.mark.parametrize("law", ["batch_is_fold", "replay_is_equal", "log_again"])
def test_law_of_logs_applies_to_empty_and_refused_logs(
    law: str, patches: list[Sent]
) -> None:
    policy = one_key_policy(fields={"name": field(rule=keep)})

    assert LOGS[law](Log(policy, patches))


def test_any_order_needs_two_patches() -> None:
    assert not logs.any_order(Log(PLAIN, [ADA]))
    assert logs.any_order(Log(PLAIN, [ADA, BOB]))


@pytest.mark.parametrize("law", ["log_again", "any_order"])
def test_law_of_logs_does_not_apply_to_a_patch_with_two_forms(law: str) -> None:
    """Earlier patches decide whether the forms are of one contact."""
    assert not LOGS[law](Log(PLAIN, [ADA, {"id": [7, 8]}]))
    assert LOGS[law](Log(PLAIN, [ADA, {"id": [8, "8"]}]))


@pytest.mark.parametrize("patches", [[{"id": 7}, ADA], [ADA, {"id": 7}]])
def test_any_order_does_not_apply_if_a_patch_is_refused(
    patches: list[Sent],
) -> None:
    """In any order; here a required field comes second."""
    assert not logs.any_order(Log(NAME_REQUIRED, patches))
    assert logs.any_order(Log(one_key_policy(), patches))


def _replace_atomic(replacement: Callable[[Any, list[Sent], Any], Any]) -> Defect:
    """Make an atomic batch do something else."""

    def defect(upsert_many: Any) -> Any:
        def call(
            self: Any, patches: Any, *, atomic: bool = False, **options: Any
        ) -> Any:
            if not atomic:
                return upsert_many(self, patches, **options)
            return replacement(
                self, patches, partial(upsert_many, self, patches, **options)
            )

        return call

    return defect


def _store_and_refuse(book: Any, _patches: Any, run_batch: Any) -> Any:
    run_batch(on_refused="collect")
    raise Refused("no")


def _refuse(_book: Any, _patches: Any, _run_batch: Any) -> Any:
    raise Refused("no")


def _delete_one(book: Any, _patches: Any, run_batch: Any) -> Any:
    answers = run_batch()
    book.delete(answers[0].contact.id)
    return answers


def _raise_gap(_call: Any) -> Any:
    def call(*_args: Any) -> Any:
        raise ValueError("there is a gap")

    return call


def _without_first_change(changes_since: Any) -> Any:
    return lambda self: list(changes_since(self))[1:]


def _rename_by_size(upsert: Any) -> Any:
    return lambda book, patch, **options: upsert(
        book, {**patch, "name": str(len(book))}, **options
    )


def _without_entries(call: Any) -> Any:
    return lambda policy, _entries: call(policy, [])


LOGGED: list[tuple[str, list[Sent], str, Defect | None, str]] = [
    ("batch_is_fold", TWO, "upsert_many", _do_nothing, "different results"),
    (
        *("batch_is_fold", TWO, "upsert_many", _replace_atomic(_refuse)),
        "the atomic batch is refused: no",
    ),
    (
        *("batch_is_fold", REFUSED, "upsert_many", _replace_atomic(_store_and_refuse)),
        "refused, but something is stored",
    ),
    (
        *("batch_is_fold", TWO, "upsert_many", _replace_atomic(lambda *_: [])),
        "the atomic batch has a different result",
    ),
    (
        *("batch_is_fold", REFUSED, "upsert_many", _replace_atomic(lambda *_: [])),
        "the atomic batch has a different result",
    ),
    (
        *("batch_is_fold", TWO, "upsert_many", _replace_atomic(_delete_one)),
        "the atomic batch has a different result",
    ),
    (
        "replay_is_equal",
        TWO,
        "from_changes",
        _without_entries,
        "replayed, the book differs",
    ),
    (
        *("replay_is_equal", TWO, "from_changes", _raise_gap),
        "there is a gap",
    ),
    (
        *("replay_is_equal", TWO, "changes_since", _without_first_change),
        "the changes have the numbers [2]",
    ),
    (
        *("replay_is_equal", TWO, "load", _without_first_row),
        "loaded, the book differs",
    ),
    (
        *("by_components", [ADA, BOB], "upsert", _rename_by_size),
        "replayed by components, the contacts differ",
    ),
    ("log_again", TWO, "", None, "sent again, patch 1 updated a contact"),
    (
        *("any_order", SPELLED, "", None),
        """['{"id": "7"}'] in one order, ['{"id": 7}'] in another""",
    ),
]


@pytest.mark.parametrize(
    ("law", "patches", "name", "defect", "expected"), LOGGED, ids=numbered(LOGGED)
)
def test_broken_law_of_logs_gives_the_reason(
    law: str,
    patches: list[Sent],
    name: str,
    defect: Defect | None,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Broken by a rule that replaces, or by a defect."""
    if defect is not None:
        monkeypatch.setattr(ContactBook, name, defect(getattr(ContactBook, name)))

    assert (law, expected) == broken_law(LOGS[law], Log(PLAIN, patches))


def _return_all_kept(_since: Any) -> Any:
    """Make a journal return all changes it has kept."""
    return lambda self, number, _last: tuple(
        [entry for entry in self.entries if entry.number > number]
    )


def _keep_all_or_none(_note: Any) -> Any:
    """Make a journal of one change keep none."""

    def note(self: Any, number: int, outcome: Any) -> None:
        if self.entries.maxlen is None:
            self.entries.append(Entry(number, outcome))

    return note


def _number_from_one(note: Any) -> Any:
    """Make a journal of one change number it one."""

    def call(self: Any, number: int, outcome: Any) -> None:
        note(self, 1 if self.entries.maxlen == 1 else number, outcome)

    return call


JOURNALS: list[tuple[str, str, Defect, str]] = [
    (
        *("replay_is_equal", "since", _return_all_kept),
        "with retain_changes=1, the changes differ",
    ),
    (
        *("replay_is_equal", "append", _keep_all_or_none),
        f"{ChangesNotRetained(0, 2)}",
    ),
    (
        *("replay_is_equal", "append", _number_from_one),
        "read after each call, the changes differ",
    ),
    (
        "batch_is_fold",
        "since",
        _return_all_kept,
        "different changes with retain_changes=1",
    ),
    (
        "batch_is_fold",
        "append",
        _keep_all_or_none,
        "different changes with retain_changes=1",
    ),
]


@pytest.mark.parametrize(
    ("law", "name", "defect", "expected"), JOURNALS, ids=numbered(JOURNALS)
)
def test_defect_of_the_journal_breaks_a_law(
    law: str,
    name: str,
    defect: Defect,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The journal retains one change, or all."""
    monkeypatch.setattr(Journal, name, defect(getattr(Journal, name)))

    assert (law, expected) == broken_law(LOGS[law], Log(PLAIN, TWO))


@pytest.mark.parametrize("atomic", [False, True])
def test_batch_with_other_changes_breaks_a_law(
    monkeypatch: pytest.MonkeyPatch,
    *,
    atomic: bool,
) -> None:
    """Its contacts are correct."""
    log = Log(PLAIN, TWO)
    _ = log.changes
    upsert_many = ContactBook.upsert_many

    def call(self: Any, patches: Any, **options: Any) -> Any:
        answers = upsert_many(self, patches, **options)
        if options.get("atomic", False) == atomic:
            self._store.journal.entries.clear()
        return answers

    monkeypatch.setattr(ContactBook, "upsert_many", call)
    message = (
        "the atomic batch has a different result: changes with retain_changes=None"
    )

    assert (
        "batch_is_fold",
        message if atomic else "different changes with retain_changes=None",
    ) == broken_law(LOGS["batch_is_fold"], log)


def test_replay_with_other_results_breaks_a_law(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its contacts are correct."""

    def contacts_only(*args: Any) -> list[Any]:
        return [event for event in replay(*args) if isinstance(event, StoredContact)]

    monkeypatch.setattr(logs, "replay", contacts_only)

    assert (
        "by_components",
        "replayed by components, the results differ",
    ) == broken_law(logs.by_components, Log(PLAIN, [ADA, BOB]))


def test_by_components_needs_two_components() -> None:
    assert not logs.by_components(Log(PLAIN, TWO))
    assert logs.by_components(Log(PLAIN, [ADA, BOB]))
    assert not logs.by_components(Log(PLAIN, []))


def test_batch_with_other_contacts_breaks_a_law() -> None:
    """Its results are correct."""
    log = Log(PLAIN, TWO)
    log.__dict__["after"] = ()

    assert ("batch_is_fold", "different contacts") == broken_law(
        logs.batch_is_fold, log
    )


class TestTrial:
    """The trial of a call: its outcomes and states."""

    def test_laws_do_not_change_the_book(self) -> None:
        book = book_with(MERGES, ADA, {"email": "a@x", "list": [1]})
        rows = book.dump()
        trial = Trial.of(book, {"id": 7, "email": "a@x", "list": [2]})
        for name in [name for name in CALLS if claims(MERGES, name)]:
            CALLS[name](trial)

        assert "merged" == describe(trial.first).split()[0]
        assert rows == book.dump()
        assert tuple(book) == trial.before

    def test_order_of_access_to_a_trial_does_not_matter(self) -> None:
        """The state after the first call is the same after a second one."""
        first, last = (trial_of(RENAMED, ADA) for _ in "ab")
        last_parts = last.after_second, last.second, last.after, last.first

        assert (first.first, first.after) == (last_parts[3], last_parts[2])
        assert (first.second, first.after_second) == (last_parts[1], last_parts[0])
        assert [{"id": 7, "name": "Bo"}] == [
            dict(contact.fields) for contact in first.after
        ]

    def test_trials_of_one_call_are_equal(self) -> None:
        """Ids and times are those of the trial."""
        one, other = (trial_of(ADA, BOB).first for _ in "ab")

        assert repr(one) == repr(other)

    def test_trial_has_its_own_scope(self) -> None:
        """Contacts of another scope are not matched."""
        book = book_with(PLAIN, ADA)
        trial = Trial.of(book, ADA, scope="firm-2")

        assert ("created new-1", "firm-2") == (
            describe(trial.first),
            trial.after[1].scope,
        )
        assert {"scopes_apart", "unique"} <= {*check(book, ADA, scope="firm-2")}

    def test_describe_shortens_outcome_or_refusal(self) -> None:
        book = book_with(PLAIN)

        assert "created c-1" == describe(try_upsert(book, ADA, ""))
        assert describe(try_upsert(book, {}, "")).startswith("NoMatchKey: ")


class TestCheck:
    """All claimed laws at once."""

    def test_applied_laws_are_returned_in_order(self) -> None:
        applied = check(book_with(PLAIN, BOB), ADA)
        not_applied = {
            "finds_who_is_named",
            "empty_changes_nothing",
            "create_makes_one",
        }
        not_applied |= {"refusal_changes_nothing", "left_out_together"}
        not_applied |= {"sticky_stays", "one_is_a_list", *OF_IDS}

        assert [name for name in CALLS if name not in not_applied] == [
            name for name in applied if name not in not_applied
        ]

    def test_first_broken_claimed_law_is_raised(self) -> None:
        policy = one_key_policy(fields={"n": field(rule=COUNTS_UP)})
        with pytest.raises(LawBroken, match="idempotent: created new-1, then"):
            check(book_with(policy), {"id": 7, "n": 1})

    def test_law_that_is_not_claimed_is_not_tested(self) -> None:
        policy = one_key_policy(fields={"n": field(rule=append)})

        assert "idempotent" not in check(book_with(policy), {"id": 7, "n": [1]})
        assert "index_follows" in check(
            book_with(one_key_policy(match=never())), {"id": 7}
        )

    def test_check_log_returns_the_laws_that_hold(self) -> None:
        """The laws of every policy, and the claimed ones."""
        always = ("batch_is_fold", "replay_is_equal")
        policy = one_key_policy(id={"keep_aliases": True, "rule": keep})
        keep_policy = one_key_policy(
            id={"keep_aliases": True, "rule": keep}, fields={"name": field(rule=keep)}
        )

        assert always == check_log(PLAIN, TWO)
        assert always == check_log(policy, [ADA, {"id": 7, "name": "Bo"}], scope="firm")
        assert (*always, "log_again") == check_log(keep_policy, TWO)

    def test_check_log_raises_a_broken_law(self) -> None:
        """The rule declares a law that it does not have."""
        wrong_rule = custom(
            lambda _a, b: b, name="liar", laws=("idempotent", "absorbing")
        )
        policy = one_key_policy(
            id={"keep_aliases": True, "rule": keep},
            fields={"name": field(rule=wrong_rule)},
        )

        assert claims(policy, "log_again")
        with pytest.raises(LawBroken, match="log_again: sent again, patch 1"):
            check_log(policy, TWO)


@pytest.mark.parametrize("at", [None, " ", True, 1])
def test_field_with_a_clock_is_named_where_nothing_is_updated(at: Any) -> None:
    """Its rule would refuse the patch; with a clock, the clock would move."""
    fields = {"email": field(key=normalize.email), "at": field()}
    fields["city"] = field(rule=latest(by="at"))
    policy = Policy(first_match("email"), fields, on_found="ignore")
    book = ContactBook(policy)
    sent = {"email": "ada@x.org", "city": None, "at": at}
    book.upsert({"email": "ada@x.org"})

    assert book.upsert(sent).ignored["city"] == "on_found"
    assert "nothing_silent" in check(book, sent)
