"""Grouping is transitive, sorted and independent of the order of its input."""

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
def test_groups_join_all_that_share_a_member(
    shared: list[list[int]], expected: list[list[int]]
) -> None:
    """Directly or through others; a number alone has no group."""
    assert groups(shared) == expected


def test_groups_do_not_depend_on_order() -> None:
    """Groups and their members stand by their numbers."""
    shared = [[4, 9], [9, 2], [1, 7], [3, 8, 2]]
    for order in permutations(shared):
        assert groups(order) == [[1, 7], [2, 3, 4, 8, 9]]
        assert groups([members[::-1] for members in order]) == [[1, 7], [2, 3, 4, 8, 9]]


def test_groups_equal_those_of_naive_joining() -> None:
    """The naive way joins sets as long as two have a common member."""
    random = Random(7)
    for _ in range(100):
        shared = [
            random.sample(range(30), random.randint(1, 3))
            for _ in range(random.randint(0, 20))
        ]
        naive = [{*members} for members in shared]
        for number in range(30):
            holding = [members for members in naive if number in members]
            if holding:
                others = [members for members in naive if number not in members]
                naive = [*others, set().union(*holding)]
        expected = sorted(sorted(members) for members in naive if len(members) > 1)

        assert groups(shared) == expected


def test_long_chain_is_one_group() -> None:
    """No recursion limits its length."""
    chain = [[n + 1, n] for n in range(20_000)]

    assert groups(chain) == [[*range(20_001)]]
    assert groups(reversed(chain)) == [[*range(20_001)]]
