"""
Keys: the normal forms that identify a contact, of one field or of several.

Rules:
    A key sees the fields of a contact or of a patch, and nothing of an index.
    What is omitted, null, blank, blocked or without a normal form makes no key.
    Different parts never make the same form: what joins them is escaped in them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import product
from typing import Any, final

from attrs import field, frozen

from upsertcore.errors import InvalidField, InvalidPolicy, blame
from upsertcore.normalize import Normalizer
from upsertcore.normalize.patterns import Matcher, Pattern, as_tuple, compile_patterns
from upsertcore.policy.functions import check_normaliser
from upsertcore.values import FrozenMap, called, described, empty, freeze, shown

__all__ = ["MAX_FORMS", "Key", "Pattern", "compile_patterns", "key"]

MAX_FORMS = 1_000
"""How many forms one composite key may make of parts that are lists."""

# The parts of a composite form, and what is escaped in them.
_PARTS = re.compile(r"(?:[^\\|]+|\\.)+", re.DOTALL)


@final
@frozen(eq=False)
class Key:
    """
    What identifies a contact: the normal forms of a field, or of several.

    Args:
        name: The name of the key; that of its field where :func:`field` makes it.
        fields: Names of fields.
        normalize: Makes the normal form of one value; one normaliser per field.
        unique: True where no two contacts of a scope may hold the same form.
        keep_aliases: True where a form that was replaced still finds the contact.
        max_forms: How many forms one contact may hold; None for any number.
        any_of: True where each field makes forms by itself; otherwise all together
            make one.
        append_new: True where a new value of the first field joins the last one.
        blocked: Forms that identify no contact, white space around them or not.

    >>> from upsertcore import normalize
    >>> email = Key("email", ("email",), (normalize.email,))
    >>> email.forms({"email": ("A@x.org", "a@X.org", "")})
    ('a@x.org',)
    """

    name: str
    fields: tuple[str, ...]
    normalize: tuple[Normalizer, ...]
    unique: bool = False
    keep_aliases: bool = False
    max_forms: int | None = None
    any_of: bool = False
    append_new: bool = False
    blocked: tuple[Pattern, ...] = field(default=(), converter=as_tuple)
    _blocks: tuple[Matcher, ...] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        compiled = compile_patterns(self.name or "key", self.blocked)
        object.__setattr__(self, "_blocks", compiled)

    @property
    def composite(self) -> bool:
        """True where several fields together make one form."""
        return len(self.fields) > 1 and not self.any_of

    def forms(self, fields: Any) -> tuple[str, ...]:
        """
        Make the normal forms that these fields carry.

        Args:
            fields: Field name to frozen value.

        Returns:
            One form per item of a list and one for another value, each once, in
            order; none for what is absent, blank, blocked or has no normal form.

        Raises:
            TypeError: If a normaliser answers something that is no text.

        >>> from upsertcore import normalize
        >>> person = key("first", "last", normalize=normalize.text)
        >>> person.forms({"first": "Ada", "last": "King"}), person.forms({"first": "A"})
        (('ada|king',), ())
        """
        if len(self.fields) == 1:
            value = fields.get(self.fields[0])
            if type(value) is tuple:
                return self.field_forms(value)
            form = self._normal(value)
            if form is None or (self.blocked and self._is_blocked(form)):
                return ()
            return (form,)
        if self.any_of:
            names = enumerate(self.fields)
            made = [self.field_forms(fields.get(name), place) for place, name in names]
            return tuple(dict.fromkeys(form for part in made for form in part))
        return self._allowed(self._joined(fields))

    def field_forms(self, value: Any, place: int = 0) -> tuple[str, ...]:
        """
        Make the forms of one field; of a composite key, its part of the form.

        Args:
            value: Its frozen value.
            place: That of the field among those of the key.

        >>> from upsertcore import normalize
        >>> more = key("email", "more", normalize=normalize.email, any_of=True)
        >>> more.field_forms(("A@x.org", ""), 1)
        ('a@x.org',)
        """
        if type(value) is tuple:
            forms = [self._normal(item, place) for item in value]
            made = tuple(dict.fromkeys(form for form in forms if form is not None))
        else:
            form = self._normal(value, place)
            made = () if form is None else (form,)
        return made if self.composite else self._allowed(made)

    def blocks(self, fields: Any) -> bool:
        """Tell whether a composite of these fields is one that identifies nobody."""
        return any(map(self._is_blocked, self._joined(fields)))

    def form(self, value: Any) -> str | None:
        """
        Make the normal form of one value, None where it is no key.

        >>> from upsertcore import normalize
        >>> key("email", normalize=normalize.email).form(" A@x.org")
        'a@x.org'
        """
        form = self._normal(value)
        return None if form is None or self._is_blocked(form) else form

    def lookup_forms(self, value: Any) -> tuple[str, ...]:
        """
        Make the forms to look contacts up by; a list stands for any of its items.

        Args:
            value: A frozen value, such as a contact stores; of a composite key a
                mapping of its fields to such values.

        Returns:
            The forms that it has, each once.

        Raises:
            InvalidField: If a composite key is sought by anything else.

        >>> from upsertcore import normalize
        >>> email = Key("email", ("email",), (normalize.email,))
        >>> (
        ...     email.lookup_forms("A@x.org"),
        ...     email.lookup_forms(("A@x.org", "", "b@x.org")),
        ... )
        (('a@x.org',), ('a@x.org', 'b@x.org'))
        """
        if not self.composite:
            return self.field_forms(value)
        parts = ", ".join(self.fields)
        if not isinstance(value, FrozenMap) or {*value}.difference(self.fields):
            raise InvalidField("value", value, f"must be a mapping of {parts}")
        return self.forms(value)

    def without_blocked(self, value: Any) -> Any:
        """
        Leave out of a value what is blocked.

        Args:
            value: A frozen value of one of its fields, not blank.

        Returns:
            The value itself where nothing is blocked; a shorter list; None where
            nothing is left.
        """
        if not self.blocked:
            return value
        if type(value) is not tuple:
            return None if self._blocks_one(value) else value
        left = tuple([item for item in value if not self._blocks_one(item)])
        return value if len(left) == len(value) else left or None

    def unusable_values(self, fields: Any) -> list[tuple[str, Any, str]]:
        """
        List the values that make no form of this key, though they are not blank.

        Args:
            fields: Field name to frozen value.

        Returns:
            Field, value (an item of a list) and ``"no usable form"`` or
            ``"blocked"``; of a composite that is blocked its own name and its parts.

        >>> from upsertcore import normalize
        >>> email = Key("email", ("email",), (normalize.email,))
        >>> email.unusable_values({"email": ("A@x.org", "", "not an email")})
        [('email', 'not an email', 'no usable form')]
        """
        found = []
        for place, name in enumerate(self.fields):
            value = fields.get(name)
            for item in value if type(value) is tuple else (value,):
                form = self._normal(item, place)
                if form is None and not empty(item):
                    found.append((name, item, "no usable form"))
                elif form and not self.composite and self._is_blocked(form):
                    found.append((name, item, "blocked"))
        if self.composite and self.blocked and not found and self.blocks(fields):
            found.append((*self.error_subject(fields), "blocked"))
        return found

    def error_subject(self, fields: Any) -> tuple[str, Any]:
        """
        Name the field that an error is about, and show its value.

        Args:
            fields: Field name to frozen value.

        Returns:
            The field and its value; of a composite its own name and all parts; of
            several fields the first that carries a form.

        >>> from upsertcore import normalize
        >>> key("first", "last", normalize=normalize.text).error_subject(
        ...     {"first": "Ada"}
        ... )
        ('', FrozenMap({'first': 'Ada'}))
        """
        if self.composite:
            parts = {n: fields[n] for n in self.fields if n in fields}
            return self.name, FrozenMap.trusted(parts)
        carry = [name for name in self.fields if self.field_forms(fields.get(name))]
        name = (*carry, self.fields[0])[0]
        return name, fields.get(name)

    def _joined(self, fields: Any) -> tuple[str, ...]:
        parts = []
        for place, name in enumerate(self.fields):
            part = self.field_forms(fields.get(name), place)
            if not part:
                return ()
            parts.append(part)
        if math.prod(map(len, parts)) > MAX_FORMS:
            reason = f"must have at most {MAX_FORMS} combinations of its parts"
            raise InvalidField(*self.error_subject(fields), reason)
        return tuple("|".join(map(_escaped, whole)) for whole in product(*parts))

    def _normal(self, value: Any, place: int = 0) -> str | None:
        if empty(value):
            return None
        try:
            form = self.normalize[place](value)
        except Exception as error:
            self.blame(error, value, place)
            raise
        if type(form) is str and form.isascii():
            return form or None
        return self.check_form(form, place)

    def blame(self, error: Exception, value: Any, place: int = 0) -> None:
        """Name the field and its normaliser in an exception that it raised."""
        blame(error, self.fields[place], "normaliser", self.normalize[place], value)

    def check_form(self, form: Any, place: int = 0) -> str | None:
        """
        Check that what a normaliser returned is a form, or that there is none.

        Raises:
            TypeError: If it is neither.
        """
        if form is None:
            return None
        what = f"{self.fields[place]}: normaliser {called(self.normalize[place])}"
        if not isinstance(form, str):
            advice = f"not {type(form).__name__}; return str(...) of it"
            raise TypeError(f"{what} must return str or None, {advice}")
        try:
            return freeze(form) or None
        except ValueError as error:
            raise TypeError(f"{what}: what it returns {error}") from error

    def _allowed(self, forms: tuple[str, ...]) -> tuple[str, ...]:
        if not self.blocked:
            return forms
        return tuple([form for form in forms if not self._is_blocked(form)])

    def _blocks_one(self, value: Any) -> bool:
        form = self._normal(value)
        return form is not None and self._is_blocked(form)

    def _is_blocked(self, form: str) -> bool:
        if any(pattern.fullmatch(form) for pattern in self._blocks):
            return True
        bare = _PARTS.sub(_stripped, form) if self.composite else form.strip()
        return bare != form and any(each.fullmatch(bare) for each in self._blocks)


def key(
    *fields: str,
    normalize: Normalizer | tuple[Normalizer, ...],
    unique: bool = False,
    keep_aliases: bool = False,
    max_forms: int | None = None,
    blocked: Iterable[Pattern] = (),
    any_of: bool = False,
    append_new: bool = False,
) -> Key:
    """
    Make a key of several fields, to be named in a policy's ``keys``.

    Args:
        fields: Names of fields of the policy. Together they make one form, their own
            forms joined by ``|``; a contact or patch that lacks one of them has
            none. Parts that are lists make a form of each combination.
        normalize: One normaliser for all, or a tuple of one per field.
        unique: As in :func:`field`.
        keep_aliases: As in :func:`field`.
        max_forms: As in :func:`field`.
        blocked: As in :func:`field`; of a composite key, a form as a whole.
        any_of: Each field identifies by itself instead. The first is the primary, the
            others are additional: a value that the contact holds as an additional
            one finds it and does not displace the primary.
        append_new: With *any_of*: a new value of the primary joins the last field, a
            list, where the contact has a primary already.

    Returns:
        A key; the policy gives it its name.

    Raises:
        InvalidPolicy: If it cannot work.

    >>> from upsertcore import normalize
    >>> person = key("first", "born", normalize=(normalize.text, normalize.exact))
    >>> person.forms({"first": "Ada", "born": 1815})
    ('ada|1815',)
    """
    several = normalize if isinstance(normalize, tuple) else (normalize,)
    names: tuple[Any, ...] = fields
    if not names:
        raise InvalidPolicy("key: needs at least one field; name its fields")
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name:
            what = f"field names must be str, got {described(name)}"
            raise InvalidPolicy(f"key: {what}; name the fields one by one")
        if name in seen:
            what = f"duplicate field {shown(name)}"
            raise InvalidPolicy(f"key: {what}; name each field once")
        seen.add(name)
    for normalizer in several:
        check_normaliser("key: normalize", normalizer)
    if any_of and (len(fields) < 2 or len(several) > 1):
        what = "any_of needs two fields or more and one normaliser"
        raise InvalidPolicy(f"key: {what}; name the primary and the other fields")
    if len(several) not in (1, len(fields)):
        what = f"normalize must be one function or {len(fields)}, not {len(several)}"
        raise InvalidPolicy(f"key: {what}; pass one for each field")
    if append_new and not any_of:
        what = "append_new needs a primary and a list"
        raise InvalidPolicy(f"key: {what}; set any_of=True")
    every = several if len(several) == len(fields) else several * len(fields)
    options = (unique, keep_aliases, max_forms, any_of, append_new, blocked)
    return Key("", fields, every, *options)


def _escaped(part: str) -> str:
    return part.replace("\\", "\\\\").replace("|", "\\|")


def _stripped(part: re.Match[str]) -> str:
    return part[0].strip()
