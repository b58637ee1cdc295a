"""Contacts among themselves: merged, deduplicated, and put back to the byte."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    errors,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.rules import custom, immutable, largest, latest, union

NOW = datetime(2024, 1, 2, tzinfo=UTC)
FIELDS: dict[str, Any] = {
    "email": field(key=normalize.email, unique=True),
    "phone": field(key=normalize.phone),
    "name": field(),
    "tags": field(rule=union),
}
POLICY = Policy(first_match("email", "phone"), merging(FIELDS, {"tags": union}))
ADA = {"email": "ada@x", "tags": ["a"]}
EVE = {"email": "eve@x", "phone": "+15550002", "name": "Eve", "tags": ["e"]}
BOB = {"email": "bob@x", "phone": "+15550003", "name": "Bob", "tags": ["b"]}


def book(
    policy: Policy = POLICY, *patches: dict[str, Any], scope: str = ""
) -> ContactBook:
    """Make a book whose clock moves an hour at each look; contacts c-1, c-2, ..."""
    ids, hours = count(1), count()
    made = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: NOW + timedelta(hours=next(hours)),
    )
    for patch in patches or (ADA, EVE, BOB):
        made.create(patch, scope=scope)
    return made


class TestMerge:
    """Several contacts become one, by the rules of ``absorb``."""

    def test_what_becomes_of_each_field(self) -> None:
        """What the survivor has stays, what it lacks is filled, lists join."""
        made = book()
        ada, eve, bob = made
        outcome = made.merge("c-1", "c-2", "c-3")
        now = made.get("c-1")

        assert (outcome.result, outcome.contact, outcome.before) == ("merged", now, ada)
        assert outcome.merged == (eve, bob)
        assert now.to_dict()["fields"] == {**EVE, **ADA, "tags": ["a", "e", "b"]}
        assert (now.version, now.merged_ids) == (2, ("c-2", "c-3"))
        assert (now.created_at, now.updated_at) == (NOW, NOW + timedelta(hours=3))
        assert outcome.matched_by is None
        made._index.check()

    def test_the_order_of_the_others_counts(self) -> None:
        """The first of them that has a value fills what the survivor lacks."""
        made = book()

        assert made.merge("c-1", "c-3", "c-2").contact["name"] == "Bob"
        assert made.get("c-1").merged_ids == ("c-3", "c-2")

    def test_the_ids_of_all_lead_to_the_survivor(self) -> None:
        """And so do the keys that passed on; the others are free again."""
        made = book()
        made.merge("c-1", "c-2")
        made.merge("c-3", "c-1")

        assert [each.id for each in made] == ["c-3"]
        assert {made.get(id).id for id in ("c-1", "c-2", "c-3")} == {"c-3"}
        assert made.get("c-3").merged_ids == ("c-1", "c-2")
        assert made.upsert({"email": "eve@x"}).created
        made._index.check()

    def test_ids_are_followed(self) -> None:
        """An id that leads to a contact means that contact, on either side."""
        made = book()
        made.merge("c-1", "c-2")
        outcome = made.merge("c-2", "c-3", "c-3")

        assert (outcome.contact.id, len(outcome.merged)) == ("c-1", 1)
        assert made.get("c-1").merged_ids == ("c-2", "c-3")

    @pytest.mark.parametrize("others", [("c-1",), ("c-3", "c-2"), ("c-2", "c-2")])
    def test_the_survivor_is_none_of_the_others(self, others: tuple[str, ...]) -> None:
        """It is refused by name, or ignored where that is asked for."""
        made = book()
        made.merge("c-1", "c-2")
        before = made.dump()
        with pytest.raises(errors.InvalidField, match="is the survivor itself") as no:
            made.merge("c-1", *others)

        assert (no.value.field, no.value.value) == ("others", "c-1")
        assert made.dump() == before
        outcome = made.merge("c-2", *others, on_itself="ignore")
        assert outcome.result == ("merged" if "c-3" in others else "unchanged")

    def test_nobody_else_is_left(self) -> None:
        """Nothing changes then, and no time is asked for."""
        made = book()
        ada = made.get("c-1")
        for outcome in (
            made.merge("c-1"),
            made.merge("c-1", "c-1", on_itself="ignore"),
        ):
            assert (outcome.result, outcome.merged) == ("unchanged", ())
            assert outcome.contact is ada
            assert outcome.changes == ()

    def test_a_choice_that_is_none(self) -> None:
        """It is a fault of the caller's code, so it is no refusal."""
        wrong: Any = "skip"
        with pytest.raises(ValueError, match="on_itself: must be 'refuse' or"):
            book().merge("c-1", "c-2", on_itself=wrong)

    @pytest.mark.parametrize(
        "ids", [("c-9",), ("c-9", "c-1"), ("c-1", "c-9"), ("c-1", "c-2", "")]
    )
    def test_an_unknown_id(self, ids: tuple[str, ...]) -> None:
        """Nobody is merged where one of them is not there."""
        made = book()
        before = made.dump()
        with pytest.raises(errors.UnknownContact):
            made.merge(*ids)

        assert made.dump() == before
        made._index.check()

    @pytest.mark.parametrize("id", [["c-2"], 7, None, b"c-2"])
    def test_an_id_that_is_no_text(self, id: Any) -> None:
        """A list of ids is no id either, on neither side."""
        made = book()
        for ids in ((id, "c-1"), ("c-1", id)):
            with pytest.raises(errors.UnknownContact) as no:
                made.merge(*ids)
            assert no.value.id == id

        assert len(made) == 3

    def test_another_scope(self) -> None:
        """What is in another scope is unknown, to whichever verb takes an id."""
        made = book(POLICY, ADA, scope="s")
        made.create(EVE, scope="t")
        for call in (
            lambda: made.merge("c-1", "c-2", scope="s"),
            lambda: made.merge("c-2", "c-1", scope="s"),
            lambda: made.get("c-2", scope="s"),
            lambda: made.get("c-2"),
            lambda: made.delete("c-2", scope="s"),
            lambda: made.purge("c-2", scope="s"),
        ):
            with pytest.raises(errors.UnknownContact, match="no contact has 'c-2'"):
                call()

        assert len(made) == 2
        assert (("t", "c-2") in made, ("s", "c-2") in made) == (True, False)
        assert made.get("c-2", scope="t")["email"] == EVE["email"]

    @pytest.mark.parametrize("on_key_in_use", ["refuse", "withhold", "allow"])
    def test_a_key_of_somebody_else(self, on_key_in_use: Any) -> None:
        """What is absorbed is never withheld: the merge is refused, or allowed."""
        person = key("first", "last", normalize=normalize.text, unique=True)
        policy = Policy(
            first_match("person"),
            {"first": field(), "last": field()},
            keys={"person": person},
            on_key_in_use=on_key_in_use,
        )
        made = book(policy, {"first": "Ada"}, {"last": "King"})
        made.create({"first": "ADA", "last": "KING"})
        if on_key_in_use == "allow":
            outcome = made.merge("c-1", "c-2")
            assert (outcome.result, outcome.also_matched) == ("merged", ("c-3",))
            return
        before = made.dump()
        with pytest.raises(errors.KeyInUse) as no:
            made.merge("c-1", "c-2")

        assert (no.value.field, no.value.holder) == ("person", "c-3")
        assert made.dump() == before
        made._index.check()

    def test_too_many_keys(self) -> None:
        """A limit holds for what is absorbed, too."""
        email = field(key=normalize.email, rule=union, max_forms=1)
        policy = Policy(
            first_match("email"), merging({"email": email}, {"email": union})
        )
        made = book(policy, {"email": ["a@x"]}, {"email": ["b@x"]})
        with pytest.raises(errors.InvalidField, match="must have one key per contact"):
            made.merge("c-1", "c-2")

        assert len(made) == 2

    @pytest.mark.parametrize(("theirs", "result"), [("r", "merged"), ("s", None)])
    def test_a_value_that_never_changes(self, theirs: str, result: str | None) -> None:
        """``immutable`` in ``absorb`` refuses where the two differ."""
        lines = {**FIELDS, "ref": field()}
        policy = Policy(first_match("email"), merging(lines, {"ref": immutable}))
        made = book(policy, {**ADA, "ref": "r"}, {**EVE, "ref": theirs})
        if result is None:
            with pytest.raises(errors.InvalidField, match="ref: must not change"):
                made.merge("c-1", "c-2")
            assert len(made) == 2
        else:
            assert made.merge("c-1", "c-2").result == result

    def test_a_policy_that_updates_nobody(self) -> None:
        """``on_found="refuse"`` refuses a merge; ``"ignore"`` does not."""
        made = book(Policy(first_match("email"), FIELDS, on_found="refuse"))
        with pytest.raises(errors.UpdateRefused):
            made.merge("c-1", "c-2")
        assert made.merge("c-1").unchanged
        assert len(made) == 3

        made = book(Policy(first_match("email"), FIELDS, on_found="ignore"))
        assert made.merge("c-1", "c-2").merged

    def test_what_is_not_there_says_nothing(self) -> None:
        """A contact that lacks a field leaves it, though it knows since when."""
        lines = {**FIELDS, "at": field(), "city": field(rule=latest(by="at"))}
        last = custom(lambda _stored, sent: sent, name="last")
        policy = Policy(first_match("email"), merging(lines, {"city": last}))
        ada, eve = {"city": "Oslo", "at": 1}, {"city": None, "at": 2}
        made = book(policy, {**ADA, **ada}, {**EVE, **eve})

        assert made.get("c-2").clocks == {"city": 2}
        assert made.merge("c-1", "c-2").contact["city"] == "Oslo"

    def test_a_later_clock_wins(self) -> None:
        """A field whose own rule has a clock is absorbed by it."""
        last_updated = latest(by="at")
        lines = {
            **FIELDS,
            "at": field(rule=last_updated),
            "city": field(rule=last_updated),
        }
        early, late = {"at": 1, "city": "Oslo"}, {"at": 2, "city": "Bergen"}
        made = book(
            Policy(first_match("email"), lines), {**ADA, **early}, {**EVE, **late}
        )
        now = made.merge("c-1", "c-2").contact

        assert (now["city"], dict(now.clocks)) == ("Bergen", {"at": 2, "city": 2})

    def test_what_is_remembered(self) -> None:
        """A form that gives way to the survivor's finds it, as an alias."""
        lines = {
            **FIELDS,
            "email": field(key=normalize.email, unique=True, keep_aliases=True),
        }
        made = book(Policy(merge_all("email"), lines))
        made.merge("c-1", "c-2")

        assert dict(made.get("c-1").aliases) == {"email": ("eve@x",)}
        assert [each.id for each in made.find("email", "EVE@x")] == ["c-1"]

    def test_a_rule_of_a_hosts_that_raises(self) -> None:
        """The host's own error comes out, and the book is as it was."""

        def explode(_mine: Any, _theirs: Any) -> Any:
            raise ArithmeticError("boom")

        made = book(
            Policy(first_match("email"), merging(FIELDS, {"tags": custom(explode)}))
        )
        before = made.dump()
        with pytest.raises(ArithmeticError, match="boom"):
            made.merge("c-1", "c-2")

        assert made.dump() == before

    def test_a_rule_that_writes_to_the_book(self) -> None:
        """The merge is decided anew on what was written, and nothing of it is lost."""
        made: ContactBook
        asked = count()

        def larger(mine: Any, theirs: Any) -> Any:
            if next(asked) == 0:
                made.upsert({"email": "eve@x", "name": "Eva"})
            return max(mine, theirs)

        lines = {"email": FIELDS["email"], "name": field(), "age": field(rule=largest)}
        policy = Policy(first_match("email"), merging(lines, {"age": custom(larger)}))
        made = book(policy, {"email": "ada@x", "age": 1}, {"email": "eve@x", "age": 2})
        outcome = made.merge("c-1", "c-2")

        assert (outcome.contact["age"], outcome.contact["name"]) == (2, "Eva")
        assert next(asked) == 2

    def test_a_survivor_that_is_merged_meanwhile(self) -> None:
        """Its id is followed to where it leads by then."""
        made: ContactBook
        asked = count()

        def joined(mine: Any, theirs: Any) -> Any:
            if next(asked) == 0:
                made.merge("c-1", "c-2")
            return (*mine, *theirs)

        made = book(
            Policy(first_match("email"), merging(FIELDS, {"tags": custom(joined)}))
        )
        outcome = made.merge("c-2", "c-3")

        assert (outcome.contact.id, outcome.contact.merged_ids) == (
            "c-1",
            ("c-2", "c-3"),
        )
        assert outcome.contact["tags"] == ("a", "e", "b")
        made._index.check()


def created(made: ContactBook) -> Outcome:
    """Create somebody."""
    return made.create({"email": "new@x", "tags": ["n"]})


def updated(made: ContactBook) -> Outcome:
    """Update one of three."""
    return made.upsert({"email": "eve@x", "phone": None, "name": "Eva"})


def merged(made: ContactBook) -> Outcome:
    """Merge the first and the last of three into the one between."""
    return made.merge("c-2", "c-3", "c-1")


class TestUndo:
    """What one call did is taken back, exactly."""

    @pytest.mark.parametrize("call", [created, updated, merged])
    def test_the_dump_is_what_it_was(self, call: Callable[..., Outcome]) -> None:
        """Versions, times, order of creation and ids included."""
        made = book()
        before = made.dump()
        outcome = call(made)
        assert made.dump() != before
        back = made.undo(outcome)

        assert made.dump() == before
        assert (back.result, back.before) == ("undone", outcome.contact)
        assert back.contact == (outcome.before or outcome.contact)
        assert back.merged == outcome.merged
        made._index.check()

    @pytest.mark.parametrize("call", [updated, merged])
    def test_keys_find_whom_they_found(self, call: Callable[..., Outcome]) -> None:
        """Oldest first, as before."""
        made = book(POLICY, ADA, EVE, {**BOB, "phone": "+15550002"})
        outcome = call(made)
        made.undo(outcome)

        assert [c.id for c in made.find("phone", "+15550002")] == ["c-2", "c-3"]
        assert [
            [c.id for c in made.find("email", f"{n}@x")] for n in ("ada", "bob")
        ] == [
            ["c-1"],
            ["c-3"],
        ]

    def test_what_is_unchanged_is_handed_back(self) -> None:
        """There is nothing to take back, also where the contact has moved on."""
        made = book()
        outcome = made.upsert(ADA)
        made.delete("c-1")

        assert made.undo(outcome) is outcome

    def test_an_outcome_that_was_pickled(self) -> None:
        """It is compared by value, so a copy does."""
        twins: list[Callable[[Outcome], Outcome]] = [
            lambda outcome: pickle.loads(pickle.dumps(outcome)),  # noqa: S301
            copy.deepcopy,
        ]
        for twin in twins:
            made = book()
            before = made.dump()
            made.undo(twin(merged(made)))

            assert made.dump() == before

    def test_aliases_and_clocks_come_back(self) -> None:
        """A former key is none again, and an older clock may come."""
        last_updated = latest(by="at")
        lines = {
            "email": field(key=normalize.email, unique=True, keep_aliases=True),
            "id": field(key=normalize.exact),
            "at": field(rule=last_updated),
        }
        made = book(
            Policy(first_match("id"), lines), {"id": 1, "email": "a@x", "at": 1}
        )
        outcome = made.upsert({"id": 1, "email": "b@x", "at": 9})
        assert dict(outcome.contact.aliases) == {"email": ("a@x",)}
        back = made.undo(outcome).contact

        assert (dict(back.aliases), dict(back.clocks)) == ({}, {"at": 1})
        assert made.find("email", "b@x") == ()
        assert made.upsert({"id": 1, "email": "c@x", "at": 2}).contact["at"] == 2

    def test_one_after_the_other(self) -> None:
        """Backwards to the empty book, each exactly."""
        made = ContactBook(POLICY)
        dumps, outcomes = [], []
        calls: list[Callable[[], Outcome]] = [
            lambda: made.create(ADA),
            lambda: made.create(EVE),
            lambda: made.create(BOB),
            lambda: made.merge(*[each.id for each in made][1:]),
            lambda: made.upsert({"email": "ada@x", "name": "Ada"}),
            lambda: made.merge(*[each.id for each in made]),
        ]
        for call in calls:
            dumps.append(made.dump())
            outcomes.append(call())
        for dump, outcome in zip(reversed(dumps), reversed(outcomes), strict=True):
            made.undo(outcome)
            assert made.dump() == dump
            made._index.check()

    def test_what_merge_all_merged(self) -> None:
        """A patch that merges is taken back with whom it merged."""
        made = book(Policy(merge_all("email", "phone"), FIELDS))
        before = made.dump()
        outcome = made.upsert({"email": "ada@x", "phone": "+15550002", "name": "Ada"})
        assert outcome.merged
        made.undo(outcome)

        assert made.dump() == before

    def test_ids_lead_to_whom_they_led(self) -> None:
        """Those of contacts absorbed earlier go back with the one that has them."""
        made = book()
        made.merge("c-2", "c-3")
        outcome = made.merge("c-1", "c-2")
        made.undo(outcome)

        assert [made.get(f"c-{n}").id for n in (1, 2, 3)] == ["c-1", "c-2", "c-2"]

    def test_the_id_of_who_was_created_is_free_again(self) -> None:
        """No contact has it any more, so another one may."""
        made = ContactBook(POLICY, ids=lambda: "c-1")
        outcome = made.create(ADA)
        made.undo(outcome)
        assert ("c-1" in made, len(made)) == (False, 0)
        assert made.create(ADA).contact.id == "c-1"

    @pytest.mark.parametrize(
        ("call", "then", "words"),
        [
            (updated, lambda b: b.upsert({"email": "eve@x", "name": "E"}), "(name)"),
            (updated, lambda b: b.upsert({"email": "eve@x", "name": "E"}), "version 3"),
            (created, lambda b: b.delete("c-4"), "contact c-4 is gone"),
            (updated, lambda b: b.merge("c-1", "c-2"), "c-2 was merged into c-1"),
            (merged, lambda b: b.upsert({"email": "eve@x", "name": "E"}), "not 2"),
            (
                merged,
                lambda b: b.create({"email": "ada@x"}),
                "contact c-4 holds its former email",
            ),
            (merged, lambda b: b.delete("c-2"), "contact c-2 is gone"),
        ],
        ids=map(str, range(7)),
    )
    def test_what_came_later_stays(
        self, call: Callable[..., Outcome], then: Callable[..., object], words: str
    ) -> None:
        """An outcome that is not the last of its contact is stale, and says why."""
        made = book()
        outcome = call(made)
        then(made)
        before = made.dump()
        with pytest.raises(errors.StaleOutcome) as no:
            made.undo(outcome)

        assert words in no.value.reason
        assert made.dump() == before
        made._index.check()

    def test_fields_that_came_back(self) -> None:
        """What was changed and changed back has moved on, and no field is named."""
        made = book()
        outcome = updated(made)
        for name in ("E", "Eva"):
            made.upsert({"email": "eve@x", "name": name})
        with pytest.raises(errors.StaleOutcome) as no:
            made.undo(outcome)

        assert no.value.reason == "contact c-2 is at version 4, not 2"

    def test_what_was_put_back_already(self) -> None:
        """Neither the outcome, nor that of putting it back, is undone twice."""
        made = book()
        outcome = updated(made)
        back = made.undo(outcome)
        for each in (outcome, back):
            with pytest.raises(errors.StaleOutcome):
                made.undo(each)

        gone = made.undo(created(made))
        with pytest.raises(errors.StaleOutcome, match="was put back already"):
            made.undo(gone)

    def test_a_key_that_was_taken_meanwhile(self) -> None:
        """It is not asked for where the policy allows clashes."""
        choices: Any = "refuse", "allow"
        for on_key_in_use in choices:
            policy = Policy(first_match("phone"), FIELDS, on_key_in_use=on_key_in_use)
            made = book(policy, EVE)
            outcome = made.upsert({"phone": "+15550002", "email": "eva@x"})
            made.create({"email": "EVE@x"})
            if on_key_in_use == "allow":
                assert made.undo(outcome).contact["email"] == "eve@x"
                assert [c.id for c in made.find("email", "eve@x")] == ["c-1", "c-2"]
            else:
                with pytest.raises(errors.StaleOutcome, match="contact c-2 holds"):
                    made.undo(outcome)
            made._index.check()

    def test_a_key_of_another_scope(self) -> None:
        """Unique is within a scope, for what comes back too."""
        made = book(POLICY, EVE)
        outcome = made.upsert({"phone": "+15550002", "email": "eva@x"})
        made.create({"email": "eve@x"}, scope="s")

        assert made.undo(outcome).contact["email"] == "eve@x"

    def test_a_normaliser_that_raises(self) -> None:
        """Keys are made before anything is written."""
        fails: list[Any] = []

        def normaliser(value: Any) -> str:
            if fails:
                raise ArithmeticError("boom")
            return str(value)

        lines = {"id": field(key=normaliser), "name": field()}
        made = book(Policy(first_match("id"), lines), {"id": "1", "name": "A"})
        outcome = made.upsert({"id": "1", "name": "B"})
        before = made.dump()
        fails.append(1)
        with pytest.raises(ArithmeticError):
            made.undo(outcome)

        assert made.dump() == before


def test_a_merge_from_before_loading() -> None:
    """The places of those who were absorbed are not known any more, and it says so."""
    made = book()
    outcome = merged(made)
    twin = ContactBook.load(POLICY, made.dump())
    with pytest.raises(errors.StaleOutcome, match="was merged before it was loaded"):
        twin.undo(outcome)

    assert twin.dump() == made.dump()
    twin._index.check()


class TestFreeIds:
    """An id from outside is free once its contact is removed, and not before."""

    @pytest.mark.parametrize("id", ["c-1", "c-2"])
    def test_it_was_deleted(self, id: str) -> None:
        """That of a contact, and of those that it had absorbed."""
        ids = iter(["c-1", "c-2", *[id] * 2])
        made = ContactBook(POLICY, ids=ids.__next__)
        for patch in (ADA, EVE):
            made.create(patch)
        made.merge("c-1", "c-2")
        with pytest.raises(ValueError, match=f"a contact already has '{id}'"):
            made.create({"email": "new@x"})
        made.delete("c-1")

        assert made.create({"email": "new@x"}).contact.id == id
        made._index.check()

    def test_it_is_free_again_of_who_was_put_back(self) -> None:
        """What a merge spent is what it was, not gone."""
        made = book()
        made.undo(made.merge("c-1", "c-2"))

        assert made.delete("c-2").id == "c-2"
        assert [each.id for each in made] == ["c-1", "c-3"]


class TestDedupe:
    """Each group of duplicates becomes its oldest contact."""

    LINES: dict[str, Any] = {  # noqa: RUF012
        "email": field(key=normalize.email),
        "phone": field(key=normalize.phone),
        "ref": field(),
    }

    def doubled(self, **options: Any) -> ContactBook:
        """Make a book with two groups by email, one of them larger by phone."""
        lines = merging(self.LINES, options.pop("merging", {}))
        policy = Policy(first_match("email"), lines, **options)
        one, two = "+15550001", "+15550002"
        return book(
            policy,
            {"email": "a@x", "ref": "1"},
            {"email": "b@x", "ref": "2"},
            {"email": "A@x", "phone": one, "ref": "3"},
            {"email": "B@x", "ref": "2"},
            {"phone": one},
            {"phone": two},
        )

    def test_the_oldest_stays(self) -> None:
        """One outcome per group, in the order of the groups."""
        made = self.doubled()
        outcomes = made.dedupe()

        assert [each.result for each in outcomes if isinstance(each, Outcome)] == [
            "merged",
            "merged",
        ]
        assert [(each.id, each.merged_ids) for each in made] == [
            ("c-1", ("c-3", "c-5")),
            ("c-2", ("c-4",)),
            ("c-6", ()),
        ]
        assert made.duplicates() == ()
        assert made.dedupe() == []
        made._index.check()

    def test_by_some_keys(self) -> None:
        """Only those that are named count."""
        made = self.doubled()
        made.dedupe("phone")

        assert [each.merged_ids for each in made] == [(), (), ("c-5",), (), ()]

    def test_within_a_scope(self) -> None:
        """No other scope is touched."""
        made = self.doubled()
        for _ in range(2):
            made.create({"email": "a@x"}, scope="s")

        assert len(made.dedupe(scope="s")) == 1
        assert len(made.dedupe(scope="t")) == 0
        assert len(made) == 7

    def test_it_can_be_undone(self) -> None:
        """Backwards, and all is as it was."""
        made = self.doubled()
        before = made.dump()
        for outcome in reversed(made.dedupe()):
            assert isinstance(outcome, Outcome)
            made.undo(outcome)

        assert made.dump() == before

    def test_a_group_that_is_refused(self) -> None:
        """It stays as it was, and what came before it is done."""
        made = self.doubled(merging={"ref": immutable})
        before = made.dump()
        with pytest.raises(errors.InvalidField, match="ref: must not change"):
            made.dedupe()
        assert made.dump() == before

        refusal, outcome = made.dedupe(on_refused="collect")
        assert isinstance(refusal, errors.InvalidField)
        assert isinstance(outcome, Outcome)
        assert (outcome.result, len(made)) == ("merged", 5)
        made._index.check()

    def test_who_is_deleted_meanwhile(self) -> None:
        """The rest of its group is merged, and a group that is gone is passed over."""
        made: ContactBook
        rows = [{"email": f"{name}@x", "ref": name} for name in "aabbbcc"]

        def deleting(mine: Any, _theirs: Any) -> Any:
            for id in ("c-3", "c-6", "c-7"):
                if id in made:
                    made.delete(id)
            return mine

        policy = Policy(
            first_match("email"), merging(self.LINES, {"ref": custom(deleting)})
        )
        made = book(policy, *rows)
        outcomes = made.dedupe(on_refused="collect")

        assert [(each.id, each.merged_ids) for each in made] == [
            ("c-1", ("c-2",)),
            ("c-4", ("c-5",)),
        ]
        assert len(outcomes) == 2

    def test_what_is_asked_for_wrongly(self) -> None:
        """A key or a choice that there is not, or a scope that is none."""
        made = self.doubled()
        wrong: Any = "skip"
        with pytest.raises(ValueError, match="on_refused: must be 'raise' or"):
            made.dedupe(on_refused=wrong)
        with pytest.raises(
            errors.InvalidField, match="key: must be one of email, phone"
        ):
            made.dedupe("ref")
        with pytest.raises(errors.InvalidField, match="scope: must be text"):
            made.dedupe(scope=wrong.encode())

        assert len(made) == 6
