"""
The row: a contact as an index keeps it, and the contact made of it again.

Rules:
    A row is a flat tuple of text, numbers and times, which the collector of garbage
    drops from its lists; only what few contacts have is a mapping or a list in it.
    As long as anybody has the contact of a row, whoever asks is given the same one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, final
from weakref import WeakValueDictionary

from upsertcore.model.contact import Contact, contact_of, set_row
from upsertcore.values import NOTHING, FrozenMap

if TYPE_CHECKING:
    from upsertcore.model.view import Forms

__all__ = [
    "ABSORBED",
    "CREATED",
    "DELETED",
    "FORMS",
    "HISTORY",
    "ID",
    "MAX_NAMES",
    "NAMES",
    "PLACE",
    "SCOPE",
    "UPDATED",
    "VERSION",
    "Names",
    "Row",
    "Rows",
    "contact_in",
    "forms_in",
    "ids_in",
    "packed",
    "row_of",
    "unpacked",
]

Row: TypeAlias = tuple[Any, ...]
"""Its parts by number; from :data:`FORMS` on, what it holds of each key, and then its
values, one for each name. It is flat, for the collector drops it at the first look."""

NAMES, VERSION, CREATED, UPDATED, ID, SCOPE, PLACE, HISTORY, FORMS = range(9)
"""Of a row; its history is None for nearly all contacts."""

_ALIASES, _CLOCKS, ABSORBED, DELETED = range(4)

_made: WeakValueDictionary[int, Contact] = WeakValueDictionary()
"""Identity of a row to the contact that was made of it, or that it was made of."""


@final
class Rows(dict[str, Row]):
    """
    Rows by id, in a mapping that the collector of garbage always knows.

    It drops a plain ``dict`` whose rows it has dropped, which it must walk to see, and
    the next new row makes it young again: all of it would be walked in each of the
    young generations, over and over, while it grows.

    >>> import gc
    >>> gc.is_tracked({}), gc.is_tracked(Rows())
    (False, True)
    """

    __slots__ = ()


MAX_NAMES = 1_000
"""How many tuples of names are shared; others have their own."""


@final
class Names:
    """
    The tuples of names that rows share, one for all rows with the same names.

    >>> names = Names()
    >>> email = names.share(["email"])
    >>> names.share(["email"]) is email, names.has(email), names.has(("email",))
    (True, True, False)
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def share(self, names: Iterable[str]) -> tuple[str, ...]:
        """Give the one tuple of these names; their own where there is no room."""
        own = tuple(names)
        known = self._known.get(own)
        if known is None:
            if len(self._known) >= MAX_NAMES:
                return own
            # In one step: what another call shares meanwhile stays the one.
            known = self._known.setdefault(own, own)
        return known

    def has(self, names: tuple[str, ...]) -> bool:
        """Tell whether this very tuple is shared."""
        return self._known.get(names) is names


_NO_HISTORY: tuple[Any, ...] = NOTHING, NOTHING, (), None


def row_of(contact: Contact, names: tuple[str, ...], place: int, forms: Forms) -> Row:
    """
    Make the row of a contact.

    Args:
        contact: The contact.
        names: Its fields' names, in their order.
        place: By creation.
        forms: The normal forms that it holds, per key.

    >>> from datetime import datetime, timezone
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> ada = Contact("c-1", "", {"email": "Ada@x"}, 1, now, now)
    >>> row = row_of(ada, ("email",), 0, (("ada@x",), ()))
    >>> row[FORMS:], contact_in(row) is ada, forms_in(row)
    (('ada@x', None, 'Ada@x'), True, (('ada@x',), ()))
    """
    gone = contact.deleted_at
    parts = contact.aliases, contact.clocks, contact.merged_ids
    history = (*parts, gone) if gone is not None or any(parts) else None
    row = (
        names,
        contact.version,
        contact.created_at,
        contact.updated_at,
        contact.id,
        contact.scope,
        place,
        history,
        *map(packed, forms),
        *contact.fields.proxy.values(),
    )
    _tie(row, contact)
    return row


def contact_in(row: Row) -> Contact:
    """
    Give the contact of a row.

    Cost:
        A look-up where somebody has it already; else linear in its fields.
    """
    contact = _made.get(id(row))
    # Who keeps another row now may be listed under an identity that was given anew.
    if contact is None or contact._row is not row:  # noqa: SLF001 - made for this module
        names = row[NAMES]
        values = row[len(row) - len(names) :]
        fields = FrozenMap.trusted(dict(zip(names, values, strict=True)))
        contact = contact_of(
            row[ID],
            row[SCOPE],
            fields,
            row[VERSION],
            row[CREATED],
            row[UPDATED],
            *_NO_HISTORY if row[HISTORY] is None else row[HISTORY],
        )
        _tie(row, contact)
    return contact


def packed(forms: tuple[str, ...]) -> Any:
    """
    Give forms of one key as a row has them: one alone, several together, or None.

    >>> packed(("a",)), packed(("a", "b")), packed(())
    ('a', ('a', 'b'), None)
    """
    return forms[0] if len(forms) == 1 else forms or None


def unpacked(part: Any) -> tuple[str, ...]:
    """
    Give the forms of one key again.

    >>> unpacked("a"), unpacked(("a", "b")), unpacked(None)
    (('a',), ('a', 'b'), ())
    """
    return () if part is None else (part,) if type(part) is str else part


def forms_in(row: Row) -> Forms:
    """Give the normal forms of a row, per key."""
    return tuple([unpacked(each) for each in row[FORMS : len(row) - len(row[NAMES])]])


def ids_in(row: Row) -> tuple[str, ...]:
    """Give the ids that lead to the contact of a row."""
    history = row[HISTORY]
    return (row[ID],) if history is None else (row[ID], *history[ABSORBED])


def _tie(row: Row, contact: Contact) -> None:
    # While the contact lives its row does, so nothing else has the row's identity.
    set_row(contact, row)
    _made[id(row)] = contact
