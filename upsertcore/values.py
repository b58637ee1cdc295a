"""
Values: what JSON has, frozen, compared, measured, and shown in messages.

Rules:
    A frozen value is text, a number, a bool, a tuple or a FrozenMap of such values.
    Equality is that of JSON: 1, 1.0 and True are three values.
    A message shows a value shortened, and says what would be right in its place.
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
    "called",
    "closest",
    "count",
    "described",
    "empty",
    "freeze",
    "kind_of",
    "listed",
    "located",
    "mapping_advice",
    "named",
    "same",
    "shown",
    "thaw",
    "unknown",
    "value_advice",
]

MAX_FIELDS = 10_000
"""How many fields one patch may name."""

MAX_DEPTH = 64
"""How deep lists and mappings may nest; real contacts stay below ten."""

MAX_VALUES = 100_000
"""How many values the lists and mappings of one patch may hold, all the way down."""

MAX_TEXT = 10_000_000
"""How many characters a text may have, and those inside lists and mappings together."""

MAX_BITS = 14_000
"""Bits of the largest whole number: Python prints no more than 4 300 digits."""


@final
class Budget:
    """
    What the lists and mappings of one patch may still hold.

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
        Count what a list or a mapping holds.

        Args:
            values: How many values it has.
            text: How many characters those of them have that are text.

        Raises:
            ValueError: If that is more than is left.
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
    What a value holds while it is made, so that a change costs what is changed.

    >>> held = Size()
    >>> held.take(MAX_VALUES, 0), held.check(), held.take(1, 0)
    (None, None, None)
    >>> held.check()
    Traceback (most recent call last):
    ...
    ValueError: must hold at most 100000 values, nested ones included
    """

    __slots__ = ("text", "values")

    def __init__(self) -> None:
        self.values = self.text = 0

    def take(self, values: int, text: int) -> None:
        """Count what a list or a mapping holds, as a :class:`Budget` does."""
        self.values += values
        self.text += text

    def check(self) -> None:
        """
        See that it is no more than one value may hold.

        Raises:
            ValueError: If it is more.
        """
        Budget().take(self.values, self.text)


class _Short(reprlib.Repr):
    """Shows a frozen mapping as the mapping that was sent."""

    def repr_FrozenMap(self, value: Mapping[str, Any], level: int) -> str:  # noqa: N802
        return self.repr_dict(dict(value), level)


_SHORT = _Short()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2


def shown(value: object) -> str:
    """
    Show a value in a message: short, printable, and whatever it is.

    Args:
        value: Anything, also what cannot be printed (a lone surrogate, an
            integer of five thousand digits, a megabyte of text).

    Returns:
        At most about 60 characters for a scalar.

    >>> shown("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
    """
    try:
        return _SHORT.repr(value)
    except Exception:  # noqa: BLE001 - a message must never hide the refusal it is for
        return f"<{type(value).__name__}>"


def kind_of(value: object) -> str:
    """
    Name the kind of a value, for a message that must not show the value.

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


def described(value: object) -> str:
    """
    Describe an argument: a function or a class by its name, another value as it is.

    >>> described(len), described(dict), described("keep")
    ('the function len', 'the class dict', "'keep'")
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    plain = not callable(value) or not hasattr(value, "__name__")
    return shown(value) if plain else f"the function {called(value)}"


def called(function: object) -> str:
    """
    Name a function or a rule: by its own name, or that of its class.

    >>> from functools import partial
    >>> called(len), called(partial(len, ()))
    ('len', 'partial')
    """
    for name in ("__name__", "name"):
        if hasattr(function, name):
            return str(getattr(function, name))
    return type(function).__name__


def named(name: object) -> str:
    """
    Show the name of a field: as it is, unless it is not short printable text.

    >>> named("email"), named("e mail"), named(7), named("")
    ('email', 'e mail', '7', "''")
    """
    plain = isinstance(name, str) and 0 < len(name) <= 60 and name.isprintable()
    return str(name) if plain else shown(name)


def listed(names: Iterable[object], most: int = 20) -> str:
    """
    List names in a message, the first of them if there are many.

    >>> listed(["a", "b", "c"], 2)
    'a, b, ...'
    """
    first = [named(name) for name in islice(names, most + 1)]
    return ", ".join([*first[:most], "..."] if len(first) > most else first)


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """
    Say that a policy has no such key or field, and which it has.

    >>> unknown("key", "mail", ["email"]), unknown("key", "mail", [])
    ("unknown key 'mail'; this policy has: email", "unknown key 'mail'; ... has none")
    """
    names = listed(known)
    has = f"has: {names}" if names else "has none"
    return f"unknown {kind} {shown(name)}; this policy {has}"


def closest(name: object, known: Iterable[str]) -> str | None:
    """
    Find the known name that a misspelt one most likely means; None without one.

    Cost:
        Bounded: long names, and all but the first 200 known ones, are not compared.

    >>> closest("emial", ("email", "phone")), closest("x", ("email",))
    ('email', None)
    """
    if not isinstance(name, str) or len(name) > 60:
        return None
    short = [each for each in islice(known, 200) if len(each) <= 60]
    return next(iter(get_close_matches(name, short, 1)), None)


def value_advice(value: object) -> str:
    """
    Say what to send instead of an object that JSON has no word for.

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
    Say what to pass instead of an object that is no mapping.

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
"""What a class has to what makes a mapping of its objects: those of pydantic, of its
first version, dataclasses, contacts, classes of attrs, named tuples."""

_BY_ATTRIBUTE = (
    *_MODELS,
    ("isoformat", "{0}.isoformat()"),
    ("total_seconds", "{0}.total_seconds()"),
    ("_value_repr_", "{0}.value"),
    ("tolist", "{0}.tolist()"),
    ("decode", "{0}.decode()"),
)


def located(value: Any, freeze: Callable[[Any], Any]) -> tuple[str, Any, str]:
    """
    Find what in a value cannot be frozen.

    Args:
        value: It cannot.
        freeze: Raises ``ValueError`` for what cannot.

    Returns:
        The path of the innermost such item (``""`` for the value itself), the item,
        and why.

    Cost:
        Linear in the value, for each level down to the item.

    >>> from upsertcore.values import freeze
    >>> located({"tags": ["a", {"b"}]}, freeze)[:2]
    ('.tags[1]', {'b'})
    """
    path, reason = "", _reason(value, freeze)
    while not reason.startswith(_OF_THE_WHOLE):
        for step, item in _items(value):
            why = _reason(item, freeze)
            if why:
                path, value, reason = path + step, item, why
                break
        else:
            break
    return path, value, reason


_OF_THE_WHOLE = "must not nest", "must hold"
"""What begins the reasons that are about a value as a whole."""


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
            yield (f".{name}" if plain else f"[{shown(name)}]"), item
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


def _fits(value: Any, room: int, budget: Budget | Size) -> None:
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
        raise ValueError("must have text as names; use str(name)")  # noqa: TRY004 - a refusal of data
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


def count(tally: Size, items: Iterable[Any], sign: int = 1) -> None:
    """
    Count frozen values in what holds them, as a budget counts them.

    Args:
        tally: Of the list or the mapping that holds them.
        items: Values; for one of a mapping its name stands beside it.
        sign: -1 where they leave it.

    >>> tally = Size()
    >>> count(tally, ["abc", ("d", 1)]), tally.values, tally.text
    (None, 4, 4)
    """
    part, listed = Size(), (*items,)
    if _ALL_TEXT(map(type, listed)):
        tally.take(sign * len(listed), sign * sum(map(len, listed)))
        return
    _fits(listed, MAX_DEPTH + 1, part)
    tally.take(sign * part.values, sign * part.text)


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
