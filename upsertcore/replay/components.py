"""
Components: a log, split into parts that can be replayed independently.

Rules:
    Two rows whose contacts could ever match are in one component. Components may be
    replayed in any order, on any machine, with the result of one book.
    A component is identified by the smallest sequence in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, final

from attrs import evolve, field, frozen

from upsertcore.policy.policy import Policy, compiled
from upsertcore.replay.linking import (
    KnownContact,
    Linking,
    LogRow,
    SentPatch,
    component_roots,
)
from upsertcore.replay.ordered import ComputedForms, replay_with_links
from upsertcore.values import show_value

__all__ = ["Components", "Cut", "components"]


@final
@frozen
class Cut:
    """
    A form that too many rows share, and that therefore does not link them.

    Args:
        key: The name of the key.
        scope: The tenant.
        form: The normal form.
        rows: The number of rows that carry it.

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
    A log, split into components.

    Args:
        rows: All rows, sorted by component and sequence.
        sizes: Component to the number of its rows.
        cut: The forms that caps exclude, by key, the most shared first. If there are
            any, the result of one book might differ.
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
    Split a log into components.

    Args:
        rows: Known contacts and sent patches, in the order of their sequences.
        policy: The policy of the replay.
        cap: Key name to the largest number of rows that a form of it links; a form
            that more rows share links none. Not for unique keys, whose holders must
            be in one component.

    Returns:
        The rows, sorted for :func:`replay`, and the excluded forms.

    Raises:
        ValueError: If sequences do not increase, a contact comes after a patch, two
            known contacts have one id, or a cap is invalid.
        TypeError: If a row or its sequence has the wrong type.

    Cost:
        Near-linear in the keys of the rows. If a contact can come to hold a form that
        no patch carried (of a composite key, say), the log is replayed once to collect
        these forms, and joined components are replayed again.

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
    >>> split = components(log, policy)
    >>> [(row.component, row.sequence) for row in split.rows], len(split)
    ([(0, 0), (0, 1), (0, 3), (2, 2)], 2)
    >>> components(log, policy, cap={"phone": 1}).cut
    (Cut(key='phone', scope='', form='1', rows=2),)
    """
    log, linking = [*rows], Linking(policy)
    _check_rows(log)
    _check_order(log)
    links: list[tuple[str, ...]] = [linking(row) for row in log]
    caps = _Caps(linking, policy, {} if cap is None else cap)
    links = caps.apply(links)
    first = component_roots(links)
    if linking.computes_forms:
        first = _join_by_computed_forms(log, policy, links, first, caps)
    numbers = [log[position].sequence for position in first]
    places = sorted(range(len(log)), key=first.__getitem__)
    return Components(
        tuple([evolve(log[place], component=numbers[place]) for place in places]),
        Counter(numbers),
        caps.cut,
    )


def _check_rows(log: list[Any]) -> None:
    """Check the types of rows, and that no known contact occurs twice."""
    ids: set[str] = set()
    for row in log:
        if type(row) is not SentPatch and type(row) is not KnownContact:
            what = f"must be SentPatch or KnownContact, not {show_value(row)}"
            raise TypeError(f"rows: {what}")
        if type(row.sequence) is not int:
            what = f"must be a whole number, not {row.sequence!r}"
            raise TypeError(f"sequence: {what}")
        for id in row.contact.ids if type(row) is KnownContact else ():
            if id in ids:
                raise ValueError(f"id: {id!r} belongs to two known contacts")
            ids.add(id)


def _check_order(log: list[LogRow]) -> None:
    for last, row in pairwise(log):
        reason = ""
        if row.sequence <= last.sequence:
            reason = f"must be greater than {last.sequence}, that of the row before"
        elif isinstance(row, KnownContact) and isinstance(last, SentPatch):
            reason = f"must be less than {last.sequence}, as contacts precede patches"
        if reason:
            raise ValueError(f"sequence: {reason}, not {row.sequence}")


@final
class _Caps:
    """The forms that too many rows share, carried or computed."""

    def __init__(
        self, linking: Linking, policy: Policy, cap: Mapping[str, int]
    ) -> None:
        if not isinstance(cap, Mapping):
            raise TypeError(f"cap: must be a mapping of keys to numbers, not {cap!r}")
        for name, most in cap.items():
            key = compiled(policy).by_name.get(name)
            if key is None:
                names = ", ".join(compiled(policy).by_name)
                raise ValueError(f"cap: unknown key {name!r}; this policy has: {names}")
            if key.unique and policy.on_key_in_use != "allow":
                what = f"{name} is unique, and its holders must be in one component"
                raise ValueError(f"cap: {what}; leave it out")
            if type(most) is not int or most < 1:
                what = f"must be a whole number from 1, not {most!r}"
                raise ValueError(f"cap: {name}: {what}")
        self._linking, self._cap = linking, cap
        self._cuts: dict[str, Cut] = {}

    def apply(self, links: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Return the links of each row without those that the caps exclude."""
        if not self._cap:
            return links
        sizes = Counter(link for row_links in links for link in {*row_links})
        for link, rows in sizes.items():
            name, scope, form = self._linking.parse(link)
            if rows > self._cap.get(name, rows) and link not in self._cuts:
                self._cuts[link] = Cut(name, scope, form, rows)
        cuts = self._cuts
        return [
            tuple([link for link in row_links if link not in cuts])
            for row_links in links
        ]

    @property
    def cut(self) -> tuple[Cut, ...]:
        """All excluded forms, by key, the most shared first."""
        order = sorted(
            self._cuts.values(),
            key=lambda cut: (cut.key, -cut.rows, cut.scope, cut.form),
        )
        return tuple(order)


def _join_by_computed_forms(
    log: list[LogRow],
    policy: Policy,
    links: list[tuple[str, ...]],
    first: list[int],
    caps: _Caps,
) -> list[int]:
    """Join components that share a computed form, until none do."""
    places = {row.sequence: place for place, row in enumerate(log)}
    replayed_sizes: dict[int, int] = {}
    while True:
        sizes = Counter(first)
        order = sorted(range(len(log)), key=first.__getitem__)
        # Components only grow, so one of the same size is unchanged.
        rows = [
            evolve(log[place], component=log[first[place]].sequence)
            for place in order
            if replayed_sizes.get(first[place]) != sizes[first[place]]
        ]
        all_links = [[*row_links] for row_links in links]
        for event in replay_with_links(rows, policy):
            if isinstance(event, ComputedForms):
                all_links[places[event.component]].append(event.link)
        replayed_sizes = dict(sizes)
        links = caps.apply([tuple(dict.fromkeys(row_links)) for row_links in all_links])
        after = component_roots(links)
        if after == first:
            return first
        first = after
