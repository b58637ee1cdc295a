"""
The book: policy, index, ids, clock and lock; the only façade with a state.

Rules:
    Each verb is one decision, made by a plan, and one write, made by the writer.
    It is whole under threads, and under whatever a host's functions do in it.
    Whatever is refused, or raises, leaves the book as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeAlias, Unpack, final, overload

from upsertcore.arguments import (
    OnDuplicates,
    OnRefused,
    check_batch,
    check_count,
    check_function,
    check_index,
    check_plan,
    check_policy,
    check_version,
)
from upsertcore.batch import all_of, in_turn
from upsertcore.call import for_one_call
from upsertcore.calls import fingerprint
from upsertcore.draw import Making, fresh_ids, utc_now
from upsertcore.errors import InvalidPolicy, Refused
from upsertcore.index import ContactIndex
from upsertcore.joining import Joining
from upsertcore.journal import Entry, redo
from upsertcore.line import Blank, Null
from upsertcore.loading import fill
from upsertcore.match import never
from upsertcore.outcome import Outcome
from upsertcore.patch import checked_scope
from upsertcore.plan import decide_request
from upsertcore.planned import Plan
from upsertcore.policy import Policy
from upsertcore.quick import FastPath, suits
from upsertcore.repeats import refusing
from upsertcore.rule import Rule
from upsertcore.showing import listed
from upsertcore.writer import Writer

__all__ = ["ContactBook"]

Patches: TypeAlias = Iterable[Mapping[str, Any]]

_CREATE = never()


@final
class ContactBook(Joining):
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

    __slots__ = ("_quick", "_quick_many")

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
            Linear in the patch, in the contacts that its keys hit, and in their forms;
            independent of the size of the book.

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
        policy = for_one_call(self.policy, rules, null, blank)
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
        ask = self._asking(self.policy, patch, scope, _CREATE)
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
        policy = for_one_call(self.policy, rules, null, blank)
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
        if (plan.policy.base or plan.policy) is not self.policy:
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
            scope = checked_scope(scope)
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
            Refused: As :func:`upsertcore.loading.fill`.

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
