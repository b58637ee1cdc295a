"""
Naive twins of what happens within one field, on plain JSON values.

Rules:
    A policy's table is read; none of the library's rules and normalisers is called.
    The normal forms are right for the pools of ``strategies``, not for all text.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from upsertcore import Policy, errors, normalize
from upsertcore.values import freeze, thaw

BLANK: tuple[Any, ...] = ("", [], {})


def same(a: Any, b: Any) -> bool:
    """Tell values apart as JSON does: 1, 1.0 and true are three."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def listed(value: Any) -> list[Any]:
    if not isinstance(value, list | None):
        raise ValueError("must be a list")  # noqa: TRY004 - a refusal of data
    return value or []


def keep(stored: Any, sent: Any) -> Any:
    return sent if sent is not None and stored in (None, *BLANK) else stored


def immutable(stored: Any, sent: Any) -> Any:
    if stored not in (None, *BLANK) and not same(stored, sent):
        raise ValueError("must stay")
    return keep(stored, sent)


def union(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    both = listed(stored) + listed(sent)
    return [v for n, v in enumerate(both) if not any(same(v, w) for w in both[:n])]


def remove(stored: Any, sent: Any) -> Any:
    if stored is None or sent is None:
        return None
    gone = listed(sent)
    return [v for v in listed(stored) if not any(same(v, w) for w in gone)]


def deep(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
    if not (isinstance(stored, dict | None) and isinstance(sent, dict)):
        raise ValueError("must be mappings")  # noqa: TRY004 - a refusal of data
    both = dict(stored or {})
    for name, value in sent.items():
        below = both.pop(name, None)
        if isinstance(value, dict):
            both[name] = deep(below if isinstance(below, dict) else None, value)
        elif value is not None:
            both[name] = value
    return both


def by_id(stored: Any, sent: Any) -> Any:
    if sent is None:
        return None
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
    return None if id in BLANK else id


RULES: dict[str, Any] = {
    "replace": lambda _stored, sent: sent,
    "on_create": lambda _stored, sent: sent,
    "ignore": lambda stored, _sent: stored,
    "keep": keep,
    "immutable": immutable,
    "union": union,
    "remove": remove,
    "deep": deep,
    "items_by('id')": by_id,
}
"""Name of a rule -> its twin, on plain values."""
DROPS = ("keep", "on_create", "immutable", "ignore")
"""The rules that may leave a sent value out, and then say so."""


def email(value: Any) -> str | None:
    form = value.strip().lower() if isinstance(value, str) else ""
    return form if "@" in form else None


def phone(value: Any) -> str | None:
    if not isinstance(value, str) or not value.startswith("+"):
        return None
    return "+" + "".join(c for c in value if c.isdigit())


def exact(value: Any) -> str | None:
    return str(value) if type(value) in (int, str) and str(value).strip() else None


FORMS: dict[Any, Any] = {
    normalize.email: email,
    normalize.phone: phone,
    normalize.exact: exact,
}
"""The library's normaliser -> its twin; a test's own stands for itself."""


def forms(policy: Policy, name: str, value: Any) -> list[str]:
    """Make the keys that a value carries: one per item, each once."""
    normal: Any = policy.fields[name].key
    items = value if isinstance(value, list) else [value]
    made = [FORMS.get(normal, normal)(v) for v in items if v not in (None, *BLANK)]
    return [form for form in dict.fromkeys(made) if form]


def read(policy: Policy, patch: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Read a patch: what is sent, and what counts as omitted."""
    sent, ignored = {}, {}
    for name, raw in patch.items():
        line, value = policy.fields.get(name), raw
        if line is None and policy.others is None:
            raise errors.UnknownField(name, tuple(policy.fields))
        if line and line.clean and raw not in (None, *BLANK):
            try:
                value = thaw(line.clean(freeze(raw)))
            except ValueError as error:
                raise errors.InvalidField(name, raw, str(error)) from error
        kind = "null" if value is None else "blank" if value in BLANK else "rest"
        how = getattr(line, kind, "store")
        if how == "reject":
            raise errors.InvalidField(name, raw, "")
        if how == "ignore":
            ignored[name] = kind
        else:
            sent[name] = None if how == "clear" else value
    return sent, ignored


def merge(
    policy: Policy, before: Any, sent: Any, ignored: Any, *, creating: bool
) -> dict[str, Any]:
    """Merge what is sent into stored fields; note in *ignored* what is not taken."""
    after = dict(before)
    for name, value in sent.items():
        line, stored = policy.fields.get(name), before.get(name)
        rule: Any = line.merge if line else policy.others
        takes = rule.name != "ignore" and (creating or rule.name != "on_create")
        combine = RULES.get(rule.name, rule.combine)
        try:
            new = thaw(combine(*deepcopy((stored, value)))) if takes else stored
        except ValueError as error:
            raise errors.InvalidField(name, value, str(error)) from error
        drops = rule.name in DROPS or rule.name not in RULES
        if drops and same(new, stored) and not same(value, stored):
            ignored[name] = rule.name
        if new is None:
            after.pop(name, None)
        else:
            after[name] = new
    return after


def fill(policy: Policy, after: dict[str, Any], sent: dict[str, Any]) -> None:
    """Give a new contact its defaults; refuse it where a needed field is missing."""
    for name, line in policy.fields.items():
        taken = name in sent and line.merge.name != "ignore"
        if not taken and line.default is not None:
            after[name] = line.default
    for name, line in policy.fields.items():
        if line.required and after.get(name) in (None, *BLANK):
            raise errors.MissingField(name)
