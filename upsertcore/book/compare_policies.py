"""
Compare policies: the same patches under two of them, and where the results differ.

Rules:
    Both sides start with the same contacts and get the same patches in the same order.
    The id of a new contact is the row that created it, the same on both sides.
    Each row whose results differ is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from attrs import frozen

from upsertcore.errors import Refused, row_context
from upsertcore.values import FrozenMap, same, show_value, thaw

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.policy.policy import Policy

__all__ = ["Comparison", "Difference", "compare_sides", "side"]

Part = Literal["refused", "contact", "merged", "not stored", "fields"]
CallResult: TypeAlias = "Outcome | Refused"


@final
@frozen
class Difference:
    """
    One way in which the results of a patch differ between two policies.

    Args:
        row: The place of the patch, from 0.
        part: What differs: ``"refused"`` (whether it is refused, or why),
            ``"contact"`` (which one matches), ``"merged"`` (which ones are merged),
            ``"not stored"`` (which fields are withheld or ignored), or ``"fields"``
            (which values are stored).
        current: The result under the book's own policy.
        other: The result under the other policy.

    >>> str(Difference(2, "contact", "c-1", "row 2"))
    "row 2: contact: 'c-1' / 'row 2'"
    """

    row: int
    part: Part
    current: Any
    other: Any

    def __str__(self) -> str:
        current, other = show_value(thaw(self.current)), show_value(thaw(self.other))
        return f"row {self.row}: {self.part}: {current} / {other}"


@final
@frozen
class Comparison:
    """
    Where two policies differ.

    Args:
        rows: How many patches were compared.
        differences: In the order of the patches; a patch may have several.

    >>> Comparison(3, ()).explain()
    '3 patches, no differences'
    """

    rows: int
    differences: tuple[Difference, ...]

    def explain(self) -> str:
        """
        List the differences, one a line.

        Cost:
            Linear in the differences.
        """
        many = len(self.differences)
        noun = f"{many or 'no'} difference{'' if many == 1 else 's'}"
        lines = [f"{self.rows} patches, {noun}", *self.differences]
        return "\n".join(map(str, lines))


def compare_sides(
    patches: Iterable[Mapping[str, Any]],
    current: Callable[[Mapping[str, Any], str], Outcome],
    other: Callable[[Mapping[str, Any], str], Outcome],
) -> Comparison:
    """
    Send the same patches to both sides.

    Args:
        patches: In their order.
        current: Upserts a patch; its second argument is the id of a new contact.
        other: The same for the other policy.

    Raises:
        Exception: What a function of the caller raises, with a note that names the row.

    Cost:
        The cost of both sides' upserts.

    >>> compare_sides([], None, None).rows
    0
    """
    differences: list[Difference] = []
    row = -1
    for row, patch in enumerate(patches):
        id = f"row {row}"
        with row_context(row):
            results = _result(current, patch, id), _result(other, patch, id)
        differences += _differences(row, *results)
    return Comparison(row + 1, tuple(differences))


def side(
    load: Callable[..., Any],
    policy: Policy,
    rows: list[dict[str, Any]],
    scope: str,
) -> Callable[[Mapping[str, Any], str], Outcome]:
    """
    Make one side of a comparison.

    Args:
        load: Makes a book of a policy and rows.
        policy: The policy of this side.
        rows: The contacts to start with.
        scope: The tenant.

    Returns:
        A function that upserts a patch; its second argument is the id of a new
        contact.

    >>> from upsertcore import ContactBook, Policy, never
    >>> side(ContactBook.load, Policy(never(), {}), [], "")({}, "row 0").contact.id
    'row 0'
    """
    next_id = [""]
    book = load(policy, rows, ids=lambda: next_id[0])

    def upsert(patch: Mapping[str, Any], id: str) -> Outcome:
        while id in book:
            id += "'"
        next_id[0] = id
        return book.upsert(patch, scope=scope)  # type: ignore[no-any-return]

    return upsert


def _result(
    call: Callable[..., Outcome], patch: Mapping[str, Any], id: str
) -> CallResult:
    try:
        return call(patch, id)
    except Refused as refusal:
        return refusal


def _differences(row: int, current: CallResult, other: CallResult) -> list[Difference]:
    if isinstance(current, Refused) or isinstance(other, Refused):
        parts: dict[Part, Callable[[Any], Any]] = {"refused": _refusal}
    else:
        parts = _PARTS
    both = [(part, read(current), read(other)) for part, read in parts.items()]
    return [Difference(row, part, a, b) for part, a, b in both if not same(a, b)]


def _refusal(result: CallResult) -> str | None:
    return f"{type(result).__name__}: {result}" if isinstance(result, Refused) else None


def _not_stored(outcome: Outcome) -> FrozenMap[Any]:
    withheld = {value.field: f"held by {value.holder}" for value in outcome.withheld}
    return FrozenMap({**outcome.ignored, **withheld})


_PARTS: dict[Part, Callable[[Any], Any]] = {
    "contact": lambda outcome: outcome.contact.id,
    "merged": lambda outcome: tuple([contact.id for contact in outcome.merged]),
    "not stored": _not_stored,
    "fields": lambda outcome: outcome.contact.fields,
}
