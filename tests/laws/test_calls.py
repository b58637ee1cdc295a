"""The laws of calls and logs: what each says, where it is silent, what it catches."""

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
    union,
)
from upsertcore.store.contact_index import ContactIndex
from upsertcore.store.idempotency import CallLog
from upsertcore.store.journal import Entry, Journal
from upsertcore.values import freeze

DAWN = datetime(2024, 1, 1, tzinfo=UTC)
Sent = Mapping[str, Any]
ADA: Sent = {"id": 7, "name": "Ada"}
BOB: Sent = {"id": 8, "name": "Bob"}
Plants = dict[str, Callable[[Trial], Any]]


def ids(**how: Any) -> Policy:
    """Make a policy of one key, with parts of it as a case needs them."""
    line = {"key": normalize.exact, **how.pop("id", {})}
    fields = {"id": field(**line), "name": field(), **how.pop("fields", {})}
    match = how.pop("match", first_match("id"))
    return Policy(match, fields, **how)


def pair(**how: Any) -> Policy:
    """Make a policy of two keys."""
    line = field(key=normalize.email, **how.pop("email", {}))
    match = how.pop("match", first_match("id", "email"))
    return ids(match=match, fields={"email": line, **how.pop("fields", {})}, **how)


PLAIN = ids(id={"unique": True})
UNIQUE = pair(id={"unique": True}, email={"unique": True})
MERGES = pair(match=merge_all("id", "email"), fields={"list": field(rule=append)})


def book_with(policy: Policy, *rows: Sent) -> ContactBook:
    """Make a book in which contacts have been created without looking."""
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
    """Name each case of a table by its law."""
    return [f"{case[0]}-{number}" for number, case in enumerate(cases)]


def of(patch: Sent, *rows: Sent, policy: Policy = PLAIN) -> Trial:
    """Make a trial of a patch that is sent to a book with these contacts."""
    return Trial.of(book_with(policy, *rows), patch)


def reason(law: Callable[[Any], bool], seen: Any) -> tuple[str, str]:
    """Give the law that is broken, and what is said of it."""
    with pytest.raises(LawBroken) as caught:
        law(seen)
    return caught.value.law, caught.value.reason


def counted(value: Any) -> str:
    """Stand for a host's function that is not pure; see ``fresh``."""
    return f"{value}-{next(TICKS)}"


TICKS = count()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """Let what is counted begin anew in each test."""
    globals()["TICKS"] = count(1)


def at_turn(turn: int) -> Callable[[Any], Any]:
    """Make a ``clean`` that refuses once: at the given turn."""
    turns = count(1)

    def clean(value: Any) -> Any:
        if next(turns) == turn:
            raise ValueError("must wait")
        return value

    return clean


def revived(policy: Policy) -> Trial:
    """Make a trial of a patch that is sent to a deleted contact."""
    book = book_with(policy, ADA)
    book.delete("c-1")
    return Trial.of(book, {"id": 7})


def crowded(patch: Sent) -> Trial:
    """Make a trial under a limit that its contact outgrew before."""
    return Trial(ONE_ID, of({}, {"id": [7, 8]}, policy=ids()).state, patch)


def under(policy: Policy) -> Callable[[Trial], Any]:
    """Let a call be answered as another policy would answer it."""
    return lambda trial: Trial(policy, trial.state, trial.patch).first


LONGEST = custom(lambda a, b: max(a or "", b or "", key=len), name="longest")
ABSENT = ids(on_no_key="create")
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
OF_ALL = ids(fields=LINES)
EVERY: Sent = {
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
DROPS = evolve(MERGES, fields=merging(MERGES.fields, {"list": ignore}))
RESTORES = ids(on_deleted="restore")
NEEDS = ids(fields={"name": field(required=True)})
UNBLANK = ids(fields={"name": field(blank="ignore")})
ONE_ID = ids(id={"max_forms": 1})
OLDEST = ids(on_ambiguous="oldest")
GUARDED = pair(match=first_match("id", "email", guard="if_set"))
AGREE = pair(match=all_agree("id", "email"))
SUM = ids(fields={"n": field(rule=add)})
SUMS = evolve(SUM, on_found="ignore")
SUM_OF_ONE: Sent = {"id": 7, "n": 1}
HUGE: Sent = {"id": 7, "n": 1e308}
BOTH: Sent = {"id": 7, "email": "a@x"}
MAIL: Sent = {"email": "a@x"}
MAILS = key("main", "more", normalize=normalize.email, any_of=True, append_new=True)
JOINS = ids(
    match=first_match("id", "mail"),
    fields={"main": field(), "more": field()},
    keys={"mail": MAILS},
)
KNOWN: Sent = {**ADA, "main": "a@x", "more": ["b@x"]}
JOINED: Sent = {"id": 7, "main": "c@x"}
IGNORES = evolve(OF_ALL, on_found="ignore")
REMOVES = ids(fields={"tags": field(rule=remove)}, on_found="ignore")
LISTED: Sent = {"id": 7, "tags": ["a", "b"]}
LIST: Sent = {"id": 7, "tags": ["a"]}
REMOVED = Trial(REMOVES, of({}, LISTED, policy=OF_ALL).state, LIST)
EACH = ids(
    id={"unique": True},
    fields={"main": field(), "more": field()},
    keys={
        "mail": key("main", "more", normalize=normalize.email, any_of=True, unique=True)
    },
    on_key_in_use="withhold",
)
HELD: list[Sent] = [{"main": "a@x"}, {"main": "d@x"}, {"id": 7, "main": "e@x"}]
TWO_HELD: Sent = {"id": 7, "main": "a@x", "more": ["d@x"]}
PHONES = ids(fields={"tel": field(clean=normalize.phone)})
OF_ANY = ids(fields={"tel": field()})
PERSON = {
    name: key(*name.split(), normalize=normalize.text, unique=True)
    for name in ("surname born", "first born")
}
PERSONS = ids(
    id={"unique": True},
    fields={name: field() for name in ("first", "surname", "born")},
    keys=PERSON,
    on_key_in_use="withhold",
)
_FIRST = key("first", "born", normalize=normalize.text)
PULLED = evolve(PERSONS, keys={**PERSON, "first born": _FIRST})
KEEPS = evolve(PERSONS, fields={**PERSONS.fields, "born": field(rule=largest)})
XENIA: Sent = {"id": 1, "first": "Xenia", "surname": "Page", "born": "1990"}
ANN: Sent = {"id": 2, "first": "Ann", "surname": "Lee", "born": "1970"}
BLOCKS = ids(
    fields={
        "first": field(),
        "surname": field(key=normalize.text, blocked=("n/a",)),
    },
    keys={"name": key("first", "surname", normalize=normalize.text)},
    on_blocked="ignore",
)
NO_NAME: Sent = {"id": 7, "first": "Bo", "surname": "n/a"}
WHOLE = Policy(
    first_match("who"),
    {"first": field(), "last": field()},
    keys={"who": key("first", "last", normalize=normalize.text)},
)
RENAMED: Sent = {"id": 7, "name": "Bo"}
ADA_KING: Sent = {"first": "Ada", "last": "King"}

OMITTED = NoMatchKey(("id",), (("id", "omitted", None),))
SPEAKS: list[tuple[str, Trial]] = [
    ("idempotent", of(ADA)),
    ("idempotent", of({})),
    ("finds_again", of(ADA)),
    ("finds_again", of({"id": 7}, ADA, BOB)),
    ("finds_who_is_named", of({"id": 7}, ADA, BOB)),
    ("finds_who_is_named", of({"id": 7}, ADA, ADA, policy=ids(on_ambiguous="newest"))),
    ("finds_who_is_named", of({"id": 7}, ADA, ADA, policy=ids(on_ambiguous="oldest"))),
    ("finds_who_is_named", of({"id": 7}, ADA, ADA, policy=ids())),
    ("finds_who_is_named", of({"id": [7, 8]}, ADA, BOB, policy=ids())),
    ("finds_who_is_named", of({"name": "Ada"}, policy=ABSENT)),
    (
        "finds_who_is_named",
        of({"id": 7, "email": "a@x"}, ADA, {"email": "a@x"}, policy=MERGES),
    ),
    (
        "finds_who_is_named",
        of(
            {"id": 7, "email": "a@x"},
            ADA,
            policy=pair(match=first_present("id", "email")),
        ),
    ),
    ("omitted_is_unchanged", of({"id": 7}, ADA, BOB)),
    (
        "omitted_is_unchanged",
        of({"id": 7, "email": "a@x"}, ADA, {"email": "a@x"}, policy=MERGES),
    ),
    ("empty_changes_nothing", of({}, ADA)),
    ("nothing_silent", of(ADA)),
    ("nothing_silent", of(EVERY, policy=OF_ALL)),
    ("nothing_silent", of(EVERY, {"id": 7, "long": "Bo"}, policy=OF_ALL)),
    ("nothing_silent", of({**EVERY, "at": 2, "long": "A"}, EVERY, policy=OF_ALL)),
    (
        "nothing_silent",
        of(
            {"id": 7, "email": "a@x", "list": [1]},
            {"id": 7, "list": [2]},
            {"email": "a@x", "list": [1]},
            policy=MERGES,
        ),
    ),
    (
        "nothing_silent",
        of(
            {**ADA, "email": "b@x"},
            ADA,
            {"email": "b@x"},
            policy=pair(email={"unique": True}, on_key_in_use="withhold"),
        ),
    ),
    ("nothing_silent", of(BOB, BOB, policy=ids(on_found="ignore"))),
    ("nothing_silent", of(RENAMED, ADA, policy=ids(on_found="ignore"))),
    ("nothing_silent", of(LIST, LISTED, policy=IGNORES)),
    ("nothing_silent", of({**EVERY, "at": 2}, LISTED, policy=IGNORES)),
    ("nothing_silent", REMOVED),
    ("nothing_silent", of({"id": 7, "n": "x"}, SUM_OF_ONE, policy=SUMS)),
    ("nothing_silent", of({"id": 7, "n": 0}, SUM_OF_ONE, policy=SUMS)),
    ("nothing_silent", of({"id": 7, "tel": "+1 555 000 1111"}, policy=PHONES)),
    ("nothing_silent", of({"id": 7, "email": "none"}, policy=pair())),
    ("nothing_silent", of({"id": 7, "email": ["a@x", "none"]}, policy=pair())),
    ("nothing_silent", of(TWO_HELD, *HELD, policy=EACH)),
    ("nothing_silent", of({**XENIA, "id": 2}, XENIA, ANN, policy=PERSONS)),
    ("nothing_silent", of({**XENIA, "id": 2}, XENIA, ANN, policy=PULLED)),
    ("nothing_silent", of({**XENIA, "id": 2}, XENIA, ANN, policy=KEEPS)),
    ("nothing_silent", of(NO_NAME, ADA, policy=BLOCKS)),
    ("left_out_together", of({**XENIA, "id": 2}, XENIA, ANN, policy=PERSONS)),
    ("left_out_together", of(NO_NAME, ADA, policy=BLOCKS)),
    ("moves_with_a_field", of(ADA)),
    ("moves_with_a_field", of({"id": 7, "name": "Bo"}, ADA)),
    ("refusal_changes_nothing", of({}, ADA)),
    ("unique", of({"id": 7}, ADA, BOB)),
    ("index_follows", of({"id": 7}, ADA, BOB)),
    ("scopes_apart", of({"id": 7}, ADA, BOB)),
    ("plan_is_upsert", of({"id": 7, "name": "Bo"}, ADA, BOB)),
    ("plan_is_upsert", of({})),
    ("undo_inverts", of({"id": 7, "name": "Bo"}, ADA, BOB)),
    (
        "round_trip",
        of(
            {"id": 7},
            ADA,
            {"name": "Bo"},
            policy=ids(id={"unique": True}, on_no_key="create"),
        ),
    ),
    (
        "round_trip",
        of({"id": 7}, ADA, policy=ids(id={"unique": True}, on_key_in_use="allow")),
    ),
    ("retry_is_once", of(ADA)),
    ("retry_is_once", of(ADA, ADA)),
    ("retry_is_once", of({}, policy=ABSENT)),
    ("create_makes_one", of(ADA)),
    ("finds_who_is_named", of(ADA_KING, ADA_KING, policy=WHOLE)),
    ("finds_who_is_named", of({"more": ["b@x"]}, KNOWN, policy=JOINS)),
    ("omitted_is_unchanged", of(JOINED, KNOWN, policy=JOINS)),
    ("omitted_is_unchanged", of({"id": 7, "name": None}, ADA)),
    (
        "omitted_is_unchanged",
        of({**BOTH, "name": None}, ADA, {**MAIL, "name": "Bo"}, policy=MERGES),
    ),
    (
        "omitted_is_unchanged",
        of({**BOTH, "name": None}, {"id": 7}, {**MAIL, "name": "Bo"}, policy=MERGES),
    ),
    ("omitted_is_unchanged", of({"id": 7, "left": None}, EVERY, policy=OF_ALL)),
    (
        "omitted_is_unchanged",
        of(BOTH, ADA, {**MAIL, "list": [1]}, policy=DROPS),
    ),
    ("nothing_silent", of({**JOINED, "more": ["d@x"]}, KNOWN, policy=JOINS)),
    ("nothing_silent", of(BOTH, ADA, MAIL, policy=pair())),
    ("refuses_as_told", of(ADA)),
    ("refuses_as_told", Trial(ids(on_not_found="refuse"), of({}, ADA).state, RENAMED)),
    ("refuses_as_told", of({"id": 7}, ADA, policy=ids(on_found="refuse"))),
    ("refuses_as_told", of(ADA, policy=NEEDS)),
    ("refuses_as_told", of({"id": 7, "name": ""}, ADA, policy=NEEDS)),
    ("refuses_as_told", revived(RESTORES)),
    ("refuses_as_told", revived(ids(on_deleted="restore", on_found="ignore"))),
    ("refuses_as_told", of(ADA, policy=ONE_ID)),
    ("refuses_as_told", crowded({"id": [8, 7]})),
    ("refuses_as_told", of({"id": 7}, ADA, ADA, policy=OLDEST)),
    ("refuses_as_told", of({"id": [7, 8]}, ADA, BOB, BOB, policy=ids())),
    ("refuses_as_told", of({"id": 9, **MAIL}, BOTH, MAIL, policy=GUARDED)),
    ("refuses_as_told", of(MAIL, MAIL, MAIL, policy=MERGES)),
    ("refuses_as_told", of(BOTH, BOTH, policy=AGREE)),
]

SILENT: list[tuple[str, Trial]] = [
    ("finds_again", of({})),
    ("finds_again", of({"name": "Ada"}, policy=ABSENT)),
    ("finds_who_is_named", of(ADA)),
    ("finds_who_is_named", of({"id": {1}})),
    ("omitted_is_unchanged", of({})),
    ("empty_changes_nothing", of(ADA)),
    ("nothing_silent", of({})),
    ("nothing_silent", of({}, policy=ABSENT)),
    ("left_out_together", of({}, policy=PERSONS)),
    ("left_out_together", of(XENIA, policy=PERSONS)),
    ("left_out_together", of(BOTH, ADA, MAIL, policy=MERGES)),
    ("moves_with_a_field", of({})),
    ("refusal_changes_nothing", of(ADA)),
    ("scopes_apart", of(ADA)),
    ("undo_inverts", of({})),
    ("retry_is_once", of({"id": {1}})),
    ("create_makes_one", of({})),
    ("create_makes_one", of(ADA, ADA)),
    ("finds_again", of(HUGE, policy=SUM)),
    ("refuses_as_told", of({})),
    ("refuses_as_told", of(BOTH, ADA, MAIL, policy=AGREE)),
]


@pytest.mark.parametrize(("law", "trial"), SPEAKS, ids=numbered(SPEAKS))
def test_a_law_that_holds_says_that_it_spoke(law: str, trial: Trial) -> None:
    """It answers True."""
    assert CALLS[law](trial)


@pytest.mark.parametrize(("law", "trial"), SILENT, ids=numbered(SILENT))
def test_a_law_that_has_nothing_to_say_says_so(law: str, trial: Trial) -> None:
    """It answers False, and is not counted."""
    assert not CALLS[law](trial)


def test_each_law_has_its_cases() -> None:
    """Those that are never silent speak of every call."""
    silent = {law for law, _trial in SILENT}
    always = {"idempotent", "unique", "index_follows", "plan_is_upsert", "round_trip"}

    assert {*CALLS} == {law for law, _trial in SPEAKS}
    assert {*CALLS} == silent | always
    assert {*CALLS, *LOGS} == {
        law for law, *_case in (*BAD, *PLANTED, *PATCHED, *LOGGED)
    }


COUNTS_UP = custom(lambda a, b: (a or 0) + (b or 0), name="sum")


def strategy(find: Callable[[Any], Match]) -> Strategy:
    """Make a match strategy of a host, which asks for the holders of an id."""
    return Strategy("own", ("id",), lambda _keys, probe, _pick: find(probe("id")))


BAD: list[tuple[str, Callable[[], Trial], str]] = [
    (
        "idempotent",
        lambda: of({"id": 7, "n": 1}, policy=ids(fields={"n": field(rule=COUNTS_UP)})),
        "created new-1, then updated new-1",
    ),
    (
        "idempotent",
        lambda: of(ADA, policy=ids(fields={"name": field(clean=counted)})),
        "created new-1, then updated new-1",
    ),
    (
        "idempotent",
        lambda: of({"name": "Ada"}, policy=ABSENT),
        "created new-1, then created new-2",
    ),
    (
        "idempotent",
        lambda: of(ADA, policy=ids(fields={"name": field(clean=at_turn(1))})),
        "refused, then created new-1",
    ),
    (
        "idempotent",
        lambda: of(ADA, policy=ids(fields={"name": field(clean=at_turn(2))})),
        "created new-1, then InvalidField: name: must wait, not 'Ada'",
    ),
    (
        "finds_again",
        lambda: of(ADA, policy=ids(fields={"id": field(key=counted)})),
        "created new-1, then created new-2",
    ),
    (
        "finds_again",
        lambda: of(ADA, policy=ids(fields={"name": field(clean=at_turn(3))})),
        "created new-1, then InvalidField: name: must wait, not 'Ada'",
    ),
    (
        "finds_who_is_named",
        lambda: of({"id": 7}, ADA, policy=ids(match=strategy(lambda _hits: Match()))),
        "id is ['c-1']: created new-1",
    ),
    (
        "finds_who_is_named",
        lambda: of(
            {"id": 7},
            ADA,
            ADA,
            policy=ids(
                match=strategy(lambda hits: Match(hits[0][1][-1], "id")),
                on_ambiguous="oldest",
            ),
        ),
        "expected c-1: unchanged c-2",
    ),
    (
        "finds_who_is_named",
        lambda: of(
            {"id": 7}, BOB, policy=ids(match=strategy(lambda _hits: Match("c-1", "id")))
        ),
        "updated c-1 by id",
    ),
    (
        "finds_who_is_named",
        lambda: of(
            {"id": None, "name": "x"},
            BOB,
            policy=ids(match=strategy(lambda _h: Match("c-1"))),
        ),
        "updated c-1 by None",
    ),
    ("empty_changes_nothing", lambda: of({}, policy=ABSENT), "created new-1"),
    (
        "unique",
        lambda: of(
            {"id": 8, "email": "a@x"},
            {"id": 7, "email": "a@x"},
            policy=pair(
                match=first_present("id"), email={"unique": True}, on_key_in_use="allow"
            ),
        ),
        "email: c-1 and new-1 hold a@x",
    ),
    (
        "index_follows",
        lambda: of(ADA, policy=ids(fields={"id": field(key=counted)})),
        "new-1 holds ('7-1',) for id, not ('7-2',)",
    ),
    (
        "plan_is_upsert",
        lambda: of(ADA, policy=ids(fields={"name": field(clean=at_turn(1))})),
        "InvalidField: name: must wait, not 'Ada', not created new-1",
    ),
    (
        "plan_is_upsert",
        lambda: of(ADA, policy=ids(fields={"name": field(clean=at_turn(2))})),
        "created new-1, not InvalidField: name: must wait, not 'Ada'",
    ),
    (
        "create_makes_one",
        lambda: of(ADA, policy=ids()),
        "created new-1 then created new-2",
    ),
]


@pytest.mark.parametrize(("law", "trial", "expected"), BAD, ids=numbered(BAD))
def test_a_bad_policy_breaks_it(
    law: str, trial: Callable[[], Trial], expected: str
) -> None:
    """The law is named, and what came of the call."""
    assert (law, expected) == reason(CALLS[law], trial())


def contact(trial: Trial, **parts: Any) -> Outcome:
    """Give what came of the first call, with another contact."""
    assert isinstance(trial.first, Outcome)
    return evolve(trial.first, contact=evolve(trial.first.contact, **parts))


def lacking(trial: Trial, parts: Sent) -> Outcome:
    """Give what came of the first call, some fields being others."""
    assert isinstance(trial.first, Outcome)
    return contact(trial, fields={**trial.first.contact.fields, **parts})


def named(trial: Trial, **parts: Any) -> Outcome:
    """Give what came of the first call, told otherwise."""
    assert isinstance(trial.first, Outcome)
    return evolve(trial.first, **parts)


def half_left_out(trial: Trial) -> Outcome:
    """Give what came of the first call, the last of what is withheld being stored."""
    assert isinstance(trial.first, Outcome)
    *withheld, last = trial.first.withheld
    stored = {**trial.first.contact.fields, last.field: last.value}
    return evolve(contact(trial, fields=stored), withheld=tuple(withheld))


def beside_blocked(trial: Trial) -> Outcome:
    """Give what came of the first call, all but what is blocked being stored."""
    stored = lacking(trial, {"first": "Bo"})
    return evolve(stored, ignored=freeze({"surname": "blocked"}))


def holding(trial: Trial, **holders: str) -> Outcome:
    """Give what came of the first call, some fields being withheld for others."""
    assert isinstance(trial.first, Outcome)
    withheld = [
        evolve(each, holder=holders.get(each.field, each.holder))
        for each in trial.first.withheld
    ]
    assert {*holders} <= {each.field for each in withheld}
    return named(trial, withheld=tuple(withheld))


LATER = datetime(2030, 1, 1, tzinfo=UTC)
PRESENT = pair(match=first_present("id", "email"))
PLANTED: list[tuple[str, Trial, Plants, str]] = [
    (
        "idempotent",
        of({"id": 7}, ADA, BOB),
        {"second": lambda t: named(t, contact=t.before[1])},
        "unchanged c-1, then unchanged c-2, another contact",
    ),
    (
        "idempotent",
        of({"id": 7}, ADA),
        {"after_second": lambda _t: ()},
        "unchanged c-1, then unchanged c-1, but the state differs",
    ),
    (
        "finds_again",
        of({"id": 7}, ADA),
        {"second": lambda _t: Refused("no")},
        "unchanged c-1, then Refused: no",
    ),
    (
        "finds_who_is_named",
        of({"id": 7}, ADA),
        {"first": lambda t: contact(t, id="c-9")},
        "id is ['c-1']: unchanged c-9",
    ),
    (
        "finds_who_is_named",
        of({"id": 7}, ADA),
        {"first": lambda t: named(t, before=evolve(t.before[0], scope="x"))},
        "unchanged c-1 by id",
    ),
    (
        "omitted_is_unchanged",
        of({"id": 7}, ADA, BOB),
        {"after": lambda t: t.before[:1]},
        "another contact has changed",
    ),
    (
        "omitted_is_unchanged",
        of({"id": 7}, ADA),
        {"first": lambda t: contact(t, fields={"id": 7})},
        "name has moved",
    ),
    (
        "omitted_is_unchanged",
        of({"id": 7}, ADA),
        {"first": lambda t: contact(t, fields={**ADA, "city": "Oslo"})},
        "city has moved",
    ),
    (
        "nothing_silent",
        of(EVERY, policy=OF_ALL),
        {"first": lambda t: named(t, ignored={"own": "ignore"})},
        "left is not named",
    ),
    (
        "nothing_silent",
        of({"id": 7, "note": "x", "at": 3}, policy=OF_ALL),
        {"first": lambda t: contact(t, clocks={"note": 2})},
        "note: 'x' is neither stored nor named",
    ),
    (
        "nothing_silent",
        of({"id": 7, "long": "A"}, {"id": 7, "long": "Al"}, policy=OF_ALL),
        {"first": lambda t: named(t, ignored={})},
        "long: 'A' is neither stored nor named",
    ),
    (
        "nothing_silent",
        of(ADA),
        {"first": lambda t: named(t, withheld=(Withheld("email", "a", "c-9"),))},
        "email is withheld for c-9",
    ),
    (
        "finds_who_is_named",
        of(BOTH, ADA, {"email": "a@x"}, policy=PRESENT),
        {"first": lambda t: Trial(PRESENT, t.state, {"email": "a@x"}).first},
        "unchanged c-2 by email",
    ),
    (
        "finds_who_is_named",
        of(BOTH, ADA, {"email": "a@x"}, policy=MERGES),
        {"first": lambda t: named(t, merged=())},
        "merged c-1, without {'c-2'}",
    ),
    (
        "finds_who_is_named",
        of({"id": None, "name": "Ada"}, policy=ABSENT),
        {"second": lambda t: named(t, matched_by="id")},
        "created new-1 by blank",
    ),
    (
        "finds_who_is_named",
        of({"id": 7}),
        {"first": lambda _t: NoMatchKey(("id",))},
        "NoMatchKey: patch: has no key to match by; send a usable value for id",
    ),
    (
        "omitted_is_unchanged",
        of({"id": 7, "left": None}, {"id": 7, "left": "x"}, policy=OF_ALL),
        {"first": lambda t: contact(t, fields={"id": 7})},
        "left has moved",
    ),
    (
        "nothing_silent",
        of(BOTH, ADA, {"email": "a@x"}, policy=pair()),
        {"first": lambda t: named(t, also_matched=())},
        "updated c-1, and {'c-2'} are not named",
    ),
    (
        "index_follows",
        of({"id": 7}, ADA, policy=ids(id={"keep_aliases": True})),
        {
            "book": lambda t: t.new_book(),
            "state": lambda t: ((t.before[0], (("7", "9"),)),),
        },
        "id: {'9'} of c-1 is not remembered",
    ),
    (
        "refusal_changes_nothing",
        of({}, ADA),
        {"after": lambda _t: ()},
        f"NoMatchKey: {OMITTED}, but the book has changed",
    ),
    (
        "moves_with_a_field",
        of(ADA),
        {"first": lambda t: contact(t, version=2)},
        "created at version 2",
    ),
    (
        "moves_with_a_field",
        of(ADA),
        {"first": lambda t: contact(t, updated_at=LATER)},
        "created at version 1",
    ),
    (
        "moves_with_a_field",
        of({"id": 7}, ADA),
        {"first": lambda t: contact(t, version=2)},
        "version 1 -> 2, moved: False",
    ),
    (
        "moves_with_a_field",
        of(RENAMED, ADA),
        {"first": lambda t: contact(t, version=1)},
        "version 1 -> 1, moved: True",
    ),
    (
        "moves_with_a_field",
        of({"id": 7}, ADA),
        {"first": lambda t: contact(t, updated_at=LATER)},
        "updated_at: 2030-01-01 00:00:00+00:00",
    ),
    (
        "moves_with_a_field",
        of(RENAMED, ADA),
        {"first": lambda t: named(t, result="unchanged")},
        "unchanged c-1",
    ),
    (
        "unique",
        of({"id": 7}, ADA, BOB),
        {"after": lambda t: (*t.before, evolve(t.before[0], id="c-9"))},
        "id: c-1 and c-9 hold 7",
    ),
    (
        "plan_is_upsert",
        of(ADA),
        {"after": lambda _t: ()},
        "the state differs",
    ),
    (
        "plan_is_upsert",
        of(ADA),
        {"first": lambda t: named(t, result="updated")},
        "created new-1, not updated new-1",
    ),
    (
        "undo_inverts",
        of(RENAMED, ADA),
        {"state": lambda t: (*t.state, *t.state)},
        "updated c-1, undone: moved",
    ),
    (
        "finds_who_is_named",
        of({"first": "Ada"}, ADA_KING, policy=evolve(WHOLE, on_no_key="create")),
        {"first": lambda t: named(t, matched_by="who")},
        "created new-1 by blank",
    ),
    (
        "omitted_is_unchanged",
        of(BOTH, ADA, {**MAIL, "list": [1]}, policy=MERGES),
        {
            "first": lambda t: contact(t, fields={**BOTH, "name": "Ada"}),
            "after": lambda t: t.after,
        },
        "list of c-2 is lost",
    ),
    (
        "omitted_is_unchanged",
        of({"main": "a@x"}, KNOWN, policy=JOINS),
        {"first": partial(lacking, parts={"more": ("b@x", "c@x")})},
        "more has moved",
    ),
    (
        "omitted_is_unchanged",
        of(JOINED, KNOWN, policy=JOINS),
        {"first": partial(lacking, parts={"name": "Bo"})},
        "name has moved",
    ),
    (
        "omitted_is_unchanged",
        of({"id": 7, "name": ""}, ADA, policy=UNBLANK),
        {"first": lambda t: contact(t, fields={"id": 7})},
        "name has moved",
    ),
    (
        "nothing_silent",
        of(BOTH, ADA, MAIL, policy=AGREE),
        {"first": lambda t: evolve(under(pair())(t), also_matched=())},
        "updated c-1, and {'c-2'} are not named",
    ),
    (
        "omitted_is_unchanged",
        of({"id": 7, "own": 1}, ADA, policy=OF_ALL),
        {"first": partial(lacking, parts={"own": 1})},
        "own has moved",
    ),
    (
        "nothing_silent",
        of(RENAMED, ADA, policy=ids(on_found="ignore")),
        {"first": lambda t: named(t, ignored={})},
        "name: 'Bo' is neither stored nor named",
    ),
    (
        "nothing_silent",
        REMOVED,
        {"first": lambda t: named(t, ignored={})},
        "tags: ('a',) is neither stored nor named",
    ),
    (
        "nothing_silent",
        of(LIST, LISTED, policy=IGNORES),
        {"first": lambda t: named(t, ignored={"tags": "on_found"})},
        "tags: on_found is named, but nothing would have moved",
    ),
    (
        "nothing_silent",
        of({"id": 7, "tel": "x"}, ADA, policy=PHONES),
        {"first": under(OF_ANY)},
        f"updated c-1, not InvalidField: tel: {UNUSABLE}, not 'x'",
    ),
    (
        "nothing_silent",
        of(TWO_HELD, *HELD, policy=EACH),
        {"first": partial(holding, more="c-1")},
        "more is withheld for c-1",
    ),
    (
        "nothing_silent",
        of(TWO_HELD, *HELD, policy=EACH),
        {"first": partial(holding, main="c-3")},
        "main is withheld for c-3",
    ),
    (
        "nothing_silent",
        of({**XENIA, "id": 2}, XENIA, ANN, BOB, policy=PERSONS),
        {"first": partial(holding, first="c-3")},
        "first is withheld for c-3",
    ),
    (
        "left_out_together",
        of({**XENIA, "id": 2}, XENIA, ANN, policy=PERSONS),
        {"first": half_left_out},
        "['born', 'surname'] is left out, and ['first'] is stored",
    ),
    (
        "left_out_together",
        of(NO_NAME, ADA, policy=BLOCKS),
        {"first": beside_blocked},
        "['surname'] is left out, and ['first'] is stored",
    ),
    (
        *("refuses_as_told", of(ADA, policy=ids(on_not_found="refuse"))),
        *({"first": under(ids())}, "created new-1"),
    ),
    (
        *("refuses_as_told", of(RENAMED, ADA, policy=ids(on_found="refuse"))),
        *({"first": under(ids())}, "updated c-1"),
    ),
    (
        *("refuses_as_told", of({"id": 7}, policy=NEEDS)),
        *({"first": under(ids())}, "created new-1 without name"),
    ),
    (
        *("refuses_as_told", of({"id": 7, "name": ""}, policy=NEEDS)),
        *({"first": under(ids())}, "created new-1 without name"),
    ),
    (
        *("refuses_as_told", revived(ids(on_deleted="refuse"))),
        *({"first": under(RESTORES)}, "updated c-1"),
    ),
    (
        "refuses_as_told",
        revived(RESTORES),
        {"first": lambda t: contact(t, deleted_at=LATER)},
        "updated c-1, and it is deleted still",
    ),
    (
        *("refuses_as_told", of({"id": [7, 8]}, policy=ONE_ID)),
        *({"first": under(ids())}, "created new-1: ('7', '8') for id"),
    ),
    (
        *("refuses_as_told", crowded({"id": [7, 9]})),
        *({"first": under(ids())}, "updated c-1: ('7', '9') for id"),
    ),
    (
        *("refuses_as_told", of({"id": 7}, ADA, ADA, policy=ids())),
        *({"first": under(OLDEST)}, "unchanged c-1 of ['c-1', 'c-2']"),
    ),
    (
        *("refuses_as_told", of({"id": [9, 7]}, ADA, ADA, policy=ids())),
        *({"first": under(OLDEST)}, "updated c-1 of ['c-1', 'c-2']"),
    ),
    (
        *("refuses_as_told", of(BOTH, ADA, MAIL, policy=AGREE)),
        *({"first": under(pair())}, "updated c-1 of ['c-1', 'c-2']"),
    ),
]


LOST: list[tuple[str, Any, Sent]] = [
    ("name", None, {"name": "Ada"}),
    ("note", "x", {"note": "y"}),
    ("tags", ("a",), {"tags": ["b"]}),
    ("log", ("a",), {"log": []}),
]
for _name, _sent, _lost in LOST:
    told_of = f"{_name}: {_sent!r} is neither stored nor named"
    planted: Plants = {"first": partial(lacking, parts=_lost)}
    PLANTED.append(("nothing_silent", of(EVERY, policy=OF_ALL), planted, told_of))
PARTS: list[dict[str, Any]] = [{"id": "c-9"}, {"scope": "x"}, {"created_at": LATER}]
for _part in PARTS:
    told_of = "its id, scope or creation has moved"
    planted = {"first": partial(contact, **_part)}
    PLANTED.append(("moves_with_a_field", of(RENAMED, ADA), planted, told_of))


@pytest.mark.parametrize(
    ("law", "trial", "plants", "expected"), PLANTED, ids=numbered(PLANTED)
)
def test_a_book_that_misbehaves_breaks_it(
    law: str, trial: Trial, plants: Plants, expected: str
) -> None:
    """What is seen is put there by hand, as a book with a defect would show it."""
    seen = Trial(trial.policy, trial.state, trial.patch)
    for name, plant in plants.items():
        seen.__dict__[name] = plant(trial)

    assert (law, expected) == reason(CALLS[law], seen)


def _of_any_scope(holders: Any) -> Any:
    return lambda self, key, form, _scope="": (
        holders(self, key, form, "") or holders(self, key, form, "+")
    )


class AnyScope(dict[str, Any]):
    """The holders of a key, whatever scope is looked at."""

    def get(self, _scope: str, nobody: Any = None) -> Any:
        """Give those of some scope."""
        return next(iter(self.values()), nobody)


def _in_any_scope(scopes: Any) -> Any:
    """Let the hot path look at what is held in any scope."""

    def call(self: Any, key: str) -> Any:
        self._holders[key] = AnyScope(scopes(self, key))
        return self._holders[key]

    return call


def _ending(upsert: Any) -> Any:
    """Let a call end by deleting the contact that was created first."""

    def call(self: Any, patch: Any, **how: Any) -> Any:
        outcome = upsert(self, patch, **how)
        if len(self) > 1:
            first = next(iter(self))
            self.delete(first.id, scope=first.scope)
        return outcome

    return call


def _writing(plan: Any) -> Any:
    def call(self: Any, patch: Any, **how: Any) -> Any:
        made = plan(self, patch, **how)
        self.upsert(patch, **how)
        return made

    return call


def _forgetful(call: Any) -> Any:
    """Let a call forget its idempotency key."""
    return lambda self, patch, *, scope="", **_how: call(self, patch, scope=scope)


def _lenient(upsert: Any) -> Any:
    """Let a call that says nothing forget its idempotency key."""
    return lambda self, patch, **how: (
        upsert(self, patch, **how) if patch else upsert(self, patch)
    )


def _unmarked(call: Any) -> Any:
    """Let a retry pass for the call itself."""
    return lambda self, patch, **how: (
        answer
        if isinstance(answer := call(self, patch, **how), Refused)
        else evolve(answer, replayed=False)
    )


def _everywhere(call: Any) -> Any:
    """Let an id be found whatever its scope is."""

    def verb(self: Any, *ids: str, **_how: Any) -> Any:
        [scope] = {each.scope for each in self if each.id in ids} or [""]
        return call(self, *ids, scope=scope)

    return verb


def _naming(_merge: Any) -> Any:
    """Let a merge tell what another scope holds."""

    def call(*ids: Any, **_how: Any) -> Any:
        raise KeyInUse("id", 7, ids[-1])

    return call


def _of_every_scope(lookup: Any) -> Any:
    """Let the calls of all scopes be one list."""

    def call(self: Any, key: Any) -> Any:
        logged = None
        for scope in [*self.calls]:
            logged = logged or lookup(self, (scope, *key[1:]))
        return logged

    return call


def _wordless(_explain: Any) -> Any:
    return lambda self: self.result


def _twice(apply: Any) -> Any:
    """Let a plan be applied again."""
    done: list[Any] = []

    def call(self: Any, plan: Any) -> Any:
        if not done:
            done.append(apply(self, plan))
        return done[0]

    return call


def _refusing(_call: Any) -> Any:
    def call(*_given: Any, **_how: Any) -> Any:
        raise Refused("no")

    return call


def _careless(load: Any) -> Any:
    """Let rows be loaded whatever they hold."""
    return lambda policy, rows: load(
        ids(on_key_in_use="allow", id={"unique": True}), rows
    )


def _some(load: Any) -> Any:
    return lambda policy, rows: load(policy, rows[1:])


def _doing_nothing(_call: Any) -> Any:
    return lambda *_given, **_how: None


def _out_of_step(check: Any) -> Any:
    def call(self: Any) -> None:
        self._holders["id"][""].pop("7")
        check(self)

    return call


Defect = Callable[[Any], Any]
PATCHED: list[tuple[str, Trial, type, str, Defect, str]] = [
    (
        *("index_follows", of(ADA), ContactIndex, "check", _out_of_step),
        "expected {('id', '', '7'): ['new-1']}, found {}, ids [('new-1', 'new-1')]",
    ),
    (
        *("scopes_apart", of({"id": 7}, ADA), ContactIndex, "scopes", _in_any_scope),
        "unchanged c-1, not created new-1",
    ),
    (
        *("scopes_apart", of(MAIL, BOTH, policy=MERGES)),
        *(ContactIndex, "holders", _of_any_scope),
        "unchanged c-1, not created new-1",
    ),
    (
        *("scopes_apart", of({"id": 8}, ADA), ContactBook, "upsert", _ending),
        "a contact of it has moved",
    ),
    (
        *("scopes_apart", of(BOB, ADA), ContactBook, "get", _everywhere),
        "get finds c-1 from another scope",
    ),
    (
        *("scopes_apart", of(BOB, ADA), ContactBook, "delete", _everywhere),
        "delete finds c-1 from another scope",
    ),
    (
        *("scopes_apart", of(BOB, ADA), ContactBook, "purge", _everywhere),
        "purge finds c-1 from another scope",
    ),
    (
        *("scopes_apart", of(BOB, ADA), ContactBook, "merge", _naming),
        f"merge c-1: KeyInUse: {KeyInUse('id', 7, 'c-1')}",
    ),
    (
        *("scopes_apart", of(BOB, ADA), CallLog, "lookup", _of_every_scope),
        "its idempotency key: created new-1",
    ),
    (
        *("nothing_silent", of({"id": 7, "email": "none"}, policy=pair())),
        *(Outcome, "explain", _wordless),
        "email: 'none' is stored and makes no key, and is not reported",
    ),
    (
        *("nothing_silent", of({"id": 7, "email": ["a@x", "none"]}, policy=pair())),
        *(Plan, "explain", _wordless),
        "email: 'none' is stored and makes no key, and is not reported",
    ),
    (
        *("plan_is_upsert", of(ADA), ContactBook, "plan", _writing),
        "planning has written",
    ),
    (
        *("plan_is_upsert", of(RENAMED, ADA), ContactBook, "apply", _twice),
        "it could be applied again",
    ),
    (
        *("undo_inverts", of(RENAMED, ADA), ContactBook, "undo", _doing_nothing),
        "updated c-1, undone: moved",
    ),
    (
        *("undo_inverts", of(RENAMED, ADA), ContactBook, "undo", _refusing),
        "updated c-1, undone: no",
    ),
    (
        *("undo_inverts", of(RENAMED, ADA), ContactIndex, "check", _out_of_step),
        "expected {('id', '', '7'): ['c-1']}, found {}, ids [('c-1', 'c-1')]",
    ),
    ("round_trip", of(ADA, ADA), ContactBook, "load", _some, "the rows differ"),
    ("round_trip", of(ADA, ADA), ContactBook, "load", _careless, "twin of c-1"),
    (
        *("retry_is_once", of(ADA, policy=ids()), ContactBook, "create", _forgetful),
        "created new-1 then created new-2",
    ),
    (
        *("retry_is_once", of(ADA), ContactBook, "upsert", _lenient),
        f"{{}} with the same key: NoMatchKey: {OMITTED}",
    ),
    (
        *("retry_is_once", of(ADA), ContactBook, "upsert", _forgetful),
        "created new-1 then unchanged new-1",
    ),
    (
        *("retry_is_once", of(ADA), ContactBook, "upsert", _unmarked),
        "created new-1 then created new-1",
    ),
    (
        *("retry_is_once", of(ADA), ContactBook, "create", _unmarked),
        "created new-1 then created new-1",
    ),
]


@pytest.mark.parametrize(
    ("law", "trial", "kind", "name", "defect", "expected"),
    PATCHED,
    ids=numbered(PATCHED),
)
def test_a_defect_of_the_library_breaks_it(
    law: str,
    trial: Trial,
    kind: type,
    name: str,
    defect: Defect,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A method with a planted defect is found by the law that speaks of it."""
    seen = Trial(trial.policy, trial.state, trial.patch)
    monkeypatch.setattr(kind, name, defect(getattr(kind, name)))

    assert (law, expected) == reason(CALLS[law], seen)


def test_what_clean_swallows_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though whoever reads the patch takes it for null."""
    lenient = lambda _name, clean, _raw, value: clean(value)  # noqa: E731
    monkeypatch.setattr(patch, "_clean_value", lenient)
    book = book_with(PHONES, {"id": 7, "tel": "+15550001111"})
    due = {"tel": "x", "id": 7}
    seen = Trial(evolve(PHONES, on_found="ignore"), Trial.of(book, {}).state, due)

    assert (
        "nothing_silent",
        "tel: 'x' is made None by clean, not refused",
    ) == reason(CALLS["nothing_silent"], seen)


def test_the_contacts_are_compared_beside_the_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A dump that says the same of two books does not hide that they differ."""
    trial = of(ADA, ADA)
    rows = trial.new_book().dump()
    monkeypatch.setattr(ContactBook, "dump", lambda _self: rows)
    monkeypatch.setattr(ContactBook, "load", lambda policy, _rows: book_with(policy))

    assert ("round_trip", "the contacts differ") == reason(CALLS["round_trip"], trial)


TWO: list[Sent] = [ADA, {"id": 7, "name": "Bo"}]
SPELLED: list[Sent] = [{"id": 7}, {"id": "7"}]
REFUSED: list[Sent] = [ADA, {}]


@pytest.mark.parametrize("patches", [[], TWO, REFUSED], ids=["none", "two", "refused"])
@pytest.mark.parametrize("law", ["batch_is_fold", "replay_is_equal", "log_again"])
def test_a_law_of_a_log_speaks_of_every_log(law: str, patches: list[Sent]) -> None:
    """Of an empty one, and of one in which something is refused."""
    policy = ids(fields={"name": field(rule=keep)})

    assert LOGS[law](Log(policy, patches))


def test_the_order_of_one_patch_is_nothing_to_speak_of() -> None:
    """Two have two orders."""
    assert not logs.any_order(Log(PLAIN, [ADA]))
    assert logs.any_order(Log(PLAIN, [ADA, BOB]))


@pytest.mark.parametrize("law", ["log_again", "any_order"])
def test_a_key_that_is_carried_twice_is_nothing_to_speak_of(law: str) -> None:
    """Whether its two values are one contact or two hangs on what came before."""
    assert not LOGS[law](Log(PLAIN, [ADA, {"id": [7, 8]}]))
    assert LOGS[law](Log(PLAIN, [ADA, {"id": [8, "8"]}]))


@pytest.mark.parametrize("patches", [[{"id": 7}, ADA], [ADA, {"id": 7}]])
def test_patches_of_which_one_is_refused_have_no_other_order(
    patches: list[Sent],
) -> None:
    """In whichever order it is refused: here, where the needed field comes second."""
    assert not logs.any_order(Log(NEEDS, patches))
    assert logs.any_order(Log(ids(), patches))


def _atomic(then: Callable[[Any, list[Sent], Any], Any]) -> Defect:
    """Let an atomic batch do something else."""

    def defect(upsert_many: Any) -> Any:
        def call(self: Any, patches: Any, *, atomic: bool = False, **how: Any) -> Any:
            if not atomic:
                return upsert_many(self, patches, **how)
            return then(self, patches, partial(upsert_many, self, patches, **how))

        return call

    return defect


def _half(book: Any, _patches: Any, whole: Any) -> Any:
    whole(on_refused="collect")
    raise Refused("no")


def _no(_book: Any, _patches: Any, _whole: Any) -> Any:
    raise Refused("no")


def _all_but_one(book: Any, _patches: Any, whole: Any) -> Any:
    answers = whole()
    book.delete(answers[0].contact.id)
    return answers


def _gap(_call: Any) -> Any:
    def call(*_given: Any) -> Any:
        raise ValueError("there is a gap")

    return call


def _later(changes_since: Any) -> Any:
    return lambda self: list(changes_since(self))[1:]


def _crowded(upsert: Any) -> Any:
    return lambda book, patch, **how: upsert(
        book, {**patch, "name": str(len(book))}, **how
    )


def _none_at_all(call: Any) -> Any:
    return lambda policy, _entries: call(policy, [])


LOGGED: list[tuple[str, list[Sent], str, Defect | None, str]] = [
    ("batch_is_fold", TWO, "upsert_many", _doing_nothing, "different results"),
    (
        *("batch_is_fold", TWO, "upsert_many", _atomic(_no)),
        "the atomic batch is refused: no",
    ),
    (
        *("batch_is_fold", REFUSED, "upsert_many", _atomic(_half)),
        "refused, but something is stored",
    ),
    (
        *("batch_is_fold", TWO, "upsert_many", _atomic(lambda *_: [])),
        "the atomic batch has a different result",
    ),
    (
        *("batch_is_fold", REFUSED, "upsert_many", _atomic(lambda *_: [])),
        "the atomic batch has a different result",
    ),
    (
        *("batch_is_fold", TWO, "upsert_many", _atomic(_all_but_one)),
        "the atomic batch has a different result",
    ),
    (
        "replay_is_equal",
        TWO,
        "from_changes",
        _none_at_all,
        "replayed, the book differs",
    ),
    (
        *("replay_is_equal", TWO, "from_changes", _gap),
        "there is a gap",
    ),
    (
        *("replay_is_equal", TWO, "changes_since", _later),
        "the changes have the numbers [2]",
    ),
    (
        *("replay_is_equal", TWO, "load", _some),
        "loaded, the book differs",
    ),
    (
        *("by_components", [ADA, BOB], "upsert", _crowded),
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
def test_a_law_of_a_log_that_is_broken_says_how(
    law: str,
    patches: list[Sent],
    name: str,
    defect: Defect | None,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a rule that replaces, or by a method with a planted defect."""
    if defect is not None:
        monkeypatch.setattr(ContactBook, name, defect(getattr(ContactBook, name)))

    assert (law, expected) == reason(LOGS[law], Log(PLAIN, patches))


def _forgetting_nothing(_since: Any) -> Any:
    """Let a book tell what it has kept, whatever it was asked for."""
    return lambda self, number, _last: tuple(
        [each for each in self.entries if each.number > number]
    )


def _keeping_all_or_nothing(_note: Any) -> Any:
    """Let a book of one change keep none."""

    def note(self: Any, number: int, outcome: Any) -> None:
        if self.entries.maxlen is None:
            self.entries.append(Entry(number, outcome))

    return note


def _numbering_anew(note: Any) -> Any:
    """Let the changes of a book that keeps one be counted from one."""

    def call(self: Any, number: int, outcome: Any) -> None:
        note(self, 1 if self.entries.maxlen == 1 else number, outcome)

    return call


JOURNALS: list[tuple[str, str, Defect, str]] = [
    (
        *("replay_is_equal", "since", _forgetting_nothing),
        "with retain_changes=1, the changes differ",
    ),
    (
        *("replay_is_equal", "append", _keeping_all_or_nothing),
        f"{ChangesNotRetained(0, 2)}",
    ),
    (
        *("replay_is_equal", "append", _numbering_anew),
        "read after each call, the changes differ",
    ),
    (
        "batch_is_fold",
        "since",
        _forgetting_nothing,
        "different changes with retain_changes=1",
    ),
    (
        "batch_is_fold",
        "append",
        _keeping_all_or_nothing,
        "different changes with retain_changes=1",
    ),
]


@pytest.mark.parametrize(
    ("law", "name", "defect", "expected"), JOURNALS, ids=numbered(JOURNALS)
)
def test_a_journal_that_keeps_something_else_is_seen(
    law: str,
    name: str,
    defect: Defect,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a book that keeps one change, or none."""
    monkeypatch.setattr(Journal, name, defect(getattr(Journal, name)))

    assert (law, expected) == reason(LOGS[law], Log(PLAIN, TWO))


@pytest.mark.parametrize("atomic", [False, True])
def test_a_batch_that_notes_other_changes_is_seen(
    monkeypatch: pytest.MonkeyPatch,
    *,
    atomic: bool,
) -> None:
    """Though its contacts are those that its calls make."""
    log = Log(PLAIN, TWO)
    _ = log.changes
    sent = ContactBook.upsert_many

    def call(self: Any, patches: Any, **how: Any) -> Any:
        answers = sent(self, patches, **how)
        if how.get("atomic", False) == atomic:
            self._store.journal.entries.clear()
        return answers

    monkeypatch.setattr(ContactBook, "upsert_many", call)
    told = "the atomic batch has a different result: changes with retain_changes=None"

    assert (
        "batch_is_fold",
        told if atomic else "different changes with retain_changes=None",
    ) == reason(LOGS["batch_is_fold"], log)


def test_a_replay_that_answers_something_else_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though it makes the same contacts."""

    def silent(*given: Any) -> list[Any]:
        return [each for each in replay(*given) if isinstance(each, StoredContact)]

    monkeypatch.setattr(logs, "replay", silent)

    assert (
        "by_components",
        "replayed by components, the results differ",
    ) == reason(logs.by_components, Log(PLAIN, [ADA, BOB]))


def test_a_log_of_one_component_is_nothing_to_speak_of() -> None:
    """It has one order; what is in two has several."""
    assert not logs.by_components(Log(PLAIN, TWO))
    assert logs.by_components(Log(PLAIN, [ADA, BOB]))
    assert not logs.by_components(Log(PLAIN, []))


def test_a_batch_that_stores_something_else_is_seen() -> None:
    """Though it answers the same."""
    log = Log(PLAIN, TWO)
    log.__dict__["after"] = ()

    assert ("batch_is_fold", "different contacts") == reason(logs.batch_is_fold, log)


class TestTrial:
    """What is seen of a call."""

    def test_the_book_is_never_written(self) -> None:
        """Whatever a law does, it does to a copy."""
        book = book_with(MERGES, ADA, {"email": "a@x", "list": [1]})
        rows = book.dump()
        trial = Trial.of(book, {"id": 7, "email": "a@x", "list": [2]})
        for name in [name for name in CALLS if claims(MERGES, name)]:
            CALLS[name](trial)

        assert "merged" == describe(trial.first).split()[0]
        assert rows == book.dump()
        assert tuple(book) == trial.before

    def test_what_is_seen_does_not_hang_on_what_is_asked_first(self) -> None:
        """The state after the first call is the same, though a second was made."""
        first, last = (of(RENAMED, ADA) for _ in "ab")
        seen = last.after_second, last.second, last.after, last.first

        assert (first.first, first.after) == (seen[3], seen[2])
        assert (first.second, first.after_second) == (seen[1], seen[0])
        assert [{"id": 7, "name": "Bo"}] == [dict(each.fields) for each in first.after]

    def test_two_trials_are_alike_to_the_byte(self) -> None:
        """Ids and times are the trial's own."""
        one, other = (of(ADA, BOB).first for _ in "ab")

        assert repr(one) == repr(other)

    def test_a_scope_is_the_trials(self) -> None:
        """Contacts of another are there, and not found."""
        book = book_with(PLAIN, ADA)
        trial = Trial.of(book, ADA, scope="firm-2")

        assert ("created new-1", "firm-2") == (
            describe(trial.first),
            trial.after[1].scope,
        )
        assert {"scopes_apart", "unique"} <= {*check(book, ADA, scope="firm-2")}

    def test_what_a_call_comes_to_is_told_in_few_words(self) -> None:
        """A refusal by its name."""
        book = book_with(PLAIN)

        assert "created c-1" == describe(try_upsert(book, ADA, ""))
        assert describe(try_upsert(book, {}, "")).startswith("NoMatchKey: ")


class TestCheck:
    """All claimed laws at once."""

    def test_those_that_spoke_are_named_in_their_order(self) -> None:
        """A plain policy keeps them all."""
        spoke = check(book_with(PLAIN, BOB), ADA)
        silent = {"finds_who_is_named", "empty_changes_nothing", "create_makes_one"}
        silent |= {"refusal_changes_nothing", "left_out_together"}

        assert [name for name in CALLS if name not in silent] == [
            name for name in spoke if name not in silent
        ]

    def test_a_claimed_law_that_breaks_is_raised(self) -> None:
        """The first of them, in their order."""
        policy = ids(fields={"n": field(rule=COUNTS_UP)})
        with pytest.raises(LawBroken, match="idempotent: created new-1, then"):
            check(book_with(policy), {"id": 7, "n": 1})

    def test_what_is_not_claimed_is_not_tried(self) -> None:
        """A rule that counts and says so."""
        honest = ids(fields={"n": field(rule=append)})

        assert "idempotent" not in check(book_with(honest), {"id": 7, "n": [1]})
        assert "index_follows" in check(book_with(ids(match=never())), {"id": 7})

    def test_a_log(self) -> None:
        """The laws of many calls that hold of every policy, and the claimed ones."""
        both = ("batch_is_fold", "replay_is_equal")
        policy = ids(id={"keep_aliases": True, "rule": keep})
        kept = ids(
            id={"keep_aliases": True, "rule": keep}, fields={"name": field(rule=keep)}
        )

        assert both == check_log(PLAIN, TWO)
        assert both == check_log(policy, [ADA, {"id": 7, "name": "Bo"}], scope="firm")
        assert (*both, "log_again") == check_log(kept, TWO)

    def test_a_log_that_breaks_one_is_raised(self) -> None:
        """A rule that claims what it does not have."""
        liar = custom(lambda _a, b: b, name="liar", laws=("idempotent", "absorbing"))
        policy = ids(
            id={"keep_aliases": True, "rule": keep}, fields={"name": field(rule=liar)}
        )

        assert claims(policy, "log_again")
        with pytest.raises(LawBroken, match="log_again: sent again, patch 1"):
            check_log(policy, TWO)
