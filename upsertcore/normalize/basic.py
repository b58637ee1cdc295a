"""
Normalisers: functions from a value to the form by which keys are compared.

Rules:
    A normaliser is pure, total on text, idempotent and linear in the length of the
    value. It may return None: no key, which is better than the key of someone else.
    Identifiers, dates and postcodes may be numbers; words, email addresses and
    telephone numbers are text.
    Forms are for comparison only; the value is stored as it was sent.
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
"""Matches every form that :func:`exact` returns for text."""

TEXT_FORM = re.compile(rf"(?s).{{1,{MAX_LENGTH}}}")
"""Matches ASCII text in lower case with single spaces: a form of :func:`text`."""

_MAX_ADDRESS = 254
# Printable ASCII without capitals, the apostrophe and " , : ; < > @
_ASCII = r"!#-&(-+\--9=?\[-~"
EMAIL_FORM = re.compile(
    rf"(?!.{{{_MAX_ADDRESS + 1}}})[{_ASCII}][{_ASCII}']*(?<!')@[{_ASCII}]+"
)
"""Matches every ASCII form that :func:`email` returns."""

# Outside ASCII: no white space, control characters or quotation marks (Unicode's
# property Quotation_Mark), except for an apostrophe inside the local part.
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
# GREEK VARIA, KELVIN SIGN, LATIN CAPITAL LETTER I WITH DOT ABOVE. A test over all
# code points shows that there are no others.
_GUARDED = re.compile("([\u037e\u1fef\u212a\u0130])")


def exact(value: Any) -> str | None:
    """
    Compare identifiers as they are; a whole number as its digits.

    Args:
        value: Text or a whole number. A float with a whole value counts as the number,
            because pandas and spreadsheets write 1001 as 1001.0.

    Returns:
        The text itself, so upper and lower case differ; None for blank text, for a
        float of 2**53 or more, and for any other value.

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
        # Python does not convert integers with too many digits to text.
        return None


def email(value: Any) -> str | None:
    """
    Compare email addresses; surrounding white space and case are ignored.

    Rules of providers (dots, plus tags) are not applied. A character outside ASCII
    never becomes an ASCII one: if KELVIN SIGN were read as k, one person could take
    over the contact of another.

    Args:
        value: Text.

    Returns:
        The address, stripped, in NFC and lower case: text on both sides of one ``@``,
        at most 254 characters. None if it has more than one ``@``, white space, a
        control or format character (such as ZERO WIDTH SPACE), one of ``<>,;:``, a
        quotation mark (an apostrophe inside the local part is allowed), or more than
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
