"""Replays tests/cases/forms.json: values that look like a form, and what they make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from upsertcore import ContactBook, Policy, field, first_match, normalize
from upsertcore.normalize import Normalizer, phonetic
from upsertcore.values import show_value

MAKERS: dict[str, Any] = {
    "phone_in": normalize.phone_in,
    "prefix": lambda size: normalize.prefix(int(size)),
}
NICKNAMES = normalize.nicknames({"Robert": ["Bob"]})
PATH = Path(__file__).parents[1] / "cases" / "forms.json"


def whole(value: Any) -> Any:
    """Write out what a case says in parts: texts, each with how often."""
    if isinstance(value, dict) and value.keys() == {"parts"}:
        return "".join(text * times for text, times in value["parts"])
    return value


def normaliser(name: str) -> Normalizer:
    """Give the normaliser that a case names, with its argument behind a space."""
    name, _space, argument = name.partition(" ")
    if argument:
        made: Normalizer = MAKERS[name](argument)
        return made
    if name == "nicknames":
        return NICKNAMES
    found: Normalizer = getattr(
        phonetic if name in phonetic.__all__ else normalize, name
    )
    return found


CASES = [
    pytest.param(
        case["normaliser"],
        whole(case["value"]),
        whole(case["form"]),
        id=f"{place} {case['normaliser']}: {show_value(case['value'])}",
    )
    for place, case in enumerate(json.loads(PATH.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize(("name", "value", "form"), CASES)
def test_a_value_has_the_form_that_the_rules_give_it(
    name: str, value: Any, form: str | None
) -> None:
    """And the form is its own."""
    normal = normaliser(name)

    assert form == normal(value)
    assert form is None or form == normal(form)


def book_of(blocked: Any = (), **how: Any) -> ContactBook:
    """Make a book that matches by an identifier and a number."""
    lines = {
        "id": field(key=normalize.exact, blocked=blocked),
        "phone": field(key=normalize.phone_in("US")),
    }
    return ContactBook(Policy(first_match("id", "phone"), lines, **how))


@pytest.mark.parametrize(
    ("first", "second"), [(1001.0, 1001), (1001, "1001"), (0.0, 0)]
)
def test_a_contact_is_found_by_a_number_however_it_is_typed(
    first: Any, second: Any
) -> None:
    """Not created a second time."""
    book = book_of()
    one = book.upsert({"id": first}).contact

    assert one.id == book.upsert({"id": second}).contact.id
    assert [one.id] == [contact.id for contact in book.find("id", first)]
    assert len(book) == 1


@pytest.mark.parametrize("value", [" null ", "0 ", "NULL\n", "n/a", "#N/A", "-", "\\N"])
def test_two_strangers_with_a_placeholder_stay_two(value: str) -> None:
    """White space around it or not."""
    book = book_of(blocked=normalize.PLACEHOLDERS, on_no_key="create")

    assert book.upsert({"id": value}).created
    assert book.upsert({"id": value.strip()}).created
    assert book.find("id", value) == ()


def test_two_towns_do_not_share_a_number() -> None:
    """What has no area code is no key; with one it is."""
    book = book_of(on_no_key="create")
    for number in ("555-0105", "(202) 555-0143", "555-0105", "2025550143.0"):
        assert book.upsert({"phone": number}).created

    assert not book.upsert({"phone": "+1 202 555 0143"}).created
    assert len(book) == 4
