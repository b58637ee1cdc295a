"""
Normalisers by sound: codes that different spellings of an English name share.

Rules:
    They keep the laws of :mod:`upsertcore.normalize`; the codes are jellyfish's.
    They need the extra ``[phonetic]``; nothing of the library imports them.
    A name with a letter that has no base from A to Z has no code: none is guessed.
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
# What modifies a letter (Lm) is none of its own: the apostrophe of U+02BC is one.
_LETTERS = frozenset({"Lu", "Ll", "Lo"})


def soundex(value: Any) -> str | None:
    """
    Compare surnames by their American Soundex code.

    Made for surnames as they sound in English. The first letter is kept, so
    "Catherine" (C365) and "Katherine" (K365) are apart.

    Joins wrongly: R163 is Robert and Rupert, S530 is Smith, Smythe, Sandy and
    Sunday; there are 6 734 codes for all the names in the world.

    Args:
        value: Text: one name. Its letters are read together, so "Van Deusen" is
            "VanDeusen"; accents and whatever is no letter are passed over.

    Returns:
        A capital and three digits; None without a letter from A to Z, with a letter
        of another script or one that has no base (``ø``), or where
        :func:`upsertcore.normalize.text` finds the value too long or too crowded. A
        code is its own.

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
    Compare surnames by their NYSIIS code, which tells more apart than Soundex.

    Made for the surnames of New York State. It keeps the order of vowels and
    consonants, every vowel as A, and the whole code, not its first six letters.

    Joins wrongly: SNAT is Smith, Schmit and Smoot, DAN is Dane, Dean and Dionne.
    Implementations differ in rare rules (Deutsch is DATS here, DAT elsewhere): do
    not compare these codes with those of another system.

    Args:
        value: Text, read as by :func:`soundex`.

    Returns:
        The code between strokes, ``/SNAT/``: a code read as a name would often have
        another code (AEV: AAF, and that: AF), and so it is marked as none. None as
        by :func:`soundex`. A code between strokes is its own.

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
    """Give the letters of a name from A to Z; none if there is another letter."""
    written = single_spaced(value) if isinstance(value, str) else None
    if written is None or has_too_many_marks(written):
        return ""
    bare = unicodedata.normalize("NFKD", written).upper()
    name = []
    for each in bare:
        if "A" <= each <= "Z":
            name.append(each)
        elif unicodedata.category(each) in _LETTERS:
            return ""
    return "".join(name) if len(name) <= MAX_LENGTH else ""
