"""The ready maps: data that is complete, sourced and told apart."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from upsertcore.files.ready_maps import ready_map, ready_maps, recognised
from upsertcore.profiles.target import STANDARD_WORDS

MAPS = [*ready_maps()]
OTHER_WORDS = {
    *("middle_name", "nickname", "department", "external_id", "utm_source"),
    *(
        f"home_{part}"
        for part in ("street", "city", "region", "postal_code", "country")
    ),
}
"""Words that products have, and no other name means the same."""


@pytest.mark.parametrize("name", MAPS)
def test_map_has_a_title_a_source_and_columns_to_be_recognised_by(name: str) -> None:
    each = ready_map(name)

    assert each.title
    # The names of a vCard are those of its format, not of a header.
    assert each.recognise or name == "vcard"
    assert all(re.match("https?://", address) for address in each.source)
    assert each.source


@pytest.mark.parametrize("name", MAPS)
def test_map_knows_the_columns_that_it_is_recognised_by(name: str) -> None:
    """It is then the only one that fits."""
    each = ready_map(name)
    for columns in each.recognise:
        assert [] == [c for c in columns if each.fields(c) is None]
        assert [name] == [found.name for found in recognised(columns)]


@pytest.mark.parametrize("name", [name for name in MAPS if name != "vcard"])
def test_header_of_all_columns_of_a_map_is_recognised_as_that_export(name: str) -> None:
    each = ready_map(name)
    columns = [column for columns in each.recognise for column in columns]
    columns += [column.replace("#", "1") for column in (*each.columns, *each.drop)]

    assert [name] == [found.name for found in recognised(columns)]


@pytest.mark.parametrize(
    "header",
    [
        "Contact ID,First Name,Last Name,Email,Company",
        "Contact ID,First Name,Last Name,Email,Phone,Lifecycle Stage,Score",
        "Contact ID,First Name,Last Name,Email,Phone,Title",
        "id,Created (UTC),Amount,Status,Customer ID,Customer Email,Customer Name",
        "Type,Quantity,Order #,Order Date,First Name,Last Name,Email,Address",
    ],
)
def test_header_that_many_products_have_is_not_recognised(header: str) -> None:
    """A spelling such as FIRSTNAME is compared as First Name is."""
    assert [] == recognised(header.split(","))


@pytest.mark.parametrize("name", MAPS)
def test_map_has_standard_words(name: str) -> None:
    words = {word for fields in ready_map(name).columns.values() for word in fields}
    words -= {""}

    assert words | {*ready_map(name).constants} <= {*STANDARD_WORDS} | OTHER_WORDS


@pytest.mark.parametrize("name", MAPS)
def test_settings_of_a_map_are_those_of_its_columns(name: str) -> None:
    each = ready_map(name)
    settings = [*each.separators, *each.dates]
    settings += [column for rule in each.omit for column in rule.columns]

    assert [] == [c for c in settings if not each.fields(c.replace("#", "1"))]
    assert [] == [c for c in each.drop if c in each.columns]


def test_table_of_ready_maps_is_complete() -> None:
    page = (files("upsertcore.files") / "README.md").read_text("utf-8")
    part = page.partition("### Ready maps")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", part, re.MULTILINE) == [
        (name, each.title) for name, each in ready_maps().items()
    ]
