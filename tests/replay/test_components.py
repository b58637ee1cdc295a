"""Grouping: transitive, sorted, and the same in whatever order it is told."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest

from upsertcore.policy.union_find import groups


@pytest.mark.parametrize(
    ("shared", "expected"),
    [
        ([], []),
        ([[1]], []),
        ([[1, 1]], []),
        ([[1, 2]], [[1, 2]]),
        ([[2, 1], [1, 2]], [[1, 2]]),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ([[3, 4], [1, 2], [2, 3]], [[1, 2, 3, 4]]),
        ([[5, 6, 7], [1, 5]], [[1, 5, 6, 7]]),
        ([[9, 0], [4, 5], [7]], [[0, 9], [4, 5]]),
    ],
)
def test_what_belongs_together(
    shared: list[list[int]], expected: list[list[int]]
) -> None:
    """Whoever shares something, also through others; who is alone is left out."""
    assert groups(shared) == expected


def test_the_order_of_what_is_shared_does_not_matter() -> None:
    """Groups and their members stand by their numbers."""
    shared = [[4, 9], [9, 2], [1, 7], [3, 8, 2]]
    for order in permutations(shared):
        assert groups(order) == [[1, 7], [2, 3, 4, 8, 9]]
        assert groups([each[::-1] for each in order]) == [[1, 7], [2, 3, 4, 8, 9]]


def test_it_is_what_a_naive_one_finds() -> None:
    """Two sets are joined as long as two have something in common."""
    random = Random(7)
    for _ in range(100):
        shared = [
            random.sample(range(30), random.randint(1, 3))
            for _ in range(random.randint(0, 20))
        ]
        naive = [{*each} for each in shared]
        for number in range(30):
            holding = [each for each in naive if number in each]
            if holding:
                apart = [each for each in naive if number not in each]
                naive = [*apart, set().union(*holding)]
        expected = sorted(sorted(each) for each in naive if len(each) > 1)

        assert groups(shared) == expected


def test_long_chains() -> None:
    """A chain of any length is one group; nothing is called in turn for each link."""
    chain = [[n + 1, n] for n in range(20_000)]

    assert groups(chain) == [[*range(20_001)]]
    assert groups(reversed(chain)) == [[*range(20_001)]]
