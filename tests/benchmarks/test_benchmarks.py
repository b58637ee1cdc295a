"""The benchmarks: workloads, engines that agree, tables and plots."""

from __future__ import annotations

import doctest
import json
import sys
from collections import Counter
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import attrs
import pytest

from benchmarks import plots, report, worker
from benchmarks.__main__ import main
from benchmarks.engines.base import Engine
from benchmarks.engines.catalogue import ENGINES
from benchmarks.floor import email_form, phone_form
from benchmarks.measure import (
    Request,
    Task,
    in_process,
    measure,
    measure_pythons,
    tasks,
)
from benchmarks.people import LIST
from benchmarks.profile_patches import PROFILE_PATCHES
from benchmarks.profiling import profile
from benchmarks.python_build import python_name
from benchmarks.workloads import KINDS, MAIN, SHAPES, Case, patches, preload
from upsertcore import profiles

pytestmark = pytest.mark.full

SIZE = 200
FOLDER = Path(plots.__file__).parent
PATHS = sorted([*FOLDER.glob("*.py"), *FOLDER.glob("engines/*.py")])
# The module that needs Spark is tested with those of Spark.
MODULES = [path for path in PATHS if path.stem != "scale_worker"]
CASES = [
    *(Case(shape, SIZE) for shape in SHAPES),
    *(Case("mixed", SIZE, fields) for fields in (4, 30)),
    *(
        Case(shape, SIZE, kind=kind)
        for kind in PROFILE_PATCHES
        for shape in ("mixed", "update")
    ),
]
IDS = [f"{case.shape} {case.fields} {case.kind}" for case in CASES]
BOTH_KEYS = [
    n for n, engine in ENGINES.items() if engine.both_keys and not engine.missing()
]
WITHOUT_PACKAGES = [name for name, engine in ENGINES.items() if not engine.package]


def patches_by_mailbox(case: Case) -> Counter[str]:
    """Count the patches of each mailbox."""
    return Counter(email_form(patch["email"]) for patch in patches(case))


class TestWorkloads:
    @pytest.mark.parametrize("case", CASES, ids=IDS)
    def test_case_makes_the_same_patches_each_time(self, case: Case) -> None:
        """Another seed makes others."""
        drawn = list(patches(case))

        assert drawn == list(patches(case))
        assert len(drawn) == SIZE
        assert {name for patch in drawn for name in patch} <= {*case.names}
        assert drawn != list(patches(attrs.evolve(case, seed=1)))

    @pytest.mark.parametrize("case", CASES, ids=IDS)
    def test_patches_survive_json(self, case: Case) -> None:
        drawn = list(patches(case))

        assert drawn == json.loads(json.dumps(drawn))

    def test_half_of_the_mixed_workload_creates(self) -> None:
        """A new person has all fields; a known one has some."""
        drawn = list(patches(Case("mixed", SIZE)))
        known_mailboxes: set[str] = set()
        new = []
        for patch in drawn:
            mailbox = email_form(patch["email"])
            new += [patch] * (mailbox not in known_mailboxes)
            known_mailboxes.add(mailbox)

        assert SIZE // 2 == len(new)
        assert {8} == {len(patch) for patch in new}
        assert all(3 <= len(patch) <= 8 for patch in drawn)

    def test_workload_create_finds_none_and_update_finds_all(self) -> None:
        stored = [email_form(p["email"]) for p in preload(Case("update", SIZE))]

        assert {1} == {*patches_by_mailbox(Case("create", SIZE)).values()}
        assert [] == list(preload(Case("create", SIZE)))
        assert SIZE == len({*stored})
        assert patches_by_mailbox(Case("update", SIZE)).keys() <= {*stored}

    def test_workload_unchanged_sends_the_preloaded_patches(self) -> None:
        case = Case("unchanged", SIZE)

        assert list(preload(case)) == list(patches(case))

    def test_every_patch_of_the_workload_clash_clashes(self) -> None:
        """It has the email of one person and the phone of another."""
        case = Case("clash", SIZE)
        holders = {
            phone_form(p["phone"]): email_form(p["email"]) for p in preload(case)
        }

        assert all(
            holders[phone_form(patch["phone"])] != email_form(patch["email"])
            for patch in patches(case)
        )

    def test_workload_hot_is_about_one_person(self) -> None:
        assert [SIZE] == [*patches_by_mailbox(Case("hot", SIZE)).values()]

    def test_workload_lists_creates_with_fifty_items(self) -> None:
        drawn = [p[LIST] for p in patches(Case("lists", SIZE)) if LIST in p]

        assert SIZE // 2 <= len(drawn)
        assert {50} == {len(items) for items in drawn}

    def test_keys_have_several_spellings(self) -> None:
        """Emails have several cases, phones have separators."""
        drawn = list(patches(Case("create", SIZE)))

        assert any(patch["email"] != email_form(patch["email"]) for patch in drawn)
        assert any("(" in patch["phone"] for patch in drawn)
        assert SIZE == len({phone_form(patch["phone"]) for patch in drawn})

    def test_patches_share_no_text_object(self) -> None:
        """As patches from a network share none."""
        drawn = list(patches(Case("mixed", 20)))
        texts = [value for patch in drawn for value in patch.values()]

        assert len(texts) == len({id(text) for text in texts})

    def test_every_profile_has_a_workload(self) -> None:
        assert ("plain", *profiles.BY_NAME) == KINDS


class TestEngines:
    @pytest.mark.parametrize("case", CASES, ids=IDS)
    @pytest.mark.parametrize("name", WITHOUT_PACKAGES)
    def test_engine_ends_in_the_state_of_the_floor(self, name: str, case: Case) -> None:
        """An engine that cannot run a case says so."""
        engine = ENGINES[name]
        if engine.cannot(case):
            return
        result = worker.measure_time(engine(), case)

        assert result["same"]
        assert result["contacts"] > 0

    @pytest.mark.parametrize(
        "case", CASES[: len(SHAPES) + 2], ids=IDS[: len(SHAPES) + 2]
    )
    @pytest.mark.parametrize("name", ["SQLAlchemy", "Django"])
    def test_mapper_ends_in_the_state_of_the_floor(self, name: str, case: Case) -> None:
        """In a process of its own, as Django is configured once in a process."""
        pytest.importorskip(ENGINES[name].package)
        if ENGINES[name].cannot(case):
            return

        assert in_process(Task(name, case))["same"]

    @pytest.mark.parametrize("name", BOTH_KEYS)
    def test_engine_of_both_keys_moves_them_as_the_floor(self, name: str) -> None:
        """A key is moved, withheld or found by the second one within a batch."""
        pairs = ("a1", "b2", "c1", "a3", "c2", "c5", "d1", "d1", "b6", "e6", "a5")
        batch = [
            {
                "email": f"{pair[0]}@X.org",
                "phone": f"+1203000000{pair[1]}",
                "note": f"{place}",
            }
            for place, pair in enumerate(pairs)
        ]
        states = []
        for engine in (ENGINES["floor"](), ENGINES[name]()):
            engine.setup(Case("mixed", 0))
            engine.run(batch[:2])
            engine.run(batch[2:])
            states.append(engine.state())
            engine.close()

        assert states[0] == states[1]
        assert len(states[0]) < len({pair[0] for pair in pairs})

    def test_rivals_that_do_less_come_later(self) -> None:
        order = [engine.lacking() for engine in ENGINES.values()]

        assert sorted(order) == order
        assert {0, 1, 2} == {*order}

    def test_memory_of_thousands_of_contacts_is_measured(self) -> None:
        """By the growth of the resident set."""
        result = in_process(Task("floor", Case("create", 5_000), "memory"))

        assert result["same"]
        assert result["kept"] > 0
        assert result["peak"] >= result["kept"]

    def test_task_runs_in_another_process(self) -> None:
        result = in_process(Task("floor", Case("mixed", 20)))

        assert (10, True) == (result["contacts"], result["same"])

    def test_task_runs_under_another_python(self) -> None:
        """Each has a row with its name, and a time per engine and run."""
        rows = measure_pythons([sys.executable], 20, 2, str)

        assert [python_name()] == [row["python"] for row in rows]
        assert [2, 2, 2] == [len(us) for us in rows[0]["us"].values()]

    def test_error_of_a_failed_process_has_its_last_line(self) -> None:
        with pytest.raises(RuntimeError, match="KeyError: 'nobody'"):
            in_process(Task("nobody", Case("mixed", 20)))


class TestMeasuring:
    def test_runs_of_the_engines_alternate(self) -> None:
        """Run 1 of every engine comes before run 2 of any."""
        engines_run: list[str] = []

        def run(task: Task) -> dict[str, Any]:
            engines_run.append(task.engine)
            return {"ns": 1_000, "kept": 1, "peak": 1, "contacts": 1, "same": True}

        names = ("floor", "upsertcore upsert")
        results = measure(Request((10,), names, runs=2), str, run)

        assert [*names, *names] == engines_run[:4]
        assert {2} == {
            len(row["us"] if "us" in row else row["kept"]) for row in results.rows
        }
        assert [] == results.left_out

    def test_omitted_engine_has_its_reason(self) -> None:
        """Missing, unable, failing, wrong or too slow."""

        class Missing(Engine):
            name = "missing"
            package = "no_such_package"

        def run(task: Task) -> dict[str, Any]:
            if task.engine == "sqlite3, row by row":
                raise RuntimeError("no room")
            wrong = task.engine == "upsertcore upsert"
            return {
                "ns": 10**10,
                "kept": 1,
                "peak": 1,
                "contacts": 1,
                "same": not wrong,
            }

        names = ("floor", "upsertcore upsert", *WITHOUT_PACKAGES[3:])
        results = measure(Request((10, 1_000), names, runs=1, budget=20), str, run)
        reasons = {(note["engine"], note["reason"]) for note in results.left_out}

        assert "the package no_such_package is not installed" == Missing.missing()
        assert {
            ("sqlite3, row by row", "it fails: no room"),
            ("upsertcore upsert", "its end state differs from the floor"),
            ("floor", "about 1,000 s a run, estimated; the limit is 20 s"),
        } <= reasons

    def test_profiles_are_measured_on_the_floor_and_the_library_alone(self) -> None:
        """The rivals have no such policies."""
        groups = tasks(Request((100,)))
        engines = {
            task.engine
            for group in groups
            for task in group
            if task.case.kind != "plain"
        }

        assert {"floor", "upsertcore upsert", "upsertcore upsert_many"} == engines


def row(engine: str, us: list[float], **others: Any) -> dict[str, Any]:
    """Make one row of results."""
    case = attrs.evolve(MAIN, size=1_000)
    return {
        "engine": engine,
        "measure": "time",
        "label": case.label,
        "size": 1_000,
        "shape": "mixed",
        "fields": 8,
        "kind": "plain",
        "us": us,
        **others,
    }


RESULTS: dict[str, Any] = {
    "about": {"date": "2024-01-02", "python": "CPython 3.11.7", "cores": 2},
    "rows": [
        row("floor", [1.0, 2.0, 4.0]),
        row("upsertcore upsert", [3.0, 3.0, 3.0]),
        row("sqlite3, row by row", [9.0, 11.0, 12.0]),
        row("sqlite3, ON CONFLICT", [11.5]),
        row("polars", [1.8]),
        row("floor", [0.5], label="create, 8 fields", shape="create"),
        row("floor", [1.0], label="mixed, Anduin", kind="Anduin"),
        row("upsertcore upsert", [1.5], label="mixed, Anduin", kind="Anduin"),
        row("floor", [], measure="memory", kept=[100.0], peak=[120.0]),
        row("upsertcore upsert", [], measure="memory", kept=[90.0], peak=[130.0]),
    ],
    "also": [{"what": "find", "unit": "call", "size": 10, "us": [1.0, 2.0, 3.0]}],
    "spent": [{"step": "merge", "calls": 2.0, "time": 0.25, "share": 0.5}],
    "left_out": [{"engine": "ducks", "what": "everything", "reason": "not here"}],
}


class TestReport:
    def test_ratio_is_between_medians(self) -> None:
        """The floor has 1.00x; the spread stands beside the median."""
        table = report.tables(RESULTS)["Half new, half updates, up to 8 fields"]
        lines = table.splitlines()

        assert lines[2].startswith("| floor | 2 (1-4) **1.00x** | both keys; tells ")
        assert lines[3].startswith("| upsertcore upsert | 3 **1.50x** | ")
        assert lines[4].startswith("| sqlite3, row by row | 11 (9-12) **5.50x** | ")
        assert "| email only; tells nothing; " in lines[5]

    def test_report_has_the_rows_of_every_table(self) -> None:
        text = report.report(RESULTS)

        for line in (
            "Measured 2024-01-02; CPython 3.11.7; 2 cores.",
            "| floor | 2.0 µs | 0.5 µs |",
            "| Anduin | 1 **1.00x** | 1.5 **1.50x** |",
            "| upsertcore upsert | 90 **0.90x** | 130 |",
            "| merge | 2.0 | 0.25 | 50% |",
            "| find | 10 | call | 2 (1-3) |",
            "| ducks | everything | not here |",
        ):
            assert line in text.splitlines()

    def test_excerpt_has_the_floor_the_library_and_the_fastest_of_each_kind(
        self,
    ) -> None:
        """The same work first; the others say what they lack."""
        told = "created or updated, and withheld"

        assert (
            "| 1,000 patches | µs per patch | ratio | matches by | tells |\n"
            "|---|---|---|---|---|\n"
            "| floor | 2.0 | 1.00x | both keys | the id |\n"
            "| upsertcore upsert | 3.0 | 1.50x | both keys | an outcome |\n"
            f"| sqlite3, row by row | 11.0 | 5.50x | both keys | {told} |\n"
            "| polars | 1.8 | 0.90x | email only | nothing |\n"
            "| sqlite3, ON CONFLICT | 11.5 | 5.75x | email only | nothing |"
        ) == report.excerpt(RESULTS)

    def test_excerpt_is_of_the_largest_size_that_all_engines_have(self) -> None:
        rows = [*RESULTS["rows"], row("floor", [1.0], size=9_000)]

        excerpt = report.excerpt({**RESULTS, "rows": rows})

        assert excerpt.startswith("| 1,000 patches |")

    def test_summary_has_memory_the_dearest_workload_and_the_machine(self) -> None:
        others = [
            row(name, [us], label=f"{shape}, 8 fields", shape=shape)
            for shape, us in (("create", 1.5), ("clash", 6.0))
            for name, us in (("floor", 1.0), ("upsertcore upsert", us))
        ]
        rows = [row for row in RESULTS["rows"] if row["shape"] != "create"]
        about = {**RESULTS["about"], "packages": {"upsertcore": "0.1", "polars": "1"}}
        results = {**RESULTS, "about": about, "rows": [*rows, *others]}

        lines = report.summary(results).partition("\n\n")[2].splitlines()

        assert (
            lines[0]
            == "- A contact takes 90 bytes, 0.90x the floor, after 1,000 patches."
        )
        assert lines[1].endswith(" is *clash, 8 fields*: 6.00x.")
        assert lines[2] == (
            "- Measured 2024-01-02; CPython 3.11.7; 2 cores; upsertcore 0.1."
        )

    def test_summary_omits_what_was_not_measured(self) -> None:
        summary = report.summary({**RESULTS, "rows": []})

        assert summary.endswith(
            "\n\n- Measured 2024-01-02; CPython 3.11.7; 2 cores; upsertcore."
        )

    def test_another_python_has_a_row_with_ratios_to_its_own_floor(self) -> None:
        us = {"floor": [2.0], "upsertcore upsert": [3.0]}
        python = {"python": "CPython 3.11.2", "size": 10, "us": us}

        table = report.tables({**RESULTS, "pythons": [python]})["Under another Python"]

        assert table.endswith(
            "| CPython 3.11.2, 10 patches | 2 **1.00x** | 3 **1.50x** |"
        )

    def test_inserted_block_replaces_the_text_between_its_markers(self) -> None:
        """Inserting it again changes nothing."""
        text = f"before\n\n{report.BEGIN}\n\nold\n\n{report.END}\n\nafter\n"
        once = report.insert_block(text, "new")

        assert text.replace("old", "new") == once
        assert once == report.insert_block(once, "new")

    def test_plot_names_every_engine_and_unit(self) -> None:
        """Its background is white."""
        for draw, unit in (
            (plots.lines, "µs per patch, median"),
            (plots.bars, "ratio"),
        ):
            picture = ET.fromstring(draw(RESULTS))  # noqa: S314 - made here
            texts = [
                element.text or ""
                for element in picture
                if element.tag.endswith("text")
            ]

            assert "#ffffff" == picture[0].get("fill")
            assert {"floor", "upsertcore upsert", "sqlite3, ON CONFLICT"} <= {*texts}
            assert any(unit in text for text in texts)

    def test_names_of_lines_do_not_overlap(self) -> None:
        """Names of lines that end together are moved apart, in their order."""
        rows = [row(name, [2.0 + place / 100]) for place, name in enumerate(ENGINES)]
        picture = ET.fromstring(plots.lines({**RESULTS, "rows": rows}))  # noqa: S314 - made here
        names = [
            element
            for element in picture
            if element.text in ENGINES and element.get("x")
        ]
        heights = sorted(
            float(element.get("y", 0))
            for element in names
            if element.get("y") != "42.0"
        )

        assert len(ENGINES) == len(heights)
        assert all(after - before >= 14 for before, after in pairwise(heights))


class TestModules:
    @pytest.mark.parametrize("path", MODULES, ids=[path.stem for path in MODULES])
    def test_module_has_true_examples_and_is_short(self, path: Path) -> None:
        """At most 350 lines."""
        parts = path.relative_to(FOLDER.parent).with_suffix("").parts
        module = import_module(".".join(parts))

        assert 0 == doctest.testmod(module).failed
        assert "Rules:" in (module.__doc__ or "")
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


@pytest.mark.full
class TestCommand:
    def test_quick_run_writes_results_plots_and_tables(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        quick = ["--quick", "--sizes", "30", "--engines", "floor"]
        status = main([*quick, "--out", str(tmp_path)])
        results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))

        assert 0 == status
        assert {"README.md", "cost.svg", "engines.svg", "results.json"} == {
            path.name for path in tmp_path.iterdir()
        }
        assert all(
            len(result.get("us", result.get("kept"))) == 1 for result in results["rows"]
        )
        assert {"find by email", "dedupe", "import upsertcore"} <= {
            line["what"] for line in results["also"]
        }
        assert "| floor |" in (tmp_path / "README.md").read_text(encoding="utf-8")
        assert "| 30 patches | µs per patch | ratio |" in capsys.readouterr().out

    def test_tables_are_written_again(self, tmp_path: Path) -> None:
        """From the results, without a measurement."""
        text = json.dumps({**RESULTS, "quick": False})
        (tmp_path / "results.json").write_text(text, encoding="utf-8")

        assert 0 == main(["--out", str(tmp_path), "tables"])
        readme = (tmp_path / "README.md").read_text(encoding="utf-8")
        assert "| Anduin | 1 **1.00x** | 1.5 **1.50x** |" in readme

    def test_profile_shares_sum_to_the_whole(self) -> None:
        rows = profile(Case("mixed", 50))

        assert 1 == pytest.approx(sum(part["share"] for part in rows))
        steps = {part["step"]: part["calls"] for part in rows}
        assert (1, 0.5) == (steps["book.upsert"], steps["common_upsert._update"])
