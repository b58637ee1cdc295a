"""
Normalisers: the form of a value in which keys are compared.

Rules:
    A normaliser is pure, total on text, idempotent and linear in the length of its
    value, and may return None: no key. No key is better than another person's.
    Identifiers, dates and postcodes may be numbers; words, mailboxes and telephone
    numbers are text.
    Normal forms are for comparing alone; what is stored is what was sent.
"""

from upsertcore.normalize.basic import (
    EMAIL_FORM,
    EXACT_FORM,
    PHONE_FORM,
    PLACEHOLDERS,
    SEPARATORS,
    TEXT_FORM,
    Normalizer,
    email,
    exact,
    initials,
    nicknames,
    phone,
    phone_in,
    postcode_area,
    prefix,
    sorted_tokens,
    text,
    year,
)

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
