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
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
from attrs import evolve, frozen

from upsertcore.cli.candidates import Candidate, load_candidates
from upsertcore.cli.evaluation_output import evaluation_json, evaluation_tables
from upsertcore.cli.exit_status import (
    check_columns,
    exit_status,
    output_console,
    report_errors,
)
from upsertcore.cli.plot_file import check_plot
from upsertcore.cli.upsert_rows import ProgressBar, open_input
from upsertcore.cli.usage import InvalidUsage, parse_pairs
from upsertcore.evaluation import Report, compare, evaluate_records
from upsertcore.evaluation.report import save
from upsertcore.files.columns import Columns
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import InputRow, format_names, problem_kind
from upsertcore.normalize import exact
from upsertcore.values import show_value

__all__ = ["evaluate"]


@frozen
class _Data:
    """Labelled rows, their persons, and counts of unreadable rows."""

    rows: list[InputRow]
    persons: list[str]
    unreadable: Counter[str]


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
@click.option(
    "--map", "maps", multiple=True, metavar="COLUMN=FIELD", help="As for upsert."
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option or parameter of a profile, or a field set in every row.",
)
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
    maps: tuple[str, ...],
    sets: tuple[str, ...],
    *,
    as_json: bool,
    plot: Path | None,
) -> None:
    """
    Score the matches that POLICY makes on labelled DATA.

    POLICY, and OTHER, is a profile, a policy as TOML in a file NAME.toml, or
    module:attribute for a Policy or a function that returns one; modules are also
    searched in the current directory. DATA is CSV,
    JSON Lines or a JSON array; - is standard input. A blank cell of a CSV is an
    omitted field.
    """
    names = [policy] if other is None else [policy, other]
    with report_errors(data), ProgressBar() as bar:
        check_plot(plot)
        extract = _person_extractor(pattern)
        constants, rename = (
            parse_pairs("--set", sets),
            parse_pairs("--map", maps, "COLUMN=FIELD"),
        )
        if rename.get(truth, truth) in constants:
            raise InvalidUsage(f"--set: {truth!r} is the --truth column, not a field")
        candidates = load_candidates(names, constants, bar)
        reserved = frozenset(
            name for candidate in candidates for name in candidate.path
        )
        columns = Columns(rename, reserved)
        labelled = _read_labelled(data, columns, truth, extract, bar)
        check_columns(columns)
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


def _read_labelled(
    name: str,
    columns: Columns,
    truth: str,
    extract: Callable[[str], str],
    bar: ProgressBar,
) -> _Data:
    """Read the rows, and separate the label of each."""
    column = columns.rename.get(truth, truth)
    if not truth:
        raise InvalidUsage("--truth: must name a column")
    if not column:
        raise InvalidUsage(f"--truth: --map drops {truth!r}")
    labelled = _Data([], [], Counter())
    with (
        open_input(name) as (stream, position, size),
        closing(read_rows(stream, name, columns)) as rows,
    ):
        for row in bar.track(rows, name, position, size):
            if row.error:
                labelled.unreadable[problem_kind(row.error)] += 1
                continue
            with _errors_at(f"{name}: line {row.line}"):
                labelled.persons.append(extract(_label(row.payload, column)))
            payload = {n: value for n, value in row.payload.items() if n != column}
            labelled.rows.append(evolve(row, payload=payload))
    return labelled


@contextmanager
def _errors_at(place: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise InvalidUsage(f"{place}: {error}") from error


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
