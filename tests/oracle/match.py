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
    is_of,
    key_named,
    reason_for_absence,
)
from tests.oracle.values import same
from tests.oracle.withheld import in_use
from upsertcore import Policy, errors


def match_forms(policy: Policy, name: str, sent: Row, own: Any) -> list[str]:
    """Make the forms of a key of the strategy; the id of a patch is its own form."""
    if name == policy.id_field:
        return [] if own is None else [own]
    return forms(policy, key_named(policy, name), sent)


def match_forms_held(policy: Policy, name: str, row: Row) -> list[str]:
    """List the forms of a key of the strategy that a contact holds, or its ids."""
    if name == policy.id_field:
        return [row["id"], *row.get("merged_ids", [])]
    return held_forms(policy, key_named(policy, name), row)


def consulted_keys(policy: Policy, sent: Row, own: Any = None) -> list[str]:
    """List the keys of the strategy that are consulted for a patch."""
    names = policy.match.keys
    present = [n for n in names if match_forms(policy, n, sent, own)]
    return present[:1] if policy.match.name == "first_present" else present


def drop_key(policy: Policy, name: str, sent: Row, plan: Row, reason: str) -> None:
    """Drop the fields of a key from a patch, with a reason."""
    ignored = plan["ignored"]
    if name == policy.id_field:
        ignored[name], plan["own"], plan["id"] = reason, None, None
        return
    for field in key_named(policy, name).fields:
        if field in sent:
            del sent[field]
            ignored[field] = reason


def passes_guard(book: Any, row: Row, sent: Row, name: str, own: Any) -> bool:
    """Return whether a holder of a key passes the guard of the keys above it."""
    policy = book.policy
    if policy.match.guard is None:
        return True
    for higher in policy.match.keys[: policy.match.keys.index(name)]:
        sent_forms = match_forms(policy, higher, sent, own)
        stored_forms = match_forms_held(policy, higher, row)
        book.judged += [row] if sent_forms else []
        other = stored_forms or policy.match.guard == "strict"
        if sent_forms and other and not {*sent_forms} & {*stored_forms}:
            return False
    return True


def match(book: Any, sent: Row, scope: str, plan: Row) -> tuple[list[Row], str | None]:
    """Find the contacts, survivor first, and the key; note the others that were hit."""
    policy, strategy = book.policy, book.policy.match
    own = plan.get("own")
    names = consulted_keys(policy, sent, own)
    if plan.get("argument") is not None:
        plan["asked"] = {**sent}, own
        decided = match_argument(book, sent, scope, plan)
        if decided is not None:
            return decided, policy.id_field if decided else None
    elif strategy.name != "never" and not names and policy.on_no_key == "refuse":
        raise no_match_key(policy, sent, plan["ignored"])
    names = without_keys_after_unknown_id(book, names, sent, scope, plan)
    hits = [
        (name, book.look(name, form, scope))
        for name in names
        for form in match_forms(policy, name, sent, own)
    ]
    hit_ids = [*dict.fromkeys(id for _, ids in hits for id in ids)]
    rows = [book.get(id, scope) for id in hit_ids]
    if strategy.name == "merge_all" and strategy.guard is None:
        if (
            policy.on_limit == "drop"
            and len(names) > 1
            and exceeds_limit(policy, rows, sent)
        ):
            book.judged += rows
            drop_key(policy, names[-1], sent, plan, "limit")
            return match(book, sent, scope, plan)
        plan["asked"] = {**sent}, own
        return rows, next((name for name, ids in hits if ids), None)
    plan["asked"] = {**sent}, own
    if strategy.name == "merge_all":
        return match_all_that_agree(book, sent, names, hits, plan)
    plan["also_matched"] += hit_ids
    picks: list[tuple[str, str]] = []
    for name in names:
        holders = [ids for other, ids in hits if other == name]
        matched = [id for _, id in picks[:1]]
        passing = [
            [
                id
                for id in ids
                if id in matched
                or passes_guard(book, book.get(id, scope), sent, name, plan.get("own"))
            ]
            for ids in holders
        ]
        if not picks or strategy.name == "all_agree":
            picks += pick(policy, name, [ids for ids in passing if ids])
        if strategy.on_contradiction == "drop" and any(holders) and not any(passing):
            drop_key(policy, name, sent, plan, "guard")
    refuse_disagreement(picks)
    return [book.get(id, scope) for _, id in picks[:1]], (
        *(n for n, _ in picks[:1]),
        None,
    )[0]


def refuse_disagreement(picks: list[tuple[str, str]]) -> None:
    """Refuse keys that have picked different contacts."""
    if len({id for _, id in picks}) > 1:
        found = dict.fromkeys(name for name, _ in picks)
        by_key = {n: dict.fromkeys(i for k, i in picks if k == n) for n in found}
        raise errors.KeysDisagree(tuple((n, tuple(by_key[n])) for n in by_key))


def no_match_key(policy: Policy, sent: Row, ignored: Row) -> errors.NoMatchKey:
    """Return the refusal of a patch without a key, with what each key lacks."""
    reasons = [
        (n, ignored.get(n, "omitted"), None)
        if n == policy.id_field
        else (n, *reason_for_absence(policy, n, sent, ignored))
        for n in policy.match.keys
    ]
    return errors.NoMatchKey(policy.match.keys, tuple(reasons))


def match_argument(book: Any, sent: Row, scope: str, plan: Row) -> list[Row] | None:
    """Find the contact with the id of the call; None if the keys decide."""
    policy, id, own = book.policy, plan["argument"], plan.get("own")
    names = [n for n in policy.match.keys if match_forms(policy, n, sent, own)]
    known = book.look("", id, scope)
    if known:
        row = book.get(id, scope)
        lowest = [name for name in names if name != policy.id_field]
        while policy.on_limit == "drop" and exceeds_limit(policy, [row], sent):
            if not lowest:
                break
            drop_key(policy, lowest.pop(), sent, plan, "limit")
        plan["also_matched"] += [
            holder
            for name in names
            for form in match_forms(policy, name, sent, plan.get("own"))
            for holder in book.look(name, form, scope)
        ]
        return [row]
    if policy.on_unknown_id == "refuse":
        raise errors.UnknownId(plan["id_name"], id)
    return [] if policy.on_unknown_id == "create" else None


def without_keys_after_unknown_id(
    book: Any, names: list[str], sent: Row, scope: str, plan: Row
) -> list[str]:
    """List the keys that are consulted, up to an id that no contact has."""
    policy, strategy = book.policy, book.policy.match
    own: Any = plan.get("own")
    if policy.id_field not in names or policy.on_unknown_id == "next":
        return names
    if book.look(policy.id_field, own, scope):
        return names
    above = names[: names.index(policy.id_field)]
    consults_all = strategy.name in ("all_agree", "merge_all")
    if not consults_all:
        for name in above:
            for form in match_forms(policy, name, sent, own):
                for holder in book.look(name, form, scope):
                    row = book.get(holder, scope)
                    if passes_guard(book, row, sent, name, own):
                        return names
    if policy.on_unknown_id == "refuse":
        raise errors.UnknownId(policy.id_field, own)
    return names if consults_all else [*above, policy.id_field]


def settle_id(book: Any, row: Row | None, absorbed: list[Row], plan: Row) -> None:
    """Note an id that is not that of the contact, or make it that of a new one."""
    id, name = plan.get("id"), plan.get("id_name", "")
    plan["new_id"] = None
    if id is None:
        return
    if row is not None:
        ids = [i for r in (row, *absorbed) for i in (r["id"], *r.get("merged_ids", []))]
        if id not in ids:
            plan["ignored"][name] = "id"
        return
    known = book.look("", id, plan["scope"])
    if known and ("asked" not in plan or book.policy.match.name == "never"):
        raise errors.KeyInUse(name, id, known[0])
    if known:
        plan["ignored"][name] = "id"
    else:
        plan["new_id"] = id


def match_all_that_agree(
    book: Any, sent: Row, names: list[str], hits: list[Any], plan: Row
) -> tuple[list[Row], str | None]:
    """Find the contacts that a guarded merge_all makes one, survivor first."""
    policy, scope = book.policy, plan["scope"]
    found: list[str] = []
    found_by = None
    for name in names:
        counts = False
        for ids in [ids for other, ids in hits if other == name]:
            first = found[:1]
            passing = [
                id
                for id in ids
                if id in first
                or passes_guard(book, book.get(id, scope), sent, name, plan.get("own"))
            ]
            own = match_forms(policy, name, sent, plan.get("own"))
            survivors = [book.get(id, scope) for id in first]
            held = [f for row in survivors for f in match_forms_held(policy, name, row)]
            if held and not {*held} & {*own}:
                passing = [id for id in passing if id in first]
            if passing and not found:
                found_by = name
            found += [id for id in passing if id not in found]
            counts = counts or bool(passing)
        is_hit = any(ids for other, ids in hits if other == name)
        if policy.match.on_contradiction == "drop" and is_hit and not counts:
            drop_key(policy, name, sent, plan, "guard")
    others = [id for _, ids in hits for id in ids if id not in found]
    plan["also_matched"] += [*dict.fromkeys(others)]
    return [book.get(id, scope) for id in found], found_by


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
    outcome |= {part: plan.get(part) for part in ("argument", "id_name")}
    try:
        contacts, _ = match(later, {**sent}, plan["scope"], outcome)
    except errors.Refused:
        return False
    guarded = {name: why for name, why in plan["ignored"].items() if why == "guard"}
    dropped, same_one = (
        outcome["ignored"],
        [contact["id"] for contact in contacts] == [id],
    )
    return same_one and dropped == {**dict.fromkeys(dropped, "guard"), **guarded}
