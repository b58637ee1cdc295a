"""Anduin: outcomes, plans, rows and the fields of the host, beside its cases."""

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


def make_system(*contacts: dict[str, Any], **options: Any) -> Anduin:
    """Make a system with a firm's contacts; ids are c-1 and so on."""
    ids = iter(f"c-{n}" for n in range(1, 10))
    anduin = Anduin(ids=ids.__next__, clock=lambda: NOW, **options)
    for contact in contacts:
        assert anduin.upsert(contact, firm_id="f1").body["result"] == "created"
    return anduin


def accepted_outcome(anduin: Anduin, payload: Any) -> Any:
    """Return the outcome of a payload that is accepted."""
    outcome = anduin.upsert(payload, firm_id="f1").outcome
    assert outcome is not None
    return outcome


def test_tracking_id_beside_an_email_matches_alone() -> None:
    """With both, "only the trackingId is used to locate the Contact"."""
    anduin = make_system({**ADA, "trackingId": "T1"}, BOB)

    outcome = accepted_outcome(
        anduin, {"trackingId": "T1", "email": "bob@x.org", "note": "n"}
    )

    assert outcome.matched_by == "trackingId"
    assert outcome.contact.id == "c-1"
    assert outcome.also_matched == ()


def test_email_beside_a_tracking_id_is_ignored_and_named() -> None:
    """An email is "Not updatable"."""
    anduin = make_system({**ADA, "trackingId": "T1"})

    outcome = accepted_outcome(anduin, {"trackingId": "T1", "email": "new@x.org"})

    assert outcome.ignored == {"email": "on_create"}
    assert outcome.unchanged
    assert outcome.contact["email"] == "ada@x.org"


def test_lookup_by_email_after_an_ignored_email_uses_the_stored_one() -> None:
    anduin = make_system({**ADA, "trackingId": "T1"})
    accepted_outcome(anduin, {"trackingId": "T1", "email": "new@x.org"})

    assert [c.id for c in anduin.book.find("email", "ADA@x.org", scope="f1")] == ["c-1"]
    assert anduin.book.find("email", "new@x.org", scope="f1") == ()


def test_new_tracking_id_for_a_stored_email_is_refused() -> None:
    """A contact created by email stays without a trackingId."""
    anduin = make_system(ADA)

    response = anduin.upsert({**ADA, "trackingId": "T1"}, firm_id="f1")

    assert (response.status, response.body["field"]) == (400, "email")
    assert "trackingId" not in anduin.book.get("c-1", scope="f1")


def test_email_of_another_contact_is_refused_without_a_change() -> None:
    """The call "will fail if the supplied email is already in use"."""
    anduin = make_system(ADA)
    before = anduin.book.dump()

    response = anduin.upsert(
        {**BOB, "email": "Ada@X.org", "trackingId": "T1"}, firm_id="f1"
    )

    assert response.reason == "email: is in use by another contact"
    assert before == anduin.book.dump()


def test_second_upsert_of_a_payload_changes_nothing() -> None:
    """Two calls "with the same payload" end "in the same end state"."""
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
def test_blank_tracking_id_is_ignored_and_the_email_matches(blank: str) -> None:
    """White space alone is blank."""
    outcome = accepted_outcome(
        make_system(ADA), {"email": "ADA@x.org", "trackingId": blank}
    )

    assert (outcome.matched_by, outcome.result) == ("email", "unchanged")
    assert outcome.ignored["trackingId"] == "blank"


def test_tracking_id_of_another_type_is_refused_by_the_policy() -> None:
    """The policy accepts text and whole numbers, also outside the profile."""
    with pytest.raises(InvalidField, match="trackingId: must be text or a whole"):
        make_system().book.upsert({"trackingId": [1]}, scope="f1")


@pytest.mark.parametrize("name", ["phone", "company", "title", "country", "note"])
def test_blank_value_of_an_optional_field_is_stored(name: str) -> None:
    """The rule is "Replace if present", and blank text is present."""
    anduin = make_system({**ADA, name: "something"})

    assert (
        accepted_outcome(anduin, {"email": "ada@x.org", name: ""}).contact[name] == ""
    )


@pytest.mark.parametrize("blank", ["", " "], ids=repr)
@pytest.mark.parametrize("name", ["firstName", "lastName"])
def test_blank_value_of_a_required_name_is_refused(name: str, blank: str) -> None:
    """A field that is required for creation is not cleared by an update."""
    response = make_system(ADA).upsert(
        {"email": "ada@x.org", name: blank}, firm_id="f1"
    )

    assert response.body == {"field": name, "message": f"{name}: must not be blank"}


def test_fields_of_the_host_stay_after_an_upsert() -> None:
    """They are "not affected by upsert", and do not replace the id of the body."""
    host_fields = {
        "clients": ["c9"],
        "entities": [{"id": "e1"}],
        "id": "x",
        "result": "y",
    }
    anduin = make_system(ADA)
    (row,) = anduin.book.dump()
    loaded = make_system(rows=[{**row, "fields": {**row["fields"], **host_fields}}])

    body = loaded.upsert({"email": "ada@x.org", "note": "met"}, firm_id="f1").body

    assert body == {
        **ADA,
        **host_fields,
        "note": "met",
        "id": "c-1",
        "result": "updated",
    }
    assert loaded.book.get("c-1", scope="f1")["id"] == "x"


def test_field_of_the_host_in_a_patch_is_ignored() -> None:
    """The policy ignores it, also outside the profile."""
    anduin = make_system(ADA)

    outcome = anduin.book.upsert({"email": "ada@x.org", "clients": ["c1"]}, scope="f1")

    assert outcome.ignored == {"clients": "ignore"}
    assert "clients" not in outcome.contact


def test_change_of_a_response_body_changes_nothing_stored() -> None:
    anduin = make_system(ADA)
    anduin.upsert({"email": "ada@x.org"}, firm_id="f1").body["firstName"] = "Eve"

    assert anduin.book.get("c-1", scope="f1")["firstName"] == "Ada"


def test_plan_decides_as_upsert_and_writes_nothing() -> None:
    """A payload that ``upsert`` rejects raises the same body."""
    anduin = make_system(ADA)
    before = anduin.book.dump()

    assert anduin.plan({"email": "ada@x.org", "note": "n"}, firm_id="f1").updated
    assert anduin.plan(BOB, firm_id="f1").created
    assert before == anduin.book.dump()
    with pytest.raises(Rejected) as raised:
        anduin.plan({}, firm_id="f1")
    assert anduin.upsert({}, firm_id="f1").body == raised.value.body


def test_other_refusal_is_a_bad_request_without_values() -> None:
    """A refusal of the core that the profile has no message for."""
    assert module._reject(CreateRefused()).body == {
        "field": "body",
        "message": "body: is refused",
    }


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "null"), ("", "blank"), (" ", "blank"), ("\t\n", "blank")],
)
def test_null_or_blank_tracking_id_is_named_with_the_reason(
    value: Any, reason: str
) -> None:
    """Null and blank are alike: the email matches."""
    anduin = make_system(ADA)

    outcome = accepted_outcome(anduin, {"email": "ada@x.org", "trackingId": value})

    assert (outcome.unchanged, outcome.matched_by) == (True, "email")
    assert outcome.ignored == {"trackingId": reason}


def test_placeholder_as_tracking_id_is_ignored_and_named() -> None:
    """With the option, two contacts with the same placeholder are not one."""
    payload = {**ADA, "trackingId": "null"}
    anduin = make_system(payload, {**BOB, "trackingId": "null"}, placeholders=True)

    outcome = accepted_outcome(anduin, payload)

    assert (outcome.unchanged, outcome.matched_by) == (True, "email")
    assert outcome.ignored == {"trackingId": "blocked"}
    assert Anduin.options["placeholders"]("false") is False


def test_row_of_text_is_the_payload() -> None:
    """Every field is text already."""
    assert Anduin().from_row(ADA) == ADA


def test_dump_loads_into_another_system() -> None:
    anduin = make_system(ADA, BOB)
    twin = Anduin(rows=anduin.book.dump())

    assert anduin.book.dump() == twin.book.dump()
    assert twin.upsert(ADA, firm_id="f1").body["id"] == "c-1"
