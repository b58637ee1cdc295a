"""A store over two dicts, which knows neither rows nor records: only the protocol."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from attrs import define, evolve, field

from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import UnknownContact
from upsertcore.model.contact import Contact
from upsertcore.model.view import Address, BookView, Forms
from upsertcore.store.idempotency import CallKey, replay_of
from upsertcore.store.ids import IdInUse
from upsertcore.store.journal import Entry
from upsertcore.store.stamp import Stamp
from upsertcore.store.transaction import (
    Decide,
    History,
    MakeRequest,
    Remainder,
    Stage,
    WriteStep,
)

__all__ = ["DictStore"]

T = TypeVar("T")


@define
class Data:
    """All that is stored; a write changes a copy, which replaces it as a whole."""

    keys: tuple[str, ...]
    stored: dict[Address, tuple[int, Contact, Forms]] = field(factory=dict)
    """Scope and id to place, contact and forms."""

    merged: dict[Address, tuple[Address, int]] = field(factory=dict)
    """The same of a merged contact to the survivor's, and the place that it had."""

    entries: list[Entry] = field(factory=list)
    calls: dict[tuple[str, str], Any] = field(factory=dict)
    next: int = 0

    def copy(self) -> Data:
        parts = dict(self.stored), dict(self.merged), [*self.entries], dict(self.calls)
        return Data(self.keys, *parts, self.next)

    def entry(self, id: str, scope: str) -> tuple[int, Contact, Forms]:
        address = scope, id
        while address in self.merged:
            address = self.merged[address][0]
        if address not in self.stored:
            raise UnknownContact(id)
        return self.stored[address]

    def get(self, id: str, scope: str) -> Contact:
        return self.entry(id, scope)[1]

    def get_with_forms(self, id: str, scope: str) -> tuple[Contact, Forms]:
        return self.entry(id, scope)[1:]

    def by_creation(self) -> list[tuple[int, Contact, Forms]]:
        return sorted(self.stored.values(), key=lambda entry: entry[0])

    def contacts(self, addresses: Iterable[Address]) -> list[Contact]:
        wanted = {*addresses}
        return [one for one in self if (one.scope, one.id) in wanted]

    def lists(self, key: str) -> dict[tuple[str, str], list[str]]:
        lists: dict[tuple[str, str], list[str]] = defaultdict(list)
        for _place, contact, forms in self.by_creation():
            for form in forms[self.keys.index(key)]:
                lists[contact.scope, form].append(contact.id)
        return lists

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        return tuple(self.lists(key).get((scope, form), ()))

    def shared_forms(
        self, key: str, scope: str | None = None
    ) -> list[tuple[str, list[str]]]:
        pairs = self.lists(key).items()
        wanted = [(at, ids) for (at, _), ids in pairs if scope in (None, at)]
        return [(at, ids) for at, ids in wanted if len(ids) > 1]

    def created_after(self, id: str, scope: str) -> Iterator[Contact]:
        place = self.entry(id, scope)[0]
        return iter([one for at, one, _forms in self.by_creation() if at > place])

    def check(self) -> None:
        for (scope, _id), ((to, survivor), _place) in self.merged.items():
            assert to == scope
            assert self.entry(survivor, scope)

    def with_forms(self) -> Iterator[tuple[Contact, Forms]]:
        return iter([(one, forms) for _place, one, forms in self.by_creation()])

    def __len__(self) -> int:
        return len(self.stored)

    def __iter__(self) -> Iterator[Contact]:
        return iter([contact for _place, contact, _forms in self.by_creation()])

    def put(self, contact: Contact, forms: Iterable[Iterable[str]]) -> None:
        scope, own = contact.scope, (contact.scope, contact.id)
        place = self.stored[own][0] if own in self.stored else self.next
        self.next = max(self.next, place + 1)
        for id in contact.merged_ids:
            if (scope, id) in self.stored:
                self.merged[scope, id] = own, self.stored.pop((scope, id))[0]
        held = tuple([tuple(forms_of_key) for forms_of_key in forms])
        self.stored[own] = place, contact, held

    def remove(self, id: str, scope: str) -> Contact:
        contact = self.entry(id, scope)[1]
        del self.stored[scope, contact.id]
        for merged_id in contact.merged_ids:
            self.merged.pop((scope, merged_id), None)
        return contact

    def split(
        self, contact: Contact, forms: Forms, back: Iterable[tuple[Contact, Forms]]
    ) -> None:
        self.put(contact, forms)
        for other, held in back:
            place = self.merged.pop((other.scope, other.id))[1]
            self.stored[other.scope, other.id] = place, other, held

    def changes(self) -> list[Outcome]:
        return [entry.outcome for entry in self.entries[::-1] if entry.outcome]

    def replace(self, scope: str, new: Callable[[Outcome], Outcome | None]) -> int:
        replaced = 0
        for n, entry in enumerate(self.entries):
            if entry.outcome is not None and entry.outcome.contact.scope == scope:
                self.entries[n] = evolve(entry, outcome=new(entry.outcome))
                replaced += self.entries[n].outcome is not entry.outcome
        for (at, key), (identity, outcome) in [*self.calls.items()]:
            kept = new(outcome) if at == scope else outcome
            replaced += kept is not outcome
            self.calls[at, key] = identity, kept
            if kept is None:
                del self.calls[at, key]
        return replaced

    def log(self, outcome: Outcome) -> Outcome:
        if not outcome.unchanged:
            self.entries.append(Entry(len(self.entries) + 1, outcome))
        return outcome

    def write(self, plan: Plan, stamp: Stamp) -> Outcome:
        stamp.prepare(plan)
        outcome = stamp.outcome(plan)
        contact = outcome.contact
        address = contact.scope, contact.id
        if plan.before is None and address in {*self.stored, *self.merged}:
            raise IdInUse(contact.id)
        if contact is not plan.before:
            self.put(contact, plan.forms)
        return self.log(outcome)


class DictStore:
    """A store whose every write is a copy of all that is stored."""

    def __init__(
        self,
        keys: Iterable[str],
        ids: Callable[[], str],
        clock: Callable[[], datetime],
    ) -> None:
        self.data, self.draws = Data(tuple(keys)), (ids, clock)

    def change_copy(self, edit: Callable[[Data], T]) -> T:
        copy = self.data.copy()
        result = edit(copy)
        self.data = copy
        return result

    def read(self, query: Callable[[BookView], T]) -> T:
        return query(self.data)

    def stream(self, query: Callable[[BookView], Iterator[T]]) -> Iterator[T]:
        return query(self.data)

    def plan(self, make_request: MakeRequest, decide: Decide) -> Plan:
        return decide(make_request(self.data))

    def write(
        self,
        make_request: MakeRequest,
        decide: Decide,
        call: CallKey | None = None,
        remainder: Remainder | None = None,
    ) -> Outcome:
        assert remainder is None

        def edit(data: Data) -> Outcome:
            replay = call and replay_of(call, data.calls.get(call[:2]))
            if replay:
                return replay
            outcome = data.write(decide(make_request(data)), Stamp(*self.draws))
            if call:
                data.calls[call[:2]] = call[2], outcome
            return outcome

        return self.change_copy(edit)

    def write_all(self, run: Callable[[WriteStep], list[Outcome]]) -> list[Outcome]:
        def edit(data: Data) -> list[Outcome]:
            def step(make_request: MakeRequest, decide: Decide) -> Outcome:
                return data.write(decide(make_request(data)), Stamp(*self.draws))

            return run(step)

        return self.change_copy(edit)

    def apply(self, plan: Plan) -> Outcome:
        plan.check_not_stale(self.data)
        return self.change_copy(lambda data: data.write(plan, Stamp(*self.draws)))

    def change(self, edit: Callable[[Stage], Outcome]) -> Outcome:
        return self.change_copy(lambda data: data.log(edit(data)))

    def time(self) -> datetime:
        return Stamp(*self.draws).time()

    def purge(self, edit: Callable[[Stage, History], int]) -> int:
        return self.change_copy(lambda data: edit(data, data))

    def changes_since(self, number: int) -> tuple[Entry, ...]:
        return tuple(self.data.entries[number:])
