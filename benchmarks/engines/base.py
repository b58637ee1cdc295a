"""
What every engine is: one way to set up, to run, and to show the end state.

Rules:
    An engine imports what it needs when it is set up, and not before.
    What it cannot do, or lacks, it says in words, which stand in the report.
    Only ``run`` is timed: it takes patches as plain dicts and ends when all of them
    are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, ClassVar

from benchmarks.floor import email_form
from benchmarks.workloads import Case, Patch

__all__ = ["Engine", "State", "lacks", "state_of"]

State = dict[str, dict[str, Any]]
"""Normal form of the key that decides -> fields as they are stored."""

_KNOWN_BY: dict[str, Callable[[Patch], str]] = {
    "plain": lambda fields: email_form(fields["email"]),
    "SalesforceIQ": lambda fields: email_form(fields["email"][0]["value"]),
    "LeadConnector": lambda fields: email_form(fields["email"]),
    "SegMetrics": lambda fields: str(fields["contact_id"]),
    "Anduin": lambda fields: str(fields["trackingId"]),
}


def state_of(kind: str, contacts: Iterable[dict[str, Any]]) -> State:
    """
    Name contacts by the normal form of the key that decides.

    Raises:
        ValueError: If two contacts have the same.

    >>> state_of("plain", [{"email": " Ada@X.org"}])
    {'ada@x.org': {'email': ' Ada@X.org'}}
    """
    listed = list(contacts)
    known_by = _KNOWN_BY[kind]
    state = {known_by(fields): fields for fields in listed}
    if len(state) != len(listed):
        raise ValueError(f"{len(listed)} contacts have only {len(state)} keys")
    return state


def lacks(package: str) -> str:
    """
    Say why a package cannot be used here, blank if it can.

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
    An engine; made without arguments, then set up for one workload.

    >>> Engine.missing(), Engine.cannot(Case("mixed", 1, kind="Anduin"))
    ('', 'it has the plain policy alone')
    """

    name: ClassVar[str] = ""
    """How the report calls it."""
    how: ClassVar[str] = ""
    """What it does, in a few words."""
    package: ClassVar[str] = ""
    """The package that it needs, blank for none."""
    both_keys: ClassVar[bool] = True
    """Whether it matches by email, else by phone; otherwise by email alone."""

    whole: ClassVar[bool] = False
    """Whether it takes a batch as a whole, and decides on no patch by itself."""
    served: ClassVar[bool] = False
    """Whether what it stores is in the memory of a server."""

    case: Case

    @classmethod
    def missing(cls) -> str:
        """Say what it needs and this machine does not have, blank for nothing."""
        return lacks(cls.package) if cls.package else ""

    @classmethod
    def cannot(cls, case: Case) -> str:
        """Say why it cannot do a workload, blank if it can."""
        if case.kind != "plain":
            return "it has the plain policy alone"
        if case.shape == "clash" and not cls.both_keys:
            return "it matches by one key, so that nothing can clash"
        return ""

    def setup(self, case: Case) -> None:
        """Import what it needs and make an empty store."""
        self.case = case

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert all patches, in their order."""
        raise NotImplementedError

    def contacts(self) -> Iterable[dict[str, Any]]:
        """Give the fields of each contact, absent ones left out."""
        raise NotImplementedError

    def state(self) -> State:
        """Give the end state."""
        return state_of(self.case.kind, self.contacts())

    def close(self) -> None:
        """Take away what would outlive the process."""
