"""
The retained outcomes in preparation: changes and calls, before a purge.

Rules:
    The journal and the call log are read, and not changed.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from typing import TYPE_CHECKING, final

from upsertcore.store.journal import Entry, Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from upsertcore.engine.outcome import Outcome
    from upsertcore.store.idempotency import CallLog, LoggedCalls

__all__ = ["HistoryStage"]


@final
class HistoryStage:
    """
    The changes and calls of a store, with replaced outcomes.

    Args:
        journal: The retained changes.
        call_log: The remembered calls.

    Cost:
        Linear in the changes and calls that are retained.

    >>> from upsertcore.store.idempotency import CallLog
    >>> HistoryStage(Journal(None), CallLog(0)).replace("", lambda outcome: None)
    0
    """

    __slots__ = ("calls", "entries")

    def __init__(self, journal: Journal, call_log: CallLog) -> None:
        self.entries, self.calls = journal.entries, call_log.calls

    def changes(self) -> Iterator[Outcome]:
        """Return the outcomes of the changes, the newest first."""
        return (e.outcome for e in reversed(self.entries) if e.outcome is not None)

    def replace(self, scope: str, new: Callable[[Outcome], Outcome | None]) -> int:
        """Replace each outcome of a scope; return how many are replaced."""
        entries: deque[Entry] = deque(maxlen=self.entries.maxlen)
        replaced = 0
        for entry in self.entries:
            outcome = entry.outcome
            if outcome is not None and outcome.contact.scope == scope:
                outcome = new(outcome)
            if outcome is not entry.outcome:
                entry, replaced = Entry(entry.number, outcome), replaced + 1  # noqa: PLW2901
            entries.append(entry)
        calls: LoggedCalls = defaultdict(OrderedDict)
        for name, logged in self.calls.items():
            for key, (identity, was) in logged.items():
                outcome = new(was) if name == scope else was
                replaced += outcome is not was
                if outcome is not None:
                    calls[name][key] = identity, outcome
        self.entries, self.calls = entries, calls
        return replaced
