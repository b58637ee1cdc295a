"""
Merge rules: how a stored value and a sent value make the new value.

Rules:
    Each rule declares the laws that hold for it, all of them and no other.
    What may leave a sent value out says so.
    Null is None; what null and blank do may be settled before a rule is asked.
"""

from upsertcore.rules.catalogue import (
    add,
    add_or_remove,
    append,
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
    remove,
    replace,
    smallest,
    union,
    unset,
)

__all__ = [
    "add",
    "add_or_remove",
    "append",
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
    "remove",
    "replace",
    "smallest",
    "union",
    "unset",
]
