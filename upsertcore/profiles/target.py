"""
What rows are for: the fields of a profile or policy, found by the names of columns.

Rules:
    Names are compared without case, spaces and punctuation; equal names come first.
    A name that could be two fields is neither.
    Nothing here reads a file or depends on a profile.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from attrs import field, frozen

__all__ = ["STANDARD_WORDS", "Cell", "Split", "Target", "comparable"]

Cell = str | list[Any] | None
"""A cell: text, the values of several cells or of a list, or None, which clears."""

Split = Callable[[str], list[Any]]
"""Returns the values of a cell of a field that takes several."""

_SIMILARITY = 0.7

STANDARD_WORDS: Mapping[str, tuple[str, ...]] = {
    "first_name": ("given name", "forename"),
    "last_name": ("family name", "surname"),
    "name": ("full name", "display name"),
    "name_prefix": ("prefix", "salutation"),
    "name_suffix": ("suffix",),
    "email": ("mail", "emails", "email address", "email addresses", "primary email"),
    "phone": (
        *("phones", "phone number", "phone numbers", "telephone", "telephone number"),
        *("tel", "primary phone"),
    ),
    "company": ("company name", "organization", "organisation", "organization name"),
    "title": ("job title", "position"),
    "birthday": ("birth date", "date of birth", "dob"),
    "tags": ("tag", "labels"),
    "street": ("street address", "address 1", "address line 1", "number and street"),
    "city": ("town",),
    "region": ("state", "province", "state/region", "state/province"),
    "postal_code": ("zip", "zip code", "postcode", "zip/postal code"),
    "country_code": ("country",),
    "country": ("country/region",),
    "website": ("url", "web page", "homepage", "website url"),
    "notes": ("note",),
    "source": ("lead source", "original source"),
    "id": (),
    "ip_address": ("ip",),
    "language": ("locale",),
    "timezone": ("time zone",),
    "gender": ("sex",),
    "status": (),
    "created_at": ("created", "created date", "create date", "date created"),
    "updated_at": ("updated", "last updated", "last modified"),
    "opted_out": ("opt out", "do not contact"),
}
"""The words for what contacts have, each with the other names that mean the same."""


def comparable(name: str) -> str:
    """
    Return a name without case, spaces and punctuation.

    >>> comparable("E-mail Address"), comparable("first_name"), comparable("#")
    ('emailaddress', 'firstname', '')
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    # A control character is no punctuation: such a name is that of nothing.
    return "".join(c for c in text if c.isalnum() or c < " ")


_WORD_OF = {
    comparable(name): word
    for word, names in STANDARD_WORDS.items()
    for name in (word, *names)
}


def _by_form(names: Iterable[str]) -> dict[str, str]:
    """Return names by their form, without those that have it in common."""
    forms = {name: comparable(name) for name in names}
    counts = Counter(forms.values())
    return {form: name for name, form in forms.items() if form and counts[form] == 1}


@frozen
class Target:
    """
    What rows are for.

    Args:
        name: The profile or policy, for messages.
        fields: The fields that it has.
        many: What takes several values: field to how a cell of it is split.
        many_others: How a cell of any other field is split; None if they take one.
        open_fields: Whether other names are fields as well.
        prefixes: What the names of custom fields begin with, such as ``properties.``.
        aliases: Standard word to its field, where the names differ by more than their
            spelling; None if there is no such field.

    >>> target = Target("crm", ("firstName", "companyName", "email"))
    >>> target.field("First Name"), target.field("E-mail Address"), target.field("x")
    ('firstName', 'email', None)
    >>> target.word("company"), target.word("tags"), target.nearest("Frist name")
    ('companyName', None, 'firstName')
    """

    name: str
    fields: tuple[str, ...]
    many: Mapping[str, Split] = {}
    many_others: Split | None = None
    open_fields: bool = False
    prefixes: tuple[str, ...] = ()
    aliases: Mapping[str, str | None] = {}
    _forms: Mapping[str, str] = field(init=False, eq=False, repr=False)

    @_forms.default
    def _forms_of_fields(self) -> Mapping[str, str]:
        return _by_form(self.fields)

    def has(self, name: str) -> bool:
        """Return whether a name is a declared or a custom field, as it is spelled."""
        return name in self.fields or any(
            name != part and name.startswith(part) for part in self.prefixes
        )

    def field(self, name: str) -> str | None:
        """
        Return the declared field that a name means; None if there is none.

        Args:
            name: A field, a name that differs in spelling, or one that means the same
                as a standard word.
        """
        if name in self.fields:
            return name
        form = comparable(name)
        same = self._forms.get(form)
        word = _WORD_OF.get(form)
        return same if same is not None or word is None else self.word(word)

    def word(self, word: str) -> str | None:
        """
        Return the field of a standard word; None if there is none.

        Args:
            word: A word of ``STANDARD_WORDS``; any other is a name.
        """
        if word in self.aliases:
            return self.aliases[word]
        forms = self._forms
        names = (word, *STANDARD_WORDS.get(word, ()))
        found = [forms[form] for name in names if (form := comparable(name)) in forms]
        if found:
            return found[0]
        return word if self.open_fields else None

    def split(self, field: str) -> Split | None:
        """Return how a cell of a field is split; None if it takes one value."""
        return self.many.get(field, self.many_others)

    def nearest(self, name: str) -> str | None:
        """Return the declared field whose name is nearest; None if none is near."""
        forms = dict(self._forms)
        for form, word in _WORD_OF.items():
            field_of_word = self.word(word)
            if field_of_word in self.fields:
                forms.setdefault(form, field_of_word)
        near = get_close_matches(comparable(name), forms, 1, _SIMILARITY)
        return forms[near[0]] if near else None
