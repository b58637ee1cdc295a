"""
The outcomes of a batch: a sequence whose items are made when they are read.

Rules:
    It is frozen: the rows that its items are made of never change.
    An item that is read twice is equal, and may be another object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, final, overload

from upsertcore.engine.outcome import Outcome, outcome_from_record, result_of_record
from upsertcore.errors import Refused

if TYPE_CHECKING:
    from upsertcore.policy.policy import Policy

__all__ = ["Outcomes"]

T_co = TypeVar("T_co", bound="Outcome | Refused", covariant=True)

_MAX_SHOWN = 3


@final
class Outcomes(Sequence[T_co]):
    """
    What the calls of a batch did, in the order sent.

    Args:
        results: Outcomes and refusals, or the records of writes that they are made of.
        policy: The policy of the records.

    Cost:
        Reading an item makes it; :meth:`counts` and :meth:`refused` make none.

    >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
    >>> book = ContactBook(
    ...     Policy(first_match("email"), {"email": field(key=normalize.email)})
    ... )
    >>> outcomes = book.upsert_many(
    ...     [{"email": "a@x"}, {"email": "b@x"}, {"email": "a@x"}]
    ... )
    >>> len(outcomes), outcomes[-1].result, [o.created for o in outcomes[:2]]
    (3, 'unchanged', [True, True])
    >>> outcomes.counts(), outcomes.refused()
    ({'created': 2, 'unchanged': 1}, ())
    """

    __slots__ = ("_policy", "_results")

    def __init__(
        self, results: Iterable[Any] = (), policy: Policy | None = None
    ) -> None:
        self._results, self._policy = (*results,), policy

    def counts(self) -> dict[str, int]:
        """
        Count the results.

        Returns:
            Result, or ``"refused"``, to the number of calls; in the order in which they
            first occur, without those that do not.
        """
        counts: dict[str, int] = {}
        for item in self._results:
            name = _result(item)
            counts[name] = counts.get(name, 0) + 1
        return counts

    def refused(self) -> tuple[Refused, ...]:
        """Return the refusals, each with its ``row``."""
        return tuple([item for item in self._results if isinstance(item, Refused)])

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, index: int) -> T_co: ...

    @overload
    def __getitem__(self, index: slice) -> Outcomes[T_co]: ...

    def __getitem__(self, index: int | slice) -> T_co | Outcomes[T_co]:
        if isinstance(index, slice):
            return Outcomes(self._results[index], self._policy)
        return self._item(self._results[index])  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[T_co]:
        return map(self._item, self._results)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Outcomes, list, tuple)):
            return NotImplemented
        return len(self) == len(other) and all(
            one == another for one, another in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        first = ", ".join(map(repr, islice(self, _MAX_SHOWN)))
        more = len(self) - _MAX_SHOWN
        return f"Outcomes([{first}{f', ... {more} more' if more > 0 else ''}])"

    def __reduce__(self) -> tuple[Any, ...]:
        return Outcomes, ([*self],)

    def _item(self, item: Any) -> Any:
        if type(item) is not tuple:
            return item
        return outcome_from_record(item, self._policy)


def _result(item: Any) -> str:
    if type(item) is tuple:
        return result_of_record(item)
    return "refused" if isinstance(item, Refused) else item.result
