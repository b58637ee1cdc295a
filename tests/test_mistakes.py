"""
The mistakes of a developer's first day, and the message of each.

Rules:
    The table is data: a call, the lines before it, and the whole message.
    A message names the argument or the field, and says what would be right.
    No message shows what another contact holds.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import re
import uuid
from collections import namedtuple
from datetime import date, datetime, timezone
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest

import upsertcore
from upsertcore import ContactBook, Policy, errors, field, first_match, normalize, rules
from upsertcore.rules import add, deep, immutable, union
from upsertcore.store.contact_index import ContactIndex

TABLE = Path(__file__).parent / "cases" / "mistakes.json"
MISTAKES: list[dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
IDS = [f"{number} {mistake['call'][:50]}" for number, mistake in enumerate(MISTAKES)]
HIDDEN = "secret"
"""Part of every value of the contacts other than Ada."""


class Colour(enum.Enum):
    """An enum of an application."""

    RED = "red"


@dataclasses.dataclass
class Person:
    """A dataclass."""

    email: str


@attrs.define
class Lead:
    """A class of attrs."""

    email: str


class Model:
    """An object with the method of a pydantic model."""

    def __repr__(self) -> str:
        return "Model(email='a@x.org')"

    def model_dump(self, **options: Any) -> dict[str, Any]:
        return {"email": "a@x.org", **options}


Row = namedtuple("Row", "email")  # noqa: PYI024 - newcomers have these
EMAIL = {"email": field(key=normalize.email, unique=True)}
POLICY = Policy(
    first_match("email", "phone"),
    {
        **EMAIL,
        "phone": field(key=normalize.phone),
        "name": field(null="reject"),
        "tags": field(rule=union),
        "visits": field(rule=add),
        "plan": field(rule=immutable),
        "born": field(),
        "address": field(rule=deep),
    },
)


def namespace() -> dict[str, Any]:
    """Return the names that a call may use: a policy, and a book of three contacts."""
    ids, numbers = count(1), count(1)
    book = ContactBook(POLICY, ids=lambda: f"c-{next(ids)}")
    ada = book.upsert({"email": "ada@x.org", "name": "Ada", "plan": "pro"}).contact
    for number in range(2):
        email, phone = f"{HIDDEN}{number}@x.org", "+15550001111"
        book.create({"email": email, "phone": phone, "name": f"{HIDDEN} {number}"})
    exported = {name: getattr(upsertcore, name) for name in upsertcore.__all__}
    return {
        **exported,
        **{name: getattr(rules, name) for name in rules.__all__},
        "ContactIndex": ContactIndex,
        "Colour": Colour,
        "Person": Person,
        "Lead": Lead,
        "Model": Model,
        "Row": Row,
        "Decimal": Decimal,
        "date": date,
        "datetime": datetime,
        "timezone": timezone,
        "uuid": uuid,
        "errors": errors,
        "email": EMAIL,
        "policy": POLICY,
        "book": book,
        "ada": ada,
        "ids": lambda: f"n-{next(numbers)}",
    }


@pytest.mark.parametrize("mistake", MISTAKES, ids=IDS)
def test_mistake_is_refused_with_its_message_and_notes(mistake: dict[str, Any]) -> None:
    names = namespace()
    for line in mistake.get("given", []):
        exec(line, names)  # noqa: S102 - a line of the table
    with pytest.raises(Exception) as caught:
        eval(mistake["call"], names)  # noqa: S307 - a call of the table

    error = caught.value
    assert (type(error).__name__, str(error)) == (mistake["error"], mistake["message"])
    assert getattr(error, "__notes__", []) == mistake.get("notes", [])


@pytest.mark.parametrize("mistake", MISTAKES, ids=IDS)
def test_message_names_the_argument_and_the_remedy(mistake: dict[str, Any]) -> None:
    """No message shows a value of another contact."""
    lines = [mistake["message"], *mistake.get("notes", [])]
    text = "\n".join(lines)

    assert any(re.match(r"[\w.,\[\]' -]+: |unknown region", line) for line in lines)
    assert mistake.get("of_the_caller") or re.search(r"; |must |raised this", text)
    assert HIDDEN not in text


def test_table_has_sixty_different_mistakes() -> None:
    calls = [(*mistake.get("given", []), mistake["call"]) for mistake in MISTAKES]

    assert len(calls) >= 60
    assert len(set(calls)) == len(calls)
