"""
Batches: several patches, one after the other, and what a refusal among them does.

Rules:
    A batch is the left fold of its calls, and its answers stand in the order sent.
    Two patches repeat each other where they carry a key alike, or a third does both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from upsertcore.errors import Refused, RepeatedPatch
from upsertcore.grouping import groups
from upsertcore.patch import Asked, read
from upsertcore.plan import decide

if TYPE_CHECKING:
    from upsertcore.outcome import Outcome
    from upsertcore.policy import Policy
    from upsertcore.view import View
    from upsertcore.writer import Step

__all__ = ["OnRefused", "Repeats", "all_but", "all_of", "answering", "each", "repeated"]

OnRefused = Literal["raise", "collect"]
Repeats = Literal["fold", "refuse_later", "refuse_all"]


def each(calls: Iterable[Callable[[], Outcome]], on_refused: OnRefused) -> list[Any]:
    """
    Make calls one after the other.

    Args:
        calls: Read as they are needed.
        on_refused: ``"raise"`` ends at the first refusal, ``"collect"`` puts it in
            the list and goes on.

    Returns:
        One outcome, or refusal, per call.

    Raises:
        Refused: The first refusal, under ``"raise"``.
        ValueError: If *on_refused* is neither.

    >>> each([], "raise")
    []
    """
    answer = answering(_called, on_refused)
    return [answer(call) for call in calls]


def _called(call: Callable[[], Outcome]) -> Outcome:
    return call()


def answering(
    call: Callable[..., Outcome], on_refused: OnRefused
) -> Callable[..., Any]:
    """
    Make what answers as a batch is to answer.

    Args:
        call: Makes one call.
        on_refused: As in :func:`each`.

    Returns:
        The call itself, or one that gives its refusal.

    Raises:
        ValueError: If *on_refused* is neither.

    >>> answering(len, "raise")("ab")
    2
    """
    if on_refused == "raise":
        return call
    if on_refused != "collect":
        raise ValueError(f"on_refused: raise or collect, not {on_refused!r}")

    def collected(*parts: Any) -> Outcome | Refused:
        try:
            return call(*parts)
        except Refused as refusal:
            return refusal

    return collected


def repeated(
    policy: Policy, patches: Sequence[Mapping[str, Any]], repeats: Repeats
) -> dict[int, RepeatedPatch]:
    """
    Find the patches that are to be refused for they repeat another.

    Args:
        policy: Its strategy says which keys count.
        patches: All of the batch.
        repeats: ``"fold"`` refuses none, ``"refuse_later"`` all but the first of
            those that are alike, ``"refuse_all"`` every one of them.

    Returns:
        Row to refusal. A patch that is refused for itself repeats nobody.

    Raises:
        ValueError: If *repeats* is none of them.

    Cost:
        Near-linear in the keys that the patches carry; each is read once more.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> patches = [{"email": "a@x"}, {"email": "b@x"}, {"email": "A@x"}]
    >>> repeated(policy, patches, "refuse_all")[0].others
    (2,)
    """
    if repeats == "fold":
        return {}
    if repeats not in ("refuse_later", "refuse_all"):
        choices = "fold, refuse_later or refuse_all"
        raise ValueError(f"repeats: {choices}, not {repeats!r}")
    rows: dict[tuple[str, str], list[int]] = {}
    for row, patch in enumerate(patches):
        for place in _carried(policy, patch):
            rows.setdefault(place, []).append(row)
    found = {}
    for group in groups(rows.values()):
        for row in group[1:] if repeats == "refuse_later" else group:
            others = tuple(other for other in group if other != row)
            found[row] = RepeatedPatch(row, others)
    return found


def all_but(
    refusals: Mapping[int, Refused],
    call: Callable[[Mapping[str, Any]], Outcome],
    patches: Sequence[Mapping[str, Any]],
    on_refused: OnRefused,
) -> list[Any]:
    """
    Make the calls of a batch in which some rows are refused beforehand.

    Args:
        refusals: Row to refusal.
        call: Takes the patch of any other row.
        patches: All of the batch.
        on_refused: As in :func:`each`.

    >>> all_but({}, len, [{"a": 1}], "raise")
    [1]
    """

    def one(row: int, patch: Mapping[str, Any]) -> Outcome:
        if row in refusals:
            raise refusals[row]
        return call(patch)

    answer = answering(one, on_refused)
    return [answer(row, patch) for row, patch in enumerate(patches)]


def all_of(
    policy: Policy, patches: Sequence[Mapping[str, Any]], scope: str
) -> Callable[[Step], list[Outcome]]:
    """
    Read the patches of an atomic batch, and make what decides on them in turn.

    Args:
        policy: The table.
        patches: All of the batch.
        scope: The tenant.

    Raises:
        Refused: If a patch is refused for itself.

    >>> from upsertcore import Policy, never
    >>> all_of(Policy(never(), {}), [], "")(None)
    []
    """
    every = [read(policy, patch) for patch in patches]

    def ask(patched: Any, view: View) -> Asked:
        return Asked(policy.by_name, patched, view, scope, policy.match)

    def run(step: Step) -> list[Outcome]:
        return [
            step(partial(ask, patched), partial(decide, policy)) for patched in every
        ]

    return run


def _carried(policy: Policy, patch: Mapping[str, Any]) -> list[tuple[str, str]]:
    try:
        sent, _ignored = read(policy, patch)
        keys = [policy.by_name[name] for name in policy.match.keys]
        return [(key.name, form) for key in keys for form in key.forms(sent)]
    except Refused:
        return []
