"""
Loading and dumping: contacts as rows, out of an index and into one, under a policy.

Rules:
    Each row is checked: its parts, its fields, its aliases, its unique keys.
    No two rows lead to one id, the ids of absorbed contacts among them.
    Contacts are loaded by creation: by ``place``; without it by ``created_at``, then
    in the order given.
    Every row that cannot be loaded is reported, not only the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from upsertcore.book.arguments import check_several
from upsertcore.errors import InvalidField, InvalidRows, KeyInUse, Refused, placed
from upsertcore.model.contact import Contact
from upsertcore.policy.forms import held_forms
from upsertcore.policy.policy import compiled

if TYPE_CHECKING:
    from upsertcore.model.view import Forms, View
    from upsertcore.policy.policy import Policy
    from upsertcore.store.index import ContactIndex

__all__ = ["admit", "fill", "rows_of"]

Order: TypeAlias = tuple[int, datetime, int]
"""Place, time of creation, and row, by which contacts are loaded."""


def rows_of(contacts: Iterable[Contact]) -> Iterator[dict[str, Any]]:
    """
    Make the rows of a dump.

    Args:
        contacts: By creation.

    Returns:
        What :meth:`Contact.to_dict` returns of each, with ``place``, its number in
        this order, from 0.

    >>> from datetime import datetime, timezone
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> ada = Contact("c-1", "", {"email": "ada@x.org"}, 1, now, now)
    >>> [(row["place"], row["id"]) for row in rows_of([ada])]
    [(0, 'c-1')]
    """
    for place, contact in enumerate(contacts):
        yield {"place": place, **contact.to_dict()}


def fill(
    index: ContactIndex, policy: Policy, rows: Iterable[Mapping[str, Any]]
) -> None:
    """
    Put rows into an index.

    Args:
        index: Made with the policy's key names.
        policy: The table; it need not be the one that the rows were made under.
        rows: As :func:`rows_of` or ``Contact.to_dict`` makes them, in any order. An
            iterator may itself raise ``Refused`` for a row.

    Raises:
        TypeError: If *rows* is one row, or nothing that can be iterated.
        InvalidRows: If a row is of the wrong form, has an id or a unique key that an
            earlier contact has, or does not fit the policy; it has a refusal for each.

    Cost:
        Near-linear in the rows; all of them are kept until the last one is loaded.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.store.index import ContactIndex
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> fill(ContactIndex(["email"]), policy, [])
    """
    check_several("rows", rows, "pass rows as book.dump() returns them")
    refusals: list[Refused] = []
    number, due = _by_creation(rows, refusals)
    while due:
        (*_, row), contact = due.pop()
        try:
            _check_ids(index, contact)
            forms = admit(policy, index, contact)
        except Refused as refusal:
            refusals.append(placed(refusal, row))
        except Exception as error:
            placed(error, row)
            raise
        else:
            index.put(contact, forms)
    if refusals:
        raise InvalidRows(number, tuple(sorted(refusals, key=_row)))


def _by_creation(
    rows: Iterable[Any], refusals: list[Refused]
) -> tuple[int, list[tuple[Order, Contact]]]:
    """Read rows; count them, and give the contacts, those created last in front."""
    made: list[tuple[Order, Contact]] = []
    without: list[int] = []
    stream, row = iter(rows), -1
    while True:
        row += 1
        try:
            each = next(stream)
            contact, place = Contact.from_dict(each), _place(each)
        except StopIteration:
            break
        except Refused as refusal:
            # The stream itself may refuse a row, and go on with the next one.
            refusals.append(placed(refusal, row))
            continue
        if place is None:
            without.append(row)
        made.append(((place or 0, contact.created_at, row), contact))
    if without and len(without) < len(made):
        reason = "must not be missing; give every row its place, or none of them"
        missing = {each: InvalidField("place", None, reason) for each in without}
        refusals += [placed(refusal, each) for each, refusal in missing.items()]
        made = [each for each in made if each[0][-1] not in missing]
    made.sort(key=_order, reverse=True)
    return row, made


def _order(made: tuple[Order, Contact]) -> Order:
    return made[0]


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
    absorbs_itself = contact.id in contact.merged_ids
    for id in contact.ids:
        if absorbs_itself or id in index:
            raise InvalidField(
                "id", id, "is a duplicate contact id; keep one of the rows"
            )


def admit(policy: Policy, index: View, contact: Contact) -> Forms:
    """
    Check that a stored contact fits into an index under a policy.

    Args:
        policy: The table.
        index: What it holds already. Not changed.
        contact: From outside.

    Returns:
        The normal forms that it holds, per key of the policy, aliases last.

    Raises:
        UnknownField: If the policy has neither a line nor a rule for a field.
        InvalidField: If it has aliases of a key that the policy lacks.
        KeyInUse: If another contact of its scope holds one of its unique keys.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import Contact, Policy, field, first_match
    >>> from upsertcore.store.index import ContactIndex
    >>> from upsertcore import normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> ada = Contact("c-1", "", {"email": "ADA@x.org"}, 1, now, now)
    >>> admit(policy, ContactIndex(["email"]), ada)
    (('ada@x.org',),)
    """
    for name in (*contact, *contact.clocks):
        policy.field_options(name)
    for name in contact.aliases:
        if name not in compiled(policy).by_name:
            keys = ", ".join(compiled(policy).by_name) or "none"
            reason = f"must be of a key of the policy; its keys: {keys}"
            raise InvalidField("aliases", name, reason)
    every = held_forms(policy, contact)
    for key, forms in zip(policy.all_keys, every, strict=True):
        for form in forms if key.unique and policy.on_key_in_use != "allow" else ():
            for holder in index.holders(key.name, form, contact.scope):
                made = form in key.forms(contact.fields)
                told = key.error_subject(contact.fields) if made else (key.name, form)
                raise KeyInUse(told[0], told[1], holder)
    return every
