"""The benchmarks: workloads, engines that agree, tables, plots and the guard."""

from __future__ import annotations

import doctest
import json
import stat
import sys
from collections import Counter
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import attrs
import pytest

from benchmarks import guard, guard_cases, plots, report, worker
from benchmarks.__main__ import main
from benchmarks.engines.base import Engine
from benchmarks.engines.catalogue import ENGINES
from benchmarks.floor import email_form, phone_form
from benchmarks.measure import Request, Task, in_process, measure, tasks
from benchmarks.people import LIST
from benchmarks.profile_patches import PROFILE_PATCHES
from benchmarks.profiling import profile
from benchmarks.workloads import KINDS, MAIN, SHAPES, Case, patches, preload
from upsertcore import profiles

pytestmark = pytest.mark.full

SIZE = 200
FOLDER = Path(plots.__file__).parent
EVERY = sorted([*FOLDER.glob("*.py"), *FOLDER.glob("engines/*.py")])
# What needs Spark is seen beside the tests that have it.
MODULES = [path for path in EVERY if path.stem != "scale_worker"]
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
WITHOUT_PACKAGES = [name for name, engine in ENGINES.items() if not engine.package]


def known(case: Case) -> Counter[str]:
    """Count the patches about each mailbox."""
    return Counter(email_form(patch["email"]) for patch in patches(case))


class TestWorkloads:
    @pytest.mark.parametrize("case", CASES, ids=IDS)
    def test_the_same_case_makes_the_same_patches(self, case: Case) -> None:
        """A workload is its case: seeded, of the size that is said."""
        sent = list(patches(case))

        assert sent == list(patches(case))
        assert len(sent) == SIZE
        assert {name for patch in sent for name in patch} <= {*case.names}
        assert sent != list(patches(attrs.evolve(case, seed=1)))

    @pytest.mark.parametrize("case", CASES, ids=IDS)
    def test_patches_are_plain(self, case: Case) -> None:
        """What is sent is what JSON would give."""
        sent = list(patches(case))

        assert sent == json.loads(json.dumps(sent))

    def test_half_of_the_mixed_workload_is_new(self) -> None:
        """A person is new once, with all fields; else known, with some."""
        sent = list(patches(Case("mixed", SIZE)))
        seen: set[str] = set()
        new = []
        for patch in sent:
            mailbox = email_form(patch["email"])
            new += [patch] * (mailbox not in seen)
            seen.add(mailbox)

        assert SIZE // 2 == len(new)
        assert {8} == {len(patch) for patch in new}
        assert all(3 <= len(patch) <= 8 for patch in sent)

    def test_everybody_is_new_or_nobody(self) -> None:
        """To create, nobody is stored; to update, everybody is."""
        stored = [email_form(p["email"]) for p in preload(Case("update", SIZE))]

        assert {1} == {*known(Case("create", SIZE)).values()}
        assert [] == list(preload(Case("create", SIZE)))
        assert SIZE == len({*stored})
        assert known(Case("update", SIZE)).keys() <= {*stored}

    def test_a_replay_is_what_is_stored(self) -> None:
        """The unchanged workload sends again what was sent."""
        case = Case("unchanged", SIZE)

        assert list(preload(case)) == list(patches(case))

    def test_every_patch_clashes(self) -> None:
        """One person's address stands with another's telephone number."""
        case = Case("clash", SIZE)
        holders = {
            phone_form(p["phone"]): email_form(p["email"]) for p in preload(case)
        }

        assert all(
            holders[phone_form(patch["phone"])] != email_form(patch["email"])
            for patch in patches(case)
        )

    def test_one_key_is_hot(self) -> None:
        """All patches are about one person."""
        assert [SIZE] == [*known(Case("hot", SIZE)).values()]

    def test_lists_are_long(self) -> None:
        """Who is new comes with a list of fifty."""
        sent = [p[LIST] for p in patches(Case("lists", SIZE)) if LIST in p]

        assert SIZE // 2 <= len(sent)
        assert {50} == {len(items) for items in sent}

    def test_keys_are_typed_as_people_type_them(self) -> None:
        """Addresses come in several cases, numbers with separators."""
        sent = list(patches(Case("create", SIZE)))

        assert any(patch["email"] != email_form(patch["email"]) for patch in sent)
        assert any("(" in patch["phone"] for patch in sent)
        assert SIZE == len({phone_form(patch["phone"]) for patch in sent})

    def test_no_text_is_shared(self) -> None:
        """Two patches share no object, as none do that came over a wire."""
        sent = list(patches(Case("mixed", 20)))
        texts = [value for patch in sent for value in patch.values()]

        assert len(texts) == len({id(text) for text in texts})

    def test_every_profile_has_patches(self) -> None:
        """A system that is added to the profiles is measured too."""
        assert ("plain", *profiles.BY_NAME) == KINDS


class TestEngines:
    @pytest.mark.parametrize("case", CASES, ids=IDS)
    @pytest.mark.parametrize("name", WITHOUT_PACKAGES)
    def test_the_end_state_is_the_floors(self, name: str, case: Case) -> None:
        """Whatever is sent, an engine ends as the floor does, or says it cannot."""
        engine = ENGINES[name]
        if engine.cannot(case):
            return
        found = worker.measure_time(engine(), case)

        assert found["same"]
        assert found["contacts"] > 0

    def test_memory_is_what_has_grown(self) -> None:
        """A store of thousands of contacts is seen in the resident set."""
        found = in_process(Task("floor", Case("create", 5_000), "memory"))

        assert found["same"]
        assert found["kept"] > 0
        assert found["peak"] >= found["kept"]

    def test_a_process_of_its_own_answers_alike(self) -> None:
        """What a process answers is what was asked of it."""
        found = in_process(Task("floor", Case("mixed", 20)))

        assert (10, True) == (found["contacts"], found["same"])

    def test_a_process_that_fails_is_told(self) -> None:
        """The last line that it wrote says why."""
        with pytest.raises(RuntimeError, match="KeyError: 'nobody'"):
            in_process(Task("nobody", Case("mixed", 20)))


class TestMeasuring:
    def test_engines_alternate(self) -> None:
        """Run 1 of every engine comes before run 2 of any."""
        ran: list[str] = []

        def run(task: Task) -> dict[str, Any]:
            ran.append(task.engine)
            return {"ns": 1_000, "kept": 1, "peak": 1, "contacts": 1, "same": True}

        names = ("floor", "upsertcore upsert")
        found = measure(Request((10,), names, runs=2), str, run)

        assert [*names, *names] == ran[:4]
        assert {2} == {
            len(row["us"] if "us" in row else row["kept"]) for row in found.rows
        }
        assert [] == found.left_out

    def test_nothing_is_dropped_in_silence(self) -> None:
        """Missing, unable, failing, wrong or too slow: each is told with its reason."""

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
        found = measure(Request((10, 1_000), names, runs=1, budget=20), str, run)
        reasons = {(note["engine"], note["reason"]) for note in found.left_out}

        assert "the package no_such_package is not installed" == Missing.missing()
        assert {
            ("sqlite3, row by row", "it fails: no room"),
            ("upsertcore upsert", "its end state differs from the floor"),
            ("floor", "about 1,000 s a run, estimated; the limit is 20 s"),
        } <= reasons

    def test_profiles_are_measured_on_the_floor_and_the_library(self) -> None:
        """Rivals have no such policies, and are not asked."""
        groups = tasks(Request((100,)))
        asked = {t.engine for group in groups for t in group if t.case.kind != "plain"}

        assert {"floor", "upsertcore upsert", "upsertcore upsert_many"} == asked


def row(engine: str, us: list[float], **said: Any) -> dict[str, Any]:
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
        **said,
    }


RESULTS: dict[str, Any] = {
    "about": {"date": "2024-01-02", "python": "CPython 3.11.7", "cores": 2},
    "how": {"floor": "by hand"},
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
    def test_ratios_are_between_medians(self) -> None:
        """The floor's median is 1.00x, and the spread stands beside it."""
        table = report.tables(RESULTS)["Half new, half updates, up to 8 fields"]
        told = table.splitlines()

        assert "| floor | 2 (1-4) **1.00x** | by hand |" == told[2]
        assert "| upsertcore upsert | 3 **1.50x** |  |" == told[3]
        assert "| sqlite3, row by row | 11 (9-12) **5.50x** |  |" == told[4]

    def test_every_table_has_its_rows(self) -> None:
        """Workloads, profiles, memory, steps, the rest, and what is left out."""
        told = report.report(RESULTS)

        for line in (
            "Measured 2024-01-02; CPython 3.11.7; 2 cores.",
            "| floor | 2.0 µs | 0.5 µs |",
            "| Anduin | 1 **1.00x** | 1.5 **1.50x** |",
            "| upsertcore upsert | 90 **0.90x** | 130 |",
            "| merge | 2.0 | 0.25 | 50% |",
            "| find | 10 | call | 2 (1-3) |",
            "| ducks | everything | not here |",
        ):
            assert line in told.splitlines()

    def test_the_excerpt_is_the_floor_the_library_and_the_best(self) -> None:
        """Of the rivals there is the fastest by the row, and by the batch."""
        assert (
            "| 1,000 patches | µs per patch | ratio |\n"
            "|---|---|---|\n"
            "| floor | 2.0 | 1.00x |\n"
            "| upsertcore upsert | 3.0 | 1.50x |\n"
            "| sqlite3, row by row | 11.0 | 5.50x |\n"
            "| polars | 1.8 | 0.90x |"
        ) == report.excerpt(RESULTS)

    def test_what_is_generated_stands_between_its_markers(self) -> None:
        """What stands around them stays; twice is once."""
        text = f"before\n\n{report.BEGIN}\n\nold\n\n{report.END}\n\nafter\n"
        once = report.insert_block(text, "new")

        assert text.replace("old", "new") == once
        assert once == report.insert_block(once, "new")

    def test_plots_are_pictures_with_every_name(self) -> None:
        """Each engine is named, on a ground of white, with units at the axes."""
        for draw, unit in (
            (plots.lines, "µs per patch, median"),
            (plots.bars, "ratio"),
        ):
            picture = ET.fromstring(draw(RESULTS))  # noqa: S314 - we wrote it
            texts = [each.text or "" for each in picture if each.tag.endswith("text")]

            assert "#ffffff" == picture[0].get("fill")
            assert {"floor", "upsertcore upsert", "sqlite3, ON CONFLICT"} <= {*texts}
            assert any(unit in text for text in texts)

    def test_names_never_stand_on_one_another(self) -> None:
        """Names of lines that end together are moved apart, in their order."""
        rows = [row(name, [2.0 + place / 100]) for place, name in enumerate(ENGINES)]
        picture = ET.fromstring(plots.lines({**RESULTS, "rows": rows}))  # noqa: S314 - we wrote it
        names = [each for each in picture if each.text in ENGINES and each.get("x")]
        at = sorted(
            float(each.get("y", 0)) for each in names if each.get("y") != "42.0"
        )

        assert len(ENGINES) == len(at)
        assert all(after - before >= 14 for before, after in pairwise(at))


def stand_in(folder: Path, body: str) -> str:
    """Write a program that is called as valgrind is."""
    program = folder / "valgrind"
    program.write_text(f"#!{sys.executable}\nimport sys\n{body}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


COUNTS = 'print("==1== Collected :", 1000 + 50 * int(sys.argv[-1]), file=sys.stderr)'


class TestGuard:
    @pytest.mark.parametrize("name", guard_cases.CASES)
    def test_every_call_of_a_case_does_what_it_is_about(self, name: str) -> None:
        """A case that would count something else fails."""
        guard_cases.main(name, 5)

    def test_three_per_cent_more_is_too_much(self) -> None:
        """Less, the same, and 3 % more pass; anything above fails."""
        before = {"create": 1_000}

        assert guard.compare({"create": 900}, before)[0]
        assert guard.compare({"create": 1_030}, before)[0]
        assert not guard.compare({"create": 1_031}, before)[0]

    def test_what_is_stored_passes_and_what_grows_fails(self, tmp_path: Path) -> None:
        """The baseline is of this Python and platform."""
        said: list[str] = []
        file = tmp_path / "baseline.json"

        def check(count: int, *, store: bool = False) -> int:
            return guard.guard(
                "valgrind", file, store=store, say=said.append, count=lambda *_: count
            )

        assert [0, 0, 1] == [check(100, store=True), check(103), check(104)]
        assert {guard.platform_name()} == json.loads(
            file.read_text(encoding="utf-8")
        ).keys()
        assert "create: 104 instructions, +4.0 % of the baseline: too many" in said

    def test_without_valgrind_or_baseline_it_says_so(self, tmp_path: Path) -> None:
        """One line, and no failure."""
        said: list[str] = []
        file = tmp_path / "baseline.json"

        here = guard.platform_name()
        assert 0 == guard.guard("", file, say=said.append)
        assert 0 == guard.guard("valgrind", file, say=said.append)
        assert [
            "instructions are not counted: valgrind is not installed",
            f"instructions are not counted: baseline.json has none for {here}",
        ] == said

    def test_a_call_costs_what_the_calls_add(self, tmp_path: Path) -> None:
        """The count of a run without calls is taken off."""
        assert 50 == guard.count_instructions(stand_in(tmp_path, COUNTS), "create")

    def test_a_program_that_fails_is_told(self, tmp_path: Path) -> None:
        """The last line that it wrote says why."""
        program = stand_in(tmp_path, 'sys.exit("no such tool")')

        with pytest.raises(RuntimeError, match="on create: no such tool"):
            guard.count_instructions(program, "create")


class TestModules:
    @pytest.mark.parametrize("path", MODULES, ids=[path.stem for path in MODULES])
    def test_a_module_shows_itself_and_has_one_subject(self, path: Path) -> None:
        """What its docstrings show is so, and it ends before line 350."""
        parts = path.relative_to(FOLDER.parent).with_suffix("").parts
        module = import_module(".".join(parts))

        assert 0 == doctest.testmod(module).failed
        assert "Rules:" in (module.__doc__ or "")
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


@pytest.mark.full
class TestCommand:
    def test_a_quick_run_writes_everything(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Results, both plots, and the tables between their markers."""
        quick = ["--quick", "--sizes", "30", "--engines", "floor"]
        status = main([*quick, "--out", str(tmp_path)])
        results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))

        assert 0 == status
        assert {"README.md", "cost.svg", "engines.svg", "results.json"} == {
            path.name for path in tmp_path.iterdir()
        }
        assert all(len(r.get("us", r.get("kept"))) == 1 for r in results["rows"])
        assert {"find by email", "dedupe", "import upsertcore"} <= {
            line["what"] for line in results["also"]
        }
        assert "| floor |" in (tmp_path / "README.md").read_text(encoding="utf-8")
        assert "| 30 patches | µs per patch | ratio |" in capsys.readouterr().out

    def test_shares_of_the_time_are_of_the_whole(self) -> None:
        """Every step that an upsert takes is there, with its share."""
        rows = profile(Case("mixed", 50))

        assert 1 == pytest.approx(sum(part["share"] for part in rows))
        steps = {part["step"]: part["calls"] for part in rows}
        assert (1, 0.5) == (steps["book.upsert"], steps["fast._update"])

    def test_the_guard_is_a_command(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Stored with one program, checked with another: it fails."""
        baseline = ["--baseline", str(tmp_path / "baseline.json")]
        dearer = COUNTS.replace("50 *", "52 *")

        told = ["guard", *baseline, "--valgrind"]
        assert 0 == main([*told, stand_in(tmp_path, COUNTS), "--store"])
        assert 0 == main([*told, stand_in(tmp_path, COUNTS)])
        assert 1 == main([*told, stand_in(tmp_path, dearer)])
        assert "too many" in capsys.readouterr().out
