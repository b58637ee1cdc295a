"""
The card: the verdict on each law under one policy, tried in a whole small world.

Rules:
    Every trial of the world is made, and none is random. With a limit, a part of each
    kind is tried, and the card reports what is left out.
    A law that fails is shown with its smallest counterexample.
    Laws that a policy does not claim are tried too, and marked as not claimed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, TypeAlias, final

from attrs import field, frozen

from upsertcore.laws.all_laws import CALLS, LOGS, MERGES, OF_KEYS
from upsertcore.laws.card_size import Kind, Part, Shown, Tried, parts_of, shares
from upsertcore.laws.claims import claims
from upsertcore.laws.errors import LawBroken
from upsertcore.laws.sample_values import Values, distinct_fields
from upsertcore.laws.state_space import Patch, World
from upsertcore.model.contact import Contact
from upsertcore.policy.policy import Policy
from upsertcore.values import freeze, thaw

__all__ = ["Counterexample", "LawCard", "Verdict", "card", "estimate"]

Progress: TypeAlias = Callable[[int, int], None]
Law: TypeAlias = Callable[[Any], bool]

_EVERY = 100
"""The number of calls between two reports of progress."""


@final
@frozen
class Counterexample:
    """
    The smallest trial in which a law fails.

    Args:
        contacts: The contacts of the book; none for a log.
        patches: The patches that are sent.
        reason: What is wrong with the result.
        call: How they are sent; blank for a plain upsert, a log or a merge.
    """

    contacts: tuple[Contact, ...]
    patches: tuple[Patch, ...]
    reason: str
    call: str = ""

    def __str__(self) -> str:
        held = [f"{c.id} {_json({**c.fields, **_marks(c)})}" for c in self.contacts]
        sent = [_json(patch) for patch in self.patches]
        lines = [
            *[f"holds {verdict}" for verdict in held],
            *[f"sent {verdict}" for verdict in sent],
            *([f"by {self.call}"] if self.call else []),
        ]
        return "\n".join([*lines, self.reason])

    def size(self) -> tuple[int, int, int]:
        """Return the number of contacts, of patches, and of their fields."""
        fields = [*self.patches, *[contact.fields for contact in self.contacts]]
        return len(self.contacts), len(self.patches), sum(map(len, fields))


@final
@frozen
class Verdict:
    """
    The verdict on one law.

    Args:
        law: Its name.
        says: The law in a sentence.
        claimed: Whether the policy claims it.
        calls: The number of trials to which it applies.
        stands_for: The number of trials that these represent, with symmetric ones.
        broken: The smallest counterexample, None if the law holds.

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
        """Whether no trial of the world breaks it."""
        return self.broken is None


@final
@frozen
class LawCard:
    """
    The verdicts on all laws under one policy; ``str()`` makes a report.

    Args:
        world: What was tried, in words.
        verdicts: One per law.
        left_out: What was not tried because of a limit, in words, part by part.

    >>> from upsertcore import field, first_match, normalize
    >>> fields = {"id": field(key=normalize.exact, unique=True), "name": field()}
    >>> laws = card(Policy(first_match("id"), fields), contacts=1)
    >>> laws.kept, laws["idempotent"].holds, laws["log_again"].holds
    (True, True, False)
    """

    world: tuple[str, ...]
    verdicts: tuple[Verdict, ...] = field(repr=False)
    left_out: tuple[str, ...] = ()

    def __getitem__(self, law: str) -> Verdict:
        return next(verdict for verdict in self.verdicts if verdict.law == law)

    @property
    def kept(self) -> bool:
        """Whether every law that the policy claims holds."""
        return all(verdict.holds for verdict in self.verdicts if verdict.claimed)

    def __str__(self) -> str:
        lines = [*self.world, *self.left_out]
        for verdict in self.verdicts:
            lines.append(f"{verdict.law:<24}{_verdict_text(verdict)}")
            if verdict.broken is not None:
                lines += [f"    {line}" for line in str(verdict.broken).split("\n")]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """
        Make a mapping of plain values, ready for JSON.

        >>> LawCard(("keys: id",), ()).to_dict()
        {'world': ['keys: id'], 'left_out': [], 'laws': []}
        """
        laws = [
            {
                "law": verdict.law,
                "says": verdict.says,
                "claimed": verdict.claimed,
                "holds": verdict.holds,
                "calls": verdict.calls,
                "stands_for": verdict.stands_for,
                **(
                    {}
                    if verdict.broken is None
                    else {"counterexample": str(verdict.broken)}
                ),
            }
            for verdict in self.verdicts
        ]
        world, left_out = [*self.world], [*self.left_out]
        return {"world": world, "left_out": left_out, "laws": laws}


def card(
    policy: Policy,
    *,
    contacts: int = 3,
    values: Values | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> LawCard:
    """
    Try every law in every state and with every patch of a small world.

    Args:
        policy: The policy.
        contacts: The largest number of contacts of a state.
        values: Field name to values to send, for fields for which none are found; a
            key needs two normal forms.
        limit: The largest number of calls, merges and logs to try: the same number of
            each part of the world, spread evenly, or all of a smaller part. The card
            reports what is left out. None for all.
        progress: Called at the start and at intervals, with the number of calls that
            are tried, and the estimated total.

    Returns:
        One verdict per law.

    Raises:
        ValueError: If no values are found for a field (it names the field), or *limit*
            is not a positive number.

    Cost:
        Exponential in the contacts and in the keys: seconds for two keys and three
        contacts. Linear in *limit*: about a thousand calls a second.
        :func:`estimate` returns the number of calls.

    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> some = card(policy, limit=100)
    >>> some.kept, some["unique"].calls, some.left_out[0]
    (True, 69, 'tried 10 of about 18: keys alone, states of 1 contact')
    """
    if limit is not None and (type(limit) is not int or limit < 1):
        raise ValueError(f"limit: must be a number of calls from 1, not {limit!r}")
    worlds = _worlds(policy, contacts, values)
    parts = [part for world in worlds for part in parts_of(world)]
    limits = None if limit is None else shares(parts, limit)
    watch = _Progress(progress, parts, limits)
    tally = _Tally(policy)
    left_out: dict[Part, str] = {}
    for part in parts if limits is None else limits:
        share = None if limits is None else limits[part]
        is_whole = share is None or part.estimate <= share
        cases = part.all_cases() if is_whole else part.sample()
        tally.try_cases(part, watch.over(islice(cases, share)))
        if next(cases, None) is not None:
            left_out[part] = f"tried {share:,} of about {part.estimate:,}: {part}"
    watch.end()
    keys = ", ".join(key.name for key in policy.all_keys) or "none"
    lines = ", ".join(world.field for world in worlds if world.field) or "none"
    world_text = (
        f"states of up to {contacts} contact{'s' * (contacts != 1)}; keys: {keys}",
        f"with one other field at a time: {lines}",
    )
    left_out_text = [left_out[part] for part in parts if part in left_out]
    return LawCard(world_text, tally.verdicts(), tuple(left_out_text))


def estimate(policy: Policy, *, contacts: int = 3, values: Values | None = None) -> int:
    """
    Estimate how many calls, merges and logs a card tries, without trying them.

    Args:
        policy: As in :func:`card`.
        contacts: As in :func:`card`.
        values: As in :func:`card`.

    Raises:
        ValueError: As :func:`card`.

    Cost:
        Exponential in the keys, but not in the contacts; some calls of each part.

    >>> from upsertcore import field, first_match, normalize
    >>> keys = {name: field(key=normalize.exact) for name in ("id", "code", "number")}
    >>> estimate(Policy(first_match(*keys), keys))
    1198168
    """
    worlds = _worlds(policy, contacts, values)
    return sum(part.estimate for world in worlds for part in parts_of(world))


def _worlds(policy: Policy, contacts: int, values: Values | None) -> list[World]:
    """Make the world of the keys alone, and one for each distinct set of options."""
    return [
        World(policy, line, contacts=contacts, values=values)
        for line in (None, *distinct_fields(policy))
    ]


class _Progress:
    """Counts what is tried, and reports progress."""

    def __init__(
        self,
        progress: Progress | None,
        parts: list[Part],
        shared: dict[Part, int] | None,
    ) -> None:
        self._progress, self._count, self._total = progress, 0, 0
        if progress is not None:
            totals = (
                [part.estimate for part in parts]
                if shared is None
                else [*shared.values()]
            )
            self._total = sum(totals)
        self._report()

    def over(self, cases: Iterable[Tried]) -> Iterable[Tried]:
        """Yield what is tried, and count it."""
        for case in cases:
            yield case
            self._count += 1
            if self._count % _EVERY == 0:
                self._report()

    def end(self) -> None:
        """Report completion; the total, an estimate until then, is exact."""
        self._total = self._count
        self._report()

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(self._count, max(self._count, self._total))


_LAWS: Mapping[Kind, Mapping[str, Law]] = {
    "calls": CALLS,
    "named": CALLS,
    "merges": MERGES,
    "patched": MERGES,
    "logs": LOGS,
}


def _all_laws() -> dict[str, Law]:
    """Return every law, in the order of the card."""
    return {name: law for laws in _LAWS.values() for name, law in laws.items()}


class _Tally:
    """Counts, law by law, and keeps the smallest counterexample of each."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._counts = {name: [0, 0] for name in _all_laws()}
        self._broken: dict[str, Counterexample] = {}
        self._laws: dict[tuple[str | None, str], dict[str, Law]] = {}

    def try_cases(self, part: Part, cases: Iterable[Tried]) -> None:
        """Try the laws of a part that are not broken in its world."""
        kind = part.world.field, "calls" if part.kind == "named" else part.kind
        laws = self._laws.get(kind)
        if laws is None:
            excluded = {*(OF_KEYS if part.world.field is not None else ())}
            if part.kind == "patched":
                # Merges themselves have been tried already.
                excluded = MERGES.keys() - {"patch_after_merge"}
            all_laws = _LAWS[part.kind]
            laws = {name: law for name, law in all_laws.items() if name not in excluded}
        for case, shown, weight in cases:
            laws = self._unbroken(laws, case, shown, weight)
        self._laws[kind] = laws

    def _unbroken(
        self, laws: dict[str, Law], case: Any, shown: Shown, weight: int
    ) -> dict[str, Law]:
        """Try laws on one case; return those that are not broken in this world."""
        failed = [
            name for name in laws if not self._try(name, laws, case, shown, weight)
        ]
        if not failed:
            return laws
        return {name: law for name, law in laws.items() if name not in failed}

    def _try(
        self, name: str, laws: dict[str, Law], case: Any, shown: Shown, weight: int
    ) -> bool:
        try:
            applies = laws[name](case)
        except LawBroken as error:
            contacts, patches, call = shown
            example = Counterexample(contacts, patches, error.reason, call)
            known = self._broken.get(name)
            if known is None or example.size() < known.size():
                self._broken[name] = example
            return False
        if applies:
            self._counts[name][0] += 1
            self._counts[name][1] += weight
        return True

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return one verdict per law, in their order."""
        return tuple([self._verdict(name, law) for name, law in _all_laws().items()])

    def _verdict(self, name: str, law: Law) -> Verdict:
        says = (law.__doc__ or "").strip().split("\n")[0]
        calls, stands_for = self._counts[name]
        claimed, broken = claims(self._policy, name), self._broken.get(name)
        return Verdict(name, says, claimed, calls, stands_for, broken)


def _verdict_text(verdict: Verdict) -> str:
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
    """Return what a contact has beside its fields, under names in brackets."""
    deleted = contact.deleted_at is not None
    parts = {"aliases": contact.aliases, "clocks": contact.clocks, "deleted": deleted}
    return {f"({name})": part for name, part in parts.items() if part}
