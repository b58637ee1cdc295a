"""Odd names and values do no harm, and come back as they were sent."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, inspect, select

from tests.sql.checking import check_tables
from upsertcore import (
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    key,
    normalize,
)
from upsertcore.sql import SqlBook, make_tables
from upsertcore.values import same

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTILE = (
    "'; DROP TABLE contacts; --",
    '"; DELETE FROM x; --',
    "%(scope)s %s %",
    ":scope ? ?1 $1 {x}",
    "a\\'b\\\"c",
    "`]) OR 1=1 --",
    "ä \u2028 \U0001f600",
)
NUL = "a\0b"
POLICY = Policy(
    first_match("email", "phone"),
    {
        "email": field(key=normalize.email),
        "phone": field(key=normalize.exact, keep_aliases=True),
        "note": field(),
    },
    id_field="own",
)


@pytest.fixture
def make(engine: Engine) -> Iterator[Callable[..., SqlBook]]:
    """Return a function that makes a book; its tables are dropped afterwards."""
    made: list[Any] = []

    def make_book(policy: Policy = POLICY, prefix: str = "", **how: Any) -> SqlBook:
        tables = make_tables(prefix=prefix or f"t{uuid4().hex[:8]}_")
        made.append(tables)
        book = SqlBook(engine, policy, tables=tables, **how)
        book.create_tables()
        return book

    yield make_book
    for tables in made:
        tables.metadata.drop_all(engine)


Make = Callable[..., SqlBook]


class TestInjection:
    """Names and values are never read as SQL."""

    def test_values_keys_scopes_and_ids(self, make: Make) -> None:
        book, twin = make(retain_changes=None), ContactBook(POLICY, retain_changes=None)
        for each in (book, twin):
            for text in HOSTILE:
                call: Any = {"scope": text, "idempotency_key": text}
                each.create({"phone": text, "note": {text: text}}, id=text, **call)
                each.upsert({"phone": text, "own": text + "!"}, scope=text)
                each.update(text, {"phone": text + "?"}, scope=text)
                assert [one.id for one in each.find("phone", text, scope=text)] == [
                    text
                ]
                assert each.scan({"phone": text + "?"}, scope=text, limit=1)
                other = each.create({"phone": text}, id=text + "#", scope=text)
                each.merge(text, other.contact.id, scope=text)
                assert each.get(text + "#", scope=text).id == text
                each.delete(text, scope=text)
                assert each.purge(text, scope=text) == 6

        assert len(book) == len(twin) == 0
        check_tables(book)

    def test_names_of_fields_and_keys(self, make: Make) -> None:
        fields: dict[str, Any] = {text: field() for text in HOSTILE}
        fields["email"] = field(key=normalize.email)
        keys = {f"key {text}": key(text, normalize=normalize.exact) for text in HOSTILE}
        policy = Policy(first_match("email", *keys), fields, keys=keys)
        book = make(policy, retain_changes=None)
        for n, text in enumerate(HOSTILE):
            assert book.upsert({text: "x"}).created
            patch = {text: "x", "email": f"{n}@x.org"}
            assert book.upsert(patch).result == "updated"
            assert len(book.find(f"key {text}", "x")) == 1
        assert len(book) == len(HOSTILE)
        check_tables(book)

    # SQLAlchemy takes %(name)s in the name of a table for a parameter of SQLite.
    @pytest.mark.parametrize(
        "prefix", [text[:30].replace("%(", "%") for text in HOSTILE]
    )
    def test_prefix_of_the_tables(
        self, make: Make, engine: Engine, prefix: str
    ) -> None:
        prefix = f"{uuid4().hex[:4]}X{prefix}"
        book = make(prefix=prefix, retain_changes=2)
        ada = book.upsert({"email": "ada@x.org"}, idempotency_key="k").contact.id
        bob = book.create({"email": "ada@x.org"}).contact.id
        book.undo(book.merge(ada, bob))
        book.upsert_many([{"email": f"{n}@x.org"} for n in range(3)])
        assert len(book.duplicates()) == 1
        rows = book.dump()
        check_tables(book)
        assert f"{prefix}contacts" in inspect(engine).get_table_names()
        book._store.tables.metadata.drop_all(engine)
        loaded = SqlBook.load(engine, POLICY, rows, tables=book._store.tables)
        assert loaded.upsert({"email": "new@x.org"}).created
        assert loaded.dump()[:-1] == rows
        check_tables(loaded)

    def test_schema_of_the_tables(self, engine: Engine) -> None:
        """SQLite's are attached files."""
        schema = 'Odd."s'
        quote = '"' + schema.replace('"', '""') + '"'
        is_sqlite = engine.dialect.name == "sqlite"
        with engine.connect() as connection:
            how = f"ATTACH ':memory:' AS {quote}" if is_sqlite else ""
            connection.exec_driver_sql(how or f"CREATE SCHEMA {quote}")
            connection.commit()
        tables = make_tables(prefix="Odd_", schema=schema)
        rows = ContactBook(POLICY)
        rows.upsert({"email": "ada@x.org"})
        book = SqlBook.load(engine, POLICY, rows.dump(), tables=tables)
        assert book.upsert({"email": "bob@x.org"}).created
        check_tables(book)
        with engine.connect() as connection:
            how = f"DETACH {quote}" if is_sqlite else ""
            connection.exec_driver_sql(how or f"DROP SCHEMA {quote} CASCADE")
            connection.commit()


class TestNul:
    """U+0000: PostgreSQL refuses it by the name of the field; SQLite stores it."""

    @pytest.mark.parametrize(
        ("name", "patch", "how"),
        [
            ("note", {"email": "a@x.org", "note": NUL}, {}),
            ("note", {"email": "a@x.org", "note": [{"x": [1, NUL]}]}, {}),
            ("note", {"email": "a@x.org", "note": {NUL: None}}, {}),
            ("phone", {"phone": NUL}, {}),
            ("scope", {"email": "a@x.org"}, {"scope": NUL}),
            ("scope", {"email": "a@x.org"}, {"scope": NUL, "idempotency_key": "k"}),
            ("id", {"email": "a@x.org"}, {"id": NUL}),
            ("id", {"email": "a@x.org", "own": NUL}, {}),
        ],
    )
    def test_upsert(self, make: Make, name: str, patch: Any, how: Any) -> None:
        book = make()
        calls: list[Callable[[], Any]] = [lambda: book.upsert(patch, **how)]
        if not {"id", "idempotency_key"} & how.keys():
            calls += [
                lambda: book.upsert_many([{"email": "b@x.org"}, patch], **how),
                lambda: book.upsert_many([patch], atomic=True, **how),
            ]
        for call in calls:
            if book._store.database.can_store_nul:
                call()
                continue
            with pytest.raises(errors.InvalidField, match=r"U\+0000") as caught:
                call()
            assert caught.value.field == name
        check_tables(book)

    def test_calls_that_read_find_nothing(self, make: Make) -> None:
        book = make()
        book.upsert({"email": "a@x.org"})
        for scope, id in (("", NUL), (NUL, NUL), (NUL, "x")):
            assert book.find("phone", NUL, scope=scope) == ()
            assert (scope, id) not in book
            if scope:
                assert (book.scan(scope=scope), book.duplicates(scope=scope)) == (
                    (),
                    (),
                )
                assert book.dedupe(scope=scope) == []
            for call in (book.get, book.delete, book.purge, book.merge):
                with pytest.raises(errors.UnknownContact):
                    call(id, scope=scope)
            with pytest.raises(errors.UnknownContact):
                book.update(id, {"note": 1}, scope=scope)
        assert book.upsert({"email": "a@x.org"}, visitor=NUL).unchanged

    def test_idempotency_key(self, make: Make) -> None:
        book = make()
        for key_text in (NUL, "k" * 20_000, "#sha256:x"):
            first, second = [
                book.create({"note": 1}, idempotency_key=key_text) for _ in range(2)
            ]
            assert (first.replayed, second.replayed) == (False, True)


class TestLong:
    """Long forms match; long scopes and ids are refused."""

    def test_form_of_twenty_thousand_characters(self, make: Make) -> None:
        book, chance = make(), random.Random(1)
        phones = [
            "".join(chance.choices(string.printable, k=20_000)),
            "x" * 20_000,
            "#sha256:" + "0" * 64,
            "".join(map(chr, chance.choices(range(0x10000, 0x20000), k=500))),
        ]
        scope = "".join(map(chr, chance.choices(range(0x10000, 0x20000), k=250)))
        for phone in phones:
            ada = book.upsert({"phone": phone}, scope=scope).contact.id
            again = book.upsert({"phone": phone, "note": 1}, scope=scope)
            assert (again.result, again.contact.id) == ("updated", ada)
            assert [one.id for one in book.find("phone", phone, scope=scope)] == [ada]
        assert len(book) == 4
        check_tables(book)

    @pytest.mark.parametrize(("name", "how"), [("scope", "scope"), ("id", "id")])
    def test_scope_or_id_of_two_thousand_bytes_is_refused(
        self, make: Make, name: str, how: str
    ) -> None:
        book = make()
        for text in ("x" * 2_000, "\U0001f600" * 500):
            with pytest.raises(
                errors.InvalidField, match="at most 1000 bytes"
            ) as caught:
                book.upsert({"email": "a@x.org"}, **{how: text})  # type: ignore[arg-type]
            assert caught.value.field == name
        assert book.upsert({"email": "a@x.org"}, **{how: "x" * 1_000}).created  # type: ignore[arg-type]
        assert len(book) == 1
        check_tables(book)


VALUES: dict[str, Any] = {
    "integers": [10**3_999, -(10**3_999), 0, 2**63, -(2**63) - 1],
    "floats": [-0.0, 1e22, 1e16, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 100.0],
    "likes": [True, 1, 1.0, "1", None, False, 0, ""],
    "nested": {"b": [{"z": [[], {}, ()], "a": None}], "a": {"": {" ": "\x7f\x80"}}},
    "text": "".join(
        map(chr, [*range(1, 300), 0x2028, 0xD7FF, 0xE000, 0xFDD0, 0xFFFD, 0xFFFF])
    ),
    "planes": "".join(
        chr(plane * 0x10000 + at)
        for plane in range(1, 17)
        for at in (0, 0xFFFE, 0xFFFF)
    ),
    "not normal": ["e\u0301", "\u00e9", "\u1e9e", "\ufb01", "İ"],
}


@pytest.mark.parametrize("name", VALUES)
def test_value_comes_back_equal(make: Make, name: str) -> None:
    """In value, type and order; also through changes and repeated calls."""
    book, value = make(retain_changes=None), VALUES[name]
    twin = ContactBook(POLICY)
    sent = twin.upsert({"email": "a@x.org", "note": value}).contact["note"]
    first = book.upsert({"email": "a@x.org", "note": value}, idempotency_key="k")
    again = book.upsert({"email": "a@x.org", "note": value}, idempotency_key="k")
    (entry,) = book.changes_since()
    assert entry.outcome is not None
    for contact in (
        book.get(first.contact.id),
        again.contact,
        entry.outcome.contact,
        *book.scan({"note": value}),
    ):
        assert repr(contact["note"]) == repr(sent)
        assert same(contact["note"], sent)
    assert book.upsert({"email": "a@x.org", "note": value}).unchanged
    assert book.undo(first).result == "undone"
    check_tables(book)


def test_other_tenants_are_out_of_reach_of_every_verb(make: Make) -> None:
    """Whatever ids and keys are named, the contacts of tenant a stay as they are."""
    book = make(retain_changes=None)
    ada = book.upsert({"email": "a@x.org", "phone": "1"}, scope="a", id="x")
    bob = book.upsert({"email": "b@x.org"}, scope="a", id="y")
    book.merge("x", "y", scope="a")
    cy = book.create({"email": "a@x.org"}, scope="a", id="z", idempotency_key="k")
    before, changes = book.dump(), len(book.changes_since())
    same_key = book.upsert({"email": "a@x.org"}, scope="b", idempotency_key="k")
    assert same_key.created
    assert not same_key.also_matched
    book.upsert({"email": "a@x.org", "phone": "1", "own": "x"}, scope="b")
    book.upsert({"email": "c@x.org"}, scope="b", visitor="z")
    book.upsert_many([{"phone": "1"}, {"email": "b@x.org"}], scope="b")
    for id in ("y", "z"):
        assert ("b", id) not in book
        for call in (book.get, book.delete, book.purge, book.merge):
            with pytest.raises(errors.UnknownContact):
                call(id, scope="b")
        with pytest.raises(errors.UnknownContact):
            book.update(id, {"note": 1}, scope="b")
        with pytest.raises(errors.UnknownContact):
            book.duplicates(of=id, scope="b")
        with pytest.raises(errors.UnknownContact):
            book.scan(scope="b", after=id)
    book.dedupe(scope="b")
    assert {contact.scope for contact in book.scan(scope="b")} == {"b"}
    assert {one.scope for one in book.find("email", "a@x.org", scope="b")} == {"b"}

    assert [row for row in book.dump() if row["scope"] == "a"] == before
    for entry in book.changes_since(changes):
        assert entry.outcome is not None
        assert entry.outcome.contact.scope == "b"
    assert (ada.contact.id, bob.contact.id, cy.contact.id) == ("x", "y", "z")
    check_tables(book)


def test_fields_can_be_queried(make: Make, engine: Engine) -> None:
    """The generated column of JSON, by names that need quoting."""
    book = make()
    book.upsert({"email": "a@x.org", "note": {"it's": '"x"'}})
    contacts = book._store.tables.contacts
    sql = select(contacts.c.id).where(
        contacts.c.fields["note"]["it's"].as_string() == '"x"'
    )
    with engine.connect() as connection:
        assert len(connection.execute(sql).all()) == 1
