"""
The hot path: what nearly every upsert is, with nothing that it can do without.

Rules:
    It does what the plain path does, to the byte, or it does nothing and says so; a
    law sees that. Whatever is rare is left to the plain path, and so is each refusal.
    It is compiled for its policy once, as attrs compiles ``__init__``: what is known of
    the table is written out, and nothing of it is looked up in a call.
    As on the plain path no function of a host runs under the lock, and none twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeAlias, final
from weakref import WeakKeyDictionary

from upsertcore.contact import contact_of
from upsertcore.draw import checked_id, checked_time
from upsertcore.outcome import Outcome, outcome_of
from upsertcore.rule import replace
from upsertcore.values import FrozenMap, freeze

if TYPE_CHECKING:
    from upsertcore.index import ContactIndex
    from upsertcore.keys import Key
    from upsertcore.policy import Policy
    from upsertcore.writer import Writer

__all__ = ["Left", "Quick", "quick"]


@final
class Left:
    """
    What the plain path need not do again of a call that is left to it.

    Args:
        forms: Key name to the form that was made of the patch, None where it has none.
        id: What was drawn already for a new contact, None where nothing was.
        now: The time that was drawn already, None where none was.

    >>> Left({"email": "ada@x.org"}).now is None
    True
    """

    __slots__ = ("forms", "id", "now")

    def __init__(
        self,
        forms: dict[str, str | None],
        id: str | None = None,
        now: datetime | None = None,
    ) -> None:
        self.forms, self.id, self.now = forms, id, now


Quick: TypeAlias = Callable[[Any, Any], "Outcome | Left | None"]
"""(patch, scope) -> what happened, or what is left; None where nothing was done yet."""

_SOURCE = """\
def upsert(patch, scope):
    if type(patch) is not dict or type(scope) is not str or not scope.isascii():
        return None
    values = patch.values()
    # Text alone, none of it blank, under names that the table has.
    if not (
        patch.keys() <= names
        and text(map(type, values))
        and all(values)
    ):
        return None
    whole = "".join(values)
    if not whole.isascii() and not written(whole):
        return None
    writes = writer.writes
{seek}
    # One contact is named, by all keys that name any; whoever is tied is left.
{match}
    if number is not None:
        row = rows.get(number) if type(number) is int else None
        if row is None or {disagree}:
            return {left}
        before, held = row
        if before.deleted_at is not None:
            return {left}
        stored = before.fields.proxy
        if patch.items() <= stored.items():
            with lock:
                if writer.writes == writes:
                    return outcome_of("unchanged", before, before, by, policy)
            return {left}
        if not updates:
            return {left}
    elif not (creates and needed <= patch.keys() and text(map(type, patch))):
        return {left}
{rest}
    id = None
    if number is None:
        id = ids()
        if type(id) is not str or not id or not id.isascii():
            id = checked_id(id)
    now = clock()
    if type(now) is not datetime or now.tzinfo is not UTC:
        now = checked_time(now)
    if number is None:
        forms = {fresh}
        fields = FrozenMap.trusted(patch.copy())
        contact = contact_of(id, scope, fields, 1, now, now, None)
    else:
        forms = {moved}
        merged = {{**stored, **patch}}
        if len(merged) != len(stored) and not text(map(type, patch)):
            return {left_drawn}
        contact = contact_of(
            before.id,
            scope,
            FrozenMap.trusted(merged),
            before.version + 1,
            before.created_at,
            now,
            before,
        )
    with lock:
        if writer.writes != writes:
            return {left_drawn}
        if number is None:
            index.add(contact, forms)
            outcome = outcome_of("created", contact, None, None, policy)
        else:
            index.lay(number, contact, forms)
            outcome = outcome_of("updated", contact, before, by, policy)
        writer.wrote(outcome)
    return outcome
"""

_SEEK = """\
    form{n} = holder{n} = None
    if {field!r} in patch:
        form{n} = normal{n}(patch[{field!r}])
        if type(form{n}) is not str or not form{n} or not form{n}.isascii():
            form{n} = checked{n}(form{n})
        if form{n} is not None:
            entries = scopes{n}.get(scope)
            if entries is not None:
                holder{n} = entries.get(form{n})
"""


def quick(policy: Policy, index: ContactIndex, writer: Writer) -> Quick | None:
    """
    Compile the hot path of a book.

    It takes a patch of text, none of it blank, under names that the table has,
    whose keys nobody holds but the one contact that is found, or nobody at all.

    Args:
        policy: The table.
        index: Where to look.
        writer: What writes to it.

    Returns:
        None where the table says something that only the plain path knows.
    """
    code = _code(policy)
    if code is None:
        return None
    known: dict[str, Any] = {
        "policy": policy,
        "index": index,
        "writer": writer,
        "rows": index.rows,
        "lock": writer.lock,
        "ids": writer.ids,
        "clock": writer.clock,
        "names": frozenset(policy.fields),
        "text": frozenset({str}).issuperset,
        "creates": policy.create,
        "written": _is_unicode,
        "updates": policy.update is True,
        "needed": frozenset((*policy.needed, *[n for n, _value in policy.defaults])),
        "datetime": datetime,
        "UTC": UTC,
        "FrozenMap": FrozenMap,
        "Left": Left,
        "checked_id": checked_id,
        "checked_time": checked_time,
        "contact_of": contact_of,
        "outcome_of": outcome_of,
    }
    for number, key in enumerate(policy.keys):
        known[f"normal{number}"] = key.normalize[0]
        known[f"checked{number}"] = key.checked
        known[f"scopes{number}"] = index.scopes(key.name)
    exec(code, known)  # noqa: S102 - written here, of names and numbers alone
    made: Quick = known["upsert"]
    return made


def _suits(policy: Policy) -> bool:
    """Tell whether a policy has nothing but what the hot path knows."""
    match, lines = policy.match, policy.fields.values()
    return (
        match.name in ("first_match", "all_agree")
        and match.guard is None
        and all(map(_is_plain, policy.keys))
        and all(line.merge is replace and line.clean is None for line in lines)
    )


def _is_plain(key: Key) -> bool:
    rare = key.remember or key.each or key.blocked or key.limit is not None
    return len(key.fields) == 1 and not rare


def _written(policy: Policy) -> str:
    """Write the hot path out for a policy."""
    numbers = {key.name: n for n, key in enumerate(policy.keys)}
    consulted = [numbers[name] for name in policy.match.keys]
    resting = [n for n in numbers.values() if n not in consulted]
    fields = [key.fields[0] for key in policy.keys]
    forms = _made(policy.keys, consulted)
    every_number = [*numbers.values()]
    every = _made(policy.keys, every_number)
    return _SOURCE.format(
        seek="".join(_SEEK.format(n=n, field=fields[n]) for n in consulted),
        match=_match(policy, consulted),
        disagree=" or ".join(f"holder{n} not in (None, number)" for n in consulted),
        rest="".join(
            _rest(n, fields[n], _made(policy.keys, consulted + resting[: place + 1]))
            for place, n in enumerate(resting)
        ),
        fresh=_tuple(f"() if form{n} is None else (form{n},)" for n in every_number),
        moved=_tuple(
            f"((form{n},) if form{n} is not None else ()) if {fields[n]!r} in patch"
            f" else held[{n}]"
            for n in every_number
        ),
        left=f"Left({forms})",
        left_drawn=f"Left({every}, id, now)",
    )


def _match(policy: Policy, consulted: list[int]) -> str:
    lines, word = [], "if"
    for n in consulted:
        lines.append(f"    {word} holder{n} is not None:")
        lines.append(f"        number, by = holder{n}, {policy.keys[n].name!r}")
        word = "elif"
    none = " and ".join(f"form{n} is None" for n in consulted)
    lines += [
        f"    elif {none}:",
        f"        return Left({_made(policy.keys, consulted)})",
    ]
    return "\n".join([*lines, "    else:", "        number = by = None"])


def _rest(n: int, field: str, made: str) -> str:
    """Look at a key that is not consulted: it too must be free, or the contact's."""
    sought, left = _SEEK.format(n=n, field=field), f"        return Left({made})\n"
    return f"{sought}    if holder{n} not in (None, number):\n{left}"


def _made(keys: tuple[Key, ...], numbers: Iterable[int]) -> str:
    """Write the forms that were made so far, of what the patch has."""
    pairs = [f"{keys[n].name!r}: form{n}" for n in numbers]
    return "{" + ", ".join(pairs) + "}"


def _tuple(parts: Iterable[str]) -> str:
    return "(" + "".join(f"{part}, " for part in parts) + ")"


def _is_unicode(text: str) -> bool:
    """Tell whether text can be written: no half of a surrogate pair is in it."""
    try:
        freeze(text)
    except ValueError:
        return False
    return True


def _code(policy: Policy) -> CodeType | None:
    """Compile the hot path of a policy, once for all its books."""
    if policy not in _CODES:
        fits = _suits(policy)
        _CODES[policy] = compile(_written(policy), _NAME, "exec") if fits else None
    return _CODES[policy]


_NAME = "<the hot path of upsertcore>"
_CODES: WeakKeyDictionary[Policy, CodeType | None] = WeakKeyDictionary()
