"""
A reader of a book's changes: what it makes is right, however often it is killed.

Rules:
    Its position is written in the transaction that writes what was made of a change,
    so a change is taken in once, however often it is delivered.
    Whoever has missed changes that are not kept any more starts anew from a dump.
    A feed has a name, and another one counts from 1 anew: a host names it when it
    makes the book, and again after a purge, which tells nobody whom it was about.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from attrs import define

from upsertcore import Contact, ContactBook, Outcome
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
    """Between what was taken in and what is delivered something is missing."""


@define
class Feed:
    """What a service gives of its book; *name* is new for each book and purge."""

    name: str
    book: ContactBook


@define
class Search:
    """Contacts by the words in them, and an outbox with a line for each change."""

    connection: sqlite3.Connection

    def catch_up(self, feed: Feed) -> None:
        """Take in what has changed; start anew where that is not all kept any more."""
        while True:
            name, number = self.position()
            try:
                if name == feed.name:
                    return self.take(name, feed.book.changes_since(number))
            except (ChangesNotRetained, Missed):
                pass
            self.start_anew(feed)

    def take(self, name: str, entries: Iterable[Entry]) -> None:
        """Take in what was delivered, perhaps again, in one transaction."""
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
        """Make everything of the contacts as they are, and go on from there."""
        # In this order: what happens meanwhile is taken in later, perhaps twice.
        name, number, rows = feed.name, oldest(feed.book), feed.book.dump()
        with self._transaction():
            self.connection.execute("DELETE FROM position")
            self.connection.execute("DELETE FROM found")
            for row in rows:
                self._put(Contact.from_dict(row))
            sql = "INSERT INTO position (feed, number) VALUES (?, ?)"
            self.connection.execute(sql, (name, number))

    def position(self) -> tuple[str, int]:
        """Give the feed that is followed, and the number of its last change here."""
        found = self.connection.execute("SELECT feed, number FROM position").fetchone()
        return found or ("", 0)

    def _take(self, name: str, entry: Entry) -> None:
        if entry.outcome is None:  # Whom it was about is forgotten.
            return
        gone, there = left_by(entry.outcome)
        for id in gone:
            self.connection.execute("DELETE FROM found WHERE id = ?", (id,))
        for contact in there:
            self._put(contact)
        told = f"{entry.outcome.result} {entry.outcome.contact.id}"
        sql = "INSERT INTO outbox (feed, number, told) VALUES (?, ?, ?)"
        self.connection.execute(sql, (name, entry.number, told))

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


def left_by(outcome: Outcome) -> tuple[list[str], list[Contact]]:
    """Give the ids of contacts that are gone, and the contacts that are there."""
    contact = outcome.contact
    if outcome.result in ("deleted", "undone") and contact == outcome.before:
        return [contact.id], []
    if outcome.result == "undone":
        return [], [contact, *outcome.merged]
    return [each.id for each in outcome.merged], [contact]


def oldest(book: ContactBook) -> int:
    """Give the number after which all changes are kept."""
    try:
        book.changes_since(0)
    except ChangesNotRetained as error:
        return error.first - 1
    return 0
