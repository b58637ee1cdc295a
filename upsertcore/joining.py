"""
Contacts among themselves: merged, deduplicated, deleted, and put back.

Rules:
    Each verb is one decision and one write, as those of a patch are.
    An id that was given once leads to its contact, to the one that absorbed it, or
    to nobody; it never comes to mean another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from upsertcore.arguments import (
    OnItself,
    OnRefused,
    check_choice,
    check_outcome,
)
from upsertcore.batch import in_turn
from upsertcore.deleting import deleting
from upsertcore.errors import InvalidField, Refused, UnknownContact
from upsertcore.match import never
from upsertcore.outcome import Outcome
from upsertcore.patch import Asked, checked_scope, read
from upsertcore.plan import decide_merge, decide_request
from upsertcore.reader import Reader
from upsertcore.undoing import undoing

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.planned import Plan
    from upsertcore.policy import Policy
    from upsertcore.quick import Left
    from upsertcore.strategy import Strategy

__all__ = ["Joining"]

_NOBODY = never()
_NOTHING: tuple[dict[str, Any], dict[str, str]] = {}, {}


class Joining(Reader):
    """
    The verbs of a book that are about contacts it has, and no patch.

    >>> Joining.__slots__
    ()
    """

    __slots__ = ()

    def delete(self, id: str, *, scope: str = "") -> Contact:
        """
        Take a contact out of the book; its keys are free again.

        Under ``on_deleted="restore"`` or ``"refuse"`` it stays instead, with its keys
        and a time in ``deleted_at``, and a patch that finds it brings it back or is
        refused. ``get``, ``find``, ``len`` and iteration still have it; no group of
        duplicates has it. An id from outside may be created again once its contact is
        out of the book.

        Args:
            id: The contact's own.
            scope: The tenant; a contact of another one is unknown.

        Returns:
            The contact as it was, or as it is now where it stays.

        Raises:
            UnknownContact: If there is none; the id of one that was merged into
                another takes nothing out.

        Cost:
            Linear in the contact, and in the contacts that share its forms.
        """
        keep = self.policy.on_deleted != "forget"
        now = self._writer.time() if keep else None
        return self._writer.change(deleting(id, checked_scope(scope), now)).contact

    def purge(self, id: str, *, scope: str = "") -> int:
        """
        Forget a person: the contact, its changes, and the calls that were about it.

        Args:
            id: The contact's, or one that leads to it; also of one that is deleted.
            scope: The tenant; a contact of another one is unknown.

        Returns:
            How many changes and calls told of it. Of its own changes the numbers stay,
            so that the others can be replayed; those of other contacts stay without
            its id and the values that it held from them. An outcome that a host keeps
            is its own to forget.

        Raises:
            UnknownContact: If the book knows nothing of this id.

        Cost:
            Linear in the changes and calls that the book keeps.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> lines = {"email": field(key=normalize.email)}
        >>> policy = Policy(first_match("email"), lines)
        >>> book = ContactBook(policy, ids=lambda: "c-1", retain_changes=None)
        >>> _ = book.upsert({"email": "ada@x.org"})
        >>> book.purge("c-1"), len(book), book.changes_since()
        (1, 0, (Entry(number=1, outcome=None),))
        """
        return self._writer.purge(id, checked_scope(scope))

    def merge(
        self,
        survivor: str,
        *others: str,
        scope: str = "",
        on_itself: OnItself = "refuse",
    ) -> Outcome:
        """
        Merge contacts into one.

        Args:
            survivor: The id of the contact that stays, or one that leads to it.
            others: Ids of those that become part of it, or that lead to them. Their
                ids lead to the survivor from then on.
            scope: The tenant; a contact of another one is unknown.
            on_itself: What an id that leads to the survivor itself does.

        Returns:
            What happened: ``"merged"``, with those that were absorbed as they were;
            ``"unchanged"`` where there was nobody but the survivor. The version moves;
            ``updated_at`` moves where a field or its clock does.

        Raises:
            UnknownContact: If there is no such contact.
            InvalidField: If one is the survivor itself, or a rule of the policy's
                ``absorb`` refuses.
            KeyInUse: If what is absorbed makes a unique key of somebody else.

        Cost:
            Near-linear in the contacts that are named and their forms.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> from upsertcore.rules import union
        >>> lines = {"email": field(key=normalize.email), "tags": field(on_merge=union)}
        >>> policy = Policy(first_match("email"), lines)
        >>> book = ContactBook(policy, ids=iter(["c-1", "c-2"]).__next__)
        >>> _ = book.upsert({"email": "ada@x.org", "tags": ["a"]})
        >>> _ = book.upsert({"email": "ada@y.org", "tags": ["b"]})
        >>> outcome = book.merge("c-1", "c-2")
        >>> outcome.contact["tags"], book.get("c-2").id, len(book)
        (('a', 'b'), 'c-1', 1)
        """
        tenant = checked_scope(scope)
        for id in (survivor, *others):
            if type(id) is not str:
                raise UnknownContact(id)
        check_choice("on_itself", on_itself, OnItself)

        def ask() -> Asked:
            return Asked(self.policy.by_name, _NOTHING, self._index, tenant, _NOBODY)

        def decision(asked: Asked) -> Plan:
            found: dict[str, Contact] = {}
            for id in (survivor, *others):
                found[id] = asked.get(id)[0]
                if found[id].scope != tenant:
                    raise UnknownContact(id)
            first = found.pop(survivor).id
            ids = dict.fromkeys(contact.id for contact in found.values())
            if (first in ids or survivor in others) and on_itself == "refuse":
                advice = "leave it out, or set on_itself='ignore'"
                reason = f"is the survivor itself; {advice}"
                raise InvalidField("others", first, reason)
            merged = tuple(id for id in ids if id != first)
            return decide_merge(self.policy, asked, first, merged)

        return self._writer.write(ask, decision)

    def dedupe(
        self,
        *keys: str,
        scope: str | None = None,
        on_refused: OnRefused = "raise",
    ) -> list[Outcome | Refused]:
        """
        Merge each group of :meth:`duplicates` into its oldest contact.

        Args:
            keys: As :meth:`duplicates`.
            scope: As :meth:`duplicates`.
            on_refused: As :meth:`upsert_many`.

        Returns:
            One outcome, or refusal, per group, in the order of the groups.

        Raises:
            Refused: The first refusal, under ``"raise"``; what came before stays.

        Cost:
            Near-linear in the forms of these keys and the contacts that are merged.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> lines = {"email": field(key=normalize.email)}
        >>> book = ContactBook(Policy(first_match("email"), lines))
        >>> _ = [book.create({"email": "ada@x.org"}) for _ in range(3)]
        >>> [outcome.result for outcome in book.dedupe("email")], len(book)
        (['merged'], 1)
        """
        check_choice("on_refused", on_refused, OnRefused)
        found = self.duplicates(*keys, scope=scope)

        def merges() -> Iterator[Callable[[], Outcome]]:
            for group in found:
                # A call in between may have deleted one of them.
                ids = [one.id for one in group if (one.scope, one.id) in self]
                if ids:
                    yield partial(self.merge, *ids, scope=group[0].scope)

        return in_turn(lambda _group, call: call(), merges(), on_refused, "group")

    def undo(self, outcome: Outcome) -> Outcome:
        """
        Take back what one call did, exactly.

        Args:
            outcome: Of this book: created, updated, merged, or deleted where the
                contact was kept. What a merge absorbed comes back, and its ids lead to
                it again. What was removed, and what was undone, cannot be undone: send
                the patch again.

        Returns:
            An outcome whose result is ``"undone"``; its contact is the one as it is
            now, or as it was where it was created and so is gone. ``"unchanged"``
            where there was nothing to take back.

        Raises:
            StaleOutcome: If the contact has changed since, is gone, or a unique key
                that would come back is held by somebody else.

        Cost:
            Linear in the contacts of the outcome and their forms.

        Laws:
            ``dump()`` is then what it was before the call, versions and times
            included.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> lines = {"email": field(key=normalize.email), "name": field()}
        >>> book = ContactBook(Policy(first_match("email"), lines))
        >>> _ = book.upsert({"email": "ada@x.org", "name": "Ada"})
        >>> outcome = book.upsert({"email": "ada@x.org", "name": "Bob"})
        >>> book.undo(outcome).contact["name"]
        'Ada'
        """
        check_outcome(outcome)
        if outcome.unchanged:
            return outcome
        return self._writer.change(undoing(self.policy, outcome))

    def _plainly(self, patch: Any, scope: Any, left: Left | Refused | None) -> Outcome:
        """Do what is left of an upsert that is not for the hot path."""
        if isinstance(left, Refused):
            raise left
        policy = self.policy
        ask = self._asking(policy, patch, scope, policy.match, left)
        return self._writer.write(ask, partial(decide_request, policy), None, left)

    def _asking(
        self,
        policy: Policy,
        patch: Mapping[str, Any],
        scope: str,
        match: Strategy,
        left: Left | None = None,
    ) -> Callable[[], Asked]:
        """Read a patch, once, and make what each attempt at a decision asks with."""
        scope = checked_scope(scope)
        keys = policy.by_name
        if left is None:
            patched, made = read(policy, patch), {}
        else:
            patched, made = (left.sent, {}), left.forms
        return lambda: Asked(keys, patched, self._index, scope, match, made)
