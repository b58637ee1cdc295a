"""The store: what the fast path, the writer, staged writes and the index each check."""

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
    normalize,
)
from upsertcore.engine.patch import Request
from upsertcore.model.packed_row import FORMS, ID, PLACE, SCOPE
from upsertcore.model.write_record import NUMBER
from upsertcore.policy.policy import compiled
from upsertcore.rules import custom
from upsertcore.store import memory, queue
from upsertcore.store.contact_index import ContactIndex
from upsertcore.store.key_index import Entries, holder_lists, move
from upsertcore.store.overlay import Overlay

NOW = datetime(2024, 1, 2, tzinfo=UTC)
EMAIL = field(key=normalize.email, unique=True)
ADA = {"email": "ada@x.org", "name": "Ada"}
EVE = {"email": "eve@x.org", "name": "Eve"}


def book(policy: Policy | None = None, **how: Any) -> ContactBook:
    """Make a book with ids and a clock of its own."""
    ids, hours = count(1), count()
    lines = {"email": EMAIL, "name": field()}
    table = Policy(first_match("email"), lines) if policy is None else policy
    parts: dict[str, Any] = {
        "ids": lambda: f"c-{next(ids)}",
        "clock": lambda: NOW + timedelta(hours=next(hours)),
    }
    return ContactBook(table, **{**parts, **how})


def meddling(meddle: Callable[[], object]) -> Policy:
    """Make a policy with a field whose rule does something else before it merges."""

    def note(_stored: Any, sent: Any) -> Any:
        meddle()
        return sent

    lines = {"email": EMAIL, "name": field(), "note": field(rule=custom(note))}
    return Policy(first_match("email"), lines)


def contact(id: str, *merged_ids: str) -> Contact:
    return Contact(id, "", {}, 1 + bool(merged_ids), NOW, NOW, merged_ids=merged_ids)


class TestFreshIds:
    """An id that ``ids`` returns is the id of no contact, merged ones included."""

    def merged(self, *ids: str) -> ContactBook:
        """Make a book in which c-1 has absorbed c-2, and these ids come next."""
        made = book(ids=iter(["c-1", "c-2", *ids]).__next__)
        made.upsert(ADA)
        made.upsert(EVE)
        made.merge("c-1", "c-2")
        return made

    def test_the_fast_path_refuses_the_id_of_an_absorbed_contact(self) -> None:
        """It resolves to the survivor, and would mean two contacts."""
        made = self.merged("c-2")
        with pytest.raises(ValueError, match="a contact already has 'c-2'"):
            made.upsert({"email": "bob@x.org"})

        assert made.get("c-2").id == "c-1"
        assert len(made) == 1

    def test_a_batch_refuses_the_id_of_an_absorbed_contact(self) -> None:
        """The overlay of an atomic batch knows it too."""
        made = self.merged("c-2")
        with pytest.raises(ValueError, match="a contact already has 'c-2'"):
            made.upsert_many([{"email": "bob@x.org"}], atomic=True)

        assert Overlay(made._index).has_id("c-2")
        assert not Overlay(made._index).has_id("c-3")

    def test_an_id_that_is_not_needed_any_more_is_no_mistake(self) -> None:
        """While it was drawn, the contact was created under it."""

        def fresh() -> str:
            if next(draws) == 0:
                made.create({"email": "ada@x.org"})
            return "c-1"

        draws = count()
        made = book(ids=fresh)

        assert made.upsert(ADA).updated
        assert [contact.id for contact in made] == ["c-1"]


def test_each_change_is_counted_whether_it_is_kept_or_not() -> None:
    """On the fast path and on the general one; what changes nothing has no number."""
    for keep in (0, 1, None):
        made = book(retain_changes=keep)
        made.upsert(ADA)
        made.upsert({**ADA, "name": "Ada King"})
        made.upsert(ADA, idempotency_key="k-1")
        made.upsert(ADA, idempotency_key="k-2")
        made.create(EVE)
        made.upsert_many([{"email": "bob@x.org"}, ADA, EVE], atomic=True)

        assert made._store.completed[NUMBER] == 5
        kept = {0: 0, 1: 1, None: 5}[keep]
        numbers = [each.number for each in made.changes_since(5 - kept)]
        assert numbers == [*range(1, 6)][5 - kept :]


def created(made: ContactBook, turn: int) -> str:
    return made.create({"email": f"{turn}@x.org"}).contact.id


WRITES: dict[str, Callable[[ContactBook, int], object]] = {
    "update, fast": lambda _made, _turn: None,
    "create, fast": lambda made, n: made.upsert({"email": f"{n}@x.org"}),
    "create": created,
    "atomic": lambda made, n: made.upsert_many([{"email": f"{n}@x"}], atomic=True),
    "purge": lambda made, n: made.purge(created(made, n)),
    "delete": lambda made, n: made.delete(created(made, n)),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_call_that_is_overtaken_by_itself_is_told_so(name: str) -> None:
    """Whatever its own function writes; after a hundred times it is no accident."""
    turns = count()

    def meddle() -> None:
        turn = next(turns)
        if 0 < turn < 300:
            made.upsert({**ADA, "name": f"{turn}"})
            WRITES[name](made, turn)

    made = book(meddling(meddle))
    made.upsert({**ADA, "note": "a"})
    with pytest.raises(RuntimeError, match="changed during each of many attempts"):
        made.upsert({**ADA, "note": "b"})

    assert next(turns) < 300
    made._index.check()


def by_another(call: Callable[[], object]) -> None:
    """Make a call in a thread of its own, and wait for its end."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


class TestOvertaken:
    """A decision counts only if what it rests on still holds."""

    def test_what_is_unchanged_is_so_at_that_moment(self) -> None:
        """A rule that changes the contact meanwhile makes it an update."""
        turns = count()

        def meddle() -> None:
            if next(turns) == 1:
                made.upsert({**ADA, "name": "Eve"})

        made = book(meddling(meddle))
        made.upsert({**ADA, "note": "a"})
        outcome = made.upsert({**ADA, "note": "a"})

        assert (outcome.result, outcome.contact["name"]) == ("updated", "Ada")
        assert outcome.contact.version == 3

    def test_a_plan_is_of_the_book_as_it_is(self) -> None:
        """A rule that changes the contact meanwhile is planned with."""
        turns = count()

        def meddle() -> None:
            if next(turns) == 1:
                made.upsert({**ADA, "name": "Eve"})

        made = book(meddling(meddle))
        made.upsert({**ADA, "note": "a"})
        plan = made.plan({**ADA, "note": "b"})

        assert plan.before is not None
        assert (plan.before.version, plan.before["name"]) == (2, "Eve")

    def test_a_time_is_drawn_once_by_an_update(self) -> None:
        """The general path has the time that the fast path has drawn."""
        ticks: list[datetime] = []

        def clock() -> datetime:
            ticks.append(NOW + timedelta(hours=len(ticks)))
            now = ticks[-1]
            if len(ticks) == 2:
                made.upsert({**ADA, "name": "Eve"})
            return now

        made = book(clock=clock)
        made.upsert(ADA)
        outcome = made.upsert({**ADA, "name": "Bo"})

        assert outcome.contact.updated_at == ticks[1]
        assert len(ticks) == 3

    def test_a_refusal_that_still_holds_is_told_at_once(self) -> None:
        """Another contact that is written meanwhile is no reason to decide again."""
        calls: list[Any] = []

        def refuse(_stored: Any, sent: Any) -> Any:
            calls.append(sent)
            by_another(lambda: made.create(EVE))
            raise ValueError("must wait")

        lines = {"email": EMAIL, "name": field(), "note": field(rule=custom(refuse))}
        made = book(Policy(first_match("email"), lines))
        with pytest.raises(errors.InvalidField, match="note: must wait"):
            made.create({**ADA, "note": "x"})

        assert calls == ["x"]
        assert [each["name"] for each in made] == ["Eve"]

    def test_others_may_overtake_it_as_often_as_they_like(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only what it has written itself counts as a mistake."""
        monkeypatch.setattr(queue, "_QUEUE_SECONDS", 0.0)
        turns = count()

        def meddle() -> None:
            turn = next(turns)
            if 0 < turn < 120:
                by_another(lambda: made.upsert({**ADA, "name": f"{turn}"}))

        made = book(meddling(meddle))
        made.upsert({**ADA, "note": "a"})

        assert made.upsert({**ADA, "note": "b"}).contact["note"] == "b"
        assert next(turns) > 100

    @pytest.mark.parametrize("overtaken", [0, 2, 3, 9])
    def test_what_does_not_concern_it_makes_no_decision_again(
        self, overtaken: int
    ) -> None:
        """It is only prepared again; after a few times, others wait."""
        made = book()
        made.upsert(ADA)
        turns, decisions = count(), list[str]()

        def prepare(decided: str, state: Any) -> tuple[str, Any]:
            if (turn := next(turns)) < overtaken:
                made.create({"email": f"{turn}@x.org"})
            return decided, None

        def decide(asked: Request) -> str:
            decisions.append(asked.scope)
            return "decided"

        def ask() -> Request:
            by_name, match = compiled(made.policy).by_name, made.policy.match
            return Request(by_name, ({}, {}), made._index, "east", match)

        assert made._store._attempt(ask, decide, prepare) == "decided"
        assert len(made) == 1 + overtaken
        assert decisions == ["east"]
        assert made._store.published is made._store.completed

    def test_a_contact_that_cannot_be_made_of_what_was_half_seen(self) -> None:
        """One that had absorbed another, say, seen before and after a merge."""
        made = book()
        made.upsert(ADA)
        turns = count()

        def ask() -> Request:
            by_name, match = compiled(made.policy).by_name, made.policy.match
            return Request(by_name, ({}, {}), made._index, "", match)

        def decide(asked: Request) -> str:
            asked.get("c-1")
            if next(turns) == 0:
                made.upsert({**ADA, "name": "Eve"})
                raise ValueError(
                    "merged_ids: must not contain c-1, the contact's own id"
                )
            return "decided"

        def prepare(decided: str, _state: Any) -> tuple[str, Any]:
            return decided, None

        assert made._store._attempt(ask, decide, prepare) == "decided"

    def test_an_id_that_is_created_while_it_is_looked_up_is_known(self) -> None:
        """What was half written when it was looked up is looked up again."""
        made = book()
        made.upsert(ADA)

        class Late(dict[str, Any]):
            """Rows of which one comes while it is looked for."""

            def get(self, id: str, default: Any = None) -> Any:
                if id == "c-2" and id not in self:
                    by_another(lambda: made.upsert(EVE))
                    return default
                return super().get(id, default)

            def __getitem__(self, id: str) -> Any:
                if next(asked) == 0:
                    raise KeyError(id)
                return super().__getitem__(id)

        asked = count()
        made._index.rows = Late(made._index.rows)

        assert made.merge("c-1", "c-2").merged

    def test_a_read_is_overtaken_by_nobody(self) -> None:
        """A finaliser of its own thread, whom the lock lets in, is refused."""
        made = book()
        made.upsert(ADA)

        def ask() -> int:
            with pytest.raises(RuntimeError, match="in the middle of a call"):
                made.upsert(EVE)
            return len(made._index)

        assert made._store.read(ask) == 1
        assert made.upsert(EVE).result == "created"


class TestApply:
    """A plan is applied where it still holds; else nothing is drawn for it."""

    def test_a_clock_that_changes_the_contact(self) -> None:
        """It is looked at again under the lock."""

        def clock() -> datetime:
            if next(ticks) == 1:
                made.upsert({**ADA, "name": "Eve"})
            return NOW

        ticks = count()
        made = book(clock=clock)
        made.upsert(ADA)
        plan = made.plan({**ADA, "name": "Bo"})
        with pytest.raises(errors.StalePlan):
            made.apply(plan)

        assert made.get("c-1")["name"] == "Eve"

    def test_a_plan_that_is_stale_asks_for_no_id_and_no_time(self) -> None:
        """They are functions of the caller, and ids are not to be wasted."""
        drawn: Counter[str] = Counter()

        def ids() -> str:
            drawn["ids"] += 1
            return f"c-{drawn['ids']}"

        made = book(ids=ids)
        plan = made.plan(ADA)
        made.upsert(ADA)
        with pytest.raises(errors.StalePlan):
            made.apply(plan)

        assert drawn["ids"] == 1


class TestQueue:
    """A call that was overtaken a few times queues, and others wait for it."""

    def overtaken(self, made: list[ContactBook], then: Callable[[], None]) -> Policy:
        """Make a policy whose rule is overtaken until its call queues."""
        turns = count()

        def meddle() -> None:
            turn = next(turns)
            if 0 < turn < 4:
                made[0].upsert({**ADA, "name": f"{turn}"})
            elif turn:
                then()

        return meddling(meddle)

    def test_who_waits_goes_on_as_soon_as_it_is_done(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And not after the time that it would wait at most."""
        monkeypatch.setattr(queue, "_QUEUE_SECONDS", 30.0)
        waiting: list[threading.Thread] = []

        def then() -> None:
            call = threading.Thread(target=lambda: books[0].upsert(EVE), daemon=True)
            call.start()
            waiting.append(call)

        books: list[ContactBook] = []
        books.append(book(self.overtaken(books, then)))
        books[0].upsert({**ADA, "note": "a"})
        assert books[0].upsert({**ADA, "note": "b"}).contact["note"] == "b"

        waiting[0].join(timeout=10)
        assert not waiting[0].is_alive()
        assert len(books[0]) == 2

    def test_one_that_is_refused_leaves_nothing_behind(self) -> None:
        """The next writer finds nothing to wait for."""

        def then() -> None:
            raise ValueError("must wait")

        books: list[ContactBook] = []
        books.append(book(self.overtaken(books, then)))
        books[0].upsert({**ADA, "note": "a"})
        with pytest.raises(errors.InvalidField, match="note: must wait"):
            books[0].upsert({**ADA, "note": "b"})

        made = books[0]._store
        assert made.published is made.completed

    def test_one_that_is_overtaken_as_it_queues_goes_on_without(self) -> None:
        """There is nobody who waits for it, and nothing to leave."""
        made = book()
        made.upsert(ADA)
        begun = queue.ready_state(made._store)
        made.upsert(EVE)
        assert not queue.swap(made._store, begun, begun)
        state = made._store.published
        queue.dequeue(made._store, state)

        assert made._store.published is state

    def test_its_own_function_does_not_wait_for_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A write of the same thread goes first; it would wait for itself."""
        waits: list[Any] = []

        class Event(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                waits.append(timeout)
                return True

        monkeypatch.setattr(threading, "Event", Event)
        books: list[ContactBook] = []

        def then() -> None:
            if len(books[0]) == 1:
                books[0].upsert(EVE)

        books.append(book(self.overtaken(books, then)))
        books[0].upsert({**ADA, "note": "a"})
        books[0].upsert({**ADA, "note": "b"})

        assert (waits, len(books[0])) == ([], 2)

    def test_a_verb_without_a_decision_waits_for_one_that_queues_late(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It does not hold the lock that the other one needs to be done."""
        monkeypatch.setattr(queue, "_QUEUE_SECONDS", 0.0)
        made = book()
        made.upsert(ADA)
        begun, queued = queue.ready_state, list[Any]()

        def late(store: memory.MemoryStore) -> Any:
            state = begun(store)
            if threading.current_thread() is main and not queued:
                by_another(lambda: queued.append(queue.enqueue(store)))
            return state

        main = threading.current_thread()
        monkeypatch.setattr(memory, "ready_state", late)

        assert made.delete("c-1").id == "c-1"
        assert (len(queued), len(made)) == (1, 0)


def test_what_is_unchanged_in_a_batch_keeps_its_row() -> None:
    """It is not written again, whatever the others of the batch are."""
    made = book()
    made.upsert(ADA)
    row = made._index.rows["c-1"]
    made.upsert_many([ADA, EVE], atomic=True)

    assert made._index.rows["c-1"] is row
    assert len(made) == 2


class TestText:
    """Text that is not ASCII has the form that its normaliser makes of it."""

    @pytest.mark.parametrize(
        ("normal", "one", "other"),
        [
            (normalize.text, "Stra\u00dfe", "STRASSE"),
            (normalize.text, "Zoe\u0308", "zo\u00eb"),
            (normalize.exact, "Zoe\u0308", "Zo\u00eb"),
        ],
        ids=["text", "accent", "exact"],
    )
    def test_two_spellings_are_one_contact(
        self, normal: Any, one: str, other: str
    ) -> None:
        """On the fast path as on the general one."""
        policy = Policy(first_match("name"), {"name": field(key=normal)})
        made, plain = book(policy), book(policy)
        assert made._fast_upsert is not None
        same = normal(one) == normal(other)
        for each in (made, plain):
            each.upsert({"name": one})
        made.upsert({"name": other})
        plain.apply(plain.plan({"name": other}))

        assert len(made) == len(plain) == 2 - same
        assert made.dump() == plain.dump()

    def test_a_form_that_cannot_be_written_is_a_mistake_of_the_normaliser(
        self,
    ) -> None:
        """It is told, though the value is plain text."""
        lines = {"code": field(key=lambda _value: "\ud800")}
        with pytest.raises(TypeError, match=r"code: normaliser .*: what it returns"):
            book(Policy(first_match("code"), lines)).upsert({"code": "a"})


def holding(*forms: str, place: int = 0) -> tuple[Any, ...]:
    """Make a row of a contact with forms of one key."""
    row: list[Any] = [None] * FORMS
    row[ID], row[SCOPE], row[PLACE] = f"c-{place}", "", place
    return (*row, forms if len(forms) > 1 else forms[0] if forms else None)


class TestMove:
    """What is moved once and once more is where it was moved to."""

    def rows(self, *rows: tuple[Any, ...]) -> dict[str, Any]:
        return {row[ID]: row for row in rows}

    def test_one_of_several_that_is_removed_twice_takes_nobody_along(self) -> None:
        """Where it stood stands the next one now."""
        every = [holding("a", place=n) for n in range(3)]
        rows = self.rows(*every)
        holders: dict[str, dict[str, Entries]] = {"key": {"": {}}}
        for row in every:
            move(holders, "", None, row, rows)
        for _ in "ab":
            move(holders, "", every[0], None, rows)
            assert holder_lists(holders) == {("key", "", "a"): ["c-1", "c-2"]}

    def test_a_form_that_another_has_taken_meanwhile_stays_there(self) -> None:
        """It is dropped by the one that had it, and no second time."""
        was, now = holding("a"), holding("b")
        taken, rows = holding("a", place=1), self.rows(now, holding("a", place=1))
        holders: dict[str, dict[str, Entries]] = {"key": {"": {"a": "c-0"}}}
        for _ in "ab":
            move(holders, "", None, taken, rows)
            move(holders, "", was, now, rows)
            expected = {("key", "", "a"): ["c-1"], ("key", "", "b"): ["c-0"]}
            assert holder_lists(holders) == expected

    def test_a_form_that_stays_is_not_touched(self) -> None:
        """A reader without the lock finds it throughout."""
        gone: list[str] = []

        class Watched(dict[str, Any]):
            def __delitem__(self, form: str) -> None:
                gone.append(form)
                super().__delitem__(form)

        was, now = holding("a", "b"), holding("b", "c")
        entries: Entries = Watched({"a": "c-0", "b": "c-0"})
        holders = {"key": {"": entries}}
        move(holders, "", was, now, self.rows(now))

        assert gone == ["a"]
        assert [*holders["key"][""]] == ["b", "c"]


class TestIndex:
    """Contacts stand by creation, and what is known of merged ids is let go."""

    def test_a_place_of_its_own_is_kept(self) -> None:
        """The next new contact comes after the last one by creation."""
        index = ContactIndex(["email"])
        index.put(contact("c"), [[]], place=5)
        index.put(contact("a"), [[]], place=2)
        index.put(contact("d"), [[]])

        assert [each.id for each in index] == ["a", "c", "d"]
        assert [index.find_place(id) for id in "acd"] == [2, 5, 6]

    def test_a_survivor_under_another_id_stands_where_the_first_one_stood(
        self,
    ) -> None:
        """Iteration goes by creation, not by when a row was stored."""
        index = ContactIndex(["email"])
        for id in "abc":
            index.put(contact(id), [[]])
        index.put(contact("a", "b"), [[]])
        index.put(contact("b", "a"), [[]])

        assert [each.id for each in index] == ["b", "c"]
        assert (index.find_place("b"), index.get("a").id) == (0, "b")

    def test_places_of_merged_ids_are_kept_as_long_as_they_are_merged(self) -> None:
        """An update keeps none, and undoing a merge lets them go."""
        made = book()
        made.upsert(ADA)
        made.upsert({**ADA, "name": "Ada King"})
        made.create(EVE)
        made.apply(made.plan({**ADA, "name": "Ada"}))
        assert made._index.former_places == {}
        outcome = made.merge("c-1", "c-2")
        assert made._index.former_places == {"c-2": 1}
        made.undo(outcome)
        assert made._index.former_places == {}

    def test_clearing_forgets_merged_ids(self) -> None:
        """Their places too."""
        index = ContactIndex(["email"])
        for each in (contact("a"), contact("b"), contact("a", "b")):
            index.put(each, [[]])
        index.clear()

        assert (len(index), index.redirects, index.former_places, index.next) == (
            0,
            {},
            {},
            0,
        )
