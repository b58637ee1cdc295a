"""
The normalisers, rules and ``clean`` functions of drawn policies.

Rules:
    The vocabulary is the catalogue of the library and one custom function of each kind.
    A value that appears several times in a tuple is drawn more often.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from upsertcore import normalize
from upsertcore.normalize import Normalizer
from upsertcore.rules import (
    add,
    add_or_remove,
    append,
    constant,
    custom,
    deep,
    deep_keep,
    ignore,
    immutable,
    items_by,
    keep,
    largest,
    last_updated,
    latest,
    on_create,
    refuse_if,
    remove,
    replace,
    smallest,
    sticky,
    union,
    unset,
)
from upsertcore.rules.rule import Rule
from upsertcore.testing.pools import FIELDS_BY_KEY

__all__ = ["LATEST", "STICKY", "Vocabulary", "longer", "mailbox", "tidy"]

LATEST = latest(by="at")
"""The rule with a clock in drawn policies."""

STICKY = sticky("Bo")
"""The rule that keeps a value in drawn policies."""


def mailbox(value: Any) -> str | None:
    """
    A custom normaliser: any text with an at sign.

    >>> mailbox(" Ada@X.org"), mailbox("nope"), mailbox(7)
    ('ada@x.org', None, None)
    """
    form = value.strip().lower() if isinstance(value, str) else ""
    return form if "@" in form else None


def tidy(value: Any) -> Any:
    """
    A custom ``clean``: strip text, and refuse two values.

    >>> tidy(" Ada "), tidy(7)
    ('Ada', 7)
    """
    if value in ("bad", "12"):
        raise ValueError("must be better")
    return value.strip() if isinstance(value, str) else value


def longer(stored: Any, update: Any) -> Any:
    """
    A custom rule: the longer of two texts, otherwise the value sent.

    >>> longer("Ada", "Bo"), longer("Ada", 1), longer("Ada", None)
    ('Ada', 1, None)
    """
    if update is None or not isinstance(stored, str) or not isinstance(update, str):
        return update
    return stored if len(stored) >= len(update) else update


@final
class Vocabulary:
    """
    The functions that policies are drawn from; the custom ones can be replaced.

    Args:
        normaliser: A normaliser in addition to ``normalize.email``.
        clean: The ``clean`` of some fields.
        rule: A rule in addition to the catalogue.

    >>> vocabulary = Vocabulary(rule=custom(longer, name="longest"))
    >>> rule = vocabulary.rule
    >>> rule in vocabulary.rules["name"], rule in vocabulary.on_merge["name"]
    (True, True)
    """

    def __init__(
        self,
        *,
        normaliser: Normalizer = mailbox,
        clean: Callable[[Any], Any] = tidy,
        rule: Rule | None = None,
    ) -> None:
        custom_rule = custom(longer, name="longest") if rule is None else rule
        self.clean, self.rule = clean, custom_rule
        self.keys: dict[str, tuple[Normalizer, ...]] = {
            "email": (normalize.email, normaliser),
            "phone": (normalize.phone,),
            "code": (normalize.exact,),
        }
        self.rules = _rules(custom_rule)
        self.on_merge = _on_merge(custom_rule)

    def is_idempotent(self, name: str, rule: Rule) -> bool:
        """
        Return whether upserts are idempotent with a rule on a field.

        They are not if the rule does not declare it, or if the custom rule is on a
        field of a key.

        >>> vocabulary = Vocabulary()
        >>> rule = vocabulary.rule
        >>> [vocabulary.is_idempotent(name, rule) for name in ("email", "score")]
        [False, True]
        """
        is_key_field = any(name in fields for fields in FIELDS_BY_KEY.values())
        return "idempotent" in rule.laws and not (is_key_field and rule is self.rule)


def _rules(custom_rule: Rule) -> dict[str, tuple[Rule, ...]]:
    """Return the rules of each field."""
    return {
        "email": (
            *(replace,) * 4,
            *(keep,) * 2,
            on_create,
            on_create,
            immutable,
            union,
        ),
        "more": (union, union, replace, keep),
        "phone": (replace, replace, keep, on_create, custom_rule, LATEST),
        "code": (replace, replace, keep, keep, immutable, smallest),
        "name": (
            replace,
            keep,
            on_create,
            immutable,
            ignore,
            custom_rule,
            LATEST,
            unset,
            STICKY,
            STICKY,
        ),
        "score": (replace, add, largest, smallest, LATEST),
        "at": (replace, replace, largest, ignore),
        "tags": (union, union, remove, replace, keep, append, add_or_remove, LATEST),
        "nested": (deep, deep, deep_keep, deep_keep, replace, keep),
        "items": (items_by("id"), items_by("id"), replace, on_create),
    }


def _on_merge(custom_rule: Rule) -> dict[str, tuple[Rule, ...]]:
    """Return the ``on_merge`` rules of each field."""
    return {
        "email": (replace, union, last_updated),
        "more": (union, replace, last_updated),
        "phone": (replace, custom_rule),
        "code": (ignore, largest),
        "name": (
            *(custom_rule, immutable, replace, keep, STICKY),
            *(constant("Cy"), refuse_if("Bo")),
        ),
        "score": (add, largest, LATEST, keep),
        "at": (largest, constant(3), refuse_if(2)),
        "tags": (union, append),
        "nested": (deep, deep_keep, replace, last_updated),
        "items": (items_by("id"), replace),
    }
