"""
Batches: several patches, one after the other, and what a refusal among them does.

Rules:
    A batch is the left fold of its calls, and its results are in the order sent.
    Whatever ends a batch carries the row that it is about, and what was done before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from upsertcore.arguments import OnDuplicates, OnRefused
from upsertcore.errors import DuplicatePatch, Refused
from upsertcore.patch import Asked, read
from upsertcore.plan import decide_request
from upsertcore.refusals import at, placed
from upsertcore.repeats import first_later, repeated

if TYPE_CHECKING:
    from upsertcore.outcome import Outcome
    from upsertcore.policy import Policy
    from upsertcore.view import View
    from upsertcore.writer import Step

__all__ = ["all_of", "in_turn"]

T = TypeVar("T")


def in_turn(
    call: Callable[[int, T], Outcome],
    patches: Iterable[T],
    on_refused: OnRefused,
    noun: str = "row",
) -> list[Any]:
    """
    Make calls one after the other.

    Args:
        call: Takes the row and the patch.
        patches: Read one at a time, as they are needed.
        on_refused: ``"raise"`` ends at the first refusal, ``"collect"`` puts it in
            the list and continues.
        noun: What the batch consists of.

    Returns:
        One outcome, or refusal, per patch.

    Raises:
        Refused: The first refusal, under ``"raise"``.

    >>> in_turn(lambda row, patch: (row, patch), ["a"], "raise")
    [(0, 'a')]
    """
    done: list[Any] = []
    try:
        for patch in patches:
            try:
                done.append(call(len(done), patch))
            except Refused as refusal:
                if on_refused == "raise":
                    raise
                done.append(placed(refusal, len(done), (), noun))
    except Exception as error:
        placed(error, len(done), done, noun)
        raise
    return done


def all_of(
    policy: Policy,
    patches: Iterable[Mapping[str, Any]],
    scope: str,
    on_duplicates: OnDuplicates = "fold",
) -> Callable[[Step], list[Outcome]]:
    """
    Read the patches of an atomic batch, and return what decides on them in turn.

    Args:
        policy: The table.
        patches: All of the batch.
        scope: The tenant.
        on_duplicates: As ``upsert_many``.

    Raises:
        Refused: If a patch cannot be read.

    >>> from upsertcore import Policy, never
    >>> all_of(Policy(never(), {}), [], "")(None)
    []
    """
    listed = list(patches)
    every = []
    for row, patch in enumerate(listed):
        with at(row):
            every.append(read(policy, patch))
    due: Mapping[int, DuplicatePatch] = {}
    if on_duplicates != "fold":
        find = repeated if on_duplicates == "refuse_all" else first_later
        due = find(policy, listed)

    def ask(patched: Any, view: View) -> Asked:
        return Asked(policy.by_name, patched, view, scope, policy.match)

    def run(step: Step) -> list[Outcome]:
        done = []
        for row, patched in enumerate(every):
            with at(row):
                if row in due:
                    raise due[row]
                done.append(
                    step(partial(ask, patched), partial(decide_request, policy))
                )
        return done

    return run
