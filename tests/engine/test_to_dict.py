"""Outcomes, plans, changes, entries and refusals as plain values, ready for JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from upsertcore import (
    Change,
    Contact,
    ContactBook,
    Entry,
    Policy,
    Withheld,
    errors,
    field,
    merge_all,
    normalize,
    rules,
)

NOW = datetime(2024, 1, 2, tzinfo=UTC)
POLICY = Policy(
    merge_all("email", "phone"),
    {
        "email": field(key=normalize.email, unique=True, keep_aliases=True),
        "phone": field(key=normalize.phone),
        "tags": field(rule=rules.union),
        "address": field(null="ignore"),
        "name": field(rule=rules.latest(by="at")),
        "at": field(),
    },
    on_key_in_use="withhold",
)
OUTCOME = [
    *("result", "contact", "before", "matched_by", "changes", "withheld", "ignored"),
    *("also_matched", "merged", "replayed"),
]
PLAN = [
    *("result", "scope", "new_id", "after", *OUTCOME[2:-1]),
    *("forms", "aliases", "clocks", "expects", "trace"),
]


def new_book() -> ContactBook:
    """Make a book with a fixed clock and ids."""
    ids = iter(["c-1", "c-2", "c-3"]).__next__
    return ContactBook(POLICY, ids=ids, clock=lambda: NOW, retain_changes=None)


def merged_book() -> ContactBook:
    """Make a book in which one call merges, updates and ignores."""
    book = new_book()
    ada = {"email": "ada@x.org", "tags": ["a"], "name": "Ada", "at": 1}
    book.upsert(ada, idempotency_key="k-1")
    book.create({"phone": "+15550001111", "address": {"city": "Oslo"}})
    book.upsert(
        {
            "email": "ADA@x.org",
            "phone": "+1 555 000 1111",
            "tags": ["b"],
            "address": None,
        }
    )
    return book


def test_to_dict_of_an_outcome_has_its_parts_in_order() -> None:
    book = merged_book()
    [*_, entry] = book.changes_since()
    outcome: Any = entry.outcome
    row = outcome.to_dict()

    assert [*row] == OUTCOME
    assert json.loads(json.dumps(row)) == row
    assert Contact.from_dict(row["contact"]) == outcome.contact == book.get("c-1")
    assert Contact.from_dict(row["before"]) == outcome.before
    assert [Contact.from_dict(each) for each in row["merged"]] == [*outcome.merged]
    assert row["result"] == "merged"
    assert row["ignored"] == {"address": "null"}
    assert row["changes"] == [
        {"field": "email", "before": "ada@x.org", "after": "ADA@x.org"},
        {"field": "phone", "before": None, "after": "+1 555 000 1111"},
        {"field": "tags", "before": ["a"], "after": ["a", "b"]},
        {"field": "address", "before": None, "after": {"city": "Oslo"}},
    ]
    assert entry.to_dict() == {"number": 3, "outcome": row}


def test_to_dict_of_an_outcome_that_created_has_no_contact_before() -> None:
    row = new_book().upsert({"email": "ada@x.org"}).to_dict()

    assert (row["before"], row["matched_by"], row["replayed"]) == (None, None, False)


def test_to_dict_of_a_replayed_outcome_says_so() -> None:
    book, ada = new_book(), {"email": "ada@x.org"}
    first, again = [book.upsert(ada, idempotency_key="k-1").to_dict() for _ in "12"]

    assert again == {**first, "replayed": True}


def test_to_dict_of_a_purged_entry_has_no_outcome() -> None:
    assert Entry(7, None).to_dict() == {"number": 7, "outcome": None}


def test_to_dict_of_values_makes_lists_of_tuples() -> None:
    withheld = Withheld("tags", ("a", ("b",)), "c-2", "email")
    row = {"field": "tags", "value": ["a", ["b"]], "holder": "c-2", "key": "email"}

    assert withheld.to_dict() == row
    assert Change("tags", ("a",), None).to_dict() == {
        "field": "tags",
        "before": ["a"],
        "after": None,
    }


def test_to_dict_of_a_plan_has_its_parts_in_order() -> None:
    book = merged_book()
    patch = {"email": "eve@x.org", "phone": "001 555 000 1111", "name": "Eve", "at": 2}
    plan = book.plan(patch)
    row = plan.to_dict()

    assert [*row] == PLAN
    assert json.loads(json.dumps(row)) == row
    assert row["result"] == "updated"
    assert row["after"]["tags"] == ["a", "b"]
    assert row["forms"] == {
        "email": ["eve@x.org", "ada@x.org"],
        "phone": ["+15550001111"],
    }
    assert row["aliases"] == {"email": ["ada@x.org"]}
    assert row["clocks"] == {"name": 2}
    assert row["expects"]["versions"] == {"c-1": plan.before and plan.before.version}
    lookup = {"key": "phone", "form": "+15550001111", "holders": ["c-1"]}
    assert lookup in row["expects"]["keys"]
    assert row["trace"][1] == {
        "key": "phone",
        "forms": ["+15550001111"],
        "holders": ["c-1"],
        "note": "decides",
    }


def test_to_dict_of_a_batch_has_outcomes_and_refusals() -> None:
    """Each has a result, so that both can be lines of one file."""
    patches: list[Any] = [{"email": "a@x.org"}, {"emial": 1}, {"name": "Ada"}, {7: 1}]
    rows = [r.to_dict() for r in new_book().upsert_many(patches, on_refused="collect")]

    assert json.loads(json.dumps(rows)) == rows
    assert [row["result"] for row in rows] == ["created", *["refused"] * 3]
    assert [*rows[1].items()] == [
        ("result", "refused"),
        ("error", "UnknownField"),
        ("message", str(errors.UnknownField("emial", tuple(POLICY.fields)))),
        ("field", "emial"),
        ("row", 1),
    ]
    assert (rows[2]["error"], rows[2]["field"]) == ("NoMatchKey", None)
    assert rows[3]["field"] == "7"


@pytest.mark.parametrize("error", [errors.CreateRefused(), errors.MissingField("a")])
def test_to_dict_of_a_refusal_outside_a_batch_has_no_row(error: errors.Refused) -> None:
    assert error.to_dict()["row"] is None
