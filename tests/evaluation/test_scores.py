"""Scores: a case by hand, their definitions, and symmetries."""

from __future__ import annotations

import json
from collections.abc import Hashable
from fractions import Fraction
from itertools import combinations
from typing import TypeAlias

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsertcore.evaluation.scores import (
    EXAMPLES,
    Measure,
    Mixture,
    Scores,
    measure_of,
    score,
)

Pairs: TypeAlias = list[tuple[Hashable, Hashable]]

# Persons a (4 records), b (3), c (1); contacts 1 to 4.
#
#   contact 1: a a a b        contact 3: b
#   contact 2: a b            contact 4: c
#
# Pairs of one person: 4*3/2 + 3*2/2 + 0 = 9. Pairs in one contact: 6 + 1 + 0 + 0 = 7.
# Pairs of which both holds: a in 1, 3 of them: 3; all other cells have one: 0.
# Pairwise: precision 3/7, recall 3/9, F1 = 2*3 / (9 + 7) = 6/16.
#
# B-cubed precision, record by record: a in 1: 3/4 three times; b in 1: 1/4; a in 2 and
# b in 2: 1/2 each; b in 3: 1; c: 1. Sum 9/4 + 1/4 + 1 + 2 = 11/2, of 8: 11/16.
# B-cubed recall: a in 1: 3/4 three times; a in 2: 1/4; b: 1/3 three times; c: 1.
# Sum 9/4 + 1/4 + 1 + 1 = 9/2, of 8: 9/16. F1 = 2 * 11/16 * 9/16 / (20/16) = 99/160.
CASE_BY_HAND: Pairs = [
    *(("a", 1), ("a", 1), ("b", 1), ("a", 2)),
    *(("b", 2), ("a", 1), ("b", 3), ("c", 4)),
]


class TestScore:
    def test_scores_have_the_figures_of_the_case_by_hand(self) -> None:
        """The comment above derives each figure."""
        expected = Scores(
            8,
            3,
            4,
            9,
            7,
            3,
            Measure(3 / 7, 3 / 9, 6 / 16),
            Measure(11 / 16, 9 / 16, 99 / 160),
            2,
            2,
            (
                Mixture("a", 4, 2, ((1, 3), (2, 1))),
                Mixture("b", 3, 3, ((1, 1), (2, 1), (3, 1))),
            ),
            (
                Mixture(1, 4, 2, (("a", 3), ("b", 1))),
                Mixture(2, 2, 2, (("a", 1), ("b", 1))),
            ),
        )

        assert expected == score(iter(CASE_BY_HAND))

    def test_scores_of_no_records_are_perfect(self) -> None:
        perfect = Measure(1.0, 1.0, 1.0)

        assert Scores(0, 0, 0, 0, 0, 0, perfect, perfect, 0, 0, (), ()) == score([])

    def test_records_that_are_all_alone_have_perfect_precision(self) -> None:
        scores = score([("a", 1), ("a", 2), ("b", 3)])

        assert Measure(1.0, 0.0, 0.0) == scores.pairwise
        assert Measure(1.0, 2 / 3, 0.8) == scores.b_cubed

    def test_persons_of_one_record_have_perfect_recall(self) -> None:
        scores = score([("a", 1), ("b", 1), ("c", 3)])

        assert Measure(0.0, 1.0, 0.0) == scores.pairwise
        assert (0, 1) == (scores.split, scores.joined)

    def test_right_places_have_perfect_scores(self) -> None:
        """There are no splits and no joins."""
        scores = score([("a", 2), ("b", 1), ("a", 2)])

        assert Measure(1.0, 1.0, 1.0) == scores.pairwise == scores.b_cubed
        assert ((), ()) == (scores.splits, scores.joins)

    def test_pairs_of_a_million_records_are_counted_exactly(self) -> None:
        scores = score(("a", "c") for _ in range(10**6))

        assert 10**6 * (10**6 - 1) // 2 == scores.right_pairs == scores.true_pairs

    def test_mixtures_and_their_parts_are_counted_and_the_first_shown(self) -> None:
        persons = range(EXAMPLES + 2)
        scores = score([(p, (p, n)) for n in range(EXAMPLES + 3) for p in persons])
        first = scores.splits[0]

        assert EXAMPLES + 2 == scores.split
        assert list(range(EXAMPLES)) == [split.of for split in scores.splits]
        assert [((0, n), 1) for n in range(EXAMPLES)] == list(first.parts)
        assert (EXAMPLES + 3, EXAMPLES + 3) == (first.records, first.among)
        assert str(first).endswith("(0, 4) (1) and 3 more")

    def test_text_has_every_figure_and_its_persons(self) -> None:
        assert str(score(CASE_BY_HAND)).splitlines() == [
            "8 records of 3 persons in 4 contacts",
            "            precision     recall         F1",
            "pairwise       0.4286     0.3333     0.3750",
            "B-cubed        0.6875     0.5625     0.6188",
            "persons split over several contacts: 2",
            "  a: 1 (3), 2 (1)",
            "  b: 1 (1), 2 (1), 3 (1)",
            "contacts joined of several persons: 2",
            "  1: a (3), b (1)",
            "  2: a (1), b (1)",
        ]

    def test_dictionary_has_every_field_with_ids_as_text(self) -> None:
        """It survives JSON."""
        data = score(CASE_BY_HAND).to_dict()

        assert [attribute.name for attribute in attrs.fields(Scores)] == [*data]
        assert data == json.loads(json.dumps(data))
        assert {"precision": 3 / 7, "recall": 1 / 3, "f1": 0.375} == data["pairwise"]
        assert {
            "of": "1",
            "records": 4,
            "among": 2,
            "parts": [["a", 3], ["b", 1]],
        } == data["joins"][0]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((0, 0, 0), Measure(1.0, 1.0, 1.0)),
        ((4, 0, 0), Measure(1.0, 0.0, 0.0)),
        ((0, 4, 0), Measure(0.0, 1.0, 0.0)),
        ((4, 4, 0), Measure(0.0, 0.0, 0.0)),
        ((4, 2, 1), Measure(0.5, 0.25, 1 / 3)),
    ],
    ids=["nothing", "missed", "wrong", "both", "some"],
)
def test_measure_of_counts(counts: tuple[int, int, int], expected: Measure) -> None:
    """A ratio of nothing is 1.0; F1 is the harmonic mean of the two."""
    assert expected == measure_of(*counts)
    assert str(expected).startswith(f"{expected.precision:.4f} {expected.recall:.4f} ")


ids = st.integers(0, 4)
labelled = st.lists(st.tuples(ids, ids), max_size=14)


@given(labelled)
def test_pair_counts_equal_those_of_listed_pairs(pairs: Pairs) -> None:
    pairs_of_records = list(combinations(pairs, 2))
    scores = score(pairs)

    assert sum(a[0] == b[0] for a, b in pairs_of_records) == scores.true_pairs
    assert sum(a[1] == b[1] for a, b in pairs_of_records) == scores.assigned_pairs
    assert sum(a == b for a, b in pairs_of_records) == scores.right_pairs
    expected = measure_of(scores.true_pairs, scores.assigned_pairs, scores.right_pairs)
    assert expected == scores.pairwise


def mean_share(pairs: Pairs, side: int) -> Fraction:
    """Compute B-cubed by its definition: the mean share of a record's group."""
    shares = []
    for record in pairs:
        group = [other for other in pairs if other[side] == record[side]]
        shares.append(Fraction(sum(other == record for other in group), len(group)))
    return sum(shares, Fraction(0)) / len(pairs)


@given(labelled.filter(bool))
def test_b_cubed_equals_its_definition(pairs: Pairs) -> None:
    """Precision and recall are means over the records."""
    precision, recall = mean_share(pairs, 1), mean_share(pairs, 0)
    f1 = 2 * precision * recall / (precision + recall)
    b_cubed = score(pairs).b_cubed

    assert pytest.approx(float(precision), rel=1e-12) == b_cubed.precision
    assert pytest.approx(float(recall), rel=1e-12) == b_cubed.recall
    assert pytest.approx(float(f1), rel=1e-12) == b_cubed.f1


@given(labelled, st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_order_and_names(pairs: Pairs, random: object) -> None:
    """Every figure is equal to the last bit."""
    names = [f"x{n}" for n in range(5)]
    random.shuffle(names)  # type: ignore[attr-defined]
    other: Pairs = [(names[p], -c) for p, c in pairs]  # type: ignore[call-overload, operator]
    random.shuffle(other)  # type: ignore[attr-defined]
    mine, theirs = score(pairs).to_dict(), score(other).to_dict()

    for name in ("splits", "joins"):
        del mine[name], theirs[name]
    assert mine == theirs


@given(labelled)
def test_changed_sides_exchange_precision_and_recall(pairs: Pairs) -> None:
    """A split person becomes a join."""
    one = score(pairs)
    other = score([(contact, person) for person, contact in pairs])

    assert (one.split, one.splits) == (other.joined, other.joins)
    assert one.pairwise.precision == other.pairwise.recall
    assert one.b_cubed.precision == other.b_cubed.recall
