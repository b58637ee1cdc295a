"""The book in a database: its arguments, what it refuses, and less common calls."""

from __future__ import annotations

import importlib.util
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

import upsertcore.sql
from tests.sql.checking import check_tables
from tests.sql.interleaving import meanwhile
from upsertcore import (
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.rules import keep
from upsertcore.sql import SqlBook

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sql.places import Place

POLICY = Policy(
    first_match("email", "phone"),
    {
        "email": field(key=normalize.email, unique=True),
        "phone": field(key=normalize.exact),
        "name": field(),
    },
)
PERSON = Policy(
    merge_all("email", "person"),
    {"email": field(key=normalize.email), "first": field(), "born": field()},
    keys={"person": key("first", "born", normalize=normalize.exact)},
)
ADA = {"email": "ada@x.org"}


def test_key_that_may_be_in_use_is_held_by_two_contacts(place: Place) -> None:
    email = field(key=normalize.email, unique=True)
    policy = Policy(first_match("email"), {"email": email}, on_key_in_use="allow")
    book = place.new_book(policy)
    first, second = book.create(ADA), book.create(ADA)

    assert second.also_matched == (first.contact.id,)
    assert len(book) == 2


def test_package_without_sqlalchemy_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    spec = importlib.util.spec_from_file_location("again", upsertcore.sql.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'upsertcore\[sql\]'"):
        spec.loader.exec_module(module)


def test_engine_of_another_database_is_refused() -> None:
    engine = create_engine("mysql+pymysql://", module=sqlite3)
    with pytest.raises(
        ValueError, match=r"SQLite, or PostgreSQL by psycopg, not mysql"
    ):
        SqlBook(engine, POLICY)


class TestTables:
    """Tables are made once, for the keys of one policy."""

    def test_tables_may_be_created_again(self, place: Place) -> None:
        book = place.new_book(POLICY)
        book.create_tables()
        assert book.upsert(ADA).created

    def test_tables_of_other_keys_are_refused(self, place: Place) -> None:
        place.new_book(POLICY)
        with pytest.raises(ValueError, match="has other keys than the tables"):
            place.book(PERSON).create_tables()

    def test_database_that_stays_locked_is_an_error(
        self, sqlite: Place, tmp_path: Path
    ) -> None:
        impatient = sqlite.engine(connect_args={"timeout": 0})
        book = SqlBook(impatient, POLICY, tables=sqlite.tables)
        with closing(sqlite3.connect(tmp_path / "book.db")) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            with pytest.raises(OperationalError, match="database is locked"):
                book.create_tables()

    def test_transactions_that_the_engine_begins_are_replaced(
        self, sqlite: Place
    ) -> None:
        """As SQLAlchemy's documentation shows for SQLite."""
        engine = sqlite.engine()

        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN")

        event.listen(engine, "begin", begin)
        book = SqlBook(engine, POLICY, tables=sqlite.tables)
        book.create_tables()
        assert book.upsert(ADA).created
        assert book.upsert(ADA).unchanged

    def test_form_that_another_writer_has_added_is_an_error(self, place: Place) -> None:
        """The primary key holds, whatever else writes to the table."""
        book = place.new_book(POLICY)
        row = {"scope": "", "key": "email", "form": "ada@x.org", "slot": 0}
        with place.engine().begin() as connection:
            connection.execute(place.tables.forms.insert(), row | {"contact": 99})
        with pytest.raises(errors.Overtaken):
            book.upsert(ADA)
        assert len(book) == 0

    def test_missing_tables_are_the_error_of_the_database(self, place: Place) -> None:
        with pytest.raises(Exception, match=place.tables.contacts.name):
            place.book(POLICY).upsert(ADA)


class TestLoad:
    """Rows and changes of another book fill empty tables."""

    def test_loaded_book_equals_the_dumped_one(self, place: Place) -> None:
        source = ContactBook(POLICY)
        one, other = [source.create({"name": n}).contact.id for n in ("a", "b")]
        source.merge(one, other)
        source.upsert_many([{"phone": str(n)} for n in range(1_200)])
        place.drop()
        engine, how = place.engine(), {"tables": place.tables}
        book = SqlBook.load(engine, POLICY, source.dump(), **how)  # type: ignore[arg-type]

        assert book.dump() == source.dump()
        assert book.get(other).id == one
        assert book.upsert({"phone": "7"}).unchanged
        assert book.upsert({"phone": "new"}).created
        check_tables(book)
        book.delete(one)
        check_tables(book)
        with pytest.raises(ValueError, match="must have no contacts"):
            SqlBook.load(engine, POLICY, source.dump(), **how)  # type: ignore[arg-type]

    def test_replayed_changes_are_the_book(self, place: Place) -> None:
        source = ContactBook(POLICY, retain_changes=None)
        one, other = [source.create({"name": n}).contact.id for n in ("a", "b")]
        merged = source.merge(one, other)
        place.drop()
        book = SqlBook.from_changes(
            place.engine(), POLICY, source.changes_since(), tables=place.tables
        )

        assert book.dump() == source.dump()
        assert book.undo(merged).result == "undone"
        assert len(book) == 2
        check_tables(book)

    def test_no_rows_make_an_empty_book(self, place: Place) -> None:
        place.drop()
        book = SqlBook.load(place.engine(), POLICY, [], tables=place.tables)
        assert len(book) == 0

    def test_compare_changes_nothing(self, place: Place) -> None:
        book = place.new_book(POLICY)
        book.upsert(ADA | {"name": "Ada"})
        fields = {**POLICY.fields, "name": field(rule=keep)}
        other = Policy(first_match("email", "phone"), fields)
        patches = [ADA | {"name": "Bob"}]
        twin = ContactBook.load(POLICY, book.dump())
        assert repr(book.compare(other, patches)) == repr(twin.compare(other, patches))
        assert book.dump() == twin.dump()


class TestIds:
    """An id is drawn once for a call, and none is given twice."""

    def test_id_in_use_is_an_error(self, place: Place) -> None:
        book = place.new_book(POLICY, ids=lambda: "c-1")
        book.upsert(ADA)
        for call in (
            lambda: book.upsert({"phone": "1"}),
            lambda: book.upsert_many([{"phone": "1"}]),
            lambda: book.upsert_many([{"phone": "1"}], atomic=True),
        ):
            with pytest.raises(ValueError, match="must return a new id"):
                call()
        assert len(book) == 1

    @pytest.mark.parametrize("atomic", [False, True])
    def test_id_drawn_twice_in_a_batch_is_an_error(
        self, place: Place, *, atomic: bool
    ) -> None:
        """The first contact is not replaced."""
        book = place.new_book(POLICY, ids=lambda: "c-1")
        with pytest.raises(ValueError, match="must return a new id"):
            book.upsert_many([ADA, {"phone": "1"}], atomic=atomic)
        assert [dict(one.fields) for one in book] == ([] if atomic else [ADA])
        check_tables(book)

    def test_repeated_decision_draws_nothing_again(self, place: Place) -> None:
        """A batch decides again when it has read more."""
        drawn: list[str] = []
        numbers = count(1)

        def ids() -> str:
            drawn.append(f"c-{next(numbers)}")
            return drawn[-1]

        book = place.new_book(PERSON, ids=ids)
        book.upsert(ADA | {"first": "Ada"})
        book.create({"first": "Ada", "born": 1815})
        new = {"email": "new@x.org", "first": "Bob"}
        outcomes = book.upsert_many([new, ADA | {"born": 1815}])
        assert [outcome.result for outcome in outcomes] == ["created", "updated"]
        assert drawn == ["c-1", "c-2", "c-3"]
        check_tables(book)


class TestBatches:
    """What is before a refusal or an error is written."""

    def test_refusal_ends_the_batch(self, place: Place) -> None:
        book = place.new_book(POLICY)
        with pytest.raises(errors.NoMatchKey) as caught:
            book.upsert_many([ADA, {"name": "x"}, {"phone": "1"}])
        assert (caught.value.row, len(caught.value.outcomes), len(book)) == (1, 1, 1)

    def test_collected_refusals_are_results(self, place: Place) -> None:
        book = place.new_book(POLICY)
        patches: list[Any] = [ADA, {"name": "x"}, {"unknown": 1}, {"phone": "1"}]
        outcomes = book.upsert_many(patches * 60, on_refused="collect")
        refused = [one for one in outcomes if isinstance(one, errors.Refused)]
        assert [one.row for one in refused][:4] == [1, 2, 5, 6]
        assert (len(outcomes), len(refused), len(book)) == (240, 120, 2)
        check_tables(book)

    def test_error_of_the_patches_is_raised_after_those_before_it(
        self, place: Place
    ) -> None:
        def patches() -> Iterator[dict[str, Any]]:
            yield ADA
            raise OSError

        book = place.new_book(POLICY)
        with pytest.raises(OSError) as caught:
            book.upsert_many(patches())
        assert (caught.value.row, len(book)) == (1, 1)  # type: ignore[attr-defined]

    def test_error_of_a_host_function_is_raised_after_those_before_it(
        self, place: Place
    ) -> None:
        ids = iter(["c-1"]).__next__
        book = place.new_book(POLICY, ids=ids)
        with pytest.raises(StopIteration):
            book.upsert_many([ADA, {"phone": "1"}])
        assert len(book) == 1

    def test_chain_of_composite_keys_is_decided_patch_by_patch(
        self, place: Place
    ) -> None:
        """Each patch makes a key that the contact of the next one holds."""
        book, twin = place.new_book(PERSON), ContactBook(PERSON)
        names = [f"n{n}" for n in range(8)]
        for each in (book, twin):
            for n, name in enumerate(names):
                each.create({"email": f"{n}@x.org", "first": name})
                each.create({"first": name, "born": 1, "email": f"{n + 1}@y.org"})
            patches = [{"email": f"{n}@x.org", "born": 1} for n in range(8)]
            patches += [{"email": f"{n}@y.org", "first": "n0"} for n in range(8)]
            each.upsert_many(patches)
        assert len(book) == len(twin)
        assert [dict(one.fields) for one in book] == [dict(one.fields) for one in twin]
        check_tables(book)

    def test_decision_that_reads_on_and_on_is_made_patch_by_patch(
        self, place: Place
    ) -> None:
        """Each reading finds a holder of a unique key, so another key is gained."""
        fields = dict(PERSON.fields)
        person = key("first", "born", normalize=normalize.exact, unique=True)
        how: Any = {"keys": {"person": person}, "on_key_in_use": "withhold"}
        policy = Policy(first_match("email", "person"), fields, **how)
        book, twin = place.new_book(policy), ContactBook(policy)
        results = []
        for each in (book, twin):
            each.create(ADA | {"first": "n0"})
            for n in range(5):
                each.create({"first": f"n{n}", "born": 1})
            patches = [ADA | {"first": f"n{n}"} for n in range(1, 5)]
            outcomes = each.upsert_many([ADA | {"born": 1}, *patches])
            results.append([one.result for one in outcomes])
        assert results[0] == results[1]
        assert [dict(one.fields) for one in book] == [dict(one.fields) for one in twin]
        check_tables(book)

    def test_scope_that_is_too_long_ends_the_batch(self, place: Place) -> None:
        book = place.new_book(POLICY)
        with pytest.raises(errors.InvalidField, match="at most 1000 bytes") as caught:
            book.upsert_many([ADA], scope="x" * 2_000)
        assert (caught.value.row, len(book)) == (0, 0)

    @pytest.mark.full
    @pytest.mark.parametrize("atomic", [False, True])
    def test_overtaken_batch_decides_again(
        self, postgres: Place, *, atomic: bool
    ) -> None:
        """With the same ids."""
        ids = map("c-{}".format, count(1)).__next__
        book = postgres.new_book(POLICY, ids=ids)
        ada = book.upsert(ADA).contact.id
        engine, name = book._store.engine, postgres.tables.contacts.name
        patches = [{"phone": "1"}, ADA | {"name": "Ada"}]
        with meanwhile(
            engine, f"UPDATE {name}", lambda: book.update(ada, {"phone": "2"})
        ):
            outcomes = book.upsert_many(patches, atomic=atomic)
        assert [outcome.contact.id for outcome in outcomes] == ["c-2", "c-1"]
        assert book.get(ada)["phone"] == "2"
        check_tables(book)

    def test_atomic_batch_about_one_new_contact(self, place: Place) -> None:
        book = place.new_book(POLICY)
        first, second = book.upsert_many([ADA, ADA], atomic=True)
        assert (first.result, second.result) == ("created", "unchanged")


def test_options_of_a_call_with_an_idempotency_key_identify_it(place: Place) -> None:
    book = place.new_book(POLICY)
    how: Any = {"idempotency_key": "k", "rules": {"name": keep}, "null": "clear"}
    assert book.upsert(ADA, **how).created
    assert place.book(POLICY).upsert(ADA, **how).replayed
    with pytest.raises(errors.IdempotencyKeyReused):
        book.upsert(ADA, **{**how, "rules": None})
    assert book.update(
        book.find("email", "ada@x.org")[0].id, ADA, **{**how, "idempotency_key": "k2"}
    ).unchanged


def test_contact_that_is_kept_is_deleted_once(place: Place) -> None:
    policy = Policy(first_match("email"), dict(POLICY.fields), on_deleted="restore")
    book = place.new_book(policy, retain_changes=None)
    ada = book.upsert(ADA).contact.id
    assert book.delete(ada) == book.delete(ada)
    assert len(book.changes_since()) == 2


def test_many_forms_are_looked_up_in_parts(place: Place) -> None:
    book = place.new_book(POLICY)
    phones = [str(n) for n in range(5_100)]
    ada = book.upsert({"phone": phones}).contact.id
    assert book.upsert({"phone": phones[::-1]}).contact.id == ada
    check_tables(book)


def test_look_ups_of_many_shapes_are_right() -> None:
    """Of which some hundred are kept compiled."""
    names = [f"k{n}" for n in range(10)]
    fields = {name: field(key=normalize.exact) for name in names}
    engine = create_engine("sqlite://", poolclass=StaticPool)
    book = SqlBook(engine, Policy(first_match(*names), fields))
    book.create_tables()
    book.create({"k0": "x"})
    for n in range(0, 2**10, 2):
        sent = {
            name: "x" if name == "k0" else ["a", "b"] if n >> m & 1 else "a"
            for m, name in enumerate(names)
        }
        assert book.plan(sent).before is not None
    engine.dispose()


def test_page_begins_after_a_known_contact(place: Place) -> None:
    book = place.new_book(POLICY)
    ada = book.upsert(ADA).contact.id
    bob = book.upsert({"phone": "1"}).contact.id
    assert [contact.id for contact in book.scan(after=ada)] == [bob]
    with pytest.raises(errors.UnknownContact):
        book.scan(after="c-9")


def test_check_of_the_tables_finds_a_row_too_many(place: Place) -> None:
    """As the machine of the tests does after each step."""
    book, tables = place.new_book(POLICY), place.tables
    one, other = [book.create({"phone": n}).contact.id for n in "12"]
    book.merge(one, other)
    book._store.read(lambda view: view.check())
    row = {"scope": "", "id": "c-9", "survivor": one}
    with place.engine().begin() as connection:
        connection.execute(tables.redirects.insert(), row)
    with pytest.raises(AssertionError, match="c-9"):
        book._store.read(lambda view: view.check())
