"""
Frozen values: what JSON can say, as values that cannot change.

Rules:
    A frozen value is text, a number, a bool, a tuple or a FrozenMap of such values.
    What is not JSON, or exceeds a limit, is refused with ``ValueError``.
"""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping
from operator import is_
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar, final

from upsertcore.values.advice import value_advice
from upsertcore.values.limits import MAX_BITS, MAX_DEPTH, Budget, Size

__all__ = ["NOTHING", "FrozenMap", "count", "freeze", "is_unicode", "thaw"]

V_co = TypeVar("V_co", covariant=True)

_TOO_DEEP = f"must not nest deeper than {MAX_DEPTH} levels"
_ALL_TEXT = frozenset({str}).issuperset


@final
class FrozenMap(Mapping[str, V_co]):
    """
    A read-only mapping that can be hashed, compared and pickled.

    Args:
        items: A mapping of names to values. It is copied, and its values are frozen.

    Raises:
        ValueError: As :func:`freeze`.

    Cost:
        Reading is a dict look-up behind one indirection; hashing is linear.

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
        Wrap a dict whose values are frozen; the caller must keep no reference to it.

        >>> FrozenMap.trusted({"a": ("b",)})
        FrozenMap({'a': ('b',)})
        """
        # The proxy is then the only reference to the dict, so it cannot be changed.
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

    # Overridden because Mapping's own methods are slower.

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a name, or the default where there is none."""
        return self.proxy.get(name, default)

    def keys(self) -> KeysView[str]:
        """Return the names."""
        return self.proxy.keys()

    def items(self) -> ItemsView[str, V_co]:
        """Return names and values."""
        return self.proxy.items()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenMap):
            return self.proxy == other.proxy
        # A copy, so that __eq__ of the other object cannot reach the dict.
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
"""The empty mapping."""


def freeze(value: Any, budget: Budget | None = None, _room: int = MAX_DEPTH) -> Any:
    """
    Return an immutable copy of a JSON value.

    Args:
        value: What was sent.
        budget: What lists and mappings may hold; a new budget if None.

    Returns:
        Lists as tuples and mappings as :class:`FrozenMap`, at every level; the same
        object where it is frozen already.

    Raises:
        ValueError: For a number that is not finite or too large, text that is not
            Unicode, a name that is not text, nesting beyond ``MAX_DEPTH``, a value that
            exceeds the budget, or a type that JSON does not have.

    Cost:
        Linear in the value, whose size is limited; ASCII text costs one test.

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
        _check_size(value, _room, budget or Budget())
        return value
    if kind is list or kind is tuple:
        return _freeze_items(value, _room, budget or Budget())
    if kind is dict:
        return _freeze_mapping(value, _room, budget or Budget())
    return _freeze_other(value, _room, budget)


def is_unicode(text: str) -> bool:
    r"""
    Return whether UTF-8 can write a text: it has no lone surrogate.

    >>> is_unicode("São Paulo"), is_unicode("\ud800")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unicode(text: str) -> str:
    if not is_unicode(text):
        raise ValueError("must be Unicode text without lone surrogates")
    return text


def _check_size(value: Any, room: int, budget: Budget | Size) -> None:
    """Check the depth and size of a frozen list or mapping."""
    if not room:
        raise ValueError(_TOO_DEEP)
    items: Any = value if type(value) is tuple else value.proxy
    if not items:
        return
    text, nested = 0, []
    if items is not value:
        text, items = sum(map(len, items)), items.values()
    for item in items:
        if type(item) is str:
            text += len(item)
        elif type(item) is FrozenMap or type(item) is tuple:
            nested.append(item)
    budget.take(len(items), text)
    for item in nested:
        _check_size(item, room - 1, budget)


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
    if plain and type(plain[0]) is str and _ALL_TEXT(map(type, plain)):
        budget.take(len(plain), sum(map(len, plain)))
        if "".join(plain).isascii():
            return plain
    else:
        text = 0
        for item in plain:
            if type(item) is str:
                text += len(item)
        budget.take(len(plain), text)
    items = tuple([freeze(item, budget, room - 1) for item in plain])
    return value if type(value) is tuple and all(map(is_, items, value)) else items


def _freeze_names(
    value: Mapping[Any, Any], room: int, budget: Budget | None
) -> dict[str, Any]:
    """Freeze the values of a mapping; without a budget, each value has its own."""
    frozen, text = {}, 0
    for name, item in value.items():
        if not (type(name) is str and name.isascii()):
            name = _freeze_name(name)  # noqa: PLW2901 - the name that is stored
        text += len(name)
        if type(item) is str:
            text += len(item)
            frozen[name] = item if item.isascii() else _unicode(item)
        else:
            frozen[name] = freeze(item, budget, room)
    if budget is not None:
        budget.take(len(frozen), text)
    return frozen


def _freeze_name(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError("must have text as names; use str(name)")  # noqa: TRY004 - a refusal of data
    return freeze(name)  # type: ignore[no-any-return]


def _freeze_other(value: Any, room: int, budget: Budget | None) -> Any:
    """Freeze floats, and subclasses of JSON types as their base type."""
    if isinstance(value, int):
        whole = value if type(value) is int else int.__int__(value)
        if whole.bit_length() > MAX_BITS:
            raise ValueError("must be a whole number of at most 4 200 digits")
        return whole
    if isinstance(value, float):
        number = value if type(value) is float else float.__float__(value)
        if not math.isfinite(number):
            raise ValueError("must be a finite number")
        # 0.0 and -0.0 are equal, so both become 0.0.
        return number or 0.0
    if isinstance(value, str):
        return freeze(str.__str__(value))
    if isinstance(value, Mapping):
        return _freeze_mapping(value, room, budget or Budget())
    if isinstance(value, (list, tuple)):
        return _freeze_items(value, room, budget or Budget())
    kinds = "text, a number, true, false, null, a list or a mapping"
    raise ValueError(f"must be {kinds}; {value_advice(value)}")


def count(tally: Size, items: Iterable[Any], sign: int = 1) -> None:
    """
    Add the size of frozen values to the size of the list or mapping that holds them.

    Args:
        tally: The size of the list or mapping.
        items: The values; the names of a mapping are not counted here.
        sign: -1 to subtract removed values.

    >>> tally = Size()
    >>> count(tally, ["abc", ("d", 1)]), tally.values, tally.text
    (None, 4, 4)
    """
    part, values = Size(), (*items,)
    if _ALL_TEXT(map(type, values)):
        tally.take(sign * len(values), sign * sum(map(len, values)))
        return
    _check_size(values, MAX_DEPTH + 1, part)
    tally.take(sign * part.values, sign * part.text)


def thaw(value: Any) -> Any:
    """
    Return plain lists and dicts for a frozen value, ready for JSON.

    Args:
        value: A frozen value.

    Returns:
        A copy that shares nothing mutable with it.

    >>> thaw(freeze({"tags": ["a"]}))
    {'tags': ['a']}
    """
    kind = type(value)
    if kind is tuple:
        return [item if type(item) is str else thaw(item) for item in value]
    if kind is FrozenMap:
        fields = value.proxy.copy()
        for name, item in fields.items():
            if type(item) is tuple or type(item) is FrozenMap:
                fields[name] = thaw(item)
        return fields
    return value
