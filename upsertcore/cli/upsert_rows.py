"""
A run: upserts the rows of input files into the book of a profile.

Rules:
    Bad rows are reported and counted; processing continues.
    Each row is processed before the next one is read.
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

from upsertcore.cli.outcome_file import OutcomeFile
from upsertcore.cli.output import RunCounts
from upsertcore.cli.refusal_counts import problems
from upsertcore.cli.rejects import Rejects
from upsertcore.files.columns import Columns
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import InputRow, problem_kind
from upsertcore.profiles import Profile, Response

__all__ = [
    "PROGRESS_INTERVAL",
    "ProgressBar",
    "Run",
    "check_readable",
    "open_input",
    "standard_input",
]

T = TypeVar("T")

PROGRESS_INTERVAL = 500
"""The number of items between two updates of the progress bar."""


class ProgressBar:
    """
    A progress bar on a terminal; elsewhere nothing is shown.

    Args:
        shown: Whether to show it; by default, whether standard error is a terminal.

    >>> with ProgressBar(shown=False) as bar:
    ...     list(bar.track([1, 2], "counting", lambda: 2, 2))
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
        # Some versions of rich write a line even if the progress is disabled.
        if self._shown:
            self._progress.stop()

    def track(
        self,
        items: Iterable[T],
        label: str,
        position: Callable[[], int],
        total: int | None,
    ) -> Iterator[T]:
        """
        Yield items and show the progress.

        Args:
            items: The items.
            label: The text beside the bar.
            position: Returns the current position; called every 500 items.
            total: The final position, None if unknown.
        """
        task = self._progress.add_task(self._fit(label), total=total)
        for number, item in enumerate(items):
            if number % PROGRESS_INTERVAL == 0:
                self._progress.update(task, completed=position())
            yield item
        self._progress.update(task, completed=total)

    def _fit(self, label: str) -> str:
        """Return the end of a label, which leaves two thirds of a line to the bar."""
        width = self._progress.console.width // 3
        return label if len(label) <= width else f"…{label[1 - width :]}"

    @property
    def is_shown(self) -> bool:
        """Whether there is a bar."""
        return self._shown

    def note(self, line: str) -> None:
        """Write a line above the bar, on a terminal."""
        if self._shown:
            self._progress.console.print(line, markup=False, highlight=False)

    def counter(self, label: str) -> Callable[[int, int], None]:
        """
        Return a callback that shows the progress of a computation.

        Args:
            label: The text beside the bar.

        Returns:
            A function of the number done and the total.
        """
        task = self._progress.add_task(self._fit(label), total=None)
        return lambda count, total: self._progress.update(
            task, completed=count, total=total
        )


def standard_input() -> BinaryIO:
    """
    Return standard input as a byte stream.

    Raises:
        OSError: If it is closed.
    """
    stream: Any = sys.stdin
    if stream is None:
        raise OSError(errno.EBADF, "is closed", "standard input")
    return stream.buffer  # type: ignore[no-any-return]


@contextmanager
def open_input(name: str) -> Iterator[tuple[BinaryIO, Callable[[], int], int | None]]:
    """
    Open a file, or standard input for ``-``.

    Args:
        name: The path.

    Returns:
        The stream, a function that returns its position in bytes, and its size (None
        if it is not a regular file).
    """
    if name == "-":
        yield standard_input(), lambda: 0, None
        return
    with Path(name).open("rb") as stream:
        raw = stream.raw
        size = os.fstat(stream.fileno()).st_size if raw.seekable() else None
        yield stream, raw.tell if raw.seekable() else lambda: 0, size


def check_readable(names: Iterable[str]) -> None:
    """
    Check that files can be read, before work begins.

    Args:
        names: The paths; a pipe is not opened, since that takes what it has.

    Raises:
        OSError: If one cannot.
    """
    for name in names:
        path = Path(name)
        if name != "-" and (path.is_file() or path.is_dir() or not path.exists()):
            with path.open("rb"):
                pass


@frozen
class Run:
    """
    A profile and the settings of one run.

    Args:
        profile: The profile, with its book.
        path: Its path and query parameters.
        constants: Cells set in every row.
        columns: How columns are renamed.
        outcomes: The file of one line per row, None for none.
        rejects: The file of refused rows, None for none.
        counts: The counts of the run.
        after_row: Called after each row.
    """

    profile: Profile
    path: Mapping[str, Any]
    constants: Mapping[str, str]
    columns: Columns
    outcomes: OutcomeFile | None = None
    rejects: Rejects | None = None
    counts: RunCounts = Factory(RunCounts)
    after_row: Callable[[], object] = bool

    @property
    def files(self) -> list[OutcomeFile | Rejects]:
        """The files that the run writes."""
        return [file for file in (self.outcomes, self.rejects) if file is not None]

    def process_file(self, name: str, bar: ProgressBar) -> None:
        """
        Upsert the rows of one file.

        Raises:
            BadHeader: If the first line of a CSV is not a usable header.
            OSError: If it cannot be read.
        """
        with (
            open_input(name) as (stream, position, size),
            closing(read_rows(stream, name, self.columns)) as rows,
        ):
            for row in bar.track(rows, name, position, size):
                self._process_row({"file": name, "line": row.line}, row)
                self.after_row()

    def _process_row(self, place: Mapping[str, Any], row: InputRow) -> None:
        if row.error:
            self.counts.refuse([(problem_kind(row.error), "")], place)
            self._refuse(place, row, row.error)
            return
        payload = self.payload(row)
        response = self.profile.upsert(payload, **self.path)
        if response.outcome is None:
            self.counts.refuse(problems(response, payload), place)
            self._refuse(place, row, response.reason, response)
        else:
            self.counts.accept(response.outcome)
            if self.outcomes is not None:
                self.outcomes.add(place, response.outcome, status=response.status)

    def _refuse(
        self,
        place: Mapping[str, Any],
        row: InputRow,
        reason: str,
        response: Response | None = None,
    ) -> None:
        if self.outcomes is not None:
            self.outcomes.refuse(place, reason, response)
        if self.rejects is not None:
            self.rejects.add(place["file"], row, reason)

    def payload(self, row: InputRow) -> Any:
        """Return the payload of a readable row, constants included."""
        payload = self.profile.from_row(row.payload) if row.cells else row.payload
        if not self.constants or not isinstance(payload, dict):
            return payload
        return _overlay(payload, self.profile.from_row(self.constants))


def _overlay(payload: dict[str, Any], constants: dict[str, Any]) -> dict[str, Any]:
    """
    Apply constants to a payload: scalars replace, lists and objects are merged.

    A payload value of the wrong type stays as it is, so that the profile refuses it.
    """
    result = {**payload, **constants}
    for name, value in constants.items():
        current = payload.get(name)
        if current is None or not isinstance(value, dict | list):
            continue
        result[name] = current
        if isinstance(current, dict) and isinstance(value, dict):
            result[name] = _overlay(current, value)
        elif isinstance(current, list) and isinstance(value, list):
            result[name] = _merge_lists(current, value)
    return result


def _merge_lists(items: list[Any], constants: list[Any]) -> list[Any]:
    """Merge two lists; a later item replaces one that is equal or has its id or key."""
    constant_names = {_item_name(item) for item in constants} - {None}
    remaining = [item for item in items if _item_name(item) not in constant_names]
    existing = {*map(_canonical, remaining)}
    return remaining + [item for item in constants if _canonical(item) not in existing]


def _canonical(item: Any) -> str:
    """Return the text of an item, independent of the order of its names."""
    return json.dumps(item, sort_keys=True)


def _item_name(item: Any) -> str | None:
    """Return the id, or else the key, of an object in a list."""
    if not isinstance(item, dict):
        return None
    name = item.get("id", item.get("key"))
    return name if isinstance(name, str) else None
