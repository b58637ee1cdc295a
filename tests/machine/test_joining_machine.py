"""Drives the verbs on contacts among themselves, between all the others."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.machine.test_upsert_machine import (
    Upserts,
    expected,
    refusal,
    told,
    tried,
)
from tests.oracle.compare import compare
from tests.oracle.compare import told as told_apart
from tests.oracle.values import written
from tests.strategies import (
    FAULTS,
    FUSE,
    KEYS,
    Boom,
    apart,
    batches,
    patches,
    policies,
    scopes,
)
from upsertcore import Outcome, Policy

pytestmark = pytest.mark.full

HOWS = ("raise", "raise", "collect")
REPEATS = ("fold", "fold", "refuse_later", "refuse_all")


def all_told(answers: list[Any]) -> str:
    """Write what the book says to many calls."""
    return written(
        [refusal(a) if isinstance(a, Exception) else told(a) for a in answers]
    )


def all_expected(answers: list[Any]) -> str:
    """Write the same of the answers of the oracle."""
    return written(
        [refusal(a) if isinstance(a, Exception) else expected(a) for a in answers]
    )


class Joins(Upserts):
    """The same where contacts are merged by their ids, and calls are undone."""

    @initialize(
        policy=policies(), known=st.lists(st.tuples(batches(), scopes()), max_size=3)
    )
    def start(self, policy: Policy, known: Any = ()) -> None:
        self.done: list[tuple[Outcome, Any]] = []
        self.begin(policy)
        for batch, scope in known:
            for patch in batch[:2]:
                self.create({"name": "Ada", "at": 1} | patch, scope)

    def both(
        self,
        call: Callable[[], Any],
        twin: Callable[[], Any],
        write: Callable[[Any], str] = told,
        write_twin: Callable[[Any], str] = expected,
    ) -> tuple[Any, Any]:
        """Remember what is done, so that it may be undone."""
        answers = super().both(call, twin, write, write_twin)
        if isinstance(answers[0], Outcome) and answers[0].result != "undone":
            self.done.append(answers)
        return answers

    def ids(self) -> list[str]:
        """List the ids that lead to a contact, those of absorbed ones among them."""
        return [id for _, id in self.known_ids()]

    @precondition(lambda self: len(self.oracle.rows) > 1)
    @rule(data=st.data(), on_itself=st.sampled_from(("refuse", "ignore", "ignore")))
    def merge(self, data: st.DataObject, on_itself: Any) -> None:
        scope, first = data.draw(st.sampled_from([*self.known_ids() * 9, ("", "c-0")]))
        scope = data.draw(st.sampled_from([*[scope] * 9, "", "east"]))
        near = [r["id"] for r in self.oracle.rows if r["scope"] == scope]
        near = [id for id in near if id != first] * 9
        others = data.draw(
            st.lists(st.sampled_from([*near, *self.ids(), "c-0"]), max_size=3)
        )
        self.both(
            lambda: self.book.merge(first, *others, scope=scope, on_itself=on_itself),
            lambda: self.oracle.merge(first, *others, scope=scope, on_itself=on_itself),
        )

    @rule(patch=patches(), scope=scopes(), data=st.data())
    def merge_who_are_alike(self, patch: Any, scope: str, data: Any) -> None:
        known = {name: patch[name] for name in patch if name in KEYS}
        for part in apart(known):
            self.create({"name": "Ada", "at": 1} | part, scope)
        self.merge(data, "ignore")

    @precondition(lambda self: len(self.oracle.rows) > 1)
    @rule(calls=st.integers(1, 3), kind=st.sampled_from(FAULTS), data=st.data())
    def merge_with_a_fault(self, calls: int, kind: str, data: Any) -> None:
        FUSE.light(kind, calls)
        self.merge(data, "ignore")
        FUSE.light("", 0)

    @precondition(lambda self: self.done)
    @rule(data=st.data(), packed=st.booleans())
    def undo(self, data: st.DataObject, *, packed: bool) -> None:
        """Undo anything that was done, what is long past among it."""
        places = len(self.done)
        place = data.draw(st.integers(1, min(places, 3)) | st.integers(1, places))
        outcome, twin = self.done[-place]
        if packed:
            outcome = pickle.loads(pickle.dumps(outcome))  # noqa: S301 - made here
        answer, _ = self.both(
            lambda: self.book.undo(outcome), lambda: self.oracle.undo(twin)
        )
        if outcome.unchanged:
            assert answer is outcome
        elif packed and not isinstance(answer, Exception):
            del self.done[-place]

    @precondition(lambda self: self.done)
    @rule(number=st.integers(1, 8))
    def undo_one_after_the_other(self, number: int) -> None:
        for outcome, twin in [*self.done[: -number - 1 : -1]]:
            self.both(
                lambda outcome=outcome: self.book.undo(outcome),  # type: ignore[misc]
                lambda twin=twin: self.oracle.undo(twin),  # type: ignore[misc]
            )

    @precondition(lambda self: any(each.before for each, _ in self.done))
    @rule(data=st.data())
    def undo_what_another_has_taken(self, data: st.DataObject) -> None:
        """What a contact held once may be another's now, and then stays there."""
        old = [each for each in self.done if each[0].before][-3:]
        outcome, twin = data.draw(st.sampled_from(old))
        for before in (outcome.before, *outcome.merged):
            row = before.to_dict() if before else {}
            self.create(row["fields"], row["scope"])
        self.both(lambda: self.book.undo(outcome), lambda: self.oracle.undo(twin))

    @precondition(lambda self: self.done)
    @rule(patch=patches(), scope=scopes(), between=patches())
    def apply_after_undo(self, patch: Any, scope: str, between: Any) -> None:
        plan, twin = self.both(
            lambda: self.book.plan(patch, scope=scope),
            lambda: self.oracle.plan(patch, scope=scope),
        )
        self.undo_one_after_the_other(1)
        self.upsert(between, scope, {})
        if not isinstance(plan, Exception):
            self.apply((plan, twin))

    @rule(
        data=st.data(),
        scope=st.sampled_from((None, None, "", "east")),
        go_on=st.sampled_from(HOWS),
        calls=st.sampled_from((0, 0, 0, 1, 2)),
    )
    def dedupe(self, data: Any, scope: Any, go_on: Any, calls: int) -> None:
        names = [key.name for key in self.policy.all_keys]
        keys = data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True))

        groups = self.book.duplicates(*keys, scope=scope)

        shown = [[contact.to_dict() for contact in group] for group in groups]
        assert written(self.oracle.duplicates(*keys, scope=scope)) == written(shown)
        if calls == 0:
            self.many(
                lambda: self.book.dedupe(*keys, scope=scope, on_refused=go_on),
                lambda: self.oracle.dedupe(*keys, scope=scope, on_refused=go_on),
            )

    @rule(
        many=batches(),
        scope=scopes(),
        on_ambiguous=st.sampled_from(("refuse", "oldest", "newest")),
        on_found=st.sampled_from(("update", "update", "refuse")),
    )
    def compare(
        self, many: list[Any], scope: str, on_ambiguous: Any, on_found: Any
    ) -> None:
        """The same patches under a policy that differs in a word or two."""
        may = on_found == "update" or self.policy.on_not_found == "create"
        other = evolve(
            self.policy,
            on_ambiguous=on_ambiguous,
            on_found=on_found if may else self.policy.on_found,
        )
        before = self.book.dump()

        said = self.book.compare(other, many, scope=scope)

        assert before == self.book.dump()
        assert said.rows == len(many)
        assert compare(self.oracle, other, many, scope) == told_apart(said.differences)

    @rule(
        many=batches(),
        scope=scopes(),
        how=st.sampled_from(("raise", "collect", "atomic", "atomic", "atomic")),
        on_duplicates=st.sampled_from(REPEATS),
        kind=st.sampled_from(("", "", *FAULTS)),
        calls=st.integers(1, 6),
    )
    def upsert_them(
        self,
        many: list[Any],
        scope: str,
        how: str,
        on_duplicates: Any,
        kind: str,
        calls: int,
    ) -> None:
        options: dict[str, Any] = {"scope": scope, "on_duplicates": on_duplicates}
        if how == "atomic":
            FUSE.light(kind, calls)
            options["atomic"] = True
        else:
            options["on_refused"] = how
        self.many(
            lambda: self.book.upsert_many(many, **options),
            lambda: self.oracle.upsert_many(many, **options),
            whole=how == "atomic",
        )

    def many(
        self,
        call: Callable[[], list[Any]],
        twin: Callable[[], list[Any]],
        *,
        whole: bool = False,
    ) -> None:
        """Make many calls on each side; if *whole*, a refusal undoes them all."""
        self.real.now += timedelta(days=1)
        self.naive.now = self.real.now
        before = self.book.dump()
        said, answer = tried(call, all_told)
        FUSE.light("", 0)
        if isinstance(answer, Boom):
            assert before == self.book.dump()
        else:
            twin_said, twin_answer = tried(twin, all_expected)
            assert twin_said == said
            if isinstance(answer, list):
                pairs = zip(answer, twin_answer, strict=True)
                self.done += [each for each in pairs if isinstance(each[0], Outcome)]
            assert isinstance(answer, list) or not whole or before == self.book.dump()
        self.real.number = self.naive.number = max(self.real.number, self.naive.number)

    @rule(data=st.data(), patch=patches(), scope=scopes())
    def create_with_an_old_id(self, data: Any, patch: Any, scope: str) -> None:
        """An id that a contact has is given to no other; that of a gone one may be."""
        number = self.real.number
        old = data.draw(st.integers(0, max(number - 1, 0)))
        self.real.number = self.naive.number = old
        self.both(
            lambda: self.book.create(patch, scope=scope),
            lambda: self.oracle.upsert(patch, scope=scope, look=False),
        )
        self.real.number = self.naive.number = max(number, self.real.number)


TestJoins = Joins.TestCase
TestJoins.settings = settings(
    max_examples=max(250, settings().max_examples), stateful_step_count=25
)
