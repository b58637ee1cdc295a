"""Tests of evaluation: a case by hand, naive counting beside it, and what it tells."""

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


def policy(match: Strategy, **others: Any) -> Policy:
    """Make a policy of two keys, either of which several contacts may hold."""
    lines = {name: field(key=normalize.text) for name in ("email", "phone")}
    return Policy(match, lines, on_ambiguous="oldest", **others)


FIRST = policy(first_match("email", "phone"))
MERGE = policy(merge_all("email", "phone"))
NEVER = policy(never())

# Whom each row is about, what it carries, and what becomes of it under FIRST:
#
#   0 ada  a 1   created c-1
#   1 ada  A     email finds c-1, of 1 ada: rightly           updated
#   2 bob  b 1   phone finds c-1, of 2 ada: wrongly           updated, lets go of a
#   3 bob  b     email finds c-1, of 2 ada, 1 bob: wrongly    unchanged
#   4 ada  a     created c-2
#   5 cyd        refused: no key
#   6 bob  b 2   email finds c-1, of 2 ada, 2 bob: rightly    updated, lets go of 1
#   7 eve    1   created c-3
#   8 eve  e 1   phone finds c-3, of 1 eve: rightly           updated
#   9 ada  a 2   email finds c-2, of 1 ada: rightly           updated; phone hits c-1
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
    """``evaluate``."""

    def test_a_case_by_hand(self) -> None:
        """Each figure is the one that the comment above comes to."""
        found = evaluate(FIRST, ROWS, truth="who")
        scores = found.scores

        assert (10, 12, 6) == (
            *(scores.true_pairs, scores.assigned_pairs, scores.right_pairs),
        )
        assert Measure(0.5, 0.6, 12 / 22) == scores.pairwise
        assert (19 / 25, 0.8) == (scores.b_cubed.precision, scores.b_cubed.recall)
        assert (10, 3, 1) == (found.records, found.contacts, found.refused)
        assert {"created": 3, "updated": 5, "unchanged": 1} == found.results
        assert (KeyScore("email", 4, 3), KeyScore("phone", 2, 1)) == found.keys
        assert (1, (Hit(9, "ada", "email", 2, ("c-2", "c-1")),)) == (
            *(found.hit_several, found.hits),
        )
        message = (
            "patch: has no key to match by (email is omitted, phone is omitted); "
            "send a usable value for email or phone"
        )
        assert (Refusal("NoMatchKey", message, 5),) == found.refusals
        c1, c2, c3 = "c-1", "c-2", "c-3"
        assert (c1, c1, c1, c1, c2, RefusedRecord(5), c1, c3, c3, c2) == found.places

    def test_rows_are_read_once_and_left_alone(self) -> None:
        """Any iterable will do, and no row loses what says whom it is about."""
        rows = [dict(row) for row in ROWS]

        assert evaluate(FIRST, ROWS, truth="who") == evaluate(
            FIRST, iter(rows), truth="who", scope="s"
        )
        assert rows == ROWS

    def test_the_truth_may_be_a_function(self) -> None:
        """Then the row is the patch, whole."""
        rows = [{"email": "rec-1-org"}, {"email": "REC-1-org"}, {"email": "rec-2-org"}]
        found = evaluate(FIRST, rows, truth=lambda row: row["email"].split("-")[1])

        assert ("1", "1", "2") == found.persons
        assert ("c-1", "c-1", "c-2") == found.places

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
    def test_a_row_without_a_truth(self, row: Any, message: str) -> None:
        """It is named, before anything is judged."""
        with pytest.raises(ValueError, match=f"^{message}$"):
            evaluate(FIRST, [ROWS[0], row], truth="who")

    def test_a_truth_that_is_neither_equal_nor_unequal(self) -> None:
        """As some data frames write what is not known."""

        class Unsure:
            __hash__ = object.__hash__

            def __eq__(self, other: object) -> bool:
                raise TypeError("neither")

        with pytest.raises(ValueError, match=r"^row 0: must have a true person"):
            evaluate(FIRST, [{"who": Unsure()}], truth="who")

    def test_orders_are_none_or_some(self) -> None:
        """Fewer than none is a slip."""
        with pytest.raises(ValueError, match="shuffles: must be 0 or more, not -1"):
            evaluate(FIRST, ROWS, truth="who", shuffles=-1)

    def test_what_a_host_raises_says_where(self) -> None:
        """The number of the row goes along."""

        def broken(_value: Any) -> str:
            raise RuntimeError("down")

        lines = {"email": field(key=broken)}
        with pytest.raises(RuntimeError, match="down") as caught:
            evaluate(
                Policy(first_match("email"), lines, extra_fields=field(rule=replace)),
                ROWS[:1],
                truth="who",
            )

        what = "email: normaliser broken raised this for text"
        assert [what, "in row 0"] == caught.value.__notes__

    def test_a_scope_is_text(self) -> None:
        """Another one is refused before anything is judged."""
        with pytest.raises(errors.InvalidField, match="scope"):
            evaluate(FIRST, ROWS, truth="who", scope=7)  # type: ignore[arg-type]

    def test_nothing_to_judge(self) -> None:
        """Without rows there is nothing wrong, and it can be told."""
        found = evaluate(NEVER, [], truth="who", shuffles=2)

        assert "results: none" in str(found)
        assert "keys" not in str(found).partition("records whose")[0]
        assert Spread(1.0, 1.0, 1.0) == found.spread["pairwise"]["f1"]

    def test_contacts_are_looked_up_at_the_end(self) -> None:
        """A record whose contact was merged into another is where that one is."""
        rows = [
            {"who": "ada", "email": "a"},
            {"who": "ada", "phone": "1"},
            {"who": "ada", "email": "a", "phone": "1"},
        ]
        found = evaluate(MERGE, rows, truth="who")

        assert ("c-1", "c-1", "c-1") == found.places
        assert Measure(1.0, 1.0, 1.0) == found.scores.pairwise
        assert (Hit(2, "ada", "email", 2, ("c-1", "c-2")),) == found.hits
        assert {"created": 2, "merged": 1} == found.results

    def test_what_a_contact_held_is_merged_too(self) -> None:
        """After a merge a contact has the records of both: 2 ada and 2 bob here."""
        rows = [
            {"who": "ada", "email": "a"},
            {"who": "bob", "phone": "1"},
            {"who": "bob", "phone": "1"},
            {"who": "ada", "email": "a", "phone": "1"},
            {"who": "bob", "phone": "1"},  # A tie is right.
            {"who": "ada", "email": "a"},  # Of 3 bob and 2 ada it is wrong.
        ]

        found = evaluate(MERGE, rows, truth="who")
        assert (KeyScore("email", 2, 1), KeyScore("phone", 2, 2)) == found.keys
        assert [1, 0] == [each.wrong for each in found.keys]

    def test_shuffles(self) -> None:
        """Each is an order of its own, and the given order stands apart."""
        plain = evaluate(FIRST, ROWS, truth="who")
        found = evaluate(FIRST, ROWS, truth="who", shuffles=9, seed=3)
        recalls = [each["pairwise"].recall for each in found.shuffled]
        spread = found.spread["pairwise"]["recall"]

        assert plain == attrs.evolve(found, shuffled=())
        assert {} == plain.spread
        assert Spread(min(recalls), sorted(recalls)[4], max(recalls)) == spread
        assert len(set(recalls)) > 1
        assert found == evaluate(FIRST, ROWS, truth="who", shuffles=9, seed=3)
        assert found != evaluate(FIRST, ROWS, truth="who", shuffles=9, seed=4)

    def test_progress(self) -> None:
        """It is told now and then, and at the end, of all orders together."""
        told: list[tuple[int, int]] = []
        rows = [{"who": n, "email": str(n)} for n in range(400)]
        evaluate(
            FIRST,
            rows,
            truth="who",
            shuffles=2,
            progress=lambda *each: told.append(each),
        )

        assert [(0, 1_200), (500, 1_200), (1_000, 1_200), (1_200, 1_200)] == told


class TestJudge:
    """``Evaluator``."""

    def test_refusals_are_counted_by_kind(self) -> None:
        """The first of a kind is the example; a host may name kinds of its own."""
        judge = Evaluator(ContactBook(FIRST))
        judge.add("ada", errors.CreateRefused())
        judge.add("ada", Refusal("400 email", "email: 'x'"))
        judge.add("bob", Refusal("400 email", "email: 'y'"))
        found = judge.report()

        assert ["CreateRefused", "400 email"] == [e.kind for e in found.refusals]
        assert Refusal("400 email", "email: 'x'", 1, 2) == found.refusals[1]
        assert (3, 0, 3) == (found.records, found.contacts, found.refused)
        assert "  ada: refused (1), refused (1)" in str(found)

    def test_it_may_be_asked_on_the_way(self) -> None:
        """The scores are those of the records so far."""
        book, send = new_side(FIRST)
        judge = Evaluator(book)
        for number, row in enumerate(ROWS):
            patch = {name: row[name] for name in row if name != "who"}
            judge.add(row["who"], send(patch))
            assert number + 1 == judge.scores().records

        assert evaluate(FIRST, ROWS, truth="who") == judge.report()

    def test_examples_are_few(self) -> None:
        """Many records that hit many contacts are counted, and the first shown."""
        book = ContactBook(NEVER, ids=iter(map(str, range(99))).__next__)
        for _ in range(EXAMPLES + 2):
            book.upsert({"email": "a"})
        both = ContactBook.load(FIRST, book.dump())
        judge = Evaluator(both)
        for _ in range(EXAMPLES + 1):
            judge.add("ada", both.upsert({"email": "a"}))
        found = judge.report()

        assert EXAMPLES + 1 == found.hit_several
        assert list(range(EXAMPLES)) == [each.row for each in found.hits]
        assert str(found.hits[0]).endswith(", by email: 0, 1, 2, 3, 4 and 2 more")


class TestReport:
    """``Report``."""

    def test_it_reads(self) -> None:
        """Its text has every figure, and whom it is about."""
        assert str(evaluate(FIRST, ROWS, truth="who")) == TEXT

    def test_it_reads_with_shuffles(self) -> None:
        """The spread stands at the end, figure by figure."""
        found = evaluate(FIRST, ROWS, truth="who", shuffles=2)
        told = str(found).splitlines()
        spread = found.spread["pairwise"]["precision"]

        assert "over shuffled orders of arrival: 2" == told[-7]
        assert f"  pairwise precision {spread}" == told[-6]
        assert (
            len(str(evaluate(FIRST, ROWS, truth="who")).splitlines()) == len(told) - 7
        )

    def test_it_goes_as_json(self) -> None:
        """Every figure is there; what each record came to is not."""
        rows = [{**row, "who": (row["who"],)} for row in ROWS]
        found = evaluate(FIRST, rows, truth="who", shuffles=1)
        told = found.to_dict()

        assert told == json.loads(json.dumps(told))
        assert found.scores.to_dict() == told["scores"]
        assert (10, 3, 1, 1) == (
            *(told["records"], told["contacts"], told["refused"], told["hit_several"]),
        )
        assert {"key": "email", "decided": 4, "right": 3} == told["keys"][0]
        assert ["kind", "example", "row", "count"] == [*told["refusals"][0]]
        assert {
            "row": 9,
            "person": "('ada',)",
            "key": "email",
            "among": 2,
            "contacts": ["c-2", "c-1"],
        } == told["hits"][0]
        assert {"least", "median", "most"} == set(told["spread"]["B-cubed"]["f1"])
        assert 1 == told["shuffles"]


@pytest.mark.full
class TestPlot:
    """``Report.plot``."""

    def test_what_is_drawn(self) -> None:
        """Both panels are labelled, and every figure is written beside its mark."""
        drawn = evaluate(FIRST, ROWS, truth="who", shuffles=3).plot()
        axes: Any = drawn.axes
        left, right = axes
        texts = [each.get_text() for each in left.texts]

        assert ["0.5000", "0.6000", "0.5455", "0.7600", "0.8000", "0.7795"] == texts
        assert left.get_title().startswith("10 records of 4 persons in 3 contacts\n")
        assert left.get_title().endswith("most of 3 shuffled orders")
        assert ["precision", "recall", "F1"] == [
            each.get_text() for each in left.get_xticklabels()
        ]
        assert ["email", "phone"] == [e.get_text() for e in right.get_yticklabels()]
        assert [" 3 right, 1 wrong", " 1 right, 1 wrong"] == [
            each.get_text() for each in right.texts
        ]
        assert [3.0, 1.0, 1.0, 1.0] == [each.get_width() for each in right.patches]
        assert {"", "///"} == {str(e.get_hatch() or "") for e in right.patches}

    def test_nothing_is_cut_off(self) -> None:
        """Every value, and the least of the shuffles, lies within the axes."""
        found = evaluate(FIRST, ROWS, truth="who", shuffles=20)
        low, high = found.plot().axes[0].get_ylim()
        least = min(s.least for each in found.spread.values() for s in each.values())

        assert low < least
        assert high > 1.0

    @pytest.mark.parametrize("chosen", [FIRST, NEVER], ids=["keys", "no keys"])
    @pytest.mark.parametrize("rows", [ROWS, []], ids=["rows", "no rows"])
    def test_it_can_be_saved(self, chosen: Policy, rows: list[Row]) -> None:
        """As a PNG, whatever there is to draw."""
        saved = io.BytesIO()
        evaluate(chosen, rows, truth="who").plot().savefig(saved, format="png")

        assert saved.getvalue().startswith(b"\x89PNG")

    def test_no_global_state_is_touched(self) -> None:
        """Neither pyplot nor, where nothing is drawn, matplotlib is imported."""
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

    def test_without_the_extra_it_says_so(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The message says what to install."""
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(ModuleNotFoundError, match=r"install 'upsertcore\[plot\]'"):
            evaluate(FIRST, ROWS, truth="who").plot()


class TestCompare:
    """``compare``."""

    def test_a_case_by_hand(self) -> None:
        """Four records leave c-1 or lose somebody there, and their friends with them.

        Under MERGE row 2 makes no merge, and row 9 makes c-1 part of c-2, so all of
        c-1 and c-2 is one contact: 4 ada and 3 bob. Each ada is with 3 ada and 3 bob
        in place of 1 and 3 (in c-1), or 1 and 0 (in c-2); each bob is with 2 bob and
        4 ada in place of 2 and 2.
        """
        found = compare(
            evaluate(FIRST, ROWS, truth="who"), evaluate(MERGE, ROWS, truth="who")
        )

        assert (10, 7, 2, 3, 2) == (
            *(found.records, found.differ, found.better, found.worse, found.mixed),
        )
        assert (
            RecordDifference(0, "ada", (1, 3), (3, 3)),
            RecordDifference(1, "ada", (1, 3), (3, 3)),
            RecordDifference(2, "bob", (2, 2), (2, 4)),
            RecordDifference(3, "bob", (2, 2), (2, 4)),
            RecordDifference(4, "ada", (1, 0), (3, 3)),
        ) == found.examples
        assert ["better", "better", "worse", "worse", "mixed"] == [
            each.verdict for each in found.examples
        ]
        assert [
            "10 records, 7 of them put differently: 2 better, 3 worse, 2 mixed",
            "  row 0, of ada: with 1 right and 3 wrong / 3 right and 3 wrong: better",
        ] == str(found).splitlines()[:2]

    def test_others_of_the_same_number(self) -> None:
        """Whoever is with as many right and wrong ones, but others, is mixed."""
        persons, mine, theirs = "abc", "112", "122"
        found = compare(report(persons, mine), report(persons, theirs))

        assert (1, 1, 1) == (found.better, found.worse, found.mixed)
        assert "mixed" == found.examples[1].verdict

    def test_names_do_not_count(self) -> None:
        """What stands alone stands alone, refused or not."""
        found = compare(
            evaluate(FIRST, ROWS[:6], truth="who"),
            report([row["who"] for row in ROWS[:6]], "xxxxyz"),
        )

        assert ReportComparison(6, 0, 0, 0, ()) == found

    def test_it_goes_as_json(self) -> None:
        """Counts and examples are there under their names."""
        told = compare(report("aa", "12"), report("aa", "11")).to_dict()

        assert told == json.loads(json.dumps(told))
        assert {
            "row": 0,
            "person": "a",
            "mine": [0, 0],
            "theirs": [1, 0],
            "verdict": "better",
        } == told["examples"][0]
        assert (2, 2, 2, 0, 0) == tuple([*told.values()][:5])

    def test_other_records(self) -> None:
        """Reports on other rows cannot be compared."""
        with pytest.raises(ValueError, match="same records in the same order"):
            compare(report("ab", "12"), report("ba", "12"))


def report(persons: Any, places: Any) -> Report:
    """Make a report of nothing but who stands where."""
    scores = score(zip(persons, places, strict=True))
    return Report(scores, {}, (), (), 0, (), tuple(persons), tuple(places))


def test_a_host_of_its_own_is_judged() -> None:
    """Whatever answers outcomes and refusals can be judged, in several orders."""
    begins: list[int] = []

    def begin() -> tuple[ContactBook, Any]:
        begins.append(1)
        book = ContactBook(FIRST)
        return book, lambda sent: book.upsert({"email": sent})

    found = evaluate_records(begin, [("ada", "a"), ("ada", "A")], shuffles=2)

    assert 3 == len(begins)
    assert Measure(1.0, 1.0, 1.0) == found.scores.pairwise


few = st.sampled_from(["1", "2", "3"])
persons = st.sampled_from("ab")
rows = st.lists(
    st.fixed_dictionaries({"who": persons}, optional={"email": few, "phone": few}),
    max_size=12,
)


@given(rows, st.sampled_from([FIRST, MERGE]))
def test_right_is_what_naive_counting_finds(given_: list[Row], chosen: Policy) -> None:
    """Looking at every earlier record before each call, the same keys are right."""
    book, send = new_side(chosen)
    where: list[tuple[Hashable, str]] = []
    decided: Counter[str] = Counter()
    right: Counter[str] = Counter()
    several = 0
    for row in given_:
        answer: Any = send({name: row[name] for name in row if name != "who"})
        if isinstance(answer, errors.Refused):
            continue
        id, key = answer.contact.id, answer.matched_by
        if key is not None:
            held = Counter(person for person, at in where if at == id)
            decided[key] += 1
            right[key] += held[row["who"]] == max(held.values())
        several += bool(answer.also_matched or answer.merged)
        where = [(person, book.get(at).id) for person, at in [*where, (row["who"], id)]]
    found = evaluate(chosen, given_, truth="who")

    assert [KeyScore(k, decided[k], right[k]) for k in ("email", "phone")] == [
        *found.keys
    ]
    assert several == found.hit_several
    placed = zip(found.persons, found.places, strict=True)
    assert where == [each for each in placed if not isinstance(each[1], RefusedRecord)]


@given(st.lists(st.tuples(persons, few, few), max_size=9))
def test_what_differs_is_what_naive_comparing_finds(
    drawn: list[tuple[str, str, str]],
) -> None:
    """Comparing sets of records, one by one, the same records differ."""
    who = [person for person, _mine, _theirs in drawn]
    mine = [place for _person, place, _theirs in drawn]
    theirs = [place for _person, _mine, place in drawn]

    def others(places: list[str], row: int) -> set[int]:
        return {n for n, at in enumerate(places) if at == places[row] and n != row}

    def links(found: set[int], row: int) -> tuple[int, int]:
        right = sum(who[n] == who[row] for n in found)
        return right, len(found) - right

    expected: Mapping[int, RecordDifference] = {
        row: RecordDifference(row, who[row], links(here, row), links(there, row))
        for row in range(len(who))
        if (here := others(mine, row)) != (there := others(theirs, row))
    }
    found = compare(report(who, mine), report(who, theirs))

    assert list(expected.values())[:EXAMPLES] == list(found.examples)
    verdicts = Counter(each.verdict for each in expected.values())
    assert (verdicts["better"], verdicts["worse"], verdicts["mixed"]) == (
        *(found.better, found.worse, found.mixed),
    )
