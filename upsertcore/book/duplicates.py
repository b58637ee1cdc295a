"""
Duplicates: the groups of contacts that share a key.

Rules:
    No group crosses scopes, and no group has a deleted contact.
    Groups are transitive: a contact that shares a form with one of a group is in it.
    Blank values connect no contacts; where they are asked for, they are groups apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from upsertcore.policy.union_find import groups
from upsertcore.values import empty

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import BookView
    from upsertcore.policy.keys import Key

__all__ = ["Group", "NumberedKeys", "blank_groups", "group_of", "shared_groups"]

Group: TypeAlias = "tuple[Contact, ...]"
NumberedKeys: TypeAlias = "Sequence[tuple[int, Key]]"
"""Keys, each with its place among the forms of a contact."""


def shared_groups(view: BookView, keys: NumberedKeys, scope: str | None) -> list[Group]:
    """
    Return all groups of contacts that share a form.

    Args:
        view: The contacts.
        keys: The keys.
        scope: The tenant, None for all.

    Returns:
        Groups of two or more, by creation; groups by their first contact.

    Cost:
        Near-linear in the forms of these keys.
    """
    shared = [
        [(at, id) for id in ids]
        for _, key in keys
        for at, ids in view.shared_forms(key.name, scope)
    ]
    contacts = view.contacts({*chain(*shared)})
    places = {
        (one.scope, one.id): n
        for n, one in enumerate(contacts)
        if one.deleted_at is None
    }
    connected = ([places[at] for at in ids if at in places] for ids in shared)
    families = groups(filter(None, connected))
    return [tuple([contacts[n] for n in family]) for family in families]


def group_of(view: BookView, keys: NumberedKeys, scope: str, id: str) -> list[Group]:
    """
    Return the group of contacts that share a form with one, directly or not.

    Args:
        view: The contacts.
        keys: The keys.
        scope: The tenant.
        id: The id of the contact.

    Returns:
        One group, by creation, or none.

    Raises:
        UnknownContact: If the tenant has no such contact.

    Cost:
        Linear in the contacts of the group, in their forms, and in the deleted contacts
        that hold one of these.
    """
    first = view.get(id, scope)
    living: list[str] = []
    requested: set[str] = {first.id}
    consulted: set[tuple[str, str]] = set()
    pending = [first.id]
    while pending:
        contact, forms = view.get_with_forms(pending.pop(), scope)
        if contact.deleted_at is not None:
            continue
        living.append(contact.id)
        held = {(key.name, form) for n, key in keys for form in forms[n]}
        for name, form in held - consulted:
            found = {*view.holders(name, form, scope)} - requested
            requested |= found
            pending += found
        consulted |= held
    group = view.contacts([(scope, id) for id in living])
    return [tuple(group)] if len(group) > 1 else []


def blank_groups(view: BookView, keys: NumberedKeys, scope: str | None) -> list[Group]:
    """
    Return the contacts that have no value for a key, per key and scope.

    Args:
        view: The contacts.
        keys: The keys.
        scope: The tenant, None for all.

    Returns:
        Groups of two or more, by creation: key by key, and scopes by their first
        contact. A contact of a group has only null, blank or absent values in the
        fields of the key, and no alias of it.

    Cost:
        Linear in the book, for each key.
    """
    contacts = [
        (contact, forms)
        for contact, forms in view.with_forms()
        if contact.deleted_at is None and scope in (None, contact.scope)
    ]
    result: list[Group] = []
    for number, key in keys:
        by_scope: dict[str, list[Contact]] = {}
        for contact, forms in contacts:
            is_blank = all(empty(contact.get(name)) for name in key.fields)
            if is_blank and not forms[number]:
                by_scope.setdefault(contact.scope, []).append(contact)
        result += [tuple(group) for group in by_scope.values() if len(group) > 1]
    return result
