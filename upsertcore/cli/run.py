"""
A run: the rows of some files, through a profile, into its book.

Rules:
    A bad row is told of and counted; the rows after it are taken.
    Each row is done with before the next is read.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

from attrs import Factory, frozen
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from upsertcore.cli.aside import Aside
from upsertcore.cli.kinds import kind, problems
from upsertcore.cli.report import RunCounts, outcome_line, refused_line
from upsertcore.cli.row import Columns, InputRow
from upsertcore.cli.rows import read
from upsertcore.profiles import Profile

__all__ = ["EVERY", "Bar", "Run", "opened", "standard_input"]

T = TypeVar("T")

EVERY = 500
"""How many items pass between two looks at the progress."""


class Bar:
    """
    A progress bar on a terminal, and nothing elsewhere.

    Args:
        shown: True on a terminal; where that is not said, standard error is asked.

    >>> with Bar(shown=False) as bar:
    ...     list(bar.over([1, 2], "counting", lambda: 2, 2))
    [1, 2]
    """

    def __init__(self, *, shown: bool | None = None) -> None:
        if shown is None:
            shown = sys.stderr is not None and sys.stderr.isatty()
        self._shown = shown
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(show_speed=True),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not shown,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self._shown:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Some versions of rich write a line even where nothing is shown.
        if self._shown:
            self._progress.stop()

    def over(
        self,
        items: Iterable[T],
        label: str,
        position: Callable[[], int],
        total: int | None,
    ) -> Iterator[T]:
        """
        Pass items on, and show how far they are.

        Args:
            items: What is worked through.
            label: What is being done.
            position: Answers how much is done, asked every 500 items.
            total: How much there is, None where nobody knows.
        """
        task = self._progress.add_task(label, total=total)
        for number, item in enumerate(items):
            if number % EVERY == 0:
                self._progress.update(task, completed=position())
            yield item
        self._progress.update(task, completed=total)

    def note(self, line: str) -> None:
        """Write a line above the bar, on a terminal."""
        if self._shown:
            self._progress.console.print(line, markup=False, highlight=False)

    def counting(self, label: str) -> Callable[[int, int], None]:
        """
        Make what shows how much of something is done.

        Args:
            label: What is being done.

        Returns:
            A function of how many are done, and of how many there are.
        """
        task = self._progress.add_task(label, total=None)
        return lambda done, total: self._progress.update(
            task, completed=done, total=total
        )


def standard_input() -> BinaryIO:
    """
    Give the bytes of standard input.

    Raises:
        OSError: If it is closed.
    """
    stream: Any = sys.stdin
    if stream is None:
        raise OSError(errno.EBADF, "is closed", "standard input")
    return stream.buffer  # type: ignore[no-any-return]


@contextmanager
def opened(name: str) -> Iterator[tuple[BinaryIO, Callable[[], int], int | None]]:
    """
    Open a file, or standard input for ``-``.

    Args:
        name: As it was given.

    Returns:
        The stream, what tells how many bytes were read of it, and how many it has
        (None where it is no plain file).
    """
    if name == "-":
        yield standard_input(), lambda: 0, None
        return
    with Path(name).open("rb") as stream:
        raw = stream.raw
        size = os.fstat(stream.fileno()).st_size if raw.seekable() else None
        yield stream, raw.tell if raw.seekable() else lambda: 0, size


@frozen
class Run:
    """
    What a run works with.

    Args:
        profile: The system, with its book.
        path: Its path and query parameters.
        constants: Cells that every row has.
        columns: What columns shall be called.
        outcomes: Where one line per row goes, None for nowhere.
        tally: What is counted.
    """

    profile: Profile
    path: Mapping[str, Any]
    constants: Mapping[str, str]
    columns: Columns
    outcomes: Aside | None
    tally: RunCounts = Factory(RunCounts)

    def file(self, name: str, bar: Bar) -> None:
        """
        Take the rows of one file.

        Raises:
            BadHeader: If the first line of a CSV cannot be used.
            OSError: If it cannot be read.
        """
        with (
            opened(name) as (stream, position, size),
            closing(read(stream, name, self.columns)) as rows,
        ):
            for row in bar.over(rows, name, position, size):
                self._take({"file": name, "line": row.line}, row)

    def _take(self, place: Mapping[str, Any], row: InputRow) -> None:
        if row.error:
            self.tally.refuse([(kind(row.error), "")], place)
            self._tell(refused_line, place, row.error)
            return
        payload = self.payload(row)
        response = self.profile.upsert(payload, **self.path)
        if response.outcome is None:
            self.tally.refuse(problems(response, payload), place)
            self._tell(refused_line, place, response.reason, response)
        else:
            self.tally.accept(response.outcome)
            self._tell(outcome_line, place, response.status, response.outcome)

    def payload(self, row: InputRow) -> Any:
        """Make what is sent of a row that could be read, with the constants."""
        payload = self.profile.from_row(row.payload) if row.cells else row.payload
        if not self.constants or not isinstance(payload, dict):
            return payload
        return _laid_over(payload, self.profile.from_row(self.constants))

    def _tell(self, line: Callable[..., str], *of: Any) -> None:
        """Write a line, which is made only where it is wanted."""
        if self.outcomes is not None:
            # A lone surrogate in a message becomes \udxxx, which is how JSON says it.
            text = f"{line(*of)}\n"
            self.outcomes.write(text.encode(errors="backslashreplace"))


def _laid_over(payload: dict[str, Any], constants: dict[str, Any]) -> dict[str, Any]:
    """
    Lay constants over a payload: one value replaces another, lists and objects join.

    What should be a list or an object and is none stays, to be refused.
    """
    found = {**payload, **constants}
    for name, value in constants.items():
        below = payload.get(name)
        if below is None or not isinstance(value, dict | list):
            continue
        found[name] = below
        if isinstance(below, dict) and isinstance(value, dict):
            found[name] = _laid_over(below, value)
        elif isinstance(below, list) and isinstance(value, list):
            found[name] = _joined(below, value)
    return found


def _joined(below: list[Any], value: list[Any]) -> list[Any]:
    """Join two lists: what is equal, or has the same id or key, is there once."""
    named = {_name(item) for item in value} - {None}
    kept = [item for item in below if _name(item) not in named]
    known = {*map(_told, kept)}
    return kept + [item for item in value if _told(item) not in known]


def _told(item: Any) -> str:
    """Give what tells an item from others, whatever the order of its names."""
    return json.dumps(item, sort_keys=True)


def _name(item: Any) -> str | None:
    """Return the id, or else the key, of an item of a list of objects."""
    if not isinstance(item, dict):
        return None
    name = item.get("id", item.get("key"))
    return name if isinstance(name, str) else None
