"""
Plots as SVG, written by hand: no package, and the same bytes for the same results.

Rules:
    Pure: results in, text out.
    A white ground lies under everything, so that it reads on a dark page too.
    Every line carries its name at its end, and names are moved apart, never over
    one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from math import ceil, floor, log10
from statistics import median
from typing import Any, TypeAlias

from benchmarks.engines.catalogue import ENGINES, OURS
from benchmarks.workloads import MAIN

__all__ = ["apart", "bars", "lines"]

Results: TypeAlias = dict[str, Any]

_WIDTH, _LINE = 760, 15
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 210, 60, 52
# Okabe and Ito's colours, which the colour-blind can tell apart.
_BLACK, _BLUE, _ORANGE, _GREEN, _PURPLE = (
    *("#000000", "#0072B2", "#D55E00", "#00785A", "#A8507F"),
)
_FAMILIES = {
    _BLACK: "floor",
    _BLUE: "upsertcore",
    _ORANGE: "row by row",
    _GREEN: "whole batch",
    _PURPLE: "server",
}


def lines(results: Results) -> str:
    """Draw cost against size, one line per engine, both axes logarithmic."""
    series = _series(results)
    sizes = sorted({size for points in series.values() for size, _us in points})
    costs = [us for points in series.values() for _size, us in points]
    if not sizes:
        return _svg(200, [_text(20, 100, "no results")])
    height = max(440, _TOP + _BOTTOM + _LINE * len(series))
    low = 10.0 ** floor(log10(min(costs)))
    high = max(10.0 ** ceil(log10(max(costs))), low * 10)
    across = _scale(sizes[0], sizes[-1], _LEFT + 16, _WIDTH - _RIGHT)
    up = _scale(low, high, height - _BOTTOM, _TOP)
    parts = [
        *_head("Cost of an upsert: half new, half updates, up to 8 fields", series),
        *_ticks_up(low, high, up),
        *_ticks_across(sizes, across, height),
        _text(_WIDTH / 2 - 80, height - 12, "patches", anchor="middle"),
        _turned(16, height / 2, "µs per patch, median"),
    ]
    ends = {name: up(points[-1][1]) for name, points in series.items()}
    places = apart(ends, _LINE, _TOP, height - _BOTTOM + 10)
    for name, points in series.items():
        dots = [(across(size), up(us)) for size, us in points]
        parts += _drawn(name, dots, places[name])
    return _svg(height, parts)


def bars(results: Results) -> str:
    """Draw the engines against each other: ratios to the floor at one size."""
    size, ratios = _ratios(results)
    if not ratios:
        return _svg(200, [_text(20, 100, "no results")])
    height = _TOP + _BOTTOM + 24 * len(ratios)
    # The axis begins below every ratio, so that each bar has a length.
    least = min(ratios.values())
    low = _HALF if least > _HALF else 10.0 ** floor(log10(least))
    high = max(2.0, *ratios.values())
    left = 190
    across = _scale(low, high, left, _WIDTH - 76)
    ends = {name: across(value) for name, value in ratios.items()}
    unit = across(1)
    marks = [mark for mark in _marks(low, high) if low <= mark <= high]
    parts = [
        *_head(f"Half new, half updates, up to 8 fields: {size:,} patches", ratios)
    ]
    for mark in marks:
        x = across(mark)
        parts.append(_rule(x, _TOP - 4, x, height - _BOTTOM, "#dddddd"))
        parts.append(_text(x, height - _BOTTOM + 16, f"{mark:g}x", anchor="middle"))
    parts.append(_rule(unit, _TOP - 4, unit, height - _BOTTOM, _BLACK))
    for place, (name, value) in enumerate(ratios.items()):
        y = _TOP + 24 * place
        parts += [
            _text(left - 8, y + 14, name, _colour(name), "end"),
            _box(left, y + 3, ends[name] - left, 15, _colour(name)),
            _text(ends[name] + 6, y + 15, f"{value:.2f}x"),
        ]
    axis = "cost per patch as a ratio to the floor (logarithmic, less is faster)"
    parts.append(_text(_WIDTH / 2, height - 12, axis, anchor="middle"))
    return _svg(height, parts)


def apart(
    places: dict[str, float], least: float, low: float, high: float
) -> dict[str, float]:
    """
    Move places apart, in their order, until none is too near to the next.

    Those that are too near stand around the middle of where they would have been.

    >>> apart({"a": 10, "b": 11, "c": 50}, 10, 0, 100)
    {'a': 5.5, 'b': 15.5, 'c': 50.0}
    >>> apart({"a": 95, "b": 96}, 10, 0, 100)
    {'a': 90, 'b': 100}
    """

    def begins(group: Sequence[str]) -> float:
        span = least * (len(group) - 1)
        middle = sum(places[name] for name in group) / len(group)
        return max(low, min(middle - span / 2, high - span))

    groups: list[list[str]] = []
    for name in sorted(places, key=lambda name: places[name]):
        groups.append([name])
        while len(groups) > 1 and (
            begins(groups[-1]) < begins(groups[-2]) + least * len(groups[-2])
        ):
            last = groups.pop()
            groups[-1] += last
    return {
        name: begins(group) + least * place
        for group in groups
        for place, name in enumerate(group)
    }


def _series(results: Results) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for row in results["rows"]:
        if row["measure"] == "time" and row["label"] == MAIN.label:
            point = row["size"], median(row["us"])
            found.setdefault(row["engine"], []).append(point)
    return {name: sorted(points) for name, points in found.items()}


def _ratios(results: Results) -> tuple[int, dict[str, float]]:
    """Give the largest size that the floor has, and the ratios there, least first."""
    at: dict[str, dict[int, float]] = {
        name: dict(points) for name, points in _series(results).items()
    }
    size = max(at.get(OURS[0], {0: 0.0}))
    unit = at.get(OURS[0], {}).get(size, 0.0)
    found = {
        n: points[size] / unit for n, points in at.items() if unit and size in points
    }
    return size, dict(sorted(found.items(), key=lambda item: item[1]))


class _scale:  # noqa: N801 - it is used as the function that it is
    """A logarithmic scale from values to places."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.start = log10(low), start
        self.by = (end - start) / ((log10(high) - self.low) or 1)

    def __call__(self, value: float) -> float:
        return self.start + (log10(value) - self.low) * self.by


def _marks(low: float, high: float) -> Iterable[float]:
    """Give 1, 2 and 5 of each decade, or the decades alone where there are many."""
    first, last = floor(log10(low)), ceil(log10(high))
    steps = (1, 2, 5) if last - first <= _FEW else (1,)
    for power in range(first, last + 1):
        yield from (step * 10.0**power for step in steps)


def _drawn(name: str, dots: Sequence[tuple[float, float]], label: float) -> list[str]:
    colour, wide = _colour(name), 2.5 if name in OURS else 1.4
    x, y = dots[-1]
    edge = _WIDTH - _RIGHT + 14
    return [
        _way(dots, colour, f'stroke-width="{wide}"'),
        *(_dot(a, b, colour) for a, b in dots),
        _way([(x + 4, y), (edge, label)], colour, _DOTTED),
        _text(edge + 4, label + 4, name, colour),
    ]


def _head(title: str, names: Iterable[str]) -> list[str]:
    """Write the title, and which colour is what."""
    parts = [_text(_LEFT, 22, title, size=14)]
    used = [colour for colour in _FAMILIES if colour in map(_colour, [*names])]
    for place, colour in enumerate(used):
        x = _LEFT + 110 * place
        parts.append(_box(x, 33, 10, 10, colour))
        parts.append(_text(x + 15, 42, _FAMILIES[colour], colour))
    return parts


def _ticks_up(low: float, high: float, up: _scale) -> Iterable[str]:
    for mark in _marks(low, high):
        if low <= mark <= high:
            yield _rule(_LEFT, up(mark), _WIDTH - _RIGHT, up(mark), "#dddddd")
            yield _text(_LEFT - 6, up(mark) + 4, f"{mark:,g}", anchor="end")


def _ticks_across(sizes: Sequence[int], across: _scale, height: float) -> Iterable[str]:
    for size in sizes:
        x = across(size)
        yield _rule(x, _TOP, x, height - _BOTTOM, "#eeeeee")
        yield _text(x, height - _BOTTOM + 18, f"{size:,}", anchor="middle")


def _colour(name: str) -> str:
    if name in OURS:
        return _BLACK if name == OURS[0] else _BLUE
    engine = ENGINES.get(name)
    if engine is not None and engine.served:
        return _PURPLE
    return _GREEN if engine is not None and engine.whole else _ORANGE


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


_FEW, _HALF = 3, 0.5
_DOTTED = 'stroke-width="0.6" stroke-dasharray="2 2"'


def _way(dots: Sequence[tuple[float, float]], colour: str, how: str) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" {how}/>'


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}"/>'


def _turned(x: float, y: float, text: str) -> str:
    return (
        f'<text transform="translate({x:.1f} {y:.1f}) rotate(-90)" fill="#222222"'
        f' font-size="12" text-anchor="middle">{escape(text)}</text>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        f' stroke="{colour}"/>'
    )


def _svg(height: float, parts: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
        f' viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">'
    )
    ground = f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, ground, *parts, "</svg>\n"])
