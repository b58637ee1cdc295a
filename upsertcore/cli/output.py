"""
Output of the commands: tables for people, lines of JSON for programs.

Rules:
    Only counts of the run are shown; nothing is computed here.
    Text from a file is shown without markup and control characters.
    A table that would break words on a narrow terminal is shown as records.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import Factory, define
from rich import box
from rich.cells import cell_len
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from upsertcore.cli.refusal_counts import RefusalCounts
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.model.contact import Contact
from upsertcore.values import thaw

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = [
    "RunCounts",
    "cell",
    "contact_line",
    "contact_table",
    "count_table",
    "json_line",
    "make_table",
    "plan_tables",
    "printable",
]


_RESULTS = "created", "updated", "unchanged"
_RATE_WIDTH = len("9,999,999")
_REASONS = {"blocked": "a placeholder; --set placeholders=false accepts it"}

# A terminal with fewer columns shows tables of text as records.
_NARROW = 60
# A word that is longer, such as an address, may be broken.
_LONG_WORD = 24
_LABEL_WIDTH = 13
_RECORD_COLUMNS = 3
_UNLIMITED = 10_000

# Valid in JSON text, but a terminal may interpret it or a reader end a line there.
_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029]")


@define
class RunCounts:
    """
    The counts of a run.

    >>> counts = RunCounts()
    >>> counts.refuse([("is not valid CSV", "")], {"file": "in.csv", "line": 2})
    >>> counts.refused, counts.rows
    (1, 1)
    """

    results: Counter[str] = Factory(Counter)
    reasons: RefusalCounts = Factory(RefusalCounts)
    withheld: Counter[str] = Factory(Counter)
    ignored: Counter[str] = Factory(Counter)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.results.total() + self.refused

    @property
    def refused(self) -> int:
        """The number of refused rows."""
        return self.reasons.total

    def accept(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.results[outcome.result] += 1
        self.withheld.update(withheld.field for withheld in outcome.withheld)
        self.ignored.update(
            f"{name} ({_REASONS.get(reason, reason)})"
            for name, reason in outcome.ignored.items()
        )

    def refuse(
        self, problems: Iterable[tuple[str, str]], place: Mapping[str, Any]
    ) -> None:
        """Count a refused row under the kinds of its problems."""
        self.reasons.add(problems, place)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values, ready for JSON."""
        results = {name: self.results[name] for name in _RESULTS}
        return {
            "rows": self.rows,
            **results,
            "refused": self.refused,
            "reasons": self.reasons.to_list(),
            "withheld": dict(self.withheld),
            "ignored": dict(self.ignored),
        }

    def print(self, console: Console, seconds: float) -> None:
        """Print the summary table of a run."""
        grid = _grid("rows", "")
        for result in _RESULTS:
            grid.add_row(result, f"{self.results[result]:,}")
        grid.add_row("refused", f"{self.refused:,}")
        parts = (
            ("refused", self.reasons.summary()),
            ("withheld", self.withheld.most_common()),
            ("ignored", self.ignored.most_common()),
        )
        for label, counts in parts:
            for name, count in counts:
                grid.add_row(cell(f"  {label}: {name}"), f"{count:,}")
        grid.add_row("all", f"{self.rows:,}")
        grid.add_row("rows per second", f"{self.rows / max(seconds, 1e-9):,.0f}")
        console.print(grid)


def cell(value: Any) -> Text:
    r"""
    Return a value as cell text: text as it is, None as "", others as JSON.

    >>> str(cell("a[b]\x1b[0m")), str(cell(("a", 1))), str(cell(None))
    ('a[b]\\x1b[0m', '["a", 1]', '')
    """
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("")
    text = value if isinstance(value, str) else json_line(thaw(value))
    return Text(printable(text))


def printable(text: str) -> str:
    r"""
    Escape control characters, so that a terminal does not interpret them.

    >>> printable("a\x1b[0m\n")
    'a\\x1b[0m\\n'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class RecordTable(Table):
    """
    A table that is shown as records, a value per line, where it does not fit.

    >>> RecordTable("field", "value").columns[0].header
    'field'
    """

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """Yield the lines of the table, or of its records."""
        if self._fits(console, options):
            yield from super().__rich_console__(console, options)
        else:
            yield from self._records().__rich_console__(console, options)

    def _fits(self, console: Console, options: ConsoleOptions) -> bool:
        """Return whether no word needs to be broken, except a long one."""
        if len(self.columns) < _RECORD_COLUMNS and not self.show_lines:
            return True
        unlimited = options.update(width=_UNLIMITED)
        width = options.max_width
        if Measurement.get(console, unlimited, self).maximum <= width:
            return True
        texts = sum(not column.no_wrap for column in self.columns)
        if texts > 1 and width < _NARROW:
            return False
        # Each column has a space on either side, and so has the table between them.
        least = sum(_least_width(column) for column in self.columns)
        return least + 3 * len(self.columns) + 1 <= width

    def _records(self) -> Table:
        """Return the table with a line for each value that is not blank."""
        heads = [str(column.header) for column in self.columns]
        records = make_table(str(self.title), ("", ""), ())
        records.show_header = False
        # A title is as wide as its table.
        records.expand = True
        records.columns[1].ratio = 1
        label = records.columns[0]
        label.width = min(max(map(cell_len, heads)), _LABEL_WIDTH)
        for values in zip(*(column.cells for column in self.columns), strict=True):
            for head, value in zip(heads, values, strict=True):
                if str(value):
                    records.add_row(head, value)
            records.add_section()
        return records


def _least_width(column: Column) -> int:
    """Return the width of the longest word, or of the longest line of a figure."""
    lines = [str(each) for each in (column.header, *column.cells)]
    if column.no_wrap:
        return max(map(cell_len, lines))
    words = (word for line in lines for word in line.split())
    return min(max(map(cell_len, words), default=0), _LONG_WORD)


def make_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> Table:
    """
    Return a table of values; on a narrow terminal it may be shown as records.

    >>> make_table("fields", ["field"], [["email"]]).row_count
    1
    """
    table = RecordTable(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold", min_width=len(column))
    for row in rows:
        table.add_row(*map(cell, row))
    return table


def count_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], texts: int = 1
) -> Table:
    """
    Return a table whose last columns are figures, which are never broken.

    Args:
        title: The title.
        columns: The names of the columns.
        rows: Their values; whole numbers get thousands separators.
        texts: How many of the columns are text.

    >>> count_table("rows", ["kind", "rows"], [["new", 1_000]]).columns[1].no_wrap
    True
    """
    shown = [
        [f"{each:,}" if isinstance(each, int) else each for each in row] for row in rows
    ]
    table = make_table(title, columns, shown)
    for column in table.columns[texts:]:
        column.justify = "right"
        column.no_wrap = True
    return table


def _grid(*columns: str) -> Table:
    grid = Table(box=box.SIMPLE_HEAD)
    grid.add_column(columns[0], overflow="fold")
    # The same width for any rate below ten million, so that tables line up.
    grid.add_column(columns[1], justify="right", no_wrap=True, min_width=_RATE_WIDTH)
    return grid


def plan_tables(plan: Plan) -> list[Table]:
    """Return the tables of a plan: keys, changed, withheld and ignored fields."""
    steps = [
        (step.key, ", ".join(step.forms), ", ".join(step.holders), step.note)
        for step in plan.trace
    ]
    tables = [make_table("keys", ["key", "normal form", "held by", "reason"], steps)]
    moves = [(change.field, change.before, change.after) for change in plan.changes]
    if moves:
        tables.append(make_table("fields", ["field", "before", "after"], moves))
    withheld = [(w.field, w.value, f"held by {w.holder}") for w in plan.withheld]
    if withheld:
        tables.append(make_table("withheld", ["field", "sent", "reason"], withheld))
    if plan.ignored:
        tables.append(make_table("ignored", ["field", "reason"], plan.ignored.items()))
    return tables


def contact_table(contacts: Iterable[Contact], title: str = "contacts") -> Table:
    """Return a table of contacts: metadata, and the fields, one per line."""
    rows = [
        (
            Text("\n").join(
                [
                    cell(contact.id),
                    cell(f"scope {contact.scope}" if contact.scope else "no scope"),
                    cell(f"version {contact.version}"),
                    cell(f"{contact.updated_at:%Y-%m-%d %H:%M %Z}"),
                ]
            ),
            Text("\n").join(_field(contact, name) for name in contact),
        )
        for contact in contacts
    ]
    table = make_table(title, ["contact", "fields"], rows)
    table.show_lines = True
    return table


def _field(contact: Contact, name: str) -> Text:
    return cell(name) + ": " + cell(contact[name])


def contact_line(contact: Contact) -> str:
    """Return the JSON line of a contact."""
    return json_line(contact.to_dict())


def json_line(value: Any) -> str:
    r"""
    Return a value as JSON in one line, without control characters.

    >>> print(json_line({"a": "\x7f"}))
    {"a": "\u007f"}
    """
    text = json.dumps(value, ensure_ascii=False)
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
