"""
The book: the verbs of an application, over any store.

Rules:
    Each verb is one decision, made by a plan, and one write, made by the store.
    A verb reads contacts through a view, and knows nothing of how they are kept.
    A call that is refused, or raises, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from typing import Any, Literal, TypeAlias, Unpack, overload

from upsertcore.book.arguments import (
    Keep,
    OnDuplicates,
    OnItself,
    OnRefused,
    check_batch,
    check_choice,
    check_count,
    check_number,
    check_outcome,
    check_plan,
    check_version,
    plain_id,
)
from upsertcore.book.batch import atomic_batch, refuse_duplicates, run_calls
from upsertcore.book.delete import make_delete
from upsertcore.book.duplicates import Group, blank_groups, group_of, shared_groups
from upsertcore.book.loading import rows_of
from upsertcore.book.purge import make_purge
from upsertcore.book.scan import contacts_after, has_values, wanted_values
from upsertcore.book.undo import make_undo
from upsertcore.engine.conflicts import Conflict, find_conflicts
from upsertcore.engine.decide import decide_merge, decide_request, decide_update
from upsertcore.engine.outcome import Outcome, outcome_from_record
from upsertcore.engine.outcomes import Outcomes
from upsertcore.engine.patch import (
    OwnId,
    Request,
    check_scope,
    checked_id,
    freeze_field,
    read_patch,
    read_with_id,
    request_maker,
)
from upsertcore.engine.plan import Plan
from upsertcore.errors import InvalidField, Refused, UnknownContact
from upsertcore.matching.own_id import own_id_first
from upsertcore.matching.protocol import Strategy
from upsertcore.matching.strategies import ALL_AGREE, never
from upsertcore.matching.visitor import with_visitor
from upsertcore.model.contact import Contact
from upsertcore.model.view import BookView
from upsertcore.policy.keys import Key
from upsertcore.policy.overrides import CallOptions, settings_of, with_overrides
from upsertcore.policy.policy import Policy, compiled
from upsertcore.rules.rule import Rule
from upsertcore.store.idempotency import KeyedCall, call_key
from upsertcore.store.journal import Entry
from upsertcore.store.transaction import Decide, FastVerbs, MakeRequest, Store
from upsertcore.values import list_names

__all__ = ["Book"]

FastPathOf: TypeAlias = Callable[[Policy, Strategy], FastVerbs | None]
Patches: TypeAlias = Iterable[Mapping[str, Any]]

Overridden: TypeAlias = (
    "tuple[Policy, Callable[..., Any] | None, Callable[..., Any] | None]"
)
"""The policy of a call, and its fast path for one patch and for many."""

_NEVER = never()
_NO_SETTINGS = settings_of({})
_MAX_OVERRIDES = 64
"""How many overrides of calls are kept, each with its fast path."""
_NOTHING: tuple[dict[str, Any], dict[str, str]] = {}, {}


class Book:
    """
    The verbs of a book, over a store.

    Args:
        policy: The policy.
        store: Where contacts and keys are kept.
        fast_path: Returns the common calls of a policy and a match strategy in the
            store's own terms; None where it has none.
    """

    __slots__ = (
        *("_fast_create", "_fast_path", "_fast_upsert", "_fast_upsert_many"),
        *("_overrides", "_policy", "_store"),
    )

    def __init__(
        self, policy: Policy, store: Store, fast_path: FastPathOf = lambda *_: None
    ) -> None:
        self._policy, self._store, self._fast_path = policy, store, fast_path
        self._overrides: dict[Any, Any] = {}
        self._fast_upsert = self._fast_upsert_many = self._fast_create = None
        fast, creating = [fast_path(policy, m) for m in (policy.match, _NEVER)]
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
        id: str | None = None,
        visitor: str | None = None,
        if_version: int | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Outcome:
        """
        Update the contact that a patch matches, or create one.

        Args:
            patch: Field name to value; an absent field is omitted, None is null.
            scope: The tenant.
            id: The contact's own id. A known one decides, and contacts that the keys
                match are reported; for an unknown one the policy has
                ``on_unknown_id``.
            visitor: The id of a contact that turns out to be the person of the patch:
                it is merged into the contact that the keys match; where they match
                none, it is the contact. One that holds another value of a key of the
                patch stays as it is, and is reported.
            if_version: Refuse unless the matched contact has this version.
            idempotency_key: Identifies this call in its scope. A repeated call returns
                the first outcome, with ``replayed`` set, and does nothing, as long as
                the book remembers the first.
            options: What this call does in place of the policy: ``rules``, field name
                to rule; ``null`` and ``blank``, in every field; ``on_found`` and
                ``on_not_found``; ``omitted="clear"``: the patch replaces the matched
                contact, so that a field that it omits is cleared, as by null.

        Returns:
            What happened, what was withheld and what was ignored.

        Raises:
            Refused: One of its subclasses; nothing has changed.
            InvalidPolicy: If one of *options* is invalid.
            TypeError: If there is no such option.

        Cost:
            Linear in the patch, in the contacts that its keys match, and in their
            forms; independent of the size of the book.

        Laws:
            Idempotent: a second equal call is ``unchanged``.
        """
        policy, fast_upsert = self._policy, self._fast_upsert
        remainder: Any = None
        if if_version is not None:
            check_version(if_version)
        if options:
            policy, fast_upsert, _many = self._overridden(options)
        call = None
        if idempotency_key is not None:
            rules, *settings = settings_of(options) if options else _NO_SETTINGS
            call = idempotency_key, rules, (policy.match, if_version, *settings)
        match = policy.match
        if id is not None or visitor is not None:
            match = _with_ids(policy, id, visitor)
        elif (
            if_version is None
            and fast_upsert is not None
            and (policy.id_field is None or not _carries(patch, policy.id_field))
        ):
            remainder = fast_upsert(patch, scope, call)
            if type(remainder) is tuple:
                return outcome_from_record(remainder, policy)
            if type(remainder) is Outcome:
                return remainder
        decide = partial(decide_request, if_version=if_version)
        how = remainder, call, decide, id, visitor
        return self._write(policy, match, patch, scope, *how)

    def update(
        self,
        id: str,
        patch: Mapping[str, Any],
        *,
        scope: str = "",
        if_version: int | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Outcome:
        """
        Update the contact with an id, whatever its keys are.

        Nothing is matched; all else is as in :meth:`upsert`: rules, unique keys,
        ``on_key_in_use``. Under a key with ``any_of`` a new primary value replaces the
        stored one, even if an additional field holds it; with ``append_new``, the
        former one is appended to the additional values, unless the patch sends these.

        Args:
            id: The contact's id, or the id of a contact that was merged into it.
            patch: As in :meth:`upsert`.
            scope: The tenant; a contact of another tenant is unknown.
            if_version: As in :meth:`upsert`.
            idempotency_key: As in :meth:`upsert`.
            options: As in :meth:`upsert`.

        Raises:
            UnknownContact: If there is no such contact.
            Refused: As :meth:`upsert`.

        Cost:
            As :meth:`upsert`.

        Laws:
            Idempotent: a second equal call is ``unchanged``.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email)}
        >>> policy = Policy(first_match("email"), fields)
        >>> book = ContactBook(policy, ids=iter(["c-1"]).__next__)
        >>> _ = book.upsert({"email": "ada@x.org"})
        >>> book.update("c-1", {"email": "ada@y.org"}).result, len(book)
        ('updated', 1)
        """
        id = plain_id(id)
        if not id.strip():
            raise UnknownContact(id)
        if if_version is not None:
            check_version(if_version)
        policy = self._overridden(options)[0]
        match, call = own_id_first(policy.id_field or "", _NEVER), None
        if idempotency_key is not None:
            rules, *settings = settings_of(options)
            call = idempotency_key, rules, ("update", if_version, *settings)
        decide = partial(decide_update, id=id, if_version=if_version)
        return self._write(policy, match, patch, scope, None, call, decide, id)

    def create(
        self,
        patch: Mapping[str, Any],
        *,
        scope: str = "",
        id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """
        Create a contact without matching; unique keys stay unique.

        Args:
            patch: Field name to value.
            scope: The tenant.
            id: The id of the new contact; None for a fresh one.
            idempotency_key: As in :meth:`upsert`; it makes a creation safe to retry.

        Raises:
            Refused: One of its subclasses; nothing has changed. ``KeyInUse`` if a
                contact of the tenant has the id, or was merged under it.

        Cost:
            Linear in the patch.
        """
        call = remainder = None
        if idempotency_key is not None:
            call = idempotency_key, None, (_NEVER,)
        create, id_field = self._fast_create, self._policy.id_field
        if (
            create is not None
            and id is None
            and (id_field is None or not _carries(patch, id_field))
        ):
            remainder = create(patch, scope, call)
            if type(remainder) is tuple:
                return outcome_from_record(remainder, self._policy)
            if type(remainder) is Outcome:
                return remainder
        how = remainder, call, decide_request, id
        return self._write(self._policy, _NEVER, patch, scope, *how)

    def plan(
        self,
        patch: Mapping[str, Any],
        *,
        scope: str = "",
        id: str | None = None,
        visitor: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Plan:
        """
        Decide what :meth:`upsert` would do, without doing it.

        Args:
            patch: Field name to value.
            scope: The tenant.
            id: As in :meth:`upsert`.
            visitor: As in :meth:`upsert`.
            options: As in :meth:`upsert`.

        Returns:
            The decision, with its ``trace`` and what it ``expects``.

        Raises:
            Refused: Where :meth:`upsert` would be refused.

        Cost:
            As :meth:`upsert`.
        """
        policy = self._overridden(options)[0]
        match = _with_ids(policy, id, visitor)
        scope = check_scope(scope)
        sent, own_id = read_with_id(policy, patch, id)
        ids: Any = {"own_id": own_id, "visitor": visitor}
        make_request = request_maker(policy, sent, scope, match, **ids)
        return self._store.plan(make_request, partial(decide_request, policy))

    def apply(self, plan: Plan) -> Outcome:
        """
        Do what a plan says, if nothing that it expects has changed.

        Args:
            plan: Made by :meth:`plan` or :meth:`plan_merge` of a book with an equal
                policy.

        Raises:
            StalePlan: If a contact or a key of the plan has changed since.
            ValueError: If the plan was made under another policy.

        Cost:
            One look-up for each look-up of the plan; nothing is decided again.
        """
        check_plan(plan)
        base, own = plan.policy.base, self.policy.base
        if base is not own and base != own:
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
        **options: Unpack[CallOptions],
    ) -> Outcomes[Outcome]: ...

    @overload
    def upsert_many(
        self,
        patches: Patches,
        *,
        scope: str = "",
        on_refused: Literal["collect"],
        on_duplicates: OnDuplicates = ...,
        **options: Unpack[CallOptions],
    ) -> Outcomes[Outcome | Refused]: ...

    def upsert_many(
        self,
        patches: Patches,
        *,
        scope: str = "",
        on_refused: OnRefused = "raise",
        atomic: bool = False,
        on_duplicates: OnDuplicates = "fold",
        **options: Unpack[CallOptions],
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
            options: As in :meth:`upsert`, for each patch.

        Returns:
            One outcome, or refusal, per patch, in the order sent. All calls are done;
            the objects are made when they are read.

        Raises:
            Refused: The first refusal, under ``"raise"``, with its ``row`` and the
                ``outcomes`` before it. An atomic batch reads every patch before it
                decides on the first.
            TypeError: If *patches* cannot be iterated, or is one mapping.
            ValueError: If a choice is unknown, or *atomic* collects refusals.
            InvalidPolicy: If one of *options* is invalid; no patch is read.

        Cost:
            Linear in its calls; *on_duplicates* reads each patch once more.

        Laws:
            It is the left fold of :meth:`upsert`, except for refused duplicates.

        >>> from upsertcore import ContactBook, Policy, errors, field
        >>> from upsertcore import first_match, normalize
        >>> fields = {"email": field(key=normalize.email), "age": field()}
        >>> book = ContactBook(Policy(first_match("email"), fields))
        >>> try:
        ...     book.upsert_many([{"email": "a@x"}, {"age": 3}], atomic=True)
        ... except errors.NoMatchKey:
        ...     len(book)
        0
        """
        check_batch(patches, on_refused, on_duplicates, atomic=atomic)
        policy, _one, fast_upsert_many = self._overridden(options)
        if atomic:
            scope = check_scope(scope)
            run = atomic_batch(policy, patches, scope, on_duplicates)
            return Outcomes(self._store.write_all(run))
        is_fast = fast_upsert_many is not None and policy.id_field is None
        if on_duplicates == "fold" and is_fast:
            by_plan = partial(self._write, policy, policy.match)
            collect = on_refused == "collect"
            outcomes: Outcomes[Any] = fast_upsert_many(  # type: ignore[misc]
                patches, scope, by_plan, collect=collect
            )
            return outcomes

        def upsert(_row: int, patch: Mapping[str, Any]) -> Outcome:
            return self.upsert(patch, scope=scope, **options)

        calls = refuse_duplicates(policy, upsert, patches, on_duplicates)
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
        return self._store.read(lambda view: view.get(id, scope))

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

        def query(view: BookView) -> tuple[Contact, ...]:
            holders = [view.holders(key, form, scope) for form in forms]
            addresses = dict.fromkeys([(scope, id) for id in chain(*holders)])
            return tuple(view.contacts(addresses))

        return self._store.read(query)

    def scan(
        self,
        fields: Mapping[str, Any] | None = None,
        *,
        scope: str = "",
        after: str | None = None,
        limit: int | None = None,
    ) -> tuple[Contact, ...]:
        """
        Return the contacts of a tenant that hold some values, by creation.

        Deleted contacts that are kept are included; they have ``deleted_at``.

        Args:
            fields: Field name to value as it is stored, equal in value and type: a
                list equals a list of the same items, and 1 is neither 1.0 nor True.
                None is equal to null and to an absent field. None for all contacts.
            scope: The tenant.
            after: Only contacts created after this one: the id of the last contact of
                the page before.
            limit: How many contacts to return; None for all.

        Returns:
            The first contacts that hold all of these values. A page that is shorter
            than *limit* is the last one.

        Raises:
            UnknownContact: If no contact of the tenant has *after* as its own id: it
                was removed or merged in between. Start again without *after*.
            UnknownField: If the policy does not accept a field.
            InvalidField: If a value is not one that a field can hold.
            ValueError: If *limit* is not a whole number from 0.

        Cost:
            Linear in the contacts of the book from *after* to the last that is
            returned, besides one list of the book's rows. :meth:`find` is independent
            of the size of the book.

        Laws:
            Pages, one after the other, are what one call without *limit* returns.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email), "city": field()}
        >>> book = ContactBook(
        ...     Policy(first_match("email"), fields), ids="abc".__iter__().__next__
        ... )
        >>> for name in ("ada", "bob", "cy"):
        ...     _ = book.upsert({"email": f"{name}@x.org", "city": "Oslo"})
        >>> [contact.id for contact in book.scan({"city": "Oslo"}, limit=2)]
        ['a', 'b']
        >>> [contact.id for contact in book.scan({"city": "Oslo"}, after="b", limit=2)]
        ['c']
        """
        scope = check_scope(scope)
        wanted = wanted_values(self._policy, {} if fields is None else fields)
        first = None if after is None else plain_id(after)
        if limit is not None:
            check_count("limit", limit, "leave it out for all contacts")

        def query(view: BookView) -> Iterator[Contact]:
            return iter(view) if first is None else contacts_after(view, scope, first)

        contacts = self._store.stream(query)
        matching = (one for one in contacts if one.scope == scope)
        return tuple(islice((o for o in matching if has_values(o, wanted)), limit))

    def duplicates(
        self,
        *keys: str,
        of: str | None = None,
        blank: bool = False,
        scope: str | None = None,
    ) -> tuple[Group, ...]:
        """
        Group the contacts that share a key.

        Deleted contacts are in no group.

        Args:
            keys: Names of keys of the policy; all of them by default.
            of: The id of a contact, or one that was merged into it: only groups that
                it is in.
            blank: Whether the contacts that have no value for a key are reported as
                well, after the others: a group for each key and tenant, of those in
                which every field of the key is null, blank or absent, and that hold no
                alias. A value that is blocked, or has no normal form, is not blank.
                These groups are connected with no other, and :meth:`dedupe` ignores
                them.
            scope: The tenant, None for all; no group crosses scopes. With *of*, the
                contact's tenant, None for ``""``.

        Returns:
            Groups of two or more contacts by creation; groups by their first contact.
            They are transitive: a contact that shares a key with one of a group is in
            the group, so with *of* there is one group or none. Blank ones follow, by
            key in the order of the policy.

        Raises:
            InvalidField: If the policy has no such key.
            UnknownContact: If the tenant has no contact *of*.

        Cost:
            Near-linear in the forms of these keys. With *of*, linear in the contacts
            of its group and their forms, whatever the size of the book. With *blank*,
            linear in the book.

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
        if scope is not None or of is not None:
            scope = check_scope("" if scope is None else scope)
        id = None if of is None else plain_id(of)
        by_name = compiled(self.policy).by_name
        names = {self._key(name).name for name in keys or by_name}
        named = [pair for pair in enumerate(by_name.values()) if pair[1].name in names]

        def query(view: BookView) -> tuple[Group, ...]:
            if id is None or scope is None:
                found = shared_groups(view, named, scope)
                return (*found, *(blank_groups(view, named, scope) if blank else ()))
            found = group_of(view, named, scope, id)
            blanks = blank_groups(view, named, scope) if blank else []
            one = view.get(id, scope)
            return (*found, *[group for group in blanks if one in group])

        return self._store.read(query)

    def merge(
        self,
        survivor: str,
        *others: str,
        scope: str = "",
        on_itself: OnItself = "refuse",
        patch: Mapping[str, Any] | None = None,
        if_version: int | None = None,
        rules: Mapping[str, Rule] | None = None,
    ) -> Outcome:
        """
        Merge contacts into one, and update it.

        Args:
            survivor: The id of the contact that stays.
            others: The ids of the contacts to merge into it; they resolve to the
                survivor afterwards. All ids may be ids of merged contacts.
            scope: The tenant; a contact of another tenant is unknown.
            on_itself: What to do if one of *others* resolves to the survivor.
            patch: Field name to value, applied to the survivor after the merge, as by
                :meth:`upsert`; its keys match no contact.
            if_version: Refuse unless the survivor has this version.
            rules: Field name to rule, in place of the policy's, for the patch. The
                rules by which contacts are merged are not overridden.

        Returns:
            The outcome: ``"merged"``, with the other contacts as they were;
            ``"updated"`` or ``"unchanged"``, as the patch does, if there are no others.
            The version moves once; ``updated_at`` moves if a field or its clock does.

        Raises:
            UnknownContact: If there is no such contact.
            StaleVersion: If the survivor has another version.
            InvalidField: If one of *others* is the survivor, or an ``on_merge`` rule
                refuses.
            KeyInUse: If the merged fields make a unique key of another contact.
            Refused: What :meth:`upsert` raises for the patch; nothing has changed.
            InvalidPolicy: If a rule of *rules* is invalid.

        Cost:
            Near-linear in the contacts that are named and their forms, and in the
            patch.

        Laws:
            With ``on_itself="ignore"`` and without *if_version*, a second equal call
            is ``unchanged``, if the rules of the patch are idempotent.

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
        >>> outcome = book.merge("c-1", "c-2", patch={"email": "ada@z.org"})
        >>> outcome.contact["tags"], outcome.contact["email"], book.get("c-2").id
        (('a', 'b'), 'ada@z.org', 'c-1')
        """
        named, options = (survivor, *others), (scope, on_itself, patch, rules)
        return self._store.write(*self._merging(named, *options, if_version))

    def plan_merge(
        self,
        survivor: str,
        *others: str,
        scope: str = "",
        on_itself: OnItself = "refuse",
        patch: Mapping[str, Any] | None = None,
        rules: Mapping[str, Rule] | None = None,
    ) -> Plan:
        """
        Decide what :meth:`merge` would do, without doing it.

        Args:
            survivor: As in :meth:`merge`.
            others: As in :meth:`merge`.
            scope: The tenant.
            on_itself: As in :meth:`merge`.
            patch: As in :meth:`merge`.
            rules: As in :meth:`merge`.

        Returns:
            The decision, for :meth:`apply`, which refuses it with ``StalePlan`` if one
            of the contacts has changed since.

        Raises:
            Refused: Where :meth:`merge` would be refused.
            UnknownContact: If there is no such contact.

        Cost:
            As :meth:`merge`.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email, keep_aliases=True)}
        >>> policy = Policy(first_match("email"), fields)
        >>> book = ContactBook(policy, ids=iter(["c-1", "c-2"]).__next__)
        >>> for email in ("ada@x.org", "ada@y.org"):
        ...     _ = book.upsert({"email": email})
        >>> plan = book.plan_merge("c-1", "c-2")
        >>> plan.result, dict(plan.aliases), len(book)
        ('merged', {'email': ('ada@y.org',)}, 2)
        >>> book.apply(plan).result, len(book)
        ('merged', 1)
        """
        named, options = (survivor, *others), (scope, on_itself, patch, rules)
        return self._store.plan(*self._merging(named, *options))

    def _merging(
        self,
        ids: tuple[str, ...],
        scope: str,
        on_itself: OnItself,
        patch: Mapping[str, Any] | None,
        rules: Mapping[str, Rule] | None,
        if_version: int | None = None,
    ) -> tuple[MakeRequest, Decide]:
        """Check the arguments of a merge; return its request and its decision."""
        tenant = check_scope(scope)
        named = [*map(plain_id, ids)]
        check_choice("on_itself", on_itself, OnItself)
        check_version(if_version)
        policy = self._overridden({"rules": rules})[0]
        sent = _NOTHING if patch is None else read_patch(policy, patch)

        def decide(request: Request) -> Plan:
            first, *rest = [request.get(id)[0].id for id in named]
            if first in rest and on_itself == "refuse":
                advice = "leave it out, or set on_itself='ignore'"
                reason = f"is the survivor itself; {advice}"
                raise InvalidField("others", first, reason)
            merged = tuple(dict.fromkeys([id for id in rest if id != first]))
            return decide_merge(policy, request, first, merged, if_version)

        return request_maker(policy, sent, tenant, _NEVER), decide

    def dedupe(
        self,
        *keys: str,
        scope: str | None = None,
        keep: Keep = "oldest",
        on_refused: OnRefused = "raise",
    ) -> list[Outcome | Refused]:
        """
        Merge each group of :meth:`duplicates` into one of its contacts.

        Args:
            keys: As in :meth:`duplicates`.
            scope: As in :meth:`duplicates`.
            keep: Which contact of a group survives, by creation. The others are merged
                into it in order, from that end: the survivor's values come first, and
                then those of the contact that is next to it in age.
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
        check_choice("keep", keep, Keep)
        check_choice("on_refused", on_refused, OnRefused)
        duplicates = self.duplicates(*keys, scope=scope)
        step = 1 if keep == "oldest" else -1

        def merges() -> Iterator[Callable[[], Outcome]]:
            for group in duplicates:
                # Another thread may have deleted a contact of the group.
                ids = [o.id for o in group[::step] if (o.scope, o.id) in self]
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
        id, scope = plain_id(id), check_scope(scope)
        delete = make_delete(self.policy, id, scope, self._store.time)
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
        return self._store.purge(make_purge(plain_id(id), check_scope(scope)))

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

    def check(self) -> tuple[Conflict, ...]:
        """
        Return where contacts are not as the policy would have created them.

        After the rows of another policy, or of earlier normalisers, were loaded: values
        that ``clean`` refuses or changes, blocked values, former forms that no longer
        are forms, too many forms of a key, required fields that are missing, deleted
        contacts where none are kept. Where an application keeps the contacts: also
        stored forms that the values no longer have, undeclared fields, and unique keys
        of several contacts, which :meth:`load` refuses.

        Returns:
            One conflict for each, the contacts by creation; empty if all is well. An
            update may have cleared a required field.

        Raises:
            Exception: What a normaliser or a ``clean`` raises, other than
                ``ValueError`` of ``clean``.

        Cost:
            Linear in the book.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email), "name": field()}
        >>> book = ContactBook(Policy(first_match("email"), fields), ids=lambda: "c-1")
        >>> _ = book.upsert({"email": "ada@x.org"})
        >>> book.check()
        ()
        >>> fields["name"] = field(required=True)
        >>> stricter = Policy(first_match("email"), fields)
        >>> [str(each) for each in ContactBook.load(stricter, book.dump()).check()]
        ['contact c-1: name: is required to create a contact; send ... not blank']
        """
        contacts = self._store.read(lambda view: [*view.with_forms()])
        return (*find_conflicts(self.policy, contacts),)

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

    def __len__(self) -> int:
        return self._store.read(len)

    def __iter__(self) -> Iterator[Contact]:
        return self._store.stream(iter)

    def __contains__(self, id: object) -> bool:
        scope, id = id if type(id) is tuple and len(id) == 2 else ("", id)
        try:
            return self.get(id, scope=scope) is not None  # type: ignore[arg-type]
        except (UnknownContact, InvalidField):
            return False

    def _write(
        self,
        policy: Policy,
        match: Strategy,
        patch: Mapping[str, Any],
        scope: str,
        remainder: Any,
        call: KeyedCall | None = None,
        decide: Callable[..., Plan] = decide_request,
        id: str | None = None,
        visitor: str | None = None,
    ) -> Outcome:
        """Read a patch once, decide on it, and write the decision."""
        scope = check_scope(scope)
        forms = {} if remainder is None else remainder.forms
        own_id: OwnId = None, policy.id_field or ""
        sent = remainder and remainder.read
        if not sent:
            sent, own_id = read_with_id(policy, patch, id)
        if call is not None and (own_id[0] is not None or visitor is not None):
            call = (*call[:2], (*call[2], own_id[0], visitor))
        return self._store.write(
            request_maker(policy, sent, scope, match, forms, own_id, visitor),
            partial(decide, policy),
            None if call is None else call_key(call, policy, scope, sent),
            remainder,
        )

    def _overridden(self, options: CallOptions) -> Overridden:
        """Return the policy with the options of a call, and its fast path, if any."""
        if not options:
            return self._policy, self._fast_upsert, self._fast_upsert_many
        key: Any = None
        try:
            rules = options.get("rules")
            if rules is None:
                key = None, *options.items()
            else:
                key = (*rules.items(),), *{**options, "rules": None}.items()
            known = self._overrides.get(key)
        except (AttributeError, TypeError):
            key = known = None
        if known is not None:
            return known  # type: ignore[no-any-return]
        policy = with_overrides(self._policy, *settings_of(options))
        fast = self._fast_upsert and self._fast_path(policy, policy.match)
        known = policy, None, None
        if fast is not None:
            known = policy, fast.upsert, fast.upsert_many
        if key is not None:
            if len(self._overrides) >= _MAX_OVERRIDES:
                self._overrides.clear()
            self._overrides[key] = known
        return known

    def _key(self, name: Any) -> Key:
        plain = str.__str__(name) if isinstance(name, str) else ""
        key = compiled(self.policy).by_name.get(plain)
        if key is None:
            names = list_names(compiled(self.policy).by_name)
            reason = f"must be one of {names}" if names else "is unknown"
            raise InvalidField("key", name, f"{reason}; name a key of the policy")
        return key


def _with_ids(policy: Policy, id: str | None, visitor: str | None) -> Strategy:
    """Return the strategy of a call that names contacts by their ids."""
    match, name = policy.match, policy.id_field or ""
    if id is not None:
        match = own_id_first(name, match)
    if visitor is not None:
        checked_id("visitor", visitor)
        refuses = policy.match.resolve is ALL_AGREE
        match = with_visitor(match, name, refuses=refuses)
    return match


def _carries(patch: Any, name: str) -> bool:
    """Return whether a patch has a field, which may be null."""
    return isinstance(patch, Mapping) and name in patch
