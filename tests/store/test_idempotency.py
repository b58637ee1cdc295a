"""The memory of calls: a call that is made again is answered, and not made again."""

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


def book(*, create_keyless: bool = True, **options: Any) -> ContactBook:
    """Make a book that creates a contact of a patch without a key."""
    numbers = count(1)
    absent: Any = "create" if create_keyless else "refuse"
    policy = Policy(first_match("id"), LINES, on_no_key=absent)
    return ContactBook(policy, ids=lambda: f"c-{next(numbers)}", **options)


@pytest.mark.parametrize("verb", ["upsert", "create"])
def test_a_creation_without_a_key_is_safe_to_retry(verb: str) -> None:
    """The very same outcome, and one contact."""
    made = book()
    call = getattr(made, verb)
    first = call({"name": "Ada"}, idempotency_key="k-1")

    assert call({"name": "Ada"}, idempotency_key="k-1") == first
    assert call({"name": "Ada"}, idempotency_key="k-1").replayed
    assert not first.replayed
    assert call({"name": "Ada"}, idempotency_key="k-2").contact.id == "c-2"
    assert len(made) == 2


def test_a_rule_that_counts_is_safe_to_retry() -> None:
    """What twice would count twice counts once."""
    made = book()
    for _ in range(3):
        made.upsert({"id": 1, "seen": 1}, idempotency_key="k-1")
    made.upsert({"id": 1, "seen": 1})

    assert made.get("c-1")["seen"] == 2


@pytest.mark.parametrize(
    ("patch", "how"),
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
def test_another_call_with_the_same_key_is_refused(patch: Any, how: Any) -> None:
    """Whatever differs; nothing is done, and the first call is still known."""
    made = book()
    first = made.upsert({"id": 1, "name": "Ada"}, idempotency_key="k-1")
    before = made.dump()
    with pytest.raises(IdempotencyKeyReused) as caught:
        made.upsert(patch, idempotency_key="k-1", **how)

    assert caught.value.key == "k-1"
    assert made.dump() == before
    assert made.upsert({"name": "Ada", "id": 1}, idempotency_key="k-1") == first


def test_keys_of_another_scope_are_apart() -> None:
    """The same key in another scope is another call, and has room of its own."""
    made = book(retain_calls=1)
    first = made.upsert({"id": 1}, idempotency_key="k-1")
    for number in range(3):
        call = f"k-{number}"
        assert made.upsert({"id": 1}, scope="east", idempotency_key=call) != first

    assert made.upsert({"id": 1}, idempotency_key="k-1").replayed


def test_another_verb_is_another_call() -> None:
    """An upsert is no creation, though the patch is the same."""
    made = book()
    made.upsert({"id": 1}, idempotency_key="k-1")
    with pytest.raises(IdempotencyKeyReused, match="'k-1' was used for another call"):
        made.create({"id": 1}, idempotency_key="k-1")


def test_a_refused_call_may_be_made_again() -> None:
    """Nothing happened, so there is nothing to remember, also under the same key."""
    policy = Policy(first_match("id"), {**LINES, "name": field(required=True)})
    made = ContactBook(policy)
    with pytest.raises(MissingField):
        made.upsert({"id": 1}, idempotency_key="k-1")

    assert made.upsert({"id": 1, "name": "Ada"}, idempotency_key="k-1").created


def test_the_memory_is_bounded() -> None:
    """The oldest call is forgotten first; with none kept, none is known."""
    made = book(retain_calls=2)
    for key in ("k-1", "k-2", "k-3"):
        made.create({}, idempotency_key=key)
    assert made.create({}, idempotency_key="k-3").contact.id == "c-3"
    assert made.create({}, idempotency_key="k-1").contact.id == "c-4"

    made = book(retain_calls=0)
    for _ in range(2):
        made.create({}, idempotency_key="k-1")
    assert len(made) == 2


@pytest.mark.parametrize("key", ["", 7, b"k"], ids=str)
def test_a_key_is_text(key: Any) -> None:
    """Anything else is refused, and nothing is created."""
    made = book()
    for call in (made.upsert, made.create):
        with pytest.raises(InvalidField, match="idempotency_key: must be text"):
            call({"id": 1}, idempotency_key=key)
    assert len(made) == 0


def test_the_same_call_at_once_is_made_once() -> None:
    """Eight threads retry each of fifty creations; each gets the one outcome."""
    made = book()
    found: list[set[str]] = [set() for _ in range(50)]
    gate = threading.Barrier(8)

    def retry() -> None:
        gate.wait()
        for number, ids in enumerate(found):
            key = f"k-{number}"
            ids.add(made.create({"name": key}, idempotency_key=key).contact.id)

    threads = [threading.Thread(target=retry) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [1] * 50 == [len(ids) for ids in found]
    assert len(made) == 50
    made._index.check()
