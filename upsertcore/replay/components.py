"""
Components: a log, taken apart into what can be done apart.

Rules:
    Two rows whose contacts could ever meet are in one component; what is in two may be
    done in any order, on any machine, and comes to what one book would have come to.
    A component is called after the least number in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, final

from attrs import evolve, field, frozen

from upsertcore.policy.policy import Policy, compiled
from upsertcore.replay.linking import KnownContact, Linking, LogRow, SentPatch, joined
from upsertcore.replay.ordered import ComputedForms, watched
from upsertcore.values import shown

__all__ = ["Components", "Cut", "components"]


@final
@frozen
class Cut:
    """
    A form that was shared by too many rows, and so did not link them.

    Args:
        key: The name of the key.
        scope: The tenant.
        form: The normal form.
        rows: How many rows carry it.

    >>> Cut("phone", "", "+15550000000", 4711).rows
    4711
    """

    key: str
    scope: str
    form: str
    rows: int


@final
@frozen
class Components:
    """
    A log, taken apart.

    Args:
        rows: All rows, sorted by component and number.
        sizes: Component to how many rows it has.
        cut: What the caps cut off, by key, the most shared first; where there is any,
            one book might have come to something else.
    """

    rows: tuple[LogRow, ...] = field(repr=False)
    sizes: Mapping[int, int] = field(repr=False)
    cut: tuple[Cut, ...] = ()

    def __len__(self) -> int:
        return len(self.sizes)


def components(
    rows: Iterable[LogRow], policy: Policy, *, cap: Mapping[str, int] | None = None
) -> Components:
    """
    Take a log apart into what can be done apart.

    Args:
        rows: What is known and what was sent, in the order of their numbers.
        policy: Under which they will be done.
        cap: Key name to how many rows may share a form of it; more than these it
            does not link. Not for a unique key, whose holders must meet.

    Returns:
        The rows, sorted for :func:`replay`, and what was cut off.

    Raises:
        ValueError: If the numbers do not rise, a contact stands behind a patch, two
            that are known have one id, or a cap is none.
        TypeError: If a row or its number is none.

    Cost:
        Near-linear in the keys of the rows. Where a contact can come to hold a form
        that no patch carried (a key of several fields, say), what could be such is
        done once to see, and again as often as that joins components.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.replay import SentPatch
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> policy = Policy(
    ...     first_match("email", "phone"),
    ...     {name: field(key=normalize.exact) for name in ("email", "phone")},
    ... )
    >>> sent = [
    ...     {"email": "a"},
    ...     {"phone": "1"},
    ...     {"phone": "2"},
    ...     {"email": "a", "phone": "1"},
    ... ]
    >>> log = [SentPatch(n, patch, now) for n, patch in enumerate(sent)]
    >>> found = components(log, policy)
    >>> [(row.component, row.sequence) for row in found.rows], len(found)
    ([(0, 0), (0, 1), (0, 3), (2, 2)], 2)
    >>> components(log, policy, cap={"phone": 1}).cut
    (Cut(key='phone', scope='', form='1', rows=2),)
    """
    log, linking = [*rows], Linking(policy)
    _see_that_they_are_rows(log)
    _see_that_they_rise(log)
    links: list[tuple[str, ...]] = [linking(row) for row in log]
    caps = _Caps(linking, policy, {} if cap is None else cap)
    links = caps.left(links)
    first = joined(links)
    if linking.makes:
        first = _met(log, policy, links, first, caps)
    numbers = [log[position].sequence for position in first]
    places = sorted(range(len(log)), key=first.__getitem__)
    return Components(
        tuple([evolve(log[place], component=numbers[place]) for place in places]),
        Counter(numbers),
        caps.cut,
    )


def _see_that_they_are_rows(log: list[Any]) -> None:
    """See that rows are rows, and that nobody known stands there twice."""
    ids: set[str] = set()
    for row in log:
        if type(row) is not SentPatch and type(row) is not KnownContact:
            raise TypeError(f"rows: must be Sent or Known, not {shown(row)}")
        if type(row.sequence) is not int:
            told = f"must be a whole number, not {row.sequence!r}"
            raise TypeError(f"sequence: {told}")
        for id in row.contact.ids if type(row) is KnownContact else ():
            if id in ids:
                raise ValueError(f"id: {id!r} is of two known contacts")
            ids.add(id)


def _see_that_they_rise(log: list[LogRow]) -> None:
    for last, row in pairwise(log):
        reason = ""
        if row.sequence <= last.sequence:
            reason = f"must be greater than {last.sequence}, that of the row before"
        elif isinstance(row, KnownContact) and isinstance(last, SentPatch):
            reason = f"must be less than {last.sequence}, for contacts stand in front"
        if reason:
            raise ValueError(f"sequence: {reason}, not {row.sequence}")


@final
class _Caps:
    """What the caps cut off: a form that too many share, however it came about."""

    def __init__(
        self, linking: Linking, policy: Policy, cap: Mapping[str, int]
    ) -> None:
        if not isinstance(cap, Mapping):
            raise TypeError(f"cap: must be a mapping of keys to numbers, not {cap!r}")
        for name, most in cap.items():
            key = compiled(policy).by_name.get(name)
            if key is None:
                names = ", ".join(compiled(policy).by_name)
                raise ValueError(f"cap: {name!r} is no key; the keys are {names}")
            if key.unique and policy.on_key_in_use != "allow":
                raise ValueError(f"cap: {name} is unique; its holders must meet")
            if type(most) is not int or most < 1:
                told = f"must be a number, 1 or more, not {most!r}"
                raise ValueError(f"cap: {name}: {told}")
        self._linking, self._cap = linking, cap
        self._gone: dict[str, Cut] = {}

    def left(self, links: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Leave out of the links of each row what is cut off, now or before."""
        if not self._cap:
            return links
        for link, rows in Counter(link for each in links for link in {*each}).items():
            name, scope, form = self._linking.told(link)
            if rows > self._cap.get(name, rows) and link not in self._gone:
                self._gone[link] = Cut(name, scope, form, rows)
        gone = self._gone
        return [tuple([link for link in each if link not in gone]) for each in links]

    @property
    def cut(self) -> tuple[Cut, ...]:
        """All of it, by key, the most shared first."""
        order = sorted(
            self._gone.values(), key=lambda e: (e.key, -e.rows, e.scope, e.form)
        )
        return tuple(order)


def _met(
    log: list[LogRow],
    policy: Policy,
    links: list[tuple[str, ...]],
    first: list[int],
    caps: _Caps,
) -> list[int]:
    """Join what meets by forms that nobody carried, until nothing does."""
    places = {row.sequence: place for place, row in enumerate(log)}
    seen: dict[int, int] = {}
    while True:
        sizes = Counter(first)
        order = sorted(range(len(log)), key=first.__getitem__)
        # Components only grow: one of the same size is the same.
        rows = [
            evolve(log[place], component=log[first[place]].sequence)
            for place in order
            if seen.get(first[place]) != sizes[first[place]]
        ]
        wider = [[*each] for each in links]
        for each in watched(rows, policy):
            if isinstance(each, ComputedForms):
                wider[places[each.component]].append(each.link)
        seen = dict(sizes)
        links = caps.left([tuple(dict.fromkeys(each)) for each in wider])
        after = joined(links)
        if after == first:
            return first
        first = after
