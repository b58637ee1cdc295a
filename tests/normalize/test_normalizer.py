"""Normalisers with parameters: equal, copied and pickled by their parameters."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from upsertcore import normalize

NAMES = {"Robert": ["Bob", "Rob"]}
MAKERS: dict[str, Callable[[], Any]] = {
    "phone_in('US')": lambda: normalize.phone_in("US"),
    "prefix(3)": lambda: normalize.prefix(3),
    "nicknames({'Robert': ['Bob', 'Rob']})": lambda: normalize.nicknames(NAMES),
}
OTHERS = [normalize.phone_in("DE"), normalize.prefix(4), normalize.nicknames({})]


@pytest.mark.parametrize("name", MAKERS)
def test_normaliser_with_parameters_equals_one_with_the_same(name: str) -> None:
    """So do its copies; it is named as it is written."""
    one, two = MAKERS[name](), MAKERS[name]()
    pickled = pickle.loads(pickle.dumps(one))  # noqa: S301 - pickled here

    assert one == two == pickled == copy.deepcopy(one)
    assert len({one, two, pickled}) == 1
    assert repr(one) == one.name == name
    assert one("Bob") == pickled("Bob")
    assert one not in OTHERS
    assert one != normalize.text


def test_table_of_nicknames_is_copied() -> None:
    """Later changes do not matter, and generators are read once."""
    table = {"Robert": ["Bob"]}
    normaliser = normalize.nicknames(table)
    table["Robert"].append("Rob")

    assert normaliser("Rob") == "rob"
    assert normaliser == normalize.nicknames({"Robert": iter(["Bob"])})
