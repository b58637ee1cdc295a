"""
Linking: which rows of a log belong together, since they share a key.

Rules:
    A row links by the forms that a decision can look up: of the keys of the strategy,
    and of the unique keys. Scopes never link.
    A patch that is refused as it is read links nothing: no book takes it.
    Whatever a row is called after is a number of the log, never a count of ours.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias, final

from attrs import field, frozen

from upsertcore.engine.patch import check_scope, read_patch
from upsertcore.errors import Refused
from upsertcore.model.contact import Contact
from upsertcore.policy.forms import held_forms
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

__all__ = ["KnownContact", "Linking", "LogRow", "SentPatch", "joined"]


@final
@frozen
class SentPatch:
    """
    A patch in a log: what was sent, and when.

    Args:
        sequence: Its number in the log; later patches have greater ones.
        patch: Field name to value, as it was sent.
        at: The aware time that the contact gets which it creates or updates.
        scope: The tenant.
        component: The least number of those that it belongs together with; None as
            long as nobody has looked.

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
        sequence: Its place by creation; lower than that of every patch.
        contact: The contact.
        component: As of :class:`SentPatch`.

    >>> from datetime import datetime, timezone
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> KnownContact(1, Contact("c-1", "", {}, 1, now, now)).contact.id
    'c-1'
    """

    sequence: int
    contact: Contact
    component: int | None = None


LogRow: TypeAlias = KnownContact | SentPatch

# What these rules make of two values is one of them, or a list of their items.
_CHOOSING: frozenset[Rule] = frozenset(
    {
        *(append, ignore, immutable, keep, largest, on_create, remove, replace),
        *(smallest, union, unset),
    }
)


@final
class Linking:
    """
    What makes the links of a row: texts; rows that have one in common are linked.

    Args:
        policy: The table.

    Its ``makes`` is False where no form is ever looked up or held that no patch about
    the contact carried. It is True where one form is made of several fields, which may
    come in several patches, and where a rule, a default or a primary that joins its
    additional ones makes a value of a key.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import field, first_match, normalize
    >>> links = Linking(Policy(first_match("id"), {"id": field(key=normalize.exact)}))
    >>> links(
    ...     SentPatch(1, {"id": 7}, datetime(2024, 1, 2, tzinfo=timezone.utc), "firm-1")
    ... )
    ('0:6:firm-17',)
    >>> links.told("0:6:firm-17"), links.makes
    (('id', 'firm-1', '7'), False)
    """

    __slots__ = ("_keys", "_numbers", "_policy", "makes")

    def __init__(self, policy: Policy) -> None:
        consulted = {*policy.match.keys}
        self._policy = policy
        # A key's number is that of its forms in all that tells forms per key.
        self._numbers = {key.name: number for number, key in enumerate(policy.all_keys)}
        self._keys = [
            (number, key)
            for number, key in enumerate(policy.all_keys)
            if key.unique or key.name in consulted
        ]
        parts = {name for _number, key in self._keys for name in key.fields}
        several = any(key.composite for _number, key in self._keys)
        self.makes = (
            several
            # What joins another field is cleaned there, and may be its own key too.
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
        Give the links of a row.

        Raises:
            TypeError: If a host's normaliser answers something that is no text.
        """
        if isinstance(row, KnownContact):
            return self.held(row.contact)
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

    def held(self, contact: Contact) -> tuple[str, ...]:
        """Give the links of a contact, aliases among them."""
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
        """Give the link that a form of a key is."""
        number = self._numbers[name]
        return f"{number}:{len(scope)}:{scope}{form}"

    def told(self, link: str) -> tuple[str, str, str]:
        """Give the name of the key, the scope and the form that a link stands for."""
        number, length, rest = link.split(":", 2)
        end = int(length)
        return self._policy.all_keys[int(number)].name, rest[:end], rest[end:]


def _chooses(rule: Rule) -> bool:
    return rule.by is not None or rule in _CHOOSING


def joined(rows: Iterable[Iterable[Hashable]]) -> list[int]:
    """
    Join the rows that are linked, directly or through others.

    Args:
        rows: The links of each row.

    Returns:
        For each row the position of the first row that it belongs together with.

    Cost:
        Near-linear in the links.

    Source:
        R. E. Tarjan and J. van Leeuwen, "Worst-case analysis of set union
        algorithms", 1984: paths halved on the way.

    >>> joined([["a"], ["b"], ["b", "a"], []])
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
            # The first of them is above the others, whichever has more below it.
            if other < root:
                parent[root] = root = other
            elif root < other:
                parent[other] = root
    for position, above in enumerate(parent):
        # Whoever stands above came before, and leads to the first already.
        parent[position] = parent[above]
    return parent
