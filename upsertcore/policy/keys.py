"""
Keys: the normal forms that identify a contact, of one field or of several.

Rules:
    A key depends on the fields of a contact or patch alone, never on an index.
    A value that is omitted, null, blank, blocked or without a normal form has no key.
    Different parts never make the same composite form: the separator is escaped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from itertools import compress, product
from operator import not_
from typing import Any, TypeAlias, final

import attrs
from attrs import field, frozen

from upsertcore.errors import InvalidField, InvalidPolicy, note_function
from upsertcore.normalize import Normalizer
from upsertcore.normalize.blocked_patterns import (
    Matcher,
    Pattern,
    as_tuple,
    compile_patterns,
    is_blocked,
)
from upsertcore.policy.function_checks import check_normaliser
from upsertcore.values import (
    FrozenMap,
    callable_name,
    describe,
    empty,
    freeze,
    show_value,
    unknown_name,
)

__all__ = ["MAX_FORMS", "Key", "Pattern", "compile_patterns", "key"]

MAX_FORMS = 1_000
"""The most forms of one composite key, where its parts are lists."""

Blocked: TypeAlias = "tuple[Pattern | tuple[str, tuple[Pattern, ...]], ...]"
"""Patterns of forms; for parts of a composite key, pairs of a field and patterns."""

# One part of a composite form, with its escaped characters.
_PARTS = re.compile(r"(?:[^\\|]+|\\.)+", re.DOTALL)


@final
@frozen
class Key:
    """
    The key of a field, or of several, by whose forms contacts are matched.

    Args:
        name: The name of the key: that of the field, for a key of one field.
        fields: The names of its fields.
        normalize: One normaliser per field.
        unique: True where no two contacts of a scope may hold the same form.
        keep_aliases: True where a form that was replaced still matches the contact.
        max_forms: How many forms one contact may hold; None for no limit.
        any_of: True where each field has its own forms; otherwise the fields together
            have one form.
        append_new: True where a new value of the first field is appended to the last,
            and so is one that a merge would leave out.
        blocked: Forms that identify no contact; surrounding white space is ignored. For
            parts of a composite key, pairs of a field and its patterns.

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
    blocked: Blocked = field(default=(), converter=as_tuple)
    _blocks: tuple[Matcher, ...] = field(init=False, repr=False, eq=False)
    _part_blocks: tuple[tuple[Matcher, ...], ...] = field(
        init=False, repr=False, eq=False
    )

    def __attrs_post_init__(self) -> None:
        name, parts = self.name or "key", self.blocked_parts
        for part in parts:
            if not self.composite or part not in self.fields:
                what = "patterns of parts are for a key of several fields together"
                if self.composite:
                    what = unknown_name("part", part, dict.fromkeys(self.fields))
                raise InvalidPolicy(f"{name}: blocked: {what}")
        patterns: Any = () if parts else self.blocked
        whole = compile_patterns(name, patterns)
        by_part = {part: compile_patterns(name, each) for part, each in parts.items()}
        object.__setattr__(self, "_blocks", whole)
        part_blocks = tuple([by_part.get(part, ()) for part in self.fields])
        object.__setattr__(self, "_part_blocks", part_blocks)

    @property
    def blocked_parts(self) -> dict[Any, Any]:
        """The patterns of parts by field; empty where whole forms are blocked."""
        pairs = self.blocked if type(self.blocked) is tuple else ()
        return {each[0]: each[1] for each in pairs if type(each) is tuple}

    def __reduce__(self) -> tuple[Any, ...]:
        # The patterns are compiled again.
        values = (getattr(self, each.name) for each in attrs.fields(Key) if each.init)
        return Key, tuple(values)

    @property
    def composite(self) -> bool:
        """True where several fields together make one form."""
        return len(self.fields) > 1 and not self.any_of

    def forms(self, fields: Any) -> tuple[str, ...]:
        """
        Return the normal forms of these fields.

        Args:
            fields: Field name to frozen value.

        Returns:
            One form per item of a list and one for any other value, in order, without
            duplicates; none for a value that is absent, blank, blocked or without a
            normal form.

        Raises:
            TypeError: If a normaliser returns neither text nor None.

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
            parts = [self.field_forms(fields.get(name), place) for place, name in names]
            return tuple(dict.fromkeys(form for part in parts for form in part))
        return self._without_blocked_forms(self._composite_forms(fields))

    def field_forms(self, value: Any, place: int = 0) -> tuple[str, ...]:
        """
        Return the forms of one field; for a composite key, its parts of forms.

        Args:
            value: The frozen value of the field.
            place: The position of the field in ``fields``.

        >>> from upsertcore import normalize
        >>> more = key("email", "more", normalize=normalize.email, any_of=True)
        >>> more.field_forms(("A@x.org", ""), 1)
        ('a@x.org',)
        """
        if type(value) is tuple:
            forms = [self._normal(item, place) for item in value]
            parts = tuple(dict.fromkeys(form for form in forms if form is not None))
        else:
            form = self._normal(value, place)
            parts = () if form is None else (form,)
        return self._without_blocked_parts(parts, place) if self.blocked else parts

    def blocks(self, fields: Any) -> bool:
        """Return whether a composite form of these fields is blocked."""
        return any(map(self._is_blocked, self._composite_forms(fields)))

    def form(self, value: Any) -> str | None:
        """
        Return the normal form of one value, None where it has no key.

        >>> from upsertcore import normalize
        >>> key("email", normalize=normalize.email).form(" A@x.org")
        'a@x.org'
        """
        form = self._normal(value)
        return None if form is None or self._is_blocked(form) else form

    def lookup_forms(self, value: Any) -> tuple[str, ...]:
        """
        Return the forms by which to look up contacts.

        Args:
            value: A frozen value, such as a contact stores; a list matches by any of
                its items. For a composite key, a mapping of its fields to values.

        Returns:
            The forms of the value, without duplicates.

        Raises:
            InvalidField: If the value for a composite key is not such a mapping.

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

    def without_blocked(self, value: Any, place: int = 0) -> Any:
        """
        Remove what is blocked from a value.

        Args:
            value: A frozen value of one of its fields, not blank.
            place: The position of the field in ``fields``.

        Returns:
            The value itself where nothing is blocked; a shorter list; None where
            nothing remains.
        """
        if not self.blocked:
            return value
        if type(value) is not tuple:
            return None if self._is_blocked_value(value, place) else value
        blocked = [self._is_blocked_value(item, place) for item in value]
        items = tuple(compress(value, map(not_, blocked)))
        return value if len(items) == len(value) else items or None

    def unusable_values(self, fields: Any) -> list[tuple[str, Any, str]]:
        """
        List the values without a form of this key, though they are not blank.

        Args:
            fields: Field name to frozen value.

        Returns:
            Field, value (an item of a list) and ``"no usable form"`` or
            ``"blocked"``; for a blocked composite form, the key's name and its parts.

        >>> from upsertcore import normalize
        >>> email = Key("email", ("email",), (normalize.email,))
        >>> email.unusable_values({"email": ("A@x.org", "", "not an email")})
        [('email', 'not an email', 'no usable form')]
        """
        unusable = []
        for place, name in enumerate(self.fields):
            value = fields.get(name)
            for item in value if type(value) is tuple else (value,):
                form = self._normal(item, place)
                if form is None and not empty(item):
                    unusable.append((name, item, "no usable form"))
                elif form and not self._without_blocked_parts((form,), place):
                    unusable.append((name, item, "blocked"))
        if self.composite and self.blocked and not unusable and self.blocks(fields):
            unusable.append((*self.error_subject(fields), "blocked"))
        return unusable

    def error_subject(self, fields: Any) -> tuple[str, Any]:
        """
        Return the field and the value that an error message is about.

        Args:
            fields: Field name to frozen value.

        Returns:
            The field and its value; for a composite key, the key's name and its
            parts; for a key with ``any_of``, the first field that has a form.

        >>> from upsertcore import normalize
        >>> key("first", "last", normalize=normalize.text).error_subject(
        ...     {"first": "Ada"}
        ... )
        ('', FrozenMap({'first': 'Ada'}))
        """
        if self.composite:
            parts = {n: fields[n] for n in self.fields if n in fields}
            return self.name, FrozenMap.trusted(parts)
        usable = [name for name in self.fields if self.field_forms(fields.get(name))]
        name = (*usable, self.fields[0])[0]
        return name, fields.get(name)

    def _composite_forms(self, fields: Any) -> tuple[str, ...]:
        parts = []
        for place, name in enumerate(self.fields):
            part = self.field_forms(fields.get(name), place)
            if not part:
                return ()
            parts.append(part)
        if math.prod(map(len, parts)) > MAX_FORMS:
            reason = f"must have at most {MAX_FORMS} combinations of its parts"
            raise InvalidField(*self.error_subject(fields), reason)
        return tuple(
            "|".join(map(_escape, combination)) for combination in product(*parts)
        )

    def _normal(self, value: Any, place: int = 0) -> str | None:
        if empty(value):
            return None
        try:
            form = self.normalize[place](value)
        except Exception as error:
            self.note_normaliser(error, value, place)
            raise
        if type(form) is str and form.isascii():
            return form or None
        return self.check_form(form, place)

    def note_normaliser(self, error: Exception, value: Any, place: int = 0) -> None:
        """Add the field and the normaliser to an exception that it raised."""
        note_function(
            error, self.fields[place], "normaliser", self.normalize[place], value
        )

    def check_form(self, form: Any, place: int = 0) -> str | None:
        """
        Check that a normaliser returned text or None.

        Raises:
            TypeError: If it did not.
        """
        if form is None:
            return None
        what = (
            f"{self.fields[place]}: normaliser {callable_name(self.normalize[place])}"
        )
        if not isinstance(form, str):
            advice = f"not {type(form).__name__}; return str(...) of it"
            raise TypeError(f"{what} must return str or None, {advice}")
        try:
            return freeze(form) or None
        except ValueError as error:
            raise TypeError(f"{what}: what it returns {error}") from error

    def _without_blocked_forms(self, forms: tuple[str, ...]) -> tuple[str, ...]:
        if not self.blocked:
            return forms
        return tuple([form for form in forms if not self._is_blocked(form)])

    def _without_blocked_parts(
        self, parts: tuple[str, ...], place: int
    ) -> tuple[str, ...]:
        """Return the forms of one field without blocked ones."""
        if not self.composite:
            return self._without_blocked_forms(parts)
        patterns = self._part_blocks[place]
        if not patterns:
            return parts
        return tuple([p for p in parts if not is_blocked(patterns, p, p.strip())])

    def _is_blocked_value(self, value: Any, place: int) -> bool:
        form = self._normal(value, place)
        return form is not None and not self._without_blocked_parts((form,), place)

    def _is_blocked(self, form: str) -> bool:
        bare = _PARTS.sub(_strip, form) if self.composite else form.strip()
        return is_blocked(self._blocks, form, bare)


def key(
    *fields: str,
    normalize: Normalizer | tuple[Normalizer, ...],
    unique: bool = False,
    keep_aliases: bool = False,
    max_forms: int | None = None,
    blocked: Iterable[Pattern] | Mapping[str, Iterable[Pattern]] = (),
    any_of: bool = False,
    append_new: bool = False,
) -> Key:
    """
    Describe a key of several fields, for a policy's ``keys``.

    Args:
        fields: Names of fields of the policy. Together they have one form: their own
            forms, joined by ``|``. A contact or patch that lacks one of them has no
            form; parts that are lists have one form for each combination.
        normalize: One normaliser for all fields, or a tuple of one per field.
        unique: As in :func:`field`.
        keep_aliases: As in :func:`field`.
        max_forms: As in :func:`field`.
        blocked: As in :func:`field`; for a composite key, whole forms, or a mapping of
            some of its fields to the patterns of their parts.
        any_of: Each field identifies by itself instead. The first is the primary, the
            others are additional: a sent primary that the contact holds in an
            additional field matches it and does not replace its primary.
        append_new: With *any_of*: a new value of the primary is appended to the last
            field, a list, where the contact has a primary already; and so is the
            primary of a contact that is merged, unless the merged contact holds it.

    Returns:
        A key without a name; the policy sets the name.

    Raises:
        InvalidPolicy: If an argument is invalid.

    >>> from upsertcore import normalize
    >>> person = key("first", "born", normalize=(normalize.text, normalize.exact))
    >>> person.forms({"first": "Ada", "born": 1815})
    ('ada|1815',)
    >>> known = key("first", "born", normalize=normalize.exact, blocked={"born": ["0"]})
    >>> (
    ...     known.forms({"first": "Ada", "born": 1815}),
    ...     known.forms({"first": "A", "born": 0}),
    ... )
    (('Ada|1815',), ())
    """
    normalizers = normalize if isinstance(normalize, tuple) else (normalize,)
    names: tuple[Any, ...] = fields
    if not names:
        raise InvalidPolicy("key: needs at least one field; name its fields")
    distinct: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name:
            what = f"field names must be str, got {describe(name)}"
            raise InvalidPolicy(f"key: {what}; name the fields one by one")
        if name in distinct:
            what = f"duplicate field {show_value(name)}"
            raise InvalidPolicy(f"key: {what}; name each field once")
        distinct.add(name)
    for normalizer in normalizers:
        check_normaliser("key: normalize", normalizer)
    if any_of and (len(fields) < 2 or len(normalizers) > 1):
        what = "any_of needs two fields or more and one normaliser"
        raise InvalidPolicy(f"key: {what}; name the primary and the other fields")
    if len(normalizers) not in (1, len(fields)):
        count = len(normalizers)
        what = f"normalize must be one function or {len(fields)}, not {count}"
        raise InvalidPolicy(f"key: {what}; pass one for each field")
    if append_new and not any_of:
        what = "append_new needs a primary and a list"
        raise InvalidPolicy(f"key: {what}; set any_of=True")
    if len(normalizers) < len(fields):
        normalizers *= len(fields)
    options = (unique, keep_aliases, max_forms, any_of, append_new, blocked)
    return Key("", fields, normalizers, *options)


def _escape(part: str) -> str:
    return part.replace("\\", "\\\\").replace("|", "\\|")


def _strip(part: re.Match[str]) -> str:
    return part[0].strip()
