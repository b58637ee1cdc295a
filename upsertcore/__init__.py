"""
Decide what an upsert of a contact does: whom it matches, what changes, and why.

Pure domain: no I/O, no hidden clock, no hidden randomness. This module hands on the
public names and defines none; each is loaded when it is asked for first. What a type
checker reads of them stands beside it, in ``__init__.pyi``.
"""

from upsertcore.handing import hand_on

# Public name to the module that defines it; where they are equal, the module itself.
_HOMES = {
    "Change": "outcome",
    "Contact": "contact",
    "ContactBook": "book",
    "ContactIndex": "index",
    "Outcome": "outcome",
    "Plan": "planned",
    "Policy": "policy",
    "Withheld": "outcome",
    "add": "merge",
    "all_agree": "match",
    "custom": "merge",
    "deep": "merge",
    "errors": "errors",
    "field": "line",
    "first_match": "match",
    "first_present": "match",
    "ignore": "merge",
    "immutable": "merge",
    "items_by": "merge",
    "keep": "merge",
    "key": "keys",
    "largest": "merge",
    "latest": "merge",
    "laws": "laws",
    "merge_all": "match",
    "never": "match",
    "normalize": "normalize",
    "on_create": "merge",
    "profiles": "profiles",
    "remove": "merge",
    "replace": "merge",
    "smallest": "merge",
    "union": "merge",
}

__all__ = list(_HOMES)
__getattr__, __dir__ = hand_on(__name__, _HOMES)
