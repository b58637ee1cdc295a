"""The book: each verb, each refusal, and hosts whose functions misbehave."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest

from upsertcore import (
    Contact,
    ContactBook,
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
)
from upsertcore.rules import custom, immutable, latest, replace
from upsertcore.store import queue
from upsertcore.store.contact_index import ContactIndex
from upsertcore.values import MAX_DEPTH

NOW = datetime(2024, 1, 2, tzinfo=UTC)
FIELDS = {
    "email": field(key=normalize.email, unique=True, blank="reject"),
    "phone": field(key=normalize.phone),
    "name": field(required=True, null="reject"),
    "ref": field(rule=immutable),
}
POLICY = Policy(first_match("email", "phone"), FIELDS)
ADA = {"email": "ada@x.org", "phone": "+15550001", "name": "Ada", "ref": "r"}
BOB = {"email": "bob@x.org", "phone": "+15550002", "name": "Bob"}


def book(policy: Policy = POLICY, *patches: dict[str, Any]) -> ContactBook:
    """Make a book whose clock moves an hour at each look; contacts c-1, c-2, ..."""
    ids, hours = count(1), count()
    made = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: NOW + timedelta(hours=next(hours)),
    )
    for patch in patches or (ADA, BOB):
        made.create(patch)
    return made


class TestRefusals:
    """Each refusal leaves the book as it was, to the byte."""

    @pytest.mark.parametrize(
        ("error", "call"),
        [
            (errors.InvalidField, lambda b: b.upsert({**ADA, "email": ""})),
            (errors.InvalidField, lambda b: b.upsert({**ADA, "name": None})),
            (errors.InvalidField, lambda b: b.upsert({**ADA, "ref": "other"})),
            (errors.InvalidField, lambda b: b.upsert([])),
            (errors.InvalidField, lambda b: b.find("name", "Ada")),
            (errors.MissingField, lambda b: b.upsert({"email": "new@x.org"})),
            (errors.UnknownField, lambda b: b.upsert({**ADA, "nmae": "Ada"})),
            (errors.NoMatchKey, lambda b: b.upsert({"name": "Ada"})),
            (errors.AmbiguousMatch, lambda b: b.upsert({"phone": "+15550003"})),
            (errors.KeyInUse, lambda b: b.upsert({**BOB, "email": "ada@x.org"})),
            (errors.KeyInUse, lambda b: b.create(ADA)),
            (errors.StaleVersion, lambda b: b.upsert(ADA, if_version=2)),
            (
                errors.StaleVersion,
                lambda b: b.upsert({"email": "n@x", "name": "N"}, if_version=1),
            ),
            (errors.UnknownContact, lambda b: b.delete("c-9")),
            (errors.UnknownContact, lambda b: b.get("c-9")),
        ],
        ids=map(str, range(15)),
    )
    def test_nothing_is_written(
        self, error: type[Exception], call: Callable[[ContactBook], Any]
    ) -> None:
        """Nothing changes, no id is lost, and the next call works."""
        policy = Policy(first_present("phone", "email"), FIELDS)
        made = book(policy, ADA, BOB)
        made._index.put(made.get("c-2"), [["bob@x.org"], ["+15550002", "+15550003"]])
        made._index.put(made.get("c-1"), [["ada@x.org"], ["+15550001", "+15550003"]])
        patch_needs_name = error is errors.StaleVersion
        before = made.dump()
        with pytest.raises(error):
            call(made)

        assert made.dump() == before
        made._index.check()
        assert patch_needs_name or made.upsert(ADA).unchanged

    @pytest.mark.parametrize(
        ("policy", "error", "patch"),
        [
            (
                Policy(first_match("email"), FIELDS, on_not_found="refuse"),
                errors.CreateRefused,
                {"email": "new@x.org", "name": "New"},
            ),
            (
                Policy(first_match("email"), FIELDS, on_found="refuse"),
                errors.UpdateRefused,
                {"email": "ada@x.org", "name": "Countess"},
            ),
            (
                Policy(all_agree("email", "phone"), FIELDS),
                errors.AmbiguousMatch,
                {"email": "ada@x.org", "phone": "+15550002"},
            ),
        ],
        ids=["create", "update", "agree"],
    )
    def test_a_policy_says_no(
        self, policy: Policy, error: type[Exception], patch: dict[str, Any]
    ) -> None:
        """What a policy does not do is refused, and nothing changes."""
        made = ContactBook.load(policy, book().dump())
        before = made.dump()
        with pytest.raises(error):
            made.upsert(patch)

        assert made.dump() == before


class TestUpsert:
    """Create, update, unchanged."""

    def test_versions_and_times(self) -> None:
        """They move when a field moves, and not otherwise."""
        made = book()
        created = made.get("c-1")
        same = made.upsert({"email": "ada@x.org", "name": "Ada"})
        moved = made.upsert({"email": "ada@x.org", "name": "Countess"})

        assert same.contact is created
        assert (created.version, moved.contact.version) == (1, 2)
        assert moved.contact.created_at == created.created_at == NOW
        assert moved.contact.updated_at == NOW + timedelta(hours=2)
        assert moved.before is created
        assert (moved.matched_by, moved.updated) == ("email", True)

    def test_the_version_that_was_named(self) -> None:
        """The right one passes; a wrong one is told before what the patch would do."""
        made = book()
        assert made.upsert(ADA, if_version=1).unchanged

        with pytest.raises(errors.StaleVersion):
            made.upsert({**ADA, "ref": "other"}, if_version=2)

    def test_scopes(self) -> None:
        """Nothing matches, or clashes, across scopes."""
        made = book()

        assert made.upsert(ADA, scope="s").created
        assert made.find("email", "ada@x.org", scope="s") == (
            made.get("c-3", scope="s"),
        )
        assert made.find("email", "ada@x.org") == (made.get("c-1"),)

    def test_the_default_ids_repeat_nowhere(self) -> None:
        """Two books of one process have no id in common."""
        one, two = ContactBook(POLICY), ContactBook(POLICY)
        ids = {
            each.upsert(patch).contact.id for each in (one, two) for patch in (ADA, BOB)
        }

        assert len(ids) == 4
        assert one.get(min(ids & {c.id for c in one})).created_at.tzinfo is UTC


class TestOtherVerbs:
    """Plan and apply, many, find, delete, dump and load."""

    def test_plan_and_apply(self) -> None:
        """Applying a plan is upserting; a plan alone is nothing."""
        made = book()
        found = made.plan({**ADA, "name": "Countess"})
        assert made.get("c-1")["name"] == "Ada"

        outcome = made.apply(found)
        assert outcome.contact["name"] == "Countess"
        assert made.apply(made.plan({**ADA, "name": "Countess"})).unchanged

    @pytest.mark.parametrize(
        ("between", "words"),
        [
            (lambda b: b.upsert({**ADA, "name": "X"}), "c-1 is at version 2, not 1"),
            (lambda b: b.delete("c-1"), "contact c-1 is gone"),
            (
                lambda b: b.upsert({**BOB, "phone": "+15550009"}),
                "the contacts that hold its phone",
            ),
        ],
        ids=["version", "gone", "key"],
    )
    def test_a_stale_plan(
        self, between: Callable[[ContactBook], Any], words: str
    ) -> None:
        """What it rested on has changed: refused, and nothing is written."""
        made = book()
        found = made.plan({"email": "ada@x.org", "phone": "+15550009"})
        between(made)
        before = made.dump()
        with pytest.raises(errors.StalePlan, match=words):
            made.apply(found)

        assert made.dump() == before

    def test_a_plan_for_somebody_who_was_replaced(self) -> None:
        """The same id and version do not make the same person."""
        made = ContactBook(POLICY, ids=lambda: "c-1")
        made.upsert(ADA)
        found = made.plan({**ADA, "name": "Countess"})
        index = made._index
        other = attrs.evolve(made.get("c-1"), fields={**ADA, "name": "Somebody else"})
        index.put(other, index.get_with_forms("c-1")[1])
        with pytest.raises(errors.StalePlan, match="c-1 has changed since it was read"):
            made.apply(found)

    def test_two_plans_to_create_one_person(self) -> None:
        """The second finds the key held, and is stale."""
        made = book()
        patch = {"email": "new@x.org", "name": "New"}
        one, two = made.plan(patch), made.plan(patch)
        made.apply(one)
        with pytest.raises(errors.StalePlan, match="contacts that hold its email"):
            made.apply(two)

    def test_a_plan_belongs_to_its_policy(self) -> None:
        """A plan of another policy is a mistake of the host's."""
        other = Policy(first_match("email"), FIELDS)
        with pytest.raises(ValueError, match="under this book's policy"):
            book().apply(book(other).plan(ADA))

    def test_many(self) -> None:
        """Outcomes in order; refusals among them if they are collected."""
        made = book()
        wrong = {"name": "Nobody"}
        results = made.upsert_many([ADA, wrong, BOB], on_refused="collect")
        assert [type(each).__name__ for each in results] == [
            "Outcome",
            "NoMatchKey",
            "Outcome",
        ]

        new = {"email": "new@x.org", "name": "New"}
        with pytest.raises(errors.NoMatchKey):
            made.upsert_many(iter([new, wrong, BOB]))
        assert made.upsert(new).unchanged
        assert len(made.upsert_many([ADA, BOB])) == 2
        bad: Any = "skip"
        with pytest.raises(
            ValueError, match="on_refused: must be 'raise' or 'collect'"
        ):
            made.upsert_many([], on_refused=bad)

    def test_find(self) -> None:
        """By normal form; by nothing where there is none."""
        made = book()

        assert made.find("email", " ADA@x.org") == (made.get("c-1"),)
        assert made.find("phone", "5550001") == ()
        assert made.find("email", None) == made.find("email", []) == ()
        with pytest.raises(errors.InvalidField, match="value: must be a finite number"):
            made.find("email", float("nan"))

    def test_delete(self) -> None:
        """It is gone, and its keys are free."""
        made = book()
        gone = made.delete("c-1")

        assert gone["name"] == "Ada"
        assert "c-1" not in made
        assert len(made) == 1
        assert made.upsert(ADA).contact.id == "c-3"
        made._index.check()

    def test_iteration_is_a_snapshot(self) -> None:
        """Contacts by creation; writing meanwhile does not disturb it."""
        made = book()
        seen = []
        for contact in made:
            seen.append(contact.id)
            made.upsert({"email": f"{contact.id}@x.org", "name": "New"})

        assert seen == ["c-1", "c-2"]
        assert len(made) == 4


class TestLoad:
    """Rows from outside."""

    def test_a_round_trip(self) -> None:
        """What was dumped and loaded is the same book."""
        made = book()
        made.upsert({**ADA, "name": "Countess"})
        twin = ContactBook.load(POLICY, made.dump())

        assert twin.dump() == made.dump()
        assert twin.upsert({**ADA, "name": "Countess"}).unchanged
        twin._index.check()

    def test_what_was_stored_can_be_loaded(self) -> None:
        """As deep, as odd and as large as upsert takes it."""
        deep: Any = "x"
        for _ in range(MAX_DEPTH):
            deep = [deep]
        made = ContactBook(
            Policy(first_match("email"), FIELDS, extra_fields=field(rule=replace))
        )
        made.upsert({"email": "a@x", "name": "x" * 1_000_000, "f": deep}, scope="é")

        assert ContactBook.load(made.policy, made.dump()).dump() == made.dump()
        with pytest.raises(errors.InvalidField, match="scope: must be Unicode"):
            made.upsert({"email": "a@x"}, scope="\ud800")

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"id": "c-1"}, errors.InvalidField),
            ({"fields": {"email": "ADA@x.org"}}, errors.KeyInUse),
            ({"fields": {"city": "Oslo"}}, errors.UnknownField),
            ({"version": 0}, errors.InvalidField),
        ],
        ids=["twice", "unique", "field", "version"],
    )
    def test_a_bad_row(self, change: dict[str, Any], error: type[Exception]) -> None:
        """It is refused; keys that must be unique are."""
        ada, bob = book().dump()
        with pytest.raises(errors.InvalidRows) as caught:
            ContactBook.load(POLICY, [ada, {**bob, **change}])

        (refusal,) = caught.value.refusals
        assert (type(refusal), refusal.row) == (error, 1)

    def test_clashes_that_are_allowed(self) -> None:
        """A policy that allows them loads what it made."""
        policy = Policy(
            first_match("email"), FIELDS, on_key_in_use="allow", on_ambiguous="oldest"
        )
        made = book(policy, ADA, ADA)

        assert len(ContactBook.load(policy, made.dump())) == 2

    def test_an_index_of_the_hosts(self) -> None:
        """A book works on the index that it is given."""
        index = ContactIndex(["email", "phone"])
        ContactBook(POLICY, index=index).upsert(ADA)

        assert index.holders("email", "ada@x.org")


MERGES = Policy(merge_all("email", "phone"), FIELDS)
BOTH = {"email": "ada@x.org", "phone": "+15550002"}


class TestMergedIds:
    """The id of a contact that was absorbed leads to the survivor."""

    def merged(self) -> ContactBook:
        """Make a book in which c-1 has absorbed c-2."""
        made = book(MERGES, ADA, BOB)
        assert made.upsert(BOTH).merged
        return made

    def test_it_is_found_by_it(self) -> None:
        """By get, by ``in``, and by the keys that passed on."""
        made = self.merged()
        ada = made.get("c-1")

        assert made.get("c-2") is ada
        assert ("c-1" in made, "c-2" in made, len(made)) == (True, True, 1)
        assert made.find("phone", "+15550002") == (ada,)
        assert list(made) == [ada]
        made._index.check()

    def test_it_cannot_be_deleted(self) -> None:
        """What is not there any more cannot go; and with the survivor all ids go."""
        made = self.merged()
        before = made.dump()
        with pytest.raises(errors.UnknownContact) as caught:
            made.delete("c-2")
        assert (caught.value.id, made.dump()) == ("c-2", before)

        assert made.delete("c-1").merged_ids == ("c-2",)
        assert ("c-1" in made, "c-2" in made) == (False, False)
        with pytest.raises(errors.UnknownContact):
            made.get("c-2")

    def test_it_is_in_use(self) -> None:
        """No new contact is called so."""
        made = ContactBook.load(MERGES, self.merged().dump(), ids=lambda: "c-2")
        with pytest.raises(ValueError, match="a contact already has 'c-2'"):
            made.upsert({"email": "new@x.org", "name": "New"})
        assert len(made) == 1

        made.delete("c-1")
        assert made.upsert({"email": "new@x.org", "name": "New"}).contact.id == "c-2"

    def test_it_survives_a_dump(self) -> None:
        """A book that is loaded leads from it to the same contact."""
        made = self.merged()
        twin = ContactBook.load(MERGES, made.dump())

        assert twin.dump() == made.dump()
        assert twin.get("c-2") == made.get("c-1")
        twin._index.check()

    def test_versions_and_times(self) -> None:
        """A merge is one update of the survivor, at one time."""
        made = self.merged()
        ada = made.get("c-1")

        assert (ada.version, ada.created_at) == (2, NOW)
        assert ada.updated_at == NOW + timedelta(hours=2)
        assert made.upsert(BOTH).contact is ada

    def test_an_outcome_is_a_value(self) -> None:
        """It copies and pickles with whom it has absorbed and what they held."""
        made = book(MERGES, ADA, BOB)
        outcome = made.upsert(BOTH)
        for twin in (
            copy.deepcopy(outcome),
            pickle.loads(pickle.dumps(outcome)),  # noqa: S301
        ):
            assert twin == outcome
            assert twin.contact.merged_ids == ("c-2",)
            assert twin.merged == outcome.merged

    def test_other_scopes_are_not_merged(self) -> None:
        """Nothing matches across scopes."""
        made = book(MERGES, ADA)
        made.create(BOB, scope="s")
        outcome = made.upsert(BOTH)

        assert (outcome.result, len(made)) == ("updated", 2)

    def test_a_refusal_leaves_all_as_it_was(self) -> None:
        """Contacts that would have been merged, and their keys, too."""
        made = book(MERGES, ADA, BOB)
        before = made.dump()
        with pytest.raises(errors.InvalidField, match="ref: must not change"):
            made.upsert({**BOTH, "ref": "other"})

        assert made.dump() == before
        made._index.check()


class TestStaleMerges:
    """A plan that merges, and what may have changed since."""

    @pytest.mark.parametrize(
        ("between", "words"),
        [
            (
                lambda b: b.upsert({"phone": "+15550002", "name": "X"}),
                "contact c-2 is at version 2, not 1",
            ),
            (
                lambda b: b.upsert({"email": "ada@x.org", "name": "X"}),
                "contact c-1 is at version 2, not 1",
            ),
            (lambda b: b.delete("c-2"), "contact c-2 is gone"),
            (
                lambda b: b.upsert({"email": "bob@x.org", "phone": "+15550001"}),
                "contact c-1 was merged into c-2",
            ),
            (lambda b: b.upsert(BOTH), "contact c-1 is at version 2, not 1"),
            (
                lambda b: b.create(
                    {"email": "n@x.org", "phone": "+15550002", "name": "N"}
                ),
                "the contacts that hold its phone have changed",
            ),
        ],
        ids=["merged away", "survivor", "gone", "merged", "done", "held"],
    )
    def test_it_is_stale(
        self, between: Callable[[ContactBook], Any], words: str
    ) -> None:
        """Refused, and nothing is written."""
        made = book(MERGES, ADA, BOB)
        found = made.plan(BOTH)
        between(made)
        before = made.dump()
        with pytest.raises(errors.StalePlan, match=words):
            made.apply(found)

        assert made.dump() == before
        made._index.check()

    def test_an_alias_that_was_taken(self) -> None:
        """A key that was free when the plan was made."""
        lines = {**FIELDS, "email": field(key=normalize.email, keep_aliases=True)}
        made = book(Policy(first_match("email"), lines), ADA)
        found = made.plan({"email": "new@x.org", "name": "New"})
        made.upsert({"email": "ada@x.org", "name": "A"})
        made._index.put(made.get("c-1"), [["ada@x.org", "new@x.org"], ["+15550001"]])
        with pytest.raises(errors.StalePlan, match="that hold its email"):
            made.apply(found)

    def test_a_write_that_does_not_matter(self) -> None:
        """A plan stands where somebody else is written."""
        made = book(MERGES, ADA, BOB)
        found = made.plan(BOTH)
        made.upsert({"email": "new@x.org", "name": "New"})

        assert made.apply(found).merged
        with pytest.raises(errors.StalePlan):
            made.apply(found)


class TestFindSeveral:
    """Keys of several fields are looked up by name."""

    POLICY = Policy(
        first_match("person", "email"),
        {**FIELDS, "born": field()},
        keys={"person": key("name", "born", normalize=normalize.text)},
    )

    def test_by_a_mapping(self) -> None:
        """Of its fields to one value each; what lacks one finds nobody."""
        made = book(self.POLICY, {**ADA, "born": "1815"})
        ada = (made.get("c-1"),)

        assert made.find("person", {"name": "ADA", "born": "1815"}) == ada
        assert made.find("person", {"name": "ADA"}) == ()
        assert made.find("person", {"name": "ADA", "born": "1816"}) == ()
        assert made.find("person", {"name": "ADA", "born": "1815"}, scope="s") == ()

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("person", "Ada", "value: must be a mapping of name, born"),
            ("person", None, "value: must be a mapping of name, born"),
            ("person", {"name": "Ada", "x": 1}, "value: must be a mapping of name"),
            ("person", {"name": {1}}, "value.name: must be text"),
            ("name", "Ada", "key: must be one of email, phone, person, not 'name'"),
            ("born", "1815", "key: must be one of email, phone, person"),
        ],
        ids=map(str, range(6)),
    )
    def test_by_anything_else(self, name: str, value: Any, words: str) -> None:
        """It is refused, in words that say what would be right."""
        with pytest.raises(errors.InvalidField, match=words):
            book(self.POLICY, ADA).find(name, value)


class TestClocks:
    """Fields that go by a clock, call after call."""

    POLICY = Policy(
        first_match("email"),
        {
            "email": field(key=normalize.email, unique=True),
            "name": field(rule=latest(by="at")),
            "at": field(rule=latest(by="at")),
        },
    )

    def test_a_clock_that_moves_is_a_change(self) -> None:
        """The contact has a new version and time, and what was read before stays."""
        made = book(self.POLICY, {"email": "a@x", "name": "A", "at": 1})
        before = made.get("c-1")
        outcome = made.upsert({"email": "a@x", "name": "A", "at": 2})

        assert (outcome.contact.version, outcome.updated) == (2, True)
        assert outcome.contact.updated_at == NOW + timedelta(hours=1)
        assert before.clocks == {"name": 1, "at": 1}
        assert outcome.contact.clocks == {"name": 2, "at": 2}
        assert made.upsert({"email": "a@x", "name": "B", "at": 1}).unchanged

    def test_a_batch_in_any_order(self) -> None:
        """A batch of events ends as the same batch turned round."""
        patches = [{"email": "a@x", "name": f"{at}", "at": at} for at in (3, 1, 2)]
        ends = []
        for order in (patches, patches[::-1]):
            made = ContactBook(self.POLICY)
            made.upsert_many(order)
            ends.append([(each.fields, each.clocks) for each in made])

        assert ends[0] == ends[1]
        assert ends[0][0][0]["name"] == "3"

    def test_a_value_without_its_clock(self) -> None:
        """It is refused by the name of the clock, and nothing is kept of it."""
        made = book(self.POLICY, {"email": "a@x", "name": "A", "at": 1})
        with pytest.raises(errors.InvalidField, match="at: must be text or a number"):
            made.upsert({"email": "a@x", "name": "B"})

        assert made.upsert({"email": "a@x"}).unchanged


class Boom(Exception):
    """What a host's function raises."""


def explode(*_: Any) -> Any:
    """Raise."""
    raise Boom("boom")


class TestHosts:
    """Functions of the host's that raise, answer nonsense, or call back."""

    NEW: dict[str, Any] = {"email": "new@x.org", "name": "New"}  # noqa: RUF012

    @pytest.mark.parametrize(
        "policy",
        [
            Policy(first_match("email"), {**FIELDS, "email": field(key=explode)}),
            Policy(first_match("email"), {**FIELDS, "name": field(clean=explode)}),
            Policy(
                first_match("email"), {**FIELDS, "name": field(rule=custom(explode))}
            ),
        ],
        ids=["normaliser", "clean", "rule"],
    )
    def test_what_raises_passes_and_nothing_is_written(self, policy: Policy) -> None:
        """The host's own error comes out, and the book is whole."""
        made = ContactBook(policy)
        with pytest.raises(Boom):
            made.upsert(self.NEW)

        assert len(made) == 0
        made._index.check()

    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"ids": explode}, Boom, "boom"),
            ({"clock": explode}, Boom, "boom"),
            ({"ids": lambda: 7}, TypeError, "ids: must return a non-empty str, got 7"),
            ({"ids": lambda: "\ud800"}, ValueError, "lone surrogates"),
            ({"ids": lambda: ""}, TypeError, "ids: must return a non-empty"),
            ({"clock": lambda: 7}, TypeError, "clock: must return an aware time"),
            ({"clock": lambda: datetime(2024, 1, 1)}, TypeError, "aware"),  # noqa: DTZ001
            ({"ids": lambda: "c-1"}, ValueError, "a contact already has 'c-1'"),
        ],
        ids=map(str, range(8)),
    )
    def test_ids_and_clock(
        self, options: Any, error: type[Exception], words: str
    ) -> None:
        """What they may answer is checked where it is used."""
        made = ContactBook.load(POLICY, book().dump(), **options)
        before = made.dump()
        with pytest.raises(error, match=words):
            made.upsert(self.NEW)

        assert made.dump() == before

    def test_a_function_that_writes_to_the_book(self) -> None:
        """What it writes stands, and the call is decided on it."""
        made: ContactBook

        def clean(value: Any) -> Any:
            made.upsert({"email": "inner@x.org", "name": "Inner"})
            return value

        policy = Policy(
            first_match("email"), {**FIELDS, "phone": field(key=str, clean=clean)}
        )
        made = ContactBook(policy)
        made.upsert({"email": "outer@x.org", "name": "Outer", "phone": "1"})

        assert ["Inner", "Outer"] == [each["name"] for each in made]

    def test_a_function_that_never_stops_writing(self) -> None:
        """It is told so, and the book is whole."""
        made: ContactBook

        def toggle(_stored: Any, sent: Any) -> Any:
            held = made.find("email", "new@x.org")
            for contact in held:
                made.delete(contact.id)
            if not held:
                made.create({**self.NEW})
            return sent

        policy = Policy(
            first_match("email"), {**FIELDS, "ref": field(rule=custom(toggle))}
        )
        made = ContactBook(policy)
        with pytest.raises(RuntimeError, match="changed during each of many attempts"):
            made.upsert({**self.NEW, "ref": "x"})

        made._index.check()

    def test_a_refusal_of_what_was_overtaken(self) -> None:
        """It does not count, for what it rests on is no more; the call is made anew."""
        made: ContactBook
        turns = count()

        def busy(_stored: Any, sent: Any) -> Any:
            if next(turns) == 0:
                made.upsert({**self.NEW, "name": "Eve"})
                raise ValueError("must wait")
            return sent

        policy = Policy(
            first_match("email"), {**FIELDS, "ref": field(rule=custom(busy))}
        )
        made = ContactBook(policy)
        made.upsert({**self.NEW, "name": "Ada"})
        patch = {"email": self.NEW["email"], "ref": "x"}
        outcome = made.upsert(patch, idempotency_key="k")

        assert ("x", "Eve") == (outcome.contact["ref"], outcome.contact["name"])

    def test_others_that_never_stop_writing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After a few attempts the call queues, and those who write wait for it."""
        monkeypatch.setattr(queue, "_QUEUE_SECONDS", 60.0)
        names = count()
        threads: list[threading.Thread] = []
        made: ContactBook

        def rename(_stored: Any, sent: Any) -> Any:
            patch = {**self.NEW, "name": f"{next(names)}"}
            thread = threading.Thread(target=lambda: made.upsert(patch))
            thread.start()
            if len(threads) < 4:
                thread.join()
            threads.append(thread)
            return sent

        policy = Policy(
            first_match("email"), {**FIELDS, "ref": field(rule=custom(rename))}
        )
        made = ContactBook(policy)
        outcome = made.upsert({**self.NEW, "ref": "x"})
        for thread in threads:
            thread.join()

        assert (outcome.contact["name"], next(names)) == ("New", 5)
        assert [("4", "x")] == [(each["name"], each["ref"]) for each in made]
        made._index.check()

    def test_a_call_that_queues_waits_for_one_that_waits(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A thread that its function waits for writes after a while, and goes first."""
        monkeypatch.setattr(queue, "_QUEUE_SECONDS", 0.001)
        names = count()
        made: ContactBook

        def rename(_stored: Any, sent: Any) -> Any:
            number = next(names)
            if number < 8:
                patch = {**self.NEW, "name": f"{number}"}
                thread = threading.Thread(target=lambda: made.upsert(patch))
                thread.start()
                thread.join()
            return sent

        policy = Policy(
            first_match("email"), {**FIELDS, "ref": field(rule=custom(rename))}
        )
        made = ContactBook(policy)
        outcome = made.upsert({**self.NEW, "ref": "x"})

        assert (outcome.contact["name"], next(names)) == ("New", 9)
        made._index.check()

    def test_a_write_that_does_not_matter(self) -> None:
        """A decision stands where another thread writes of somebody else."""
        made: ContactBook
        asked = count()

        def clean(value: Any) -> Any:
            made.upsert({"email": f"{next(asked)}@x.org", "name": "Else"})
            return value

        policy = Policy(first_match("email"), {**FIELDS, "ref": field(clean=clean)})
        made = ContactBook(policy)
        made.upsert({**self.NEW, "ref": "x"})

        assert next(asked) == 1
        assert ["Else", "New"] == [each["name"] for each in made]

    def test_a_refusal_that_was_seen_too_early(self) -> None:
        """A refusal, or an error, counts only if what it rests on still holds."""
        made: ContactBook
        asked = count()

        def merge(_stored: Any, sent: Any) -> Any:
            if next(asked) == 0:
                made.upsert({**self.NEW})
                raise ValueError("too early")
            return sent

        policy = Policy(
            first_match("email"), {**FIELDS, "ref": field(rule=custom(merge))}
        )
        made = ContactBook(policy)

        assert made.upsert({**self.NEW, "ref": "x"}).updated

    def test_a_function_that_waits_for_another_thread(self) -> None:
        """Nothing of the host's runs under the lock, so nobody waits for ever."""
        made: ContactBook

        def in_time(call: Callable[[], Any]) -> None:
            thread = threading.Thread(target=call, daemon=True)
            thread.start()
            thread.join(20)
            assert not thread.is_alive()

        def clean(value: Any) -> Any:
            in_time(lambda: made.upsert(BOB))
            in_time(lambda: made.find("email", "bob@x.org"))
            return value

        policy = Policy(first_match("email"), {**FIELDS, "ref": field(clean=clean)})
        made = ContactBook(policy)
        in_time(lambda: made.upsert(ADA))

        assert ["Bob", "Ada"] == [each["name"] for each in made]


def test_a_time_reads_back_equal() -> None:
    """The zone's rules stay with the clock; the offset of that moment is stored."""
    night = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    book = ContactBook(Policy(first_match("email"), FIELDS), clock=lambda: night)
    contact = book.upsert({"email": "a@x", "name": "A"}).contact

    assert contact.created_at.utcoffset() == timedelta(hours=2)
    assert Contact.from_dict(contact.to_dict()) == contact
    late = datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))
    book = ContactBook(Policy(first_match("email"), FIELDS), clock=lambda: late)
    with pytest.raises(ValueError, match="clock: must return a time that UTC"):
        book.upsert({"email": "a@x", "name": "A"})
    assert len(book) == 0


def test_find_needs_the_name_of_a_key() -> None:
    """Anything else is told what the names are."""
    wrong: Any = ["email"]
    book = ContactBook(Policy(first_match("email"), FIELDS))
    with pytest.raises(errors.InvalidField, match="key: must be one of email"):
        book.find(wrong, "a@x")
    book = ContactBook(Policy(never(), {"name": field()}))
    with pytest.raises(errors.InvalidField, match="key: 'name' is unknown"):
        book.find("name", "a")


def test_a_second_merge_keeps_the_ids_of_the_first() -> None:
    """All that were ever absorbed lead to the survivor, in the order of the merges."""
    lines = {name: field(key=normalize.exact) for name in ("a", "b", "c")}
    numbers = count(1)
    book = ContactBook(Policy(merge_all(*lines), lines), ids=lambda: str(next(numbers)))
    for name in lines:
        book.create({name: 1})
    book.upsert({"a": 1, "b": 1})
    contact = book.upsert({"a": 1, "c": 1}).contact

    assert contact.merged_ids == ("2", "3")
    assert [contact, contact] == [book.get("2"), book.get("3")]
    assert book.delete("1") == contact
    assert "2" not in book


class Text(str):
    """Text of a subclass, as some libraries return it."""

    __slots__ = ()


def test_ids_and_key_names_of_a_subclass_of_str_are_taken_as_text() -> None:
    policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    ids = iter(["c-1", "c-2", "c-3"]).__next__
    book = ContactBook(policy, ids=ids)
    for number in range(3):
        book.upsert({"email": f"u{number}@x.org"})

    assert book.merge(Text("c-1"), Text("c-2")).merged[0].id == "c-2"
    assert book.find(Text("email"), "u0@x.org") == (book.get(Text("c-1")),)
    assert book.purge(Text("c-3")) == 0
    assert [contact.id for contact in book] == ["c-1"]
