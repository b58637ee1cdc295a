"""LeadConnector beside its documented cases: refusals, forms, matching, outcomes."""

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
    """Tell whether a value is a string."""
    return isinstance(value, str)


def is_setting(value: Any) -> bool:
    """Tell whether a value is a channel's setting: a known status and texts."""
    return (
        value.keys() <= {"status", "message", "code"}
        and value["status"] in ("active", "inactive", "permanent")
        and all(map(is_text, value.values()))
    )


# The vendor's schema of the answer, written out by hand: what each field must be.
ANSWERED: dict[str, Callable[[Any], bool]] = {
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


def system(*payloads: dict[str, Any], **given: Any) -> LeadConnector:
    """Make a book of these payloads of location l1; ids are c-1 and so on."""
    ids = iter(f"c-{n}" for n in range(1, 10))
    given = {"ids": ids.__next__, "clock": lambda: NOW, **given}
    crm = LeadConnector(**given)
    for payload in payloads:
        assert send(crm, **payload)["new"]
    return crm


def answered(crm: LeadConnector, payload: Any) -> Response:
    """Upsert, and hold every answer against the shape that the vendor documents."""
    before = crm.book.dump()
    response = crm.upsert(payload)
    if response.status == 200:
        assert {"new", "contact", "traceId"} == response.body.keys()
        assert isinstance(response.body["new"], bool)
        assert is_text(response.body["traceId"])
        for name, value in response.body["contact"].items():
            assert ANSWERED[name](value), (name, value)
        assert not response.reason
    else:
        words = {400: "Bad Request", 422: "Unprocessable Entity"}
        message = response.body["message"]
        assert isinstance(message, str if response.status == 400 else list)
        assert {
            "statusCode": response.status,
            "message": message,
            "error": words[response.status],
        } == response.body
        assert response.reason
        assert before == crm.book.dump()
    json.dumps(response.body).encode()
    return response


def send(crm: LeadConnector, **payload: Any) -> dict[str, Any]:
    """Give the body of the answer to a payload that is taken."""
    response = answered(crm, {"locationId": "l1", **payload})
    assert response.status == 200, response.body
    return response.body


def said(crm: LeadConnector, **payload: Any) -> Any:
    """Give the outcome of a payload that is taken."""
    response = answered(crm, {"locationId": "l1", **payload})
    assert response.outcome is not None, response.body
    return response.outcome


def contact(crm: LeadConnector, **payload: Any) -> Any:
    """Give the contact that is answered to a payload of one mailbox."""
    return send(crm, email="a@x.org", **payload)["contact"]


def refused(crm: LeadConnector, status: int = 422, **payload: Any) -> Any:
    """Give the message of the refusal of a payload that is otherwise good."""
    given = {"locationId": "l1", "email": "a@x.org", **payload}
    response = answered(crm, given)
    assert status == response.status, response.body
    with pytest.raises(Rejected) as caught:
        crm.plan(given)
    assert (status, response.body) == (caught.value.status, caught.value.body)
    return response.body["message"]


# The location's setting.


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
def test_a_bad_priority_is_no_setting(priority: Any) -> None:
    """The order is a sequence of email and phone, each once."""
    with pytest.raises(InvalidPolicy, match="priority: must be email, phone or both"):
        LeadConnector(priority)


@pytest.mark.parametrize(
    ("given", "names"),
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
def test_bad_settings_are_refused(given: Any, names: str) -> None:
    """A permission is true or false; a catalogue has text on both sides."""
    with pytest.raises(InvalidPolicy, match=names):
        LeadConnector(**given)


def test_an_unknown_region_is_refused() -> None:
    """The normaliser's own refusal passes."""
    with pytest.raises(ValueError, match="unknown region 'XX'"):
        LeadConnector(region="XX")


def test_the_options_can_be_said_in_words() -> None:
    """Each option that fits in a word is read from text."""
    read = LeadConnector.options
    crm = LeadConnector(
        priority=read["priority"]("phone,email"),
        allow_duplicates=read["allow_duplicates"]("true"),
        region=read["region"]("US"),
        custom_field_text=read["custom_field_text"]("true"),
        lower_case_tags=read["lower_case_tags"]("true"),
        placeholders=read["placeholders"]("true"),
    )

    assert crm.priority == ("phone", "email")
    assert crm.allow_duplicates
    assert all(key.blocked for key in crm.policy.all_keys)
    items = [{"id": "f1", "value": 7}]
    answer = contact(crm, phone="+12025550144", tags=["A", "a"], customFields=items)
    assert (answer["tags"], answer["customFields"][0]["value"]) == (["a"], "7")
    assert read["allow_duplicates"]("false") is False
    assert LeadConnector.path == ()
    assert contact(crm, phone="(202) 555-0143")["phone"] == "+12025550143"
    with pytest.raises(ValueError, match="must be true or false"):
        read["allow_duplicates"]("yes")


@pytest.mark.parametrize("priority", [("email",), ("phone",)])
def test_both_keys_are_found_whatever_the_priority(priority: Any) -> None:
    """A field outside the priority does not match, but a host can look by it."""
    crm = system({"email": "a@x.org", "phone": "+15550001111"}, priority=priority)

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
def test_the_second_contact_keeps_its_key(
    priority: Any, hit: str, withheld: str, holder: str
) -> None:
    """The API "ignores the second to prevent duplication", and the outcome tells."""
    crm = system({"email": "a@x.org"}, {"phone": "+15550001111"}, priority=priority)

    outcome = said(crm, email="a@x.org", phone="+1 555 000 1111", city="Oslo")

    assert (hit, priority[0]) == (outcome.contact.id, outcome.matched_by)
    assert [(withheld, holder)] == [(w.field, w.holder) for w in outcome.withheld]
    assert (holder,) == outcome.also_matched
    assert outcome.contact["city"] == "Oslo"
    assert said(crm, email="a@x.org", phone="+15550001111", city="Oslo").unchanged


def test_the_second_field_decides_where_the_first_finds_nobody() -> None:
    """A known phone with a new email is that contact, with a new email."""
    crm = system({"email": "a@x.org", "phone": "+15550001111"})

    outcome = said(crm, email="new@x.org", phone="+15550001111")

    assert (outcome.contact.id, outcome.matched_by) == ("c-1", "phone")
    assert outcome.contact["email"] == "new@x.org"


def test_a_field_outside_the_priority_neither_matches_nor_is_unique() -> None:
    """With email alone two contacts may share a phone."""
    crm = system({"email": "a@x.org", "phone": "+15550001111"}, priority=("email",))

    outcome = said(crm, email="b@x.org", phone="+15550001111")

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
def test_nothing_is_made_that_cannot_be_found(
    priority: Any, payload: Any, duplicates: Any
) -> None:
    """Without a usable field of the priority: 400, also where creation is asked."""
    crm = LeadConnector(priority, allow_duplicates=duplicates)

    response = answered(crm, {"locationId": "l1", FLAG: True, **payload})

    assert (response.status, response.reason) == (400, NO_KEY)
    assert not len(crm.book)


def test_the_oldest_of_duplicates_is_meant() -> None:
    """With duplicates allowed and no flag it still matches; ties go to the oldest."""
    crm = system(allow_duplicates=True)
    for _ in range(3):
        assert send(crm, email="a@x.org", phone="+15550001111", **{FLAG: True})["new"]

    outcome = said(crm, email="A@x.org", phone="+15550001111", city="Oslo")

    assert outcome.contact.id == "c-1"
    assert outcome.also_matched == ("c-2", "c-3")
    assert outcome.withheld == ()


def test_a_creation_with_a_key_is_made_once() -> None:
    """Sent again it is answered as before; the key of another call is a conflict."""
    crm = system(allow_duplicates=True)
    payload = {"locationId": "l1", "email": "a@x.org", FLAG: True}
    first, second = [crm.upsert(payload, idempotency_key="k-1") for _ in "ab"]

    assert (first.status, len(crm.book)) == (200, 1)
    assert first.body["contact"] == second.body["contact"]
    for key, status in (("k-1", 409), ("", 422)):
        other = crm.upsert({**payload, "city": "Oslo"}, idempotency_key=key)
        assert (status, status) == (other.status, other.body["statusCode"])
    assert len(crm.book) == 1


def test_with_duplicates_allowed_nothing_is_withheld() -> None:
    """The phone that another contact holds is stored here too."""
    crm = system({"email": "a@x.org"}, {"phone": "+15550001111"}, allow_duplicates=True)

    outcome = said(crm, email="a@x.org", phone="+15550001111")

    assert (outcome.contact.id, outcome.contact["phone"]) == ("c-1", "+15550001111")
    assert (outcome.withheld, outcome.also_matched) == ((), ("c-2",))


def test_locations_are_apart() -> None:
    """Nothing ever matches across locations."""
    crm = system({"email": "a@x.org"})

    body = send(crm, email="a@x.org", locationId="l2")

    assert (body["new"], body["contact"]["locationId"]) == (True, "l2")


def test_a_plan_is_what_upsert_does() -> None:
    """A plan changes nothing, and applied it leaves what the upsert leaves."""
    payload = {"locationId": "l1", "email": "b@x.org", "name": "Al B"}
    one, other = system({"email": "a@x.org"}), system({"email": "a@x.org"})

    plan = one.plan(payload)

    assert len(one.book) == 1
    one.book.apply(plan)
    other.upsert(payload)
    assert one.book.dump() == other.book.dump()


def test_a_plan_to_create_without_looking_is_what_upsert_does() -> None:
    """It rests on nothing that is stored, so it can be applied at any time."""
    payload = {"locationId": "l1", "email": "a@x.org", "tags": ["A"], FLAG: True}
    one = system({"email": "a@x.org"}, allow_duplicates=True)
    other = system({"email": "a@x.org"}, allow_duplicates=True)

    plan = one.plan(payload)

    assert (plan.created, plan.expects.keys) == (True, ())
    assert other.upsert(payload).outcome == one.book.apply(plan)
    assert one.book.dump() == other.book.dump()


def test_a_plan_without_permission_ignores_the_flag() -> None:
    """Scenario 2 holds for plans too."""
    crm = system({"email": "a@x.org"})

    plan = crm.plan({"locationId": "l1", "email": "a@x.org", FLAG: True})

    assert (plan.result, plan.matched_by) == ("unchanged", "email")


# Refusals.


@pytest.mark.parametrize("payload", [None, 1, "text", [], [{}], True, float("nan")])
def test_a_payload_is_an_object(payload: Any) -> None:
    """Whatever else is sent: 422."""
    response = answered(system(), payload)

    assert (response.status, response.reason) == (422, "body must be an object")
    with pytest.raises(Rejected, match="422 body must be an object"):
        system().parse(payload)


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
def test_the_location_is_needed(location: Any, message: str) -> None:
    """The locationId is the scope: text that is not blank."""
    assert [message] == refused(system(), locationId=location)


def test_a_missing_location_is_told_first() -> None:
    """Problems stand in the order of the payload, behind that of the location."""
    payload = {"dnd": "x", "zip": 1, "email": "@", "locationId": 5, "phone": 7}

    response = answered(system(), payload)

    assert response.body["message"] == [
        "locationId must be a string",
        "dnd must be a boolean value",
        "property zip should not exist",
        "email must be an email",
        "phone must be a string",
    ]
    assert "; ".join(response.body["message"]) == response.reason
    missing = answered(system(), {"email": "a@x.org"})
    assert missing.body["message"] == ["locationId must be a string"]


HOST = (
    *("type", "attachments", "ssn", "keyword", "lastActivity", "businessId", "id"),
    *("attributionSource", "lastAttributionSource", "visitorId", "dateAdded"),
)


@pytest.mark.parametrize("name", [*HOST, "traceId", "Email", "nickname"])
def test_a_property_that_is_no_field_should_not_exist(name: str) -> None:
    """What the answer has and the request has not is refused as any other."""
    assert [f"property {name} should not exist"] == refused(
        system(), 422, **{name: None}
    )


@pytest.mark.parametrize(
    ("name", "shown"),
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
def test_an_odd_property_is_named_in_print(name: Any, shown: str) -> None:
    """Whatever a property is called, the message can be printed and is short."""
    payload = {"locationId": "l1", "email": "a@x.org", name: 1}

    response = answered(system(), payload)

    assert [f"property {shown} should not exist"] == response.body["message"]


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
def test_a_wrong_type_is_refused_in_every_field(name: str, value: Any) -> None:
    """Every field has one type; null is taken where the reference says "or null"."""
    kind, message = KIND[name]
    if type(value) is kind or (value is None and name in NULLABLE):
        return

    assert [f"{name} {message}"] == refused(system(), **{name: value})


def test_every_field_has_a_kind_in_these_tests() -> None:
    """The tables of the tests and of the profile know the same fields."""
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
def test_null_clears_or_is_refused(name: str) -> None:
    """Null clears a nullable field, and is a wrong type for every other."""
    other = {"email": "a@x.org"} if name != "email" else {"phone": "+15550001111"}
    crm = system({**other, name: SAMPLE[name]})

    response = answered(crm, {"locationId": "l1", **other, name: None})

    if name in NULLABLE:
        assert response.outcome is not None
        assert response.outcome.updated
        assert name not in response.body["contact"]
        assert name not in crm.book.get("c-1", scope="l1")
    else:
        assert [f"{name} {KIND[name][1]}"] == response.body["message"]


def test_null_is_refused_by_the_policy_too() -> None:
    """The table alone keeps what the payload's reader keeps."""
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
def test_a_malformed_email_is_refused(email: str) -> None:
    """What is no address of a mailbox: 422, in the vendor's words."""
    assert refused(system(), email=email) == ["email must be an email"]


def test_an_email_is_stored_as_sent_and_compared_without_case() -> None:
    """White space around it goes; case stays, and does not count."""
    crm = system({"email": " Ada@X.org "})

    body = send(crm, email="ADA@x.org")

    assert (body["new"], body["contact"]["email"]) == (False, "ADA@x.org")
    assert body["contact"]["emailLowerCase"] == "ada@x.org"


@pytest.mark.parametrize("number", ["12", "phone", "+0155500011", "+1 555 0001111 x2"])
def test_a_phone_that_is_none_is_a_bad_request(number: str) -> None:
    """The refusal says what to send: E.164."""
    message = refused(system(), 400, phone=number)

    assert message.startswith("phone must be a number in E.164, such as +15551234567")


@pytest.mark.parametrize("number", ["(202) 555-0143", "2025550143", "0171 5550143"])
def test_a_national_phone_needs_the_region(number: str) -> None:
    """Without the location's region a national number is nobody's."""
    message = refused(system(), 400, phone=number)

    assert message.endswith("and the region of the location is not known")
    assert number not in message


def test_the_region_reads_national_numbers() -> None:
    """With it they are stored as E.164; what is still no number is refused."""
    crm = system(region="US")

    assert contact(crm, phone="(202) 555-0143")["phone"] == "+12025550143"
    message = refused(crm, 400, phone="12")
    assert message.endswith(", or a national number of US")
    assert send(crm, phone="202-555-0143")["contact"]["id"] == "c-1"


def test_422_comes_before_400() -> None:
    """What is wrong with the form is told before what is wrong with the content."""
    crm = system()

    assert refused(crm, phone="x", dnd=1) == ["dnd must be a boolean value"]
    assert refused(crm, email="", dnd=1) == ["dnd must be a boolean value"]
    nan = {"id": "f", "value": float("nan")}
    assert refused(crm, phone="x", customFields=[nan]) == [
        "customFields must be a finite number"
    ]


@pytest.mark.parametrize("name", ["email", "phone"])
def test_a_blank_key_is_ignored_and_reported(name: str) -> None:
    """It counts as omitted: what is stored stays."""
    crm = system({"email": "a@x.org", "phone": "+15550001111"})
    other = {"email": "a@x.org", "phone": "+15550001111", name: " "}

    outcome = said(crm, **other)

    assert outcome.unchanged
    assert {name: "blank"} == outcome.ignored


def test_a_refusal_of_the_core_is_answered_in_the_vendors_words() -> None:
    """Rows of a host may hold what a rule cannot merge, and no key is no key."""
    start = NOW.isoformat()
    fields = {"email": "a@x.org", "dndSettings": ["x"]}
    row = {"id": "c-1", "scope": "l1", "version": 1, "fields": fields}
    crm = system(rows=[{**row, "created_at": start, "updated_at": start}])
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
def test_a_name_is_split_at_the_first_space(name: str, first: str, last: Any) -> None:
    """The name is the whole name: one word leaves no last name."""
    crm = system({"email": "a@x.org", "lastName": "Old"})

    answer = contact(crm, name=name)

    assert (first, last) == (answer["firstName"], answer.get("lastName"))
    assert " ".join(name.split()) == answer["name"]
    assert answer["name"].lower() == answer["fullNameLowerCase"]
    assert not said(crm, email="a@x.org", name=name).ignored


@pytest.mark.parametrize(
    ("sent", "stored", "ignored"),
    [
        ({"firstName": "Ro"}, ("Ro", "Deo"), {"name": "ignore"}),
        ({"lastName": "Do"}, ("Rosan", "Do"), {"name": "ignore"}),
        ({"firstName": "Ro", "lastName": "Do"}, ("Ro", "Do"), {"name": "ignore"}),
        ({"firstName": "Rosan", "lastName": "Deo"}, ("Rosan", "Deo"), {}),
        ({"lastName": "Deo"}, ("Rosan", "Deo"), {}),
        ({"firstName": None}, (None, "Deo"), {"name": "ignore"}),
    ],
)
def test_explicit_names_win(sent: Any, stored: Any, ignored: Any) -> None:
    """A part of the name that loses is reported; one that agrees is not lost."""
    outcome = said(system(), email="a@x.org", name="Rosan Deo", **sent)

    names = (outcome.contact.get("firstName"), outcome.contact.get("lastName"))
    assert (stored, ignored) == (names, outcome.ignored)


@pytest.mark.parametrize(
    ("sent", "stored", "ignored"),
    [
        ({}, (None, None), {}),
        ({"lastName": "Do"}, (None, "Do"), {"name": "null"}),
        ({"firstName": "A", "lastName": "B"}, ("A", "B"), {"name": "null"}),
    ],
)
def test_a_null_name_clears_both(sent: Any, stored: Any, ignored: Any) -> None:
    """Unless they are sent themselves."""
    crm = system({"email": "a@x.org", "name": "Rosan Deo"})

    outcome = said(crm, email="a@x.org", name=None, **sent)

    names = (outcome.contact.get("firstName"), outcome.contact.get("lastName"))
    assert (stored, ignored) == (names, outcome.ignored)


def test_one_word_and_a_last_name_agree() -> None:
    """Nothing of the name is lost, so nothing is reported."""
    outcome = said(system(), email="a@x.org", name="Rosan", lastName="Deo")

    assert (
        outcome.contact["firstName"],
        outcome.contact["lastName"],
    ) == ("Rosan", "Deo")
    assert outcome.ignored == {}


@pytest.mark.parametrize("name", ["", "  "])
def test_a_blank_name_is_ignored(name: str) -> None:
    """It has no parts; the outcome names it."""
    crm = system({"email": "a@x.org", "name": "Rosan Deo"})

    outcome = said(crm, email="a@x.org", name=name)

    assert (outcome.unchanged, outcome.ignored) == (True, {"name": "blank"})


def test_without_names_there_is_no_name() -> None:
    """What is derived of nothing is absent."""
    answer = contact(system(), firstName="")

    assert {"name", "fullNameLowerCase"}.isdisjoint(answer)
    assert answer["firstNameLowerCase"] == ""


# Tags, dates, custom fields, settings.


def test_tags_are_stored_as_they_are_sent() -> None:
    """Case, white space and repetition stay, unless the option is given."""
    sent = [" VIP", "lead", "vip ", "LEAD", "Big Deal"]

    assert contact(system(), tags=sent)["tags"] == sent
    lower = contact(system(lower_case_tags=True), tags=sent)["tags"]
    assert lower == ["vip", "lead", "big deal"]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["a", 5], "each value in tags must be a string"),
        (["a", None], "each value in tags must be a string"),
        (["a", ""], "each value in tags should not be empty"),
        ([" "], "each value in tags should not be empty"),
    ],
)
def test_each_tag_is_text(tags: Any, message: str) -> None:
    """A tag is text that is not blank."""
    assert [message] == refused(system(), tags=tags)


def test_lower_case_is_a_normal_form() -> None:
    """For every character that it changes, alone and beside others: twice is once."""
    chars = [c for c in map(chr, range(sys.maxunicode + 1)) if c.lower() != c]
    for around in ("{}", "a{}", "{}b", "a {} c"):
        once = lower_tags(tuple(around.format(char) for char in chars))

        assert lower_tags(once) == once


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
def test_odd_tags(tag: str, stored: str) -> None:
    """Python's lower(), which needs no locale: final sigma, dotted I, digraphs."""
    crm = system(lower_case_tags=True)

    assert [stored] == contact(crm, tags=[tag])["tags"]
    assert said(crm, email="a@x.org", tags=[tag]).unchanged


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
def test_a_date_of_birth_is_a_day_in_a_documented_layout(
    date: str, message: str
) -> None:
    """Days of the calendar alone, and no layout that the reference does not list."""
    (actual,) = refused(system(), dateOfBirth=date)

    assert actual.startswith(f"dateOfBirth {message}")


def test_a_date_of_birth_is_stored_as_iso() -> None:
    """Early years keep their four digits, and the stored form stays as it is."""
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
def test_a_custom_field_has_a_name_and_one_value(item: Any, message: str) -> None:
    """Each problem says where it is; the reason, which is counted, does not."""
    crm = system(custom_fields={"size": "f2"})
    items = [{"id": "f0", "value": "good"}, item]
    payload = {"locationId": "l1", "email": "a@x.org", "customFields": items}

    response = answered(crm, payload)

    assert response.body["message"][0].startswith(f"customFields.1{message}")
    assert response.reason.startswith(f"customFields.*{message}")
    assert len(response.body["message"]) == 1


def test_all_that_is_wrong_with_custom_fields_is_told() -> None:
    """Positions make problems of their own, and one reason of the same ones."""
    payload = {"locationId": "l1", "email": "a@x.org", "customFields": [1, {}, 2]}

    response = answered(system(), payload)

    assert response.body["message"] == [
        "customFields.0 must be an object",
        "customFields.1 must have an id or a key",
        "customFields.1 must have a field_value",
        "customFields.2 must be an object",
    ]
    assert response.reason.count("must be an object") == 1


def test_one_custom_field_has_one_value() -> None:
    """Said twice alike it is one; with another value one of the two would be lost."""
    crm = system(custom_fields={"size": "f1"})
    by_key = {"key": "size", "value": "v"}

    assert contact(crm, customFields=[ITEM, by_key])["customFields"] == [
        {"id": "f1", "value": "v"}
    ]
    assert refused(crm, customFields=[ITEM, {**by_key, "value": "w"}]) == [
        "customFields.1 must not give a field a second value"
    ]


def test_custom_fields_are_merged_by_id_or_key() -> None:
    """What is not sent stays; a key that the catalogue knows is its id."""
    crm = system(custom_fields={"size": "f1"})
    items = [ITEM, {"key": "colour", "field_value": "red"}]
    assert contact(crm, customFields=items)["customFields"] == [
        {"id": "f1", "value": "v"},
        {"id": "colour", "value": "red"},
    ]

    answer = contact(crm, customFields=[{"key": "size", "fieldValue": "w"}])

    assert answer["customFields"] == [
        {"id": "f1", "value": "w"},
        {"id": "colour", "value": "red"},
    ]
    stored = (
        {"id": "f1", "key": "size", "value": "w"},
        {"key": "colour", "value": "red"},
    )
    assert stored == crm.book.get("c-1", scope="l1")["customFields"]


def test_an_id_that_comes_with_a_key_is_found_by_both() -> None:
    """The reference's own sample has both: from then on either names the field."""
    crm = system()
    item = {"id": "f1", "key": "my_custom_field", "field_value": "My Text"}
    contact(crm, customFields=[item])

    for name in ({"id": "f1"}, {"key": "my_custom_field"}):
        value = f"by {name}"
        answer = contact(crm, customFields=[{**name, "field_value": value}])
        assert answer["customFields"] == [{"id": "f1", "value": value}]


def test_a_key_that_was_known_alone_takes_its_id() -> None:
    """The field is the same one, before and after its id is known."""
    crm = system()
    contact(crm, customFields=[{"key": "size", "field_value": "S"}])
    answer = contact(crm, customFields=[{"id": "f1", "key": "size", "value": "M"}])

    assert answer["customFields"] == [{"id": "f1", "value": "M"}]


def test_an_item_that_would_join_two_fields_is_refused() -> None:
    """Its id names one stored field, and its key another."""
    crm = system()
    items = [{"key": "size", "field_value": "S"}, {"id": "f1", "field_value": "x"}]
    contact(crm, customFields=items)
    item = {"id": "f1", "key": "size", "field_value": "M"}

    assert refused(crm, email="a@x.org", customFields=[item]) == [
        "customFields must not match two items by id and key"
    ]


def test_null_clears_one_custom_field() -> None:
    """It is stored as having no value, and left out of the answer."""
    crm = system({"email": "a@x.org", "customFields": [ITEM, {**ITEM, "id": "f2"}]})

    answer = contact(crm, customFields=[{"id": "f1", "value": None}])

    assert answer["customFields"] == [{"id": "f2", "value": "v"}]
    assert said(
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
def test_the_value_of_a_custom_field_is_answered_as_text(value: Any, text: str) -> None:
    """Under ``custom_field_text``; otherwise, as in the book, it is what was sent."""
    items = [{"id": "f1", "field_value": value}]
    crm = system(custom_field_text=True)

    answer = contact(crm, customFields=items)

    assert [{"id": "f1", "value": text}] == answer["customFields"]
    assert freeze(value) == crm.book.get("c-1", scope="l1")["customFields"][0]["value"]
    assert contact(system(), customFields=items)["customFields"] == [
        {"id": "f1", "value": value}
    ]


def test_settings_are_merged_per_channel() -> None:
    """A channel that is sent replaces the parts it names; the others stay."""
    settings = {"SMS": {"status": "active", "message": "m"}, "FB": {"status": "active"}}
    crm = system({"email": "a@x.org", "dndSettings": settings})

    answer = contact(
        crm,
        dndSettings={"SMS": {"status": "permanent", "code": "9"}},
        inboundDndSettings={"all": {"status": "inactive"}},
    )

    assert answer["dndSettings"] == {
        "SMS": {"status": "permanent", "message": "m", "code": "9"},
        "FB": {"status": "active"},
    }
    assert answer["inboundDndSettings"] == {"all": {"status": "inactive"}}


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
def test_settings_have_documented_parts_alone(
    name: str, settings: Any, messages: list[str]
) -> None:
    """A channel has a status, and texts; null is none of them."""
    actual = refused(system(), **{name: settings})

    assert [name + message for message in messages] == actual


# The answer.


def test_twice_is_once_but_for_the_trace() -> None:
    """The second answer says that it is not new, and is otherwise the same."""
    payload = {"locationId": "l1", **SAMPLE, FLAG: False, "name": "Ro Deo"}
    payload |= {"tags": ["B", "a"], "phone": "+1 (555) 000-1111"}
    crm = LeadConnector()
    first = answered(crm, payload)
    dump = crm.book.dump()

    second = answered(crm, payload)

    assert second.outcome is not None
    assert second.outcome.unchanged
    assert first.body["contact"] == second.body["contact"]
    assert (first.body["new"], second.body["new"]) == (True, False)
    assert first.body["traceId"] != second.body["traceId"]
    assert dump == crm.book.dump()


def test_the_traces_of_two_systems_differ() -> None:
    """Opaque and unique, and render gives a fresh one."""
    crm = LeadConnector()
    outcome = said(crm, email="a@x.org")
    traces = [send(each, email="b@x.org")["traceId"] for each in (crm, LeadConnector())]
    traces += [crm.render(outcome)["traceId"] for _ in range(2)]

    assert len(set(traces)) == 4
    assert (
        crm.render(outcome)["contact"]
        == answered(crm, {"locationId": "l1", "email": "a@x.org"}).body["contact"]
    )


FORKED = """
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
def test_the_traces_of_a_fork_differ() -> None:
    """Parent and child go on from the same system, and draw their own."""
    subprocess.run([sys.executable, "-c", FORKED], check=True)


def test_trace_ids_are_the_hosts() -> None:
    """They are drawn before anything is done, so a bad one leaves the book whole."""
    crm = system(trace_ids=iter(["t-1", 5]).__next__)

    assert send(crm, email="a@x.org")["traceId"] == "t-1"
    with pytest.raises(TypeError, match="trace_ids: must return text, not 5"):
        crm.upsert({"locationId": "l1", "email": "b@x.org"})
    assert len(crm.book) == 1


def test_dates_are_in_utc_with_milliseconds() -> None:
    """Whatever zone the clock is in."""
    zone = timezone(timedelta(hours=2))
    crm = system(clock=lambda: NOW.astimezone(zone))

    assert contact(crm)["dateAdded"] == "2024-01-02T03:04:05.678Z"


def test_what_the_host_keeps_survives_and_is_answered() -> None:
    """A loaded contact may hold what no payload may send; nothing hides its id."""
    start = NOW.isoformat()
    kept = {"type": "lead", "businessId": "b-1", "visitorId": "v", "id": "x"}
    row = {"id": "c-7", "scope": "l1", "version": 1, "fields": kept}
    row["fields"] = {**kept, "email": "a@x.org"}
    crm = system(rows=[{**row, "created_at": start, "updated_at": start}])

    answer = contact(crm, city="Oslo")

    assert {**kept, "id": "c-7"} == {name: answer[name] for name in kept}
    assert kept.items() <= crm.book.get("c-7", scope="l1").fields.items()


def test_an_answer_shares_nothing_with_the_book() -> None:
    """It is the caller's own."""
    crm = system({"email": "a@x.org", "tags": ["a"], "dndSettings": {}})
    contact(crm)["tags"].append("b")
    contact(crm)["dndSettings"]["x"] = 1

    assert (contact(crm)["tags"], contact(crm)["dndSettings"]) == (["a"], {})


def test_a_patch_has_neither_location_nor_flag() -> None:
    """The one is the scope, the other an instruction."""
    payload = {"locationId": "l1", "email": "a@x.org", FLAG: True, "city": "Oslo"}

    assert LeadConnector().parse(payload) == {"email": "a@x.org", "city": "Oslo"}


def test_a_dump_is_loaded_as_it_was() -> None:
    """What is stored is what a book of the same policy can hold."""
    crm = system({**SAMPLE, FLAG: False})

    again = LeadConnector(rows=crm.book.dump())

    assert crm.book.dump() == again.book.dump()
    answer = said(again, email="a@x.org", tags=["a"])
    assert answer.unchanged


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
def test_a_row_makes_a_payload(cells: dict[str, str], payload: Any) -> None:
    """What cannot be read as its field is written stays text (None: all cells do)."""
    actual = LeadConnector().from_row(cells)

    assert (cells if payload is None else payload) == actual


def test_a_row_that_cannot_be_read_is_refused() -> None:
    """The text that is left has the wrong type."""
    cells = {
        "email": "a@x.org",
        "dnd": "maybe",
        "customFields": "x",
        "customField.": "1",
    }

    messages = refused(system(), **system().from_row(cells))

    assert messages == ["dnd must be a boolean value", "customFields must be an array"]


# Whatever is sent.


def nested(depth: int, kind: type) -> Any:
    """Make a value that nests that deep."""
    value: Any = "x"
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


BAD: list[Any] = [
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
@pytest.mark.parametrize("number", range(len(BAD)))
def test_whatever_is_sent_is_answered(number: int, place: str) -> None:
    """In every field: stored and unchanged the second time, or a clean refusal."""
    for name in (*FIELDS, "locationId", "other"):
        crm = system({"email": "a@x.org"})
        value = PLACES[place](BAD[number])
        payload = {"locationId": "l1", "email": "a@x.org", name: value}

        response = answered(crm, payload)

        assert len(response.reason) < 200
        if response.status == 200:
            again = answered(crm, payload).outcome
            assert again is not None
            assert again.unchanged
            rows = json.loads(json.dumps(crm.book.dump()))
            assert rows == LeadConnector(rows=rows).book.dump()


def test_a_reason_holds_nothing_that_was_sent() -> None:
    """Values stay out of it, also those that name parts of an object."""
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
        response = answered(system(), payload)

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
def test_a_stored_contact_that_could_not_be_answered(fields: dict[str, Any]) -> None:
    """It is refused when it is loaded, not at the first payload that finds it."""
    crm = system({"email": "a@x.org"})
    (row,) = crm.book.dump()
    row["fields"] |= fields

    with pytest.raises(InvalidRows, match=f"row 1: {next(iter(fields))}"):
        LeadConnector(rows=[{**row, "id": "c-0", "fields": {}}, row])
    wrong: Any = [[]]
    with pytest.raises(InvalidRows):
        LeadConnector(rows=wrong)
    with pytest.raises(InvalidRows):
        LeadConnector(rows=[{**row, "fields": []}])
