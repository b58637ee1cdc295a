"""Again: a decision after which the same patch would find somebody else is refused."""

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


def book(
    match: Strategy, *patches: dict[str, Any], main: Field, **options: Any
) -> ContactBook:
    """Make a book that has created these; its contacts are called 1, 2, ..."""
    numbers = count(1)
    lines = {"main": main, "more": field(), "a": EXACT, "b": EXACT, "city": field()}
    policy = Policy(match, lines, keys={"mails": MAILS}, **options)
    made = ContactBook(policy, ids=lambda: f"{next(numbers)}")
    for patch in patches:
        made.create(patch)
    return made


def refused(made: ContactBook, patch: dict[str, Any], name: str) -> None:
    """See that a patch is refused for this field, and that nothing has changed."""
    before = made.dump()
    with pytest.raises(InvalidField, match="is a key that its rule") as caught:
        made.upsert(patch)

    assert (name, patch[name]) == (caught.value.field, caught.value.value)
    assert before == made.dump()


ONCE = field(rule=on_create)
ADA: dict[str, Any] = {"main": "z@x", "more": ["b@x"], "a": "1"}
BOB: dict[str, Any] = {"more": ["c@x"], "a": "2"}


class TestWhomItFinds:
    """The strategy is asked about the state that would be."""

    def test_nobody(self) -> None:
        """A guard contradicts the one key that the contact would hold."""
        made = book(first_match("mails", "a", guard="strict"), ADA, main=ONCE)

        refused(made, {"main": "b@x", "more": [], "a": "1"}, "main")

    def test_somebody_else(self) -> None:
        """An earlier key would find another contact then."""
        made = book(
            first_match("mails", "a"), ADA, BOB, main=ONCE, on_ambiguous="oldest"
        )

        refused(made, {"main": ("b@x", "c@x"), "more": [], "a": "1"}, "main")

    def test_too_many(self) -> None:
        """What would be refused the next time is refused at once."""
        made = book(first_match("mails", "a"), ADA, BOB, BOB, main=ONCE)

        refused(made, {"main": ("b@x", "c@x"), "more": [], "a": "1"}, "main")

    def test_the_same_by_another_key(self) -> None:
        """The patch is about the same contact still, so it is taken."""
        made = book(first_match("mails", "a"), ADA, BOB, main=ONCE)
        patch = {"main": "b@x", "more": [], "a": "1"}
        outcome = made.upsert(patch)

        assert (outcome.contact.id, outcome.matched_by) == ("1", "mails")
        assert made.upsert(patch).unchanged
        assert made.upsert(patch).matched_by == "a"

    @pytest.mark.parametrize("on_ambiguous", ["oldest", "newest"])
    def test_one_of_several(self, on_ambiguous: Any) -> None:
        """A form that others hold too must find it wherever it stands among them."""
        main = field(rule=custom(lambda _stored, _sent: "c@x"))
        stored = ({"more": ["b@x"]}, {"more": ["c@x"]})
        made = book(first_match("mails"), *stored, main=main, on_ambiguous=on_ambiguous)

        refused(made, {"main": ("b@x", "c@x"), "more": []}, "main")

    def test_a_new_contact_is_the_last(self) -> None:
        """It is found by what it holds, and by nothing that it does not store."""
        main = field(rule=custom(lambda _stored, _sent: "c@x"))
        made = book(first_match("mails"), main=main)
        refused(made, {"main": "b@x"}, "main")

        assert made.upsert({"main": "c@x"}).created

    def test_whom_it_would_merge(self) -> None:
        """After a merge nobody is left to be merged."""
        made = book(merge_all("mails", "a"), ADA, BOB, main=ONCE)
        patch = {"main": ("b@x", "d@x"), "more": [], "a": "2"}
        outcome = made.upsert(patch)

        assert (outcome.result, outcome.contact.id) == ("merged", "1")
        assert made.upsert(patch).unchanged


class TestWhatIsLeftOut:
    """The same keys must be left out the next time."""

    MATCH = first_match("mails", "a", "b", guard="strict", on_contradiction="drop")

    def test_it_is_asked_for_again(self) -> None:
        """A key that was left out, and would find somebody, is looked at."""
        made = book(self.MATCH, ADA, {"b": "2"}, main=ONCE)

        refused(made, {"main": "b@x", "more": [], "b": "2"}, "main")

    def test_it_is_left_out_again(self) -> None:
        """Where it is, the patch is taken, though it does not store every form."""
        made = book(
            self.MATCH,
            {"main": ["b@x"]},
            {"b": "2"},
            main=field(rule=keep),
        )
        patch = {"main": ["b@x", "c@x"], "a": "7", "b": "2"}
        outcome = made.upsert(patch)

        assert outcome.ignored == {"main": "keep", "b": "guard"}
        assert outcome.contact.fields == {"main": ("b@x",), "a": "7"}
        assert made.upsert(patch).unchanged


def test_a_key_may_be_left_out_the_next_time_alone() -> None:
    """The same contact is found, and nothing more of the patch is taken."""
    numbers = count(1)
    lines = {"id": EXACT, "main": field(), "more": field(rule=keep)}
    match = first_match("id", "mails", guard="strict", on_contradiction="drop")
    policy = Policy(match, lines, keys={"mails": MAILS}, on_ambiguous="oldest")
    made = ContactBook(policy, ids=lambda: f"{next(numbers)}")
    made.create({"id": "1", "main": "a@x", "more": ["c@x"]})
    made.create({"id": "2", "main": "b@x"})
    made.create({"id": "2", "main": "a@x"})
    patch = {"id": "1", "main": None, "more": ["a@x"]}
    outcome = made.upsert(patch)

    assert (outcome.result, outcome.contact.id) == ("updated", "1")
    assert outcome.ignored == {"more": "keep"}
    again = made.upsert(patch)
    assert (again.result, again.contact.id) == ("unchanged", "1")
    assert again.ignored == {"main": "guard", "more": "guard"}


def test_it_is_asked_only_where_a_key_has_moved() -> None:
    """A patch that moves no key finds whom it has found."""
    made = book(first_match("mails", "a"), ADA, main=ONCE)
    patch = {"main": ["b@x", "n@x"], "city": "Oslo"}

    assert made.upsert(patch).updated
    assert made.upsert(patch).unchanged


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
def test_the_refusal_names_the_key_that_is_lost(
    lines: Any, keys: Any, first: Any, patch: Any, words: str
) -> None:
    """Not merely the first one that the patch carries."""
    every = {"id": field(key=normalize.exact), "main": field(), **lines}
    policy = Policy(all_agree("id", "mail"), every, keys=keys, on_ambiguous="oldest")
    made = ContactBook(policy)
    for each in first:
        made.create(each)
    with pytest.raises(InvalidField) as caught:
        made.upsert(patch)
    assert words in str(caught.value)


def test_a_key_that_is_withheld_is_told_as_in_use() -> None:
    """What keeps the contact from being found is no rule then, but its holder."""
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
    made = ContactBook(policy)
    made.create({"k": "1"})
    with pytest.raises(KeyInUse, match="k: '1' is held by contact"):
        made.upsert({"k": "1", "f": "2"})
    assert len(made) == 1
