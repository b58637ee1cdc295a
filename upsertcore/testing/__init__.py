"""
Tests a custom policy, normaliser or index, with Hypothesis.

Rules:
    Requires the extra ``[testing]``; nothing else in the library imports this package.
    Everything is drawn from a few values, so that collisions are certain.

A policy, under every verb of a book in any order, and every law that it declares:

>>> from upsertcore import Policy, field, first_match, normalize
>>> class Contacts(BookMachine):
...     policy = Policy(
...         first_match("email"),
...         {"email": field(key=normalize.email, unique=True), "name": field()},
...     )
>>> TestContacts = Contacts.TestCase

``sample_normaliser`` tests a normaliser over any text; override ``BookMachine.make`` to
test an index. Other tests draw their data from :func:`patches`, :func:`books`,
:func:`contacts` and :func:`policies`. A card of ``upsertcore.laws`` checks a small
world exhaustively; this package samples a larger one: long histories, several scopes,
every verb.
"""

from upsertcore.testing.machine import BookMachine
from upsertcore.testing.policies import policies
from upsertcore.testing.pools import POOLS
from upsertcore.testing.strategies import books, contacts, new_book, patches
from upsertcore.testing.texts import json_values, rich_text, sample_normaliser
from upsertcore.testing.vocabulary import Vocabulary

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
