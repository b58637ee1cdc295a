"""
Accuracy on FEBRL: policies of exact keys beside probabilistic linkers.

Rules:
    All figures are of one run: ``upsertcore.evaluation.scores`` counts what is right.
    A policy is timed by its upserts alone, on an empty book; a linker by all that it
    does from frames to pairs.
    What was expected stands beside what was found, and what could not run is named.
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

from benchmarks import linkers, scatter
from benchmarks.engines.base import lacks
from benchmarks.febrl import (
    CARRIED,
    COMPONENTS,
    EXPECTED,
    HIT_SEVERAL,
    KEYS,
    POLICIES,
    Febrl,
    Parts,
    frames,
    load,
    more_keys,
    named,
    person,
    policy,
)
from benchmarks.judged import BEGIN, END, HEADING, report, summary
from benchmarks.keeping import keep
from benchmarks.machine import about
from benchmarks.tables import placed
from upsertcore import ContactBook, Policy, normalize
from upsertcore.evaluation import Report, begun, judged
from upsertcore.evaluation.scores import Measure, measured, score
from upsertcore.replay import Linking, SentPatch, components, joined

__all__ = ["grouped", "handed_over", "main", "measure", "one_more_key", "tried"]

Row: TypeAlias = dict[str, Any]
Say: TypeAlias = Callable[[str], None]

_RUNS, _NEW = 5, 20
_PACKAGES = "recordlinkage", "scikit-learn", "splink", "jellyfish"
_NOW = datetime(2024, 1, 2, tzinfo=UTC)
# The threshold of the model itself, and the one that the guide to FEBRL 4 takes.
_THRESHOLDS = 0.5, 0.99
_CLUSTERS = 0.5
_CHOSEN_ON = "FEBRL 3"


def main(folder: Path, *, quick: bool = False, quiet: bool = False) -> str:
    """
    Measure everything, write it into a folder, and give what tells most.

    Args:
        folder: Where ``accuracy.json``, ``accuracy.svg`` and ``README.md`` are.
        quick: A smoke run: FEBRL 1, each policy once, no linker.
        quiet: True for no line about progress.
    """

    def say(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr, flush=True)

    began = perf_counter()
    results = {"about": _about(), "quick": quick, **measure(say, quick=quick)}
    results["seconds"] = perf_counter() - began
    block = report(results)

    def written(text: str) -> str:
        return placed(text, block, BEGIN, END, HEADING)

    keep(folder, "accuracy.json", results, written)
    (folder / "accuracy.svg").write_text(scatter.drawn(results), encoding="utf-8")
    return summary(results)


def measure(say: Say, *, quick: bool = False) -> dict[str, Any]:
    """Measure everything; the sets are loaded once."""
    numbers = (1,) if quick else (1, 2, 3, 4)
    sets = [load(number) for number in numbers]
    runs = 1 if quick else _RUNS
    found: dict[str, Any] = {"policies": [], "linkers": [], "left_out": []}
    for data in sets:
        say(f"{data.name}: policies")
        found["policies"] += [*tried(data, runs=runs), *grouped(data)]
    say("one more key")
    found["keys"] = [] if lacks("jellyfish") else one_more_key(sets)
    for number in () if quick else (3, 4):
        data = sets[number - 1]
        say(f"{data.name}: linkers")
        rows, left_out = _linked(number, data, runs)
        found["linkers"] += rows
        found["left_out"] += left_out
    return found


def tried(
    data: Febrl, names: Iterable[str] = tuple(POLICIES), *, runs: int = 0
) -> list[Row]:
    """
    Judge policies on a set.

    Args:
        data: The set.
        names: Which of the policies.
        runs: How often each policy is timed, after it was judged.
    """
    return [_tried(data, name, POLICIES[name](), runs) for name in names]


def grouped(data: Febrl) -> list[Row]:
    """Judge what rows that share a key come to, and the components of the replay."""
    tried = policy(keep_aliases=True)
    began = perf_counter()
    log = [SentPatch(number, patch, _NOW) for number, patch in enumerate(data.patches)]
    carried = joined(map(Linking(tried), log))
    seconds = perf_counter() - began
    first = _grouped(data, CARRIED, carried, seconds)
    began = perf_counter()
    found = {row.sequence: row.component for row in components(log, tried).rows}
    seconds = perf_counter() - began
    places = [found[number] for number in range(len(log))]
    return [first, _grouped(data, COMPONENTS, places, seconds)]


def _tried(data: Febrl, name: str, tried: Policy, runs: int) -> Row:
    told = judged(partial(begun, tried), data.labelled)
    spent = [_seconds(tried, data.patches) for _run in range(runs)]
    return {
        **_row(data, name, told.scores.pairwise),
        "b_cubed": told.scores.b_cubed.to_dict(),
        "contacts": told.contacts,
        "hit_several": told.hit_several,
        "expected_several": HIT_SEVERAL.get((data.name, name)),
        "keys": [[each.key, each.decided, each.right] for each in told.keys],
        "runs": spent,
        "seconds": median(spent) if spent else None,
    }


def _seconds(tried: Policy, patches: Sequence[dict[str, str]]) -> float:
    upsert = ContactBook(tried).upsert
    began = perf_counter()
    for patch in patches:
        upsert(patch)
    return perf_counter() - began


def _grouped(
    data: Febrl, name: str, places: Iterable[Any], seconds: float | None = None
) -> Row:
    found = score(zip(data.persons, places, strict=True))
    row = {**_row(data, name, found.pairwise), "b_cubed": found.b_cubed.to_dict()}
    return {**row, "contacts": found.contacts, "seconds": seconds}


def _row(data: Febrl, name: str, measure: Measure) -> Row:
    expected = EXPECTED.get((data.name, name), {})
    place = {"data": data.name, "what": name, "records": len(data.ids)}
    return {**place, **measure.to_dict(), "expected": expected}


def one_more_key(sets: Sequence[Febrl]) -> list[Row]:
    """
    Judge what each further key adds to the four, on FEBRL 3 and 4 where they are.

    All keys that were never wrong on FEBRL 3 are then added together; the other sets
    are a trial of what was chosen there.
    """
    keys, made = more_keys(), partial(policy, keep_aliases=True)
    sets = [Febrl(d.name, d.ids, tuple(map(named, d.patches))) for d in sets]
    shown = [data for data in sets if data.name in {_CHOSEN_ON, "FEBRL 4"}] or sets
    rows = [_keyed(data, "the four alone", made()) for data in sets]
    chosen: dict[str, Parts] = {}
    for name, parts in keys.items():
        for data in shown:
            row = _keyed(data, name, made(more={name: parts}), name)
            rows.append(row)
            if data.name == _CHOSEN_ON and row["decided"] == row["right"]:
                chosen[name] = parts
    if not chosen:
        return rows
    together = "all that were never wrong"
    return [*rows, *(_keyed(d, together, made(more=chosen), *chosen) for d in sets)]


def _keyed(data: Febrl, name: str, tried: Policy, *added: str) -> Row:
    told: Report = judged(partial(begun, tried), data.labelled)
    new = [each for each in told.keys if each.key in added]
    return {
        **_row(data, name, told.scores.pairwise),
        "added": list(added),
        "decided": sum(each.decided for each in new),
        "right": sum(each.right for each in new),
    }


def _linked(number: int, data: Febrl, runs: int) -> tuple[list[Row], list[Row]]:
    """Run the linkers on a set; what is missing is said."""
    rows, loaded = [], frames(number)
    for name, whole in (
        ("ECM, the fields of its guide", False),
        ("ECM, every field", True),
    ):
        links = linkers.ecm(loaded, whole=whole)
        rows += _paired(data, name, links.pairs, links.seconds, links.compared)
    reason = lacks("splink") or _other_splink()
    if reason:
        return rows, [{"what": f"Splink, {data.name}", "reason": reason}]
    model = linkers.splink(loaded)
    best = model.best(_right, _true_pairs(data))
    for least in _THRESHOLDS:
        name = f"Splink, from {least:g}"
        rows += _paired(data, name, model.pairs(least), model.seconds)
    name = f"Splink, from the best, {best:.4f}"
    rows += _paired(data, name, model.pairs(best), model.seconds)
    new = model.look_up(data.patches[-_NEW:])
    rows = [{**r, "look_up": new} if "Splink" in r["what"] else r for r in rows]
    table = model.clusters(_CLUSTERS)
    return [*rows, *handed_over(data, table, runs=runs)], []


def _other_splink() -> str:
    found = version("splink")
    wanted = f"{linkers.SPLINK}."
    return "" if found.startswith(wanted) else f"needs splink {wanted}x, not {found}"


def _paired(
    data: Febrl,
    name: str,
    pairs: Sequence[linkers.Pair],
    seconds: float,
    compared: int | None = None,
) -> list[Row]:
    """Score pairs as they are; and the groups that they join, as contacts are."""
    right = sum(map(_right, pairs))
    found = measured(_true_pairs(data), len(pairs), right)
    groups = _grouped(data, name, linkers.clusters(data.ids, pairs))
    row = _row(data, name, found)
    told = {name: groups[name] for name in ("precision", "recall", "f1")}
    more = {"compared": compared, "joined": told, "seconds": seconds}
    return [{**row, **more}]


def _right(pair: linkers.Pair) -> bool:
    return person(pair[0]) == person(pair[1])


def _true_pairs(data: Febrl) -> int:
    return score(zip(data.persons, data.persons, strict=True)).true_pairs


def handed_over(
    data: Febrl, table: Iterable[dict[str, str]], *, runs: int = 0
) -> list[Row]:
    """
    Judge policies that have a linker's clusters as their last key.

    Args:
        data: The set.
        table: Rows of ``unique_id`` and ``cluster_id``, as Splink gives them.
        runs: How often each is timed.
    """
    of = {row["unique_id"]: row["cluster_id"] for row in table}
    patches = [
        {**patch, "cluster": of[id]} if id in of else patch
        for id, patch in zip(data.ids, data.patches, strict=True)
    ]
    with_clusters = Febrl(data.name, data.ids, tuple(patches))
    last = {"cluster": {"cluster": normalize.exact}}
    made = partial(policy, keep_aliases=True)
    return [
        {**_tried(with_clusters, name, made(*keys, more=last), runs), "handed": True}
        for name, keys in (
            ("ssn > Splink's cluster", ["ssn"]),
            ("all four > Splink's cluster", [*KEYS]),
        )
    ]


def _about() -> dict[str, Any]:
    found = about()
    for name in _PACKAGES:
        try:
            found["packages"][name] = version(name)
        except PackageNotFoundError:
            continue
    return found
