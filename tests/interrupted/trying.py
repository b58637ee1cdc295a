"""Try an input of tests/cases/torn.json: interrupt its call, and compare the book."""

from __future__ import annotations

import gc
import json
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from tests.interrupted.disguise import disguised, disguised_ids
from tests.interrupted.points import count_points, interrupt
from tests.interrupted.torn import CASES, RAISED, World, chain, done, made, told
from tests.interrupted.ways import (
    alarm,
    child_goes_on,
    collections,
    deep,
    forked,
    from_a_thread,
    opcodes,
    unhung,
    with_garbage,
)
from upsertcore import ContactBook, errors
from upsertcore.engine.outcome import Outcome
from upsertcore.store.ids import IdInUse

__all__ = ["WAYS", "Torn", "tried"]

Case = dict[str, Any]


class Torn(Exception):
    """A book is neither the one before a call nor the one after it."""


def evenly(count: int, wanted: int | None, shift: int) -> Iterable[int]:
    """Choose so many numbers below a count, evenly, beginning at a shift."""
    if wanted is None or count <= wanted:
        return range(count)
    return sorted({(k * count // wanted + shift) % count for k in range(wanted)})


def folded(case: Case) -> list[list[list[Any]]]:
    """List, for each prefix of what a call does one by one, these calls."""
    book, world = made(case)
    kind, *rest = case["call"]
    steps: list[list[Any]] = []
    if kind == "many":
        how = rest[1] if len(rest) > 1 else {}
        with suppress(errors.UpsertError):
            results = done(
                book, world, ["many", rest[0], {**how, "on_refused": "collect"}]
            )
            for patch, result in zip(rest[0], results, strict=True):
                if isinstance(result, errors.Refused):
                    if how.get("on_refused") != "collect":
                        break
                else:
                    steps.append(["upsert", patch])
    else:
        for each in done(book, world, case["call"]):
            ids = [contact.id for contact in each.merged]
            steps.append(["merge", each.contact.id, *ids])
    return [steps[:count] for count in range(len(steps) + 1)]


def right(case: Case) -> list[list[str]]:
    """List what may be seen after the call: what books show that nothing disturbed."""
    kind = case["right"]
    ways = folded(case) if kind == "fold" else [[], [case["call"]]]
    if kind == "before":
        ways = ways[:1]
    answers = []
    for steps in ways:
        book, world = made(case)
        for step in steps:
            told(book, world, step)
        answers.append(chain(book, world, case))
    return answers


def check(case: Case, book: ContactBook, world: World, allowed: list[list[str]]) -> int:
    """Return which of the allowed books this one is."""
    now = chain(book, world, case)
    if now not in allowed:
        near = min(
            allowed,
            key=lambda each: sum(a != b for a, b in zip(each, now, strict=True)),
        )
        which = [n for n, (a, b) in enumerate(zip(near, now, strict=True)) if a != b]
        raise Torn(f"step {which[0]}: {now[which[0]]}\n  not {near[which[0]]}")
    return allowed.index(now)


def tried(case: Case, wanted: int | None, shift: int = 0) -> str:
    """Interrupt the call of a case at some of its points, or at all of them."""
    return WAYS[case["way"]](case, wanted, shift)


@contextmanager
def _unraisable() -> Iterator[list[str]]:
    """Let an exception in a callback of a weak reference be ignored without a word."""
    ignored: list[str] = []

    def ignore(unraisable: Any) -> None:
        ignored.append(repr(unraisable.exc_value))

    hook, sys.unraisablehook = sys.unraisablehook, ignore
    try:
        yield ignored
    finally:
        sys.unraisablehook = hook


def _each(
    case: Case, points: Iterable[Any], end: Callable[[Callable[[], object], Any], bool]
) -> str:
    allowed = right(case)
    counts = [0] * len(allowed)
    ended = 0
    for point in points:
        book, world = made(case)
        with _unraisable():
            came = end(lambda: done(book, world, case["call"]), point)  # noqa: B023
        if came:
            ended += 1
            may = allowed
        else:
            may = allowed if case["right"] == "before" else allowed[-1:]
        try:
            counts[check(case, book, world, may)] += 1
        except (Torn, AssertionError, errors.UpsertError) as error:
            raise Torn(f"point {point}: {error!r}") from error
    return f"{ended} ended; {counts}"


def _refusable(end: Callable[..., bool]) -> Callable[[Callable[[], object], Any], bool]:
    def ends(call: Callable[[], object], point: Any) -> bool:
        def refusable() -> None:
            with suppress(errors.UpsertError, IdInUse):
                call()

        return end(refusable, point)

    return ends


def _raise(case: Case, wanted: int | None, shift: int) -> str:
    book, world = made(case)
    count = count_points(lambda: told(book, world, case["call"]))
    points = evenly(count, wanted, shift)
    if "raises" not in case:
        return _each(case, points, _refusable(interrupt))
    kind = RAISED[case["raises"]]
    return _each(case, points, _refusable(lambda c, point: interrupt(c, point, kind)))


def _alarm(case: Case, wanted: int | None, shift: int) -> str:
    times = [1e-5 + (k * 7 + shift) % 60 * 5e-6 for k in range(wanted or 300)]
    return _each(case, times, _refusable(alarm))


def _thread(case: Case, wanted: int | None, shift: int) -> str:
    turns = [(k * 37 + shift) % 4000 for k in range((wanted or 400) // 2)]

    def end(call: Callable[[], object], turn: int) -> bool:
        return from_a_thread(call, turn, case["way"])

    return _each(case, turns, _refusable(end))


def _recursion(case: Case, wanted: int | None, shift: int) -> str:
    return _each(case, evenly(60, wanted, shift), _refusable(deep))


def _serial(case: Case) -> list[list[str]]:
    """
    List what may be seen where other calls are made in the middle of this one.

    Each of the other calls may be refused, for it would wait for ever.
    """
    orders = [([case["call"]], place) for place in (0, 1)]
    if case["call"][0] in ("many", "dedupe") and "atomic" not in str(case["call"]):
        steps = folded(case)[-1]
        orders += [(steps, place) for place in range(len(steps) + 1)]
    answers = []
    for parts in ([], [0], [1], [0, 1]):
        for steps, place in orders:
            book, world = made(case)
            for step in steps[:place]:
                told(book, world, step)
            inner(book, world, parts)
            for step in steps[place:]:
                told(book, world, step)
            answers.append(chain(book, world, case))
    return answers


def inner(book: ContactBook, world: World, parts: Iterable[int] = (0, 1)) -> str:
    """Call a book in the middle of another call; return what came of it."""
    stage, drawn = world.stage, world.drawn
    world.begin(7)
    disturb, world.disturb = world.disturb, None
    case = world.case
    first = case["before"][0][1]
    other = INNER.get(case["policy"], {"email": "inner@x.org"})
    calls: list[Callable[[], object]] = [
        lambda: book.upsert(first),
        lambda: book.create({**first, **other}),
    ]
    does = case.get("does")
    if does in ("delete", "purge", "merge", "undo", "dedupe"):
        calls = [
            lambda: done(book, world, [does, *case["to"]]),
            lambda: book.upsert(first),
        ]
    if does == "write":
        # The first one is done without a plan, and looks at no lock before.
        calls = [
            lambda: book.upsert({**first, **other}),
            lambda: book.upsert({**first, "name": "inner"}),
        ]
    if does == "read" or case["way"] == "finaliser_read":
        calls = [
            lambda: (book.dump(), len(book)),
            lambda: (list(book), book.plan(first)),
        ]
    said = []
    for part in parts:
        try:
            calls[part]()
        except (RuntimeError, errors.UpsertError) as error:
            own = isinstance(error, RuntimeError)
            said.append(str(error) if own else type(error).__name__)
    world.stage, world.drawn, world.disturb = stage, drawn, disturb
    return " ".join(said)


INNER: dict[str, dict[str, Any]] = {
    "plain": {"id": "inner", "email": "inner@x.org"},
    "alias": {"user": "inner", "email": "inner@x.org"},
    "crew": {"user": "inner", "emails": ["inner@x.org"]},
    "strict": {"id": "inner", "email": "inner@x.org", "phone": "inner"},
    "pair": {"id": "inner", "phones": ["inner"]},
    "nest": {"a": "inner"},
    "trio": {"a": "inner", "c": "inner@x.org"},
    "screen": {"device": "inner", "email": "inner@x.org", "name": "I"},
}


def _finaliser(case: Case, wanted: int | None, shift: int) -> str:
    allowed = _serial(case)
    book, world = made(case)
    count = collections(lambda: told(book, world, case["call"]))
    counts = [0] * len(allowed)
    said: dict[str, int] = {}
    for point in evenly(count, wanted, shift):
        book, world = made(case)
        results: list[str] = []

        def again() -> None:
            with unhung():
                results.append(inner(book, world))  # noqa: B023

        with _unraisable() as ignored:
            with_garbage(lambda: told(book, world, case["call"]), point, again)  # noqa: B023
        if ignored:
            raise Torn(f"point {point}: {ignored[0]}")
        said[repr(results)] = said.get(repr(results), 0) + 1
        try:
            counts[check(case, book, world, allowed)] += 1
        except (Torn, AssertionError, errors.UpsertError) as error:
            raise Torn(f"point {point}, {results}: {error!r}") from error
    return f"{counts} {said}"


def _fork(case: Case, wanted: int | None, shift: int) -> str:
    allowed = right(case)
    book, world = made(case)
    count = opcodes(lambda: told(book, world, case["call"]))
    for point in evenly(count, 400 if wanted is None else wanted // 3, shift):
        book, world = made(case)

        def told_by_the_child() -> str:
            check(case, book, world, allowed)  # noqa: B023
            return ""

        said = forked(
            lambda: told(book, world, case["call"]),  # noqa: B023
            point,
            told_by_the_child,
        )
        if said:
            raise Torn(f"point {point}: {said}")
        check(case, book, world, allowed[-1:])
    return f"{count} instructions"


def _host(case: Case, wanted: int | None, shift: int) -> str:
    allowed = right(case)
    for number in range(1, 1 + (wanted or 1_000)):
        book, world = made(case)
        error = RAISED[case["raises"]]()

        def disturb() -> None:
            raise error  # noqa: B023

        world.disturb, world.left = disturb, number
        came = None
        try:
            result = done(book, world, case["call"])
        except BaseException as raised:  # noqa: BLE001 - it is compared
            came = raised
            result = None
        world.disturb = None
        if world.left > 0:
            return f"{number - 1} calls"
        collected = isinstance(result, list) and error in result
        if came is not error and not collected:
            raise Torn(f"call {number}: {came!r} is not what was raised; {result!r}")
        try:
            check(case, book, world, allowed)
        except (Torn, AssertionError, errors.UpsertError) as wrong:
            if not collected:
                raise Torn(f"call {number}: {wrong!r}") from wrong
    return f"{wanted} calls"


def _reenter(case: Case, wanted: int | None, shift: int) -> str:
    allowed = _serial(case)
    said = []
    for number in range(1, 1 + (wanted or 1_000)):
        book, world = made(case)
        results: list[str] = []

        def disturb() -> None:
            results.append(inner(book, world))  # noqa: B023

        call = disguised_ids(case, world) if "what" in case else case["call"]
        world.disturb, world.left = disturb, number
        told(book, world, call)
        world.disturb = None
        if "middle of a call" in str(results):
            raise Torn(f"call {number}: a function of the application has the lock")
        if world.left > 0:
            break
        said += results
        try:
            check(case, book, world, allowed)
        except (Torn, AssertionError, errors.UpsertError) as wrong:
            raise Torn(f"call {number}, {results}: {wrong!r}") from wrong
    return f"{said}"


def _sent(case: Case, wanted: int | None, shift: int) -> str:
    case = {**case, "at": "sent"}
    kind = RAISED[case.get("raises", "RuntimeError")]
    came: dict[str, int] = {}
    for number in range(1, 1 + (wanted or 1_000)):
        book, world = made(case)
        call = disguised(case, world)
        error = kind()

        def disturb() -> None:
            raise error  # noqa: B023

        world.disturb, world.left = disturb, number
        raised: BaseException | None = None
        try:
            done(book, world, call)
        except (type(error), RuntimeError, errors.UpsertError) as found:
            raised = found
        world.disturb = None
        world.text, world.time = str, lambda time: time
        if raised is not None and raised is not error and world.left <= 0:
            raise Torn(f"call {number}: {raised!r} is not what was raised")
        # The call itself is compared as plain values.
        allowed = right({**case, "right": "either"})
        if isinstance(raised, errors.UpsertError):
            allowed = allowed[:1]
        came[repr(raised)] = came.get(repr(raised), 0) + 1
        try:
            if case["what"] not in ("int_index", "float_eq"):
                check(case, book, world, allowed)
            ordinary(book)
        except (Torn, AssertionError, errors.UpsertError) as wrong:
            raise Torn(f"call {number}, {raised!r}: {wrong!r}") from wrong
        if world.left > 0:
            return f"{number - 1} {came}"
    return f"{wanted} {came}"


def ordinary(book: ContactBook) -> None:
    """Check that contacts hold nothing of the application's classes."""
    plain(book.dump())
    for contact in book:
        plain([contact.id, contact.scope])
        assert type(contact.created_at) is datetime, type(contact.created_at)


def plain(value: Any) -> None:
    """Check that a value is made of Python's own types."""
    assert type(value) in (dict, list, str, int, float, bool, type(None)), type(value)
    for each in [*value, *value.values()] if isinstance(value, dict) else ():
        plain(each)
    for each in value if isinstance(value, list) else ():
        plain(each)


def _twice(case: Case, wanted: int | None, shift: int) -> str:
    then = case["then"]
    allowed = []
    for steps in ([], [case["call"]]):
        for after in ([], [then]):
            book, world = made(case)
            for step in steps:
                told(book, world, step)
            world.begin(6)
            for step in after:
                told(book, world, step)
            allowed.append(chain(book, world, case))
    tries = 0
    few = 40 if wanted is None else 3
    for point in _counted(case, wanted, shift):
        book, world = made(case)
        _refusable(interrupt)(lambda: done(book, world, case["call"]), point)  # noqa: B023
        # Only there is something to be completed.
        pending = book._store.published is not book._store.completed
        world.begin(6)
        count = count_points(lambda: told(book, world, then))  # noqa: B023
        for again in evenly(count, few if pending else 1, shift + point):
            book, world = made(case)
            end = _refusable(interrupt)
            end(lambda: done(book, world, case["call"]), point)  # noqa: B023
            world.begin(6)
            end(lambda: done(book, world, then), again)  # noqa: B023
            tries += 1
            try:
                check(case, book, world, allowed)
            except (Torn, AssertionError, errors.UpsertError) as wrong:
                raise Torn(f"points {point}, {again}: {wrong!r}") from wrong
    return f"{tries} tries"


def _counted(case: Case, wanted: int | None, shift: int) -> list[int]:
    """Choose points of a call at which it counts, or was about to."""
    book, world = made(case)
    count = count_points(lambda: told(book, world, case["call"]))
    before = made(case)[0]._store.completed[:4]
    low, high = 0, count
    while low < high:
        point = (low + high) // 2
        book, world = made(case)
        _refusable(interrupt)(lambda: done(book, world, case["call"]), point)  # noqa: B023
        if repr(book._store.published[:4]) == repr(before):
            low = point + 1
        else:
            high = point
    begin = max(0, low - 3)
    return [begin + each for each in evenly(count - begin, wanted, shift)]


def _write(book: ContactBook, world: World, number: int) -> None:
    stage, drawn = world.stage, world.drawn
    world.begin(7)
    try:
        text = json.dumps(world.case["by"]).replace("?", str(number))
        book.upsert(json.loads(text))
    finally:
        world.stage, world.drawn = stage, drawn


def _overtaking(case: Case) -> tuple[ContactBook, World]:
    book, world = made(case)
    written = 0

    def disturb() -> None:
        nonlocal written
        world.left = 1
        if written < case["times"]:
            world.disturb, written = None, written + 1
            try:
                _write(book, world, written)
            finally:
                world.disturb = disturb

    world.disturb, world.left = disturb, 1
    return book, world


def _overtaken(case: Case, wanted: int | None, shift: int) -> str:
    """Let a function of the policy write the contact in each attempt, some times."""
    allowed = []
    for number in range(case["times"] + 1):
        for steps in ([], [case["call"]]):
            book, world = made(case)
            for k in range(number):
                _write(book, world, k + 1)
            for step in steps:
                told(book, world, step)
            allowed.append(chain(book, world, case))
    book, world = _overtaking(case)
    count = count_points(lambda: told(book, world, case["call"]))
    counts = [0] * len(allowed)
    for point in evenly(count, wanted, shift):
        book, world = _overtaking(case)
        _refusable(interrupt)(lambda: done(book, world, case["call"]), point)  # noqa: B023
        world.disturb = None
        world.begin(1)
        try:
            counts[check(case, book, world, allowed)] += 1
        except (Torn, AssertionError, errors.UpsertError) as wrong:
            raise Torn(f"point {point}: {wrong!r}") from wrong
    return f"{count} points, {counts}"


def _fork_inside(case: Case, wanted: int | None, shift: int) -> str:
    allowed = right(case)
    book, world = made(case)
    count = opcodes(lambda: told(book, world, case["call"]))
    counts = [0] * len(allowed)
    for point in evenly(count, 300 if wanted is None else wanted // 3, shift):
        book, world = made(case)
        which = child_goes_on(
            lambda: told(book, world, case["call"]),  # noqa: B023
            point,
            lambda: str(check(case, book, world, allowed)),  # noqa: B023
        )
        if not which.isdigit():
            raise Torn(f"point {point}: {which}")
        counts[int(which)] += 1
        check(case, book, world, allowed[-1:])
    return f"{count} instructions, {counts}"


def _without_memory(case: Case, wanted: int | None, shift: int) -> str:
    """Let allocations of the call fail, one at a time; in a process of its own."""
    import _testcapi  # type: ignore[import-not-found]

    # How many allocations fail, one after the other; 0 for all that follow.
    lasts = case.get("lasts", 1)

    def fails(call: Callable[[], object], number: int) -> bool:
        _testcapi.set_nomemory(number, number + lasts if lasts else 0)
        try:
            call()
        except (MemoryError, SystemError, RuntimeError):
            # CPython's own: "error return without exception", "can't allocate lock".
            return True
        except errors.UpsertError:
            return False
        finally:
            _testcapi.remove_mem_hooks()
        return False

    gc.disable()
    count = 64
    while True:
        book, world = made(case)
        if not fails(lambda: done(book, world, case["call"]), count):  # noqa: B023
            break
        count *= 2
    return _each(case, evenly(count, wanted, shift), fails)


def _dropped(case: Case, _wanted: int | None, _shift: int) -> str:
    """Let a weak reference call the book when it drops a contact."""
    allowed = _serial(case)
    book, world = made(case)
    results: list[str] = []
    armed = False

    def gone(_reference: object) -> None:
        if armed:
            with unhung():
                results.append(inner(book, world))

    outcomes = [each for each in world.outcomes if isinstance(each, Outcome)]
    outcomes += [each.outcome for each in book._store.journal.entries if each.outcome]
    contacts = [one for each in outcomes for one in (each.contact, each.before) if one]
    references = [weakref.ref(each, gone) for each in contacts]
    if case["call"][0] != "undo":
        world.outcomes.clear()
    outcomes, contacts, armed = [], [], True
    with _unraisable() as ignored:
        told(book, world, case["call"])
    armed = False
    if ignored:
        raise Torn(f"{ignored[0]}")
    try:
        check(case, book, world, allowed)
    except (Torn, AssertionError, errors.UpsertError) as error:
        raise Torn(f"{results}: {error!r}") from error
    return f"{len(references)} contacts, {results}"


WAYS: dict[str, Callable[[Case, int | None, int], str]] = {
    "raise": _raise,
    "alarm": _alarm,
    "ctrl_c": _thread,
    "async": _thread,
    "recursion": _recursion,
    "finaliser": _finaliser,
    "finaliser_read": _finaliser,
    "fork": _fork,
    "host": _host,
    "reenter": _reenter,
    "sent": _sent,
    "twice": _twice,
    "memory": _without_memory,
    "overtaken": _overtaken,
    "fork_inside": _fork_inside,
    "dropped": _dropped,
}


def main(way: str, wanted: str) -> None:
    """Try all inputs, or those of one way; at all points, or at some."""
    torn = 0
    for number, case in enumerate(CASES["inputs"]):
        if way in (case["way"], "all"):
            begun = time.process_time()
            try:
                said = tried(case, None if wanted == "all" else int(wanted), number)
            except Torn as error:
                torn += 1
                said = f"torn: {error}"
            used = time.process_time() - begun
            print(number, case["way"], f"{used:.1f}s", said, flush=True)  # noqa: T201 - its answer
    sys.exit(f"{torn} books are torn" if torn else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
