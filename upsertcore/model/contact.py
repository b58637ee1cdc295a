"""
The contact: what is stored about one person, immutable at every level.

Rules:
    A contact does not depend on policies, keys or books.
    Nothing here reads a clock or creates an id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, final

from attrs import field, frozen

from upsertcore.errors import InvalidField
from upsertcore.values import (
    NOTHING,
    FrozenMap,
    empty,
    find_invalid,
    freeze,
    show_value,
    thaw,
)

__all__ = ["Contact", "MutableContact", "set_row"]


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
        for name in _HISTORY:
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
            row: The row; every part is checked, and ``place`` is ignored.

        Raises:
            InvalidField: If a part is missing or invalid.

        Cost:
            Linear in the row.

        >>> now = "2024-01-02T00:00:00+00:00"
        >>> row = {"id": "c-1", "scope": "", "version": 1, "created_at": now}
        >>> Contact.from_dict({**row, "updated_at": now, "fields": {}}).version
        1
        """
        if not isinstance(row, Mapping):
            advice = "pass rows as book.dump() and contact.to_dict() return them"
            raise InvalidField("contact", row, f"must be a mapping; {advice}")
        for name in row:
            if name not in _ROW and name != "place":
                reason = f'must not be outside "fields"; {_EXAMPLE}'
                raise InvalidField(_show_name(name), row[name], reason)
        part: Any = {}
        for name, read in _ROW.items():
            if name in row:
                part[name] = read(name, row[name])
            elif name not in _OPTIONAL:
                raise InvalidField(name, None, f"must not be missing; {_EXAMPLE}")
        return cls(**part)


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


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidField(name, value, "must be text")
    try:
        return freeze(value)  # type: ignore[no-any-return]
    except ValueError as error:
        raise InvalidField(name, value, str(error)) from error


def _id(name: str, value: Any) -> str:
    if value == "":
        raise InvalidField(name, value, "must not be blank")
    return _text(name, value)


def _version(name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise InvalidField(name, value, "must be a whole number from 1")
    return value


def _time(name: str, value: Any) -> datetime:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise InvalidField(
            name, value, "must be ISO 8601 text; write 2024-01-02T00:00:00+00:00"
        ) from error
    if not isinstance(time.utcoffset(), timedelta):
        raise InvalidField(name, value, "must have an offset from UTC")
    try:
        time.astimezone(UTC)
    except OverflowError as error:
        raise InvalidField(
            name, value, "must be within the range of datetime in UTC"
        ) from error
    return time


def _mapping(name: str, value: Any) -> FrozenMap[Any]:
    if not isinstance(value, Mapping):
        raise InvalidField(name, value, "must be a mapping of names to values")
    for key, item in value.items():
        if item is None:
            raise InvalidField(show_value(key), item, "must not be stored as null")
    try:
        return FrozenMap(value)
    except ValueError as error:
        path, item, reason = find_invalid(value, freeze)
        raise InvalidField(name, item, reason or str(error), path) from error


def _aliases(name: str, value: Any) -> FrozenMap[tuple[str, ...]]:
    aliases = _mapping(name, value)
    for key, forms in aliases.items():
        if not _texts(f"{name}: {key}", forms):
            raise InvalidField(f"{name}: {key}", forms, "must not be blank")
    return aliases


def _clocks(name: str, value: Any) -> FrozenMap[Any]:
    clocks = _mapping(name, value)
    for field_name, clock in clocks.items():
        if type(clock) not in (str, int, float) or empty(clock):
            raise InvalidField(
                f"{name}: {field_name}", clock, "must be text or a number"
            )
    return clocks


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise InvalidField(name, value, "must be a list")
    texts = tuple([_id(name, item) for item in value])
    if len(set(texts)) < len(texts):
        raise InvalidField(name, value, "must not have duplicates")
    return texts


def _show_name(name: object) -> str:
    return name if isinstance(name, str) and name.isprintable() else show_value(name)


_HISTORY = ("aliases", "clocks", "merged_ids")
"""The parts that a row omits where they are empty."""

_OPTIONAL = frozenset({*_HISTORY, "deleted_at"})

_EXAMPLE = (
    'a row is {"id": "c-1", "scope": "", "version": 1, '
    '"created_at": "2024-01-02T00:00:00+00:00", '
    '"updated_at": "2024-01-02T00:00:00+00:00", "fields": {"email": "ada@x.org"}}'
)

_ROW: dict[str, Callable[[str, Any], Any]] = {
    "id": _id,
    "scope": _text,
    "fields": _mapping,
    "version": _version,
    "created_at": _time,
    "updated_at": _time,
    "aliases": _aliases,
    "clocks": _clocks,
    "merged_ids": _texts,
    "deleted_at": _time,
}
