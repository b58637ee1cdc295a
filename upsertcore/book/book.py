"""
The book: the verbs of an application, over a store in memory.

Rules:
    Each verb is one decision, made by a plan, and one write, made by the store.
    A book is thread-safe, whatever the functions of an application do.
    What is refused, or raises, leaves the book as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeAlias, Unpack, final, overload

from upsertcore.book.arguments import (
    OnDuplicates,
    OnItself,
    OnRefused,
    check_batch,
    check_choice,
    check_count,
    check_function,
    check_index,
    check_number,
    check_outcome,
    check_plan,
    check_policy,
    check_several,
    check_version,
    plain_id,
)
from upsertcore.book.batch import all_of, in_turn, refusing
from upsertcore.book.compare import Comparison, comparing, side
from upsertcore.book.fast import FastPath, suits
from upsertcore.book.history import deleting, undoing
from upsertcore.book.loading import fill, rows_of
from upsertcore.engine.decide import decide_merge, decide_request
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.patch import Request, check_scope, freeze_field, read_patch
from upsertcore.engine.plan import Plan
from upsertcore.errors import InvalidField, InvalidPolicy, Refused, UnknownContact
from upsertcore.matching.strategies import never
from upsertcore.matching.strategy import Strategy
from upsertcore.model.contact import Contact
from upsertcore.policy.fields import Blank, Null
from upsertcore.policy.groups import groups
from upsertcore.policy.keys import Key
from upsertcore.policy.overrides import with_overrides
from upsertcore.policy.policy import Policy, compiled
from upsertcore.rules.rule import Rule
from upsertcore.store.calls import fingerprint
from upsertcore.store.ids import Making, fresh_ids, utc_now
from upsertcore.store.index import ContactIndex
from upsertcore.store.journal import Entry, redo
from upsertcore.store.memory import Writer
from upsertcore.store.transaction import Remainder
from upsertcore.values import listed

__all__ = ["ContactBook"]

Patches: TypeAlias = Iterable[Mapping[str, Any]]

_NEVER = never()
_NOTHING: tuple[dict[str, Any], dict[str, str]] = {}, {}


@final
class ContactBook:
    """
    Contacts under one policy.

    Args:
        policy: The table.
        ids: Answers a fresh id at each call; given by tests and by hosts.
        clock: Answers an aware time; given by tests and by hosts. UTC now if None.
        index: An index to work on, made with the policy's key names; fresh if None. No
            other book may write to it.
        retain_calls: How many calls with an idempotency key are remembered, per scope.
        retain_changes: How many changes :meth:`changes_since` can give; None for all.

    Raises:
        InvalidPolicy: If the index has other keys than the policy.

    Laws:
        The same policy, calls, ids and clock: the same ``dump()``.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> policy = Policy(
    ...     first_match("email"),
    ...     {"email": field(key=normalize.email, unique=True), "name": field()},
    ... )
    >>> book = ContactBook(policy, ids=iter(["c-1", "c-2"]).__next__)
    >>> book.upsert({"email": "ada@x.org", "name": "Ada"}).result
    'created'
    >>> book.upsert({"email": "ADA@x.org", "name": "Ada"}).changes
    (Change(field='email', before='ada@x.org', after='ADA@x.org'),)
    >>> book.upsert({"email": "ADA@x.org"}).result, len(book)
    ('unchanged', 1)
    """

    __slots__ = ("_index", "_policy", "_quick", "_quick_many", "_writer")

    def __init__(
        self,
        policy: Policy,
        *,
        ids: Callable[[], str] | None = None,
        clock: Callable[[], datetime] | None = None,
        index: ContactIndex | None = None,
        retain_calls: int = 1_000,
        retain_changes: int | None = 0,
    ) -> None:
        check_policy("policy", policy)
        check_function("ids", ids, "pass one that returns a fresh id, as uuid4().hex")
        check_function("clock", clock, "pass one that returns an aware time")
        check_count("retain_calls", retain_calls, "pass 0 to remember no calls")
        names = tuple(key.name for key in policy.all_keys)
        check_index(index)
        index = ContactIndex(names) if index is None else index
        if index.keys != names:
            keys = [listed(each) or "none" for each in (names, index.keys)]
            what = f"must have the keys {keys[0]}, not {keys[1]}"
            raise InvalidPolicy(f"index: {what}; make it with the keys of the policy")
        self._policy, self._index = policy, index
        checked = ids is not None
        ids = fresh_ids() if ids is None else ids
        clock = utc_now if clock is None else clock
        keeps = retain_calls, retain_changes
        self._writer = Writer(index, ids, clock, policy, *keeps)
        fast = None
        if suits(policy):
            fast = FastPath(policy, index, self._writer, ids=checked)
        self._quick = None if fast is None else fast.upsert
        self._quick_many = None if fast is None else fast.upsert_many

    @property
    def policy(self) -> Policy:
        """The table; for another one load the rows of :meth:`dump` under it."""
        return self._policy

    @policy.setter
    def policy(self, _other: object) -> None:
        advice = "make another book: ContactBook.load(other, book.dump())"
        raise AttributeError(f"policy: is read-only; {advice}")

    def upsert(
        self,
        patch: Mapping[str, Any],
        *,
        scope: str = "",
        if_version: int | None = None,
        idempotency_key: str | None = None,
        rules: Mapping[str, Rule] | None = None,
        null: Null | None = None,
        blank: Blank | None = None,
    ) -> Outcome:
        """
        Create the contact that a patch is about, or update the one that is known.

        Args:
            patch: Field name to value; an absent field is omitted, None is null.
            scope: The tenant.
            if_version: Refuse unless the contact that is found has this version.
            idempotency_key: Names this call in its scope: made again, it returns the
                same outcome, marked as ``replayed``, and does nothing, as long as the
                book remembers it.
            rules: Field name to rule, in place of the policy's for this call.
            null: What null does in this call, in every field.
            blank: What blank does in this call, in every field.

        Returns:
            What happened, what was withheld and what was ignored.

        Raises:
            Refused: One of its family; nothing has changed then.
            InvalidPolicy: If a rule of this call, or *null* or *blank*, is none.

        Cost:
            Linear in the patch, in the contacts that its keys hit, and in their forms,
            for which a contact has a place in each key; independent of the size of the
            book.

        Laws:
            Twice is once: the second call is ``unchanged``.
        """
        if (
            idempotency_key is None
            and if_version is None
            and null is None
            and blank is None
            and rules is None
        ):
            if self._quick is None:
                return self._plainly(patch, scope, None)
            done = self._quick(patch, scope)
            if type(done) is Outcome:
                return done
            return self._plainly(patch, scope, done)
        check_version(if_version)
        policy = with_overrides(self.policy, rules, null, blank)
        ask = self._asking(policy, patch, scope, policy.match)
        once = fingerprint(idempotency_key, ask, if_version, null, blank, rules)
        return self._writer.write(
            ask, lambda asked: decide_request(policy, asked, if_version), once
        )

    def create(
        self,
        patch: Mapping[str, Any],
        *,
        scope: str = "",
        idempotency_key: str | None = None,
    ) -> Outcome:
        """
        Create a contact without looking for a known one; unique keys still hold.

        Args:
            patch: Field name to value.
            scope: The tenant.
            idempotency_key: As :meth:`upsert`; it makes a creation safe to retry.

        Raises:
            Refused: One of its family; nothing has changed then.

        Cost:
            Linear in the patch.
        """
        ask = self._asking(self.policy, patch, scope, _NEVER)
        once = fingerprint(idempotency_key, ask)
        return self._writer.write(
            ask, lambda asked: decide_request(self.policy, asked), once
        )

    def plan(
        self,
        patch: Mapping[str, Any],
        *,
        scope: str = "",
        rules: Mapping[str, Rule] | None = None,
        null: Null | None = None,
        blank: Blank | None = None,
    ) -> Plan:
        """
        Decide what :meth:`upsert` would do, and do nothing.

        Args:
            patch: Field name to value.
            scope: The tenant.
            rules: As in :meth:`upsert`.
            null: As in :meth:`upsert`.
            blank: As in :meth:`upsert`.

        Returns:
            The decision, with its ``trace`` and what it ``expects``.

        Raises:
            Refused: Where :meth:`upsert` would be refused.

        Cost:
            As :meth:`upsert`.
        """
        policy = with_overrides(self.policy, rules, null, blank)
        ask = self._asking(policy, patch, scope, policy.match)
        return self._writer.settle(ask, lambda asked: decide_request(policy, asked))

    def apply(self, plan: Plan) -> Outcome:
        """
        Do what a plan says, if all that it rests on still holds.

        Args:
            plan: Made by :meth:`plan` of a book with the same policy.

        Raises:
            StalePlan: If a contact or a key of the plan has changed since.
            ValueError: If the plan was made under another policy.

        Cost:
            One look-up for each one of the plan; nothing is decided anew.
        """
        check_plan(plan)
        if plan.policy.base is not self.policy:
            advice = "plan again with this book"
            raise ValueError(f"plan: must be made under this book's policy; {advice}")
        return self._writer.apply(plan)

    @overload
    def upsert_many(
        self,
        patches: Patches,
        *,
        scope: str = "",
        on_refused: Literal["raise"] = ...,
        atomic: bool = ...,
        on_duplicates: OnDuplicates = ...,
    ) -> list[Outcome]: ...

    @overload
    def upsert_many(
        self,
        patches: Patches,
        *,
        scope: str = "",
        on_refused: Literal["collect"],
        on_duplicates: OnDuplicates = ...,
    ) -> list[Outcome | Refused]: ...

    def upsert_many(
        self,
        patches: Patches,
        *,
        scope: str = "",
        on_refused: OnRefused = "raise",
        atomic: bool = False,
        on_duplicates: OnDuplicates = "fold",
    ) -> list[Outcome] | list[Outcome | Refused]:
        """
        Upsert one patch after the other.

        Args:
            patches: Read once, as they are needed; all at once for an atomic batch
                and under ``"refuse_all"``.
            scope: The tenant.
            on_refused: ``"raise"`` ends at the first refusal, and what came before
                it stays done; ``"collect"`` puts the refusal in the list and goes on.
            atomic: A refusal leaves the book as it was before the batch.
            on_duplicates: Of patches that share a key of the strategy, ``"fold"`` takes
                one after the other; ``"refuse_later"`` refuses one that shares a key
                with an earlier accepted one, ``"refuse_all"`` each that shares one at
                all.

        Returns:
            One outcome, or refusal, per patch, in the order sent.

        Raises:
            Refused: The first refusal, under ``"raise"`` (an atomic batch reads every
                patch before it decides on one), with its ``row``, and ``outcomes`` of
                what was done before.
            TypeError: If *patches* cannot be iterated, or is one mapping.
            ValueError: If a choice is none, or *atomic* is to collect refusals.

        Cost:
            Linear in its calls; *on_duplicates* reads each patch once more.

        Laws:
            It is the left fold of :meth:`upsert`, but for duplicates that are refused.

        >>> from upsertcore import Policy, errors, field, first_match, normalize
        >>> lines = {"email": field(key=normalize.email), "age": field()}
        >>> book = ContactBook(Policy(first_match("email"), lines))
        >>> try:
        ...     book.upsert_many([{"email": "a@x"}, {"age": 3}], atomic=True)
        ... except errors.NoMatchKey:
        ...     len(book)
        0
        """
        check_batch(patches, on_refused, on_duplicates, atomic=atomic)
        if atomic:
            scope = check_scope(scope)
            return self._writer.write_all(
                all_of(self.policy, patches, scope, on_duplicates)
            )
        if on_duplicates == "fold" and self._quick_many is not None:
            collect = on_refused == "collect"
            return self._quick_many(patches, scope, self._plainly, collect=collect)
        upsert = partial(self.upsert, scope=scope)
        return in_turn(
            *refusing(self.policy, upsert, patches, on_duplicates), on_refused
        )

    def get(self, id: str, *, scope: str = "") -> Contact:
        """
        Return the contact with this id, or the one that it was merged into.

        A contact that was deleted and kept is returned too: ``deleted_at`` says so.

        Args:
            id: The contact's.
            scope: The tenant; a contact of another one is unknown.

        Raises:
            UnknownContact: If there is none; ``id in book``, or ``(scope, id) in
                book``, asks first.

        Cost:
            A look-up or two.
        """
        scope, id = check_scope(scope), plain_id(id)
        contact = self._writer.read(lambda: self._index.get(id))
        if contact.scope != scope:
            raise UnknownContact(id)
        return contact

    def find(self, key: str, value: Any, *, scope: str = "") -> tuple[Contact, ...]:
        """
        Give the contacts that hold a key.

        Args:
            key: The name of a key of the policy.
            value: As it would be stored; it is normalised here, and not cleaned. A
                list stands for any of its items. Of a composite key, a mapping of its
                fields to such values.
            scope: The tenant.

        Returns:
            Those created first standing first; empty where nobody holds it, or the
            value has no normal form.

        Raises:
            InvalidField: If the policy has no such key, or no field holds such a
                value.

        Cost:
            Linear in the value and in the contacts that are returned.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email)}
        >>> book = ContactBook(Policy(first_match("email"), fields))
        >>> outcome = book.upsert({"email": "ada@x.org"})
        >>> book.find("email", "ADA@X.org") == (outcome.contact,)
        True
        """
        scope = check_scope(scope)
        known = self._key(key)
        forms = known.lookup_forms(freeze_field("value", value))
        index = self._index

        def ask() -> tuple[Contact, ...]:
            ids = [id for form in forms for id in index.holders(key, form, scope)]
            if len(forms) > 1:
                ids = sorted({*ids}, key=index.seat)
            return tuple([index.get(id) for id in ids])

        return self._writer.read(ask)

    def duplicates(
        self, *keys: str, scope: str | None = None
    ) -> tuple[tuple[Contact, ...], ...]:
        """
        Group the contacts that share a key.

        Args:
            keys: Names of keys of the policy; all of them where none is named.
            scope: The tenant, None for all; no group ever crosses scopes.

        Returns:
            Groups of two or more, each by creation, and they by their first contact.
            They are transitive: whoever shares a key with one of a group is in it.

        Raises:
            InvalidField: If the policy has no such key.

        Cost:
            Near-linear in the forms of these keys.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> lines = {name: field(key=normalize.exact) for name in ("email", "phone")}
        >>> book = ContactBook(
        ...     Policy(first_match(*lines), lines), ids="abc".__iter__().__next__
        ... )
        >>> for patch in ({"email": "a"}, {"email": "a", "phone": "1"}, {"phone": "1"}):
        ...     _ = book.create(patch)
        >>> [[contact.id for contact in group] for group in book.duplicates()]
        [['a', 'b', 'c']]
        """
        if scope is not None:
            scope = check_scope(scope)
        by_name = compiled(self.policy).by_name
        names = dict.fromkeys([self._key(name).name for name in keys or by_name])

        def ask() -> tuple[tuple[Contact, ...], ...]:
            index = self._index
            known: dict[int, Contact] = {}

            def living(held: list[str]) -> list[int]:
                # The deleted are kept too: what nobody has is made at each look.
                both = {index.seat(id): index.get(id) for id in held}
                known.update(both)
                return [n for n, each in both.items() if each.deleted_at is None]

            shared = (held for name in names for held in index.shared(name, scope))
            found = groups(filter(None, map(living, shared)))
            return tuple(tuple([known[n] for n in group]) for group in found)

        return self._writer.read(ask)

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
        tenant = check_scope(scope)
        for id in (survivor, *others):
            if type(id) is not str:
                raise UnknownContact(id)
        check_choice("on_itself", on_itself, OnItself)

        def ask() -> Request:
            return Request(
                compiled(self.policy).by_name, _NOTHING, self._index, tenant, _NEVER
            )

        def decision(asked: Request) -> Plan:
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
        delete = deleting(plain_id(id), check_scope(scope), now)
        return self._writer.change(delete).contact

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
        return self._writer.purge(id, check_scope(scope))

    def compare(
        self, other: Policy, patches: Iterable[Mapping[str, Any]], *, scope: str = ""
    ) -> Comparison:
        """
        Tell where another policy would answer otherwise; nothing here changes.

        Args:
            other: Takes the contacts of this book as they are.
            patches: Sent to two copies of the book, one under each policy, both with
                the system's clock.
            scope: The tenant.

        Raises:
            Refused: If the other policy cannot take a contact of this book.

        Cost:
            Linear in the book and the patches; holds two copies of the book.

        >>> from upsertcore import ContactBook, Policy, field, first_match
        >>> from upsertcore import first_present, normalize
        >>> lines = {name: field(key=normalize.exact) for name in ("id", "email")}
        >>> book = ContactBook(Policy(first_match("id", "email"), lines))
        >>> patches = [{"email": "a@x"}, {"id": 1, "email": "a@x"}]
        >>> print(
        ...     book.compare(
        ...         Policy(first_present("id", "email"), lines), patches
        ...     ).explain()
        ... )
        2 patches, 1 difference
        row 1: contact: 'row 0' / 'row 1'
        """
        check_policy("other", other)
        check_several("patches", patches, "put one patch into a list")
        scope = check_scope(scope)
        rows, load = self.dump(), ContactBook.load
        mine, theirs = [side(load, p, rows, scope) for p in (self.policy, other)]
        return comparing(patches, mine, theirs)

    def changes_since(self, number: int = 0) -> tuple[Entry, ...]:
        """
        Give what has changed after a number, in order.

        Args:
            number: The number of the last change that the caller knows; 0 for all.

        Returns:
            Entries: each a number and an outcome. ``ContactBook.from_changes`` does
            them again; a book retains as many as its ``retain_changes`` says.

        Raises:
            ChangesNotRetained: If some of them are not kept any more.

        Cost:
            Linear in what is returned.

        Laws:
            Replaying all of them gives the same ``dump()``.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> lines = {"email": field(key=normalize.email), "age": field()}
        >>> book = ContactBook(Policy(first_match("email"), lines), retain_changes=None)
        >>> for age in (1, 1, 2):
        ...     _ = book.upsert({"email": "ada@x.org", "age": age})
        >>> [(entry.number, entry.outcome.result) for entry in book.changes_since()]
        [(1, 'created'), (2, 'updated')]
        >>> twin = ContactBook.from_changes(book.policy, book.changes_since())
        >>> twin.dump() == book.dump(), book.changes_since(2)
        (True, ())
        """
        check_number(number)
        return self._writer.changes_since(number)

    def dump(self) -> list[dict[str, Any]]:
        """
        Return all contacts as plain rows, ready for JSON, by creation.

        Returns:
            Rows of ``Contact.to_dict``, each with ``place``: its number by creation,
            from 0. ``ContactBook.load`` takes them in any order.

        Cost:
            Linear in the book.

        Laws:
            ``ContactBook.load(policy, book.dump()).dump() == book.dump()``.
        """
        return [*rows_of(self)]

    @classmethod
    def load(
        cls,
        policy: Policy,
        rows: Iterable[Mapping[str, Any]],
        **how: Unpack[Making],
    ) -> ContactBook:
        """
        Make a book of the rows of :meth:`dump`.

        Args:
            policy: The table; it need not be the one that the rows were made under.
            rows: From outside, so each is looked at.
            how: As in the constructor.

        Raises:
            Refused: As :func:`upsertcore.book.loading.fill`.

        Cost:
            Near-linear in the rows and their forms.

        >>> from upsertcore import Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email)}
        >>> book = ContactBook(Policy(first_match("email"), fields))
        >>> _ = book.upsert({"email": "ada@x.org"})
        >>> ContactBook.load(book.policy, book.dump()).dump() == book.dump()
        True
        """
        check_policy("policy", policy, "pass the policy first, then the rows")
        book = cls(policy, **how)
        fill(book._index, policy, rows)
        return book

    @classmethod
    def from_changes(
        cls, policy: Policy, entries: Iterable[Entry], **how: Unpack[Making]
    ) -> ContactBook:
        """
        Make a book by doing again what :meth:`changes_since` gave, from the first on.

        Args:
            policy: The one that they were made under.
            entries: In their order, without a gap.
            how: As in the constructor.

        Raises:
            ValueError: If they do not follow one another.

        Cost:
            Linear in the entries and the contacts that they change.
        """
        book = cls(policy, **how)
        redo(book._index, policy, entries)
        return book

    def __len__(self) -> int:
        return self._writer.read(lambda: len(self._index))

    def __iter__(self) -> Iterator[Contact]:
        return self._writer.read(lambda: iter(self._index))

    def __contains__(self, id: object) -> bool:
        scope, id = id if type(id) is tuple and len(id) == 2 else ("", id)
        try:
            return self.get(id, scope=scope) is not None  # type: ignore[arg-type]
        except (UnknownContact, InvalidField):
            return False

    def _plainly(
        self, patch: Any, scope: Any, remainder: Remainder | Refused | None
    ) -> Outcome:
        """Complete an upsert that is not for the fast path."""
        if isinstance(remainder, Refused):
            raise remainder
        policy = self.policy
        ask = self._asking(policy, patch, scope, policy.match, remainder)
        return self._writer.write(ask, partial(decide_request, policy), None, remainder)

    def _asking(
        self,
        policy: Policy,
        patch: Mapping[str, Any],
        scope: str,
        match: Strategy,
        remainder: Remainder | None = None,
    ) -> Callable[[], Request]:
        """Read a patch, once, and make what each attempt at a decision asks with."""
        scope = check_scope(scope)
        keys = compiled(policy).by_name
        if remainder is None:
            patched, made = read_patch(policy, patch), {}
        else:
            patched, made = (remainder.sent, {}), remainder.forms
        return lambda: Request(keys, patched, self._index, scope, match, made)

    def _key(self, name: Any) -> Key:
        known = compiled(self.policy).by_name.get(name) if type(name) is str else None
        if known is None:
            names = listed(compiled(self.policy).by_name)
            reason = f"must be one of {names}" if names else "is unknown"
            raise InvalidField("key", name, f"{reason}; name a key of the policy")
        return known
