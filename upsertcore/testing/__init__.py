"""
Testing a policy, a normaliser or an index of your own, with Hypothesis.

Rules:
    It needs the extra ``[testing]``; nothing else of the library imports it.
    Everything is drawn from a few values, so that collisions are certain.
    This package hands on the names of its modules and defines none.

A policy, under every verb of a book, in any order, and every law that it claims:

>>> from upsertcore import Policy, field, first_match, normalize
>>> class Mine(BookMachine):
...     policy = Policy(
...         first_match("email"),
...         {"email": field(key=normalize.email, unique=True), "name": field()},
...     )
>>> TestMine = Mine.TestCase

A normaliser, over any text: ``sample_normaliser``. An index: ``BookMachine.make``.
Other tests take what they are about from :func:`patches`, :func:`books`,
:func:`contacts` and :func:`policies`. What a card of ``upsertcore.laws`` tries whole,
in a small world, these sample in a larger one: long histories, several scopes, every
verb.
"""

from upsertcore.testing.machine import BookMachine
from upsertcore.testing.pools import POOLS
from upsertcore.testing.sending import books, contacts, new_book, patches
from upsertcore.testing.tables import policies
from upsertcore.testing.texts import json_values, rich_text, sample_normaliser
from upsertcore.testing.words import Vocabulary

__all__ = [
    "POOLS",
    "BookMachine",
    "Vocabulary",
    "books",
    "contacts",
    "json_values",
    "new_book",
    "patches",
    "policies",
    "rich_text",
    "sample_normaliser",
]
