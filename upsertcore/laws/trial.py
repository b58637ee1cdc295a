"""
The trial: calls on copies of a book, and all that can be seen of them.

Rules:
    The book that a trial begins with is never written.
    What a law asks for is made when it is first asked for, and once.
    Ids and times are the trial's own, so that two trials are alike to the byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from typing import Any, TypeAlias, final

from upsertcore.book.book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.patch import read_patch
from upsertcore.errors import Refused
from upsertcore.model.contact import Contact
from upsertcore.model.view import Forms
from upsertcore.policy.forms import held_forms
from upsertcore.policy.policy import Policy, compiled
from upsertcore.store.index import ContactIndex
from upsertcore.store.journal import Entry
from upsertcore.values import same

__all__ = [
    "Log",
    "Merge",
    "State",
    "Trial",
    "TrialResult",
    "alike",
    "ask",
    "book_of",
    "state_of",
    "told",
]

TrialResult: TypeAlias = Outcome | Refused
"""What a call came to."""

State: TypeAlias = tuple[tuple[Contact, Forms], ...]
"""Contacts by creation, each with the normal forms that it holds."""

_DAWN = datetime(2024, 1, 2, tzinfo=UTC)


def state_of(book: ContactBook) -> State:
    """
    Give the contacts of a book, each with the forms that its fields make.

    >>> from upsertcore import Policy, never
    >>> state_of(ContactBook(Policy(never(), {})))
    ()
    """
    return tuple([(contact, held_forms(book.policy, contact)) for contact in book])


def book_of(policy: Policy, state: State = (), **how: Any) -> ContactBook:
    """
    Make a book of a state, with ids and a clock that every such book has.

    Args:
        policy: The table.
        state: As :func:`state_of` gives it.
        how: As ``ContactBook``.

    >>> from upsertcore import never
    >>> book_of(Policy(never(), {})).create({}).contact.id
    'new-1'
    """
    index = ContactIndex([key.name for key in policy.all_keys])
    for contact, forms in state:
        index.put(contact, forms)
    ids, seconds = count(1), count(1)
    return ContactBook(
        policy,
        ids=lambda: f"new-{next(ids)}",
        clock=lambda: _DAWN + timedelta(seconds=next(seconds)),
        index=index,
        **how,
    )


def ask(
    book: ContactBook, patch: Mapping[str, Any], scope: str, **how: Any
) -> TrialResult:
    """Upsert, a refusal being an answer."""
    try:
        return book.upsert(patch, scope=scope, **how)
    except Refused as error:
        return error


def alike(one: TrialResult, other: TrialResult) -> bool:
    """
    Return whether two calls came to the same, to the type of each value.

    >>> alike(Refused("no"), Refused("no")), alike(Refused("no"), Refused("yes"))
    (True, False)
    """
    if isinstance(one, Refused) or isinstance(other, Refused):
        return repr(one) == repr(other)
    mine, theirs = one.contact, other.contact
    values = ([each.value for each in made.withheld] for made in (one, other))
    return (
        one == other
        and same(mine.fields, theirs.fields)
        and same(mine.clocks, theirs.clocks)
        and same(*map(tuple, values))
    )


def told(answer: TrialResult) -> str:
    """
    Say in a few words what a call came to.

    >>> told(Refused("no"))
    'Refused: no'
    """
    if isinstance(answer, Outcome):
        return f"{answer.result} {answer.contact.id}"
    return f"{type(answer).__name__}: {answer}"


@final
class Trial:
    """
    One patch, and what comes of sending it to a copy of a book, and sending it again.

    Args:
        policy: The table.
        state: As :func:`state_of` gives it.
        patch: What is sent.
        scope: The tenant.

    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> trial = Trial.of(ContactBook(policy), {"email": "ada@x.org"})
    >>> trial.first.result, trial.second.result, len(trial.before), len(trial.after)
    ('created', 'unchanged', 0, 1)
    """

    def __init__(
        self, policy: Policy, state: State, patch: Mapping[str, Any], scope: str = ""
    ) -> None:
        self.policy, self.state, self.patch, self.scope = policy, state, patch, scope

    @classmethod
    def of(
        cls, book: ContactBook, patch: Mapping[str, Any], *, scope: str = ""
    ) -> Trial:
        """Make a trial of what a book holds now."""
        return cls(book.policy, state_of(book), patch, scope)

    @property
    def before(self) -> tuple[Contact, ...]:
        """The contacts before the first call, by creation."""
        return tuple([contact for contact, _forms in self.state])

    @cached_property
    def book(self) -> ContactBook:
        """The copy to which the first call is made, and then the second."""
        return book_of(self.policy, self.state)

    @cached_property
    def first(self) -> TrialResult:
        """What comes of the patch."""
        return ask(self.book, self.patch, self.scope)

    @cached_property
    def after(self) -> tuple[Contact, ...]:
        """The contacts after the first call, by creation."""
        _ = self.first
        return tuple(self.book)

    @cached_property
    def second(self) -> TrialResult:
        """What comes of the same patch, sent again."""
        _ = self.after
        return ask(self.book, self.patch, self.scope)

    @cached_property
    def after_second(self) -> tuple[Contact, ...]:
        """The contacts after the second call, by creation."""
        _ = self.second
        return tuple(self.book)

    @cached_property
    def sent(self) -> Mapping[str, Any] | Refused:
        """What is sent as it was cleaned, without what counts as omitted."""
        try:
            return read_patch(self.policy, self.patch)[0]
        except Refused as error:
            return error

    @cached_property
    def carried(self) -> list[tuple[str, tuple[str, ...]]]:
        """The keys of the strategy that the patch carries, with their forms."""
        sent = self.sent
        if isinstance(sent, Refused):
            return []
        by_name = compiled(self.policy).by_name
        made = [(name, by_name[name].forms(sent)) for name in self.policy.match.keys]
        return [(name, forms) for name, forms in made if forms]

    @cached_property
    def _held(self) -> dict[int, tuple[Contact, Forms]]:
        # The contact stays beside its forms, so that no other has its place in memory.
        return {id(contact): (contact, forms) for contact, forms in self.state}

    def held(self, contact: Contact) -> Forms:
        """Give the forms that a contact holds, per key of the policy, made once."""
        known = self._held.get(id(contact))
        if known is None:
            known = contact, held_forms(self.policy, contact)
            self._held[id(contact)] = known
        return known[1]

    def anew(self, **how: Any) -> ContactBook:
        """Make another copy of the book, as it was before the first call."""
        return book_of(self.policy, self.state, **how)


@final
class Log:
    """
    Some patches in the order in which they came, sent to an empty book.

    Args:
        policy: The table.
        patches: What is sent.
        scope: The tenant.

    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> log = Log(policy, [{"email": "ada@x.org"}, {"email": "ADA@x.org"}])
    >>> [answer.result for answer in log.answers]
    ['created', 'updated']
    """

    def __init__(
        self, policy: Policy, patches: Iterable[Mapping[str, Any]], scope: str = ""
    ) -> None:
        self.policy, self.patches, self.scope = policy, tuple(patches), scope

    @cached_property
    def book(self) -> ContactBook:
        """The book that has seen them one by one, and keeps what changed."""
        return book_of(self.policy, retain_changes=None)

    @cached_property
    def answers(self) -> tuple[TrialResult, ...]:
        """What came of each."""
        return self.send(self.book)

    @cached_property
    def after(self) -> tuple[Contact, ...]:
        """The contacts afterwards, by creation."""
        _ = self.answers
        return tuple(self.book)

    @cached_property
    def changes(self) -> tuple[Entry, ...]:
        """All changes of the book."""
        _ = self.answers
        return tuple(self.book.changes_since())

    def send(self, book: ContactBook) -> tuple[TrialResult, ...]:
        """Send all of them to a book, one by one."""
        return tuple([ask(book, patch, self.scope) for patch in self.patches])


@final
class Merge:
    """
    Some contacts of one scope that are merged into the first of them.

    Args:
        policy: The table.
        state: The contacts, with the forms that they hold, as :func:`state_of` gives
            them: the first is the survivor.
        beside: The other contacts of the book.

    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> book = ContactBook(policy)
    >>> for _ in "ab":
    ...     _ = book.create({"email": "ada@x.org"})
    >>> Merge(policy, state_of(book)).outcome.result
    'merged'
    """

    def __init__(self, policy: Policy, state: State, beside: State = ()) -> None:
        self.policy, self.state, self.beside = policy, state, beside

    @classmethod
    def of(
        cls, book: ContactBook, survivor: str, *others: str, scope: str = ""
    ) -> Merge:
        """Make a trial of what a book holds now."""
        ids = [book.get(id, scope=scope).id for id in (survivor, *others)]
        held = {(each[0].scope, each[0].id): each for each in state_of(book)}
        chosen = [held.pop((scope, id)) for id in dict.fromkeys(ids)]
        return cls(book.policy, tuple(chosen), tuple(held.values()))

    @property
    def before(self) -> tuple[Contact, ...]:
        """The contacts as they were, the survivor first."""
        return tuple([contact for contact, _forms in self.state])

    @cached_property
    def outcome(self) -> TrialResult:
        """What one merge of all comes to."""
        return self.merged(self.before[1:])

    def merged(
        self, *steps: tuple[Contact, ...], state: State | None = None
    ) -> TrialResult:
        """Merge step by step, perhaps contacts that hold something else."""
        chosen = self.state if state is None else state
        book = book_of(self.policy, (*chosen, *self.beside))
        survivor = chosen[0][0]
        made: TrialResult = Refused("others: must name one contact at least")
        for others in steps:
            try:
                ids = [each.id for each in others]
                made = book.merge(survivor.id, *ids, scope=survivor.scope)
            except Refused as error:
                return error
        return made
