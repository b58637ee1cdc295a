"""The store: overtaken calls, queues, atomic batches and the index under writes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

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
from upsertcore.engine.patch import Request, request_maker
from upsertcore.model.packed_row import FORMS, ID, PLACE, SCOPE
from upsertcore.model.view import BookView
from upsertcore.model.write_record import NUMBER
from upsertcore.rules import custom
from upsertcore.store import memory, queue
from upsertcore.store.contact_index import ContactIndex
from upsertcore.store.key_index import Entries, holder_lists, move
from upsertcore.store.overlay import Overlay

NOW = datetime(2024, 1, 2, tzinfo=UTC)
EMAIL = field(key=normalize.email, unique=True)
ADA = {"email": "ada@x.org", "name": "Ada"}
EVE = {"email": "eve@x.org", "name": "Eve"}


def make_book(policy: Policy | None = None, **options: Any) -> ContactBook:
    """Make a book with ids and a clock of its own."""
    ids, hours = count(1), count()
    lines = {"email": EMAIL, "name": field()}
    used_policy = Policy(first_match("email"), lines) if policy is None else policy
    parts: dict[str, Any] = {
        "ids": lambda: f"c-{next(ids)}",
        "clock": lambda: NOW + timedelta(hours=next(hours)),
    }
    return ContactBook(used_policy, **{**parts, **options})


def policy_with_callback(callback: Callable[[], object]) -> Policy:
    """Make a policy whose rule runs a callback before it merges."""

    def run_callback(_stored: Any, sent: Any) -> Any:
        callback()
        return sent

    lines = {"email": EMAIL, "name": field(), "note": field(rule=custom(run_callback))}
    return Policy(first_match("email"), lines)


def make_contact(id: str, *merged_ids: str) -> Contact:
    return Contact(id, "", {}, 1 + bool(merged_ids), NOW, NOW, merged_ids=merged_ids)


class TestFreshIds:
    """A drawn id must be unused, merged ids included."""

    def merged_book(self, *ids: str) -> ContactBook:
        """Make a book in which c-1 has absorbed c-2; these ids are drawn next."""
        book = make_book(ids=iter(["c-1", "c-2", *ids]).__next__)
        book.upsert(ADA)
        book.upsert(EVE)
        book.merge("c-1", "c-2")
        return book

    def test_fast_path_refuses_a_merged_id(self) -> None:
        book = self.merged_book("c-2")
        with pytest.raises(ValueError, match="a contact already has 'c-2'"):
            book.upsert({"email": "bob@x.org"})

        assert book.get("c-2").id == "c-1"
        assert len(book) == 1

    def test_atomic_batch_refuses_a_merged_id(self) -> None:
        book = self.merged_book("c-2")
        with pytest.raises(ValueError, match="a contact already has 'c-2'"):
            book.upsert_many([{"email": "bob@x.org"}], atomic=True)

        assert Overlay(book._index).has_id("c-2")
        assert not Overlay(book._index).has_id("c-3")

    def test_used_id_is_accepted_where_it_is_no_longer_needed(self) -> None:
        """The contact was created while its id was drawn."""

        def create_and_draw() -> str:
            if next(draws) == 0:
                book.create({"email": "ada@x.org"})
            return "c-1"

        draws = count()
        book = make_book(ids=create_and_draw)

        assert book.upsert(ADA).updated
        assert [contact.id for contact in book] == ["c-1"]


def test_changes_are_counted_whether_retained_or_not() -> None:
    """On both paths; a call that changes nothing has no number."""
    for retain_changes in (0, 1, None):
        book = make_book(retain_changes=retain_changes)
        book.upsert(ADA)
        book.upsert({**ADA, "name": "Ada King"})
        book.upsert(ADA, idempotency_key="k-1")
        book.upsert(ADA, idempotency_key="k-2")
        book.create(EVE)
        book.upsert_many([{"email": "bob@x.org"}, ADA, EVE], atomic=True)

        assert book._store.completed[NUMBER] == 5
        retained_count = {0: 0, 1: 1, None: 5}[retain_changes]
        numbers = [entry.number for entry in book.changes_since(5 - retained_count)]
        assert numbers == [*range(1, 6)][5 - retained_count :]


def create_contact(book: ContactBook, number: int) -> str:
    return book.create({"email": f"{number}@x.org"}).contact.id


WRITES: dict[str, Callable[[ContactBook, int], object]] = {
    "update, fast": lambda _book, _number: None,
    "create, fast": lambda book, n: book.upsert({"email": f"{n}@x.org"}),
    "create": create_contact,
    "atomic": lambda book, n: book.upsert_many([{"email": f"{n}@x"}], atomic=True),
    "purge": lambda book, n: book.purge(create_contact(book, n)),
    "delete": lambda book, n: book.delete(create_contact(book, n)),
}


@pytest.mark.parametrize("name", WRITES)
def test_call_always_overtaken_by_its_own_function_is_an_error(name: str) -> None:
    """Before it has written 300 times, whatever it writes."""
    numbers = count()

    def callback() -> None:
        number = next(numbers)
        if 0 < number < 300:
            book.upsert({**ADA, "name": f"{number}"})
            WRITES[name](book, number)

    book = make_book(policy_with_callback(callback))
    book.upsert({**ADA, "note": "a"})
    with pytest.raises(RuntimeError, match="changed during each of many attempts"):
        book.upsert({**ADA, "note": "b"})

    assert next(numbers) < 300
    book._index.check()


def call_in_thread(call: Callable[[], object]) -> None:
    """Make a call in another thread, and wait for it."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


class TestOvertakenCalls:
    """A decision is used only while what it depends on is unchanged."""

    def test_unchanged_result_is_decided_again_after_a_write(self) -> None:
        numbers = count()

        def callback() -> None:
            if next(numbers) == 1:
                book.upsert({**ADA, "name": "Eve"})

        book = make_book(policy_with_callback(callback))
        book.upsert({**ADA, "note": "a"})
        outcome = book.upsert({**ADA, "note": "a"})

        assert (outcome.result, outcome.contact["name"]) == ("updated", "Ada")
        assert outcome.contact.version == 3

    def test_plan_is_decided_again_after_a_write(self) -> None:
        numbers = count()

        def callback() -> None:
            if next(numbers) == 1:
                book.upsert({**ADA, "name": "Eve"})

        book = make_book(policy_with_callback(callback))
        book.upsert({**ADA, "note": "a"})
        plan = book.plan({**ADA, "note": "b"})

        assert plan.before is not None
        assert (plan.before.version, plan.before["name"]) == (2, "Eve")

    def test_overtaken_update_draws_its_time_once(self) -> None:
        """The general path uses the time drawn by the fast path."""
        times: list[datetime] = []

        def clock() -> datetime:
            times.append(NOW + timedelta(hours=len(times)))
            after = times[-1]
            if len(times) == 2:
                book.upsert({**ADA, "name": "Eve"})
            return after

        book = make_book(clock=clock)
        book.upsert(ADA)
        outcome = book.upsert({**ADA, "name": "Bo"})

        assert outcome.contact.updated_at == times[1]
        assert len(times) == 3

    def test_refusal_after_an_unrelated_write_is_raised_at_once(self) -> None:
        calls: list[Any] = []

        def refuse(_stored: Any, sent: Any) -> Any:
            calls.append(sent)
            call_in_thread(lambda: book.create(EVE))
            raise ValueError("must wait")

        lines = {"email": EMAIL, "name": field(), "note": field(rule=custom(refuse))}
        # Such a policy has no fast path.
        book = make_book(Policy(merge_all("email"), lines, on_limit="drop"))
        with pytest.raises(errors.InvalidField, match="note: must wait"):
            book.create({**ADA, "note": "x"}, idempotency_key="a")

        assert calls == ["x"]
        assert [contact["name"] for contact in book] == ["Eve"]

    def test_other_threads_may_overtake_a_call_without_limit(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only the call's own writes count as an error."""
        monkeypatch.setattr(queue, "_QUEUE_SECONDS", 0.0)
        numbers = count()

        def callback() -> None:
            number = next(numbers)
            if 0 < number < 120:
                call_in_thread(lambda: book.upsert({**ADA, "name": f"{number}"}))

        book = make_book(policy_with_callback(callback))
        book.upsert({**ADA, "note": "a"})

        assert book.upsert({**ADA, "note": "b"}).contact["note"] == "b"
        assert next(numbers) > 100

    @pytest.mark.parametrize("unrelated_writes", [0, 2, 3, 9])
    def test_unrelated_writes_do_not_repeat_the_decision(
        self, unrelated_writes: int
    ) -> None:
        """The write is prepared again; after a few times other writers wait."""
        book = make_book()
        book.upsert(ADA)
        numbers, decisions = count(), list[str]()

        def prepare(decision: str, state: Any) -> tuple[str, Any]:
            if (number := next(numbers)) < unrelated_writes:
                book.create({"email": f"{number}@x.org"})
            return decision, None

        def decide(request: Request) -> str:
            decisions.append(request.scope)
            return "decided"

        make_request = request_maker(book.policy, ({}, {}), "east", book.policy.match)

        assert book._store._attempt(make_request, decide, prepare) == "decided"
        assert len(book) == 1 + unrelated_writes
        assert decisions == ["east"]
        assert book._store.published is book._store.completed

    def test_error_from_a_mixed_state_is_decided_again(self) -> None:
        """Such as a contact read before, and another after a merge."""
        book = make_book()
        book.upsert(ADA)
        make_request = request_maker(book.policy, ({}, {}), "", book.policy.match)
        numbers = count()

        def decide(request: Request) -> str:
            request.get("c-1")
            if next(numbers) == 0:
                book.upsert({**ADA, "name": "Eve"})
                raise ValueError(
                    "merged_ids: must not contain c-1, the contact's own id"
                )
            return "decided"

        def prepare(decision: str, _state: Any) -> tuple[str, Any]:
            return decision, None

        assert book._store._attempt(make_request, decide, prepare) == "decided"

    def test_contact_created_during_its_lookup_is_found(self) -> None:
        book = make_book()
        book.upsert(ADA)

        class LateRows(dict[str, Any]):
            """Rows of which one is added while it is looked up."""

            def get(self, id: str, default: Any = None) -> Any:
                if id == "c-2" and id not in self:
                    call_in_thread(lambda: book.upsert(EVE))
                    return default
                return super().get(id, default)

            def __getitem__(self, id: str) -> Any:
                if next(lookups) == 0:
                    raise KeyError(id)
                return super().__getitem__(id)

        lookups = count()
        book._index.rows[""] = LateRows(book._index.rows[""])

        assert book.merge("c-1", "c-2").merged

    def test_write_during_a_read_of_the_same_thread_is_an_error(self) -> None:
        """Such as that of a finaliser."""
        book = make_book()
        book.upsert(ADA)

        def write_and_count(view: BookView) -> int:
            with pytest.raises(RuntimeError, match="in the middle of a call"):
                book.upsert(EVE)
            return len(view)

        assert book._store.read(write_and_count) == 1
        assert book.upsert(EVE).result == "created"


class TestApply:
    """Applying plans that are valid, or stale."""

    def test_write_by_the_clock_makes_the_plan_stale(self) -> None:
        def clock() -> datetime:
            if next(calls) == 1:
                book.upsert({**ADA, "name": "Eve"})
            return NOW

        calls = count()
        book = make_book(clock=clock)
        book.upsert(ADA)
        plan = book.plan({**ADA, "name": "Bo"})
        with pytest.raises(errors.StalePlan):
            book.apply(plan)

        assert book.get("c-1")["name"] == "Eve"

    def test_stale_plan_draws_no_id(self) -> None:
        draw_counts: Counter[str] = Counter()

        def ids() -> str:
            draw_counts["ids"] += 1
            return f"c-{draw_counts['ids']}"

        book = make_book(ids=ids)
        plan = book.plan(ADA)
        book.upsert(ADA)
        with pytest.raises(errors.StalePlan):
            book.apply(plan)

        assert draw_counts["ids"] == 1


class TestQueue:
    """A call overtaken several times queues, and other writers wait for it."""

    def policy_that_queues(
        self, books: list[ContactBook], in_queue: Callable[[], None]
    ) -> Policy:
        """Make a policy whose rule is overtaken until its call queues."""
        numbers = count()

        def callback() -> None:
            number = next(numbers)
            if 0 < number < 4:
                books[0].upsert({**ADA, "name": f"{number}"})
            elif number:
                in_queue()

        return policy_with_callback(callback)

    def test_waiting_writer_resumes_when_the_queued_call_ends(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Before its time limit."""
        monkeypatch.setattr(queue, "_QUEUE_SECONDS", 30.0)
        threads: list[threading.Thread] = []

        def in_queue() -> None:
            thread = threading.Thread(target=lambda: books[0].upsert(EVE), daemon=True)
            thread.start()
            threads.append(thread)

        books: list[ContactBook] = []
        books.append(make_book(self.policy_that_queues(books, in_queue)))
        books[0].upsert({**ADA, "note": "a"})
        assert books[0].upsert({**ADA, "note": "b"}).contact["note"] == "b"

        threads[0].join(timeout=10)
        assert not threads[0].is_alive()
        assert len(books[0]) == 2

    def test_refused_queued_call_leaves_the_queue(self) -> None:
        def in_queue() -> None:
            raise ValueError("must wait")

        books: list[ContactBook] = []
        books.append(make_book(self.policy_that_queues(books, in_queue)))
        books[0].upsert({**ADA, "note": "a"})
        with pytest.raises(errors.InvalidField, match="note: must wait"):
            books[0].upsert({**ADA, "note": "b"})

        store = books[0]._store
        assert store.published is store.completed

    def test_call_overtaken_while_queueing_leaves_no_queue(self) -> None:
        book = make_book()
        book.upsert(ADA)
        state_before = queue.ready_state(book._store)
        book.upsert(EVE)
        assert not queue.swap(book._store, state_before, state_before)
        state = book._store.published
        queue.dequeue(book._store, state)

        assert book._store.published is state

    def test_write_by_the_queued_calls_own_function_does_not_wait(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits: list[Any] = []

        class RecordingEvent(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                waits.append(timeout)
                return True

        monkeypatch.setattr(threading, "Event", RecordingEvent)
        books: list[ContactBook] = []

        def in_queue() -> None:
            if len(books[0]) == 1:
                books[0].upsert(EVE)

        books.append(make_book(self.policy_that_queues(books, in_queue)))
        books[0].upsert({**ADA, "note": "a"})
        books[0].upsert({**ADA, "note": "b"})

        assert (waits, len(books[0])) == ([], 2)

    def test_delete_waits_for_a_late_queued_call_without_the_lock(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queue, "_QUEUE_SECONDS", 0.0)
        book = make_book()
        book.upsert(ADA)
        ready_state, queue_entries = queue.ready_state, list[Any]()

        def ready_state_with_queue(store: memory.MemoryStore) -> Any:
            state = ready_state(store)
            if threading.current_thread() is main_thread and not queue_entries:
                call_in_thread(lambda: queue_entries.append(queue.enqueue(store)))
            return state

        main_thread = threading.current_thread()
        monkeypatch.setattr(memory, "ready_state", ready_state_with_queue)

        assert book.delete("c-1").id == "c-1"
        assert (len(queue_entries), len(book)) == (1, 0)


def test_unchanged_contact_in_a_batch_keeps_its_row() -> None:
    book = make_book()
    book.upsert(ADA)
    row = book._index.rows[""]["c-1"]
    book.upsert_many([ADA, EVE], atomic=True)

    assert book._index.rows[""]["c-1"] is row
    assert len(book) == 2


class TestNonAsciiText:
    """Text that is not ASCII has the form of its normaliser."""

    @pytest.mark.parametrize(
        ("normaliser", "first", "second"),
        [
            (normalize.text, "Stra\u00dfe", "STRASSE"),
            (normalize.text, "Zoe\u0308", "zo\u00eb"),
            (normalize.exact, "Zoe\u0308", "Zo\u00eb"),
        ],
        ids=["text", "accent", "exact"],
    )
    def test_equal_forms_are_one_contact_on_both_paths(
        self, normaliser: Any, first: str, second: str
    ) -> None:
        policy = Policy(first_match("name"), {"name": field(key=normaliser)})
        fast, general = make_book(policy), make_book(policy)
        assert fast._fast_upsert is not None
        is_equal = normaliser(first) == normaliser(second)
        for book in (fast, general):
            book.upsert({"name": first})
        fast.upsert({"name": second})
        general.apply(general.plan({"name": second}))

        assert len(fast) == len(general) == 2 - is_equal
        assert fast.dump() == general.dump()

    def test_unstorable_form_is_an_error_of_the_normaliser(
        self,
    ) -> None:
        """Though the value is valid text."""
        lines = {"code": field(key=lambda _value: "\ud800")}
        with pytest.raises(TypeError, match=r"code: normaliser .*: what it returns"):
            make_book(Policy(first_match("code"), lines)).upsert({"code": "a"})


def row_of_forms(*forms: str, place: int = 0) -> tuple[Any, ...]:
    """Make a row of a contact with forms of one key."""
    row: list[Any] = [None] * FORMS
    row[ID], row[SCOPE], row[PLACE] = f"c-{place}", "", place
    return (*row, forms if len(forms) > 1 else forms[0] if forms else None)


class TestMove:
    """A repeated move of forms has no further effect."""

    def rows(self, *rows: tuple[Any, ...]) -> dict[str, Any]:
        return {row[ID]: row for row in rows}

    def test_holder_removed_twice_leaves_the_other_holders(self) -> None:
        packed_rows = [row_of_forms("a", place=place) for place in range(3)]
        rows = self.rows(*packed_rows)
        holders: dict[str, dict[str, Entries]] = {"key": {"": {}}}
        for row in packed_rows:
            move(holders, "", None, row, rows)
        for _ in "ab":
            move(holders, "", packed_rows[0], None, rows)
            assert holder_lists(holders) == {("key", "", "a"): ["c-1", "c-2"]}

    def test_form_of_a_new_holder_is_not_removed_twice(self) -> None:
        before, after = row_of_forms("a"), row_of_forms("b")
        new_holder, rows = (
            row_of_forms("a", place=1),
            self.rows(after, row_of_forms("a", place=1)),
        )
        holders: dict[str, dict[str, Entries]] = {"key": {"": {"a": "c-0"}}}
        for _ in "ab":
            move(holders, "", None, new_holder, rows)
            move(holders, "", before, after, rows)
            expected = {("key", "", "a"): ["c-1"], ("key", "", "b"): ["c-0"]}
            assert holder_lists(holders) == expected

    def test_form_that_stays_is_not_removed(self) -> None:
        """A reader without the lock finds it throughout."""
        removed_forms: list[str] = []

        class RecordingEntries(dict[str, Any]):
            def __delitem__(self, form: str) -> None:
                removed_forms.append(form)
                super().__delitem__(form)

        before, after = row_of_forms("a", "b"), row_of_forms("b", "c")
        entries: Entries = RecordingEntries({"a": "c-0", "b": "c-0"})
        holders = {"key": {"": entries}}
        move(holders, "", before, after, self.rows(after))

        assert removed_forms == ["a"]
        assert [*holders["key"][""]] == ["b", "c"]


class TestIndex:
    """Places in the index, and the places of merged ids."""

    def test_put_with_a_place_keeps_it(self) -> None:
        """The next new contact has the next place."""
        index = ContactIndex(["email"])
        index.put(make_contact("c"), [[]], place=5)
        index.put(make_contact("a"), [[]], place=2)
        index.put(make_contact("d"), [[]])

        assert [contact.id for contact in index] == ["a", "c", "d"]
        assert [index.find_place(id) for id in "acd"] == [2, 5, 6]

    def test_survivor_under_a_merged_id_takes_the_first_place(
        self,
    ) -> None:
        """Iteration is in the order of creation."""
        index = ContactIndex(["email"])
        for id in "abc":
            index.put(make_contact(id), [[]])
        index.put(make_contact("a", "b"), [[]])
        index.put(make_contact("b", "a"), [[]])

        assert [contact.id for contact in index] == ["b", "c"]
        assert (index.find_place("b"), index.get("a").id) == (0, "b")

    def test_places_of_merged_ids_are_stored_until_undo(self) -> None:
        book = make_book()
        book.upsert(ADA)
        book.upsert({**ADA, "name": "Ada King"})
        book.create(EVE)
        book.apply(book.plan({**ADA, "name": "Ada"}))
        assert book._index.former_places == {}
        outcome = book.merge("c-1", "c-2")
        assert book._index.former_places == {("", "c-2"): 1}
        book.undo(outcome)
        assert book._index.former_places == {}

    def test_clear_removes_merged_ids_and_places(self) -> None:
        index = ContactIndex(["email"])
        for contact in (make_contact("a"), make_contact("b"), make_contact("a", "b")):
            index.put(contact, [[]])
        index.clear()

        assert (len(index), index.redirects, index.former_places, index.next) == (
            0,
            {},
            {},
            0,
        )
