"""
The book: the verbs of an application, over a store in memory.

Rules:
    Each verb is one decision, made by a plan, and one write, made by the store.
    A book is thread-safe, whatever the functions of an application do.
    A call that is refused, or raises, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal, NoReturn, TypeAlias, Unpack, final, overload

from upsertcore.book.arguments import (
    BookOptions,
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
from upsertcore.book.batch import atomic_batch, refuse_duplicates, run_calls
from upsertcore.book.compare_policies import Comparison, compare_sides, side
from upsertcore.book.delete import make_delete, time_of_deletion
from upsertcore.book.fast_path import FastPath, has_fast_path
from upsertcore.book.loading import load_rows, rows_of
from upsertcore.book.undo import make_undo
from upsertcore.engine.decide import decide_merge, decide_request
from upsertcore.engine.outcome import Outcome, outcome_from_record
from upsertcore.engine.outcomes import Outcomes
from upsertcore.engine.patch import Request, check_scope, freeze_field, read_patch
from upsertcore.engine.plan import Plan
from upsertcore.errors import InvalidField, InvalidPolicy, Refused, UnknownContact
from upsertcore.matching.protocol import Strategy
from upsertcore.matching.strategies import never
from upsertcore.model.contact import Contact
from upsertcore.policy.fields import Blank, Null
from upsertcore.policy.keys import Key
from upsertcore.policy.overrides import with_overrides
from upsertcore.policy.policy import Policy, compiled
from upsertcore.policy.union_find import groups
from upsertcore.rules.rule import Rule
from upsertcore.store.apply_changes import apply_changes
from upsertcore.store.clock import utc_now
from upsertcore.store.contact_index import ContactIndex, index_for
from upsertcore.store.idempotency import call_key
from upsertcore.store.ids import fresh_ids
from upsertcore.store.journal import Entry
from upsertcore.store.memory import MemoryStore
from upsertcore.store.transaction import Remainder
from upsertcore.values import list_names

__all__ = ["ContactBook"]

Patches: TypeAlias = Iterable[Mapping[str, Any]]

_NEVER = never()
_MAX_OVERRIDES = 64
"""How many overrides of calls are kept, each with its fast path."""
_NOTHING: tuple[dict[str, Any], dict[str, str]] = {}, {}


@final
class ContactBook:
    """
    Contacts under one policy.

    Args:
        policy: The policy.
        ids: Returns a fresh id at each call. If None, random unique ids are made.
        clock: Returns an aware time. If None, the current time in UTC is used.
        index: The index to use, made with the policy's key names; a new one if None.
            No other book may write to it.
        retain_calls: How many calls with an idempotency key are remembered, per scope.
        retain_changes: How many changes :meth:`changes_since` returns; None for all.

    Raises:
        InvalidPolicy: If the index has other keys than the policy.

    A book pickles, with what it retains, if its policy, ``ids`` and ``clock`` do; it
    is not copied: load its rows.

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

    __slots__ = (
        *("_checks_ids", "_fast_create", "_fast_upsert", "_fast_upsert_many"),
        *("_index", "_overrides", "_policy", "_store"),
    )

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
        if index is None:
            index = index_for(policy)
        if index.keys != names:
            keys = [list_names(keys) or "none" for keys in (names, index.keys)]
            what = f"must have the keys {keys[0]}, not {keys[1]}"
            raise InvalidPolicy(f"index: {what}; make it with the keys of the policy")
        self._policy, self._index = policy, index
        self._checks_ids = ids is not None
        self._overrides: dict[Any, Any] = {}
        ids = fresh_ids() if ids is None else ids
        clock = utc_now if clock is None else clock
        limits = retain_calls, retain_changes
        self._store = MemoryStore(index, ids, clock, policy, *limits)
        self._fast_upsert = self._fast_upsert_many = self._fast_create = None
        fast, creating = [self._fast_path(policy, m) for m in (policy.match, _NEVER)]
        if fast is not None and creating is not None:
            self._fast_upsert, self._fast_upsert_many = fast.upsert, fast.upsert_many
            self._fast_create = creating.upsert

    @property
    def policy(self) -> Policy:
        """The policy; to change it, load the rows of :meth:`dump` under another one."""
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
        Update the contact that a patch matches, or create one.

        Args:
            patch: Field name to value; an absent field is omitted, None is null.
            scope: The tenant.
            if_version: Refuse unless the matched contact has this version.
            idempotency_key: Identifies this call in its scope. A repeated call returns
                the first outcome, with ``replayed`` set, and does nothing, as long as
                the book remembers the first.
            rules: Field name to rule, in place of the policy's for this call.
            null: What null does in this call, in every field.
            blank: What blank does in this call, in every field.

        Returns:
            What happened, what was withheld and what was ignored.

        Raises:
            Refused: One of its subclasses; nothing has changed.
            InvalidPolicy: If a rule of *rules*, *null* or *blank* is invalid.

        Cost:
            Linear in the patch, in the contacts that its keys match, and in their
            forms; independent of the size of the book.

        Laws:
            Idempotent: a second equal call is ``unchanged``.
        """
        if (
            idempotency_key is None
            and if_version is None
            and null is None
            and blank is None
            and rules is None
        ):
            if self._fast_upsert is None:
                return self._upsert_by_plan(patch, scope, None)
            result = self._fast_upsert(patch, scope)
            if type(result) is tuple:
                return outcome_from_record(result, self._policy)
            return self._upsert_by_plan(patch, scope, result)  # type: ignore[arg-type]
        check_version(if_version)
        policy, fast_upsert = self._overridden(rules, null, blank)
        remainder: Any = None
        if idempotency_key is None and if_version is None and fast_upsert is not None:
            result = fast_upsert(patch, scope)
            if type(result) is tuple:
                return outcome_from_record(result, policy)
            remainder = result
        make_request = self._request_maker(
            policy, patch, scope, policy.match, remainder
        )
        call_identity = call_key(
            idempotency_key, make_request, if_version, null, blank, rules
        )
        return self._store.write(
            make_request,
            lambda request: decide_request(policy, request, if_version),
            call_identity,
            remainder,
        )

    def create(
        self,
        patch: Mapping[str, Any],
        *,
        scope: str = "",
        idempotency_key: str | None = None,
    ) -> Outcome:
        """
        Create a contact without matching; unique keys stay unique.

        Args:
            patch: Field name to value.
            scope: The tenant.
            idempotency_key: As in :meth:`upsert`; it makes a creation safe to retry.

        Raises:
            Refused: One of its subclasses; nothing has changed.

        Cost:
            Linear in the patch.
        """
        remainder: Any = None
        if idempotency_key is None and self._fast_create is not None:
            result = self._fast_create(patch, scope)
            if type(result) is tuple:
                return outcome_from_record(result, self._policy)
            remainder = result
        make_request = self._request_maker(self.policy, patch, scope, _NEVER, remainder)
        call_identity = call_key(idempotency_key, make_request)
        return self._store.write(
            make_request,
            lambda request: decide_request(self.policy, request),
            call_identity,
            remainder,
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
        Decide what :meth:`upsert` would do, without doing it.

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
        policy, _fast = self._overridden(rules, null, blank)
        make_request = self._request_maker(policy, patch, scope, policy.match)
        return self._store.plan(make_request, partial(decide_request, policy))

    def apply(self, plan: Plan) -> Outcome:
        """
        Do what a plan says, if nothing that it expects has changed.

        Args:
            plan: Made by :meth:`plan` of a book with an equal policy.

        Raises:
            StalePlan: If a contact or a key of the plan has changed since.
            ValueError: If the plan was made under another policy.

        Cost:
            One look-up for each look-up of the plan; nothing is decided again.
        """
        check_plan(plan)
        base = plan.policy.base
        if base is not self.policy and base != self.policy:
            advice = "plan again with this book"
            raise ValueError(f"plan: must be made under this book's policy; {advice}")
        return self._store.apply(plan)

    @overload
    def upsert_many(
        self,
        patches: Patches,
        *,
        scope: str = "",
        on_refused: Literal["raise"] = ...,
        atomic: bool = ...,
        on_duplicates: OnDuplicates = ...,
    ) -> Outcomes[Outcome]: ...

    @overload
    def upsert_many(
        self,
        patches: Patches,
        *,
        scope: str = "",
        on_refused: Literal["collect"],
        on_duplicates: OnDuplicates = ...,
    ) -> Outcomes[Outcome | Refused]: ...

    def upsert_many(
        self,
        patches: Patches,
        *,
        scope: str = "",
        on_refused: OnRefused = "raise",
        atomic: bool = False,
        on_duplicates: OnDuplicates = "fold",
    ) -> Outcomes[Outcome] | Outcomes[Outcome | Refused]:
        """
        Upsert one patch after the other.

        Args:
            patches: Read once, as they are needed; all at once for an atomic batch
                and under ``"refuse_all"``.
            scope: The tenant.
            on_refused: ``"raise"`` ends at the first refusal, and earlier calls keep
                their effect; ``"collect"`` puts the refusal in its place and continues.
            atomic: Whether a refusal leaves the book as it was before the batch.
            on_duplicates: What happens to patches that share a key of the strategy.
                ``"fold"`` upserts them one after the other; ``"refuse_later"`` refuses
                a patch that shares a key with an earlier accepted one,
                ``"refuse_all"`` every patch that shares a key with another.

        Returns:
            One outcome, or refusal, per patch, in the order sent. All calls are done;
            the objects are made when they are read.

        Raises:
            Refused: The first refusal, under ``"raise"``, with its ``row`` and the
                ``outcomes`` before it. An atomic batch reads every patch before it
                decides on the first.
            TypeError: If *patches* cannot be iterated, or is one mapping.
            ValueError: If a choice is unknown, or *atomic* collects refusals.

        Cost:
            Linear in its calls; *on_duplicates* reads each patch once more.

        Laws:
            It is the left fold of :meth:`upsert`, except for refused duplicates.

        >>> from upsertcore import Policy, errors, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email), "age": field()}
        >>> book = ContactBook(Policy(first_match("email"), fields))
        >>> try:
        ...     book.upsert_many([{"email": "a@x"}, {"age": 3}], atomic=True)
        ... except errors.NoMatchKey:
        ...     len(book)
        0
        """
        check_batch(patches, on_refused, on_duplicates, atomic=atomic)
        if atomic:
            scope = check_scope(scope)
            return Outcomes(
                self._store.write_all(
                    atomic_batch(self.policy, patches, scope, on_duplicates)
                )
            )
        if on_duplicates == "fold" and self._fast_upsert_many is not None:
            collect = on_refused == "collect"
            return self._fast_upsert_many(
                patches, scope, self._upsert_by_plan, collect=collect
            )
        upsert = partial(self.upsert, scope=scope)
        calls = refuse_duplicates(self.policy, upsert, patches, on_duplicates)
        return Outcomes(run_calls(*calls, on_refused))

    def get(self, id: str, *, scope: str = "") -> Contact:
        """
        Return the contact with this id, or the one that it was merged into.

        A deleted contact that is kept is returned too; it has ``deleted_at``.

        Args:
            id: The contact's id.
            scope: The tenant; a contact of another tenant is unknown.

        Raises:
            UnknownContact: If there is none; to test, use ``id in book`` or
                ``(scope, id) in book``.

        Cost:
            A look-up or two.
        """
        scope, id = check_scope(scope), plain_id(id)
        contact = self._store.read(lambda: self._index.get(id))
        if contact.scope != scope:
            raise UnknownContact(id)
        return contact

    def find(self, key: str, value: Any, *, scope: str = "") -> tuple[Contact, ...]:
        """
        Return the contacts that hold a key.

        Args:
            key: The name of a key of the policy.
            value: A value as it is stored; it is normalised, and not cleaned. A list
                matches by any of its items. For a composite key, a mapping of its
                fields to values.
            scope: The tenant.

        Returns:
            Contacts, the oldest first; empty if no contact holds the key, or the
            value has no normal form.

        Raises:
            InvalidField: If the policy has no such key, or the value is not one that
                a field can hold.

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
        forms = self._key(key).lookup_forms(freeze_field("value", value))
        index = self._index

        def query() -> tuple[Contact, ...]:
            ids = [id for form in forms for id in index.holders(key, form, scope)]
            if len(forms) > 1:
                ids = sorted({*ids}, key=index.place_of)
            return tuple([index.get(id) for id in ids])

        return self._store.read(query)

    def duplicates(
        self, *keys: str, scope: str | None = None
    ) -> tuple[tuple[Contact, ...], ...]:
        """
        Group the contacts that share a key.

        Args:
            keys: Names of keys of the policy; all of them by default.
            scope: The tenant, None for all; no group crosses scopes.

        Returns:
            Groups of two or more contacts by creation; groups by their first contact.
            They are transitive: a contact that shares a key with one of a group is in
            the group.

        Raises:
            InvalidField: If the policy has no such key.

        Cost:
            Near-linear in the forms of these keys.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> fields = {name: field(key=normalize.exact) for name in ("email", "phone")}
        >>> book = ContactBook(
        ...     Policy(first_match(*fields), fields), ids="abc".__iter__().__next__
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

        def query() -> tuple[tuple[Contact, ...], ...]:
            index = self._index
            contacts: dict[int, Contact] = {}

            def present_places(ids: list[str]) -> list[int]:
                # Deleted contacts are added too, so that each is built only once.
                holders = {index.place_of(id): index.get(id) for id in ids}
                contacts.update(holders)
                return [n for n, one in holders.items() if one.deleted_at is None]

            shared = (ids for name in names for ids in index.shared_forms(name, scope))
            families = groups(filter(None, map(present_places, shared)))
            return tuple(tuple([contacts[n] for n in family]) for family in families)

        return self._store.read(query)

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
            survivor: The id of the contact that stays.
            others: The ids of the contacts to merge into it; they resolve to the
                survivor afterwards. All ids may be ids of merged contacts.
            scope: The tenant; a contact of another tenant is unknown.
            on_itself: What to do if one of *others* resolves to the survivor.

        Returns:
            The outcome: ``"merged"``, with the other contacts as they were;
            ``"unchanged"`` if there are no others. The version moves; ``updated_at``
            moves if a field or its clock does.

        Raises:
            UnknownContact: If there is no such contact.
            InvalidField: If one of *others* is the survivor, or an ``on_merge`` rule
                refuses.
            KeyInUse: If the merged fields make a unique key of another contact.

        Cost:
            Near-linear in the contacts that are named and their forms.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> from upsertcore.rules import union
        >>> fields = {
        ...     "email": field(key=normalize.email),
        ...     "tags": field(on_merge=union),
        ... }
        >>> policy = Policy(first_match("email"), fields)
        >>> book = ContactBook(policy, ids=iter(["c-1", "c-2"]).__next__)
        >>> _ = book.upsert({"email": "ada@x.org", "tags": ["a"]})
        >>> _ = book.upsert({"email": "ada@y.org", "tags": ["b"]})
        >>> outcome = book.merge("c-1", "c-2")
        >>> outcome.contact["tags"], book.get("c-2").id, len(book)
        (('a', 'b'), 'c-1', 1)
        """
        tenant = check_scope(scope)
        named = [plain_id(id) for id in (survivor, *others)]
        check_choice("on_itself", on_itself, OnItself)

        def make_request() -> Request:
            return Request(
                compiled(self.policy).by_name, _NOTHING, self._index, tenant, _NEVER
            )

        def decide(request: Request) -> Plan:
            contacts: dict[str, Contact] = {}
            for id in named:
                contacts[id] = request.get(id)[0]
                if contacts[id].scope != tenant:
                    raise UnknownContact(id)
            first = contacts.pop(survivor).id
            ids = dict.fromkeys(contact.id for contact in contacts.values())
            if (first in ids or survivor in others) and on_itself == "refuse":
                advice = "leave it out, or set on_itself='ignore'"
                reason = f"is the survivor itself; {advice}"
                raise InvalidField("others", first, reason)
            merged = tuple(id for id in ids if id != first)
            return decide_merge(self.policy, request, first, merged)

        return self._store.write(make_request, decide)

    def dedupe(
        self,
        *keys: str,
        scope: str | None = None,
        on_refused: OnRefused = "raise",
    ) -> list[Outcome | Refused]:
        """
        Merge each group of :meth:`duplicates` into its oldest contact.

        Args:
            keys: As in :meth:`duplicates`.
            scope: As in :meth:`duplicates`.
            on_refused: As in :meth:`upsert_many`.

        Returns:
            One outcome, or refusal, per group, in the order of the groups.

        Raises:
            Refused: The first refusal, under ``"raise"``; earlier merges remain.

        Cost:
            Near-linear in the forms of these keys and the contacts that are merged.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email)}
        >>> book = ContactBook(Policy(first_match("email"), fields))
        >>> _ = [book.create({"email": "ada@x.org"}) for _ in range(3)]
        >>> [outcome.result for outcome in book.dedupe("email")], len(book)
        (['merged'], 1)
        """
        check_choice("on_refused", on_refused, OnRefused)
        duplicates = self.duplicates(*keys, scope=scope)

        def merges() -> Iterator[Callable[[], Outcome]]:
            for group in duplicates:
                # Another thread may have deleted a contact of the group.
                ids = [one.id for one in group if (one.scope, one.id) in self]
                if ids:
                    yield partial(self.merge, *ids, scope=group[0].scope)

        return run_calls(lambda _group, call: call(), merges(), on_refused, "group")

    def delete(self, id: str, *, scope: str = "") -> Contact:
        """
        Delete a contact.

        Under ``on_deleted="forget"`` it is removed, and its keys and an id from
        outside may be used again. Under ``"restore"`` or ``"refuse"`` it is kept, with
        its keys and a time in ``deleted_at``; a patch that matches it restores it or
        is refused. ``get``, ``find``, ``len`` and iteration include a kept contact;
        :meth:`duplicates` does not.

        Args:
            id: The contact's own id.
            scope: The tenant; a contact of another tenant is unknown.

        Returns:
            The contact as it was, or the kept contact.

        Raises:
            UnknownContact: If no contact has this id as its own.

        Cost:
            Linear in the contact, and in the contacts that share its forms.
        """
        now = time_of_deletion(self.policy, self._store.time)
        delete = make_delete(plain_id(id), check_scope(scope), now)
        return self._store.change(delete).contact

    def undo(self, outcome: Outcome) -> Outcome:
        """
        Undo one call exactly.

        Args:
            outcome: An outcome of this book: created, updated, merged, or deleted if
                the contact is kept. Merged contacts are restored with their ids. A
                removal and an undo cannot be undone; send the patch again instead.

        Returns:
            An outcome whose result is ``"undone"``, with the restored contact, or the
            removed one if the call had created it. ``"unchanged"`` if the call had
            changed nothing.

        Raises:
            StaleOutcome: If the contact has changed since or is gone, or another
                contact holds a unique key that would be restored.

        Cost:
            Linear in the contacts of the outcome and their forms.

        Laws:
            ``dump()`` equals the dump before the call, versions and times included.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email), "name": field()}
        >>> book = ContactBook(Policy(first_match("email"), fields))
        >>> _ = book.upsert({"email": "ada@x.org", "name": "Ada"})
        >>> outcome = book.upsert({"email": "ada@x.org", "name": "Bob"})
        >>> book.undo(outcome).contact["name"]
        'Ada'
        """
        check_outcome(outcome)
        if outcome.unchanged:
            return outcome
        return self._store.change(make_undo(self.policy, outcome))

    def purge(self, id: str, *, scope: str = "") -> int:
        """
        Erase a person: the contact, its changes, and its remembered calls.

        Outcomes that the application has kept are not erased. Changes of the contact
        keep their numbers alone, so that the others can be replayed; changes of other
        contacts lose its id and the values that it held of them.

        Args:
            id: The contact's id, or the id of a contact that was merged into it. The
                contact may be deleted.
            scope: The tenant; a contact of another tenant is unknown.

        Returns:
            How many changes and calls contained it.

        Raises:
            UnknownContact: If the book has nothing about this id.

        Cost:
            Linear in the changes and calls that the book retains.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email)}
        >>> policy = Policy(first_match("email"), fields)
        >>> book = ContactBook(policy, ids=lambda: "c-1", retain_changes=None)
        >>> _ = book.upsert({"email": "ada@x.org"})
        >>> book.purge("c-1"), len(book), book.changes_since()
        (1, 0, (Entry(number=1, outcome=None),))
        """
        return self._store.purge(plain_id(id), check_scope(scope))

    def compare(
        self, other: Policy, patches: Iterable[Mapping[str, Any]], *, scope: str = ""
    ) -> Comparison:
        """
        Return where results under another policy would differ; nothing changes.

        Args:
            other: A policy under which the contacts of this book can be loaded.
            patches: Sent to two copies of the book, one under each policy, both with
                the system clock.
            scope: The tenant.

        Raises:
            Refused: If a contact of this book cannot be loaded under *other*.

        Cost:
            Linear in the book and the patches; holds two copies of the book.

        >>> from upsertcore import ContactBook, Policy, field, first_match
        >>> from upsertcore import first_present, normalize
        >>> fields = {name: field(key=normalize.exact) for name in ("id", "email")}
        >>> book = ContactBook(Policy(first_match("id", "email"), fields))
        >>> patches = [{"email": "a@x"}, {"id": 1, "email": "a@x"}]
        >>> print(
        ...     book.compare(
        ...         Policy(first_present("id", "email"), fields), patches
        ...     ).explain()
        ... )
        2 patches, 1 difference
        row 1: contact: 'row 0' / 'row 1'
        """
        check_policy("other", other)
        check_several("patches", patches, "put one patch into a list")
        scope = check_scope(scope)
        rows, load = self.dump(), ContactBook.load
        sides = [side(load, policy, rows, scope) for policy in (self.policy, other)]
        return compare_sides(patches, *sides)

    def changes_since(self, number: int = 0) -> tuple[Entry, ...]:
        """
        Return the changes after a number, in order.

        Args:
            number: The number of the last change that the caller knows; 0 for all.

        Returns:
            Entries: each a number and an outcome. ``ContactBook.from_changes`` replays
            them. A book retains as many as its ``retain_changes`` says.

        Raises:
            ChangesNotRetained: If some of them are no longer retained.

        Cost:
            Linear in what is returned.

        Laws:
            Replaying all of them gives the same ``dump()``.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email), "age": field()}
        >>> book = ContactBook(
        ...     Policy(first_match("email"), fields), retain_changes=None
        ... )
        >>> for age in (1, 1, 2):
        ...     _ = book.upsert({"email": "ada@x.org", "age": age})
        >>> [(entry.number, entry.outcome.result) for entry in book.changes_since()]
        [(1, 'created'), (2, 'updated')]
        >>> twin = ContactBook.from_changes(book.policy, book.changes_since())
        >>> twin.dump() == book.dump(), book.changes_since(2)
        (True, ())
        """
        check_number(number)
        return self._store.changes_since(number)

    def dump(self) -> list[dict[str, Any]]:
        """
        Return all contacts as plain rows, ready for JSON, by creation.

        Returns:
            Rows of ``Contact.to_dict``, each with ``place``, its number by creation,
            from 0. ``ContactBook.load`` accepts them in any order.

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
        **options: Unpack[BookOptions],
    ) -> ContactBook:
        """
        Make a book of the rows of :meth:`dump`.

        Args:
            policy: The policy; it may differ from that of the dump.
            rows: In any order; each row is checked.
            options: As in the constructor.

        Raises:
            Refused: As :func:`upsertcore.book.loading.load_rows`.

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
        book = cls(policy, **options)
        load_rows(book._index, policy, rows)
        return book

    @classmethod
    def from_changes(
        cls, policy: Policy, entries: Iterable[Entry], **options: Unpack[BookOptions]
    ) -> ContactBook:
        """
        Make a book by replaying the entries of :meth:`changes_since`.

        Args:
            policy: The policy under which the changes were made.
            entries: All entries from the first one on, in order.
            options: As in the constructor.

        Raises:
            ValueError: If an entry is missing or out of order.

        Cost:
            Linear in the entries and the contacts that they change.
        """
        book = cls(policy, **options)
        apply_changes(book._index, policy, entries)
        return book

    def __reduce__(self) -> tuple[Any, ...]:
        # Ids that the library makes begin anew, so that no two books make the same.
        ids = self._store.ids if self._checks_ids else None
        options = {"ids": ids, "clock": self._store.clock, **self._store.limits}
        contacts, retained = self._store.retained()
        parts = self.policy, [*rows_of(contacts)], options, retained
        return ContactBook._restored, parts

    @classmethod
    def _restored(
        cls, policy: Policy, rows: list[Any], options: Any, retained: Any
    ) -> ContactBook:
        book = cls(policy, **options)
        load_rows(book._index, policy, rows)
        book._store.restore(retained)
        return book

    def __copy__(self) -> NoReturn:
        advice = "make another of its rows: ContactBook.load(policy, book.dump())"
        raise TypeError(f"book: must not be copied; {advice}")

    def __deepcopy__(self, memo: object) -> NoReturn:
        self.__copy__()

    def __len__(self) -> int:
        return self._store.read(lambda: len(self._index))

    def __iter__(self) -> Iterator[Contact]:
        return self._store.read(lambda: iter(self._index))

    def __contains__(self, id: object) -> bool:
        scope, id = id if type(id) is tuple and len(id) == 2 else ("", id)
        try:
            return self.get(id, scope=scope) is not None  # type: ignore[arg-type]
        except (UnknownContact, InvalidField):
            return False

    def _upsert_by_plan(
        self, patch: Any, scope: Any, remainder: Remainder | None
    ) -> Outcome:
        """Complete an upsert that the fast path does not handle."""
        policy = self.policy
        make_request = self._request_maker(
            policy, patch, scope, policy.match, remainder
        )
        return self._store.write(
            make_request, partial(decide_request, policy), None, remainder
        )

    def _fast_path(self, policy: Policy, match: Strategy) -> FastPath | None:
        """Return the fast path of a policy; None where there is none."""
        # An override of an undeclared field declares it, and it has no column.
        has_columns = self._index.names.declared == tuple(policy.fields)
        if not (has_columns and has_fast_path(policy)):
            return None
        checks_ids = self._checks_ids
        return FastPath(policy, match, self._index, self._store, checks_ids=checks_ids)

    def _overridden(
        self, rules: Any, null: Any, blank: Any
    ) -> tuple[Policy, Callable[[Any, Any], Any] | None]:
        """Return the policy with the overrides of a call, and its fast path, if any."""
        if rules is null is blank is None:
            return self._policy, self._fast_upsert
        key: Any = None
        try:
            key = null, blank, None if rules is None else (*rules.items(),)
            known = self._overrides.get(key)
        except (AttributeError, TypeError):
            key = known = None
        if known is not None:
            return known  # type: ignore[no-any-return]
        policy, fast_upsert = with_overrides(self._policy, rules, null, blank), None
        fast = self._fast_upsert and self._fast_path(policy, policy.match)
        if fast is not None:
            fast_upsert = fast.upsert
        if key is not None:
            if len(self._overrides) >= _MAX_OVERRIDES:
                self._overrides.clear()
            self._overrides[key] = policy, fast_upsert
        return policy, fast_upsert

    def _request_maker(
        self,
        policy: Policy,
        patch: Mapping[str, Any],
        scope: str,
        match: Strategy,
        remainder: Remainder | None = None,
    ) -> Callable[[], Request]:
        """Read a patch once; return a function that makes a fresh request of it."""
        scope = check_scope(scope)
        keys = compiled(policy).by_name
        values: Any = None
        forms: Mapping[str, Any] = {}
        if remainder is not None:
            values, forms = remainder.read, remainder.forms
        if values is None:
            values = read_patch(policy, patch)
        return lambda: Request(keys, values, self._index, scope, match, forms)

    def _key(self, name: Any) -> Key:
        plain = str.__str__(name) if isinstance(name, str) else ""
        key = compiled(self.policy).by_name.get(plain)
        if key is None:
            names = list_names(compiled(self.policy).by_name)
            reason = f"must be one of {names}" if names else "is unknown"
            raise InvalidField("key", name, f"{reason}; name a key of the policy")
        return key
