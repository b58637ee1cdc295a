"""Phonetic codes: as published, total on any text, and idempotent."""

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
by_algorithm = pytest.mark.parametrize("normal", CODES.values(), ids=CODES)
# Groups of letters that NYSIIS translates together, and letters of codes.
PARTS = ("A", "E", "EV", "IE", "SCH", "MAC", "KN", "PH", "PF", "DT", "AY", "H", "W")
LONG = 100_000


def cases(name: str) -> list[Any]:
    """Read the published codes of one algorithm."""
    text = (CASES / f"{name}.json").read_text(encoding="utf-8")
    return [pytest.param(case, id=case["name"]) for case in json.loads(text)]


@pytest.mark.parametrize("case", cases("soundex"))
def test_soundex_equals_the_published_code(case: dict[str, str]) -> None:
    """In any case; the code is its own code."""
    assert case["source"]
    assert case["code"] == soundex(case["name"])
    assert case["code"] == soundex(case["name"].upper())
    assert case["code"] == soundex(case["code"])


@pytest.mark.parametrize("case", cases("nysiis"))
def test_nysiis_equals_the_published_code(case: dict[str, str]) -> None:
    """In any case, between slashes."""
    assert case["source"]
    assert f"/{case['code']}/" == nysiis(case["name"])
    assert f"/{case['code']}/" == nysiis(case["name"].lower())


class TestLaws:
    @by_algorithm
    @example(value="R163")
    @example(value="/SNAT/")
    @example(value="//")
    @example(value="\ud800Ada")
    @given(value=rich_text())
    def test_code_of_any_text_is_its_own_code(
        self, normal: Normalizer, value: str
    ) -> None:
        check_normaliser(normal, [value])

    @by_algorithm
    @given(value=json_values())
    def test_any_value_has_a_code_or_none(self, normal: Normalizer, value: Any) -> None:
        check_normaliser(normal, [value])

    @by_algorithm
    def test_algorithm_keeps_the_laws_of_normalisers(self, normal: Normalizer) -> None:
        check_normaliser(normal)

    @by_algorithm
    def test_every_changing_character_has_an_idempotent_code(
        self, normal: Normalizer
    ) -> None:
        """Exhaustive, each after a letter."""
        for value in map(chr, range(sys.maxunicode + 1)):
            if not value == value.upper() == unicodedata.normalize("NFKD", value):
                idempotent_form(normal, f"B{value}")

    @by_algorithm
    def test_every_name_of_three_letters_has_an_idempotent_code(
        self, normal: Normalizer
    ) -> None:
        """Exhaustive."""
        for letters in itertools.product(string.ascii_uppercase, repeat=3):
            name = "".join(letters)
            assert normal(name) is not None
            idempotent_form(normal, name)

    @by_algorithm
    @given(parts=st.lists(st.sampled_from(PARTS), min_size=1))
    def test_name_of_letter_groups_has_a_code(
        self, normal: Normalizer, parts: list[str]
    ) -> None:
        assert normal("".join(parts)) is not None
        check_normaliser(normal, ["".join(parts)])

    @by_algorithm
    @pytest.mark.parametrize("part", ["a", "SCH", "H", "1", "\u0301", "\ufdfa"])
    def test_long_text_has_a_code_or_none(self, normal: Normalizer, part: str) -> None:
        check_normaliser(normal, [part * (LONG // len(part))])

    def test_nysiis_code_without_slashes_is_read_as_a_name(self) -> None:
        """The slashes mark a code: AEV has AAF, and AAF has AF."""
        assert ("/AAF/", "/AF/") == (nysiis("Aev"), nysiis("AAF"))
        assert "/AAF/" == nysiis("/AAF/")


class TestNames:
    """How both algorithms read a name."""

    @by_algorithm
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
    def test_spellings_of_one_name_have_one_code(
        self, normal: Normalizer, one: str, other: str
    ) -> None:
        """Case, accents, width and other characters than letters do not count."""
        assert normal(one) == normal(other) is not None

    @by_algorithm
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
    def test_value_without_latin_letters_has_no_code(
        self, normal: Normalizer, value: Any
    ) -> None:
        assert normal(value) is None

    @pytest.mark.parametrize("value", ["r163", "R1634", "R16", "R106", "R183", "RR63"])
    def test_text_similar_to_a_code_is_read_as_a_name(self, value: str) -> None:
        """Its digits are ignored."""
        assert "R000" == soundex(value)


def test_composite_with_a_code_matches_another_spelling() -> None:
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


def test_import_without_the_extra_names_it() -> None:
    """The rest of the library works."""
    code = (
        "import sys; sys.modules['jellyfish'] = None\n"
        "from upsertcore import normalize\n"
        "print(normalize.initials('Ada King'))\n"
        "import upsertcore.normalize.phonetic\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert "a k\n" == process.stdout
    assert (
        "ModuleNotFoundError: upsertcore.normalize.phonetic needs the package"
        in process.stderr
    )
    assert "pip install 'upsertcore[phonetic]'" in process.stderr
