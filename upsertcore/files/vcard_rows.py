"""
vCard 3.0 and 4.0, through vobject.

Rules:
    Properties become fields with plain names. A property that occurs several times
    becomes a list, the preferred value first.
    A malformed card becomes a row with an error; reading continues after it.
    Photos, sounds, keys and extensions are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from upsertcore.files.columns import Columns
from upsertcore.files.csv_rows import is_text
from upsertcore.files.ready_maps import ready_map
from upsertcore.files.rows import InputRow, UnreadableFile
from upsertcore.files.text_input import NO_TEXT

__all__ = ["read_vcards"]

_CARD_LIMIT = 1 << 24
_FIELDS = {
    "FN": "name",
    "NICKNAME": "nickname",
    "EMAIL": "email",
    "TEL": "phone",
    "TITLE": "title",
    "ROLE": "role",
    "BDAY": "birthday",
    "ANNIVERSARY": "anniversary",
    "NOTE": "note",
    "URL": "url",
    "UID": "uid",
    "KIND": "kind",
}
_NAME = {
    "last_name": "family",
    "first_name": "given",
    "middle_name": "additional",
    "name_prefix": "prefix",
    "name_suffix": "suffix",
}
_ADDRESS = {
    "po_box": "box",
    "street_2": "extended",
    "street": "street",
    "city": "city",
    "region": "region",
    "postal_code": "code",
    "country": "country",
}
_BINARY = ("PHOTO", "LOGO", "SOUND", "KEY")
_DATES = ("BDAY", "ANNIVERSARY")
# The grammar of a content line, linear; the one of vobject is not.
_VALUE = r'(?:"[^"]*"|[^";:,]*)'
_PARAMETER = rf";(?:[\w-]+(?:={_VALUE}(?:,{_VALUE})*)?)?"
_LINE = re.compile(rf"(?:[\w-]+\.)?([\w-]+)(?:{_PARAMETER})*:", re.ASCII)
_COMMA = re.compile(r"(\\.)|,")
_QUOTED_COMMA = re.compile(r"(\\.)|,|=2[Cc]")
_DATE = re.compile(r"(\d{4}|--)-?(\d\d)-?(\d\d)(?:T.*)?")
_UNPREFERRED = 101


def read_vcards(text: Iterable[str], columns: Columns) -> Iterator[InputRow]:
    r"""
    Read the cards of a file.

    Args:
        text: The lines, with their line endings.
        columns: How fields are renamed.

    Raises:
        UnreadableFile: If vobject is not installed, or a card is too long.

    Cost:
        Linear in the text; memory for one card.

    >>> lines = ["BEGIN:VCARD\n", "VERSION:3.0\n", "FN:Bo Lind\n", "END:VCARD\n"]
    >>> [row.payload for row in read_vcards(lines, Columns({}))]
    [{'name': 'Bo Lind'}]
    """
    try:
        import vobject  # noqa: PLC0415 - an extra
    except ImportError:
        what = "is a vCard file, which needs vobject"
        remedy = "install upsertcore[vcard], or export it as CSV"
        raise UnreadableFile(f"{what}; {remedy}") from None
    columns.complete = False
    for line, card in _cards(text):
        try:
            payload = _payload(vobject, line, card)
        except ValueError as error:
            yield InputRow(line, error=str(error), source=card)
            continue
        record = columns.rename_record(payload, ready_map("vcard"))
        yield InputRow(line, record, cells=True)


def _cards(text: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the text of each card with its first line; text between cards as well."""
    parts: list[str] = []
    start = size = 0
    for number, line in enumerate(text, 1):
        word = line.rstrip().upper()
        if word == "BEGIN:VCARD" and parts:
            yield start, "".join(parts)
            parts = []
        if not parts:
            if not word:
                continue
            start, size = number, 0
        parts.append(line)
        size += len(line)
        if size > _CARD_LIMIT:
            problem = f"line {start}: the card that starts here is not closed"
            raise UnreadableFile(f"{problem}; the lines after it were not read")
        if word == "END:VCARD":
            yield start, "".join(parts)
            parts = []
    if parts:
        yield start, "".join(parts)


def _payload(vobject: Any, start: int, card: str) -> dict[str, Any]:
    if not is_text(card):
        raise ValueError(NO_TEXT)
    lines = card.split("\n")
    if lines[0].rstrip().upper() != "BEGIN:VCARD":
        raise ValueError("is outside of a card; a card begins with BEGIN:VCARD")
    if card.rstrip()[-9:].upper() != "END:VCARD":
        raise ValueError("the card is not closed; it ends with END:VCARD")
    content = "\n".join(_content_lines(start, lines))
    try:
        component = next(vobject.readComponents(content))
    except (vobject.base.VObjectError, ValueError) as error:
        reason = str(getattr(error, "msg", error)).splitlines()[0]
        raise ValueError(f"is not a valid vCard: {reason}") from error
    return _fields(component.contents)


def _content_lines(start: int, lines: list[str]) -> Iterator[str]:
    """Yield the properties that are read, each on one line."""
    number = 0
    while number < len(lines):
        first, parts = number, [lines[number].rstrip("\r")]
        is_quoted = "QUOTED-PRINTABLE" in parts[0].upper()
        number += 1
        while number < len(lines):
            if is_quoted and parts[-1].endswith("="):
                parts[-1] = parts[-1][:-1]
                parts.append(lines[number].rstrip("\r"))
            elif lines[number][:1] in (" ", "\t"):
                parts.append(lines[number][1:].rstrip("\r"))
            else:
                break
            number += 1
        line = "".join(parts)
        match = _LINE.match(line)
        if match is not None and match[1].upper() in _FIELDS:
            yield line[: match.end()] + _as_one_text(line[match.end() :], is_quoted)
        elif match is not None and match[1].upper() not in _BINARY:
            yield line
        elif match is None and line.strip():
            place = start + first
            raise ValueError(f"is not a valid vCard: line {place} is no property")


def _as_one_text(value: str, is_quoted: bool) -> str:  # noqa: FBT001 - of its line
    """Escape the commas of a text, after the first of which vobject reads nothing."""
    pattern = _QUOTED_COMMA if is_quoted else _COMMA
    return pattern.sub(lambda match: match[1] or r"\,", value)


def _fields(contents: dict[str, list[Any]]) -> dict[str, Any]:
    version = "".join(line.value.strip() for line in contents.get("version", ())[:1])
    if version not in ("3.0", "4.0"):
        what = f"has version {version}" if version else "has no version"
        raise ValueError(f"the card {what}; export it as vCard 3.0 or 4.0")
    row: dict[str, Any] = {}
    for line in contents.get("n", ())[:1]:
        for name, part in _NAME.items():
            row[name] = _joined(getattr(line.value, part))
    for property_, name in _FIELDS.items():
        lines = sorted(contents.get(property_.lower(), ()), key=_preference)
        values = [_value(property_, line) for line in lines]
        row[name] = _one_or_list(values)
    for line in contents.get("org", ())[:1]:
        company, *units = [_joined(part, ", ") for part in line.value]
        row["company"], row["department"] = company, _joined(units, ", ")
    addresses = sorted(contents.get("adr", ()), key=_preference)
    for line in addresses[:1]:
        for name, part in _ADDRESS.items():
            row[name] = _joined(getattr(line.value, part), ", ")
    row["other_addresses"] = [
        _joined([_joined(getattr(each.value, part), ", ") for part in _PARTS], ", ")
        for each in addresses[1:]
    ]
    categories = [
        word for line in contents.get("categories", ()) for word in line.value
    ]
    row["categories"] = [word.strip() for word in categories if word.strip()]
    if row["kind"] == "individual":
        del row["kind"]
    return {name: value for name, value in row.items() if value}


_PARTS = tuple(_ADDRESS.values())


def _joined(value: Any, separator: str = " ") -> str:
    """Return a component of a property, which may have several values, as text."""
    parts = value if isinstance(value, list) else [value]
    return separator.join(part.strip() for part in parts if part.strip())


def _one_or_list(values: list[str]) -> Any:
    distinct = [*dict.fromkeys(filter(None, values))]
    return distinct if len(distinct) > 1 else "".join(distinct)


def _preference(line: Any) -> int:
    """Return the place of a value among those of its property; 1 is preferred."""
    marks = [*line.singletonparams, *line.params.get("TYPE", ())]
    if any("PREF" in mark.upper().split(",") for mark in marks):
        return 1
    words = line.params.get("PREF", ())
    numbers = [int(word) for word in words if word.isascii() and word.isdecimal()]
    return min(numbers, default=_UNPREFERRED)


def _value(name: str, line: Any) -> str:
    value = str(line.value).strip()
    if name == "TEL" and value[:4].lower() == "tel:":
        return value[4:]
    if name in _DATES and (match := _DATE.fullmatch(value)):
        year, month, day = match.groups()
        if year in line.params.get("X-APPLE-OMIT-YEAR", ()):
            year = "--"
        return f"{year}-{month}-{day}" if year != "--" else f"--{month}-{day}"
    return value
