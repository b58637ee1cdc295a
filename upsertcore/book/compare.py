"""
Comparing: the same patches under two policies, and where the results differ.

Rules:
    Both sides start with the same contacts and get the same patches in the same order.
    The id of a new contact is the row that created it, the same on both sides.
    A difference is reported for every row whose results differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from attrs import frozen

from upsertcore.errors import Refused, at
from upsertcore.values import FrozenMap, same, shown, thaw

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.policy.policy import Policy

__all__ = ["Comparison", "Difference", "comparing", "side"]

Part = Literal["refused", "contact", "merged", "lost", "fields"]
CallResult: TypeAlias = "Outcome | Refused"


@final
@frozen
class Difference:
    """
    What one patch does under one policy and not under the other.

    Args:
        row: The place of the patch, from 0.
        part: ``"refused"`` (by one, or for another reason), ``"contact"`` (another
            one matches), ``"merged"`` (others are merged), ``"lost"`` (other fields
            are withheld or ignored), or ``"fields"`` (other values are stored).
        mine: The result under the book's own policy.
        theirs: The result under the other.

    >>> str(Difference(2, "contact", "c-1", "row 2"))
    "row 2: contact: 'c-1' / 'row 2'"
    """

    row: int
    part: Part
    mine: Any
    theirs: Any

    def __str__(self) -> str:
        mine, theirs = shown(thaw(self.mine)), shown(thaw(self.theirs))
        return f"row {self.row}: {self.part}: {mine} / {theirs}"


@final
@frozen
class Comparison:
    """
    Where two policies differ.

    Args:
        rows: How many patches were compared.
        differences: In the order of the patches; several parts of one may differ.

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


def comparing(
    patches: Iterable[Mapping[str, Any]],
    mine: Callable[[Mapping[str, Any], str], Outcome],
    theirs: Callable[[Mapping[str, Any], str], Outcome],
) -> Comparison:
    """
    Send the same patches to both sides.

    Args:
        patches: In their order.
        mine: Upserts a patch; takes the id of a contact that it creates.
        theirs: The same on the other side.

    Raises:
        Exception: What a function of the caller raises, with a note that names the row.

    Cost:
        That of both sides' upserts.

    >>> comparing([], None, None).rows
    0
    """
    found: list[Difference] = []
    row = -1
    for row, patch in enumerate(patches):
        name = f"row {row}"
        with at(row):
            answers = _tried(mine, patch, name), _tried(theirs, patch, name)
        found += _parts(row, *answers)
    return Comparison(row + 1, tuple(found))


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
        policy: The table.
        rows: What the book begins with.
        scope: The tenant.

    Returns:
        What upserts a patch; it takes the id of a contact that it creates.

    >>> from upsertcore import ContactBook, Policy, never
    >>> side(ContactBook.load, Policy(never(), {}), [], "")({}, "row 0").contact.id
    'row 0'
    """
    names = [""]
    book = load(policy, rows, ids=lambda: names[0])

    def upsert(patch: Mapping[str, Any], name: str) -> Outcome:
        while name in book:
            name += "'"
        names[0] = name
        return book.upsert(patch, scope=scope)  # type: ignore[no-any-return]

    return upsert


def _tried(
    call: Callable[..., Outcome], patch: Mapping[str, Any], name: str
) -> CallResult:
    try:
        return call(patch, name)
    except Refused as refusal:
        return refusal


def _parts(row: int, mine: CallResult, theirs: CallResult) -> list[Difference]:
    if isinstance(mine, Refused) or isinstance(theirs, Refused):
        read: dict[Part, Callable[[Any], Any]] = {"refused": _refused}
    else:
        read = _READ
    both = [(part, look(mine), look(theirs)) for part, look in read.items()]
    return [Difference(row, part, a, b) for part, a, b in both if not same(a, b)]


def _refused(answer: CallResult) -> str | None:
    return f"{type(answer).__name__}: {answer}" if isinstance(answer, Refused) else None


def _lost(outcome: Outcome) -> FrozenMap[Any]:
    withheld = {each.field: f"held by {each.holder}" for each in outcome.withheld}
    return FrozenMap({**outcome.ignored, **withheld})


_READ: dict[Part, Callable[[Any], Any]] = {
    "contact": lambda outcome: outcome.contact.id,
    "merged": lambda outcome: tuple([each.id for each in outcome.merged]),
    "lost": _lost,
    "fields": lambda outcome: outcome.contact.fields,
}
