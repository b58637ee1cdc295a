"""
The view of a transaction: what a decision reads of the tables.

Rules:
    What is read is kept in an index, a part of that of a book in memory; each form and
    each id is looked up once.
    All forms of a patch are looked up by one statement, with the contacts that hold
    them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, final

from sqlalchemy import and_, func, select

from upsertcore.model.contact import Contact
from upsertcore.sql.stored_text import contact_from_texts, form_text
from upsertcore.store.contact_index import ContactIndex
from upsertcore.store.placed import add_placed
from upsertcore.values import FrozenMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from upsertcore.engine.patch import Request
    from upsertcore.model.view import Address, Forms
    from upsertcore.policy.policy import Policy
    from upsertcore.sql.database import Database, LockName
    from upsertcore.sql.statements import Statements

__all__ = ["UNPLACED", "SqlView"]

UNPLACED = 2**62
"""The place of the first new contact, before the database gives it its own."""

_PAGE = 1_000
"""How many contacts are in memory while all of them are read."""

_CHUNK = 5_000
"""How many values one statement carries; SQLite takes 32,766."""


@final
class SqlView:
    """
    What a transaction reads.

    Args:
        connection: In a transaction.
        database: Its database.
        statements: Those over the tables of the book.
        policy: The policy of the book.
        locks: Whether what is looked up is locked first.
        locks_rows: Whether contacts are locked, so that no other transaction changes
            them meanwhile.
    """

    __slots__ = (
        *("_absent", "_database", "_locked", "_locks", "_locks_rows", "_looked_up"),
        *("_statements", "connection", "index", "revisions", "tables"),
    )

    def __init__(
        self,
        connection: Connection,
        database: Database,
        statements: Statements,
        policy: Policy,
        *,
        locks: bool = False,
        locks_rows: bool = False,
    ) -> None:
        keys = [key.name for key in policy.all_keys]
        self.connection, self._database = connection, database
        self._statements, self.tables = statements, statements.tables
        self._locks = locks
        self._locks_rows = locks_rows and database.locks_rows
        self.index = ContactIndex(keys, policy.fields)
        self.index.next = UNPLACED
        # Scope and id of each contact that was read, to its place and revision.
        self.revisions: dict[Address, tuple[int, Any]] = {}
        self._looked_up: set[LockName] = set()
        self._locked: set[LockName] = set()
        self._absent: set[Address] = set()

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the keys."""
        return self.index.keys

    def empty(self) -> ContactIndex:
        """Return an empty index for the contacts of the book."""
        return self.index.empty()

    def get(self, id: str, scope: str) -> Contact:
        """Return the contact that an id of a scope resolves to."""
        return self.get_with_forms(id, scope)[0]

    def get_with_forms(self, id: str, scope: str) -> tuple[Contact, Forms]:
        """Return the contact of an id, and the forms that it holds."""
        self.load(scope, [id])
        return self.index.get_with_forms(id, scope)

    def has_id(self, id: str, scope: str) -> bool:
        """Return whether an id resolves to a contact of a scope."""
        self.load(scope, [id])
        return self.index.has_id(id, scope)

    def find_place(self, id: str, scope: str) -> int | None:
        """Return the place of the contact that an id resolves to, if any."""
        self.load(scope, [id])
        return self.index.find_place(id, scope)

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Return the ids of the contacts that hold a form, by creation."""
        self.look_up(scope, {key: [form]})
        return self.index.holders(key, form, scope)

    def prepare(self, requests: Iterable[Request]) -> None:
        """Look up every form that some patches of one scope carry."""
        forms: dict[str, dict[str, None]] = {key: {} for key in self.keys}
        scope = ""
        for request in requests:
            scope = request.scope
            for name in self.keys:
                key = request.key(name)
                forms[name].update(dict.fromkeys(request.forms(key, request.sent)))
        self.look_up(scope, forms)

    def look_up(self, scope: str, forms: Mapping[str, Iterable[str]]) -> None:
        """Read the contacts of a scope that hold some forms, by key."""
        wanted = {
            (scope, key, form): None
            for key, forms_of_key in forms.items()
            for form in forms_of_key
        }
        new = [name for name in wanted if name not in self._looked_up]
        if not new or self.is_unstorable(scope):
            return
        self.lock(new)
        by_key: dict[str, list[str]] = {}
        for _scope, key, form in new:
            by_key.setdefault(key, []).append(form_text(form))
        if len(new) <= _CHUNK:
            self._read_holders(scope, by_key)
        else:
            for key, texts in by_key.items():
                for part in _chunks(texts):
                    self._read_holders(scope, {key: part})
        self._looked_up.update(new)

    def lock(self, names: Iterable[LockName]) -> None:
        """Lock names, unless this transaction has locked them."""
        if self._locks:
            new = [name for name in names if name not in self._locked]
            if new:
                book = self.tables.contacts.fullname
                self._database.lock(self.connection, book, new)
                self._locked.update(new)

    def load(self, scope: str, ids: Iterable[str]) -> None:
        """Read the contacts that some ids of a scope resolve to."""
        index, absent = self.index, self._absent
        missing = [
            id
            for id in dict.fromkeys(ids)
            if (scope, id) not in absent and not index.has_id(id, scope)
        ]
        for part in _chunks(missing):
            self._load(scope, [id for id in part if not self.is_unstorable(scope, id)])
        absent.update([(scope, id) for id in missing if not index.has_id(id, scope)])

    def _load(self, scope: str, ids: list[str]) -> None:
        contacts, redirects = self.tables.contacts, self.tables.redirects
        self._read_ids(scope, ids)
        missing = [id for id in ids if not self.index.has_id(id, scope)]
        if missing and self._locks:
            # What is not there must not be added before this transaction ends.
            self.lock([(scope, "", id) for id in missing])
            self._read_ids(scope, missing)
            missing = [id for id in missing if not self.index.has_id(id, scope)]
        if missing:
            sql = select(redirects.c.id, redirects.c.survivor, contacts.c.id).where(
                redirects.c.scope == scope,
                redirects.c.id.in_(missing),
                contacts.c.scope == redirects.c.scope,
                contacts.c.id == redirects.c.survivor,
            )
            found = [tuple(row)[:2] for row in self.connection.execute(sql)]
            self.load(scope, [survivor for _id, survivor in found])
            for id, survivor in found:
                self.index.redirects[scope, id] = survivor

    def load_redirects(self, scope: str, ids: Sequence[str]) -> None:
        """Read what ids resolve to, with the places of merged contacts."""
        redirects = self.tables.redirects
        for part in _chunks(ids):
            sql = select(redirects.c.id, redirects.c.survivor, redirects.c.place).where(
                redirects.c.scope == scope, redirects.c.id.in_(part)
            )
            for id, survivor, place in self.connection.execute(sql):
                self.index.redirects[scope, id] = survivor
                if place is not None:
                    self.index.former_places[scope, id] = place

    def is_unstorable(self, *texts: str) -> bool:
        """Return whether no row can have one of these texts."""
        return not self._database.can_store_nul and any("\0" in text for text in texts)

    def _read_ids(self, scope: str, ids: Sequence[str]) -> None:
        if ids:
            how: Any = {"locked": self._locks_rows}
            self._add(self._statements.by_id(self.connection, scope, ids, **how))

    def _read_holders(self, scope: str, texts: Mapping[str, Sequence[str]]) -> None:
        how: Any = {"locked": self._locks_rows}
        self._add(self._statements.holders(self.connection, scope, texts, **how))

    def _add(self, rows: Iterable[Any]) -> None:
        """Add contacts to the index, unless they are there."""
        for place, revision, body, forms in rows:
            parts, held = contact_from_texts(body, forms, self.keys)
            id, scope, *_ = parts
            if (scope, id) not in self.revisions:
                add_placed(self.index, place, parts, held)
                self.revisions[scope, id] = place, revision

    def contacts(self, addresses: Iterable[Address]) -> list[Contact]:
        """Return the contacts that have these ids as their own, by creation."""
        wanted = [*addresses]
        for scope, pairs in groupby(sorted(wanted), itemgetter(0)):
            self.load(scope, [id for _scope, id in pairs])
        # One that was removed since its id was read is none.
        return self.index.contacts([at for at in wanted if at in self.revisions])

    def shared_forms(
        self, key: str, scope: str | None = None
    ) -> Iterator[tuple[str, Sequence[str]]]:
        """Return scope, and ids of the holders, of each form that has several."""
        contacts, forms = self.tables.contacts, self.tables.forms
        where = [forms.c.key == key]
        if scope is not None:
            if self.is_unstorable(scope):
                return
            where.append(forms.c.scope == scope)
        shared = (
            select(forms.c.scope, forms.c.form)
            .where(*where)
            .group_by(forms.c.scope, forms.c.form)
            .having(func.count() > 1)
            .subquery()
        )
        sql = (
            select(forms.c.scope, forms.c.form, contacts.c.id)
            .join(shared, and_(*[shared.c[n] == forms.c[n] for n in ("scope", "form")]))
            .join(contacts, contacts.c.place == forms.c.contact)
            .where(forms.c.key == key)
            .order_by(forms.c.scope, forms.c.form, contacts.c.place)
        )
        for (at, _form), rows in groupby(
            self.connection.execute(sql), itemgetter(0, 1)
        ):
            yield at, [id for _scope, _form, id in rows]

    def created_after(self, id: str, scope: str) -> Iterator[Contact]:
        """Return the contacts that were created after the one of an id."""
        place = self.revisions[scope, self.get(id, scope).id][0]
        return (contact for contact, _forms in self._by_creation(place))

    def with_forms(self) -> Iterator[tuple[Contact, Forms]]:
        """Return all contacts by creation, with the forms that they hold."""
        return self._by_creation(-1)

    def check(self) -> None:
        """
        Check that forms and redirects in the tables are those of the contacts.

        Raises:
            AssertionError: If a row is missing or superfluous.
        """
        contacts, forms = self.tables.contacts, self.tables.forms
        redirects = self.tables.redirects
        expected: set[tuple[str, ...]] = set()
        for contact, held in self.with_forms():
            own = contact.scope, contact.id
            expected.update([(*own, "", id) for id in contact.merged_ids])
            for key, forms_of_key in zip(self.keys, held, strict=True):
                expected.update([(*own, key, form_text(form)) for form in forms_of_key])
        sql: Any = select(forms.c.scope, contacts.c.id, forms.c.key, forms.c.form)
        rows = self.connection.execute(
            sql.join(contacts, contacts.c.place == forms.c.contact, isouter=True)
        ).all()
        ids = select(redirects.c.scope, redirects.c.survivor, redirects.c.id)
        found = [tuple(row) for row in rows]
        for scope, survivor, id in self.connection.execute(ids):
            found.append((scope, survivor, "", id))
        if len(found) != len({*found}) or {*found} != expected:
            differences = {*found} ^ expected
            raise AssertionError(f"rows and contacts differ: {differences or found}")

    def __len__(self) -> int:
        sql = select(func.count()).select_from(self.tables.contacts)
        return self.connection.execute(sql).scalar_one()  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Contact]:
        return (contact for contact, _forms in self._by_creation(-1))

    def _by_creation(self, place: int) -> Iterator[tuple[Contact, Forms]]:
        """Return the contacts after a place, with their forms."""
        contacts = self.tables.contacts
        sql = select(contacts.c.body, contacts.c.forms)
        sql = sql.where(contacts.c.place > place).order_by(contacts.c.place)
        paged = sql.execution_options(yield_per=_PAGE)
        # Closed, too, where a reader stops before the end.
        with self.connection.execute(paged) as texts:
            for body, forms in texts:
                yield _read(body, forms, self.keys)


def _read(body: str, forms: str, keys: tuple[str, ...]) -> tuple[Contact, Forms]:
    parts, held = contact_from_texts(body, forms, keys)
    id, scope, fields, *rest, history = parts
    contact = Contact(id, scope, FrozenMap.trusted(fields), *rest, *(history or ()))
    return contact, held


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
