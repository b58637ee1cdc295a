"""Batches: one call per row, atomic batches, and duplicate patches."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.field_options import blocking, merging
from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    errors,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.book.batch import find_duplicates, run_calls
from upsertcore.rules import immutable

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES: dict[str, Any] = {
    "email": field(key=normalize.email, unique=True, keep_aliases=True),
    "phone": field(key=normalize.phone),
    "name": field(),
}
POLICY = Policy(merge_all("email", "phone"), LINES)
ONE, TWO = "+15550001", "+15550002"
BAD: dict[str, Any] = {"name": "nobody"}


def make_book(policy: Policy = POLICY, *patches: dict[str, Any]) -> ContactBook:
    """Make a book of contacts c-1, c-2, ...; its clock advances an hour per call."""
    ids, hours = count(1), count()
    book = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: NOW + timedelta(hours=next(hours)),
    )
    for patch in patches:
        book.create(patch)
    return book


ROWS: list[dict[str, Any]] = [
    {"email": "a@x", "name": "A"},
    {"email": "b@x", "phone": TWO},
    {"email": "A@x", "phone": ONE},
    {"phone": TWO, "name": "B"},
    {"email": "a@x", "phone": TWO},
    {"email": "c@x"},
    {"email": "c@x"},
    {"phone": ONE, "email": "new@x"},
]
"""Rows that create, update, merge or change nothing; some depend on earlier rows."""


class TestFold:
    """A batch equals its calls, one after the other."""

    @pytest.mark.parametrize("atomic", [False, True])
    @pytest.mark.parametrize("contacts", [[], [{"phone": ONE}, {"phone": TWO}]])
    def test_batch_has_the_outcomes_and_dump_of_its_calls(
        self, contacts: list[dict[str, Any]], *, atomic: bool
    ) -> None:
        single, batch = make_book(POLICY, *contacts), make_book(POLICY, *contacts)
        outcomes = [single.upsert(row) for row in ROWS]
        assert {outcome.result for outcome in outcomes} >= {
            "updated",
            "merged",
            "unchanged",
        }

        assert batch.upsert_many(ROWS, atomic=atomic) == outcomes
        assert single.dump() == batch.dump()
        batch._index.check()

    def test_fold_reads_a_stream_row_by_row(self) -> None:
        book = make_book()

        def stream() -> Iterator[dict[str, Any]]:
            for number in range(3):
                assert len(book) == number
                yield {"email": f"{number}@x"}

        assert len(book.upsert_many(stream())) == 3

    @pytest.mark.parametrize(
        "options", [{"atomic": True}, {"on_duplicates": "refuse_all"}]
    )
    def test_atomic_or_refuse_all_reads_the_whole_stream_first(
        self, options: dict[str, Any]
    ) -> None:
        book = make_book()

        def stream() -> Iterator[dict[str, Any]]:
            for number in range(3):
                assert len(book) == 0
                yield {"email": f"{number}@x"}

        assert len(book.upsert_many(stream(), **options)) == 3
        assert len(book) == 3

    @pytest.mark.parametrize("atomic", [False, True])
    def test_empty_batch_draws_no_id_and_no_time(self, *, atomic: bool) -> None:
        def never() -> Any:
            raise AssertionError

        book = ContactBook(POLICY, ids=never, clock=never)

        assert book.upsert_many([], atomic=atomic) == []
        assert (
            book.upsert_many(iter(()), atomic=atomic, on_duplicates="refuse_all") == []
        )

    def test_batch_writes_to_its_scope(self) -> None:
        book = make_book(POLICY, {"email": "a@x"})
        for atomic in (False, True):
            (outcome,) = book.upsert_many([{"email": "a@x"}], scope="s", atomic=atomic)
            assert outcome.contact.scope == "s"
        assert len(book) == 2
        scope: Any = 7
        with pytest.raises(errors.InvalidField, match="scope: must be text"):
            book.upsert_many([{"email": "a@x"}], scope=scope, atomic=True)

    def test_rows_after_a_refusal_are_skipped_unless_collected(self) -> None:
        def refuse(_row: int, _patch: int) -> Outcome:
            raise errors.CreateRefused

        patches = iter([1, 2, 3])
        with pytest.raises(errors.CreateRefused):
            run_calls(refuse, patches, "raise")

        refusals = run_calls(refuse, patches, "collect")
        assert [type(refusal) for refusal in refusals] == [errors.CreateRefused] * 2

    def test_exception_of_a_function_is_raised_under_collect(self) -> None:
        """The rows before it stay."""

        def clean(value: Any) -> Any:
            if value == "boom":
                raise ArithmeticError(value)
            return value

        lines = {**LINES, "name": field(clean=clean)}
        book = make_book(Policy(first_match("email"), lines))
        rows = [{"email": "a@x"}, {"email": "b@x", "name": "boom"}, {"email": "c@x"}]
        with pytest.raises(ArithmeticError):
            book.upsert_many(rows, on_refused="collect")

        assert len(book) == 1


class TestAtomic:
    """Atomic batches."""

    REFUSED: dict[str, Any] = {  # noqa: RUF012
        "no key": (errors.NoMatchKey, BAD),
        "key in use": (errors.KeyInUse, {"phone": "+15559999", "email": "held@x"}),
        "unknown field": (errors.UnknownField, {"email": "a@x", "nmae": "A"}),
        "no mapping": (errors.InvalidField, ["email"]),
        "ambiguous": (errors.AmbiguousMatch, {"phone": ONE}),
    }

    @pytest.mark.parametrize("place", [0, 2])
    @pytest.mark.parametrize("reason", REFUSED)
    def test_refused_atomic_batch_leaves_the_book_unchanged(
        self, reason: str, place: int
    ) -> None:
        """Its other rows alone are accepted."""
        error, bad = self.REFUSED[reason]
        policy = Policy(first_match("phone", "email"), LINES)
        book = make_book(
            policy,
            {"phone": ONE, "email": "held@x"},
            {"phone": ONE},
            {"phone": "+15559999"},
        )
        rows = [{"email": "a@x"}, {"email": "b@x"}]
        before = book.dump()
        with pytest.raises(error):
            book.upsert_many([*rows[:place], bad, *rows[place:]], atomic=True)
        assert book.dump() == before
        book._index.check()

        assert [outcome.result for outcome in book.upsert_many(rows, atomic=True)] == [
            "created"
        ] * 2

    def test_atomic_batch_is_refused_by_a_key_of_its_own_row(self) -> None:
        book = make_book(Policy(first_match("phone"), LINES))
        rows = [{"phone": ONE, "email": "a@x"}, {"phone": TWO, "email": "A@x"}]
        with pytest.raises(errors.KeyInUse) as caught:
            book.upsert_many(rows, atomic=True)

        assert (caught.value.holder, len(book)) == ("c-1", 0)
        assert "c-1" not in book

    def test_atomic_batch_refuses_collect(self) -> None:
        book = make_book()
        call: Any = book.upsert_many
        for choice in ("collect", "skip"):
            with pytest.raises(ValueError, match="on_refused: must be 'raise'"):
                call([{"email": "a@x"}], atomic=True, on_refused=choice)

        assert len(book) == 0

    @pytest.mark.parametrize("function", ["ids", "clock", "name"])
    def test_exception_of_a_function_leaves_the_book_unchanged(
        self, function: str
    ) -> None:
        """The second row raises it."""
        calls = count()

        def raise_at_second_call(value: Any) -> Any:
            if next(calls):
                raise ArithmeticError("boom")
            return value

        lines = {
            **LINES,
            "name": field(clean=raise_at_second_call if function == "name" else None),
        }
        book = ContactBook(
            Policy(first_match("email"), lines),
            ids=(lambda: str(raise_at_second_call("c-1")))
            if function == "ids"
            else None,
            clock=(lambda: raise_at_second_call(NOW)) if function == "clock" else None,
        )
        rows = [{"email": f"{number}@x", "name": "N"} for number in range(3)]
        with pytest.raises(ArithmeticError, match="boom"):
            book.upsert_many(rows, atomic=True)

        assert len(book) == 0
        book._index.check()

    def test_id_drawn_twice_in_a_batch_is_an_error(self) -> None:
        book = ContactBook(POLICY, ids=lambda: "c-1")
        with pytest.raises(ValueError, match="a contact already has 'c-1'"):
            book.upsert_many([{"email": "a@x"}, {"email": "b@x"}], atomic=True)

        assert len(book) == 0

    def test_id_taken_while_the_batch_runs_is_an_error(self) -> None:
        """No contact is overwritten."""
        book: ContactBook
        calls = count(1)

        def ids() -> str:
            if next(calls) != 2:
                return "c-1"
            book.create({"email": "z@x"})
            return "c-2"

        book = ContactBook(POLICY, ids=ids)
        with pytest.raises(ValueError, match="a contact already has 'c-1'"):
            book.upsert_many([{"email": "a@x"}, {"email": "b@x"}], atomic=True)

        assert [contact["email"] for contact in book] == ["z@x"]
        book._index.check()

    def test_overtaken_batch_is_repeated_with_its_ids(self) -> None:
        book: ContactBook
        calls = count()

        def ids() -> str:
            number = next(calls)
            if number == 1:
                book.upsert({"email": "a@x", "name": "first"})
            return f"c-{number}"

        book = ContactBook(Policy(first_match("email"), LINES), ids=ids)
        rows: list[dict[str, Any]] = [
            {"email": "a@x", "phone": ONE},
            {"email": "b@x"},
            {"email": "a@x", "phone": TWO},
        ]
        first, second, third = book.upsert_many(rows, atomic=True)

        assert [outcome.result for outcome in (first, second, third)] == [
            "updated",
            "created",
            "updated",
        ]
        assert (first.contact["name"], first.contact.id) == ("first", "c-2")
        assert (second.contact.id, third.contact.version) == ("c-1", 3)
        assert next(calls) == 3
        book._index.check()

    def test_unrelated_write_does_not_repeat_the_batch(self) -> None:
        book: ContactBook
        calls = count()

        def clean(value: Any) -> Any:
            next(calls)
            book.create({"email": "else@x"})
            return value

        lines = {**LINES, "name": field(clean=clean)}
        book = make_book(Policy(first_match("email"), lines))
        book.upsert_many([{"email": "a@x", "name": "A"}], atomic=True)

        assert next(calls) == 1
        assert [contact["email"] for contact in book] == ["else@x", "a@x"]

    def test_outcomes_of_an_atomic_batch_can_be_undone(self) -> None:
        book = make_book(POLICY, {"phone": ONE}, {"phone": TWO})
        before = book.dump()
        outcomes = book.upsert_many(ROWS, atomic=True)
        for outcome in reversed(outcomes):
            book.undo(outcome)
            book._index.check()

        assert book.dump() == before


FAST, SLOW = Policy(first_match("email"), {"email": field(key=normalize.email)}), POLICY
"""A policy with a fast path, and one without."""


class TestRow:
    """Refusals and exceptions carry the row."""

    GOOD: list[dict[str, Any]] = [{"email": "a@x"}, {"email": "b@x"}]  # noqa: RUF012

    @pytest.mark.parametrize("policy", [FAST, SLOW], ids=["fast", "slow"])
    @pytest.mark.parametrize("on_duplicates", ["fold", "refuse_later", "refuse_all"])
    def test_raised_refusal_has_its_row_and_earlier_outcomes(
        self, policy: Policy, on_duplicates: Any
    ) -> None:
        """A note shows the row in the traceback."""
        book = make_book(policy)
        with pytest.raises(errors.NoMatchKey) as caught:
            book.upsert_many(
                [*self.GOOD, {}, {"email": "c@x"}], on_duplicates=on_duplicates
            )

        refusal = caught.value
        assert (refusal.row, refusal.__notes__) == (2, ["row 2"])
        assert [outcome.contact["email"] for outcome in refusal.outcomes] == [
            "a@x",
            "b@x",
        ]
        assert len(book) == 2
        refusal_copy = pickle.loads(pickle.dumps(refusal))  # noqa: S301
        assert (refusal_copy.row, refusal_copy.outcomes) == (2, refusal.outcomes)

    @pytest.mark.parametrize("policy", [FAST, SLOW], ids=["fast", "slow"])
    @pytest.mark.parametrize("on_duplicates", ["fold", "refuse_later", "refuse_all"])
    def test_collected_refusals_have_their_rows(
        self, policy: Policy, on_duplicates: Any
    ) -> None:
        """Their outcomes are in the list."""
        rows = [{}, *self.GOOD, {"emial": "c@x"}, {"email": "d@x"}]
        results: Any = make_book(policy).upsert_many(
            rows, on_duplicates=on_duplicates, on_refused="collect"
        )

        refusals = [result for result in results if isinstance(result, errors.Refused)]
        assert [(result.row, result.outcomes) for result in refusals] == [
            (0, ()),
            (3, ()),
        ]
        assert [results.index(result) for result in refusals] == [0, 3]

    @pytest.mark.parametrize("bad", [{}, {"emial": "c@x"}], ids=["decided", "read"])
    def test_refusal_of_an_atomic_batch_has_no_outcomes(
        self, bad: dict[str, Any]
    ) -> None:
        with pytest.raises(errors.Refused) as caught:
            make_book().upsert_many([*self.GOOD, bad], atomic=True)

        assert (caught.value.row, caught.value.outcomes) == (2, ())

    @pytest.mark.parametrize("policy", [FAST, SLOW], ids=["fast", "slow"])
    @pytest.mark.parametrize("mode", ["raise", "collect", "atomic"])
    def test_exception_of_a_function_has_its_row_and_earlier_outcomes(
        self, policy: Policy, mode: str
    ) -> None:
        def clean(value: Any) -> Any:
            return value / 2

        with_half = Policy(policy.match, {**policy.fields, "half": field(clean=clean)})
        book = make_book(with_half)
        options: dict[str, Any] = (
            {"atomic": True} if mode == "atomic" else {"on_refused": mode}
        )
        with pytest.raises(TypeError) as caught:
            book.upsert_many([*self.GOOD, {"email": "c@x", "half": "x"}], **options)

        error: Any = caught.value
        note = "half: clean clean raised this for text"
        assert (error.row, error.__notes__) == (2, [note, "row 2"])
        assert len(error.outcomes) == len(book) == (0 if mode == "atomic" else 2)

    @pytest.mark.parametrize("policy", [FAST, SLOW], ids=["fast", "slow"])
    def test_exception_of_the_stream_has_the_earlier_outcomes(
        self, policy: Policy
    ) -> None:
        def stream() -> Iterator[dict[str, Any]]:
            yield from self.GOOD
            raise OSError("closed")

        with pytest.raises(OSError, match="closed") as caught:
            make_book(policy).upsert_many(stream(), on_refused="collect")

        error: Any = caught.value
        assert (error.row, len(error.outcomes)) == (2, 2)

    def test_exception_without_attributes_has_the_note_only(self) -> None:
        class ReadOnlyError(Exception):
            def __setattr__(self, name: str, value: object) -> None:
                if name != "__notes__":
                    raise AttributeError(name)
                super().__setattr__(name, value)

        def clean(_value: Any) -> Any:
            raise ReadOnlyError

        lines = {**LINES, "name": field(clean=clean)}
        with pytest.raises(ReadOnlyError) as caught:
            make_book(Policy(first_match("email"), lines)).upsert_many([{"name": "A"}])

        assert caught.value.__notes__[-1] == "row 0"

    def test_refusal_of_dedupe_names_the_group(self) -> None:
        lines = {**LINES, "name": field(rule=immutable)}
        policy = Policy(first_match("phone"), merging(lines, {"name": immutable}))
        patches = [{"phone": TWO}, {"phone": TWO}, {"phone": ONE, "name": "A"}]
        book = make_book(policy, *patches, {"phone": ONE, "name": "B"})
        with pytest.raises(errors.InvalidField) as caught:
            book.dedupe()

        assert (caught.value.row, caught.value.__notes__) == (1, ["group 1"])
        assert [outcome.result for outcome in caught.value.outcomes] == ["merged"]


class TestPatches:
    """The type of the argument ``patches``."""

    @pytest.mark.parametrize("patches", [{"email": "a@x"}, "a@x", b"b@x", None, 7])
    @pytest.mark.parametrize("options", [{}, {"atomic": True}], ids=["fold", "atomic"])
    def test_patches_that_are_no_list_are_refused(
        self, patches: Any, options: dict[str, Any]
    ) -> None:
        """A mapping is one patch, not a list of patches."""
        words = f"patches: must be a list of mappings, not {type(patches).__name__};"
        with pytest.raises(TypeError, match=words):
            make_book().upsert_many(patches, **options)


class TestDuplicatePatches:
    """Patches of one batch that share a key."""

    ROWS: list[dict[str, Any]] = [  # noqa: RUF012
        {"email": "a@x"},
        {"email": "b@x", "phone": ONE},
        {"email": "A@x", "name": "A"},
        BAD,
        {"phone": ONE},
        {"email": "c@x"},
        {"email": "a@x", "nmae": "A"},
    ]

    def test_fold_sends_duplicates_one_after_the_other(self) -> None:
        results = make_book().upsert_many(self.ROWS[:3], on_duplicates="fold")

        assert [outcome.result for outcome in results] == [
            "created",
            "created",
            "updated",
        ]

    def test_refuse_later_accepts_the_first_row_only(self) -> None:
        """The refusals name the first row."""
        book = make_book()
        results = book.upsert_many(
            self.ROWS, on_duplicates="refuse_later", on_refused="collect"
        )

        assert [result.result if isinstance(result, Outcome) else type(result).__name__
                for result in results] == [
            "created",
            "created",
            "DuplicatePatch",
            "NoMatchKey",
            "DuplicatePatch",
            "created",
            "UnknownField",
        ]  # fmt: skip
        refusals = [
            result for result in results if isinstance(result, errors.DuplicatePatch)
        ]
        assert [(result.row, result.others) for result in refusals] == [
            (2, (0,)),
            (4, (1,)),
        ]
        assert "name" not in book.get("c-1")

    def test_refuse_all_refuses_every_duplicate(self) -> None:
        book = make_book()
        results = book.upsert_many(
            self.ROWS, on_duplicates="refuse_all", on_refused="collect"
        )
        refusals = [
            result for result in results if isinstance(result, errors.DuplicatePatch)
        ]

        assert [(result.row, result.others) for result in refusals] == [
            (0, (2,)),
            (1, (4,)),
            (2, (0,)),
            (4, (1,)),
        ]
        assert [contact["email"] for contact in book] == ["c@x"]

    def test_duplicates_are_transitive(self) -> None:
        """Two rows that share no key are duplicates if a third shares one with both."""
        rows = [{"email": "a@x"}, {"phone": ONE}, {"email": "a@x", "phone": ONE}]
        refusals: dict[int, Any] = find_duplicates(POLICY, rows)

        assert {row: refusal.others for row, refusal in refusals.items()} == {
            0: (1, 2),
            1: (0, 2),
            2: (0, 1),
        }

    @pytest.mark.parametrize("atomic", [False, True])
    def test_refuse_later_names_all_accepted_rows(self, *, atomic: bool) -> None:
        """The third row shares a key with both accepted rows."""
        rows = [{"email": "a@x"}, {"phone": ONE}, {"email": "a@x", "phone": ONE}]
        book = make_book()
        if atomic:
            with pytest.raises(errors.DuplicatePatch) as caught:
                book.upsert_many(rows, on_duplicates="refuse_later", atomic=True)
            assert (caught.value.row, caught.value.others) == (2, (0, 1))
            assert len(book) == 0
            return
        first, second, third = book.upsert_many(
            rows, on_duplicates="refuse_later", on_refused="collect"
        )

        assert isinstance(first, Outcome)
        assert isinstance(second, Outcome)
        assert isinstance(third, errors.DuplicatePatch)
        assert (third.row, third.others) == (2, (0, 1))
        assert [(contact.get("email"), contact.get("phone")) for contact in book] == [
            ("a@x", None),
            (None, ONE),
        ]

    def test_row_refused_for_another_reason_is_no_first_row(self) -> None:
        """The next row with its key is accepted."""
        policy = Policy(first_match("phone", "email"), LINES)
        book = make_book(policy, {"phone": ONE}, {"email": "held@x"})
        rows: list[dict[str, Any]] = [
            {"phone": ONE, "email": "held@x"},
            {"phone": ONE, "nmae": "A"},
            {"phone": ONE, "name": "A"},
            {"phone": ONE, "name": "B"},
            {"phone": ONE},
        ]
        results = book.upsert_many(
            rows, on_duplicates="refuse_later", on_refused="collect"
        )

        assert [
            result.result if isinstance(result, Outcome) else type(result).__name__
            for result in results
        ] == ["KeyInUse", "UnknownField", "updated", "DuplicatePatch", "DuplicatePatch"]
        duplicates = [
            result for result in results if isinstance(result, errors.DuplicatePatch)
        ]
        assert [result.others for result in duplicates] == [(2,), (2,)]
        assert book.get("c-1")["name"] == "A"

    def test_refuse_later_reads_a_stream_row_by_row(self) -> None:
        book = make_book()

        def stream() -> Iterator[dict[str, Any]]:
            for number in range(3):
                assert len(book) == number
                yield {"email": f"{number}@x"}

        assert len(book.upsert_many(stream(), on_duplicates="refuse_later")) == 3

    def test_refusals_of_one_group_share_their_rows(self) -> None:
        """N equal rows need n numbers of memory, not n times n."""
        rows = [{"email": "a@x", "name": str(number)} for number in range(1_000)]
        refusals: list[Any] = [*find_duplicates(POLICY, rows).values()]
        assert len(refusals) == 1_000
        assert all(refusal.rows is refusals[0].rows for refusal in refusals)
        assert refusals[7].others == (*range(7), *range(8, 1_000))

        _, *duplicates = make_book().upsert_many(
            rows, on_duplicates="refuse_later", on_refused="collect"
        )
        assert {refusal.others for refusal in duplicates} == {(0,)}  # type: ignore[union-attr]

    @pytest.mark.parametrize("on_duplicates", ["refuse_later", "refuse_all"])
    def test_atomic_batch_raises_its_first_refusal(self, on_duplicates: Any) -> None:
        """Rows that cannot be read come first."""
        book = make_book(POLICY, {"email": "a@x", "phone": ONE})
        rows: list[dict[str, Any]] = [{"name": "A"}, *[{"email": "b@x"}] * 2]
        for patches, error, row in (
            (rows, errors.NoMatchKey, 0),
            (
                [*rows[1:], rows[0]],
                errors.DuplicatePatch,
                on_duplicates == "refuse_later",
            ),
            ([*rows, {"emial": "a@x"}], errors.UnknownField, 3),
        ):
            with pytest.raises(error) as caught:
                book.upsert_many(patches, on_duplicates=on_duplicates, atomic=True)
            assert (caught.value.row, caught.value.outcomes) == (row, ())
            assert len(book) == 1

    def test_stored_contacts_make_no_duplicates(self) -> None:
        """Only the keys of the patches are compared."""
        book = make_book(POLICY, {"email": "a@x", "phone": ONE})
        results = book.upsert_many(
            [{"email": "a@x"}, {"phone": ONE}], on_duplicates="refuse_all"
        )

        assert [outcome.result for outcome in results] == ["unchanged", "unchanged"]

    def test_key_outside_the_strategy_makes_no_duplicates(self) -> None:
        policy = Policy(first_match("email"), LINES)
        rows: list[dict[str, Any]] = [
            {"email": "a@x", "phone": ONE},
            {"email": "b@x", "phone": ONE},
        ]

        assert find_duplicates(policy, rows) == {}

    def test_equal_forms_of_two_keys_make_no_duplicates(self) -> None:
        lines = {name: field(key=normalize.exact) for name in ("a", "b")}

        policy = Policy(first_match("a", "b"), lines)
        assert find_duplicates(policy, [{"a": "1"}, {"b": "1"}]) == {}

    def test_composite_and_list_keys_make_duplicates(self) -> None:
        keys = {"person": key("first", "last", normalize=normalize.text)}
        lines = {"email": field(key=normalize.email), "first": field(), "last": field()}
        policy = Policy(first_match("email", "person"), lines, keys=keys)
        rows: list[dict[str, Any]] = [
            {"email": ["a@x", "b@x"]},
            {"first": "Ada", "last": "King"},
            {"first": "Ada"},
            {"email": "B@x"},
            {"first": "ADA", "last": "king"},
        ]

        assert sorted(find_duplicates(policy, rows)) == [0, 1, 3, 4]

    def test_null_blank_and_blocked_values_make_no_duplicates(self) -> None:
        policy = Policy(
            first_match("email"), blocking(LINES, {"email": ("noreply@*",)})
        )
        rows = [
            {"email": value} for value in ("noreply@x", "noreply@x", "", "", None, None)
        ]

        assert find_duplicates(policy, rows) == {}

    @pytest.mark.parametrize("on_duplicates", ["refuse_later", "refuse_all"])
    def test_rows_before_a_raised_duplicate_stay(self, on_duplicates: Any) -> None:
        book = make_book()
        with pytest.raises(errors.DuplicatePatch) as caught:
            book.upsert_many(
                [{"email": "c@x"}, {"email": "a@x"}, {"email": "A@x"}],
                on_duplicates=on_duplicates,
            )

        assert caught.value.row == (2 if on_duplicates == "refuse_later" else 1)
        assert len(book) == (2 if on_duplicates == "refuse_later" else 1)

    @pytest.mark.parametrize("on_duplicates", ["refuse_later", "refuse_all"])
    def test_duplicate_refuses_an_atomic_batch(self, on_duplicates: Any) -> None:
        book = make_book()
        rows = [{"email": "c@x"}, {"email": "a@x"}, {"email": "A@x"}]
        with pytest.raises(errors.DuplicatePatch) as caught:
            book.upsert_many(rows, on_duplicates=on_duplicates, atomic=True)
        assert caught.value.row == (2 if on_duplicates == "refuse_later" else 1)
        assert len(book) == 0

        assert (
            len(book.upsert_many(rows[:2], on_duplicates=on_duplicates, atomic=True))
            == 2
        )

    @pytest.mark.parametrize("atomic", [False, True])
    def test_unknown_choice_is_an_error(self, *, atomic: bool) -> None:
        book = make_book()
        call: Any = book.upsert_many
        words = (
            "on_duplicates: must be 'fold', 'refuse_later' or 'refuse_all', not 'skip'"
        )
        with pytest.raises(ValueError, match=words):
            call([{"email": "a@x"}], on_duplicates="skip", atomic=atomic)
        with pytest.raises(
            ValueError, match="on_refused: must be 'raise' or 'collect', not 'skip'"
        ):
            call([{"email": "a@x"}], on_duplicates="refuse_all", on_refused="skip")

        assert len(book) == 0
