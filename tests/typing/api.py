"""What a type checker sees of the public names; checked by mypy and never run."""

from __future__ import annotations

from typing import Any, assert_type

from upsertcore import (
    Change,
    Contact,
    ContactBook,
    Outcome,
    Plan,
    Policy,
    Withheld,
    errors,
    field,
    first_match,
    keep,
    key,
    latest,
    merge_all,
    normalize,
    profiles,
)
from upsertcore.values import FrozenMap

policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
book = ContactBook(policy)
outcome = book.upsert({"email": "ada@x.org"})
plan = book.plan({"email": "ada@x.org"})

assert_type(outcome, Outcome)
assert_type(outcome.contact, Contact)
assert_type(outcome.contact["email"], Any)
assert_type(outcome.changes, tuple[Change, ...])
assert_type(outcome.withheld, tuple[Withheld, ...])
assert_type(outcome.created, bool)
assert_type(plan, Plan)
assert_type(book.apply(plan), Outcome)
assert_type(book.find("email", "ada@x.org"), tuple[Contact, ...])
assert_type(book.upsert_many([]), list[Outcome])
assert_type(book.upsert_many([], on_refused="collect"), list[Outcome | errors.Refused])
assert_type(ContactBook.load(policy, book.dump()), ContactBook)
assert_type(outcome.merged, bool)
assert_type(outcome.absorbed, tuple[Contact, ...])
assert_type(outcome.contact.aliases, FrozenMap[tuple[str, ...]])
assert_type(
    book.upsert({"email": "a@x"}, merge={"email": keep}, null="ignore", blank="clear"),
    Outcome,
)
assert_type(profiles.Anduin().upsert({}, firm_id="f").status, int)

switch: bool = bool(len(book))
Policy(
    merge_all("email", "person"),
    {
        "email": field(key=normalize.email, keep_aliases=True, limit=3),
        "name": field(merge=latest(by="at")),
        "at": field(),
        "born": field(),
    },
    keys={"person": key("name", "born", normalize=normalize.text)},
    blocked={"email": normalize.PLACEHOLDERS},
    absorb={"name": keep},
    update=switch,
)
