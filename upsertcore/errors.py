"""
The exceptions of the library.

Rules:
    A message names a field or an argument, what is wrong, and what to do.
    No message shows a value of another contact.
    Every exception can be pickled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, TypeVar, final

from upsertcore.values import (
    callable_name,
    closest_name,
    kind_of,
    list_names,
    show_name,
    show_value,
)

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
    "KeysDisagree",
    "MissingField",
    "NoMatchKey",
    "Overtaken",
    "Refused",
    "StaleOutcome",
    "StalePlan",
    "StaleVersion",
    "UnknownContact",
    "UnknownField",
    "UnknownId",
    "UpdateRefused",
    "UpsertError",
]

E = TypeVar("E", bound=Exception)


class UpsertError(Exception):
    """
    The base of all errors of this library.

    >>> issubclass(Refused, UpsertError)
    True
    """


class Refused(UpsertError):
    """
    A call that was refused: the book has not changed.

    In a batch, ``row`` is the number of the patch, from 0. A refusal that ends a batch
    has the outcomes of the rows before it in ``outcomes``. ``is_from_caller`` is True
    if a function of the caller raised it; the library then re-raises it unchanged.

    >>> issubclass(StalePlan, Refused)
    True
    >>> StalePlan("contact c-1 is gone").row is None
    True
    """

    row: int | None = None
    outcomes: Sequence[Any] = ()
    is_from_caller: bool = False

    def to_dict(self) -> dict[str, Any]:
        """
        Return a dict of plain values, ready for JSON.

        Returns:
            ``result`` (``"refused"``), ``error`` (the name of the class), ``message``,
            ``field`` and ``row``; these two are None where there is none.

        >>> MissingField("email").to_dict()["error"]
        'MissingField'
        """
        field = getattr(self, "field", None)
        return {
            "result": "refused",
            "error": type(self).__name__,
            "message": str(self),
            "field": None if field is None else show_name(field),
            "row": self.row,
        }


class StaleVersion(Refused):
    """
    A contact that is not at the version that the caller expects.

    Args:
        id: The id of the contact, None where none matches the patch.
        expected: The expected version.
        actual: The version of the contact, None where there is none.

    >>> str(StaleVersion("c-1", 2, 3))
    'if_version: contact c-1 is at version 3, not 2; re-read it and retry'
    >>> str(StaleVersion(None, 2, None))
    'if_version: 2 was given, but no contact matches; leave it out to create one'
    """

    def __init__(self, id: str | None, expected: int, actual: int | None) -> None:
        super().__init__(id, expected, actual)
        self.id, self.expected, self.actual = id, expected, actual

    def __str__(self) -> str:
        if self.id is None:
            what = f"{self.expected} was given, but no contact matches"
            return f"if_version: {what}; leave it out to create one"
        what = f"contact {self.id} is at version {self.actual}, not {self.expected}"
        return f"if_version: {what}; re-read it and retry"


class ContactDeleted(Refused):
    """
    A patch that matches a deleted contact, where the policy does not restore it.

    Args:
        id: The id of the contact.

    >>> str(ContactDeleted("c-1"))
    "contact c-1: deleted, and this policy restores none; set on_deleted='restore'"
    """

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        what = "deleted, and this policy restores none"
        return f"contact {self.id}: {what}; set on_deleted='restore'"


class DuplicatePatch(Refused):
    """
    A patch of a batch that shares a key with another patch of the batch.

    Args:
        row: The number of the patch in the batch, from 0.
        rows: The numbers of the patches that it shares a key with, directly or through
            others; its own may be among them. Refusals of one group share this tuple.

    >>> str(DuplicatePatch(3, (1,)))
    'row 3: shares a key with row 1; send one patch for each contact'
    >>> DuplicatePatch(3, (1, 3)).others
    (1,)
    """

    def __init__(self, row: int, rows: tuple[int, ...]) -> None:
        super().__init__(row, rows)
        self.row, self.rows = row, rows

    @property
    def others(self) -> tuple[int, ...]:
        """The numbers of the other patches, computed anew each time."""
        return tuple([row for row in self.rows if row != self.row])

    def __str__(self) -> str:
        others = (str(row) for row in self.rows if row != self.row)
        first = [*islice(others, 6)]
        noun = "row" if len(first) == 1 else "rows"
        numbers = ", ".join(first[:5]) + (", ..." if len(first) > 5 else "")
        advice = "send one patch for each contact"
        return f"row {self.row}: shares a key with {noun} {numbers}; {advice}"


class IdempotencyKeyReused(Refused, ValueError):
    """
    An idempotency key that was used for another call.

    Args:
        key: The idempotency key.

    >>> str(IdempotencyKeyReused("k-1"))
    "idempotency_key: 'k-1' was used for another call; use a new key for each call"
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        what = f"{show_value(self.key)} was used for another call"
        return f"idempotency_key: {what}; use a new key for each call"


class _Stale(Refused):
    """An argument that depends on something that has changed since."""

    name = advice = ""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}; {self.advice}"


class StalePlan(_Stale):
    """
    A plan whose preconditions no longer hold.

    Args:
        reason: What has changed since.

    >>> str(StalePlan("contact c-1 is gone"))
    'plan: contact c-1 is gone; plan again'
    """

    name, advice = "plan", "plan again"


class StaleOutcome(_Stale):
    """
    An outcome that cannot be undone, because of a later change.

    Args:
        reason: What has changed since.

    >>> str(StaleOutcome("contact c-1 is gone"))
    'outcome: contact c-1 is gone; it can no longer be undone'
    """

    name, advice = "outcome", "it can no longer be undone"


class ChangesNotRetained(UpsertError, LookupError):
    """
    Changes that a book no longer retains.

    Args:
        number: The changes after this number were requested.
        first: The number of the oldest change that is, or will be, retained.
        retains: False for a book that retains no changes.

    >>> str(ChangesNotRetained(3, 10))
    'number: changes after 3 are no longer retained; the oldest available is 10'
    >>> str(ChangesNotRetained(0, 10, retains=False))
    'number: this book retains no changes; set retain_changes=None or a number'
    """

    def __init__(self, number: int, first: int, retains: bool = True) -> None:  # noqa: FBT001, FBT002
        super().__init__(number, first, retains)
        self.number, self.first, self.retains = number, first, retains

    def __str__(self) -> str:
        if not self.retains:
            advice = "set retain_changes=None or a number"
            return f"number: this book retains no changes; {advice}"
        what = f"changes after {self.number} are no longer retained"
        return f"number: {what}; the oldest available is {self.first}"


class Overtaken(UpsertError):
    """
    A transaction of a database that has to begin again: another one was first.

    Args:
        reason: What the database reports.

    >>> str(Overtaken("database is locked"))
    'transaction: database is locked; roll it back, and begin again'
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"transaction: {self.reason}; roll it back, and begin again"


def note_function(
    error: Exception, field: str, role: str, function: object, value: object
) -> None:
    """
    Add the field and the function to an exception that a caller's function raised.

    Args:
        error: The exception. The note does not show the value, which may be stored.
        field: The name of the field.
        role: The role of the function, such as ``"clean"``.
        function: The function that raised.
        value: Its argument.

    >>> error = ValueError("too old")
    >>> note_function(error, "born", "clean", int, "1815")
    >>> error.__notes__
    ['born: clean int raised this for text']
    """
    what = f"{role} {callable_name(function)} raised this for {kind_of(value)}"
    add_note(error, f"{field}: {what}")
    if isinstance(error, Refused):
        error.is_from_caller = True


def with_row(error: E, row: int, outcomes: Sequence[Any] = (), noun: str = "row") -> E:
    """
    Add the row of a batch to an exception.

    Args:
        error: A refusal, or an exception of a function of the caller.
        row: The number of the row, from 0.
        outcomes: The outcomes of the rows before it.
        noun: What the batch consists of.

    Returns:
        The exception, with the attributes ``row`` and ``outcomes`` and a note.

    >>> error = with_row(ValueError("too old"), 7)
    >>> error.row, error.outcomes, error.__notes__
    (7, (), ['row 7'])
    """
    add_note(error, f"{noun} {row}")
    with contextlib.suppress(AttributeError, TypeError):
        error.row, error.outcomes = row, outcomes  # type: ignore[attr-defined]
    return error


def add_note(error: BaseException, text: str) -> None:
    """
    Add a note to an exception, if that is possible.

    An exception of a caller, such as a frozen dataclass, may accept no attributes.

    >>> error = ValueError("too old")
    >>> add_note(error, "row 7")
    >>> error.__notes__
    ['row 7']
    """
    with contextlib.suppress(AttributeError, TypeError):
        error.add_note(text)


def row_context(row: int) -> AbstractContextManager[None]:
    """
    Return a context manager that adds the row of a batch to any exception.

    >>> with row_context(7):
    ...     raise ValueError("too old")
    Traceback (most recent call last):
    ...
    ValueError: too old
    row 7
    """
    return _At(row)


@final
class _At:
    # contextlib.contextmanager would set the traceback, which some exceptions refuse.
    __slots__ = ("_row",)

    def __init__(self, row: int) -> None:
        self._row = row

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if isinstance(error, Exception):
            with_row(error, self._row)


class InvalidPolicy(UpsertError, ValueError):
    """
    An invalid policy, or an invalid override of one.

    Args:
        reason: The field or option, what is wrong, and what to do.

    >>> str(InvalidPolicy("email: a unique field needs a key"))
    'email: a unique field needs a key'
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InvalidField(Refused, ValueError):
    """
    An invalid value of a field or an argument.

    Args:
        field: The name of the field.
        value: The sent value, None for null. It is not kept where ``holder`` is set,
            because it belongs to another contact.
        reason: What is wrong and, after a semicolon, what to do. It reads after the
            name of the field; the message inserts the value where it fits.
        path: The position of the value in the field, such as ``[1]`` or ``.city``.
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
        value = show_value(self.value)
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
    Rows that cannot be loaded into a book.

    Args:
        count: The number of rows that were read.
        refusals: The refusals of the bad rows, one for each conflict, in the order of
            the rows; the ``row`` of each is the number of its row, from 0.

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
        bad = len({refusal.row for refusal in self.refusals})
        lines = [f"rows: {bad} of {self.count} cannot be loaded; correct or remove"]
        lines += [f"row {refusal.row}: {refusal}" for refusal in self.refusals[:5]]
        more = len(self.refusals) - 5
        if more > 0:
            lines.append(f"and {more} more, in refusals of this error")
        return "\n  ".join(lines)


class MissingField(Refused, ValueError):
    """
    A required field that a patch lacks when it would create a contact, or replace one.

    Args:
        field: The name of the field.
        is_cleared: Whether the contact has it, and ``omitted="clear"`` would clear it.

    >>> str(MissingField("email"))
    'email: is required to create a contact; send a value that is not blank'
    >>> str(MissingField("email", is_cleared=True))
    "email: is required, and omitted='clear' would clear it; send it"
    """

    def __init__(self, field: str, *, is_cleared: bool = False) -> None:
        super().__init__(field)
        self.field, self.is_cleared = field, is_cleared

    def __str__(self) -> str:
        what = "is required to create a contact; send a value that is not blank"
        if self.is_cleared:
            what = "is required, and omitted='clear' would clear it; send it"
        return f"{self.field}: {what}"


class UnknownField(Refused, ValueError):
    """
    A field that the policy does not declare, where it has no ``extra_fields``.

    Args:
        field: The name as it was sent; it may not be text.
        known: The names of the declared fields.

    >>> str(UnknownField("emial", ("email", "phone")))
    'emial: unknown field; did you mean email? This policy has: email, phone'
    >>> str(UnknownField("email", ()))
    'email: unknown field; this policy declares none'
    """

    def __init__(self, field: Any, known: tuple[str, ...]) -> None:
        super().__init__(field, known)
        self.field, self.known = field, known

    def __str__(self) -> str:
        advice = f"this policy has: {list_names(self.known)}"
        if not self.known:
            advice = "this policy declares none"
        elif close := closest_name(self.field, self.known):
            advice = f"did you mean {close}? T{advice[1:]}"
        return f"{show_name(self.field)}: unknown field; {advice}"


class NoMatchKey(Refused, LookupError):
    """
    A patch that carries none of the keys of the match strategy.

    Args:
        tried: The names of the keys, in the order of the strategy.
        reasons: For each key its name, why the patch does not carry it, and the sent
            value that has no key, None where there is none.

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
        details = ", ".join([_describe_absence(*reason) for reason in self.reasons])
        message = f"patch: has no key to match by{f' ({details})' if details else ''}"
        message += f"; send a usable value for {names}"
        if any(reason == "national number" for _, reason, _ in self.reasons):
            message += ", or use normalize.phone_in as the key"
        return message


def _describe_absence(key: str, reason: str, value: Any) -> str:
    what = key if value is None else f"{key} {show_value(value)}"
    if reason == "no usable form":
        return f"{what} has no usable form"
    return f"{what} is {'a ' if reason == 'national number' else ''}{reason}"


class AmbiguousMatch(Refused, LookupError):
    """
    One value of a key that several contacts hold, where the policy chooses none.

    Args:
        key: The name of the key.
        ids: The ids of the contacts, by creation.

    >>> str(AmbiguousMatch("phone", ("c-1", "c-2"))).partition("; ")[0]
    'phone: matches more than one contact: c-1, c-2'
    """

    def __init__(self, key: str, ids: tuple[str, ...]) -> None:
        super().__init__(key, ids)
        self.key, self.ids = key, ids

    def __str__(self) -> str:
        what = f"matches more than one contact: {list_names(self.ids, 5)}"
        advice = "merge them, send keys of one contact, or set on_ambiguous"
        return f"{self.key}: {what}; {advice}"


class KeysDisagree(Refused, LookupError):
    """
    Keys of a patch that match different contacts, where the strategy is ``all_agree``.

    Args:
        hits: The name of each key that matches a contact, in the order of the strategy,
            and the ids of the contacts that its values match.

    >>> error = KeysDisagree((("email", ("c-1",)), ("phone", ("c-2", "c-1"))))
    >>> for line in str(error).split("; "):
    ...     print(line)
    patch: has keys of different contacts (email of c-1, phone of c-2, c-1)
    merge them, or send keys of one contact
    >>> error.keys, error.ids
    (('email', 'phone'), ('c-1', 'c-2'))
    """

    def __init__(self, hits: tuple[tuple[str, tuple[str, ...]], ...]) -> None:
        super().__init__(hits)
        self.hits = hits

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the keys, in the order of the strategy."""
        return tuple([key for key, _ids in self.hits])

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the contacts, each once, in the order of the keys."""
        return tuple(dict.fromkeys([id for _key, ids in self.hits for id in ids]))

    def __str__(self) -> str:
        hits = [f"{key} of {list_names(ids, 5)}" for key, ids in self.hits]
        what = f"patch: has keys of different contacts ({', '.join(hits)})"
        return f"{what}; merge them, or send keys of one contact"


class KeyInUse(Refused, ValueError):
    """
    A unique key that another contact holds.

    Args:
        field: The name of the unique field or key.
        value: The sent value, cleaned; None, or an empty mapping, where the patch did
            not send it.
        holder: The id of the contact that holds it.

    >>> str(KeyInUse("email", "a@x", "c-1"))
    "email: 'a@x' is held by contact c-1; send another value, or update that contact"
    >>> str(KeyInUse("email", None, "c-1"))
    'email: would make a key that contact c-1 holds; merge the contacts, or clear it'
    """

    def __init__(self, field: str, value: Any, holder: str) -> None:
        super().__init__(field, value, holder)
        self.field, self.value, self.holder = field, value, holder

    def __str__(self) -> str:
        if self.value is None or self.value == {}:
            what = f"would make a key that contact {self.holder} holds"
            return f"{self.field}: {what}; merge the contacts, or clear it"
        what = (
            f"{self.field}: {show_value(self.value)} is held by contact {self.holder}"
        )
        return f"{what}; send another value, or update that contact"


class CreateRefused(Refused):
    """
    A patch that matches no contact, where the policy does not create one.

    >>> str(CreateRefused())
    "patch: no contact matches it; to create one, set on_not_found='create'"
    """

    def __str__(self) -> str:
        return "patch: no contact matches it; to create one, set on_not_found='create'"


class UpdateRefused(Refused):
    """
    A patch that would change a contact, where the policy refuses updates.

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


class UnknownId(Refused):
    """
    An id that no contact has, where the policy accepts known ids only.

    Args:
        field: ``id``, or the field that carried it.
        id: The id.

    >>> str(UnknownId("id", "c-9"))
    "id: no contact has 'c-9'; leave it out, or set on_unknown_id='create'"
    """

    def __init__(self, field: str, id: str) -> None:
        super().__init__(field, id)
        self.field, self.id = field, id

    def __str__(self) -> str:
        advice = "leave it out, or set on_unknown_id='create'"
        return f"{self.field}: no contact has {show_value(self.id)}; {advice}"


class UnknownContact(UpsertError, KeyError):
    """
    An id that no contact has.

    Args:
        id: The requested id.

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
        return f"id: no contact has {show_value(self.id)}; {advice}"
