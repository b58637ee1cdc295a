"""
The options of one field of a policy.

Rules:
    Field options are a frozen value; the policy checks them.
    ``null`` and ``blank`` apply before the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, final, get_args

import attrs
from attrs import frozen

from upsertcore.errors import InvalidField, InvalidPolicy
from upsertcore.normalize import Normalizer
from upsertcore.normalize.blocked_patterns import Pattern, as_tuple
from upsertcore.policy.function_checks import check_function, check_not_factory
from upsertcore.rules.rule import Rule, replace
from upsertcore.values import (
    describe,
    empty,
    find_invalid,
    freeze,
    same,
    show_value,
    thaw,
    unknown_name,
)

__all__ = [
    "UNUSABLE",
    "Blank",
    "Field",
    "Null",
    "as_list",
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
"""The reason where ``clean`` returns None for a value that is not null."""

_ADVICE = {
    "key": "use a normaliser, such as normalize.email",
    "clean": "write one that takes the value and returns the one to store",
}

Null = Literal["clear", "ignore", "reject"]
Blank = Literal["store", "ignore", "clear", "reject"]


def _comparable(default: Any) -> Any:
    """Return a default as it is compared: a list as a tuple, and 1 apart from true."""
    try:
        return repr(freeze(default))
    except ValueError:
        return default


@final
@frozen
class Field:
    """
    The options of one field, as :func:`field` returns them; equal by their values.

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
    default: Any = attrs.field(eq=_comparable)
    many: bool
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
    many: bool = False,
) -> Field:
    """
    Describe one field of a policy.

    Args:
        key: A normaliser: contacts are matched by the form that it returns.
        unique: No two contacts of a scope may hold the same form of the key.
        keep_aliases: A form that was replaced or cleared still matches the contact, as
            an alias, and stays unique if the key is. Otherwise the form is released.
        max_forms: How many forms of the key one contact may hold, aliases included.
            With a limit, a value that null clears leaves no alias behind.
        blocked: Forms that identify no contact: text, in which ``*`` matches
            anything, or compiled patterns, such as ``normalize.PLACEHOLDERS``. Case
            and surrounding white space are ignored.
        required: A contact cannot be created without a value that is not blank.
        clean: Takes the sent value and returns the one to store. It raises
            ``ValueError`` for a bad value, with a reason that reads after the field's
            name; returning None means a bad value, too. It is not called with null
            or blank.
        rule: How the stored and the sent value make the new one.
        on_merge: The rule between two contacts that are merged; the survivor's value
            is the stored one. None: the ``rule`` of the field if it has a clock or is
            ``sticky``, else the policy's ``on_merge``.
        null: What null does: ``"clear"`` the field, ``"ignore"``: count as omitted, or
            ``"reject"`` the call.
        blank: What ``""``, white space alone, ``[]`` and ``{}`` do: ``"store"``: pass
            them to the rule, ``"ignore"``: count as omitted, ``"clear"`` the field, or
            ``"reject"`` the call. It applies to the result of ``clean`` as well.
        default: Stored when a patch that omits the field creates a contact.
        many: The field holds a list: a sent value that is not a list counts as a list
            of one, a blank one as ``[]``. ``clean`` is called with the list; a single
            value that it returns counts as a list of one, too.

    Returns:
        Field options for ``Policy(fields=...)``, which checks them.

    >>> field(unique=False).rule
    replace
    >>> from upsertcore import ContactBook, Policy, first_match, normalize
    >>> fields = {"email": field(key=normalize.email, many=True)}
    >>> book = ContactBook(Policy(first_match("email"), fields))
    >>> book.upsert({"email": "a@x"}).contact["email"]
    ('a@x',)
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
        many=many,
        keep_aliases=keep_aliases,
        max_forms=max_forms,
        blocked=blocked,
    )


def check_field(name: str, options: Field) -> None:
    """
    Check the options of a field.

    Args:
        name: The name of the field.
        options: Its options.

    Raises:
        InvalidPolicy: If one is invalid, or two conflict.

    >>> check_field("email", field(required=True))
    """
    for option, function in (("key", options.key), ("clean", options.clean)):
        if function is not None:
            check_function(f"{name}: {option}", function, _ADVICE[option])
    check_rule(f"{name}: rule", options.rule)
    if options.on_merge is not None:
        check_rule(f"{name}: on_merge", options.on_merge)
    check_patch_rule(name, options.rule)
    check_choice(f"{name}: null", options.null, Null)
    check_choice(f"{name}: blank", options.blank, Blank)
    for option in ("unique", "required", "keep_aliases", "many"):
        if type(getattr(options, option)) is not bool:
            what = f"must be True or False, not {describe(getattr(options, option))}"
            raise InvalidPolicy(f"{name}: {option} {what}")
    options_of_keys = {
        "unique": options.unique,
        "keep_aliases": options.keep_aliases,
        "max_forms": options.max_forms is not None,
        "blocked": bool(options.blocked),
    }
    for option, is_set in options_of_keys.items():
        if is_set and options.key is None:
            advice = "add key=normalize.email, or another normaliser"
            raise InvalidPolicy(f"{name}: {option} needs a key; {advice}")
    _check_values(name, options)
    if options.required and not options.rule.stores:
        reason = f"is required, but its rule {options.rule} never stores it"
        raise InvalidPolicy(f"{name}: {reason}; use another rule")


def _check_values(name: str, options: Field) -> None:
    """Check that a field can hold the value of a rule, beside its default."""
    default = options.default
    for rule in (options.rule, options.on_merge or options.rule):
        if rule.value is None:
            continue
        stored = _stored_value(name, str(rule), options, rule.value)
        if not same(stored, rule.value):
            what = f"its rule {rule} has a value that the field stores as"
            value, factory = show_value(thaw(stored)), rule.name.partition("(")[0]
            raise InvalidPolicy(f"{name}: {what} {value}; use {factory}({value})")
        if default is not None and same(default_value(name, options), stored):
            what = f"its default is the value of {rule}"
            raise InvalidPolicy(f"{name}: {what}; leave default out")


def check_rule(name: str, rule: object) -> None:
    """
    Check that an argument is a rule.

    Raises:
        InvalidPolicy: If it is not.

    >>> check_rule("name: rule", replace)
    """
    if not isinstance(rule, Rule):
        check_not_factory(name, rule)
        advice = "wrap it: custom(...)" if callable(rule) else "use replace, keep, ..."
        what = f"must be a rule, not {describe(rule)}"
        raise InvalidPolicy(f"{name}: {what}; {advice}")


def check_patch_rule(name: str, rule: Rule) -> None:
    """
    Check that a rule may apply to a patch.

    Raises:
        InvalidPolicy: If it applies only to contacts that are merged.

    >>> check_patch_rule("name", replace)
    """
    if rule.merges_only:
        what = f"compares the {rule.by} of two contacts, and a patch has none"
        how = "use it as on_merge, or use latest(by=...)"
        if rule.by is None:
            what, how = "applies only to contacts that are merged", "use it as on_merge"
        raise InvalidPolicy(f"{name}: the rule {rule} {what}; {how}")


def check_field_name(
    argument: str, name: object, fields: Mapping[str, Field], extra_fields: object
) -> None:
    """
    Check that a name in an argument is that of a field.

    Args:
        argument: The name of the argument.
        name: A name in it.
        fields: The declared fields.
        extra_fields: The options of undeclared fields; None where they are refused.

    Raises:
        InvalidPolicy: If the policy has no such field. ``"*"`` is not a wildcard.

    >>> check_field_name("rules", "city", {}, field())
    """
    if isinstance(name, str) and name in fields:
        return
    if extra_fields is None or not isinstance(name, str) or name in ("", "*"):
        reason = unknown_name("field", name, fields)
        if name == "*":
            reason = "'*' is not a field; name each field"
        raise InvalidPolicy(f"{argument}: {reason}")


def check_clock(
    name: str, rule: Rule, fields: Mapping[str, Field], extra_fields: object
) -> None:
    """
    Check that a patch can carry the clock of a rule.

    Args:
        name: The name of the field that has the rule.
        rule: A rule, with a clock or without.
        fields: The declared fields.
        extra_fields: The options of undeclared fields; None where they are refused.

    Raises:
        InvalidPolicy: If the field of the clock is unknown.

    >>> check_clock("name", replace, {}, None)
    """
    # The clock of a rule for merges alone is the contact's, and no field.
    if rule.by is None or rule.merges_only:
        return
    if rule.by not in fields and extra_fields is None:
        what = f"its rule {rule} needs the field {rule.by}"
        raise InvalidPolicy(f"{name}: {what}; declare it")


def check_choice(name: str, value: object, choices: Any) -> None:
    """
    Check that an option has one of its values.

    Raises:
        InvalidPolicy: If it has another one.

    >>> check_choice("null", "clear", Null)
    """
    if value not in get_args(choices):
        names = ", ".join(map(repr, get_args(choices)))
        what = f"must be one of {names}, not {describe(value)}"
        raise InvalidPolicy(f"{name}: {what}")


def default_value(name: str, options: Field) -> Any:
    """
    Return the default of a field, cleaned and frozen.

    Raises:
        InvalidPolicy: If the field's own ``clean`` refuses it.

    >>> default_value("tags", field(default=["a"]))
    ('a',)
    >>> default_value("tags", field(default="a", many=True))
    ('a',)
    """
    return _stored_value(name, "default", options, options.default)


def _stored_value(name: str, argument: str, options: Field, sent: Any) -> Any:
    """Return a value as a field stores it; refuse it by the name of an argument."""
    try:
        value = as_list(options, freeze(sent))
        if options.clean is not None:
            value = as_list(options, freeze(options.clean(value)))
        if value is None:
            raise ValueError(UNUSABLE)  # noqa: TRY301 - one message for each reason
    except ValueError as error:
        path, item, reason = find_invalid(sent, freeze)
        refusal = InvalidField(f"{name}: {argument}", item, reason or str(error), path)
        raise InvalidPolicy(str(refusal).replace("; send ", "; use ")) from error
    return value


def as_list(options: Field, value: Any) -> Any:
    """
    Return the list that a value of a field with ``many`` counts as.

    Args:
        options: The options of the field.
        value: A frozen value.

    Returns:
        A list of one, empty for a blank value; the value itself where it is null or a
        list, or where the field has one value.

    Raises:
        ValueError: If the list is nested too deeply.

    >>> tags = field(many=True)
    >>> [as_list(tags, value) for value in ("a", " ", ("a", "b"), None)]
    [('a',), (), ('a', 'b'), None]
    """
    if not options.many or value is None or type(value) is tuple:
        return value
    return () if empty(value) else freeze((value,))
