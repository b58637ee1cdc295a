"""
The laws of one call: what holds whatever a book holds, and whatever is sent to it.

Rules:
    Each law is a function of a trial: it answers whether it has something to say of
    it, and raises ``LawBroken`` where what it says is not so.
    A law looks at what can be seen from outside, and decides nothing anew.
"""

from __future__ import annotations

from collections.abc import Iterator

from upsertcore.engine.outcome import Outcome
from upsertcore.errors import InvalidField, NoMatchKey, Refused
from upsertcore.laws.broken import LawBroken, see
from upsertcore.laws.trial import Trial, TrialResult, told
from upsertcore.matching.strategies import ALL_AGREE, FIRST_PRESENT
from upsertcore.model.contact import Contact
from upsertcore.policy.policy import compiled
from upsertcore.rules import keep
from upsertcore.values import empty, freeze, same

__all__ = [
    "empty_changes_nothing",
    "finds_again",
    "finds_who_is_named",
    "hit",
    "idempotent",
    "joined",
    "moves_with_a_field",
    "omitted_is_unchanged",
    "refusal_changes_nothing",
    "refuses_as_told",
]


def idempotent(trial: Trial) -> bool:
    """The same patch a second time is unchanged: the same contact, an equal state."""
    first, second = trial.first, trial.second
    if isinstance(first, Refused):
        again = type(second) is type(first)
        see("idempotent", again, f"refused, then {told(second)}")
        return True
    words = f"{told(first)}, then {told(second)}"
    if not isinstance(second, Outcome) or not second.unchanged:
        raise LawBroken("idempotent", words)
    # The very object: who is not changed is not made anew.
    same_one = second.contact is first.contact
    see("idempotent", same_one, f"{words}, another contact")
    moved = trial.after_second != trial.after or second.changes or second.merged
    see("idempotent", not moved, f"{words}, but the state is another")
    return True


def finds_again(trial: Trial) -> bool:
    """After a call its patch finds the same contact."""
    if isinstance(trial.first, Refused) or not trial.carried:
        return False
    second = trial.second
    if isinstance(second, InvalidField) and "idempotent" not in _laws(trial):
        # A sum may outgrow all numbers: who is found is not said then.
        return False
    found = isinstance(second, Outcome) and second.contact.id == trial.first.contact.id
    see("finds_again", found, f"{told(trial.first)}, then {told(second)}")
    return True


def _laws(trial: Trial) -> frozenset[str]:
    """Give the laws that the rules of all sent fields declare."""
    every = [trial.policy.field_options(name).rule.laws for name in trial.patch]
    return frozenset.intersection(*every)


def finds_who_is_named(trial: Trial) -> bool:
    """Whom the first key of a patch names is found, by creation; blank names nobody."""
    first, policy = trial.first, trial.policy
    named = trial.carried
    if isinstance(first, Outcome) and first.before is not None:
        forms = dict(named).get(first.matched_by or "", ())
        every = (first.before, *first.merged)
        due = any(_holds(trial, each, first.matched_by, forms) for each in every)
        see("finds_who_is_named", due, f"{told(first)} by {first.matched_by}")
    for each in (first, trial.second):
        see("finds_who_is_named", _is_said(trial, each), f"{told(each)} by blank")
    if not named:
        return isinstance(first, Outcome)
    see("finds_who_is_named", not isinstance(first, NoMatchKey), told(first))
    name, forms = named[0]
    if policy.match.resolve is FIRST_PRESENT and isinstance(first, Outcome):
        alone = first.matched_by in (None, name)
        see("finds_who_is_named", alone, f"{told(first)} by {first.matched_by}")
    holders = [c for c, _ in trial.state if _holds(trial, c, name, forms)]
    if not holders or isinstance(first, Refused):
        return bool(holders)
    ids = [each.id for each in holders]
    found = [first.contact.id, *[each.id for each in first.merged]]
    see("finds_who_is_named", {*ids} & {*found}, f"{name} is {ids}: {told(first)}")
    if len(forms) == 1 and not policy.match.merges:
        one = ids[-1] if policy.on_ambiguous == "newest" else ids[0]
        see("finds_who_is_named", one == found[0], f"{one} is due: {told(first)}")
    if policy.match.merges and (policy.on_limit, policy.on_found) == (
        "refuse",
        "update",
    ):
        left = hit(trial, named) - {*found}
        see("finds_who_is_named", not left, f"{told(first)}, without {left}")
    return True


def _is_said(trial: Trial, answer: TrialResult) -> bool:
    """Tell whether the key that found somebody is in the patch, and not blank."""
    if isinstance(answer, Refused) or answer.matched_by is None:
        return True
    key = compiled(trial.policy).by_name[answer.matched_by]
    said = [not empty(freeze(trial.patch.get(name))) for name in key.fields]
    return all(said) if key.composite else any(said)


def hit(trial: Trial, named: list[tuple[str, tuple[str, ...]]]) -> set[str]:
    """Give the ids of all who hold one of these forms."""
    every = [contact for contact, _forms in trial.state]
    return {c.id for c in every if any(_holds(trial, c, *each) for each in named)}


def _holds(
    trial: Trial, contact: Contact, name: str | None, forms: tuple[str, ...]
) -> bool:
    if name is None or contact.scope != trial.scope:
        return False
    place = [*compiled(trial.policy).by_name].index(name)
    return not {*trial.held(contact)[place]}.isdisjoint(forms)


def omitted_is_unchanged(trial: Trial) -> bool:
    """What is not sent, or does not count, stays as it is; so do other contacts."""
    first = trial.first
    if isinstance(first, Refused):
        return False
    gone = {first.contact.id, *[each.id for each in first.merged]}
    rest = [each for each in trial.before if each.id not in gone]
    left = [each for each in trial.after if each.id != first.contact.id]
    see("omitted_is_unchanged", rest == left, "another contact is not as it was")
    if first.before is None:
        return True
    if first.merged:
        _see_that_it_is_kept(trial, first, {*first.before, *trial.patch})
        return True
    apart = joined(trial, first)
    for name in {*first.before.fields, *first.contact.fields} - apart:
        kept = same(first.before.get(name), first.contact.get(name))
        may = name in trial.patch and _may_move(trial, name)
        see("omitted_is_unchanged", kept or may, f"{name} has moved")
    return True


def _see_that_it_is_kept(trial: Trial, first: Outcome, known: set[str]) -> None:
    """See that what only an absorbed contact has is there afterwards."""
    for other in first.merged:
        for name in {*other} - known:
            if trial.policy.merge_rule(name) == keep:
                words = f"{name} of {other.id} is lost"
                see("omitted_is_unchanged", name in first.contact, words)


def joined(trial: Trial, first: Outcome) -> set[str]:
    """Give the fields that a sent value may join though they are not sent."""
    return {
        key.fields[-1]
        for key in trial.policy.all_keys
        if key.append_new and first.ignored.get(key.fields[0]) == "additional"
    }


def _may_move(trial: Trial, name: str) -> bool:
    """Tell whether what is sent for a field counts, where its contact is known."""
    line, value = trial.policy.field_options(name), freeze(trial.patch[name])
    says = line.null if value is None else line.blank
    return line.rule.on_update and not (empty(value) and says == "ignore")


def empty_changes_nothing(trial: Trial) -> bool:
    """A patch that says nothing is refused, or changes nothing."""
    if trial.patch:
        return False
    see("empty_changes_nothing", trial.before == trial.after, told(trial.first))
    return True


def refusal_changes_nothing(trial: Trial) -> bool:
    """What is refused leaves every contact as it was."""
    if isinstance(trial.first, Outcome):
        return False
    kept = trial.before == trial.after
    see("refusal_changes_nothing", kept, f"{told(trial.first)}, but not as it was")
    return True


def moves_with_a_field(trial: Trial) -> bool:
    """Version moves with the contact, time with a field, its clock or a deletion."""
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
    moved = back or not all(same(*each) for each in parts)
    changed = moved or bool(first.merged)
    step = after.version - before.version
    words = f"version {before.version} -> {after.version}, moved: {changed}"
    see("moves_with_a_field", step == changed, words)
    ticked = before.updated_at != after.updated_at
    see("moves_with_a_field", ticked == moved, f"updated_at: {after.updated_at}")
    see("moves_with_a_field", first.unchanged == (not changed), told(first))
    stays = (before.id, before.scope, before.created_at)
    kept = stays == (after.id, after.scope, after.created_at)
    see("moves_with_a_field", kept, "its id, scope or creation has moved")
    return True


def refuses_as_told(trial: Trial) -> bool:
    """What the policy says is refused is not done: a creation, a tie, the deleted."""
    first, policy, law = trial.first, trial.policy, "refuses_as_told"
    if isinstance(first, Refused):
        return False
    before, after = first.before, first.contact
    may = (
        policy.on_not_found == "create"
        if before is None
        else policy.on_found != "refuse" or first.unchanged
    )
    see(law, may, told(first))
    for name in compiled(policy).required if before is None else ():
        see(law, not empty(after.get(name)), f"{told(first)} without {name}")
    if before is not None and before.deleted_at is not None:
        see(law, policy.on_deleted != "refuse", told(first))
        back = after.deleted_at is None or policy.on_found == "ignore"
        see(law, back, f"{told(first)}, and it is deleted still")
    own = compiled(policy).no_forms if before is None else trial.held(before)
    now = trial.held(after)
    for key, forms, was in zip(policy.all_keys, now, own, strict=True):
        fits = (
            key.max_forms is None or len(forms) <= key.max_forms or {*forms} <= {*was}
        )
        see(law, fits, f"{told(first)}: {forms} for {key.name}")
    if policy.on_ambiguous == "refuse" and not (
        policy.match.merges or policy.match.guard
    ):
        for tie in _ties(trial, first):
            see(law, len(tie) < 2, f"{told(first)} of {sorted(tie)}")
    return True


def _ties(trial: Trial, first: Outcome) -> Iterator[set[str]]:
    """Give those who were found together, where one of them had to be."""
    named = trial.carried
    if first.matched_by is not None:
        forms = dict(named)[first.matched_by]
        hits = [hit(trial, [(first.matched_by, (form,))]) for form in forms]
        yield from [hit for hit in hits if hit][:1]
    if trial.policy.match.resolve is ALL_AGREE:
        yield hit(trial, named)
