"""
The fast path: the common upsert in one pass, without a plan.

Rules:
    Its results are those of the general path. In an uncommon case it stops before it
    writes, and returns what it has computed so far.
    Strategies and normalisers are recognised by identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeAlias, final

from upsertcore.book.patch_shape import PatchShapes
from upsertcore.engine.outcome import Outcome, outcome_from_record
from upsertcore.errors import Refused, with_row
from upsertcore.matching.strategies import ALL_AGREE, FIRST_MATCH, FIRST_PRESENT
from upsertcore.model.packed_row import (
    CREATED,
    FORMS,
    HISTORY,
    NAMES,
    PLACE,
    VERSION,
    pack_forms,
)
from upsertcore.model.write_record import NUMBER, Record
from upsertcore.normalize import (
    EMAIL_FORM,
    EXACT_FORM,
    PHONE_FORM,
    TEXT_FORM,
    email,
    exact,
    phone,
    text,
)
from upsertcore.normalize.phones import without_separators
from upsertcore.policy.keys import Key
from upsertcore.store.clock import checked_time
from upsertcore.store.ids import IdInUse, checked_id
from upsertcore.store.transaction import Remainder
from upsertcore.values import MAX_TEXT, same

if TYPE_CHECKING:
    from upsertcore.book.patch_shape import PatchShape
    from upsertcore.policy.policy import Policy
    from upsertcore.store.contact_index import ContactIndex
    from upsertcore.store.key_index import Entries
    from upsertcore.store.memory import MemoryStore

__all__ = ["ASCII_FORMS", "Fallback", "FastPath", "has_fast_path"]


FastResult: TypeAlias = "Outcome | Remainder | Refused | None"
"""The outcome; or, for the general path, what is computed so far, a refusal to raise,
or None for nothing."""

Fallback: TypeAlias = "Callable[[Any, Any, Remainder | Refused | None], Any]"
"""(patch, scope, result of the fast path) -> result of the general path."""

ASCII_FORMS: tuple[tuple[Any, Callable[[str], str], Callable[[str], Any]], ...] = (
    (exact, str, EXACT_FORM.fullmatch),
    (text, lambda value: " ".join(value.lower().split()), TEXT_FORM.fullmatch),
    (email, lambda value: value.strip().lower(), EMAIL_FORM.fullmatch),
    (phone, without_separators, PHONE_FORM.fullmatch),
)
"""A normaliser, a function from ASCII text to its candidate form, and a test of whether
the candidate is a form.

A candidate that a contact holds needs no test. A law checks that no other text passes.
"""

_NO_ENTRIES: Entries = {}

_NO_FORM: Any = False
"""In place of a form: the value is not normalised yet."""

_AMBIGUOUS: list[str] = []
"""In place of an id: the keys of a patch do not resolve to one contact."""

Lookup: TypeAlias = "Callable[[Any, Entries], tuple[Any, Any]]"
"""(value, holders of the key in a scope) -> the value's form, a tuple of several, or
None; and its holder: None, an id, or a list of several."""

FastCall: TypeAlias = "tuple[PatchShape, Any, str, list[Any], Record, bool]"
"""A call on the fast path: shape, values, scope, the form of each key of the policy
(filled in during the call), the state of the book, and whether all values are text
exactly as sent."""

KeyPlan: TypeAlias = tuple[Any, ...]
"""What the fast path knows of a key: name, holders by scope (live), the two functions
of :data:`ASCII_FORMS` (None if the normaliser has none), and the general look-up."""

Keys: TypeAlias = tuple[tuple[Any, ...], ...]
"""Keys of a shape: the number of the key, the place of its value, and its plan."""


def look_up(key: Key) -> Lookup:
    """
    Return the look-up of a key of one field.

    >>> from upsertcore import normalize
    >>> look = look_up(Key("email", ("email",), (normalize.email,)))
    >>> look("Ada@x.org", {}), look("nobody", {}), look((), {})
    (('ada@x.org', None), (None, None), (None, None))
    """
    normal, checked, (field,) = key.normalize[0], key.check_form, key.fields

    def look(value: Any, entries: Entries) -> tuple[Any, Any]:
        if type(value) is tuple:
            forms = key.forms({field: value})
            return pack_forms(forms), _common_holder(forms, entries)
        try:
            form = normal(value)
        except Exception as error:
            key.note_normaliser(error, value)
            raise
        if type(form) is not str or not form or not form.isascii():
            form = checked(form)
        return form, None if form is None else entries.get(form)

    return look


def _plan_of(key: Key, scopes: dict[str, Entries]) -> KeyPlan:
    short, is_form = None, None
    for known, *how in ASCII_FORMS:
        if known is key.normalize[0]:
            short, is_form = how
    return key.name, scopes, short, is_form, look_up(key)


def _common_holder(forms: tuple[str, ...], entries: Entries) -> Any:
    """Return the holder of these forms: None, an id, or a list of several."""
    held = [entries[form] for form in forms if form in entries]
    if not held:
        return None
    return held[0] if all(entry == held[0] for entry in held) else held


@final
class FastPath:
    """
    Fast path for the common upsert.

    It handles patches without null and blank values, whose names the policy knows, and
    whose keys are held by at most one contact.

    Args:
        policy: The policy; :func:`has_fast_path` must hold for it.
        index: The index of the book.
        store: The store that writes to the index.
        checks_ids: Whether ids come from the caller and must be checked.
    """

    __slots__ = (
        *("_by_form", "_checks_ids", "_index", "_no_forms", "_policy", "_shapes"),
        *("_store", "_updates"),
    )

    def __init__(
        self,
        policy: Policy,
        index: ContactIndex,
        store: MemoryStore,
        *,
        checks_ids: bool,
    ) -> None:
        self._policy, self._index, self._store = policy, index, store
        self._checks_ids = checks_ids
        plans = [_plan_of(key, index.scopes(key.name)) for key in policy.all_keys]
        self._shapes = PatchShapes(policy, index, plans)
        self._by_form = policy.match.resolve is FIRST_PRESENT
        self._updates = policy.on_found == "update"
        self._no_forms: list[Any] = [_NO_FORM] * len(plans)

    def upsert(self, patch: Any, scope: Any) -> FastResult:
        """
        Upsert a patch, if it is a common case.

        Args:
            patch: The patch.
            scope: The tenant.

        Returns:
            The outcome, or what the general path needs to complete the call.
        """
        if type(patch) is not dict or type(scope) is not str or not scope.isascii():
            return None
        shape = self._shapes[tuple(patch)]
        if shape is None:
            return None
        sent: Any = tuple(patch.values())
        plain = False
        for value in sent:
            if type(value) is not str:
                break
            if not value or value.isspace():
                return None
        else:
            # A name that is imported as well would make each method call on it slower.
            whole, plain = "".join(sent), True
            try:
                if len(whole) > MAX_TEXT or not (whole.isascii() or whole.encode()):
                    return None
            except UnicodeEncodeError:
                return None
        if shape.cleaners or not plain:
            sent, plain = shape.read(sent, text=plain), False
            if type(sent) is not tuple:
                return sent  # type: ignore[no-any-return]
        forms, state = self._no_forms.copy(), self._store.completed
        call = shape, sent, scope, forms, state, plain
        id, by = self._look_up(shape.match_keys, call, None, None)
        return self._create(call) if id is None else self._update(call, id, by)

    def upsert_many(
        self, patches: Iterable[Any], scope: Any, fallback: Fallback, *, collect: bool
    ) -> list[Any]:
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
        upsert, results = self.upsert, list[Any]()
        try:
            for patch in patches:
                result: Any = upsert(patch, scope)
                if type(result) is not Outcome:
                    try:
                        result = fallback(patch, scope, result)
                    except Refused as refusal:
                        if not collect:
                            raise
                        result = with_row(refusal, len(results))
                results.append(result)
        except Exception as error:
            with_row(error, len(results), results)
            raise
        return results

    def _look_up(
        self, keys: Keys, call: FastCall, id: Any, by: str | None
    ) -> tuple[Any, str | None]:
        """
        Look up keys, and store their forms in the call.

        Args:
            keys: Keys of the call's shape.
            call: The call.
            id: The contact that earlier keys match, if any.
            by: The name of the key that matches it.

        Returns:
            The id of the contact that these keys match, and the name of the key; a
            list in place of the id if they match several.
        """
        _shape, sent, scope, forms, _state, plain = call
        by_form = self._by_form
        for number, place, name, scopes, short, is_form, look in keys:
            value, entries = sent[place], scopes.get(scope, _NO_ENTRIES)
            if short and (plain or type(value) is str) and value.isascii():
                form = short(value)
                holder = entries.get(form)
                if holder is None and not is_form(form):
                    form, holder = look(value, entries)
            else:
                form, holder = look(value, entries)
            forms[number] = form
            if by is None:
                if (form if by_form else holder) is not None:
                    id, by = holder, name
            elif holder is not None and holder != id:
                id = _AMBIGUOUS
        return id, by

    def _hits_another(self, call: FastCall, id: str | None, by: str | None) -> bool:
        """Return whether a key that does not match is held by another contact."""
        return self._look_up(call[0].other_keys, call, id, by)[0] is _AMBIGUOUS

    def _create(self, call: FastCall) -> FastResult:
        shape, sent, scope, forms, state, _plain = call
        if not shape.can_create or not any(forms):
            return _remainder(call)
        values: Any = sent + shape.defaults
        if shape.has_rules:
            values = shape.apply_rules((), values, shape.created_names, is_known=False)
        if values is None or (shape.other_keys and self._hits_another(call, None, "")):
            return _remainder(call)
        index, store = self._index, self._store
        new_id = store.ids()
        if self._checks_ids and (
            type(new_id) is not str or not new_id.strip() or not new_id.isascii()
        ):
            new_id = checked_id(new_id)
        now = store.clock()
        if type(now) is not datetime or now.tzinfo is not UTC:
            now = checked_time(now)
        if new_id in index.rows or new_id in index.redirects:
            if store.published is state:
                raise IdInUse(new_id)
            # A later write may have used the id: let the general path find out.
            return _remainder(call, new_id, now)
        for number in shape.missing_keys:
            forms[number] = None
        names, next = shape.created_names, index.next
        row = (names, 1, now, now, new_id, scope, next, None, *forms, *values)
        record = (row, None, None, state[NUMBER] + 1, get_ident())
        if store.publish(state, record):
            return outcome_from_record("created", record, self._policy)
        return _remainder(call, new_id, now)

    def _update(self, call: FastCall, known: Any, by: str | None) -> FastResult:
        shape, sent, scope, forms, state, plain = call
        index, store = self._index, self._store
        before = index.rows.get(known) if type(known) is str else None
        if before is None or before[HISTORY] is not None:
            return _remainder(call)
        stored, values = before[shape.first :], sent
        names, after = before[NAMES], shape.names
        if names is not after:
            after, pick = shape.pickers.get(id(names)) or shape.align(names)
            values = pick(before + sent)
        if shape.has_rules:
            values = shape.apply_rules(stored, values, after, is_known=True)
        # Equal texts are the same value; equal numbers may not be (1, 1.0, True).
        if values == stored and (plain or all(map(same, values, stored))):
            if store.published is not state:
                return _remainder(call)
            return outcome_from_record("unchanged", (before, before, by), self._policy)
        if (
            values is None
            or not self._updates
            or (shape.other_keys and self._hits_another(call, known, by))
        ):
            return _remainder(call)
        now = store.clock()
        if type(now) is not datetime or now.tzinfo is not UTC:
            now = checked_time(now)
        for number in shape.missing_keys:
            forms[number] = before[FORMS + number]
        version, created, place = before[VERSION] + 1, before[CREATED], before[PLACE]
        row = (after, version, created, now, known, scope, place, None, *forms, *values)
        record = (row, before, by, state[NUMBER] + 1, get_ident())
        if store.publish(state, record):
            return outcome_from_record("updated", record, self._policy)
        return _remainder(call, None, now)


def _remainder(
    call: FastCall, id: str | None = None, now: datetime | None = None
) -> Remainder:
    shape, sent, _scope, forms, *_rest = call
    computed = {
        name: forms[number]
        for number, _place, name, *_plan in shape.keys
        if forms[number] is not _NO_FORM
    }
    return Remainder(computed, shape.names, sent, id, now)


def has_fast_path(policy: Policy) -> bool:
    """
    Return whether the fast path supports the strategy and the keys of a policy.

    >>> from upsertcore import Policy, field, first_match, merge_all, normalize
    >>> fields = {"email": field(key=normalize.email)}
    >>> [
    ...     has_fast_path(Policy(match("email"), fields))
    ...     for match in (first_match, merge_all)
    ... ]
    [True, False]
    """
    resolve = policy.match.resolve
    supported = (FIRST_MATCH, FIRST_PRESENT, ALL_AGREE)
    has_support = any(resolve is strategy for strategy in supported)
    return has_support and all(map(_is_simple, policy.all_keys))


def _is_simple(key: Key) -> bool:
    has_options = key.keep_aliases or key.any_of or key.blocked
    return len(key.fields) == 1 and not has_options and key.max_forms is None
