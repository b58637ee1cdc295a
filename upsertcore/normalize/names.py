"""
Normalisers of personal names: initials, words in any order, nicknames.

Rules:
    They have no form where :func:`normalize.text` has none.
    A part matches more people than the whole name: it does not identify anyone alone.
    Each docstring names its false matches.
    The library contains no table of names.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from upsertcore.normalize.normalizer import Normalizer, ParameterNormalizer
from upsertcore.normalize.words import text
from upsertcore.values import show_value

__all__ = ["initials", "nicknames", "sorted_tokens"]

# Typed, typographic, accents used as apostrophes, letter modifiers, full width.
_APOSTROPHES = frozenset("'\u2018\u2019`\u00b4\u02bb\u02bc\uff07")


def initials(value: Any) -> str | None:
    """
    Compare names by the first character of each word.

    False matches: people with the same initials (Ada King, Alan Kay); combine it
    with a surname and a date. "J. R. R." is three words, "JRR" is one.

    Args:
        value: Text: one name or several.

    Returns:
        The first characters of the words of :func:`sorted_tokens`, in their original
        order, separated by spaces; None without a letter or digit.

    >>> initials("Ada Byron King"), initials("J.-P. O'Neill"), initials("--")
    ('a b k', 'j p o', None)
    """
    return " ".join([word[0] for word in _words(value)]) or None


def sorted_tokens(value: Any) -> str | None:
    """
    Compare names in any order of their words.

    False matches: people whose given name is the other's surname (James Henry, Henry
    James). A middle name that only one side has prevents a match.

    Args:
        value: Text: a whole name, in any order.

    Returns:
        The words of the form of :func:`text`, in code point order, separated by
        spaces; None without a letter or digit. Apostrophes are removed ("O'Brien" is
        "OBrien"); any other character that is not a letter, accent or digit separates
        words ("King,Ada", "Anne-Marie", "J.R.").

    >>> sorted_tokens("King, Ada") == sorted_tokens("Ada KING")
    True
    >>> sorted_tokens("Anne-Marie O\u2019Brien")
    'anne marie obrien'
    """
    return " ".join(sorted(_words(value))) or None


def nicknames(table: Mapping[str, Iterable[str]]) -> Normalizer:
    """
    Return a normaliser that replaces the short form of a name with the full name.

    The application supplies the table: short forms depend on language and generation,
    and public lists map one to many names ("Al": Alan, Albert, Alice).

    False matches: people whose full name is the short form.

    Args:
        table: Full name to its short forms; each short form belongs to one name.
            Copied. Names are compared by their forms of :func:`text`.

    Returns:
        A normaliser: the form of the full name if the whole value is one of its short
        forms, else the form of the value.

    Raises:
        TypeError: If the table is not a mapping of names to lists.
        ValueError: If a short form belongs to two names or is itself a name with short
            forms, or a name is blank or not text.

    >>> given = nicknames({"Robert": ["Bob", "Rob"], "Elizabeth": ["Liz"]})
    >>> given("BOB"), given("Robert"), given("Ada")
    ('robert', 'robert', 'ada')
    >>> nicknames({"Alan": ["Al"], "Albert": ["Al"]})
    Traceback (most recent call last):
        ...
    ValueError: nicknames: 'al' must be short for one name, not for 'alan' and ...
    """
    checked = _checked(table)
    names = _names(checked)

    def name_of_text(value: Any) -> str | None:
        form = text(value)
        return None if form is None else names.get(form, form)

    return ParameterNormalizer(nicknames, name_of_text, checked)


def _checked(table: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return a copy of a table."""
    if not isinstance(table, Mapping):
        what = f"must be a mapping of names, not {show_value(table)}"
        raise TypeError(f"nicknames: {what}; write {{'Robert': ['Bob', 'Rob']}}")
    for full, short in table.items():
        if isinstance(short, str) or not isinstance(short, Iterable):
            what = f"{_name(full)!r} must have a list, not {show_value(short)}"
            raise TypeError(f"nicknames: {what}; list its short forms")
    return {full: [*short] for full, short in table.items()}


def _names(table: Mapping[str, list[str]]) -> dict[str, str]:
    """Return short form to full name; refuse a short form of two names."""
    names: dict[str, str] = {}
    for full, short in table.items():
        name = _name(full)
        for form in map(_name, short):
            if form != name and names.setdefault(form, name) != name:
                both = f"{names[form]!r} and {name!r}"
                what = f"{form!r} must be short for one name, not for {both}"
                raise ValueError(f"nicknames: {what}; leave it out of one list")
    for name in names.values():
        if name in names:
            raise ValueError(
                f"nicknames: {name!r} must be a name or stand for {names[name]!r}, "
                "not both; list its short forms there"
            )
    return names


def _name(value: Any) -> str:
    form = text(value)
    if form is None:
        what = f"a name must be text, not {show_value(value)}"
        raise ValueError(f"nicknames: {what}; name it as it is written")
    return form


def _words(value: Any) -> list[str]:
    form = text(value) or ""
    words = "".join(
        [
            char if unicodedata.category(char)[0] in "LMN" else " "
            for char in form
            if char not in _APOSTROPHES
        ]
    )
    # Without the apostrophe, a letter and an accent may now compose.
    return (text(words) or "").split()
