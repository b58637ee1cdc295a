"""Inputs of tests/cases/torn.json: policies, books, calls, and what a book shows."""

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
from upsertcore.store.redo import CallRedo, Redo

__all__ = [
    "CASES",
    "RAISED",
    "Hostile",
    "World",
    "book_before",
    "call_text",
    "make_call",
    "states_from",
    "visible_state",
]

CASES: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "cases" / "torn.json").read_text("utf-8")
)
START = datetime(2024, 1, 2, tzinfo=UTC)


class Hostile(BaseException):
    """An exception of the application that no code expects."""


@dataclass(frozen=True)
class Frozen(Exception):
    """An exception that takes no attributes, such as a frozen dataclass."""

    code: int = 7


class Noted(Exception):
    """An exception whose notes are no list."""

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
    """The surroundings of a book: its ids, its clock, and what disturbs a call."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.stage = 0
        self.ids_made = 0
        self.outcomes: list[Any] = []
        self.plan: Any = None
        self.at = case.get("at")
        self.disturb: Callable[[], None] | None = None
        self.calls_left = 0
        self.text: Callable[[str], Any] = str
        self.time: Callable[[datetime], Any] = lambda time: time

    def begin(self, stage: int) -> None:
        """Number ids and set the time for a stage."""
        self.stage, self.ids_made = stage, 0

    def count_call(self, place: str) -> None:
        """Count a call of the application's functions at a place; disturb one."""
        if self.at == place and self.disturb is not None:
            self.calls_left -= 1
            if self.calls_left == 0:
                self.disturb()

    def ids(self) -> Any:
        """Make an id that depends only on the stage and its number there."""
        self.count_call("ids")
        self.ids_made += 1
        if self.stage == 1 and "spent" in self.case:
            return self.text(self.case["spent"])
        prefix = f"s{self.stage}-" if self.stage else "c-"
        return self.text(f"{prefix}{self.ids_made}")

    def clock(self) -> Any:
        """Return the time of the stage; before the call each contact advances it."""
        self.count_call("clock")
        hours = self.ids_made if self.stage == 0 else 24 * self.stage
        return self.time(START + timedelta(hours=hours))

    def patches(self, patches: Iterable[Any]) -> Iterator[Any]:
        """Yield the patches of a batch one by one, as a stream that may fail."""
        for patch in patches:
            self.count_call("patches")
            yield patch

    def counted(self, place: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a function of the application whose calls are counted."""

        def count_and_call(*values: Any) -> Any:
            self.count_call(place)
            return function(*values)

        return count_and_call


def rule(name: str) -> Rule:
    """Find the rule that a case names; ``latest:at`` is latest(by="at")."""
    name, _, by = name.partition(":")
    value = getattr(rules, name)
    result: Rule = value(by) if name == "items_by" else value(by=by) if by else value
    return result


def policy(case: dict[str, Any], world: World) -> Policy:
    """Make the policy of a case; its functions are counted where they are disturbed."""
    spec = dict(CASES["policies"][case["policy"]])
    counting = world.at in ("normalize", "clean", "rule")

    def form(name: str) -> Any:
        function = getattr(normalize, name)
        return world.counted("normalize", function) if counting else function

    def rule_for(name: str) -> Rule:
        if world.at == "rule" and name in (
            "union",
            "replace",
            "largest",
            "last_updated",
            "deep",
        ):
            combine = world.counted("rule", lambda old, new: new)
            return rules.custom(combine)
        return rule(name)

    def line(options: dict[str, Any]) -> Any:
        options = dict(options)
        if "key" in options:
            options["key"] = form(options["key"])
        for name in ("rule", "on_merge"):
            if name in options:
                options[name] = rule_for(options[name])
        if "clean" in options:
            options["clean"] = world.counted("clean", str.lower)
        return field(**options)

    kind, *arguments = spec.pop("match")
    options = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
    strategy: Strategy = getattr(match, kind)(*arguments, **options)
    keys = {
        name: key(*parts.pop("of"), normalize=form(parts.pop("normalize")), **parts)
        for name, parts in (
            (name, dict(parts)) for name, parts in spec.pop("keys", {}).items()
        )
    }
    fields = {name: line(options) for name, options in spec.pop("fields").items()}
    if "extra_fields" in spec:
        spec["extra_fields"] = line(spec["extra_fields"])
    return Policy(strategy, fields, keys=keys, **spec)


def book_before(case: dict[str, Any]) -> tuple[ContactBook, World]:
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
        world.outcomes.append(call_text(book, world, step)[1])
    if case["call"][0] == "apply":
        world.plan = book.plan(case["call"][1])
    world.begin(1)
    if "pending" in case:
        # An earlier call that was ended as soon as it took effect; none came after.
        _leave_pending(book, world, _takes_effect_at(json.dumps(case)))
        assert book._store.published is not book._store.completed
        world.begin(1)
    if case.get("queued"):
        # As an overtaken call of another thread does for a moment.
        queues = Thread(target=enqueue, args=(book._store, -12))
        queues.start()
        queues.join()
    return book, world


def _leave_pending(book: ContactBook, world: World, point: int) -> None:
    world.begin(5)
    interrupt(lambda: _make_call(book, world, world.case["pending"]), point)


def _make_call(book: ContactBook, world: World, step: list[Any]) -> None:
    """Make a call without its text: attrs keeps what it was showing when it ended."""
    with suppress(errors.UpsertError, IdInUse):
        make_call(book, world, step)


@cache
def _takes_effect_at(text: str) -> int:
    """Find the first point of the earlier call at which it takes effect."""
    case = json.loads(text)
    step = case.pop("pending")
    case.pop("queued", None)
    low = 0
    book, world = book_before(case)
    world.case = {**case, "pending": step}
    high = count_points(lambda: _make_call(book, world, step))
    while low < high:
        point = (low + high) // 2
        book, world = book_before(case)
        state = book._store.published
        world.case = {**case, "pending": step}
        _leave_pending(book, world, point)
        if book._store.published is state:
            low = point + 1
        else:
            high = point
    return low


class EqualFunction:
    """A function of the application that is equal to another one by value."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __call__(self, _stored: Any, patches_of: Any) -> Any:
        return patches_of

    def __hash__(self) -> int:
        self.world.count_call("same")
        return 7

    def __eq__(self, other: object) -> bool:
        self.world.count_call("same")
        return isinstance(other, EqualFunction)


def make_call(book: ContactBook, world: World, call: list[Any]) -> Any:
    """Make a call of a case."""
    verb, *rest = call
    options = dict(rest.pop()) if len(rest) > 1 and isinstance(rest[-1], dict) else {}
    if "rules" in options:
        options["rules"] = {
            name: rules.custom(EqualFunction(world)) if spec == "mine" else rule(spec)
            for name, spec in options["rules"].items()
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
        return book.upsert_many(batch, **options)
    return getattr(book, verb)(*rest, **options)


def call_text(book: ContactBook, world: World, call: list[Any]) -> tuple[str, Any]:
    """Make a call; return its result as text and as it is."""
    try:
        result = make_call(book, world, call)
    except (errors.UpsertError, IdInUse) as refusal:
        return f"{type(refusal).__name__}: {refusal}", refusal
    return repr(result), result


@cache
def patches_of(text: str) -> tuple[dict[str, Any], ...]:
    """List the patches of a case, given as JSON."""
    patches: list[dict[str, Any]] = []
    for verb, *rest in json.loads(text):
        if verb == "many":
            patches += rest[0]
        elif verb in ("upsert", "create", "apply"):
            patches.append(rest[0])
    return tuple(patches)


def visible_state(book: ContactBook, case: dict[str, Any]) -> str:
    """Return what a book shows: rows, keys, and the changes with their numbers."""
    rows = book.dump()
    json.dumps(rows)
    book._index.check()
    last = book._store.completed[ROW]
    # A purge retains nothing.
    assert not isinstance(last, Redo | CallRedo) or not (last.rows or last.outcomes)
    parts: list[Any] = [rows, len(book), [item.id for item in book]]
    scopes = sorted({row["scope"] for row in rows} | {""})
    pending = [case["pending"]] if "pending" in case else []
    for patch in patches_of(json.dumps([*case["before"], *pending, case["call"]])):
        for item in book.policy.all_keys:
            values = {part: patch[part] for part in item.fields if part in patch}
            for value in values.values() if len(item.fields) == 1 else (values,):
                parts += [
                    item.name,
                    *(ids_found(book, item.name, value, x) for x in scopes),
                ]
    if case["keep"] is None:
        parts.append(book.changes_since())
        assert repr(ContactBook.load(book.policy, rows).dump()) == repr(rows)
    elif case["keep"]:
        parts.append(retained_changes(book))
    return repr(parts)


def ids_found(book: ContactBook, name: str, value: Any, scope: str) -> Any:
    """Return the ids that a key finds, or the reason why there are none."""
    try:
        return [contact.id for contact in book.find(name, value, scope=scope)]
    except errors.UpsertError as refusal:
        return str(refusal)


def retained_changes(book: ContactBook) -> list[Any]:
    """Return the changes that a book retains, whatever their first number."""
    for number in range(100):
        with suppress(errors.ChangesNotRetained):
            return list(book.changes_since(number))
    return []


def states_from(book: ContactBook, world: World, case: dict[str, Any]) -> list[str]:
    """Return what a book shows before and after the call, and after further patches."""
    parts = [visible_state(book, case)]
    world.begin(2)
    parts += [call_text(book, world, case["call"])[0], visible_state(book, case)]
    world.begin(3)
    for step in (*case["before"], case["call"]):
        if step[0] in ("upsert", "create", "many"):
            parts.append(call_text(book, world, step)[0])
    parts += [
        call_text(book, world, ["upsert", PROBES[0]])[0],
        visible_state(book, case),
    ]
    rows = book.dump()
    parts.append(repr(ContactBook.load(book.policy, rows).dump() == rows))
    return parts


PROBES: list[dict[str, Any]] = [{"id": "probe", "email": "probe@x.org"}]
