"""The book file: whole or not at all."""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from upsertcore import Contact
from upsertcore.book.loading import rows_of
from upsertcore.cli.book_file import BadBook, BookReader, file_identity, save_book

NOW = datetime(2024, 1, 2, tzinfo=UTC)
ADA = Contact("c-1", "", {"name": "Zoë"}, 1, NOW, NOW)


def saved(path: Path, *contacts: Contact) -> bytes:
    """Save a book, and give its bytes."""
    save_book(path, "Anduin", {}, contacts, file_identity(path))
    return path.read_bytes()


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    """The profile, its options and the contacts, one a line."""
    path = tmp_path / "b.jsonl"
    save_book(path, "LeadConnector", {"region": "US"}, [ADA, ADA], None)
    with path.open("rb") as stream:
        reader = BookReader(stream)

        assert (reader.profile, reader.options) == ("LeadConnector", {"region": "US"})
        assert list(reader) == [*rows_of([ADA, ADA])]
        assert reader.line == 4
    assert "Zoë" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1: is not valid JSON"),
        (b"\xff", "line 1: is not UTF-8 text"),
        (b"[]", "line 1: the format must be 'upsertcore book 2' or"),
        (b'{"format": "upsertcore book 3"}', "1', not 'upsertcore book 3'"),
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
        BookReader(io.BytesIO(content))


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    """A later line that is no JSON is told of by its number."""
    content = saved(tmp_path / "b.jsonl", ADA).replace(b'{"place"', b"{place")
    with pytest.raises(BadBook, match="line 2: is not valid JSON"):
        list(BookReader(io.BytesIO(content)))


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_book_that_was_cut_is_refused(tmp_path: Path, lines: int) -> None:
    """The last line counts the contacts; a file without it was cut."""
    content = saved(tmp_path / "b.jsonl", ADA, ADA)
    cut = b"".join(content.splitlines(keepends=True)[:lines])
    words = f"the file is truncated after line {lines}: no closing line"
    with pytest.raises(BadBook, match=words):
        list(BookReader(io.BytesIO(cut)))


def test_a_book_that_was_cut_at_any_byte_is_refused(tmp_path: Path) -> None:
    """Nothing but the end of its last line may be missing."""
    content = saved(tmp_path / "b.jsonl", ADA)
    for size in range(len(content) - 1):
        with pytest.raises(BadBook):
            list(BookReader(io.BytesIO(content[:size])))

    assert [*rows_of([ADA])] == list(BookReader(io.BytesIO(content[:-1])))


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [*lines[:2], *lines[1:]],
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        lambda lines: [lines[0].replace(b"Anduin", b"SegMetrics"), *lines[1:]],
        lambda lines: [
            *lines[:3],
            lines[3].replace(b'"contacts": 2', b'"contacts": 3'),
        ],
    ],
    ids=["a line less", "a line more", "another order", "head", "count"],
)
def test_a_book_that_was_changed_is_refused(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    """The checksum of the last line is that of all lines before it."""
    eve = Contact("c-2", "", {"name": "Eve"}, 1, NOW, NOW)
    content = saved(tmp_path / "b.jsonl", ADA, eve)
    changed = b"".join(change(content.splitlines(keepends=True)))
    with pytest.raises(BadBook, match="does not match the lines before it"):
        list(BookReader(io.BytesIO(changed)))


def test_nothing_follows_the_last_line(tmp_path: Path) -> None:
    """Two books in one file are none."""
    content = saved(tmp_path / "b.jsonl", ADA)
    with pytest.raises(BadBook, match="line 4: follows the closing line of the book"):
        list(BookReader(io.BytesIO(content + content)))


def test_a_book_of_the_former_format_is_read(tmp_path: Path) -> None:
    """It has no last line that counts; once saved, it has one."""
    path = tmp_path / "b.jsonl"
    lines = saved(path, ADA).splitlines(keepends=True)
    former = lines[0].replace(b"book 2", b"book 1") + lines[1]

    assert [*rows_of([ADA])] == list(BookReader(io.BytesIO(former)))


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
        save_book(path, "Anduin", {}, dying(), file_identity(path))

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_book_that_somebody_else_replaced(tmp_path: Path) -> None:
    """It is not written over."""
    path = tmp_path / "b.jsonl"
    seen = file_identity(path)
    before = saved(path, ADA)
    with pytest.raises(BadBook, match="changed by another program during this run"):
        save_book(path, "Anduin", {}, [], seen)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The book is replaced all the same."""
    monkeypatch.setitem(sys.modules, "fcntl", None)

    assert saved(tmp_path / "b.jsonl", ADA).count(b"\n") == 3


def test_two_runs_at_once(tmp_path: Path) -> None:
    """Of two that began with the same book, one is told that it came too late."""
    path = tmp_path / "b.jsonl"
    saved(path)
    seen = file_identity(path)
    told: list[str] = []
    together = threading.Barrier(8)

    def late() -> None:
        together.wait()
        try:
            save_book(path, "Anduin", {}, [ADA], seen)
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
    assert path.read_bytes().count(b"\n") == 4
