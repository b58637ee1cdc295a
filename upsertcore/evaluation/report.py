"""
The report on a policy: figures and examples as values, text, JSON or a plot.

Rules:
    Nothing is counted here; values are formatted.
    Rows are numbered from 0, in the order in which the records came.
    Examples are the first few of a kind; the counts beside them are of all.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias, final

from attrs import asdict, field, frozen

from upsertcore.evaluation.scores import Measure, Scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Hit",
    "KeyScore",
    "Measures",
    "Refusal",
    "RefusedRecord",
    "Report",
    "Spread",
    "blank_figure",
    "figure",
    "save",
]

Measures: TypeAlias = Mapping[str, Measure]


@final
@frozen
class Refusal:
    """
    The refusals of one kind.

    Args:
        kind: The reason, without values, so that refusals can be counted.
        example: The message of the first such refusal.
        row: The place of the first such record, from 0.
        count: The number of such records.

    >>> str(Refusal("NoMatchKey", "no key to match by", row=3, count=2))
    'NoMatchKey: 2, such as row 3: no key to match by'
    """

    kind: str
    example: str
    row: int = 0
    count: int = 1

    def __str__(self) -> str:
        return f"{self.kind}: {self.count:,}, such as row {self.row}: {self.example}"


@final
@frozen
class KeyScore:
    """
    The decisions of a key.

    Args:
        key: Its name.
        decided: How many records it matched to a contact.
        right: How often that contact had at least as many records of the record's
            person as of any other.

    >>> KeyScore("email", 5, 3).wrong
    2
    """

    key: str
    decided: int
    right: int

    @property
    def wrong(self) -> int:
        """How often the contact had more records of another person."""
        return self.decided - self.right


@final
@frozen
class Hit:
    """
    A record whose keys matched several contacts.

    Args:
        row: Its place, from 0.
        person: Its true person.
        key: The name of the key that decided.
        among: The number of contacts that matched.
        contacts: The ids of the first of them at that time; the chosen one first.

    >>> str(Hit(4, "ada", "email", 2, ("c-1", "c-2")))
    'row 4, of ada, by email: c-1, c-2'
    """

    row: int
    person: Hashable
    key: str | None
    among: int
    contacts: tuple[str, ...]

    def __str__(self) -> str:
        return f"row {self.row}, of {self.person}, by {self.key}: {self.listing}"

    @property
    def listing(self) -> str:
        """The contacts in words."""
        shown, more = ", ".join(self.contacts), self.among - len(self.contacts)
        return f"{shown} and {more:,} more" if more else shown


@final
@frozen
class Spread:
    """
    The range of a figure over several orders of arrival.

    Args:
        least: The minimum.
        median: The median.
        most: The maximum.

    >>> str(Spread.of([0.5, 1.0, 0.75, 0.75]))
    '0.5000 to 1.0000, median 0.7500'
    """

    least: float
    median: float
    most: float

    def __str__(self) -> str:
        return f"{self.least:.4f} to {self.most:.4f}, median {self.median:.4f}"

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """
        Summarise one figure or more.

        >>> Spread.of([0.5])
        Spread(least=0.5, median=0.5, most=0.5)
        """
        return cls(min(figures), median(figures), max(figures))


@final
@frozen
class RefusedRecord:
    """
    The place of a refused record: a group of its own.

    Args:
        row: The place of the record, from 0, which makes it unique.

    >>> str(RefusedRecord(4)), RefusedRecord(4) == RefusedRecord(5)
    ('refused', False)
    """

    row: int

    def __str__(self) -> str:
        return "refused"


@final
@frozen
class Report:
    """
    How well a policy groups records.

    Args:
        scores: The scores of the records in the order in which they came.
        results: Result of a call (``created``, ``updated``, ...) to its number.
        refusals: One per kind, in the order of their first records.
        keys: One per key of the strategy, in its order.
        hit_several: The number of records whose keys matched several contacts.
        hits: The first of them.
        persons: The true person of each record.
        places: The final place of each record: a contact's id, or ``RefusedRecord``.
        shuffled: The measures by name, for each shuffled order of arrival.
    """

    scores: Scores
    results: Mapping[str, int]
    refusals: tuple[Refusal, ...]
    keys: tuple[KeyScore, ...]
    hit_several: int
    hits: tuple[Hit, ...]
    persons: tuple[Hashable, ...] = field(repr=False)
    places: tuple[Hashable, ...] = field(repr=False)
    shuffled: tuple[Measures, ...] = field(default=(), repr=False)

    @property
    def records(self) -> int:
        """The number of records."""
        return self.scores.records

    @property
    def refused(self) -> int:
        """The number of refused records."""
        return sum(refusal.count for refusal in self.refusals)

    @property
    def contacts(self) -> int:
        """The number of contacts of the other records."""
        return self.scores.contacts - self.refused

    @property
    def spread(self) -> dict[str, dict[str, Spread]]:
        """The range over the shuffled orders, by measure and figure; empty without."""
        if not self.shuffled:
            return {}
        return {
            name: {
                figure: Spread.of([getattr(one[name], figure) for one in self.shuffled])
                for figure in ("precision", "recall", "f1")
            }
            for name in self.scores.measures
        }

    def __str__(self) -> str:
        results = [f"{count:,} {name}" for name, count in self.results.items()]
        width = max([len(item.key) for item in self.keys], default=0)
        lines = [
            str(self.scores),
            f"results: {', '.join(results) or 'none'}",
            f"refused: {self.refused:,}",
            *(f"  {item}" for item in self.refusals),
            *(["keys that decided, and how often rightly"] if self.keys else []),
            *(f"  {k.key:<{width}} {k.decided:>9,} {k.right:>9,}" for k in self.keys),
            f"records whose keys hit several contacts: {self.hit_several:,}",
            *(f"  {item}" for item in self.hits),
        ]
        if self.shuffled:
            lines.append(f"over shuffled orders of arrival: {len(self.shuffled):,}")
        for name, figures in self.spread.items():
            lines += [
                f"  {name} {figure:<9} {item}" for figure, item in figures.items()
            ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, without the places of the records."""
        hits = [{**asdict(item), "person": str(item.person)} for item in self.hits]
        return {
            "scores": self.scores.to_dict(),
            "records": self.records,
            "contacts": self.contacts,
            "refused": self.refused,
            "results": dict(self.results),
            "refusals": [asdict(item) for item in self.refusals],
            "keys": [asdict(item) for item in self.keys],
            "hit_several": self.hit_several,
            "hits": [{**item, "contacts": [*item["contacts"]]} for item in hits],
            "shuffles": len(self.shuffled),
            "spread": {
                name: {figure: asdict(item) for figure, item in figures.items()}
                for name, figures in self.spread.items()
            },
        }

    def plot(self) -> Figure:
        """
        Draw the measures with their ranges over the shuffles, and each key's decisions.

        Raises:
            ModuleNotFoundError: If matplotlib is not installed (extra ``[plot]``).
        """
        return figure(self)


# Okabe and Ito's colours, which are distinguishable with colour blindness.
_BLUE, _ORANGE, _BLACK = "#0072B2", "#E69F00", "#000000"
# The side of its tick, the colour and the marker of each measure.
_LOOKS = {"pairwise": (-1, _BLUE, "o"), "B-cubed": (1, _ORANGE, "s")}
_FIGURES = {"precision": "precision", "recall": "recall", "f1": "F1"}


def blank_figure(height: float = 4.2) -> Figure:
    """
    Make an empty figure.

    Args:
        height: In inches.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed; it names the extra.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - the extra is optional
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "a plot needs matplotlib: pip install 'upsertcore[plot]'",
            name=error.name,
        ) from error
    return Figure(figsize=(11, height), layout="constrained", facecolor="white")


def save(figure: Figure, path: Path) -> None:
    """
    Write a figure to a file, with the same bytes for the same figure.

    Args:
        figure: The figure.
        path: The file; its suffix determines the format.

    Raises:
        OSError: If it cannot be written.
    """
    from matplotlib import rc_context  # noqa: PLC0415 - installed if there is a figure

    has_date = path.suffix.lower() in {".svg", ".pdf"}
    no_date = {"Date" if path.suffix.lower() == ".svg" else "CreationDate": None}
    with rc_context({"svg.hashsalt": "upsertcore"}):
        figure.savefig(path, metadata=no_date if has_date else None)


def figure(report: Report) -> Figure:
    """
    Draw the measures with their ranges, and the decisions of each key.

    Args:
        report: A report, with or without shuffled orders.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
    """
    plot = blank_figure(max(4.2, 1.6 + 0.45 * len(report.keys)))
    left, right = plot.subplots(1, 2, width_ratios=(6, 5))
    _measures(left, report)
    _keys(right, report)
    return plot


def _measures(axes: Any, report: Report) -> None:
    """Draw precision, recall and F1 of both measures, each with its range."""
    lowest = 1.0
    for name, measure in report.scores.measures.items():
        side, colour, marker = _LOOKS[name]
        values = [getattr(measure, figure) for figure in _FIGURES]
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
        lowest = min([lowest, *values, *[figure.least for figure in spreads]])
    _frame(axes, report, lowest)


def _spread(axes: Any, spreads: Sequence[Spread], shift: float) -> None:
    """Draw the range over other orders of arrival beside each figure."""
    low = [spread.median - spread.least for spread in spreads]
    high = [spread.most - spread.median for spread in spreads]
    axes.errorbar(
        [place + shift for place in range(len(spreads))],
        [spread.median for spread in spreads],
        yerr=[low, high],
        fmt="_",
        color=_BLACK,
        capsize=3,
        linewidth=1,
    )


def _frame(axes: Any, report: Report, lowest: float) -> None:
    """Label the axes; the scale ends at 1.0."""
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
    """Draw the right and the wrong decisions of each key."""
    names = [key.key for key in report.keys]
    places = range(len(names))
    right = [key.right for key in report.keys]
    wrong = [key.wrong for key in report.keys]
    looks = {"edgecolor": _BLACK, "linewidth": 0.6}
    axes.barh(places, right, color=_BLUE, label="right", **looks)
    axes.barh(
        places, wrong, left=right, color=_ORANGE, hatch="///", label="wrong", **looks
    )
    for place, key in zip(places, report.keys, strict=True):
        label = f" {key.right:,} right, {key.wrong:,} wrong"
        axes.annotate(label, (key.decided, place), va="center", fontsize="small")
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    most = max([key.decided for key in report.keys], default=0)
    axes.set_xlim(0, max(most, 1) * 1.6)
    axes.locator_params(axis="x", integer=True, nbins=6)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("records for which the key decided")
    axes.set_title("what each key decided", fontsize="medium")
    _legend(axes, -0.18)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(axes: Any, below: float) -> None:
    """Add the legend below the axes."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, below), ncols=2, frameon=False)
