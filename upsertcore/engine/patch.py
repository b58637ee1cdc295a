"""
The patch as a decision sees it: cleaned, and with the keys that it carries.

Rules:
    A value is cleaned before it is compared, and a key is made of what was cleaned.
    A form is looked up at most once in a decision, and made once of a value; once
    more where what is blocked is left out.
    It reads an index through a view, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, final

from upsertcore.errors import InvalidField, blame
from upsertcore.model.view import changed
from upsertcore.policy.fields import UNUSABLE
from upsertcore.policy.policy import compiled
from upsertcore.values import (
    MAX_FIELDS,
    MAX_TEXT,
    Budget,
    empty,
    freeze,
    located,
    mapping_advice,
)

if TYPE_CHECKING:
    from upsertcore.matching.strategy import Hits, Strategy
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Forms, View
    from upsertcore.policy.fields import Field
    from upsertcore.policy.keys import Key
    from upsertcore.policy.policy import Policy

__all__ = ["Fields", "Request", "check_scope", "freeze_field", "read_patch"]

Fields: TypeAlias = Mapping[str, Any]
"""Field name to frozen value."""


def read_patch(policy: Policy, patch: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Clean what was sent; keep apart what null and blank leave out.

    Args:
        policy: The table.
        patch: What was sent.

    Returns:
        Field name to frozen value, None for null, and field name to ``"null"`` or
        ``"blank"`` for what counts as omitted.

    Raises:
        Refused: If it is no mapping, names an unknown field or too many, or a value
            is refused, too large values among them.

    Cost:
        Linear in the patch, whose size ``upsertcore.values`` bounds.

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
    plain, lines, other = (
        compiled(policy).uncleaned,
        compiled(policy).fields,
        policy.extra_fields,
    )
    budget = Budget()
    for name, raw in patch.items() if _is_plain(patch) else _named(policy, patch):
        flat = type(raw) is str and raw.isascii() and len(raw) <= MAX_TEXT
        if flat and name in plain and raw and not raw.isspace():
            sent[name] = raw
            continue
        line = lines.get(name, other) or policy.field_options(name)
        value = raw if flat else freeze_field(name, raw, budget=budget)
        if line.clean is not None and not empty(value):
            value = _cleaned(name, line.clean, raw, value)
        if empty(value):
            why = _ignored_for(name, line, raw, value)
            if why is not None:
                ignored[name] = why
                continue
            if value is not None and line.blank == "clear":
                value = None
        elif name in compiled(policy).blocking:
            value = _screened(policy, name, raw, value, ignored)
            if value is None:
                continue
        sent[name] = value
    if policy.on_blocked == "refuse":
        _see_that_no_composite_is_blocked(policy, sent)
    return sent, ignored


def _is_plain(patch: Any) -> bool:
    """Tell a dict whose names are flat ASCII text: as they are, and each once."""
    return (
        type(patch) is dict
        and len(patch) <= MAX_FIELDS
        and _TEXT.issuperset(map(type, patch))
        and "".join(patch).isascii()
    )


def _named(policy: Policy, patch: Any) -> Iterator[tuple[str, Any]]:
    """Give what was sent by frozen names, each known to the policy, each once."""
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


def _ignored_for(name: str, line: Field, raw: Any, value: Any) -> str | None:
    """Say for what null or blank is ignored; None where it is not."""
    what, says = ("null", line.null) if value is None else ("blank", line.blank)
    if says == "reject":
        raise InvalidField(name, raw, f"must not be {what}")
    return what if says == "ignore" else None


def _screened(
    policy: Policy, name: str, raw: Any, value: Any, ignored: dict[str, str]
) -> Any:
    """Leave out what identifies nobody, or refuse it."""
    left = value
    for key in compiled(policy).blocking[name]:
        left = None if left is None else key.without_blocked(left)
    if left is not value:
        if policy.on_blocked == "refuse":
            raise InvalidField(name, raw, _BLOCKED)
        ignored[name] = "blocked"
    return left


def _see_that_no_composite_is_blocked(policy: Policy, sent: Fields) -> None:
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


def _cleaned(name: str, clean: Callable[[Any], Any], raw: Any, value: Any) -> Any:
    try:
        cleaned = clean(value)
    except ValueError as error:
        raise InvalidField(name, raw, str(error)) from error
    except Exception as error:
        blame(error, name, "clean", clean, value)
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
    Freeze a value of a field, or refuse it by the field's name.

    Args:
        name: The name of the field.
        value: What is frozen.
        how: What the caller is told to do with a value that fits.
        budget: What the lists and mappings of its patch may still hold.

    Raises:
        InvalidField: If it is no value.

    >>> freeze_field("tags", ["a"])
    ('a',)
    """
    try:
        made = freeze(value, budget)
    except ValueError as error:
        path, item, reason = located(value, freeze)
        reason = (reason or str(error)).replace("; send ", f"; {how} ")
        raise InvalidField(name, item, reason, path) from error
    if type(made) is str and len(made) > MAX_TEXT:
        raise InvalidField(name, made, f"must have at most {MAX_TEXT} characters")
    return made


_NONE_LEFT_OUT: Mapping[str, tuple[Hits, str]] = {}
_NONE_MADE: Mapping[str, tuple[str, ...]] = {}
_NONE_PLACED: Mapping[str, int] = {}


@final
class Request:
    """
    What one decision asks an index, and the answers: each form and contact once.

    Args:
        keys: The policy's, by name.
        patch: As :func:`read_patch` returns it: the fields, and what is ignored.
        index: Where to look.
        scope: The tenant.
        strategy: Whose keys are consulted.
        made: Key name to the forms that were made of the patch already.
    """

    __slots__ = (
        *("_index", "_keys", "_made", "_places", "contacts", "dropped_keys", "ignored"),
        *("hits", "lookups", "scope", "sent", "strategy"),
    )

    def __init__(
        self,
        keys: Mapping[str, Key],
        patch: tuple[Fields, Mapping[str, str]],
        index: View,
        scope: str,
        strategy: Strategy,
        made: Mapping[str, tuple[str, ...]] = _NONE_MADE,
    ) -> None:
        self._index, self._keys, self.scope, self._made = index, keys, scope, made
        self.sent, self.ignored = patch
        self.strategy = strategy
        self.hits: dict[str, Hits] = {}
        self.dropped_keys = _NONE_LEFT_OUT
        self._places = _NONE_PLACED
        self.contacts: dict[str, tuple[Contact, Forms]] = {}
        self.lookups: dict[tuple[str, str], tuple[str, ...]] = {}

    def __call__(self, name: str) -> Hits:
        """Give each form of a key that the patch carries, with its holders."""
        hits = self.hits.get(name)
        if hits is None:
            forms = self.forms(self._keys[name], self.sent)
            hits = tuple([(form, self.holders(name, form)) for form in forms])
            self.hits[name] = hits
        return hits

    def key(self, name: str) -> Key:
        """Give a key of the policy."""
        return self._keys[name]

    def holders(self, name: str, form: str) -> tuple[str, ...]:
        """Give the ids of the contacts that hold a form of a key, by creation."""
        place = name, form
        ids = self.lookups.get(place)
        if ids is None:
            ids = self._index.holders(name, form, self.scope)
            self.lookups[place] = ids
        return ids

    def get(self, id: str) -> tuple[Contact, Forms]:
        """Give a contact that was found, and the forms that it holds."""
        found = self.contacts.get(id)
        if found is None:
            found = self.contacts[id] = self._index.found(id)
        return found

    def held_forms(self, id: str, name: str) -> tuple[str, ...]:
        """Give the forms of a key that a contact holds."""
        if not self._places:
            self._places = {each: place for place, each in enumerate(self._keys)}
        return self.get(id)[1][self._places[name]]

    def forms(self, key: Key, after: Fields) -> tuple[str, ...]:
        """Give the forms of merged fields; those of the patch where they are that."""
        name, sent = key.name, self.sent
        hits = self.hits.get(name)
        if hits is None and name not in self._made:
            return key.forms(after)
        if after is not sent:
            for field in key.fields:
                if after.get(field) is not sent.get(field):
                    return key.forms(after)
        if hits is not None:
            if len(hits) == 1:
                return (hits[0][0],)
            return tuple([form for form, _ids in hits])
        return self._made[name]

    def without(self, names: Iterable[str], reason: str) -> Request:
        """
        Leave keys out of the patch; what was asked and answered stays so.

        Args:
            names: Of keys whose fields no other key has.
            reason: What their fields are ignored for.
        """
        left_out = dict.fromkeys(names)
        every = [field for name in left_out for field in self._keys[name].fields]
        fields = dict.fromkeys(every)
        sent = {name: v for name, v in self.sent.items() if name not in fields}
        gone = {name: reason for name in fields if name in self.sent}
        shorter = Request(
            self._keys,
            (sent, {**self.ignored, **gone}),
            self._index,
            self.scope,
            self.strategy,
            self._made,
        )
        shorter.contacts, shorter.lookups = self.contacts, self.lookups
        shorter.hits = {n: hits for n, hits in self.hits.items() if n not in left_out}
        shorter.dropped_keys = {
            **self.dropped_keys,
            **{name: (self.hits[name], reason) for name in left_out},
        }
        return shorter

    def stale(self, index: View) -> str | None:
        """Say what has changed of what was answered; None where all still holds."""
        contacts = ((id, was) for id, (was, _forms) in self.contacts.items())
        looked = (((*place, self.scope), ids) for place, ids in self.lookups.items())
        return changed(index, contacts, looked)
