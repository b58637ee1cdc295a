"""
A state machine that drives every verb of a book, in any order, under one policy.

Rules:
    A subclass supplies a policy, and optionally its own book; the rules are here.
    Before each upsert, every law that the policy declares is checked in the current
    state; after each call, the index is consistent and a refusal has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from upsertcore.book.book import Book
from upsertcore.engine.outcome import Outcome
from upsertcore.errors import Refused, StalePlan
from upsertcore.laws.all_laws import check
from upsertcore.laws.claims import claims
from upsertcore.laws.errors import require
from upsertcore.laws.normalisers import check_normaliser, texts
from upsertcore.laws.sample_values import Values
from upsertcore.laws.trial import Trial, TrialResult, describe
from upsertcore.model.contact import Contact
from upsertcore.policy.policy import Policy
from upsertcore.testing import checks
from upsertcore.testing.strategies import new_book, patches
from upsertcore.testing.texts import rich_text

__all__ = ["BookMachine"]

_PATCH = st.runner().flatmap(lambda machine: machine.patch_strategy)
_SCOPE = st.runner().flatmap(lambda machine: st.sampled_from(machine.scopes))
_PICK = st.integers(0, 9)
_KEEP = st.sampled_from(("oldest", "newest"))
_TEXT = st.one_of(rich_text(), st.sampled_from([t for t in texts() if len(t) < 99]))
_BATCH_MODES = st.sampled_from(("raise", "collect", "atomic"))
_ON_DUPLICATES = st.sampled_from(("fold", "fold", "refuse_later", "refuse_all"))
_OPTIONS = st.sampled_from(
    (
        *({}, {}, {}, {"null": "ignore", "blank": "clear"}, {"omitted": "clear"}),
        {"on_found": "update", "on_not_found": "refuse"},
        *({"on_found": on, "on_not_found": "create"} for on in ("ignore", "refuse")),
    )
)
"""Options of calls that fit every policy."""


class BookMachine(RuleBasedStateMachine):
    """
    A state machine over the verbs of a book; subclasses supply the policy.

    ``policy`` is the policy under test, ``values`` are the values of :func:`patches`,
    and ``scopes`` are the tenants. Override :meth:`make` to test another book.

    >>> from hypothesis import settings
    >>> from hypothesis.stateful import run_state_machine_as_test
    >>> from upsertcore import field, first_match, normalize
    >>> class Contacts(BookMachine):
    ...     policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> quick = settings(max_examples=3, stateful_step_count=5, database=None)
    >>> run_state_machine_as_test(Contacts, settings=quick)
    """

    policy: ClassVar[Policy]
    values: ClassVar[Values] = {}
    scopes: ClassVar[tuple[str, ...]] = ("", "east")
    patch_strategy: ClassVar[st.SearchStrategy[dict[str, Any]]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "policy"):
            cls.patch_strategy = patches(cls.policy, values=cls.values)

    def __init__(self) -> None:
        if not hasattr(self, "policy"):
            raise TypeError(f"policy: {type(self).__name__} must have one")
        super().__init__()
        self.book = self.make()
        self.outcomes: list[Outcome] = []
        self._last: tuple[Outcome, tuple[Contact, ...]] | None = None
        self._held_forms: dict[checks.HeldForm, tuple[str, ...]] = {}
        self._calls = 0

    def make(self) -> Book:
        """
        Return the empty book under test, in memory; override it to test another one.

        Ids and times must be deterministic, or Hypothesis cannot reproduce a failure.
        """
        return new_book(self.policy)

    @rule(
        patch=_PATCH,
        scope=_SCOPE,
        version=st.sampled_from((None, None, None, 1, 2)),
        options=_OPTIONS,
        retried=st.booleans(),
    )
    def upsert(
        self, patch: Any, scope: str, version: Any, options: Any, *, retried: bool
    ) -> None:
        """Check every declared law; then upsert, sometimes with options of the call."""
        check(self.book, patch, scope=scope, **options)
        how = {"scope": scope, "if_version": version, **options}
        result = self._call_verb("upsert", patch, retried=retried, **how)
        if isinstance(result, Outcome):
            before = result.before
            due = None in (version, before) or before.version == version  # type: ignore[union-attr]
            require("if_version", due, f"{describe(result)} with if_version={version}")

    @rule(patch=_PATCH, scope=_SCOPE, retried=st.booleans())
    def create(self, patch: Any, scope: str, *, retried: bool) -> None:
        """Create without matching; unique keys still apply."""
        size = len(self.book)
        result = self._call_verb("create", patch, retried=retried, scope=scope)
        created = len(self.book) - size
        details = f"{describe(result)}, and {created} more contacts"
        require("create_makes_one", created == isinstance(result, Outcome), details)

    @rule(
        pick=_PICK,
        patch=_PATCH,
        scope=_SCOPE,
        verb=st.sampled_from(("upsert", "upsert", "create", "update")),
    )
    def name_by_id(self, pick: int, patch: Any, scope: str, verb: Any) -> None:
        """Check every declared law of a call with an id; then make it."""
        known = [id for contact in self.book for id in contact.ids]
        id = [*known, "x-1", "x-2"][pick % (len(known) + 2)]
        how: Any = {"verb": verb, "id": id, "scope": scope}
        check(self.book, patch, **how)
        trial = Trial.of(self.book, patch, **how)

        def call() -> TrialResult:
            result = trial.send(self.book)
            if isinstance(result, Refused):
                raise result
            return result

        result = self._call(call)
        is_equal = checks.comparable(result) == checks.comparable(trial.first)
        details = f"{trial.call}: {describe(result)}, not {describe(trial.first)}"
        require("named_by_id", is_equal, details)

    @rule(pick=_PICK, patch=_PATCH, scope=_SCOPE)
    def identify(self, pick: int, patch: Any, scope: str) -> None:
        """A visitor is the contact, becomes part of it, or stays as it is."""
        known = [id for contact in self.book for id in contact.ids]
        visitor = [*known, "x-1"][pick % (len(known) + 1)]
        is_part = False

        def call() -> Outcome:
            nonlocal is_part
            result, is_part = checks.check_visitor(self.book, patch, scope, visitor)
            return result

        result = self._call(call)
        if is_part and claims(self.policy, "idempotent", carries=True):
            again = self._call(call)
            details = f"{describe(result)}, then {describe(again)}"
            require("identify", getattr(again, "unchanged", False), details)

    @rule(patch=_PATCH, scope=_SCOPE, between=_PATCH | st.none())
    def apply(self, patch: Any, scope: str, between: Any) -> None:
        """Plan, optionally change the book, and apply: as an upsert then, or stale."""
        plan = self._call(lambda: self.book.plan(patch, scope=scope))
        if between is not None:
            self._call(lambda: self.book.upsert(between, scope=scope))
        if isinstance(plan, Refused):
            return
        expected = Trial.of(self.book, patch, scope=scope).first
        result = self._call(lambda: self.book.apply(plan))
        if isinstance(result, StalePlan):
            require(
                "plan_is_upsert",
                between is not None,
                f"stale without a change: {result}",
            )
        else:
            is_equal = checks.comparable(result) == checks.comparable(expected)
            require(
                "plan_is_upsert",
                is_equal,
                f"{describe(result)}, not {describe(expected)}",
            )

    @rule(
        batch=st.lists(_PATCH, max_size=4),
        scope=_SCOPE,
        mode=_BATCH_MODES,
        on_duplicates=_ON_DUPLICATES,
        each=_OPTIONS,
    )
    def upsert_many(
        self, batch: Any, scope: str, mode: str, on_duplicates: Any, each: Any
    ) -> None:
        """A batch is the fold of its calls, depending on how it handles refusals."""
        book, how = self.book, (scope, on_duplicates)
        _, results = checks.batch_results(book, batch, *how, **each)
        refused = [n for n, result in enumerate(results) if isinstance(result, Refused)]
        expected = (
            results if mode == "collect" else results[: (*refused, len(results))[0]]
        )
        if mode == "atomic":
            expected = [] if refused else results
        twin, _ = checks.fold(book, batch, scope, expected, **each)
        options = {"atomic": True} if mode == "atomic" else {"on_refused": mode}
        self._last = None
        try:
            actual: Any = book.upsert_many(
                batch, scope=scope, on_duplicates=on_duplicates, **options, **each
            )
        except Refused as error:
            require("batch_is_fold", refused and mode != "collect", f"refused: {error}")
        else:
            actual_results, expected_results = (
                [*map(checks.comparable, result)] for result in (actual, expected)
            )
            require(
                "batch_is_fold",
                actual_results == expected_results,
                f"{actual_results}, not {expected_results}",
            )
            self.outcomes += [
                result for result in actual if isinstance(result, Outcome)
            ]
        stored, expected_fields = (
            [repr(c.fields) for c in book] for book in (self.book, twin)
        )
        require(
            "batch_is_fold",
            stored == expected_fields,
            f"{stored}, not {expected_fields}",
        )

    @precondition(lambda self: len(self.book) > 0)
    @rule(pick=_PICK)
    def delete(self, pick: int) -> None:
        """A deleted contact is forgotten or marked, as the policy says."""
        contact = self._pick(pick)
        id, scope = contact.id, contact.scope
        self._last = None
        self.book.delete(id, scope=scope)
        forgets = self.policy.on_deleted == "forget"
        exists = (scope, id) in self.book
        require("delete", forgets == (not exists), f"{id} in book: {not forgets}")
        is_marked = forgets or self.book.get(id, scope=scope).deleted_at is not None
        require("delete", is_marked, f"{id} has no deleted_at")

    @precondition(lambda self: len(self.book) > 1)
    @rule(
        picks=st.lists(_PICK, min_size=2, max_size=3),
        patch=st.none() | _PATCH,
        planned=st.booleans(),
    )
    def merge(
        self, picks: list[int], patch: Any = None, *, planned: Any = False
    ) -> None:
        """All merged ids resolve to the survivor; a plan does what a merge does."""
        first = self._pick(picks[0])
        scope = first.scope
        candidates = [contact.id for contact in self.book if contact.scope == scope]
        ids = [first.id, *[candidates[pick % len(candidates)] for pick in picks[1:]]]
        size = len(self.book)
        how: Any = {"scope": scope, "on_itself": "ignore", "patch": patch}
        if planned:
            result = self._call(lambda: self.book.plan_merge(*ids, **how))
            if not isinstance(result, Refused):
                result = self._call(lambda: self.book.apply(result))
        else:
            version = first.version
            result = self._call(
                lambda: self.book.merge(*ids, if_version=version, **how)
            )
        if isinstance(result, Refused):
            return
        removed = size - len(self.book)
        is_counted = removed == len(result.merged) == len({*ids}) - 1
        require("merge", is_counted, describe(result))
        for id in ids:
            is_survivor = self.book.get(id, scope=scope) == result.contact
            require("merge", is_survivor, f"{id} does not resolve to the survivor")
        if claims(self.policy, "idempotent", carries=True):
            again = self._call(lambda: self.book.merge(*ids, **how))
            details = f"{describe(result)}, then {describe(again)}"
            require("merge", getattr(again, "unchanged", False), details)

    @rule(scope=st.none() | _SCOPE, keep=_KEEP)
    def dedupe(self, scope: str | None, keep: Any = "oldest") -> None:
        """Each group of duplicates becomes one of its contacts, or is refused."""
        groups = self.book.duplicates(scope=scope)
        self._last = None
        results = self.book.dedupe(scope=scope, keep=keep, on_refused="collect")
        for group, result in zip(groups, results, strict=True):
            if isinstance(result, Outcome):
                self.outcomes.append(result)
                kept = group[0 if keep == "oldest" else -1].id
                details = f"{describe(result)}, but the {keep} is {kept}"
                require("dedupe", result.contact.id == kept, details)

    @precondition(lambda self: self.outcomes)
    @rule(pick=_PICK)
    def undo(self, pick: int) -> None:
        """The last call is undone exactly; an earlier one may be refused."""
        outcome = self.outcomes[-1 - pick % len(self.outcomes)]
        last = self._last
        result = self._call(lambda: self.book.undo(outcome))
        if last is not None and last[0] is outcome:
            details = f"{describe(outcome)}, undone: {describe(result)}"
            require("undo_inverts", tuple(self.book) == last[1], details)

    @precondition(lambda self: len(self.book) > 0)
    @rule(pick=_PICK)
    def purge(self, pick: int) -> None:
        """A purged contact is gone, and the remaining changes can be replayed."""
        contact = self._pick(pick)
        ids, scope = contact.ids, contact.scope
        self._last = None
        self.book.purge(ids[0], scope=scope)
        exists = any((scope, id) in self.book for id in ids)
        require("purge", not exists, f"{ids} still resolve")
        checks.check_replay(self.book)

    @rule()
    def read(self) -> None:
        """Loading, replaying and every look-up agree with the contacts."""
        for contact in self.book:
            checks.check_lookups(self.book, contact)
        checks.check_duplicates(self.book)
        checks.check_scan(self.book)
        checks.check_round_trip(self.book)
        checks.check_replay(self.book)

    @rule(values=st.lists(_TEXT, min_size=1, max_size=5))
    def normalise(self, values: list[str]) -> None:
        """Every normaliser of the policy is total, pure and idempotent."""
        for normaliser in {
            n: None for key in self.policy.all_keys for n in key.normalize
        }:
            check_normaliser(normaliser, values)

    @invariant()
    def index_is_consistent(self) -> None:
        """The index has the current holders of every form that was ever held."""
        self._held_forms |= checks.check_index(self.book, self._held_forms)

    def _pick(self, pick: int) -> Contact:
        contacts = list(self.book)
        return contacts[pick % len(contacts)]

    def _call_verb(
        self, verb: str, patch: Any, *, retried: bool, **options: Any
    ) -> Any:
        """Call a verb, optionally with an idempotency key and a retry."""
        if not retried:
            return self._call(lambda: getattr(self.book, verb)(patch, **options))
        self._calls += 1
        options["idempotency_key"] = f"call-{self._calls}"
        result = self._call(lambda: getattr(self.book, verb)(patch, **options))
        if isinstance(result, Outcome):
            after = tuple(self.book)
            retry = getattr(self.book, verb)(patch, **options)
            details = f"{describe(result)}, then {describe(retry)}"
            is_replayed = retry == result and getattr(retry, "replayed", False)
            require("retry_is_once", is_replayed and tuple(self.book) == after, details)
        return result

    def _call(self, call: Callable[[], Any]) -> Any:
        """Call a function: a refusal changes nothing, an outcome can be undone."""
        before = tuple(self.book)
        try:
            result = call()
        except Refused as error:
            is_unchanged = tuple(self.book) == before
            require(
                "refusal_changes_nothing",
                is_unchanged,
                f"{describe(error)}, but the book has changed",
            )
            return error
        if isinstance(result, Outcome):
            self.outcomes.append(result)
            self._last = None if result.result == "undone" else (result, before)
        return result
