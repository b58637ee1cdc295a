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

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from operator import itemgetter
from textwrap import indent
from threading import get_ident
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeAlias, final
from weakref import WeakKeyDictionary

from upsertcore.draw import checked_id, checked_time
from upsertcore.index import MAX_NAMES
from upsertcore.normalize import SEPARATORS, email, exact, phone, text
from upsertcore.outcome import outcome_of
from upsertcore.row import CREATED, FORMS, HISTORY, NAMES, PLACE, VALUES, VERSION
from upsertcore.rule import replace

if TYPE_CHECKING:
    from upsertcore.index import ContactIndex
    from upsertcore.keys import Key
    from upsertcore.outcome import Outcome
    from upsertcore.policy import Policy
    from upsertcore.writer import Writer

__all__ = ["SHORT", "Left", "Many", "One", "Plain", "quick"]


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


One: TypeAlias = Callable[[Any, Any], "Outcome | Left | None"]
"""(patch, scope) -> what happened, or what is left; None where nothing was done yet."""

Plain: TypeAlias = Callable[[Any, Any, "Left | None"], Any]
"""(patch, scope, what is left of it) -> the answer of the plain path."""

Many: TypeAlias = Callable[[Iterable[Any], Any, Plain], list[Any]]
"""(patches, scope, the plain path) -> one answer for each, in their order."""

Shape: TypeAlias = tuple[tuple[str, ...], bool, dict[int, Any]]
"""Names of a patch; whether it may create; identity of a row's names to what a row has
afterwards: its names, and what picks their values of the row's and the patch's."""

_SOURCE = """\
def upsert(patch, scope):
    if scope is not EMPTY and not plain_scope(scope):
        return None
{one}

def upsert_many(patches, scope, plain):
    if scope is not EMPTY and not plain_scope(scope):
        return [plain(patch, scope, None) for patch in patches]
    answers = []
    answer = answers.append
    for patch in patches:
{many}
    return answers
"""

# What is given or left stands in a line of its own, and is the end of a call.
_BODY = """\
if type(patch) is not dict:
    LEAVE None
shape = shapes[tuple(patch)]
if shape is None:
    LEAVE None
# Text alone, none of it blank, under names that the table has.
sent = tuple(patch.values())
if not text(map(type, sent)) or EMPTY in sent:
    LEAVE None
whole = join(sent)
if not whole.isascii():
    try:
        whole.encode()
    except UnicodeEncodeError:
        LEAVE None
names, complete, picks = shape
value_of = patch.get
writes = writer.writes
{seek}
# One contact is named, by all keys that name any; whoever is tied is left.
{match}
if id is None:
    if not complete:
        LEAVE {left}
{rest}
{draw_id}
{draw_now}
    acquire()
    try:
        if writer.writes == writes:
            if fresh in rows or fresh in leads or fresh in gone:
                raise ValueError(f"ids: must answer a fresh id, not {{fresh!r}}")
            place = index.next
            row = sent, names, 1, now, now, fresh, scope, place, None, {fresh}
            index.next = place + 1
            rows[fresh] = row
{held}
            outcome = outcome_of("created", row, None, None, policy)
{wrote}
            GIVE outcome
    finally:
        release()
    LEAVE Left({every}, fresh, now)
try:
    before = rows[id]
except (KeyError, TypeError):
    LEAVE {left}
if before[{HISTORY}] is not None:
    LEAVE {left}
stored = before[{VALUES}]
if before[{NAMES}] is names:
    values, after = sent, names
else:
    after, pick = picks.get(identity(before[{NAMES}])) or meet(shape, before[{NAMES}])
    values = pick(stored + sent)
if values == stored:
    acquire()
    try:
        if writer.writes == writes:
            GIVE outcome_of("unchanged", before, before, by, policy)
    finally:
        release()
    LEAVE {left}
if not updates:
    LEAVE {left}
{rest_of_known}
{draw_now_of_known}
acquire()
try:
    if writer.writes == writes:
        row = (
            values, after, before[{VERSION}] + 1, before[{CREATED}], now,
            id, scope, before[{PLACE}], None, {moved}
        )
        if {moves}:
            index.lay(row)
        else:
            rows[id] = row
        outcome = outcome_of("updated", row, before, by, policy)
{wrote_of_known}
        GIVE outcome
finally:
    release()
LEAVE Left({every}, None, now)
"""

_SEEK = """\
value{n} = value_of({field!r})
if value{n} is None:
    form{n} = holder{n} = None
else:
    entries{n} = scopes{n}.get(scope, nobody)
"""
_CLOSER = "    form{n}, holder{n} = closer{n}(value{n}, entries{n})\n"
_SHORT = """\
    if value{n}.isascii():
        form{n} = {short}
        holder{n} = entries{n}.get(form{n})
        if holder{n} is None and not is_form{n}(form{n}):
            form{n}, holder{n} = closer{n}(value{n}, entries{n})
    else:
        form{n}, holder{n} = closer{n}(value{n}, entries{n})
"""
_HELD = """\
if value{n} is None or form{n} is None:
    pass
elif entries{n} is nobody:
    scopes{n}[scope] = {{form{n}: fresh}}
else:
    entries{n}[form{n}] = fresh
"""
_DRAW_ID = """\
fresh = ids()
if type(fresh) is not str or not fresh or not fresh.isascii():
    fresh = checked_id(fresh)
"""
_DRAW_NOW = """\
now = clock()
if type(now) is not datetime or now.tzinfo is not UTC:
    now = checked_time(now)
"""
_WROTE = """\
writer.writes = writes + 1
writer.last = thread()
journal.next += 1
"""

SHORT: dict[Any, tuple[str, Callable[[str], Any]]] = {
    exact: ("{value}", re.compile(r"(?s).*\S.*").fullmatch),
    text: ('" ".join({value}.lower().split())', bool),
    email: ("{value}.strip().lower()", re.compile("[!-?A-~]+@[!-?A-~]+").fullmatch),
    phone: (
        "{value}.encode().translate(None, separators).decode()",
        re.compile(r"\+[1-9][0-9]{6,14}").fullmatch,
    ),
}
"""A normaliser to what is its form of ASCII text, if it is one, and what tells that.

A form that somebody holds is one; a law sees that no other text passes."""


def quick(
    policy: Policy, index: ContactIndex, writer: Writer, *, ids: bool, clock: bool
) -> tuple[One, Many] | tuple[None, None]:
    """
    Compile the hot path of a book, for one patch and for a batch.

    It takes a patch of text, none of it blank, under names that the table has,
    whose keys nobody holds but the one contact that is found, or nobody at all.

    Args:
        policy: The table.
        index: Where to look.
        writer: What writes to it.
        ids: Whether a host makes them, so that each is looked at.
        clock: Whether it is a host's.

    Returns:
        Nothing where the table says something that only the plain path knows.
    """
    code = _code(policy, ids=ids, clock=clock, keeps=writer.journal.keeps)
    if code is None:
        return None, None
    shapes = Shapes(policy, index)
    known: dict[str, Any] = {
        "policy": policy,
        "index": index,
        "writer": writer,
        "journal": writer.journal,
        "rows": index.rows,
        "leads": index.leads,
        "gone": index.gone,
        "acquire": writer.lock.acquire,
        "release": writer.lock.release,
        "thread": get_ident,
        "ids": writer.ids,
        "clock": writer.clock,
        "shapes": shapes,
        "meet": shapes.meet,
        "EMPTY": "",
        "join": "".join,
        "nobody": {},
        "text": frozenset({str}).issuperset,
        "identity": id,
        "plain_scope": _is_plain_scope,
        "updates": policy.update is True,
        "datetime": datetime,
        "UTC": UTC,
        "Left": Left,
        "separators": SEPARATORS,
        "checked_id": checked_id,
        "checked_time": checked_time,
        "outcome_of": outcome_of,
    }
    for number, key in enumerate(policy.keys):
        normal = key.normalize[0]
        known[f"closer{number}"] = _closer(key)
        known[f"is_form{number}"] = SHORT[normal][1] if normal in SHORT else None
        known[f"scopes{number}"] = index.scopes(key.name)
    exec(code, known)  # noqa: S102 - written here, of names and numbers alone
    return known["upsert"], known["upsert_many"]


@final
class Shapes(dict[tuple[Any, ...], "Shape | None"]):
    """
    What is known of the names that patches have, looked at once for all alike.

    Args:
        policy: The table.
        index: Whose rows share their names.
    """

    __slots__ = ("_creates", "_index", "_needed", "_own")

    def __init__(self, policy: Policy, index: ContactIndex) -> None:
        super().__init__()
        self._index, self._creates = index, policy.create
        self._own = {name: name for name in policy.fields}
        needed = (*policy.needed, *[name for name, _value in policy.defaults])
        self._needed = frozenset(needed)

    def __missing__(self, names: tuple[Any, ...]) -> Shape | None:
        """Look at the names of a patch; None where one is none of the table."""
        if not all(isinstance(name, str) and name in self._own for name in names):
            return None
        own = self._index.named([self._own[name] for name in names])
        shape: Shape = own, self._creates and self._needed.issubset(own), {}
        if len(self) < MAX_NAMES:
            self[own] = shape
        return shape

    def meet(self, shape: Shape, names: tuple[str, ...]) -> tuple[Any, Any]:
        """
        Tell what a row has after a patch: its own names, and then those that are new.

        Returns:
            The names, and what picks their values of those of the row and the patch.
        """
        new, _complete, picks = shape
        after = self._index.named(dict.fromkeys(names + new))
        places = {name: place for place, name in enumerate(names + new)}
        chosen = [places[name] for name in after]
        pick = itemgetter(*chosen) if len(after) > 1 else itemgetter(slice(1, 2))
        if len(picks) < MAX_NAMES // 10 and self._index.shares(names):
            picks[id(names)] = after, pick
        return after, pick


def _closer(key: Key) -> Callable[[str, Any], tuple[str | None, Any]]:
    """Make what asks the normaliser itself, and then who holds its answer."""
    normal, checked = key.normalize[0], key.checked

    def closer(value: str, entries: dict[str, Any]) -> tuple[str | None, Any]:
        form = normal(value)
        if type(form) is not str or not form or not form.isascii():
            form = checked(form)
        return form, None if form is None else entries.get(form)

    return closer


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


def _written(policy: Policy, *, ids: bool, clock: bool, keeps: bool) -> str:
    """Write the hot path out for a policy."""
    numbers = {key.name: n for n, key in enumerate(policy.keys)}
    consulted = [numbers[name] for name in policy.match.keys]
    resting = [n for n in numbers.values() if n not in consulted]
    every = [*numbers.values()]
    rest = "".join(
        _rest(policy, n, consulted + resting[: place + 1])
        for place, n in enumerate(resting)
    )
    draw_now = _DRAW_NOW if clock else "now = clock()\n"
    wrote = "writer.wrote(outcome)\n" if keeps else _WROTE
    body = _BODY.format(
        seek="".join(_seek(policy.keys[n], n) for n in consulted),
        match=_match(policy, consulted),
        rest=indent(rest, " " * 4),
        rest_of_known=rest,
        draw_id=indent(_DRAW_ID if ids else "fresh = ids()\n", " " * 4),
        draw_now=indent(draw_now, " " * 4),
        draw_now_of_known=draw_now,
        held=indent("".join(_HELD.format(n=n) for n in every), " " * 12),
        wrote=indent(wrote, " " * 12),
        wrote_of_known=indent(wrote, " " * 8),
        fresh="".join(f"form{n}, " for n in every),
        moved="".join(
            f"before[{FORMS + n}] if value{n} is None else form{n}, " for n in every
        ),
        moves=" or ".join(
            f"value{n} is not None and before[{FORMS + n}] != form{n}" for n in every
        ),
        left=f"Left({_made(policy, consulted)})",
        every=_made(policy, every),
        **_PARTS,
    )
    one = _ended(body, "return {}", "return {}")
    leave = "answer(plain(patch, scope, {}))\n{}continue"
    many = _ended(body, "answer({})\n{}continue", leave)
    return _SOURCE.format(one=indent(one, " " * 4), many=indent(many, " " * 8))


def _ended(body: str, give: str, leave: str) -> str:
    """Write how a call ends: with what is given, or what is left of it."""
    lines = []
    for line in body.splitlines():
        word, _space, what = line.strip().partition(" ")
        room = line[: len(line) - len(line.lstrip())]
        if word in ("GIVE", "LEAVE"):
            line = room + (give if word == "GIVE" else leave).format(what, room)
        lines.append(line)
    return "\n".join(lines)


def _seek(key: Key, n: int) -> str:
    """Look for who holds what the patch carries of a key."""
    how = _CLOSER.format(n=n)
    if key.normalize[0] in SHORT:
        short = SHORT[key.normalize[0]][0].format(value=f"value{n}")
        how = _SHORT.format(n=n, short=short)
    return _SEEK.format(n=n, field=key.fields[0]) + how


def _match(policy: Policy, consulted: list[int]) -> str:
    left, lines, word = f"LEAVE Left({_made(policy, consulted)})", [], "if"
    for place, n in enumerate(consulted, 1):
        lines.append(f"{word} holder{n} is not None:")
        lines.append(f"    id, by = holder{n}, {policy.keys[n].name!r}")
        for other in consulted[place:]:
            lines.append(f"    if holder{other} is not None and holder{other} != id:")
            lines.append(f"        {left}")
        word = "elif"
    none = " and ".join(f"form{n} is None" for n in consulted)
    lines += [f"elif {none}:", f"    {left}", "else:", "    id = None"]
    return "\n".join(lines)


def _rest(policy: Policy, n: int, made: list[int]) -> str:
    """Look at a key that is not consulted: it too must be free, or the contact's."""
    left = f"    LEAVE Left({_made(policy, made)})\n"
    tied = f"if holder{n} is not None and holder{n} != id:\n"
    return _seek(policy.keys[n], n) + tied + left


def _made(policy: Policy, numbers: Iterable[int]) -> str:
    """Write the forms that were made so far, of what the patch has."""
    pairs = [f"{policy.keys[n].name!r}: form{n}" for n in numbers]
    return "{" + ", ".join(pairs) + "}"


def _is_plain_scope(scope: Any) -> bool:
    return type(scope) is str and scope.isascii()


def _code(policy: Policy, **how: bool) -> CodeType | None:
    """Compile the hot path of a policy, once for all books that are made alike."""
    if not _suits(policy):
        return None
    codes = _CODES.setdefault(policy, {})
    key = tuple(how.values())
    if key not in codes:
        codes[key] = compile(_written(policy, **how), _NAME, "exec")
    return codes[key]


_PARTS = {
    "CREATED": CREATED,
    "HISTORY": HISTORY,
    "NAMES": NAMES,
    "PLACE": PLACE,
    "VALUES": VALUES,
    "VERSION": VERSION,
}
_NAME = "<the hot path of upsertcore>"
_CODES: WeakKeyDictionary[Policy, dict[tuple[bool, ...], CodeType]] = (
    WeakKeyDictionary()
)
