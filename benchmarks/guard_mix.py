"""
A mix of new contacts and updates, under the plain policy or one with a difference.

Rules:
    Every mix is about the same people, and sends them in the same order.
    Calls about new and stored contacts alternate; each update changes something.
    Patches are read from text, so that they share no value with what is stored.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from random import Random
from typing import Any, Literal, TypeAlias

from attrs import frozen

from benchmarks.people import FIELDS, email, fields_of, phone, text
from upsertcore import ContactBook, Policy, Strategy, field, first_match, normalize

__all__ = [
    "CALLS",
    "STORED",
    "Mix",
    "Patch",
    "Turn",
    "always",
    "plain_policy",
    "upsert",
]

CALLS = 300
"""The maximum number of calls that a mix makes."""

WARM_UP = 20
"""The number of calls before these, so that imports and caches are not counted."""

STORED = (WARM_UP + CALLS) // 2
"""The number of contacts that are stored before all calls."""

Patch: TypeAlias = dict[str, Any]

_NOW = datetime(2024, 1, 2, tzinfo=UTC)
_BY_KEY = first_match("email", "phone")


@frozen
class Turn:
    """
    One patch of a mix.

    Args:
        person: The number of the person; those below :data:`STORED` are stored.
        call: The number of the call; -1 for a patch that is stored before the calls.
        new: Whether the person is new.
        rng: The random numbers of the mix.
    """

    person: int
    call: int
    new: bool
    rng: Random

    @property
    def is_stored(self) -> bool:
        """Whether the patch is stored before the calls."""
        return self.call < 0

    @property
    def is_update(self) -> bool:
        """Whether the patch updates a contact."""
        return not (self.new or self.is_stored)


Edit: TypeAlias = Callable[[Patch, Turn], Patch]
"""(plain patch, turn) -> patch of the mix."""

Call: TypeAlias = Callable[[ContactBook, Patch, int], str]
"""(book, patch, number of the call) -> result."""


def plain_policy(
    fields: dict[str, Any] | None = None,
    *,
    match: Strategy = _BY_KEY,
    **options: Any,
) -> Policy:
    """
    Return the plain policy, or one with a difference.

    Args:
        fields: Fields that differ from those of the plain policy, or are added.
        match: The strategy.
        options: Other arguments of the policy.

    >>> plain_policy().match, len(plain_policy().fields)
    (first_match('email', 'phone'), 8)
    >>> plain_policy({"size": field()}, on_key_in_use="refuse").on_key_in_use
    'refuse'
    """
    declared = {
        **{name: field() for name in fields_of(8)},
        "email": field(key=normalize.email, unique=True),
        "phone": field(key=normalize.phone, unique=True),
        **(fields or {}),
    }
    return Policy(match, declared, **{"on_key_in_use": "withhold", **options})


_PLAIN = plain_policy()


def always(**values: Any) -> Edit:
    """
    Return an edit that sets values in every patch.

    >>> always(city=None)({"city": "Oslo"}, Turn(0, 0, True, Random(1)))
    {'city': None}
    """
    return lambda patch, _turn: {**patch, **values}


def upsert(book: ContactBook, patch: Patch, _call: int) -> str:
    """Upsert a patch."""
    return book.upsert(patch).result


def _unedited(patch: Patch, _turn: Turn) -> Patch:
    return patch


def _through_json(patches: list[Patch]) -> list[Patch]:
    copies: list[Patch] = json.loads(json.dumps(patches))
    return copies


@frozen
class Mix:
    """
    One case of the guard.

    Args:
        what: The difference from the plain mix.
        policy: The policy.
        edit: Makes a patch of a plain one.
        call: Makes one call.
        results: The expected results of even and odd calls.
        new: Whether even and odd calls are about new people.
        names: The names of the fields that a plain patch has.
        parse: Makes patches of what the edit returns.
        limit: The ratio to the plain mix that the case should not exceed.

    >>> Mix("none").run(4)
    4
    """

    what: str
    policy: Policy = _PLAIN
    edit: Edit = _unedited
    call: Call = upsert
    results: tuple[str, str] = ("created", "updated")
    new: tuple[bool, bool] = (True, False)
    names: tuple[str, ...] = fields_of(8)
    parse: Callable[[list[Patch]], list[Patch]] = _through_json
    limit: Literal[2, 3] = 2

    def prepare(self) -> tuple[ContactBook, list[Patch]]:
        """
        Return a book with the stored contacts, and the patches of all calls.

        >>> book, patches = Mix("none").prepare()
        >>> len(book), len(patches), patches[1]["note"]
        (160, 320, 'call 1')
        """
        rng = Random(20240616)
        people = [_person(rng, n, self.names) for n in range(3 * STORED)]
        stored = [Turn(number, -1, new=True, rng=rng) for number in range(STORED)]
        turns = [*stored, *self._calls(rng)]
        patches = self.parse([self._patch(people[turn.person], turn) for turn in turns])
        ids = map("c-{}".format, count())
        book = ContactBook(self.policy, ids=ids.__next__, clock=lambda: _NOW)
        for patch in patches[:STORED]:
            book.upsert(patch)
        return book, patches[STORED:]

    def run(self, calls: int) -> int:
        """
        Prepare, make some calls, and return how many had the expected result.

        Args:
            calls: The number of calls, at most :data:`CALLS`.
        """
        book, patches = self.prepare()
        warm_up, counted = patches[:WARM_UP], patches[WARM_UP : WARM_UP + calls]
        self._successes(book, warm_up, 0)
        # Garbage of the preparation must not affect the collections of the calls.
        gc.collect()
        return self._successes(book, counted, WARM_UP)

    def _successes(self, book: ContactBook, patches: list[Patch], first: int) -> int:
        call, results = self.call, self.results
        return sum(
            [
                call(book, patch, number) == results[number % 2]
                for number, patch in enumerate(patches, first)
            ]
        )

    def _calls(self, rng: Random) -> list[Turn]:
        """Return the turns of the calls: new people in order, and stored ones."""
        new, stored = count(STORED), count()
        turns = []
        for call in range(WARM_UP + CALLS):
            is_new = self.new[call % 2]
            person = next(new) if is_new else next(stored) % STORED
            turns.append(Turn(person, call, is_new, rng))
        return turns

    def _patch(self, person: Patch, turn: Turn) -> Patch:
        if turn.is_update:
            person = {**person, "note": f"call {turn.call}"}
        return self.edit(person, turn)


def _person(rng: Random, number: int, names: tuple[str, ...]) -> Patch:
    return {
        "email": email(rng, number),
        "phone": phone(rng, number),
        **{name: text(rng, name) for name in names if name in FIELDS[2:]},
    }
