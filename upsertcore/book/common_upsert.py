"""
The common upsert: one pass from a patch to its outcome, without a plan.

Rules:
    Its results are those of the general path. In an uncommon case it stops before it
    writes, and returns what it has computed so far.
    The functions read the constants below, which :mod:`upsertcore.book.fast_path`
    replaces with those of a policy and its book.
    A strategy that is not simple decides by its own function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeAlias

from upsertcore.book.key_lookup import NO_ENTRIES, OMITTED, KeyProbe
from upsertcore.engine.aliases import former_forms
from upsertcore.engine.merge_patch import apply_rule
from upsertcore.engine.outcome import Withheld
from upsertcore.engine.outcomes import Outcomes
from upsertcore.engine.patch import read_patch
from upsertcore.errors import InvalidField, KeyInUse, Refused, with_row
from upsertcore.model.packed_row import (
    ALIASES,
    CLOCKS,
    CREATED,
    DELETED,
    FORMS,
    HISTORY,
    ID,
    NAMES,
    PLACE,
    VERSION,
    pack_forms,
    unpack_forms,
)
from upsertcore.model.write_record import NUMBER, Record
from upsertcore.rules.rule import replace
from upsertcore.store.clock import checked_time
from upsertcore.store.ids import IdInUse, checked_id
from upsertcore.store.transaction import Remainder
from upsertcore.values import MAX_TEXT, NOTHING, FrozenMap, empty, same

if TYPE_CHECKING:
    from upsertcore.book.key_lookup import Keys
    from upsertcore.policy.keys import Key
    from upsertcore.rules.rule import Rule

__all__ = ["NO_FORM", "Fallback", "FastResult", "upsert", "upsert_many"]

FastResult: TypeAlias = "Record | Remainder | None"
"""The record of the write; or, for the general path, what is computed so far, or
None."""

Fallback: TypeAlias = "Callable[[Any, Any, Remainder | None], Any]"
"""(patch, scope, result of the fast path) -> result of the general path."""

NO_FORM = ""
"""In place of a form: the value is not normalised yet. No form is blank."""

_IN_USE: Any = object()
"""In place of a result: a key of the patch is held by another contact."""

_AMBIGUOUS: list[str] = []
"""In place of an id: the keys of a patch do not resolve to one contact."""

_NOTHING: Mapping[str, Any] = {}
_NO_HISTORY: tuple[Any, ...] = NOTHING, NOTHING, (), None

Values: TypeAlias = tuple[Any, ...]
"""A value for each declared field."""

FastCall: TypeAlias = (
    "tuple[Mapping[str, Any], str, list[Any], Record, bool, Any, Any, Any]"
)
"""A call on the fast path: the patch as it was read, scope, the form of each key of the
policy (filled in during the call), the state of the book, whether all values are text
exactly as sent, field to reason for what it ignores, its undeclared fields, and what it
withholds with the ids that also match."""

Overtaken: TypeAlias = "list[Any]"
"""The id and the time that an overtaken call has drawn."""


ATTEMPTS = (1, 2, 3)
"""One item for each time that an overtaken call tries the fast path."""

POLICY: Any = None
STORE: Any = None
INDEX: Any = None
ROWS: Mapping[str, Any] = {}
REDIRECTS: Mapping[str, str] = {}
CHECKS_IDS = True
"""Whether ids come from the caller and must be checked."""

COLUMNS: tuple[str, ...] = ()
"""The names of the declared fields."""

DEFAULTS: Values = ()
DECLARED: frozenset[str] = frozenset()

SHAPES: Mapping[tuple[Any, ...], tuple[Any, bool]] = {}
"""The names of a patch to its :class:`Shapes`."""

HAS_EXTRA = False
EXTRA_RULE: Rule = replace
REQUIRED: tuple[int, ...] = ()
RULES: Mapping[str, tuple[int, Rule, bool]] = {}
"""Field with another rule than ``replace`` to its column, its rule, and whether it is
one of a key."""

KEYS: tuple[Key, ...] = ()
KEY_COLUMNS: tuple[tuple[int, ...], ...] = ()
KEYED_DEFAULTS: frozenset[str] = frozenset()
"""The fields of keys that have a default."""

STRATEGY: Any = None
SIMPLE = True
"""Whether the strategy is one whose rules :func:`_look_up` has."""

PICK: Any = None
MATCH_KEYS: Keys = ()
PLANS: Mapping[str, Any] = {}
"""The same by name."""

OTHER_KEYS: Keys = ()
NO_FORMS: list[Any] = []
FIRST = FORMS
"""The position of the first value in a row."""

BY_FORM = False
"""Whether the first key that the patch carries decides alone."""

KEYLESS = False
"""Whether a patch without a key creates a contact."""

WITHHOLDS = False
"""Whether the fast path may leave out a field whose key is in use."""

REFUSES = False
"""Whether the fast path may refuse a key that is in use."""

CREATES = True
UPDATES = True
DROPS_UPDATES = False
HAS_GROUPS = False
HAS_UPDATE_TIMES = False
HAS_UNCOMMON_KEYS = False
"""Whether a key has several fields, aliases or a limit."""


def upsert(  # noqa: C901, PLR0912 - in one pass
    patch: Any, scope: Any
) -> FastResult:
    """
    Upsert a patch, if it is a common case.

    Args:
        patch: The patch.
        scope: The tenant.

    Returns:
        The record of the write; one that repeats a row has written nothing. Or what the
        general path needs to complete the call.

    Raises:
        Refused: If the patch cannot be read.
    """
    if type(patch) is not dict or type(scope) is not str or not scope.isascii():
        return None
    sent, ignored, extra, known = patch, _NOTHING, _NOTHING, tuple(patch.values())
    fill, plain = SHAPES[tuple(patch)]
    if plain:
        for value in known:
            if type(value) is not str or not value or value.isspace():
                plain = False
                break
        else:
            # A name that is imported as well makes each method call on it slower.
            whole = "".join(known)
            plain = len(whole) <= MAX_TEXT and (whole.isascii() or _encodes(whole))
    if not plain:
        sent, ignored = read_patch(POLICY, patch)
        if HAS_GROUPS and "blocked" in ignored.values():
            return Remainder({}, (sent, ignored))
        declared = sent
        if HAS_EXTRA and not sent.keys() <= DECLARED:
            declared = {name: sent[name] for name in sent if name in DECLARED}
            extra = {name: sent[name] for name in sent if name not in DECLARED}
        fill, known = SHAPES[tuple(declared)][0], tuple(declared.values())
    id = now = None
    result: Any
    for _attempt in ATTEMPTS:
        forms, state = NO_FORMS.copy(), STORE.completed
        call = sent, scope, forms, state, plain, ignored, extra, None
        if SIMPLE:
            found, by = _look_up(MATCH_KEYS, sent, scope, forms, plain, None, None)
        else:
            found, by = _resolved(call)
        if found is None:
            after = known if fill is None else fill(known + DEFAULTS)
            result = _create(call, after, id, now)
        else:
            before = ROWS.get(found) if type(found) is str else None
            if before is None:
                result = _IN_USE
            else:
                stored = before[FIRST:]
                after = known if fill is None else fill(known + stored)
                result = _update(call, after, stored, before, by, id, now)
        if result is _IN_USE:
            result = _upsert_around(call, id, now)
        if type(result) is not list:
            return result  # type: ignore[no-any-return]
        id, now = result
    return _remainder(call, id, now)  # type: ignore[possibly-undefined]


def _look_up(
    keys: Keys,
    sent: Mapping[str, Any],
    scope: str,
    forms: list[Any],
    plain: bool,  # noqa: FBT001 - a keyword would cost more
    id: Any,
    by: str | None,
) -> tuple[Any, str | None]:
    """
    Look up keys, and store their forms.

    Args:
        keys: Keys of the policy.
        sent: The patch as it was read.
        scope: The tenant.
        forms: The form of each key of the policy; changed in place.
        plain: Whether all values are text.
        id: The contact that earlier keys match, if any.
        by: The name of the key that matches it.

    Returns:
        The id of the contact that these keys match, and the name of the key; a list in
        place of the id if they match several.
    """
    for number, field, name, scopes, short, is_form, look in keys:
        value: Any = sent.get(field, OMITTED) if field else sent
        if value is OMITTED:
            continue
        entries = scopes.get(scope, NO_ENTRIES)
        if short and (plain or type(value) is str) and value.isascii():
            form = short(value)
            holder = entries.get(form)
            if holder is None and not is_form(form):
                form, holder = look(value, entries)
        else:
            form, holder = look(value, entries)
        forms[number] = form
        if by is None:
            if (form if BY_FORM else holder) is not None:
                id, by = holder, name
        elif holder is not None and holder != id:
            id = _AMBIGUOUS
    return id, by


def _resolved(call: FastCall) -> tuple[Any, str | None]:
    """
    Match by the function of the strategy.

    Returns:
        As :func:`_look_up`; a list in place of the id also for a call that the strategy
        refuses, or whose keys it does not use as they are.
    """
    sent, scope, forms, state, *_rest = call
    probe = KeyProbe(sent, scope, forms, PLANS, ROWS)
    try:
        match = STRATEGY.resolve(STRATEGY.keys, probe, PICK)
    except Refused as refusal:
        if refusal.is_from_caller and STORE.published is state:
            raise
        return _AMBIGUOUS, None
    if match.also_matched or match.merged or match.dropped:
        return _AMBIGUOUS, None
    return match.id, match.key


def _hits_another(call: FastCall, id: str | None, by: str | None) -> bool:
    """Return whether a key that does not match is held by another contact."""
    sent, scope, forms, _state, plain, *_rest = call
    found, _by = _look_up(OTHER_KEYS, sent, scope, forms, plain, id, by)
    return found is _AMBIGUOUS


def _upsert_around(
    call: FastCall, id: str | None, now: datetime | None
) -> FastResult | Overtaken:
    """
    Upsert a patch of which keys are held by another contact than the one they match.

    Args:
        call: The call.
        id: As for :func:`_create`.
        now: As for :func:`_create`.

    Returns:
        As :func:`_create`.

    Raises:
        KeyInUse: If the policy refuses such a key, and nothing else of the patch.
    """
    sent, scope, forms, state, plain, ignored, extra, conflicts = call
    uses = _keys_in_use(call) if conflicts is None else None
    if uses is None or not (KEYLESS or any(forms[plan[0]] for plan in MATCH_KEYS)):
        return _remainder(call, id, now)
    found, by, also_matched, in_use = uses
    before = None if found is None else ROWS.get(found)
    is_odd = RULES and not RULES.keys().isdisjoint(sent)
    if is_odd or extra or (before is None and (found or REQUIRED or not CREATES)):
        return _remainder(call, id, now)
    if before is not None and before[HISTORY] is not None:
        return _remainder(call, id, now)
    if in_use and REFUSES:
        if STORE.published is not state:
            return [id, now]
        field, (holder, _key) = next(iter(in_use.items()))
        raise KeyInUse(field, sent[field], holder)
    withheld = [
        Withheld(field, sent[field], *holding) for field, holding in in_use.items()
    ]
    sent = {name: value for name, value in sent.items() if name not in in_use}
    forms = [
        NO_FORM if key.fields[0] in in_use else form
        for key, form in zip(KEYS, forms, strict=True)
    ]
    conflicts = tuple(withheld), also_matched
    rest = sent, scope, forms, state, plain, ignored, extra, conflicts
    fill, known = SHAPES[tuple(sent)][0], tuple(sent.values())
    if before is None:
        after = known if fill is None else fill(known + DEFAULTS)
        result = _create(rest, after, id, now)
    else:
        stored = before[FIRST:]
        after = known if fill is None else fill(known + stored)
        result = _update(rest, after, stored, before, by, id, now)
    # Another call may have used a further key meanwhile.
    return _remainder(call, id, now) if result is _IN_USE else result


def _keys_in_use(  # noqa: C901 - one key after the other
    call: FastCall,
) -> tuple[str | None, str | None, tuple[str, ...], dict[str, tuple[str, str]]] | None:
    """
    Find the keys of a patch that another contact holds.

    Returns:
        The contact that the patch matches, the key that matches it, the ids that also
        match, and field to holder and key; None for the general path.
    """
    if not (WITHHOLDS or REFUSES):
        return None
    sent, scope, forms, *_rest = call
    found = by = None
    also_matched: dict[str, None] = {}
    in_use: dict[str, tuple[str, str]] = {}
    for number, field, name, scopes, _short, _is_form, look in MATCH_KEYS + OTHER_KEYS:
        value = sent.get(field, OMITTED)
        if value is OMITTED:
            continue
        entries = scopes.get(scope, NO_ENTRIES)
        if forms[number] is NO_FORM:
            forms[number], _holder = look(value, entries)
        form = forms[number]
        holder = None if form is None or type(form) is tuple else entries.get(form)
        if type(form) is tuple or (holder is not None and type(holder) is not str):
            return None
        if holder is None or holder == found:
            continue
        if found is None and name in PLANS:
            found, by = holder, name
            continue
        if name in PLANS:
            also_matched[holder] = None
        if KEYS[number].unique:
            in_use[field] = holder, name
    if any(DEFAULTS[KEY_COLUMNS[n][0]] is not None for n in range(len(KEYS))):
        return None
    in_order = {key.name: in_use[key.name] for key in KEYS if key.name in in_use}
    return found, by, (*also_matched,), in_order


def _create(  # noqa: C901 - in one pass
    call: FastCall, after: Any, id: str | None, now: datetime | None
) -> Record | Remainder | Overtaken:
    """
    Create a contact.

    Args:
        call: The call.
        after: Its values, if every rule were ``replace``.
        id: The id, if it is drawn already.
        now: The time, if it is drawn already.

    Returns:
        The outcome, or what the general path needs; if the call is overtaken, what it
        has drawn.
    """
    sent, scope, forms, state, _plain, ignored, extra, conflicts = call
    if not CREATES or not (KEYLESS or any(forms)):
        return _remainder(call, id, now)
    if KEYED_DEFAULTS and not sent.keys() >= KEYED_DEFAULTS:
        return _remainder(call, id, now)
    names, clocks = COLUMNS, None
    if RULES or extra:
        names, after, ignored, clocks = _ruled(call, after, None)
    if (
        after is None
        or (clocks and HAS_UPDATE_TIMES)
        or (REQUIRED and _lacks(after, REQUIRED))
    ):
        return _remainder(call, id, now)
    if OTHER_KEYS and _hits_another(call, None, ""):
        return _IN_USE  # type: ignore[no-any-return]
    if NO_FORM in forms:
        forms = [None if form is NO_FORM else form for form in forms]
    if HAS_UNCOMMON_KEYS and _exceeds_limit(forms):
        return _remainder(call, id, now)
    if id is None:
        id = STORE.ids()
        if CHECKS_IDS and (type(id) is not str or not id.strip() or not id.isascii()):
            id = checked_id(id)
        now = _time()
    if id in ROWS or id in REDIRECTS:
        if STORE.published is state:
            raise IdInUse(id)
        # A later write may have used the id: let the general path find out.
        return _remainder(call, id, now)
    place = INDEX.next
    history = _with_clocks(None, clocks) if clocks else None
    row = (names, 1, now, now, id, scope, place, history, *forms, *after)
    number, ignored = state[NUMBER] + 1, ignored or None
    record = (row, None, None, number, get_ident(), ignored, conflicts)
    if STORE.publish(state, record):
        return record
    return [id, now]


def _update(  # noqa: C901, PLR0912 - in one pass
    call: FastCall,
    after: Any,
    stored: Values,
    before: Any,
    by: str | None,
    new_id: str | None,
    now: datetime | None,
) -> Record | Remainder | Overtaken:
    """
    Update a contact.

    Args:
        call: The call.
        after: Its values, if every rule were ``replace``.
        stored: Its values in its row.
        before: Its row.
        by: The name of the key that matches it.
        new_id: The id, if it is drawn already.
        now: As for :func:`_create`.

    Returns:
        As :func:`_create`.
    """
    _sent, scope, forms, state, plain, ignored, extra, conflicts = call
    if before[HISTORY] is not None and _is_special(before):
        return _remainder(call, new_id, now)
    names, after_names, clocks = before[NAMES], COLUMNS, None
    if RULES or extra or names is not after_names:
        after_names, after, ignored, clocks = _ruled(call, after, before)
        if after is None or (clocks and HAS_UPDATE_TIMES):
            return _remainder(call, new_id, now)
    # Equal texts are the same value; equal numbers may not be (1, 1.0, True).
    if (
        after == stored
        and clocks is None
        and (after_names is names or after_names == names)
        and (plain or all(map(same, after, stored)))
    ):
        if DROPS_UPDATES and ignored is not call[5]:
            return _remainder(call, new_id, now)
        if STORE.published is not state:
            return [new_id, now]
        record: Record = (before, before, by, 0, 0, ignored or None, conflicts)
        return record
    if not UPDATES:
        return _remainder(call, new_id, now)
    if OTHER_KEYS and _hits_another(call, before[ID], by):
        return _IN_USE  # type: ignore[no-any-return]
    held: Any = forms
    if NO_FORM in forms:
        held = [
            old if form is NO_FORM else form
            for form, old in zip(forms, before[FORMS:FIRST], strict=True)
        ]
    history = before[HISTORY]
    if HAS_UNCOMMON_KEYS or history is not None:
        held, history = _holdings(call, before, after, held)
        if held is None:
            return _remainder(call, new_id, now)
    if clocks:
        history = _with_clocks(history, clocks)
    if now is None:
        now = _time()
    version, created, place = before[VERSION] + 1, before[CREATED], before[PLACE]
    id = before[ID]
    row = (after_names, version, created, now, id, scope, place, history, *held, *after)
    number, ignored = state[NUMBER] + 1, ignored or None
    record = (row, before, by, number, get_ident(), ignored, conflicts)
    if STORE.publish(state, record):
        return record
    return [new_id, now]


def _time() -> datetime:
    now = STORE.clock()
    if type(now) is not datetime or now.tzinfo is not UTC:
        now = checked_time(now)
    return now


def _with_clocks(history: Any, clocks: dict[str, Any]) -> tuple[Any, ...]:
    """Return the history of a contact with other clocks."""
    aliases, _clocks, *rest = history or _NO_HISTORY
    return aliases, FrozenMap.trusted(clocks), *rest


def _is_special(row: Any) -> bool:
    """Return whether an update may change more than the fields of a contact."""
    return HAS_UPDATE_TIMES or row[HISTORY][DELETED] is not None


def _ruled(
    call: FastCall, after: Values, before: Any
) -> tuple[tuple[str, ...], Values | None, Mapping[str, str], dict[str, Any] | None]:
    """
    Apply the rules other than ``replace``, and the undeclared fields of a patch.

    Args:
        call: The call.
        after: The new values, if every sent value replaced the stored one.
        before: The row of the contact; None if it is created.

    Returns:
        The names and values of the new row, what is ignored, and the clocks if one of
        them moves; None in place of the values if the general path is needed: a rule
        refuses a value, or changes that of a key.
    """
    sent, _scope, _forms, _state, _plain, ignored, extra, _conflicts = call
    history = before[HISTORY] if before is not None else None
    clocks = {} if history is None else {**history[CLOCKS]}
    results, left_out, has_moved = [*after], dict[str, str](), False
    for name in sent:
        if name not in RULES:
            continue
        column, rule, is_key = RULES[name]
        stored = clocks.get(name), None if before is None else before[FIRST + column]
        new, clock, is_left_out = _combine(rule, name, stored, sent, before)
        if new is OMITTED or (is_key and not same(new, sent[name])):
            return COLUMNS, None, ignored, None
        if before is None and not rule.on_create and DEFAULTS[column] is not None:
            return COLUMNS, None, ignored, None
        if is_left_out:
            left_out[name] = rule.name
        if not same(clock, stored[0]):
            clocks[name], has_moved = clock, True
        results[column] = new
    names = COLUMNS
    if extra or (before is not None and before[NAMES] is not names):
        fields = _extra_fields(call, before, left_out)
        if fields is None:
            return names, None, ignored, None
        names = INDEX.names.of(fields)
        results += fields.values()
    if left_out:
        in_order = {name: left_out[name] for name in sent if name in left_out}
        ignored = {**ignored, **in_order}
    return names, (*results,), ignored, clocks if has_moved else None


def _extra_fields(
    call: FastCall, before: Any, left_out: dict[str, str]
) -> dict[str, Any] | None:
    """
    Apply the undeclared fields of a patch.

    Args:
        call: The call.
        before: The row of the contact; None if it is created.
        left_out: Field to reason, for what is ignored; changed in place.

    Returns:
        All undeclared fields of the contact; None as for :func:`_ruled`.
    """
    width, fields = len(COLUMNS), dict[str, Any]()
    if before is not None:
        held = before[FIRST + width :]
        fields = dict(zip(before[NAMES][width:], held, strict=True))
    for name, value in call[6].items():
        new = value
        if EXTRA_RULE is not replace:
            if EXTRA_RULE.by is not None:
                return None
            stored = None, fields.get(name)
            new, _, is_left_out = _combine(EXTRA_RULE, name, stored, call[0], before)
            if new is OMITTED:
                return None
            if is_left_out:
                left_out[name] = EXTRA_RULE.name
        if new is None:
            fields.pop(name, None)
        else:
            fields[name] = new
    return fields


def _combine(
    rule: Rule, name: str, stored: tuple[Any, Any], sent: Mapping[str, Any], row: Any
) -> tuple[Any, Any, bool]:
    """
    Apply the rule of one field.

    Args:
        rule: The rule.
        name: The name of the field.
        stored: The stored clock and value.
        sent: The patch.
        row: The row of the contact; None if it is created.

    Returns:
        The new value, its clock, and whether the sent value is left out; ``OMITTED``
        in place of the value if the rule refuses it.
    """
    (clock, new), value = stored, sent[name]
    if rule.on_create if row is None else rule.on_update:
        try:
            new, clock = apply_rule(rule, name, stored, value, sent)
        except InvalidField as refusal:
            if refusal.is_from_caller:
                raise
            return OMITTED, clock, False
    return new, clock, rule.leaves_out(stored[1], new, value)


def _exceeds_limit(forms: Iterable[Any]) -> bool:
    """Return whether there are more forms of a key than a contact may hold."""
    return any(
        key.max_forms is not None and len(unpack_forms(part)) > key.max_forms
        for key, part in zip(KEYS, forms, strict=True)
    )


def _holdings(
    call: FastCall, before: Any, after: Values, forms: list[Any]
) -> tuple[list[Any] | None, Any]:
    """
    Compute the forms of a contact whose keys have several fields, aliases or a limit.

    Args:
        call: The call.
        before: The row of the contact.
        after: The new values.
        forms: Per key, the forms of the sent value, or those that are held.

    Returns:
        The forms that the contact would hold, and its history; None in place of the
        forms if a limit is exceeded, another contact holds one of them, or the general
        path is needed.
    """
    sent, scope = call[:2]
    results, aliases = [*forms], dict[str, tuple[str, ...]]()
    history = before[HISTORY] or _NO_HISTORY
    for number, key in enumerate(KEYS):
        columns, held = KEY_COLUMNS[number], before[FORMS + number]
        former = history[ALIASES].get(key.name, ())
        if all(same(after[column], before[FIRST + column]) for column in columns):
            results[number] = held
        else:
            new = unpack_forms(results[number])
            if len(columns) > 1:
                if key.any_of and key.fields[0] in sent:
                    return None, None
                new = key.forms(
                    {n: after[c] for n, c in zip(key.fields, columns, strict=True)}
                )
                if key.unique and not _are_free(key, new, scope, before[ID]):
                    return None, None
            if key.keep_aliases and key.max_forms is not None:
                return None, None
            retained = unpack_forms(held) if key.keep_aliases else former
            former = former_forms(retained, new)
            results[number] = pack_forms(new + former)
        if former:
            aliases[key.name] = former
    if _exceeds_limit(results):
        return None, None
    if aliases != history[ALIASES]:
        parts = FrozenMap.trusted(aliases), *history[1:]
        return results, parts if any(parts) else None
    return results, before[HISTORY]


def _are_free(key: Key, forms: tuple[str, ...], scope: str, id: str) -> bool:
    """Return whether no other contact holds one of these forms."""
    entries = INDEX.scopes(key.name).get(scope, NO_ENTRIES)
    return all(entries.get(form, id) == id for form in forms)


def _encodes(value: str) -> bool:
    """Return whether UTF-8 can write a text."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _lacks(values: Values, columns: Iterable[int]) -> bool:
    return any(empty(values[column]) for column in columns)


def _remainder(
    call: FastCall, id: str | None = None, now: datetime | None = None
) -> Remainder:
    sent, _scope, forms, _state, plain, ignored, *_rest = call
    computed = {
        key.name: form
        for key, form in zip(KEYS, forms, strict=True)
        if form is not NO_FORM
    }
    return Remainder(computed, None if plain else (sent, ignored), id, now)


def upsert_many(
    patches: Iterable[Any], scope: Any, fallback: Fallback, *, collect: bool
) -> Outcomes[Any]:
    """
    Upsert patches one after the other, as :func:`upsertcore.book.batch.run_calls`.

    Args:
        patches: Read as they are needed.
        scope: The tenant.
        fallback: The general path, for calls that the fast path cannot complete.
        collect: Whether a refusal is a result and does not end the batch.

    Returns:
        One result for each patch, in their order.
    """
    results = list[Any]()
    try:
        for patch in patches:
            try:
                result: Any = upsert(patch, scope)
                if type(result) is not tuple:
                    result = fallback(patch, scope, result)
            except Refused as refusal:
                if not collect:
                    raise
                result = with_row(refusal, len(results))
            results.append(result)
    except Exception as error:
        with_row(error, len(results), Outcomes(results, POLICY))
        raise
    return Outcomes(results, POLICY)
