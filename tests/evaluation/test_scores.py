"""Tests of the scores: by hand, by their definitions, and by what must not matter."""

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
HAND: Pairs = [
    *(("a", 1), ("a", 1), ("b", 1), ("a", 2)),
    *(("b", 2), ("a", 1), ("b", 3), ("c", 4)),
]


class TestScore:
    """``score``."""

    def test_a_case_by_hand(self) -> None:
        """Each figure is the one that the comment above comes to."""
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

        assert expected == score(iter(HAND))

    def test_nothing(self) -> None:
        """No record is put wrongly, and none is missed."""
        whole = Measure(1.0, 1.0, 1.0)

        assert Scores(0, 0, 0, 0, 0, 0, whole, whole, 0, 0, (), ()) == score([])

    def test_everybody_alone(self) -> None:
        """What is put together nowhere is nowhere put together wrongly."""
        found = score([("a", 1), ("a", 2), ("b", 3)])

        assert Measure(1.0, 0.0, 0.0) == found.pairwise
        assert Measure(1.0, 2 / 3, 0.8) == found.b_cubed

    def test_nobody_belongs_together(self) -> None:
        """Where each record has a person of its own, none is missed."""
        found = score([("a", 1), ("b", 1), ("c", 3)])

        assert Measure(0.0, 1.0, 0.0) == found.pairwise
        assert (0, 1) == (found.split, found.joined)

    def test_all_as_it_should_be(self) -> None:
        """Every figure is 1.0, and there is nothing to show."""
        found = score([("a", 2), ("b", 1), ("a", 2)])

        assert Measure(1.0, 1.0, 1.0) == found.pairwise == found.b_cubed
        assert ((), ()) == (found.splits, found.joins)

    def test_counts_stay_whole(self) -> None:
        """A group of a million records has 499 999 500 000 pairs, to the last one."""
        found = score(("a", "c") for _ in range(10**6))

        assert 10**6 * (10**6 - 1) // 2 == found.right_pairs == found.true_pairs

    def test_examples_are_few(self) -> None:
        """Of many mixtures the first are shown, and of many parts the first."""
        persons = range(EXAMPLES + 2)
        found = score([(p, (p, n)) for n in range(EXAMPLES + 3) for p in persons])
        first = found.splits[0]

        assert EXAMPLES + 2 == found.split
        assert list(range(EXAMPLES)) == [each.of for each in found.splits]
        assert [((0, n), 1) for n in range(EXAMPLES)] == list(first.parts)
        assert (EXAMPLES + 3, EXAMPLES + 3) == (first.records, first.among)
        assert str(first).endswith("(0, 4) (1) and 3 more")

    def test_it_reads(self) -> None:
        """Its text has the figures, and whom they are about."""
        assert str(score(HAND)).splitlines() == [
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

    def test_it_goes_as_json(self) -> None:
        """Every field is there, under its name, and ids are text."""
        told = score(HAND).to_dict()

        assert [each.name for each in attrs.fields(Scores)] == [*told]
        assert told == json.loads(json.dumps(told))
        assert {"precision": 3 / 7, "recall": 1 / 3, "f1": 0.375} == told["pairwise"]
        assert {
            "of": "1",
            "records": 4,
            "among": 2,
            "parts": [["a", 3], ["b", 1]],
        } == told["joins"][0]


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
def test_a_measure_of_counts(counts: tuple[int, int, int], expected: Measure) -> None:
    """Whatever is not asked of anything is 1.0; the harmonic mean is of the two."""
    assert expected == measure_of(*counts)
    assert str(expected).startswith(f"{expected.precision:.4f} {expected.recall:.4f} ")


ids = st.integers(0, 4)
labelled = st.lists(st.tuples(ids, ids), max_size=14)


@given(labelled)
def test_pairs_are_those_that_a_list_of_them_has(pairs: Pairs) -> None:
    """Counted by groups or listed one by one, there are as many pairs."""
    both = list(combinations(pairs, 2))
    found = score(pairs)

    assert sum(a[0] == b[0] for a, b in both) == found.true_pairs
    assert sum(a[1] == b[1] for a, b in both) == found.assigned_pairs
    assert sum(a == b for a, b in both) == found.right_pairs
    expected = measure_of(found.true_pairs, found.assigned_pairs, found.right_pairs)
    assert expected == found.pairwise


def mean(pairs: Pairs, side: int) -> Fraction:
    """Take B-cubed by its definition: over records, the share of a group that is so."""
    shares = []
    for one in pairs:
        group = [other for other in pairs if other[side] == one[side]]
        shares.append(Fraction(sum(other == one for other in group), len(group)))
    return sum(shares, Fraction(0)) / len(pairs)


@given(labelled.filter(bool))
def test_b_cubed_is_what_it_is_defined_to_be(pairs: Pairs) -> None:
    """Its precision and recall are means over the records, one by one."""
    precision, recall = mean(pairs, 1), mean(pairs, 0)
    f1 = 2 * precision * recall / (precision + recall)
    found = score(pairs).b_cubed

    assert pytest.approx(float(precision), rel=1e-12) == found.precision
    assert pytest.approx(float(recall), rel=1e-12) == found.recall
    assert pytest.approx(float(f1), rel=1e-12) == found.f1


@given(labelled, st.randoms(use_true_random=False))
def test_order_and_names_do_not_matter(pairs: Pairs, random: object) -> None:
    """To the last bit, the figures are those of the partition alone."""
    names = [f"x{n}" for n in range(5)]
    random.shuffle(names)  # type: ignore[attr-defined]
    other: Pairs = [(names[p], -c) for p, c in pairs]  # type: ignore[call-overload, operator]
    random.shuffle(other)  # type: ignore[attr-defined]
    mine, theirs = score(pairs).to_dict(), score(other).to_dict()

    for shown in ("splits", "joins"):
        del mine[shown], theirs[shown]
    assert mine == theirs


@given(labelled)
def test_what_is_split_is_joined_the_other_way_round(pairs: Pairs) -> None:
    """With the sides changed, precision is recall, and a split person a join."""
    one = score(pairs)
    other = score([(contact, person) for person, contact in pairs])

    assert (one.split, one.splits) == (other.joined, other.joins)
    assert one.pairwise.precision == other.pairwise.recall
    assert one.b_cubed.precision == other.b_cubed.recall
