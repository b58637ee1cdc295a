"""What a column holds, by its header and by its values."""

from __future__ import annotations

import pytest

from upsertcore.files.column_kinds import Kind, column_kind, header_kind

HEADERS: dict[str, Kind | None] = {
    "Email": "email",
    "E-mail 1 - Value": "email",
    "E-Mail-Adresse": "email",
    "E-mail 1 - Label": "text",
    "Email Opt Out": "boolean",
    "Phone Number": "phone",
    "mobilePhone": "phone",
    "WhatsApp": "phone",
    "First Name": "name",
    "last": "name",
    "Last Activity": None,
    "Company Name": "text",
    "Customer number": "id",
    "Merged Contact IDs": "id",
    "LinkedIn": "url",
    "Zip Code": "postal code",
    "Country/Region": "country",
    "Date of Birth": "date",
    "OPTIN_TIME": "date",
    "OPTIN_IP": "text",
    "Annual Revenue": "number",
    "Tags": "list",
    "Lifecycle Stage": None,
    "": None,
}


@pytest.mark.parametrize(("header", "kind"), HEADERS.items())
def test_header_of_exports_says_its_kind(header: str, kind: Kind | None) -> None:
    assert kind == header_kind(header)


VALUES: dict[tuple[str, ...], Kind] = {
    ("a@x.org", "b@x.org"): "email",
    ("https://x.org/a/", "www.x.org"): "url",
    ("true", "FALSE"): "boolean",
    ("1", "0"): "number",
    ("2024-03-12 09:14", "20240312"): "date",
    ("25/09/1990", "01/02/1990"): "date",
    ("123e4567-e89b-12d3-a456-426614174000",): "id",
    ("1,250.50", "-3", "\u20ac 12", "7 %"): "number",
    ("+47 22 33 44 55", "(201) 555-0101"): "phone",
    ('["a"]', "[]"): "list",
    ("Oslo", "mr.smith"): "text",
    ("192.0.2.1", "198.51.100.7"): "text",
}


@pytest.mark.parametrize(("values", "kind"), VALUES.items())
def test_values_decide_where_the_header_says_nothing(
    values: tuple[str, ...], kind: Kind
) -> None:
    decided = column_kind("x", values)

    assert (kind, True) == (decided.kind, decided.agrees)


@pytest.mark.parametrize(
    ("header", "values", "kind", "reason"),
    [
        ("Phone", ["555-0101", "x"], "phone", "header; 50 % of 2 values"),
        ("Email", [], "email", "header; no values"),
        ("x", [], "unknown", "no values, and the header says no kind"),
        ("x", ["Oslo"], "text", "no other kind fits 1 value"),
        ("x", ["a@x.org"], "email", "100 % of 1 value"),
    ],
)
def test_reason_names_header_and_share_of_values(
    header: str, values: list[str], kind: Kind, reason: str
) -> None:
    decided = column_kind(header, values)

    assert (kind, reason, True) == (decided.kind, decided.reason, decided.agrees)


@pytest.mark.parametrize(
    ("header", "values", "kind", "reason"),
    [
        (
            "Email",
            ["+47 22 33 44 55"],
            "phone",
            "header says email, but 100 % of 1 value are phone",
        ),
        ("Email", ["Oslo"], "email", "header, but only 0 % of 1 value fit"),
        ("Zip", ["a@x.org"], "email", "header says postal code, but 100 % of 1 value"),
    ],
)
def test_header_that_values_contradict_is_reported(
    header: str, values: list[str], kind: Kind, reason: str
) -> None:
    """Values that fit another kind decide; otherwise the header does."""
    decided = column_kind(header, values)

    assert (kind, False) == (decided.kind, decided.agrees)
    assert decided.reason.startswith(reason)


@pytest.mark.parametrize(
    ("values", "remark", "form"),
    [
        (["25/09/1990", "01/02/1990"], "day first", "1990-02-01"),
        (["09/25/1990", "01/02/1990"], "month first", "1990-01-02"),
        (["01/02/1990"], "day and month can be read in both orders", None),
    ],
)
def test_date_whose_year_is_last_is_read_in_the_order_that_fits(
    values: list[str], remark: str, form: str | None
) -> None:
    decided = column_kind("Birthday", values)

    assert decided.reason.endswith(remark)
    assert decided.normalizer is not None
    assert form == decided.normalizer("01/02/1990")


def test_given_kind_decides() -> None:
    assert ("id", "given") == (
        (decided := column_kind("Email", ["a@x"], given="id")).kind,
        decided.reason,
    )


def test_lists_are_of_the_kind_list_unless_the_header_names_a_key() -> None:
    assert "list" == column_kind("interests", ["a", "b"], are_lists=True).kind
    assert "email" == column_kind("emails", ["a@x", "b@x"], are_lists=True).kind
    assert not column_kind("Country", ["NO", "SE"], are_lists=True).agrees


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("https://www.X.org/Ada/", "x.org/Ada"),
        ("x.org", "x.org"),
        ("HTTP://localhost", "localhost"),
        ("not a site", None),
    ],
)
def test_web_address_has_a_form_without_protocol(
    written: str, form: str | None
) -> None:
    normalizer = column_kind("Website", []).normalizer

    assert normalizer is not None
    assert form == normalizer(written)
    assert normalizer(7) is None
