"""
Random histories of patches by number, and a check for mixtures of two people.

Rules:
    A policy is described as plain data, so that a history can be kept in a file.
    The pools are so small that contacts share values, and keys are in use.
    The expected answers are those of the oracle.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from itertools import combinations, count
from pathlib import Path
from typing import Any

import upsertcore
from tests.oracle.oracle import Oracle
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
from upsertcore.errors import InvalidPolicy, Refused
from upsertcore.policy.policy import compiled
from upsertcore.rules import custom, latest

__all__ = [
    "answer_data",
    "answers",
    "cases",
    "history_of",
    "mixtures",
    "people",
    "policy_of",
]

NOW = datetime(2024, 1, 2, tzinfo=UTC)
NAMES = ("first", "surname", "dob", "city")
VALUES: dict[str, list[Any]] = {
    "email": ["a@x", "b@x", "c@x"],
    "phone": ["a1", "b1", "c1"],
    "first": ["a", "b", "c"],
    **{name: ["a", "b"] for name in NAMES[1:]},
}
MORE: list[Any] = [["a@x"], ["b@x", "c@x"], ["d@x", "a@x"], ["d@x"], [], None]
RULES = {
    "latest": latest(by="at"),
    "first": custom(lambda stored, sent: sent if stored is None else stored),
}
KINDS = ("whole", "parts", "lists", "hostile")
NORMALISERS: dict[str, Any] = {
    "email": normalize.email,
    "exact": normalize.exact,
    "text": normalize.text,
}
Spec = dict[str, Any]


def policy_of(spec: Spec) -> Policy:
    """Make a policy from plain data."""
    fields = {}
    for name, line in spec["fields"].items():
        options = dict(line)
        if "key" in options:
            options["key"] = NORMALISERS[options["key"]]
        rule = options.get("rule", "replace")
        options["rule"] = RULES.get(rule) or getattr(rules, rule)
        fields[name] = field(**options)
    keys = {}
    for name, parts in spec["keys"].items():
        settings = {option: on for option, on in parts.items() if option != "fields"}
        normal = normalize.email if settings.get("any_of") else normalize.text
        keys[name] = key(*parts["fields"], normalize=normal, **settings)
    settings = {**spec["match"]}
    match = getattr(upsertcore, settings.pop("by"))(*settings.pop("keys"), **settings)
    return Policy(match, fields, keys=keys, **spec["how"])


def history_of(number: int, kind: str) -> tuple[Spec, list[dict[str, Any]]] | None:
    """
    Draw a policy and patches; return nothing if the policy is invalid.

    Args:
        number: The same number gives the same history.
        kind: ``"whole"``: each patch describes one person, with all four names or
            none of them; ``"parts"``: any field may be missing; ``"lists"``: besides,
            lists, null and blank, rules, clocks, defaults and keys of lists;
            ``"hostile"``: besides, two primaries appended to one list, limits, guards
            that drop keys, and fields of many keys.
    """
    # The seed is fixed: a number gives the same history on every machine.
    rng = random.Random(f"{kind} {number}")
    hostile = kind == "hostile"
    spec = _hostile(rng) if hostile else _spec(rng, rich=kind == "lists")
    try:
        policy_of(spec)
    except InvalidPolicy:
        return None
    patch = _hostile_patch if hostile else _patch
    return spec, [patch(rng, kind) for _ in range(rng.randint(3, 6))]


def _spec(rng: random.Random, *, rich: bool) -> Spec:
    fields = {name: _line(rng, name, rich=rich) for name in VALUES}
    fields["id"] = {"key": "exact", "unique": True}
    pairs = [
        item
        for size in (2, 3)
        for item in combinations(VALUES if rng.random() < 0.4 else NAMES, size)
    ]
    if rich:
        more = rng.choice(["replace", "union", "keep"])
        fields |= {"more": {"rule": more}, "at": {}}
        lists = ("more", "city"), ("more", "surname"), ("first", "more")
        pairs += lists if rng.random() < 0.3 else ()
    keys: Spec = {}
    for number in range(rng.choice((2, 2, 3))):
        keys[f"k{number}"] = {
            "fields": [*rng.choice(pairs)],
            "unique": rng.random() < 0.6,
            "keep_aliases": rich and rng.random() < 0.1,
        }
    if rich and rng.random() < 0.6:
        keys["mails"] = {
            "fields": ["email", "more"],
            "any_of": True,
            "append_new": rng.random() < 0.6,
            "unique": rng.random() < 0.7,
        }
        if rng.random() < 0.6:
            fields["email"].pop("key", None)
            fields["email"]["unique"] = False
    lone = [name for name in ("email", "phone") if "key" in fields[name]]
    match: Spec = {"by": rng.choice(["first_match", "first_match", "first_present"])}
    if rng.random() < 0.2:
        match["by"] = "all_agree"
    if rich and rng.random() < 0.2:
        match["by"] = "merge_all"
    key_names = [*lone, *keys]
    chosen = rng.sample(key_names, k=rng.randint(1, min(4, len(key_names))))
    match["keys"] = ["id", *chosen]
    if rich and match["by"] == "first_match" and rng.random() < 0.3:
        match["guard"] = rng.choice(["if_set", "strict"])
    on_ambiguous = rng.choice(["refuse", "oldest", "oldest", "newest"])
    options: Spec = {"on_key_in_use": "withhold", "on_ambiguous": on_ambiguous}
    if lone and rng.random() < 0.3:
        fields[rng.choice(lone)]["blocked"] = ["a*"]
        options["on_blocked"] = "ignore"
    if rich and rng.random() < 0.3:
        options["on_no_key"] = "create"
    fields = {name: _without_defaults(line) for name, line in fields.items()}
    keys = {name: _without_defaults(item) for name, item in keys.items()}
    return {"match": match, "fields": fields, "keys": keys, "how": options}


def _without_defaults(line: Spec) -> Spec:
    """Remove the options that have their default."""
    return {
        name: setting
        for name, setting in line.items()
        if setting not in (False, "replace")
    }


def _line(rng: random.Random, name: str, *, rich: bool) -> Spec:
    line: Spec = {}
    if name in ("email", "phone") or (rich and rng.random() < 0.2):
        line["key"] = "email" if name == "email" else "text"
        line["unique"] = rng.random() < 0.6
        if rich and rng.random() < 0.15:
            line["keep_aliases"] = True
    if rich:
        rules = ("keep", "immutable", "union", "on_create", "latest", "first")
        line["rule"] = rng.choice(("replace",) * 14 + rules)
        if rng.random() < 0.1:
            line["null"] = "ignore"
        if rng.random() < 0.15 and not line.get("unique"):
            line["default"] = "z"
    if rng.random() < 0.04:
        line["required"] = True
    return line


def _patch(rng: random.Random, kind: str) -> dict[str, Any]:
    patch: dict[str, Any] = {"id": rng.choice((1, 2, 3))} if rng.random() < 0.7 else {}
    if kind == "whole":
        names = [name for name in ("email", "phone") if rng.random() < 0.6]
        names += NAMES if rng.random() < 0.85 else ()
        return patch | {name: rng.choice(VALUES[name]) for name in names}
    for name in [name for name in VALUES if rng.random() < 0.6]:
        patch[name] = rng.choice(VALUES[name])
        if kind == "lists" and rng.random() < 0.15:
            patch[name] = rng.choice([None, "", rng.sample(VALUES[name], 2)])
    if kind == "lists":
        patch["at"] = rng.choice((1, 2, 3))
        if rng.random() < 0.4:
            patch["more"] = rng.choice(MORE)
        names = [*patch]
        rng.shuffle(names)
        patch = {name: patch[name] for name in names}
    return patch


PARTS = ("a", "b", "c", "d")
POOL = ["v1@x", "v2@x", "v3@x"]


def _hostile(rng: random.Random) -> Spec:
    fields: Spec = {"id": {"key": "exact", "unique": True}}
    fields |= {name: _without_defaults(_hostile_line(rng)) for name in PARTS}
    fields |= {"p": {}, "q": {}, "at": {}}
    fields["m"] = _without_defaults({"rule": rng.choice(["replace", "union", "keep"])})
    names = [*PARTS, *[name for name in "mp" if rng.random() < 0.4]]
    keys: Spec = {}
    for number in range(rng.choice((1, 2, 2, 3))):
        keys[f"k{number}"] = {
            "fields": rng.sample(names, k=rng.choice((2, 2, 3))),
            "unique": rng.random() < 0.6,
            "keep_aliases": rng.random() < 0.15,
            **({"max_forms": 2} if rng.random() < 0.1 else {}),
        }
    primaries = rng.choice(("", "p", "p", "pq"))
    for name in primaries:
        keys[f"of {name}"] = {
            "fields": [name, "m"],
            "any_of": True,
            "append_new": rng.random() < 0.7,
            "unique": rng.random() < 0.8,
        }
    keys = {name: _without_defaults(item) for name, item in keys.items()}
    lone = [name for name in PARTS if "key" in fields[name]]
    key_names = [*lone, *keys]
    chosen = rng.sample(key_names, k=min(len(key_names), rng.randint(0, 3)))
    match: Spec = {"by": rng.choice(_MATCHES), "keys": ["id", *chosen]}
    if match["by"] == "first_match" and rng.random() < 0.3:
        match["guard"] = rng.choice(["if_set", "strict"])
        match |= {"on_contradiction": "drop"} if rng.random() < 0.3 else {}
    options: Spec = {"on_key_in_use": rng.choice(["withhold"] * 6 + ["refuse"])}
    options["on_ambiguous"] = rng.choice(["oldest", "oldest", "refuse", "newest"])
    blocked = [*lone, *[name for name in keys if name.startswith("of")]]
    if blocked and rng.random() < 0.35:
        name = rng.choice(blocked)
        (fields if name in fields else keys)[name]["blocked"] = ["v1*"]
        options["on_blocked"] = "ignore"
    return {"match": match, "fields": fields, "keys": keys, "how": options}


_MATCHES = (*["first_match"] * 4, "first_present", "all_agree", "merge_all")


def _hostile_line(rng: random.Random) -> Spec:
    line: Spec = {}
    if rng.random() < 0.35:
        line |= {"key": "text", "unique": rng.random() < 0.7}
        line["keep_aliases"] = rng.random() < 0.2
    line["required"] = rng.random() < 0.06
    rules = ("union", "keep", "immutable", "latest", "first")
    line["rule"] = rng.choice(("replace",) * 8 + rules)
    if rng.random() < 0.15 and not line.get("unique"):
        line["default"] = "z"
    if rng.random() < 0.2:
        line["null"] = "ignore"
    if rng.random() < 0.2:
        line["blank"] = rng.choice(["clear", "ignore"])
    return line


def _hostile_patch(rng: random.Random, _kind: str) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    for name in [*PARTS, "p", "q"]:
        if rng.random() < 0.5:
            unusual = rng.choice([None, "", " ", [], rng.sample(POOL, 2)])
            patch[name] = unusual if rng.random() < 0.16 else rng.choice(POOL)
    if rng.random() < 0.5:
        one, two = rng.sample(POOL, 2)
        patch["m"] = rng.choice([[one], [one, two], ["w@x", one], [], None, one])
    if rng.random() < 0.75:
        patch["id"] = rng.choice((1, 2, 3))
    names = ["at", *patch]
    rng.shuffle(names)
    return {name: patch.get(name, rng.choice((1, 2))) for name in names}


def answers(
    book: ContactBook, patches: list[dict[str, Any]]
) -> list[Outcome | Refused]:
    """Upsert one patch after the other; return outcomes and refusals."""
    results: list[Outcome | Refused] = []
    for patch in patches:
        try:
            results.append(book.upsert(patch))
        except errors.Refused as refusal:
            results.append(refusal)
    return results


def answer_data(answer: Any) -> Any:
    """Describe an answer of a book or of the oracle as plain data."""
    if isinstance(answer, errors.KeyInUse):
        return ["KeyInUse", answer.field, _plain(answer.value), answer.holder]
    if isinstance(answer, errors.Refused):
        return [type(answer).__name__]
    if isinstance(answer, Outcome):
        withheld: Any = [(w.field, w.value, w.holder, w.key) for w in answer.withheld]
        contact = answer.contact.to_dict()
        parts = answer.result, contact, withheld, answer.ignored, answer.also_matched
    else:
        names = ("result", "contact", "withheld", "ignored", "also_matched")
        parts = tuple(answer[name] for name in names)
    result, contact, withheld, ignored, also_matched = parts
    return _plain(
        [
            result,
            contact["id"],
            contact["fields"],
            withheld,
            dict(ignored),
            also_matched,
        ]
    )


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(upsertcore.values.thaw(value), sort_keys=True))


def book_of(policy: Policy) -> ContactBook:
    """Make a book of contacts c-0, c-1, ..."""
    numbers = count()
    return ContactBook(policy, ids=lambda: f"c-{next(numbers)}", clock=lambda: NOW)


def expected(policy: Policy, patches: list[dict[str, Any]]) -> list[Any]:
    """Return the answers of the oracle to patches, one after the other."""
    numbers = count()
    oracle = Oracle(policy, lambda: f"c-{next(numbers)}", lambda: NOW)
    results: list[Any] = []
    for patch in patches:
        try:
            results.append(answer_data(oracle.upsert(patch)))
        except errors.Refused as refusal:
            results.append(answer_data(refusal))
    return results


def left_out(outcome: Outcome) -> set[str]:
    """Return the fields of a patch that were left out for a key in use or a block."""
    composite = [
        name for name, reason in outcome.ignored.items() if reason == "composite"
    ]
    return {*composite, *[item.field for item in outcome.withheld]}


def groups(policy: Policy) -> set[tuple[str, ...]]:
    """Return the groups of fields that composite keys of a policy join."""
    return {*compiled(policy).groups.values()}


def mixtures(policy: Policy, patch: dict[str, Any], outcome: Outcome) -> list[Any]:
    """
    List the groups of fields that an outcome leaves with values of two people.

    In such a group one sent field was left out, and another one was stored. A patch
    of which nothing is left out makes no mixture.
    """
    before = {} if outcome.before is None else outcome.before.fields
    missing = left_out(outcome)
    blocked = [name for name, reason in outcome.ignored.items() if reason == "blocked"]
    mixed = []
    for group in groups(policy):
        moved = [
            name
            for name in group
            if name in patch
            and name not in blocked
            and before.get(name) != outcome.contact.get(name)
        ]
        if not outcome.merged and missing.intersection(group) and moved:
            mixed.append((group, moved))
    return mixed


def people(
    policy: Policy, patches: list[dict[str, Any]], book: ContactBook
) -> list[Any]:
    """
    List the contacts whose identifying values no patch contained as a whole.

    Only for patches that have all four names or none, under ``replace``.
    """
    unknown = []
    for group in groups(policy):
        if {*group} <= {*NAMES}:
            known = [[patch.get(name) for name in group] for patch in patches]
            known.append([None for _ in group])
            unknown += [
                (contact.id, group)
                for contact in book
                if [contact.get(name) for name in group] not in known
            ]
    return unknown


def cases(size: int) -> list[Any]:
    """Draw histories of each kind in which a key in use leaves out other fields."""
    all_cases = []
    for kind in KINDS:
        cases_of_kind: list[Any] = []
        for number in count():
            history = history_of(number, kind)
            if history is None:
                continue
            spec, patches = history
            expected_answers = expected(policy_of(spec), patches)
            if any(_leaves_out(answer) for answer in expected_answers):
                cases_of_kind.append(
                    {"policy": spec, "calls": patches, "expected": expected_answers}
                )
            if len(cases_of_kind) == size:
                break
        all_cases += cases_of_kind
    return all_cases


def _leaves_out(answer: list[Any]) -> bool:
    """Return whether an answer has a field left out with another one."""
    if len(answer) < 6:
        return bool(answer[0] == "KeyInUse")
    joined = "composite" in answer[4].values()
    return bool(joined) or len({key_name for *_, key_name in answer[3]}) < len(
        answer[3]
    )


if __name__ == "__main__":
    # One case per line keeps the difference of a change small.
    lines = [json.dumps(item, separators=(",", ":")) for item in cases(90)]
    path = Path(__file__).parents[1] / "cases" / "left_out.json"
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
