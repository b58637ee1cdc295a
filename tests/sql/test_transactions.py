"""A book within a transaction of the caller: all together, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, MetaData, Table, event, select, text
from sqlalchemy.pool import QueuePool

from tests.sql.checking import check_tables
from tests.sql.interleaving import meanwhile, when_waiting
from tests.sql.places import Place
from upsertcore import Policy, errors, field, first_match, normalize
from upsertcore.sql import SqlBook

if TYPE_CHECKING:
    from sqlalchemy import Engine

POLICY = Policy(
    first_match("email", "phone"),
    {
        "email": field(key=normalize.email),
        "phone": field(key=normalize.exact),
        "name": field(),
        "age": field(),
    },
)
ADA = {"email": "ada@x.org"}


@pytest.fixture
def book(place: Place) -> SqlBook:
    """Return a book, beside a table of the caller."""
    made = place.new_book(POLICY, retain_changes=None)
    orders(place).create(made._store.engine)
    return made


def orders(place: Place) -> Table:
    """Return the table of the caller."""
    return place.orders(MetaData())


@contextmanager
def begun(engine: Engine, how: str = "IMMEDIATE") -> Iterator[Connection]:
    """Begin a transaction, which is rolled back unless it is committed."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql(f"BEGIN {how}")
        yield connection


def rows(engine: Engine, table: Table) -> list[Any]:
    with engine.connect() as connection:
        return [*connection.execute(select(table.c.contact)).scalars()]


class TestTogether:
    """Contacts are committed and rolled back with the rows of the caller."""

    def test_commit_writes_both(self, place: Place, book: SqlBook) -> None:
        engine, table = book._store.engine, orders(place)
        with begun(engine) as connection:
            outcome = book.within(connection).upsert(ADA)
            connection.execute(table.insert(), {"contact": outcome.contact.id})
            connection.commit()

        assert rows(engine, table) == [contact.id for contact in book]
        check_tables(book)

    def test_rollback_writes_neither(self, place: Place, book: SqlBook) -> None:
        engine, table = book._store.engine, orders(place)
        with begun(engine) as connection:
            within = book.within(connection)
            outcome = within.upsert(ADA, idempotency_key="k-1")
            assert within.get(outcome.contact.id) == outcome.contact
            connection.execute(table.insert(), {"contact": outcome.contact.id})
            connection.rollback()

        assert (rows(engine, table), len(book), book.changes_since()) == ([], 0, ())
        assert not book.upsert(ADA, idempotency_key="k-1").replayed
        check_tables(book)

    def test_exception_writes_neither(self, place: Place, book: SqlBook) -> None:
        engine, table = book._store.engine, orders(place)

        def serve() -> None:
            with begun(engine) as connection:
                outcome = book.within(connection).upsert(ADA)
                connection.execute(table.insert(), {"contact": outcome.contact.id})
                raise OSError

        with pytest.raises(OSError):
            serve()
        assert (rows(engine, table), len(book)) == ([], 0)

    def test_several_verbs_are_one_transaction(self, book: SqlBook) -> None:
        """Others see nothing of them before the commit."""
        engine = book._store.engine
        with begun(engine) as connection:
            within = book.within(connection)
            ada = within.upsert(ADA).contact.id
            bob, cy = within.upsert_many([{"phone": "1"}, {"email": "cy@x.org"}])
            merged = within.merge(ada, bob.contact.id)
            within.undo(merged)
            within.delete(cy.contact.id)
            within.merge(ada, bob.contact.id, patch={"name": "Ada"})
            assert [contact.id for contact in within] == [ada]
            assert len(book) == 0
            connection.commit()

        assert [dict(contact.fields) for contact in book] == [
            {**ADA, "phone": "1", "name": "Ada"}
        ]
        assert [entry.number for entry in book.changes_since()] == [*range(1, 8)]
        check_tables(book)

    def test_refused_verb_leaves_the_transaction_usable(
        self, place: Place, book: SqlBook
    ) -> None:
        engine, table = book._store.engine, orders(place)
        with begun(engine) as connection:
            within = book.within(connection)
            outcome = within.upsert(ADA)
            connection.execute(table.insert(), {"contact": outcome.contact.id})
            with pytest.raises(errors.NoMatchKey):
                within.upsert({"name": "Ada"})
            with pytest.raises(errors.NoMatchKey):
                within.upsert_many([{"email": "bob@x.org"}, {}], atomic=True)
            with pytest.raises(errors.UnknownContact):
                within.delete("c-9")
            with pytest.raises(errors.NoMatchKey):
                within.upsert_many([{"email": "cy@x.org"}, {}])
            within.upsert(ADA | {"age": 3})
            connection.commit()

        assert rows(engine, table) == [outcome.contact.id]
        assert [contact["email"] for contact in book] == ["ada@x.org", "cy@x.org"]
        check_tables(book)

    def test_error_of_a_host_function_rolls_back_its_verb(self, place: Place) -> None:
        times = iter([None])

        def clock() -> Any:
            next(times)
            raise OSError

        book = place.new_book(POLICY, clock=clock)
        with begun(book._store.engine) as connection:
            with pytest.raises(OSError):
                book.within(connection).upsert(ADA)
            connection.commit()
        assert len(book) == 0

    def test_savepoint_of_the_caller_takes_the_verb_back(self, book: SqlBook) -> None:
        with begun(book._store.engine) as connection:
            within = book.within(connection)
            within.upsert(ADA)
            savepoint = connection.begin_nested()
            within.upsert({"email": "bob@x.org"})
            savepoint.rollback()
            within.upsert({"email": "cy@x.org"})
            connection.commit()

        assert [contact["email"] for contact in book] == ["ada@x.org", "cy@x.org"]
        assert [entry.number for entry in book.changes_since()] == [1, 2]
        check_tables(book)

    def test_book_made_of_a_connection_makes_tables_in_its_transaction(
        self, place: Place
    ) -> None:
        with begun(place.engine()) as connection:
            within = SqlBook(connection, POLICY, tables=place.tables)
            within.create_tables()
            assert within.upsert(ADA).created
            connection.commit()
        assert len(place.book(POLICY)) == 1


class TestRefused:
    """A transaction in which a book cannot be right is refused."""

    def test_sqlite_that_has_not_begun(self, sqlite: Place) -> None:
        book = sqlite.new_book(POLICY)
        with (
            book._store.engine.connect() as connection,
            connection.begin(),
            pytest.raises(ValueError, match="must have begun") as caught,
        ):
            book.within(connection)
        assert 'first call connection.exec_driver_sql("BEGIN IMMEDIATE")' in str(
            caught.value
        )

    @pytest.mark.full
    @pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE", "AUTOCOMMIT"])
    def test_postgresql_that_is_not_read_committed(
        self, postgres: Place, level: Any
    ) -> None:
        book = postgres.new_book(POLICY)
        with (
            postgres.engine(isolation_level=level).connect() as connection,
            pytest.raises(ValueError, match=f"READ COMMITTED, not {level}"),
        ):
            book.within(connection)

    @pytest.mark.full
    def test_postgresql_that_the_caller_has_set_by_a_statement(
        self, postgres: Place
    ) -> None:
        book = postgres.new_book(POLICY)
        with postgres.engine().connect() as connection:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
            with pytest.raises(ValueError, match="not SERIALIZABLE"):
                book.within(connection)

    @pytest.mark.full
    def test_book_of_its_own_transactions_ignores_the_level_of_the_engine(
        self, postgres: Place
    ) -> None:
        postgres.new_book(POLICY)
        for level in ("SERIALIZABLE", "AUTOCOMMIT"):
            engine = postgres.engine(isolation_level=level)
            book = SqlBook(engine, POLICY, tables=postgres.tables)
            with meanwhile(
                engine,
                "SELECT pg_advisory",
                lambda: postgres.book(POLICY).upsert({"email": "bob@x.org"}),
            ):
                book.upsert({"email": "bob@x.org", "name": level})
            assert len(book) == 1


class TestOvertaken:
    """A verb that another transaction has overtaken says so."""

    def test_deferred_sqlite_that_was_overtaken(self, sqlite: Place) -> None:
        book, other = sqlite.new_book(POLICY), sqlite.book(POLICY)
        with begun(book._store.engine, "DEFERRED") as connection:
            within = book.within(connection)
            assert len(within) == 0
            other.upsert(ADA)
            with pytest.raises(errors.Overtaken) as caught:
                within.upsert(ADA | {"age": 3})
            connection.rollback()
        assert str(caught.value) == (
            "transaction: database is locked; roll it back, and begin again"
        )
        with begun(book._store.engine, "DEFERRED") as connection:
            assert book.within(connection).upsert(ADA | {"age": 3}).result == "updated"
            connection.commit()
        check_tables(book)

    def test_sqlite_within_has_the_lock_until_the_commit(self, sqlite: Place) -> None:
        book = sqlite.new_book(POLICY)
        impatient = sqlite.engine(connect_args={"timeout": 0})
        other = SqlBook(impatient, POLICY, tables=sqlite.tables)
        with begun(book._store.engine) as connection:
            book.within(connection).upsert(ADA)
            with pytest.raises(errors.Overtaken, match="database is locked"):
                other.upsert(ADA)
            connection.commit()
        assert other.upsert(ADA).unchanged

    @pytest.mark.full
    def test_deadlock_in_postgresql(self, postgres: Place) -> None:
        """One of the two has to begin again, and its transaction is usable."""
        book = postgres.new_book(POLICY)
        engine = postgres.engine(poolclass=QueuePool)
        results: list[Any] = []

        def second(connection: Connection) -> None:
            try:
                results.append(book.within(connection).upsert(ADA).result)
            except errors.Overtaken as error:
                results.append(error)
                connection.execute(text("SELECT 1"))
            connection.commit()

        with engine.connect() as one, engine.connect() as other:
            book.within(one).upsert(ADA)
            book.within(other).upsert({"phone": "1"})
            thread = Thread(target=second, args=(other,))
            driver: Any = other.connection.driver_connection
            waiting = when_waiting(
                postgres.engine(), driver.info.backend_pid, lambda: None
            )
            thread.start()
            waiting.join()
            try:
                results.append(book.within(one).upsert({"phone": "1"}).result)
            except errors.Overtaken as error:
                results.append(error)
            one.commit()
            thread.join()
        engine.dispose()

        lost = [each for each in results if isinstance(each, errors.Overtaken)]
        assert len(results) == 2
        assert [str(each).split(";")[0] for each in lost] == [
            "transaction: deadlock detected"
        ]
        check_tables(book)

    @pytest.mark.full
    def test_contact_changed_since_it_was_read(self, postgres: Place) -> None:
        book = postgres.new_book(POLICY)
        ada = book.upsert(ADA | {"phone": "1"}).contact.id
        engine, name = postgres.engine(), postgres.tables.contacts.name
        with engine.connect() as connection:
            within = book.within(connection)
            with (
                meanwhile(
                    engine, f"UPDATE {name}", lambda: book.update(ada, {"age": 1})
                ),
                pytest.raises(errors.Overtaken, match="a contact has changed"),
            ):
                within.upsert(ADA | {"name": "Ada"})
            assert within.upsert(ADA | {"name": "Ada"}).contact["age"] == 1
            connection.commit()
        check_tables(book)


@pytest.mark.full
class TestReadCommitted:
    """What one statement has read, another transaction changes before the next."""

    def test_version_that_an_undo_gives_again_is_noticed(self, postgres: Place) -> None:
        """No update is lost."""
        book = postgres.new_book(POLICY)
        book.upsert(ADA | {"phone": "1"})
        second = book.upsert(ADA | {"age": 1})

        def undo_and_update() -> None:
            book.undo(second)
            book.upsert({"phone": "1", "age": 5})

        engine, name = book._store.engine, postgres.tables.contacts.name
        with meanwhile(engine, f"UPDATE {name}", undo_and_update):
            outcome = book.upsert(ADA | {"name": "Ada"})

        assert dict(outcome.contact.fields) == {
            **ADA,
            "phone": "1",
            "name": "Ada",
            "age": 5,
        }

    def test_call_that_is_overtaken_again_and_again_waits_for_its_turn(
        self, postgres: Place
    ) -> None:
        """After three attempts it locks what it reads."""
        book = postgres.new_book(POLICY)
        ada = book.upsert(ADA).contact.id
        engine, name = book._store.engine, postgres.tables.contacts.name
        holding = postgres.engine().connect()
        numbers, waiting = count(1), list[Thread]()

        def update() -> None:
            book.update(ada, {"age": next(numbers)})

        def hold(connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if statement.endswith("FOR UPDATE") and not waiting:
                book.within(holding).update(ada, {"age": 9})
                pid = connection.connection.driver_connection.info.backend_pid
                watcher = postgres.engine()
                waiting.append(when_waiting(watcher, pid, holding.commit))

        event.listen(engine, "before_cursor_execute", hold)
        with meanwhile(engine, f"UPDATE {name}", update, times=3):
            outcome = book.upsert(ADA | {"name": "Ada"})
        event.remove(engine, "before_cursor_execute", hold)
        waiting[0].join()
        holding.close()

        assert dict(outcome.contact.fields) == {**ADA, "age": 9, "name": "Ada"}
        assert outcome.contact.version == 6
        check_tables(book)

    @pytest.mark.parametrize("verb", ["merge", "undo"])
    def test_form_that_another_contact_is_about_to_gain_is_waited_for(
        self, postgres: Place, verb: str
    ) -> None:
        book = postgres.new_book(POLICY)
        one = book.upsert({"phone": "1"}).contact.id
        ada = book.upsert(ADA).contact.id
        moved = book.upsert({"phone": "1", "name": "Bob"})
        gained = ADA if verb == "merge" else {"phone": "2"}
        if verb == "undo":
            book.update(ada, {"phone": "2"})
            moved = book.update(ada, {"phone": "3"})
        other = postgres.engine(poolclass=QueuePool, pool_size=1)
        with other.connect() as connection:
            driver: Any = connection.connection.driver_connection
            pid = driver.info.backend_pid
        with closing(postgres.engine().connect()) as connection:
            within = book.within(connection)
            within.merge(one, ada) if verb == "merge" else within.undo(moved)
            waiting = when_waiting(postgres.engine(), pid, connection.commit)
            second = SqlBook(other, POLICY, tables=postgres.tables)
            outcome = second.upsert(gained | {"name": "Ada"})
            waiting.join()
        other.dispose()

        assert outcome.result == "updated"
        assert outcome.contact.id == (one if verb == "merge" else ada)
        check_tables(book)

    def test_change_that_mentions_a_purged_contact_is_purged_too(
        self, postgres: Place
    ) -> None:
        book = postgres.new_book(POLICY, retain_changes=None)
        ada = book.upsert({"phone": "1", "name": "Ada"}).contact.id
        book.upsert({"email": "bob@x.org"})

        def mention() -> None:
            outcome = book.upsert({"email": "bob@x.org", "phone": "1"})
            assert outcome.also_matched == (ada,)

        engine, name = book._store.engine, postgres.tables.forms.name
        with meanwhile(engine, f"DELETE FROM {name}", mention):  # noqa: S608
            book.purge(ada)

        assert not any(ada in repr(entry) for entry in book.changes_since())
        check_tables(book)

    def test_call_that_changes_nothing_is_not_logged_after_a_purge(
        self, postgres: Place
    ) -> None:
        book = postgres.new_book(POLICY)
        ada = book.upsert(ADA).contact.id
        engine, calls = book._store.engine, postgres.tables.calls
        purged: list[Any] = []
        name = f"{postgres.tables.contacts.name}.place"

        def purge() -> None:
            purged.append(book.purge(ada))

        statement = "SELECT " + name + " \nFROM"
        with meanwhile(engine, statement, purge):
            outcome = book.upsert(ADA, idempotency_key="k-1")

        assert purged
        assert outcome.created
        with engine.connect() as connection:
            (stored,) = connection.execute(select(calls.c.outcome)).scalars()
        assert ada not in stored

    def test_contacts_that_are_merged_meanwhile_are_no_group(
        self, postgres: Place
    ) -> None:
        book = postgres.new_book(POLICY)
        ids = [book.create(ADA).contact.id for _ in range(2)]
        engine, name = postgres.engine(), postgres.tables.contacts.name
        with engine.connect() as connection:
            within = book.within(connection)
            with meanwhile(engine, f"SELECT {name}.place", lambda: book.merge(*ids)):
                assert within.duplicates() == ()

    def test_contact_that_an_undo_restores_meanwhile_is_found(
        self, postgres: Place
    ) -> None:
        book = postgres.new_book(POLICY)
        ada, bob = [book.create({"phone": n}).contact.id for n in "12"]
        merged = book.merge(ada, bob)
        engine, name = book._store.engine, postgres.tables.redirects.name
        undoing: list[Thread] = []

        def undo() -> None:
            undoing.append(Thread(target=refuse))
            undoing[0].start()

        def refuse() -> None:
            with pytest.raises(errors.StaleOutcome):
                book.undo(merged)

        with meanwhile(engine, f"SELECT {name}.id", undo):
            outcome = book.update(bob, {"name": "Bob"})
        undoing[0].join()
        assert outcome.contact["name"] == "Bob"
        check_tables(book)


CREATED: list[Callable[[SqlBook], Any]] = [
    lambda book: book.upsert({"email": "Ada@X.org", "name": "other"}),
    lambda book: book.upsert_many([{"phone": "2"}, {"email": "ada@x.org"}]),
    lambda book: book.upsert_many([{"email": "ada@x.org"}] * 2, atomic=True),
]


@pytest.mark.full
@pytest.mark.parametrize("call", CREATED, ids=["single", "batch", "atomic"])
def test_second_sender_of_a_new_person_waits_for_the_first(
    postgres: Place, call: Callable[[SqlBook], Any]
) -> None:
    """Until the first commits; if it rolls back, the second one creates."""
    for ends in ("commit", "rollback"):
        book = postgres.new_book(POLICY)
        other = postgres.engine(poolclass=QueuePool, pool_size=1)
        with other.connect() as connection:
            driver: Any = connection.connection.driver_connection
            pid = driver.info.backend_pid
        second = SqlBook(other, POLICY, tables=postgres.tables)
        with closing(postgres.engine().connect()) as connection:
            book.within(connection).upsert(ADA)
            thread = Thread(target=call, args=(second,))
            waiting = when_waiting(postgres.engine(), pid, getattr(connection, ends))
            thread.start()
            waiting.join()
            thread.join()
        assert len(book.find("email", "ada@x.org")) == 1
        check_tables(book)
        other.dispose()
