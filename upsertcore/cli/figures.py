"""
What ``evaluate`` shows: the figures of one report, or of two side by side.

Rules:
    Nothing is computed here that the reports do not hold.
    A row is told by the line of the file on which it begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import astuple
from rich.markup import escape

from upsertcore.cli.report import plain, table
from upsertcore.evaluation import Report
from upsertcore.evaluation.contrast import Contrast

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["tables", "told_as_json"]

Lines: TypeAlias = Sequence[int]
Unreadable: TypeAlias = Mapping[str, int]

_FIGURES = {"precision": "precision", "recall": "recall", "f1": "F1"}
_REFUSALS = 20
_RESULTS = ("created", "updated", "unchanged", "merged")


def tables(
    names: Sequence[str],
    reports: Sequence[Report],
    contrast: Contrast | None,
    unreadable: Unreadable,
    lines: Lines,
) -> Iterator[Table]:
    """
    Lay out what was found.

    Args:
        names: Of what was judged.
        reports: One for each of them.
        contrast: Where they differ, None for one alone.
        unreadable: Why rows were left out, and how many.
        lines: The line of each record.

    >>> [each.title for each in tables([], [], None, {}, [])]
    ['figures']
    """
    heads = [escape(plain(name)) for name in names]
    yield _figures(heads, reports, unreadable)
    for head, report in zip(heads, reports, strict=True):
        of = f" of {head}" if len(heads) > 1 else ""
        if report.keys:
            yield _keys(f"keys{of}", report)
        if report.spread:
            yield _spread(f"{len(report.shuffled):,} shuffled orders{of}", report)
        if examples := [*_examples(report, lines)]:
            yield table(f"examples{of}", ("what", "of", "is"), examples)
    if contrast is not None:
        yield _differences(heads, contrast, lines)


def told_as_json(
    names: Sequence[str],
    reports: Sequence[Report],
    contrast: Contrast | None,
    unreadable: Unreadable,
    lines: Lines,
) -> dict[str, Any]:
    """
    Tell what was found as JSON can say it.

    Args:
        names: As of :func:`tables`, and so are the others.
        reports: One for each of them.
        contrast: Where they differ, None for one alone.
        unreadable: Why rows were left out, and how many.
        lines: The line of each record.

    >>> told_as_json([], [], None, {"is no CSV": 2}, [])
    {'unreadable': {'is no CSV': 2}, 'reports': [], 'contrast': None}
    """
    told = [
        {"policy": name, **report.to_dict()}
        for name, report in zip(names, reports, strict=True)
    ]
    apart = None if contrast is None else contrast.to_dict()
    found = {"unreadable": dict(unreadable), "reports": told, "contrast": apart}
    shown: dict[str, Any] = _with_lines(found, lines)
    return shown


def _with_lines(value: Any, lines: Lines) -> Any:
    """Lay beside each row the line of the file on which it begins."""
    if isinstance(value, list):
        return [_with_lines(each, lines) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: _with_lines(each, lines) for name, each in value.items()}
    return {**found, "line": lines[value["row"]]} if "row" in value else found


def _figures(
    heads: Sequence[str], reports: Sequence[Report], unreadable: Unreadable
) -> Table:
    found = _right(table("figures", ("", *heads), ()))
    told = [_told(each) for each in reports]
    for name in dict.fromkeys(name for each in told for name in each):
        found.add_row(name, *(each.get(name, "") for each in told))
    for why, number in unreadable.items():
        found.add_row(escape(plain(f"unreadable: {why}")), *[f"{number:,}"] * len(told))
    return found


def _told(report: Report) -> dict[str, str]:
    """Tell the figures of one report by name."""
    scores = report.scores
    counts = {
        "records": report.records,
        "persons": scores.persons,
        "contacts": report.contacts,
        "refused": report.refused,
        **{name: report.results.get(name, 0) for name in _RESULTS},
    }
    found = {name: f"{number:,}" for name, number in counts.items()}
    for name, measure in scores.measures.items():
        for each, word in _FIGURES.items():
            found[f"{name} {word}"] = f"{getattr(measure, each):.4f}"
    rest = {
        "persons split over contacts": scores.split,
        "contacts of several persons": scores.joined,
        "records that hit several contacts": report.hit_several,
    }
    return found | {name: f"{number:,}" for name, number in rest.items()}


def _keys(title: str, report: Report) -> Table:
    rows = [
        (each.key, f"{each.decided:,}", f"{each.right:,}", f"{each.wrong:,}")
        for each in report.keys
    ]
    return _right(table(title, ("key", "decided", "rightly", "wrongly"), rows))


def _spread(title: str, report: Report) -> Table:
    rows = [
        (f"{name} {_FIGURES[what]}", *(f"{each:.4f}" for each in astuple(spread)))
        for name, figures in report.spread.items()
        for what, spread in figures.items()
    ]
    return _right(table(title, ("", "least", "median", "most"), rows))


def _right(found: Table) -> Table:
    """Put figures, which are in all columns but the first, under one another."""
    for column in found.columns[1:]:
        column.justify = "right"
    return found


def _examples(report: Report, lines: Lines) -> Iterator[tuple[str, str, str]]:
    for what, mixtures in (
        ("split", report.scores.splits),
        ("joined", report.scores.joins),
    ):
        for each in mixtures:
            yield what, str(each.of), each.listing
    for hit in report.hits:
        of = f"line {lines[hit.row]}, of {hit.person}, by {hit.key}"
        yield "several hit", of, hit.listing
    kinds = sorted(report.refusals, key=lambda each: -each.count)
    for refusal in kinds[:_REFUSALS]:
        what = f"{refusal.kind} ({refusal.count:,})"
        yield "refused", what, f"line {lines[refusal.row]}: {refusal.example}"
    if rest := sum(each.count for each in kinds[_REFUSALS:]):
        yield "refused", f"for other reasons ({rest:,})", ""


def _differences(heads: Sequence[str], contrast: Contrast, lines: Lines) -> Table:
    rows = [
        (f"{lines[each.row]}", each.person, each.verdict, *_links(each))
        for each in contrast.examples
    ]
    counts = f"{contrast.better:,} better by {heads[1]}, {contrast.worse:,} worse"
    title = f"{contrast.differ:,} records put differently: {counts}"
    found = table(
        f"{title}, {contrast.mixed:,} mixed", ("line", "person", "is", *heads), rows
    )
    found.columns[0].justify = "right"
    return found


def _links(parting: Any) -> list[str]:
    sides = parting.mine, parting.theirs
    return [f"with {right:,} right, {wrong:,} wrong" for right, wrong in sides]
