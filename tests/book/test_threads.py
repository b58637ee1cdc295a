"""Threads: the index stays consistent under concurrent calls."""

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
def frequent_switches() -> Iterator[None]:
    """Switch between threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def run_concurrently(*calls: Callable[[], object]) -> list[Exception]:
    """Run calls in threads that start together; return the exceptions."""
    start = threading.Barrier(len(calls))
    exceptions: list[Exception] = []

    def run(call: Callable[[], object]) -> None:
        start.wait()
        try:
            call()
        except Exception as error:  # noqa: BLE001 - returned to the caller
            exceptions.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    with frequent_switches():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return exceptions


def make_book(size: int, policy: Policy = POLICY) -> ContactBook:
    """Make a book of contacts c-1, c-2, ..., two of each group."""
    ids = count(1)
    book = ContactBook(policy, ids=lambda: f"c-{next(ids)}")
    for number in range(1, size + 1):
        book.create(
            {"email": f"{number}@x", "group": (number + 1) // 2, "tags": [f"{number}"]}
        )
    return book


def ignoring_refusals(*calls: Callable[[], object]) -> Callable[[], None]:
    """Make calls one after the other, ignoring refusals."""

    def run() -> None:
        for call in calls:
            with suppress(errors.UnknownContact, errors.Refused):
                call()

    return run


def test_concurrent_merge_delete_and_upsert_keep_the_index() -> None:
    """Every id leads to its contact or survivor."""
    book = make_book(60)
    outcomes: list[Outcome] = []

    def merge(number: int) -> None:
        outcomes.append(book.merge(f"c-{number}", f"c-{number + 1}"))

    def upsert(number: int) -> Outcome:
        return book.upsert({"email": f"{number}@x", "tags": ["u"]})

    exceptions = run_concurrently(
        ignoring_refusals(*[partial(merge, number) for number in range(1, 60, 2)]),
        ignoring_refusals(
            *[partial(book.delete, f"c-{number}") for number in range(59, 0, -4)]
        ),
        *[ignoring_refusals(*[partial(upsert, number) for number in range(60, 0, -1)])]
        * 2,
    )

    assert exceptions == []
    book._index.check()
    for outcome in outcomes:
        ids = {outcome.contact.id, *[contact.id for contact in outcome.merged]}
        survivors = {book.get(id).id for id in ids if id in book}
        assert survivors in ({outcome.contact.id}, set())
    assert ContactBook.load(POLICY, book.dump()).dump() == book.dump()


def test_concurrent_merges_of_two_contacts_leave_one() -> None:
    """The other call is refused."""
    for _ in range(30):
        book = make_book(2)
        exceptions = run_concurrently(
            partial(book.merge, "c-1", "c-2"), partial(book.merge, "c-2", "c-1")
        )

        assert [type(error) for error in exceptions] == [errors.InvalidField]
        assert len(book) == 1
        assert book.get("c-1") is book.get("c-2")
        assert sorted(book.get("c-1")["tags"]) == ["1", "2"]
        book._index.check()


def test_concurrent_merges_in_a_ring_lose_no_value() -> None:
    for _ in range(20):
        book = make_book(4)

        merge = partial(book.merge, on_itself="ignore")
        ring = [(f"c-{number}", f"c-{number % 4 + 1}") for number in range(1, 5)]
        exceptions = run_concurrently(*[partial(merge, *pair) for pair in ring])

        assert exceptions == []
        assert [sorted(contact["tags"]) for contact in book] == [["1", "2", "3", "4"]]
        assert len({book.get(f"c-{number}").id for number in range(1, 5)}) == 1
        book._index.check()


def test_concurrent_dedupe_undo_and_upsert_keep_the_index() -> None:
    book = make_book(40)

    def dedupe_and_undo() -> None:
        for outcome in book.dedupe("group", on_refused="collect"):
            assert isinstance(outcome, Outcome)
            try:
                book.undo(outcome)
            except errors.StaleOutcome:
                continue

    def upsert() -> None:
        for number in range(1, 41, 8):
            book.upsert({"email": f"{number}@x", "tags": ["u"]})

    assert run_concurrently(dedupe_and_undo, upsert, upsert) == []
    book._index.check()
    numbers = [int(contact.id[2:]) for contact in book]
    assert numbers == sorted(numbers)
    assert ContactBook.load(POLICY, book.dump()).dump() == book.dump()


def test_concurrent_atomic_batches_are_not_mixed() -> None:
    book = ContactBook(POLICY)
    rows = [
        [{"email": f"{number}@x", "tags": [name]} for number in range(20)]
        for name in "ab"
    ]

    exceptions = run_concurrently(
        *[lambda r=r: book.upsert_many(r, atomic=True) for r in rows]
    )

    assert exceptions == []
    assert len(book) == 20
    assert len({contact["tags"] for contact in book}) == 1
    assert {contact.version for contact in book} == {2}
    book._index.check()


def test_reader_sees_all_or_nothing_of_an_atomic_batch() -> None:
    book = ContactBook(POLICY)
    rows = [{"email": f"{number}@x"} for number in range(50)]
    sizes = []
    write_finished = threading.Event()

    def read() -> None:
        while not write_finished.is_set():
            sizes.append(len(list(book)))

    def write() -> None:
        book.upsert_many(rows, atomic=True)
        write_finished.set()

    assert run_concurrently(read, write) == []
    assert {*sizes, 0, 50} == {0, 50}


class LateRows(dict[str, Any]):
    """Rows of which one is read late, after its contact was absorbed."""

    def __init__(self, rows: dict[str, Any], book: ContactBook) -> None:
        super().__init__(rows)
        self.book, self.calls = book, count()
        self.threads: list[threading.Thread] = []

    def get(self, id: str, default: Any = None) -> Any:
        """Return the row from before the merge."""
        row = super().get(id, default)
        if id == "c-2" and next(self.calls) == 0:
            thread = threading.Thread(target=self.book.merge, args=("c-1", "c-2"))
            thread.start()
            self.threads.append(thread)
            if not self.book._store._is_owner():
                thread.join()
        return row


def test_survivor_absorbed_during_its_lookup_is_followed() -> None:
    book = make_book(3)
    late_rows = LateRows(book._index.rows[""], book)
    book._index.rows[""] = late_rows
    outcome = book.merge("c-2", "c-3", on_itself="ignore")

    assert outcome.contact.merged_ids[-1] == "c-3"
    for thread in late_rows.threads:
        thread.join()
    assert book.get("c-2").id in {"c-1", "c-2"}
    book._index.check()


def test_merge_whose_rule_always_writes_is_an_error() -> None:
    book: ContactBook

    tags = map(str, count())

    def write_and_join(stored_value: Any, absorbed_value: Any) -> Any:
        book.upsert({"email": "2@x", "tags": [f"new-{next(tags)}"]})
        return (*stored_value, *absorbed_value)

    policy = Policy(
        first_match("email"), merging(LINES, {"tags": custom(write_and_join)})
    )
    book = make_book(2, policy)
    with pytest.raises(RuntimeError, match="changed during each of many attempts"):
        book.merge("c-1", "c-2")

    assert len(book) == 2
    book._index.check()


def test_call_inside_a_locked_call_is_an_error() -> None:
    """A signal handler or a finaliser would wait for ever."""
    book = make_book(1)
    book.create({"email": "new@x"}, idempotency_key="a")
    writer = book._store

    with writer.lock:
        for call in (
            lambda: book.get("c-1"),
            lambda: len(book),
            lambda: book.delete("c-1"),
            lambda: book.create({"email": "new@x"}, idempotency_key="a"),
            lambda: book.upsert({"email": "1@x"}, if_version=1),
        ):
            with pytest.raises(RuntimeError, match="in the middle of a call"):
                call()

    assert book.get("c-1").version == 1


def test_write_of_a_handler_before_publication_repeats_the_call() -> None:
    book = make_book(1)
    acquisitions = count()

    class InterruptedLock:
        def acquire(self) -> None:
            book._store.lock = lock
            lock.acquire()
            if next(acquisitions) == 0:
                lock.release()
                book.upsert({"email": "1@x", "group": 9})
                lock.acquire()

        def release(self) -> None:
            lock.release()

    lock: Any = book._store.lock
    book._store.lock = InterruptedLock()  # type: ignore[assignment]
    outcome = book.upsert({"email": "1@x", "tags": ["t"]})

    assert (outcome.contact["group"], outcome.contact.version) == (9, 3)
    book._index.check()


def test_atomic_batch_is_prepared_without_the_lock() -> None:
    """Another call can write in the meantime."""
    book = make_book(2)
    record_of, attempts = book._store._record_of, count(1)

    def write_and_prepare(*parts: Any) -> Any:
        if next(attempts) == 1:
            thread = threading.Thread(target=lambda: book.create({"email": "new@x"}))
            thread.start()
            thread.join()
        return record_of(*parts)

    class WritingStore(type(book._store)):  # type: ignore[misc]
        __slots__ = ()
        _record_of = staticmethod(write_and_prepare)

    assert book._store.lock is not None
    book._store.__class__ = WritingStore
    rows = [{"email": "1@x", "group": 7}, {"email": "2@x", "group": 7}]
    outcomes = book.upsert_many(rows, atomic=True)

    assert [outcome.result for outcome in outcomes] == ["updated", "updated"]
    assert len(book) == 3
    book._index.check()


class InterruptedWait:
    """A lock whose wait is interrupted by a signal handler."""

    def __init__(self, lock: Any) -> None:
        self.release = lock.release

    def acquire(self) -> None:
        """Raise as an interrupted wait does."""
        raise KeyboardInterrupt


def test_interrupted_wait_writes_nothing() -> None:
    """The next call works."""
    book = make_book(2)
    writer: Any = book._store
    lock, patch = writer.lock, {"email": "new@x"}
    writer.lock = InterruptedWait(lock)
    with pytest.raises(KeyboardInterrupt):
        book.upsert(patch)
    writer.lock = lock

    assert len(book) == 2
    assert book.upsert(patch).created
