"""
Arguments: what a caller passes to a verb, checked before anything is done.

Rules:
    A message names the argument, shows what was passed, and says what to pass.
    An argument that is part of the caller's code (a policy, a plan, a choice) raises
    a built-in error or ``InvalidPolicy``; one that may come from outside is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict, get_args

from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import InvalidField, InvalidPolicy, UnknownContact
from upsertcore.model.contact import Contact
from upsertcore.policy.policy import Policy
from upsertcore.store.contact_index import ContactIndex
from upsertcore.values import describe

__all__ = [
    "BookOptions",
    "Keep",
    "OnDuplicates",
    "OnItself",
    "OnRefused",
    "check_batch",
    "check_choice",
    "check_count",
    "check_function",
    "check_index",
    "check_number",
    "check_outcome",
    "check_plan",
    "check_policy",
    "check_several",
    "check_version",
    "plain_id",
]

Keep = Literal["oldest", "newest"]
OnRefused = Literal["raise", "collect"]
OnItself = Literal["refuse", "ignore"]
OnDuplicates = Literal["fold", "refuse_later", "refuse_all"]


class BookOptions(TypedDict, total=False):
    """The arguments of a book, without its policy."""

    ids: Callable[[], str] | None
    clock: Callable[[], datetime] | None
    index: ContactIndex | None
    retain_calls: int
    retain_changes: int | None


def check_policy(name: str, policy: object, advice: str = "") -> None:
    """
    Check that an argument is a policy.

    Raises:
        InvalidPolicy: If it is not.

    >>> check_policy("policy", {}, "make one")
    Traceback (most recent call last):
    ...
    upsertcore.errors.InvalidPolicy: policy: must be a Policy, not dict; make one
    """
    if not isinstance(policy, Policy):
        kind = type(policy).__name__
        what = describe(policy) if isinstance(policy, type) else kind
        advice = advice or "make one: Policy(first_match('email'), {'email': ...})"
        raise InvalidPolicy(f"{name}: must be a Policy, not {what}; {advice}")


def check_function(name: str, function: object, advice: str) -> None:
    """
    Check that an argument can be called, or is None.

    Raises:
        TypeError: If it cannot.

    >>> check_function("ids", ["c-1"], "pass uuid4().hex, say")
    Traceback (most recent call last):
    ...
    TypeError: ids: must be a function, not ['c-1']; pass uuid4().hex, say
    """
    if function is not None and not callable(function):
        what = f"{name}: must be a function, not {describe(function)}"
        raise TypeError(f"{what}; {advice}")


def check_count(name: str, count: object, advice: str) -> None:
    """
    Check that an argument is a whole number from 0.

    Raises:
        ValueError: If it is not.

    >>> check_count("retain_calls", 0, "pass 1000, say")
    """
    if type(count) is not int or count < 0:
        what = f"{name}: must be a whole number from 0, not {describe(count)}"
        raise ValueError(f"{what}; {advice}")


def check_index(index: object) -> None:
    """
    Check that an argument is an index, or None.

    Raises:
        TypeError: If it is neither.

    >>> check_index(None)
    """
    if index is not None and not hasattr(index, "holders"):
        what = f"must be a ContactIndex, not {describe(index)}"
        raise TypeError(f"index: {what}; make it with the keys of the policy")


def check_choice(name: str, value: object, choices: Any) -> None:
    """
    Check that an argument is one of several choices.

    Args:
        name: The name of the argument.
        value: What the caller passed.
        choices: A ``Literal`` type.

    Raises:
        ValueError: If it is none of them.

    >>> from typing import Literal
    >>> check_choice("on_refused", "skip", Literal["raise", "collect"])
    Traceback (most recent call last):
    ...
    ValueError: on_refused: must be 'raise' or 'collect', not 'skip'
    """
    allowed = get_args(choices)
    if not isinstance(value, str) or value not in allowed:
        *first, last = map(repr, allowed)
        what = f"must be {', '.join(first)} or {last}"
        raise ValueError(f"{name}: {what}, not {describe(value)}")


def check_several(name: str, values: Any, advice: str) -> None:
    """
    Check that an argument is an iterable of patches or rows.

    Raises:
        TypeError: If it is a single mapping, text, or cannot be iterated.

    >>> check_several("patches", {"email": "ada@x.org"}, "put one patch into a list")
    Traceback (most recent call last):
    ...
    TypeError: patches: must be a list of mappings, not dict; put one patch into a list
    """
    is_single = isinstance(values, (Mapping, str, bytes, Contact, Policy))
    if is_single or not isinstance(values, Iterable):
        kind = type(values).__name__
        raise TypeError(f"{name}: must be a list of mappings, not {kind}; {advice}")


def check_batch(
    patches: Any, on_refused: object, on_duplicates: object, *, atomic: bool
) -> None:
    """
    Check the arguments of a batch.

    Args:
        patches: As in ``upsert_many``.
        on_refused: As in ``upsert_many``.
        on_duplicates: As in ``upsert_many``.
        atomic: As in ``upsert_many``.

    Raises:
        TypeError: As :func:`check_several`.
        ValueError: If a choice is unknown, or an atomic batch collects refusals.

    >>> check_batch([], "raise", "fold", atomic=True)
    """
    check_several("patches", patches, "put one patch into a list, or use upsert")
    check_choice("on_refused", on_refused, OnRefused)
    check_choice("on_duplicates", on_duplicates, OnDuplicates)
    if atomic and on_refused != "raise":
        raise ValueError(
            "on_refused: must be 'raise' for an atomic batch, not 'collect'; "
            "one refusal undoes the whole batch"
        )


def plain_id(id: Any) -> str:
    """
    Return an id as an exact ``str``, so that no method of a subclass compares it.

    Raises:
        UnknownContact: If it is not text.

    >>> plain_id("c-1")
    'c-1'
    """
    if type(id) is str:
        return id
    if not isinstance(id, str):
        raise UnknownContact(id)
    return str.__str__(id)


def check_version(if_version: object) -> None:
    """
    Check that an argument is a version, or None.

    Raises:
        InvalidField: If it is neither; text is not converted.

    >>> check_version("3")
    Traceback (most recent call last):
    ...
    upsertcore.errors.InvalidField: if_version: must be a whole number from 1, not ...
    """
    if if_version is not None and (type(if_version) is not int or if_version < 1):
        reason = "must be a whole number from 1; pass contact.version"
        raise InvalidField("if_version", if_version, reason)


def check_number(number: object) -> None:
    """
    Check that an argument is the number of a change.

    Raises:
        TypeError: If it is not a whole number.

    >>> check_number(0)
    """
    if type(number) is not int:
        advice = "pass entry.number of the last change that was read, or 0"
        what = f"number: must be a whole number, not {describe(number)}"
        raise TypeError(f"{what}; {advice}")


def check_plan(plan: object) -> None:
    """
    Check that an argument is a plan.

    Raises:
        TypeError: If it is not.

    >>> check_plan({"email": "ada@x.org"})
    Traceback (most recent call last):
    ...
    TypeError: plan: must be a Plan, not dict; pass what book.plan(patch) returned
    """
    if not isinstance(plan, Plan):
        kind = type(plan).__name__
        advice = "pass what book.plan(patch) returned"
        raise TypeError(f"plan: must be a Plan, not {kind}; {advice}")


def check_outcome(outcome: object) -> None:
    """
    Check that an argument is an outcome.

    Raises:
        TypeError: If it is not.

    >>> check_outcome("c-1")
    Traceback (most recent call last):
    ...
    TypeError: outcome: must be an Outcome, not str; pass what the call returned
    """
    if not isinstance(outcome, Outcome):
        kind = type(outcome).__name__
        advice = "pass what the call returned"
        raise TypeError(f"outcome: must be an Outcome, not {kind}; {advice}")
