"""
The Hypothesis strategies of the tests: those of ``upsertcore.testing``, and faults.

Rules:
    What a host can use stands in ``upsertcore.testing``; tests import it from here.
    No strategy calls the library to learn what it should do.
    A host's callables stand here, each with a fuse that a test may light.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from itertools import count, permutations
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.oracle.merge import dated
from upsertcore import ContactBook, Outcome, Policy, errors
from upsertcore import testing as kit
from upsertcore.laws import Trial
from upsertcore.laws.trial import state_of
from upsertcore.policy.overrides import with_overrides
from upsertcore.rules import custom
from upsertcore.testing import POOLS, Vocabulary, json_values, rich_text
from upsertcore.testing.policies import chance
from upsertcore.testing.pools import ABSENT_VALUES, MULTI_FIELD_KEYS
from upsertcore.testing.vocabulary import longer
from upsertcore.testing.vocabulary import mailbox as plain_mailbox
from upsertcore.testing.vocabulary import tidy as plain_tidy
from upsertcore.values import empty, freeze

__all__ = ["ABSENT_VALUES", "POOLS", "chance", "json_values", "rich_text"]

NOW = datetime(2024, 1, 2, tzinfo=UTC)
SCOPES = ("", "east")


class Boom(Exception):
    """What a host's callable raises while its fuse is lit."""


class Fuse:
    """Makes the n-th call of one host callable raise."""

    def __init__(self) -> None:
        self.kind, self.left = "", 0

    def light(self, kind: str, calls: int) -> None:
        self.kind, self.left = kind, calls

    def burn(self, kind: str) -> None:
        if self.kind == kind and self.left:
            self.left -= 1
            if not self.left:
                raise Boom(kind)


FUSE = Fuse()


class Host:
    """Ids that never repeat and a clock that its test sets."""

    def __init__(self) -> None:
        self.now = NOW
        self.number = 0

    def ids(self) -> str:
        FUSE.burn("ids")
        self.number += 1
        return f"c-{self.number}"

    def clock(self) -> datetime:
        FUSE.burn("clock")
        return self.now


def mailbox(value: Any) -> str | None:
    """Normalise as a host might."""
    FUSE.burn("normaliser")
    return plain_mailbox(value)


def tidy(value: Any) -> Any:
    """Clean as a host might."""
    FUSE.burn("clean")
    return plain_tidy(value)


def _longest(stored: Any, sent: Any) -> Any:
    FUSE.burn("rule")
    return longer(stored, sent)


longest = custom(_longest, name="longest")

FAULTS = ("ids", "clock", "normaliser", "clean", "rule")
WORDS = Vocabulary(normaliser=mailbox, clean=tidy, rule=longest)
KEYS, RULES = WORDS.keys, WORDS.rules


def policies(
    *,
    strict: bool = False,
    wanted: Any = None,
    on_key_in_use: tuple[str, ...] = ("refuse", "withhold", "allow"),
) -> st.SearchStrategy[Policy]:
    """Draw a policy whose functions have fuses; *wanted* makes its match strategy."""
    return kit.policies(
        strict=strict, match=wanted, on_key_in_use=on_key_in_use, vocabulary=WORDS
    )


def worth(name: str) -> tuple[Any, ...]:
    """List what may be sent for a field: mostly its pool, at times null or blank."""
    return (*POOLS[name] * (5 if name in KEYS else 2), *ABSENT_VALUES)


@cache
def values(name: str) -> st.SearchStrategy[Any]:
    """Draw what may be sent for a field."""
    return st.sampled_from(worth(name))


@cache
def patches(*, extra: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a patch, mostly with a key; *extra* lets it name an undeclared field."""
    some = [each for size in (2, 3, 3, 1) for each in permutations(KEYS, size)]
    found = st.fixed_dictionaries({name: values(name) for name in KEYS})
    names = [*RULES, "name", "more", *(["extra"] if extra else ())]
    pairs = [
        (name, worth(name)[n % len(worth(name))]) for name in names for n in range(40)
    ]
    rest = st.lists(st.sampled_from(pairs), max_size=4)
    time = st.sampled_from((*POOLS["at"] * 6, None, "2024", True))
    return st.builds(_patch, st.sampled_from(some), found, rest, time, st.booleans())


def _patch(
    keys: tuple[str, ...], found: Any, rest: list[Any], time: Any, early: Any
) -> dict[str, Any]:
    drawn = dict(rest) | {name: found[name] for name in keys}
    names = [name for name, _ in rest]
    if time is not None:
        drawn["at"] = time
        names = ["at", *names] if early else [*names, "at"]
    return {name: drawn[name] for name in dict.fromkeys([*names[:1], *keys, *names])}


@cache
def batches() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Draw a batch; half of them are read to the end and often store what they say."""
    known = ("email", "phone", "code")
    one = st.sampled_from([(n, v) for n in known for v in POOLS[n][:4]])
    more = st.sampled_from([(n, v) for n in (*known, "name") for v in POOLS[n]])
    small = st.builds(
        lambda first, rest: dict([*rest, first]), one, st.lists(more, max_size=2)
    )
    return st.one_of(
        st.lists(small, max_size=5), st.lists(patches(), min_size=2, max_size=4)
    )


@cache
def overrides(*, strict: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Draw what one call may say of its own, mostly nothing."""
    rules = {
        name: st.sampled_from([r for r in each if may_override(name, r, strict=strict)])
        for name, each in RULES.items()
    }
    names = st.lists(st.sampled_from([*RULES]), max_size=2, unique=True)
    own = names.flatmap(lambda n: st.fixed_dictionaries({k: rules[k] for k in n}))
    some: dict[str, Any] = {
        "rules": own,
        "null": st.sampled_from((None, "clear", "ignore", "reject")),
        "blank": st.sampled_from((None, "store", "ignore", "clear", "reject")),
    }
    return st.one_of(*[st.just({})] * 2, st.fixed_dictionaries({}, optional=some))


def may_override(name: str, rule: Any, *, strict: bool) -> bool:
    """Tell whether a rule may stand in for that of a call, under any policy."""
    taken = rule.on_update or name not in MULTI_FIELD_KEYS["person"]
    return taken and (not strict or WORDS.is_idempotent(name, rule))


def scopes() -> st.SearchStrategy[str]:
    """Draw a scope, mostly the first."""
    return st.sampled_from((*SCOPES[:1] * 3, *SCOPES[1:]))


class Case(NamedTuple):
    """A policy, what a book under it has seen, and what it is to see next."""

    policy: Policy
    calls: list[tuple[dict[str, Any], str]]
    patch: dict[str, Any]
    scope: str
    how: dict[str, Any] = {}  # noqa: RUF012 - read, never written


def apart(patch: dict[str, Any]) -> list[dict[str, Any]]:
    """Take a patch apart, a field each: so several contacts share its keys."""
    return [{name: value} for name, value in patch.items()]


@st.composite
def cases(draw: st.DrawFn, /, **how: Any) -> Case:
    """Draw a case; mostly the book has seen somebody with the keys of the patch."""
    policy, patch, scope = draw(policies(**how)), draw(patches()), draw(scopes())
    calls = draw(st.lists(st.tuples(patches(), scopes()), max_size=5))
    if draw(st.sampled_from((True, True, False))):
        known = {name: patch[name] for name in patch if name in KEYS}
        if draw(st.booleans()):
            calls += [({"name": "Ada", "at": 1} | part, scope) for part in apart(known)]
        else:
            calls.append((draw(patches(extra=False)) | known, scope))
    more = draw(overrides(strict=how.get("strict", False)))
    if "rules" in more:
        rules = more["rules"].items()
        more["rules"] = {n: r for n, r in rules if r.by is None or not dated(policy, n)}
    return Case(policy, calls, patch, scope, more)


def books(policy: Policy) -> ContactBook:
    """Make a book with ids of its own and a clock that moves a day at each look."""
    host, days = Host(), count()
    return ContactBook(
        policy,
        ids=host.ids,
        clock=lambda: datetime.fromordinal(738_000 + next(days)).replace(tzinfo=UTC),
    )


def cleaned(policy: Policy, name: str, raw: Any, **how: Any) -> Any:
    """Give what the rule of a field is handed for a sent value."""
    line, sent = policy.fields.get(name), freeze(raw)
    if line and line.clean and not empty(sent):
        sent = freeze(tidy(sent))
    blank = how.get("blank") or (line.blank if line else "store")
    return None if blank == "clear" and empty(sent) else sent


def tried(
    book: ContactBook, patch: dict[str, Any], scope: str = "", /, **how: Any
) -> Outcome | errors.Refused:
    """Upsert, a refusal being an answer."""
    try:
        return book.upsert(patch, scope=scope, **how)
    except errors.Refused as error:
        return error


def fed(case: Case, book: ContactBook | None = None) -> ContactBook:
    """Make a book that has seen the calls of a case; refusals changed nothing."""
    book = books(case.policy) if book is None else book
    for patch, scope in case.calls:
        tried(book, patch, scope)
    return book


def last(case: Case) -> Outcome | None:
    """Make all calls of a case and give the outcome of the last, if not refused."""
    outcome = tried(fed(case), case.patch, case.scope, **case.how)
    return outcome if isinstance(outcome, Outcome) else None


def trial(case: Case) -> Trial:
    """Make a trial of the last call of a case; what it says of its own is the table."""
    said = [case.how.get(name) for name in ("rules", "null", "blank")]
    policy = with_overrides(case.policy, *said)
    return Trial(policy, state_of(fed(case)), case.patch, case.scope)
