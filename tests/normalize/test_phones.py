"""Telephone numbers: what people type, in every region, and what is no number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from upsertcore.normalize import PHONE_FORM, SEPARATORS, phone, phone_in
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
every = pytest.mark.parametrize("letter", LETTERS)


def numbers(region: str) -> Iterator[Any]:
    """Give the numbers that the metadata has as examples: one landline, one mobile."""
    for kind in KINDS:
        number = phonenumbers.example_number_for_type(region, kind)
        if number is not None:
            yield number


def written(number: Any, layout: int = PhoneNumberFormat.E164) -> str:
    return str(phonenumbers.format_number(number, layout))


@pytest.mark.parametrize(("region", "value", "form"), CASES)
def test_a_number_as_people_type_it(
    region: str | None, value: str, form: str | None
) -> None:
    """The form of each value, by the region that reads it; none reads as phone."""
    normal = phone if region is None else READERS[region]

    assert form == normal(value)


def examples(letter: str) -> Iterator[tuple[Any, Any, str]]:
    """Give each example of the regions of one letter: reader, number, form."""
    for region in REGIONS:
        if region.startswith(letter):
            for number in numbers(region):
                yield READERS[region], number, written(number)


@every
def test_an_international_number_has_one_form(letter: str) -> None:
    """With a plus or two zeros, and separators: the same in every region."""
    for normal, number, form in examples(letter):
        international = written(number, PhoneNumberFormat.INTERNATIONAL)
        for value in (form, international, f"00{form[1:]}"):
            assert form == normal(value) == phone(value) == READERS["US"](value)


@every
def test_a_national_number_has_the_form_of_the_international_one(letter: str) -> None:
    """As the metadata writes it, in groups, with its trunk prefix where it has one."""
    for normal, number, form in examples(letter):
        national = written(number, PhoneNumberFormat.NATIONAL)
        if not national.isdigit():
            assert form == normal(national)
            assert phone(national) is None


@every
def test_a_zero_in_brackets_is_read_or_there_is_no_form(letter: str) -> None:
    """Never another number; phone reads none, for it does not know the region."""
    for normal, number, form in examples(letter):
        digits = phonenumbers.national_significant_number(number)
        for zero in ("(0)", "(0) ", " ( 0 ) ", "(0"):
            value = f"+{number.country_code} {zero}{digits}"
            assert normal(value) in {form, None}
            assert phone(value) is None


@every
def test_a_number_without_its_trunk_prefix_is_read_or_there_is_no_form(
    letter: str,
) -> None:
    """One of nine digits is read: no subscriber's number alone is that long."""
    for normal, number, form in examples(letter):
        digits = phonenumbers.national_significant_number(number)
        assert normal(digits) in ({form} if len(digits) >= 9 else {form, None})


@every
def test_a_number_that_was_a_float_has_no_form(letter: str) -> None:
    """A zero is not added to the digits, however the number was written before."""
    for normal, number, form in examples(letter):
        national = written(number, PhoneNumberFormat.NATIONAL)
        significant = phonenumbers.national_significant_number(number)
        digits = "".join(filter(str.isdigit, national))
        for start in (form, form[1:], f"00{form[1:]}", digits, significant):
            for end in (".0", ".00", ".000000", ".", ".0 ", "e0", "E+10"):
                assert normal(start + end) is None
                assert phone(start + end) is None
        assert normal(national + ".0") is None
        assert normal(float(significant)) is None
        assert normal(int(significant)) is None


@every
def test_a_subscribers_number_has_no_form_without_its_area_code(letter: str) -> None:
    """Two towns have the same; where a region is one area, it is whole."""
    for normal, number, form in examples(letter):
        size = phonenumbers.length_of_geographical_area_code(number)
        digits = phonenumbers.national_significant_number(number)
        if size:
            assert normal(digits[size:]) in {None, form}


@every
def test_a_short_code_has_no_form(letter: str) -> None:
    """Emergency numbers and service codes are everybody's."""
    for region in REGIONS:
        if region.startswith(letter):
            for code in ("112", "911", "999", "110", "000", "101", "1111"):
                assert READERS[region](code) is None
                assert phone(code) is None


def test_a_form_too_short_for_phone_is_none() -> None:
    """Iran has valid numbers of four digits: six with the country code."""
    assert phone_in("IR")("09601") is None
    assert phone_in("IR")("9601") is None
    assert phone("+989601") is None


@pytest.mark.parametrize(
    "normal", [phone, phone_in("US"), phone_in("DE")], ids=["phone", "US", "DE"]
)
@pytest.mark.parametrize(
    "part", ["1", "+", "(", "(0", "(0)", ".", ".0", "/", " ", "1(", "\u2010", "\u0661"]
)
def test_a_megabyte_has_no_form(normal: Any, part: str) -> None:
    size = 1_000_000 // len(part)
    for before in ("", "+", "+1"):
        assert normal(before + part * size) is None
        assert normal(before + part * size + "x") is None


def test_separators_are_those_that_are_not_read() -> None:
    """Without them a form remains only where phone makes that form."""
    assert b"\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f -" == SEPARATORS
    for value in ("+1 (555) 000-1111", "+1.555.000.1111", "+44 (0)20 7946 0107"):
        bare = value.encode().translate(None, SEPARATORS).decode()
        assert not PHONE_FORM.fullmatch(bare)
