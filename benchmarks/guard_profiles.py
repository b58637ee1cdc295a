"""
The profiles, as cases of the guard: payloads, and the patches of the same payloads.

Rules:
    The own part of a profile is what its upsert costs beyond that of the patch.
    Payloads are read from JSON: half of them new contacts, half updates.
    The clock differs at each call, so that no two times of a contact are the same.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from attrs import frozen

from benchmarks.profile_patches import PROFILE_PATCHES
from benchmarks.workloads import Case, patches
from upsertcore import profiles

__all__ = ["CALLS", "LIMIT", "PROFILES", "ProfileCase"]

CALLS = 300
"""The maximum number of calls that a case makes."""

LIMIT = 2
"""How many upserts of its patch the own part of a profile should cost at most."""

_WARM_UP = 20
_TIMES = tuple(
    datetime(2024, 1, 2, tzinfo=UTC) + timedelta(seconds=n)
    for n in range(_WARM_UP + CALLS)
)


@frozen
class ProfileCase:
    """
    One profile.

    Args:
        profile: The name of the profile.

    >>> case = ProfileCase("Anduin")
    >>> case.own({"profile_anduin": 300, "patch_anduin": 100})
    2.0
    """

    profile: str

    @property
    def names(self) -> tuple[str, str]:
        """The names of its two cases: its payloads, and their patches."""
        return f"profile_{self.profile.lower()}", f"patch_{self.profile.lower()}"

    @property
    def cases(self) -> dict[str, Callable[[int], int]]:
        """Both cases; each returns how many calls created or updated a contact."""
        return dict(zip(self.names, (self.upsert, self.upsert_patches), strict=True))

    def own(self, counts: Mapping[str, int]) -> float:
        """Return its own part, in upserts of its patch."""
        whole, patch = (counts[name] for name in self.names)
        return (whole - patch) / patch

    def prepare(self) -> tuple[profiles.Profile, list[dict[str, Any]]]:
        """
        Return an empty profile and its payloads.

        >>> len(ProfileCase("SegMetrics").prepare()[1])
        320
        """
        kind = PROFILE_PATCHES[self.profile]
        size = _WARM_UP + CALLS
        sent = map(kind.payload, patches(Case("mixed", size, kind=self.profile)))
        ids = map("c-{}".format, count())
        system: profiles.Profile = profiles.BY_NAME[self.profile](
            ids=ids.__next__, clock=iter(_TIMES).__next__
        )
        return system, json.loads(json.dumps([*sent]))

    def upsert(self, calls: int) -> int:
        """
        Upsert payloads.

        >>> ProfileCase("LeadConnector").upsert(4)
        4
        """
        system, payloads = self.prepare()
        path = PROFILE_PATCHES[self.profile].path
        return _run(
            lambda payload: system.upsert(payload, **path).outcome, payloads, calls
        )

    def upsert_patches(self, calls: int) -> int:
        """
        Upsert the patches of the payloads into the book of the profile.

        >>> ProfileCase("LeadConnector").upsert_patches(4)
        4
        """
        system, payloads = self.prepare()
        return _run(system.book.upsert, [*map(system.parse, payloads)], calls)


def _run(
    upsert: Callable[[dict[str, Any]], Any], sent: list[dict[str, Any]], calls: int
) -> int:
    for item in sent[:_WARM_UP]:
        upsert(item)
    # Garbage of the preparation must not affect the collections of the calls.
    gc.collect()
    return sum([not upsert(item).unchanged for item in sent[_WARM_UP:][:calls]])


PROFILES = tuple(ProfileCase(name) for name in profiles.BY_NAME)
"""The cases of all profiles."""
