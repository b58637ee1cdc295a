"""Idempotency keys: a repeated call returns the first outcome."""

from __future__ import annotations

import threading
from itertools import count
from typing import Any

import pytest

from upsertcore import ContactBook, Policy, field, first_match, normalize
from upsertcore.errors import IdempotencyKeyReused, InvalidField, MissingField
from upsertcore.rules import add, keep

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
