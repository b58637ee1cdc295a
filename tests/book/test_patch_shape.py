"""Headings: what is known of the names of a patch, and what it reads and merges."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import ContactBook, Policy, errors, field, first_match, normalize
from upsertcore.book import patch_shape
from upsertcore.book.patch_shape import PatchShape, PatchShapes
from upsertcore.model import packed_row
from upsertcore.rules import (
    deep,
    immutable,
    keep,
    latest,
    on_create,
    replace,
    union,
    unset,
)
from upsertcore.store.contact_index import ContactIndex

LINES: dict[str, Any] = {
    "email": field(key=normalize.email),
    "name": field(clean=str.title),
    "tags": field(rule=union),
    "source": field(rule=on_create),
    "city": field(default="Oslo"),
}
POLICY = Policy(first_match("email"), LINES)
OPEN = Policy(first_match("email"), LINES, extra_fields=field(rule=replace))


def patch_shapes(policy: Policy = POLICY) -> PatchShapes:
    """Make what learns the headings of a policy."""
    names = [key.name for key in policy.all_keys]
    return PatchShapes(policy, ContactIndex(names), [(name,) for name in names])


def known(*names: str, policy: Policy = POLICY) -> PatchShape:
    """Give what is known of names that have a heading."""
    found = patch_shapes(policy)[names]
    assert found is not None
    return found


class TestNames:
    """Which names have a heading, and which are learnt."""

    def test_it_is_learnt_once(self) -> None:
        """The same names, sent again, lead to the same heading."""
        learnt = patch_shapes()

        assert learnt["email", "name"] is learnt["email", "name"]
        assert learnt["name", "email"] is not learnt["email", "name"]

    @pytest.mark.parametrize("name", [7, None, "age", "\ud800"], ids=repr)
    def test_what_is_no_name_of_the_table_has_none(self, name: Any) -> None:
        """The plain path says what is wrong with it."""
        assert patch_shapes()["email", name] is None

    @pytest.mark.parametrize("name", [7, "\ud800", ""], ids=repr)
    def test_what_is_no_name_at_all_has_none(self, name: Any) -> None:
        """Also where the table takes any name; a blank one is the plain path's."""
        assert patch_shapes(OPEN)["email", name] is None
        assert patch_shapes(OPEN)["email", "age"] is not None

    def test_what_goes_by_a_clock_has_none(self) -> None:
        """A rule with a clock looks at another field."""
        lines = {**LINES, "name": field(rule=latest("at")), "at": field()}

        assert (
            patch_shapes(Policy(first_match("email"), lines))["email", "name"] is None
        )

    def test_so_many_are_learnt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever comes beyond is looked at each time, and is as good."""
        monkeypatch.setattr(patch_shape, "MAX_NAMES", 1)
        learnt = patch_shapes()

        assert learnt["email",] is learnt["email",]
        assert learnt["email", "name"] is not learnt["email", "name"]
        assert len(learnt) == 1

    def test_names_that_rows_do_not_share(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A book of ever other names does what any other does."""
        books = [ContactBook(OPEN, ids=iter("abc").__next__) for _ in "ab"]
        books[1]._fast_upsert = books[1]._fast_upsert_many = None
        monkeypatch.setattr(packed_row, "MAX_NAMES", 1)
        for book in books:
            for n in range(9):
                book.upsert({"email": "a@x", f"n{n % 5}": f"{n}"})
                book.upsert({f"n{n % 3}": f"{n}", "email": "a@x"})

        assert [each.fields for each in books[0]] == [each.fields for each in books[1]]
        books[0]._index.check()

    def test_so_many_ways_to_meet_are_kept(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Beyond them a way is found anew."""
        monkeypatch.setattr(patch_shape, "_MAX_PICKERS", 1)
        index = ContactIndex(["email"])
        email = PatchShapes(POLICY, index, [("email",)])["email",]
        assert email is not None
        ways = [index.names.share(names) for names in (("name",), ("city",))]

        assert email.align(ways[0]) is email.align(ways[0])
        assert email.align(ways[1]) is not email.align(ways[1])
        assert ("city", "email") == email.align(ways[1])[0]


class TestCreation:
    """Whether a patch of these names may create, and what it then has besides."""

    def test_defaults_stand_after_what_was_sent(self) -> None:
        """Those that were not sent, in the order of the table."""
        made = known("name", "email")

        assert made.can_create
        assert (("name", "email", "city"), ("Oslo",)) == (
            made.created_names,
            made.defaults,
        )
        assert () == known("city", "email").defaults

    @pytest.mark.parametrize(
        ("line", "creates"),
        [
            (field(required=True), False),
            (field(required=True, default="x"), True),
            (field(key=normalize.exact, default="x"), False),
        ],
        ids=["needed", "needed, with a default", "a key"],
    )
    def test_what_is_needed(self, line: Any, *, creates: bool) -> None:
        """A default serves, but one that is a key would have to be looked for."""
        policy = Policy(first_match("email"), {**LINES, "code": line})

        assert creates == known("email", policy=policy).can_create
        assert known("email", "code", policy=policy).can_create


class TestReading:
    """What is sent is frozen and cleaned, or left."""

    def test_a_value_is_cleaned(self) -> None:
        """And what is not cleaned is frozen alone."""
        made = known("name", "tags")

        assert ("Ada", ("a",)) == made.read(("ada", ["a"]))

    @pytest.mark.parametrize("value", ["", None, [], "\ud800", ["\ud800"], set()])
    def test_what_is_no_value_is_left(self, value: Any) -> None:
        """Null, blank, and what no field can hold."""
        assert known("name", "tags").read(("ada", value)) is None

    def test_a_refusal_is_given(self) -> None:
        """It names the field, shows what was sent, and says what the clean said."""

        def refuse(_value: Any) -> Any:
            raise ValueError("must be a name")

        policy = Policy(first_match("email"), {**LINES, "name": field(clean=refuse)})
        refusal = known("name", policy=policy).read((" 7 ",))

        assert isinstance(refusal, errors.InvalidField)
        assert "name: must be a name, not ' 7 '" == str(refusal)
        assert isinstance(refusal.__cause__, ValueError)

    def test_a_clean_that_leaves_nothing(self) -> None:
        """What blank means is the plain path's to say."""
        lines = {**LINES, "name": field(clean=lambda value: value.strip("-"))}

        assert (
            known("name", policy=Policy(first_match("email"), lines)).read(("--",))
            is None
        )


LAID: list[tuple[Any, Any, Any, bool, Any]] = [
    (union, ("a",), ("b",), True, ("a", "b")),
    (union, None, ("b",), False, ("b",)),
    (union, ("a",), "b", True, None),
    (keep, "a", "b", True, None),
    (keep, "a", "a", True, "a"),
    (keep, None, "b", True, "b"),
    (on_create, "a", "b", True, None),
    (on_create, None, "b", False, "b"),
    (immutable, "a", "b", True, None),
    (unset, "a", "b", True, None),
    (deep, None, "b", False, None),
]


@pytest.mark.parametrize(
    ("rule", "stored", "sent", "known_", "new"), LAID, ids=range(len(LAID))
)
def test_a_rule_is_asked(
    rule: Any, stored: Any, sent: Any, known_: Any, new: Any
) -> None:
    """What it refuses, clears or leaves out is left to the plain path."""
    policy = Policy(first_match("email"), {**LINES, "note": field(rule=rule)})
    made = known("note", policy=policy)
    was = () if stored is None else (stored,)

    laid = made.apply_rules(was, (sent,), ("note",), is_known=known_)
    assert (None if new is None else (new,)) == laid
