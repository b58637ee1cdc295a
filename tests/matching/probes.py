"""A probe of what contacts hold, and a strategy that is asked with it."""

from __future__ import annotations

from upsertcore.matching.ambiguity import PICKS, OnAmbiguous
from upsertcore.matching.protocol import Hits, Match, Strategy

__all__ = ["BOTH", "LATER", "MANY", "NOBODY", "Held", "Request", "decide"]

Held = dict[str, dict[str, tuple[str, ...]]]


class Request:
    """Answers for an index: who holds what a patch carries, and what else they hold."""

    def __init__(self, carried: Held, more: Held) -> None:
        self.carried, self.more = carried, more

    def __call__(self, name: str) -> Hits:
        return tuple(self.carried.get(name, {}).items())

    def held_forms(self, id: str, name: str) -> tuple[str, ...]:
        forms = {**self.more.get(name, {}), **self.carried.get(name, {})}
        return tuple(form for form, ids in forms.items() if id in ids)


def decide(
    strategy: Strategy,
    carried: Held,
    on_ambiguous: OnAmbiguous = "refuse",
    more: Held | None = None,
) -> Match:
    """Ask a strategy about a patch that carries these forms with these holders."""
    asked = Request(carried, more or {})
    return strategy.resolve(strategy.keys, asked, PICKS[on_ambiguous])


BOTH: Held = {"email": {"a@x": ("c-1",)}, "phone": {"+1": ("c-2",)}}
NOBODY: Held = {"email": {"a@x": ()}, "phone": {"+1": ()}}
LATER: Held = {"email": {"a@x": ()}, "phone": {"+1": ("c-2",)}}
MANY: Held = {"email": {"a@x": ("c-1", "c-2", "c-3")}}
