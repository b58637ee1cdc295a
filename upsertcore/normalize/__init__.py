"""
Normalisers: functions from a value to the form by which keys are compared.

Rules:
    A normaliser is pure, total on text, idempotent and linear in the length of the
    value. It may return None: no key, which is better than the key of someone else.
    Identifiers, dates and postcodes may be numbers; words, email addresses and
    telephone numbers are text.
    Forms are for comparison only; the value is stored as it was sent.
"""

from typing import TYPE_CHECKING

from upsertcore._lazy import export
from upsertcore.normalize.codes import compact, digits
from upsertcore.normalize.dates import date, year
from upsertcore.normalize.emails import EMAIL_FORM, email
from upsertcore.normalize.identifiers import EXACT_FORM, exact
from upsertcore.normalize.mailboxes import email_mailbox
from upsertcore.normalize.names import initials, nicknames, sorted_tokens
from upsertcore.normalize.normalizer import Normalizer, chain
from upsertcore.normalize.phones import (
    PHONE_FORM,
    SEPARATORS,
    phone,
    phone_in,
    phone_with_code,
)
from upsertcore.normalize.placeholders import PLACEHOLDERS
from upsertcore.normalize.postcodes import postcode_area
from upsertcore.normalize.words import TEXT_FORM, prefix, text

if TYPE_CHECKING:
    from upsertcore.normalize.domains import email_idna

__all__ = [
    "EMAIL_FORM",
    "EXACT_FORM",
    "PHONE_FORM",
    "PLACEHOLDERS",
    "SEPARATORS",
    "TEXT_FORM",
    "Normalizer",
    "chain",
    "compact",
    "date",
    "digits",
    "email",
    "email_idna",
    "email_mailbox",
    "exact",
    "initials",
    "nicknames",
    "phone",
    "phone_in",
    "phone_with_code",
    "postcode_area",
    "prefix",
    "sorted_tokens",
    "text",
    "year",
]

# It needs an extra, and is loaded when it is used.
__getattr__, __dir__ = export(__name__, {"email_idna": "domains"})
