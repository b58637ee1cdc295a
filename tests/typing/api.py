"""What a type checker sees of the public names; checked by mypy and never run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal, assert_type

from tests.field_options import blocking, merging
from upsertcore import (
    Change,
    Contact,
    ContactBook,
    Outcome,
    Outcomes,
    Plan,
    Policy,
    Withheld,
    errors,
    field,
    first_match,
    key,
    merge_all,
    normalize,
    profiles,
)
from upsertcore.rules import keep, latest
from upsertcore.store.contact_index import ContactIndex, IndexStage
from upsertcore.store.memory import MemoryStore
from upsertcore.store.transaction import Stage, Store
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
assert_type(book.upsert_many([]), Outcomes[Outcome])
assert_type(
    book.upsert_many([], on_refused="collect"), Outcomes[Outcome | errors.Refused]
)
assert_type(ContactBook.load(policy, book.dump()), ContactBook)
assert_type(outcome.merged, tuple[Contact, ...])
assert_type(outcome.contact.aliases, FrozenMap[tuple[str, ...]])
assert_type(
    book.upsert({"email": "a@x"}, rules={"email": keep}, null="ignore", blank="clear"),
    Outcome,
)
assert_type(profiles.Anduin().upsert({}, firm_id="f").status, int)

found: Literal["update", "refuse"] = "update" if len(book) else "refuse"
Policy(
    merge_all("email", "person"),
    merging(
        blocking(
            {
                "email": field(key=normalize.email, keep_aliases=True, max_forms=3),
                "name": field(rule=latest(by="at")),
                "at": field(),
                "born": field(),
            },
            {"email": normalize.PLACEHOLDERS},
        ),
        {"name": keep},
    ),
    keys={"person": key("name", "born", normalize=normalize.text)},
    on_found=found,
)

store: Store = MemoryStore(ContactIndex(), lambda: "c-1", lambda: datetime.now(UTC))
stage: Stage = IndexStage(ContactIndex())


def check_calls(book: ContactBook) -> None:
    """Calls that would be refused if they were made."""
    assert_type(
        book.merge("c-1", "c-2", patch={}, if_version=1, rules={"email": keep}), Outcome
    )
    assert_type(book.plan_merge("c-1", "c-2", on_itself="ignore", patch={}), Plan)
    assert_type(book.plan({}, on_found="ignore", on_not_found="create"), Plan)
    assert_type(book.upsert({}, omitted="clear"), Outcome)
    assert_type(
        book.upsert_many([], on_found="refuse", rules=None, null="clear"),
        Outcomes[Outcome],
    )
    assert_type(
        book.upsert_many(
            [], on_refused="collect", on_not_found="refuse", blank="ignore"
        ),
        Outcomes[Outcome | errors.Refused],
    )
    book.upsert({"email": "a@x"}, on_found="create")  # type: ignore[arg-type]
    book.upsert({"email": "a@x"}, ruls={})  # type: ignore[call-arg]
    assert_type(book.update("c-1", {}, if_version=1, omitted="clear"), Outcome)
    assert_type(book.create({}, id="c-3"), Outcome)
    assert_type(book.upsert({}, id="c-1", visitor="c-2"), Outcome)
    assert_type(book.plan({}, id="c-1", visitor="c-2"), Plan)
