"""A decision after which the same patch would match another contact is refused."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    Policy,
    all_agree,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.errors import InvalidField, KeyInUse
from upsertcore.matching.protocol import Strategy
from upsertcore.policy.fields import Field
from upsertcore.rules import custom, keep, on_create

MAILS = key("main", "more", normalize=normalize.email, any_of=True)
EXACT = field(key=normalize.exact)


def make_book(
    match: Strategy, *patches: dict[str, Any], main: Field, **options: Any
) -> ContactBook:
    """Make a book with a contact per patch; the ids are 1, 2, ..."""
    numbers = count(1)
    lines = {"main": main, "more": field(), "a": EXACT, "b": EXACT, "city": field()}
    policy = Policy(match, lines, keys={"mails": MAILS}, **options)
    book = ContactBook(policy, ids=lambda: f"{next(numbers)}")
    for patch in patches:
        book.create(patch)
    return book


def check_refused(book: ContactBook, patch: dict[str, Any], name: str) -> None:
    """Check that a patch is refused for this field, and nothing has changed."""
    before = book.dump()
    with pytest.raises(InvalidField, match="is a key that its rule") as caught:
        book.upsert(patch)

    assert (name, patch[name]) == (caught.value.field, caught.value.value)
    assert before == book.dump()


ON_CREATE = field(rule=on_create)
ADA: dict[str, Any] = {"main": "z@x", "more": ["b@x"], "a": "1"}
BOB: dict[str, Any] = {"more": ["c@x"], "a": "2"}


class TestNextMatch:
    """The strategy is applied to the state after the call."""

    def test_patch_that_would_match_no_contact_is_refused(self) -> None:
        """A guard contradicts the only key that the contact would hold."""
        book = make_book(first_match("mails", "a", guard="strict"), ADA, main=ON_CREATE)

        check_refused(book, {"main": "b@x", "more": [], "a": "1"}, "main")

    def test_patch_that_would_match_another_contact_is_refused(self) -> None:
        """An earlier key would match it."""
        book = make_book(
            first_match("mails", "a"), ADA, BOB, main=ON_CREATE, on_ambiguous="oldest"
        )

        check_refused(book, {"main": ("b@x", "c@x"), "more": [], "a": "1"}, "main")

    def test_patch_that_would_be_ambiguous_is_refused(self) -> None:
        book = make_book(first_match("mails", "a"), ADA, BOB, BOB, main=ON_CREATE)

        check_refused(book, {"main": ("b@x", "c@x"), "more": [], "a": "1"}, "main")

    def test_patch_that_would_match_by_another_key_is_accepted(self) -> None:
        book = make_book(first_match("mails", "a"), ADA, BOB, main=ON_CREATE)
        patch = {"main": "b@x", "more": [], "a": "1"}
        outcome = book.upsert(patch)

        assert (outcome.contact.id, outcome.matched_by) == ("1", "mails")
        assert book.upsert(patch).unchanged
        assert book.upsert(patch).matched_by == "a"

    @pytest.mark.parametrize("on_ambiguous", ["oldest", "newest"])
    def test_form_with_several_holders_is_refused(self, on_ambiguous: Any) -> None:
        """Whichever holder the policy chooses."""
        main = field(rule=custom(lambda _stored, _sent: "c@x"))
        stored = ({"more": ["b@x"]}, {"more": ["c@x"]})
        book = make_book(
            first_match("mails"), *stored, main=main, on_ambiguous=on_ambiguous
        )

        check_refused(book, {"main": ("b@x", "c@x"), "more": []}, "main")

    def test_new_contact_must_match_by_stored_forms(self) -> None:
        main = field(rule=custom(lambda _stored, _sent: "c@x"))
        book = make_book(first_match("mails"), main=main)
        check_refused(book, {"main": "b@x"}, "main")

        assert book.upsert({"main": "c@x"}).created

    def test_merged_contacts_match_no_more(self) -> None:
        """The second call merges nothing."""
        book = make_book(merge_all("mails", "a"), ADA, BOB, main=ON_CREATE)
        patch = {"main": ("b@x", "d@x"), "more": [], "a": "2"}
        outcome = book.upsert(patch)

        assert (outcome.result, outcome.contact.id) == ("merged", "1")
        assert book.upsert(patch).unchanged


class TestDroppedKeys:
    """The next call must drop the same keys."""

    MATCH = first_match("mails", "a", "b", guard="strict", on_contradiction="drop")

    def test_dropped_key_that_would_match_next_time_is_refused(self) -> None:
        book = make_book(self.MATCH, ADA, {"b": "2"}, main=ON_CREATE)

        check_refused(book, {"main": "b@x", "more": [], "b": "2"}, "main")

    def test_key_dropped_again_is_accepted(self) -> None:
        """Even if the patch has forms that are not stored."""
        book = make_book(
            self.MATCH,
            {"main": ["b@x"]},
            {"b": "2"},
            main=field(rule=keep),
        )
        patch = {"main": ["b@x", "c@x"], "a": "7", "b": "2"}
        outcome = book.upsert(patch)

        assert outcome.ignored == {"main": "keep", "b": "guard"}
        assert outcome.contact.fields == {"main": ("b@x",), "a": "7"}
        assert book.upsert(patch).unchanged


def test_key_dropped_only_in_the_next_call_is_accepted() -> None:
    """It matches the same contact, and changes nothing more."""
    numbers = count(1)
    lines = {"id": EXACT, "main": field(), "more": field(rule=keep)}
    match = first_match("id", "mails", guard="strict", on_contradiction="drop")
    policy = Policy(match, lines, keys={"mails": MAILS}, on_ambiguous="oldest")
    book = ContactBook(policy, ids=lambda: f"{next(numbers)}")
    book.create({"id": "1", "main": "a@x", "more": ["c@x"]})
    book.create({"id": "2", "main": "b@x"})
    book.create({"id": "2", "main": "a@x"})
    patch = {"id": "1", "main": None, "more": ["a@x"]}
    outcome = book.upsert(patch)

    assert (outcome.result, outcome.contact.id) == ("updated", "1")
    assert outcome.ignored == {"more": "keep"}
    second = book.upsert(patch)
    assert (second.result, second.contact.id) == ("unchanged", "1")
    assert second.ignored == {"main": "guard", "more": "guard"}


def test_patch_that_moves_no_key_is_not_matched_again() -> None:
    book = make_book(first_match("mails", "a"), ADA, main=ON_CREATE)
    patch = {"main": ["b@x", "n@x"], "city": "Oslo"}

    assert book.upsert(patch).updated
    assert book.upsert(patch).unchanged


@pytest.mark.parametrize(
    ("lines", "keys", "first", "patch", "words"),
    [
        (
            {"more": field(rule=keep)},
            {"mail": key("main", "more", normalize=normalize.email, any_of=True)},
            [{"id": 1, "main": "a@x", "more": ["b@x"]}, {"id": 2, "more": ["a@x"]}],
            {"id": 1, "main": "", "more": ["a@x"]},
            "is a key that its rule replace, keep would drop; sent again, the patch",
        ),
    ],
    ids=["keep"],
)
def test_refusal_names_the_lost_key(
    lines: Any, keys: Any, first: Any, patch: Any, words: str
) -> None:
    """It is not always the first key of the patch."""
    fields = {"id": field(key=normalize.exact), "main": field(), **lines}
    policy = Policy(all_agree("id", "mail"), fields, keys=keys, on_ambiguous="oldest")
    book = ContactBook(policy)
    for row in first:
        book.create(row)
    with pytest.raises(InvalidField) as caught:
        book.upsert(patch)
    assert words in str(caught.value)


def test_withheld_key_is_refused_as_in_use() -> None:
    """No rule keeps the contact from matching, but the holder."""
    lines = {
        "k": field(key=normalize.exact, unique=True),
        "f": field(key=normalize.exact),
    }
    policy = Policy(
        first_match("c", "f", guard="strict"),
        lines,
        keys={"c": key("k", "f", normalize=normalize.text)},
        on_key_in_use="withhold",
    )
    book = ContactBook(policy)
    book.create({"k": "1"})
    with pytest.raises(KeyInUse, match="k: '1' is held by contact"):
        book.upsert({"k": "1", "f": "2"})
    assert len(book) == 1
