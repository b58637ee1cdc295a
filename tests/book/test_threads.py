"""The writer under threads: whole, whoever merges, deletes and upserts at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from typing import Any

import pytest

from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    errors,
    field,
    first_match,
    normalize,
)
from upsertcore.rules import custom, union

LINES: dict[str, Any] = {
    "email": field(key=normalize.email, unique=True),
    "group": field(key=normalize.exact),
    "tags": field(rule=union),
}
POLICY = Policy(first_match("email"), merging(LINES, {"tags": union}))


@contextmanager
def eager() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(*calls: Callable[[], object]) -> list[Exception]:
    """Run calls in threads that begin together; give what they raised."""
    start = threading.Barrier(len(calls))
    raised: list[Exception] = []

    def run(call: Callable[[], object]) -> None:
        start.wait()
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told of
            raised.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    with eager():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return raised


def book(size: int, policy: Policy = POLICY) -> ContactBook:
    """Make a book of contacts c-1, c-2, ..., two of each group."""
    ids = count(1)
    made = ContactBook(policy, ids=lambda: f"c-{next(ids)}")
    for n in range(1, size + 1):
        made.create({"email": f"{n}@x", "group": (n + 1) // 2, "tags": [f"{n}"]})
    return made


def quietly(*calls: Callable[[], object]) -> Callable[[], None]:
    """Make calls one after the other, and let each be refused."""

    def run() -> None:
        for call in calls:
            with suppress(errors.UnknownContact, errors.Refused):
                call()

    return run


def test_a_merge_a_delete_and_upserts_at_once() -> None:
    """Whoever comes first, the index is whole and every id leads right."""
    made = book(60)
    outcomes: list[Outcome] = []

    def merge(n: int) -> None:
        outcomes.append(made.merge(f"c-{n}", f"c-{n + 1}"))

    def upsert(n: int) -> Outcome:
        return made.upsert({"email": f"{n}@x", "tags": ["u"]})

    raised = at_once(
        quietly(*[partial(merge, n) for n in range(1, 60, 2)]),
        quietly(*[partial(made.delete, f"c-{n}") for n in range(59, 0, -4)]),
        *[quietly(*[partial(upsert, n) for n in range(60, 0, -1)])] * 2,
    )

    assert raised == []
    made._index.check()
    for outcome in outcomes:
        ids = {outcome.contact.id, *[each.id for each in outcome.merged]}
        leads = {made.get(id).id for id in ids if id in made}
        assert leads in ({outcome.contact.id}, set())
    assert ContactBook.load(POLICY, made.dump()).dump() == made.dump()


def test_merging_the_same_contacts_from_both_sides() -> None:
    """One of them survives, and the other call says that it is itself."""
    for _ in range(30):
        made = book(2)
        raised = at_once(
            partial(made.merge, "c-1", "c-2"), partial(made.merge, "c-2", "c-1")
        )

        assert [type(error) for error in raised] == [errors.InvalidField]
        assert len(made) == 1
        assert made.get("c-1") is made.get("c-2")
        assert sorted(made.get("c-1")["tags"]) == ["1", "2"]
        made._index.check()


def test_merging_a_ring() -> None:
    """All ids lead to one contact, which lost nothing."""
    for _ in range(20):
        made = book(4)

        merge = partial(made.merge, on_itself="ignore")
        ring = [(f"c-{n}", f"c-{n % 4 + 1}") for n in range(1, 5)]
        raised = at_once(*[partial(merge, *pair) for pair in ring])

        assert raised == []
        assert [sorted(each["tags"]) for each in made] == [["1", "2", "3", "4"]]
        assert len({made.get(f"c-{n}").id for n in range(1, 5)}) == 1
        made._index.check()


def test_deduping_and_undoing_beside_upserts() -> None:
    """What is put back is what it was, or says that it has moved on."""
    made = book(40)

    def deduping() -> None:
        for outcome in made.dedupe("group", on_refused="collect"):
            assert isinstance(outcome, Outcome)
            try:
                made.undo(outcome)
            except errors.StaleOutcome:
                continue

    def upserting() -> None:
        for n in range(1, 41, 8):
            made.upsert({"email": f"{n}@x", "tags": ["u"]})

    assert at_once(deduping, upserting, upserting) == []
    made._index.check()
    numbers = [int(each.id[2:]) for each in made]
    assert numbers == sorted(numbers)
    assert ContactBook.load(POLICY, made.dump()).dump() == made.dump()


def test_batches_at_once() -> None:
    """Each is there as a whole, whatever the other did."""
    made = ContactBook(POLICY)
    rows = [[{"email": f"{n}@x", "tags": [name]} for n in range(20)] for name in "ab"]

    raised = at_once(*[lambda r=r: made.upsert_many(r, atomic=True) for r in rows])

    assert raised == []
    assert len(made) == 20
    assert len({each["tags"] for each in made}) == 1
    assert {each.version for each in made} == {2}
    made._index.check()


def test_an_atomic_batch_is_never_seen_in_part() -> None:
    """A reader finds all of it or nothing."""
    made = ContactBook(POLICY)
    rows = [{"email": f"{n}@x"} for n in range(50)]
    sizes = []
    done = threading.Event()

    def reading() -> None:
        while not done.is_set():
            sizes.append(len(list(made)))

    def writing() -> None:
        made.upsert_many(rows, atomic=True)
        done.set()

    assert at_once(reading, writing) == []
    assert {*sizes, 0, 50} == {0, 50}


class Late(dict[str, Any]):
    """Rows of which one is read late: its contact is absorbed in between."""

    def __init__(self, rows: dict[str, Any], made: ContactBook) -> None:
        super().__init__(rows)
        self.made, self.calls = made, count()
        self.threads: list[threading.Thread] = []

    def get(self, id: str, default: Any = None) -> Any:
        """Give the row as it was before."""
        row = super().get(id, default)
        if id == "c-2" and next(self.calls) == 0:
            thread = threading.Thread(target=self.made.merge, args=("c-1", "c-2"))
            thread.start()
            self.threads.append(thread)
            if not self.made._store._is_owner():
                thread.join()
        return row


def test_a_survivor_that_is_absorbed_while_it_is_looked_up() -> None:
    """It is followed, and never unknown."""
    made = book(3)
    made._index.rows = late = Late(made._index.rows, made)
    outcome = made.merge("c-2", "c-3", on_itself="ignore")

    assert outcome.contact.merged_ids[-1] == "c-3"
    for thread in late.threads:
        thread.join()
    assert made.get("c-2").id in {"c-1", "c-2"}
    made._index.check()


def test_a_merge_that_is_overtaken_by_itself() -> None:
    """A rule that never stops writing is told so, and the book is whole."""
    made: ContactBook

    tags = map(str, count())

    def touch(mine: Any, theirs: Any) -> Any:
        made.upsert({"email": "2@x", "tags": [f"new-{next(tags)}"]})
        return (*mine, *theirs)

    policy = Policy(first_match("email"), merging(LINES, {"tags": custom(touch)}))
    made = book(2, policy)
    with pytest.raises(RuntimeError, match="changed during each of many attempts"):
        made.merge("c-1", "c-2")

    assert len(made) == 2
    made._index.check()


def test_a_book_that_is_called_in_the_middle_of_its_own_call() -> None:
    """A signal handler or a finaliser is refused where it would wait for ever."""
    made = book(1)
    writer = made._store

    with writer.lock:
        for call in (
            lambda: made.get("c-1"),
            lambda: len(made),
            lambda: made.delete("c-1"),
            lambda: made.create({"email": "new@x"}),
            lambda: made.upsert({"email": "1@x", "tags": []}),
        ):
            with pytest.raises(RuntimeError, match="in the middle of a call"):
                call()

    assert made.get("c-1").version == 1


def test_a_handler_that_writes_before_a_write_counts() -> None:
    """It comes first, and the call that it interrupted decides again."""
    made = book(1)
    turns = count()

    class Interrupting:
        def acquire(self) -> None:
            made._store.lock = lock
            lock.acquire()
            if next(turns) == 0:
                lock.release()
                made.upsert({"email": "1@x", "group": 9})
                lock.acquire()

        def release(self) -> None:
            lock.release()

    lock: Any = made._store.lock
    made._store.lock = Interrupting()  # type: ignore[assignment]
    outcome = made.upsert({"email": "1@x", "tags": ["t"]})

    assert (outcome.contact["group"], outcome.contact.version) == (9, 3)
    made._index.check()


def test_an_atomic_batch_is_prepared_without_the_lock() -> None:
    """While its decisions and its record are made, another call is not held up."""
    made = book(2)
    staged, others = made._store._stage, count(1)

    def staging(*parts: Any) -> Any:
        if next(others) == 1:
            thread = threading.Thread(target=lambda: made.create({"email": "new@x"}))
            thread.start()
            thread.join()
        return staged(*parts)

    class Staging(type(made._store)):  # type: ignore[misc]
        __slots__ = ()
        _stage = staticmethod(staging)

    assert made._store.lock is not None
    made._store.__class__ = Staging
    rows = [{"email": "1@x", "group": 7}, {"email": "2@x", "group": 7}]
    outcomes = made.upsert_many(rows, atomic=True)

    assert [outcome.result for outcome in outcomes] == ["updated", "updated"]
    assert len(made) == 3
    made._index.check()


class Waiting:
    """A lock that is waited for until a signal handler raises."""

    def __init__(self, lock: Any) -> None:
        self.release = lock.release

    def acquire(self) -> None:
        """Be interrupted."""
        raise KeyboardInterrupt


def test_a_call_that_is_interrupted_while_it_waits_raises_that() -> None:
    """The lock was not taken, so nothing is written, and the next call is as any."""
    made = book(2)
    writer: Any = made._store
    lock, patch = writer.lock, {"email": "new@x"}
    writer.lock = Waiting(lock)
    with pytest.raises(KeyboardInterrupt):
        made.upsert(patch)
    writer.lock = lock

    assert len(made) == 2
    assert made.upsert(patch).created
