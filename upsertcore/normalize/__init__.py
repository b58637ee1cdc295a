"""
Normalisers: functions from a value to the form by which keys are compared.

Rules:
    A normaliser is pure, total on text, idempotent and linear in the length of the
    value. It may return None: no key, which is better than the key of someone else.
    Identifiers, dates and postcodes may be numbers; words, email addresses and
    telephone numbers are text.
    Forms are for comparison only; the value is stored as it was sent.
"""

from upsertcore.normalize.dates import year
from upsertcore.normalize.emails import EMAIL_FORM, email
from upsertcore.normalize.identifiers import EXACT_FORM, exact
from upsertcore.normalize.names import initials, nicknames, sorted_tokens
from upsertcore.normalize.normalizer import Normalizer
from upsertcore.normalize.phones import PHONE_FORM, SEPARATORS, phone, phone_in
from upsertcore.normalize.placeholders import PLACEHOLDERS
from upsertcore.normalize.postcodes import postcode_area
from upsertcore.normalize.words import TEXT_FORM, prefix, text

__all__ = [
    "EMAIL_FORM",
    "EXACT_FORM",
    "PHONE_FORM",
    "PLACEHOLDERS",
    "SEPARATORS",
    "TEXT_FORM",
    "Normalizer",
    "email",
    "exact",
    "initials",
    "nicknames",
    "phone",
    "phone_in",
    "postcode_area",
    "prefix",
    "sorted_tokens",
    "text",
    "year",
]
