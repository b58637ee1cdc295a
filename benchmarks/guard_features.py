"""
The features of policies and calls, each as one difference from a plain mix.

Rules:
    A feature differs from ``plain`` in one thing: in the policy, in the patches or in
    the call. Where a patch must have another value for the feature to matter, that
    belongs to the feature.
"""

from __future__ import annotations

from typing import Any

from benchmarks.guard_mix import STORED, Mix, Patch, Turn, always, plain_policy
from upsertcore import (
    ContactBook,
    errors,
    field,
    first_match,
    key,
    merge_all,
    normalize,
    rules,
)

__all__ = ["FEATURES"]

_BY_EMAIL = first_match("email")
_LATEST = rules.latest(by="note")


def _email(**options: Any) -> dict[str, Any]:
    return {"email": field(key=normalize.email, unique=True, **options)}


def _null(patch: Patch, turn: Turn) -> Patch:
    """Send null for a company that stored contacts have."""
    return patch if turn.is_stored else {**patch, "company": None}


def _blank(patch: Patch, turn: Turn) -> Patch:
    return patch if turn.is_stored else {**patch, "company": ""}


def _whole(patch: Patch, turn: Turn) -> Patch:
    return {**patch, "company": turn.person}


def _other_company(patch: Patch, turn: Turn) -> Patch:
    return {**patch, "company": "Another"} if turn.is_update else patch


def _other_email(patch: Patch, turn: Turn) -> Patch:
    if not turn.is_update:
        return patch
    return {**patch, "email": f"new.{turn.person}@mail.example"}


def _joined(patch: Patch, turn: Turn) -> Patch:
    tags = ["lead", f"call {turn.call}"] if turn.is_update else ["lead", "news", "vip"]
    return {**patch, "company": tags}


def _dated(patch: Patch, turn: Turn) -> Patch:
    return {**patch, "note": f"2024-01-0{1 + turn.is_update}T12:00:00Z"}


def _taken(patch: Patch, turn: Turn) -> Patch:
    """Send the phone of the next stored contact, with an address of another person."""
    if turn.is_stored:
        return {**patch, "phone": _phone(turn.person)}
    return {**patch, "phone": _phone((turn.person + 1) % STORED)}


def _phone(person: int) -> str:
    return f"+1 203-777-{person:04}"


def _placed(patch: Patch, turn: Turn) -> Patch:
    return {**patch, "company": f"Company {turn.person}", "city": f"City {turn.person}"}


def _second_email(patch: Patch, turn: Turn) -> Patch:
    return {**patch, "company": f"second.{turn.person}@mail.example"}


def _refused(book: ContactBook, patch: Patch, _call: int) -> str:
    try:
        return book.upsert(patch).result
    except errors.KeyInUse:
        return "refused"


def _create(book: ContactBook, patch: Patch, _call: int) -> str:
    return book.create(patch).result


def _with_idempotency_key(book: ContactBook, patch: Patch, call: int) -> str:
    return book.upsert(patch, idempotency_key=f"k-{call}").result


def _with_rules(book: ContactBook, patch: Patch, _call: int) -> str:
    return book.upsert(patch, rules={"company": rules.keep}).result


def _with_null(book: ContactBook, patch: Patch, _call: int) -> str:
    return book.upsert(patch, null="ignore").result


def _with_blank(book: ContactBook, patch: Patch, _call: int) -> str:
    return book.upsert(patch, blank="ignore").result


_PLAIN = {"plain": Mix("none: eight texts, two of them unique keys")}

_VALUES = {
    "null_clears": Mix("a null that clears", edit=_null),
    "null_ignored": Mix(
        "a null that is ignored", plain_policy({"company": field(null="ignore")}), _null
    ),
    "blank_stored": Mix("a blank that is stored", edit=_blank),
    "blank_ignored": Mix(
        "a blank that is ignored",
        plain_policy({"company": field(blank="ignore")}),
        _blank,
    ),
    "int": Mix("a whole number", edit=_whole),
    "float": Mix("another number", edit=always(company=12.5)),
    "bool": Mix("true or false", edit=always(company=True)),
    "list": Mix("a list of three texts", edit=always(company=["lead", "news", "vip"])),
    "mapping": Mix(
        "a mapping of two texts", edit=always(company={"name": "A", "city": "Oslo"})
    ),
}

_KEYS = {
    "key_withheld": Mix(
        "a unique key outside the strategy is in use: withheld",
        plain_policy(match=_BY_EMAIL),
        _taken,
        limit=3,
    ),
    "key_refused": Mix(
        "a unique key outside the strategy is in use: refused",
        plain_policy(match=_BY_EMAIL, on_key_in_use="refuse"),
        _taken,
        _refused,
        results=("refused", "refused"),
        limit=3,
    ),
    "clash": Mix(
        "a unique key of the strategy is in use: withheld; updates only",
        edit=_taken,
        results=("updated", "updated"),
        new=(False, False),
        limit=3,
    ),
    "aliases": Mix(
        "`keep_aliases=True`, no form replaced", plain_policy(_email(keep_aliases=True))
    ),
    "alias_made": Mix(
        "`keep_aliases=True`, updates replace the address",
        plain_policy(_email(keep_aliases=True)),
        _other_email,
    ),
    "max_forms": Mix("`max_forms=3`, not reached", plain_policy(_email(max_forms=3))),
    "blocked": Mix(
        "`blocked=normalize.PLACEHOLDERS`, none sent",
        plain_policy(_email(blocked=normalize.PLACEHOLDERS)),
    ),
    "composite": Mix(
        "a composite key as the third key",
        plain_policy(
            match=first_match("email", "phone", "place"),
            keys={"place": key("company", "city", normalize=normalize.text)},
        ),
        _placed,
    ),
    "any_of": Mix(
        "an `any_of` key of two addresses",
        plain_policy(
            {"email": field()},
            keys={
                "email": key(
                    *("email", "company"),
                    normalize=normalize.email,
                    unique=True,
                    any_of=True,
                )
            },
        ),
        _second_email,
    ),
}

_RULES = {
    "latest": Mix(
        "`latest`, a newer clock",
        plain_policy({"company": field(rule=_LATEST), "note": field(rule=_LATEST)}),
        _dated,
    ),
    "last_updated": Mix(
        "`on_merge=last_updated`",
        plain_policy({"company": field(on_merge=rules.last_updated)}),
    ),
    "union": Mix(
        "`union`, one new item",
        plain_policy({"company": field(rule=rules.union)}),
        _joined,
    ),
    "keep": Mix(
        "`keep`, another value is sent",
        plain_policy({"company": field(rule=rules.keep)}),
        _other_company,
    ),
    "on_create": Mix(
        "`on_create`, another value is sent",
        plain_policy({"company": field(rule=rules.on_create)}),
        _other_company,
    ),
}

_MATCHING = {
    "guard": Mix(
        '`guard="if_set"`',
        plain_policy(match=first_match("email", "phone", guard="if_set")),
    ),
    "merge_all": Mix(
        "`merge_all` that hits one contact",
        plain_policy(match=merge_all("email", "phone")),
        limit=3,
    ),
}

_CALLS = {
    "create_verb": Mix(
        "`create` instead of `upsert`; no updates",
        call=_create,
        results=("created", "created"),
        new=(True, True),
    ),
    "idempotency_key": Mix("`idempotency_key=`", call=_with_idempotency_key),
    "call_rules": Mix("`rules=`, nothing left out", call=_with_rules),
    "call_null": Mix('`null="ignore"`, a null', edit=_null, call=_with_null),
    "call_blank": Mix('`blank="ignore"`, a blank', edit=_blank, call=_with_blank),
}

FEATURES: dict[str, Mix] = {
    **_PLAIN,
    **_VALUES,
    **_KEYS,
    **_RULES,
    **_MATCHING,
    **_CALLS,
}
"""By name; the first one is the mix that all others are compared with."""
