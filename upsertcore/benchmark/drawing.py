"""
Draws a benchmark: rates, latencies and growth of each policy.

Rules:
    A mark is a median over the rounds; its bar is the range of the rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from upsertcore.benchmark.figures import BenchmarkReport, PolicyFigures
from upsertcore.evaluation import Spread
from upsertcore.evaluation.report import blank_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw"]

# Okabe and Ito's colours, which are distinguishable with colour blindness.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_MARKERS = "osD^vP"


def draw(report: BenchmarkReport) -> Figure:
    """
    Draw a report.

    Args:
        report: With one policy or more.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed (extra ``[plot]``).
    """
    plot = blank_figure(4.6)
    rates, latencies, growth = plot.subplots(1, 3, width_ratios=(4, 4, 5))
    policies = report.policies
    batch = f"in batches\nof {report.batch:,}"
    _marks(rates, policies, {"singly": _singly, batch: lambda each: each.batches})
    rates.set_ylabel("upserts a second")
    rates.set_title("throughput", fontsize="medium")
    _marks(
        latencies,
        policies,
        {
            "median": lambda each: each.latency.median,
            "99 %": lambda each: each.latency.p99,
            "worst": lambda each: each.latency.worst,
        },
    )
    latencies.set_yscale("log")
    latencies.yaxis.set_major_formatter("{x:,.0f}")
    latencies.set_ylabel("\u00b5s an upsert")
    latencies.set_title("latency", fontsize="medium")
    quarters: dict[str, Callable[[PolicyFigures], Spread | None]] = {
        f"{place + 1}": lambda each, place=place: each.growth[place]  # type: ignore[misc]
        for place in range(max(len(each.growth) for each in policies))
    }
    _marks(growth, policies, quarters, joined=True)
    growth.set_ylabel("upserts a second")
    growth.set_xlabel("quarter of the rows")
    growth.set_title("growth", fontsize="medium")
    for axes in (rates, growth):
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter("{x:,.0f}")
    plot.legend(
        *growth.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=min(len(policies), 3),
        frameon=False,
    )
    rounds = f"median and range of {report.rounds:,} rounds"
    plot.suptitle(f"{policies[0].rows:,} rows, {rounds}", fontsize="medium")
    return plot


def _singly(policy: PolicyFigures) -> Spread:
    return policy.singly


def _marks(
    axes: Any,
    policies: Sequence[PolicyFigures],
    figures: dict[str, Callable[[PolicyFigures], Spread | None]],
    *,
    joined: bool = False,
) -> None:
    """Draw a mark and a range for each figure of each policy, side by side."""
    width = min(0.6 / len(policies), 0.2)
    for number, policy in enumerate(policies):
        shift = (number - (len(policies) - 1) / 2) * width
        found = [
            (place + shift, spread)
            for place, figure in enumerate(figures.values())
            if (spread := figure(policy)) is not None
        ]
        middle = [spread.median for _place, spread in found]
        axes.errorbar(
            [place for place, _spread in found],
            middle,
            yerr=[
                [spread.median - spread.least for _place, spread in found],
                [spread.most - spread.median for _place, spread in found],
            ],
            fmt=_MARKERS[number % len(_MARKERS)] + ("-" if joined else ""),
            color=_COLOURS[number % len(_COLOURS)],
            capsize=3,
            linewidth=1,
            label=policy.name,
        )
    axes.set_xticks(range(len(figures)), figures)
    axes.set_xlim(-0.5, len(figures) - 0.5)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
