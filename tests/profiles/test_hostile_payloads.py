"""
The attacks of tests/cases/hostile_profiles.json on each profile.

The status and shape of each response are documented ones. A refused payload changes
nothing, and an accepted one is unchanged when sent again.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.profiles.seed_table import holds
from upsertcore import profiles
from upsertcore.profiles.profile import Rejected

DATA = Path(__file__).parents[1] / "cases" / "hostile_profiles.json"
SYSTEMS = json.loads(DATA.read_text(encoding="utf-8"))
ATTACKS = [
    pytest.param(system, attack, id=f"{system['profile']}: {attack['name']}")
    for system in SYSTEMS
    for attack in system["attacks"]
]


class Text(str):
    """A subclass of text whose own methods fail."""

    __slots__ = ()

    def strip(self, *_: Any) -> str:
        """Fail."""
        raise AssertionError("a method of the payload was called")

    __str__ = __repr__ = __format__ = lower = count = strip  # type: ignore[assignment]


class Object(Mapping[Any, Any]):
    """A mapping that is no dict, and may list any names."""

    def __init__(self, *pairs: tuple[Any, Any]) -> None:
        self.pairs = pairs

    def __getitem__(self, name: Any) -> Any:
        for key, value in self.pairs:
            if key is name or key == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[Any]:
        return iter([name for name, _value in self.pairs])

    def __len__(self) -> int:
        return len(self.pairs)

    def items(self) -> Any:
        """Return the pairs as they are."""
        return list(self.pairs)


def nested(wrap: Callable[[Any], Any]) -> Any:
    """Make a value that nests ten thousand deep."""
    value: Any = "x"
    for _ in range(10_000):
        value = wrap(value)
    return value


def cyclic(value: Any) -> Any:
    """Make a list or an object that contains itself."""
    if isinstance(value, list):
        value.append(value)
    else:
        value["x"] = value
    return value


MAKE: dict[str, Callable[[Any], Any]] = {
    "nan": lambda _: float("nan"),
    "infinity": lambda _: float("inf"),
    "minus infinity": lambda _: float("-inf"),
    "lone surrogate": lambda _: "\ud800",
    "deep list": lambda _: nested(lambda value: [value]),
    "deep object": lambda _: nested(lambda value: {"a": value}),
    "cyclic list": lambda _: cyclic([]),
    "cyclic object": lambda _: cyclic({}),
    "5000 digits": lambda _: 10**5000,
    "a megabyte of text": lambda _: "x" * 1_000_000,
    "20000 combining marks": lambda _: (
        f"a{chr(0x301) * 10_000}{chr(0x316) * 10_000}@x.org"
    ),
    "an object of 20000 names": lambda _: {f"n{number}": 1 for number in range(20_000)},
    "a list of 20000 items": lambda _: [f"t{number}" for number in range(20_000)],
    "bytes": lambda _: b"ada@x.org",
    "set": lambda _: {"ada@x.org"},
    "object": lambda _: object(),
    "generator": lambda _: (letter for letter in "ab"),
    "decimal": lambda _: Decimal("1.5"),
    "datetime": lambda _: datetime(2024, 1, 2, tzinfo=UTC),
    "uuid": lambda _: UUID(int=1),
    "tuple": tuple,
    "text of another class": Text,
    "mapping of another class": lambda of: Object(*of.items()),
    "object with the name": lambda of: {of[0]: of[1]},
    "object with a list as a name": lambda _: Object(([], "x")),
}


def decode(encoded: Any) -> Any:
    """Decode a value of the file: ``$python`` names one that JSON cannot represent."""
    if isinstance(encoded, list):
        return [decode(item) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if "$python" in encoded:
        return MAKE[encoded["$python"]](decode(encoded.get("of")))
    return {name: decode(value) for name, value in encoded.items()}


def replaced(root: Any, place: list[Any], value: Any) -> Any:
    """Return a copy with another value at a place."""
    if not place:
        return value
    changed = copy.copy(root)
    below = changed[place[0]] if len(place) > 1 else None
    changed[place[0]] = replaced(below, place[1:], value)
    return changed


def value_at(root: Any, place: list[Any]) -> Any:
    """Return the value at a place."""
    for step in place:
        root = root[step]
    return root


def is_documented_body(profile: str, status: int, body: Any) -> bool:
    """Return whether a body has the documented shape for a status."""
    shapes: dict[str, dict[int, dict[str, Any]]] = {
        "SalesforceIQ": {
            200: {"id": str, "properties": dict},
            400: {"statusCode": int, "userMessage": str, "errorMessage": str},
            422: {"statusCode": int, "userMessage": str, "errorMessage": str},
        },
        "LeadConnector": {
            200: {"new": bool, "contact": dict, "traceId": str},
            400: {"statusCode": int, "message": str, "error": str},
            422: {"statusCode": int, "message": list, "error": str},
        },
        "SegMetrics": {
            200: {"status": str, "contact": dict},
            400: {"status": str, "errors": list},
        },
        "Anduin": {
            200: {"id": str, "result": str},
            400: {"field": str, "message": str},
        },
    }
    shape = shapes[profile][status]
    if (profile, status) == ("Anduin", 200):
        body = {name: body[name] for name in shape}
    lists = (
        *body.get("errors", ()),
        *(body.get("message", ()) if status == 422 else ()),
    )
    return (
        body.keys() == shape.keys()
        and all(type(body[name]) is kind for name, kind in shape.items())
        and body.get("statusCode", status) == status
        and all(type(line) is str and line for line in lists)
    )


@pytest.mark.parametrize(("system", "attack"), ATTACKS)
def test_hostile_payload_has_the_expected_response(
    system: dict[str, Any], attack: dict[str, Any]
) -> None:
    """Status, shape and message are documented ones, and the book stays valid."""
    numbers = count(1)
    make: Any = getattr(profiles, system["profile"])
    options = attack.get("options", {})
    profile = make(**options, ids=lambda: f"c-{next(numbers)}")
    base, path = system["base"], {**system["path"], **attack.get("path", {})}
    for payload in attack.get("before", ()):
        assert profile.upsert(payload, **system["path"]).status == 200
    payload = decode(attack.get("payload", base))
    place = attack.get("at")
    if place and place[0] == "?":
        path[place[1]] = decode(attack["put"])
    elif place is not None:
        payload = replaced(base, place, decode(attack["put"]))
    before = profile.book.dump()

    response = profile.upsert(payload, **path)

    assert response.status == attack["status"], response.body
    assert is_documented_body(system["profile"], response.status, response.body), (
        response.body
    )
    json.dumps(response.body, allow_nan=False).encode()
    if response.outcome is None:
        assert attack.get("says", "") in response.reason
        assert len(response.reason) < 1_500
        assert "Secret" not in json.dumps(response.body)
        assert before == profile.book.dump()
        with pytest.raises(Rejected) as rejected:
            profile.plan(payload, **path)
        assert response.body == rejected.value.body
    else:
        assert holds(attack.get("answers", {}), response.body), response.body
        *place, name = attack.get("lacks", ["$"])
        assert name not in value_at(response.body, place)
        exact = attack.get("exact", [])
        assert len(value_at(response.body, exact)) == len(
            value_at(attack["answers"] if exact else response.body, exact)
        )
        second = profile.upsert(payload, **path)
        assert second.outcome.unchanged
        state = profile.book.dump()
        assert state == profile.book.load(profile.policy, state).dump()
    assert attack.get("contacts", len(profile.book)) == len(profile.book)


def test_every_profile_has_75_attacks_with_unique_names() -> None:
    for system in SYSTEMS:
        names = [attack["name"] for attack in system["attacks"]]
        assert len(names) == len(set(names)) >= 75
