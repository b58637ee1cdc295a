"""Let each allocation of a call fail in turn; print how many calls raised."""

from __future__ import annotations

import gc
import sys
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.interrupted.pairs import fill_free_pairs
from tests.interrupted.verbs import VERBS, book_after, state


def main(name: str) -> None:
    """Fail one allocation after the other until a call needs no more."""
    import _testcapi  # type: ignore[import-not-found]

    choices, before, call = VERBS[name]
    book = book_after(choices, before)
    first = state(book)
    call(book)
    last = state(book)
    gc.disable()
    raised = 0
    for number in count():
        book = book_after(choices, before)
        failed = False
        fill_free_pairs()
        _testcapi.set_nomemory(number, number + 1)
        try:
            call(book)
        except MemoryError:
            failed = True
        finally:
            _testcapi.remove_mem_hooks()
        current = state(book)
        if current not in (first, last):
            sys.exit(f"allocation {number} leaves {current}")
        if not failed and current != last:
            sys.exit(f"allocation {number} is swallowed")
        raised += failed
        if not failed and number > 2_000:
            break
    print(raised, number + 1)  # noqa: T201 - the output


if __name__ == "__main__":
    main(sys.argv[1])
