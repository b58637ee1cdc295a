"""
The normaliser of email addresses.

Rules:
    White space around an address and case do not count; no rule of a provider applies.
    A character outside ASCII never becomes an ASCII one.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from upsertcore.normalize.words import INERT, has_too_many_marks

__all__ = ["EMAIL_FORM", "email"]

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

# lower() makes an address of these that is in NFC, and it makes none of them ASCII.
_INERT_ADDRESS = re.compile(rf"[{_ASCII}A-Z{INERT}]+@[{_ASCII}A-Z{INERT}]+")

# No character of NFC decomposes into more than four.
_MAX_WRITTEN = 4 * _MAX_ADDRESS

# The characters that NFC or lower() would turn into ASCII: GREEK QUESTION MARK,
# GREEK VARIA, KELVIN SIGN, LATIN CAPITAL LETTER I WITH DOT ABOVE. A test over all
# code points shows that there are no others.
_GUARDED = re.compile("([\u037e\u1fef\u212a\u0130])")


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
    if len(form) <= _MAX_ADDRESS and _INERT_ADDRESS.fullmatch(form):
        return form.lower()
    if len(form) > _MAX_WRITTEN or has_too_many_marks(form):
        return None
    form = _lower(form)
    # Format characters are not printable; nor are others.
    if len(form) > _MAX_ADDRESS or not (form.isprintable() or _is_without_format(form)):
        return None
    return form if _ADDRESS.fullmatch(form) else None


def _is_without_format(value: str) -> bool:
    return "Cf" not in map(unicodedata.category, value)


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
