"""Drives a book and the oracle side by side, under a policy drawn at the start."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from tests.oracle.keys import composite, forms, key_named
from tests.oracle.keys import held as naive_held
from tests.oracle.oracle import Oracle
from tests.oracle.values import written
from tests.strategies import (
    FAULTS,
    FUSE,
    KEYS,
    Boom,
    Host,
    apart,
    overrides,
    patches,
    policies,
    scopes,
    values,
)
from upsertcore import ContactBook, Outcome, Policy, errors, first_match, merge_all
from upsertcore.values import thaw

pytestmark = pytest.mark.full

HOST_WORDS = "must be better"


def told(outcome: Any) -> str:
    """Write all that an outcome or a plan of the book tells."""
    before = outcome.before and outcome.before.to_dict()
    if isinstance(outcome, Outcome):
        after = {"contact": outcome.contact.to_dict()}
    else:
        clocks = dict(outcome.clocks)
        after = {"after": thaw(outcome.after), "scope": outcome.scope, "clocks": clocks}
    withheld = [(w.field, thaw(w.value), w.holder, w.key) for w in outcome.withheld]
    rest = {
        "result": outcome.result,
        "before": before,
        "matched_by": outcome.matched_by,
        "withheld": withheld,
        "ignored": dict(outcome.ignored),
        "also_matched": outcome.also_matched,
        "merged": [contact.to_dict() for contact in outcome.merged],
    }
    return written(after | rest)


def expected(answer: dict[str, Any]) -> str:
    """Write the same of an answer of the oracle."""
    done = "contact" in answer
    gone = {"sent", "asked", "claims", "judged", "draft"}
    gone |= {"after", "scope"} if done else set()
    clocks = {} if done else {"clocks": answer["draft"]["clocks"]}
    return written(clocks | {k: v for k, v in answer.items() if k not in gone})


def refusal(error: Exception) -> str:
    """Write an exception: its class and its attributes, but for the library's words."""
    parts = dict(vars(error))
    for name in ("__notes__", "outcomes", "rows"):
        parts.pop(name, None)
    if not isinstance(error, errors.Refused):
        parts.pop("row", None)
    if isinstance(error, errors.DuplicatePatch):
        parts["others"] = error.others
    if parts.get("reason") != HOST_WORDS:
        parts.pop("reason", None)
    return written([type(error).__name__, thaw_all(parts)])


def thaw_all(parts: dict[str, Any]) -> dict[str, Any]:
    return {name: thaw(value) for name, value in parts.items()}


def tried(call: Callable[[], Any], write: Callable[[Any], str]) -> tuple[str, Any]:
    """Make a call; give what it says, written down, and its answer."""
    try:
        answer = call()
    except (errors.UpsertError, ValueError, Boom) as error:
        return refusal(error), error
    return write(answer), answer


class Upserts(RuleBasedStateMachine):
    """Whatever is called, the book and the oracle say and hold the same."""

    plans = Bundle("plans")

    def __init__(self) -> None:
        super().__init__()
        FUSE.light("", 0)

    @initialize(policy=policies())
    def start(self, policy: Policy) -> None:
        self.begin(policy)

    def begin(self, policy: Policy) -> None:
        note(describe(policy))
        self.policy = policy
        self.real, self.naive = Host(), Host()
        self.book = ContactBook(
            policy, ids=self.real.ids, clock=self.real.clock, retain_changes=None
        )
        self.loaded = False
        self.known_calls: dict[str, tuple[Any, str, Any, str]] = {}
        self.answers: dict[tuple[str, str], Outcome] = {}
        self.oracle = Oracle(policy, self.naive.ids, self.naive.clock)

    def both(
        self,
        call: Callable[[], Any],
        twin: Callable[[], Any],
        write: Callable[[Any], str] = told,
        write_twin: Callable[[Any], str] = expected,
    ) -> tuple[Any, Any]:
        """Make a call on each side, and compare what they say."""
        self.real.now += timedelta(days=1)
        self.naive.now = self.real.now
        before = self.book.dump()
        said, answer = tried(call, write)
        FUSE.light("", 0)
        if isinstance(answer, Boom):
            assert before == self.book.dump()
            self.naive.number = self.real.number
            return answer, answer
        twin_said, twin_answer = tried(twin, write_twin)
        if twin_said != said:
            note(f"{written(before)}\nbook:   {said}\noracle: {twin_said}")
        assert twin_said == said
        if isinstance(answer, Exception):
            assert before == self.book.dump()
        self.real.number = self.naive.number = max(self.real.number, self.naive.number)
        return answer, twin_answer

    def known_ids(self) -> list[tuple[str, str]]:
        """List the ids that lead to a contact, absorbed ones too, with their scopes."""
        return [
            (row["scope"], id)
            for row in self.oracle.rows
            for id in (row["id"], *row.get("merged_ids", []))
        ]

    @rule(patch=patches(), scope=scopes(), how=overrides())
    def upsert(self, patch: Any, scope: str, how: dict[str, Any]) -> None:
        answer, _ = self.both(
            lambda: self.book.upsert(patch, scope=scope, **how),
            lambda: self.oracle.upsert(patch, scope=scope, **how),
        )
        if isinstance(answer, Outcome) and answer.unchanged:
            assert answer.before is answer.contact

    @rule(patch=patches(), scope=scopes(), version=st.integers(1, 3))
    def upsert_at_version(self, patch: Any, scope: str, version: int) -> None:
        self.upsert(patch, scope, {"if_version": version})

    @rule(patch=patches(), scope=scopes(), how=overrides())
    def upsert_what_several_hold(self, patch: Any, scope: str, how: Any) -> None:
        known = {name: patch[name] for name in patch if name in KEYS}
        for part in apart(known):
            self.create({"name": "Ada", "at": 1} | part, scope)
        self.upsert(patch, scope, how)

    @rule(patch=patches(), scope=scopes())
    def create(self, patch: dict[str, Any], scope: str) -> None:
        self.both(
            lambda: self.book.create(patch, scope=scope),
            lambda: self.oracle.upsert(patch, scope=scope, look=False),
        )

    @rule(
        patch=patches(),
        scope=scopes(),
        how=overrides(),
        key=st.sampled_from(("k-1", "k-2")),
        verb=st.sampled_from(("upsert", "upsert", "create")),
    )
    def call_once(self, patch: Any, scope: str, how: Any, key: str, verb: str) -> None:
        """A call with a key is made once, and its key is one of its scope."""
        how = how if verb == "upsert" else {}
        twin_how = how if verb == "upsert" else {"look": False}
        answer, _ = self.both(
            lambda: getattr(self.book, verb)(
                patch, scope=scope, idempotency_key=key, **how
            ),
            lambda: self.oracle.once(key, patch, scope, **twin_how),
        )
        if isinstance(answer, Outcome):
            first = self.answers.setdefault((scope, key), answer)
            assert answer.replayed == (first is not answer)
            assert answer.contact is first.contact
            self.known_calls[key] = patch, scope, how, verb

    @precondition(lambda self: self.known_calls)
    @rule(data=st.data(), other=scopes())
    def call_again(self, data: st.DataObject, other: str) -> None:
        """A retry, mostly the same, comes whatever has happened since."""
        key = data.draw(st.sampled_from([*self.known_calls]))
        patch, scope, how, verb = self.known_calls[key]
        scope = data.draw(st.sampled_from((scope, scope, other)))
        self.call_once(patch, scope, how, key, verb)

    @precondition(lambda self: self.oracle.rows)
    @rule(data=st.data())
    def purge(self, data: st.DataObject) -> None:
        """Nothing tells of who is purged, and the others can be replayed."""
        scope, id = data.draw(st.sampled_from(self.known_ids()))
        before = self.book.changes_since()
        ids, calls = self.oracle.purge(id, scope)
        purged = self.book.purge(id, scope=scope)
        kept = self.oracle.calls.keys() & self.answers.keys()
        self.answers = {call: self.answers[call] for call in kept}
        after = self.book.changes_since()
        pairs = zip(before, after, strict=True)
        assert purged == calls + sum(a.outcome is not b.outcome for a, b in pairs)
        assert not any((scope, each) in self.book for each in ids)
        for outcome in [each.outcome for each in after if each.outcome]:
            whole = [c for c in (outcome.contact, outcome.before) if c]
            named = [id for c in (*whole, *outcome.merged) for id in c.ids]
            named += [
                *outcome.also_matched,
                *[each.holder for each in outcome.withheld],
            ]
            assert ids.isdisjoint(named)
        self.replay()

    @precondition(lambda self: not self.loaded)
    @rule()
    def replay(self) -> None:
        """The feed has no gap, and done again it gives the same book."""
        if self.loaded:
            return
        entries = self.book.changes_since()
        assert [*range(1, len(entries) + 1)] == [each.number for each in entries]
        twin = ContactBook.from_changes(self.policy, entries)
        twin._index.check()
        assert written(self.book.dump()) == written(twin.dump())

    @rule(
        patch=patches(),
        scope=scopes(),
        kind=st.sampled_from(FAULTS),
        calls=st.integers(1, 4),
    )
    def upsert_with_a_fault(
        self, patch: Any, scope: str, kind: str, calls: int
    ) -> None:
        FUSE.light(kind, calls)
        self.upsert(patch, scope, {})

    @rule(target=plans, patch=patches(), scope=scopes(), how=overrides())
    def plan(self, patch: dict[str, Any], scope: str, how: Any) -> Any:
        answer = self.both(
            lambda: self.book.plan(patch, scope=scope, **how),
            lambda: self.oracle.plan(patch, scope=scope, **how),
        )
        return multiple() if isinstance(answer[0], Exception) else answer

    @rule(both=plans)
    def apply(self, both: tuple[Any, Any]) -> None:
        plan, twin = both
        self.both(lambda: self.book.apply(plan), lambda: self.oracle.apply(twin))

    @rule(patch=patches(), between=patches(), scope=scopes())
    def apply_overtaken(self, patch: Any, between: Any, scope: str) -> None:
        keys = {name: value for name, value in patch.items() if name in KEYS}
        self.upsert(keys, scope, {})
        plan, twin = self.both(
            lambda: self.book.plan(patch, scope=scope),
            lambda: self.oracle.plan(patch, scope=scope),
        )
        self.upsert({**between, **keys}, scope, {})
        if not isinstance(plan, Exception):
            self.apply((plan, twin))

    @rule(both=consumes(plans), calls=st.integers(1, 2), kind=st.sampled_from(FAULTS))
    def apply_with_a_fault(self, both: Any, calls: int, kind: str) -> None:
        FUSE.light(kind, calls)
        self.apply(both)

    @rule(
        many=st.lists(patches(), min_size=2, max_size=6),
        scope=scopes(),
        go_on=st.booleans(),
    )
    def upsert_many(self, many: list[Any], scope: str, *, go_on: bool) -> None:
        seen: list[str] = []
        how: Any = "collect" if go_on else "raise"

        def one(patch: dict[str, Any]) -> tuple[str, Any]:
            return tried(lambda: self.oracle.upsert(patch, scope=scope), expected)

        def fold() -> list[str]:
            for row, patch in enumerate(many):
                said, answer = one(patch)
                if isinstance(answer, errors.Refused):
                    answer.row, said = row, ""
                if isinstance(answer, Exception) and not go_on:
                    raise answer
                seen.append(said or refusal(answer))
            return seen

        before = self.book.dump()
        self.real.now += timedelta(days=1)
        self.naive.now = self.real.now
        said, _ = tried(
            lambda: self.book.upsert_many(many, scope=scope, on_refused=how),
            lambda answers: written(
                [refusal(a) if isinstance(a, Exception) else told(a) for a in answers]
            ),
        )
        twin_said, _ = tried(fold, written)
        assert twin_said == said
        assert before == self.book.dump() or seen
        self.real.number = self.naive.number = max(self.real.number, self.naive.number)

    @rule(data=st.data(), verb=st.sampled_from(("get", "delete")))
    def get_or_delete(self, data: st.DataObject, verb: str) -> None:
        own, id = data.draw(st.sampled_from([*self.known_ids(), ("", "c-0")]))
        scope = data.draw(st.sampled_from((own, own, own, "", "east")))
        self.both(
            lambda: getattr(self.book, verb)(id, scope=scope),
            lambda: getattr(self.oracle, verb)(id, scope),
            lambda contact: written(contact.to_dict()),
            written,
        )
        known = self.known_ids()
        for scope in ("", "east"):
            assert ((scope, id) in self.book) == ((scope, id) in known)

    @rule(data=st.data(), scope=scopes())
    def find(self, data: st.DataObject, scope: str) -> None:
        name = data.draw(st.sampled_from([key.name for key in self.policy.all_keys]))
        key = key_named(self.policy, name)
        parts = {
            name: data.draw(values(name).filter(lambda v: not isinstance(v, list)))
            for name in (key.fields if composite(key) else key.fields[:1])
        }
        form = (*forms(self.policy, key, parts), None)[0]
        held = [] if form is None else self.oracle.held(name, form, scope)
        value = parts if composite(key) else parts[key.fields[0]]

        found = self.book.find(name, value, scope=scope)

        assert held == [contact.id for contact in found]
        assert [self.book.get(id, scope=scope) for id in held] == list(found)

    @rule()
    def dump_and_load(self) -> None:
        rows = json.loads(json.dumps(self.book.dump()))
        try:
            book = ContactBook.load(
                self.policy,
                rows,
                ids=self.real.ids,
                clock=self.real.clock,
                retain_changes=None,
            )
        except errors.InvalidRows as error:
            kinds = {type(each) for each in error.refusals}
            allowed = self.policy.on_key_in_use == "allow"
            if not allowed or kinds != {errors.KeyInUse}:
                raise
        else:
            assert written(self.book.dump()) == written(book.dump())
            assert list(self.book) == list(book)
            self.book, self.loaded = book, True
            self.oracle.calls, self.answers = {}, {}
            gone = [id for row in rows for id in row.get("merged_ids", [])]
            self.oracle.born = [*[row["id"] for row in rows], *gone]
            self.oracle.forgot = frozenset(gone)

    @invariant()
    @precondition(lambda self: hasattr(self, "book"))
    def same_state(self) -> None:
        self.book._index.check()
        rows = [{"place": n, **row} for n, row in enumerate(self.oracle.rows)]
        assert written(rows) == written(self.book.dump())
        assert len(self.oracle.rows) == len(self.book)
        for row in self.oracle.rows:
            contact = self.book.get(row["id"], scope=row["scope"])
            held = self.book._index.get_with_forms(row["id"])[1]
            for key, found in zip(self.policy.all_keys, held, strict=True):
                assert naive_held(self.policy, key, row) == list(found)
            for old in contact.merged_ids:
                assert self.book.get(old, scope=row["scope"]) is contact


def describe(policy: Policy) -> str:
    """Show a policy as one reads it."""
    rows = [f"  {name}: {line}" for name, line in policy.fields.items()]
    keys = [f"  {key}" for key in policy.all_keys]
    rest = {name: getattr(policy, name) for name in WORDS}
    return "\n".join([repr(policy.match), *rows, *keys, repr(rest)])


WORDS = (
    *("extra_fields", "on_ambiguous", "on_key_in_use", "on_no_key"),
    *("on_found", "on_not_found", "on_blocked", "on_limit", "on_merge", "on_deleted"),
)


class Merges(Upserts):
    """The same where all contacts that are hit become one."""

    @initialize(policy=policies(wanted=merge_all))
    def start(self, policy: Policy) -> None:
        self.begin(policy)


class Guards(Upserts):
    """The same where the first key that finds decides, mostly under a guard."""

    @initialize(policy=policies(wanted=first_match))
    def start(self, policy: Policy) -> None:
        self.begin(policy)


TestUpserts, TestMerges, TestGuards = Upserts.TestCase, Merges.TestCase, Guards.TestCase
TestUpserts.settings = TestMerges.settings = TestGuards.settings = settings(
    max_examples=max(250, settings().max_examples), stateful_step_count=25
)
