"""
Sample values: the few per field that a small world is made of (its alphabet).

Rules:
    A key has two normal forms, each in two spellings if its normaliser accepts two.
    A field outside the keys has two values that its rule and ``clean`` accept.
    If no values are found, an error names the field; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, final

from attrs import frozen

from upsertcore.engine.patch import read_patch
from upsertcore.errors import Refused
from upsertcore.policy.policy import Policy
from upsertcore.rules.rule import Rule
from upsertcore.rules.same_item import token
from upsertcore.values import empty, freeze, thaw

if TYPE_CHECKING:
    from upsertcore.policy.keys import Key

__all__ = ["Letters", "Values", "distinct_fields", "field_letters", "key_letters"]

Values: TypeAlias = Mapping[str, Sequence[Any]]
"""Field name to the values to send, in place of values that are found."""

_SPELLINGS: tuple[tuple[Any, ...], ...] = (
    ("ada@x.org", "ADA@x.org", "bob@x.org", " bob@x.org"),
    ("+15550001111", "+1 (555) 000-1111", "+15550002222", "+1 555 000 2222"),
    (7, "7", 8, "8"),
    ("a", " A", "b", "B "),
    ("2024-01-02", "2024-01-03"),
    ("1815-12-10", "1906-12-09"),
    ("SW1A 1AA", "sw1a 1aa", "EC2A 4BX", "ec2a 4bx"),
)
"""Two values in two spellings each, of every kind that a normaliser may accept."""
_FORMLESS: tuple[Any, ...] = ("n/a", "nobody", True, {"a": "x"})
"""Values that make no key, of every kind that a normaliser may reject."""
_EMPTIED: tuple[Any, ...] = ({"a": None}, ["x"], ["-x"])
"""Values of which a rule may make nothing, such as the removal of a missing item."""
_WHOLE: tuple[tuple[Any, ...], ...] = (
    ("x", "y"),
    (1, 2),
    (True, False),
    ("2024-01-02", "2024-01-03"),
    ("2024-01-02 03:04:05", "2024-01-03 03:04:05"),
    ("ada@x.org", "bob@x.org"),
    ("+15550001111", "+15550002222"),
    ("NO", "US"),
)
_PARTS: tuple[tuple[Any, ...], ...] = (
    ({"a": "x"}, {"a": "y", "b": "x"}),
    (["x"], ["y", "x"]),
    ([{"id": "1", "value": "x"}], [{"id": "1", "value": "y"}, {"id": "2"}]),
    ([{"value": "+15550001111"}], [{"value": "+15550002222"}]),
)


@final
@frozen
class Letters:
    """
    The values that represent all values of one field.

    Args:
        name: The field.
        stored: Frozen values that a contact may hold, as the policy stores them.
        sent: Values that a patch may carry, beside null and blank.
        forms: For each value of *stored* its letters: 0 and 1 for the two normal
            forms of a key, in their order; empty for a field outside the keys.
        odd: Values that are sent one at a time beside plain ones: white space, a
            stored value that makes no key, and a blocked one.
    """

    name: str
    stored: tuple[Any, ...]
    sent: tuple[Any, ...]
    forms: tuple[tuple[int, ...], ...] = ()
    odd: tuple[Any, ...] = ()

    def swapped(self, place: int) -> int:
        """Return the place of the value with the two normal forms swapped."""
        if not self.forms:
            return place
        other = tuple([1 - letter for letter in self.forms[place]])
        return self.forms.index(other)


def key_letters(policy: Policy, name: str, values: Values) -> Letters:
    """
    Find values of a key field.

    Args:
        policy: The policy.
        name: The field.
        values: The values to send, by field.

    Raises:
        ValueError: If no two normal forms can be found; it names the field.

    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> key_letters(policy, "id", {}).sent
    (7, '7', 8, '8')
    >>> fields = {"ids": field(key=normalize.exact, many=True)}
    >>> key_letters(Policy(first_match("ids"), fields), "ids", {}).sent
    (7, '7', 8, '8', [7, '8'], ['8', 7])
    """
    kinds: Iterable[list[Sequence[Any]]] = ([*_lists(_item)], [*_SPELLINGS])
    kinds = (*kinds, [*_lists(lambda value: value)])
    if policy.field_options(name).many:
        one_or_many = zip(_SPELLINGS, _lists(lambda value: value), strict=True)
        kinds = ([[*pool, *several[-2:]] for pool, several in one_or_many],)
    if name in values:
        kinds = ([values[name]],)
    for pools in kinds:
        candidates = [_keyed(policy, name, pool) for pool in pools]
        usable = [letters for letters in candidates if letters is not None]
        if usable:
            return max(usable, key=lambda letters: len(letters.sent))
    raise _too_few(name, "of different normal forms")


def _too_few(name: str, what: str) -> ValueError:
    example = f"pass some, as in values={{{name!r}: ['a', 'b']}}"
    return ValueError(f"{name}: needs two values {what}; {example}")


def _item(value: Any) -> dict[str, Any]:
    """Make a list item in the form of systems with several values per field."""
    return {"value": value, "metadata": {}}


def _lists(item: Callable[[Any], Any]) -> Iterator[Sequence[Any]]:
    """Return the pools as lists of one value, and of both in either order."""
    for pool in _SPELLINGS:
        one, two = item(pool[0]), item(pool[-1])
        yield [*([item(value)] for value in pool), [one, two], [two, one]]


def _keyed(policy: Policy, name: str, pool: Sequence[Any]) -> Letters | None:
    """Sort values by normal form; None unless each of two forms occurs alone."""
    key = next(key for key in policy.all_keys if name in key.fields)
    place = 0 if key.any_of or not key.composite else key.fields.index(name)
    letters: dict[str, int] = {}
    stored: dict[tuple[int, ...], Any] = {}
    sent = []
    for raw in pool:
        value = _cleaned(policy, name, raw)
        forms = () if value is None else key.field_forms(value, place)
        if not forms:
            continue
        for form in forms:
            if form not in letters and len(letters) < 2:
                letters[form] = len(letters)
        if all(form in letters for form in forms):
            stored.setdefault(tuple([letters[form] for form in forms]), value)
            sent.append(raw)
    is_taken = _takes(policy.field_options(name).rule, [*stored.values()])
    if (0,) not in stored or (1,) not in stored or not is_taken:
        return None
    symmetric = {spelled: v for spelled, v in stored.items() if spelled[::-1] in stored}
    spellings = sorted(symmetric, key=lambda spelled: (len(spelled), spelled))
    values, odd = tuple([symmetric[s] for s in spellings]), _odd(policy, key, name)
    return Letters(name, values, tuple(sent), tuple(spellings), odd)


def _odd(policy: Policy, key: Key, name: str) -> tuple[Any, ...]:
    """Return white space, a stored value that makes no key, and a blocked value."""
    values: dict[str, Any] = {"white space": " \t"}
    place = 0 if key.any_of or not key.composite else key.fields.index(name)
    for raw in (*_FORMLESS, *([value] for value in _FORMLESS)):
        try:
            sent, ignored = read_patch(policy, {name: raw})
            formless = name in sent and not key.field_forms(sent[name], place)
        except Exception:  # noqa: BLE001, S112 - as in ``_cleaned``
            continue
        if ignored.get(name) == "blocked":
            values.setdefault("blocked", raw)
        elif formless and not empty(sent[name]):
            values.setdefault("stored", raw)
    return tuple(values.values())


def distinct_fields(policy: Policy) -> tuple[str, ...]:
    """
    List one field for each distinct set of options, of the fields outside the keys.

    Options differ in ``rule``, ``on_merge``, ``null``, ``blank``, ``required``,
    ``many``, or in having a default. Those of undeclared fields count as a field
    ``other``.

    >>> from upsertcore import field, first_match, normalize
    >>> from upsertcore.rules import keep
    >>> fields = {"id": field(key=normalize.exact), "a": field(), "b": field()}
    >>> distinct_fields(Policy(first_match("id"), {**fields, "c": field(rule=keep)}))
    ('a', 'c')
    """
    keyed = {name for key in policy.all_keys for name in key.fields}
    names: dict[Any, str] = {}
    for name, field in policy.fields.items():
        if name not in keyed:
            options = (field.null, field.blank, field.required, field.default is None)
            rules = field.rule, policy.merge_rule(name)
            names.setdefault((*rules, *options, field.many), name)
    clocks = {policy.field_options(name).rule.by for name in policy.fields}
    listed = [name for name in names.values() if name not in clocks]
    if policy.extra_fields is not None and "other" not in policy.fields:
        listed.append("other")
    return tuple(listed)


def field_letters(policy: Policy, name: str, values: Values) -> Letters:
    """
    Find two values of a field outside the keys.

    If there are any, a value of which the rule makes nothing is sent too, and one that
    ``clean`` refuses.

    Args:
        policy: The policy.
        name: The field.
        values: The values to send, by field.

    Raises:
        ValueError: If no values are found that the policy accepts; it names the field.

    >>> from upsertcore import field, never
    >>> from upsertcore.rules import union
    >>> policy = Policy(never(), {"tags": field(rule=union)})
    >>> field_letters(policy, "tags", {}).sent
    (['x'], ['y', 'x'])
    """
    rule = policy.field_options(name).rule
    pools: Iterable[Sequence[Any]] = (*_WHOLE, *_PARTS)
    if not _is_whole(rule):
        pools = (*_PARTS, *_WHOLE[1:], *_WHOLE[:1])
    value = rule.value if rule.sticky else policy.merge_rule(name).value
    if value is not None:
        pools = [*([thaw(value), pool[0]] for pool in pools), *pools]
    if name in values:
        pools = (values[name],)
    for pool in pools:
        stored = [_cleaned(policy, name, raw) for raw in pool]
        tokens = {token(value) for value in stored}
        if None not in stored and len(tokens) > 1 and _takes(rule, stored):
            return Letters(name, tuple(stored), (*pool, *_more(policy, name, pool)))
    raise _too_few(name, "that the policy takes")


def _more(policy: Policy, name: str, pool: Sequence[Any]) -> list[Any]:
    """Return a value of which the rule makes nothing, and one that clean refuses."""
    values, options = [*pool, *_EMPTIED], policy.field_options(name)
    extra = [raw for raw in values if _empties(policy, name, raw)][:1]
    if options.many:
        # The same value in its other spelling.
        extra.append([pool[0]])
    if options.clean is not None:
        values = [values[0] for values in (*_WHOLE, *_PARTS)]
        extra += [raw for raw in values if _is_refused(policy, name, raw)][:1]
    return [raw for raw in extra if raw not in pool]


def _is_refused(policy: Policy, name: str, raw: Any) -> bool:
    """Return whether clean refuses a value, or makes None of it."""
    try:
        sent, _ignored = read_patch(policy, {name: raw})
    except Refused:
        return True
    except Exception:  # noqa: BLE001 - as in ``_cleaned``
        return False
    return name in sent and sent[name] is None


def _empties(policy: Policy, name: str, raw: Any) -> bool:
    """Return whether a rule makes nothing of a value that is not blank."""
    rule, value = policy.field_options(name).rule, _cleaned(policy, name, raw)
    if empty(value) or rule.by is not None or not rule.on_create:
        return False
    result = _combined(rule, None, value)
    return result is not _REFUSED and empty(result)


def _is_whole(rule: Rule) -> bool:
    """Return whether a rule treats any value as a whole."""
    if rule.by is not None:
        return True
    result = _combined(rule, "x", "y")
    return bool(
        (_combined(rule, None, "x") if result is _REFUSED else result) in _EITHER
    )


def _takes(rule: Rule, stored: list[Any]) -> bool:
    if rule.by is not None:
        return True
    pairs = [(was, value) for value in stored for was in (None, value)]
    return all(_combined(rule, *pair) is not _REFUSED for pair in pairs)


def _combined(rule: Rule, stored: Any, sent: Any) -> Any:
    try:
        return rule.combine(stored, sent)
    except Exception:  # noqa: BLE001 - a rule may raise for an unexpected kind of value
        return _REFUSED


_REFUSED = object()
_EITHER = ("x", "y", None)


def _cleaned(policy: Policy, name: str, raw: Any) -> Any:
    """Return a value as it would be stored; None if it is refused or left out."""
    try:
        sent, _ignored = read_patch(policy, {name: raw})
    except Exception:  # noqa: BLE001 - clean may raise for an unexpected kind of value
        return None
    return freeze(sent.get(name))
