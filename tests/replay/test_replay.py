"""A log split into components, and replayed component by component."""

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
from upsertcore.store.contact_index import ContactIndex

NOW = datetime(2024, 1, 2, tzinfo=UTC)
HALF: Any = 1.5
BOTH = ("email", "phone")


def policy(match: Any = first_match, **options: Any) -> Policy:
    """Make a policy with two keys, of which one is unique, and a name."""
    lines = {
        "email": field(key=normalize.email, unique=True),
        "phone": field(key=normalize.phone),
        "name": field(),
    }
    return Policy(match(*BOTH), lines, **{"on_ambiguous": "oldest", **options})


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


def sequences(split: Components) -> list[list[int]]:
    """Return the sequence numbers of the rows, component by component."""
    grouped = groupby(split.rows, lambda row: row.component)
    return [[row.sequence for row in part] for _component, part in grouped]


def described(events: Iterable[Any]) -> list[str]:
    """Describe each event of a replay in two words."""
    return [
        f"{event.contact.id} stands"
        if isinstance(event, StoredContact)
        else f"{event.sequence} {getattr(event.answer, 'result', 'refused')}"
        for event in events
    ]


MIXED = log(
    {"email": "a@x", "name": "Ada"},
    {"email": "b@x", "phone": "+15550001111"},
    {"name": "nobody"},
    {"email": "A@x", "name": "Ada King"},
    {"phone": "+1 555 000 1111", "name": "Bo"},
)


class TestLinking:
    """Links: what puts two rows into one component."""

    def test_link_of_a_patch_is_the_form_of_each_key(self) -> None:
        """Spelling does not count; a patch without a key has no link."""
        links = Linking(PLAIN)

        assert ("0:0:a@x",) == links(MIXED[0]) == links(MIXED[3])
        assert ("0:0:b@x", "1:0:+15550001111") == links(MIXED[1])
        assert () == links(MIXED[2])

    def test_links_of_different_scopes_differ(self) -> None:
        """No scope with a form reads like another scope with another form."""
        lines = {"email": field(key=normalize.exact)}
        links = Linking(Policy(first_match("email"), lines))
        row_links = [
            links(log({"email": f"{rest}@x"}, scope=s)[0])
            for s, rest in (
                ("", "a"),
                ("a", ""),
                ("1:a", "b"),
                ("1", ":ab"),
            )
        ]

        assert 4 == len({*row_links})

    @pytest.mark.parametrize(
        "patch", [{"email": 7, "city": "Oslo"}, {"email": object()}, ["email"]]
    )
    def test_unreadable_patch_has_no_link(self, patch: Any) -> None:
        """A book refuses it, whatever it holds."""
        assert () == Linking(PLAIN)(SentPatch(1, patch, NOW))
        wrong: Any = 7
        assert () == Linking(PLAIN)(SentPatch(1, {"email": "a@x"}, NOW, wrong))

    def test_known_contact_links_by_its_aliases_too(self) -> None:
        remembers = Policy(
            first_match("id"), {"id": field(key=normalize.exact, keep_aliases=True)}
        )
        contact = Contact("c", "s", {"id": "b"}, 1, NOW, NOW, aliases={"id": ("a",)})

        assert ("0:1:sb", "0:1:sa") == Linking(remembers)(KnownContact(0, contact))

    def test_only_keys_that_are_looked_up_make_links(self) -> None:
        """Keys of the strategy, and unique ones, whose clashes an outcome names."""
        lines = {
            "id": field(key=normalize.exact),
            "tax": field(key=normalize.exact, unique=True),
            "nick": field(key=normalize.exact),
        }
        patch = log({"id": "1", "tax": "2", "nick": "3"})[0]
        links = Linking(Policy(first_match("id"), lines, on_key_in_use="allow"))

        assert ("0:0:1", "1:0:2") == links(patch)
        assert ("tax", "", "2") == links.parse("1:0:2")

    def test_link_parses_into_key_scope_and_form(self) -> None:
        """Colons and digits in scope and form do not matter."""
        links = Linking(Policy(first_match("id"), {"id": field(key=normalize.exact)}))
        [link] = links(SentPatch(1, {"id": "7:8"}, NOW, "9:1:a"))

        assert ("id", "9:1:a", "7:8") == links.parse(link)

    @pytest.mark.parametrize(
        ("options", "makes"),
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
    def test_computing_rule_or_default_computes_forms(
        self, options: dict[str, Any], *, makes: bool
    ) -> None:
        """A computed form is one that no row of the log carries."""
        lines = {"id": field(key=normalize.exact, **options), "at": field()}

        assert makes == Linking(Policy(first_match("id"), lines)).computes_forms

    def test_merge_rule_and_composite_key_compute_forms(self) -> None:
        """The parts of a composite key may come from several rows."""
        lines = {"id": field(key=normalize.exact, rule=union)}
        absorbing = Policy(merge_all("id"), merging(lines, {"id": add_or_remove}))

        assert Linking(absorbing).computes_forms
        assert Linking(PERSON).computes_forms


class TestComponentRoots:
    """Union-find over links."""

    @given(rows=st.lists(st.lists(st.integers(0, 12), max_size=3), max_size=25))
    def test_roots_equal_those_of_a_search(self, rows: list[list[int]]) -> None:
        """The search walks from each row over all rows that it reaches."""
        roots = []
        for position in range(len(rows)):
            reached, links = {position}, {*rows[position]}
            while True:
                more = {
                    n for n, others in enumerate(rows) if links & {*others}
                } | reached
                if more == reached:
                    break
                reached, links = more, {link for n in more for link in rows[n]}
            roots.append(min(reached))

        assert roots == component_roots(rows)

    def test_long_chain_has_one_root(self) -> None:
        """The rows are linked one by one, from the last to the first."""
        chain = [[n, n + 1] for n in reversed(range(5_000))]

        assert {0} == {*component_roots(chain)}


class TestComponents:
    """A log, split into components."""

    def test_rows_that_share_a_link_are_one_component(self) -> None:
        """Directly or through others; a component has the number of its first row."""
        split = components(MIXED, PLAIN)

        assert [[0, 3], [1, 4], [2]] == sequences(split)
        assert {0: 2, 1: 2, 2: 1} == dict(split.sizes)
        assert (3, ()) == (len(split), split.cut)
        assert [0, 0, 1, 1, 2] == [row.component for row in split.rows]

    def test_known_contact_joins_patches_with_its_keys(self) -> None:
        """The patches share no link with each other."""
        ada = Contact("c", "", {"email": "a@x", "phone": "+15550001111"}, 1, NOW, NOW)
        patches = log({"email": "a@x"}, {"phone": "+15550001111"}, start=5)

        assert [[3, 5, 6]] == sequences(
            components([KnownContact(3, ada), *patches], PLAIN)
        )

    def test_computed_composite_form_joins_components(self) -> None:
        """The form is found by a replay: its parts came in several rows."""
        parts = log(
            {"email": "a", "first": "Ada"},
            {"first": "ADA", "born": "1815"},
            {"email": "b", "born": "1815"},
            {"email": "a", "born": "1815"},
        )

        assert [[0, 1, 3], [2]] == sequences(components(parts, PERSON))
        assert [[0], [1], [2]] == sequences(components(parts[:3], PERSON))

    def test_components_join_until_no_computed_form_is_shared(self) -> None:
        """Joined components compute new forms, which may join others."""
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

        assert [[0, 1, 2, 3, 4]] == sequences(components(parts, chained))
        del parts[2]
        assert [[0, 1, 3], [4]] == sequences(components(parts, chained))

    def test_form_above_its_cap_joins_nothing_and_is_reported(self) -> None:
        desk = "+1 555 000 0000"
        shared = log(*[{"email": f"{n}@x", "phone": desk} for n in range(4)])

        split = components(shared, PLAIN, cap={"phone": 3})
        assert [[0], [1], [2], [3]] == sequences(split)
        assert (Cut("phone", "", "+15550000000", 4),) == split.cut
        assert ([[0, 1, 2, 3]], ()) == (
            sequences(components(shared, PLAIN, cap={"phone": 4})),
            components(shared, PLAIN, cap={"phone": 4}).cut,
        )

    def test_cut_forms_are_sorted_by_key_and_rows(self) -> None:
        """A form that one row carries twice counts once."""
        lines = {name: field(key=normalize.exact, rule=union) for name in "ba"}
        patches = log(
            {"a": ["1", "1"]},
            {"b": "x"},
            {"b": "x"},
            {"b": ["y", "x"]},
            {"b": "y"},
            {"a": "2"},
            {"a": "2"},
        )
        split = components(
            patches, Policy(first_match("b", "a"), lines), cap={"a": 1, "b": 1}
        )

        assert [("a", "2", 2), ("b", "x", 3), ("b", "y", 2)] == [
            (cut.key, cut.form, cut.rows) for cut in split.cut
        ]

    def test_cut_form_joins_nothing_when_computed(self) -> None:
        """The same form, computed of its parts, is cut as well."""
        parts = log(
            {"email": "a", "first": "Ada"},
            {"email": "a", "born": "1815"},
            {"first": "Ada", "born": "1815"},
            {"first": "Ada", "born": "1815"},
        )
        split = components(parts, PERSON, cap={"person": 1})

        assert [[0, 1], [2], [3]] == sequences(split)

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
    def test_invalid_cap_is_refused(self, cap: dict[str, Any], reason: str) -> None:
        """The message says what would be right."""
        with pytest.raises(ValueError, match=reason):
            components(MIXED, PLAIN, cap=cap)

    def test_caps_that_are_no_mapping_are_refused(self) -> None:
        wrong: Any = [("phone", 3)]
        with pytest.raises(TypeError, match="cap: must be a mapping of keys to num"):
            components(MIXED, PLAIN, cap=wrong)

    def test_computed_form_above_its_cap_is_cut(self) -> None:
        """Below the cap, its holders are joined."""
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
        split = components(parts, PERSON, cap={"person": 5})

        assert 6 == len(split)
        assert (Cut("person", "", "a|1", 6),) == split.cut
        assert (1, ()) == (
            len(components(parts, PERSON, cap={"person": 6})),
            components(parts, PERSON, cap={"person": 6}).cut,
        )

    def test_computed_form_that_is_withheld_joins_components(self) -> None:
        """In one book the holder keeps it; a component alone would have no holder."""
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
        patches = log(
            {"id": 1, "name": "ada", "born": 1},
            {"id": 2, "name": "ada", "born": 2},
            {"id": 1, "born": 2, "city": "x"},
        )
        events = [*replay(components(patches, limited).rows, limited)]

        assert [[0, 1, 2]] == sequences(components(patches, limited))
        assert [{"id": 1, "name": "ada", "born": 1, "city": "x"}] == [
            dict(event.contact.fields)
            for event in events
            if isinstance(event, StoredContact) and event.contact.id == "0"
        ]

    def test_form_appended_to_another_field_joins_components(self) -> None:
        """A new primary value is an additional one from then on."""
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
        patches = log(
            {"id": 1, "email": "a", "emails": ["z"]},
            {"id": 1, "email": "b"},
            {"emails": ["b"]},
        )

        assert [[0, 1, 2]] == sequences(components(patches, joins))

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
    def test_invalid_row_is_refused(self, rows: Any, reason: str) -> None:
        """The message shows it."""
        with pytest.raises(TypeError, match=reason):
            components(rows, PLAIN)

    def test_id_of_two_known_contacts_is_refused_by_components(self) -> None:
        """An id that leads to a contact counts."""
        both = [
            Contact("c", "", {"email": "a@x"}, 1, NOW, NOW),
            Contact("d", "", {"email": "b@x"}, 1, NOW, NOW, merged_ids=("c",)),
        ]
        with pytest.raises(ValueError, match="id: 'c' belongs to two known contacts"):
            components(
                [KnownContact(n, contact) for n, contact in enumerate(both)], PLAIN
            )

    def test_unique_key_may_have_a_cap_where_clashes_are_allowed(self) -> None:
        """The policy then promises no single holder."""
        split = components(MIXED, policy(on_key_in_use="allow"), cap={"email": 1})

        assert [("a@x", 2)] == [(cut.form, cut.rows) for cut in split.cut]

    def test_sequence_that_does_not_rise_is_refused(self) -> None:
        """Contacts precede patches."""
        twice = "sequence: must be greater than 1, that of the row before, not 1"
        with pytest.raises(ValueError, match=twice):
            components([MIXED[1], MIXED[1]], PLAIN)
        ada = Contact("c", "", {"email": "a@x"}, 1, NOW, NOW)
        late = "sequence: must be less than 1, as contacts precede patches, not 2"
        with pytest.raises(ValueError, match=late):
            components([MIXED[1], KnownContact(2, ada)], PLAIN)

    def test_empty_log_has_no_component(self) -> None:
        assert 0 == len(components([], PLAIN))


class TestReplay:
    """A log, replayed component by component."""

    def test_replay_gives_answers_then_contacts_of_each_component(self) -> None:
        events = replay(components(MIXED, PLAIN).rows, PLAIN)

        assert [
            *("0 created", "3 updated", "0 stands"),
            *("1 created", "4 updated", "1 stands", "2 refused"),
        ] == described(events)

    def test_replay_makes_the_contacts_of_one_book(self) -> None:
        """Ids, versions and times are equal."""
        applied: list[SentPatch] = []
        book = ContactBook(
            PLAIN, ids=lambda: str(applied[-1].sequence), clock=lambda: applied[-1].at
        )
        for row in MIXED:
            applied.append(row)
            book.upsert_many([row.patch], on_refused="collect")
        events = replay(components(MIXED, PLAIN).rows, PLAIN)
        stored = [event for event in events if isinstance(event, StoredContact)]
        stored.sort(key=lambda event: event.sequence)

        assert [*book] == [event.contact for event in stored]

    def test_known_contact_keeps_its_place_and_history(self) -> None:
        """New ids are made by the host."""
        ada = Contact("c", "", {"email": "a@x"}, 3, NOW, NOW)
        rows = components(
            [
                KnownContact(3, ada),
                *log({"phone": "+15550002222"}, {"email": "A@x"}, start=7),
            ],
            PLAIN,
        ).rows
        stored = [
            event
            for event in replay(rows, PLAIN, ids=lambda number: f"n-{number}")
            if isinstance(event, StoredContact)
        ]

        assert [(3, "c", 4), (7, "n-7", 1)] == [
            (event.sequence, event.contact.id, event.contact.version)
            for event in stored
        ]
        assert NOW + timedelta(seconds=8) == stored[0].contact.updated_at

    def test_merged_contact_has_the_place_of_the_survivor(self) -> None:
        """The absorbed contact has no event."""
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

    def test_component_finds_no_contact_of_another(self) -> None:
        rows: list[LogRow] = [
            SentPatch(1, {"email": "a@x"}, NOW, component=1),
            SentPatch(2, {"email": "a@x"}, NOW, component=2),
        ]

        assert ["1 created", "1 stands", "2 created", "2 stands"] == described(
            replay(rows, PLAIN)
        )

    def test_replay_reads_rows_lazily(self) -> None:
        """An answer comes before the next row is read."""
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
    def test_unsorted_rows_are_refused(self, rows: list[LogRow], reason: str) -> None:
        """Part of a component would give other contacts."""
        with pytest.raises(ValueError, match=reason):
            list(replay(rows, PLAIN))

    def test_id_of_two_known_contacts_is_refused_by_replay(self) -> None:
        ada = Contact("c", "", {"email": "a@x"}, 3, NOW, NOW)
        rows = [KnownContact(n, ada, component=1) for n in (1, 2)]
        with pytest.raises(ValueError, match="id: 'c' belongs to two known contacts"):
            list(replay(rows, PLAIN))

    def test_new_id_of_a_known_contact_is_refused(self) -> None:
        """Also where that contact is of another component."""
        ada = Contact("5", "", {"email": "a@x"}, 3, NOW, NOW)
        rows = components(
            [KnownContact(1, ada), *log({"email": "b@x"}, start=5)], PLAIN
        ).rows
        with pytest.raises(ValueError, match="ids: '5' is the id of a known contact"):
            list(replay(rows, PLAIN))

    def test_known_contact_with_an_undeclared_field_is_refused(self) -> None:
        """``load`` refuses it as well."""
        ada = Contact("c", "", {"city": "Oslo"}, 3, NOW, NOW)
        with pytest.raises(errors.UnknownField):
            list(replay([KnownContact(1, ada, component=1)], PLAIN))

    def test_error_of_a_host_function_has_a_note_with_the_sequence(self) -> None:
        def broken(_value: Any) -> str:
            raise RuntimeError("down")

        hosted = Policy(first_match("id"), {"id": field(key=broken)})
        with pytest.raises(RuntimeError, match="down") as error:
            list(replay([SentPatch(4, {"id": 1}, NOW, component=4)], hosted))

        assert error.value.__notes__[-1] == "in the patch of sequence 4"

    def test_unique_key_that_first_present_skips_clashes_as_in_a_book(self) -> None:
        present = policy(first_present, on_key_in_use="withhold")
        patches = log(
            {"phone": "+15550001111", "email": "a@x"},
            {"phone": "+15550002222", "email": "b@x"},
            {"email": "b@x", "phone": "+15550001111"},
        )
        events = [*replay(components(patches, present).rows, present)]
        book = ContactBook(present)

        assert [book.upsert(row.patch).result for row in patches] == [
            event.answer.result  # type: ignore[union-attr]
            for event in events
            if isinstance(event, Replayed)
        ]


class TestReplayWithLinks:
    """Events of computed forms."""

    def test_computed_form_is_reported_once(self) -> None:
        """In the component that computed it."""
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
        computed = [
            event
            for event in replay_with_links(rows, PERSON)
            if isinstance(event, ComputedForms)
        ]

        assert [ComputedForms(0, "1:0:ada|1815")] == computed

    def test_form_of_a_known_contact_is_not_computed(self) -> None:
        """The row of the contact carries it."""
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
        computed = [
            event
            for event in replay_with_links(rows, PERSON)
            if isinstance(event, ComputedForms)
        ]

        assert [ComputedForms(1, "1:0:ada|1816")] == computed

    def test_recording_view_answers_as_its_index_and_records_links(self) -> None:
        index = ContactIndex(["email", "phone"])
        index.put(Contact("c", "", {"email": "a@x"}, 1, NOW, NOW), [["a@x"], []])
        view = ordered._RecordingView(index, Linking(PLAIN))

        assert index.get("c") is view.get("c", "")
        assert index.get_with_forms("c") == view.get_with_forms("c", "")
        assert ("c",) == view.holders("email", "a@x", "")
        assert ["0:0:a@x"] == view.links

    def test_log_without_computed_forms_gives_the_events_of_replay(self) -> None:
        rows = components(MIXED, PLAIN).rows

        assert repr([*replay(rows, PLAIN)]) == repr([*replay_with_links(rows, PLAIN)])
        assert [] == [*chain(replay_with_links([], PLAIN), replay([], PLAIN))]
