"""
Batches: several patches, one after the other, and what a refusal among them does.

Rules:
    A batch is the left fold of its calls, and its results are in the order sent.
    Whatever ends a batch carries the row that it is about, and what was done before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from upsertcore.errors import Refused, RepeatedPatch
from upsertcore.patch import Asked, read
from upsertcore.plan import decide
from upsertcore.refusals import at, placed
from upsertcore.repeats import Repeats, first_later, repeated
from upsertcore.showing import shown

if TYPE_CHECKING:
    from upsertcore.outcome import Outcome
    from upsertcore.policy import Policy
    from upsertcore.view import View
    from upsertcore.writer import Step

__all__ = [
    "OnRefused",
    "all_of",
    "answering",
    "check_batch",
    "check_choice",
    "check_patches",
    "in_turn",
]

OnRefused = Literal["raise", "collect"]

T = TypeVar("T")


def check_choice(name: str, value: object, choices: Any) -> None:
    """
    Check that an argument is one of the values that it may have.

    Args:
        name: Of the argument.
        value: What the caller gave.
        choices: A ``Literal`` type.

    Raises:
        ValueError: If it is none of them.

    >>> check_choice("on_refused", "skip", OnRefused)
    Traceback (most recent call last):
    ...
    ValueError: on_refused: must be 'raise' or 'collect', not 'skip'
    """
    known = get_args(choices)
    if value not in known:
        *first, last = map(repr, known)
        raise ValueError(
            f"{name}: must be {', '.join(first)} or {last}, not {shown(value)}"
        )


def check_patches(patches: Any) -> None:
    """
    Check that the patches of a batch are several.

    Raises:
        TypeError: If they are one mapping, text, or nothing that can be iterated.

    >>> check_patches({"email": "ada@x.org"})
    Traceback (most recent call last):
    ...
    TypeError: patches: must be an iterable of patches, not dict; put one into a list
    """
    if isinstance(patches, (Mapping, str, bytes)):
        advice = "put one into a list"
    elif not isinstance(patches, Iterable):
        advice = "pass a list of mappings"
    else:
        return
    kind = type(patches).__name__
    raise TypeError(f"patches: must be an iterable of patches, not {kind}; {advice}")


def check_batch(
    patches: Any, on_refused: object, repeats: object, *, atomic: bool
) -> None:
    """
    Check the arguments of a batch.

    Args:
        patches: As ``upsert_many``, and so are the others.
        on_refused: The same.
        repeats: The same.
        atomic: The same.

    Raises:
        TypeError: As :func:`check_patches`.
        ValueError: If a choice is none, or an atomic batch is to collect refusals.

    >>> check_batch([], "raise", "fold", atomic=True)
    """
    check_patches(patches)
    check_choice("on_refused", on_refused, OnRefused)
    check_choice("repeats", repeats, Repeats)
    if atomic and on_refused != "raise":
        raise ValueError(
            "on_refused: must be 'raise' for an atomic batch, not 'collect'; "
            "one refusal undoes the whole batch"
        )


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


def answering(
    call: Callable[..., Outcome], on_refused: OnRefused
) -> Callable[..., Any]:
    """
    Make what returns a refusal instead of raising it, where that is wanted.

    Args:
        call: Makes one call.
        on_refused: As in :func:`in_turn`.

    >>> answering(len, "raise")("ab")
    2
    """
    if on_refused == "raise":
        return call

    def collected(*parts: Any) -> Outcome | Refused:
        try:
            return call(*parts)
        except Refused as refusal:
            return refusal

    return collected


def all_of(
    policy: Policy,
    patches: Iterable[Mapping[str, Any]],
    scope: str,
    repeats: Repeats = "fold",
) -> Callable[[Step], list[Outcome]]:
    """
    Read the patches of an atomic batch, and return what decides on them in turn.

    Args:
        policy: The table.
        patches: All of the batch.
        scope: The tenant.
        repeats: As ``upsert_many``.

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
    due: Mapping[int, RepeatedPatch] = {}
    if repeats != "fold":
        find = repeated if repeats == "refuse_all" else first_later
        due = find(policy, listed)

    def ask(patched: Any, view: View) -> Asked:
        return Asked(policy.by_name, patched, view, scope, policy.match)

    def run(step: Step) -> list[Outcome]:
        done = []
        for row, patched in enumerate(every):
            with at(row):
                if row in due:
                    raise due[row]
                done.append(step(partial(ask, patched), partial(decide, policy)))
        return done

    return run
