"""
What a field may hold: JSON's values, frozen all the way down.

Rules:
    A value is text, a whole number, a finite number, true, false, null, a list
    of values (kept as a tuple) or a mapping of text to values (kept read-only).
    Whatever cannot be written as UTF-8 JSON and read back equal is refused here,
    so nothing above this floor need look again.
    1, 1.0 and true are three values, though Python calls them equal.
"""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping
from operator import is_
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar, final

from upsertcore.limits import MAX_BITS, MAX_DEPTH, Budget
from upsertcore.unfit import value_advice

__all__ = [
    "NOTHING",
    "FrozenMap",
    "empty",
    "freeze",
    "same",
    "thaw",
]

V_co = TypeVar("V_co", covariant=True)

_TOO_DEEP = f"must not nest deeper than {MAX_DEPTH} levels"
_ALL_TEXT = frozenset({str}).issuperset


@final
class FrozenMap(Mapping[str, V_co]):
    """
    A read-only mapping that can be hashed, compared and pickled.

    Args:
        items: A mapping of names to values; copied, its values frozen.

    Raises:
        ValueError: As :func:`freeze`.

    Cost:
        Reading as a dict behind one indirection; hashing is linear.

    >>> m = FrozenMap({"a": 1})
    >>> m["a"], len(m), m == {"a": 1}
    (1, 1, True)
    """

    __slots__ = ("proxy",)
    proxy: MappingProxyType[str, V_co]

    def __init__(self, items: Mapping[str, V_co] | None = None) -> None:
        frozen = {} if items is None else _freeze_names(items, MAX_DEPTH, None)
        _set_proxy(self, MappingProxyType(frozen))

    @classmethod
    def trusted(cls, items: dict[str, V_co]) -> FrozenMap[V_co]:
        """
        Wrap a dict whose values are frozen and that nobody else keeps.

        >>> FrozenMap.trusted({"a": ("b",)})
        FrozenMap({'a': ('b',)})
        """
        # The proxy is then the only reference to it: nobody can reach it to write.
        self = _new(cls)
        _set_proxy(self, MappingProxyType(items))
        return self

    def __getitem__(self, name: str) -> V_co:
        return self.proxy[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.proxy)

    def __len__(self) -> int:
        return len(self.proxy)

    def __contains__(self, name: object) -> bool:
        return name in self.proxy

    # As the mapping that it is would do it, in a step of the interpreter's own.

    def get(self, name: str, default: Any = None) -> Any:
        """Give the value of a name, or the default where there is none."""
        return self.proxy.get(name, default)

    def keys(self) -> KeysView[str]:
        """Give the names."""
        return self.proxy.keys()

    def items(self) -> ItemsView[str, V_co]:
        """Give names and values."""
        return self.proxy.items()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenMap):
            return self.proxy == other.proxy
        # A copy: whatever the other does with it, it cannot reach what is in here.
        if isinstance(other, Mapping):
            return dict(self.proxy) == other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self.proxy.items()))

    def __repr__(self) -> str:
        return f"FrozenMap({dict(self.proxy)!r})"

    def __reduce__(self) -> tuple[type[FrozenMap[V_co]], tuple[dict[str, V_co]]]:
        return FrozenMap, (dict(self.proxy),)

    def __copy__(self) -> FrozenMap[V_co]:
        return self

    def __deepcopy__(self, memo: object) -> FrozenMap[V_co]:
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a FrozenMap is read-only: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a FrozenMap is read-only: {name} cannot be deleted")


_new = object.__new__
_set_proxy = FrozenMap.__dict__["proxy"].__set__

NOTHING: FrozenMap[Any] = FrozenMap.trusted({})
"""The mapping without names."""


def freeze(value: Any, budget: Budget | None = None, _room: int = MAX_DEPTH) -> Any:
    """
    Make a value that nobody can change, or say why it is none.

    Args:
        value: What was sent.
        budget: What lists and mappings may hold; a new one if None.

    Returns:
        Lists as tuples and mappings as :class:`FrozenMap`, all the way down; the
        same object where it is frozen already.

    Raises:
        ValueError: If it is no value: a number that is not finite or too large,
            text that is not Unicode, a name that is not text, nesting beyond
            ``MAX_DEPTH``, more than a budget, or a type that JSON has no word for.

    Cost:
        Linear in the value, whose size is limited; flat ASCII text costs one test.

    Laws:
        ``freeze(freeze(v)) is freeze(v)`` and ``freeze(thaw(freeze(v)))`` equals it.

    >>> freeze({"tags": ["a", "b"]})
    FrozenMap({'tags': ('a', 'b')})
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _unicode(value)
    if value is None or kind is bool:
        return value
    if kind is int and value.bit_length() <= MAX_BITS:
        return value
    if kind is FrozenMap:
        _fits(value, _room, budget or Budget())
        return value
    if kind is list or kind is tuple:
        return _freeze_items(value, _room, budget or Budget())
    if kind is dict:
        return _freeze_mapping(value, _room, budget or Budget())
    return _freeze_rest(value, _room, budget)


def _unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be Unicode text without lone surrogates") from None
    return text


def _fits(value: Any, room: int, budget: Budget) -> None:
    """See that a frozen value has room, for it may stand in a larger one now."""
    kind = type(value)
    if kind is not FrozenMap and kind is not tuple:
        return
    if not room:
        raise ValueError(_TOO_DEEP)
    names = sum(map(len, value)) if kind is FrozenMap else 0
    items = value.values() if kind is FrozenMap else value
    budget.take(len(value), names + _characters(items))
    for item in items:
        _fits(item, room - 1, budget)


def _characters(items: Iterable[Any]) -> int:
    return sum([len(item) for item in items if type(item) is str])


def _freeze_mapping(
    value: Mapping[Any, Any], room: int, budget: Budget
) -> FrozenMap[Any]:
    if not room:
        raise ValueError(_TOO_DEEP)
    if not value:
        return NOTHING
    return FrozenMap.trusted(_freeze_names(value, room - 1, budget))


def _freeze_items(value: Any, room: int, budget: Budget) -> tuple[Any, ...]:
    if not room:
        raise ValueError(_TOO_DEEP)
    plain = value if type(value) is tuple else tuple(value)
    if _ALL_TEXT(map(type, plain)):
        budget.take(len(plain), sum(map(len, plain)))
        if "".join(plain).isascii():
            return plain
    else:
        budget.take(len(plain), _characters(plain))
    items = tuple([freeze(item, budget, room - 1) for item in plain])
    return value if type(value) is tuple and all(map(is_, items, value)) else items


def _freeze_names(
    value: Mapping[Any, Any], room: int, budget: Budget | None
) -> dict[str, Any]:
    """Freeze the values of a mapping; each has a budget of its own where none is."""
    frozen, text = {}, 0
    for name, item in value.items():
        if not (type(name) is str and name.isascii()):
            name = _name(name)  # noqa: PLW2901 - the name that is stored
        text += len(name)
        if type(item) is str:
            text += len(item)
            frozen[name] = item if item.isascii() else _unicode(item)
        else:
            frozen[name] = freeze(item, budget, room)
    if budget is not None:
        budget.take(len(frozen), text)
    return frozen


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError("must have text for its names; use str(name)")  # noqa: TRY004 - a refusal of data
    return freeze(name)  # type: ignore[no-any-return]


def _freeze_rest(value: Any, room: int, budget: Budget | None) -> Any:
    """Freeze numbers, and subclasses of what JSON knows, as their plain selves."""
    if isinstance(value, int):
        whole = value if type(value) is int else int.__int__(value)
        if whole.bit_length() > MAX_BITS:
            raise ValueError("must be a whole number of at most 4 200 digits")
        return whole
    if isinstance(value, float):
        number = value if type(value) is float else float.__float__(value)
        if not math.isfinite(number):
            raise ValueError("must be a finite number")
        # 0.0 and -0.0 are equal, so one of them stands for both.
        return number or 0.0
    if isinstance(value, str):
        return freeze(str.__str__(value))
    if isinstance(value, Mapping):
        return _freeze_mapping(value, room, budget or Budget())
    if isinstance(value, (list, tuple)):
        return _freeze_items(value, room, budget or Budget())
    kinds = "text, a number, true, false, null, a list or a mapping"
    raise ValueError(f"must be {kinds}; {value_advice(value)}")


def thaw(value: Any) -> Any:
    """
    Make plain lists and dicts of a frozen value, ready for JSON.

    Args:
        value: What :func:`freeze` made.

    Returns:
        A copy that shares nothing mutable with it.

    >>> thaw(freeze({"tags": ["a"]}))
    {'tags': ['a']}
    """
    kind = type(value)
    if kind is tuple:
        return [thaw(item) for item in value]
    if kind is FrozenMap:
        return {name: thaw(item) for name, item in value.items()}
    return value


def same(a: Any, b: Any) -> bool:
    """
    Tell whether two frozen values are one value.

    Args:
        a: A frozen value.
        b: Another.

    Returns:
        True if they are equal in value and in type, all the way down.

    >>> same(1, 1), same(1, True), same(1, 1.0)
    (True, False, False)
    """
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is tuple:
        return len(a) == len(b) and all(map(same, a, b))
    if kind is FrozenMap:
        mine, theirs = a.proxy, b.proxy
        if mine.keys() != theirs.keys():
            return False
        return all(map(same, mine.values(), [theirs[name] for name in mine]))
    return a == b  # type: ignore[no-any-return]


def empty(value: Any) -> bool:
    """
    Return whether a frozen value is null or blank.

    Blank are ``""``, text of white space alone, a list without items and a mapping
    without names.

    >>> [empty(v) for v in (None, "", " ", (), FrozenMap(), 0, False, ("",))]
    [True, True, True, True, True, False, False, False]
    """
    if value is None:
        return True
    kind = type(value)
    if kind is str:
        return not value or value.isspace()
    return (kind is tuple or kind is FrozenMap) and not value
