"""
Words: the normalisers, rules and cleaning functions that drawn policies are made of.

Rules:
    The catalogue of the library is here, and one function of a host of each kind.
    What stands in a tuple more than once is drawn more often.
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
    remove,
    replace,
    smallest,
    union,
    unset,
)
from upsertcore.rules.rule import Rule
from upsertcore.testing.pools import FIELDS

__all__ = ["LATEST", "Vocabulary", "longer", "mailbox", "tidy"]

LATEST = latest(by="at")
"""The rule with a clock that drawn policies have."""


def mailbox(value: Any) -> str | None:
    """
    Normalise as a host might: any text with an at sign.

    >>> mailbox(" Ada@X.org"), mailbox("nope"), mailbox(7)
    ('ada@x.org', None, None)
    """
    form = value.strip().lower() if isinstance(value, str) else ""
    return form if "@" in form else None


def tidy(value: Any) -> Any:
    """
    Clean as a host might: strip text, and refuse two values.

    >>> tidy(" Ada "), tidy(7)
    ('Ada', 7)
    """
    if value in ("bad", "12"):
        raise ValueError("must be better")
    return value.strip() if isinstance(value, str) else value


def longer(stored: Any, sent: Any) -> Any:
    """
    Merge as a host might: of two texts the longer, else what is sent.

    >>> longer("Ada", "Bo"), longer("Ada", 1), longer("Ada", None)
    ('Ada', 1, None)
    """
    if sent is None or not isinstance(stored, str) or not isinstance(sent, str):
        return sent
    return stored if len(stored) >= len(sent) else sent


@final
class Vocabulary:
    """
    What policies are drawn from; the functions of a host can be other ones.

    Args:
        normaliser: Stands beside ``normalize.email``.
        clean: Is the ``clean`` of some fields.
        rule: Stands beside the catalogue of merge rules.

    >>> words = Vocabulary(rule=custom(longer, name="mine"))
    >>> words.rule in words.rules["name"], words.rule in words.on_merge["name"]
    (True, True)
    """

    def __init__(
        self,
        *,
        normaliser: Normalizer = mailbox,
        clean: Callable[[Any], Any] = tidy,
        rule: Rule | None = None,
    ) -> None:
        own = custom(longer, name="longest") if rule is None else rule
        self.clean, self.rule = clean, own
        self.keys: dict[str, tuple[Normalizer, ...]] = {
            "email": (normalize.email, normaliser),
            "phone": (normalize.phone,),
            "code": (normalize.exact,),
        }
        self.rules = _rules(own)
        self.on_merge = _on_merge(own)

    def harmless(self, name: str, rule: Rule) -> bool:
        """
        Tell whether idempotence is to be had of a rule on a field of drawn policies.

        It is not if the rule does not declare it, or if a host's own rule decides
        what a contact is found by.

        >>> words = Vocabulary()
        >>> [words.harmless(n, words.rule) for n in ("email", "score")]
        [False, True]
        """
        finds = any(name in fields for fields in FIELDS.values())
        return "idempotent" in rule.laws and not (finds and rule is self.rule)


def _rules(own: Rule) -> dict[str, tuple[Rule, ...]]:
    """Give the rules that a field may have."""
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
        "phone": (replace, replace, keep, on_create, own, LATEST),
        "code": (replace, replace, keep, keep, immutable, smallest),
        "name": (replace, keep, on_create, immutable, ignore, own, LATEST, unset),
        "score": (replace, add, largest, smallest, LATEST),
        "at": (replace, replace, largest, ignore),
        "tags": (union, union, remove, replace, keep, append, add_or_remove, LATEST),
        "nested": (deep, deep, deep_keep, deep_keep, replace, keep),
        "items": (items_by("id"), items_by("id"), replace, on_create),
    }


def _on_merge(own: Rule) -> dict[str, tuple[Rule, ...]]:
    """Give the rules that a field may have between two contacts."""
    return {
        "email": (replace, union, last_updated),
        "more": (union, replace, last_updated),
        "phone": (replace, own),
        "code": (ignore, largest),
        "name": (own, immutable, replace, keep),
        "score": (add, largest, LATEST, keep),
        "at": (largest,),
        "tags": (union, append),
        "nested": (deep, deep_keep, replace, last_updated),
        "items": (items_by("id"), replace),
    }
