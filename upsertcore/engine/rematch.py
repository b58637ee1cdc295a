"""
Again: whether the same patch would find the same contact, once a decision is done.

Rules:
    The strategy itself is asked, about a state that does not exist yet; nothing that
    it says here changes the decision, it only may refuse it.
    A new contact stands last by creation, and is called by no id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from upsertcore.engine.uniqueness import blocked_part_error, key_in_use_error
from upsertcore.errors import InvalidField, Refused
from upsertcore.matching.strategy import PICKS
from upsertcore.policy.policy import compiled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from upsertcore.engine.patch import Request
    from upsertcore.engine.uniqueness import KeyHoldings
    from upsertcore.matching.strategy import Hits, Match
    from upsertcore.model.view import Forms
    from upsertcore.policy.policy import Policy

__all__ = ["check_rematch", "rematches"]

_NEW = ""


def check_rematch(
    policy: Policy,
    asked: Request,
    found: Match,
    claimed: KeyHoldings,
    ignored: Mapping[str, str],
) -> None:
    """
    Refuse a decision after which the patch would not find its contact again.

    Args:
        policy: The table.
        asked: As :func:`rematches`.
        found: As :func:`rematches`.
        claimed: The keys that the contact would hold.
        ignored: Field name to reason, for what is not taken.

    Raises:
        KeyInUse: If a key of the patch has a part that is withheld.
        InvalidField: For the first key that the patch carries and the contact would
            not hold.
    """
    if rematches(policy, asked, found, claimed.forms):
        return
    lost = [
        key
        for key, held in zip(policy.all_keys, claimed.forms, strict=True)
        if not {form for form, _ids in asked.hits.get(key.name, ())}.issubset(held)
    ]
    parts = [name for key in lost for name in key.fields]
    withheld = {each.field for each in claimed.withheld}
    for name in parts:
        if name in withheld:
            raise key_in_use_error(policy, asked.sent, claimed.withheld, name)
    for name in parts:
        if ignored.get(name) == "composite":
            raise blocked_part_error(name, asked.sent[name])
    name, value = lost[0].error_subject(asked.sent)
    rules = ", ".join(
        dict.fromkeys(str(policy.field_options(n).rule) for n in lost[0].fields)
    )
    what = f"is a key that its rule {rules} would drop"
    reason = f"{what}; sent again, the patch would not find this contact"
    raise InvalidField(name, value, reason)


def rematches(policy: Policy, asked: Request, found: Match, forms: Forms) -> bool:
    """
    Tell whether a patch would find its contact when it is sent again.

    Args:
        policy: The table.
        asked: What was asked for this decision, and answered.
        found: Whom the patch found.
        forms: The forms that the contact would hold, per key of the policy.

    Returns:
        True where the strategy would find that contact and leave out the same keys,
        or more of them. (Whoever else could be merged into it was, and is gone.)

    Cost:
        One look at the forms that the patch carries, where the contact would hold
        all of them; else one or two matches, without any look-up.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.store.index import ContactIndex
    >>> from upsertcore.matching.strategy import Match
    >>> from upsertcore.engine.patch import Request
    >>> policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> patch = {"id": "1"}, {}
    >>> asked = Request(
    ...     compiled(policy).by_name, patch, ContactIndex(["id"]), "", policy.match
    ... )
    >>> hits = asked("id")
    >>> rematches(policy, asked, Match(), (("1",),))
    True
    >>> rematches(policy, asked, Match(), ((),))
    False
    """
    if _holds_all(policy, asked, forms):
        return True
    held = dict(zip(compiled(policy).by_name, forms, strict=True))
    places = (True,) if found.id is None else (False, True)
    return all(_finds(policy, asked, found, held, last=last) for last in places)


def _holds_all(policy: Policy, asked: Request, forms: Forms) -> bool:
    seen = asked.hits
    for key, held in zip(policy.all_keys, forms, strict=True):
        hits = seen.get(key.name)
        if not hits:
            continue
        if len(hits) == 1:
            if hits[0][0] not in held:
                return False
        elif not {form for form, _ids in hits}.issubset(held):
            return False
    return True


def _finds(
    policy: Policy,
    asked: Request,
    found: Match,
    held: dict[str, tuple[str, ...]],
    *,
    last: bool,
) -> bool:
    state = _Afterwards(asked, found, held, last=last)
    strategy = asked.strategy
    try:
        match = strategy.resolve(strategy.keys, state, PICKS[policy.on_ambiguous])
    except Refused:
        return False
    # Of a key that is left out the next time, nothing more is merged then.
    return match.id == state.id and {*match.dropped}.issuperset(found.dropped)


@final
class _Afterwards:
    """Answers a strategy as an index would, once a decision is done."""

    __slots__ = ("_asked", "_gone", "_has", "_held", "_last", "id")

    def __init__(
        self,
        asked: Request,
        found: Match,
        held: dict[str, tuple[str, ...]],
        *,
        last: bool,
    ) -> None:
        self._asked, self._held, self._last = asked, held, last
        self._has = {name: frozenset(forms) for name, forms in held.items()}
        self._gone = {*found.merged}
        self.id = _NEW if found.id is None else found.id

    def __call__(self, name: str) -> Hits:
        hits = self._asked.hits.get(name, ())
        left_out, reason = self._asked.dropped_keys.get(name, ((), None))
        if reason == "guard":
            hits = left_out
        return tuple([(form, self._holders(name, form, ids)) for form, ids in hits])

    def held_forms(self, id: str, name: str) -> tuple[str, ...]:
        return self._held[name] if id == self.id else self._asked.held_forms(id, name)

    def _holders(self, name: str, form: str, ids: tuple[str, ...]) -> tuple[str, ...]:
        left = [id for id in ids if id not in self._gone]
        if form not in self._has[name]:
            return tuple([id for id in left if id != self.id])
        if self.id in left:
            return tuple(left)
        return (*left, self.id) if self._last else (self.id, *left)
