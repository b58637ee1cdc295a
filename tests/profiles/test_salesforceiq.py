"""SalesforceIQ beside its documented cases: outcomes, keys, phones, rows, plans."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsertcore import normalize
from upsertcore.errors import InvalidField
from upsertcore.profiles import salesforceiq as module
from upsertcore.profiles.profile import Rejected
from upsertcore.profiles.salesforceiq import SalesforceIQ


def item(value: str, **metadata: str) -> dict[str, Any]:
    """Make an item of a property."""
    return {"value": value, "metadata": metadata}


def body(*emails: str, **properties: Any) -> dict[str, Any]:
    """Make a payload with these addresses."""
    return {"properties": {"email": [item(each) for each in emails], **properties}}


def system(*payloads: Any, **options: Any) -> SalesforceIQ:
    """Make an organisation's book of these payloads; ids are c-1 and so on."""
    ids = iter(f"c-{n}" for n in range(1, 10))
    salesforceiq = SalesforceIQ(ids=ids.__next__, **options)
    for payload in payloads:
        assert salesforceiq.upsert(payload).status == 200
    return salesforceiq


def said(salesforceiq: SalesforceIQ, payload: Any) -> Any:
    """Give the outcome of a payload that is taken."""
    outcome = salesforceiq.upsert(payload).outcome
    assert outcome is not None
    return outcome


def test_the_id_of_the_body_is_ignored_and_reported() -> None:
    """The body's id is read-only, even where it is that of the contact."""
    salesforceiq = system(body("ray@x.org"))

    for id in ("c-1", "c-2", ""):
        outcome = said(salesforceiq, {"id": id, **body("ray@x.org")})
        assert outcome.ignored == {"id": "ignore"}
        assert outcome.contact.id == "c-1"
        assert outcome.unchanged


def test_an_id_that_is_null_is_no_id() -> None:
    """A client that has no id yet may say so."""
    outcome = said(system(), {"id": None, **body("ray@x.org")})

    assert outcome.created
    assert outcome.ignored == {}


def test_further_hits_are_reported() -> None:
    """The first address that finds a contact decides; the others are named."""
    salesforceiq = system(body("a@x.org"), body("b@x.org"))

    outcome = said(salesforceiq, body("none@x.org", "B@x.org", "a@x.org"))

    assert outcome.contact.id == "c-2"
    assert outcome.matched_by == "email"
    assert outcome.also_matched == ("c-1",)


def test_every_address_is_a_key_in_any_case() -> None:
    """A contact is found by each of its addresses, given as text or as an item."""
    salesforceiq = system(body("a@x.org", "B@x.org"))

    for value in ("A@X.org", "b@x.org", item("b@X.ORG")):
        assert [c.id for c in salesforceiq.book.find("email", value)] == ["c-1"]
    assert salesforceiq.book.find("email", {"value": 7}) == ()
    assert salesforceiq.book.find("email", 7) == ()


def test_an_address_that_was_replaced_finds_nobody() -> None:
    """A list that is sent replaces the stored one, and with it its keys."""
    salesforceiq = system(body("a@x.org", "b@x.org"), body("b@x.org", "c@x.org"))

    assert salesforceiq.book.find("email", "a@x.org") == ()
    assert said(salesforceiq, body("a@x.org")).created


def test_an_address_that_is_none_is_kept_beside_one_that_is() -> None:
    """What cannot be looked up is stored as sent, and matches nobody."""
    salesforceiq = system(body("ray", "", "ray@x.org"))

    assert said(salesforceiq, body("ray", "bob@x.org")).created


def test_values_stay_as_they_were_sent() -> None:
    """Normal forms are for comparing alone; an address is stored as typed."""
    contact = said(system(), body(" Ray@X.org")).contact

    assert contact["email"][0]["value"] == " Ray@X.org"


def test_an_empty_list_of_what_is_not_there_moves_nothing() -> None:
    """Clearing twice is clearing once."""
    salesforceiq = system(body("ray@x.org"))

    assert said(salesforceiq, body("ray@x.org", liurl=[])).unchanged


def test_the_sent_value_of_the_query_is_not_repeated() -> None:
    """The refusal of an address in the query says what to send, and not the address."""
    response = system().upsert(body("ray@x.org"), _upsert="rdreesen@gmail.com")

    assert response.status == 400
    assert "rdreesen" not in str(response.body)
    assert "must be the word email" in response.reason


@pytest.mark.parametrize("organisation", [None, 7, b"o", ["o"], "\ud800"])
def test_an_organisation_is_text(organisation: Any) -> None:
    """The scope is text that can be written."""
    response = system().upsert(body("ray@x.org"), organisation=organisation)

    assert (response.status, response.reason) == (400, "organisation: must be text")


class Text(str):
    """Text of another class, which answers less than text does."""

    __slots__ = ()

    def __str__(self) -> str:
        raise AssertionError("a payload's own methods are not called")

    strip = count = __str__  # type: ignore[assignment]


def test_text_of_another_class_is_its_plain_self() -> None:
    """Names, values, metadata and the scope are taken as the text that they hold."""
    salesforceiq = system()
    email = [{"value": Text("ray@x.org"), Text("metadata"): {"a": Text("b")}}]
    payload = {"id": Text("x"), Text("properties"): {Text("email"): email}}

    response = salesforceiq.upsert(
        payload, _upsert=Text("email"), organisation=Text("o1")
    )

    assert response.body["properties"] == {"email": [item("ray@x.org", a="b")]}
    assert type(response.body["properties"]["email"][0]["value"]) is str
    assert [contact.scope for contact in salesforceiq.book] == ["o1"]
    assert type(next(iter(salesforceiq.book)).scope) is str


@pytest.mark.parametrize("name", ["", " ", "\n", "\ud800", 7, None])
def test_a_property_has_a_name(name: Any) -> None:
    """A property is called by text that is not blank."""
    payload = {"properties": {"email": [item("ray@x.org")], name: []}}
    response = system().upsert(payload)

    expected = "properties: must have names that are not blank"
    assert (response.status, response.reason) == (422, expected)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "must be a finite number"),
        (float("inf"), "must be a finite number"),
        (10**5000, "must be a whole number of at most 4 200 digits"),
        (b"x", "must have text, numbers, true or false for metadata"),
    ],
    ids=["nan", "infinite", "5000 digits", "bytes"],
)
def test_metadata_that_no_text_can_say(value: Any, words: str) -> None:
    """A number in metadata is one that JSON can write."""
    email = [{"value": "ray@x.org", "metadata": {"rank": value}}]
    response = system().upsert({"properties": {"email": email}})

    assert (response.status, response.reason) == (422, f"properties.email: {words}")


def test_a_name_of_metadata_is_text() -> None:
    """What is no JSON object is refused, and shown without its names."""
    email = [{"value": "ray@x.org", "metadata": {7: "x"}}]
    response = system().upsert({"properties": {"email": email}})

    expected = "properties.email: must have text for the names of metadata"
    assert (response.status, response.reason) == (422, expected)


def test_what_no_field_can_hold_is_a_wrong_shape() -> None:
    """A refused value is named by its property, in parse and in the policy."""
    response = system().upsert(body("ray@x.org", name=[item("\ud800")]))

    assert response.status == 422
    assert response.reason.startswith("properties.name: must be Unicode text")
    refusal = InvalidField("name", "x", "must be short")
    assert module._reject(refusal).reason == "properties.name: must be short"


NUMBERS = st.from_regex(r"\A(\+|00)?[0-9 ().-]{0,14}\Z") | st.text(max_size=4)


@pytest.mark.parametrize("region", [None, "US"])
@given(
    value=NUMBERS,
    metadata=st.dictionaries(st.sampled_from(["raw_val", "stype"]), st.text()),
)
def test_a_replayed_phone_is_unchanged(
    region: str | None, value: str, metadata: dict[str, str]
) -> None:
    """Canonical before compare: the raw payload replayed moves nothing."""
    payload = body("ray@x.org", phone=[{"value": value, "metadata": metadata}])
    salesforceiq = system(payload, region=region)

    (stored,) = said(salesforceiq, payload).contact["phone"]

    assert said(salesforceiq, payload).unchanged
    form = normalize.phone(value)
    assert region or stored["value"] == (form or value)
    typed = {} if stored["value"] == value else {"raw_val": value}
    assert stored["metadata"] == {**typed, **metadata}


def test_a_stored_phone_sent_back_is_unchanged() -> None:
    """A client may send the answer back as it is."""
    salesforceiq = system(body("ray@x.org", phone=[item("0044 20 7946 0958")]))
    answer = salesforceiq.upsert(body("ray@x.org")).body

    assert salesforceiq.upsert(answer).body == answer
    assert said(salesforceiq, answer).unchanged


def test_an_unknown_region_is_refused_at_once() -> None:
    """A profile that could not read a number is not made."""
    with pytest.raises(ValueError, match="unknown region 'us'"):
        SalesforceIQ(region="us")


def test_the_policy_itself_refuses_a_phone_of_another_shape() -> None:
    """A host that goes past ``parse`` cannot store what is no list of items."""
    book = system().book
    patch = {"email": "ray@x.org", "phone": "+14154873698"}

    with pytest.raises(InvalidField, match="phone: must be an array"):
        book.upsert(patch)


def test_parse_makes_a_patch() -> None:
    """A patch has the properties' names, full items, and null for an empty list."""
    payload = {"id": "x", "properties": {"email": [{"value": "a@x.org"}], "name": []}}

    expected = {"id": "x", "email": [item("a@x.org")], "name": None}
    assert expected == system().parse(payload)


def test_a_plan_is_what_upsert_would_do() -> None:
    """A plan decides as ``upsert`` does, does nothing, and raises what it answers."""
    salesforceiq = system(body("ray@x.org"))
    before = salesforceiq.book.dump()

    plan = salesforceiq.plan(body("ray@x.org", name=[item("Ray")]))
    assert plan.updated
    assert salesforceiq.plan(body("ray@x.org"), organisation="o2").created
    assert before == salesforceiq.book.dump()
    with pytest.raises(Rejected) as raised:
        salesforceiq.plan(body("ray@x.org"), _upsert="id")
    refused = salesforceiq.upsert(body("ray@x.org"), _upsert="id")
    assert refused.body == raised.value.body


def test_a_row_is_a_payload() -> None:
    """Each column is a property; emails and phones may stand several in a cell."""
    cells = {"id": "x", "email": "a@x.org; b@x.org;", "phone": "1,2;3", "name": "A; B"}

    assert SalesforceIQ().from_row(cells) == {
        "id": "x",
        "properties": {
            "email": [{"value": "a@x.org"}, {"value": "b@x.org"}],
            "phone": [{"value": "1,2"}, {"value": "3"}],
            "name": [{"value": "A; B"}],
        },
    }
    assert "id" not in SalesforceIQ().from_row({"email": "a@x.org"})
    row = SalesforceIQ().from_row({"email": "a@x.org,b@x.org"})
    assert [each["value"] for each in row["properties"]["email"]] == [
        "a@x.org",
        "b@x.org",
    ]


def test_the_answer_is_the_callers_own() -> None:
    """Changing an answer changes nothing that is stored."""
    salesforceiq = system()
    answer = salesforceiq.upsert(body("ray@x.org")).body
    answer["properties"]["email"].clear()

    assert salesforceiq.book.get("c-1")["email"] == (item("ray@x.org"),)


def test_options_can_be_said_in_a_word() -> None:
    """The region is text, and placeholders are left out or not."""
    words = {"region": "US", "placeholders": "true"}
    options = {name: SalesforceIQ.options[name](word) for name, word in words.items()}

    assert SalesforceIQ.options.keys() == words.keys()
    assert options == {"region": "US", "placeholders": True}
    keys = SalesforceIQ(**options).policy.all_keys
    assert all(key.blocked for key in keys)


def test_rows_come_back() -> None:
    """A profile goes on from the rows of another one."""
    salesforceiq = system(body("ray@x.org", phone=[item("+1 415 487 3698")]))
    twin = SalesforceIQ(rows=salesforceiq.book.dump())

    assert salesforceiq.book.dump() == twin.book.dump()
    assert twin.upsert(body("RAY@x.org")).body["id"] == "c-1"
