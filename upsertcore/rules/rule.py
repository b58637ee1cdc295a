"""
What a merge rule is, and the one that goes without saying: what is sent replaces.

Rules:
    A rule is a frozen value that holds a function of two frozen values, no more.
    None is "not there": stored, the contact lacks the field; sent, it is null;
    answered, the field is cleared. An omitted field never reaches a rule.
    A rule says no with ``ValueError``, in words that say what would be right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, final

from attrs import astuple, frozen

from upsertcore.rules.gather import Gatherer
from upsertcore.values import same

__all__ = ["Combine", "Law", "Rule", "replace"]

Combine: TypeAlias = Callable[[Any, Any], Any]
Law = Literal["idempotent", "associative", "commutative", "absorbing"]


@final
@frozen
class Rule:
    """
    One merge rule.

    Args:
        name: How it is called in tables and messages.
        combine: (stored, sent) -> new; None as the module's rules say.
        laws: What holds for every stored and sent value, null among them, a refusal
            counting as an answer. *idempotent*: sending twice is sending once.
            *associative*: merging b, then c, is merging what c makes of b.
            *commutative*: b then c is c then b. *absorbing*: b, then c, then b again
            is b, then c, and so however many come between: an older patch that is
            sent again changes nothing. What is commutative and idempotent has it.
        on_create: False where it takes nothing from a patch that creates.
        on_update: False where it takes nothing from a patch that updates.
        drops: True where it may leave a sent value out; that is then reported.
        stores: False where no sent value ever comes to be stored.
        by: The field that is the clock of the value, None for a rule without one. A
            rule with a clock combines pairs (clock, value), a clock None where
            there is none; its laws are for sent pairs that have a clock.
        shows: (new, sent) -> True where all that was sent stands in the new value;
            None where a value is left out only as a whole, the stored one staying.
        gather: (survivor's, default of the field) -> what the values of many contacts
            are laid over, one after the other, for rules that join lists or mappings;
            None where the survivor's value is none of these.
        merge: (survivor's, other's, default of the field) -> new, where contacts are
            merged and parts of a value may be absent; None where *combine* does that.
        merges_only: True where it compares the contacts themselves, so that it is for
            merging them, and for no patch.

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

    def leaves_out(self, stored: Any, new: Any, sent: Any) -> bool:
        """
        Return whether a sent value is left out, so that it must be named.

        Args:
            stored: What the contact held.
            new: What the rule made of it; the same where the rule took nothing.
            sent: What was sent, None for null.

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
        # The rule that goes without saying is known by its identity, copied or not.
        if self is replace:
            return "replace"
        return Rule, astuple(self, recurse=False)


def _replace(_stored: Any, sent: Any) -> Any:
    return sent


replace = Rule("replace", _replace, frozenset({"idempotent", "associative"}))
"""The sent value takes the place of the stored one; null clears, blank is stored."""
