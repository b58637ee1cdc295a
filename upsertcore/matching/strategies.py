"""
The match strategies: the order and the manner in which keys are consulted.

Rules:
    A key without a normal form matches no contact.
    Contacts that match besides the chosen one are reported.
"""

from __future__ import annotations

from upsertcore.errors import InvalidPolicy, KeysDisagree, NoMatchKey
from upsertcore.matching.ambiguity import PICKS
from upsertcore.matching.guards import GuardedMatch, check_guard
from upsertcore.matching.protocol import (
    Guard,
    Match,
    OnContradiction,
    Pick,
    Probe,
    Resolve,
    Strategy,
    also_matched,
)
from upsertcore.values import describe, show_value

__all__ = [
    "ALL_AGREE",
    "FIRST_MATCH",
    "FIRST_PRESENT",
    "NEVER",
    "all_agree",
    "first_match",
    "first_present",
    "merge_all",
    "never",
]


def first_match(
    *keys: str, guard: Guard | None = None, on_contradiction: OnContradiction = "keep"
) -> Strategy:
    """
    Match by the first key that matches any contact.

    The keys after it are consulted, too, so that further contacts are reported.

    Args:
        keys: Names of keys, the most trusted first.
        guard: When a match by a lower key does not count: if the contact holds another
            value for a higher key that the patch carries (``"if_set"``), or does not
            hold that value (``"strict"``, which matches as :func:`first_present`, and
            reports the other contacts).
        on_contradiction: A lower key none of whose matches count stays in the patch
            (``"keep"``), or is left out of it (``"drop"``).

    Returns:
        A strategy. It refuses a patch that carries none of the keys, with
        ``NoMatchKey``, unless the policy has ``on_no_key="create"``.

    Raises:
        InvalidPolicy: If no key is named, or one twice, or an option is invalid.

    Cost:
        One look-up per normal form that the patch carries.

    Source:
        LeadConnector: "the first field in the configured priority sequence".

    >>> from upsertcore import ContactBook, Policy, field, normalize
    >>> match = first_match("id", "email", guard="if_set", on_contradiction="drop")
    >>> fields = {name: field(key=normalize.exact) for name in match.keys}
    >>> book = ContactBook(Policy(match, fields))
    >>> _ = book.upsert({"id": 1, "email": "ada@x.org"})
    >>> outcome = book.upsert({"id": 2, "email": "ada@x.org"})
    >>> outcome.result, outcome.contact.fields, outcome.ignored
    ('created', FrozenMap({'id': 2}), FrozenMap({'email': 'guard'}))
    """
    names = _names("first_match", keys)
    check_guard(guard, on_contradiction)
    if guard is None:
        return Strategy("first_match", names, _first_match)
    decide = GuardedMatch(strict=guard == "strict", drop=on_contradiction == "drop")
    return Strategy("first_match", names, decide, guard, on_contradiction)


def first_present(*keys: str) -> Strategy:
    """
    Match by the first key that the patch carries, and by no other.

    Args:
        keys: Names of keys, the most trusted first.

    Returns:
        A strategy. Keys after the first one that is carried are not consulted, so a
        patch whose first key matches no contact creates one.

    Raises:
        InvalidPolicy: If no key is named, or one twice.

    Source:
        Anduin: "only the trackingId is used to locate the Contact".

    >>> first_present("trackingId", "email")
    first_present('trackingId', 'email')
    """
    return Strategy("first_present", _names("first_present", keys), _first_present)


def all_agree(*keys: str) -> Strategy:
    """
    Consult every key, and refuse a patch whose keys match different contacts.

    Args:
        keys: Names of keys; their order affects only ``matched_by``.

    Returns:
        A strategy. A key without a match does not disagree. The refusal,
        ``KeysDisagree``, has each key with the contacts that it matches.

    Raises:
        InvalidPolicy: If no key is named, or one twice.

    >>> all_agree("email", "phone")
    all_agree('email', 'phone')
    """
    return Strategy("all_agree", _names("all_agree", keys), _all_agree)


def merge_all(
    *keys: str, guard: Guard | None = None, on_contradiction: OnContradiction = "keep"
) -> Strategy:
    """
    Merge all contacts that the keys match into the first one.

    Args:
        keys: Names of keys, the most trusted first.
        guard: When a contact that a lower key matches is not merged: as in
            :func:`first_match`; and where the survivor holds other values for that
            lower key. Such a contact is reported.
        on_contradiction: As in :func:`first_match`.

    Returns:
        A strategy. All holders of all forms match, so ``on_ambiguous`` does not apply;
        the survivor is the oldest holder of the first form that has one. The policy's
        ``on_merge`` combines the fields; the ids of the others resolve to the survivor.

    Raises:
        InvalidPolicy: If no key is named, or one twice, or an option is invalid.

    >>> from upsertcore import ContactBook, Policy, field, normalize
    >>> fields = {name: field(key=normalize.exact) for name in ("email", "device")}
    >>> book = ContactBook(Policy(merge_all("email", "device"), fields))
    >>> ada, guest = book.upsert({"email": "a@x"}), book.upsert({"device": "d-1"})
    >>> outcome = book.upsert({"email": "a@x", "device": "d-1"})
    >>> outcome.result, book.get(guest.contact.id).id == ada.contact.id
    ('merged', True)
    """
    names = _names("merge_all", keys)
    check_guard(guard, on_contradiction)
    if guard is None:
        return Strategy("merge_all", names, _merge_all, merges=True)
    drop = on_contradiction == "drop"
    resolve = GuardedMatch(strict=guard == "strict", drop=drop, merges=True)
    return Strategy("merge_all", names, resolve, guard, on_contradiction, merges=True)


def never() -> Strategy:
    """
    Match no contact: every upsert creates one, so sending twice creates two.

    >>> never()
    never()
    """
    return Strategy("never", (), _never)


def _names(strategy: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    if not keys:
        example = f"name them, as in {strategy}('email', 'phone')"
        raise InvalidPolicy(f"{strategy}: needs at least one key; {example}")
    names: set[str] = set()
    for name in keys:
        if not isinstance(name, str):
            what = f"keys must be str, got {describe(name)}"
            raise InvalidPolicy(f"{strategy}: {what}; name them one by one")
        if name in names:
            what = f"duplicate key {show_value(name)}"
            raise InvalidPolicy(f"{strategy}: {what}; name each key once")
        names.add(name)
    return keys


def _first_match(keys: tuple[str, ...], probe: Probe, pick: Pick) -> Match:
    chosen = key = None
    carried = False
    all_holders: list[str] = []
    for name in keys:
        for _form, holders in probe(name):
            carried = True
            if chosen is None and holders:
                chosen, key = pick(name, holders), name
            all_holders += holders
    if not carried:
        raise NoMatchKey(keys)
    return Match(chosen, key, also_matched(chosen, all_holders))


def _first_present(keys: tuple[str, ...], probe: Probe, pick: Pick) -> Match:
    for name in keys:
        if probe(name):
            return _first_match((name,), probe, pick)
    raise NoMatchKey(keys)


def _all_agree(keys: tuple[str, ...], probe: Probe, pick: Pick) -> Match:
    match = _first_match(keys, probe, pick)
    picks = [(n, pick(n, ids)) for n in keys for _form, ids in probe(n) if ids]
    if any(id != match.id for _name, id in picks):
        hits: dict[str, dict[str, None]] = {}
        for name, id in picks:
            hits.setdefault(name, {})[id] = None
        raise KeysDisagree(tuple([(name, tuple(ids)) for name, ids in hits.items()]))
    return match


def _merge_all(keys: tuple[str, ...], probe: Probe, _pick: Pick) -> Match:
    match = _first_match(keys, probe, PICKS["oldest"])
    return Match(match.id, match.key, merged=match.also_matched)


def _never(_keys: tuple[str, ...], _probe: Probe, _pick: Pick) -> Match:
    return Match()


FIRST_MATCH: Resolve = _first_match
"""The function of :func:`first_match` without a guard."""

FIRST_PRESENT: Resolve = _first_present
"""The function of :func:`first_present`."""

ALL_AGREE: Resolve = _all_agree
"""The function of :func:`all_agree`."""

NEVER: Resolve = _never
"""The function of :func:`never`."""
