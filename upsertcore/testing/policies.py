"""
A strategy for whole policies, drawn from the vocabulary.

Rules:
    Every drawn policy is valid.
    The strategies do not call the library to determine what is valid.
    The fields are those of ``POOLS``, so ``patches(policy, values=POOLS)`` fits all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from hypothesis import strategies as st

from upsertcore import normalize
from upsertcore.matching.strategies import (
    all_agree,
    first_match,
    first_present,
    merge_all,
    never,
)
from upsertcore.policy.fields import field
from upsertcore.policy.keys import key
from upsertcore.policy.policy import Policy
from upsertcore.rules import ignore, keep, last_updated, replace
from upsertcore.rules.rule import Rule
from upsertcore.testing.pools import (
    BLOCKED_VALUES,
    FIELDS_BY_KEY,
    ID_FIELD,
    KEY_FIELDS,
    MULTI_FIELD_KEYS,
    POOLS,
    REQUIRED_FIELDS,
)
from upsertcore.testing.vocabulary import LATEST, Vocabulary

__all__ = ["chance", "policies"]

_CATALOGUE = Vocabulary()


def chance(one_in: int) -> st.SearchStrategy[bool]:
    """
    Draw True once in ``one_in`` draws.

    >>> from hypothesis import find
    >>> find(chance(12), bool)
    True
    """
    return st.sampled_from((*[False] * (one_in - 1), True))


@st.composite
def policies(
    draw: st.DrawFn,
    *,
    strict: bool = False,
    match: Any = None,
    on_key_in_use: tuple[str, ...] = ("refuse", "withhold", "allow"),
    vocabulary: Vocabulary = _CATALOGUE,
    own_ids: bool = False,
) -> Policy:
    """
    Draw a policy from the whole vocabulary; one in three has common options only.

    Args:
        draw: Supplied by Hypothesis.
        strict: True to draw idempotent policies only: without ``never``, creating
            without a key, rules that do not declare it, and the custom rule on a field
            of a key.
        match: A function that returns the match strategy, such as ``merge_all``; any
            if None.
        on_key_in_use: The settings of ``on_key_in_use`` to draw from.
        vocabulary: The functions to draw from.
        own_ids: True to draw ``id_field`` and ``on_unknown_id`` as well.

    >>> from hypothesis import Phase, find, settings
    >>> search = settings(phases=[Phase.generate], database=None, max_examples=1_000)
    >>> policy = find(policies(), lambda p: p.match.merges, settings=search)
    >>> policy.match.name
    'merge_all'
    >>> with_ids = policies(own_ids=True)
    >>> find(with_ids, lambda p: p.id_field is not None, settings=search).id_field
    'id'
    """
    plain = not match and draw(chance(3))
    keys = {} if plain else draw(st.one_of(st.just({}), _multi_field_keys()))
    key_options = {
        name: {"unique": draw(st.booleans())} if plain else draw(_key_options())
        for name in KEY_FIELDS
    }
    if "mails" in keys and draw(st.booleans()):
        del key_options["email"]
    names = (*key_options, *keys)
    ids = draw(_id_options()) if own_ids else {}
    strategy = draw(
        _match_strategies(
            (*names, *([ID_FIELD] if "id_field" in ids else ())),
            plain=plain,
            allow_never=not strict,
            required=match,
        )
    )
    fields = draw(
        _fields(strategy, key_options, keys, strict=strict, vocabulary=vocabulary)
    )
    limits = {
        name: (options.get("max_forms"), options.get("keep_aliases"))
        for name, options in key_options.items()
    }
    limits |= {name: (key_.max_forms, key_.keep_aliases) for name, key_ in keys.items()}
    limited = any(limit and not keep_aliases for limit, keep_aliases in limits.values())
    droppable = not limited and _are_separable(strategy.keys, names)
    rare: dict[str, Any] = {}
    if not plain:
        rare, options = draw(
            _rare_options(strategy, names, vocabulary, droppable=droppable)
        )
        for name, changes in options.items():
            owner = fields if name in fields else keys
            owner[name] = attrs.evolve(owner[name], **changes)
    if strict and strategy.merges and strategy.guard is not None:
        # With "allow" it may merge at the second call what it has kept apart.
        options_in_use = [option for option in on_key_in_use if option != "allow"]
        on_key_in_use = tuple(options_in_use) or ("refuse",)
    clock_rules = [] if plain else [LATEST]
    common = draw(
        _common_options(vocabulary, clock_rules, on_key_in_use, strict=strict)
    )
    return Policy(strategy, fields, keys=keys, **(common | rare | ids))


@st.composite
def _common_options(
    draw: st.DrawFn,
    vocabulary: Vocabulary,
    clock_rules: list[Rule],
    on_key_in_use: tuple[str, ...],
    *,
    strict: bool,
) -> dict[str, Any]:
    """Draw options that any policy may have."""
    on_no_key = ("refuse",) if strict else ("refuse", "refuse", "create")
    on_found_values = ("update",) * 49 + ("refuse",) * 2
    on_found = draw(st.sampled_from(on_found_values))
    refuses = on_found == "update" and draw(chance(50))
    extra = (None, replace, keep, ignore, vocabulary.rule, *clock_rules)
    rule = draw(st.sampled_from(extra))
    on_merge = draw(st.sampled_from((None, None, ignore, last_updated, *clock_rules)))
    open_set = field(
        rule=rule or replace, on_merge=on_merge, **draw(_value_options(may_list=True))
    )
    return {
        "extra_fields": None if rule is None else open_set,
        "on_ambiguous": draw(st.sampled_from(("refuse", "oldest", "newest"))),
        "on_key_in_use": draw(st.sampled_from(on_key_in_use)),
        "on_no_key": draw(st.sampled_from(on_no_key)),
        "on_deleted": draw(st.sampled_from(("forget", "forget", "restore", "refuse"))),
        "on_found": on_found,
        "on_not_found": "refuse" if refuses else "create",
    }


def _id_options() -> st.SearchStrategy[dict[str, Any]]:
    """Draw the options about a contact's own id."""
    choices = st.sampled_from(("create", "next", "refuse"))
    optional = {"id_field": st.just(ID_FIELD)}
    return st.fixed_dictionaries({"on_unknown_id": choices}, optional=optional)


@st.composite
def _multi_field_keys(draw: st.DrawFn) -> dict[str, Any]:
    """Draw keys of several fields by name."""
    keys: dict[str, Any] = {}
    if draw(st.booleans()):
        normal = (normalize.text, normalize.exact)
        keys["person"] = key(
            *MULTI_FIELD_KEYS["person"], normalize=normal, **draw(_key_options())
        )
    if draw(chance(3)) or not keys:
        append_new, options = draw(st.booleans()), draw(_key_options())
        fields = MULTI_FIELD_KEYS["mails"]
        keys["mails"] = key(
            *fields,
            normalize=normalize.email,
            any_of=True,
            append_new=append_new,
            **options,
        )
    return keys


def _key_options() -> st.SearchStrategy[dict[str, Any]]:
    """Draw the options of a key."""
    common = ((False, None),) * 4 + ((True, None), (True, 1), (True, 2))
    limits = st.sampled_from((*common, (True, None), (False, 1), (False, 2)))
    return st.builds(
        lambda unique, pair: {
            "unique": unique,
            "keep_aliases": pair[0],
            "max_forms": pair[1],
        },
        chance(3),
        limits,
    )


@st.composite
def _match_strategies(
    draw: st.DrawFn,
    names: tuple[str, ...],
    *,
    plain: bool,
    allow_never: bool,
    required: Any,
) -> Any:
    """Draw a match strategy over one to three of the keys."""
    if allow_never and not required and draw(chance(12)):
        return never()
    order = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    factories: tuple[Any, ...] = (first_match, first_match, first_present, all_agree)
    if not plain:
        factories = (required,) if required else (*factories, merge_all)
    factory = draw(st.sampled_from(factories))
    if plain or factory not in (first_match, merge_all) or len(order) == 1:
        return factory(*order)
    options: Any = {"guard": draw(st.sampled_from(("if_set", "strict", None)))}
    if options["guard"] and _are_separable(order[1:], names):
        options["on_contradiction"] = draw(st.sampled_from(("keep", "drop", "drop")))
    return factory(*order, **options)


def _are_separable(order: Iterable[str], names: tuple[str, ...]) -> bool:
    """Return whether each of the keys can be omitted without affecting others."""
    shared = [field for name in names for field in FIELDS_BY_KEY[name]]
    return all(
        name != "person"
        and all(shared.count(part) == 1 for part in FIELDS_BY_KEY[name])
        for name in order
    )


@st.composite
def _fields(
    draw: st.DrawFn,
    match: Any,
    key_options: Any,
    keys: Any,
    *,
    strict: bool,
    vocabulary: Vocabulary,
) -> dict[str, Any]:
    """Draw the fields of a policy with these keys."""
    matched_fields = {part for name in match.keys for part in FIELDS_BY_KEY[name]}
    unique = {
        part
        for key_ in keys.values()
        for part in key_.fields
        if key_.unique or (key_.composite and key_options.get(part, {}).get("unique"))
    }
    return {
        name: draw(
            _field(
                name,
                vocabulary,
                strict=strict,
                key_options=key_options.get(name),
                is_matched=name in matched_fields,
                may_default=name not in unique,
            )
        )
        for name in vocabulary.rules
    }


@st.composite
def _field(
    draw: st.DrawFn,
    name: str,
    vocabulary: Vocabulary,
    *,
    strict: bool,
    key_options: Any,
    is_matched: bool,
    may_default: bool,
) -> Any:
    """
    Draw a field.

    Args:
        draw: Supplied by Hypothesis.
        name: The name of the field.
        vocabulary: The functions to draw from.
        strict: True to draw idempotent rules only.
        key_options: The options of its key; None if it is not a key.
        is_matched: Whether a key of the match strategy contains it.
        may_default: Whether it may have a default: no unique key of several fields
            contains it.
    """
    rules = [
        r
        for r in vocabulary.rules[name]
        if not strict or vocabulary.is_idempotent(name, r)
    ]
    rules = [
        r
        for r in rules
        if (r.stores or not is_matched) and (r.on_update or may_default)
    ]
    rule = draw(st.sampled_from(rules))
    may_default = may_default and not (key_options or {}).get("unique")
    key_arguments = {}
    if key_options is not None:
        key_arguments = {
            "key": draw(st.sampled_from(vocabulary.keys[name])),
            **key_options,
        }
    return field(
        **key_arguments,
        required=name in REQUIRED_FIELDS and rule.stores and draw(chance(8)),
        clean=draw(st.sampled_from((None, None, None, vocabulary.clean))),
        rule=rule,
        default=POOLS[name][0] if may_default and draw(chance(3)) else None,
        # A clock is a single value, and so is what a rule keeps.
        **draw(_value_options(may_list=name not in ("at", "name"))),
    )


def _value_options(*, may_list: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw what null and blank do, and whether a field holds a list."""
    options = {
        "null": st.sampled_from((*("clear", "ignore") * 8, "reject")),
        "blank": st.sampled_from((*("store", "clear", "ignore") * 6, "reject")),
        "many": chance(8) if may_list else st.just(value=False),
    }
    return st.fixed_dictionaries(options)


@st.composite
def _rare_options(
    draw: st.DrawFn,
    match: Any,
    names: tuple[str, ...],
    vocabulary: Vocabulary,
    *,
    droppable: bool,
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """
    Draw rare options: blocked values, limits, merging, no updates.

    Returns:
        Options of the policy, and options of its fields and keys by name.
    """
    rare: dict[str, Any] = {}
    options: dict[str, dict[str, Any]] = {}
    if draw(chance(3)):
        chosen = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
        for name in chosen:
            options[name] = {"blocked": draw(st.sampled_from(BLOCKED_VALUES[name]))}
        # Of a whole form no field can be left out.
        is_whole = isinstance(options.get("person", {}).get("blocked"), tuple)
        choices = ("store", "refuse") if is_whole else ("store", "ignore", "refuse")
        rare["on_blocked"] = draw(st.sampled_from(choices))
    if match.name == "merge_all" and droppable and match.guard is None:
        rare["on_limit"] = draw(st.sampled_from(("drop", "drop", "refuse")))
    if match.name == "merge_all" or draw(st.booleans()):
        fields = [*vocabulary.on_merge]
        chosen = draw(st.lists(st.sampled_from(fields), max_size=3, unique=True))
        for name in chosen:
            rule = draw(st.sampled_from(vocabulary.on_merge[name]))
            options.setdefault(name, {})["on_merge"] = rule
    if draw(chance(12)):
        rare["on_merge"] = draw(st.sampled_from((replace, last_updated)))
    if draw(chance(15)):
        rare |= {"on_found": "ignore", "on_not_found": "create"}
    return rare, options
