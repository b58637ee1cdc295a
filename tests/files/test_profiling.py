"""The figures of a file, on rows whose figures are counted by hand."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from typing import Any

import pytest

from upsertcore.files import profiling
from upsertcore.files.columns import Columns
from upsertcore.files.figures import ColumnFigures, FileFigures
from upsertcore.files.profiling import profile_rows
from upsertcore.files.reading import read_rows

CSV = """Name,E-mail,Phone,City,Fax
Ada,ada@x.org,+12015550101,Oslo,
Bob,bob@x.org,+1 201 555 0101,Oslo,
Ada,ADA@x.org,+12015550102,Bergen,
Eve,n/a,555-0104,,
Eve,not an address,00,Oslo,
a,b
"""


def figures_of(content: str, name: str = "a.csv", **how: Any) -> FileFigures:
    """Profile the rows of some text."""
    stream = io.BytesIO(content.encode())
    return profile_rows(read_rows(stream, name, Columns({})), **how)


def column(figures: FileFigures, name: str) -> ColumnFigures:
    """Return the figures of one column."""
    [found] = [each for each in figures.columns if each.column == name]
    return found


def test_columns_are_in_the_order_of_the_file_with_those_without_values() -> None:
    figures = figures_of(CSV)

    assert [(each.column, each.kind) for each in figures.columns] == [
        ("Name", "name"),
        ("E-mail", "email"),
        ("Phone", "phone"),
        ("City", "text"),
        ("Fax", "phone"),
    ]
    assert (5, {"has … cells, but the header has 5": 1}) == (
        figures.rows,
        figures.unreadable,
    )


def test_filled_and_distinct_values_are_counted() -> None:
    figures = figures_of(CSV)

    assert [(each.filled, each.distinct) for each in figures.columns] == [
        (5, 3),
        (5, 5),
        (5, 5),
        (4, 2),
        (0, 0),
    ]


def test_value_without_a_form_and_placeholder_are_counted_apart() -> None:
    figures = figures_of(CSV)
    email, phone = column(figures, "E-mail"), column(figures, "Phone")

    assert (1, ("not an address",)) == (email.unusable.values, email.unusable.first)
    assert (1, ("n/a",)) == (email.placeholders.values, email.placeholders.first)
    assert (1, ("555-0104",)) == (phone.unusable.values, phone.unusable.first)
    assert (1, ("00",)) == (phone.placeholders.values, phone.placeholders.first)


def test_key_alone_leaves_a_contact_for_each_form_and_each_row_without_one() -> None:
    figures = figures_of(CSV)
    email, phone = column(figures, "E-mail").key, column(figures, "Phone").key

    assert email is not None
    assert phone is not None
    assert (3, 2, 4) == (email.rows, email.forms, email.contacts)
    assert (3, 2, 4) == (phone.rows, phone.forms, phone.contacts)
    assert column(figures, "City").key is None


def test_shared_form_of_several_names_is_told_from_one_of_the_same_person() -> None:
    figures = figures_of(CSV)
    email, phone = column(figures, "E-mail").key, column(figures, "Phone").key

    assert email is not None
    assert phone is not None
    assert (1, 0) == (email.shared, email.differ)
    assert (1, 1) == (phone.shared, phone.differ)
    [most] = phone.most_shared
    assert ("+12015550101", 2, True, 2) == (
        most.form,
        most.rows,
        most.differ,
        most.line,
    )


def test_rows_that_one_key_joins_and_another_keeps_apart_are_counted_by_pair() -> None:
    figures = figures_of(CSV)

    assert [
        (each.joined_by, each.apart_by, each.forms, each.rows, each.lines)
        for each in figures.conflicts
    ] == [("E-mail", "Phone", 1, 1, (2, 4)), ("Phone", "E-mail", 1, 1, (2, 3))]


def test_conflict_is_found_where_the_first_row_lacks_the_other_key() -> None:
    rows = [
        {"Email": "a@x.org"},
        {"Email": "a@x.org", "Phone": "+12015550101"},
        {"Email": "a@x.org", "Phone": "+12015550102"},
    ]
    [conflict] = profile_rows(rows).conflicts

    assert ("Email", "Phone", 1) == (
        conflict.joined_by,
        conflict.apart_by,
        conflict.rows,
    )


def test_region_makes_national_numbers_usable() -> None:
    pytest.importorskip("phonenumbers")
    content = "Phone\n(202) 555-0143\n+1 202 555 0143\n"
    abroad = column(figures_of(content), "Phone")
    home = column(figures_of(content, region="US"), "Phone")

    assert (1, "phone") == (abroad.unusable.values, abroad.normalizer)
    assert (0, "phone_in('US')") == (home.unusable.values, home.normalizer)
    assert home.key is not None
    assert 1 == home.key.contacts


def test_json_rows_have_columns_of_nested_names_and_lists() -> None:
    lines = [
        {"email": ["x", "a@x.org", "b@x.org"], "address": {"city": "Oslo"}},
        {"email": [], "tags": ["lead", "vip"], "age": 7, "address": None},
        {"email": None, "vip": True, "age": -1, "phone": 4722334455},
    ]
    content = "".join(json.dumps(line) + "\n" for line in [*lines, 7])
    figures = figures_of(content, "a.jsonl")

    assert {each.column: (each.kind, each.filled) for each in figures.columns} == {
        "email": ("email", 1),
        "address.city": ("text", 1),
        "address": ("unknown", 0),
        "tags": ("list", 1),
        "age": ("number", 2),
        "vip": ("boolean", 1),
        "phone": ("phone", 1),
    }
    email = column(figures, "email")
    assert (1, 3) == (email.unusable.values, email.distinct)
    assert email.key is not None
    assert 3 == email.key.contacts
    # A telephone number is text.
    assert 1 == column(figures, "phone").unusable.values
    assert 0 == column(figures, "age").placeholders.values
    assert {"is not an object": 1} == figures.unreadable


def test_words_of_a_list_are_counted_one_by_one() -> None:
    tags = column(figures_of("tags\nlead;vip\nvip\n"), "tags")

    assert (2, 2) == (tags.filled, tags.distinct)


def test_column_after_the_sample_has_the_kind_of_its_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And is tried as a key."""
    monkeypatch.setattr(profiling, "SAMPLE_ROWS", 1)
    email = {"email": "a@x.org"}
    figures = profile_rows([{"x": 1}, email, {**email, "x": 2}, {"note": "n/a"}])
    late = column(figures, "email")

    assert ("email", "header; no values") == (late.kind, late.reason)
    assert late.key is not None
    assert (2, 1, 3) == (late.key.rows, late.key.forms, late.key.contacts)
    assert 1 == column(figures, "note").placeholders.values


def test_long_value_is_kept_as_its_beginning_and_a_digest() -> None:
    long = "a" * 500
    rows = [{"id": f"{long}{number}"} for number in (1, 2, 2)]
    key = column(profile_rows(rows), "id").key

    assert key is not None
    assert (2, 1) == (key.forms, key.shared)
    assert "a" * 40 + "…" == key.most_shared[0].form


def test_memory_grows_with_distinct_values_and_not_with_rows() -> None:
    def peak(rows: int) -> int:
        sent = ({"email": f"a{n % 50}@x.org", "note": "y" * 500} for n in range(rows))
        tracemalloc.start()
        profile_rows(sent)
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(3_000)
    assert peak(12_000) < 1.1 * peak(3_000)


def test_examples_are_the_first_distinct_ones() -> None:
    rows = [{"email": f"none {number % 9}"} for number in range(20)]
    unusable = column(profile_rows(rows), "email").unusable

    assert 20 == unusable.values
    assert tuple(f"none {number}" for number in range(5)) == unusable.first


def test_given_kind_makes_a_column_a_key() -> None:
    figures = figures_of("Code\na1\na1\n", kinds={"Code": "id"})

    assert "given" == column(figures, "Code").reason


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"Code": "colour"}, "kinds: 'Code' must be one of email, phone"),
        (
            {"Mail": "email"},
            "kinds: the file has no column 'Mail'; its columns are 'Code'",
        ),
    ],
)
def test_kind_that_cannot_be_used_is_refused(
    kinds: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        figures_of("Code\na1\n", kinds=kinds)


def test_figures_become_json() -> None:
    stated = json.loads(json.dumps(figures_of(CSV).to_dict()))

    assert [5, 5] == [stated["rows"], len(stated["columns"])]
    assert [2, 4] == stated["conflicts"][0]["lines"]
    assert 4 == stated["columns"][1]["key"]["contacts"]


def test_rows_of_a_csv_reader_are_profiled() -> None:
    rows = csv.DictReader(io.StringIO(CSV.rpartition("a,b")[0]))
    figures = profile_rows(rows)

    assert [each.filled for each in figures.columns] == [5, 5, 5, 4, 0]
