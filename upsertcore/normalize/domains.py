"""
The normaliser of email addresses with international domains.

Rules:
    It needs the extra ``[idna]``; it is loaded when ``normalize.email_idna`` is used.
    Only the domain is translated; the part before the ``@`` is that of ``email``.
"""

from __future__ import annotations

from typing import Any

from upsertcore.normalize.emails import email

try:
    import idna
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "email_idna needs the package idna: pip install 'upsertcore[idna]'",
        name="idna",
    ) from error

__all__ = ["email_idna"]


def email_idna(value: Any) -> str | None:
    """
    Compare email addresses, international domains by their ASCII form.

    ``ada@b\u00fccher.example`` and ``ada@xn--bcher-kva.example`` are one mailbox: mail
    systems write either.

    Args:
        value: Text.

    Returns:
        The form of :func:`normalize.email` with the domain in ASCII, in which the
        labels of UTS 46 begin with ``xn--``. A domain in ASCII without such a label
        stays as it is. None where :func:`normalize.email` has none, and for a domain
        that IDNA 2008 does not allow, such as one with an emoji.

    Source:
        UTS 46, Unicode IDNA Compatibility Processing, non-transitional, and RFC 5891,
        through the package idna.

    >>> email_idna("Ada@B\u00dcCHER.example"), email_idna("ada@xn--bcher-kva.example")
    ('ada@xn--bcher-kva.example', 'ada@xn--bcher-kva.example')
    >>> email_idna("ada@\u2615.example")
    """
    form = email(value)
    if form is None or (form.isascii() and "xn--" not in form):
        return form
    name, _at, domain = form.partition("@")
    if domain.isascii() and "xn--" not in domain:
        return form
    try:
        ascii_domain = idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        return None
    return email(f"{name}@{ascii_domain}")
