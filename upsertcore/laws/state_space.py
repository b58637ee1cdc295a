"""
The small world: all states of a few contacts over an alphabet, and all patches.

Rules:
    States that are equal up to renaming the two normal forms are visited once; the
    first of them represents all.
    A field outside the keys is enumerated for the contacts that a call reads; for the
    others, one state represents all values.
    The order is fixed: fewer contacts first, then fewer sent fields.
    The number of states is computed, and a part of a world can be sampled evenly;
    neither visits all states.
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
from upsertcore.laws.call_kinds import MERGED_ID
from upsertcore.laws.contact_shapes import Shapes
from upsertcore.laws.sample_values import Letters, Values, field_letters, key_letters
from upsertcore.laws.trial import State, Trial
from upsertcore.model.contact import Contact
from upsertcore.model.view import Forms
from upsertcore.policy.policy import Policy, compiled
from upsertcore.values import FrozenMap, same

__all__ = ["Patch", "Places", "World", "spread"]

Patch: TypeAlias = Mapping[str, Any]
Places: TypeAlias = tuple[int, ...]
"""The shape number of each contact of a state."""
_OMITTED = object()
_NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
_CLOCKS = (1, 2)
_SOME = 50
"""The number of sample calls for estimating how many contacts a call reads."""


@final
class World:
    """
    The states and patches over the keys of a policy, and perhaps one more field.

    Args:
        policy: The policy.
        line: A field outside the keys; None for the keys alone.
        contacts: The largest number of contacts of a state.
        values: The values to send, by field.

    Raises:
        ValueError: If no values are found for a field; it names the field.

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
        field: str | None,
        *,
        contacts: int = 3,
        values: Values | None = None,
    ) -> None:
        values = {} if values is None else values
        self.policy, self.field, self.contacts = policy, field, contacts
        keyed = dict.fromkeys(name for key in policy.all_keys for name in key.fields)
        self.keyed = [key_letters(policy, name, values) for name in keyed]
        self.letters = None if field is None else field_letters(policy, field, values)
        self.filled = {
            name: field_letters(policy, name, values).sent[0]
            for name in compiled(policy).required
            if name not in keyed and name != field
        }
        self._shapes = Shapes(policy, self.keyed)
        self._merge_values = (
            [] if self.letters is None else self._list_merge_values(self.letters)
        )

    @property
    def states(self) -> list[tuple[Places, int]]:
        """The shapes of each state's contacts, and how many states it represents."""
        sizes = range(self.contacts + 1)
        return [*chain.from_iterable(map(self.states_of, sizes))]

    def states_of(self, size: int) -> Iterator[tuple[Places, int]]:
        """Yield the states of one number of contacts, as :attr:`states` lists them."""
        return self._extensions((), 0, size)

    def _extensions(
        self, places: Places, used: int, size: int
    ) -> Iterator[tuple[Places, int]]:
        """Yield the states that begin with these contacts."""
        images = self._images(places)
        if any(image < places for image in images):
            return
        if len(places) == size:
            yield places, len({places, *images})
            return
        for number, forms in enumerate(self._unique):
            if not used & forms:
                yield from self._extensions((*places, number), used | forms, size)

    def _images(self, places: Places) -> list[Places]:
        """Return the shapes under each renaming of the normal forms."""
        return [tuple([swap[n] for n in places]) for swap in self._swaps]

    @cached_property
    def _swaps(self) -> list[list[int]]:
        return self._shapes.swaps()

    @cached_property
    def _unique(self) -> list[int]:
        """The unique keys of each shape, with one bit for each normal form."""
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
        Compute the number of states of one number of contacts.

        Cost:
            Linear in the shapes of a contact, quadratic in the sets of unique keys.
        """
        # Burnside's lemma: the number of states up to renaming is the mean number of
        # states that a renaming leaves unchanged.
        numbers = range(len(self._unique))
        kept = [[n for n in numbers if swap[n] == n] for swap in self._swaps]
        counts = [self._count_compatible(names, size) for names in ([*numbers], *kept)]
        return sum(counts) // len(counts)

    def _count_compatible(self, shapes: list[int], size: int) -> int:
        """Count the sequences of shapes of which no two hold the same unique key."""
        kinds = Counter([self._unique[n] for n in shapes])
        ends = Counter({0: 1})
        for _ in range(size):
            grown: Counter[int] = Counter()
            for used, times in ends.items():
                for forms, count in kinds.items():
                    if not used & forms:
                        grown[used | forms] += times * count
            ends = grown
        return ends.total()

    def state(self, places: tuple[int, ...]) -> State:
        """Make the state of contacts with these shapes."""
        return tuple([self._contact_of(seat, n) for seat, n in enumerate(places)])

    def _contact_of(self, seat: int, place: int) -> tuple[Contact, Forms]:
        """Make the contact of a shape; one created later was updated earlier."""
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

    def named_states(self, size: int) -> Iterator[tuple[State, int]]:
        """
        Yield the states in which calls have ids and options.

        For the keys alone these are all states; a contact was merged into the first
        one of each. With a field, one contact with a key has each value of it.
        """
        if self.letters is not None:
            for variant in self._variants(
                self.letters, self._contact_of(0, self._full)
            ):
                yield (variant,), 1
            return
        for places, weight in self.states_of(size):
            yield self._named_state(places), weight

    def sample_named(self, size: int, count: int) -> Iterator[tuple[State, int, int]]:
        """Sample these states evenly, each with a weight and a number below *count*."""
        if self.letters is not None:
            states = [*self.named_states(size)]
            for place in spread(len(states) * count):
                number, seat = divmod(place, len(states))
                yield *states[seat], number
            return
        for places, number, _digits in self._sample_places(size, count, 1):
            weight = len({places, *self._images(places)})
            yield self._named_state(places), weight, number

    def _named_state(self, places: Places) -> State:
        """Make a state into whose first contact another one was merged."""
        state = self.state(places)
        if not state:
            return state
        (first, forms), *others = state
        return ((evolve(first, merged_ids=(MERGED_ID,)), forms), *others)

    def named_count(self, size: int) -> int:
        """Compute the number of states of :meth:`named_states`."""
        return self.count(size) if self.letters is None else self._values

    def named_patches(self, size: int) -> list[Patch]:
        """
        List the patches of calls with ids and options, in one spelling.

        For the keys alone: as those of logs, and for states of one contact each key
        null and blank. With a field: the keys of the one contact, and each value of the
        field, or none.
        """
        if self.letters is None:
            empties: tuple[Any, ...] = (None, "") if size < 2 else ()
            odd = [{**self.filled, a.name: v} for a in self.keyed for v in empties]
            return [*self.log_patches(), *odd]
        keys = self._shapes.every[self._full].fields
        sent = [(self.letters.name, (_OMITTED, None, " ", *self.letters.sent))]
        sent += [(clock, (_OMITTED, _CLOCKS[-1])) for clock in self.clocks]
        names = [name for name, _values in sent]
        choices = product(*[values for _name, values in sent])
        return [{**keys, **self._patch(names, values)} for values in choices]

    @cached_property
    def patches(self) -> list[Patch]:
        """All patches, those with fewer fields first."""
        return sorted(map(self._patch_at, range(self.patch_count)), key=len)

    @cached_property
    def patch_count(self) -> int:
        """How many patches there are."""
        return self._product + len(self._apart)

    def _patch_at(self, place: int) -> Patch:
        """Return one of the patches, by its number."""
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
        names, patches = [letters.name for letters in self.keyed], []
        plain = [(_OMITTED, *letters.stored[:2]) for letters in self.keyed]
        for place, letters in enumerate(self.keyed if self.field is None else ()):
            choices = [*plain[:place], letters.odd, *plain[place + 1 :]]
            patches += [self._patch(names, values) for values in product(*choices)]
        return [*patches, *([{}] if self.filled else [])]

    @cached_property
    def _choices(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Return the values that a patch may have for each field."""
        spelled = self.field is None
        choices = [(a.name, self._sendable(a, spelled=spelled)) for a in self.keyed]
        if self.letters is not None:
            sent = (_OMITTED, None, " ", *self.letters.sent)
            choices.append((self.letters.name, sent))
        return [*choices, *[(clock, (_OMITTED, *_CLOCKS)) for clock in self.clocks]]

    def log_patches(self) -> list[Patch]:
        """List the patches that logs consist of; each value has one spelling."""
        sent = [(_OMITTED, *letters.stored) for letters in self.keyed]
        names = [letters.name for letters in self.keyed]
        if self.letters is not None:
            sent.append(self.letters.stored)
            names.append(self.letters.name)
        for clock in self.clocks:
            sent.append(_CLOCKS)
            names.append(clock)
        return [self._patch(names, values) for values in product(*sent)]

    def renamed_patches(self, patches: list[Patch]) -> list[list[int]]:
        """Return, for each renaming of normal forms, the image of each patch."""
        places = {_identity(patch): n for n, patch in enumerate(patches)}
        return [
            [places[_identity(self._rename(patch, names))] for patch in patches]
            for names in self._shapes.renamings()
        ]

    def _rename(self, patch: Patch, names: frozenset[str]) -> Patch:
        renamed = dict(patch)
        for letters in self.keyed:
            if letters.name in names and letters.name in patch:
                value = patch[letters.name]
                place = next(n for n, v in enumerate(letters.stored) if v is value)
                renamed[letters.name] = letters.stored[letters.swapped(place)]
        return renamed

    @property
    def clocks(self) -> list[str]:
        """The fields that are the clock of one of this world's fields."""
        names = [letters.name for letters in self.keyed]
        names += [] if self.field is None else [self.field]
        clocks = dict.fromkeys(
            self.policy.field_options(name).rule.by for name in names
        )
        return [name for name in clocks if name is not None and name not in names]

    def _sendable(self, letters: Letters, *, spelled: bool) -> tuple[Any, ...]:
        if spelled:
            return (_OMITTED, None, "", *letters.sent)
        return (_OMITTED, *letters.stored)

    def _patch(self, names: list[str], values: tuple[Any, ...]) -> Patch:
        pairs = zip(names, values, strict=True)
        sent = {name: value for name, value in pairs if value is not _OMITTED}
        return {**self.filled, **sent}

    def trials(self, places: tuple[int, ...]) -> Iterator[tuple[Trial, int]]:
        """Yield each trial in a state, and how many states it represents."""
        state, letters = self.state(places), self.letters
        if letters is None:
            yield from [(Trial(self.policy, state, patch), 1) for patch in self.patches]
            return
        cached: dict[tuple[int, ...], list[State]] = {}
        variants = [self._variants(letters, seated) for seated in state]
        for patch, is_readable in zip(self.patches, self._readable, strict=True):
            # The sent value of the field does not affect which contacts are read.
            keys = tuple([id(patch.get(a.name, _OMITTED)) for a in self.keyed])
            if not is_readable:
                states = [state]
            elif keys in cached:
                states = cached[keys]
            else:
                seats = self._read(state, patch)
                pools = [vs if n in seats else vs[:1] for n, vs in enumerate(variants)]
                states = cached[keys] = [*product(*pools)]
            stands = math.prod(map(len, variants)) // len(states)
            yield from [(Trial(self.policy, s, patch), stands) for s in states]

    def merges(self, size: int) -> Iterator[tuple[State, int]]:
        """
        Yield states of contacts to merge into the first of them.

        For the keys alone these are all states. With a field, each contact has each
        value of it, blank and default included, and each clock; the second contact has
        a key, and the others none. If the ``on_merge`` rule uses update times, every
        order of updates is tried.
        """
        if self.letters is None:
            for places, weight in self.states_of(size):
                yield self.state(places), weight
            return
        for place in range(self.merge_count(size)):
            yield self._merge_at(size, place), 1

    def sample_merges(self, size: int, count: int) -> Iterator[tuple[State, int, int]]:
        """Sample merges as :meth:`sample` calls, each with a number below *count*."""
        if self.letters is None:
            for places, number, _digits in self._sample_places(size, count, 1):
                weight = len({places, *self._images(places)})
                yield self.state(places), weight, number
            return
        merges = self.merge_count(size)
        for place in spread(merges * count):
            number, merge = divmod(place, merges)
            yield self._merge_at(size, merge), 1, number

    def merge_count(self, size: int) -> int:
        """Compute the number of merges of one number of contacts."""
        if self.letters is None:
            return self.count(size)
        return math.prod([len(self._merge_values)] * size) * len(self._orders(size))

    def _merge_at(self, size: int, place: int) -> State:
        orders = self._orders(size)
        place, turn = divmod(place, len(orders))
        state: list[tuple[Contact, Forms]] = []
        for seat, hour in enumerate(orders[turn]):
            place, digit = divmod(place, len(self._merge_values))
            fields, clocks = self._merge_values[digit]
            contact, forms = self._contact_of(seat, self._bare[seat == 1])
            updated, own = _NOON + timedelta(hours=9 - hour), dict(contact.fields)
            merged = evolve(
                contact, fields={**own, **fields}, clocks=clocks, updated_at=updated
            )
            state.append((merged, forms))
        return tuple(state)

    def _orders(self, size: int) -> list[tuple[int, ...]]:
        """Return the possible orders of updates, if the rule uses update times."""
        rule = None if self.field is None else self.policy.merge_rule(self.field)
        dated = rule is not None and rule.merges_only and rule.by is not None
        return [*permutations(range(size))] if dated else [tuple(range(size))]

    @cached_property
    def _bare(self) -> tuple[int, int]:
        """The shape without a key, and the first one with a key, if there is one."""
        shapes = [
            n
            for n, shape in enumerate(self._shapes.every)
            if not (shape.deleted or shape.aliases)
        ]
        keyed = [n for n in shapes if any(self._shapes.every[n].forms)]
        bare = next(n for n in shapes if n not in keyed)
        return bare, keyed[0] if keyed else bare

    @cached_property
    def _full(self) -> int:
        """The first shape with as many keys as any, without aliases."""
        shapes = self._shapes.every
        own = [n for n, one in enumerate(shapes) if not (one.deleted or one.aliases)]
        return max(own, key=lambda n: sum(map(bool, shapes[n].forms)))

    def _list_merge_values(
        self, letters: Letters
    ) -> list[tuple[FrozenMap[Any], FrozenMap[Any]]]:
        """List the values, with clocks, that a merged contact may have for a field."""
        name, stored = letters.name, [*letters.stored, ""]
        first = stored[0]
        if isinstance(first, FrozenMap):
            stored.append(FrozenMap({**first, next(iter(first)): ""}))
        default = dict(compiled(self.policy).defaults).get(name)
        if default is not None and not any(same(default, other) for other in stored):
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

    def sample(self, size: int) -> Iterator[tuple[Trial, int]]:
        """
        Sample trials with one number of contacts evenly, each once, in a fixed order.

        If it is exhausted, every trial has been yielded, with every value of the field
        whether the call reads its contact or not; states that are equal up to renaming
        are not skipped.
        """
        for places, patch, digits in self._sample_cases(size):
            weight, state = len({places, *self._images(places)}), self.state(places)
            if self.letters is not None:
                variants_of = [self._variants(self.letters, seated) for seated in state]
                pairs = zip(variants_of, digits, strict=True)
                state = tuple([variants[digit] for variants, digit in pairs])
            yield Trial(self.policy, state, patch), weight

    def estimate(self, size: int) -> int:
        """
        Estimate the number of trials with one number of contacts.

        Cost:
            As :meth:`count`, and a fixed number of calls.
        """
        calls = self.count(size) * self.patch_count
        if self.letters is None or not size:
            return calls
        variants: list[int] = []
        for places, patch, _digits in islice(self._sample_cases(size), _SOME):
            taken = self._is_readable(patch)
            seats = self._read(self.state(places), patch) if taken else []
            variants.append(math.prod([self._values] * len(seats)))
        return calls * sum(variants) // len(variants)

    def _sample_cases(self, size: int) -> Iterator[tuple[Places, Patch, list[int]]]:
        """Yield shapes, a patch, and for each contact the number of its value."""
        cases = self._sample_places(size, self.patch_count, self._values)
        for places, patch, digits in cases:
            yield places, self._patch_at(patch), digits

    def _sample_places(
        self, size: int, count: int, values: int
    ) -> Iterator[tuple[Places, int, list[int]]]:
        """Yield shapes, a number below *count*, and one below *values* per contact."""
        shapes = len(self._shapes.every)
        for place in spread((shapes * values) ** size * count):
            rest, item = divmod(place, count)
            places, used = [], 0
            for _ in range(size):
                rest, number = divmod(rest, shapes)
                forms = self._unique[number]
                if used & forms:
                    break
                used |= forms
                places.append(number)
            else:
                digits = [rest // values**n % values for n in range(size)]
                yield tuple(places), item, digits

    @cached_property
    def _values(self) -> int:
        """The number of values, with clocks, of the field of this world."""
        return len(self._field_values(self.letters)) if self.letters is not None else 1

    @cached_property
    def _readable(self) -> list[bool]:
        """For each patch, whether the policy can read it."""
        return [self._is_readable(patch) for patch in self.patches]

    def _is_readable(self, patch: Patch) -> bool:
        try:
            read_patch(self.policy, patch)
        except Refused:
            return False
        return True

    def _variants(
        self, letters: Letters, seated: tuple[Contact, Forms]
    ) -> list[tuple[Contact, Forms]]:
        """Return a contact with each value and each clock that the field may have."""
        contact, forms = seated
        variants = []
        for value, clock in self._field_values(letters):
            own = {} if value is _OMITTED else {letters.name: value}
            written = {} if clock is None else {letters.name: clock}
            fields, clocked = {**contact.fields, **own}, FrozenMap(written)
            variants.append((evolve(contact, fields=fields, clocks=clocked), forms))
        return variants

    def _field_values(self, letters: Letters) -> list[tuple[Any, Any]]:
        """Return the values of a field, with clocks, that a contact may have."""
        options = self.policy.field_options(letters.name)
        stored = [
            _OMITTED,
            *letters.stored,
            *([""] if options.blank == "store" else []),
        ]
        clocks: list[Any] = [None, *(_CLOCKS if options.rule.by is not None else ())]
        return [*product(stored, clocks)]

    def _read(self, state: State, patch: Patch) -> list[int]:
        """List the places of the contacts that a call and its repetition read."""
        trial = Trial(self.policy, state, patch)
        seats: dict[int, None] = {}
        ids = [contact.id for contact, _forms in state]
        sent = read_patch(self.policy, patch)
        for _ in "ab":
            index, match = trial.book._index, self.policy.match  # noqa: SLF001
            own_id = None, self.policy.id_field or ""
            names = compiled(self.policy).by_name
            asked = Request(names, sent, index, "", match, own_id=own_id)
            with suppress(Refused):
                decide_request(self.policy, asked)
            seats.update((ids.index(id), None) for id in asked.contacts if id in ids)
            _ = trial.first
        return [*seats]


def _identity(patch: Patch) -> tuple[tuple[str, int], ...]:
    """Return a key that distinguishes patches over the letters of a world."""
    return tuple([(name, id(value)) for name, value in patch.items()])


def spread(total: int) -> Iterator[int]:
    """
    Yield each number below a total once, early ones far apart, in a fixed order.

    >>> [*spread(7)]
    [0, 4, 1, 5, 2, 6, 3]
    """
    # About the golden ratio: each number is far from all earlier ones.
    step = max(total * 618_034 // 1_000_000, 1)
    while math.gcd(step, total) > 1:
        step += 1
    yield from (place * step % total for place in range(total))
