"""
Guards: a match by a lower key does not count where a higher key contradicts it.

Rules:
    A contact contradicts a higher key if it holds other values for it; under a strict
    guard also if it holds none.
    Each contact is compared with each higher key once.
"""

from __future__ import annotations

from typing import final

from attrs import frozen

from upsertcore.errors import InvalidPolicy, NoMatchKey
from upsertcore.matching.ambiguity import PICKS
from upsertcore.matching.protocol import (
    Guard,
    Match,
    OnContradiction,
    Pick,
    Probe,
    also_matched,
)
from upsertcore.values import describe

__all__ = ["GuardedMatch", "check_guard"]


def check_guard(guard: Guard | None, on_contradiction: OnContradiction) -> None:
    """
    Check the options of a guard.

    Args:
        guard: As in ``first_match``.
        on_contradiction: As in ``first_match``.

    Raises:
        InvalidPolicy: If one is invalid, or ``on_contradiction`` lacks a guard.

    >>> check_guard("strict", "drop")
    """
    if guard not in (None, "if_set", "strict"):
        what = f"must be 'if_set' or 'strict', not {describe(guard)}"
        raise InvalidPolicy(f"guard: {what}; leave it out for no guard")
    if on_contradiction not in ("keep", "drop"):
        what = f"must be 'keep' or 'drop', not {describe(on_contradiction)}"
        raise InvalidPolicy(f"on_contradiction: {what}")
    if guard is None and on_contradiction != "keep":
        raise InvalidPolicy("on_contradiction: needs a guard; set guard='if_set'")


_CONTRADICTED = -1


@final
@frozen
class GuardedMatch:
    """
    ``first_match`` or ``merge_all`` under a guard; equal if its options are equal.

    Args:
        strict: Whether a contact that lacks a higher key contradicts it, too.
        drop: Whether a key none of whose matches count is left out of the patch.
        merges: Whether the other contacts that count are merged into the first one,
            unless this one holds other values for the key that matches them.
    """

    strict: bool
    drop: bool
    merges: bool = False

    def __call__(  # noqa: C901 - one key after the other
        self, keys: tuple[str, ...], probe: Probe, pick: Pick
    ) -> Match:
        """Return the match by the first key that counts."""
        chosen = key = None
        pick = PICKS["oldest"] if self.merges else pick
        merged: dict[str, None] = {}
        higher: list[tuple[str, set[str]]] = []
        agreement: dict[str, int] = {}
        all_holders: list[str] = []
        dropped: list[str] = []
        apart: tuple[str, ...] = ()
        carried = [name for name in keys if probe(name)]
        if not carried:
            raise NoMatchKey(keys)
        for name in carried:
            hit = counted = False
            forms = {form for form, _holders in probe(name)}
            for _form, holders in probe(name):
                valid = []
                for id in holders:
                    if id != chosen:
                        agreement[id] = self._agreement(
                            id, agreement.get(id, 0), higher, probe
                        )
                    if id == chosen or agreement[id] != _CONTRADICTED:
                        valid.append(id)
                if self.merges:
                    alike = self._like(chosen, valid, name, forms, probe)
                    if len(alike) < len(valid) and name not in apart:
                        apart += (name,)
                    valid = alike
                    merged.update(dict.fromkeys(valid))
                hit, counted = hit or bool(holders), counted or bool(valid)
                if chosen is None and valid:
                    chosen, key = pick(name, tuple(valid)), name
                all_holders += holders
            if self.drop and hit and not counted:
                dropped.append(name)
            else:
                higher.append((name, forms))
        others = also_matched(chosen, all_holders)
        if merged:
            others = tuple([id for id in others if id not in merged])
            del merged[chosen]  # type: ignore[arg-type]
        return Match(chosen, key, others, tuple(merged), tuple(dropped), apart)

    def _like(
        self,
        chosen: str | None,
        ids: list[str],
        name: str,
        forms: set[str],
        probe: Probe,
    ) -> list[str]:
        """Return the contacts that may be merged into the chosen one by a key."""
        held = () if chosen is None else probe.held_forms(chosen, name)
        if held and forms.isdisjoint(held):
            return [id for id in ids if id == chosen]
        return ids

    def _agreement(
        self, id: str, compared: int, higher: list[tuple[str, set[str]]], probe: Probe
    ) -> int:
        """Return how many higher keys a contact agrees with; compare each once."""
        if compared == _CONTRADICTED:
            return compared
        for number in range(compared, len(higher)):
            name, forms = higher[number]
            held = probe.held_forms(id, name)
            if forms.isdisjoint(held) and (self.strict or held):
                return _CONTRADICTED
        return len(higher)
