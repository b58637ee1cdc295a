"""
The outcome: what a call did, what it withheld, and what it ignored.

Rules:
    An outcome is a frozen value; what can be derived from it is computed on demand.
    A known contact is updated if a field or a clock of it moves, or if it was deleted;
    else it is unchanged.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal, final

import attrs
from attrs import field, frozen

from upsertcore.engine.explain import (
    explain,
    headline,
    released_forms,
    rule_namer,
    unusable_in_row,
    unusable_values,
)
from upsertcore.model.packed_row import (
    HISTORY,
    ID,
    NAMES,
    contact_from_row,
    fields_from_row,
)
from upsertcore.model.write_record import PREVIOUS_ROW, ROW
from upsertcore.values import NOTHING, FrozenMap, same, thaw

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from upsertcore.engine.target import Target
    from upsertcore.model.contact import Contact
    from upsertcore.model.packed_row import Row
    from upsertcore.model.write_record import Record

__all__ = [
    "Change",
    "Decision",
    "Outcome",
    "Result",
    "Withheld",
    "changes",
    "decision_dict",
    "outcome_from_record",
    "result_of",
    "result_of_record",
]

Result = Literal["created", "updated", "unchanged", "merged", "undone", "deleted"]


class Decision:
    """What a plan and an outcome have in common."""

    __slots__ = ()
    result: Result

    @property
    def created(self) -> bool:
        """True where a contact is created."""
        return self.result == "created"

    @property
    def updated(self) -> bool:
        """True where a field of a known contact moves, or only its clock."""
        return self.result == "updated"

    @property
    def unchanged(self) -> bool:
        """True where the contact is known and nothing moves."""
        return self.result == "unchanged"


class _Referable:
    """What a weak reference may refer to."""

    __slots__ = ("__weakref__",)


@final
@frozen
class Change(_Referable):
    """
    One field that moved.

    Args:
        field: The name of the field.
        before: The stored value, None where there was none.
        after: The new value, None where it was cleared.

    >>> Change("city", "Oslo", None)
    Change(field='city', before='Oslo', after=None)
    """

    field: str
    before: Any
    after: Any

    def to_dict(self) -> dict[str, Any]:
        """
        Return a dict of plain values, ready for JSON.

        >>> Change("tags", None, ("lead",)).to_dict()
        {'field': 'tags', 'before': None, 'after': ['lead']}
        """
        before, after = thaw(self.before), thaw(self.after)
        return {"field": self.field, "before": before, "after": after}


class _MutableChange(_Referable):
    """A change whose attributes can be set; it becomes a ``Change``."""

    __slots__ = Change.__slots__


@final
@frozen
class Withheld:
    """
    A sent value that was not stored because another contact holds a key.

    Args:
        field: The name of the field.
        value: The value that the field would have.
        holder: The id of the contact that holds the key.
        key: The name of the key. It is another field's where this field is left out
            because it identifies together with that one.

    >>> Withheld("phone", "+15550001111", "c-2").key
    'phone'
    """

    field: str
    value: Any
    holder: str
    key: str = attrs.field(default=attrs.Factory(lambda self: self.field, True))  # noqa: FBT003

    def to_dict(self) -> dict[str, Any]:
        """
        Return a dict of plain values, ready for JSON.

        >>> Withheld("phone", "+15550001111", "c-2").to_dict()
        {'field': 'phone', 'value': '+15550001111', 'holder': 'c-2', 'key': 'phone'}
        """
        return {
            "field": self.field,
            "value": thaw(self.value),
            "holder": self.holder,
            "key": self.key,
        }


class _LazyParts(_Referable):
    """The record from which an outcome computes its attributes on demand."""

    __slots__ = ("_record",)
    _record: Any


@final
@frozen
class Outcome(Decision, _LazyParts):
    """
    What one call did.

    Args:
        result: ``"created"``, ``"updated"``, ``"unchanged"`` or ``"merged"``. A clock
            that moves alone makes it ``"updated"``, without changes.
        contact: The contact after the call.
        before: The contact before the call, None where it was created; the same
            object as ``contact`` where nothing moved.
        matched_by: The name of the key that matched it, None where none did.
        withheld: Values not stored because another contact holds their key.
        ignored: Field name to reason, for values that the policy does not store.
        also_matched: Ids of further contacts that the patch's keys match.
        merged: Contacts that were merged into it, as they were before.
        replayed: True where an idempotency key was sent again: this is the outcome
            of the first call, and the second one changed nothing.

    Laws:
        Every sent field is stored, withheld or ignored; the latter two are reported.

    >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> outcome = ContactBook(policy).upsert({"email": "ada@x.org"})
    >>> outcome.created, outcome.changes
    (True, (Change(field='email', before=None, after='ada@x.org'),))
    """

    result: Result
    contact: Contact
    before: Contact | None = None
    matched_by: str | None = None
    withheld: tuple[Withheld, ...] = ()
    ignored: FrozenMap[str] = NOTHING
    also_matched: tuple[str, ...] = ()
    merged: tuple[Contact, ...] = ()
    _policy: Any = field(default=None, repr=False, eq=False)
    replayed: bool = field(default=False, repr=False, eq=False)

    def explain(self) -> str:
        """
        Explain what the call did: one line per field, with its rule, one per clock.

        A stored value that has no key, though its field does, is reported, too. The
        explanation of a plan has a line per key as well; a pickled outcome does not
        keep the rules.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> lines = {"email": field(key=normalize.email), "name": field(null="ignore")}
        >>> book = ContactBook(Policy(first_match("email"), lines), ids=lambda: "c-1")
        >>> print(book.upsert({"email": "ada@x.org", "name": None}).explain())
        created c-1
          email: 'ada@x.org' stored (replace)
          name: not stored: null counts as omitted
        """
        record, policy = _record_of(self), self._policy
        if record is None or _has_history(record):
            contact, before = self.contact, self.before
            match = self.matched_by, self.merged, self.also_matched
            not_stored: Any = self.withheld, self.ignored.items()
            unusable = unusable_values(policy, contact.fields)
            clocks_before = NOTHING if before is None else before.clocks
            clocks = changes(clocks_before, contact.clocks)
            deleted = before is not None and before.deleted_at is not None
            id = contact.id
            merged = self.merged if self.result == "merged" else ()
            parts = contact.fields, contact.aliases
            released = released_forms(policy, merged, *parts)
        else:
            # The same, without making contacts.
            row, _before, matched_by, _, _, ignored, conflicts = record
            withheld, also_matched = conflicts or _NO_CONFLICTS
            match = matched_by, (), also_matched
            not_stored = withheld, ignored.items() if ignored else ()
            unusable = unusable_in_row(policy, row)
            id, clocks, deleted, released = row[ID], (), False, []
        title = headline(self.result, id, match, deleted)
        why = rule_namer(policy, match[1]), unusable, clocks, released
        return explain(title, (), self.changes, not_stored, *why)

    def to_dict(self) -> dict[str, Any]:
        """
        Return a dict of plain values, ready for JSON.

        Returns:
            ``result``, ``contact``, ``before``, ``matched_by``, ``changes``,
            ``withheld``, ``ignored``, ``also_matched``, ``merged`` and ``replayed``,
            in this order: contacts as rows of ``Contact.to_dict``.

        Cost:
            Linear in the contacts.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
        >>> row = ContactBook(policy).upsert({"email": "ada@x.org"}).to_dict()
        >>> row["result"], row["before"], row["changes"][0]["after"]
        ('created', None, 'ada@x.org')
        """
        return {
            "result": self.result,
            "contact": self.contact.to_dict(),
            **decision_dict(self),
            "replayed": self.replayed,
        }

    def __reduce__(self) -> tuple[type[Outcome], tuple[Any, ...]]:
        parts = (self.result, self.contact, self.before, self.matched_by)
        rest = (self.withheld, self.ignored, self.also_matched, self.merged)
        return Outcome, (*parts, *rest, None, self.replayed)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The fields that moved, computed anew each time."""
        record = _record_of(self)
        if record is not None:
            return _changes_of_rows(record[PREVIOUS_ROW], record[ROW])
        before = {} if self.before is None else self.before.fields
        return changes(before, self.contact.fields)


_DEFAULTS = {
    "withheld": (),
    "ignored": NOTHING,
    "also_matched": (),
    "merged": (),
    "replayed": False,
}
_SETTERS = {
    attribute.name: getattr(Outcome, attribute.name).__set__
    for attribute in attrs.fields(Outcome)
}
_NO_CONFLICTS: tuple[tuple[Withheld, ...], tuple[str, ...]] = (), ()
_get_record = vars(_LazyParts)["_record"].__get__


class _MutableOutcome(Decision, _LazyParts):
    """An outcome whose attributes can be set; it becomes an ``Outcome``."""

    __slots__ = Outcome.__slots__
    _policy: Any


def _load_attribute(self: Outcome, name: str) -> Any:
    """Compute an attribute at its first use; see :func:`outcome_from_record`."""
    if name not in _SETTERS:
        raise AttributeError(f"an outcome has no {name}")
    row, row_before, matched_by, _, _, ignored, conflicts = self._record
    if name == "contact":
        value: Any = contact_from_row(row)
    elif name == "before" and row_before is row:
        # Another book may hold this contact in a row of its own, so make it once.
        value = self.contact
    elif name == "before":
        value = None if row_before is None else contact_from_row(row_before)
    elif name == "ignored" and ignored:
        value = FrozenMap.trusted(ignored)
    elif conflicts and name in ("withheld", "also_matched"):
        value = conflicts[name == "also_matched"]
    else:
        value = matched_by if name == "matched_by" else _DEFAULTS[name]
    _SETTERS[name](self, value)
    return value


# Set outside the class, so that type checkers still report unknown attributes.
Outcome.__getattr__ = _load_attribute  # type: ignore[attr-defined]


def _record_of(outcome: Outcome) -> Any:
    """Return the record of an outcome, None where it was made of its attributes."""
    try:
        return _get_record(outcome)
    except AttributeError:
        return None


def _has_history(record: Record) -> bool:
    """Return whether one of the contacts has aliases, clocks or a deletion."""
    row_before = record[PREVIOUS_ROW]
    if record[ROW][HISTORY] is not None:
        return True
    return row_before is not None and row_before[HISTORY] is not None


def result_of_record(record: Record) -> Result:
    """
    Return what a write of one row did.

    >>> result_of_record((("a row",), None, None, 1, 0, None, None))
    'created'
    """
    row_before = record[PREVIOUS_ROW]
    if row_before is None:
        return "created"
    return "unchanged" if row_before is record[ROW] else "updated"


def outcome_from_record(record: Record, policy: Any) -> Outcome:
    """
    Make an outcome of a write of one row.

    Args:
        record: The record of the write; its contacts are made of its rows on demand.
            One that repeats a row has changed nothing.
        policy: The policy.

    Cost:
        A fifth of ``Outcome(...)``; the garbage collector need not track the result.

    >>> from upsertcore import ContactBook, Policy, never
    >>> book = ContactBook(Policy(never(), {}))
    >>> outcome = book.create({})
    >>> row = book._index.rows[""][outcome.contact.id]
    >>> outcome_from_record((row, None, None, 1, 0, None, None), book.policy) == outcome
    True
    """
    outcome = _MutableOutcome()
    row_before = record[PREVIOUS_ROW]
    # As result_of_record, without a call.
    if row_before is None:
        outcome.result = "created"
    else:
        outcome.result = "unchanged" if row_before is record[ROW] else "updated"
    outcome._policy = policy  # noqa: SLF001 - made for this function
    # The garbage collector untracks this tuple as well, where its rows are untracked.
    outcome._record = record  # noqa: SLF001
    outcome.__class__ = Outcome  # type: ignore[assignment]
    return outcome  # type: ignore[return-value]


def result_of(target: Target, moved: set[str]) -> Result:
    """
    Return what a decision does to its target.

    Args:
        target: The contacts that it is about.
        moved: The fields that move, by their value or by their clock.

    >>> from upsertcore.engine.target import Target
    >>> result_of(Target(None, ()), {"name"})
    'created'
    """
    before = target.before
    if before is None:
        return "created"
    if not target.merged and not moved and before.deleted_at is None:
        return "unchanged"
    return "merged" if target.merged else "updated"


def decision_dict(decision: Any) -> dict[str, Any]:
    """
    Return what plans and outcomes have in common as plain values.

    Args:
        decision: A plan or an outcome.

    >>> from upsertcore import ContactBook, Policy, never
    >>> [*decision_dict(ContactBook(Policy(never(), {})).plan({}))][:3]
    ['before', 'matched_by', 'changes']
    """
    before = decision.before
    return {
        "before": None if before is None else before.to_dict(),
        "matched_by": decision.matched_by,
        "changes": [change.to_dict() for change in decision.changes],
        "withheld": [withheld.to_dict() for withheld in decision.withheld],
        "ignored": dict(decision.ignored),
        "also_matched": [*decision.also_matched],
        "merged": [contact.to_dict() for contact in decision.merged],
    }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """
    List the fields in which two contacts differ.

    Args:
        before: Stored fields.
        after: Stored fields.

    Returns:
        The fields of *after*, in its order, then the removed ones.

    Cost:
        Linear in the fields of both.

    >>> changes({"a": 1, "b": 2}, {"a": 1, "c": 3})
    (Change(field='c', before=None, after=3), Change(field='b', before=2, after=None))
    """
    if before is after:
        return ()
    fields = [(name, before.get(name), value) for name, value in after.items()]
    removed = [(n, value, None) for n, value in before.items() if n not in after]
    return _changes_among(fields + removed)


def _changes_of_rows(before: Row | None, after: Row) -> tuple[Change, ...]:
    """List the fields in which two rows differ, as :func:`changes` of their fields."""
    names, width = after[NAMES], len(after[NAMES])
    values = after[len(after) - width :]
    if before is None:
        return _changes_among(zip(names, repeat(None), values))
    if before[NAMES] is not names:
        return changes(fields_from_row(before), fields_from_row(after))
    stored = before[len(before) - width :]
    return _changes_among(zip(names, stored, values, strict=True))


def _changes_among(fields: Iterable[tuple[str, Any, Any]]) -> tuple[Change, ...]:
    """List those of some fields that moved, the removed ones last."""
    moved: list[Change] = []
    removed: list[Change] = []
    for name, before, after in fields:
        # Equal texts are the same value; the comparison is cheaper than the call.
        if before == after if type(after) is str else same(before, after):
            continue
        change: Any = _MutableChange()
        change.field, change.before, change.after = name, before, after
        change.__class__ = Change
        (removed if after is None else moved).append(change)
    return (*moved, *removed)
