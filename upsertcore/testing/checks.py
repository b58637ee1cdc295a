"""
Checks of a book from outside, after each call.

Rules:
    Each function raises ``LawBroken`` if its check fails.
    The index of a book is compared with the fields of its contacts only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, Unpack

from upsertcore.book.book import Book
from upsertcore.book.contact_book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.patch import read_with_id
from upsertcore.errors import ChangesNotRetained, DuplicatePatch
from upsertcore.laws.errors import LawBroken, require
from upsertcore.laws.trial import book_of, describe, state_of, try_upsert
from upsertcore.matching.strategies import ALL_AGREE
from upsertcore.model.contact import Contact
from upsertcore.model.view import BookView
from upsertcore.policy.held_forms import held_forms as held_forms_of
from upsertcore.policy.overrides import CallOptions
from upsertcore.values import same

__all__ = [
    "HeldForm",
    "batch_results",
    "check_duplicates",
    "check_index",
    "check_lookups",
    "check_replay",
    "check_round_trip",
    "check_scan",
    "check_visitor",
    "comparable",
    "fold",
    "held_forms",
]

HeldForm: TypeAlias = tuple[str, str, str]
"""A key, a normal form and a scope."""


def held_forms(book: Book) -> dict[HeldForm, tuple[str, ...]]:
    """
    Return which contacts hold each form, computed from their fields.

    Returns:
        Ids in order of creation, by key, form and scope.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.testing import new_book
    >>> book = new_book(Policy(first_match("id"), {"id": field(key=normalize.exact)}))
    >>> _ = book.upsert({"id": 7})
    >>> held_forms(book)
    {('id', '7', ''): ('c-1',)}
    """
    result: dict[HeldForm, tuple[str, ...]] = {}
    for contact, forms in state_of(book):
        for key, key_forms in zip(book.policy.all_keys, forms, strict=True):
            for form in key_forms:
                place = key.name, form, contact.scope
                result[place] = (*result.get(place, ()), contact.id)
    return result


def check_index(
    book: Book, earlier: Iterable[HeldForm]
) -> dict[HeldForm, tuple[str, ...]]:
    """
    Check that the index has exactly the current held_forms of each form.

    Args:
        book: The book with the index.
        earlier: Forms that contacts held at any time.

    Returns:
        The current forms, as :func:`held_forms`.

    Raises:
        LawBroken: If an entry of the index is missing or wrong.
    """
    current = held_forms(book)
    forms = {**dict.fromkeys(earlier), **current}

    def query(view: BookView) -> list[tuple[str, ...]]:
        view.check()
        return [view.holders(*form) for form in forms]

    try:
        found = book._store.read(query)  # noqa: SLF001 - the index is under test
    except AssertionError as error:
        raise LawBroken("index_follows", str(error)) from error
    for key_form, actual in zip(forms, found, strict=True):
        key, form, _scope = key_form
        expected = current.get(key_form, ())
        details = f"{key} {form!r} is held by {expected}, but the index has {actual}"
        require("index_follows", expected == actual, details)
    return current


def check_lookups(book: Book, contact: Contact) -> None:
    """
    Check that a contact is found by its ids and by each value that has a form.

    Raises:
        LawBroken: If it is not found, or is found by a value without a form.
    """
    for id in contact.ids:
        stored = book.get(id, scope=contact.scope)
        require("index_follows", stored == contact, f"{id} is {stored}")
    for key in book.policy.all_keys:
        for name in () if key.composite else key.fields:
            value = contact.get(name)
            for item in value if isinstance(value, tuple) else (value,):
                is_found = contact in book.find(key.name, item, scope=contact.scope)
                details = f"{contact.id} by {key.name} {item!r}: {is_found}"
                require(
                    "index_follows", is_found == (key.form(item) is not None), details
                )


def check_round_trip(book: Book) -> None:
    """
    Check that a book equals its dump, loaded again, unless keys may be shared.

    Raises:
        LawBroken: If the loaded book differs.
    """
    if book.policy.on_key_in_use == "allow":
        return
    rows = json.loads(json.dumps(book.dump()))
    twin = ContactBook.load(book.policy, rows)
    require("round_trip", twin.dump() == rows == book.dump(), "the rows differ")
    same_keys = twin.duplicates() == book.duplicates() and held_forms(
        twin
    ) == held_forms(book)
    require("round_trip", same_keys, "the keys differ")


def check_replay(book: Book) -> bool:
    """
    Check that the changes of a book have no gap, and replay to an equal book.

    Returns:
        False if the book has not retained all changes.

    Raises:
        LawBroken: If there is a gap, or the replayed book differs.

    >>> from upsertcore import Policy, never
    >>> book = ContactBook(Policy(never(), {}))
    >>> _ = book.create({})
    >>> check_replay(book)
    False
    """
    try:
        entries = book.changes_since()
    except ChangesNotRetained:
        return False
    numbers = [entry.number for entry in entries]
    require("replay_is_equal", numbers == [*range(1, len(numbers) + 1)], f"{numbers}")
    twin = ContactBook.from_changes(book.policy, entries)
    require("replay_is_equal", twin.dump() == book.dump(), "the rows differ")
    return True


def check_duplicates(book: Book) -> None:
    """
    Check that ``duplicates`` returns exactly the groups of contacts that share a key.

    Raises:
        LawBroken: If two contacts that share a key are in different groups, a contact
            shares no key with its group, or ``of`` has other groups.
    """
    groups = [_names(group) for group in book.duplicates()]
    living = {*_names([one for one in book if one.deleted_at is None])}
    shared = [
        {(scope, id) for id in ids} & living
        for (_key, _form, scope), ids in held_forms(book).items()
    ]
    for ids in shared:
        matching = [group for group in groups if ids & {*group}]
        is_grouped = len(ids) < 2 or (len(matching) == 1 and ids <= {*matching[0]})
        require(
            "duplicates", is_grouped, f"{sorted(ids)} share a key, groups are {groups}"
        )
    for group in groups:
        for id in group:
            shares = any(id in ids and len(ids & {*group}) > 1 for ids in shared)
            require("duplicates", shares, f"{id} shares no key with others of {group}")
    for contact in book:
        of = book.duplicates(of=contact.id, scope=contact.scope)
        found = [_names(group) for group in of]
        expected = [group for group in groups if {*_names([contact])} & {*group}]
        details = f"of {contact.id}: {found}, not {expected}"
        require("duplicates", found == expected, details)


def _names(contacts: Iterable[Contact]) -> tuple[tuple[str, str], ...]:
    """Return the scope and the id of each contact, which name it together."""
    return tuple([(contact.scope, contact.id) for contact in contacts])


def check_visitor(
    book: Book, patch: Any, scope: str, visitor: str
) -> tuple[Outcome, bool]:
    """
    Upsert, and check that a visitor is the contact, becomes part of it, or stays.

    It stays if it holds another value of a key that the patch carries, and no key
    matches it (``all_agree`` refuses such a call); or if the policy ignores what is
    known, or drops what exceeds a limit.

    Args:
        book: The book.
        patch: The patch.
        scope: The tenant.
        visitor: The id of the visitor, known or not.

    Returns:
        The outcome, and whether the visitor is now its contact.

    Raises:
        LawBroken: If the visitor is not as described, or another contact has changed.
        Refused: As ``upsert``.
    """
    policy, before = book.policy, tuple(book)
    was = book.get(visitor, scope=scope) if (scope, visitor) in book else None
    result = book.upsert(patch, scope=scope, visitor=visitor)
    after, concerned = tuple(book), [was, result.before, *result.merged]
    apart = [one for one in before if one not in after and one not in concerned]
    details = f"visitor {visitor}: {describe(result)}"
    require("identify", not apart, f"{details}; {len(apart)} others have changed")
    if was is None:
        require("identify", (scope, visitor) not in book, details)
        return result, False
    sent = read_with_id(policy, patch)[0][0]
    pairs = [
        ({*held}, {*key.forms(sent)})
        for key, held in zip(policy.all_keys, held_forms_of(policy, was), strict=True)
        if key.name in policy.match.keys
    ]
    own = patch.get(policy.id_field)
    matches = own in was.ids or any(held & forms for held, forms in pairs)
    differs = any(held and forms and not held & forms for held, forms in pairs)
    now = book.get(visitor, scope=scope)
    stays = now == was and now.id != result.contact.id
    is_another = differs and policy.match.resolve is not ALL_AGREE
    may_stay = is_another or policy.on_found == "ignore" or policy.on_limit == "drop"
    is_part = now == result.contact and (matches or not differs)
    require("identify", is_part or (stays and may_stay), details)
    return result, is_part


def check_scan(book: Book) -> None:
    """
    Check that ``scan`` finds what a search of all contacts finds, page by page.

    Raises:
        LawBroken: If a contact is missing, superfluous or out of order.
    """
    contacts = tuple(book)
    for scope in {contact.scope for contact in contacts}:
        own = tuple([one for one in contacts if one.scope == scope])
        pages: list[Contact] = []
        while page := book.scan(
            scope=scope, after=pages[-1].id if pages else None, limit=2
        ):
            pages += page
        require("scan", tuple(pages) == own, f"pages of {scope!r}: {pages}")
        for name, value in own[-1].fields.items():
            found = book.scan({name: value}, scope=scope)
            equal = tuple([one for one in own if same(one.get(name), value)])
            require("scan", found == equal, f"{name} in {scope!r}: {found}")


def comparable(result: Any) -> Any:
    """
    Return a result without ids and times, for comparison with that of another book.

    >>> from upsertcore import errors
    >>> comparable(errors.NoMatchKey(("email",)))
    'NoMatchKey'
    """
    if isinstance(result, Outcome):
        fields = repr(result.contact.fields)
        return result.result, result.matched_by, fields, len(result.merged)
    return type(result).__name__


def batch_results(
    book: Book,
    batch: list[Mapping[str, Any]],
    scope: str,
    on_duplicates: Any,
    **options: Unpack[CallOptions],
) -> tuple[ContactBook, list[Any]]:
    """
    Upsert a batch in a copy of a book, and check that it is the fold of its calls.

    Args:
        book: The book; it is not changed.
        batch: The patches.
        scope: The tenant.
        on_duplicates: As ``upsert_many``; patches that it refuses are not part of the
            fold.
        options: The options of each call.

    Returns:
        The copy, and the result of each patch.

    Raises:
        LawBroken: If single calls have other results.
    """
    state = state_of(book)
    copy = book_of(book.policy, state)
    results: list[Any] = [
        *copy.upsert_many(
            batch,
            scope=scope,
            on_refused="collect",
            on_duplicates=on_duplicates,
            **options,
        )
    ]
    require("batch_is_fold", len(results) == len(batch), f"{len(results)} results")
    sequential, expected = fold(book, batch, scope, results, **options)
    require("batch_is_fold", repr(expected) == repr(results), f"{expected} one by one")
    require("batch_is_fold", [*sequential] == [*copy], "the contacts differ")
    return copy, results


def fold(
    book: Book,
    batch: list[Mapping[str, Any]],
    scope: str,
    results: list[Any],
    **options: Unpack[CallOptions],
) -> tuple[ContactBook, list[Any]]:
    """Upsert patches one by one in a copy, except those refused as duplicates."""
    copy = book_of(book.policy, state_of(book))
    outcomes = [
        result
        if isinstance(result, DuplicatePatch)
        else try_upsert(copy, patch, scope, **options)
        for patch, result in zip(batch, results, strict=False)
    ]
    return copy, outcomes
