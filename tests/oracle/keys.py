"""
Naive twins of keys: normal forms, blocked ones, held ones and aliases.

Rules:
    A policy's table is read; none of the library's keys and normalisers is called.
    The normal forms are right for the pools of ``strategies``, not for all text.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any

from tests.oracle.values import as_list, empty, same
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
"""The library's normaliser -> its twin; another normaliser is its own twin."""


def key_named(policy: Policy, name: str) -> Any:
    return next(key for key in policy.all_keys if key.name == name)


def is_of(row: Row, id: str, scope: str) -> bool:
    """Return whether an id is that of a contact, or of one merged into it."""
    return row["scope"] == scope and id in (row["id"], *row.get("merged_ids", []))


def composite(key: Any) -> bool:
    return len(key.fields) > 1 and not key.any_of


def forms_of_value(
    key: Any, name: str, value: Any, *, blocked: bool = False
) -> list[str]:
    """Make the normal forms of the value of one field, with blocked parts or not."""
    normal = key.normalize[key.fields.index(name)]
    items = value if isinstance(value, list) else [value]
    forms = [FORMS.get(normal, normal)(item) for item in items if not empty(item)]
    part = patterns_of_part(key, name)
    return [
        form
        for form in dict.fromkeys(forms)
        if form and (blocked or not matches(part, form, form.strip()))
    ]


def composite_forms(key: Any, fields: Row) -> list[str]:
    """Make the forms of a composite key, blocked ones included."""
    parts = [forms_of_value(key, name, fields.get(name)) for name in key.fields]
    escaped = [
        [form.replace("\\", "\\\\").replace("|", "\\|") for form in part]
        for part in parts
    ]
    return ["|".join(combination) for combination in product(*escaped)]


def patterns_of_part(key: Any, name: str) -> tuple[Any, ...]:
    """Return the patterns of one part of a composite key."""
    pairs = [pair for pair in key.blocked if isinstance(pair, tuple)]
    return tuple(pattern for part, each in pairs if part == name for pattern in each)


def is_blocked(key: Any, form: str) -> bool:
    """Return whether a form is blocked, as it is or without white space around it."""
    bare = form.strip()
    if composite(key):
        parts = re.findall(r"(?:[^|\\]|\\.)*", form, re.DOTALL)
        bare = "|".join(part.strip() for part in parts if part)
    whole = [pattern for pattern in key.blocked if not isinstance(pattern, tuple)]
    return matches(whole, form, bare)


def matches(patterns: Any, form: str, bare: str) -> bool:
    """Return whether one of some patterns matches a form."""
    for pattern in patterns:
        compiled: Any = pattern
        if isinstance(pattern, str):
            parts = [re.escape(piece) for piece in pattern.split("*")]
            compiled = re.compile(".*".join(parts), re.IGNORECASE | re.DOTALL)
        if compiled.fullmatch(form) or compiled.fullmatch(bare):
            return True
    return False


def forms(policy: Policy, key: Any, fields: Row) -> list[str]:
    """Make the keys of some fields, each once, in order."""
    if composite(key):
        every = composite_forms(key, fields)
    else:
        every = [
            f
            for name in key.fields
            for f in forms_of_value(key, name, fields.get(name))
        ]
    return [f for f in dict.fromkeys(every) if not is_blocked(key, f)]


def reason_for_absence(
    policy: Policy, name: str, sent: Row, ignored: Row
) -> tuple[str, Any]:
    """Return why a patch has no form of a key, and the value that has none."""
    key = key_named(policy, name)
    sent_values = [sent[n] for n in key.fields if n in sent]
    other_reasons = [ignored.get(n, "omitted") for n in key.fields if n not in sent]
    reasons = [
        reason for reason in other_reasons if reason in ("null", "blank", "blocked")
    ]
    if not sent_values:
        return [*reasons, "omitted"][0], None
    some = all if key.any_of else any
    if some(value is None for value in sent_values):
        return "null", None
    if some(empty(value) for value in sent_values):
        return "blank", None
    if composite(key) and other_reasons:
        return [*reasons, "partly omitted"][0], None
    for n in key.fields:
        value = sent.get(n)
        items = value if isinstance(value, list) else [value]
        for item in [item for item in items if not empty(item)]:
            if not forms_of_value(key, n, item, blocked=True):
                return (reason_if_national(key, n, item) or "no usable form"), item
            if not composite(key) or not forms_of_value(key, n, item):
                return "blocked", item
    parts = {n: sent[n] for n in key.fields}
    return ("blocked", parts) if composite_forms(key, sent) else ("blank", None)


def reason_if_national(key: Any, name: str, value: Any) -> str | None:
    """Return a reason if a value is a telephone number without its country."""
    text = str(value).strip() if type(value) in (int, str) else "+"
    rest = text.translate({ord(separator): "" for separator in " ().-/"})
    digits = rest.isdecimal() and len(rest) > 4 and text[0] not in ".-/"
    is_phone = key.normalize[key.fields.index(name)] is normalize.phone
    return "national number" if is_phone and digits and rest[:2] != "00" else None


def held_forms(policy: Policy, key: Any, row: Row | None) -> list[str]:
    """List the forms that a contact holds: its current ones, then its aliases."""
    if row is None:
        return []
    aliases = row.get("aliases", {}).get(key.name, [])
    return [*dict.fromkeys([*forms(policy, key, row["fields"]), *aliases])]


def aliases(
    policy: Policy,
    row: Row | None,
    absorbed: list[Row],
    draft: Row,
    base: Row,
) -> Row:
    """List, by key, the earlier forms that a contact keeps."""
    kept, fields = {}, draft["fields"]
    for key in policy.all_keys:
        earlier: list[str] = []
        for contact in [row, *absorbed] if row else []:
            past = contact.get("aliases", {}).get(key.name, [])
            earlier += held_forms(policy, key, contact) if key.keep_aliases else past
        current = forms(policy, key, fields)
        cleared = [n for n in key.fields if n not in fields]
        cleared_values = {n: base[n] for n in cleared if n in base}
        if key.max_forms and cleared_values:
            # A null removes them: as aliases they would count for ever.
            current += forms(policy, key, base if composite(key) else cleared_values)
        kept[key.name] = [f for f in dict.fromkeys(earlier) if f not in current]
    return {name: past for name, past in kept.items() if past}


def makes_blocked_form(policy: Policy, name: str, item: Any) -> bool:
    """Return whether a value makes a blocked form of a key of its own field."""
    for key in [key for key in policy.all_keys if name in key.fields]:
        for form in forms_of_value(key, name, item, blocked=True):
            part = patterns_of_part(key, name)
            own = is_blocked(key, form) and not composite(key)
            if own or matches(part, form, form.strip()):
                return True
    return False


def is_additional(policy: Policy, key: Any, draft: Row, value: Any) -> bool:
    """Return whether a sent primary is an additional value, or is appended as one."""
    first, last, fields = key.fields[0], key.fields[-1], draft["fields"]
    new = _usable_forms(policy, key, first, value)
    current = _usable_forms(policy, key, first, fields.get(first))
    if empty(fields.get(first)) or not new or {*current} & {*new}:
        return False
    known = {
        f for n in key.fields[1:] for f in _usable_forms(policy, key, n, fields.get(n))
    }
    if {*new} <= known:
        return True
    if key.append_new:
        joining = []
        for item in value if isinstance(value, list) else [value]:
            form = _usable_forms(policy, key, first, item)
            if form and not {*form} <= known:
                joining.append(item)
                known |= {*form}
        try:
            fields[last] = as_list(fields.get(last)) + joining
        except ValueError as error:
            before = draft["before"]
            stored = same(fields[last], before["fields"].get(last))
            holder = before["id"] if stored else None
            raise errors.InvalidField(last, fields[last], "", holder=holder) from error
    return bool(key.append_new)


def _usable_forms(policy: Policy, key: Any, name: str, value: Any) -> list[str]:
    return [f for f in forms_of_value(key, name, value) if not is_blocked(key, f)]
