"""
Watching: what is seen of a book from outside after each call.

Rules:
    Each function asserts, with ``LawBroken``, and gives what it has seen.
    A book is compared with its contacts alone: with what their fields say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from upsertcore.book.book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.errors import ChangesNotRetained, DuplicatePatch
from upsertcore.laws.broken import LawBroken, see
from upsertcore.laws.trial import ask, book_of, state_of
from upsertcore.model.contact import Contact

__all__ = [
    "Holder",
    "apart_are_apart",
    "finds",
    "folded",
    "holders",
    "leads",
    "loads",
    "replays",
    "said",
    "together",
]

Holder: TypeAlias = tuple[str, str, str]
"""A key, a normal form and a scope."""


def holders(book: ContactBook) -> dict[Holder, tuple[str, ...]]:
    """
    Tell who holds what, by the fields of the contacts.

    Returns:
        Key, form and scope to ids, by creation.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.testing import new_book
    >>> book = new_book(Policy(first_match("id"), {"id": field(key=normalize.exact)}))
    >>> _ = book.upsert({"id": 7})
    >>> holders(book)
    {('id', '7', ''): ('c-1',)}
    """
    found: dict[Holder, tuple[str, ...]] = {}
    for contact, forms in state_of(book):
        for key, each in zip(book.policy.all_keys, forms, strict=True):
            for form in each:
                place = key.name, form, contact.scope
                found[place] = (*found.get(place, ()), contact.id)
    return found


def leads(book: ContactBook, known: Iterable[Holder]) -> dict[Holder, tuple[str, ...]]:
    """
    See that the index leads from each form to who holds it now, and to nobody else.

    Args:
        book: Whose index is looked at.
        known: What anybody held at some time.

    Returns:
        What is held now, as :func:`holders`.

    Raises:
        LawBroken: If the index has an entry too few or too many.
    """
    index, now = book._index, holders(book)  # noqa: SLF001 - the index is under test
    try:
        index.check()
    except AssertionError as error:
        raise LawBroken("index_follows", str(error)) from error
    for place in {**dict.fromkeys(known), **now}:
        key, form, scope = place
        due, found = now.get(place, ()), index.holders(key, form, scope)
        words = f"{key} {form!r} is held by {due}, and found are {found}"
        see("index_follows", due == found, words)
    return now


def finds(book: ContactBook, contact: Contact) -> None:
    """
    See that a contact is found by its ids, and by each value that has a form.

    Raises:
        LawBroken: If it is not, or is found by a value without a form.
    """
    for id in contact.ids:
        now = book.get(id, scope=contact.scope)
        see("index_follows", now == contact, f"{id} is {now}")
    for key in book.policy.all_keys:
        for name in () if key.composite else key.fields:
            value = contact.get(name)
            for item in value if isinstance(value, tuple) else (value,):
                found = contact in book.find(key.name, item, scope=contact.scope)
                words = f"{contact.id} by {key.name} {item!r}: {found}"
                see("index_follows", found == (key.form(item) is not None), words)


def loads(book: ContactBook) -> None:
    """
    See that a book, dumped as JSON and loaded, is equal; not where clashes are allowed.

    Raises:
        LawBroken: If another one comes of it.
    """
    if book.policy.on_key_in_use == "allow":
        return
    rows = json.loads(json.dumps(book.dump()))
    twin = ContactBook.load(book.policy, rows)
    see("round_trip", twin.dump() == rows == book.dump(), "the rows are others")
    alike = twin.duplicates() == book.duplicates() and holders(twin) == holders(book)
    see("round_trip", alike, "the keys are others")


def replays(book: ContactBook) -> bool:
    """
    See that the changes of a book have no gap, and done again give the same book.

    Returns:
        False where the book has not kept all of them.

    Raises:
        LawBroken: If another one comes of them.

    >>> from upsertcore import Policy, never
    >>> book = ContactBook(Policy(never(), {}))
    >>> _ = book.create({})
    >>> replays(book)
    False
    """
    try:
        entries = book.changes_since()
    except ChangesNotRetained:
        return False
    numbers = [each.number for each in entries]
    see("replay_is_equal", numbers == [*range(1, len(numbers) + 1)], f"{numbers}")
    twin = ContactBook.from_changes(book.policy, entries)
    see("replay_is_equal", twin.dump() == book.dump(), "the rows are others")
    return True


def apart_are_apart(book: ContactBook) -> None:
    """
    See that duplicates are the groups of those who share a key, and no others.

    Raises:
        LawBroken: If two who share one are apart, or somebody shares with nobody.
    """
    groups = [tuple([each.id for each in group]) for group in book.duplicates()]
    living = {each.id for each in book if each.deleted_at is None}
    shared = [{*ids} & living for ids in holders(book).values()]
    for ids in shared:
        met = [group for group in groups if ids & {*group}]
        whole = len(ids) < 2 or (len(met) == 1 and ids <= {*met[0]})
        see("duplicates", whole, f"{sorted(ids)} share a key, groups are {groups}")
    for group in groups:
        for id in group:
            kin = any(id in ids and len(ids & {*group}) > 1 for ids in shared)
            see("duplicates", kin, f"{id} shares no key with others of {group}")


def said(answer: Any) -> Any:
    """
    Tell what a call came to, without ids and times, which another book has of its own.

    >>> from upsertcore import errors
    >>> said(errors.NoMatchKey(("email",)))
    'NoMatchKey'
    """
    if isinstance(answer, Outcome):
        fields = repr(answer.contact.fields)
        return answer.result, answer.matched_by, fields, len(answer.merged)
    return type(answer).__name__


def together(
    book: ContactBook, batch: list[Mapping[str, Any]], scope: str, on_duplicates: Any
) -> tuple[ContactBook, list[Any]]:
    """
    Send a batch to a copy of a book, and see that it is the fold of its calls.

    Args:
        book: Is not written.
        batch: What is sent.
        scope: The tenant.
        on_duplicates: As ``upsert_many``; what is refused for it is left out of the
            fold.

    Returns:
        The copy, and what came of each patch.

    Raises:
        LawBroken: If sending one by one comes to something else.
    """
    state = state_of(book)
    copy = book_of(book.policy, state)
    every: list[Any] = copy.upsert_many(
        batch, scope=scope, on_refused="collect", on_duplicates=on_duplicates
    )
    see("batch_is_fold", len(every) == len(batch), f"{len(every)} answers")
    one, singly = folded(book, batch, scope, every)
    see("batch_is_fold", repr(singly) == repr(every), f"{singly} one by one")
    see("batch_is_fold", [*one] == [*copy], "other contacts")
    return copy, every


def folded(
    book: ContactBook, batch: list[Mapping[str, Any]], scope: str, answers: list[Any]
) -> tuple[ContactBook, list[Any]]:
    """Send to a copy, one by one, what has answers that are no duplicates."""
    copy = book_of(book.policy, state_of(book))
    singly = [
        answer if isinstance(answer, DuplicatePatch) else ask(copy, patch, scope)
        for patch, answer in zip(batch, answers, strict=False)
    ]
    return copy, singly
