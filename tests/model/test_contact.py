"""The contact: immutable, a mapping of fields, and a row of plain values."""

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
WITH_HISTORY = Contact("c-1", "s", FIELDS, 3, NOW, NOW, *HISTORY)


def test_contact_is_a_mapping_of_its_fields() -> None:
    assert ADA["email"] == "ada@x.org"
    assert ADA.get("phone", 1) == 1
    assert "tags" in ADA
    assert ["email", "tags", "deep"] == list(ADA)
    with pytest.raises(KeyError):
        ADA["phone"]


def test_fields_are_a_copy_and_immutable() -> None:
    """Changing an argument, or a row that was made, changes no contact."""
    fields: Any = {"tags": ["a"]}
    contact = Contact("c-1", "", fields, 1, NOW, NOW)
    fields["tags"].append("b")
    contact.to_dict()["fields"]["tags"].append("c")

    assert contact["tags"] == ("a",)
    with pytest.raises(TypeError):
        contact.fields["x"] = 1  # type: ignore[index]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        contact.id = "c-2"  # type: ignore[misc]


def test_contact_compares_hashes_and_copies_by_value() -> None:
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
        ("fields", {"a": "\ud800"}, "fields.a: must be Unicode text"),
        ("fields", {"\ud800": "a"}, "surrogates"),
        ("fields", {1: "a"}, "text as names"),
    ],
)
def test_row_with_an_invalid_part_is_refused(part: str, value: Any, words: str) -> None:
    """The message has the reason."""
    with pytest.raises(InvalidField, match=words):
        Contact.from_dict({**ROW, part: value})


@pytest.mark.parametrize("row", [[], None, {**ROW, "extra": 1}, {}], ids="abcd")
def test_row_without_exactly_six_parts_is_refused(row: Any) -> None:
    with pytest.raises(InvalidField):
        Contact.from_dict(row)


def test_exception_of_a_mapping_is_raised_unchanged() -> None:
    """A missing item of its own is not a missing part."""

    class Broken(dict[str, Any]):
        def values(self) -> Any:
            raise KeyError("id")

        items = values

    with pytest.raises(KeyError, match="id"):
        Contact.from_dict({**ROW, "fields": Broken()})


class TestHistory:
    """Aliases, clocks and absorbed ids."""

    def test_contact_without_history_has_no_history_in_its_row(self) -> None:
        assert ADA.aliases == {}
        assert ADA.clocks == {}
        assert ADA.merged_ids == ()
        assert set(ROW) == {
            *("id", "scope", "version", "created_at", "updated_at", "fields")
        }

    def test_row_has_the_parts_of_the_history_that_are_not_empty(self) -> None:
        """As plain values."""
        row = WITH_HISTORY.to_dict()

        assert row["aliases"] == {"email": ["a@x", "b@x"]}
        assert row["clocks"] == {"name": 7, "city": "2024-01-02"}
        assert row["merged_ids"] == ["c-2", "c-3"]
        assert WITH_HISTORY == Contact.from_dict(json.loads(json.dumps(row)))
        assert "aliases" not in attrs.evolve(WITH_HISTORY, aliases={}).to_dict()

    @pytest.mark.parametrize("part", ["aliases", "clocks", "merged_ids"])
    def test_contacts_that_differ_in_history_are_unequal(self, part: str) -> None:
        empty: Any = () if part == "merged_ids" else {}
        twin = attrs.evolve(WITH_HISTORY, **{part: empty})

        assert twin != WITH_HISTORY
        assert Contact.from_dict(twin.to_dict()) == twin

    @pytest.mark.parametrize("part", ["aliases", "clocks", "merged_ids"])
    def test_row_with_an_empty_part_is_a_contact_without_it(self, part: str) -> None:
        empty: Any = [] if part == "merged_ids" else {}

        assert Contact.from_dict({**ROW, part: empty}) == ADA

    def test_history_is_a_copy_and_immutable(self) -> None:
        """Changing an argument, or a row that was made, changes no contact."""
        parts: Any = ({"email": ["a@x"]}, {"name": 7}, ["c-2"])
        contact = Contact("c-1", "", {}, 1, NOW, NOW, *parts)
        parts[0]["email"].append("b@x")
        parts[1]["name"] = 8
        parts[2].append("c-3")
        contact.to_dict()["aliases"]["email"].append("z@x")

        assert contact.aliases == {"email": ("a@x",)}
        assert contact.clocks == {"name": 7}
        assert contact.merged_ids == ("c-2",)
        for part in (contact.aliases, contact.clocks):
            with pytest.raises(TypeError):
                part["email"] = 1  # type: ignore[index]

    def test_contact_with_history_compares_hashes_and_copies_by_value(self) -> None:
        twins = (
            copy.copy(WITH_HISTORY),
            copy.deepcopy(WITH_HISTORY),
            pickle.loads(pickle.dumps(WITH_HISTORY)),  # noqa: S301
        )
        for twin in twins:
            assert twin == WITH_HISTORY
            assert hash(twin) == hash(WITH_HISTORY)
            assert (twin.aliases, twin.clocks, twin.merged_ids) == (
                *(WITH_HISTORY.aliases, WITH_HISTORY.clocks),
                WITH_HISTORY.merged_ids,
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
    def test_row_with_an_invalid_history_is_refused(
        self, part: str, value: Any, words: str
    ) -> None:
        """The message names the part."""
        with pytest.raises(InvalidField, match=words):
            Contact.from_dict({**ROW, part: value})
