"""
The laws of an upsert, and their proof for the profiles and for custom policies.

Rules:
    A law is a plain function that asserts; it needs no test runner and no randomness.
    ``card`` tries every law in a whole small world; ``check`` tries one call,
    ``check_merge`` one merge, ``check_log`` a sequence of calls.
    This package re-exports the names of its modules and defines none.

Why a small world is enough: a card tries finitely many cases, and its verdict is about
books of any size and values of any kind. It follows in four steps.

1. *Only equality of forms counts.* A decision uses a value in three ways: a normaliser
   makes a form of it, forms are compared for equality, and a rule makes a new value of
   two. If every form is renamed, a book behaves the same up to the names (data
   independence). So two forms per key are enough: one that the patch carries, and one
   that it does not.
2. *A call reads few contacts.* It reads the contacts that hold a form of the patch, as
   far as its strategy consults them. Contacts that hold none of these forms make no
   difference, however many there are: the index is never scanned. With two keys, three
   contacts are enough: one for each key, and one bystander.
3. *Rules apply to one field at a time.* The new value of a field that is part of no key
   depends on its stored and sent value and on the clock of its rule. So one such field
   at a time is tried with all states of the keys, for each distinct set of options.
4. *Fields that are not read stand for any value.* If a call does not read a contact,
   its fields outside the keys are not enumerated; the count says how many states
   one stands for. States, merges and logs that are equal up to renaming are visited
   once, and counted too.

Assumptions, and where they are checked:

- Normalisers and ``clean`` are pure, total and idempotent: laws in ``normalisers``.
- Rules are pure and keep the laws that they declare: laws in ``rules``.
- Which contacts a call reads does not depend on fields outside the keys, and renaming
  changes no verdict. The tests of this package compare cards with exhaustive ones.
- Forms are renamed only if every rule of a key's fields compares for equality alone;
  rules that order values (``largest``, ``latest``) are tried under both names.

Exhaustive are all states of up to three contacts over two normal forms per key, with
aliases (at most one per key), deletions and clocks, and all patches over omitted, null,
blank and the values. Beside plain values these are tried one at a time: white space,
stored and blocked values that make no form, and values of which the rule or ``clean``
makes nothing. Merges are of two and three contacts: over all states of the keys; and
over all values of one field, with blank, default, clocks and orders of updates, where
one contact has a key. Not covered are lists of three keys and more, more matching keys
than contacts, contacts that have merged others before the call, logs of more than two
patches (three for few keys), threads, and functions of the application that raise. The
machines of ``upsertcore.testing`` sample these.
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
