"""
``max_forms``: a contact with too many forms of a key is refused, or keys are dropped.

Rules:
    Forms that the contact holds already never exceed a limit.
    Under ``on_limit="drop"`` a visitor stays apart; then the lowest keys of the patch
    are left out, before anything is merged; what still exceeds a limit is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from upsertcore.engine.consulted import consulted_keys
from upsertcore.errors import InvalidField
from upsertcore.matching.ambiguity import PICKS
from upsertcore.matching.visitor import VISITOR, ids_of_call, keep_apart
from upsertcore.policy.policy import compiled

if TYPE_CHECKING:
    from upsertcore.engine.patch import Request
    from upsertcore.matching.protocol import Match
    from upsertcore.model.view import Forms
    from upsertcore.policy.policy import Policy

__all__ = [
    "check_max_forms",
    "exceeds_max_forms",
    "excess_forms",
    "within_max_forms",
]


def check_max_forms(policy: Policy, forms: Forms, held: Forms) -> None:
    """
    Refuse a contact with more forms of a key than its limit, if one of them is new.

    Args:
        policy: The policy.
        forms: The forms that the contact would hold, per key of the policy.
        held: The forms that it holds.

    Raises:
        InvalidField: For the first such key.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> email = field(key=normalize.email, max_forms=1)
    >>> policy = Policy(first_match("email"), {"email": email})
    >>> check_max_forms(policy, (("a@x", "b@x"),), (("a@x", "b@x", "c@x"),))
    >>> check_max_forms(policy, (("a@x", "b@x"),), (("a@x",),))
    Traceback (most recent call last):
    ...
    upsertcore.errors.InvalidField: email: must have one key per contact, not 2; ...
    """
    if compiled(policy).limits:
        for refusal in excess_forms(policy, forms, held):
            raise refusal


def excess_forms(policy: Policy, forms: Forms, held: Forms) -> Iterator[InvalidField]:
    """
    Return a refusal for each key of which a contact has too many forms.

    Args:
        policy: The policy.
        forms: As for :func:`check_max_forms`.
        held: As there.

    >>> from upsertcore import Policy, never
    >>> [*excess_forms(Policy(never(), {}), (), ())]
    []
    """
    for key, new, own in zip(policy.all_keys, forms, held, strict=True):
        exceeds = key.max_forms is not None and len(new) > key.max_forms
        if exceeds and not {*new}.issubset(own):
            noun = "one key" if key.max_forms == 1 else f"at most {key.max_forms} keys"
            reason = f"must have {noun} per contact; send fewer, or raise max_forms"
            # Only the number is shown: the stored forms are not the sender's to see.
            yield InvalidField(key.name, len(new), reason)


def exceeds_max_forms(policy: Policy, request: Request, match: Match) -> bool:
    """
    Return whether matched contacts and patch together hold too many forms.

    Args:
        policy: The policy.
        request: The patch, and the view to look contacts up in.
        match: The matched contacts.
    """
    for key in policy.all_keys:
        if key.max_forms is None:
            continue
        own = set() if match.id is None else {*request.held_forms(match.id, key.name)}
        merged = [request.held_forms(id, key.name) for id in match.merged]
        forms = own.union(request.forms(key, request.sent), *merged)
        if len(forms) > key.max_forms and not forms <= own:
            return True
    return False


def within_max_forms(
    policy: Policy, request: Request, match: Match
) -> tuple[Match, Request]:
    """
    Keep the visitor apart; drop the lowest keys, as few as possible; one key stays.

    More keys match more contacts, as long as all are merged into the same one, so the
    number of keys is found by bisection: first among the keys from the one that
    matched, then among those above it.

    Args:
        policy: The policy.
        request: A patch whose match exceeds the limit of a key.
        match: Its match.

    Returns:
        The match and the patch without the dropped keys.
    """
    strategy, pick = request.strategy, PICKS[policy.on_ambiguous]
    of_call = ids_of_call(strategy)
    carried = [name for name in strategy.keys[len(of_call) :] if request(name)]

    def with_keys(count: int) -> tuple[Match, Request]:
        shorter = request.without(carried[count:], "limit")
        keys = consulted_keys(policy, shorter)
        shorter_match = strategy.resolve(keys, shorter, pick)
        if of_call and exceeds_max_forms(policy, shorter, shorter_match):
            shorter_match = keep_apart(strategy).resolve(keys, shorter, pick)
        return shorter_match, shorter

    def fits(count: int) -> bool:
        shorter_match, shorter = with_keys(count)
        return not exceeds_max_forms(policy, shorter, shorter_match)

    # An id of the call decides without a key; so does a visitor where none matches.
    is_named = match.key == VISITOR or {*of_call} - {VISITOR}
    least, most = 0 if is_named else 1, len(carried) - 1
    if of_call and fits(len(carried)):
        return with_keys(len(carried))
    if match.key in carried:
        first = carried.index(match.key) + 1
        if first <= most and fits(first):
            least = first
        else:
            most = first - 1
    while least < most:
        middle = (least + most + 1) // 2
        if fits(middle):
            least = middle
        else:
            most = middle - 1
    return with_keys(min(least, len(carried)))
