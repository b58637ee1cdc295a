"""
Patches for each profile, with its own fields, as its ``parse`` returns them.

Rules:
    Values are canonical where the profile would clean them: the floor does not clean,
    and both must reach the same state.
    The patch of an existing contact has the keys of the profile and a few fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, TypeAlias

from attrs import frozen

from benchmarks.people import email, phone, tags, text

__all__ = ["PROFILE_PATCHES", "ProfilePatches"]

Patch: TypeAlias = dict[str, Any]

_PLAIN = str.maketrans("", "", " ().-")


@frozen
class ProfilePatches:
    """
    A generator of patches for one profile.

    Args:
        names: All fields of the patches.
        patch: (generator, person, whether new): one patch.
        payload: (patch): a payload that stands for it.
        path: The parameters of the path that the profile requires.
    """

    names: tuple[str, ...]
    patch: Callable[[Random, int, bool], Patch]
    payload: Callable[[Patch], Patch] = dict
    path: Mapping[str, str] = {}


def _text_fields(rng: Random, names: tuple[str, ...], new: bool) -> Patch:  # noqa: FBT001 - as ProfilePatches.patch
    """Return text for all of the fields, or for a few of them."""
    if not new:
        first = int(rng.random() * len(names))
        names = names[first : first + 1 + int(rng.random() * len(names))]
    return {name: text(rng, name) for name in names}


def _digits(rng: Random, number: int) -> str:
    return phone(rng, number).translate(_PLAIN)


def _salesforceiq(rng: Random, number: int, new: bool) -> Patch:  # noqa: FBT001 - as ProfilePatches.patch
    values: Patch = {"email": email(rng, number).strip()}
    if new:
        values["phone"] = _digits(rng, number)
    values |= _text_fields(rng, _SALESFORCEIQ[2:], new)
    return {name: [{"value": values[name], "metadata": {}}] for name in values}


def _leadconnector(rng: Random, number: int, new: bool) -> Patch:  # noqa: FBT001 - as ProfilePatches.patch
    patch = {"email": email(rng, number).strip(), "phone": _digits(rng, number)}
    patch |= _text_fields(rng, _LEADCONNECTOR[2:-1], new)
    return patch | {"tags": tags(rng, 3)} if new else patch


def _segmetrics(rng: Random, number: int, new: bool) -> Patch:  # noqa: FBT001 - as ProfilePatches.patch
    patch: Patch = {"contact_id": number + 1, "email": email(rng, number).strip()}
    patch |= _text_fields(rng, _SEGMETRICS[2:-1], new)
    return patch | {"tags": tags(rng, 3)} if new else patch


def _anduin(rng: Random, number: int, new: bool) -> Patch:  # noqa: FBT001 - as ProfilePatches.patch
    patch = {"trackingId": f"INV-{number:07d}"}
    if new:
        patch["email"] = email(rng, number).strip()
    return patch | _text_fields(rng, _ANDUIN[2:], new)


_SALESFORCEIQ = ("email", "phone", "name", "company", "title", "address", "city")
_LEADCONNECTOR = (
    *("email", "phone", "firstName", "lastName", "companyName", "city", "source"),
    "tags",
)
_SEGMETRICS = (
    *("contact_id", "email", "first_name", "last_name", "utm_source", "tags"),
)
_ANDUIN = (
    *("trackingId", "email", "firstName", "lastName", "phone", "company", "city"),
    "note",
)

PROFILE_PATCHES = {
    "SalesforceIQ": ProfilePatches(
        _SALESFORCEIQ, _salesforceiq, lambda patch: {"properties": patch}
    ),
    "LeadConnector": ProfilePatches(
        _LEADCONNECTOR, _leadconnector, lambda patch: {"locationId": "l1", **patch}
    ),
    "SegMetrics": ProfilePatches(
        _SEGMETRICS, _segmetrics, path={"account_id": "a1", "integration_id": "i1"}
    ),
    "Anduin": ProfilePatches(_ANDUIN, _anduin, path={"firm_id": "f1"}),
}
"""The generators by profile."""
