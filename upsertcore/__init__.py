"""
Decide what an upsert of a contact does: which contact it matches, and what changes.

No I/O, no hidden clock, no hidden randomness. This module re-exports the public names;
each is loaded at its first use. Type checkers read them from ``__init__.pyi``.
"""

from upsertcore._lazy import export

# Public name to the module that defines it; where they are equal, the module itself.
_HOMES = {
    "Change": "engine.outcome",
    "Conflict": "engine.conflicts",
    "Contact": "model.contact",
    "ContactBook": "book.contact_book",
    "Entry": "store.journal",
    "Outcome": "engine.outcome",
    "Outcomes": "engine.outcomes",
    "Plan": "engine.plan",
    "Policy": "policy.policy",
    "Rule": "rules.rule",
    "Strategy": "matching.protocol",
    "View": "model.view",
    "Withheld": "engine.outcome",
    "all_agree": "matching.strategies",
    "as_patch": "engine.instances",
    "decide": "engine.decide",
    "errors": "errors",
    "field": "policy.fields",
    "first_match": "matching.strategies",
    "first_present": "matching.strategies",
    "key": "policy.keys",
    "laws": "laws",
    "merge_all": "matching.strategies",
    "never": "matching.strategies",
    "normalize": "normalize",
    "profiles": "profiles",
    "rules": "rules",
}

__version__ = "0.2.0"

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - keys of the table are text
__getattr__, __dir__ = export(__name__, _HOMES)
