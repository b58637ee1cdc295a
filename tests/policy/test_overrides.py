"""One call's own wishes: rules, null and blank in place of the policy's."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.errors import (
    InvalidField,
    InvalidPolicy,
    MissingField,
    StalePlan,
    UnknownField,
)
from upsertcore.policy.overrides import with_overrides
from upsertcore.rules import (
    add,
    add_or_remove,
    append,
    deep,
    deep_keep,
    ignore,
    immutable,
    keep,
    largest,
    last_updated,
    latest,
    on_create,
    replace,
    union,
    unset,
)

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES: dict[str, Any] = {
    "id": field(key=normalize.exact, unique=True),
    "name": field(),
    "tags": field(rule=union),
    "note": field(null="ignore", blank="reject"),
    "at": field(),
}


def book(extra_fields: Any = None, **lines: Any) -> ContactBook:
    """Make a book that knows one contact."""
    numbers = count(1)
    policy = Policy(first_match("id"), {**LINES, **lines}, extra_fields=extra_fields)
    made = ContactBook(policy, ids=lambda: f"{next(numbers)}", clock=lambda: NOW)
    made.create({"id": 1, "name": "Ada", "tags": ["a"], "note": "n"})
    return made


class TestMerge:
    """Rules for one call."""

    @pytest.mark.parametrize(
        ("rule", "name", "sent", "after"),
        [
            (keep, "name", "Bob", "Ada"),
            (on_create, "name", "Bob", "Ada"),
            (unset, "name", "", None),
            (replace, "tags", ["b"], ("b",)),
            (append, "tags", ["a"], ("a", "a")),
            (add_or_remove, "tags", ["-a", "b"], ("b",)),
            (largest, "name", "Bob", "Bob"),
            (add, "at", 5, 5),
            (deep, "at", {"b": 1}, {"b": 1}),
            (deep_keep, "at", {"b": 1}, {"b": 1}),
        ],
        ids=map(str, range(10)),
    )
    def test_a_rule_in_place_of_the_policys(
        self, rule: Any, name: str, sent: Any, after: Any
    ) -> None:
        """The plan of the same call says the same, and applies."""
        patch, rules = {"id": 1, name: sent}, {name: rule}
        made, planned = book(), book()
        outcome = made.upsert(patch, rules=rules)
        plan = planned.plan(patch, rules=rules)

        assert after == outcome.contact.get(name)
        assert outcome == planned.apply(plan)
        assert made.dump() == planned.dump()

    def test_the_next_call_goes_by_the_policy_again(self) -> None:
        """The policy stays as it is."""
        made = book()
        policy, rules = made.policy, {"name": keep}
        assert made.upsert({"id": 1, "name": "Bob"}, rules=rules).ignored == {
            "name": "keep"
        }

        assert made.policy is policy
        assert policy.fields["name"].rule is replace
        assert made.upsert({"id": 1, "name": "Bob"}).contact["name"] == "Bob"

    def test_at_creation_too(self) -> None:
        """What a rule does not take from a new contact is left out and named."""
        made = book()
        outcome = made.upsert({"id": 2, "name": "Bob"}, rules={"name": ignore})

        assert outcome.created
        assert outcome.ignored == {"name": "ignore"}
        assert "name" not in outcome.contact

    def test_a_field_that_is_not_sent(self) -> None:
        """A rule for it says nothing."""
        assert book().upsert({"id": 1}, rules={"name": unset}).unchanged

    def test_no_rule_at_all(self) -> None:
        """An empty wish is none."""
        made = book()

        assert made.upsert({"id": 1, "name": "Bob"}, rules={}).updated
        assert with_overrides(made.policy) is made.policy
        assert with_overrides(made.policy, None, None, None) is made.policy

    def test_an_undeclared_field(self) -> None:
        """Under a rule for others it may have one of its own for a call."""
        made = book(extra_fields=field(rule=replace))
        made.upsert({"id": 1, "city": "Oslo"})
        outcome = made.upsert({"id": 1, "city": "Rome"}, rules={"city": keep})

        assert outcome.contact["city"] == "Oslo"
        assert outcome.ignored == {"city": "keep"}
        assert list(made.policy.fields) == list(LINES)

    def test_a_clock(self) -> None:
        """A rule with a clock records it, and the policy's own rule moves it not."""
        made = book()
        rule = {"name": latest(by="at")}
        made.upsert({"id": 1, "name": "Bob", "at": 5}, rules=rule)
        assert made.get("1").clocks == {"name": 5}

        late = made.upsert({"id": 1, "name": "Eve", "at": 4}, rules=rule)
        assert late.contact["name"] == "Bob"
        assert made.upsert({"id": 1, "name": "Eve"}).contact.clocks == {"name": 5}

    def test_what_is_needed_stays_needed(self) -> None:
        """A field that its rule leaves out is missing."""
        made = book(name=field(required=True))
        with pytest.raises(MissingField, match="name"):
            made.upsert({"id": 2, "name": "Bob"}, rules={"name": ignore})

    def test_a_key_must_still_be_held(self) -> None:
        """A rule may not leave a patch without the contact that it makes."""
        made = book()
        with pytest.raises(InvalidField, match="is a key that its rule ignore"):
            made.upsert({"id": 2}, rules={"id": ignore})

        assert made.upsert({"id": 1}, rules={"id": ignore}).unchanged


class TestNullAndBlank:
    """What null and blank do in one call, in every field."""

    @pytest.mark.parametrize(
        ("how", "sent", "after", "ignored"),
        [
            ({"null": "ignore"}, {"name": None}, {}, {"name": "null"}),
            ({"null": "clear"}, {"note": None}, {"note": None}, {}),
            ({"null": "ignore"}, {"name": ""}, {"name": ""}, {}),
            ({"blank": "ignore"}, {"name": "", "tags": []}, {}, {"name", "tags"}),
            ({"blank": "clear"}, {"note": ""}, {"note": None}, {}),
            ({"blank": "store"}, {"note": ""}, {"note": ""}, {}),
            (
                {"null": "clear", "blank": "clear"},
                {"note": None, "name": ""},
                {"note": None, "name": None},
                {},
            ),
            ({"rules": {"name": keep}, "null": "clear"}, {"name": None}, {}, {"name"}),
        ],
        ids=map(str, range(8)),
    )
    def test_in_place_of_each_line(
        self, how: Any, sent: Any, after: Any, ignored: Any
    ) -> None:
        """Whatever the policy says of it, and the plan says the same."""
        made = book()
        plan, before = made.plan({"id": 1, **sent}, **how), made.get("1")
        outcome = made.apply(plan)

        expected = {**before.fields, **after}
        assert {n: v for n, v in expected.items() if v is not None} == (
            outcome.contact.fields
        )
        assert set(ignored) == set(outcome.ignored)
        assert made.upsert({"id": 1, **sent}, **how).unchanged

    def test_reject(self) -> None:
        """What a line would take may be refused in one call."""
        made = book(extra_fields=field(rule=replace))
        for how, sent in (("null", None), ("blank", "")):
            wish: Any = {how: "reject"}
            for name in ("name", "city"):
                with pytest.raises(InvalidField, match=f"{name}: must not be {how}"):
                    made.upsert({"id": 1, name: sent}, **wish)

        assert made.upsert({"id": 1, "city": "Oslo"}, null="reject").updated

    def test_undeclared_fields(self) -> None:
        """They go by it too."""
        made = book(extra_fields=field(rule=replace))
        outcome = made.upsert({"id": 1, "city": None}, null="ignore")

        assert outcome.ignored == {"city": "null"}
        assert made.policy.field_options("city").null == "clear"


class TestMisuse:
    """A wish that is none is refused, and nothing changes."""

    @pytest.mark.parametrize(
        ("how", "error", "words"),
        [
            ({"rules": {"nmae": keep}}, UnknownField, "nmae: unknown field; did you"),
            ({"rules": {7: keep}}, UnknownField, "7: unknown field; this policy"),
            (
                {"rules": {"name": "keep"}},
                InvalidPolicy,
                "name: rule: must be a r",
            ),
            ({"rules": {"name": None}}, InvalidPolicy, "name: rule: must be a r"),
            (
                {"rules": {"nmae": "keep"}},
                InvalidPolicy,
                "nmae: rule: must be a r",
            ),
            ({"rules": ["name"]}, InvalidPolicy, "rules: must be a mapping of fields"),
            ({"rules": keep}, InvalidPolicy, "rules: must be a mapping of fields to"),
            ({"rules": ""}, InvalidPolicy, "rules: must be a mapping of fields to"),
            (
                {"rules": {"name": latest("x")}},
                InvalidPolicy,
                "needs the field x;",
            ),
            (
                {"rules": {"name": last_updated}},
                InvalidPolicy,
                "name: the rule last_updated compar",
            ),
            ({"rules": {"*": keep}}, UnknownField, r"\*: unknown field"),
            ({"null": "store"}, InvalidPolicy, "null: must be one of 'clear', 'ignor"),
            ({"null": False}, InvalidPolicy, "null: must be one of"),
            ({"blank": "keep"}, InvalidPolicy, "blank: must be one of 'store', 'ign"),
            ({"blank": ""}, InvalidPolicy, "blank: must be one of"),
        ],
        ids=map(str, range(15)),
    )
    def test_it_is_refused(self, how: Any, error: type[Exception], words: str) -> None:
        """By upsert and by plan alike."""
        made = book()
        before = made.dump()
        for call in (made.upsert, made.plan):
            with pytest.raises(error, match=words):
                call({"id": 1, "name": "Bob"}, **how)

        assert made.dump() == before

    def test_a_rule_that_the_keys_cannot_work_with(self) -> None:
        """What a policy could not be made with, a call cannot wish for."""
        lines = {**LINES, "main": field(), "more": field()}
        mails = key(
            "main", "more", normalize=normalize.email, any_of=True, append_new=True
        )
        person = key("name", "note", normalize=normalize.text, unique=True)
        policy = Policy(
            first_match("id"),
            lines,
            keys={"mails": mails, "person": person},
            on_key_in_use="withhold",
        )
        made = ContactBook(policy)
        made.upsert({"id": 1}, rules={"more": union, "main": immutable})
        with pytest.raises(
            InvalidPolicy, match="more: must have the rule replace, keep or"
        ):
            made.upsert({"id": 1}, rules={"more": immutable})
        with pytest.raises(InvalidPolicy, match="note: is part of key person"):
            made.plan({"id": 1}, rules={"note": on_create})

    def test_no_name_stands_for_all_others(self) -> None:
        """A field called * is not what was meant, unless there is one."""
        made = book(extra_fields=field(rule=replace))
        with pytest.raises(InvalidPolicy, match="is not a field; name each"):
            made.upsert({"id": 1, "city": "Oslo"}, rules={"*": keep})

        made = book(extra_fields=field(rule=replace), **{"*": field()})
        made.upsert({"id": 1, "*": "a"}, rules={"*": keep})
        assert made.upsert({"id": 1, "*": "b"}, rules={"*": keep}).unchanged

    def test_an_undeclared_clock_of_others(self) -> None:
        """Where undeclared fields have a rule, any name is a field."""
        made = book(extra_fields=field(rule=replace))
        sent = {"id": 1, "name": "Bob", "x": 7}

        assert made.upsert(sent, rules={"name": latest("x")}).contact.clocks == {
            "name": 7
        }


class TestPlans:
    """A plan with wishes of its own belongs to the policy that it was made of."""

    def test_it_is_applied_where_it_was_made(self) -> None:
        """And nowhere else."""
        made = book()
        plan = made.plan({"id": 1, "name": ""}, blank="clear")
        with pytest.raises(ValueError, match="under this book's policy"):
            book().apply(plan)

        assert "name" not in made.apply(plan).contact
        with pytest.raises(StalePlan, match="at version 2, not 1"):
            made.apply(plan)

    def test_a_merge_with_wishes(self) -> None:
        """The rule of the call is for the patch, and ``absorb`` for the contacts."""
        lines = {
            "id": field(key=normalize.exact),
            "ref": field(key=normalize.exact),
            "n": field(),
        }
        numbers = count(1)
        made = ContactBook(
            Policy(merge_all("id", "ref"), lines), ids=lambda: f"{next(numbers)}"
        )
        made.create({"id": 1, "n": 1})
        made.create({"ref": 2, "n": 5})
        plan = made.plan({"id": 1, "ref": 2, "n": 7}, rules={"n": add})
        outcome = made.apply(plan)

        assert (plan.result, outcome.result) == ("merged", "merged")
        assert outcome.contact["n"] == 8
