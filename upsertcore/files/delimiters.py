r"""
The delimiter of a CSV file, decided by its first lines.

Rules:
    A first line ``sep=;`` decides, as spreadsheets write it. A delimiter that the
    caller names comes before it.
    Otherwise the first lines are split by each candidate, with quotes read as quotes.
    A candidate fits if its header has two cells or more, where the header is the first
    line or follows a blank line.
    The best candidate is one whose header is the first line and has rows of its width
    below it, then the one with the most rows of one and the same width; of equals, the
    one whose cells begin with a space least often, then the wider one.
    Candidates that are equal in all of this are refused by name, never guessed.
    If no candidate fits, the file has one column.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

from upsertcore.files.rows import BadHeader
from upsertcore.values import show_value

__all__ = ["CANDIDATES", "find_delimiter", "split_off_delimiter"]

CANDIDATES = ",;\t|^~\x1f\x01"
"""What is tried."""

_LINES = 30
_CHARACTERS = 1 << 18
_SEP = re.compile('(?i)"?sep=(.)"?[\r\n]*')


def split_off_delimiter(
    lines: Iterator[str], delimiter: str = "", header: int = 1
) -> tuple[str, Iterator[str], bool]:
    r"""
    Return the delimiter of a file, its lines, and whether the first is no row.

    A ``sep=`` line becomes blank, so that lines are counted as in the file.

    Args:
        lines: The lines, with their line endings.
        delimiter: The delimiter, if the caller knows it.
        header: The number of the line that names the columns.

    Raises:
        BadHeader: If two delimiters fit equally.

    >>> found, lines, has_sep = split_off_delimiter(iter(["sep=|\n", "a|b\n"]))
    >>> found, [*lines], has_sep
    ('|', ['\n', 'a|b\n'], True)
    """
    first = next(lines, "")
    match = _SEP.fullmatch(first)
    if match is not None:
        return delimiter or match[1], chain(["\n"], lines), True
    if delimiter:
        return delimiter, chain([first], lines), False
    sample, rest = _sample(first, lines, _LINES + header - 1)
    return find_delimiter(sample[header - 1 :]), chain(sample, rest), False


def _sample(
    first: str, lines: Iterator[str], number: int
) -> tuple[list[str], Iterator[str]]:
    """Return the first lines, and the others."""
    sample, size = [first], len(first)
    try:
        while len(sample) < number and size <= _CHARACTERS:
            sample.append(next(lines))
            size += len(sample[-1])
    except StopIteration:
        return sample, iter(())
    except ValueError as error:  # damaged input
        return sample, map(_raise, [error])
    return sample, lines


def _raise(error: ValueError) -> str:
    """Raise an error where its line would be read."""
    raise error


def find_delimiter(sample: list[str]) -> str:
    r"""
    Return the delimiter of some lines; a comma if they have one column.

    Args:
        sample: The first lines of a file.

    Raises:
        BadHeader: If two delimiters fit equally.

    Cost:
        Linear in the lines.

    >>> find_delimiter(["name, given;mail\n", "Ada;a@x.org\n"]), find_delimiter(["a"])
    (';', ',')
    >>> find_delimiter(["a,b;c\n", "1,2;3\n"])
    Traceback (most recent call last):
    ...
    upsertcore.files.rows.BadHeader: delimiter: ',' and ';' fit the first lines ...
    """
    present = [each for each in CANDIDATES if any(each in line for line in sample)]
    fits = {each: fit for each in present if (fit := _fit(sample, each)) is not None}
    if not fits:
        return ","
    best = max(fits.values())
    first, *others = [each for each in present if fits.get(each) == best]
    if others:
        names = f"{show_value(first)} and {show_value(others[0])}"
        raise BadHeader(f"delimiter: {names} fit the first lines equally; name one")
    return first


def _fit(sample: list[str], delimiter: str) -> tuple[bool, int, int, int] | None:
    """Return how well a delimiter fits; greater is better, None is not at all."""
    rows: list[list[str]] = []
    with suppress(csv.Error):
        rows += csv.reader(sample, delimiter=delimiter)
    header = next((n for n, cells in enumerate(rows) if len(cells) > 1), None)
    if header is None or (header and any(rows[header - 1])):
        return None
    widths = Counter(len(cells) for cells in rows if len(cells) > 1)
    count = max(widths.values())
    width = max(each for each in widths if widths[each] == count)
    spaced = sum(cell.startswith(" ") for cells in rows for cell in cells[1:])
    return header == 0 and count > 1, count, -spaced, width
