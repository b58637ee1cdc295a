"""
The fast path: the common upsert, bound to a policy and its book.

Rules:
    What is known of a policy is computed once, and replaces the constants of
    :mod:`upsertcore.store.common_upsert`.
    Strategies are recognised by identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from operator import itemgetter
from types import FunctionType
from typing import TYPE_CHECKING, Any, final

from upsertcore.matching.ambiguity import PICKS
from upsertcore.matching.strategies import (
    ALL_AGREE,
    FIRST_MATCH,
    FIRST_PRESENT,
    NEVER,
)
from upsertcore.model.packed_row import FORMS, MAX_NAMES
from upsertcore.policy.policy import compiled
from upsertcore.rules.rule import replace
from upsertcore.store import common_upsert, row_keys, row_rules
from upsertcore.store.key_lookup import key_plan
from upsertcore.store.policy_constants import NO_FORM, Values
from upsertcore.values import MAX_FIELDS

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.engine.outcomes import Outcomes
    from upsertcore.matching.protocol import Resolve, Strategy
    from upsertcore.policy.policy import Policy
    from upsertcore.store.common_upsert import FastResult
    from upsertcore.store.contact_index import ContactIndex
    from upsertcore.store.idempotency import KeyedCall
    from upsertcore.store.memory import MemoryStore

__all__ = ["FastPath", "Shapes", "has_fast_path"]


@final
class Shapes(dict[tuple[Any, ...], "tuple[Callable[[Values], Values] | None, bool]"]):
    """
    The shapes of patches, by their names: where each column finds its value.

    A shape is a function and a flag. The function takes the values of the patch,
    followed by a value for each column, and returns for each column the one that is
    sent, or else the one that follows; None if all are sent, in order, or one is not
    declared. The flag is set if all fields are stored as they are sent.

    Args:
        columns: The names of the declared fields.
        plain: The names of those that are stored as they are sent.

    >>> shapes = Shapes(("email", "name"), frozenset({"email"}))
    >>> fill, is_plain = shapes["name",]
    >>> fill(("Ada", "a@x", "Eve")), is_plain
    (('a@x', 'Ada'), False)
    """

    __slots__ = ("_columns", "_declared", "_plain", "_seen")

    def __init__(self, columns: tuple[str, ...], plain: frozenset[str]) -> None:
        super().__init__()
        self._columns, self._declared = columns, frozenset(columns)
        self._seen = set[tuple[str, ...]]()
        self._plain = plain if len(columns) <= MAX_FIELDS else frozenset[str]()

    def __missing__(self, names: tuple[Any, ...]) -> Any:
        """Analyse names; the result is kept, up to a number of shapes."""
        own = {*names}
        if not own.issubset(self._declared):
            return None, False
        is_plain = own.issubset(self._plain)
        # Of many optional fields, most shapes occur once.
        if names not in self._seen or len(self) >= MAX_NAMES:
            if len(self._seen) < MAX_NAMES:
                self._seen.add(tuple([str.__str__(name) for name in names]))
            return partial(_fill, names, self._columns), is_plain
        width = len(names)
        places = dict(zip(names, range(width), strict=True))
        chosen = [*map(places.get, self._columns, count(width))]
        fill = None if names == self._columns else _getter(chosen)
        self[tuple([str.__str__(name) for name in names])] = fill, is_plain
        return fill, is_plain


def _getter(places: list[Any]) -> Callable[[Values], Values]:
    # With one place, itemgetter returns the bare value.
    if len(places) == 1:
        return itemgetter(slice(places[0], places[0] + 1))
    return itemgetter(*places)


def _fill(names: tuple[Any, ...], columns: tuple[str, ...], values: Values) -> Values:
    """Return the values of the columns, without a shape."""
    sent = dict(zip(names, values))  # noqa: B905 - the values of columns follow
    return (*map(sent.get, columns, values[len(names) :]),)


@final
class FastPath:
    """
    The fast path of a policy and its book.

    Args:
        policy: The policy.
        match: Its match strategy, or ``never()``; :func:`has_fast_path` must hold.
        index: The index of the book.
        store: The store that writes to the index.
        checks_ids: Whether ids come from the caller and must be checked.
    """

    __slots__ = ("upsert", "upsert_many")

    def __init__(
        self,
        policy: Policy,
        match: Strategy,
        index: ContactIndex,
        store: MemoryStore,
        *,
        checks_ids: bool,
    ) -> None:
        constants = {
            **_of_fields(policy, index),
            **_of_keys(policy, match, index),
            "POLICY": policy,
            "STORE": store,
            "INDEX": index,
            "ROWS": index.rows,
            "REDIRECTS": index.redirects,
            "CHECKS_IDS": checks_ids,
            "CREATES": policy.on_not_found == "create",
            "UPDATES": policy.on_found == "update",
            "DROPS_UPDATES": policy.on_found == "ignore",
        }
        functions = bind(constants)
        self.upsert: Callable[[Any, Any, KeyedCall | None], FastResult | Outcome] = (
            functions["upsert"]
        )
        self.upsert_many: Callable[..., Outcomes[Any]] = functions["upsert_many"]


def bind(constants: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what the common upsert consists of, with other constants.

    Args:
        constants: By name.

    >>> bind({"ATTEMPTS": (1,)})["upsert"] is common_upsert.upsert
    False
    """
    namespace: dict[str, Any] = {}
    for module in _MODULES:
        namespace.update(vars(module))
    namespace.update(constants)
    for module in _MODULES:
        for name, function in vars(module).items():
            if isinstance(function, FunctionType) and (
                function.__module__ == module.__name__
            ):
                # The interpreter keeps what it learns of the constants in the code.
                own = FunctionType(function.__code__.replace(), namespace, name)
                own.__defaults__ = function.__defaults__
                own.__kwdefaults__ = function.__kwdefaults__
                namespace[name] = own
    return namespace


_MODULES = row_keys, row_rules, common_upsert


def _of_fields(policy: Policy, index: ContactIndex) -> dict[str, Any]:
    """Return the constants of the fields of a policy."""
    tables, names = compiled(policy), index.names.declared
    columns = {name: column for column, name in enumerate(names)}
    defaults = dict(tables.defaults)
    rules = {
        name: (columns[name], rule, name in tables.key_fields)
        for name, rule in tables.rules.items()
        if rule is not replace and name in columns
    }
    return {
        "COLUMNS": names,
        "DECLARED": frozenset(names),
        "SHAPES": Shapes(names, tables.uncleaned),
        "DEFAULTS": tuple([defaults.get(name) for name in names]),
        "KEYED_DEFAULTS": tables.key_fields.intersection(defaults),
        "REQUIRED": tuple([columns[name] for name in tables.required]),
        "RULES": rules,
        "HAS_EXTRA": policy.extra_fields is not None,
        "EXTRA_RULE": tables.extra_rule,
        "HAS_UPDATE_TIMES": bool(policy.update_time_fields()),
    }


def _of_keys(policy: Policy, match: Strategy, index: ContactIndex) -> dict[str, Any]:
    """Return the constants of the keys of a policy."""
    columns = {name: column for column, name in enumerate(index.names.declared)}
    keys, plans, consulted = policy.all_keys, {}, frozenset(match.keys)
    for number, key in enumerate(keys):
        # Holders matter only for a key that matches or is unique.
        is_read = key.unique or key.name in consulted
        scopes = index.scopes(key.name) if is_read else {}
        plans[key.name] = key_plan(number, key, scopes)
    match_keys = {name: plans.pop(name) for name in match.keys}
    has_uncommon_keys = any(
        key.keep_aliases or key.max_forms is not None or len(key.fields) > 1
        for key in keys
    )
    tables = compiled(policy)
    avoids = (
        _is_one_of(match, (FIRST_MATCH, NEVER))
        and policy.on_found == "update"
        and not has_uncommon_keys
    )
    return {
        "WITHHOLDS": avoids and policy.on_key_in_use == "withhold",
        "REFUSES": avoids and policy.on_key_in_use == "refuse",
        "MATCH_KEYS": tuple(match_keys.values()),
        "PLANS": match_keys,
        "OTHER_KEYS": tuple(plans.values()),
        "KEYS": keys,
        "KEY_COLUMNS": tuple([tuple([columns[n] for n in key.fields]) for key in keys]),
        "NO_FORMS": [NO_FORM] * len(keys),
        "FIRST": FORMS + len(keys),
        "STRATEGY": match,
        "SIMPLE": _is_one_of(match, _SIMPLE),
        "PICK": PICKS[policy.on_ambiguous],
        "BY_FORM": match.resolve is FIRST_PRESENT,
        "KEYLESS": not match.keys or policy.on_no_key == "create",
        "HAS_GROUPS": bool(tables.groups),
        "HAS_UNCOMMON_KEYS": has_uncommon_keys,
    }


_SIMPLE = FIRST_MATCH, FIRST_PRESENT, ALL_AGREE, NEVER


def _is_one_of(match: Strategy, functions: tuple[Resolve, ...]) -> bool:
    return any(match.resolve is function for function in functions)


def has_fast_path(policy: Policy) -> bool:
    """
    Return whether the fast path may handle patches under a policy.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> fields = {"email": field(key=normalize.email)}
    >>> has_fast_path(Policy(first_match("email"), fields))
    True
    """
    # Keys that exceed a limit are left out of the patch before it is decided on, and
    # fields that it omits may be cleared.
    return policy.on_limit != "drop" and policy.omitted == "keep"
