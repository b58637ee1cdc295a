"""
Batches: some hundred patches in one transaction, decided in memory.

Rules:
    A transaction reads every contact that its patches may match, with one statement for
    all keys; a book in memory over these contacts decides, and what it has changed is
    written.
    Where a decision has needed more than was read, it is made again with that; a few
    times, and then patch by patch.
    A batch is the left fold of its calls: what is before a refusal is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, final

from upsertcore.book.contact_book import ContactBook
from upsertcore.engine.outcomes import Outcomes
from upsertcore.engine.patch import check_scope, read_patch
from upsertcore.errors import InvalidField, Refused, with_row
from upsertcore.store.placed import changed_contacts, gained_forms, snapshot

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.matching.protocol import Strategy
    from upsertcore.policy.policy import Policy
    from upsertcore.sql.store import SqlStore
    from upsertcore.sql.transaction import Transaction
    from upsertcore.store.placed import StagedChanges

__all__ = ["CHUNK", "upsert_in_chunks"]

CHUNK = 200
"""How many patches one transaction has."""

_MAX_READS = 3
"""How often a transaction reads more for the same decisions."""

T = TypeVar("T")
Results = list[Any]
Patches = Sequence[Mapping[str, Any]]


def upsert_in_chunks(
    store: SqlStore,
    policy: Policy,
    _match: Strategy,
    patches: Iterable[Mapping[str, Any]],
    scope: str,
    by_plan: Callable[..., Outcome],
    *,
    collect: bool,
) -> Outcomes[Any]:
    """
    Upsert several patches, some hundred in each transaction.

    Args:
        store: The store.
        policy: The policy of the calls, with the strategy.
        patches: Read as they are needed.
        scope: The tenant.
        by_plan: Upserts one patch in a transaction of its own.
        collect: Whether refusals are among the results, and do not end the batch.

    Raises:
        Refused: The first refusal, unless *collect*; what is before it is written.
        Exception: What the patches or a function of the policy raise, after the same.
    """
    scope = check_scope(scope)
    results: Results = []
    rest = iter(patches)
    while True:
        chunk, end = _take(rest)
        batch = _Batch(store, policy, scope, chunk, collect=collect)
        done = store.transact(batch.run)
        if done is None:
            done = batch.fold(lambda patch: by_plan(patch, scope, None))
        found, error = done
        results += [
            with_row(one, row) if isinstance(one, Refused) else one
            for row, one in enumerate(found, len(results))
        ]
        error = error or end
        if error is not None:
            raise with_row(error, len(results), Outcomes(results))
        if len(chunk) < CHUNK:
            return Outcomes(results)


def _take(patches: Iterator[T]) -> tuple[list[T], Exception | None]:
    """Read the patches of one transaction; return what ends the batch after them."""
    chunk: list[T] = []
    try:
        chunk.extend(islice(patches, CHUNK))
    except Exception as error:  # noqa: BLE001 - raised after the rows before it
        return chunk, error
    return chunk, None


@final
class _Draws:
    """Ids or times: those that were drawn are returned again in a further attempt."""

    def __init__(self, draw: Callable[[], T]) -> None:
        self._draw, self._drawn, self._next = draw, [], 0  # type: ignore[var-annotated]

    def restart(self) -> None:
        self._next = 0

    def __call__(self) -> Any:
        if self._next == len(self._drawn):
            self._drawn.append(self._draw())
        self._next += 1
        return self._drawn[self._next - 1]


@final
class _Batch:
    """
    The patches of one transaction.

    Args:
        store: The store.
        policy: The policy of the calls.
        scope: The tenant.
        patches: The patches.
        collect: Whether a refusal does not end the batch.
    """

    def __init__(
        self,
        store: SqlStore,
        policy: Policy,
        scope: str,
        patches: Patches,
        *,
        collect: bool,
    ) -> None:
        self._store, self._policy, self._scope = store, policy, scope
        self._patches, self._collect = patches, collect
        self._ids, self._clock = _Draws(store.ids), _Draws(store.clock)
        self._wanted: dict[str, dict[str, None]] | None = None

    def fold(
        self, upsert: Callable[[Mapping[str, Any]], Outcome]
    ) -> tuple[Results, Exception | None]:
        """Upsert one patch after the other; return the results, and what ended it."""
        results: Results = []
        for patch in self._patches:
            try:
                results.append(upsert(patch))
            except Refused as refusal:
                if not self._collect:
                    return results, refusal
                results.append(refusal)
            except Exception as error:  # noqa: BLE001 - raised after the rows before it
                return results, error
        return results, None

    def run(self, transaction: Transaction) -> tuple[Results, Exception | None] | None:
        """Decide and write; None where that takes a transaction for each patch."""
        if self._wanted is None:
            self._wanted = self._read()
        forms = self._wanted
        for _ in range(_MAX_READS):
            view = transaction.renew_view()
            view.look_up(self._scope, forms)
            before = snapshot(view.index)
            found, error = self._decide(transaction)
            changes = changed_contacts(view.index, before)
            missing = self._missing(changes, forms)
            if not missing:
                if not self._may_write(transaction, changes):
                    return None
                done = [one for one in found if not isinstance(one, Refused)]
                is_refused = error is not None or len(done) < len(found)
                transaction.write_changes(changes, checks_all=is_refused)
                transaction.append([one for one in done if not one.unchanged])
                return found, error
            for key, form in missing:
                forms[key][form] = None
        return None

    def _read(self) -> dict[str, dict[str, None]]:
        """Return the forms that the patches carry, by key."""
        forms: dict[str, dict[str, None]] = {k.name: {} for k in self._policy.all_keys}
        for patch in self._patches:
            try:
                sent, _ignored = read_patch(self._policy, patch)
                for key in self._policy.all_keys:
                    forms[key.name].update(dict.fromkeys(key.forms(sent)))
            except Exception:  # noqa: BLE001, S112 - raised again at its row
                continue
        return forms

    def _decide(self, transaction: Transaction) -> tuple[Results, Exception | None]:
        """Upsert the patches into the contacts that were read."""
        self._ids.restart()
        self._clock.restart()
        draws: Any = {"ids": self._ids, "clock": self._clock}
        book = ContactBook(self._policy, index=transaction.view.index, **draws)
        return self.fold(partial(book.upsert, scope=self._scope))

    def _missing(
        self, changes: StagedChanges, known: Mapping[str, Mapping[str, None]]
    ) -> list[tuple[str, str]]:
        """Return key and form of what contacts hold now, and was not looked up."""
        return [
            (key, form)
            for was, now in changes.contacts
            if now is not None
            for key, form in gained_forms(known, was, now)
            if form not in known[key]
        ]

    def _may_write(self, transaction: Transaction, changes: StagedChanges) -> bool:
        """Return whether the database takes all contacts, and no new id is in use."""
        contacts = [now.contact for _was, now in changes.contacts if now is not None]
        try:
            for contact in contacts:
                transaction.check_storable(contact)
        except InvalidField:
            return False
        if not self._store.checks_ids:
            return True
        new = [now.contact.id for was, now in changes.contacts if now and not was]
        return not transaction.find_ids(self._scope, new)
