"""
Any policy as a profile: rows are patches, and a refusal is the library's own.

Rules:
    What a cell holds is decided by its field: a field that takes lists reads words, one
    that takes mappings or numbers reads JSON, and any other keeps the text.
    A column such as ``address.city`` is one value of the mapping ``address``.
    The reason of a refusal has no values and no ids, so that refusals can be counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, final

from attrs import frozen

from upsertcore.book.contact_book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import InvalidField, NoMatchKey, Refused
from upsertcore.policy.fields import Field
from upsertcore.policy.policy import Policy
from upsertcore.profiles import Rejected, Response
from upsertcore.profiles.profile import respond, translate_refusals
from upsertcore.profiles.target import Cell, Target
from upsertcore.profiles.text_cells import parse_json_cell, parse_list
from upsertcore.rules import deep, deep_keep, largest, smallest
from upsertcore.values import show_value

_VALUE = "\N{HORIZONTAL ELLIPSIS}"
_VALUES = re.compile(f"{_VALUE}(?:, {_VALUE})+")

__all__ = ["PolicyProfile", "PolicySource", "kind_of"]

Kind = Literal["text", "list", "mapping", "number"]

_SAMPLES: tuple[tuple[Kind, Any], ...] = (
    ("text", "text"),
    ("list", ("text",)),
    ("number", 1),
)


@final
class PolicyProfile:
    """
    Upserts patches under a policy, with the interface of a profile.

    Args:
        policy: The policy.
        rows: Initial contacts, as ``book.dump()`` returns them.
        ids: As :class:`upsertcore.ContactBook`.
        clock: As :class:`upsertcore.ContactBook`.

    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> profile = PolicyProfile(policy, ids=lambda: "c-1")
    >>> profile.upsert({"email": "ada@x.org"}).body["fields"]
    {'email': 'ada@x.org'}
    >>> profile.upsert({"emial": "ada@x.org"}).reason
    'emial: unknown field'
    """

    options: Mapping[str, Callable[[str], Any]] = {}

    def __init__(
        self,
        policy: Policy,
        *,
        rows: Iterable[Mapping[str, Any]] = (),
        ids: Callable[[], str] | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.book = ContactBook.load(policy, rows, ids=ids, clock=clock)
        self._kinds = {name: kind_of(line) for name, line in policy.fields.items()}

    @property
    def policy(self) -> Policy:
        """The policy of the book."""
        return self.book.policy

    @property
    def path(self) -> tuple[str, ...]:
        """The scope, unless a field of the policy has this name."""
        return () if "scope" in self.policy.fields else ("scope",)

    def upsert(self, payload: Any, *, scope: str = "") -> Response:
        """
        Upsert a patch.

        Args:
            payload: The patch.
            scope: The tenant.

        Returns:
            200 with the contact, or 400 with the error.
        """

        def decide() -> Outcome:
            return self.book.upsert(self.parse(payload), scope=scope)

        return respond(decide, self.render, _reject)

    def plan(self, payload: Any, *, scope: str = "") -> Plan:
        """
        Return the plan of an :meth:`upsert`.

        Raises:
            Rejected: If it would be refused.
        """

        def decide() -> Plan:
            return self.book.plan(self.parse(payload), scope=scope)

        return translate_refusals(_reject, decide)

    def parse(self, payload: Any) -> dict[str, Any]:
        """
        Return the patch of a payload: the payload.

        Raises:
            Rejected: If it is no object.
        """
        if not isinstance(payload, dict):
            reason = "row: must be a JSON object"
            raise Rejected(400, {"error": "InvalidField", "message": reason}, reason)
        return payload

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """Return the contact as a row."""
        return outcome.contact.to_dict()

    @property
    def target(self) -> Target:
        """
        The fields that rows are for: those of the policy.

        >>> from upsertcore import field, never
        >>> target = PolicyProfile(Policy(never(), {"tags": field(many=True)})).target
        >>> target.fields, [*target.many], target.open_fields
        (('tags',), ['tags'], False)
        """
        policy, kinds = self.policy, self._kinds.items()
        own = () if policy.id_field is None else (policy.id_field,)
        return Target(
            "the policy",
            (*own, *policy.fields),
            many={name: parse_list for name, kind in kinds if kind == "list"},
            open_fields=policy.extra_fields is not None,
            prefixes=tuple(f"{name}." for name, kind in kinds if kind == "mapping"),
        )

    def from_row(self, cells: Mapping[str, Cell]) -> dict[str, Any]:
        """
        Return the patch of a row of text cells.

        >>> from upsertcore import field, never, rules
        >>> fields = {"tags": field(many=True), "address": field(rule=rules.deep)}
        >>> profile = PolicyProfile(Policy(never(), fields))
        >>> profile.from_row({"tags": "lead; vip", "address.city": "Oslo"})
        {'tags': ['lead', 'vip'], 'address': {'city': 'Oslo'}}
        """
        patch: dict[str, Any] = {}
        for column, cell in cells.items():
            name, dot, part = column.partition(".")
            if dot and column not in self._kinds and self._kinds.get(name) == "mapping":
                value = patch.setdefault(name, {})
                if isinstance(value, dict):
                    value[part] = cell
            elif column in patch and isinstance(patch[column], dict):
                value = self._value(column, cell)
                parts = patch[column]
                patch[column] = {**value, **parts} if isinstance(value, dict) else value
            else:
                patch[column] = self._value(column, cell)
        return patch

    def _value(self, name: str, cell: Cell) -> Any:
        kind = self._kinds.get(name, "text")
        if kind == "text" or not isinstance(cell, str):
            return cell
        if kind == "list":
            return parse_list(cell)
        value = parse_json_cell(cell)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        is_kind = isinstance(value, dict) if kind == "mapping" else is_number
        return value if is_kind else cell


@frozen
class PolicySource:
    """
    Makes profiles of one policy; it has what a class of profiles has.

    Args:
        policy: The policy.

    >>> from upsertcore import never
    >>> PolicySource(Policy(never(), {}))(rows=()).policy.match
    never()
    """

    policy: Policy
    options = PolicyProfile.options
    upsert = PolicyProfile.upsert
    path = PolicyProfile.path

    def __call__(self, **arguments: Any) -> PolicyProfile:
        """Return a new profile."""
        return PolicyProfile(self.policy, **arguments)


def kind_of(line: Field) -> Kind:
    """
    Return what the cells of a field hold: its rule decides, by what it accepts.

    >>> from upsertcore import field, rules
    >>> kind_of(field()), kind_of(field(rule=rules.union)), kind_of(field(many=True))
    ('text', 'list', 'list')
    >>> kind_of(field(rule=rules.deep)), kind_of(field(rule=rules.add))
    ('mapping', 'number')
    """
    if line.many:
        return "list"
    # These take text as well: a mapping's place, and numbers as text, 9 above 10.
    if line.rule in (deep, deep_keep):
        return "mapping"
    if line.rule in (largest, smallest):
        return "number"
    if line.clean is not None or line.rule.by is not None:
        return "text"
    for kind, sample in _SAMPLES:
        try:
            line.rule.combine(None, sample)
        except Exception:  # noqa: BLE001, S112 - a rule may be the application's
            continue
        return kind
    return "text"


def _reject(refusal: Refused) -> Rejected:
    message = str(refusal)
    body = {"error": type(refusal).__name__, "message": message}
    return Rejected(400, body, _reason(refusal, message))


def _reason(refusal: Refused, message: str) -> str:
    """Return the message of a refusal without values, ids and advice."""
    if isinstance(refusal, InvalidField):
        return f"{refusal.field}: {refusal.reason.partition('; ')[0]}"
    if isinstance(refusal, NoMatchKey):
        return f"patch: has no key to match by ({' or '.join(refusal.tried)})"
    known: Any = refusal
    name = getattr(known, "field", getattr(known, "key", None))
    reason = message.partition("; ")[0].partition(" (")[0]
    for value in _parts(refusal.args):
        if value != name:
            reason = reason.replace(show_value(value), _VALUE).replace(value, _VALUE)
    return _VALUES.sub(_VALUE, reason)


def _parts(value: Any) -> Iterator[str]:
    """Yield the texts in the arguments of a refusal, the longest first."""
    texts = [value] if isinstance(value, str) else list[str]()
    if isinstance(value, tuple):
        texts = [part for item in value for part in _parts(item)]
    yield from sorted(texts, key=len, reverse=True)
