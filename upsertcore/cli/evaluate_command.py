"""
The command ``upsertcore evaluate``: one or two policies on labelled data.

Rules:
    The rows are read once and kept, because standard input can be read only once.
    A profile is evaluated with payloads, a policy with patches.
    Every figure is computed by ``upsertcore.evaluation``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from attrs import evolve, frozen

from upsertcore.cli.candidates import Candidate, load_candidates
from upsertcore.cli.column_options import ColumnOptions, few_column_options
from upsertcore.cli.evaluation_output import evaluation_json, evaluation_tables
from upsertcore.cli.exit_status import exit_status, output_console, report_errors
from upsertcore.cli.kept_rows import KeptRows, read_all
from upsertcore.cli.options import SET
from upsertcore.cli.plot_file import check_plot
from upsertcore.cli.upsert_rows import ProgressBar
from upsertcore.cli.usage import InvalidUsage, parse_pairs
from upsertcore.evaluation import Report, compare, evaluate_records
from upsertcore.evaluation.report import save
from upsertcore.files.rows import InputRow, format_names
from upsertcore.normalize import exact
from upsertcore.values import show_value

__all__ = ["evaluate"]


@frozen
class _Data:
    """Rows without their labels, their persons, and counts of unreadable rows."""

    rows: list[InputRow]
    persons: list[str]
    unreadable: Counter[str]


@click.command()
@click.argument("policy")
@click.argument("data")
@click.option(
    "--truth",
    required=True,
    metavar="COLUMN",
    help="The column that identifies the person of a record.",
)
@click.option(
    "--truth-pattern",
    "pattern",
    metavar="REGEX",
    help="A pattern for that column; its first group is the person: rec-(\\d+).",
)
@click.option(
    "--compare", "other", metavar="OTHER", help="A second policy to compare with."
)
@click.option(
    "--shuffles",
    type=click.IntRange(0),
    default=0,
    help="The number of shuffled orders to try as well.",
)
@click.option("--seed", default=0, help="The seed of the shuffled orders.")
@few_column_options
@SET
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Plot the scores of POLICY to this file (.png, .svg, ...).",
)
@click.pass_context
def evaluate(
    context: click.Context,
    policy: str,
    data: str,
    truth: str,
    pattern: str | None,
    other: str | None,
    shuffles: int,
    seed: int,
    of_columns: ColumnOptions,
    sets: tuple[str, ...],
    *,
    as_json: bool,
    plot: Path | None,
) -> None:
    """
    Score the matches that POLICY makes on labelled DATA.

    POLICY, and OTHER, is a profile, a policy as TOML in a file NAME.toml, or
    module:attribute for a Policy or a function that returns one; modules are also
    searched in the current directory. DATA is CSV, JSON Lines or a JSON array; - is
    standard input. A blank cell of a CSV is an omitted field.

    Example: upsertcore evaluate policy.toml people.csv --truth person
    """
    names = [policy] if other is None else [policy, other]
    with report_errors(data), ProgressBar() as bar:
        check_plot(plot)
        extract = _person_extractor(pattern)
        column_map = of_columns.read_map()
        constants = {**column_map.constants, **parse_pairs("--set", sets)}
        label = _label_column(truth, of_columns.rename(), constants)
        candidates = load_candidates(names, constants, bar)
        reserved = frozenset(name for each in candidates for name in each.path)
        # The columns are those of POLICY; the other has the same rows.
        columns = of_columns.columns(candidates[0].target, reserved, column_map, label)
        labelled = _labelled(data, read_all(data, columns, bar), label, extract)
        reports = [
            _evaluate_candidate(candidate, labelled, bar, shuffles=shuffles, seed=seed)
            for candidate in candidates
        ]
        if plot is not None:
            with report_errors(plot):
                save(reports[0].plot(), plot)
    _show(names, labelled, reports, as_json=as_json)
    refused = labelled.unreadable.total() + sum(report.refused for report in reports)
    context.exit(exit_status(refused=bool(refused)))


def _evaluate_candidate(
    candidate: Candidate, labelled: _Data, bar: ProgressBar, **orders: int
) -> Report:
    """Evaluate a candidate; report an error of its functions in one line."""
    try:
        payloads = map(candidate.payload, labelled.rows)
        return evaluate_records(
            candidate.begin,
            list(zip(labelled.persons, payloads, strict=True)),
            progress=bar.counter(candidate.name),
            **orders,
        )
    except Exception as error:
        notes = ", ".join(getattr(error, "__notes__", ()))
        message = f"{type(error).__name__}: {error} ({notes})"
        raise InvalidUsage(f"{candidate.name}: {message}") from error


def _label_column(
    truth: str, rename: Mapping[str, str], constants: Mapping[str, str]
) -> str:
    """Return the column of the labels; it may be named as ``--map`` renames it."""
    if not truth:
        raise InvalidUsage("--truth: must name a column")
    if rename.get(truth) == "":
        raise InvalidUsage(f"--truth: --map drops {truth!r}")
    columns = [column for column, name in rename.items() if name == truth]
    label = columns[0] if columns else truth
    if not {label, truth}.isdisjoint(constants):
        raise InvalidUsage(f"--set: {truth!r} is the --truth column, not a field")
    return label


def _labelled(
    name: str, kept: KeptRows, column: str, extract: Callable[[str], str]
) -> _Data:
    """Separate the label of each row."""
    labelled = _Data([], [], kept.unreadable)
    for row in kept.rows:
        try:
            labelled.persons.append(extract(_label(row.payload, column)))
        except ValueError as error:
            raise InvalidUsage(f"{name}: line {row.line}: {error}") from error
        payload = {n: value for n, value in row.payload.items() if n != column}
        labelled.rows.append(evolve(row, payload=payload))
    return labelled


def _label(payload: Any, column: str) -> str:
    """Return the label of a row as text."""
    value = payload.get(column) if isinstance(payload, dict) else None
    label = exact(value)
    if label is None:
        problem = f"must be text or a whole number, not {show_value(value)}"
        if value is None:
            columns = format_names([*payload]) if isinstance(payload, dict) else ""
            problem = f"is missing; the row has {columns or 'no columns'}"
        raise ValueError(f"{column} (the --truth column) {problem}")
    return label


def _person_extractor(pattern: str | None) -> Callable[[str], str]:
    """Return a function that extracts the person from a label."""
    if pattern is None:
        return lambda label: label
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InvalidUsage(f"--truth-pattern: {error}") from error
    if not compiled.groups:
        raise InvalidUsage("--truth-pattern: must have a group, such as rec-(\\d+)")

    def extract(label: str) -> str:
        match = compiled.search(label)
        if match is None or not match[1]:
            raise ValueError(f"{label!r} does not match --truth-pattern {pattern}")
        return match[1]

    return extract


def _show(
    names: Sequence[str], labelled: _Data, reports: Sequence[Report], *, as_json: bool
) -> None:
    """Print the reports as tables or as JSON."""
    contrast = compare(*reports) if len(reports) > 1 else None
    lines = [row.line for row in labelled.rows]
    if as_json:
        result = evaluation_json(names, reports, contrast, labelled.unreadable, lines)
        click.echo(json.dumps(result, indent=2))
    else:
        console = output_console()
        for table in evaluation_tables(
            names, reports, contrast, labelled.unreadable, lines
        ):
            console.print(table)
    scores = reports[0].scores
    if not scores.records:
        click.echo("no records: nothing was evaluated", err=True)
    if scores.records == scores.persons > 1:
        note = "every record has its own person, so no match can be missed"
        click.echo(
            f"{note}; --truth-pattern extracts the person from a value", err=True
        )
