"""
The small world: every state of a few contacts over an alphabet, and every patch.

Rules:
    States that differ by the names of the two normal forms alone are one: the first
    of them is visited, and it stands for all.
    A field that no key is made of is spelled out for the contacts that a call reads;
    for those that it does not read, one state stands for all their values.
    The order is fixed: fewer contacts first, then fewer sent fields.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import product
from typing import Any, TypeAlias, final

from attrs import evolve

from upsertcore.contact import Contact
from upsertcore.errors import Refused
from upsertcore.laws.alphabet import Letters, Values, key_letters, line_letters
from upsertcore.laws.shapes import Shapes
from upsertcore.laws.trial import State, Trial
from upsertcore.patch import Asked, read
from upsertcore.plan import decide
from upsertcore.policy import Policy
from upsertcore.values import FrozenMap
from upsertcore.view import Forms

__all__ = ["Patch", "World"]

Patch: TypeAlias = Mapping[str, Any]
_OMITTED = object()
_NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
_CLOCKS = (1, 2)


@final
class World:
    """
    The states and patches over the keys of a policy, and perhaps one more field.

    Args:
        policy: The table.
        line: A field that no key is made of; None for the keys alone.
        contacts: Up to how many contacts a state has.
        values: What a host wants to be sent, by field.

    Raises:
        ValueError: If there is no alphabet for a field; it names the field.

    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> world = World(policy, None, contacts=2)
    >>> len(world.patches), world.states  # doctest: +NORMALIZE_WHITESPACE
    (7, [((), 1), ((0,), 1), ((1,), 2), ((0, 0), 1), ((0, 1), 2), ((1, 0), 2),
         ((1, 1), 2), ((1, 2), 2)])
    """

    def __init__(
        self,
        policy: Policy,
        line: str | None,
        *,
        contacts: int = 3,
        values: Values | None = None,
    ) -> None:
        values = {} if values is None else values
        self.policy, self.line, self.contacts = policy, line, contacts
        keyed = dict.fromkeys(name for key in policy.keys for name in key.fields)
        self.keyed = [key_letters(policy, name, values) for name in keyed]
        self.letters = None if line is None else line_letters(policy, line, values)
        self.filled = {
            name: line_letters(policy, name, values).sent[0]
            for name in policy.needed
            if name not in keyed and name != line
        }
        self._shapes = Shapes(policy, self.keyed)

    @cached_property
    def states(self) -> list[tuple[tuple[int, ...], int]]:
        """The shapes of the contacts of each state, and for how many it stands."""
        swaps, numbers = self._shapes.swaps(), range(len(self._shapes.every))
        found = []
        for size in range(self.contacts + 1):
            for places in product(numbers, repeat=size):
                images = [tuple([swap[n] for n in places]) for swap in swaps]
                if all(places <= each for each in images) and self._may_be(places):
                    found.append((places, len({places, *images})))
        return found

    def _may_be(self, places: tuple[int, ...]) -> bool:
        """Tell whether no two contacts hold the same unique key."""
        if self.policy.on_clash == "allow":
            return True
        shapes = [self._shapes.every[n] for n in places]
        for n, key in enumerate(self.policy.keys):
            held = [form for shape in shapes for form in shape.forms[n]]
            if key.unique and len({*held}) < len(held):
                return False
        return True

    def state(self, places: tuple[int, ...]) -> State:
        """Make the state whose contacts have these shapes."""
        return tuple([self._seated(seat, n) for seat, n in enumerate(places)])

    def _seated(self, seat: int, place: int) -> tuple[Contact, Forms]:
        """Make the contact of a shape; those created later were updated earlier."""
        shape = self._shapes.every[place]
        created = _NOON + timedelta(minutes=seat)
        updated = _NOON + timedelta(hours=9 - seat)
        contact = Contact(
            id=f"c-{seat + 1}",
            scope="",
            fields=shape.fields,
            version=seat + 1,
            created_at=created,
            updated_at=updated,
            aliases=shape.aliases,
            deleted_at=updated if shape.deleted else None,
        )
        return contact, shape.forms

    @cached_property
    def patches(self) -> list[Patch]:
        """Every patch, those that say less in front."""
        spelled = self.line is None
        choices = [self._sendable(letters, spelled=spelled) for letters in self.keyed]
        names = [letters.name for letters in self.keyed]
        if self.letters is not None:
            choices.append((_OMITTED, None, " ", *self.letters.sent))
            names.append(self.letters.name)
        for clock in self.clocks:
            choices.append((_OMITTED, *_CLOCKS))
            names.append(clock)
        made = [self._patch(names, each) for each in product(*choices)]
        if self.filled:
            made.append({})
        return sorted(made, key=len)

    def spoken(self) -> list[Patch]:
        """List the patches of which logs are made: what they send, in one spelling."""
        sent = [(_OMITTED, *letters.stored) for letters in self.keyed]
        names = [letters.name for letters in self.keyed]
        if self.letters is not None:
            sent.append(self.letters.stored)
            names.append(self.letters.name)
        for clock in self.clocks:
            sent.append(_CLOCKS)
            names.append(clock)
        return [self._patch(names, each) for each in product(*sent)]

    @property
    def clocks(self) -> list[str]:
        """The fields that are the clock of one of this world's fields."""
        names = [letters.name for letters in self.keyed]
        names += [] if self.line is None else [self.line]
        found = dict.fromkeys(self.policy.line(name).merge.by for name in names)
        return [name for name in found if name is not None and name not in names]

    def _sendable(self, letters: Letters, *, spelled: bool) -> tuple[Any, ...]:
        if spelled:
            return (_OMITTED, None, "", *letters.sent)
        return (_OMITTED, *letters.stored)

    def _patch(self, names: list[str], values: tuple[Any, ...]) -> Patch:
        pairs = zip(names, values, strict=True)
        sent = {name: value for name, value in pairs if value is not _OMITTED}
        return {**self.filled, **sent}

    def trials(self, places: tuple[int, ...]) -> Iterator[tuple[Trial, int]]:
        """Give each trial in a state, and for how many states it stands."""
        state, letters = self.state(places), self.letters
        if letters is None:
            yield from [(Trial(self.policy, state, patch), 1) for patch in self.patches]
            return
        spelled: dict[tuple[int, ...], list[State]] = {}
        each = [self._variants(letters, seated) for seated in state]
        for patch, taken in zip(self.patches, self._taken, strict=True):
            # What is sent for the field itself has no part in who is read.
            keys = tuple([id(patch.get(a.name, _OMITTED)) for a in self.keyed])
            if not taken:
                states = [state]
            elif keys in spelled:
                states = spelled[keys]
            else:
                seats = self._read(state, patch)
                pools = [vs if n in seats else vs[:1] for n, vs in enumerate(each)]
                states = spelled[keys] = [*product(*pools)]
            stands = math.prod(map(len, each)) // len(states)
            yield from [(Trial(self.policy, s, patch), stands) for s in states]

    @cached_property
    def _taken(self) -> list[bool]:
        """Of each patch, whether it can be read at all, whatever a book holds."""
        return [self._is_taken(patch) for patch in self.patches]

    def _is_taken(self, patch: Patch) -> bool:
        try:
            read(self.policy, patch)
        except Refused:
            return False
        return True

    def _variants(
        self, letters: Letters, seated: tuple[Contact, Forms]
    ) -> list[tuple[Contact, Forms]]:
        """Give a contact with each value, and each clock, that the field may have."""
        contact, forms = seated
        line = self.policy.line(letters.name)
        stored = [_OMITTED, *letters.stored, *([""] if line.blank == "store" else [])]
        clocks: list[Any] = [None, *(_CLOCKS if line.merge.by is not None else ())]
        made = []
        for value, clock in product(stored, clocks):
            own = {} if value is _OMITTED else {letters.name: value}
            written = {} if clock is None else {letters.name: clock}
            fields, clocked = {**contact.fields, **own}, FrozenMap(written)
            made.append((evolve(contact, fields=fields, clocks=clocked), forms))
        return made

    def _read(self, state: State, patch: Patch) -> list[int]:
        """List the seats of the contacts that a call reads, sent once and again."""
        trial = Trial(self.policy, state, patch)
        seats: dict[int, None] = {}
        ids = [contact.id for contact, _forms in state]
        sent = read(self.policy, patch)
        for _ in "ab":
            index, match = trial.book._index, self.policy.match  # noqa: SLF001
            asked = Asked(self.policy.by_name, sent, index, "", match)
            with suppress(Refused):
                decide(self.policy, asked)
            seats.update((ids.index(id), None) for id in asked.contacts if id in ids)
            _ = trial.first
        return [*seats]
