"""SegMetrics beside its documented cases: outcomes, order, races, rows, plans."""

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


def system(*payloads: Any, **options: Any) -> SegMetrics:
    """Make an integration's book of these payloads; ids are c-1 and so on."""
    ids = iter(f"c-{n}" for n in range(1, 10))
    given = {"ids": ids.__next__, "clock": lambda: NOW, **options}
    segmetrics = SegMetrics(**given)
    for payload in payloads:
        assert segmetrics.upsert(payload, **PLACE).status == 200
    return segmetrics


def said(segmetrics: SegMetrics, payload: Any) -> Any:
    """Give the outcome of a payload that is taken."""
    outcome = segmetrics.upsert(payload, **PLACE).outcome
    assert outcome is not None
    return outcome


def at(second: int, **fields: Any) -> dict[str, Any]:
    """Make a payload of this second."""
    return {**JOEY, "last_updated": f"2018-11-28 09:00:{second:02}", **fields}


def test_another_spelling_of_the_id_is_reported() -> None:
    """249 and "249" are one ID; the spelling that came first stays."""
    segmetrics = system(JOEY)

    outcome = said(segmetrics, {**JOEY, "contact_id": "249"})

    assert outcome.unchanged
    assert outcome.contact["contact_id"] == 249
    assert outcome.ignored == {"contact_id": "keep_spelling"}
    assert said(segmetrics, JOEY).ignored == {}


def test_the_email_identifies_nobody_unless_asked() -> None:
    """The contact_id alone is looked up; the email is a field like another."""
    segmetrics = system(JOEY)

    outcome = said(segmetrics, {**JOEY, "contact_id": 250})

    assert outcome.created
    assert len(segmetrics.book.find("email", "JOEY@x.org", scope="a1/i1")) == 2


def test_a_known_email_with_a_new_id_rekeys_the_oldest() -> None:
    """Under ``match_email`` of several contacts with one email the oldest is meant."""
    segmetrics = system(JOEY, {"contact_id": 250, "email": "b@x.org"}, match_email=True)
    said(segmetrics, {"contact_id": 250, "email": "joey@x.org"})

    outcome = said(segmetrics, {"contact_id": 7, "email": "Joey@x.org"})

    assert (outcome.contact.id, outcome.matched_by) == ("c-1", "email")
    assert outcome.also_matched == ("c-2",)
    assert segmetrics.book.find("contact_id", 249, scope="a1/i1") == ()
    (found,) = segmetrics.book.find("contact_id", "7", scope="a1/i1")
    assert found == outcome.contact


def test_the_id_is_asked_before_the_email() -> None:
    """Under ``match_email`` a contact that the email alone finds is reported."""
    segmetrics = system(JOEY, {"contact_id": 1, "email": "b@x.org"}, match_email=True)

    outcome = said(segmetrics, {"contact_id": 1, "email": "joey@x.org"})

    assert (outcome.contact.id, outcome.matched_by) == ("c-2", "contact_id")
    assert outcome.also_matched == ("c-1",)


def test_the_scope_is_readable_and_takes_any_text() -> None:
    """Account and integration are percent-encoded and joined by a slash."""
    segmetrics = system()
    segmetrics.upsert(JOEY, account_id="a b/c", integration_id="ï%")

    assert [c.scope for c in segmetrics.book] == ["a%20b%2Fc/%C3%AF%25"]


@given(st.lists(st.text("a/%2F", min_size=1, max_size=3), min_size=4, max_size=4))
def test_no_two_places_are_one_scope(parts: list[str]) -> None:
    """The same scope means the same account and the same integration."""
    segmetrics = system()
    for account, integration in (parts[:2], parts[2:]):
        segmetrics.upsert(JOEY, account_id=account, integration_id=integration)

    assert (parts[:2] == parts[2:]) == (len(segmetrics.book) == 1)


def test_a_missing_date_of_a_tag_stays_missing() -> None:
    """A date made up now would differ each time, and twice would not be once."""
    segmetrics = system({**JOEY, "tags": [{"id": 3}]})

    assert said(segmetrics, {**JOEY, "tags": [{"id": 3}]}).unchanged
    assert segmetrics.book.get("c-1", scope="a1/i1")["tags"] == ({"id": 3},)


@pytest.mark.parametrize("time", ["2018-02-30 00:00:00", "2018-11-28", "", 7, "\ud800"])
def test_a_time_has_one_layout_and_exists(time: Any) -> None:
    """A time is stored as sent, if it is a real one in the documented layout."""
    for name in ("date_created", "last_updated"):
        response = system().upsert({**JOEY, name: time}, **PLACE)
        (line,) = response.body["errors"]
        assert line.startswith(f"{name}: must be ")
    leap = said(system(), {**JOEY, "date_created": "2020-02-29 23:59:59"})
    assert leap.contact["date_created"] == "2020-02-29 23:59:59"


def test_an_email_is_stored_without_white_space() -> None:
    """Canonical before compare: the raw payload replayed moves nothing."""
    payload = {**JOEY, "email": " Joey@x.org\n"}
    segmetrics = system(payload)

    assert said(segmetrics, payload).unchanged
    assert segmetrics.book.get("c-1", scope="a1/i1")["email"] == "Joey@x.org"


def test_null_status_clears_and_the_default_is_for_creation_alone() -> None:
    """The default is the status of a contact that is created without one."""
    segmetrics = system(JOEY, default_status="active")

    assert segmetrics.book.get("c-1", scope="a1/i1")["status"] == "active"
    assert "status" not in said(segmetrics, {**JOEY, "status": None}).contact
    assert "status" not in said(segmetrics, JOEY).contact


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({"plan": float("nan")}, "must be what JSON can say: "),
        ({"plan": 10**5000}, "must be what JSON can say: "),
        ({7: "x"}, "must be what JSON can say: "),
        ({"plan": "\ud800"}, "must be what JSON can say: "),
        ("pro", "must be an object of names and values"),
    ],
)
def test_custom_fields_hold_what_json_can_say(value: Any, what: str) -> None:
    """A line says what would be right, and holds nothing that was sent."""
    segmetrics = system(custom_fields=True)
    response = segmetrics.upsert({**JOEY, "custom_fields": value}, **PLACE)

    assert response.status == 400
    (line,) = response.body["errors"]
    assert line.startswith(f"custom_fields: {what}")
    assert response.reason == line


def test_a_stored_value_that_cannot_be_merged_is_an_offending_field() -> None:
    """Rows from elsewhere may hold what the profile would not have taken."""
    (row,) = system(JOEY).book.dump()
    row["fields"]["custom_fields"] = "pro"
    segmetrics = system(rows=[row], custom_fields=True)

    response = segmetrics.upsert({**JOEY, "custom_fields": {"a": 1}}, **PLACE)

    assert response.status == 400
    assert response.body["errors"][0].startswith("custom_fields: ")


def test_whatever_else_is_refused_is_an_error() -> None:
    """A refusal of the core without words of its own holds no values."""
    assert module._reject(CreateRefused()).body == {
        "status": "error",
        "errors": ["contact: is refused"],
    }


def test_a_stale_payload_is_reported_field_by_field() -> None:
    """Under ``ordered`` what is older is answered with the contact, and said so."""
    segmetrics = system(at(2, first_name="New"), ordered=True)
    state = segmetrics.book.dump()

    response = segmetrics.upsert(at(1, first_name="Old", tags=[1]), **PLACE)

    assert (response.status, response.reason) == (200, "")
    assert response.body["contact"]["first_name"] == "New"
    assert response.outcome is not None
    assert response.outcome.unchanged
    assert response.outcome.contact is response.outcome.before
    names = ("contact_id", "email", "last_updated", "first_name", "tags")
    assert response.outcome.ignored == dict.fromkeys(names, "stale")
    assert response.outcome.changes == ()
    assert state == segmetrics.book.dump()


def test_what_is_not_older_is_applied() -> None:
    """The same second is not older, and neither is a payload without a time."""
    segmetrics = system(at(2), ordered=True)

    assert said(segmetrics, at(2, first_name="A")).updated
    assert said(segmetrics, at(2, first_name="A")).unchanged
    assert said(segmetrics, {**JOEY, "first_name": "B"}).updated
    assert said(segmetrics, at(3)).updated
    assert said(segmetrics, {**JOEY, "last_updated": None}).updated
    assert said(segmetrics, at(1)).updated


def test_order_is_an_option() -> None:
    """Unless asked, what is sent last is stored."""
    assert said(system(at(2)), at(1)).updated


def test_a_stale_email_rekeys_nobody() -> None:
    """Under both options a stale payload gives no contact a new contact_id."""
    segmetrics = system(at(2), ordered=True, match_email=True)

    outcome = said(segmetrics, at(1, contact_id=7))

    assert outcome.unchanged
    assert outcome.contact["contact_id"] == 249
    assert segmetrics.book.find("contact_id", 7, scope="a1/i1") == ()


def test_stored_times_of_another_kind_are_not_compared() -> None:
    """Rows from elsewhere may hold a time that is no text."""
    (row,) = system(JOEY).book.dump()
    fields = {**JOEY, "last_updated": 1543397322}
    segmetrics = system(rows=[{**row, "fields": fields}], ordered=True)

    assert said(segmetrics, at(1)).updated


def test_a_plan_is_what_upsert_would_do() -> None:
    """A plan decides as ``upsert`` does, stale payloads included, and does nothing."""
    segmetrics = system(at(2), ordered=True)
    before = segmetrics.book.dump()

    stale = segmetrics.plan(at(1, first_name="Old", email="b@x.org"), **PLACE)
    assert stale.unchanged
    assert (stale.after, stale.changes) == (
        segmetrics.book.get("c-1", scope="a1/i1").fields,
        (),
    )
    assert stale.forms == (("249",), ("joey@x.org",))
    assert segmetrics.plan(at(3), **PLACE).updated
    assert segmetrics.plan({**JOEY, "contact_id": 1}, **PLACE).created
    assert before == segmetrics.book.dump()
    with pytest.raises(Rejected) as raised:
        segmetrics.plan({}, **PLACE)
    assert segmetrics.upsert({}, **PLACE).body == raised.value.body


def test_a_newer_payload_that_comes_between_is_not_undone() -> None:
    """Where a newer call comes between plan and application, the older is stale."""
    late = [at(3, first_name="New")]

    def clock() -> datetime:
        if late:
            assert said(segmetrics, late.pop()).updated
        return NOW

    segmetrics = system(at(1), ordered=True)
    segmetrics = SegMetrics(ordered=True, rows=segmetrics.book.dump(), clock=clock)

    outcome = said(segmetrics, at(2, first_name="Old"))

    assert outcome.unchanged
    assert outcome.contact["first_name"] == "New"
    assert set(outcome.ignored.values()) == {"stale"}


def test_a_contact_that_comes_between_is_not_made_twice() -> None:
    """Two calls that both find nobody make one contact."""
    late = [at(3)]

    def clock() -> datetime:
        if late:
            assert said(segmetrics, late.pop()).created
        return NOW

    segmetrics = SegMetrics(ordered=True, clock=clock)

    assert said(segmetrics, at(2)).unchanged
    assert len(segmetrics.book) == 1


def test_a_host_that_writes_without_end_is_told_so() -> None:
    """A clock that writes to the contact each time ends the call, not the host."""
    seconds = iter(range(2, 10_000))
    busy: list[int] = []

    def clock() -> datetime:
        if not busy:
            busy.append(1)
            said(segmetrics, {**JOEY, "first_name": f"n{next(seconds)}"})
            busy.clear()
        return NOW

    rows = system(at(1)).book.dump()
    segmetrics = SegMetrics(ordered=True, rows=rows, clock=clock)

    with pytest.raises(
        RuntimeError, match="check that ids and clock do not write to the book"
    ):
        segmetrics.upsert(at(2), **PLACE)
    assert (
        segmetrics.book.get("c-1", scope="a1/i1")["last_updated"]
        == at(1)["last_updated"]
    )


def test_the_newest_of_many_threads_stays() -> None:
    """Whatever the order in which payloads arrive, the newest is stored."""
    segmetrics = system(ordered=True)
    payloads = [at(n, first_name=f"n{n}") for n in range(60)]
    random.Random(7).shuffle(payloads)
    failed: list[BaseException] = []

    def work(part: list[dict[str, Any]]) -> None:
        try:
            for payload in part:
                assert segmetrics.upsert(payload, **PLACE).status == 200
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(payloads[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    (contact,) = segmetrics.book
    assert contact["first_name"] == "n59"
    assert contact["last_updated"] == at(59)["last_updated"]


@given(st.permutations(range(5)))
def test_the_order_of_arrival_does_not_count(order: list[int]) -> None:
    """Under ``ordered`` payloads of the same fields end in one state in any order."""
    segmetrics = system(*[at(n, first_name=f"n{n}") for n in order], ordered=True)

    assert segmetrics.book.get("c-1", scope="a1/i1")["first_name"] == "n4"


@pytest.mark.parametrize(("word", "flag"), [("true", True), ("false", False)])
def test_options_can_be_said_in_a_word(word: str, flag: bool) -> None:  # noqa: FBT001 - the two flags are the table
    """All but the status are said as true or false."""
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
def test_an_option_of_another_kind_is_refused(option: Any, message: str) -> None:
    """The message names the option."""
    with pytest.raises(InvalidPolicy, match=message):
        SegMetrics(**option)


@pytest.mark.parametrize("word", ["", "True", "1", "yes", " true"])
def test_no_other_word_is_an_option(word: str) -> None:
    """A word that could be misread is refused."""
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
def test_a_row_is_a_payload(cells: dict[str, str], expected: dict[str, Any]) -> None:
    """Tags are a JSON list or words, custom fields an object or columns."""
    assert expected == SegMetrics().from_row(cells)


def test_the_answer_is_the_callers_own() -> None:
    """Changing an answer changes nothing that is stored."""
    segmetrics = system()
    body = segmetrics.upsert({**JOEY, "tags": ["a"]}, **PLACE).body
    body["contact"]["tags"].clear()

    assert segmetrics.book.get("c-1", scope="a1/i1")["tags"] == ("a",)


def test_rows_come_back() -> None:
    """A profile goes on from the rows of another one, whatever its options."""
    segmetrics = system(JOEY, {"contact_id": "x", "email": "b@x.org"})
    twin = SegMetrics(rows=segmetrics.book.dump(), match_email=True)

    assert segmetrics.book.dump() == twin.book.dump()
    assert said(twin, {"email": "b@x.org"}).contact.id == "c-2"
