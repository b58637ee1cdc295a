"""
The shape of a patch: its tuple of field names, analysed once for all equal patches.

Rules:
    What is known of a shape depends only on the policy.
    The number of cached shapes is limited; others are analysed at each call.
    It handles common values and rules; for anything else it returns None, and the
    general path takes over.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias, final

from upsertcore.engine.patch import freeze_field
from upsertcore.errors import InvalidField, UnknownField, note_function
from upsertcore.model.packed_row import FORMS, MAX_NAMES
from upsertcore.policy.policy import compiled
from upsertcore.rules.rule import replace
from upsertcore.values import MAX_FIELDS, MAX_TEXT, Budget, empty, freeze, same

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from upsertcore.errors import Refused
    from upsertcore.policy.fields import Field
    from upsertcore.policy.policy import Policy
    from upsertcore.rules.rule import Rule
    from upsertcore.store.contact_index import ContactIndex

__all__ = ["PatchShape", "PatchShapes"]

FieldNames: TypeAlias = tuple[str, ...]
FieldValues: TypeAlias = tuple[Any, ...]

_MAX_PICKERS = 100
_MAX_SCANNED = 8
"""Up to this number of rules, scanning the names is faster than making a dict."""


@final
class PatchShape:
    """
    Data cached per distinct tuple of field names.

    Args:
        names: In the order of the patch, as plain text.
        fields: The policy's options of these fields.
        policy: The policy.
        index: Its rows share their tuples of names.
        plans: What the fast path knows of each key of the policy.

    ``can_create`` is whether a patch of this shape may create a contact. That contact
    has the names ``created_names``, and the values ``defaults`` after those sent.
    ``cleaners`` are places of values with their clean functions. Of the policy's keys,
    ``match_keys`` are those that the strategy consults and the patch carries,
    ``other_keys`` the rest that it carries, ``keys`` both, each as key number, place
    of its value, and plan; ``missing_keys`` are the numbers of those it lacks.

    >>> from upsertcore import Policy, field, never
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> policy = Policy(never(), {"name": field(clean=str.strip), "age": field()})
    >>> fields = (*policy.fields.values(),)
    >>> shape = PatchShape(("name", "age"), fields, policy, ContactIndex(), [])
    >>> shape.read((" Ada ", [1])), shape.read((" Ada ", None))
    (('Ada', (1,)), None)
    """

    __slots__ = (
        *("_rules", "_shared", "can_create", "cleaners", "created_names", "defaults"),
        *("first", "has_rules", "keys", "match_keys", "missing_keys", "names"),
        *("other_keys", "pickers"),
    )

    def __init__(
        self,
        names: FieldNames,
        fields: tuple[Field, ...],
        policy: Policy,
        index: ContactIndex,
        plans: Sequence[tuple[Any, ...]],
    ) -> None:
        places = {name: place for place, name in enumerate(names)}
        added = {n: value for n, value in compiled(policy).defaults if n not in places}
        keys = {key.fields[0] for key in policy.all_keys}
        self._shared, self.names = index.names, index.names.share(names)
        self.first = FORMS + len(index.keys)
        self.created_names = index.names.share((*names, *added))
        self.defaults = (*added.values(),)
        has_required = all(
            n in places or not empty(added.get(n)) for n in compiled(policy).required
        )
        # A default that is a key would need a look-up.
        self.can_create = (
            policy.on_not_found == "create" and has_required and keys.isdisjoint(added)
        )
        self.cleaners: list[tuple[int, Callable[[Any], Any]]] = []
        self._rules: list[tuple[str, Rule, bool, bool]] = []
        for place, field in enumerate(fields):
            if field.clean is not None:
                self.cleaners.append((place, field.clean))
            if field.rule is not replace:
                flags = names[place] in keys, field.required
                self._rules.append((names[place], field.rule, *flags))
        self.has_rules = bool(self._rules)
        self.pickers: dict[
            int, tuple[FieldNames, Callable[[FieldValues], FieldValues]]
        ] = {}
        self._set_keys(policy, plans, places)

    def _set_keys(
        self,
        policy: Policy,
        plans: Sequence[tuple[Any, ...]],
        places: Mapping[str, int],
    ) -> None:
        """Set the keys that the patch has, and those that it lacks."""
        keys_in = {
            key.name: (number, places[key.fields[0]], *plan)
            for number, (key, plan) in enumerate(
                zip(policy.all_keys, plans, strict=True)
            )
            if key.fields[0] in places
        }
        self.keys = (*keys_in.values(),)
        self.missing_keys = [
            n for n, key in enumerate(policy.all_keys) if key.name not in keys_in
        ]
        match_keys = [name for name in policy.match.keys if name in keys_in]
        self.match_keys = tuple([keys_in.pop(name) for name in match_keys])
        self.other_keys = (*keys_in.values(),)

    def read(
        self, raw: FieldValues, *, text: bool = False
    ) -> FieldValues | Refused | None:
        """
        Freeze and clean the values of a patch.

        Args:
            raw: The values.
            text: Whether all are known to be valid text that is not blank.

        Returns:
            One value for each name; None if one is null, blank or invalid; the
            refusal if clean refuses one.
        """
        values = raw if text else _frozen(raw)
        if values is None or not self.cleaners:
            return values
        results = [*values]
        for place, clean in self.cleaners:
            try:
                cleaned = clean(values[place])
            except ValueError as error:
                refusal = InvalidField(self.names[place], raw[place], str(error))
                refusal.__cause__ = error
                return refusal
            except Exception as error:
                note_function(error, self.names[place], "clean", clean, values[place])
                raise
            try:
                value = freeze_field(self.names[place], cleaned, "let clean return")
            except InvalidField as refusal:
                return refusal
            results[place] = value
            if empty(value):
                return None
        return tuple(results)

    def align(
        self, names: FieldNames
    ) -> tuple[FieldNames, Callable[[FieldValues], FieldValues]]:
        """
        Combine a row's names with those of the patch.

        Args:
            names: The names of the row.

        Returns:
            The names of the row, then the patch's new ones; and a function that picks
            their values from the row followed by the patch's values.
        """
        cached = self.pickers.get(id(names))
        if cached is None:
            both = names + self.names
            places = {name: place for place, name in enumerate(both, self.first)}
            after = self._shared.share(places)
            chosen = [*places.values()]
            # With one index, itemgetter returns the bare value; a slice gives a tuple.
            last = itemgetter(slice(-1, None))
            cached = after, itemgetter(*chosen) if len(chosen) > 1 else last
            if len(self.pickers) < _MAX_PICKERS and self._shared.has(names):
                self.pickers[id(names)] = cached
        return cached

    def apply_rules(
        self,
        stored: FieldValues,
        values: FieldValues,
        names: FieldNames,
        *,
        is_known: bool,
    ) -> FieldValues | None:
        """
        Apply the rules other than ``replace``.

        Args:
            stored: The contact's values; empty if it is created.
            values: Its new values, if every sent value replaced the stored one.
            names: The names of these values; the stored ones come first.
            is_known: False if it is created.

        Returns:
            Its new values; None if a rule refuses, clears or leaves out a value, or
            changes the value of a key.
        """
        results = [*values]
        place_of: Callable[[str], int] = names.index
        if len(self._rules) > _MAX_SCANNED:
            place_of = {name: place for place, name in enumerate(names)}.__getitem__
        for name, rule, is_key, is_required in self._rules:
            place = place_of(name)
            before = stored[place] if place < len(stored) else None
            sent, new = values[place], before
            if rule.on_update if is_known else rule.on_create:
                try:
                    new = rule.combine(before, sent)
                except ValueError:
                    return None
                except Exception as error:
                    note_function(error, name, "rule", rule, sent)
                    raise
            if new is None or rule.leaves_out(before, new, sent):
                return None
            if (is_key and not same(new, sent)) or (is_required and empty(new)):
                return None
            results[place] = new
        return tuple(results)


@final
class PatchShapes(dict[tuple[Any, ...], "PatchShape | None"]):
    """
    The shapes of the patches that were sent, by their names.

    Args:
        policy: The policy.
        index: As for :class:`PatchShape`.
        plans: As for :class:`PatchShape`.

    >>> from upsertcore import Policy, field, never
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> shapes = PatchShapes(Policy(never(), {"name": field()}), ContactIndex(), [])
    >>> shapes["name",].names, shapes["name", "age"]
    (('name',), None)
    """

    __slots__ = ("_declared", "_index", "_plans", "_policy")

    def __init__(
        self,
        policy: Policy,
        index: ContactIndex,
        plans: Sequence[tuple[Any, ...]],
    ) -> None:
        super().__init__()
        self._policy, self._index, self._plans = policy, index, plans
        # Patches of few fields may still have many shapes, so names are looked up here.
        self._declared = {name: (name, field) for name, field in policy.fields.items()}

    def __missing__(self, names: tuple[Any, ...]) -> PatchShape | None:
        """Analyse names; None if the policy refuses one, or its rule uses a clock."""
        if len(names) > MAX_FIELDS:
            return None
        try:
            pairs = [self._declared.get(name) or self._extra(name) for name in names]
        except UnknownField:
            return None
        plain_names, fields = zip(*pairs, strict=True) if pairs else ((), ())
        for field in fields:
            if field.rule.by is not None:
                return None
        shape = PatchShape(plain_names, fields, self._policy, self._index, self._plans)
        if len(self) < MAX_NAMES:
            self[plain_names] = shape
        return shape

    def _extra(self, name: Any) -> tuple[str, Field]:
        """
        Return the name and options of a field that the policy does not declare.

        Raises:
            UnknownField: If the policy takes no such field.
        """
        plain_name = _plain(name)
        if not plain_name:
            raise UnknownField(plain_name, ())
        return plain_name, self._policy.field_options(plain_name)


def _frozen(raw: FieldValues) -> FieldValues | None:
    """Freeze values; None if one is null, blank or invalid."""
    try:
        budget = Budget()
        if sum([len(v) for v in raw if type(v) is str]) > MAX_TEXT:
            return None
        values = tuple([freeze(value, budget) for value in raw])
    except ValueError:
        return None
    return None if any(map(empty, values)) else values


def _plain(name: Any) -> str:
    """Return a name as plain text; blank if it is not text."""
    try:
        return freeze(name) if isinstance(name, str) else ""
    except ValueError:
        return ""
