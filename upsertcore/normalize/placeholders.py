"""Placeholders: what forms and exports write for a missing value."""

from __future__ import annotations

import re

from upsertcore.normalize.blocked_patterns import Pattern

__all__ = ["PLACEHOLDERS"]

PLACEHOLDERS: tuple[Pattern, ...] = (
    # Written by programs for a missing value.
    *("null", "(null)", "<null>", "[null]", "#null!", "nil", "<nil>", "none", "<none>"),
    *("(none)", "[none]", "undefined", "[undefined]", "nan", "<nan>", "<na>"),
    *("\\N", "-1", "#n/a", "#na", "#value!", "#ref!", "#name?", "#num!", "#div/0!"),
    *("[object object]",),
    # Written by people.
    *("n/a", "n.a.", "n.a", "na", "(n/a)", "<n/a>", "n\\a", "not available"),
    *("not applicable", "not provided", "not specified", "not given", "not known"),
    *("unknown", "(unknown)", "anonymous", "(blank)", "(empty)", "tbd", "tba"),
    *("no email", "noemail", "no-email", "no phone", "nophone", "no name", "noname"),
    # Only punctuation; only zeros; any other digit six times or more, with or without a
    # country code; the digits in order.
    re.compile(
        r"[-_.?*#~=/\s\u2010-\u2015\u2026]+"
        r"|\+?0+|\+?([0-9])\1{5,}|\+[0-9]{1,3}([0-9])\2{8,}"
        r"|(?:\+1?|0)?1234567890?"
    ),
    # Addresses that are not read, and domains that cannot exist (RFC 2606).
    *("noreply@*", "no-reply@*", "no_reply@*", "no.reply@*", "donotreply@*"),
    *("do-not-reply@*", "do_not_reply@*", "noemail@*", "no-email@*", "no_email@*"),
    *("no.email@*", "nomail@*", "no-mail@*", "none@*", "null@*", "undefined@*"),
    *("unknown@*", "anonymous@*", "nobody@*", "n/a@*", "nan@*", "notprovided@*"),
    *("not-provided@*", "test@test.*", "test@example.*", "email@email.*"),
    *("*@*.invalid", "*@invalid"),
)
"""Values that forms and exports write where none is known: ``field(blocked=...)``."""
