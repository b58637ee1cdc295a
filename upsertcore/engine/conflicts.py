"""
Conflicts: where a stored contact, or a row to be loaded, does not fit a policy.

Rules:
    Each is a refusal of the policy, in its words; all of a contact are found.
    Loading refuses names and keys that do not fit; checking a book also reports what
    the policy would not have created.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, final

from attrs import frozen

from upsertcore.engine.max_forms import excess_forms
from upsertcore.engine.patch import read_patch
from upsertcore.errors import (
    InvalidField,
    KeyInUse,
    MissingField,
    Refused,
    UnknownField,
)
from upsertcore.policy.held_forms import held_forms
from upsertcore.policy.policy import compiled
from upsertcore.values import empty, same, show_name

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Forms
    from upsertcore.policy.policy import Policy

__all__ = ["Conflict", "find_conflicts", "keys_in_use", "unknown_names"]


@final
@frozen
class Conflict:
    """
    Where a stored contact is not as the policy of its book would have created it.

    Args:
        id: The id of the contact.
        scope: Its tenant.
        field: The name of the field, of the key, or of another part of the contact.
        reason: What is wrong, and what to do.

    >>> str(Conflict("c-1", "", "name", "name: is required to create a contact"))
    'contact c-1: name: is required to create a contact'
    """

    id: str
    scope: str
    field: str
    reason: str

    def __str__(self) -> str:
        return f"contact {self.id}: {self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """
        Return a dict of plain values, ready for JSON.

        >>> [*Conflict("c-1", "", "name", "name: is required").to_dict()]
        ['id', 'scope', 'field', 'reason']
        """
        return {
            "id": self.id,
            "scope": self.scope,
            "field": self.field,
            "reason": self.reason,
        }


def find_conflicts(
    policy: Policy, stored: Iterable[tuple[Contact, Forms]]
) -> Iterator[Conflict]:
    """
    Find where contacts are not as a policy would have created them.

    Args:
        policy: The policy.
        stored: Contacts with the forms that they hold, the oldest first.

    Cost:
        Linear in the contacts and their forms.

    >>> [*find_conflicts(None, ())]
    []
    """
    holders: dict[tuple[str, str, str], str] = {}
    for contact, held in stored:
        scope, id = contact.scope, contact.id
        forms = held_forms(policy, contact)

        def holder(key: str, form: str, scope: str = scope) -> str | None:
            return holders.get((key, form, scope))

        refusals = [
            *unknown_names(policy, (*contact, *contact.clocks), contact.aliases),
            *_changed_values(policy, contact.fields),
            *_changed_forms(policy, contact, held, forms),
            *excess_forms(policy, forms, compiled(policy).no_forms),
            *keys_in_use(policy, contact.fields, forms, holder),
            *_changed_options(policy, contact),
        ]
        for refusal in refusals:
            name = show_name(getattr(refusal, "field", None))
            yield Conflict(id, scope, name, str(refusal))
        for key, key_forms in zip(policy.all_keys, forms, strict=True):
            for form in key_forms:
                holders.setdefault((key.name, form, scope), id)


def unknown_names(
    policy: Policy, names: Iterable[str], aliases: Iterable[str]
) -> Iterator[Refused]:
    """
    Find fields that a policy does not take, and aliases of keys that it lacks.

    Args:
        policy: The policy.
        names: Names of fields.
        aliases: Names of keys.

    >>> from upsertcore import Policy, never
    >>> [str(refusal) for refusal in unknown_names(Policy(never(), {}), ["city"], [])]
    ['city: unknown field; this policy declares none']
    """
    for name in dict.fromkeys(names):
        try:
            policy.field_options(name)
        except UnknownField as refusal:
            yield refusal
    known = compiled(policy).by_name
    for name in aliases:
        if name not in known:
            keys = ", ".join(known) or "none"
            reason = f"must be of a key of the policy; its keys: {keys}"
            yield InvalidField("aliases", name, reason)


def keys_in_use(
    policy: Policy,
    fields: Mapping[str, Any],
    forms: Iterable[Iterable[str]],
    holder: Callable[[str, str], str | None],
) -> Iterator[KeyInUse]:
    """
    Find unique keys of a contact that another contact holds.

    Args:
        policy: The policy.
        fields: The fields of the contact.
        forms: Its forms, per key of the policy.
        holder: Returns the id of the contact that holds a form of a key, if any.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> email = field(key=normalize.email, unique=True)
    >>> policy = Policy(first_match("email"), {"email": email})
    >>> fields, forms = {"email": "A@x"}, [["a@x"]]
    >>> [*keys_in_use(policy, fields, forms, lambda key, form: None)]
    []
    """
    allows = policy.on_key_in_use == "allow"
    for key, key_forms in zip(policy.all_keys, forms, strict=True):
        for form in key_forms if key.unique and not allows else ():
            id = holder(key.name, form)
            if id is not None:
                is_stored = form in key.forms(fields)
                name, value = key.name, form
                if is_stored:
                    name, value = key.error_subject(fields)
                yield KeyInUse(name, value, id)
                break


def _changed_values(policy: Policy, fields: Mapping[str, Any]) -> Iterator[Refused]:
    """Find values that the policy would refuse, leave out, or store otherwise."""
    for name, value in fields.items():
        if empty(value):
            # Rules make blank lists, and null clears: both may be refused in a patch.
            continue
        options = policy.fields.get(name, policy.extra_fields)
        if options is None:
            continue
        # Of a value that a rule has combined, each item was sent by itself.
        combined = options.rule.gather is not None and type(value) is tuple
        for part in [(item,) for item in value] if combined else [value]:
            try:
                sent, _ignored = read_patch(policy, {name: part})
            except Refused as refusal:
                yield refusal
                break
            if name not in sent or not same(sent[name], part):
                reason = "is not what the policy makes of it now; send it again"
                yield InvalidField(name, value, reason)
                break


def _changed_forms(
    policy: Policy, contact: Contact, held: Forms, forms: Forms
) -> Iterator[Refused]:
    """Find forms and aliases that the normalisers would make otherwise."""
    for key, old, new in zip(policy.all_keys, held, forms, strict=True):
        if {*old} != {*new}:
            reason = "must be the forms of the stored values; load the book's rows"
            yield InvalidField(key.name, old, reason)
        for alias in () if key.composite else contact.aliases.get(key.name, ()):
            if key.form(alias) != alias:
                reason = f"is no form of {key.name} now; send the value again"
                yield InvalidField("aliases", alias, reason)


def _changed_options(policy: Policy, contact: Contact) -> Iterator[Refused]:
    """Find required fields that are missing, and a deletion that is not kept."""
    for name in compiled(policy).required:
        if empty(contact.get(name)):
            yield MissingField(name)
    if contact.deleted_at is not None and policy.on_deleted == "forget":
        reason = "must not be set under on_deleted='forget'; delete the contact again"
        yield InvalidField("deleted_at", contact.deleted_at, reason)
