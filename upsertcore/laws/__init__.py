"""
The laws of an upsert, and the proof of them: for these profiles and for your policy.

Rules:
    A law is a plain function that asserts; it needs no test runner, and no chance.
    ``card`` tries each in the whole of a small world; ``check`` of one call of yours,
    ``check_merge`` of one merge, ``check_log`` of many calls.
    This package hands on the names of its modules and defines none.

Why a small world is enough. What a card tries is finite, and what it speaks of is not:
books of any size, and any values. The step from one to the other is this.

1. *Values count by their names alone.* A decision looks at a value in three ways: a
   normaliser makes a form of it, forms are compared for equality, and a merge rule
   makes a new value of two. So a book in which every form has another name behaves as
   before, but for the names (data independence). Two forms per key are enough: the one
   that the patch carries, and one that it does not.
2. *A call reads few contacts.* It reads those that hold a form that the patch carries,
   and of these those that its strategy asks for. Whoever holds none of them can be
   there or not, ten of them or a million: the index is never walked. Three contacts
   give, with two keys, a contact for each key and one who stands by.
3. *Fields are merged one by one.* The new value of a field that no key is made of is a
   function of its stored and its sent value, and of the clock of its rule. So one such
   field at a time is tried with all that the keys can do, one of each distinct line.
4. *What is not read stands for anything.* Where a call does not read a contact, the
   fields of no key are not spelled out for it; the count says how many states that
   stands for. States, merges and logs that a renaming makes equal are visited once, and
   counted too.

What is assumed, and where that is seen to hold:

- Normalisers and ``clean`` are pure, total and idempotent: ``normalisers`` has the
  laws.
- Merge rules are pure and keep the laws that they declare: ``rules`` has the laws.
- Which contacts a call reads does not hang on the value of a field that no key is made
  of, and a renaming changes no verdict. The tests of this package compare cards with
  such in which nothing is left out.
- A renaming of forms is done only where every rule of a key's fields looks at equality
  alone: rules that order values (``largest``, ``latest``) are tried under both names.

What is exhaustive: every state of up to three contacts over two normal forms per key,
aliases (at most one per key), marks of deletion and clocks included, and every patch
over omitted, null, blank and the values. Tried beside plain values, one at a time:
white space, values of a key that make no form, stored and blocked, and values of a
field of which its rule, or its ``clean``, makes nothing. Merges are of two and of three
contacts: of every state of the keys, and, over every value of a field, blank and
default among them, every clock and every order of updates, of contacts of which one has
a key. What is not: lists of three keys and more; more keys hit than contacts are tried;
contacts that have absorbed others in the state that a call begins with; logs longer
than two patches (three, over few keys); threads, and functions of a host that raise.
For these there are the machines of ``upsertcore.testing``, which sample.
"""

from upsertcore.laws import books, calls, logs, merges, naming, normalisers, rules
from upsertcore.laws.broken import LawBroken
from upsertcore.laws.card import Counterexample, LawCard, Verdict, card, estimate
from upsertcore.laws.claims import claims
from upsertcore.laws.every import CALLS, LOGS, MERGES, check, check_log, check_merge
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
    "naming",
    "normalisers",
    "rules",
]
