"""
Match strategies: in which order, and how, keys are consulted.

Rules:
    A key that carries no normal form finds nobody.
    Whoever is found and is not the contact that is meant is named.
"""

from __future__ import annotations

from typing import final

from attrs import frozen

from upsertcore.errors import AmbiguousMatch, InvalidPolicy, NoMatchKey
from upsertcore.matching.strategy import (
    PICKS,
    Guard,
    Match,
    OnContradiction,
    Pick,
    Probe,
    Resolve,
    Strategy,
)
from upsertcore.values import described, shown

__all__ = [
    "ALL_AGREE",
    "FIRST_MATCH",
    "FIRST_PRESENT",
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
    Let the first key that finds somebody decide.

    The keys after it are consulted too, so that further contacts are reported.

    Args:
        keys: Names of keys, the most trusted first.
        guard: What contradicts a hit by a lower key, so that it does not count: the
            contact holds another value for a higher key that the patch carries
            (``"if_set"``), or does not hold that value (``"strict"``, which finds
            whom :func:`first_present` finds, and reports the others).
        on_contradiction: A lower key all of whose hits are contradicted stays in the
            patch (``"keep"``), or is left out of it (``"drop"``).

    Returns:
        A strategy. It refuses a patch that carries none of the keys, with
        ``NoMatchKey``, unless the policy says ``on_no_key="create"``.

    Raises:
        InvalidPolicy: If no key is named, or one twice, or a choice is none.

    Cost:
        One look-up per normal form that the patch carries.

    Source:
        LeadConnector: "the first field in the configured priority sequence".

    >>> from upsertcore import ContactBook, Policy, field, normalize
    >>> match = first_match("id", "email", guard="if_set", on_contradiction="drop")
    >>> lines = {name: field(key=normalize.exact) for name in match.keys}
    >>> book = ContactBook(Policy(match, lines))
    >>> _ = book.upsert({"id": 1, "email": "ada@x.org"})
    >>> outcome = book.upsert({"id": 2, "email": "ada@x.org"})
    >>> outcome.result, outcome.contact.fields, outcome.ignored
    ('created', FrozenMap({'id': 2}), FrozenMap({'email': 'guard'}))
    """
    names = _names("first_match", keys)
    if guard not in (None, "if_set", "strict"):
        what = f"must be 'if_set' or 'strict', not {described(guard)}"
        raise InvalidPolicy(f"guard: {what}; leave it out for no guard")
    if on_contradiction not in ("keep", "drop"):
        what = f"must be 'keep' or 'drop', not {described(on_contradiction)}"
        raise InvalidPolicy(f"on_contradiction: {what}")
    if guard is None and on_contradiction != "keep":
        raise InvalidPolicy("on_contradiction: needs a guard; set guard='if_set'")
    if guard is None:
        return Strategy("first_match", names, _first_match)
    decide = _Guarded(strict=guard == "strict", drop=on_contradiction == "drop")
    return Strategy("first_match", names, decide, guard, on_contradiction)


def first_present(*keys: str) -> Strategy:
    """
    Let the first key that the patch carries decide alone.

    Args:
        keys: Names of keys, the most trusted first.

    Returns:
        A strategy. Keys after the first one carried are not consulted, so a patch
        whose first key finds nobody creates.

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
    Consult every key and refuse where two of them find different contacts.

    Args:
        keys: Names of keys; their order shows in ``matched_by`` alone.

    Returns:
        A strategy. A key that finds nobody does not disagree. The refusal,
        ``AmbiguousMatch``, names every contact that was found.

    Raises:
        InvalidPolicy: If no key is named, or one twice.

    >>> all_agree("email", "phone")
    all_agree('email', 'phone')
    """
    return Strategy("all_agree", _names("all_agree", keys), _all_agree)


def merge_all(*keys: str) -> Strategy:
    """
    Merge every contact that a key finds into the one found first.

    Args:
        keys: Names of keys, the most trusted first.

    Returns:
        A strategy. All holders of all forms count, so ``on_ambiguous`` is not asked;
        the survivor is the oldest holder of the first form that has one. What becomes
        of the fields of the others is the policy's ``on_merge``; their ids lead to
        the survivor.

    Raises:
        InvalidPolicy: If no key is named, or one twice.

    >>> from upsertcore import ContactBook, Policy, field, normalize
    >>> lines = {name: field(key=normalize.exact) for name in ("email", "device")}
    >>> book = ContactBook(Policy(merge_all("email", "device"), lines))
    >>> ada, guest = book.upsert({"email": "a@x"}), book.upsert({"device": "d-1"})
    >>> outcome = book.upsert({"email": "a@x", "device": "d-1"})
    >>> outcome.result, book.get(guest.contact.id).id == ada.contact.id
    ('merged', True)
    """
    return Strategy("merge_all", _names("merge_all", keys), _merge_all, merges=True)


def never() -> Strategy:
    """
    Match nobody: every upsert creates, so upserting twice makes two contacts.

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
            what = f"keys must be str, got {described(name)}"
            raise InvalidPolicy(f"{strategy}: {what}; name them one by one")
        if name in names:
            what = f"duplicate key {shown(name)}"
            raise InvalidPolicy(f"{strategy}: {what}; name each key once")
        names.add(name)
    return keys


def _first_match(keys: tuple[str, ...], probe: Probe, pick: Pick) -> Match:
    found = by = None
    carried = False
    seen: list[str] = []
    for name in keys:
        for _form, holders in probe(name):
            carried = True
            if found is None and holders:
                found, by = pick(name, holders), name
            seen += holders
    if not carried:
        raise NoMatchKey(keys)
    return Match(found, by, _others(found, seen))


def _first_present(keys: tuple[str, ...], probe: Probe, pick: Pick) -> Match:
    for name in keys:
        if probe(name):
            return _first_match((name,), probe, pick)
    raise NoMatchKey(keys)


_CONTRADICTED = -1


@final
@frozen
class _Guarded:
    """What decides under a guard; equal to another one with the same choices."""

    strict: bool
    drop: bool

    def __call__(self, keys: tuple[str, ...], probe: Probe, pick: Pick) -> Match:
        found = by = None
        higher: list[tuple[str, set[str]]] = []
        agreed: dict[str, int] = {}
        seen: list[str] = []
        dropped: list[str] = []
        carried = [name for name in keys if probe(name)]
        if not carried:
            raise NoMatchKey(keys)
        for name in carried:
            hit = counted = False
            for _form, holders in probe(name):
                left = []
                for id in holders:
                    if id != found:
                        agreed[id] = self._agreed(id, agreed.get(id, 0), higher, probe)
                    if id == found or agreed[id] != _CONTRADICTED:
                        left.append(id)
                hit, counted = hit or bool(holders), counted or bool(left)
                if found is None and left:
                    found, by = pick(name, tuple(left)), name
                seen += holders
            if self.drop and hit and not counted:
                dropped.append(name)
            else:
                higher.append((name, {form for form, _holders in probe(name)}))
        return Match(found, by, _others(found, seen), dropped=tuple(dropped))

    def _agreed(
        self, id: str, agreed: int, higher: list[tuple[str, set[str]]], probe: Probe
    ) -> int:
        """Give with how many higher keys a contact agrees; each is compared once."""
        if agreed == _CONTRADICTED:
            return agreed
        for place in range(agreed, len(higher)):
            name, forms = higher[place]
            held = probe.held_forms(id, name)
            if forms.isdisjoint(held) and (self.strict or held):
                return _CONTRADICTED
        return len(higher)


def _all_agree(keys: tuple[str, ...], probe: Probe, pick: Pick) -> Match:
    match = _first_match(keys, probe, pick)
    picks = [(pick(n, ids), n) for n in keys for _form, ids in probe(n) if ids]
    for found, name in picks:
        if found != match.id:
            raise AmbiguousMatch(name, tuple(dict.fromkeys(id for id, _n in picks)))
    return match


def _merge_all(keys: tuple[str, ...], probe: Probe, _pick: Pick) -> Match:
    match = _first_match(keys, probe, PICKS["oldest"])
    return Match(match.id, match.key, merged=match.also_matched)


def _others(found: str | None, seen: list[str]) -> tuple[str, ...]:
    if seen.count(found) == len(seen):  # type: ignore[arg-type]
        return ()
    return tuple(dict.fromkeys(id for id in seen if id != found))


def _never(_keys: tuple[str, ...], _probe: Probe, _pick: Pick) -> Match:
    return Match()


FIRST_MATCH: Resolve = _first_match
"""What :func:`first_match` decides by where it has no guard."""

FIRST_PRESENT: Resolve = _first_present
"""What :func:`first_present` decides by."""

ALL_AGREE: Resolve = _all_agree
"""What :func:`all_agree` decides by."""
