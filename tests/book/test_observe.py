"""Which calls take the fast path, and the reason of those that do not."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.book.observe import FastPathObserver
from upsertcore.rules import latest
from upsertcore.store import uncommon

LINES: dict[str, Any] = {
    "email": field(key=normalize.email, unique=True),
    "phone": field(key=normalize.phone),
    "name": field(),
    "city": field(),
}
MATCH = first_match("email", "phone")
ADA = {"email": "ada@x.org", "phone": "+15550000001"}
EVE = {"email": "eve@x.org", "phone": "+15550000002"}
KEPT = field(key=normalize.phone, max_forms=9, keep_aliases=True)
PERSON = key("name", "city", normalize=normalize.text, blocked={"city": ["none"]})
NAMED = {
    **LINES,
    "name": field(key=normalize.text),
    "city": field(key=normalize.text),
}

CASES: dict[str, tuple[Policy, list[Any]]] = {
    uncommon.NOT_READ: (Policy(MATCH, LINES), [None]),
    uncommon.KEY_IN_USE: (
        Policy(merge_all("email", "phone"), LINES),
        [ADA, EVE, {**ADA, "phone": EVE["phone"]}],
    ),
    uncommon.NOT_CREATED: (Policy(MATCH, LINES), [{"name": "Ada"}]),
    uncommon.KEYED_DEFAULT: (
        Policy(MATCH, {**LINES, "phone": field(key=normalize.phone, default="+15550")}),
        [{"email": "ada@x.org"}],
    ),
    uncommon.RULE: (
        Policy(MATCH, {**LINES, "name": field(required=True)}),
        [ADA],
    ),
    uncommon.FORMS_KEPT: (
        Policy(
            MATCH,
            {**LINES, "email": field(key=normalize.email, max_forms=1, many=True)},
        ),
        [{**ADA, "email": ["a@x", "b@x"]}],
    ),
    uncommon.NOT_UPDATED: (
        Policy(MATCH, LINES, on_found="ignore"),
        [ADA, {**ADA, "name": "Eve"}],
    ),
    uncommon.NO_FAST_PATH: (
        Policy(
            merge_all("email", "phone"),
            {**LINES, "phone": KEPT},
            on_limit="drop",
        ),
        [ADA],
    ),
}


def reasons(book: ContactBook, patches: list[Any], **options: Any) -> list[str | None]:
    """Send patches to a book, and return the reason of each; refusals are ignored."""
    observer, found = FastPathObserver(book), []
    for patch in patches:

        def send(patch: Any = patch) -> object:
            try:
                return book.upsert(patch, **options)
            except errors.Refused as refusal:
                return refusal

        found.append(observer.observe(send)[1])
    return found


@pytest.mark.parametrize("reason", CASES)
def test_uncommon_call_has_its_reason(reason: str) -> None:
    policy, patches = CASES[reason]
    *before, last = reasons(ContactBook(policy), patches)

    assert reason == last
    assert [None] * len(before) == before


def test_deleted_contact_has_its_reason() -> None:
    policy = Policy(MATCH, LINES, on_deleted="restore")
    book = ContactBook(policy)
    book.delete(book.upsert(ADA).contact.id)

    assert [uncommon.SPECIAL] == reasons(book, [{**ADA, "name": "Ada"}])


def test_id_that_is_drawn_is_not_a_reason_of_common_calls() -> None:
    numbers = count(1)
    book = ContactBook(Policy(MATCH, LINES), ids=lambda: f"c-{next(numbers)}")

    assert [None, None] == reasons(book, [ADA, EVE])


def test_call_with_an_id_is_off_the_fast_path() -> None:
    book = ContactBook(Policy(MATCH, LINES))

    assert [uncommon.NO_FAST_PATH] == reasons(book, [ADA], id="c-1")


def test_call_that_repeats_an_idempotency_key_has_its_reason() -> None:
    book = ContactBook(Policy(MATCH, LINES))

    assert [None, uncommon.OVERTAKEN] == reasons(
        book, [ADA, ADA], idempotency_key="k-1"
    )


def test_blocked_part_of_a_key_of_several_fields_has_its_reason() -> None:
    policy = Policy(MATCH, NAMED, keys={"person": PERSON}, on_blocked="ignore")
    book = ContactBook(policy)

    assert [uncommon.PARTLY_BLOCKED] == reasons(
        book, [{**ADA, "name": "Ada", "city": "none"}]
    )


def test_clock_of_a_contact_is_a_reason_where_updates_have_times() -> None:
    fields = {**LINES, "name": field(rule=latest("at")), "at": field()}
    book = ContactBook(Policy(MATCH, fields))
    sent = {**ADA, "name": "Ada", "at": datetime(2024, 1, 2, tzinfo=UTC).isoformat()}

    assert [None] == reasons(book, [sent])
