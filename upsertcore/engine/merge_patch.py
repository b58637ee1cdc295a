"""
The new fields of a contact: other contacts are merged into it, then a patch applies.

Rules:
    A draft lives within one decision.
    The order is: other contacts, one after the other; the fields that the patch clears
    by omission; those that it sends; the primaries of keys that append new values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, final

from upsertcore.engine.append_new import appended, new_items
from upsertcore.engine.merge_contacts import MergedFields, set_update_clocks
from upsertcore.errors import InvalidField, MissingField, note_function
from upsertcore.policy.policy import compiled
from upsertcore.rules import replace
from upsertcore.values import NOTHING, FrozenMap, empty, same

if TYPE_CHECKING:
    from upsertcore.engine.patch import Fields
    from upsertcore.model.contact import Contact
    from upsertcore.policy.keys import Key
    from upsertcore.policy.policy import Policy
    from upsertcore.rules.rule import Rule

__all__ = ["Draft", "apply_rule"]

_NO_PRIMARIES: Mapping[str, Key] = {}


@final
class Draft:
    """
    The mutable fields of the contact that a decision computes.

    Args:
        policy: The policy.
        before: The matched contact, None for a new one.
        ignored: Field name to reason, for what reading the patch left out.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> draft = Draft(policy, None, {})
    >>> draft.apply_patch({"email": "ada@x.org"})
    >>> draft.after, draft.moved
    ({'email': 'ada@x.org'}, {'email'})
    """

    __slots__ = (
        *("_base", "_before", "_ignored_by_read", "_merged", "_moved_by_merge"),
        *("_omitted", "_policy", "_replaces_primaries", "_sent"),
        *("after", "appended", "clocks", "ignored", "moved", "stored", "stored_clocks"),
    )

    def __init__(
        self, policy: Policy, before: Contact | None, ignored: Mapping[str, str]
    ) -> None:
        self._policy = policy
        stored, clocks = NOTHING, NOTHING
        if before is not None:
            stored, clocks = before.fields, before.clocks
        self.stored: FrozenMap[Any] = stored
        self.stored_clocks: FrozenMap[Any] = clocks
        self.after: dict[str, Any] = stored.proxy.copy()
        self.clocks: dict[str, Any] = clocks.proxy.copy()
        self._base: tuple[Fields, Fields] = stored, clocks
        self._moved_by_merge: Iterable[str] = ()
        self._sent: Fields = NOTHING
        self._omitted: Iterable[str] = ()
        self._ignored_by_read = ignored
        self.moved: set[str] = set()
        self.ignored = dict(ignored)
        self.appended: dict[str, tuple[Any, tuple[str, ...]]] = {}
        self._before = before
        self._merged: MergedFields | None = None
        self._replaces_primaries = False

    def merge_contacts(self, others: Iterable[Contact]) -> None:
        """
        Merge other contacts, one after the other.

        Args:
            others: The other contacts; they are not changed.

        Raises:
            InvalidField: If a rule refuses one of their values.
        """
        merged = MergedFields(self._policy, self._before)  # type: ignore[arg-type]
        merged.merge(others)
        self.after, self.clocks, self._merged = merged.fields, merged.clocks, merged
        for name in {*self.after, *self.stored, *self.clocks, *self.stored_clocks}:
            self._track(name)
        self._base = dict(self.after), dict(self.clocks)
        self._moved_by_merge = {*self.moved}

    def set_update_clocks(self) -> None:
        """Store the update times of ``last_updated`` fields as their clocks."""
        moves = self.moved or (self._before is not None and self._before.deleted_at)
        parts = self._base[0], self.after, self.clocks
        set_update_clocks(
            self._policy.update_time_fields(self.clocks, self.after),
            self._merged if moves else None,
            *parts,
        )

    def apply_patch(
        self,
        sent: Fields,
        *,
        known: bool = False,
        matched_by: str | None = None,
        replaces_primaries: bool = False,
    ) -> None:
        """
        Apply a patch.

        Args:
            sent: Field name to frozen value, None for null.
            known: True where the contact is known, False where it is created.
            matched_by: The name of the key that matched it, None for none.
            replaces_primaries: Whether a new primary replaces the stored one, which
                is then appended, instead of being appended itself.

        Raises:
            InvalidField: If a rule refuses a value, or lacks its clock.
            MissingField: If the patch would clear a required field by omission.
        """
        self._sent, self._replaces_primaries = sent, replaces_primaries
        if known and self._policy.omitted == "clear":
            self._omitted = self._omitted_fields(matched_by)
            self._clear_omitted()
        self._apply(sent, known=known)

    def _omitted_fields(self, matched_by: str | None) -> list[str]:
        """List what the patch does not name, besides clocks and the matched key."""
        tables = compiled(self._policy)
        rules = (*tables.rules.values(), tables.extra_rule)
        kept = {rule.by for rule in rules} | self._ignored_by_read.keys()
        key = tables.by_name.get(matched_by or "")
        kept.update(self._sent, () if key is None else key.fields)
        return [name for name in self.after if name not in kept]

    def _clear_omitted(self) -> None:
        """Clear fields as null does; what its rule does not clear stays, unnamed."""
        tables = compiled(self._policy)
        defaults = dict(tables.defaults)
        for name in self._omitted:
            rule = tables.rules.get(name, tables.extra_rule)
            default = defaults.get(name)
            if not rule.on_update or same(self.after[name], default):
                continue
            try:
                self._combine(rule, name, None)
            except InvalidField as refusal:
                if refusal.is_from_caller:
                    raise
            # As a patch that creates the contact would leave the field.
            if name not in self.after and default is not None:
                self._put(name, default)
        for name in tables.required:
            if name in self._omitted and name not in self.after:
                raise MissingField(name, is_cleared=True)

    def _apply(self, sent: Fields, *, known: bool) -> None:
        tables, after, moved = compiled(self._policy), self.after, self.moved
        primaries = tables.primaries if known else _NO_PRIMARIES
        rules, extra_rule = tables.rules, tables.extra_rule
        # Without merged contacts each field is still as it is stored.
        as_stored = not moved
        if not (known or after) and tables.replaces(sent) and None not in sent.values():
            after.update(sent)
            moved.update(sent)
            return
        for name, value in sent.items():
            if primaries and name in primaries:
                continue
            rule = rules.get(name, extra_rule)
            if rule is not replace or not as_stored:
                self._apply_rule(rule, name, value, known=known)
            elif type(value) is str:
                if value != after.get(name):
                    after[name] = value
                    moved.add(name)
            elif not same(value, after.get(name)):
                _set(after, name, value)
                moved.add(name)
        if primaries:
            self._apply_primaries(primaries, sent)

    def affected_fields(self, sent: Fields) -> list[str]:
        """
        List the fields of a patch that its rules would move, ignore or refuse.

        Args:
            sent: As in :meth:`apply_patch`, for a known contact.

        >>> from upsertcore import Policy, field, never
        >>> from upsertcore.rules import union
        >>> policy = Policy(never(), {"name": field(), "tags": field(rule=union)})
        >>> Draft(policy, None, {}).affected_fields({"name": "Ada", "tags": None})
        ['name']
        """
        tables, self._sent = compiled(self._policy), sent
        primaries, rules = tables.primaries, tables.rules
        affected = []
        for name in sorted(sent, key=primaries.__contains__):
            rule, value = rules.get(name, tables.extra_rule), sent[name]
            try:
                key = primaries.get(name)
                if key is None or not self._is_additional(key, value):
                    self._apply_rule(rule, name, value, known=True)
            except InvalidField as refusal:
                if refusal.is_from_caller:
                    raise
                affected.append(name)
                continue
            if name in self.moved or name in self.ignored:
                affected.append(name)
        return affected

    def _apply_primaries(self, primaries: Mapping[str, Key], sent: Fields) -> None:
        rules = compiled(self._policy).rules
        for name, value in sent.items():
            key = primaries.get(name)
            if key is None or (
                not self._replaces_primaries and self._is_additional(key, value)
            ):
                continue
            former = self.after.get(name)
            self._apply_rule(rules[name], name, value, known=True)
            if self._replaces_primaries and key.append_new:
                self._append_former(key, former, sent)

    def _append_former(self, key: Key, former: Any, sent: Fields) -> None:
        """Append a replaced primary to the additional values, unless they are sent."""
        name = key.fields[-1]
        if name in sent or self._policy.omitted == "clear":
            return
        items, primary = self.after.get(name), self.after.get(key.fields[0])
        new = new_items(key, former, {*key.forms(self.after)})
        if new and not empty(primary):
            held = () if empty(items) else items if type(items) is tuple else (items,)
            self._put(name, appended(self._policy, name, held, new, former))

    def _apply_rule(self, rule: Rule, name: str, value: Any, *, known: bool) -> None:
        """Apply one field of a patch; report it where it is ignored."""
        stored = new = self.after.get(name)
        if rule.on_update if known else rule.on_create:
            new = self._combine(rule, name, value)
        if rule.leaves_out(stored, new, value):
            self.ignored[name] = rule.name

    def _combine(self, rule: Rule, name: str, value: Any) -> Any:
        """Set the new value of a field by its rule, and return it."""
        stored, stored_clock = self.after.get(name), self.clocks.get(name)
        new, clock = apply_rule(rule, name, (stored_clock, stored), value, self._sent)
        if rule.by is not None:
            _set(self.clocks, name, clock)
        elif new is stored:
            return new
        if not same(new, stored) or not same(clock, stored_clock):
            self._put(name, new)
        return new

    def _put(self, name: str, value: Any) -> None:
        """Set a field after its clock, and track whether it has moved."""
        _set(self.after, name, value)
        self._track(name)

    def _track(self, name: str) -> None:
        """Add a field to ``moved`` if it, or its clock, differs from what is stored."""
        as_stored = same(self.after.get(name), self.stored.proxy.get(name))
        if as_stored and same(self.clocks.get(name), self.stored_clocks.get(name)):
            self.moved.discard(name)
        else:
            self.moved.add(name)

    def _is_additional(self, key: Key, value: Any) -> bool:
        """Return whether a primary is, or becomes, a value of an additional field."""
        primary, *rest = key.fields
        sent = key.forms({primary: value})
        stored = self.after.get(primary)
        if not sent or empty(stored):
            return False
        if not {*sent}.isdisjoint(key.forms({primary: stored})):
            return False
        additional = {*key.forms({name: self.after.get(name) for name in rest})}
        if not additional.issuperset(sent):
            if not key.append_new:
                return False
            self._append(key, value, additional)
        elif key.append_new and rest[-1] in self.appended:
            # The primary of another key has appended it; so would this one.
            own, primaries = self.appended[rest[-1]]
            without = {**{n: self.after.get(n) for n in rest}, rest[-1]: own}
            if not {*key.forms(without)}.issuperset(sent):
                self.appended[rest[-1]] = own, (*primaries, primary)
        self.ignored[primary] = "additional"
        return True

    def _append(self, key: Key, value: Any, additional: set[str]) -> None:
        name = key.fields[-1]
        items = self.after.get(name)
        if empty(items):
            items = ()
        if type(items) is not tuple:
            reason = "must be a list, so that values can be appended"
            stored = self._before is not None and same(items, self._before.get(name))
            holder = self._before.id if stored else None  # type: ignore[union-attr]
            raise InvalidField(name, items, reason, holder=holder)
        own, primaries = self.appended.get(name, (self.after.get(name), ()))
        self.appended[name] = own, (*primaries, key.fields[0])
        new = new_items(key, value, additional)
        self._put(name, appended(self._policy, name, items, new, value))

    def apply_defaults(self, sent: Fields) -> None:
        """
        Set the defaults of a new contact.

        Args:
            sent: The patch; a field that it carries needs no default.

        Raises:
            MissingField: If a required field is absent or blank.
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
        """The fields before the patch is applied."""
        return self._base[0]

    def cleared_values(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the former values of those fields that the patch has cleared."""
        cleared = [n for n in names if n not in self.after and n in self.base]
        return {n: self.base[n] for n in cleared}

    def own_value(self, name: str) -> Any:
        """Return the value of a field without appended values."""
        return self.appended[name][0] if name in self.appended else self.after.get(name)

    def appended_primaries(self, name: str) -> tuple[str, ...]:
        """Return the primaries whose values were appended to a list."""
        return self.appended[name][1] if name in self.appended else ()

    def is_moved(self, name: str) -> bool:
        """Return whether a field, or its clock, has moved by what was sent for it."""
        if name not in self._sent:
            return False
        rule = self._policy.field_options(name).rule
        if self._before is None and not rule.on_create:
            return False
        fields, clocks = self._base
        is_same = same(self.own_value(name), fields.get(name))
        return not is_same or not same(self.clocks.get(name), clocks.get(name))

    def leave_out(self, left_out: Mapping[str, str]) -> None:
        """
        Apply the patch again without some fields; they get no default either.

        Args:
            left_out: Field name to the reason to report, blank to report none.

        Raises:
            MissingField: If a new contact needs one of them.
            InvalidField: If a rule refuses one of the remaining fields.
        """
        fields, clocks = self._base
        self.after, self.clocks = dict(fields), dict(clocks)
        self.moved, self.appended = {*self._moved_by_merge}, {}
        self.ignored = {
            **self._ignored_by_read,
            **{n: reason for n, reason in left_out.items() if reason},
        }
        sent = {n: value for n, value in self._sent.items() if n not in left_out}
        self._clear_omitted()
        self._apply(sent, known=self._before is not None)
        if self._before is None:
            self.apply_defaults(self._sent)


def _set(part: dict[str, Any], name: str, value: Any) -> None:
    """Set a field, or remove it for None: null is never stored."""
    if value is None:
        part.pop(name, None)
    else:
        part[name] = value


def apply_rule(
    rule: Rule, name: str, stored: tuple[Any, Any], value: Any, sent: Fields
) -> tuple[Any, Any]:
    """
    Return the value that a rule makes of a stored and a sent one, and its clock.

    Args:
        rule: The rule.
        name: The name of the field.
        stored: The stored clock and value; None where there is none.
        value: The sent value, None for null.
        sent: The patch, which carries the clock.

    Raises:
        InvalidField: If the rule refuses the value, or lacks its clock.

    >>> from upsertcore.rules import union
    >>> apply_rule(union, "tags", (None, ("a",)), ("b",), {})
    (('a', 'b'), None)
    """
    try:
        if rule.by is None:
            return rule.combine(stored[1], value), stored[0]
        clock, new = rule.combine(stored, (_clock(rule.by, name, sent), value))
    except InvalidField:
        raise
    except ValueError as error:
        raise InvalidField(name, value, str(error)) from error
    except Exception as error:
        note_function(error, name, "rule", rule, value)
        raise
    return new, clock


def _clock(by: str, name: str, sent: Fields) -> Any:
    """Return the clock of a patch, cleaned."""
    clock = sent.get(by)
    if type(clock) not in (str, int, float) or empty(clock):
        reason = f"must be text or a number, as the clock of {name}"
        raise InvalidField(by, clock, reason)
    return clock
