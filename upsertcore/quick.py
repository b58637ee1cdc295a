"""
The fast path: the common upsert in one pass, without a plan.

Rules:
    It does what the general path does, for a call in which nothing is rare; where
    anything is, it stops before it has written, and returns what it has made.
    A strategy and a normaliser are known by identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeAlias, final

from upsertcore.draw import SpentId, checked_id, checked_time
from upsertcore.errors import Refused
from upsertcore.heading import Headings
from upsertcore.keys import Key
from upsertcore.match import ALL_AGREE, FIRST_MATCH, FIRST_PRESENT
from upsertcore.normalize import (
    EMAIL_FORM,
    EXACT_FORM,
    PHONE_FORM,
    TEXT_FORM,
    email,
    exact,
    phone,
    text,
)
from upsertcore.outcome import Outcome, outcome_of
from upsertcore.phones import without_separators
from upsertcore.redo import NUMBER, Record
from upsertcore.refusals import placed
from upsertcore.row import (
    CREATED,
    FORMS,
    HISTORY,
    NAMES,
    PLACE,
    VERSION,
    packed,
    unpacked,
)
from upsertcore.values import same

if TYPE_CHECKING:
    from upsertcore.heading import Heading
    from upsertcore.holders import Entries
    from upsertcore.index import ContactIndex
    from upsertcore.policy import Policy
    from upsertcore.writer import Writer

__all__ = ["SHORT", "FastPath", "Left", "Plain", "suits"]


@final
class Left:
    """
    What the general path need not do again of a call that is left to it.

    Args:
        forms: Key name to what was made of the patch: a form, several, or None.
        names: Of the patch, as the policy has them.
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


Answer: TypeAlias = "Outcome | Left | Refused | None"
"""What happened, or what is left: what was made already, a refusal to be raised, or
None where nothing was done yet."""

Plain: TypeAlias = "Callable[[Any, Any, Left | Refused | None], Any]"
"""(patch, scope, what is left of it) -> the answer of the general path."""

SHORT: tuple[tuple[Any, Callable[[str], str], Callable[[str], Any]], ...] = (
    (exact, str, EXACT_FORM.fullmatch),
    (text, lambda value: " ".join(value.lower().split()), TEXT_FORM.fullmatch),
    (email, lambda value: value.strip().lower(), EMAIL_FORM.fullmatch),
    (phone, without_separators, PHONE_FORM.fullmatch),
)
"""A normaliser, what makes its form of ASCII text if there is one, and what tells that.

A form that a contact holds is one; a law checks that no other text passes."""

_NO_ENTRIES: Entries = {}


Look: TypeAlias = Callable[[Any, str], tuple[Any, Any]]
"""(value, scope) -> what the value makes (a form, a tuple of several, or None), and the
holders of that (None, an id, or a list where there are several)."""


def look_up(key: Key, scopes: dict[str, Entries]) -> Look:
    """
    Make what looks up the values of a key of one field.

    Args:
        key: The key.
        scopes: Its holders, by scope and form; live.

    >>> from upsertcore import normalize
    >>> look = look_up(Key("email", ("email",), (normalize.email,)), {})
    >>> look("Ada@x.org", ""), look("nobody", ""), look((), "")
    (('ada@x.org', None), (None, None), (None, None))
    """
    normal, checked, (field,) = key.normalize[0], key.checked, key.fields

    def look(value: Any, scope: str) -> tuple[Any, Any]:
        entries = scopes.get(scope, _NO_ENTRIES)
        if type(value) is tuple:
            forms = key.forms({field: value})
            return packed(forms), _holder(forms, entries)
        try:
            form = normal(value)
        except Exception as error:
            key.blame(error, value)
            raise
        if type(form) is not str or not form or not form.isascii():
            form = checked(form)
        return form, None if form is None else entries.get(form)

    for known, short, is_form in SHORT:
        if known is normal:
            return _in_short(scopes, short, is_form, look)
    return look


def _in_short(
    scopes: dict[str, Entries],
    short: Callable[[str], str],
    is_form: Callable[[str], Any],
    otherwise: Look,
) -> Look:
    def look(value: Any, scope: str) -> tuple[Any, Any]:
        if type(value) is str and value.isascii():
            form = short(value)
            holder = scopes.get(scope, _NO_ENTRIES).get(form)
            if holder is not None or is_form(form):
                return form, holder
        return otherwise(value, scope)

    return look


def _holder(forms: tuple[str, ...], entries: Entries) -> Any:
    """Return who holds these forms: None, one, or a list where they are several."""
    found = [entries[form] for form in forms if form in entries]
    if not found:
        return None
    return found[0] if all(each == found[0] for each in found) else found


@final
class FastPath:
    """
    What a book does with nearly every upsert.

    It takes a patch whose values are there, under names that the policy has, and whose
    keys no contact holds but the one that is found, or none at all.

    Args:
        policy: The table; :func:`suits` says whether it can have a fast path.
        index: Where to look.
        writer: What writes to it.
        ids: Whether a caller makes them, so that each is checked.
        clock: Whether it is a caller's.
    """

    __slots__ = (
        *("_by_form", "_clock", "_headings", "_ids", "_index", "_keys", "_no_forms"),
        *("_policy", "_updates", "_writer"),
    )

    def __init__(
        self,
        policy: Policy,
        index: ContactIndex,
        writer: Writer,
        *,
        ids: bool,
        clock: bool,
    ) -> None:
        self._policy, self._index, self._writer = policy, index, writer
        self._ids, self._clock = ids, clock
        self._headings = Headings(policy, index)
        self._by_form = policy.match.decide is FIRST_PRESENT
        self._updates = policy.update is True
        keys = policy.keys
        self._keys = [(key.name, look_up(key, index.scopes(key.name))) for key in keys]
        self._no_forms = [None] * len(self._keys)

    def upsert(self, patch: Any, scope: Any) -> Answer:
        """
        Do an upsert, if nothing about it is rare.

        Args:
            patch: What was sent.
            scope: The tenant.

        Returns:
            What happened, or what is left to the general path.
        """
        if type(patch) is not dict or type(scope) is not str or not scope.isascii():
            return None
        heading = self._headings[tuple(patch)]
        if heading is None:
            return None
        raw = tuple(patch.values())
        sent = heading.read(raw)
        if not isinstance(sent, tuple):
            return sent
        state, keys, by_form = self._writer.done, self._keys, self._by_form
        made: dict[int, Any] = {}
        id = by = None
        for number, place in heading.consulted:
            name, look = keys[number]
            form, holder = look(sent[place], scope)
            made[number] = form
            if by is None:
                if (form if by_form else holder) is not None:
                    id, by = holder, name
            elif holder is not None and holder != id:
                return self._left(heading, sent, made)
        if id is None:
            return self._create(heading, sent, scope, made, state)
        # What is not cleaned and not frozen anew is text alone.
        plain = sent is raw
        return self._update(heading, sent, scope, made, state, id, by, plain=plain)

    def upsert_many(
        self, patches: Iterable[Any], scope: Any, plain: Plain, *, collect: bool
    ) -> list[Any]:
        """
        Do upserts one after the other, as :func:`upsertcore.batch.in_turn`.

        Args:
            patches: Read as they are needed.
            scope: The tenant.
            plain: Answers what is left of a call.
            collect: A refusal is an answer, and does not end the batch.

        Returns:
            One answer for each patch, in their order.
        """
        upsert, answers = self.upsert, list[Any]()
        try:
            for patch in patches:
                done: Any = upsert(patch, scope)
                if type(done) is not Outcome:
                    try:
                        done = plain(patch, scope, done)
                    except Refused as refusal:
                        if not collect:
                            raise
                        done = placed(refusal, len(answers))
                answers.append(done)
        except Exception as error:
            placed(error, len(answers), answers)
            raise
        return answers

    def _create(
        self,
        heading: Heading,
        sent: tuple[Any, ...],
        scope: str,
        made: dict[int, Any],
        state: Record,
    ) -> Answer:
        if not heading.creates or not any(made.values()):
            return self._left(heading, sent, made)
        values: Any = sent + heading.defaults
        if heading.has_rules:
            values = heading.lay((), values, heading.full, known=False)
        if values is None or not self._rest(heading, sent, scope, made, None):
            return self._left(heading, sent, made)
        index, writer = self._index, self._writer
        fresh = writer.ids()
        if self._ids and (
            type(fresh) is not str or not fresh.strip() or not fresh.isascii()
        ):
            fresh = checked_id(fresh)
        now = self._time()
        if fresh in index and writer.published is state:
            raise SpentId(fresh)
        forms = self._no_forms[:]
        for number, form in made.items():
            forms[number] = form
        parts = (heading.full, 1, now, now, fresh, scope, index.next, None)
        record = ((*parts, *forms, *values), None, None, state[NUMBER] + 1, get_ident())
        if writer.publish(state, record):
            return outcome_of("created", record, self._policy)
        return self._left(heading, sent, made, fresh, now)

    def _update(
        self,
        heading: Heading,
        sent: tuple[Any, ...],
        scope: str,
        made: dict[int, Any],
        state: Record,
        id: Any,
        by: str | None,
        *,
        plain: bool,
    ) -> Answer:
        before = self._index.rows.get(id) if type(id) is str else None
        if before is None or before[HISTORY] is not None:
            return self._left(heading, sent, made)
        names = before[NAMES]
        first = len(before) - len(names)
        stored = before[first:]
        after, values = heading.names, sent
        if names is not after:
            after, pick = heading.meet(names)
            values = pick(before + sent)
        if heading.has_rules:
            laid = heading.lay(stored, values, after, known=True)
            if laid is None:
                return self._left(heading, sent, made)
            values = laid
        writer = self._writer
        # Of text, equal is the same; of numbers it is not.
        if values == stored and (plain or all(map(same, values, stored))):
            if writer.published is state:
                return outcome_of("unchanged", (before, before, by), self._policy)
            return self._left(heading, sent, made)
        if not self._updates or not self._rest(heading, sent, scope, made, id):
            return self._left(heading, sent, made)
        now = self._time()
        forms = [*before[FORMS:first]]
        for number, form in made.items():
            forms[number] = form
        parts = (after, before[VERSION] + 1, before[CREATED], now, id, scope)
        row = (*parts, before[PLACE], None, *forms, *values)
        record = (row, before, by, state[NUMBER] + 1, get_ident())
        if writer.publish(state, record):
            return outcome_of("updated", record, self._policy)
        return self._left(heading, sent, made, None, now)

    def _rest(
        self,
        heading: Heading,
        sent: tuple[Any, ...],
        scope: str,
        made: dict[int, Any],
        id: str | None,
    ) -> bool:
        """Look up keys that are not consulted; each is free, or the contact's."""
        for number, place in heading.resting:
            made[number], holder = self._keys[number][1](sent[place], scope)
            if holder is not None and holder != id:
                return False
        return True

    def _time(self) -> datetime:
        if not self._clock:
            return datetime.now(UTC)
        now = self._writer.clock()
        if type(now) is datetime and now.tzinfo is UTC:
            return now
        return checked_time(now)

    def _left(
        self,
        heading: Heading,
        sent: tuple[Any, ...],
        made: dict[int, Any],
        id: str | None = None,
        now: datetime | None = None,
    ) -> Left:
        forms = {self._keys[number][0]: form for number, form in made.items()}
        return Left(forms, heading.names, sent, id, now)


def suits(policy: Policy) -> bool:
    """
    Return whether the strategy and the keys are what the fast path knows.

    >>> from upsertcore import Policy, field, first_match, merge_all, normalize
    >>> lines = {"email": field(key=normalize.email)}
    >>> [suits(Policy(match("email"), lines)) for match in (first_match, merge_all)]
    [True, False]
    """
    decide = policy.match.decide
    known = any(decide is one for one in (FIRST_MATCH, FIRST_PRESENT, ALL_AGREE))
    return known and all(map(_is_plain, policy.keys))


def _is_plain(key: Key) -> bool:
    rare = key.remember or key.each or key.blocked or key.limit is not None
    return len(key.fields) == 1 and not rare
