"""
SVG primitives for the plots, without a package.

Rules:
    Pure: coordinates and text in, SVG out; the same bytes for the same input.
    A white background makes plots readable on dark pages.
    Labels of lines and points are moved apart so that they do not overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from math import log10
from typing import TypeAlias

__all__ = [
    "BLACK",
    "BLUE",
    "DOTTED",
    "GREEN",
    "ORANGE",
    "PURPLE",
    "WIDTH",
    "Scale",
    "dot",
    "line",
    "logarithmic",
    "polyline",
    "rectangle",
    "spread_labels",
    "svg",
    "text",
    "vertical_text",
]

Scale: TypeAlias = Callable[[float], float]
"""Maps a value to its coordinate."""

WIDTH = 760
DOTTED = 'stroke-width="0.6" stroke-dasharray="2 2"'
# Okabe and Ito's colours, which are distinct for the colour-blind.
BLACK, BLUE, ORANGE = "#000000", "#0072B2", "#D55E00"
GREEN, PURPLE = "#00785A", "#A8507F"


def spread_labels(
    places: dict[str, float], least: float, low: float, high: float
) -> dict[str, float]:
    """
    Move positions apart, in order, until none is too close to the next.

    Positions that are too close are centred on their average.

    >>> spread_labels({"a": 10, "b": 11, "c": 50}, 10, 0, 100)
    {'a': 5.5, 'b': 15.5, 'c': 50.0}
    >>> spread_labels({"a": 95, "b": 96}, 10, 0, 100)
    {'a': 90, 'b': 100}
    """

    def start_of(group: Sequence[str]) -> float:
        span = least * (len(group) - 1)
        middle = sum(places[name] for name in group) / len(group)
        return max(low, min(middle - span / 2, high - span))

    groups: list[list[str]] = []
    for name in sorted(places, key=lambda name: places[name]):
        groups.append([name])
        while len(groups) > 1 and (
            start_of(groups[-1]) < start_of(groups[-2]) + least * len(groups[-2])
        ):
            last = groups.pop()
            groups[-1] += last
    return {
        name: start_of(group) + least * place
        for group in groups
        for place, name in enumerate(group)
    }


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """
    Return a logarithmic scale.

    >>> logarithmic(1, 100, 0, 50)(10)
    25.0
    """
    least = log10(low)
    by = (end - start) / ((log10(high) - least) or 1)
    return lambda value: start + (log10(value) - least) * by


def text(
    x: float,
    y: float,
    words: str,
    colour: str = "#222222",
    anchor: str = "start",
    size: int = 12,
) -> str:
    """Return text with a white outline, which separates it from lines below."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}"'
        f' text-anchor="{anchor}" stroke="#ffffff" stroke-width="3"'
        f' paint-order="stroke">{escape(words)}</text>'
    )


def polyline(points_: Sequence[tuple[float, float]], colour: str, style: str) -> str:
    """Return a line through points."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in points_)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" {style}/>'


def dot(x: float, y: float, colour: str, radius: int = 3) -> str:
    """Return a point."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'


def rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    """Return a filled rectangle."""
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}"/>'


def vertical_text(x: float, y: float, words: str) -> str:
    """Return vertical text, centred on a point."""
    return (
        f'<text transform="translate({x:.1f} {y:.1f}) rotate(-90)" fill="#222222"'
        f' font-size="12" text-anchor="middle">{escape(words)}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, colour: str = "#dddddd") -> str:
    """Return a straight line."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        f' stroke="{colour}"/>'
    )


def svg(height: float, parts: Iterable[str]) -> str:
    """Return the parts as a picture of the usual width, on white."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
    )
    ground = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, ground, *parts, "</svg>\n"])
