"""The contact: immutable, read like a mapping, and a row of plain values."""

from __future__ import annotations

import copy
import json
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
HISTORY: Any = (
    {"email": ("a@x", "b@x")},
    {"name": 7, "city": "2024-01-02"},
    ("c-2", "c-3"),
)
OLD = Contact("c-1", "s", FIELDS, 3, NOW, NOW, *HISTORY)


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
        ("updated_at", "0001-01-01T00:00:00+23:59", "datetime in UTC"),
        ("fields", [], "mapping of names to values"),
        ("fields", {"a": float("nan")}, "finite"),
        ("fields", {"a": None}, "must not be stored as null"),
        ("fields", {1: "a"}, "text as names"),
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


class TestHistory:
    """Aliases, clocks and absorbed ids: what fields no longer tell."""

    def test_a_contact_has_none_at_first(self) -> None:
        """They are empty, and a row does not speak of them."""
        assert ADA.aliases == {}
        assert ADA.clocks == {}
        assert ADA.merged_ids == ()
        assert set(ROW) == {
            *("id", "scope", "version", "created_at", "updated_at", "fields")
        }

    def test_a_row_tells_what_there_is(self) -> None:
        """Each part as plain values, and only where it is not empty."""
        row = OLD.to_dict()

        assert row["aliases"] == {"email": ["a@x", "b@x"]}
        assert row["clocks"] == {"name": 7, "city": "2024-01-02"}
        assert row["merged_ids"] == ["c-2", "c-3"]
        assert OLD == Contact.from_dict(json.loads(json.dumps(row)))
        assert "aliases" not in attrs.evolve(OLD, aliases={}).to_dict()

    @pytest.mark.parametrize("part", ["aliases", "clocks", "merged_ids"])
    def test_each_part_counts(self, part: str) -> None:
        """Two contacts that differ in it are not the same."""
        empty: Any = () if part == "merged_ids" else {}
        twin = attrs.evolve(OLD, **{part: empty})

        assert twin != OLD
        assert Contact.from_dict(twin.to_dict()) == twin

    @pytest.mark.parametrize("part", ["aliases", "clocks", "merged_ids"])
    def test_a_part_may_be_there_and_empty(self, part: str) -> None:
        """A row that says so is as one that does not."""
        empty: Any = [] if part == "merged_ids" else {}

        assert Contact.from_dict({**ROW, part: empty}) == ADA

    def test_nothing_mutable_escapes(self) -> None:
        """Neither what it was made of, nor what it gives, changes it."""
        mine: Any = ({"email": ["a@x"]}, {"name": 7}, ["c-2"])
        made = Contact("c-1", "", {}, 1, NOW, NOW, *mine)
        mine[0]["email"].append("b@x")
        mine[1]["name"] = 8
        mine[2].append("c-3")
        made.to_dict()["aliases"]["email"].append("z@x")

        assert made.aliases == {"email": ("a@x",)}
        assert made.clocks == {"name": 7}
        assert made.merged_ids == ("c-2",)
        for part in (made.aliases, made.clocks):
            with pytest.raises(TypeError):
                part["email"] = 1  # type: ignore[index]

    def test_it_is_a_value(self) -> None:
        """It hashes, copies and pickles with them."""
        twins = (copy.copy(OLD), copy.deepcopy(OLD), pickle.loads(pickle.dumps(OLD)))  # noqa: S301
        for twin in twins:
            assert twin == OLD
            assert hash(twin) == hash(OLD)
            assert (twin.aliases, twin.clocks, twin.merged_ids) == (
                *(OLD.aliases, OLD.clocks),
                OLD.merged_ids,
            )

    @pytest.mark.parametrize(
        ("part", "value", "words"),
        [
            ("aliases", [], "aliases: must be a mapping of names to values"),
            ("aliases", None, "aliases: must be a mapping"),
            ("aliases", {1: ["a"]}, "aliases: must have text as names"),
            ("aliases", {"email": None}, "'email': must not be stored as null"),
            ("aliases", {"email": "a@x"}, "aliases: email: must be a list"),
            ("aliases", {"email": []}, "aliases: email: must not be blank"),
            ("aliases", {"email": [""]}, "aliases: email: must not be blank"),
            ("aliases", {"email": [7]}, "aliases: email: must be text, not 7"),
            ("aliases", {"email": ["a", "a"]}, "email: must not have duplicates"),
            ("clocks", [], "clocks: must be a mapping of names to values"),
            ("clocks", {"name": None}, "'name': must not be stored as null"),
            ("clocks", {"name": True}, "clocks: name: must be text or a number"),
            ("clocks", {"name": ""}, "clocks: name: must be text or a number"),
            ("clocks", {"name": [1]}, "clocks: name: must be text or a number"),
            ("clocks", {"name": float("inf")}, "clocks.name: must be a finite number"),
            ("merged_ids", "c-2", "merged_ids: must be a list"),
            ("merged_ids", None, "merged_ids: must be a list"),
            ("merged_ids", {"c-2": 1}, "merged_ids: must be a list"),
            ("merged_ids", [""], "merged_ids: must not be blank"),
            ("merged_ids", [2], "merged_ids: must be text, not 2"),
            ("merged_ids", ["\ud800"], "merged_ids: .*surrogates"),
            ("merged_ids", ["c-2", "c-2"], "merged_ids: must not have duplicates"),
        ],
        ids=map(str, range(22)),
    )
    def test_a_row_from_outside_is_looked_at(
        self, part: str, value: Any, words: str
    ) -> None:
        """Each part that is not of the right form is named."""
        with pytest.raises(InvalidField, match=words):
            Contact.from_dict({**ROW, part: value})
