"""
What a column holds: its kind, decided by the words of its header and by its values.

Rules:
    A kind has a reason, which names the share of values that fit it.
    Where header and values disagree, the values decide and the reason says so; where
    they fit no other kind, the header does.
    Headers are read in English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias, get_args

from attrs import frozen

from upsertcore.normalize import Normalizer, compact, date, email, exact, phone, text
from upsertcore.profiles.text_cells import parse_json_cell
from upsertcore.values import show_value

__all__ = [
    "KEY_KINDS",
    "KINDS",
    "ColumnKind",
    "Kind",
    "check_kinds",
    "column_kind",
    "header_kind",
]

Kind: TypeAlias = Literal[
    "email",
    "phone",
    "name",
    "date",
    "number",
    "boolean",
    "id",
    "url",
    "postal code",
    "country",
    "list",
    "text",
    "unknown",
]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""All kinds."""

KEY_KINDS: frozenset[Kind] = frozenset({"email", "phone", "id", "url"})
"""The kinds of columns that may identify a contact."""

_DECIDES, _CONFIRMS = 0.8, 0.5
"""The share of values that decides on a kind alone, and beside a header."""


@frozen
class ColumnKind:
    """
    The kind of a column.

    Args:
        kind: The kind.
        reason: Why.
        agrees: Whether the values fit what the header says.
        normalizer: Returns the form of a value; None for a kind without one.

    >>> decided = column_kind("E-mail Address", ["a@x.org", "b@x.org", "n.n."])
    >>> decided.kind, decided.reason
    ('email', 'header; 67 % of 3 values')
    """

    kind: Kind
    reason: str
    agrees: bool = True
    normalizer: Normalizer | None = None


def _url(value: Any) -> str | None:
    """Return the form of a web address: without protocol, www and a last slash."""
    match = _URL.fullmatch(value.strip()) if isinstance(value, str) else None
    return None if match is None else match[1].casefold() + (match[2] or "").rstrip("/")


def _number(value: Any) -> str | None:
    """Return the form of a number: its text, without white space around it."""
    word = str(value).strip()
    return word if _NUMBER.fullmatch(word) else None


def _boolean(value: Any) -> str | None:
    """Return the form of yes or no: the word in lower case."""
    word = str(value).strip().lower()
    return word if word in _BOOLEANS else None


_URL = re.compile(
    r"(?i)(?:https?://)?(?:www\.)?((?<=//)[^\s/?#@]+|(?<=www\.)[^\s/?#@]+"
    r"|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,})([/?#]\S*)?"
)
_PROTOCOL = re.compile(r"(?i)https?://|www\.")
_NUMBER = re.compile(
    r"[-+]?[$\u20ac\xa3]? ?(?:[0-9]+|[0-9]{1,3}(?:[ ,.'][0-9]{3})+)(?:[.,][0-9]+)? ?%?"
)
_BOOLEANS = frozenset(
    {"true", "false", "yes", "no", "y", "n", "t", "f", "1", "0", "on", "off"}
)
_DIGITS = re.compile("[0-9]")
_PHONE_LIKE = re.compile(r"\s*(?:\+|00|(?=.*[0-9)][ \-][0-9(]))[0-9\s().\-/]{6,24}")
_UUID = re.compile(r"(?i)\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?")
_COUNTRY_CODE = re.compile("[A-Z]{2,3}")


def _is_phone(word: str) -> bool:
    """Return whether text has the shape of a telephone number, whatever its region."""
    return 7 <= len(_DIGITS.findall(word)) <= 15 and bool(_PHONE_LIKE.fullmatch(word))


def _is_date(word: str) -> bool:
    return any(order(word) for order in _DATE_ORDERS.values())


_DATE_ORDERS = {None: date(), "dmy": date("dmy"), "mdy": date("mdy")}

# What is tried where the header does not say it, in this order.
_CONTENT: tuple[tuple[Kind, Callable[[str], Any]], ...] = (
    ("email", email),
    ("url", lambda word: _PROTOCOL.match(word) and _url(word)),
    ("boolean", lambda word: not word.isdigit() and _boolean(word)),
    ("date", _is_date),
    ("id", _UUID.fullmatch),
    ("number", _number),
    ("phone", _is_phone),
    ("list", lambda word: isinstance(parse_json_cell(word), list)),
)

# What a value must be where the header says the kind.
_AS_SAID: Mapping[Kind, Callable[[str], Any]] = {
    **dict(_CONTENT),
    "url": _url,
    "boolean": _boolean,
    "phone": lambda word: 5 <= len(_DIGITS.findall(word)) <= 15 and "@" not in word,
    "name": lambda word: "@" not in word and not word.isdigit(),
    "id": lambda word: not any(map(str.isspace, word)) and "@" not in word,
    "postal code": lambda word: len(word) <= 12 and _DIGITS.search(word),
    "country": lambda word: len(word) <= 60 and not _DIGITS.search(word),
    "list": bool,
    "text": bool,
}

# Kinds by words; the first line with a word of the header decides.
_HEADER_WORDS = """
text: type label status format by protocol ip
date: date dates birthday birthdate dob timestamp time created modified updated
date: changed anniversary joined
boolean: opt consent subscribed unsubscribed is has dnd verified enabled optin optout
boolean: bounced
id: id ids uuid guid identifier key ssn leid euid
list: tag tags groups labels lists memberships categories
email: email emails mail mailbox
phone: phone phones telephone tel mobile cell cellphone fax msisdn whatsapp
url: url urls website web homepage link linkedin
postal code: zip zipcode postcode postal
country: country countries
number: amount score revenue price total age quantity count rating latitude longitude
number: employees
id: number no nr code
text: company organization organisation account business street city state region owner
text: notes note title
name: name names firstname lastname fullname surname forename
"""
_HEADERS: Any = tuple(
    (kind, frozenset(words.split()))
    for kind, _, words in (
        line.partition(":") for line in _HEADER_WORDS.strip().splitlines()
    )
)
_ALONE: Mapping[tuple[str, ...], Kind] = {
    (word,): "name" for word in ("first", "last", "given", "family", "middle")
}
_WORDS = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def header_kind(column: str) -> Kind | None:
    """
    Return the kind that the words of a header say; None where they say none.

    >>> [
    ...     header_kind(name)
    ...     for name in ("E-mail 1 - Value", "phoneNumber", "OPTIN_TIME")
    ... ]
    ['email', 'phone', 'date']
    >>> (
    ...     header_kind("E-mail 1 - Type"),
    ...     header_kind("Company Name"),
    ...     header_kind("Stage"),
    ... )
    ('text', 'text', None)
    """
    words = [word.lower() for word in _WORDS.findall(column)]
    whole = "".join(words)
    kind: Kind
    for kind, known in _HEADERS:
        if not known.isdisjoint([*words, whole]):
            return kind
    return _ALONE.get((*words,))


def column_kind(
    column: str,
    values: Collection[str],
    *,
    region: Normalizer | None = None,
    given: Kind | None = None,
    are_lists: bool = False,
) -> ColumnKind:
    """
    Decide on the kind of a column.

    Args:
        column: The header.
        values: Distinct values of the column, as text.
        region: The normaliser of telephone numbers; ``normalize.phone`` by default.
        given: The kind, if the caller knows it.
        are_lists: Whether the column holds lists.

    Cost:
        Linear in the values.

    >>> column_kind("Email Opt Out", ["true", "false"]).kind
    'boolean'
    >>> column_kind("Email", ["yes", "no"]).reason
    'header says email, but 100 % of 2 values are boolean'
    >>> column_kind("x1", []).reason
    'no values, and the header says no kind'
    """
    kind, reason, agrees = _decide(column, values, given, are_lists=are_lists)
    if kind == "date":
        order, remark = _date_order(values)
        return ColumnKind(kind, reason + remark, agrees, _DATE_ORDERS[order])
    normalizer = {**_NORMALIZERS, "phone": region or phone}.get(kind)
    return ColumnKind(kind, reason, agrees, normalizer)


_NORMALIZERS: Mapping[Kind, Normalizer] = {
    "email": email,
    "name": text,
    "number": _number,
    "boolean": _boolean,
    "id": exact,
    "url": _url,
    "postal code": compact,
    "country": text,
}


def _decide(
    column: str, values: Collection[str], given: Kind | None, *, are_lists: bool
) -> tuple[Kind, str, bool]:
    """Return the kind, the reason, and whether header and values agree."""
    said = header_kind(column)
    if given is not None:
        return given, "given", True
    if not values:
        if said is None:
            return "unknown", "no values, and the header says no kind", True
        return said, "header; no values", True
    if are_lists and said not in KEY_KINDS:
        return "list", "the values are lists", said in (None, "list", "text")
    share = 0.0 if said is None else _share(_AS_SAID[said], values)
    if said is not None and share >= _CONFIRMS:
        return said, f"header; {_percent(share, values)}", True
    for kind, fits in _CONTENT:
        found = _share(fits, values)
        if found < _DECIDES:
            continue
        if said is None:
            return kind, _percent(found, values), True
        contrast = f"header says {said}, but {_percent(found, values)}"
        return kind, f"{contrast} are {kind}", False
    if said is None:
        return "text", f"no other kind fits {_count(values)}", True
    return said, f"header, but only {_percent(share, values)} fit", False


def _share(fits: Callable[[str], Any], values: Collection[str]) -> float:
    return sum(bool(fits(value)) for value in values) / len(values)


def _percent(share: float, values: Collection[str]) -> str:
    return f"{share:.0%}".replace("%", " %") + f" of {_count(values)}"


def _count(values: Collection[str]) -> str:
    return f"{len(values):,} value{'s' if len(values) != 1 else ''}"


def _date_order(values: Collection[str]) -> tuple[str | None, str]:
    """Return the order of day and month that fits most values, and a remark."""
    counts = {
        order: sum(bool(read(value)) for value in values)
        for order, read in _DATE_ORDERS.items()
    }
    if counts[None] >= max(counts.values()):
        return None, ""
    if counts["dmy"] == counts["mdy"]:
        return None, "; day and month can be read in both orders"
    order = max(("dmy", "mdy"), key=counts.__getitem__)
    return order, f"; {'day' if order == 'dmy' else 'month'} first"


def check_kinds(kinds: Mapping[str, str]) -> None:
    """
    Check kinds that a caller gives.

    Args:
        kinds: Column to kind.

    Raises:
        ValueError: If one is unknown.

    >>> check_kinds({"code": "colour"})
    Traceback (most recent call last):
    ...
    ValueError: kinds: 'code' must be one of email, phone, name, ...
    """
    for column, kind in kinds.items():
        if kind not in KINDS:
            what = f"must be one of {', '.join(KINDS)}, not {show_value(kind)}"
            raise ValueError(f"kinds: {show_value(column)} {what}")
