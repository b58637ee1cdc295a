"""Replays tests/cases/rules.json: what rules make of a patch, and of two contacts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import upsertcore.rules
from tests.field_options import merging
from upsertcore import ContactBook, Policy, errors, field, first_match, normalize
from upsertcore.rules import items_by, latest
from upsertcore.rules.rule import Rule
from upsertcore.values import freeze, same

CASES = json.loads(
    (Path(__file__).parents[1] / "cases" / "rules.json").read_text("utf-8")
)
NOON = datetime(2024, 1, 2, tzinfo=UTC)
MADE: dict[str, Rule] = {
    "latest(by='at')": latest(by="at"),
    "items_by('id')": items_by("id"),
}


def rule_of(case: dict[str, Any]) -> Rule:
    """Give the rule that a case names."""
    found = MADE.get(case["rule"]) or getattr(upsertcore.rules, case["rule"])
    assert isinstance(found, Rule)
    return found


def row(id: str, hour: int, clock: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Make the row of a contact."""
    time = (NOON + timedelta(hours=hour)).isoformat()
    made = {"id": id, "scope": "", "version": 1, "fields": fields}
    made |= {"created_at": NOON.isoformat(), "updated_at": time}
    return made if clock is None else {**made, "clocks": {"v": clock}}


def patched(case: dict[str, Any], verb: str) -> dict[str, Any]:
    """Send what a case sends; give what it says of the outcome."""
    rule, options = rule_of(case), {n: case[n] for n in ("null", "blank") if n in case}
    lines = {"id": field(key=normalize.exact, unique=True), "at": field(blank="store")}
    lines["v"] = field(rule=rule, **options)
    policy = Policy(first_match("id"), lines, on_found=case.get("on_found", "update"))
    stored = {"v": case["stored"]} if "stored" in case else {}
    at = {"at": case["at"]} if "at" in case else {}
    known = {name: each for name, each in at.items() if each is not None}
    start = row("a", 0, case.get("clock"), {"id": 1, **stored, **known})
    book = ContactBook.load(policy, [start])
    before, patch = book.dump(), {"id": 1, "v": case["sent"], **at}
    try:
        plan = book.plan(patch)
        assert book.dump() == before
        outcome = call(book, verb, patch)
    except errors.Refused as refusal:
        assert book.dump() == before
        return {"refused": type(refusal).__name__}
    said = told(outcome)
    assert (plan.result, dict(plan.ignored)) == (outcome.result, dict(outcome.ignored))
    if "idempotent" in rule.laws:
        after = book.dump()
        again = call(book, verb, patch)
        assert (again.result, dict(again.ignored)) == (
            "unchanged",
            dict(outcome.ignored),
        )
        assert book.dump() == after
    return said


def call(book: ContactBook, verb: str, patch: dict[str, Any]) -> Any:
    """Send a patch by one of the verbs."""
    if verb == "upsert":
        return book.upsert(patch)
    if verb == "apply":
        return book.apply(book.plan(patch))
    return book.upsert_many([patch], atomic=verb == "atomic")[0]


def told(outcome: Any) -> dict[str, Any]:
    """Say what became of the field."""
    fields = outcome.contact.to_dict()["fields"]
    said = {"value": fields["v"]} if "v" in fields else {}
    said["result"] = outcome.result
    return said | ({"ignored": outcome.ignored["v"]} if outcome.ignored else {})


def merged(case: dict[str, Any]) -> dict[str, Any]:
    """Merge two contacts; say what the survivor has then."""
    rule = rule_of(case)
    lines = {"id": field(key=normalize.exact), "at": field()}
    own = rule if rule.by == "at" else upsertcore.rules.replace
    lines["v"] = field(rule=own, default=case.get("default"))
    policy = Policy(first_match("id"), merging(lines, {"v": rule}))
    clocks, hours = case.get("clocks", (None, None)), case.get("hours", (0, 0))
    rows = [
        row(id, hours[n], clocks[n], {"v": case[who]} if who in case else {})
        for n, (id, who) in enumerate((("a", "survivor"), ("b", "other")))
    ]
    book = ContactBook.load(policy, rows)
    before = book.dump()
    try:
        outcome = book.merge("a", "b")
    except errors.Refused as refusal:
        assert book.dump() == before
        return {"refused": type(refusal).__name__}
    said = told(outcome)
    book.undo(outcome)
    assert book.dump() == before
    return {"value": said["value"]} if "value" in said else {}


@pytest.mark.parametrize("verb", ["upsert", "apply", "many", "atomic"])
def test_what_is_sent(verb: str) -> None:
    """By every verb alike: the value, the result, and what is named as ignored."""
    for number, case in enumerate(CASES):
        if case["mode"] == "patch":
            said = patched(case, verb)
            assert same(freeze(case["expected"]), freeze(said)), (number, case, said)


def test_what_two_contacts_have() -> None:
    """By the rule of the merge; a refusal changes nothing."""
    for number, case in enumerate(CASES):
        if case["mode"] == "merge":
            said = merged(case)
            assert same(freeze(case["expected"]), freeze(said)), (number, case, said)


def test_there_are_cases_of_every_rule() -> None:
    """As many as a hostile reader of the table would try."""
    modes = {(case["mode"], case["rule"]) for case in CASES}
    names = [n for n, r in vars(upsertcore.rules).items() if isinstance(r, Rule)]
    rules = {*names, *MADE}

    assert {("merge", name) for name in rules} <= modes
    assert {("patch", name) for name in rules - {"last_updated"}} <= modes
    assert len(CASES) > 600
