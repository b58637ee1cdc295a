"""
The common upsert: one pass from a patch to its outcome, without a plan.

Rules:
    Its results are those of the general path. In an uncommon case it stops before it
    writes, and returns what it has computed so far.
    The functions read the constants of :mod:`upsertcore.store.policy_constants`, which
    :mod:`upsertcore.store.fast_path` replaces with those of a policy and its book.
    A strategy that is not simple decides by its own function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeAlias

from upsertcore.engine.outcome import Outcome, Withheld
from upsertcore.engine.outcomes import Outcomes
from upsertcore.engine.patch import read_patch
from upsertcore.errors import KeyInUse, Refused, with_row
from upsertcore.model.packed_row import (
    ALIASES,
    CREATED,
    DELETED,
    FORMS,
    HISTORY,
    ID,
    NAMES,
    NO_ROWS,
    PLACE,
    UPDATED,
    VERSION,
)
from upsertcore.model.write_record import NUMBER, PREVIOUS_ROW, ROW, Record
from upsertcore.store.clock import checked_time
from upsertcore.store.idempotency import call_key
from upsertcore.store.ids import IdInUse, checked_id
from upsertcore.store.key_lookup import NO_ENTRIES, OMITTED, KeyProbe
from upsertcore.store.policy_constants import (
    ATTEMPTS,
    BY_FORM,
    CHECKS_IDS,
    COLUMNS,
    CREATES,
    DECLARED,
    DEFAULTS,
    DROPS_UPDATES,
    FIRST,
    HAS_EXTRA,
    HAS_GROUPS,
    HAS_UNCOMMON_KEYS,
    HAS_UPDATE_TIMES,
    INDEX,
    KEYED_DEFAULTS,
    KEYLESS,
    KEYS,
    MATCH_KEYS,
    NO_FORM,
    NO_FORMS,
    OTHER_KEYS,
    PICK,
    PLANS,
    POLICY,
    REDIRECTS,
    REFUSES,
    REQUIRED,
    ROWS,
    RULES,
    SHAPES,
    SIMPLE,
    STORE,
    STRATEGY,
    UPDATES,
    WITHHOLDS,
)
from upsertcore.store.row_keys import exceeds_limit, holdings
from upsertcore.store.row_rules import ruled, with_clocks
from upsertcore.store.transaction import Remainder
from upsertcore.store.uncommon import (
    FORMS_KEPT,
    ID_IN_USE,
    KEY_IN_USE,
    KEYED_DEFAULT,
    NOT_CREATED,
    NOT_UPDATED,
    OVERTAKEN,
    PARTLY_BLOCKED,
    RULE,
    SPECIAL,
)
from upsertcore.values import MAX_TEXT, empty, is_unicode, same

if TYPE_CHECKING:
    from upsertcore.store.idempotency import KeyedCall
    from upsertcore.store.key_lookup import Keys
    from upsertcore.store.policy_constants import FastCall, Overtaken, Values

__all__ = ["Fallback", "FastResult", "upsert", "upsert_many"]

FastResult: TypeAlias = "Record | Remainder | None"
"""The record of the write; or, for the general path, what is computed so far, or
None."""

Fallback: TypeAlias = "Callable[[Any, Any, Remainder | None], Any]"
"""(patch, scope, result of the fast path) -> result of the general path."""

_IN_USE: Any = object()
"""In place of a result: a key of the patch is held by another contact."""

_AMBIGUOUS: list[str] = []
"""In place of an id: the keys of a patch do not resolve to one contact."""

_NOTHING: Mapping[str, Any] = {}


def upsert(  # noqa: C901, PLR0912 - in one pass
    patch: Any, scope: Any, keyed: KeyedCall | None = None
) -> FastResult | Outcome:
    """
    Upsert a patch, if it is a common case.

    Args:
        patch: The patch.
        scope: The tenant.
        keyed: The idempotency key of the call, if it has one.

    Returns:
        The record of the write; one that repeats a row has written nothing. For a call
        with a key its outcome, which is logged. Or what the general path needs to
        complete the call; it does so where the key is known.

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
            plain = len(whole) <= MAX_TEXT and (whole.isascii() or is_unicode(whole))
    if not plain:
        sent, ignored = read_patch(POLICY, patch)
        if HAS_GROUPS and "blocked" in ignored.values():
            return Remainder({}, (sent, ignored), reason=PARTLY_BLOCKED)
        fill, known, extra = _columns_of(sent)
    id = now = None
    for _attempt in ATTEMPTS:
        forms, state = NO_FORMS.copy(), STORE.completed
        call = sent, scope, forms, state, plain, ignored, extra, None
        if keyed is not None and not STORE.is_new(scope, keyed[0]):
            break
        if not SIMPLE:
            found, by = _resolved(call)
        elif MATCH_KEYS:
            found, by = _look_up(MATCH_KEYS, sent, scope, forms, plain, None, None)
        else:
            found = by = None
        result: Any = _IN_USE
        if found is None:
            result = _create(call, fill, known, id, now)
        elif type(found) is str and (before := ROWS[scope].get(found)):
            result = _update(call, fill, known, before, by, id, now)
        if result is _IN_USE:
            result = _upsert_around(call, id, now)
        if type(result) is tuple:
            if keyed is not None:
                result = _publish_with_call(call, result, keyed, id, now)
            elif result[NUMBER] and not STORE.publish(state, result):
                result = _drawn(result, id, now)
        if type(result) is not list:
            return result  # type: ignore[no-any-return]
        id, now = result
    return _remainder(OVERTAKEN, call, id, now)  # type: ignore[possibly-undefined]


def _columns_of(sent: Mapping[str, Any]) -> tuple[Any, Values, Mapping[str, Any]]:
    """Return a function as of a shape, its values, and the undeclared fields."""
    extra = _NOTHING
    if HAS_EXTRA and not sent.keys() <= DECLARED:
        extra = {name: sent[name] for name in sent if name not in DECLARED}
    if tuple(sent) == COLUMNS:
        return None, tuple(sent.values()), extra
    return partial(_fill, sent), (), extra


def _fill(sent: Mapping[str, Any], others: Values) -> Values:
    """Return for each column the value that is sent, or else the other one."""
    return (*map(sent.get, COLUMNS, others),)


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
    probe = KeyProbe(sent, scope, forms, PLANS, ROWS.get(scope, NO_ROWS))
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
        return _remainder(KEY_IN_USE if any(forms) else NOT_CREATED, call, id, now)
    found, by, also_matched, in_use = uses
    before = None if found is None else ROWS[scope].get(found)
    is_odd = RULES and not RULES.keys().isdisjoint(sent)
    if is_odd or extra or (before is None and (found or REQUIRED or not CREATES)):
        return _remainder(KEY_IN_USE, call, id, now)
    if before is not None and before[HISTORY] is not None:
        return _remainder(KEY_IN_USE, call, id, now)
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
    fill, known, _extra = _columns_of(sent)
    if before is None:
        result = _create(rest, fill, known, id, now)
    else:
        result = _update(rest, fill, known, before, by, id, now)
    # The general path needs the whole patch.
    if type(result) is Remainder:
        return _remainder(result.reason, call, result.id, result.now)
    # Another call may have used a further key meanwhile.
    return _remainder(KEY_IN_USE, call, id, now) if result is _IN_USE else result


def _keys_in_use(
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
    in_order = {key.name: in_use[key.name] for key in KEYS if key.name in in_use}
    return found, by, (*also_matched,), in_order


def _create(  # noqa: C901 - in one pass
    call: FastCall, fill: Any, known: Values, id: str | None, now: datetime | None
) -> Record | Remainder | Overtaken:
    """
    Create a contact.

    Args:
        call: The call.
        fill: The function of its shape; None if all fields are sent, in order.
        known: The values that are sent.
        id: The id, if it is drawn already.
        now: The time, if it is drawn already.

    Returns:
        The record to publish, or what the general path needs; if the call is
        overtaken, what it has drawn.
    """
    sent, scope, forms, state, _plain, ignored, extra, conflicts = call
    if not CREATES or not (KEYLESS or any(forms)):
        return _remainder(NOT_CREATED, call, id, now)
    if KEYED_DEFAULTS and not sent.keys() >= KEYED_DEFAULTS:
        return _remainder(KEYED_DEFAULT, call, id, now)
    after = known if fill is None else fill(known + DEFAULTS)
    names, clocks = COLUMNS, None
    if RULES or extra:
        names, after, ignored, clocks = ruled(call, after, None)
    if (
        after is None
        or (clocks and HAS_UPDATE_TIMES)
        or (REQUIRED and _lacks(after, REQUIRED))
    ):
        return _remainder(RULE, call, id, now)
    if OTHER_KEYS and _hits_another(call, None, ""):
        return _IN_USE  # type: ignore[no-any-return]
    if NO_FORM in forms:
        forms = [None if form is NO_FORM else form for form in forms]
    if HAS_UNCOMMON_KEYS and exceeds_limit(forms):
        return _remainder(FORMS_KEPT, call, id, now)
    if id is None:
        id = STORE.ids()
        if CHECKS_IDS and (type(id) is not str or not id.strip() or not id.isascii()):
            id = checked_id(id)
        now = _time()
    if id in ROWS.get(scope, NO_ROWS) or (REDIRECTS and INDEX.has_id(id, scope)):
        if STORE.published is state:
            raise IdInUse(id)
        # A later write may have used the id: let the general path find out.
        return _remainder(ID_IN_USE, call, id, now)
    place = INDEX.next
    history = with_clocks(None, clocks) if clocks else None
    row = (names, 1, now, now, id, scope, place, history, *forms, *after)
    number, ignored = state[NUMBER] + 1, ignored or None
    return row, None, None, number, get_ident(), ignored, conflicts


def _update(  # noqa: C901 - in one pass
    call: FastCall,
    fill: Any,
    known: Values,
    before: Any,
    by: str | None,
    new_id: str | None,
    now: datetime | None,
) -> Record | Remainder | Overtaken:
    """
    Update a contact.

    Args:
        call: The call.
        fill: As for :func:`_create`.
        known: As for :func:`_create`.
        before: The row of the contact.
        by: The name of the key that matches it.
        new_id: The id, if it is drawn already.
        now: As for :func:`_create`.

    Returns:
        As :func:`_create`; a record that repeats the row is not to be published.
    """
    _sent, scope, forms, state, plain, ignored, extra, conflicts = call
    if before[HISTORY] is not None and _is_special(before):
        return _remainder(SPECIAL, call, new_id, now)
    stored = before[FIRST:]
    after: Any = known if fill is None else fill(known + stored)
    id, names, after_names, clocks = before[ID], before[NAMES], COLUMNS, None
    if RULES or extra or names is not after_names:
        after_names, after, ignored, clocks = ruled(call, after, before)
        if after is None or (clocks and HAS_UPDATE_TIMES):
            return _remainder(RULE, call, new_id, now)
    # Equal texts are the same value; equal numbers may not be (1, 1.0, True).
    if (
        after == stored
        and clocks is None
        and (after_names is names or after_names == names)
        and (plain or all(map(same, after, stored)))
    ):
        if DROPS_UPDATES and ignored is not call[5]:
            return _remainder(NOT_UPDATED, call, new_id, now)
        if STORE.published is not state:
            return [new_id, now]
        return before, before, by, 0, 0, ignored or None, conflicts
    if not UPDATES:
        return _remainder(NOT_UPDATED, call, new_id, now)
    if OTHER_KEYS and _hits_another(call, id, by):
        return _IN_USE  # type: ignore[no-any-return]
    held: Any = forms
    if NO_FORM in forms:
        held = [
            old if form is NO_FORM else form
            for form, old in zip(forms, before[FORMS:FIRST], strict=True)
        ]
    history = before[HISTORY]
    if HAS_UNCOMMON_KEYS or (history is not None and history[ALIASES]):
        held, history = holdings(call, before, after, held)
        if held is None:
            return _remainder(FORMS_KEPT, call, new_id, now)
    history = with_clocks(history, clocks) if clocks else history
    if now is None:
        now = _time()
    version, created, place = before[VERSION] + 1, before[CREATED], before[PLACE]
    row = (after_names, version, created, now, id, scope, place, history, *held, *after)
    number, ignored = state[NUMBER] + 1, ignored or None
    return row, before, by, number, get_ident(), ignored, conflicts


def _publish_with_call(
    call: FastCall,
    record: Record,
    keyed: KeyedCall,
    id: str | None,
    now: datetime | None,
) -> Outcome | Overtaken:
    """
    Publish a write together with its call, which is logged.

    Args:
        call: The call.
        record: What it writes.
        keyed: The idempotency key of the call.
        id: As for :func:`_create`.
        now: As for :func:`_create`.

    Returns:
        The outcome; if the call is overtaken, what it has drawn.
    """
    sent, scope, _forms, state, _plain, ignored, *_rest = call
    identity = call_key(keyed, POLICY, scope, (sent, ignored))
    outcome: Outcome | None = STORE.publish_call(state, record, identity, POLICY)
    return _drawn(record, id, now) if outcome is None else outcome


def _drawn(record: Record, id: str | None, now: datetime | None) -> Overtaken:
    """Return the id and the time that an overtaken call has drawn."""
    row, before = record[ROW], record[PREVIOUS_ROW]
    if before is None:
        return [row[ID], row[CREATED]]
    return [id, now if row is before else row[UPDATED]]


def _time() -> datetime:
    now = STORE.clock()
    if type(now) is not datetime or now.tzinfo is not UTC:
        now = checked_time(now)
    return now


def _is_special(row: Any) -> bool:
    """Return whether an update may change more than the fields of a contact."""
    return HAS_UPDATE_TIMES or row[HISTORY][DELETED] is not None


def _lacks(values: Values, columns: Iterable[int]) -> bool:
    return any(empty(values[column]) for column in columns)


def _remainder(
    reason: str, call: FastCall, id: str | None = None, now: datetime | None = None
) -> Remainder:
    sent, _scope, forms, _state, plain, ignored, *_rest = call
    computed = {
        key.name: form
        for key, form in zip(KEYS, forms, strict=True)
        if form is not NO_FORM
    }
    return Remainder(computed, None if plain else (sent, ignored), id, now, reason)


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
