"""
Values: JSON values, frozen, compared, measured, and shown in messages.

Rules:
    A frozen value is text, a number, a bool, a tuple or a FrozenMap of such values.
    Values of different types differ: 1, 1.0 and True are three values.
    A message shows a shortened value, and advice on what to use instead.
"""

from upsertcore.values.advice import (
    closest_name,
    find_invalid,
    mapping_advice,
    unknown_name,
    value_advice,
)
from upsertcore.values.blank import empty
from upsertcore.values.equality import same
from upsertcore.values.frozen import (
    NOTHING,
    FrozenMap,
    count,
    freeze,
    is_unicode,
    thaw,
)
from upsertcore.values.limits import (
    MAX_BITS,
    MAX_DEPTH,
    MAX_FIELDS,
    MAX_TEXT,
    MAX_VALUES,
    Budget,
    Size,
)
from upsertcore.values.show import (
    callable_name,
    describe,
    kind_of,
    list_names,
    show_name,
    show_value,
)

__all__ = [
    "MAX_BITS",
    "MAX_DEPTH",
    "MAX_FIELDS",
    "MAX_TEXT",
    "MAX_VALUES",
    "NOTHING",
    "Budget",
    "FrozenMap",
    "Size",
    "callable_name",
    "closest_name",
    "count",
    "describe",
    "empty",
    "find_invalid",
    "freeze",
    "is_unicode",
    "kind_of",
    "list_names",
    "mapping_advice",
    "same",
    "show_name",
    "show_value",
    "thaw",
    "unknown_name",
    "value_advice",
]
