"""
The accuracy plot: F1 against time per record, as SVG.

Rules:
    Pure: results in, text out; the same bytes for the same results.
    Each point has its name beside it; names do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, floor, log10
from typing import Any, NamedTuple

from benchmarks.svg import (
    BLUE,
    DOTTED,
    GREEN,
    ORANGE,
    WIDTH,
    dot,
    line,
    logarithmic,
    polyline,
    rectangle,
    spread_labels,
    svg,
    text,
    vertical_text,
)

__all__ = ["draw"]

_HEIGHT, _LINE = 460, 16
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 250, 60, 52
_FAMILIES = {
    BLUE: "upsert, exact keys",
    GREEN: "upsert, Splink's clusters as a key (without Splink's time)",
    ORANGE: "linker",
}
_SET = "FEBRL 4"


class _Point(NamedTuple):
    us: float
    f1: float
    colour: str


def draw(results: Mapping[str, Any]) -> str:
    """
    Return the plot of policies and linkers on FEBRL 4.

    >>> "no results" in draw({"policies": [], "linkers": []})
    True
    """
    points = _points(results)
    if not points:
        return svg(_HEIGHT, [text(20, 100, "no results")])
    low = 10.0 ** floor(log10(min(p.us for p in points.values())))
    high = 10.0 ** ceil(log10(max(p.us for p in points.values())))
    least = floor(min(p.f1 for p in points.values()) * 100) / 100
    span = 1 - least or 0.01
    across = logarithmic(low, high, _LEFT, WIDTH - _RIGHT)

    def up(f1: float) -> float:
        return _HEIGHT - _BOTTOM - (f1 - least) / span * (_HEIGHT - _BOTTOM - _TOP)

    parts = [*_head(points)]
    for step in range(round(span * 100) + 1):
        mark = least + step / 100
        parts.append(line(_LEFT, up(mark), WIDTH - _RIGHT, up(mark)))
        parts.append(text(_LEFT - 8, up(mark) + 4, f"{mark:.2f}", anchor="end"))
    for power in range(round(log10(low)), round(log10(high)) + 1):
        x = across(10.0**power)
        parts.append(line(x, _TOP, x, _HEIGHT - _BOTTOM))
        label = f"{10.0**power:,.0f}"
        parts.append(text(x, _HEIGHT - _BOTTOM + 18, label, anchor="middle"))
    axis = "µs for each record, all of them done (logarithmic)"
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(text(middle, _HEIGHT - 12, axis, anchor="middle"))
    places = spread_labels(
        {name: up(p.f1) for name, p in points.items()}, _LINE, _TOP, _HEIGHT - _BOTTOM
    )
    for name, point in points.items():
        parts += _draw_point(name, across(point.us), up(point.f1), places[name], point)
    return svg(_HEIGHT, parts)


def _points(results: Mapping[str, Any]) -> dict[str, _Point]:
    points = {}
    for row in (*results["policies"], *results["linkers"]):
        if row["data"] != _SET or (row in results["policies"] and "runs" not in row):
            continue
        colour = ORANGE if "runs" not in row else BLUE
        us = row["seconds"] / row["records"] * 1e6
        points[row["what"]] = _Point(
            us, row["f1"], GREEN if "handed" in row else colour
        )
    return points


def _head(points: Mapping[str, _Point]) -> Iterator[str]:
    yield text(_LEFT, 22, f"{_SET}: 5,000 people, two records each", size=14)
    x = _LEFT
    for colour, family in _FAMILIES.items():
        if colour in {point.colour for point in points.values()}:
            yield rectangle(x, 33, 10, 10, colour)
            yield text(x + 15, 42, family, colour)
            x += 30 + 7 * len(family)
    yield vertical_text(16, _HEIGHT / 2, "F1, of pairs")


def _draw_point(
    name: str, x: float, y: float, label: float, point: _Point
) -> Iterator[str]:
    edge = WIDTH - _RIGHT + 14
    yield polyline([(x, y), (edge, label)], point.colour, DOTTED)
    yield dot(x, y, point.colour, 4)
    yield text(edge + 4, label + 4, name, point.colour)
