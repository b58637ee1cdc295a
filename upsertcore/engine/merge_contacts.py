"""
The fields and clocks of a contact into which other contacts are merged.

Rules:
    Contacts are merged one after the other, each field by its ``on_merge`` rule.
    A value that is absent in another contact changes nothing; see ``rules.absent``.
    A rule for merges alone is asked about its field in any case.
    A primary value that a merge leaves out is appended, where its key appends new ones.
    A value that is taken from another contact comes with its clock.
    A refusal names the other contact and shows none of its values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeAlias, final

from upsertcore.engine.append_new import appended, new_items
from upsertcore.errors import InvalidField, note_function
from upsertcore.policy.policy import compiled
from upsertcore.rules.absent import is_absent
from upsertcore.rules.clocks import later
from upsertcore.rules.lists import AppendItems, UnionItems
from upsertcore.values import NOTHING, empty, freeze, same

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.policy.keys import Key
    from upsertcore.policy.policy import Policy
    from upsertcore.rules.gatherer import Gatherer
    from upsertcore.rules.rule import Rule

__all__ = ["MergedFields", "set_update_clocks"]

Gather: TypeAlias = "Callable[[Any, Any], Gatherer | None]"

_APPENDING = UnionItems, AppendItems
"""Gatherers that only append to their list."""


@final
class MergedFields:
    """
    The fields and clocks of a contact while others are merged into it.

    Args:
        policy: The policy.
        before: The survivor.

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
        *(
            "_always",
            "_before",
            "_defaults",
            "_gatherers",
            "_grown",
            "_held",
            "_joining",
            "_policy",
            "_times",
            "clocks",
            "fields",
        ),
    )

    def __init__(self, policy: Policy, before: Contact) -> None:
        self._policy, self._before = policy, before
        self._defaults = dict(compiled(policy).defaults)
        self.fields: dict[str, Any] = dict(before.fields)
        self.clocks: dict[str, Any] = dict(before.clocks)
        self._times: dict[str, str] = {}
        self._joining = [key for key in policy.all_keys if key.append_new]
        self._held: dict[str, tuple[Any, set[str]]] = {}
        self._grown: dict[str, str] = {}
        names = policy.fields
        self._always = [name for name in names if policy.merge_rule(name).asks_absent]
        self._gatherers: dict[str, Gatherer] = {}

    def merge(self, others: Iterable[Contact]) -> None:
        """
        Merge other contacts, one after the other.

        Args:
            others: The other contacts; they are not changed.

        Raises:
            InvalidField: If a rule refuses one of their values.

        Cost:
            Linear in the fields of all contacts, and in their values where a rule
            combines lists or mappings.
        """
        for other in others:
            primaries = [self._value(key.fields[0]) for key in self._joining]
            for name in dict.fromkeys((*other.fields, *other.clocks, *self._always)):
                rule, value = self._policy.merge_rule(name), other.get(name)
                counts_as_absent = is_absent(value, self._defaults.get(name))
                counts_as_absent = counts_as_absent and not rule.asks_absent
                if counts_as_absent and (value is None or self._has_field(name)):
                    if value is None and rule.by is not None and not rule.merges_only:
                        # A field that null has cleared still has a clock to compare.
                        self._merge_field(rule, name, other)
                elif counts_as_absent:
                    self._merge_absent(rule, name, other)
                elif rule.gather is None:
                    self._merge_field(rule, name, other)
                else:
                    self._gather(rule.gather, rule, name, other)
            for key, primary in zip(self._joining, primaries, strict=True):
                self._join(key, primary, other)
        for name, gatherer in self._gatherers.items():
            self._set(name, gatherer.result())
        for name, id in self._grown.items():
            _check_size(name, self.fields.get(name), id)

    def _has_field(self, name: str) -> bool:
        """Return whether the survivor has a field, or its clock."""
        return name in self.fields or name in self.clocks

    def _merge_field(self, rule: Rule, name: str, other: Contact) -> None:
        """Merge one field of another contact by its rule."""
        value = other.get(name)
        try:
            if rule.by is None:
                if rule.on_update:
                    self._merge_value(rule, name, other)
            elif rule.merges_only:
                self._merge_newer(rule, name, other)
            else:
                self._merge_clocked(rule, name, other)
        except ValueError as error:
            raise InvalidField(name, value, str(error), holder=other.id) from error
        except Exception as error:
            note_function(error, name, "rule", rule, value)
            raise

    def _merge_absent(self, rule: Rule, name: str, other: Contact) -> None:
        """Merge a value that counts as absent into a contact without the field."""
        try:
            self._merge_field(rule, name, other)
        except InvalidField:
            # A value that counts as absent never refuses a merge.
            return

    def _gather(self, gather: Gather, rule: Rule, name: str, other: Contact) -> None:
        """Merge one field of another contact into the gatherer of the field."""
        default, gatherer = self._defaults.get(name), self._gatherers.get(name)
        if gatherer is not None and _counts_as_absent(gatherer, default):
            # Merging into a value that counts as absent starts anew.
            self._set(name, self._gatherers.pop(name).result())
            gatherer = None
        if gatherer is None:
            own = self._present(name)
            gatherer = None if own is None else gather(own, default)
            if gatherer is None:
                self._merge_field(rule, name, other)
                return
            self._gatherers[name] = gatherer
        value = other.get(name)
        _add(gatherer, name, value, other)
        if self._has_clock(name):
            from_other, moved = gatherer.equals(value), gatherer.moved
            self._merge_clock(name, other, from_other=from_other, moved=moved)

    def _value(self, name: str) -> Any:
        """Return the value of a field so far."""
        gatherer = self._gatherers.get(name)
        return self.fields.get(name) if gatherer is None else gatherer.result()

    def _join(self, key: Key, primary: Any, other: Contact) -> None:
        """Append the values of a primary that were left out to the additional ones."""
        name, *others, last = key.fields
        default, values = self._defaults.get(name), (primary, other.get(name))
        held = {*key.field_forms(self._value(name))}
        for each in others:
            held.update(key.field_forms(self._value(each)))
        lost = [value for value in values if not is_absent(value, default)]
        new = [item for value in lost for item in new_items(key, value, held)]
        listed = self._forms_of_list(key, other)
        new = [item for item in new if key.form(item) not in listed]
        if new:
            self._append(last, tuple(new), other)
            listed.update(map(str, map(key.form, new)))
            # The forms of this key are known; others may append to the same list.
            self._held = {key.name: (self._source(last), listed)}

    def _append(self, name: str, new: tuple[Any, ...], other: Contact) -> None:
        """Append values to the list of additional ones."""
        gatherer = self._gatherers.get(name)
        cleans = self._policy.field_options(name).clean is not None
        if isinstance(gatherer, _APPENDING) and not cleans:
            _add(gatherer, name, new, other)
            return
        items = self._value(name)
        self._gatherers.pop(name, None)
        if empty(items):
            items = ()
        if type(items) is not tuple:
            reason = "must be a list, so that values can be appended"
            raise InvalidField(name, items, reason, holder=self._before.id)
        if cleans:
            joined = appended(self._policy, name, items, new, None, other.id)
        else:
            # Its size is checked once, at the end.
            joined, self._grown[name] = (*items, *new), other.id
        self.fields[name] = joined

    def _source(self, name: str) -> Any:
        """Return what has the value of a field: a gatherer, or the value itself."""
        return self._gatherers.get(name, self.fields.get(name))

    def _forms_of_list(self, key: Key, other: Contact) -> set[str]:
        """Return the forms of the additional values; those that are known cost less."""
        name = key.fields[-1]
        source, value = self._source(name), other.get(name)
        known, forms = self._held.get(key.name, (None, set()))
        appends = isinstance(source, _APPENDING)
        if known is not source or not (appends or type(source) is tuple):
            forms = {*key.field_forms(self._value(name))}
        elif appends and not is_absent(value, self._defaults.get(name)):
            forms.update(key.field_forms(value))
        self._held[key.name] = source, forms
        return forms

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

    def _merge_value(self, rule: Rule, name: str, other: Contact) -> None:
        """Merge a value that is present by a rule without a clock."""
        own, value = self.fields.get(name), other.get(name)
        new = self._combined(rule, name, own, value)
        if self._has_clock(name):
            from_other, moved = same(new, value), not same(new, own)
            from_other = from_other and value is not None
            self._merge_clock(name, other, from_other=from_other, moved=moved)
        self._set(name, new)

    def _merge_clock(
        self, name: str, other: Contact, *, from_other: bool, moved: bool
    ) -> None:
        """Set the clock of the other contact's value, or the later of both."""
        clock, other_clock = self.clocks.get(name), other.clocks.get(name)
        if from_other and moved:
            self._set_clock(name, other_clock)
        elif from_other or moved:
            self._set_clock(name, later(clock, other_clock))

    def _combined(self, rule: Rule, name: str, own: Any, value: Any) -> Any:
        if rule.merge is not None and (own is not None or rule.asks_absent):
            return rule.merge(own, value, self._defaults.get(name))
        present = self._present(name)
        new = rule.combine(present, value)
        if own is None:
            return new
        if new is None and present is None and not _clears(rule, own, value):
            # If both are absent, the survivor's value stays.
            return own
        return new

    def _merge_clocked(self, rule: Rule, name: str, other: Contact) -> None:
        """Merge a field by a rule with a clock; a cleared field has a clock, too."""
        own, clock = self.fields.get(name), self.clocks.get(name)
        if own is not None and self._present(name) is None:
            own = clock = None
        dated = other.clocks.get(name), other.get(name)
        new_clock, new = rule.combine((clock, own), dated)
        self._set_clock(name, new_clock)
        self._set(name, new)

    def _merge_newer(self, rule: Rule, name: str, other: Contact) -> None:
        """Set the value of the contact that was updated last."""
        own, value = self._present(name), other.get(name)
        if self._has_clock(name):
            own_clock, other_clock = self.clocks.get(name), other.clocks.get(name)
        else:
            own_clock, other_clock = self.time(name), _time(other, name)
        clock, new = other_clock, value
        if own is not None:
            clock, new = rule.combine((own_clock, own), (other_clock, value))
        if self._has_clock(name):
            self._set_clock(name, clock)
        elif clock != own_clock:
            self._times[name] = clock
            self._set_clock(name, clock)
        self._set(name, new)

    def time(self, name: str) -> str:
        """
        Return the update time of the contact that supplied a field.

        Args:
            name: A field under ``last_updated``.
        """
        return self._times.get(name) or _time(self._before, name)


def _check_size(name: str, value: Any, holder: str) -> None:
    """Refuse a list that has become larger than a value may be."""
    try:
        freeze(value)
    except ValueError as error:
        raise InvalidField(name, value, str(error), holder=holder) from error


def _add(gatherer: Gatherer, name: str, value: Any, other: Contact) -> None:
    """Add a value to a gatherer, or refuse it in the name of the other contact."""
    try:
        gatherer.add(value)
    except ValueError as error:
        raise InvalidField(name, value, str(error), holder=other.id) from error


def _counts_as_absent(gatherer: Gatherer, default: Any) -> bool:
    """Return whether the merged value is blank, or equals the default."""
    return any(map(gatherer.equals, ((), NOTHING, default)))


def _clears(rule: Rule, own: Any, value: Any) -> bool:
    """Return whether a rule clears a value that counts as absent."""
    try:
        return rule.combine(own, value) is None
    except ValueError:
        # A rule that refuses the value does not clear it.
        return False


def set_update_clocks(
    names: Iterable[str],
    merged: MergedFields | None,
    base: Mapping[str, Any],
    fields: Mapping[str, Any],
    clocks: dict[str, Any],
) -> None:
    """
    Store the update times of merged contacts as the clocks of the fields they supply.

    Args:
        names: The fields under ``last_updated``.
        merged: The merged fields; None where the contact itself is not updated.
        base: The fields before the patch.
        fields: The fields after the patch. A field that the patch updates loses its
            clock.
        clocks: The clocks after the patch; changed in place.

    >>> clocks = {"city": "2024-01-02T00:00:00.000000+00:00"}
    >>> set_update_clocks(("city",), None, {"city": "Oslo"}, {"city": "Rome"}, clocks)
    >>> clocks
    {}
    """
    for name in names:
        value = fields.get(name)
        if not same(value, base.get(name)):
            clocks.pop(name, None)
        elif merged is not None and not empty(value):
            clocks[name] = merged.time(name)


def _time(contact: Contact, name: str) -> str:
    """Return the update time of a field as text that sorts as time does."""
    clock = contact.clocks.get(name)
    if type(clock) is str:
        return clock
    return contact.updated_at.astimezone(UTC).isoformat(timespec="microseconds")
