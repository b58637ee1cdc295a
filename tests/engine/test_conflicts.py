"""``check``: where contacts are not as the policy would have created them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.book.dict_store import DictStore
from upsertcore import (
    Conflict,
    Contact,
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    normalize,
    rules,
)
from upsertcore.book.book import Book
from upsertcore.engine.conflicts import find_conflicts
from upsertcore.errors import InvalidRows

NOW = datetime(2024, 1, 2, tzinfo=UTC)
EMAIL = field(key=normalize.email, unique=True, keep_aliases=True)


def policy(**fields: Any) -> Policy:
    """Make a policy with an email and other fields."""
    return Policy(first_match("email"), {"email": EMAIL, **fields})


def contact(id: str = "c-1", **parts: Any) -> Contact:
    """Make a contact with an email."""
    fields = {"email": f"{id}@x.org", **parts.pop("fields", {})}
    return Contact(id, parts.pop("scope", ""), fields, 1, NOW, NOW, **parts)


def check(own: Policy, *contacts: Contact) -> list[tuple[str, str, str]]:
    """Load contacts under a policy; return what a check of the book reports."""
    book = ContactBook.load(own, [each.to_dict() for each in contacts])
    return [(each.id, each.field, each.reason) for each in book.check()]


def refuse_short(value: Any) -> Any:
    """Refuse short text."""
    if len(value) < 3:
        raise ValueError("must have three characters")
    return value


def sorted_list(value: Any) -> Any:
    """Sort a list."""
    return sorted(value)


AGAIN = "is not what the policy makes of it now; send it again"
CASES: dict[str, tuple[Policy, Contact, tuple[str, str] | None]] = {
    "all is well": (policy(), contact(), None),
    "missing": (
        policy(name=field(required=True)),
        contact(),
        ("name", "is required to create a contact; send a value that is not blank"),
    ),
    "refused by clean": (
        policy(name=field(clean=refuse_short)),
        contact(fields={"name": "Al"}),
        ("name", "must have three characters, not 'Al'"),
    ),
    "changed by clean": (
        policy(name=field(clean=str.strip)),
        contact(fields={"name": "Ada "}),
        ("name", f"'Ada ' {AGAIN}"),
    ),
    "kept by clean": (
        policy(name=field(clean=str.strip)),
        contact(fields={"name": "Ada"}),
        None,
    ),
    "a scalar where there are many": (
        policy(tags=field(many=True)),
        contact(fields={"tags": "a"}),
        ("tags", f"'a' {AGAIN}"),
    ),
    "combined items are cleaned one by one": (
        policy(tags=field(rule=rules.union, clean=sorted_list)),
        contact(fields={"tags": ["b", "a"]}),
        None,
    ),
    "a blocked item": (
        Policy(
            first_match("tags"),
            {
                "tags": field(key=normalize.text, rule=rules.union, blocked=["b", "c"]),
                "email": field(),
            },
            on_blocked="ignore",
        ),
        contact(fields={"tags": ["a", "b", "c"]}),
        ("tags", f"('a', 'b', 'c') {AGAIN}"),
    ),
    "blank is what a rule may make": (
        policy(tags=field(rule=rules.remove, blank="reject")),
        contact(fields={"tags": []}),
        None,
    ),
    "undeclared": (
        Policy(first_match("email"), {"email": EMAIL}, extra_fields=field()),
        contact(fields={"city": "Oslo"}),
        None,
    ),
    "a former form": (
        policy(),
        contact(aliases={"email": ["old@x.org"]}),
        None,
    ),
    "a former form that is none": (
        policy(),
        contact(aliases={"email": ["OLD@x.org"]}),
        ("aliases", "'OLD@x.org' is no form of email now; send the value again"),
    ),
    "too many forms": (
        policy(more=field(key=normalize.email, max_forms=1)),
        contact(fields={"more": ["a@x", "b@x"]}),
        (
            "more",
            "must have one key per contact, not 2; send fewer, or raise max_forms",
        ),
    ),
    "deleted": (
        policy(),
        contact(deleted_at=NOW),
        (
            "deleted_at",
            "must not be set under on_deleted='forget'; delete the contact again",
        ),
    ),
    "aliases of a key of two fields": (
        Policy(
            first_match("both"),
            {"email": field(), "name": field()},
            keys={"both": key("email", "name", normalize=normalize.text)},
        ),
        contact(aliases={"both": ["A|B"]}),
        None,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_check_reports_what_the_policy_would_not_have_created(name: str) -> None:
    own, stored, expected = CASES[name]
    reported = check(own, stored)

    if expected is None:
        assert reported == []
    else:
        field_name, reason = expected
        assert reported == [("c-1", field_name, f"{field_name}: {reason}")]


def test_check_reports_every_conflict_by_creation() -> None:
    """Also the second one of a contact, and equal keys of other scopes are none."""
    own = policy(name=field(required=True), city=field(clean=refuse_short))
    first = contact(fields={"city": "x"})
    second = contact("c-2", fields={"name": "Bob", "city": "y"}, scope="s")
    reported = check(own, first, second)

    assert [(id, name) for id, name, _reason in reported] == [
        *(("c-1", "city"), ("c-1", "name"), ("c-2", "city"))
    ]


def test_check_of_a_book_whose_normaliser_has_changed_reports_its_forms() -> None:
    """The forms of the index are those that it made before."""
    case = str.lower

    def fold(value: Any) -> str:
        return case(value)

    book = ContactBook(
        Policy(first_match("name"), {"name": field(key=fold)}), ids=lambda: "c-1"
    )
    book.upsert({"name": "Ada"})
    assert book.check() == ()
    case = str.upper

    [conflict] = book.check()
    assert (conflict.id, conflict.field) == ("c-1", "name")
    assert conflict.reason == (
        "name: must be the forms of the stored values, not ('ada',); "
        "load the book's rows"
    )


def test_unique_keys_of_two_contacts_and_unknown_names_are_found() -> None:
    """What load refuses, of a store that an application keeps itself."""
    own = policy(phone=field(key=normalize.phone))
    twin = contact("c-2", fields={"email": "C-1@x.org"})
    alias = contact("c-3", aliases={"email": ["c-1@x.org"], "fax": ["1"]})
    lost = contact("c-4", fields={"city": "Oslo"}, clocks={"city": "1", "zip": "1"})
    forms: Any = [(f"c-{n}@x.org",) for n in (1, 1, 3, 4)]
    forms[2] = "c-3@x.org", "c-1@x.org"
    stored = zip((contact(), twin, alias, lost), [(f, ()) for f in forms], strict=True)

    assert [str(each).partition(";")[0] for each in find_conflicts(own, stored)] == [
        "contact c-2: email: 'C-1@x.org' is held by contact c-1",
        "contact c-3: aliases: must be of a key of the policy, not 'fax'",
        "contact c-3: email: 'c-1@x.org' is held by contact c-1",
        "contact c-4: city: unknown field",
        "contact c-4: zip: unknown field",
    ]


def test_unique_keys_that_the_policy_allows_twice_are_no_conflict() -> None:
    own = Policy(first_match("email"), {"email": EMAIL}, on_key_in_use="allow")

    assert check(own, contact(), contact("c-2", fields={"email": "c-1@x.org"})) == []


def test_check_reads_any_store() -> None:
    own = policy(name=field())
    ids = iter(["c-1", "c-2"]).__next__
    book = Book(own, DictStore(["email"], ids, lambda: NOW))
    book.upsert({"email": "ada@x.org", "name": "Ada"})

    assert book.check() == ()


def test_conflict_is_json_ready() -> None:
    conflict = Conflict("c-1", "s", "name", "name: is required")

    assert json.loads(json.dumps(conflict.to_dict())) == {
        "id": "c-1",
        "scope": "s",
        "field": "name",
        "reason": "name: is required",
    }
    assert str(conflict) == "contact c-1: name: is required"


def test_load_reports_each_conflict_of_each_row() -> None:
    """A contact that is there twice does not hold its keys against itself."""
    own = policy(phone=field(key=normalize.phone, unique=True))
    taken = {"email": "a@x.org", "phone": "+15550001111"}
    rows = [
        contact(fields=taken).to_dict(),
        contact(fields={**taken, "emial": "x"}, aliases={"fax": ["1"]}).to_dict(),
        contact("c-3", fields={**taken, "city": "Oslo"}).to_dict(),
        contact("c-4").to_dict(),
    ]
    with pytest.raises(InvalidRows) as caught:
        ContactBook.load(own, rows)
    refusals = caught.value.refusals

    assert [
        (each.row, type(each).__name__, each.to_dict()["field"]) for each in refusals
    ] == [
        (1, "InvalidField", "id"),
        (1, "UnknownField", "emial"),
        (1, "InvalidField", "aliases"),
        (2, "UnknownField", "city"),
        (2, "KeyInUse", "email"),
        (2, "KeyInUse", "phone"),
    ]
    assert str(caught.value).startswith("rows: 2 of 4 cannot be loaded; ")
    assert str(caught.value).endswith("and 1 more, in refusals of this error")
