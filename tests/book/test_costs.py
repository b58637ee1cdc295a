"""Costs as counts of calls, never as times."""

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


def calls_to_decide(size: int, patch: dict[str, Any]) -> Counter[str]:
    """Count the calls that a decision makes in a book of this size."""
    calls: Counter[str] = Counter()

    def count(name: str, function: Any) -> Any:
        def counted_function(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return function(*args, **kwargs)

        return counted_function

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
def test_lookups_do_not_grow_with_the_book(patch: dict[str, Any]) -> None:
    """Each key is normalised once."""
    small, large = calls_to_decide(10, patch), calls_to_decide(2_000, patch)

    assert small == large
    assert small["email"] == 1
    assert small["phone"] == 1
    assert small["clean"] == ("city" in patch)
    assert small["holders"] == 2
    assert small["found"] <= 1


def test_omitted_field_is_neither_cleaned_nor_normalised() -> None:
    assert calls_to_decide(10, {"email": "1@x.org"}) == {
        "email": 1,
        "holders": 1,
        "found": 1,
    }


def lookups_to_decide(book: ContactBook, patch: dict[str, Any]) -> Counter[Any]:
    """Count the lookups that a decision makes in the index of a book."""
    lookups: Counter[Any] = Counter()
    index = book._index

    def holders(name: str, form: str, scope: str) -> tuple[str, ...]:
        lookups[name, form] += 1
        return index.holders(name, form, scope)

    def get_with_forms(id: str, scope: str) -> Any:
        lookups[id] += 1
        return index.get_with_forms(id, scope)

    view: Any = SimpleNamespace(holders=holders, get_with_forms=get_with_forms)
    decide(book.policy, patch, view)
    return lookups


KEYS = {
    "person": key("first", "last", normalize=normalize.text, unique=True),
    "mail": key("main", "more", normalize=normalize.email, any_of=True, unique=True),
}
LINES: dict[str, Any] = {
    "id": field(key=normalize.exact, unique=True),
    "email": field(key=normalize.email, unique=True, rule=union, keep_aliases=True),
    "device": field(key=normalize.exact, rule=union),
}
LINES |= {name: field() for name in ("first", "last", "main", "more")}


class TestDecisions:
    """Decisions with keys of several fields, merges and limits."""

    def make_book(self, size: int, *names: str, **options: Any) -> ContactBook:
        """Make a book of contacts 0, 1, ..., size - 1."""
        lines = {**LINES, **options.pop("lines", {})}
        policy = Policy(merge_all(*names), lines, keys=KEYS, **options)
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
    def test_merge_looks_up_each_form_and_contact_once(self, size: int) -> None:
        """In a book of any size."""
        book = self.make_book(size, "person", "mail", "id")
        patch = {"first": "Ada", "last": "1", "main": "2@x", "id": 3}

        assert lookups_to_decide(book, patch) == {
            "1": 1,
            "2": 1,
            "3": 1,
            ("person", "ada|1"): 1,
            ("mail", "2@x"): 1,
            ("id", "3"): 1,
        }

    @pytest.mark.parametrize("size", [4, 1_000])
    def test_patch_shortened_by_a_limit_repeats_no_lookup(self, size: int) -> None:
        email = field(key=normalize.email, rule=union, max_forms=2, keep_aliases=True)
        book = self.make_book(
            size, "email", "device", lines={"email": email}, on_limit="drop"
        )
        lookups = lookups_to_decide(book, {"email": ["1@x"], "device": [2]})

        assert lookups == {"1": 1, "2": 1, ("email", "1@x"): 1, ("device", "2"): 1}

    def test_normaliser_runs_once_per_value(self) -> None:
        """Parts of a composite key and items of a list included."""
        calls: list[Any] = []

        def record_call(value: Any) -> str | None:
            calls.append(value)
            return normalize.text(value)

        keys = {"p": key("first", "last", normalize=record_call, unique=True)}
        book = ContactBook(Policy(first_match("p"), LINES, keys=keys))
        book.upsert({"first": ["Ada", "Augusta"], "last": "King", "id": 1})

        assert calls == ["Ada", "Augusta", "King"]


def calls_of(call: Callable[[], object]) -> Counter[str]:
    """Count by name the calls in this library that one call makes."""
    calls: Counter[str] = Counter()

    def count_event(frame: Any, event: str, argument: Any) -> None:
        # Callbacks of the garbage collector and the like are not counted.
        if "upsertcore" not in frame.f_code.co_filename:
            return
        if event == "call":
            calls[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            calls[getattr(argument, "__qualname__", "")] += 1

    before = sys.getprofile()
    sys.setprofile(count_event)
    try:
        call()
    finally:
        sys.setprofile(before)
    return calls


class TestContacts:
    """Duplicates, dedupe, merge, undo and batches."""

    LINES: dict[str, Any] = {  # noqa: RUF012
        "email": field(key=normalize.email),
        "phone": field(key=normalize.exact),
        "tags": field(rule=union),
    }

    def make_book(
        self, size: int, group_size: int, *, in_chain: bool = False
    ) -> ContactBook:
        """Make a book of groups of this size, by one key or chained by two."""
        policy = Policy(first_match("email"), self.LINES)
        numbers = count(1)
        book = ContactBook(policy, ids=lambda: f"c-{next(numbers)}")
        for number in range(size):
            link = (number // 2, (number + 1) // 2)
            email, phone = link if in_chain else (number // group_size, number + size)
            book.create({"email": f"{email}@x", "phone": phone, "tags": [number]})
        return book

    @pytest.mark.parametrize(
        ("group_size", "in_chain"),
        [(1, False), (2, False), (10, False), (10_000, False), (2, True)],
        ids=["single", "pairs", "tens", "one group", "chain"],
    )
    @pytest.mark.parametrize("verb", ["duplicates", "dedupe"])
    def test_calls_of_duplicates_and_dedupe_grow_linearly(
        self, verb: str, group_size: int, *, in_chain: bool
    ) -> None:
        """Twice as many contacts make at most 2.2 times as many calls."""
        first, second, third = (
            calls_of(
                getattr(self.make_book(size, group_size, in_chain=in_chain), verb)
            ).total()
            for size in (200, 400, 800)
        )

        assert second <= 2.2 * first
        assert third <= 2.2 * second

    @pytest.mark.parametrize(
        "make_call",
        [
            lambda book: lambda: book.duplicates(of="c-1"),
            lambda book: lambda: book.scan(limit=5, after="c-1"),
        ],
        ids=["duplicates of one", "a page"],
    )
    def test_calls_of_a_report_on_one_contact_do_not_grow_with_the_book(
        self, make_call: Any
    ) -> None:
        small, large = (
            calls_of(make_call(self.make_book(size, 2))).total() for size in (20, 2_000)
        )

        assert large <= small + 20

    @pytest.mark.parametrize("absorbed_count", [1, 5])
    def test_calls_of_merge_do_not_grow_with_the_book(
        self, absorbed_count: int
    ) -> None:
        ids = [f"c-{number}" for number in range(1, absorbed_count + 2)]
        small, large = (self.make_book(size, 2) for size in (10, 2_000))

        assert calls_of(lambda: small.merge(*ids)) == calls_of(
            lambda: large.merge(*ids)
        )

    def test_merge_reads_the_merged_contacts_only(self) -> None:
        """Of other holders of their keys it reads the place."""
        book = self.make_book(100, 2)
        index = book._index
        index.rows[""] = {id: RecordedRow(row) for id, row in index.rows[""].items()}
        with recorded_reads() as read:
            book.merge("c-1", "c-50", "c-99")

        assert {id for id, part in read if part != PLACE} == {"c-1", "c-50", "c-99"}
        assert {id for id, _part in read} == {"c-1", "c-49", "c-50", "c-99", "c-100"}

    @pytest.mark.parametrize("verb", ["merge", "upsert", "create"])
    def test_calls_of_undo_do_not_grow_with_the_book(self, verb: str) -> None:
        calls = {
            "merge": lambda book: book.merge("c-2", "c-1", "c-4"),
            "upsert": lambda book: book.upsert({"email": "4@x", "tags": ["x"]}),
            "create": lambda book: book.create({"email": "new@x", "phone": 7}),
        }
        counts = []
        for size in (10, 2_000):
            book = self.make_book(size, 1)
            book._store.ids = lambda: "new"
            outcome = calls[verb](book)
            counts.append(calls_of(partial(book.undo, outcome)))

        assert counts[0] == counts[1]

    @pytest.mark.parametrize(
        "options",
        [{"atomic": True}, {"on_duplicates": "refuse_all"}],
        ids=["atomic", "on_duplicates"],
    )
    def test_calls_of_a_batch_grow_linearly_with_its_rows(
        self, options: dict[str, Any]
    ) -> None:
        """In a book of any size."""

        def calls(book_size: int, size: int) -> int:
            book = self.make_book(book_size, 2)
            return calls_of(lambda: book.upsert_many(rows(size), **options)).total()

        first, second, third = (calls(10, size) for size in (100, 200, 400))

        assert second <= 2.2 * first
        assert third <= 2.2 * second
        assert calls(1_000, 100) == first


def rows(size: int) -> list[dict[str, Any]]:
    """Make patches of this many new contacts."""
    return [{"email": f"new-{number}@x", "tags": [number]} for number in range(size)]


class RecordedRow(tuple[Any, ...]):
    """A row that records which of its parts are read, by contact id."""

    __slots__ = ()
    read: set[tuple[str, int]] = set()  # noqa: RUF012

    def __getitem__(self, part: Any) -> Any:
        first = part.start if isinstance(part, slice) else part
        self.read.add((super().__getitem__(ID), first))
        return super().__getitem__(part)


@contextmanager
def recorded_reads() -> Iterator[set[tuple[str, int]]]:
    """Return the parts of recorded rows read from now on, by contact id and part."""
    RecordedRow.read.clear()
    yield RecordedRow.read
