"""The hot path: it does what the plain path does, or leaves the call to it, whole."""

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
    Outcome,
    Policy,
    all_agree,
    errors,
    field,
    first_match,
    first_present,
    key,
    merge_all,
    normalize,
)
from upsertcore.rules import deep, keep, on_create, union


def title(value: Any) -> Any:
    """Write a name as a title; refuse a number, and leave nothing of a dash."""
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


def book(policy: Policy = POLICY, *, hot: bool = True, **how: Any) -> ContactBook:
    """Make a book with or without a hot path, with ids and a clock of its own."""
    ids, hours = count(1), count()
    parts: dict[str, Any] = {
        "ids": lambda: f"c-{next(ids)}",
        "clock": lambda: NOW + timedelta(hours=next(hours)),
    }
    made = ContactBook(policy, **{**parts, **how})
    if not hot:
        made._fast_upsert = made._fast_upsert_many = None
    return made


def done(policy: Policy, *patches: Any, hot: bool = True, scope: str = "") -> list[Any]:
    """Send patches to a new book; give what came of each, the rows and the index."""
    made = book(policy, hot=hot, retain_changes=None)
    answers: list[Any] = []
    for patch in patches:
        try:
            answers.append(made.upsert(patch, scope=scope))
        except (errors.Refused, TypeError) as error:
            answers.append((type(error), str(error)))
    made._index.check()
    forms = [made._index.get_with_forms(contact.id)[1] for contact in made]
    return [answers, made.dump(), forms, made.changes_since()]


LOGS: list[list[Any]] = [
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
    "first": POLICY,
    "agree": Policy(all_agree("phone", "email"), LINES),
    "one": Policy(first_match("email"), LINES, on_ambiguous="oldest"),
    "closed": Policy(first_match("email", "phone"), LINES, on_not_found="refuse"),
    "fixed": Policy(first_match("email", "phone"), LINES, on_found="refuse"),
    "left": Policy(first_match("email", "phone"), LINES, on_found="ignore"),
    "kept": Policy(first_match("email"), LINES, on_deleted="restore"),
    "needs": Policy(
        first_match("email"),
        {**LINES, "name": field(required=True), "city": field(default="Oslo")},
    ),
    "shares": Policy(
        first_match("phone", "email"),
        LINES,
        on_key_in_use="allow",
        on_ambiguous="newest",
    ),
    "open": Policy(first_match("email"), LINES, on_no_key="create"),
    "present": Policy(first_present("email", "phone"), LINES),
    "keeps": Policy(
        first_match("email", "phone"),
        {**LINES, "name": field(rule=keep), "city": field(rule=union, default=["x"])},
    ),
    "cleans": Policy(
        first_match("email"),
        {**LINES, "name": field(clean=title), "city": field(rule=on_create)},
    ),
    "spells": Policy(
        first_match("email", "phone"),
        {**LINES, "email": field(key=normalize.email, rule=keep, unique=True)},
    ),
    "fills": Policy(
        first_match("email"),
        {
            **LINES,
            "code": field(key=normalize.exact, default="c"),
            "name": field(rule=deep),
        },
    ),
}
COLD = {
    "guard": Policy(first_match("email", "phone", guard="strict"), LINES),
    "merges": Policy(merge_all("email"), LINES),
    "blocks": Policy(first_match("email"), blocking(LINES, {"email": ("noreply@*",)})),
    "remembers": Policy(
        first_match("email"),
        {**LINES, "email": field(key=normalize.email, keep_aliases=True)},
    ),
    "limits": Policy(
        first_match("email"),
        {**LINES, "email": field(key=normalize.email, max_forms=1)},
    ),
    "several": Policy(
        first_match("email"),
        LINES,
        keys={"who": key("name", "city", normalize=normalize.text)},
    ),
}


@pytest.mark.parametrize("log", LOGS, ids=map(str, range(len(LOGS))))
@pytest.mark.parametrize("name", POLICIES)
def test_it_does_what_the_plain_path_does(name: str, log: list[Any]) -> None:
    """Answers, rows, order of names, keys and changes are the same, to the byte."""
    policy = POLICIES[name]
    assert book(policy)._fast_upsert is not None

    assert repr(done(policy, *log, hot=False)) == repr(done(policy, *log))


@pytest.mark.parametrize("name", COLD)
def test_what_is_rare_has_no_hot_path(name: str) -> None:
    """It is not made for a table that says what only the plain path knows."""
    assert book(COLD[name])._fast_upsert is None


TAKEN: list[tuple[list[Any], str]] = [
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


@pytest.mark.parametrize(("log", "result"), TAKEN, ids=range(10))
def test_the_common_call_is_taken(log: list[Any], result: str) -> None:
    """Creating, updating, moving a key and changing nothing: no plan is made."""
    made = book()
    for patch in log[:-1]:
        made.upsert(patch)
    quick: Any = made._fast_upsert
    answer = quick(log[-1], "")

    assert isinstance(answer, Outcome)
    assert result == answer.result


def test_what_is_no_value_is_left_untouched() -> None:
    """Nothing was done of it yet, so the plain path begins anew."""
    quick: Any = book()._fast_upsert
    odd: list[Any] = [None, {"age": "7"}]
    names: list[Any] = ["", None, [], "\ud800", ["\ud800"], set()]
    odd += [{"name": each} for each in names]

    assert [None] * 8 == [quick(patch, "") for patch in odd]
    assert [None] * 2 == [quick(ADA, scope) for scope in (None, "\u00e9")]


class Text(str):
    """Text of a host's own kind."""

    __slots__ = ()


def test_names_and_values_are_stored_as_plain_text() -> None:
    """A host's own kind of text is copied, on creation and afterwards."""
    made = book()
    made.upsert({Text("email"): "a@x"})
    made.upsert({"email": "a@x", Text("name"): "Ada"})
    made.upsert({"email": "a@x", "city": Text("Oslo")})

    fields: Any = made.get("c-1").fields
    assert {str} == {type(each) for pair in fields.items() for each in pair}
    assert ["email", "name", "city"] == [*fields]


def counting(calls: Counter[str], name: str, function: Any) -> Callable[..., Any]:
    """Count the calls of a function, apart for each value."""

    def call(*values: Any) -> Any:
        calls[" ".join([name, *map(repr, values)])] += 1
        return function(*values)

    return call


def asked(log: list[Any], *, hot: bool) -> list[Counter[str]]:
    """Count what each call of a log asks of a host's normalisers."""
    calls: Counter[str] = Counter()
    lines = {
        **LINES,
        "email": field(key=counting(calls, "email", normalize.email), unique=True),
        "phone": field(key=counting(calls, "phone", normalize.phone)),
    }
    made, counts = book(Policy(first_match("email", "phone"), lines), hot=hot), []
    for patch in log:
        calls.clear()
        try:
            made.upsert(patch)
        except (errors.KeyInUse, errors.NoMatchKey):
            # To name the field, or the reason, they are asked once more.
            calls -= Counter([*calls])
        except errors.Refused:
            pass
        counts.append(Counter(calls))
    return counts


@pytest.mark.parametrize("log", LOGS, ids=map(str, range(len(LOGS))))
def test_nothing_of_a_host_is_asked_twice(log: list[Any]) -> None:
    """Also where a call is left to the plain path, which has what was made."""
    counts = asked(log, hot=True)

    assert max((n for each in counts for n in each.values()), default=0) <= 1
    assert all(a <= b for a, b in zip(counts, asked(log, hot=False), strict=True))


def test_a_draw_is_kept_where_somebody_was_faster() -> None:
    """The id and the time of a call are drawn once, whoever writes in between."""
    drawn: Counter[str] = Counter()
    made = book()

    def clock() -> datetime:
        drawn["clock"] += 1
        if drawn["clock"] == 1:
            made.upsert({"email": "eve@x.org"})
        return NOW

    ids: Iterator[str] = iter(["c-1", "c-2", "c-3"])
    made = book(ids=counting(drawn, "ids", ids.__next__), clock=clock)
    outcome = made.upsert(ADA)

    assert (drawn["clock"], drawn["ids"], len(made)) == (2, 2, 2)
    assert ("created", "c-1") == (outcome.result, outcome.contact.id)
    drawn["clock"] = 0
    outcome = made.upsert({**ADA, "name": "Eve"})
    assert (outcome.result, drawn["clock"]) == ("updated", 1)


@pytest.mark.parametrize("name", ["Ada", "Eve"])
def test_it_is_left_where_a_host_writes_meanwhile(name: str) -> None:
    """What was seen before does not count, and no key is made a second time."""
    calls: Counter[str] = Counter()

    def busy(value: Any) -> str | None:
        calls[value] += 1
        if made is not None and "c-1" not in made:
            made.create({"code": "c"})
        return normalize.email(value)

    made: ContactBook | None = None
    lines = {**LINES, "email": field(key=busy)}
    ids = iter(["c-2", "c-1", "c-3"])
    whole = book(Policy(first_match("email"), lines), ids=ids.__next__)
    whole.upsert({"email": "a@x", "name": "Ada"})
    made = whole
    outcome = whole.upsert({"email": "a@x", "name": name})

    assert outcome.contact.id == "c-2"
    assert outcome.unchanged == (name == "Ada")
    assert (calls["a@x"], len(whole)) == (2, 2)


@pytest.mark.parametrize("wrong", [7, "", " ", None], ids=repr)
def test_an_id_is_text(wrong: Any) -> None:
    """Whatever else ``ids`` answers is refused, and nothing is written."""
    made = book(ids=lambda: wrong)
    with pytest.raises(TypeError, match="ids: must return a non-empty"):
        made.upsert(ADA)
    assert not len(made)


def test_an_id_is_fresh() -> None:
    """One that is in use is refused."""
    made = book(ids=lambda: "c-1")
    made.upsert(ADA)
    with pytest.raises(ValueError, match="a contact already has 'c-1'"):
        made.upsert(BOB)
    made.delete("c-1")
    assert made.upsert(BOB).contact.id == "c-1"


def test_a_time_is_aware_and_fixed() -> None:
    """As on the plain path: another offset stays, none is refused."""
    there = NOW.astimezone(timezone(timedelta(hours=2)))
    made = book(clock=lambda: there)
    made.upsert(ADA)
    contact = made.upsert({**ADA, "name": "Eve"}).contact
    assert str(there) == str(contact.created_at) == str(contact.updated_at)
    with pytest.raises(TypeError, match="clock: must return an aware time"):
        book(clock=lambda: datetime(2024, 1, 2)).upsert(ADA)  # noqa: DTZ001


@pytest.mark.parametrize("answer", [7, b"x"], ids=repr)
def test_a_form_is_text(answer: Any) -> None:
    """Whatever else a normaliser answers is its host's mistake."""
    lines = {"email": field(key=lambda _value: answer)}
    with pytest.raises(TypeError, match="must return str or None, not"):
        book(Policy(first_match("email"), lines)).upsert({"email": "a"})


def test_who_was_deleted_comes_back_by_the_plain_path() -> None:
    """A mark is rare: restoring is decided there."""
    made = book(POLICIES["kept"])
    made.upsert(ADA)
    made.delete("c-1")

    assert made.upsert(ADA).updated
    assert made.get("c-1").deleted_at is None


def test_books_of_one_policy_are_apart() -> None:
    """They share what is compiled, and nothing else."""
    one, other = book(), book()
    one.upsert(ADA)

    assert (len(one), len(other)) == (1, 0)
    assert other.upsert(ADA).created


def test_eight_threads_take_it_at_once() -> None:
    """The same people from each: none twice, none lost, an index that is whole."""
    made = book()
    patches = [{**ADA, "email": f"{n}@x", "phone": f"+1555{n:04}"} for n in range(50)]
    gate = threading.Barrier(8)

    def send(turn: int) -> None:
        gate.wait()
        for patch in patches[turn:] + patches[:turn]:
            made.upsert({**patch, "name": f"n{turn}"})

    threads = [threading.Thread(target=send, args=(turn,)) for turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    made._index.check()
    assert len(made) == 50
    assert {contact["email"] for contact in made} == {p["email"] for p in patches}


def test_many_fields_with_rules_are_merged_each_by_its_own() -> None:
    """However many a patch has; the fast path looks them up in another way then."""
    email = field(key=normalize.email)
    policy = Policy(
        first_match("email"), {"email": email}, extra_fields=field(rule=union)
    )
    book = ContactBook(policy, ids=iter("ab").__next__)
    names = [f"f{number}" for number in range(30)]
    book.upsert({"email": "ada@x.org", **{name: [name] for name in names}})
    after = book.upsert({"email": "ada@x.org", **{name: ["x"] for name in names}})

    assert after.updated
    assert [after.contact[name] for name in names] == [(name, "x") for name in names]
