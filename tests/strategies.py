"""
The Hypothesis strategies of the tests: those of ``upsertcore.testing``, with faults.

Rules:
    What a host can use is in ``upsertcore.testing``; tests import it from here.
    No strategy calls the library to learn what it should do.
    Functions of a host are here; each has a fuse that makes one of its calls raise.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from itertools import count, permutations
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.oracle.merge import keeps_update_time
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
    """The error of a function of a host whose fuse is lit."""


class Fuse:
    """Makes the n-th call of one function of a host raise."""

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
    own_ids: bool = False,
) -> st.SearchStrategy[Policy]:
    """Draw a policy whose functions have fuses; *wanted* makes its match strategy."""
    return kit.policies(
        strict=strict,
        match=wanted,
        on_key_in_use=on_key_in_use,
        vocabulary=WORDS,
        own_ids=own_ids,
    )


def values_for(name: str) -> tuple[Any, ...]:
    """List values for a field: mostly its pool, at times null or blank."""
    return (*POOLS[name] * (5 if name in KEYS else 2), *ABSENT_VALUES)


@cache
def values(name: str) -> st.SearchStrategy[Any]:
    """Draw a value for a field."""
    return st.sampled_from(values_for(name))


@cache
def patches(*, extra: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a patch, mostly with a key; *extra* lets it name an undeclared field."""
    orders = [order for size in (2, 3, 3, 1) for order in permutations(KEYS, size)]
    key_values = st.fixed_dictionaries({name: values(name) for name in KEYS})
    names = [*RULES, "name", "more", *(["extra"] if extra else ())]
    pairs = [
        (name, values_for(name)[n % len(values_for(name))])
        for name in names
        for n in range(40)
    ]
    rest = st.lists(st.sampled_from(pairs), max_size=4)
    time = st.sampled_from((*POOLS["at"] * 6, None, "2024", True))
    return st.builds(
        _patch, st.sampled_from(orders), key_values, rest, time, st.booleans()
    )


def _patch(
    keys: tuple[str, ...], key_values: Any, rest: list[Any], time: Any, early: Any
) -> dict[str, Any]:
    drawn = dict(rest) | {name: key_values[name] for name in keys}
    names = [name for name, _ in rest]
    if time is not None:
        drawn["at"] = time
        names = ["at", *names] if early else [*names, "at"]
    return {name: drawn[name] for name in dict.fromkeys([*names[:1], *keys, *names])}


@cache
def batches() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Draw a batch; half of them are small and often repeat a value."""
    known = ("email", "phone", "code")
    pair = st.sampled_from([(n, v) for n in known for v in POOLS[n][:4]])
    more = st.sampled_from([(n, v) for n in (*known, "name") for v in POOLS[n]])
    small = st.builds(
        lambda first, rest: dict([*rest, first]), pair, st.lists(more, max_size=2)
    )
    return st.one_of(
        st.lists(small, max_size=5), st.lists(patches(), min_size=2, max_size=4)
    )


@cache
def overrides(*, strict: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Draw the options of one call, mostly none."""
    rules = {
        name: st.sampled_from(
            [r for r in candidates if may_override(name, r, strict=strict)]
        )
        for name, candidates in RULES.items()
    }
    names = st.lists(st.sampled_from([*RULES]), max_size=2, unique=True)
    rules_of_call = names.flatmap(
        lambda n: st.fixed_dictionaries({k: rules[k] for k in n})
    )
    optional: dict[str, Any] = {
        "rules": rules_of_call,
        "null": st.sampled_from((None, "clear", "ignore", "reject")),
        "blank": st.sampled_from((None, "store", "ignore", "clear", "reject")),
        "on_found": st.sampled_from((None, "update", "update", "ignore", "refuse")),
        "on_not_found": st.sampled_from((None, "create", "create", "refuse")),
        "omitted": st.sampled_from((None, "keep", "clear", "clear")),
    }
    return st.one_of(*[st.just({})] * 2, st.fixed_dictionaries({}, optional=optional))


def may_override(name: str, rule: Any, *, strict: bool) -> bool:
    """Return whether a rule may be that of one call, under any policy."""
    fits = rule.on_update or name not in MULTI_FIELD_KEYS["person"]
    return fits and (not strict or WORDS.is_idempotent(name, rule))


def scopes() -> st.SearchStrategy[str]:
    """Draw a scope, mostly the first."""
    return st.sampled_from((*SCOPES[:1] * 3, *SCOPES[1:]))


class Case(NamedTuple):
    """A policy, the calls that a book under it has had, and the next one."""

    policy: Policy
    calls: list[tuple[dict[str, Any], str]]
    patch: dict[str, Any]
    scope: str
    options: dict[str, Any] = {}  # noqa: RUF012 - read, never written


def one_field_each(patch: dict[str, Any]) -> list[dict[str, Any]]:
    """Make a patch of each field, so that several contacts have its keys."""
    return [{name: value} for name, value in patch.items()]


@st.composite
def cases(draw: st.DrawFn, /, **policy_options: Any) -> Case:
    """Draw a case; mostly a contact has the keys of the patch."""
    policy, patch, scope = (
        draw(policies(**policy_options)),
        draw(patches()),
        draw(scopes()),
    )
    calls = draw(st.lists(st.tuples(patches(), scopes()), max_size=5))
    if draw(st.sampled_from((True, True, False))):
        known = {name: patch[name] for name in patch if name in KEYS}
        if draw(st.booleans()):
            calls += [
                ({"name": "Ada", "at": 1} | part, scope)
                for part in one_field_each(known)
            ]
        else:
            calls.append((draw(patches(extra=False)) | known, scope))
    options = draw(overrides(strict=policy_options.get("strict", False)))
    if "rules" in options:
        rules = options["rules"].items()
        options["rules"] = {
            n: r for n, r in rules if r.by is None or not keeps_update_time(policy, n)
        }
    # A call that neither creates nor updates is refused.
    if options.get("on_not_found", policy.on_not_found) == "refuse":
        options["on_found"] = "update"
    if options.get("on_found", policy.on_found) not in (None, "update"):
        options["on_not_found"] = "create"
    return Case(policy, calls, patch, scope, options)


def books(policy: Policy) -> ContactBook:
    """Make a book with ids of its own and a clock that advances by a day."""
    host, days = Host(), count()
    return ContactBook(
        policy,
        ids=host.ids,
        clock=lambda: datetime.fromordinal(738_000 + next(days)).replace(tzinfo=UTC),
    )


def cleaned(policy: Policy, name: str, raw: Any, **options: Any) -> Any:
    """Return the value that the rule of a field gets for a sent one."""
    line, sent = policy.fields.get(name), freeze(raw)
    if line and line.many and sent is not None and type(sent) is not tuple:
        sent = () if empty(sent) else (sent,)
    if line and line.clean and not empty(sent):
        sent = freeze(tidy(sent))
    blank = options.get("blank") or (line.blank if line else "store")
    return None if blank == "clear" and empty(sent) else sent


def upsert_or_refusal(
    book: ContactBook, patch: dict[str, Any], scope: str = "", /, **options: Any
) -> Outcome | errors.Refused:
    """Upsert; return a refusal as an answer."""
    try:
        return book.upsert(patch, scope=scope, **options)
    except errors.Refused as error:
        return error


def book_after_calls(case: Case, book: ContactBook | None = None) -> ContactBook:
    """Make a book that has had the calls of a case; refusals changed nothing."""
    book = books(case.policy) if book is None else book
    for patch, scope in case.calls:
        upsert_or_refusal(book, patch, scope)
    return book


def last_outcome(case: Case) -> Outcome | None:
    """Make all calls of a case; return the last outcome, or None if refused."""
    outcome = upsert_or_refusal(
        book_after_calls(case), case.patch, case.scope, **case.options
    )
    return outcome if isinstance(outcome, Outcome) else None


def trial(case: Case) -> Trial:
    """Make a trial of the last call of a case, with its options in the table."""
    policy = with_overrides(case.policy, **case.options)
    return Trial(policy, state_of(book_after_calls(case)), case.patch, case.scope)
