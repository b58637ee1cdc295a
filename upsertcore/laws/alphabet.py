"""
The alphabet of a small world: for each field a few values, found by asking the policy.

Rules:
    A key has two normal forms, each in two spellings where its normaliser knows two.
    A field that is no key has two values, of a kind that its rule and ``clean`` take.
    What cannot be found is asked for by the name of the field; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, final

from attrs import frozen

from upsertcore.engine.patch import read_patch
from upsertcore.errors import Refused
from upsertcore.policy.policy import Policy
from upsertcore.rules.rule import Rule
from upsertcore.rules.tokens import token
from upsertcore.values import empty, freeze

if TYPE_CHECKING:
    from upsertcore.policy.keys import Key

__all__ = ["Letters", "Values", "key_letters", "line_letters", "lines_of"]

Values: TypeAlias = Mapping[str, Sequence[Any]]
"""Field name to values that a host wants to be sent, in place of found ones."""

_SPELLINGS: tuple[tuple[Any, ...], ...] = (
    ("ada@x.org", "ADA@x.org", "bob@x.org", " bob@x.org"),
    ("+15550001111", "+1 (555) 000-1111", "+15550002222", "+1 555 000 2222"),
    (7, "7", 8, "8"),
    ("a", " A", "b", "B "),
    ("2024-01-02", "2024-01-03"),
)
"""Two values in two spellings each, of every kind that a normaliser may know."""
_FORMLESS: tuple[Any, ...] = ("n/a", "nobody", True, {"a": "x"})
"""Values that make no key, of every kind that a normaliser may not know."""
_EMPTIED: tuple[Any, ...] = ({"a": None}, ["x"], ["-x"])
"""Values of which a rule may make nothing: what is not there is taken out."""
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
    What stands for all values of one field.

    Args:
        name: The field.
        stored: Frozen values that a contact may hold, as the policy stores them.
        sent: Values that a patch may carry, beside null and blank.
        forms: For each value of *stored* its letters: 0 and 1 for the two normal
            forms of a key, in their order; none for a field that is no key.
        odd: Values that are sent one at a time, beside plain ones: white space, and
            of those that make no key one that is stored and one that is blocked.
    """

    name: str
    stored: tuple[Any, ...]
    sent: tuple[Any, ...]
    forms: tuple[tuple[int, ...], ...] = ()
    odd: tuple[Any, ...] = ()

    def swapped(self, place: int) -> int:
        """Give the place of the value in which the two normal forms have changed."""
        if not self.forms:
            return place
        other = tuple([1 - letter for letter in self.forms[place]])
        return self.forms.index(other)


def key_letters(policy: Policy, name: str, values: Values) -> Letters:
    """
    Find values of a field that a key is made of.

    Args:
        policy: The table.
        name: The field.
        values: What a host wants to be sent.

    Raises:
        ValueError: If no two normal forms can be found; it names the field.

    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> key_letters(policy, "id", {}).sent
    (7, '7', 8, '8')
    """
    kinds: Iterable[list[Sequence[Any]]] = ([*_lists(_item)], [*_SPELLINGS])
    kinds = (*kinds, [*_lists(lambda value: value)])
    if name in values:
        kinds = ([values[name]],)
    for pools in kinds:
        found = [_keyed(policy, name, pool) for pool in pools]
        made = [letters for letters in found if letters is not None]
        if made:
            return max(made, key=lambda letters: len(letters.sent))
    raise ValueError(f"values: {name} needs two values of different normal forms")


def _item(value: Any) -> dict[str, Any]:
    """Make an item of a list, as systems with several values per field write it."""
    return {"value": value, "metadata": {}}


def _lists(item: Callable[[Any], Any]) -> Iterator[Sequence[Any]]:
    """Give the pools as lists of one, and of both in either order."""
    for pool in _SPELLINGS:
        one, two = item(pool[0]), item(pool[-1])
        yield [*([item(value)] for value in pool), [one, two], [two, one]]


def _keyed(policy: Policy, name: str, pool: Sequence[Any]) -> Letters | None:
    """Sort values by their normal forms; None unless there are two, alone and apart."""
    key = next(key for key in policy.all_keys if name in key.fields)
    place = 0 if key.any_of or not key.composite else key.fields.index(name)
    known: dict[str, int] = {}
    stored: dict[tuple[int, ...], Any] = {}
    sent = []
    for raw in pool:
        value = _cleaned(policy, name, raw)
        forms = () if value is None else key.field_forms(value, place)
        if not forms:
            continue
        for form in forms:
            if form not in known and len(known) < 2:
                known[form] = len(known)
        if all(form in known for form in forms):
            stored.setdefault(tuple([known[form] for form in forms]), value)
            sent.append(raw)
    taken = _takes(policy.field_options(name).rule, [*stored.values()])
    if (0,) not in stored or (1,) not in stored or not taken:
        return None
    whole = {spelled: v for spelled, v in stored.items() if spelled[::-1] in stored}
    listed = sorted(whole, key=lambda spelled: (len(spelled), spelled))
    values, odd = tuple([whole[s] for s in listed]), _odd(policy, key, name)
    return Letters(name, values, tuple(sent), tuple(listed), odd)


def _odd(policy: Policy, key: Key, name: str) -> tuple[Any, ...]:
    """Give white space, and what makes no key: a stored value, and a blocked one."""
    found: dict[str, Any] = {"white space": " \t"}
    place = 0 if key.any_of or not key.composite else key.fields.index(name)
    for raw in (*_FORMLESS, *([value] for value in _FORMLESS)):
        try:
            sent, ignored = read_patch(policy, {name: raw})
            formless = name in sent and not key.field_forms(sent[name], place)
        except Exception:  # noqa: BLE001, S112 - as in ``_cleaned``
            continue
        if ignored.get(name) == "blocked":
            found.setdefault("blocked", raw)
        elif formless and not empty(sent[name]):
            found.setdefault("stored", raw)
    return tuple(found.values())


def lines_of(policy: Policy) -> tuple[str, ...]:
    """
    List one field of each distinct line of a policy; of those that no key is made of.

    Lines are distinct in rule, in the rule between contacts, null, blank, being
    required, or having a default. The rule for undeclared fields counts as the line of
    a field called ``other``.

    >>> from upsertcore import field, first_match, normalize
    >>> from upsertcore.rules import keep
    >>> lines = {"id": field(key=normalize.exact), "a": field(), "b": field()}
    >>> lines_of(Policy(first_match("id"), {**lines, "c": field(rule=keep)}))
    ('a', 'c')
    """
    keyed = {name for key in policy.all_keys for name in key.fields}
    found: dict[Any, str] = {}
    for name, line in policy.fields.items():
        if name not in keyed:
            says = (line.null, line.blank, line.required, line.default is None)
            found.setdefault((line.rule, policy.merge_rule(name), *says), name)
    clocks = {policy.field_options(name).rule.by for name in policy.fields}
    listed = [name for name in found.values() if name not in clocks]
    if policy.extra_fields is not None and "other" not in policy.fields:
        listed.append("other")
    return tuple(listed)


def line_letters(policy: Policy, name: str, values: Values) -> Letters:
    """
    Find two values of a field that no key is made of.

    Beside them one is sent of which its rule makes nothing, and one of which its
    ``clean`` does, where there are such.

    Args:
        policy: The table.
        name: The field.
        values: What a host wants to be sent.

    Raises:
        ValueError: If none can be found that the policy takes; it names the field.

    >>> from upsertcore import field, never
    >>> from upsertcore.rules import union
    >>> policy = Policy(never(), {"tags": field(rule=union)})
    >>> line_letters(policy, "tags", {}).sent
    (['x'], ['y', 'x'])
    """
    rule = policy.field_options(name).rule
    pools: Iterable[Sequence[Any]] = (*_WHOLE, *_PARTS)
    if not _is_whole(rule):
        pools = (*_PARTS, *_WHOLE[1:], *_WHOLE[:1])
    if name in values:
        pools = (values[name],)
    for pool in pools:
        stored = [_cleaned(policy, name, raw) for raw in pool]
        apart = {token(value) for value in stored}
        if None not in stored and len(apart) > 1 and _takes(rule, stored):
            return Letters(name, tuple(stored), (*pool, *_more(policy, name, pool)))
    raise ValueError(f"values: {name} needs two values that the policy takes")


def _more(policy: Policy, name: str, pool: Sequence[Any]) -> list[Any]:
    """Give a value of which the rule makes nothing, and one of which ``clean`` does."""
    every = [*pool, *_EMPTIED]
    found = [raw for raw in every if _empties(policy, name, raw)][:1]
    if policy.field_options(name).clean is not None:
        every = [values[0] for values in (*_WHOLE, *_PARTS)]
        found += [raw for raw in every if _is_refused(policy, name, raw)][:1]
    return [raw for raw in found if raw not in pool]


def _is_refused(policy: Policy, name: str, raw: Any) -> bool:
    """Return whether a value is refused, or swallowed, by the ``clean`` of a line."""
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
    made = _combined(rule, None, value)
    return made is not _REFUSED and empty(made)


def _is_whole(rule: Rule) -> bool:
    """Tell whether a rule takes a value as a whole, whatever it is."""
    if rule.by is not None:
        return True
    made = _combined(rule, "x", "y")
    return bool((_combined(rule, None, "x") if made is _REFUSED else made) in _EITHER)


def _takes(rule: Rule, stored: list[Any]) -> bool:
    if rule.by is not None:
        return True
    pairs = [(was, value) for value in stored for was in (None, value)]
    return all(_combined(rule, *pair) is not _REFUSED for pair in pairs)


def _combined(rule: Rule, stored: Any, sent: Any) -> Any:
    try:
        return rule.combine(stored, sent)
    except Exception:  # noqa: BLE001 - of a kind that it does not know a rule may raise
        return _REFUSED


_REFUSED = object()
_EITHER = ("x", "y", None)


def _cleaned(policy: Policy, name: str, raw: Any) -> Any:
    """Give a value as it would be stored; None where it is refused or left out."""
    try:
        sent, _ignored = read_patch(policy, {name: raw})
    except Exception:  # noqa: BLE001 - of a kind that it does not know ``clean`` may
        return None
    return freeze(sent.get(name))
