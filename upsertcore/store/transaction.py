"""
The protocol of a store: what the verbs of a book need, whatever keeps the contacts.

Rules:
    A verb decides through a view, and writes what it decided, or nothing of it.
    A store calls the functions of an application outside its own lock, and repeats a
    decision that another write has overtaken.
    Ids and times are drawn by the store, once for one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar, final

from upsertcore.engine.outcome import Outcome
from upsertcore.engine.patch import Request
from upsertcore.engine.plan import Plan
from upsertcore.model.contact import Contact
from upsertcore.model.layout import unpacked
from upsertcore.model.view import Forms, View
from upsertcore.store.calls import Once
from upsertcore.store.journal import Entry

__all__ = ["Ask", "AskView", "Decide", "Remainder", "Stage", "Store", "WriteStep"]

T = TypeVar("T")

Ask: TypeAlias = Callable[[], Request]
"""Returns what a decision asks with; called once per attempt."""

Decide: TypeAlias = Callable[[Request], Plan]
AskView: TypeAlias = Callable[[View], Request]

WriteStep: TypeAlias = Callable[[AskView, Decide], Outcome]
"""Makes one decision of several that are written together."""


@final
class Remainder:
    """
    What the fast path has computed of a call that it cannot complete.

    Args:
        forms: Key name to what was made of the patch: a form, several, or None.
        names: Of the patch, as the policy has them.
        values: Of these names, cleaned and frozen.
        id: The id that was drawn already for a new contact, None where none was.
        now: The time that was drawn already, None where none was.

    >>> forms = {"email": "ada@x.org", "phone": None}
    >>> remainder = Remainder(forms, ("email",), ("Ada@x.org",))
    >>> remainder.forms, remainder.sent
    ({'email': ('ada@x.org',), 'phone': ()}, {'email': 'Ada@x.org'})
    """

    __slots__ = ("forms", "id", "now", "sent")

    def __init__(
        self,
        forms: dict[str, Any],
        names: tuple[str, ...],
        values: tuple[Any, ...],
        id: str | None = None,
        now: datetime | None = None,
    ) -> None:
        self.forms: dict[str, tuple[str, ...]] = {
            name: unpacked(made) for name, made in forms.items()
        }
        self.sent = dict(zip(names, values, strict=True))
        self.id, self.now = id, now


class Stage(Protocol):
    """One write in the making: it reads what is stored, and collects changes."""

    def get(self, id: str) -> Contact:
        """Return the contact that an id resolves to."""
        ...

    def found(self, id: str) -> tuple[Contact, Forms]:
        """Return the contact that an id resolves to, and the forms that it holds."""
        ...

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Return the ids of the contacts that hold a form before this write."""
        ...

    def put(self, contact: Contact, forms: Iterable[Iterable[str]]) -> None:
        """Store a contact, in place of the one with its id if there is one."""
        ...

    def remove(self, id: str) -> Contact:
        """Remove a contact, with its keys and the ids that resolve to it."""
        ...

    def split(
        self, contact: Contact, forms: Forms, back: Iterable[tuple[Contact, Forms]]
    ) -> None:
        """Put contacts back that were merged into one, each in its earlier place."""
        ...


class Store(Protocol):
    """What the verbs of a book are written against."""

    def read(self, ask: Callable[[], T]) -> T:
        """Read a consistent state; the function calls nothing of an application."""
        ...

    def settle(self, ask: Ask, decide: Decide) -> Plan:
        """Decide until what the decision rests on still holds."""
        ...

    def write(
        self,
        ask: Ask,
        decide: Decide,
        once: Once | None = None,
        remainder: Remainder | None = None,
    ) -> Outcome:
        """Decide, and write what was decided; a call with a known key is replayed."""
        ...

    def write_all(self, run: Callable[[WriteStep], list[Outcome]]) -> list[Outcome]:
        """Write several decisions, each seeing those before it, or none of them."""
        ...

    def apply(self, plan: Plan) -> Outcome:
        """Write what a plan says, if what it rests on still holds."""
        ...

    def change(self, do: Callable[[Stage], Outcome]) -> Outcome:
        """Write what a function stages; it calls nothing of an application."""
        ...

    def time(self) -> datetime:
        """Return the time by the clock of the application."""
        ...

    def purge(self, id: str, scope: str) -> int:
        """Erase a person from contacts, changes and remembered calls."""
        ...

    def changes_since(self, number: int) -> tuple[Entry, ...]:
        """Return the retained changes after a number."""
        ...
