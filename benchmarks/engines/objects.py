"""
Rivals that keep Python objects with indices: ducks, littletable and pydblite.

Rules:
    Each is used as its documentation shows, with an index for each of both keys.
    What is no key is changed in place, which none of them offers to do by copy; it is
    the cheapest that each of them can do, and more than the floor allows itself.
    Only where a normal form moves is an object taken out and put in again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

from benchmarks.engines.base import Engine
from benchmarks.floor import email_form, phone_form
from benchmarks.workloads import Case, Patch

__all__ = ["Ducks", "Littletable", "Pydblite"]

_FORMS = ("email_form", "phone_form")


class _Rows(Engine):
    """What the three have in common: whom a patch is about, and what it may set."""

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert one patch after the other."""
        for patch in patches:
            self._upsert(patch)

    def _upsert(self, patch: Patch) -> None:
        mailbox, number = email_form(patch["email"]), phone_form(patch["phone"])
        sent = {**patch, "email_form": mailbox, "phone_form": number}
        found, called = self._one(_FORMS[0], mailbox), self._one(_FORMS[1], number)
        if found is None:
            found = called
        elif called is not None and called is not found:
            del sent["phone"], sent["phone_form"]
        if found is None:
            self._insert(sent)
        else:
            self._update(found, sent)

    def _one(self, form: str, value: str) -> Any:
        """Give the object that holds a form, None for nobody."""
        raise NotImplementedError

    def _insert(self, sent: Patch) -> None:
        raise NotImplementedError

    def _update(self, found: Any, sent: Patch) -> None:
        raise NotImplementedError


class Ducks(_Rows):
    """A ``Dex`` of dicts."""

    name = "ducks"
    how = "a Dex of dicts, both keys indexed, changed in place"
    package = "ducks"

    dex: Any

    def setup(self, case: Case) -> None:
        """Make an empty Dex."""
        super().setup(case)
        self.dex = import_module("ducks").Dex([], list(_FORMS))

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Give the dicts without the forms."""
        return (_without_forms(one) for one in self.dex)

    def _one(self, form: str, value: str) -> Any:
        found = self.dex[{form: value}]
        return found[0] if found else None

    def _insert(self, sent: Patch) -> None:
        self.dex.add(sent)

    def _update(self, found: Any, sent: Patch) -> None:
        moves = any(form in sent and found[form] != sent[form] for form in _FORMS)
        if moves:
            self.dex.remove(found)
        found.update(sent)
        if moves:
            self.dex.add(found)


class Littletable(_Rows):
    """A ``Table`` with two unique indices."""

    name = "littletable"
    how = "a Table, both keys uniquely indexed, changed in place"
    package = "littletable"

    table: Any

    def setup(self, case: Case) -> None:
        """Make an empty table."""
        super().setup(case)
        self.table = import_module("littletable").Table()
        for form in _FORMS:
            self.table.create_index(form, unique=True)

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Give the attributes without the forms."""
        return (_without_forms(vars(one)) for one in self.table)

    def _one(self, form: str, value: str) -> Any:
        return getattr(self.table.by, form).get(value)

    def _insert(self, sent: Patch) -> None:
        self.table.insert(sent)

    def _update(self, found: Any, sent: Patch) -> None:
        held = vars(found)
        moves = any(form in sent and held[form] != sent[form] for form in _FORMS)
        if moves:
            self.table.remove(found)
        held.update(sent)
        if moves:
            self.table.insert(found)


class Pydblite(_Rows):
    """A ``Base`` in memory with two indices, which it keeps itself at an update."""

    name = "pydblite"
    how = "a Base in memory, both keys indexed, its own update"
    package = "pydblite"

    base: Any

    def setup(self, case: Case) -> None:
        """Make an empty base."""
        super().setup(case)
        self.base = import_module("pydblite").Base("contact", save_to_file=False)
        self.base.create(*case.names, *_FORMS, mode="override")
        self.base.create_index(*_FORMS)

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Give the fields that are not null, without the forms."""
        own = {"__id__", "__version__"}
        for record in self.base:
            held = {n: v for n, v in record.items() if v is not None and n not in own}
            yield _without_forms(held)

    def _one(self, form: str, value: str) -> Any:
        found = self.base.indices[form].get(value)
        return self.base.records[found[0]] if found else None

    def _insert(self, sent: Patch) -> None:
        self.base.insert(**sent)

    def _update(self, found: Any, sent: Patch) -> None:
        self.base.update(found, **sent)


def _without_forms(held: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in held.items() if name not in _FORMS}
