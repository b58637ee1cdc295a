"""
Explanations: a decision in words, with one line per key and one per field.

Rules:
    Only the results of a decision are used; nothing is matched or merged again.
    A line names the rule that set a value, or the reason why one is not stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from upsertcore.values import show_value, thaw

__all__ = ["explain"]


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
}


def explain(
    headline: str,
    steps: Iterable[KeyStep],
    changes: Iterable[FieldChange],
    not_stored: tuple[Iterable[WithheldValue], Iterable[tuple[str, str]]],
    rule: Callable[[str], str],
    unusable: Iterable[tuple[str, Any, str]] = (),
    clocks: Iterable[FieldChange] = (),
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

    Returns:
        Lines of text: the headline, one per key, one per field, one per clock.

    >>> print(explain("created", [], [], ((), [("city", "null")]), str))
    created
      city: not stored: null counts as omitted
    """
    withheld, ignored = not_stored
    lines = [
        headline,
        *map(_key, steps),
        *(_change(change, rule(change.field)) for change in changes),
        *map(_clock, clocks),
        *map(_withheld, withheld),
        *_ignored(ignored),
        *(
            f"{_word(n)}: {_text(value)}: {why}: not a key"
            for n, value, why in unusable
        ),
    ]
    return "\n  ".join(lines)


def _key(step: KeyStep) -> str:
    forms = ", ".join(map(_word, step.forms))
    what = f"{_word(step.key)}: {forms}" if forms else _word(step.key)
    return f"{what}: {step.note}"


def _change(change: FieldChange, rule: str) -> str:
    name, by = _word(change.field), f" ({rule})" if rule else ""
    if change.after is None:
        return f"{name}: {_text(change.before)} cleared{by}"
    if change.before is None:
        return f"{name}: {_text(change.after)} stored{by}"
    return f"{name}: {_text(change.before)} -> {_text(change.after)}{by}"


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


def _ignored(ignored: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, reason in ignored:
        why = _REASONS.get(reason, f"its rule is {reason}")
        yield f"{_word(name)}: not stored: {why}"


def _text(value: Any) -> str:
    return show_value(thaw(value))


def _word(text: str) -> str:
    """Return a name or a form as it is, if it is short and on one line."""
    return text if text.isprintable() and len(text) <= 60 else show_value(text)
