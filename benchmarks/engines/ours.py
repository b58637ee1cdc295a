"""
The library, used through its public API, and the floor.

Rules:
    Books are created with default ids, default clock and no options.
    Outcomes are created and discarded, as after a response.
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
    Return the policy of a workload.

    >>> policy_for(Case("mixed", 1)).match
    first_match('email', 'phone')
    """
    if case.kind != "plain":
        policy: Policy = profiles.BY_NAME[case.kind]().policy
        return policy
    fields = {name: field() for name in case.names}
    fields["email"] = field(key=normalize.email, unique=True)
    fields["phone"] = field(key=normalize.phone, unique=True)
    return Policy(first_match("email", "phone"), fields, on_key_in_use="withhold")


def book_for(case: Case) -> ContactBook:
    """Return an empty book for a workload."""
    return ContactBook(policy_for(case))


class HandWritten(Engine):
    """The floor."""

    name = "floor"
    how = "dicts by hand, for one case"
    tells = "the id"

    floor: Floor

    @classmethod
    def cannot(cls, case: Case) -> str:
        """Support every workload: each kind has its own floor."""
        del case
        return ""

    def setup(self, case: Case) -> None:
        """Create the floor of the kind."""
        super().setup(case)
        self.floor = FLOORS[case.kind]()

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert the patches in order."""
        self.floor.run(patches)

    def contacts(self) -> Iterable[dict[str, Any]]:
        """Return the stored fields."""
        return self.floor.contacts.values()


class Upsert(Engine):
    """``ContactBook.upsert``, call by call."""

    name = "upsertcore upsert"
    how = "all rules, call by call"
    tells = "an outcome"

    book: ContactBook

    @classmethod
    def cannot(cls, case: Case) -> str:
        """Support every workload."""
        del case
        return ""

    def setup(self, case: Case) -> None:
        """Create an empty book."""
        super().setup(case)
        self.book = book_for(case)

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert the patches in order."""
        upsert = self.book.upsert
        for patch in patches:
            upsert(patch)

    def contacts(self) -> Iterable[dict[str, Any]]:
        """Return plain fields."""
        return (row["fields"] for row in self.book.dump())


class UpsertMany(Upsert):
    """``ContactBook.upsert_many``, the whole batch in one call."""

    name = "upsertcore upsert_many"
    how = "all rules, one batch"

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert the batch."""
        self.book.upsert_many(patches)
