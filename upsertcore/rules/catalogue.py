"""
The catalogue of rules: how a stored value and a sent value make the new one.

Rules:
    Each rule declares exactly the laws that hold for it.
    A rule that may ignore a sent value declares that it drops values.
    Null is None; the ``null`` and ``blank`` options of a field apply before its rule.

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
from upsertcore.rules import items, lists, mappings
from upsertcore.rules.absent import fill, is_absent
from upsertcore.rules.clocks import newer
from upsertcore.rules.comparison import KINDS, larger, smaller
from upsertcore.rules.rule import Combine, Law, Rule, replace
from upsertcore.values import (
    callable_name,
    describe,
    empty,
    find_invalid,
    freeze,
    kind_of,
    same,
    show_value,
    thaw,
)

__all__ = [
    "Custom",
    "add",
    "add_or_remove",
    "append",
    "constant",
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
    "refuse_if",
    "remove",
    "replace",
    "smallest",
    "sticky",
    "union",
    "unset",
]

_IDEMPOTENT: frozenset[Law] = frozenset({"idempotent"})
_ASSOCIATIVE: frozenset[Law] = _IDEMPOTENT | {"associative"}
_ABSORBING: frozenset[Law] = frozenset({"absorbing"})
_ALL_LAWS: frozenset[Law] = _ASSOCIATIVE | _ABSORBING | {"commutative"}


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


def _is_added(new: Any, sent: Any) -> bool:
    # Adding zero counts as stored, though the sum stays the same.
    return not empty(sent) or same(new, sent)


keep = Rule("keep", fill, _ASSOCIATIVE | _ABSORBING, drops=True)
"""The stored value stays; a sent value is stored only if it is absent or blank."""

on_create = Rule(
    "on_create", replace.combine, _ASSOCIATIVE, on_update=False, drops=True
)
"""Stored when a patch creates the contact; ignored in an update."""

immutable = Rule("immutable", _immutable, _IDEMPOTENT, drops=True)
"""Set once: another value is refused afterwards, null and blank included."""

ignore = Rule(
    "ignore",
    _ignore,
    _ALL_LAWS,
    on_create=False,
    on_update=False,
    drops=True,
    stores=False,
)
"""Never stored from a patch: the application sets this field by other means."""

unset = Rule("unset", _unset, _ALL_LAWS, stores=False)
"""Cleared by any sent value, null and blank included, as PostHog's ``$unset``."""

largest = Rule("largest", larger, _ALL_LAWS, drops=True)
"""
The larger of two numbers, or of two texts by code points; 1.0 is larger than 1.

A sent null, blank or smaller value is ignored; a stored blank is replaced. Values of
other types, and a number next to a text, are refused.
"""

smallest = Rule("smallest", smaller, _ALL_LAWS, drops=True)
"""The smaller of two numbers or texts; otherwise as ``largest``."""

add = Rule("add", _add, drops=True, contains=_is_added)
"""
The sum of two numbers, as Mixpanel's ``$add``.

Null and blank are ignored; a stored blank counts as zero. Not idempotent: sending a
number twice adds it twice.
"""

union = Rule("union", lists.union, _IDEMPOTENT, gather=lists.gather_union)
"""A list: sent items are appended unless they are there; null clears."""

append = Rule("append", lists.append, gather=lists.gather_append)
"""
A list: sent items are appended to the stored ones, with duplicates; null clears.

As Mixpanel's ``$append``, for lists. Not idempotent: sending a list twice appends it
twice.
"""

remove = Rule(
    "remove",
    lists.remove,
    _IDEMPOTENT | _ABSORBING,
    stores=False,
    gather=lists.gather_remove,
)
"""A list: sent items are removed from the stored ones; null clears."""

add_or_remove = Rule(
    "add_or_remove", lists.add_or_remove, _IDEMPOTENT, gather=lists.gather_add_or_remove
)
"""
A list of text: "x" adds an item if it is absent, "-x" removes it; null clears.

As Mautic's tags. The last mention of an item counts.
"""

deep = Rule(
    "deep",
    mappings.deep,
    _IDEMPOTENT,
    gather=mappings.gather_deep,
    merge=mappings.merge_deep,
)
"""A mapping, combined name by name at every level; null removes a name, or all."""

deep_keep = Rule(
    "deep_keep",
    mappings.deep_keep,
    _IDEMPOTENT | _ABSORBING,
    drops=True,
    contains=mappings.contains,
    gather=mappings.gather_deep_keep,
    merge=mappings.merge_deep_keep,
)
"""
A mapping, in which sent values are stored only where absent or blank, at every level.

A sent null is ignored, as a whole and inside; so is a blank as a whole.
"""


def latest(by: str) -> Rule:
    """
    Keep the newer value, by a clock that the patch carries in another field.

    Args:
        by: The field of the clock: numbers, or text that sorts by code points, such as
            ISO times. A patch with the value and without its clock is refused.

    Returns:
        A rule. A newer value, or a first one, is stored with its clock; an older one
        is ignored. The same value with a newer clock is an update. Null clears the
        field and keeps the clock, so that an older value does not come back; blank is
        stored. On a tie, the value whose JSON text sorts last wins, so that the order
        of calls does not matter. A text and a number as clocks are refused; the clock
        1.0 is later than 1.

    Raises:
        InvalidPolicy: If *by* is not the name of a field.

    >>> rule = latest(by="at")
    >>> rule.combine((5, "Ada"), (6, "Ada King")), rule.combine((5, "Ada"), (4, "A"))
    ((6, 'Ada King'), (5, 'Ada'))
    """
    name: Any = by
    if not isinstance(name, str) or not name.strip():
        what = f"by must be the name of a field, not {describe(name)}"
        raise InvalidPolicy(f"latest: {what}; name the field that has the time")
    return Rule(f"latest(by={by!r})", newer, _ALL_LAWS, drops=True, by=by)


last_updated = Rule(
    "last_updated", newer, _ALL_LAWS, drops=True, by="updated_at", merges_only=True
)
"""
Of two contacts that are merged, the value of the one that was updated last; a value
that only one of them has stays. For ``on_merge``.

The field keeps that ``updated_at`` as its clock until its next update, so that one
merge of three contacts equals two merges of two. A field whose own rule has a clock
uses that clock instead.
"""


def items_by(*names: str) -> Rule:
    """
    Combine a list of mappings item by item.

    As LeadConnector's custom fields, ``{id | key, field_value}``.

    Args:
        names: Names that identify an item. Two items are the same if they share the
            value of one of them; a blank value counts as omitted.

    Returns:
        A rule. A sent item updates the stored item; new items are appended; items that
        are not sent stay. Null clears. An item without any of the names is refused, as
        is one that matches two items or would change the name of one.

    Raises:
        InvalidPolicy: If no name is given, or one is not text.

    >>> rule = items_by("id")
    >>> stored = freeze([{"id": 1, "v": "a"}, {"id": 2, "v": "b"}])
    >>> [dict(i) for i in rule.combine(stored, freeze([{"id": 1, "v": "c"}]))]
    [{'id': 1, 'v': 'c'}, {'id': 2, 'v': 'b'}]
    """
    unchecked: tuple[Any, ...] = names
    if not unchecked or not all(isinstance(n, str) and n for n in unchecked):
        what = "needs the names that identify an item, as text"
        raise InvalidPolicy(f"items_by: {what}; write items_by('id')")
    arguments = ", ".join(map(repr, names))
    return Rule(
        f"items_by({arguments})",
        items.CombineItems(names),
        _IDEMPOTENT,
        gather=items.GatherItems(names),
        merge=items.MergeItems(names),
    )


@frozen
class _Sticky:
    """The function of ``sticky``: the value stays, and anything else is replaced."""

    value: Any

    def __call__(self, stored: Any, sent: Any) -> Any:
        return stored if same(stored, self.value) else sent


@frozen
class _MergeSticky:
    """The same between two contacts: the value of either, or the survivor's."""

    value: Any

    def __call__(self, own: Any, other: Any, default: Any) -> Any:
        return other if same(other, self.value) or is_absent(own, default) else own


def sticky(value: Any) -> Rule:
    """
    Replace the stored value, unless it is one that stays: an opt-out.

    As Mailchimp's ``unsubscribed``, which no import undoes.

    Args:
        value: The value that stays, as the field stores it.

    Returns:
        A rule. Once the value is stored, a patch that sends another value, null or
        blank is ignored; only the ``rules`` of a call replace or clear it. When
        contacts are merged, the value of either stays, and otherwise the survivor's;
        this applies without ``on_merge`` as well.

    Raises:
        InvalidPolicy: If the value is null or blank, or cannot be stored.

    >>> rule = sticky("unsubscribed")
    >>> rule.combine("subscribed", "unsubscribed"), rule.combine("unsubscribed", None)
    ('unsubscribed', 'unsubscribed')
    >>> rule.combine("pending", "subscribed")
    'subscribed'
    """
    name, kept = _value_of("sticky", value, "that stays")
    function, merge, options = _Sticky(kept), _MergeSticky(kept), _about(kept)
    return Rule(name, function, _ASSOCIATIVE, merge=merge, sticky=True, **options)


def _about(value: Any) -> dict[str, Any]:
    """Return what rules about one value have in common."""
    return {"drops": True, "value": value}


def _value_of(factory: str, value: Any, which: str) -> tuple[str, Any]:
    """Return the name of a rule about one value, and the value, frozen."""
    try:
        frozen_value = freeze(value)
        if empty(frozen_value):
            raise ValueError("must not be null or blank")  # noqa: TRY301 - as below
    except ValueError as error:
        what = f"value {error}"
        raise InvalidPolicy(f"{factory}: {what}; pass the value {which}") from error
    return f"{factory}({thaw(frozen_value)!r})", frozen_value


@frozen
class _Constant:
    """The function of ``constant``, of a patch's values or of two contacts'."""

    value: Any

    def __call__(self, *_values: Any) -> Any:
        return self.value


def constant(value: Any) -> Rule:
    """
    Set a field to one value whenever contacts are merged. For ``on_merge``.

    Args:
        value: The value, as the field stores it.

    Returns:
        A rule that applies to every merge, also where neither contact has the field.

    Raises:
        InvalidPolicy: If the value is null or blank, or cannot be stored.

    >>> rule = constant(True)
    >>> rule.combine(None, None), rule.combine(False, True)
    (True, True)
    """
    name, kept = _value_of("constant", value, "to set")
    function = _Constant(kept)
    options = {"merge": function, "merges_only": True, **_about(kept)}
    return Rule(name, function, _ALL_LAWS, **options)


@frozen
class _RefuseIf:
    """The function of ``refuse_if``: the survivor's value stays, as under ``keep``."""

    value: Any

    def __call__(self, own: Any, other: Any, default: Any = None) -> Any:
        if same(other, self.value):
            advice = "leave it out, or change its value"
            raise ValueError(f"must be one that allows a merge; {advice}")
        if own is None:
            return other
        fills = is_absent(own, default) and not is_absent(other, default)
        return other if fills else own


def refuse_if(value: Any) -> Rule:
    """
    Refuse to merge a contact that has a value into another one. For ``on_merge``.

    As PostHog's persons that are identified, which are merged into no other.

    Args:
        value: The value of the other contact that refuses the merge, as the field
            stores it. The survivor may have it.

    Returns:
        A rule. Where the merge is not refused, the survivor's value stays, as under
        ``keep``.

    Raises:
        InvalidPolicy: If the value is null or blank, or cannot be stored.

    >>> rule = refuse_if("customer")
    >>> rule.combine("customer", "lead"), rule.combine(None, "lead")
    ('customer', 'lead')
    >>> rule.combine("lead", "customer")
    Traceback (most recent call last):
    ...
    ValueError: must be one that allows a merge; leave it out, or change its value
    """
    name, kept = _value_of("refuse_if", value, "that refuses a merge")
    function = _RefuseIf(kept)
    options = {"merge": function, "merges_only": True, **_about(kept)}
    return Rule(name, function, _ASSOCIATIVE | _ABSORBING, **options)


@frozen
class Custom:
    """The function of ``custom``; rules with the same function are equal."""

    function: Combine

    def __call__(self, stored: Any, sent: Any) -> Any:
        """Return the new value, frozen."""
        new = self.function(stored, sent)
        try:
            return freeze(new)
        except ValueError as error:
            path, item, invalid = find_invalid(new, freeze)
            advice = (invalid or str(error)).partition("; send ")[2] or "a JSON value"
            place = f" at {path}" if path else ""
            what = f"must not become {type(item).__name__}{place} through its rule"
            reason = f"{what}; let {callable_name(self.function)} return {advice}"
            raise ValueError(reason) from error

    def __hash__(self) -> int:
        try:
            return hash(self.function)
        except TypeError:
            # A callable that compares by value may be unhashable.
            return hash(Custom)


def custom(
    combine: Combine,
    *,
    name: str = "custom",
    laws: tuple[Law, ...] = ("idempotent",),
) -> Rule:
    """
    Make a rule from a function.

    Args:
        combine: A pure function (stored, sent) -> new. It gets frozen values, and None
            for an absent one; it may return lists and mappings, and raise
            ``ValueError`` to refuse.
        name: The name of the rule, for messages.
        laws: The laws that hold for the function. Without *idempotent* the library
            does not promise that sending a patch twice equals sending it once.

    Returns:
        A rule. A sent value that does not change the stored one counts as ignored.

    Raises:
        InvalidPolicy: If *combine* is not a function, or a law is unknown.

    >>> longest = custom(lambda a, b: max(a or "", b or "", key=len), name="longest")
    >>> longest.combine("Bob", "Robert")
    'Robert'
    """
    if not callable(combine):
        what = f"must be a function, not {describe(combine)}"
        raise InvalidPolicy(f"custom: {what}; it takes the stored and the sent value")
    if any(law not in get_args(Law) for law in laws):
        known = ", ".join(map(repr, get_args(Law)))
        what = f"laws must be some of {known}, not {show_value(laws)}"
        raise InvalidPolicy(f"custom: {what}")
    return Rule(name, Custom(combine), frozenset(laws), drops=True)
