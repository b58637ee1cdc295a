"""A book and the oracle, driven side by side under a drawn policy."""

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
from tests.oracle.keys import held_forms as naive_held
from tests.oracle.merging import check_overrides
from tests.oracle.oracle import Oracle
from tests.oracle.values import as_json
from tests.strategies import (
    FAULTS,
    FUSE,
    KEYS,
    Boom,
    Host,
    one_field_each,
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


def outcome_text(outcome: Any) -> str:
    """Write every part of an outcome or a plan of the book."""
    before = outcome.before and outcome.before.to_dict()
    if isinstance(outcome, Outcome):
        after = {"contact": outcome.contact.to_dict()}
    else:
        clocks = dict(outcome.clocks)
        after = {"after": thaw(outcome.after), "scope": outcome.scope, "clocks": clocks}
        after["new_id"] = outcome.new_id
    withheld = [(w.field, thaw(w.value), w.holder, w.key) for w in outcome.withheld]
    others = {
        "result": outcome.result,
        "before": before,
        "matched_by": outcome.matched_by,
        "withheld": withheld,
        "ignored": dict(outcome.ignored),
        "also_matched": outcome.also_matched,
        "merged": [contact.to_dict() for contact in outcome.merged],
    }
    return as_json(after | others)


def answer_text(answer: dict[str, Any]) -> str:
    """Write every part of an answer of the oracle."""
    applied = "contact" in answer
    omitted = {"sent", "asked", "claims", "judged", "draft"}
    omitted |= {"own", "argument", "id", "id_name", "visitor", "visits", "apart"}
    omitted |= {"after", "scope", "new_id"} if applied else set()
    clocks = {} if applied else {"clocks": answer["draft"]["clocks"]}
    return as_json(clocks | {k: v for k, v in answer.items() if k not in omitted})


def refusal_text(error: Exception) -> str:
    """Write the class and attributes of an exception, without the library's texts."""
    parts = dict(vars(error))
    for name in ("__notes__", "outcomes", "rows"):
        parts.pop(name, None)
    if not isinstance(error, errors.Refused):
        parts.pop("row", None)
    if isinstance(error, errors.DuplicatePatch):
        parts["others"] = error.others
    if parts.get("reason") != HOST_WORDS:
        parts.pop("reason", None)
    return as_json([type(error).__name__, thaw_all(parts)])


def thaw_all(parts: dict[str, Any]) -> dict[str, Any]:
    return {name: thaw(value) for name, value in parts.items()}


def try_call(call: Callable[[], Any], write: Callable[[Any], str]) -> tuple[str, Any]:
    """Make a call; return its answer as text and as it is."""
    try:
        answer = call()
    except (errors.UpsertError, ValueError, Boom) as error:
        return refusal_text(error), error
    return write(answer), answer


class UpsertMachine(RuleBasedStateMachine):
    """Compares the answers and the state of a book with those of the oracle."""

    plans = Bundle("plans")

    def __init__(self) -> None:
        super().__init__()
        FUSE.light("", 0)

    @initialize(policy=policies(own_ids=True))
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

    def call_both(
        self,
        call: Callable[[], Any],
        twin: Callable[[], Any],
        write: Callable[[Any], str] = outcome_text,
        write_twin: Callable[[Any], str] = answer_text,
    ) -> tuple[Any, Any]:
        """Make a call on each side, and compare the answers."""
        self.real.now += timedelta(days=1)
        self.naive.now = self.real.now
        before = self.book.dump()
        text, answer = try_call(call, write)
        FUSE.light("", 0)
        if isinstance(answer, Boom):
            assert before == self.book.dump()
            self.naive.number = self.real.number
            return answer, answer
        twin_text, twin_answer = try_call(twin, write_twin)
        if twin_text != text:
            note(f"{as_json(before)}\nbook:   {text}\noracle: {twin_text}")
        assert twin_text == text
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

    @rule(patch=patches(), scope=scopes(), options=overrides())
    def upsert(self, patch: Any, scope: str, options: dict[str, Any]) -> None:
        answer, _ = self.call_both(
            lambda: self.book.upsert(patch, scope=scope, **options),
            lambda: self.oracle.upsert(patch, scope=scope, **options),
        )
        if isinstance(answer, Outcome) and answer.unchanged:
            assert answer.before is answer.contact

    def draw_id(self, data: st.DataObject, scope: str) -> str:
        """Draw an id: of a contact, of one merged or of another scope, or unknown."""
        ids = [id for at, id in self.known_ids() if at == scope]
        others = [id for _, id in self.known_ids()]
        return data.draw(st.sampled_from([*ids * 3, *others, "x-1", "x-2"]))

    @rule(
        patch=patches(),
        scope=scopes(),
        options=overrides(),
        data=st.data(),
        verb=st.sampled_from(("upsert", "upsert", "create", "update", "plan")),
        version=st.sampled_from((None, None, None, None, 1, 2)),
    )
    def name_the_contact(
        self, patch: Any, scope: str, options: Any, data: Any, verb: str, version: Any
    ) -> None:
        """Name it by its own id: in the patch, as an argument, or by both."""
        id = self.draw_id(data, scope)
        how: dict[str, Any] = {"scope": scope}
        where = data.draw(st.integers(0, 3))
        if self.policy.id_field is not None and where:
            absent = st.sampled_from((*[id] * 12, None, " ", 7, "x-1"))
            patch = {**patch, "id": data.draw(absent)}
        if verb == "update" or self.policy.id_field is None or where != 1:
            how["id"] = id
        self.call_with_ids(patch, how, options, data, verb, version)

    @rule(
        patch=patches(),
        scope=scopes(),
        options=overrides(),
        data=st.data(),
        verb=st.sampled_from(("upsert", "upsert", "plan")),
        version=st.sampled_from((None, None, None, None, 1, 2)),
        new=st.booleans(),
    )
    def identify(
        self,
        patch: Any,
        scope: str,
        options: Any,
        data: Any,
        verb: str,
        version: Any,
        *,
        new: bool,
    ) -> None:
        """Name a visitor, mostly one that holds little, and at times its own id."""
        if new:
            fields = {name: patch[name] for name in patch if name not in KEYS}
            self.create({"name": "Ada", "at": 1} | fields, scope)
        visitor = self.draw_id(data, scope)
        if new:
            own = [id for at, id in self.known_ids() if at == scope]
            visitor = data.draw(st.sampled_from((visitor, *own[-1:])))
        visitor = data.draw(st.sampled_from((*[visitor] * 20, " ", 7)))
        options = {**options, "visitor": visitor}
        if data.draw(st.integers(0, 3)):
            self.call_with_ids(patch, {"scope": scope}, options, data, verb, version)
        else:
            self.name_the_contact(patch, scope, options, data, verb, version)

    def call_with_ids(
        self, patch: Any, how: Any, options: Any, data: Any, verb: str, version: Any
    ) -> None:
        """Call a verb with some ids, and at times once, or later."""
        if verb != "create":
            how |= options
            how["if_version"] = version
            if version is None or verb == "plan":
                del how["if_version"]
        twin_how = {**how, "look": False} if verb == "create" else how
        twin = {"create": "upsert"}.get(verb, verb)
        key = data.draw(st.sampled_from((None, None, None, "i-1", "i-2")))
        if verb == "upsert" and key:
            self.call_both(
                lambda: self.book.upsert(patch, idempotency_key=key, **how),
                lambda: self.oracle.upsert_once(key, patch, **how),
            )
            return
        if verb == "update":
            id = how.pop("id")
            self.call_both(
                lambda: self.book.update(id, patch, **how),
                lambda: self.oracle.update(id, patch, **how),
            )
            return
        answer = self.call_both(
            lambda: getattr(self.book, verb)(patch, **how),
            lambda: getattr(self.oracle, twin)(patch, **twin_how),
        )
        if verb == "plan" and not isinstance(answer[0], Exception):
            if data.draw(st.booleans()):
                self.name_the_contact(patch, how["scope"], {}, data, "create", None)
            self.apply(answer)

    @rule(patch=patches(), scope=scopes(), version=st.integers(1, 3))
    def upsert_at_version(self, patch: Any, scope: str, version: int) -> None:
        self.upsert(patch, scope, {"if_version": version})

    @rule(patch=patches(), scope=scopes(), options=overrides())
    def upsert_keys_of_several_contacts(
        self, patch: Any, scope: str, options: Any
    ) -> None:
        known = {name: patch[name] for name in patch if name in KEYS}
        for part in one_field_each(known):
            self.create({"name": "Ada", "at": 1} | part, scope)
        self.upsert(patch, scope, options)

    @rule(patch=patches(), scope=scopes())
    def create(self, patch: dict[str, Any], scope: str) -> None:
        self.call_both(
            lambda: self.book.create(patch, scope=scope),
            lambda: self.oracle.upsert(patch, scope=scope, look=False),
        )

    @rule(
        patch=patches(),
        scope=scopes(),
        options=overrides(),
        key=st.sampled_from(("k-1", "k-2")),
        verb=st.sampled_from(("upsert", "upsert", "create")),
    )
    def call_once(
        self, patch: Any, scope: str, options: Any, key: str, verb: str
    ) -> None:
        """A repeated key of a scope replays the first answer."""
        options = options if verb == "upsert" else {}
        twin_options = options if verb == "upsert" else {"look": False}
        answer, _ = self.call_both(
            lambda: getattr(self.book, verb)(
                patch, scope=scope, idempotency_key=key, **options
            ),
            lambda: self.oracle.upsert_once(key, patch, scope, **twin_options),
        )
        if isinstance(answer, Outcome):
            first = self.answers.setdefault((scope, key), answer)
            assert answer.replayed == (first is not answer)
            assert answer.contact is first.contact
            self.known_calls[key] = patch, scope, options, verb

    @precondition(lambda self: self.known_calls)
    @rule(data=st.data(), other=scopes())
    def call_again(self, data: st.DataObject, other: str) -> None:
        """Retry a call, mostly unchanged, after any other calls."""
        key = data.draw(st.sampled_from([*self.known_calls]))
        patch, scope, options, verb = self.known_calls[key]
        scope = data.draw(st.sampled_from((scope, scope, other)))
        self.call_once(patch, scope, options, key, verb)

    @precondition(lambda self: self.oracle.rows)
    @rule(data=st.data())
    def purge(self, data: st.DataObject) -> None:
        """Remove a contact; nothing names it, and the changes can be replayed."""
        scope, id = data.draw(st.sampled_from(self.known_ids()))
        before = self.book.changes_since()
        ids, calls = self.oracle.purge(id, scope)
        purged = self.book.purge(id, scope=scope)
        kept = self.oracle.calls.keys() & self.answers.keys()
        self.answers = {call: self.answers[call] for call in kept}
        after = self.book.changes_since()
        pairs = zip(before, after, strict=True)
        assert purged == calls + sum(a.outcome is not b.outcome for a, b in pairs)
        assert not any((scope, item) in self.book for item in ids)
        # The same id may have been another contact's in another scope, undone since.
        outcomes = [item.outcome for item in after if item.outcome]
        for outcome in [item for item in outcomes if item.contact.scope == scope]:
            contacts = [c for c in (outcome.contact, outcome.before) if c]
            ids_named = [id for c in (*contacts, *outcome.merged) for id in c.ids]
            ids_named += [
                *outcome.also_matched,
                *[item.holder for item in outcome.withheld],
            ]
            assert ids.isdisjoint(ids_named)
        self.replay()

    @precondition(lambda self: not self.loaded)
    @rule()
    def replay(self) -> None:
        """The changes have no gap, and give the same book again."""
        if self.loaded:
            return
        entries = self.book.changes_since()
        assert [*range(1, len(entries) + 1)] == [entry.number for entry in entries]
        twin = ContactBook.from_changes(self.policy, entries)
        twin._index.check()
        assert as_json(self.book.dump()) == as_json(twin.dump())

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

    @rule(target=plans, patch=patches(), scope=scopes(), options=overrides())
    def plan(self, patch: dict[str, Any], scope: str, options: Any) -> Any:
        answer = self.call_both(
            lambda: self.book.plan(patch, scope=scope, **options),
            lambda: self.oracle.plan(patch, scope=scope, **options),
        )
        return multiple() if isinstance(answer[0], Exception) else answer

    @rule(planned=plans)
    def apply(self, planned: tuple[Any, Any]) -> None:
        plan, twin = planned
        self.call_both(lambda: self.book.apply(plan), lambda: self.oracle.apply(twin))

    @rule(patch=patches(), between=patches(), scope=scopes())
    def apply_overtaken(self, patch: Any, between: Any, scope: str) -> None:
        keys = {name: value for name, value in patch.items() if name in KEYS}
        self.upsert(keys, scope, {})
        plan, twin = self.call_both(
            lambda: self.book.plan(patch, scope=scope),
            lambda: self.oracle.plan(patch, scope=scope),
        )
        self.upsert({**between, **keys}, scope, {})
        if not isinstance(plan, Exception):
            self.apply((plan, twin))

    @rule(
        planned=consumes(plans), calls=st.integers(1, 2), kind=st.sampled_from(FAULTS)
    )
    def apply_with_a_fault(self, planned: Any, calls: int, kind: str) -> None:
        FUSE.light(kind, calls)
        self.apply(planned)

    @rule(
        many=st.lists(patches(), min_size=2, max_size=6),
        scope=scopes(),
        options=overrides(),
        go_on=st.booleans(),
    )
    def upsert_many(
        self, many: list[Any], scope: str, options: Any, *, go_on: bool
    ) -> None:
        answers: list[str] = []
        on_refused: Any = "collect" if go_on else "raise"

        def upsert_one(patch: dict[str, Any]) -> tuple[str, Any]:
            return try_call(
                lambda: self.oracle.upsert(patch, scope=scope, **options), answer_text
            )

        def fold() -> list[str]:
            check_overrides(self.policy, options)
            for row, patch in enumerate(many):
                text, answer = upsert_one(patch)
                if isinstance(answer, errors.Refused):
                    answer.row, text = row, ""
                if isinstance(answer, Exception) and not go_on:
                    raise answer
                answers.append(text or refusal_text(answer))
            return answers

        before = self.book.dump()
        self.real.now += timedelta(days=1)
        self.naive.now = self.real.now
        text, _ = try_call(
            lambda: self.book.upsert_many(
                many, scope=scope, on_refused=on_refused, **options
            ),
            lambda answers: as_json(
                [
                    refusal_text(a) if isinstance(a, Exception) else outcome_text(a)
                    for a in answers
                ]
            ),
        )
        twin_text, _ = try_call(fold, as_json)
        assert twin_text == text
        assert before == self.book.dump() or answers
        self.real.number = self.naive.number = max(self.real.number, self.naive.number)

    @rule(data=st.data(), verb=st.sampled_from(("get", "delete")))
    def get_or_delete(self, data: st.DataObject, verb: str) -> None:
        own, id = data.draw(st.sampled_from([*self.known_ids(), ("", "c-0")]))
        scope = data.draw(st.sampled_from((own, own, own, "", "east")))
        self.call_both(
            lambda: getattr(self.book, verb)(id, scope=scope),
            lambda: getattr(self.oracle, verb)(id, scope),
            lambda contact: as_json(contact.to_dict()),
            as_json,
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
        expected = [] if form is None else self.oracle.held(name, form, scope)
        value = parts if composite(key) else parts[key.fields[0]]

        found = self.book.find(name, value, scope=scope)

        assert expected == [contact.id for contact in found]
        assert [self.book.get(id, scope=scope) for id in expected] == list(found)

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
            kinds = {type(refusal) for refusal in error.refusals}
            allowed = self.policy.on_key_in_use == "allow"
            if not allowed or kinds != {errors.KeyInUse}:
                raise
        else:
            assert as_json(self.book.dump()) == as_json(book.dump())
            assert list(self.book) == list(book)
            self.book, self.loaded = book, True
            self.oracle.calls, self.answers = {}, {}
            absorbed = [
                (r["scope"], id) for r in rows for id in r.get("merged_ids", [])
            ]
            self.oracle.born = [*[(r["scope"], r["id"]) for r in rows], *absorbed]
            self.oracle.forgot = frozenset(absorbed)

    @invariant()
    @precondition(lambda self: hasattr(self, "book"))
    def same_state(self) -> None:
        self.book._index.check()
        rows = [{"place": n, **row} for n, row in enumerate(self.oracle.rows)]
        assert as_json(rows) == as_json(self.book.dump())
        assert len(self.oracle.rows) == len(self.book)
        for row in self.oracle.rows:
            contact = self.book.get(row["id"], scope=row["scope"])
            stored_forms = self.book._index.get_with_forms(row["id"], row["scope"])[1]
            for key, actual in zip(self.policy.all_keys, stored_forms, strict=True):
                assert naive_held(self.policy, key, row) == list(actual)
            for old in contact.merged_ids:
                assert self.book.get(old, scope=row["scope"]) is contact


def describe(policy: Policy) -> str:
    """Write a policy for a reader."""
    rows = [f"  {name}: {line}" for name, line in policy.fields.items()]
    keys = [f"  {key}" for key in policy.all_keys]
    rest = {name: getattr(policy, name) for name in SHOWN_OPTIONS}
    return "\n".join([repr(policy.match), *rows, *keys, repr(rest)])


SHOWN_OPTIONS = (
    *("extra_fields", "on_ambiguous", "on_key_in_use", "on_no_key"),
    *(
        "id_field",
        "on_unknown_id",
        "on_found",
        "on_not_found",
        "on_blocked",
        "on_limit",
        "on_merge",
        "on_deleted",
    ),
)


class MergeMachine(UpsertMachine):
    """The same under the strategy ``merge_all``."""

    @initialize(policy=policies(wanted=merge_all, own_ids=True))
    def start(self, policy: Policy) -> None:
        self.begin(policy)


class GuardMachine(UpsertMachine):
    """The same under the strategy ``first_match``, mostly with a guard."""

    @initialize(policy=policies(wanted=first_match, own_ids=True))
    def start(self, policy: Policy) -> None:
        self.begin(policy)


TestUpsertMachine, TestMergeMachine, TestGuardMachine = (
    UpsertMachine.TestCase,
    MergeMachine.TestCase,
    GuardMachine.TestCase,
)
TestUpsertMachine.settings = TestMergeMachine.settings = TestGuardMachine.settings = (
    settings(max_examples=max(250, settings().max_examples), stateful_step_count=25)
)
