"""Idempotency keys: a repeated call returns the first outcome."""

from __future__ import annotations

import threading
from collections import UserDict
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from upsertcore import ContactBook, Policy, field, first_match, normalize
from upsertcore.errors import IdempotencyKeyReused, InvalidField, MissingField
from upsertcore.rules import add, custom, keep

LINES = {
    "id": field(key=normalize.exact),
    "name": field(),
    "seen": field(rule=add),
}


def make_book(*, create_keyless: bool = True, **options: Any) -> ContactBook:
    """Make a book that may create contacts without a key."""
    numbers = count(1)
    on_no_key: Any = "create" if create_keyless else "refuse"
    policy = Policy(first_match("id"), LINES, on_no_key=on_no_key)
    return ContactBook(policy, ids=lambda: f"c-{next(numbers)}", **options)


@pytest.mark.parametrize("verb", ["upsert", "create"])
def test_retried_creation_returns_the_first_outcome(verb: str) -> None:
    book = make_book()
    call = getattr(book, verb)
    first = call({"name": "Ada"}, idempotency_key="k-1")

    assert call({"name": "Ada"}, idempotency_key="k-1") == first
    assert call({"name": "Ada"}, idempotency_key="k-1").replayed
    assert not first.replayed
    assert call({"name": "Ada"}, idempotency_key="k-2").contact.id == "c-2"
    assert len(book) == 2


def test_retried_call_applies_its_rules_once() -> None:
    book = make_book()
    for _ in range(3):
        book.upsert({"id": 1, "seen": 1}, idempotency_key="k-1")
    book.upsert({"id": 1, "seen": 1})

    assert book.get("c-1")["seen"] == 2


@pytest.mark.parametrize(
    ("patch", "options"),
    [
        ({"id": 1, "name": "Bob"}, {}),
        ({"id": 1}, {}),
        ({"id": 1, "name": "Ada", "seen": 1}, {}),
        ({"id": True, "name": "Ada"}, {}),
        ({"id": 1, "name": "Ada"}, {"if_version": 1}),
        ({"id": 1, "name": "Ada"}, {"null": "ignore"}),
        ({"id": 1, "name": "Ada"}, {"blank": "clear"}),
        ({"id": 1, "name": "Ada"}, {"rules": {"name": keep}}),
    ],
    ids=map(str, range(8)),
)
def test_different_call_with_the_same_key_is_refused(patch: Any, options: Any) -> None:
    """Nothing changes, and the first call can still be retried."""
    book = make_book()
    first = book.upsert({"id": 1, "name": "Ada"}, idempotency_key="k-1")
    before = book.dump()
    with pytest.raises(IdempotencyKeyReused) as caught:
        book.upsert(patch, idempotency_key="k-1", **options)

    assert caught.value.key == "k-1"
    assert book.dump() == before
    assert book.upsert({"name": "Ada", "id": 1}, idempotency_key="k-1") == first


ANY = Policy(first_match("id"), {"id": LINES["id"]}, extra_fields=field(null="ignore"))
"""A policy that stores undeclared fields."""

DIFFERENT = [
    ({"a": None}, {}),
    ({"a": "..."}, {}),
    ({"a": ["x", "y"]}, {"a": ["y", "x"]}),
    ({"a": ["x"]}, {"a": "x"}),
    ({"a": ["x"]}, {"a": "('x',)"}),
    ({"a": [1]}, {"a": [1.0]}),
    ({"a": {"b": 1}}, {"a": {"b": True}}),
    ({"a": {"b": 1}}, {"a": [["b", 1]]}),
    ({"a": {}}, {"a": []}),
    ({"a": "x", "b": "y"}, {"a": "y", "b": "x"}),
    ({"a": "x"}, {"b": "x"}),
    ({"a": "x\xffy"}, {"a": "x\xfey"}),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=map(str, range(12)))
@pytest.mark.parametrize("policy", [ANY, None], ids=["undeclared", "declared"])
def test_patches_of_different_values_are_different_calls(
    policy: Policy | None, one: Any, other: Any
) -> None:
    declared = {"id": LINES["id"], **{name: field(null="ignore") for name in "ab"}}
    book = ContactBook(policy or Policy(first_match("id"), declared))
    first = book.upsert({"id": 1, **one}, idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused):
        book.upsert({"id": 1, **other}, idempotency_key="k")

    assert book.upsert({**one, "id": 1}, idempotency_key="k") == first


def test_patches_of_equal_values_are_the_same_call() -> None:
    """In any order of their names, at every level, and in mappings of any class."""
    book = ContactBook(ANY)
    patch = {"id": "\xe5", "b": {"x": [1, {"y": 2, "z": 3}], "w": 1.5}, "a": "A"}
    same = {"a": "A", "b": {"w": 1.5, "x": (1, {"z": 3, "y": 2})}, "id": "\xe5"}
    first = book.upsert(patch, idempotency_key="k")

    for again in (same, UserDict(patch), UserDict(same)):
        outcome = book.upsert(again, idempotency_key="k")
        assert (outcome, outcome.replayed) == (first, True)


def test_unchanged_call_is_remembered() -> None:
    book = make_book()
    book.upsert({"id": "1", "name": "Ada"})
    first = book.upsert({"id": "1"}, idempotency_key="k")
    book.upsert({"id": "1", "name": "Eve"})
    again = book.upsert({"id": "1"}, idempotency_key="k")

    assert (first.result, again.result, again.replayed) == (*["unchanged"] * 2, True)
    assert again.contact["name"] == "Ada"


class HashedFunction:
    """A function of a rule; a callback runs whenever it is hashed."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback

    def __call__(self, _stored: Any, sent: Any) -> Any:
        return sent

    def __hash__(self) -> int:
        self.callback()
        return 7

    def __eq__(self, other: object) -> bool:
        return self is other


@pytest.mark.parametrize(
    ("patch", "result"),
    [
        ({"id": "2", "name": "Eve"}, "created"),
        ({"id": "1", "name": "Eve"}, "updated"),
        ({"id": "1", "name": "Ada"}, "unchanged"),
    ],
)
def test_call_that_is_overtaken_before_its_publication_is_made_once(
    patch: dict[str, str], result: str
) -> None:
    """Another call writes while the rules of this one are compared."""
    hashes: list[int] = []

    def write_another() -> None:
        hashes.append(len(book))
        book.upsert({"id": f"x-{len(hashes)}"})

    book = make_book(retain_changes=None)
    book.upsert({"id": "1", "name": "Ada"})
    rules: Any = {"seen": custom(HashedFunction(write_another))}
    outcome = book.upsert(patch, rules=rules, idempotency_key="k")
    again = book.upsert(patch, rules=rules, idempotency_key="k")

    assert (outcome.result, again) == (result, outcome)
    assert again.replayed
    assert len(book) == 1 + len(hashes) + (result == "created")
    numbers = [entry.number for entry in book.changes_since()]
    assert numbers == [*range(1, 2 + len(hashes) + (result != "unchanged"))]
    book._index.check()


def test_same_key_in_another_scope_is_another_call() -> None:
    """Each scope has its own limit of retained calls."""
    book = make_book(retain_calls=1)
    first = book.upsert({"id": 1}, idempotency_key="k-1")
    for number in range(3):
        key = f"k-{number}"
        assert book.upsert({"id": 1}, scope="east", idempotency_key=key) != first

    assert book.upsert({"id": 1}, idempotency_key="k-1").replayed


def test_same_key_with_another_verb_is_refused() -> None:
    book = make_book()
    book.upsert({"id": 1}, idempotency_key="k-1")
    with pytest.raises(IdempotencyKeyReused, match="'k-1' was used for another call"):
        book.create({"id": 1}, idempotency_key="k-1")


def test_key_of_a_refused_call_is_free() -> None:
    policy = Policy(first_match("id"), {**LINES, "name": field(required=True)})
    book = ContactBook(policy)
    with pytest.raises(MissingField):
        book.upsert({"id": 1}, idempotency_key="k-1")

    assert book.upsert({"id": 1, "name": "Ada"}, idempotency_key="k-1").created


def test_retain_calls_limits_the_retained_calls() -> None:
    """The oldest call is removed first."""
    book = make_book(retain_calls=2)
    for key in ("k-1", "k-2", "k-3"):
        book.create({}, idempotency_key=key)
    assert book.create({}, idempotency_key="k-3").contact.id == "c-3"
    assert book.create({}, idempotency_key="k-1").contact.id == "c-4"

    book = make_book(retain_calls=0)
    for _ in range(2):
        book.create({}, idempotency_key="k-1")
    assert len(book) == 2


@pytest.mark.parametrize("key", ["", 7, b"k"], ids=str)
def test_key_that_is_no_text_is_refused(key: Any) -> None:
    book = make_book()
    for call in (book.upsert, book.create):
        with pytest.raises(InvalidField, match="idempotency_key: must be text"):
            call({"id": 1}, idempotency_key=key)
    assert len(book) == 0


def test_concurrent_retries_make_the_call_once() -> None:
    """Eight threads repeat fifty creations."""
    book = make_book()
    ids_by_call: list[set[str]] = [set() for _ in range(50)]
    barrier = threading.Barrier(8)

    def retry() -> None:
        barrier.wait()
        for number, ids in enumerate(ids_by_call):
            key = f"k-{number}"
            ids.add(book.create({"name": key}, idempotency_key=key).contact.id)

    threads = [threading.Thread(target=retry) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [1] * 50 == [len(ids) for ids in ids_by_call]
    assert len(book) == 50
    book._index.check()
