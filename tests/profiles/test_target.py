"""The fields of a target, found by the names of columns."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import Policy, field, never, rules
from upsertcore.cli.policy_profile import PolicyProfile
from upsertcore.profiles import BY_NAME
from upsertcore.profiles.target import Target

CRM = Target("crm", ("firstName", "zip", "home_phone", "Home Phone", "email"))


@pytest.mark.parametrize(
    ("column", "field_of_it"),
    [
        ("firstName", "firstName"),
        ("FIRST-NAME", "firstName"),
        ("Given name", "firstName"),
        ("E-mail Address", "email"),
        ("Postal Code", "zip"),
        ("home_phone", "home_phone"),
        ("home phone", None),
        ("Surname", None),
        ("#", None),
    ],
)
def test_column_is_the_field_that_its_name_means(
    column: str, field_of_it: str | None
) -> None:
    """A name that could be two fields is neither."""
    assert field_of_it == CRM.field(column)


def test_word_is_a_field_by_alias_name_or_synonym() -> None:
    """An open target has every word."""
    aliases: Any = {"id": None, "street": "email"}
    target = Target("crm", CRM.fields, aliases=aliases)

    words = ("id", "street", "first_name", "postal_code", "tags")
    assert [None, "email", "firstName", "zip", None] == [*map(target.word, words)]
    assert "tags" == Target("crm", (), open_fields=True).word("tags")


def test_nearest_field_is_that_of_the_nearest_name() -> None:
    names = ("Frist name", "Postal Cod", "Loyalty level")

    assert ["firstName", "zip", None] == [*map(CRM.nearest, names)]


def test_custom_field_is_a_name_with_a_prefix_and_more() -> None:
    target = Target("crm", ("email",), prefixes=("custom.",))

    assert [True, True, False, False] == [
        *map(target.has, ("email", "custom.size", "custom.", "size"))
    ]


@pytest.mark.parametrize("profile", [*BY_NAME])
def test_fields_of_the_target_of_a_profile_are_those_it_takes(profile: str) -> None:
    """A row of all cells is refused for no unknown field."""
    system = BY_NAME[profile]()
    target = system.target
    cells = {name: "1" for name in target.fields if name != "locationId"}
    path = {
        "Anduin": {"firm_id": "f"},
        "SegMetrics": {"account_id": "a", "integration_id": "i"},
    }
    response = system.upsert(system.from_row(cells), **path.get(profile, {}))

    assert profile == target.name
    assert {*target.many} <= {*target.fields}
    for words in ("should not exist", "is no field", "is no part"):
        assert words not in response.reason


@pytest.mark.parametrize(
    ("profile", "cells", "payload"),
    [
        (
            "LeadConnector",
            {"tags": ["a;b"], "city": None},
            {"tags": ["a;b"], "city": None},
        ),
        (
            "SegMetrics",
            {"tags": ["a,b"], "custom_fields.x": None},
            {"tags": ["a,b"], "custom_fields": {"x": None}},
        ),
        ("Anduin", {"note": None}, {"note": None}),
        (
            "SalesforceIQ",
            {"email": ["a@x.org", "b@x.org"], "name": None},
            {
                "properties": {
                    "email": [{"value": "a@x.org"}, {"value": "b@x.org"}],
                    "name": [],
                }
            },
        ),
    ],
)
def test_cell_of_a_list_or_of_null_is_taken_as_it_is(
    profile: str, cells: Any, payload: Any
) -> None:
    """A profile parses text alone."""
    assert payload == BY_NAME[profile]().from_row(cells)


def test_target_of_a_policy_has_its_fields_and_their_kinds() -> None:
    fields: Any = {
        "email": field(),
        "tags": field(many=True),
        "address": field(rule=rules.deep),
    }
    policy = Policy(never(), fields, id_field="id", extra_fields=field())
    target = PolicyProfile(policy).target

    assert ("id", *fields) == target.fields
    assert ["tags"] == [*target.many]
    assert ("address.",) == target.prefixes
    assert target.open_fields
    assert {"tags": ["a,b"]} == PolicyProfile(policy).from_row({"tags": ["a,b"]})
