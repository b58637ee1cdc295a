"""
The shapes of contacts: the keys that one contact may hold, and their symmetries.

Rules:
    A shape is the letters of each key field, the aliases of keys that keep them, and
    whether the contact is marked as deleted.
    Two shapes are symmetric if swapping the two normal forms of a key maps one to the
    other: no rule that compares for equality alone can tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, TypeAlias, final

from attrs import frozen

from upsertcore.laws.sample_values import Letters
from upsertcore.model.view import Forms
from upsertcore.policy.keys import Key
from upsertcore.policy.policy import Policy, compiled
from upsertcore.values import FrozenMap

__all__ = ["Shape", "Shapes"]

Places: TypeAlias = tuple[int, ...]
"""For each key field 0 if it is absent, else the number of its value, from 1."""

_BLIND = {
    *("replace", "keep", "on_create", "immutable", "ignore", "unset"),
    *("union", "remove", "append"),
}
"""Rules that compare values for equality alone, so that renaming has no effect."""


@final
@frozen
class Shape:
    """
    The keys that a contact holds.

    Args:
        places: The letters of each key field.
        fields: The same as values.
        aliases: At most one for each key that keeps aliases.
        forms: The normal forms that it holds, per key of the policy, aliases last.
        deleted: Whether it is marked as deleted.
    """

    places: Places
    fields: FrozenMap[Any]
    aliases: FrozenMap[tuple[str, ...]]
    forms: Forms
    deleted: bool


@final
class Shapes:
    """
    All shapes of a contact over an alphabet.

    Args:
        policy: The policy.
        keyed: The letters of each key field.

    >>> from upsertcore import field, first_match, normalize
    >>> from upsertcore.laws.sample_values import key_letters
    >>> policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> shapes = Shapes(policy, [key_letters(policy, "id", {})])
    >>> [dict(shape.fields) for shape in shapes.every], shapes.swaps()
    ([{}, {'id': 7}, {'id': 8}], [[0, 2, 1]])
    """

    def __init__(self, policy: Policy, keyed: list[Letters]) -> None:
        self._policy, self._keyed = policy, keyed
        choices = [range(len(letters.stored) + 1) for letters in keyed]
        # Every assignment of the key fields, and its forms per key.
        self._made: dict[Places, Forms] = {}
        for places in product(*choices):
            fields = self._fields(places)
            self._made[places] = tuple([key.forms(fields) for key in policy.all_keys])
        self.every = [*self._shapes()]

    def _fields(self, places: Places) -> FrozenMap[Any]:
        pairs = zip(self._keyed, places, strict=True)
        return FrozenMap({a.name: a.stored[n - 1] for a, n in pairs if n})

    def _shapes(self) -> Iterator[Shape]:
        keys = self._policy.all_keys
        marks = (False,) if self._policy.on_deleted == "forget" else (False, True)
        for places, forms in self._made.items():
            aliases = [self._aliases(n, key, forms[n]) for n, key in enumerate(keys)]
            for chosen in product(*aliases):
                held = tuple([a + b for a, b in zip(forms, chosen, strict=True)])
                if all(
                    key.max_forms is None or len(some) <= key.max_forms
                    for key, some in zip(keys, held, strict=True)
                ):
                    pairs = zip(compiled(self._policy).by_name, chosen, strict=True)
                    named = FrozenMap({name: some for name, some in pairs if some})
                    for mark in marks:
                        yield Shape(places, self._fields(places), named, held, mark)

    def _aliases(
        self, number: int, key: Key, forms: tuple[str, ...]
    ) -> list[tuple[str, ...]]:
        """Return the possible aliases of a key: none, or one."""
        if not key.keep_aliases:
            return [()]
        all_forms = dict.fromkeys(
            form for forms_ in self._made.values() for form in forms_[number]
        )
        return [(), *[(form,) for form in all_forms if form not in forms]]

    def swaps(self) -> list[list[int]]:
        """Return, for each renaming of normal forms, the image of each shape."""
        places = {
            (shape.places, shape.aliases, shape.deleted): number
            for number, shape in enumerate(self.every)
        }
        swaps = []
        for names in self.renamings():
            images = self._renamed(names)
            swaps.append(
                [
                    places[
                        self._swapped(shape.places, names),
                        FrozenMap(
                            {
                                key: tuple([images[key, form] for form in forms])
                                for key, forms in shape.aliases.items()
                            }
                        ),
                        shape.deleted,
                    ]
                    for shape in self.every
                ]
            )
        return swaps

    def renamings(self) -> Iterator[frozenset[str]]:
        """Yield the sets of fields whose two forms may be swapped together."""
        groups: list[frozenset[str]] = []
        for key in self._policy.all_keys:
            appended_fields = [
                group for group in groups if not group.isdisjoint(key.fields)
            ]
            groups = [group for group in groups if group not in appended_fields]
            groups.append(frozenset(key.fields).union(*appended_fields))
        blocked = any(key.blocked for key in self._policy.all_keys)
        blind = [] if blocked else [names for names in groups if self._is_blind(names)]
        for flags in product((False, True), repeat=len(blind)):
            if any(flags):
                chosen = [names for names, on in zip(blind, flags, strict=True) if on]
                yield frozenset().union(*chosen)

    def _is_blind(self, names: frozenset[str]) -> bool:
        return all(
            self._policy.field_options(name).rule.name in _BLIND for name in names
        )

    def _swapped(self, places: Places, names: frozenset[str]) -> Places:
        pairs = zip(self._keyed, places, strict=True)
        return tuple(
            [a.swapped(n - 1) + 1 if n and a.name in names else n for a, n in pairs]
        )

    def _renamed(self, names: frozenset[str]) -> dict[tuple[str, str], str]:
        """Map each form of a key to its image when these fields are renamed."""
        renamed: dict[tuple[str, str], str] = {}
        for places, forms in self._made.items():
            others = self._made[self._swapped(places, names)]
            for key, now, then in zip(
                compiled(self._policy).by_name, forms, others, strict=True
            ):
                renamed.update(((key, a), b) for a, b in zip(now, then, strict=True))
        return renamed
