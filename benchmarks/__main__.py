"""
The command: ``python -m benchmarks``, ``... profile``, ``... guard``, ``... accuracy``.

Rules:
    What is measured goes to files, what is going on to standard error, one line each.
    A result is written whole at the end, never in part.
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
from benchmarks.also import measured as also_measured
from benchmarks.engines.catalogue import ENGINES
from benchmarks.keeping import keep
from benchmarks.machine import about
from benchmarks.measure import ROOT, Request, in_process, measure
from benchmarks.workloads import MAIN

__all__ = ["main"]

_QUICK = Request(sizes=(100, 300), runs=1)
_FOLDER = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Do what the arguments say.

    Returns:
        The exit status: 1 where the guard fails, otherwise 0.
    """
    told = _parser().parse_args(arguments)
    if told.command == "profile":
        print(profiling.written(profiling.spent(attrs.evolve(MAIN, size=told.size))))
        return 0
    if told.command == "guard":
        valgrind = told.valgrind or guard.installed()
        return guard.guard(valgrind, told.baseline, store=told.store, say=print)
    if told.command == "accuracy":
        print(accuracy.main(told.out, quick=told.quick, quiet=told.quiet))
        return 0
    asked = _asked(told)
    results = _measured(asked, quick=told.quick, quiet=told.quiet)
    _write(results, told.out)
    print(report.excerpt(results))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sizes", type=_sizes, help="such as 1000,10000,1e6")
    parser.add_argument("--engines", type=_engines, help="names, with commas between")
    parser.add_argument("--runs", type=int, help="of each engine and workload")
    parser.add_argument("--budget", type=float, help="seconds that a run may take")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: small sizes, one process"
    )
    parser.add_argument("--quiet", action="store_true", help="no line about progress")
    parser.add_argument("--out", type=Path, default=_FOLDER, help="folder for results")
    commands = parser.add_subparsers(dest="command")
    profile = commands.add_parser("profile", help="where the time of an upsert goes")
    profile.add_argument("--size", type=int, default=10_000)
    check = commands.add_parser("guard", help="instruction counts against a baseline")
    check.add_argument("--store", action="store_true", help="write the baseline")
    check.add_argument("--valgrind", default="", help="the program to count with")
    check.add_argument("--baseline", type=Path, default=_FOLDER / "baseline.json")
    # Given before the word or after it, they mean the same; not given, they leave
    # what the other place says.
    accurate = commands.add_parser("accuracy", help="policies and linkers on FEBRL")
    for flag in ("--quick", "--quiet"):
        accurate.add_argument(flag, action="store_true", default=argparse.SUPPRESS)
    accurate.add_argument("--out", type=Path, default=argparse.SUPPRESS)
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(float(part)) for part in text.split(",")))


def _engines(text: str) -> tuple[str, ...]:
    asked = [name.strip() for name in text.split(",")]
    # "sqlite3, row by row" has a comma of its own, so a beginning is enough.
    named = [n for n in ENGINES if any(n.startswith(part) for part in asked if part)]
    if not named:
        raise argparse.ArgumentTypeError(f"one of {', '.join(ENGINES)}")
    return tuple(dict.fromkeys(["floor", *named]))


def _asked(told: argparse.Namespace) -> Request:
    said = {
        name: getattr(told, name) for name in ("sizes", "engines", "runs", "budget")
    }
    given = {name: value for name, value in said.items() if value is not None}
    return attrs.evolve(_QUICK if told.quick else Request(), **given)


def _measured(asked: Request, *, quick: bool, quiet: bool) -> dict[str, Any]:
    def say(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr, flush=True)

    # Before anything runs, so that the load is the machine's and not our own.
    machine = about()
    run = in_process if not quick else lambda task: worker.run(task.told)
    found = measure(asked, say, run)
    size = max(asked.sizes)
    say(f"also measured, with {size:,} contacts, {asked.runs} times")
    also = (also_measured if quick else _also)(size, asked.runs)
    say("where the time goes")
    spent = profiling.spent(attrs.evolve(MAIN, size=asked.side))
    return {
        "about": machine,
        "quick": quick,
        "asked": attrs.asdict(asked),
        "how": {name: engine.how for name, engine in ENGINES.items()},
        "rows": found.rows,
        "left_out": found.left_out,
        "also": also,
        "spent": spent,
    }


def _also(size: int, runs: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.also", str(size), str(runs)]
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
    made = f"{report.report(results)}\n\n{pictures}"
    keep(folder, "results.json", results, lambda text: report.placed(text, made))
    (folder / "cost.svg").write_text(plots.lines(results), encoding="utf-8")
    (folder / "engines.svg").write_text(plots.bars(results), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
