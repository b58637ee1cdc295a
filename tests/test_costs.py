"""Costs are counted, never timed: what runs how often."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from upsertcore import ContactBook, Policy, field, first_match, normalize
from upsertcore.plan import plan


def counted(size: int, patch: dict[str, Any]) -> Counter[str]:
    """Count what deciding on a patch calls in a book of this size."""
    calls: Counter[str] = Counter()

    def count(name: str, function: Any) -> Any:
        def counting(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return function(*args, **kwargs)

        return counting

    fields = {
        "email": field(key=count("email", normalize.email), unique=True),
        "phone": field(key=count("phone", normalize.phone)),
        "city": field(clean=count("clean", str.strip)),
    }
    policy = Policy(first_match("email", "phone"), fields, on_many="oldest")
    book = ContactBook(policy)
    for number in range(size):
        book.upsert({"email": f"{number}@x.org", "phone": f"+1555{number:07d}"})
    calls.clear()
    index = book._index
    view: Any = SimpleNamespace(
        holders=count("holders", index.holders),
        get=count("get", index.get),
        forms=index.forms,
    )
    plan(policy, patch, view)
    return calls


PATCHES: list[dict[str, Any]] = [
    {"email": "new@x.org", "phone": "+15559999999", "city": " Oslo "},
    {"email": "1@x.org", "phone": "+15559999999", "city": " Oslo "},
    {"email": "1@X.org", "phone": "+15550000001"},
    {"phone": "+15550000003", "email": "moved@x.org"},
]


@pytest.mark.parametrize("patch", PATCHES, ids=map(str, range(4)))
def test_look_ups_do_not_grow_with_the_book(patch: dict[str, Any]) -> None:
    """Ten contacts or two thousand: the same calls, each key normalised once."""
    small, large = counted(10, patch), counted(2_000, patch)

    assert small == large
    assert small["email"] == 1
    assert small["phone"] == 1
    assert small["clean"] == ("city" in patch)
    assert small["holders"] == 2
    assert small["get"] <= 1


def test_nothing_is_cleaned_or_normalised_that_was_not_sent() -> None:
    """An omitted field costs nothing."""
    assert counted(10, {"email": "1@x.org"}) == {"email": 1, "holders": 1, "get": 1}
