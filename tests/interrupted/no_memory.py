"""Let each allocation of a call fail in turn; print how many of the calls raised."""

from __future__ import annotations

import gc
import sys
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.interrupted.verbs import VERBS, made, state


def main(name: str) -> None:
    """Fail one allocation after the other until a call needs no more."""
    import _testcapi  # type: ignore[import-not-found]

    choices, before, call = VERBS[name]
    book = made(choices, before)
    first = state(book)
    call(book)
    last = state(book)
    gc.disable()
    raised = 0
    for number in count():
        book = made(choices, before)
        failed = False
        _testcapi.set_nomemory(number, number + 1)
        try:
            call(book)
        except MemoryError:
            failed = True
        finally:
            _testcapi.remove_mem_hooks()
        now = state(book)
        if now not in (first, last):
            sys.exit(f"allocation {number} leaves {now}")
        if not failed and now != last:
            sys.exit(f"allocation {number} is swallowed")
        raised += failed
        if not failed and number > 2_000:
            break
    print(raised, number + 1)  # noqa: T201 - its answer


if __name__ == "__main__":
    main(sys.argv[1])
