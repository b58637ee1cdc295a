"""
Normalisers by sound: codes that different spellings of an English name share.

Rules:
    They keep the laws of :mod:`upsertcore.normalize`; jellyfish computes the codes.
    They need the extra ``[phonetic]``; no other module imports this one.
    A name with a letter that has no base letter from A to Z has no code.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from upsertcore.normalize.words import MAX_LENGTH, has_too_many_marks, single_spaced

try:
    import jellyfish
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "upsertcore.normalize.phonetic needs the package jellyfish: "
        "pip install 'upsertcore[phonetic]'",
        name="jellyfish",
    ) from error

__all__ = ["nysiis", "soundex"]

_SOUNDEX = re.compile("[A-Z](?:[1-6]{3}|[1-6]{2}0|[1-6]00|000)")
_NYSIIS = re.compile(rf"/[A-Z]{{1,{MAX_LENGTH}}}/")
# Modifier letters (Lm), such as the apostrophe U+02BC, are not letters of a name.
_LETTERS = frozenset({"Lu", "Ll", "Lo"})


def soundex(value: Any) -> str | None:
    """
    Compare surnames by their American Soundex code.

    Designed for English surnames. The first letter is kept, so "Catherine" (C365) and
    "Katherine" (K365) differ.

    False matches: R163 is Robert and Rupert, S530 is Smith, Smythe, Sandy and Sunday;
    there are only 6 734 codes.

    Args:
        value: Text: one name. Spaces are ignored, so "Van Deusen" is "VanDeusen", as
            are accents and all characters that are not letters.

    Returns:
        A capital and three digits. None without a letter from A to Z, with a letter of
        another script or one without a base letter (``ø``), or where the value exceeds
        the limits of :func:`upsertcore.normalize.text`. The code of a code is itself.

    Source:
        U.S. National Archives, The Soundex Indexing System: H and W do not separate
        consonants of one number, vowels do.

    >>> soundex("Robert"), soundex("Rupert"), soundex("R163"), soundex("Гаусс")
    ('R163', 'R163', 'R163', None)
    """
    if isinstance(value, str) and _SOUNDEX.fullmatch(value):
        return value
    name = _letters(value)
    return jellyfish.soundex(name) if name else None


def nysiis(value: Any) -> str | None:
    """
    Compare surnames by their NYSIIS code, which is more precise than Soundex.

    Designed for the surnames of New York State. It keeps the order of vowels (all
    written A) and consonants, and is not cut after six letters.

    False matches: SNAT is Smith, Schmit and Smoot, DAN is Dane, Dean and Dionne.
    Implementations differ in rare cases (Deutsch is DATS here, DAT elsewhere): do not
    compare these codes with those of another system.

    Args:
        value: Text, read as in :func:`soundex`.

    Returns:
        The code between slashes, ``/SNAT/``. The slashes mark it as a code, because a
        code that is read as a name often has a different one (AEV: AAF: AF). None as
        in :func:`soundex`. The code of a code between slashes is itself.

    Source:
        R. L. Taft, Name Search Techniques, New York State Identification and
        Intelligence System, Special Report 1, 1970.

    >>> nysiis("Smith"), nysiis("Schmit"), nysiis("/SNAT/"), nysiis("Smyth-3")
    ('/SNAT/', '/SNAT/', '/SNAT/', '/SNYT/')
    """
    if isinstance(value, str) and _NYSIIS.fullmatch(value):
        return value
    name = _letters(value)
    return f"/{jellyfish.nysiis(name)}/" if name else None


def _letters(value: Any) -> str:
    """Return the letters of a name from A to Z; none if it has another letter."""
    spaced = single_spaced(value) if isinstance(value, str) else None
    if spaced is None or has_too_many_marks(spaced):
        return ""
    letters = []
    for char in unicodedata.normalize("NFKD", spaced).upper():
        if "A" <= char <= "Z":
            letters.append(char)
        elif unicodedata.category(char) in _LETTERS:
            return ""
    return "".join(letters) if len(letters) <= MAX_LENGTH else ""
