"""
The exceptions: what may go wrong, and what would be right.

Rules:
    Every message names the field or key, shows the value, says what would be right.
    Plain classes with positional arguments, so that each one pickles and copies.
    When one is raised nothing has been written.
"""

from __future__ import annotations

import reprlib
from typing import Any

__all__ = [
    "AmbiguousMatch",
    "CreateRefused",
    "InvalidField",
    "InvalidPolicy",
    "KeyInUse",
    "MissingField",
    "NoMatchKey",
    "Refused",
    "StalePlan",
    "StaleVersion",
    "UnknownContact",
    "UnknownField",
    "UpdateRefused",
    "UpsertError",
    "shown",
]

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2


def shown(value: object) -> str:
    """
    Show a value in a message: short, printable, and whatever it is.

    Args:
        value: Anything, also what cannot be printed (a lone surrogate, an
            integer of five thousand digits, a megabyte of text).

    Returns:
        At most about 60 characters for a scalar.

    >>> shown("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
    """
    try:
        return _SHORT.repr(value)
    except Exception:  # noqa: BLE001 - a message must never hide the refusal it is for
        return f"<{type(value).__name__}>"


class UpsertError(Exception):
    """
    The base of all errors of this library.

    >>> issubclass(Refused, UpsertError)
    True
    """


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


class Refused(UpsertError):
    """
    A call that was refused: the book is as it was before.

    >>> issubclass(KeyInUse, Refused)
    True
    """


class InvalidField(Refused, ValueError):
    """
    A value that its field does not take.

    Args:
        field: The name of the field.
        value: What was sent.
        reason: What would be right.

    >>> str(InvalidField("age", "x", "must be a number"))
    "age: must be a number, not 'x'"
    """

    def __init__(self, field: str, value: Any, reason: str) -> None:
        super().__init__(field, value, reason)
        self.field, self.value, self.reason = field, value, reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}, not {shown(self.value)}"


class MissingField(Refused, ValueError):
    """
    A field that creating needs and the patch does not carry.

    Args:
        field: The name of the field.

    >>> str(MissingField("email"))
    'email: required to create a contact; send a value that is not blank'
    """

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field

    def __str__(self) -> str:
        return (
            f"{self.field}: required to create a contact; "
            "send a value that is not blank"
        )


class UnknownField(Refused, ValueError):
    """
    A field that the policy does not declare and has no rule for.

    Args:
        field: The name as it was sent (perhaps not text).
        known: The names that the policy declares.

    >>> str(UnknownField("emial", ("email", "phone")))
    "'emial': not a field of this policy, which has email, phone"
    """

    def __init__(self, field: Any, known: tuple[str, ...]) -> None:
        super().__init__(field, known)
        self.field, self.known = field, known

    def __str__(self) -> str:
        return (
            f"{shown(self.field)}: not a field of this policy, "
            f"which has {', '.join(self.known)}"
        )


class NoMatchKey(Refused, LookupError):
    """
    A patch that carries none of the keys that identify a contact.

    Args:
        tried: The names of the keys, in the order of the strategy.

    >>> str(NoMatchKey(("email", "phone")))
    'no key to match by: send a usable value for email or phone'
    """

    def __init__(self, tried: tuple[str, ...]) -> None:
        super().__init__(tried)
        self.tried = tried

    def __str__(self) -> str:
        names = " or ".join(self.tried)
        return f"no key to match by: send a usable value for {names}"


class AmbiguousMatch(Refused, LookupError):
    """
    Keys that point at more than one contact.

    Args:
        key: The name of the key that was consulted last.
        ids: The ids of the contacts, as the keys found them; the holders of one key
            stand by creation.

    >>> str(AmbiguousMatch("phone", ("c-1", "c-2")))
    'phone: more than one contact answers to it: c-1, c-2'
    """

    def __init__(self, key: str, ids: tuple[str, ...]) -> None:
        super().__init__(key, ids)
        self.key, self.ids = key, ids

    def __str__(self) -> str:
        names = ", ".join(self.ids[:5]) + (", ..." if len(self.ids) > 5 else "")
        return f"{self.key}: more than one contact answers to it: {names}"


class KeyInUse(Refused, ValueError):
    """
    A unique key that another contact holds.

    Args:
        field: The name of the unique field.
        value: What was sent, cleaned and merged.
        holder: The id of the contact that holds it.

    >>> str(KeyInUse("email", "a@x.org", "c-1"))
    "email: 'a@x.org' is held by contact c-1; send another value or update that one"
    """

    def __init__(self, field: str, value: Any, holder: str) -> None:
        super().__init__(field, value, holder)
        self.field, self.value, self.holder = field, value, holder

    def __str__(self) -> str:
        return (
            f"{self.field}: {shown(self.value)} is held by contact {self.holder}; "
            "send another value or update that one"
        )


class CreateRefused(Refused):
    """
    A patch that finds nobody, under a policy that creates nobody.

    >>> str(CreateRefused())
    'no contact answers to the patch, and this policy does not create any'
    """

    def __str__(self) -> str:
        return "no contact answers to the patch, and this policy does not create any"


class UpdateRefused(Refused):
    """
    A patch that would change a contact, under a policy that changes none.

    Args:
        id: The id of the contact.

    >>> str(UpdateRefused("c-1"))
    'contact c-1 would change, and this policy does not update any'
    """

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"contact {self.id} would change, and this policy does not update any"


class StaleVersion(Refused):
    """
    A contact that is not at the version which the caller named.

    Args:
        id: The id of the contact, None where the patch finds nobody.
        expected: The version that was named.
        actual: The version that the contact has, None where there is none.

    >>> str(StaleVersion("c-1", 2, 3))
    'contact c-1 is at version 3, not 2: read it again and decide anew'
    """

    def __init__(
        self,
        id: str | None,
        expected: int,
        actual: int | None,
    ) -> None:
        super().__init__(id, expected, actual)
        self.id, self.expected, self.actual = id, expected, actual

    def __str__(self) -> str:
        if self.id is None:
            return f"no contact answers to the patch; version {self.expected} was named"
        return (
            f"contact {self.id} is at version {self.actual}, not {self.expected}: "
            "read it again and decide anew"
        )


class StalePlan(Refused):
    """
    A plan whose preconditions no longer hold.

    Args:
        reason: What has changed since.

    >>> str(StalePlan("contact c-1 is gone"))
    'contact c-1 is gone: plan again'
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason}: plan again"


class UnknownContact(UpsertError, KeyError):
    """
    An id that no contact has.

    Args:
        id: The id that was asked for.

    >>> str(UnknownContact("c-9"))
    "no contact has the id 'c-9'"
    """

    def __init__(self, id: Any) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"no contact has the id {shown(self.id)}"
