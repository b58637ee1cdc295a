"""The table of laws and verbs: what cards try is what it says that they try."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    laws,
    merge_all,
    normalize,
)
from upsertcore.book.book import Book
from upsertcore.laws import CALLS, LOGS, MERGES, LawBroken, Log, Merge, Trial
from upsertcore.laws.card import _worlds
from upsertcore.laws.card_size import Part, parts_of
from upsertcore.rules import constant, keep, latest, refuse_if, sticky

pytestmark = pytest.mark.full

README = Path(laws.__file__).with_name("README.md").read_text(encoding="utf-8")
COLUMNS = (
    *("upsert", "update", "create", "visitor", "batch"),
    *("merge", "delete", "undo", "load"),
)
METHODS = {
    **{
        name: name for name in ("upsert", "update", "create", "merge", "delete", "undo")
    },
    "upsert_many": "batch",
    "load": "load",
    "from_changes": "load",
}
"""The methods of a book that the columns are about; a visitor is an argument."""

EXACT = field(key=normalize.exact)
REMEMBERED = field(key=normalize.exact, rule=keep, keep_aliases=True)
POLICIES = (
    Policy(
        first_match("id"),
        {"id": field(key=normalize.exact, unique=True), "name": field()},
    ),
    Policy(
        first_match("id"),
        {
            "id": EXACT,
            "first": field(),
            "last": field(key=normalize.text, blocked=("n/a",)),
            "tags": field(many=True),
            "stop": field(rule=sticky("x")),
        },
        keys={"name": key("first", "last", normalize=normalize.text)},
        on_blocked="ignore",
    ),
    Policy(
        merge_all("id"),
        merging(
            {
                "id": REMEMBERED,
                "role": field(),
                "seen": field(),
                "note": field(rule=latest(by="at")),
                "at": field(),
            },
            {"role": refuse_if("user"), "seen": constant("yes")},
        ),
    ),
    Policy(first_match("id"), {"id": REMEMBERED, "name": field(rule=keep)}),
)
"""Policies under which each law applies to something."""


@pytest.fixture(name="called")
def _called(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Record which columns are called."""
    called = set[str]()

    def recorded(name: str, method: Any) -> Any:
        def call(*args: Any, **how: Any) -> Any:
            column = METHODS[name]
            called.add("visitor" if how.get("visitor") is not None else column)
            return method(*args, **how)

        return call

    for name in METHODS:
        owner: type = ContactBook if name in vars(ContactBook) else Book
        method = getattr(owner, name)
        wrapped = recorded(name, method)
        own = staticmethod(wrapped) if hasattr(method, "__self__") else wrapped
        monkeypatch.setattr(ContactBook, name, own, raising=False)
    return called


_CASES = 40
"""How many cases of each part are tried."""


def fresh(case: Any) -> Any:
    """Make a case again, of which nothing has been tried."""
    if isinstance(case, Trial):
        return Trial(case._base, case.state, case.patch, case.scope, case.call)
    if isinstance(case, Merge):
        return Merge(case.policy, case.state, case.others, case.patch)
    return Log(case.policy, case.patches, case.scope)


def cases() -> Iterator[tuple[Part, Any]]:
    """Yield some cases of each part of the cards, spread over it."""
    for policy in POLICIES:
        for world in _worlds(policy, 3 if policy.match.merges else 2, None):
            for part in parts_of(world):
                for case, _shown, _weight in islice(part.sample(), _CASES):
                    yield part, case


def test_card_cells_are_what_cards_try(called: set[str]) -> None:
    """A law is tried on a verb if it calls it in a case to which it applies."""
    tried = defaultdict[str, set[str]](set)
    families: dict[str, Any] = {"merges": MERGES, "patched": MERGES, "logs": LOGS}
    for part, case in cases():
        family: dict[str, Any] = families.get(part.kind, CALLS)
        for name, law in family.items():
            called.clear()
            try:
                applies = law(fresh(case))
            except LawBroken:
                applies = False
            tried[name] |= called if applies else set()
    rows = table_rows()
    expected = {
        name: {column for column, cell in row.items() if cell == "card"}
        for name, row in rows.items()
    }

    assert [*rows] == [*dict.fromkeys((*CALLS, *MERGES, *LOGS))]
    assert dict(tried) == expected


def table_rows() -> dict[str, dict[str, str]]:
    """Return the cells of the table, by law and verb."""
    text = README.partition("\n## Laws and verbs\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.MULTILINE)
    cells = {name: [c.strip() for c in line.split("|")] for name, line in rows}
    return {n: dict(zip(COLUMNS, c, strict=True)) for n, c in cells.items()}


def test_cells_are_of_the_known_kinds() -> None:
    """Each law is tried by cards on a verb, and what is argued has its sentence."""
    rows = table_rows()
    argued = {cell for row in rows.values() for cell in row.values()}

    assert all("card" in row.values() for row in rows.values())
    assert {"card", "drawn", ""} <= {cell.partition(" ")[0] for cell in argued}
    notes = {cell for cell in argued if cell.startswith("argued")}
    text = README.partition("\n## Laws and verbs\n")[2].partition("\n## ")[0]
    assert {f"argued {n}" for n in re.findall(r"^(\d)\. ", text, re.MULTILINE)} == notes
    assert argued <= {"card", "drawn", "", *notes}
