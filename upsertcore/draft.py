"""
The draft: a contact's fields, and their clocks, while others are merged into them.

Rules:
    It lives within one decision, and what it becomes is frozen by the plan.
    What is absorbed comes first, then the patch, then the primaries of keys that
    have additional fields, so that these are known when a primary is looked at.
    What a rule leaves out is named, with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, final

from upsertcore.errors import InvalidField, MissingField
from upsertcore.line import UNUSABLE
from upsertcore.merging import Merging, date
from upsertcore.refusals import blame
from upsertcore.rules import replace
from upsertcore.values import NOTHING, FrozenMap, empty, freeze, same

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.keys import Key
    from upsertcore.patch import Fields
    from upsertcore.policy import Policy
    from upsertcore.rule import Rule

__all__ = ["Draft"]

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
    >>> draft.merge({"email": "ada@x.org"})
    >>> draft.after, draft.moved
    ({'email': 'ada@x.org'}, {'email'})
    """

    __slots__ = (
        *("_absorbed", "_base", "_before", "_merging", "_policy", "_read", "_sent"),
        *("after", "clocks", "ignored", "joined", "moved", "stored", "written"),
    )

    def __init__(
        self, policy: Policy, before: Contact | None, ignored: Mapping[str, str]
    ) -> None:
        self._policy = policy
        stored, written = NOTHING, NOTHING
        if before is not None:
            stored, written = before.fields, before.clocks
        self.stored: FrozenMap[Any] = stored
        self.written: FrozenMap[Any] = written
        self.after: dict[str, Any] = stored.proxy.copy()
        self.clocks: dict[str, Any] = written.proxy.copy()
        self._base: tuple[Fields, Fields] = stored, written
        self._absorbed: Iterable[str] = ()
        self._sent: Fields = NOTHING
        self._read = ignored
        self.moved: set[str] = set()
        self.ignored = dict(ignored)
        self.joined: dict[str, tuple[Any, tuple[str, ...]]] = {}
        self._before = before
        self._merging: Merging | None = None

    def absorb(self, others: Iterable[Contact]) -> None:
        """
        Merge other contacts in, one after the other.

        Args:
            others: They stay as they are.

        Raises:
            InvalidField: If a rule refuses a value of one.
        """
        merging = Merging(self._policy, self._before)  # type: ignore[arg-type]
        merging.take(others)
        self.after, self.clocks, self._merging = merging.fields, merging.clocks, merging
        for name in {*self.after, *self.stored, *self.clocks, *self.written}:
            self._note(name)
        self._base = dict(self.after), dict(self.clocks)
        self._absorbed = {*self.moved}

    def date(self) -> None:
        """Keep when the contacts that supplied ``last_updated`` fields were updated."""
        moves = self.moved or (self._before is not None and self._before.deleted_at)
        parts = self._base[0], self.after, self.clocks
        date(
            self._policy.dated(self.clocks, self.after),
            self._merging if moves else None,
            *parts,
        )

    def merge(self, sent: Fields, *, known: bool = False) -> None:
        """
        Merge a patch in.

        Args:
            sent: Field name to frozen value, None for null.
            known: True where the contact is known, False where it is created.

        Raises:
            InvalidField: If a rule refuses a value, or lacks its clock.
        """
        self._sent = sent
        self._merge(sent, known=known)

    def _merge(self, sent: Fields, *, known: bool) -> None:
        policy, after, moved = self._policy, self.after, self.moved
        last = policy.primaries if known else _NO_PRIMARIES
        rules, usual = policy.rules, policy.usual
        # Each field is sent once; unless something was absorbed, it is as stored yet.
        as_stored = not moved
        if not (known or after) and policy.lays(sent) and None not in sent.values():
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

    def concerned(self, sent: Fields) -> list[str]:
        """
        List the fields of a patch that its rules would move, leave out or refuse.

        Args:
            sent: As :meth:`merge`, for a known contact.

        >>> from upsertcore import Policy, field, never
        >>> from upsertcore.rules import union
        >>> policy = Policy(never(), {"name": field(), "tags": field(rule=union)})
        >>> Draft(policy, None, {}).concerned({"name": "Ada", "tags": None})
        ['name']
        """
        policy, last, self._sent = self._policy, self._policy.primaries, sent
        named = []
        for name in sorted(sent, key=last.__contains__):
            rule, value = policy.rules.get(name, policy.usual), sent[name]
            try:
                if name not in last or not self._settle_primary(last[name], value):
                    self._take(rule, name, value, known=True)
            except InvalidField:
                named.append(name)
                continue
            if name in self.moved or name in self.ignored:
                named.append(name)
        return named

    def _merge_primaries(self, last: Mapping[str, Key], sent: Fields) -> None:
        for name, value in sent.items():
            if name in last and not self._settle_primary(last[name], value):
                self._take(self._policy.rules[name], name, value, known=True)

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
        if as_stored and same(self.clocks.get(name), self.written.get(name)):
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
        elif key.append_new and rest[-1] in self.joined:
            # Another primary brought it, and this one would if that did not.
            own, primaries = self.joined[rest[-1]]
            alone = {**{n: self.after.get(n) for n in rest}, rest[-1]: own}
            if not {*key.forms(alone)}.issuperset(sent):
                self.joined[rest[-1]] = own, (*primaries, primary)
        self.ignored[primary] = "additional"
        return True

    def _join(self, key: Key, value: Any, held: set[str]) -> None:
        name = key.fields[-1]
        listed = self.after.get(name)
        if empty(listed):
            listed = ()
        if type(listed) is not tuple:
            reason = "must be a list, for a value to join it"
            stored = self._before is not None and same(listed, self._before.get(name))
            holder = self._before.id if stored else None  # type: ignore[union-attr]
            raise InvalidField(name, listed, reason, holder=holder)
        own, primaries = self.joined.get(name, (self.after.get(name), ()))
        self.joined[name] = own, (*primaries, key.fields[0])
        for item in value if type(value) is tuple else (value,):
            form = key.form(item)
            if form is not None and form not in held:
                held.add(form)
                listed = (*listed, item)
        clean = self._policy.line(name).clean
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

    def complete(self, sent: Fields) -> None:
        """
        Give a new contact its defaults.

        Args:
            sent: The patch; what it carries needs no default.

        Raises:
            MissingField: If a needed field is absent or blank.
        """
        policy = self._policy
        for name, value in policy.defaults:
            rule = policy.fields[name].rule
            if name not in sent or not rule.on_create:
                self._put(name, value)
                if name in sent and not same(sent[name], value):
                    self.ignored[name] = rule.name
        for name in policy.needed:
            value = self.after.get(name)
            if empty(value):
                raise MissingField(name)

    @property
    def base(self) -> Fields:
        """The fields before the patch was merged in."""
        return self._base[0]

    def cleared(self, names: Iterable[str]) -> dict[str, Any]:
        """Give the values that fields had which null has cleared."""
        gone = [n for n in names if n not in self.after and n in self._sent]
        return {n: self.base[n] for n in gone if n in self.base}

    def own(self, name: str) -> Any:
        """Give the value of a field without what joined it."""
        return self.joined[name][0] if name in self.joined else self.after.get(name)

    def primaries_in(self, name: str) -> tuple[str, ...]:
        """Give the primaries whose values joined a list."""
        return self.joined[name][1] if name in self.joined else ()

    def moves(self, name: str) -> bool:
        """Tell whether a field is other than before by what was sent for it."""
        if name not in self._sent:
            return False
        rule = self._policy.line(name).rule
        if self._before is None and not rule.on_create:
            return False
        fields, clocks = self._base
        as_before = same(self.own(name), fields.get(name))
        return not as_before or not same(self.clocks.get(name), clocks.get(name))

    def without(self, left_out: Mapping[str, str]) -> None:
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
        self.moved, self.joined = {*self._absorbed}, {}
        self.ignored = {**self._read, **{n: why for n, why in left_out.items() if why}}
        rest = {n: value for n, value in self._sent.items() if n not in left_out}
        self._merge(rest, known=self._before is not None)
        if self._before is None:
            self.complete(self._sent)


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
        reason = f"must be text or a number, for {name} goes by it"
        raise InvalidField(by, clock, reason)
    return clock
