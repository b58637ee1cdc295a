"""
Grouping: numbers that share something, directly or through others.

Rules:
    Groups are transitive: a with b and b with c is one group of three.
    Work is near-linear in what is given (union by size, paths halved on the way).
    Results are in the order of the numbers, whatever the order of what they share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["groups"]


def groups(shared: Iterable[Sequence[int]]) -> list[list[int]]:
    """
    Group numbers that share something.

    Args:
        shared: Numbers that share one thing, for each thing.

    Returns:
        Groups of two or more, each sorted, by their first number.

    Cost:
        Near-linear in the numbers given.

    Source:
        R. E. Tarjan, "Efficiency of a good but not linear set union algorithm", 1975.

    >>> groups([[3, 1], [4, 5], [1, 2], [7]])
    [[1, 2, 3], [4, 5]]
    """
    parent: dict[int, int] = {}
    size: dict[int, int] = {}
    for together in shared:
        first = _root(parent, together[0])
        for number in together[1:]:
            other = _root(parent, number)
            if first == other:
                continue
            if size.get(first, 1) < size.get(other, 1):
                first, other = other, first
            parent[other] = first
            size[first] = size.get(first, 1) + size.pop(other, 1)
    found: dict[int, list[int]] = {}
    for number in sorted(parent):
        found.setdefault(_root(parent, number), []).append(number)
    return [group for group in found.values() if len(group) > 1]


def _root(parent: dict[int, int], number: int) -> int:
    above = parent.setdefault(number, number)
    while above != number:
        parent[number] = number = parent[above]
        above = parent[number]
    return number
