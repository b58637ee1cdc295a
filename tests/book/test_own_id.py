"""A contact's own id: as an argument of a call, and in a patch."""

from __future__ import annotations

import threading
from itertools import count
from typing import Any

import pytest

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
    never,
    normalize,
    rules,
)
from upsertcore.replay import components

FIELDS: dict[str, Any] = {
    "email": field(key=normalize.email, unique=True),
    "phone": field(key=normalize.exact),
    "name": field(),
}


def make_book(match: Any = None, **options: Any) -> ContactBook:
    """Make a book with ada (c-1) and bob (c-2), and no further drawn ids."""
    policy = Policy(match or first_match("email", "phone"), FIELDS, **options)
    book = ContactBook(policy, ids=map("c-{}".format, count(1)).__next__)
    book.create({"email": "ada@x.org", "phone": "1", "name": "Ada"})
    book.create({"email": "bob@x.org", "phone": "2", "name": "Bob"})
    return book


def twice(book: ContactBook, verb: str, *arguments: Any, **options: Any) -> Outcome:
    """Return the first outcome of a call; the second one must be unchanged."""
    first = getattr(book, verb)(*arguments, **options)
    state = book.dump()
    second = getattr(book, verb)(*arguments, **options)
    assert (second.result, second.contact.id) == ("unchanged", first.contact.id)
    assert book.dump() == state
    return first  # type: ignore[no-any-return]


class TestUpdate:
    """One contact, whatever its keys are."""

    def test_update_matches_nothing(self) -> None:
        """A key that is not unique may be that of another contact."""
        outcome = twice(make_book(), "update", "c-1", {"phone": "2", "name": "A."})

        assert (outcome.result, outcome.contact["name"]) == ("updated", "A.")
        assert (outcome.matched_by, outcome.also_matched) == (None, ())
        assert outcome.explain().splitlines()[0] == "updated c-1"

    def test_update_by_a_merged_id_updates_the_survivor(self) -> None:
        book = make_book()
        book.merge("c-1", "c-2")

        assert twice(book, "update", "c-2", {"name": "B."}).contact.id == "c-1"

    @pytest.mark.parametrize("id", ["c-9", 7, ""])
    def test_update_of_an_unknown_id_is_an_error(self, id: Any) -> None:
        book = make_book()
        state = book.dump()
        with pytest.raises(errors.UnknownContact):
            book.update(id, {"name": "Eve"})
        with pytest.raises(errors.UnknownContact):
            book.update("c-1", {"name": "Eve"}, scope="other")

        assert book.dump() == state

    def test_update_with_a_unique_key_of_another_contact_is_refused(self) -> None:
        with pytest.raises(errors.KeyInUse, match="held by contact c-2"):
            make_book().update("c-1", {"email": "bob@x.org"})

    def test_update_withholds_as_an_upsert(self) -> None:
        book = make_book(on_key_in_use="withhold")
        outcome = twice(book, "update", "c-1", {"email": "bob@x.org", "name": "A."})

        assert [each.field for each in outcome.withheld] == ["email"]
        assert outcome.contact["name"] == "A."

    def test_update_may_have_a_version_options_and_an_idempotency_key(self) -> None:
        book = make_book()
        with pytest.raises(errors.StaleVersion):
            book.update("c-1", {"name": "A."}, if_version=2)
        call: dict[str, Any] = {
            "if_version": 1,
            "idempotency_key": "k",
            "null": "ignore",
        }
        first = book.update("c-1", {"name": "A.", "phone": None}, **call)
        assert book.update("c-1", {"name": "A.", "phone": None}, **call).replayed
        with pytest.raises(errors.IdempotencyKeyReused):
            book.update("c-2", {"name": "A.", "phone": None}, **call)

        assert (first.contact["name"], first.contact["phone"]) == ("A.", "1")

    def test_patch_with_the_id_of_another_contact_is_refused(self) -> None:
        book = make_book(id_field="id")
        assert twice(book, "update", "c-1", {"id": "c-1", "name": "A."}).updated
        with pytest.raises(errors.InvalidField, match="send one id"):
            book.update("c-1", {"id": "c-2"})

    def test_replaced_primary_joins_the_additional_values(self) -> None:
        """Unless the patch sends these; a new primary may be one of them."""
        fields = {"email": field(), "more": field()}
        emails = key(
            *fields,
            normalize=normalize.email,
            any_of=True,
            unique=True,
            append_new=True,
        )
        policy = Policy(first_match("emails"), fields, keys={"emails": emails})
        book = ContactBook(policy, ids=lambda: "c-1")
        book.upsert({"email": "a@x.org"})

        def update(**patch: Any) -> dict[str, Any]:
            return twice(book, "update", "c-1", patch).contact.to_dict()["fields"]  # type: ignore[no-any-return]

        assert update(email="b@x.org") == {"email": "b@x.org", "more": ["a@x.org"]}
        expected = {"email": "a@x.org", "more": ["a@x.org", "b@x.org"]}
        assert update(email="a@x.org") == expected
        assert update(email="A@x.org") == {**expected, "email": "A@x.org"}
        assert update(email="c@x.org", more=[]) == {"email": "c@x.org", "more": []}
        assert update(email=None) == {"more": []}
        book.update("c-1", {"email": "a@x.org", "more": "b@x.org"})
        expected = {"email": "c@x.org", "more": ["b@x.org", "a@x.org"]}
        assert update(email="c@x.org") == expected

    @pytest.mark.parametrize("append_new", [False, True])
    @pytest.mark.parametrize("omitted", ["keep", "clear"])
    def test_primary_replaces_though_the_patch_sends_it_as_additional_too(
        self, *, append_new: bool, omitted: Any
    ) -> None:
        """Where an upsert would leave the primary as it is."""
        fields = {"id": field(key=normalize.exact), "email": field(), "more": field()}
        emails = key(
            *("email", "more"),
            normalize=normalize.email,
            any_of=True,
            append_new=append_new,
        )
        policy = Policy(first_match("id"), fields, keys={"emails": emails})
        patch = {"email": "b@x.org", "more": ["b@x.org"]}

        def fields_after(verb: str, *args: Any, **options: Any) -> dict[str, Any]:
            book = ContactBook(policy, ids=lambda: "c-1")
            book.upsert({"id": 1, "email": "a@x.org"})
            return twice(book, verb, *args, **options).contact.to_dict()["fields"]  # type: ignore[no-any-return]

        assert (
            fields_after("update", "c-1", patch, omitted=omitted)["email"] == "b@x.org"
        )
        if omitted == "keep":
            assert fields_after("upsert", {"id": 1, **patch})["email"] == "a@x.org"

    def test_patch_that_replaces_keeps_no_former_primary(self) -> None:
        """It is cleared with all that is omitted."""
        book = make_book()
        outcome = twice(book, "update", "c-1", {"phone": "3"}, omitted="clear")

        assert outcome.contact.fields == {"phone": "3"}


class TestCreate:
    """A new contact with an id from outside."""

    def test_created_contact_has_the_id(self) -> None:
        """No id is drawn."""
        book = make_book()
        assert book.create({"email": "eve@x.org"}, id="crm-7").contact.id == "crm-7"
        assert (
            book.create({"email": "eve@x.org"}, id="c-1", scope="s").contact.id == "c-1"
        )
        assert book.create({}).contact.id == "c-3"

    def test_id_in_use_is_refused(self) -> None:
        """Also that of a merged contact; it is free once its contact is removed."""
        book = make_book(on_no_key="create")
        book.merge("c-1", "c-2")
        for id in ("c-1", "c-2"):
            with pytest.raises(errors.KeyInUse, match=r"id: .* is held by contact c-1"):
                book.create({"name": "Eve"}, id=id)
        book.delete("c-1")
        assert book.create({"name": "Eve"}, id="c-2").contact.id == "c-2"

    @pytest.mark.parametrize("id", ["", "  ", 7, "\ud800"])
    def test_bad_id_is_refused(self, id: Any) -> None:
        with pytest.raises(errors.InvalidField, match=r"^id: "):
            make_book().create({"name": "Eve"}, id=id)

    def test_id_may_be_in_the_patch(self) -> None:
        book = make_book(id_field="id", on_no_key="create")
        assert book.create({"id": "crm-7"}).contact.id == "crm-7"
        with pytest.raises(errors.KeyInUse):
            book.create({"id": "crm-7"})


class TestUpsertByArgument:
    """A known id decides; an unknown one as the policy says."""

    @pytest.mark.parametrize("match", [first_match("email", "phone"), never()], ids=str)
    def test_known_id_decides(self, match: Any) -> None:
        """Contacts that the keys match are reported."""
        book = make_book(match)
        outcome = twice(book, "upsert", {"phone": "2", "name": "A."}, id="c-1")

        assert (outcome.contact.id, outcome.contact["name"]) == ("c-1", "A.")
        assert outcome.also_matched == (("c-2",) if match.keys else ())

    @pytest.mark.parametrize(
        ("on_unknown_id", "patch", "expected"),
        [
            ("create", {"phone": "2"}, "created crm-7"),
            ("create", {"name": "Eve"}, "created crm-7"),
            ("create", {"email": "bob@x.org"}, "KeyInUse"),
            ("next", {"phone": "2"}, "unchanged c-2, ignored id"),
            ("next", {"phone": "3"}, "created crm-7"),
            ("next", {"name": "Eve"}, "created crm-7"),
            ("refuse", {"phone": "2"}, "UnknownId"),
            ("refuse", {"phone": "3"}, "UnknownId"),
        ],
    )
    def test_unknown_id(self, on_unknown_id: Any, patch: Any, expected: str) -> None:
        book = make_book(on_unknown_id=on_unknown_id)

        assert result_of(book, patch, id="crm-7") == expected

    def test_plan_with_an_id_is_applied(self) -> None:
        """Until a contact has the id."""
        book = make_book()
        plan = book.plan({"name": "Eve"}, id="crm-7")
        assert (plan.result, plan.new_id) == ("created", "crm-7")
        assert ("id", "crm-7", ()) in plan.expects.keys
        assert plan.to_dict()["new_id"] == "crm-7"
        assert book.apply(plan).contact.id == "crm-7"
        with pytest.raises(errors.StalePlan, match="contact crm-7 was created"):
            book.apply(plan)

    def test_same_idempotency_key_with_another_id_is_refused(self) -> None:
        book = make_book()
        for replayed in (False, True):
            outcome = book.upsert({"name": "A."}, id="c-1", idempotency_key="k")
            assert outcome.replayed is replayed
        for id in (None, "c-2"):
            with pytest.raises(errors.IdempotencyKeyReused):
                book.upsert({"name": "A."}, id=id, idempotency_key="k")


def result_of(book: ContactBook, patch: Any, **options: Any) -> str:
    """Return what a call did, as a text; a second call must change nothing."""
    state = book.dump()
    try:
        outcome = twice(book, "upsert", patch, **options)
    except errors.Refused as refusal:
        assert book.dump() == state
        return type(refusal).__name__
    words = f"{outcome.result} {outcome.contact.id}"
    ignored = [name for name in outcome.ignored if name == "id"]
    return f"{words}, ignored id" if ignored else words


BOB = {"phone": "2", "name": "Bob"}
NEW = {"phone": "3"}
MAIL_FIRST, GUARDED = (
    first_match("email", "id"),
    first_match("id", "phone", guard="if_set", on_contradiction="drop"),
)


@pytest.mark.parametrize(
    ("match", "on_unknown_id", "patch", "expected"),
    [
        # A known id, at its place among the keys.
        (first_match("id", "phone"), "create", {"id": "c-1", **NEW}, "updated c-1"),
        (first_match("id", "phone"), "create", {"id": "c-1", **BOB}, "updated c-1"),
        (MAIL_FIRST, "create", {"id": "c-1", "email": "bob@x.org"}, "unchanged c-2, i"),
        (MAIL_FIRST, "refuse", {"id": "c-1", **NEW}, "updated c-1"),
        (
            first_match("phone"),
            "create",
            {"id": "c-1", **BOB},
            "unchanged c-2, ignored",
        ),
        (first_match("phone"), "create", {"id": "c-2", **BOB}, "unchanged c-2"),
        (first_match("phone"), "create", {"id": "c-1", **NEW}, "created c-3, ignored"),
        (all_agree("id", "phone"), "create", {"id": "c-1", **BOB}, "KeysDisagree"),
        (all_agree("id", "phone"), "create", {"id": "c-2", **BOB}, "unchanged c-2"),
        (merge_all("id", "phone"), "create", {"id": "c-1", **BOB}, "merged c-1"),
        (GUARDED, "create", {"id": "c-1", **BOB}, "updated c-1"),
        (never(), "create", {"id": "c-1", **NEW}, "KeyInUse"),
        # An unknown one.
        (first_match("id", "phone"), "create", {"id": "x", **BOB}, "created x"),
        (
            first_match("id", "phone"),
            "next",
            {"id": "x", **BOB},
            "unchanged c-2, ignored",
        ),
        (first_match("id", "phone"), "next", {"id": "x", **NEW}, "created x"),
        (first_match("id", "phone"), "refuse", {"id": "x", **BOB}, "UnknownId"),
        (first_match("id"), "create", {"id": "x"}, "created x"),
        (
            MAIL_FIRST,
            "create",
            {"id": "x", "email": "bob@x.org"},
            "unchanged c-2, ignor",
        ),
        (
            MAIL_FIRST,
            "refuse",
            {"id": "x", "email": "bob@x.org"},
            "unchanged c-2, ignor",
        ),
        (MAIL_FIRST, "refuse", {"id": "x", "email": "eve@x.org"}, "UnknownId"),
        (MAIL_FIRST, "create", {"id": "x", "email": "eve@x.org"}, "created x"),
        (first_match("phone"), "refuse", {"id": "x", **NEW}, "created x"),
        (first_match("phone"), "refuse", {"id": "x", **BOB}, "unchanged c-2, ignored"),
        (
            all_agree("id", "phone"),
            "create",
            {"id": "x", **BOB},
            "unchanged c-2, ignored",
        ),
        (merge_all("id", "phone"), "create", {"id": "x", **NEW}, "created x"),
        (merge_all("id", "phone"), "refuse", {"id": "x", **BOB}, "UnknownId"),
        (all_agree("phone", "id"), "refuse", {"id": "x", **BOB}, "UnknownId"),
        (GUARDED, "next", {"id": "x", **BOB}, "created x"),
        # None at all.
        (first_match("id", "phone"), "refuse", BOB, "unchanged c-2"),
        (
            first_match("id", "phone"),
            "refuse",
            {"id": None, **BOB},
            "unchanged c-2, ign",
        ),
        (
            first_match("id", "phone"),
            "refuse",
            {"id": " ", **NEW},
            "created c-3, ignored",
        ),
        (first_match("id"), "refuse", {"id": None}, "NoMatchKey"),
        (first_match("id"), "refuse", {"name": "Eve"}, "NoMatchKey"),
        (first_match("id", "phone"), "next", {"id": 7, **BOB}, "InvalidField"),
    ],
)
def test_id_of_a_patch(
    match: Any, on_unknown_id: Any, patch: Any, expected: str
) -> None:
    book = make_book(match, id_field="id", on_unknown_id=on_unknown_id)
    result = result_of(book, patch)

    assert result.startswith(expected), result
    assert ("ignored" in expected or ", i" in expected) == ("ignored" in result)


def test_id_that_contradicts_a_higher_key_is_left_out() -> None:
    book = make_book(
        first_match("email", "id", guard="if_set", on_contradiction="drop"),
        id_field="id",
    )
    outcome = twice(book, "upsert", {"email": "eve@x.org", "id": "c-1"})

    assert (outcome.result, outcome.contact.id) == ("created", "c-3")
    assert outcome.ignored == {"id": "guard"}


@pytest.mark.parametrize(
    ("on_found", "expected"),
    [("update", "merged c-1"), ("ignore", "unchanged c-1, ignored id")],
)
def test_id_of_a_contact_that_is_merged(on_found: Any, expected: str) -> None:
    """It is that of the survivor then; of one that is not, it is ignored."""
    book = make_book(merge_all("phone", "id"), id_field="id", on_found=on_found)

    assert result_of(book, {"phone": "1", "id": "c-2"}) == expected


@pytest.mark.parametrize(
    ("on_unknown_id", "expected"),
    [("refuse", "UnknownId"), ("create", "created x"), ("next", "created x")],
)
def test_unknown_id_after_a_contradicted_key(on_unknown_id: Any, expected: str) -> None:
    """What a guard does not let count decides nothing."""
    match = first_match("email", "phone", "id", guard="if_set")
    book = make_book(match, id_field="id", on_unknown_id=on_unknown_id)

    assert result_of(book, {"email": "eve@x.org", "id": "x", **BOB}) == expected


@pytest.mark.parametrize("on_unknown_id", ["refuse", "create", "next"])
def test_unknown_id_after_the_first_key_present(on_unknown_id: Any) -> None:
    """No other key is looked up, so the id is that of the new contact."""
    match = first_present("email", "id")
    book = make_book(match, id_field="id", on_unknown_id=on_unknown_id)

    assert result_of(book, {"email": "eve@x.org", "id": "x"}) == "created x"


def test_trace_and_explanation_name_the_id() -> None:
    book = make_book(first_match("id", "phone"), id_field="id", on_unknown_id="next")
    assert [(s.key, s.note) for s in book.plan({"id": "x", **BOB}).trace] == [
        ("id", "no contact has it"),
        ("phone", "decides"),
    ]
    assert [s.note for s in book.plan({"id": "c-2", **BOB}).trace] == [
        "decides",
        "agrees",
    ]
    lines = book.plan({"id": "x", **BOB}).explain().splitlines()
    assert lines[-1] == "  id: not stored: it is not the id of this contact"
    with pytest.raises(errors.NoMatchKey, match="id is omitted"):
        book.upsert({"name": "Eve"})


class TestBatches:
    """Each patch with its own id."""

    PATCHES = ({"id": "x", "name": "X"}, {"id": "c-1", "name": "A."}, {"id": "x"})

    @pytest.mark.parametrize("atomic", [False, True])
    def test_batch_is_the_fold_of_its_calls(self, atomic: Any) -> None:
        book = make_book(first_match("id", "phone"), id_field="id")
        outcomes = book.upsert_many(self.PATCHES, atomic=atomic)

        assert [o.result for o in outcomes] == ["created", "updated", "unchanged"]
        assert [o.contact.id for o in outcomes] == ["x", "c-1", "x"]

    def test_patches_with_one_id_are_duplicates(self) -> None:
        book = make_book(first_match("id", "phone"), id_field="id")
        options: Any = {"on_refused": "collect", "on_duplicates": "refuse_all"}
        results = book.upsert_many(self.PATCHES, **options)

        assert [isinstance(r, errors.DuplicatePatch) for r in results] == [
            True,
            False,
            True,
        ]


class TestDroppedKeys:
    """A key that its rule does not store: the id finds the contact again."""

    def make_book(self, *keys: str) -> ContactBook:
        """Make a book with a contact x, whose phone is always 0."""
        fields = {
            **FIELDS,
            "phone": field(
                key=normalize.exact, rule=rules.custom(lambda _stored, _sent: "0")
            ),
        }
        match = first_match(*keys, "phone")
        policy = Policy(match, fields, id_field="id", on_unknown_id="next")
        return ContactBook(policy)

    def test_new_contact_is_found_by_its_id(self) -> None:
        patch = {"id": "x", "phone": "1", "name": "X"}
        with pytest.raises(errors.InvalidField, match="would drop"):
            self.make_book().upsert(patch)

        assert twice(self.make_book("id"), "upsert", patch).created

    @pytest.mark.parametrize("options", [{}, {"id_field": "id"}], ids=str)
    def test_contact_with_another_id_is_found_by_its_key(self, options: Any) -> None:
        """The id is ignored, now and when the patch is sent again."""
        phone = field(
            key=normalize.exact, rule=rules.custom(lambda _stored, _sent: "0")
        )
        policy = Policy(
            first_match("email", "phone"),
            {**FIELDS, "phone": phone},
            on_unknown_id="next",
            **options,
        )
        book = ContactBook(policy)
        book.create({"email": "x@x.org"})
        outcome = twice(book, "upsert", {"email": "x@x.org", "phone": "1"}, id="x")

        assert (outcome.matched_by, dict(outcome.ignored)) == ("email", {"id": "id"})

    def test_new_contact_with_another_id_is_not_found_by_a_dropped_key(self) -> None:
        """The id is of another contact, and the strategy does not consult it."""
        book = self.make_book("email")
        book.create({"id": "x"})
        with pytest.raises(errors.InvalidField, match="would drop"):
            book.upsert({"id": "x", "phone": "1"})

    def test_known_contact_is_found_by_its_id(self) -> None:
        book = self.make_book("id", "email")
        book.create({"id": "x"})
        patch = {"id": "x", "phone": "1", "email": "x@x.org"}

        assert twice(book, "upsert", patch).updated


@pytest.mark.parametrize("match", [first_match, first_present, all_agree, merge_all])
def test_patch_without_an_id_that_is_not_common_is_matched_by_its_keys(
    match: Any,
) -> None:
    """A list of values of a key is decided step by step."""
    book = make_book(match("id", "email"), id_field="id")
    outcome = twice(book, "upsert", {"email": ["ada@x.org", "eve@x.org"]})

    assert (outcome.contact.id, outcome.matched_by) == ("c-1", "email")


def test_log_with_ids_is_not_replayed() -> None:
    """Which component an id belongs to is not known before."""
    policy = Policy(first_match("id", "email"), FIELDS, id_field="id")
    with pytest.raises(ValueError, match="id_field: must be None"):
        components([], policy)


def test_two_calls_that_create_one_id_make_one_contact() -> None:
    """Whichever comes first; the other finds it."""
    book = make_book(first_match("id"), id_field="id")
    barrier = threading.Barrier(4)

    def call() -> None:
        barrier.wait()
        for number in range(50):
            book.upsert({"id": f"x-{number}", "name": "X"})

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(book) == 52


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"id_field": "email"}, "id_field: 'email' must not be a field or a key"),
        ({"id_field": ""}, "id_field: must be a name"),
        ({"id_field": 7}, "id_field: must be a name"),
        ({"on_unknown_id": "no"}, "on_unknown_id: "),
    ],
)
def test_invalid_option_is_refused(options: Any, words: str) -> None:
    with pytest.raises(errors.InvalidPolicy, match=words):
        Policy(first_match("email"), FIELDS, **options)


def test_policy_with_an_id_field_is_written_as_text() -> None:
    policy = Policy(
        first_match("id", "email"), FIELDS, id_field="id", on_unknown_id="next"
    )

    assert Policy.from_toml(policy.to_toml()) == policy


def test_atomic_batch_reads_a_merged_id_before_and_after_it_writes_the_contact() -> (
    None
):
    book = make_book(first_match("id", "phone"), id_field="id")
    book.merge("c-1", "c-2")
    patches = [{"id": "c-2", "name": "A."}, {"id": "c-2", "name": "B."}, {"id": "c-1"}]
    outcomes = book.upsert_many(patches, atomic=True)

    assert [o.contact.id for o in outcomes] == ["c-1"] * 3
    assert [o.result for o in outcomes] == ["updated", "updated", "unchanged"]
    assert book.get("c-2")["name"] == "B."
