"""Instances of attrs classes, dataclasses and pydantic models as patches."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from types import GenericAlias
from typing import Any, ClassVar

import attrs
import pytest

from upsertcore import ContactBook, Policy, as_patch, first_match, normalize
from upsertcore import field as option
from upsertcore.errors import InvalidField
from upsertcore.values import MAX_DEPTH

UNSET: Any = object()


def nothing() -> Any:
    """Make the default of a field; ``default=NOTHING`` would mean that it has none."""
    return attrs.NOTHING


POLICY = Policy(
    first_match("email"),
    {"email": option(key=normalize.email), "name": option(), "homes": option()},
)


@attrs.frozen
class Address:
    """A nested attrs class."""

    city: str
    zip: Any = attrs.field(factory=nothing)


@dataclass
class Lead:
    """A dataclass with a value for what is not set."""

    kind: ClassVar[str] = "lead"
    email: Any = UNSET
    name: Any = UNSET
    homes: Any = field(default_factory=list)
    later: Any = field(init=False, repr=False)


@attrs.define
class Person:
    """An attrs class."""

    email: Any = attrs.field(factory=nothing)
    name: Any = attrs.field(factory=nothing)
    homes: Any = attrs.field(factory=nothing)
    later: Any = attrs.field(init=False)


class Model:
    """Has the method of pydantic models."""

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """Return the options that it was called with."""
        return options


@pytest.mark.parametrize(
    ("instance", "patch"),
    [
        (Person("a@x.org"), {"email": "a@x.org"}),
        (Person("a@x.org", None), {"email": "a@x.org", "name": None}),
        (Lead("a@x.org", None), {"email": "a@x.org", "name": None, "homes": []}),
        (
            Person(homes=[Address("Oslo"), Address("Rome", "00100")]),
            {"homes": [{"city": "Oslo"}, {"city": "Rome", "zip": "00100"}]},
        ),
        (
            Lead(homes={"work": Lead(name=Address("Oslo"))}),
            {"homes": {"work": {"name": {"city": "Oslo"}, "homes": []}}},
        ),
        ({"email": "a@x.org", "name": UNSET}, {"email": "a@x.org"}),
        ({"homes": (Address, 1)}, {"homes": [Address, 1]}),
        ({"homes": Model()}, {"homes": {"mode": "json", "exclude_unset": True}}),
        ({}, {}),
    ],
)
def test_as_patch_omits_what_is_not_set_at_every_level(
    instance: Any, patch: dict[str, Any]
) -> None:
    """Null stays null; a class inside stays what it is."""
    assert patch == as_patch(instance, unset=UNSET)


def test_as_patch_of_a_dataclass_without_unset_sends_every_field() -> None:
    lead = Lead("a@x.org")

    assert as_patch(lead) == {"email": "a@x.org", "name": UNSET, "homes": []}


def test_as_patch_of_a_contact_is_what_it_stores() -> None:
    book = ContactBook(POLICY)
    patch = {"email": "a@x.org", "homes": [{"city": "Oslo"}]}
    contact = book.upsert(as_patch(patch)).contact

    assert as_patch(contact) == patch
    assert book.upsert(as_patch(contact)).unchanged


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (Lead, 'pass a dict, such as {"email": "ada@x.org"}'),
        (7, 'pass a dict, such as {"email": "ada@x.org"}'),
        ("{}", "pass json.loads(patch)"),
        ([Lead()], "use upsert_many for several patches"),
    ],
)
def test_as_patch_of_another_value_is_refused(value: Any, advice: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        as_patch(value)
    assert str(refusal.value).startswith("patch: must be an instance of a model or ")
    assert str(refusal.value).endswith(f"; {advice}")


def test_instance_that_is_too_large_or_too_deep_is_refused() -> None:
    """One that contains itself is too deep, and found out in bounded time."""
    person = Person("a@x.org")
    person.homes = [person]
    wide = Person("a@x.org")
    for _ in range(MAX_DEPTH // 2):
        wide = Person("a@x.org", homes=[wide, wide])
    too_deep = f"must not nest deeper than {MAX_DEPTH} levels"
    too_large = "must hold at most 100000 values"

    with pytest.raises(InvalidField, match=too_deep):
        ContactBook(POLICY).upsert(as_patch(person))
    with pytest.raises(InvalidField, match=too_large):
        as_patch(wide)


def test_as_patch_of_a_pydantic_model_has_its_set_fields() -> None:
    """As JSON values; also inside an instance of another kind."""
    pydantic = pytest.importorskip("pydantic")
    home: Any = pydantic.create_model(
        "Home", city=(str, ...), since=(date | None, None)
    )
    model = pydantic.create_model(
        "Model",
        email=(str, ...),
        name=(str | None, None),
        homes=(GenericAlias(list, home), []),
    )
    payload = {"email": "a@x.org", "homes": [{"city": "Oslo", "since": "2024-01-02"}]}
    lead = model.model_validate(payload)

    assert as_patch(lead) == payload
    assert as_patch(model(email="a@x.org", name=None))["name"] is None
    assert as_patch(Person(homes=lead.homes)) == {"homes": payload["homes"]}
    with pytest.raises(InvalidField, match="use upsert_many for several patches"):
        as_patch(pydantic.RootModel[list[int]]([1]))


def test_unset_pydantic_fields_change_nothing_in_a_book() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("M", email=(str, ...), name=(str | None, None))
    book = ContactBook(POLICY)
    book.upsert({"email": "a@x.org", "name": "Ada"})

    assert book.upsert(as_patch(model(email="a@x.org"))).unchanged
    assert book.upsert(as_patch(model(email="a@x.org", name=None))).updated
