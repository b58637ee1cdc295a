"""
Match strategies: in which order, and how, keys are consulted.

Rules:
    A strategy is a frozen value that holds a function; it sees keys, never fields.
    It asks through a probe, so it knows nothing of the index.
    A key that is omitted, null, blank or without a normal form finds nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias, final

from attrs import frozen

from upsertcore.errors import AmbiguousMatch, InvalidPolicy, NoMatchKey
from upsertcore.normalize import Normalizer
from upsertcore.values import empty

__all__ = [
    "PICKS",
    "Key",
    "Match",
    "OnMany",
    "Strategy",
    "all_agree",
    "first_match",
    "first_present",
    "never",
]

OnMany = Literal["refuse", "oldest", "newest"]

Probe: TypeAlias = Callable[[str], tuple[tuple[str, tuple[str, ...]], ...]]
"""Key name -> (normal form, ids of its holders by creation) per form of the patch."""

Pick: TypeAlias = Callable[[str, tuple[str, ...]], str]
"""(key name, holders, at least one) -> the holder that is meant, or a refusal."""


@final
@frozen
class Key:
    """
    What identifies a contact: the normal forms of one field.

    Args:
        name: The name of the key, which is the field's.
        normalize: Makes the normal form of one value.
        unique: True where no two contacts of a scope may hold the same form.

    >>> from upsertcore import normalize
    >>> Key("email", normalize.email).forms({"email": ("A@x.org", "a@X.org", "")})
    ('a@x.org',)
    """

    name: str
    normalize: Normalizer
    unique: bool = False

    def forms(self, fields: Any) -> tuple[str, ...]:
        """
        Make the normal forms that these fields carry.

        Args:
            fields: Field name to frozen value.

        Returns:
            One form per item of a list and one for another value, each once, in
            order; none for what is absent, blank or has no normal form.

        Raises:
            TypeError: If the normaliser answers something that is no text.

        >>> from upsertcore import normalize
        >>> Key("email", normalize.email).forms({"phone": "1"})
        ()
        """
        value = fields.get(self.name)
        if type(value) is tuple:
            forms = [self.form(item) for item in value]
            return tuple(dict.fromkeys(form for form in forms if form is not None))
        form = self.form(value)
        return () if form is None else (form,)

    def form(self, value: Any) -> str | None:
        """
        Make the normal form of one value, None where it is no key.

        >>> from upsertcore import normalize
        >>> Key("email", normalize.email).form(" A@x.org")
        'a@x.org'
        """
        if empty(value):
            return None
        form = self.normalize(value)
        if form is not None and not isinstance(form, str):
            raise TypeError(
                f"{self.name}: a normaliser answers text or None, not {form!r}"
            )
        return form or None


@final
@frozen
class Match:
    """
    What a strategy found.

    Args:
        id: The contact that is meant, None for nobody.
        key: The name of the key that decided, None where none did.
        others: Further contacts that the consulted keys hit, in the order found.

    >>> Match("c-1", "email").others
    ()
    """

    id: str | None = None
    key: str | None = None
    others: tuple[str, ...] = ()


@final
@frozen
class Strategy:
    """
    An order of keys and the manner of consulting them.

    Args:
        name: The name of the function that makes it.
        keys: Names of keys, the most trusted first.
        decide: (keys, probe, pick) -> :class:`Match`.

    >>> first_match("email", "phone")
    first_match('email', 'phone')
    """

    name: str
    keys: tuple[str, ...]
    decide: Callable[[tuple[str, ...], Probe, Pick], Match]

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.keys))})"


def first_match(*keys: str) -> Strategy:
    """
    Let the first key that finds somebody decide.

    The keys after it are consulted too, so that further contacts are reported.

    Args:
        keys: Names of keys, the most trusted first.

    Returns:
        A strategy. It refuses a patch that carries none of the keys, with
        ``NoMatchKey``, unless the policy says ``on_absent_key="create"``.

    Raises:
        InvalidPolicy: If no key is named, or one twice.

    Cost:
        One look-up per normal form that the patch carries.

    Source:
        LeadConnector: "the first field in the configured priority sequence".

    >>> first_match("email", "phone").keys
    ('email', 'phone')
    """
    return Strategy("first_match", _names("first_match", keys), _first_match)


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
        A strategy. A key that finds nobody does not disagree.

    Raises:
        InvalidPolicy: If no key is named, or one twice.

    >>> all_agree("email", "phone")
    all_agree('email', 'phone')
    """
    return Strategy("all_agree", _names("all_agree", keys), _all_agree)


def never() -> Strategy:
    """
    Match nobody: every upsert creates, so upserting twice makes two contacts.

    >>> never()
    never()
    """
    return Strategy("never", (), lambda _keys, _probe, _pick: Match())


def _names(strategy: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    if not keys:
        raise InvalidPolicy(f"{strategy}: name at least one key")
    for name in keys:
        if not isinstance(name, str):
            raise InvalidPolicy(f"{strategy}: a key is named by text, not {name!r}")
        if keys.count(name) > 1:
            raise InvalidPolicy(f"{strategy}: {name} stands there twice")
    return keys


def _hits(name: str, probe: Probe, pick: Pick) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give the contact that each form of a key means, and all that hold the form."""
    for _form, holders in probe(name):
        if holders:
            yield pick(name, holders), holders


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


def _all_agree(keys: tuple[str, ...], probe: Probe, pick: Pick) -> Match:
    match = _first_match(keys, probe, pick)
    for name in keys:
        for found, _holders in _hits(name, probe, pick):
            if found != match.id:
                raise AmbiguousMatch(name, (str(match.id), found))
    return match


def _others(found: str | None, seen: list[str]) -> tuple[str, ...]:
    if not seen:
        return ()
    return tuple(dict.fromkeys(id for id in seen if id != found))


def _only(key: str, holders: tuple[str, ...]) -> str:
    if len(holders) > 1:
        raise AmbiguousMatch(key, holders)
    return holders[0]


PICKS: dict[OnMany, Pick] = {
    "refuse": _only,
    "oldest": lambda _key, holders: holders[0],
    "newest": lambda _key, holders: holders[-1],
}
"""What a policy's ``on_many`` means: one key, several holders, by creation."""
