"""
Naive twins of the merge rules, on plain JSON values.

Rules:
    None of the library's rules is called; a refusal is a ``ValueError``.
    None is "not there", stored, sent and answered.
"""

from __future__ import annotations

import json
import math
from typing import Any


def blank(value: Any) -> bool:
    """Return whether a value is blank: no text but white space, no items, no names."""
    return value in ([], {}) or (isinstance(value, str) and not value.strip())


def empty(value: Any) -> bool:
    """Return whether a value is null or blank."""
    return value is None or blank(value)


def written(value: Any) -> str:
    """Write a value so that equal text means equal values, of equal types."""
    return json.dumps(value, sort_keys=True)


def same(a: Any, b: Any) -> bool:
    """Tell values apart as JSON does: 1, 1.0 and true are three."""
    return written(a) == written(b)


def listed(value: Any) -> list[Any]:
    """Read a list; blank of any kind is an empty one."""
    if empty(value):
        return []
    if not isinstance(value, list):
        raise ValueError("must be a list")  # noqa: TRY004 - a refusal of data
    return value


def keep(stored: Any, sent: Any) -> Any:
    """Let what is sent fill what is absent, and what is not blank fill a blank."""
    if sent is None or (blank(sent) and stored is not None):
        return stored
    return sent if empty(stored) else stored


def immutable(stored: Any, sent: Any) -> Any:
    if not empty(stored) and not same(stored, sent):
        raise ValueError("must stay")
    return keep(stored, sent)


def union(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    if blank(sent):
        return [] if stored is None else stored
    both = listed(stored) + listed(sent)
    return [v for n, v in enumerate(both) if not any(same(v, w) for w in both[:n])]


def remove(stored: Any, sent: Any) -> Any:
    if stored is None or sent is None:
        return None
    if blank(stored) or blank(sent):
        return stored
    gone = listed(sent)
    return [v for v in listed(stored) if not any(same(v, w) for w in gone)]


def append(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    if blank(sent):
        return [] if stored is None else stored
    return listed(stored) + listed(sent)


def add_or_remove(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    if blank(sent):
        return stored
    if not all(isinstance(item, str) and item != "-" for item in listed(sent)):
        raise ValueError("must be words")
    last = {item.removeprefix("-"): not item.startswith("-") for item in sent}
    kept = [v for v in listed(stored) if not isinstance(v, str) or last.get(v, True)]
    joined = kept + [word for word in last if last[word] and word not in kept]
    return stored if empty(stored) and not joined else joined


def deep(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    if blank(sent):
        return {} if stored is None else stored
    below = {} if empty(stored) else stored
    if not (isinstance(below, dict) and isinstance(sent, dict)):
        raise ValueError("must be mappings")  # noqa: TRY004 - a refusal of data
    return laid(below, sent)


def laid(stored: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, at every depth."""
    both = dict(stored)
    for name, value in sent.items():
        below = both.pop(name, None)
        if isinstance(value, dict):
            both[name] = laid(below if isinstance(below, dict) else {}, value)
        elif value is not None:
            both[name] = value
    return both


def deep_keep(stored: Any, sent: Any) -> Any:
    if empty(sent):
        return stored
    below = {} if empty(stored) else stored
    if not (isinstance(below, dict) and isinstance(sent, dict)):
        raise ValueError("must be mappings")  # noqa: TRY004 - a refusal of data
    return filled(below, sent)


def filled(stored: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """Fill a mapping, at every depth, with what it lacks."""
    both = dict(stored)
    for name, value in sent.items():
        below = both.get(name)
        if blank(value):
            both[name] = value if below is None else below
        elif isinstance(value, dict) and (isinstance(below, dict) or empty(below)):
            both[name] = filled(below or {} if isinstance(below, dict) else {}, value)
        elif value is not None and empty(below):
            both[name] = value
    return both


def by_id(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    if blank(sent):
        return [] if stored is None else stored
    merged = listed(stored)[:]
    for item in listed(sent):
        if id_of(item) is None:
            raise ValueError("must be items with an id")
        known = [n for n, v in enumerate(merged) if same(id_of(v), id_of(item))]
        if known:
            merged[known[0]] = merged[known[0]] | item
        else:
            merged.append(item)
    return merged


def id_of(item: Any) -> Any:
    id = item.get("id") if isinstance(item, dict) else None
    return None if blank(id) else id


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def greater(a: Any, b: Any) -> bool:
    """Order numbers among numbers, text among text; of 1 and 1.0 the float is last."""
    words = isinstance(a, str) and isinstance(b, str)
    if not words and not (number(a) and number(b)):
        raise ValueError("must be comparable")
    return (a, isinstance(a, float)) > (b, isinstance(b, float))


def largest(stored: Any, sent: Any) -> Any:
    if empty(sent):
        return stored
    more = greater(sent, sent if empty(stored) else stored)
    return sent if more or empty(stored) else stored


def smallest(stored: Any, sent: Any) -> Any:
    if empty(sent):
        return stored
    return stored if greater(sent, sent if empty(stored) else stored) else sent


def add(stored: Any, sent: Any) -> Any:
    if empty(sent):
        return stored
    both = [value for value in (stored, sent) if not empty(value)]
    if not all(map(number, both)):
        raise ValueError("must be numbers")
    total = sum(both[1:], start=both[0])
    if isinstance(total, float) and not math.isfinite(total):
        raise ValueError("must be a number that can be written")
    return total


def latest(stored: Any, sent: Any) -> Any:
    """Compare two pairs of a clock and a value; a clock is None if it never ran."""
    (old, held), (new, given) = stored, sent
    if old is None and new is None:
        return None, keep(held, given)
    if old is None or new is None:
        return sent if old is None else stored
    if same(old, new):
        return sent if written(given) > written(held) else stored
    return sent if greater(new, old) else stored


def absent(value: Any, default: Any) -> bool:
    """Return whether a value counts as absent where contacts are merged."""
    return empty(value) or (default is not None and same(value, default))


def below(default: Any, name: str) -> Any:
    return default.get(name) if isinstance(default, dict) else None


def silent(value: Any, default: Any) -> bool:
    """Return whether all of a value counts as absent, at every depth."""
    if isinstance(value, dict) and value:
        return same(value, default) or all(
            silent(each, below(default, name)) for name, each in value.items()
        )
    return absent(value, default)


def merged_deep(own: Any, other: Any, default: Any) -> Any:
    """Lay over what the survivor has whatever is said; take what it lacks as it is."""
    if not (isinstance(own, dict) and isinstance(other, dict)):
        return deep(None if absent(own, default) else own, other)
    made = dict(own)
    for name, value in other.items():
        mine, usual = own.get(name), below(default, name)
        if isinstance(mine, dict) and isinstance(value, dict):
            made[name] = merged_deep(mine, value, usual)
        elif value is not None and (mine is None or not silent(value, usual)):
            made[name] = laid({}, value) if isinstance(value, dict) else value
    return made


def merged_deep_keep(own: Any, other: Any, default: Any) -> Any:
    """Fill what the survivor lacks; keep what both lack as the survivor has it."""
    if not (isinstance(own, dict) and isinstance(other, dict)):
        return deep_keep(None if absent(own, default) else own, other)
    made = dict(own)
    for name, value in other.items():
        mine, usual = own.get(name), below(default, name)
        if isinstance(mine, dict) and isinstance(value, dict):
            made[name] = merged_deep_keep(mine, value, usual)
        elif value is not None and (
            mine is None or (silent(mine, usual) and not silent(value, usual))
        ):
            made[name] = laid({}, value) if isinstance(value, dict) else value
    return made


def merged_items(own: Any, other: Any, default: Any) -> Any:
    """Lay items over items, but for what is blank in them and known already."""
    known = None if absent(own, default) else own
    items: list[Any] = []
    for item in listed(other):
        there = [
            i
            for i in [*listed(known), *items]
            if id_of(i) and same(id_of(i), id_of(item))
        ]
        has = {name for each in there for name in each}
        pairs = item.items() if isinstance(item, dict) else ()
        kept = {n: v for n, v in pairs if n not in has or not empty(v)}
        items.append(kept if isinstance(item, dict) else item)
    return by_id(known, items)


MERGED: dict[str, Any] = {
    "deep": merged_deep,
    "deep_keep": merged_deep_keep,
    "items_by('id')": merged_items,
}
"""Name of a rule that looks inside a value -> its twin where contacts are merged."""

RULES: dict[str, Any] = {
    "replace": lambda _stored, sent: sent,
    "on_create": lambda _stored, sent: sent,
    "ignore": lambda stored, _sent: stored,
    "unset": lambda _stored, _sent: None,
    "keep": keep,
    "immutable": immutable,
    "union": union,
    "remove": remove,
    "append": append,
    "add_or_remove": add_or_remove,
    "deep": deep,
    "deep_keep": deep_keep,
    "items_by('id')": by_id,
    "largest": largest,
    "smallest": smallest,
    "add": add,
    "latest(by='at')": latest,
}
"""Name of a rule -> its twin, on plain values; of ``latest``, on pairs."""
DROPS = (
    *("keep", "on_create", "immutable", "ignore", "deep_keep"),
    *("largest", "smallest", "add", "latest(by='at')"),
)
"""The rules that may leave a sent value out, and then say so."""


def shown(rule: str, new: Any, sent: Any) -> bool:
    """Tell whether a sent value is to be seen in what a rule made of it."""
    if rule == "add" and not empty(sent):
        return True
    if rule != "deep_keep" or empty(sent) or not isinstance(new, dict):
        return same(new, sent)
    return all(
        shown("deep_keep" if isinstance(value, dict) else "", new.get(name), value)
        for name, value in sent.items()
    )
