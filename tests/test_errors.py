"""Errors pickle, copy, say what would be right, and have Python's base classes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from upsertcore import errors
from upsertcore.values import FrozenMap, show_value

EXAMPLES = [
    errors.InvalidPolicy("email: a unique field needs a key"),
    errors.InvalidField("age", "x", "must be a number"),
    errors.MissingField("email"),
    errors.UnknownField(7, ("email",)),
    errors.NoMatchKey(("email",)),
    errors.AmbiguousMatch("phone", tuple("abcdefg")),
    errors.KeysDisagree((("email", ("c-1",)), ("phone", tuple("abcdefg")))),
    errors.KeyInUse("email", "a@x.org", "c-1"),
    errors.CreateRefused(),
    errors.UpdateRefused("c-1"),
    errors.StaleVersion("c-1", 1, 2),
    errors.StaleVersion(None, 1, None),
    errors.StalePlan("contact c-1 is gone"),
    errors.UnknownContact("c-1"),
    errors.KeyInUse("person", FrozenMap({"first": "Ada", "last": "King"}), "c-1"),
    errors.InvalidField("email", ("a@x", "b@x"), "must have one key per contact"),
    errors.DuplicatePatch(3, (1,)),
    errors.DuplicatePatch(0, (1, 2, 3, 4, 5, 6)),
    errors.StaleOutcome("contact c-1 is gone"),
    errors.IdempotencyKeyReused("k-1"),
    errors.ContactDeleted("c-1"),
    errors.ChangesNotRetained(3, 10),
    errors.ChangesNotRetained(0, 10, retains=False),
    errors.InvalidRows(3, (errors.MissingField("email"),)),
    errors.UnknownContact(7),
    errors.UnknownId("id", "c-9"),
    errors.Overtaken("deadlock detected"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=map(str, range(len(EXAMPLES))))
def test_error_survives_pickle_and_copy(error: errors.UpsertError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
        assert type(error) is type(twin)
        assert repr(vars(error)) == repr(vars(twin))
        assert str(error) == str(twin)
        assert len(str(error)) > 20


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (errors.InvalidPolicy, ValueError),
        (errors.InvalidField, ValueError),
        (errors.NoMatchKey, LookupError),
        (errors.AmbiguousMatch, LookupError),
        (errors.KeysDisagree, LookupError),
        (errors.UnknownContact, KeyError),
        (errors.UnknownContact, errors.UpsertError),
    ],
)
def test_error_has_the_base_class_of_its_kind(cls: type, base: type) -> None:
    """A caller who knows only Python's errors catches these too."""
    assert issubclass(cls, base)


@pytest.mark.parametrize("name", errors.__all__)
def test_refusal_derives_from_refused(name: str) -> None:
    """One ``except`` clause catches every error that leaves the book unchanged."""
    cls: Any = getattr(errors, name)
    outside = {
        "ChangesNotRetained",
        "InvalidPolicy",
        "Overtaken",
        "UnknownContact",
        "UpsertError",
        "shown",
    }

    assert (name in outside) or issubclass(cls, errors.Refused)


class Unprintable:
    """A value whose ``repr`` raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    ["\ud800", "\0", "x" * 1_000_000, 10**5_000, [10**5_000], {1: Unprintable()}],
    ids=["surrogate", "NUL", "long", "large", "large inside", "unprintable"],
)
def test_message_with_any_value_is_short_and_printable(value: Any) -> None:
    """A value that cannot be shown never hides the refusal."""
    text = show_value(value)

    assert len(text) < 200
    assert text.isprintable()
    assert str(errors.InvalidField("f", value, "must be short"))


def test_message_of_ambiguous_match_names_five_contacts() -> None:
    """An ellipsis stands for the others."""
    assert "a, b, c, d, e, ...; merge" in str(EXAMPLES[5])


def test_message_of_duplicate_patch_names_five_rows() -> None:
    """An ellipsis stands for the others."""
    few, many = (errors.DuplicatePatch(9, tuple(range(size))) for size in (5, 6))

    advice = "send one patch for each contact"
    assert str(few) == f"row 9: shares a key with rows 0, 1, 2, 3, 4; {advice}"
    assert str(many).endswith(f"rows 0, 1, 2, 3, 4, ...; {advice}")
    assert (many.row, many.others) == (9, (0, 1, 2, 3, 4, 5))


def test_message_of_stale_plan_or_outcome_has_reason_and_advice() -> None:
    """The reason is an attribute too."""
    plan, outcome = (
        cls("it is gone") for cls in (errors.StalePlan, errors.StaleOutcome)
    )

    assert (str(plan), plan.reason) == ("plan: it is gone; plan again", "it is gone")
    assert str(outcome) == "outcome: it is gone; it can no longer be undone"


def test_invalid_field_of_a_stored_value_hides_the_value() -> None:
    """Neither its text nor its ``repr`` has it."""
    error = errors.InvalidField("age", "secret", "must be a number", holder="c-2")

    assert error.value is None
    assert "secret" not in f"{error} {error!r} {error.args}"
