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
    "Entry": "journal",
    "Outcome": "outcome",
    "Plan": "planned",
    "Policy": "policy",
    "Rule": "rule",
    "Strategy": "strategy",
    "View": "view",
    "Withheld": "outcome",
    "all_agree": "match",
    "decide": "plan",
    "errors": "errors",
    "field": "line",
    "first_match": "match",
    "first_present": "match",
    "key": "keys",
    "laws": "laws",
    "merge_all": "match",
    "never": "match",
    "normalize": "normalize",
    "profiles": "profiles",
    "rules": "rules",
}

__version__ = "0.2.0"

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - keys of the table are text
__getattr__, __dir__ = hand_on(__name__, _HOMES)
