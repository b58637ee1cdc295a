"""
The keys that a decision consults: none after an unknown id that decides.

Rules:
    ``"create"`` and ``"refuse"`` end the keys at an unknown id; ``"next"`` does not.
    The visitor of a call has no part in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upsertcore.errors import UnknownId
from upsertcore.matching.ambiguity import PICKS
from upsertcore.matching.strategies import ALL_AGREE, FIRST_PRESENT
from upsertcore.matching.visitor import without_visitor

if TYPE_CHECKING:
    from upsertcore.engine.patch import Request
    from upsertcore.policy.policy import Policy

__all__ = ["consulted_keys"]


def consulted_keys(policy: Policy, request: Request) -> tuple[str, ...]:
    """
    Return the keys of the strategy that are consulted for a patch.

    Args:
        policy: The policy.
        request: The patch, and the view to look its id up in.

    Raises:
        UnknownId: If the id is unknown, no key above it matches, and the policy
            refuses unknown ids.
    """
    keys, name = request.strategy.keys, request.id_name
    if request.id is None or name not in keys or policy.on_unknown_id == "next":
        return keys
    match = without_visitor(request.strategy)
    consults_all = match.merges or match.resolve is ALL_AGREE
    if consults_all and policy.on_unknown_id == "create":
        return keys
    higher = match.keys[: match.keys.index(name)]
    if policy.match.resolve is FIRST_PRESENT and any(request(n) for n in higher):
        return keys
    if request.knows(request.id):
        return keys
    if not consults_all and _decide_alone(policy, request, higher):
        return keys
    if policy.on_unknown_id == "refuse":
        raise UnknownId(name or "id", request.id)
    return (*higher, name)


def _decide_alone(policy: Policy, request: Request, keys: tuple[str, ...]) -> bool:
    """Return whether keys match a contact; a guard may not let their hits count."""
    hits = any(ids for name in keys for _, ids in request(name))
    if not hits or policy.match.guard is None:
        return hits
    return (
        policy.match.resolve(keys, request, PICKS[policy.on_ambiguous]).id is not None
    )
