"""
The exceptions: what may go wrong, and what would be right.

Rules:
    Every message names the field or key, shows the value, says what would be right.
    Plain classes with positional arguments, so that each one pickles and copies.
    When one is raised nothing has been written.
"""

from __future__ import annotations

from typing import Any

from upsertcore.refusals import (
    ChangesNotRetained,
    ContactDeleted,
    DuplicatePatch,
    IdempotencyKeyReused,
    Refused,
    StaleOutcome,
    StalePlan,
    StaleVersion,
    UpsertError,
)
from upsertcore.showing import closest, listed, named, shown

__all__ = [
    "AmbiguousMatch",
    "ChangesNotRetained",
    "ContactDeleted",
    "CreateRefused",
    "DuplicatePatch",
    "IdempotencyKeyReused",
    "InvalidField",
    "InvalidPolicy",
    "InvalidRows",
    "KeyInUse",
    "MissingField",
    "NoMatchKey",
    "Refused",
    "StaleOutcome",
    "StalePlan",
    "StaleVersion",
    "UnknownContact",
    "UnknownField",
    "UpdateRefused",
    "UpsertError",
]


class InvalidPolicy(UpsertError, ValueError):
    """
    A policy that cannot work, found when it is made.

    Args:
        reason: Which line of the table, and what would be right.

    >>> str(InvalidPolicy("email: a unique field needs a key"))
    'email: a unique field needs a key'
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InvalidField(Refused, ValueError):
    """
    A value that its field, or an argument, does not take.

    Args:
        field: The name of the field.
        value: What was sent, None for null. Not retained where ``holder`` is set: the
            value is another contact's.
        reason: What is wrong, and after a semicolon what to do, in words that follow
            the field's name. The message shows the value once, where it fits.
        path: Where in the field the value is, such as ``[1]`` or ``.city``.
        holder: The id of the contact that holds the value, None where it was sent.

    >>> str(InvalidField("age", "x", "must be a number; send 36"))
    "age: must be a number, not 'x'; send 36"
    >>> str(InvalidField("age", None, "must not be null"))
    'age: must not be null'
    >>> str(InvalidField("id", "c-1", "is a duplicate contact id"))
    "id: 'c-1' is a duplicate contact id"
    >>> str(InvalidField("age", "x", "no number", "[1]"))
    "age[1]: no number: 'x'"
    >>> str(InvalidField("age", "x", "must be a number", holder="c-2"))
    'age: must be a number, and contact c-2 holds another value'
    """

    def __init__(
        self,
        field: str,
        value: Any,
        reason: str,
        path: str = "",
        holder: str | None = None,
    ) -> None:
        rest = (path, holder) if holder is not None else (path,) if path else ()
        value = value if holder is None else None
        super().__init__(field, value, reason, *rest)
        self.field, self.value, self.reason = field, value, reason
        self.path, self.holder = path, holder

    def __str__(self) -> str:
        what, semicolon, advice = self.reason.partition("; ")
        value = shown(self.value)
        if self.holder is not None:
            what = f"{what}, and contact {self.holder} holds another value"
        elif what.startswith(("must not ", "needs ")):
            pass
        elif what.startswith("must "):
            what = f"{what}, not {value}"
        elif what.startswith(("is ", "has ")):
            what = f"{value} {what}"
        elif value not in what:
            what = f"{what}: {value}"
        return f"{self.field}{self.path}: {what}{semicolon}{advice}"


class InvalidRows(Refused, ValueError):
    """
    Rows that a book cannot be made of.

    Args:
        count: How many rows were read.
        refusals: One for each row that was refused, in the order of the rows; ``row``
            of each is its place, from 0.

    >>> bad = InvalidField("id", "c-1", "is a duplicate contact id")
    >>> bad.row = 7
    >>> print(InvalidRows(9, (bad,)))
    rows: 1 of 9 cannot be loaded; correct or remove
      row 7: id: 'c-1' is a duplicate contact id
    """

    def __init__(self, count: int, refusals: tuple[Refused, ...]) -> None:
        super().__init__(count, refusals)
        self.count, self.refusals = count, refusals
        self.row = refusals[0].row

    def __str__(self) -> str:
        bad = len(self.refusals)
        lines = [f"rows: {bad} of {self.count} cannot be loaded; correct or remove"]
        lines += [f"row {each.row}: {each}" for each in self.refusals[:5]]
        if bad > 5:
            lines.append(f"and {bad - 5} more, in refusals of this error")
        return "\n  ".join(lines)


class MissingField(Refused, ValueError):
    """
    A field that creating needs and the patch does not carry.

    Args:
        field: The name of the field.

    >>> str(MissingField("email"))
    'email: is required to create a contact; send a value that is not blank'
    """

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field

    def __str__(self) -> str:
        what = "is required to create a contact; send a value that is not blank"
        return f"{self.field}: {what}"


class UnknownField(Refused, ValueError):
    """
    A field that the policy does not declare and has no rule for.

    Args:
        field: The name as it was sent (perhaps not text).
        known: The names that the policy declares.

    >>> str(UnknownField("emial", ("email", "phone")))
    'emial: unknown field; did you mean email? This policy has: email, phone'
    >>> str(UnknownField("email", ()))
    'email: unknown field; this policy declares none'
    """

    def __init__(self, field: Any, known: tuple[str, ...]) -> None:
        super().__init__(field, known)
        self.field, self.known = field, known

    def __str__(self) -> str:
        advice = f"this policy has: {listed(self.known)}"
        if not self.known:
            advice = "this policy declares none"
        elif close := closest(self.field, self.known):
            advice = f"did you mean {close}? T{advice[1:]}"
        return f"{named(self.field)}: unknown field; {advice}"


class NoMatchKey(Refused, LookupError):
    """
    A patch that carries none of the keys that identify a contact.

    Args:
        tried: The names of the keys, in the order of the strategy.
        reasons: For each of them its name, why the patch does not carry it, and the
            sent value that makes no key, None where there is none.

    >>> reasons = ("id", "omitted", None), ("phone", "national number", "555-0105")
    >>> for line in str(NoMatchKey(("id", "phone"), reasons)).split("; "):
    ...     print(line)
    patch: has no key to match by (id is omitted, phone '555-0105' is a national number)
    send a usable value for id or phone, or use normalize.phone_in as the key
    >>> str(NoMatchKey(("email", "phone")))
    'patch: has no key to match by; send a usable value for email or phone'
    """

    def __init__(
        self,
        tried: tuple[str, ...],
        reasons: tuple[tuple[str, str, Any], ...] = (),
    ) -> None:
        super().__init__(tried, reasons)
        self.tried, self.reasons = tried, reasons

    def __str__(self) -> str:
        names = " or ".join(self.tried)
        why = ", ".join([_without_key(*each) for each in self.reasons])
        told = f"patch: has no key to match by{f' ({why})' if why else ''}"
        told += f"; send a usable value for {names}"
        if any(reason == "national number" for _, reason, _ in self.reasons):
            told += ", or use normalize.phone_in as the key"
        return told


def _without_key(key: str, reason: str, value: Any) -> str:
    what = key if value is None else f"{key} {shown(value)}"
    if reason == "no usable form":
        return f"{what} has no usable form"
    return f"{what} is {'a ' if reason == 'national number' else ''}{reason}"


class AmbiguousMatch(Refused, LookupError):
    """
    Keys that match more than one contact.

    Args:
        key: The name of the key that was consulted last.
        ids: The ids of the contacts, as the keys found them; the holders of one key
            are in the order of their creation.

    >>> str(AmbiguousMatch("phone", ("c-1", "c-2"))).partition("; ")[0]
    'phone: matches more than one contact: c-1, c-2'
    """

    def __init__(self, key: str, ids: tuple[str, ...]) -> None:
        super().__init__(key, ids)
        self.key, self.ids = key, ids

    def __str__(self) -> str:
        what = f"matches more than one contact: {listed(self.ids, 5)}"
        advice = "merge them, send keys of one contact, or set on_ambiguous"
        return f"{self.key}: {what}; {advice}"


class KeyInUse(Refused, ValueError):
    """
    A unique key that another contact holds.

    Args:
        field: The name of the unique field.
        value: What was sent of it, cleaned; None, or a mapping without names, where
            the patch did not send it.
        holder: The id of the contact that holds it.

    >>> str(KeyInUse("email", "a@x.org", "c-1"))
    "email: 'a@x.org' is held by contact c-1; send another value or update that one"
    >>> str(KeyInUse("email", None, "c-1"))
    'email: would be a key that contact c-1 holds; merge with that contact, or clear it'
    """

    def __init__(self, field: str, value: Any, holder: str) -> None:
        super().__init__(field, value, holder)
        self.field, self.value, self.holder = field, value, holder

    def __str__(self) -> str:
        if self.value is None or self.value == {}:
            what = f"would be a key that contact {self.holder} holds"
            return f"{self.field}: {what}; merge with that contact, or clear it"
        held = f"{self.field}: {shown(self.value)} is held by contact {self.holder}"
        return f"{held}; send another value or update that one"


class CreateRefused(Refused):
    """
    A patch that no contact matches, under a policy that creates none.

    >>> str(CreateRefused())
    "patch: no contact matches it; to create one, set on_not_found='create'"
    """

    def __str__(self) -> str:
        return "patch: no contact matches it; to create one, set on_not_found='create'"


class UpdateRefused(Refused):
    """
    A patch that would change a contact, under a policy that changes none.

    Args:
        id: The id of the contact.

    >>> str(UpdateRefused("c-1"))
    "patch: would change contact c-1; to allow that, set on_found='update'"
    """

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        what = f"would change contact {self.id}"
        return f"patch: {what}; to allow that, set on_found='update'"


class UnknownContact(UpsertError, KeyError):
    """
    An id that no contact has.

    Args:
        id: The id that was asked for.

    >>> str(UnknownContact("c-9"))
    "id: no contact has 'c-9'; use find(key, value)"
    >>> str(UnknownContact(9))
    'id: must be str, not int; pass the id of a contact, as contact.id'
    """

    def __init__(self, id: Any) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        if not isinstance(self.id, str):
            kind = type(self.id).__name__
            return (
                f"id: must be str, not {kind}; pass the id of a contact, as contact.id"
            )
        advice = "use find(key, value)"
        return f"id: no contact has {shown(self.id)}; {advice}"
