"""
Merge rules: how a stored value and a sent value make the new value.

Rules:
    Each rule declares the laws that hold for it, all of them and no other.
    What may leave a sent value out says so.
    Null is None; what null and blank do may be settled before a rule is asked.

Each rule with a stored value and a sent one:

>>> replace.combine("a", "b"), replace.combine("a", "")
('b', '')
>>> keep.combine("a", "b"), keep.combine("", "b"), immutable.combine(None, "b")
('a', 'b', 'b')
>>> on_create.combine(None, "b"), ignore.combine("a", "b"), unset.combine("a", "b")
('b', 'a', None)
>>> union.combine(("a",), ("b", "a")), append.combine(("a",), ("b", "a"))
(('a', 'b'), ('a', 'b', 'a'))
>>> remove.combine(("a", "b"), ("a",)), add_or_remove.combine(("a", "b"), ("-a", "c"))
(('b',), ('b', 'c'))
>>> stored, sent = freeze({"a": 1}), freeze({"a": 2, "b": 3})
>>> dict(deep.combine(stored, sent)), dict(deep_keep.combine(stored, sent))
({'a': 2, 'b': 3}, {'a': 1, 'b': 3})
>>> largest.combine(1, 2), smallest.combine(1, 2), add.combine(1, 2)
(2, 1, 3)
"""

from __future__ import annotations

from typing import Any, get_args

from attrs import frozen

from upsertcore.errors import InvalidPolicy
from upsertcore.rules import nested
from upsertcore.rules.absent import (
    gather_deep,
    gather_deep_keep,
    merge_deep,
    merge_deep_keep,
    merge_items,
)
from upsertcore.rules.gather import (
    AppendItems,
    Gatherer,
    Items,
    RemoveItems,
    UnionItems,
)
from upsertcore.rules.order import KINDS, fill, larger, newer, smaller
from upsertcore.rules.rule import Combine, Law, Rule, replace
from upsertcore.values import called, described, empty, freeze, kind_of, same, shown

__all__ = [
    "add",
    "add_or_remove",
    "append",
    "custom",
    "deep",
    "deep_keep",
    "ignore",
    "immutable",
    "items_by",
    "keep",
    "largest",
    "last_updated",
    "latest",
    "on_create",
    "remove",
    "replace",
    "smallest",
    "union",
    "unset",
]

_ONCE: frozenset[Law] = frozenset({"idempotent"})
_GROUPED: frozenset[Law] = _ONCE | {"associative"}
_AGAIN: frozenset[Law] = frozenset({"absorbing"})
_ALL: frozenset[Law] = _GROUPED | _AGAIN | {"commutative"}


def _ignore(stored: Any, _sent: Any) -> Any:
    return stored


def _immutable(stored: Any, sent: Any) -> Any:
    if empty(stored):
        return fill(stored, sent)
    if not same(stored, sent):
        raise ValueError("must not change once it is set")
    return stored


def _unset(_stored: Any, _sent: Any) -> Any:
    return None


def _add(stored: Any, sent: Any) -> Any:
    if empty(sent):
        return stored
    if KINDS.get(type(sent)) != "a number":
        raise ValueError("must be a number")
    if empty(stored):
        return sent
    if KINDS.get(type(stored)) != "a number":
        kind = kind_of(stored)
        raise ValueError(f"needs a stored number; the stored value is {kind}")
    try:
        return freeze(stored + sent)
    except (OverflowError, ValueError):
        raise ValueError("must not make the sum too large") from None


def _adds(new: Any, sent: Any) -> bool:
    # Nought counts, though it leaves a sum as it is.
    return not empty(sent) or same(new, sent)


def _gather_union(own: Any, _default: Any) -> Gatherer | None:
    return UnionItems(own) if type(own) is tuple else None


def _gather_append(own: Any, _default: Any) -> Gatherer | None:
    return AppendItems(own) if type(own) is tuple else None


def _gather_remove(own: Any, _default: Any) -> Gatherer | None:
    return RemoveItems(own) if type(own) is tuple else None


def _gather_signed(own: Any, _default: Any) -> Gatherer | None:
    return RemoveItems(own, signed=True) if type(own) is tuple else None


keep = Rule("keep", fill, _GROUPED | _AGAIN, drops=True)
"""The stored value stays; a sent one, not null, only fills what is absent or blank."""

on_create = Rule("on_create", replace.combine, _GROUPED, on_update=False, drops=True)
"""Taken from the patch that creates the contact; whatever an update says, ignored."""

immutable = Rule("immutable", _immutable, _ONCE, drops=True)
"""Set once, for good: the same value stays, another is refused, null and blank too."""

ignore = Rule(
    "ignore", _ignore, _ALL, on_create=False, on_update=False, drops=True, stores=False
)
"""Never taken from a patch, whatever is sent: the host keeps this field."""

unset = Rule("unset", _unset, _ALL, stores=False)
"""Cleared by whatever is sent, null and blank too, as by PostHog's ``$unset``."""

largest = Rule("largest", larger, _ALL, drops=True)
"""
The greater of two numbers, or of two texts by code points; 1.0 is above 1.

Null, blank and what is smaller are ignored; absent or blank takes the first value.
A number and a text do not compare, and nothing else is taken: refused.
"""

smallest = Rule("smallest", smaller, _ALL, drops=True)
"""The smaller of two numbers or texts; 1 is below 1.0. The rest is as ``largest``."""

add = Rule("add", _add, drops=True, contains=_adds)
"""
The sum of two numbers, as by Mixpanel's ``$add``; the same number counts again.

Null and blank are ignored; absent or blank counts as nothing. Promises no law.
"""

union = Rule("union", nested.union, _ONCE, gather=_gather_union)
"""A list: sent items join the stored ones, each once, those first; null clears."""

append = Rule("append", nested.append, gather=_gather_append)
"""
A list: sent items stand after the stored ones, repeats included; null clears.

As Mixpanel's ``$append``, for lists. The same list counts again: it promises no law.
"""

remove = Rule(
    "remove", nested.remove, _ONCE | _AGAIN, stores=False, gather=_gather_remove
)
"""A list: sent items leave the stored ones; null clears, absent stays absent."""

add_or_remove = Rule(
    "add_or_remove", nested.add_or_remove, _ONCE, gather=_gather_signed
)
"""
A list of text: "x" joins if it is not there, "-x" leaves it; null clears.

As Mautic's tags. The last word about an item counts; absent counts as empty.
"""

deep = Rule("deep", nested.deep, _ONCE, gather=gather_deep, merge=merge_deep)
"""A mapping, merged name by name, all the way down; null removes one name, or all."""

deep_keep = Rule(
    "deep_keep",
    nested.deep_keep,
    _ONCE | _AGAIN,
    drops=True,
    contains=nested.contains,
    gather=gather_deep_keep,
    merge=merge_deep_keep,
)
"""
A mapping, in which a sent one only fills what is absent or blank, all the way down.

Null and blank for the whole are ignored; inside, null and what is there already.
"""


def latest(by: str) -> Rule:
    """
    Take what is newer by a clock that the patch carries in another field.

    Args:
        by: The field that is the clock: numbers, or text by code points, as ISO
            times are. A patch that sends the value and not its clock is refused.

    Returns:
        A rule: a newer value is stored with its clock, a first value too; the same
        value moves its clock, which is an update. Null
        clears, and leaves the clock, so that nothing older comes back; blank is
        stored. What is older is ignored. Of equal clocks the greater value stays,
        compared as JSON text, so that the order of calls does not matter; 1.0 is
        the later of 1 and 1.0. A text and a number do not compare: refused.

    Raises:
        InvalidPolicy: If it names no field.

    >>> rule = latest(by="at")
    >>> rule.combine((5, "Ada"), (6, "Ada King")), rule.combine((5, "Ada"), (4, "A"))
    ((6, 'Ada King'), (5, 'Ada'))
    """
    name: Any = by
    if not isinstance(name, str) or not name.strip():
        what = f"by must be the name of a field, not {described(name)}"
        raise InvalidPolicy(f"latest: {what}; name the field that has the time")
    return Rule(f"latest(by={by!r})", newer, _ALL, drops=True, by=by)


last_updated = Rule(
    "last_updated", newer, _ALL, drops=True, by="updated_at", merges_only=True
)
"""
Between two contacts that are merged: the value of the one that was updated last; what
only one of them has stays. It is for ``on_merge``.

The field keeps that ``updated_at`` as its clock until it is next updated, so that one
merge of three contacts is two merges of two. A field whose own rule has a clock goes by
that clock.
"""


def items_by(*names: str) -> Rule:
    """
    Merge a list of mappings item by item, told apart by what they are called.

    As LeadConnector's custom fields, ``{id | key, field_value}``.

    Args:
        names: Names within an item. Two items are one if they share the value of one
            of them; a blank value counts as omitted.

    Returns:
        A rule: what is sent of an item is laid over what is stored of it, new items
        stand at the end, and the items that are not sent stay. Null clears. It
        refuses an item that is called nothing, would join two, or would rename one.

    Raises:
        InvalidPolicy: If no name is given, or one that is no text.

    >>> rule = items_by("id")
    >>> stored = freeze([{"id": 1, "v": "a"}, {"id": 2, "v": "b"}])
    >>> [dict(i) for i in rule.combine(stored, freeze([{"id": 1, "v": "c"}]))]
    [{'id': 1, 'v': 'c'}, {'id': 2, 'v': 'b'}]
    """
    given: tuple[Any, ...] = names
    if not given or not all(isinstance(name, str) and name for name in given):
        what = "needs the names that identify an item, as text"
        raise InvalidPolicy(f"items_by: {what}; write items_by('id')")
    called_by = ", ".join(map(repr, names))
    return Rule(
        f"items_by({called_by})",
        _Items(names),
        _ONCE,
        gather=_Gathered(names),
        merge=_Merged(names),
    )


@frozen
class _Items:
    """What ``items_by`` does; equal names make an equal rule."""

    names: tuple[str, ...]

    def __call__(self, stored: Any, sent: Any) -> Any:
        return nested.items(stored, sent, self.names)


@frozen
class _Gathered:
    """What ``items_by`` begins with where many contacts are merged."""

    names: tuple[str, ...]

    def __call__(self, own: Any, _default: Any) -> Gatherer | None:
        return Items(own, self.names, blanks=False) if type(own) is tuple else None


@frozen
class _Merged:
    """What ``items_by`` does where contacts are merged."""

    names: tuple[str, ...]

    def __call__(self, own: Any, other: Any, default: Any) -> Any:
        return merge_items(own, other, default, self.names)


@frozen
class _Custom:
    """What ``custom`` does; the same function makes an equal rule."""

    function: Combine

    def __call__(self, stored: Any, sent: Any) -> Any:
        made = self.function(stored, sent)
        try:
            return freeze(made)
        except ValueError as error:
            advice = str(error).partition("; send ")[2] or "a value that JSON has"
            what = f"must not become {type(made).__name__} through its rule"
            reason = f"{what}; let {called(self.function)} return {advice}"
            raise ValueError(reason) from error

    def __hash__(self) -> int:
        try:
            return hash(self.function)
        except TypeError:
            # A callable that compares by value need not hash.
            return hash(_Custom)


def custom(
    combine: Combine,
    *,
    name: str = "custom",
    laws: tuple[Law, ...] = ("idempotent",),
) -> Rule:
    """
    Make a rule of a function.

    Args:
        combine: (stored, sent) -> new, pure. It sees frozen values, None for what
            is not there; it may answer lists and mappings of its own, and raise
            ``ValueError`` to refuse.
        name: How the rule is called in messages.
        laws: What the function promises. Leave *idempotent* out where sending
            twice is not sending once: the promise of the library then ends here.

    Returns:
        A rule. A sent value that leaves the stored one as it is counts as ignored.

    Raises:
        InvalidPolicy: If it is no function, or promises what is no law.

    >>> longest = custom(lambda a, b: max(a or "", b or "", key=len), name="longest")
    >>> longest.combine("Bob", "Robert")
    'Robert'
    """
    if not callable(combine):
        what = f"must be a function, not {described(combine)}"
        raise InvalidPolicy(f"custom: {what}; it takes the stored and the sent value")
    if any(law not in get_args(Law) for law in laws):
        known = ", ".join(map(repr, get_args(Law)))
        what = f"laws must be some of {known}, not {shown(laws)}"
        raise InvalidPolicy(f"custom: {what}")
    return Rule(name, _Custom(combine), frozenset(laws), drops=True)
