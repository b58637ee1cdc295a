"""
The outcomes of a run: one JSON object a line, with what is needed to undo it.

Rules:
    The last line also has the mark of the run's book, under ``book``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define

from upsertcore.cli.atomic_write import AtomicFile
from upsertcore.cli.output import json_line
from upsertcore.engine.outcome import Change, Outcome
from upsertcore.profiles import Response
from upsertcore.values import thaw

__all__ = ["OutcomeFile"]


@define
class OutcomeFile:
    """
    Writes outcomes, each when the next one comes.

    Args:
        file: The file.
    """

    file: AtomicFile
    _waiting: dict[str, Any] | None = None

    def add(self, place: Mapping[str, Any], outcome: Outcome, **more: Any) -> None:
        """
        Write an outcome.

        Args:
            place: Where it comes from, such as file and line.
            outcome: The outcome.
            more: Further names of its line.
        """
        before = outcome.before
        line = {
            **place,
            "result": outcome.result,
            **more,
            "id": outcome.contact.id,
            "scope": outcome.contact.scope,
            "version": outcome.contact.version,
            "matched_by": outcome.matched_by,
            "changes": {entry.field: _pair(entry) for entry in outcome.changes},
            "withheld": [entry.to_dict() for entry in outcome.withheld],
            "ignored": dict(outcome.ignored),
            "also_matched": list(outcome.also_matched),
        }
        if before is not None and not outcome.unchanged:
            line["before"] = before.to_dict()
        if outcome.merged:
            line["merged"] = [contact.to_dict() for contact in outcome.merged]
        self._write(line)

    def refuse(
        self, place: Mapping[str, Any], reason: str, response: Response | None = None
    ) -> None:
        """Write a refusal."""
        line = {**place, "result": "refused", "reason": reason}
        if response is not None:
            line |= {"status": response.status, "body": response.body}
        self._write(line)

    def finish(self, mark: str) -> None:
        """
        Write the last line.

        Args:
            mark: The mark of the run; blank for none.
        """
        if self._waiting is not None and mark:
            self._waiting["book"] = mark
        self._write(None)

    def _write(self, line: dict[str, Any] | None) -> None:
        if self._waiting is not None:
            # Write a lone surrogate as \udxxx, its JSON escape.
            text = f"{json_line(self._waiting)}\n"
            self.file.write(text.encode(errors="backslashreplace"))
        self._waiting = line


def _pair(change: Change) -> list[Any]:
    return [thaw(change.before), thaw(change.after)]
