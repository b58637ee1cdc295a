"""
Naive twins of keys: normal forms, blocked ones, those held, those passed on.

Rules:
    A policy's table is read; none of the library's keys and normalisers is called.
    The normal forms are right for the pools of ``strategies``, not for all text.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any

from tests.oracle.values import empty, listed
from upsertcore import Policy, errors, normalize

Row = dict[str, Any]


def email(value: Any) -> str | None:
    form = value.strip().lower() if isinstance(value, str) else ""
    return form if "@" in form else None


def phone(value: Any) -> str | None:
    if not isinstance(value, str) or not value.startswith("+"):
        return None
    return "+" + "".join(c for c in value if c.isdigit())


def exact(value: Any) -> str | None:
    if type(value) is float and value == int(value):
        value = int(value)
    return str(value) if type(value) in (int, str) and str(value).strip() else None


def text(value: Any) -> str | None:
    return " ".join(value.casefold().split()) or None if type(value) is str else None


FORMS: dict[Any, Any] = {
    normalize.email: email,
    normalize.phone: phone,
    normalize.exact: exact,
    normalize.text: text,
}
"""The library's normaliser -> its twin; a test's own stands for itself."""


def key_named(policy: Policy, name: str) -> Any:
    return next(key for key in policy.all_keys if key.name == name)


def composite(key: Any) -> bool:
    return len(key.fields) > 1 and not key.any_of


def made(key: Any, name: str, value: Any) -> list[str]:
    """Make the normal forms of one field, blocked ones among them."""
    normal = key.normalize[key.fields.index(name)]
    items = value if isinstance(value, list) else [value]
    forms = [FORMS.get(normal, normal)(item) for item in items if not empty(item)]
    return [form for form in dict.fromkeys(forms) if form]


def joined(key: Any, fields: Row) -> list[str]:
    """Make the forms of all fields of a composite key, blocked ones among them."""
    parts = [made(key, name, fields.get(name)) for name in key.fields]
    escaped = [
        [form.replace("\\", "\\\\").replace("|", "\\|") for form in part]
        for part in parts
    ]
    return ["|".join(each) for each in product(*escaped)]


def blocked(key: Any, form: str) -> bool:
    """Tell whether a form, or a form without white space around it, is none."""
    bare = form.strip()
    if composite(key):
        parts = re.findall(r"(?:[^|\\]|\\.)*", form, re.DOTALL)
        bare = "|".join(part.strip() for part in parts if part)
    for pattern in key.blocked:
        like: Any = pattern
        if isinstance(pattern, str):
            parts = [re.escape(each) for each in pattern.split("*")]
            like = re.compile(".*".join(parts), re.IGNORECASE | re.DOTALL)
        if like.fullmatch(form) or like.fullmatch(bare):
            return True
    return False


def forms(policy: Policy, key: Any, fields: Row) -> list[str]:
    """Make the keys that fields carry, each once, in order."""
    if composite(key):
        found = joined(key, fields)
    else:
        found = [f for name in key.fields for f in made(key, name, fields.get(name))]
    return [f for f in dict.fromkeys(found) if not blocked(key, f)]


def absence(policy: Policy, name: str, sent: Row, ignored: Row) -> tuple[str, Any]:
    """Say why a patch carries no form of a key, and which value makes none."""
    key = key_named(policy, name)
    there = [sent[n] for n in key.fields if n in sent]
    out = [ignored.get(n, "omitted") for n in key.fields if n not in sent]
    told = [why for why in out if why in ("null", "blank", "blocked")]
    if not there:
        return [*told, "omitted"][0], None
    some = all if key.any_of else any
    if some(value is None for value in there):
        return "null", None
    if some(empty(value) for value in there):
        return "blank", None
    if composite(key) and out:
        return [*told, "partly omitted"][0], None
    for n in key.fields:
        value = sent.get(n)
        items = value if isinstance(value, list) else [value]
        for item in [item for item in items if not empty(item)]:
            if not made(key, n, item):
                return (national(key, n, item) or "no usable form"), item
            if not composite(key):
                return "blocked", item
    parts = {n: sent[n] for n in key.fields}
    return ("blocked", parts) if joined(key, sent) else ("blank", None)


def national(key: Any, name: str, value: Any) -> str | None:
    """Tell a telephone number that lacks its country, if a key is of numbers."""
    text = str(value).strip() if type(value) in (int, str) else "+"
    rest = text.translate({ord(each): "" for each in " ().-/"})
    digits = rest.isdecimal() and len(rest) > 4 and text[0] not in ".-/"
    is_phone = key.normalize[key.fields.index(name)] is normalize.phone
    return "national number" if is_phone and digits and rest[:2] != "00" else None


def held(policy: Policy, key: Any, row: Row | None) -> list[str]:
    """List the forms that a contact holds: its current ones, then its aliases."""
    if row is None:
        return []
    aliases = row.get("aliases", {}).get(key.name, [])
    return [*dict.fromkeys([*forms(policy, key, row["fields"]), *aliases])]


def aliases(
    policy: Policy, row: Row | None, gone: list[Row], draft: Row, base: Row, sent: Row
) -> Row:
    """List, by key, the forms that a contact keeps of those held before."""
    kept, fields = {}, draft["fields"]
    for key in policy.all_keys:
        were: list[str] = []
        for each in [row, *gone] if row else []:
            past = each.get("aliases", {}).get(key.name, [])
            were += held(policy, key, each) if key.keep_aliases else past
        current = forms(policy, key, fields)
        cleared = [n for n in key.fields if n in sent and n not in fields]
        some = {n: base[n] for n in cleared if n in base}
        if key.max_forms and some:
            # Null lets go of them: an alias would count for ever.
            current += forms(policy, key, base if composite(key) else some)
        kept[key.name] = [f for f in dict.fromkeys(were) if f not in current]
    return {name: past for name, past in kept.items() if past}


def stopped(policy: Policy, name: str, item: Any) -> bool:
    """Tell whether a value makes a blocked form of a key of its own field."""
    return any(
        blocked(key, form)
        for key in policy.all_keys
        if name in key.fields and not composite(key)
        for form in made(key, name, item)
    )


def elsewhere(policy: Policy, key: Any, fields: Row, value: Any) -> bool:
    """Tell whether a sent primary stands in the additional fields, or joins them."""
    first, last = key.fields[0], key.fields[-1]
    new = _usable(policy, key, first, value)
    own = _usable(policy, key, first, fields.get(first))
    if empty(fields.get(first)) or not new or {*own} & {*new}:
        return False
    there = {f for n in key.fields[1:] for f in _usable(policy, key, n, fields.get(n))}
    if {*new} <= there:
        return True
    if key.append_new:
        joining = []
        for item in value if isinstance(value, list) else [value]:
            form = _usable(policy, key, first, item)
            if form and not {*form} <= there:
                joining.append(item)
                there |= {*form}
        try:
            fields[last] = listed(fields.get(last)) + joining
        except ValueError as error:
            raise errors.InvalidField(last, fields[last], "") from error
    return bool(key.append_new)


def _usable(policy: Policy, key: Any, name: str, value: Any) -> list[str]:
    return [f for f in made(key, name, value) if not blocked(key, f)]
