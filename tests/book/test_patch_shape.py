"""Patch shapes: what is computed once per sequence of patch names."""

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
    """Make the patch shapes of a policy."""
    names = [key.name for key in policy.all_keys]
    return PatchShapes(policy, ContactIndex(names), [(name,) for name in names])


def shape_of(*names: str, policy: Policy = POLICY) -> PatchShape:
    """Return the patch shape of these names."""
    shape = patch_shapes(policy)[names]
    assert shape is not None
    return shape


class TestNames:
    """Which names have a patch shape, and which shapes are stored."""

    def test_shape_is_stored_per_sequence_of_names(self) -> None:
        shapes = patch_shapes()

        assert shapes["email", "name"] is shapes["email", "name"]
        assert shapes["name", "email"] is not shapes["email", "name"]

    @pytest.mark.parametrize("name", [7, None, "age", "\ud800"], ids=repr)
    def test_unknown_name_has_no_shape(self, name: Any) -> None:
        """The general path refuses it."""
        assert patch_shapes()["email", name] is None

    @pytest.mark.parametrize("name", [7, "\ud800", ""], ids=repr)
    def test_invalid_name_has_no_shape_with_extra_fields(self, name: Any) -> None:
        assert patch_shapes(OPEN)["email", name] is None
        assert patch_shapes(OPEN)["email", "age"] is not None

    def test_field_with_a_clock_has_no_shape(self) -> None:
        """Its rule reads another field."""
        lines = {**LINES, "name": field(rule=latest("at")), "at": field()}

        assert (
            patch_shapes(Policy(first_match("email"), lines))["email", "name"] is None
        )

    def test_shapes_beyond_the_limit_are_not_stored(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each lookup computes them."""
        monkeypatch.setattr(patch_shape, "MAX_NAMES", 1)
        shapes = patch_shapes()

        assert shapes["email",] is shapes["email",]
        assert shapes["email", "name"] is not shapes["email", "name"]
        assert len(shapes) == 1

    def test_rows_beyond_the_limit_of_shared_names_are_equal(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """To those of a book without a fast path."""
        books = [ContactBook(OPEN, ids=iter("abc").__next__) for _ in "ab"]
        books[1]._fast_upsert = books[1]._fast_upsert_many = None
        monkeypatch.setattr(packed_row, "MAX_NAMES", 1)
        for book in books:
            for number in range(9):
                book.upsert({"email": "a@x", f"n{number % 5}": f"{number}"})
                book.upsert({f"n{number % 3}": f"{number}", "email": "a@x"})

        assert [contact.fields for contact in books[0]] == [
            contact.fields for contact in books[1]
        ]
        books[0]._index.check()

    def test_alignments_beyond_the_limit_are_not_stored(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(patch_shape, "_MAX_PICKERS", 1)
        index = ContactIndex(["email"])
        email = PatchShapes(POLICY, index, [("email",)])["email",]
        assert email is not None
        row_names = [index.names.share(names) for names in (("name",), ("city",))]

        assert email.align(row_names[0]) is email.align(row_names[0])
        assert email.align(row_names[1]) is not email.align(row_names[1])
        assert ("city", "email") == email.align(row_names[1])[0]


class TestCreation:
    """Whether a patch of these names may create, and with which defaults."""

    def test_defaults_follow_the_sent_names(self) -> None:
        """In the order of the policy."""
        shape = shape_of("name", "email")

        assert shape.can_create
        assert (("name", "email", "city"), ("Oslo",)) == (
            shape.created_names,
            shape.defaults,
        )
        assert () == shape_of("city", "email").defaults

    @pytest.mark.parametrize(
        ("line", "can_create"),
        [
            (field(required=True), False),
            (field(required=True, default="x"), True),
            (field(key=normalize.exact, default="x"), False),
        ],
        ids=["required", "required with default", "key"],
    )
    def test_required_or_key_default_decides_can_create(
        self, line: Any, *, can_create: bool
    ) -> None:
        """A default that is a key would have to be looked up."""
        policy = Policy(first_match("email"), {**LINES, "code": line})

        assert can_create == shape_of("email", policy=policy).can_create
        assert shape_of("email", "code", policy=policy).can_create


class TestReading:
    """Sent values are frozen and cleaned, or left to the general path."""

    def test_value_is_frozen_and_cleaned(self) -> None:
        shape = shape_of("name", "tags")

        assert ("Ada", ("a",)) == shape.read(("ada", ["a"]))

    @pytest.mark.parametrize("value", ["", None, [], "\ud800", ["\ud800"], set()])
    def test_null_blank_or_unstorable_value_is_left(self, value: Any) -> None:
        assert shape_of("name", "tags").read(("ada", value)) is None

    def test_refusal_of_clean_is_returned(self) -> None:
        """The message has the field, the value and the reason."""

        def refuse(_value: Any) -> Any:
            raise ValueError("must be a name")

        policy = Policy(first_match("email"), {**LINES, "name": field(clean=refuse)})
        refusal = shape_of("name", policy=policy).read((" 7 ",))

        assert isinstance(refusal, errors.InvalidField)
        assert "name: must be a name, not ' 7 '" == str(refusal)
        assert isinstance(refusal.__cause__, ValueError)

    def test_value_cleaned_to_blank_is_left(self) -> None:
        """The general path applies the option ``blank``."""
        lines = {**LINES, "name": field(clean=lambda value: value.strip("-"))}

        assert (
            shape_of("name", policy=Policy(first_match("email"), lines)).read(("--",))
            is None
        )


RULE_CASES: list[tuple[Any, Any, Any, bool, Any]] = [
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
    ("rule", "stored", "sent", "is_known", "new"),
    RULE_CASES,
    ids=range(len(RULE_CASES)),
)
def test_rule_result_is_applied_or_left(
    rule: Any, stored: Any, sent: Any, is_known: Any, new: Any
) -> None:
    """A refused, cleared or omitted value is left to the general path."""
    policy = Policy(first_match("email"), {**LINES, "note": field(rule=rule)})
    shape = shape_of("note", policy=policy)
    before = () if stored is None else (stored,)

    new_values = shape.apply_rules(before, (sent,), ("note",), is_known=is_known)
    assert (None if new is None else (new,)) == new_values
