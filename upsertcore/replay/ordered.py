"""
The ordered replay: the rows of a log, component by component.

Rules:
    An id is made of the sequence of the patch that creates the contact, and a time is
    that of the patch; nothing is counted, and no clock is read.
    Nothing of a component is kept after its replay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias, TypeVar, final

from attrs import frozen

from upsertcore.book.contact_book import ContactBook
from upsertcore.engine.decide import decide
from upsertcore.engine.outcome import Outcome
from upsertcore.errors import Refused, add_note
from upsertcore.model.contact import Contact, parts_of
from upsertcore.policy.policy import Policy
from upsertcore.replay.linking import KnownContact, Linking, LogRow, SentPatch
from upsertcore.store.contact_index import ContactIndex, index_for
from upsertcore.store.loader import Loader

if TYPE_CHECKING:
    from upsertcore.model.view import Forms

__all__ = [
    "ComputedForms",
    "Event",
    "Replayed",
    "StoredContact",
    "replay",
    "replay_with_links",
]

T = TypeVar("T")

_COMPONENT = attrgetter("component")


@final
@frozen
class Replayed:
    """
    The result of one patch of a log.

    Args:
        component: The number of its component.
        sequence: The sequence of the patch.
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
    A contact at the end of its component.

    Args:
        component: The number of its component.
        sequence: Its place by creation: the sequence of the patch that created it, or
            of the known contact.
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
    A link of a computed form: no earlier patch carried it.

    A contact holds the form, or it was looked up because a contact would hold it.

    Args:
        component: The number of its component.
        link: As :class:`Linking` computes it.

    >>> ComputedForms(7, "0:0:ada|king").component
    7
    """

    component: int
    link: str


Event: TypeAlias = Replayed | StoredContact
"""An item of a replay."""


def replay(
    rows: Iterable[LogRow], policy: Policy, *, ids: Callable[[int], str] = str
) -> Iterator[Event]:
    """
    Replay a log, component by component.

    Args:
        rows: The rows of each component together, by sequence, as :func:`components`
            sorts them; components in any order.
        policy: The policy.
        ids: A function from the sequence of a patch to the id of the contact that it
            creates; ids must be distinct, and differ from those of known contacts.

    Returns:
        An iterator: one result for each patch, and after the results of a component
        its contacts by creation.

    Raises:
        ValueError: If the rows are not sorted, or an id is that of an earlier known
            contact.
        Refused: If a known contact does not fit the policy.

    Cost:
        The cost of the upserts; memory for one component at a time, and for the ids of
        the known contacts.

    Laws:
        In any order of the components, the contacts sorted by sequence are those of
        one book to which the log is sent in order.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import field, first_match, normalize
    >>> from upsertcore.replay import components
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> log = [SentPatch(n, {"id": id}, now) for n, id in enumerate("aba")]
    >>> for event in replay(components(log, policy).rows, policy):
    ...     if isinstance(event, Replayed):
    ...         print(event.sequence, event.answer.result)
    ...     else:
    ...         print(event.contact.id, dict(event.contact.fields))
    0 created
    2 unchanged
    0 {'id': 'a'}
    1 created
    1 {'id': 'b'}
    """
    return _Replay(policy, ids, None).run(rows)  # type: ignore[return-value]


def replay_with_links(
    rows: Iterable[LogRow], policy: Policy, *, ids: Callable[[int], str] = str
) -> Iterator[Event | ComputedForms]:
    """
    Replay a log as :func:`replay`, and also yield the links of computed forms.

    If two components share such a link, they must be joined and replayed again.
    :func:`components` does that itself; this function is for other ways to split a log,
    for policies whose :class:`Linking` has ``computes_forms``.
    """
    return _Replay(policy, ids, Linking(policy)).run(rows)


@final
class _RecordingView:
    """A view of an index that records the links of the forms that are looked up."""

    __slots__ = ("_index", "_linking", "links")

    def __init__(self, index: ContactIndex, linking: Linking) -> None:
        self._index, self._linking = index, linking
        self.links: list[str] = []

    def get(self, id: str, scope: str) -> Contact:
        return self._index.get(id, scope)

    def get_with_forms(self, id: str, scope: str) -> tuple[Contact, Forms]:
        return self._index.get_with_forms(id, scope)

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        self.links.append(self._linking.link(key, scope, form))
        return self._index.holders(key, form, scope)


@final
class _Replay:
    """A book that holds the contacts of one component at a time."""

    def __init__(
        self, policy: Policy, ids: Callable[[int], str], linking: Linking | None
    ) -> None:
        self._policy, self._linking = policy, linking
        self._index = index_for(policy)
        self._loader = Loader(self._index, policy)
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
        known_links: set[str] = set()
        last: int | None = None
        for row in rows:
            _check_follows(component, row.sequence, last)
            last = row.sequence
            if isinstance(row, KnownContact):
                self._admit(row.contact)
                places[row.contact.id] = row.sequence
                if self._linking is not None:
                    known_links.update(self._linking(row))
                continue
            links = self._looked_up_links(row)
            answer = self._answer(row)
            if isinstance(answer, Outcome) and answer.created:
                places[self._id] = row.sequence
            if self._linking is not None:
                known_links.update(self._linking(row))
                if isinstance(answer, Outcome) and not answer.unchanged:
                    links += self._linking.contact_links(answer.contact)
                for link in dict.fromkeys(links):
                    if link not in known_links:
                        known_links.add(link)
                        yield ComputedForms(component, link)
            yield Replayed(component, row.sequence, answer)
        for contact in self._index:
            yield StoredContact(component, places[contact.id], contact)

    def _looked_up_links(self, row: SentPatch) -> tuple[str, ...]:
        """Decide as the book will, and return the links that the decision looks up."""
        if self._linking is None:
            return ()
        view = _RecordingView(self._index, self._linking)
        with suppress(Refused):
            self._with_note(
                row, lambda: decide(self._policy, row.patch, view, scope=row.scope)
            )
        return tuple(view.links)

    def _admit(self, contact: Contact) -> None:
        for id in contact.ids:
            if id in self._known:
                raise ValueError(f"id: {id!r} belongs to two known contacts")
            self._known.add(id)
        for refusal in self._loader.load(parts_of(contact)):
            raise refusal

    def _answer(self, row: SentPatch) -> Outcome | Refused:
        self._row = row
        try:
            return self._with_note(
                row, lambda: self._book.upsert(row.patch, scope=row.scope)
            )
        except Refused as refusal:
            return refusal

    def _with_note(self, row: SentPatch, call: Callable[[], T]) -> T:
        """Run a call for a patch; an exception gets a note with its sequence."""
        try:
            return call()
        except Refused:
            raise
        except Exception as error:
            add_note(error, f"in the patch of sequence {row.sequence}")
            raise


def _check_follows(component: int | None, sequence: int, last: int | None) -> None:
    """Check that a row is the first of its component, or follows the previous one."""
    if component is None:
        what = f"must not be missing in row {sequence}"
        raise ValueError(f"component: {what}; pass the rows of components()")
    if last is None and sequence != component:
        what = f"must begin with row {component}, not with {sequence}"
        raise ValueError(f"component {component}: {what}; sort the rows")
    if last is not None and sequence <= last:
        what = f"row {sequence} must come before {last}"
        raise ValueError(f"component {component}: {what}; sort the rows")
