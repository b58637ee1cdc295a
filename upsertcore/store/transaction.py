"""
The protocol of a store: what the verbs of a book need, wherever contacts are kept.

Rules:
    A verb decides through a view, and writes its whole decision, or nothing.
    A store calls an application's functions outside its own lock, and repeats a
    decision if another write has changed what it read.
    The store draws ids and times, once per call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar, final

from upsertcore.engine.outcome import Outcome
from upsertcore.engine.outcomes import Outcomes
from upsertcore.engine.patch import Request
from upsertcore.engine.plan import Plan
from upsertcore.model.contact import Contact
from upsertcore.model.packed_row import unpack_forms
from upsertcore.model.view import BookView, Forms, View
from upsertcore.model.write_record import Record
from upsertcore.store.idempotency import CallKey, KeyedCall
from upsertcore.store.journal import Entry

__all__ = [
    "Decide",
    "FastVerbs",
    "History",
    "MakeRequest",
    "Remainder",
    "Stage",
    "Store",
    "WriteStep",
]

T = TypeVar("T")

MakeRequest: TypeAlias = Callable[[View], Request]
"""Returns the request of a decision on a view; called once per attempt."""

Decide: TypeAlias = Callable[[Request], Plan]

WriteStep: TypeAlias = Callable[[MakeRequest, Decide], Outcome]
"""Makes one of several decisions that are written together."""


@final
class Remainder:
    """
    What the fast path has computed for a call that it cannot complete.

    Args:
        forms: Key name to the patch's form, several forms, or None.
        read: The patch as it was read, and field to reason for what is ignored; None
            if it was not read.
        id: The id that was drawn for a new contact, if any.
        now: The time that was drawn, if any.
        reason: Why, in words of :mod:`upsertcore.store.uncommon`.

    >>> forms = {"email": "ada@x.org", "phone": None}
    >>> Remainder(forms).forms
    {'email': ('ada@x.org',), 'phone': ()}
    """

    __slots__ = ("forms", "id", "now", "read", "reason")

    def __init__(
        self,
        forms: dict[str, Any],
        read: tuple[Mapping[str, Any], Mapping[str, str]] | None = None,
        id: str | None = None,
        now: datetime | None = None,
        reason: str = "",
    ) -> None:
        self.forms: dict[str, tuple[str, ...]] = {
            name: unpack_forms(packed) for name, packed in forms.items()
        }
        self.read, self.id, self.now, self.reason = read, id, now, reason


class FastVerbs(Protocol):
    """
    The common calls under one policy, in a store's own terms.

    Their results are those of the general path. ``upsert`` takes a patch, a scope and
    the idempotency key of the call, and returns the record of a write, the outcome of
    one that is logged with its key, or what the general path needs to complete the
    call; ``upsert_many`` has the general path among its arguments.
    """

    @property
    def upsert(
        self,
    ) -> Callable[[Any, Any, KeyedCall | None], Record | Outcome | Remainder | None]:
        """Upserts one patch."""
        ...

    @property
    def upsert_many(self) -> Callable[..., Outcomes[Any]]:
        """Upserts several patches."""
        ...


class Stage(View, Protocol):
    """
    One write in preparation: it reads what is stored, and collects changes.

    The holders of a form are those before this write.
    """

    def put(self, contact: Contact, forms: Iterable[Iterable[str]]) -> None:
        """Store a contact; it replaces the contact with its id, if there is one."""
        ...

    def remove(self, id: str, scope: str) -> Contact:
        """Remove a contact, with its keys and the ids that resolve to it."""
        ...

    def split(
        self, contact: Contact, forms: Forms, back: Iterable[tuple[Contact, Forms]]
    ) -> None:
        """Restore contacts that were merged into one, each at its earlier place."""
        ...


class History(Protocol):
    """The outcomes that a store retains: of changes, and of calls with a key."""

    def changes(self) -> Iterable[Outcome]:
        """Return the outcomes of the changes, the newest first."""
        ...

    def replace(self, scope: str, new: Callable[[Outcome], Outcome | None]) -> int:
        """
        Replace each outcome of a scope, of changes and calls.

        Args:
            scope: The tenant.
            new: Returns an outcome in place of the given one; None to erase it. A
                change that is erased keeps its number, and a call is forgotten.

        Returns:
            How many outcomes are not the given ones any more.
        """
        ...


class Store(Protocol):
    """What the verbs of a book are written against."""

    def read(self, query: Callable[[BookView], T]) -> T:
        """Read a consistent state; the query calls no function of an application."""
        ...

    def stream(self, query: Callable[[BookView], Iterator[T]]) -> Iterator[T]:
        """Read a consistent state item by item, for use after the call."""
        ...

    def plan(self, make_request: MakeRequest, decide: Decide) -> Plan:
        """Decide, and repeat until nothing that was read has changed."""
        ...

    def write(
        self,
        make_request: MakeRequest,
        decide: Decide,
        call: CallKey | None = None,
        remainder: Remainder | None = None,
    ) -> Outcome:
        """Decide, and write the decision; a logged call is replayed instead."""
        ...

    def write_all(self, run: Callable[[WriteStep], list[Outcome]]) -> list[Outcome]:
        """Write several decisions, each based on those before it, or none of them."""
        ...

    def apply(self, plan: Plan) -> Outcome:
        """Write what a plan says, if nothing that it read has changed."""
        ...

    def change(self, edit: Callable[[Stage], Outcome]) -> Outcome:
        """Write what a function stages; it calls no function of an application."""
        ...

    def time(self) -> datetime:
        """Return the time by the application's clock."""
        ...

    def purge(self, edit: Callable[[Stage, History], int]) -> int:
        """Write what a function stages and replaces; the journal gets no entry."""
        ...

    def changes_since(self, number: int) -> tuple[Entry, ...]:
        """Return the retained changes after a number."""
        ...
