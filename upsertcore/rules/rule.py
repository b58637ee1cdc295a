"""
The rule type, and the default rule ``replace``.

Rules:
    A rule is a frozen value that holds a function of two frozen values.
    None means absent: stored, the contact does not have the field; sent, it is null;
    returned, the field is cleared. An omitted field never reaches a rule.
    A rule refuses with ``ValueError``; the message says what is expected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, final

from attrs import astuple, frozen

from upsertcore.rules.gatherer import Gatherer
from upsertcore.values import same

__all__ = ["Combine", "Law", "Rule", "replace"]

Combine: TypeAlias = Callable[[Any, Any], Any]
Law = Literal["idempotent", "associative", "commutative", "absorbing"]


@final
@frozen
class Rule:
    """
    How the stored and the sent value of a field make the new one.

    Args:
        name: The name, for messages.
        combine: (stored, sent) -> new; None means absent.
        laws: The laws that hold for every stored and sent value, null included; a
            refusal counts as a result. *idempotent*: sending b twice is sending it
            once. *associative*: b, then c, is the one value that c makes of b.
            *commutative*: b then c is c then b. *absorbing*: b, then c, then b again
            is b, then c, with any number of values between: an older patch that is
            sent again changes nothing. A commutative, idempotent rule is absorbing.
        on_create: False where a patch that creates does not set the field.
        on_update: False where a patch that updates does not set the field.
        drops: True where it may ignore a sent value, which is then reported.
        stores: False where no sent value is ever stored.
        by: The field that is the clock of the value, None for a rule without one. A
            rule with a clock combines pairs (clock, value), whose clock is None where
            absent; its laws are for sent pairs that have a clock.
        contains: (new, sent) -> True where the new value contains all of the sent one;
            None where a value is only ever ignored as a whole.
        gather: (survivor's, default of the field) -> a gatherer, to which the values
            of many contacts are added one after the other, for rules that combine
            lists or mappings; None where the survivor's value is neither.
        merge: (survivor's, other's, default of the field) -> new, when contacts are
            merged and parts of a value may be absent; None: *combine* is used.
        merges_only: True where it is about the contacts themselves, so that it applies
            only when they are merged, never to a patch. Without a clock it also
            applies to a field that only one of them has, or none: ``merge`` is called
            with None for what is not there.
        value: The value that the rule is about, as the field stores it; None for none.
        sticky: True where no patch replaces this value once it is stored. Such a rule
            is also the field's rule between contacts that are merged, unless the field
            has its own.

    >>> replace.combine("a", "b"), sorted(replace.laws)
    ('b', ['associative', 'idempotent'])
    """

    name: str
    combine: Combine
    laws: frozenset[Law] = frozenset()
    on_create: bool = True
    on_update: bool = True
    drops: bool = False
    stores: bool = True
    by: str | None = None
    contains: Callable[[Any, Any], bool] | None = None
    gather: Callable[[Any, Any], Gatherer | None] | None = None
    merge: Callable[[Any, Any, Any], Any] | None = None
    merges_only: bool = False
    value: Any = None
    sticky: bool = False

    @property
    def asks_absent(self) -> bool:
        """Whether it applies to a field that neither of two merged contacts has."""
        return self.merges_only and self.by is None

    def leaves_out(self, stored: Any, new: Any, sent: Any) -> bool:
        """
        Return whether a sent value is ignored, so that it must be reported.

        Args:
            stored: The stored value.
            new: The value that the rule returned; the stored one if it did not run.
            sent: The sent value, None for null.

        >>> from upsertcore.rules import keep
        >>> keep.leaves_out("a", "a", "b"), keep.leaves_out("a", "a", "a")
        (True, False)
        """
        if self.contains is not None:
            return not self.contains(new, sent)
        return self.drops and same(new, stored) and not same(sent, stored)

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str | tuple[Any, ...]:
        # The default rule is recognised by identity, also after copying or pickling.
        if self is replace:
            return "replace"
        return Rule, astuple(self, recurse=False)


def _replace(_stored: Any, sent: Any) -> Any:
    return sent


replace = Rule("replace", _replace, frozenset({"idempotent", "associative"}))
"""The sent value replaces the stored one; null clears, blank is stored."""
