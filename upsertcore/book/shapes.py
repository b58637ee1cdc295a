"""
The heading of a patch: its names, looked at once for all patches that have the same.

Rules:
    What is known of a heading is a function of the table alone.
    So many headings are learnt and no more; others are looked at each time.
    It reads and merges what is common; of whatever else there is it says: not I.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias, final

from upsertcore.engine.patch import freeze_field
from upsertcore.errors import InvalidField, UnknownField, blame
from upsertcore.model.layout import FORMS, MAX_NAMES
from upsertcore.policy.policy import compiled
from upsertcore.rules.rule import replace
from upsertcore.values import MAX_FIELDS, MAX_TEXT, Budget, empty, freeze, same

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from upsertcore.errors import Refused
    from upsertcore.policy.fields import Field
    from upsertcore.policy.policy import Policy
    from upsertcore.rules.rule import Rule
    from upsertcore.store.index import ContactIndex

__all__ = ["PatchShape", "PatchShapes"]

FieldNames: TypeAlias = tuple[str, ...]
FieldValues: TypeAlias = tuple[Any, ...]

_MAX_PICKS = 100
_FEW = 8
"""Up to so many names are searched one after the other, which then costs less."""


@final
class PatchShape:
    """
    What is known of the names of a patch.

    Args:
        names: In the order of the patch, as plain text.
        lines: What the table says of them.
        policy: The table.
        index: Whose rows share their names.
        plans: What the fast path knows of each key of the policy.

    Its ``creates`` tells whether a patch may create a contact, which then has the
    names ``full`` and, after what was sent, the values ``defaults``. Its ``cleans``
    are the places of what is cleaned, each with its function. Of the keys that it
    carries, ``consulted`` and ``resting`` hold the number, the place and then the plan;
    ``carried`` has both, and ``omitted`` the numbers of the others.

    >>> from upsertcore import Policy, field, never
    >>> from upsertcore.store.index import ContactIndex
    >>> policy = Policy(never(), {"name": field(clean=str.strip), "age": field()})
    >>> lines = (*policy.fields.values(),)
    >>> heading = PatchShape(("name", "age"), lines, policy, ContactIndex(), [])
    >>> heading.read((" Ada ", [1])), heading.read((" Ada ", None))
    (('Ada', (1,)), None)
    """

    __slots__ = (
        *("_rules", "_shared", "carried", "cleans", "consulted", "creates"),
        *("defaults", "first", "full", "has_rules", "names", "omitted", "picks"),
        *("resting",),
    )

    def __init__(
        self,
        names: FieldNames,
        lines: tuple[Field, ...],
        policy: Policy,
        index: ContactIndex,
        plans: Sequence[tuple[Any, ...]],
    ) -> None:
        places = {name: place for place, name in enumerate(names)}
        added = {n: value for n, value in compiled(policy).defaults if n not in places}
        keys = {key.fields[0] for key in policy.all_keys}
        self._shared, self.names = index.names, index.names.share(names)
        self.first = FORMS + len(index.keys)
        self.full = index.names.share((*names, *added))
        self.defaults = (*added.values(),)
        whole = all(
            n in places or not empty(added.get(n)) for n in compiled(policy).required
        )
        # A default that is a key would have to be looked for.
        self.creates = (
            policy.on_not_found == "create" and whole and keys.isdisjoint(added)
        )
        self.cleans: list[tuple[int, Callable[[Any], Any]]] = []
        self._rules: list[tuple[str, Rule, bool, bool]] = []
        for place, line in enumerate(lines):
            if line.clean is not None:
                self.cleans.append((place, line.clean))
            if line.rule is not replace:
                rare = names[place] in keys, line.required
                self._rules.append((names[place], line.rule, *rare))
        self.has_rules = bool(self._rules)
        self.picks: dict[
            int, tuple[FieldNames, Callable[[FieldValues], FieldValues]]
        ] = {}
        keys_in = {
            key.name: (number, places[key.fields[0]], *plan)
            for number, (key, plan) in enumerate(
                zip(policy.all_keys, plans, strict=True)
            )
            if key.fields[0] in places
        }
        self.carried = (*keys_in.values(),)
        self.omitted = [
            n for n, key in enumerate(policy.all_keys) if key.name not in keys_in
        ]
        consulted = [name for name in policy.match.keys if name in keys_in]
        self.consulted = tuple([keys_in.pop(name) for name in consulted])
        self.resting = (*keys_in.values(),)

    def read(
        self, raw: FieldValues, *, text: bool = False
    ) -> FieldValues | Refused | None:
        """
        Freeze and clean what was sent.

        Args:
            raw: The values of the patch.
            text: Whether each is known to be text that is not blank and can be stored.

        Returns:
            One value for each name; None where one is null, blank or no value, and
            the refusal where a value is refused.
        """
        values = raw if text else _frozen(raw)
        if values is None or not self.cleans:
            return values
        laid = [*values]
        for place, clean in self.cleans:
            try:
                cleaned = clean(values[place])
            except ValueError as error:
                refusal = InvalidField(self.names[place], raw[place], str(error))
                refusal.__cause__ = error
                return refusal
            except Exception as error:
                blame(error, self.names[place], "clean", clean, values[place])
                raise
            try:
                value = freeze_field(self.names[place], cleaned, "let clean return")
            except InvalidField as refusal:
                return refusal
            laid[place] = value
            if empty(value):
                return None
        return tuple(laid)

    def meet(
        self, names: FieldNames
    ) -> tuple[FieldNames, Callable[[FieldValues], FieldValues]]:
        """
        Tell what a row has after a patch.

        Args:
            names: Those of the row.

        Returns:
            Its own names and then those that are new to it, and what picks their
            values of the row followed by the patch's values.
        """
        known = self.picks.get(id(names))
        if known is None:
            both = names + self.names
            places = {name: place for place, name in enumerate(both, self.first)}
            after = self._shared.share(places)
            chosen = [*places.values()]
            # Of one place itemgetter answers the value itself; a slice stays a tuple.
            last = itemgetter(slice(-1, None))
            known = after, itemgetter(*chosen) if len(chosen) > 1 else last
            if len(self.picks) < _MAX_PICKS and self._shared.has(names):
                self.picks[id(names)] = known
        return known

    def lay(
        self,
        stored: FieldValues,
        values: FieldValues,
        names: FieldNames,
        *,
        known: bool,
    ) -> FieldValues | None:
        """
        Let the rules make of sent values what they make of them.

        Args:
            stored: What the contact has; none where it is created.
            values: What it would have if everything sent took the place of that.
            names: Of these values; the stored ones come first.
            known: False where it is created.

        Returns:
            What it has then; None where a rule refuses, clears or leaves out
            something, or makes a key other than it was sent.
        """
        laid = [*values]
        place_of: Callable[[str], int] = names.index
        if len(self._rules) > _FEW:
            place_of = {name: place for place, name in enumerate(names)}.__getitem__
        for name, rule, is_key, needed in self._rules:
            place = place_of(name)
            was = stored[place] if place < len(stored) else None
            sent, new = values[place], was
            if rule.on_update if known else rule.on_create:
                try:
                    new = rule.combine(was, sent)
                except ValueError:
                    return None
                except Exception as error:
                    blame(error, name, "rule", rule, sent)
                    raise
            if new is None or rule.leaves_out(was, new, sent):
                return None
            if (is_key and not same(new, sent)) or (needed and empty(new)):
                return None
            laid[place] = new
        return tuple(laid)


@final
class PatchShapes(dict[tuple[Any, ...], "PatchShape | None"]):
    """
    What is known of the headings that came: by the names, as they were sent.

    Args:
        policy: The table.
        index: As for :class:`PatchShape`.
        plans: As for :class:`PatchShape`.

    >>> from upsertcore import Policy, field, never
    >>> from upsertcore.store.index import ContactIndex
    >>> headings = PatchShapes(Policy(never(), {"name": field()}), ContactIndex(), [])
    >>> headings["name",].names, headings["name", "age"]
    (('name',), None)
    """

    __slots__ = ("_index", "_own", "_plans", "_policy")

    def __init__(
        self,
        policy: Policy,
        index: ContactIndex,
        plans: Sequence[tuple[Any, ...]],
    ) -> None:
        super().__init__()
        self._policy, self._index, self._plans = policy, index, plans
        # Of a table with few fields a patch may have many headings.
        self._own = {name: (name, line) for name, line in policy.fields.items()}

    def __missing__(self, names: tuple[Any, ...]) -> PatchShape | None:
        """Look at names; None where one has no line, or goes by a clock."""
        if len(names) > MAX_FIELDS:
            return None
        try:
            known = [self._own.get(name) or self._other(name) for name in names]
        except UnknownField:
            return None
        own, lines = zip(*known, strict=True) if known else ((), ())
        for line in lines:
            if line.rule.by is not None:
                return None
        heading = PatchShape(own, lines, self._policy, self._index, self._plans)
        if len(self) < MAX_NAMES:
            self[own] = heading
        return heading

    def _other(self, name: Any) -> tuple[str, Field]:
        """
        Return a name that the policy does not declare, or that is no plain text.

        Raises:
            UnknownField: If there is no line for it.
        """
        own = _plain(name)
        if not own:
            raise UnknownField(own, ())
        return own, self._policy.field_options(own)


def _frozen(raw: FieldValues) -> FieldValues | None:
    """Freeze values; None where one is null, blank or no value."""
    try:
        budget = Budget()
        if sum([len(v) for v in raw if type(v) is str]) > MAX_TEXT:
            return None
        values = tuple([freeze(value, budget) for value in raw])
    except ValueError:
        return None
    return None if any(map(empty, values)) else values


def _plain(name: Any) -> str:
    """Give a name as plain text; blank where it is none."""
    try:
        return freeze(name) if isinstance(name, str) else ""
    except ValueError:
        return ""
