"""A stub of the index, and the decision of a strategy that uses it."""

from __future__ import annotations

from upsertcore.matching.ambiguity import PICKS, OnAmbiguous
from upsertcore.matching.protocol import Hits, Match, Strategy

__all__ = ["BOTH", "LATER", "MANY", "NO_HOLDERS", "Held", "Request", "decide"]

Held = dict[str, dict[str, tuple[str, ...]]]


class Request:
    """Answers with the holders of sent forms, and with other forms they hold."""

    def __init__(self, sent: Held, more: Held) -> None:
        self.sent, self.more = sent, more

    def __call__(self, name: str) -> Hits:
        return tuple(self.sent.get(name, {}).items())

    def held_forms(self, id: str, name: str) -> tuple[str, ...]:
        forms = {**self.more.get(name, {}), **self.sent.get(name, {})}
        return tuple(form for form, ids in forms.items() if id in ids)


def decide(
    strategy: Strategy,
    sent: Held,
    on_ambiguous: OnAmbiguous = "refuse",
    more: Held | None = None,
) -> Match:
    """Apply a strategy to a patch with these forms and their holders."""
    request = Request(sent, more or {})
    return strategy.resolve(strategy.keys, request, PICKS[on_ambiguous])


BOTH: Held = {"email": {"a@x": ("c-1",)}, "phone": {"+1": ("c-2",)}}
NO_HOLDERS: Held = {"email": {"a@x": ()}, "phone": {"+1": ()}}
LATER: Held = {"email": {"a@x": ()}, "phone": {"+1": ("c-2",)}}
MANY: Held = {"email": {"a@x": ("c-1", "c-2", "c-3")}}
