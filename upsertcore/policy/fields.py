"""
One line of a policy's table: how it treats one field.

Rules:
    A line is a frozen value; it is checked when a policy takes it.
    It says what becomes of null and blank before its rule says anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, final, get_args

import attrs
from attrs import frozen

from upsertcore.errors import InvalidField, InvalidPolicy
from upsertcore.normalize import Normalizer
from upsertcore.normalize.patterns import Pattern, as_tuple
from upsertcore.policy.functions import check_function, check_not_factory
from upsertcore.rules.rule import Rule, replace
from upsertcore.values import described, freeze, unknown

__all__ = [
    "UNUSABLE",
    "Blank",
    "Field",
    "Null",
    "check_choice",
    "check_clock",
    "check_field",
    "check_field_name",
    "check_patch_rule",
    "check_rule",
    "default_value",
    "field",
]

UNUSABLE = "must be a value that its clean function accepts"
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
    rule: Rule
    on_merge: Rule | None
    null: Null
    blank: Blank
    default: Any
    keep_aliases: bool
    max_forms: int | None
    blocked: tuple[Pattern, ...] = attrs.field(converter=as_tuple)


def field(
    *,
    key: Normalizer | None = None,
    unique: bool = False,
    keep_aliases: bool = False,
    max_forms: int | None = None,
    blocked: Iterable[Pattern] = (),
    required: bool = False,
    clean: Callable[[Any], Any] | None = None,
    rule: Rule = replace,
    on_merge: Rule | None = None,
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
        max_forms: How many forms of the key one contact may hold, aliases among them.
            A value that null clears is then no alias, for it would count for ever.
        blocked: Forms that identify no contact: text, in which ``*`` stands for
            anything, or compiled patterns, such as ``normalize.PLACEHOLDERS``; case
            and surrounding white space do not count.
        required: Needed, and not blank, to create a contact.
        clean: Makes the value that is stored of the value that was sent; raises
            ``ValueError`` for a bad one, in words that follow the field's name; what
            it makes None of is a bad one too. It does not see null or blank.
        rule: How the stored and the sent value make the new one.
        on_merge: The rule between two contacts that are merged; the survivor's value
            is the stored one. None: the policy's ``on_merge``, but a field whose
            ``rule`` has a clock goes by that.
        null: What null does: clear the field, count as omitted, or refuse.
        blank: What ``""``, white space alone, ``[]`` and ``{}`` do: reach the rule as
            they are, count as omitted, clear the field, or refuse. It applies again to
            what ``clean`` returns.
        default: Stored when a contact is created by a patch that omits the field.

    Returns:
        A line for ``Policy(fields=...)``, which checks it.

    >>> field(unique=False).rule
    replace
    """
    return Field(
        key=key,
        unique=unique,
        required=required,
        clean=clean,
        rule=rule,
        on_merge=on_merge,
        null=null,
        blank=blank,
        default=default,
        keep_aliases=keep_aliases,
        max_forms=max_forms,
        blocked=blocked,
    )


def check_field(name: str, line: Field) -> None:
    """
    See that a line can work.

    Args:
        name: The name of its field.
        line: The line.

    Raises:
        InvalidPolicy: If it cannot.

    >>> check_field("email", field(required=True))
    """
    for part, function in (("key", line.key), ("clean", line.clean)):
        if function is not None:
            advice = _ADVICE[part]
            check_function(f"{name}: {part}", function, advice)
    check_rule(f"{name}: rule", line.rule)
    if line.on_merge is not None:
        check_rule(f"{name}: on_merge", line.on_merge)
    check_patch_rule(name, line.rule)
    check_choice(f"{name}: null", line.null, Null)
    check_choice(f"{name}: blank", line.blank, Blank)
    for part in ("unique", "required", "keep_aliases"):
        if type(getattr(line, part)) is not bool:
            what = f"must be True or False, not {described(getattr(line, part))}"
            raise InvalidPolicy(f"{name}: {part} {what}")
    keyed = {
        "unique": line.unique,
        "keep_aliases": line.keep_aliases,
        "max_forms": line.max_forms is not None,
        "blocked": bool(line.blocked),
    }
    for part, given in keyed.items():
        if given and line.key is None:
            advice = "add key=normalize.email, or another normaliser"
            raise InvalidPolicy(f"{name}: {part} needs a key; {advice}")
    if line.required and not line.rule.stores:
        reason = f"is required, but its rule {line.rule} never stores it"
        raise InvalidPolicy(f"{name}: {reason}; use another rule")


def check_rule(name: str, rule: object) -> None:
    """
    See that a rule is one.

    Raises:
        InvalidPolicy: If it is none.

    >>> check_rule("name: rule", replace)
    """
    if not isinstance(rule, Rule):
        check_not_factory(name, rule)
        advice = "wrap it: custom(...)" if callable(rule) else "use replace, keep, ..."
        what = f"must be a rule, not {described(rule)}"
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
        how = "use it as on_merge, or use latest(by=...)"
        raise InvalidPolicy(f"{name}: the rule {rule} {what}; {how}")


def check_field_name(
    what: str, name: object, fields: Mapping[str, Field], extra_fields: object
) -> None:
    """
    See that a name in a table of rules is that of a field.

    Args:
        what: What the table is called.
        name: A name in it.
        fields: Those that the policy declares.
        extra_fields: The line of undeclared fields; None where they are refused.

    Raises:
        InvalidPolicy: If it is none; ``"*"`` does not stand for all others.

    >>> check_field_name("rules", "city", {}, field())
    """
    if isinstance(name, str) and name in fields:
        return
    if extra_fields is None or not isinstance(name, str) or name in ("", "*"):
        reason = unknown("field", name, fields)
        if name == "*":
            reason = "'*' is not a field; name each field"
        raise InvalidPolicy(f"{what}: {reason}")


def check_clock(
    name: str, rule: Rule, fields: Mapping[str, Field], extra_fields: object
) -> None:
    """
    See that the clock of a rule may be sent.

    Args:
        name: The name of the field that the rule is for.
        rule: With a clock or without.
        fields: Those that the policy declares.
        extra_fields: The line of undeclared fields; None where they are refused.

    Raises:
        InvalidPolicy: If no patch can carry the clock.

    >>> check_clock("name", replace, {}, None)
    """
    if rule.by is not None and rule.by not in fields and extra_fields is None:
        what = f"its rule {rule} needs the field {rule.by}"
        raise InvalidPolicy(f"{name}: {what}; declare it")


def check_choice(name: str, value: object, choices: Any) -> None:
    """
    See that a choice is one of those that there are.

    Raises:
        InvalidPolicy: If it is none of them.

    >>> check_choice("null", "clear", Null)
    """
    if value not in get_args(choices):
        names = ", ".join(map(repr, get_args(choices)))
        what = f"must be one of {names}, not {described(value)}"
        raise InvalidPolicy(f"{name}: {what}")


def default_value(name: str, line: Field) -> Any:
    """
    Give the value that a line stores where nothing is sent, clean and frozen.

    Raises:
        InvalidPolicy: If its own ``clean`` refuses it.

    >>> default_value("tags", field(default=["a"]))
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
