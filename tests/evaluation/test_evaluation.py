"""Evaluation: a case by hand, naive counting beside it, reports and plots."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsertcore import (
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    merge_all,
    never,
    normalize,
)
from upsertcore.evaluation import (
    Evaluator,
    Hit,
    KeyScore,
    RecordDifference,
    Refusal,
    Report,
    ReportComparison,
    Spread,
    compare,
    evaluate,
    evaluate_records,
    new_side,
)
from upsertcore.evaluation.report import RefusedRecord
from upsertcore.evaluation.scores import EXAMPLES, Measure, score
from upsertcore.matching.protocol import Strategy
from upsertcore.rules import replace

Row: TypeAlias = dict[str, Any]


def policy(match: Strategy, **options: Any) -> Policy:
    """Make a policy of two keys, either of which several contacts may hold."""
    lines = {name: field(key=normalize.text) for name in ("email", "phone")}
    return Policy(match, lines, on_ambiguous="oldest", **options)


FIRST = policy(first_match("email", "phone"))
MERGE = policy(merge_all("email", "phone"))
NEVER = policy(never())

# The person of each row, its values, and its result under FIRST:
#
#   0 ada  a 1   created c-1
#   1 ada  A     email finds c-1, of 1 ada: right             updated
#   2 bob  b 1   phone finds c-1, of 2 ada: wrong             updated, lets go of a
#   3 bob  b     email finds c-1, of 2 ada, 1 bob: wrong      unchanged
#   4 ada  a     created c-2
#   5 cyd        refused: no key
#   6 bob  b 2   email finds c-1, of 2 ada, 2 bob: right      updated, lets go of 1
#   7 eve    1   created c-3
#   8 eve  e 1   phone finds c-3, of 1 eve: right             updated
#   9 ada  a 2   email finds c-2, of 1 ada: right             updated; phone hits c-1
#
# So c-1 has 2 ada and 3 bob, c-2 has 2 ada, c-3 has 2 eve, and cyd stands alone.
# Pairs of one person: ada 6, bob 3, eve 1: 10. Pairs in one contact: 10 + 1 + 1 = 12.
# Pairs of which both holds: ada in c-1 1, bob in c-1 3, ada in c-2 1, eve 1: 6.
# Precision 6/12, recall 6/10, F1 12/22.
# B-cubed precision: 2 * 2/5 + 3 * 3/5 + 2 + 1 + 2 = 38/5, of 10 records: 19/25.
# B-cubed recall: ada 4 * 2/4, bob 3, cyd 1, eve 2: 8 of 10.
ROWS: list[Row] = [
    {"who": "ada", "email": "a", "phone": "1"},
    {"who": "ada", "email": "A"},
    {"who": "bob", "email": "b", "phone": "1"},
    {"who": "bob", "email": "b"},
    {"who": "ada", "email": "a"},
    {"who": "cyd"},
    {"who": "bob", "email": "b", "phone": "2"},
    {"who": "eve", "phone": "1"},
    {"who": "eve", "email": "e", "phone": "1"},
    {"who": "ada", "email": "a", "phone": "2"},
]
TEXT = """\
10 records of 4 persons in 4 contacts
            precision     recall         F1
pairwise       0.5000     0.6000     0.5455
B-cubed        0.7600     0.8000     0.7795
persons split over several contacts: 1
  ada: c-1 (2), c-2 (2)
contacts joined of several persons: 1
  c-1: ada (2), bob (3)
results: 3 created, 5 updated, 1 unchanged
refused: 1
  NoMatchKey: 1, such as row 5: patch: has no key to match by (email is omitted, \
phone is omitted); send a usable value for email or phone
keys that decided, and how often rightly
  email         4         3
  phone         2         1
records whose keys hit several contacts: 1
  row 9, of ada, by email: c-2, c-1"""


class TestEvaluate:
    def test_report_has_the_figures_of_the_case_by_hand(self) -> None:
        """The comment above derives each figure."""
        report = evaluate(FIRST, ROWS, truth="who")
        scores = report.scores

        assert (10, 12, 6) == (
            *(scores.true_pairs, scores.assigned_pairs, scores.right_pairs),
        )
        assert Measure(0.5, 0.6, 12 / 22) == scores.pairwise
        assert (19 / 25, 0.8) == (scores.b_cubed.precision, scores.b_cubed.recall)
        assert (10, 3, 1) == (report.records, report.contacts, report.refused)
        assert {"created": 3, "updated": 5, "unchanged": 1} == report.results
        assert (KeyScore("email", 4, 3), KeyScore("phone", 2, 1)) == report.keys
        assert (1, (Hit(9, "ada", "email", 2, ("c-2", "c-1")),)) == (
            *(report.hit_several, report.hits),
        )
        message = (
            "patch: has no key to match by (email is omitted, phone is omitted); "
            "send a usable value for email or phone"
        )
        assert (Refusal("NoMatchKey", message, 5),) == report.refusals
        c1, c2, c3 = "c-1", "c-2", "c-3"
        assert (c1, c1, c1, c1, c2, RefusedRecord(5), c1, c3, c3, c2) == report.places

    def test_rows_may_be_an_iterator_and_stay_unchanged(self) -> None:
        rows = [dict(row) for row in ROWS]

        assert evaluate(FIRST, ROWS, truth="who") == evaluate(
            FIRST, iter(rows), truth="who", scope="s"
        )
        assert rows == ROWS

    def test_truth_may_be_a_function_of_the_row(self) -> None:
        """Then the whole row is the patch."""
        rows = [{"email": "rec-1-org"}, {"email": "REC-1-org"}, {"email": "rec-2-org"}]
        report = evaluate(FIRST, rows, truth=lambda row: row["email"].split("-")[1])

        assert ("1", "1", "2") == report.persons
        assert ("c-1", "c-1", "c-2") == report.places

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ({"email": "a"}, "row 1: has no 'who', which is the truth"),
            ({"who": None}, "row 1: must have a true person, not None"),
            ({"who": float("nan")}, "row 1: must have a true person, not nan"),
            ({"who": ""}, "row 1: must have a true person, not ''"),
            ({"who": " "}, "row 1: must have a true person, not ' '"),
            ({"who": ["ada"]}, "row 1: must have a true person, not \\['ada'\\]"),
            (["who"], "row 1: must be a mapping, not \\['who'\\]"),
        ],
        ids=["missing", "null", "nan", "blank", "space", "list", "none"],
    )
    def test_row_without_a_truth_is_refused(self, row: Any, message: str) -> None:
        """Before any row is judged."""
        with pytest.raises(ValueError, match=f"^{message}$"):
            evaluate(FIRST, [ROWS[0], row], truth="who")

    def test_truth_without_a_boolean_comparison_is_refused(self) -> None:
        """Some data frames mark missing values so."""

        class Unsure:
            __hash__ = object.__hash__

            def __eq__(self, other: object) -> bool:
                raise TypeError("neither")

        with pytest.raises(ValueError, match=r"^row 0: must have a true person"):
            evaluate(FIRST, [{"who": Unsure()}], truth="who")

    def test_negative_number_of_shuffles_is_refused(self) -> None:
        with pytest.raises(ValueError, match="shuffles: must be 0 or more, not -1"):
            evaluate(FIRST, ROWS, truth="who", shuffles=-1)

    def test_error_of_a_host_function_has_a_note_with_the_row(self) -> None:
        def broken(_value: Any) -> str:
            raise RuntimeError("down")

        lines = {"email": field(key=broken)}
        with pytest.raises(RuntimeError, match="down") as error:
            evaluate(
                Policy(first_match("email"), lines, extra_fields=field(rule=replace)),
                ROWS[:1],
                truth="who",
            )

        note = "email: normaliser broken raised this for text"
        assert [note, "in row 0"] == error.value.__notes__

    def test_scope_that_is_no_text_is_refused(self) -> None:
        """Before any row is judged."""
        with pytest.raises(errors.InvalidField, match="scope"):
            evaluate(FIRST, ROWS, truth="who", scope=7)  # type: ignore[arg-type]

    def test_report_without_rows_has_perfect_scores(self) -> None:
        """It has a text too."""
        report = evaluate(NEVER, [], truth="who", shuffles=2)

        assert "results: none" in str(report)
        assert "keys" not in str(report).partition("records whose")[0]
        assert Spread(1.0, 1.0, 1.0) == report.spread["pairwise"]["f1"]

    def test_place_of_a_merged_contact_is_its_survivor(self) -> None:
        """Contacts are looked up after the last row."""
        rows = [
            {"who": "ada", "email": "a"},
            {"who": "ada", "phone": "1"},
            {"who": "ada", "email": "a", "phone": "1"},
        ]
        report = evaluate(MERGE, rows, truth="who")

        assert ("c-1", "c-1", "c-1") == report.places
        assert Measure(1.0, 1.0, 1.0) == report.scores.pairwise
        assert (Hit(2, "ada", "email", 2, ("c-1", "c-2")),) == report.hits
        assert {"created": 2, "merged": 1} == report.results

    def test_survivor_has_the_records_of_both_contacts(self) -> None:
        """Here 2 of ada and 2 of bob."""
        rows = [
            {"who": "ada", "email": "a"},
            {"who": "bob", "phone": "1"},
            {"who": "bob", "phone": "1"},
            {"who": "ada", "email": "a", "phone": "1"},
            {"who": "bob", "phone": "1"},  # A tie is right.
            {"who": "ada", "email": "a"},  # Of 3 bob and 2 ada it is wrong.
        ]

        report = evaluate(MERGE, rows, truth="who")
        assert (KeyScore("email", 2, 1), KeyScore("phone", 2, 2)) == report.keys
        assert [1, 0] == [key_score.wrong for key_score in report.keys]

    def test_shuffles_are_seeded_and_leave_the_given_order_apart(self) -> None:
        plain = evaluate(FIRST, ROWS, truth="who")
        report = evaluate(FIRST, ROWS, truth="who", shuffles=9, seed=3)
        recalls = [scores["pairwise"].recall for scores in report.shuffled]
        spread = report.spread["pairwise"]["recall"]

        assert plain == attrs.evolve(report, shuffled=())
        assert {} == plain.spread
        assert Spread(min(recalls), sorted(recalls)[4], max(recalls)) == spread
        assert len(set(recalls)) > 1
        assert report == evaluate(FIRST, ROWS, truth="who", shuffles=9, seed=3)
        assert report != evaluate(FIRST, ROWS, truth="who", shuffles=9, seed=4)

    def test_progress_is_called_every_500_records_and_at_the_end(self) -> None:
        """Its numbers count the records of all orders."""
        calls: list[tuple[int, int]] = []
        rows = [{"who": n, "email": str(n)} for n in range(400)]
        evaluate(
            FIRST,
            rows,
            truth="who",
            shuffles=2,
            progress=lambda *call: calls.append(call),
        )

        assert [(0, 1_200), (500, 1_200), (1_000, 1_200), (1_200, 1_200)] == calls


class TestEvaluator:
    def test_refusals_are_counted_by_kind_with_the_first_as_example(self) -> None:
        """A host may name kinds of its own."""
        evaluator = Evaluator(ContactBook(FIRST))
        evaluator.add("ada", errors.CreateRefused())
        evaluator.add("ada", Refusal("400 email", "email: 'x'"))
        evaluator.add("bob", Refusal("400 email", "email: 'y'"))
        report = evaluator.report()

        assert ["CreateRefused", "400 email"] == [
            refusal.kind for refusal in report.refusals
        ]
        assert Refusal("400 email", "email: 'x'", 1, 2) == report.refusals[1]
        assert (3, 0, 3) == (report.records, report.contacts, report.refused)
        assert "  ada: refused (1), refused (1)" in str(report)

    def test_scores_between_rows_are_those_of_the_records_so_far(self) -> None:
        book, send = new_side(FIRST)
        evaluator = Evaluator(book)
        for number, row in enumerate(ROWS):
            patch = {name: row[name] for name in row if name != "who"}
            evaluator.add(row["who"], send(patch))
            assert number + 1 == evaluator.scores().records

        assert evaluate(FIRST, ROWS, truth="who") == evaluator.report()

    def test_hits_are_counted_and_the_first_are_shown(self) -> None:
        book = ContactBook(NEVER, ids=iter(map(str, range(99))).__next__)
        for _ in range(EXAMPLES + 2):
            book.upsert({"email": "a"})
        loaded = ContactBook.load(FIRST, book.dump())
        evaluator = Evaluator(loaded)
        for _ in range(EXAMPLES + 1):
            evaluator.add("ada", loaded.upsert({"email": "a"}))
        report = evaluator.report()

        assert EXAMPLES + 1 == report.hit_several
        assert list(range(EXAMPLES)) == [hit.row for hit in report.hits]
        assert str(report.hits[0]).endswith(", by email: 0, 1, 2, 3, 4 and 2 more")


class TestReport:
    def test_text_has_every_figure_and_its_persons(self) -> None:
        assert str(evaluate(FIRST, ROWS, truth="who")) == TEXT

    def test_text_with_shuffles_ends_with_the_spread(self) -> None:
        report = evaluate(FIRST, ROWS, truth="who", shuffles=2)
        lines = str(report).splitlines()
        spread = report.spread["pairwise"]["precision"]

        assert "over shuffled orders of arrival: 2" == lines[-7]
        assert f"  pairwise precision {spread}" == lines[-6]
        assert (
            len(str(evaluate(FIRST, ROWS, truth="who")).splitlines()) == len(lines) - 7
        )

    def test_dictionary_has_every_figure_and_no_places(self) -> None:
        """It survives JSON."""
        rows = [{**row, "who": (row["who"],)} for row in ROWS]
        report = evaluate(FIRST, rows, truth="who", shuffles=1)
        data = report.to_dict()

        assert data == json.loads(json.dumps(data))
        assert report.scores.to_dict() == data["scores"]
        assert (10, 3, 1, 1) == (
            *(data["records"], data["contacts"], data["refused"], data["hit_several"]),
        )
        assert {"key": "email", "decided": 4, "right": 3} == data["keys"][0]
        assert ["kind", "example", "row", "count"] == [*data["refusals"][0]]
        assert {
            "row": 9,
            "person": "('ada',)",
            "key": "email",
            "among": 2,
            "contacts": ["c-2", "c-1"],
        } == data["hits"][0]
        assert {"least", "median", "most"} == set(data["spread"]["B-cubed"]["f1"])
        assert 1 == data["shuffles"]


@pytest.mark.full
class TestPlot:
    def test_plot_labels_both_panels_and_writes_every_figure(self) -> None:
        figure = evaluate(FIRST, ROWS, truth="who", shuffles=3).plot()
        axes: Any = figure.axes
        left, right = axes
        texts = [artist.get_text() for artist in left.texts]

        assert ["0.5000", "0.6000", "0.5455", "0.7600", "0.8000", "0.7795"] == texts
        assert left.get_title().startswith("10 records of 4 persons in 3 contacts\n")
        assert left.get_title().endswith("most of 3 shuffled orders")
        assert ["precision", "recall", "F1"] == [
            artist.get_text() for artist in left.get_xticklabels()
        ]
        assert ["email", "phone"] == [
            artist.get_text() for artist in right.get_yticklabels()
        ]
        assert [" 3 right, 1 wrong", " 1 right, 1 wrong"] == [
            artist.get_text() for artist in right.texts
        ]
        assert [3.0, 1.0, 1.0, 1.0] == [artist.get_width() for artist in right.patches]
        assert {"", "///"} == {
            str(artist.get_hatch() or "") for artist in right.patches
        }

    def test_plot_limits_include_the_least_of_the_shuffles(self) -> None:
        report = evaluate(FIRST, ROWS, truth="who", shuffles=20)
        low, high = report.plot().axes[0].get_ylim()
        least = min(
            spread.least
            for spreads in report.spread.values()
            for spread in spreads.values()
        )

        assert low < least
        assert high > 1.0

    @pytest.mark.parametrize("policy", [FIRST, NEVER], ids=["keys", "no keys"])
    @pytest.mark.parametrize("rows", [ROWS, []], ids=["rows", "no rows"])
    def test_plot_is_saved_as_png(self, policy: Policy, rows: list[Row]) -> None:
        """Also without keys, and without rows."""
        buffer = io.BytesIO()
        evaluate(policy, rows, truth="who").plot().savefig(buffer, format="png")

        assert buffer.getvalue().startswith(b"\x89PNG")

    def test_plot_imports_no_pyplot_and_evaluation_no_matplotlib(self) -> None:
        code = (
            "import sys\n"
            "from upsertcore import Policy, never\n"
            "from upsertcore.evaluation import evaluate\n"
            "found = evaluate(Policy(never(), {}), [], truth='who')\n"
            "assert 'matplotlib' not in sys.modules\n"
            "found.plot()\n"
            "assert 'matplotlib.pyplot' not in sys.modules\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_plot_without_the_extra_names_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(ModuleNotFoundError, match=r"install 'upsertcore\[plot\]'"):
            evaluate(FIRST, ROWS, truth="who").plot()


class TestCompare:
    def test_comparison_has_the_figures_of_the_case_by_hand(self) -> None:
        """The verdict of each record follows from the contacts.

        Under MERGE row 2 makes no merge, and row 9 makes c-1 part of c-2, so all of
        c-1 and c-2 is one contact: 4 ada and 3 bob. Each ada is with 3 ada and 3 bob
        in place of 1 and 3 (in c-1), or 1 and 0 (in c-2); each bob is with 2 bob and
        4 ada in place of 2 and 2.
        """
        comparison = compare(
            evaluate(FIRST, ROWS, truth="who"), evaluate(MERGE, ROWS, truth="who")
        )

        assert (10, 7, 2, 3, 2) == (
            *(
                comparison.records,
                comparison.differ,
                comparison.better,
                comparison.worse,
                comparison.mixed,
            ),
        )
        assert (
            RecordDifference(0, "ada", (1, 3), (3, 3)),
            RecordDifference(1, "ada", (1, 3), (3, 3)),
            RecordDifference(2, "bob", (2, 2), (2, 4)),
            RecordDifference(3, "bob", (2, 2), (2, 4)),
            RecordDifference(4, "ada", (1, 0), (3, 3)),
        ) == comparison.examples
        assert ["better", "better", "worse", "worse", "mixed"] == [
            difference.verdict for difference in comparison.examples
        ]
        assert [
            "10 records, 7 of them put differently: 2 better, 3 worse, 2 mixed",
            "  row 0, of ada: with 1 right and 3 wrong / 3 right and 3 wrong: better",
        ] == str(comparison).splitlines()[:2]

    def test_other_neighbours_of_the_same_number_are_mixed(self) -> None:
        """The counts of right and wrong neighbours are equal."""
        persons, mine, theirs = "abc", "112", "122"
        comparison = compare(report_of(persons, mine), report_of(persons, theirs))

        assert (1, 1, 1) == (comparison.better, comparison.worse, comparison.mixed)
        assert "mixed" == comparison.examples[1].verdict

    def test_names_of_places_do_not_count(self) -> None:
        """A refused record and a contact of one record are both alone."""
        comparison = compare(
            evaluate(FIRST, ROWS[:6], truth="who"),
            report_of([row["who"] for row in ROWS[:6]], "xxxxyz"),
        )

        assert ReportComparison(6, 0, 0, 0, ()) == comparison

    def test_dictionary_has_counts_and_examples(self) -> None:
        """It survives JSON."""
        data = compare(report_of("aa", "12"), report_of("aa", "11")).to_dict()

        assert data == json.loads(json.dumps(data))
        assert {
            "row": 0,
            "person": "a",
            "mine": [0, 0],
            "theirs": [1, 0],
            "verdict": "better",
        } == data["examples"][0]
        assert (2, 2, 2, 0, 0) == tuple([*data.values()][:5])

    def test_reports_of_different_records_are_refused(self) -> None:
        with pytest.raises(ValueError, match="same records in the same order"):
            compare(report_of("ab", "12"), report_of("ba", "12"))


def report_of(persons: Any, places: Any) -> Report:
    """Make a report of places alone."""
    scores = score(zip(persons, places, strict=True))
    return Report(scores, {}, (), (), 0, (), tuple(persons), tuple(places))


def test_evaluate_records_judges_a_sender_of_the_host() -> None:
    """Each order begins with a new book."""
    begins: list[int] = []

    def new_sender() -> tuple[ContactBook, Any]:
        begins.append(1)
        book = ContactBook(FIRST)
        return book, lambda value: book.upsert({"email": value})

    report = evaluate_records(new_sender, [("ada", "a"), ("ada", "A")], shuffles=2)

    assert 3 == len(begins)
    assert Measure(1.0, 1.0, 1.0) == report.scores.pairwise


key_values = st.sampled_from(["1", "2", "3"])
persons = st.sampled_from("ab")
rows = st.lists(
    st.fixed_dictionaries(
        {"who": persons}, optional={"email": key_values, "phone": key_values}
    ),
    max_size=12,
)


@given(rows, st.sampled_from([FIRST, MERGE]))
def test_key_scores_equal_those_of_naive_counting(
    drawn: list[Row], policy: Policy
) -> None:
    """The naive way looks at every earlier record before each call."""
    book, send = new_side(policy)
    places: list[tuple[Hashable, str]] = []
    decided: Counter[str] = Counter()
    right: Counter[str] = Counter()
    several = 0
    for row in drawn:
        answer: Any = send({name: row[name] for name in row if name != "who"})
        if isinstance(answer, errors.Refused):
            continue
        id, key = answer.contact.id, answer.matched_by
        if key is not None:
            persons_there = Counter(person for person, place in places if place == id)
            decided[key] += 1
            right[key] += persons_there[row["who"]] == max(persons_there.values())
        several += bool(answer.also_matched or answer.merged)
        places = [
            (person, book.get(place).id)
            for person, place in [*places, (row["who"], id)]
        ]
    report = evaluate(policy, drawn, truth="who")

    assert [KeyScore(k, decided[k], right[k]) for k in ("email", "phone")] == [
        *report.keys
    ]
    assert several == report.hit_several
    reported = zip(report.persons, report.places, strict=True)
    assert places == [
        pair for pair in reported if not isinstance(pair[1], RefusedRecord)
    ]


@given(st.lists(st.tuples(persons, key_values, key_values), max_size=9))
def test_differences_equal_those_of_naive_comparing(
    drawn: list[tuple[str, str, str]],
) -> None:
    """The naive way compares the neighbours of each record."""
    true_persons = [person for person, _mine, _theirs in drawn]
    mine = [place for _person, place, _theirs in drawn]
    theirs = [place for _person, _mine, place in drawn]

    def neighbours(places: list[str], row: int) -> set[int]:
        return {
            n for n, place in enumerate(places) if place == places[row] and n != row
        }

    def links(comparison: set[int], row: int) -> tuple[int, int]:
        right = sum(true_persons[n] == true_persons[row] for n in comparison)
        return right, len(comparison) - right

    expected: Mapping[int, RecordDifference] = {
        row: RecordDifference(
            row, true_persons[row], links(before, row), links(after, row)
        )
        for row in range(len(true_persons))
        if (before := neighbours(mine, row)) != (after := neighbours(theirs, row))
    }
    comparison = compare(report_of(true_persons, mine), report_of(true_persons, theirs))

    assert list(expected.values())[:EXAMPLES] == list(comparison.examples)
    verdicts = Counter(difference.verdict for difference in expected.values())
    assert (verdicts["better"], verdicts["worse"], verdicts["mixed"]) == (
        *(comparison.better, comparison.worse, comparison.mixed),
    )
