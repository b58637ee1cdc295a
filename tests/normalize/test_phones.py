"""Telephone numbers: common spellings in every region, and invalid ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from upsertcore.normalize import (
    PHONE_FORM,
    SEPARATORS,
    phone,
    phone_in,
    phone_with_code,
)
from upsertcore.values import show_value

PATH = Path(__file__).parents[1] / "cases" / "phones.json"
CASES = [
    pytest.param(
        case["region"],
        case["value"],
        case["form"],
        id=f"{case['region']}: {show_value(case['value'])}",
    )
    for case in json.loads(PATH.read_text(encoding="utf-8"))
]
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
KINDS = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
READERS = {region: phone_in(region) for region in REGIONS}
LETTERS = sorted({region[0] for region in REGIONS})
by_letter = pytest.mark.parametrize("letter", LETTERS)


def numbers(region: str) -> Iterator[Any]:
    """Yield the example numbers of the metadata: one landline, one mobile."""
    for kind in KINDS:
        number = phonenumbers.example_number_for_type(region, kind)
        if number is not None:
            yield number


def formatted(number: Any, layout: int = PhoneNumberFormat.E164) -> str:
    return str(phonenumbers.format_number(number, layout))


@pytest.mark.parametrize(("region", "value", "form"), CASES)
def test_typed_number_has_the_expected_form(
    region: str | None, value: str, form: str | None
) -> None:
    """Without a region, ``phone`` reads it."""
    normal = phone if region is None else READERS[region]

    assert form == normal(value)


def examples(letter: str) -> Iterator[tuple[Any, Any, str]]:
    """Yield reader, number and form of the examples of regions with this letter."""
    for region in REGIONS:
        if region.startswith(letter):
            for number in numbers(region):
                yield READERS[region], number, formatted(number)


@by_letter
def test_international_number_has_one_form_in_every_region(letter: str) -> None:
    """With a plus or two zeros, and separators."""
    for normal, number, form in examples(letter):
        international = formatted(number, PhoneNumberFormat.INTERNATIONAL)
        for value in (form, international, f"00{form[1:]}"):
            assert form == normal(value) == phone(value) == READERS["US"](value)


@by_letter
def test_national_number_has_the_international_form(letter: str) -> None:
    """In groups, with a trunk prefix where the region has one."""
    for normal, number, form in examples(letter):
        national = formatted(number, PhoneNumberFormat.NATIONAL)
        if not national.isdigit():
            assert form == normal(national)
            assert phone(national) is None


@by_letter
def test_zero_in_brackets_gives_the_number_or_no_form(letter: str) -> None:
    """It never gives another number; ``phone`` does not know the region."""
    for normal, number, form in examples(letter):
        digits = phonenumbers.national_significant_number(number)
        for zero in ("(0)", "(0) ", " ( 0 ) ", "(0"):
            value = f"+{number.country_code} {zero}{digits}"
            assert normal(value) in {form, None}
            assert phone(value) is None


@by_letter
def test_number_without_trunk_prefix_gives_the_number_or_no_form(
    letter: str,
) -> None:
    """Nine digits are read: a subscriber number alone is shorter."""
    for normal, number, form in examples(letter):
        digits = phonenumbers.national_significant_number(number)
        assert normal(digits) in ({form} if len(digits) >= 9 else {form, None})


@by_letter
def test_number_with_the_end_of_a_float_has_no_form(letter: str) -> None:
    """The end would add a zero to the digits."""
    for normal, number, form in examples(letter):
        national = formatted(number, PhoneNumberFormat.NATIONAL)
        significant = phonenumbers.national_significant_number(number)
        digits = "".join(filter(str.isdigit, national))
        for start in (form, form[1:], f"00{form[1:]}", digits, significant):
            for end in (".0", ".00", ".000000", ".", ".0 ", "e0", "E+10"):
                assert normal(start + end) is None
                assert phone(start + end) is None
        assert normal(national + ".0") is None
        assert normal(float(significant)) is None
        assert normal(int(significant)) is None


@by_letter
def test_subscriber_number_without_area_code_has_no_form(letter: str) -> None:
    """Two towns may have the same; a region of one area is an exception."""
    for normal, number, form in examples(letter):
        size = phonenumbers.length_of_geographical_area_code(number)
        digits = phonenumbers.national_significant_number(number)
        if size:
            assert normal(digits[size:]) in {None, form}


@by_letter
def test_emergency_or_service_number_has_no_form(letter: str) -> None:
    for region in REGIONS:
        if region.startswith(letter):
            for code in ("112", "911", "999", "110", "000", "101", "1111"):
                assert READERS[region](code) is None
                assert phone(code) is None


def test_number_too_short_for_phone_has_no_form() -> None:
    """Iran has valid numbers of six digits with the country code."""
    assert phone_in("IR")("09601") is None
    assert phone_in("IR")("9601") is None
    assert phone("+989601") is None


@pytest.mark.parametrize(
    "normal", [phone, phone_in("US"), phone_in("DE")], ids=["phone", "US", "DE"]
)
@pytest.mark.parametrize(
    "part", ["1", "+", "(", "(0", "(0)", ".", ".0", "/", " ", "1(", "\u2010", "\u0661"]
)
def test_very_long_number_has_no_form(normal: Any, part: str) -> None:
    size = 1_000_000 // len(part)
    for before in ("", "+", "+1"):
        assert normal(before + part * size) is None
        assert normal(before + part * size + "x") is None


def test_separators_are_those_that_phone_removes() -> None:
    """A value with other separators does not become a form without them."""
    assert b"\t\x1f -" == SEPARATORS
    for value in ("+1 (555) 000-1111", "+1.555.000.1111", "+44 (0)20 7946 0107"):
        stripped = value.encode().translate(None, SEPARATORS).decode()
        assert not PHONE_FORM.fullmatch(stripped)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("16505551212", "+16505551212"),
        ("1 (650) 555-1212", "+16505551212"),
        ("+1 650 555 1212", "+16505551212"),
        ("001 650 555 1212", "+16505551212"),
        ("49 30 5550106", "+49305550106"),
        ("290\u201122158", "+29022158"),
        ("+1234567", "+1234567"),
        ("1234567", None),
        ("030 5550106", None),
        ("049305550106", None),
        ("+049305550106", None),
        ("49 (0)30 5550106", None),
        ("+49 (0)30 5550106", None),
        ("16505551212.0", None),
        ("16505551212 ext. 7", None),
        ("1234567890123456", None),
        ("", None),
        (16505551212, None),
        (None, None),
    ],
)
def test_phone_with_code_reads_bare_digits_as_international(
    value: Any, form: str | None
) -> None:
    assert form == phone_with_code(value)
