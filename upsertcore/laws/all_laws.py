"""
All laws of calls, merges and logs, in order, and the checks that run them.

Rules:
    A law that is listed here is tried by cards and by checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, Unpack

from upsertcore.book.book import Book
from upsertcore.laws import books, calls, ids, logs, merges, not_stored
from upsertcore.laws.claims import claims
from upsertcore.laws.trial import Log, Merge, Trial, Verb
from upsertcore.policy.overrides import CallOptions
from upsertcore.policy.policy import Policy

__all__ = ["CALLS", "LOGS", "MERGES", "OF_KEYS", "check", "check_log", "check_merge"]

CallLaw: TypeAlias = Callable[[Trial], bool]
LogLaw: TypeAlias = Callable[[Log], bool]
MergeLaw: TypeAlias = Callable[[Merge], bool]

CALLS: dict[str, CallLaw] = {
    "idempotent": calls.idempotent,
    "finds_again": calls.finds_again,
    "finds_who_is_named": calls.finds_who_is_named,
    "named_by_id": ids.named_by_id,
    "visitor_joins": ids.visitor_joins,
    "options_hold": ids.options_hold,
    "omitted_is_unchanged": calls.omitted_is_unchanged,
    "empty_changes_nothing": calls.empty_changes_nothing,
    "nothing_silent": not_stored.nothing_silent,
    "left_out_together": not_stored.left_out_together,
    "sticky_stays": not_stored.sticky_stays,
    "one_is_a_list": books.one_is_a_list,
    "moves_with_a_field": calls.moves_with_a_field,
    "refusal_changes_nothing": calls.refusal_changes_nothing,
    "refuses_as_told": calls.refuses_as_told,
    "unique": books.unique,
    "index_follows": books.index_follows,
    "scopes_apart": books.scopes_apart,
    "plan_is_upsert": books.plan_is_upsert,
    "undo_inverts": books.undo_inverts,
    "round_trip": books.round_trip,
    "retry_is_once": books.retry_is_once,
    "create_makes_one": books.create_makes_one,
    "constant_is_set": merges.constant_is_set,
    "refused_stays_apart": merges.refused_stays_apart,
}
"""The laws of one call."""

OF_KEYS = frozenset(
    {
        *("empty_changes_nothing", "scopes_apart", "round_trip"),
        *("retry_is_once", "create_makes_one"),
    }
)
"""Laws to which fields outside the keys make no difference."""

MERGES: dict[str, MergeLaw] = {
    "merge_in_steps": merges.merge_in_steps,
    "absent_gives_way": merges.absent_gives_way,
    "clock_travels": merges.clock_travels,
    "sticky_wins": merges.sticky_wins,
    "constant_is_set": merges.constant_is_set,
    "refused_stays_apart": merges.refused_stays_apart,
    "patch_after_merge": merges.patch_after_merge,
}
"""The laws of one merge of contacts; calls that merge have some of them as well."""

LOGS: dict[str, LogLaw] = {
    "batch_is_fold": logs.batch_is_fold,
    "replay_is_equal": logs.replay_is_equal,
    "by_components": logs.by_components,
    "log_again": logs.log_again,
    "any_order": logs.any_order,
}
"""The laws of many calls, one after the other."""


def check(
    book: Book,
    patch: Mapping[str, Any],
    *,
    scope: str = "",
    verb: Verb = "upsert",
    id: str | None = None,
    visitor: str | None = None,
    **options: Unpack[CallOptions],
) -> tuple[str, ...]:
    """
    Check one call against every law that the policy claims.

    Args:
        book: The book; its contacts are copied, and it is not written.
        patch: The patch to send.
        scope: The tenant.
        verb: The verb; ``"update"`` and ``"create"`` need an id.
        id: The id of the contact, as of the verb.
        visitor: The id of the visitor, as of ``upsert``.
        options: The options of the call, as of the verb.

    Returns:
        The names of the laws that apply.

    Raises:
        LawBroken: If a law does not hold; it names the law, and the wrong result.

    >>> from upsertcore import ContactBook, field, first_match, normalize
    >>> policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> "idempotent" in check(ContactBook(policy), {"id": 1})
    True
    """
    ids: Any = {"verb": verb, "id": id, "visitor": visitor}
    trial = Trial.of(book, patch, scope=scope, **ids, **options)
    carries = bool(trial.keys_sent) or trial.holder(trial.call.named) is not None
    claimed = [name for name in CALLS if claims(trial.policy, name, carries=carries)]
    return tuple([name for name in claimed if CALLS[name](trial)])


def check_merge(
    book: Book,
    survivor: str,
    *others: str,
    scope: str = "",
    patch: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """
    Check one merge against every law of merges.

    Args:
        book: The book; its contacts are copied, and it is not written.
        survivor: The id of the contact that stays.
        others: The ids of the contacts to merge into it.
        scope: The tenant.
        patch: A patch to merge with, if any.

    Returns:
        The names of the laws that apply.

    Raises:
        LawBroken: If a law does not hold; it names the law, and the wrong result.
        UnknownContact: If there is no such contact.

    Cost:
        Near-linear in the book, and one further merge for each of *others*.

    >>> from upsertcore import ContactBook, field, first_match, normalize
    >>> from upsertcore.rules import latest
    >>> fields = {"id": field(key=normalize.exact), "name": field(), "at": field()}
    >>> policy = Policy(
    ...     first_match("id"), {**fields, "city": field(rule=latest(by="at"))}
    ... )
    >>> book = ContactBook(policy, ids=iter("abc").__next__)
    >>> for sent in ({"id": 1, "name": ""}, {"id": 2, "name": "Ada", "city": "Oslo"}):
    ...     _ = book.create({**sent, "at": 1})
    >>> check_merge(book, "a", "b")
    ('absent_gives_way', 'clock_travels')
    """
    merge = Merge.of(book, survivor, *others, scope=scope, patch=patch)
    return tuple([name for name, law in MERGES.items() if law(merge)])


def check_log(
    policy: Policy, patches: Iterable[Mapping[str, Any]], *, scope: str = ""
) -> tuple[str, ...]:
    """
    Check a sequence of calls against every law of logs that the policy claims.

    Args:
        policy: The policy.
        patches: The patches to send to an empty book, in this order.
        scope: The tenant.

    Returns:
        The names of the laws that apply.

    Raises:
        LawBroken: If a law does not hold; it names the law, and the wrong result.

    Cost:
        Factorial in the patches if the policy claims ``any_order``.

    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> check_log(policy, [{"id": 1}, {"id": 2}])
    ('batch_is_fold', 'replay_is_equal', 'by_components')
    """
    log = Log(policy, patches, scope)
    claimed = [name for name in LOGS if claims(policy, name)]
    return tuple([name for name in claimed if LOGS[name](log)])
