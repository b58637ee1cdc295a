"""
The command ``upsertcore evaluate``: a policy on labelled data, or two of them.

Rules:
    The rows are read once and kept, for standard input can be read once.
    A profile is judged through its payloads, a policy through its patches.
    What is shown was computed by ``upsertcore.evaluation``; here it is laid out.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import click
from attrs import evolve, frozen

from upsertcore.cli.desk import WrongUse, pairs
from upsertcore.cli.failure import all_met, failing, screen
from upsertcore.cli.figures import tables, told_as_json
from upsertcore.cli.kinds import kind
from upsertcore.cli.row import Columns, InputRow, listed
from upsertcore.cli.rows import read
from upsertcore.cli.run import Bar, opened
from upsertcore.cli.subjects import Subject, subjects
from upsertcore.evaluation import Report, compare, judged
from upsertcore.evaluation.report import blank_figure, save
from upsertcore.normalize import exact
from upsertcore.values import shown

__all__ = ["evaluate"]

Words: TypeAlias = Mapping[str, str]


@frozen
class _Data:
    """Labelled rows, the person of each, and what could not be read."""

    rows: list[InputRow]
    persons: list[str]
    unreadable: Counter[str]


@click.argument("policy")
@click.argument("data")
@click.option(
    "--truth", required=True, metavar="COLUMN", help="Says whom a record is about."
)
@click.option(
    "--truth-pattern",
    "pattern",
    metavar="REGEX",
    help="Whose first group, found in that column, is the person: rec-(\\d+).",
)
@click.option("--compare", "other", metavar="OTHER", help="A policy beside the first.")
@click.option(
    "--shuffles",
    type=click.IntRange(0),
    default=0,
    help="How many further orders of arrival to try.",
)
@click.option("--seed", default=0, help="What these orders are made of.")
@click.option("--map", "maps", multiple=True, metavar="COLUMN=FIELD", help="As upsert.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option or parameter of a profile, or a field that every row has.",
)
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to draw the figures of POLICY (.png, .svg, ...).",
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
    Judge POLICY on labelled DATA: what it puts together, rightly or not.

    POLICY, and OTHER, is a profile, or module:attribute for a Policy or a function
    that makes one; modules of this folder are found. DATA is CSV, JSON Lines or a
    JSON array; - is standard input. A blank cell of a CSV is an omitted field.
    """
    names = [policy] if other is None else [policy, other]
    with failing(data), Bar() as bar:
        _drawable(plot)
        find = _finder(pattern)
        said, rename = pairs("--set", sets), pairs("--map", maps, "COLUMN=FIELD")
        if rename.get(truth, truth) in said:
            raise WrongUse(f"--set: {truth!r} is what --truth names, and no field")
        chosen = subjects(names, said, bar)
        reserved = frozenset(name for each in chosen for name in each.path)
        columns = Columns(rename, reserved)
        given = _read(data, columns, truth, find, bar)
        all_met(columns)
        reports = [
            _judged(subject, given, bar, shuffles=shuffles, seed=seed)
            for subject in chosen
        ]
        if plot is not None:
            with failing(plot):
                save(reports[0].plot(), plot)
    _show(names, given, reports, as_json=as_json)
    refused = given.unreadable.total() + sum(each.refused for each in reports)
    context.exit(1 if refused else 0)


def _judged(subject: Subject, given: _Data, bar: Bar, **orders: int) -> Report:
    """Judge one of them; what its own functions raise is told in a line."""
    try:
        sent = map(subject.payload, given.rows)
        return judged(
            subject.begin,
            list(zip(given.persons, sent, strict=True)),
            progress=bar.counting(subject.name),
            **orders,
        )
    except Exception as error:
        where = ", ".join(getattr(error, "__notes__", ()))
        told = f"{type(error).__name__}: {error} ({where})"
        raise WrongUse(f"{subject.name}: {told}") from error


def _read(
    name: str, columns: Columns, truth: str, find: Callable[[str], str], bar: Bar
) -> _Data:
    """Read the rows, and take out of each what says whom it is about."""
    column = columns.rename.get(truth, truth)
    if not truth:
        raise WrongUse("--truth: must name a column")
    if not column:
        raise WrongUse(f"--truth: --map leaves {truth!r} out")
    given = _Data([], [], Counter())
    with (
        opened(name) as (stream, position, size),
        closing(read(stream, name, columns)) as rows,
    ):
        for row in bar.over(rows, name, position, size):
            if row.error:
                given.unreadable[kind(row.error)] += 1
                continue
            with _at(f"{name}: line {row.line}"):
                given.persons.append(find(_said(row.payload, column)))
            rest = {n: value for n, value in row.payload.items() if n != column}
            given.rows.append(evolve(row, payload=rest))
    return given


@contextmanager
def _at(place: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise WrongUse(f"{place}: {error}") from error


def _said(payload: Any, column: str) -> str:
    """Give what a row says of whom it is about, as text."""
    value = payload.get(column) if isinstance(payload, dict) else None
    said = exact(value)
    if said is None:
        here = listed([*payload]) if isinstance(payload, dict) else "nothing"
        what = f"must be text or a whole number, not {shown(value)}"
        if value is None:
            what = f"is missing; there is {here or 'nothing'}"
        raise ValueError(f"{column}, which --truth names, {what}")
    return said


def _finder(pattern: str | None) -> Callable[[str], str]:
    """Make what finds the person in what a row says."""
    if pattern is None:
        return lambda said: said
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise WrongUse(f"--truth-pattern: {error}") from error
    if not compiled.groups:
        raise WrongUse("--truth-pattern: must have a group, such as rec-(\\d+)")

    def find(said: str) -> str:
        found = compiled.search(said)
        if found is None or not found[1]:
            raise ValueError(f"{said!r} does not fit --truth-pattern {pattern}")
        return found[1]

    return find


def _drawable(plot: Path | None) -> None:
    """See, before any work is done, that a plot can be drawn there."""
    if plot is None:
        return
    try:
        kinds = blank_figure().canvas.get_supported_filetypes()
    except ModuleNotFoundError as error:
        raise WrongUse(f"--plot: {error}") from error
    if plot.suffix[1:].lower() not in kinds:
        raise WrongUse(f"--plot: must end in one of .{', .'.join(sorted(kinds))}")
    if not plot.absolute().parent.is_dir():
        raise WrongUse(f"--plot: there is no folder {str(plot.absolute().parent)!r}")


def _show(
    names: Sequence[str], given: _Data, reports: Sequence[Report], *, as_json: bool
) -> None:
    """Print what it came to, for people or for programs."""
    contrast = compare(*reports) if len(reports) > 1 else None
    lines = [row.line for row in given.rows]
    if as_json:
        told = told_as_json(names, reports, contrast, given.unreadable, lines)
        click.echo(json.dumps(told, indent=2))
    else:
        console = screen()
        for each in tables(names, reports, contrast, given.unreadable, lines):
            console.print(each)
    scores = reports[0].scores
    if not scores.records:
        click.echo("there is no record, so nothing was judged", err=True)
    if scores.records == scores.persons > 1:
        what = "every record has a person of its own, so none can be missed"
        click.echo(f"{what}; --truth-pattern takes the person out of a value", err=True)
