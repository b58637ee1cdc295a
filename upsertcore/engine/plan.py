"""
The plan: what a decision would do, and what it is based on.

Rules:
    A plan is a frozen value; what can be derived from it is computed on demand.
    It keeps its look-ups, so that it can tell later whether they still hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import attrs
from attrs import frozen

from upsertcore.engine.explain import (
    explain,
    headline,
    released_forms,
    rule_namer,
    unusable_values,
)
from upsertcore.engine.outcome import (
    Change,
    Decision,
    Result,
    Withheld,
    changes,
    decision_dict,
)
from upsertcore.engine.trace import Step, trace
from upsertcore.errors import StalePlan
from upsertcore.values import NOTHING, FrozenMap, thaw

if TYPE_CHECKING:
    from upsertcore.engine.patch import Request
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Forms, View
    from upsertcore.policy.policy import Policy

__all__ = ["Expects", "Plan"]


@final
@frozen
class Expects:
    """
    What must still hold when a plan is applied.

    Args:
        versions: Contact id to version, of each contact that was read.
        keys: (key, normal form, ids of its holders) for each look-up of the
            decision; no ids: the form must still be free. An id that no contact had
            is a form of the id.

    >>> Expects(FrozenMap(), (("email", "a@x.org", ()),)).keys
    (('email', 'a@x.org', ()),)
    """

    versions: FrozenMap[int]
    keys: tuple[tuple[str, str, tuple[str, ...]], ...]

    def to_dict(self) -> dict[str, Any]:
        """
        Return a dict of plain values, ready for JSON.

        >>> Expects(FrozenMap(), (("email", "a@x.org", ()),)).to_dict()
        {'versions': {}, 'keys': [{'key': 'email', 'form': 'a@x.org', 'holders': []}]}
        """
        keys = [
            {"key": key, "form": form, "holders": [*holders]}
            for key, form, holders in self.keys
        ]
        return {"versions": dict(self.versions), "keys": keys}


@final
@frozen
class Plan(Decision):
    """
    What a patch would do; ``book.apply`` does it.

    A plan pickles as its policy does, and applies to any book with an equal policy.

    Args:
        result: ``"created"``, ``"updated"``, ``"unchanged"`` or ``"merged"``. A clock
            that moves alone makes it ``"updated"``, without changes.
        scope: The tenant.
        before: The matched contact, None where one would be created.
        after: Its fields afterwards.
        matched_by: The name of the key that matched it.
        withheld: Values not stored because another contact holds their key.
        ignored: Field name to reason, for values that the policy does not store.
        also_matched: Ids of further contacts that the patch's keys match.
        forms: The normal forms that the contact would hold, per key of the policy.
        aliases: Key name to those of them that its fields do not have any more.
        clocks: Field name to the clock of its last update.
        merged: Contacts that would be merged into it.
        new_id: The id that the sender gives a new contact; None for a fresh one.

    >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> plan = ContactBook(policy).plan({"email": "Ada@x.org"})
    >>> plan.result, plan.expects.keys, plan.trace[0].note
    ('created', (('email', 'ada@x.org', ()),), 'no match')
    """

    result: Result
    scope: str
    before: Contact | None
    after: FrozenMap[Any]
    matched_by: str | None
    withheld: tuple[Withheld, ...]
    ignored: FrozenMap[str]
    also_matched: tuple[str, ...]
    forms: Forms
    aliases: FrozenMap[tuple[str, ...]]
    clocks: FrozenMap[Any]
    merged: tuple[Contact, ...]
    policy: Policy = attrs.field(repr=False)
    _request: Request = attrs.field(repr=False, eq=False)
    new_id: str | None = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """The fields that would move, computed anew each time."""
        return changes(
            NOTHING if self.before is None else self.before.fields, self.after
        )

    @property
    def expects(self) -> Expects:
        """What must still hold when it is applied, computed anew each time."""
        request = self._request
        versions = {
            id: contact.version for id, (contact, _) in request.contacts.items()
        }
        keys = (
            *[(key, form, ids) for (key, form), ids in request.lookups.items()],
            *[(request.name_of(id), id, ()) for id in request.unknown_ids],
        )
        return Expects(FrozenMap.trusted(versions), keys)

    @property
    def trace(self) -> tuple[Step, ...]:
        """Why each key of the strategy matched or did not, computed anew each time."""
        return trace(self._request, self.before, self.matched_by, self.merged)

    def explain(self) -> str:
        """
        Explain the decision: a line per key, per field with its rule, per clock.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> lines = {"email": field(key=normalize.email), "name": field()}
        >>> book = ContactBook(Policy(first_match("email"), lines), ids=lambda: "c-1")
        >>> _ = book.upsert({"email": "ada@x.org", "name": "Ada"})
        >>> print(book.plan({"email": "ADA@x.org", "name": "Bob"}).explain())
        updated c-1, matched by email
          email: ada@x.org: decides
          email: 'ada@x.org' -> 'ADA@x.org' (replace)
          name: 'Ada' -> 'Bob' (replace)
        """
        before = self.before
        id = None if before is None else before.id
        match = self.matched_by, self.merged, self.also_matched
        deleted = before is not None and before.deleted_at is not None
        return explain(
            headline(self.result, id, match, deleted),
            self.trace,
            self.changes,
            (self.withheld, self.ignored.items()),
            rule_namer(self.policy, self.merged),
            unusable_values(self.policy, self.after),
            changes(NOTHING if before is None else before.clocks, self.clocks),
            released_forms(self.policy, self.merged, self.after, self.aliases),
        )

    def to_dict(self) -> dict[str, Any]:
        """
        Return a dict of plain values, ready for JSON.

        Returns:
            ``result``, ``scope``, ``new_id``, ``after``, ``before``, ``matched_by``,
            ``changes``, ``withheld``, ``ignored``, ``also_matched``, ``merged``,
            ``forms``, ``aliases``, ``clocks``, ``expects`` and ``trace``, in this
            order. A plan is not made of it: to send one to another process, pickle it.

        Cost:
            Linear in the contacts and their forms.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
        >>> row = ContactBook(policy).plan({"email": "Ada@x.org"}).to_dict()
        >>> row["result"], row["forms"], row["trace"][0]["note"]
        ('created', {'email': ['ada@x.org']}, 'no match')
        """
        keys = zip(self.policy.all_keys, self.forms, strict=True)
        return {
            "result": self.result,
            "scope": self.scope,
            "new_id": self.new_id,
            "after": thaw(self.after),
            **decision_dict(self),
            "forms": {key.name: [*forms] for key, forms in keys},
            "aliases": thaw(self.aliases),
            "clocks": thaw(self.clocks),
            "expects": self.expects.to_dict(),
            "trace": [step.to_dict() for step in self.trace],
        }

    def stale_reason(self, index: View) -> str | None:
        """
        Return what has changed since the plan was made; None where it still holds.

        Args:
            index: The index to apply it to.

        Cost:
            As many look-ups as the decision.
        """
        return self._request.stale_reason(index)

    def check_not_stale(self, index: View) -> None:
        """
        Refuse a plan that no longer holds.

        Args:
            index: As in :meth:`stale_reason`.

        Raises:
            StalePlan: If something that the decision has read has changed.
        """
        reason = self.stale_reason(index)
        if reason is not None:
            raise StalePlan(reason)
