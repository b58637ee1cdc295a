"""
Laws of normalisers: total, pure, a form is its own form, a number has one form.

Rules:
    Each law is a function that returns None if it holds, and raises ``LawBroken`` with
    the value and the results if it does not.
    Text is passed as it is, with lone surrogates too; any other value is frozen, as a
    field holds it.
    The pool of values is fixed, so checks are repeatable.

A custom normaliser is checked in one line:

>>> def tag(value):
...     return value.strip().casefold() or None if isinstance(value, str) else None
>>> check_normaliser(tag)

A failing check shows what is wrong:

>>> total(lambda value: value.strip(), " ")
Traceback (most recent call last):
    ...
upsertcore.laws.errors.LawBroken: total: for ' ' it returns '', and blank text is no \
form; return None
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from upsertcore.laws.errors import LawBroken
from upsertcore.normalize import Normalizer
from upsertcore.normalize.identifiers import whole_number
from upsertcore.values import freeze, show_value, thaw

__all__ = [
    "check_normaliser",
    "idempotent_form",
    "one_number",
    "pure",
    "texts",
    "total",
]

_LENGTH = 50_000

_TEXTS = (
    # Blank and white space, ASCII and other; characters that only look like it.
    *("", " ", "\t\r\n", "\x1f", "\x85", "\u00a0", "\u2003", "\u3000", "\u200b"),
    *("\ufeff", "\x00", "\x7f", "\u00ad", "\u202e"),
    # Awkward names, and combining marks: alone, first, out of order, stacked.
    *("a", "A", " a   b ", "Zo\u00eb", "Zoe\u0308", "\u0301", "a\u0316\u0301"),
    *("a\u0301\u0316", "\u0345\u0301", "\u03b1\u0345\u0301", "e" + "\u0301" * 40),
    # Marks up to the limit of UAX 15 (stream-safe text), and beyond: of one class or
    # two, marks that decompose into two, marks that do not combine.
    *("a" + "\u0316" * 30, "\u00e1" + "\u0316" * 30, "\u0130" + "\u0316" * 30),
    *("a" + "\u0301\u0316" * 15, "a" + "\u0344" * 30, "a" + "\u0f73\u0301" * 15),
    *("\u30ab" + "\uff9e\u0301" * 30, "a'" + "\u0301" * 20 + "'" + "\u0316" * 20),
    "a" + "\u0301\u0316" * 1_000,
    # Characters that change length, script or shape in another case or in NFC:
    # KELVIN SIGN, ANGSTROM SIGN, sharp s in both cases, I with and i without a dot,
    # long s, final sigma, a ligature, GREEK QUESTION MARK, GREEK VARIA, Cherokee.
    *("\u212a", "\u212b", "\u00df", "\u1e9e", "STRASSE", "\u0130", "\u0131", "\u017f"),
    *("\u03a3\u03a3", "\ufb03", "\u037e", "\u1fef", "\u13a0\uab70", "\u1e9e\u0345"),
    *("\uff21\uff22", "\u2126", "\u1100\u1161\u11a8", "\U0001f469\u200d\U0001f52c"),
    *("\u05d0\u05d1", "\u4e2d\u6587", "\U00010400", "\U0010ffff", "\uffff"),
    # Text for which folding and composing once, in either order, is not enough.
    *("\u00df\u0301", "T\u0308", "\u0130\u0316", "\u03aa\u0300", "\u1fb7", "\u0149"),
    *("\u01f0", "\u01f0\u0345", "\u1d2c", "\u03d4", "\u00b4", "\u037a"),
    # Text that cannot be encoded as UTF-8: lone surrogates.
    *("\ud800", "\udfff", "\ud800@x.org", "a\udc80b"),
    # Addresses and near misses.
    *("Ada@X.org", " ada@x.org ", "@", "a@", "@a", "a@b@c", "a b@x.org", "a\x00@x.org"),
    *("\u212a@x.org", "a@\u0345", "x@\u1e9e\u0345.org", "\uff41@x.org", '"a b"@x.org'),
    *("mailto:mailto:a@x.org", "Ada <a@x.org>", "a@x.org,b@x.org", "a@[127.0.0.1]"),
    *(
        "'a@x.org'",
        '"a@x.org"',
        "\u201ca@x.org\u201d",
        "o'neill@x.org",
        "\u00e5'@x.org",
    ),
    *("a@x.org\u200b", "\u00e5" + "\u0316" * 30 + "@x.org", "e\u0301" * 252 + "@x"),
    # Numbers, and digits of other scripts, which isdigit or int() accepts as digits.
    *("0", "-0", "00", "249", "1.0", "1e5", "\u00b2", "\u2460", "\u0661\u0662\u0663"),
    *("\uff11\uff12", "\U0001d7d8", "+15550001111", "+1 (555) 000-1111", "+", "++1"),
    *("0015550001111", "555-0001", "+1\u0660\uff115550001111", "+15550001111 ext. 5"),
    *(
        "+44 (0)20 7946 0107",
        "+1.5550001111",
        "+1 555\u2011000\u20111111",
        "030/1234567",
    ),
    # Numbers that were floats, and grouped digits.
    *("305550106.0", "+15550001111.0", "12345678.", "1,234,567", "nan", "1815.0"),
    *(
        "+1-800-FLOWERS",
        "1" * 5_000,
        "0000001",
        "null",
        "None",
        "-1",
        "%s",
        "{0}",
        "\\",
        "'\"",
    ),
)
_REPEATED = ("a", "1", "+", " ", "@", "a@", "\u0130", "\u0301", "\ud800")
_NO_TEXTS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 249, 1.0, 0.5, 10**30, [], ["a"], [["a"]], [None]),
    *(1001, 1815, 94103, 18151210, 15550001111, -7.0, 1001.0, 1e15, 2.0**53, 1e300),
    *({}, {"a": 1}, {"a": {"b": []}}),
)


def texts() -> Iterator[str]:
    """
    Return a small fixed pool of awkward texts.

    Returns:
        Blank and white space, marks, characters that change their length or script,
        lone surrogates, near misses of addresses and of telephone numbers, digits of
        other scripts, and some texts of fifty thousand characters.

    >>> "" in texts(), len(list(texts())) == len(set(texts()))
    (True, True)
    """
    yield from _TEXTS
    for part in _REPEATED:
        yield part * (_LENGTH // len(part))


def total(normaliser: Normalizer, value: Any) -> None:
    """
    Assert that a normaliser returns non-blank text or None, and never raises.

    Args:
        normaliser: A function from a value to its normal form or None.
        value: Text, or another value that a field may hold.

    Raises:
        LawBroken: If it raises, or returns anything else.
        ValueError: If a field cannot hold the value.

    >>> total(lambda value: value.strip() or None, 249)
    Traceback (most recent call last):
        ...
    upsertcore.laws.errors.LawBroken: total: for 249 it raises AttributeError; \
return None for a value without a form
    """
    _form(normaliser, _frozen(value))


def pure(normaliser: Normalizer, value: Any) -> None:
    """
    Assert that a normaliser returns the same form for the same value.

    Args:
        normaliser: A function from a value to its normal form or None.
        value: Text, or another value that a field may hold.

    Raises:
        LawBroken: If it does not, or is not total.
        ValueError: As :func:`total`.

    >>> from itertools import count
    >>> pure(lambda _value, ticks=count(): str(next(ticks)), "a")
    Traceback (most recent call last):
        ...
    upsertcore.laws.errors.LawBroken: pure: for 'a' it returns '0', and then '1'
    """
    given = _frozen(value)
    form, second = _form(normaliser, given), _form(normaliser, given)
    if form != second:
        what = f"{show_value(form)}, and then {show_value(second)}"
        raise LawBroken("pure", f"for {_shown(given)} it returns {what}")


def idempotent_form(normaliser: Normalizer, value: Any) -> None:
    """
    Assert that a normal form is its own normal form.

    Args:
        normaliser: A function from a value to its normal form or None.
        value: Text, or another value that a field may hold.

    Raises:
        LawBroken: If it is not, or the normaliser is not total.
        ValueError: As :func:`total`.

    >>> idempotent_form(lambda value: value.removeprefix("+"), "++1")
    Traceback (most recent call last):
        ...
    upsertcore.laws.errors.LawBroken: idempotent: for '++1' it returns '+1', and for \
that '1'
    """
    given = _frozen(value)
    form = _form(normaliser, given)
    if form is None:
        return
    again = _form(normaliser, form)
    if form != again:
        raise LawBroken(
            "idempotent",
            f"for {_shown(given)} it returns {show_value(form)}, "
            f"and for that {show_value(again)}",
        )


def one_number(normaliser: Normalizer, value: Any) -> None:
    """
    Assert that a whole number has one form, as an int and as a float.

    JSON has one kind of number, and tables that cannot hold a missing integer write
    1001 as 1001.0. If only one of them has a form, a contact is created twice.

    Args:
        normaliser: A function from a value to its normal form or None.
        value: A number; other values are not checked.

    Raises:
        LawBroken: If the forms differ, or the normaliser is not total.
        ValueError: As :func:`total`.

    >>> one_number(lambda value: str(value), 1001)
    Traceback (most recent call last):
        ...
    upsertcore.laws.errors.LawBroken: one_number: for 1001 it returns '1001', and for \
1001.0 '1001.0'
    """
    number = whole_number(_frozen(value))
    if number is None or abs(number) >= 2**53:
        return
    form, second = _form(normaliser, number), _form(normaliser, float(number))
    if form != second:
        raise LawBroken(
            "one_number",
            f"for {number} it returns {show_value(form)}, "
            f"and for {float(number)} {show_value(second)}",
        )


_LAWS: tuple[Callable[[Normalizer, Any], None], ...] = (
    total,
    pure,
    idempotent_form,
    one_number,
)


def check_normaliser(
    normaliser: Normalizer, values: Iterable[Any] | None = None
) -> None:
    """
    Assert that a normaliser is total, pure, idempotent and has one form of a number.

    Args:
        normaliser: A function from a value to its normal form or None.
        values: The values to try. If None, :func:`texts` and values of every other
            kind, since a patch may send a number as an address.

    Raises:
        LawBroken: At the first value that breaks one of the laws.
        ValueError: As :func:`total`.

    >>> from upsertcore import normalize
    >>> check_normaliser(normalize.email)
    >>> check_normaliser(str.lower, ["Ada"])
    """
    for value in (*texts(), *_NO_TEXTS) if values is None else values:
        for law in _LAWS:
            law(normaliser, value)


def _frozen(value: Any) -> Any:
    return value if isinstance(value, str) else freeze(value)


def _shown(value: Any) -> str:
    return show_value(thaw(value))


def _form(normaliser: Normalizer, value: Any) -> str | None:
    """Call a normaliser, and check that it returns a form or None."""
    try:
        form: Any = normaliser(value)
    except Exception as error:
        what = f"for {_shown(value)} it raises {type(error).__name__}"
        advice = "return None for a value without a form"
        raise LawBroken("total", f"{what}; {advice}") from error
    if form is None or (isinstance(form, str) and form.strip()):
        return form
    what = f"for {_shown(value)} it returns {show_value(form)}, and"
    if isinstance(form, str):
        raise LawBroken("total", f"{what} blank text is no form; return None")
    raise LawBroken("total", f"{what} a form is text or None")
