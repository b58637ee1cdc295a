"""Mailboxes by the rules of their providers, and international domains."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from upsertcore import normalize
from upsertcore.normalize.mailboxes import _BY_DOMAIN


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("ada@gmail.com", "ada@gmail.com"),
        (" A.D.A+news+x@GoogleMail.com ", "ada@gmail.com"),
        ("ada..@gmail.com", "ada@gmail.com"),
        ("ada+a.b@gmail.com", "ada@gmail.com"),
        ("+news@gmail.com", None),
        ("...@gmail.com", None),
        ("a.da+news@outlook.com", "a.da@outlook.com"),
        ("ada+x@hotmail.com", "ada@hotmail.com"),
        ("ada+x@live.com", "ada@live.com"),
        ("ada+x@msn.com", "ada@msn.com"),
        ("a.da+x@fastmail.com", "a.da@fastmail.com"),
        ("ada+x@fastmail.fm", "ada@fastmail.fm"),
        ("ada+x@proton.me", "ada@proton.me"),
        ("ada+x@pm.me", "ada@pm.me"),
        ("ada@protonmail.com", "ada@protonmail.com"),
        ("ada+x@me.com", "ada@icloud.com"),
        ("a.da@mac.com", "a.da@icloud.com"),
        ("ada@icloud.com", "ada@icloud.com"),
        # Nothing is known of these.
        ("a.da+x@x.org", "a.da+x@x.org"),
        ("ada-news@yahoo.com", "ada-news@yahoo.com"),
        ("ada+news@yahoo.com", "ada+news@yahoo.com"),
        ("a.da@gmail.com.example", "a.da@gmail.com.example"),
        ("news@ada.fastmail.com", "news@ada.fastmail.com"),
        ("\u00e5.da+x@gmail.com", "\u00e5da@gmail.com"),
        ("a@b@gmail.com", None),
        ("ada", None),
        (None, None),
        (7, None),
    ],
)
def test_address_has_the_form_of_its_mailbox(value: Any, form: str | None) -> None:
    assert form == normalize.email_mailbox(value)


@pytest.mark.parametrize("domain", _BY_DOMAIN)
def test_form_of_a_provider_is_a_mailbox_of_a_provider(domain: str) -> None:
    form = normalize.email_mailbox(f"a.b+c@{domain}")

    assert form is not None
    assert form.partition("@")[2] in _BY_DOMAIN
    assert form == normalize.email_mailbox(form)
    assert "+" not in form


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("Ada@X.org", "ada@x.org"),
        ("ada@under_score.x.org", "ada@under_score.x.org"),
        ("ada@b\u00fccher.example", "ada@xn--bcher-kva.example"),
        ("ada@B\u00dcCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\u0308cher.example", "ada@xn--bcher-kva.example"),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@fa\u00df.de", "ada@xn--fa-hia.de"),
        ("ada@x\u3002org", "ada@x.org"),
        # The local part is left alone: KELVIN SIGN is no k.
        ("\u212aelvin@x.org", "\u212aelvin@x.org"),
        ("\u00e5sa@x.org", "\u00e5sa@x.org"),
        ("\u00e5sa@b\u00fccher.example", "\u00e5sa@xn--bcher-kva.example"),
        ("xn--@x.org", "xn--@x.org"),
        ("ada@xn--zz.example", None),
        ("ada@\u2615.example", None),
        ("ada@\u00fc..example", None),
        ("ada@" + "\u00fc" * 64 + ".example", None),
        ("a" * 205 + "@" + "\u00fc" * 40 + ".ex", None),
        ("ada@", None),
        (None, None),
        (7, None),
    ],
)
def test_international_domain_has_its_ascii_form(value: Any, form: str | None) -> None:
    assert form == normalize.email_idna(value)


def run_without_idna(code: str) -> list[str]:
    """Run code in a process without the package idna."""
    command = [sys.executable, "-c", f"import sys; sys.modules['idna'] = None\n{code}"]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    return process.stdout.splitlines()


def test_missing_package_is_named_where_the_normaliser_is_used() -> None:
    """All others are there, and a policy as text that does not name it."""
    code = (
        "from upsertcore import Policy, normalize\n"
        "print(normalize.email('A@x.org'), 'email_idna' in dir(normalize))\n"
        "text = '''match = { first_match = [\"e\"] }\\n[fields.e]\\nkey = \"%s\"'''\n"
        "print(Policy.from_toml(text % 'email_mailbox').match)\n"
        "for use in (lambda: normalize.email_idna,"
        " lambda: Policy.from_toml(text % 'email_idna')):\n"
        "    try:\n"
        "        use()\n"
        "    except ModuleNotFoundError as error:\n"
        "        print(error, error.name)\n"
    )
    message = "email_idna needs the package idna: pip install 'upsertcore[idna]' idna"

    assert run_without_idna(code) == [
        "a@x.org True",
        "first_match('e')",
        message,
        message,
    ]


def test_name_that_is_no_normaliser_is_unknown() -> None:
    with pytest.raises(AttributeError, match="no attribute 'email_iban'"):
        _ = normalize.email_iban
