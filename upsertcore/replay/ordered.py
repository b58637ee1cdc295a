"""
The ordered replay: the rows of a log, component by component.

Rules:
    An id is made of the number of the patch that creates the contact, and a time is
    that of the patch; nothing is counted, and no clock is read.
    Nothing is kept of a component once it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias, TypeVar, final

from attrs import frozen

from upsertcore.book.book import ContactBook
from upsertcore.book.loading import admitted_forms
from upsertcore.engine.decide import decide
from upsertcore.engine.outcome import Outcome
from upsertcore.errors import Refused, note
from upsertcore.model.contact import Contact
from upsertcore.policy.policy import Policy
from upsertcore.replay.linking import KnownContact, Linking, LogRow, SentPatch
from upsertcore.store.index import ContactIndex

if TYPE_CHECKING:
    from upsertcore.model.view import Forms

__all__ = ["ComputedForms", "Event", "Replayed", "StoredContact", "replay", "watched"]

T = TypeVar("T")

_COMPONENT = attrgetter("component")


@final
@frozen
class Replayed:
    """
    What became of one patch of a log.

    Args:
        component: The number of its component.
        sequence: The patch's own number.
        answer: The outcome, or the refusal.

    >>> Replayed(7, 9, Refused("no")).sequence
    9
    """

    component: int
    sequence: int
    answer: Outcome | Refused


@final
@frozen
class StoredContact:
    """
    A contact as it stands at the end of its component.

    Args:
        component: The number of its component.
        sequence: Its place by creation: the number of the patch that created it, or
            the one that it had already.
        contact: The contact.

    >>> from datetime import datetime, timezone
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> StoredContact(7, 9, Contact("9", "", {}, 1, now, now)).contact.id
    '9'
    """

    component: int
    sequence: int
    contact: Contact


@final
@frozen
class ComputedForms:
    """
    A link that no patch before carried whole.

    A form is meant that a contact came to hold, or that was looked up because it would.

    Args:
        component: The number of its component.
        link: As :class:`Linking` makes it.

    >>> ComputedForms(7, "0:0:ada|king").component
    7
    """

    component: int
    link: str


Event: TypeAlias = Replayed | StoredContact
"""What a replay gives, in the order in which it is made."""


def replay(
    rows: Iterable[LogRow], policy: Policy, *, ids: Callable[[int], str] = str
) -> Iterator[Event]:
    """
    Do a log again, component by component.

    Args:
        rows: The rows of each component together, by their numbers, as
            :func:`components` sorts them; the components in any order.
        policy: The table.
        ids: Makes the id of a contact of the number of the patch that creates it;
            another for each number, and none that a known contact has.

    Returns:
        One answer for each patch, and after the answers of each component its
        contacts by creation; they come as they are made.

    Raises:
        ValueError: If the rows are not sorted, or an id is that of a contact that is
            known and came before.
        Refused: If a known contact cannot live under the policy.

    Cost:
        That of the upserts; memory for one component at a time, and for the ids of
        the contacts that are known.

    Laws:
        Whatever the order of the components, the contacts, sorted by their numbers,
        are those of one book that took the log in its order.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import field, first_match, normalize
    >>> from upsertcore.replay import components
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> log = [SentPatch(n, {"id": id}, now) for n, id in enumerate("aba")]
    >>> for each in replay(components(log, policy).rows, policy):
    ...     if isinstance(each, Replayed):
    ...         print(each.sequence, each.answer.result)
    ...     else:
    ...         print(each.contact.id, dict(each.contact.fields))
    0 created
    2 unchanged
    0 {'id': 'a'}
    1 created
    1 {'id': 'b'}
    """
    return _Replay(policy, ids, None).run(rows)  # type: ignore[return-value]


def watched(
    rows: Iterable[LogRow], policy: Policy, *, ids: Callable[[int], str] = str
) -> Iterator[Event | ComputedForms]:
    """
    Do a log again as :func:`replay`, and tell of links that no patch carried.

    Where such a link is another component's too, the two are one, and are to be done
    again together. :func:`components` sees to that itself; this is for who takes a log
    apart elsewhere, where :class:`Linking` says that it ``makes`` links.
    """
    return _Replay(policy, ids, Linking(policy)).run(rows)


@final
class _Watched:
    """An index as a decision sees it, which notes the forms that are looked up."""

    __slots__ = ("_index", "_linking", "links")

    def __init__(self, index: ContactIndex, linking: Linking) -> None:
        self._index, self._linking = index, linking
        self.links: list[str] = []

    def get(self, id: str) -> Contact:
        return self._index.get(id)

    def found(self, id: str) -> tuple[Contact, Forms]:
        return self._index.found(id)

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        self.links.append(self._linking.link(key, scope, form))
        return self._index.holders(key, form, scope)


@final
class _Replay:
    """One book, which has the contacts of one component at a time."""

    def __init__(
        self, policy: Policy, ids: Callable[[int], str], linking: Linking | None
    ) -> None:
        self._policy, self._linking = policy, linking
        self._index = ContactIndex([key.name for key in policy.all_keys])
        self._ids, self._id = ids, ""
        self._known: set[str] = set()
        self._row: SentPatch
        self._book = ContactBook(
            policy, ids=self._next_id, clock=self._time, index=self._index
        )

    def _next_id(self) -> str:
        self._id = self._ids(self._row.sequence)
        if self._id in self._known:
            raise ValueError(f"ids: {self._id!r} is the id of a known contact")
        return self._id

    def _time(self) -> datetime:
        return self._row.at

    def run(self, rows: Iterable[LogRow]) -> Iterator[Event | ComputedForms]:
        for component, group in groupby(rows, _COMPONENT):
            yield from self._component(component, group)
            self._index.clear()

    def _component(
        self, component: int, rows: Iterable[LogRow]
    ) -> Iterator[Event | ComputedForms]:
        places: dict[str, int] = {}
        carried: set[str] = set()
        last: int | None = None
        for row in rows:
            _see_that_it_follows(component, row.sequence, last)
            last = row.sequence
            if isinstance(row, KnownContact):
                self._admit(row.contact)
                places[row.contact.id] = row.sequence
                if self._linking is not None:
                    carried.update(self._linking(row))
                continue
            looked = self._looked_up(row)
            answer = self._answer(row)
            if isinstance(answer, Outcome) and answer.created:
                places[self._id] = row.sequence
            if self._linking is not None:
                carried.update(self._linking(row))
                if isinstance(answer, Outcome) and not answer.unchanged:
                    looked += self._linking.held(answer.contact)
                for link in dict.fromkeys(looked):
                    if link not in carried:
                        carried.add(link)
                        yield ComputedForms(component, link)
            yield Replayed(component, row.sequence, answer)
        for contact in self._index:
            yield StoredContact(component, places[contact.id], contact)

    def _looked_up(self, row: SentPatch) -> tuple[str, ...]:
        """Decide as the book will, to see which forms that asks for."""
        if self._linking is None:
            return ()
        watched = _Watched(self._index, self._linking)
        with suppress(Refused):
            self._named(
                row, lambda: decide(self._policy, row.patch, watched, scope=row.scope)
            )
        return tuple(watched.links)

    def _admit(self, contact: Contact) -> None:
        for id in contact.ids:
            if id in self._known:
                raise ValueError(f"id: {id!r} is of two known contacts")
            self._known.add(id)
        self._index.put(contact, admitted_forms(self._policy, self._index, contact))

    def _answer(self, row: SentPatch) -> Outcome | Refused:
        self._row = row
        try:
            return self._named(
                row, lambda: self._book.upsert(row.patch, scope=row.scope)
            )
        except Refused as refusal:
            return refusal

    def _named(self, row: SentPatch, do: Callable[[], T]) -> T:
        """Do something about a patch; what goes wrong tells about which."""
        try:
            return do()
        except Refused:
            raise
        except Exception as error:
            note(error, f"in the patch of sequence {row.sequence}")
            raise


def _see_that_it_follows(
    component: int | None, sequence: int, last: int | None
) -> None:
    """See that a row is the first of its component, or comes after the one before."""
    if component is None:
        raise ValueError(f"component: row {sequence} has none; components() finds it")
    if last is None and sequence != component:
        told = f"must begin with row {component}, not with {sequence}"
        raise ValueError(f"component {component}: {told}; are the rows sorted?")
    if last is not None and sequence <= last:
        told = f"row {sequence} must stand before {last}"
        raise ValueError(f"component {component}: {told}; are the rows sorted?")
