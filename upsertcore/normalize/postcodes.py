"""
The normaliser of postcodes: their area.

Rules:
    An area is not a word, so its form ends with two dots.
    The library contains no table of places.
"""

from __future__ import annotations

import re
from typing import Any

from upsertcore.normalize.identifiers import as_text

__all__ = ["postcode_area"]

# A British outward code, with or without the inward code; digits less two; a ZIP+4;
# a form itself.
_AREAS = (
    re.compile(r"([A-Z]{1,2})[0-9][A-Z0-9]?(?:[0-9][A-Z]{2})?"),
    re.compile(r"([0-9]{2,6})[0-9]{2}"),
    re.compile(r"([0-9]{3})[0-9]{6}"),
    re.compile(r"([A-Z]{1,2}|[0-9]{2,6})\.\."),
)


def postcode_area(value: Any) -> str | None:
    """
    Compare postcodes by their area.

    The area of a British postcode is Royal Mail's: the one or two letters before the
    first digit. The area of a numeric code is all but its last two digits: the
    sectional centre of a ZIP Code, for example, or ``20..`` for the Australian codes
    2000 and 2099.

    False matches: people of the same city; codes of two countries with the same
    digits; a code that lost its leading zeros as a number (01101 sent as 1101).

    Args:
        value: Text or a whole number; white space, hyphens and case do not count.

    Returns:
        The area, with two dots for the rest, so that a word of two letters ("NA") is
        not an area. None for fewer than 4 or more than 8 digits (except the 9 of a
        ZIP+4), and for other codes with letters and digits: for Canadian, Dutch and
        Irish codes use :func:`prefix`. Half a Canadian code ("K1A") is read as British.

    Source:
        Royal Mail, PAF Programmers' Guide: the postcode, its outward and inward code
        and their six shapes. USPS, Domestic Mail Manual, L005: 3-digit ZIP Code
        prefixes of sectional center facilities.

    >>> postcode_area("SW1A 1AA"), postcode_area("m1 1ae"), postcode_area("EC1V")
    ('SW..', 'M..', 'EC..')
    >>> postcode_area("94103-1234"), postcode_area(94110), postcode_area("K1A 0B1")
    ('941..', '941..', None)
    """
    code = "".join(as_text(value).split()).replace("-", "")
    if not code.isascii():
        return None
    code = code.upper()
    for pattern in _AREAS:
        match = pattern.fullmatch(code)
        if match is not None:
            return f"{match[1]}.."
    return None
