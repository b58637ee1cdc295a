"""The contact: immutable, read like a mapping, and a row of plain values."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from upsertcore import Contact
from upsertcore.errors import InvalidField

NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
FIELDS: Any = {"email": "ada@x.org", "tags": ["a"], "deep": {"b": [1]}}
ADA = Contact("c-1", "s", FIELDS, 1, NOW, NOW)
ROW = ADA.to_dict()


def test_it_reads_like_a_mapping() -> None:
    """Fields are read by name, and an absent one is not there."""
    assert ADA["email"] == "ada@x.org"
    assert ADA.get("phone", 1) == 1
    assert "tags" in ADA
    assert ["email", "tags", "deep"] == list(ADA)
    with pytest.raises(KeyError):
        ADA["phone"]


def test_nothing_mutable_escapes() -> None:
    """Neither the contact nor what it was made of, nor what it gives, changes it."""
    mine: Any = {"tags": ["a"]}
    contact = Contact("c-1", "", mine, 1, NOW, NOW)
    mine["tags"].append("b")
    contact.to_dict()["fields"]["tags"].append("c")

    assert contact["tags"] == ("a",)
    with pytest.raises(TypeError):
        contact.fields["x"] = 1  # type: ignore[index]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        contact.id = "c-2"  # type: ignore[misc]


def test_it_is_a_value() -> None:
    """It compares, hashes, copies and pickles by what it holds."""
    twin = Contact.from_dict(ROW)

    assert twin == ADA
    assert hash(twin) == hash(ADA)
    assert pickle.loads(pickle.dumps(ADA)) == ADA  # noqa: S301
    assert copy.deepcopy(ADA) == ADA
    assert attrs.evolve(ADA, version=2).version == 2


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("id", "", "must not be blank"),
        ("id", 1, "must be text"),
        ("id", "\ud800", "surrogates"),
        ("scope", None, "must be text"),
        ("version", True, "whole number from 1"),
        ("version", 0, "whole number from 1"),
        ("created_at", "soon", "ISO 8601"),
        ("created_at", 7, "ISO 8601"),
        ("updated_at", "2024-01-02T00:00:00", "offset from UTC"),
        ("updated_at", "0001-01-01T00:00:00+23:59", "UTC's calendar"),
        ("fields", [], "mapping of names to values"),
        ("fields", {"a": float("nan")}, "finite"),
        ("fields", {"a": None}, "must not be stored as null"),
        ("fields", {1: "a"}, "text for its names"),
    ],
)
def test_a_row_from_outside_is_looked_at(part: str, value: Any, words: str) -> None:
    """Each part that is not of the right form is named."""
    with pytest.raises(InvalidField, match=words):
        Contact.from_dict({**ROW, part: value})


@pytest.mark.parametrize("row", [[], None, {**ROW, "extra": 1}, {}], ids="abcd")
def test_a_row_is_a_mapping_of_six_parts(row: Any) -> None:
    """Anything else is no row."""
    with pytest.raises(InvalidField):
        Contact.from_dict(row)
