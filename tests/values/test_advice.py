"""Unfit values: what to send instead, and where in a value the fault is."""

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
    """Has what models of pydantic have."""

    def model_dump(self, **how: Any) -> dict[str, Any]:
        return how


class Former:
    """Has what models of pydantic's first version have."""

    __fields_set__ = frozenset[str]()


class Array:
    """Has what arrays and scalars of numpy have."""

    def tolist(self) -> list[Any]:
        return []


Tuple = namedtuple("Tuple", "email")  # noqa: PYI024 - what newcomers have
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
        (Former(), "send value.dict(exclude_unset=True)"),
        (Person(), "send dataclasses.asdict(value)"),
        (Lead(), "send attrs.asdict(value)"),
        (ADA, "send dict(value.fields)"),
        (object(), "send str(value)"),
        (len, "send str(value)"),
        (Person, "send str(value)"),
    ],
    ids=map(str, range(23)),
)
def test_what_to_send_instead(value: Any, advice: str) -> None:
    """Of an object that JSON has no word for; its own method, where it has one."""
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
        (Model(), "pass patch.model_dump(exclude_unset=True)"),
        (Former(), "pass patch.dict(exclude_unset=True)"),
        (Person(), "pass dataclasses.asdict(patch)"),
        (Lead(), "pass attrs.asdict(patch)"),
        (ADA, "pass dict(patch.fields)"),
        (None, 'pass a dict, such as {"email": "ada@x.org"}'),
        (7, 'pass a dict, such as {"email": "ada@x.org"}'),
        (Person, 'pass a dict, such as {"email": "ada@x.org"}'),
    ],
    ids=map(str, range(13)),
)
def test_what_to_pass_instead_of_a_patch(patch: Any, advice: str) -> None:
    """A model is made a mapping; several patches are a batch."""
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
def test_where_the_fault_is(value: Any, path: str, item: Any) -> None:
    """The innermost item that cannot be stored."""
    assert find_invalid(value, freeze)[:2] == (path, item)


def test_a_fault_of_the_whole_has_no_path() -> None:
    """Too deep, too large, or too much beside what else was sent."""
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
