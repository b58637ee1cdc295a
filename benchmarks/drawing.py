"""
What a plot is drawn of: SVG written by hand, no package.

Rules:
    Pure: places and words in, text out; the same bytes for the same places.
    A white ground lies under everything, so that it reads on a dark page too.
    Names at a line's or a point's side are moved apart, never over one another.
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
    "apart",
    "box",
    "dot",
    "logarithmic",
    "rule",
    "svg",
    "text",
    "turned",
    "way",
]

Scale: TypeAlias = Callable[[float], float]
"""A value to its place."""

WIDTH = 760
DOTTED = 'stroke-width="0.6" stroke-dasharray="2 2"'
# Okabe and Ito's colours, which the colour-blind can tell apart.
BLACK, BLUE, ORANGE = "#000000", "#0072B2", "#D55E00"
GREEN, PURPLE = "#00785A", "#A8507F"


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


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """
    Make what turns values into places, so that each factor is as wide as it is large.

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
    """Write words, over a white edge that keeps them apart from lines below."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}"'
        f' text-anchor="{anchor}" stroke="#ffffff" stroke-width="3"'
        f' paint-order="stroke">{escape(words)}</text>'
    )


def way(dots: Sequence[tuple[float, float]], colour: str, how: str) -> str:
    """Draw a line through points."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" {how}/>'


def dot(x: float, y: float, colour: str, radius: int = 3) -> str:
    """Draw a point."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'


def box(x: float, y: float, width: float, height: float, colour: str) -> str:
    """Draw a filled rectangle."""
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}"/>'


def turned(x: float, y: float, words: str) -> str:
    """Write upwards, around a place."""
    return (
        f'<text transform="translate({x:.1f} {y:.1f}) rotate(-90)" fill="#222222"'
        f' font-size="12" text-anchor="middle">{escape(words)}</text>'
    )


def rule(x1: float, y1: float, x2: float, y2: float, colour: str = "#dddddd") -> str:
    """Draw a straight line."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        f' stroke="{colour}"/>'
    )


def svg(height: float, parts: Iterable[str]) -> str:
    """Put parts on a white ground of the usual width and so high."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
    )
    ground = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, ground, *parts, "</svg>\n"])
