"""
The workloads that users have, as cases of the guard.

Rules:
    The mix is that of the features: half new contacts, half updates.
"""

from __future__ import annotations

import csv
import gc
import json
from collections.abc import Callable
from io import StringIO
from typing import Any

from attrs import frozen

from benchmarks.guard_mix import CALLS, WARM_UP, Mix, Patch, Turn, plain_policy
from benchmarks.people import FIELDS, fields_of
from upsertcore import ContactBook, field, normalize

__all__ = ["ALONE", "WORKLOADS", "Alone", "form", "load"]

_COLUMNS = fields_of(10)
_JSON_FIELDS = ("size", "revenue", "subscribed")
_NAMES = ("åsa", "zoë", "josé", "jürgen", "øyvind", "łukasz", "chloé")


def _half_blank(patch: Patch, turn: Turn) -> Patch:
    """Make about half of the values blank, but not the address or a change."""
    kept = ("email", "note") if turn.is_update else ("email",)
    return {
        name: value if name in kept or turn.rng.random() < 0.5 else ""
        for name, value in patch.items()
    }


def _through_csv(patches: list[Patch]) -> list[Patch]:
    file = StringIO()
    writer = csv.DictWriter(file, _COLUMNS)
    writer.writeheader()
    writer.writerows(patches)
    return [*csv.DictReader(StringIO(file.getvalue()))]


def _typed(patch: Patch, turn: Turn) -> Patch:
    """Add a whole number, another number and a flag; replace some texts by null."""
    texts = {
        name: None
        if name in {"lastName", "company", "city"} and turn.rng.random() < 0.5
        else value
        for name, value in patch.items()
    }
    values = (turn.person, turn.person + 0.25, turn.person % 2 == 0)
    return {**texts, **dict(zip(_JSON_FIELDS, values, strict=True))}


def _sparse(patch: Patch, turn: Turn) -> Patch:
    """Keep each optional field three times in ten; an update changes the first."""
    kept = [name for name in FIELDS[2:] if turn.rng.random() < 0.3] or ["note"]
    sparse = {name: patch[name] for name in ("email", "phone", *kept)}
    return {**sparse, kept[0]: f"call {turn.call}"} if turn.is_update else sparse


def _address(person: int) -> str:
    return f"{_NAMES[person % 7]}.{person}@exämple.example"


def _international(patch: Patch, turn: Turn) -> Patch:
    return {**patch, "email": _address(turn.person)}


def _of_one_key(patch: Patch, turn: Turn) -> Patch:
    """Remove the address of every second person, and the phone of the others."""
    absent = ("email", "phone")[turn.person % 2]
    return {name: value for name, value in patch.items() if name != absent}


def _read_changes(book: ContactBook, patch: Patch, _call: int) -> str:
    outcome = book.upsert(patch)
    _ = outcome.changes
    return outcome.result


def _read_contact(book: ContactBook, patch: Patch, _call: int) -> str:
    outcome = book.upsert(patch)
    _ = outcome.contact["email"]
    return outcome.result


def _read_explain(book: ContactBook, patch: Patch, _call: int) -> str:
    outcome = book.upsert(patch)
    outcome.explain()
    return outcome.result


def _ignoring_blanks() -> dict[str, Any]:
    return {
        **{name: field(blank="ignore") for name in _COLUMNS},
        "email": field(key=normalize.email, unique=True, blank="ignore"),
        "phone": field(key=normalize.phone, unique=True, blank="ignore"),
    }


_FORM_CALLS = 1_000
"""More than of a mix, because each call is shorter."""


def form(calls: int) -> int:
    """
    Normalise addresses that are not ASCII.

    >>> form(3)
    3
    """
    addresses = [_address(person) for person in range(_FORM_CALLS)]
    normalize.email(addresses[0])
    return sum([normalize.email(address) is not None for address in addresses[:calls]])


def load(calls: int) -> int:
    """
    Load the contacts of the plain mix, from rows that are read from JSON.

    >>> load(3)
    3
    """
    book, patches = Mix("none").prepare()
    for patch in patches:
        book.upsert(patch)
    rows = json.loads(json.dumps(book.dump()))
    first, counted = rows[:WARM_UP], rows[WARM_UP : WARM_UP + calls]
    ContactBook.load(book.policy, first)
    gc.collect()
    return len(ContactBook.load(book.policy, counted))


WORKLOADS: dict[str, Mix] = {
    "csv_blanks": Mix(
        "rows of `csv.DictReader`: 10 columns, half of the values blank and ignored",
        plain_policy(_ignoring_blanks()),
        _half_blank,
        names=_COLUMNS,
        parse=_through_csv,
    ),
    "json_nulls": Mix(
        "values from JSON: nulls, two numbers and a flag beside texts",
        plain_policy({name: field() for name in _JSON_FIELDS}),
        _typed,
    ),
    "optional": Mix(
        "28 optional fields, each present three times in ten",
        plain_policy({name: field() for name in FIELDS[2:]}),
        _sparse,
        names=FIELDS,
    ),
    "non_ascii": Mix("email addresses that are not ASCII", edit=_international),
    "one_key": Mix("one key of two is absent", edit=_of_one_key),
    "read_changes": Mix("`outcome.changes` is read", call=_read_changes),
    "read_contact": Mix("a field of `outcome.contact` is read", call=_read_contact),
    "read_explain": Mix("`outcome.explain()` is read", call=_read_explain),
}
"""By name."""


@frozen
class Alone:
    """
    A workload that is no mix of calls.

    Args:
        what: What it does.
        run: Makes some calls; returns how many had the expected result.
        calls: The maximum number of calls.
    """

    what: str
    run: Callable[[int], int]
    calls: int


ALONE: dict[str, Alone] = {
    "load": Alone("`ContactBook.load` of such contacts, for each row", load, CALLS),
    "non_ascii_form": Alone(
        "`normalize.email` of an address that is not ASCII, alone", form, _FORM_CALLS
    ),
}
"""By name."""
