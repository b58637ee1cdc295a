"""
Naive twins of what is checked of a result: limits, and that it is found again.

Rules:
    The patch, with the ids of its call, is looked up in the state that it would leave.
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
    is_of,
    key_named,
)
from tests.oracle.match import consulted_keys
from tests.oracle.values import same
from tests.oracle.visitor import find
from tests.oracle.withheld import in_use
from upsertcore import errors


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
    names = consulted_keys(policy, sent, plan.get("own"))
    keys = [key_named(policy, name) for name in names if name != policy.id_field]
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
    policy, id = book.policy, row["id"] if row else plan["new_id"] or "new"
    ids = [i for r in absorbed for i in (r["id"], *r.get("merged_ids", []))]
    ids += (row or {}).get("merged_ids", [])
    new = {**draft, "id": id, "merged_ids": ids, "scope": plan["scope"]}
    rows = [
        new if contact is row else contact
        for contact in book.rows
        if contact not in absorbed
    ]
    rows += [] if row else [new]

    def look(name: str, form: str, scope: str) -> list[str]:
        if name in ("", policy.id_field):
            return [r["id"] for r in rows if is_of(r, form, scope)]
        key = key_named(policy, name)
        holders = [
            contact for contact in rows if form in held_forms(policy, key, contact)
        ]
        ids = [contact["id"] for contact in holders if contact["scope"] == scope]
        if row and id in ids and form not in held_forms(policy, key, row):
            ids.remove(id)
            ids.insert(place, id)
        return ids

    def get(id: str, scope: str) -> Row:
        return next(contact for contact in rows if is_of(contact, id, scope))

    later = SimpleNamespace(policy=policy, look=look, get=get, judged=[])
    sent, own = plan["asked"]
    outcome: Row = {
        "ignored": {},
        "also_matched": [],
        "own": own,
        "scope": plan["scope"],
    }
    outcome |= {part: plan.get(part) for part in ("argument", "id_name", "visitor")}
    try:
        contacts, _ = find(later, {**sent}, plan["scope"], outcome)
    except errors.Refused:
        return False
    guarded = {name: why for name, why in plan["ignored"].items() if why == "guard"}
    dropped = {n: why for n, why in outcome["ignored"].items() if n != "visitor"}
    same_one = [contact["id"] for contact in contacts] == [id]
    return same_one and dropped == {**dict.fromkeys(dropped, "guard"), **guarded}
