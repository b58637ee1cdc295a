"""
The fields of a contact while other contacts, and then a patch, are merged into it.

Rules:
    A draft lives within one decision; nothing of it escapes before it is complete.
    Contacts come first, one after the other; then the patch, and last the primaries
    of keys that append new values.
    What is absent in another contact changes nothing; see ``rules.absent``.
    A value that is taken from another contact brings its clock.
    A refusal names the contact, and shows no value of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeAlias, final

from upsertcore.errors import InvalidField, MissingField, blame
from upsertcore.policy.fields import UNUSABLE
from upsertcore.policy.policy import compiled
from upsertcore.rules import replace
from upsertcore.rules.absent import is_absent
from upsertcore.rules.order import later
from upsertcore.values import NOTHING, FrozenMap, empty, freeze, same

if TYPE_CHECKING:
    from upsertcore.engine.patch import Fields
    from upsertcore.model.contact import Contact
    from upsertcore.policy.keys import Key
    from upsertcore.policy.policy import Policy
    from upsertcore.rules.gather import Gatherer
    from upsertcore.rules.rule import Rule

__all__ = [
    "Draft",
    "MergedFields",
    "set_update_clocks",
]

Gather: TypeAlias = "Callable[[Any, Any], Gatherer | None]"


@final
class MergedFields:
    """
    The fields and clocks of a contact while others are merged into it.

    Args:
        policy: The table.
        before: The contact that stays.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import Contact, Policy, field, never
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> ada = Contact("c-1", "", {"name": "Ada", "city": ""}, 1, now, now)
    >>> eve = Contact("c-2", "", {"name": "Eve", "city": "Oslo"}, 1, now, now)
    >>> merging = MergedFields(Policy(never(), {"name": field(), "city": field()}), ada)
    >>> merging.merge([eve])
    >>> merging.fields
    {'name': 'Ada', 'city': 'Oslo'}
    """

    __slots__ = (
        *("_before", "_defaults", "_gathered", "_policy", "_times", "clocks", "fields"),
    )

    def __init__(self, policy: Policy, before: Contact) -> None:
        self._policy, self._before = policy, before
        self._defaults = dict(compiled(policy).defaults)
        self.fields: dict[str, Any] = dict(before.fields)
        self.clocks: dict[str, Any] = dict(before.clocks)
        self._times: dict[str, str] = {}
        self._gathered: dict[str, Gatherer] = {}

    def merge(self, others: Iterable[Contact]) -> None:
        """
        Merge other contacts in, one after the other.

        Args:
            others: They stay as they are.

        Raises:
            InvalidField: If a rule refuses a value of one.

        Cost:
            Linear in the fields of all, and in their values where a rule joins them.
        """
        for other in others:
            for name in dict.fromkeys((*other.fields, *other.clocks)):
                rule, value = self._policy.merge_rule(name), other.get(name)
                gone = is_absent(value, self._defaults.get(name))
                if gone and (value is None or self._knows(name)):
                    if value is None and rule.by is not None and not rule.merges_only:
                        # What null cleared is as new as its clock.
                        self._take_one(rule, name, other)
                elif gone:
                    self._take_absent(rule, name, other)
                elif rule.gather is None:
                    self._take_one(rule, name, other)
                else:
                    self._gather(rule.gather, rule, name, other)
        for name, gathered in self._gathered.items():
            self._set(name, gathered.result())

    def _knows(self, name: str) -> bool:
        """Return whether the survivor has a field, or knows that it was cleared."""
        return name in self.fields or name in self.clocks

    def _take_one(self, rule: Rule, name: str, other: Contact) -> None:
        """Let a rule take one field of another contact."""
        value = other.get(name)
        try:
            if rule.merges_only:
                self._take_newer(rule, name, other)
            elif rule.by is not None:
                self._take_clocked(rule, name, other)
            elif rule.on_update:
                self._take_value(rule, name, other)
        except ValueError as error:
            raise InvalidField(name, value, str(error), holder=other.id) from error
        except Exception as error:
            blame(error, name, "rule", rule, value)
            raise

    def _take_absent(self, rule: Rule, name: str, other: Contact) -> None:
        """Take what counts as absent where the survivor has nothing, if a rule does."""
        try:
            self._take_one(rule, name, other)
        except InvalidField:
            # What is not there refuses no merge.
            return

    def _gather(self, gather: Gather, rule: Rule, name: str, other: Contact) -> None:
        """Lay one field of another contact over what is gathered of those before."""
        default, gathered = self._defaults.get(name), self._gathered.get(name)
        if gathered is not None and _is_absent(gathered, default):
            # From here on it counts as absent.
            self._set(name, self._gathered.pop(name).result())
            gathered = None
        if gathered is None:
            own = self._present(name)
            gathered = None if own is None else gather(own, default)
            if gathered is None:
                self._take_one(rule, name, other)
                return
            self._gathered[name] = gathered
        value = other.get(name)
        try:
            gathered.add(value)
        except ValueError as error:
            raise InvalidField(name, value, str(error), holder=other.id) from error
        if self._has_clock(name):
            taken, moved = gathered.equals(value), gathered.moved
            self._take_clock(name, other, taken=taken, moved=moved)

    def _has_clock(self, name: str) -> bool:
        return self._policy.base_rule(name).by is not None

    def _present(self, name: str) -> Any:
        """Return the survivor's value, None where it counts as absent."""
        value = self.fields.get(name)
        return None if is_absent(value, self._defaults.get(name)) else value

    def _set(self, name: str, value: Any) -> None:
        if value is None:
            self.fields.pop(name, None)
        elif not same(value, self.fields.get(name)):
            self.fields[name] = value

    def _set_clock(self, name: str, clock: Any) -> None:
        if clock is None:
            self.clocks.pop(name, None)
        else:
            self.clocks[name] = clock

    def _take_value(self, rule: Rule, name: str, other: Contact) -> None:
        """Let a rule without a clock take a value that is there."""
        own, value = self.fields.get(name), other.get(name)
        new = self._combined(rule, name, own, value)
        if self._has_clock(name):
            taken, moved = same(new, value), not same(new, own)
            self._take_clock(name, other, taken=taken, moved=moved)
        self._set(name, new)

    def _take_clock(
        self, name: str, other: Contact, *, taken: bool, moved: bool
    ) -> None:
        """Take the clock of a value that was taken over, or the later of two."""
        clock, theirs = self.clocks.get(name), other.clocks.get(name)
        if taken and moved:
            self._set_clock(name, theirs)
        elif taken or moved:
            self._set_clock(name, later(clock, theirs))

    def _combined(self, rule: Rule, name: str, own: Any, value: Any) -> Any:
        if rule.merge is not None and own is not None:
            return rule.merge(own, value, self._defaults.get(name))
        known = self._present(name)
        new = rule.combine(known, value)
        if own is None:
            return new
        if new is None and known is None and not _clears(rule, own, value):
            # What is absent stays absent, and that is what the survivor has.
            return own
        return new

    def _take_clocked(self, rule: Rule, name: str, other: Contact) -> None:
        """Let a rule with a clock choose; what was cleared has a clock too."""
        own, clock = self.fields.get(name), self.clocks.get(name)
        if own is not None and self._present(name) is None:
            own = clock = None
        theirs = other.clocks.get(name), other.get(name)
        made = rule.combine((clock, own), theirs)
        self._set_clock(name, made[0])
        self._set(name, made[1])

    def _take_newer(self, rule: Rule, name: str, other: Contact) -> None:
        """Take a value that is there from the contact that was updated last."""
        own, value = self._present(name), other.get(name)
        if self._has_clock(name):
            mine, theirs = self.clocks.get(name), other.clocks.get(name)
        else:
            mine, theirs = self.time(name), _time(other, name)
        clock, new = theirs, value
        if own is not None:
            clock, new = rule.combine((mine, own), (theirs, value))
        if self._has_clock(name):
            self._set_clock(name, clock)
        elif clock != mine:
            self._times[name] = clock
            self._set_clock(name, clock)
        self._set(name, new)

    def time(self, name: str) -> str:
        """
        Return when the contact that supplied a field was updated.

        Args:
            name: A field that goes by when its contact was updated.
        """
        return self._times.get(name) or _time(self._before, name)


def _is_absent(gathered: Gatherer, default: Any) -> bool:
    """Return whether what is gathered is blank by now, or what is default."""
    return any(map(gathered.equals, ((), NOTHING, default)))


def _clears(rule: Rule, own: Any, value: Any) -> bool:
    """Return whether a rule clears a value that counts as absent."""
    try:
        return rule.combine(own, value) is None
    except ValueError:
        # It would refuse that value, which is not there for it.
        return False


def set_update_clocks(
    names: Iterable[str],
    merging: MergedFields | None,
    base: Mapping[str, Any],
    fields: Mapping[str, Any],
    clocks: dict[str, Any],
) -> None:
    """
    Keep, as the clocks of fields, when the contacts that supplied them were updated.

    Args:
        names: Of the fields that go by that.
        merging: What merged contacts; None where the contact itself is not updated.
        base: The fields before the patch was merged in.
        fields: The fields after it. One that the patch updates has no clock any more.
        clocks: Of the fields after it; changed.

    >>> clocks = {"city": "2024-01-02T00:00:00.000000+00:00"}
    >>> set_update_clocks(("city",), None, {"city": "Oslo"}, {"city": "Rome"}, clocks)
    >>> clocks
    {}
    """
    for name in names:
        value = fields.get(name)
        if not same(value, base.get(name)):
            clocks.pop(name, None)
        elif merging is not None and not empty(value):
            clocks[name] = merging.time(name)


def _time(contact: Contact, name: str) -> str:
    """Write when a field's contact was updated, so that text compares as time does."""
    kept = contact.clocks.get(name)
    if type(kept) is str:
        return kept
    return contact.updated_at.astimezone(UTC).isoformat(timespec="microseconds")


_NO_PRIMARIES: Mapping[str, Key] = {}


@final
class Draft:
    """
    The fields of a contact to be.

    Args:
        policy: The table.
        before: The contact that is known, None for a new one.
        ignored: Field name to reason, for what reading the patch left out.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> draft = Draft(policy, None, {})
    >>> draft.apply_patch({"email": "ada@x.org"})
    >>> draft.after, draft.moved
    ({'email': 'ada@x.org'}, {'email'})
    """

    __slots__ = (
        *("_absorbed", "_base", "_before", "_merging", "_policy", "_read", "_sent"),
        *("after", "appended", "clocks", "ignored", "moved", "stored", "stored_clocks"),
    )

    def __init__(
        self, policy: Policy, before: Contact | None, ignored: Mapping[str, str]
    ) -> None:
        self._policy = policy
        stored, written = NOTHING, NOTHING
        if before is not None:
            stored, written = before.fields, before.clocks
        self.stored: FrozenMap[Any] = stored
        self.stored_clocks: FrozenMap[Any] = written
        self.after: dict[str, Any] = stored.proxy.copy()
        self.clocks: dict[str, Any] = written.proxy.copy()
        self._base: tuple[Fields, Fields] = stored, written
        self._absorbed: Iterable[str] = ()
        self._sent: Fields = NOTHING
        self._read = ignored
        self.moved: set[str] = set()
        self.ignored = dict(ignored)
        self.appended: dict[str, tuple[Any, tuple[str, ...]]] = {}
        self._before = before
        self._merging: MergedFields | None = None

    def merge_contacts(self, others: Iterable[Contact]) -> None:
        """
        Merge other contacts in, one after the other.

        Args:
            others: They stay as they are.

        Raises:
            InvalidField: If a rule refuses a value of one.
        """
        merging = MergedFields(self._policy, self._before)  # type: ignore[arg-type]
        merging.merge(others)
        self.after, self.clocks, self._merging = merging.fields, merging.clocks, merging
        for name in {*self.after, *self.stored, *self.clocks, *self.stored_clocks}:
            self._note(name)
        self._base = dict(self.after), dict(self.clocks)
        self._absorbed = {*self.moved}

    def set_update_clocks(self) -> None:
        """Keep when the contacts that supplied ``last_updated`` fields were updated."""
        moves = self.moved or (self._before is not None and self._before.deleted_at)
        parts = self._base[0], self.after, self.clocks
        set_update_clocks(
            self._policy.update_time_fields(self.clocks, self.after),
            self._merging if moves else None,
            *parts,
        )

    def apply_patch(self, sent: Fields, *, known: bool = False) -> None:
        """
        Merge a patch in.

        Args:
            sent: Field name to frozen value, None for null.
            known: True where the contact is known, False where it is created.

        Raises:
            InvalidField: If a rule refuses a value, or lacks its clock.
        """
        self._sent = sent
        self._apply(sent, known=known)

    def _apply(self, sent: Fields, *, known: bool) -> None:
        tables, after, moved = compiled(self._policy), self.after, self.moved
        last = tables.primaries if known else _NO_PRIMARIES
        rules, usual = tables.rules, tables.extra_rule
        # Each field is sent once; unless something was absorbed, it is as stored yet.
        as_stored = not moved
        if not (known or after) and tables.replaces(sent) and None not in sent.values():
            after.update(sent)
            moved.update(sent)
            return
        for name, value in sent.items():
            if last and name in last:
                continue
            rule = rules.get(name, usual)
            if rule is not replace or not as_stored:
                self._take(rule, name, value, known=known)
            elif type(value) is str:
                if value != after.get(name):
                    after[name] = value
                    moved.add(name)
            elif not same(value, after.get(name)):
                _set(after, name, value)
                moved.add(name)
        if last:
            self._merge_primaries(last, sent)

    def affected_fields(self, sent: Fields) -> list[str]:
        """
        List the fields of a patch that its rules would move, leave out or refuse.

        Args:
            sent: As :meth:`apply_patch`, for a known contact.

        >>> from upsertcore import Policy, field, never
        >>> from upsertcore.rules import union
        >>> policy = Policy(never(), {"name": field(), "tags": field(rule=union)})
        >>> Draft(policy, None, {}).affected_fields({"name": "Ada", "tags": None})
        ['name']
        """
        tables, self._sent = compiled(self._policy), sent
        last, rules = tables.primaries, tables.rules
        named = []
        for name in sorted(sent, key=last.__contains__):
            rule, value = rules.get(name, tables.extra_rule), sent[name]
            try:
                if name not in last or not self._settle_primary(last[name], value):
                    self._take(rule, name, value, known=True)
            except InvalidField as refusal:
                if refusal.is_of_caller:
                    raise
                named.append(name)
                continue
            if name in self.moved or name in self.ignored:
                named.append(name)
        return named

    def _merge_primaries(self, last: Mapping[str, Key], sent: Fields) -> None:
        for name, value in sent.items():
            if name in last and not self._settle_primary(last[name], value):
                self._take(compiled(self._policy).rules[name], name, value, known=True)

    def _take(self, rule: Rule, name: str, value: Any, *, known: bool) -> None:
        """Take one field of a patch; name it where it is left out."""
        stored = new = self.after.get(name)
        if rule.on_update if known else rule.on_create:
            clock = None if rule.by is None else _clock(rule.by, name, self._sent)
            new = self._lay(rule, name, value, clock)
        if rule.leaves_out(stored, new, value):
            self.ignored[name] = rule.name

    def _lay(self, rule: Rule, name: str, value: Any, clock: Any) -> Any:
        """Let a rule make the new value, and answer it."""
        stored, written = self.after.get(name), None
        try:
            if rule.by is None:
                new = rule.combine(stored, value)
            else:
                written = self.clocks.get(name)
                clock, new = rule.combine((written, stored), (clock, value))
                _set(self.clocks, name, clock)
        except ValueError as error:
            raise InvalidField(name, value, str(error)) from error
        except Exception as error:
            blame(error, name, "rule", rule, value)
            raise
        if new is stored and rule.by is None:
            return new
        if not same(new, stored) or (rule.by and not same(clock, written)):
            self._put(name, new)
        return new

    def _put(self, name: str, value: Any) -> None:
        """Set a field, its clock being set; it has moved unless it is as it was."""
        _set(self.after, name, value)
        self._note(name)

    def _note(self, name: str) -> None:
        """Note whether a field, or its clock, is other than it is stored."""
        as_stored = same(self.after.get(name), self.stored.proxy.get(name))
        if as_stored and same(self.clocks.get(name), self.stored_clocks.get(name)):
            self.moved.discard(name)
        else:
            self.moved.add(name)

    def _settle_primary(self, key: Key, value: Any) -> bool:
        """Leave a value of a primary to the additional fields, if it belongs there."""
        primary, *rest = key.fields
        sent = key.forms({primary: value})
        stored = self.after.get(primary)
        if not sent or empty(stored):
            return False
        if not {*sent}.isdisjoint(key.forms({primary: stored})):
            return False
        held = {*key.forms({name: self.after.get(name) for name in rest})}
        if not held.issuperset(sent):
            if not key.append_new:
                return False
            self._join(key, value, held)
        elif key.append_new and rest[-1] in self.appended:
            # Another primary brought it, and this one would if that did not.
            own, primaries = self.appended[rest[-1]]
            alone = {**{n: self.after.get(n) for n in rest}, rest[-1]: own}
            if not {*key.forms(alone)}.issuperset(sent):
                self.appended[rest[-1]] = own, (*primaries, primary)
        self.ignored[primary] = "additional"
        return True

    def _join(self, key: Key, value: Any, held: set[str]) -> None:
        name = key.fields[-1]
        listed = self.after.get(name)
        if empty(listed):
            listed = ()
        if type(listed) is not tuple:
            reason = "must be a list, so that values can be appended"
            stored = self._before is not None and same(listed, self._before.get(name))
            holder = self._before.id if stored else None  # type: ignore[union-attr]
            raise InvalidField(name, listed, reason, holder=holder)
        own, primaries = self.appended.get(name, (self.after.get(name), ()))
        self.appended[name] = own, (*primaries, key.fields[0])
        new = []
        for item in value if type(value) is tuple else (value,):
            form = key.form(item)
            if form is not None and form not in held:
                held.add(form)
                new.append(item)
        listed = (*listed, *new)
        clean = self._policy.field_options(name).clean
        try:
            made = freeze(listed if clean is None else clean(listed))
        except ValueError as error:
            raise InvalidField(name, value, str(error)) from error
        except Exception as error:
            blame(error, name, "clean", clean, listed)
            raise
        if made is None:
            raise InvalidField(name, value, UNUSABLE)
        self._put(name, made)

    def apply_defaults(self, sent: Fields) -> None:
        """
        Give a new contact its defaults.

        Args:
            sent: The patch; what it carries needs no default.

        Raises:
            MissingField: If a needed field is absent or blank.
        """
        policy = self._policy
        for name, value in compiled(policy).defaults:
            rule = policy.fields[name].rule
            if name not in sent or not rule.on_create:
                self._put(name, value)
                if name in sent and not same(sent[name], value):
                    self.ignored[name] = rule.name
        for name in compiled(policy).required:
            value = self.after.get(name)
            if empty(value):
                raise MissingField(name)

    @property
    def base(self) -> Fields:
        """The fields before the patch was merged in."""
        return self._base[0]

    def cleared_values(self, names: Iterable[str]) -> dict[str, Any]:
        """Give the values that fields had which null has cleared."""
        gone = [n for n in names if n not in self.after and n in self._sent]
        return {n: self.base[n] for n in gone if n in self.base}

    def own_value(self, name: str) -> Any:
        """Give the value of a field without what joined it."""
        return self.appended[name][0] if name in self.appended else self.after.get(name)

    def appended_primaries(self, name: str) -> tuple[str, ...]:
        """Give the primaries whose values joined a list."""
        return self.appended[name][1] if name in self.appended else ()

    def is_moved(self, name: str) -> bool:
        """Tell whether a field is other than before by what was sent for it."""
        if name not in self._sent:
            return False
        rule = self._policy.field_options(name).rule
        if self._before is None and not rule.on_create:
            return False
        fields, clocks = self._base
        as_before = same(self.own_value(name), fields.get(name))
        return not as_before or not same(self.clocks.get(name), clocks.get(name))

    def leave_out(self, left_out: Mapping[str, str]) -> None:
        """
        Merge the patch anew without some fields; they go by no default either.

        Args:
            left_out: Field name to the reason to name it with, blank for none.

        Raises:
            MissingField: If creating needs one of them.
            InvalidField: If a rule refuses what is merged then.
        """
        fields, clocks = self._base
        self.after, self.clocks = dict(fields), dict(clocks)
        self.moved, self.appended = {*self._absorbed}, {}
        self.ignored = {**self._read, **{n: why for n, why in left_out.items() if why}}
        rest = {n: value for n, value in self._sent.items() if n not in left_out}
        self._apply(rest, known=self._before is not None)
        if self._before is None:
            self.apply_defaults(self._sent)


def _set(part: dict[str, Any], name: str, value: Any) -> None:
    """Set a field, or clear it: no contact holds a null."""
    if value is None:
        part.pop(name, None)
    else:
        part[name] = value


def _clock(by: str, name: str, sent: Fields) -> Any:
    """Give the clock of a patch, as it was cleaned."""
    clock = sent.get(by)
    if type(clock) not in (str, int, float) or empty(clock):
        reason = f"must be text or a number, as the clock of {name}"
        raise InvalidField(by, clock, reason)
    return clock
