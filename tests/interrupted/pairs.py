"""The free list of pairs, which keeps CPython alive without memory."""

from __future__ import annotations


def fill_free_pairs() -> None:
    """
    Leave memory for pairs.

    CPython crashes if it cannot allocate the pair of a new iterator over ``items()``:
    ``dictiter_new`` then deallocates an object that the collector does not track yet.
    Pairs that were freed are used again, without an allocation.
    """
    pairs = [(number, number) for number in range(1_000)]
    del pairs
