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
from typing import final

from attrs import evolve, field, frozen

from upsertcore.policy import Policy
from upsertcore.replay.linking import Known, Linking, Row, Sent, joined
from upsertcore.replay.ordered import Made, watched

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

    rows: tuple[Row, ...] = field(repr=False)
    sizes: Mapping[int, int] = field(repr=False)
    cut: tuple[Cut, ...] = ()

    def __len__(self) -> int:
        return len(self.sizes)


def components(
    rows: Iterable[Row], policy: Policy, *, cap: Mapping[str, int] | None = None
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
        ValueError: If the numbers do not rise, a contact stands behind a patch, or a
            cap is none.

    Cost:
        Near-linear in the keys of the rows. Where a contact can come to hold a form
        that no patch carried (a key of several fields, say), what could be such is
        done once to see, and again as often as that joins components.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.replay import Sent
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
    >>> log = [Sent(n, patch, now) for n, patch in enumerate(sent)]
    >>> found = components(log, policy)
    >>> [(row.component, row.sequence) for row in found.rows], len(found)
    ([(0, 0), (0, 1), (0, 3), (2, 2)], 2)
    >>> components(log, policy, cap={"phone": 1}).cut
    (Cut(key='phone', scope='', form='1', rows=2),)
    """
    log, linking = [*rows], Linking(policy)
    _see_that_they_rise(log)
    links: list[tuple[str, ...]] = [linking(row) for row in log]
    cut = _cut(links, linking, policy, cap or {})
    gone = {name for name, _each in cut}
    if gone:
        links = [tuple([link for link in each if link not in gone]) for each in links]
    first = joined(links)
    if linking.makes:
        first = _met(log, policy, links, first, gone)
    numbers = [log[position].sequence for position in first]
    places = sorted(range(len(log)), key=first.__getitem__)
    return Components(
        tuple([evolve(log[place], component=numbers[place]) for place in places]),
        Counter(numbers),
        tuple([each for _link, each in cut]),
    )


def _see_that_they_rise(log: list[Row]) -> None:
    for last, row in pairwise(log):
        reason = ""
        if row.sequence <= last.sequence:
            reason = f"must be greater than {last.sequence}, that of the row before"
        elif isinstance(row, Known) and isinstance(last, Sent):
            reason = f"must be less than {last.sequence}, for contacts stand in front"
        if reason:
            raise ValueError(f"sequence: {reason}, not {row.sequence}")


def _cut(
    links: list[tuple[str, ...]],
    linking: Linking,
    policy: Policy,
    cap: Mapping[str, int],
) -> list[tuple[str, Cut]]:
    """Give the links that more rows share than may."""
    for name, most in cap.items():
        key = policy.by_name.get(name)
        if key is None:
            names = ", ".join(policy.by_name)
            raise ValueError(f"cap: {name!r} is no key; the keys are {names}")
        if key.unique and policy.on_clash != "allow":
            raise ValueError(f"cap: {name} is unique; its holders must meet")
        if most < 1:
            raise ValueError(f"cap: {name}: must be 1 or more, not {most}")
    if not cap:
        return []
    found = []
    for link, rows in Counter(link for each in links for link in {*each}).items():
        name, scope, form = linking.told(link)
        if rows > cap.get(name, rows):
            found.append((link, Cut(name, scope, form, rows)))
    return sorted(found, key=lambda each: (each[1].key, -each[1].rows, each[0]))


def _met(
    log: list[Row],
    policy: Policy,
    links: list[tuple[str, ...]],
    first: list[int],
    gone: set[str],
) -> list[int]:
    """Join what meets by forms that nobody carried, until nothing does."""
    places = {row.sequence: place for place, row in enumerate(log)}
    wider: list[set[str]] = [{*each} for each in links]
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
        made = [each for each in watched(rows, policy) if isinstance(each, Made)]
        for each in made:
            if each.link not in gone:
                wider[places[each.component]].add(each.link)
        seen = dict(sizes)
        after = joined(wider)
        if after == first:
            return first
        first = after
