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

from tests.interrupted.disguise import call_with_own_classes, call_with_own_ids
from tests.interrupted.pairs import fill_free_pairs
from tests.interrupted.points import count_points, interrupt
from tests.interrupted.torn import (
    CASES,
    RAISED,
    World,
    book_before,
    call_text,
    make_call,
    states_from,
)
from tests.interrupted.ways import (
    alarm,
    check_after_fork,
    check_in_fork,
    count_collections,
    count_opcodes,
    from_thread,
    time_limit,
    with_few_frames,
    with_garbage,
)
from upsertcore import ContactBook, Outcomes, errors
from upsertcore.engine.outcome import Outcome
from upsertcore.store.ids import IdInUse

__all__ = ["WAYS", "Torn", "try_case"]

Case = dict[str, Any]


class Torn(Exception):
    """A book is neither the one before a call nor the one after it."""


def choose_evenly(count: int, wanted: int | None, shift: int) -> Iterable[int]:
    """Choose a number of points below a count, evenly, beginning at a shift."""
    if wanted is None or count <= wanted:
        return range(count)
    return sorted({(k * count // wanted + shift) % count for k in range(wanted)})


def prefixes_of(case: Case) -> list[list[list[Any]]]:
    """List every prefix of the single calls that a call consists of."""
    book, world = book_before(case)
    kind, *rest = case["call"]
    steps: list[list[Any]] = []
    if kind == "many":
        options = rest[1] if len(rest) > 1 else {}
        with suppress(errors.UpsertError):
            results = make_call(
                book, world, ["many", rest[0], {**options, "on_refused": "collect"}]
            )
            for patch, result in zip(rest[0], results, strict=True):
                if isinstance(result, errors.Refused):
                    if options.get("on_refused") != "collect":
                        break
                else:
                    steps.append(["upsert", patch])
    else:
        for outcome in make_call(book, world, case["call"]):
            ids = [contact.id for contact in outcome.merged]
            steps.append(["merge", outcome.contact.id, *ids])
    return [steps[:count] for count in range(len(steps) + 1)]


def allowed_states(case: Case) -> list[list[str]]:
    """List the states that are allowed after the call: those of undisturbed books."""
    kind = case["right"]
    sequences = prefixes_of(case) if kind == "fold" else [[], [case["call"]]]
    if kind == "before":
        sequences = sequences[:1]
    answers = []
    for steps in sequences:
        book, world = book_before(case)
        for step in steps:
            call_text(book, world, step)
        answers.append(states_from(book, world, case))
    return answers


def check_state(
    case: Case, book: ContactBook, world: World, allowed: list[list[str]]
) -> int:
    """Return the index of the allowed state that a book has."""
    current = states_from(book, world, case)
    if current not in allowed:
        nearest = min(
            allowed,
            key=lambda states: sum(
                a != b for a, b in zip(states, current, strict=True)
            ),
        )
        steps = [
            n for n, (a, b) in enumerate(zip(nearest, current, strict=True)) if a != b
        ]
        raise Torn(f"step {steps[0]}: {current[steps[0]]}\n  not {nearest[steps[0]]}")
    return allowed.index(current)


def try_case(case: Case, wanted: int | None, shift: int = 0) -> str:
    """Interrupt the call of a case at some of its points, or at all of them."""
    return WAYS[case["way"]](case, wanted, shift)


@contextmanager
def _ignore_unraisable() -> Iterator[list[str]]:
    """Ignore exceptions in callbacks of weak references, and list them."""
    ignored: list[str] = []

    def note(unraisable: Any) -> None:
        ignored.append(repr(unraisable.exc_value))

    hook, sys.unraisablehook = sys.unraisablehook, note
    try:
        yield ignored
    finally:
        sys.unraisablehook = hook


def _try_each(
    case: Case, points: Iterable[Any], end: Callable[[Callable[[], object], Any], bool]
) -> str:
    allowed = allowed_states(case)
    counts = [0] * len(allowed)
    ended = 0
    for point in points:
        book, world = book_before(case)
        with _ignore_unraisable():
            was_ended = end(lambda: make_call(book, world, case["call"]), point)  # noqa: B023
        if was_ended:
            ended += 1
            allowed_here = allowed
        else:
            allowed_here = allowed if case["right"] == "before" else allowed[-1:]
        try:
            counts[check_state(case, book, world, allowed_here)] += 1
        except (Torn, AssertionError, errors.UpsertError) as error:
            raise Torn(f"point {point}: {error!r}") from error
    return f"{ended} ended; {counts}"


def _ignoring_refusals(
    end: Callable[..., bool],
) -> Callable[[Callable[[], object], Any], bool]:
    def ends_call(call: Callable[[], object], point: Any) -> bool:
        def refusable() -> None:
            with suppress(errors.UpsertError, IdInUse):
                call()

        return end(refusable, point)

    return ends_call


def _raise(case: Case, wanted: int | None, shift: int) -> str:
    book, world = book_before(case)
    count = count_points(lambda: call_text(book, world, case["call"]))
    points = choose_evenly(count, wanted, shift)
    if "raises" not in case:
        return _try_each(case, points, _ignoring_refusals(interrupt))
    kind = RAISED[case["raises"]]
    return _try_each(
        case, points, _ignoring_refusals(lambda c, point: interrupt(c, point, kind))
    )


def _alarm(case: Case, wanted: int | None, shift: int) -> str:
    times = [1e-5 + (k * 7 + shift) % 60 * 5e-6 for k in range(wanted or 300)]
    return _try_each(case, times, _ignoring_refusals(alarm))


def _thread(case: Case, wanted: int | None, shift: int) -> str:
    turns = [(k * 37 + shift) % 4000 for k in range((wanted or 400) // 2)]

    def end(call: Callable[[], object], turn: int) -> bool:
        return from_thread(call, turn, case["way"])

    return _try_each(case, turns, _ignoring_refusals(end))


def _recursion(case: Case, wanted: int | None, shift: int) -> str:
    return _try_each(
        case, choose_evenly(60, wanted, shift), _ignoring_refusals(with_few_frames)
    )


def _serial_states(case: Case) -> list[list[str]]:
    """
    List the states that are allowed where other calls are made within this one.

    Each of the other calls may be refused, since it would wait for ever.
    """
    orders = [([case["call"]], place) for place in (0, 1)]
    if case["call"][0] in ("many", "dedupe") and "atomic" not in str(case["call"]):
        steps = prefixes_of(case)[-1]
        orders += [(steps, place) for place in range(len(steps) + 1)]
    answers = []
    for others in ([], [0], [1], [0, 1]):
        for steps, place in orders:
            book, world = book_before(case)
            for step in steps[:place]:
                call_text(book, world, step)
            call_within(book, world, others)
            for step in steps[place:]:
                call_text(book, world, step)
            answers.append(states_from(book, world, case))
    return answers


def call_within(book: ContactBook, world: World, parts: Iterable[int] = (0, 1)) -> str:
    """Call a book within another call of it; return the refusals."""
    stage, drawn = world.stage, world.ids_made
    world.begin(7)
    disturb, world.disturb = world.disturb, None
    case = world.case
    first = case["before"][0][1]
    other = OTHER_FIELDS.get(case["policy"], {"email": "inner@x.org"})
    calls: list[Callable[[], object]] = [
        lambda: book.upsert(first),
        lambda: book.create({**first, **other}),
    ]
    verb = case.get("does")
    if verb in ("delete", "purge", "merge", "undo", "dedupe"):
        calls = [
            lambda: make_call(book, world, [verb, *case["to"]]),
            lambda: book.upsert(first),
        ]
    if verb == "write":
        # The first one makes no plan, and checks no lock before.
        calls = [
            lambda: book.upsert({**first, **other}),
            lambda: book.upsert({**first, "name": "inner"}),
        ]
    if verb == "read" or case["way"] == "finaliser_read":
        calls = [
            lambda: (book.dump(), len(book)),
            lambda: (list(book), book.plan(first)),
        ]
    texts = []
    for part in parts:
        try:
            calls[part]()
        except (RuntimeError, errors.UpsertError) as error:
            is_runtime = isinstance(error, RuntimeError)
            texts.append(str(error) if is_runtime else type(error).__name__)
    world.stage, world.ids_made, world.disturb = stage, drawn, disturb
    return " ".join(texts)


OTHER_FIELDS: dict[str, dict[str, Any]] = {
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
    allowed = _serial_states(case)
    book, world = book_before(case)
    count = count_collections(lambda: call_text(book, world, case["call"]))
    counts = [0] * len(allowed)
    counts_by_result: dict[str, int] = {}
    for point in choose_evenly(count, wanted, shift):
        book, world = book_before(case)
        results: list[str] = []

        def finalise() -> None:
            with time_limit():
                results.append(call_within(book, world))  # noqa: B023

        with _ignore_unraisable() as ignored:
            with_garbage(lambda: call_text(book, world, case["call"]), point, finalise)  # noqa: B023
        if ignored:
            raise Torn(f"point {point}: {ignored[0]}")
        counts_by_result[repr(results)] = counts_by_result.get(repr(results), 0) + 1
        try:
            counts[check_state(case, book, world, allowed)] += 1
        except (Torn, AssertionError, errors.UpsertError) as error:
            raise Torn(f"point {point}, {results}: {error!r}") from error
    return f"{counts} {counts_by_result}"


def _fork(case: Case, wanted: int | None, shift: int) -> str:
    allowed = allowed_states(case)
    book, world = book_before(case)
    count = count_opcodes(lambda: call_text(book, world, case["call"]))
    for point in choose_evenly(count, 400 if wanted is None else wanted // 3, shift):
        book, world = book_before(case)

        def check_child() -> str:
            check_state(case, book, world, allowed)  # noqa: B023
            return ""

        answer = check_in_fork(
            lambda: call_text(book, world, case["call"]),  # noqa: B023
            point,
            check_child,
        )
        if answer:
            raise Torn(f"point {point}: {answer}")
        check_state(case, book, world, allowed[-1:])
    return f"{count} instructions"


def _host(case: Case, wanted: int | None, shift: int) -> str:
    allowed = allowed_states(case)
    for number in range(1, 1 + (wanted or 1_000)):
        book, world = book_before(case)
        error = RAISED[case["raises"]]()

        def disturb() -> None:
            raise error  # noqa: B023

        world.disturb, world.calls_left = disturb, number
        raised_error = None
        try:
            result = make_call(book, world, case["call"])
        except BaseException as raised:  # noqa: BLE001 - compared below
            raised_error = raised
            result = None
        world.disturb = None
        if world.calls_left > 0:
            return f"{number - 1} calls"
        collected = isinstance(result, Outcomes) and error in result
        if raised_error is not error and not collected:
            raise Torn(
                f"call {number}: {raised_error!r} is not what was raised; {result!r}"
            )
        try:
            check_state(case, book, world, allowed)
        except (Torn, AssertionError, errors.UpsertError) as wrong:
            if not collected:
                raise Torn(f"call {number}: {wrong!r}") from wrong
    return f"{wanted} calls"


def _reenter(case: Case, wanted: int | None, shift: int) -> str:
    allowed = _serial_states(case)
    texts = []
    for number in range(1, 1 + (wanted or 1_000)):
        book, world = book_before(case)
        results: list[str] = []

        def disturb() -> None:
            results.append(call_within(book, world))  # noqa: B023

        call = call_with_own_ids(case, world) if "what" in case else case["call"]
        world.disturb, world.calls_left = disturb, number
        call_text(book, world, call)
        world.disturb = None
        if "middle of a call" in str(results):
            raise Torn(f"call {number}: a function of the application has the lock")
        if world.calls_left > 0:
            break
        texts += results
        try:
            check_state(case, book, world, allowed)
        except (Torn, AssertionError, errors.UpsertError) as wrong:
            raise Torn(f"call {number}, {results}: {wrong!r}") from wrong
    return f"{texts}"


def _sent(case: Case, wanted: int | None, shift: int) -> str:
    case = {**case, "at": "sent"}
    kind = RAISED[case.get("raises", "RuntimeError")]
    counts_by_error: dict[str, int] = {}
    for number in range(1, 1 + (wanted or 1_000)):
        book, world = book_before(case)
        call = call_with_own_classes(case, world)
        error = kind()

        def disturb() -> None:
            raise error  # noqa: B023

        world.disturb, world.calls_left = disturb, number
        raised: BaseException | None = None
        try:
            make_call(book, world, call)
        except (type(error), RuntimeError, errors.UpsertError) as caught:
            raised = caught
        world.disturb = None
        world.text, world.time = str, lambda time: time
        if raised is not None and raised is not error and world.calls_left <= 0:
            raise Torn(f"call {number}: {raised!r} is not what was raised")
        # The call itself is compared as plain values.
        allowed = allowed_states({**case, "right": "either"})
        if isinstance(raised, errors.UpsertError):
            allowed = allowed[:1]
        counts_by_error[repr(raised)] = counts_by_error.get(repr(raised), 0) + 1
        try:
            if case["what"] not in ("int_index", "float_eq"):
                check_state(case, book, world, allowed)
            check_plain_contacts(book)
        except (Torn, AssertionError, errors.UpsertError) as wrong:
            raise Torn(f"call {number}, {raised!r}: {wrong!r}") from wrong
        if world.calls_left > 0:
            return f"{number - 1} {counts_by_error}"
    return f"{wanted} {counts_by_error}"


def check_plain_contacts(book: ContactBook) -> None:
    """Check that contacts have no value of the application's classes."""
    check_plain(book.dump())
    for contact in book:
        check_plain([contact.id, contact.scope])
        assert type(contact.created_at) is datetime, type(contact.created_at)


def check_plain(value: Any) -> None:
    """Check that a value consists of Python's own types."""
    assert type(value) in (dict, list, str, int, float, bool, type(None)), type(value)
    for item in [*value, *value.values()] if isinstance(value, dict) else ():
        check_plain(item)
    for item in value if isinstance(value, list) else ():
        check_plain(item)


def _twice(case: Case, wanted: int | None, shift: int) -> str:
    next_call = case["then"]
    allowed = []
    for steps in ([], [case["call"]]):
        for after in ([], [next_call]):
            book, world = book_before(case)
            for step in steps:
                call_text(book, world, step)
            world.begin(6)
            for step in after:
                call_text(book, world, step)
            allowed.append(states_from(book, world, case))
    tries = 0
    wanted_again = 40 if wanted is None else 3
    for point in _effect_points(case, wanted, shift):
        book, world = book_before(case)
        _ignoring_refusals(interrupt)(
            lambda: make_call(book, world, case["call"]),  # noqa: B023
            point,
        )
        # Only then is there a write to complete.
        pending = book._store.published is not book._store.completed
        world.begin(6)
        count = count_points(lambda: call_text(book, world, next_call))  # noqa: B023
        for second in choose_evenly(
            count, wanted_again if pending else 1, shift + point
        ):
            book, world = book_before(case)
            end = _ignoring_refusals(interrupt)
            end(lambda: make_call(book, world, case["call"]), point)  # noqa: B023
            world.begin(6)
            end(lambda: make_call(book, world, next_call), second)  # noqa: B023
            tries += 1
            try:
                check_state(case, book, world, allowed)
            except (Torn, AssertionError, errors.UpsertError) as wrong:
                raise Torn(f"points {point}, {second}: {wrong!r}") from wrong
    return f"{tries} tries"


def _effect_points(case: Case, wanted: int | None, shift: int) -> list[int]:
    """Choose points of a call at which it takes effect, or is about to."""
    book, world = book_before(case)
    count = count_points(lambda: call_text(book, world, case["call"]))
    before = book_before(case)[0]._store.completed[:4]
    low, high = 0, count
    while low < high:
        point = (low + high) // 2
        book, world = book_before(case)
        _ignoring_refusals(interrupt)(
            lambda: make_call(book, world, case["call"]),  # noqa: B023
            point,
        )
        if repr(book._store.published[:4]) == repr(before):
            low = point + 1
        else:
            high = point
    begin = max(0, low - 3)
    return [begin + offset for offset in choose_evenly(count - begin, wanted, shift)]


def _write(book: ContactBook, world: World, number: int) -> None:
    stage, drawn = world.stage, world.ids_made
    world.begin(7)
    try:
        text = json.dumps(world.case["by"]).replace("?", str(number))
        book.upsert(json.loads(text))
    finally:
        world.stage, world.ids_made = stage, drawn


def _overtaking_book(case: Case) -> tuple[ContactBook, World]:
    book, world = book_before(case)
    written = 0

    def disturb() -> None:
        nonlocal written
        world.calls_left = 1
        if written < case["times"]:
            world.disturb, written = None, written + 1
            try:
                _write(book, world, written)
            finally:
                world.disturb = disturb

    world.disturb, world.calls_left = disturb, 1
    return book, world


def _overtaken(case: Case, wanted: int | None, shift: int) -> str:
    """A function of the policy writes the contact in each attempt, some times."""
    allowed = []
    for number in range(case["times"] + 1):
        for steps in ([], [case["call"]]):
            book, world = book_before(case)
            for k in range(number):
                _write(book, world, k + 1)
            for step in steps:
                call_text(book, world, step)
            allowed.append(states_from(book, world, case))
    book, world = _overtaking_book(case)
    count = count_points(lambda: call_text(book, world, case["call"]))
    counts = [0] * len(allowed)
    for point in choose_evenly(count, wanted, shift):
        book, world = _overtaking_book(case)
        _ignoring_refusals(interrupt)(
            lambda: make_call(book, world, case["call"]),  # noqa: B023
            point,
        )
        world.disturb = None
        world.begin(1)
        try:
            counts[check_state(case, book, world, allowed)] += 1
        except (Torn, AssertionError, errors.UpsertError) as wrong:
            raise Torn(f"point {point}: {wrong!r}") from wrong
    return f"{count} points, {counts}"


def _fork_inside(case: Case, wanted: int | None, shift: int) -> str:
    allowed = allowed_states(case)
    book, world = book_before(case)
    count = count_opcodes(lambda: call_text(book, world, case["call"]))
    counts = [0] * len(allowed)
    for point in choose_evenly(count, 300 if wanted is None else wanted // 3, shift):
        book, world = book_before(case)
        answer = check_after_fork(
            lambda: call_text(book, world, case["call"]),  # noqa: B023
            point,
            lambda: str(check_state(case, book, world, allowed)),  # noqa: B023
        )
        if not answer.isdigit():
            raise Torn(f"point {point}: {answer}")
        counts[int(answer)] += 1
        check_state(case, book, world, allowed[-1:])
    return f"{count} instructions, {counts}"


# Made beforehand, because there is no memory for the tuple when they are caught. The
# last two are CPython's own: "error return without exception", "can't allocate lock".
_WITHOUT_MEMORY = MemoryError, SystemError, RuntimeError


def _without_memory(case: Case, wanted: int | None, shift: int) -> str:
    """Let allocations of the call fail, one at a time; run in another process."""
    import _testcapi  # type: ignore[import-not-found]

    # The number of allocations that fail in a row; 0 for all that follow.
    lasts = case.get("lasts", 1)

    def fails(call: Callable[[], object], number: int) -> bool:
        fill_free_pairs()
        _testcapi.set_nomemory(number, number + lasts if lasts else 0)
        try:
            call()
        except _WITHOUT_MEMORY:
            return True
        except errors.UpsertError:
            return False
        finally:
            _testcapi.remove_mem_hooks()
        return False

    gc.disable()
    count = 64
    while True:
        book, world = book_before(case)
        if not fails(lambda: make_call(book, world, case["call"]), count):  # noqa: B023
            break
        count *= 2
    return _try_each(case, choose_evenly(count, wanted, shift), fails)


def _weak_reference(case: Case, _wanted: int | None, _shift: int) -> str:
    """A weak reference calls the book when it drops a contact."""
    allowed = _serial_states(case)
    book, world = book_before(case)
    results: list[str] = []
    armed = False

    def call_back(_reference: object) -> None:
        if armed:
            with time_limit():
                results.append(call_within(book, world))

    outcomes = [item for item in world.outcomes if isinstance(item, Outcome)]
    outcomes += [item.outcome for item in book._store.journal.entries if item.outcome]
    contacts = [
        contact
        for item in outcomes
        for contact in (item.contact, item.before)
        if contact
    ]
    references = [weakref.ref(item, call_back) for item in contacts]
    if case["call"][0] != "undo":
        world.outcomes.clear()
    outcomes, contacts, armed = [], [], True
    with _ignore_unraisable() as ignored:
        call_text(book, world, case["call"])
    armed = False
    if ignored:
        raise Torn(f"{ignored[0]}")
    try:
        check_state(case, book, world, allowed)
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
    "dropped": _weak_reference,
}


def main(way: str, wanted: str) -> None:
    """Try all inputs, or those of one way; at all points, or at some."""
    torn = 0
    for number, case in enumerate(CASES["inputs"]):
        if way in (case["way"], "all"):
            start = time.process_time()
            try:
                text = try_case(case, None if wanted == "all" else int(wanted), number)
            except Torn as error:
                torn += 1
                text = f"torn: {error}"
            used = time.process_time() - start
            print(number, case["way"], f"{used:.1f}s", text, flush=True)  # noqa: T201 - the output
    sys.exit(f"{torn} books are torn" if torn else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
