"""
Replay: a log of patches, taken apart into components, and each done by itself.

Rules:
    What is in two components may be done in any order, on any machine.
    This package hands on the names of its modules and defines none.

Why that is exact. A decision sees an index through the forms that it looks up: those
that the patch carries, and those that the contact would hold afterwards. If no form
that one component looks up or holds is held in another, then no look-up in the one can
find a contact of the other, so each decision is the one that a book with all contacts
would have made; by induction over the log contacts and answers are the same. Forms that
are carried are seen at once. Others are not: a contact can hold one that nobody carried
(first name and birthday came in two patches, and are a key together), and a decision
can ask for one that it then refuses to store. So the components are done, the forms
that were looked up or held are looked at, and components that meet by one are joined
and done anew, until none meet.
"""

from upsertcore.replay.components import Components, Cut, components
from upsertcore.replay.linking import KnownContact, Linking, LogRow, SentPatch, joined
from upsertcore.replay.ordered import (
    ComputedForms,
    Event,
    Replayed,
    StoredContact,
    replay,
    watched,
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
    "components",
    "joined",
    "replay",
    "watched",
]
