"""
Normalisers: the form of a value in which keys are compared.

Rules:
    A normaliser is pure, total on text, idempotent and linear in the length of its
    value, and may return None: no key. No key is better than another person's.
    Identifiers, dates and postcodes may be numbers; words, mailboxes and telephone
    numbers are text.
    Normal forms are for comparing alone; what is stored is what was sent.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from upsertcore.normalize.parts import (
    Normalizer,
    initials,
    nicknames,
    postcode_area,
    prefix,
    sorted_tokens,
    text,
    year,
)
from upsertcore.normalize.patterns import PLACEHOLDERS
from upsertcore.normalize.phones import PHONE_FORM, SEPARATORS, phone, phone_in
from upsertcore.normalize.words import MAX_LENGTH, has_too_many_marks, whole_number

__all__ = [
    "EMAIL_FORM",
    "EXACT_FORM",
    "PHONE_FORM",
    "PLACEHOLDERS",
    "SEPARATORS",
    "TEXT_FORM",
    "Normalizer",
    "email",
    "exact",
    "initials",
    "nicknames",
    "phone",
    "phone_in",
    "postcode_area",
    "prefix",
    "sorted_tokens",
    "text",
    "year",
]

EXACT_FORM = re.compile(r"(?s)\s*\S.*")
"""What :func:`exact` makes of text, as a whole."""

TEXT_FORM = re.compile(rf"(?s).{{1,{MAX_LENGTH}}}")
"""What :func:`text` makes of ASCII in lower case with single spaces, as a whole."""

_MAX_ADDRESS = 254
# Of ASCII all that is printable, without capitals, the apostrophe and " , : ; < > @
_ASCII = r"!#-&(-+\--9=?\[-~"
EMAIL_FORM = re.compile(
    rf"(?!.{{{_MAX_ADDRESS + 1}}})[{_ASCII}][{_ASCII}']*(?<!')@[{_ASCII}]+"
)
"""What :func:`email` makes of ASCII, as a whole."""

# Beyond ASCII: neither white space, nor a control character, nor a quotation mark
# (Unicode's property Quotation_Mark) but an apostrophe inside the name.
_EXCLUDED = (
    r"\s\x00-\x1f\x7f-\x9f\",:;<>@\u00ab\u00bb\u2018-\u201f\u2039\u203a\u2e42"
    r"\u300c-\u300f\u301d-\u301f\ufe41-\ufe44\uff02\uff07\uff62\uff63"
)
_ADDRESS = re.compile(
    rf"[^{_EXCLUDED}'](?:[^{_EXCLUDED}]*[^{_EXCLUDED}'])?@[^{_EXCLUDED}']+"
)
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
# No character of NFC decomposes into more than four.
_MAX_WRITTEN = 4 * _MAX_ADDRESS

# The characters that NFC or lower() would turn into ASCII: GREEK QUESTION MARK,
# GREEK VARIA, KELVIN SIGN, LATIN CAPITAL LETTER I WITH DOT ABOVE. The tests look
# at every code point to show that there are no others.
_GUARDED = re.compile("([\u037e\u1fef\u212a\u0130])")


def exact(value: Any) -> str | None:
    """
    Compare identifiers as they are; a whole number as its digits.

    Args:
        value: Text or a whole number. A float that stands for one counts as the
            number, for that is how pandas and spreadsheets write it: 1001.0 is 1001.

    Returns:
        The text itself, so upper and lower case differ; None for anything else, for
        text of white space alone, and for a float of 2**53 or beyond.

    >>> exact(249) == exact("249") == exact(249.0), exact("A1") == exact("a1")
    (True, False)
    >>> exact(" "), exact(249.5)
    (None, None)
    """
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    number = whole_number(value)
    try:
        return None if number is None else str(number)
    except ValueError:
        # Python refuses to write a number of so many digits.
        return None


def email(value: Any) -> str | None:
    """
    Compare mailboxes: white space around and case do not count.

    No provider's rules (dots, plus tags) are applied, and no character outside
    ASCII ever becomes one inside: KELVIN SIGN is not k, or one person could take
    another's contact.

    Args:
        value: Text.

    Returns:
        Stripped, NFC, lower case: something on both sides of one ``@``, at most 254
        characters. None if there is more than one ``@``, white space, a control or
        format character (such as ZERO WIDTH SPACE), one of ``<>,;:``, a quotation
        mark (an apostrophe between two characters of the name is none), or more than
        30 combining marks in a row.

    Source:
        Unicode 15, SpecialCasing.txt, the singleton decompositions of NFC, and the
        property Quotation_Mark; RFC 5321, 4.5.3.1, with RFC erratum 1690.

    >>> email(" Ada@Example.ORG "), email("o'brien@x.org")
    ('ada@example.org', "o'brien@x.org")
    >>> email("Ada <ada@x.org>"), email("mailto:ada@x.org"), email("'ada@x.org'")
    (None, None, None)
    """
    if not isinstance(value, str):
        return None
    form = value.strip()
    if form.isascii():
        form = form.lower()
        return form if EMAIL_FORM.fullmatch(form) else None
    if len(form) > _MAX_WRITTEN or has_too_many_marks(form):
        return None
    form = _lower(form)
    foreign = "".join(_FOREIGN.findall(form))
    if len(form) > _MAX_ADDRESS or "Cf" in map(unicodedata.category, foreign):
        return None
    return form if _ADDRESS.fullmatch(form) else None


def _lower(value: str) -> str:
    if not _GUARDED.search(value):
        return _nfc(_nfc(value).lower())
    for step in (_nfc, str.lower, _nfc):
        parts = _GUARDED.split(value)
        parts[::2] = [step(part) for part in parts[::2]]
        value = "".join(parts)
    return value


def _nfc(value: str) -> str:
    return unicodedata.normalize("NFC", value)
