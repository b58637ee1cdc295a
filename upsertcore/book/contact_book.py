"""
The book in memory: the verbs of a book over contacts that this process holds.

Rules:
    A book is thread-safe, whatever the functions of an application do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NoReturn, Unpack, final

from upsertcore.book.arguments import (
    BookOptions,
    check_count,
    check_function,
    check_index,
    check_policy,
    check_several,
)
from upsertcore.book.book import Book
from upsertcore.book.compare_policies import Comparison, compare_sides, side
from upsertcore.book.loading import load_rows, rows_of
from upsertcore.engine.patch import check_scope
from upsertcore.errors import InvalidPolicy
from upsertcore.matching.own_id import without_own_id
from upsertcore.matching.protocol import Strategy
from upsertcore.policy.policy import Policy
from upsertcore.store.apply_changes import apply_changes
from upsertcore.store.clock import utc_now
from upsertcore.store.contact_index import ContactIndex, index_for
from upsertcore.store.fast_path import FastPath, has_fast_path
from upsertcore.store.ids import fresh_ids
from upsertcore.store.journal import Entry
from upsertcore.store.memory import MemoryStore
from upsertcore.values import list_names

__all__ = ["ContactBook"]


@final
class ContactBook(Book):
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

    __slots__ = ("_checks_ids", "_index")
    _store: MemoryStore

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
        self._index, self._checks_ids = index, ids is not None
        ids = fresh_ids() if ids is None else ids
        clock = utc_now if clock is None else clock
        limits = retain_calls, retain_changes
        store = MemoryStore(index, ids, clock, policy, *limits)
        fast_path = partial(_fast_path, index, store, self._checks_ids)
        super().__init__(policy, store, fast_path)

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


def _fast_path(
    index: ContactIndex,
    store: MemoryStore,
    checks_ids: bool,  # noqa: FBT001 - bound once
    policy: Policy,
    match: Strategy,
) -> FastPath | None:
    """Return the fast path of a policy; None where there is none."""
    # An override of an undeclared field declares it, and it has no column.
    has_columns = index.names.declared == tuple(policy.fields)
    if not (has_columns and has_fast_path(policy)):
        return None
    if policy.id_field in match.keys:
        # What carries the id takes the general path; without it, the other keys decide.
        match = without_own_id(policy.id_field, match)
        if not match.keys:
            return None
    return FastPath(policy, match, index, store, checks_ids=checks_ids)
