"""
Explaining: a decision retold in words, one line per key and one per field.

Rules:
    What is told is what was decided; nothing is asked, matched or merged again.
    A line names the rule that made a value, and the reason for one that was not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from upsertcore.values import shown, thaw

__all__ = ["explain"]

Told: TypeAlias = Any
"""What stands on a floor above: a step, a change, a policy; it is read, not made."""

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
    steps: Iterable[Told],
    moved: Iterable[Told],
    left: tuple[Iterable[Told], Iterable[tuple[str, str]]],
    rule: Callable[[str], str],
    formless: Iterable[tuple[str, Any, str]] = (),
    clocks: Iterable[Told] = (),
) -> str:
    """
    Tell a decision.

    Args:
        headline: Who, and what became of them.
        steps: What each key found.
        moved: The fields that move.
        left: What is withheld, and field name to reason for what is ignored.
        rule: Names what made the value of a field, blank where it is not known.
        formless: Field, value and reason, for what is stored and makes no key.
        clocks: The clocks that move, of fields whose rule has one.

    Returns:
        Lines of text: the headline, one per key, one per field, one per clock.

    >>> print(explain("created", [], [], ((), [("city", "null")]), str))
    created
      city: not stored: null counts as omitted
    """
    withheld, ignored = left
    lines = [
        headline,
        *map(_key, steps),
        *(_change(each, rule(each.field)) for each in moved),
        *map(_clock, clocks),
        *map(_withheld, withheld),
        *_not_taken(ignored),
        *(f"{_word(n)}: {_say(value)}: {why}: not a key" for n, value, why in formless),
    ]
    return "\n  ".join(lines)


def _key(step: Told) -> str:
    forms = ", ".join(map(_word, step.forms))
    what = f"{_word(step.key)}: {forms}" if forms else _word(step.key)
    return f"{what}: {step.note}"


def _change(change: Told, rule: str) -> str:
    name, by = _word(change.field), f" ({rule})" if rule else ""
    if change.after is None:
        return f"{name}: {_say(change.before)} cleared{by}"
    if change.before is None:
        return f"{name}: {_say(change.after)} stored{by}"
    return f"{name}: {_say(change.before)} -> {_say(change.after)}{by}"


def _clock(change: Told) -> str:
    name = _word(change.field)
    if change.after is None:
        return f"{name}: clock {_say(change.before)} cleared"
    if change.before is None:
        return f"{name}: clock set to {_say(change.after)}"
    return f"{name}: clock {_say(change.before)} -> {_say(change.after)}"


def _withheld(each: Told) -> str:
    what = "it" if each.key == each.field else f"the key {_word(each.key)}"
    held = f"{_word(each.holder)} holds {what}"
    return f"{_word(each.field)}: {_say(each.value)} withheld: {held}"


def _not_taken(ignored: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, reason in ignored:
        why = _REASONS.get(reason, f"its rule is {reason}")
        yield f"{_word(name)}: not stored: {why}"


def _say(value: Any) -> str:
    return shown(thaw(value))


def _word(text: str) -> str:
    """Write a name or a form as it is, if it is short and on one line."""
    return text if text.isprintable() and len(text) <= 60 else shown(text)
