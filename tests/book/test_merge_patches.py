"""A merge and a patch of its survivor, in one step: at once, or planned and applied."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tests.book.test_merging import ADA, EVE, FIELDS, POLICY, make_book
from tests.field_options import merging
from upsertcore import ContactBook, Policy, errors, field, first_match
from upsertcore.rules import immutable, keep, last_updated, latest, replace, union

PATCH = {"name": "Ada King", "phone": "+15550009", "tags": ["p"]}


class TestMergeWithAPatch:
    """The patch applies to the merged contact, by the rules of the call."""

    def test_patch_is_applied_after_the_merge_in_one_step(self) -> None:
        book = make_book()
        before = book.dump()

        outcome = book.merge("c-1", "c-2", patch=PATCH, if_version=1)

        survivor = book.get("c-1")
        assert (outcome.result, outcome.contact) == ("merged", survivor)
        assert dict(survivor.fields) == {
            "email": "ada@x",
            "phone": "+15550009",
            "name": "Ada King",
            "tags": ("a", "e", "p"),
        }
        assert (survivor.version, [one.id for one in outcome.merged]) == (2, ["c-2"])
        assert [one.id for one in book.find("phone", "+15550009")] == ["c-1"]
        assert book.find("phone", EVE["phone"]) == ()
        assert book.undo(outcome).result == "undone"
        assert book.dump() == before
        book._index.check()

    def test_second_equal_call_is_unchanged(self) -> None:
        book = make_book()
        how: Any = {"on_itself": "ignore", "patch": PATCH}
        contact = book.merge("c-1", "c-2", **how).contact

        again = book.merge("c-1", "c-2", **how)

        assert (again.result, again.contact) == ("unchanged", contact)
        assert again.contact is book.get("c-1")

    def test_patch_without_another_contact_is_an_update(self) -> None:
        book = make_book()

        outcome = book.merge("c-1", patch={"name": "Ada"})

        assert (outcome.result, outcome.contact["name"]) == ("updated", "Ada")
        assert (outcome.merged, outcome.contact.version) == ((), 2)

    def test_rules_of_the_call_apply_to_the_patch_alone(self) -> None:
        lines = {**FIELDS, "name": field(rule=keep)}
        book = make_book(
            Policy(first_match("email"), merging(lines, {"tags": union})), ADA, EVE
        )

        outcome = book.merge(
            *("c-1", "c-2"), patch=PATCH, rules={"name": replace, "tags": replace}
        )

        assert outcome.contact["name"] == "Ada King"
        assert outcome.contact["tags"] == ("p",)
        kept = make_book(Policy(first_match("email"), lines), ADA, EVE)
        assert kept.merge("c-1", "c-2", patch=PATCH).ignored == {"name": "keep"}

    def test_patch_compares_its_clock_with_that_of_the_merged_value(self) -> None:
        """The value of the other contact came with its clock."""
        by_time = latest(by="at")
        lines = {**FIELDS, "at": field(), "city": field(rule=by_time)}
        oslo, rome = {"city": "Oslo", "at": 1}, {"city": "Rome", "at": 3}
        policy = Policy(first_match("email"), lines)
        book = make_book(policy, {**ADA, **oslo}, {**EVE, **rome})

        older = book.plan_merge("c-1", "c-2", patch={"city": "Bern", "at": 2})
        newer = book.plan_merge("c-1", "c-2", patch={"city": "Bern", "at": 4})

        assert (older.after["city"], older.clocks["city"]) == ("Rome", 3)
        assert older.ignored == {"city": "latest(by='at')"}
        assert (newer.after["city"], newer.clocks["city"]) == ("Bern", 4)

    def test_patch_clears_the_update_time_of_a_merged_value(self) -> None:
        lines = {**FIELDS, "city": field(on_merge=last_updated)}
        policy = Policy(first_match("email"), lines)
        book = make_book(policy, {**ADA, "city": "Oslo"}, {**EVE, "city": "Rome"})

        merged = book.plan_merge("c-1", "c-2")
        patched = book.plan_merge("c-1", "c-2", patch={"city": "Bern"})

        assert (merged.after["city"], "city" in merged.clocks) == ("Rome", True)
        assert (patched.after["city"], "city" in patched.clocks) == ("Bern", False)

    def test_wrong_version_of_the_survivor_is_refused(self) -> None:
        book = make_book()
        book.upsert({"email": "ada@x", "name": "Ada"})
        before = book.dump()

        for others in (("c-2",), ()):
            with pytest.raises(errors.StaleVersion) as caught:
                book.merge("c-1", *others, if_version=1)
            assert (caught.value.id, caught.value.actual) == ("c-1", 2)
        with pytest.raises(errors.InvalidField, match="if_version"):
            book.merge("c-1", "c-2", if_version=0)

        assert book.dump() == before
        assert book.merge("c-1", "c-2", if_version=2).result == "merged"

    @pytest.mark.parametrize(
        ("patch", "refusal"),
        [
            ({"city": "Oslo"}, errors.UnknownField),
            ([("name", "Ada")], errors.InvalidField),
            ({"email": "bob@x"}, errors.KeyInUse),
            ({"ref": "r-2"}, errors.InvalidField),
        ],
    )
    def test_refused_patch_merges_nothing(self, patch: Any, refusal: Any) -> None:
        policy = Policy(first_match("email"), {**FIELDS, "ref": field(rule=immutable)})
        book = make_book(policy, {**ADA, "ref": "r-1"}, EVE, {"email": "bob@x"})
        before = book.dump()

        for call in (book.merge, book.plan_merge):
            with pytest.raises(refusal):
                call("c-1", "c-2", patch=patch)

        assert book.dump() == before

    def test_key_of_a_contact_outside_is_withheld_from_the_patch(self) -> None:
        policy = Policy(first_match("email"), FIELDS, on_key_in_use="withhold")
        book = make_book(policy)

        outcome = book.merge("c-1", "c-2", patch={"email": "bob@x", "name": "Ada"})

        assert [(one.field, one.holder) for one in outcome.withheld] == [
            ("email", "c-3")
        ]
        assert (outcome.contact["email"], outcome.contact["name"]) == ("ada@x", "Ada")

    def test_key_of_a_merged_contact_is_free_for_the_patch(self) -> None:
        book = make_book()

        outcome = book.merge("c-1", "c-2", patch={"email": "eve@x"})

        assert (outcome.contact["email"], outcome.withheld) == ("eve@x", ())
        assert [one.id for one in book.find("email", "eve@x")] == ["c-1"]

    def test_on_found_ignore_concerns_what_a_patch_finds(self) -> None:
        """A merge by ids updates the contact that it is told; ``"refuse"`` does not."""
        book = make_book(Policy(first_match("email"), FIELDS, on_found="ignore"))
        assert book.merge("c-1", "c-2", patch={"name": "Ada"}).contact["name"] == "Ada"

        book = make_book(Policy(first_match("email"), FIELDS, on_found="refuse"))
        with pytest.raises(errors.UpdateRefused):
            book.merge("c-1", patch={"name": "Ada"})
        assert book.merge("c-1", patch={"email": "ada@x"}).unchanged

    def test_patch_without_a_value_reports_what_it_ignores(self) -> None:
        lines = {**FIELDS, "name": field(null="ignore")}
        book = make_book(Policy(first_match("email"), lines))

        outcome = book.merge("c-1", patch={"name": None})

        assert outcome.unchanged
        assert outcome.ignored == {"name": "null"}

    @pytest.mark.parametrize("on_deleted", ["restore", "refuse"])
    def test_patch_of_a_deleted_survivor_restores_it_or_is_refused(
        self, on_deleted: Any
    ) -> None:
        book = make_book(Policy(first_match("email"), FIELDS, on_deleted=on_deleted))
        book.delete("c-1")
        if on_deleted == "refuse":
            with pytest.raises(errors.ContactDeleted):
                book.merge("c-1", patch={"name": "Ada"})
            return

        outcome = book.merge("c-1", patch={"name": "Ada"})

        assert (outcome.result, outcome.contact.deleted_at) == ("updated", None)

    def test_invalid_rule_of_the_call_is_an_error(self) -> None:
        rule: Any = "union"
        with pytest.raises(errors.InvalidPolicy, match="tags: rule"):
            make_book().merge("c-1", "c-2", rules={"tags": rule})


class TestPlanMerge:
    """A plan of a merge is applied if nothing that it has read has changed."""

    def test_applied_plan_is_the_merge(self) -> None:
        book, twin = make_book(), make_book()

        plan = book.plan_merge("c-1", "c-2", patch=PATCH, rules={"tags": replace})

        assert (plan.result, [one.id for one in plan.merged]) == ("merged", ["c-2"])
        assert [(one.field, one.after) for one in plan.changes] == [
            ("phone", "+15550009"),
            ("name", "Ada King"),
            ("tags", ("p",)),
        ]
        assert (plan.trace, dict(plan.expects.versions)) == ((), {"c-1": 1, "c-2": 1})
        assert len(book) == 3
        applied = book.apply(pickle.loads(pickle.dumps(plan)))  # noqa: S301 - made here
        at_once = twin.merge("c-1", "c-2", patch=PATCH, rules={"tags": replace})
        assert (applied, book.dump()) == (at_once, twin.dump())
        assert book.undo(applied).result == "undone"

    def test_plan_explains_the_merge(self) -> None:
        plan = make_book().plan_merge("c-1", "c-2", patch={"name": "Ada"})

        assert plan.explain().splitlines()[0] == "merged c-1, with c-2"
        assert "  name: 'Ada' stored (replace, merged by keep)" in plan.explain()

    @pytest.mark.parametrize(
        "change",
        [
            lambda book: book.upsert({"email": "ada@x", "name": "Eva"}),
            lambda book: book.upsert({"email": "eve@x", "name": "Eva"}),
            lambda book: book.merge("c-1", "c-2"),
            lambda book: book.merge("c-2", "c-3"),
            lambda book: book.delete("c-2"),
            lambda book: book.create({"email": "new@x"}),
        ],
        ids=("survivor", "other", "merged", "other merged", "deleted", "key taken"),
    )
    def test_plan_that_no_longer_holds_is_stale(
        self, change: Callable[[ContactBook], object]
    ) -> None:
        book = make_book()
        plan = book.plan_merge("c-1", "c-2", patch={"email": "new@x"})
        change(book)
        before = book.dump()

        with pytest.raises(errors.StalePlan):
            book.apply(plan)

        assert book.dump() == before

    def test_change_of_a_contact_outside_leaves_the_plan_valid(self) -> None:
        book = make_book()
        plan = book.plan_merge("c-1", "c-2")
        book.upsert({"email": "bob@x", "name": "Bo"})

        assert book.apply(plan).result == "merged"

    def test_plan_without_another_contact_is_unchanged(self) -> None:
        book = make_book()
        plan = book.plan_merge("c-1", "c-1", on_itself="ignore")

        assert (plan.result, book.apply(plan).result) == ("unchanged", "unchanged")

    def test_plan_of_a_merge_is_refused_where_the_merge_is(self) -> None:
        book = make_book(POLICY, ADA, scope="s")
        with pytest.raises(errors.InvalidField, match="is the survivor itself"):
            book.plan_merge("c-1", "c-1", scope="s")
        for ids, scope in ((("c-1", "c-9"), "s"), (("c-1",), "")):
            with pytest.raises(errors.UnknownContact):
                book.plan_merge(*ids, scope=scope)
