"""Laws of normal forms: total, idempotent, and distinct for distinct mailboxes."""

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.strategies import json_values, rich_text
from upsertcore import normalize
from upsertcore.laws.normalisers import check_normaliser, idempotent_form
from upsertcore.normalize import Normalizer
from upsertcore.normalize.words import MAX_LENGTH

NORMALISERS = {
    "exact": normalize.exact,
    "text": normalize.text,
    "email": normalize.email,
    "phone": normalize.phone,
    "phone_in": normalize.phone_in("US"),
    "phone_with_code": normalize.phone_with_code,
    "email_mailbox": normalize.email_mailbox,
    "email_idna": normalize.email_idna,
    "digits": normalize.digits,
    "compact": normalize.compact,
    "chain": normalize.chain(normalize.email_idna, normalize.email_mailbox),
}
every_normaliser = pytest.mark.parametrize(
    "normal", NORMALISERS.values(), ids=NORMALISERS
)
CODE_POINTS = range(sys.maxunicode + 1)
# Marks of several classes, some invisible, double, or folding into a letter; letters
# that decompose into marks; delimiters of addresses; characters of numbers.
MARKS = "\u0301\u0316\u0345\u0344\u0f73\uff9e\u3099"
LETTERS = (
    "aA\u00df\u0130\u0149\u0390\u1fb7\u212a\u1100\u1161\u11a8 "
    "@x.'\"\u200b\u00ad\u2019<,;:"
)
AWKWARD = st.one_of(
    st.lists(
        st.builds(
            "{}{}".format,
            st.sampled_from(LETTERS),
            st.builds(
                lambda marks, times: "".join(marks) * times,
                st.lists(st.sampled_from(MARKS), max_size=3),
                st.integers(0, 12),
            ),
        ),
        max_size=6,
    ).map("".join),
    st.text("+0123456789 ().-/eE,\u2010\u00a0", max_size=22),
    st.floats(allow_nan=False).map(str),
    st.integers(0, 10**16).map(lambda number: f"{number:,}"),
)
LONG = 1_000_000


def values_with_forms(
    normal: Normalizer, values: Iterator[str]
) -> Iterator[tuple[str, str]]:
    """Yield each value that has a normal form, with that form."""
    for value in values:
        form = normal(value)
        if form is not None:
            yield value, form


@every_normaliser
@example(value="\ud800@x.org")
@example(value="x@\u1e9e\u0345.org")
@example(value="+1\u0660\uff115550001111")
@given(value=rich_text())
def test_normaliser_is_total_and_idempotent_on_any_text(
    normal: Normalizer, value: str
) -> None:
    """A text has no normal form, or one that is its own normal form."""
    check_normaliser(normal, [value])


@every_normaliser
@example(value="a" + "\u0344" * 30)
@example(value="\u0130" + "\u0316" * 30)
@example(value="a'" + "\u0301" * 20 + "'" + "\u0316" * 20)
@given(value=AWKWARD)
def test_normaliser_is_total_and_idempotent_on_awkward_text(
    normal: Normalizer, value: str
) -> None:
    """Sequences of marks, quotes, invisible characters and numbers that were floats."""
    check_normaliser(normal, [value, f"{value}@x.org", f"\u00e5{value}@x.org"])
    check_normaliser(normal, [f"{value}@gmail.com", f"a@{value}.xn--p1ai"])


@every_normaliser
def test_normaliser_keeps_the_laws_of_a_host_normaliser(normal: Normalizer) -> None:
    """On the awkward values of the kit."""
    check_normaliser(normal)


@every_normaliser
@given(value=json_values())
def test_normaliser_is_total_on_any_value(normal: Normalizer, value: Any) -> None:
    """A value that is no text may have a form; it never raises."""
    check_normaliser(normal, [value])


@every_normaliser
@pytest.mark.parametrize(
    "part", ["a", "1", "+", " ", "@", "\u0130", "\ud800", "a@\u0345"]
)
def test_normaliser_is_total_on_a_megabyte(normal: Normalizer, part: str) -> None:
    check_normaliser(normal, [part * (LONG // len(part))])


@pytest.mark.full
def test_text_form_is_idempotent_on_every_character() -> None:
    for value in map(chr, CODE_POINTS):
        idempotent_form(normalize.text, value)


@pytest.mark.full
def test_email_form_of_every_character_is_idempotent_and_keeps_ascii_apart() -> None:
    """A character beyond ASCII never becomes ASCII."""
    email = normalize.email
    pairs = list(values_with_forms(email, (f"x{chr(c)}@y.org" for c in CODE_POINTS)))
    foreign = [(value, form) for value, form in pairs if not value.isascii()]
    kept = ("x@y.org", "@y.org")

    assert [value for value, form in foreign if form.isascii()] == []
    assert [value for value, form in foreign if ascii_of(form) not in kept] == []
    for value, _form in pairs:
        idempotent_form(email, value)


def ascii_of(text: str) -> str:
    return "".join(filter(str.isascii, text))


@pytest.mark.parametrize("normal", [normalize.email, normalize.text])
def test_form_of_changing_characters_and_marks_is_idempotent(
    normal: Normalizer,
) -> None:
    """Pairs of characters that a form changes, with a mark between them."""
    random.seed(0)
    changing = [c for c in map(chr, CODE_POINTS) if f"x{c}" != normalize.text(f"x{c}")]
    marks = [chr(c) for c in range(0x300, 0x370)] + list(
        "\u0130\u212a\u037e\u1fef\u1e9e"
    )
    for _ in range(20_000):
        before, mark, after = map(random.choice, (changing, marks, changing))
        idempotent_form(normal, f"x{before}{mark}{after}@y.org")


@given(
    name=st.text("ab.+-_", min_size=1, max_size=9),
    domain=st.sampled_from(["gmail.com", "googlemail.com", "me.com", "x.org"]),
)
def test_mailbox_of_a_mailbox_is_itself(name: str, domain: str) -> None:
    """Other domains have the form of the address."""
    address = f"{name}@{domain}"
    form = normalize.email_mailbox(address)

    if domain == "x.org":
        assert form == normalize.email(address)
    elif form is not None:
        assert "+" not in form
        assert form == normalize.email_mailbox(form)


@given(value=st.text("0123456789 -+()./", max_size=20))
def test_phone_with_code_is_a_phone_or_has_no_plus(value: str) -> None:
    form, with_code = normalize.phone(value), normalize.phone_with_code(value)

    assert form is None or form == with_code
    if form is None and with_code is not None:
        assert "+" not in value
        assert with_code == normalize.phone(f"+{value.strip()}")


@given(st.sampled_from(["ada@x.org", "\u00e5sa@x.org"]), st.text(" \t\n", max_size=3))
def test_email_form_ignores_case_and_surrounding_space(
    address: str, space: str
) -> None:
    form = normalize.email(address)

    assert form == normalize.email(space + address.upper() + space)


@given(st.lists(st.sampled_from(["", " ", "-", "."]), min_size=11, max_size=11))
def test_phone_form_ignores_separators(between: list[str]) -> None:
    grouped = "".join(s + d for s, d in zip(between, "15550001111", strict=True))

    assert normalize.phone("+" + grouped) == "+15550001111"
    assert normalize.phone("00" + grouped) == "+15550001111"
    assert normalize.phone(grouped) is None


@given(
    st.lists(st.sampled_from(["", " ", "(", ") ", "/"]), min_size=11, max_size=11),
    st.sampled_from(["", ")"]),
)
def test_phone_with_brackets_and_slashes_gives_the_number_or_no_form(
    between: list[str], end: str
) -> None:
    """Brackets in pairs and a slash have a meaning, and never change the digits."""
    grouped = "".join(s + d for s, d in zip(between, "15550001111", strict=True)) + end

    assert normalize.phone("+" + grouped) in {"+15550001111", None}
    if grouped.count("(") != grouped.count(")"):
        assert normalize.phone("+" + grouped) is None


@pytest.mark.parametrize("signs", ["+", "00", "", "0", "++", "+00"])
@pytest.mark.parametrize("size", [6, 7, 15, 16])
@pytest.mark.parametrize("between", ["", " ", "-", "\u2010", "\u00a0", "x", "\x1c"])
def test_phone_form_is_the_same_with_separators_beyond_ascii(
    signs: str, size: int, between: str
) -> None:
    number = signs + between.join("1234567890123456"[:size])
    foreign = normalize.phone(number + "\u2010")

    assert foreign == normalize.phone(number + "-")


@given(value=st.one_of(AWKWARD, rich_text()))
def test_canonically_equivalent_texts_have_one_form(value: str) -> None:
    """Or none of them has a form."""
    for form in ("NFC", "NFD"):
        spelled = unicodedata.normalize(form, value)
        assert normalize.text(value) == normalize.text(spelled)


@pytest.mark.full
def test_email_with_a_forbidden_character_has_no_form() -> None:
    """Forbidden are white space, control, format, quotation marks and ``<>,;:@``."""
    quotes = (
        '"\u00ab\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u2e42'
        "\u300c\u300d\u300e\u300f\u301d\u301e\u301f\ufe41\ufe42\ufe43\ufe44\uff02\uff07"
        "\uff62\uff63"
    )
    for character in map(chr, CODE_POINTS):
        refused = (
            character.isspace()
            or unicodedata.category(character) in {"Cc", "Cf"}
            or character in quotes
            or character in "<>,;:@"
        )
        assert (normalize.email(f"\u00e5{character}b@x.org") is None) is refused, ascii(
            character
        )
        if character.isascii():
            assert (normalize.email(f"a{character}b@x.org") is None) is refused, ascii(
                character
            )
            in_domain = normalize.email(f"a@x{character}y")
            assert (in_domain is None) is (refused or character == "'"), ascii(
                character
            )


@given(value=st.text("+0123456789 .-/)", max_size=20))
def test_phone_with_a_plus_has_one_form_with_and_without_a_region(value: str) -> None:
    number = f"+{value}"

    assert normalize.phone(number) == NORMALISERS["phone_in"](number)


ASCII = st.text(st.characters(max_codepoint=127), max_size=12)


@given(
    value=st.one_of(
        ASCII,
        st.builds("{}@{}".format, ASCII, ASCII),
        st.text("a'@.b\"", max_size=9),
        st.text("+0123456789", max_size=18),
        st.integers(245, 256).map(lambda size: "a" * size + "@x"),
        st.integers(MAX_LENGTH - 2, MAX_LENGTH + 2).map("a ".__mul__),
    )
)
def test_ascii_pattern_matches_exactly_the_normal_forms(value: str) -> None:
    for pattern, normal in (
        (normalize.EMAIL_FORM, normalize.email),
        (normalize.PHONE_FORM, normalize.phone),
        (normalize.EXACT_FORM, normalize.exact),
    ):
        assert bool(pattern.fullmatch(value)) is (value == normal(value))
    words = " ".join(value.lower().split())
    assert bool(normalize.TEXT_FORM.fullmatch(words)) is (
        words == normalize.text(value)
    )
