"""The guard: its cases, its counts, its baseline and its tables."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import guard, guard_profiles, guard_report
from benchmarks.__main__ import main
from benchmarks.guard_features import FEATURES
from benchmarks.guard_mix import CALLS, STORED, WARM_UP, Mix
from benchmarks.guard_profiles import PROFILES, ProfileCase
from benchmarks.guard_run import ALL_CASES, check
from benchmarks.guard_workloads import ALONE, WORKLOADS
from benchmarks.measure import ROOT
from benchmarks.people import FIELDS
from benchmarks.profile_patches import PROFILE_PATCHES
from upsertcore import normalize

pytestmark = pytest.mark.full

FOLDER = Path(guard.__file__).parent
MIXES = {**FEATURES, **WORKLOADS}
STORING = [name for name, mix in FEATURES.items() if "refused" not in mix.results]

# What is not stored of a creation and of an update, with the reason.
LEFT_OUT: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "null_ignored": ({"company": "null"}, {"company": "null"}),
    "blank_ignored": ({"company": "blank"}, {"company": "blank"}),
    "keep": ({}, {"company": "keep"}),
    "on_create": ({}, {"company": "on_create"}),
}
# What an update changes, where that is not the note alone.
CHANGED = {
    "null_clears": {"note", "company"},
    "blank_stored": {"note", "company"},
    "call_null": {"note", "company"},
    "call_blank": {"note", "company"},
    "union": {"note", "company"},
    "alias_made": {"note", "email"},
}
# A value that an option of the call leaves out.
LEFT_OUT_BY_CALL = {"call_null": None, "call_blank": "", "call_rules": "Another"}
WITHHELD = {"key_withheld", "clash"}

# A program with the arguments of valgrind, which runs nothing.
COUNTS = """
for place, name in enumerate(sys.argv[6:]):
    for process, calls in ((2 * place, 0), (2 * place + 1, 10)):
        print(process, name, calls)
        print(f"=={process}== Collected : {1000 + 50 * calls}", file=sys.stderr)
"""


def program_at(folder: Path, body: str) -> str:
    """Write a program that takes the arguments of valgrind."""
    program = folder / "valgrind"
    program.write_text(f"#!{sys.executable}\nimport sys\n{body}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def counter(count: int) -> guard.Count:
    """Make a function that counts the same for every case."""

    def counts(_valgrind: str, names: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(names, count)

    return counts


def sent(name: str) -> list[dict[str, Any]]:
    """Return the patches of a workload."""
    return WORKLOADS[name].prepare()[1]


class TestCases:
    @pytest.mark.parametrize("name", ALL_CASES)
    def test_guard_case_makes_the_calls_of_its_name(self, name: str) -> None:
        check(name, 6)

    @pytest.mark.parametrize("name", MIXES)
    def test_every_call_of_a_mix_has_the_expected_result(self, name: str) -> None:
        check(name, CALLS)

    def test_call_with_another_result_is_not_counted_as_a_success(self) -> None:
        assert 0 == Mix("none", results=("updated", "created")).run(4)

    @pytest.mark.parametrize("name", MIXES)
    def test_mix_makes_the_same_patches_each_time(self, name: str) -> None:
        """All of them are values that JSON can express."""
        book, patches = MIXES[name].prepare()

        assert patches == MIXES[name].prepare()[1]
        assert patches == json.loads(json.dumps(patches))
        assert (STORED, WARM_UP + CALLS) == (len(book), len(patches))

    def test_patches_share_no_text_with_what_is_stored(self) -> None:
        """As patches from a network share none."""
        book, patches = FEATURES["plain"].prepare()
        stored = {id(contact["email"]) for contact in book}

        assert stored.isdisjoint(id(patch["email"]) for patch in patches)

    @pytest.mark.parametrize("name", STORING)
    def test_feature_stores_what_it_says(self, name: str) -> None:
        """A creation and an update, with what they change and leave out."""
        book, patches = FEATURES[name].prepare()
        first, second = [book.upsert(patch) for patch in patches[:2]]
        left_out = dict(first.ignored), dict(second.ignored)
        changes = {change.field for change in second.changes}
        withheld = bool(first.withheld), bool(second.withheld)
        results = FEATURES[name].results

        assert results == (first.result, second.result)
        assert LEFT_OUT.get(name, ({}, {})) == left_out
        assert (name in WITHHELD, name in WITHHELD) == withheld
        if second.updated:
            assert CHANGED.get(name, {"note"}) == changes

    @pytest.mark.parametrize("name", LEFT_OUT_BY_CALL)
    def test_option_of_a_call_keeps_the_stored_value(self, name: str) -> None:
        mix = FEATURES[name]
        book, patches = mix.prepare()
        patch = {**patches[1], "company": LEFT_OUT_BY_CALL[name]}
        (before,) = book.find("email", patch["email"])
        result = mix.call(book, patch, 1)

        assert "updated" == result
        assert before["company"] == book.get(before.id)["company"]

    def test_call_with_its_idempotency_key_is_replayed(self) -> None:
        """Without the key, the second call would be unchanged."""
        mix = FEATURES["idempotency_key"]
        book, patches = mix.prepare()
        results = [mix.call(book, patches[1], 1) for _ in range(2)]

        assert ["updated", "updated"] == results


class TestWorkloads:
    def test_csv_rows_have_every_column_and_half_of_the_values(self) -> None:
        rows = sent("csv_blanks")
        values = [value for row in rows for value in row.values()]

        assert {FIELDS[:10]} == {tuple(row) for row in rows}
        assert 0.4 < values.count("") / len(values) < 0.5
        assert all(type(value) is str for value in values)

    def test_json_values_have_nulls_numbers_and_flags(self) -> None:
        types = {
            type(value) for patch in sent("json_nulls") for value in patch.values()
        }

        assert {str, int, float, bool, type(None)} == types

    def test_optional_fields_are_present_three_times_in_ten(self) -> None:
        patches = sent("optional")
        optional = sum(len(patch) - 2 for patch in patches)

        assert 0.27 < optional / (28 * len(patches)) < 0.33
        assert len({tuple(patch) for patch in patches}) > 0.9 * len(patches)

    def test_addresses_are_not_ascii_and_have_one_form(self) -> None:
        addresses = [patch["email"] for patch in sent("non_ascii")]

        assert not any(address.isascii() for address in addresses)
        assert all(normalize.email(address) == address for address in addresses)

    def test_one_key_of_two_is_absent(self) -> None:
        keys = {tuple({"email", "phone"} & {*patch}) for patch in sent("one_key")}

        assert {("email",), ("phone",)} == keys


class TestProfiles:
    @pytest.mark.parametrize("case", PROFILES, ids=lambda case: case.profile)
    def test_every_call_of_a_profile_creates_or_updates(
        self, case: ProfileCase
    ) -> None:
        for name in case.names:
            check(name, guard_profiles.CALLS)

    @pytest.mark.parametrize("case", PROFILES, ids=lambda case: case.profile)
    def test_patches_store_what_the_payloads_store(self, case: ProfileCase) -> None:
        """Half of the payloads are about new contacts."""
        path = PROFILE_PATCHES[case.profile].path
        (one, payloads), (other, _same) = case.prepare(), case.prepare()
        for payload in payloads:
            one.upsert(payload, **path)
            other.book.upsert(other.parse(payload))

        stored = [dict(contact.fields) for contact in one.book]
        assert stored == [dict(contact.fields) for contact in other.book]
        assert len(payloads) == 2 * len(stored)


class TestCounts:
    def test_case_runs_in_a_process_without_calls_and_one_with_them(self) -> None:
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.guard_run", "plain", "create"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        processes, names, calls = zip(
            *(line.split() for line in ran.stdout.splitlines()), strict=True
        )

        assert ("plain", "plain", "create", "create") == names
        assert ("0", str(CALLS), "0", "1000") == calls
        assert 4 == len({*processes})

    def test_count_excludes_the_process_without_calls(self, tmp_path: Path) -> None:
        names = ["create", "plain"]
        program = program_at(tmp_path, COUNTS)

        assert {"create": 50, "plain": 50} == guard.count_instructions(program, names)

    def test_error_of_a_failed_program_has_its_last_line(self, tmp_path: Path) -> None:
        body = (
            'print("no such tool\\n==1== Collected : 5", file=sys.stderr); sys.exit(1)'
        )
        program = program_at(tmp_path, body)

        with pytest.raises(RuntimeError, match="on create: no such tool"):
            guard.count_instructions(program, ["create"])

    def test_process_without_a_count_is_an_error(self, tmp_path: Path) -> None:
        program = program_at(tmp_path, COUNTS.replace("Collected", "Collecting"))

        with pytest.raises(RuntimeError, match="on create: nothing"):
            guard.count_instructions(program, ["create"])


class TestBaseline:
    def test_more_than_three_per_cent_growth_fails(self) -> None:
        before = {"create": 1_000}

        assert guard.compare({"create": 900}, before)[0]
        assert guard.compare({"create": 1_030}, before)[0]
        assert not guard.compare({"create": 1_031}, before)[0]

    def test_guard_compares_with_the_stored_baseline(self, tmp_path: Path) -> None:
        """The baseline is that of this Python and platform."""
        lines: list[str] = []
        file = tmp_path / "baseline.json"

        def run_guard(count: int, *, store: bool = False) -> int:
            say, counts = lines.append, counter(count)
            return guard.guard("valgrind", file, store=store, say=say, count=counts)

        assert [0, 0, 1] == [run_guard(100, store=True), run_guard(103), run_guard(104)]
        stored = json.loads(file.read_text(encoding="utf-8"))
        assert {guard.platform_name()} == stored.keys()
        for name in ALL_CASES:
            line = f"{name}: 104 instructions, +4.0 % of the baseline: too many"
            assert line in lines

    def test_guard_without_valgrind_or_baseline_passes_with_a_line(
        self, tmp_path: Path
    ) -> None:
        lines: list[str] = []
        file = tmp_path / "baseline.json"

        platform = guard.platform_name()
        assert 0 == guard.guard("", file, say=lines.append)
        assert 0 == guard.guard("valgrind", file, say=lines.append)
        assert 0 == guard.features("", tmp_path / "README.md", say=lines.append)
        without = "instructions are not counted: valgrind is not installed"
        none = f"instructions are not counted: baseline.json has none for {platform}"
        assert [without, none, without] == lines
        assert [] == [*tmp_path.iterdir()]

    def test_every_case_has_a_baseline(self) -> None:
        text = (FOLDER / "baseline.json").read_text(encoding="utf-8")

        for entry in json.loads(text).values():
            assert ALL_CASES.keys() == entry["instructions"].keys()


class TestTables:
    def test_feature_above_its_limit_is_named(self) -> None:
        """The limit is three times for a key in use and merge_all, otherwise twice."""
        counts = dict.fromkeys(guard_report.names(), 100)
        above = {"int": 201, "list": 200, "clash": 301, "merge_all": 300}

        assert ["int", "clash"] == guard_report.expensive({**counts, **above})
        limits = {name for name, mix in MIXES.items() if mix.limit == 3}
        assert {"key_withheld", "key_refused", "clash", "merge_all"} == limits

    def test_report_has_counts_and_ratios(self) -> None:
        counts = {**dict.fromkeys(guard_report.names(), 1_000), "int": 2_500}
        text = guard_report.report(counts)

        assert "| a whole number (int) | 2,500 | 2.50x |" in text.splitlines()
        assert "| one key of two is absent (one_key) | 1,000 | 1.00x |" in text
        assert text.startswith("1 of ")
        assert ": int (2.5x)." in text
        del counts["int"]
        assert ".\n" in guard_report.report({**counts, "int": 1_000})

    def test_own_part_of_a_profile_is_compared_with_its_limit(self) -> None:
        """It is in upserts of its patch."""
        counts = dict.fromkeys(guard_report.names(), 1_000)
        above = {"profile_anduin": 3_001, "profile_segmetrics": 3_000}
        lines = guard_report.report({**counts, **above}).splitlines()

        assert "| Anduin | 3,001 | 1,000 | 2.00x **too much** |" in lines
        assert "| SegMetrics | 3,000 | 1,000 | 2.00x |" in lines
        assert "| LeadConnector | 1,000 | 1,000 | 0.00x |" in lines

    def test_readme_has_a_row_for_each_case(self) -> None:
        text = (FOLDER / "README.md").read_text(encoding="utf-8")
        block = text.partition(guard_report.BEGIN)[2].partition(guard_report.END)[0]

        cases: dict[str, Any] = {**MIXES, **ALONE}
        for name, case in cases.items():
            assert f"| {case.what} ({name}) | " in block


class TestCommand:
    def test_guard_command_fails_on_growth(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The baseline is stored with one program and checked with another."""
        baseline = ["--baseline", str(tmp_path / "baseline.json")]
        costlier = COUNTS.replace("50 *", "52 *")

        command = ["guard", *baseline, "--valgrind"]
        assert 0 == main([*command, program_at(tmp_path, COUNTS), "--store"])
        assert 0 == main([*command, program_at(tmp_path, COUNTS)])
        assert 1 == main([*command, program_at(tmp_path, costlier)])
        assert "too many" in capsys.readouterr().out

    def test_features_command_writes_the_tables_into_the_readme(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The rest of the README is not changed."""
        readme = tmp_path / "README.md"
        begin, end = guard_report.BEGIN, guard_report.END
        readme.write_text(f"before {begin} old {end} after", encoding="utf-8")
        command = ["--out", str(tmp_path), "guard", "--features", "--valgrind"]

        assert 0 == main([*command, program_at(tmp_path, COUNTS)])
        text = readme.read_text(encoding="utf-8")
        row = f"| {FEATURES['plain'].what} (plain) | 50 | 1.00x |"
        assert row in text
        assert row in capsys.readouterr().out
        assert "old" not in text
        assert (text.startswith("before"), text.endswith("after")) == (True, True)
