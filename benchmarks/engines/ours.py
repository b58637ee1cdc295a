"""
The library under its public names, and the floor that it is compared with.

Rules:
    Books are made as a host makes them: default ids, default clock, no option.
    Outcomes are made, and let go as a host lets them go that has answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.engines.base import Engine
from benchmarks.floor import FLOORS, Floor
from benchmarks.workloads import Case, Patch
from upsertcore import ContactBook, Policy, field, first_match, normalize, profiles

__all__ = ["HandWritten", "Upsert", "UpsertMany", "book_for", "policy_for"]


def policy_for(case: Case) -> Policy:
    """
    Make the policy of a workload.

    >>> policy_for(Case("mixed", 1)).match
    first_match('email', 'phone')
    """
    if case.kind != "plain":
        system = profiles.BY_NAME[case.kind]()
        policy: Policy = system.policy
        return policy
    lines = {name: field() for name in case.names}
    lines["email"] = field(key=normalize.email, unique=True)
    lines["phone"] = field(key=normalize.phone, unique=True)
    return Policy(first_match("email", "phone"), lines, on_key_in_use="withhold")


def book_for(case: Case) -> ContactBook:
    """Make an empty book for a workload."""
    return ContactBook(policy_for(case))


class HandWritten(Engine):
    """The floor."""

    name = "floor"
    how = "dicts by hand, for one case"

    floor: Floor

    @classmethod
    def cannot(cls, case: Case) -> str:
        """Do every workload: each kind has its own floor."""
        del case
        return ""

    def setup(self, case: Case) -> None:
        """Choose the floor of the kind."""
        super().setup(case)
        self.floor = FLOORS[case.kind]()

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert one patch after the other."""
        self.floor.run(patches)

    def contacts(self) -> Iterable[dict[str, Any]]:
        """Give them as they are stored."""
        return self.floor.contacts.values()


class Upsert(Engine):
    """``ContactBook.upsert``, call by call."""

    name = "upsertcore upsert"
    how = "all rules, call by call"

    book: ContactBook

    @classmethod
    def cannot(cls, case: Case) -> str:
        """Do every workload."""
        del case
        return ""

    def setup(self, case: Case) -> None:
        """Make an empty book."""
        super().setup(case)
        self.book = book_for(case)

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert one patch after the other."""
        upsert = self.book.upsert
        for patch in patches:
            upsert(patch)

    def contacts(self) -> Iterable[dict[str, Any]]:
        """Give plain fields."""
        return (row["fields"] for row in self.book.dump())


class UpsertMany(Upsert):
    """``ContactBook.upsert_many``, the whole batch in one call."""

    name = "upsertcore upsert_many"
    how = "all rules, one batch"

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert the batch."""
        self.book.upsert_many(patches)
