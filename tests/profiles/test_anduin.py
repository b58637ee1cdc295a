"""Anduin beside its documented cases: outcomes, rows, plans, the host's fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from upsertcore.errors import CreateRefused, InvalidField
from upsertcore.profiles import anduin as module
from upsertcore.profiles.anduin import Anduin
from upsertcore.profiles.profile import Rejected

NOW = datetime(2024, 1, 2, tzinfo=UTC)
ADA = {"email": "ada@x.org", "firstName": "Ada", "lastName": "King"}
BOB = {"email": "bob@x.org", "firstName": "Bob", "lastName": "Ross"}


def system(*contacts: dict[str, Any], **given: Any) -> Anduin:
    """Make a firm's book of these payloads; ids are c-1 and so on."""
    ids = iter(f"c-{n}" for n in range(1, 10))
    anduin = Anduin(ids=ids.__next__, clock=lambda: NOW, **given)
    for contact in contacts:
        assert anduin.upsert(contact, firm_id="f1").body["result"] == "created"
    return anduin


def said(anduin: Anduin, payload: Any) -> Any:
    """Give the outcome of a payload that is taken."""
    outcome = anduin.upsert(payload, firm_id="f1").outcome
    assert outcome is not None
    return outcome


def test_the_tracking_id_decides_alone() -> None:
    """With both, "only the trackingId is used to locate the Contact"."""
    anduin = system({**ADA, "trackingId": "T1"}, BOB)

    outcome = said(anduin, {"trackingId": "T1", "email": "bob@x.org", "note": "n"})

    assert outcome.matched_by == "trackingId"
    assert outcome.contact.id == "c-1"
    assert outcome.also_matched == ()


def test_an_email_that_is_not_taken_is_reported() -> None:
    """An email is "Not updatable": it is ignored, and the outcome says so."""
    anduin = system({**ADA, "trackingId": "T1"})

    outcome = said(anduin, {"trackingId": "T1", "email": "new@x.org"})

    assert outcome.ignored == {"email": "on_create"}
    assert outcome.unchanged
    assert outcome.contact["email"] == "ada@x.org"


def test_the_email_stays_found_after_another_was_sent() -> None:
    """The old address still finds the contact, and the new one finds nobody."""
    anduin = system({**ADA, "trackingId": "T1"})
    said(anduin, {"trackingId": "T1", "email": "new@x.org"})

    assert [c.id for c in anduin.book.find("email", "ADA@x.org", scope="f1")] == ["c-1"]
    assert anduin.book.find("email", "new@x.org", scope="f1") == ()


def test_no_upsert_gives_a_known_contact_a_tracking_id() -> None:
    """A contact made by email is matched by email alone for good."""
    anduin = system(ADA)

    response = anduin.upsert({**ADA, "trackingId": "T1"}, firm_id="f1")

    assert (response.status, response.body["field"]) == (400, "email")
    assert "trackingId" not in anduin.book.get("c-1", scope="f1")


def test_an_email_in_use_is_refused_whole() -> None:
    """It "will fail if the supplied email is already in use", and write nothing."""
    anduin = system(ADA)
    before = anduin.book.dump()

    response = anduin.upsert(
        {**BOB, "email": "Ada@X.org", "trackingId": "T1"}, firm_id="f1"
    )

    assert response.reason == "email: is in use by another contact"
    assert before == anduin.book.dump()


def test_twice_moves_nothing() -> None:
    """Calling it "twice with the same payload results in the same end state"."""
    times = iter(datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 9))
    anduin = Anduin(clock=times.__next__)
    first = anduin.upsert({**ADA, "trackingId": "T1"}, firm_id="f1")
    state = anduin.book.dump()

    second = anduin.upsert({**ADA, "trackingId": "T1"}, firm_id="f1")

    assert state == anduin.book.dump()
    assert {**first.body, "result": "updated"} == second.body
    assert second.outcome is not None
    assert second.outcome.unchanged


@pytest.mark.parametrize("blank", ["", " ", "\t\n"], ids=repr)
def test_a_blank_tracking_id_is_not_provided(blank: str) -> None:
    """White space alone is blank: the email decides, and the field is named."""
    outcome = said(system(ADA), {"email": "ADA@x.org", "trackingId": blank})

    assert (outcome.matched_by, outcome.result) == ("email", "unchanged")
    assert outcome.ignored["trackingId"] == "blank"


def test_a_tracking_id_that_makes_no_key_is_refused() -> None:
    """The policy takes text and whole numbers, by whatever way they come."""
    with pytest.raises(InvalidField, match="trackingId: must be text or a whole"):
        system().book.upsert({"trackingId": [1]}, scope="f1")


@pytest.mark.parametrize("name", ["phone", "company", "title", "country", "note"])
def test_an_optional_field_may_be_made_blank(name: str) -> None:
    """The rule is "Replace if present", and blank text is present."""
    anduin = system({**ADA, name: "something"})

    assert said(anduin, {"email": "ada@x.org", name: ""}).contact[name] == ""


@pytest.mark.parametrize("blank", ["", " "], ids=repr)
@pytest.mark.parametrize("name", ["firstName", "lastName"])
def test_a_name_may_not_be_made_blank(name: str, blank: str) -> None:
    """A field that is required to create is not emptied by an update."""
    response = system(ADA).upsert({"email": "ada@x.org", name: blank}, firm_id="f1")

    assert response.body == {"field": name, "message": f"{name}: must not be blank"}


def test_what_the_host_keeps_survives() -> None:
    """What the host assigned is "not affected by upsert", and never hides an answer."""
    kept = {"clients": ["c9"], "entities": [{"id": "e1"}], "id": "x", "result": "y"}
    anduin = system(ADA)
    (row,) = anduin.book.dump()
    loaded = system(rows=[{**row, "fields": {**row["fields"], **kept}}])

    body = loaded.upsert({"email": "ada@x.org", "note": "met"}, firm_id="f1").body

    assert body == {**ADA, **kept, "note": "met", "id": "c-1", "result": "updated"}
    assert loaded.book.get("c-1", scope="f1")["id"] == "x"


def test_a_field_of_the_host_is_none_of_the_payload() -> None:
    """No upsert writes what the host keeps, not even past the profile."""
    anduin = system(ADA)

    outcome = anduin.book.upsert({"email": "ada@x.org", "clients": ["c1"]}, scope="f1")

    assert outcome.ignored == {"clients": "ignore"}
    assert "clients" not in outcome.contact


def test_the_answer_is_the_callers_own() -> None:
    """Changing an answer changes nothing that is stored."""
    anduin = system(ADA)
    anduin.upsert({"email": "ada@x.org"}, firm_id="f1").body["firstName"] = "Eve"

    assert anduin.book.get("c-1", scope="f1")["firstName"] == "Ada"


def test_a_plan_is_what_upsert_would_do() -> None:
    """A plan decides as ``upsert`` does, does nothing, and raises what it answers."""
    anduin = system(ADA)
    before = anduin.book.dump()

    assert anduin.plan({"email": "ada@x.org", "note": "n"}, firm_id="f1").updated
    assert anduin.plan(BOB, firm_id="f1").created
    assert before == anduin.book.dump()
    with pytest.raises(Rejected) as raised:
        anduin.plan({}, firm_id="f1")
    assert anduin.upsert({}, firm_id="f1").body == raised.value.body


def test_whatever_else_is_refused_is_a_bad_request() -> None:
    """A refusal of the core without words of its own holds no values."""
    assert module._reject(CreateRefused()).body == {
        "field": "body",
        "message": "body: is refused",
    }


@pytest.mark.parametrize(
    ("value", "why"), [(None, "null"), ("", "blank"), (" ", "blank"), ("\t\n", "blank")]
)
def test_a_tracking_id_that_is_not_provided_is_named(value: Any, why: str) -> None:
    """Null and blank are alike: the email decides, and the outcome says so."""
    anduin = system(ADA)

    outcome = said(anduin, {"email": "ada@x.org", "trackingId": value})

    assert (outcome.unchanged, outcome.matched_by) == (True, "email")
    assert outcome.ignored == {"trackingId": why}


def test_a_placeholder_is_left_out_and_named() -> None:
    """With the option a trackingId that identifies nobody joins no two people."""
    payload = {**ADA, "trackingId": "null"}
    anduin = system(payload, {**BOB, "trackingId": "null"}, placeholders=True)

    outcome = said(anduin, payload)

    assert (outcome.unchanged, outcome.matched_by) == (True, "email")
    assert outcome.ignored == {"trackingId": "blocked"}
    assert Anduin.options["placeholders"]("false") is False


def test_a_row_is_a_payload() -> None:
    """Every field is text already."""
    assert Anduin().from_row(ADA) == ADA


def test_rows_come_back() -> None:
    """A profile goes on from the rows of another one."""
    anduin = system(ADA, BOB)
    twin = Anduin(rows=anduin.book.dump())

    assert anduin.book.dump() == twin.book.dump()
    assert twin.upsert(ADA, firm_id="f1").body["id"] == "c-1"
