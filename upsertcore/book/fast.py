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

from upsertcore.book.shapes import PatchShapes
from upsertcore.engine.outcome import Outcome, outcome_from_record
from upsertcore.errors import Refused, placed
from upsertcore.matching.strategies import ALL_AGREE, FIRST_MATCH, FIRST_PRESENT
from upsertcore.model.layout import (
    CREATED,
    FORMS,
    HISTORY,
    NAMES,
    PLACE,
    VERSION,
    packed,
)
from upsertcore.model.record import NUMBER, Record
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
from upsertcore.normalize.phones import without_separators
from upsertcore.policy.keys import Key
from upsertcore.store.ids import SpentId, checked_id, checked_time
from upsertcore.store.transaction import Remainder
from upsertcore.values import MAX_TEXT, same

if TYPE_CHECKING:
    from upsertcore.book.shapes import PatchShape
    from upsertcore.policy.policy import Policy
    from upsertcore.store.holders import Entries
    from upsertcore.store.index import ContactIndex
    from upsertcore.store.memory import Writer

__all__ = ["SHORT", "Fallback", "FastPath", "suits"]


FastResult: TypeAlias = "Outcome | Remainder | Refused | None"
"""What happened, or what is left: what was made already, a refusal to be raised, or
None where nothing was done yet."""

Fallback: TypeAlias = "Callable[[Any, Any, Remainder | Refused | None], Any]"
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

_UNMADE: Any = False
"""In place of a form: nothing was made of the value yet."""

_SEVERAL: list[str] = []
"""In place of an id: the keys of a patch do not resolve to one contact."""

Lookup: TypeAlias = "Callable[[Any, Entries], tuple[Any, Any]]"
"""(value, holders of the key in a scope) -> what the value makes (a form, a tuple of
several, or None), and the holders of that (None, an id, or a list of several)."""

FastCall: TypeAlias = "tuple[PatchShape, Any, str, list[Any], Record, bool]"
"""A call that can be done here: its heading and values, the scope, a form for each key
of the policy as they are made, the state of the book, and whether all values are text
as it was sent."""

KeyPlan: TypeAlias = tuple[Any, ...]
"""Of a key: its name, its holders by scope (live), how to make its form of ASCII text
and what tells whether that is one (both None where there is no short way), and how to
look up anything else."""

Keys: TypeAlias = tuple[tuple[Any, ...], ...]
"""Keys of a heading: number, place, and then the plan."""


def look_up(key: Key) -> Lookup:
    """
    Make what looks up the values of a key of one field.

    >>> from upsertcore import normalize
    >>> look = look_up(Key("email", ("email",), (normalize.email,)))
    >>> look("Ada@x.org", {}), look("nobody", {}), look((), {})
    (('ada@x.org', None), (None, None), (None, None))
    """
    normal, checked, (field,) = key.normalize[0], key.check_form, key.fields

    def look(value: Any, entries: Entries) -> tuple[Any, Any]:
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

    return look


def _key_plan(key: Key, scopes: dict[str, Entries]) -> KeyPlan:
    short, is_form = None, None
    for known, *how in SHORT:
        if known is key.normalize[0]:
            short, is_form = how
    return key.name, scopes, short, is_form, look_up(key)


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
    """

    __slots__ = (
        *("_by_form", "_headings", "_ids", "_index", "_policy"),
        *("_unmade", "_updates", "_writer"),
    )

    def __init__(
        self, policy: Policy, index: ContactIndex, writer: Writer, *, ids: bool
    ) -> None:
        self._policy, self._index, self._writer = policy, index, writer
        self._ids = ids
        plans = [_key_plan(key, index.scopes(key.name)) for key in policy.all_keys]
        self._headings = PatchShapes(policy, index, plans)
        self._by_form = policy.match.resolve is FIRST_PRESENT
        self._updates = policy.on_found == "update"
        self._unmade: list[Any] = [_UNMADE] * len(plans)

    def upsert(self, patch: Any, scope: Any) -> FastResult:
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
        sent: Any = tuple(patch.values())
        plain = False
        for value in sent:
            if type(value) is not str:
                break
            if not value or value.isspace():
                return None
        else:
            whole, plain = "".join(sent), True
            try:
                if len(whole) > MAX_TEXT or not (whole.isascii() or whole.encode()):
                    return None
            except UnicodeEncodeError:
                return None
        if heading.cleans or not plain:
            sent, plain = heading.read(sent, text=plain), False
            if type(sent) is not tuple:
                return sent  # type: ignore[no-any-return]
        forms, state = self._unmade.copy(), self._writer.done
        call = heading, sent, scope, forms, state, plain
        id, by = self._found(heading.consulted, call, None, None)
        return self._create(call) if id is None else self._update(call, id, by)

    def upsert_many(
        self, patches: Iterable[Any], scope: Any, plain: Fallback, *, collect: bool
    ) -> list[Any]:
        """
        Do upserts one after the other, as :func:`upsertcore.book.batch.in_turn`.

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

    def _found(
        self, keys: Keys, call: FastCall, id: Any, by: str | None
    ) -> tuple[Any, str | None]:
        """
        Look up keys, and note the forms that they make.

        Args:
            keys: Of the call's heading.
            call: What is looked up.
            id: The contact that was found before, None where none was.
            by: The name of the key that found it.

        Returns:
            The contact that these keys resolve to, and what found it; in place of an
            id a list where they resolve to several.
        """
        _heading, sent, scope, forms, _state, plain = call
        by_form = self._by_form
        for number, place, name, scopes, short, is_form, look in keys:
            value, entries = sent[place], scopes.get(scope, _NO_ENTRIES)
            if short and (plain or type(value) is str) and value.isascii():
                form = short(value)
                holder = entries.get(form)
                if holder is None and not is_form(form):
                    form, holder = look(value, entries)
            else:
                form, holder = look(value, entries)
            forms[number] = form
            if by is None:
                if (form if by_form else holder) is not None:
                    id, by = holder, name
            elif holder is not None and holder != id:
                id = _SEVERAL
        return id, by

    def _taken(self, call: FastCall, id: str | None, by: str | None) -> bool:
        """Look up the keys that are not consulted; is one another contact's?"""
        return self._found(call[0].resting, call, id, by)[0] is _SEVERAL

    def _create(self, call: FastCall) -> FastResult:
        heading, sent, scope, forms, state, _plain = call
        if not heading.creates or not any(forms):
            return _left(call)
        values: Any = sent + heading.defaults
        if heading.has_rules:
            values = heading.lay((), values, heading.full, known=False)
        if values is None or (heading.resting and self._taken(call, None, "")):
            return _left(call)
        index, writer = self._index, self._writer
        fresh = writer.ids()
        if self._ids and (
            type(fresh) is not str or not fresh.strip() or not fresh.isascii()
        ):
            fresh = checked_id(fresh)
        now = writer.clock()
        if type(now) is not datetime or now.tzinfo is not UTC:
            now = checked_time(now)
        if fresh in index.rows or fresh in index.leads:
            if writer.published is state:
                raise SpentId(fresh)
            # Of this state, or of a later one: a call that queues hides which.
            return _left(call, fresh, now)
        for number in heading.omitted:
            forms[number] = None
        names, next = heading.full, index.next
        row = (names, 1, now, now, fresh, scope, next, None, *forms, *values)
        record = (row, None, None, state[NUMBER] + 1, get_ident())
        if writer.publish(state, record):
            return outcome_from_record("created", record, self._policy)
        return _left(call, fresh, now)

    def _update(self, call: FastCall, known: Any, by: str | None) -> FastResult:
        heading, sent, scope, forms, state, plain = call
        index, writer = self._index, self._writer
        before = index.rows.get(known) if type(known) is str else None
        if before is None or before[HISTORY] is not None:
            return _left(call)
        stored, values = before[heading.first :], sent
        names, after = before[NAMES], heading.names
        if names is not after:
            after, pick = heading.picks.get(id(names)) or heading.meet(names)
            values = pick(before + sent)
        if heading.has_rules:
            values = heading.lay(stored, values, after, known=True)
        # Of text, equal is the same; of numbers it is not.
        if values == stored and (plain or all(map(same, values, stored))):
            if writer.published is not state:
                return _left(call)
            return outcome_from_record("unchanged", (before, before, by), self._policy)
        if (
            values is None
            or not self._updates
            or (heading.resting and self._taken(call, known, by))
        ):
            return _left(call)
        now = writer.clock()
        if type(now) is not datetime or now.tzinfo is not UTC:
            now = checked_time(now)
        for number in heading.omitted:
            forms[number] = before[FORMS + number]
        version, created, place = before[VERSION] + 1, before[CREATED], before[PLACE]
        row = (after, version, created, now, known, scope, place, None, *forms, *values)
        record = (row, before, by, state[NUMBER] + 1, get_ident())
        if writer.publish(state, record):
            return outcome_from_record("updated", record, self._policy)
        return _left(call, None, now)


def _left(
    call: FastCall, id: str | None = None, now: datetime | None = None
) -> Remainder:
    heading, sent, _scope, forms, *_rest = call
    made = {
        name: forms[number]
        for number, _place, name, *_how in heading.carried
        if forms[number] is not _UNMADE
    }
    return Remainder(made, heading.names, sent, id, now)


def suits(policy: Policy) -> bool:
    """
    Return whether the strategy and the keys are what the fast path knows.

    >>> from upsertcore import Policy, field, first_match, merge_all, normalize
    >>> lines = {"email": field(key=normalize.email)}
    >>> [suits(Policy(match("email"), lines)) for match in (first_match, merge_all)]
    [True, False]
    """
    decide = policy.match.resolve
    known = any(decide is one for one in (FIRST_MATCH, FIRST_PRESENT, ALL_AGREE))
    return known and all(map(_is_plain, policy.all_keys))


def _is_plain(key: Key) -> bool:
    rare = key.keep_aliases or key.any_of or key.blocked or key.max_forms is not None
    return len(key.fields) == 1 and not rare
