"""
Output of ``evaluate``: the scores of one report, or of two side by side.

Rules:
    Only figures of the reports are shown; nothing is computed here.
    A row is identified by the line of the file on which it starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import astuple
from rich.markup import escape

from upsertcore.cli.output import make_table, printable
from upsertcore.evaluation import Report
from upsertcore.evaluation.compare_reports import ReportComparison

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["evaluation_json", "evaluation_tables"]

Lines: TypeAlias = Sequence[int]
UnreadableCounts: TypeAlias = Mapping[str, int]

_MEASURES = {"precision": "precision", "recall": "recall", "f1": "F1"}
_MAX_REFUSALS = 20
_RESULTS = ("created", "updated", "unchanged", "merged")


def evaluation_tables(
    names: Sequence[str],
    reports: Sequence[Report],
    contrast: ReportComparison | None,
    unreadable: UnreadableCounts,
    lines: Lines,
) -> Iterator[Table]:
    """
    Yield the tables of an evaluation.

    Args:
        names: The names of the candidates.
        reports: Their reports.
        contrast: Their differences, None for one candidate.
        unreadable: The number of unreadable rows by kind.
        lines: The line of each record.

    >>> [table.title for table in evaluation_tables([], [], None, {}, [])]
    ['figures']
    """
    heads = [escape(printable(name)) for name in names]
    yield _figures(heads, reports, unreadable)
    for head, report in zip(heads, reports, strict=True):
        suffix = f" of {head}" if len(heads) > 1 else ""
        if report.keys:
            yield _keys(f"keys{suffix}", report)
        if report.spread:
            yield _spread(f"{len(report.shuffled):,} shuffled orders{suffix}", report)
        if examples := [*_examples(report, lines)]:
            yield make_table(
                f"examples{suffix}", ("kind", "subject", "details"), examples
            )
    if contrast is not None:
        yield _differences(heads, contrast, lines)


def evaluation_json(
    names: Sequence[str],
    reports: Sequence[Report],
    contrast: ReportComparison | None,
    unreadable: UnreadableCounts,
    lines: Lines,
) -> dict[str, Any]:
    """
    Return an evaluation as JSON values.

    Args:
        names: The names of the candidates.
        reports: Their reports.
        contrast: Their differences, None for one candidate.
        unreadable: The number of unreadable rows by kind.
        lines: The line of each record.

    >>> evaluation_json([], [], None, {"is not valid CSV": 2}, [])
    {'unreadable': {'is not valid CSV': 2}, 'reports': [], 'contrast': None}
    """
    entries = [
        {"policy": name, **report.to_dict()}
        for name, report in zip(names, reports, strict=True)
    ]
    apart = None if contrast is None else contrast.to_dict()
    result = {"unreadable": dict(unreadable), "reports": entries, "contrast": apart}
    shown: dict[str, Any] = _with_lines(result, lines)
    return shown


def _with_lines(value: Any, lines: Lines) -> Any:
    """Add to each row the line of the file on which it starts."""
    if isinstance(value, list):
        return [_with_lines(item, lines) for item in value]
    if not isinstance(value, dict):
        return value
    result = {name: _with_lines(item, lines) for name, item in value.items()}
    return {**result, "line": lines[value["row"]]} if "row" in value else result


def _figures(
    heads: Sequence[str], reports: Sequence[Report], unreadable: UnreadableCounts
) -> Table:
    table = _align_right(make_table("figures", ("", *heads), ()))
    columns = [_report_figures(report) for report in reports]
    for name in dict.fromkeys(name for figures in columns for name in figures):
        table.add_row(name, *(figures.get(name, "") for figures in columns))
    for kind, number in unreadable.items():
        table.add_row(
            escape(printable(f"unreadable: {kind}")), *[f"{number:,}"] * len(columns)
        )
    return table


def _report_figures(report: Report) -> dict[str, str]:
    """Return the figures of one report by name."""
    scores = report.scores
    counts = {
        "records": report.records,
        "persons": scores.persons,
        "contacts": report.contacts,
        "refused": report.refused,
        **{name: report.results.get(name, 0) for name in _RESULTS},
    }
    figures = {name: f"{number:,}" for name, number in counts.items()}
    for name, measure in scores.measures.items():
        for attribute, word in _MEASURES.items():
            figures[f"{name} {word}"] = f"{getattr(measure, attribute):.4f}"
    totals = {
        "persons split over contacts": scores.split,
        "contacts of several persons": scores.joined,
        "records that matched several contacts": report.hit_several,
    }
    return figures | {name: f"{number:,}" for name, number in totals.items()}


def _keys(title: str, report: Report) -> Table:
    rows = [
        (score.key, f"{score.decided:,}", f"{score.right:,}", f"{score.wrong:,}")
        for score in report.keys
    ]
    return _align_right(make_table(title, ("key", "decided", "right", "wrong"), rows))


def _spread(title: str, report: Report) -> Table:
    rows = [
        (f"{name} {_MEASURES[measure]}", *(f"{value:.4f}" for value in astuple(spread)))
        for name, figures in report.spread.items()
        for measure, spread in figures.items()
    ]
    return _align_right(make_table(title, ("", "lowest", "median", "highest"), rows))


def _align_right(table: Table) -> Table:
    """Right-align all columns but the first."""
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _examples(report: Report, lines: Lines) -> Iterator[tuple[str, str, str]]:
    for kind, mixtures in (
        ("split", report.scores.splits),
        ("joined", report.scores.joins),
    ):
        for mixture in mixtures:
            yield kind, str(mixture.of), mixture.listing
    for hit in report.hits:
        subject = f"line {lines[hit.row]}, of {hit.person}, by {hit.key}"
        yield "several matches", subject, hit.listing
    kinds = sorted(report.refusals, key=lambda refusal: -refusal.count)
    for refusal in kinds[:_MAX_REFUSALS]:
        kind = f"{refusal.kind} ({refusal.count:,})"
        yield "refused", kind, f"line {lines[refusal.row]}: {refusal.example}"
    if others := sum(refusal.count for refusal in kinds[_MAX_REFUSALS:]):
        yield "refused", f"for other reasons ({others:,})", ""


def _differences(
    heads: Sequence[str], contrast: ReportComparison, lines: Lines
) -> Table:
    rows = [
        (f"{lines[example.row]}", example.person, example.verdict, *_links(example))
        for example in contrast.examples
    ]
    counts = f"{contrast.better:,} better by {heads[1]}, {contrast.worse:,} worse"
    title = f"{contrast.differ:,} records linked differently: {counts}"
    table = make_table(
        f"{title}, {contrast.mixed:,} mixed",
        ("line", "person", "verdict", *heads),
        rows,
    )
    table.columns[0].justify = "right"
    return table


def _links(example: Any) -> list[str]:
    sides = example.first, example.second
    return [f"with {right:,} right, {wrong:,} wrong" for right, wrong in sides]
