"""
The constants of the common upsert: what is known of a policy and its book.

Rules:
    Here they are those of no policy; :mod:`upsertcore.store.fast_path` replaces them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from upsertcore.model.packed_row import FORMS
from upsertcore.rules.rule import replace

if TYPE_CHECKING:
    from upsertcore.model.write_record import Record
    from upsertcore.policy.keys import Key
    from upsertcore.rules.rule import Rule
    from upsertcore.store.key_lookup import Keys

__all__ = [
    "ATTEMPTS",
    "BY_FORM",
    "CHECKS_IDS",
    "COLUMNS",
    "CREATES",
    "DECLARED",
    "DEFAULTS",
    "DROPS_UPDATES",
    "EXTRA_RULE",
    "FIRST",
    "HAS_EXTRA",
    "HAS_GROUPS",
    "HAS_UNCOMMON_KEYS",
    "HAS_UPDATE_TIMES",
    "INDEX",
    "KEYED_DEFAULTS",
    "KEYLESS",
    "KEYS",
    "KEY_COLUMNS",
    "MATCH_KEYS",
    "NO_FORM",
    "NO_FORMS",
    "OTHER_KEYS",
    "PICK",
    "PLANS",
    "POLICY",
    "REDIRECTS",
    "REFUSES",
    "REQUIRED",
    "ROWS",
    "RULES",
    "SHAPES",
    "SIMPLE",
    "STORE",
    "STRATEGY",
    "UPDATES",
    "WITHHOLDS",
    "FastCall",
    "Overtaken",
    "Values",
]

NO_FORM = ""
"""In place of a form: the value is not normalised yet. No form is blank."""

Values: TypeAlias = tuple[Any, ...]
"""A value for each declared field."""

FastCall: TypeAlias = (
    "tuple[Mapping[str, Any], str, list[Any], Record, bool, Any, Any, Any]"
)
"""A call on the fast path: the patch as it was read, scope, the form of each key of the
policy (filled in during the call), the state of the book, whether all values are text
exactly as sent, field to reason for what it ignores, its undeclared fields, and what it
withholds with the ids that also match."""

Overtaken: TypeAlias = "list[Any]"
"""The id and the time that an overtaken call has drawn."""


ATTEMPTS = (1, 2, 3)
"""One item for each time that an overtaken call tries the fast path."""

POLICY: Any = None
STORE: Any = None
INDEX: Any = None
ROWS: Mapping[str, Any] = {}
"""Scope to rows by id."""

REDIRECTS: Mapping[tuple[str, str], str] = {}
CHECKS_IDS = True
"""Whether ids come from the caller and must be checked."""

COLUMNS: tuple[str, ...] = ()
"""The names of the declared fields."""

DEFAULTS: Values = ()
DECLARED: frozenset[str] = frozenset()

SHAPES: Mapping[tuple[Any, ...], tuple[Any, bool]] = {}
"""The names of a patch to its :class:`Shapes`."""

HAS_EXTRA = False
EXTRA_RULE: Rule = replace
REQUIRED: tuple[int, ...] = ()
RULES: Mapping[str, tuple[int, Rule, bool]] = {}
"""Field with another rule than ``replace`` to its column, its rule, and whether it is
one of a key."""

KEYS: tuple[Key, ...] = ()
KEY_COLUMNS: tuple[tuple[int, ...], ...] = ()
KEYED_DEFAULTS: frozenset[str] = frozenset()
"""The fields of keys that have a default."""

STRATEGY: Any = None
SIMPLE = True
"""Whether the strategy is one whose rules :func:`_look_up` has."""

PICK: Any = None
MATCH_KEYS: Keys = ()
PLANS: Mapping[str, Any] = {}
"""The same by name."""

OTHER_KEYS: Keys = ()
NO_FORMS: list[Any] = []
FIRST = FORMS
"""The position of the first value in a row."""

BY_FORM = False
"""Whether the first key that the patch carries decides alone."""

KEYLESS = False
"""Whether a patch without a key creates a contact."""

WITHHOLDS = False
"""Whether the fast path may leave out a field whose key is in use."""

REFUSES = False
"""Whether the fast path may refuse a key that is in use."""

CREATES = True
UPDATES = True
DROPS_UPDATES = False
HAS_GROUPS = False
HAS_UPDATE_TIMES = False
HAS_UNCOMMON_KEYS = False
"""Whether a key has several fields, aliases or a limit."""
