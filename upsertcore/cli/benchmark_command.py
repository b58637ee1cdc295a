"""
The command ``upsertcore benchmark``: how fast policies are on the rows of a file.

Rules:
    The rows are read once and kept; each policy is loaded again in each process.
    Every figure is computed by ``upsertcore.benchmark``; a table has few columns, so
    that nothing is cut off on a narrow terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from upsertcore.benchmark import (
    BenchmarkReport,
    PolicyFigures,
    Runner,
    Subject,
    benchmark_subjects,
    draw,
)
from upsertcore.cli.candidates import load_candidates
from upsertcore.cli.column_options import ColumnOptions, column_options
from upsertcore.cli.exit_status import exit_status, output_console, report_errors
from upsertcore.cli.kept_rows import read_all
from upsertcore.cli.options import SET
from upsertcore.cli.output import count_table, printable
from upsertcore.cli.plot_file import check_plot
from upsertcore.cli.upsert_rows import ProgressBar
from upsertcore.cli.usage import InvalidUsage, parse_pairs
from upsertcore.evaluation import Spread
from upsertcore.evaluation.report import save

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["benchmark", "benchmark_tables"]


@click.command()
@click.argument("policy")
@click.argument("file")
@click.option(
    "--compare",
    "others",
    multiple=True,
    metavar="OTHER",
    help="Another policy, measured in turn with POLICY; it may be repeated.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="How often times are measured.",
)
@column_options
@SET
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Plot the figures to this file (.png, .svg, ...).",
)
@click.pass_context
def benchmark(
    context: click.Context,
    policy: str,
    file: str,
    others: tuple[str, ...],
    rounds: int,
    of_columns: ColumnOptions,
    sets: tuple[str, ...],
    *,
    as_json: bool,
    plot: Path | None,
) -> None:
    """
    Measure how fast POLICY upserts the rows of FILE into an empty book.

    POLICY, and OTHER, is a profile, a file NAME.toml, or module:attribute. FILE is CSV,
    JSON Lines or a JSON array; - is standard input. Each measurement is a process of
    its own.

    Example: upsertcore benchmark policy.toml leads.csv --compare other.toml
    """
    names = [policy, *others]
    with report_errors(file), ProgressBar() as bar:
        check_plot(plot)
        column_map = of_columns.read_map()
        constants = {**column_map.constants, **parse_pairs("--set", sets)}
        candidates = load_candidates(names, constants, bar)
        reserved = frozenset(name for each in candidates for name in each.path)
        # The columns are those of POLICY; the others are measured on the same rows.
        columns = of_columns.columns(candidates[0].target, reserved, column_map)
        kept = read_all(file, columns, bar)
        if not kept.rows:
            raise InvalidUsage(f"{file}: has no rows to measure")
        subjects = [
            (Subject(each.name, partial(_runner, names, number, constants)), payloads)
            for number, each in enumerate(candidates)
            for payloads in [[*map(each.payload, kept.rows)]]
        ]
        report = _measure(subjects, rounds, bar)
        if plot is not None:
            with report_errors(plot):
                save(draw(report), plot)
    if as_json:
        shown = {"unreadable": dict(kept.unreadable), **report.to_dict()}
        click.echo(json.dumps(shown, indent=2))
    else:
        console = output_console()
        for table in benchmark_tables(report, kept.unreadable):
            console.print(table)
    context.exit(exit_status(refused=bool(kept.unreadable)))


def _runner(names: Sequence[str], number: int, sets: Mapping[str, str]) -> Runner:
    """Load a candidate again, in another process."""
    with ProgressBar(shown=False) as bar:
        return load_candidates(names, sets, bar)[number].run()


def _measure(
    subjects: Sequence[tuple[Subject, Sequence[Any]]], rounds: int, bar: ProgressBar
) -> BenchmarkReport:
    try:
        progress = bar.counter("measuring")
        return benchmark_subjects(subjects, rounds=rounds, progress=progress)
    except RuntimeError as error:
        raise InvalidUsage(str(error)) from error


def benchmark_tables(
    report: BenchmarkReport, unreadable: Mapping[str, int]
) -> Iterator[Table]:
    """
    Yield the tables of a benchmark.

    Args:
        report: The report.
        unreadable: The number of rows that cannot be read, by kind.

    >>> tables = benchmark_tables(BenchmarkReport("3.11.7", 5, 1_000, ()), {"x": 1})
    >>> [table.title for table in tables]
    ['unreadable rows']
    """
    if unreadable:
        yield count_table("unreadable rows", ("reason", "rows"), unreadable.items())
    rounds = "1 round" if report.rounds == 1 else f"{report.rounds:,} rounds"
    for each in report.policies:
        name = escape(printable(each.name))
        heads = ("figure", "median", "least to most")
        rows = [*_counts(each), *_spreads(each, report.batch)]
        table = count_table(f"{name}, {rounds}", heads, rows)
        table.columns[-1].no_wrap = False
        yield table
        if reasons := each.fast_path.reasons:
            title = f"calls of {name} off the fast path"
            yield count_table(title, ("reason", "calls"), reasons.items())
        if each.keys:
            heads = ("key", "what", "rows")
            yield count_table(f"keys of {name}", heads, [*_key_rows(each)], texts=2)
    if len(report.policies) > 1:
        title = f"compared with {escape(printable(report.policies[0].name))}"
        rows = [*_compared(report)]
        yield count_table(title, ("figure", "policy", "ratio"), rows, texts=2)


def _counts(policy: PolicyFigures) -> Iterator[tuple[str, str, str]]:
    """Yield the figures that are the same in each round."""
    yield "rows", f"{policy.rows:,}", ""
    yield "contacts", f"{policy.contacts:,}", ""
    for result, number in policy.results.items():
        yield result, f"{number:,}", ""
    yield "calls on the fast path", f"{policy.fast_path.share:.1%}", ""
    if policy.contact_bytes is not None:
        yield "bytes a contact", f"{policy.contact_bytes:,.0f}", ""


def _spreads(policy: PolicyFigures, batch: int) -> Iterator[tuple[str, str, str]]:
    """Yield the figures of each round."""
    for name, spread in _timed(policy, batch):
        digits = ",.1f" if "\u00b5s" in name else ",.0f"
        middle = format(spread.median, digits)
        ends = f"{spread.least:{digits}} to {spread.most:{digits}}"
        yield name, middle, ends


def _timed(policy: PolicyFigures, batch: int) -> Iterator[tuple[str, Spread]]:
    """Yield the figures of times."""
    yield "upserts a second, singly", policy.singly
    if policy.batches is not None:
        yield f"upserts a second, in batches of {batch:,}", policy.batches
    for number, quarter in enumerate(policy.growth, 1):
        yield f"upserts a second, quarter {number}", quarter
    yield "\u00b5s an upsert, median", policy.latency.median
    yield "\u00b5s an upsert, 99 %", policy.latency.p99
    yield "\u00b5s an upsert, worst", policy.latency.worst


def _key_rows(policy: PolicyFigures) -> Iterator[tuple[str, str, int]]:
    for key in policy.keys:
        yield key.key, "asked", key.asked
        yield key.key, "hit nothing", key.nothing
        yield key.key, "hit one contact", key.one
        yield key.key, "hit several contacts", key.several
        yield key.key, "decided", key.decided


def _compared(report: BenchmarkReport) -> Iterator[tuple[str, str, str]]:
    """Yield the ratios of medians to those of the first policy."""
    first, *others = report.policies
    bases = {name: spread.median for name, spread in _timed(first, report.batch)}
    for other in others:
        for name, spread in _timed(other, report.batch):
            if name in bases:
                yield name, other.name, f"{spread.median / bases[name]:.2f}x"
        if first.contact_bytes and other.contact_bytes:
            ratio = other.contact_bytes / first.contact_bytes
            yield "bytes a contact", other.name, f"{ratio:.2f}x"
