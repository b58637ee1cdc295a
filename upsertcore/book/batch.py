"""
Batches: several patches, one after the other, and how a refusal ends them.

Rules:
    A batch is the left fold of its calls, and its results are in the order sent.
    An exception that ends a batch carries its row, and the outcomes before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from upsertcore.book.arguments import OnDuplicates, OnRefused
from upsertcore.engine.decide import decide_request
from upsertcore.engine.outcomes import Outcomes
from upsertcore.engine.patch import read_with_id, request_maker
from upsertcore.errors import DuplicatePatch, Refused, row_context, with_row
from upsertcore.policy.policy import consulted
from upsertcore.policy.union_find import groups

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.policy.policy import Policy
    from upsertcore.store.transaction import WriteStep

__all__ = [
    "atomic_batch",
    "find_duplicates",
    "refuse_duplicates",
    "refuse_later",
    "run_calls",
]

T = TypeVar("T")
RowCall: TypeAlias = Callable[[int, Mapping[str, Any]], T]


def run_calls(
    call: Callable[[int, T], Outcome],
    patches: Iterable[T],
    on_refused: OnRefused,
    noun: str = "row",
) -> list[Any]:
    """
    Make calls one after the other.

    Args:
        call: A function of row and patch.
        patches: Read one at a time, as they are needed.
        on_refused: ``"raise"`` ends at the first refusal, ``"collect"`` puts it in
            the list and continues.
        noun: What an item of the batch is called in notes of exceptions.

    Returns:
        One outcome, or refusal, per patch.

    Raises:
        Refused: The first refusal, under ``"raise"``.

    >>> run_calls(lambda row, patch: (row, patch), ["a"], "raise")
    [(0, 'a')]
    """
    results: list[Any] = []
    try:
        for patch in patches:
            try:
                results.append(call(len(results), patch))
            except Refused as refusal:
                if on_refused == "raise":
                    raise
                results.append(with_row(refusal, len(results), (), noun))
    except Exception as error:
        with_row(error, len(results), Outcomes(results), noun)
        raise
    return results


def atomic_batch(
    policy: Policy,
    patches: Iterable[Mapping[str, Any]],
    scope: str,
    on_duplicates: OnDuplicates = "fold",
) -> Callable[[WriteStep], list[Outcome]]:
    """
    Read the patches of an atomic batch, and return a function that decides on them.

    Args:
        policy: The policy.
        patches: All patches of the batch.
        scope: The tenant.
        on_duplicates: As in ``upsert_many``.

    Raises:
        Refused: If a patch cannot be read.

    >>> from upsertcore import Policy, never
    >>> atomic_batch(Policy(never(), {}), [], "")(None)
    []
    """
    all_patches = list(patches)
    sent = []
    for row, patch in enumerate(all_patches):
        with row_context(row):
            sent.append(read_with_id(policy, patch))

    def run(step: WriteStep) -> list[Outcome]:
        def upsert(row: int, _patch: Any) -> Outcome:
            read, own_id = sent[row]
            options = scope, policy.match
            request = request_maker(policy, read, *options, own_id=own_id)
            return step(request, partial(decide_request, policy))

        call, _patches = refuse_duplicates(policy, upsert, all_patches, on_duplicates)
        outcomes = []
        for row, patch in enumerate(all_patches):
            with row_context(row):
                outcomes.append(call(row, patch))
        return outcomes

    return run


def find_duplicates(
    policy: Policy, patches: Sequence[Mapping[str, Any]]
) -> dict[int, Refused]:
    """
    Find the patches that ``on_duplicates="refuse_all"`` refuses.

    Args:
        policy: The keys of its strategy are compared.
        patches: All patches of the batch.

    Returns:
        Row to refusal, for each patch that shares a key with another patch of the
        batch, even if that one is refused. ``others`` are the rows that it shares a
        key with, directly or through further rows. Also for each patch that a
        function of the caller refuses.

    Cost:
        Near-linear in the keys that the patches carry, in time and in memory; each
        patch is read once more.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> patches = [{"email": "a@x"}, {"email": "b@x"}, {"email": "A@x"}]
    >>> print(find_duplicates(policy, patches)[0])
    row 0: shares a key with row 2; send one patch for each contact
    """
    rows: dict[tuple[str, str], list[int]] = {}
    refusals: dict[int, Refused] = {}
    for row, patch in enumerate(patches):
        with row_context(row):
            try:
                forms = _forms_of(policy, patch)
            except Refused as refusal:
                refusals[row] = refusal
                continue
            for form in forms:
                rows.setdefault(form, []).append(row)
    # All rows of a group share one tuple, so memory is linear.
    families = [tuple(group) for group in groups(rows.values())]
    duplicates = {
        row: DuplicatePatch(row, family) for family in families for row in family
    }
    return {**duplicates, **refusals}


def refuse_later(policy: Policy, call: RowCall[T]) -> RowCall[T]:
    """
    Wrap a call for batches under ``on_duplicates="refuse_later"``.

    Args:
        policy: The keys of its strategy are compared.
        call: A function of row and patch.

    Returns:
        A function of row and patch, for :func:`run_calls`. It raises ``DuplicatePatch``
        for a patch that shares a key with an earlier accepted patch; refused patches
        are not compared.

    Cost:
        Linear in the keys that the patches carry; each patch is read once more.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> fields = {name: field(key=normalize.exact) for name in ("email", "phone")}
    >>> policy = Policy(first_match(*fields), fields)
    >>> call = refuse_later(policy, lambda row, patch: patch)
    >>> call(0, {"email": "a@x"}), call(1, {"phone": 1})
    ({'email': 'a@x'}, {'phone': 1})
    >>> call(2, {"email": "a@x", "phone": 1})
    Traceback (most recent call last):
    ...
    upsertcore.errors.DuplicatePatch: row 2: shares a key with rows 0, 1; send one ...
    """
    accepted: dict[tuple[str, str], int] = {}

    def upsert(row: int, patch: Mapping[str, Any]) -> T:
        forms = _forms_of(policy, patch)
        others = {accepted[form] for form in forms if form in accepted}
        if others:
            raise DuplicatePatch(row, tuple(sorted(others)))
        outcome = call(row, patch)
        accepted.update(dict.fromkeys(forms, row))
        return outcome

    return upsert


def refuse_duplicates(
    policy: Policy,
    call: RowCall[T],
    patches: Iterable[Mapping[str, Any]],
    on_duplicates: OnDuplicates,
) -> tuple[RowCall[T], Iterable[Mapping[str, Any]]]:
    """
    Wrap a call so that it refuses duplicates within a batch.

    Args:
        policy: The keys of its strategy are compared.
        call: A function of row and patch.
        patches: All read at once under ``"refuse_all"``.
        on_duplicates: As in ``upsert_many``.

    Returns:
        Arguments of :func:`run_calls`: a function of row and patch, and the patches.

    >>> from upsertcore import Policy, never
    >>> call = lambda row, patch: patch
    >>> refuse_duplicates(Policy(never(), {}), call, [{}], "refuse_all")[0](0, {})
    {}
    """
    if on_duplicates == "fold":
        return call, patches
    if on_duplicates == "refuse_later":
        return refuse_later(policy, call), patches
    all_patches = list(patches)
    refusals = find_duplicates(policy, all_patches)

    def upsert(row: int, patch: Mapping[str, Any]) -> T:
        if row in refusals:
            raise refusals[row]
        return call(row, patch)

    return upsert, all_patches


def _forms_of(policy: Policy, patch: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return name and form of each key of the strategy that a patch carries."""
    try:
        (sent, _ignored), (id, name) = read_with_id(policy, patch)
        forms = [(name, id)] if id is not None and name in policy.match.keys else []
        return forms + [(k.name, f) for k in consulted(policy) for f in k.forms(sent)]
    except Refused as refusal:
        if refusal.is_from_caller:
            raise
        return []
