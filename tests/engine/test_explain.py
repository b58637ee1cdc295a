"""Explanations: the match of each key, and the changes with their rules."""

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


def make_book(policy: Policy, *patches: dict[str, Any]) -> ContactBook:
    """Make a book of contacts c-1, c-2, ..."""
    ids = count(1)
    book = ContactBook(policy, ids=lambda: f"c-{next(ids)}")
    for patch in patches:
        book.create(patch)
    return book


def explained(book: ContactBook, patch: dict[str, Any]) -> list[str]:
    """Return the lines of an explained plan; all but the first are indented."""
    first, *rest = book.plan(patch).explain().split("\n")
    assert all(line.startswith("  ") for line in rest)
    return [first, *(line[2:] for line in rest)]


ADA: dict[str, Any] = {"id": 1, "email": "ada@x", "name": "Ada", "tags": ["a"]}
POLICY = Policy(first_match("id", "email"), LINES)


class TestPlan:
    """The explanation of a plan, before anything is written."""

    def test_new_contact_has_no_id(self) -> None:
        """A key that is not sent is named, too."""
        book = make_book(POLICY)

        assert explained(book, {"id": 1, "name": "Ada"}) == [
            "created",
            "id: 1: no match",
            "email: omitted: no key",
            "id: 1 stored (replace)",
            "name: 'Ada' stored (replace)",
        ]
        assert len(book) == 0

    def test_changes_are_shown_with_their_rules(self) -> None:
        """Stored, replaced, cleared and combined values."""
        book = make_book(POLICY, ADA)
        patch = {"id": 1, "email": None, "name": "A", "tags": ["b"]}

        assert explained(book, patch)[0] == "updated c-1, matched by id"
        assert explained(book, patch)[3:] == [
            "name: 'Ada' -> 'A' (replace)",
            "tags: ['a'] -> ['a', 'b'] (union)",
            "email: 'ada@x' cleared (replace)",
        ]

    def test_unchanged_plan_shows_the_match_only(self) -> None:
        lines = explained(make_book(POLICY, ADA), ADA)

        assert lines[0] == "unchanged c-1, matched by id"
        assert len(lines) == 3

    def test_ignored_fields_are_shown_with_the_reason(self) -> None:
        book = make_book(POLICY, ADA)

        assert explained(book, {"id": 1, "name": None, "source": "web"})[3:] == [
            "name: not stored: null counts as omitted",
            "source: not stored: its rule is on_create",
        ]
        assert explained(book, {"id": 1, "name": ""})[3:] == [
            "name: not stored: blank counts as omitted"
        ]

    def test_withheld_value_is_shown_with_its_holder(self) -> None:
        policy = Policy(first_match("id"), LINES, on_key_in_use="withhold")
        book = make_book(policy, ADA, {"id": 2})

        assert explained(book, {"id": 2, "email": "ADA@x"})[2:] == [
            "email: 'ADA@x' withheld: c-1 holds it"
        ]

    def test_value_withheld_for_another_key_names_that_key(self) -> None:
        keys = {"who": key("email", "name", normalize=normalize.text)}
        policy = Policy(first_match("id"), LINES, keys=keys, on_key_in_use="withhold")
        book = make_book(policy, ADA, {"id": 2})

        assert explained(book, {"id": 2, "email": "ADA@x", "name": "Bob"})[2:] == [
            "email: 'ADA@x' withheld: c-1 holds it",
            "name: 'Bob' withheld: c-1 holds the key email",
        ]

    def test_stored_value_without_usable_form_is_shown(self) -> None:
        """It may replace a usable one, and the contact no longer matches by it."""
        book = make_book(Policy(first_match("id"), LINES), ADA)
        sent = {"id": 1, "email": "not an email"}
        line = "email: 'not an email': no usable form: not a key"
        assert explained(book, sent)[2:] == [
            "email: 'ada@x' -> 'not an email' (replace)",
            line,
        ]

        outcome = book.upsert(sent)
        assert outcome.explain().split("\n  ")[-1] == line
        assert pickle.loads(pickle.dumps(outcome)).explain().count(line) == 0  # noqa: S301
        assert book.upsert({"id": 1, "name": "Bo"}).explain().endswith(line)
        assert line not in book.upsert({"id": 1, "email": "b@x"}).explain()

    def test_unusable_items_and_parts_are_shown_once(self) -> None:
        """Blocked ones are shown as blocked."""
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
        book = make_book(
            policy, {"id": 1, "name": "Ada", "born": "15", "main": "noreply@x"}
        )
        more = ["a@x", "", "nope", "nope", "b"]
        outcome = book.upsert({"id": 1, "more": more, "city": "x"})

        assert outcome.explain().split("\n  ")[3:] == [
            "born: '15': no usable form: not a key",
            "main: 'noreply@x': blocked: not a key",
            "more: 'nope': no usable form: not a key",
            "more: 'b': no usable form: not a key",
            "two: {'born': '15', 'city': 'x'}: blocked: not a key",
        ]

    def test_other_matches_are_named(self) -> None:
        policy = Policy(first_match("id", "email"), {**LINES, "email": field(key=str)})
        book = make_book(policy, ADA, {"id": 2})
        assert explained(book, {"id": 2, "email": "ada@x"})[0] == (
            "updated c-2, matched by id, also matched: c-1"
        )

    def test_merge_names_survivor_and_absorbed(self) -> None:
        policy = Policy(merge_all("id", "email"), LINES)
        book = make_book(policy, {"id": 1}, ADA | {"id": 2}, {"id": 3})

        assert explained(book, {"id": [1, 3], "email": "ada@x"})[0] == (
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
    def test_reason_of_the_policy_is_shown_in_words(
        self, options: Any, patch: dict[str, Any], line: str
    ) -> None:
        options = {**options}
        match = options.pop("match", first_match("id", "email"))
        lines = {**LINES, **options.pop("lines", {})}
        book = make_book(Policy(match, lines, **options), ADA)

        assert line in explained(book, patch)

    def test_key_over_the_limit_is_shown(self) -> None:
        email = field(key=normalize.email, rule=union, max_forms=1, keep_aliases=True)
        lines = {"id": field(key=normalize.exact), "email": email}
        policy = Policy(merge_all("id", "email"), lines, on_limit="drop")
        book = make_book(policy, {"id": 1, "email": ["a@x"]})

        assert explained(book, {"id": 1, "email": ["b@x"]})[-1] == (
            "email: not stored: the contact would hold too many keys"
        )

    def test_additional_value_is_shown(self) -> None:
        lines = {"id": field(key=normalize.exact), "main": field(), "more": field()}
        mail = key("main", "more", normalize=normalize.email, any_of=True)
        book = make_book(
            Policy(first_match("mail"), lines, keys={"mail": mail}),
            {"main": "a@x", "more": ["b@x"]},
        )

        assert explained(book, {"main": "B@x"})[-1] == (
            "main: not stored: an additional field holds it"
        )

    def test_rule_of_the_call_is_shown(self) -> None:
        lines = {**LINES, "score": field()}
        book = make_book(Policy(first_match("id"), lines), {"id": 1, "score": 1})
        plan = book.plan({"id": 1, "score": 2}, rules={"score": add})

        assert plan.explain().endswith("score: 1 -> 3 (add)")

    def test_undeclared_field_is_shown_with_the_extra_rule(self) -> None:
        book = make_book(
            Policy(first_match("id"), LINES, extra_fields=field(rule=union)), {"id": 1}
        )

        assert (
            explained(book, {"id": 1, "list": ["x"]})[-1]
            == "list: ['x'] stored (union)"
        )

    def test_rule_with_arguments_is_shown_with_them(self) -> None:
        lines = {**LINES, "at": field(), "city": field(rule=latest(by="at"))}
        book = make_book(Policy(first_match("id"), lines))

        assert any(
            line.startswith("city: 'Oslo' stored (latest")
            for line in explained(book, {"id": 1, "at": 1, "city": "Oslo"})
        )

    def test_unprintable_text_is_escaped(self) -> None:
        """One line per key and per field, for any name and value."""
        lines = {**LINES, "id": field(key=normalize.exact)}
        book = make_book(
            Policy(first_match("id"), lines, extra_fields=field(rule=union))
        )
        unprintable = "a\nb\x1b" + "c" * 1_000
        text = book.plan({"id": unprintable, "x\ny": ["\n"]}).explain()

        assert len(text.split("\n")) == 4
        assert all(line.isprintable() for line in text.split("\n"))
        assert len(text) < 500

    def test_long_value_is_cut(self) -> None:
        """Deeply nested values are left out."""
        patch = {"id": 1, "name": "x" * 10_000, "tags": [{"a": {"b": {"c": 1}}}]}
        lines = explained(make_book(POLICY), patch)

        assert all(len(line) < 120 for line in lines)


class TestOutcome:
    """The explanation of what happened, for every verb."""

    def test_outcome_explains_as_its_plan_without_keys(self) -> None:
        book = make_book(POLICY, ADA)
        plan = book.plan({"email": "ada@x", "name": "A", "source": "web"})
        lines = plan.explain().split("\n")

        assert book.apply(plan).explain().split("\n") == [lines[0], *lines[3:]]

    def test_created_contact_has_its_id(self) -> None:
        outcome = make_book(POLICY).create({"id": 1})

        assert outcome.explain() == "created c-1\n  id: 1 stored (replace)"

    def test_merge_and_undo_name_the_absorbed(self) -> None:
        book = make_book(POLICY, ADA, {"id": 2, "email": "eve@x"}, {"id": 3})
        outcome = book.merge("c-1", "c-2", "c-3")

        title, *released = outcome.explain().split("\n  ")
        assert title == "merged c-1, with c-2 and c-3"
        assert [
            line.partition(" no longer finds the contact; ")[::2] for line in released
        ] == [
            ("id: 2 of c-2", "keep_aliases would keep it"),
            ("id: 3 of c-3", "keep_aliases would keep it"),
            ("email: eve@x of c-2", "keep_aliases would keep it"),
        ]
        assert book.undo(outcome).explain() == "undone c-1, with c-2 and c-3"

    def test_form_that_a_merge_releases_is_named_with_keep_aliases(self) -> None:
        """Not one that the contact holds, under that key, as a value or as an alias."""
        lines: dict[str, Any] = {
            "id": field(key=normalize.exact, keep_aliases=True),
            "phone": field(key=normalize.phone),
            "email": field(),
            "more": field(rule=union, on_merge=union),
        }
        emails = key("email", "more", normalize=normalize.email, any_of=True)
        policy = Policy(first_match("id"), lines, keys={"emails": emails})
        one = {"id": 1, "phone": "+15550001111", "email": "a@x"}
        two = {"id": 2, "phone": "+15550002222", "email": "b@x", "more": ["c@x"]}
        book = make_book(policy, one, two, {"id": 3, "phone": "+1 555 000 1111"})
        ids = "c-1", "c-2", "c-3"
        named = [
            f"{name} of c-2 no longer finds the contact; keep_aliases would keep it"
            for name in ("phone: +15550002222", "emails: b@x")
        ]

        plan = book.plan_merge(*ids)
        kept = book.plan_merge(*ids, patch={"phone": two["phone"], "more": ["B@x"]})

        assert plan.explain().split("\n  ")[-2:] == named
        assert "c-2 no longer" not in kept.explain()
        outcome = book.apply(plan)
        assert outcome.explain().split("\n  ")[-2:] == named
        assert "no longer" not in pickle.loads(pickle.dumps(outcome)).explain()  # noqa: S301 - made here

    def test_alias_that_a_merge_releases_is_named(self) -> None:
        """Aliases of a policy that kept them stay, also in a merge."""
        rows = make_book(
            Policy(first_match("id"), {"id": field(key=normalize.exact)}),
            *[{"id": number} for number in (1, 2)],
        ).dump()
        rows[1]["aliases"] = {"id": ["9"]}
        policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
        book = ContactBook.load(policy, rows)

        lines = book.merge("c-1", "c-2").explain().split("\n  ")

        assert dict(book.get("c-1").aliases) == {"id": ("9",)}
        assert [line.split()[:2] for line in lines[1:]] == [["id:", "2"]]

    def test_merged_values_are_shown_with_the_merge_rule(self) -> None:
        policy = Policy(merge_all("id", "email"), merging(LINES, {"name": union}))
        one, two = (
            {"id": 1, "name": ["A"]},
            {"email": "a@x", "name": ["B"], "tags": ["b"]},
        )
        book = make_book(policy, one, two)
        lines = book.merge("c-1", "c-2").explain().split("\n  ")

        assert lines == [
            "merged c-1, with c-2",
            "email: 'a@x' stored (replace, merged by keep)",
            "name: ['A'] -> ['A', 'B'] (replace, merged by union)",
            "tags: ['b'] stored (union, merged by keep)",
        ]

    def test_undo_shows_the_reversed_change_without_rule(self) -> None:
        book = make_book(POLICY, ADA)
        outcome = book.upsert({"id": 1, "name": "A"})

        assert outcome.explain().endswith("name: 'Ada' -> 'A' (replace)")
        assert book.undo(outcome).explain() == "undone c-1\n  name: 'A' -> 'Ada'"

    @pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda o: o])
    def test_pickled_outcome_shows_no_rules(self, twin: Any) -> None:
        outcome = make_book(POLICY).create({"id": 1})
        other = pickle.loads(pickle.dumps(twin(outcome)))  # noqa: S301

        assert other == outcome
        assert other.explain() == "created c-1\n  id: 1 stored"
        assert repr(other) == repr(outcome)

    def test_explanation_does_not_change_with_the_book(self) -> None:
        book = make_book(POLICY, ADA)
        plan = book.plan({"id": 1, "name": "A"})
        before = plan.explain()
        outcome = book.apply(plan)
        after = outcome.explain()
        book.delete("c-1")

        assert isinstance(plan, Plan)
        assert (plan.explain(), outcome.explain()) == (before, after)


def test_unknown_reason_is_shown_as_a_rule() -> None:
    assert explain("x", [], [], ((), [("a", "keep")]), str) == (
        "x\n  a: not stored: its rule is keep"
    )


class TestClocks:
    """A clock that moves is shown, for it may be the only change."""

    def test_clock_set_or_moved_is_shown(self) -> None:
        """In a plan, an outcome and an undo."""
        lines = {"id": field(key=normalize.exact), "at": field(), "keep": field()}
        policy = Policy(
            first_match("id"),
            {
                **lines,
                "name": field(rule=latest(by="at")),
                "at": field(rule=on_create),
            },
        )
        book = make_book(policy)
        patch = {"id": 1, "name": "Ada", "at": 5}
        clock = "name: clock set to 5"
        assert explained(book, patch)[-1] == clock
        assert book.upsert(patch).explain().split("\n  ")[-1] == clock

        later = {**patch, "at": 6}
        assert explained(book, later) == [
            "updated c-1, matched by id",
            "id: 1: decides",
            "name: clock 5 -> 6",
            "at: not stored: its rule is on_create",
        ]
        outcome = book.upsert(later)
        assert (outcome.result, outcome.changes) == ("updated", ())
        assert outcome.explain().split("\n  ")[1] == "name: clock 5 -> 6"
        assert explained(book, later)[2:] == ["at: not stored: its rule is on_create"]
        undone = book.undo(outcome).explain().split("\n  ")
        assert undone[1:] == ["name: clock 6 -> 5"]

    def test_removed_clock_is_shown_as_cleared(self) -> None:
        """A merged field has a clock until it is updated."""
        policy = Policy(
            first_match("id", "email"), merging(LINES, {"name": last_updated})
        )
        book = make_book(policy, {"id": 1}, {"id": 2, "name": "Eve"})
        lines = book.merge("c-1", "c-2").explain().split("\n  ")
        assert lines[-2].startswith("name: clock set to '20")

        lines = explained(book, {"id": 1, "name": "Ada"})
        assert lines[-1].startswith("name: clock '20")
        assert lines[-1].endswith("' cleared")
