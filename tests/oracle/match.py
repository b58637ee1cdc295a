"""
Naive twins of matching and of its limits.

Rules:
    *book* is the oracle, or its later state: its policy and rows are read, and it
    looks up the holders of a form.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.oracle.keys import (
    Row,
    composite,
    forms,
    forms_of_value,
    held_forms,
    key_named,
    reason_for_absence,
)
from tests.oracle.values import same
from tests.oracle.withheld import in_use
from upsertcore import Policy, errors


def consulted_keys(policy: Policy, sent: Row) -> list[str]:
    """List the keys of the strategy that are consulted for a patch."""
    names = policy.match.keys
    present = [n for n in names if forms(policy, key_named(policy, n), sent)]
    return present[:1] if policy.match.name == "first_present" else present


def drop_key(policy: Policy, name: str, sent: Row, ignored: Row, reason: str) -> None:
    """Drop the fields of a key from a patch, with a reason."""
    for field in key_named(policy, name).fields:
        if field in sent:
            del sent[field]
            ignored[field] = reason


def passes_guard(book: Any, id: str, sent: Row, name: str) -> bool:
    """Return whether a holder of a key passes the guard of the keys above it."""
    policy, row = book.policy, book.get(id)
    if policy.match.guard is None:
        return True
    for higher in policy.match.keys[: policy.match.keys.index(name)]:
        key = key_named(policy, higher)
        sent_forms, stored_forms = (
            forms(policy, key, sent),
            held_forms(policy, key, row),
        )
        book.judged += [row] if sent_forms else []
        other = stored_forms or policy.match.guard == "strict"
        if sent_forms and other and not {*sent_forms} & {*stored_forms}:
            return False
    return True


def match(book: Any, sent: Row, scope: str, plan: Row) -> tuple[list[Row], str | None]:
    """Find the contacts, survivor first, and the key; note the others that were hit."""
    policy, strategy = book.policy, book.policy.match
    names = consulted_keys(policy, sent)
    if strategy.name != "never" and not names and policy.on_no_key == "refuse":
        reasons = [
            (n, *reason_for_absence(policy, n, sent, plan["ignored"]))
            for n in strategy.keys
        ]
        raise errors.NoMatchKey(strategy.keys, tuple(reasons))
    hits = [
        (name, book.look(name, form, scope))
        for name in names
        for form in forms(policy, key_named(policy, name), sent)
    ]
    hit_ids = [*dict.fromkeys(id for _, ids in hits for id in ids)]
    rows = [book.get(id) for id in hit_ids]
    if strategy.name == "merge_all" and strategy.guard is None:
        if (
            policy.on_limit == "drop"
            and len(names) > 1
            and exceeds_limit(policy, rows, sent)
        ):
            book.judged += rows
            drop_key(policy, names[-1], sent, plan["ignored"], "limit")
            return match(book, sent, scope, plan)
        plan["asked"] = {**sent}
        return rows, next((name for name, ids in hits if ids), None)
    plan["asked"] = {**sent}
    if strategy.name == "merge_all":
        return match_all_that_agree(book, sent, names, hits, plan)
    plan["also_matched"] += hit_ids
    picks: list[tuple[str, str]] = []
    for name in names:
        holders = [ids for other, ids in hits if other == name]
        matched = [id for _, id in picks[:1]]
        passing = [
            [id for id in ids if id in matched or passes_guard(book, id, sent, name)]
            for ids in holders
        ]
        if not picks or strategy.name == "all_agree":
            picks += pick(policy, name, [ids for ids in passing if ids])
        if strategy.on_contradiction == "drop" and any(holders) and not any(passing):
            drop_key(policy, name, sent, plan["ignored"], "guard")
    if len({id for _, id in picks}) > 1:
        found = dict.fromkeys(name for name, _ in picks)
        by_key = {n: dict.fromkeys(i for k, i in picks if k == n) for n in found}
        raise errors.KeysDisagree(tuple((n, tuple(by_key[n])) for n in by_key))
    return [book.get(id) for _, id in picks[:1]], (*(n for n, _ in picks[:1]), None)[0]


def match_all_that_agree(
    book: Any, sent: Row, names: list[str], hits: list[Any], plan: Row
) -> tuple[list[Row], str | None]:
    """Find the contacts that a guarded merge_all makes one, survivor first."""
    policy = book.policy
    found: list[str] = []
    found_by = None
    for name in names:
        key, counts = key_named(policy, name), False
        for ids in [ids for other, ids in hits if other == name]:
            first = found[:1]
            passing = [
                id for id in ids if id in first or passes_guard(book, id, sent, name)
            ]
            held = held_forms(policy, key, book.get(found[0])) if found else []
            if held and not {*held} & {*forms(policy, key, sent)}:
                passing = [id for id in passing if id in first]
            if passing and not found:
                found_by = name
            found += [id for id in passing if id not in found]
            counts = counts or bool(passing)
        is_hit = any(ids for other, ids in hits if other == name)
        if policy.match.on_contradiction == "drop" and is_hit and not counts:
            drop_key(policy, name, sent, plan["ignored"], "guard")
    others = [id for _, ids in hits for id in ids if id not in found]
    plan["also_matched"] += [*dict.fromkeys(others)]
    return [book.get(id) for id in found], found_by


def exceeds_limit(policy: Policy, rows: list[Row], sent: Row) -> bool:
    """Return whether the contacts and the patch have more forms than a limit allows."""
    for key in policy.all_keys:
        survivor_forms = [
            form for row in rows[:1] for form in held_forms(policy, key, row)
        ]
        all_forms = [form for row in rows for form in held_forms(policy, key, row)]
        all_forms += forms(policy, key, sent)
        if (
            key.max_forms
            and len({*all_forms}) > key.max_forms
            and not {*all_forms} <= {*survivor_forms}
        ):
            return True
    return False


def pick(policy: Policy, name: str, hits: list[list[str]]) -> list[tuple[str, str]]:
    """Pick one holder of each form that decides."""
    picks = []
    for ids in hits if policy.match.name == "all_agree" else hits[:1]:
        if len(ids) > 1 and policy.on_ambiguous == "refuse":
            raise errors.AmbiguousMatch(name, tuple(ids))
        picks.append((name, ids[-1 if policy.on_ambiguous == "newest" else 0]))
    return picks


def check_result(
    book: Any, row: Row | None, absorbed: list[Row], draft: Row, plan: Row
) -> None:
    """Check the limits, and that the patch would find its contact again."""
    policy, sent = book.policy, plan["sent"]
    for key in [key for key in policy.all_keys if key.max_forms]:
        current, before_forms = (
            held_forms(policy, key, draft),
            held_forms(policy, key, row),
        )
        if len(current) > key.max_forms and not {*current} <= {*before_forms}:
            raise errors.InvalidField(key.name, len(current), "")
    keys = [key_named(policy, name) for name in consulted_keys(policy, sent)]
    parts = {name for key in keys for name in key.fields}
    before, after = row["fields"] if row else {}, draft["fields"]
    moved = row is None or any(not same(before.get(n), after.get(n)) for n in parts)
    sent_forms = [(key, form) for key in keys for form in forms(policy, key, sent)]
    lost = {
        key.name
        for key, form in sent_forms
        if form not in held_forms(policy, key, draft)
    }
    if "asked" not in plan or not moved or not lost:
        return
    if all(
        finds_again(book, row, absorbed, draft, plan, place)
        for place in (0, len(book.rows))
    ):
        return
    keys = [key for key in policy.all_keys if key.name in lost]
    withheld = {name: item for name, *item in plan["withheld"]}
    for name in [name for key in keys for name in key.fields]:
        if name in withheld:
            raise in_use(policy, sent, withheld, name)
    for name in [name for key in keys for name in key.fields]:
        if plan["ignored"].get(name) == "composite":
            raise errors.InvalidField(name, sent[name], "")
    first = keys[0]
    if composite(first):
        values = {name: sent[name] for name in first.fields}
        raise errors.InvalidField(first.name, values, "")
    name = next(n for n in first.fields if forms_of_value(first, n, sent.get(n)))
    raise errors.InvalidField(name, sent[name], "")


def finds_again(
    book: Any, row: Row | None, absorbed: list[Row], draft: Row, plan: Row, place: int
) -> bool:
    """
    Return whether the patch would find its contact if everything were written.

    A contact that is new to a form has this *place* among its holders.
    """
    policy, id = book.policy, row["id"] if row else "new"
    new = {**draft, "id": id, "scope": plan["scope"]}
    rows = [
        new if contact is row else contact
        for contact in book.rows
        if contact not in absorbed
    ]
    rows += [] if row else [new]

    def look(name: str, form: str, scope: str) -> list[str]:
        key = key_named(policy, name)
        holders = [
            contact for contact in rows if form in held_forms(policy, key, contact)
        ]
        ids = [contact["id"] for contact in holders if contact["scope"] == scope]
        if row and id in ids and form not in held_forms(policy, key, row):
            ids.remove(id)
            ids.insert(place, id)
        return ids

    by_id = {contact["id"]: contact for contact in rows}
    later = SimpleNamespace(policy=policy, look=look, get=by_id.get, judged=[])
    outcome: Row = {"ignored": {}, "also_matched": []}
    try:
        contacts, _ = match(later, {**plan["asked"]}, plan["scope"], outcome)
    except errors.Refused:
        return False
    guarded = {name: why for name, why in plan["ignored"].items() if why == "guard"}
    dropped, same_one = (
        outcome["ignored"],
        [contact["id"] for contact in contacts] == [id],
    )
    return same_one and dropped == {**dict.fromkeys(dropped, "guard"), **guarded}
