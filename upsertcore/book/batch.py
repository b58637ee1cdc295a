"""
Batches: several patches, one after the other, and what a refusal among them does.

Rules:
    A batch is the left fold of its calls, and its results are in the order sent.
    Whatever ends a batch carries the row that it is about, and what was done before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from upsertcore.book.arguments import OnDuplicates, OnRefused
from upsertcore.engine.decide import decide_request
from upsertcore.engine.patch import Request, read_patch
from upsertcore.errors import DuplicatePatch, Refused, at, placed
from upsertcore.policy.groups import groups
from upsertcore.policy.policy import compiled

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.model.view import View
    from upsertcore.policy.policy import Policy
    from upsertcore.store.transaction import WriteStep

__all__ = [
    "all_of",
    "first_later",
    "in_turn",
    "later_refused",
    "refusing",
    "repeated",
]

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
) -> Callable[[WriteStep], list[Outcome]]:
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
            every.append(read_patch(policy, patch))
    due: Mapping[int, Refused] = {}
    if on_duplicates != "fold":
        find = repeated if on_duplicates == "refuse_all" else first_later
        due = find(policy, listed)

    def ask(patched: Any, view: View) -> Request:
        return Request(compiled(policy).by_name, patched, view, scope, policy.match)

    def run(step: WriteStep) -> list[Outcome]:
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


def repeated(
    policy: Policy, patches: Sequence[Mapping[str, Any]]
) -> dict[int, Refused]:
    """
    Find the patches that ``on_duplicates="refuse_all"`` refuses.

    Args:
        policy: Its strategy defines which keys count.
        patches: All of the batch.

    Returns:
        Row to refusal, for each patch that shares a key with another one of the
        batch, whatever would come of that one. ``others`` are the rows that it shares
        a key with, directly or through further rows. So too for each patch that a
        function of the caller refuses to be read.

    Cost:
        Near-linear in the keys that the patches carry, in time and in memory; each
        patch is read once more.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> patches = [{"email": "a@x"}, {"email": "b@x"}, {"email": "A@x"}]
    >>> print(repeated(policy, patches)[0])
    row 0: shares a key with row 2; send one patch for each contact
    """
    rows: dict[tuple[str, str], list[int]] = {}
    refusals: dict[int, Refused] = {}
    for row, patch in enumerate(patches):
        with at(row):
            try:
                carried = _carried(policy, patch)
            except Refused as refusal:
                refusals[row] = refusal
                continue
            for form in carried:
                rows.setdefault(form, []).append(row)
    # All rows of a group share one tuple, so memory is linear.
    every = [tuple(group) for group in groups(rows.values())]
    shared = {row: DuplicatePatch(row, group) for group in every for row in group}
    return {**shared, **refusals}


def later_refused(
    policy: Policy, call: Callable[[Mapping[str, Any]], T]
) -> Callable[[int, Mapping[str, Any]], T]:
    """
    Make the calls of a batch under ``on_duplicates="refuse_later"``.

    Args:
        policy: Its strategy defines which keys count.
        call: Takes one patch.

    Returns:
        A function of row and patch, for :func:`in_turn`. It raises ``DuplicatePatch``
        for a patch that shares a key with an earlier one that was accepted. A patch
        that was refused, for this reason or another, does not count.

    Cost:
        Linear in the keys that the patches carry; each patch is read once more.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> lines = {name: field(key=normalize.exact) for name in ("email", "phone")}
    >>> call = later_refused(Policy(first_match(*lines), lines), dict)
    >>> call(0, {"email": "a@x"}), call(1, {"phone": 1})
    ({'email': 'a@x'}, {'phone': 1})
    >>> call(2, {"email": "a@x", "phone": 1})
    Traceback (most recent call last):
    ...
    upsertcore.errors.DuplicatePatch: row 2: shares a key with rows 0, 1; send one ...
    """
    accepted: dict[tuple[str, str], int] = {}

    def upsert(row: int, patch: Mapping[str, Any]) -> T:
        carried = _carried(policy, patch)
        others = {accepted[form] for form in carried if form in accepted}
        if others:
            raise DuplicatePatch(row, tuple(sorted(others)))
        outcome = call(patch)
        accepted.update(dict.fromkeys(carried, row))
        return outcome

    return upsert


def refusing(
    policy: Policy,
    call: Callable[[Mapping[str, Any]], T],
    patches: Iterable[Mapping[str, Any]],
    on_duplicates: OnDuplicates,
) -> tuple[Callable[[int, Mapping[str, Any]], T], Iterable[Mapping[str, Any]]]:
    """
    Make the calls of a batch in which duplicates are refused.

    Args:
        policy: Its strategy defines which keys count.
        call: Takes one patch.
        patches: Read at once under ``"refuse_all"``.
        on_duplicates: As ``upsert_many``.

    Returns:
        What :func:`in_turn` takes: a function of row and patch, and the patches.

    >>> from upsertcore import Policy, never
    >>> refusing(Policy(never(), {}), dict, [{}], "refuse_all")[0](0, {})
    {}
    """
    if on_duplicates == "fold":
        return lambda _row, patch: call(patch), patches
    if on_duplicates == "refuse_later":
        return later_refused(policy, call), patches
    listed = list(patches)
    refusals = repeated(policy, listed)

    def upsert(row: int, patch: Mapping[str, Any]) -> T:
        if row in refusals:
            raise refusals[row]
        return call(patch)

    return upsert, listed


def first_later(
    policy: Policy, patches: Sequence[Mapping[str, Any]]
) -> dict[int, Refused]:
    """
    Find the patch at which ``on_duplicates="refuse_later"`` ends an atomic batch.

    Args:
        policy: Its strategy defines which keys count.
        patches: All of the batch.

    Returns:
        Row to refusal, of the first patch that shares a key with an earlier one;
        empty where none does.

    >>> from upsertcore import Policy, never
    >>> first_later(Policy(never(), {}), [{}, {}])
    {}
    """
    check = later_refused(policy, lambda _patch: None)
    for row, patch in enumerate(patches):
        try:
            check(row, patch)
        except Refused as refusal:
            return {row: refusal}
    return {}


def _carried(policy: Policy, patch: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return key name and form of each key of the strategy that a patch carries."""
    try:
        sent, _ignored = read_patch(policy, patch)
        keys = [compiled(policy).by_name[name] for name in policy.match.keys]
        return [(key.name, form) for key in keys for form in key.forms(sent)]
    except Refused as refusal:
        if refusal.is_of_caller:
            raise
        return []
