"""Replays tests/cases/rules.json: results of rules for patches and for merges."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import upsertcore.rules
from tests.field_options import merging
from upsertcore import ContactBook, Policy, errors, field, first_match, normalize
from upsertcore.rules import constant, items_by, latest, refuse_if
from upsertcore.rules.rule import Rule
from upsertcore.values import freeze, same

CASES = json.loads(
    (Path(__file__).parents[1] / "cases" / "rules.json").read_text("utf-8")
)
NOON = datetime(2024, 1, 2, tzinfo=UTC)
RULES_WITH_ARGUMENTS: dict[str, Rule] = {
    "latest(by='at')": latest(by="at"),
    "items_by('id')": items_by("id"),
    "constant('z')": constant("z"),
    "refuse_if('z')": refuse_if("z"),
}


def rule_of(case: dict[str, Any]) -> Rule:
    """Return the rule that a case names."""
    rule = RULES_WITH_ARGUMENTS.get(case["rule"]) or getattr(
        upsertcore.rules, case["rule"]
    )
    assert isinstance(rule, Rule)
    return rule


def row(id: str, hour: int, clock: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Make the row of a contact."""
    time = (NOON + timedelta(hours=hour)).isoformat()
    contact = {"id": id, "scope": "", "version": 1, "fields": fields}
    contact |= {"created_at": NOON.isoformat(), "updated_at": time}
    return contact if clock is None else {**contact, "clocks": {"v": clock}}


def patch_result(case: dict[str, Any], verb: str) -> dict[str, Any]:
    """Send the patch of a case; return the result in the terms of the case."""
    rule, options = rule_of(case), {n: case[n] for n in ("null", "blank") if n in case}
    lines = {"id": field(key=normalize.exact, unique=True), "at": field(blank="store")}
    lines["v"] = field(rule=rule, **options)
    policy = Policy(first_match("id"), lines, on_found=case.get("on_found", "update"))
    stored = {"v": case["stored"]} if "stored" in case else {}
    at = {"at": case["at"]} if "at" in case else {}
    known = {name: value for name, value in at.items() if value is not None}
    start = row("a", 0, case.get("clock"), {"id": 1, **stored, **known})
    book = ContactBook.load(policy, [start])
    before, patch = book.dump(), {"id": 1, "v": case["sent"], **at}
    try:
        plan = book.plan(patch)
        assert book.dump() == before
        outcome = send(book, verb, patch)
    except errors.Refused as refusal:
        assert book.dump() == before
        return {"refused": type(refusal).__name__}
    result = described(outcome)
    assert (plan.result, dict(plan.ignored)) == (outcome.result, dict(outcome.ignored))
    if "idempotent" in rule.laws:
        after = book.dump()
        second = send(book, verb, patch)
        assert (second.result, dict(second.ignored)) == (
            "unchanged",
            dict(outcome.ignored),
        )
        assert book.dump() == after
    return result


def send(book: ContactBook, verb: str, patch: dict[str, Any]) -> Any:
    """Send a patch by one of the verbs."""
    if verb == "upsert":
        return book.upsert(patch)
    if verb == "apply":
        return book.apply(book.plan(patch))
    return book.upsert_many([patch], atomic=verb == "atomic")[0]


def described(outcome: Any) -> dict[str, Any]:
    """Describe the field after the call."""
    fields = outcome.contact.to_dict()["fields"]
    result = {"value": fields["v"]} if "v" in fields else {}
    result["result"] = outcome.result
    return result | ({"ignored": outcome.ignored["v"]} if outcome.ignored else {})


def merge_result(case: dict[str, Any]) -> dict[str, Any]:
    """Merge two contacts; return the value of the survivor."""
    rule = rule_of(case)
    lines = {"id": field(key=normalize.exact), "at": field()}
    own = rule if rule.by == "at" else upsertcore.rules.replace
    lines["v"] = field(rule=own, default=case.get("default"))
    policy = Policy(first_match("id"), merging(lines, {"v": rule}))
    clocks, hours = case.get("clocks", (None, None)), case.get("hours", (0, 0))
    rows = [
        row(id, hours[n], clocks[n], {"v": case[side]} if side in case else {})
        for n, (id, side) in enumerate((("a", "survivor"), ("b", "other")))
    ]
    book = ContactBook.load(policy, rows)
    before = book.dump()
    try:
        outcome = book.merge("a", "b")
    except errors.Refused as refusal:
        assert book.dump() == before
        return {"refused": type(refusal).__name__}
    result = described(outcome)
    book.undo(outcome)
    assert book.dump() == before
    return {"value": result["value"]} if "value" in result else {}


@pytest.mark.parametrize("verb", ["upsert", "apply", "many", "atomic"])
def test_patch_case_has_the_expected_result(verb: str) -> None:
    """The value, the result and the ignored rule, by every verb."""
    for number, case in enumerate(CASES):
        if case["mode"] == "patch":
            result = patch_result(case, verb)
            assert same(freeze(case["expected"]), freeze(result)), (
                number,
                case,
                result,
            )


def test_merge_case_has_the_expected_result() -> None:
    """A refusal changes nothing."""
    for number, case in enumerate(CASES):
        if case["mode"] == "merge":
            result = merge_result(case)
            assert same(freeze(case["expected"]), freeze(result)), (
                number,
                case,
                result,
            )


def test_every_rule_has_cases() -> None:
    modes = {(case["mode"], case["rule"]) for case in CASES}
    names = [n for n, r in vars(upsertcore.rules).items() if isinstance(r, Rule)]
    rules = {*names, *RULES_WITH_ARGUMENTS}

    assert {("merge", name) for name in rules} <= modes
    of_merges = {"last_updated", "constant('z')", "refuse_if('z')"}
    assert {("patch", name) for name in rules - of_merges} <= modes
    assert len(CASES) > 600
