"""
The laws of calls that name contacts by their ids, or have options of their own.

Rules:
    Each law is a function of a trial; it returns whether it applies to the trial.
    A law compares results with the contacts that have the ids; it repeats no match.
"""

from __future__ import annotations

from upsertcore.engine.outcome import Outcome
from upsertcore.errors import UnknownContact
from upsertcore.laws.errors import require
from upsertcore.laws.trial import Trial, describe
from upsertcore.matching.strategies import ALL_AGREE, FIRST_MATCH
from upsertcore.model.contact import Contact
from upsertcore.policy.policy import compiled
from upsertcore.values import empty, freeze

__all__ = ["named_by_id", "options_hold", "visitor_joins"]


def named_by_id(trial: Trial) -> bool:
    """The contact with the id is the one; an unknown id does what the policy says."""
    id = trial.call.named
    if id is None:
        return False
    holder, first, verb = trial.holder(id), trial.first, trial.call.verb
    if verb == "update" and holder is not None:
        _require(trial, not isinstance(first, UnknownContact))
    if not isinstance(first, Outcome):
        return True
    if verb == "create" or (verb == "update" and holder is None):
        _require(trial, verb == "create" and holder is None and _is_new(first, id))
    elif trial.call.carried is not None:
        _check_carried(trial, first, id, holder)
    elif holder is not None:
        _require(trial, first.before == holder)
    elif trial.call.visitor is None:
        new, unknown = _is_new(first, id), trial.policy.on_unknown_id
        is_ignored = first.ignored.get(trial.policy.id_field or "id") == "id"
        matched = unknown == "next" and first.before is not None and is_ignored
        _require(trial, (new and unknown != "refuse") or matched)
    return True


def _require(trial: Trial, holds: object) -> None:
    words = f"{trial.call}: {describe(trial.first)}"
    require("named_by_id", holds, words)


def _is_new(first: Outcome, id: str) -> bool:
    return first.created and first.contact.id == id


def _check_carried(
    trial: Trial, first: Outcome, id: str, holder: Contact | None
) -> None:
    """Check that an id in the patch is the contact's, or is ignored by name."""
    policy = trial.policy
    is_ignored = first.ignored.get(str(policy.id_field)) is not None
    _require(trial, (id in first.contact.ids) != is_ignored)
    is_first = policy.match.keys[:1] == (policy.id_field,)
    if is_first and policy.match.resolve is FIRST_MATCH and not policy.match.guard:
        if holder is not None:
            _require(trial, first.before == holder)
        else:
            refuses = policy.on_unknown_id == "refuse"
            by_key = first.before is not None and policy.on_unknown_id == "next"
            _require(trial, not refuses and (_is_new(first, id) or by_key))


def visitor_joins(trial: Trial) -> bool:
    """The visitor is the contact, or merged into it; or it is named, and stays."""
    first, id, law = trial.first, trial.call.visitor, "visitor_joins"
    if id is None or not isinstance(first, Outcome):
        return False
    visitor, why = trial.holder(id), first.ignored.get("visitor")
    words = f"{trial.call}: {describe(first)}, {why}"
    if visitor is None:
        require(law, trial.policy.on_unknown_id != "refuse" and why == "id", words)
        return True
    is_one = visitor in (first.before, *first.merged)
    require(law, is_one == (id in first.contact.ids), words)
    if is_one:
        is_merged = visitor == first.before or id in first.contact.merged_ids
        require(law, why is None and is_merged, words)
    else:
        # What is known is left alone under on_found="ignore", and needs no reason.
        reasons = ("visitor", "limit", None)[: 2 + (trial.policy.on_found == "ignore")]
        stays = visitor in trial.after and visitor.id in first.also_matched
        require(law, stays and why in reasons, words)
    if not {"guard", "limit"} & {*first.ignored.values()}:
        _check_reason(trial, visitor, words, is_one=is_one)
    return True


def _check_reason(trial: Trial, visitor: Contact, words: str, *, is_one: bool) -> None:
    """Check that a visitor stays if another value of a key says that it must."""
    policy, forms = trial.policy, trial.forms_of(visitor)
    held = dict(zip(compiled(policy).by_name, forms, strict=True))
    pairs = [({*held[name]}, {*sent}) for name, sent in trial.keys_sent]
    contradicts = any(own and own.isdisjoint(sent) for own, sent in pairs)
    is_hit = any(own & sent for own, sent in pairs)
    if is_one:
        may = not contradicts or is_hit
        require("visitor_joins", may, f"{words}, and it has another key")
    elif policy.on_found != "ignore":
        require("visitor_joins", contradicts, f"{words}, and it has no other key")
    agrees = policy.match.resolve is not ALL_AGREE or not contradicts or is_one
    require("visitor_joins", agrees, f"{words}, and the keys disagree")


def options_hold(trial: Trial) -> bool:
    """An option of one call holds for it, whatever the policy says."""
    first, options = trial.first, trial.call.options
    if not options or not isinstance(first, Outcome):
        return False
    _check_empties(trial, first)
    is_same = first.before is None or first.unchanged
    may = {
        "on_found": options.get("on_found", "update") == "update" or is_same,
        "on_not_found": options.get("on_not_found") != "refuse" or not first.created,
    }
    for name, holds in may.items():
        require("options_hold", holds, f"{describe(first)} with {name}: {options}")
    return True


def _check_empties(trial: Trial, first: Outcome) -> None:
    """Check that null and blank do what the call says."""
    values = {name: freeze(value) for name, value in trial.patch.items()}
    kinds = {
        "null": [name for name, value in values.items() if value is None],
        "blank": [n for n, v in values.items() if v is not None and empty(v)],
    }
    for kind, names in kinds.items():
        option = trial.call.options.get(kind)
        if option is not None:
            left_out = [name for name in names if first.ignored.get(name) == kind]
            expected = names if option == "ignore" else []
            words = f"{describe(first)}: {left_out} is ignored under {kind}={option!r}"
            require("options_hold", left_out == expected, words)
            is_refused = bool(names) and option == "reject"
            require(
                "options_hold", not is_refused, f"{describe(first)}: {kind} is sent"
            )
