"""Codes by sound: as published, total on any text, and each its own code."""

from __future__ import annotations

import itertools
import json
import string
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.strategies import json_values, rich_text
from upsertcore import ContactBook, Policy, field, first_match, key, normalize
from upsertcore.laws.normalisers import check_normaliser, idempotent_form
from upsertcore.normalize import Normalizer
from upsertcore.normalize.phonetic import nysiis, soundex

CASES = Path(__file__).parents[1] / "cases" / "phonetic"
CODES = {"soundex": soundex, "nysiis": nysiis}
every = pytest.mark.parametrize("normal", CODES.values(), ids=CODES)
# What NYSIIS translates together, and what codes are written with.
PARTS = ("A", "E", "EV", "IE", "SCH", "MAC", "KN", "PH", "PF", "DT", "AY", "H", "W")
LONG = 100_000


def cases(name: str) -> list[Any]:
    """Read the published codes of one algorithm."""
    text = (CASES / f"{name}.json").read_text(encoding="utf-8")
    return [pytest.param(case, id=case["name"]) for case in json.loads(text)]


@pytest.mark.parametrize("case", cases("soundex"))
def test_a_published_soundex_code(case: dict[str, str]) -> None:
    """Each name has the code that its source gives, which is its own code."""
    assert case["source"]
    assert case["code"] == soundex(case["name"])
    assert case["code"] == soundex(case["name"].upper())
    assert case["code"] == soundex(case["code"])


@pytest.mark.parametrize("case", cases("nysiis"))
def test_a_published_nysiis_code(case: dict[str, str]) -> None:
    """Each name has the code that its source gives, between strokes."""
    assert case["source"]
    assert f"/{case['code']}/" == nysiis(case["name"])
    assert f"/{case['code']}/" == nysiis(case["name"].lower())


class TestLaws:
    @every
    @example(value="R163")
    @example(value="/SNAT/")
    @example(value="//")
    @example(value="\ud800Ada")
    @given(value=rich_text())
    def test_total_and_idempotent_on_any_text(
        self, normal: Normalizer, value: str
    ) -> None:
        """Any text has a code or none, and the code is its own."""
        check_normaliser(normal, [value])

    @every
    @given(value=json_values())
    def test_total_on_any_value(self, normal: Normalizer, value: Any) -> None:
        """What is no text has no code; none makes a normaliser raise."""
        check_normaliser(normal, [value])

    @every
    def test_the_pool_of_a_host(self, normal: Normalizer) -> None:
        """They keep what a host is told to keep, on awkward text and on none."""
        check_normaliser(normal)

    @every
    def test_every_character_that_is_decomposed(self, normal: Normalizer) -> None:
        """Exhaustively: each, after a letter, has a code or none."""
        for value in map(chr, range(sys.maxunicode + 1)):
            if not value == value.upper() == unicodedata.normalize("NFKD", value):
                idempotent_form(normal, f"B{value}")

    @every
    def test_every_name_of_three_letters(self, normal: Normalizer) -> None:
        """Exhaustively: each has a code, which is its own."""
        for letters in itertools.product(string.ascii_uppercase, repeat=3):
            name = "".join(letters)
            assert normal(name) is not None
            idempotent_form(normal, name)

    @every
    @given(parts=st.lists(st.sampled_from(PARTS), min_size=1))
    def test_names_of_what_is_read_together(
        self, normal: Normalizer, parts: list[str]
    ) -> None:
        """A name of the groups that the rules know has a code, which is its own."""
        assert normal("".join(parts)) is not None
        check_normaliser(normal, ["".join(parts)])

    @every
    @pytest.mark.parametrize("part", ["a", "SCH", "H", "1", "\u0301", "\ufdfa"])
    def test_a_long_text(self, normal: Normalizer, part: str) -> None:
        """A hundred thousand times one thing has a code, or none."""
        check_normaliser(normal, [part * (LONG // len(part))])

    def test_a_code_of_nysiis_read_as_a_name_may_have_another(self) -> None:
        """That is what the strokes are for: AEV has AAF, and AAF has AF."""
        assert ("/AAF/", "/AF/") == (nysiis("Aev"), nysiis("AAF"))
        assert "/AAF/" == nysiis("/AAF/")


class TestNames:
    """What is read of a name, by both."""

    @every
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Zoë", "ZOE"),
            ("Zoe\u0308", "zoe"),
            ("Strauß", "Strauss"),
            ("O\u2019Brien", "O'Brien"),
            ("O\u02bcBrien", "OBrien"),
            ("Van Deusen", "VanDeusen"),
            ("Smith-Jones", "Smith Jones"),
            ("\uff33mith", "Smith"),
            ("\u017fmith", "Smith"),
            ("Ke\ufb03n", "Keffin"),
            ("Smith 3rd", "Smithrd"),
        ],
    )
    def test_the_same(self, normal: Normalizer, one: str, other: str) -> None:
        """Case, accents, width and what is no letter do not count."""
        assert normal(one) == normal(other) is not None

    @every
    @pytest.mark.parametrize(
        "value",
        [
            *(
                "",
                " ",
                "--",
                "163",
                "\u0301",
                "\ud800",
                "Гаусс",
                "李",
                "Sмith",
                "Smith 李",
            ),
            *("Ørsted", "Łukasz", "Søren", None, 163, True, ("Ada",)),
        ],
        ids=repr,
    )
    def test_no_code(self, normal: Normalizer, value: Any) -> None:
        """No letters, or one without a base from A to Z: no code is guessed."""
        assert normal(value) is None

    @pytest.mark.parametrize("value", ["r163", "R1634", "R16", "R106", "R183", "RR63"])
    def test_what_is_nearly_a_code_is_a_name(self, value: str) -> None:
        """Digits are passed over where the whole is no code."""
        assert "R000" == soundex(value)


def test_a_key_of_a_policy() -> None:
    """A composite of codes and of what is exact finds the other spelling."""
    person = key("surname", "born", normalize=(soundex, normalize.year))
    policy = Policy(
        match=first_match("person"),
        fields={"surname": field(), "born": field()},
        keys={"person": person},
    )
    book = ContactBook(policy, ids=iter(["c-1", "c-2"]).__next__)
    book.upsert({"surname": "Robert", "born": "1815-12-10"})

    assert "c-1" == book.upsert({"surname": "Rupert", "born": "1815"}).contact.id
    assert "c-2" == book.upsert({"surname": "Rupert", "born": "1816"}).contact.id


def test_without_the_extra_it_says_so() -> None:
    """The message says what to install, and the rest of the library works."""
    code = (
        "import sys; sys.modules['jellyfish'] = None\n"
        "from upsertcore import normalize\n"
        "print(normalize.initials('Ada King'))\n"
        "import upsertcore.normalize.phonetic\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert "a k\n" == done.stdout
    assert (
        "ModuleNotFoundError: upsertcore.normalize.phonetic needs the package"
        in done.stderr
    )
    assert "pip install 'upsertcore[phonetic]'" in done.stderr
