"""
Replays tests/cases/behaviours/*.json: what named systems do, each with its source.

Rules:
    A case has a policy, calls, and the result of each call.
    An unknown name in a case fails: a misspelt name must not pass.
    The last call is made once more, and then nothing may change.
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
CALL = {"verb", "ids", "patch", "how"}
EXPECTED = {
    *("result", "id", "fields", "ignored", "withheld", "also_matched", "aliases"),
    *("merged", "matched_by", "refused"),
}
OPTIONS = {
    *("scope", "if_version", "rules", "null", "blank"),
    *("on_found", "on_not_found", "omitted", "visitor", "id"),
}
REPORTS = {
    "dedupe": {"scope", "keep"},
    "duplicates": {"scope", "of", "blank"},
    "scan": {"scope", "after", "limit"},
}
"""The options of the verbs that return several contacts."""
REPORT = {"verb", "keys", "patch", "how", "answer"}
MATCH = {"by", "keys", "guard", "on_contradiction"}
STRATEGIES = {"first_match", "first_present", "all_agree", "merge_all", "never"}
LINE = {
    *("key", "unique", "required", "rule", "on_merge", "null", "blank", "default"),
    *("keep_aliases", "max_forms", "blocked", "many"),
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
    *("deep_keep", "unset", "sticky", "constant", "refuse_if"),
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
        "on_found for one call",
        "on_not_found for one call",
        "omitted for one call",
        "visitor for one call",
        "on_not_found: refuse",
        "on_found: refuse",
        "on_found: ignore",
    ),
    *("on_ambiguous: oldest", "on_ambiguous: newest", "on_key_in_use: withhold"),
    *("on_key_in_use: allow", "on_no_key: create", "on_blocked: store"),
    *("on_blocked: ignore", "on_blocked: refuse", "on_limit: drop"),
    *("null: ignore", "blank: ignore", "blank: clear", "many"),
    *("AmbiguousMatch", "CreateRefused", "InvalidField", "KeyInUse"),
    "KeysDisagree",
    *("MissingField", "NoMatchKey", "StaleVersion", "UnknownField"),
    "UpdateRefused",
    *("merge", "merge: patch", "update", "id for one call"),
    *("dedupe: keep", "duplicates: of", "duplicates: blank"),
    *("scan: after", "scan: limit"),
}


def unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a mapping of the pairs of a JSON object, whose names are unique."""
    assert len(pairs) == len(dict(pairs)), pairs
    return dict(pairs)


def cases(path: Path) -> list[dict[str, Any]]:
    """Read the cases of one file."""
    text = path.read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = json.loads(text, object_pairs_hook=unique_names)
    return rows


PATHS = sorted((Path(__file__).parent / "cases" / "behaviours").glob("*.json"))
CASES = [case for path in PATHS for case in cases(path)]


def check_names(mapping: dict[str, Any], known: set[str]) -> None:
    """Check that a mapping of a case has only known names."""
    assert mapping.keys() <= known, f"unknown: {sorted(mapping.keys() - known)}"


def rule(spec: Any) -> Rule:
    """Make the rule that a case names: ``"keep"``, or ``["latest", "changed"]``."""
    name, *args = [spec] if isinstance(spec, str) else spec
    assert name in rules.__all__, f"no rule: {name}"
    attribute = getattr(rules, name)
    value = attribute(*args) if args else attribute
    assert isinstance(value, Rule), f"no rule: {spec}"
    return value


def rule_table(specs: dict[str, Any]) -> dict[str, Rule]:
    """Make the rules of a mapping of fields to rules."""
    return {name: rule(spec) for name, spec in specs.items()}


def normalizer(spec: Any) -> Any:
    """Make the normaliser that a case names: ``"email"``, or ``["date", "dmy"]``."""
    name, *args = [spec] if isinstance(spec, str) else spec
    assert name in normalize.__all__, f"no normaliser: {name}"
    return getattr(normalize, name)(*args) if args else getattr(normalize, name)


def line(spec: dict[str, Any]) -> Any:
    """Make one line of a policy."""
    check_names(spec, LINE)
    options = {**spec}
    if "key" in spec:
        options["key"] = normalizer(spec["key"])
    for name in ("rule", "on_merge"):
        if name in spec:
            options[name] = rule(spec[name])
    if "blocked" in spec:
        options["blocked"] = blocked(spec["blocked"])
    return field(**options)


def named_key(spec: dict[str, Any]) -> Any:
    """Make a key of several fields."""
    check_names(spec, KEY)
    options = {**spec}
    fields, names = options.pop("fields"), options.pop("normalize")
    several = isinstance(names, list)
    functions = tuple(map(normalizer, names)) if several else normalizer(names)
    if "blocked" in options:
        options["blocked"] = blocked(options["blocked"])
    return key(*fields, normalize=functions, **options)


def strategy(spec: dict[str, Any]) -> Any:
    """Make a match strategy."""
    check_names(spec, MATCH)
    options = {**spec}
    by, keys = options.pop("by"), options.pop("keys", [])
    assert by in STRATEGIES, f"no strategy: {by}"
    return getattr(upsertcore, by)(*keys, **options)


def blocked(spec: Any) -> Any:
    """Make the patterns that a key, or some of its parts, block."""
    if isinstance(spec, dict):
        return {name: blocked(patterns) for name, patterns in spec.items()}
    return normalize.PLACEHOLDERS if spec == "PLACEHOLDERS" else tuple(spec)


def policy(spec: dict[str, Any]) -> Policy:
    """Make the policy that a case describes."""
    check_names(spec, POLICY)
    arguments = {**spec, "match": strategy(spec["match"])}
    arguments["fields"] = {
        name: line(line_spec) for name, line_spec in spec["fields"].items()
    }
    makers: dict[str, Any] = {
        "keys": lambda keys: {
            name: named_key(line_spec) for name, line_spec in keys.items()
        },
        "extra_fields": line,
        "on_merge": rule,
    }
    arguments |= {
        name: make(spec[name]) for name, make in makers.items() if name in spec
    }
    return Policy(**arguments)


def call_book(book: ContactBook, call: dict[str, Any]) -> Outcome:
    """Make one call of a case."""
    options = {**call.get("how", {})}
    check_names(options, OPTIONS)
    if "rules" in options:
        options["rules"] = rule_table(options["rules"])
    if call.get("verb") == "merge":
        # So that the same merge again is no mistake.
        options |= {"patch": call.get("patch"), "on_itself": "ignore"}
        return book.merge(*call["ids"], **options)
    if call.get("verb") == "update":
        (id,) = call["ids"]
        return book.update(id, call["patch"], **options)
    assert "ids" not in call, "only a merge and an update have ids"
    verbs = {"upsert": book.upsert, "create": book.create}
    outcome: Outcome = verbs[call.get("verb", "upsert")](call["patch"], **options)
    return outcome


def report(book: ContactBook, call: dict[str, Any]) -> list[Any]:
    """Make a call that returns several contacts; list their ids, survivors first."""
    check_names(call, REPORT)
    verb, keys, options = call["verb"], call.get("keys", []), call.get("how", {})
    check_names(options, REPORTS[verb])
    if verb == "scan":
        found = book.scan(call.get("patch"), **options)
        return [contact.id for contact in found]
    if verb == "duplicates":
        groups = book.duplicates(*keys, **options)
        return [[contact.id for contact in group] for group in groups]
    merges: list[Any] = book.dedupe(*keys, **options)
    return [[one.contact.id, *[other.id for other in one.merged]] for one in merges]


def described(outcome: Outcome) -> dict[str, Any]:
    """Describe an outcome in the words of a case."""
    row = outcome.contact.to_dict()
    return {
        "result": outcome.result,
        "id": outcome.contact.id,
        "fields": row["fields"],
        "ignored": dict(outcome.ignored),
        "withheld": [item.field for item in outcome.withheld],
        "also_matched": list(outcome.also_matched),
        "aliases": row.get("aliases", {}),
        "merged": [item.id for item in outcome.merged],
        "matched_by": outcome.matched_by,
    }


def as_json(value: Any) -> str:
    """Write a value so that 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True, indent=1)


def replay(case: dict[str, Any]) -> None:
    """Make the calls of a case, then the last one once more."""
    check_names(case, CASE)
    numbers, moments = count(1), count()
    book = ContactBook(
        policy(case["policy"]),
        ids=lambda: f"c-{next(numbers)}",
        clock=lambda: START + timedelta(seconds=next(moments)),
    )
    outcome = None
    for call in case["calls"]:
        if call.get("verb") in REPORTS:
            assert call["answer"] == report(book, call)
            continue
        check_names(call, CALL | EXPECTED)
        expected = {name: call[name] for name in call if name in EXPECTED}
        assert ("result" in call) != ("refused" in call), "result or refused"
        if "refused" in call:
            assert {"refused"} == expected.keys()
            before, outcome = book.dump(), None
            with pytest.raises(errors.Refused) as refusal:
                call_book(book, call)
            assert call["refused"] == type(refusal.value).__name__, refusal.value
            assert before == book.dump()
            continue
        outcome = call_book(book, call)
        actual = {name: described(outcome)[name] for name in expected}
        assert as_json(expected) == as_json(actual)

    if case["calls"][-1].get("verb") in REPORTS:
        again, before = case["calls"][-1], book.dump()
        merged = again["verb"] == "dedupe"
        assert report(book, again) == ([] if merged else again["answer"])
        assert before == book.dump()
        return
    if outcome is None:
        assert "idempotent" not in case, "the last call is refused"
        return
    repeated = call_book(book, case["calls"][-1])
    if case.get("idempotent", True):
        assert repeated.result == "unchanged"
        assert outcome.contact == repeated.contact
    else:
        assert repeated.result != "unchanged"


def words(case: dict[str, Any]) -> Iterator[str]:
    """Give the words of the vocabulary that a case uses."""
    policy_spec = case["policy"]
    yield policy_spec["match"]["by"]
    for name in ("guard", "on_contradiction"):
        yield f"{name}: {policy_spec['match'].get(name)}"
    for name in sorted(POLICY):
        yield f"{name}: {policy_spec[name]}" if name in policy_spec else ""
    rule_specs: list[Any] = []
    extra = [policy_spec["extra_fields"]] if "extra_fields" in policy_spec else []
    for spec in (
        *extra,
        *policy_spec["fields"].values(),
        *policy_spec.get("keys", {}).values(),
    ):
        yield from (name for name, value in spec.items() if value is not False)
        yield from (f"{name}: {spec.get(name)}" for name in ("null", "blank"))
        if len(spec.get("fields", [])) > 1 and not spec.get("any_of"):
            yield "composite"
        rule_specs += [spec[name] for name in ("rule", "on_merge") if name in spec]
        if "blocked" in spec:
            yield f"on_blocked: {policy_spec.get('on_blocked', 'store')}"
    for call in case["calls"]:
        options = call.get("how", {})
        if call.get("verb") in REPORTS:
            yield from (f"{call['verb']}: {name}" for name in options)
            continue
        yield from (f"{name} for one call" for name in options)
        if call.get("verb") == "merge":
            yield from ("merge", *(["merge: patch"] if "patch" in call else []))
        yield "update" if call.get("verb") == "update" else ""
        rule_specs += options.get("rules", {}).values()
        yield call.get("refused", "")
    yield from (name if isinstance(name, str) else name[0] for name in rule_specs)


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=f"{c['system']}: {c['rule']}") for c in CASES]
)
def test_system_behaves_as_documented(case: dict[str, Any]) -> None:
    """The last call, made again, changes nothing."""
    replay(case)


def test_cases_are_complete_and_unique() -> None:
    """Each has a system, a rule and a source."""
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


def test_cases_use_the_whole_vocabulary() -> None:
    """Together they use every option of a policy and of a call."""
    used = {word for case in CASES for word in words(case)}
    assert set() == VOCABULARY - used


SOUND_CALL = {"patch": {"email": "ada@x.org"}, "result": "created"}
SOUND_CASE = {
    "system": "Nobody",
    "rule": "a contact is created",
    "source": "this file",
    "policy": {
        "match": {"by": "first_match", "keys": ["email"]},
        "fields": {"email": {"key": "email", "rule": "keep"}},
    },
    "calls": [SOUND_CALL],
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
def test_misspelt_name_in_a_case_fails(path: tuple[Any, ...], value: Any) -> None:
    """The same case without it passes."""
    case = json.loads(json.dumps(SOUND_CASE))
    replay(case)
    place = case
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(AssertionError):
        replay(case)


def test_repeated_name_in_a_case_fails() -> None:
    with pytest.raises(AssertionError, match="rule"):
        json.loads('{"rule": 1, "rule": 2}', object_pairs_hook=unique_names)
