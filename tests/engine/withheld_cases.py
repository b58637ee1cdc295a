"""
Small histories of patches, drawn from a number, and what a mixture of two people is.

Rules:
    A policy is told as plain data, so that a history can be kept in a file.
    The pools are so small that contacts share values, and keys are in use.
    What is expected is what the oracle says, which is written from the rules.
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

__all__ = ["answers", "cases", "drawn", "mixtures", "people", "policy_of", "told"]

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
    """Make a policy of plain data."""
    fields = {}
    for name, line in spec["fields"].items():
        told = dict(line)
        if "key" in told:
            told["key"] = NORMALISERS[told["key"]]
        rule = told.get("rule", "replace")
        told["rule"] = RULES.get(rule) or getattr(rules, rule)
        fields[name] = field(**told)
    keys = {}
    for name, each in spec["keys"].items():
        how = {option: on for option, on in each.items() if option != "fields"}
        normal = normalize.email if how.get("any_of") else normalize.text
        keys[name] = key(*each["fields"], normalize=normal, **how)
    how = {**spec["match"]}
    match = getattr(upsertcore, how.pop("by"))(*how.pop("keys"), **how)
    return Policy(match, fields, keys=keys, **spec["how"])


def drawn(number: int, kind: str) -> tuple[Spec, list[dict[str, Any]]] | None:
    """
    Draw a policy and patches; nothing where the policy cannot work.

    Args:
        number: The same number gives the same history.
        kind: ``"whole"``: each patch describes one person, with all four names or
            without any; ``"parts"``: any field may be missing; ``"lists"``: besides,
            lists, null and blank, rules, clocks, defaults and keys of lists;
            ``"hostile"``: besides, two primaries that join one list, limits, guards
            that drop, and parts of many keys.
    """
    # What is drawn is no secret, and must be the same everywhere.
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
        each
        for size in (2, 3)
        for each in combinations(VALUES if rng.random() < 0.4 else NAMES, size)
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
    every = [*lone, *keys]
    some = rng.sample(every, k=rng.randint(1, min(4, len(every))))
    match["keys"] = ["id", *some]
    if rich and match["by"] == "first_match" and rng.random() < 0.3:
        match["guard"] = rng.choice(["if_set", "strict"])
    many = rng.choice(["refuse", "oldest", "oldest", "newest"])
    how: Spec = {"on_key_in_use": "withhold", "on_ambiguous": many}
    if lone and rng.random() < 0.3:
        fields[rng.choice(lone)]["blocked"] = ["a*"]
        how["on_blocked"] = "ignore"
    if rich and rng.random() < 0.3:
        how["on_no_key"] = "create"
    fields = {name: _said(line) for name, line in fields.items()}
    keys = {name: _said(each) for name, each in keys.items()}
    return {"match": match, "fields": fields, "keys": keys, "how": how}


def _said(line: Spec) -> Spec:
    """Leave out what is so without being said."""
    return {name: how for name, how in line.items() if how not in (False, "replace")}


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
TAKEN = ["v1@x", "v2@x", "v3@x"]


def _hostile(rng: random.Random) -> Spec:
    fields: Spec = {"id": {"key": "exact", "unique": True}}
    fields |= {name: _said(_hostile_line(rng)) for name in PARTS}
    fields |= {"p": {}, "q": {}, "at": {}}
    fields["m"] = _said({"rule": rng.choice(["replace", "union", "keep"])})
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
    keys = {name: _said(each) for name, each in keys.items()}
    lone = [name for name in PARTS if "key" in fields[name]]
    every = [*lone, *keys]
    some = rng.sample(every, k=min(len(every), rng.randint(0, 3)))
    match: Spec = {"by": rng.choice(_MATCHES), "keys": ["id", *some]}
    if match["by"] == "first_match" and rng.random() < 0.3:
        match["guard"] = rng.choice(["if_set", "strict"])
        match |= {"on_contradiction": "drop"} if rng.random() < 0.3 else {}
    how: Spec = {"on_key_in_use": rng.choice(["withhold"] * 6 + ["refuse"])}
    how["on_ambiguous"] = rng.choice(["oldest", "oldest", "refuse", "newest"])
    blocked = [*lone, *[name for name in keys if name.startswith("of")]]
    if blocked and rng.random() < 0.35:
        name = rng.choice(blocked)
        (fields if name in fields else keys)[name]["blocked"] = ["v1*"]
        how["on_blocked"] = "ignore"
    return {"match": match, "fields": fields, "keys": keys, "how": how}


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
            odd = rng.choice([None, "", " ", [], rng.sample(TAKEN, 2)])
            patch[name] = odd if rng.random() < 0.16 else rng.choice(TAKEN)
    if rng.random() < 0.5:
        one, two = rng.sample(TAKEN, 2)
        patch["m"] = rng.choice([[one], [one, two], ["w@x", one], [], None, one])
    if rng.random() < 0.75:
        patch["id"] = rng.choice((1, 2, 3))
    names = ["at", *patch]
    rng.shuffle(names)
    return {name: patch.get(name, rng.choice((1, 2))) for name in names}


def answers(
    book: ContactBook, patches: list[dict[str, Any]]
) -> list[Outcome | Refused]:
    """Upsert one after the other; a refusal is an answer."""
    found: list[Outcome | Refused] = []
    for patch in patches:
        try:
            found.append(book.upsert(patch))
        except errors.Refused as refusal:
            found.append(refusal)
    return found


def told(answer: Any) -> Any:
    """Write an answer of a book or of the oracle as plain data."""
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
    result, contact, withheld, ignored, others = parts
    return _plain(
        [result, contact["id"], contact["fields"], withheld, dict(ignored), others]
    )


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(upsertcore.values.thaw(value), sort_keys=True))


def book_of(policy: Policy) -> ContactBook:
    """Make a book of contacts c-0, c-1, ..."""
    numbers = count()
    return ContactBook(policy, ids=lambda: f"c-{next(numbers)}", clock=lambda: NOW)


def expected(policy: Policy, patches: list[dict[str, Any]]) -> list[Any]:
    """Give what the oracle says of patches, one after the other."""
    numbers = count()
    oracle = Oracle(policy, lambda: f"c-{next(numbers)}", lambda: NOW)
    found: list[Any] = []
    for patch in patches:
        try:
            found.append(told(oracle.upsert(patch)))
        except errors.Refused as refusal:
            found.append(told(refusal))
    return found


def left_out(outcome: Outcome) -> set[str]:
    """Give the fields of a patch that a key in use, or a block, left out."""
    beside = [name for name, why in outcome.ignored.items() if why == "composite"]
    return {*beside, *[each.field for each in outcome.withheld]}


def groups(policy: Policy) -> set[tuple[str, ...]]:
    """Give the fields that identify together, by the composite keys of a policy."""
    return {*compiled(policy).groups.values()}


def mixtures(policy: Policy, patch: dict[str, Any], outcome: Outcome) -> list[Any]:
    """
    List the groups that an outcome leaves with parts of two people.

    That is: of the fields that identify together a sent one was left out, and another
    sent one has moved. Where nothing is left out it is a patch as any other.
    """
    before = {} if outcome.before is None else outcome.before.fields
    gone = left_out(outcome)
    blocked = [name for name, why in outcome.ignored.items() if why == "blocked"]
    found = []
    for group in groups(policy):
        moved = [
            name
            for name in group
            if name in patch
            and name not in blocked
            and before.get(name) != outcome.contact.get(name)
        ]
        if not outcome.merged and gone.intersection(group) and moved:
            found.append((group, moved))
    return found


def people(
    policy: Policy, patches: list[dict[str, Any]], book: ContactBook
) -> list[Any]:
    """
    List the contacts whose identifying values no patch ever carried as a whole.

    Only for patches that carry all four names or none, under ``replace``.
    """
    found = []
    for group in groups(policy):
        if {*group} <= {*NAMES}:
            carried = [[patch.get(name) for name in group] for patch in patches]
            carried.append([None for _ in group])
            found += [
                (contact.id, group)
                for contact in book
                if [contact.get(name) for name in group] not in carried
            ]
    return found


def cases(size: int) -> list[Any]:
    """Draw histories of each kind in which something is left out, or refused for it."""
    found = []
    for kind in KINDS:
        kept: list[Any] = []
        for number in count():
            history = drawn(number, kind)
            if history is None:
                continue
            spec, patches = history
            due = expected(policy_of(spec), patches)
            if any(_leaves_out(each) for each in due):
                kept.append({"policy": spec, "calls": patches, "expected": due})
            if len(kept) == size:
                break
        found += kept
    return found


def _leaves_out(answer: list[Any]) -> bool:
    """Tell whether an answer names a value that identifies with one left out."""
    if len(answer) < 6:
        return bool(answer[0] == "KeyInUse")
    pulled = "composite" in answer[4].values()
    return bool(pulled) or len({by for *_, by in answer[3]}) < len(answer[3])


if __name__ == "__main__":
    # One case a line: so a change of one is a change of one line.
    lines = [json.dumps(each, separators=(",", ":")) for each in cases(90)]
    path = Path(__file__).parents[1] / "cases" / "left_out.json"
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
