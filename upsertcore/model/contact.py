"""
The contact: what is stored about one person, immutable at every level.

Rules:
    A contact does not depend on policies, keys or books.
    Nothing here reads a clock or creates an id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, final

from attrs import field, frozen

from upsertcore.errors import InvalidField
from upsertcore.values import (
    NOTHING,
    FrozenMap,
    empty,
    find_invalid,
    freeze,
    is_unicode,
    show_value,
    thaw,
)

__all__ = [
    "NO_HISTORY",
    "Contact",
    "MutableContact",
    "Parts",
    "parts_of",
    "read_row",
    "set_row",
]

_ALL_TEXT = frozenset({str}).issuperset


def _fields(value: Any) -> FrozenMap[Any]:
    """Freeze a mapping of a caller; one that is frozen already is used as it is."""
    return value if type(value) is FrozenMap else FrozenMap(value)


def _ids(value: Iterable[str]) -> tuple[str, ...]:
    return value if type(value) is tuple else tuple(value)


class _RowLink:
    """The row that an index keeps for a contact, referenced while the contact lives."""

    __slots__ = ("__weakref__", "_row")
    _row: Any


@final
@frozen
class Contact(_RowLink):
    """
    One stored person: immutable, compared by value, safe to share.

    Args:
        id: Opaque text, unique within its scope.
        scope: The tenant; contacts never match across scopes.
        fields: Field name to value; copied and frozen.
        version: 1 when created, one more with each update.
        created_at: The time of its creation, with a time zone.
        updated_at: The time when a field, its clock or ``deleted_at`` last moved.
        aliases: Key name to former normal forms that still match it.
        clocks: Field name to the clock of the last update, for fields whose rule has a
            clock; it stays when the field is cleared. For a field that was merged by
            ``last_updated``, the update time of the contact that supplied it.
        merged_ids: Ids of the contacts that were merged into it.
        deleted_at: The time of its deletion, where the policy keeps deleted contacts;
            None while it is not deleted.

    Cost:
        Reading a field is a dict look-up behind one indirection.

    >>> from datetime import datetime, timezone
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> ada = Contact("c-1", "", {"email": "ada@x.org", "tags": ["a"]}, 1, now, now)
    >>> ada["email"], ada.get("phone"), "tags" in ada
    ('ada@x.org', None, True)
    >>> ada.fields["tags"]
    ('a',)
    """

    id: str
    scope: str
    fields: FrozenMap[Any] = field(converter=_fields)
    version: int
    created_at: datetime
    updated_at: datetime
    aliases: FrozenMap[tuple[str, ...]] = field(default=NOTHING, converter=_fields)
    clocks: FrozenMap[Any] = field(default=NOTHING, converter=_fields)
    merged_ids: tuple[str, ...] = field(default=(), converter=_ids)
    deleted_at: datetime | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """
        The ids that resolve to it: its own, and those of contacts merged into it.

        >>> from datetime import datetime, timezone
        >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
        >>> Contact("c-1", "", {}, 2, now, now, merged_ids=["c-2"]).ids
        ('c-1', 'c-2')
        """
        return (self.id, *self.merged_ids)

    def __getitem__(self, name: str) -> Any:
        return self.fields.proxy[name]

    def __contains__(self, name: object) -> bool:
        return name in self.fields.proxy

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def get(self, name: str, default: Any = None) -> Any:
        """
        Read a field, or the default where the contact does not have it.

        >>> from datetime import datetime, timezone
        >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
        >>> Contact("c-1", "", {}, 1, now, now).get("email", "none")
        'none'
        """
        return self.fields.proxy.get(name, default)

    def to_dict(self) -> dict[str, Any]:
        """
        Return a dict of plain values, ready for JSON.

        Returns:
            ``id``, ``scope``, ``version``, ``created_at`` and ``updated_at`` (ISO
            8601 text) and ``fields``; ``aliases``, ``clocks``, ``merged_ids`` and
            ``deleted_at`` where there are any.

        Cost:
            Linear in the contact.

        Laws:
            ``Contact.from_dict(c.to_dict()) == c``.

        >>> from datetime import datetime, timezone
        >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
        >>> Contact("c-1", "", {}, 1, now, now).to_dict()["created_at"]
        '2024-01-02T00:00:00+00:00'
        """
        row = {
            "id": self.id,
            "scope": self.scope,
            "version": self.version,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "fields": thaw(self.fields),
        }
        for name in ("aliases", "clocks", "merged_ids"):
            part = getattr(self, name)
            if part:
                row[name] = thaw(part)
        if self.deleted_at is not None:
            row["deleted_at"] = self.deleted_at.isoformat()
        return row

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Contact:
        """
        Return a contact for a row of :meth:`to_dict` or of a dump.

        Args:
            row: As for :func:`read_row`.

        Raises:
            InvalidField: As there.

        Cost:
            Linear in the row.

        >>> now = "2024-01-02T00:00:00+00:00"
        >>> row = {"id": "c-1", "scope": "", "version": 1, "created_at": now}
        >>> Contact.from_dict({**row, "updated_at": now, "fields": {}}).version
        1
        """
        id, scope, fields, *rest, history = read_row(row)
        frozen_fields = FrozenMap.trusted(fields)
        return cls(id, scope, frozen_fields, *rest, *(history or NO_HISTORY))


@final
class MutableContact(_RowLink):
    """
    A contact whose attributes can be set; then its ``__class__`` becomes ``Contact``.

    This costs a quarter of ``Contact(...)``, and nothing is converted or checked.

    >>> MutableContact.__slots__ == Contact.__slots__
    True
    """

    __slots__ = Contact.__slots__
    id: str
    scope: str
    fields: FrozenMap[Any]
    version: int
    created_at: datetime
    updated_at: datetime
    aliases: FrozenMap[tuple[str, ...]]
    clocks: FrozenMap[Any]
    merged_ids: tuple[str, ...]
    deleted_at: datetime | None


set_row: Callable[[Contact, tuple[Any, ...]], None] = vars(_RowLink)["_row"].__set__
"""Links a contact to the row that an index keeps for it."""


Parts: TypeAlias = tuple[Any, ...]
"""Id, scope, a dict of the fields, version, time of creation and of the last update,
and history: aliases, clocks, merged ids and ``deleted_at``, or None without any."""

NO_HISTORY: tuple[Any, ...] = NOTHING, NOTHING, (), None


def parts_of(contact: Contact) -> Parts:
    """Return the parts of a contact."""
    history = contact.aliases, contact.clocks, contact.merged_ids, contact.deleted_at
    return (
        contact.id,
        contact.scope,
        contact.fields.proxy.copy(),
        contact.version,
        contact.created_at,
        contact.updated_at,
        history if any(history) else None,
    )


def read_row(row: Mapping[str, Any], known: tuple[str, ...] | None = None) -> Parts:
    """
    Read the parts of a contact from a row of ``Contact.to_dict`` or of a dump.

    Args:
        row: The row; every part is checked, and ``place`` is ignored.
        known: Names that need no check where a row has fields of just these names.

    Raises:
        InvalidField: If a part is missing or invalid.

    Cost:
        Linear in the row.

    >>> now = "2024-01-02T00:00:00+00:00"
    >>> row = {"id": "c-1", "scope": "", "version": 1, "created_at": now}
    >>> read_row({**row, "updated_at": now, "fields": {"name": "Ada"}})[:4]
    ('c-1', '', {'name': 'Ada'}, 1)
    """
    if type(row) is not dict:
        if not isinstance(row, Mapping):
            advice = "pass rows as book.dump() and contact.to_dict() return them"
            raise InvalidField("contact", row, f"must be a mapping; {advice}")
        row = dict(row)
    has_history = not _COMMON.issuperset(row)
    if has_history:
        for name in row:
            if name not in _COMMON and name not in _HISTORY:
                reason = f'must not be outside "fields"; {_EXAMPLE}'
                raise InvalidField(_show_name(name), row[name], reason)
    try:
        id = _text("id", row["id"], blank=False)
        scope = _text("scope", row["scope"])
        fields = _values("fields", row["fields"], known)
        version = row["version"]
        if type(version) is not int or version < 1:
            raise InvalidField("version", version, "must be a whole number from 1")
        created_at = updated_at = _time("created_at", row["created_at"])
        updated = row["updated_at"]
    except KeyError:
        missing = [name for name in _PARTS if name not in row]
        if not missing:
            raise
        reason = f"must not be missing; {_EXAMPLE}"
        raise InvalidField(missing[0], None, reason) from None
    if type(updated) is not str or updated != row["created_at"]:
        updated_at = _time("updated_at", updated)
    history = _history(row) if has_history else None
    return id, scope, fields, version, created_at, updated_at, history


def _history(row: Mapping[str, Any]) -> tuple[Any, ...] | None:
    history = tuple(
        [
            read(name, row[name]) if name in row else absent
            for (name, read), absent in zip(_HISTORY.items(), NO_HISTORY, strict=True)
        ]
    )
    return history if any(history) else None


def _text(name: str, value: Any, *, blank: bool = True) -> str:
    if type(value) is str and value.isascii() and (value or blank):
        return value
    if not isinstance(value, str):
        raise InvalidField(name, value, "must be text")
    if not (value or blank):
        raise InvalidField(name, value, "must not be blank")
    try:
        return freeze(value)  # type: ignore[no-any-return]
    except ValueError as error:
        raise InvalidField(name, value, str(error)) from error


def _time(name: str, value: Any) -> datetime:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise InvalidField(
            name, value, "must be ISO 8601 text; write 2024-01-02T00:00:00+00:00"
        ) from error
    if time.tzinfo is UTC:
        return time
    if not isinstance(time.utcoffset(), timedelta):
        raise InvalidField(name, value, "must have an offset from UTC")
    try:
        time.astimezone(UTC)
    except OverflowError as error:
        raise InvalidField(
            name, value, "must be within the range of datetime in UTC"
        ) from error
    return time


def _values(
    name: str, value: Any, known: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """Return a mapping as a dict with frozen values."""
    if type(value) is dict:
        frozen = value.copy()
        texts: Iterable[Any] = frozen.values()
        if known != tuple(frozen):
            texts = [*frozen, *texts]
        if _ALL_TEXT(map(type, texts)) and is_unicode("".join(texts)):
            return frozen
    if not isinstance(value, Mapping):
        raise InvalidField(name, value, "must be a mapping of names to values")
    for key, item in value.items():
        if item is None:
            raise InvalidField(show_value(key), item, "must not be stored as null")
    try:
        return FrozenMap(value).proxy.copy()
    except ValueError as error:
        path, item, reason = find_invalid(value, freeze)
        raise InvalidField(name, item, reason or str(error), path) from error


def _aliases(name: str, value: Any) -> FrozenMap[tuple[str, ...]]:
    aliases = _values(name, value)
    for key, forms in aliases.items():
        if not _texts(f"{name}: {key}", forms):
            raise InvalidField(f"{name}: {key}", forms, "must not be blank")
    return FrozenMap.trusted(aliases)


def _clocks(name: str, value: Any) -> FrozenMap[Any]:
    clocks = _values(name, value)
    for field_name, clock in clocks.items():
        if type(clock) not in (str, int, float) or empty(clock):
            raise InvalidField(
                f"{name}: {field_name}", clock, "must be text or a number"
            )
    return FrozenMap.trusted(clocks)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise InvalidField(name, value, "must be a list")
    texts = tuple([_text(name, item, blank=False) for item in value])
    if len(set(texts)) < len(texts):
        raise InvalidField(name, value, "must not have duplicates")
    return texts


def _show_name(name: object) -> str:
    return name if isinstance(name, str) and name.isprintable() else show_value(name)


_EXAMPLE = (
    'a row is {"id": "c-1", "scope": "", "version": 1, '
    '"created_at": "2024-01-02T00:00:00+00:00", '
    '"updated_at": "2024-01-02T00:00:00+00:00", "fields": {"email": "ada@x.org"}}'
)

_HISTORY: dict[str, Callable[[str, Any], Any]] = {
    "aliases": _aliases,
    "clocks": _clocks,
    "merged_ids": _texts,
    "deleted_at": _time,
}
"""The parts that a row may omit, and how they are read."""

_PARTS = "id", "scope", "fields", "version", "created_at", "updated_at"
"""The other parts, in the order in which they are read."""

_COMMON = frozenset({*_PARTS, "place"})
