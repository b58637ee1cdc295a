"""
The contact's own id, as an argument of a call: it decides before any key.

Rules:
    An id that is known decides alone; contacts that the keys match are reported.
    An id that is unknown leaves the decision to the strategy.
"""

from __future__ import annotations

from typing import final

from attrs import evolve, frozen

from upsertcore.matching.protocol import Match, Pick, Probe, Strategy, also_matched

__all__ = ["OwnIdFirst", "own_id_first", "without_own_id"]


@final
@frozen
class OwnIdFirst:
    """Match by the id, which is the first key; else as a strategy does."""

    others: Strategy

    def __call__(self, keys: tuple[str, ...], probe: Probe, pick: Pick) -> Match:
        """Return the contact with the id, or the match of the strategy."""
        own, *others = keys
        carried = tuple([name for name in others if probe(name)])
        for _own, [id] in [hit for hit in probe(own) if hit[1]]:
            hits = [ids for name in carried for _form, ids in probe(name)]
            return Match(id, own, also_matched(id, [id for ids in hits for id in ids]))
        return self.others.resolve(carried, probe, pick) if carried else Match()


def own_id_first(name: str, others: Strategy) -> Strategy:
    """
    Return a strategy that consults the id of a contact first.

    Args:
        name: The name under which a request has the id.
        others: What is consulted if the id is unknown.

    >>> from upsertcore import first_match
    >>> own_id_first("id", first_match("email")).keys
    ('id', 'email')
    """
    keys = (name, *[key for key in others.keys if key != name])
    return Strategy("id", keys, OwnIdFirst(others))


def without_own_id(name: str | None, match: Strategy) -> Strategy:
    """
    Return a strategy as it decides on a patch that carries no id of a contact.

    Args:
        name: The name under which a patch may carry the id, if there is one.
        match: The strategy.

    >>> from upsertcore import first_match
    >>> without_own_id("id", first_match("id", "email"))
    first_match('email')
    """
    return evolve(match, keys=tuple([key for key in match.keys if key != name]))
