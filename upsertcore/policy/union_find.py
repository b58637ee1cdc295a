"""
Groups of numbers that are connected, directly or through others.

Rules:
    Groups are transitive: a with b and b with c is one group of three.
    The cost is near-linear (union by size, with path halving).
    The result is ordered by number and does not depend on the order of the input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["groups"]


def groups(connected: Iterable[Sequence[int]]) -> list[list[int]]:
    """
    Group connected numbers.

    Args:
        connected: Sequences of numbers; the numbers of one sequence are connected.

    Returns:
        Groups of two or more, each sorted, ordered by their first number.

    Cost:
        Near-linear in the numbers given.

    Source:
        R. E. Tarjan, "Efficiency of a good but not linear set union algorithm", 1975.

    >>> groups([[3, 1], [4, 5], [1, 2], [7]])
    [[1, 2, 3], [4, 5]]
    """
    parent: dict[int, int] = {}
    size: dict[int, int] = {}
    for numbers in connected:
        first = _root(parent, numbers[0])
        for number in numbers[1:]:
            other = _root(parent, number)
            if first == other:
                continue
            if size.get(first, 1) < size.get(other, 1):
                first, other = other, first
            parent[other] = first
            size[first] = size.get(first, 1) + size.pop(other, 1)
    members: dict[int, list[int]] = {}
    for number in sorted(parent):
        members.setdefault(_root(parent, number), []).append(number)
    return [group for group in members.values() if len(group) > 1]


def _root(parent: dict[int, int], number: int) -> int:
    above = parent.setdefault(number, number)
    while above != number:
        parent[number] = number = parent[above]
        above = parent[number]
    return number
