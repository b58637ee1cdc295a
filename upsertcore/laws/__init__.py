"""
The laws of an upsert, and their proof for the profiles and for custom policies.

Rules:
    A law is a plain function that asserts; it needs no test runner and no randomness.
    ``card`` tries every law in a whole small world; ``check`` tries one call,
    ``check_merge`` one merge, ``check_log`` a sequence of calls.
    This package re-exports the names of its modules and defines none.

Why a small world is enough, and what a card does not try, is in the README of this
package: what is assumed there is checked by ``normalisers``, ``rules`` and the tests.
"""

from upsertcore.laws import books, calls, logs, merges, normalisers, not_stored, rules
from upsertcore.laws.all_laws import CALLS, LOGS, MERGES, check, check_log, check_merge
from upsertcore.laws.card import Counterexample, LawCard, Verdict, card, estimate
from upsertcore.laws.claims import claims
from upsertcore.laws.errors import LawBroken
from upsertcore.laws.trial import Log, Merge, Trial

__all__ = [
    "CALLS",
    "LOGS",
    "MERGES",
    "Counterexample",
    "LawBroken",
    "LawCard",
    "Log",
    "Merge",
    "Trial",
    "Verdict",
    "books",
    "calls",
    "card",
    "check",
    "check_log",
    "check_merge",
    "claims",
    "estimate",
    "logs",
    "merges",
    "normalisers",
    "not_stored",
    "rules",
]
