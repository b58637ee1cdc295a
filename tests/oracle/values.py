"""
Naive twins of the merge rules, on plain JSON values.

Rules:
    None of the library's rules is called; a refusal is a ``ValueError``.
    None is absence: stored, sent and returned.
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


def as_json(value: Any) -> str:
    """Write a value so that equal text means equal values of equal types."""
    return json.dumps(value, sort_keys=True)


def same(a: Any, b: Any) -> bool:
    """Compare values as JSON does: 1, 1.0 and true are three."""
    return as_json(a) == as_json(b)


def as_list(value: Any) -> list[Any]:
    """Return a list; a blank value is an empty one."""
    if empty(value):
        return []
    if not isinstance(value, list):
        raise ValueError("must be a list")  # noqa: TRY004 - a refusal of data
    return value


def listed(line: Any, value: Any) -> Any:
    """Return a list of one for a single value of a field with many."""
    if not line.many or value is None or isinstance(value, list):
        return value
    return [] if empty(value) else [value]


def keep(stored: Any, sent: Any) -> Any:
    """Fill an absent value with the sent one, and a blank one with one that is not."""
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
    both = as_list(stored) + as_list(sent)
    return [v for n, v in enumerate(both) if not any(same(v, w) for w in both[:n])]


def remove(stored: Any, sent: Any) -> Any:
    if stored is None or sent is None:
        return None
    if blank(stored) or blank(sent):
        return stored
    removed = as_list(sent)
    return [v for v in as_list(stored) if not any(same(v, w) for w in removed)]


def append(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    if blank(sent):
        return [] if stored is None else stored
    return as_list(stored) + as_list(sent)


def add_or_remove(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    if blank(sent):
        return stored
    if not all(isinstance(item, str) and item != "-" for item in as_list(sent)):
        raise ValueError("must be words")
    last = {item.removeprefix("-"): not item.startswith("-") for item in sent}
    kept = [v for v in as_list(stored) if not isinstance(v, str) or last.get(v, True)]
    joined = kept + [word for word in last if last[word] and word not in kept]
    return stored if empty(stored) and not joined else joined


def deep(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    if blank(sent):
        return {} if stored is None else stored
    value_below = {} if empty(stored) else stored
    if not (isinstance(value_below, dict) and isinstance(sent, dict)):
        raise ValueError("must be mappings")  # noqa: TRY004 - a refusal of data
    return overlay(value_below, sent)


def overlay(stored: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, at every depth."""
    both = dict(stored)
    for name, value in sent.items():
        value_below = both.pop(name, None)
        if isinstance(value, dict):
            both[name] = overlay(
                value_below if isinstance(value_below, dict) else {}, value
            )
        elif value is not None:
            both[name] = value
    return both


def deep_keep(stored: Any, sent: Any) -> Any:
    if empty(sent):
        return stored
    value_below = {} if empty(stored) else stored
    if not (isinstance(value_below, dict) and isinstance(sent, dict)):
        raise ValueError("must be mappings")  # noqa: TRY004 - a refusal of data
    return fill(value_below, sent)


def fill(stored: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """Fill a mapping, at every depth, with what it lacks."""
    both = dict(stored)
    for name, value in sent.items():
        value_below = both.get(name)
        if blank(value):
            both[name] = value if value_below is None else value_below
        elif isinstance(value, dict) and (
            isinstance(value_below, dict) or empty(value_below)
        ):
            both[name] = fill(
                value_below or {} if isinstance(value_below, dict) else {}, value
            )
        elif value is not None and empty(value_below):
            both[name] = value
    return both


def items_by_id(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    if blank(sent):
        return [] if stored is None else stored
    merged = as_list(stored)[:]
    for item in as_list(sent):
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


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_greater(a: Any, b: Any) -> bool:
    """Order numbers among numbers, text among text; 1.0 is after 1."""
    words = isinstance(a, str) and isinstance(b, str)
    if not words and not (is_number(a) and is_number(b)):
        raise ValueError("must be comparable")
    return (a, isinstance(a, float)) > (b, isinstance(b, float))


def largest(stored: Any, sent: Any) -> Any:
    if empty(sent):
        return stored
    more = is_greater(sent, sent if empty(stored) else stored)
    return sent if more or empty(stored) else stored


def smallest(stored: Any, sent: Any) -> Any:
    if empty(sent):
        return stored
    return stored if is_greater(sent, sent if empty(stored) else stored) else sent


def add(stored: Any, sent: Any) -> Any:
    if empty(sent):
        return stored
    both = [value for value in (stored, sent) if not empty(value)]
    if not all(map(is_number, both)):
        raise ValueError("must be numbers")
    total = sum(both[1:], start=both[0])
    if isinstance(total, float) and not math.isfinite(total):
        raise ValueError("must be a number that can be written")
    return total


def latest(stored: Any, sent: Any) -> Any:
    """Compare two pairs of a clock and a value; the clock is None if it never ran."""
    (old, stored_value), (new, sent_value) = stored, sent
    if old is None and new is None:
        return None, keep(stored_value, sent_value)
    if old is None or new is None:
        return sent if old is None else stored
    if same(old, new):
        return sent if as_json(sent_value) > as_json(stored_value) else stored
    return sent if is_greater(new, old) else stored


def absent(value: Any, default: Any) -> bool:
    """Return whether a value counts as absent where contacts are merged."""
    return empty(value) or (default is not None and same(value, default))


def value_below(default: Any, name: str) -> Any:
    return default.get(name) if isinstance(default, dict) else None


def is_silent(value: Any, default: Any) -> bool:
    """Return whether every part of a value counts as absent, at every depth."""
    if isinstance(value, dict) and value:
        return same(value, default) or all(
            is_silent(part, value_below(default, name)) for name, part in value.items()
        )
    return absent(value, default)


def merge_deep(own: Any, other: Any, default: Any) -> Any:
    """Lay the other mapping over the survivor's, except for its absent parts."""
    if not (isinstance(own, dict) and isinstance(other, dict)):
        return deep(None if absent(own, default) else own, other)
    result = dict(own)
    for name, value in other.items():
        current, default_below = own.get(name), value_below(default, name)
        if isinstance(current, dict) and isinstance(value, dict):
            result[name] = merge_deep(current, value, default_below)
        elif value is not None and (
            current is None or not is_silent(value, default_below)
        ):
            result[name] = overlay({}, value) if isinstance(value, dict) else value
    return result


def merge_deep_keep(own: Any, other: Any, default: Any) -> Any:
    """Fill the absent parts of the survivor's mapping."""
    if not (isinstance(own, dict) and isinstance(other, dict)):
        return deep_keep(None if absent(own, default) else own, other)
    result = dict(own)
    for name, value in other.items():
        current, default_below = own.get(name), value_below(default, name)
        if isinstance(current, dict) and isinstance(value, dict):
            result[name] = merge_deep_keep(current, value, default_below)
        elif value is not None and (
            current is None
            or (
                is_silent(current, default_below)
                and not is_silent(value, default_below)
            )
        ):
            result[name] = overlay({}, value) if isinstance(value, dict) else value
    return result


def merge_items(own: Any, other: Any, default: Any) -> Any:
    """Lay items over items, except for blank entries that are known already."""
    known = None if absent(own, default) else own
    items: list[Any] = []
    for item in as_list(other):
        same_items = [
            i
            for i in [*as_list(known), *items]
            if id_of(i) and same(id_of(i), id_of(item))
        ]
        known_names = {name for known_item in same_items for name in known_item}
        pairs = item.items() if isinstance(item, dict) else ()
        kept = {n: v for n, v in pairs if n not in known_names or not empty(v)}
        items.append(kept if isinstance(item, dict) else item)
    return items_by_id(known, items)


def sticky(stored: Any, sent: Any) -> Any:
    return stored if stored == "Bo" else sent


def merge_sticky(own: Any, other: Any, default: Any) -> Any:
    return "Bo" if "Bo" in (own, other) else other if absent(own, default) else own


MERGE_RULES: dict[str, Any] = {
    "deep": merge_deep,
    "deep_keep": merge_deep_keep,
    "items_by('id')": merge_items,
    "sticky('Bo')": merge_sticky,
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
    "items_by('id')": items_by_id,
    "largest": largest,
    "smallest": smallest,
    "add": add,
    "latest(by='at')": latest,
    "sticky('Bo')": sticky,
}
"""Name of a rule -> its twin, on plain values; of ``latest``, on pairs."""
DROPS = (
    *("keep", "on_create", "immutable", "ignore", "deep_keep"),
    *("largest", "smallest", "add", "latest(by='at')", "sticky('Bo')"),
)
"""The rules that may drop a sent value, and then name it as ignored."""


def shows(rule: str, new: Any, sent: Any) -> bool:
    """Return whether the new value shows the sent one."""
    if rule == "add" and not empty(sent):
        return True
    if rule != "deep_keep" or empty(sent) or not isinstance(new, dict):
        return same(new, sent)
    return all(
        shows("deep_keep" if isinstance(value, dict) else "", new.get(name), value)
        for name, value in sent.items()
    )
