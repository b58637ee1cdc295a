"""
Gzip input, decompressed while it is read.

Rules:
    Gzip is recognised by its first bytes, whatever the name.
    Memory holds one block.
    Damaged or truncated data ends the run; what was read before it stays read.
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Any, BinaryIO

from upsertcore.files.rows import UnreadableFile

__all__ = ["DamagedGzip", "decompress", "is_gzip", "name_inside"]

_MAGIC = b"\x1f\x8b\x08"


class DamagedGzip(UnreadableFile):
    """
    Gzip data that cannot be decompressed to its end.

    >>> str(DamagedGzip("the gzip data is damaged"))
    'the gzip data is damaged'
    """


def is_gzip(head: bytes) -> bool:
    r"""
    Return whether the first bytes of a file are those of gzip.

    >>> is_gzip(b"\x1f\x8b\x08\0"), is_gzip(b"email")
    (True, False)
    """
    return head.startswith(_MAGIC)


def name_inside(name: str) -> str:
    """
    Return the name of the file inside a gzip file.

    >>> name_inside("leads.ndjson.gz"), name_inside("-")
    ('leads.ndjson', '-')
    """
    return name[:-3] if name.lower().endswith(".gz") else name


class _Decompressed(io.RawIOBase):
    """The data of a gzip stream; errors of any layer become one."""

    def __init__(self, stream: BinaryIO) -> None:
        self._file = gzip.GzipFile(fileobj=stream, mode="rb")
        self._problem = ""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b"" if self._problem else self._read(len(buffer))
        if self._problem:
            raise DamagedGzip(self._problem)
        buffer[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read1(size)
        except EOFError:
            self._problem = "the gzip data is truncated"
        except (gzip.BadGzipFile, zlib.error) as error:
            self._problem = f"the gzip data is damaged ({error})"
        return b""


def decompress(stream: BinaryIO) -> BinaryIO:
    """
    Return the decompressed data of a gzip stream, which stays open.

    Args:
        stream: The stream.

    >>> decompress(io.BytesIO(gzip.compress(b"email"))).read()
    b'email'
    """
    return io.BufferedReader(_Decompressed(stream))
