"""Normal forms: what counts as the same key, and what is none."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest

from upsertcore import normalize
from upsertcore.values import show_value


def str_of(value: Any) -> str:
    """Name a value in a test's name, however long it is."""
    return show_value(value)


class TestExact:
    """Identifiers as they are."""

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
    def test_a_form(self, value: Any, form: str) -> None:
        """Text as it is, and a whole number as its digits, a float's too."""
        assert form == normalize.exact(value)

    @pytest.mark.parametrize(
        "value",
        [
            *("", " \t", None, True, False, (), {}, b"a", 0.5, -1.5, 1e-300),
            *(2.0**53, -(2.0**53), 1e22, math.inf, -math.inf, math.nan, 10**5_000),
        ],
        ids=str_of,
    )
    def test_no_form(self, value: Any) -> None:
        """Blanks, and numbers that stand for none or for several whole ones."""
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
    def test_the_same(self, a: str, b: str) -> None:
        """Case, white space and the spelling of accents do not count."""
        assert normalize.text(a) == normalize.text(b) is not None

    def test_not_the_same(self) -> None:
        """Accents count."""
        assert normalize.text("Zoe") != normalize.text("Zoë")

    @pytest.mark.parametrize("value", ["", " \n", None, 1])
    def test_no_form(self, value: Any) -> None:
        """Blanks and what is no text are no words."""
        assert normalize.text(value) is None


class TestEmail:
    """Mailboxes."""

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
    def test_a_form(self, value: str, form: str) -> None:
        """White space around, case and the spelling of accents do not count."""
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
        ids=str_of,
    )
    def test_no_form(self, value: Any) -> None:
        """What is no single plain address, or hides something, is no mailbox."""
        assert normalize.email(value) is None

    @pytest.mark.parametrize(
        ("other", "ascii_one"),
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
    def test_nobody_takes_an_ascii_mailbox(self, other: str, ascii_one: str) -> None:
        """A character outside ASCII never becomes one inside."""
        assert normalize.email(other) is not None
        assert normalize.email(other) != normalize.email(ascii_one)


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
    def test_a_form(self, value: str, form: str) -> None:
        """A plus or two zeros, and 7 to 15 digits without their separators."""
        assert form == normalize.phone(value)

    @pytest.mark.parametrize(
        "value",
        [
            *("", "555-0001", "(555) 000-1111", "+123456", "+1234567890123456"),
            *("+0123456789", "+1 555 000 1111 x12", "ada@x.org", "++15550001111"),
            *("+1555000111\u0661", "1 555 000 1111", None, 15550001111),
        ],
    )
    def test_no_form(self, value: Any) -> None:
        """A national number belongs to several subscribers: it is no key."""
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
    def test_a_form(self, region: str, value: str, form: str) -> None:
        """A number with a plus is read as it is, another as the region dials it."""
        assert form == normalize.phone_in(region)(value)

    @pytest.mark.parametrize(
        "value",
        [
            *("", "12", "202 555 0143 ext. 5", "202-555-0143;ext=5", "call 2025550143"),
            *("2025550143@x.org", "+", None, 2025550143, 2025550143.0),
        ],
    )
    def test_no_form(self, value: Any) -> None:
        """What is no valid number, or one with an extension, is no key."""
        assert normalize.phone_in("US")(value) is None

    @pytest.mark.parametrize("region", ["us", "XX", "", None])
    def test_a_region_is_two_capitals(self, region: Any) -> None:
        """An unknown region is told at once, not at the first number."""
        with pytest.raises(ValueError, match="such as 'US'"):
            normalize.phone_in(region)

    def test_without_the_extra_it_says_so(self) -> None:
        """The message says what to install, and the rest of the library works."""
        code = (
            "import sys; sys.modules['phonenumbers'] = None\n"
            "from upsertcore import normalize\n"
            "print(normalize.phone('+1 555 000 1111'))\n"
            "normalize.phone_in('US')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )

        assert done.stdout == "+15550001111\n"
        assert "pip install 'upsertcore[phone]'" in done.stderr
