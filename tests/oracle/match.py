"""
Naive twins of what is decided by keys: who is meant, and what is too much.

Rules:
    *book* is the oracle, or how it would be: its policy is read, its rows are looked
    up, and it is asked who holds a form.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.oracle.keys import Row, absence, composite, forms, held, key_named, made
from tests.oracle.values import same
from tests.oracle.withheld import in_use
from upsertcore import Policy, errors


def carried(policy: Policy, sent: Row) -> list[str]:
    """List the keys of the strategy that are consulted for a patch."""
    names = policy.match.keys
    there = [n for n in names if forms(policy, key_named(policy, n), sent)]
    return there[:1] if policy.match.name == "first_present" else there


def leave_out(policy: Policy, name: str, sent: Row, ignored: Row, why: str) -> None:
    """Take the fields of a key out of a patch, and say so."""
    for field in key_named(policy, name).fields:
        if field in sent:
            del sent[field]
            ignored[field] = why


def counts(book: Any, id: str, sent: Row, name: str) -> bool:
    """Tell whether a holder of a key passes the guard of the keys above it."""
    policy, row = book.policy, book.get(id)
    if policy.match.guard is None:
        return True
    for higher in policy.match.keys[: policy.match.keys.index(name)]:
        key = key_named(policy, higher)
        asked, has = forms(policy, key, sent), held(policy, key, row)
        book.judged += [row] if asked else []
        other = has or policy.match.guard == "strict"
        if asked and other and not {*asked} & {*has}:
            return False
    return True


def match(book: Any, sent: Row, scope: str, plan: Row) -> tuple[list[Row], str | None]:
    """Find who is meant, survivor first, and by which key; note who else was hit."""
    policy, how = book.policy, book.policy.match
    names = carried(policy, sent)
    if how.name != "never" and not names and policy.on_no_key == "refuse":
        why = [(n, *absence(policy, n, sent, plan["ignored"])) for n in how.keys]
        raise errors.NoMatchKey(how.keys, tuple(why))
    hits = [
        (name, book.look(name, form, scope))
        for name in names
        for form in forms(policy, key_named(policy, name), sent)
    ]
    everyone = [*dict.fromkeys(id for _, ids in hits for id in ids)]
    rows = [book.get(id) for id in everyone]
    if how.name == "merge_all":
        if policy.on_limit == "drop" and len(names) > 1 and crowded(policy, rows, sent):
            book.judged += rows
            leave_out(policy, names[-1], sent, plan["ignored"], "limit")
            return match(book, sent, scope, plan)
        plan["asked"] = {**sent}
        return rows, next((name for name, ids in hits if ids), None)
    plan["asked"] = {**sent}
    plan["also_matched"] += everyone
    picks: list[tuple[str, str]] = []
    for name in names:
        mine = [ids for other, ids in hits if other == name]
        found = [id for _, id in picks[:1]]
        left = [
            [id for id in ids if id in found or counts(book, id, sent, name)]
            for ids in mine
        ]
        if not picks or how.name == "all_agree":
            picks += pick(policy, name, [ids for ids in left if ids])
        if how.on_contradiction == "drop" and any(mine) and not any(left):
            leave_out(policy, name, sent, plan["ignored"], "guard")
    for name, id in picks:
        if id != picks[0][1]:
            raise errors.AmbiguousMatch(name, tuple(dict.fromkeys(i for _, i in picks)))
    return [book.get(id) for _, id in picks[:1]], (*(n for n, _ in picks[:1]), None)[0]


def crowded(policy: Policy, rows: list[Row], sent: Row) -> bool:
    """Tell whether all that are hit, and the patch, bring more forms than may be."""
    for key in policy.all_keys:
        own = [form for row in rows[:1] for form in held(policy, key, row)]
        every = [form for row in rows for form in held(policy, key, row)]
        every += forms(policy, key, sent)
        if key.max_forms and len({*every}) > key.max_forms and not {*every} <= {*own}:
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


def check(book: Any, row: Row | None, gone: list[Row], draft: Row, plan: Row) -> None:
    """See that no limit is passed, and that the patch would find its contact again."""
    policy, sent = book.policy, plan["sent"]
    for key in [key for key in policy.all_keys if key.max_forms]:
        now, had = held(policy, key, draft), held(policy, key, row)
        if len(now) > key.max_forms and not {*now} <= {*had}:
            raise errors.InvalidField(key.name, len(now), "")
    keys = [key_named(policy, name) for name in carried(policy, sent)]
    parts = {name for key in keys for name in key.fields}
    before, after = row["fields"] if row else {}, draft["fields"]
    moved = row is None or any(not same(before.get(n), after.get(n)) for n in parts)
    asked = [(key, form) for key in keys for form in forms(policy, key, sent)]
    lost = {key.name for key, form in asked if form not in held(policy, key, draft)}
    if "asked" not in plan or not moved or not lost:
        return
    if all(again(book, row, gone, draft, plan, place) for place in (0, len(book.rows))):
        return
    keys = [key for key in policy.all_keys if key.name in lost]
    every = {name: each for name, *each in plan["withheld"]}
    for name in [name for key in keys for name in key.fields]:
        if name in every:
            raise in_use(policy, sent, every, name)
    for name in [name for key in keys for name in key.fields]:
        if plan["ignored"].get(name) == "composite":
            raise errors.InvalidField(name, sent[name], "")
    first = keys[0]
    if composite(first):
        values = {name: sent[name] for name in first.fields}
        raise errors.InvalidField(first.name, values, "")
    name = next(n for n in first.fields if made(first, n, sent.get(n)))
    raise errors.InvalidField(name, sent[name], "")


def again(
    book: Any, row: Row | None, gone: list[Row], draft: Row, plan: Row, place: int
) -> bool:
    """
    Tell whether the patch would find its contact, were all written.

    Where the contact is new to a form, it stands at *place* among the holders.
    """
    policy, id = book.policy, row["id"] if row else "new"
    new = {**draft, "id": id, "scope": plan["scope"]}
    rows = [new if each is row else each for each in book.rows if each not in gone]
    rows += [] if row else [new]

    def look(name: str, form: str, scope: str) -> list[str]:
        key = key_named(policy, name)
        holders = [each for each in rows if form in held(policy, key, each)]
        ids = [each["id"] for each in holders if each["scope"] == scope]
        if row and id in ids and form not in held(policy, key, row):
            ids.remove(id)
            ids.insert(place, id)
        return ids

    by_id = {each["id"]: each for each in rows}
    later = SimpleNamespace(policy=policy, look=look, get=by_id.get, judged=[])
    made: Row = {"ignored": {}, "also_matched": []}
    try:
        found, _ = match(later, {**plan["asked"]}, plan["scope"], made)
    except errors.Refused:
        return False
    left = {name: why for name, why in plan["ignored"].items() if why == "guard"}
    more, same_one = made["ignored"], [each["id"] for each in found] == [id]
    return same_one and more == {**dict.fromkeys(more, "guard"), **left}
