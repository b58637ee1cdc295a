"""
The interface of the engines: set up, run, and return the end state.

Rules:
    An engine imports its package in ``setup``, not earlier.
    It states what is missing or not supported, for the report.
    Only ``run`` is timed: it receives patches as plain dicts and returns when all of
    them are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, ClassVar, TypeAlias

from benchmarks.floor import email_form
from benchmarks.workloads import Case, Patch

__all__ = ["TOLD", "Engine", "State", "Told", "lacks", "state_of"]

State = dict[str, dict[str, Any]]
"""Stored fields by the normal form of the primary key."""

Told: TypeAlias = tuple[str, bool]
"""What a rival tells about a patch: created or updated, and whether the phone of the
patch is withheld."""

TOLD = "created or updated, and withheld"
"""The same in words."""

_PRIMARY_KEY: dict[str, Callable[[Patch], str]] = {
    "plain": lambda fields: email_form(fields["email"]),
    "SalesforceIQ": lambda fields: email_form(fields["email"][0]["value"]),
    "LeadConnector": lambda fields: email_form(fields["email"]),
    "SegMetrics": lambda fields: str(fields["contact_id"]),
    "Anduin": lambda fields: str(fields["trackingId"]),
}


def state_of(kind: str, contacts: Iterable[dict[str, Any]]) -> State:
    """
    Return contacts by the normal form of their primary key.

    Raises:
        ValueError: If two contacts have the same key.

    >>> state_of("plain", [{"email": " Ada@X.org"}])
    {'ada@x.org': {'email': ' Ada@X.org'}}
    """
    all_fields = list(contacts)
    primary_key = _PRIMARY_KEY[kind]
    state = {primary_key(fields): fields for fields in all_fields}
    if len(state) != len(all_fields):
        raise ValueError(f"{len(all_fields)} contacts have only {len(state)} keys")
    return state


def lacks(package: str) -> str:
    """
    Return why a package cannot be used, blank if it can.

    >>> lacks("json"), lacks("no_such_package")
    ('', 'the package no_such_package is not installed')
    """
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        return f"the package {error.name} is not installed"
    except ImportError as error:
        return f"the package {package} does not import: {str(error).splitlines()[0]}"
    return ""


class Engine:
    """
    An engine; create it without arguments, then set it up for one workload.

    >>> Engine.missing(), Engine.cannot(Case("mixed", 1, kind="Anduin"))
    ('', 'it has the plain policy only')
    """

    name: ClassVar[str] = ""
    """Its name in the report."""
    how: ClassVar[str] = ""
    """A short description."""
    package: ClassVar[str] = ""
    """The package that it requires, blank for none."""
    both_keys: ClassVar[bool] = True
    """Whether it matches by email, otherwise by phone; if false, by email only."""
    tells: ClassVar[str] = ""
    """What it tells about each patch, blank for nothing."""
    whole_batch: ClassVar[bool] = False
    """Whether it processes a batch at once, without decisions for single patches."""
    served: ClassVar[bool] = False
    """Whether it stores contacts in a server."""

    case: Case

    @classmethod
    def keys(cls) -> str:
        """Return by which keys it matches, in words."""
        return "both keys" if cls.both_keys else "email only"

    @classmethod
    def lacking(cls) -> int:
        """Return how far it does less: 0, 1 if it tells nothing, 2 if by one key."""
        return int(not cls.tells) if cls.both_keys else 2

    @classmethod
    def description(cls) -> str:
        """Return by which keys it matches, what it tells, and how it works."""
        return f"{cls.keys()}; tells {cls.tells or 'nothing'}; {cls.how}"

    @classmethod
    def missing(cls) -> str:
        """Return what is missing on this machine, blank for nothing."""
        return lacks(cls.package) if cls.package else ""

    @classmethod
    def cannot(cls, case: Case) -> str:
        """Return why it does not support a workload, blank if it does."""
        if case.kind != "plain":
            return "it has the plain policy only"
        if case.shape == "clash" and not cls.both_keys:
            return "it matches by one key, so it has no conflicts"
        return ""

    def setup(self, case: Case) -> None:
        """Import the package and create an empty store."""
        self.case = case

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert all patches in order."""
        raise NotImplementedError

    def contacts(self) -> Iterable[dict[str, Any]]:
        """Return the fields of each contact, without absent ones."""
        raise NotImplementedError

    def state(self) -> State:
        """Return the end state."""
        return state_of(self.case.kind, self.contacts())

    def close(self) -> None:
        """Remove what would outlive the process."""
