"""
The laws of one call: what holds whatever a book holds, and whatever is sent to it.

Rules:
    Each law is a function of a trial: it answers whether it has something to say of
    it, and raises ``LawBroken`` where what it says is not so.
    A law looks at what can be seen from outside, and decides nothing anew.
"""

from __future__ import annotations

from typing import Any

from upsertcore.contact import Contact
from upsertcore.errors import Refused
from upsertcore.keyring import held_forms
from upsertcore.laws.broken import see
from upsertcore.laws.trial import Trial, told
from upsertcore.outcome import Outcome
from upsertcore.patch import read
from upsertcore.rule import Rule
from upsertcore.values import same

__all__ = [
    "carried",
    "empty_changes_nothing",
    "finds_again",
    "finds_who_is_named",
    "idempotent",
    "moves_with_a_field",
    "nothing_silent",
    "omitted_is_unchanged",
    "refusal_changes_nothing",
]


def idempotent(trial: Trial) -> bool:
    """The same patch a second time is unchanged: the same contact, an equal state."""
    if isinstance(trial.first, Refused):
        same_answer = type(trial.second) is type(trial.first)
        see("idempotent", same_answer, f"refused, then {told(trial.second)}")
        return True
    words = f"{told(trial.first)}, then {told(trial.second)}"
    see("idempotent", isinstance(trial.second, Outcome), words)
    see("idempotent", trial.second.unchanged, words)  # type: ignore[union-attr]
    once = trial.second.contact == trial.first.contact  # type: ignore[union-attr]
    see("idempotent", once, f"{words}, another contact")
    moved = trial.after_second != trial.after
    see("idempotent", not moved, f"{words}, but the state is another")
    return True


def finds_again(trial: Trial) -> bool:
    """After a call its patch finds the same contact."""
    if isinstance(trial.first, Refused) or not carried(trial):
        return False
    second = trial.second
    found = isinstance(second, Outcome) and second.contact.id == trial.first.contact.id
    see("finds_again", found, f"{told(trial.first)}, then {told(second)}")
    return True


def finds_who_is_named(trial: Trial) -> bool:
    """Whom the first key of a patch names is found, by creation; blank names nobody."""
    first, policy = trial.first, trial.policy
    named = carried(trial)
    if isinstance(first, Outcome) and first.before is not None:
        forms = dict(named).get(first.matched_by or "", ())
        every = (first.before, *first.absorbed)
        due = any(_holds(trial, each, first.matched_by, forms) for each in every)
        see("finds_who_is_named", due, f"{told(first)} by {first.matched_by}")
    if not named:
        return isinstance(first, Outcome)
    name, forms = named[0]
    holders = [c for c, _ in trial.state if _holds(trial, c, name, forms)]
    if not holders or isinstance(first, Refused):
        return bool(holders)
    ids = [each.id for each in holders]
    found = [first.contact.id, *[each.id for each in first.absorbed]]
    see("finds_who_is_named", {*ids} & {*found}, f"{name} is {ids}: {told(first)}")
    if len(forms) == 1 and not policy.match.merges:
        one = ids[-1] if policy.on_many == "newest" else ids[0]
        see("finds_who_is_named", one == found[0], f"{one} is due: {told(first)}")
    return True


def carried(trial: Trial) -> list[tuple[str, tuple[str, ...]]]:
    """List the keys of the strategy that the patch carries, with their forms."""
    try:
        sent, _ignored = read(trial.policy, trial.patch)
    except Refused:
        return []
    by_name = trial.policy.by_name
    made = [(name, by_name[name].forms(sent)) for name in trial.policy.match.keys]
    return [(name, forms) for name, forms in made if forms]


def _holds(
    trial: Trial, contact: Contact, name: str | None, forms: tuple[str, ...]
) -> bool:
    if name is None or contact.scope != trial.scope:
        return False
    held = dict(
        zip(trial.policy.by_name, held_forms(trial.policy, contact), strict=True)
    )
    return not {*held[name]}.isdisjoint(forms)


def omitted_is_unchanged(trial: Trial) -> bool:
    """A field that is not sent stays as it is, and so does every other contact."""
    first = trial.first
    if isinstance(first, Refused):
        return False
    gone = {first.contact.id, *[each.id for each in first.absorbed]}
    rest = [each for each in trial.before if each.id not in gone]
    left = [each for each in trial.after if each.id != first.contact.id]
    see("omitted_is_unchanged", rest == left, "another contact is not as it was")
    joined = {key.fields[-1] for key in trial.policy.keys if key.joins}
    if first.before is None or first.absorbed:
        return True
    for name in {*first.before.fields, *first.contact.fields} - joined:
        kept = same(first.before.get(name), first.contact.get(name))
        see("omitted_is_unchanged", kept or name in trial.patch, f"{name} has moved")
    return True


def empty_changes_nothing(trial: Trial) -> bool:
    """A patch that says nothing is refused, or changes nothing."""
    if trial.patch:
        return False
    see("empty_changes_nothing", trial.before == trial.after, told(trial.first))
    return True


def nothing_silent(trial: Trial) -> bool:
    """Each sent field is stored by its rule, or withheld, or ignored with a reason."""
    first, policy = trial.first, trial.policy
    if isinstance(first, Refused) or policy.update == "ignore":
        return False
    sent, _left_out = read(policy, trial.patch)
    named = {*first.ignored, *[each.field for each in first.withheld]}
    for name in trial.patch:
        if name not in named:
            see("nothing_silent", name in sent, f"{name} is not named")
            words = f"{name}: {sent[name]!r} is not there, and not named"
            shown = _stands(policy.line(name).merge, name, sent, first)
            see("nothing_silent", shown, words)
    for each in first.withheld:
        holder = each.holder in [contact.id for contact in trial.after]
        see("nothing_silent", holder, f"{each.field} is withheld for {each.holder}")
    return bool(trial.patch)


def _stands(rule: Rule, name: str, sent: Any, outcome: Outcome) -> bool:
    """Tell whether a rule has put into a contact what was sent, all of it."""
    value, stored = sent[name], outcome.contact.get(name)
    if rule.shows is not None:
        return rule.shows(stored, value)
    if rule.by is not None:
        # The same value of an older clock stands there already: nothing is left out.
        own = outcome.contact.clocks.get(name), stored
        again = rule.combine(own, (sent[rule.by], value))
        return same(stored, value) and same(again, own)
    if rule.drops and not same(stored, value):
        was = None if outcome.before is None else outcome.before.get(name)
        return not same(stored, was)
    if "idempotent" in rule.laws:
        return same(rule.combine(stored, value), stored)
    if outcome.absorbed:
        return True
    was = None if outcome.before is None else outcome.before.get(name)
    return same(rule.combine(was, value), stored)


def refusal_changes_nothing(trial: Trial) -> bool:
    """What is refused leaves every contact as it was."""
    if isinstance(trial.first, Outcome):
        return False
    kept = trial.before == trial.after
    see("refusal_changes_nothing", kept, f"{told(trial.first)}, but not as it was")
    return True


def moves_with_a_field(trial: Trial) -> bool:
    """Version and time of a contact move where a field of it moves, and only then."""
    first = trial.first
    if isinstance(first, Refused):
        return False
    before, after = first.before, first.contact
    if before is None:
        fresh = after.version == 1 and after.created_at == after.updated_at
        see("moves_with_a_field", fresh, f"created at version {after.version}")
        return True
    back = before.deleted_at is not None and after.deleted_at is None
    parts = ((before.fields, after.fields), (before.clocks, after.clocks))
    moved = back or bool(first.absorbed) or not all(same(*each) for each in parts)
    step = after.version - before.version
    words = f"version {before.version} -> {after.version}, fields moved: {moved}"
    see("moves_with_a_field", step == moved, words)
    ticked = before.updated_at != after.updated_at
    see("moves_with_a_field", ticked == moved, f"updated_at: {after.updated_at}")
    see("moves_with_a_field", first.unchanged == (not moved), told(first))
    stays = (before.id, before.scope, before.created_at)
    kept = stays == (after.id, after.scope, after.created_at)
    see("moves_with_a_field", kept, "its id, scope or creation has moved")
    return True
