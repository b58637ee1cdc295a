"""SegMetrics: outcomes, order, races, rows and plans, beside its cases."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsertcore.errors import CreateRefused, InvalidPolicy
from upsertcore.profiles import segmetrics as module
from upsertcore.profiles.profile import Rejected
from upsertcore.profiles.segmetrics import SegMetrics

PLACE = {"account_id": "a1", "integration_id": "i1"}
JOEY = {"contact_id": 249, "email": "joey@x.org"}
NOW = datetime(2024, 1, 2, tzinfo=UTC)


def make_system(*payloads: Any, **options: Any) -> SegMetrics:
    """Make an integration's system with contacts; ids are c-1 and so on."""
    ids = iter(f"c-{n}" for n in range(1, 10))
    merged_options = {"ids": ids.__next__, "clock": lambda: NOW, **options}
    segmetrics = SegMetrics(**merged_options)
    for payload in payloads:
        assert segmetrics.upsert(payload, **PLACE).status == 200
    return segmetrics


def accepted_outcome(segmetrics: SegMetrics, payload: Any) -> Any:
    """Return the outcome of a payload that is accepted."""
    outcome = segmetrics.upsert(payload, **PLACE).outcome
    assert outcome is not None
    return outcome


def payload_at(second: int, **fields: Any) -> dict[str, Any]:
    """Make a payload whose last_updated has this second."""
    return {**JOEY, "last_updated": f"2018-11-28 09:00:{second:02}", **fields}


def test_other_spelling_of_the_id_is_ignored_and_named() -> None:
    """249 and "249" are one ID; the first spelling is kept."""
    segmetrics = make_system(JOEY)

    outcome = accepted_outcome(segmetrics, {**JOEY, "contact_id": "249"})

    assert outcome.unchanged
    assert outcome.contact["contact_id"] == 249
    assert outcome.ignored == {"contact_id": "keep_spelling"}
    assert accepted_outcome(segmetrics, JOEY).ignored == {}


def test_known_email_without_match_email_creates_a_contact() -> None:
    """The contact_id alone is the key."""
    segmetrics = make_system(JOEY)

    outcome = accepted_outcome(segmetrics, {**JOEY, "contact_id": 250})

    assert outcome.created
    assert len(segmetrics.book.find("email", "JOEY@x.org", scope="a1/i1")) == 2


def test_new_id_under_match_email_replaces_that_of_the_oldest_contact() -> None:
    """Several contacts have the email; the oldest is matched."""
    segmetrics = make_system(
        JOEY, {"contact_id": 250, "email": "b@x.org"}, match_email=True
    )
    accepted_outcome(segmetrics, {"contact_id": 250, "email": "joey@x.org"})

    outcome = accepted_outcome(segmetrics, {"contact_id": 7, "email": "Joey@x.org"})

    assert (outcome.contact.id, outcome.matched_by) == ("c-1", "email")
    assert outcome.also_matched == ("c-2",)
    assert segmetrics.book.find("contact_id", 249, scope="a1/i1") == ()
    (contact,) = segmetrics.book.find("contact_id", "7", scope="a1/i1")
    assert contact == outcome.contact


def test_id_under_match_email_matches_before_the_email() -> None:
    """The contact of the email is named in the outcome."""
    segmetrics = make_system(
        JOEY, {"contact_id": 1, "email": "b@x.org"}, match_email=True
    )

    outcome = accepted_outcome(segmetrics, {"contact_id": 1, "email": "joey@x.org"})

    assert (outcome.contact.id, outcome.matched_by) == ("c-2", "contact_id")
    assert outcome.also_matched == ("c-1",)


def test_scope_is_the_encoded_account_and_integration() -> None:
    """Both are percent-encoded and joined by a slash."""
    segmetrics = make_system()
    segmetrics.upsert(JOEY, account_id="a b/c", integration_id="ï%")

    assert [c.scope for c in segmetrics.book] == ["a%20b%2Fc/%C3%AF%25"]


@given(st.lists(st.text("a/%2F", min_size=1, max_size=3), min_size=4, max_size=4))
def test_scopes_of_two_integrations_differ(parts: list[str]) -> None:
    """Equal scopes have equal account and integration."""
    segmetrics = make_system()
    for account, integration in (parts[:2], parts[2:]):
        segmetrics.upsert(JOEY, account_id=account, integration_id=integration)

    assert (parts[:2] == parts[2:]) == (len(segmetrics.book) == 1)


def test_missing_date_of_a_tag_stays_missing() -> None:
    """A generated date would make the second upsert a change."""
    segmetrics = make_system({**JOEY, "tags": [{"id": 3}]})

    assert accepted_outcome(segmetrics, {**JOEY, "tags": [{"id": 3}]}).unchanged
    assert segmetrics.book.get("c-1", scope="a1/i1")["tags"] == ({"id": 3},)


@pytest.mark.parametrize("time", ["2018-02-30 00:00:00", "2018-11-28", "", 7, "\ud800"])
def test_time_of_another_layout_or_no_real_time_is_refused(time: Any) -> None:
    """A valid one is stored as received."""
    for name in ("date_created", "last_updated"):
        response = make_system().upsert({**JOEY, name: time}, **PLACE)
        (line,) = response.body["errors"]
        assert line.startswith(f"{name}: must be ")
    leap = accepted_outcome(
        make_system(), {**JOEY, "date_created": "2020-02-29 23:59:59"}
    )
    assert leap.contact["date_created"] == "2020-02-29 23:59:59"


def test_email_is_stored_without_white_space() -> None:
    """Values are cleaned before the comparison."""
    payload = {**JOEY, "email": " Joey@x.org\n"}
    segmetrics = make_system(payload)

    assert accepted_outcome(segmetrics, payload).unchanged
    assert segmetrics.book.get("c-1", scope="a1/i1")["email"] == "Joey@x.org"


def test_null_status_clears_and_the_default_is_only_for_creation() -> None:
    segmetrics = make_system(JOEY, default_status="active")

    assert segmetrics.book.get("c-1", scope="a1/i1")["status"] == "active"
    assert (
        "status" not in accepted_outcome(segmetrics, {**JOEY, "status": None}).contact
    )
    assert "status" not in accepted_outcome(segmetrics, JOEY).contact


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"plan": float("nan")}, "must be what JSON can say: "),
        ({"plan": 10**5000}, "must be what JSON can say: "),
        ({7: "x"}, "must be what JSON can say: "),
        ({"plan": "\ud800"}, "must be what JSON can say: "),
        ("pro", "must be an object of names and values"),
    ],
)
def test_custom_fields_that_are_no_json_are_refused(value: Any, message: str) -> None:
    """The message says what is valid, and repeats no value."""
    segmetrics = make_system(custom_fields=True)
    response = segmetrics.upsert({**JOEY, "custom_fields": value}, **PLACE)

    assert response.status == 400
    (line,) = response.body["errors"]
    assert line.startswith(f"custom_fields: {message}")
    assert response.reason == line


def test_stored_value_that_cannot_be_merged_is_refused_by_field() -> None:
    """Loaded rows may hold a value that the profile refuses."""
    (row,) = make_system(JOEY).book.dump()
    row["fields"]["custom_fields"] = "pro"
    segmetrics = make_system(rows=[row], custom_fields=True)

    response = segmetrics.upsert({**JOEY, "custom_fields": {"a": 1}}, **PLACE)

    assert response.status == 400
    assert response.body["errors"][0].startswith("custom_fields: ")


def test_other_refusal_is_an_error_without_values() -> None:
    """A refusal of the core that the profile has no message for."""
    assert module._reject(CreateRefused()).body == {
        "status": "error",
        "errors": ["contact: is refused"],
    }


def test_stale_payload_under_ordered_is_ignored_field_by_field() -> None:
    """The response is the stored contact."""
    segmetrics = make_system(payload_at(2, first_name="New"), ordered=True)
    state = segmetrics.book.dump()

    response = segmetrics.upsert(payload_at(1, first_name="Old", tags=[1]), **PLACE)

    assert (response.status, response.reason) == (200, "")
    assert response.body["contact"]["first_name"] == "New"
    assert response.outcome is not None
    assert response.outcome.unchanged
    assert response.outcome.contact is response.outcome.before
    names = ("contact_id", "email", "last_updated", "first_name", "tags")
    assert response.outcome.ignored == dict.fromkeys(names, "stale")
    assert response.outcome.changes == ()
    assert state == segmetrics.book.dump()


def test_payload_that_is_not_older_under_ordered_is_applied() -> None:
    """The same second is not older, nor is a payload without a time."""
    segmetrics = make_system(payload_at(2), ordered=True)

    assert accepted_outcome(segmetrics, payload_at(2, first_name="A")).updated
    assert accepted_outcome(segmetrics, payload_at(2, first_name="A")).unchanged
    assert accepted_outcome(segmetrics, {**JOEY, "first_name": "B"}).updated
    assert accepted_outcome(segmetrics, payload_at(3)).updated
    assert accepted_outcome(segmetrics, {**JOEY, "last_updated": None}).updated
    assert accepted_outcome(segmetrics, payload_at(1)).updated


def test_older_payload_without_ordered_is_applied() -> None:
    assert accepted_outcome(make_system(payload_at(2)), payload_at(1)).updated


def test_stale_payload_under_match_email_replaces_no_id() -> None:
    segmetrics = make_system(payload_at(2), ordered=True, match_email=True)

    outcome = accepted_outcome(segmetrics, payload_at(1, contact_id=7))

    assert outcome.unchanged
    assert outcome.contact["contact_id"] == 249
    assert segmetrics.book.find("contact_id", 7, scope="a1/i1") == ()


def test_stored_time_of_another_type_is_not_compared() -> None:
    """Loaded rows may hold a time that is no text."""
    (row,) = make_system(JOEY).book.dump()
    fields = {**JOEY, "last_updated": 1543397322}
    segmetrics = make_system(rows=[{**row, "fields": fields}], ordered=True)

    assert accepted_outcome(segmetrics, payload_at(1)).updated


def test_plan_decides_as_upsert_and_writes_nothing() -> None:
    """Also for a stale payload; a rejected one raises the same body."""
    segmetrics = make_system(payload_at(2), ordered=True)
    before = segmetrics.book.dump()

    stale = segmetrics.plan(payload_at(1, first_name="Old", email="b@x.org"), **PLACE)
    assert stale.unchanged
    assert (stale.after, stale.changes) == (
        segmetrics.book.get("c-1", scope="a1/i1").fields,
        (),
    )
    assert stale.forms == (("249",), ("joey@x.org",))
    assert segmetrics.plan(payload_at(3), **PLACE).updated
    assert segmetrics.plan({**JOEY, "contact_id": 1}, **PLACE).created
    assert before == segmetrics.book.dump()
    with pytest.raises(Rejected) as raised:
        segmetrics.plan({}, **PLACE)
    assert segmetrics.upsert({}, **PLACE).body == raised.value.body


def test_newer_payload_between_plan_and_apply_is_kept() -> None:
    """The older call is then stale."""
    newer = [payload_at(3, first_name="New")]

    def clock() -> datetime:
        if newer:
            assert accepted_outcome(segmetrics, newer.pop()).updated
        return NOW

    segmetrics = make_system(payload_at(1), ordered=True)
    segmetrics = SegMetrics(ordered=True, rows=segmetrics.book.dump(), clock=clock)

    outcome = accepted_outcome(segmetrics, payload_at(2, first_name="Old"))

    assert outcome.unchanged
    assert outcome.contact["first_name"] == "New"
    assert set(outcome.ignored.values()) == {"stale"}


def test_creation_between_plan_and_apply_gives_one_contact() -> None:
    concurrent = [payload_at(3)]

    def clock() -> datetime:
        if concurrent:
            assert accepted_outcome(segmetrics, concurrent.pop()).created
        return NOW

    segmetrics = SegMetrics(ordered=True, clock=clock)

    assert accepted_outcome(segmetrics, payload_at(2)).unchanged
    assert len(segmetrics.book) == 1


def test_clock_that_writes_at_every_call_is_an_error() -> None:
    """The upsert stops after a limited number of attempts."""
    seconds = iter(range(2, 10_000))
    busy: list[int] = []

    def clock() -> datetime:
        if not busy:
            busy.append(1)
            accepted_outcome(segmetrics, {**JOEY, "first_name": f"n{next(seconds)}"})
            busy.clear()
        return NOW

    rows = make_system(payload_at(1)).book.dump()
    segmetrics = SegMetrics(ordered=True, rows=rows, clock=clock)

    with pytest.raises(
        RuntimeError, match="check that ids and clock do not write to the book"
    ):
        segmetrics.upsert(payload_at(2), **PLACE)
    assert (
        segmetrics.book.get("c-1", scope="a1/i1")["last_updated"]
        == payload_at(1)["last_updated"]
    )


def test_newest_payload_of_many_threads_is_stored() -> None:
    segmetrics = make_system(ordered=True)
    payloads = [payload_at(n, first_name=f"n{n}") for n in range(60)]
    random.Random(7).shuffle(payloads)
    errors: list[BaseException] = []

    def work(part: list[dict[str, Any]]) -> None:
        try:
            for payload in part:
                assert segmetrics.upsert(payload, **PLACE).status == 200
        except BaseException as error:  # noqa: BLE001 - the test asserts on it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(payloads[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    (contact,) = segmetrics.book
    assert contact["first_name"] == "n59"
    assert contact["last_updated"] == payload_at(59)["last_updated"]


@given(st.permutations(range(5)))
def test_payloads_under_ordered_in_any_order_end_in_one_state(order: list[int]) -> None:
    segmetrics = make_system(
        *[payload_at(n, first_name=f"n{n}") for n in order], ordered=True
    )

    assert segmetrics.book.get("c-1", scope="a1/i1")["first_name"] == "n4"


@pytest.mark.parametrize(("word", "flag"), [("true", True), ("false", False)])
def test_options_are_parsed_from_text(word: str, flag: bool) -> None:  # noqa: FBT001 - the two flags are the table
    """All but the status are true or false."""
    flags = ("match_email", "ordered", "custom_fields", "placeholders")
    options = {name: SegMetrics.options[name](word) for name in flags}
    status = SegMetrics.options["default_status"]("active")
    policy = SegMetrics(**options, default_status=status).policy

    assert {*flags, "default_status"} == SegMetrics.options.keys()
    assert options == dict.fromkeys(flags, flag)
    assert policy.match.keys[-1] == ("email" if flag else "contact_id")
    assert (
        "custom_fields" in policy.fields,
        any(key.blocked for key in policy.all_keys),
    ) == (flag, flag)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"match_email": "true"}, "match_email: must be True or False, not 'true'"),
        ({"ordered": 1}, "ordered: must be True or False, not 1"),
        ({"custom_fields": {}}, "custom_fields: must be True or False, not {}"),
        ({"placeholders": None}, "placeholders: must be True or False, not None"),
        ({"default_status": " "}, "default_status: must be text that is not blank"),
        ({"default_status": 5}, "default_status: must be text that is not blank"),
    ],
)
def test_option_of_another_type_is_refused_by_name(option: Any, message: str) -> None:
    with pytest.raises(InvalidPolicy, match=message):
        SegMetrics(**option)


@pytest.mark.parametrize("word", ["", "True", "1", "yes", " true"])
def test_other_word_for_a_flag_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="must be true or false, not"):
        SegMetrics.options["ordered"](word)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (
            {"contact_id": "249", "geo_lat": "45.5"},
            {"contact_id": "249", "geo_lat": "45.5"},
        ),
        ({"tags": "lead; vip"}, {"tags": ["lead", "vip"]}),
        ({"tags": '[{"id": 3}, 4]'}, {"tags": [{"id": 3}, 4]}),
        ({"tags": "[lead"}, {"tags": ["[lead"]}),
        ({"tags": "3"}, {"tags": ["3"]}),
        ({"tags": "[" * 100_000}, {"tags": ["[" * 100_000]}),
        ({"custom_fields": '{"a": 1}'}, {"custom_fields": {"a": 1}}),
        ({"custom_fields": "a=1"}, {"custom_fields": "a=1"}),
        ({"custom_fields": "[1]"}, {"custom_fields": "[1]"}),
        ({"custom_fields.a.b": "1"}, {"custom_fields": {"a.b": "1"}}),
        (
            {"custom_fields.a": "2", "custom_fields": '{"a": 1, "b": 1}'},
            {"custom_fields": {"a": "2", "b": 1}},
        ),
        (
            {"custom_fields.a": "2", "custom_fields": "pro"},
            {"custom_fields": "pro"},
        ),
        ({"custom_fields.": "2"}, {"custom_fields.": "2"}),
    ],
)
def test_cells_of_a_row_become_the_payload(
    cells: dict[str, str], expected: dict[str, Any]
) -> None:
    """Tags are a JSON list or words, custom fields an object or columns."""
    assert expected == SegMetrics().from_row(cells)


def test_change_of_a_response_body_changes_nothing_stored() -> None:
    segmetrics = make_system()
    body = segmetrics.upsert({**JOEY, "tags": ["a"]}, **PLACE).body
    body["contact"]["tags"].clear()

    assert segmetrics.book.get("c-1", scope="a1/i1")["tags"] == ("a",)


def test_dump_loads_into_a_system_with_other_options() -> None:
    segmetrics = make_system(JOEY, {"contact_id": "x", "email": "b@x.org"})
    twin = SegMetrics(rows=segmetrics.book.dump(), match_email=True)

    assert segmetrics.book.dump() == twin.book.dump()
    assert accepted_outcome(twin, {"email": "b@x.org"}).contact.id == "c-2"
