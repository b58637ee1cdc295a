"""A log, taken apart and done component by component."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.field_options import merging
from upsertcore import (
    Contact,
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    first_present,
    key,
    merge_all,
    normalize,
)
from upsertcore.replay import (
    Components,
    ComputedForms,
    Cut,
    KnownContact,
    Linking,
    LogRow,
    Replayed,
    SentPatch,
    StoredContact,
    component_roots,
    components,
    ordered,
    replay,
    replay_with_links,
)
from upsertcore.rules import add_or_remove, custom, keep, latest, union
from upsertcore.store.index import ContactIndex

NOW = datetime(2024, 1, 2, tzinfo=UTC)
HALF: Any = 1.5
BOTH = ("email", "phone")


def policy(match: Any = first_match, **how: Any) -> Policy:
    """Make a policy with two keys, of which one is unique, and a name."""
    lines = {
        "email": field(key=normalize.email, unique=True),
        "phone": field(key=normalize.phone),
        "name": field(),
    }
    return Policy(match(*BOTH), lines, **{"on_ambiguous": "oldest", **how})


PLAIN = policy()
PERSON = Policy(
    first_match("email", "person"),
    {"email": field(key=normalize.exact), "first": field(), "born": field()},
    keys={"person": key("first", "born", normalize=normalize.text)},
    on_ambiguous="oldest",
)


def log(*patches: dict[str, Any], scope: str = "", start: int = 0) -> list[SentPatch]:
    """Number patches, a second apart."""
    return [
        SentPatch(number, patch, NOW + timedelta(seconds=number), scope)
        for number, patch in enumerate(patches, start)
    ]


def apart(found: Components) -> list[list[int]]:
    """Give the numbers of the rows, component by component."""
    grouped = groupby(found.rows, lambda row: row.component)
    return [[row.sequence for row in part] for _component, part in grouped]


def told(events: Iterable[Any]) -> list[str]:
    """Say in a word each what a replay gave."""
    return [
        f"{each.contact.id} stands"
        if isinstance(each, StoredContact)
        else f"{each.sequence} {getattr(each.answer, 'result', 'refused')}"
        for each in events
    ]


MIXED = log(
    {"email": "a@x", "name": "Ada"},
    {"email": "b@x", "phone": "+15550001111"},
    {"name": "nobody"},
    {"email": "A@x", "name": "Ada King"},
    {"phone": "+1 555 000 1111", "name": "Bo"},
)


class TestLinking:
    """What makes two rows belong together."""

    def test_by_the_forms_of_the_keys(self) -> None:
        """Whatever the spelling; what carries no key has no link."""
        links = Linking(PLAIN)

        assert ("0:0:a@x",) == links(MIXED[0]) == links(MIXED[3])
        assert ("0:0:b@x", "1:0:+15550001111") == links(MIXED[1])
        assert () == links(MIXED[2])

    def test_a_scope_is_part_of_a_link(self) -> None:
        """And no scope with a form looks like another scope with another form."""
        lines = {"email": field(key=normalize.exact)}
        links = Linking(Policy(first_match("email"), lines))
        of = [
            links(log({"email": f"{rest}@x"}, scope=s)[0])
            for s, rest in (
                ("", "a"),
                ("a", ""),
                ("1:a", "b"),
                ("1", ":ab"),
            )
        ]

        assert 4 == len({*of})

    @pytest.mark.parametrize(
        "patch", [{"email": 7, "city": "Oslo"}, {"email": object()}, ["email"]]
    )
    def test_what_is_refused_as_it_is_read_links_nothing(self, patch: Any) -> None:
        """No book takes it, whatever it holds."""
        assert () == Linking(PLAIN)(SentPatch(1, patch, NOW))
        wrong: Any = 7
        assert () == Linking(PLAIN)(SentPatch(1, {"email": "a@x"}, NOW, wrong))

    def test_a_contact_links_by_all_that_finds_it(self) -> None:
        """Its aliases among it."""
        remembers = Policy(
            first_match("id"), {"id": field(key=normalize.exact, keep_aliases=True)}
        )
        contact = Contact("c", "s", {"id": "b"}, 1, NOW, NOW, aliases={"id": ("a",)})

        assert ("0:1:sb", "0:1:sa") == Linking(remembers)(KnownContact(0, contact))

    def test_a_key_counts_that_can_be_looked_up(self) -> None:
        """Those of the strategy, and unique ones; an outcome tells of each clash."""
        lines = {
            "id": field(key=normalize.exact),
            "tax": field(key=normalize.exact, unique=True),
            "nick": field(key=normalize.exact),
        }
        patch = log({"id": "1", "tax": "2", "nick": "3"})[0]
        links = Linking(Policy(first_match("id"), lines, on_key_in_use="allow"))

        assert ("0:0:1", "1:0:2") == links(patch)
        assert ("tax", "", "2") == links.parse("1:0:2")

    def test_a_link_is_told_again(self) -> None:
        """Colons and digits in scope and form do not matter."""
        links = Linking(Policy(first_match("id"), {"id": field(key=normalize.exact)}))
        [link] = links(SentPatch(1, {"id": "7:8"}, NOW, "9:1:a"))

        assert ("id", "9:1:a", "7:8") == links.parse(link)

    @pytest.mark.parametrize(
        ("how", "makes"),
        [
            ({}, False),
            ({"rule": keep}, False),
            ({"rule": union}, False),
            ({"rule": latest("at")}, False),
            ({"rule": add_or_remove}, True),
            ({"rule": custom(lambda a, b: b, name="keep")}, True),
            ({"default": "x"}, True),
        ],
        ids=[
            "replace",
            "keep",
            "union",
            "latest",
            "add_or_remove",
            "custom",
            "default",
        ],
    )
    def test_what_can_make_a_form_that_nobody_carried(
        self, how: dict[str, Any], *, makes: bool
    ) -> None:
        """A rule that makes a new value of two, and a default."""
        lines = {"id": field(key=normalize.exact, **how), "at": field()}

        assert makes == Linking(Policy(first_match("id"), lines)).computes_forms

    def test_a_merge_of_contacts_can_make_one_too(self) -> None:
        """By the rule between them; and a key of several fields, however they come."""
        lines = {"id": field(key=normalize.exact, rule=union)}
        absorbing = Policy(merge_all("id"), merging(lines, {"id": add_or_remove}))

        assert Linking(absorbing).computes_forms
        assert Linking(PERSON).computes_forms


class TestJoined:
    """Union-find over links."""

    @given(rows=st.lists(st.lists(st.integers(0, 12), max_size=3), max_size=25))
    def test_it_is_what_a_search_finds(self, rows: list[list[int]]) -> None:
        """Against a walk from each row over all that it can reach."""
        first = []
        for position in range(len(rows)):
            reached, links = {position}, {*rows[position]}
            while True:
                more = {n for n, each in enumerate(rows) if links & {*each}} | reached
                if more == reached:
                    break
                reached, links = more, {link for n in more for link in rows[n]}
            first.append(min(reached))

        assert first == component_roots(rows)

    def test_a_long_chain(self) -> None:
        """Rows that are linked one by one, joined from behind, are one component."""
        chain = [[n, n + 1] for n in reversed(range(5_000))]

        assert {0} == {*component_roots(chain)}


class TestComponents:
    """A log, taken apart."""

    def test_by_what_is_shared(self) -> None:
        """Directly or through others; each called after its first row."""
        found = components(MIXED, PLAIN)

        assert [[0, 3], [1, 4], [2]] == apart(found)
        assert {0: 2, 1: 2, 2: 1} == dict(found.sizes)
        assert (3, ()) == (len(found), found.cut)
        assert [0, 0, 1, 1, 2] == [row.component for row in found.rows]

    def test_a_contact_brings_together(self) -> None:
        """Two patches that share nothing, about one who is known."""
        ada = Contact("c", "", {"email": "a@x", "phone": "+15550001111"}, 1, NOW, NOW)
        sent = log({"email": "a@x"}, {"phone": "+15550001111"}, start=5)

        assert [[3, 5, 6]] == apart(components([KnownContact(3, ada), *sent], PLAIN))

    def test_parts_of_a_key_that_came_apart(self) -> None:
        """Found by doing them: what came to be held is another component's."""
        parts = log(
            {"email": "a", "first": "Ada"},
            {"first": "ADA", "born": "1815"},
            {"email": "b", "born": "1815"},
            {"email": "a", "born": "1815"},
        )

        assert [[0, 1, 3], [2]] == apart(components(parts, PERSON))
        assert [[0], [1], [2]] == apart(components(parts[:3], PERSON))

    def test_it_joins_until_nothing_meets(self) -> None:
        """What was joined makes forms of its own, and meets others by them."""
        chained = Policy(
            first_match("email", "one", "two"),
            {name: field() for name in ("email", "a", "b", "c", "d")},
            keys={
                "email": key("email", normalize=normalize.exact),
                "one": key("a", "b", normalize=normalize.text),
                "two": key("c", "d", normalize=normalize.text),
            },
            on_ambiguous="oldest",
        )
        parts = log(
            {"email": "x", "a": "1"},
            {"email": "x", "b": "2"},
            {"a": "1", "b": "2", "c": "3"},
            {"email": "x", "d": "4"},
            {"c": "3", "d": "4"},
        )

        assert [[0, 1, 2, 3, 4]] == apart(components(parts, chained))
        del parts[2]
        assert [[0, 1, 3], [4]] == apart(components(parts, chained))

    def test_caps_cut_off_and_are_told(self) -> None:
        """Too many share a form: it links nobody, and says so."""
        desk = "+1 555 000 0000"
        shared = log(*[{"email": f"{n}@x", "phone": desk} for n in range(4)])

        found = components(shared, PLAIN, cap={"phone": 3})
        assert [[0], [1], [2], [3]] == apart(found)
        assert (Cut("phone", "", "+15550000000", 4),) == found.cut
        assert ([[0, 1, 2, 3]], ()) == (
            apart(components(shared, PLAIN, cap={"phone": 4})),
            components(shared, PLAIN, cap={"phone": 4}).cut,
        )

    def test_what_is_cut_stands_by_key_the_most_shared_first(self) -> None:
        """And a form that a row carries twice is shared by one."""
        lines = {name: field(key=normalize.exact, rule=union) for name in "ba"}
        sent = log(
            {"a": ["1", "1"]},
            {"b": "x"},
            {"b": "x"},
            {"b": ["y", "x"]},
            {"b": "y"},
            {"a": "2"},
            {"a": "2"},
        )
        found = components(
            sent, Policy(first_match("b", "a"), lines), cap={"a": 1, "b": 1}
        )

        assert [("a", "2", 2), ("b", "x", 3), ("b", "y", 2)] == [
            (each.key, each.form, each.rows) for each in found.cut
        ]

    def test_a_form_that_is_cut_joins_nothing_that_was_made_either(self) -> None:
        """Made of parts, it is the same form."""
        parts = log(
            {"email": "a", "first": "Ada"},
            {"email": "a", "born": "1815"},
            {"first": "Ada", "born": "1815"},
            {"first": "Ada", "born": "1815"},
        )
        found = components(parts, PERSON, cap={"person": 1})

        assert [[0, 1], [2], [3]] == apart(found)

    @pytest.mark.parametrize(
        ("cap", "reason"),
        [
            ({"city": 3}, "cap: unknown key 'city'; this policy has: email, phone"),
            (
                {"email": 3},
                "cap: email is unique, and its holders must be in one component",
            ),
            ({"phone": 0}, "cap: phone: must be a whole number from 1, not 0"),
            ({"phone": True}, "cap: phone: must be a whole number from 1, not True"),
            ({"phone": "3"}, "cap: phone: must be a whole number from 1, not '3'"),
        ],
    )
    def test_a_cap_that_is_none(self, cap: dict[str, Any], reason: str) -> None:
        """It says what would be right."""
        with pytest.raises(ValueError, match=reason):
            components(MIXED, PLAIN, cap=cap)

    def test_caps_that_are_no_mapping(self) -> None:
        """Nor a list of pairs."""
        wrong: Any = [("phone", 3)]
        with pytest.raises(TypeError, match="cap: must be a mapping of keys to num"):
            components(MIXED, PLAIN, cap=wrong)

    def test_a_form_that_nobody_carried_whole_is_cut_as_well(self) -> None:
        """Where too many come to hold it; where they are few they are joined."""
        parts = log(
            *[
                part
                for n in range(6)
                for part in (
                    {"email": f"{n}", "first": "A"},
                    {"email": f"{n}", "born": "1"},
                )
            ]
        )
        found = components(parts, PERSON, cap={"person": 5})

        assert 6 == len(found)
        assert (Cut("person", "", "a|1", 6),) == found.cut
        assert (1, ()) == (
            len(components(parts, PERSON, cap={"person": 6})),
            components(parts, PERSON, cap={"person": 6}).cut,
        )

    def test_a_form_that_is_looked_up_and_not_stored(self) -> None:
        """It is another's: in one book it is withheld, alone it would be refused."""
        limited = Policy(
            first_match("id"),
            {
                "id": field(key=normalize.exact),
                **{name: field() for name in ("name", "born", "city")},
            },
            keys={
                "person": key(
                    "name",
                    "born",
                    normalize=normalize.exact,
                    unique=True,
                    keep_aliases=True,
                    max_forms=1,
                )
            },
            on_key_in_use="withhold",
        )
        sent = log(
            {"id": 1, "name": "ada", "born": 1},
            {"id": 2, "name": "ada", "born": 2},
            {"id": 1, "born": 2, "city": "x"},
        )
        events = [*replay(components(sent, limited).rows, limited)]

        assert [[0, 1, 2]] == apart(components(sent, limited))
        assert [{"id": 1, "name": "ada", "born": 1, "city": "x"}] == [
            dict(each.contact.fields)
            for each in events
            if isinstance(each, StoredContact) and each.contact.id == "0"
        ]

    def test_what_joins_another_field_is_a_key_of_it_too(self) -> None:
        """A new primary is an additional one from then on."""
        joins = Policy(
            first_match("id", "emails"),
            {
                "id": field(key=normalize.exact),
                "email": field(),
                "emails": field(key=normalize.exact),
            },
            keys={
                "mail": key(
                    "email",
                    "emails",
                    normalize=normalize.exact,
                    any_of=True,
                    append_new=True,
                )
            },
        )
        sent = log(
            {"id": 1, "email": "a", "emails": ["z"]},
            {"id": 1, "email": "b"},
            {"emails": ["b"]},
        )

        assert [[0, 1, 2]] == apart(components(sent, joins))

    @pytest.mark.parametrize(
        ("rows", "reason"),
        [
            (
                [{"email": "a@x"}],
                "rows: must be SentPatch or KnownContact, not {'email': 'a@x'}",
            ),
            ([SentPatch(HALF, {}, NOW)], "sequence: must be a whole number, not 1.5"),
        ],
        ids=["a patch", "a half"],
    )
    def test_what_is_no_row(self, rows: Any, reason: str) -> None:
        """It says which."""
        with pytest.raises(TypeError, match=reason):
            components(rows, PLAIN)

    def test_known_contacts_have_ids_of_their_own(self) -> None:
        """Those that lead to one among them."""
        both = [
            Contact("c", "", {"email": "a@x"}, 1, NOW, NOW),
            Contact("d", "", {"email": "b@x"}, 1, NOW, NOW, merged_ids=("c",)),
        ]
        with pytest.raises(ValueError, match="id: 'c' belongs to two known contacts"):
            components([KnownContact(n, each) for n, each in enumerate(both)], PLAIN)

    def test_a_unique_key_may_be_cut_where_a_clash_is_allowed(self) -> None:
        """There it is no promise."""
        found = components(MIXED, policy(on_key_in_use="allow"), cap={"email": 1})

        assert [("a@x", 2)] == [(each.form, each.rows) for each in found.cut]

    def test_numbers_rise(self) -> None:
        """The order of the log is the order of its numbers."""
        twice = "sequence: must be greater than 1, that of the row before, not 1"
        with pytest.raises(ValueError, match=twice):
            components([MIXED[1], MIXED[1]], PLAIN)
        ada = Contact("c", "", {"email": "a@x"}, 1, NOW, NOW)
        late = "sequence: must be less than 1, as contacts precede patches, not 2"
        with pytest.raises(ValueError, match=late):
            components([MIXED[1], KnownContact(2, ada)], PLAIN)

    def test_an_empty_log(self) -> None:
        """Has no component."""
        assert 0 == len(components([], PLAIN))


class TestReplay:
    """A log, done component by component."""

    def test_answers_and_contacts_as_they_are_made(self) -> None:
        """The answers of a component, then its contacts."""
        events = replay(components(MIXED, PLAIN).rows, PLAIN)

        assert [
            *("0 created", "3 updated", "0 stands"),
            *("1 created", "4 updated", "1 stands", "2 refused"),
        ] == told(events)

    def test_the_contacts_are_those_of_one_book(self) -> None:
        """To the byte: ids, versions and times."""
        seen: list[SentPatch] = []
        book = ContactBook(
            PLAIN, ids=lambda: str(seen[-1].sequence), clock=lambda: seen[-1].at
        )
        for row in MIXED:
            seen.append(row)
            book.upsert_many([row.patch], on_refused="collect")
        events = replay(components(MIXED, PLAIN).rows, PLAIN)
        made = [each for each in events if isinstance(each, StoredContact)]
        made.sort(key=lambda each: each.sequence)

        assert [*book] == [each.contact for each in made]

    def test_contacts_that_are_known_go_on(self) -> None:
        """In their places, with what they were; ids are the host's."""
        ada = Contact("c", "", {"email": "a@x"}, 3, NOW, NOW)
        rows = components(
            [
                KnownContact(3, ada),
                *log({"phone": "+15550002222"}, {"email": "A@x"}, start=7),
            ],
            PLAIN,
        ).rows
        stored = [
            each
            for each in replay(rows, PLAIN, ids=lambda number: f"n-{number}")
            if isinstance(each, StoredContact)
        ]

        assert [(3, "c", 4), (7, "n-7", 1)] == [
            (each.sequence, each.contact.id, each.contact.version) for each in stored
        ]
        assert NOW + timedelta(seconds=8) == stored[0].contact.updated_at

    def test_merged_contacts_stand_in_the_place_of_the_survivor(self) -> None:
        """Those that it absorbed stand nowhere."""
        rows = components(
            log(
                {"email": "a@x"},
                {"phone": "+15550001111"},
                {"phone": "+15550001111", "email": "a@x"},
            ),
            policy(merge_all),
        ).rows
        last = [*replay(rows, policy(merge_all))][-1]

        assert isinstance(last, StoredContact)
        assert (0, "0", ("1",)) == (
            last.sequence,
            last.contact.id,
            last.contact.merged_ids,
        )

    def test_no_component_knows_of_another(self) -> None:
        """A contact that was done is not found by a later component."""
        rows: list[LogRow] = [
            SentPatch(1, {"email": "a@x"}, NOW, component=1),
            SentPatch(2, {"email": "a@x"}, NOW, component=2),
        ]

        assert ["1 created", "1 stands", "2 created", "2 stands"] == told(
            replay(rows, PLAIN)
        )

    def test_it_goes_as_it_is_read(self) -> None:
        """An answer comes before the next row is asked for."""
        read: list[int] = []

        def rows() -> Iterable[LogRow]:
            for row in components(MIXED, PLAIN).rows:
                read.append(row.sequence)
                yield row

        events = replay(rows(), PLAIN)
        next(iter(events))

        assert [0] == read

    @pytest.mark.parametrize(
        ("rows", "reason"),
        [
            (MIXED, "component: must not be missing in row 0; pass the rows"),
            (
                [SentPatch(3, {}, NOW, component=1)],
                "component 1: must begin with row 1, not with 3; sort the rows",
            ),
            (
                [SentPatch(n, {}, NOW, component=1) for n in (1, 4, 4)],
                "component 1: row 4 must come before 4; sort the rows",
            ),
        ],
        ids=["none", "late", "twice"],
    )
    def test_rows_that_are_not_sorted(self, rows: list[LogRow], reason: str) -> None:
        """A piece of a component would not be the component."""
        with pytest.raises(ValueError, match=reason):
            list(replay(rows, PLAIN))

    def test_an_id_of_two_known_contacts(self) -> None:
        """Nobody can say which."""
        ada = Contact("c", "", {"email": "a@x"}, 3, NOW, NOW)
        rows = [KnownContact(n, ada, component=1) for n in (1, 2)]
        with pytest.raises(ValueError, match="id: 'c' belongs to two known contacts"):
            list(replay(rows, PLAIN))

    def test_an_id_that_a_known_contact_has(self) -> None:
        """Of whatever component: nobody is created under it."""
        ada = Contact("5", "", {"email": "a@x"}, 3, NOW, NOW)
        rows = components(
            [KnownContact(1, ada), *log({"email": "b@x"}, start=5)], PLAIN
        ).rows
        with pytest.raises(ValueError, match="ids: '5' is the id of a known contact"):
            list(replay(rows, PLAIN))

    def test_a_contact_that_the_policy_does_not_know(self) -> None:
        """It is refused as by load."""
        ada = Contact("c", "", {"city": "Oslo"}, 3, NOW, NOW)
        with pytest.raises(errors.UnknownField):
            list(replay([KnownContact(1, ada, component=1)], PLAIN))

    def test_what_a_host_raises_says_where(self) -> None:
        """The number of the patch goes along."""

        def broken(_value: Any) -> str:
            raise RuntimeError("down")

        hosted = Policy(first_match("id"), {"id": field(key=broken)})
        with pytest.raises(RuntimeError, match="down") as caught:
            list(replay([SentPatch(4, {"id": 1}, NOW, component=4)], hosted))

        assert caught.value.__notes__[-1] == "in the patch of sequence 4"

    def test_first_present_and_unique(self) -> None:
        """A key that the strategy passes over still clashes where it is unique."""
        present = policy(first_present, on_key_in_use="withhold")
        sent = log(
            {"phone": "+15550001111", "email": "a@x"},
            {"phone": "+15550002222", "email": "b@x"},
            {"email": "b@x", "phone": "+15550001111"},
        )
        events = [*replay(components(sent, present).rows, present)]
        book = ContactBook(present)

        assert [book.upsert(row.patch).result for row in sent] == [
            each.answer.result  # type: ignore[union-attr]
            for each in events
            if isinstance(each, Replayed)
        ]


class TestWatched:
    """What is told of forms that nobody carried."""

    def test_each_once(self) -> None:
        """In the component that came to hold it."""
        rows = components(
            log(
                {"email": "a", "first": "Ada"},
                {"email": "a", "born": "1815"},
                {"email": "a", "first": "Ada"},
                {"email": "a"},
                {"email": "a", "born": 7},
            ),
            PERSON,
        ).rows
        made = [
            each
            for each in replay_with_links(rows, PERSON)
            if isinstance(each, ComputedForms)
        ]

        assert [ComputedForms(0, "1:0:ada|1815")] == made

    def test_what_a_known_contact_held_is_carried(self) -> None:
        """It is nothing new that it still holds it."""
        fields = {"email": "a", "first": "Ada", "born": "1815"}
        ada = KnownContact(1, Contact("c", "", fields, 1, NOW, NOW))
        rows = components(
            [
                ada,
                *log(
                    {"email": "a", "first": "ADA"},
                    {"email": "a", "born": "1816"},
                    start=2,
                ),
            ],
            PERSON,
        ).rows
        made = [
            each
            for each in replay_with_links(rows, PERSON)
            if isinstance(each, ComputedForms)
        ]

        assert [ComputedForms(1, "1:0:ada|1816")] == made

    def test_a_watched_index_answers_as_it_does(self) -> None:
        """And notes what was looked up."""
        index = ContactIndex(["email", "phone"])
        index.put(Contact("c", "", {"email": "a@x"}, 1, NOW, NOW), [["a@x"], []])
        seen = ordered._RecordingView(index, Linking(PLAIN))

        assert index.get("c") is seen.get("c")
        assert index.get_with_forms("c") == seen.get_with_forms("c")
        assert ("c",) == seen.holders("email", "a@x", "")
        assert ["0:0:a@x"] == seen.links

    def test_nothing_where_everything_is_carried(self) -> None:
        """And the rest is what replay gives."""
        rows = components(MIXED, PLAIN).rows

        assert repr([*replay(rows, PLAIN)]) == repr([*replay_with_links(rows, PLAIN)])
        assert [] == [*chain(replay_with_links([], PLAIN), replay([], PLAIN))]
