"""
Loading and dumping: contacts as rows, out of an index and into one, under a policy.

Rules:
    Each row is checked: its parts, its fields, its aliases, its unique keys.
    No id occurs twice, the ids of merged contacts included.
    Contacts are loaded by creation: by ``place``; without it by ``created_at``, then
    in the order given.
    Every row that cannot be loaded is reported, not only the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from upsertcore.book.arguments import check_several
from upsertcore.errors import InvalidField, InvalidRows, KeyInUse, Refused, with_row
from upsertcore.model.contact import Contact
from upsertcore.policy.held_forms import held_forms
from upsertcore.policy.policy import compiled

if TYPE_CHECKING:
    from upsertcore.model.view import Forms, View
    from upsertcore.policy.policy import Policy
    from upsertcore.store.contact_index import ContactIndex

__all__ = ["admitted_forms", "load_rows", "rows_of"]

Order: TypeAlias = tuple[int, datetime, int]
"""The sort key of loading: place, time of creation, and row number."""


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
            contact, or does not fit the policy; it has a refusal for each.

    Cost:
        Near-linear in the rows; all of them are kept until the last one is loaded.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> load_rows(ContactIndex(["email"]), policy, [])
    """
    check_several("rows", rows, "pass rows as book.dump() returns them")
    refusals: list[Refused] = []
    count, pending = _by_creation(rows, refusals)
    while pending:
        (*_, row), contact = pending.pop()
        try:
            _check_ids(index, contact)
            forms = admitted_forms(policy, index, contact)
        except Refused as refusal:
            refusals.append(with_row(refusal, row))
        except Exception as error:
            with_row(error, row)
            raise
        else:
            index.put(contact, forms)
    if refusals:
        raise InvalidRows(count, tuple(sorted(refusals, key=_row)))


def _by_creation(
    rows: Iterable[Any], refusals: list[Refused]
) -> tuple[int, list[tuple[Order, Contact]]]:
    """Read rows; return their number, and the contacts, the newest first."""
    contacts: list[tuple[Order, Contact]] = []
    unplaced: list[int] = []
    stream, number = iter(rows), -1
    while True:
        number += 1
        try:
            row = next(stream)
            contact, place = Contact.from_dict(row), _place(row)
        except StopIteration:
            break
        except Refused as refusal:
            # The stream itself may refuse a row, and continue with the next one.
            refusals.append(with_row(refusal, number))
            continue
        if place is None:
            unplaced.append(number)
        contacts.append(((place or 0, contact.created_at, number), contact))
    if unplaced and len(unplaced) < len(contacts):
        reason = "must not be missing; give every row its place, or none of them"
        missing = {n: InvalidField("place", None, reason) for n in unplaced}
        refusals += [with_row(refusal, n) for n, refusal in missing.items()]
        contacts = [pair for pair in contacts if pair[0][-1] not in missing]
    contacts.sort(key=_order, reverse=True)
    return number, contacts


def _order(pair: tuple[Order, Contact]) -> Order:
    return pair[0]


def _row(refusal: Refused) -> int:
    return refusal.row or 0


def _place(row: Mapping[str, Any]) -> int | None:
    if "place" not in row:
        return None
    place = row["place"]
    if type(place) is not int or place < 0:
        raise InvalidField("place", place, "must be a whole number from 0")
    return place


def _check_ids(index: ContactIndex, contact: Contact) -> None:
    has_merged_itself = contact.id in contact.merged_ids
    for id in contact.ids:
        if has_merged_itself or id in index:
            raise InvalidField(
                "id", id, "is a duplicate contact id; keep one of the rows"
            )


def admitted_forms(policy: Policy, index: View, contact: Contact) -> Forms:
    """
    Check that a contact fits into an index under a policy, and return its forms.

    Args:
        policy: The policy.
        index: The contacts that are loaded; not changed.
        contact: The contact to load.

    Returns:
        The normal forms that it holds, per key of the policy, aliases last.

    Raises:
        UnknownField: If the policy does not take a field.
        InvalidField: If it has aliases of a key that the policy lacks.
        KeyInUse: If another contact of its scope holds one of its unique keys.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import Contact, Policy, field, first_match
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> from upsertcore import normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> ada = Contact("c-1", "", {"email": "ADA@x.org"}, 1, now, now)
    >>> admitted_forms(policy, ContactIndex(["email"]), ada)
    (('ada@x.org',),)
    """
    for name in (*contact, *contact.clocks):
        policy.field_options(name)
    for name in contact.aliases:
        if name not in compiled(policy).by_name:
            keys = ", ".join(compiled(policy).by_name) or "none"
            reason = f"must be of a key of the policy; its keys: {keys}"
            raise InvalidField("aliases", name, reason)
    all_forms = held_forms(policy, contact)
    for key, forms in zip(policy.all_keys, all_forms, strict=True):
        for form in forms if key.unique and policy.on_key_in_use != "allow" else ():
            for holder in index.holders(key.name, form, contact.scope):
                is_stored = form in key.forms(contact.fields)
                subject = (
                    key.error_subject(contact.fields) if is_stored else (key.name, form)
                )
                raise KeyInUse(subject[0], subject[1], holder)
    return all_forms
