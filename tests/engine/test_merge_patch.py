"""The draft: what is merged in which order, what is left out, and by which clock."""

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


def book(policy: Policy, *patches: dict[str, Any]) -> ContactBook:
    """Make a book that has created these; its contacts are called 1, 2, ..."""
    numbers = count(1)
    made = ContactBook(policy, ids=lambda: f"{next(numbers)}", clock=lambda: NOW)
    for patch in patches:
        made.create(patch)
    return made


def by_id(
    *patches: dict[str, Any], extra_fields: Any = None, **lines: Any
) -> ContactBook:
    """Make a book that matches by an id, with further fields."""
    return book(
        Policy(first_match("id"), {"id": ID, **lines}, extra_fields=extra_fields),
        *patches,
    )


MAIL = {
    "id": ID,
    "main": field(),
    "more": field(),
}


def mailbox(
    *patches: dict[str, Any], append_new: bool = False, **lines: Any
) -> ContactBook:
    """Make a book in which a primary and additional mails identify a contact."""
    mail = key(
        "main", "more", normalize=normalize.email, any_of=True, append_new=append_new
    )
    keys = {"mail": mail}
    policy = Policy(first_match("mail", "id"), {**MAIL, **lines}, keys=keys)
    return book(policy, *patches)


ADA: dict[str, Any] = {"id": 1, "main": "a@x", "more": ["b@x"]}


class TestAdditional:
    """A value that the contact holds as an additional one is not its primary."""

    def test_it_finds_and_does_not_displace(self) -> None:
        """The primary stays, the field is named, and twice is once."""
        made = mailbox(ADA)
        for _ in range(2):
            outcome = made.upsert({"main": "B@x"})

            assert (outcome.result, outcome.matched_by) == ("unchanged", "mail")
            assert outcome.contact is made.get("1")
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
    def test_when_the_rule_is_asked(self, sent: Any, after: Any, ignored: Any) -> None:
        """Where a form is new, or the primary's own, or there is none at all."""
        made = mailbox(ADA)
        outcome = made.upsert(sent)

        assert after == outcome.contact.get("main")
        assert ignored == outcome.ignored
        assert made.upsert(sent).unchanged

    @pytest.mark.parametrize("main", [None, "", []], ids=["null", "blank", "list"])
    def test_a_primary_that_is_empty_takes_it(self, main: Any) -> None:
        """Nothing would be displaced."""
        made = mailbox({**ADA, "main": main})
        outcome = made.upsert({"main": "b@x"})

        assert outcome.contact["main"] == "b@x"
        assert made.upsert({"main": "b@x"}).unchanged

    def test_at_creation_every_field_is_its_own(self) -> None:
        """A new contact has no primary that could be displaced."""
        outcome = mailbox().upsert({"more": ["a@x"], "main": "a@x"})

        assert outcome.contact.fields == {"more": ("a@x",), "main": "a@x"}
        assert outcome.ignored == {}

    def test_without_joins_a_new_value_displaces(self) -> None:
        """Its rule goes on as usual, and the former primary is let go."""
        made = mailbox(ADA)
        made.upsert({"id": 1, "main": "c@x"})

        assert made.find("mail", "a@x") == ()
        assert [made.get("1")] == list(made.find("mail", "c@x"))


class TestJoins:
    """A new value of the primary may join the additional ones instead."""

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
    def test_it_joins(self, stored: Any, sent: Any, more: Any) -> None:
        """Each form that is new, once, behind what is there; and twice is once."""
        made = mailbox({**ADA, **stored}, append_new=True)
        before = made.get("1")["main"]
        outcome = made.upsert({"id": 1, **sent})

        assert (before, more) == (outcome.contact["main"], outcome.contact["more"])
        assert outcome.ignored == {"main": "additional"}
        assert made.upsert({"id": 1, **sent}).unchanged
        assert made.find("mail", "c@x") == (outcome.contact,)

    @pytest.mark.parametrize("sent", [None, "", "none", "A@x"], ids="abcd")
    def test_what_is_no_new_value(self, sent: Any) -> None:
        """Null, blank, no form, or the primary's own one: the rule is asked."""
        made = mailbox(ADA, append_new=True)
        outcome = made.upsert({"id": 1, "main": sent})

        assert sent == outcome.contact.get("main")
        assert outcome.contact["more"] == ("b@x",)

    def test_it_joins_no_value_that_is_no_list(self) -> None:
        """The field and who holds it are named, and nothing is stored."""
        made = mailbox({**ADA, "more": "b@x"}, append_new=True)
        with pytest.raises(InvalidField) as caught:
            made.upsert({"id": 1, "main": "c@x"})
        assert (caught.value.field, caught.value.holder) == ("more", "1")
        assert "must be a list" in caught.value.reason

        with pytest.raises(InvalidField) as caught:
            made.upsert({"id": 1, "main": "c@x", "more": "d@x"})
        assert (caught.value.value, caught.value.holder) == ("d@x", None)

        assert made.upsert({"id": 1, "main": "B@x"}).unchanged

    def test_it_joins_the_last_of_several(self) -> None:
        """Every additional field holds, and the last one is the list."""
        lines = {"id": ID, "main": field(), "work": field(), "more": field()}
        parts = ("main", "work", "more")
        keys = {
            "m": key(*parts, normalize=normalize.email, any_of=True, append_new=True)
        }
        made = book(
            Policy(first_match("id"), lines, keys=keys),
            {"id": 1, "main": "a@x", "work": "w@x"},
        )
        assert made.upsert({"id": 1, "main": "W@x"}).unchanged

        after = made.upsert({"id": 1, "main": "c@x"}).contact
        assert (after["main"], after["work"], after["more"]) == ("a@x", "w@x", ("c@x",))

    def test_two_primaries_join_in_the_order_of_the_patch(self) -> None:
        """Whatever the order of the keys is."""
        lines = {"id": ID, "p": field(), "q": field(), "more": field()}
        keys = {
            name: key(
                name, "more", normalize=normalize.exact, any_of=True, append_new=True
            )
            for name in ("p", "q")
        }
        policy = Policy(first_match("id"), lines, keys=keys)
        made = book(policy, {"id": 1, "p": "p1", "q": "q1"})

        outcome = made.upsert({"id": 1, "q": "q2", "p": "p2"})
        assert outcome.contact["more"] == ("q2", "p2")

    def test_a_primary_that_is_there_already_brings_nothing(self) -> None:
        """Beside another one that joins in the same patch."""
        lines = {"id": ID, "p": field(), "q": field(), "more": field()}
        keys = {
            name: key(
                name, "more", normalize=normalize.exact, any_of=True, append_new=True
            )
            for name in ("p", "q")
        }
        policy = Policy(first_match("id"), lines, keys=keys)
        made = book(policy, {"id": 1, "p": "p1", "q": "q1", "more": ["p2"]})

        outcome = made.upsert({"id": 1, "q": "q2", "p": "p2"})
        assert outcome.contact["more"] == ("p2", "q2")


def clocked(*patches: dict[str, Any], **lines: Any) -> ContactBook:
    """Make a book whose field ``name`` goes by a clock ``at``, which only grows."""
    lines = {
        "name": field(rule=latest(by="at")),
        "at": field(rule=largest),
        **lines,
    }
    return by_id(*patches, **lines)


class TestLatest:
    """A field with a clock: what is newer is stored, in whatever order it comes."""

    PATCHES: tuple[dict[str, Any], ...] = (
        {"id": 1, "name": "A", "at": "2024-01-01", "city": "Oslo", "n": 3},
        {"id": 1, "name": None, "at": "2024-01-03", "n": 1},
        {"id": 1, "name": "B", "at": "2024-01-02", "city": "Rome", "n": 2},
    )

    @pytest.mark.parametrize("values", [*permutations(["A", None, "B"])])
    def test_the_order_of_arrival_does_not_matter(self, values: Any) -> None:
        """Whichever value is the newest, all six orders end in the same fields."""
        sent = [
            {**patch, "name": name}
            for patch, name in zip(self.PATCHES, values, strict=True)
        ]
        ends = []
        for order in permutations(sent):
            made = clocked(city=field(rule=latest(by="at")), n=field(rule=smallest))
            made.upsert_many(order)
            ends.append((dict(made.get("1").fields), dict(made.get("1").clocks)))
            assert all(made.upsert(patch).unchanged for patch in order)

        expected = {"id": 1, "at": "2024-01-03", "city": "Rome", "n": 1}
        last_updated = {} if values[1] is None else {"name": values[1]}
        assert [
            (expected | last_updated, {"name": "2024-01-03", "city": "2024-01-02"})
        ] * 6 == ends

    @pytest.mark.parametrize(
        "values", [("A", "B", "C"), (1, 1.0, True), ("", None, [])]
    )
    def test_equal_clocks_do_not_matter_either(self, values: Any) -> None:
        """Of equal clocks the value stays that is greater as JSON text."""
        ends = []
        for order in permutations(values):
            made = clocked()
            for value in order:
                made.upsert({"id": 1, "at": 7, "name": value})
            ends.append(made.get("1").get("name"))

        assert len({(type(end), end) for end in ends}) == 1

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
    def test_a_sent_value(
        self, sent: Any, after: Any, clock: Any, ignored: Any
    ) -> None:
        """It is stored with its clock, or left out and named; and twice is once."""
        made = clocked(at=field(rule=replace))
        made.upsert({"id": 1, "name": "A", "at": 5})
        outcome = made.upsert({"id": 1, **sent})

        assert after == outcome.contact.get("name")
        assert (type(clock), clock) == (
            *(type(outcome.contact.clocks["name"]),),
            outcome.contact.clocks["name"],
        )
        assert ignored == outcome.ignored
        assert made.upsert({"id": 1, **sent}).unchanged

    def test_a_clock_that_moves_alone_is_an_update(self) -> None:
        """No field moves, and the contact does; or older news would be news again."""
        made = clocked(at=field(rule=keep))
        made.upsert({"id": 1, "name": "A", "at": 5})
        outcome = made.upsert({"id": 1, "name": "A", "at": 9})

        assert (outcome.result, outcome.changes) == ("updated", ())
        assert outcome.contact.version == 2
        assert outcome.contact.clocks == {"name": 9}
        assert outcome.contact.fields == {"id": 1, "name": "A", "at": 5}
        assert made.plan({"id": 1, "name": "A", "at": 10}).clocks == {"name": 10}
        assert made.upsert({"id": 1, "name": "B", "at": 8}).unchanged

    def test_what_was_cleared_stays_so(self) -> None:
        """Its clock stays, so that nothing older brings it back."""
        made = clocked()
        made.upsert({"id": 1, "name": "A", "at": 5})
        gone = made.upsert({"id": 1, "name": None, "at": 7})
        assert "name" not in gone.contact
        assert gone.contact.clocks == {"name": 7}

        late = made.upsert({"id": 1, "name": "B", "at": 6})
        assert late.unchanged
        assert late.ignored == {"name": "latest(by='at')", "at": "largest"}
        assert made.upsert({"id": 1, "name": "C", "at": 8}).contact["name"] == "C"

    @pytest.mark.parametrize("name", ["A", None], ids=["value", "null"])
    def test_at_creation_the_clock_is_recorded(self, name: Any) -> None:
        """Of null too: what is older than the contact finds it cleared."""
        made = clocked()
        outcome = made.upsert({"id": 1, "name": name, "at": 7})

        assert outcome.contact.clocks == {"name": 7}
        assert made.upsert({"id": 1, "name": "Z", "at": 6}).unchanged

    def test_a_value_without_a_clock_is_overtaken_by_any(self) -> None:
        """What no clock has written has none, whatever the patch's is."""
        made = clocked()
        row = Contact("1", "", {"id": 1, "name": "A"}, 1, NOW, NOW).to_dict()
        made = ContactBook.load(made.policy, [row])

        assert made.upsert({"id": 1, "name": "B", "at": -5}).contact["name"] == "B"

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
    def test_a_value_needs_its_clock(self, sent: Any, shown: Any) -> None:
        """None, blank, or what is neither text nor number is refused by its name."""
        made = clocked(at=field())
        for known in (False, True):
            with pytest.raises(InvalidField, match="as the clock of name") as caught:
                made.upsert({"id": 1, "name": "A", **sent})
            assert ("at", shown) == (caught.value.field, caught.value.value)
            assert len(made) == known
            made.upsert({"id": 1, "at": 1})

        assert made.upsert({"id": 1, **sent}).contact.clocks == {}

    def test_a_clock_that_is_left_out_is_none(self) -> None:
        """Null and blank that count as omitted give no clock."""
        made = clocked(at=field(null="ignore"))
        with pytest.raises(InvalidField, match="at: must be text or a number"):
            made.upsert({"id": 1, "name": "A", "at": None})

    @pytest.mark.parametrize(("old", "new"), [(1, "1"), ("2", 1), ("1", 1.5)])
    def test_clocks_of_two_kinds(self, old: Any, new: Any) -> None:
        """A number and a text do not compare, and the field is named."""
        made = clocked(at=field())
        made.upsert({"id": 1, "name": "A", "at": old})
        with pytest.raises(InvalidField, match="must have a clock comparable") as c:
            made.upsert({"id": 1, "name": "B", "at": new})

        assert (c.value.field, c.value.value) == ("name", "B")

    def test_the_clock_is_the_one_that_was_cleaned(self) -> None:
        """Spellings of one time are one time."""
        made = clocked(at=field(clean=lambda at: at.replace("/", "-")))
        made.upsert({"id": 1, "name": "A", "at": "2024/01/02"})

        assert made.get("1").clocks == {"name": "2024-01-02"}
        assert made.upsert({"id": 1, "name": "A", "at": "2024-01-02"}).unchanged

    def test_undeclared_fields_may_go_by_an_undeclared_clock(self) -> None:
        """The clock itself goes by itself then."""
        made = by_id(extra_fields=field(rule=latest(by="at")))
        made.upsert({"id": 1, "city": "Oslo", "at": 2})
        outcome = made.upsert({"id": 1, "city": "Rome", "at": 1})

        assert outcome.contact.fields == {"id": 1, "city": "Oslo", "at": 2}
        assert outcome.contact.clocks == {"city": 2, "at": 2}
        assert set(outcome.ignored) == {"city", "at"}


class TestLeftOut:
    """What a rule leaves out is named, with the rule."""

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
    def test_a_number(self, rule: Any, sent: Any, after: Any, ignored: bool) -> None:  # noqa: FBT001
        """It is stored, or what is left out is told."""
        made = by_id({"id": 1, "n": 3}, n=field(rule=rule))
        made._index.put(Contact("1", "", {"id": 1, "n": 3}, 1, NOW, NOW), [["1"]])
        outcome = made.upsert({"id": 1, "n": sent})

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
    def test_inside_a_mapping(self, sent: Any, after: Any, ignored: bool) -> None:  # noqa: FBT001
        """What is not taken inside is told, even where the rest is stored."""
        made = by_id(m=field(rule=deep_keep))
        made.upsert({"id": 1, "m": {"a": 1, "c": {"d": ""}}})
        outcome = made.upsert({"id": 1, "m": sent})

        assert after == outcome.contact["m"]
        assert ({"m": "deep_keep"} if ignored else {}) == outcome.ignored
        assert made.upsert({"id": 1, "m": sent}).unchanged

    def test_lists_tell_nothing(self) -> None:
        """What joins or leaves a list is what was asked for."""
        lines = {"s": field(rule=add_or_remove), "a": field(rule=append)}
        made = by_id({"id": 1, "s": ["x"], "a": ["x"]}, **lines)
        outcome = made.upsert({"id": 1, "s": ["-x", "y"], "a": ["x"]})

        assert (outcome.contact["s"], outcome.contact["a"]) == (("y",), ("x", "x"))
        assert outcome.ignored == {}
        with pytest.raises(InvalidField, match="s: must be a list of text"):
            made.upsert({"id": 1, "s": ["-"]})


def absorbing(on_merge: Any = None, **lines: Any) -> Policy:
    """Make a policy that merges by two keys."""
    keys = {name: field(key=normalize.exact) for name in ("id", "ref")}
    return Policy(merge_all("id", "ref"), merging({**keys, **lines}, on_merge or {}))


BOTH: dict[str, Any] = {"id": 1, "ref": 2}


class TestAbsorb:
    """One contact merged into another, before the patch is."""

    def test_the_survivors_values_stay(self) -> None:
        """Absent and blank ones are filled, from one absorbed contact after another."""
        names = ("a", "b", "c", "d")
        policy = absorbing(**{name: field() for name in names})
        made = book(
            policy,
            {"id": 1, "a": 1, "b": ""},
            {"ref": 2, "a": 2, "b": 2, "c": 2},
            {"ref": 2, "a": 3, "b": 3, "c": 3, "d": 3},
        )
        outcome = made.upsert(BOTH)

        assert outcome.result == "merged"
        assert outcome.contact.fields == {**BOTH, "a": 1, "b": 2, "c": 2, "d": 3}
        assert made.upsert(BOTH).unchanged

    def test_the_patch_comes_last(self) -> None:
        """It is merged over what the contacts made of each other."""
        policy = absorbing(tags=field(rule=union), at=field(), on_merge={"tags": union})
        made = book(
            policy, {"id": 1, "tags": ["a"]}, {"ref": 2, "tags": ["b"], "at": 1}
        )
        outcome = made.upsert({**BOTH, "tags": ["c"], "at": None})

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
    def test_a_rule_between_contacts(self, rule: Any, after: Any) -> None:
        """The survivor's value stands for the stored one, whatever the field's rule."""
        policy = absorbing({} if rule is None else {"n": rule}, n=field(rule=on_create))
        made = book(policy, {"id": 1, "n": 1}, {"ref": 2, "n": 2})

        assert after == made.upsert(BOTH).contact.get("n")

    def test_a_rule_that_takes_nothing_from_an_update(self) -> None:
        """Takes nothing from another contact either, though nothing is there."""
        policy = absorbing({"n": on_create}, n=field())
        made = book(policy, {"id": 1}, {"ref": 2, "n": 2})

        assert "n" not in made.upsert(BOTH).contact

    def test_a_rule_that_refuses(self) -> None:
        """The field and the absorbed contact are named, and not its value."""
        policy = absorbing({"n": immutable, "m": deep}, n=field(), m=field())
        made = book(policy, {"id": 1, "n": 1}, {"ref": 2, "n": 2})
        before = made.dump()
        with pytest.raises(InvalidField) as caught:
            made.upsert({**BOTH, "n": 3})

        assert (caught.value.field, caught.value.holder) == ("n", "2")
        assert caught.value.value is None
        assert made.dump() == before

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
    def test_a_field_with_a_clock(
        self, one: Any, two: Any, after: Any, clocks: Any
    ) -> None:
        """It goes by its clock, not by who survives; what is cleared counts too."""
        policy = absorbing(name=field(rule=latest(by="at")), at=field(rule=largest))
        made = book(policy, {"id": 1, **one}, {"ref": 2, **two})
        outcome = made.upsert(BOTH)

        assert after == outcome.contact.get("name")
        assert clocks == outcome.contact.clocks
        assert made.upsert(BOTH).unchanged

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
    def test_a_value_that_is_taken_over_brings_its_clock(
        self, rule: Any, one: Any, two: Any, after: Any, clocks: Any
    ) -> None:
        """Whatever rule takes it; a value of both has the later of their clocks."""
        lines = {"name": field(rule=latest(by="at")), "at": field(rule=largest)}
        policy = absorbing({"name": rule}, **lines)
        made = book(policy, {"id": 1, **one}, {"ref": 2, **two})
        outcome = made.upsert(BOTH)

        assert outcome.contact.get("name") == after
        assert outcome.contact.clocks == clocks
        older = made.upsert({**BOTH, "name": ["older"], "at": clocks["name"] - 1})
        assert older.contact.get("name") == after

    def test_clocks_of_two_kinds_are_ordered_too(self) -> None:
        """A value that is made of both has a clock, number or text."""
        lines = {"name": field(rule=latest(by="at")), "at": field()}
        policy = absorbing({"name": union}, **lines)
        made = book(
            policy,
            {"id": 1, "name": ["a"], "at": 5},
            {"ref": 2, "name": ["b"], "at": "2024"},
        )

        assert made.upsert(BOTH).contact.clocks == {"name": "2024"}

    @pytest.mark.parametrize("name", ["A", None, ""], ids=["value", "absent", "blank"])
    def test_where_neither_has_a_clock_it_is_kept(self, name: Any) -> None:
        """As a field without one: the survivor's value, else that of the other."""
        policy = absorbing(name=field(rule=latest(by="at")), at=field())
        rows = [
            Contact("1", "", {"id": 1, "name": name or ""}, 1, NOW, NOW).to_dict(),
            Contact("2", "", {"ref": 2, "name": "B"}, 1, NOW, NOW).to_dict(),
        ]
        if name is None:
            del rows[0]["fields"]["name"]
        outcome = ContactBook.load(policy, rows).upsert(BOTH)

        assert (name or "B") == outcome.contact["name"]
        assert outcome.contact.clocks == {}

    def test_a_blank_value_of_an_absorbed_contact(self) -> None:
        """It fills what is absent, as a sent one does under keep."""
        made = book(absorbing(n=field()), {"id": 1}, {"ref": 2, "n": []})

        assert made.upsert(BOTH).contact["n"] == ()


class TestDraft:
    """The fields by themselves."""

    POLICY = Policy(first_match("id"), {"id": ID, "n": field(), "s": field(default=1)})

    def test_what_comes_back_has_not_moved(self) -> None:
        """A field that is as it was stored is not among those that moved."""
        before = Contact("1", "", {"id": 1, "n": 1}, 1, NOW, NOW)
        draft = Draft(self.POLICY, before, {})
        draft.apply_patch({"n": 2}, known=True)
        assert draft.moved == {"n"}
        draft.apply_patch({"n": 1}, known=True)

        assert (draft.moved, draft.after) == (set(), {"id": 1, "n": 1})

    def test_what_is_left_out(self) -> None:
        """A field and its clock are as they were; other fields go by its clock."""
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

    def test_what_is_left_out_of_a_new_contact(self) -> None:
        """It is not there, by default neither; one that is needed is missed."""
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

    def test_what_joined_a_list_is_known(self) -> None:
        """The list has a value of its own, and whose values joined it."""
        made = mailbox(ADA, append_new=True)
        draft = Draft(made.policy, made.get("1"), {})
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

        made = mailbox({"id": 1, "main": "a@x"}, append_new=True)
        draft = Draft(made.policy, made.get("1"), {})
        draft.apply_patch({"main": "c@x"}, known=True)
        assert (draft.after["more"], draft.own_value("more")) == (("c@x",), None)
        assert not draft.is_moved("more")

    def test_nothing_of_it_reaches_the_contact(self) -> None:
        """The contact that it was made of stays as it is."""
        before = Contact("1", "", {"id": 1, "n": 1}, 1, NOW, NOW)
        ignored = {"s": "null"}
        draft = Draft(self.POLICY, before, ignored)
        draft.apply_patch({"n": None}, known=True)
        draft.ignored["n"] = "x"

        assert before.fields == {"id": 1, "n": 1}
        assert ignored == {"s": "null"}

    def test_a_default_stands_where_nothing_was_sent(self) -> None:
        """And it counts as moved, for a new contact has nothing."""
        draft = Draft(self.POLICY, None, {})
        draft.apply_patch({"id": 1})
        draft.apply_defaults({"id": 1})

        assert draft.after == {"id": 1, "s": 1}
        assert draft.moved == {"id", "s"}


def test_what_joins_is_cleaned_as_the_list_is() -> None:
    """It is stored as it would be if it had been sent there, and refused as well."""

    def lower(values: Any) -> Any:
        if "bad@x" in values:
            raise ValueError("must be good")
        return [value.lower() for value in values]

    made = mailbox(ADA, append_new=True, more=field(clean=lower))
    outcome = made.upsert({"id": 1, "main": "C@x"})
    assert outcome.contact["more"] == ("b@x", "c@x")
    assert made.upsert({"id": 1, "main": "C@x"}).unchanged

    with pytest.raises(InvalidField, match="more: must be good"):
        made.upsert({"id": 1, "main": "bad@x"})


@pytest.mark.parametrize("known", [True, False], ids=["stored", "sent"])
def test_what_joins_and_cannot_be_used_is_refused(known: bool) -> None:  # noqa: FBT001
    """As it would be if it had been sent there, and no stored value is shown."""

    def clean(values: Any) -> Any:
        if "boom@x" in values:
            raise LookupError("boom")
        return None if "c@x" in values else values

    more = {"more": ["secret@x"]} if known else {"more": None}
    made = mailbox({**ADA, **more}, append_new=True, more=field(clean=clean))
    with pytest.raises(InvalidField) as caught:
        made.upsert({"id": 1, "main": "c@x"})
    assert (
        str(caught.value)
        == "more: must be a value that its clean function accepts, not 'c@x'"
    )
    with pytest.raises(LookupError) as raised:
        made.upsert({"id": 1, "main": "boom@x"})
    assert raised.value.__notes__ == ["more: clean clean raised this for a list"]


def test_a_rule_that_raises_is_named() -> None:
    """With its field, whatever path the call takes."""

    def boom(_stored: Any, _sent: Any) -> Any:
        raise LookupError("boom")

    lines = {"n": field(rule=custom(boom, name="mine"))}
    made = by_id(**lines)
    note = ["n: rule mine raised this for text"]
    for call in (made.plan, made.upsert, made.create):
        with pytest.raises(LookupError) as raised:
            call({"id": 1, "n": "x"})
        assert raised.value.__notes__ == note
    rule = custom(boom, name="mine")
    made = book(
        absorbing({"n": rule}, n=field()), {"id": 1, "n": "a"}, {"ref": 2, "n": "b"}
    )
    with pytest.raises(LookupError) as raised:
        made.upsert(BOTH)
    assert raised.value.__notes__ == note


def test_a_default_in_place_of_what_was_sent_is_named() -> None:
    """A null that a rule does not take is ignored in words, not in silence."""
    made = by_id(n=field(rule=ignore, default="d"))

    assert made.upsert({"id": 1, "n": None}).ignored == {"n": "ignore"}
    assert made.upsert({"id": 2, "n": "e"}).ignored == {"n": "ignore"}


def test_contacts_are_joined_by_the_tables_rules() -> None:
    """Whatever rule one call has for its patch, the later value of two stays."""
    last_updated = latest(by="at")
    lines = {
        "id": ID,
        "k": ID,
        "at": field(rule=last_updated),
        "n": field(rule=last_updated),
    }
    made = book(
        Policy(merge_all("id", "k"), lines),
        {"id": 1, "at": 1, "n": "old"},
        {"k": 2, "at": 2, "n": "new"},
    )
    merged = made.upsert({"id": 1, "k": 2, "at": 0}, rules={"n": keep}).contact

    assert (merged["n"], merged["at"]) == ("new", 2)
