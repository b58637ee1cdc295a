"""Duplicates: groups of contacts that share keys, by key and scope."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from tests.field_options import blocking
from upsertcore import (
    ContactBook,
    Policy,
    errors,
    field,
    key,
    merge_all,
    never,
    normalize,
)

LINES: dict[str, Any] = {
    "email": field(key=normalize.email, keep_aliases=True),
    "phone": field(key=normalize.phone),
    "first": field(),
    "last": field(),
}
PERSON = key("first", "last", normalize=normalize.text)
POLICY = Policy(
    merge_all("phone"),
    blocking(LINES, {"email": ("noreply@*",)}),
    keys={"person": PERSON},
)


def make_book(*patches: dict[str, Any], policy: Policy = POLICY) -> ContactBook:
    """Make a book of contacts c-1, c-2, ..., created without matching."""
    ids = count(1)
    book = ContactBook(policy, ids=lambda: f"c-{next(ids)}")
    for patch in patches:
        book.create(patch)
    return book


def groups_of(
    book: ContactBook, *keys: str, scope: str | None = None
) -> list[list[int]]:
    """Return the groups of duplicates as numbers of their ids."""
    return [
        [int(contact.id.removeprefix("c-")) for contact in group]
        for group in book.duplicates(*keys, scope=scope)
    ]


CHAIN: list[dict[str, Any]] = [
    {"email": "x@x"},
    {"email": "a@x", "phone": "+15550001"},
    {"email": ["X@x", "y@x"]},
    {"phone": "+15550001", "first": "Ada", "last": "King"},
    {"first": "ADA", "last": "king"},
    {"first": "Ada"},
    {"email": "Y@x"},
]


def test_groups_are_transitive() -> None:
    """Two contacts that share no key are one group if a third shares one with both."""
    assert groups_of(make_book(*CHAIN)) == [[1, 3, 7], [2, 4, 5]]


@pytest.mark.parametrize(
    ("keys", "groups"),
    [
        (("email",), [[1, 3, 7]]),
        (("phone",), [[2, 4]]),
        (("person",), [[4, 5]]),
        (("person", "phone"), [[2, 4, 5]]),
        (("phone", "email", "phone"), [[1, 3, 7], [2, 4]]),
    ],
)
def test_only_named_keys_make_groups(keys: Any, groups: Any) -> None:
    """In any order; keys outside the strategy too."""
    assert groups_of(make_book(*CHAIN), *keys) == groups


def test_groups_hold_the_stored_contacts() -> None:
    """The book is unchanged."""
    book = make_book(*CHAIN)
    before = book.dump()
    for group in book.duplicates():
        for contact in group:
            assert book.get(contact.id) is contact

    assert book.dump() == before


def test_groups_do_not_cross_scopes() -> None:
    """One scope can be named alone."""
    book = make_book({"email": "a@x"}, {"email": "a@x"})
    for scope in ("s", "s", "t"):
        book.create({"email": "a@x"}, scope=scope)

    assert groups_of(book) == [[1, 2], [3, 4]]
    assert groups_of(book, scope="") == [[1, 2]]
    assert groups_of(book, "email", scope="s") == [[3, 4]]
    assert groups_of(book, scope="t") == []
    assert groups_of(book, scope="nobody's") == []


def test_alias_makes_a_group_with_its_new_holder() -> None:
    book = make_book({"email": "old@x", "phone": "+15550001"})
    book.upsert({"phone": "+15550001", "email": None})
    book.create({"email": "OLD@x"})

    assert book.get("c-1").get("email") is None
    assert groups_of(book) == [[1, 2]]


def test_null_blank_and_blocked_values_make_no_group() -> None:
    blank: dict[str, Any] = {"email": "", "phone": None, "first": "Ada", "last": ""}

    assert groups_of(make_book(*[{"email": "noreply@x"}] * 2, blank, blank)) == []


def test_groups_follow_merge_delete_and_undo() -> None:
    """In the order of creation."""
    book = make_book(*[{"email": "a@x"}] * 4)
    outcome = book.merge("c-3", "c-1")
    assert groups_of(book) == [[2, 3, 4]]
    book.delete("c-4")
    book.undo(outcome)
    assert groups_of(book) == [[1, 2, 3]]

    book.delete("c-1")
    book.delete("c-2")
    assert groups_of(book) == []


def test_book_without_keys_has_no_duplicates() -> None:
    book = make_book({"a": 1}, {"a": 1}, policy=Policy(never(), {"a": field()}))

    assert book.duplicates() == ()
    with pytest.raises(errors.InvalidField, match="key: 'a' is unknown; name a key"):
        book.duplicates("a")


def test_find_by_a_list_returns_the_holders_of_any_item_once() -> None:
    """In the order of creation."""
    book = make_book(
        {"email": ["a@x", "b@x"]},
        {"email": "c@x", "first": "Ada", "last": ["King", "Byron"]},
        {"email": ["b@x", "d@x"]},
    )

    for contact in book:
        assert contact in book.find("email", contact["email"])
    values = ["d@x", "b@x", "", "x", "c@x"]
    assert [contact.id for contact in book.find("email", values)] == [
        "c-1",
        "c-2",
        "c-3",
    ]
    assert [contact.id for contact in book.find("email", ["d@x", "D@x"])] == ["c-3"]
    assert book.find("email", []) == book.find("email", ["n@x"]) == ()
    person = {"first": "ADA", "last": ["Lovelace", "Byron"]}
    assert [contact.id for contact in book.find("person", person)] == ["c-2"]
    assert book.find("email", ["a@x"], scope="other") == ()


@pytest.mark.parametrize("name", ["first", "", 7, None, ("email",), ["email"]])
def test_unknown_key_is_refused(name: Any) -> None:
    with pytest.raises(errors.InvalidField, match="key: must be one of email, phone"):
        make_book().duplicates("email", name)


@pytest.mark.parametrize("scope", [7, b"s", "\ud800"])
def test_invalid_scope_is_refused(scope: Any) -> None:
    with pytest.raises(errors.InvalidField, match="scope"):
        make_book().duplicates(scope=scope)


class TestOfOneContact:
    """The group of one contact is that of the whole report."""

    @pytest.mark.parametrize("keys", [(), ("email",), ("person", "phone")])
    def test_group_of_each_contact_is_the_one_of_the_whole_report(
        self, keys: Any
    ) -> None:
        book = make_book(*CHAIN)
        groups = book.duplicates(*keys)
        for contact in book:
            expected = tuple(group for group in groups if contact in group)
            assert expected == book.duplicates(*keys, of=contact.id)

    def test_contact_without_duplicates_is_in_no_group(self) -> None:
        assert make_book(*CHAIN).duplicates(of="c-6") == ()

    def test_merged_id_leads_to_the_survivor(self) -> None:
        book = make_book(*[{"email": "a@x"}] * 3)
        book.merge("c-1", "c-2")
        groups = book.duplicates(of="c-2")

        assert [[one.id for one in group] for group in groups] == [["c-1", "c-3"]]

    def test_unknown_id_is_refused(self) -> None:
        """An id of another scope is unknown, and the default scope is ''."""
        book = make_book({"email": "a@x"})
        book.create({"email": "a@x"}, scope="s")
        for id, scope in (("c-9", None), ("c-2", None), ("c-1", "s"), ("c-9", "")):
            with pytest.raises(errors.UnknownContact, match=id):
                book.duplicates(of=id, scope=scope)
        not_text: Any = 7
        with pytest.raises(errors.UnknownContact, match="must be str"):
            book.duplicates(of=not_text)

        assert book.duplicates(of="c-1") == book.duplicates(of="c-2", scope="s") == ()

    def test_deleted_contact_connects_no_others(self) -> None:
        policy = Policy(merge_all("phone"), LINES, on_deleted="restore")
        book = make_book(
            {"email": "a@x"},
            {"email": "a@x", "phone": "+15550001"},
            {"phone": "+15550001"},
            policy=policy,
        )
        assert len(book.duplicates(of="c-1")[0]) == 3

        book.delete("c-2")
        assert [book.duplicates(of=f"c-{n}") for n in (1, 2, 3)] == [()] * 3


class TestBlankValues:
    """Contacts without a value for a key are groups apart, where asked for."""

    def test_contacts_without_a_value_are_a_group_for_each_key(self) -> None:
        """After the groups of those that share a key."""
        blank: dict[str, Any] = {"email": " ", "phone": []}
        book = make_book(
            {"email": "a@x"},
            {**blank, "first": "Ada"},
            {"email": "a@x", "last": "King"},
            {"phone": "+15550001"},
        )
        groups = book.duplicates(blank=True)

        assert groups[:1] == book.duplicates()
        assert [[int(one.id[2:]) for one in group] for group in groups[1:]] == [
            [2, 4],
            [1, 2, 3],
            [1, 4],
        ]
        assert [
            [one.id for one in g] for g in book.duplicates("email", blank=True)
        ] == [
            ["c-1", "c-3"],
            ["c-2", "c-4"],
        ]

    def test_values_without_a_form_and_aliases_are_not_blank(self) -> None:
        book = make_book(
            {"email": "noreply@x"},
            {"email": "no address"},
            {"email": "old@x", "phone": "+15550001"},
            {},
        )
        book.upsert({"phone": "+15550001", "email": None})

        assert book.get("c-3").get("email") is None
        assert book.duplicates("email", blank=True) == ()

    def test_blank_groups_do_not_cross_scopes(self) -> None:
        book = make_book({}, {})
        for scope in ("s", "s", "t"):
            book.create({}, scope=scope)
        book.create({"email": "a@x"})

        def ids(**how: Any) -> list[list[str]]:
            groups = book.duplicates("email", blank=True, **how)
            return [[one.id for one in group] for group in groups]

        assert ids() == [["c-1", "c-2"], ["c-3", "c-4"]]
        assert ids(scope="s") == ids(of="c-4", scope="s") == [["c-3", "c-4"]]
        assert ids(scope="t") == ids(of="c-6") == []

    def test_deleted_contacts_are_in_no_blank_group(self) -> None:
        policy = Policy(merge_all("phone"), LINES, on_deleted="restore")
        book = make_book({}, {}, {}, policy=policy)
        book.delete("c-2")

        groups = book.duplicates("email", blank=True)
        assert [[one.id for one in group] for group in groups] == [["c-1", "c-3"]]
        assert book.duplicates("email", of="c-2", blank=True) == ()

    def test_dedupe_merges_no_blank_group(self) -> None:
        book = make_book({}, {})

        assert book.dedupe() == []
        assert len(book) == 2
