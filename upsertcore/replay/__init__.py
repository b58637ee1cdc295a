"""
Replay: a log of patches, split into components that are replayed independently.

Rules:
    Components may be replayed in any order, on any machine.
    This package re-exports the names of its modules and defines none.

Why that is exact: a decision reads an index only through forms, those that the patch
carries and those that the contact would hold afterwards. If no form that one component
looks up or holds is held in another, no look-up in one can return a contact of another.
So each decision is the one that a book with all contacts would make, and by induction
over the log, contacts and results are the same. Carried forms are known at once, others
are not: a contact can hold a form that no patch carried (first name and birthday arrive
in two patches and are a key together), and a decision can look up a form that it then
does not store. So components are replayed, the forms that were looked up or held are
collected, and components that share one are joined and replayed again, until none do.
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
