"""Refusals show values of the patch, and never a stored value."""

from __future__ import annotations

from functools import partial
from itertools import count
from random import Random
from typing import Any

import pytest

from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Policy,
    all_agree,
    errors,
    field,
    first_match,
    first_present,
    key,
    merge_all,
    normalize,
)
from upsertcore.rules import (
    add,
    add_or_remove,
    append,
    deep,
    deep_keep,
    immutable,
    items_by,
    keep,
    largest,
    latest,
    remove,
    replace,
    smallest,
    union,
)

HIDDEN = "secret"
RULES = [
    *(add, append, deep, deep_keep, immutable, items_by("id"), keep, largest),
    *(latest("at"), remove, replace, add_or_remove, smallest, union),
]
STORED = [
    *(HIDDEN, [HIDDEN], {HIDDEN: HIDDEN}, [{"id": HIDDEN}], [f"-{HIDDEN}"], 5),
    f"{HIDDEN}@x.org",
]
SENT = ["x", 1, 2.5, True, ["a"], ["-a"], {"a": 1}, [{"id": 1, "y": 2}], [{"n": 1}]]
STRATEGIES = [first_match, first_present, all_agree, merge_all]


def draw_policy(random: Random) -> Policy:
    """Draw a policy: unique, aliased or limited keys, and rules."""
    kind: dict[str, Any] = {"unique": True, "keep_aliases": True}
    limits = [None, 1, 2]
    lines = {
        "ref": field(key=normalize.exact, **kind, max_forms=random.choice(limits)),
        "email": field(
            key=normalize.email,
            rule=random.choice([replace, union]),
            max_forms=random.choice(limits),
            **kind,
        ),
        **{name: field() for name in ("at", "first", "last")},
        **{f"v{n}": field(rule=random.choice(RULES)) for n in range(3)},
    }
    return Policy(
        random.choice(STRATEGIES)("ref", "email"),
        merging(lines, {f"v{n}": random.choice(RULES) for n in range(3)}),
        keys={"pair": key("first", "last", normalize=normalize.text, unique=True)},
        on_ambiguous=random.choice(["refuse", "oldest"]),
        on_key_in_use=random.choice(["refuse", "withhold"]),
        on_deleted=random.choice(["restore", "refuse"]),
    )


def make_book(random: Random) -> ContactBook:
    """Make a book of four contacts; their values contain the hidden word."""
    ids = count(1)
    book = ContactBook(draw_policy(random), ids=lambda: f"c-{next(ids)}")
    for number in range(4):
        values = {
            "ref": f"r{number}",
            "email": [f"{HIDDEN}{number}@x.org"],
            "at": random.choice([1, HIDDEN]),
            "first": HIDDEN,
            "last": f"{HIDDEN} {number}",
            **{f"v{n}": random.choice(STORED) for n in range(3)},
        }
        try:
            book.create(values)
        except errors.InvalidField:
            book.create({"ref": f"r{number}", "email": [f"{HIDDEN}{number}@x.org"]})
    return book


def draw_patch(random: Random) -> dict[str, Any]:
    """Draw a patch for one of the contacts, by a guessed reference."""
    parts: dict[str, Any] = {
        "email": random.choice([["a@x.org"], ["a@x.org", "b@x.org"]]),
        "at": random.choice([5, "z"]),
        "first": "f",
        "last": "l",
        **{f"v{n}": random.choice(SENT) for n in range(3)},
    }
    fields = {name: value for name, value in parts.items() if random.random() < 0.5}
    return {"ref": f"r{random.randrange(4)}", **fields}


def make_calls(book: ContactBook, patch: Any, random: Random) -> list[Any]:
    """Return calls of which most are refused."""
    for key_holder in (
        {"ref": "r2", "last": "l"},
        {"ref": "r3", "email": ["a@x.org"]},
    ):
        refusal_text(partial(book.upsert, key_holder))
    outcome = book.upsert({"ref": "r3", "at": 9})
    verbs: list[Any] = [book.plan, book.create, book.upsert]
    return [
        partial(random.choice(verbs), patch),
        partial(book.upsert_many, [patch, patch], on_duplicates="refuse_all"),
        partial(book.upsert, patch, if_version=9),
        partial(book.merge, "c-1", "c-2"),
        *[partial(book.undo, outcome)] * 2,
        partial(book.delete, "c-2"),
        partial(book.upsert, {"ref": "r1", "at": 7}),
    ]


def refusal_text(call: Any) -> str | None:
    """Return the message and the notes of a refusal."""
    try:
        call()
    except errors.UpsertError as error:
        return "\n".join([str(error), *getattr(error, "__notes__", [])])
    return None


@pytest.mark.parametrize("seed", range(40))
def test_refusal_shows_no_stored_value(seed: int) -> None:
    random = Random(seed)
    texts = [
        refusal_text(call)
        for _ in range(10)
        for call in make_calls(make_book(random), draw_patch(random), random)
    ]

    messages = [text for text in texts if text is not None]
    assert len(messages) > 10
    assert not [text for text in messages if HIDDEN in text]
