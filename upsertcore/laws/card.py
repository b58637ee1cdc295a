"""
The card: what each law comes to under one policy, tried in the whole of a small world.

Rules:
    Every trial of the world is made, and none is drawn by chance.
    A law that fails is shown with the smallest trial in which it does.
    What a policy does not claim is tried too, and said to be unclaimed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import count, product
from typing import Any, TypeAlias, final

from attrs import field, frozen

from upsertcore.contact import Contact
from upsertcore.laws.alphabet import Values, lines_of
from upsertcore.laws.broken import LawBroken
from upsertcore.laws.claims import claims
from upsertcore.laws.every import CALLS, LOGS, OF_KEYS
from upsertcore.laws.trial import Log, Trial
from upsertcore.laws.world import Patch, World
from upsertcore.policy import Policy
from upsertcore.values import freeze, thaw

__all__ = ["Counterexample", "LawCard", "Verdict", "card"]

Progress: TypeAlias = Callable[[int, int], None]
Law: TypeAlias = Callable[[Any], bool]
Shown: TypeAlias = tuple[tuple[Contact, ...], tuple[Patch, ...]]

_FEW = 20
"""Up to so many patches every log of three of them is tried."""


@final
@frozen
class Counterexample:
    """
    The smallest trial in which a law fails.

    Args:
        contacts: What the book holds; of a log nobody.
        patches: What is sent to it.
        reason: What came of it.
    """

    contacts: tuple[Contact, ...]
    patches: tuple[Patch, ...]
    reason: str

    def __str__(self) -> str:
        held = [f"{c.id} {_json({**c.fields, **_marks(c)})}" for c in self.contacts]
        sent = [_json(patch) for patch in self.patches]
        lines = [
            *[f"holds {each}" for each in held],
            *[f"sent {each}" for each in sent],
        ]
        return "\n".join([*lines, self.reason])

    def size(self) -> tuple[int, int, int]:
        """Give what it is compared by: its contacts, its patches, and their fields."""
        fields = [*self.patches, *[contact.fields for contact in self.contacts]]
        return len(self.contacts), len(self.patches), sum(map(len, fields))


@final
@frozen
class Verdict:
    """
    What one law came to.

    Args:
        law: Its name.
        says: What it says, in a sentence.
        claimed: True where the policy claims it.
        calls: How many trials it had something to say of.
        stands_for: How many these stand for, symmetric ones counted each.
        broken: The smallest trial in which it fails, None where it holds.

    >>> Verdict("unique", "No two.", True, 7, 9, None).holds
    True
    """

    law: str
    says: str
    claimed: bool
    calls: int
    stands_for: int
    broken: Counterexample | None

    @property
    def holds(self) -> bool:
        """True where no trial of the world breaks it."""
        return self.broken is None


@final
@frozen
class LawCard:
    """
    What every law came to under one policy; its text is for reading.

    Args:
        world: What was tried, in words.
        verdicts: One per law.

    >>> from upsertcore import field, first_match, normalize
    >>> lines = {"id": field(key=normalize.exact, unique=True), "name": field()}
    >>> made = card(Policy(first_match("id"), lines), contacts=1)
    >>> made.kept, made["idempotent"].holds, made["log_again"].holds
    (True, True, False)
    """

    world: tuple[str, ...]
    verdicts: tuple[Verdict, ...] = field(repr=False)

    def __getitem__(self, law: str) -> Verdict:
        return next(each for each in self.verdicts if each.law == law)

    @property
    def kept(self) -> bool:
        """True where every law that the policy claims holds."""
        return all(each.holds for each in self.verdicts if each.claimed)

    def __str__(self) -> str:
        lines = [*self.world]
        for each in self.verdicts:
            lines.append(f"{each.law:<24}{_told(each)}")
            if each.broken is not None:
                lines += [f"    {line}" for line in str(each.broken).split("\n")]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """
        Make a mapping of plain values, ready for JSON.

        >>> LawCard(("keys: id",), ()).to_dict()
        {'world': ['keys: id'], 'laws': []}
        """
        laws = [
            {
                "law": each.law,
                "says": each.says,
                "claimed": each.claimed,
                "holds": each.holds,
                "calls": each.calls,
                "stands_for": each.stands_for,
                **({} if each.broken is None else {"counterexample": str(each.broken)}),
            }
            for each in self.verdicts
        ]
        return {"world": [*self.world], "laws": laws}


def card(
    policy: Policy,
    *,
    contacts: int = 3,
    values: Values | None = None,
    progress: Progress | None = None,
) -> LawCard:
    """
    Try every law in every state and with every patch of a small world.

    Args:
        policy: The table.
        contacts: Up to how many contacts a state has.
        values: Field name to values that are to be sent, for fields of which none
            can be found; for a key two normal forms.
        progress: Told after each state how many states are done, and of how many.

    Returns:
        One verdict per law.

    Raises:
        ValueError: If there is no alphabet for a field; it names the field.

    Cost:
        Exponential in the contacts and in the keys; some seconds for two keys and
        three contacts.
    """
    tally, listed = _Tally(policy), lines_of(policy)
    worlds = [
        World(policy, line, contacts=contacts, values=values)
        for line in (None, *listed)
    ]
    done, total = count(1), sum(len(world.states) for world in worlds)
    for world in worlds:
        laws = tally.laws_of(world)
        for places, weight in world.states:
            laws = tally.calls(laws, world.trials(places), weight)
            if progress is not None:
                progress(next(done), total)
        tally.logs(world)
    keys = ", ".join(key.name for key in policy.keys) or "none"
    told = (
        f"states of up to {contacts} contacts; keys: {keys}",
        f"with each a line of its own: {', '.join(listed) or 'none'}",
    )
    return LawCard(told, tally.verdicts())


class _Tally:
    """Counts, law by law, and keeps the smallest counterexample of each."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._counts = {name: [0, 0] for name in (*CALLS, *LOGS)}
        self._broken: dict[str, Counterexample] = {}

    def laws_of(self, world: World) -> dict[str, Law]:
        """List the laws of one call that are tried in a world."""
        apart = OF_KEYS if world.line is not None else ()
        return {name: law for name, law in CALLS.items() if name not in apart}

    def calls(
        self, laws: dict[str, Law], trials: Iterable[tuple[Trial, int]], weight: int
    ) -> dict[str, Law]:
        """Try laws of one call; give those that are not broken in this world."""
        for trial, times in trials:
            shown = trial.before, (trial.patch,)
            laws = self._still(laws, trial, shown, weight * times)
        return laws

    def logs(self, world: World) -> None:
        """Try the laws of many calls: logs of two patches, of three for keys alone."""
        said = [patch for patch in world.spoken() if patch]
        sizes = (2, 3) if world.line is None and len(said) < _FEW else (2,)
        left: dict[str, Law] = {**LOGS}
        for size in sizes:
            for patches in product(said, repeat=size):
                left = self._still(left, Log(self._policy, patches), ((), patches), 1)

    def _still(
        self, laws: dict[str, Law], seen: Any, shown: Shown, weight: int
    ) -> dict[str, Law]:
        """Try laws of one thing; give those that are not broken in this world."""
        failed = [
            name for name in laws if not self._try(name, laws, seen, shown, weight)
        ]
        if not failed:
            return laws
        return {name: law for name, law in laws.items() if name not in failed}

    def _try(
        self, name: str, laws: dict[str, Law], seen: Any, shown: Shown, weight: int
    ) -> bool:
        try:
            spoke = laws[name](seen)
        except LawBroken as error:
            found = Counterexample(*shown, error.reason)
            known = self._broken.get(name)
            if known is None or found.size() < known.size():
                self._broken[name] = found
            return False
        if spoke:
            self._counts[name][0] += 1
            self._counts[name][1] += weight
        return True

    def verdicts(self) -> tuple[Verdict, ...]:
        """Give one verdict per law, in their order."""
        laws: dict[str, Law] = {**CALLS, **LOGS}
        return tuple([self._verdict(name, law) for name, law in laws.items()])

    def _verdict(self, name: str, law: Law) -> Verdict:
        says = (law.__doc__ or "").strip().split("\n")[0]
        calls, stands_for = self._counts[name]
        claimed, broken = claims(self._policy, name), self._broken.get(name)
        return Verdict(name, says, claimed, calls, stands_for, broken)


def _told(verdict: Verdict) -> str:
    unclaimed = "" if verdict.claimed else ", not claimed"
    if verdict.broken is not None:
        return f"fails{unclaimed}:"
    if not verdict.calls:
        return f"nothing to try{unclaimed}"
    stands = f"{verdict.stands_for:,}"
    return f"holds ({verdict.calls:,} calls, standing for {stands}){unclaimed}"


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(thaw(freeze(value)), ensure_ascii=False)


def _marks(contact: Contact) -> dict[str, Any]:
    """Give what a contact has beside its fields, in brackets."""
    deleted = contact.deleted_at is not None
    parts = {"aliases": contact.aliases, "clocks": contact.clocks, "deleted": deleted}
    return {f"({name})": part for name, part in parts.items() if part}
