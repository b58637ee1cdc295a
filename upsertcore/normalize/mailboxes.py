"""
The normaliser of mailboxes: which addresses a provider delivers to one mailbox.

Rules:
    A rule applies to the domains of its provider alone, and needs a public source.
    An address of any other domain keeps its form: dots and tags have a meaning there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from upsertcore.normalize.emails import email

__all__ = ["email_mailbox"]


class _Provider(NamedTuple):
    """
    The rules of a provider.

    Args:
        domains: Its domains.
        domain: The one for which all of them stand; blank where they differ.
        ignored: What does not count before a plus, and is removed.
    """

    domains: tuple[str, ...]
    domain: str = ""
    ignored: str = ""


_PROVIDERS = (
    # Dots: https://support.google.com/mail/answer/7436150 (not in a Workspace domain).
    # Both domains: https://developers.google.com/doubleclick-advertisers/guides/conversions_ec
    # Plus: https://github.com/googleads/google-ads-php/issues/1119 (quotes the manual).
    _Provider(("gmail.com", "googlemail.com"), "gmail.com", "."),
    # http://zdnet.com/article/microsoft-adds-support-for-custom-email-addresses-in-office-365/
    _Provider(("outlook.com", "hotmail.com", "live.com", "msn.com")),
    # https://www.fastmail.help/hc/en-us/articles/360060591053
    _Provider(("fastmail.com", "fastmail.fm")),
    # https://proton.me/support/addresses-and-aliases
    _Provider(("proton.me", "protonmail.com", "protonmail.ch", "pm.me")),
    # Domains: https://support.apple.com/118230
    # Plus: https://www.vcharts.net/en/help/email-alias
    _Provider(("icloud.com", "me.com", "mac.com"), "icloud.com"),
)

_BY_DOMAIN = {
    domain: (provider.domain or domain, provider.ignored)
    for provider in _PROVIDERS
    for domain in provider.domains
}


def email_mailbox(value: Any) -> str | None:
    """
    Compare mailboxes: addresses that one provider delivers to one person are equal.

    Known are Gmail, Outlook.com, Fastmail, Proton and iCloud: what follows a plus is a
    tag. At Gmail dots do not count, ``googlemail.com`` is ``gmail.com``; at iCloud
    ``me.com`` and ``mac.com`` are ``icloud.com``. An address of another domain has the
    form of :func:`normalize.email`. That includes Yahoo's disposable addresses: the
    name before their hyphen is chosen for them, and may not be that of the person.

    Use it to find duplicates. A person may use a tag to be two contacts on purpose.

    Args:
        value: Text.

    Returns:
        The address of the mailbox. None where :func:`normalize.email` has none, or
        where nothing is left before the tag.

    Source:
        The providers' manuals; the comments in the table name the pages.

    >>> email_mailbox("A.Da+news@GoogleMail.com"), email_mailbox("a.da+news@x.org")
    ('ada@gmail.com', 'a.da+news@x.org')
    >>> email_mailbox("a.da+news@outlook.com"), email_mailbox("+news@gmail.com")
    ('a.da@outlook.com', None)
    """
    form = email(value)
    if form is None:
        return None
    name, _at, domain = form.partition("@")
    if domain not in _BY_DOMAIN:
        return form
    domain, ignored = _BY_DOMAIN[domain]
    name = name.partition("+")[0]
    for character in ignored:
        name = name.replace(character, "")
    return email(f"{name}@{domain}")
