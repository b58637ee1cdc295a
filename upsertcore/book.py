"""
The book: policy, index, ids, clock and lock; the only façade with a state.

Rules:
    Each verb is one decision, made by a plan, and one write, made by the writer.
    It is whole under threads, and under whatever a host's functions do in it.
    Whatever is refused, or raises, leaves the book as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias, final, overload

from upsertcore.call import for_one_call
from upsertcore.contact import Contact
from upsertcore.errors import InvalidField, InvalidPolicy, Refused
from upsertcore.index import ContactIndex
from upsertcore.line import Blank, Null
from upsertcore.loading import fill
from upsertcore.match import never
from upsertcore.outcome import Outcome
from upsertcore.patch import Asked, check_scope, frozen, read
from upsertcore.plan import Plan, decide
from upsertcore.policy import Policy
from upsertcore.rule import Rule
from upsertcore.strategy import Strategy
from upsertcore.writer import Writer, fresh_ids, utc_now

__all__ = ["ContactBook"]

Patches: TypeAlias = Iterable[Mapping[str, Any]]
OnRefused = Literal["raise", "collect"]

_CREATE = never()


@final
class ContactBook:
    """
    Contacts under one policy.

    Args:
        policy: The table.
        ids: Answers a fresh id at each call; given by tests and by hosts.
        clock: Answers an aware time; given by tests and by hosts. UTC now if None.
        index: An index to work on, made with the policy's key names; fresh if None.

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

    __slots__ = ("_index", "_writer", "policy")

    def __init__(
        self,
        policy: Policy,
        *,
        ids: Callable[[], str] | None = None,
        clock: Callable[[], datetime] | None = None,
        index: ContactIndex | None = None,
    ) -> None:
        names = tuple(key.name for key in policy.keys)
        if index is None:
            index = ContactIndex(names)
        if index.keys != names:
            raise InvalidPolicy(f"index: must have the keys {names}, not {index.keys}")
        self.policy, self._index = policy, index
        ids = fresh_ids() if ids is None else ids
        self._writer = Writer(index, ids, utc_now if clock is None else clock)

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[Contact]:
        return self._writer.read(lambda: iter(self._index))

    def __contains__(self, id: object) -> bool:
        return id in self._index

    def upsert(
        self,
        patch: Mapping[str, Any],
        *,
        scope: str = "",
        if_version: int | None = None,
        merge: Mapping[str, Rule] | None = None,
        null: Null | None = None,
        blank: Blank | None = None,
    ) -> Outcome:
        """
        Create the contact that a patch is about, or update the one that is known.

        Args:
            patch: Field name to value; an absent field is omitted, None is null.
            scope: The tenant.
            if_version: Refuse unless the contact that is found has this version.
            merge: Field name to rule, in place of the policy's for this call.
            null: What null does in this call, in every field.
            blank: What blank does in this call, in every field.

        Returns:
            What happened, what was withheld and what was ignored.

        Raises:
            Refused: One of its family; nothing has changed then.
            InvalidPolicy: If a rule of this call, or *null* or *blank*, is none.

        Cost:
            Linear in the patch; independent of the size of the book.

        Laws:
            Twice is once: the second call is ``unchanged``.
        """
        policy = for_one_call(self.policy, merge, null, blank)
        ask = self._asking(policy, patch, scope, policy.match)
        return self._writer.write(ask, lambda asked: decide(policy, asked, if_version))

    def create(self, patch: Mapping[str, Any], *, scope: str = "") -> Outcome:
        """
        Create a contact without looking for a known one; unique keys still hold.

        Args:
            patch: Field name to value.
            scope: The tenant.

        Raises:
            Refused: One of its family; nothing has changed then.
        """
        ask = self._asking(self.policy, patch, scope, _CREATE)
        return self._writer.write(ask, lambda asked: decide(self.policy, asked))

    def plan(
        self,
        patch: Mapping[str, Any],
        *,
        scope: str = "",
        merge: Mapping[str, Rule] | None = None,
        null: Null | None = None,
        blank: Blank | None = None,
    ) -> Plan:
        """
        Decide what :meth:`upsert` would do, and do nothing.

        Args:
            patch: Field name to value.
            scope: The tenant.
            merge: As in :meth:`upsert`.
            null: As in :meth:`upsert`.
            blank: As in :meth:`upsert`.

        Returns:
            The decision, with its ``trace`` and what it ``expects``.

        Raises:
            Refused: Where :meth:`upsert` would be refused.
        """
        policy = for_one_call(self.policy, merge, null, blank)
        ask = self._asking(policy, patch, scope, policy.match)
        return self._writer.settle(ask, lambda asked: decide(policy, asked))

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
        if (plan.policy.base or plan.policy) is not self.policy:
            raise ValueError("plan: must be made under the policy of this book")
        return self._writer.apply(plan)

    @overload
    def upsert_many(
        self, patches: Patches, *, scope: str = "", on_refused: Literal["raise"] = ...
    ) -> list[Outcome]: ...

    @overload
    def upsert_many(
        self, patches: Patches, *, scope: str = "", on_refused: Literal["collect"]
    ) -> list[Outcome | Refused]: ...

    def upsert_many(
        self, patches: Patches, *, scope: str = "", on_refused: OnRefused = "raise"
    ) -> list[Outcome] | list[Outcome | Refused]:
        """
        Upsert one patch after the other.

        Args:
            patches: Read once, as they are needed.
            scope: The tenant.
            on_refused: ``"raise"`` ends at the first refusal, and what came before
                it stays done; ``"collect"`` puts the refusal in the list and goes on.

        Returns:
            One outcome, or refusal, per patch, in the order sent.

        Raises:
            Refused: The first refusal, under ``"raise"``.
            ValueError: If ``on_refused`` is neither.

        Laws:
            It is the left fold of :meth:`upsert`.
        """
        if on_refused == "raise":
            return [self.upsert(patch, scope=scope) for patch in patches]
        if on_refused != "collect":
            raise ValueError(f"on_refused: raise or collect, not {on_refused!r}")
        return [self._collected(patch, scope) for patch in patches]

    def get(self, id: str) -> Contact:
        """
        Give the contact with this id, or the one that it was merged into.

        Raises:
            UnknownContact: If there is none; ``id in book`` asks first.
        """
        return self._writer.read(lambda: self._index.get(id))

    def find(self, key: str, value: Any, *, scope: str = "") -> tuple[Contact, ...]:
        """
        Give the contacts that hold a key.

        Args:
            key: The name of a key of the policy.
            value: As it would be stored; it is normalised here, and not cleaned. Of a
                composite key, a mapping of its fields to one value each.
            scope: The tenant.

        Returns:
            Those created first standing first; empty where nobody holds it, or the
            value has no normal form.

        Raises:
            InvalidField: If the policy has no such key, or no field holds such a
                value.

        >>> from upsertcore import Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email)}
        >>> book = ContactBook(Policy(first_match("email"), fields))
        >>> outcome = book.upsert({"email": "ada@x.org"})
        >>> book.find("email", "ADA@X.org") == (outcome.contact,)
        True
        """
        check_scope(scope)
        known = self.policy.by_name.get(key) if type(key) is str else None
        if known is None:
            names = ", ".join(self.policy.by_name) or "none, for the policy has none"
            raise InvalidField("key", key, f"must be one of {names}")
        forms = known.sought(frozen("value", value))
        index = self._index
        return self._writer.read(
            lambda: tuple(
                [index.get(i) for f in forms for i in index.holders(key, f, scope)]
            )
        )

    def delete(self, id: str) -> Contact:
        """
        Take a contact out of the book; its keys are free again.

        Returns:
            The contact as it was.

        Raises:
            UnknownContact: If there is none; the id of one that was merged into
                another takes nothing out.
        """
        return self._writer.remove(id)

    def dump(self) -> list[dict[str, Any]]:
        """
        Give all contacts as plain rows, ready for JSON, by creation.

        Laws:
            ``ContactBook.load(policy, book.dump()).dump() == book.dump()``.
        """
        return [contact.to_dict() for contact in self]

    @classmethod
    def load(
        cls,
        policy: Policy,
        rows: Iterable[Mapping[str, Any]],
        *,
        ids: Callable[[], str] | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> ContactBook:
        """
        Make a book of the rows of :meth:`dump`.

        Args:
            policy: The table; it need not be the one that the rows were made under.
            rows: From outside, so each is looked at.
            ids: As in the constructor.
            clock: As in the constructor.

        Raises:
            InvalidField: If a row is of the wrong form, or an id stands there twice.
            UnknownField: If the policy has neither a line nor a rule for a field.
            KeyInUse: If two contacts of a scope hold the same unique key.

        >>> from upsertcore import Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email)}
        >>> book = ContactBook(Policy(first_match("email"), fields))
        >>> _ = book.upsert({"email": "ada@x.org"})
        >>> ContactBook.load(book.policy, book.dump()).dump() == book.dump()
        True
        """
        book = cls(policy, ids=ids, clock=clock)
        fill(book._index, policy, rows)
        return book

    def _asking(
        self, policy: Policy, patch: Mapping[str, Any], scope: str, match: Strategy
    ) -> Callable[[], Asked]:
        """Read a patch, once, and make what each attempt at a decision asks with."""
        check_scope(scope)
        patched, keys = read(policy, patch), policy.by_name
        return lambda: Asked(keys, patched, self._index, scope, match)

    def _collected(self, patch: Mapping[str, Any], scope: str) -> Outcome | Refused:
        try:
            return self.upsert(patch, scope=scope)
        except Refused as refusal:
            return refusal
