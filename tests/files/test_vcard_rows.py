"""vCard files."""

from __future__ import annotations

import gzip
import io
import sys
from typing import Any

import pytest

from upsertcore.files.columns import Columns
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import UnreadableFile

pytest.importorskip("vobject")


def rows(content: str | bytes, **rename: str) -> list[tuple[int, Any]]:
    """Read a file of cards, as (line, payload or error)."""
    data = content if isinstance(content, bytes) else content.encode()
    found = read_rows(io.BytesIO(data), "x.vcf", Columns(rename))
    return [(row.line, row.error or row.payload) for row in found]


def card(*lines: str, version: str = "3.0") -> str:
    """Return a card."""
    end = ("END:VCARD", "")
    return "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", *lines, *end])


def payload(*lines: str, version: str = "3.0") -> Any:
    """Return the payload of one card."""
    ((_line, result),) = rows(card(*lines, version=version))
    return result


def test_properties_of_version_3_become_fields() -> None:
    result = payload(
        "N:Kingsley;Ada;M.,N.;Dr.;PhD",
        "FN:Ada Kingsley",
        "NICKNAME:A",
        "ORG:Kings\\; Sons;Sales;North",
        "TITLE:Director\\, Ops",
        "ROLE:Boss",
        "BDAY:19900925",
        "NOTE:line one\\nline two which is folded ",
        "  here",
        "item1.EMAIL;type=INTERNET:ada@x.org",
        "item1.X-ABLabel:_$!<Home>!$_",
        "ADR;TYPE=HOME:PO 1;Rear;Str 1\\, 2;Oslo;East;0150;NO",
        "URL:https://x.org/a",
        "CATEGORIES:vip,fair\\, 2024",
        "UID:1-2",
        "PHOTO;ENCODING=b:not base64!",
        "",
    )

    assert result == {
        "last_name": "Kingsley",
        "first_name": "Ada",
        "middle_name": "M. N.",
        "name_prefix": "Dr.",
        "name_suffix": "PhD",
        "name": "Ada Kingsley",
        "nickname": "A",
        "email": "ada@x.org",
        "title": "Director, Ops",
        "role": "Boss",
        "birthday": "1990-09-25",
        "note": "line one\nline two which is folded  here",
        "url": "https://x.org/a",
        "uid": "1-2",
        "company": "Kings; Sons",
        "department": "Sales, North",
        "po_box": "PO 1",
        "street_2": "Rear",
        "street": "Str 1, 2",
        "city": "Oslo",
        "region": "East",
        "postal_code": "0150",
        "country": "NO",
        "categories": ["vip", "fair, 2024"],
    }


def test_several_values_are_a_list_with_the_preferred_one_first() -> None:
    assert payload(
        "EMAIL:b@x.org",
        "EMAIL;TYPE=WORK,PREF:a@x.org",
        "EMAIL:b@x.org",
        "TEL;TYPE=cell;TYPE=pref:+1",
        "TEL;PREF:+2",
        "CATEGORIES:one",
        "ADR:;;Str 1;Oslo;;;",
        "ADR;TYPE=pref:;;Str 2;Rome;;;IT",
    ) == {
        "email": ["a@x.org", "b@x.org"],
        "phone": ["+1", "+2"],
        "street": "Str 2",
        "city": "Rome",
        "country": "IT",
        "other_addresses": ["Str 1, Oslo"],
        "categories": ["one"],
    }


def test_properties_of_version_4_become_fields() -> None:
    assert payload(
        "FN:\u00c7a\u011fla \u00d6z",
        "EMAIL:c@x.org",
        "EMAIL;PREF=2:b@x.org",
        "EMAIL;PREF=1:a@x.org",
        'TEL;VALUE=uri;TYPE="voice,home":tel:+1-555-555-5555;ext=5',
        "BDAY:--0412",
        "ANNIVERSARY:20100612T000000Z",
        'ADR;LABEL="Str 1, Oslo":;;Str 1;Oslo;;;NO',
        version="4.0",
    ) == {
        "name": "\u00c7a\u011fla \u00d6z",
        "email": ["a@x.org", "b@x.org", "c@x.org"],
        "phone": "+1-555-555-5555;ext=5",
        "birthday": "--04-12",
        "anniversary": "2010-06-12",
        "street": "Str 1",
        "city": "Oslo",
        "country": "NO",
    }


@pytest.mark.parametrize(
    ("line", "date"),
    [
        ("BDAY;VALUE=date;X-APPLE-OMIT-YEAR=1604:1604-09-25", "--09-25"),
        ("BDAY:1990-09-25T00:00:00Z", "1990-09-25"),
        ("BDAY:circa 1800", "circa 1800"),
    ],
)
def test_birthday_is_an_iso_date_where_it_is_a_date(line: str, date: str) -> None:
    assert payload(line) == {"birthday": date}


def test_quoted_printable_is_decoded() -> None:
    assert payload(
        "NOTE;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:caf=C3=",
        "=A9 =",
        "au lait",
        "FN:Ada",
    ) == {"note": "caf\u00e9 au lait", "name": "Ada"}


def test_commas_that_are_not_escaped_are_text() -> None:
    """Many programs do not escape them."""
    assert payload(
        "NOTE:a, b; c\\, d\\\\, e",
        "URL:https://x.org/?a=1,2",
        "NICKNAME;ENCODING=QUOTED-PRINTABLE:a=2Cb, c",
        "ORG:Kings, Sons;Sales",
        "ADR:;;Str 1, 2;Oslo;;;",
        "ADR:;;Str 3, 4;Rome;;;",
    ) == {
        "note": "a, b; c, d\\, e",
        "url": "https://x.org/?a=1,2",
        "nickname": "a,b, c",
        "company": "Kings, Sons",
        "department": "Sales",
        "street": "Str 1, 2",
        "city": "Oslo",
        "other_addresses": ["Str 3, 4, Rome"],
    }


@pytest.mark.parametrize(
    ("kind", "expected"), [("individual", {}), ("group", {"kind": "group"})]
)
def test_kind_of_a_card_is_a_field_unless_it_is_an_individual(
    kind: str, expected: object
) -> None:
    assert payload(f"KIND:{kind}", "CATEGORIES:", version="4.0") == expected


def test_malformed_card_is_an_error_with_its_line_and_reading_goes_on() -> None:
    text = "\n".join(
        [
            *("begin:vcard", "VERSION:3.0", "FN:Ada", "end:vcard", ""),
            *("BEGIN:VCARD", "VERSION:3.0", "no property", "END:VCARD"),
            *("BEGIN:VCARD", "VERSION:3.0", "FN:Open"),
            *("BEGIN:VCARD", "VERSION:2.1", "FN:Old", "END:VCARD"),
            *("BEGIN:VCARD", "FN:None", "END:VCARD"),
            *("BEGIN:VCARD", "VERSION:3.0", "BEGIN:X", "END:VCARD"),
            *("junk", "BEGIN:VCARD", "VERSION:3.0", "FN:Bo", "END:VCARD"),
            *("BEGIN:VCARD", "VERSION:3.0", "FN:Last"),
        ]
    )
    results = rows(text)

    assert [line for line, _result in results] == [1, 6, 10, 13, 17, 20, 24, 25, 29]
    assert [each for _line, each in results if not isinstance(each, str)] == [
        {"name": "Ada"},
        {"name": "Bo"},
    ]
    assert [each for _line, each in results if isinstance(each, str)] == [
        "is not a valid vCard: line 8 is no property",
        "the card is not closed; it ends with END:VCARD",
        "the card has version 2.1; export it as vCard 3.0 or 4.0",
        "the card has no version; export it as vCard 3.0 or 4.0",
        results[5][1],
        "is outside of a card; a card begins with BEGIN:VCARD",
        "the card is not closed; it ends with END:VCARD",
    ]
    assert results[5][1].startswith("is not a valid vCard: ")


def test_card_that_is_no_utf_8_is_an_error() -> None:
    content = (
        card("FN:Ada").encode() + b"BEGIN:VCARD\nVERSION:3.0\nFN:\xff\nEND:VCARD\n"
    )

    assert rows(content)[1][1].startswith("is not UTF-8 text; ")


def test_line_that_looks_like_many_parameters_is_refused_at_once() -> None:
    """The grammar of vobject takes exponential time for it."""
    result = payload("A;a=" + ",x" * 5_000 + '"')

    assert result == "is not a valid vCard: line 3 is no property"


def test_card_over_the_size_limit_ends_the_file() -> None:
    text = "BEGIN:VCARD\n" + f"NOTE:{'x' * 1_000_000}\n" * 17

    with pytest.raises(UnreadableFile, match=r"line 1: the card .* is not closed; the"):
        rows(text)


def test_fields_are_renamed_and_gzip_is_read() -> None:
    content = gzip.compress(card("FN:Ada").encode())

    assert rows(content, name="fullName") == [(1, {"fullName": "Ada"})]


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vobject", None)

    with pytest.raises(UnreadableFile, match=r"install upsertcore\[vcard\]"):
        rows(card("FN:Ada"))
