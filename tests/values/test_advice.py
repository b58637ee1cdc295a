"""Values that cannot be stored: the advice, and the path to the value."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from collections import namedtuple
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

import attrs
import pytest

from upsertcore import Contact
from upsertcore.values import find_invalid, freeze, mapping_advice, value_advice


class Colour(enum.Enum):
    """A plain enumeration; one of text is text."""

    RED = "red"


@dataclasses.dataclass
class Person:
    """A dataclass."""

    email: str = "ada@x.org"


@attrs.define
class Lead:
    """A class of attrs."""

    email: str = "ada@x.org"


class Model:
    """Has the methods of pydantic models."""

    def model_dump(self, **options: Any) -> dict[str, Any]:
        return options


class OldModel:
    """Has the attributes of models of pydantic's first version."""

    __fields_set__ = frozenset[str]()


class Array:
    """Has the methods of numpy arrays and scalars."""

    def tolist(self) -> list[Any]:
        return []


Tuple = namedtuple("Tuple", "email")  # noqa: PYI024 - a common way to make one
ADA = Contact("c-1", "", {}, 1, datetime.now(UTC), datetime.now(UTC))


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (datetime.now(UTC), "send value.isoformat()"),
        (date(1815, 12, 10), "send value.isoformat()"),
        (time(12), "send value.isoformat()"),
        (timedelta(1), "send value.total_seconds()"),
        (Decimal("1.5"), "send str(value)"),
        (Fraction(1, 3), "send str(value)"),
        (uuid.UUID(int=7), "send str(value)"),
        (PurePosixPath("a"), "send str(value)"),
        ({"a"}, "send sorted(value)"),
        (frozenset("a"), "send sorted(value)"),
        (Colour.RED, "send value.value"),
        (b"a", "send value.decode()"),
        ({"a": 1}.keys(), "send list(value)"),
        ((letter for letter in "ab"), "send list(value)"),
        (Array(), "send value.tolist()"),
        (Model(), "send value.model_dump(exclude_unset=True)"),
        (OldModel(), "send value.dict(exclude_unset=True)"),
        (Person(), "send dataclasses.asdict(value)"),
        (Lead(), "send attrs.asdict(value)"),
        (ADA, "send dict(value.fields)"),
        (object(), "send str(value)"),
        (len, "send str(value)"),
        (Person, "send str(value)"),
    ],
    ids=map(str, range(23)),
)
def test_unstorable_value_has_advice(value: Any, advice: str) -> None:
    """The advice is a method of the object itself, where it has one."""
    assert value_advice(value) == advice
    with pytest.raises(ValueError, match="must be text, a number") as caught:
        freeze(value)
    assert str(caught.value).endswith(f"; {advice}")


@pytest.mark.parametrize(
    ("patch", "advice"),
    [
        ("{}", "pass json.loads(patch)"),
        (b"{}", "pass json.loads(patch)"),
        ([{}], "use upsert_many for several patches"),
        (({},), "use upsert_many for several patches"),
        (Tuple("a"), "pass patch._asdict()"),
        (Model(), "pass upsertcore.as_patch(patch)"),
        (OldModel(), "pass patch.dict(exclude_unset=True)"),
        (Person(), "pass upsertcore.as_patch(patch)"),
        (Lead(), "pass upsertcore.as_patch(patch)"),
        (ADA, "pass upsertcore.as_patch(patch)"),
        (None, 'pass a dict, such as {"email": "ada@x.org"}'),
        (7, 'pass a dict, such as {"email": "ada@x.org"}'),
        (Person, 'pass a dict, such as {"email": "ada@x.org"}'),
    ],
    ids=map(str, range(13)),
)
def test_patch_that_is_no_mapping_has_advice(patch: Any, advice: str) -> None:
    assert mapping_advice(patch) == advice


@pytest.mark.parametrize(
    ("value", "path", "item"),
    [
        ({"a"}, "", {"a"}),
        ([1, {"a"}], "[1]", {"a"}),
        (({"b": [Decimal(1)]},), "[0].b[0]", Decimal(1)),
        ({"a b": {"c": b""}}, "['a b'].c", b""),
        ({7: "x"}, "", {7: "x"}),
        ([{7: "x"}], "[0]", {7: "x"}),
        ({7: {"a"}}, "[7]", {"a"}),
        ([float("inf")], "[0]", float("inf")),
    ],
    ids=map(str, range(8)),
)
def test_path_leads_to_the_innermost_invalid_item(
    value: Any, path: str, item: Any
) -> None:
    assert find_invalid(value, freeze)[:2] == (path, item)


def test_too_deep_or_too_large_value_has_no_path() -> None:
    deep: Any = []
    for _ in range(70):
        deep = [deep]
    assert find_invalid(deep, freeze) == (
        "",
        deep,
        "must not nest deeper than 64 levels",
    )
    large: list[Any] = [[]] * 100_001
    assert find_invalid(large, freeze)[0] == ""
    assert find_invalid(["fine"], freeze) == ("", ["fine"], "")
