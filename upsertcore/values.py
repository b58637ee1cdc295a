"""
Values: JSON values, frozen, compared, measured, and shown in messages.

Rules:
    A frozen value is text, a number, a bool, a tuple or a FrozenMap of such values.
    Values of different types differ: 1, 1.0 and True are three values.
    A message shows a shortened value, and advice on what to use instead.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping
from difflib import get_close_matches
from itertools import islice
from operator import is_
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar, final

__all__ = [
    "MAX_BITS",
    "MAX_DEPTH",
    "MAX_FIELDS",
    "MAX_TEXT",
    "MAX_VALUES",
    "NOTHING",
    "Budget",
    "FrozenMap",
    "Size",
    "callable_name",
    "closest_name",
    "count",
    "describe",
    "empty",
    "find_invalid",
    "freeze",
    "kind_of",
    "list_names",
    "mapping_advice",
    "same",
    "show_name",
    "show_value",
    "thaw",
    "unknown_name",
    "value_advice",
]

MAX_FIELDS = 10_000
"""The most fields of one patch."""

MAX_DEPTH = 64
"""The deepest nesting of lists and mappings; real contacts stay below ten."""

MAX_VALUES = 100_000
"""The most values in the lists and mappings of one patch, nested ones included."""

MAX_TEXT = 10_000_000
"""The most characters of a text, and of all texts in lists and mappings together."""

MAX_BITS = 14_000
"""The bits of the largest whole number: Python prints at most 4 300 digits."""


@final
class Budget:
    """
    The number of values and characters that a patch may still hold.

    >>> budget = Budget()
    >>> budget.take(100_000, 5)
    >>> budget.take(1, 0)
    Traceback (most recent call last):
    ...
    ValueError: must hold at most 100000 values, nested ones included
    """

    __slots__ = ("_text", "_values")

    def __init__(self) -> None:
        self._values, self._text = MAX_VALUES, MAX_TEXT

    def take(self, values: int, text: int) -> None:
        """
        Subtract the size of a list or a mapping.

        Args:
            values: The number of its values.
            text: The number of characters of its texts.

        Raises:
            ValueError: If that exceeds the budget.
        """
        self._values -= values
        self._text -= text
        if self._values < 0:
            raise ValueError(
                f"must hold at most {MAX_VALUES} values, nested ones included"
            )
        if self._text < 0:
            what = f"must hold at most {MAX_TEXT} characters, nested ones included"
            raise ValueError(what)


@final
class Size:
    """
    The size of a value while it is built, so that a change costs only its own size.

    >>> size = Size()
    >>> size.take(MAX_VALUES, 0), size.check(), size.take(1, 0)
    (None, None, None)
    >>> size.check()
    Traceback (most recent call last):
    ...
    ValueError: must hold at most 100000 values, nested ones included
    """

    __slots__ = ("text", "values")

    def __init__(self) -> None:
        self.values = self.text = 0

    def take(self, values: int, text: int) -> None:
        """Add the size of a list or a mapping, as :meth:`Budget.take` subtracts it."""
        self.values += values
        self.text += text

    def check(self) -> None:
        """
        Check that the size is within the limits of one value.

        Raises:
            ValueError: If it is not.
        """
        Budget().take(self.values, self.text)


class _ShortRepr(reprlib.Repr):
    """Shows a frozen mapping as a dict."""

    def repr_FrozenMap(self, value: Mapping[str, Any], level: int) -> str:  # noqa: N802
        return self.repr_dict(dict(value), level)


_SHORT = _ShortRepr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2


def show_value(value: object) -> str:
    """
    Return a short, printable representation of a value, for messages.

    Args:
        value: Any object, including one that cannot be printed (a lone surrogate, an
            integer of five thousand digits, a megabyte of text).

    Returns:
        At most about 60 characters for a scalar.

    >>> show_value("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
    """
    try:
        return _SHORT.repr(value)
    except Exception:  # noqa: BLE001 - a message must never hide the refusal it is for
        return f"<{type(value).__name__}>"


def kind_of(value: object) -> str:
    """
    Return the kind of a value, for a message that must not show the value.

    >>> kind_of("a"), kind_of(1.5), kind_of(True), kind_of(("a",)), kind_of(None)
    ('text', 'a number', 'true or false', 'a list', 'null')
    """
    for kind, noun in _KINDS:
        if isinstance(value, kind):
            return noun
    return "null"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "text"),
    (bool, "true or false"),
    ((int, float), "a number"),
    ((list, tuple), "a list"),
    (Mapping, "a mapping"),
)


def describe(value: object) -> str:
    """
    Describe an argument: a function or a class by its name, other values as shown.

    >>> describe(len), describe(dict), describe("keep")
    ('the function len', 'the class dict', "'keep'")
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    plain = not callable(value) or not hasattr(value, "__name__")
    return show_value(value) if plain else f"the function {callable_name(value)}"


def callable_name(function: object) -> str:
    """
    Return the name of a function or a rule, or else that of its class.

    >>> from functools import partial
    >>> callable_name(len), callable_name(partial(len, ()))
    ('len', 'partial')
    """
    for name in ("__name__", "name"):
        if hasattr(function, name):
            return str(getattr(function, name))
    return type(function).__name__


def show_name(name: object) -> str:
    """
    Show the name of a field: unchanged if it is short printable text.

    >>> show_name("email"), show_name("e mail"), show_name(7), show_name("")
    ('email', 'e mail', '7', "''")
    """
    plain = isinstance(name, str) and 0 < len(name) <= 60 and name.isprintable()
    return str(name) if plain else show_value(name)


def list_names(names: Iterable[object], most: int = 20) -> str:
    """
    Join names for a message, at most the first ones.

    >>> list_names(["a", "b", "c"], 2)
    'a, b, ...'
    """
    first = [show_name(name) for name in islice(names, most + 1)]
    return ", ".join([*first[:most], "..."] if len(first) > most else first)


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """
    Return a message for an unknown key or field that lists the known ones.

    >>> unknown_name("key", "mail", ["email"]), unknown_name("key", "mail", [])
    ("unknown key 'mail'; this policy has: email", "unknown key 'mail'; ... has none")
    """
    names = list_names(known)
    has = f"has: {names}" if names else "has none"
    return f"unknown {kind} {show_value(name)}; this policy {has}"


def closest_name(name: object, known: Iterable[str]) -> str | None:
    """
    Return the known name that is most similar to a misspelt one, if any.

    Cost:
        Bounded: long names, and all but the first 200 known ones, are not compared.

    >>> closest_name("emial", ("email", "phone")), closest_name("x", ("email",))
    ('email', None)
    """
    if not isinstance(name, str) or len(name) > 60:
        return None
    short = [known_name for known_name in islice(known, 200) if len(known_name) <= 60]
    return next(iter(get_close_matches(name, short, 1)), None)


def value_advice(value: object) -> str:
    """
    Return advice on what to send instead of an object that is not JSON.

    >>> from datetime import date
    >>> value_advice(date(1815, 12, 10)), value_advice({"a"}), value_advice(object())
    ('send value.isoformat()', 'send sorted(value)', 'send str(value)')
    """
    kind = type(value)
    for name, advice in _BY_ATTRIBUTE:
        if hasattr(kind, name) and not isinstance(value, type):
            return f"send {advice.format('value')}"
    if isinstance(value, (set, frozenset)):
        return "send sorted(value)"
    if isinstance(value, Iterable):
        return "send list(value)"
    return "send str(value)"


def mapping_advice(patch: object) -> str:
    """
    Return advice on what to pass instead of an object that is not a mapping.

    >>> mapping_advice("{}"), mapping_advice([{}])
    ('pass json.loads(patch)', 'use upsert_many for several patches')
    """
    if isinstance(patch, (str, bytes)):
        return "pass json.loads(patch)"
    for name, advice in _MODELS:
        if hasattr(type(patch), name):
            return f"pass {advice.format('patch')}"
    if isinstance(patch, (list, tuple)):
        return "use upsert_many for several patches"
    return 'pass a dict, such as {"email": "ada@x.org"}'


_MODELS = (
    ("model_dump", "{0}.model_dump(exclude_unset=True)"),
    ("__fields_set__", "{0}.dict(exclude_unset=True)"),
    ("__dataclass_fields__", "dataclasses.asdict({0})"),
    ("merged_ids", "dict({0}.fields)"),
    ("__attrs_attrs__", "attrs.asdict({0})"),
    ("_asdict", "{0}._asdict()"),
)
"""Attribute of a class to an expression that makes a mapping of an object: for models
of pydantic 2 and 1, dataclasses, contacts, attrs classes and named tuples."""

_BY_ATTRIBUTE = (
    *_MODELS,
    ("isoformat", "{0}.isoformat()"),
    ("total_seconds", "{0}.total_seconds()"),
    ("_value_repr_", "{0}.value"),
    ("tolist", "{0}.tolist()"),
    ("decode", "{0}.decode()"),
)


def find_invalid(value: Any, freeze: Callable[[Any], Any]) -> tuple[str, Any, str]:
    """
    Find the part of a value that cannot be frozen.

    Args:
        value: A value that cannot be frozen.
        freeze: A function that raises ``ValueError`` for such a value.

    Returns:
        The path of the innermost such item (``""`` for the value itself), the item, and
        the reason.

    Cost:
        Linear in the value, for each level down to the item.

    >>> from upsertcore.values import freeze
    >>> find_invalid({"tags": ["a", {"b"}]}, freeze)[:2]
    ('.tags[1]', {'b'})
    """
    path, reason = "", _reason(value, freeze)
    while not reason.startswith(_WHOLE_VALUE_REASONS):
        for step, item in _items(value):
            item_reason = _reason(item, freeze)
            if item_reason:
                path, value, reason = path + step, item, item_reason
                break
        else:
            break
    return path, value, reason


_WHOLE_VALUE_REASONS = "must not nest", "must hold"
"""How the reasons begin that concern a value as a whole."""


def _reason(value: Any, freeze: Callable[[Any], Any]) -> str:
    try:
        freeze(value)
    except ValueError as error:
        return str(error)
    return ""


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            plain = isinstance(name, str) and name.isidentifier()
            yield (f".{name}" if plain else f"[{show_value(name)}]"), item
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{place}]", item) for place, item in enumerate(value))


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


def _unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be Unicode text without lone surrogates") from None
    return text


def _check_size(value: Any, room: int, budget: Budget | Size) -> None:
    """Check the depth and size of a frozen value that is part of another one."""
    kind = type(value)
    if kind is not FrozenMap and kind is not tuple:
        return
    if not room:
        raise ValueError(_TOO_DEEP)
    names = sum(map(len, value)) if kind is FrozenMap else 0
    items = value.values() if kind is FrozenMap else value
    budget.take(len(value), names + _characters(items))
    for item in items:
        _check_size(item, room - 1, budget)


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
        return [thaw(item) for item in value]
    if kind is FrozenMap:
        return {name: thaw(item) for name, item in value.items()}
    return value


def same(a: Any, b: Any) -> bool:
    """
    Return whether two frozen values are the same JSON value.

    Args:
        a: A frozen value.
        b: A frozen value.

    Returns:
        True if they are equal in value and in type, at every level.

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
        left, right = a.proxy, b.proxy
        if left.keys() != right.keys():
            return False
        return all(map(same, left.values(), [right[name] for name in left]))
    return a == b  # type: ignore[no-any-return]


def empty(value: Any) -> bool:
    """
    Return whether a frozen value is null or blank.

    Blank values are ``""``, text of white space alone, an empty list and an empty
    mapping.

    >>> [empty(v) for v in (None, "", " ", (), FrozenMap(), 0, False, ("",))]
    [True, True, True, True, True, False, False, False]
    """
    if value is None:
        return True
    kind = type(value)
    if kind is str:
        return not value or value.isspace()
    return (kind is tuple or kind is FrozenMap) and not value
