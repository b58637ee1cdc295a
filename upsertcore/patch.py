"""
The patch as a decision sees it: cleaned, and with the keys that it carries.

Rules:
    A value is cleaned before it is compared, and a key is made of what was cleaned.
    A key is looked up at most once in a decision, and its normaliser runs once.
    It reads an index through a view, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, final

from upsertcore.errors import InvalidField, KeyInUse, UnknownContact
from upsertcore.values import empty, freeze

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.match import Key, Strategy
    from upsertcore.policy import Field, Policy

__all__ = [
    "Asked",
    "Fields",
    "Forms",
    "Hits",
    "View",
    "admit",
    "check_scope",
    "frozen",
    "read",
]

Fields: TypeAlias = Mapping[str, Any]
"""Field name to frozen value."""

Forms: TypeAlias = tuple[tuple[str, ...], ...]
"""The normal forms that a contact holds, per key of its policy."""

Hits: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""(normal form, ids of the contacts that hold it) for each form of a key."""


class View(Protocol):
    """What a decision asks of an index; it reads and nothing else."""

    def get(self, id: str) -> Contact:
        """Give the contact with this id."""
        ...

    def forms(self, id: str) -> Forms:
        """Give the normal forms that it holds, per key of the policy."""
        ...

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Give the ids of the contacts that hold a form, by creation."""
        ...


def read(policy: Policy, patch: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Clean what was sent; keep apart what null and blank leave out.

    Args:
        policy: The table.
        patch: What was sent.

    Returns:
        Field name to frozen value, None for null, and field name to ``"null"`` or
        ``"blank"`` for what counts as omitted.

    Raises:
        Refused: If it is no mapping, names an unknown field, or a value is refused.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> fields = {"email": field(key=normalize.email), "city": field(null="ignore")}
    >>> read(Policy(first_match("email"), fields), {"email": "a@x", "city": None})
    ({'email': 'a@x'}, {'city': 'null'})
    """
    if not isinstance(patch, Mapping):
        reason = "must be a mapping of field names to values"
        raise InvalidField("patch", patch, reason)
    sent: dict[str, Any] = {}
    ignored: dict[str, str] = {}
    for raw_name, raw in patch.items():
        line = policy.line(raw_name)
        name = frozen("patch", raw_name)
        if name in sent or name in ignored:
            raise InvalidField(name, raw, "must not stand there twice")
        value = _clean(name, line, raw)
        if empty(value):
            what, says = ("null", line.null) if value is None else ("blank", line.blank)
            if says == "reject":
                raise InvalidField(name, raw, f"must not be {what}")
            if says == "ignore":
                ignored[name] = what
                continue
            if says == "clear":
                value = None
        sent[name] = value
    return sent, ignored


def check_scope(scope: Any) -> None:
    """
    See that a scope is text.

    Raises:
        InvalidField: If it is none, or none that UTF-8 can write.

    >>> check_scope("firm-1")
    """
    if not isinstance(scope, str):
        raise InvalidField("scope", scope, "must be text")
    frozen("scope", scope)


def _clean(name: str, line: Field, raw: Any) -> Any:
    value = frozen(name, raw)
    if line.clean is None or empty(value):
        return value
    try:
        cleaned = line.clean(value)
    except ValueError as error:
        raise InvalidField(name, raw, str(error)) from error
    return cleaned if cleaned is value else frozen(name, cleaned, raw)


def frozen(name: str, value: Any, sent: Any = None) -> Any:
    """
    Freeze a value of a field, or refuse it by the field's name.

    Args:
        name: The name of the field.
        value: What is frozen.
        sent: What to show in the refusal, where that is something else.

    Raises:
        InvalidField: If it is no value.

    >>> frozen("tags", ["a"])
    ('a',)
    """
    try:
        return freeze(value)
    except ValueError as error:
        shown = value if sent is None else sent
        raise InvalidField(name, shown, str(error)) from error


@final
class Asked:
    """What one decision asks an index: each key's holders once, and one contact."""

    __slots__ = (
        *("_index", "_keys", "claimed", "found", "ignored", "scope", "seen", "sent"),
        "strategy",
    )

    def __init__(
        self,
        keys: Mapping[str, Key],
        patch: tuple[Fields, Mapping[str, str]],
        index: View,
        scope: str,
        strategy: Strategy,
    ) -> None:
        self._index, self._keys, self.scope = index, keys, scope
        self.sent, self.ignored = patch
        self.strategy = strategy
        self.found: Contact | None = None
        self.seen: dict[str, Hits] = {}
        self.claimed: dict[str, Hits] = {}

    def get(self, id: str) -> tuple[Contact, Forms]:
        """Give the contact that was found, and the forms that it holds."""
        self.found = self._index.get(id)
        return self.found, self._index.forms(id)

    def stale(self, index: View) -> str | None:
        """Say what has changed of what was answered; None where all still holds."""
        was = self.found
        if was is not None:
            try:
                now = index.get(was.id)
            except UnknownContact:
                return f"contact {was.id} is gone"
            if now is not was and now != was:
                return _moved(was, now)
        for name, hits in (*self.seen.items(), *self.claimed.items()):
            for form, ids in hits:
                if index.holders(name, form, self.scope) != ids:
                    return f"{name}: other contacts hold {form} now"
        return None

    def __call__(self, name: str) -> Hits:
        """Give each form of a key that the patch carries, with its holders."""
        hits = self.seen.get(name)
        if hits is None:
            forms = self._keys[name].forms(self.sent)
            hits = self.seen[name] = self._look_up(name, forms)
        return hits

    def forms(self, key: Key, after: Fields) -> tuple[str, ...]:
        """Give the forms of a merged field; those of the patch where it is that."""
        hits = self.seen.get(key.name)
        if hits is not None and after.get(key.name) is self.sent.get(key.name):
            return tuple([form for form, _ids in hits])
        return key.forms(after)

    def claims(self, key: Key, after: Fields) -> Hits:
        """Give the forms of a merged field, with those who hold them now."""
        forms = self.forms(key, after)
        hits = self.seen.get(key.name, ())
        if tuple([form for form, _ids in hits]) != forms:
            hits = self.claimed[key.name] = self._look_up(key.name, forms)
        return hits

    def _look_up(self, name: str, forms: tuple[str, ...]) -> Hits:
        holders, scope = self._index.holders, self.scope
        return tuple([(form, holders(name, form, scope)) for form in forms])


def _moved(was: Contact, now: Contact) -> str:
    if now.version == was.version:
        return f"contact {was.id} is another one now"
    return f"contact {was.id} is at version {now.version}, not {was.version}"


def admit(policy: Policy, index: View, contact: Contact) -> Forms:
    """
    See that a stored contact can live in an index under a policy.

    Args:
        policy: The table.
        index: What lives there already. Not changed.
        contact: From outside.

    Returns:
        The normal forms that it holds, per key of the policy.

    Raises:
        UnknownField: If the policy has neither a line nor a rule for a field.
        KeyInUse: If another contact of its scope holds one of its unique keys.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import Contact, ContactIndex, Policy, field, first_match
    >>> from upsertcore import normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> ada = Contact("c-1", "", {"email": "ADA@x.org"}, 1, now, now)
    >>> admit(policy, ContactIndex(["email"]), ada)
    (('ada@x.org',),)
    """
    for name in contact:
        policy.line(name)
    forms = tuple([key.forms(contact.fields) for key in policy.keys])
    for key, each in zip(policy.keys, forms, strict=True):
        if key.unique and policy.on_clash != "allow":
            for form in each:
                for holder in index.holders(key.name, form, contact.scope):
                    raise KeyInUse(key.name, contact[key.name], holder)
    return forms
