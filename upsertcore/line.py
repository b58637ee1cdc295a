"""
One line of a policy's table: how it treats one field.

Rules:
    A line is a frozen value; it is checked when a policy takes it.
    It says what becomes of null and blank before its rule says anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, final, get_args

from attrs import frozen

from upsertcore.errors import InvalidField, InvalidPolicy
from upsertcore.functions import check_called, check_function
from upsertcore.normalize import Normalizer
from upsertcore.rule import Rule, replace
from upsertcore.showing import described, unknown
from upsertcore.values import freeze

__all__ = [
    "UNUSABLE",
    "Blank",
    "Field",
    "Null",
    "check_clock",
    "check_line",
    "check_named",
    "check_patch_rule",
    "check_rule",
    "default",
    "field",
    "one_of",
]

UNUSABLE = "must be a value that its clean can use"
"""The reason where ``clean`` makes null of a value that is not."""

_ADVICE = {
    "key": "use a normaliser, such as normalize.email",
    "clean": "write one that takes the value and returns what is stored",
}

Null = Literal["clear", "ignore", "reject"]
Blank = Literal["store", "ignore", "clear", "reject"]


@final
@frozen(eq=False)
class Field:
    """
    One line of a policy's table; made by :func:`field`.

    >>> field(required=True).required
    True
    """

    key: Normalizer | None
    unique: bool
    required: bool
    clean: Callable[[Any], Any] | None
    merge: Rule
    null: Null
    blank: Blank
    default: Any
    keep_aliases: bool
    limit: int | None


def field(
    *,
    key: Normalizer | None = None,
    unique: bool = False,
    keep_aliases: bool = False,
    limit: int | None = None,
    required: bool = False,
    clean: Callable[[Any], Any] | None = None,
    merge: Rule = replace,
    null: Null = "clear",
    blank: Blank = "store",
    default: Any = None,
) -> Field:
    """
    Say how a policy treats one field.

    Args:
        key: The normaliser that makes a match key of it.
        unique: No two contacts of a scope hold the same key.
        keep_aliases: A form that was replaced or cleared still finds the contact, as an
            alias, and is unique as the key is. Otherwise it is let go.
        limit: How many forms of the key one contact may hold, aliases among them. What
            null clears is then no alias, for it would count for ever.
        required: Needed, and not blank, to create a contact.
        clean: Makes the value that is stored of the value that was sent; raises
            ``ValueError`` for a bad one, in words that follow the field's name; what
            it makes None of is a bad one too. It does not see null or blank.
        merge: How stored and sent make new.
        null: What null does: clear the field, count as omitted, or refuse.
        blank: What ``""``, white space alone, ``[]`` and ``{}`` do: reach the rule as
            they are, count as omitted, clear the field, or refuse. It applies again to
            what ``clean`` returns.
        default: Stored when a contact is created by a patch that omits the field.

    Returns:
        A line for ``Policy(fields=...)``, which checks it.

    >>> field(unique=False).merge
    replace
    """
    return Field(
        key=key,
        unique=unique,
        required=required,
        clean=clean,
        merge=merge,
        null=null,
        blank=blank,
        default=default,
        keep_aliases=keep_aliases,
        limit=limit,
    )


def check_line(name: str, line: Field) -> None:
    """
    See that a line can work.

    Args:
        name: The name of its field.
        line: The line.

    Raises:
        InvalidPolicy: If it cannot.

    >>> check_line("email", field(required=True))
    """
    for part, function in (("key", line.key), ("clean", line.clean)):
        if function is not None:
            advice = _ADVICE[part]
            check_function(f"{name}: {part}", function, advice)
    check_rule(f"{name}: merge", line.merge)
    check_patch_rule(name, line.merge)
    one_of(f"{name}: null", line.null, Null)
    one_of(f"{name}: blank", line.blank, Blank)
    for part in ("unique", "required", "keep_aliases"):
        if type(getattr(line, part)) is not bool:
            what = f"must be True or False, not {described(getattr(line, part))}"
            raise InvalidPolicy(f"{name}: {part} {what}")
    limited = line.limit is not None
    keyed = {"unique": line.unique, "keep_aliases": line.keep_aliases, "limit": limited}
    for part, given in keyed.items():
        if given and line.key is None:
            advice = "add key=normalize.email, or another normaliser"
            raise InvalidPolicy(f"{name}: {part} needs a key; {advice}")
    if line.required and not line.merge.stores:
        reason = f"is required, but its rule {line.merge} never stores it"
        raise InvalidPolicy(f"{name}: {reason}; use another rule")


def check_rule(name: str, rule: object) -> None:
    """
    See that a rule is one.

    Raises:
        InvalidPolicy: If it is none.

    >>> check_rule("merge", replace)
    """
    if not isinstance(rule, Rule):
        check_called(name, rule)
        advice = "wrap it: custom(...)" if callable(rule) else "use replace, keep, ..."
        what = f"must be a merge rule, not {described(rule)}"
        raise InvalidPolicy(f"{name}: {what}; {advice}")


def check_patch_rule(name: str, rule: Rule) -> None:
    """
    See that a rule is one for patches.

    Raises:
        InvalidPolicy: If it is for merging contacts alone.

    >>> check_patch_rule("name", replace)
    """
    if rule.merges_only:
        what = f"compares the {rule.by} of two contacts, and a patch has none"
        how = "put it into absorb={...}, or use latest(by=...)"
        raise InvalidPolicy(f"{name}: the rule {rule} {what}; {how}")


def check_named(
    what: str, name: object, fields: Mapping[str, Field], others: object
) -> None:
    """
    See that a name in a table of rules is that of a field.

    Args:
        what: What the table is called.
        name: A name in it.
        fields: Those that the policy declares.
        others: The rule for all others; None where there are none.

    Raises:
        InvalidPolicy: If it is none; ``"*"`` does not stand for all others.

    >>> check_named("absorb", "city", {}, replace)
    """
    if isinstance(name, str) and name in fields:
        return
    if others is None or not isinstance(name, str) or name in ("", "*"):
        reason = unknown("field", name, fields)
        if name == "*":
            reason = "'*' is not a field; name each field by itself"
        raise InvalidPolicy(f"{what}: {reason}")


def check_clock(
    name: str, rule: Rule, fields: Mapping[str, Field], others: object
) -> None:
    """
    See that the clock of a rule may be sent.

    Args:
        name: The name of the field that the rule is for.
        rule: With a clock or without.
        fields: Those that the policy declares.
        others: The rule for all others; None where there are none.

    Raises:
        InvalidPolicy: If no patch can carry the clock.

    >>> check_clock("name", replace, {}, None)
    """
    if rule.by is not None and rule.by not in fields and others is None:
        what = f"its rule {rule} needs the field {rule.by}"
        raise InvalidPolicy(f"{name}: {what}; declare it")


def one_of(name: str, value: object, choices: Any) -> None:
    """
    See that a choice is one of those that there are.

    Raises:
        InvalidPolicy: If it is none of them.

    >>> one_of("null", "clear", Null)
    """
    if value not in get_args(choices):
        names = ", ".join(map(repr, get_args(choices)))
        what = f"must be one of {names}, not {described(value)}"
        raise InvalidPolicy(f"{name}: {what}")


def default(name: str, line: Field) -> Any:
    """
    Give the value that a line stores where nothing is sent, clean and frozen.

    Raises:
        InvalidPolicy: If its own ``clean`` refuses it.

    >>> default("tags", field(default=["a"]))
    ('a',)
    """
    try:
        value = freeze(line.default)
        if line.clean is not None:
            value = freeze(line.clean(value))
        if value is None:
            raise ValueError(UNUSABLE)  # noqa: TRY301 - one message for each reason
    except ValueError as error:
        refusal = InvalidField(f"{name}: default", line.default, str(error))
        raise InvalidPolicy(str(refusal).replace("; send ", "; use ")) from error
    return value
