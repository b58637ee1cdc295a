"""
Kinds of refusals: what is wrong, apart from the row and the field it is wrong with.

Rules:
    Refusals are counted by kind, so that a table of them stays short whatever a file
    holds; each kind names its first fields and the first lines that have it.
    A row with several problems counts once under each of their kinds.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from attrs import Factory, define

from upsertcore.profiles.wire import Response, named

__all__ = ["Kinds", "kind", "problems"]

_NAME = "\N{HORIZONTAL ELLIPSIS}"
_CUT = re.compile("[ :]")
_PLACE = re.compile(r"^(\w+)\.[0-9]+\b")
_END = re.compile("[:;]")
_NUMBER = re.compile("(?<= )[0-9]+")
_LONGEST_NAME = 64
_NAMES, _LINES, _SHOWN, _KEPT = 3, 3, 20, 1_000


def kind(error: str) -> str:
    """
    Return an unreadable row's error without what differs from row to row.

    >>> kind("is no CSV: unexpected end of data"), kind("has 3 cells")
    ('is no CSV', 'has … cells')
    """
    return _NUMBER.sub(_NAME, _END.split(error)[0], count=1)


def problems(
    response: Response, payload: Any, known: Container[str] = ()
) -> list[tuple[str, str]]:
    """
    Return what is wrong with a refused payload: each kind, and the name it is about.

    Args:
        response: The answer of a profile.
        payload: What was sent.
        known: Names that stay in the kind.

    >>> body = {"errors": ["colour: is no field", "size: is no field"]}
    >>> problems(Response(400, body), {"colour": "red", "size": 7})
    [('…: is no field', 'colour'), ('…: is no field', 'size')]
    """
    lists = [each for each in response.body.values() if isinstance(each, list)]
    texts = lists[0] if lists else [response.reason]
    names = {name for name in _names(payload) if name not in known}
    return [_apart(_PLACE.sub(r"\1.*", text), names) for text in texts]


def _names(payload: Any, before: str = "") -> Iterator[str]:
    """Give the names in a payload, and in what is right below."""
    for name, value in payload.items() if isinstance(payload, dict) else ():
        yield before + named(name)
        if not before:
            yield from _names(value, f"{named(name)}.")


def _apart(text: str, names: set[str]) -> tuple[str, str]:
    """Take the name that a problem is about out of its text."""
    start = len("property ") if text.startswith("property ") else 0
    ends = _CUT.finditer(text, start, start + _LONGEST_NAME)
    found = [end for each in ends if text[start : (end := each.start())] in names]
    if not found:
        return text, ""
    return f"{text[:start]}{_NAME}{text[found[-1] :]}", text[start : found[-1]]


@define
class _Kind:
    count: int = 0
    names: dict[str, None] = Factory(dict)
    lines: list[tuple[str, int]] = Factory(list)

    def told(self, text: str) -> str:
        listed = ", ".join([*self.names][:_NAMES])
        if len(self.names) > _NAMES:
            listed += " and others"
        text = text.replace(_NAME, listed, 1) if listed else text
        by_file: dict[str, list[str]] = {}
        for file, line in self.lines:
            by_file.setdefault(file, []).append(f"{line}")
        places = "; ".join(f"{file}:{', '.join(by_file[file])}" for file in by_file)
        more = ", ..." if self.count > len(self.lines) else ""
        return f"{text} ({places}{more})"


@define
class Kinds:
    """
    Refusals by kind.

    >>> kinds = Kinds()
    >>> kinds.add([("…: is no field", "colour")], {"file": "in.csv", "line": 2})
    >>> kinds.total, [*kinds.told()]
    (1, [('colour: is no field (in.csv:2)', 1)])
    """

    total: int = 0
    _found: dict[str, _Kind] = Factory(dict)
    _rest: int = 0

    def add(self, found: Iterable[tuple[str, str]], place: Mapping[str, Any]) -> None:
        """Count a refused row under each of its kinds."""
        self.total += 1
        by_kind: dict[str, list[str]] = {}
        for text, name in found:
            by_kind.setdefault(text, []).append(name)
        for text, names in by_kind.items():
            self._count(text, names, (place["file"], place["line"]))

    def _count(self, text: str, names: Iterable[str], place: tuple[str, int]) -> None:
        if len(self._found) >= _KEPT and text not in self._found:
            self._rest += 1
            return
        entry = self._found.setdefault(text, _Kind())
        entry.count += 1
        if len(entry.lines) < _LINES and place not in entry.lines:
            entry.lines.append(place)
        for name in names:
            if name and len(entry.names) <= _NAMES:
                entry.names[name] = None

    def told(self) -> Iterator[tuple[str, int]]:
        """Give the most frequent kinds, each with its first lines, and its count."""
        ordered = sorted(self._found.items(), key=lambda each: -each[1].count)
        for text, entry in ordered[:_SHOWN]:
            yield entry.told(text), entry.count
        rest = self._rest + sum(entry.count for _text, entry in ordered[_SHOWN:])
        if rest:
            yield "for other reasons", rest
