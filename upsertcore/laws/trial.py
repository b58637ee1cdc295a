"""
The trial: calls on copies of a book, and their visible results.

Rules:
    The book that a trial starts from is never written.
    What a law needs is computed on first access, and cached.
    Ids and times are fixed, so equal trials are equal to the byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from typing import Any, Literal, TypeAlias, Unpack, final

from attrs import Factory, frozen

from upsertcore.book.book import Book
from upsertcore.book.contact_book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.patch import read_with_id
from upsertcore.engine.plan import Plan
from upsertcore.errors import Refused, UnknownContact
from upsertcore.model.contact import Contact
from upsertcore.model.view import Forms
from upsertcore.policy.held_forms import held_forms
from upsertcore.policy.overrides import CallOptions, with_overrides
from upsertcore.policy.policy import Policy, consulted
from upsertcore.store.contact_index import index_for
from upsertcore.store.journal import Entry
from upsertcore.values import empty, same

__all__ = [
    "Call",
    "Log",
    "Merge",
    "State",
    "Trial",
    "TrialResult",
    "Verb",
    "book_of",
    "describe",
    "is_same_result",
    "state_of",
    "try_upsert",
]

TrialResult: TypeAlias = Outcome | Refused | UnknownContact
"""The outcome of a call, or its refusal."""

Verb = Literal["upsert", "update", "create"]
"""A verb that sends one patch."""

State: TypeAlias = tuple[tuple[Contact, Forms], ...]
"""Contacts by creation, each with the normal forms that it holds."""

_START = datetime(2024, 1, 2, tzinfo=UTC)


def state_of(book: Book) -> State:
    """
    Return the contacts of a book, each with the forms that it holds.

    >>> from upsertcore import Policy, never
    >>> state_of(ContactBook(Policy(never(), {})))
    ()
    """
    return tuple([(contact, held_forms(book.policy, contact)) for contact in book])


def book_of(policy: Policy, state: State = (), **how: Any) -> ContactBook:
    """
    Make a book of a state, with fixed ids and a fixed clock.

    Args:
        policy: The policy.
        state: As :func:`state_of` returns it.
        how: Further arguments of ``ContactBook``.

    >>> from upsertcore import never
    >>> book_of(Policy(never(), {})).create({}).contact.id
    'new-1'
    """
    index = index_for(policy)
    for contact, forms in state:
        index.put(contact, forms)
    ids, seconds = count(1), count(1)
    return ContactBook(
        policy,
        ids=lambda: f"new-{next(ids)}",
        clock=lambda: _START + timedelta(seconds=next(seconds)),
        index=index,
        **how,
    )


def try_upsert(
    book: Book, patch: Mapping[str, Any], scope: str, **how: Any
) -> TrialResult:
    """Upsert a patch; return the outcome or the refusal."""
    try:
        return book.upsert(patch, scope=scope, **how)
    except Refused as error:
        return error


def is_same_result(one: TrialResult, other: TrialResult) -> bool:
    """
    Return whether two results are the same, to the type of each value.

    >>> no, yes = Refused("no"), Refused("yes")
    >>> is_same_result(no, Refused("no")), is_same_result(no, yes)
    (True, False)
    """
    if not (isinstance(one, Outcome) and isinstance(other, Outcome)):
        return repr(one) == repr(other)
    left, right = one.contact, other.contact
    values = ([value.value for value in outcome.withheld] for outcome in (one, other))
    return (
        one == other
        and same(left.fields, right.fields)
        and same(left.clocks, right.clocks)
        and same(*map(tuple, values))
    )


def describe(answer: TrialResult) -> str:
    """
    Describe a result in a few words.

    >>> describe(Refused("no"))
    'Refused: no'
    """
    if isinstance(answer, Outcome):
        return f"{answer.result} {answer.contact.id}"
    return f"{type(answer).__name__}: {answer}"


@final
@frozen
class Call:
    """
    How a patch is sent: by which verb, with which ids and options.

    Args:
        verb: The verb; ``"update"`` needs an id.
        id: The id of a contact that is passed besides the patch, if any.
        carried: The id that the patch carries under the ``id_field``, if any.
        visitor: The id of the visitor, if there is one.
        options: The options of the call.

    >>> print(Call("update", id="c-1"), Call(), Call(options={"null": "ignore"}))
    update with id='c-1' upsert upsert with null='ignore'
    """

    verb: Verb = "upsert"
    id: str | None = None
    carried: str | None = None
    visitor: str | None = None
    options: CallOptions = Factory(CallOptions)

    def __str__(self) -> str:
        ids = {"id": self.id, "id in the patch": self.carried, "visitor": self.visitor}
        given = {n: v for n, v in {**ids, **self.options}.items() if v is not None}
        words = ", ".join([f"{name}={value!r}" for name, value in given.items()])
        return f"{self.verb} with {words}" if words else self.verb

    @property
    def named(self) -> str | None:
        """The id that names a contact, whether passed or carried by the patch."""
        return self.carried if self.id is None else self.id

    @property
    def is_plain(self) -> bool:
        """Whether it is an upsert without ids; it may have options."""
        ids = self.id, self.carried, self.visitor
        return self.verb == "upsert" and ids == (None, None, None)

    def send(
        self, book: Book, patch: Mapping[str, Any], scope: str, **how: Any
    ) -> TrialResult:
        """Send a patch in this way; return the outcome or the refusal."""
        verb = getattr(book, self.verb)
        sent, ids = self._sent(book, patch), self._ids()
        named = [ids.pop("id")] if self.verb == "update" else []
        try:
            result: Outcome = verb(
                *named, sent, scope=scope, **ids, **self.options, **how
            )
        except (Refused, UnknownContact) as error:
            return error
        return result

    def plan(self, book: Book, patch: Mapping[str, Any], scope: str) -> Plan:
        """Plan the upsert of a patch in this way."""
        sent = self._sent(book, patch)
        return book.plan(sent, scope=scope, **self._ids(), **self.options)

    def _sent(self, book: Book, patch: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.carried is None:
            return patch
        return {**patch, str(book.policy.id_field): self.carried}

    def _ids(self) -> dict[str, Any]:
        ids = {"id": self.id, "visitor": self.visitor}
        return {name: id for name, id in ids.items() if id is not None}


_PLAIN = Call()


@final
class Trial:
    """
    One patch, sent to a copy of a book, and sent again.

    Args:
        policy: The policy.
        state: As :func:`state_of` returns it.
        patch: The patch, without an id that it carries.
        scope: The tenant.
        call: How it is sent; ``policy`` is then the policy with its options.

    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> trial = Trial.of(ContactBook(policy), {"email": "ada@x.org"})
    >>> trial.first.result, trial.second.result, len(trial.before), len(trial.after)
    ('created', 'unchanged', 0, 1)
    """

    def __init__(
        self,
        policy: Policy,
        state: State,
        patch: Mapping[str, Any],
        scope: str = "",
        call: Call = _PLAIN,
    ) -> None:
        self._base, self.policy = policy, with_overrides(policy, **call.options)
        self.state, self.patch, self.scope, self.call = state, patch, scope, call

    @classmethod
    def of(
        cls,
        book: Book,
        patch: Mapping[str, Any],
        *,
        scope: str = "",
        verb: Verb = "upsert",
        id: str | None = None,
        visitor: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Trial:
        """Make a trial from the present contacts of a book."""
        policy, carried, fields = book.policy, None, patch
        if policy.id_field is not None and not empty(patch.get(policy.id_field)):
            carried = patch[policy.id_field]
            fields = {n: v for n, v in patch.items() if n != policy.id_field}
        call = Call(verb, id, carried, visitor, options)
        return cls(policy, state_of(book), fields, scope, call)

    @property
    def before(self) -> tuple[Contact, ...]:
        """The contacts before the first call, by creation."""
        return tuple([contact for contact, _forms in self.state])

    @cached_property
    def book(self) -> ContactBook:
        """The copy to which both calls are made."""
        return self.new_book()

    @cached_property
    def first(self) -> TrialResult:
        """The result of the first call."""
        return self.send(self.book)

    @cached_property
    def after(self) -> tuple[Contact, ...]:
        """The contacts after the first call, by creation."""
        _ = self.first
        return tuple(self.book)

    @cached_property
    def second(self) -> TrialResult:
        """The result of the second call, with the same patch."""
        _ = self.after
        return self.send(self.book)

    @cached_property
    def after_second(self) -> tuple[Contact, ...]:
        """The contacts after the second call, by creation."""
        _ = self.second
        return tuple(self.book)

    @cached_property
    def sent(self) -> Mapping[str, Any] | Refused:
        """The cleaned values of the patch, without those that count as omitted."""
        try:
            return read_with_id(self.policy, self.patch)[0][0]
        except Refused as error:
            return error

    @cached_property
    def keys_sent(self) -> list[tuple[str, tuple[str, ...]]]:
        """The keys of the strategy that the patch carries, with their forms."""
        sent = self.sent
        if isinstance(sent, Refused):
            return []
        keys = [(key.name, key.forms(sent)) for key in consulted(self.policy)]
        return [(name, forms) for name, forms in keys if forms]

    @cached_property
    def _forms(self) -> dict[int, tuple[Contact, Forms]]:
        # The contact is kept with its forms, so that its id() is not reused.
        return {id(contact): (contact, forms) for contact, forms in self.state}

    def forms_of(self, contact: Contact) -> Forms:
        """Return the forms that a contact holds, per key of the policy."""
        pair = self._forms.get(id(contact))
        if pair is None:
            pair = contact, held_forms(self.policy, contact)
            self._forms[id(contact)] = pair
        return pair[1]

    def new_book(self, **how: Any) -> ContactBook:
        """Make another copy of the book as it was before the first call."""
        return book_of(self._base, self.state, **how)

    def book_with(self, state: State = ()) -> ContactBook:
        """Make a book with other contacts, or none."""
        return book_of(self._base, state)

    def send(self, book: Book, scope: str | None = None, **how: Any) -> TrialResult:
        """Make the call in a book."""
        return self.call.send(
            book, self.patch, self.scope if scope is None else scope, **how
        )

    def holder(self, id: str | None) -> Contact | None:
        """Return the contact of the scope to which an id resolves before the call."""
        own = [c for c in self.before if c.scope == self.scope]
        return next((contact for contact in own if id in contact.ids), None)

    @property
    def clears(self) -> bool:
        """Whether the call clears what its patch omits."""
        return self.call.options.get("omitted", self.policy.omitted) == "clear"

    @property
    def by_id(self) -> Contact | None:
        """The contact that the id argument of the call names, if it is known."""
        return None if self.call.id is None else self.holder(self.call.id)


@final
class Log:
    """
    A sequence of patches, sent to an empty book.

    Args:
        policy: The policy.
        patches: The patches, in order.
        scope: The tenant.

    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> log = Log(policy, [{"email": "ada@x.org"}, {"email": "ADA@x.org"}])
    >>> [outcome.result for outcome in log.results]
    ['created', 'updated']
    """

    def __init__(
        self, policy: Policy, patches: Iterable[Mapping[str, Any]], scope: str = ""
    ) -> None:
        self.policy, self.patches, self.scope = policy, tuple(patches), scope

    @cached_property
    def book(self) -> ContactBook:
        """The book to which the patches are sent one by one; it retains all changes."""
        return book_of(self.policy, retain_changes=None)

    @cached_property
    def results(self) -> tuple[TrialResult, ...]:
        """The result of each call."""
        return self.send(self.book)

    @cached_property
    def after(self) -> tuple[Contact, ...]:
        """The contacts afterwards, by creation."""
        _ = self.results
        return tuple(self.book)

    @cached_property
    def changes(self) -> tuple[Entry, ...]:
        """All changes of the book."""
        _ = self.results
        return tuple(self.book.changes_since())

    def send(self, book: Book) -> tuple[TrialResult, ...]:
        """Send all patches to a book, one by one."""
        return tuple([try_upsert(book, patch, self.scope) for patch in self.patches])


@final
class Merge:
    """
    Contacts of one scope that are merged into the first of them.

    Args:
        policy: The policy.
        state: The contacts with the forms that they hold, as :func:`state_of` returns
            them; the first is the survivor.
        beside: The other contacts of the book.
        patch: A patch to merge with, if any.

    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> book = ContactBook(policy)
    >>> for _ in "ab":
    ...     _ = book.create({"email": "ada@x.org"})
    >>> Merge(policy, state_of(book)).outcome.result
    'merged'
    """

    def __init__(
        self,
        policy: Policy,
        state: State,
        beside: State = (),
        patch: Mapping[str, Any] | None = None,
    ) -> None:
        self.policy, self.state, self.others = policy, state, beside
        self.patch = patch

    @classmethod
    def of(
        cls,
        book: Book,
        survivor: str,
        *others: str,
        scope: str = "",
        patch: Mapping[str, Any] | None = None,
    ) -> Merge:
        """Make a merge from the present contacts of a book."""
        ids = [book.get(id, scope=scope).id for id in (survivor, *others)]
        held = {(each[0].scope, each[0].id): each for each in state_of(book)}
        chosen = [held.pop((scope, id)) for id in dict.fromkeys(ids)]
        return cls(book.policy, tuple(chosen), tuple(held.values()), patch)

    @property
    def before(self) -> tuple[Contact, ...]:
        """The contacts before the merge, the survivor first."""
        return tuple([contact for contact, _forms in self.state])

    @cached_property
    def outcome(self) -> TrialResult:
        """The result of merging all contacts at once, without the patch."""
        return self.merge_steps(self.before[1:])

    @cached_property
    def with_patch(self) -> TrialResult:
        """The result of merging all contacts at once, with the patch."""
        return self._merge(self.new_book(), self.before[1:], patch=self.patch)

    @cached_property
    def then_patch(self) -> TrialResult:
        """The result of merging all contacts, and then upserting the patch by id."""
        book, survivor = self.new_book(), self.before[0]
        merged = self._merge(book, self.before[1:])
        if self.patch is None or not isinstance(merged, Outcome):
            return merged
        # A merge does not ignore its patch.
        options: CallOptions = {"on_found": "update"}
        call = Call(id=survivor.id, options=options)
        return call.send(book, self.patch, survivor.scope)

    def merge_steps(
        self, *steps: tuple[Contact, ...], state: State | None = None
    ) -> TrialResult:
        """Merge step by step; *state* replaces the contacts of this merge."""
        book = self.new_book(state)
        result: TrialResult = Refused("others: must name one contact at least")
        for others in steps:
            result = self._merge(book, others)
            if not isinstance(result, Outcome):
                return result
        return result

    def new_book(self, state: State | None = None) -> ContactBook:
        """Make a book of the contacts; *state* replaces those of this merge."""
        chosen = self.state if state is None else state
        return book_of(self.policy, (*chosen, *self.others))

    def _merge(
        self, book: ContactBook, others: tuple[Contact, ...], **how: Any
    ) -> TrialResult:
        survivor, ids = self.before[0], [contact.id for contact in others]
        try:
            return book.merge(survivor.id, *ids, scope=survivor.scope, **how)
        except Refused as error:
            return error
