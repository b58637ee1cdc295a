"""Normal forms: values of one key, and values without a key."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest

from upsertcore import normalize
from upsertcore.values import show_value


def id_of(value: Any) -> str:
    """Return the test id of a value of any length."""
    return show_value(value)


class TestExact:
    """Identifiers."""

    @pytest.mark.parametrize(
        ("value", "form"),
        [
            *(("A1", "A1"), (249, "249"), (" a", " a"), (0, "0"), ("é", "é")),
            *(
                (1001.0, "1001"),
                (-7.0, "-7"),
                (0.0, "0"),
                (-0.0, "0"),
                (1e15, "1" + "0" * 15),
            ),
            *((2.0**53 - 1, "9007199254740991"), (10**30, "1" + "0" * 30)),
            *(("1001.0", "1001.0"), ("1e3", "1e3")),
        ],
    )
    def test_text_or_whole_number_has_a_form(self, value: Any, form: str) -> None:
        """A float that is whole has the form of its integer."""
        assert form == normalize.exact(value)

    @pytest.mark.parametrize(
        "value",
        [
            *("", " \t", None, True, False, (), {}, b"a", 0.5, -1.5, 1e-300),
            *(2.0**53, -(2.0**53), 1e22, math.inf, -math.inf, math.nan, 10**5_000),
        ],
        ids=id_of,
    )
    def test_blank_or_inexact_number_has_no_form(self, value: Any) -> None:
        assert normalize.exact(value) is None


class TestText:
    """Words."""

    @pytest.mark.parametrize(
        ("a", "b"),
        [
            ("Ada  King", " ada king "),
            ("STRAUSS", "Strauß"),
            ("Zoe\u0308", "Zoë"),
            ("ΟΔΟΣ", "οδος"),
            ("a\u00a0b", "A B"),
        ],
    )
    def test_case_white_space_and_composition_do_not_count(
        self, a: str, b: str
    ) -> None:
        assert normalize.text(a) == normalize.text(b) is not None

    def test_accents_count(self) -> None:
        assert normalize.text("Zoe") != normalize.text("Zoë")

    @pytest.mark.parametrize("value", ["", " \n", None, 1])
    def test_blank_or_number_is_no_text(self, value: Any) -> None:
        assert normalize.text(value) is None


class TestEmail:
    """Email addresses."""

    @pytest.mark.parametrize(
        ("value", "form"),
        [
            (" Ada@X.org\n", "ada@x.org"),
            ("a!#$%&*+-/=?^_`{|}~(c)[1]\\@x.org", "a!#$%&*+-/=?^_`{|}~(c)[1]\\@x.org"),
            ("O'Brien@x.org", "o'brien@x.org"),
            ("a''b@x", "a''b@x"),
            ("a@x", "a@x"),
            ("\u00e5" * 252 + "@x", "\u00e5" * 252 + "@x"),
            ("a" * 252 + "@x", "a" * 252 + "@x"),
            ("a" + "\u0316" * 30 + "@x", "a" + "\u0316" * 30 + "@x"),
            ("\u00e5@[127.0.0.1]", "\u00e5@[127.0.0.1]"),
            ("\u00e5'\u00e5@x", "\u00e5'\u00e5@x"),
            ("A.D.A+tag@gmail.com", "a.d.a+tag@gmail.com"),
            ("ZOE\u0308@x.org", "zoë@x.org"),
            ("Ä@x.org", "ä@x.org"),
        ],
    )
    def test_email_is_stripped_folded_and_composed(self, value: str, form: str) -> None:
        assert form == normalize.email(value)

    @pytest.mark.parametrize(
        "value",
        [
            "",
            " ",
            "ada",
            "@x.org",
            "ada@",
            "a b@x.org",
            "a\0@x.org",
            "a\x85b@x",
            None,
            1,
            *("a@b@x.org", "a@@x", "@a@x", "a@x@", "\u00e5@@x", "\u00e5@x@"),
            *("mailto:a@x", "a@x,b@y", "a@x;b@y", "<a@x>", "Ada <a@x>", "a@x:25"),
            *('"a"@x', '"a b"@x', '"a@x"', "'a@x'", "'a@x", "a@x'", "a'@x", "a@'x"),
            *("a@x'y", "'@x", "\u00e5@x'", "'\u00e5@x", "\u00e5'@x", '\u00e5"@x'),
            *(
                "\u201ca@x\u201d",
                "\u2018a@x\u2019",
                "o\u2019brien@x",
                "\u00aba@x\u00bb",
            ),
            *(
                "a@x\u200b",
                "\u200ba@x",
                "a\u00ad@x",
                "a\u200d@x",
                "\ufeffa@x",
                "a\u202e@x",
            ),
            *(
                "a\u2028@x",
                "\u00e5 b@x",
                "\u00e5\x00@x",
                "\u00e5,b@x",
                "mailto:\u00e5@x",
            ),
            *("a" * 253 + "@x", "\u00e5" * 253 + "@x", "a" + "\u0316" * 31 + "@x"),
            *("a" * 2_000 + "@\u00e5", "a\u0f73" * 1 + "\u0f73" * 16 + "@x"),
        ],
        ids=id_of,
    )
    def test_value_that_is_no_plain_address_has_no_form(self, value: Any) -> None:
        """Several addresses, quotes and invisible characters included."""
        assert normalize.email(value) is None

    @pytest.mark.parametrize(
        ("address", "ascii_address"),
        [
            ("\u212aelvin@x.org", "kelvin@x.org"),
            ("stra\u00dfe@x.org", "strasse@x.org"),
            ("\u0130pek@x.org", "ipek@x.org"),
            ("\u0131pek@x.org", "ipek@x.org"),
            ("a\u1fef@x.org", "a`@x.org"),
            ("a\u037e@x.org", "a;@x.org"),
            ("\ufb01n@x.org", "fin@x.org"),
        ],
    )
    def test_unicode_address_never_has_the_form_of_an_ascii_one(
        self, address: str, ascii_address: str
    ) -> None:
        assert normalize.email(address) is not None
        assert normalize.email(address) != normalize.email(ascii_address)


class TestPhone:
    """International numbers."""

    @pytest.mark.parametrize(
        ("value", "form"),
        [
            ("+1 888-888-8888", "+18888888888"),
            ("0044 20 7946 0958", "+442079460958"),
            ("+49.30/1234567", "+49301234567"),
            (" +1 (555)\u00a0000\u20111111 ", "+15550001111"),
            ("+1234567", "+1234567"),
            ("+123456789012345", "+123456789012345"),
        ],
    )
    def test_international_number_has_its_digits(self, value: str, form: str) -> None:
        """With a plus or two zeros, and 7 to 15 digits."""
        assert form == normalize.phone(value)

    @pytest.mark.parametrize(
        "value",
        [
            *("", "555-0001", "(555) 000-1111", "+123456", "+1234567890123456"),
            *("+0123456789", "+1 555 000 1111 x12", "ada@x.org", "++15550001111"),
            *("+1555000111\u0661", "1 555 000 1111", None, 15550001111),
        ],
    )
    def test_national_number_has_no_form(self, value: Any) -> None:
        """Subscribers of several countries may have it."""
        assert normalize.phone(value) is None


class TestPhoneIn:
    """National numbers of one region."""

    @pytest.mark.parametrize(
        ("region", "value", "form"),
        [
            ("US", "(202) 555-0143", "+12025550143"),
            ("US", "+44 (0)20 7946 0958", "+442079460958"),
            ("US", "+999 123 456 789", "+999123456789"),
            ("US", " 001 202 555 0143", "+12025550143"),
            ("DE", "030/1234567", "+49301234567"),
            ("IT", "06 1234 5678", "+390612345678"),
        ],
    )
    def test_number_is_read_as_dialled_in_the_region(
        self, region: str, value: str, form: str
    ) -> None:
        """A number with a plus is international."""
        assert form == normalize.phone_in(region)(value)

    @pytest.mark.parametrize(
        "value",
        [
            *("", "12", "202 555 0143 ext. 5", "202-555-0143;ext=5", "call 2025550143"),
            *("2025550143@x.org", "+", None, 2025550143, 2025550143.0),
        ],
    )
    def test_invalid_number_or_extension_has_no_form(self, value: Any) -> None:
        assert normalize.phone_in("US")(value) is None

    @pytest.mark.parametrize("region", ["us", "XX", "", None])
    def test_unknown_region_is_refused(self, region: Any) -> None:
        """When the normaliser is made."""
        with pytest.raises(ValueError, match="such as 'US'"):
            normalize.phone_in(region)

    def test_phone_in_without_the_extra_names_it(self) -> None:
        """The rest of the library works."""
        code = (
            "import sys; sys.modules['phonenumbers'] = None\n"
            "from upsertcore import normalize\n"
            "print(normalize.phone('+1 555 000 1111'))\n"
            "normalize.phone_in('US')\n"
        )
        process = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )

        assert process.stdout == "+15550001111\n"
        assert "pip install 'upsertcore[phone]'" in process.stderr
