"""A benchmark as a whole: processes in turn, the report, its text, JSON and drawing."""

from __future__ import annotations

import json
import platform
from typing import Any

import pytest
from attrs import evolve

from upsertcore import Policy, all_agree, field, first_match, normalize
from upsertcore.benchmark import (
    BenchmarkReport,
    FastPathUse,
    KeyUse,
    PolicyFigures,
    Subject,
    benchmark,
    benchmark_subjects,
    draw,
    policy_subject,
)
from upsertcore.benchmark.run import BATCH

LINES: dict[str, Any] = {
    "email": field(key=normalize.email),
    "phone": field(key=normalize.phone),
}
POLICY = Policy(first_match("email", "phone"), LINES)
OTHER = evolve(POLICY, match=all_agree("email", "phone"))
ROWS = [{"email": f"a{number % 150}@x.org"} for number in range(300)]


@pytest.fixture(name="report", scope="module")
def _report() -> BenchmarkReport:
    """Measure two policies once, for all tests of this module."""
    return benchmark({"mine": POLICY, "other": OTHER}, iter(ROWS), rounds=2)


def test_policies_are_measured_on_the_same_rows(report: BenchmarkReport) -> None:
    assert (platform.python_version(), 2, BATCH) == (
        report.python,
        report.rounds,
        report.batch,
    )
    assert ["mine", "other"] == [each.name for each in report.policies]
    for each in report.policies:
        assert (300, 150) == (each.rows, each.contacts)
        assert {"created": 150, "unchanged": 150} == each.results


def test_figures_are_positive_and_ordered(report: BenchmarkReport) -> None:
    for each in report.policies:
        latency = each.latency
        spreads = [
            each.singly,
            *each.growth,
            latency.median,
            latency.p99,
            latency.worst,
        ]
        assert each.batches is not None
        assert each.contact_bytes is not None
        assert each.contact_bytes > 0
        assert 4 == len(each.growth)
        for spread in [*spreads, each.batches]:
            assert 0 < spread.least <= spread.median <= spread.most


def test_counts_are_those_of_the_rows(report: BenchmarkReport) -> None:
    for each in report.policies:
        assert (300, 1.0, {}) == (
            each.fast_path.fast,
            each.fast_path.share,
            each.fast_path.reasons,
        )
        assert KeyUse("email", 300, 150, 150, 0, 150) == each.keys[0]


def test_report_becomes_text_and_json(report: BenchmarkReport) -> None:
    first = report.policies[0]
    use = FastPathUse(300, 298, {"the id is in use": 2})
    policies = (evolve(first, fast_path=use), report.policies[1])
    text = str(evolve(report, policies=policies))

    assert "mine: 300 rows, 150 contacts" in text
    assert "99.3% on the fast path\n  the id is in use: 2\n" in text
    stated = json.loads(json.dumps(evolve(report, policies=policies).to_dict()))
    assert {"calls": 300, "fast": 298, "reasons": use.reasons, "share": use.share} == (
        stated["policies"][0]["fast_path"]
    )
    assert 4 == len(stated["policies"][1]["growth"])


def test_no_calls_are_all_on_the_fast_path() -> None:
    assert 1.0 == FastPathUse(0, 0, {}).share


@pytest.mark.full
def test_report_is_drawn_with_a_mark_for_each_policy(report: BenchmarkReport) -> None:
    first = evolve(report.policies[0], batches=None)
    figure = draw(evolve(report, policies=(first, report.policies[1])))

    titles = [axes.get_title() for axes in figure.axes]
    assert ["throughput", "latency", "growth"] == titles
    assert [2, 2, 2] == [len(axes.containers) for axes in figure.axes]


def test_one_policy_is_named_policy_and_progress_is_reported() -> None:
    done: list[tuple[int, int]] = []
    rows = [{"email": "a@x.org"}]
    report = benchmark(
        POLICY, rows, scope="t", rounds=1, progress=lambda *n: done.append(n)
    )
    [figures] = report.policies

    assert ("policy", 1, None) == (
        figures.name,
        figures.contacts,
        figures.contact_bytes,
    )
    assert [(0, 3), (1, 3), (2, 3), (3, 3)] == done


@pytest.mark.parametrize(
    ("policies", "rows", "rounds", "message"),
    [
        (POLICY, ROWS, 0, "rounds: must be 1 or more, not 0"),
        (POLICY, [], 1, "rows: must not be empty"),
        ({}, ROWS, 1, "policies: must not be empty"),
    ],
)
def test_benchmark_of_nothing_is_refused(
    policies: Any, rows: Any, rounds: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        benchmark(policies, rows, rounds=rounds)


def test_policy_that_does_not_pickle_is_refused() -> None:
    policy = Policy(first_match("email"), {"email": field(key=lambda value: value)})
    with pytest.raises(ValueError, match=r"^mine: cannot be sent .*; define its func"):
        benchmark({"mine": policy}, ROWS)


def fails() -> Any:
    """Raise in another process."""
    raise KeyError("nobody")


def test_error_of_a_process_names_its_policy() -> None:
    """Its module is found as in this process, or that is the error."""
    with pytest.raises(RuntimeError, match=r"^mine: .*Error: "):
        benchmark_subjects([(Subject("mine", fails), ROWS)], rounds=1)


@pytest.mark.full
def test_subject_has_its_own_rows() -> None:
    subjects = [
        (policy_subject("few", POLICY), ROWS[:5]),
        (policy_subject("more", POLICY), ROWS),
    ]
    figures: tuple[PolicyFigures, ...] = benchmark_subjects(subjects, rounds=1).policies

    assert [5, 300] == [each.rows for each in figures]
