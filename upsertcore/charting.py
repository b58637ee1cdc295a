"""
Charting: a report as a figure; needs matplotlib, the extra ``[plot]``.

Rules:
    matplotlib is imported where a figure is made, and nowhere else.
    No global state of it is touched: a figure is made as a value, without pyplot.
    No meaning rests on colour alone, and the colours are told apart by the
    colour-blind.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from upsertcore.judging import Report, Spread

__all__ = ["blank_figure", "figure", "save"]

# Okabe and Ito's colours, which the colour-blind can tell apart.
_BLUE, _ORANGE, _BLACK = "#0072B2", "#E69F00", "#000000"
# Where a measure stands beside its tick, its colour and its mark.
_LOOKS = {"pairwise": (-1, _BLUE, "o"), "B-cubed": (1, _ORANGE, "s")}
_FIGURES = {"precision": "precision", "recall": "recall", "f1": "F1"}


def blank_figure(height: float = 4.2) -> Figure:
    """
    Make a figure with nothing on it.

    Args:
        height: In inches.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed; it says what to install.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - the extra is optional
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "a plot needs matplotlib: pip install 'upsertcore[plot]'",
            name=error.name,
        ) from error
    return Figure(figsize=(11, height), layout="constrained", facecolor="white")


def save(made: Figure, place: Path) -> None:
    """
    Write a figure to a file, the same bytes for the same figure.

    Args:
        made: The figure.
        place: Its ending says how.

    Raises:
        OSError: If it cannot be written.
    """
    from matplotlib import rc_context  # noqa: PLC0415 - there where a figure is

    dated = place.suffix.lower() in {".svg", ".pdf"}
    named = {"Date" if place.suffix.lower() == ".svg" else "CreationDate": None}
    with rc_context({"svg.hashsalt": "upsertcore"}):
        made.savefig(place, metadata=named if dated else None)


def figure(report: Report) -> Figure:
    """
    Draw the measures with their spread, and what each key decided.

    Args:
        report: Of a policy, with or without shuffled orders.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
    """
    made = blank_figure(max(4.2, 1.6 + 0.45 * len(report.keys)))
    left, right = made.subplots(1, 2, width_ratios=(6, 5))
    _measures(left, report)
    _keys(right, report)
    return made


def _measures(axes: Any, report: Report) -> None:
    """Draw precision, recall and F1 of both measures, each with its spread."""
    lowest = 1.0
    for name, measure in report.scores.measures.items():
        side, colour, marker = _LOOKS[name]
        values = [getattr(measure, each) for each in _FIGURES]
        across = [place + side * 0.15 for place in range(len(values))]
        axes.plot(across, values, marker, color=colour, markersize=9, label=name)
        for x, value in zip(across, values, strict=True):
            axes.annotate(
                f"{value:.4f}",
                (x, value),
                (side * 8, 0),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                va="center",
                fontsize="small",
            )
        spreads = [*report.spread.get(name, {}).values()]
        _spread(axes, spreads, side * 0.05)
        lowest = min([lowest, *values, *[each.least for each in spreads]])
    _frame(axes, report, lowest)


def _spread(axes: Any, spreads: Sequence[Spread], shift: float) -> None:
    """Draw, beside each figure, what other orders of arrival give."""
    low = [each.median - each.least for each in spreads]
    high = [each.most - each.median for each in spreads]
    axes.errorbar(
        [place + shift for place in range(len(spreads))],
        [each.median for each in spreads],
        yerr=[low, high],
        fmt="_",
        color=_BLACK,
        capsize=3,
        linewidth=1,
    )


def _frame(axes: Any, report: Report, lowest: float) -> None:
    """Label the axes; what is shown of the scale ends at 1.0."""
    below = max(0.12 * (1 - lowest), 0.02)
    axes.set_ylim(max(lowest - below, -0.02), 1 + below / 2)
    axes.set_xlim(-0.6, len(_FIGURES) - 0.4)
    axes.set_xticks(range(len(_FIGURES)), _FIGURES.values())
    axes.set_ylabel("share")
    axes.grid(axis="y", alpha=0.3)
    count = len(report.shuffled)
    over = f"\nblack bars: least, median and most of {count:,} shuffled orders"
    axes.set_title(
        f"{report.records:,} records of {report.scores.persons:,} persons"
        f" in {report.contacts:,} contacts{over if count else ''}",
        fontsize="medium",
    )
    _legend(axes, -0.08)


def _keys(axes: Any, report: Report) -> None:
    """Draw, per key, the decisions that were right and those that were wrong."""
    names = [each.key for each in report.keys]
    places = range(len(names))
    right = [each.right for each in report.keys]
    wrong = [each.wrong for each in report.keys]
    looks = {"edgecolor": _BLACK, "linewidth": 0.6}
    axes.barh(places, right, color=_BLUE, label="right", **looks)
    axes.barh(
        places, wrong, left=right, color=_ORANGE, hatch="///", label="wrong", **looks
    )
    for place, each in zip(places, report.keys, strict=True):
        told = f" {each.right:,} right, {each.wrong:,} wrong"
        axes.annotate(told, (each.decided, place), va="center", fontsize="small")
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    most = max([each.decided for each in report.keys], default=0)
    axes.set_xlim(0, max(most, 1) * 1.6)
    axes.locator_params(axis="x", integer=True, nbins=6)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("records for which the key decided")
    axes.set_title("what each key decided", fontsize="medium")
    _legend(axes, -0.18)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(axes: Any, below: float) -> None:
    """Explain the colours under the axes, where nothing is drawn."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, below), ncols=2, frameon=False)
