"""
Strategies for patches over the fields of a policy, and for books and contacts.

Rules:
    Values are derived from the policy in the same way as for a card.
    Two normal forms per key and two values per other field make collisions certain.
    Books have deterministic ids and clocks: the same draw gives the same book.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import strategies as st

from upsertcore.book.contact_book import ContactBook
from upsertcore.errors import Refused
from upsertcore.laws.sample_values import Values, field_letters, key_letters
from upsertcore.model.contact import Contact
from upsertcore.policy.policy import Policy, compiled, consulted

__all__ = ["books", "contacts", "new_book", "patches"]

_START = datetime(2024, 1, 2, tzinfo=UTC)


def patches(
    policy: Policy, *, values: Values | None = None
) -> st.SearchStrategy[dict[str, Any]]:
    """
    Draw a patch over the fields of a policy: omitted, null, blank, and a few values.

    Args:
        policy: The policy.
        values: Values by field name, in place of the derived ones.

    Raises:
        ValueError: If no values can be derived for a field; the message names it.

    >>> from hypothesis import find
    >>> from upsertcore import field, first_match, normalize
    >>> fields = {"email": field(key=normalize.email), "name": field()}
    >>> policy = Policy(first_match("email"), fields)
    >>> find(patches(policy), lambda patch: "name" in patch)
    {'email': 'ada@x.org', 'name': 'x'}
    """
    field_values = _field_values(policy, {} if values is None else values)
    key_fields = [name for key in policy.all_keys for name in key.fields]
    first_key_fields = [key.fields for key in consulted(policy)[:1]]
    required = dict.fromkeys(
        [*[n for names in first_key_fields for n in names], *compiled(policy).required]
    )
    optional = {
        n: st.sampled_from((*field_values[n] * 2, None, "")) for n in key_fields
    }
    fixed = {n: st.sampled_from(field_values[n]) for n in required}
    others = [
        (name, value)
        for name in field_values
        if name not in key_fields
        for value in (*field_values[name], None, "")
    ]
    other_fields = (
        st.lists(st.sampled_from(others), max_size=3) if others else st.just([])
    )
    identified = st.fixed_dictionaries(
        fixed,
        optional={n: values_ for n, values_ in optional.items() if n not in required},
    )
    unidentified = st.fixed_dictionaries({}, optional=optional)
    return st.tuples(st.one_of(identified, identified, unidentified), other_fields).map(
        _combine
    )


def _combine(parts: tuple[dict[str, Any], list[tuple[str, Any]]]) -> dict[str, Any]:
    key_fields, others = parts
    return key_fields | {n: value for n, value in others if n not in key_fields}


def _field_values(policy: Policy, values: Values) -> dict[str, tuple[Any, ...]]:
    """Return the values of each field, declared or not."""
    key_fields = {name for key in policy.all_keys for name in key.fields}
    clocks = {definition.rule.by for definition in policy.fields.values()}
    if policy.extra_fields is not None:
        clocks.add(policy.extra_fields.rule.by)
    names = [*policy.fields, *[n for n in values if n not in policy.fields]]
    if policy.extra_fields is not None and "other" not in names:
        names.append("other")
    result: dict[str, tuple[Any, ...]] = {}
    for name in names:
        if name in values:
            result[name] = (*values[name],)
        elif name in key_fields:
            result[name] = key_letters(policy, name, values).sent
        elif name in clocks:
            result[name] = _clock_values(policy, name)
        else:
            result[name] = field_letters(policy, name, values).sent
    return result


def _clock_values(policy: Policy, name: str) -> tuple[Any, ...]:
    """Return the values of a clock field: numbers, if they are valid."""
    try:
        return field_letters(policy, name, {name: (1, 2, 3)}).sent
    except ValueError:
        return field_letters(policy, name, {}).sent


def new_book(policy: Policy, **options: Any) -> ContactBook:
    """
    Return a book with deterministic ids and clock, which retains every change.

    Args:
        policy: The policy.
        options: Options of ``ContactBook``.

    >>> from upsertcore import never
    >>> new_book(Policy(never(), {})).create({}).contact.id
    'c-1'
    """
    numbers, minutes = count(1), count()
    defaults: dict[str, Any] = {
        "ids": lambda: f"c-{next(numbers)}",
        "clock": lambda: _START + timedelta(minutes=next(minutes)),
        "retain_changes": None,
    }
    return ContactBook(policy, **(defaults | options))


def books(
    policy: Policy,
    *,
    values: Values | None = None,
    scopes: Sequence[str] = ("",),
    max_calls: int = 6,
) -> st.SearchStrategy[ContactBook]:
    """
    Draw a book after some calls, refused ones included.

    Args:
        policy: The policy.
        values: As :func:`patches`.
        scopes: The tenants.
        max_calls: The maximum number of calls: upserts, and creations, after which
            several contacts may hold the same key.

    Raises:
        ValueError: As :func:`patches`.

    >>> from hypothesis import find
    >>> from upsertcore import field, first_match, normalize
    >>> fields = {"email": field(key=normalize.email), "name": field()}
    >>> policy = Policy(first_match("email"), fields)
    >>> len(find(books(policy), lambda book: len(book.find("email", "ada@x.org")) > 1))
    2
    """
    calls = st.tuples(
        st.sampled_from(("upsert", "upsert", "create")),
        patches(policy, values=values),
        st.sampled_from(scopes),
    )
    return st.lists(calls, max_size=max_calls).map(
        lambda drawn_calls: _book_after(policy, drawn_calls)
    )


def _book_after(
    policy: Policy, calls: list[tuple[str, Mapping[str, Any], str]]
) -> ContactBook:
    book = new_book(policy)
    for verb, patch, scope in calls:
        try:
            getattr(book, verb)(patch, scope=scope)
        except Refused:
            continue
    return book


def contacts(policy: Policy, **options: Any) -> st.SearchStrategy[Contact]:
    """
    Draw a contact of some book.

    Args:
        policy: The policy.
        options: As :func:`books`.

    Raises:
        ValueError: As :func:`patches`.

    >>> from hypothesis import find
    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> find(contacts(policy), lambda contact: True)["email"]
    'ada@x.org'
    """
    snapshots = books(policy, **options).map(tuple).filter(bool)
    return snapshots.flatmap(st.sampled_from)
