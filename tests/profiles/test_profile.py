"""The parts that profiles share, and three systems under invalid payloads."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upsertcore import normalize, profiles
from upsertcore.errors import NoMatchKey, Refused
from upsertcore.profiles.anduin import Anduin
from upsertcore.profiles.payload import display_name, email_address, split_fields
from upsertcore.profiles.profile import Rejected, Response, respond, translate_refusals
from upsertcore.profiles.salesforceiq import SalesforceIQ
from upsertcore.profiles.segmetrics import SegMetrics
from upsertcore.profiles.text_cells import parse_list, split_words
from upsertcore.values import empty, freeze

SYSTEMS: dict[str, Callable[..., Any]] = {
    "Anduin": Anduin,
    "SalesforceIQ": SalesforceIQ,
    "SegMetrics": lambda **options: SegMetrics(
        custom_fields=True, default_status="active", **options
    ),
    "SegMetrics by email, in order": lambda **options: SegMetrics(
        match_email=True, ordered=True, custom_fields=True, **options
    ),
}
PATHS: dict[str, dict[str, Any]] = {
    "Anduin": {"firm_id": "f1"},
    "SalesforceIQ": {"_upsert": "email", "organisation": "o1"},
    "SegMetrics": {"account_id": "a1", "integration_id": "i1"},
    "SegMetrics by email, in order": {"account_id": "a1", "integration_id": "i1"},
}
SEGMETRICS = {
    "contact_id": 249,
    "email": "joey@x.org",
    "tags": [{"id": 3, "name": "New Lead", "date": "2018-10-02 16:15:00"}],
    "last_updated": "2018-11-28 09:28:42",
    "custom_fields": {"plan": {"name": "pro"}},
}
GOOD: dict[str, dict[str, Any]] = {
    "Anduin": {
        "trackingId": "T1",
        "email": "ada@x.org",
        "firstName": "Ada",
        "lastName": "King",
    },
    "SalesforceIQ": {
        "id": "56e9",
        "properties": {
            "email": [{"value": "ray@x.org", "metadata": {"primary": "true"}}],
            "phone": [{"value": "+1 415-487-3698", "metadata": {"stype": "work"}}],
            "name": [{"value": "Ray", "metadata": {}}],
        },
    },
    "SegMetrics": SEGMETRICS,
    "SegMetrics by email, in order": SEGMETRICS,
}


def nested(wrap: Callable[[Any], Any]) -> Any:
    """Make a value that nests ten thousand deep."""
    value: Any = "x"
    for _ in range(10_000):
        value = wrap(value)
    return value


JUNK: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "minus": -1,
    "float": 1.5,
    "nan": float("nan"),
    "infinite": float("inf"),
    "5000 digits": 10**5000,
    "blank": "",
    "space": " ",
    "text": "text",
    "NUL": "a\0b@x.org",
    "lone surrogate": "\ud800",
    "a megabyte": "x" * 1_000_000,
    "an address of a megabyte": "x" * 1_000_000 + "@x.org",
    "empty list": [],
    "empty object": {},
    "list": [None, 1],
    "list of lists": [[["a"]]],
    "object": {"a": None},
    "deep list": nested(lambda value: [value]),
    "deep object": nested(lambda value: {"a": value}),
    "name that is a number": {7: 1},
    "name that is null": {None: "x"},
    "name that is no Unicode": {"\ud800": 1},
    "bytes": b"ada@x.org",
    "set": {"ada@x.org"},
    "something else": object(),
}
NAMES: dict[str, Any] = {
    name: junk for name, junk in JUNK.items() if junk.__hash__ is not None
}

Place = tuple[str | int, ...]
PLACES: dict[str, list[Place]] = {
    "Anduin": [(name,) for name in Anduin().policy.fields],
    "SalesforceIQ": [
        ("id",),
        ("properties",),
        *[("properties", name) for name in ("email", "phone", "name", "id", " ")],
        *[("properties", name, 0) for name in ("email", "phone", "name")],
        *[("properties", name, 0, "value") for name in ("email", "phone", "name")],
        *[("properties", name, 0, "metadata") for name in ("email", "phone")],
        ("properties", "email", 0, "type"),
        ("properties", "email", 0, "metadata", "primary"),
        ("properties", "phone", 0, "metadata", "raw_val"),
    ],
    "SegMetrics": [
        *[(name,) for name in SYSTEMS["SegMetrics"]().policy.fields],
        ("tags", 0),
        *[("tags", 0, part) for part in ("id", "name", "date", "colour")],
        ("custom_fields", "plan"),
        ("custom_fields", "plan", "name"),
    ],
}
HOLDERS: dict[str, list[Place]] = {
    "Anduin": [()],
    "SalesforceIQ": [
        (),
        ("properties",),
        ("properties", "email", 0),
        ("properties", "email", 0, "metadata"),
    ],
    "SegMetrics": [(), ("tags", 0), ("custom_fields",), ("custom_fields", "plan")],
}


def system_places(places: dict[str, list[Place]]) -> list[Any]:
    """List system and place, each with a readable name."""
    return [
        pytest.param(system, place, id=f"{system}: {'.'.join(map(str, place)) or '.'}")
        for system, places_of_system in places.items()
        for place in places_of_system
    ]


def replaced(payload: Any, place: Place, value: Any) -> Any:
    """Return a payload with another value at a place."""
    if not place:
        return value
    copied = copy.deepcopy(payload)
    parent = copied
    for step in place[:-1]:
        parent = parent[step]
    parent[place[-1]] = value
    return copied


def value_at(payload: Any, place: Place) -> Any:
    """Return the value at a place."""
    for step in place:
        payload = payload[step]
    return payload


def check_response(name: str, payload: Any, path: dict[str, Any]) -> None:
    """Check that a payload is refused without a change, or accepted and stable."""
    system = SYSTEMS[name]()
    system.upsert(GOOD[name], **PATHS[name])
    before = system.book.dump()

    response = system.upsert(payload, **path)

    json.dumps(response.body, allow_nan=False).encode()
    if response.outcome is None:
        assert response.status in {400, 422}
        assert response.reason
        assert len(response.reason) < 500
        assert before == system.book.dump()
        with pytest.raises(Rejected) as rejected:
            system.plan(payload, **path)
        assert response.body == rejected.value.body
        return
    assert response.status == 200
    state = system.book.dump()
    assert state == system.book.load(system.policy, state).dump()
    repeated = system.upsert(payload, **path)
    assert repeated.outcome.unchanged
    assert system.plan(payload, **path).unchanged
    assert state == system.book.dump()
    first, second = dict(response.body), dict(repeated.body)
    if name == "Anduin":
        assert second.pop("result") == "updated"
        first.pop("result")
    assert first == second


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize(
    ("system", "place"),
    [*system_places(PLACES), *system_places({name: [()] for name in SYSTEMS})],
)
def test_invalid_value_at_any_place_does_not_raise(
    system: str, place: Place, junk: str
) -> None:
    check_response(system, replaced(GOOD[system], place, JUNK[junk]), PATHS[system])


@pytest.mark.parametrize("junk", NAMES)
@pytest.mark.parametrize(("system", "place"), system_places(HOLDERS))
def test_invalid_name_at_any_place_does_not_raise(
    system: str, place: Place, junk: str
) -> None:
    """A name may be any value with a hash."""
    value = {NAMES[junk]: "x", **value_at(GOOD[system], place)}
    check_response(system, replaced(GOOD[system], place, value), PATHS[system])


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize(
    ("system", "name"), [(system, name) for system, p in PATHS.items() for name in p]
)
def test_invalid_path_parameter_does_not_raise(
    system: str, name: str, junk: str
) -> None:
    check_response(system, GOOD[system], {**PATHS[system], name: JUNK[junk]})


@pytest.mark.parametrize(("system", "place"), system_places(PLACES))
@pytest.mark.parametrize(
    "secret", ["Secret", ["Secret"], {"a": "Secret\ud800"}, [{"Secret": 1, 7: 1}]]
)
def test_reason_of_a_refusal_holds_no_values(
    system: str, place: Place, secret: Any
) -> None:
    """Rejections can be counted by their reason."""
    payload = replaced(GOOD[system], place, secret)

    response = SYSTEMS[system]().upsert(payload, **PATHS[system])

    assert "Secret" not in response.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["id", "name", "a"]), inner, max_size=2)
    ),
    max_leaves=4,
)
MAILS = st.sampled_from(["ada@x.org", "ADA@x.org ", "bob@x.org", "", "ada"])
ITEMS = st.lists(
    st.fixed_dictionaries(
        {"value": MAILS | st.sampled_from(["+1 415-487-3698", "12"])},
        optional={"metadata": st.dictionaries(st.sampled_from("ab"), JSON, max_size=1)},
    ),
    max_size=3,
)
TIMES = st.sampled_from(["2018-11-28 09:28:42", "2018-11-28 09:28:43"])
SEGMETRICS_PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "contact_id": st.sampled_from([1, "1", "2"]),
        "email": MAILS,
        "first_name": st.text(max_size=2) | JSON,
        "tags": st.lists(st.sampled_from([1, "1", "a"]) | JSON, max_size=2),
        "custom_fields": st.dictionaries(st.sampled_from("ab"), JSON, max_size=2),
        "last_updated": TIMES | st.none(),
        "status": st.none() | st.sampled_from(["active", "gone"]),
    },
)
PAYLOADS: dict[str, st.SearchStrategy[Any]] = {
    "Anduin": st.fixed_dictionaries(
        {},
        optional={
            "trackingId": st.sampled_from(["T1", "T2", ""]),
            "email": MAILS,
            "firstName": st.sampled_from(["Ada", "Bob", ""]),
            "lastName": st.just("King"),
            "note": st.text(max_size=2) | JSON,
        },
    ),
    "SalesforceIQ": st.fixed_dictionaries(
        {
            "properties": st.dictionaries(
                st.sampled_from(["email", "phone", "name"]), ITEMS
            )
        },
        optional={"id": st.text(max_size=2)},
    ),
    "SegMetrics": SEGMETRICS_PAYLOADS,
    "SegMetrics by email, in order": SEGMETRICS_PAYLOADS,
}


@pytest.mark.parametrize("name", SYSTEMS)
@settings(max_examples=40)
@given(data=st.data())
def test_second_upsert_in_any_state_is_unchanged(
    name: str, data: st.DataObject
) -> None:
    system = SYSTEMS[name]()
    for payload in data.draw(st.lists(PAYLOADS[name], max_size=4)):
        first = system.upsert(payload, **PATHS[name])
        state = system.book.dump()
        second = system.upsert(payload, **PATHS[name])
        assert first.status == second.status
        assert state == system.book.dump()
        if second.outcome is not None:
            assert second.outcome.unchanged
            assert first.outcome.contact == second.outcome.contact


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_field_of_a_payload_is_stored_or_named_as_ignored(name: str) -> None:
    system = SYSTEMS[name]()
    outcome = system.upsert(GOOD[name], **PATHS[name]).outcome

    for field in system.parse(GOOD[name]):
        assert field in outcome.contact or field in outcome.ignored


@pytest.mark.parametrize("name", SYSTEMS)
def test_path_has_the_keyword_parameters_of_upsert_and_plan(name: str) -> None:
    system = SYSTEMS[name]()
    for call in (system.upsert, system.plan):
        _payload, *parameters = inspect.signature(call).parameters.values()
        assert system.path == tuple(parameter.name for parameter in parameters)
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)


@pytest.mark.parametrize("name", SYSTEMS)
def test_exception_of_a_host_function_passes_without_a_change(name: str) -> None:
    def failing_clock() -> Any:
        raise LookupError("the host's own")

    system = SYSTEMS[name](clock=failing_clock)
    with pytest.raises(LookupError, match="the host's own"):
        system.upsert(GOOD[name], **PATHS[name])
    assert len(system.book) == 0


REFUSED = Rejected(400, {"message": "no"}, "no")


def failing_decision(error: Exception) -> Callable[[], Any]:
    """Make a decision that raises."""

    def decide() -> Any:
        raise error

    return decide


def render_nothing(_outcome: Any) -> dict[str, Any]:
    """Render an empty body."""
    return {}


def test_rejection_becomes_a_response() -> None:
    """With its status, body and reason."""
    response = respond(
        failing_decision(REFUSED), render_nothing, lambda _refusal: Rejected(1, {}, "")
    )

    assert Response(400, {"message": "no"}, None, "no") == response


def test_refusal_of_the_core_is_translated_and_kept_as_cause() -> None:
    refusal = NoMatchKey(("email",))
    response = respond(
        failing_decision(refusal), render_nothing, lambda _refusal: REFUSED
    )
    assert response.reason == "no"
    with pytest.raises(Rejected) as raised:
        translate_refusals(lambda _refusal: REFUSED, failing_decision(refusal))
    assert raised.value is REFUSED
    assert raised.value.__cause__ is refusal


def test_accepted_outcome_is_rendered_with_the_given_status() -> None:
    outcome: Any = object()
    response = respond(lambda: outcome, lambda _o: {"ok": 1}, lambda _r: REFUSED, 201)

    assert Response(201, {"ok": 1}, outcome) == response


def test_exception_that_is_no_refusal_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        translate_refusals(lambda _refusal: REFUSED, lambda: 1 // 0)


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, lambda error: pickle.loads(pickle.dumps(error))],  # noqa: S301 - pickled here
)
def test_rejection_can_be_copied_and_pickled(duplicate: Callable[[Any], Any]) -> None:
    twin = duplicate(REFUSED)

    assert issubclass(type(twin), Refused)
    assert (twin.status, twin.body, twin.reason) == (400, {"message": "no"}, "no")
    assert str(twin) == "400 no"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("first_name", "first_name"),
        ("x" * 60, "x" * 60),
        ("", "''"),
        ("a\nb", r"'a\nb'"),
        ("\ud800", r"'\ud800'"),
        (None, "None"),
        (7, "7"),
    ],
)
def test_display_name_quotes_what_cannot_be_printed(name: Any, expected: str) -> None:
    assert expected == display_name(name)


def test_display_name_of_a_long_name_is_short() -> None:
    assert len(display_name("x" * 1_000_000)) <= 62
    assert len(display_name(10**5000)) <= 62


@pytest.mark.parametrize(
    "value",
    [
        "a@x.org",
        " a@x.org\n",
        "A.b+c@mail.x.org",
        "zoë@exämple.org",
        "o'neil@x.org",
        "x" * 64 + "@x.org",
        "a@" + "x" * 248 + ".org",
    ],
)
def test_valid_email_address_is_stripped(value: str) -> None:
    assert value.strip() == email_address(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "a",
        "@x.org",
        "a@",
        "a@x",
        "a@.org",
        "a@x.",
        "a@x..org",
        "a@b@x.org",
        "a b@x.org",
        "a@x.org, b@x.org",
        "a@x.org,b@x.org",
        "a@x.org;b@x.org",
        "<a@x.org>",
        "mailto:a@x.org",
        '"a b"@x.org',
        "'a@x.org'",
        "a\0@x.org",
        "a@x.o\x85rg",
        "x" * 65 + "@x.org",
        "a@" + "x" * 249 + ".org",
    ],
)
def test_invalid_email_address_is_refused_without_its_value(value: str) -> None:
    with pytest.raises(ValueError, match=r"^must be an email address such as ada@"):
        email_address(value)


@pytest.mark.parametrize(
    "shape", ["{}a@x.org", "a{}a@x.org", "a{}@x.org", "{}@x.org", "a@{}x.org"]
)
def test_ascii_email_address_that_is_accepted_has_a_normal_form(shape: str) -> None:
    """Each character at each place: an address without a form would never match."""
    accepted = []
    for character in map(chr, range(128)):
        try:
            accepted.append(email_address(shape.format(character)))
        except ValueError:
            continue

    assert len(accepted) > 60
    assert None not in map(normalize.email, accepted)


@given(st.from_regex(r"\A\s?[^@]{1,3}@[^@]{1,4}\.[^@]{1,3}\s?\Z"))
def test_accepted_email_address_has_a_normal_form_and_is_stable(value: str) -> None:
    try:
        address = email_address(value)
    except ValueError:
        return
    assert normalize.email(address) is not None
    assert address == email_address(address)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("lead", ["lead"]),
        ("lead; vip", ["lead", "vip"]),
        ("lead ,vip,", ["lead", "vip"]),
        ("King, Ada; Ross, Bob", ["King, Ada", "Ross, Bob"]),
        ('"VIP","Blog, reader"', ["VIP", "Blog, reader"]),
        ('"a; b", c', ["a; b", "c"]),
        ('"a, b"; c', ["a, b", "c"]),
        ('"say ""hi""",b', ['say "hi"', "b"]),
        ('5" pipe, tube', ['5" pipe', "tube"]),
        ('"open, tube', ['"open', "tube"]),
        ('"two\nlines",b', ["two lines", "b"]),
        ('"' + "x" * 200_000 + '",b', ["x" * 200_000, "b"]),
        (" ; ", []),
        ("", []),
    ],
)
def test_split_words_with_a_semicolon_keeps_commas(
    cell: str, expected: list[str]
) -> None:
    assert expected == split_words(cell)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('["VIP", "x,y"]', ["VIP", "x,y"]),
        ("[3]", [3]),
        ("VIP, x", ["VIP", "x"]),
        ('{"a": 1}', ['{"a": 1}']),
        ("[" * 100_000, ["[" * 100_000]),
    ],
    ids=["text", "number", "words", "object", "deep"],
)
def test_parse_list_reads_json_or_words(cell: str, expected: list[Any]) -> None:
    assert expected == parse_list(cell)


@pytest.mark.parametrize("name", [*SYSTEMS, "LeadConnector"])
def test_clean_of_a_profile_never_returns_null_for_a_value(name: str) -> None:
    """An invalid value is refused, and never cleared without notice."""
    make = SYSTEMS.get(name, profiles.LeadConnector)
    cleans = [
        field.clean
        for field in make().policy.fields.values()
        if field.clean is not None
    ]
    for junk in JUNK.values():
        for clean in cleans:
            try:
                value = freeze(junk)
                assert empty(value) or clean(value) is not None
            except ValueError:
                continue


def test_split_fields_separates_invalid_and_repeated_names() -> None:
    """A field name is text and occurs once."""

    class EqualText(str):
        """Text with its own hash, so that a dict holds it beside equal text."""

        __slots__ = ()
        __eq__ = object.__eq__
        __hash__ = object.__hash__

    repeated = EqualText("a")
    fields, invalid = split_fields({"a": 1, repeated: 2, 7: 3, "\ud800": 4, None: 5})

    assert fields == {"a": 1}
    assert [repeated, 7, "\ud800", None] == invalid
    for name, make in SYSTEMS.items():
        payload = {**GOOD[name], EqualText(next(iter(GOOD[name]))): "x"}
        assert make().upsert(payload, **PATHS[name]).status in {400, 422}


class UnhashableName(dict[Any, Any]):
    """A mapping that lists a name which no dict could hold."""

    def items(self) -> Any:
        """Return a list as one of the names."""
        return [*super().items(), ([], "x")]


@pytest.mark.parametrize(("system", "place"), system_places(HOLDERS))
def test_name_without_a_hash_does_not_raise(system: str, place: Place) -> None:
    """A mapping of the application may list any names."""
    check_response(
        system,
        replaced(GOOD[system], place, UnhashableName(value_at(GOOD[system], place))),
        PATHS[system],
    )


def test_every_system_has_the_type_of_a_profile() -> None:
    """The command line relies on it."""
    systems: list[profiles.Profile] = [
        profiles.Anduin(),
        profiles.LeadConnector(),
        profiles.SalesforceIQ(),
        profiles.SegMetrics(),
    ]

    assert [type(system).__name__ for system in systems] == sorted(profiles.BY_NAME)


@pytest.mark.parametrize("name", profiles.BY_NAME)
def test_policy_of_a_profile_is_read_only(name: str) -> None:
    system = getattr(profiles, name)()
    before = system.policy
    with pytest.raises(AttributeError):
        system.policy = None

    assert system.policy is before is system.book.policy
