"""
A follower of the changes of a book, which stays right however often it is killed.

Rules:
    Its position is written in the transaction that writes the effect of a change, so
    a change is taken in once, however often it is delivered.
    A follower that has missed changes which are not retained starts again from a dump.
    A feed has a name, since each book counts from 1: a host names it when it makes
    the book, and again after a purge, whose change names no contact.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from attrs import define

from upsertcore import Contact, Outcome
from upsertcore.book.book import Book
from upsertcore.errors import ChangesNotRetained
from upsertcore.store.journal import Entry

__all__ = ["Feed", "Missed", "Search"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS position (feed TEXT NOT NULL, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS found (id TEXT PRIMARY KEY, words TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (feed TEXT, number INTEGER, told TEXT NOT NULL,
    PRIMARY KEY (feed, number));
"""


class Missed(Exception):
    """A change is missing between those taken in and those delivered."""


@define
class Feed:
    """The book of a service; *name* is new for each book and after each purge."""

    name: str
    book: Book


@define
class Search:
    """An index of contacts by words, and an outbox with a line for each change."""

    connection: sqlite3.Connection

    def catch_up(self, feed: Feed) -> None:
        """Take in what has changed; start again where that is not all retained."""
        while True:
            name, number = self.position()
            try:
                if name == feed.name:
                    return self.take(name, feed.book.changes_since(number))
            except (ChangesNotRetained, Missed):
                pass
            self.start_anew(feed)

    def take(self, name: str, entries: Iterable[Entry]) -> None:
        """Take in the delivered changes, perhaps again, in one transaction."""
        with self._transaction():
            known, number = self.position()
            for entry in entries:
                if name != known or entry.number > number + 1:
                    raise Missed
                if entry.number == number + 1:
                    self._take(name, entry)
                    number = entry.number
            self.connection.execute("UPDATE position SET number = ?", (number,))

    def start_anew(self, feed: Feed) -> None:
        """Index the contacts as they are, and go on from there."""
        # In this order: a change made meanwhile is taken in later, perhaps twice.
        name, number, rows = feed.name, last_not_retained(feed.book), feed.book.dump()
        with self._transaction():
            self.connection.execute("DELETE FROM position")
            self.connection.execute("DELETE FROM found")
            for row in rows:
                self._put(Contact.from_dict(row))
            sql = "INSERT INTO position (feed, number) VALUES (?, ?)"
            self.connection.execute(sql, (name, number))

    def position(self) -> tuple[str, int]:
        """Return the feed that is followed, and the number of its last change here."""
        row = self.connection.execute("SELECT feed, number FROM position").fetchone()
        return row or ("", 0)

    def _take(self, name: str, entry: Entry) -> None:
        if entry.outcome is None:  # A purge names no contact.
            return
        removed, present = contacts_after(entry.outcome)
        for id in removed:
            self.connection.execute("DELETE FROM found WHERE id = ?", (id,))
        for contact in present:
            self._put(contact)
        line = f"{entry.outcome.result} {entry.outcome.contact.id}"
        sql = "INSERT INTO outbox (feed, number, told) VALUES (?, ?, ?)"
        self.connection.execute(sql, (name, entry.number, line))

    def _put(self, contact: Contact) -> None:
        words = " ".join(map(str, contact.fields.values())).lower()
        self.connection.execute("DELETE FROM found WHERE id = ?", (contact.id,))
        if contact.deleted_at is None:
            sql = "INSERT INTO found (id, words) VALUES (?, ?)"
            self.connection.execute(sql, (contact.id, words))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        with self.connection:  # Commits, or rolls back.
            yield


def contacts_after(outcome: Outcome) -> tuple[list[str], list[Contact]]:
    """Return the ids of contacts that are removed, and the contacts that are there."""
    contact = outcome.contact
    if outcome.result in ("deleted", "undone") and contact == outcome.before:
        return [contact.id], []
    if outcome.result == "undone":
        return [], [contact, *outcome.merged]
    return [absorbed.id for absorbed in outcome.merged], [contact]


def last_not_retained(book: Book) -> int:
    """Return the number after which all changes are retained."""
    try:
        book.changes_since(0)
    except ChangesNotRetained as error:
        return error.first - 1
    return 0
