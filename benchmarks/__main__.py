"""
The command: ``python -m benchmarks``, ``... profile``, ``... guard``, ``... accuracy``.

Rules:
    Results go to files, progress to standard error, one line per step.
    Results are written at the end, completely or not at all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from benchmarks import accuracy, guard, plots, profiling, report, worker
from benchmarks.engines.catalogue import ENGINES
from benchmarks.machine import machine_info
from benchmarks.measure import ROOT, Request, in_process, measure, measure_pythons
from benchmarks.operations import measure as measure_operations
from benchmarks.output import write_results
from benchmarks.workloads import MAIN

__all__ = ["main"]

_QUICK = Request(sizes=(100, 300), runs=1)
_FOLDER = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command.

    Returns:
        The exit status: 1 if the guard fails, otherwise 0.
    """
    args = _parser().parse_args(arguments)
    if args.command == "profile":
        print(
            profiling.format_rows(profiling.profile(attrs.evolve(MAIN, size=args.size)))
        )
        return 0
    if args.command == "guard":
        valgrind = args.valgrind or guard.find_valgrind()
        if args.features:
            return guard.features(valgrind, args.out / "README.md", say=print)
        return guard.guard(valgrind, args.baseline, store=args.store, say=print)
    if args.command == "accuracy":
        print(accuracy.main(args.out, quick=args.quick, quiet=args.quiet))
        return 0
    if args.command == "tables":
        text = (args.out / "results.json").read_text(encoding="utf-8")
        results: dict[str, Any] = json.loads(text)
    else:
        results = _measure(_request(args), args)
    _write(results, args.out)
    print(report.excerpt(results))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sizes", type=_sizes, help="such as 1000,10000,1e6")
    parser.add_argument("--engines", type=_engines, help="comma-separated names")
    parser.add_argument("--runs", type=int, help="runs of each engine and workload")
    parser.add_argument("--budget", type=float, help="the maximum seconds of a run")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: small sizes, one process"
    )
    parser.add_argument("--quiet", action="store_true", help="do not print progress")
    parser.add_argument("--out", type=Path, default=_FOLDER, help="folder for results")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        help="an interpreter to run the floor and the library under as well",
    )
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("tables", help="write the tables of results.json again")
    profile = commands.add_parser("profile", help="where the time of an upsert goes")
    profile.add_argument("--size", type=int, default=10_000)
    check = commands.add_parser("guard", help="instruction counts against a baseline")
    action = check.add_mutually_exclusive_group()
    action.add_argument("--store", action="store_true", help="write the baseline")
    action.add_argument(
        "--features", action="store_true", help="what each feature costs, as a table"
    )
    check.add_argument("--valgrind", default="", help="the program to count with")
    check.add_argument("--baseline", type=Path, default=_FOLDER / "baseline.json")
    # These flags may come before or after the command; a missing one must not reset
    # the value of the other place.
    accurate = commands.add_parser("accuracy", help="policies and linkers on FEBRL")
    for flag in ("--quick", "--quiet"):
        accurate.add_argument(flag, action="store_true", default=argparse.SUPPRESS)
    accurate.add_argument("--out", type=Path, default=argparse.SUPPRESS)
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(float(part)) for part in text.split(",")))


def _engines(text: str) -> tuple[str, ...]:
    prefixes = [name.strip() for name in text.split(",")]
    # "sqlite3, row by row" contains a comma, so a prefix is enough.
    names = [n for n in ENGINES if any(n.startswith(part) for part in prefixes if part)]
    if not names:
        raise argparse.ArgumentTypeError(f"one of {', '.join(ENGINES)}")
    return tuple(dict.fromkeys(["floor", *names]))


def _request(args: argparse.Namespace) -> Request:
    options = {
        name: getattr(args, name) for name in ("sizes", "engines", "runs", "budget")
    }
    overrides = {name: value for name, value in options.items() if value is not None}
    return attrs.evolve(_QUICK if args.quick else Request(), **overrides)


def _measure(request: Request, args: argparse.Namespace) -> dict[str, Any]:
    quick = args.quick

    def say(line: str) -> None:
        if not args.quiet:
            print(line, file=sys.stderr, flush=True)

    # Measured first, so that the load is not that of the benchmarks.
    machine = machine_info()
    run = in_process if not quick else lambda task: worker.run(task.to_json())
    # First, so that a wrong path fails early.
    paths = [sys.executable, *args.python] if args.python else []
    pythons = measure_pythons(paths, request.side, request.runs, say)
    measured = measure(request, say, run)
    size = max(request.sizes)
    say(f"other operations, {size:,} contacts, {request.runs} runs")
    also = (measure_operations if quick else _measure_operations)(size, request.runs)
    say("where the time goes")
    spent = profiling.profile(attrs.evolve(MAIN, size=request.side))
    return {
        "about": machine,
        "quick": quick,
        "asked": attrs.asdict(request),
        "rows": measured.rows,
        "pythons": pythons,
        "left_out": measured.left_out,
        "also": also,
        "spent": spent,
    }


def _measure_operations(size: int, runs: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.operations", str(size), str(runs)]
    ran = subprocess.run(  # noqa: S603 - this interpreter, and our own module
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    rows: list[dict[str, Any]] = json.loads(ran.stdout)
    return rows


def _write(results: dict[str, Any], folder: Path) -> None:
    pictures = (
        "![Cost of an upsert against the number of patches](cost.svg)\n\n"
        "![Engines as ratios to the floor](engines.svg)"
    )
    tables = f"{report.report(results)}\n\n{pictures}"
    write_results(
        folder, "results.json", results, lambda text: report.insert_block(text, tables)
    )
    if folder == _FOLDER and not results["quick"]:
        page = ROOT / "README.md"
        text = page.read_text(encoding="utf-8")
        block = report.insert_block(text, report.summary(results))
        page.write_text(block, encoding="utf-8")
    (folder / "cost.svg").write_text(plots.lines(results), encoding="utf-8")
    (folder / "engines.svg").write_text(plots.bars(results), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
