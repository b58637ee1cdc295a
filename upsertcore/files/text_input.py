"""
The text of a stream of bytes, in the encoding that it has or that the caller names.

Rules:
    UTF-8 and UTF-16 are recognised, with or without a byte order mark; UTF-32 with one.
    A byte that is no character becomes a lone surrogate, which makes its row an error.
    The stream belongs to the caller and is never closed.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable
from typing import Any, BinaryIO

from attrs import define

from upsertcore.files.gzip_input import DamagedGzip

__all__ = ["BLOCK", "NO_TEXT", "Peeked", "decode", "no_text", "peek"]

BLOCK = 1 << 16
"""The number of bytes that are read at once."""

NO_TEXT = "is not UTF-8 text"
"""The error of a row with a byte that is no character of its encoding."""

_BLANK = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"
_UTF_32_MARKS = {b"\xff\xfe\0\0", b"\0\0\xfe\xff"}
_UTF_16_MARKS = {b"\xff\xfe", b"\xfe\xff"}
# Their codecs take no bytes for characters that do not exist.
_WIDE = ("utf-16", "utf-32")


def no_text(encoding: str) -> str:
    """
    Return the error of a row with an undecodable byte.

    Args:
        encoding: The encoding that the caller named or that was recognised.

    >>> no_text("cp1252")
    'is not cp1252 text'
    """
    if encoding != "utf-8-sig":
        return f"is not {encoding} text"
    return f"{NO_TEXT}; for an older export, try encoding=cp1252 or latin-1"


class _Prefixed(io.RawIOBase):
    """A stream with bytes already read from it put back at the front."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] or _read_available(self._stream, len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def _read_available(stream: BinaryIO, size: int) -> bytes:
    """Read what is available; block only if nothing is."""
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    return read(size)


@define
class Peeked:
    """
    A stream of which the first bytes are known.

    Args:
        head: Its first bytes.
        stream: All of it.
    """

    head: bytes
    stream: io.BufferedReader


def peek(source: BinaryIO, least: int = 4) -> Peeked:
    """
    Read the first bytes of a stream.

    Args:
        source: The stream.
        least: The number of bytes that are read, if there are as many.

    >>> peek(io.BytesIO(b"email")).head
    b'email'
    """
    head = b""
    # A pipe may deliver single bytes: read a byte order mark and a full character.
    while len(head) < least or len(head) % 2 or not head.strip(_BLANK):
        try:
            data = _read_available(source, BLOCK)
        except DamagedGzip:
            break  # it is raised again after what could be read
        head += data
        if not data or len(head) > BLOCK:
            break
    return Peeked(head, io.BufferedReader(_Prefixed(head, source)))


def decode(source: Peeked, encoding: str) -> tuple[io.TextIOWrapper, str]:
    r"""
    Return the text of a stream, and the beginning of it.

    Args:
        source: The stream.
        encoding: The encoding that the caller names, if any.

    >>> text, beginning = decode(peek(io.BytesIO(b"caf\xe9")), "latin-1")
    >>> text.read()
    'café'
    """
    head = source.head
    codec = _codec(head, encoding) if encoding else _recognise(head)
    # Undecodable bytes become lone surrogates, which make their row an error.
    errors = "surrogatepass" if codec.startswith(_WIDE) else "surrogateescape"
    beginning = head.decode(codec, errors="ignore")
    return io.TextIOWrapper(source.stream, codec, errors, newline=""), beginning


def _codec(head: bytes, encoding: str) -> str:
    name = codecs.lookup(encoding).name
    if name.startswith("utf-16") and head[:2] in _UTF_16_MARKS:
        return "utf-16"
    return "utf-8-sig" if name == "utf-8" else name


def _recognise(head: bytes) -> str:
    if head[:4] in _UTF_32_MARKS:
        return "utf-32"
    if head[:2] in _UTF_16_MARKS:
        return "utf-16"
    # Without a mark, assume that the first character is ASCII, as in most headers.
    first, second = head[0:1], head[1:2]
    if b"\0" not in (first, second) or first == second:
        return "utf-8-sig"
    return "utf-16-le" if second == b"\0" else "utf-16-be"
