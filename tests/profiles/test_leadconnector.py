"""LeadConnector: settings, matching, refusals and responses, beside its cases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from upsertcore import ContactBook
from upsertcore.errors import InvalidField, InvalidPolicy, InvalidRows, NoMatchKey
from upsertcore.profiles._leadconnector_fields import FLAG, NULLABLE, READERS
from upsertcore.profiles._leadconnector_response import reject
from upsertcore.profiles._leadconnector_values import birth_date, lower_tags
from upsertcore.profiles.leadconnector import LeadConnector
from upsertcore.profiles.profile import Rejected, Response
from upsertcore.values import freeze

NOW = datetime(2024, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
NO_KEY = "Pass at least one of number, email query parameter"
FIELDS = (*READERS, "customFields")

TEXTS = (
    *("id", "name", "locationId", "firstName", "lastName", "email", "phone", "city"),
    *("emailLowerCase", "firstNameLowerCase", "lastNameLowerCase", "timezone"),
    *("fullNameLowerCase", "companyName", "type", "source", "assignedTo", "website"),
    *("address1", "state", "country", "postalCode", "dateOfBirth", "dateAdded"),
    *("dateUpdated", "attachments", "ssn", "keyword", "visitorId", "lastActivity"),
    *("businessId", "gender"),
)
CHANNELS = ("Call", "Email", "SMS", "WhatsApp", "GMB", "FB")


def is_text(value: Any) -> bool:
    """Return whether a value is a string."""
    return isinstance(value, str)


def is_setting(value: Any) -> bool:
    """Return whether a value is a channel's setting: a known status and texts."""
    return (
        value.keys() <= {"status", "message", "code"}
        and value["status"] in ("active", "inactive", "permanent")
        and all(map(is_text, value.values()))
    )


# The vendor's schema of a response: a check for each field.
RESPONSE_FIELDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(TEXTS, is_text),
    "dnd": lambda v: isinstance(v, bool),
    "tags": lambda v: isinstance(v, list) and all(map(is_text, v)),
    "dndSettings": lambda v: (
        v.keys() <= set(CHANNELS) and all(map(is_setting, v.values()))
    ),
    "inboundDndSettings": lambda v: (
        v.keys() <= {"all"} and all(map(is_setting, v.values()))
    ),
    "customFields": lambda v: all(
        item.keys() == {"id", "value"}
        and is_text(item["id"])
        and item["value"] is not None
        for item in v
    ),
    "attributionSource": lambda v: is_text(v["url"]),
    "lastAttributionSource": lambda v: is_text(v["url"]),
}


def make_system(*payloads: dict[str, Any], **options: Any) -> LeadConnector:
    """Make a system with contacts of location l1; ids are c-1 and so on."""
    ids = iter(f"c-{n}" for n in range(1, 10))
    options = {"ids": ids.__next__, "clock": lambda: NOW, **options}
    crm = LeadConnector(**options)
    for payload in payloads:
        assert accepted_body(crm, **payload)["new"]
    return crm


def checked_upsert(crm: LeadConnector, payload: Any) -> Response:
    """Upsert, and check the response against the documented shape."""
    before = crm.book.dump()
    response = crm.upsert(payload)
    if response.status == 200:
        assert {"new", "contact", "traceId"} == response.body.keys()
        assert isinstance(response.body["new"], bool)
        assert is_text(response.body["traceId"])
        for name, value in response.body["contact"].items():
            assert RESPONSE_FIELDS[name](value), (name, value)
        assert not response.reason
    else:
        titles = {400: "Bad Request", 422: "Unprocessable Entity"}
        message = response.body["message"]
        assert isinstance(message, str if response.status == 400 else list)
        assert {
            "statusCode": response.status,
            "message": message,
            "error": titles[response.status],
        } == response.body
        assert response.reason
        assert before == crm.book.dump()
    json.dumps(response.body).encode()
    return response


def accepted_body(crm: LeadConnector, **payload: Any) -> dict[str, Any]:
    """Return the body of the response to an accepted payload."""
    response = checked_upsert(crm, {"locationId": "l1", **payload})
    assert response.status == 200, response.body
    return response.body


def accepted_outcome(crm: LeadConnector, **payload: Any) -> Any:
    """Return the outcome of an accepted payload."""
    response = checked_upsert(crm, {"locationId": "l1", **payload})
    assert response.outcome is not None, response.body
    return response.outcome


def contact_of_response(crm: LeadConnector, **payload: Any) -> Any:
    """Return the contact of the response to a payload with email a@x.org."""
    return accepted_body(crm, email="a@x.org", **payload)["contact"]


def refusal_message(crm: LeadConnector, status: int = 422, **payload: Any) -> Any:
    """Return the message for a payload that is invalid in these fields."""
    complete = {"locationId": "l1", "email": "a@x.org", **payload}
    response = checked_upsert(crm, complete)
    assert status == response.status, response.body
    with pytest.raises(Rejected) as raised:
        crm.plan(complete)
    assert (status, response.body) == (raised.value.status, raised.value.body)
    return response.body["message"]


# Settings of the location.


@pytest.mark.parametrize(
    "priority",
    [
        (),
        "email",
        ("email", "email"),
        ("name",),
        ("email", "phone", "email"),
        (["email"],),
        None,
        5,
        {"email"},
        "\ud800",
    ],
)
def test_invalid_priority_is_refused(priority: Any) -> None:
    """The order is a sequence of email and phone, each once."""
    with pytest.raises(InvalidPolicy, match="priority: must be email, phone or both"):
        LeadConnector(priority)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allow_duplicates": "false"}, "allow_duplicates: must be True or False"),
        ({"custom_field_text": 1}, "custom_field_text: must be True or False, not 1"),
        ({"lower_case_tags": None}, "lower_case_tags: must be True or False"),
        ({"placeholders": "yes"}, "placeholders: must be True or False, not 'yes'"),
        ({"custom_fields": {"size": 1}}, "custom_fields: must be keys to ids"),
        ({"custom_fields": {" ": "f1"}}, "custom_fields: must be keys to ids"),
        ({"custom_fields": ["size"]}, "custom_fields: must be keys to ids"),
    ],
)
def test_invalid_setting_is_refused_by_name(options: Any, message: str) -> None:
    """A permission is true or false; a catalogue has text on both sides."""
    with pytest.raises(InvalidPolicy, match=message):
        LeadConnector(**options)


def test_unknown_region_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown region 'XX'"):
        LeadConnector(region="XX")


def test_options_are_parsed_from_text() -> None:
    parsers = LeadConnector.options
    crm = LeadConnector(
        priority=parsers["priority"]("phone,email"),
        allow_duplicates=parsers["allow_duplicates"]("true"),
        region=parsers["region"]("US"),
        custom_field_text=parsers["custom_field_text"]("true"),
        lower_case_tags=parsers["lower_case_tags"]("true"),
        placeholders=parsers["placeholders"]("true"),
    )

    assert crm.priority == ("phone", "email")
    assert crm.allow_duplicates
    assert all(key.blocked for key in crm.policy.all_keys)
    items = [{"id": "f1", "value": 7}]
    contact = contact_of_response(
        crm, phone="+12025550144", tags=["A", "a"], customFields=items
    )
    assert (contact["tags"], contact["customFields"][0]["value"]) == (["a"], "7")
    assert parsers["allow_duplicates"]("false") is False
    assert LeadConnector.path == ()
    assert contact_of_response(crm, phone="(202) 555-0143")["phone"] == "+12025550143"
    with pytest.raises(ValueError, match="must be true or false"):
        parsers["allow_duplicates"]("yes")


@pytest.mark.parametrize("priority", [("email",), ("phone",)])
def test_lookup_by_both_keys_works_under_any_priority(priority: Any) -> None:
    """A field outside the priority does not match, but can be looked up."""
    crm = make_system({"email": "a@x.org", "phone": "+15550001111"}, priority=priority)

    assert [c.id for c in crm.book.find("email", "A@X.org", scope="l1")] == ["c-1"]
    number = "+1 555 000 1111"
    assert [c.id for c in crm.book.find("phone", number, scope="l1")] == ["c-1"]


# Matching.


@pytest.mark.parametrize(
    ("priority", "hit", "withheld", "holder"),
    [
        (("email", "phone"), "c-1", "phone", "c-2"),
        (("phone", "email"), "c-2", "email", "c-1"),
    ],
)
def test_key_of_the_second_contact_is_withheld(
    priority: Any, hit: str, withheld: str, holder: str
) -> None:
    """The API "ignores the second to prevent duplication"."""
    crm = make_system(
        {"email": "a@x.org"}, {"phone": "+15550001111"}, priority=priority
    )

    outcome = accepted_outcome(
        crm, email="a@x.org", phone="+1 555 000 1111", city="Oslo"
    )

    assert (hit, priority[0]) == (outcome.contact.id, outcome.matched_by)
    assert [(withheld, holder)] == [(w.field, w.holder) for w in outcome.withheld]
    assert (holder,) == outcome.also_matched
    assert outcome.contact["city"] == "Oslo"
    assert accepted_outcome(
        crm, email="a@x.org", phone="+15550001111", city="Oslo"
    ).unchanged


def test_second_field_matches_where_the_first_has_no_match() -> None:
    """A known phone with a new email is that contact, with the new email."""
    crm = make_system({"email": "a@x.org", "phone": "+15550001111"})

    outcome = accepted_outcome(crm, email="new@x.org", phone="+15550001111")

    assert (outcome.contact.id, outcome.matched_by) == ("c-1", "phone")
    assert outcome.contact["email"] == "new@x.org"


def test_field_outside_the_priority_neither_matches_nor_is_unique() -> None:
    """With email alone two contacts may share a phone."""
    crm = make_system(
        {"email": "a@x.org", "phone": "+15550001111"}, priority=("email",)
    )

    outcome = accepted_outcome(crm, email="b@x.org", phone="+15550001111")

    assert outcome.created
    assert outcome.withheld == ()


@pytest.mark.parametrize(
    ("priority", "payload"),
    [
        (("email",), {"phone": "+15550001111"}),
        (("phone",), {"email": "a@x.org"}),
        (("email", "phone"), {}),
        (("email", "phone"), {"email": None, "phone": None}),
        (("email", "phone"), {"email": " ", "phone": ""}),
        (("email", "phone"), {"name": "Al", "email": "\t"}),
    ],
)
@pytest.mark.parametrize("duplicates", [False, True])
def test_payload_without_a_key_of_the_priority_is_a_bad_request(
    priority: Any, payload: Any, duplicates: Any
) -> None:
    """Also with the flag to create without matching."""
    crm = LeadConnector(priority, allow_duplicates=duplicates)

    response = checked_upsert(crm, {"locationId": "l1", FLAG: True, **payload})

    assert (response.status, response.reason) == (400, NO_KEY)
    assert not len(crm.book)


def test_oldest_of_duplicates_is_matched() -> None:
    """Duplicates are allowed, and the flag is not set."""
    crm = make_system(allow_duplicates=True)
    for _ in range(3):
        assert accepted_body(
            crm, email="a@x.org", phone="+15550001111", **{FLAG: True}
        )["new"]

    outcome = accepted_outcome(crm, email="A@x.org", phone="+15550001111", city="Oslo")

    assert outcome.contact.id == "c-1"
    assert outcome.also_matched == ("c-2", "c-3")
    assert outcome.withheld == ()


def test_repeated_creation_with_an_idempotency_key_gives_one_contact() -> None:
    """Another payload with the same key is a conflict."""
    crm = make_system(allow_duplicates=True)
    payload = {"locationId": "l1", "email": "a@x.org", FLAG: True}
    first, second = [crm.upsert(payload, idempotency_key="k-1") for _ in "ab"]

    assert (first.status, len(crm.book)) == (200, 1)
    assert first.body["contact"] == second.body["contact"]
    for key, status in (("k-1", 409), ("", 422)):
        response = crm.upsert({**payload, "city": "Oslo"}, idempotency_key=key)
        assert (status, status) == (response.status, response.body["statusCode"])
    assert len(crm.book) == 1


def test_phone_of_another_contact_with_duplicates_allowed_is_stored() -> None:
    crm = make_system(
        {"email": "a@x.org"}, {"phone": "+15550001111"}, allow_duplicates=True
    )

    outcome = accepted_outcome(crm, email="a@x.org", phone="+15550001111")

    assert (outcome.contact.id, outcome.contact["phone"]) == ("c-1", "+15550001111")
    assert (outcome.withheld, outcome.also_matched) == ((), ("c-2",))


def test_email_in_another_location_does_not_match() -> None:
    crm = make_system({"email": "a@x.org"})

    body = accepted_body(crm, email="a@x.org", locationId="l2")

    assert (body["new"], body["contact"]["locationId"]) == (True, "l2")


def test_applied_plan_leaves_the_state_of_an_upsert() -> None:
    """The plan alone changes nothing."""
    payload = {"locationId": "l1", "email": "b@x.org", "name": "Al B"}
    planned, upserted = (
        make_system({"email": "a@x.org"}),
        make_system({"email": "a@x.org"}),
    )

    plan = planned.plan(payload)

    assert len(planned.book) == 1
    planned.book.apply(plan)
    upserted.upsert(payload)
    assert planned.book.dump() == upserted.book.dump()


def test_plan_to_create_without_matching_expects_no_keys() -> None:
    """It can be applied at any time, and leaves the state of an upsert."""
    payload = {"locationId": "l1", "email": "a@x.org", "tags": ["A"], FLAG: True}
    planned = make_system({"email": "a@x.org"}, allow_duplicates=True)
    upserted = make_system({"email": "a@x.org"}, allow_duplicates=True)

    plan = planned.plan(payload)

    assert (plan.created, plan.expects.keys) == (True, ())
    assert upserted.upsert(payload).outcome == planned.book.apply(plan)
    assert planned.book.dump() == upserted.book.dump()


def test_plan_without_permission_ignores_the_flag() -> None:
    """Scenario 2, for plans."""
    crm = make_system({"email": "a@x.org"})

    plan = crm.plan({"locationId": "l1", "email": "a@x.org", FLAG: True})

    assert (plan.result, plan.matched_by) == ("unchanged", "email")


# Refusals.


@pytest.mark.parametrize("payload", [None, 1, "text", [], [{}], True, float("nan")])
def test_payload_that_is_no_object_is_refused(payload: Any) -> None:
    response = checked_upsert(make_system(), payload)

    assert (response.status, response.reason) == (422, "body must be an object")
    with pytest.raises(Rejected, match="422 body must be an object"):
        make_system().parse(payload)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        (None, "locationId must be a string"),
        (7, "locationId must be a string"),
        (["l1"], "locationId must be a string"),
        ("", "locationId should not be empty"),
        (" ", "locationId should not be empty"),
        ("\ud800", "locationId must be Unicode text without lone surrogates"),
    ],
)
def test_missing_or_blank_location_is_refused(location: Any, message: str) -> None:
    """The locationId is the scope: text that is not blank."""
    assert [message] == refusal_message(make_system(), locationId=location)


def test_message_of_the_location_comes_first() -> None:
    """Other messages are in the order of the payload."""
    payload = {"dnd": "x", "zip": 1, "email": "@", "locationId": 5, "phone": 7}

    response = checked_upsert(make_system(), payload)

    assert response.body["message"] == [
        "locationId must be a string",
        "dnd must be a boolean value",
        "property zip should not exist",
        "email must be an email",
        "phone must be a string",
    ]
    assert "; ".join(response.body["message"]) == response.reason
    missing = checked_upsert(make_system(), {"email": "a@x.org"})
    assert missing.body["message"] == ["locationId must be a string"]


HOST_FIELDS = (
    *("type", "attachments", "ssn", "keyword", "lastActivity", "businessId", "id"),
    *("attributionSource", "lastAttributionSource", "visitorId", "dateAdded"),
)


@pytest.mark.parametrize("name", [*HOST_FIELDS, "traceId", "Email", "nickname"])
def test_property_that_is_no_field_is_refused_by_name(name: str) -> None:
    """Also one that only the response has."""
    assert [f"property {name} should not exist"] == refusal_message(
        make_system(), 422, **{name: None}
    )


@pytest.mark.parametrize(
    ("name", "display_name"),
    [
        (7, "7"),
        (None, "None"),
        (("a",), "('a',)"),
        ("", "''"),
        ("\x00", "'\\x00'"),
        ("\ud800", "'\\ud800'"),
        ("a" * 10**6, f"'{'a' * 27}...{'a' * 28}'"),
    ],
)
def test_unprintable_or_long_property_name_is_shown_in_short_print(
    name: Any, display_name: str
) -> None:
    payload = {"locationId": "l1", "email": "a@x.org", name: 1}

    response = checked_upsert(make_system(), payload)

    assert [f"property {display_name} should not exist"] == response.body["message"]


WRONG: tuple[Any, ...] = (None, 5, 1.5, True, "text", ["a"], [5], {"a": 1}, [], {})
TEXT_FIELDS = [
    name
    for name in FIELDS
    if name not in ("dnd", FLAG, "tags", "dndSettings", "inboundDndSettings")
    and name != "customFields"
]
KIND: dict[str, tuple[type, str]] = {
    **dict.fromkeys(TEXT_FIELDS, (str, "must be a string")),
    "dnd": (bool, "must be a boolean value"),
    FLAG: (bool, "must be a boolean value"),
    "tags": (list, "must be an array"),
    "customFields": (list, "must be an array"),
    "dndSettings": (dict, "must be an object"),
    "inboundDndSettings": (dict, "must be an object"),
}


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("name", FIELDS)
def test_value_of_another_type_is_refused_in_every_field(name: str, value: Any) -> None:
    """Every field has one type; null is valid where the reference says "or null"."""
    kind, message = KIND[name]
    if type(value) is kind or (value is None and name in NULLABLE):
        return

    assert [f"{name} {message}"] == refusal_message(make_system(), **{name: value})


def test_tables_of_the_tests_have_the_fields_of_the_profile() -> None:
    crm = LeadConnector()

    assert set(FIELDS) == KIND.keys()
    assert set(FIELDS) - {FLAG} == crm.policy.fields.keys()
    assert set(NULLABLE) < set(FIELDS)


SAMPLE: dict[str, Any] = {
    **dict.fromkeys(TEXT_FIELDS, "text"),
    "country": "NO",
    "timezone": "Europe/Oslo",
    "email": "a@x.org",
    "phone": "+15550001111",
    "dateOfBirth": "1990-09-25",
    "dnd": True,
    FLAG: True,
    "tags": ["a"],
    "customFields": [{"id": "f1", "value": "v"}],
    "dndSettings": {"SMS": {"status": "active"}},
    "inboundDndSettings": {"all": {"status": "active"}},
}


@pytest.mark.parametrize("name", FIELDS)
def test_null_clears_a_nullable_field_and_is_refused_for_others(name: str) -> None:
    key_field = {"email": "a@x.org"} if name != "email" else {"phone": "+15550001111"}
    crm = make_system({**key_field, name: SAMPLE[name]})

    response = checked_upsert(crm, {"locationId": "l1", **key_field, name: None})

    if name in NULLABLE:
        assert response.outcome is not None
        assert response.outcome.updated
        assert name not in response.body["contact"]
        assert name not in crm.book.get("c-1", scope="l1")
    else:
        assert [f"{name} {KIND[name][1]}"] == response.body["message"]


def test_null_or_another_type_is_refused_by_the_policy() -> None:
    """Also without ``parse``."""
    book = ContactBook(LeadConnector().policy)

    with pytest.raises(InvalidField, match="country: must not be null"):
        book.upsert({"email": "a@x.org", "country": None})
    with pytest.raises(InvalidField, match="email: must be a string"):
        book.upsert({"email": 5})
    with pytest.raises(InvalidField, match="phone: must be a string"):
        book.upsert({"phone": 5})
    for tags, message in (
        (5, "must be an array"),
        ([5], "must hold strings alone"),
        ([" "], "must hold no blank string"),
    ):
        with pytest.raises(InvalidField, match=f"tags: {message}"):
            book.upsert({"email": "a@x.org", "tags": tags})


@pytest.mark.parametrize(
    "email", ["ada", "@x.org", "a@x", "a b@x.org", "a@x.org\x00b", "a" * 10**6]
)
def test_malformed_email_is_refused(email: str) -> None:
    """Status 422, in the vendor's words."""
    assert refusal_message(make_system(), email=email) == ["email must be an email"]


def test_email_is_stored_with_its_case_and_compared_without() -> None:
    """White space around it is removed."""
    crm = make_system({"email": " Ada@X.org "})

    body = accepted_body(crm, email="ADA@x.org")

    assert (body["new"], body["contact"]["email"]) == (False, "ADA@x.org")
    assert body["contact"]["emailLowerCase"] == "ada@x.org"


@pytest.mark.parametrize("number", ["12", "phone", "+0155500011", "+1 555 0001111 x2"])
def test_malformed_phone_is_a_bad_request(number: str) -> None:
    """The message asks for E.164."""
    message = refusal_message(make_system(), 400, phone=number)

    assert message.startswith("phone must be a number in E.164, such as +15551234567")


@pytest.mark.parametrize("number", ["(202) 555-0143", "2025550143", "0171 5550143"])
def test_national_phone_without_a_region_is_a_bad_request(number: str) -> None:
    message = refusal_message(make_system(), 400, phone=number)

    assert message.endswith("and the region of the location is not known")
    assert number not in message


def test_national_phone_with_a_region_is_stored_as_e164() -> None:
    """A malformed number is still refused."""
    crm = make_system(region="US")

    assert contact_of_response(crm, phone="(202) 555-0143")["phone"] == "+12025550143"
    message = refusal_message(crm, 400, phone="12")
    assert message.endswith(", or a national number of US")
    assert accepted_body(crm, phone="202-555-0143")["contact"]["id"] == "c-1"


def test_status_422_comes_before_400() -> None:
    """Errors of form are reported before errors of content."""
    crm = make_system()

    assert refusal_message(crm, phone="x", dnd=1) == ["dnd must be a boolean value"]
    assert refusal_message(crm, email="", dnd=1) == ["dnd must be a boolean value"]
    nan = {"id": "f", "value": float("nan")}
    assert refusal_message(crm, phone="x", customFields=[nan]) == [
        "customFields must be a finite number"
    ]


@pytest.mark.parametrize("name", ["email", "phone"])
def test_blank_key_is_ignored_and_named(name: str) -> None:
    """The stored value stays."""
    crm = make_system({"email": "a@x.org", "phone": "+15550001111"})
    payload = {"email": "a@x.org", "phone": "+15550001111", name: " "}

    outcome = accepted_outcome(crm, **payload)

    assert outcome.unchanged
    assert {name: "blank"} == outcome.ignored


def test_refusal_of_the_core_has_the_vendors_message() -> None:
    """Loaded rows may hold a value that a rule cannot merge."""
    start = NOW.isoformat()
    fields = {"email": "a@x.org", "dndSettings": ["x"]}
    row = {"id": "c-1", "scope": "l1", "version": 1, "fields": fields}
    crm = make_system(rows=[{**row, "created_at": start, "updated_at": start}])
    response = crm.upsert(
        {
            "locationId": "l1",
            "email": "a@x.org",
            "dndSettings": {"SMS": {"status": "active"}},
        }
    )

    assert response.status == 422
    assert response.body["message"][0].startswith("dndSettings needs a stored")
    assert reject(NoMatchKey(("email",))).reason == NO_KEY


# Names.


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Rosan Deo", "Rosan", "Deo"),
        ("  Rosan\t van  Deo ", "Rosan", "van Deo"),
        ("Rosan", "Rosan", None),
    ],
)
def test_name_is_split_at_the_first_space(name: str, first: str, last: Any) -> None:
    """One word leaves no last name."""
    crm = make_system({"email": "a@x.org", "lastName": "Old"})

    contact = contact_of_response(crm, name=name)

    assert (first, last) == (contact["firstName"], contact.get("lastName"))
    assert " ".join(name.split()) == contact["name"]
    assert contact["name"].lower() == contact["fullNameLowerCase"]
    assert not accepted_outcome(crm, email="a@x.org", name=name).ignored


@pytest.mark.parametrize(
    ("explicit", "stored", "ignored"),
    [
        ({"firstName": "Ro"}, ("Ro", "Deo"), {"name": "ignore"}),
        ({"lastName": "Do"}, ("Rosan", "Do"), {"name": "ignore"}),
        ({"firstName": "Ro", "lastName": "Do"}, ("Ro", "Do"), {"name": "ignore"}),
        ({"firstName": "Rosan", "lastName": "Deo"}, ("Rosan", "Deo"), {}),
        ({"lastName": "Deo"}, ("Rosan", "Deo"), {}),
        ({"firstName": None}, (None, "Deo"), {"name": "ignore"}),
    ],
)
def test_first_or_last_name_beside_a_name_is_stored(
    explicit: Any, stored: Any, ignored: Any
) -> None:
    """The name is reported as ignored, unless it agrees."""
    outcome = accepted_outcome(
        make_system(), email="a@x.org", name="Rosan Deo", **explicit
    )

    names = (outcome.contact.get("firstName"), outcome.contact.get("lastName"))
    assert (stored, ignored) == (names, outcome.ignored)


@pytest.mark.parametrize(
    ("explicit", "stored", "ignored"),
    [
        ({}, (None, None), {}),
        ({"lastName": "Do"}, (None, "Do"), {"name": "null"}),
        ({"firstName": "A", "lastName": "B"}, ("A", "B"), {"name": "null"}),
    ],
)
def test_null_name_clears_first_and_last_name(
    explicit: Any, stored: Any, ignored: Any
) -> None:
    """Unless they are in the payload."""
    crm = make_system({"email": "a@x.org", "name": "Rosan Deo"})

    outcome = accepted_outcome(crm, email="a@x.org", name=None, **explicit)

    names = (outcome.contact.get("firstName"), outcome.contact.get("lastName"))
    assert (stored, ignored) == (names, outcome.ignored)


def test_name_of_one_word_agrees_with_a_last_name() -> None:
    outcome = accepted_outcome(
        make_system(), email="a@x.org", name="Rosan", lastName="Deo"
    )

    assert (
        outcome.contact["firstName"],
        outcome.contact["lastName"],
    ) == ("Rosan", "Deo")
    assert outcome.ignored == {}


@pytest.mark.parametrize("name", ["", "  "])
def test_blank_name_is_ignored_and_named(name: str) -> None:
    crm = make_system({"email": "a@x.org", "name": "Rosan Deo"})

    outcome = accepted_outcome(crm, email="a@x.org", name=name)

    assert (outcome.unchanged, outcome.ignored) == (True, {"name": "blank"})


def test_contact_without_names_has_no_derived_names() -> None:
    contact = contact_of_response(make_system(), firstName="")

    assert {"name", "fullNameLowerCase"}.isdisjoint(contact)
    assert contact["firstNameLowerCase"] == ""


# Tags, dates, custom fields, settings.


def test_tags_without_the_option_are_stored_unchanged() -> None:
    """Case, white space and repetition stay."""
    tags = [" VIP", "lead", "vip ", "LEAD", "Big Deal"]

    assert contact_of_response(make_system(), tags=tags)["tags"] == tags
    lowered = contact_of_response(make_system(lower_case_tags=True), tags=tags)["tags"]
    assert lowered == ["vip", "lead", "big deal"]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["a", 5], "each value in tags must be a string"),
        (["a", None], "each value in tags must be a string"),
        (["a", ""], "each value in tags should not be empty"),
        ([" "], "each value in tags should not be empty"),
    ],
)
def test_tag_that_is_no_text_or_blank_is_refused(tags: Any, message: str) -> None:
    assert [message] == refusal_message(make_system(), tags=tags)


def test_lower_case_of_a_lowered_tag_is_the_same() -> None:
    """For every character that it changes, alone and beside others."""
    chars = [c for c in map(chr, range(sys.maxunicode + 1)) if c.lower() != c]
    for template in ("{}", "a{}", "{}b", "a {} c"):
        lowered = lower_tags(tuple(template.format(char) for char in chars))

        assert lower_tags(lowered) == lowered


@pytest.mark.parametrize(
    ("tag", "stored"),
    [
        ("\u0130", "i\u0307"),
        ("\u03a3\u03a3", "\u03c3\u03c2"),
        ("STRASSE", "strasse"),
        ("\u1e9e", "\u00df"),
        ("\u01c5", "\u01c6"),
    ],
)
def test_lower_case_of_unusual_tags_is_stable(tag: str, stored: str) -> None:
    """Final sigma, dotted I, digraphs: as ``str.lower``, without a locale."""
    crm = make_system(lower_case_tags=True)

    assert [stored] == contact_of_response(crm, tags=[tag])["tags"]
    assert accepted_outcome(crm, email="a@x.org", tags=[tag]).unchanged


@pytest.mark.parametrize(
    ("date", "message"),
    [
        ("25/09/1990", "must be a day of the calendar"),
        ("1990-02-30", "must be a day of the calendar"),
        ("0000-01-01", "must be a day of the calendar"),
        ("1990-9-25", "must be a date in one of the layouts YYYY/MM/DD, "),
        ("1990-09/25", "must be a date in one of the layouts YYYY/MM/DD, "),
        ("90-09-25", "must be a date in one of the layouts YYYY/MM/DD, "),
        ("1990-09-25\n", "must be a date in one of the layouts YYYY/MM/DD, "),
        (" 1990-09-25", "must be a date in one of the layouts YYYY/MM/DD, "),
        ("\u0661990-09-25", "must be a date in one of the layouts YYYY/MM/DD, "),
        ("1990-09-25T00:00:00.000Z", "must be a date in one of the layouts"),
        ("", "must be a date in one of the layouts YYYY/MM/DD, "),
    ],
)
def test_date_of_birth_of_another_layout_or_no_real_day_is_refused(
    date: str, message: str
) -> None:
    (actual,) = refusal_message(make_system(), dateOfBirth=date)

    assert actual.startswith(f"dateOfBirth {message}")


def test_date_of_birth_is_stored_as_iso() -> None:
    """Early years keep four digits."""
    assert "0099-12-31" == birth_date("12_31_0099") == birth_date("0099-12-31")


ITEM = {"id": "f1", "field_value": "v"}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("x", " must be an object"),
        (None, " must be an object"),
        ({"value": 1}, " must have an id or a key"),
        ({**ITEM, "id": 5}, ".id must be a string"),
        ({**ITEM, "id": None}, ".id must be a string"),
        ({**ITEM, "key": " "}, ".key should not be empty"),
        ({**ITEM, "key": ["k"]}, ".key must be a string"),
        ({"id": "f1"}, " must have a field_value"),
        ({**ITEM, "value": "w"}, " must have one value, not several that differ"),
        ({"id": "f1", "value": 1, "fieldValue": True}, " must have one value, "),
        ({**ITEM, "name": "n"}, ".name should not exist"),
        ({**ITEM, "": "n"}, ".'' should not exist"),
        ({**ITEM, "key": "size"}, ".key must be the key of its id"),
    ],
)
def test_invalid_custom_field_is_refused_with_its_position(
    item: Any, message: str
) -> None:
    """The reason, which is counted, has no position."""
    crm = make_system(custom_fields={"size": "f2"})
    items = [{"id": "f0", "value": "good"}, item]
    payload = {"locationId": "l1", "email": "a@x.org", "customFields": items}

    response = checked_upsert(crm, payload)

    assert response.body["message"][0].startswith(f"customFields.1{message}")
    assert response.reason.startswith(f"customFields.*{message}")
    assert len(response.body["message"]) == 1


def test_all_errors_of_custom_fields_are_in_the_message() -> None:
    """The reason has equal errors once."""
    payload = {"locationId": "l1", "email": "a@x.org", "customFields": [1, {}, 2]}

    response = checked_upsert(make_system(), payload)

    assert response.body["message"] == [
        "customFields.0 must be an object",
        "customFields.1 must have an id or a key",
        "customFields.1 must have a field_value",
        "customFields.2 must be an object",
    ]
    assert response.reason.count("must be an object") == 1


def test_second_value_for_one_custom_field_is_refused() -> None:
    """The same value twice is one."""
    crm = make_system(custom_fields={"size": "f1"})
    by_key = {"key": "size", "value": "v"}

    assert contact_of_response(crm, customFields=[ITEM, by_key])["customFields"] == [
        {"id": "f1", "value": "v"}
    ]
    assert refusal_message(crm, customFields=[ITEM, {**by_key, "value": "w"}]) == [
        "customFields.1 must not give a field a second value"
    ]


def test_custom_fields_are_merged_by_id_or_key() -> None:
    """Absent ones stay; the catalogue gives a key its id."""
    crm = make_system(custom_fields={"size": "f1"})
    items = [ITEM, {"key": "colour", "field_value": "red"}]
    assert contact_of_response(crm, customFields=items)["customFields"] == [
        {"id": "f1", "value": "v"},
        {"id": "colour", "value": "red"},
    ]

    contact = contact_of_response(
        crm, customFields=[{"key": "size", "fieldValue": "w"}]
    )

    assert contact["customFields"] == [
        {"id": "f1", "value": "w"},
        {"id": "colour", "value": "red"},
    ]
    stored = (
        {"id": "f1", "key": "size", "value": "w"},
        {"key": "colour", "value": "red"},
    )
    assert stored == crm.book.get("c-1", scope="l1")["customFields"]


def test_custom_field_with_id_and_key_matches_by_both() -> None:
    """The reference's own sample has both."""
    crm = make_system()
    item = {"id": "f1", "key": "my_custom_field", "field_value": "My Text"}
    contact_of_response(crm, customFields=[item])

    for name in ({"id": "f1"}, {"key": "my_custom_field"}):
        value = f"by {name}"
        contact = contact_of_response(
            crm, customFields=[{**name, "field_value": value}]
        )
        assert contact["customFields"] == [{"id": "f1", "value": value}]


def test_stored_key_without_an_id_takes_the_id_of_the_payload() -> None:
    crm = make_system()
    contact_of_response(crm, customFields=[{"key": "size", "field_value": "S"}])
    contact = contact_of_response(
        crm, customFields=[{"id": "f1", "key": "size", "value": "M"}]
    )

    assert contact["customFields"] == [{"id": "f1", "value": "M"}]


def test_item_that_matches_two_custom_fields_is_refused() -> None:
    """Its id matches one stored field, and its key another."""
    crm = make_system()
    items = [{"key": "size", "field_value": "S"}, {"id": "f1", "field_value": "x"}]
    contact_of_response(crm, customFields=items)
    item = {"id": "f1", "key": "size", "field_value": "M"}

    assert refusal_message(crm, email="a@x.org", customFields=[item]) == [
        "customFields must not match two items by id and key"
    ]


def test_null_clears_one_custom_field() -> None:
    """The stored one has no value, and the response leaves it out."""
    crm = make_system(
        {"email": "a@x.org", "customFields": [ITEM, {**ITEM, "id": "f2"}]}
    )

    contact = contact_of_response(crm, customFields=[{"id": "f1", "value": None}])

    assert contact["customFields"] == [{"id": "f2", "value": "v"}]
    assert accepted_outcome(
        crm, email="a@x.org", customFields=[{"id": "f1", "value": None}]
    ).unchanged


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("My Text", "My Text"),
        ("", ""),
        (100, "100"),
        (100.5, "100.5"),
        (True, "true"),
        (["test", "test2"], '["test","test2"]'),
        ({"a": {"url": "\u00e9"}}, '{"a":{"url":"\u00e9"}}'),
        ([], "[]"),
        (10**4000, "1" + "0" * 4000),
    ],
    ids=lambda value: str(value)[:20],
)
def test_value_of_a_custom_field_under_custom_field_text_is_text(
    value: Any, text: str
) -> None:
    """The book, and the response without the option, keep the value."""
    items = [{"id": "f1", "field_value": value}]
    crm = make_system(custom_field_text=True)

    contact = contact_of_response(crm, customFields=items)

    assert [{"id": "f1", "value": text}] == contact["customFields"]
    assert freeze(value) == crm.book.get("c-1", scope="l1")["customFields"][0]["value"]
    assert contact_of_response(make_system(), customFields=items)["customFields"] == [
        {"id": "f1", "value": value}
    ]


def test_settings_are_merged_by_channel() -> None:
    """A setting replaces the parts that it has; other channels stay."""
    settings = {"SMS": {"status": "active", "message": "m"}, "FB": {"status": "active"}}
    crm = make_system({"email": "a@x.org", "dndSettings": settings})

    contact = contact_of_response(
        crm,
        dndSettings={"SMS": {"status": "permanent", "code": "9"}},
        inboundDndSettings={"all": {"status": "inactive"}},
    )

    assert contact["dndSettings"] == {
        "SMS": {"status": "permanent", "message": "m", "code": "9"},
        "FB": {"status": "active"},
    }
    assert contact["inboundDndSettings"] == {"all": {"status": "inactive"}}


STATUS = "status must be one of the following values: active, inactive"


@pytest.mark.parametrize(
    ("name", "settings", "messages"),
    [
        ("dndSettings", {"Fax": {}}, [".Fax should not exist"]),
        ("dndSettings", {"sms": None}, [".sms should not exist"]),
        ("dndSettings", {"\x00": 1}, [".'\\x00' should not exist"]),
        ("dndSettings", {"SMS": None}, [".SMS must be an object"]),
        ("dndSettings", {"SMS": "active"}, [".SMS must be an object"]),
        ("dndSettings", {"SMS": {}}, [f".SMS.{STATUS}, permanent"]),
        ("dndSettings", {"SMS": {"status": ["x"]}}, [f".SMS.{STATUS}, permanent"]),
        (
            "dndSettings",
            {"SMS": {"status": "active", "message": None, "code": 5, "x": 1}},
            [
                ".SMS.message must be a string",
                ".SMS.code must be a string",
                ".SMS.x should not exist",
            ],
        ),
        ("inboundDndSettings", {"SMS": {}}, [".SMS should not exist"]),
        ("inboundDndSettings", {"all": {"status": "permanent"}}, [f".all.{STATUS}"]),
        (
            "inboundDndSettings",
            {"all": {"status": "active", "code": "5"}},
            [".all.code should not exist"],
        ),
    ],
)
def test_undocumented_part_of_a_setting_is_refused(
    name: str, settings: Any, messages: list[str]
) -> None:
    """A channel has a status, and texts."""
    actual = refusal_message(make_system(), **{name: settings})

    assert [name + message for message in messages] == actual


# The response.


def test_second_upsert_differs_only_in_new_and_trace_id() -> None:
    payload = {"locationId": "l1", **SAMPLE, FLAG: False, "name": "Ro Deo"}
    payload |= {"tags": ["B", "a"], "phone": "+1 (555) 000-1111"}
    crm = LeadConnector()
    first = checked_upsert(crm, payload)
    dump = crm.book.dump()

    second = checked_upsert(crm, payload)

    assert second.outcome is not None
    assert second.outcome.unchanged
    assert first.body["contact"] == second.body["contact"]
    assert (first.body["new"], second.body["new"]) == (True, False)
    assert first.body["traceId"] != second.body["traceId"]
    assert dump == crm.book.dump()


def test_trace_ids_of_two_systems_differ() -> None:
    """``render`` returns a fresh one, too."""
    crm = LeadConnector()
    outcome = accepted_outcome(crm, email="a@x.org")
    traces = [
        accepted_body(system, email="b@x.org")["traceId"]
        for system in (crm, LeadConnector())
    ]
    traces += [crm.render(outcome)["traceId"] for _ in range(2)]

    assert len(set(traces)) == 4
    assert (
        crm.render(outcome)["contact"]
        == checked_upsert(crm, {"locationId": "l1", "email": "a@x.org"}).body["contact"]
    )


FORK_SCRIPT = """
import os
from upsertcore.profiles import LeadConnector

crm = LeadConnector()


def trace():
    return crm.upsert({"locationId": "l1", "email": "a@x.org"}).body["traceId"]


trace()
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, trace().encode())
    os._exit(0)
os.wait()
assert os.read(read, 99).decode() != trace()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_trace_ids_of_a_forked_process_differ() -> None:
    subprocess.run([sys.executable, "-c", FORK_SCRIPT], check=True)


def test_trace_ids_come_from_the_function_of_the_host() -> None:
    """An invalid one raises before the book changes."""
    crm = make_system(trace_ids=iter(["t-1", 5]).__next__)

    assert accepted_body(crm, email="a@x.org")["traceId"] == "t-1"
    with pytest.raises(TypeError, match="trace_ids: must return text, not 5"):
        crm.upsert({"locationId": "l1", "email": "b@x.org"})
    assert len(crm.book) == 1


def test_dates_are_in_utc_with_milliseconds() -> None:
    """In any time zone of the clock."""
    zone = timezone(timedelta(hours=2))
    crm = make_system(clock=lambda: NOW.astimezone(zone))

    assert contact_of_response(crm)["dateAdded"] == "2024-01-02T03:04:05.678Z"


def test_fields_of_the_host_stay_and_are_in_the_response() -> None:
    """They do not replace the id of the contact."""
    start = NOW.isoformat()
    host_fields = {"type": "lead", "businessId": "b-1", "visitorId": "v", "id": "x"}
    row = {"id": "c-7", "scope": "l1", "version": 1, "fields": host_fields}
    row["fields"] = {**host_fields, "email": "a@x.org"}
    crm = make_system(rows=[{**row, "created_at": start, "updated_at": start}])

    contact = contact_of_response(crm, city="Oslo")

    assert {**host_fields, "id": "c-7"} == {name: contact[name] for name in host_fields}
    assert host_fields.items() <= crm.book.get("c-7", scope="l1").fields.items()


def test_change_of_a_response_body_changes_nothing_stored() -> None:
    crm = make_system({"email": "a@x.org", "tags": ["a"], "dndSettings": {}})
    contact_of_response(crm)["tags"].append("b")
    contact_of_response(crm)["dndSettings"]["x"] = 1

    assert (
        contact_of_response(crm)["tags"],
        contact_of_response(crm)["dndSettings"],
    ) == (["a"], {})


def test_parse_leaves_out_location_and_flag() -> None:
    payload = {"locationId": "l1", "email": "a@x.org", FLAG: True, "city": "Oslo"}

    assert LeadConnector().parse(payload) == {"email": "a@x.org", "city": "Oslo"}


def test_dump_loads_into_another_system() -> None:
    crm = make_system({**SAMPLE, FLAG: False})

    loaded = LeadConnector(rows=crm.book.dump())

    assert crm.book.dump() == loaded.book.dump()
    outcome = accepted_outcome(loaded, email="a@x.org", tags=["a"])
    assert outcome.unchanged


# Rows of text.


@pytest.mark.parametrize(
    ("cells", "payload"),
    [
        ({"email": "a@x.org", "postalCode": "01"}, None),
        ({"tags": "Lead; vip"}, {"tags": ["Lead", "vip"]}),
        ({"tags": '"VIP","Blog, reader"'}, {"tags": ["VIP", "Blog, reader"]}),
        ({"tags": '["VIP", "x,y"]'}, {"tags": ["VIP", "x,y"]}),
        ({"dnd": " YES "}, {"dnd": True}),
        ({"dnd": "0", FLAG: "true"}, {"dnd": False, FLAG: True}),
        ({"dnd": "maybe", FLAG: "si"}, None),
        ({"dndSettings": '{"SMS": 1}'}, {"dndSettings": {"SMS": 1}}),
        ({"inboundDndSettings": "{}"}, {"inboundDndSettings": {}}),
        ({"customFields": "[{]", "dndSettings": "off"}, None),
        ({"customFields": "[" * 100_000}, None),
        ({"customFields": "9" * 5_000}, None),
        (
            {"customFields": '[{"id": "f1", "value": 1}]', "customField.size": "7"},
            {
                "customFields": [
                    {"id": "f1", "value": 1},
                    {"key": "size", "field_value": "7"},
                ]
            },
        ),
        (
            {"customFields": "none", "customField.size": "7"},
            {"customFields": "none"},
        ),
        (
            {"customField.a": "1", "customField.": "2"},
            {
                "customFields": [
                    {"key": "a", "field_value": "1"},
                    {"key": "", "field_value": "2"},
                ]
            },
        ),
    ],
)
def test_cells_of_a_row_become_the_payload(cells: dict[str, str], payload: Any) -> None:
    """Cells that cannot be parsed stay text (None: all cells)."""
    actual = LeadConnector().from_row(cells)

    assert (cells if payload is None else payload) == actual


def test_row_with_invalid_cells_is_refused() -> None:
    """The text has the wrong type."""
    cells = {
        "email": "a@x.org",
        "dnd": "maybe",
        "customFields": "x",
        "customField.": "1",
    }

    messages = refusal_message(make_system(), **make_system().from_row(cells))

    assert messages == ["dnd must be a boolean value", "customFields must be an array"]


# Invalid and unusual values.


def nested(depth: int, kind: type) -> Any:
    """Make a value that nests that deep."""
    value: Any = "x"
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


UNUSUAL: list[Any] = [
    "\ud800",
    "a\udfffb",
    float("nan"),
    float("inf"),
    10**5000,
    nested(10_000, list),
    nested(10_000, dict),
    {1: "x"},
    {None: "x"},
    {"\ud800": "x"},
    b"bytes",
    object(),
    {"a", "b"},
    "\x00",
    "x" * 10**6,
    "\U0010ffff",
    -0.0,
]
PLACES: dict[str, Callable[[Any], Any]] = {
    "value": lambda value: value,
    "item": lambda value: [value],
    "custom value": lambda value: [{"id": "f1", "value": value}],
    "custom id": lambda value: [{"id": value, "value": 1}],
    "setting": lambda value: {"SMS": value, "all": value},
    "status": lambda value: {"SMS": {"status": value}},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", range(len(UNUSUAL)))
def test_unusual_value_in_any_field_is_stored_or_refused(
    number: int, place: str
) -> None:
    """A stored one is unchanged the second time."""
    for name in (*FIELDS, "locationId", "other"):
        crm = make_system({"email": "a@x.org"})
        value = PLACES[place](UNUSUAL[number])
        payload = {"locationId": "l1", "email": "a@x.org", name: value}

        response = checked_upsert(crm, payload)

        assert len(response.reason) < 200
        if response.status == 200:
            outcome = checked_upsert(crm, payload).outcome
            assert outcome is not None
            assert outcome.unchanged
            rows = json.loads(json.dumps(crm.book.dump()))
            assert rows == LeadConnector(rows=rows).book.dump()


def test_reason_of_a_refusal_holds_no_values() -> None:
    """It holds no names of parts of an object, either."""
    private = "Zyxel"
    for name, value in (
        ("email", private),
        ("phone", private),
        ("dateOfBirth", private),
        ("dnd", private),
        ("tags", private),
        ("dndSettings", {"SMS": {"status": private}}),
        ("dndSettings", {(private,): 1}),
        ("customFields", [{"id": "f", "value": private, "fieldValue": 1}]),
        ("country", [private]),
    ):
        payload = {"locationId": "l1", "email": "a@x.org", name: value}
        response = checked_upsert(make_system(), payload)

        assert response.reason
        assert private not in response.reason
        assert private not in json.dumps(response.body)


@pytest.mark.parametrize(
    "fields",
    [
        {"dateOfBirth": 5},
        {"firstName": ["Ada"]},
        {"customFields": "x"},
        {"customFields": [{"value": 1}]},
        {"customFields": [{"id": "f1"}]},
        {"customFields": ["x"]},
    ],
    ids=map(str, range(6)),
)
def test_row_that_cannot_be_rendered_is_refused_when_loaded(
    fields: dict[str, Any],
) -> None:
    crm = make_system({"email": "a@x.org"})
    (row,) = crm.book.dump()
    row["fields"] |= fields

    with pytest.raises(InvalidRows, match=f"row 1: {next(iter(fields))}"):
        LeadConnector(rows=[{**row, "id": "c-0", "fields": {}}, row])
    invalid: Any = [[]]
    with pytest.raises(InvalidRows):
        LeadConnector(rows=invalid)
    with pytest.raises(InvalidRows):
        LeadConnector(rows=[{**row, "fields": []}])
