"""
The protocol of a store: what the verbs of a book need, wherever contacts are kept.

Rules:
    A verb decides through a view, and writes its whole decision, or nothing.
    A store calls an application's functions outside its own lock, and repeats a
    decision if another write has changed what it read.
    The store draws ids and times, once per call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar, final

from upsertcore.engine.outcome import Outcome
from upsertcore.engine.patch import Request
from upsertcore.engine.plan import Plan
from upsertcore.model.contact import Contact
from upsertcore.model.packed_row import unpack_forms
from upsertcore.model.view import Forms, View
from upsertcore.store.idempotency import CallKey
from upsertcore.store.journal import Entry

__all__ = [
    "Decide",
    "MakeRequest",
    "Remainder",
    "RequestFromView",
    "Stage",
    "Store",
    "WriteStep",
]

T = TypeVar("T")

MakeRequest: TypeAlias = Callable[[], Request]
"""Returns the request of a decision; called once per attempt."""

Decide: TypeAlias = Callable[[Request], Plan]
RequestFromView: TypeAlias = Callable[[View], Request]

WriteStep: TypeAlias = Callable[[RequestFromView, Decide], Outcome]
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

    >>> forms = {"email": "ada@x.org", "phone": None}
    >>> Remainder(forms).forms
    {'email': ('ada@x.org',), 'phone': ()}
    """

    __slots__ = ("forms", "id", "now", "read")

    def __init__(
        self,
        forms: dict[str, Any],
        read: tuple[Mapping[str, Any], Mapping[str, str]] | None = None,
        id: str | None = None,
        now: datetime | None = None,
    ) -> None:
        self.forms: dict[str, tuple[str, ...]] = {
            name: unpack_forms(packed) for name, packed in forms.items()
        }
        self.read, self.id, self.now = read, id, now


class Stage(Protocol):
    """One write in preparation: it reads what is stored, and collects changes."""

    def get(self, id: str) -> Contact:
        """Return the contact that an id resolves to."""
        ...

    def get_with_forms(self, id: str) -> tuple[Contact, Forms]:
        """Return the contact that an id resolves to, and the forms that it holds."""
        ...

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Return the ids of the contacts that hold a form before this write."""
        ...

    def put(self, contact: Contact, forms: Iterable[Iterable[str]]) -> None:
        """Store a contact; it replaces the contact with its id, if there is one."""
        ...

    def remove(self, id: str) -> Contact:
        """Remove a contact, with its keys and the ids that resolve to it."""
        ...

    def split(
        self, contact: Contact, forms: Forms, back: Iterable[tuple[Contact, Forms]]
    ) -> None:
        """Restore contacts that were merged into one, each at its earlier place."""
        ...


class Store(Protocol):
    """What the verbs of a book are written against."""

    def read(self, query: Callable[[], T]) -> T:
        """Read a consistent state; the query calls no function of an application."""
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

    def purge(self, id: str, scope: str) -> int:
        """Erase a person from contacts, changes and logged calls."""
        ...

    def changes_since(self, number: int) -> tuple[Entry, ...]:
        """Return the retained changes after a number."""
        ...
