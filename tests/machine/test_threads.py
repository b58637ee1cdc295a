"""A book under threads: no contact is doubled or lost, and no thread is blocked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import count
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from tests.field_options import merging
from tests.strategies import NOW
from upsertcore import (
    Contact,
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    merge_all,
    normalize,
)
from upsertcore.policy.policy import compiled
from upsertcore.rules import custom, union

pytestmark = pytest.mark.full

THREADS = 8
PEOPLE = 5
ROUNDS = 40
TIMEOUT = 10.0
"""Seconds after which a thread counts as blocked."""


@pytest.fixture(autouse=True)
def _many_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def run_at_once(*calls: Callable[[], object]) -> None:
    """Run calls at the same time; fail if one fails or does not end."""
    failed: list[BaseException] = []
    start = Barrier(len(calls))

    def guarded(call: Callable[[], object]) -> None:
        try:
            start.wait(TIMEOUT)
            call()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread
            failed.append(error)

    threads = [Thread(target=guarded, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)

    assert [] == [thread for thread in threads if thread.is_alive()]
    assert failed == []


def slow_union(stored: Any, sent: Any) -> Any:
    """Join two lists slowly, so that other threads can run in between."""
    joined = [*(stored or ())]
    for item in sent or ():
        if [item in joined for _ in range(50)][-1]:
            continue
        joined.append(item)
    return joined


POLICY = Policy(
    first_match("email"),
    {
        "email": field(key=normalize.email, unique=True),
        "phone": field(key=normalize.phone, unique=True),
        "seen": field(rule=union),
        "marks": field(rule=custom(slow_union, name="slow_union")),
    },
    on_key_in_use="withhold",
)


def check_whole(book: ContactBook) -> None:
    """Check that the index is that of the contacts."""
    book._index.check()
    loaded = ContactBook.load(book.policy, book.dump())
    assert loaded.dump() == book.dump()
    for contact in book:
        assert loaded.get(contact.id).aliases == contact.aliases
        for name in compiled(book.policy).by_name:
            if contact.get(name) is not None:
                assert loaded.find(name, contact[name]) == book.find(
                    name, contact[name]
                )


def test_overlapping_upserts_keep_one_contact_and_every_mark() -> None:
    """Eight threads upsert the same persons."""
    book = ContactBook(POLICY)

    def upserts(thread: int) -> None:
        for number in range(ROUNDS):
            person = (thread + number) % PEOPLE
            mark = f"{thread}-{number}"
            book.upsert(
                {
                    "email": f"{'P' if thread % 2 else 'p'}{person}@x.org",
                    "seen": [mark],
                    "marks": [mark],
                }
            )

    run_at_once(*[lambda thread=thread: upserts(thread) for thread in range(THREADS)])

    marks = {f"{t}-{n}" for t in range(THREADS) for n in range(ROUNDS)}
    assert len(book) == PEOPLE
    assert marks == {mark for contact in book for mark in contact["seen"]}
    assert marks == {mark for contact in book for mark in contact["marks"]}
    check_whole(book)


def test_all_verbs_at_once_keep_unique_keys_and_the_index() -> None:
    book = ContactBook(POLICY)

    def verbs(thread: int) -> None:
        for number in range(ROUNDS):
            email = f"p{(thread + number) % PEOPLE}@x.org"
            patch = {"email": email, "phone": f"+1555000{number % 3:04}"}
            try:
                match thread % 4:
                    case 0:
                        book.upsert_many([patch, {**patch, "seen": [number]}])
                    case 1:
                        book.apply(book.plan(patch))
                    case 2:
                        book.create(patch)
                    case _:
                        [
                            book.delete(contact.id)
                            for contact in book.find("email", email)
                        ]
                        book.dump()
            except (errors.Refused, errors.UnknownContact):
                pass

    run_at_once(*[lambda thread=thread: verbs(thread) for thread in range(THREADS)])

    phones = [normalize.phone(c["phone"]) for c in book if "phone" in c]
    assert len({*phones}) == len(phones)
    check_whole(book)


MERGING = Policy(
    merge_all("email", "phone"),
    merging(
        {
            "email": field(key=normalize.email, unique=True, keep_aliases=True),
            "phone": field(key=normalize.phone, unique=True, keep_aliases=True),
            "marks": field(rule=custom(slow_union, name="slow_union")),
        },
        {"marks": union},
    ),
)


def test_merges_at_once_lose_no_mark_or_key() -> None:
    """Each person is found by all keys that were sent for that person."""
    book = ContactBook(MERGING)
    people = [(f"p{n}@x.org", f"+1555000{n:04}") for n in range(PEOPLE * 4)]

    def ties(thread: int) -> None:
        for number in range(ROUNDS):
            email, phone = people[(7 * thread + number) % len(people)]
            other = people[(7 * thread + number + PEOPLE) % len(people)]
            mark = [f"{thread}-{number}"]
            patch = (
                {"email": email},
                {"phone": phone},
                {"email": email, "phone": phone},
            )
            book.upsert({**patch[number % 3], "marks": mark})
            book.upsert({"email": email, "phone": other[1], "marks": mark})

    run_at_once(*[lambda thread=thread: ties(thread) for thread in range(THREADS)])

    marks = {f"{t}-{n}" for t in range(THREADS) for n in range(ROUNDS)}
    assert marks == {mark for contact in book for mark in contact["marks"]}
    for name, value in [("email", e) for e, _ in people] + [
        ("phone", p) for _, p in people
    ]:
        assert len(book.find(name, value)) == 1
    for contact in book:
        for old in contact.merged_ids:
            assert book.get(old) is contact
    check_whole(book)


def test_reader_during_merges_finds_every_id_and_key() -> None:
    book = ContactBook(MERGING)
    for person in range(PEOPLE):
        book.upsert({"email": f"p{person}@x.org"})
        book.upsert({"phone": f"+1555000{person:04}"})
    ids = [contact.id for contact in book]

    def writes() -> None:
        for number in range(ROUNDS * 4):
            person = number % PEOPLE
            patch = {"email": f"p{person}@x.org", "phone": f"+1555000{person:04}"}
            book.upsert({**patch, "marks": [number]})

    def reads() -> None:
        for _ in range(ROUNDS):
            for id in ids:
                assert id in book
                assert book.get(id).scope == ""
            for person in range(PEOPLE):
                assert book.find("email", f"p{person}@x.org")

    run_at_once(writes, reads, writes, reads)

    assert len(book) == PEOPLE
    check_whole(book)


def test_merges_and_undos_at_once_keep_every_contact_once() -> None:
    book = ContactBook(MERGING)
    for person in range(PEOPLE):
        book.upsert({"email": f"p{person}@x.org", "marks": [person]})
    ids = [contact.id for contact in book]

    def verbs(thread: int) -> None:
        for number in range(ROUNDS):
            place = (thread + number) % PEOPLE
            try:
                outcome = book.merge(ids[place], ids[place - 1], on_itself="ignore")
                book.duplicates()
                book.undo(outcome)
                batch = [{"email": f"p{n}@x.org", "marks": [n]} for n in range(PEOPLE)]
                book.upsert_many(batch, atomic=True)
            except errors.Refused:
                pass

    run_at_once(*[lambda thread=thread: verbs(thread) for thread in range(THREADS)])

    ids_after = [id for contact in book for id in (contact.id, *contact.merged_ids)]
    assert sorted(ids) == sorted(ids_after)
    assert {*range(PEOPLE)} == {mark for contact in book for mark in contact["marks"]}
    for person in range(PEOPLE):
        assert [book.get(ids[person])] == [*book.find("email", f"p{person}@x.org")]
    check_whole(book)


class CallingBook:
    """A book whose host function calls it, once."""

    def __init__(
        self, call: Callable[[ContactBook], object], place: str, *, known: bool
    ) -> None:
        lines = {
            "email": field(key=self.normal, unique=True, clean=self.clean),
            "name": field(rule=custom(self.rule)),
        }
        policy = Policy(first_match("email"), lines)
        row = Contact("c-0", "", {"email": "ada@x.org"}, 1, NOW, NOW).to_dict()
        self.place, self.call, self.armed = place, call, False
        self.numbers = count(1)
        self.book = ContactBook.load(
            policy, [row] if known else [], ids=self.ids, clock=self.clock
        )
        self.armed = True

    def call_at(self, place: str) -> None:
        if self.armed and self.place == place:
            self.armed = False
            self.call(self.book)

    def ids(self) -> str:
        self.call_at("ids")
        return f"c-{next(self.numbers)}"

    def clock(self) -> datetime:
        self.call_at("clock")
        return NOW

    def normal(self, value: Any) -> str | None:
        self.call_at("normaliser")
        return normalize.email(value)

    def clean(self, value: Any) -> Any:
        self.call_at("clean")
        return value

    def rule(self, _stored: Any, sent: Any) -> Any:
        self.call_at("rule")
        return sent


CALLS: dict[str, Callable[[ContactBook], object]] = {
    "dump": lambda book: book.dump(),
    "find": lambda book: book.find("email", "ada@x.org"),
    "iterate": list,
    "upsert another": lambda book: book.upsert({"email": "bob@x.org", "name": "Bob"}),
    "upsert the same": lambda book: book.upsert({"email": "ada@x.org", "name": "Bob"}),
    "create the same": lambda book: book.create({"email": "ADA@x.org", "name": "Bob"}),
    "batch": lambda book: book.upsert_many([{"email": "ada@x.org"}] * 2),
    "plan and apply": lambda book: book.apply(book.plan({"email": "ada@x.org"})),
    "atomic batch": lambda book: book.upsert_many(
        [{"email": "ada@x.org"}] * 2, atomic=True
    ),
    "undo": lambda book: book.undo(book.upsert({"email": "bob@x.org"})),
    "merge all": lambda book: book.merge(
        book.create({"email": "bob@x.org"}).contact.id,
        *[contact.id for contact in book],
        on_itself="ignore",
    ),
    "dedupe": lambda book: book.dedupe("email"),
    "delete all": lambda book: [book.delete(contact.id) for contact in list(book)],
}
PLACES = ("ids", "clock", "normaliser", "clean", "rule")


def in_another_thread(
    call: Callable[[ContactBook], object],
) -> Callable[[ContactBook], object]:
    """Make the call in another thread and wait for it, as a pool of a host would."""

    def wait(book: ContactBook) -> None:
        finished = Event()

        def work() -> None:
            try:
                call(book)
            except errors.UpsertError:
                pass
            finally:
                finished.set()

        Thread(target=work, daemon=True).start()
        assert finished.wait(TIMEOUT)

    return wait


def in_the_same_thread(
    call: Callable[[ContactBook], object],
) -> Callable[[ContactBook], object]:
    """Make the call in the thread that is within the book."""

    def call_here(book: ContactBook) -> None:
        try:
            call(book)
        except errors.UpsertError:
            pass

    return call_here


@pytest.mark.parametrize("known", [False, True], ids=["creating", "updating"])
@pytest.mark.parametrize("wrap", [in_the_same_thread, in_another_thread])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("place", PLACES)
def test_host_function_may_call_the_book(
    place: str, call: Callable[[ContactBook], object], wrap: Any, *, known: bool
) -> None:
    """It reads, writes, or waits for a thread that does."""
    calling = CallingBook(wrap(call), place, known=known)
    book = calling.book

    def upsert() -> None:
        try:
            book.upsert({"email": "Ada@x.org", "name": "Ada"})
        except errors.Refused:
            pass

    run_at_once(upsert)

    emails = [normalize.email(contact["email"]) for contact in book]
    assert calling.armed == (known and place == "ids")
    assert len({*emails}) == len(emails)
    check_whole(book)
    assert book.upsert({"email": "ada@x.org", "name": "Eve"}).contact["name"] == "Eve"
