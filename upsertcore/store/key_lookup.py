"""
The look-ups of keys: the form of a sent value, and the contact that holds it.

Rules:
    Normalisers are recognised by identity: ASCII text has a shorter way to some forms.
    A form is computed once for each call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, final

from upsertcore.model.packed_row import FORMS, pack_forms, unpack_forms
from upsertcore.normalize import (
    EMAIL_FORM,
    EXACT_FORM,
    PHONE_FORM,
    TEXT_FORM,
    email,
    exact,
    phone,
    text,
)
from upsertcore.normalize.phones import without_separators
from upsertcore.values import empty

if TYPE_CHECKING:
    from upsertcore.matching.protocol import Hits
    from upsertcore.policy.keys import Key
    from upsertcore.store.key_index import Entries

__all__ = [
    "ASCII_FORMS",
    "NO_ENTRIES",
    "OMITTED",
    "KeyProbe",
    "Keys",
    "Lookup",
    "key_plan",
    "look_up",
]

NO_ENTRIES: Entries = {}

OMITTED: Any = type("Omitted", (), {"__slots__": ()})()
"""In place of a value: the patch omits the field."""

ASCII_FORMS: tuple[tuple[Any, Callable[[str], str], Callable[[str], Any]], ...] = (
    (exact, str, EXACT_FORM.fullmatch),
    (text, lambda value: " ".join(value.lower().split()), TEXT_FORM.fullmatch),
    (email, lambda value: value.strip().lower(), EMAIL_FORM.fullmatch),
    (phone, without_separators, PHONE_FORM.fullmatch),
)
"""A normaliser, a function from ASCII text to its candidate form, and a test of whether
the candidate is a form.

A candidate that a contact holds needs no test. A law checks that no other text passes.
"""

Lookup: TypeAlias = "Callable[[Any, Entries], tuple[Any, Any]]"
"""(value, holders of the key in a scope) -> the value's form, a tuple of several, or
None; and its holder: None, an id, or a list of several. For a key of several fields
the value is the patch."""

Keys: TypeAlias = tuple[tuple[Any, ...], ...]
"""What is known of keys: number, field (blank if it has several), name, holders by
scope (live), the two functions of :data:`ASCII_FORMS` (None if the normaliser has
none), and the general look-up."""


def look_up(key: Key) -> Lookup:
    """
    Return the look-up of a key of one field.

    >>> from upsertcore import normalize
    >>> from upsertcore.policy.keys import Key
    >>> look = look_up(Key("email", ("email",), (normalize.email,)))
    >>> look("Ada@x.org", {}), look("nobody", {}), look((), {})
    (('ada@x.org', None), (None, None), (None, None))
    """
    normal, checked, (field,) = key.normalize[0], key.check_form, key.fields

    def look(value: Any, entries: Entries) -> tuple[Any, Any]:
        if type(value) is tuple and len(value) == 1 and type(value[0]) is not tuple:
            (value,) = value
        if type(value) is tuple or empty(value) or key.blocked:
            forms = key.forms({field: value})
            return pack_forms(forms), _common_holder(forms, entries)
        try:
            form = normal(value)
        except Exception as error:
            key.note_normaliser(error, value)
            raise
        if type(form) is not str or not form or not form.isascii():
            form = checked(form)
        return form, None if form is None else entries.get(form)

    return look


def _look_up_several(key: Key) -> Lookup:
    """Return the look-up of a key of several fields."""

    def look(sent: Any, entries: Entries) -> tuple[Any, Any]:
        forms = key.forms(sent)
        return pack_forms(forms), _common_holder(forms, entries)

    return look


def _common_holder(forms: tuple[str, ...], entries: Entries) -> Any:
    """Return the holder of these forms: None, an id, or a list of several."""
    held = [entries[form] for form in forms if form in entries]
    if not held:
        return None
    return held[0] if all(entry == held[0] for entry in held) else held


def key_plan(number: int, key: Key, scopes: dict[str, Entries]) -> tuple[Any, ...]:
    """
    Return what is known of a key, as :data:`Keys` holds it.

    Args:
        number: Its number among the keys of the policy.
        key: The key.
        scopes: Its holders by scope, the live mapping of the index.

    >>> from upsertcore import normalize
    >>> from upsertcore.policy.keys import Key
    >>> key_plan(0, Key("email", ("email",), (normalize.email,)), {})[:3]
    (0, 'email', 'email')
    """
    if len(key.fields) > 1:
        look = _look_up_several(key)
        return number, "", key.name, scopes, None, None, look
    short, is_form = None, None
    for known, *how in ASCII_FORMS:
        if known is key.normalize[0] and not key.blocked:
            short, is_form = how
    return number, key.fields[0], key.name, scopes, short, is_form, look_up(key)


@final
class KeyProbe:
    """
    The keys of a patch, and their holders, for the function of a strategy.

    Args:
        sent: The patch as it was read.
        scope: The tenant.
        forms: The form of each key of the policy; filled in.
        plans: The keys of the strategy, by name.
        rows: Rows by id.
    """

    __slots__ = ("_forms", "_hits", "_plans", "_rows", "_scope", "_sent")

    def __init__(
        self,
        sent: Mapping[str, Any],
        scope: str,
        forms: list[Any],
        plans: Mapping[str, Any],
        rows: Mapping[str, Any],
    ) -> None:
        self._sent, self._scope, self._forms = sent, scope, forms
        self._plans, self._rows = plans, rows
        self._hits: dict[str, Hits] = {}

    def __call__(self, name: str) -> Hits:
        """Return each form of a key that the patch carries, with its holders."""
        hits = self._hits.get(name)
        if hits is None:
            number, field, _name, scopes, _short, _is_form, look = self._plans[name]
            value = self._sent.get(field, OMITTED) if field else self._sent
            entries, hits = scopes.get(self._scope, NO_ENTRIES), ()
            if value is not OMITTED:
                form, _holder = look(value, entries)
                self._forms[number] = form
                forms = unpack_forms(form)
                hits = tuple([(one, _holders(entries.get(one))) for one in forms])
            self._hits[name] = hits
        return hits

    def held_forms(self, id: str, name: str) -> tuple[str, ...]:
        """Return the forms of a key that a contact holds."""
        return unpack_forms(self._rows[id][FORMS + self._plans[name][0]])


def _holders(entry: Any) -> tuple[str, ...]:
    """Return the ids of the holders of a form."""
    return () if entry is None else (entry,) if type(entry) is str else (*entry,)
