"""
The outcome: what a call did, what it withheld, and what it ignored.

Rules:
    An outcome is a value; it holds the contact before and after, and no more.
    What can be derived (the changes) is derived when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, final

import attrs
from attrs import evolve, field, frozen

from upsertcore.engine.explain import explain
from upsertcore.model.layout import contact_in
from upsertcore.values import NOTHING, FrozenMap, same

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from upsertcore.model.contact import Contact
    from upsertcore.model.record import Record

__all__ = [
    "Change",
    "Decision",
    "Outcome",
    "Result",
    "Withheld",
    "changes",
    "outcome_from_record",
]

Result = Literal["created", "updated", "unchanged", "merged", "undone", "deleted"]


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
        value: What was sent, cleaned and merged.
        holder: The id of the contact that holds the key.
        key: The name of the key that is held. It is another field's where this field
            is left out because it identifies together with that one.

    >>> Withheld("phone", "+15550001111", "c-2").key
    'phone'
    """

    field: str
    value: Any
    holder: str
    key: str = attrs.field(default=attrs.Factory(lambda self: self.field, True))  # noqa: FBT003


class Decision:
    """What a plan and an outcome have in common, told in short words."""

    __slots__ = ()
    result: Result

    @property
    def created(self) -> bool:
        """True where a contact is created."""
        return self.result == "created"

    @property
    def updated(self) -> bool:
        """True where a field of a known contact moves, or its clock alone."""
        return self.result == "updated"

    @property
    def unchanged(self) -> bool:
        """True where the contact is known and nothing moves."""
        return self.result == "unchanged"


class _Late:
    """What an outcome is made of where its parts are made when they are asked for."""

    __slots__ = ("__weakref__", "_told")
    _told: Any


@final
@frozen
class Outcome(Decision, _Late):
    """
    What one call did.

    Args:
        result: ``"created"``, ``"updated"``, ``"unchanged"`` or ``"merged"``. A clock
            that moves alone makes it ``"updated"``, without changes.
        contact: The contact as it is now.
        before: The contact as it was, None where it was created; the same object
            as ``contact`` where nothing moved.
        matched_by: The name of the key that found it, None where none did.
        withheld: Values not stored because another contact holds their key.
        ignored: Field name to reason, for values that the policy does not store.
        also_matched: Ids of further contacts that the patch's keys hit.
        merged: Contacts that were merged into it, as they were.
        replayed: True where an idempotency key was sent again: this is the outcome
            of the first call, and the second one did nothing.

    Laws:
        Every sent field is stored, withheld or ignored, and named.

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
        Tell what happened in words: one line per field, with its rule, one per clock.

        A stored value that makes no key, though its field has one, is told too. A plan
        tells what each key found besides; a pickled outcome forgets the rules.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> lines = {"email": field(key=normalize.email), "name": field(null="ignore")}
        >>> book = ContactBook(Policy(first_match("email"), lines), ids=lambda: "c-1")
        >>> print(book.upsert({"email": "ada@x.org", "name": None}).explain())
        created c-1
          email: 'ada@x.org' stored (replace)
          name: not stored: null counts as omitted
        """
        left = self.withheld, self.ignored.items()
        told = headline(self, self.contact.id)
        rule = rule_namer(self._policy, self.merged)
        lacking = unusable_values(self._policy, self.contact.fields)
        was = NOTHING if self.before is None else self.before.clocks
        clocks = changes(was, self.contact.clocks)
        return explain(told, (), self.changes, left, rule, lacking, clocks)

    def __reduce__(self) -> tuple[type[Outcome], tuple[Any, ...]]:
        parts = (self.result, self.contact, self.before, self.matched_by)
        rest = (self.withheld, self.ignored, self.also_matched, self.merged)
        return Outcome, (*parts, *rest, None, self.replayed)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The fields that moved, computed anew each time."""
        before = {} if self.before is None else self.before.fields
        return changes(before, self.contact.fields)


_NONE_OF = {
    "withheld": (),
    "ignored": NOTHING,
    "also_matched": (),
    "merged": (),
    "replayed": False,
}
_SET = {
    each.name: getattr(Outcome, each.name).__set__ for each in attrs.fields(Outcome)
}
_get_told = vars(_Late)["_told"].__get__


class _Draft(Decision, _Late):
    """An outcome whose attributes can still be set."""

    __slots__ = Outcome.__slots__
    _policy: Any


def _late(self: Outcome, name: str) -> Any:
    """Make a part that was not asked for before; see :func:`outcome_from_record`."""
    if name not in _SET:
        raise AttributeError(f"an outcome has no {name}")
    row, was, matched_by = _get_told(self)[:3]
    if name == "contact":
        part: Any = contact_in(row)
    elif name == "before":
        part = None if was is None else contact_in(was)
    else:
        part = matched_by if name == "matched_by" else _NONE_OF[name]
    _SET[name](self, part)
    return part


# Set here, so that a type checker still knows which attributes there are.
Outcome.__getattr__ = _late  # type: ignore[attr-defined]


def outcome_from_record(result: Result, record: Record, policy: Any) -> Outcome:
    """
    Make an outcome in which nothing was withheld, ignored, hit besides or absorbed.

    Args:
        result: As ``Outcome``.
        record: Of the write: the row of the contact as it is, the row as it was, None
            where it was created, and the key that matched. Contacts are made of rows
            when they are asked for.
        policy: The table.

    Cost:
        A fifth of ``Outcome(...)``, and nothing that the collector keeps walking.

    >>> from upsertcore import ContactBook, Policy, never
    >>> book = ContactBook(Policy(never(), {}))
    >>> made = book.create({})
    >>> row = book._index.rows[made.contact.id]
    >>> outcome_from_record("created", (row, None, None), book.policy) == made
    True
    """
    draft = _Draft()
    draft.result, draft._policy = result, policy  # noqa: SLF001 - made for this function
    # Of plain rows the collector drops this tuple too.
    draft._told = record  # noqa: SLF001
    draft.__class__ = Outcome  # type: ignore[assignment]
    return draft  # type: ignore[return-value]


def headline(verdict: Any, id: str | None) -> str:
    """
    Say who it is about, and what became of them.

    Args:
        verdict: A plan or an outcome.
        id: The contact's, None where it has none yet.

    >>> from upsertcore import ContactBook, Policy, never
    >>> headline(ContactBook(Policy(never(), {})).plan({}), None)
    'created'
    """
    words = [verdict.result if id is None else f"{verdict.result} {id}"]
    was = verdict.before
    if was is not None and was.deleted_at is not None and not verdict.unchanged:
        words.append("which was deleted")
    if verdict.matched_by is not None:
        words.append(f"matched by {verdict.matched_by}")
    if verdict.merged:
        words.append(f"with {' and '.join(each.id for each in verdict.merged)}")
    if verdict.also_matched:
        words.append(f"also matched: {', '.join(verdict.also_matched)}")
    return ", ".join(words)


def without_contacts(outcome: Outcome, ids: set[str]) -> Outcome | None:
    """
    Give what is left of an outcome once contacts are forgotten.

    Args:
        outcome: Of a call.
        ids: The ids that led to those contacts.

    Returns:
        None where it holds one of them, or whoever had absorbed one. Else the outcome
        without their ids, and without the values that were withheld because they held
        them; the same object where it told nothing of them.

    >>> from upsertcore import ContactBook, Policy, never
    >>> outcome = ContactBook(Policy(never(), {}), ids=lambda: "c-1").create({})
    >>> (
    ...     without_contacts(outcome, {"c-1"}) is None,
    ...     without_contacts(outcome, {"c-2"}) is outcome,
    ... )
    (True, True)
    """
    every = outcome.contact, outcome.before, *outcome.merged
    if any(each is not None and not ids.isdisjoint(each.ids) for each in every):
        return None
    others = tuple([id for id in outcome.also_matched if id not in ids])
    withheld = tuple([each for each in outcome.withheld if each.holder not in ids])
    if others == outcome.also_matched and withheld == outcome.withheld:
        return outcome
    return evolve(outcome, also_matched=others, withheld=withheld)


def rule_namer(policy: Any, merged: tuple[Contact, ...]) -> Callable[[str], str]:
    """
    Make what names the rule of a field, and of absorbing it where that was done.

    Args:
        policy: The table, None where it is not known any more.
        merged: The contacts that were merged into the one.

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
    List the values of the fields of keys that make no key.

    Args:
        policy: The table, None where it is not known any more.
        fields: Stored fields.

    Returns:
        Field, value and reason, each once.

    >>> unusable_values(None, {"email": "not an email"})
    []
    """
    keys = () if policy is None else policy.all_keys
    every = [each for key in keys for each in key.unusable_values(fields)]
    return [*{(name, repr(v), why): (name, v, why) for name, v, why in every}.values()]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """
    List the fields in which two contacts differ.

    Args:
        before: Stored fields.
        after: Stored fields.

    Returns:
        What stands in *after*, in its order, then what is gone.

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
    gone = [Change(n, value, None) for n, value in before.items() if n not in after]
    return tuple(moved + gone)
