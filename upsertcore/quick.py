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
from textwrap import indent
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeAlias, final
from weakref import WeakKeyDictionary

from upsertcore.draw import checked_id, checked_time
from upsertcore.index import MAX_NAMES
from upsertcore.normalize import SEPARATORS, email, exact, phone, text
from upsertcore.outcome import outcome_of
from upsertcore.row import CREATED, FORMS, HISTORY, NAMES, PLACE, VALUES, VERSION
from upsertcore.rule import replace
from upsertcore.values import freeze

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

Shape: TypeAlias = tuple[tuple[str, ...], bool, dict[int, tuple[str, ...]]]
"""A patch's names; whether they suffice to create; what they make of a row's names."""

_SOURCE = """\
def upsert(patch, scope):
{one}

def upsert_many(patches, scope, plain):
    answers = []
    answer = answers.append
    for patch in patches:
{many}
    return answers
"""

# What is given or left stands in a line of its own, and is the end of a call.
_BODY = """\
if type(patch) is not dict or type(scope) is not str or not scope.isascii():
    LEAVE None
own = tuple(patch)
shape = shapes.get(own) or learn(own)
if shape is None:
    LEAVE None
# Text alone, none of it blank, under names that the table has.
sent = tuple(patch.values())
if not text(map(type, sent)) or not all(sent):
    LEAVE None
whole = "".join(sent)
plainly = whole.isascii()
if not plainly and not written(whole):
    LEAVE None
names, complete, joined = shape
value_of = patch.get
writes = writer.writes
{seek}
# One contact is named, by all keys that name any; whoever is tied is left.
{match}
if id is not None:
    before = rows.get(id) if type(id) is str else None
    if before is None or before[{HISTORY}] is not None or {disagree}:
        LEAVE {left}
    stored = before[{VALUES}]
    if before[{NAMES}] is names:
        values, after = sent, names
    else:
        after = joined.get(identity(before[{NAMES}])) or join(shape, before[{NAMES}])
        # A name that is new to the contact stands for its own value, for a moment.
        values = stored + after[len(stored):]
        values = tuple(map(value_of, after, values))
    if values == stored:
        with lock:
            if writer.writes == writes:
                GIVE outcome_of("unchanged", before, before, by, policy)
        LEAVE {left}
    if not updates:
        LEAVE {left}
elif not (creates and complete):
    LEAVE {left}
{rest}
if id is None:
    fresh = ids()
    if type(fresh) is not str or not fresh or not fresh.isascii():
        fresh = checked_id(fresh)
now = clock()
if type(now) is not datetime or now.tzinfo is not UTC:
    now = checked_time(now)
with lock:
    if writer.writes == writes:
        if id is None:
            row = (
                sent, names, 1, now, now, fresh, scope, index.next, None, {fresh}
            )
            index.add(row)
            outcome = outcome_of("created", row, None, None, policy)
        else:
            row = (
                values, after, before[{VERSION}] + 1, before[{CREATED}], now,
                id, scope, before[{PLACE}], None, {moved}
            )
            index.lay(row)
            outcome = outcome_of("updated", row, before, by, policy)
        writer.wrote(outcome)
        GIVE outcome
LEAVE Left({every}, None if id else fresh, now)
"""

_SEEK = """\
form{n} = holder{n} = None
value{n} = value_of({field!r})
if value{n} is not None:
    entries = scopes{n}.get(scope)
{short}
    if holder{n} is None:
        form{n} = normal{n}(value{n})
        if type(form{n}) is not str or not form{n} or not form{n}.isascii():
            form{n} = checked{n}(form{n})
        if form{n} is not None and entries is not None:
            holder{n} = entries.get(form{n})
"""

_SHORT = """\
    if plainly and entries is not None:
        form{n} = {short}
        holder{n} = entries.get(form{n})
"""

SHORT: dict[Any, str] = {
    exact: "{value}",
    text: '" ".join({value}.lower().split())',
    email: "{value}.strip().lower()",
    phone: "{value}.encode().translate(None, separators).decode()",
}
"""A normaliser to what is its form of ASCII text, if that is the form of anything.

So if somebody holds it, it is the form, and the normaliser need not look closer."""


def quick(
    policy: Policy, index: ContactIndex, writer: Writer
) -> tuple[One, Many] | tuple[None, None]:
    """
    Compile the hot path of a book, for one patch and for a batch.

    It takes a patch of text, none of it blank, under names that the table has,
    whose keys nobody holds but the one contact that is found, or nobody at all.

    Args:
        policy: The table.
        index: Where to look.
        writer: What writes to it.

    Returns:
        Nothing where the table says something that only the plain path knows.
    """
    code = _code(policy)
    if code is None:
        return None, None
    shapes = Shapes(policy, index)
    known: dict[str, Any] = {
        "policy": policy,
        "index": index,
        "writer": writer,
        "rows": index.rows,
        "lock": writer.lock,
        "ids": writer.ids,
        "clock": writer.clock,
        "shapes": shapes.known,
        "learn": shapes.learn,
        "join": shapes.join,
        "text": frozenset({str}).issuperset,
        "identity": id,
        "creates": policy.create,
        "written": _is_unicode,
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
        known[f"normal{number}"] = key.normalize[0]
        known[f"checked{number}"] = key.checked
        known[f"scopes{number}"] = index.scopes(key.name)
    exec(code, known)  # noqa: S102 - written here, of names and numbers alone
    return known["upsert"], known["upsert_many"]


@final
class Shapes:
    """
    What is known of the names that patches have, looked at once for all alike.

    Args:
        policy: The table.
        index: Whose rows share their names.
    """

    __slots__ = ("_index", "_needed", "_own", "known")

    def __init__(self, policy: Policy, index: ContactIndex) -> None:
        self._index = index
        self._own = {name: name for name in policy.fields}
        needed = (*policy.needed, *[name for name, _value in policy.defaults])
        self._needed = frozenset(needed)
        self.known: dict[tuple[Any, ...], Shape] = {}

    def learn(self, names: tuple[Any, ...]) -> Shape | None:
        """Look at the names of a patch; None where one is none of the table."""
        if not all(isinstance(name, str) and name in self._own for name in names):
            return None
        own = self._index.named([self._own[name] for name in names])
        shape: Shape = own, self._needed.issubset(own), {}
        if len(self.known) < MAX_NAMES:
            self.known[own] = shape
        return shape

    def join(self, shape: Shape, names: tuple[str, ...]) -> tuple[str, ...]:
        """Give the names of a row after a patch: its own, and then those that are new."""
        new, _complete, joined = shape
        after = self._index.named(dict.fromkeys(names + new))
        if len(joined) < MAX_NAMES // 10 and self._index.shares(names):
            joined[id(names)] = after
        return after


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
    every = [*numbers.values()]
    body = _BODY.format(
        seek="".join(_seek(policy.keys[n], n) for n in consulted),
        match=_match(policy, consulted),
        disagree=" or ".join(f"holder{n} not in (None, id)" for n in consulted),
        rest="".join(
            _rest(policy, n, consulted + resting[: place + 1])
            for place, n in enumerate(resting)
        ),
        fresh="".join(f"form{n}, " for n in every),
        moved="".join(
            f"before[{FORMS + n}] if value{n} is None else form{n}, " for n in every
        ),
        left=f"Left({_made(policy, consulted)})",
        every=_made(policy, every),
        **_PARTS,
    )
    one = _ended(body, "return {}", "return {}")
    many = _ended(body, "answer({})\n{}continue", "answer(plain(patch, scope, {}))\n{}continue")
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
    short = SHORT.get(key.normalize[0])
    if short is not None:
        short = _SHORT.format(n=n, short=short.format(value=f"value{n}"))
    return _SEEK.format(n=n, field=key.fields[0], short=short or "")


def _match(policy: Policy, consulted: list[int]) -> str:
    lines, word = [], "if"
    for n in consulted:
        lines.append(f"{word} holder{n} is not None:")
        lines.append(f"    id, by = holder{n}, {policy.keys[n].name!r}")
        word = "elif"
    none = " and ".join(f"form{n} is None" for n in consulted)
    lines += [f"elif {none}:", f"    LEAVE Left({_made(policy, consulted)})"]
    return "\n".join([*lines, "else:", "    id = by = None"])


def _rest(policy: Policy, n: int, made: list[int]) -> str:
    """Look at a key that is not consulted: it too must be free, or the contact's."""
    left = f"    LEAVE Left({_made(policy, made)})\n"
    return f"{_seek(policy.keys[n], n)}if holder{n} not in (None, id):\n{left}"


def _made(policy: Policy, numbers: Iterable[int]) -> str:
    """Write the forms that were made so far, of what the patch has."""
    pairs = [f"{policy.keys[n].name!r}: form{n}" for n in numbers]
    return "{" + ", ".join(pairs) + "}"


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


_PARTS = {
    "CREATED": CREATED,
    "HISTORY": HISTORY,
    "NAMES": NAMES,
    "PLACE": PLACE,
    "VALUES": VALUES,
    "VERSION": VERSION,
}
_NAME = "<the hot path of upsertcore>"
_CODES: WeakKeyDictionary[Policy, CodeType | None] = WeakKeyDictionary()
