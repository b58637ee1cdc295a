"""The rules that each merge asks: one refuses it, one sets a value after it."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    merge_all,
    normalize,
    rules,
)
from upsertcore.laws.rules import declares_what_it_has
from upsertcore.rules import constant, latest, refuse_if
from upsertcore.rules.rule import Rule

VALUES: list[Any] = [None, "", [], "x", "y", 1, True, {"a": 1}]


def make_book(
    line: Any, *rows: dict[str, Any], match: Any = first_match
) -> ContactBook:
    """Make a book of contacts c-1, c-2, ... that may have a field ``status``."""
    fields = {
        "user": field(key=normalize.exact, keep_aliases=True),
        "email": field(key=normalize.exact, keep_aliases=True),
        "at": field(),
        "status": line,
    }
    ids = iter([f"c-{number}" for number in range(1, 9)])
    book = ContactBook(Policy(match("user", "email"), fields), ids=ids.__next__)
    for number, row in enumerate(rows):
        book.create({"user": number, **row})
    return book


class TestConstant:
    """After a merge, a field has one value."""

    @pytest.mark.parametrize(
        ("own", "other"),
        [
            ({}, {}),
            ({"status": "a"}, {}),
            ({}, {"status": "b"}),
            ({"status": "a"}, {"status": "b"}),
            ({"status": "z"}, {"status": ""}),
        ],
    )
    def test_value_is_set_whichever_contact_has_one(self, own: Any, other: Any) -> None:
        book = make_book(field(on_merge=constant("z")), own, other)
        plan = book.plan_merge("c-1", "c-2")

        outcome = book.merge("c-1", "c-2")

        assert (plan.after, outcome.contact["status"]) == (outcome.contact.fields, "z")
        assert book.undo(outcome).contact.get("status") == own.get("status")

    def test_patch_and_update_do_not_set_it(self) -> None:
        book = make_book(field(on_merge=constant("z"), default="new"), {})
        assert book.get("c-1")["status"] == "new"
        assert book.upsert({"user": 0, "status": "a"}).contact["status"] == "a"
        assert book.merge("c-1", patch={"status": "b"}).contact["status"] == "b"

    def test_patch_of_the_merge_replaces_it(self) -> None:
        book = make_book(field(on_merge=constant("z")), {}, {})

        outcome = book.merge("c-1", "c-2", patch={"status": "b"})

        assert outcome.contact["status"] == "b"

    def test_merge_by_keys_sets_it(self) -> None:
        line = field(on_merge=constant("z"))
        book = make_book(line, {}, match=merge_all)
        book.upsert({"email": "ada"})

        outcome = book.upsert({"user": 0, "email": "ada"})

        assert (outcome.result, outcome.contact["status"]) == ("merged", "z")
        words = "status: 'z' stored (replace, merged by constant('z'))"
        assert words in outcome.explain()

    @pytest.mark.parametrize(
        ("rows", "clock"),
        [
            (({"status": "a", "at": 1}, {"status": "b", "at": 2}), 2),
            (({"status": "a", "at": 2}, {"status": "b", "at": 1}), 2),
            (({"status": "a", "at": 2}, {"status": "z", "at": 1}), 1),
            (({"status": "z", "at": 1}, {"status": "z", "at": 2}), 2),
            (({"status": "z", "at": 1}, {"status": "b", "at": 2}), 1),
            (({"status": "z", "at": 1}, {}), 1),
            (({}, {"status": "b", "at": 2}), 2),
            (({}, {}), None),
        ],
    )
    def test_value_has_the_clock_of_its_contact_or_the_later(
        self, rows: Any, clock: Any
    ) -> None:
        """So an older patch does not replace what a merge has set."""
        line = field(rule=latest(by="at"), on_merge=constant("z"))
        book = make_book(line, *rows)

        merged = book.merge("c-1", "c-2").contact

        assert (merged["status"], merged.clocks.get("status")) == ("z", clock)


class TestRefuseIf:
    """A contact with the value is merged into no other."""

    def test_value_of_the_other_refuses_the_merge(self) -> None:
        book = make_book(field(on_merge=refuse_if("user")), {}, {"status": "user"})
        before = book.dump()

        with pytest.raises(errors.InvalidField):
            book.plan_merge("c-1", "c-2")
        with pytest.raises(errors.InvalidField) as caught:
            book.merge("c-1", "c-2")

        assert (caught.value.field, caught.value.holder) == ("status", "c-2")
        assert str(caught.value) == (
            "status: must be one that allows a merge, and contact c-2 holds another "
            "value; leave it out, or change its value"
        )
        assert (caught.value.value, book.dump()) == (None, before)

    @pytest.mark.parametrize(
        ("own", "other", "after"),
        [
            ({"status": "user"}, {"status": "lead"}, "user"),
            ({"status": "user"}, {}, "user"),
            ({}, {"status": "lead"}, "lead"),
            ({"status": ""}, {"status": "lead"}, "lead"),
            ({"status": "new"}, {"status": "lead"}, "lead"),
            ({"status": "lead"}, {"status": "new"}, "lead"),
            ({"status": ""}, {"status": "new"}, ""),
            ({"status": "lead"}, {"status": " "}, "lead"),
        ],
    )
    def test_otherwise_the_value_of_the_survivor_stays(
        self, own: Any, other: Any, after: Any
    ) -> None:
        line = field(on_merge=refuse_if("user"), default="new")
        book = make_book(line, own, other)

        assert book.merge("c-1", "c-2").contact["status"] == after

    def test_field_that_neither_has_is_not_set(self) -> None:
        book = make_book(field(on_merge=refuse_if("user")), {}, {})

        outcome = book.merge("c-1", "c-2")

        assert ("status" in outcome.contact, outcome.changes) == (False, ())

    def test_merge_by_keys_is_refused(self) -> None:
        book = make_book(field(on_merge=refuse_if("user")), {}, match=merge_all)
        book.upsert({"email": "ada", "status": "user"})

        with pytest.raises(errors.InvalidField, match="status: must be one that"):
            book.upsert({"user": 0, "email": "ada"})

    def test_dedupe_reports_the_refusal(self) -> None:
        rows = [{"email": "ada"}, {"email": "ada", "status": "user"}]
        book = make_book(field(on_merge=refuse_if("user")), *rows)

        (refusal,) = book.dedupe("email", on_refused="collect")

        assert isinstance(refusal, errors.InvalidField)
        assert book.dedupe("email", keep="newest")[0].contact["status"] == "user"  # type: ignore[union-attr]

    def test_value_and_clock_of_a_cleared_field_stay(self) -> None:
        line = field(rule=latest(by="at"), on_merge=refuse_if("user"))
        rows = [{"status": None, "at": number} for number in (1, 2)]
        book = make_book(line, *rows)

        merged = book.merge("c-1", "c-2").contact

        assert (merged.get("status"), merged.clocks["status"]) == (None, 1)


@pytest.mark.parametrize("rule", [constant("x"), refuse_if("x")], ids=str)
def test_rule_declares_the_laws_that_it_has(rule: Rule) -> None:
    declares_what_it_has(rule, VALUES)

    assert (rule.merges_only, rule.asks_absent, rule.value) == (True, True, "x")


@pytest.mark.parametrize("make", [constant, refuse_if])
@pytest.mark.parametrize("value", [None, "", " ", [], {}, {1}], ids=repr)
def test_rule_needs_a_value(make: Any, value: Any) -> None:
    with pytest.raises(errors.InvalidPolicy, match=f"{make.__name__}: value must "):
        make(value)


def test_rule_of_every_field_is_refused() -> None:
    """Each merge would set, or ask, every field."""
    fields = {"id": field(key=normalize.exact)}
    words = r"the rule constant\(1\) is about one field; write field\(on_merge="
    with pytest.raises(errors.InvalidPolicy, match=f"^on_merge: {words}"):
        Policy(first_match("id"), fields, on_merge=constant(1))
    extra = field(on_merge=constant(1))
    with pytest.raises(errors.InvalidPolicy, match=f"^extra_fields: on_merge: {words}"):
        Policy(first_match("id"), fields, extra_fields=extra)
    open_set = field(on_merge=rules.keep)
    assert Policy(first_match("id"), fields, extra_fields=open_set).extra_fields


def test_rule_in_a_call_is_refused() -> None:
    book = make_book(field(), {})
    with pytest.raises(errors.InvalidPolicy, match="use it as on_merge"):
        book.upsert({"user": 0}, rules={"status": constant(1)})
