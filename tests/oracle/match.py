"""
Naive twins of matching and of its limits.

Rules:
    *book* is the oracle, or its later state: its policy and rows are read, and it
    looks up the holders of a form.
"""

from __future__ import annotations

from typing import Any

from tests.oracle.keys import Row, forms, held_forms, key_named, reason_for_absence
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
    elif (
        strategy.name != "never"
        and not names
        and policy.on_no_key == "refuse"
        and not plan.get("visits")
    ):
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
        # A contact that has its id from the call needs no key.
        needed = 1 if plan.get("argument") is None else 0
        if (
            policy.on_limit == "drop"
            and len(names) > needed
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
    rows = [book.get(id, scope)] if known else []
    if known or policy.on_unknown_id == "create":
        lowest, drops = [*names], policy.on_limit == "drop"
        while drops and lowest and exceeds_limit(policy, rows, sent):
            drop_key(policy, lowest.pop(), sent, plan, "limit")
    if known:
        plan["also_matched"] += [
            holder
            for name in names
            for form in match_forms(policy, name, sent, plan.get("own"))
            for holder in book.look(name, form, scope)
        ]
        return rows
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
                if {*passing} - {*first}:
                    plan.setdefault("apart", []).append(name)
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
