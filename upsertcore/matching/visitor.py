"""
A visitor: a contact that the caller knows by its id, and that turns out to be a person.

Rules:
    The visitor is merged into the contact that the keys match; where they match none,
    it is the contact.
    A visitor that holds another value of a key that the patch carries is another
    contact: it stays as it is, or under ``all_agree`` the call is refused.
    It has no part in what the id and the keys match.
"""

from __future__ import annotations

from typing import final

from attrs import evolve, frozen

from upsertcore.errors import KeysDisagree, NoMatchKey
from upsertcore.matching.own_id import OwnIdFirst
from upsertcore.matching.protocol import Hits, Match, Pick, Probe, Strategy

__all__ = [
    "VISITOR",
    "WithVisitor",
    "ids_of_call",
    "keep_apart",
    "with_visitor",
    "without_visitor",
]

VISITOR = " "
"""The name under which a strategy consults the visitor; no key has a blank name."""


@final
@frozen
class WithVisitor:
    """Match as a strategy does, and merge the visitor into its match."""

    others: Strategy
    id_name: str
    refuses: bool
    merges: bool = True

    def __call__(self, keys: tuple[str, ...], probe: Probe, pick: Pick) -> Match:
        """Return the match of the strategy, with the visitor."""
        keys = tuple([name for name in keys if name != VISITOR])
        known = [id for _sent, ids in probe(VISITOR) for id in ids]
        if not known:
            return self.others.resolve(keys, probe, pick)
        try:
            match = self.others.resolve(keys, probe, pick)
        except NoMatchKey as error:
            if error.is_from_caller:
                raise
            match = Match()
        (id,) = known
        if id == match.id or id in match.merged:
            return match
        also_matched = tuple([one for one in match.also_matched if one != id])
        if self.is_another(id, probe):
            if self.refuses:
                raise KeysDisagree((("visitor", (id,)), *_hits(keys, match.id, probe)))
            return evolve(match, also_matched=(*also_matched, id))
        if match.id is None:
            return evolve(match, id=id, key=VISITOR, also_matched=also_matched)
        if not self.merges:
            return evolve(match, also_matched=(*also_matched, id))
        return evolve(match, merged=(*match.merged, id), also_matched=also_matched)

    def is_another(self, id: str, probe: Probe) -> bool:
        """Return whether a contact holds values of a key, and none that is sent."""
        for name in self.others.keys:
            sent = () if name == self.id_name else probe(name)
            held = probe.held_forms(id, name) if sent else ()
            if held and {*held}.isdisjoint([form for form, _ids in sent]):
                return True
        return False


def _hits(keys: tuple[str, ...], id: str | None, probe: Probe) -> Hits:
    """Return each key that matches a contact, with its id."""
    return tuple(
        [
            (name or "id", (id,))
            for name in keys
            if id is not None and any(id in ids for _form, ids in probe(name))
        ]
    )


def with_visitor(others: Strategy, id_name: str, *, refuses: bool) -> Strategy:
    """
    Return a strategy that takes the visitor into account.

    Args:
        others: What the keys match by.
        id_name: The name of the contact's own id among them, which is no property.
        refuses: Whether a visitor that is another contact refuses the call.

    >>> from upsertcore import first_match
    >>> with_visitor(first_match("email"), "", refuses=False).keys
    (' ', 'email')
    """
    resolve = WithVisitor(others, id_name, refuses)
    return Strategy("visitor", (VISITOR, *others.keys), resolve, merges=others.merges)


def keep_apart(match: Strategy) -> Strategy:
    """
    Return a strategy that merges no visitor: it reports the visitor.

    Args:
        match: A strategy, which may take a visitor into account.

    >>> from upsertcore import first_match
    >>> keep_apart(first_match("email"))
    first_match('email')
    """
    resolve = match.resolve
    if not isinstance(resolve, WithVisitor):
        return match
    return evolve(match, resolve=evolve(resolve, merges=False))


def ids_of_call(match: Strategy) -> tuple[str, ...]:
    """
    Return the names under which a strategy consults ids before all keys.

    Args:
        match: A strategy, which may take an id and a visitor into account.

    >>> from upsertcore import first_match
    >>> ids_of_call(with_visitor(first_match("email"), "", refuses=False))
    (' ',)
    """
    names: list[str] = []
    while isinstance(match.resolve, (WithVisitor, OwnIdFirst)):
        names.append(match.keys[0])
        match = match.resolve.others
    return tuple(names)


def without_visitor(match: Strategy) -> Strategy:
    """
    Return what the keys match by, beside a visitor or not.

    Args:
        match: A strategy, which may take the visitor into account.

    >>> from upsertcore import first_match
    >>> without_visitor(with_visitor(first_match("email"), "", refuses=False))
    first_match('email')
    """
    return match.resolve.others if isinstance(match.resolve, WithVisitor) else match
