"""Maps of columns as TOML: their keys, and what is wrong with them."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from upsertcore.files.column_map import BadMap, ColumnMap, parse_map


def test_map_of_all_keys_is_parsed() -> None:
    text = """
    drop = ["Photo"]
    clear = ["#N/A"]
    header = 3
    preamble = "Notes:"
    footer = true
    delimiter = ";"
    from = "google"
    only_mapped = true
    recognise = [["A", "B"]]
    title = "CRM"
    source = ["https://crm.example"]
    omit = [{ values = "0+", why = "zero" }]
    set = { source = "fair" }
    [columns]
    "Phone # - Value" = "phone"
    Both = ["a", "b"]
    None = ""
    [separators]
    Both = "|"
    [dates]
    Born = "DMY"
    [values.News]
    Unsubscribed = "true"
    """
    each = parse_map(text, "m.toml")

    assert ("phone",) == each.fields("Phone 12 value")
    assert [("a", "b"), (), (), None] == [
        *map(each.fields, ("both", "None", "photo", "Other"))
    ]
    assert [True, False, False] == [*map(each.drops, ("photo", "None", "Other"))]
    assert ["Phone # - Value", None] == [*map(each.key, ("phone 1 value", "Other"))]
    assert ["|", None] == [*map(each.separator, ("BOTH", "None"))]
    assert ["DMY", ""] == [*map(each.date_order, ("born", "None"))]
    assert [2, "Notes:", True] == [each.rank("None"), each.preamble, each.footer]
    assert (";", {"source": "fair"}) == (each.reading.delimiter, each.constants)
    assert ("google", True) == (each.ready, each.only_mapped)
    assert {"unsubscribed": "true"} == each.values_of("news")
    assert {} == each.values_of("Both")
    assert {"#N/A"} == each.clear
    assert ["zero"] == [rule.why for rule in each.omits("Any")]
    assert (("A", "B"),) == each.recognise
    assert 3 == each.header


def test_rule_of_values_holds_for_its_columns() -> None:
    text = 'omit = [{ columns = ["E-mail #"], values = "x", why = "bad" }]'
    each = parse_map(text, "m.toml")

    assert [1, 0] == [len(each.omits(name)) for name in ("email 2", "phone")]


def test_map_without_columns_knows_none() -> None:
    assert [None, None] == [*map(ColumnMap().fields, ("email", ""))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns =\n", "m.toml: is not valid TOML: .*line 1"),
        ("separator = 1", "m.toml: separator: unknown key; use separators"),
        ("x = 1", "m.toml: x: unknown key; the keys are clear, columns, "),
        ("columns = 1", "m.toml: columns: must be a table, not 1"),
        ("columns = {A = 1}", "columns: 'A' must be a field or a list of fields"),
        ("columns = {A = [1]}", "columns: 'A' must be a field or a list of fields"),
        ("drop = 'A'", "m.toml: drop: must be a list of texts, not 'A'"),
        ("separators = {A = 1}", "separators: 'A' must be text, not 1"),
        ("separators = {A = ''}", "separators: 'A' must be text, not ''"),
        ("dates = {A = 'DD'}", "dates: 'A' must be an order of D, M and Y"),
        ("values = {A = 1}", "values: 'A' must be a table of values, not 1"),
        ("encoding = 'utf-99'", "m.toml: encoding: 'utf-99' is no text encoding"),
        ("null = [1]", "m.toml: null: must be texts, not 1"),
        ("header = 0", "header: must be the number of a line, not 0"),
        ("header = true", "header: must be the number of a line, not True"),
        ("footer = 1", "footer: must be true or false, not 1"),
        ("preamble = 1", "preamble: must be text, not 1"),
        ("recognise = 1", "recognise: must be a list of lists of columns, not 1"),
        ("omit = 1", "omit: must be tables of columns, values and why, not 1"),
        ("omit = [{values = '0'}]", "omit: each must have values, why, and maybe"),
        ("omit = [{values = '(', why = ''}]", "omit: values: is not a regular"),
    ],
)
def test_invalid_map_is_refused_with_file_key_and_remedy(
    text: str, message: str
) -> None:
    with pytest.raises(BadMap, match=message):
        parse_map(text, "m.toml")


def test_table_of_keys_is_complete() -> None:
    """The message on an unknown key names them all."""
    with pytest.raises(BadMap) as error:
        parse_map("x = 1", "m.toml")
    known = str(error.value).partition("the keys are ")[2].split(", ")
    page = (files("upsertcore.files") / "README.md").read_text("utf-8")
    part = page.partition("### Map files")[2].partition("### ")[0]
    rows = re.findall(r"^\| (`.*?) \| ", part, re.MULTILINE)

    assert known == sorted(name for row in rows for name in re.findall(r"`(\w+)`", row))
