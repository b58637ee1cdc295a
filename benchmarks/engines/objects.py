"""
Rivals that index Python objects: ducks, littletable and pydblite.

Rules:
    Each is used as its documentation shows, with an index for each key.
    Other fields are updated in place, the cheapest way that they offer; none offers
    updates by copy. The floor copies.
    An object is removed and inserted again only if a normal form changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

from benchmarks.engines.base import TOLD, Engine, Told
from benchmarks.floor import email_form, phone_form
from benchmarks.workloads import Case, Patch

__all__ = ["Ducks", "Littletable", "Pydblite"]

_FORMS = ("email_form", "phone_form")


class _Rows(Engine):
    """Matching and withholding, shared by the three."""

    tells = TOLD

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert the patches in order."""
        for patch in patches:
            self._upsert(patch)

    def _upsert(self, patch: Patch) -> Told:
        mailbox, number = email_form(patch["email"]), phone_form(patch["phone"])
        values = {**patch, "email_form": mailbox, "phone_form": number}
        match, phone_holder = (
            self._find(_FORMS[0], mailbox),
            self._find(_FORMS[1], number),
        )
        if match is None:
            match = phone_holder
        elif phone_holder is not None and phone_holder is not match:
            del values["phone"], values["phone_form"]
        if match is None:
            self._insert(values)
            return "created", False
        self._update(match, values)
        return "updated", "phone" not in values

    def _find(self, form: str, value: str) -> Any:
        """Return the object that holds a form, or None."""
        raise NotImplementedError

    def _insert(self, values: Patch) -> None:
        raise NotImplementedError

    def _update(self, match: Any, values: Patch) -> None:
        raise NotImplementedError


class Ducks(_Rows):
    """A ``Dex`` of dicts."""

    name = "ducks"
    how = "a Dex of dicts, changed in place"
    package = "ducks"

    dex: Any

    def setup(self, case: Case) -> None:
        """Create an empty Dex."""
        super().setup(case)
        self.dex = import_module("ducks").Dex([], list(_FORMS))

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Return the dicts without the forms."""
        return (_without_forms(item) for item in self.dex)

    def _find(self, form: str, value: str) -> Any:
        matches = self.dex[{form: value}]
        return matches[0] if matches else None

    def _insert(self, values: Patch) -> None:
        self.dex.add(values)

    def _update(self, match: Any, values: Patch) -> None:
        moves = any(form in values and match[form] != values[form] for form in _FORMS)
        if moves:
            self.dex.remove(match)
        match.update(values)
        if moves:
            self.dex.add(match)


class Littletable(_Rows):
    """A ``Table`` with two unique indices."""

    name = "littletable"
    how = "a Table with unique indices, changed in place"
    package = "littletable"

    table: Any

    def setup(self, case: Case) -> None:
        """Create an empty table."""
        super().setup(case)
        self.table = import_module("littletable").Table()
        for form in _FORMS:
            self.table.create_index(form, unique=True)

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Return the attributes without the forms."""
        return (_without_forms(vars(item)) for item in self.table)

    def _find(self, form: str, value: str) -> Any:
        return getattr(self.table.by, form).get(value)

    def _insert(self, values: Patch) -> None:
        self.table.insert(values)

    def _update(self, match: Any, values: Patch) -> None:
        attributes = vars(match)
        moves = any(
            form in values and attributes[form] != values[form] for form in _FORMS
        )
        if moves:
            self.table.remove(match)
        attributes.update(values)
        if moves:
            self.table.insert(match)


class Pydblite(_Rows):
    """A ``Base`` in memory with two indices, which updates maintain."""

    name = "pydblite"
    how = "a Base in memory with indices, its own update"
    package = "pydblite"

    base: Any

    def setup(self, case: Case) -> None:
        """Create an empty base."""
        super().setup(case)
        self.base = import_module("pydblite").Base("contact", save_to_file=False)
        self.base.create(*case.names, *_FORMS, mode="override")
        self.base.create_index(*_FORMS)

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Yield the fields that are not null, without the forms."""
        internal = {"__id__", "__version__"}
        for record in self.base:
            fields = {
                n: v for n, v in record.items() if v is not None and n not in internal
            }
            yield _without_forms(fields)

    def _find(self, form: str, value: str) -> Any:
        matches = self.base.indices[form].get(value)
        return self.base.records[matches[0]] if matches else None

    def _insert(self, values: Patch) -> None:
        self.base.insert(**values)

    def _update(self, match: Any, values: Patch) -> None:
        self.base.update(match, **values)


def _without_forms(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in _FORMS}
