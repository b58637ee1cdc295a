"""
Every Hypothesis strategy of the tests: tiny pools, whole policies, rich text.

Rules:
    Pools are so small that collisions are certain; ``rich_text`` is for normal forms.
    No strategy calls the library to learn what it should do.
    A host's callables stand here too, each with a fuse that a test may light.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from itertools import count, permutations
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
    key,
    merge_all,
    never,
    normalize,
    on_create,
    remove,
    replace,
    union,
)
from upsertcore.merge import (
    add,
    append,
    deep_keep,
    largest,
    latest,
    signed,
    smallest,
    unset,
)
from upsertcore.values import empty, freeze

NOW = datetime(2024, 1, 2, tzinfo=UTC)
SCOPES = ("", "east")
MAILBOXES = ("ada@x.org", " Ada@X.org", "ADA@x.org", "bob@x.org", "BOB@x.org ", "nope")
NUMBERS = ("+15550001111", "+1 (555) 000-1111", "+15550002222", "+1 555 000-2222", "12")
CODES = (7, "7", "A1", "A1", "a1", 7, True, " ")
NAMES = ("Ada", "Bo", " Ada ", " ", "bad", 1, 1.0, True)
TAGS = (["a"], ["b", "a"], ["-a", "c"], ["b"], ["b", "-b"], ["b", 1, True, "b"], "a")
NESTED: tuple[Any, ...] = (
    *({"a": 1}, {"a": None}, {"a": {"b": 1}}, {"a": {"b": None}, "c": []}, "a"),
    {"a": {"b": 2}, "c": "x"},
)
SCORES = (1, 1.0, 2, -1, 2.5, 3, "a", "b", True)
TIMES = (1, 2, 2.0, 3)
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
LATEST = latest(by="at")
ANY_RULE = (replace, keep, on_create, immutable, ignore, longest, LATEST, unset)
POOLS: dict[str, tuple[Any, ...]] = {
    "email": (*MAILBOXES, list(MAILBOXES[1:5]), [MAILBOXES[0], None, ""], ["b@x.org"]),
    "more": ([MAILBOXES[0]], list(MAILBOXES[1:5]), [MAILBOXES[3], "nope"], "a@x.org"),
    "phone": (*NUMBERS[:4], *NUMBERS, [NUMBERS[0], NUMBERS[3]]),
    "code": CODES,
    "name": NAMES,
    "score": SCORES,
    "at": TIMES,
    "tags": TAGS,
    "nested": NESTED,
    "items": ITEMS,
    "extra": NAMES,
}
NEEDED = ("email", "name")
KEYS: dict[str, tuple[Any, ...]] = {
    "email": (normalize.email, mailbox),
    "phone": (normalize.phone,),
    "code": (normalize.exact,),
}
"""Fields that may have a key of their own -> its normalisers."""
NAMED: dict[str, tuple[str, ...]] = {
    "person": ("name", "code"),
    "mails": ("email", "more"),
}
"""Keys of several fields; the first is a composite, the second holds each."""
FIELDS = {name: (name,) for name in KEYS} | NAMED
"""Name of a key -> its fields."""
RULES: dict[str, tuple[Any, ...]] = {
    "email": (*(replace,) * 4, *(keep,) * 2, on_create, on_create, immutable, union),
    "more": (union, union, replace, keep),
    "phone": (replace, replace, keep, on_create, longest, LATEST),
    "code": (replace, replace, keep, keep, immutable, smallest),
    "name": ANY_RULE,
    "score": (replace, add, largest, smallest, LATEST),
    "at": (replace, replace, largest, ignore),
    "tags": (union, union, remove, replace, keep, append, signed, LATEST),
    "nested": (deep, deep, deep_keep, deep_keep, replace, keep),
    "items": (items_by("id"), items_by("id"), replace, on_create),
}
ABSORB: dict[str, tuple[Any, ...]] = {
    "email": (replace, union),
    "more": (union, replace),
    "phone": (replace, longest),
    "code": (ignore, largest),
    "name": (longest, immutable, replace),
    "score": (add, largest, LATEST),
    "at": (largest,),
    "tags": (union, append),
    "nested": (deep, replace),
    "extra": (ignore, LATEST),
}
"""Rules between two contacts."""
BLOCKED: dict[str, tuple[Any, ...]] = {
    "email": (("BOB@*",), (re.compile("bob@.*"), "*.com")),
    "phone": (("+15550002222",),),
    "code": (("a1",), (*normalize.PLACEHOLDERS, re.compile("A1"))),
    "person": (("bo|*", "*|7"),),
    "mails": (("bob@*",),),
}
"""Name of a key -> what identifies nobody; no default is among it."""


def worth(name: str) -> tuple[Any, ...]:
    """List what may be sent for a field: mostly its pool, at times null or blank."""
    return (*POOLS[name] * (5 if name in KEYS else 2), *MISSING)


@cache
def values(name: str) -> st.SearchStrategy[Any]:
    """Draw what may be sent for a field."""
    return st.sampled_from(worth(name))


def chance(one_in: int) -> st.SearchStrategy[bool]:
    """Draw True once in so many draws."""
    return st.sampled_from((*[False] * (one_in - 1), True))


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
    time = st.sampled_from((*TIMES * 6, None, "2024", True))
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
    merge = names.flatmap(lambda n: st.fixed_dictionaries({k: rules[k] for k in n}))
    some: dict[str, Any] = {
        "merge": merge,
        "null": st.sampled_from((None, "clear", "ignore", "reject")),
        "blank": st.sampled_from((None, "store", "ignore", "clear", "reject")),
    }
    return st.one_of(*[st.just({})] * 2, st.fixed_dictionaries({}, optional=some))


def may_override(name: str, rule: Any, *, strict: bool) -> bool:
    """Tell whether a rule may stand in for that of a call, under any policy."""
    taken = rule.on_update or name not in NAMED["person"]
    return taken and (not strict or harmless(name, rule))


def harmless(name: str, rule: Any) -> bool:
    """Tell whether rule 1 speaks of a rule: not if a custom one moves what finds."""
    finds = any(name in fields for fields in FIELDS.values())
    return "idempotent" in rule.laws and not (finds and rule is longest)


def scopes() -> st.SearchStrategy[str]:
    """Draw a scope, mostly the first."""
    return st.sampled_from((*SCOPES[:1] * 3, *SCOPES[1:]))


@st.composite
def named_keys(draw: st.DrawFn) -> dict[str, Any]:
    """Draw keys of several fields, by name."""
    made: dict[str, Any] = {}
    if draw(st.booleans()):
        normal = (normalize.text, normalize.exact)
        made["person"] = key(*NAMED["person"], normalize=normal, **draw(holding()))
    if draw(chance(3)) or not made:
        joins, held = draw(st.booleans()), draw(holding())
        mails = NAMED["mails"]
        made["mails"] = key(
            *mails, normalize=normalize.email, each=True, joins=joins, **held
        )
    return made


@cache
def holding() -> st.SearchStrategy[dict[str, Any]]:
    """Draw how a key is held."""
    remember_limit = ((False, None),) * 4 + ((True, None), (True, 1), (True, 2))
    some = st.sampled_from((*remember_limit, (True, None), (False, 1), (False, 2)))
    return st.builds(
        lambda unique, pair: {"unique": unique, "remember": pair[0], "limit": pair[1]},
        chance(3),
        some,
    )


@st.composite
def match_strategies(
    draw: st.DrawFn,
    names: tuple[str, ...],
    *,
    plain: bool = False,
    nobody: bool = True,
    wanted: Any = None,
) -> Any:
    """Draw a match strategy over one to three of these keys."""
    if nobody and not wanted and draw(chance(12)):
        return never()
    order = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    makes: tuple[Any, ...] = (first_match, first_match, first_present, all_agree)
    if not plain:
        makes = (wanted,) if wanted else (*makes, merge_all)
    make = draw(st.sampled_from(makes))
    if plain or make is not first_match or len(order) == 1:
        return make(*order)
    how: Any = {"guard": draw(st.sampled_from(("if_set", "strict", None)))}
    if how["guard"] and alone(order[1:], names):
        how["contradicted"] = draw(st.sampled_from(("keep", "drop", "drop")))
    return first_match(*order, **how)


def alone(order: Iterable[str], names: tuple[str, ...]) -> bool:
    """Tell whether each of some keys can be left out of a patch by itself."""
    shared = [field for name in names for field in FIELDS[name]]
    return all(
        name != "person" and all(shared.count(each) == 1 for each in FIELDS[name])
        for name in order
    )


@st.composite
def lines(
    draw: st.DrawFn, name: str, *, strict: bool, held: Any, finds: bool, lone: bool
) -> Any:
    """
    Draw one line of a table.

    Args:
        draw: Given by Hypothesis.
        name: The name of the field.
        strict: Leave out what breaks rule 1.
        held: How a key of its own is held; None for no such key.
        finds: It is of a key of the strategy.
        lone: No unique key of several fields has it, so it may have a default.
    """
    rules = [r for r in RULES[name] if not strict or harmless(name, r)]
    rules = [r for r in rules if (r.stores or not finds) and (r.on_update or lone)]
    rule = draw(st.sampled_from(rules))
    lone = lone and not (held or {}).get("unique")
    own = {} if held is None else {"key": draw(st.sampled_from(KEYS[name])), **held}
    return field(
        **own,
        required=name in NEEDED and rule.stores and draw(chance(8)),
        clean=draw(st.sampled_from((None, None, None, tidy))),
        merge=rule,
        null=draw(st.sampled_from((*("clear", "ignore") * 8, "reject"))),
        blank=draw(st.sampled_from((*("store", "clear", "ignore") * 6, "reject"))),
        default=POOLS[name][0] if lone and draw(chance(3)) else None,
    )


@st.composite
def policies(
    draw: st.DrawFn,
    *,
    strict: bool = False,
    wanted: Any = None,
    on_clash: tuple[str, ...] = ("refuse", "withhold", "allow"),
) -> Policy:
    """
    Draw a policy from the whole vocabulary; one in three has no rare word.

    Args:
        draw: Given by Hypothesis.
        strict: Leave out what rule 1 does not speak of: matching nobody, creating
            without a key, rules that do not promise it, and a custom rule on what
            identifies.
        wanted: What makes the match strategy; any if None.
        on_clash: What may become of a clash.
    """
    plain = not wanted and draw(chance(3))
    named = {} if plain else draw(st.one_of(st.just({}), named_keys()))
    own = {
        name: {"unique": draw(st.booleans())} if plain else draw(holding())
        for name in KEYS
    }
    if "mails" in named and draw(st.booleans()):
        del own["email"]
    names = (*own, *named)
    match = draw(match_strategies(names, plain=plain, nobody=not strict, wanted=wanted))
    finding = {part for name in match.keys for part in FIELDS[name]}
    unique = {
        part for name, each in named.items() if each.unique for part in each.fields
    }
    table = {
        name: draw(
            lines(
                name,
                strict=strict,
                held=own.get(name),
                finds=name in finding,
                lone=name not in unique,
            )
        )
        for name in RULES
    }
    limited = [
        n for n, each in own.items() if each.get("limit") and not each["remember"]
    ]
    limited += [n for n, each in named.items() if each.limit and not each.remember]
    droppable = not limited and alone(match.keys, names)
    rare = {} if plain else draw(rarities(match, names, droppable=droppable))
    others = (None, replace, keep, ignore, longest, *([] if plain else [LATEST]))
    absent = ("refuse",) if strict else ("refuse", "refuse", "create")
    create, update = draw(
        st.sampled_from(((True, True),) * 48 + ((True, False),) * 2 + ((False, True),))
    )
    common: Any = {
        "others": draw(st.sampled_from(others)),
        "on_many": draw(st.sampled_from(("refuse", "oldest", "newest"))),
        "on_clash": draw(st.sampled_from(on_clash)),
        "on_absent_key": draw(st.sampled_from(absent)),
        "on_deleted": draw(st.sampled_from(("forget", "forget", "restore", "refuse"))),
        "create": create,
        "update": update,
    }
    return Policy(match, table, keys=named, **(common | rare))


@st.composite
def rarities(
    draw: st.DrawFn, match: Any, names: tuple[str, ...], *, droppable: bool
) -> dict[str, Any]:
    """Draw what few policies say: blocked values, limits, absorbing, no updates."""
    made: dict[str, Any] = {}
    if draw(chance(3)):
        some = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
        made["blocked"] = {name: draw(st.sampled_from(BLOCKED[name])) for name in some}
        whole = "person" in some
        hows = ("store", "refuse") if whole else ("store", "ignore", "refuse")
        made["on_blocked"] = draw(st.sampled_from(hows))
    if match.name == "merge_all" and droppable:
        made["on_limit"] = draw(st.sampled_from(("drop", "drop", "refuse")))
    if match.name == "merge_all" or draw(st.booleans()):
        some = draw(st.lists(st.sampled_from([*ABSORB][:-1]), max_size=3, unique=True))
        made["absorb"] = {name: draw(st.sampled_from(ABSORB[name])) for name in some}
    if draw(chance(15)):
        made |= {"update": "ignore", "create": True}
    return made


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
