"""Two transactions of PostgreSQL, in any two turns, are as one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import count, product
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define
from sqlalchemy.pool import QueuePool

from tests.field_options import merging
from tests.sql.checking import check_tables
from tests.sql.interleaving import run_in_turns
from tests.sql.places import Place, empty
from tests.sql.server import MISSING
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
from upsertcore.book.book import Book
from upsertcore.rules import keep, union
from upsertcore.sql import SqlBook

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]

NOW = datetime(2024, 1, 2, tzinfo=UTC)
TURNS = [*product(range(9), (1, 2, 4, 8))]
"""How many statements of the first, and then of the second, come first."""

Call = Callable[[Book, dict[str, Any]], Any]

FIELDS: dict[str, Any] = merging(
    {
        "email": field(key=normalize.email, keep_aliases=True),
        "phone": field(key=normalize.exact),
        "first": field(),
        "born": field(),
        "tags": field(rule=union),
        "note": field(rule=keep),
    },
    {"tags": union},
)
PERSON = {"person": key("first", "born", normalize=normalize.exact)}
ANY = Policy(first_match("email", "phone", "person"), FIELDS, keys=PERSON)
ALL = Policy(merge_all("email", "phone", "person"), FIELDS, keys=PERSON)
UNIQUE = Policy(
    first_match("email", "phone"),
    {
        **FIELDS,
        "email": field(key=normalize.email, unique=True),
        "phone": field(key=normalize.exact, unique=True),
    },
)
KEPT = Policy(first_match("email", "phone"), FIELDS, on_deleted="restore")


def upsert(patch: dict[str, Any], **options: Any) -> Call:
    return lambda book, _past: book.upsert(patch, **options)


def create(patch: dict[str, Any], **options: Any) -> Call:
    return lambda book, _past: book.create(patch, **options)


def update(id: str, patch: dict[str, Any]) -> Call:
    return lambda book, _past: book.update(id, patch)


def merge(*ids: str) -> Call:
    return lambda book, _past: book.merge(*ids)


def delete(id: str) -> Call:
    return lambda book, _past: book.delete(id)


def purge(id: str) -> Call:
    return lambda book, _past: book.purge(id)


def undo(name: str) -> Call:
    return lambda book, past: book.undo(past[name])


def many(*patches: dict[str, Any], **options: Any) -> Call:
    return lambda book, _past: [*book.upsert_many(patches, **options)]


def after(book: Book, past: dict[str, Any], calls: dict[str, Call]) -> None:
    for name, call in calls.items():
        past[name] = call(book, past)


ADA = {"email": "ada@x.org"}
ADA_1 = {**ADA, "phone": "1"}
ONE = {"phone": "1"}
TWO = {"a": create(ADA), "b": create(ONE)}
"""Two contacts: s-1 with an email, s-2 with a phone."""

CASES: dict[str, tuple[Policy, dict[str, Call], Call, Call]] = {
    "same new key": (ANY, {}, upsert(ADA | {"tags": ["a"]}), upsert(ADA)),
    "same new keys, one each": (ANY, {}, upsert(ADA_1), upsert(ONE | {"note": 1})),
    "keys crosswise": (
        ANY,
        {},
        upsert({"email": "ada@x.org", "phone": "2"}),
        upsert({"email": "bob@x.org", "phone": "2"}),
    ),
    "unique keys crosswise": (
        UNIQUE,
        TWO,
        upsert({"email": "ada@x.org", "phone": "2"}),
        upsert({"email": "bob@x.org", "phone": "1"}),
    ),
    "one person, another key each": (
        ANY,
        {"a": upsert(ADA_1)},
        upsert(ADA | {"tags": ["a"]}),
        upsert(ONE | {"tags": ["b"]}),
    ),
    "new key by one, looked up by the other": (
        ANY,
        {"a": upsert(ADA)},
        upsert(ADA_1),
        upsert(ONE | {"tags": ["b"]}),
    ),
    "composite of stored and sent": (
        ANY,
        {"a": upsert(ADA | {"first": "Ada"})},
        upsert(ADA | {"born": 1815}),
        upsert({"first": "Ada", "born": 1815, "tags": ["b"]}),
    ),
    "composite, both": (
        ALL,
        {"a": upsert(ADA | {"first": "Ada"}), "b": upsert(ONE | {"first": "Ada"})},
        upsert(ADA | {"born": 1815}),
        upsert(ONE | {"born": 1815}),
    ),
    "alias": (
        ANY,
        {"a": upsert(ADA_1)},
        upsert({"email": "new@x.org", "phone": "1"}),
        upsert({"email": "new@x.org"}),
    ),
    "former key": (
        ANY,
        {"a": upsert(ADA_1)},
        upsert({"email": "new@x.org", "phone": "1"}),
        upsert(ADA | {"tags": ["b"]}),
    ),
    "merged by a patch": (
        ALL,
        TWO,
        upsert(ADA_1),
        upsert(ONE | {"tags": ["b"]}),
    ),
    "merged by both": (ALL, TWO, upsert(ADA_1), upsert({"phone": "1", "email": "b@x"})),
    "merge and upsert": (ANY, TWO, merge("s-1", "s-2"), upsert(ONE | {"tags": ["b"]})),
    "merge and update": (ANY, TWO, merge("s-1", "s-2"), update("s-2", {"note": 1})),
    "merge and merge back": (ANY, TWO, merge("s-1", "s-2"), merge("s-2", "s-1")),
    "merge in a row": (
        ANY,
        {**TWO, "c": create({"phone": "3"})},
        merge("s-1", "s-2"),
        merge("s-2", "s-3"),
    ),
    "merge and delete": (ANY, TWO, merge("s-1", "s-2"), delete("s-2")),
    "undo of a creation": (ANY, {"a": upsert(ADA)}, undo("a"), upsert(ADA | ONE)),
    "undo of an update": (
        ANY,
        {"a": upsert(ADA_1), "b": upsert(ADA | {"phone": "2"})},
        undo("b"),
        upsert(ONE | {"tags": ["b"]}),
    ),
    "undo and update by another key": (
        ANY,
        {"a": upsert(ADA_1), "b": upsert(ADA | {"note": 1})},
        undo("b"),
        upsert(ONE | {"tags": ["b"]}),
    ),
    "undo of a merge, and an upsert": (
        ANY,
        {**TWO, "m": merge("s-1", "s-2")},
        undo("m"),
        upsert(ONE | {"tags": ["b"]}),
    ),
    "undo of a merge, and a former id": (
        ANY,
        {**TWO, "m": merge("s-1", "s-2")},
        undo("m"),
        update("s-2", {"note": 1}),
    ),
    "undo twice": (ANY, {**TWO, "m": merge("s-1", "s-2")}, undo("m"), undo("m")),
    "undo, unique": (
        UNIQUE,
        {"a": upsert(ADA_1), "b": upsert(ADA | {"phone": "2"})},
        undo("b"),
        create(ONE),
    ),
    "purge and upsert": (
        ANY,
        {"a": upsert(ADA_1)},
        purge("s-1"),
        upsert(ONE | {"tags": ["b"]}),
    ),
    "purge and mention": (
        ANY,
        {**TWO, "a": upsert(ADA | {"note": 1})},
        purge("s-2"),
        upsert(ADA_1),
    ),
    "purge and call": (
        ANY,
        {"a": upsert(ADA)},
        purge("s-1"),
        upsert(ADA, idempotency_key="k"),
    ),
    "purge and merge": (ANY, TWO, purge("s-2"), merge("s-1", "s-2")),
    "delete and upsert": (ANY, {"a": upsert(ADA)}, delete("s-1"), upsert(ADA_1)),
    "delete that keeps, and upsert": (
        KEPT,
        {"a": upsert(ADA)},
        delete("s-1"),
        upsert(ADA_1),
    ),
    "delete and create with its id": (
        ANY,
        {"a": upsert(ADA)},
        delete("s-1"),
        create(ONE, id="s-1"),
    ),
    "create with one id": (ANY, {}, create(ADA, id="x"), create(ONE, id="x")),
    "create with the id of a merge": (
        ANY,
        {**TWO, "m": merge("s-1", "s-2")},
        undo("m"),
        create(ADA, id="s-2"),
    ),
    "one idempotency key": (
        ANY,
        {},
        create(ADA, idempotency_key="k"),
        create(ADA, idempotency_key="k"),
    ),
    "one idempotency key, other call": (
        ANY,
        {},
        create(ADA, idempotency_key="k"),
        create(ONE, idempotency_key="k"),
    ),
    "batches in opposite orders": (
        ANY,
        {},
        many(ADA | {"tags": ["a"]}, ONE | {"tags": ["a"]}),
        many(ONE | {"tags": ["b"]}, ADA | {"tags": ["b"]}),
    ),
    "atomic batches of known contacts": (
        ANY,
        TWO,
        many(ADA | {"tags": ["a"]}, ONE | {"tags": ["a"]}, atomic=True),
        many(ONE | {"tags": ["b"]}, ADA | {"tags": ["b"]}, atomic=True),
    ),
    "dedupe and upsert": (
        ANY,
        {"a": create(ADA), "b": create(ADA_1)},
        lambda book, _past: book.dedupe(),
        upsert(ADA | {"tags": ["b"]}),
    ),
    "plan and upsert": (
        ANY,
        {**TWO, "p": lambda book, _past: book.plan(ADA_1 | {"note": 1})},
        lambda book, past: book.apply(past["p"]),
        upsert(ADA | {"tags": ["b"]}),
    ),
}


@define
class Books:
    """A book for each thread, on an engine of its own."""

    place: Place
    engines: tuple[Engine, ...]

    def book(self, number: int, policy: Policy, **options: Any) -> SqlBook:
        how: Any = {"ids": ids("sab"[number]), "clock": lambda: NOW, **options}
        engine, tables = self.engines[number], self.place.tables
        return SqlBook(engine, policy, tables=tables, **how)


def ids(name: str) -> Callable[[], str]:
    return map(f"{name}-{{}}".format, count(1)).__next__


@pytest.fixture
def books(postgres: Place) -> Iterator[Books]:
    engines = tuple([postgres.engine(poolclass=QueuePool) for _ in range(3)])
    yield Books(postgres, engines)
    for engine in engines:
        engine.dispose()


def shown(result: Any) -> Any:
    """Return a result as text, and of an error its kind."""
    if isinstance(result, list):
        return [shown(each) for each in result]
    if isinstance(result, Exception):
        assert isinstance(result, (errors.UpsertError, ValueError)), repr(result)
        return repr(result)
    return repr(result)


def state(book: Book) -> Any:
    """Return all that a book holds, whatever the order of creation."""
    rows = sorted(
        [{**row, "place": 0} for row in book.dump()], key=lambda row: row["id"]
    )
    return json.dumps(rows), repr(book.changes_since())


def one_after_other(
    case: tuple[Policy, dict[str, Call], Call, Call], *, swapped: bool
) -> Any:
    """Return both results and the state of a book in memory."""
    policy, before, *calls = case
    source = [ids("s")]
    how: Any = {"clock": lambda: NOW, "retain_changes": None}
    book = ContactBook(policy, ids=lambda: source[0](), **how)  # noqa: PLW0108
    past: dict[str, Any] = {}
    after(book, past, before)
    results: list[Any] = [None, None]
    for number in (1, 0) if swapped else (0, 1):
        source[0] = ids("ab"[number])
        try:
            results[number] = calls[number](book, past)
        except Exception as error:  # noqa: BLE001 - it is a result
            results[number] = error
    return [*map(shown, results)], state(book)


def within(book: SqlBook, engine: Engine, call: Call, past: Any) -> Any:
    """Make a call in a transaction of the caller, again where that has to be."""
    while True:
        try:
            with engine.connect() as connection, connection.begin():
                return call(book.within(connection), past)
        except errors.Overtaken:
            continue


IN_A_TRANSACTION = (
    *("same new key", "same new keys, one each", "keys crosswise", "composite, both"),
    *("merge and upsert", "undo of a merge, and a former id", "purge and call"),
    *("create with one id", "batches in opposite orders"),
)


@pytest.mark.parametrize(
    ("name", "is_within"),
    [*product(CASES, [False]), *product(IN_A_TRANSACTION, [True])],
)
def test_interleaved_calls_are_as_one_after_the_other(
    books: Books, name: str, *, is_within: bool
) -> None:
    case = CASES[name]
    policy, before, *calls = case
    expected = [one_after_other(case, swapped=swapped) for swapped in (False, True)]
    how: Any = {"retain_changes": None}
    watched = books.book(0, policy, **how)
    watched.create_tables()
    tables = books.place.tables
    with books.engines[0].connect() as connection:
        watcher = connection.execution_options(isolation_level="AUTOCOMMIT")
        firsts: set[int] = set()
        for turns in TURNS:
            if turns[0] in firsts:
                continue
            empty(books.engines[0], tables)
            past: dict[str, Any] = {}
            after(books.book(0, policy, **how), past, before)

            def work(number: int, past: Any = past) -> Any:
                book = books.book(number, policy, **how)
                call, engine = calls[number - 1], books.engines[number]
                if is_within:
                    return within(book, engine, call, past)
                return call(book, past)

            one, other = [
                (books.engines[number], partial(work, number)) for number in (1, 2)
            ]
            *results, had_all = run_in_turns(watcher, one, other, turns)
            if not had_all:
                firsts.add(turns[0])
            found = [*map(shown, results)], state(watched)
            assert found in expected, (turns, found, expected)
            check_tables(watched)
