"""Inputs of tests/cases/torn.json: policies, books and calls; what a book shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

from tests.interrupted.points import count_points, interrupt
from upsertcore import ContactBook, Policy, errors, field, key, normalize, rules
from upsertcore.matching import strategies as match
from upsertcore.matching.protocol import Strategy
from upsertcore.model.write_record import ROW
from upsertcore.rules.rule import Rule
from upsertcore.store.ids import IdInUse
from upsertcore.store.queue import enqueue
from upsertcore.store.redo import Redo

__all__ = [
    "CASES",
    "RAISED",
    "Hostile",
    "World",
    "chain",
    "done",
    "made",
    "shown",
    "told",
]

CASES: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "cases" / "torn.json").read_text("utf-8")
)
START = datetime(2024, 1, 2, tzinfo=UTC)


class Hostile(BaseException):
    """What nobody expects, raised by a function of the application."""


@dataclass(frozen=True)
class Frozen(Exception):
    """An exception that takes no attributes, as a frozen dataclass makes one."""

    code: int = 7


class Noted(Exception):
    """An exception that has notes of its own kind."""

    __notes__: Any = "not a list"


RAISED: dict[str, Callable[[], BaseException]] = {
    "Hostile": Hostile,
    "Frozen": Frozen,
    "Noted": Noted,
    "NoMatchKey": lambda: errors.NoMatchKey(("email",)),
    "UnknownContact": lambda: errors.UnknownContact("c-9"),
    "MissingField": lambda: errors.MissingField("name"),
    "DuplicatePatch": lambda: errors.DuplicatePatch(0, (1,)),
    "UnknownField": lambda: errors.UnknownField("name", ()),
    "Group": lambda: ExceptionGroup("of the application", [ValueError()]),
    "StaleVersion": lambda: errors.StaleVersion("c-9", 1, 2),
    **{
        kind.__name__: kind
        for kind in (
            *(KeyError, StopIteration, KeyboardInterrupt, AttributeError, SystemExit),
            *(GeneratorExit, MemoryError, RecursionError, TypeError, IndexError),
            *(LookupError, StopAsyncIteration, AssertionError, RuntimeError, OSError),
            *(NotImplementedError, TimeoutError, ArithmeticError, BufferError),
        )
    },
}


class World:
    """What is around a book: its ids, its clock, and what disturbs a call."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.stage = 0
        self.drawn = 0
        self.outcomes: list[Any] = []
        self.plan: Any = None
        self.at = case.get("at")
        self.disturb: Callable[[], None] | None = None
        self.left = 0
        self.text: Callable[[str], Any] = str
        self.time: Callable[[datetime], Any] = lambda time: time

    def begin(self, stage: int) -> None:
        """Number ids and set the time as this stage has them, whatever was drawn."""
        self.stage, self.drawn = stage, 0

    def touched(self, place: str) -> None:
        """Count the calls of the application's functions at a place; disturb one."""
        if self.at == place and self.disturb is not None:
            self.left -= 1
            if self.left == 0:
                self.disturb()

    def ids(self) -> Any:
        """Make an id that only the stage and the number within it decide."""
        self.touched("ids")
        self.drawn += 1
        if self.stage == 1 and "spent" in self.case:
            return self.text(self.case["spent"])
        prefix = f"s{self.stage}-" if self.stage else "c-"
        return self.text(f"{prefix}{self.drawn}")

    def clock(self) -> Any:
        """Return the time of the stage; before the call it moves with each contact."""
        self.touched("clock")
        hours = self.drawn if self.stage == 0 else 24 * self.stage
        return self.time(START + timedelta(hours=hours))

    def patches(self, patches: Iterable[Any]) -> Iterator[Any]:
        """Hand on the patches of a batch one by one, as a stream that may fail."""
        for patch in patches:
            self.touched("patches")
            yield patch

    def watched(self, place: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a function of the application that is counted at a place."""

        def called(*values: Any) -> Any:
            self.touched(place)
            return function(*values)

        return called


def rule(name: str) -> Rule:
    """Find the rule that a case names; ``latest:at`` is latest(by="at")."""
    name, _, by = name.partition(":")
    found = getattr(rules, name)
    made: Rule = found(by) if name == "items_by" else found(by=by) if by else found
    return made


def policy(case: dict[str, Any], world: World) -> Policy:
    """Make the policy of a case; where functions are disturbed they are watched."""
    spec = dict(CASES["policies"][case["policy"]])
    watch = world.at in ("normalize", "clean", "rule")

    def form(name: str) -> Any:
        function = getattr(normalize, name)
        return world.watched("normalize", function) if watch else function

    def ruled(name: str) -> Rule:
        if world.at == "rule" and name in (
            "union",
            "replace",
            "largest",
            "last_updated",
            "deep",
        ):
            combine = world.watched("rule", lambda old, new: new)
            return rules.custom(combine)
        return rule(name)

    def line(options: dict[str, Any]) -> Any:
        options = dict(options)
        if "key" in options:
            options["key"] = form(options["key"])
        for name in ("rule", "on_merge"):
            if name in options:
                options[name] = ruled(options[name])
        if "clean" in options:
            options["clean"] = world.watched("clean", str.lower)
        return field(**options)

    kind, *arguments = spec.pop("match")
    options = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
    strategy: Strategy = getattr(match, kind)(*arguments, **options)
    keys = {
        name: key(*how.pop("of"), normalize=form(how.pop("normalize")), **how)
        for name, how in (
            (name, dict(how)) for name, how in spec.pop("keys", {}).items()
        )
    }
    fields = {name: line(options) for name, options in spec.pop("fields").items()}
    if "extra_fields" in spec:
        spec["extra_fields"] = line(spec["extra_fields"])
    return Policy(strategy, fields, keys=keys, **spec)


def made(case: dict[str, Any]) -> tuple[ContactBook, World]:
    """Make the book of a case as it is before the call."""
    world = World(case)
    book = ContactBook(
        policy(case, world),
        ids=world.ids,
        clock=world.clock,
        retain_calls=case.get("calls", 1000),
        retain_changes=case["keep"],
    )
    for step in case["before"]:
        world.outcomes.append(told(book, world, step)[1])
    if case["call"][0] == "apply":
        world.plan = book.plan(case["call"][1])
    world.begin(1)
    if "pending" in case:
        # An earlier call that was ended as soon as it counted; nobody came since.
        _left_pending(book, world, _counts_at(json.dumps(case)))
        assert book._store.published is not book._store.completed
        world.begin(1)
    if case.get("queued"):
        # As a call of another thread does that has been overtaken; for a moment.
        queues = Thread(target=enqueue, args=(book._store, -12))
        queues.start()
        queues.join()
    return book, world


def _left_pending(book: ContactBook, world: World, point: int) -> None:
    world.begin(5)
    interrupt(lambda: told(book, world, world.case["pending"]), point)


@cache
def _counts_at(text: str) -> int:
    """Find the first point of the call before at which it counts."""
    case = json.loads(text)
    step = case.pop("pending")
    case.pop("queued", None)
    low = 0
    book, world = made(case)
    world.case = {**case, "pending": step}
    high = count_points(lambda: told(book, world, step))
    while low < high:
        point = (low + high) // 2
        book, world = made(case)
        state = book._store.published
        world.case = {**case, "pending": step}
        _left_pending(book, world, point)
        if book._store.published is state:
            low = point + 1
        else:
            high = point
    return low


class Mine:
    """A function of the application that is equal to another one by value."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __call__(self, _stored: Any, sent: Any) -> Any:
        return sent

    def __hash__(self) -> int:
        self.world.touched("same")
        return 7

    def __eq__(self, other: object) -> bool:
        self.world.touched("same")
        return isinstance(other, Mine)


def done(book: ContactBook, world: World, call: list[Any]) -> Any:
    """Make a call of a case."""
    verb, *rest = call
    how = dict(rest.pop()) if len(rest) > 1 and isinstance(rest[-1], dict) else {}
    if "rules" in how:
        how["rules"] = {
            name: rules.custom(Mine(world)) if each == "mine" else rule(each)
            for name, each in how["rules"].items()
        }
    if verb == "apply":
        return book.apply(world.plan)
    if verb == "undo":
        return book.undo(world.outcomes[rest[0]])
    if verb == "load":
        return ContactBook.load(book.policy, book.dump()).dump()
    if verb == "from_changes":
        return ContactBook.from_changes(book.policy, book.changes_since()).dump()
    if verb == "compare":
        return book.compare(book.policy, rest[0])
    if verb == "many":
        batch = world.patches(rest[0]) if world.at == "patches" else rest[0]
        return book.upsert_many(batch, **how)
    return getattr(book, verb)(*rest, **how)


def told(book: ContactBook, world: World, call: list[Any]) -> tuple[str, Any]:
    """Make a call; return in text, and as it is, what came of it."""
    try:
        result = done(book, world, call)
    except (errors.UpsertError, IdInUse) as refusal:
        return f"{type(refusal).__name__}: {refusal}", refusal
    return repr(result), result


@cache
def sent(text: str) -> tuple[dict[str, Any], ...]:
    """List the patches of a case, given as JSON."""
    patches: list[dict[str, Any]] = []
    for verb, *rest in json.loads(text):
        if verb == "many":
            patches += rest[0]
        elif verb in ("upsert", "create", "apply"):
            patches.append(rest[0])
    return tuple(patches)


def shown(book: ContactBook, case: dict[str, Any]) -> str:
    """Return what the book shows: rows, keys, and the changes with their numbers."""
    rows = book.dump()
    json.dumps(rows)
    book._index.check()
    last = book._store.completed[ROW]
    # Of a purge nothing is retained.
    assert not isinstance(last, Redo) or not (last.rows or last.outcomes)
    parts: list[Any] = [rows, len(book), [each.id for each in book]]
    scopes = sorted({row["scope"] for row in rows} | {""})
    pending = [case["pending"]] if "pending" in case else []
    for patch in sent(json.dumps([*case["before"], *pending, case["call"]])):
        for each in book.policy.all_keys:
            values = {part: patch[part] for part in each.fields if part in patch}
            for value in values.values() if len(each.fields) == 1 else (values,):
                parts += [
                    each.name,
                    *(finds(book, each.name, value, x) for x in scopes),
                ]
    if case["keep"] is None:
        parts.append(book.changes_since())
        assert repr(ContactBook.load(book.policy, rows).dump()) == repr(rows)
    elif case["keep"]:
        parts.append(latest(book))
    return repr(parts)


def finds(book: ContactBook, name: str, value: Any, scope: str) -> Any:
    """Return the ids of those whom a key finds, or why there are none."""
    try:
        return [each.id for each in book.find(name, value, scope=scope)]
    except errors.UpsertError as refusal:
        return str(refusal)


def latest(book: ContactBook) -> list[Any]:
    """Return the changes that a book still keeps, whatever their first number."""
    for number in range(100):
        with suppress(errors.ChangesNotRetained):
            return list(book.changes_since(number))
    return []


def chain(book: ContactBook, world: World, case: dict[str, Any]) -> list[str]:
    """Return what a book shows, makes of the call, and of all patches after it."""
    parts = [shown(book, case)]
    world.begin(2)
    parts += [told(book, world, case["call"])[0], shown(book, case)]
    world.begin(3)
    for step in (*case["before"], case["call"]):
        if step[0] in ("upsert", "create", "many"):
            parts.append(told(book, world, step)[0])
    parts += [told(book, world, ["upsert", PROBES[0]])[0], shown(book, case)]
    rows = book.dump()
    parts.append(repr(ContactBook.load(book.policy, rows).dump() == rows))
    return parts


PROBES: list[dict[str, Any]] = [{"id": "probe", "email": "probe@x.org"}]
