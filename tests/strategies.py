"""
Every Hypothesis strategy of the tests: tiny pools, whole policies, rich text.

Rules:
    Pools are so small that collisions are certain; ``rich_text`` is for normal forms.
    No strategy calls the library to learn what it should do.
    A host's callables stand here too, each with a fuse that a test may light.
"""

from __future__ import annotations

import string
from datetime import UTC, datetime
from functools import cache
from itertools import count
from typing import Any, NamedTuple

from hypothesis import strategies as st

from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    all_agree,
    custom,
    deep,
    errors,
    field,
    first_match,
    first_present,
    ignore,
    immutable,
    items_by,
    keep,
    never,
    normalize,
    on_create,
    remove,
    replace,
    union,
)
from upsertcore.values import empty, freeze

NOW = datetime(2024, 1, 2, tzinfo=UTC)
SCOPES = ("", "east")
MAILBOXES = ("ada@x.org", " Ada@X.org", "ADA@x.org", "bob@x.org", "BOB@x.org ", "nope")
NUMBERS = ("+15550001111", "+1 (555) 000-1111", "+15550002222", "+1 555 000-2222", "12")
CODES = (7, "7", "A1", "a1", True, " ")
NAMES = ("Ada", "Bo", " Ada ", " ", "bad", 1, 1.0, True)
TAGS = (["a"], ["b", "a"], ["b", 1, True, "b"], "a")
NESTED = ({"a": 1}, {"a": None}, {"a": {"b": 1}}, {"a": {"b": None}, "c": []}, "a")
ITEMS: tuple[Any, ...] = (
    [{"id": 1, "v": 1}],
    [{"id": 2}, {"id": 1, "v": None}],
    [{"id": "1"}],
    [{}],
)
MARKS = (
    "\u0130\u0131\u017f\u1e9e\u00df\u212a\u037e\u1fef\u0345\u0301\u0308\x1f\ud800@.+"
)
MISSING: tuple[Any, ...] = (None, "", [], {})


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
    """Normalise as a host might: any text with an at sign."""
    FUSE.burn("normaliser")
    form = value.strip().lower() if isinstance(value, str) else ""
    return form if "@" in form else None


def tidy(value: Any) -> Any:
    """Clean as a host might: strip text, refuse one value, answer null for another."""
    FUSE.burn("clean")
    if value in ("bad", "12"):
        raise ValueError("must be better")
    return value.strip() if isinstance(value, str) else value


def _longest(stored: Any, sent: Any) -> Any:
    FUSE.burn("rule")
    if sent is None or not isinstance(stored, str) or not isinstance(sent, str):
        return sent
    return stored if len(stored) >= len(sent) else sent


longest = custom(_longest, name="longest")

FAULTS = ("ids", "clock", "normaliser", "clean", "rule")
ANY_RULE = (replace, keep, on_create, immutable, ignore, longest)
POOLS: dict[str, tuple[Any, ...]] = {
    "email": (*MAILBOXES, list(MAILBOXES[1:5]), [MAILBOXES[0], None, ""]),
    "phone": (*NUMBERS, [NUMBERS[0], NUMBERS[3]]),
    "code": CODES,
    "name": NAMES,
    "tags": TAGS,
    "nested": NESTED,
    "items": ITEMS,
    "extra": NAMES,
}
NEEDED = ("email", "name")
KEYS = {
    "email": (normalize.email, mailbox),
    "phone": (normalize.phone,),
    "code": (normalize.exact,),
}
RULES = {
    "email": (replace, replace, keep, on_create, immutable),
    "phone": (replace, replace, keep, on_create, longest),
    "code": (replace, keep, immutable),
    "name": ANY_RULE,
    "tags": (union, union, remove, replace, keep),
    "nested": (deep, deep, replace, keep),
    "items": (items_by("id"), items_by("id"), replace, on_create),
}


@cache
def values(name: str) -> st.SearchStrategy[Any]:
    """Draw what may be sent for a field: mostly its pool, at times null or blank."""
    pool = POOLS[name]
    return st.sampled_from((*pool * (3 if name in KEYS else 2), *MISSING))


@cache
def patches(*, extra: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a patch, mostly with a key; *extra* lets it name an undeclared field."""
    keys = st.lists(st.sampled_from([*KEYS]), min_size=1, max_size=3, unique=True)
    names = [*RULES, *RULES, *(["extra"] if extra else ())]
    rest = st.lists(st.sampled_from(names), max_size=3)
    every = st.tuples(*map(values, POOLS))
    return st.builds(_patch, keys, rest, every)


def _patch(keys: list[str], rest: list[str], every: tuple[Any, ...]) -> dict[str, Any]:
    drawn = dict(zip(POOLS, every, strict=True))
    return {name: drawn[name] for name in dict.fromkeys([*rest[:1], *keys, *rest])}


def scopes() -> st.SearchStrategy[str]:
    """Draw a scope, mostly the first."""
    return st.sampled_from((*SCOPES[:1] * 3, *SCOPES[1:]))


def match_strategies(*, nobody: bool = True) -> st.SearchStrategy[Any]:
    """Draw a match strategy over one to three keys."""
    order = st.lists(st.sampled_from([*KEYS]), min_size=1, max_size=3, unique=True)
    made = st.sampled_from((first_match, first_match, first_present, all_agree))
    named = st.builds(lambda make, names: make(*names), made, order)
    return st.one_of(*[named] * 7, st.just(never())) if nobody else named


@st.composite
def lines(draw: st.DrawFn, name: str, *, strict: bool) -> Any:
    """Draw one line of a table; *strict* leaves out what breaks rule 1."""
    key = draw(st.sampled_from(KEYS[name])) if name in KEYS else None
    rules = [r for r in RULES[name] if not (strict and key and r is longest)]
    rule = draw(st.sampled_from(rules))
    unique = key is not None and draw(st.booleans())
    default = None if unique else draw(st.sampled_from((None, None, POOLS[name][0])))
    return field(
        key=key,
        unique=unique,
        required=name in NEEDED
        and rule.stores
        and draw(st.sampled_from((*[False] * 3, True))),
        clean=draw(st.sampled_from((None, None, tidy))),
        merge=rule,
        null=draw(st.sampled_from(("clear", "clear", "clear", "ignore", "reject"))),
        blank=draw(
            st.sampled_from(("store", "store", "store", "ignore", "clear", "reject"))
        ),
        default=default,
    )


@st.composite
def policies(
    draw: st.DrawFn,
    *,
    strict: bool = False,
    on_clash: tuple[str, ...] = ("refuse", "withhold", "allow"),
) -> Policy:
    """
    Draw a policy from the whole vocabulary.

    Args:
        draw: Given by Hypothesis.
        strict: Leave out what rule 1 does not speak of: matching nobody, creating
            without a key, and a custom rule on what identifies.
        on_clash: What may become of a clash.
    """
    absent = ("refuse",) if strict else ("refuse", "refuse", "create")
    create, update = draw(
        st.sampled_from(((True, True),) * 18 + ((True, False), (False, True)))
    )
    return Policy(
        draw(match_strategies(nobody=not strict)),
        {name: draw(lines(name, strict=strict)) for name in RULES},
        others=draw(st.sampled_from((None, replace, keep, ignore, longest))),
        on_many=draw(st.sampled_from(("refuse", "oldest", "newest"))),
        on_clash=draw(st.sampled_from(on_clash)),
        on_absent_key=draw(st.sampled_from(absent)),
        create=create,
        update=update,
    )


class Case(NamedTuple):
    """A policy, what a book under it has seen, and what it is to see next."""

    policy: Policy
    calls: list[tuple[dict[str, Any], str]]
    patch: dict[str, Any]
    scope: str


@st.composite
def cases(draw: st.DrawFn, /, **how: Any) -> Case:
    """Draw a case; mostly the book has seen somebody with the keys of the patch."""
    policy, patch, scope = draw(policies(**how)), draw(patches()), draw(scopes())
    calls = draw(st.lists(st.tuples(patches(), scopes()), max_size=5))
    if draw(st.sampled_from((True, True, False))):
        known = {name: patch[name] for name in patch if name in KEYS}
        calls.append((draw(patches(extra=False)) | known, scope))
    return Case(policy, calls, patch, scope)


def books(policy: Policy) -> ContactBook:
    """Make a book with ids of its own and a clock that moves a day at each look."""
    host, days = Host(), count()
    return ContactBook(
        policy,
        ids=host.ids,
        clock=lambda: datetime.fromordinal(738_000 + next(days)).replace(tzinfo=UTC),
    )


def cleaned(policy: Policy, name: str, raw: Any) -> Any:
    """Give what the rule of a field is handed for a sent value."""
    line, sent = policy.fields.get(name), freeze(raw)
    if line and line.clean and not empty(sent):
        sent = freeze(tidy(sent))
    return None if line and line.blank == "clear" and empty(sent) else sent


def tried(
    book: ContactBook, patch: dict[str, Any], scope: str = ""
) -> Outcome | errors.Refused:
    """Upsert, a refusal being an answer."""
    try:
        return book.upsert(patch, scope=scope)
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
    outcome = tried(fed(case), case.patch, case.scope)
    return outcome if isinstance(outcome, Outcome) else None


def rich_text() -> st.SearchStrategy[str]:
    """Draw any text: all of Unicode, lone surrogates among it, and near misses."""
    anything = st.text(st.characters(), max_size=40)
    marks = st.text(
        MARKS + string.ascii_letters,
        max_size=20,
    )
    address = st.builds("{}@{}".format, anything, marks)
    digits = st.text("0123456789+()-. \u2010\u0660\uff11/x", max_size=24)
    return st.one_of(anything, marks, address, digits)


def json_values() -> st.SearchStrategy[Any]:
    """Draw any value that JSON can say, mostly small and often nearly equal."""
    few = st.sampled_from((None, True, False, 0, 1, 1.0, 0.5, "", "a", "1"))
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    number = st.floats(allow_nan=False, allow_infinity=False)
    scalar = st.one_of(few, few, text, st.integers(), number)
    names = st.one_of(st.sampled_from(("a", "b")), text)
    return st.recursive(
        scalar,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)
        ),
        max_leaves=8,
    )
