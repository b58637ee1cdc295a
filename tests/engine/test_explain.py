"""Explaining: who, what each key found, what moves by which rule, and what does not."""

from __future__ import annotations

import copy
import pickle
from itertools import count
from typing import Any

import pytest

from tests.field_options import blocking, merging
from upsertcore import (
    ContactBook,
    Plan,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.engine.explain import explain
from upsertcore.rules import add, last_updated, latest, on_create, union

LINES: dict[str, Any] = {
    "id": field(key=normalize.exact),
    "email": field(key=normalize.email, unique=True),
    "name": field(null="ignore", blank="ignore"),
    "tags": field(rule=union),
    "source": field(rule=on_create),
}


def book(policy: Policy, *patches: dict[str, Any]) -> ContactBook:
    """Make a book of contacts c-1, c-2, ..."""
    ids = count(1)
    made = ContactBook(policy, ids=lambda: f"c-{next(ids)}")
    for patch in patches:
        made.create(patch)
    return made


def told(made: ContactBook, patch: dict[str, Any]) -> list[str]:
    """Give the lines of a plan, each but the first indented by two."""
    first, *rest = made.plan(patch).explain().split("\n")
    assert all(line.startswith("  ") for line in rest)
    return [first, *(line[2:] for line in rest)]


ADA: dict[str, Any] = {"id": 1, "email": "ada@x", "name": "Ada", "tags": ["a"]}
POLICY = Policy(first_match("id", "email"), LINES)


class TestPlan:
    """What a plan would do, before anything is written."""

    def test_somebody_new(self) -> None:
        """Nobody has an id yet; a key that is not sent is named as well."""
        made = book(POLICY)

        assert told(made, {"id": 1, "name": "Ada"}) == [
            "created",
            "id: 1: no match",
            "email: omitted: no key",
            "id: 1 stored (replace)",
            "name: 'Ada' stored (replace)",
        ]
        assert len(made) == 0

    def test_what_moves(self) -> None:
        """Stored, replaced, cleared, joined: each with its rule."""
        made = book(POLICY, ADA)
        patch = {"id": 1, "email": None, "name": "A", "tags": ["b"]}

        assert told(made, patch)[0] == "updated c-1, matched by id"
        assert told(made, patch)[3:] == [
            "name: 'Ada' -> 'A' (replace)",
            "tags: ['a'] -> ['a', 'b'] (union)",
            "email: 'ada@x' cleared (replace)",
        ]

    def test_nothing_moves(self) -> None:
        """Then there is nothing to tell but whom the keys found."""
        lines = told(book(POLICY, ADA), ADA)

        assert lines[0] == "unchanged c-1, matched by id"
        assert len(lines) == 3

    def test_what_is_not_taken(self) -> None:
        """Each by name, with the reason."""
        made = book(POLICY, ADA)

        assert told(made, {"id": 1, "name": None, "source": "web"})[3:] == [
            "name: not stored: null counts as omitted",
            "source: not stored: its rule is on_create",
        ]
        assert told(made, {"id": 1, "name": ""})[3:] == [
            "name: not stored: blank counts as omitted"
        ]

    def test_what_is_withheld(self) -> None:
        """With who holds it."""
        policy = Policy(first_match("id"), LINES, on_key_in_use="withhold")
        made = book(policy, ADA, {"id": 2})

        assert told(made, {"id": 2, "email": "ADA@x"})[2:] == [
            "email: 'ADA@x' withheld: c-1 holds it"
        ]

    def test_what_is_withheld_for_another_key(self) -> None:
        """A part of a key is told with the name of the key that is held."""
        keys = {"who": key("email", "name", normalize=normalize.text)}
        policy = Policy(first_match("id"), LINES, keys=keys, on_key_in_use="withhold")
        made = book(policy, ADA, {"id": 2})

        assert told(made, {"id": 2, "email": "ADA@x", "name": "Bob"})[2:] == [
            "email: 'ADA@x' withheld: c-1 holds it",
            "name: 'Bob' withheld: c-1 holds the key email",
        ]

    def test_a_stored_value_that_makes_no_key(self) -> None:
        """It takes the place of a good one, and the contact is not found by it."""
        made = book(Policy(first_match("id"), LINES), ADA)
        sent = {"id": 1, "email": "not an email"}
        line = "email: 'not an email': no usable form: not a key"
        assert told(made, sent)[2:] == [
            "email: 'ada@x' -> 'not an email' (replace)",
            line,
        ]

        outcome = made.upsert(sent)
        assert outcome.explain().split("\n  ")[-1] == line
        assert pickle.loads(pickle.dumps(outcome)).explain().count(line) == 0  # noqa: S301
        assert made.upsert({"id": 1, "name": "Bo"}).explain().endswith(line)
        assert line not in made.upsert({"id": 1, "email": "b@x"}).explain()

    def test_a_stored_value_of_a_key_of_several_fields(self) -> None:
        """Each item and part once, and what is blocked as that."""
        keys = {
            "who": key("name", "born", normalize=(normalize.text, normalize.year)),
            "mail": key("main", "more", normalize=normalize.email, any_of=True),
            "two": key("city", "born", normalize=normalize.text),
        }
        names = ("born", "main", "more", "city")
        policy = Policy(
            first_match("id"),
            {**LINES, **{name: field() for name in names}},
            keys=blocking(keys, {"mail": ("noreply@*",), "two": ("x|*",)}),
        )
        made = book(policy, {"id": 1, "name": "Ada", "born": "15", "main": "noreply@x"})
        more = ["a@x", "", "nope", "nope", "b"]
        outcome = made.upsert({"id": 1, "more": more, "city": "x"})

        assert outcome.explain().split("\n  ")[3:] == [
            "born: '15': no usable form: not a key",
            "main: 'noreply@x': blocked: not a key",
            "more: 'nope': no usable form: not a key",
            "more: 'b': no usable form: not a key",
            "two: {'born': '15', 'city': 'x'}: blocked: not a key",
        ]

    def test_who_else_was_hit(self) -> None:
        """The first decides, and the others are named."""
        policy = Policy(first_match("id", "email"), {**LINES, "email": field(key=str)})
        made = book(policy, ADA, {"id": 2})
        assert told(made, {"id": 2, "email": "ada@x"})[0] == (
            "updated c-2, matched by id, also matched: c-1"
        )

    def test_who_is_merged(self) -> None:
        """The survivor first, then all whom it would absorb."""
        policy = Policy(merge_all("id", "email"), LINES)
        made = book(policy, {"id": 1}, ADA | {"id": 2}, {"id": 3})

        assert told(made, {"id": [1, 3], "email": "ada@x"})[0] == (
            "merged c-1, matched by id, with c-3 and c-2"
        )

    @pytest.mark.parametrize(
        ("options", "patch", "line"),
        [
            (
                {
                    "lines": {
                        "email": field(key=normalize.email, blocked=("noreply@*",))
                    },
                    "on_blocked": "ignore",
                },
                {"id": 1, "email": "noreply@x"},
                "email: not stored: the value is blocked",
            ),
            (
                {
                    "match": first_match(
                        "id", "email", guard="if_set", on_contradiction="drop"
                    )
                },
                {"id": 9, "email": "ada@x"},
                "email: not stored: its key is contradicted by a higher key",
            ),
            (
                {"on_found": "ignore"},
                {"id": 1, "name": "Bob"},
                "name: not stored: existing contacts are not updated",
            ),
        ],
        ids=["blocked", "guard", "on_found"],
    )
    def test_why_not(self, options: Any, patch: dict[str, Any], line: str) -> None:
        """A reason of the policy's is told in words."""
        options = {**options}
        match = options.pop("match", first_match("id", "email"))
        lines = {**LINES, **options.pop("lines", {})}
        made = book(Policy(match, lines, **options), ADA)

        assert line in told(made, patch)

    def test_why_not_by_a_limit(self) -> None:
        """A key that would be one too many is left out and named."""
        email = field(key=normalize.email, rule=union, max_forms=1, keep_aliases=True)
        lines = {"id": field(key=normalize.exact), "email": email}
        policy = Policy(merge_all("id", "email"), lines, on_limit="drop")
        made = book(policy, {"id": 1, "email": ["a@x"]})

        assert told(made, {"id": 1, "email": ["b@x"]})[-1] == (
            "email: not stored: the contact would hold too many keys"
        )

    def test_why_not_by_another_field(self) -> None:
        """A value that one of the additional fields has already."""
        lines = {"id": field(key=normalize.exact), "main": field(), "more": field()}
        mail = key("main", "more", normalize=normalize.email, any_of=True)
        made = book(
            Policy(first_match("mail"), lines, keys={"mail": mail}),
            {"main": "a@x", "more": ["b@x"]},
        )

        assert told(made, {"main": "B@x"})[-1] == (
            "main: not stored: an additional field holds it"
        )

    def test_what_one_call_wishes(self) -> None:
        """The rule is that of the call."""
        lines = {**LINES, "score": field()}
        made = book(Policy(first_match("id"), lines), {"id": 1, "score": 1})
        plan = made.plan({"id": 1, "score": 2}, rules={"score": add})

        assert plan.explain().endswith("score: 1 -> 3 (add)")

    def test_undeclared_fields(self) -> None:
        """They go by the rule for the others."""
        made = book(
            Policy(first_match("id"), LINES, extra_fields=field(rule=union)), {"id": 1}
        )

        assert told(made, {"id": 1, "list": ["x"]})[-1] == "list: ['x'] stored (union)"

    def test_a_rule_that_is_made(self) -> None:
        """It is named with what it was made with."""
        lines = {**LINES, "at": field(), "city": field(rule=latest(by="at"))}
        made = book(Policy(first_match("id"), lines))

        assert any(
            line.startswith("city: 'Oslo' stored (latest")
            for line in told(made, {"id": 1, "at": 1, "city": "Oslo"})
        )

    def test_what_cannot_be_printed(self) -> None:
        """One line per key and per field, whatever they are called and hold."""
        lines = {**LINES, "id": field(key=normalize.exact)}
        made = book(Policy(first_match("id"), lines, extra_fields=field(rule=union)))
        odd = "a\nb\x1b" + "c" * 1_000
        text = made.plan({"id": odd, "x\ny": ["\n"]}).explain()

        assert len(text.split("\n")) == 4
        assert all(line.isprintable() for line in text.split("\n"))
        assert len(text) < 500

    def test_a_long_value(self) -> None:
        """It is cut, and what is nested deep left out."""
        patch = {"id": 1, "name": "x" * 10_000, "tags": [{"a": {"b": {"c": 1}}}]}
        lines = told(book(POLICY), patch)

        assert all(len(line) < 120 for line in lines)


class TestOutcome:
    """What happened, of every verb."""

    def test_it_is_the_plan_without_its_keys(self) -> None:
        """What a plan says would happen is what its outcome says."""
        made = book(POLICY, ADA)
        plan = made.plan({"email": "ada@x", "name": "A", "source": "web"})
        lines = plan.explain().split("\n")

        assert made.apply(plan).explain().split("\n") == [lines[0], *lines[3:]]

    def test_a_creation(self) -> None:
        """The id is known then."""
        outcome = book(POLICY).create({"id": 1})

        assert outcome.explain() == "created c-1\n  id: 1 stored (replace)"

    def test_a_merge_and_its_undoing(self) -> None:
        """With whom, both times."""
        made = book(POLICY, ADA, {"id": 2, "email": "eve@x"}, {"id": 3})
        outcome = made.merge("c-1", "c-2", "c-3")

        assert outcome.explain() == "merged c-1, with c-2 and c-3"
        assert made.undo(outcome).explain() == "undone c-1, with c-2 and c-3"

    def test_what_was_absorbed(self) -> None:
        """The rule is that of ``absorb``, for what no patch sent."""
        policy = Policy(merge_all("id", "email"), merging(LINES, {"name": union}))
        one, two = (
            {"id": 1, "name": ["A"]},
            {"email": "a@x", "name": ["B"], "tags": ["b"]},
        )
        made = book(policy, one, two)
        lines = made.merge("c-1", "c-2").explain().split("\n  ")

        assert lines == [
            "merged c-1, with c-2",
            "name: ['A'] -> ['A', 'B'] (replace, merged by union)",
            "email: 'a@x' stored (replace, merged by keep)",
            "tags: ['b'] stored (union, merged by keep)",
        ]

    def test_an_update_and_its_undoing(self) -> None:
        """The same change, backwards; by no rule, for it was none that did it."""
        made = book(POLICY, ADA)
        outcome = made.upsert({"id": 1, "name": "A"})

        assert outcome.explain().endswith("name: 'Ada' -> 'A' (replace)")
        assert made.undo(outcome).explain() == "undone c-1\n  name: 'A' -> 'Ada'"

    @pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda o: o])
    def test_a_copy_tells_less(self, twin: Any) -> None:
        """A pickled outcome is one of values, and forgets the rules."""
        outcome = book(POLICY).create({"id": 1})
        other = pickle.loads(pickle.dumps(twin(outcome)))  # noqa: S301

        assert other == outcome
        assert other.explain() == "created c-1\n  id: 1 stored"
        assert repr(other) == repr(outcome)

    def test_nothing_is_asked_again(self) -> None:
        """A decision is retold as it was, whatever the book became."""
        made = book(POLICY, ADA)
        plan = made.plan({"id": 1, "name": "A"})
        before = plan.explain()
        outcome = made.apply(plan)
        after = outcome.explain()
        made.delete("c-1")

        assert isinstance(plan, Plan)
        assert (plan.explain(), outcome.explain()) == (before, after)


def test_a_reason_of_a_rule() -> None:
    """What is none of the policy's reasons is the name of a rule."""
    assert explain("x", [], [], ((), [("a", "keep")]), str) == (
        "x\n  a: not stored: its rule is keep"
    )


class TestClocks:
    """A clock that moves has a line, for it is all that may move."""

    def test_of_a_plan_and_of_an_outcome(self) -> None:
        """Set, moved, and moved alone."""
        lines = {"id": field(key=normalize.exact), "at": field(), "keep": field()}
        policy = Policy(
            first_match("id"),
            {
                **lines,
                "name": field(rule=latest(by="at")),
                "at": field(rule=on_create),
            },
        )
        made = book(policy)
        patch = {"id": 1, "name": "Ada", "at": 5}
        clock = "name: clock set to 5"
        assert told(made, patch)[-1] == clock
        assert made.upsert(patch).explain().split("\n  ")[-1] == clock

        later = {**patch, "at": 6}
        assert told(made, later) == [
            "updated c-1, matched by id",
            "id: 1: decides",
            "name: clock 5 -> 6",
            "at: not stored: its rule is on_create",
        ]
        outcome = made.upsert(later)
        assert (outcome.result, outcome.changes) == ("updated", ())
        assert outcome.explain().split("\n  ")[1] == "name: clock 5 -> 6"
        assert told(made, later)[2:] == ["at: not stored: its rule is on_create"]
        undone = made.undo(outcome).explain().split("\n  ")
        assert undone[1:] == ["name: clock 6 -> 5"]

    def test_one_that_is_let_go(self) -> None:
        """A field that was merged keeps a clock until it is updated."""
        policy = Policy(
            first_match("id", "email"), merging(LINES, {"name": last_updated})
        )
        made = book(policy, {"id": 1}, {"id": 2, "name": "Eve"})
        lines = made.merge("c-1", "c-2").explain().split("\n  ")
        assert lines[-1].startswith("name: clock set to '20")

        lines = told(made, {"id": 1, "name": "Ada"})
        assert lines[-1].startswith("name: clock '20")
        assert lines[-1].endswith("' cleared")
