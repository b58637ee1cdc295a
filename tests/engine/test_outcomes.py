"""The outcomes of a batch: a lazy sequence, counted without making them."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    Outcome,
    Outcomes,
    Policy,
    errors,
    field,
    first_match,
    normalize,
)

POLICY = Policy(
    first_match("email"),
    {"email": field(key=normalize.email), "name": field(null="ignore")},
)
ADA = {"email": "ada@x.org", "name": "Ada"}
PATCHES: list[Any] = [
    ADA,
    {"email": "eve@x.org", "name": None},
    ADA,
    {"name": "nobody"},
    {**ADA, "name": "Bo"},
]


def sent_to(book: ContactBook) -> list[Any]:
    """Upsert the patches one by one; return outcomes and refusals."""
    results: list[Any] = []
    for patch in PATCHES:
        try:
            results.append(book.upsert(patch))
        except errors.Refused as refusal:
            results.append(refusal)
    return results


def new_book() -> ContactBook:
    return ContactBook(POLICY, ids=iter(["c-1", "c-2"]).__next__)


def collected(book: ContactBook) -> Any:
    return book.upsert_many(PATCHES, on_refused="collect")


def test_outcomes_are_those_of_single_calls() -> None:
    outcomes, singly = collected(new_book()), sent_to(new_book())

    assert len(singly) == len(outcomes) == 5
    assert [type(item) for item in singly] == [type(item) for item in outcomes]
    for number in (0, 1, 2, 4, -1, -5):
        one, other = outcomes[number], singly[number]
        assert isinstance(one, Outcome)
        assert (one.result, one.ignored) == (other.result, other.ignored)
        assert (one.contact.fields, one.matched_by) == (
            other.contact.fields,
            other.matched_by,
        )


def test_slice_is_a_sequence_of_outcomes() -> None:
    outcomes = collected(new_book())

    assert isinstance(outcomes[1:3], Outcomes)
    assert [*outcomes[1:3]] == [outcomes[1], outcomes[2]]
    assert outcomes[::-1][0] == outcomes[-1]
    with pytest.raises(IndexError):
        outcomes[5]


def test_counts_are_by_result_in_the_order_of_their_first() -> None:
    counts = collected(new_book()).counts()

    assert ["created", "unchanged", "refused", "updated"] == [*counts]
    assert {"created": 2, "unchanged": 1, "refused": 1, "updated": 1} == counts
    assert {} == Outcomes().counts()


def test_refused_are_the_refusals_with_their_rows() -> None:
    (refusal,) = collected(new_book()).refused()

    assert isinstance(refusal, errors.NoMatchKey)
    assert refusal.row == 3


def test_outcomes_do_not_change_with_the_book() -> None:
    book = new_book()
    outcomes = collected(book)
    before = repr([*outcomes])
    for contact in [*book]:
        book.purge(contact.id)

    assert before == repr([*outcomes])


def test_outcomes_equal_a_list_of_equal_outcomes_and_have_no_hash() -> None:
    book = new_book()
    outcomes = collected(book)

    assert outcomes == [*outcomes] == outcomes[:]
    assert outcomes != [*outcomes][1:]
    assert outcomes != "outcomes"
    with pytest.raises(TypeError):
        hash(outcomes)


def test_repr_shows_the_first_outcomes() -> None:
    outcomes = collected(new_book())

    assert repr(outcomes).startswith("Outcomes([Outcome(result='created'")
    assert repr(outcomes).endswith("... 2 more])")
    assert repr(outcomes[:1]) == f"Outcomes([{outcomes[0]!r}])"


def test_pickled_outcomes_are_equal() -> None:
    outcomes = new_book().upsert_many([ADA, ADA])

    assert outcomes == pickle.loads(pickle.dumps(outcomes))  # noqa: S301 - our own


@pytest.mark.parametrize("atomic", [False, True])
def test_refusal_that_ends_a_batch_has_the_outcomes_before_it(
    atomic: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    with pytest.raises(errors.NoMatchKey) as caught:
        new_book().upsert_many(PATCHES, atomic=atomic)

    assert caught.value.row == 3
    assert len(caught.value.outcomes) == (0 if atomic else 3)


@pytest.mark.parametrize("on_duplicates", ["fold", "refuse_later", "refuse_all"])
def test_every_kind_of_batch_returns_outcomes(on_duplicates: Any) -> None:
    outcomes: Any = new_book().upsert_many(
        PATCHES, on_duplicates=on_duplicates, on_refused="collect"
    )

    assert isinstance(outcomes, Outcomes)
    assert sum(outcomes.counts().values()) == len(PATCHES)
