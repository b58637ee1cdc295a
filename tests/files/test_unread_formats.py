"""Formats that are not read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import sqlite3
import tarfile
from pathlib import Path

import pytest

from upsertcore.files.columns import Columns
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import UnreadableFile

CARD_2_1 = b"BEGIN:VCARD\r\nN:Lind;Bo\r\nVERSION:2.1\r\nEND:VCARD\r\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def tar() -> bytes:
    """Return a tar archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("leads.csv"))
    return file.getvalue()


def refusal(content: bytes, name: str = "leads.csv") -> str:
    """Return why a file is not read."""
    with pytest.raises(UnreadableFile) as caught:
        list(read_rows(io.BytesIO(content), name, Columns({})))
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "is a PDF document; export the data as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "is an old Excel workbook (.xls), "),
        (b"\0\1\0\0Standard Jet DB\0", "is an Access database; export its table"),
        (b"\0\1\0\0Standard ACE DB\0", "is an Access database; export its table"),
        (b"!BDN\0\0", "is an Outlook data file (.pst); export the contacts"),
        (bz2.compress(b"a\n1\n"), "is compressed with bzip2; unpack it first"),
        (lzma.compress(b"a\n1\n"), "is compressed with xz; unpack it first"),
        (b"\x28\xb5\x2f\xfd\x04", "is compressed with zstd; unpack it first"),
        (b"\x04\x22\x4d\x18\x04", "is compressed with lz4; unpack it first"),
        (b"\x1f\x9d\x90", "is compressed with compress (.Z); unpack it first"),
        (gzip.compress(gzip.compress(b"a")), "is compressed with gzip twice; unpack"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "is a 7z archive; unpack it first"),
        (b"Rar!\x1a\7\1\0", "is a RAR archive; unpack it first"),
        (gzip.compress(tar()), "is a tar archive; unpack it first"),
        (b"ARROW1\0\0", "is an Arrow file; write it as Parquet or CSV"),
        (b"Obj\1\4", "is an Avro file; write it as JSON Lines or Parquet"),
        (b"{\\rtf1\\ansi", "is an RTF document; export the data as CSV"),
        (PNG, "is a PNG image; an image holds no rows"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "is a JPEG image"),
        (b"GIF89a", "is a GIF image"),
        (b"II*\0\x08", "is a TIFF image"),
        (b"MM\0*\0", "is a TIFF image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "is a WebP image"),
        (b"\0\0\0\x18ftypheic", "is a HEIC image"),
        (b"\n <!DOCTYPE html>\n<p>", "is HTML; open it in a spreadsheet and save it"),
        (b"\xef\xbb\xbf<TABLE border=1><tr>", "is HTML; open it in a spreadsheet"),
        ("<html><table>".encode("utf-16"), "is HTML; open it in a spreadsheet"),
        (b'<?xml version="1.0"?>\n<Workbook>', "is XML; open it in a spreadsheet"),
        (CARD_2_1, "is vCard 2.1; export it as vCard 3.0 or 4.0, or as CSV"),
        (b"dn: cn=Ada\nobjectclass: person\n", "is LDIF; export it as CSV"),
        (random.Random(1).randbytes(9_000), "is binary data of an unknown format"),
        (bytes(100), "is binary data of an unknown format"),
    ],
    ids=str,
)
def test_format_that_is_not_read_is_named_with_a_remedy(
    content: bytes, message: str
) -> None:
    """Whatever its name."""
    assert message in refusal(content)
    assert message in refusal(content, "-")


def test_sqlite_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "contacts.db"
    connection = sqlite3.connect(path)
    connection.execute("create table contacts (email text)")
    connection.commit()
    connection.close()

    assert "is an SQLite database; export its table" in refusal(path.read_bytes())


@pytest.mark.parametrize(
    "content",
    [
        b"ORCID,name\n0,Ada\n",
        b"BZh,leftypes,mustard\n1,2,3\n",
        b"a\x1fb\n1\x1f2\n",
        b"a,b\n1,\x0c2\n",
        b"a\n\0\n\1\n",
        b"dn,email\n1,2\n",
    ],
)
def test_text_with_a_similar_beginning_is_read(content: bytes) -> None:
    assert list(read_rows(io.BytesIO(content), "leads.csv", Columns({})))
