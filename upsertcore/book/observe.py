"""
Observe which calls of a book take the fast path, and why others do not.

Rules:
    The fast path itself decides; nothing here repeats its conditions.
    It is for figures: an observed book is slower, and does the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from upsertcore.book.contact_book import ContactBook
from upsertcore.store.uncommon import NO_FAST_PATH, NOT_READ

__all__ = ["FastPathObserver"]

T = TypeVar("T")


class FastPathObserver:
    """
    Reports for each upsert of a book whether it takes the fast path.

    Args:
        book: The book, which nothing else observes; its batches are not observed.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> fields = {"email": field(key=normalize.email)}
    >>> book = ContactBook(Policy(first_match("email"), fields))
    >>> observer = FastPathObserver(book)
    >>> outcome, reason = observer.observe(lambda: book.upsert({"email": "a@x"}))
    >>> outcome.result, reason
    ('created', None)
    >>> observer.observe(lambda: book.upsert({"email": "a@x"}, scope="é"))[1]
    'the patch is no plain dict, or the scope is not ASCII'
    """

    def __init__(self, book: ContactBook) -> None:
        self._reason: str | None = NO_FAST_PATH
        fast_upsert: Any = book._fast_upsert  # noqa: SLF001 - of this package

        def upsert(*call: Any) -> Any:
            # A refusal that is raised is a decision of the fast path.
            self._reason = None
            result = fast_upsert(*call)
            if result is None:
                self._reason = NOT_READ
            elif type(result) is not tuple:
                self._reason = getattr(result, "reason", None)
            return result

        if fast_upsert is not None:
            book._fast_upsert = upsert  # noqa: SLF001 - of this package

    def observe(self, call: Callable[[], T]) -> tuple[T, str | None]:
        """
        Make a call.

        Args:
            call: Upserts once; what it raises is passed on.

        Returns:
            What it returns, and why it did not take the fast path; None if it did.
        """
        self._reason = NO_FAST_PATH
        return call(), self._reason
