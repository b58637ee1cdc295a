"""The book file: whole or not at all."""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from upsertcore import Contact
from upsertcore.cli.bookfile import BadBook, Reader, _sync_folder, identity, save

NOW = datetime(2024, 1, 2, tzinfo=UTC)
ADA = Contact("c-1", "", {"name": "Zoë"}, 1, NOW, NOW)


def saved(path: Path, *contacts: Contact) -> bytes:
    """Save a book, and give its bytes."""
    save(path, "Anduin", {}, contacts, identity(path))
    return path.read_bytes()


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    """The profile, its options and the contacts, one a line."""
    path = tmp_path / "b.jsonl"
    save(path, "LeadConnector", {"region": "US"}, [ADA, ADA], None)
    with path.open("rb") as stream:
        reader = Reader(stream)

        assert (reader.profile, reader.options) == ("LeadConnector", {"region": "US"})
        assert list(reader) == [ADA.to_dict(), ADA.to_dict()]
        assert reader.line == 3
    assert "Zoë" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1: is no usable JSON"),
        (b"\xff", "line 1: is not UTF-8 text"),
        (b"[]", "line 1: must say that this is an upsertcore book 1"),
        (b'{"format": "upsertcore book 2"}', "line 1: must say"),
        (b'{"format": "upsertcore book 1"}', "line 1: must name a profile"),
        (
            b'{"format": "upsertcore book 1", "profile": "X", "options": {"a": 1}}',
            "line 1: must name a profile",
        ),
    ],
    ids=map(str, range(6)),
)
def test_what_is_no_book(content: bytes, words: str) -> None:
    """The first line says so."""
    with pytest.raises(BadBook, match=words):
        Reader(io.BytesIO(content))


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    """A later line that is no JSON is told of by its number."""
    content = saved(tmp_path / "b.jsonl", ADA)
    with pytest.raises(BadBook, match="line 3: is no usable JSON"):
        list(Reader(io.BytesIO(content + b"{")))


class Killed(BaseException):
    """What ends a run in the middle."""


def dying() -> Iterator[Contact]:
    """Give one contact and die."""
    yield ADA
    raise Killed


def test_a_run_that_dies_leaves_the_old_book(tmp_path: Path) -> None:
    """Nothing is written over, and nothing is left beside it."""
    path = tmp_path / "b.jsonl"
    before = saved(path, ADA)
    with pytest.raises(Killed):
        save(path, "Anduin", {}, dying(), identity(path))

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_book_that_somebody_else_replaced(tmp_path: Path) -> None:
    """It is not written over."""
    path = tmp_path / "b.jsonl"
    seen = identity(path)
    before = saved(path, ADA)
    with pytest.raises(BadBook, match="changed by somebody else"):
        save(path, "Anduin", {}, [], seen)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The book is replaced all the same."""
    monkeypatch.setitem(sys.modules, "fcntl", None)

    assert saved(tmp_path / "b.jsonl", ADA).count(b"\n") == 2


def test_two_runs_at_once(tmp_path: Path) -> None:
    """Of two that began with the same book, one is told that it came too late."""
    path = tmp_path / "b.jsonl"
    saved(path)
    seen = identity(path)
    told: list[str] = []
    together = threading.Barrier(8)

    def late() -> None:
        together.wait()
        try:
            save(path, "Anduin", {}, [ADA], seen)
        except BadBook as error:
            told.append(str(error))

    threads = [threading.Thread(target=late) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(told) == 7
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    """A private book stays private, and a link stays a link."""
    path, link = tmp_path / "b.jsonl", tmp_path / "link.jsonl"
    saved(path, ADA)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    path.chmod(0o600)
    link.symlink_to(path)
    saved(link, ADA, ADA)

    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().count(b"\n") == 3


def test_a_folder_that_cannot_be_synced(tmp_path: Path) -> None:
    """Some systems cannot sync a folder; that ends nothing."""
    _sync_folder(tmp_path / "missing")
