"""
The patch of a decision: cleaned fields, and the look-ups of the keys they carry.

Rules:
    A value is cleaned before it is compared; keys are computed from cleaned values.
    A decision looks a form up once, and computes the form of a value once; again where
    blocked values are left out.
    The index is read through a view, and never written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, final

from upsertcore.errors import InvalidField, UnknownContact, note_function
from upsertcore.matching.visitor import VISITOR
from upsertcore.model.stale import stale_reason
from upsertcore.policy.fields import UNUSABLE, as_list
from upsertcore.policy.policy import compiled
from upsertcore.values import (
    MAX_FIELDS,
    MAX_TEXT,
    Budget,
    empty,
    find_invalid,
    freeze,
    is_unicode,
    mapping_advice,
)

if TYPE_CHECKING:
    from upsertcore.matching.protocol import Hits, Strategy
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Forms, View
    from upsertcore.policy.fields import Field
    from upsertcore.policy.keys import Key
    from upsertcore.policy.policy import Policy

__all__ = [
    "NO_ID",
    "Fields",
    "OwnId",
    "Request",
    "check_scope",
    "checked_id",
    "freeze_field",
    "read_patch",
    "read_with_id",
    "request_maker",
]

Fields: TypeAlias = Mapping[str, Any]
"""Field name to frozen value."""


def read_patch(  # noqa: C901, PLR0912 - one value after the other
    policy: Policy, patch: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Clean a patch; separate what counts as omitted.

    Args:
        policy: The policy.
        patch: What was sent.

    Returns:
        Field name to frozen value, None for null, and field name to ``"null"``,
        ``"blank"`` or ``"blocked"`` for what counts as omitted.

    Raises:
        Refused: If the patch is not a mapping, has an unknown field or too many
            fields, or a value is refused, for example one that is too large.

    Cost:
        Linear in the patch, whose size ``upsertcore.values`` limits.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> fields = {"email": field(key=normalize.email), "city": field(null="ignore")}
    >>> policy = Policy(first_match("email"), fields)
    >>> read_patch(policy, {"email": "a@x", "city": None})
    ({'email': 'a@x'}, {'city': 'null'})
    >>> read_patch(policy, freeze({"email": "a@x"}))
    ({'email': 'a@x'}, {})
    """
    sent: dict[str, Any] = {}
    ignored: dict[str, str] = {}
    tables = compiled(policy)
    uncleaned, fields, extra = tables.uncleaned, tables.fields, policy.extra_fields
    budget: Budget | None = None
    for name, raw in patch.items() if _is_plain(patch) else _named_items(policy, patch):
        value = raw
        if (
            type(raw) is str
            and len(raw) <= MAX_TEXT
            and (raw.isascii() or is_unicode(raw))
        ):
            is_empty = not raw or raw.isspace()
        elif raw is None or type(raw) is bool:
            is_empty = raw is None
        else:
            budget = budget or Budget()
            value = freeze_field(name, raw, budget=budget)
            is_empty = empty(value)
        if not is_empty and name in uncleaned:
            sent[name] = value
            continue
        options = fields.get(name, extra) or policy.field_options(name)
        if options.many:
            value = _read_many(name, options, raw, value)
            is_empty = empty(value)
        elif options.clean is not None and not is_empty:
            value = _clean_value(name, options.clean, raw, value)
            is_empty = empty(value)
        if is_empty:
            reason = _ignore_reason(name, options, raw, value)
            if reason is not None:
                ignored[name] = reason
                continue
            if value is not None and options.blank == "clear":
                value = None
        elif name in tables.blocking:
            value = _without_blocked(policy, name, raw, value, ignored)
            if value is None:
                continue
        sent[name] = value
    if policy.on_blocked == "refuse":
        _check_composites(policy, sent)
    return sent, ignored


def _is_plain(patch: Any) -> bool:
    """Return whether a patch is a dict whose names are ASCII text."""
    return (
        type(patch) is dict
        and len(patch) <= MAX_FIELDS
        and _TEXT.issuperset(map(type, patch))
        and "".join(patch).isascii()
    )


def _named_items(policy: Policy, patch: Any) -> Iterator[tuple[str, Any]]:
    """Yield frozen names and values; refuse unknown and duplicate names."""
    if not isinstance(patch, Mapping):
        reason = "must be a mapping of field names to values"
        raise InvalidField("patch", patch, f"{reason}; {mapping_advice(patch)}")
    names: set[str] = set()
    for raw_name, raw in patch.items():
        policy.field_options(raw_name)
        name = freeze_field("patch", raw_name)
        if name in names:
            raise InvalidField(name, raw, "must not be sent twice; send it once")
        names.add(name)
        if len(names) > MAX_FIELDS:
            reason = f"must name at most {MAX_FIELDS} fields; send fewer"
            raise InvalidField("patch", len(patch), reason)
        yield name, raw


_TEXT = frozenset({str})


def _ignore_reason(name: str, options: Field, raw: Any, value: Any) -> str | None:
    """Return "null" or "blank" where the value is ignored as such, else None."""
    kind, option = ("null", options.null) if value is None else ("blank", options.blank)
    if option == "reject":
        raise InvalidField(name, raw, f"must not be {kind}")
    return kind if option == "ignore" else None


def _without_blocked(
    policy: Policy, name: str, raw: Any, value: Any, ignored: dict[str, str]
) -> Any:
    """Remove blocked values, or refuse them."""
    remainder = value
    for key in compiled(policy).blocking[name]:
        place = key.fields.index(name) if key.composite else 0
        if remainder is not None:
            remainder = key.without_blocked(remainder, place)
    if remainder is not value:
        if policy.on_blocked == "refuse":
            raise InvalidField(name, raw, _BLOCKED)
        ignored[name] = "blocked"
    return remainder


def _check_composites(policy: Policy, sent: Fields) -> None:
    for key in policy.all_keys:
        if key.composite and key.blocked and key.blocks(sent):
            raise InvalidField(*key.error_subject(sent), _BLOCKED)


_BLOCKED = "is a blocked value; send one that identifies a contact"


def check_scope(scope: Any) -> str:
    """
    Check that a scope is text; return it as plain text.

    Raises:
        InvalidField: If it is not text, or not text that UTF-8 can write.

    >>> check_scope("firm-1")
    'firm-1'
    """
    if type(scope) is str and scope.isascii():
        return scope
    if not isinstance(scope, str):
        reason = "must be text; leave it out where there is one tenant"
        raise InvalidField("scope", scope, reason)
    return freeze_field("scope", scope)  # type: ignore[no-any-return]


def _read_many(name: str, options: Field, raw: Any, value: Any) -> Any:
    """Return a value of a field with many as a list, cleaned."""
    value = _as_list(name, options, value)
    if options.clean is None or empty(value):
        return value
    return _as_list(name, options, _clean_value(name, options.clean, raw, value))


def _as_list(name: str, options: Field, value: Any) -> Any:
    try:
        return as_list(options, value)
    except ValueError as error:
        raise InvalidField(name, value, str(error)) from error


def _clean_value(name: str, clean: Callable[[Any], Any], raw: Any, value: Any) -> Any:
    try:
        cleaned = clean(value)
    except ValueError as error:
        raise InvalidField(name, raw, str(error)) from error
    except Exception as error:
        note_function(error, name, "clean", clean, value)
        raise
    if cleaned is value or (type(cleaned) is str and cleaned.isascii()):
        return cleaned
    if cleaned is None:
        raise InvalidField(name, raw, UNUSABLE)
    return freeze_field(name, cleaned, "let clean return")


def freeze_field(
    name: str, value: Any, how: str = "send", *, budget: Budget | None = None
) -> Any:
    """
    Freeze the value of a field, or refuse it in the name of the field.

    Args:
        name: The name of the field.
        value: The value.
        how: How the advice in a message begins.
        budget: What the lists and mappings of the patch may still hold.

    Raises:
        InvalidField: If it cannot be frozen.

    >>> freeze_field("tags", ["a"])
    ('a',)
    """
    try:
        result = freeze(value, budget)
    except ValueError as error:
        path, item, reason = find_invalid(value, freeze)
        reason = (reason or str(error)).replace("; send ", f"; {how} ")
        raise InvalidField(name, item, reason, path) from error
    if type(result) is str and len(result) > MAX_TEXT:
        reason = f"must have at most {MAX_TEXT} characters"
        raise InvalidField(name, result, reason)
    return result


OwnId: TypeAlias = tuple[str | None, str]
"""The id that the sender gives a contact, if any, and the name of it in a strategy."""

NO_ID: OwnId = None, ""
"""No id was sent. No key has a blank name."""


def read_with_id(
    policy: Policy, patch: Any, id: str | None = None
) -> tuple[tuple[dict[str, Any], dict[str, str]], OwnId]:
    """
    Read a patch that may carry the contact's own id.

    Args:
        policy: The policy.
        patch: What was sent.
        id: The id that was passed besides it, if any.

    Returns:
        What :func:`read_patch` returns, without the id, and the id.

    Raises:
        Refused: As there, or if the id is not text, or differs from *id*.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> fields = {"email": field(key=normalize.email)}
    >>> policy = Policy(first_match("id", "email"), fields, id_field="id")
    >>> read_with_id(policy, {"id": "c-1", "email": "a@x"})
    (({'email': 'a@x'}, {}), ('c-1', 'id'))
    """
    name = policy.id_field
    own = None if id is None else checked_id("id", id)
    if name is None or not isinstance(patch, Mapping) or name not in patch:
        return read_patch(policy, patch), (own, name or "")
    sent = freeze_field(name, patch[name])
    fields, ignored = read_patch(policy, {n: v for n, v in patch.items() if n != name})
    if empty(sent):
        ignored[name] = "null" if sent is None else "blank"
        return (fields, ignored), (own, name)
    sent = checked_id(name, sent)
    if own is not None and sent != own:
        reason = "must be the id that was passed besides the patch; send one id"
        raise InvalidField(name, sent, reason)
    return (fields, ignored), (sent, name)


def checked_id(name: str, id: Any) -> str:
    """
    Check an id that a caller passes.

    Args:
        name: The argument, or the field of the patch.
        id: The id.

    Raises:
        InvalidField: If it is not text, or blank.

    >>> checked_id("visitor", "c-1")
    'c-1'
    """
    if not isinstance(id, str) or not id.strip():
        reason = "must be text that is not blank; send the id of the contact"
        raise InvalidField(name, id, reason)
    return freeze_field(name, id)  # type: ignore[no-any-return]


_NO_DROPPED_KEYS: Mapping[str, tuple[Hits, str]] = {}
_NO_FORMS: Mapping[str, tuple[str, ...]] = {}
_NO_POSITIONS: Mapping[str, int] = {}


@final
class Request:
    """
    The patch of a decision and its look-ups: each form and contact once.

    Args:
        keys: Key name to key, in the order of the policy.
        patch: As :func:`read_patch` returns it: the fields, and what is ignored.
        index: The view to look contacts up in.
        scope: The tenant.
        strategy: The match strategy.
        forms: Key name to those forms of the patch that are known already.
        own_id: The id that the sender gives the contact, and the name under which a
            strategy consults it.
        visitor: The id of the visitor, if there is one.

    ``unknown_ids`` are the ids that were looked up, and that no contact has.
    """

    __slots__ = (
        *("_forms", "_index", "_keys", "_positions", "contacts", "dropped_keys"),
        *("hits", "id", "id_name", "ignored", "lookups", "scope", "sent", "strategy"),
        *("unknown_ids", "visitor"),
    )

    def __init__(
        self,
        keys: Mapping[str, Key],
        patch: tuple[Fields, Mapping[str, str]],
        index: View,
        scope: str,
        strategy: Strategy,
        forms: Mapping[str, tuple[str, ...]] = _NO_FORMS,
        own_id: OwnId = NO_ID,
        visitor: str | None = None,
    ) -> None:
        self._index, self._keys, self.scope, self._forms = index, keys, scope, forms
        self.id, self.id_name = own_id
        self.visitor = visitor
        self.unknown_ids: dict[str, None] = {}
        self.sent, self.ignored = patch
        self.strategy = strategy
        self.hits: dict[str, Hits] = {}
        self.dropped_keys = _NO_DROPPED_KEYS
        self._positions = _NO_POSITIONS
        self.contacts: dict[str, tuple[Contact, Forms]] = {}
        self.lookups: dict[tuple[str, str], tuple[str, ...]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what was sent and read: a copy has no index to look further in."""
        state = {name: getattr(self, name) for name in self.__slots__}
        del state["_index"]
        return state | {"_keys": dict(self._keys)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def __call__(self, name: str) -> Hits:
        """Return each form of a key that the patch carries, with its holders."""
        hits = self.hits.get(name)
        if hits is None:
            if name in (self.id_name, VISITOR):
                id = self.id if name == self.id_name else self.visitor
                hits = () if id is None else ((id, self._holder(id)),)
            else:
                forms = self.forms(self._keys[name], self.sent)
                hits = tuple([(form, self.holders(name, form)) for form in forms])
            self.hits[name] = hits
        return hits

    def _holder(self, id: str) -> tuple[str, ...]:
        return (self.get(id)[0].id,) if self.knows(id) else ()

    def knows(self, id: str) -> bool:
        """Return whether an id resolves to a contact; the look-up is kept."""
        if id in self.unknown_ids:
            return False
        try:
            self.get(id)
        except UnknownContact:
            self.unknown_ids[id] = None
            return False
        return True

    def key(self, name: str) -> Key:
        """Return a key of the policy."""
        return self._keys[name]

    def holders(self, name: str, form: str) -> tuple[str, ...]:
        """Return the ids of the contacts that hold a form of a key, by creation."""
        lookup = name, form
        ids = self.lookups.get(lookup)
        if ids is None:
            ids = self._index.holders(name, form, self.scope)
            self.lookups[lookup] = ids
        return ids

    def get(self, id: str) -> tuple[Contact, Forms]:
        """Return a contact, and the forms that it holds."""
        entry = self.contacts.get(id)
        if entry is None:
            entry = self.contacts[id] = self._index.get_with_forms(id, self.scope)
        return entry

    def name_of(self, id: str) -> str:
        """Return the name under which an id was sent, for messages."""
        return "visitor" if id == self.visitor else self.id_name or "id"

    def held_forms(self, id: str, name: str) -> tuple[str, ...]:
        """Return the forms of a key that a contact holds."""
        if name in (self.id_name, VISITOR):
            return self.get(id)[0].ids
        if not self._positions:
            self._positions = {key: number for number, key in enumerate(self._keys)}
        return self.get(id)[1][self._positions[name]]

    def forms(self, key: Key, after: Fields) -> tuple[str, ...]:
        """Return the forms of these fields; the known ones where the patch has them."""
        name, sent = key.name, self.sent
        hits = self.hits.get(name)
        if hits is None and name not in self._forms:
            return key.forms(after)
        if after is not sent:
            for field in key.fields:
                if after.get(field) is not sent.get(field):
                    return key.forms(after)
        if hits is not None:
            if len(hits) == 1:
                return (hits[0][0],)
            return tuple([form for form, _ids in hits])
        return self._forms[name]

    def without(self, names: Iterable[str], reason: str) -> Request:
        """
        Return a request without some keys; the look-ups so far are kept.

        Args:
            names: The names of keys that share no field with another key.
            reason: Why their fields are ignored.
        """
        dropped = dict.fromkeys(names)
        keys = [self._keys[name] for name in dropped if name != self.id_name]
        fields = dict.fromkeys([field for key in keys for field in key.fields])
        sent = {name: v for name, v in self.sent.items() if name not in fields}
        ignored = {name: reason for name in fields if name in self.sent}
        own_id = self.id, self.id_name
        if self.id_name in dropped:
            own_id, ignored[self.id_name] = (None, self.id_name), reason
        patch = sent, {**self.ignored, **ignored}
        forms = {name: f for name, f in self._forms.items() if name not in dropped}
        others = self._index, self.scope, self.strategy, forms
        shorter = Request(self._keys, patch, *others, own_id, self.visitor)
        shorter.contacts, shorter.lookups = self.contacts, self.lookups
        shorter.unknown_ids = self.unknown_ids
        shorter.hits = {n: hits for n, hits in self.hits.items() if n not in dropped}
        shorter.dropped_keys = {
            **self.dropped_keys,
            **{name: (self.hits[name], reason) for name in dropped},
        }
        return shorter

    def stale_reason(self, index: View) -> str | None:
        """Return what has changed since the look-ups; None where they still hold."""
        for id in self.unknown_ids:
            with suppress(UnknownContact):
                index.get(id, self.scope)
                return f"contact {id} was created"
        contacts = ((id, contact) for id, (contact, _) in self.contacts.items())
        lookups = (((*form, self.scope), ids) for form, ids in self.lookups.items())
        return stale_reason(index, contacts, lookups)


def request_maker(
    policy: Policy,
    patch: tuple[Fields, Mapping[str, str]],
    scope: str,
    strategy: Strategy,
    forms: Mapping[str, tuple[str, ...]] = _NO_FORMS,
    own_id: OwnId = NO_ID,
    visitor: str | None = None,
) -> Callable[[View], Request]:
    """
    Return a function that makes a fresh request of a patch on a view.

    Args:
        policy: The policy whose keys are looked up.
        patch: As for :class:`Request`, as the other arguments.
        scope: The tenant.
        strategy: The match strategy.
        forms: Forms that are known already.
        own_id: As for :class:`Request`.
        visitor: As there.

    >>> from upsertcore import Policy, never
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> request_maker(Policy(never(), {}), ({}, {}), "s", never())(ContactIndex()).scope
    's'
    """
    keys = compiled(policy).by_name
    ids = own_id, visitor
    return lambda view: Request(keys, patch, view, scope, strategy, forms, *ids)
