"""
The re-match: whether a patch would match the same contact when it is sent again.

Rules:
    The match strategy runs against the state after the decision. The result may refuse
    the decision, and never changes it.
    A new contact has no id yet and is the last by creation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from upsertcore.engine.consulted import consulted_keys
from upsertcore.engine.uniqueness import blocked_part_error, key_in_use_error
from upsertcore.errors import InvalidField, Refused
from upsertcore.matching.ambiguity import PICKS
from upsertcore.matching.visitor import VISITOR
from upsertcore.policy.policy import compiled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from upsertcore.engine.patch import Request
    from upsertcore.engine.uniqueness import KeyHoldings
    from upsertcore.matching.protocol import Hits, Match
    from upsertcore.model.view import Forms
    from upsertcore.policy.policy import Policy

__all__ = ["check_rematch", "rematches"]

_NEW = ""


def check_rematch(
    policy: Policy,
    request: Request,
    match: Match,
    holdings: KeyHoldings,
    ignored: Mapping[str, str],
) -> None:
    """
    Refuse a decision after which the patch would not match its contact again.

    Args:
        policy: The policy.
        request: As :func:`rematches`.
        match: As :func:`rematches`.
        holdings: The keys that the contact would hold.
        ignored: Field name to reason, for values that are not stored.

    Raises:
        KeyInUse: If a part of a key of the patch is withheld.
        InvalidField: For the first key that the patch carries and the contact would
            not hold.
    """
    if rematches(policy, request, match, holdings.forms):
        return
    lost = [
        key
        for key, held in zip(policy.all_keys, holdings.forms, strict=True)
        if not {form for form, _ids in request.hits.get(key.name, ())}.issubset(held)
    ]
    parts = [name for key in lost for name in key.fields]
    withheld = {entry.field for entry in holdings.withheld}
    for name in parts:
        if name in withheld:
            raise key_in_use_error(policy, request.sent, holdings.withheld, name)
    for name in parts:
        if ignored.get(name) == "composite":
            raise blocked_part_error(name, request.sent[name])
    name, value = lost[0].error_subject(request.sent)
    rules = ", ".join(
        dict.fromkeys(str(policy.field_options(n).rule) for n in lost[0].fields)
    )
    what = f"is a key that its rule {rules} would drop"
    reason = f"{what}; sent again, the patch would not find this contact"
    raise InvalidField(name, value, reason)


def rematches(policy: Policy, request: Request, match: Match, forms: Forms) -> bool:
    """
    Return whether a patch would match its contact when it is sent again.

    Args:
        policy: The policy.
        request: The patch, and the look-ups of this decision.
        match: The match of this decision.
        forms: The forms that the contact would hold, per key of the policy.

    Returns:
        True where the strategy would match that contact and drop the same keys, or
        more. (Other contacts need no check: those that match are merged by then.)

    Cost:
        One comparison for each form that the patch carries, where the contact would
        hold all of them; else one or two matches, without look-ups in the index.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> from upsertcore.matching.protocol import Match
    >>> from upsertcore.engine.patch import Request
    >>> policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> patch = {"id": "1"}, {}
    >>> request = Request(
    ...     compiled(policy).by_name, patch, ContactIndex(["id"]), "", policy.match
    ... )
    >>> hits = request("id")
    >>> rematches(policy, request, Match(), (("1",),))
    True
    >>> rematches(policy, request, Match(), ((),))
    False
    """
    if _holds_all(policy, request, forms):
        return True
    by_name = dict(zip(compiled(policy).by_name, forms, strict=True))
    if request.id_name in request.strategy.keys:
        by_name[request.id_name] = _future_ids(request, match)
    if request.visitor is not None:
        by_name[VISITOR] = () if match.id is None else _future_ids(request, match)
    # A known contact may come before or after the other holders of a form.
    positions = (True,) if match.id is None else (False, True)
    return all(
        _matches_then(policy, request, match, by_name, last=last) for last in positions
    )


def _future_ids(request: Request, match: Match) -> tuple[str, ...]:
    """Return the ids of the contact after the decision."""
    if match.id is None:
        return () if request.id is None else (request.id,)
    contacts = [request.get(id)[0] for id in (match.id, *match.merged)]
    return tuple([id for contact in contacts for id in contact.ids])


def _holds_all(policy: Policy, request: Request, forms: Forms) -> bool:
    hits_of = request.hits
    for key, held in zip(policy.all_keys, forms, strict=True):
        hits = hits_of.get(key.name)
        if not hits:
            continue
        if len(hits) == 1:
            if hits[0][0] not in held:
                return False
        elif not {form for form, _ids in hits}.issubset(held):
            return False
    return True


def _matches_then(
    policy: Policy,
    request: Request,
    match: Match,
    forms: dict[str, tuple[str, ...]],
    *,
    last: bool,
) -> bool:
    state = _FutureProbe(request, match, forms, last=last)
    strategy = request.strategy
    try:
        keys = consulted_keys(policy, request)
        rematch = strategy.resolve(keys, state, PICKS[policy.on_ambiguous])
    except Refused:
        return False
    # A key that is dropped the next time merges no further contacts.
    return rematch.id == state.id and {*rematch.dropped}.issuperset(match.dropped)


@final
class _FutureProbe:
    """A probe that answers as the index would after the decision."""

    __slots__ = ("_form_sets", "_forms", "_last", "_merged", "_request", "id")

    def __init__(
        self,
        request: Request,
        match: Match,
        forms: dict[str, tuple[str, ...]],
        *,
        last: bool,
    ) -> None:
        self._request, self._forms, self._last = request, forms, last
        self._form_sets = {name: frozenset(held) for name, held in forms.items()}
        self._merged = {*match.merged}
        self.id = _NEW if match.id is None else match.id

    def __call__(self, name: str) -> Hits:
        hits = self._request.hits.get(name, ())
        dropped_hits, reason = self._request.dropped_keys.get(name, ((), None))
        if reason == "guard":
            hits = dropped_hits
        return tuple([(form, self._holders(name, form, ids)) for form, ids in hits])

    def held_forms(self, id: str, name: str) -> tuple[str, ...]:
        return (
            self._forms[name] if id == self.id else self._request.held_forms(id, name)
        )

    def _holders(self, name: str, form: str, ids: tuple[str, ...]) -> tuple[str, ...]:
        remaining = [id for id in ids if id not in self._merged]
        if form not in self._form_sets[name]:
            return tuple([id for id in remaining if id != self.id])
        if self.id in remaining:
            return tuple(remaining)
        return (*remaining, self.id) if self._last else (self.id, *remaining)
