"""
The machine: every verb of a book, in any order, under one policy.

Rules:
    A host names a policy, and perhaps how its book is made; the rules are here.
    Before each upsert every law that the policy claims is tried in the state that was
    reached; after each call the index is whole, and what was refused changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from upsertcore.book.book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.errors import Refused, StalePlan
from upsertcore.laws.alphabet import Values
from upsertcore.laws.broken import see
from upsertcore.laws.every import check
from upsertcore.laws.normalisers import check_normaliser, texts
from upsertcore.laws.trial import Trial, told
from upsertcore.model.contact import Contact
from upsertcore.policy.policy import Policy
from upsertcore.testing import watching
from upsertcore.testing.sending import new_book, patches
from upsertcore.testing.texts import rich_text

__all__ = ["BookMachine"]

_SENT = st.runner().flatmap(lambda machine: machine.sent)
_SCOPE = st.runner().flatmap(lambda machine: st.sampled_from(machine.scopes))
_PICK = st.integers(0, 9)
_TEXT = st.one_of(rich_text(), st.sampled_from([t for t in texts() if len(t) < 99]))
_HOWS = st.sampled_from(("raise", "collect", "atomic"))
_REPEATS = st.sampled_from(("fold", "fold", "refuse_later", "refuse_all"))


class BookMachine(RuleBasedStateMachine):
    """
    A state machine that a host gives a policy, and perhaps a book of its own.

    ``policy`` is the table; ``values`` are those of :func:`patches`; ``scopes`` are
    the tenants. :meth:`make` is there to be overridden.

    >>> from hypothesis import settings
    >>> from hypothesis.stateful import run_state_machine_as_test
    >>> from upsertcore import field, first_match, normalize
    >>> class Mine(BookMachine):
    ...     policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    >>> few = settings(max_examples=3, stateful_step_count=5, database=None)
    >>> run_state_machine_as_test(Mine, settings=few)
    """

    policy: ClassVar[Policy]
    values: ClassVar[Values] = {}
    scopes: ClassVar[tuple[str, ...]] = ("", "east")
    sent: ClassVar[st.SearchStrategy[dict[str, Any]]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "policy"):
            cls.sent = patches(cls.policy, values=cls.values)

    def __init__(self) -> None:
        if not hasattr(self, "policy"):
            raise TypeError(f"policy: {type(self).__name__} must have one")
        super().__init__()
        self.book = self.make()
        self.done: list[Outcome] = []
        self._last: tuple[Outcome, tuple[Contact, ...]] | None = None
        self._held: dict[watching.Holder, tuple[str, ...]] = {}
        self._calls = 0

    def make(self) -> ContactBook:
        """
        Make the book that is driven, empty; override it for another index.

        Ids and times must be the same each time, or what is found is not found again.
        """
        return new_book(self.policy)

    @rule(
        patch=_SENT,
        scope=_SCOPE,
        version=st.sampled_from((None, None, None, 1, 2)),
        retried=st.booleans(),
    )
    def upsert(
        self, patch: Any, scope: str, version: int | None, *, retried: bool
    ) -> None:
        """Try every law that is claimed; then call, at times only at a version."""
        check(self.book, patch, scope=scope)
        answer = self._once(
            "upsert", patch, retried=retried, scope=scope, if_version=version
        )
        if isinstance(answer, Outcome):
            before = answer.before
            due = None in (version, before) or before.version == version  # type: ignore[union-attr]
            see("if_version", due, f"{told(answer)} at another than {version}")

    @rule(patch=_SENT, scope=_SCOPE, retried=st.booleans())
    def create(self, patch: Any, scope: str, *, retried: bool) -> None:
        """Create without looking; unique keys hold all the same."""
        size = len(self.book)
        answer = self._once("create", patch, retried=retried, scope=scope)
        made = len(self.book) - size
        words = f"{told(answer)}, and {made} contacts more"
        see("create_makes_one", made == isinstance(answer, Outcome), words)

    @rule(patch=_SENT, scope=_SCOPE, between=_SENT | st.none())
    def apply(self, patch: Any, scope: str, between: Any) -> None:
        """Plan, perhaps do something else, and apply: right at that time, or stale."""
        plan = self._call(lambda: self.book.plan(patch, scope=scope))
        if between is not None:
            self._call(lambda: self.book.upsert(between, scope=scope))
        if isinstance(plan, Refused):
            return
        due = Trial.of(self.book, patch, scope=scope).first
        answer = self._call(lambda: self.book.apply(plan))
        if isinstance(answer, StalePlan):
            see("plan_is_upsert", between is not None, f"stale at once: {answer}")
        else:
            same = watching.said(answer) == watching.said(due)
            see("plan_is_upsert", same, f"{told(answer)}, not {told(due)}")

    @rule(
        batch=st.lists(_SENT, max_size=4),
        scope=_SCOPE,
        how=_HOWS,
        on_duplicates=_REPEATS,
    )
    def upsert_many(self, batch: Any, scope: str, how: str, on_duplicates: Any) -> None:
        """A batch is the fold of its calls, up to a refusal or past it, or nothing."""
        _, every = watching.together(self.book, batch, scope, on_duplicates)
        refused = [n for n, each in enumerate(every) if isinstance(each, Refused)]
        due = every if how == "collect" else every[: (*refused, len(every))[0]]
        if how == "atomic":
            due = [] if refused else every
        twin, _ = watching.folded(self.book, batch, scope, due)
        options = {"atomic": True} if how == "atomic" else {"on_refused": how}
        self._last = None
        try:
            answers: Any = self.book.upsert_many(
                batch, scope=scope, on_duplicates=on_duplicates, **options
            )
        except Refused as error:
            see("batch_is_fold", refused and how != "collect", f"refused: {error}")
        else:
            one, other = ([*map(watching.said, each)] for each in (answers, due))
            see("batch_is_fold", one == other, f"{one}, not {other}")
            self.done += [each for each in answers if isinstance(each, Outcome)]
        now, then = ([repr(c.fields) for c in book] for book in (self.book, twin))
        see("batch_is_fold", now == then, f"{now}, not {then}")

    @precondition(lambda self: len(self.book) > 0)
    @rule(pick=_PICK)
    def delete(self, pick: int) -> None:
        """Who is deleted is gone, or marked, as the policy says."""
        picked = self._picked(pick)
        id, scope = picked.id, picked.scope
        self._last = None
        self.book.delete(id, scope=scope)
        gone = self.policy.on_deleted == "forget"
        known = (scope, id) in self.book
        see("delete", gone == (not known), f"{id} in book: {not gone}")
        marked = gone or self.book.get(id, scope=scope).deleted_at is not None
        see("delete", marked, f"{id} bears no mark")

    @precondition(lambda self: len(self.book) > 1)
    @rule(picks=st.lists(_PICK, min_size=2, max_size=3))
    def merge(self, picks: list[int]) -> None:
        """All ids that there were lead to the one that is left."""
        first = self._picked(picks[0])
        near = [each.id for each in self.book if each.scope == first.scope]
        ids = [first.id, *[near[pick % len(near)] for pick in picks[1:]]]
        size = len(self.book)
        scope = first.scope
        answer = self._call(
            lambda: self.book.merge(*ids, scope=scope, on_itself="ignore")
        )
        if isinstance(answer, Outcome):
            gone = size - len(self.book)
            see("merge", gone == len(answer.merged) == len({*ids}) - 1, told(answer))
            for id in ids:
                now = self.book.get(id, scope=scope)
                see("merge", now == answer.contact, f"{id} is apart")

    @rule(scope=st.none() | _SCOPE)
    def dedupe(self, scope: str | None) -> None:
        """Each group of duplicates is one, its oldest, or says why it is not."""
        groups = self.book.duplicates(scope=scope)
        self._last = None
        answers = self.book.dedupe(scope=scope, on_refused="collect")
        for group, answer in zip(groups, answers, strict=True):
            if isinstance(answer, Outcome):
                self.done.append(answer)
                due = answer.contact.id == group[0].id
                see("dedupe", due, f"{told(answer)}, and the oldest is {group[0].id}")

    @precondition(lambda self: self.done)
    @rule(pick=_PICK)
    def undo(self, pick: int) -> None:
        """What was done last is undone exactly; what is overtaken is refused."""
        outcome = self.done[-1 - pick % len(self.done)]
        last = self._last
        answer = self._call(lambda: self.book.undo(outcome))
        if last is not None and last[0] is outcome:
            words = f"{told(outcome)}, undone: {told(answer)}"
            see("undo_inverts", tuple(self.book) == last[1], words)

    @precondition(lambda self: len(self.book) > 0)
    @rule(pick=_PICK)
    def purge(self, pick: int) -> None:
        """Who is purged is gone, and the changes of the others can be done again."""
        picked = self._picked(pick)
        ids, scope = picked.ids, picked.scope
        self._last = None
        self.book.purge(ids[0], scope=scope)
        known = any((scope, id) in self.book for id in ids)
        see("purge", not known, f"{ids} lead somewhere")
        watching.replays(self.book)

    @rule()
    def read(self) -> None:
        """Loading, replaying and every look-up agree with what the contacts say."""
        for contact in self.book:
            watching.finds(self.book, contact)
        watching.apart_are_apart(self.book)
        watching.loads(self.book)
        watching.replays(self.book)

    @rule(values=st.lists(_TEXT, min_size=1, max_size=5))
    def normalise(self, values: list[str]) -> None:
        """Every normaliser of the policy is total, pure and idempotent."""
        for normaliser in {
            n: None for key in self.policy.all_keys for n in key.normalize
        }:
            check_normaliser(normaliser, values)

    @invariant()
    def whole(self) -> None:
        """From what anybody held at any time the index leads to who holds it now."""
        self._held |= watching.leads(self.book, self._held)

    def _picked(self, pick: int) -> Contact:
        every = list(self.book)
        return every[pick % len(every)]

    def _once(self, verb: str, patch: Any, *, retried: bool, **how: Any) -> Any:
        """Make a call, perhaps with an idempotency key and then once more."""
        if not retried:
            return self._call(lambda: getattr(self.book, verb)(patch, **how))
        self._calls += 1
        how["idempotency_key"] = f"call-{self._calls}"
        answer = self._call(lambda: getattr(self.book, verb)(patch, **how))
        if isinstance(answer, Outcome):
            after = tuple(self.book)
            again = getattr(self.book, verb)(patch, **how)
            words = f"{told(answer)}, then {told(again)}"
            once = again == answer and getattr(again, "replayed", False)
            see("retry_is_once", once and tuple(self.book) == after, words)
        return answer

    def _call(self, call: Callable[[], Any]) -> Any:
        """Make a call; what is refused changes nothing, what is done can be undone."""
        before = tuple(self.book)
        try:
            answer = call()
        except Refused as error:
            kept = tuple(self.book) == before
            see("refusal_changes_nothing", kept, f"{told(error)}, but not as it was")
            return error
        if isinstance(answer, Outcome):
            self.done.append(answer)
            self._last = None if answer.result == "undone" else (answer, before)
        return answer
