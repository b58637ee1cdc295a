"""
The packed row: a contact as an index keeps it, made of a contact and made one again.

Rules:
    A row is a flat tuple of text, numbers and times, so the garbage collector untracks
    it; only rare parts are mappings or lists.
    While a contact of a row is referenced, the row always yields the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MethodType, NoneType
from typing import TYPE_CHECKING, Any, TypeAlias, final
from weakref import ref

from upsertcore.model.contact import (
    NO_HISTORY,
    Contact,
    MutableContact,
    Parts,
    parts_of,
    set_row,
)
from upsertcore.values import FrozenMap

if TYPE_CHECKING:
    from upsertcore.model.view import Forms

__all__ = [
    "ALIASES",
    "CLOCKS",
    "CREATED",
    "DELETED",
    "FORMS",
    "HISTORY",
    "ID",
    "MAX_NAMES",
    "MERGED_IDS",
    "NAMES",
    "NO_ROWS",
    "PLACE",
    "SCOPE",
    "UPDATED",
    "VERSION",
    "Names",
    "Row",
    "Rows",
    "contact_from_row",
    "fields_from_row",
    "forms_from_row",
    "ids_from_row",
    "pack",
    "pack_forms",
    "row_of",
    "unpack_forms",
]

Row: TypeAlias = tuple[Any, ...]
"""Its parts by position: those below, then one part for the forms of each key, then one
value for each name, None where the contact does not have the field."""

NAMES, VERSION, CREATED, UPDATED, ID, SCOPE, PLACE, HISTORY, FORMS = range(9)
"""Positions in a row. ``HISTORY`` is None for nearly all contacts."""

ALIASES, CLOCKS, MERGED_IDS, DELETED = range(4)

_contacts: dict[int, ref[Contact]] = {}
"""
Identity of a row to its contact, while that is referenced.

A ``WeakValueDictionary`` runs Python code when a contact is dropped. What a signal
handler raises there is printed and lost, as is any exception of such a callback.
"""
_nothing: Callable[[], Contact | None] = NoneType


@final
class Rows(dict[str, Row]):
    """
    Rows by id, in a dict that the garbage collector always tracks.

    The collector untracks a plain ``dict`` of untracked rows, for which it must visit
    all of them. The next new row makes the dict tracked and young again, so a growing
    dict would be visited as a whole again and again.

    >>> import gc
    >>> gc.is_tracked({}), gc.is_tracked(Rows())
    (False, True)
    """

    __slots__ = ()


NO_ROWS: dict[str, Row] = {}
"""The rows of a scope that never had a contact; never written to."""

MAX_NAMES = 1_000
"""The most shared tuples of names; further rows have their own."""


@final
class Names:
    """
    The names of rows, in one order: the declared fields first, then the others.

    Rows share their tuples of names.

    Args:
        declared: The names that every row has, whether the contact has the field.

    >>> names = Names(["email", "name"])
    >>> names.of({"city": "Oslo", "email": "a@x"})
    ('email', 'name', 'city')
    >>> names.of(["name"]) is names.declared
    True
    """

    __slots__ = ("_known", "_set", "declared")

    def __init__(self, declared: Iterable[str] = ()) -> None:
        self.declared = tuple(declared)
        self._set = frozenset(self.declared)
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def of(self, fields: Iterable[str]) -> tuple[str, ...]:
        """Return the names of a row with these fields."""
        if {*fields}.issubset(self._set):
            return self.declared
        extra = [name for name in fields if name not in self._set]
        own = (*self.declared, *extra)
        known = self._known.get(own)
        if known is None:
            if len(self._known) >= MAX_NAMES:
                return own
            # Atomic, so that all threads share the same tuple.
            known = self._known.setdefault(own, own)
        return known


def row_of(contact: Contact, names: tuple[str, ...], place: int, forms: Forms) -> Row:
    """
    Return the row of a contact.

    Args:
        contact: The contact.
        names: Names in the order of the index, those of all its fields among them.
        place: Its position in the order of creation.
        forms: The normal forms that it holds, per key.

    >>> from datetime import datetime, timezone
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> ada = Contact("c-1", "", {"email": "Ada@x"}, 1, now, now)
    >>> row = row_of(ada, ("email",), 0, (("ada@x",), ()))
    >>> row[FORMS:], contact_from_row(row) is ada, forms_from_row(row)
    (('ada@x', None, 'Ada@x'), True, (('ada@x',), ()))
    """
    fields = contact.fields.proxy
    values = map(fields.get, names)
    row = pack(parts_of(contact), names, place, map(pack_forms, forms), values)
    # A contact that is made of the row has its fields in the order of the names.
    if [*fields] == [name for name in names if name in fields]:
        # The contact references its row, so no other object can get its identity.
        set_row(contact, row)
        _remember(contact, id(row))
    return row


def pack(
    parts: Parts,
    names: tuple[str, ...],
    place: int,
    forms: Iterable[Any],
    values: Iterable[Any],
) -> Row:
    """
    Return a row of the parts of a contact.

    Args:
        parts: Its parts.
        names: As for :func:`row_of`.
        place: As for :func:`row_of`.
        forms: For each key its part of the row, as :func:`pack_forms` makes it.
        values: For each name the value of the field, None without one.

    >>> from datetime import datetime, timezone
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> parts = "c-1", "", {"email": "Ada@x"}, 1, now, now, None
    >>> contact_from_row(pack(parts, ("email",), 0, ["ada@x"], ["Ada@x"])).id
    'c-1'
    """
    id, scope, _fields, version, created_at, updated_at, history = parts
    return (
        names,
        version,
        created_at,
        updated_at,
        id,
        scope,
        place,
        history,
        *forms,
        *values,
    )


def contact_from_row(row: Row) -> Contact:
    """
    Return the contact of a row.

    Cost:
        A look-up where the contact exists already; else linear in its fields.
    """
    known = _contacts.get(id(row), _nothing)()
    # The identity of a row may be reused while its former contact has a newer row.
    if known is not None and known._row is row:  # noqa: SLF001 - made for this module
        return known
    contact: Any = MutableContact()
    contact.id = row[ID]
    contact.scope = row[SCOPE]
    contact.fields = FrozenMap.trusted(fields_from_row(row))
    contact.version = row[VERSION]
    contact.created_at = row[CREATED]
    contact.updated_at = row[UPDATED]
    history = row[HISTORY] or NO_HISTORY
    contact.aliases, contact.clocks, contact.merged_ids, contact.deleted_at = history
    contact._row = row  # noqa: SLF001
    contact.__class__ = Contact
    _remember(contact, id(row))
    return contact  # type: ignore[no-any-return]


def fields_from_row(row: Row) -> dict[str, Any]:
    """
    Return the fields of a row.

    >>> fields_from_row((("email", "name"), *[None] * 7, "ada@x", None))
    {'email': 'ada@x'}
    """
    names = row[NAMES]
    pairs = zip(names, row[len(row) - len(names) :], strict=True)
    return {name: value for name, value in pairs if value is not None}


def pack_forms(forms: tuple[str, ...]) -> Any:
    """
    Return the forms of one key as a part of a row: text, a tuple, or None.

    >>> pack_forms(("a",)), pack_forms(("a", "b")), pack_forms(())
    ('a', ('a', 'b'), None)
    """
    return forms[0] if len(forms) == 1 else forms or None


def unpack_forms(part: Any) -> tuple[str, ...]:
    """
    Return the forms of a part of a row.

    >>> unpack_forms("a"), unpack_forms(("a", "b")), unpack_forms(None)
    (('a',), ('a', 'b'), ())
    """
    return () if part is None else (part,) if type(part) is str else part


def forms_from_row(row: Row) -> Forms:
    """Return the normal forms of a row, per key."""
    return tuple(
        [unpack_forms(part) for part in row[FORMS : len(row) - len(row[NAMES])]]
    )


def ids_from_row(row: Row) -> tuple[str, ...]:
    """Return the ids that resolve to the contact of a row."""
    history = row[HISTORY]
    return (row[ID],) if history is None else (row[ID], *history[MERGED_IDS])


def _remember(contact: Contact, identity: int) -> None:
    # Called as pop(identity, reference): no error if the key is gone. If another
    # contact has taken the key, this reference is gone, and its callback with it.
    # A bound method is cheaper than a partial function.
    _contacts[identity] = ref(contact, MethodType(_contacts.pop, identity))
