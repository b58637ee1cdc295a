"""
Counts refusals by kind: the message without the row and the field it is about.

Rules:
    Counting by kind keeps the table short for any file; each kind lists its first
    fields and lines.
    A row with several problems counts once under each kind.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from attrs import Factory, define

from upsertcore.profiles.payload import display_name
from upsertcore.profiles.profile import Response

__all__ = ["RefusalCounts", "problems"]

_PLACEHOLDER = "\N{HORIZONTAL ELLIPSIS}"
_NAME_END = re.compile("[ :]")
_INDEXED = re.compile(r"^(\w+)\.[0-9]+\b")
_MAX_NAME_LENGTH = 64
_MAX_NAMES, _MAX_LINES, _MAX_SHOWN, _MAX_KINDS = 3, 3, 20, 1_000


def problems(
    response: Response, payload: Any, field_names: Container[str] = ()
) -> list[tuple[str, str]]:
    """
    Return the problems of a refused payload, each as its kind and a field name.

    Args:
        response: The response of a profile.
        payload: The payload.
        field_names: Names that remain in the kind.

    >>> body = {"errors": ["colour: is no field", "size: is no field"]}
    >>> problems(Response(400, body), {"colour": "red", "size": 7})
    [('…: is no field', 'colour'), ('…: is no field', 'size')]
    """
    lists = [item for item in response.body.values() if isinstance(item, list)]
    texts = lists[0] if lists else [response.reason]
    names = {name for name in _payload_names(payload) if name not in field_names}
    return [_split_name(_INDEXED.sub(r"\1.*", text), names) for text in texts]


def _payload_names(payload: Any, before: str = "") -> Iterator[str]:
    """Yield the names in a payload, one level of nesting included."""
    for name, value in payload.items() if isinstance(payload, dict) else ():
        yield before + display_name(name)
        if not before:
            yield from _payload_names(value, f"{display_name(name)}.")


def _split_name(text: str, names: set[str]) -> tuple[str, str]:
    """Split the field name off the text of a problem."""
    start = len("property ") if text.startswith("property ") else 0
    ends = _NAME_END.finditer(text, start, start + _MAX_NAME_LENGTH)
    positions = [end for match in ends if text[start : (end := match.start())] in names]
    if not positions:
        return text, ""
    return f"{text[:start]}{_PLACEHOLDER}{text[positions[-1] :]}", text[
        start : positions[-1]
    ]


@define
class _KindCount:
    count: int = 0
    names: dict[str, None] = Factory(dict)
    lines: list[tuple[str, int]] = Factory(list)

    def summary(self, text: str) -> str:
        names = ", ".join([*self.names][:_MAX_NAMES])
        if len(self.names) > _MAX_NAMES:
            names += " and others"
        text = text.replace(_PLACEHOLDER, names, 1) if names else text
        by_file: dict[str, list[str]] = {}
        for file, line in self.lines:
            by_file.setdefault(file, []).append(f"{line}")
        places = "; ".join(f"{file}:{', '.join(by_file[file])}" for file in by_file)
        ellipsis = ", ..." if self.count > len(self.lines) else ""
        return f"{text} ({places}{ellipsis})"


@define
class RefusalCounts:
    """
    Refusals by kind.

    >>> kinds = RefusalCounts()
    >>> kinds.add([("…: is no field", "colour")], {"file": "in.csv", "line": 2})
    >>> kinds.total, [*kinds.summary()]
    (1, [('colour: is no field (in.csv:2)', 1)])
    """

    total: int = 0
    _counts: dict[str, _KindCount] = Factory(dict)
    _overflow: int = 0

    def add(
        self, problems: Iterable[tuple[str, str]], place: Mapping[str, Any]
    ) -> None:
        """Count a refused row under each of its kinds."""
        self.total += 1
        by_kind: dict[str, list[str]] = {}
        for text, name in problems:
            by_kind.setdefault(text, []).append(name)
        for text, names in by_kind.items():
            self._count(text, names, (place["file"], place["line"]))

    def _count(self, text: str, names: Iterable[str], place: tuple[str, int]) -> None:
        if len(self._counts) >= _MAX_KINDS and text not in self._counts:
            self._overflow += 1
            return
        entry = self._counts.setdefault(text, _KindCount())
        entry.count += 1
        if len(entry.lines) < _MAX_LINES and place not in entry.lines:
            entry.lines.append(place)
        for name in names:
            if name and len(entry.names) <= _MAX_NAMES:
                entry.names[name] = None

    def to_list(self) -> list[dict[str, Any]]:
        """Return the kinds, the most frequent first, as plain values."""
        ordered = sorted(self._counts.items(), key=lambda item: -item[1].count)
        kinds = [
            {
                "reason": text,
                "count": entry.count,
                "fields": [*entry.names],
                "first": [{"file": file, "line": line} for file, line in entry.lines],
            }
            for text, entry in ordered
        ]
        return kinds + [{"reason": "other", "count": self._overflow}] * bool(
            self._overflow
        )

    def summary(self) -> Iterator[tuple[str, int]]:
        """Yield the most frequent kinds with their first lines, and their counts."""
        ordered = sorted(self._counts.items(), key=lambda item: -item[1].count)
        for text, entry in ordered[:_MAX_SHOWN]:
            yield entry.summary(text), entry.count
        others = self._overflow + sum(
            entry.count for _text, entry in ordered[_MAX_SHOWN:]
        )
        if others:
            yield "for other reasons", others
