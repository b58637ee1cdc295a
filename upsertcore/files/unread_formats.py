"""
Formats that are not read, recognised by their first bytes.

Rules:
    The message names the format, and what makes a readable file of it.
    Text that no signature fits is text; control characters make it binary data.
"""

from __future__ import annotations

import re

from upsertcore.files.rows import UnreadableFile

__all__ = ["check_bytes", "check_text"]

_AS_CSV = "open it in a spreadsheet and save it as xlsx or CSV"
_UNPACK = "unpack it first"
_TABLE = "export its table as CSV"
_IMAGE = "an image holds no rows"

# First bytes, what they are, and what to do.
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF-", "a PDF document", "export the data as CSV"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Excel workbook (.xls), an encrypted one or another OLE2 file",
        _AS_CSV,
    ),
    (b"\0\1\0\0Standard Jet DB", "an Access database", _TABLE),
    (b"\0\1\0\0Standard ACE DB", "an Access database", _TABLE),
    (b"SQLite format 3\0", "an SQLite database", _TABLE),
    (b"!BDN", "an Outlook data file (.pst)", "export the contacts as CSV"),
    (b"\xfd7zXZ\0", "compressed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
    (b"\x04\x22\x4d\x18", "compressed with lz4", _UNPACK),
    (b"\x1f\x9d", "compressed with compress (.Z)", _UNPACK),
    (b"\x1f\x8b", "compressed with gzip twice", _UNPACK),
    (b"PK\3\4", "a ZIP archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\7", "a RAR archive", _UNPACK),
    (b"ARROW1", "an Arrow file", "write it as Parquet or CSV"),
    (b"Obj\1", "an Avro file", "write it as JSON Lines or Parquet"),
    (b"{\\rtf", "an RTF document", "export the data as CSV"),
    (b"\x89PNG", "a PNG image", _IMAGE),
    (b"\xff\xd8\xff", "a JPEG image", _IMAGE),
    (b"GIF8", "a GIF image", _IMAGE),
    (b"II*\0", "a TIFF image", _IMAGE),
    (b"MM\0*", "a TIFF image", _IMAGE),
)
_AT: tuple[tuple[int, bytes, str, str], ...] = (
    (4, b"1AY&SY", "compressed with bzip2", _UNPACK),
    (257, b"ustar\0", "a tar archive", _UNPACK),
    (257, b"ustar  \0", "a tar archive", _UNPACK),
    (8, b"WEBPVP8", "a WebP image", _IMAGE),
    (4, b"ftypheic", "a HEIC image", _IMAGE),
    (4, b"ftypmif1", "a HEIC image", _IMAGE),
)
_TEXTS: tuple[tuple[str, str, str], ...] = (
    (r"(?is)\s*(<!doctype html|<html|<head|<meta|<body|<table)", "HTML", _AS_CSV),
    (r"(?is)\s*<\?xml", "XML", _AS_CSV),
    (
        r"(?is)\s*BEGIN:VCARD\s(?:(?!END:VCARD).)*?\nVERSION:2\.1",
        "vCard 2.1",
        "export it as vCard 3.0 or 4.0, or as CSV",
    ),
    (r"(?is)\s*(version:\s*1\s+)?dn:.*\nobjectclass:", "LDIF", "export it as CSV"),
)
_CONTROLS = re.compile("[\0\2-\10\16-\31\34-\36\177]")
_SAMPLE = 4096


def check_bytes(head: bytes) -> None:
    """
    Check that a file is not of a format that is known and not read.

    Args:
        head: Its first bytes.

    Raises:
        UnreadableFile: If it is.

    >>> check_bytes(b"%PDF-1.7 ...")
    Traceback (most recent call last):
    ...
    upsertcore.files.rows.UnreadableFile: is a PDF document; export the data as CSV
    """
    for signature, what, remedy in _SIGNATURES:
        if head.startswith(signature):
            raise _unread(what, remedy)
    for place, signature, what, remedy in _AT:
        if head.startswith(signature, place):
            raise _unread(what, remedy)


def check_text(beginning: str) -> None:
    """
    Check that text is not of a format that is known and not read.

    Args:
        beginning: Its first characters.

    Raises:
        UnreadableFile: If it is, or if it is binary data.

    >>> check_text("<html><table>")
    Traceback (most recent call last):
    ...
    upsertcore.files.rows.UnreadableFile: is HTML; open it in a spreadsheet and ...
    """
    for pattern, what, remedy in _TEXTS:
        if re.match(pattern, beginning):
            raise _unread(what, remedy)
    sample = beginning[:_SAMPLE]
    controls = len(_CONTROLS.findall(sample))
    if controls > 2 and controls * 20 > len(sample):
        raise _unread("binary data of an unknown format", "export the data as CSV")


def _unread(what: str, remedy: str) -> UnreadableFile:
    return UnreadableFile(f"is {what}; {remedy}")
