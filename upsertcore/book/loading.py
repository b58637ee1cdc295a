"""
Loading and dumping: contacts as rows, out of an index and into one, under a policy.

Rules:
    Each row is checked: its parts, its fields, its aliases, its unique keys.
    No id occurs twice, the ids of merged contacts included.
    Contacts are loaded by creation: by ``place``; without it by ``created_at``, then
    in the order given.
    Every conflict of every row is reported, not only the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from upsertcore.book.arguments import check_several
from upsertcore.errors import InvalidField, InvalidRows, Refused, with_row
from upsertcore.model.contact import Contact, Parts, read_row
from upsertcore.store.loader import Loader

if TYPE_CHECKING:
    from upsertcore.policy.policy import Policy
    from upsertcore.store.contact_index import ContactIndex

__all__ = ["load_rows", "rows_of"]

Pending: TypeAlias = tuple[int, datetime, int, Parts]
"""A row to be loaded, in this order: place, time of creation, and number."""

_UNPLACED: Any = object()
_CREATED_AT = 4


def rows_of(contacts: Iterable[Contact]) -> Iterator[dict[str, Any]]:
    """
    Make the rows of a dump.

    Args:
        contacts: By creation.

    Returns:
        ``Contact.to_dict()`` of each, with ``place``, its number by creation, from 0.

    >>> from datetime import datetime, timezone
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> ada = Contact("c-1", "", {"email": "ada@x.org"}, 1, now, now)
    >>> [(row["place"], row["id"]) for row in rows_of([ada])]
    [(0, 'c-1')]
    """
    for place, contact in enumerate(contacts):
        yield {"place": place, **contact.to_dict()}


def load_rows(
    index: ContactIndex, policy: Policy, rows: Iterable[Mapping[str, Any]]
) -> None:
    """
    Load rows into an index.

    Args:
        index: Made with the policy's key names.
        policy: The policy; it may differ from the one of the dump.
        rows: As :func:`rows_of` or ``Contact.to_dict`` makes them, in any order. An
            iterator may itself raise ``Refused`` for a row.

    Raises:
        TypeError: If *rows* is one row, or cannot be iterated.
        InvalidRows: If a row is malformed, has an id or a unique key of an earlier
            contact, or does not fit the policy; it has a refusal for each conflict.

    Cost:
        Near-linear in the rows; all of them are kept until the last one is loaded.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> load_rows(ContactIndex(["email"]), policy, [])
    """
    check_several("rows", rows, "pass rows as book.dump() returns them")
    refusals: list[Refused] = []
    loader = Loader(index, policy)
    count, pending = _by_creation(rows, loader.whole, refusals)
    while pending:
        _place, _created_at, row, parts = pending.pop()
        try:
            found = loader.load(parts)
        except Exception as error:
            with_row(error, row)
            raise
        if found:
            refusals += [with_row(refusal, row) for refusal in found]
    if refusals:
        raise InvalidRows(count, tuple(sorted(refusals, key=_row)))


def _by_creation(
    rows: Iterable[Any], known: tuple[str, ...] | None, refusals: list[Refused]
) -> tuple[int, list[Pending]]:
    """Read rows; return how many there are, and those to load, the newest first."""
    contacts: list[Pending] = []
    unplaced: list[int] = []
    stream, number = iter(rows), -1
    while True:
        number += 1
        try:
            row = next(stream)
            parts, place = read_row(row, known), row.get("place", _UNPLACED)
            if type(place) is not int or place < 0:
                if place is not _UNPLACED:
                    reason = "must be a whole number from 0"
                    raise InvalidField("place", place, reason)
                unplaced.append(number)
                place = 0
        except StopIteration:
            break
        except Refused as refusal:
            # The stream itself may refuse a row, and continue with the next one.
            refusals.append(with_row(refusal, number))
            continue
        contacts.append((place, parts[_CREATED_AT], number, parts))
    if unplaced and len(unplaced) < len(contacts):
        reason = "must not be missing; give every row its place, or none of them"
        missing = {n: InvalidField("place", None, reason) for n in unplaced}
        refusals += [with_row(refusal, n) for n, refusal in missing.items()]
        contacts = [item for item in contacts if item[2] not in missing]
    contacts.sort(reverse=True)
    return number, contacts


def _row(refusal: Refused) -> int:
    return refusal.row or 0
