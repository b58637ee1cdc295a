"""
The hot path: what nearly every upsert is, with nothing that it can do without.

Rules:
    It does what the plain path does, to the byte, or it does nothing and says so; a
    law sees that. Whatever is rare is left to the plain path, and so is each refusal.
    It is compiled for its policy once, as attrs compiles ``__init__``: what is known of
    the table is written out, and nothing of it is looked up in a call.
    No function of a host runs under the lock. What has an effect, or is dear, is asked
    once: ids, clock and normalisers; a rule, or a ``clean`` that leaves nothing of a
    value, may be asked again by the plain path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from threading import get_ident
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeAlias, final
from weakref import WeakKeyDictionary

from upsertcore.draw import checked_id, checked_time
from upsertcore.heading import Headings
from upsertcore.normalize import SEPARATORS
from upsertcore.outcome import outcome_of
from upsertcore.row import packed, unpacked
from upsertcore.values import same
from upsertcore.written import SHORT, written

if TYPE_CHECKING:
    from upsertcore.errors import Refused
    from upsertcore.index import ContactIndex
    from upsertcore.keys import Key
    from upsertcore.outcome import Outcome
    from upsertcore.policy import Policy
    from upsertcore.writer import Writer

__all__ = ["SOURCE", "Left", "Many", "One", "Plain", "quick"]


@final
class Left:
    """
    What the plain path need not do again of a call that is left to it.

    Args:
        forms: Key name to what was made of the patch: a form, several, or None.
        names: Of the patch, as the table has them.
        values: Of these names, cleaned and frozen.
        id: What was drawn already for a new contact, None where nothing was.
        now: The time that was drawn already, None where none was.

    >>> left = Left({"email": "ada@x.org", "phone": None}, ("email",), ("Ada@x.org",))
    >>> left.forms, left.sent
    ({'email': ('ada@x.org',), 'phone': ()}, {'email': 'Ada@x.org'})
    """

    __slots__ = ("forms", "id", "now", "sent")

    def __init__(
        self,
        forms: dict[str, Any],
        names: tuple[str, ...],
        values: tuple[Any, ...],
        id: str | None = None,
        now: datetime | None = None,
    ) -> None:
        self.forms: dict[str, tuple[str, ...]] = {
            name: unpacked(made) for name, made in forms.items()
        }
        self.sent = dict(zip(names, values, strict=True))
        self.id, self.now = id, now


SOURCE = "<the hot path of upsertcore>"
"""What stands for the file of the generated code, in tracebacks and profiles."""

One: TypeAlias = Callable[[Any, Any], "Outcome | Left | Refused | None"]
"""(patch, scope) -> what happened, or what is left: a refusal to be raised, what was
made already, None where nothing was done yet."""

Plain: TypeAlias = Callable[[Any, Any, "Left | Refused | None"], Any]
"""(patch, scope, what is left of it) -> the answer of the plain path."""

Many: TypeAlias = Callable[[Iterable[Any], Any, Plain], list[Any]]
"""(patches, scope, the plain path) -> one answer for each, in their order."""


def quick(
    policy: Policy, index: ContactIndex, writer: Writer, *, ids: bool, clock: bool
) -> tuple[One | None, Many | None]:
    """
    Compile the hot path of a book, for one patch and for a batch.

    It takes a patch whose values are there, under names that the table has, and whose
    keys nobody holds but the one contact that is found, or nobody at all. Text is what
    it takes fastest.

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
    known: dict[str, Any] = {
        "policy": policy,
        "index": index,
        "writer": writer,
        "journal": writer.journal,
        "rows": index.rows,
        "leads": index.leads,
        "gone": index.gone,
        "lock": writer.lock,
        "thread": get_ident,
        "ids": writer.ids,
        "clock": writer.clock,
        "headings": Headings(policy, index),
        "EMPTY": "",
        "is_space": str.isspace,
        "join": "".join,
        "nobody": {},
        "text": frozenset({str}).issuperset,
        "same": same,
        "plain_scope": _is_plain_scope,
        "updates": policy.update is True,
        "datetime": datetime,
        "now_in": datetime.now,
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


def _closer(key: Key) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Make what asks the normaliser itself, and then who holds what it answers."""
    normal, checked = key.normalize[0], key.checked

    def closer(value: Any, entries: dict[str, Any]) -> tuple[Any, Any]:
        if type(value) is tuple:
            forms = key.forms({key.fields[0]: value})
            return packed(forms), _holder(forms, entries)
        form = normal(value)
        if type(form) is not str or not form or not form.isascii():
            form = checked(form)
        return form, None if form is None else entries.get(form)

    return closer


def _holder(forms: tuple[str, ...], entries: dict[str, Any]) -> Any:
    """Give who holds these forms: nobody, one, or a list where they are several."""
    found = [entries[form] for form in forms if form in entries]
    if not found:
        return None
    return found[0] if all(each == found[0] for each in found) else found


def _suits(policy: Policy) -> bool:
    """Tell whether the strategy and the keys are what the hot path knows."""
    match = policy.match
    known = match.name in ("first_match", "first_present", "all_agree")
    return known and match.guard is None and all(map(_is_plain, policy.keys))


def _is_plain(key: Key) -> bool:
    rare = key.remember or key.each or key.blocked or key.limit is not None
    return len(key.fields) == 1 and not rare


def _is_plain_scope(scope: Any) -> bool:
    return type(scope) is str and scope.isascii()


def _code(policy: Policy, **how: bool) -> CodeType | None:
    """Compile the hot path of a policy, once for all books that are made alike."""
    if not _suits(policy):
        return None
    codes = _CODES.setdefault(policy, {})
    key = tuple(how.values())
    if key not in codes:
        codes[key] = _compiled(written(policy, **how))
    return codes[key]


@lru_cache(maxsize=256)
def _compiled(source: str) -> CodeType:
    """Compile a source once: policies whose keys are alike have the same."""
    return compile(source, SOURCE, "exec")


_CODES: WeakKeyDictionary[Policy, dict[tuple[bool, ...], CodeType]] = (
    WeakKeyDictionary()
)
