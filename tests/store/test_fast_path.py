"""The fast path: it equals the general path, or leaves the call to it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

import pytest

from tests.field_options import blocking
from upsertcore import (
    ContactBook,
    Policy,
    Rule,
    Withheld,
    all_agree,
    errors,
    field,
    first_match,
    first_present,
    key,
    merge_all,
    normalize,
)
from upsertcore.engine.outcome import outcome_from_record, result_of_record
from upsertcore.rules import custom, deep, ignore, keep, latest, on_create, union
from upsertcore.store.ids import IdInUse
from upsertcore.store.policy_constants import ATTEMPTS
from upsertcore.store.transaction import Remainder
from upsertcore.values import MAX_FIELDS


def title_case(value: Any) -> Any:
    """Return a name in title case; refuse 1, and make a dash blank."""
    if isinstance(value, str):
        return "" if value == "-" else value.title()
    if value == 1:
        raise ValueError("must be a name")
    return value


LINES: dict[str, Any] = {
    "email": field(key=normalize.email, unique=True),
    "phone": field(key=normalize.phone),
    "code": field(key=normalize.exact),
    "name": field(),
    "city": field(),
}
POLICY = Policy(first_match("email", "phone"), LINES)
ADA = {"email": "ada@x.org", "phone": "+15550001", "name": "Ada"}
BOB = {"email": "bob@x.org", "phone": "+15550002", "code": "b"}
NOW = datetime(2024, 1, 2, tzinfo=UTC)


def make_book(
    policy: Policy = POLICY, *, fast: bool = True, **options: Any
) -> ContactBook:
    """Make a book with or without a fast path."""
    ids, hours = count(1), count()
    parts: dict[str, Any] = {
        "ids": lambda: f"c-{next(ids)}",
        "clock": lambda: NOW + timedelta(hours=next(hours)),
    }
    book = ContactBook(policy, **{**parts, **options})
    if not fast:
        book._fast_upsert = book._fast_upsert_many = book._fast_create = None
    return book


def run(policy: Policy, *patches: Any, fast: bool = True, scope: str = "") -> list[Any]:
    """Send patches to a new book; return the results, rows, forms and changes."""
    book = make_book(policy, fast=fast, retain_changes=None)
    results: list[Any] = []
    for patch in patches:
        try:
            results.append(book.upsert(patch, scope=scope))
        except (errors.Refused, TypeError) as error:
            results.append((type(error), str(error)))
    book._index.check()
    forms = [book._index.get_with_forms(contact.id)[1] for contact in book]
    return [results, book.dump(), forms, book.changes_since()]


PATCH_LISTS: list[list[Any]] = [
    [ADA],
    [ADA, ADA],
    [ADA, {**ADA, "name": "Eve"}],
    [ADA, {"email": "ADA@x.org", "city": "Oslo"}],
    [ADA, {"email": "ada@x.org"}],
    [ADA, {"phone": "+1 555 0001", "email": "new@x.org"}],
    [ADA, {**ADA, "phone": "+15550009"}],
    [ADA, {**ADA, "phone": "no number"}],
    [{**ADA, "phone": "no number"}, ADA],
    [{**ADA, "phone": "+44 ( 0)20 7946 0958"}, {"phone": "+4402079460958"}],
    [{**ADA, "phone": "+1.555.000.1"}, {**ADA, "phone": "+15550001.0"}],
    [ADA, BOB, {**ADA, "code": "a"}],
    [ADA, BOB, {**ADA, "code": "b"}],
    [ADA, BOB, {**ADA, "phone": BOB["phone"]}],
    [ADA, BOB, {"phone": ADA["phone"], "email": BOB["email"]}],
    [ADA, BOB, {"phone": ADA["phone"], "code": "b"}],
    [{"phone": "+15550001"}, {"phone": "+15550001", "email": "a@x"}],
    [{"name": "Ada"}, {"code": "a"}, {"email": "nobody"}, {}],
    [ADA, {**ADA, "name": None}],
    [ADA, {**ADA, "name": ""}],
    [ADA, {**ADA, "name": 7}],
    [ADA, {**ADA, "name": "Zo\u00eb"}],
    [ADA, {**ADA, "name": "\ud800"}],
    [ADA, {**ADA, "name": ["a"]}],
    [ADA, {**ADA, "age": "7"}],
    [ADA, [("email", "ada@x.org")]],
    [ADA, {**ADA, "name": "-"}, {**ADA, "name": "ada"}],
    [{**ADA, "name": 1}, {**ADA, "name": True}, {**ADA, "name": 1.0}],
    [{**ADA, "city": ["a"]}, {**ADA, "city": ["a", "b"]}, {**ADA, "city": ("b", "a")}],
    [{**ADA, "city": {"a": [1]}}, {**ADA, "city": {"a": [True]}, "name": {"b": 2}}],
    [{"email": ["a@x", "b@x"], "name": "A"}, {"email": "B@x"}, {"email": ["b@x"]}],
    [{"email": ["a@x", "A@x"]}, {"email": "b@x"}, {"email": ["a@x", "b@x"]}],
    [{"email": ["a@x", "c@x"]}, {"email": ["c@x", "d@x", ""], "phone": 7}],
    [{"code": 7, "email": "a@x"}, {"code": "7", "email": "A@x"}, {"code": 7.5}],
    [{"email": ["nobody", ""]}, {"email": {"a": 1}}, {"name": "x", "email": []}],
    [{"city": "Oslo", "email": "a@x"}, {"name": "A", "email": "a@x", "city": "Rome"}],
    [{"name": {"a": {"b": 1}}, "email": "a@x"}, {"email": "a@x", "name": {"a": {}}}],
    [{"email": "\u00e5sa@x.org"}, {"email": "\u00c5SA@x.org", "name": "A"}],
]
POLICIES = {
    "first_match": POLICY,
    "all_agree": Policy(all_agree("phone", "email"), LINES),
    "one key": Policy(first_match("email"), LINES, on_ambiguous="oldest"),
    "no creation": Policy(first_match("email", "phone"), LINES, on_not_found="refuse"),
    "no update": Policy(first_match("email", "phone"), LINES, on_found="refuse"),
    "ignored update": Policy(first_match("email", "phone"), LINES, on_found="ignore"),
    "restore": Policy(first_match("email"), LINES, on_deleted="restore"),
    "required": Policy(
        first_match("email"),
        {**LINES, "name": field(required=True), "city": field(default="Oslo")},
    ),
    "shared keys": Policy(
        first_match("phone", "email"),
        LINES,
        on_key_in_use="allow",
        on_ambiguous="newest",
    ),
    "no key": Policy(first_match("email"), LINES, on_no_key="create"),
    "first_present": Policy(first_present("email", "phone"), LINES),
    "keep and union": Policy(
        first_match("email", "phone"),
        {**LINES, "name": field(rule=keep), "city": field(rule=union, default=["x"])},
    ),
    "clean": Policy(
        first_match("email"),
        {**LINES, "name": field(clean=title_case), "city": field(rule=on_create)},
    ),
    "kept key": Policy(
        first_match("email", "phone"),
        {**LINES, "email": field(key=normalize.email, rule=keep, unique=True)},
    ),
    "defaults": Policy(
        first_match("email"),
        {
            **LINES,
            "code": field(key=normalize.exact, default="c"),
            "name": field(rule=deep),
        },
    ),
    "guard": Policy(first_match("email", "phone", guard="strict"), LINES),
    "merge_all": Policy(merge_all("email", "phone"), LINES),
    "blocked": Policy(
        first_match("email", "phone"), blocking(LINES, {"email": ("noreply@*",)})
    ),
    "keep_aliases": Policy(
        first_match("email"),
        {**LINES, "email": field(key=normalize.email, keep_aliases=True)},
    ),
    "max_forms": Policy(
        first_match("email"),
        {**LINES, "email": field(key=normalize.email, max_forms=1)},
    ),
    "composite": Policy(
        first_match("email"),
        LINES,
        keys={"who": key("name", "city", normalize=normalize.text, unique=True)},
    ),
    "latest": Policy(
        first_match("email"), {**LINES, "name": field(rule=latest("code"))}
    ),
    "blank": Policy(
        first_match("email"),
        {
            **LINES,
            "name": field(blank="ignore", null="ignore"),
            "city": field(blank="clear"),
        },
    ),
    "withhold": Policy(
        first_match("email", "phone"),
        {**LINES, "code": field(key=normalize.exact, unique=True)},
        on_key_in_use="withhold",
    ),
    "refuse": Policy(
        first_match("email"),
        {**LINES, "phone": field(key=normalize.phone, unique=True)},
    ),
    "open": Policy(first_match("email"), LINES, extra_fields=field(rule=union)),
}


@pytest.mark.parametrize("patches", PATCH_LISTS, ids=map(str, range(len(PATCH_LISTS))))
@pytest.mark.parametrize("name", POLICIES)
def test_fast_path_equals_the_general_path(name: str, patches: list[Any]) -> None:
    """In results, rows, order of names, forms and changes."""
    policy = POLICIES[name]
    assert make_book(policy)._fast_upsert is not None

    assert repr(run(policy, *patches, fast=False)) == repr(run(policy, *patches))


def test_policy_that_drops_keys_over_a_limit_has_no_fast_path() -> None:
    email = field(key=normalize.email, keep_aliases=True, max_forms=1)
    policy = Policy(merge_all("email"), {"email": email}, on_limit="drop")

    assert make_book(policy)._fast_upsert is None


FAST_CASES: list[tuple[list[Any], str]] = [
    ([ADA], "created"),
    ([ADA, ADA], "unchanged"),
    ([ADA, {**ADA, "name": "Eve"}], "updated"),
    ([ADA, {**ADA, "phone": "+15550009"}], "updated"),
    ([ADA, {"email": "ADA@x.org"}], "updated"),
    ([ADA, {**ADA, "name": "Zo\u00eb \U0001f600"}], "updated"),
    ([ADA, {**ADA, "name": ["a", {"b": 7}]}], "updated"),
    ([{**ADA, "name": 1}, {**ADA, "name": True}], "updated"),
    ([{**ADA, "name": [7]}, {**ADA, "name": (7,)}], "unchanged"),
    ([{**ADA, "email": ["a@x", "b@x"]}, {"email": ["b@x", "c@x"]}], "updated"),
]


@pytest.mark.parametrize(("patches", "result"), FAST_CASES, ids=range(10))
def test_common_call_is_decided_by_the_fast_path(
    patches: list[Any], result: str
) -> None:
    book = make_book()
    for patch in patches[:-1]:
        book.upsert(patch)
    fast_upsert: Any = book._fast_upsert
    record = fast_upsert(patches[-1], "")

    assert result == result_of_record(record)


EVE = {"email": "eve@x.org", "phone": "+15550003", "name": "Eve"}
COMMON: list[tuple[str, list[Any], str]] = [
    ("first_match", [ADA, {**ADA, "name": None}], "updated"),
    ("first_match", [ADA, {**ADA, "name": ""}], "updated"),
    ("first_match", [ADA, {**ADA, "phone": None}], "updated"),
    ("blank", [ADA, {**ADA, "name": " ", "city": ""}], "unchanged"),
    ("blank", [{**ADA, "city": "Oslo"}, {**ADA, "name": None, "city": []}], "updated"),
    ("required", [{**ADA, "city": None}], "created"),
    ("keep and union", [ADA, {**ADA, "name": "Eve", "city": ["y"]}], "updated"),
    ("latest", [{**ADA, "code": 1}, {**ADA, "name": "Eve", "code": 2}], "updated"),
    ("latest", [{**ADA, "code": 2}, {**ADA, "name": "Eve", "code": 1}], "updated"),
    ("guard", [ADA, {**ADA, "name": "Eve"}], "updated"),
    ("merge_all", [ADA, {**ADA, "name": "Eve"}], "updated"),
    ("blocked", [{**ADA, "email": "noreply@x.org"}, ADA], "updated"),
    ("keep_aliases", [ADA, {**ADA, "name": "Eve"}], "updated"),
    ("max_forms", [ADA, {**ADA, "name": "Eve"}], "updated"),
    ("composite", [ADA, {**ADA, "city": "Oslo"}], "updated"),
    ("open", [ADA, {**ADA, "age": [7]}], "updated"),
    ("open", [{**ADA, "age": [7]}, {**ADA, "age": None, "name": "Eve"}], "updated"),
]


@pytest.mark.parametrize(("name", "patches", "result"), COMMON, ids=range(len(COMMON)))
def test_common_feature_is_handled_by_the_fast_path(
    name: str, patches: list[Any], result: str
) -> None:
    book = make_book(POLICIES[name])
    for patch in patches[:-1]:
        book.upsert(patch)
    fast_upsert: Any = book._fast_upsert
    record = fast_upsert(patches[-1], "")

    assert result == result_of_record(record)


def test_key_in_use_is_withheld_on_the_fast_path() -> None:
    """Of the strategy, and outside of it; by an update, and by a creation."""
    book = make_book(POLICIES["withhold"])
    fast_upsert: Any = book._fast_upsert
    for patch in ({**ADA, "code": "a"}, {**EVE, "code": "e"}):
        book.upsert(patch)
    sent = {**ADA, "phone": EVE["phone"], "code": "e", "name": "Bo"}
    records = [fast_upsert(sent, ""), fast_upsert({"email": "new@x", "code": "e"}, "")]
    updated, created = [outcome_from_record(record, book.policy) for record in records]

    assert (updated.result, created.result) == ("updated", "created")
    assert updated.withheld == (Withheld("code", "e", "c-2"),)
    assert updated.also_matched == ("c-2",)
    assert updated.contact["phone"] == EVE["phone"]
    assert created.withheld == (Withheld("code", "e", "c-2"),)
    assert created.also_matched == ()
    assert created.contact.fields == {"email": "new@x"}


@pytest.mark.parametrize("email", ["ada@x.org", "new@x.org"])
def test_key_in_use_is_refused_on_the_fast_path(email: str) -> None:
    book = make_book(POLICIES["refuse"])
    book.upsert(ADA)
    book.upsert(EVE)
    fast_upsert: Any = book._fast_upsert
    with pytest.raises(errors.KeyInUse) as caught:
        fast_upsert({"email": email, "phone": EVE["phone"]}, "")

    assert (caught.value.field, caught.value.holder) == ("phone", "c-2")
    assert len(book) == 2


UNCOMMON: list[tuple[str, list[Any]]] = [
    ("first_match", [{"name": "Ada"}]),
    ("all_agree", [ADA, EVE, {**ADA, "phone": EVE["phone"]}]),
    ("shared keys", [ADA, EVE, {**ADA, "phone": EVE["phone"]}]),
    ("no creation", [ADA]),
    ("no update", [ADA, {**ADA, "name": "Eve"}]),
    ("required", [{"email": "ada@x.org"}]),
    ("kept key", [ADA, {**ADA, "email": "new@x.org"}]),
    ("merge_all", [ADA, EVE, {**ADA, "phone": EVE["phone"]}]),
    ("max_forms", [{**ADA, "email": ["a@x", "b@x"]}]),
    ("max_forms", [ADA, {"email": ["ada@x.org", "b@x"]}]),
    (
        "composite",
        [{**ADA, "city": "Oslo"}, EVE, {**EVE, "name": "Ada", "city": "Oslo"}],
    ),
    ("latest", [ADA]),
]


@pytest.mark.parametrize(("name", "patches"), UNCOMMON, ids=range(len(UNCOMMON)))
def test_uncommon_call_is_left_to_the_general_path(
    name: str, patches: list[Any]
) -> None:
    book = make_book(POLICIES[name])
    for patch in patches[:-1]:
        book.upsert(patch)
    fast_upsert: Any = book._fast_upsert

    assert isinstance(fast_upsert(patches[-1], ""), Remainder)
    assert len(patches) - 1 == len(book)


def test_call_that_is_no_dict_or_has_another_scope_is_left() -> None:
    fast_upsert: Any = make_book()._fast_upsert

    assert fast_upsert(None, "") is None
    assert [None] * 2 == [fast_upsert(ADA, scope) for scope in (None, "\u00e9")]


class Text(str):
    """Text of a subclass."""

    __slots__ = ()


def test_names_and_values_of_a_subclass_of_str_are_stored_as_text() -> None:
    """When created and when updated."""
    book = make_book()
    book.upsert({Text("email"): "a@x"})
    book.upsert({"email": "a@x", Text("name"): "Ada"})
    book.upsert({"email": "a@x", "city": Text("Oslo")})

    fields: Any = book.get("c-1").fields
    assert {str} == {type(text) for pair in fields.items() for text in pair}
    assert ["email", "name", "city"] == [*fields]


def counting_calls(calls: Counter[str], name: str, function: Any) -> Callable[..., Any]:
    """Count the calls of a function by its arguments."""

    def call(*values: Any) -> Any:
        calls[" ".join([name, *map(repr, values)])] += 1
        return function(*values)

    return call


def normaliser_calls(patches: list[Any], *, fast: bool) -> list[Counter[str]]:
    """Count the calls of normalisers, for each patch."""
    calls: Counter[str] = Counter()
    lines = {
        **LINES,
        "email": field(
            key=counting_calls(calls, "email", normalize.email), unique=True
        ),
        "phone": field(key=counting_calls(calls, "phone", normalize.phone)),
    }
    book, counts = (
        make_book(Policy(first_match("email", "phone"), lines), fast=fast),
        [],
    )
    for patch in patches:
        calls.clear()
        try:
            book.upsert(patch)
        except (errors.KeyInUse, errors.NoMatchKey):
            # The refusal calls them once more, to name the field or the reason.
            calls -= Counter([*calls])
        except errors.Refused:
            pass
        counts.append(Counter(calls))
    return counts


@pytest.mark.parametrize("patches", PATCH_LISTS, ids=map(str, range(len(PATCH_LISTS))))
def test_normaliser_is_called_once_per_value(patches: list[Any]) -> None:
    """Also where the fast path leaves the call to the general path."""
    counts = normaliser_calls(patches, fast=True)

    assert (
        max(
            (calls for calls_by_value in counts for calls in calls_by_value.values()),
            default=0,
        )
        <= 1
    )
    assert all(
        fast_calls <= general_calls
        for fast_calls, general_calls in zip(
            counts, normaliser_calls(patches, fast=False), strict=True
        )
    )


def test_overtaken_call_draws_its_id_and_time_once() -> None:
    draw_counts: Counter[str] = Counter()
    book = make_book()

    def clock() -> datetime:
        draw_counts["clock"] += 1
        if draw_counts["clock"] == 1:
            book.upsert({"email": "eve@x.org"})
        return NOW

    ids: Iterator[str] = iter(["c-1", "c-2", "c-3"])
    book = make_book(ids=counting_calls(draw_counts, "ids", ids.__next__), clock=clock)
    outcome = book.upsert(ADA)

    assert (draw_counts["clock"], draw_counts["ids"], len(book)) == (2, 2, 2)
    assert ("created", "c-1") == (outcome.result, outcome.contact.id)
    draw_counts["clock"] = 0
    outcome = book.upsert({**ADA, "name": "Eve"})
    assert (outcome.result, draw_counts["clock"]) == ("updated", 1)


def test_call_overtaken_at_each_attempt_keeps_its_id_and_time() -> None:
    """The general path takes them over."""
    draw_counts: Counter[str] = Counter()
    numbers: Iterator[int] = count(1)

    def normalise_and_write(value: Any) -> str | None:
        if value == ADA["email"] and draw_counts["writes"] < len(ATTEMPTS):
            draw_counts["writes"] += 1
            book.create({"code": draw_counts["writes"]})
        return normalize.email(value)

    lines = {**LINES, "email": field(key=normalise_and_write)}
    book = make_book(
        Policy(first_match("email"), lines),
        ids=counting_calls(draw_counts, "ids", lambda: f"c-{next(numbers)}"),
        clock=counting_calls(draw_counts, "clock", lambda: NOW),
    )
    outcome = book.upsert(ADA)

    assert ("created", "c-2") == (outcome.result, outcome.contact.id)
    assert {"writes": 3, "ids": 4, "clock": 4} == draw_counts


@pytest.mark.parametrize("name", ["Ada", "Eve"])
def test_overtaken_call_tries_the_fast_path_again(name: str) -> None:
    """Its keys are normalised again, because they are looked up again."""
    calls: Counter[str] = Counter()

    def normalise_and_write(value: Any) -> str | None:
        calls[value] += 1
        if book is not None and "c-1" not in book:
            book.create({"code": "c"})
        return normalize.email(value)

    book: ContactBook | None = None
    lines = {**LINES, "email": field(key=normalise_and_write)}
    ids = iter(["c-2", "c-1", "c-3"])
    started_book = make_book(Policy(first_match("email"), lines), ids=ids.__next__)
    started_book.upsert({"email": "a@x", "name": "Ada"})
    book = started_book
    outcome = started_book.upsert({"email": "a@x", "name": name})

    assert outcome.contact.id == "c-2"
    assert outcome.unchanged == (name == "Ada")
    assert (calls["a@x"], len(started_book)) == (3, 2)


@pytest.mark.parametrize("id", [7, "", " ", None], ids=repr)
def test_id_that_is_no_text_is_an_error(id: Any) -> None:
    """Nothing is written."""
    book = make_book(ids=lambda: id)
    with pytest.raises(TypeError, match="ids: must return a non-empty"):
        book.upsert(ADA)
    assert not len(book)


def test_id_in_use_is_an_error() -> None:
    """The id of a deleted contact is free."""
    book = make_book(ids=lambda: "c-1")
    book.upsert(ADA)
    with pytest.raises(ValueError, match="a contact already has 'c-1'"):
        book.upsert(BOB)
    book.delete("c-1")
    assert book.upsert(BOB).contact.id == "c-1"


def test_time_keeps_its_offset_and_naive_time_is_an_error() -> None:
    local_time = NOW.astimezone(timezone(timedelta(hours=2)))
    book = make_book(clock=lambda: local_time)
    book.upsert(ADA)
    contact = book.upsert({**ADA, "name": "Eve"}).contact
    assert str(local_time) == str(contact.created_at) == str(contact.updated_at)
    with pytest.raises(TypeError, match="clock: must return an aware time"):
        make_book(clock=lambda: datetime(2024, 1, 2)).upsert(ADA)  # noqa: DTZ001


@pytest.mark.parametrize("form", [7, b"x"], ids=repr)
def test_form_that_is_no_text_is_an_error(form: Any) -> None:
    lines = {"email": field(key=lambda _value: form)}
    with pytest.raises(TypeError, match="must return str or None, not"):
        make_book(Policy(first_match("email"), lines)).upsert({"email": "a"})


def test_blank_form_is_no_form() -> None:
    """The contact does not keep the form of the value that is replaced."""
    lines = {**LINES, "code": field(key=lambda value: value.strip("-"))}
    policy = Policy(first_match("email"), lines)
    patches = [{"email": "a@x", "code": code} for code in ("c", "-", "c")]

    assert repr(run(policy, *patches, fast=False)) == repr(run(policy, *patches))
    book = make_book(policy)
    book.upsert_many(patches[:2])
    assert () == book.find("code", "c")


def test_default_of_a_key_beside_one_that_is_sent_makes_a_form() -> None:
    lines = {
        **LINES,
        "phone": field(key=normalize.phone, default="+15550009"),
        "code": field(key=normalize.exact, default="c"),
    }
    policy = Policy(first_match("email"), lines)

    assert repr(run(policy, ADA, fast=False)) == repr(run(policy, ADA))
    assert run(policy, ADA)[2] == [(("ada@x.org",), ("+15550001",), ("c",))]


def test_aliases_that_a_policy_no_longer_keeps_stay_with_an_update() -> None:
    keeps = {**LINES, "email": field(key=normalize.email, keep_aliases=True)}
    former = make_book(Policy(first_match("phone"), keeps))
    former.upsert_many([ADA, {**ADA, "email": "a@x"}])
    book = ContactBook.load(Policy(first_match("phone"), LINES), former.dump())
    outcome = book.upsert({**ADA, "email": "A@x"})

    assert outcome.updated
    assert (outcome.contact,) == book.find("email", "ada@x.org")
    book._index.check()


def test_text_of_more_fields_than_a_patch_may_have_is_refused() -> None:
    names = [f"f{number}" for number in range(MAX_FIELDS)]
    lines = {"email": field(key=normalize.email), **dict.fromkeys(names, field())}
    book = make_book(Policy(first_match("email"), lines))
    for _ in range(3):
        with pytest.raises(errors.InvalidField, match="at most 10000 fields"):
            book.upsert({"email": "a@x", **dict.fromkeys(names, "x")})

    assert len(book) == 0


def test_deleted_contact_is_restored_by_the_general_path() -> None:
    book = make_book(POLICIES["restore"])
    book.upsert(ADA)
    book.delete("c-1")

    assert book.upsert(ADA).updated
    assert book.get("c-1").deleted_at is None


def test_books_of_one_policy_share_no_contacts() -> None:
    first, second = make_book(), make_book()
    first.upsert(ADA)

    assert (len(first), len(second)) == (1, 0)
    assert second.upsert(ADA).created


def test_threads_create_each_contact_once() -> None:
    book = make_book()
    patches = [
        {**ADA, "email": f"{number}@x", "phone": f"+1555{number:04}"}
        for number in range(50)
    ]
    barrier = threading.Barrier(8)

    def send(turn: int) -> None:
        barrier.wait()
        for patch in patches[turn:] + patches[:turn]:
            book.upsert({**patch, "name": f"n{turn}"})

    threads = [threading.Thread(target=send, args=(turn,)) for turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    book._index.check()
    assert len(book) == 50
    assert {contact["email"] for contact in book} == {
        patch["email"] for patch in patches
    }


def test_many_fields_with_rules_are_merged_by_their_rules() -> None:
    """A patch of many names is read in another way."""
    email = field(key=normalize.email)
    policy = Policy(
        first_match("email"), {"email": email}, extra_fields=field(rule=union)
    )
    make_book = ContactBook(policy, ids=iter("ab").__next__)
    names = [f"f{number}" for number in range(30)]
    make_book.upsert({"email": "ada@x.org", **{name: [name] for name in names}})
    outcome = make_book.upsert(
        {"email": "ada@x.org", **{name: ["x"] for name in names}}
    )

    assert outcome.updated
    assert [outcome.contact[name] for name in names] == [(name, "x") for name in names]


def test_batch_without_a_fast_path_has_the_results_of_its_calls() -> None:
    email = field(key=normalize.email, keep_aliases=True, max_forms=1)
    policy = Policy(merge_all("email"), {"email": email}, on_limit="drop")
    outcomes = make_book(policy).upsert_many([{"email": "a@x"}, {"email": "A@x"}])

    assert {"created": 1, "updated": 1} == outcomes.counts()


def test_overrides_beyond_the_limit_are_made_again() -> None:
    """And those whose rules have no hash."""

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, _stored: Any, sent: Any) -> Any:
            return sent

    book = make_book()
    for number in range(70):
        rule = custom(lambda _stored, sent: sent, name=f"rule {number}")
        book.upsert({**ADA, "name": f"N{number}"}, rules={"name": rule})
    own = Rule("own", Unhashable())
    outcome = book.upsert({**ADA, "name": "Last"}, rules={"name": own})

    assert (outcome.result, outcome.contact.version) == ("updated", 71)


def test_shapes_beyond_the_limit_have_the_same_results() -> None:
    names = [f"f{number}" for number in range(10)]
    lines = {"email": field(key=normalize.email), **{name: field() for name in names}}
    book = make_book(Policy(first_match("email"), lines))
    for number in range(2**10):
        sent = {name: "x" for bit, name in enumerate(names) if number >> bit & 1}
        book.upsert({"email": "a@x", **sent, **dict.fromkeys([*sent][:1], f"{number}")})

    assert ["email", *names] == [*book.get("c-1")]
    assert book.get("c-1")["f0"] == "1023"
    assert book.get("c-1")["f9"] == "x"


@pytest.mark.parametrize("match", [merge_all, first_match])
def test_refusal_of_an_application_is_raised_as_it_is(match: Any) -> None:
    """By a normaliser, and by a rule."""
    refusal = errors.InvalidField("email", "x", "is on holiday")

    def refuse(*values: Any) -> Any:
        if "x@x.org" in values:
            raise refusal
        return normalize.email(values[0])

    lines = {**LINES, "email": field(key=refuse), "name": field(rule=custom(refuse))}
    book = make_book(Policy(match("email", "phone"), lines))
    for patch in ({"email": "x@x.org"}, {"email": "a@x.org", "name": "x@x.org"}):
        with pytest.raises(errors.InvalidField) as caught:
            book.upsert(patch)
        assert caught.value is refusal
    assert len(book) == 0


def test_key_in_use_beside_what_is_uncommon_is_withheld_by_the_general_path() -> None:
    """A rule, a history, a default of a key, and a new contact without a field."""
    unique = {**LINES, "phone": field(key=normalize.phone, unique=True)}
    variants: list[dict[str, Any]] = [
        {**unique, "name": field(rule=keep)},
        {**unique, "code": field(key=normalize.exact, default="c")},
        {**unique, "city": field(required=True)},
    ]
    for lines in variants:
        policy = Policy(first_match("email"), lines, on_key_in_use="withhold")
        patches = [
            {**ADA, "city": "Oslo"},
            {**EVE, "city": "Oslo"},
            {**ADA, "phone": EVE["phone"], "name": "Bo"},
            {"email": "n@x", "phone": EVE["phone"], "name": 7, "city": "Rome"},
        ]
        assert repr(run(policy, *patches, fast=False)) == repr(run(policy, *patches))
    policy = Policy(first_match("email"), unique, on_key_in_use="withhold")
    book = make_book(policy)
    for patch in (ADA, {"email": "b@x"}, EVE):
        book.upsert(patch)
    book.merge("c-1", "c-2")
    outcome = book.upsert({**ADA, "phone": EVE["phone"], "name": "Bo"})

    assert (outcome.result, len(outcome.withheld)) == ("updated", 1)


@pytest.mark.parametrize("is_fast", [True, False])
def test_idempotent_call_that_is_made_within_itself_is_replayed(
    *,
    is_fast: bool,
) -> None:
    nested: list[Any] = []

    def normalise_and_call(value: Any) -> str | None:
        if not nested and book is not None:
            nested.append(None)
            nested[0] = book.upsert(ADA, idempotency_key="k")
        return normalize.email(value)

    book: ContactBook | None = None
    lines = {**LINES, "email": field(key=normalise_and_call)}
    # A policy with such a limit has no fast path.
    options: Any = {} if is_fast else {"on_limit": "drop"}
    book = make_book(Policy(merge_all("email"), lines, **options))
    assert (book._fast_upsert is not None) == is_fast
    outcome = book.upsert(ADA, idempotency_key="k")

    assert (outcome.replayed, nested[0].replayed) == (True, False)
    assert len(book) == 1


def test_refusal_of_an_overtaken_call_is_decided_again() -> None:
    wrote: list[str] = []

    def normalise_and_write(value: Any) -> str | None:
        if book is not None and not wrote:
            wrote.append(value)
            book.upsert({"email": "eve@x.org", "name": "Eve"})
        return normalize.phone(value)

    book: ContactBook | None = None
    lines = {**LINES, "phone": field(key=normalise_and_write, unique=True)}
    started_book = make_book(Policy(first_match("email"), lines))
    started_book.upsert(ADA)
    book = started_book
    with pytest.raises(errors.KeyInUse):
        started_book.upsert({"email": "new@x.org", "phone": ADA["phone"]})

    assert (wrote, len(started_book)) == ([ADA["phone"]], 2)


def test_key_in_use_whose_holder_is_deleted_meanwhile_is_stored() -> None:
    """By a normaliser, after the key was looked up."""

    def normalise_and_delete(value: Any) -> str | None:
        if "c-2" in book:
            book.delete("c-2")
        return normalize.exact(value)

    lines = {
        **LINES,
        "phone": field(key=normalize.phone, unique=True),
        "code": field(key=normalise_and_delete),
    }
    book = make_book(Policy(first_match("email", "phone"), lines))
    for patch in (ADA, EVE):
        book.upsert(patch)
    outcome = book.upsert({**ADA, "phone": EVE["phone"], "code": "c"})

    assert ("updated", EVE["phone"]) == (outcome.result, outcome.contact["phone"])
    assert len(book) == 1


def test_clock_that_moves_alone_updates_the_contact() -> None:
    lines = {
        "email": field(key=normalize.email),
        "name": field(rule=latest("at")),
        "at": field(rule=ignore),
    }
    policy = Policy(first_match("email"), lines)
    patches = [{"email": "a@x", "name": "Ada", "at": at} for at in (1, 2, 2)]
    results = [outcome.result for outcome in make_book(policy).upsert_many(patches)]

    assert ["created", "updated", "unchanged"] == results
    assert repr(run(policy, *patches, fast=False)) == repr(run(policy, *patches))


def test_value_that_a_rule_ignores_is_reported_as_not_updated() -> None:
    lines = {"email": field(key=normalize.email), "city": field(rule=ignore)}
    policy = Policy(first_match("email"), lines, on_found="ignore")
    patches = [{"email": "a@x"}, {"email": "a@x", "city": "Oslo"}]

    assert {"city": "on_found"} == make_book(policy).upsert_many(patches)[1].ignored
    assert repr(run(policy, *patches, fast=False)) == repr(run(policy, *patches))


def test_call_whose_rule_updates_the_book_at_each_attempt_is_an_error() -> None:
    numbers = count()

    def write(_stored: Any, sent: Any) -> Any:
        if sent == "x":
            book.upsert({"email": "ada@x.org", "name": f"N{next(numbers)}"})
        return sent

    lines = {**LINES, "city": field(rule=custom(write))}
    book = make_book(Policy(first_match("email"), lines))
    book.upsert(ADA)
    with pytest.raises(RuntimeError, match="many attempts"):
        book.upsert({"email": "ada@x.org", "city": "x"})

    assert "city" not in book.get("c-1")


def test_id_that_a_nested_call_uses_is_an_error_beside_a_key_in_use() -> None:
    drawn: list[str] = []

    def ids() -> str:
        drawn.append("x")
        if drawn == ["x", "x"]:
            book.upsert({"email": "inner@x.org"})
        return "first" if len(drawn) == 1 else "x"

    book = make_book(POLICIES["withhold"], ids=ids)
    book.upsert({**EVE, "code": "e"})
    with pytest.raises(IdInUse):
        book.upsert({"email": "new@x.org", "code": "e", "name": 7})

    assert ["first", "x"] == [contact.id for contact in book]


def test_key_in_use_of_a_contact_that_a_nested_call_creates_is_withheld() -> None:
    """The nested call uses the id and the email of the outer one."""
    drawn: list[str] = []

    def ids() -> str:
        drawn.append("x")
        if drawn == ["x", "x"]:
            book.upsert({"email": "new@x.org"})
        return "first" if len(drawn) == 1 else "x"

    book = make_book(POLICIES["withhold"], ids=ids)
    book.upsert({**EVE, "code": "e"})
    outcome = book.upsert({"email": "new@x.org", "code": "e", "name": 7})

    assert ("updated", "x") == (outcome.result, outcome.contact.id)
    assert (Withheld("code", "e", "first"),) == outcome.withheld
