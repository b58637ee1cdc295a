"""
The small world: every state of a few contacts over an alphabet, and every patch.

Rules:
    States that differ by the names of the two normal forms alone are one: the first
    of them is visited, and it stands for all.
    A field that no key is made of is spelled out for the contacts that a call reads;
    for those that it does not read, one state stands for all their values.
    The order is fixed: fewer contacts first, then fewer sent fields.
    How many states there are is computed, not counted, and a part of a world can be
    drawn evenly: neither takes the time that visiting all of it takes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain, islice, permutations, product
from typing import Any, TypeAlias, final

from attrs import evolve

from upsertcore.engine.decide import decide_request
from upsertcore.engine.patch import Request, read_patch
from upsertcore.errors import Refused
from upsertcore.laws.alphabet import Letters, Values, key_letters, line_letters
from upsertcore.laws.shapes import Shapes
from upsertcore.laws.trial import State, Trial
from upsertcore.model.contact import Contact
from upsertcore.model.view import Forms
from upsertcore.policy.policy import Policy, compiled
from upsertcore.values import FrozenMap, same

__all__ = ["Patch", "Places", "World", "evenly"]

Patch: TypeAlias = Mapping[str, Any]
Places: TypeAlias = tuple[int, ...]
"""The number of the shape of each contact of a state."""
_OMITTED = object()
_NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
_CLOCKS = (1, 2)
_SOME = 50
"""By so many calls it is judged how many contacts a call reads."""


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
    (9, [((), 1), ((0,), 1), ((1,), 2), ((0, 0), 1), ((0, 1), 2), ((1, 0), 2),
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
        keyed = dict.fromkeys(name for key in policy.all_keys for name in key.fields)
        self.keyed = [key_letters(policy, name, values) for name in keyed]
        self.letters = None if line is None else line_letters(policy, line, values)
        self.filled = {
            name: line_letters(policy, name, values).sent[0]
            for name in compiled(policy).required
            if name not in keyed and name != line
        }
        self._shapes = Shapes(policy, self.keyed)
        self._joined = [] if self.letters is None else self._merged(self.letters)

    @property
    def states(self) -> list[tuple[Places, int]]:
        """The shapes of the contacts of each state, and for how many it stands."""
        sizes = range(self.contacts + 1)
        return [*chain.from_iterable(map(self.states_of, sizes))]

    def states_of(self, size: int) -> Iterator[tuple[Places, int]]:
        """Give the states of so many contacts, as :attr:`states` lists them."""
        return self._grown((), 0, size)

    def _grown(
        self, places: Places, used: int, size: int
    ) -> Iterator[tuple[Places, int]]:
        """Give the states that begin with these contacts."""
        images = self._images(places)
        if any(image < places for image in images):
            return
        if len(places) == size:
            yield places, len({places, *images})
            return
        for number, forms in enumerate(self._unique):
            if not used & forms:
                yield from self._grown((*places, number), used | forms, size)

    def _images(self, places: Places) -> list[Places]:
        """Give what the shapes become under each renaming of the normal forms."""
        return [tuple([swap[n] for n in places]) for swap in self._swaps]

    @cached_property
    def _swaps(self) -> list[list[int]]:
        return self._shapes.swaps()

    @cached_property
    def _unique(self) -> list[int]:
        """Of each shape the unique keys that it holds, a bit for each normal form."""
        if self.policy.on_key_in_use == "allow":
            return [0] * len(self._shapes.every)
        bits: dict[tuple[int, str], int] = {}
        return [
            sum(
                1 << bits.setdefault((n, form), len(bits))
                for n, key in enumerate(self.policy.all_keys)
                for form in (shape.forms[n] if key.unique else ())
            )
            for shape in self._shapes.every
        ]

    def count(self, size: int) -> int:
        """
        Compute how many states of so many contacts there are.

        Cost:
            The shapes of a contact, and the unique keys that they hold, squared.
        """
        # Burnside: states that renamings make equal are counted by those that each
        # renaming leaves as they are, all of whose contacts it leaves as they are.
        numbers = range(len(self._unique))
        kept = [[n for n in numbers if swap[n] == n] for swap in self._swaps]
        every = [self._fitting(names, size) for names in ([*numbers], *kept)]
        return sum(every) // len(every)

    def _fitting(self, shapes: list[int], size: int) -> int:
        """Count the rows of shapes of which no two hold the same unique key."""
        kinds = Counter([self._unique[n] for n in shapes])
        ends = Counter({0: 1})
        for _ in range(size):
            grown: Counter[int] = Counter()
            for used, times in ends.items():
                for forms, many in kinds.items():
                    if not used & forms:
                        grown[used | forms] += times * many
            ends = grown
        return ends.total()

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
        return sorted(map(self._patch_at, range(self.patch_count)), key=len)

    @cached_property
    def patch_count(self) -> int:
        """How many patches there are."""
        return self._product + len(self._apart)

    def _patch_at(self, place: int) -> Patch:
        """Give one of the patches, in an order of its own."""
        if place >= self._product:
            return self._apart[place - self._product]
        values = []
        for _name, choices in reversed(self._choices):
            place, digit = divmod(place, len(choices))
            values.append(choices[digit])
        return self._patch([name for name, _ in self._choices], tuple(values[::-1]))

    @cached_property
    def _product(self) -> int:
        return math.prod([len(choices) for _name, choices in self._choices])

    @cached_property
    def _apart(self) -> list[Patch]:
        """List the patches with an odd value of one key, and plain ones of others."""
        names, made = [letters.name for letters in self.keyed], []
        plain = [(_OMITTED, *letters.stored[:2]) for letters in self.keyed]
        for place, letters in enumerate(self.keyed if self.line is None else ()):
            choices = [*plain[:place], letters.odd, *plain[place + 1 :]]
            made += [self._patch(names, values) for values in product(*choices)]
        return [*made, *([{}] if self.filled else [])]

    @cached_property
    def _choices(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Give what a patch may say of each field."""
        spelled = self.line is None
        made = [(a.name, self._sendable(a, spelled=spelled)) for a in self.keyed]
        if self.letters is not None:
            sent = (_OMITTED, None, " ", *self.letters.sent)
            made.append((self.letters.name, sent))
        return [*made, *[(clock, (_OMITTED, *_CLOCKS)) for clock in self.clocks]]

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

    def renamed(self, patches: list[Patch]) -> list[list[int]]:
        """Give, for each renaming of normal forms, what each spoken patch becomes."""
        places = {_identity(patch): n for n, patch in enumerate(patches)}
        return [
            [places[_identity(self._renamed(patch, names))] for patch in patches]
            for names in self._shapes.renamings()
        ]

    def _renamed(self, patch: Patch, names: frozenset[str]) -> Patch:
        made = dict(patch)
        for letters in self.keyed:
            if letters.name in names and letters.name in patch:
                value = patch[letters.name]
                place = next(n for n, v in enumerate(letters.stored) if v is value)
                made[letters.name] = letters.stored[letters.swapped(place)]
        return made

    @property
    def clocks(self) -> list[str]:
        """The fields that are the clock of one of this world's fields."""
        names = [letters.name for letters in self.keyed]
        names += [] if self.line is None else [self.line]
        found = dict.fromkeys(self.policy.field_options(name).rule.by for name in names)
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

    def merges(self, size: int) -> Iterator[tuple[State, int]]:
        """
        Give the contacts that may be merged into the first of them.

        Of the keys alone every state is one. With a field each contact has each value
        of it, blank and default among them, and each clock; of the keys the second has
        one, so that it brings something else, and the others none. Where the rule
        between contacts goes by when they were updated, they were so in every order.
        """
        if self.letters is None:
            for places, weight in self.states_of(size):
                yield self.state(places), weight
            return
        for place in range(self.merge_count(size)):
            yield self._merge_at(size, place), 1

    def drawn_merges(self, size: int) -> Iterator[tuple[State, int]]:
        """Draw merges evenly, as :meth:`drawn` draws calls."""
        if self.letters is None:
            known = set[Places]()
            for places, _patch, _digits in self._picked(size):
                if places not in known:
                    known.add(places)
                    yield self.state(places), len({places, *self._images(places)})
            return
        for place in evenly(self.merge_count(size)):
            yield self._merge_at(size, place), 1

    def merge_count(self, size: int) -> int:
        """Compute how many merges of so many contacts there are."""
        if self.letters is None:
            return self.count(size)
        return math.prod([len(self._joined)] * size) * len(self._orders(size))

    def _merge_at(self, size: int, place: int) -> State:
        orders = self._orders(size)
        place, turn = divmod(place, len(orders))
        state: list[tuple[Contact, Forms]] = []
        for seat, hour in enumerate(orders[turn]):
            place, digit = divmod(place, len(self._joined))
            fields, clocks = self._joined[digit]
            contact, forms = self._seated(seat, self._bare[seat == 1])
            updated, own = _NOON + timedelta(hours=9 - hour), dict(contact.fields)
            made = evolve(
                contact, fields={**own, **fields}, clocks=clocks, updated_at=updated
            )
            state.append((made, forms))
        return tuple(state)

    def _orders(self, size: int) -> list[tuple[int, ...]]:
        """Give the orders in which contacts may have been updated, if that counts."""
        dated = self.line is not None and self.policy.merge_rule(self.line).merges_only
        return [*permutations(range(size))] if dated else [tuple(range(size))]

    @cached_property
    def _bare(self) -> tuple[int, int]:
        """The shape that has no key, and the first that has one, if there is any."""
        shapes = [
            n
            for n, shape in enumerate(self._shapes.every)
            if not (shape.deleted or shape.aliases)
        ]
        keyed = [n for n in shapes if any(self._shapes.every[n].forms)]
        bare = next(n for n in shapes if n not in keyed)
        return bare, keyed[0] if keyed else bare

    def _merged(self, letters: Letters) -> list[tuple[FrozenMap[Any], FrozenMap[Any]]]:
        """List what a contact that is merged may have of a field, with its clock."""
        name, stored = letters.name, [*letters.stored, ""]
        first = stored[0]
        if isinstance(first, FrozenMap):
            stored.append(FrozenMap({**first, next(iter(first)): ""}))
        default = dict(compiled(self.policy).defaults).get(name)
        if default is not None and not any(same(default, each) for each in stored):
            stored.append(default)
        clocked = self.policy.field_options(name).rule.by is not None
        clocks: list[Any] = [None, *(_CLOCKS if clocked else ())]
        return [
            (
                FrozenMap({} if value is _OMITTED else {name: value}),
                FrozenMap({} if clock is None else {name: clock}),
            )
            for value, clock in product([_OMITTED, *stored], clocks)
        ]

    def drawn(self, size: int) -> Iterator[tuple[Trial, int]]:
        """
        Draw trials with so many contacts evenly, each once, in a fixed order.

        Every trial of a state and a patch comes at last, and each value of the field
        that is tried, whether the call reads its contact or not; a state that a
        renaming makes equal to another one may come beside it.
        """
        for places, patch, digits in self._picked(size):
            weight, state = len({places, *self._images(places)}), self.state(places)
            if self.letters is not None:
                made = [self._variants(self.letters, seated) for seated in state]
                every = zip(made, digits, strict=True)
                state = tuple([variants[digit] for variants, digit in every])
            yield Trial(self.policy, state, patch), weight

    def about(self, size: int) -> int:
        """
        Tell about how many trials there are with so many contacts.

        Cost:
            As :meth:`count`, and some calls.
        """
        every = self.count(size) * self.patch_count
        if self.letters is None or not size:
            return every
        read_patch: list[int] = []
        for places, patch, _digits in islice(self._picked(size), _SOME):
            taken = self._is_taken(patch)
            seats = self._read(self.state(places), patch) if taken else []
            read_patch.append(math.prod([self._values] * len(seats)))
        return every * sum(read_patch) // len(read_patch)

    def _picked(self, size: int) -> Iterator[tuple[Places, Patch, list[int]]]:
        """Pick shapes, a patch, and for each contact which value it has."""
        shapes, many = len(self._shapes.every), self.patch_count
        for place in evenly((shapes * self._values) ** size * many):
            rest, patch = divmod(place, many)
            places, used = [], 0
            for _ in range(size):
                rest, number = divmod(rest, shapes)
                forms = self._unique[number]
                if used & forms:
                    break
                used |= forms
                places.append(number)
            else:
                digits = [rest // self._values**n % self._values for n in range(size)]
                yield tuple(places), self._patch_at(patch), digits

    @cached_property
    def _values(self) -> int:
        """How many values, with their clocks, the field that is tried may have."""
        return len(self._worn(self.letters)) if self.letters is not None else 1

    @cached_property
    def _taken(self) -> list[bool]:
        """Of each patch, whether it can be read at all, whatever a book holds."""
        return [self._is_taken(patch) for patch in self.patches]

    def _is_taken(self, patch: Patch) -> bool:
        try:
            read_patch(self.policy, patch)
        except Refused:
            return False
        return True

    def _variants(
        self, letters: Letters, seated: tuple[Contact, Forms]
    ) -> list[tuple[Contact, Forms]]:
        """Give a contact with each value, and each clock, that the field may have."""
        contact, forms = seated
        made = []
        for value, clock in self._worn(letters):
            own = {} if value is _OMITTED else {letters.name: value}
            written = {} if clock is None else {letters.name: clock}
            fields, clocked = {**contact.fields, **own}, FrozenMap(written)
            made.append((evolve(contact, fields=fields, clocks=clocked), forms))
        return made

    def _worn(self, letters: Letters) -> list[tuple[Any, Any]]:
        """Give the values of a field, and of its clock, that a contact may have."""
        line = self.policy.field_options(letters.name)
        stored = [_OMITTED, *letters.stored, *([""] if line.blank == "store" else [])]
        clocks: list[Any] = [None, *(_CLOCKS if line.rule.by is not None else ())]
        return [*product(stored, clocks)]

    def _read(self, state: State, patch: Patch) -> list[int]:
        """List the seats of the contacts that a call reads, sent once and again."""
        trial = Trial(self.policy, state, patch)
        seats: dict[int, None] = {}
        ids = [contact.id for contact, _forms in state]
        sent = read_patch(self.policy, patch)
        for _ in "ab":
            index, match = trial.book._index, self.policy.match  # noqa: SLF001
            asked = Request(compiled(self.policy).by_name, sent, index, "", match)
            with suppress(Refused):
                decide_request(self.policy, asked)
            seats.update((ids.index(id), None) for id in asked.contacts if id in ids)
            _ = trial.first
        return [*seats]


def _identity(patch: Patch) -> tuple[tuple[str, int], ...]:
    """Tell a patch of the letters of a world from any other of them."""
    return tuple([(name, id(value)) for name, value in patch.items()])


def evenly(total: int) -> Iterator[int]:
    """
    Give each number below a total once, early ones far apart, in a fixed order.

    >>> [*evenly(7)]
    [0, 4, 1, 5, 2, 6, 3]
    """
    # About the golden ratio: what is drawn next is far from all that was.
    step = max(total * 618_034 // 1_000_000, 1)
    while math.gcd(step, total) > 1:
        step += 1
    yield from (place * step % total for place in range(total))
