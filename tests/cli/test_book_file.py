"""The book file: complete or unchanged."""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import pytest

import upsertcore
from upsertcore import Contact
from upsertcore.book.loading import rows_of
from upsertcore.cli.book_file import (
    BadBook,
    BookReader,
    file_identity,
    origin_of,
    save_book,
)

NOW = datetime(2024, 1, 2, tzinfo=UTC)
ADA = Contact("c-1", "", {"name": "Zoë"}, 1, NOW, NOW)


def saved_bytes(path: Path, *contacts: Contact) -> bytes:
    """Save a book, and return its bytes."""
    save_book(path, "Anduin", {}, contacts, file_identity(path))
    return path.read_bytes()


def test_saved_book_is_read_with_profile_options_and_contacts(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    save_book(path, "LeadConnector", {"region": "US"}, [ADA, ADA], None)
    with path.open("rb") as stream:
        reader = BookReader(stream)

        assert (reader.profile, reader.options) == ("LeadConnector", {"region": "US"})
        assert list(reader) == [*rows_of([ADA, ADA])]
        assert reader.line == 4
        assert reader.policy is None
        assert reader.origin == origin_of(None)
    assert "Zoë" in path.read_text(encoding="utf-8")


def test_saved_book_has_the_text_of_its_policy(tmp_path: Path) -> None:
    """The checksum covers it."""
    path = tmp_path / "b.jsonl"
    save_book(path, "Anduin", {}, [ADA], None, policy='match = "never"\n')
    content = path.read_bytes()
    reader = BookReader(io.BytesIO(content))

    assert reader.policy == 'match = "never"\n'
    assert reader.origin == origin_of('match = "never"\n')
    assert list(reader) == [*rows_of([ADA])]
    with pytest.raises(BadBook, match="does not match the lines before it"):
        list(BookReader(io.BytesIO(content.replace(b"never", b"maybe"))))


def test_origin_has_the_policy_and_all_that_normalises() -> None:
    """The digest is that of the text, and a package that is missing has no version."""
    origin = origin_of('match = "never"\n')
    extras = {name for name in ("phonenumbers", "idna", "jellyfish") if find_spec(name)}

    assert origin["policy_sha256"] == sha256(b'match = "never"\n').hexdigest()
    assert origin["normalisers"].keys() == {"upsertcore", "unicode", *extras}
    assert origin["normalisers"]["upsertcore"] == upsertcore.__version__
    assert origin["normalisers"]["unicode"] == unicodedata.unidata_version
    assert origin != origin_of('match = "other"\n')


@pytest.mark.parametrize("origin", [b"", b', "normalisers": 3, "policy_sha256": []'])
def test_book_with_another_origin_is_read(origin: bytes) -> None:
    """It is only compared."""
    head = b'{"format": "upsertcore book 1", "profile": "Anduin", "options": {}%b}'

    assert BookReader(io.BytesIO(head % origin)).origin != origin_of(None)


@pytest.mark.parametrize(
    ("content", "message"),
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
        (
            b'{"format": "upsertcore book 1", "profile":"", "options":{}, "policy":1}',
            "line 1: the policy must be text",
        ),
    ],
    ids=map(str, range(7)),
)
def test_file_that_is_no_book_is_refused(content: bytes, message: str) -> None:
    """The first line identifies a book."""
    with pytest.raises(BadBook, match=message):
        BookReader(io.BytesIO(content))


def test_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    content = saved_bytes(tmp_path / "b.jsonl", ADA).replace(b'{"place"', b"{place")
    with pytest.raises(BadBook, match="line 2: is not valid JSON"):
        list(BookReader(io.BytesIO(content)))


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_truncated_book_is_refused(tmp_path: Path, lines: int) -> None:
    """The last line counts the contacts."""
    content = saved_bytes(tmp_path / "b.jsonl", ADA, ADA)
    truncated = b"".join(content.splitlines(keepends=True)[:lines])
    message = f"the file is truncated after line {lines}: no closing line"
    with pytest.raises(BadBook, match=message):
        list(BookReader(io.BytesIO(truncated)))


def test_book_truncated_at_any_byte_is_refused(tmp_path: Path) -> None:
    """Only the final line break may be missing."""
    content = saved_bytes(tmp_path / "b.jsonl", ADA)
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
def test_changed_book_is_refused(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    """The last line has a checksum of all lines before it."""
    eve = Contact("c-2", "", {"name": "Eve"}, 1, NOW, NOW)
    content = saved_bytes(tmp_path / "b.jsonl", ADA, eve)
    content_after_change = b"".join(change(content.splitlines(keepends=True)))
    with pytest.raises(BadBook, match="does not match the lines before it"):
        list(BookReader(io.BytesIO(content_after_change)))


def test_content_after_the_last_line_is_refused(tmp_path: Path) -> None:
    content = saved_bytes(tmp_path / "b.jsonl", ADA)
    with pytest.raises(BadBook, match="line 4: follows the closing line of the book"):
        list(BookReader(io.BytesIO(content + content)))


def test_book_of_format_1_is_read(tmp_path: Path) -> None:
    """It has no closing line."""
    path = tmp_path / "b.jsonl"
    lines = saved_bytes(path, ADA).splitlines(keepends=True)
    former = lines[0].replace(b"book 2", b"book 1") + lines[1]

    assert [*rows_of([ADA])] == list(BookReader(io.BytesIO(former)))


class Killed(BaseException):
    """The exception that ends a run."""


def interrupted_contacts() -> Iterator[Contact]:
    """Yield one contact, and raise."""
    yield ADA
    raise Killed


def test_failed_save_leaves_the_old_book(tmp_path: Path) -> None:
    """No temporary file stays."""
    path = tmp_path / "b.jsonl"
    before = saved_bytes(path, ADA)
    with pytest.raises(Killed):
        save_book(path, "Anduin", {}, interrupted_contacts(), file_identity(path))

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_book_replaced_by_another_program_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    identity = file_identity(path)
    before = saved_bytes(path, ADA)
    with pytest.raises(BadBook, match="changed by another program during this run"):
        save_book(path, "Anduin", {}, [], identity)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_system_without_locks_saves_the_book(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)

    assert saved_bytes(tmp_path / "b.jsonl", ADA).count(b"\n") == 3


def test_concurrent_saves_of_one_book_let_one_succeed(tmp_path: Path) -> None:
    """The others are refused."""
    path = tmp_path / "b.jsonl"
    saved_bytes(path)
    identity = file_identity(path)
    errors: list[str] = []
    barrier = threading.Barrier(8)

    def save() -> None:
        barrier.wait()
        try:
            save_book(path, "Anduin", {}, [ADA], identity)
        except BadBook as error:
            errors.append(str(error))

    threads = [threading.Thread(target=save) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(errors) == 7
    assert list(tmp_path.iterdir()) == [path]


def test_save_keeps_permissions_and_links(tmp_path: Path) -> None:
    path, link = tmp_path / "b.jsonl", tmp_path / "link.jsonl"
    saved_bytes(path, ADA)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    path.chmod(0o600)
    link.symlink_to(path)
    saved_bytes(link, ADA, ADA)

    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().count(b"\n") == 4
