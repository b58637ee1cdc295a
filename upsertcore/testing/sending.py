"""
Sending: patches over the fields of a policy, and books and contacts that they make.

Rules:
    Values are found by asking the policy, as a card finds them; nothing is guessed.
    Two normal forms per key, two values per other field: collisions are certain.
    Books have ids and a clock of their own, so the same draw is the same book.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import strategies as st

from upsertcore.book.book import ContactBook
from upsertcore.errors import Refused
from upsertcore.laws.alphabet import Values, key_letters, line_letters
from upsertcore.model.contact import Contact
from upsertcore.policy.policy import Policy, compiled

__all__ = ["books", "contacts", "new_book", "patches"]

_DAWN = datetime(2024, 1, 2, tzinfo=UTC)


def patches(
    policy: Policy, *, values: Values | None = None
) -> st.SearchStrategy[dict[str, Any]]:
    """
    Draw a patch over the fields of a policy: omitted, null, blank, and a few values.

    Args:
        policy: The table.
        values: Field name to values to be sent, in place of those that are found.

    Raises:
        ValueError: If no values can be found for a field; it names the field.

    >>> from hypothesis import find
    >>> from upsertcore import field, first_match, normalize
    >>> lines = {"email": field(key=normalize.email), "name": field()}
    >>> policy = Policy(first_match("email"), lines)
    >>> find(patches(policy), lambda patch: "name" in patch)
    {'email': 'ada@x.org', 'name': 'x'}
    """
    sent = _sent(policy, {} if values is None else values)
    keyed = [name for key in policy.all_keys for name in key.fields]
    leading = [compiled(policy).by_name[name].fields for name in policy.match.keys[:1]]
    due = dict.fromkeys(
        [*[n for names in leading for n in names], *compiled(policy).required]
    )
    some = {n: st.sampled_from((*sent[n] * 2, None, "")) for n in keyed}
    known = {n: st.sampled_from(sent[n]) for n in due}
    rest = [
        (name, value)
        for name in sent
        if name not in keyed
        for value in (*sent[name], None, "")
    ]
    told = st.lists(st.sampled_from(rest), max_size=3) if rest else st.just([])
    whole = st.fixed_dictionaries(
        known, optional={n: each for n, each in some.items() if n not in due}
    )
    loose = st.fixed_dictionaries({}, optional=some)
    return st.tuples(st.one_of(whole, whole, loose), told).map(_laid)


def _laid(drawn: tuple[dict[str, Any], list[tuple[str, Any]]]) -> dict[str, Any]:
    keyed, rest = drawn
    return keyed | {name: value for name, value in rest if name not in keyed}


def _sent(policy: Policy, values: Values) -> dict[str, tuple[Any, ...]]:
    """Give what is sent for each field, declared or not."""
    keyed = {name for key in policy.all_keys for name in key.fields}
    clocks = {line.rule.by for line in policy.fields.values()}
    if policy.extra_fields is not None:
        clocks.add(policy.extra_fields.rule.by)
    names = [*policy.fields, *[n for n in values if n not in policy.fields]]
    if policy.extra_fields is not None and "other" not in names:
        names.append("other")
    found: dict[str, tuple[Any, ...]] = {}
    for name in names:
        if name in values:
            found[name] = (*values[name],)
        elif name in keyed:
            found[name] = key_letters(policy, name, values).sent
        elif name in clocks:
            found[name] = _ticks(policy, name)
        else:
            found[name] = line_letters(policy, name, values).sent
    return found


def _ticks(policy: Policy, name: str) -> tuple[Any, ...]:
    """Find values of a clock: numbers, if it takes them."""
    try:
        return line_letters(policy, name, {name: (1, 2, 3)}).sent
    except ValueError:
        return line_letters(policy, name, {}).sent


def new_book(policy: Policy, **how: Any) -> ContactBook:
    """
    Make a book with ids and a clock of its own, which keeps every change.

    Args:
        policy: The table.
        how: As ``ContactBook``.

    >>> from upsertcore import never
    >>> new_book(Policy(never(), {})).create({}).contact.id
    'c-1'
    """
    numbers, minutes = count(1), count()
    making: dict[str, Any] = {
        "ids": lambda: f"c-{next(numbers)}",
        "clock": lambda: _DAWN + timedelta(minutes=next(minutes)),
        "retain_changes": None,
    }
    return ContactBook(policy, **(making | how))


def books(
    policy: Policy,
    *,
    values: Values | None = None,
    scopes: Sequence[str] = ("",),
    max_calls: int = 6,
) -> st.SearchStrategy[ContactBook]:
    """
    Draw a book that has seen some calls; what was refused changed nothing.

    Args:
        policy: The table.
        values: As :func:`patches`.
        scopes: The tenants.
        max_calls: Up to how many calls it has seen: upserts, and creations, after
            which several contacts may hold one key.

    Raises:
        ValueError: As :func:`patches`.

    >>> from hypothesis import find
    >>> from upsertcore import field, first_match, normalize
    >>> lines = {"email": field(key=normalize.email), "name": field()}
    >>> policy = Policy(first_match("email"), lines)
    >>> len(find(books(policy), lambda book: len(book.find("email", "ada@x.org")) > 1))
    2
    """
    calls = st.tuples(
        st.sampled_from(("upsert", "upsert", "create")),
        patches(policy, values=values),
        st.sampled_from(scopes),
    )
    return st.lists(calls, max_size=max_calls).map(lambda each: _fed(policy, each))


def _fed(
    policy: Policy, calls: list[tuple[str, Mapping[str, Any], str]]
) -> ContactBook:
    book = new_book(policy)
    for verb, patch, scope in calls:
        try:
            getattr(book, verb)(patch, scope=scope)
        except Refused:
            continue
    return book


def contacts(policy: Policy, **how: Any) -> st.SearchStrategy[Contact]:
    """
    Draw a contact that some book holds.

    Args:
        policy: The table.
        how: As :func:`books`.

    Raises:
        ValueError: As :func:`patches`.

    >>> from hypothesis import find
    >>> from upsertcore import field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> find(contacts(policy), lambda contact: True)["email"]
    'ada@x.org'
    """
    some = books(policy, **how).map(tuple).filter(bool)
    return some.flatmap(st.sampled_from)
