"""Replays tests/cases/forms.json: values that look like a form, and what they make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from upsertcore import normalize, phonetic
from upsertcore.normalize import Normalizer
from upsertcore.showing import shown

MAKERS: dict[str, Any] = {
    "phone_in": normalize.phone_in,
    "prefix": lambda size: normalize.prefix(int(size)),
}
NICKNAMES = normalize.nicknames({"Robert": ["Bob"]})
PATH = Path(__file__).parent / "cases" / "forms.json"


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
        id=f"{place} {case['normaliser']}: {shown(case['value'])}",
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
