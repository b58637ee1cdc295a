"""
Patches that suit each profile: its own fields, as its ``parse`` would give them.

Rules:
    What is sent is canonical where the profile would make it so: the floor does no
    cleaning, and both must end in the same state.
    A known contact is sent by what the profile matches by, and a few fields.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

from attrs import frozen

from benchmarks.people import email, phone, tags, text

__all__ = ["SUITED", "Suited"]

Patch: TypeAlias = dict[str, Any]

_PLAIN = str.maketrans("", "", " ().-")


@frozen
class Suited:
    """
    How patches for one profile are made.

    Args:
        names: All fields that they may carry.
        patch: (generator, person, whether new): one patch.
    """

    names: tuple[str, ...]
    patch: Callable[[Random, int, bool], Patch]


def _some(rng: Random, names: tuple[str, ...], new: bool) -> Patch:  # noqa: FBT001 - as Suited.patch
    """Write text in all of these fields, or in a few of them."""
    if not new:
        first = int(rng.random() * len(names))
        names = names[first : first + 1 + int(rng.random() * len(names))]
    return {name: text(rng, name) for name in names}


def _digits(rng: Random, number: int) -> str:
    return phone(rng, number).translate(_PLAIN)


def _salesforceiq(rng: Random, number: int, new: bool) -> Patch:  # noqa: FBT001 - as Suited.patch
    said: Patch = {"email": email(rng, number).strip()}
    if new:
        said["phone"] = _digits(rng, number)
    said |= _some(rng, _SALESFORCEIQ[2:], new)
    return {name: [{"value": said[name], "metadata": {}}] for name in said}


def _leadconnector(rng: Random, number: int, new: bool) -> Patch:  # noqa: FBT001 - as Suited.patch
    patch = {"email": email(rng, number).strip(), "phone": _digits(rng, number)}
    patch |= _some(rng, _LEADCONNECTOR[2:-1], new)
    return patch | {"tags": tags(rng, 3)} if new else patch


def _segmetrics(rng: Random, number: int, new: bool) -> Patch:  # noqa: FBT001 - as Suited.patch
    patch: Patch = {"contact_id": number + 1, "email": email(rng, number).strip()}
    patch |= _some(rng, _SEGMETRICS[2:-1], new)
    return patch | {"tags": tags(rng, 3)} if new else patch


def _anduin(rng: Random, number: int, new: bool) -> Patch:  # noqa: FBT001 - as Suited.patch
    patch = {"trackingId": f"INV-{number:07d}"}
    if new:
        patch["email"] = email(rng, number).strip()
    return patch | _some(rng, _ANDUIN[2:], new)


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

SUITED = {
    "SalesforceIQ": Suited(_SALESFORCEIQ, _salesforceiq),
    "LeadConnector": Suited(_LEADCONNECTOR, _leadconnector),
    "SegMetrics": Suited(_SEGMETRICS, _segmetrics),
    "Anduin": Suited(_ANDUIN, _anduin),
}
"""By profile."""
