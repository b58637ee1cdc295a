"""What one process measures, on rows whose counts are known."""

from __future__ import annotations

import json
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.benchmark import worker
from upsertcore.benchmark.subject import Runner, Subject, policy_subject
from upsertcore.evaluation import Refusal
from upsertcore.store.uncommon import KEY_IN_USE, NO_FAST_PATH, NOT_CREATED

LINES: dict[str, Any] = {
    "email": field(key=normalize.email),
    "phone": field(key=normalize.phone),
    "name": field(),
}
KEPT = field(key=normalize.email, max_forms=2, keep_aliases=True)
MATCH = first_match("email", "phone")
REFUSES = Policy(MATCH, LINES, on_ambiguous="refuse", on_no_key="refuse")
CREATES = Policy(MATCH, LINES, on_ambiguous="oldest", on_no_key="create")

# Ada is created, updated and repeated, and Eve is created. The fifth row moves Eve's
# number to Ada, so that the last row is about both. The sixth has no key.
ROWS: list[dict[str, Any]] = [
    {"email": "ada@x.org", "phone": "+15550000001"},
    {"email": "ADA@x.org", "name": "Ada"},
    {"email": "ADA@x.org", "name": "Ada"},
    {"email": "eve@x.org", "phone": "+15550000002"},
    {"email": "ada@x.org", "phone": "+15550000002"},
    {"name": "Bob"},
    {"phone": "+15550000002", "name": "Eve"},
]


def subject_of(policy: Policy) -> Subject:
    """Return the subject of a policy."""
    return policy_subject("mine", policy)


class TestCounts:
    """Results, the fast path and keys."""

    def test_results_and_refusals_are_counted_by_kind(self) -> None:
        counts = worker.count(subject_of(REFUSES), ROWS)

        assert counts["results"] == {
            "created": 2,
            "updated": 2,
            "unchanged": 1,
            "refused: NoMatchKey": 1,
            "refused: AmbiguousMatch": 1,
        }
        assert 2 == counts["contacts"]

    def test_keys_are_counted_by_what_they_hit(self) -> None:
        """A refused row is not counted."""
        refuses = worker.count(subject_of(REFUSES), ROWS)["keys"]
        creates = worker.count(subject_of(CREATES), ROWS)["keys"]

        email = {"asked": 5, "nothing": 2, "one": 3, "decided": 3}
        phone = {"asked": 3, "nothing": 2, "one": 1}
        assert {"email": email, "phone": phone} == refuses
        of_last_row = {"asked": 4, "several": 1, "decided": 1}
        assert {"email": email, "phone": {**phone, **of_last_row}} == creates

    def test_call_off_the_fast_path_has_its_reason(self) -> None:
        refuses = worker.count(subject_of(REFUSES), ROWS)
        creates = worker.count(subject_of(CREATES), ROWS)

        assert (5, {NOT_CREATED: 1, KEY_IN_USE: 1}) == (
            refuses["fast"],
            refuses["reasons"],
        )
        assert (6, {KEY_IN_USE: 1}) == (creates["fast"], creates["reasons"])

    def test_policy_without_a_fast_path_has_one_reason(self) -> None:
        lines = {**LINES, "email": KEPT}
        policy = Policy(merge_all("email", "phone"), lines, on_limit="drop")
        counts = worker.count(subject_of(policy), ROWS[:3])

        assert (0, {NO_FAST_PATH: 3}) == (counts["fast"], counts["reasons"])

    def test_refusal_that_the_fast_path_raises_is_decided_by_it(self) -> None:
        lines = {**LINES, "phone": field(key=normalize.phone, unique=True)}
        policy = Policy(MATCH, lines, on_key_in_use="refuse")
        rows = [ROWS[0], ROWS[3], ROWS[4]]
        counts = worker.count(subject_of(policy), rows)

        assert {"created": 2, "refused: KeyInUse": 1} == counts["results"]
        assert (3, {}) == (counts["fast"], counts["reasons"])

    def test_row_whose_key_is_not_consulted_is_not_asked(self) -> None:
        lines = {name: field(key=normalize.text) for name in ("first", "last")}
        fields = {**LINES, **lines}
        person = key("first", "last", normalize=normalize.text)
        policy = Policy(first_match("email", "person"), fields, keys={"person": person})
        counts = worker.count(subject_of(policy), [{"email": "a@x", "first": "Ada"}])

        assert {"email": {"asked": 1, "nothing": 1}, "person": {}} == counts["keys"]

    def test_refusal_of_a_profile_is_counted_by_its_kind(self) -> None:
        book = ContactBook(REFUSES)
        refusal = Refusal("email: is required", "{}")
        runner = Runner(book, lambda _row: refusal, book.plan)
        counts = worker.count(Subject("mine", lambda: runner), [{}])

        assert {"refused: email: is required": 1} == counts["results"]
        assert {NO_FAST_PATH: 1} == counts["reasons"]


class TestTimes:
    """Figures are positive, and there is one for each quarter."""

    @pytest.mark.parametrize(("rows", "quarters"), [(7, 4), (4, 4), (3, 3), (1, 1)])
    def test_each_quarter_with_rows_has_a_rate(self, rows: int, quarters: int) -> None:
        times = worker.times(subject_of(REFUSES), ROWS[:rows], 2)

        assert quarters == len(times["growth"])
        assert min(times["growth"]) > 0
        assert min(times["singly"], times["batches"]) > 0
        assert 0 < times["median"] <= times["p99"] <= times["worst"]

    def test_batches_have_the_given_size(self) -> None:
        sizes: list[int] = []
        book = ContactBook(CREATES)
        many: Any = lambda rows: sizes.append(len(rows))  # noqa: E731 - notes sizes
        runner = Runner(book, book.upsert, book.plan, many)
        worker.times(Subject("mine", lambda: runner), ROWS, 3)

        assert [3, 3, 1] == sizes

    def test_runner_without_batches_has_no_rate_of_them(self) -> None:
        book = ContactBook(CREATES)
        runner = Runner(book, book.upsert, book.plan)
        times = worker.times(Subject("mine", lambda: runner), ROWS, 3)

        assert times["batches"] is None


def test_memory_is_that_of_the_contacts_after_the_first_hundred_rows() -> None:
    rows = ({"email": f"a{number}@x.org"} for number in range(1_100))
    measured = worker.memory(subject_of(REFUSES), rows)

    assert 1_000 == measured["contacts"]
    assert measured["bytes"] > 100 * 1_000


def test_memory_of_few_rows_is_of_no_contacts() -> None:
    assert 0 == worker.memory(subject_of(REFUSES), ROWS)["contacts"]


@pytest.mark.parametrize("measure", ["time", "memory", "count"])
def test_task_is_read_from_its_file(
    measure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "task.pickle"
    parts = [subject_of(REFUSES), *ROWS]
    file.write_bytes(b"".join(map(pickle.dumps, parts)))
    task = json.dumps({"task": str(file), "measure": measure, "batch": 2})
    worker.main(task)
    printed = json.loads(capsys.readouterr().out)

    run = {"time": partial(worker.times, batch=2), "memory": worker.memory}
    direct = run.get(measure, worker.count)(subject_of(REFUSES), ROWS)  # type: ignore[operator]
    assert direct.keys() == printed.keys()
    if measure == "count":
        assert direct == printed


def test_error_of_a_task_ends_the_process_with_one_line(tmp_path: Path) -> None:
    task = json.dumps({"task": str(tmp_path / "none"), "measure": "time", "batch": 1})
    with pytest.raises(SystemExit, match="FileNotFoundError: "):
        worker.main(task)
