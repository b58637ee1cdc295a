"""
The plots of the main results, as SVG.

Rules:
    Pure: results in, text out; the same bytes for the same results.
    Each line has its name at its end; names do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor, log10
from statistics import median
from typing import Any, TypeAlias

from benchmarks.engines.catalogue import ENGINES, OURS
from benchmarks.svg import (
    BLACK,
    BLUE,
    DOTTED,
    GREEN,
    ORANGE,
    PURPLE,
    WIDTH,
    Scale,
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
from benchmarks.workloads import MAIN

__all__ = ["bars", "lines"]

Results: TypeAlias = dict[str, Any]

_LINE = 15
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 210, 60, 52
_FAMILIES = {
    BLACK: "floor",
    BLUE: "upsertcore",
    ORANGE: "row by row",
    GREEN: "whole batch",
    PURPLE: "server",
}


def lines(results: Results) -> str:
    """Return a plot of cost against size, one line per engine, on logarithmic axes."""
    series = _series(results)
    sizes = sorted({size for points in series.values() for size, _us in points})
    costs = [us for points in series.values() for _size, us in points]
    if not sizes:
        return svg(200, [text(20, 100, "no results")])
    height = max(440, _TOP + _BOTTOM + _LINE * len(series))
    low = 10.0 ** floor(log10(min(costs)))
    high = max(10.0 ** ceil(log10(max(costs))), low * 10)
    across = logarithmic(sizes[0], sizes[-1], _LEFT + 16, WIDTH - _RIGHT)
    up = logarithmic(low, high, height - _BOTTOM, _TOP)
    parts = [
        *_head("Cost of an upsert: half new, half updates, up to 8 fields", series),
        *_ticks_up(low, high, up),
        *_ticks_across(sizes, across, height),
        text(WIDTH / 2 - 80, height - 12, "patches", anchor="middle"),
        vertical_text(16, height / 2, "µs per patch, median"),
    ]
    ends = {name: up(points[-1][1]) for name, points in series.items()}
    places = spread_labels(ends, _LINE, _TOP, height - _BOTTOM + 10)
    for name, points in series.items():
        dots = [(across(size), up(us)) for size, us in points]
        parts += _draw_series(name, dots, places[name])
    return svg(height, parts)


def bars(results: Results) -> str:
    """Return a bar chart of the engines: ratios to the floor at one size."""
    size, ratios = _ratios(results)
    if not ratios:
        return svg(200, [text(20, 100, "no results")])
    height = _TOP + _BOTTOM + 24 * len(ratios)
    # The axis starts below every ratio, so that each bar is visible.
    least = min(ratios.values())
    low = _HALF if least > _HALF else 10.0 ** floor(log10(least))
    high = max(2.0, *ratios.values())
    left = 190
    across = logarithmic(low, high, left, WIDTH - 76)
    ends = {name: across(value) for name, value in ratios.items()}
    unit = across(1)
    marks = [mark for mark in _marks(low, high) if low <= mark <= high]
    parts = [
        *_head(f"Half new, half updates, up to 8 fields: {size:,} patches", ratios)
    ]
    for mark in marks:
        x = across(mark)
        parts.append(line(x, _TOP - 4, x, height - _BOTTOM))
        parts.append(text(x, height - _BOTTOM + 16, f"{mark:g}x", anchor="middle"))
    parts.append(line(unit, _TOP - 4, unit, height - _BOTTOM, BLACK))
    for place, (name, value) in enumerate(ratios.items()):
        y = _TOP + 24 * place
        parts += [
            text(left - 8, y + 14, name, _colour(name), "end"),
            rectangle(left, y + 3, ends[name] - left, 15, _colour(name)),
            text(ends[name] + 6, y + 15, f"{value:.2f}x"),
        ]
    axis = "cost per patch as a ratio to the floor (logarithmic, less is faster)"
    parts.append(text(WIDTH / 2, height - 12, axis, anchor="middle"))
    return svg(height, parts)


def _series(results: Results) -> dict[str, list[tuple[int, float]]]:
    series: dict[str, list[tuple[int, float]]] = {}
    for row in results["rows"]:
        if row["measure"] == "time" and row["label"] == MAIN.label:
            point = row["size"], median(row["us"])
            series.setdefault(row["engine"], []).append(point)
    return {name: sorted(points) for name, points in series.items()}


def _ratios(results: Results) -> tuple[int, dict[str, float]]:
    """Return the largest size of the floor, and the ratios there, the least first."""
    at: dict[str, dict[int, float]] = {
        name: dict(points) for name, points in _series(results).items()
    }
    size = max(at.get(OURS[0], {0: 0.0}))
    unit = at.get(OURS[0], {}).get(size, 0.0)
    ratios = {
        n: points[size] / unit for n, points in at.items() if unit and size in points
    }
    return size, dict(sorted(ratios.items(), key=lambda item: item[1]))


def _marks(low: float, high: float) -> Iterable[float]:
    """Yield 1, 2 and 5 of each decade, or only the decades if there are many."""
    first, last = floor(log10(low)), ceil(log10(high))
    steps = (1, 2, 5) if last - first <= _MAX_DECADES else (1,)
    for power in range(first, last + 1):
        yield from (step * 10.0**power for step in steps)


def _draw_series(
    name: str, dots: Sequence[tuple[float, float]], label: float
) -> list[str]:
    colour, wide = _colour(name), 2.5 if name in OURS else 1.4
    x, y = dots[-1]
    edge = WIDTH - _RIGHT + 14
    return [
        polyline(dots, colour, f'stroke-width="{wide}"'),
        *(dot(a, b, colour) for a, b in dots),
        polyline([(x + 4, y), (edge, label)], colour, DOTTED),
        text(edge + 4, label + 4, name, colour),
    ]


def _head(title: str, names: Iterable[str]) -> list[str]:
    """Return the title and the legend."""
    parts = [text(_LEFT, 22, title, size=14)]
    used = [colour for colour in _FAMILIES if colour in map(_colour, [*names])]
    for place, colour in enumerate(used):
        x = _LEFT + 110 * place
        parts.append(rectangle(x, 33, 10, 10, colour))
        parts.append(text(x + 15, 42, _FAMILIES[colour], colour))
    return parts


def _ticks_up(low: float, high: float, up: Scale) -> Iterable[str]:
    for mark in _marks(low, high):
        if low <= mark <= high:
            yield line(_LEFT, up(mark), WIDTH - _RIGHT, up(mark))
            yield text(_LEFT - 6, up(mark) + 4, f"{mark:,g}", anchor="end")


def _ticks_across(sizes: Sequence[int], across: Scale, height: float) -> Iterable[str]:
    for size in sizes:
        x = across(size)
        yield line(x, _TOP, x, height - _BOTTOM, "#eeeeee")
        yield text(x, height - _BOTTOM + 18, f"{size:,}", anchor="middle")


def _colour(name: str) -> str:
    if name in OURS:
        return BLACK if name == OURS[0] else BLUE
    engine = ENGINES.get(name)
    if engine is not None and engine.served:
        return PURPLE
    return GREEN if engine is not None and engine.whole_batch else ORANGE


_MAX_DECADES, _HALF = 3, 0.5
