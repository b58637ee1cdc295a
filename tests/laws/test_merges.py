"""The laws of merges: where they apply, and the defects they detect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from upsertcore import ContactBook, Policy, errors, field, first_match, normalize
from upsertcore.engine import merge_contacts as merging
from upsertcore.engine import merge_patch
from upsertcore.laws import MERGES, LawBroken, Merge, check_merge, claims
from upsertcore.rules import (
    deep,
    immutable,
    last_updated,
    latest,
    mappings,
    replace,
    sticky,
    union,
)
from upsertcore.rules.rule import Rule

Sent = Mapping[str, Any]
DAWN = datetime(2023, 1, 1, tzinfo=UTC)
CLOCK = latest(by="at")
STICKY = sticky("y")


def table(absorb: Rule, own: Rule = replace, default: Any = None) -> Policy:
    """Make a policy of one field beside a key."""
    fields = {
        "id": field(key=normalize.exact, unique=True),
        "v": field(
            rule=own, on_merge=None if absorb is own else absorb, default=default
        ),
        "at": field(),
    }
    return Policy(first_match("id"), fields, on_no_key="create")


def make_book(policy: Policy, *rows: Sent) -> ContactBook:
    """Make a book of contacts c-1, c-2, ..., a day apart."""
    numbers, days = count(1), count(1)
    book = ContactBook(
        policy,
        ids=lambda: f"c-{next(numbers)}",
        clock=lambda: DAWN + timedelta(days=next(days)),
    )
    for row in rows:
        book.create(row)
    return book


def merge_of(policy: Policy, *rows: Sent) -> Merge:
    """Make a merge of all contacts into the first."""
    book = make_book(policy, *rows)
    return Merge.of(book, *[contact.id for contact in book])


X, Y, BLANK = {"v": "x", "at": 1}, {"v": "y", "at": 2}, {"v": "", "at": 3}
IN, BARE = {"v": {"a": "x"}}, {"v": {"a": "", "b": "y"}}
LISTED = {"v": ["a"]}

APPLICABLE: list[tuple[str, Merge]] = [
    ("merge_in_steps", merge_of(table(replace), X, Y, BLANK)),
    ("merge_in_steps", merge_of(table(last_updated), X, {"id": 7}, Y)),
    ("merge_in_steps", merge_of(table(CLOCK, CLOCK), X, Y, X)),
    ("absent_gives_way", merge_of(table(replace), X, BLANK)),
    ("absent_gives_way", merge_of(table(replace), BLANK, X)),
    ("absent_gives_way", merge_of(table(replace), BLANK, {"v": " "})),
    ("absent_gives_way", merge_of(table(immutable), X, BLANK)),
    ("absent_gives_way", merge_of(table(immutable), {"v": "x", "at": ""}, Y)),
    ("absent_gives_way", merge_of(table(union), LISTED, {"v": []})),
    ("absent_gives_way", merge_of(table(replace, default="x"), X, Y)),
    ("absent_gives_way", merge_of(table(replace, default="x"), Y, X)),
    ("absent_gives_way", merge_of(table(deep), IN, BARE)),
    ("absent_gives_way", merge_of(table(CLOCK, CLOCK), X, BLANK)),
    ("clock_travels", merge_of(table(CLOCK, CLOCK), X, Y)),
    ("clock_travels", merge_of(table(replace, CLOCK), X, Y)),
    ("clock_travels", merge_of(table(last_updated), X, Y)),
    ("sticky_wins", merge_of(table(STICKY, STICKY), Y, X)),
    ("sticky_wins", merge_of(table(STICKY, STICKY), X, Y)),
    ("sticky_wins", merge_of(table(STICKY), X, BLANK, Y)),
]
NOT_APPLICABLE: list[tuple[str, Merge]] = [
    ("merge_in_steps", merge_of(table(replace), X, Y)),
    ("merge_in_steps", merge_of(table(immutable), X, Y, X)),
    ("absent_gives_way", merge_of(table(replace), X, Y)),
    ("absent_gives_way", merge_of(table(replace), X, BLANK, Y)),
    ("clock_travels", merge_of(table(replace), X, Y)),
    ("clock_travels", merge_of(table(CLOCK, CLOCK), X, X)),
    ("clock_travels", merge_of(table(immutable, CLOCK), X, Y)),
    ("clock_travels", merge_of(table(replace, CLOCK), X, Y, X)),
    ("sticky_wins", merge_of(table(replace), X, Y)),
    ("sticky_wins", merge_of(table(sticky("z")), X, Y)),
    ("sticky_wins", merge_of(table(replace, STICKY), X, Y)),
    ("sticky_wins", merge_of(table(immutable), X, Y)),
]


def numbered(cases: list[Any]) -> list[str]:
    """Return a test id for each case: its law and its number."""
    return [f"{case[0]}-{number}" for number, case in enumerate(cases)]


@pytest.mark.parametrize(("law", "merge"), APPLICABLE, ids=numbered(APPLICABLE))
def test_law_that_applies_and_holds_returns_true(law: str, merge: Merge) -> None:
    assert MERGES[law](merge)


@pytest.mark.parametrize(("law", "merge"), NOT_APPLICABLE, ids=numbered(NOT_APPLICABLE))
def test_law_that_does_not_apply_returns_false(law: str, merge: Merge) -> None:
    assert not MERGES[law](merge)


def test_every_law_has_cases() -> None:
    """Where it applies, where it does not, and where it is broken."""
    tables: tuple[list[Any], ...] = (APPLICABLE, NOT_APPLICABLE, BROKEN)
    elsewhere = {"constant_is_set", "refused_stays_apart", "patch_after_merge"}
    for cases in tables:
        assert {*MERGES} - elsewhere == {case[0] for case in cases}


Defect = tuple[Any, str, Callable[..., Any]]
UNDATED: Defect = (merge_patch.Draft, "set_update_clocks", lambda _self: None)
PRESENT: Defect = (merging, "is_absent", lambda value, _default=None: value is None)
UNKNOWN: Defect = (merging.MergedFields, "_has_field", lambda _self, _name: False)
TIMELESS: Defect = (merging, "_time", lambda _contact, _name: "2020")
CLOCKLESS: Defect = (merging.MergedFields, "_has_clock", lambda _self, _name: False)
NESTED: Defect = (mappings, "is_all_absent", lambda value, _default: value is None)
UNMERGED: Defect = (merging.MergedFields, "_combined", lambda *args: args[3])

BROKEN: list[tuple[str, Merge, Defect, str]] = [
    (
        "merge_in_steps",
        merge_of(table(last_updated), X, {"id": 7}, Y),
        UNDATED,
        "in one step, ('x', None) in 2",
    ),
    (
        *("absent_gives_way", merge_of(table(CLOCK, CLOCK), X, BLANK), PRESENT),
        "v: ''; without what is absent, 'x'",
    ),
    (
        *("absent_gives_way", merge_of(table(immutable), X, BLANK), PRESENT),
        "InvalidField: v: ",
    ),
    (
        *("absent_gives_way", merge_of(table(deep), IN, BARE), NESTED),
        "v: FrozenMap({'a': '', 'b': 'y'}); without what is absent, ",
    ),
    (
        *("absent_gives_way", merge_of(table(replace), {"v": " "}, BLANK), UNKNOWN),
        "v: ' ' gives way to ''",
    ),
    (
        *("clock_travels", merge_of(table(replace, CLOCK), X, Y), CLOCKLESS),
        "v: 'y' of c-2 has 1, not 2",
    ),
    (
        *("clock_travels", merge_of(table(last_updated), X, Y), TIMELESS),
        "v: 'y' of c-2 has '2020'",
    ),
    (
        *("sticky_wins", merge_of(table(STICKY), X, Y), UNMERGED),
        "v: 'y' of c-2 becomes 'x'",
    ),
]


@pytest.mark.parametrize(
    ("law", "merge", "defect", "expected"), BROKEN, ids=numbered(BROKEN)
)
def test_defect_of_the_library_breaks_its_law(
    law: str,
    merge: Merge,
    defect: Defect,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(*defect)
    with pytest.raises(LawBroken) as caught:
        MERGES[law](Merge(merge.policy, merge.state))

    assert law == caught.value.law
    assert expected in caught.value.reason


class TestCheck:
    """All laws of merges at once."""

    def test_applied_laws_are_returned_in_order(self) -> None:
        """Any id of a contact names it; the book is not changed."""
        book = make_book(
            table(CLOCK, CLOCK), {"v": "x", "at": 1}, BLANK, {"v": "z", "at": 4}
        )
        book.create({"v": "w", "at": 5})
        book.merge("c-3", "c-4")
        rows = book.dump()

        assert ("absent_gives_way",) == check_merge(book, "c-2", "c-1")[:1]
        assert ("absent_gives_way", "clock_travels") == check_merge(book, "c-2", "c-4")
        assert ("merge_in_steps",) == check_merge(book, "c-1", "c-2", "c-4")
        assert rows == book.dump()

    def test_first_broken_law_is_raised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        book = make_book(table(CLOCK, CLOCK), X, BLANK)
        monkeypatch.setattr(*PRESENT)
        with pytest.raises(LawBroken, match="absent_gives_way: v: ''"):
            check_merge(book, "c-1", "c-2")

    def test_contact_missing_in_the_scope_is_unknown(self) -> None:
        book = make_book(table(replace), X, Y)
        for ids, scope in ((("c-1", "c-9"), ""), (("c-1", "c-2"), "east")):
            with pytest.raises(errors.UnknownContact):
                check_merge(book, *ids, scope=scope)

    def test_no_law_applies_to_one_contact(self) -> None:
        assert () == check_merge(make_book(table(replace), X), "c-1")

    def test_law_of_clocks_or_of_opt_outs_is_claimed_for_fields_that_have_them(
        self,
    ) -> None:
        """The clock of a patch, or of the contact."""
        clocks = [table(replace), table(CLOCK, CLOCK), table(last_updated)]

        assert [False, True, True] == [claims(p, "clock_travels") for p in clocks]
        assert claims(table(replace), "merge_in_steps")
        sticky_tables = [table(replace, STICKY), table(STICKY), table(STICKY, STICKY)]
        assert [(True, False), (False, True), (True, True)] == [
            (claims(policy, "sticky_stays"), claims(policy, "sticky_wins"))
            for policy in sticky_tables
        ]
