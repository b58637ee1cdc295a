"""Costs are counted, never timed: what runs how often."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.engine.decide import decide
from upsertcore.model.packed_row import ID, PLACE
from upsertcore.rules import union


def counted(size: int, patch: dict[str, Any]) -> Counter[str]:
    """Count what deciding on a patch calls in a book of this size."""
    calls: Counter[str] = Counter()

    def count(name: str, function: Any) -> Any:
        def counting(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return function(*args, **kwargs)

        return counting

    fields = {
        "email": field(key=count("email", normalize.email), unique=True),
        "phone": field(key=count("phone", normalize.phone)),
        "city": field(clean=count("clean", str.strip)),
    }
    policy = Policy(first_match("email", "phone"), fields, on_ambiguous="oldest")
    book = ContactBook(policy)
    for number in range(size):
        book.upsert({"email": f"{number}@x.org", "phone": f"+1555{number:07d}"})
    calls.clear()
    index = book._index
    view: Any = SimpleNamespace(
        holders=count("holders", index.holders),
        get_with_forms=count("found", index.get_with_forms),
    )
    decide(policy, patch, view)
    return calls


PATCHES: list[dict[str, Any]] = [
    {"email": "new@x.org", "phone": "+15559999999", "city": " Oslo "},
    {"email": "1@x.org", "phone": "+15559999999", "city": " Oslo "},
    {"email": "1@X.org", "phone": "+15550000001"},
    {"phone": "+15550000003", "email": "moved@x.org"},
]


@pytest.mark.parametrize("patch", PATCHES, ids=map(str, range(4)))
def test_look_ups_do_not_grow_with_the_book(patch: dict[str, Any]) -> None:
    """Ten contacts or two thousand: the same calls, each key normalised once."""
    small, large = counted(10, patch), counted(2_000, patch)

    assert small == large
    assert small["email"] == 1
    assert small["phone"] == 1
    assert small["clean"] == ("city" in patch)
    assert small["holders"] == 2
    assert small["found"] <= 1


def test_nothing_is_cleaned_or_normalised_that_was_not_sent() -> None:
    """An omitted field costs nothing."""
    assert counted(10, {"email": "1@x.org"}) == {"email": 1, "holders": 1, "found": 1}


def watched(book: ContactBook, patch: dict[str, Any]) -> Counter[Any]:
    """Count what deciding on a patch asks of the index of a book."""
    asked: Counter[Any] = Counter()
    index = book._index

    def holders(name: str, form: str, scope: str) -> tuple[str, ...]:
        asked[name, form] += 1
        return index.holders(name, form, scope)

    def found(id: str) -> Any:
        asked[id] += 1
        return index.get_with_forms(id)

    view: Any = SimpleNamespace(holders=holders, get_with_forms=found)
    decide(book.policy, patch, view)
    return asked


SEVERAL = {
    "person": key("first", "last", normalize=normalize.text, unique=True),
    "mail": key("main", "more", normalize=normalize.email, any_of=True, unique=True),
}
LINES: dict[str, Any] = {
    "id": field(key=normalize.exact, unique=True),
    "email": field(key=normalize.email, unique=True, rule=union, keep_aliases=True),
    "device": field(key=normalize.exact, rule=union),
}
LINES |= {name: field() for name in ("first", "last", "main", "more")}


class TestSeveral:
    """Keys of several fields, merges and limits."""

    def book(self, size: int, *names: str, **options: Any) -> ContactBook:
        """Make a book of this size whose contacts are called 0, 1, ..."""
        lines = {**LINES, **options.pop("lines", {})}
        policy = Policy(merge_all(*names), lines, keys=SEVERAL, **options)
        ids = iter(map(str, range(size)))
        book = ContactBook(policy, ids=ids.__next__)
        for number in range(size):
            book.create(
                {
                    "id": number,
                    "email": [f"{number}@x", f"{number}@y"],
                    "device": [number],
                    "first": "Ada",
                    "last": f"{number}",
                    "main": f"{number}@x",
                }
            )
        return book

    @pytest.mark.parametrize("size", [4, 1_000])
    def test_a_merge_asks_for_each_form_and_contact_once(self, size: int) -> None:
        """However many contacts there are, and whatever the claim asks again."""
        made = self.book(size, "person", "mail", "id")
        patch = {"first": "Ada", "last": "1", "main": "2@x", "id": 3}

        assert watched(made, patch) == {
            "1": 1,
            "2": 1,
            "3": 1,
            ("person", "ada|1"): 1,
            ("mail", "2@x"): 1,
            ("id", "3"): 1,
        }

    @pytest.mark.parametrize("size", [4, 1_000])
    def test_a_shorter_patch_asks_for_nothing_again(self, size: int) -> None:
        """What was asked before a key was left out is not asked anew."""
        email = field(key=normalize.email, rule=union, max_forms=2, keep_aliases=True)
        made = self.book(
            size, "email", "device", lines={"email": email}, on_limit="drop"
        )
        asked = watched(made, {"email": ["1@x"], "device": [2]})

        assert asked == {"1": 1, "2": 1, ("email", "1@x"): 1, ("device", "2"): 1}

    def test_a_normaliser_runs_once_per_value(self) -> None:
        """For each part of a composite, and each item of a list."""
        calls: list[Any] = []

        def counting(value: Any) -> str | None:
            calls.append(value)
            return normalize.text(value)

        keys = {"p": key("first", "last", normalize=counting, unique=True)}
        made = ContactBook(Policy(first_match("p"), LINES, keys=keys))
        made.upsert({"first": ["Ada", "Augusta"], "last": "King", "id": 1})

        assert calls == ["Ada", "Augusta", "King"]


def called(call: Callable[[], object]) -> Counter[str]:
    """Count the calls of functions of this library, and of Python's, that one makes."""
    calls: Counter[str] = Counter()

    def note(frame: Any, event: str, argument: Any) -> None:
        # Callbacks of the garbage collector and the like are nobody's cost here.
        if "upsertcore" not in frame.f_code.co_filename:
            return
        if event == "call":
            calls[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            calls[getattr(argument, "__qualname__", "")] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return calls


class TestContactsAmongThemselves:
    """Duplicates, groups that are merged, merges, and taking back."""

    LINES: dict[str, Any] = {  # noqa: RUF012
        "email": field(key=normalize.email),
        "phone": field(key=normalize.exact),
        "tags": field(rule=union),
    }

    def book(self, size: int, together: int, *, chained: bool = False) -> ContactBook:
        """Make a book with groups of so many, by one key or in a chain of two."""
        policy = Policy(first_match("email"), self.LINES)
        numbers = count(1)
        book = ContactBook(policy, ids=lambda: f"c-{next(numbers)}")
        for number in range(size):
            link = (number // 2, (number + 1) // 2)
            email, phone = link if chained else (number // together, number + size)
            book.create({"email": f"{email}@x", "phone": phone, "tags": [number]})
        return book

    @pytest.mark.parametrize(
        ("together", "chained"),
        [(1, False), (2, False), (10, False), (10_000, False), (2, True)],
        ids=["alone", "pairs", "tens", "all one", "a chain"],
    )
    @pytest.mark.parametrize("verb", ["duplicates", "dedupe"])
    def test_it_grows_with_the_book(
        self, verb: str, together: int, *, chained: bool
    ) -> None:
        """Twice as many contacts: twice as many calls, whoever shares what."""
        one, two, four = (
            called(getattr(self.book(size, together, chained=chained), verb)).total()
            for size in (200, 400, 800)
        )

        assert two <= 2.2 * one
        assert four <= 2.2 * two

    @pytest.mark.parametrize("merged", [1, 5])
    def test_a_merge_looks_at_nobody_else(self, merged: int) -> None:
        """Ten contacts or two thousand: the same calls."""
        ids = [f"c-{number}" for number in range(1, merged + 2)]
        small, large = (self.book(size, 2) for size in (10, 2_000))

        assert called(lambda: small.merge(*ids)) == called(lambda: large.merge(*ids))

    def test_a_merge_asks_for_those_that_it_merges(self) -> None:
        """No contact is read but those that are named; of sharers of a key, a place."""
        book = self.book(100, 2)
        index = book._index
        index.rows = {id: Noted(row) for id, row in index.rows.items()}
        with noting() as read:
            book.merge("c-1", "c-50", "c-99")

        assert {id for id, part in read if part != PLACE} == {"c-1", "c-50", "c-99"}
        assert {id for id, _part in read} == {"c-1", "c-49", "c-50", "c-99", "c-100"}

    @pytest.mark.parametrize("verb", ["merge", "upsert", "create"])
    def test_taking_back_looks_at_nobody_else(self, verb: str) -> None:
        """However many contacts there are."""
        calls = {
            "merge": lambda book: book.merge("c-2", "c-1", "c-4"),
            "upsert": lambda book: book.upsert({"email": "4@x", "tags": ["x"]}),
            "create": lambda book: book.create({"email": "new@x", "phone": 7}),
        }
        counts = []
        for size in (10, 2_000):
            book = self.book(size, 1)
            book._store.ids = lambda: "new"
            outcome = calls[verb](book)
            counts.append(called(partial(book.undo, outcome)))

        assert counts[0] == counts[1]

    @pytest.mark.parametrize(
        "options",
        [{"atomic": True}, {"on_duplicates": "refuse_all"}],
        ids=["atomic", "on_duplicates"],
    )
    def test_a_batch_grows_with_its_rows(self, options: dict[str, Any]) -> None:
        """Twice as many rows: twice as many calls, however many contacts there are."""

        def calls(held: int, size: int) -> int:
            book = self.book(held, 2)
            return called(lambda: book.upsert_many(rows(size), **options)).total()

        one, two, four = (calls(10, size) for size in (100, 200, 400))

        assert two <= 2.2 * one
        assert four <= 2.2 * two
        assert calls(1_000, 100) == one


def rows(size: int) -> list[dict[str, Any]]:
    """Make patches for so many new contacts."""
    return [{"email": f"new-{number}@x", "tags": [number]} for number in range(size)]


class Noted(tuple[Any, ...]):
    """A row that notes which of its parts are read, and whose they are."""

    __slots__ = ()
    read: set[tuple[str, int]] = set()  # noqa: RUF012

    def __getitem__(self, part: Any) -> Any:
        first = part.start if isinstance(part, slice) else part
        self.read.add((super().__getitem__(ID), first))
        return super().__getitem__(part)


@contextmanager
def noting() -> Iterator[set[tuple[str, int]]]:
    """Give what is read of noted rows from now on: ids, and parts by number."""
    Noted.read.clear()
    yield Noted.read
