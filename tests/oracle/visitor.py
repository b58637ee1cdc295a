"""
A naive twin of the visitor of a call: it is the contact, becomes part of it, or stays.

Rules:
    It is decided after the keys, and only by what a contact and the patch hold.
"""

from __future__ import annotations

from typing import Any

from tests.oracle.keys import Row
from tests.oracle.match import (
    drop_key,
    exceeds_limit,
    match,
    match_forms,
    match_forms_held,
)
from tests.oracle.values import empty
from upsertcore import Policy, errors


def check_visitor(visitor: Any) -> None:
    """Refuse a visitor that is no id."""
    if visitor is not None and (not isinstance(visitor, str) or empty(visitor)):
        raise errors.InvalidField("visitor", visitor, "")


def find(book: Any, sent: Row, scope: str, plan: Row) -> tuple[list[Row], str | None]:
    """Find the contacts of a patch and its visitor, survivor first, and the key."""
    visitor, policy = plan.get("visitor"), book.policy
    if visitor is None or not book.look("", visitor, scope):
        return match(book, sent, scope, plan)
    plan["visits"], carried = True, {**sent}
    found, by = match(book, sent, scope, plan)
    row = book.get(visitor, scope)
    book.judged += [row]
    if row in found:
        return found, by
    plan["also_matched"] = [id for id in plan["also_matched"] if id != row["id"]]
    dropped = [name for name, why in plan["ignored"].items() if why == "limit"]
    carried = {name: carried[name] for name in carried if name not in dropped}
    another = is_another(book, row, carried, scope)
    if another and policy.match.name == "all_agree":
        keys = hits(book, found, sent, plan)
        raise errors.KeysDisagree((("visitor", (row["id"],)), *keys))
    drops = policy.on_limit == "drop"
    too_many = drops and found and exceeds_limit(policy, [*found, row], sent)
    if another or too_many:
        plan["also_matched"] += [row["id"]]
        plan["ignored"]["visitor"] = "visitor" if another else "limit"
        return found, by
    names = [n for n in policy.match.keys if match_forms(policy, n, sent, plan["own"])]
    while drops and not found and names and exceeds_limit(policy, [row], sent):
        drop_key(policy, names.pop(), sent, plan, "limit")
    return [*found, row], by


def is_another(book: Any, row: Row, sent: Row, scope: str) -> bool:
    """Return whether a contact holds another value of a key that a patch carries."""
    policy = book.policy
    for name in policy.match.keys:
        if name != policy.id_field:
            held = match_forms_held(policy, name, row)
            carried = match_forms(policy, name, sent, None)
            for form in carried:
                book.look(name, form, scope)
            if held and carried and not {*held} & {*carried}:
                return True
    return False


def hits(book: Any, found: list[Row], sent: Row, plan: Row) -> list[Any]:
    """List each key, or the id of the call, that has found the contact."""
    policy, own, ids = book.policy, plan["own"], [row["id"] for row in found[:1]]
    names = [
        name
        for name in policy.match.keys
        for form in match_forms(policy, name, sent, own)
        if {*ids} & {*book.look(name, form, plan["scope"])}
    ]
    if found and plan["argument"] in (found[0]["id"], *found[0].get("merged_ids", [])):
        name = plan["id_name"]
        names = [name, *[other for other in names if other != name]]
    return [(name, (*ids,)) for name in dict.fromkeys(names)]


def settle_visitor(policy: Policy, plan: Row) -> None:
    """Ignore a visitor that no contact is, or refuse it."""
    if plan.get("visitor") is not None and not plan.get("visits"):
        if policy.on_unknown_id == "refuse":
            raise errors.UnknownId("visitor", plan["visitor"])
        plan["ignored"]["visitor"] = "id"
