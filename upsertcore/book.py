"""
The book: policy, index, ids, clock and lock; the only thing here with a state.

Rules:
    Decide without the lock, write under it: what a host hands in (normaliser, rule,
    ids, clock) never runs while the lock is held, so it may be slow, raise or call
    back into the book, and nothing is half done and nothing waits for ever.
    A decision counts only if no write came between; otherwise it is made anew.
    Whatever is refused, or raises, leaves the book as it was.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal, TypeVar, final, overload

from upsertcore.contact import Contact
from upsertcore.errors import (
    InvalidField,
    InvalidPolicy,
    KeyInUse,
    Refused,
    StalePlan,
    StaleVersion,
    UnknownField,
)
from upsertcore.index import ContactIndex
from upsertcore.match import Strategy, never
from upsertcore.outcome import Outcome
from upsertcore.plan import Plan, plan
from upsertcore.policy import Policy

__all__ = ["ContactBook"]

T = TypeVar("T")

_ATTEMPTS = 100
_CREATE = never()


def _fresh_ids() -> Callable[[], str]:
    """Make opaque ids that repeat in no other book or process: prefix and counter."""
    prefix, numbers = secrets.token_hex(8), count(1)
    return lambda: f"{prefix}-{next(numbers)}"


def _utc_now() -> datetime:
    return datetime.now(UTC)


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
        The same upsert twice: the second is ``unchanged`` and nothing moves.
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

    __slots__ = ("_clock", "_ids", "_index", "_lock", "_writes", "policy")

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
        self.policy = policy
        self._ids = _fresh_ids() if ids is None else ids
        self._clock = _utc_now if clock is None else clock
        self._index = index
        self._lock = threading.Lock()
        self._writes = 0

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[Contact]:
        with self._lock:
            return iter(self._index)

    def __contains__(self, id: object) -> bool:
        return id in self._index

    def upsert(
        self,
        patch: Mapping[str, Any],
        *,
        scope: str = "",
        if_version: int | None = None,
    ) -> Outcome:
        """
        Create the contact that a patch is about, or update the one that is known.

        Args:
            patch: Field name to value; an absent field is omitted, None is null.
            scope: The tenant.
            if_version: Refuse unless the contact that is found has this version.

        Returns:
            What happened, what was withheld and what was ignored.

        Raises:
            Refused: One of its family; nothing has changed then.

        Cost:
            Linear in the patch; independent of the size of the book.

        Laws:
            Twice is once: the second call is ``unchanged``.
        """
        return self._write(lambda: self._decide(patch, scope), if_version)

    def create(self, patch: Mapping[str, Any], *, scope: str = "") -> Outcome:
        """
        Create a contact without looking for a known one; unique keys still hold.

        Args:
            patch: Field name to value.
            scope: The tenant.

        Raises:
            Refused: One of its family; nothing has changed then.
        """
        return self._write(lambda: self._decide(patch, scope, _CREATE))

    def plan(self, patch: Mapping[str, Any], *, scope: str = "") -> Plan:
        """
        Decide what :meth:`upsert` would do, and do nothing.

        Args:
            patch: Field name to value.
            scope: The tenant.

        Returns:
            The decision, with its ``trace`` and what it ``expects``.

        Raises:
            Refused: Where :meth:`upsert` would be refused.
        """
        return self._settled(lambda: self._decide(patch, scope))

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
        if plan.policy is not self.policy:
            raise ValueError("plan: must be made under the policy of this book")
        return self._write(lambda: self._still(plan))

    @overload
    def upsert_many(
        self,
        patches: Iterable[Mapping[str, Any]],
        *,
        scope: str = "",
        on_refused: Literal["raise"] = "raise",
    ) -> list[Outcome]: ...

    @overload
    def upsert_many(
        self,
        patches: Iterable[Mapping[str, Any]],
        *,
        scope: str = "",
        on_refused: Literal["collect"],
    ) -> list[Outcome | Refused]: ...

    def upsert_many(
        self,
        patches: Iterable[Mapping[str, Any]],
        *,
        scope: str = "",
        on_refused: Literal["raise", "collect"] = "raise",
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
        Give the contact with this id.

        Raises:
            UnknownContact: If there is none; ``id in book`` asks first.
        """
        return self._settled(lambda: self._index.get(id))

    def find(self, key: str, value: Any, *, scope: str = "") -> tuple[Contact, ...]:
        """
        Give the contacts that hold a key.

        Args:
            key: The name of a key of the policy.
            value: As it would be sent; it is normalised here.
            scope: The tenant.

        Returns:
            Those created first standing first; empty where nobody holds it, or the
            value has no normal form.

        Raises:
            InvalidField: If the policy has no such key.

        >>> from upsertcore import Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email)}
        >>> book = ContactBook(Policy(first_match("email"), fields))
        >>> outcome = book.upsert({"email": "ada@x.org"})
        >>> book.find("email", "ADA@X.org") == (outcome.contact,)
        True
        """
        known = self.policy.by_name.get(key)
        if known is None:
            names = ", ".join(self.policy.by_name)
            raise InvalidField("key", key, f"must be one of {names}")
        form = known.form(value)
        if form is None:
            return ()
        index = self._index
        return self._settled(
            lambda: tuple(index.get(id) for id in index.holders(key, form, scope))
        )

    def delete(self, id: str) -> Contact:
        """
        Take a contact out of the book; its keys are free again.

        Returns:
            The contact as it was.

        Raises:
            UnknownContact: If there is none.
        """
        with self._lock:
            contact = self._index.remove(id)
            self._writes += 1
            return contact

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
        index = book._index
        for row in rows:
            contact = Contact.from_dict(row)
            if contact.id in index:
                raise InvalidField("id", contact.id, "must stand in one row alone")
            index.put(contact, _loaded(policy, index, contact))
        return book

    def _decide(
        self, patch: Mapping[str, Any], scope: str, match: Strategy | None = None
    ) -> Plan:
        return plan(self.policy, patch, self._index, scope=scope, match=match)

    def _collected(self, patch: Mapping[str, Any], scope: str) -> Outcome | Refused:
        try:
            return self.upsert(patch, scope=scope)
        except Refused as refusal:
            return refusal

    def _still(self, plan: Plan) -> Plan:
        expects = plan.expects
        for id, version in expects.versions.items():
            if id not in self._index:
                raise StalePlan(f"contact {id} is gone")
            actual = self._index.get(id).version
            if actual != version:
                raise StalePlan(f"contact {id} is at version {actual}, not {version}")
        for key, form, ids in expects.keys:
            if self._index.holders(key, form, plan.scope) != ids:
                raise StalePlan(f"{key}: other contacts hold {form} now")
        return plan

    def _settled(
        self, read: Callable[[], T], write: Callable[[T], None] | None = None
    ) -> T:
        """Read without the lock until no write came between; then write under it."""
        for _ in range(_ATTEMPTS):
            writes = self._writes
            try:
                answer = read()
            except Exception:
                # What it saw may have been half written; only a settled no counts.
                with self._lock:
                    if writes == self._writes:
                        raise
                continue
            with self._lock:
                if writes == self._writes:
                    if write is not None:
                        write(answer)
                    return answer
        raise RuntimeError(
            f"the book changed {_ATTEMPTS} times during one call; "
            "does a function of its host write to it?"
        )

    def _write(
        self, decide: Callable[[], Plan], if_version: int | None = None
    ) -> Outcome:
        draw = _Draw(self._ids, self._clock)

        def read() -> Outcome:
            plan = decide()
            _at_version(plan, if_version)
            outcome = _outcome(plan, draw.contact(plan))
            if outcome.before is None and outcome.contact.id in self._index:
                raise ValueError(f"ids: {outcome.contact.id!r} is in use already")
            forms.append(plan.forms)
            return outcome

        def write(outcome: Outcome) -> None:
            if outcome.contact is not outcome.before:
                self._index.put(outcome.contact, forms[-1])
                self._writes += 1

        forms: list[Any] = []
        return self._settled(read, write)


class _Draw:
    """The id and the time of one call: asked for when needed, and only once."""

    __slots__ = ("_clock", "_id", "_ids", "_now")

    def __init__(self, ids: Callable[[], str], clock: Callable[[], datetime]) -> None:
        self._ids, self._clock = ids, clock
        self._id: str | None = None
        self._now: datetime | None = None

    def contact(self, plan: Plan) -> Contact:
        """Make the contact that a plan describes; the stored one if nothing moves."""
        before, after = plan.before, plan.after
        if before is None:
            id, now = self.id(), self.now()
            return Contact(id, plan.scope, after, 1, now, now)
        if plan.unchanged:
            return before
        version, created = before.version + 1, before.created_at
        return Contact(before.id, before.scope, after, version, created, self.now())

    def id(self) -> str:
        if self._id is None:
            drawn: Any = self._ids()
            if not isinstance(drawn, str) or not drawn:
                raise TypeError(f"ids: must answer text, not {drawn!r}")
            self._id = drawn
        return self._id

    def now(self) -> datetime:
        if self._now is None:
            drawn: Any = self._clock()
            if not isinstance(drawn, datetime) or drawn.utcoffset() is None:
                raise TypeError(f"clock: must answer an aware time, not {drawn!r}")
            self._now = drawn
        return self._now


def _outcome(plan: Plan, contact: Contact) -> Outcome:
    return Outcome(
        plan.result,
        contact,
        plan.before,
        plan.matched_by,
        plan.withheld,
        plan.ignored,
        plan.others,
    )


def _at_version(plan: Plan, version: int | None) -> None:
    before = plan.before
    if version is None or (before is not None and before.version == version):
        return
    if before is None:
        raise StaleVersion(None, version, None)
    raise StaleVersion(before.id, version, before.version)


def _loaded(
    policy: Policy, index: ContactIndex, contact: Contact
) -> list[tuple[str, ...]]:
    """Make the forms of a stored contact, if the policy can hold it."""
    if policy.other is None:
        for name in contact:
            if name not in policy.fields:
                raise UnknownField(name, tuple(policy.fields))
    forms = [key.forms(contact.fields) for key in policy.keys]
    for key, each in zip(policy.keys, forms, strict=True):
        for form in each if key.unique and policy.on_clash != "allow" else ():
            for holder in index.holders(key.name, form, contact.scope):
                raise KeyInUse(key.name, contact[key.name], holder)
    return forms
