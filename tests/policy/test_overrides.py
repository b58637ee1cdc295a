"""Options of one call: rules, null and blank in place of those of the policy."""

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
    CreateRefused,
    IdempotencyKeyReused,
    InvalidField,
    InvalidPolicy,
    MissingField,
    StalePlan,
    UnknownField,
    UpdateRefused,
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


def make_book(extra_fields: Any = None, **lines: Any) -> ContactBook:
    """Make a book of one contact."""
    numbers = count(1)
    policy = Policy(first_match("id"), {**LINES, **lines}, extra_fields=extra_fields)
    book = ContactBook(policy, ids=lambda: f"{next(numbers)}", clock=lambda: NOW)
    book.create({"id": 1, "name": "Ada", "tags": ["a"], "note": "n"})
    return book


class TestRules:
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
    def test_rule_of_a_call_replaces_that_of_the_policy(
        self, rule: Any, name: str, sent: Any, after: Any
    ) -> None:
        """The plan with the same rules has the same outcome."""
        patch, rules = {"id": 1, name: sent}, {name: rule}
        book, planned = make_book(), make_book()
        outcome = book.upsert(patch, rules=rules)
        plan = planned.plan(patch, rules=rules)

        assert after == outcome.contact.get(name)
        assert outcome == planned.apply(plan)
        assert book.dump() == planned.dump()

    def test_rules_of_a_call_do_not_change_the_policy(self) -> None:
        book = make_book()
        policy, rules = book.policy, {"name": keep}
        assert book.upsert({"id": 1, "name": "Bob"}, rules=rules).ignored == {
            "name": "keep"
        }

        assert book.policy is policy
        assert policy.fields["name"].rule is replace
        assert book.upsert({"id": 1, "name": "Bob"}).contact["name"] == "Bob"

    def test_rule_of_a_call_applies_to_a_new_contact(self) -> None:
        """A field it does not store is named as ignored."""
        book = make_book()
        outcome = book.upsert({"id": 2, "name": "Bob"}, rules={"name": ignore})

        assert outcome.created
        assert outcome.ignored == {"name": "ignore"}
        assert "name" not in outcome.contact

    def test_rule_for_an_omitted_field_does_nothing(self) -> None:
        assert make_book().upsert({"id": 1}, rules={"name": unset}).unchanged

    def test_call_without_options_has_the_same_policy(self) -> None:
        book = make_book()

        assert book.upsert({"id": 1, "name": "Bob"}, rules={}).updated
        assert with_overrides(book.policy) is book.policy
        assert with_overrides(book.policy, None, None, None) is book.policy

    def test_undeclared_field_may_have_a_rule_for_a_call(self) -> None:
        """If the policy has a rule for extra fields."""
        book = make_book(extra_fields=field(rule=replace))
        book.upsert({"id": 1, "city": "Oslo"})
        outcome = book.upsert({"id": 1, "city": "Rome"}, rules={"city": keep})

        assert outcome.contact["city"] == "Oslo"
        assert outcome.ignored == {"city": "keep"}
        assert list(book.policy.fields) == list(LINES)

    def test_clock_of_a_call_is_recorded(self) -> None:
        """The rule of the policy does not move it."""
        book = make_book()
        rule = {"name": latest(by="at")}
        book.upsert({"id": 1, "name": "Bob", "at": 5}, rules=rule)
        assert book.get("1").clocks == {"name": 5}

        outcome = book.upsert({"id": 1, "name": "Eve", "at": 4}, rules=rule)
        assert outcome.contact["name"] == "Bob"
        assert book.upsert({"id": 1, "name": "Eve"}).contact.clocks == {"name": 5}

    def test_required_field_under_ignore_is_missing(self) -> None:
        book = make_book(name=field(required=True))
        with pytest.raises(MissingField, match="name"):
            book.upsert({"id": 2, "name": "Bob"}, rules={"name": ignore})

    def test_rule_that_drops_the_key_is_refused(self) -> None:
        book = make_book()
        with pytest.raises(InvalidField, match="is a key that its rule ignore"):
            book.upsert({"id": 2}, rules={"id": ignore})

        assert book.upsert({"id": 1}, rules={"id": ignore}).unchanged


class TestNullAndBlank:
    """Null and blank options of one call, for all fields."""

    @pytest.mark.parametrize(
        ("options", "sent", "after", "ignored"),
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
    def test_null_and_blank_of_a_call_replace_those_of_the_policy(
        self, options: Any, sent: Any, after: Any, ignored: Any
    ) -> None:
        """The plan has the same outcome."""
        book = make_book()
        plan, before = book.plan({"id": 1, **sent}, **options), book.get("1")
        outcome = book.apply(plan)

        expected = {**before.fields, **after}
        assert {n: v for n, v in expected.items() if v is not None} == (
            outcome.contact.fields
        )
        assert set(ignored) == set(outcome.ignored)
        assert book.upsert({"id": 1, **sent}, **options).unchanged

    def test_null_or_blank_may_be_rejected_for_a_call(self) -> None:
        book = make_book(extra_fields=field(rule=replace))
        for option, sent in (("null", None), ("blank", "")):
            options: Any = {option: "reject"}
            for name in ("name", "city"):
                with pytest.raises(InvalidField, match=f"{name}: must not be {option}"):
                    book.upsert({"id": 1, name: sent}, **options)

        assert book.upsert({"id": 1, "city": "Oslo"}, null="reject").updated

    def test_null_option_applies_to_undeclared_fields(self) -> None:
        book = make_book(extra_fields=field(rule=replace))
        outcome = book.upsert({"id": 1, "city": None}, null="ignore")

        assert outcome.ignored == {"city": "null"}
        assert book.policy.field_options("city").null == "clear"


class TestFoundAndNotFound:
    """What one call does where a contact matches, and where none does."""

    def test_call_that_only_updates_creates_nothing(self) -> None:
        book = make_book()
        before = book.dump()
        with pytest.raises(CreateRefused):
            book.upsert({"id": 2}, on_not_found="refuse")
        with pytest.raises(CreateRefused):
            book.plan({"id": 2}, on_not_found="refuse")

        assert before == book.dump()
        assert book.upsert({"id": 1, "name": "Bob"}, on_not_found="refuse").updated
        assert book.upsert({"id": 2}).created

    def test_call_that_only_creates_changes_nothing(self) -> None:
        """It is ignored, with the fields it would have changed, or refused."""
        book = make_book()
        outcome = book.upsert({"id": 1, "name": "Bob"}, on_found="ignore")
        assert outcome.unchanged
        assert outcome.ignored == {"name": "on_found"}
        with pytest.raises(UpdateRefused):
            book.upsert({"id": 1, "name": "Bob"}, on_found="refuse")

        assert book.upsert({"id": 1, "name": "Ada"}, on_found="refuse").unchanged
        assert book.upsert({"id": 2, "name": "Bob"}, on_found="ignore").created

    def test_call_may_update_under_a_policy_that_does_not(self) -> None:
        policy = Policy(first_match("id"), LINES, on_found="refuse")
        book = ContactBook(policy)
        book.upsert({"id": 1, "name": "Ada"})
        plan = book.plan({"id": 1, "name": "Bob"}, on_found="update")

        assert book.apply(plan).contact["name"] == "Bob"

    def test_fast_path_has_the_choice_of_the_call(self) -> None:
        book = make_book()
        book.upsert({"id": 1, "name": "Bob"}, on_found="ignore")
        policies = [policy for policy, _one, many in book._overrides.values() if many]

        assert [policy.on_found for policy in policies] == ["ignore"]

    @pytest.mark.parametrize(
        "options",
        [
            {"on_found": "ignore"},
            {"on_not_found": "refuse"},
            {"null": "ignore"},
            {"rules": {"name": keep}},
        ],
        ids=str,
    )
    def test_idempotency_key_is_of_one_choice(self, options: Any) -> None:
        book = make_book()
        call: dict[str, Any] = {"idempotency_key": "k"}
        book.upsert({"id": 1, "name": "Bob"}, **call)
        with pytest.raises(IdempotencyKeyReused):
            book.upsert({"id": 1, "name": "Bob"}, **call, **options)

        assert book.upsert({"id": 1, "name": "Bob"}, **call, null=None).replayed


class TestBatches:
    """Options of the calls of a batch, in every mode."""

    @pytest.mark.parametrize("on_duplicates", ["fold", "refuse_later", "refuse_all"])
    @pytest.mark.parametrize("how", [{}, {"on_refused": "collect"}, {"atomic": True}])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"null": "ignore", "blank": "clear"},
            {"rules": {"name": keep}},
            {"on_found": "ignore"},
        ],
        ids=str,
    )
    def test_options_apply_to_each_patch(
        self, options: Any, how: Any, on_duplicates: Any
    ) -> None:
        patches: list[dict[str, Any]]
        patches = [{"id": 1, "name": None, "note": "m"}, {"id": 2, "name": ""}]
        one, many = make_book(), make_book()
        outcomes = [one.upsert(patch, **options) for patch in patches]

        assert outcomes == [
            *many.upsert_many(patches, on_duplicates=on_duplicates, **how, **options)
        ]
        assert one.dump() == many.dump()

    @pytest.mark.parametrize("atomic", [False, True])
    def test_batch_that_only_updates_refuses_the_row_it_would_create(
        self, atomic: Any
    ) -> None:
        book = make_book()
        patches: list[dict[str, Any]] = [{"id": 1, "name": "Bob"}, {"id": 2}]
        with pytest.raises(CreateRefused) as refusal:
            book.upsert_many(patches, atomic=atomic, on_not_found="refuse")

        assert refusal.value.row == 1
        assert len(book) == 1
        assert book.get("1")["name"] == ("Ada" if atomic else "Bob")

    def test_batch_with_an_invalid_option_reads_no_patch(self) -> None:
        patches = iter([{"id": 1}])
        for options in ({"null": "keep"}, {"rules": {"nmae": keep}}):
            invalid: Any = options
            with pytest.raises((InvalidPolicy, UnknownField)):
                make_book().upsert_many(patches, **invalid)

        assert len([*patches]) == 1


class TestInvalidOptions:
    """Invalid options of a call are refused, and nothing changes."""

    @pytest.mark.parametrize(
        ("options", "error", "words"),
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
            ({"on_found": "create"}, InvalidPolicy, "on_found: must be one of 'upda"),
            ({"on_not_found": ""}, InvalidPolicy, "on_not_found: must be one of"),
            (
                {"on_found": "ignore", "on_not_found": "refuse"},
                InvalidPolicy,
                "on_found: must be 'update' where on_not_found='refuse', not 'ignore'",
            ),
            ({"ruls": {}}, TypeError, "'ruls': is no argument; use one of rules, nul"),
        ],
        ids=map(str, range(19)),
    )
    def test_invalid_option_is_refused(
        self, options: Any, error: type[Exception], words: str
    ) -> None:
        """By upsert and by plan."""
        book = make_book()
        before = book.dump()
        for call in (book.upsert, book.plan):
            with pytest.raises(error, match=words):
                call({"id": 1, "name": "Bob"}, **options)

        assert book.dump() == before

    def test_rule_unfit_for_the_keys_is_refused(self) -> None:
        """As in a policy."""
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
        book = ContactBook(policy)
        book.upsert({"id": 1}, rules={"more": union, "main": immutable})
        with pytest.raises(
            InvalidPolicy, match="more: must have the rule replace, keep or"
        ):
            book.upsert({"id": 1}, rules={"more": immutable})
        with pytest.raises(InvalidPolicy, match="note: is part of key person"):
            book.plan({"id": 1}, rules={"note": on_create})

    def test_star_is_a_field_name_and_no_wildcard(self) -> None:
        """It is refused unless there is such a field."""
        book = make_book(extra_fields=field(rule=replace))
        with pytest.raises(InvalidPolicy, match="is not a field; name each"):
            book.upsert({"id": 1, "city": "Oslo"}, rules={"*": keep})

        book = make_book(extra_fields=field(rule=replace), **{"*": field()})
        book.upsert({"id": 1, "*": "a"}, rules={"*": keep})
        assert book.upsert({"id": 1, "*": "b"}, rules={"*": keep}).unchanged

    def test_clock_of_a_call_may_be_undeclared(self) -> None:
        """If the policy has a rule for extra fields."""
        book = make_book(extra_fields=field(rule=replace))
        sent = {"id": 1, "name": "Bob", "x": 7}

        assert book.upsert(sent, rules={"name": latest("x")}).contact.clocks == {
            "name": 7
        }


class TestPlans:
    """A plan with options applies to the policy it was made for."""

    def test_plan_with_options_applies_under_an_equal_policy_only(self) -> None:
        book = make_book()
        plan = book.plan({"id": 1, "name": ""}, blank="clear")
        with pytest.raises(ValueError, match="under this book's policy"):
            make_book(more=field()).apply(plan)

        assert "name" not in book.apply(plan).contact
        with pytest.raises(StalePlan, match="at version 2, not 1"):
            book.apply(plan)

    def test_rule_of_a_call_is_not_the_merge_rule(self) -> None:
        lines = {
            "id": field(key=normalize.exact),
            "ref": field(key=normalize.exact),
            "n": field(),
        }
        numbers = count(1)
        book = ContactBook(
            Policy(merge_all("id", "ref"), lines), ids=lambda: f"{next(numbers)}"
        )
        book.create({"id": 1, "n": 1})
        book.create({"ref": 2, "n": 5})
        plan = book.plan({"id": 1, "ref": 2, "n": 7}, rules={"n": add})
        outcome = book.apply(plan)

        assert (plan.result, outcome.result) == ("merged", "merged")
        assert outcome.contact["n"] == 8
