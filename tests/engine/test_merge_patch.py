"""The draft of a merge: its order, the ignored fields, and the clocks."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count, permutations
from typing import Any

import pytest

from tests.field_options import merging
from upsertcore import (
    Contact,
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.engine.merge_patch import Draft
from upsertcore.errors import InvalidField, MissingField
from upsertcore.rules import (
    add,
    add_or_remove,
    append,
    custom,
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
    smallest,
    union,
    unset,
)
from upsertcore.values import freeze

NOW = datetime(2024, 1, 2, tzinfo=UTC)
ID = field(key=normalize.exact, unique=True)
NEEDED = field(required=True)


def make_book(policy: Policy, *patches: dict[str, Any]) -> ContactBook:
    """Make a book with a contact per patch; the ids are 1, 2, ..."""
    numbers = count(1)
    book = ContactBook(policy, ids=lambda: f"{next(numbers)}", clock=lambda: NOW)
    for patch in patches:
        book.create(patch)
    return book


def book_by_id(
    *patches: dict[str, Any], extra_fields: Any = None, **lines: Any
) -> ContactBook:
    """Make a book that matches by an id, with further fields."""
    return make_book(
        Policy(first_match("id"), {"id": ID, **lines}, extra_fields=extra_fields),
        *patches,
    )


MAIL = {
    "id": ID,
    "main": field(),
    "more": field(),
}


def mail_book(
    *patches: dict[str, Any], append_new: bool = False, **lines: Any
) -> ContactBook:
    """Make a book in which a primary and additional emails identify a contact."""
    mail = key(
        "main", "more", normalize=normalize.email, any_of=True, append_new=append_new
    )
    keys = {"mail": mail}
    policy = Policy(first_match("mail", "id"), {**MAIL, **lines}, keys=keys)
    return make_book(policy, *patches)


ADA: dict[str, Any] = {"id": 1, "main": "a@x", "more": ["b@x"]}


class TestAdditionalValues:
    """A value of an additional field does not replace the primary."""

    def test_additional_value_matches_and_keeps_the_primary(self) -> None:
        """The primary is named as ignored, also in the second call."""
        book = mail_book(ADA)
        for _ in range(2):
            outcome = book.upsert({"main": "B@x"})

            assert (outcome.result, outcome.matched_by) == ("unchanged", "mail")
            assert outcome.contact is book.get("1")
            assert outcome.ignored == {"main": "additional"}

    @pytest.mark.parametrize(
        ("sent", "after", "ignored"),
        [
            ({"id": 1, "main": "c@x"}, "c@x", {}),
            ({"main": "A@X"}, "A@X", {}),
            ({"main": ["A@X", "b@x"]}, ("A@X", "b@x"), {}),
            ({"main": ["b@x"]}, "a@x", {"main": "additional"}),
            ({"main": ["b@x", "c@x"]}, ("b@x", "c@x"), {}),
            ({"main": None, "id": 1}, None, {}),
            ({"main": "", "id": 1}, "", {}),
            ({"main": "none", "id": 1}, "none", {}),
            ({"main": "c@x", "more": ["c@x"], "id": 1}, "a@x", {"main": "additional"}),
            ({"main": "b@x", "more": ["d@x"], "id": 1}, "b@x", {}),
            ({"main": "b@x", "more": None}, "b@x", {}),
        ],
        ids=map(str, range(11)),
    )
    def test_rule_runs_for_a_form_that_is_not_additional(
        self, sent: Any, after: Any, ignored: Any
    ) -> None:
        """That is a new form, the form of the primary, or no form."""
        book = mail_book(ADA)
        outcome = book.upsert(sent)

        assert after == outcome.contact.get("main")
        assert ignored == outcome.ignored
        assert book.upsert(sent).unchanged

    @pytest.mark.parametrize("main", [None, "", []], ids=["null", "blank", "list"])
    def test_absent_primary_takes_an_additional_value(self, main: Any) -> None:
        book = mail_book({**ADA, "main": main})
        outcome = book.upsert({"main": "b@x"})

        assert outcome.contact["main"] == "b@x"
        assert book.upsert({"main": "b@x"}).unchanged

    def test_new_contact_stores_all_fields_as_sent(self) -> None:
        outcome = mail_book().upsert({"more": ["a@x"], "main": "a@x"})

        assert outcome.contact.fields == {"more": ("a@x",), "main": "a@x"}
        assert outcome.ignored == {}

    def test_new_value_replaces_the_primary_without_append_new(self) -> None:
        """The former primary does not match any more."""
        book = mail_book(ADA)
        book.upsert({"id": 1, "main": "c@x"})

        assert book.find("mail", "a@x") == ()
        assert [book.get("1")] == list(book.find("mail", "c@x"))


class TestAppendNew:
    """Under ``append_new`` a new primary is appended to the additional values."""

    @pytest.mark.parametrize(
        ("stored", "sent", "more"),
        [
            ({}, {"main": "c@x"}, ("b@x", "c@x")),
            ({"more": None}, {"main": "c@x"}, ("c@x",)),
            ({"more": []}, {"main": "c@x"}, ("c@x",)),
            ({}, {"main": ["c@x", "b@x", "C@X", "none", ""]}, ("b@x", "c@x")),
            ({}, {"main": "c@x", "more": ["d@x"]}, ("d@x", "c@x")),
            ({}, {"main": "c@x", "more": []}, ("c@x",)),
            ({}, {"main": "c@x", "more": None}, ("c@x",)),
            ({"main": "none"}, {"main": "c@x"}, ("b@x", "c@x")),
        ],
        ids=map(str, range(8)),
    )
    def test_new_primary_is_appended(self, stored: Any, sent: Any, more: Any) -> None:
        """Each new form once, after the stored ones; the second call is unchanged."""
        book = mail_book({**ADA, **stored}, append_new=True)
        before = book.get("1")["main"]
        outcome = book.upsert({"id": 1, **sent})

        assert (before, more) == (outcome.contact["main"], outcome.contact["more"])
        assert outcome.ignored == {"main": "additional"}
        assert book.upsert({"id": 1, **sent}).unchanged
        assert book.find("mail", "c@x") == (outcome.contact,)

    @pytest.mark.parametrize("sent", [None, "", "none", "A@x"], ids="abcd")
    def test_primary_without_new_form_goes_by_its_rule(self, sent: Any) -> None:
        """That is null, blank, no form, or the form of the primary."""
        book = mail_book(ADA, append_new=True)
        outcome = book.upsert({"id": 1, "main": sent})

        assert sent == outcome.contact.get("main")
        assert outcome.contact["more"] == ("b@x",)

    def test_appending_to_a_value_that_is_no_list_is_refused(self) -> None:
        """The field and the contact are named; nothing is stored."""
        book = mail_book({**ADA, "more": "b@x"}, append_new=True)
        with pytest.raises(InvalidField) as caught:
            book.upsert({"id": 1, "main": "c@x"})
        assert (caught.value.field, caught.value.holder) == ("more", "1")
        assert "must be a list" in caught.value.reason

        with pytest.raises(InvalidField) as caught:
            book.upsert({"id": 1, "main": "c@x", "more": "d@x"})
        assert (caught.value.value, caught.value.holder) == ("d@x", None)

        assert book.upsert({"id": 1, "main": "B@x"}).unchanged

    def test_new_primary_is_appended_to_the_last_field(self) -> None:
        """A value of any other additional field is known, too."""
        lines = {"id": ID, "main": field(), "work": field(), "more": field()}
        parts = ("main", "work", "more")
        keys = {
            "m": key(*parts, normalize=normalize.email, any_of=True, append_new=True)
        }
        book = make_book(
            Policy(first_match("id"), lines, keys=keys),
            {"id": 1, "main": "a@x", "work": "w@x"},
        )
        assert book.upsert({"id": 1, "main": "W@x"}).unchanged

        after = book.upsert({"id": 1, "main": "c@x"}).contact
        assert (after["main"], after["work"], after["more"]) == ("a@x", "w@x", ("c@x",))

    def test_two_primaries_are_appended_in_patch_order(self) -> None:
        """The order of the keys does not matter."""
        lines = {"id": ID, "p": field(), "q": field(), "more": field()}
        keys = {
            name: key(
                name, "more", normalize=normalize.exact, any_of=True, append_new=True
            )
            for name in ("p", "q")
        }
        policy = Policy(first_match("id"), lines, keys=keys)
        book = make_book(policy, {"id": 1, "p": "p1", "q": "q1"})

        outcome = book.upsert({"id": 1, "q": "q2", "p": "p2"})
        assert outcome.contact["more"] == ("q2", "p2")

    def test_known_primary_is_not_appended_again(self) -> None:
        """Another primary of the same patch is appended."""
        lines = {"id": ID, "p": field(), "q": field(), "more": field()}
        keys = {
            name: key(
                name, "more", normalize=normalize.exact, any_of=True, append_new=True
            )
            for name in ("p", "q")
        }
        policy = Policy(first_match("id"), lines, keys=keys)
        book = make_book(policy, {"id": 1, "p": "p1", "q": "q1", "more": ["p2"]})

        outcome = book.upsert({"id": 1, "q": "q2", "p": "p2"})
        assert outcome.contact["more"] == ("p2", "q2")


def clocked_book(*patches: dict[str, Any], **lines: Any) -> ContactBook:
    """Make a book whose field ``name`` has the clock ``at``, which only grows."""
    lines = {
        "name": field(rule=latest(by="at")),
        "at": field(rule=largest),
        **lines,
    }
    return book_by_id(*patches, **lines)


class TestLatest:
    """A field with a clock stores the newest value, in any order of arrival."""

    PATCHES: tuple[dict[str, Any], ...] = (
        {"id": 1, "name": "A", "at": "2024-01-01", "city": "Oslo", "n": 3},
        {"id": 1, "name": None, "at": "2024-01-03", "n": 1},
        {"id": 1, "name": "B", "at": "2024-01-02", "city": "Rome", "n": 2},
    )

    @pytest.mark.parametrize("values", [*permutations(["A", None, "B"])])
    def test_all_orders_of_arrival_end_equal(self, values: Any) -> None:
        """Whichever value is the newest."""
        sent = [
            {**patch, "name": name}
            for patch, name in zip(self.PATCHES, values, strict=True)
        ]
        results = []
        for order in permutations(sent):
            book = clocked_book(
                city=field(rule=latest(by="at")), n=field(rule=smallest)
            )
            book.upsert_many(order)
            results.append((dict(book.get("1").fields), dict(book.get("1").clocks)))
            assert all(book.upsert(patch).unchanged for patch in order)

        expected = {"id": 1, "at": "2024-01-03", "city": "Rome", "n": 1}
        last_updated = {} if values[1] is None else {"name": values[1]}
        assert [
            (expected | last_updated, {"name": "2024-01-03", "city": "2024-01-02"})
        ] * 6 == results

    @pytest.mark.parametrize(
        "values", [("A", "B", "C"), (1, 1.0, True), ("", None, [])]
    )
    def test_equal_clocks_end_equal_in_all_orders(self, values: Any) -> None:
        """The value that is greater as JSON text is stored."""
        results = []
        for order in permutations(values):
            book = clocked_book()
            for value in order:
                book.upsert({"id": 1, "at": 7, "name": value})
            results.append(book.get("1").get("name"))

        assert len({(type(result), result) for result in results}) == 1

    @pytest.mark.parametrize(
        ("sent", "after", "clock", "ignored"),
        [
            ({"name": "B", "at": 6}, "B", 6, {}),
            ({"name": "B", "at": 4}, "A", 5, {"name": "latest(by='at')"}),
            ({"name": "A", "at": 4}, "A", 5, {}),
            ({"name": "A", "at": 6}, "A", 6, {}),
            ({"name": None, "at": 6}, None, 6, {}),
            ({"name": "", "at": 6}, "", 6, {}),
            ({"name": None, "at": 4}, "A", 5, {"name": "latest(by='at')"}),
            ({"name": "B", "at": 5}, "B", 5, {}),
            ({"name": "0", "at": 5}, "A", 5, {"name": "latest(by='at')"}),
            ({"name": "0", "at": 5.0}, "0", 5.0, {}),
            ({"name": "A", "at": 5.5}, "A", 5.5, {}),
        ],
        ids=map(str, range(11)),
    )
    def test_value_is_stored_with_its_clock_or_ignored(
        self, sent: Any, after: Any, clock: Any, ignored: Any
    ) -> None:
        """The second call is unchanged."""
        book = clocked_book(at=field(rule=replace))
        book.upsert({"id": 1, "name": "A", "at": 5})
        outcome = book.upsert({"id": 1, **sent})

        assert after == outcome.contact.get("name")
        assert (type(clock), clock) == (
            *(type(outcome.contact.clocks["name"]),),
            outcome.contact.clocks["name"],
        )
        assert ignored == outcome.ignored
        assert book.upsert({"id": 1, **sent}).unchanged

    def test_newer_clock_of_an_equal_value_is_an_update(self) -> None:
        """Otherwise an older value could replace the newer one."""
        book = clocked_book(at=field(rule=keep))
        book.upsert({"id": 1, "name": "A", "at": 5})
        outcome = book.upsert({"id": 1, "name": "A", "at": 9})

        assert (outcome.result, outcome.changes) == ("updated", ())
        assert outcome.contact.version == 2
        assert outcome.contact.clocks == {"name": 9}
        assert outcome.contact.fields == {"id": 1, "name": "A", "at": 5}
        assert book.plan({"id": 1, "name": "A", "at": 10}).clocks == {"name": 10}
        assert book.upsert({"id": 1, "name": "B", "at": 8}).unchanged

    def test_cleared_field_keeps_its_clock(self) -> None:
        """An older value does not restore it."""
        book = clocked_book()
        book.upsert({"id": 1, "name": "A", "at": 5})
        cleared = book.upsert({"id": 1, "name": None, "at": 7})
        assert "name" not in cleared.contact
        assert cleared.contact.clocks == {"name": 7}

        outcome = book.upsert({"id": 1, "name": "B", "at": 6})
        assert outcome.unchanged
        assert outcome.ignored == {"name": "latest(by='at')", "at": "largest"}
        assert book.upsert({"id": 1, "name": "C", "at": 8}).contact["name"] == "C"

    @pytest.mark.parametrize("name", ["A", None], ids=["value", "null"])
    def test_new_contact_has_the_clock_of_value_or_null(self, name: Any) -> None:
        """An older value than the null is ignored."""
        book = clocked_book()
        outcome = book.upsert({"id": 1, "name": name, "at": 7})

        assert outcome.contact.clocks == {"name": 7}
        assert book.upsert({"id": 1, "name": "Z", "at": 6}).unchanged

    def test_value_without_clock_is_replaced_by_any_clock(self) -> None:
        book = clocked_book()
        row = Contact("1", "", {"id": 1, "name": "A"}, 1, NOW, NOW).to_dict()
        book = ContactBook.load(book.policy, [row])

        assert book.upsert({"id": 1, "name": "B", "at": -5}).contact["name"] == "B"

    @pytest.mark.parametrize(
        ("sent", "shown"),
        [
            ({}, None),
            ({"at": None}, None),
            ({"at": ""}, ""),
            ({"at": " \t"}, " \t"),
            ({"at": True}, True),
            ({"at": [1]}, (1,)),
        ],
        ids=map(str, range(6)),
    )
    def test_value_without_usable_clock_is_refused(self, sent: Any, shown: Any) -> None:
        """A clock is text or a number; the clock is named."""
        book = clocked_book(at=field())
        for known in (False, True):
            with pytest.raises(InvalidField, match="as the clock of name") as caught:
                book.upsert({"id": 1, "name": "A", **sent})
            assert ("at", shown) == (caught.value.field, caught.value.value)
            assert len(book) == known
            book.upsert({"id": 1, "at": 1})

        assert book.upsert({"id": 1, **sent}).contact.clocks == {}

    def test_ignored_null_is_no_clock(self) -> None:
        book = clocked_book(at=field(null="ignore"))
        with pytest.raises(InvalidField, match="at: must be text or a number"):
            book.upsert({"id": 1, "name": "A", "at": None})

    @pytest.mark.parametrize(("old", "new"), [(1, "1"), ("2", 1), ("1", 1.5)])
    def test_number_and_text_clocks_do_not_compare(self, old: Any, new: Any) -> None:
        """The field is named."""
        book = clocked_book(at=field())
        book.upsert({"id": 1, "name": "A", "at": old})
        with pytest.raises(
            InvalidField, match="must have a clock comparable"
        ) as caught:
            book.upsert({"id": 1, "name": "B", "at": new})

        assert (caught.value.field, caught.value.value) == ("name", "B")

    def test_clock_is_the_cleaned_value(self) -> None:
        """Two spellings of one time are equal."""
        book = clocked_book(at=field(clean=lambda at: at.replace("/", "-")))
        book.upsert({"id": 1, "name": "A", "at": "2024/01/02"})

        assert book.get("1").clocks == {"name": "2024-01-02"}
        assert book.upsert({"id": 1, "name": "A", "at": "2024-01-02"}).unchanged

    def test_undeclared_fields_may_have_an_undeclared_clock(self) -> None:
        """The clock is its own clock then."""
        book = book_by_id(extra_fields=field(rule=latest(by="at")))
        book.upsert({"id": 1, "city": "Oslo", "at": 2})
        outcome = book.upsert({"id": 1, "city": "Rome", "at": 1})

        assert outcome.contact.fields == {"id": 1, "city": "Oslo", "at": 2}
        assert outcome.contact.clocks == {"city": 2, "at": 2}
        assert set(outcome.ignored) == {"city", "at"}


class TestIgnored:
    """A value that a rule does not store is named with the rule."""

    @pytest.mark.parametrize(
        ("rule", "sent", "after", "ignored"),
        [
            (largest, 2, 3, True),
            (largest, 3.0, 3.0, False),
            (smallest, 3.0, 3, True),
            (smallest, None, 3, True),
            (largest, "", 3, True),
            (add, None, 3, True),
            (add, 2, 5, False),
            (add, 0, 3, False),
            (add, "", 3, True),
            (unset, "x", None, False),
            (custom(lambda a, _b: a), 4, 3, True),
            (custom(lambda a, _b: a), 3, 3, False),
        ],
        ids=map(str, range(12)),
    )
    def test_number_is_stored_or_named_as_ignored(
        self,
        rule: Any,
        sent: Any,
        after: Any,
        ignored: bool,  # noqa: FBT001
    ) -> None:
        book = book_by_id({"id": 1, "n": 3}, n=field(rule=rule))
        book._index.put(Contact("1", "", {"id": 1, "n": 3}, 1, NOW, NOW), [["1"]])
        outcome = book.upsert({"id": 1, "n": sent})

        assert (type(after), after) == (
            type(outcome.contact.get("n")),
            outcome.contact.get("n"),
        )
        assert ({"n": rule.name} if ignored else {}) == outcome.ignored

    @pytest.mark.parametrize(
        ("sent", "after", "ignored"),
        [
            ({"a": 2}, {"a": 1, "c": {"d": ""}}, True),
            ({"b": 2}, {"a": 1, "b": 2, "c": {"d": ""}}, False),
            ({"a": 2, "b": 2}, {"a": 1, "b": 2, "c": {"d": ""}}, True),
            ({"a": 1, "c": {"d": 4}}, {"a": 1, "c": {"d": 4}}, False),
            ({"b": None}, {"a": 1, "c": {"d": ""}}, False),
            ({"a": None}, {"a": 1, "c": {"d": ""}}, True),
            (None, {"a": 1, "c": {"d": ""}}, True),
            ({}, {"a": 1, "c": {"d": ""}}, True),
        ],
        ids=map(str, range(8)),
    )
    def test_nested_value_not_stored_is_named_as_ignored(
        self,
        sent: Any,
        after: Any,
        ignored: bool,  # noqa: FBT001
    ) -> None:
        """Even if the rest of the mapping is stored."""
        book = book_by_id(m=field(rule=deep_keep))
        book.upsert({"id": 1, "m": {"a": 1, "c": {"d": ""}}})
        outcome = book.upsert({"id": 1, "m": sent})

        assert after == outcome.contact["m"]
        assert ({"m": "deep_keep"} if ignored else {}) == outcome.ignored
        assert book.upsert({"id": 1, "m": sent}).unchanged

    def test_list_rules_ignore_nothing(self) -> None:
        """Adding and removing items is what the patch asks for."""
        lines = {"s": field(rule=add_or_remove), "a": field(rule=append)}
        book = book_by_id({"id": 1, "s": ["x"], "a": ["x"]}, **lines)
        outcome = book.upsert({"id": 1, "s": ["-x", "y"], "a": ["x"]})

        assert (outcome.contact["s"], outcome.contact["a"]) == (("y",), ("x", "x"))
        assert outcome.ignored == {}
        with pytest.raises(InvalidField, match="s: must be a list of text"):
            book.upsert({"id": 1, "s": ["-"]})


def merge_policy(on_merge: Any = None, **lines: Any) -> Policy:
    """Make a policy that merges contacts by two keys."""
    keys = {name: field(key=normalize.exact) for name in ("id", "ref")}
    return Policy(merge_all("id", "ref"), merging({**keys, **lines}, on_merge or {}))


BOTH: dict[str, Any] = {"id": 1, "ref": 2}


class TestMergedContacts:
    """Contacts are merged before the patch is applied."""

    def test_survivor_keeps_its_values(self) -> None:
        """Absent and blank ones are filled, from one absorbed contact after another."""
        names = ("a", "b", "c", "d")
        policy = merge_policy(**{name: field() for name in names})
        book = make_book(
            policy,
            {"id": 1, "a": 1, "b": ""},
            {"ref": 2, "a": 2, "b": 2, "c": 2},
            {"ref": 2, "a": 3, "b": 3, "c": 3, "d": 3},
        )
        outcome = book.upsert(BOTH)

        assert outcome.result == "merged"
        assert outcome.contact.fields == {**BOTH, "a": 1, "b": 2, "c": 2, "d": 3}
        assert book.upsert(BOTH).unchanged

    def test_patch_is_applied_after_the_contacts(self) -> None:
        policy = merge_policy(
            tags=field(rule=union), at=field(), on_merge={"tags": union}
        )
        book = make_book(
            policy, {"id": 1, "tags": ["a"]}, {"ref": 2, "tags": ["b"], "at": 1}
        )
        outcome = book.upsert({**BOTH, "tags": ["c"], "at": None})

        assert outcome.contact.fields == {**BOTH, "tags": ("a", "b", "c")}

    @pytest.mark.parametrize(
        ("rule", "after"),
        [
            (None, 1),
            (keep, 1),
            (replace, 2),
            (largest, 2),
            (smallest, 1),
            (add, 3),
            (unset, None),
            (on_create, 1),
            (custom(lambda a, b: a * 10 + b), 12),
        ],
        ids=map(str, range(9)),
    )
    def test_merge_rule_combines_the_values_of_contacts(
        self, rule: Any, after: Any
    ) -> None:
        """The rule of the field does not matter."""
        policy = merge_policy(
            {} if rule is None else {"n": rule}, n=field(rule=on_create)
        )
        book = make_book(policy, {"id": 1, "n": 1}, {"ref": 2, "n": 2})

        assert after == book.upsert(BOTH).contact.get("n")

    def test_merge_rule_on_create_takes_no_value(self) -> None:
        """Even if the survivor has none."""
        policy = merge_policy({"n": on_create}, n=field())
        book = make_book(policy, {"id": 1}, {"ref": 2, "n": 2})

        assert "n" not in book.upsert(BOTH).contact

    def test_merge_rule_that_refuses_names_the_absorbed_contact(self) -> None:
        """The field is named, and no value is shown."""
        policy = merge_policy({"n": immutable, "m": deep}, n=field(), m=field())
        book = make_book(policy, {"id": 1, "n": 1}, {"ref": 2, "n": 2})
        before = book.dump()
        with pytest.raises(InvalidField) as caught:
            book.upsert({**BOTH, "n": 3})

        assert (caught.value.field, caught.value.holder) == ("n", "2")
        assert caught.value.value is None
        assert book.dump() == before

    @pytest.mark.parametrize(
        ("one", "two", "after", "clocks"),
        [
            ({"name": "A", "at": 1}, {"name": "B", "at": 2}, "B", {"name": 2}),
            ({"name": "A", "at": 2}, {"name": "B", "at": 1}, "A", {"name": 2}),
            ({"name": "A", "at": 1}, {"name": None, "at": 2}, None, {"name": 2}),
            ({"name": None, "at": 2}, {"name": "B", "at": 1}, None, {"name": 2}),
            ({}, {"name": "B", "at": 1}, "B", {"name": 1}),
            ({}, {"name": None, "at": 1}, None, {"name": 1}),
        ],
        ids=map(str, range(6)),
    )
    def test_newer_clock_decides_between_contacts(
        self, one: Any, two: Any, after: Any, clocks: Any
    ) -> None:
        """Whichever contact survives; a cleared value counts, too."""
        policy = merge_policy(name=field(rule=latest(by="at")), at=field(rule=largest))
        book = make_book(policy, {"id": 1, **one}, {"ref": 2, **two})
        outcome = book.upsert(BOTH)

        assert after == outcome.contact.get("name")
        assert clocks == outcome.contact.clocks
        assert book.upsert(BOTH).unchanged

    @pytest.mark.parametrize(
        ("rule", "one", "two", "after", "clocks"),
        [
            (keep, {}, {"name": "B", "at": 9}, "B", {"name": 9}),
            (keep, {"name": "A", "at": 5}, {"name": "B", "at": 9}, "A", {"name": 5}),
            (keep, {"name": "", "at": 5}, {"name": "B", "at": 4}, "B", {"name": 4}),
            (keep, {"name": None, "at": 5}, {"name": "B", "at": 4}, "B", {"name": 4}),
            (keep, {"name": "A", "at": 5}, {"name": "A", "at": 9}, "A", {"name": 9}),
            (keep, {"name": "A", "at": 5}, {"name": None, "at": 9}, "A", {"name": 5}),
            (replace, {"name": "A", "at": 9}, {"name": "B", "at": 5}, "B", {"name": 5}),
            (replace, {"name": "A", "at": 9}, {"name": "", "at": 12}, "A", {"name": 9}),
            (largest, {"name": "A", "at": 5}, {"name": "B", "at": 4}, "B", {"name": 4}),
            (largest, {"name": "B", "at": 5}, {"name": "A", "at": 9}, "B", {"name": 5}),
            (
                last_updated,
                {"name": "A", "at": 5},
                {"name": "B", "at": 4},
                "A",
                {"name": 5},
            ),
            (
                last_updated,
                {"name": "A", "at": 5},
                {"name": "B", "at": 6},
                "B",
                {"name": 6},
            ),
            (
                last_updated,
                {"name": None, "at": 9},
                {"name": "B", "at": 6},
                "B",
                {"name": 6},
            ),
            (
                union,
                {"name": ["a"], "at": 5},
                {"name": ["b"], "at": 4},
                ("a", "b"),
                {"name": 5},
            ),
            (
                union,
                {"name": ["a"], "at": 5},
                {"name": ["b"], "at": 6},
                ("a", "b"),
                {"name": 6},
            ),
            (
                union,
                {"name": ["a"], "at": 5},
                {"name": ["a"], "at": 6},
                ("a",),
                {"name": 6},
            ),
            (
                union,
                {"name": ["a", "b"], "at": 5},
                {"name": ["a"], "at": 6},
                ("a", "b"),
                {"name": 5},
            ),
            (unset, {"name": "A", "at": 5}, {"name": "B", "at": 6}, None, {"name": 6}),
            (ignore, {"name": "A", "at": 5}, {"name": "B", "at": 6}, "A", {"name": 5}),
        ],
        ids=map(str, range(19)),
    )
    def test_value_taken_from_another_contact_has_its_clock(
        self, rule: Any, one: Any, two: Any, after: Any, clocks: Any
    ) -> None:
        """A value combined of both has the later clock."""
        lines = {"name": field(rule=latest(by="at")), "at": field(rule=largest)}
        policy = merge_policy({"name": rule}, **lines)
        book = make_book(policy, {"id": 1, **one}, {"ref": 2, **two})
        outcome = book.upsert(BOTH)

        assert outcome.contact.get("name") == after
        assert outcome.contact.clocks == clocks
        older = book.upsert({**BOTH, "name": ["older"], "at": clocks["name"] - 1})
        assert older.contact.get("name") == after

    def test_combined_value_has_one_of_two_kinds_of_clock(self) -> None:
        """A number and a text are ordered for this."""
        lines = {"name": field(rule=latest(by="at")), "at": field()}
        policy = merge_policy({"name": union}, **lines)
        book = make_book(
            policy,
            {"id": 1, "name": ["a"], "at": 5},
            {"ref": 2, "name": ["b"], "at": "2024"},
        )

        assert book.upsert(BOTH).contact.clocks == {"name": "2024"}

    @pytest.mark.parametrize("name", ["A", None, ""], ids=["value", "absent", "blank"])
    def test_field_without_clocks_keeps_the_survivor_value(self, name: Any) -> None:
        """An absent or blank one is filled."""
        policy = merge_policy(name=field(rule=latest(by="at")), at=field())
        rows = [
            Contact("1", "", {"id": 1, "name": name or ""}, 1, NOW, NOW).to_dict(),
            Contact("2", "", {"ref": 2, "name": "B"}, 1, NOW, NOW).to_dict(),
        ]
        if name is None:
            del rows[0]["fields"]["name"]
        outcome = ContactBook.load(policy, rows).upsert(BOTH)

        assert (name or "B") == outcome.contact["name"]
        assert outcome.contact.clocks == {}

    def test_blank_value_of_the_absorbed_fills_an_absent_field(self) -> None:
        book = make_book(merge_policy(n=field()), {"id": 1}, {"ref": 2, "n": []})

        assert book.upsert(BOTH).contact["n"] == ()


class TestDraft:
    """The draft on its own."""

    POLICY = Policy(first_match("id"), {"id": ID, "n": field(), "s": field(default=1)})

    def test_restored_field_has_not_moved(self) -> None:
        """A field that is again as it was stored counts as not moved."""
        before = Contact("1", "", {"id": 1, "n": 1}, 1, NOW, NOW)
        draft = Draft(self.POLICY, before, {})
        draft.apply_patch({"n": 2}, known=True)
        assert draft.moved == {"n"}
        draft.apply_patch({"n": 1}, known=True)

        assert (draft.moved, draft.after) == (set(), {"id": 1, "n": 1})

    def test_leave_out_restores_field_and_clock(self) -> None:
        """Fields that have the left out field as their clock keep it."""
        lines = {"id": ID, "n": field(rule=latest(by="at")), "at": field()}
        before = Contact("1", "", {"id": 1, "n": 1}, 1, NOW, NOW, {}, {"n": 5})
        draft = Draft(Policy(first_match("id"), lines), before, {})
        draft.apply_patch(freeze({"n": [2], "at": 6}), known=True)

        assert draft.clocks == {"n": 6}
        assert draft.own_value("n") == (2,)
        assert [draft.is_moved(name) for name in ("n", "at", "id")] == [
            True,
            True,
            False,
        ]
        draft.leave_out({"n": ""})
        assert (draft.after["n"], draft.clocks, draft.moved) == (1, {"n": 5}, {"at"})
        draft.leave_out({"at": "composite"})
        assert (draft.after["n"], draft.clocks, draft.moved) == ((2,), {"n": 6}, {"n"})
        assert draft.ignored == {"at": "composite"}

    def test_leave_out_removes_the_field_of_a_new_contact(self) -> None:
        """It has no default then; a required field is refused."""
        needed = Policy(first_match("id"), {**self.POLICY.fields, "n": NEEDED})
        draft = Draft(needed, None, {"c": "null"})
        draft.apply_patch({"id": 1, "n": 2, "s": 3})
        draft.apply_defaults({"id": 1, "n": 2, "s": 3})
        assert [draft.is_moved(name) for name in ("n", "s")] == [True, True]
        draft.leave_out({"s": ""})
        assert draft.after == {"id": 1, "n": 2}
        assert (draft.is_moved("s"), draft.ignored) == (False, {"c": "null"})
        with pytest.raises(MissingField, match="n: is required"):
            draft.leave_out({"n": "", "s": ""})

    def test_draft_knows_appended_primaries(self) -> None:
        """The value of the list without them is kept, too."""
        book = mail_book(ADA, append_new=True)
        draft = Draft(book.policy, book.get("1"), {})
        draft.apply_patch({"main": "c@x", "more": ("d@x",)}, known=True)

        assert draft.after["more"] == ("d@x", "c@x")
        assert (draft.own_value("more"), draft.appended_primaries("more")) == (
            ("d@x",),
            ("main",),
        )
        assert (draft.own_value("main"), draft.appended_primaries("main")) == (
            ADA["main"],
            (),
        )
        assert (draft.is_moved("more"), draft.is_moved("main")) == (True, False)
        draft.leave_out({"more": "", "main": ""})
        assert (draft.own_value("more"), draft.appended) == (("b@x",), {})
        draft.leave_out({"more": ""})
        assert draft.after["more"] == (*ADA["more"], "c@x")
        assert not draft.is_moved("more")

        book = mail_book({"id": 1, "main": "a@x"}, append_new=True)
        draft = Draft(book.policy, book.get("1"), {})
        draft.apply_patch({"main": "c@x"}, known=True)
        assert (draft.after["more"], draft.own_value("more")) == (("c@x",), None)
        assert not draft.is_moved("more")

    def test_draft_does_not_change_its_contact(self) -> None:
        before = Contact("1", "", {"id": 1, "n": 1}, 1, NOW, NOW)
        ignored = {"s": "null"}
        draft = Draft(self.POLICY, before, ignored)
        draft.apply_patch({"n": None}, known=True)
        draft.ignored["n"] = "x"

        assert before.fields == {"id": 1, "n": 1}
        assert ignored == {"s": "null"}

    def test_default_of_an_omitted_field_counts_as_moved(self) -> None:
        draft = Draft(self.POLICY, None, {})
        draft.apply_patch({"id": 1})
        draft.apply_defaults({"id": 1})

        assert draft.after == {"id": 1, "s": 1}
        assert draft.moved == {"id", "s"}


def test_appended_primary_is_cleaned_as_the_list() -> None:
    """It is stored or refused as if sent in the list."""

    def lower(values: Any) -> Any:
        if "bad@x" in values:
            raise ValueError("must be good")
        return [value.lower() for value in values]

    book = mail_book(ADA, append_new=True, more=field(clean=lower))
    outcome = book.upsert({"id": 1, "main": "C@x"})
    assert outcome.contact["more"] == ("b@x", "c@x")
    assert book.upsert({"id": 1, "main": "C@x"}).unchanged

    with pytest.raises(InvalidField, match="more: must be good"):
        book.upsert({"id": 1, "main": "bad@x"})


@pytest.mark.parametrize("known", [True, False], ids=["stored", "sent"])
def test_appended_primary_that_clean_rejects_is_refused(known: bool) -> None:  # noqa: FBT001
    """No stored value is shown."""

    def clean(values: Any) -> Any:
        if "boom@x" in values:
            raise LookupError("boom")
        return None if "c@x" in values else values

    more = {"more": ["secret@x"]} if known else {"more": None}
    book = mail_book({**ADA, **more}, append_new=True, more=field(clean=clean))
    with pytest.raises(InvalidField) as caught:
        book.upsert({"id": 1, "main": "c@x"})
    assert (
        str(caught.value)
        == "more: must be a value that its clean function accepts, not 'c@x'"
    )
    with pytest.raises(LookupError) as raised:
        book.upsert({"id": 1, "main": "boom@x"})
    assert raised.value.__notes__ == ["more: clean clean raised this for a list"]


def test_exception_of_a_rule_has_a_note_with_the_field() -> None:
    """In every verb, and in a merge of contacts."""

    def boom(_stored: Any, _sent: Any) -> Any:
        raise LookupError("boom")

    lines = {"n": field(rule=custom(boom, name="mine"))}
    book = book_by_id(**lines)
    note = ["n: rule mine raised this for text"]
    for call in (book.plan, book.upsert, book.create):
        with pytest.raises(LookupError) as raised:
            call({"id": 1, "n": "x"})
        assert raised.value.__notes__ == note
    rule = custom(boom, name="mine")
    book = make_book(
        merge_policy({"n": rule}, n=field()), {"id": 1, "n": "a"}, {"ref": 2, "n": "b"}
    )
    with pytest.raises(LookupError) as raised:
        book.upsert(BOTH)
    assert raised.value.__notes__ == note


def test_sent_value_under_ignore_is_named() -> None:
    """Also if the default is stored in its place."""
    book = book_by_id(n=field(rule=ignore, default="d"))

    assert book.upsert({"id": 1, "n": None}).ignored == {"n": "ignore"}
    assert book.upsert({"id": 2, "n": "e"}).ignored == {"n": "ignore"}


def test_rules_of_a_call_do_not_apply_to_merged_contacts() -> None:
    """Two contacts are merged by the rules of the policy."""
    last_updated = latest(by="at")
    lines = {
        "id": ID,
        "k": ID,
        "at": field(rule=last_updated),
        "n": field(rule=last_updated),
    }
    book = make_book(
        Policy(merge_all("id", "k"), lines),
        {"id": 1, "at": 1, "n": "old"},
        {"k": 2, "at": 2, "n": "new"},
    )
    merged = book.upsert({"id": 1, "k": 2, "at": 0}, rules={"n": keep}).contact

    assert (merged["n"], merged["at"]) == ("new", 2)
