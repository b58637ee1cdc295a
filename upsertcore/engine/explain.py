"""
Explanations: a decision in words, with one line per key and one per field.

Rules:
    Only the results of a decision are used; nothing is matched or merged again.
    A line names the rule that set a value, or the reason why one is not stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from upsertcore.model.packed_row import FORMS, fields_from_row
from upsertcore.values import show_value, thaw

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.model.packed_row import Row

__all__ = [
    "explain",
    "headline",
    "released_forms",
    "rule_namer",
    "unusable_in_row",
    "unusable_values",
]


class KeyStep(Protocol):
    """A step of a match, such as ``trace.Step``."""

    @property
    def key(self) -> str:
        """The name of the key."""
        ...

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms that the patch carries."""
        ...

    @property
    def note(self) -> str:
        """Why the key matched or did not."""
        ...


class FieldChange(Protocol):
    """A field or clock that moves, such as ``outcome.Change``."""

    @property
    def field(self) -> str:
        """The name of the field."""
        ...

    @property
    def before(self) -> Any:
        """The stored value, None where there was none."""
        ...

    @property
    def after(self) -> Any:
        """The new value, None where it is cleared."""
        ...


class WithheldValue(Protocol):
    """A value that is not stored, such as ``outcome.Withheld``."""

    @property
    def field(self) -> str:
        """The name of the field."""
        ...

    @property
    def value(self) -> Any:
        """What was sent."""
        ...

    @property
    def holder(self) -> str:
        """The id of the contact that holds the key."""
        ...

    @property
    def key(self) -> str:
        """The name of the key."""
        ...


_REASONS = {
    "null": "null counts as omitted",
    "blank": "blank counts as omitted",
    "blocked": "the value is blocked",
    "guard": "its key is contradicted by a higher key",
    "limit": "the contact would hold too many keys",
    "on_found": "existing contacts are not updated",
    "additional": "an additional field holds it",
    "composite": "it shares a key with a blocked value",
    "id": "it is not the id of this contact",
    "visitor": "the visitor is another contact",
}


def explain(
    headline: str,
    steps: Iterable[KeyStep],
    changes: Iterable[FieldChange],
    not_stored: tuple[Iterable[WithheldValue], Iterable[tuple[str, str]]],
    rule: Callable[[str], str],
    unusable: Iterable[tuple[str, Any, str]] = (),
    clocks: Iterable[FieldChange] = (),
    released: Iterable[tuple[str, str, str]] = (),
) -> str:
    """
    Explain a decision.

    Args:
        headline: The contact and the result.
        steps: The result of each key.
        changes: The fields that move.
        not_stored: What is withheld, and field name to reason for what is ignored.
        rule: Returns the rule of a field as text, blank where it is not known.
        unusable: Field, value and reason, for stored values that have no key.
        clocks: The clocks that move.
        released: Key, form and contact, for forms that a merge lets go.

    Returns:
        Lines of text: the headline, one per key, one per field, one per clock.

    >>> print(explain("created", [], [], ((), [("city", "null")]), str))
    created
      city: not stored: null counts as omitted
    """
    withheld, ignored = not_stored
    lines = [headline, *map(_key, steps)]
    lines += [_change(change, rule(change.field)) for change in changes]
    lines += map(_clock, clocks)
    lines += map(_withheld, withheld)
    for name, reason in ignored:
        why = _REASONS.get(reason, f"its rule is {reason}")
        lines.append(f"{_word(name)}: not stored: {why}")
    for name, value, why in unusable:
        lines.append(f"{_word(name)}: {_text(value)}: {why}: not a key")
    for name, form, id in released:
        what = f"{_word(form)} of {_word(id)} no longer finds the contact"
        lines.append(f"{_word(name)}: {what}; keep_aliases would keep it")
    return "\n  ".join(lines)


def _key(step: KeyStep) -> str:
    forms = ", ".join(map(_word, step.forms))
    what = f"{_word(step.key)}: {forms}" if forms else _word(step.key)
    return f"{what}: {step.note}"


def _change(change: FieldChange, rule: str) -> str:
    name, before, after = _word(change.field), change.before, change.after
    by = f" ({rule})" if rule else ""
    if after is None:
        return f"{name}: {_text(before)} cleared{by}"
    if before is None:
        return f"{name}: {_text(after)} stored{by}"
    return f"{name}: {_text(before)} -> {_text(after)}{by}"


def _clock(change: FieldChange) -> str:
    name = _word(change.field)
    if change.after is None:
        return f"{name}: clock {_text(change.before)} cleared"
    if change.before is None:
        return f"{name}: clock set to {_text(change.after)}"
    return f"{name}: clock {_text(change.before)} -> {_text(change.after)}"


def _withheld(entry: WithheldValue) -> str:
    what = "it" if entry.key == entry.field else f"the key {_word(entry.key)}"
    reason = f"{_word(entry.holder)} holds {what}"
    return f"{_word(entry.field)}: {_text(entry.value)} withheld: {reason}"


def _text(value: Any) -> str:
    return show_value(value if type(value) is str else thaw(value))


def _word(text: str) -> str:
    """Return a name or a form as it is, if it is short and on one line."""
    return text if text.isprintable() and len(text) <= 60 else show_value(text)


def headline(
    result: str,
    id: str | None,
    match: tuple[str | None, tuple[Contact, ...], tuple[str, ...]],
    deleted: bool,  # noqa: FBT001 - as a field
) -> str:
    """
    Return the first line of an explanation: the contact and the result.

    Args:
        result: The result of a plan or an outcome.
        id: The id of the contact, None where it has none yet.
        match: The key that matched it, the contacts that are merged into it, and the
            ids that also match.
        deleted: Whether it was deleted before.

    >>> headline("updated", "c-1", ("email", (), ("c-2",)), False)
    'updated c-1, matched by email, also matched: c-2'
    """
    matched_by, merged, also_matched = match
    words = [result if id is None else f"{result} {id}"]
    if deleted and result != "unchanged":
        words.append("which was deleted")
    if matched_by is not None:
        words.append(f"matched by {matched_by}")
    if merged:
        words.append(f"with {' and '.join(contact.id for contact in merged)}")
    if also_matched:
        words.append(f"also matched: {', '.join(also_matched)}")
    return ", ".join(words)


def rule_namer(policy: Any, merged: tuple[Contact, ...]) -> Callable[[str], str]:
    """
    Return a function that names the rule of a field, and its rule for merges.

    Args:
        policy: The policy, None where it is not known (a pickled outcome).
        merged: The contacts that were merged; without any, no rule for merges is named.

    >>> rule_namer(None, ())("email")
    ''
    """

    def name(field_name: str) -> str:
        if policy is None:
            return ""
        own: str = policy.field_options(field_name).rule.name
        if not merged:
            return own
        return f"{own}, merged by {policy.merge_rule(field_name)}"

    return name


def released_forms(
    policy: Any,
    merged: Iterable[Contact],
    fields: Mapping[str, Any],
    aliases: Mapping[str, tuple[str, ...]],
) -> list[tuple[str, str, str]]:
    """
    List the forms of merged contacts that the contact does not hold.

    Args:
        policy: The policy, None where it is not known (a pickled outcome).
        merged: The contacts that were merged into it.
        fields: Its fields afterwards.
        aliases: Key name to its aliases.

    Returns:
        Key, form and the id of the merged contact, of keys without ``keep_aliases``.

    >>> released_forms(None, (), {}, {})
    []
    """
    keys = policy.all_keys if policy is not None and merged else ()
    released = []
    for key in keys:
        held = {*key.forms(fields), *aliases.get(key.name, ())}
        for contact in () if key.keep_aliases else merged:
            forms = (*key.forms(contact.fields), *contact.aliases.get(key.name, ()))
            released += [(key.name, f, contact.id) for f in forms if f not in held]
    return released


def unusable_values(
    policy: Any, fields: Mapping[str, Any]
) -> list[tuple[str, Any, str]]:
    """
    List the stored values that have no key, though their field does.

    Args:
        policy: The policy, None where it is not known (a pickled outcome).
        fields: Stored fields.

    Returns:
        Field, value and reason, without duplicates.

    >>> unusable_values(None, {"email": "not an email"})
    []
    """
    keys = () if policy is None else policy.all_keys
    entries = [entry for key in keys for entry in key.unusable_values(fields)]
    return [
        *{(n, repr(value), why): (n, value, why) for n, value, why in entries}.values()
    ]


def unusable_in_row(policy: Any, row: Row) -> list[tuple[str, Any, str]]:
    """
    List the unusable values of a row, whose forms are known.

    Args:
        policy: As for :func:`unusable_values`.
        row: A row without aliases.

    Returns:
        As :func:`unusable_values`.

    >>> unusable_in_row(None, ())
    []
    """
    if policy is None:
        return []
    fields = fields_from_row(row)
    for place, key in enumerate(policy.all_keys, FORMS):
        value = fields.get(key.fields[0])
        # A single value has the single form; of a list, an item may have none.
        is_usable = type(row[place]) is str and type(value) is not tuple
        if len(key.fields) > 1 or not (is_usable or value is None):
            return unusable_values(policy, fields)
    return []
