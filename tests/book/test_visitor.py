"""A visitor, which becomes part of the contact that the keys match."""

from __future__ import annotations

from itertools import count
from typing import Any, ClassVar

import pytest

from tests.book.test_own_id import twice
from upsertcore import (
    ContactBook,
    Policy,
    all_agree,
    errors,
    field,
    first_match,
    merge_all,
    never,
    normalize,
    rules,
)

FIELDS: dict[str, Any] = {
    "email": field(key=normalize.email, unique=True),
    "phone": field(key=normalize.exact),
    "name": field(),
    "pages": field(rule=rules.union, on_merge=rules.union),
}
ADA = {"email": "ada@x.org", "name": "Ada"}


def make_book(match: Any = None, **options: Any) -> ContactBook:
    """Make a book with ada (c-1), bob (c-2), and the visitor (c-3)."""
    policy = Policy(match or first_match("email", "phone"), FIELDS, **options)
    book = ContactBook(policy, ids=map("c-{}".format, count(1)).__next__)
    book.create({"email": "ada@x.org", "phone": "1", "name": "Ada"})
    book.create({"email": "bob@x.org", "phone": "2", "name": "Bob"})
    book.create({"pages": ["/start"]})
    return book


@pytest.fixture
def book() -> ContactBook:
    return make_book(on_no_key="create")


def test_visitor_is_merged_into_the_contact_that_the_keys_match(
    book: ContactBook,
) -> None:
    outcome = twice(book, "upsert", {**ADA, "pages": ["/login"]}, visitor="c-3")

    assert (outcome.result, outcome.contact.id) == ("merged", "c-1")
    assert outcome.contact["pages"] == ("/start", "/login")
    assert (book.get("c-3").id, outcome.matched_by) == ("c-1", "email")
    assert book.undo(outcome).result == "undone"
    assert book.get("c-3")["pages"] == ("/start",)


def test_visitor_is_the_contact_where_the_keys_match_none(book: ContactBook) -> None:
    """Also where the patch has no key."""
    outcome = twice(book, "upsert", {"email": "eve@x.org"}, visitor="c-3")
    assert (outcome.result, outcome.contact.id) == ("updated", "c-3")
    assert outcome.matched_by is None
    assert twice(book, "upsert", {"name": "Eve"}, visitor="c-3").contact.id == "c-3"


def test_visitor_that_is_the_match_is_updated(book: ContactBook) -> None:
    outcome = twice(book, "upsert", {**ADA, "name": "A."}, visitor="c-1")

    assert (outcome.result, outcome.also_matched) == ("updated", ())


class TestAnotherContact:
    """A visitor that holds another value of a key of the patch."""

    def test_visitor_stays_and_is_reported(self, book: ContactBook) -> None:
        bob = book.get("c-2")
        outcome = twice(book, "upsert", {**ADA, "name": "A."}, visitor="c-2")

        assert (outcome.result, outcome.contact.id) == ("updated", "c-1")
        assert outcome.also_matched == ("c-2",)
        assert outcome.ignored == {"visitor": "visitor"}
        assert book.get("c-2") == bob

    def test_new_person_is_created(self, book: ContactBook) -> None:
        """And the visitor stays as it is."""
        outcome = twice(book, "upsert", {"email": "eve@x.org"}, visitor="c-2")

        assert (outcome.result, outcome.contact.id) == ("created", "c-4")
        assert outcome.also_matched == ("c-2",)

    @pytest.mark.parametrize("email", ["ada@x.org", "eve@x.org"])
    def test_all_agree_refuses_the_call(self, email: str) -> None:
        book = make_book(all_agree("email", "phone"), on_no_key="create")
        with pytest.raises(errors.KeysDisagree, match="visitor"):
            book.upsert({"email": email}, visitor="c-2")
        assert book.upsert({"email": email}, visitor="c-3").contact.merged_ids in (
            ("c-3",),
            (),
        )

    @pytest.mark.parametrize("how", [{}, {"id": "c-1"}])
    def test_refusal_names_each_key_that_matches(self, how: dict[str, Any]) -> None:
        """And the id of the call, which decides alone."""
        book = make_book(all_agree("email", "phone"))
        with pytest.raises(errors.KeysDisagree) as caught:
            book.upsert({**ADA, "phone": "1"}, visitor="c-2", **how)
        assert caught.value.keys == ("visitor", *how, "email", "phone")
        assert caught.value.ids == ("c-2", "c-1")

    def test_rule_of_a_merge_may_refuse_the_call(self) -> None:
        fields = {**FIELDS, "pages": field(on_merge=rules.refuse_if(["/start"]))}
        policy = Policy(first_match("email"), fields, on_no_key="create")
        book = ContactBook(policy, ids=map("c-{}".format, count(1)).__next__)
        book.upsert(ADA)
        book.create({"pages": ["/start"]})
        with pytest.raises(errors.InvalidField):
            book.upsert(ADA, visitor="c-2")

    def test_explanation_names_the_visitor(self, book: ContactBook) -> None:
        plan = book.plan(ADA, visitor="c-2")
        notes = {step.key: step.note for step in plan.trace}
        reason = "another contact: it holds another value of a key of the patch"
        assert notes["visitor"] == reason
        last = plan.explain().splitlines()[-1]
        assert last == "  visitor: not stored: the visitor is another contact"


@pytest.mark.parametrize(
    ("visitor", "note"),
    [
        ("c-3", "matches another contact, which is merged"),
        ("c-1", "agrees"),
        ("x", "no contact has it"),
    ],
)
def test_trace_has_a_step_of_the_visitor(
    book: ContactBook, visitor: str, note: str
) -> None:
    [step, *_] = book.plan(ADA, visitor=visitor).trace
    assert (step.key, step.note) == ("visitor", note)


def test_trace_of_a_visitor_that_is_the_contact(book: ContactBook) -> None:
    [step, *_] = book.plan({"email": "eve@x.org"}, visitor="c-3").trace
    assert (step.key, step.note) == ("visitor", "decides")


class TestUnknown:
    """A visitor that no contact of the scope is."""

    def test_unknown_visitor_is_ignored_by_name(self, book: ContactBook) -> None:
        outcome = twice(book, "upsert", {**ADA, "name": "A."}, visitor="x")
        assert outcome.contact.id == "c-1"
        assert outcome.ignored == {"visitor": "id"}
        outcome = twice(book, "upsert", {"email": "eve@x.org"}, visitor="x")
        assert (outcome.result, outcome.contact.id) == ("created", "c-4")
        elsewhere = book.upsert({"email": "eve@x.org"}, visitor="c-3", scope="s")
        assert elsewhere.ignored == {"visitor": "id"}

    def test_unknown_visitor_is_refused_where_unknown_ids_are(self) -> None:
        book = make_book(on_unknown_id="refuse", on_no_key="create")
        with pytest.raises(errors.UnknownId, match="visitor: no contact has 'x'"):
            book.upsert(ADA, visitor="x")

    def test_unknown_visitor_without_a_key_is_refused_as_without_a_visitor(
        self,
    ) -> None:
        book = make_book(merge_all("email"), on_no_key="create")
        policy = Policy(book.policy.match, FIELDS)
        with pytest.raises(errors.NoMatchKey):
            ContactBook.load(policy, book.dump()).upsert({"name": "A"}, visitor="x")

    def test_unknown_visitor_changes_nothing_else(self) -> None:
        """``all_agree`` consults each key, and ``never`` refuses the id of another."""
        options: dict[str, Any] = {"id_field": "id", "on_no_key": "create"}
        book = make_book(all_agree("id", "email"), **options)
        outcome = book.upsert({**ADA, "id": "u-7"}, visitor="x")
        assert (outcome.contact.id, outcome.matched_by) == ("c-1", "email")
        book = make_book(never(), **options)
        with pytest.raises(errors.KeyInUse):
            book.upsert({"name": "A", "id": "c-1"}, visitor="x")

    @pytest.mark.parametrize("visitor", ["", 7, "\ud800"])
    def test_bad_visitor_is_refused(self, book: ContactBook, visitor: Any) -> None:
        with pytest.raises(errors.InvalidField, match="visitor: "):
            book.upsert(ADA, visitor=visitor)

    @pytest.mark.parametrize("verb", ["upsert", "plan"])
    def test_bad_visitor_is_refused_before_a_bad_patch(
        self, book: ContactBook, verb: str
    ) -> None:
        with pytest.raises(errors.InvalidField):
            getattr(book, verb)({"emial": "ada@x.org"}, visitor="")

    def test_plan_is_stale_once_the_visitor_is_there(self, book: ContactBook) -> None:
        plan = book.plan(ADA, visitor="x")
        assert ("visitor", "x", ()) in plan.expects.keys
        book.create({}, id="x")
        with pytest.raises(errors.StalePlan, match="contact x was created"):
            book.apply(plan)


def test_merge_all_merges_the_visitor_too() -> None:
    """Once, if a key matches it as well."""
    book = make_book(merge_all("email", "phone"), on_no_key="create")
    outcome = twice(book, "upsert", {**ADA, "phone": "2"}, visitor="c-3")
    assert outcome.contact.merged_ids == ("c-2", "c-3")
    assert twice(book, "upsert", ADA, visitor="c-2").unchanged


class TestLimit:
    """``on_limit="drop"``: the visitor is the first that is left out."""

    LINES: ClassVar[dict[str, Any]] = {
        name: field(key=normalize.exact, keep_aliases=True, max_forms=1)
        for name in ("email", "phone", "card")
    }

    @pytest.fixture
    def book(self) -> ContactBook:
        """Return a book with c-1, a contact, and c-2, a visitor."""
        policy = Policy(merge_all("email", "phone"), self.LINES, on_limit="drop")
        book = ContactBook(policy, ids=map("c-{}".format, count(1)).__next__)
        book.create({"email": "a", "card": "1"})
        book.create({"card": "2"})
        return book

    def test_visitor_stays_and_is_reported(self, book: ContactBook) -> None:
        patch = {"email": "a", "phone": "1"}
        plan = book.plan(patch, visitor="c-2")
        note = "stays apart: the contact would hold too many keys"
        assert (plan.trace[0].key, plan.trace[0].note) == ("visitor", note)
        outcome = twice(book, "upsert", patch, visitor="c-2")
        assert (outcome.result, outcome.contact.id) == ("updated", "c-1")
        assert dict(outcome.ignored) == {"visitor": "limit"}
        assert (outcome.also_matched, outcome.contact["phone"]) == (("c-2",), "1")

    def test_keys_are_left_out_of_a_patch_of_the_visitor(
        self, book: ContactBook
    ) -> None:
        """All of them, as of a patch with an id; a known one or not."""
        patch = {"email": ["b", "c"], "phone": "1"}
        for how in ({"visitor": "c-2"}, {"id": "c-2"}, {"id": "u-7"}):
            outcome = twice(book, "upsert", patch, **how)
            assert [*outcome.ignored] == ["email", "phone"]
            assert [outcome.contact.id] == [*how.values()]
        both = book.upsert(patch, id="c-2", visitor="c-1")
        assert both.contact.id == "c-2"
        left_out = ("email", "phone", "visitor")
        assert both.ignored == dict.fromkeys(left_out, "limit")

    def test_one_key_stays_beside_an_unknown_visitor(self, book: ContactBook) -> None:
        with pytest.raises(errors.InvalidField):
            book.upsert({"email": ["b", "c"], "phone": "1"}, visitor="x")


def test_refusal_of_a_function_of_the_application_is_raised() -> None:
    """It is no lack of a key."""

    def refuse(_value: Any) -> str:
        raise errors.NoMatchKey(("email",))

    fields = {"email": field(key=refuse), "name": field()}
    book = ContactBook(Policy(first_match("email"), fields))
    visitor = book.create({"name": "V"}).contact.id
    with pytest.raises(errors.NoMatchKey):
        book.upsert({"email": "a"}, visitor=visitor)


def test_never_updates_the_visitor() -> None:
    """A strategy without keys finds nobody, so the visitor is the contact."""
    book = make_book(never())

    assert twice(book, "upsert", {"name": "V"}, visitor="c-3").contact.id == "c-3"


class TestOwnId:
    """A visitor beside the contact's own id, which is no property of a person."""

    def test_known_id_and_visitor(self, book: ContactBook) -> None:
        outcome = twice(book, "upsert", {"name": "A."}, id="c-1", visitor="c-3")

        assert (outcome.result, outcome.contact.merged_ids) == ("merged", ("c-3",))

    @pytest.mark.parametrize("visitor", ["c-3", "x"])
    def test_unknown_id_and_visitor(self, book: ContactBook, visitor: str) -> None:
        """The visitor is the contact; its id does not change."""
        patch = {"email": "eve@x.org"}
        outcome = twice(book, "upsert", patch, id="u-7", visitor=visitor)

        expected = {"c-3": ["c-3", "id"], "x": ["u-7", "visitor"]}[visitor]
        assert [outcome.contact.id, *outcome.ignored] == expected

    @pytest.mark.parametrize("visitor", ["c-2", "c-3", "x"])
    def test_unknown_id_ends_the_keys_whoever_visits(self, visitor: str) -> None:
        """Under ``"create"``, unlike ``"next"``."""
        book = make_book(on_no_key="create")
        with pytest.raises(errors.KeyInUse):
            book.upsert(ADA, id="u-7", visitor=visitor)
        outcome = twice(book, "upsert", {"phone": "1"}, id="u-7", visitor="c-3")
        assert (outcome.contact.id, outcome.also_matched) == ("c-3", ())
        book = make_book(on_unknown_id="next")
        assert book.upsert(ADA, id="u-7", visitor=visitor).contact.id == "c-1"

    def test_unknown_id_ends_the_keys_again(self) -> None:
        """A key that the visitor does not take is not consulted the next time."""
        fields = {"email": field(key=normalize.email, rule=rules.keep)}
        book = ContactBook(Policy(first_match("email"), fields))
        book.create({"email": "ada@x.org"})
        visitor = book.create({"email": "v@x.org"}).contact.id
        patch = {"email": ["v@x.org", "ada@x.org"]}
        outcome = twice(book, "upsert", patch, id="u-7", visitor=visitor)
        assert outcome.contact.id == visitor


def test_call_with_another_visitor_is_another_call(book: ContactBook) -> None:
    call: dict[str, Any] = {"visitor": "c-3", "idempotency_key": "k"}
    assert [book.upsert(ADA, **call).replayed for _ in "ab"] == [False, True]
    with pytest.raises(errors.IdempotencyKeyReused):
        book.upsert(ADA, **{**call, "visitor": "c-2"})


def test_kept_contact_that_is_deleted_is_refused() -> None:
    book = make_book(on_no_key="create", on_deleted="refuse")
    book.delete("c-3")
    with pytest.raises(errors.ContactDeleted):
        book.upsert(ADA, visitor="c-3")


def test_on_found_applies_to_the_visitor(book: ContactBook) -> None:
    with pytest.raises(errors.UpdateRefused):
        book.upsert(ADA, visitor="c-3", on_found="refuse")
    ignored = book.upsert(ADA, visitor="c-3", on_found="ignore")
    assert (ignored.result, ignored.also_matched) == ("unchanged", ("c-3",))


def test_visitor_finds_its_contact_again_though_a_key_is_not_stored() -> None:
    """Unless the value that is stored makes the visitor another contact."""
    zero = rules.custom(lambda _stored, _sent: "0")
    fields = {**FIELDS, "phone": field(key=normalize.exact, rule=zero)}
    policy = Policy(first_match("email", "phone"), fields, on_no_key="create")
    book = ContactBook(policy, ids=map("c-{}".format, count(1)).__next__)
    book.upsert(ADA)
    visitor = book.create({"name": "V"}).contact.id
    with pytest.raises(errors.InvalidField, match="would drop"):
        book.upsert({"phone": "1"}, visitor="x")
    with pytest.raises(errors.InvalidField, match="would drop"):
        book.upsert({"phone": "1"}, visitor=visitor)

    outcome = twice(book, "upsert", {**ADA, "phone": "1"}, visitor=visitor)
    assert outcome.contact.merged_ids == (visitor,)
