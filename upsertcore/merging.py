"""
Merging contacts: what becomes of a survivor's fields, and of their clocks.

Rules:
    One field of one contact after the other is merged in, by the field's ``absorb``.
    What is absent in the other contact changes nothing that there is; see ``absent``.
    A value that is taken over brings its clock.
    A refusal names the contact, and shows no value of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any, final

from upsertcore.absent import absent
from upsertcore.errors import InvalidField
from upsertcore.order import later
from upsertcore.refusals import blame
from upsertcore.values import empty, same

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.policy import Policy
    from upsertcore.rule import Rule

__all__ = ["Merging", "date"]


@final
class Merging:
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
    >>> merging = Merging(Policy(never(), {"name": field(), "city": field()}), ada)
    >>> merging.take([eve])
    >>> merging.fields
    {'name': 'Ada', 'city': 'Oslo'}
    """

    __slots__ = ("_before", "_defaults", "_policy", "_times", "clocks", "fields")

    def __init__(self, policy: Policy, before: Contact) -> None:
        self._policy, self._before = policy, before
        self._defaults = dict(policy.defaults)
        self._reset()

    def _reset(self) -> None:
        self.fields: dict[str, Any] = dict(self._before.fields)
        self.clocks: dict[str, Any] = dict(self._before.clocks)
        self._times: dict[str, str] = {}

    def take(self, others: Iterable[Contact]) -> None:
        """
        Merge other contacts in, one after the other.

        Args:
            others: They stay as they are.

        Raises:
            InvalidField: If a rule refuses a value of one.

        Cost:
            Linear in the fields of all, and in their values where a rule joins them.
        """
        listed = tuple(others)
        try:
            self._take(listed, at_once=True)
        except InvalidField:
            # Which of several refusals is told must not hang on what is done at once.
            self._reset()
            self._take(listed, at_once=False)

    def _take(self, others: tuple[Contact, ...], *, at_once: bool) -> None:
        several: dict[str, list[Any]] = {}
        for other in others:
            for name in dict.fromkeys((*other.fields, *other.clocks)):
                rule, value = self._policy.merge_rule(name), other.get(name)
                gone = absent(value, self._defaults.get(name))
                if gone and (value is None or self._knows(name)):
                    if value is None and rule.by is not None and not rule.merges_only:
                        # What null cleared is as new as its clock.
                        self._take_one(rule, name, other)
                elif gone:
                    self._take_absent(rule, name, other)
                elif not at_once or rule.fold is None or self._has_clock(name):
                    self._take_one(rule, name, other)
                else:
                    several.setdefault(name, []).append(value)
        for name, values in several.items():
            self._take_all(self._policy.merge_rule(name), name, values)

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

    def _take_all(self, rule: Rule, name: str, values: list[Any]) -> None:
        """Let a rule take the values of several contacts in one pass."""
        try:
            new = rule.fold([self._present(name), *values])  # type: ignore[misc]
        except ValueError as error:
            raise InvalidField(name, None, str(error)) from error
        self._set(name, new)

    def _has_clock(self, name: str) -> bool:
        return self._policy.own_rule(name).by is not None

    def _present(self, name: str) -> Any:
        """Return the survivor's value, None where it counts as absent."""
        value = self.fields.get(name)
        return None if absent(value, self._defaults.get(name)) else value

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
            clock, theirs = self.clocks.get(name), other.clocks.get(name)
            if same(new, value) and not same(new, own):
                self._set_clock(name, theirs)
            elif same(new, value) or not same(new, own):
                self._set_clock(name, later(clock, theirs))
        self._set(name, new)

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


def _clears(rule: Rule, own: Any, value: Any) -> bool:
    """Return whether a rule clears a value that counts as absent."""
    try:
        return rule.combine(own, value) is None
    except ValueError:
        # It would refuse that value, which is not there for it.
        return False


def date(
    names: Iterable[str],
    merging: Merging | None,
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
    >>> date(("city",), None, {"city": "Oslo"}, {"city": "Rome"}, clocks)
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
