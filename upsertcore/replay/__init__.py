"""
Replay: a log of patches, split into components that are replayed independently.

Rules:
    Components may be replayed in any order, on any machine.
    This package re-exports the names of its modules and defines none.

Why that is exact is in the README of this package.
"""

from upsertcore.replay.components import Components, Cut, components
from upsertcore.replay.linking import (
    KnownContact,
    Linking,
    LogRow,
    SentPatch,
    component_roots,
)
from upsertcore.replay.ordered import (
    ComputedForms,
    Event,
    Replayed,
    StoredContact,
    replay,
    replay_with_links,
)

__all__ = [
    "Components",
    "ComputedForms",
    "Cut",
    "Event",
    "KnownContact",
    "Linking",
    "LogRow",
    "Replayed",
    "SentPatch",
    "StoredContact",
    "component_roots",
    "components",
    "replay",
    "replay_with_links",
]
