"""
A plot of accuracy: F1 against the time for each record, as SVG written by hand.

Rules:
    Pure: results in, text out; the same bytes for the same results.
    A white ground lies under everything, so that it reads on a dark page too.
    Every point carries its name beside it, and names are moved apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from math import ceil, floor, log10
from typing import Any, NamedTuple

from benchmarks.plots import apart

__all__ = ["drawn"]

_WIDTH, _HEIGHT, _LINE = 760, 460, 16
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 250, 60, 52
# Okabe and Ito's colours, which the colour-blind can tell apart.
_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#00785A"
_FAMILIES = {
    _BLUE: "upsert, exact keys",
    _GREEN: "upsert, Splink's clusters as a key (without Splink's time)",
    _ORANGE: "linker",
}
_SET = "FEBRL 4"


class _Point(NamedTuple):
    us: float
    f1: float
    colour: str


def drawn(results: Mapping[str, Any]) -> str:
    """
    Draw policies and linkers on FEBRL 4.

    >>> "no results" in drawn({"policies": [], "linkers": []})
    True
    """
    points = _points(results)
    if not points:
        return _svg([_text(20, 100, "no results")])
    low = 10.0 ** floor(log10(min(p.us for p in points.values())))
    high = 10.0 ** ceil(log10(max(p.us for p in points.values())))
    least = floor(min(p.f1 for p in points.values()) * 100) / 100
    span, width = 1 - least or 0.01, log10(high / low) or 1

    def across(us: float) -> float:
        return _LEFT + log10(us / low) / width * (_WIDTH - _RIGHT - _LEFT)

    def up(f1: float) -> float:
        return _HEIGHT - _BOTTOM - (f1 - least) / span * (_HEIGHT - _BOTTOM - _TOP)

    parts = [*_head(points)]
    for step in range(round(span * 100) + 1):
        mark = least + step / 100
        parts.append(_rule(_LEFT, up(mark), _WIDTH - _RIGHT, up(mark)))
        parts.append(_text(_LEFT - 8, up(mark) + 4, f"{mark:.2f}", anchor="end"))
    for power in range(round(log10(low)), round(log10(high)) + 1):
        x = across(10.0**power)
        parts.append(_rule(x, _TOP, x, _HEIGHT - _BOTTOM))
        label = f"{10.0**power:,.0f}"
        parts.append(_text(x, _HEIGHT - _BOTTOM + 18, label, anchor="middle"))
    axis = "µs for each record, all of them done (logarithmic)"
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(_text(middle, _HEIGHT - 12, axis, anchor="middle"))
    places = apart(
        {name: up(p.f1) for name, p in points.items()}, _LINE, _TOP, _HEIGHT - _BOTTOM
    )
    for name, point in points.items():
        parts += _named(name, across(point.us), up(point.f1), places[name], point)
    return _svg(parts)


def _points(results: Mapping[str, Any]) -> dict[str, _Point]:
    found = {}
    for row in (*results["policies"], *results["linkers"]):
        if row["data"] != _SET or (row in results["policies"] and "runs" not in row):
            continue
        colour = _ORANGE if "runs" not in row else _BLUE
        us = row["seconds"] / row["records"] * 1e6
        found[row["what"]] = _Point(
            us, row["f1"], _GREEN if "handed" in row else colour
        )
    return found


def _head(points: Mapping[str, _Point]) -> Iterator[str]:
    yield _text(_LEFT, 22, f"{_SET}: 5,000 people, two records each", size=14)
    x = _LEFT
    for colour, family in _FAMILIES.items():
        if colour in {point.colour for point in points.values()}:
            yield f'<rect x="{x}" y="33" width="10" height="10" fill="{colour}"/>'
            yield _text(x + 15, 42, family, colour)
            x += 30 + 7 * len(family)
    yield (
        f'<text transform="translate(16 {_HEIGHT / 2:.1f}) rotate(-90)"'
        ' fill="#222222" font-size="12" text-anchor="middle">F1, of pairs</text>'
    )


def _named(name: str, x: float, y: float, label: float, point: _Point) -> Iterator[str]:
    edge = _WIDTH - _RIGHT + 14
    yield (
        f'<polyline points="{x:.1f},{y:.1f} {edge},{label:.1f}" fill="none"'
        f' stroke="{point.colour}" stroke-width="0.6" stroke-dasharray="2 2"/>'
    )
    yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{point.colour}"/>'
    yield _text(edge + 4, label + 4, name, point.colour)


def _text(
    x: float,
    y: float,
    text: str,
    colour: str = "#222222",
    anchor: str = "start",
    size: int = 12,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}"'
        f' text-anchor="{anchor}" stroke="#ffffff" stroke-width="3"'
        f' paint-order="stroke">{escape(text)}</text>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        ' stroke="#dddddd"/>'
    )


def _svg(parts: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}"'
        f' viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">'
    )
    ground = f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>'
    return "\n".join([head, ground, *parts, "</svg>\n"])
