"""
The outcome: what a call did, what it withheld, and what it ignored.

Rules:
    An outcome is a frozen value; what can be derived from it is computed on demand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import attrs
from attrs import field, frozen

from upsertcore.engine.explain import explain
from upsertcore.engine.result import Decision, Result
from upsertcore.model.packed_row import contact_from_row
from upsertcore.values import NOTHING, FrozenMap, same

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from upsertcore.model.contact import Contact
    from upsertcore.model.write_record import Record

__all__ = [
    "Change",
    "Outcome",
    "Withheld",
    "changes",
    "outcome_from_record",
]


@final
@frozen
class Change:
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


class _LazyParts:
    """The record from which an outcome computes its attributes on demand."""

    __slots__ = ("__weakref__", "_record")
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
        not_stored = self.withheld, self.ignored.items()
        rule = rule_namer(self._policy, self.merged)
        unusable = unusable_values(self._policy, self.contact.fields)
        clocks_before = NOTHING if self.before is None else self.before.clocks
        clocks = changes(clocks_before, self.contact.clocks)
        title = headline(self, self.contact.id)
        return explain(title, (), self.changes, not_stored, rule, unusable, clocks)

    def __reduce__(self) -> tuple[type[Outcome], tuple[Any, ...]]:
        parts = (self.result, self.contact, self.before, self.matched_by)
        rest = (self.withheld, self.ignored, self.also_matched, self.merged)
        return Outcome, (*parts, *rest, None, self.replayed)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The fields that moved, computed anew each time."""
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
_get_record = vars(_LazyParts)["_record"].__get__


class _MutableOutcome(Decision, _LazyParts):
    """An outcome whose attributes can be set; it becomes an ``Outcome``."""

    __slots__ = Outcome.__slots__
    _policy: Any


def _load_attribute(self: Outcome, name: str) -> Any:
    """Compute an attribute at its first use; see :func:`outcome_from_record`."""
    if name not in _SETTERS:
        raise AttributeError(f"an outcome has no {name}")
    row, row_before, matched_by = _get_record(self)[:3]
    if name == "contact":
        value: Any = contact_from_row(row)
    elif name == "before":
        value = None if row_before is None else contact_from_row(row_before)
    else:
        value = matched_by if name == "matched_by" else _DEFAULTS[name]
    _SETTERS[name](self, value)
    return value


# Set outside the class, so that type checkers still report unknown attributes.
Outcome.__getattr__ = _load_attribute  # type: ignore[attr-defined]


def outcome_from_record(result: Result, record: Record, policy: Any) -> Outcome:
    """
    Make an outcome without withheld, ignored, further matched or merged parts.

    Args:
        result: As in ``Outcome``.
        record: The record of the write: the row of the contact after it, the row before
            it, None where it was created, and the key that matched. Contacts are made
            of rows on demand.
        policy: The policy.

    Cost:
        A fifth of ``Outcome(...)``; the garbage collector need not track the result.

    >>> from upsertcore import ContactBook, Policy, never
    >>> book = ContactBook(Policy(never(), {}))
    >>> outcome = book.create({})
    >>> row = book._index.rows[outcome.contact.id]
    >>> outcome_from_record("created", (row, None, None), book.policy) == outcome
    True
    """
    outcome = _MutableOutcome()
    outcome.result, outcome._policy = result, policy  # noqa: SLF001 - made for this function
    # The garbage collector untracks this tuple as well, where its rows are untracked.
    outcome._record = record  # noqa: SLF001
    outcome.__class__ = Outcome  # type: ignore[assignment]
    return outcome  # type: ignore[return-value]


def headline(decision: Any, id: str | None) -> str:
    """
    Return the first line of an explanation: the contact and the result.

    Args:
        decision: A plan or an outcome.
        id: The id of the contact, None where it has none yet.

    >>> from upsertcore import ContactBook, Policy, never
    >>> headline(ContactBook(Policy(never(), {})).plan({}), None)
    'created'
    """
    words = [decision.result if id is None else f"{decision.result} {id}"]
    before = decision.before
    deleted = before is not None and before.deleted_at is not None
    if deleted and not decision.unchanged:
        words.append("which was deleted")
    if decision.matched_by is not None:
        words.append(f"matched by {decision.matched_by}")
    if decision.merged:
        words.append(f"with {' and '.join(contact.id for contact in decision.merged)}")
    if decision.also_matched:
        words.append(f"also matched: {', '.join(decision.also_matched)}")
    return ", ".join(words)


def rule_namer(policy: Any, merged: tuple[Contact, ...]) -> Callable[[str], str]:
    """
    Return a function that names the rule of a field, and its rule for merges.

    Args:
        policy: The policy, None where it is not known (a pickled outcome).
        merged: The contacts that were merged; without any, no rule for merges is named.

    >>> rule_namer(None, ())("email")
    ''
    """

    def name(field_name: str) -> str:
        if policy is None:
            return ""
        own = str(policy.field_options(field_name).rule)
        if not merged:
            return own
        return f"{own}, merged by {policy.merge_rule(field_name)}"

    return name


def unusable_values(
    policy: Any, fields: Mapping[str, Any]
) -> list[tuple[str, Any, str]]:
    """
    List the stored values that have no key, though their field does.

    Args:
        policy: The policy, None where it is not known (a pickled outcome).
        fields: Stored fields.

    Returns:
        Field, value and reason, without duplicates.

    >>> unusable_values(None, {"email": "not an email"})
    []
    """
    keys = () if policy is None else policy.all_keys
    entries = [entry for key in keys for entry in key.unusable_values(fields)]
    return [
        *{(n, repr(value), why): (n, value, why) for n, value, why in entries}.values()
    ]


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
    moved = [
        Change(name, before.get(name), value)
        for name, value in after.items()
        if not same(before.get(name), value)
    ]
    removed = [Change(n, value, None) for n, value in before.items() if n not in after]
    return tuple(moved + removed)
