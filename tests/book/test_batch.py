"""Batches: folds, all or nothing, and patches that repeat each other."""

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


def book(policy: Policy = POLICY, *patches: dict[str, Any]) -> ContactBook:
    """Make a book whose clock moves an hour at each look; contacts c-1, c-2, ..."""
    ids, hours = count(1), count()
    made = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: NOW + timedelta(hours=next(hours)),
    )
    for patch in patches:
        made.create(patch)
    return made


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
"""Rows that create, update, merge, leave as it is, and rest on each other."""


class TestFold:
    """A batch is its calls, one after the other."""

    @pytest.mark.parametrize("atomic", [False, True])
    @pytest.mark.parametrize("held", [[], [{"phone": ONE}, {"phone": TWO}]])
    def test_it_is_what_the_calls_do(
        self, held: list[dict[str, Any]], *, atomic: bool
    ) -> None:
        """The same outcomes and the same bytes, all at once or not."""
        one, other = book(POLICY, *held), book(POLICY, *held)
        outcomes = [one.upsert(row) for row in ROWS]
        assert {each.result for each in outcomes} >= {"updated", "merged", "unchanged"}

        assert other.upsert_many(ROWS, atomic=atomic) == outcomes
        assert one.dump() == other.dump()
        other._index.check()

    def test_patches_are_read_as_they_are_needed(self) -> None:
        """A stream may look at what became of what it gave."""
        made = book()

        def stream() -> Iterator[dict[str, Any]]:
            for number in range(3):
                assert len(made) == number
                yield {"email": f"{number}@x"}

        assert len(made.upsert_many(stream())) == 3

    @pytest.mark.parametrize(
        "options", [{"atomic": True}, {"on_duplicates": "refuse_all"}]
    )
    def test_patches_are_read_all_at_once(self, options: dict[str, Any]) -> None:
        """Where the batch is looked at as a whole; once, so a stream will do."""
        made = book()

        def stream() -> Iterator[dict[str, Any]]:
            for number in range(3):
                assert len(made) == 0
                yield {"email": f"{number}@x"}

        assert len(made.upsert_many(stream(), **options)) == 3
        assert len(made) == 3

    @pytest.mark.parametrize("atomic", [False, True])
    def test_no_patches(self, *, atomic: bool) -> None:
        """Nothing is done, and no id or time is asked for."""

        def never() -> Any:
            raise AssertionError

        made = ContactBook(POLICY, ids=never, clock=never)

        assert made.upsert_many([], atomic=atomic) == []
        assert (
            made.upsert_many(iter(()), atomic=atomic, on_duplicates="refuse_all") == []
        )

    def test_scopes(self) -> None:
        """A batch is of one scope."""
        made = book(POLICY, {"email": "a@x"})
        for atomic in (False, True):
            (outcome,) = made.upsert_many([{"email": "a@x"}], scope="s", atomic=atomic)
            assert outcome.contact.scope == "s"
        assert len(made) == 2
        wrong: Any = 7
        with pytest.raises(errors.InvalidField, match="scope: must be text"):
            made.upsert_many([{"email": "a@x"}], scope=wrong, atomic=True)

    def test_calls_after_the_one_that_is_refused(self) -> None:
        """They are not read under ``"raise"``, and all made under ``"collect"``."""

        def refuse(_row: int, _patch: int) -> Outcome:
            raise errors.CreateRefused

        patches = iter([1, 2, 3])
        with pytest.raises(errors.CreateRefused):
            run_calls(refuse, patches, "raise")

        collected = run_calls(refuse, patches, "collect")
        assert [type(e) for e in collected] == [errors.CreateRefused] * 2

    def test_what_is_no_refusal_is_never_collected(self) -> None:
        """An error of a host's function comes out, and what came before it stays."""

        def clean(value: Any) -> Any:
            if value == "boom":
                raise ArithmeticError(value)
            return value

        lines = {**LINES, "name": field(clean=clean)}
        made = book(Policy(first_match("email"), lines))
        rows = [{"email": "a@x"}, {"email": "b@x", "name": "boom"}, {"email": "c@x"}]
        with pytest.raises(ArithmeticError):
            made.upsert_many(rows, on_refused="collect")

        assert len(made) == 1


class TestAtomic:
    """All of a batch, or nothing of it."""

    REFUSED: dict[str, Any] = {  # noqa: RUF012
        "no key": (errors.NoMatchKey, BAD),
        "a clash": (errors.KeyInUse, {"phone": "+15559999", "email": "held@x"}),
        "no field": (errors.UnknownField, {"email": "a@x", "nmae": "A"}),
        "no mapping": (errors.InvalidField, ["email"]),
        "two hit": (errors.AmbiguousMatch, {"phone": ONE}),
    }

    @pytest.mark.parametrize("place", [0, 2])
    @pytest.mark.parametrize("why", REFUSED)
    def test_a_refusal_leaves_the_book_as_it_was(self, why: str, place: int) -> None:
        """Wherever it stands; and the same rows without it are taken."""
        error, bad = self.REFUSED[why]
        policy = Policy(first_match("phone", "email"), LINES)
        made = book(
            policy,
            {"phone": ONE, "email": "held@x"},
            {"phone": ONE},
            {"phone": "+15559999"},
        )
        rows = [{"email": "a@x"}, {"email": "b@x"}]
        before = made.dump()
        with pytest.raises(error):
            made.upsert_many([*rows[:place], bad, *rows[place:]], atomic=True)
        assert made.dump() == before
        made._index.check()

        assert [o.result for o in made.upsert_many(rows, atomic=True)] == [
            "created"
        ] * 2

    def test_a_refusal_by_what_the_batch_itself_wrote(self) -> None:
        """A later row sees the earlier ones, also where all are given up."""
        made = book(Policy(first_match("phone"), LINES))
        rows = [{"phone": ONE, "email": "a@x"}, {"phone": TWO, "email": "A@x"}]
        with pytest.raises(errors.KeyInUse) as no:
            made.upsert_many(rows, atomic=True)

        assert (no.value.holder, len(made)) == ("c-1", 0)
        assert "c-1" not in made

    def test_it_cannot_collect(self) -> None:
        """One refusal undoes all, so there is nothing to go on with."""
        made = book()
        call: Any = made.upsert_many
        for choice in ("collect", "skip"):
            with pytest.raises(ValueError, match="on_refused: must be 'raise'"):
                call([{"email": "a@x"}], atomic=True, on_refused=choice)

        assert len(made) == 0

    @pytest.mark.parametrize("what", ["ids", "clock", "name"])
    def test_a_function_that_raises(self, what: str) -> None:
        """The host's own error comes out of the second row, and nothing is written."""
        calls = count()

        def second(value: Any) -> Any:
            if next(calls):
                raise ArithmeticError("boom")
            return value

        lines = {**LINES, "name": field(clean=second if what == "name" else None)}
        made = ContactBook(
            Policy(first_match("email"), lines),
            ids=(lambda: str(second("c-1"))) if what == "ids" else None,
            clock=(lambda: second(NOW)) if what == "clock" else None,
        )
        rows = [{"email": f"{n}@x", "name": "N"} for n in range(3)]
        with pytest.raises(ArithmeticError, match="boom"):
            made.upsert_many(rows, atomic=True)

        assert len(made) == 0
        made._index.check()

    def test_an_id_that_is_given_twice(self) -> None:
        """Within the batch as within the book; nothing is written then."""
        made = ContactBook(POLICY, ids=lambda: "c-1")
        with pytest.raises(ValueError, match="a contact already has 'c-1'"):
            made.upsert_many([{"email": "a@x"}, {"email": "b@x"}], atomic=True)

        assert len(made) == 0

    def test_an_id_that_is_taken_meanwhile(self) -> None:
        """It is seen when the batch is written, and nobody is overwritten."""
        made: ContactBook
        calls = count(1)

        def ids() -> str:
            if next(calls) != 2:
                return "c-1"
            made.create({"email": "z@x"})
            return "c-2"

        made = ContactBook(POLICY, ids=ids)
        with pytest.raises(ValueError, match="a contact already has 'c-1'"):
            made.upsert_many([{"email": "a@x"}, {"email": "b@x"}], atomic=True)

        assert [each["email"] for each in made] == ["z@x"]
        made._index.check()

    def test_a_book_that_changes_meanwhile(self) -> None:
        """The batch is decided anew, with the ids and the times it has."""
        made: ContactBook
        calls = count()

        def ids() -> str:
            number = next(calls)
            if number == 1:
                made.upsert({"email": "a@x", "name": "first"})
            return f"c-{number}"

        made = ContactBook(Policy(first_match("email"), LINES), ids=ids)
        rows: list[dict[str, Any]] = [
            {"email": "a@x", "phone": ONE},
            {"email": "b@x"},
            {"email": "a@x", "phone": TWO},
        ]
        one, two, three = made.upsert_many(rows, atomic=True)

        assert [o.result for o in (one, two, three)] == [
            "updated",
            "created",
            "updated",
        ]
        assert (one.contact["name"], one.contact.id) == ("first", "c-2")
        assert (two.contact.id, three.contact.version) == ("c-1", 3)
        assert next(calls) == 3
        made._index.check()

    def test_a_write_that_does_not_matter(self) -> None:
        """Somebody else's contact does not make the batch begin again."""
        made: ContactBook
        asked = count()

        def clean(value: Any) -> Any:
            next(asked)
            made.create({"email": "else@x"})
            return value

        lines = {**LINES, "name": field(clean=clean)}
        made = book(Policy(first_match("email"), lines))
        made.upsert_many([{"email": "a@x", "name": "A"}], atomic=True)

        assert next(asked) == 1
        assert [each["email"] for each in made] == ["else@x", "a@x"]

    def test_what_it_merged_can_be_undone(self) -> None:
        """Outcomes of a batch are as any, and go back one by one."""
        made = book(POLICY, {"phone": ONE}, {"phone": TWO})
        before = made.dump()
        outcomes = made.upsert_many(ROWS, atomic=True)
        for outcome in reversed(outcomes):
            made.undo(outcome)
            made._index.check()

        assert made.dump() == before


FAST, SLOW = Policy(first_match("email"), {"email": field(key=normalize.email)}), POLICY
"""A policy with a fast path, and one without."""


class TestRow:
    """Whatever ends a batch, or is collected, has its row."""

    GOOD: list[dict[str, Any]] = [{"email": "a@x"}, {"email": "b@x"}]  # noqa: RUF012

    @pytest.mark.parametrize("policy", [FAST, SLOW], ids=["fast", "slow"])
    @pytest.mark.parametrize("on_duplicates", ["fold", "refuse_later", "refuse_all"])
    def test_a_refusal_that_is_raised(self, policy: Policy, on_duplicates: Any) -> None:
        """It has the outcomes before it too, and a note that a traceback shows."""
        made = book(policy)
        with pytest.raises(errors.NoMatchKey) as caught:
            made.upsert_many(
                [*self.GOOD, {}, {"email": "c@x"}], on_duplicates=on_duplicates
            )

        refusal = caught.value
        assert (refusal.row, refusal.__notes__) == (2, ["row 2"])
        assert [each.contact["email"] for each in refusal.outcomes] == ["a@x", "b@x"]
        assert len(made) == 2
        twin = pickle.loads(pickle.dumps(refusal))  # noqa: S301
        assert (twin.row, twin.outcomes) == (2, refusal.outcomes)

    @pytest.mark.parametrize("policy", [FAST, SLOW], ids=["fast", "slow"])
    @pytest.mark.parametrize("on_duplicates", ["fold", "refuse_later", "refuse_all"])
    def test_refusals_that_are_collected(
        self, policy: Policy, on_duplicates: Any
    ) -> None:
        """Each has its own row, and no outcomes, for the list has them."""
        rows = [{}, *self.GOOD, {"emial": "c@x"}, {"email": "d@x"}]
        answers: list[Any] = book(policy).upsert_many(
            rows, on_duplicates=on_duplicates, on_refused="collect"
        )

        refused = [each for each in answers if isinstance(each, errors.Refused)]
        assert [(each.row, each.outcomes) for each in refused] == [(0, ()), (3, ())]
        assert [answers.index(each) for each in refused] == [0, 3]

    @pytest.mark.parametrize("bad", [{}, {"emial": "c@x"}], ids=["decided", "read"])
    def test_an_atomic_batch_has_no_outcomes(self, bad: dict[str, Any]) -> None:
        """Nothing was done before the refusal."""
        with pytest.raises(errors.Refused) as caught:
            book().upsert_many([*self.GOOD, bad], atomic=True)

        assert (caught.value.row, caught.value.outcomes) == (2, ())

    @pytest.mark.parametrize("policy", [FAST, SLOW], ids=["fast", "slow"])
    @pytest.mark.parametrize("how", ["raise", "collect", "atomic"])
    def test_a_function_of_the_caller_that_raises(
        self, policy: Policy, how: str
    ) -> None:
        """It comes out as it is, in ``"collect"`` too, with what was done before it."""

        def clean(value: Any) -> Any:
            return value / 2

        half = Policy(policy.match, {**policy.fields, "half": field(clean=clean)})
        made = book(half)
        options: dict[str, Any] = (
            {"atomic": True} if how == "atomic" else {"on_refused": how}
        )
        with pytest.raises(TypeError) as caught:
            made.upsert_many([*self.GOOD, {"email": "c@x", "half": "x"}], **options)

        error: Any = caught.value
        note = "half: clean clean raised this for text"
        assert (error.row, error.__notes__) == (2, [note, "row 2"])
        assert len(error.outcomes) == len(made) == (0 if how == "atomic" else 2)

    @pytest.mark.parametrize("policy", [FAST, SLOW], ids=["fast", "slow"])
    def test_a_stream_that_raises(self, policy: Policy) -> None:
        """What was done of it is not lost."""

        def stream() -> Iterator[dict[str, Any]]:
            yield from self.GOOD
            raise OSError("closed")

        with pytest.raises(OSError, match="closed") as caught:
            book(policy).upsert_many(stream(), on_refused="collect")

        error: Any = caught.value
        assert (error.row, len(error.outcomes)) == (2, 2)

    def test_an_exception_that_takes_no_attributes(self) -> None:
        """It has the note alone."""

        class Fixed(Exception):
            def __setattr__(self, name: str, value: object) -> None:
                if name != "__notes__":
                    raise AttributeError(name)
                super().__setattr__(name, value)

        def clean(_value: Any) -> Any:
            raise Fixed

        lines = {**LINES, "name": field(clean=clean)}
        with pytest.raises(Fixed) as caught:
            book(Policy(first_match("email"), lines)).upsert_many([{"name": "A"}])

        assert caught.value.__notes__[-1] == "row 0"

    def test_a_group_that_is_not_merged(self) -> None:
        """Deduplicating names the group instead of a row."""
        lines = {**LINES, "name": field(rule=immutable)}
        policy = Policy(first_match("phone"), merging(lines, {"name": immutable}))
        patches = [{"phone": TWO}, {"phone": TWO}, {"phone": ONE, "name": "A"}]
        made = book(policy, *patches, {"phone": ONE, "name": "B"})
        with pytest.raises(errors.InvalidField) as caught:
            made.dedupe()

        assert (caught.value.row, caught.value.__notes__) == (1, ["group 1"])
        assert [each.result for each in caught.value.outcomes] == ["merged"]


class TestPatches:
    """One patch is no batch."""

    @pytest.mark.parametrize("patches", [{"email": "a@x"}, "a@x", b"b@x", None, 7])
    @pytest.mark.parametrize("options", [{}, {"atomic": True}], ids=["fold", "atomic"])
    def test_what_is_no_list(self, patches: Any, options: dict[str, Any]) -> None:
        """A mapping iterates over its names, which are no patches."""
        words = f"patches: must be a list of mappings, not {type(patches).__name__};"
        with pytest.raises(TypeError, match=words):
            book().upsert_many(patches, **options)


class TestRepeats:
    """Patches of a batch that are about one contact."""

    ROWS: list[dict[str, Any]] = [  # noqa: RUF012
        {"email": "a@x"},
        {"email": "b@x", "phone": ONE},
        {"email": "A@x", "name": "A"},
        BAD,
        {"phone": ONE},
        {"email": "c@x"},
        {"email": "a@x", "nmae": "A"},
    ]

    def test_fold(self) -> None:
        """One after the other, as if they came in several batches."""
        results = book().upsert_many(self.ROWS[:3], on_duplicates="fold")

        assert [each.result for each in results] == ["created", "created", "updated"]

    def test_refuse_later(self) -> None:
        """The first alone is taken; others are refused, and name its row."""
        made = book()
        results = made.upsert_many(
            self.ROWS, on_duplicates="refuse_later", on_refused="collect"
        )

        assert [each.result if isinstance(each, Outcome) else type(each).__name__
                for each in results] == [
            "created",
            "created",
            "DuplicatePatch",
            "NoMatchKey",
            "DuplicatePatch",
            "created",
            "UnknownField",
        ]  # fmt: skip
        refused = [e for e in results if isinstance(e, errors.DuplicatePatch)]
        assert [(e.row, e.others) for e in refused] == [
            (2, (0,)),
            (4, (1,)),
        ]
        assert "name" not in made.get("c-1")

    def test_refuse_all(self) -> None:
        """Nobody knows which is right, so none of them is taken."""
        made = book()
        results = made.upsert_many(
            self.ROWS, on_duplicates="refuse_all", on_refused="collect"
        )
        refused = [e for e in results if isinstance(e, errors.DuplicatePatch)]

        assert [(e.row, e.others) for e in refused] == [
            (0, (2,)),
            (1, (4,)),
            (2, (0,)),
            (4, (1,)),
        ]
        assert [each["email"] for each in made] == ["c@x"]

    def test_repeating_is_transitive(self) -> None:
        """Two that share nothing repeat each other where a third shares with both."""
        rows = [{"email": "a@x"}, {"phone": ONE}, {"email": "a@x", "phone": ONE}]
        found: dict[int, Any] = find_duplicates(POLICY, rows)

        assert {row: e.others for row, e in found.items()} == {
            0: (1, 2),
            1: (0, 2),
            2: (0, 1),
        }

    @pytest.mark.parametrize("atomic", [False, True])
    def test_refuse_later_names_the_accepted_rows_alone(self, *, atomic: bool) -> None:
        """Two rows that share nothing are both accepted before a third shares both."""
        rows = [{"email": "a@x"}, {"phone": ONE}, {"email": "a@x", "phone": ONE}]
        made = book()
        if atomic:
            with pytest.raises(errors.DuplicatePatch) as caught:
                made.upsert_many(rows, on_duplicates="refuse_later", atomic=True)
            assert (caught.value.row, caught.value.others) == (2, (0, 1))
            assert len(made) == 0
            return
        first, second, third = made.upsert_many(
            rows, on_duplicates="refuse_later", on_refused="collect"
        )

        assert isinstance(first, Outcome)
        assert isinstance(second, Outcome)
        assert isinstance(third, errors.DuplicatePatch)
        assert (third.row, third.others) == (2, (0, 1))
        assert [(each.get("email"), each.get("phone")) for each in made] == [
            ("a@x", None),
            (None, ONE),
        ]

    def test_a_row_refused_for_another_reason_repeats_nothing(self) -> None:
        """With a key in use, or unreadable: the next row with its key is accepted."""
        policy = Policy(first_match("phone", "email"), LINES)
        made = book(policy, {"phone": ONE}, {"email": "held@x"})
        rows: list[dict[str, Any]] = [
            {"phone": ONE, "email": "held@x"},
            {"phone": ONE, "nmae": "A"},
            {"phone": ONE, "name": "A"},
            {"phone": ONE, "name": "B"},
            {"phone": ONE},
        ]
        results = made.upsert_many(
            rows, on_duplicates="refuse_later", on_refused="collect"
        )

        assert [
            each.result if isinstance(each, Outcome) else type(each).__name__
            for each in results
        ] == ["KeyInUse", "UnknownField", "updated", "DuplicatePatch", "DuplicatePatch"]
        later = [each for each in results if isinstance(each, errors.DuplicatePatch)]
        assert [each.others for each in later] == [(2,), (2,)]
        assert made.get("c-1")["name"] == "A"

    def test_refuse_later_reads_patches_as_they_are_needed(self) -> None:
        """A stream of any length is decided row by row."""
        made = book()

        def stream() -> Iterator[dict[str, Any]]:
            for number in range(3):
                assert len(made) == number
                yield {"email": f"{number}@x"}

        assert len(made.upsert_many(stream(), on_duplicates="refuse_later")) == 3

    def test_refusals_of_rows_alike_share_their_memory(self) -> None:
        """N rows alike hold n numbers, not n times n; the first row is named later."""
        rows = [{"email": "a@x", "name": str(number)} for number in range(1_000)]
        found: list[Any] = [*find_duplicates(POLICY, rows).values()]
        assert len(found) == 1_000
        assert all(each.rows is found[0].rows for each in found)
        assert found[7].others == (*range(7), *range(8, 1_000))

        _, *later = book().upsert_many(
            rows, on_duplicates="refuse_later", on_refused="collect"
        )
        assert {each.others for each in later} == {(0,)}  # type: ignore[union-attr]

    @pytest.mark.parametrize("on_duplicates", ["refuse_later", "refuse_all"])
    def test_an_atomic_batch_ends_at_its_first_refusal(
        self, on_duplicates: Any
    ) -> None:
        """Rows that cannot be read come first, then the refusals in order."""
        made = book(POLICY, {"email": "a@x", "phone": ONE})
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
                made.upsert_many(patches, on_duplicates=on_duplicates, atomic=True)
            assert (caught.value.row, caught.value.outcomes) == (row, ())
            assert len(made) == 1

    def test_who_is_known_does_not_matter(self) -> None:
        """It is about what the patches carry, not whom they would find."""
        made = book(POLICY, {"email": "a@x", "phone": ONE})
        results = made.upsert_many(
            [{"email": "a@x"}, {"phone": ONE}], on_duplicates="refuse_all"
        )

        assert [each.result for each in results] == ["unchanged", "unchanged"]

    def test_only_keys_of_the_strategy_count(self) -> None:
        """A key that nobody is looked for by tells nobody apart."""
        policy = Policy(first_match("email"), LINES)
        rows: list[dict[str, Any]] = [
            {"email": "a@x", "phone": ONE},
            {"email": "b@x", "phone": ONE},
        ]

        assert find_duplicates(policy, rows) == {}

    def test_keys_are_apart(self) -> None:
        """The same text is not the same form of another key."""
        lines = {name: field(key=normalize.exact) for name in ("a", "b")}

        policy = Policy(first_match("a", "b"), lines)
        assert find_duplicates(policy, [{"a": "1"}, {"b": "1"}]) == {}

    def test_keys_of_several_fields_and_of_lists(self) -> None:
        """Whatever forms the strategy looks for."""
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

    def test_what_identifies_nobody_is_no_repeat(self) -> None:
        """Null, blank and blocked are no keys."""
        policy = Policy(
            first_match("email"), blocking(LINES, {"email": ("noreply@*",)})
        )
        rows = [{"email": e} for e in ("noreply@x", "noreply@x", "", "", None, None)]

        assert find_duplicates(policy, rows) == {}

    @pytest.mark.parametrize("on_duplicates", ["refuse_later", "refuse_all"])
    def test_under_raise_what_came_before_stays(self, on_duplicates: Any) -> None:
        """The first row that is refused ends the batch at its turn."""
        made = book()
        with pytest.raises(errors.DuplicatePatch) as no:
            made.upsert_many(
                [{"email": "c@x"}, {"email": "a@x"}, {"email": "A@x"}],
                on_duplicates=on_duplicates,
            )

        assert no.value.row == (2 if on_duplicates == "refuse_later" else 1)
        assert len(made) == (2 if on_duplicates == "refuse_later" else 1)

    @pytest.mark.parametrize("on_duplicates", ["refuse_later", "refuse_all"])
    def test_all_or_nothing(self, on_duplicates: Any) -> None:
        """A repeat refuses an atomic batch before anything is decided."""
        made = book()
        rows = [{"email": "c@x"}, {"email": "a@x"}, {"email": "A@x"}]
        with pytest.raises(errors.DuplicatePatch) as no:
            made.upsert_many(rows, on_duplicates=on_duplicates, atomic=True)
        assert no.value.row == (2 if on_duplicates == "refuse_later" else 1)
        assert len(made) == 0

        assert (
            len(made.upsert_many(rows[:2], on_duplicates=on_duplicates, atomic=True))
            == 2
        )

    @pytest.mark.parametrize("atomic", [False, True])
    def test_a_choice_that_is_none(self, *, atomic: bool) -> None:
        """It is a fault of the caller's code, and nothing is written."""
        made = book()
        call: Any = made.upsert_many
        words = (
            "on_duplicates: must be 'fold', 'refuse_later' or 'refuse_all', not 'skip'"
        )
        with pytest.raises(ValueError, match=words):
            call([{"email": "a@x"}], on_duplicates="skip", atomic=atomic)
        with pytest.raises(
            ValueError, match="on_refused: must be 'raise' or 'collect', not 'skip'"
        ):
            call([{"email": "a@x"}], on_duplicates="refuse_all", on_refused="skip")

        assert len(made) == 0
