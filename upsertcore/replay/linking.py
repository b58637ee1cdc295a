"""
Linking: which rows of a log share a key and belong to one component.

Rules:
    Rows are linked by the forms that a decision can look up: of the keys of the
    strategy, and of the unique keys. Scopes are never linked.
    A patch that cannot be read has no links: a book refuses it.
    Rows and components are identified by sequences of the log, never by counting.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias, final

from attrs import field, frozen

from upsertcore.engine.patch import check_scope, read_patch
from upsertcore.errors import Refused
from upsertcore.model.contact import Contact
from upsertcore.policy.held_forms import held_forms
from upsertcore.policy.policy import Policy, compiled
from upsertcore.rules import (
    append,
    ignore,
    immutable,
    keep,
    largest,
    on_create,
    remove,
    replace,
    smallest,
    union,
    unset,
)
from upsertcore.rules.rule import Rule

__all__ = ["KnownContact", "Linking", "LogRow", "SentPatch", "component_roots"]


@final
@frozen
class SentPatch:
    """
    A patch in a log: what was sent, and when.

    Args:
        sequence: Its number in the log; later patches have greater ones.
        patch: Field name to value, as sent.
        at: The aware time of the contact that it creates or updates.
        scope: The tenant.
        component: The smallest sequence of its component; None until it is computed.

    >>> from datetime import datetime, timezone
    >>> SentPatch(
    ...     7, {"email": "ada@x.org"}, datetime(2024, 1, 2, tzinfo=timezone.utc)
    ... ).scope
    ''
    """

    sequence: int
    patch: Mapping[str, Any] = field(repr=False)
    at: datetime = field(repr=False)
    scope: str = ""
    component: int | None = None


@final
@frozen
class KnownContact:
    """
    A contact that is stored before a log begins.

    Args:
        sequence: Its place by creation; less than that of every patch.
        contact: The contact.
        component: As in :class:`SentPatch`.

    >>> from datetime import datetime, timezone
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> KnownContact(1, Contact("c-1", "", {}, 1, now, now)).contact.id
    'c-1'
    """

    sequence: int
    contact: Contact
    component: int | None = None


LogRow: TypeAlias = KnownContact | SentPatch

# Rules whose result is one of the two values, or a list of their items.
_CHOOSING: frozenset[Rule] = frozenset(
    {
        *(append, ignore, immutable, keep, largest, on_create, remove, replace),
        *(smallest, union, unset),
    }
)


@final
class Linking:
    """
    Computes the links of a row, as texts; rows that share a link are linked.

    Args:
        policy: The policy.

    ``computes_forms`` is False if every form that is looked up or held was carried by a
    patch about the contact. It is True for composite keys, whose fields may come in
    several patches, and if a rule, a default or a primary that is appended to its
    additional values makes the value of a key.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import field, first_match, normalize
    >>> links = Linking(Policy(first_match("id"), {"id": field(key=normalize.exact)}))
    >>> links(
    ...     SentPatch(1, {"id": 7}, datetime(2024, 1, 2, tzinfo=timezone.utc), "firm-1")
    ... )
    ('0:6:firm-17',)
    >>> links.parse("0:6:firm-17"), links.computes_forms
    (('id', 'firm-1', '7'), False)
    """

    __slots__ = ("_keys", "_numbers", "_policy", "computes_forms")

    def __init__(self, policy: Policy) -> None:
        if policy.id_field is not None:
            what = "must be None: ids that a replay makes are not known before it"
            raise ValueError(f"id_field: {what}; remove it, or use a book")
        consulted = {*policy.match.keys}
        self._policy = policy
        # The number of a key is its position wherever forms are listed per key.
        self._numbers = {key.name: number for number, key in enumerate(policy.all_keys)}
        self._keys = [
            (number, key)
            for number, key in enumerate(policy.all_keys)
            if key.unique or key.name in consulted
        ]
        parts = {name for _number, key in self._keys for name in key.fields}
        several = any(key.composite for _number, key in self._keys)
        self.computes_forms = (
            several
            # An appended value is cleaned by the other field, and may be its key too.
            or any(key.append_new for key in policy.all_keys)
            or not parts.isdisjoint(name for name, _value in compiled(policy).defaults)
            or any(
                not _chooses(rule)
                for name in parts
                for rule in (policy.fields[name].rule, policy.merge_rule(name))
            )
        )

    def __call__(self, row: LogRow) -> tuple[str, ...]:
        """
        Return the links of a row.

        Raises:
            TypeError: If a normaliser returns something other than text or None.
        """
        if isinstance(row, KnownContact):
            return self.contact_links(row.contact)
        try:
            check_scope(row.scope)
            sent, _ignored = read_patch(self._policy, row.patch)
        except Refused:
            return ()
        start = f"{len(row.scope)}:{row.scope}"
        return tuple(
            [
                f"{number}:{start}{form}"
                for number, key in self._keys
                for form in key.forms(sent)
            ]
        )

    def contact_links(self, contact: Contact) -> tuple[str, ...]:
        """Return the links of a contact, aliases included."""
        forms = held_forms(self._policy, contact)
        start = f"{len(contact.scope)}:{contact.scope}"
        return tuple(
            [
                f"{number}:{start}{form}"
                for number, _key in self._keys
                for form in forms[number]
            ]
        )

    def link(self, name: str, scope: str, form: str) -> str:
        """Return the link of a form of a key."""
        number = self._numbers[name]
        return f"{number}:{len(scope)}:{scope}{form}"

    def parse(self, link: str) -> tuple[str, str, str]:
        """Return the name of the key, the scope and the form of a link."""
        number, length, rest = link.split(":", 2)
        end = int(length)
        return self._policy.all_keys[int(number)].name, rest[:end], rest[end:]


def _chooses(rule: Rule) -> bool:
    return rule.by is not None or rule in _CHOOSING


def component_roots(rows: Iterable[Iterable[Hashable]]) -> list[int]:
    """
    Find the components of rows that are linked, directly or through others.

    Args:
        rows: The links of each row.

    Returns:
        For each row the position of the first row of its component.

    Cost:
        Near-linear in the links.

    Source:
        R. E. Tarjan and J. van Leeuwen, "Worst-case analysis of set union
        algorithms", 1984: union-find with path halving.

    >>> component_roots([["a"], ["b"], ["b", "a"], []])
    [0, 0, 0, 3]
    """
    parent: list[int] = []
    first: dict[Hashable, int] = {}
    for position, links in enumerate(rows):
        parent.append(position)
        root = position
        for link in links:
            other = first.setdefault(link, position)
            while (above := parent[other]) != other:
                parent[other] = other = parent[above]
            # The first row of a component is its root, whatever the sizes.
            if other < root:
                parent[root] = root = other
            elif root < other:
                parent[other] = root
    for position, above in enumerate(parent):
        # A parent comes before its children, and already points to its root.
        parent[position] = parent[above]
    return parent
