"""What the profiles share; and what each of three systems does with bad input."""

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
    "SegMetrics": lambda **given: SegMetrics(
        custom_fields=True, default_status="active", **given
    ),
    "SegMetrics by email, in order": lambda **given: SegMetrics(
        match_email=True, ordered=True, custom_fields=True, **given
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


def nested(make: Callable[[Any], Any]) -> Any:
    """Make what nests ten thousand deep."""
    value: Any = "x"
    for _ in range(10_000):
        value = make(value)
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


def pairs(places: dict[str, list[Place]]) -> list[Any]:
    """List system and place, each with a readable name."""
    return [
        pytest.param(system, place, id=f"{system}: {'.'.join(map(str, place)) or '.'}")
        for system, each in places.items()
        for place in each
    ]


def put(payload: Any, place: Place, value: Any) -> Any:
    """Make a payload with another value at a place."""
    if not place:
        return value
    changed = copy.deepcopy(payload)
    below = changed
    for step in place[:-1]:
        below = below[step]
    below[place[-1]] = value
    return changed


def look(payload: Any, place: Place) -> Any:
    """Give what stands at a place."""
    for step in place:
        payload = payload[step]
    return payload


def judge(name: str, payload: Any, path: dict[str, Any]) -> None:
    """See that a payload is refused whole, or taken as it should be."""
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
    again = system.upsert(payload, **path)
    assert again.outcome.unchanged
    assert system.plan(payload, **path).unchanged
    assert state == system.book.dump()
    first, second = dict(response.body), dict(again.body)
    if name == "Anduin":
        assert second.pop("result") == "updated"
        first.pop("result")
    assert first == second


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize(
    ("system", "place"), [*pairs(PLACES), *pairs({name: [()] for name in SYSTEMS})]
)
def test_a_bad_value_anywhere_never_raises(
    system: str, place: Place, junk: str
) -> None:
    """A payload is refused and the book unchanged, or taken, and twice is once."""
    judge(system, put(GOOD[system], place, JUNK[junk]), PATHS[system])


@pytest.mark.parametrize("junk", NAMES)
@pytest.mark.parametrize(("system", "place"), pairs(HOLDERS))
def test_a_bad_name_anywhere_never_raises(system: str, place: Place, junk: str) -> None:
    """A name may be anything that Python can hold: refused, or taken."""
    value = {NAMES[junk]: "x", **look(GOOD[system], place)}
    judge(system, put(GOOD[system], place, value), PATHS[system])


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize(
    ("system", "name"), [(system, name) for system, p in PATHS.items() for name in p]
)
def test_a_bad_path_never_raises(system: str, name: str, junk: str) -> None:
    """A parameter of the path or query may be anything: refused, or taken."""
    judge(system, GOOD[system], {**PATHS[system], name: JUNK[junk]})


@pytest.mark.parametrize(("system", "place"), pairs(PLACES))
@pytest.mark.parametrize(
    "secret", ["Secret", ["Secret"], {"a": "Secret\ud800"}, [{"Secret": 1, 7: 1}]]
)
def test_a_reason_holds_no_values(system: str, place: Place, secret: Any) -> None:
    """Rejections can be counted by their reason: no value that was sent is in it."""
    payload = put(GOOD[system], place, secret)

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
def test_twice_is_once_in_every_state(name: str, data: st.DataObject) -> None:
    """Whatever came before, a payload that is taken is unchanged when sent again."""
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
def test_every_sent_field_is_stored_or_named(name: str) -> None:
    """Nothing is dropped silently: what is not stored stands in the outcome."""
    system = SYSTEMS[name]()
    outcome = system.upsert(GOOD[name], **PATHS[name]).outcome

    for field in system.parse(GOOD[name]):
        assert field in outcome.contact or field in outcome.ignored


@pytest.mark.parametrize("name", SYSTEMS)
def test_path_names_the_parameters(name: str) -> None:
    """``path`` names the keyword parameters of ``upsert`` and of ``plan``."""
    system = SYSTEMS[name]()
    for call in (system.upsert, system.plan):
        _payload, *parameters = inspect.signature(call).parameters.values()
        assert system.path == tuple(each.name for each in parameters)
        assert all(each.kind is each.KEYWORD_ONLY for each in parameters)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_failing_host_is_no_bad_input(name: str) -> None:
    """What a host's own function raises passes, and the book is as it was."""

    def broken() -> Any:
        raise LookupError("the host's own")

    system = SYSTEMS[name](clock=broken)
    with pytest.raises(LookupError, match="the host's own"):
        system.upsert(GOOD[name], **PATHS[name])
    assert len(system.book) == 0


REFUSED = Rejected(400, {"message": "no"}, "no")


def refuse(error: Exception) -> Callable[[], Any]:
    """Make a decision that raises."""

    def decide() -> Any:
        raise error

    return decide


def blank(_outcome: Any) -> dict[str, Any]:
    """Render nothing."""
    return {}


def test_a_rejection_is_answered() -> None:
    """A rejection becomes an answer with its status, body and reason."""
    response = respond(refuse(REFUSED), blank, lambda _refusal: Rejected(1, {}, ""))

    assert Response(400, {"message": "no"}, None, "no") == response


def test_a_refusal_of_the_core_is_said_in_the_words_of_the_system() -> None:
    """Whatever else is refused goes through ``reject``, and keeps its cause."""
    refusal = NoMatchKey(("email",))
    response = respond(refuse(refusal), blank, lambda _refusal: REFUSED)
    assert response.reason == "no"
    with pytest.raises(Rejected) as raised:
        translate_refusals(lambda _refusal: REFUSED, refuse(refusal))
    assert raised.value is REFUSED
    assert raised.value.__cause__ is refusal


def test_an_answer_has_the_status_of_the_system() -> None:
    """A good answer is rendered, with the status that was asked for."""
    outcome: Any = object()
    response = respond(lambda: outcome, lambda _o: {"ok": 1}, lambda _r: REFUSED, 201)

    assert Response(201, {"ok": 1}, outcome) == response


def test_other_errors_pass() -> None:
    """What is no refusal is nobody's bad input."""
    with pytest.raises(ZeroDivisionError):
        translate_refusals(lambda _refusal: REFUSED, lambda: 1 // 0)


@pytest.mark.parametrize("other", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])  # noqa: S301 - our own
def test_a_rejection_copies_and_pickles(other: Callable[[Any], Any]) -> None:
    """A rejection is a refusal that can be sent elsewhere whole."""
    twin = other(REFUSED)

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
def test_named(name: Any, expected: str) -> None:
    """A name is shown as it is where it can be printed, else as Python writes it."""
    assert expected == display_name(name)


def test_named_is_short() -> None:
    """A megabyte of a name is no megabyte of a message."""
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
def test_an_email_address(value: str) -> None:
    """What looks like an address is taken without the white space around it."""
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
def test_no_email_address(value: str) -> None:
    """What does not look like an address is refused, in words without it."""
    with pytest.raises(ValueError, match=r"^must be an email address such as ada@"):
        email_address(value)


@given(st.from_regex(r"\A\s?[^@]{1,3}@[^@]{1,4}\.[^@]{1,3}\s?\Z"))
def test_an_address_has_a_normal_form(value: str) -> None:
    """Whatever is taken can be looked up, and is taken again as it is."""
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
def test_words(cell: str, expected: list[str]) -> None:
    """A semicolon anywhere makes commas a part of the words."""
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
def test_a_cell_lists_json_or_words(cell: str, expected: list[Any]) -> None:
    """A JSON list is taken as it is."""
    assert expected == parse_list(cell)


@pytest.mark.parametrize("name", [*SYSTEMS, "LeadConnector"])
def test_no_clean_makes_null_of_a_value(name: str) -> None:
    """A value that is none of the field is refused, and never cleared in silence."""
    make = SYSTEMS.get(name, profiles.LeadConnector)
    cleans = [
        line.clean for line in make().policy.fields.values() if line.clean is not None
    ]
    for junk in JUNK.values():
        for clean in cleans:
            try:
                value = freeze(junk)
                assert empty(value) or clean(value) is not None
            except ValueError:
                continue


def test_names_that_are_no_fields_are_kept_apart() -> None:
    """A name is text and occurs once; every other one is for the refusal."""

    class Alike(str):
        """Text whose hash is its own, so that a dict takes it beside plain text."""

        __slots__ = ()
        __eq__ = object.__eq__
        __hash__ = object.__hash__

    again = Alike("a")
    fields, odd = split_fields({"a": 1, again: 2, 7: 3, "\ud800": 4, None: 5})

    assert fields == {"a": 1}
    assert [again, 7, "\ud800", None] == odd
    for name, make in SYSTEMS.items():
        payload = {**GOOD[name], Alike(next(iter(GOOD[name]))): "x"}
        assert make().upsert(payload, **PATHS[name]).status in {400, 422}


class Keyless(dict[Any, Any]):
    """A mapping that lists a name which no dict could hold."""

    def items(self) -> Any:
        """List a list as a name."""
        return [*super().items(), ([], "x")]


@pytest.mark.parametrize(("system", "place"), pairs(HOLDERS))
def test_a_name_without_a_hash_never_raises(system: str, place: Place) -> None:
    """A mapping of the application's own may list anything as a name."""
    judge(
        system,
        put(GOOD[system], place, Keyless(look(GOOD[system], place))),
        PATHS[system],
    )


def test_every_system_is_a_profile() -> None:
    """What the command line relies on is there, in types too."""
    systems: list[profiles.Profile] = [
        profiles.Anduin(),
        profiles.LeadConnector(),
        profiles.SalesforceIQ(),
        profiles.SegMetrics(),
    ]

    assert [type(each).__name__ for each in systems] == sorted(profiles.BY_NAME)


@pytest.mark.parametrize("name", profiles.BY_NAME)
def test_the_policy_of_a_profile_cannot_be_set(name: str) -> None:
    """Another one would be shown, and not be followed."""
    made = getattr(profiles, name)()
    before = made.policy
    with pytest.raises(AttributeError):
        made.policy = None

    assert made.policy is before is made.book.policy
