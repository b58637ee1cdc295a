"""
Replays tests/cases/behaviours/*.json: what named systems do, each with its source.

Rules:
    A case is a policy, calls, and what becomes of each; the policy says it all.
    What a case says and this file does not know fails: a typo must not pass.
    The last call is made once more, and then nothing may move.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import upsertcore
from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    errors,
    field,
    key,
    normalize,
    rules,
)
from upsertcore.rules.rule import Rule

START = datetime(2024, 1, 1, tzinfo=UTC)
SYSTEMS = {
    *("Braze", "Chatwoot", "Dataverse", "HubSpot", "Mautic"),
    *("PostHog", "Salesforce", "Segment Unify", "Twenty", "Wix"),
}
CASE = {"system", "rule", "source", "policy", "calls", "idempotent"}
CALL = {"verb", "patch", "how"}
EXPECTED = {
    *("result", "id", "fields", "ignored", "withheld", "also_matched", "aliases"),
    *("merged", "matched_by", "refused"),
}
HOW = {"scope", "if_version", "rules", "null", "blank"}
MATCH = {"by", "keys", "guard", "on_contradiction"}
STRATEGIES = {"first_match", "first_present", "all_agree", "merge_all", "never"}
LINE = {
    *("key", "unique", "required", "rule", "on_merge", "null", "blank", "default"),
    *("keep_aliases", "max_forms", "blocked"),
}
KEY = {
    "fields",
    "normalize",
    "unique",
    "keep_aliases",
    "max_forms",
    "blocked",
    "any_of",
    "append_new",
}
POLICY = {
    *(
        "match",
        "fields",
        "keys",
        "extra_fields",
        "on_ambiguous",
        "on_key_in_use",
        "on_no_key",
    ),
    *("on_found", "on_not_found", "on_blocked", "on_limit", "on_merge"),
}
VOCABULARY = {
    *STRATEGIES,
    *("guard: if_set", "guard: strict", "on_contradiction: drop"),
    *("keep", "on_create", "immutable", "ignore", "union", "remove", "deep"),
    *("items_by", "latest", "largest", "smallest", "add", "append", "add_or_remove"),
    *("deep_keep", "unset"),
    *(
        "keep_aliases",
        "max_forms",
        "any_of",
        "append_new",
        "composite",
        "required",
        "default",
    ),
    *("unique", "on_merge", "rules for one call", "null for one call"),
    *(
        "blank for one call",
        "on_not_found: refuse",
        "on_found: refuse",
        "on_found: ignore",
    ),
    *("on_ambiguous: oldest", "on_ambiguous: newest", "on_key_in_use: withhold"),
    *("on_key_in_use: allow", "on_no_key: create", "on_blocked: store"),
    *("on_blocked: ignore", "on_blocked: refuse", "on_limit: drop"),
    *("null: ignore", "blank: ignore", "blank: clear"),
    *("AmbiguousMatch", "CreateRefused", "InvalidField", "KeyInUse"),
    *("MissingField", "NoMatchKey", "StaleVersion", "UnknownField"),
    "UpdateRefused",
}


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a mapping of the pairs of a JSON object; no name stands there twice."""
    assert len(pairs) == len(dict(pairs)), pairs
    return dict(pairs)


def cases(path: Path) -> list[dict[str, Any]]:
    """Read the cases of one file."""
    text = path.read_text(encoding="utf-8")
    found: list[dict[str, Any]] = json.loads(text, object_pairs_hook=once)
    return found


PATHS = sorted((Path(__file__).parent / "cases" / "behaviours").glob("*.json"))
CASES = [case for path in PATHS for case in cases(path)]


def know(said: dict[str, Any], known: set[str]) -> None:
    """See that a mapping of a case has no name that would be passed over."""
    assert said.keys() <= known, f"unknown: {sorted(said.keys() - known)}"


def rule(said: Any) -> Rule:
    """Make the rule that a case names: ``"keep"``, or ``["latest", "changed"]``."""
    name, *args = [said] if isinstance(said, str) else said
    assert name in rules.__all__, f"no rule: {name}"
    named = getattr(rules, name)
    made = named(*args) if args else named
    assert isinstance(made, Rule), f"no rule: {said}"
    return made


def table(said: dict[str, Any]) -> dict[str, Rule]:
    """Make the rules of a mapping of fields to rules."""
    return {name: rule(named) for name, named in said.items()}


def normalizer(name: str) -> Any:
    """Give the normaliser that a case names."""
    assert name in normalize.__all__, f"no normaliser: {name}"
    return getattr(normalize, name)


def line(said: dict[str, Any]) -> Any:
    """Make one line of a policy."""
    know(said, LINE)
    made = {**said}
    if "key" in said:
        made["key"] = normalizer(said["key"])
    for name in ("rule", "on_merge"):
        if name in said:
            made[name] = rule(said[name])
    if "blocked" in said:
        made["blocked"] = blocked(said["blocked"])
    return field(**made)


def named_key(said: dict[str, Any]) -> Any:
    """Make a key of several fields."""
    know(said, KEY)
    options = {**said}
    fields, said_so = options.pop("fields"), options.pop("normalize")
    several = isinstance(said_so, list)
    made = tuple(map(normalizer, said_so)) if several else normalizer(said_so)
    return key(*fields, normalize=made, **options)


def strategy(said: dict[str, Any]) -> Any:
    """Make a match strategy."""
    know(said, MATCH)
    options = {**said}
    by, keys = options.pop("by"), options.pop("keys", [])
    assert by in STRATEGIES, f"no strategy: {by}"
    return getattr(upsertcore, by)(*keys, **options)


def blocked(said: Any) -> Any:
    """Make the patterns that one key blocks."""
    return normalize.PLACEHOLDERS if said == "PLACEHOLDERS" else tuple(said)


def policy(said: dict[str, Any]) -> Policy:
    """Make the policy that a case describes."""
    know(said, POLICY)
    made = {**said, "match": strategy(said["match"])}
    made["fields"] = {name: line(each) for name, each in said["fields"].items()}
    makers: dict[str, Any] = {
        "keys": lambda keys: {name: named_key(each) for name, each in keys.items()},
        "extra_fields": line,
        "on_merge": rule,
    }
    made |= {name: make(said[name]) for name, make in makers.items() if name in said}
    return Policy(**made)


def make(book: ContactBook, call: dict[str, Any]) -> Outcome:
    """Make one call."""
    how = {**call.get("how", {})}
    know(how, HOW)
    if "rules" in how:
        how["rules"] = table(how["rules"])
    verbs = {"upsert": book.upsert, "create": book.create}
    outcome: Outcome = verbs[call.get("verb", "upsert")](call["patch"], **how)
    return outcome


def told(outcome: Outcome) -> dict[str, Any]:
    """Say what a call did in the words of a case."""
    row = outcome.contact.to_dict()
    return {
        "result": outcome.result,
        "id": outcome.contact.id,
        "fields": row["fields"],
        "ignored": dict(outcome.ignored),
        "withheld": [each.field for each in outcome.withheld],
        "also_matched": list(outcome.also_matched),
        "aliases": row.get("aliases", {}),
        "merged": [each.id for each in outcome.merged],
        "matched_by": outcome.matched_by,
    }


def text(value: Any) -> str:
    """Write a value so that 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True, indent=1)


def replay(case: dict[str, Any]) -> None:
    """Make the calls of a case, then the last one once more."""
    know(case, CASE)
    numbers, moments = count(1), count()
    book = ContactBook(
        policy(case["policy"]),
        ids=lambda: f"c-{next(numbers)}",
        clock=lambda: START + timedelta(seconds=next(moments)),
    )
    outcome = None
    for call in case["calls"]:
        know(call, CALL | EXPECTED)
        expected = {name: call[name] for name in call if name in EXPECTED}
        assert ("result" in call) != ("refused" in call), "result or refused"
        if "refused" in call:
            assert {"refused"} == expected.keys()
            before, outcome = book.dump(), None
            with pytest.raises(errors.Refused) as refusal:
                make(book, call)
            assert call["refused"] == type(refusal.value).__name__, refusal.value
            assert before == book.dump()
            continue
        outcome = make(book, call)
        actual = {name: told(outcome)[name] for name in expected}
        assert text(expected) == text(actual)

    if outcome is None:
        assert "idempotent" not in case, "the last call is refused"
        return
    again = make(book, case["calls"][-1])
    if case.get("idempotent", True):
        assert again.result == "unchanged"
        assert outcome.contact == again.contact
    else:
        assert again.result != "unchanged"


def words(case: dict[str, Any]) -> Iterator[str]:
    """Give the words of the vocabulary that a case uses."""
    said = case["policy"]
    yield said["match"]["by"]
    for name in ("guard", "on_contradiction"):
        yield f"{name}: {said['match'].get(name)}"
    for name in sorted(POLICY):
        yield f"{name}: {said[name]}" if name in said else ""
    named: list[Any] = []
    extra = [said["extra_fields"]] if "extra_fields" in said else []
    for each in (*extra, *said["fields"].values(), *said.get("keys", {}).values()):
        yield from (name for name, value in each.items() if value is not False)
        yield from (f"{name}: {each.get(name)}" for name in ("null", "blank"))
        if len(each.get("fields", [])) > 1 and not each.get("any_of"):
            yield "composite"
        named += [each[name] for name in ("rule", "on_merge") if name in each]
        if "blocked" in each:
            yield f"on_blocked: {said.get('on_blocked', 'store')}"
    for call in case["calls"]:
        how = call.get("how", {})
        yield from (f"{name} for one call" for name in how)
        named += how.get("rules", {}).values()
        yield call.get("refused", "")
    yield from (name if isinstance(name, str) else name[0] for name in named)


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=f"{c['system']}: {c['rule']}") for c in CASES]
)
def test_the_documented_behaviour(case: dict[str, Any]) -> None:
    """Each call does what its source says, and twice is once."""
    replay(case)


def test_the_collection() -> None:
    """Each case has its system, rule and source; none stands there twice."""
    for case in CASES:
        for name in ("system", "rule", "source"):
            assert isinstance(case[name], str)
            assert case[name].strip()
    names = [(case["system"], case["rule"]) for case in CASES]
    assert sorted(set(names)) == sorted(names)
    assert {case["system"] for case in CASES} >= SYSTEMS
    assert len(CASES) >= 40
    for path in PATHS:
        assert len({case["system"] for case in cases(path)}) == 1, path.name


def test_the_vocabulary() -> None:
    """Between them the systems use all that a policy and a call can say."""
    used = {word for case in CASES for word in words(case)}
    assert set() == VOCABULARY - used


CALLED = {"patch": {"email": "ada@x.org"}, "result": "created"}
SOUND = {
    "system": "Nobody",
    "rule": "a contact is created",
    "source": "this file",
    "policy": {
        "match": {"by": "first_match", "keys": ["email"]},
        "fields": {"email": {"key": "email", "rule": "keep"}},
    },
    "calls": [CALLED],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("sourec",), "this file"),
        (("idempotent",), False),
        (("calls", 0, "ignord"), {}),
        (("calls", 0, "refused"), "KeyInUse"),
        (("calls", 0, "result"), "updated"),
        (("calls", 0, "how"), {"ruls": {}}),
        (("calls", 0, "how"), {"rules": {"email": "kep"}}),
        (("policy", "on_mny"), "oldest"),
        (("policy", "match", "gard"), "strict"),
        (("policy", "match", "by"), "field"),
        (("policy", "fields", "email", "uniqe"), True),
        (("policy", "fields", "email", "key"), "mail"),
        (("policy", "fields", "email", "rule"), "latest"),
        (("policy", "keys"), {"one": {"fields": ["email"], "normalise": "email"}}),
    ],
    ids=lambda part: ".".join(map(str, part)) if isinstance(part, tuple) else None,
)
def test_a_typo_fails(path: tuple[Any, ...], value: Any) -> None:
    """A case with a name that nobody knows does not pass; without it, it does."""
    case = json.loads(json.dumps(SOUND))
    replay(case)
    place = case
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(AssertionError):
        replay(case)


def test_a_name_twice_fails() -> None:
    """A JSON object that says a name twice does not pass."""
    with pytest.raises(AssertionError, match="rule"):
        json.loads('{"rule": 1, "rule": 2}', object_pairs_hook=once)
