"""
What the command line shows: tables for people, lines of JSON for programs.

Rules:
    Nothing is computed here that the run has not counted.
    What came from a file is shown as plain text: no markup, no control characters.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import Factory, define
from rich import box
from rich.table import Table
from rich.text import Text

from upsertcore.cli.kinds import Kinds
from upsertcore.engine.outcome import Change, Outcome
from upsertcore.engine.plan import Plan
from upsertcore.model.contact import Contact
from upsertcore.profiles import Response
from upsertcore.values import thaw

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "RunCounts",
    "cell",
    "contact_line",
    "contact_table",
    "outcome_line",
    "plain",
    "plan_tables",
    "refused_line",
    "table",
]


_RATE = len("9,999,999")
_WHY = {"blocked": "a placeholder; --set placeholders=false takes it"}

# What JSON lets stand, though a terminal may obey it or a reader end a line there.
_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029]")


@define
class RunCounts:
    """
    What a run has counted.

    >>> tally = RunCounts()
    >>> tally.refuse([("is no CSV", "")], {"file": "in.csv", "line": 2})
    >>> tally.refused, tally.rows
    (1, 1)
    """

    results: Counter[str] = Factory(Counter)
    reasons: Kinds = Factory(Kinds)
    withheld: Counter[str] = Factory(Counter)
    ignored: Counter[str] = Factory(Counter)

    @property
    def rows(self) -> int:
        """All rows."""
        return self.results.total() + self.refused

    @property
    def refused(self) -> int:
        """The rows that were refused."""
        return self.reasons.total

    def accept(self, outcome: Outcome) -> None:
        """Count what happened."""
        self.results[outcome.result] += 1
        self.withheld.update(each.field for each in outcome.withheld)
        self.ignored.update(
            f"{name} ({_WHY.get(why, why)})" for name, why in outcome.ignored.items()
        )

    def refuse(
        self, problems: Iterable[tuple[str, str]], place: Mapping[str, Any]
    ) -> None:
        """Count a refusal: its kinds, and where the row is."""
        self.reasons.add(problems, place)

    def print(self, console: Console, seconds: float) -> None:
        """Show the table that ends a run."""
        found = _grid("rows", "")
        for result in ("created", "updated", "unchanged"):
            found.add_row(result, f"{self.results[result]:,}")
        found.add_row("refused", f"{self.refused:,}")
        parts = (
            ("refused", self.reasons.told()),
            ("withheld", self.withheld.most_common()),
            ("ignored", self.ignored.most_common()),
        )
        for what, counts in parts:
            for name, count in counts:
                found.add_row(cell(f"  {what}: {name}"), f"{count:,}")
        found.add_row("all", f"{self.rows:,}")
        found.add_row("rows a second", f"{self.rows / max(seconds, 1e-9):,.0f}")
        console.print(found)


def cell(value: Any) -> Text:
    r"""
    Show a value in a cell: text as it is, the rest as JSON, nothing for None.

    >>> str(cell("a[b]\x1b[0m")), str(cell(("a", 1))), str(cell(None))
    ('a[b]\\x1b[0m', '["a", 1]', '')
    """
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("")
    text = value if isinstance(value, str) else _json(thaw(value))
    return Text(plain(text))


def plain(text: str) -> str:
    r"""
    Say text without control characters, so that a terminal only shows it.

    >>> plain("a\x1b[0m\n")
    'a\\x1b[0m\\n'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """
    Make a table of values.

    >>> table("fields", ["field"], [["email"]]).row_count
    1
    """
    found = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        found.add_column(column, overflow="fold")
    for row in rows:
        found.add_row(*map(cell, row))
    return found


def _grid(*columns: str) -> Table:
    found = Table(box=box.SIMPLE_HEAD)
    found.add_column(columns[0], overflow="fold")
    # As wide for any rate below ten million, so that the table looks the same.
    found.add_column(columns[1], justify="right", no_wrap=True, min_width=_RATE)
    return found


def plan_tables(plan: Plan) -> list[Table]:
    """Show a decision: the keys, the fields that move, and what is left out."""
    steps = [
        (step.key, ", ".join(step.forms), ", ".join(step.holders), step.note)
        for step in plan.trace
    ]
    found = [table("keys", ["key", "normal form", "held by", "why"], steps)]
    moves = [(each.field, each.before, each.after) for each in plan.changes]
    if moves:
        found.append(table("fields", ["field", "before", "after"], moves))
    left = [(w.field, w.value, f"held by {w.holder}") for w in plan.withheld]
    if left:
        found.append(table("withheld", ["field", "sent", "why"], left))
    if plan.ignored:
        found.append(table("ignored", ["field", "why"], plan.ignored.items()))
    return found


def outcome_line(place: Mapping[str, Any], status: int, outcome: Outcome) -> str:
    """Make the line that tells what became of an accepted row."""
    return _json(
        {
            **place,
            "result": outcome.result,
            "status": status,
            "id": outcome.contact.id,
            "matched_by": outcome.matched_by,
            "changes": {each.field: _pair(each) for each in outcome.changes},
            "withheld": [
                {
                    "field": each.field,
                    "value": thaw(each.value),
                    "holder": each.holder,
                    "key": each.key,
                }
                for each in outcome.withheld
            ],
            "ignored": dict(outcome.ignored),
            "also_matched": list(outcome.also_matched),
        }
    )


def _pair(change: Change) -> list[Any]:
    return [thaw(change.before), thaw(change.after)]


def refused_line(
    place: Mapping[str, Any], reason: str, response: Response | None = None
) -> str:
    """Make the line that tells why a row was refused."""
    told = {**place, "result": "refused", "reason": reason}
    if response is not None:
        told |= {"status": response.status, "body": response.body}
    return _json(told)


def contact_table(contacts: Iterable[Contact]) -> Table:
    """Show contacts: what is known of each, and its fields, one a line."""
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
    found = table("contacts", ["contact", "fields"], rows)
    found.show_lines = True
    return found


def _field(contact: Contact, name: str) -> Text:
    return cell(name) + ": " + cell(contact[name])


def contact_line(contact: Contact) -> str:
    """Make the line of a contact."""
    return _json(contact.to_dict())


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
