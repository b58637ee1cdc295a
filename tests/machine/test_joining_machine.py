"""Merges, undoing, deduplication and batches, driven beside the oracle."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, multiple, precondition, rule

from tests.machine.test_upsert_machine import (
    UpsertMachine,
    answer_text,
    outcome_text,
    refusal_text,
    try_call,
)
from tests.oracle.compare import compare, library_differences
from tests.oracle.values import as_json
from tests.strategies import (
    FAULTS,
    FUSE,
    KEYS,
    Boom,
    batches,
    one_field_each,
    overrides,
    patches,
    policies,
    scopes,
)
from upsertcore import Outcome, Policy

pytestmark = pytest.mark.full

ON_REFUSED = ("raise", "raise", "collect")
ON_DUPLICATES = ("fold", "fold", "refuse_later", "refuse_all")


def outcome_texts(answers: list[Any]) -> str:
    """Write the answers of the book to several calls."""
    return as_json(
        [
            refusal_text(a) if isinstance(a, Exception) else outcome_text(a)
            for a in answers
        ]
    )


def answer_texts(answers: list[Any]) -> str:
    """Write the answers of the oracle to several calls."""
    return as_json(
        [
            refusal_text(a) if isinstance(a, Exception) else answer_text(a)
            for a in answers
        ]
    )


class JoiningMachine(UpsertMachine):
    """The same with merges by ids, undoing, deduplication and batches."""

    @initialize(
        policy=policies(own_ids=True),
        known=st.lists(st.tuples(batches(), scopes()), max_size=3),
    )
    def start(self, policy: Policy, known: Any = ()) -> None:
        self.applied: list[tuple[Outcome, Any]] = []
        self.begin(policy)
        for batch, scope in known:
            for patch in batch[:2]:
                self.create({"name": "Ada", "at": 1} | patch, scope)

    def call_both(
        self,
        call: Callable[[], Any],
        twin: Callable[[], Any],
        write: Callable[[Any], str] = outcome_text,
        write_twin: Callable[[Any], str] = answer_text,
    ) -> tuple[Any, Any]:
        """Compare the answers, and keep the outcome so that it can be undone."""
        answers = super().call_both(call, twin, write, write_twin)
        if isinstance(answers[0], Outcome) and answers[0].result != "undone":
            self.applied.append(answers)
        return answers

    def ids(self) -> list[str]:
        """List the ids that lead to a contact, absorbed ones included."""
        return [id for _, id in self.known_ids()]

    def draw_merge(self, data: st.DataObject, on_itself: Any) -> tuple[Any, Any]:
        """Draw the ids of a merge, mostly of one scope, and its options."""
        scope, first = data.draw(st.sampled_from([*self.known_ids() * 9, ("", "c-0")]))
        scope = data.draw(st.sampled_from([*[scope] * 9, "", "east"]))
        near = [r["id"] for r in self.oracle.rows if r["scope"] == scope]
        near = [id for id in near if id != first] * 9
        others = data.draw(
            st.lists(st.sampled_from([*near, *self.ids(), "c-0"]), max_size=3)
        )
        how = {"scope": scope, "on_itself": on_itself}
        patch = data.draw(st.none() | patches())
        if patch is not None:
            rules = data.draw(overrides()).get("rules")
            how |= {"patch": patch, "rules": rules}
        return (first, *others), how

    @precondition(lambda self: len(self.oracle.rows) > 1)
    @rule(
        data=st.data(),
        on_itself=st.sampled_from(("refuse", "ignore", "ignore")),
        version=st.sampled_from((None, None, None, 1, 2)),
    )
    def merge(
        self, data: st.DataObject, on_itself: Any, version: int | None = None
    ) -> None:
        ids, how = self.draw_merge(data, on_itself)
        how["if_version"] = version
        self.call_both(
            lambda: self.book.merge(*ids, **how), lambda: self.oracle.merge(*ids, **how)
        )

    @precondition(lambda self: len(self.oracle.rows) > 1)
    @rule(target=UpsertMachine.plans, data=st.data())
    def plan_merge(self, data: st.DataObject) -> Any:
        ids, how = self.draw_merge(data, "ignore")
        answer = self.call_both(
            lambda: self.book.plan_merge(*ids, **how),
            lambda: self.oracle.plan_merge(*ids, **how),
        )
        return multiple() if isinstance(answer[0], Exception) else answer

    @rule(patch=patches(), scope=scopes(), data=st.data())
    def merge_contacts_with_common_keys(
        self, patch: Any, scope: str, data: Any
    ) -> None:
        known = {name: patch[name] for name in patch if name in KEYS}
        for part in one_field_each(known):
            self.create({"name": "Ada", "at": 1} | part, scope)
        self.merge(data, "ignore")

    @precondition(lambda self: len(self.oracle.rows) > 1)
    @rule(calls=st.integers(1, 3), kind=st.sampled_from(FAULTS), data=st.data())
    def merge_with_a_fault(self, calls: int, kind: str, data: Any) -> None:
        FUSE.light(kind, calls)
        self.merge(data, "ignore")
        FUSE.light("", 0)

    @precondition(lambda self: self.applied)
    @rule(data=st.data(), packed=st.booleans())
    def undo(self, data: st.DataObject, *, packed: bool) -> None:
        """Undo any earlier call."""
        places = len(self.applied)
        place = data.draw(st.integers(1, min(places, 3)) | st.integers(1, places))
        outcome, twin = self.applied[-place]
        if packed:
            outcome = pickle.loads(pickle.dumps(outcome))  # noqa: S301 - made here
        answer, _ = self.call_both(
            lambda: self.book.undo(outcome), lambda: self.oracle.undo(twin)
        )
        if outcome.unchanged:
            assert answer is outcome
        elif packed and not isinstance(answer, Exception):
            del self.applied[-place]

    @precondition(lambda self: self.applied)
    @rule(number=st.integers(1, 8))
    def undo_in_reverse_order(self, number: int) -> None:
        for outcome, twin in [*self.applied[: -number - 1 : -1]]:
            self.call_both(
                lambda outcome=outcome: self.book.undo(outcome),  # type: ignore[misc]
                lambda twin=twin: self.oracle.undo(twin),  # type: ignore[misc]
            )

    @precondition(lambda self: any(pair.before for pair, _ in self.applied))
    @rule(data=st.data())
    def undo_keys_that_another_has_taken(self, data: st.DataObject) -> None:
        """A key that another contact holds by now stays there."""
        old = [pair for pair in self.applied if pair[0].before][-3:]
        outcome, twin = data.draw(st.sampled_from(old))
        for before in (outcome.before, *outcome.merged):
            row = before.to_dict() if before else {}
            self.create(row["fields"], row["scope"])
        self.call_both(lambda: self.book.undo(outcome), lambda: self.oracle.undo(twin))

    @precondition(lambda self: self.applied)
    @rule(patch=patches(), scope=scopes(), between=patches())
    def apply_after_undo(self, patch: Any, scope: str, between: Any) -> None:
        plan, twin = self.call_both(
            lambda: self.book.plan(patch, scope=scope),
            lambda: self.oracle.plan(patch, scope=scope),
        )
        self.undo_in_reverse_order(1)
        self.upsert(between, scope, {})
        if not isinstance(plan, Exception):
            self.apply((plan, twin))

    @rule(
        data=st.data(),
        scope=st.sampled_from((None, None, "", "east")),
        keep=st.sampled_from(("oldest", "newest")),
        on_refused=st.sampled_from(ON_REFUSED),
        calls=st.sampled_from((0, 0, 0, 1, 2)),
    )
    def dedupe(
        self, data: Any, scope: Any, keep: Any, on_refused: Any, calls: int
    ) -> None:
        names = [key.name for key in self.policy.all_keys]
        keys = data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True))

        groups = self.book.duplicates(*keys, scope=scope)

        assert as_json(self.oracle.duplicates(*keys, scope=scope)) == as_json(
            [[contact.to_dict() for contact in group] for group in groups]
        )
        how = {"scope": scope, "keep": keep, "on_refused": on_refused}
        if calls == 0:
            self.many(
                lambda: self.book.dedupe(*keys, **how),
                lambda: self.oracle.dedupe(*keys, **how),
            )

    @rule(
        data=st.data(),
        scope=st.sampled_from((None, None, "", "east")),
        blank=st.booleans(),
    )
    def report_duplicates(self, data: Any, scope: Any, *, blank: bool) -> None:
        """Of the book, or of one contact, whose id may be that of a merged one."""
        names = [key.name for key in self.policy.all_keys]
        keys = data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
        owners = [("", None), ("", "c-0"), *self.known_ids() * 3]
        at, of = data.draw(st.sampled_from(owners))
        how = {"scope": scope if of is None else at, "of": of, "blank": blank}
        self.call_both(
            lambda: self.book.duplicates(*keys, **how),
            lambda: self.oracle.duplicates(*keys, **how),
            lambda groups: as_json([[one.to_dict() for one in g] for g in groups]),
            as_json,
        )

    @rule(data=st.data(), scope=scopes(), limit=st.sampled_from((None, 0, 1, 2)))
    def scan(self, data: Any, scope: str, limit: int | None) -> None:
        """For values that a contact holds, or for absent ones."""
        rows: list[Any] = [{"fields": {}}, *self.oracle.rows]
        row = data.draw(st.sampled_from(rows))["fields"]
        names = st.sampled_from([*self.policy.fields])
        fields = {name: row.get(name) for name in data.draw(st.sets(names, max_size=2))}
        after = data.draw(st.sampled_from([None, "c-0", *self.ids() * 2]))
        self.call_both(
            lambda: self.book.scan(fields, scope=scope, after=after, limit=limit),
            lambda: self.oracle.scan(fields, scope, after, limit),
            lambda found: as_json([contact.to_dict() for contact in found]),
            as_json,
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
        """Compare the answers to the same patches under a similar policy."""
        allowed = on_found == "update" or self.policy.on_not_found == "create"
        other = evolve(
            self.policy,
            on_ambiguous=on_ambiguous,
            on_found=on_found if allowed else self.policy.on_found,
        )
        before = self.book.dump()

        comparison = self.book.compare(other, many, scope=scope)

        assert before == self.book.dump()
        assert comparison.rows == len(many)
        assert compare(self.oracle, other, many, scope) == library_differences(
            comparison.differences
        )

    @rule(
        many=batches(),
        ids=st.lists(st.sampled_from((None, "c-1", "c-2", "c-3", "x-1")), min_size=5),
        scope=scopes(),
        mode=st.sampled_from(("raise", "collect", "atomic", "atomic", "atomic")),
        on_duplicates=st.sampled_from(ON_DUPLICATES),
        kind=st.sampled_from(("", "", *FAULTS)),
        calls=st.integers(1, 6),
    )
    def upsert_batch(
        self,
        many: list[Any],
        ids: list[Any],
        scope: str,
        mode: str,
        on_duplicates: Any,
        kind: str,
        calls: int,
    ) -> None:
        options: dict[str, Any] = {"scope": scope, "on_duplicates": on_duplicates}
        if self.policy.id_field:
            pairs = zip(many, ids, strict=False)
            many = [patch | ({"id": id} if id else {}) for patch, id in pairs]
        if mode == "atomic":
            FUSE.light(kind, calls)
            options["atomic"] = True
        else:
            options["on_refused"] = mode
        self.many(
            lambda: [*self.book.upsert_many(many, **options)],
            lambda: self.oracle.upsert_many(many, **options),
            atomic=mode == "atomic",
        )

    def many(
        self,
        call: Callable[[], list[Any]],
        twin: Callable[[], list[Any]],
        *,
        atomic: bool = False,
    ) -> None:
        """Make several calls on each side; if *atomic*, a refusal undoes them all."""
        self.real.now += timedelta(days=1)
        self.naive.now = self.real.now
        before = self.book.dump()
        text, answer = try_call(call, outcome_texts)
        FUSE.light("", 0)
        if isinstance(answer, Boom):
            assert before == self.book.dump()
        else:
            twin_text, twin_answer = try_call(twin, answer_texts)
            if twin_text != text:
                note(f"{as_json(before)}\nbook:   {text}\noracle: {twin_text}")
            assert twin_text == text
            if isinstance(answer, list):
                pairs = zip(answer, twin_answer, strict=True)
                self.applied += [pair for pair in pairs if isinstance(pair[0], Outcome)]
            assert isinstance(answer, list) or not atomic or before == self.book.dump()
        self.real.number = self.naive.number = max(self.real.number, self.naive.number)

    @rule(data=st.data(), patch=patches(), scope=scopes())
    def create_with_an_old_id(self, data: Any, patch: Any, scope: str) -> None:
        """The id of a contact is given to no other; that of a removed one may be."""
        number = self.real.number
        old = data.draw(st.integers(0, max(number - 1, 0)))
        self.real.number = self.naive.number = old
        self.call_both(
            lambda: self.book.create(patch, scope=scope),
            lambda: self.oracle.upsert(patch, scope=scope, look=False),
        )
        self.real.number = self.naive.number = max(number, self.real.number)


TestJoiningMachine = JoiningMachine.TestCase
TestJoiningMachine.settings = settings(
    max_examples=max(250, settings().max_examples), stateful_step_count=25
)
