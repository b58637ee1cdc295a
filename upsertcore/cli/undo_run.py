"""
Undoing a run by the outcomes that it wrote.

Rules:
    The last outcome is undone first; if one cannot be undone, none is.
    A book file does not keep where a merged contact was in the order of creation: it is
    put back by its time of creation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from upsertcore.book.contact_book import ContactBook
from upsertcore.cli.profile_session import Session
from upsertcore.cli.usage import InvalidUsage
from upsertcore.engine.outcome import Outcome
from upsertcore.errors import StaleOutcome, UnknownContact
from upsertcore.files.json_rows import parse_json
from upsertcore.model.contact import Contact
from upsertcore.values import thaw

__all__ = ["read_outcomes", "undo_outcomes"]

_UNDONE = {"created", "updated", "merged"}
_NAMES = {"id", "scope", "version", "changes"}


def read_outcomes(path: Path, line: int | None = None) -> list[tuple[int, Any]]:
    """
    Read the outcomes of a run that changed something.

    Args:
        path: The file.
        line: Only this line.

    Returns:
        The number of each line, and the outcome; the last one first.

    Raises:
        InvalidUsage: If the file has no such outcomes.
        OSError: If it cannot be read.
    """
    lines = []
    with path.open(encoding="utf-8") as stream:
        for number, text in enumerate(stream, 1):
            if line in (None, number):
                lines.append((number, _parse(f"{path}: line {number}", text)))
    if line is not None and not lines:
        raise InvalidUsage(f"--line: {path} has no line {line}")
    return [pair for pair in reversed(lines) if pair[1]["result"] in _UNDONE]


def _parse(place: str, text: str) -> Any:
    try:
        outcome = parse_json(text)
    except ValueError as error:
        raise InvalidUsage(f"{place}: {error}") from error
    if not isinstance(outcome, dict) or "result" not in outcome:
        raise InvalidUsage(f"{place}: is no outcome; give the file of --outcomes")
    if outcome["result"] in _UNDONE and not outcome.keys() >= _NAMES:
        raise InvalidUsage(f"{place}: cannot be undone: an earlier version wrote it")
    return outcome


def undo_outcomes(
    lines: Sequence[tuple[int, Any]], session: Session
) -> Sequence[Outcome]:
    """
    Undo outcomes in the book of a session.

    Args:
        lines: As :func:`read_outcomes` returns them.
        session: The session.

    Raises:
        InvalidUsage: If one cannot be undone.
    """
    return [_undo(session, number, line) for number, line in lines]


def _undo(session: Session, number: int, line: Any) -> Outcome:
    book, owner = session.profile.book, session.profile
    try:
        now = book.get(line["id"], scope=line["scope"])
        _check_unchanged(now, line)
        before = Contact.from_dict(line["before"]) if "before" in line else None
        merged = tuple(map(Contact.from_dict, line.get("merged", ())))
        outcome = Outcome(line["result"], now, before, merged=merged)
        if not merged or session.database is not None:
            return book.undo(outcome)
        own: Any = owner
        own.book = _split(book, outcome)
        return Outcome("undone", before, now, merged=merged)  # type: ignore[arg-type]
    except (StaleOutcome, UnknownContact, ValueError, KeyError, TypeError) as error:
        raise InvalidUsage(f"line {number}: cannot be undone: {error}") from error


def _check_unchanged(now: Contact, line: Any) -> None:
    """Check that a contact is as the run left it."""
    names = [
        name
        for name, (_before, after) in line["changes"].items()
        if thaw(now.get(name)) != after
    ]
    if names or now.id != line["id"] or now.version != line["version"]:
        what = f"contact {line['id']} has changed since"
        raise StaleOutcome(f"{what} ({', '.join(names)})" if names else what)


def _split(book: Any, outcome: Outcome) -> ContactBook:
    """Return the book without a merge."""
    gone = outcome.contact.scope, outcome.contact.id
    contacts = [one for one in book if (one.scope, one.id) != gone]
    back = [outcome.before, *outcome.merged]
    rows = [one.to_dict() for one in (*contacts, *back) if one is not None]
    return ContactBook.load(book.policy, rows)
