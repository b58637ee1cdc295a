"""
How a file is read, where it does not say so itself.

Rules:
    Every default means: recognise it.
    A bad setting is reported when the settings are made, before any file is opened.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import Any

from attrs import Attribute, field, frozen

from upsertcore.values import show_value

__all__ = ["ReadOptions"]

_NAMED = {"tab": "\t", r"\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


def _delimiter(name: Any) -> Any:
    return _NAMED.get(name.lower(), name) if isinstance(name, str) else name


def _texts(words: Any) -> Any:
    if isinstance(words, Iterable) and not isinstance(words, str):
        return (*words,)
    return (words,)


def _check_text(_options: Any, setting: Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        problem = f"{setting.name}: must be text, not {show_value(value)}"
        raise TypeError(problem)


def _check_delimiter(_options: Any, _setting: Any, value: str) -> None:
    if value and (len(value) != 1 or value.isalnum() or value in '"\r\n\0'):
        what = f"must be one character such as ; or tab, not {show_value(value)}"
        raise ValueError(f"delimiter: {what}")


def _check_encoding(_options: Any, _setting: Any, value: str) -> None:
    try:
        if value:
            codecs.lookup(value)
            b" ".decode(value)
    except UnicodeDecodeError:
        return  # a byte is not a character of every encoding
    except (LookupError, ValueError):
        what = f"{show_value(value)} is no text encoding of Python"
        remedy = "name one such as cp1252, latin-1 or utf-8"
        raise ValueError(f"encoding: {what}; {remedy}") from None


def _check_path(_options: Any, _setting: Any, value: str) -> None:
    if value and not all(value.split(".")):
        what = f"must be names separated by dots, not {show_value(value)}"
        raise ValueError(f"path: {what}")


def _check_null(_options: Any, _setting: Any, words: tuple[Any, ...]) -> None:
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"null: must be texts, not {show_value(word)}")


@frozen
class ReadOptions:
    r"""
    How a file is read.

    A setting that a format does not have is not used for files of that format, except
    ``path`` and ``sheet``: they name what is read, so another file is refused.

    Args:
        delimiter: The character between the cells of a CSV file, or its name: comma,
            semicolon, tab, pipe.
        encoding: The encoding of a text file, by a name that Python knows; UTF-8 and
            UTF-16 are recognised.
        path: The names that lead to the array of a JSON object, separated by dots.
        null: Cells that mean "no value", such as ``#N/A``: they are read as blank.
        sheet: The sheet of a workbook.

    Raises:
        TypeError, ValueError: If a setting cannot be used.

    >>> ReadOptions(delimiter="tab").delimiter, ReadOptions(null="#N/A").null
    ('\t', ('#N/A',))
    >>> ReadOptions(encoding="cp125")
    Traceback (most recent call last):
    ...
    ValueError: encoding: 'cp125' is no text encoding of Python; name one such as ...
    """

    delimiter: str = field(
        default="", converter=_delimiter, validator=[_check_text, _check_delimiter]
    )
    encoding: str = field(default="", validator=[_check_text, _check_encoding])
    path: str = field(default="", validator=[_check_text, _check_path])
    null: tuple[str, ...] = field(default=(), converter=_texts, validator=_check_null)
    sheet: str = field(default="", validator=_check_text)
