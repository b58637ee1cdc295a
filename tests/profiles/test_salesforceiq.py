"""SalesforceIQ: outcomes, keys, phones, rows and plans, beside its cases."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsertcore import normalize
from upsertcore.errors import InvalidField
from upsertcore.profiles import salesforceiq as module
from upsertcore.profiles.profile import Rejected
from upsertcore.profiles.salesforceiq import SalesforceIQ
from upsertcore.values import freeze


def item(value: str, **metadata: str) -> dict[str, Any]:
    """Make an item of a property."""
    return {"value": value, "metadata": metadata}


def body(*emails: str, **properties: Any) -> dict[str, Any]:
    """Make a payload with these addresses and properties."""
    return {
        "properties": {"email": [item(address) for address in emails], **properties}
    }


def make_system(*payloads: Any, **options: Any) -> SalesforceIQ:
    """Make an organisation's system with contacts; ids are c-1 and so on."""
    ids = iter(f"c-{n}" for n in range(1, 10))
    salesforceiq = SalesforceIQ(ids=ids.__next__, **options)
    for payload in payloads:
        assert salesforceiq.upsert(payload).status == 200
    return salesforceiq


def accepted_outcome(salesforceiq: SalesforceIQ, payload: Any) -> Any:
    """Return the outcome of a payload that is accepted."""
    outcome = salesforceiq.upsert(payload).outcome
    assert outcome is not None
    return outcome


def test_id_of_the_body_is_ignored_and_named() -> None:
    """The id is read-only, even where it is that of the contact."""
    salesforceiq = make_system(body("ray@x.org"))

    for id in ("c-1", "c-2", ""):
        outcome = accepted_outcome(salesforceiq, {"id": id, **body("ray@x.org")})
        assert outcome.ignored == {"id": "ignore"}
        assert outcome.contact.id == "c-1"
        assert outcome.unchanged


def test_null_id_of_the_body_is_no_id() -> None:
    """A client without an id may send null."""
    outcome = accepted_outcome(make_system(), {"id": None, **body("ray@x.org")})

    assert outcome.created
    assert outcome.ignored == {}


def test_further_matches_are_named_in_the_outcome() -> None:
    """The first address with a match decides."""
    salesforceiq = make_system(body("a@x.org"), body("b@x.org"))

    outcome = accepted_outcome(salesforceiq, body("none@x.org", "B@x.org", "a@x.org"))

    assert outcome.contact.id == "c-2"
    assert outcome.matched_by == "email"
    assert outcome.also_matched == ("c-1",)


def test_lookup_by_any_address_ignores_case() -> None:
    """The lookup accepts text and items."""
    salesforceiq = make_system(body("a@x.org", "B@x.org"))

    for value in ("A@X.org", "b@x.org", item("b@X.ORG")):
        assert [c.id for c in salesforceiq.book.find("email", value)] == ["c-1"]
    assert salesforceiq.book.find("email", {"value": 7}) == ()
    assert salesforceiq.book.find("email", 7) == ()


def test_replaced_address_matches_no_contact() -> None:
    """A list replaces the stored one, and its keys."""
    salesforceiq = make_system(body("a@x.org", "b@x.org"), body("b@x.org", "c@x.org"))

    assert salesforceiq.book.find("email", "a@x.org") == ()
    assert accepted_outcome(salesforceiq, body("a@x.org")).created


def test_invalid_address_beside_a_valid_one_matches_no_contact() -> None:
    """The invalid address is stored, but has no normal form."""
    salesforceiq = make_system(body("ray", "", "ray@x.org"))

    assert accepted_outcome(salesforceiq, body("ray", "bob@x.org")).created


def test_address_is_stored_without_normalising() -> None:
    """Normal forms are for comparison alone."""
    contact = accepted_outcome(make_system(), body(" Ray@X.org")).contact

    assert contact["email"][0]["value"] == " Ray@X.org"


def test_empty_list_for_an_absent_property_changes_nothing() -> None:
    salesforceiq = make_system(body("ray@x.org"))

    assert accepted_outcome(salesforceiq, body("ray@x.org", liurl=[])).unchanged


def test_refusal_of_the_query_does_not_repeat_the_value() -> None:
    """It names the one value that is accepted."""
    response = make_system().upsert(body("ray@x.org"), _upsert="rdreesen@gmail.com")

    assert response.status == 400
    assert "rdreesen" not in str(response.body)
    assert "must be the word email" in response.reason


@pytest.mark.parametrize("organisation", [None, 7, b"o", ["o"], "\ud800"])
def test_organisation_of_another_type_is_refused(organisation: Any) -> None:
    """The scope is text that can be encoded."""
    response = make_system().upsert(body("ray@x.org"), organisation=organisation)

    assert (response.status, response.reason) == (400, "organisation: must be text")


class Text(str):
    """A subclass of text whose own methods fail."""

    __slots__ = ()

    def __str__(self) -> str:
        raise AssertionError("a payload's own methods are not called")

    strip = count = __str__  # type: ignore[assignment]


def test_subclass_of_text_is_stored_as_plain_text() -> None:
    """In names, values, metadata and the scope."""
    salesforceiq = make_system()
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
def test_property_without_a_name_is_refused(name: Any) -> None:
    """A name is text that is not blank."""
    payload = {"properties": {"email": [item("ray@x.org")], name: []}}
    response = make_system().upsert(payload)

    expected = "properties: must have names that are not blank"
    assert (response.status, response.reason) == (422, expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "must be a finite number"),
        (float("inf"), "must be a finite number"),
        (10**5000, "must be a whole number of at most 4 200 digits"),
        (b"x", "must have text, numbers, true or false for metadata"),
    ],
    ids=["nan", "infinite", "5000 digits", "bytes"],
)
def test_metadata_that_cannot_be_text_is_refused(value: Any, message: str) -> None:
    """A number in metadata must be valid JSON."""
    email = [{"value": "ray@x.org", "metadata": {"rank": value}}]
    response = make_system().upsert({"properties": {"email": email}})

    assert (response.status, response.reason) == (422, f"properties.email: {message}")


def test_name_of_metadata_of_another_type_is_refused() -> None:
    """The refusal does not repeat the name."""
    email = [{"value": "ray@x.org", "metadata": {7: "x"}}]
    response = make_system().upsert({"properties": {"email": email}})

    expected = "properties.email: must have text for the names of metadata"
    assert (response.status, response.reason) == (422, expected)


@pytest.mark.parametrize(
    "name",
    [
        {"value": "Zoë"},
        {"value": "Zoë", "metadata": {}},
        freeze({"metadata": {}, "value": "Zoë"}),
        UserDict({"value": "Zoë", "metadata": {}}),
        {"value": "Zoë", "metadata": UserDict()},
    ],
)
def test_items_that_say_the_same_are_stored_as_the_same(name: Any) -> None:
    salesforceiq = make_system(body("ray@x.org", name=[item("Zoë")]))

    assert accepted_outcome(salesforceiq, body("ray@x.org", name=[name])).unchanged


@pytest.mark.parametrize(
    "metadata",
    [
        {"stype": "mobile"},
        UserDict({"stype": "mobile"}),
        freeze({"stype": "mobile"}),
    ],
)
def test_metadata_of_any_mapping_is_stored(metadata: Any) -> None:
    payload = body("ray@x.org", name=[{"value": "Ray", "metadata": metadata}])
    outcome = accepted_outcome(make_system(), payload)

    assert outcome.contact["name"] == (item("Ray", stype="mobile"),)


@pytest.mark.parametrize("metadata", [None, "", (), False, [], float("nan")])
def test_metadata_that_is_no_mapping_is_refused(metadata: Any) -> None:
    payload = body("ray@x.org", name=[{"value": "Ray", "metadata": metadata}])
    response = make_system().upsert(payload)

    expected = "properties.name: must have an object for the metadata"
    assert (response.status, response.reason) == (422, expected)


def test_canonical_phone_is_not_frozen_again() -> None:
    clean = make_system().policy.fields["phone"].clean
    canonical = freeze([item("+15550001111")])
    typed = freeze([item("+15550001111"), item("+1 555 000 2222")])
    assert clean is not None

    assert clean(canonical) is canonical
    expected = [item("+15550001111"), item("+15550002222", raw_val="+1 555 000 2222")]
    assert clean(typed) == expected


def test_refused_value_is_named_by_its_property() -> None:
    """A refusal by ``parse`` and one by the policy."""
    response = make_system().upsert(body("ray@x.org", name=[item("\ud800")]))

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
def test_replayed_phone_is_unchanged(
    region: str | None, value: str, metadata: dict[str, str]
) -> None:
    """Values are cleaned before the comparison."""
    payload = body("ray@x.org", phone=[{"value": value, "metadata": metadata}])
    salesforceiq = make_system(payload, region=region)

    (stored,) = accepted_outcome(salesforceiq, payload).contact["phone"]

    assert accepted_outcome(salesforceiq, payload).unchanged
    form = normalize.phone(value)
    assert region or stored["value"] == (form or value)
    typed = {} if stored["value"] == value else {"raw_val": value}
    assert stored["metadata"] == {**typed, **metadata}


def test_response_as_the_next_payload_is_unchanged() -> None:
    """A client may send the body of a response."""
    salesforceiq = make_system(body("ray@x.org", phone=[item("0044 20 7946 0958")]))
    response_body = salesforceiq.upsert(body("ray@x.org")).body

    assert salesforceiq.upsert(response_body).body == response_body
    assert accepted_outcome(salesforceiq, response_body).unchanged


def test_unknown_region_is_refused_by_the_constructor() -> None:
    with pytest.raises(ValueError, match="unknown region 'us'"):
        SalesforceIQ(region="us")


def test_phone_of_another_shape_is_refused_by_the_policy() -> None:
    """Also without ``parse``: a phone is a list of items."""
    book = make_system().book
    patch = {"email": "ray@x.org", "phone": "+14154873698"}

    with pytest.raises(InvalidField, match="phone: must be an array"):
        book.upsert(patch)


def test_parse_returns_properties_as_fields() -> None:
    """Items are complete, and an empty list is null."""
    payload = {"id": "x", "properties": {"email": [{"value": "a@x.org"}], "name": []}}

    expected = {"id": "x", "email": [item("a@x.org")], "name": None}
    assert expected == make_system().parse(payload)


def test_plan_decides_as_upsert_and_writes_nothing() -> None:
    """A payload that ``upsert`` rejects raises the same body."""
    salesforceiq = make_system(body("ray@x.org"))
    before = salesforceiq.book.dump()

    plan = salesforceiq.plan(body("ray@x.org", name=[item("Ray")]))
    assert plan.updated
    assert salesforceiq.plan(body("ray@x.org"), organisation="o2").created
    assert before == salesforceiq.book.dump()
    with pytest.raises(Rejected) as raised:
        salesforceiq.plan(body("ray@x.org"), _upsert="id")
    response = salesforceiq.upsert(body("ray@x.org"), _upsert="id")
    assert response.body == raised.value.body


def test_columns_of_a_row_are_properties() -> None:
    """A cell may hold several emails or phones."""
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
    assert [address["value"] for address in row["properties"]["email"]] == [
        "a@x.org",
        "b@x.org",
    ]


def test_change_of_a_response_body_changes_nothing_stored() -> None:
    salesforceiq = make_system()
    response_body = salesforceiq.upsert(body("ray@x.org")).body
    response_body["properties"]["email"].clear()

    assert salesforceiq.book.get("c-1")["email"] == (item("ray@x.org"),)


def test_options_are_parsed_from_text() -> None:
    words = {"region": "US", "placeholders": "true"}
    options = {name: SalesforceIQ.options[name](word) for name, word in words.items()}

    assert SalesforceIQ.options.keys() == words.keys()
    assert options == {"region": "US", "placeholders": True}
    keys = SalesforceIQ(**options).policy.all_keys
    assert all(key.blocked for key in keys)


def test_dump_loads_into_another_system() -> None:
    salesforceiq = make_system(body("ray@x.org", phone=[item("+1 415 487 3698")]))
    twin = SalesforceIQ(rows=salesforceiq.book.dump())

    assert salesforceiq.book.dump() == twin.book.dump()
    assert twin.upsert(body("RAY@x.org")).body["id"] == "c-1"
