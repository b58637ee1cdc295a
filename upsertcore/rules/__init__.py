"""
The rules: how a stored value and a sent value make the new one.

Rules:
    Each rule declares exactly the laws that hold for it.
    A rule that may ignore a sent value declares that it drops values.
    Null is None; the ``null`` and ``blank`` options of a field apply before its rule.
"""

from upsertcore.rules.catalogue import (
    add,
    add_or_remove,
    append,
    constant,
    custom,
    deep,
    deep_keep,
    ignore,
    immutable,
    items_by,
    keep,
    largest,
    last_updated,
    latest,
    on_create,
    refuse_if,
    remove,
    replace,
    smallest,
    sticky,
    union,
    unset,
)

__all__ = [
    "add",
    "add_or_remove",
    "append",
    "constant",
    "custom",
    "deep",
    "deep_keep",
    "ignore",
    "immutable",
    "items_by",
    "keep",
    "largest",
    "last_updated",
    "latest",
    "on_create",
    "refuse_if",
    "remove",
    "replace",
    "smallest",
    "sticky",
    "union",
    "unset",
]
