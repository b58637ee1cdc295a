"""
The store in a database: each verb is one transaction, or part of the caller's.

Rules:
    A transaction that was overtaken begins again, with the same id and the same time;
    after a few attempts it locks what it reads, so that it waits for its turn.
    In a transaction of the caller a verb is a savepoint, and is not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar, final

from attrs import evolve
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from upsertcore.engine.outcome import Outcome
from upsertcore.errors import ChangesNotRetained, IdempotencyKeyReused, Overtaken
from upsertcore.sql.statements import CHANGES, Statements
from upsertcore.sql.stored_text import call_text, outcome_from_text
from upsertcore.sql.transaction import (
    Lost,
    SqlHistory,
    SqlStage,
    Transaction,
)
from upsertcore.store.ids import IdInUse
from upsertcore.store.journal import Entry
from upsertcore.store.overlay import Overlay
from upsertcore.store.stamp import Stamp

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from upsertcore.engine.plan import Plan
    from upsertcore.model.view import BookView
    from upsertcore.policy.policy import Policy
    from upsertcore.sql.database import Database, Mode
    from upsertcore.sql.schema import Tables
    from upsertcore.sql.view import SqlView
    from upsertcore.store.contact_index import ContactIndex
    from upsertcore.store.idempotency import CallKey
    from upsertcore.store.transaction import (
        Decide,
        History,
        MakeRequest,
        Remainder,
        Stage,
        WriteStep,
    )

__all__ = ["SqlStore"]

T = TypeVar("T")

_OPTIMISTIC = 3
"""How many attempts of a call lock no contacts."""


@final
class SqlStore:
    """
    A store in the tables of a database.

    Args:
        engine: The engine, or the connection of a caller.
        database: Which database it is.
        tables: The tables.
        policy: The policy of the book.
        ids: Returns a fresh id at each call.
        clock: Returns an aware time.
        limits: How many calls of a scope, and how many changes, are retained.
        checks_ids: Whether a drawn id may be in use.
    """

    def __init__(
        self,
        engine: Engine | Connection,
        database: Database,
        tables: Tables,
        policy: Policy,
        ids: Callable[[], str],
        clock: Callable[[], datetime],
        limits: tuple[int, int | None],
        *,
        checks_ids: bool,
    ) -> None:
        self.engine, self.database, self.tables = engine, database, tables
        how: Any = database.insert, database.revision
        self._statements = Statements(tables, engine.dialect, *how)
        self.policy, self.ids, self.clock = policy, ids, clock
        self.limits, self.checks_ids = limits, checks_ids
        self.begin: Callable[..., Any]
        self.is_own = isinstance(engine, Engine)
        # A pool of one connection has none to spare while another one reads.
        pool = getattr(engine, "pool", None)
        self.streams = not isinstance(
            pool, (StaticPool, SingletonThreadPool, type(None))
        )
        if isinstance(engine, Engine):
            modes: tuple[Mode, ...] = ("read", "write")
            engines = {mode: database.engine(engine, mode) for mode in modes}
            self.begin = partial(self._transaction, engines)
        else:
            database.check_within(engine)
            self.begin = partial(self._savepoint, engine)

    def read(self, query: Callable[[BookView], T]) -> T:
        """Read a consistent state."""
        with self.begin("read") as transaction:
            return query(transaction.view)

    def stream(self, query: Callable[[BookView], Iterator[T]]) -> Iterator[T]:
        """Read a consistent state page by page, on a connection of its own."""
        if not self.streams:
            return iter(self.read(lambda view: [*query(view)]))
        stack = ExitStack()
        try:
            return _closing(query(stack.enter_context(self.begin("read")).view), stack)
        except BaseException:
            stack.close()
            raise

    def plan(self, make_request: MakeRequest, decide: Decide) -> Plan:
        """Decide on one state of the tables."""

        def query(view: Any) -> Plan:
            request = make_request(view)
            view.prepare([request])
            return decide(request)

        return self.read(query)

    def write(
        self,
        make_request: MakeRequest,
        decide: Decide,
        call: CallKey | None = None,
        remainder: Remainder | None = None,  # noqa: ARG002 - of a fast path
    ) -> Outcome:
        """Decide, and write the decision; a logged call is replayed instead."""
        stamp = self.stamp()

        def attempt(transaction: Transaction) -> Outcome:
            if call is not None:
                logged = transaction.logged_call(*call[:2])
                if logged is not None:
                    return _replay(call, *logged)
            request = make_request(transaction.view)
            transaction.view.prepare([request])
            view = transaction.view
            outcome, puts = self._outcome(transaction, view, decide(request), stamp)
            transaction.write([outcome], puts, call)
            return outcome

        return self.transact(attempt)

    def stamp(self) -> Stamp:
        """Return what draws the id and the time of one call."""
        return Stamp(self.ids, self.clock)

    def _outcome(
        self,
        transaction: Transaction,
        view: SqlView | Overlay,
        plan: Plan,
        stamp: Stamp,
    ) -> tuple[Outcome, list[Any]]:
        """Return the outcome of a plan, and the contact to store with its forms."""
        stamp.prepare(plan)
        outcome = stamp.outcome(plan)
        if outcome.unchanged:
            return outcome, []
        contact = outcome.contact
        transaction.check_storable(contact)
        if (
            outcome.created
            and (self.checks_ids or plan.new_id is not None)
            and view.has_id(contact.id, contact.scope)
        ):
            raise IdInUse(contact.id)
        return outcome, [(outcome.contact, plan.forms)]

    def write_all(self, run: Callable[[WriteStep], list[Outcome]]) -> list[Outcome]:
        """Write several decisions, each based on those before it, or none of them."""
        stamps: list[Stamp] = []

        def attempt(transaction: Transaction) -> list[Outcome]:
            overlay, steps = Overlay(transaction.view), count()

            def step(make_request: MakeRequest, decide: Decide) -> Outcome:
                number = next(steps)
                if number == len(stamps):
                    stamps.append(self.stamp())
                request = make_request(overlay)
                transaction.view.prepare([request])
                plan, stamp = decide(request), stamps[number]
                outcome, puts = self._outcome(transaction, overlay, plan, stamp)
                for contact, forms in puts:
                    overlay.put(contact, forms)
                return outcome

            outcomes = run(step)
            transaction.write(outcomes, overlay.puts)
            return outcomes

        return self.transact(attempt)

    def apply(self, plan: Plan) -> Outcome:
        """Write what a plan says, if nothing that it read has changed."""
        stamp, expects = self.stamp(), plan.expects

        def attempt(transaction: Transaction) -> Outcome:
            view = transaction.view
            forms: dict[str, list[str]] = {key: [] for key in view.keys}
            for key, form, _ids in expects.keys:
                forms.get(key, []).append(form)
            view.look_up(plan.scope, forms)
            view.load(plan.scope, expects.versions)
            plan.check_not_stale(view)
            outcome, puts = self._outcome(transaction, view, plan, stamp)
            transaction.write([outcome], puts)
            return outcome

        return self.transact(attempt)

    def change(self, edit: Callable[[Stage], Outcome]) -> Outcome:
        """Write what a function stages."""

        def attempt(transaction: Transaction) -> Outcome:
            stage = SqlStage(transaction.view)
            outcome = edit(stage)
            if not outcome.unchanged:
                transaction.write_stage(stage)
                transaction.append([outcome])
            return outcome

        return self.transact(attempt)

    def time(self) -> datetime:
        """Return the time by the application's clock."""
        return self.stamp().time()

    def purge(self, edit: Callable[[Stage, History], int]) -> int:
        """Write what a function stages and replaces; the journal gets no entry."""

        def attempt(transaction: Transaction) -> int:
            stage = SqlStage(transaction.view)
            return edit(stage, SqlHistory(transaction, stage, self.policy))

        return self.transact(attempt)

    def changes_since(self, number: int) -> tuple[Entry, ...]:
        """Return the retained changes after a number."""
        limit, changes, state = self.limits[1], self.tables.changes, self.tables.state
        with self.begin("read") as transaction:
            execute = transaction.view.connection.execute
            sql: Any = select(state.c.number).where(state.c.name == CHANGES)
            last = execute(sql).scalar() or 0
            if limit == 0:
                # Nothing is counted, so that no write waits for another one's number.
                last = int(len(transaction.view) > 0)
            trimmed = last if limit == 0 else 0 if limit is None else last - limit
            sql = select(changes.c.number, changes.c.outcome).where(
                changes.c.number > max(number, trimmed)
            )
            # One statement, for others may trim meanwhile.
            rows = execute(sql.order_by(changes.c.number)).all()
        oldest = rows[0].number if rows else last + 1
        if max(number, 0) + 1 < oldest:
            raise ChangesNotRetained(number, oldest, limit != 0)
        return tuple([Entry(n, self._retained(text)) for n, text in rows])

    def _retained(self, text: str | None) -> Outcome | None:
        return None if text is None else outcome_from_text(text, self.policy)

    def fill(self, index: ContactIndex) -> None:
        """
        Write all contacts of an index into tables without any.

        Raises:
            ValueError: If there are contacts.
        """

        def attempt(transaction: Transaction) -> None:
            if len(transaction.view):
                advice = "pass tables of another prefix, or purge the contacts"
                raise ValueError(f"tables: must have no contacts; {advice}")
            transaction.fill(index)

        self.transact(attempt)

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """
        Do work in a writing transaction, again where another one was first.

        Raises:
            Overtaken: If it was overtaken each time, or within the caller's
                transaction, which has to begin again.
        """
        last: Exception | None = None
        attempts = self.database.attempts if self.is_own else 1
        for attempt in range(attempts):
            try:
                with self.begin("write", locks_rows=attempt >= _OPTIMISTIC) as begun:
                    return _checked(work, begun)
            except (Lost, DBAPIError) as error:
                is_lost = isinstance(error, Lost) or self.database.is_overtaken(error)
                if not is_lost:
                    raise
                last = error
        reason = str(getattr(last, "orig", None) or "a contact has changed")
        raise Overtaken(reason.split("\n", 1)[0]) from last

    @contextmanager
    def _transaction(
        self, engines: dict[Mode, Engine], mode: Mode, *, locks_rows: bool = False
    ) -> Iterator[Transaction]:
        with engines[mode].connect() as connection:
            self.database.begin(connection, mode)
            yield self._on(connection, mode, locks_rows=locks_rows)
            connection.commit()

    @contextmanager
    def _savepoint(
        self, connection: Connection, mode: Mode, *, locks_rows: bool = False
    ) -> Iterator[Transaction]:
        with connection.begin_nested():
            yield self._on(connection, mode, locks_rows=locks_rows)

    def _on(
        self, connection: Connection, mode: Mode, *, locks_rows: bool
    ) -> Transaction:
        how: Any = {"locks": mode == "write", "locks_rows": locks_rows}
        parts = self.database, self._statements, self.policy, self.limits
        return Transaction(connection, *parts, **how)


def _checked(work: Callable[[Transaction], T], transaction: Transaction) -> T:
    """Do work; raise what it raises only if what it has read still holds."""
    try:
        return work(transaction)
    except (Lost, DBAPIError):
        raise
    except Exception:
        transaction.check_revisions()
        raise


def _closing(items: Iterator[T], stack: ExitStack) -> Iterator[T]:
    """Yield items; close what they are read from at the end."""
    with stack:
        yield from items


def _replay(call: CallKey, text: str, outcome: Outcome) -> Outcome:
    """Return the outcome of the same call again; refuse another call."""
    if text != call_text(call):
        raise IdempotencyKeyReused(call[1])
    return evolve(outcome, replayed=True)
