"""
The hot path, written out: the source of what a book does of nearly every upsert.

Rules:
    What is known of a table is written into it, and nothing of that is looked up.
    Each step is the plain path's, for a call in which nothing is rare; where anything
    is, the call ends and says what was made for it already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from upsertcore.limits import MAX_TEXT
from upsertcore.normalize import email, exact, phone, text
from upsertcore.row import CREATED, FORMS, HISTORY, NAMES, PLACE, VERSION

if TYPE_CHECKING:
    from upsertcore.keys import Key
    from upsertcore.policy import Policy

__all__ = ["SHORT", "written"]

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

# What is given or left stands in a line of its own, and is the end of a call. Each step
# begins with a comment. Of text, equal is the same; of numbers it is not. Between the
# first store and the last nothing is called, so that no signal can come between them.
_BODY = """\
if type(patch) is not dict:
    LEAVE None
# read what was sent
heading = headings[tuple(patch)]
if heading is None:
    LEAVE None
sent = tuple(patch.values())
if not heading.cleans and text(map(type, sent)):
    if EMPTY in sent or any(map(is_space, sent)):
        LEAVE None
    whole = join(sent)
    if len(whole) > {MAX_TEXT}:
        LEAVE None
    if not whole.isascii():
        try:
            whole.encode()
        except UnicodeEncodeError:
            LEAVE None
    plain_text = True
    names = heading.names
    value_of = patch.get
else:
    sent = heading.read(sent)
    if type(sent) is not tuple:
        LEAVE sent
    plain_text = text(map(type, sent))
    names = heading.names
    value_of = dict(zip(names, sent)).get
# look for who holds its keys
writes = writer.writes
{seek}
# match: one contact is named by all keys that name any; whoever is tied is left
{match}
if id is None:
    if not heading.creates:
        LEAVE {left}
    values = sent + heading.defaults
    if heading.has_rules:
        values = heading.lay((), values, heading.full, known=False)
        if values is None:
            LEAVE {left}
{rest}
    # draw an id and the time
{draw_id}
{draw_now}
    # write a new contact
    with lock:
        if writer.writes == writes:
            if fresh in rows or fresh in leads or fresh in gone:
                raise ValueError(f"ids: must answer a fresh id, not {{fresh!r}}")
            place = index.next
            row = (
                heading.full, 1, now, now, fresh, scope, place, None, {fresh}
            ) + values
            outcome = outcome_of("created", row, None, None, policy)
            several = not plain_text and ({several})
            me = thread()
            index.next = place + 1
            rows[fresh] = row
            if several:
                index.hold(row)
            else:
{held}
{wrote}
            GIVE outcome
    LEAVE Left({every}, names, sent, fresh, now)
# merge
try:
    before = rows[id]
except (KeyError, TypeError):
    LEAVE {left}
if before[{HISTORY}] is not None:
    LEAVE {left}
stored = before[{values}:]
if before[{NAMES}] is names:
    values, after = sent, names
else:
    after, pick = heading.meet(before[{NAMES}])
    values = pick(before + sent)
if heading.has_rules:
    values = heading.lay(stored, values, after, known=True)
    if values is None:
        LEAVE {left}
if values == stored and (plain_text or all(map(same, values, stored))):
    with lock:
        if writer.writes == writes:
            GIVE outcome_of("unchanged", before, before, by, policy)
    LEAVE {left}
if not updates:
    LEAVE {left}
{rest_of_known}
# draw the time
{draw_now_of_known}
# write a known contact
with lock:
    if writer.writes == writes:
        row = (
            after, before[{VERSION}] + 1, before[{CREATED}], now,
            id, scope, before[{PLACE}], None, {moved}
        ) + values
        outcome = outcome_of("updated", row, before, by, policy)
        me = thread()
        if {moves}:
            index.lay(row)
        else:
            rows[id] = row
{wrote_of_known}
        GIVE outcome
LEAVE Left({every}, names, sent, None, now)
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
    if plain_text and value{n}.isascii():
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
writer.last = me
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


def written(policy: Policy, *, ids: bool, clock: bool, keeps: bool) -> str:
    """
    Write the hot path out for a policy.

    Args:
        policy: The table.
        ids: Whether a host makes them, so that each is looked at.
        clock: Whether it is a host's.
        keeps: Whether the book keeps its changes.

    Returns:
        Source that defines ``upsert`` and ``upsert_many``.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> written(policy, ids=False, clock=False, keeps=False).split("(")[0]
    'def upsert'
    """
    numbers = {key.name: n for n, key in enumerate(policy.keys)}
    consulted = [numbers[name] for name in policy.match.keys]
    resting = [n for n in numbers.values() if n not in consulted]
    every = [*numbers.values()]
    rest = "".join(
        _rest(policy, n, consulted + resting[: place + 1])
        for place, n in enumerate(resting)
    )
    draw_now = _DRAW_NOW if clock else "now = now_in(UTC)\n"
    wrote = "writer.wrote(outcome)\n" if keeps else _WROTE
    body = _BODY.format(
        seek="".join(_seek(policy.keys[n], n) for n in consulted),
        match=_match(policy, consulted),
        rest=_indented(rest, " " * 4),
        rest_of_known=rest,
        draw_id=_indented(_DRAW_ID if ids else "fresh = ids()\n", " " * 4),
        draw_now=_indented(draw_now, " " * 4),
        draw_now_of_known=draw_now,
        held=_indented("".join(_HELD.format(n=n) for n in every), " " * 16),
        wrote=_indented(wrote, " " * 12),
        wrote_of_known=_indented(wrote, " " * 8),
        fresh="".join(f"form{n}, " for n in every),
        several=" or ".join(f"type(form{n}) is tuple" for n in every),
        moved="".join(
            f"before[{FORMS + n}] if value{n} is None else form{n}, " for n in every
        ),
        moves=" or ".join(
            f"value{n} is not None and before[{FORMS + n}] != form{n}" for n in every
        ),
        left=_left(policy, consulted),
        values=FORMS + len(every),
        every=_made(policy, every),
        **_PARTS,
    )
    one = _ended(body, "return {}", "return {}")
    leave = "answer(plain(patch, scope, {}))\n{}continue"
    many = _ended(body, "answer({})\n{}continue", leave)
    return _SOURCE.format(one=_indented(one, " " * 4), many=_indented(many, " " * 8))


def _ended(body: str, give: str, leave: str) -> str:
    """Write how a call ends: with what is given, or what is left of it."""
    lines = []
    for line in body.splitlines():
        word, _space, what = line.strip().partition(" ")
        room = line[: len(line) - len(line.lstrip())]
        end = {"GIVE": give, "LEAVE": leave}.get(word)
        lines.append(line if end is None else room + end.format(what, room))
    return "\n".join(lines)


def _indented(text: str, room: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([room + line if line.strip() else line for line in lines])


def _seek(key: Key, n: int) -> str:
    """Look for who holds what the patch carries of a key."""
    how = _CLOSER.format(n=n)
    if key.normalize[0] in SHORT:
        short = SHORT[key.normalize[0]][0].format(value=f"value{n}")
        how = _SHORT.format(n=n, short=short)
    return _SEEK.format(n=n, field=key.fields[0]) + how


def _match(policy: Policy, consulted: list[int]) -> str:
    left, lines, word = f"LEAVE {_left(policy, consulted)}", [], "if"
    # The first key that is carried decides, or the first that somebody holds.
    what = "form" if policy.match.name == "first_present" else "holder"
    for place, n in enumerate(consulted, 1):
        lines.append(f"{word} {what}{n} is not None:")
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
    left = f"    LEAVE {_left(policy, made)}\n"
    tied = f"if holder{n} is not None and holder{n} != id:\n"
    return _seek(policy.keys[n], n) + tied + left


def _left(policy: Policy, numbers: Iterable[int]) -> str:
    return f"Left({_made(policy, numbers)}, names, sent)"


def _made(policy: Policy, numbers: Iterable[int]) -> str:
    """Write the forms that were made so far, of what the patch has."""
    pairs = [f"{policy.keys[n].name!r}: form{n}" for n in numbers]
    return "{" + ", ".join(pairs) + "}"


_PARTS = {
    "CREATED": CREATED,
    "HISTORY": HISTORY,
    "MAX_TEXT": MAX_TEXT,
    "NAMES": NAMES,
    "PLACE": PLACE,
    "VERSION": VERSION,
}
