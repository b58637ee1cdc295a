"""Normal forms of names, dates and postcodes."""

from __future__ import annotations

import sys
import unicodedata
from collections import UserDict
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.strategies import json_values, rich_text
from upsertcore import normalize
from upsertcore.laws.normalisers import check_normaliser, idempotent_form
from upsertcore.normalize import Normalizer, codes, dates, names, postcodes

NORMALISERS = {
    "initials": normalize.initials,
    "sorted_tokens": normalize.sorted_tokens,
    "year": normalize.year,
    "prefix(1)": normalize.prefix(1),
    "prefix(4)": normalize.prefix(4),
    "postcode_area": normalize.postcode_area,
    "digits": normalize.digits,
    "compact": normalize.compact,
    "date()": normalize.date(),
    "date('dmy')": normalize.date("dmy"),
    "chain": normalize.chain(normalize.compact, normalize.prefix(2)),
    "nicknames": normalize.nicknames({"Stra\u00dfe": ["a", "1", "\u0130"]}),
}
by_normaliser = pytest.mark.parametrize("normal", NORMALISERS.values(), ids=NORMALISERS)
LONG = 100_000
# Letters, marks and apostrophes that compose, fold or are removed.
AWKWARD = (
    "aA'\u2019\u02bc\u0149\u0301\u0316\u0345\u00df\u0130\u1100\u1161\u11a8-. _\u00b9"
)

# Every character that folding or composing changes, and every mark.
CHANGING = [
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if not character == character.casefold() == unicodedata.normalize("NFD", character)
    or unicodedata.category(character)[0] == "M"
]


class TestLaws:
    @by_normaliser
    @example(value="a'\u0301")
    @example(value="\u0149'\u0345")
    @example(value="941..")
    @given(value=st.one_of(rich_text(), st.text(AWKWARD, max_size=9)))
    def test_form_of_any_text_is_its_own_form(
        self, normal: Normalizer, value: str
    ) -> None:
        check_normaliser(normal, [value])

    @by_normaliser
    @given(value=json_values())
    def test_any_value_has_a_form_or_none(self, normal: Normalizer, value: Any) -> None:
        check_normaliser(normal, [value])

    @by_normaliser
    def test_normaliser_keeps_the_laws(self, normal: Normalizer) -> None:
        check_normaliser(normal)

    @by_normaliser
    def test_every_changing_character_has_an_idempotent_form(
        self, normal: Normalizer
    ) -> None:
        """Exhaustive: as a word, and after an apostrophe."""
        for value in CHANGING:
            idempotent_form(normal, f"{value} b'{value}")

    @by_normaliser
    @pytest.mark.parametrize("part", ["a", "a ", "1", "'", "1-", "\u0345", "\ufdfa"])
    def test_long_text_has_a_form_or_none(self, normal: Normalizer, part: str) -> None:
        check_normaliser(normal, [part * (LONG // len(part))])

    @by_normaliser
    def test_integer_too_long_to_print_has_no_form(self, normal: Normalizer) -> None:
        assert normal(10**5_000) is None

    @by_normaliser
    @given(value=st.from_regex(r"\A[0-9]{1,5}[-/. ]?[0-9]{0,4}[-/.T]?[0-9]{0,4}\Z"))
    def test_text_similar_to_a_date_or_postcode_keeps_the_laws(
        self, normal: Normalizer, value: str
    ) -> None:
        check_normaliser(normal, [value])


def test_normalize_exports_the_names_of_its_modules() -> None:
    for module in (codes, dates, names, postcodes):
        for name in module.__all__:
            assert getattr(normalize, name) is getattr(module, name)
            assert name in normalize.__all__


class TestInitials:
    @pytest.mark.parametrize(
        ("value", "form"),
        [
            ("Ada Byron King", "a b k"),
            ("  ada\tbyron\u00a0KING ", "a b k"),
            ("J.R.R. Tolkien", "j r r t"),
            ("Jean-Luc O'Neill", "j l o"),
            ("\u00c9mile E\u0301mile", "\u00e9 \u00e9"),
            ("Louis 14", "l 1"),
            ("Ada", "a"),
            ("\u674e \u56db", "\u674e \u56db"),
        ],
    )
    def test_initials_are_the_first_characters_of_words(
        self, value: str, form: str
    ) -> None:
        assert form == normalize.initials(value)

    @pytest.mark.parametrize(
        "value", ["", " ", "-.-", "'", "\ud800", None, 1, ("Ada",)]
    )
    def test_value_without_words_has_no_initials(self, value: Any) -> None:
        assert normalize.initials(value) is None


class TestSortedTokens:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("King, Ada", "Ada King"),
            ("KING,Ada", "ada  king"),
            ("Anne-Marie Duval", "Duval Marie Anne"),
            ("O'Brien Ann", "Ann O\u2019Brien"),
            ("O'Brien", "OBrien"),
            ("\u02bbIolani", "`Iolani"),
            ("Zoe\u0308 (Strauss)", "STRAU\u00df, Zo\u00eb"),
            ("E'\u0301mile", "\u00e9mile"),
            ("a_b", "b a"),
        ],
    )
    def test_order_and_spelling_of_words_do_not_count(
        self, one: str, other: str
    ) -> None:
        """Nor do case, apostrophes and separators."""
        sorted_tokens = normalize.sorted_tokens

        assert sorted_tokens(one) == sorted_tokens(other) is not None

    @pytest.mark.parametrize(
        ("one", "other"),
        [("Ada King", "Ada B King"), ("Zoe", "Zo\u00eb"), ("Ada", "Ada Ada")],
    )
    def test_number_and_accents_of_words_count(self, one: str, other: str) -> None:
        assert normalize.sorted_tokens(one) != normalize.sorted_tokens(other)

    def test_tokens_are_sorted_by_code_point(self) -> None:
        assert "1 zoe \u00e9mile" == normalize.sorted_tokens("\u00c9mile Zoe 1")

    @given(st.permutations(["ada", "byron", "king", "o'neill"]), st.sampled_from(" ,-"))
    def test_every_order_of_words_has_one_form(
        self, words: list[str], separator: str
    ) -> None:
        form = normalize.sorted_tokens(separator.join(words))

        assert "ada byron king oneill" == form

    @pytest.mark.parametrize("value", ["", "\n", ", -", "_", "\ud800", None, 1])
    def test_value_without_words_has_no_form(self, value: Any) -> None:
        assert normalize.sorted_tokens(value) is None


class TestYear:
    @pytest.mark.parametrize(
        "value",
        [
            *(
                "1815",
                1815,
                1815.0,
                18151210.0,
                " 1815 ",
                "18151210",
                18151210,
                "1815-12-10",
                "1815-12",
            ),
            *("1815/12/10", "1815.12.10", "1815-1-2", "10/12/1815", "31/12/1815"),
            *("12/31/1815", "31.12.1815", "1-2-1815", "1815-12-10T10:15:30.123Z"),
            *("1815-12-10 00:00:00", "1815-12-10 10:15:30.5+01:00", "18151210T101530Z"),
            *("1815-12-10t10:15:30,5-0500", "1815-12-10T24:00:00 +01"),
            *("12/10/1815 12:00:00 AM", "12/10/1815 1:05 pm"),
        ],
        ids=repr,
    )
    def test_date_or_year_has_its_year(self, value: Any) -> None:
        assert "1815" == normalize.year(value)

    @pytest.mark.parametrize(
        "value",
        [
            # Years of two digits, and ambiguous digits.
            *("10/12/15", "15-12-10", "181512", "151210", "18155", "1815121", 151210),
            # Impossible days and months.
            *("1815-13", "1815-00-10", "1815-02-30", "18150230", "1900-02-29"),
            *("18151301", "31/31/1815", "0/1/1815", "1815/31/12", "10121815"),
            # Before 1583, or no year.
            *("0000", "0001-01-01", "1582", "1582-12-31", "01/01/0001", 0, -1815),
            # Other layouts, and no dates.
            *("1815-W50-7", "1815-344", "1815.5", "1815-12-10x", "10 December 1815"),
            *("1815/12-10", "1815-12-10T", "1815-12-10 99:99", "1815-16", "born 1815"),
            *(
                "\u0661\u0668\u0661\u0665",
                "",
                " ",
                None,
                True,
                1815.5,
                -1815.0,
                (1815,),
            ),
        ],
        ids=repr,
    )
    def test_ambiguous_or_impossible_date_has_no_year(self, value: Any) -> None:
        assert normalize.year(value) is None

    def test_years_from_1583_to_9999_are_read(self) -> None:
        """These are the years of ISO 8601."""
        assert "1583" == normalize.year("1583-01-01")
        assert "9999" == normalize.year("9999-12-31")

    @given(st.dates(min_value=date(1583, 1, 1)))
    def test_every_layout_of_a_day_has_its_year(self, day: date) -> None:
        written = [
            day.strftime(f) for f in ("%m-%d", "%m%d", "%d/%m", "%m/%d", "%d.%m")
        ]
        full = f"{day.year:04}"
        texts = [f"{full}-{written[0]}", f"{full}{written[1]}"]
        texts += [
            f"{written[2]}/{full}",
            f"{written[3]}/{full}",
            f"{written[4]}.{full}",
        ]

        assert {full} == {*map(normalize.year, (*texts, day.isoformat(), full))}

    def test_eight_digits_with_the_day_first_have_no_year(self) -> None:
        day = date(1583, 1, 1)
        while day.year < 2100:
            assert normalize.year(day.strftime("%d%m%Y")) is None
            day += timedelta(days=1)


class TestPrefix:
    @pytest.mark.parametrize(
        ("n", "value", "form"),
        [
            (3, "Christine", "chr"),
            (3, "Al", "al"),
            (3, "Al Khan", "al"),
            (4, "Al Khan", "al k"),
            (1, "\u00c9mile", "\u00e9"),
            (2, "\u00dfa", "ss"),
            (100, "Ada", "ada"),
        ],
    )
    def test_prefix_has_the_first_characters_of_the_form(
        self, n: int, value: str, form: str
    ) -> None:
        assert form == normalize.prefix(n)(value)

    @pytest.mark.parametrize("value", ["", " ", None, 12345])
    def test_blank_or_number_has_no_prefix(self, value: Any) -> None:
        assert normalize.prefix(3)(value) is None

    @pytest.mark.parametrize("n", [0, -1])
    def test_prefix_of_no_characters_is_refused(self, n: int) -> None:
        with pytest.raises(ValueError, match=f"a whole number from 1, not {n}"):
            normalize.prefix(n)

    @pytest.mark.parametrize("n", [2.5, "3", None])
    def test_prefix_length_that_is_no_integer_is_refused(self, n: Any) -> None:
        with pytest.raises(TypeError):
            normalize.prefix(n)


class TestPostcodeArea:
    @pytest.mark.parametrize(
        ("value", "form"),
        [
            # The six layouts of Royal Mail, with and without the inward code.
            *(("M1 1AE", "M.."), ("B33 8TH", "B.."), ("CR2 6XH", "CR..")),
            *(("DN55 1PT", "DN.."), ("W1A 1HQ", "W.."), ("EC1A 1BB", "EC..")),
            *(("m11ae", "M.."), ("EC1A1BB", "EC.."), ("SW1A\u00a01AA", "SW..")),
            *(("M1", "M.."), ("W1A", "W.."), ("DN55", "DN.."), ("EC1A", "EC..")),
            # All digits but two; nine digits are a ZIP+4.
            *(
                ("94103", "941.."),
                (94103, "941.."),
                (94103.0, "941.."),
                ("94103-1234", "941.."),
            ),
            *(("941031234", "941.."), ("01101", "011.."), ("2000", "20..")),
            *(("114 55", "114.."), ("100-0001", "10000.."), ("01310-100", "013101..")),
            *(("110001", "1100.."), ("SW..", "SW.."), ("sw..", "SW..")),
        ],
        ids=repr,
    )
    def test_postcode_has_its_area(self, value: Any, form: str) -> None:
        """The letters before the digits, or all digits but two, and two dots."""
        assert form == normalize.postcode_area(value)
        assert form == normalize.postcode_area(form)

    @pytest.mark.parametrize(
        "value",
        [
            *(
                "",
                " ",
                "-",
                "NA",
                "SW",
                "n/a",
                "none",
                "GIR 0AA",
                "FIQQ 1ZZ",
                "ABC1 1AA",
            ),
            *("K1A 0B1", "1234 AB", "D02 AF30", "AD500", "LV-1010", "D-10115"),
            *("101", "1", "1234567890", "1..", "1234567..", "M1 1A", "M1AA", "SW1A 1"),
            *(
                "\u00df1 1AA",
                "\u0661\u0662\u0663\u0664",
                "\ud800",
                "\uff2d1",
                "94103.0",
            ),
            *(None, True, 101, -94103, 94103.5, -94103.0, ("94103",)),
        ],
        ids=repr,
    )
    def test_value_that_is_no_postcode_has_no_area(self, value: Any) -> None:
        assert normalize.postcode_area(value) is None


TABLE = {"Robert": ["Bob", "ROB"], "Elizabeth": ("Liz", "Be\u0301a"), "Ada": ()}


class TestNicknames:
    @pytest.mark.parametrize(
        ("value", "form"),
        [
            ("Bob", "robert"),
            ("  rob ", "robert"),
            ("ROBERT", "robert"),
            ("B\u00c9A", "elizabeth"),
            ("Ada", "ada"),
            ("Zo\u00eb", "zo\u00eb"),
            ("Bob Smith", "bob smith"),
        ],
    )
    def test_nickname_has_the_form_of_its_name(self, value: str, form: str) -> None:
        """Other names have their own."""
        assert form == normalize.nicknames(TABLE)(value)

    @pytest.mark.parametrize("value", ["", " ", None, 1])
    def test_blank_or_number_has_no_form(self, value: Any) -> None:
        assert normalize.nicknames(TABLE)(value) is None

    def test_name_without_nicknames_has_the_form_of_text(self) -> None:
        assert "bob" == normalize.nicknames({})(" BOB")

    def test_repeated_nickname_is_accepted(self) -> None:
        table = {"Robert": ["Bob", "bob", "robert"], "ROBERT ": iter(["Rob", "BOB"])}
        given_name = normalize.nicknames(table)

        assert ["robert"] * 3 == [*map(given_name, ("Bob", "rob", "Robert"))]

    def test_later_changes_of_the_table_do_not_matter(self) -> None:
        short = ["Bob"]
        table = UserDict({"Robert": short})
        given_name = normalize.nicknames(table)
        short.append("Rob")
        table["Ada"] = ["Addie"]
        del table["Robert"]

        assert ["robert", "rob", "addie"] == [
            *map(given_name, ("Bob", "Rob", "Addie")),
        ]

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (
                {"Alan": ["Al"], "Albert": ["Bert", "AL"]},
                "'al' must be short for one name, not for 'alan' and 'albert'",
            ),
            (
                {"Elizabeth": ["Liz"], "Liz": ["Lizzie"]},
                "'liz' must be a name or stand for 'elizabeth', not both",
            ),
            (
                {"Liz": ["Lizzie"], "Elizabeth": ["Liz"]},
                "'liz' must be a name or stand for 'elizabeth', not both",
            ),
            ({"Jo": ["Joe"], "Joe": ["Jo"]}, "must be a name or stand for"),
            ({" ": ["Bob"]}, "a name must be text, not ' '"),
            ({"Robert": ["Bob", ""]}, "a name must be text, not ''"),
            ({"Robert": [1]}, "a name must be text, not 1"),
        ],
    )
    def test_nickname_of_two_names_is_refused(self, table: Any, message: str) -> None:
        """The message names it."""
        with pytest.raises(ValueError) as refused:
            normalize.nicknames(table)

        assert message in str(refused.value)

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ({"Robert": "Bob"}, "'robert' must have a list, not 'Bob'"),
            ({"Robert": None}, "'robert' must have a list, not None"),
            ([("Robert", ["Bob"])], "must be a mapping of names"),
        ],
    )
    def test_table_without_lists_is_refused(self, table: Any, message: str) -> None:
        """A text would be read letter by letter."""
        with pytest.raises(TypeError, match=message):
            normalize.nicknames(table)


class TestDate:
    @pytest.mark.parametrize(
        "value",
        [
            "1990-09-25",
            "1990/9/25",
            "1990.09.25",
            "19900925",
            19900925,
            19900925.0,
            " 1990-09-25T23:59:59+02:00 ",
            "25/09/1990",
            "25.9.1990",
            "25-09-1990 10:30",
        ],
        ids=repr,
    )
    def test_one_day_has_one_form_however_it_is_written(self, value: Any) -> None:
        day_first = normalize.date(order="dmy")
        is_year_first = not str(value).startswith("25")

        assert day_first(value) == "1990-09-25"
        assert normalize.date()(value) == ("1990-09-25" if is_year_first else None)

    def test_order_says_which_number_is_the_month(self) -> None:
        orders = [normalize.date("dmy"), normalize.date("mdy"), normalize.date()]

        assert [date("10/12/1990") for date in orders] == [
            "1990-12-10",
            "1990-10-12",
            None,
        ]
        assert [date("09/25/1990") for date in orders] == [None, "1990-09-25", None]

    @pytest.mark.parametrize(
        "value",
        [
            "1990-02-30",
            "31/04/1990",
            "25/09/90",
            "90-09-25",
            "1990-09",
            "1990",
            1990,
            "25/09-1990",
            "1582-12-31",
            "25091990",
            "25 Sep 1990",
            "",
            "\u0661\u0669\u0669\u0660-09-25",
            None,
            True,
            199009.25,
            ("1990-09-25",),
        ],
        ids=repr,
    )
    def test_value_that_is_no_whole_date_has_no_form(self, value: Any) -> None:
        """Nor a day that does not exist."""
        assert normalize.date("dmy")(value) is None

    @pytest.mark.parametrize("order", ["ymd", "", "DMY", 1])
    def test_other_order_is_refused(self, order: Any) -> None:
        with pytest.raises(ValueError, match="date: order must be 'dmy', 'mdy' or No"):
            normalize.date(order)

    def test_dates_compare_and_show_by_their_order(self) -> None:
        assert normalize.date() == normalize.date(None)
        assert normalize.date("dmy") == normalize.date(order="dmy")
        assert normalize.date("dmy") != normalize.date("mdy")
        assert [repr(normalize.date()), repr(normalize.date("dmy"))] == [
            "date()",
            "date('dmy')",
        ]

    @given(day=st.dates(date(1583, 1, 1)))
    def test_every_day_has_its_own_form_in_every_order(self, day: date) -> None:
        """And the year of it is that of ``year``."""
        written = day.strftime("%d/%m/") + f"{day.year:04}"
        form = day.isoformat()

        assert form == normalize.date("dmy")(written) == normalize.date()(form)
        assert form[:4] == normalize.year(form)
