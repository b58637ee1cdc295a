"""Replays tests/cases/forms.json: values and their normal forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from upsertcore import ContactBook, Policy, field, first_match, normalize
from upsertcore.normalize import Normalizer, phonetic
from upsertcore.values import show_value

FACTORIES: dict[str, Any] = {
    "phone_in": normalize.phone_in,
    "prefix": lambda size: normalize.prefix(int(size)),
}
NICKNAMES = normalize.nicknames({"Robert": ["Bob"]})
PATH = Path(__file__).parents[1] / "cases" / "forms.json"


def expand(value: Any) -> Any:
    """Expand a value of a case that is given as repeated parts."""
    if isinstance(value, dict) and value.keys() == {"parts"}:
        return "".join(text * times for text, times in value["parts"])
    return value


def normaliser(name: str) -> Normalizer:
    """Return the normaliser of a case; an argument follows after a space."""
    name, _space, argument = name.partition(" ")
    if argument:
        parametrised: Normalizer = FACTORIES[name](argument)
        return parametrised
    if name == "nicknames":
        return NICKNAMES
    plain: Normalizer = getattr(
        phonetic if name in phonetic.__all__ else normalize, name
    )
    return plain


CASES = [
    pytest.param(
        case["normaliser"],
        expand(case["value"]),
        expand(case["form"]),
        id=f"{place} {case['normaliser']}: {show_value(case['value'])}",
    )
    for place, case in enumerate(json.loads(PATH.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize(("name", "value", "form"), CASES)
def test_value_has_the_expected_form(name: str, value: Any, form: str | None) -> None:
    """The form is its own normal form."""
    normal = normaliser(name)

    assert form == normal(value)
    assert form is None or form == normal(form)


def make_book(blocked: Any = (), **options: Any) -> ContactBook:
    """Make a book that matches by an identifier and a number."""
    lines = {
        "id": field(key=normalize.exact, blocked=blocked),
        "phone": field(key=normalize.phone_in("US")),
    }
    return ContactBook(Policy(first_match("id", "phone"), lines, **options))


@pytest.mark.parametrize(
    ("first", "second"), [(1001.0, 1001), (1001, "1001"), (0.0, 0)]
)
def test_number_matches_in_any_type(first: Any, second: Any) -> None:
    """As float, integer or text."""
    book = make_book()
    contact = book.upsert({"id": first}).contact

    assert contact.id == book.upsert({"id": second}).contact.id
    assert [contact.id] == [match.id for match in book.find("id", first)]
    assert len(book) == 1


@pytest.mark.parametrize("value", [" null ", "0 ", "NULL\n", "n/a", "#N/A", "-", "\\N"])
def test_contacts_with_equal_placeholders_are_not_matched(value: str) -> None:
    book = make_book(blocked=normalize.PLACEHOLDERS, on_no_key="create")

    assert book.upsert({"id": value}).created
    assert book.upsert({"id": value.strip()}).created
    assert book.find("id", value) == ()


def test_number_without_area_code_is_no_key() -> None:
    """Two towns may have the same number."""
    book = make_book(on_no_key="create")
    for number in ("555-0105", "(202) 555-0143", "555-0105", "2025550143.0"):
        assert book.upsert({"phone": number}).created

    assert not book.upsert({"phone": "+1 202 555 0143"}).created
    assert len(book) == 4
