"""
A visitor: a contact that the caller knows by its id, and that turns out to be a person.

Rules:
    The visitor is merged into the contact that the keys match; where they match none,
    it is the contact.
    A visitor that holds another value of a key that the patch carries is somebody else:
    it stays as it is, or under ``all_agree`` the call is refused.
"""

from __future__ import annotations

from typing import final

from attrs import evolve, frozen

from upsertcore.errors import KeysDisagree
from upsertcore.matching.protocol import Match, Pick, Probe, Strategy
from upsertcore.matching.strategies import ALL_AGREE

__all__ = ["VISITOR", "WithVisitor", "with_visitor"]

VISITOR = " "
"""The name under which a strategy consults the visitor; no key has a blank name."""


@final
@frozen
class WithVisitor:
    """Match as a strategy does, and merge the visitor into its match."""

    others: Strategy
    id_name: str

    def __call__(self, keys: tuple[str, ...], probe: Probe, pick: Pick) -> Match:
        """Return the match of the strategy, with the visitor."""
        others = tuple([name for name in keys if name != VISITOR])
        carried = tuple([name for name in others if probe(name)])
        known = [id for _sent, ids in probe(VISITOR) for id in ids]
        if not known:
            return self.others.resolve(others, probe, pick)
        match = self.others.resolve(carried, probe, pick) if carried else Match()
        (id,) = known
        if id == match.id or id in match.merged:
            return match
        also_matched = tuple([one for one in match.also_matched if one != id])
        if any(self._contradicts(id, name, probe) for name in carried):
            if self.others.resolve is ALL_AGREE:
                hits = () if match.id is None else ((str(match.key), (match.id,)),)
                raise KeysDisagree((("visitor", (id,)), *hits))
            return evolve(match, also_matched=(*also_matched, id))
        if match.id is None:
            return evolve(match, id=id, key=VISITOR, also_matched=also_matched)
        return evolve(match, merged=(*match.merged, id), also_matched=also_matched)

    def _contradicts(self, id: str, name: str, probe: Probe) -> bool:
        """Return whether a contact holds values of a key, and none that is sent."""
        held = () if name == self.id_name else probe.held_forms(id, name)
        return bool(held) and {*held}.isdisjoint([form for form, _ids in probe(name)])


def with_visitor(others: Strategy, id_name: str) -> Strategy:
    """
    Return a strategy that takes the visitor into account.

    Args:
        others: What the keys match by.
        id_name: The name of the contact's own id among them, which is no property.

    >>> from upsertcore import first_match
    >>> with_visitor(first_match("email"), "").keys
    (' ', 'email')
    """
    resolve = WithVisitor(others, id_name)
    return Strategy("visitor", (VISITOR, *others.keys), resolve, merges=others.merges)
