"""
Synthetic people for the workloads, with their spellings.

Rules:
    A person is a number, from which the email address and telephone number are
    derived: they are unique, and a million people need no table.
    No two patches share a string object, as in data from a network.
    No person is real: addresses end in .example. There are too few fictitious
    telephone numbers for a million people, so these have an area code without
    subscribers.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

__all__ = ["FIELDS", "LIST", "email", "fields_of", "phone", "tags", "text"]

_FIRST = (
    *("Ada", "Grace", "Linus", "Zoë", "José", "Siân", "Łukasz", "Øyvind", "Chloé"),
    *("Нина", "Дмитрий", "Ελένη", "美咲", "محمد", "Jürgen", "Priya", "Kwame", "Ngozi"),
)
_LAST = (
    *("King", "Hopper", "O'Brien", "van der Berg", "Müller", "Strauß", "Nowak"),
    *("Иванова", "山田", "Fernández-López", "Smith", "Jones", "Adebayo", "Håkansson"),
)
_ASCII = ("ada", "grace", "linus", "zoe", "jose", "sian", "lukasz", "oyvind", "nina")
_PLACES = ("Oslo", "Austin", "São Paulo", "Köln", "Lagos", "Osaka", "Leeds", "Łódź")
_TYPED: tuple[Callable[[str], str], ...] = (
    str,
    str.title,
    str.upper,
    lambda address: f" {address}",
)
_MORE = (
    *("title", "department", "website", "street", "street2", "postalCode", "state"),
    *("timezone", "language", "source", "campaign", "medium", "owner", "stage"),
    *("segment", "industry", "size", "revenue", "birthday", "gender", "remark", "memo"),
)

LIST = "tags"
"""The list field, in workloads that have one."""

FIELDS = (
    *("email", "phone", "firstName", "lastName", "company", "city", "country", "note"),
    *_MORE,
)
"""The names of all 30 fields; a workload with n fields has the first n."""


def fields_of(count: int, *, with_list: bool = False) -> tuple[str, ...]:
    """
    Return the field names of a workload.

    Args:
        count: The number of fields.
        with_list: Whether the last one is the list field.

    >>> fields_of(4, with_list=True)
    ('email', 'phone', 'firstName', 'tags')
    """
    return (*FIELDS[: count - 1], LIST) if with_list else FIELDS[:count]


def email(rng: Random, number: int) -> str:
    """
    Return the email address of a person, in one of several spellings.

    >>> email(Random(1), 10).strip().lower()
    'grace.10@mail1.example'
    """
    address = f"{_ASCII[number % 9]}.{number}@mail{number % 3}.example"
    return _TYPED[int(rng.random() * 4)](address)


def phone(rng: Random, number: int) -> str:
    """
    Return the telephone number of a person, with common separators.

    >>> phone(Random(1), 10)
    '+12030000010'
    """
    digits = f"{2030000000 + number}"
    area, block, last = digits[:3], digits[3:6], digits[6:]
    way = int(rng.random() * 4)
    if way == 0:
        return f"+1{digits}"
    if way == 1:
        return f"+1 ({area}) {block}-{last}"
    if way == 2:
        return f"+1 {area}-{block}-{last}"
    return f"+1.{area}.{block}.{last}"


def text(rng: Random, name: str) -> str:
    """
    Return a value for a text field.

    >>> text(Random(1), "city")
    'Austin 76269'
    """
    draw = rng.random()
    if name == "firstName":
        return f"{_FIRST[int(draw * 18)]} {_ASCII[int(rng.random() * 9)]}"
    if name == "lastName":
        return f"{_LAST[int(draw * 14)]} {_LAST[int(rng.random() * 14)]}"
    return f"{_PLACES[int(draw * 8)]} {int(rng.random() * 90_000)}"


def tags(rng: Random, count: int) -> list[Any]:
    """
    Return a list of distinct lower-case strings.

    >>> tags(Random(1), 2)
    ['tag 0-13', 'tag 1-84']
    """
    return [f"tag {place}-{int(rng.random() * 100)}" for place in range(count)]
