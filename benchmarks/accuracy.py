"""
Accuracy on FEBRL: policies of exact keys compared with probabilistic linkers.

Rules:
    All figures are of one run and computed by ``upsertcore.evaluation.scores``.
    The time of a policy is that of its upserts into an empty book; the time of a linker
    is that from data frames to pairs.
    Expected figures are shown beside the measured ones; what could not run is listed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, TypeAlias

from benchmarks import accuracy_plot, linkers
from benchmarks.accuracy_report import BEGIN, END, HEADING, report, summary
from benchmarks.engines.base import lacks
from benchmarks.febrl import (
    COMPONENTS,
    EXPECTED,
    HIT_SEVERAL,
    KEYS,
    POLICIES,
    SHARED_KEYS,
    Febrl,
    Parts,
    frames,
    load,
    more_keys,
    person,
    policy,
    with_full_name,
)
from benchmarks.machine import machine_info
from benchmarks.markdown import insert_block
from benchmarks.output import write_results
from upsertcore import ContactBook, Policy, normalize
from upsertcore.benchmark.measuring import timed
from upsertcore.evaluation import Report, evaluate_records, new_side
from upsertcore.evaluation.scores import Measure, measure_of, score
from upsertcore.replay import Linking, SentPatch, component_roots, components

__all__ = [
    "evaluate_groups",
    "evaluate_handover",
    "evaluate_policies",
    "main",
    "measure",
    "one_more_key",
]

Row: TypeAlias = dict[str, Any]
Say: TypeAlias = Callable[[str], None]

_RUNS, _NEW = 5, 20
_PACKAGES = "recordlinkage", "scikit-learn", "splink", "jellyfish"
_NOW = datetime(2024, 1, 2, tzinfo=UTC)
# The threshold of the model, and that of the guide to FEBRL 4.
_THRESHOLDS = 0.5, 0.99
_CLUSTERS = 0.5
_CHOSEN_ON = "FEBRL 3"


def main(folder: Path, *, quick: bool = False, quiet: bool = False) -> str:
    """
    Measure everything, write the results to a folder, and return a summary.

    Args:
        folder: The folder of ``accuracy.json``, ``accuracy.svg`` and ``README.md``.
        quick: True for a smoke run: FEBRL 1, each policy once, no linker.
        quiet: True to print no progress.
    """

    def say(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr, flush=True)

    start = perf_counter()
    results = {"about": _machine_info(), "quick": quick, **measure(say, quick=quick)}
    results["seconds"] = perf_counter() - start
    block = report(results)

    def insert_report(text: str) -> str:
        return insert_block(text, block, BEGIN, END, HEADING)

    write_results(folder, "accuracy.json", results, insert_report)
    (folder / "accuracy.svg").write_text(accuracy_plot.draw(results), encoding="utf-8")
    return summary(results)


def measure(say: Say, *, quick: bool = False) -> dict[str, Any]:
    """Measure everything."""
    numbers = (1,) if quick else (1, 2, 3, 4)
    sets = [load(number) for number in numbers]
    runs = 1 if quick else _RUNS
    results: dict[str, Any] = {"policies": [], "linkers": [], "left_out": []}
    for data in sets:
        say(f"{data.name}: policies")
        results["policies"] += [
            *evaluate_policies(data, runs=runs),
            *evaluate_groups(data),
        ]
    say("one more key")
    results["keys"] = [] if lacks("jellyfish") else one_more_key(sets)
    for number in () if quick else (3, 4):
        data = sets[number - 1]
        say(f"{data.name}: linkers")
        rows, left_out = _run_linkers(number, data, runs)
        results["linkers"] += rows
        results["left_out"] += left_out
    return results


def evaluate_policies(
    data: Febrl, names: Iterable[str] = tuple(POLICIES), *, runs: int = 0
) -> list[Row]:
    """
    Evaluate policies on a set.

    Args:
        data: The set.
        names: The names of the policies.
        runs: How often each policy is timed after its evaluation.
    """
    return [_evaluate_policy(data, name, POLICIES[name](), runs) for name in names]


def evaluate_groups(data: Febrl) -> list[Row]:
    """Score the groups of rows that share a key, and the components of the replay."""
    policy_ = policy(keep_aliases=True)
    start = perf_counter()
    log = [SentPatch(number, patch, _NOW) for number, patch in enumerate(data.patches)]
    carried = component_roots(map(Linking(policy_), log))
    seconds = perf_counter() - start
    first = _score_groups(data, SHARED_KEYS, carried, seconds)
    start = perf_counter()
    components_ = {row.sequence: row.component for row in components(log, policy_).rows}
    seconds = perf_counter() - start
    places = [components_[number] for number in range(len(log))]
    return [first, _score_groups(data, COMPONENTS, places, seconds)]


def _evaluate_policy(data: Febrl, name: str, policy_: Policy, runs: int) -> Row:
    report_ = evaluate_records(partial(new_side, policy_), data.labelled)
    times = [_seconds(policy_, data.patches) for _run in range(runs)]
    return {
        **_row(data, name, report_.scores.pairwise),
        "b_cubed": report_.scores.b_cubed.to_dict(),
        "contacts": report_.contacts,
        "hit_several": report_.hit_several,
        "expected_several": HIT_SEVERAL.get((data.name, name)),
        "keys": [[key_.key, key_.decided, key_.right] for key_ in report_.keys],
        "runs": times,
        "seconds": median(times) if times else None,
    }


def _seconds(policy_: Policy, patches: Sequence[dict[str, str]]) -> float:
    upsert = ContactBook(policy_).upsert

    def run() -> None:
        for patch in patches:
            upsert(patch)

    return timed(run) / 1e9


def _score_groups(
    data: Febrl, name: str, places: Iterable[Any], seconds: float | None = None
) -> Row:
    scores = score(zip(data.persons, places, strict=True))
    row = {**_row(data, name, scores.pairwise), "b_cubed": scores.b_cubed.to_dict()}
    return {**row, "contacts": scores.contacts, "seconds": seconds}


def _row(data: Febrl, name: str, measure: Measure) -> Row:
    expected = EXPECTED.get((data.name, name), {})
    place = {"data": data.name, "what": name, "records": len(data.ids)}
    return {**place, **measure.to_dict(), "expected": expected}


def one_more_key(sets: Sequence[Febrl]) -> list[Row]:
    """
    Evaluate what each further key adds to the four, on FEBRL 3 and 4.

    All keys that were never wrong on FEBRL 3 are then added together; the other sets
    test that choice.
    """
    keys, make_policy = more_keys(), partial(policy, keep_aliases=True)
    sets = [Febrl(d.name, d.ids, tuple(map(with_full_name, d.patches))) for d in sets]
    shown = [data for data in sets if data.name in {_CHOSEN_ON, "FEBRL 4"}] or sets
    rows = [_evaluate_keys(data, "the four only", make_policy()) for data in sets]
    chosen: dict[str, Parts] = {}
    for name, parts in keys.items():
        for data in shown:
            row = _evaluate_keys(data, name, make_policy(more={name: parts}), name)
            rows.append(row)
            if data.name == _CHOSEN_ON and row["decided"] == row["right"]:
                chosen[name] = parts
    if not chosen:
        return rows
    label = "all that were never wrong"
    return [
        *rows,
        *(_evaluate_keys(d, label, make_policy(more=chosen), *chosen) for d in sets),
    ]


def _evaluate_keys(data: Febrl, name: str, policy_: Policy, *added: str) -> Row:
    report_: Report = evaluate_records(partial(new_side, policy_), data.labelled)
    added_keys = [key_ for key_ in report_.keys if key_.key in added]
    return {
        **_row(data, name, report_.scores.pairwise),
        "added": list(added),
        "decided": sum(key_.decided for key_ in added_keys),
        "right": sum(key_.right for key_ in added_keys),
    }


def _run_linkers(number: int, data: Febrl, runs: int) -> tuple[list[Row], list[Row]]:
    """Run the linkers on a set; list those that cannot run."""
    rows, loaded = [], frames(number)
    for name, all_fields in (
        ("ECM, the fields of its guide", False),
        ("ECM, every field", True),
    ):
        links = linkers.ecm(loaded, all_fields=all_fields)
        rows += _score_pairs(data, name, links.pairs, links.seconds, links.compared)
    reason = lacks("splink") or _splink_problem()
    if reason:
        return rows, [{"what": f"Splink, {data.name}", "reason": reason}]
    model = linkers.splink(loaded)
    best = model.best(_right, _true_pairs(data))
    for least in _THRESHOLDS:
        name = f"Splink, from {least:g}"
        rows += _score_pairs(data, name, model.pairs(least), model.seconds)
    name = f"Splink, from the best, {best:.4f}"
    rows += _score_pairs(data, name, model.pairs(best), model.seconds)
    new = model.look_up(data.patches[-_NEW:])
    rows = [{**r, "look_up": new} if "Splink" in r["what"] else r for r in rows]
    table = model.clusters(_CLUSTERS)
    return [*rows, *evaluate_handover(data, table, runs=runs)], []


def _splink_problem() -> str:
    installed = version("splink")
    required = f"{linkers.SPLINK}."
    return (
        ""
        if installed.startswith(required)
        else f"needs splink {required}x, not {installed}"
    )


def _score_pairs(
    data: Febrl,
    name: str,
    pairs: Sequence[linkers.Pair],
    seconds: float,
    compared: int | None = None,
) -> list[Row]:
    """Score the pairs, and the groups that they join."""
    right = sum(map(_right, pairs))
    measure_ = measure_of(_true_pairs(data), len(pairs), right)
    groups = _score_groups(data, name, linkers.clusters(data.ids, pairs))
    row = _row(data, name, measure_)
    group_scores = {name: groups[name] for name in ("precision", "recall", "f1")}
    extra = {"compared": compared, "joined": group_scores, "seconds": seconds}
    return [{**row, **extra}]


def _right(pair: linkers.Pair) -> bool:
    return person(pair[0]) == person(pair[1])


def _true_pairs(data: Febrl) -> int:
    return score(zip(data.persons, data.persons, strict=True)).true_pairs


def evaluate_handover(
    data: Febrl, table: Iterable[dict[str, str]], *, runs: int = 0
) -> list[Row]:
    """
    Evaluate policies whose last key is the cluster of a linker.

    Args:
        data: The set.
        table: Rows of ``unique_id`` and ``cluster_id``, as Splink returns them.
        runs: How often each policy is timed.
    """
    clusters = {row["unique_id"]: row["cluster_id"] for row in table}
    patches = [
        {**patch, "cluster": clusters[id]} if id in clusters else patch
        for id, patch in zip(data.ids, data.patches, strict=True)
    ]
    with_clusters = Febrl(data.name, data.ids, tuple(patches))
    last = {"cluster": {"cluster": normalize.exact}}
    make_policy = partial(policy, keep_aliases=True)
    return [
        {
            **_evaluate_policy(
                with_clusters, name, make_policy(*keys, more=last), runs
            ),
            "handed": True,
        }
        for name, keys in (
            ("ssn > Splink's cluster", ["ssn"]),
            ("all four > Splink's cluster", [*KEYS]),
        )
    ]


def _machine_info() -> dict[str, Any]:
    info = machine_info()
    for name in _PACKAGES:
        try:
            info["packages"][name] = version(name)
        except PackageNotFoundError:
            continue
    return info
