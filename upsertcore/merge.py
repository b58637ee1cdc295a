"""
Merge rules: how a stored value and a sent value make the new value.

Rules:
    A rule is a frozen value that holds a function of two frozen values, no more.
    None is "not there": stored, the contact lacks the field; sent, it is null;
    answered, the field is cleared. An omitted field never reaches a rule.
    A rule says no with ``ValueError``, in words that say what would be right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, final

from attrs import frozen

from upsertcore.errors import InvalidPolicy
from upsertcore.values import FrozenMap, empty, freeze, same, token

__all__ = [
    "Law",
    "Rule",
    "custom",
    "deep",
    "ignore",
    "immutable",
    "items_by",
    "keep",
    "on_create",
    "remove",
    "replace",
    "union",
]

Combine: TypeAlias = Callable[[Any, Any], Any]
Law = Literal["idempotent", "associative", "commutative"]


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
            *commutative*: b then c is c then b.
        on_create: False where it takes nothing from a patch that creates.
        on_update: False where it takes nothing from a patch that updates.
        drops: True where it may leave a sent value out; that is then reported.
        stores: False where no sent value ever comes to be stored.

    >>> union.combine(("a",), ("b", "a"))
    ('a', 'b')
    """

    name: str
    combine: Combine
    laws: frozenset[Law] = frozenset()
    on_create: bool = True
    on_update: bool = True
    drops: bool = False
    stores: bool = True

    def __repr__(self) -> str:
        return self.name


def _laws(*names: Law) -> frozenset[Law]:
    return frozenset(names)


def _replace(_stored: Any, sent: Any) -> Any:
    return sent


def _keep(stored: Any, sent: Any) -> Any:
    return stored if sent is None or not empty(stored) else sent


def _immutable(stored: Any, sent: Any) -> Any:
    if empty(stored):
        return _keep(stored, sent)
    if not same(stored, sent):
        raise ValueError("must stay as it is, for it is set already")
    return stored


def _union(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    items: dict[Any, Any] = {}
    for item in _list(stored) + _list(sent):
        items.setdefault(token(item), item)
    return tuple(items.values())


def _remove(stored: Any, sent: Any) -> Any:
    if stored is None or sent is None:
        return None
    gone = {token(item) for item in _list(sent)}
    return tuple(item for item in _list(stored) if token(item) not in gone)


def _deep(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    if stored is not None and not isinstance(stored, FrozenMap):
        raise ValueError("must go to a stored mapping, and the stored value is none")
    if not isinstance(sent, FrozenMap):
        raise ValueError("must be a mapping")  # noqa: TRY004 - a refusal of data
    merged = {} if stored is None else dict(stored)
    for name, value in sent.items():
        below = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, FrozenMap):
            merged[name] = _deep(below if isinstance(below, FrozenMap) else None, value)
        else:
            merged[name] = value
    return FrozenMap.trusted(merged)


def _list(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    if type(value) is not tuple:
        raise ValueError("must be a list, stored and sent")
    return value


replace = Rule("replace", _replace, _laws("idempotent", "associative"))
"""The sent value takes the place of the stored one; a list as a whole."""

keep = Rule("keep", _keep, _laws("idempotent", "associative"), drops=True)
"""The stored value stays; a sent one only fills what is absent or blank."""

on_create = Rule(
    "on_create",
    _replace,
    _laws("idempotent", "associative"),
    on_update=False,
    drops=True,
)
"""Taken from the patch that creates the contact, and from no other."""

immutable = Rule("immutable", _immutable, _laws("idempotent"), drops=True)
"""Set once; another value after that is refused."""

ignore = Rule(
    "ignore",
    lambda stored, _sent: stored,
    _laws("idempotent", "associative", "commutative"),
    on_create=False,
    on_update=False,
    drops=True,
    stores=False,
)
"""Never taken from a patch: the host keeps this field."""

union = Rule("union", _union, _laws("idempotent"))
"""A list: sent items join the stored ones, each once, those stored first."""

remove = Rule("remove", _remove, _laws("idempotent"), stores=False)
"""A list: sent items leave the stored ones."""

deep = Rule("deep", _deep, _laws("idempotent"))
"""A mapping, merged name by name, all the way down; null removes one name."""


def items_by(*names: str) -> Rule:
    """
    Merge a list of mappings item by item, told apart by what they are called.

    Args:
        names: Names within an item. Two items are one if they share the value of one
            of them; a blank value counts as omitted.

    Returns:
        A rule: what is sent of an item is laid over what is stored of it, new items
        stand at the end, and the items that are not sent stay. It refuses an item
        that is called nothing, that would join two others, or that would give one
        another name.

    Raises:
        InvalidPolicy: If no name is given.

    Cost:
        Linear in both lists.

    Source:
        LeadConnector's custom fields, ``{id | key, field_value}``.

    >>> rule = items_by("id")
    >>> stored = freeze([{"id": 1, "v": "a"}, {"id": 2, "v": "b"}])
    >>> [dict(i) for i in rule.combine(stored, freeze([{"id": 1, "v": "c"}]))]
    [{'id': 1, 'v': 'c'}, {'id': 2, 'v': 'b'}]
    """
    if not names:
        raise InvalidPolicy("items_by: say by which name items are told apart")

    def combine(stored: Any, sent: Any) -> Any:
        if sent is None:
            return None
        items = list(_list(stored))
        places: dict[Any, int] = {}
        for place, item in enumerate(items):
            _note(places, place, item, names)
        for item in _list(sent):
            place = _place(places, item, names, len(items))
            if place == len(items):
                items.append(FrozenMap())
            items[place] = _laid_over(items[place], item, names)
            _note(places, place, items[place], names)
        return tuple(items)

    called_by = ", ".join(map(repr, names))
    return Rule(f"items_by({called_by})", combine, _laws("idempotent"))


def _marks(item: Any, names: tuple[str, ...]) -> list[tuple[str, Any]]:
    if not isinstance(item, FrozenMap):
        return []
    return [(n, token(item[n])) for n in names if not empty(item.get(n))]


def _note(
    places: dict[Any, int], place: int, item: Any, names: tuple[str, ...]
) -> None:
    for mark in _marks(item, names):
        places.setdefault(mark, place)


def _place(places: dict[Any, int], item: Any, names: tuple[str, ...], end: int) -> int:
    marks = _marks(item, names)
    if not marks:
        raise ValueError(f"must be a list of mappings with {' or '.join(names)}")
    found = {places[mark] for mark in marks if mark in places}
    if len(found) > 1:
        raise ValueError(f"must not join two items by {' and '.join(names)}")
    return found.pop() if found else end


def _laid_over(known: Any, item: Any, names: tuple[str, ...]) -> FrozenMap[Any]:
    laid = {n: v for n, v in item.items() if n not in names or not empty(v)}
    for name in names:
        if name in laid and not same(known.get(name, laid[name]), laid[name]):
            raise ValueError(f"must not give an item another {name}")
    return FrozenMap.trusted({**known, **laid})


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
        InvalidPolicy: If it is no function.

    >>> longest = custom(lambda a, b: max(a or "", b or "", key=len), name="longest")
    >>> longest.combine("Bob", "Robert")
    'Robert'
    """
    if not callable(combine):
        raise InvalidPolicy(f"custom: must be a function, not {combine!r}")
    return Rule(name, lambda a, b: freeze(combine(a, b)), frozenset(laws), drops=True)
