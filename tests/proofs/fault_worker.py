"""
The examples that show the planted faults, and a script that reports broken laws.

Rules:
    As a script it checks the package that is first on the path, and only there: laws
    are checked on a copy, never on the package under test.
    A sound example breaks no law that it claims; an unsound one is a fault itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count, product
from pathlib import Path
from typing import Any

import upsertcore
from tests.field_options import blocking, merging
from upsertcore import (
    Policy,
    all_agree,
    errors,
    field,
    first_match,
    first_present,
    key,
    laws,
    merge_all,
    normalize,
)
from upsertcore.book import contact_book
from upsertcore.rules import (
    constant,
    custom,
    deep,
    keep,
    largest,
    last_updated,
    latest,
    on_create,
    refuse_if,
    replace,
    smallest,
    sticky,
    union,
)

Check = Callable[[], Iterable[str]]
"""Returns the names of the laws that are broken."""

MAIL = field(key=normalize.email, unique=True)
VISITED = {"email": MAIL, "name": field()}


def policy(
    table: Policy, contacts: int = 1, limit: int | None = None, **values: list[Any]
) -> Check:
    """Try every law that a policy claims, in a world of a number of contacts."""

    def broken_laws() -> Iterable[str]:
        card = laws.card(table, contacts=contacts, values=values, limit=limit)
        return [
            verdict.law
            for verdict in card.verdicts
            if verdict.claimed and not verdict.holds
        ]

    return broken_laws


def rule(checked: Any, *values: Any) -> Check:
    """Compare the laws that a merge rule declares with those that hold."""
    return _first_broken(
        "rules", lambda: laws.rules.declares_what_it_has(checked, [None, *values])
    )


def normaliser(checked: Any) -> Check:
    """Check the forms that a normaliser makes of many awkward values."""
    return _first_broken(
        "normalisers", lambda: laws.normalisers.check_normaliser(checked)
    )


def visitors(table: Policy) -> Check:
    """Identify each contact of a small book as the visitor of some patches."""

    def identify() -> None:
        # The package needs Hypothesis, and no other example does.
        from upsertcore.testing import checks, new_book

        for visitor, email in product(("c-1", "c-2", "c-3", "c-4"), ("ada", "eve")):
            book = new_book(table)
            for patch in (
                {"email": "ada@x.org"},
                {"email": "bob@x.org"},
                {"name": "V"},
            ):
                book.create(patch)
            book.create({"name": "W"}, scope="east")
            with suppress(errors.Refused):
                checks.check_visitor(book, {"email": f"{email}@x.org"}, "", visitor)

    return _first_broken("calls", identify)


def _first_broken(family: str, check: Callable[[], None]) -> Check:
    def broken_laws() -> Iterable[str]:
        try:
            check()
        except laws.LawBroken as error:
            return [f"{family}.{error.law}"]
        return []

    return broken_laws


SOUND: dict[str, Check] = {
    "one key": policy(
        Policy(
            first_match("email"),
            {
                "email": MAIL,
                "name": field(),
                "city": field(null="ignore", blank="ignore"),
                "status": field(default="active"),
                "source": field(rule=on_create),
                "note": field(rule=keep),
            },
        )
    ),
    "an id, else an address": policy(
        Policy(
            first_present("id", "email"),
            {"id": field(key=normalize.exact, unique=True), "email": MAIL},
        ),
        contacts=2,
    ),
    "an address, then a phone": policy(
        Policy(
            first_match("email", "phone"),
            {
                "email": field(key=normalize.email),
                "phone": field(key=normalize.phone, unique=True),
            },
            on_ambiguous="oldest",
        ),
        contacts=2,
    ),
    "plain text": policy(
        Policy(
            first_match("email"),
            {
                "email": MAIL,
                "phone": field(key=normalize.phone, unique=True),
                "name": field(),
            },
        )
    ),
    "a clash withholds": policy(
        Policy(
            first_match("id"),
            {"id": field(key=normalize.exact), "email": MAIL},
            on_key_in_use="withhold",
        )
    ),
    "all become one": policy(
        Policy(
            merge_all("email", "phone"),
            {
                "email": field(key=normalize.email, keep_aliases=True),
                "phone": field(key=normalize.phone),
            },
        ),
        contacts=2,
        limit=8_000,
        email=["ada@x.org", "bob@x.org"],
        phone=["+15550001111", "+15550002222"],
    ),
    "the newest counts": policy(
        Policy(
            first_match("id"),
            {
                "id": field(key=normalize.exact, keep_aliases=True, rule=largest),
                "name": field(rule=latest(by="at")),
                "at": field(rule=largest),
            },
        )
    ),
    "tags join": policy(
        Policy(
            first_match("id"),
            {"id": field(key=normalize.exact), "tags": field(rule=union)},
        )
    ),
    "the deleted come back": policy(
        Policy(
            first_match("id"),
            {"id": field(key=normalize.exact, unique=True)},
            on_deleted="restore",
        ),
        contacts=2,
    ),
    "contacts are joined": policy(
        Policy(
            first_match("id"),
            merging(
                {
                    "id": field(key=normalize.exact),
                    "name": field(),
                    "status": field(default="new"),
                    "note": field(rule=latest(by="at")),
                    "at": field(),
                    "city": field(),
                    "more": field(rule=deep),
                },
                {
                    "status": smallest,
                    "note": replace,
                    "city": last_updated,
                    "more": deep,
                },
            ),
        ),
        contacts=3,
        limit=6_000,
    ),
    "a clean that finds a number": policy(
        Policy(
            first_match("id"),
            {
                "id": field(key=normalize.exact),
                "phone": field(clean=normalize.phone),
            },
        )
    ),
    "a known one is left alone": policy(
        Policy(
            first_match("id"),
            {"id": field(key=normalize.exact), "tags": field(rule=union)},
            on_found="ignore",
        )
    ),
    "two lists of addresses": policy(
        Policy(
            first_match("id"),
            {
                "id": field(key=normalize.exact),
                "main": field(),
                "more": field(),
            },
            keys={
                "mail": key(
                    *("main", "more"),
                    normalize=normalize.email,
                    any_of=True,
                    unique=True,
                )
            },
            on_key_in_use="withhold",
        ),
        contacts=3,
        limit=2_000,
    ),
    "two keys of several fields": policy(
        Policy(
            first_match("id"),
            {
                "id": field(key=normalize.exact, unique=True),
                **{name: field() for name in ("first", "last", "born")},
            },
            keys={
                "last": key("last", "born", normalize=normalize.text, unique=True),
                "first": key("first", "born", normalize=normalize.text, unique=True),
            },
            on_key_in_use="withhold",
        ),
        contacts=2,
        limit=2_000,
    ),
    "a blocked part of a key": policy(
        Policy(
            first_match("id"),
            blocking(
                {
                    "id": field(key=normalize.exact),
                    "first": field(),
                    "last": field(key=normalize.text),
                },
                {"last": ("n/a",)},
            ),
            keys={"name": key("first", "last", normalize=normalize.text)},
            on_blocked="ignore",
        ),
        limit=2_000,
    ),
    "an opt-out": policy(
        Policy(
            first_match("id"),
            {
                "id": field(key=normalize.exact),
                "status": field(rule=sticky("unsubscribed")),
                "tags": field(many=True),
            },
        ),
        contacts=2,
    ),
    "conditions of a merge": policy(
        Policy(
            merge_all("id"),
            merging(
                {
                    "id": field(key=normalize.exact, keep_aliases=True),
                    "role": field(),
                    "seen": field(),
                },
                {"role": refuse_if("user"), "seen": constant("yes")},
            ),
        ),
        contacts=2,
        limit=3_000,
    ),
    "ids of the caller": policy(
        Policy(
            first_match("id", "email"),
            {"email": field(key=normalize.email), "name": field()},
            id_field="id",
            on_unknown_id="next",
        ),
        contacts=2,
    ),
    "a needed mapping": policy(
        Policy(
            first_match("id"),
            {
                "id": field(key=normalize.exact),
                "address": field(rule=deep, required=True),
            },
        )
    ),
    "a visitor": visitors(Policy(first_match("email"), VISITED)),
    "a visitor where all keys agree": visitors(Policy(all_agree("email"), VISITED)),
    "keep": rule(keep, "", "a", "b"),
    "replace": rule(replace, "", "a", "b"),
    "largest": rule(largest, "", 1, 1.0, 2),
    "text": normaliser(normalize.text),
    "phone": normaliser(normalize.phone),
    "exact": normaliser(normalize.exact),
}
"""Examples that break no law that they claim, by name."""


def _append(stored: Any, sent: Any) -> Any:
    if sent is not None and type(sent) is not tuple:
        raise ValueError("must be a list")
    return sent and (stored or ()) + sent


def _cut_plus(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return value.strip().removeprefix("+").strip() or None


APPENDED = custom(_append, name="appended", laws=("idempotent",))
_TICKS = count()

UNSOUND: dict[str, Check] = {
    "a rule that appends": policy(
        Policy(
            first_match("id"),
            {"id": field(key=normalize.exact), "tags": field(rule=APPENDED)},
        )
    ),
    "that rule alone": rule(APPENDED, ["a"], ["b"]),
    "a clean with a clock": policy(
        Policy(
            first_match("id"),
            {
                "id": field(key=normalize.exact),
                "seen": field(clean=lambda _value: next(_TICKS)),
            },
        )
    ),
    "a normaliser that cuts": normaliser(_cut_plus),
    "a normaliser that counts": normaliser(lambda _value: str(next(_TICKS))),
    "a normaliser that answers blank": normaliser(
        lambda value: value.strip() if isinstance(value, str) else None
    ),
}
"""Faulty functions of an application, by name."""


def main(root: str, law: str, name: str, path: str) -> None:
    """
    Print the laws that an example breaks in the package under a root.

    Args:
        root: Where the copy is.
        law: The law to check; blank for all of them.
        name: The name of the example.
        path: ``"plain"`` to keep every call off the fast path.
    """
    if path == "plain":
        vars(contact_book)["has_fast_path"] = lambda _policy: False
    package_file = Path(upsertcore.__file__).resolve()
    if not package_file.is_relative_to(Path(root).resolve()):
        raise SystemExit(f"{package_file} is not the copy in {root}")
    for family in (laws.CALLS, laws.MERGES, laws.LOGS):
        for other in [*family] if law else ():
            if other != law:
                del family[other]
    check = {**SOUND, **UNSOUND}[name]
    print(json.dumps({name: [*check()]}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
