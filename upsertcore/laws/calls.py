"""
The laws of one call: what holds for any book and any patch.

Rules:
    Each law is a function of a trial: it returns whether it applies to the trial, and
    raises ``LawBroken`` if it does not hold.
    A law checks results; it does not repeat the decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from upsertcore.engine.outcome import Outcome
from upsertcore.errors import InvalidField, KeyInUse, NoMatchKey
from upsertcore.laws.errors import LawBroken, require
from upsertcore.laws.trial import Trial, TrialResult, describe
from upsertcore.matching.strategies import ALL_AGREE, FIRST_PRESENT
from upsertcore.model.contact import Contact
from upsertcore.policy.policy import compiled
from upsertcore.rules import keep
from upsertcore.values import empty, freeze, same

__all__ = [
    "appended_fields",
    "empty_changes_nothing",
    "finds_again",
    "finds_who_is_named",
    "idempotent",
    "ids_of_holders",
    "moves_with_a_field",
    "omitted_is_unchanged",
    "refusal_changes_nothing",
    "refuses_as_told",
]


def idempotent(trial: Trial) -> bool:
    """
    The same patch sent again is unchanged: the same contact, an equal state.

    A creation with an id is refused the second time.
    """
    first, second = trial.first, trial.second
    if trial.call.verb == "create" and isinstance(first, Outcome):
        is_refused = isinstance(second, KeyInUse)
        words = f"{describe(first)}, then {describe(second)}"
        require("idempotent", is_refused and trial.after_second == trial.after, words)
        return True
    if not isinstance(first, Outcome):
        is_equal = type(second) is type(first)
        require("idempotent", is_equal, f"refused, then {describe(second)}")
        return True
    words = f"{describe(first)}, then {describe(second)}"
    if not isinstance(second, Outcome) or not second.unchanged:
        raise LawBroken("idempotent", words)
    # The same object: an unchanged contact is not copied.
    is_same = second.contact is first.contact
    require("idempotent", is_same, f"{words}, another contact")
    moved = trial.after_second != trial.after or second.changes or second.merged
    require("idempotent", not moved, f"{words}, but the state differs")
    return True


def finds_again(trial: Trial) -> bool:
    """After a call, its patch matches the same contact."""
    if not isinstance(trial.first, Outcome) or not trial.keys_sent:
        return False
    if trial.call.verb == "create":
        return False
    second = trial.second
    if isinstance(second, InvalidField) and "idempotent" not in _laws(trial):
        # A sum may overflow, and then there is no match to compare.
        return False
    id = trial.first.contact.id
    is_match = isinstance(second, Outcome) and second.contact.id == id
    require(
        "finds_again", is_match, f"{describe(trial.first)}, then {describe(second)}"
    )
    return True


def _laws(trial: Trial) -> frozenset[str]:
    """Return the laws that the rules of all sent fields declare."""
    laws = [trial.policy.field_options(name).rule.laws for name in trial.patch]
    return frozenset.intersection(*laws)


def finds_who_is_named(trial: Trial) -> bool:
    """The oldest holder of the patch's first key is matched; blank matches nothing."""
    first, policy = trial.first, trial.policy
    law, keys = "finds_who_is_named", trial.keys_sent
    if not trial.call.is_plain:
        return False
    if isinstance(first, Outcome) and first.before is not None:
        forms = dict(keys).get(first.matched_by or "", ())
        matches = (first.before, *first.merged)
        is_held = any(_holds(trial, one, first.matched_by, forms) for one in matches)
        require(law, is_held, f"{describe(first)} by {first.matched_by}")
    for result in (first, trial.second):
        require(law, _has_match_key(trial, result), f"{describe(result)} by blank")
    if not keys:
        return isinstance(first, Outcome)
    require(law, not isinstance(first, NoMatchKey), describe(first))
    name, forms = keys[0]
    if policy.match.resolve is FIRST_PRESENT and isinstance(first, Outcome):
        is_first = first.matched_by in (None, name)
        require(law, is_first, f"{describe(first)} by {first.matched_by}")
    holders = [c for c, _ in trial.state if _holds(trial, c, name, forms)]
    if not holders or not isinstance(first, Outcome):
        return bool(holders)
    ids = [contact.id for contact in holders]
    matched = [first.contact.id, *[contact.id for contact in first.merged]]
    require(law, {*ids} & {*matched}, f"{name} is {ids}: {describe(first)}")
    if len(forms) == 1 and not policy.match.merges:
        expected = ids[-1] if policy.on_ambiguous == "newest" else ids[0]
        words = f"expected {expected}: {describe(first)}"
        require(law, expected == matched[0], words)
    merges = policy.match.merges and policy.match.guard is None
    if merges and (policy.on_limit, policy.on_found) == ("refuse", "update"):
        missing = ids_of_holders(trial, keys) - {*matched}
        require(law, not missing, f"{describe(first)}, without {missing}")
    return True


def _has_match_key(trial: Trial, answer: TrialResult) -> bool:
    """Return whether the key that matched is in the patch, and not blank."""
    if not isinstance(answer, Outcome) or answer.matched_by is None:
        return True
    key = compiled(trial.policy).by_name[answer.matched_by]
    present = [not empty(freeze(trial.patch.get(name))) for name in key.fields]
    return all(present) if key.composite else any(present)


def ids_of_holders(trial: Trial, keys: list[tuple[str, tuple[str, ...]]]) -> set[str]:
    """Return the ids of all contacts that hold one of these forms."""
    contacts = [contact for contact, _forms in trial.state]
    return {
        c.id
        for c in contacts
        if any(_holds(trial, c, *key_forms) for key_forms in keys)
    }


def _holds(
    trial: Trial, contact: Contact, name: str | None, forms: tuple[str, ...]
) -> bool:
    if name is None or contact.scope != trial.scope:
        return False
    place = [*compiled(trial.policy).by_name].index(name)
    return not {*trial.forms_of(contact)[place]}.isdisjoint(forms)


def omitted_is_unchanged(trial: Trial) -> bool:
    """
    Fields that are not sent, or are ignored, and other contacts stay unchanged.

    With ``omitted="clear"``, a field that is not sent is cleared, or has its default,
    unless it is a clock or of the key that matched, or its rule does not take null.
    """
    first = trial.first
    if not isinstance(first, Outcome):
        return False
    ids = {first.contact.id, *[contact.id for contact in first.merged]}
    own = first.contact.scope, first.contact.id
    before = [c for c in trial.before if c.scope != trial.scope or c.id not in ids]
    after = [c for c in trial.after if (c.scope, c.id) != own]
    require("omitted_is_unchanged", before == after, "another contact has changed")
    if first.before is None:
        return True
    if trial.clears and trial.policy.on_found != "ignore":
        _check_cleared(trial, first)
        return True
    if first.merged:
        _check_kept(trial, first, {*first.before, *trial.patch})
        return True
    apart = appended_fields(trial, first)
    for name in {*first.before.fields, *first.contact.fields} - apart:
        kept = same(first.before.get(name), first.contact.get(name))
        may = name in trial.patch and _may_move(trial, name)
        require("omitted_is_unchanged", kept or may, f"{name} has moved")
    return True


def _check_cleared(trial: Trial, first: Outcome) -> None:
    """Check that what a contact still has, and is not sent, may not be cleared."""
    policy, tables = trial.policy, compiled(trial.policy)
    clocks = {policy.field_options(name).rule.by for name in policy.fields}
    clocks |= {tables.extra_rule.by}
    key = tables.by_name.get(first.matched_by or "")
    stay = {*trial.patch, *clocks, *appended_fields(trial, first)}
    stay.update(() if key is None else key.fields)
    for name in first.contact.fields.keys() - stay:
        value, default = first.contact[name], dict(tables.defaults).get(name)
        words = f"{name} is not sent, and is {value!r} still"
        may = same(value, default) or _stays_at_null(trial, first, name)
        require("omitted_is_unchanged", may, words)


def _stays_at_null(trial: Trial, first: Outcome, name: str) -> bool:
    """Return whether null does not change a field, by its rule."""
    rule, value = trial.policy.field_options(name).rule, first.contact[name]
    pair: Any = (value, None)
    if rule.by is not None:
        clock = dict(trial.sent).get(rule.by)  # type: ignore[arg-type]
        if type(clock) not in (str, int, float) or empty(clock):
            return True
        pair = (first.contact.clocks.get(name), value), (clock, None)
    try:
        return not rule.on_update or same(rule.combine(*pair), pair[0])
    except ValueError:
        return True


def _check_kept(trial: Trial, first: Outcome, known: set[str]) -> None:
    """Check that a field of a merged contact alone is kept."""
    for other in first.merged:
        for name in {*other} - known:
            if trial.policy.merge_rule(name) == keep:
                words = f"{name} of {other.id} is lost"
                require("omitted_is_unchanged", name in first.contact, words)


def appended_fields(trial: Trial, first: Outcome) -> set[str]:
    """Return the fields to which a value of another field may be appended."""
    replaces = trial.call.verb == "update"
    return {
        key.fields[-1]
        for key in trial.policy.all_keys
        if key.append_new
        and (replaces or first.ignored.get(key.fields[0]) == "additional")
    }


def _may_move(trial: Trial, name: str) -> bool:
    """Return whether the sent value of a field can change a known contact."""
    line, value = trial.policy.field_options(name), freeze(trial.patch[name])
    says = line.null if value is None else line.blank
    return line.rule.on_update and not (empty(value) and says == "ignore")


def empty_changes_nothing(trial: Trial) -> bool:
    """An empty patch is refused, or changes nothing."""
    if trial.patch or not trial.call.is_plain:
        return False
    require("empty_changes_nothing", trial.before == trial.after, describe(trial.first))
    return True


def refusal_changes_nothing(trial: Trial) -> bool:
    """A refused call changes no contact."""
    if isinstance(trial.first, Outcome):
        return False
    kept = trial.before == trial.after
    require(
        "refusal_changes_nothing",
        kept,
        f"{describe(trial.first)}, but the book has changed",
    )
    return True


def moves_with_a_field(trial: Trial) -> bool:
    """Version moves with the contact, updated_at with a field, clock or deletion."""
    first = trial.first
    if not isinstance(first, Outcome):
        return False
    before, after = first.before, first.contact
    if before is None:
        fresh = after.version == 1 and after.created_at == after.updated_at
        require("moves_with_a_field", fresh, f"created at version {after.version}")
        return True
    back = before.deleted_at is not None and after.deleted_at is None
    parts = ((before.fields, after.fields), (before.clocks, after.clocks))
    moved = back or not all(same(*each) for each in parts)
    changed = moved or bool(first.merged)
    step = after.version - before.version
    words = f"version {before.version} -> {after.version}, moved: {changed}"
    require("moves_with_a_field", step == changed, words)
    ticked = before.updated_at != after.updated_at
    require("moves_with_a_field", ticked == moved, f"updated_at: {after.updated_at}")
    require("moves_with_a_field", first.unchanged == (not changed), describe(first))
    identity = (before.id, before.scope, before.created_at)
    kept = identity == (after.id, after.scope, after.created_at)
    require("moves_with_a_field", kept, "its id, scope or creation has moved")
    return True


def refuses_as_told(trial: Trial) -> bool:
    """What the policy refuses does not happen: creations, ties, restored contacts."""
    first, policy, law = trial.first, trial.policy, "refuses_as_told"
    if not isinstance(first, Outcome):
        return False
    before, after = first.before, first.contact
    may = (
        policy.on_not_found == "create"
        if before is None
        else policy.on_found != "refuse" or first.unchanged
    )
    require(law, may, describe(first))
    for name in compiled(policy).required if before is None else ():
        require(law, not empty(after.get(name)), f"{describe(first)} without {name}")
    if before is not None and before.deleted_at is not None:
        require(law, policy.on_deleted != "refuse", describe(first))
        back = after.deleted_at is None or policy.on_found == "ignore"
        require(law, back, f"{describe(first)}, and it is deleted still")
    own = compiled(policy).no_forms if before is None else trial.forms_of(before)
    now = trial.forms_of(after)
    for key, forms, was in zip(policy.all_keys, now, own, strict=True):
        fits = (
            key.max_forms is None or len(forms) <= key.max_forms or {*forms} <= {*was}
        )
        require(law, fits, f"{describe(first)}: {forms} for {key.name}")
    if policy.on_ambiguous == "refuse" and not (
        policy.match.merges or policy.match.guard
    ):
        for tie in _ties(trial, first):
            require(law, len(tie) < 2, f"{describe(first)} of {sorted(tie)}")
    return True


def _ties(trial: Trial, first: Outcome) -> Iterator[set[str]]:
    """Yield the sets of contacts of which the call had to match exactly one."""
    named = trial.keys_sent
    if trial.call.verb != "upsert" or trial.by_id is not None:
        return
    if first.matched_by in dict(named):
        forms = dict(named)[str(first.matched_by)]
        hits = [ids_of_holders(trial, [(first.matched_by, (form,))]) for form in forms]
        yield from [ids_of_holders for ids_of_holders in hits if ids_of_holders][:1]
    if trial.policy.match.resolve is ALL_AGREE:
        yield ids_of_holders(trial, named)
