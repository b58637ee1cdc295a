"""
How the columns of files become fields, and what a run reports of it.

Rules:
    What the caller maps comes first, then a field that is spelled so, then what a ready
    map knows, then a name that differs in case, spaces and punctuation alone or means
    the same. Nothing else is guessed.
    What was renamed or left out is reported once.
    Unknown columns are refused together, before any row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import Factory, define, field, frozen

from upsertcore.files.column_map import ColumnMap
from upsertcore.files.ready_maps import preambles, ready_map, recognised
from upsertcore.files.row_plan import JoinedField, Part, RowPlan, parts_by_field
from upsertcore.files.rows import MARK, REASON, BadHeader, format_names
from upsertcore.profiles.target import Target, comparable
from upsertcore.values import show_value

__all__ = ["NO_READY_MAP", "Columns"]

NO_READY_MAP = "none"
"""The name that switches ready maps off."""

_NO_MAP = ColumnMap()
_UNNAMED = re.compile(r"Unnamed: \d+")
_MAX_PLANS = 1_000
_MAX_NEAREST = 100
_SEVERAL = "several columns for one field"


def _with_rejects(rename: Mapping[str, str]) -> Mapping[str, str]:
    return {REASON: "", MARK: "", **rename}


@frozen
class _Use:
    """
    What becomes of a column.

    Args:
        fields: Its fields; none if it is left out.
        map: The map that says so, None if none does.
        note: What is reported of it, "" for nothing.
        yields: Whether a field that is spelled so comes first.
    """

    fields: tuple[str, ...] = ()
    map: ColumnMap | None = None
    note: str = ""
    yields: bool = False


_UNKNOWN = _Use()
_INDEX = _Use()


@define
class Columns:
    """
    How columns are renamed, and which of them the input has.

    Args:
        rename: From column, or top-level name of an object, to field; a blank field
            drops the column.
        reserved: Names that no column may have.
        target: What the rows are for; without it every name is a field as it is.
        map: What the caller's map file says.
        ready: The ready map that applies; "" for the one that fits the header,
            ``NO_READY_MAP`` for none.
        only_mapped: Whether columns without a field are left out.
        label: A column that is kept as it is, besides the fields; "" for none.
        complete: False once objects were read: any of them may omit a name, so a
            missing one may be intended. A table names all its columns.

    Raises:
        BadMap: If there is no such ready map.

    >>> columns = Columns({"Mail": "email"})
    >>> columns.plan(["Mail", "city"]).names, columns.missing()
    (['email', 'city'], '')
    """

    rename: Mapping[str, str] = field(converter=_with_rejects)
    reserved: frozenset[str] = frozenset()
    target: Target | None = None
    map: ColumnMap = _NO_MAP
    ready: str = ""
    only_mapped: bool = False
    label: str = ""
    complete: bool = True
    _by_form: dict[str, str] = Factory(dict)
    _seen_names: dict[str, None] = Factory(dict)
    _used_maps: set[str] = Factory(set)
    _notes: dict[str, dict[str, None]] = Factory(dict)
    _left_out: Counter[tuple[str, str]] = Factory(Counter)
    _object_plans: dict[tuple[str, ...], RowPlan | None] = Factory(dict)
    _forced: ColumnMap | None = None
    _indexed: list[RowPlan] = Factory(list)

    def __attrs_post_init__(self) -> None:
        self.ready = self.ready or self.map.ready
        self.only_mapped = self.only_mapped or self.map.only_mapped
        own = self.rename.keys() - {REASON, MARK}
        self._by_form = {comparable(column): column for column in own} | {"": ""}
        if self.ready not in ("", NO_READY_MAP):
            self._forced = ready_map(self.ready)

    def plan(self, header: Sequence[str]) -> RowPlan:
        """
        Return how the rows of a table become fields.

        Args:
            header: Its columns.

        Raises:
            BadHeader: If a column is unknown or has a reserved name, if none has a
                name, or if the label is missing.
        """
        self._seen_names.update(dict.fromkeys(header))
        if self.label and self.label not in header:
            names = format_names([name for name in header if name])
            problem = f"--truth: no column {show_value(self.label)}"
            raise BadHeader(f"{problem}; the columns are {names}")
        ready = self._recognise(header)
        present = frozenset(header)
        uses = [self._use(column, ready, present) for column in header]
        self._check_reserved(header, uses)
        pairs = zip(header, uses, strict=True)
        unknown = [column for column, use in pairs if use is _UNKNOWN]
        if unknown and not self.only_mapped:
            raise BadHeader(self._unknown(unknown))
        plan = self._row_plan(header, uses)
        if not plan.joined and not any(plan.names):
            names = format_names([name for name in header if name])
            raise BadHeader(f"no column is left; the columns are {names}")
        plan.unnamed = tuple(n for n, use in enumerate(uses) if use is _INDEX)
        if plan.unnamed:
            self._indexed.append(plan)
        if ready is not None:
            self._add_constants(plan, ready)
        plan.footer = self.map.footer or (ready is not None and ready.footer)
        return plan

    def _add_constants(self, plan: RowPlan, ready: ColumnMap) -> None:
        target: Any = self.target
        for word, value in ready.constants.items():
            name = target.word(word)
            if name is None:
                self._add_note(_no_field(target), f"{word} ({value} in every row)")
            else:
                self._add_note(_recognised(ready), f"every row -> {name}: {value}")
                plan.constants = {**plan.constants, name: value}
        plan.is_plain = plan.is_plain and not plan.constants

    def _add_note(self, what: str, name: str) -> None:
        self._notes.setdefault(what, {})[name] = None

    def rename_object(self, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        """
        Return the fields of an object; None if they are its names.

        Raises:
            BadHeader: As :meth:`plan`, except that an unknown name stays.
        """
        names = tuple(payload)
        if names not in self._object_plans:
            if len(self._object_plans) >= _MAX_PLANS:
                self._object_plans.clear()
            self._object_plans[names] = self._object_plan(names)
        plan = self._object_plans[names]
        return None if plan is None else plan.renamed([*payload.values()])

    def rename_record(
        self, record: Mapping[str, Any], ready: ColumnMap
    ) -> dict[str, Any]:
        """
        Return the fields of a record of a format whose names are known.

        Args:
            record: Its values: text, or lists of text.
            ready: What its names mean.

        >>> target = Target("crm", ("phone", "tags"), many={"tags": str.split})
        >>> known = ColumnMap(columns={"tel": ("phone",), "categories": ("tags",)})
        >>> record = {"tel": ["1", "2"], "categories": ["vip"], "fax": "3"}
        >>> columns = Columns({}, target=target, only_mapped=True)
        >>> columns.rename_record(record, known)
        {'phone': '1', 'tags': ['vip']}
        """
        if self.target is None:
            return self.rename_object(record) or {**record}
        names = tuple(record)
        present = frozenset(names)
        uses = [self._use(name, ready, present) for name in names]
        plan = self._row_plan(names, uses, is_table=False)
        return plan.renamed([*record.values()])

    def _object_plan(self, names: tuple[str, ...]) -> RowPlan | None:
        present = frozenset(names)
        uses = [self._use(name, self._forced, present) for name in names]
        own = [_Use((name,)) for name in names]
        if not self.only_mapped:
            uses = [
                same if use is _UNKNOWN or use is _INDEX else use
                for use, same in zip(uses, own, strict=True)
            ]
        self._check_reserved(names, [use if use.map else _UNKNOWN for use in uses])
        plan = self._row_plan(names, uses)
        return None if plan.is_plain and plan.names == [*names] else plan

    def _recognise(self, header: Sequence[str]) -> ColumnMap | None:
        if self._forced is not None or self.target is None or self.ready:
            return self._forced
        # A header in the target's own words needs no map.
        if all(not name or self.target.has(name) for name in header):
            return None
        found = recognised(header)
        if len(found) > 1:
            titles = " and ".join(each.title for each in found)
            self.tell(f"the columns fit the exports of {titles}; name one with --from")
            return None
        for ready in found:
            self._notes.setdefault(_recognised(ready), {})
        return found[0] if found else None

    def _use(
        self, column: str, ready: ColumnMap | None, present: frozenset[str]
    ) -> _Use:
        if column and column == self.label:
            return _Use((column,))
        given = column if column in self.rename else None
        if given is None and column not in self.reserved:
            given = self._by_form.get(comparable(column))
            given = None if given in present else given
        if given:
            self._used_maps.add(given)
            return _Use(self._right_sides("--map", (self.rename[given],)), self.map)
        mapped = self.map.fields(column)
        if mapped is not None:
            self._used_maps.add(str(self.map.key(column)))
            return _Use(self._right_sides(self.map.name, mapped), self.map)
        target = self.target
        # Without a target nothing is reported, so that nothing is left out either.
        if not column or (target is not None and _UNNAMED.fullmatch(column)):
            return _INDEX
        if target is None or column in self.reserved:
            return _Use((column,)) if target or not self.only_mapped else _UNKNOWN
        use = None if ready is None else _ready_use(column, ready, target)
        if target.has(column) and (use is None or use.yields):
            return _Use((column,))
        if use is not None:
            return use
        same = target.field(column)
        if same is not None and same in target.fields:
            return _Use((same,), note="renamed")
        is_kept = target.open_fields and not self.only_mapped
        return _Use((column,)) if is_kept else _UNKNOWN

    def _right_sides(self, place: str, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self._right_side(place, name) for name in names if name)

    def _right_side(self, place: str, name: str) -> str:
        target = self.target
        if target is None or target.has(name) or name in self.reserved:
            return name
        found = target.field(name)
        if found is None:
            found = target.word(name)
        if found is None:
            problem = f"{place}: {target.name} has no field {show_value(name)}"
            near = target.nearest(name)
            raise BadHeader(problem + ("" if near is None else f"; use {near}"))
        return found

    def _check_reserved(self, columns: Sequence[str], uses: Iterable[_Use]) -> None:
        for column, use in zip(columns, uses, strict=True):
            for name in self.reserved.intersection(use.fields):
                problem = (
                    f"column {show_value(column)}: {name} is a parameter, not a field"
                )
                remedy = f"pass it with --set {name}=... and drop the column"
                raise BadHeader(
                    f"{problem}; {remedy} with --map {show_value(column + '=')}"
                )

    def _unknown(self, columns: list[str]) -> str:
        target: Any = self.target
        near = {column: target.nearest(column) for column in columns[:_MAX_NEAREST]}
        texts = [
            show_value(column) + (f" ({found}?)" if (found := near.get(column)) else "")
            for column in columns
        ]
        what = "1 column has" if len(columns) == 1 else f"{len(columns)} columns have"
        first = columns[0]
        best = near[first] or "FIELD"
        custom = ""
        if target.prefixes:
            own = show_value(f"{first}={target.prefixes[0]}{first}")
            custom = f", keep one with --map {own}"
        missing = self.missing()
        return (
            f"{what} no field in {target.name}: {', '.join(texts)}; "
            f"map each with --map {show_value(f'{first}={best}')}{custom}, "
            f"drop one with --map {show_value(f'{first}=')}, "
            f"or drop all of them with --only-mapped{missing and f'; {missing}'}"
        )

    def _row_plan(
        self, columns: Sequence[str], uses: Sequence[_Use], *, is_table: bool = True
    ) -> RowPlan:
        names: list[str | None] = [None] * len(columns)
        parts = parts_by_field(
            (name, self._part(place, columns[place], name, use))
            for place, use in self._ordered(columns, uses)
            for name in use.fields
        )
        for column, use in zip(columns, uses, strict=True):
            if use.note:
                renamed = f" -> {', '.join(use.fields)}" if use.fields else ""
                self._add_note(use.note, column + renamed)
        joined = []
        for name, of_field in parts.items():
            first = of_field[0]
            is_one = len(of_field) == 1 and names[first.index] is None
            if is_table and is_one and first.is_plain:
                names[first.index] = name
                continue
            is_many = first.split is not None
            joined.append(JoinedField(name, tuple(of_field), is_many))
            if len(of_field) > 1:
                self._tell_joined(name, of_field, is_many=is_many)
        return RowPlan(
            names, tuple(joined), clear=self.map.clear, left_out=self._left_out
        )

    def _ordered(
        self, columns: Sequence[str], uses: Sequence[_Use]
    ) -> list[tuple[int, _Use]]:
        """Return the uses in the order of the columns; a ready map has its own."""

        def rank(pair: tuple[int, _Use]) -> int:
            known = pair[1].map
            is_ready = known is not None and known is not self.map and pair[1].fields
            return known.rank(columns[pair[0]]) if known and is_ready else -1

        return sorted(enumerate(uses), key=rank)

    def _part(self, place: int, column: str, name: str, use: _Use) -> Part:
        split = None if self.target is None else self.target.split(name)
        separator = self.map.separator(column)
        omit = self.map.omits(column)
        dates = self.map.date_order(column)
        become, known = self.map.values_of(column), ""
        if use.map is not None and use.map is not self.map:
            omit += use.map.omits(column)
            known = use.map.date_order(column)
            become = {**use.map.values_of(column), **become}
            if separator is None:
                separator = use.map.separator(column)
        return Part(place, column, separator, split, omit, (dates, known), become)

    def _tell_joined(self, name: str, parts: list[Part], *, is_many: bool) -> None:
        what = "all values" if is_many else "the first that is filled"
        text = f"{name}: {what} of {', '.join(part.column for part in parts)}"
        self._add_note(_SEVERAL, text)

    def tell(self, note: str) -> None:
        """Keep a note on the files, which is reported once."""
        self._notes.setdefault(note, {})

    def notes(self) -> Iterator[str]:
        """
        Yield what was renamed and left out so far.

        >>> columns = Columns({}, target=Target("crm", ("firstName", "email")))
        >>> _ = columns.plan(["First Name", "E-mail"])
        >>> list(columns.notes())
        ['renamed: First Name -> firstName, E-mail -> email']
        """
        for what, names in self._notes.items():
            separator = "; " if what == _SEVERAL else ", "
            yield what + (f": {separator.join(names)}" if names else "")
        if any(plan.has_index for plan in self._indexed):
            yield "a column without a name numbers the rows; it was left out"
        for (column, why), count in self._left_out.items():
            values = "1 value was" if count == 1 else f"{count:,} values were"
            yield f"{column}: {values} left out: {why}"

    def missing(self) -> str:
        """Return a message about columns to rename that are not present, or ""."""
        absent = [
            name
            for name in self.rename
            if name not in self._used_maps and name not in {REASON, MARK}
        ]
        if not absent:
            return ""
        message = f"--map: no column {format_names(absent)}"
        names = [name for name in self._seen_names if name]
        if not self.complete:
            return message
        return f"{message}; the columns are {format_names(names)}"

    @property
    def preambles(self) -> frozenset[str]:
        """The first lines of the texts before a header that are known."""
        own = frozenset({self.map.preamble} - {""})
        if self._forced is not None:
            return own | ({self._forced.preamble} - {""})
        return own if self.ready else own | preambles()


def _ready_use(column: str, ready: ColumnMap, target: Target) -> _Use | None:
    words = ready.fields(column)
    if words is None:
        return None
    found = (target.word(word) for word in words if word)
    fields = tuple(dict.fromkeys(name for name in found if name is not None))
    if fields:
        return _Use(fields, ready, _recognised(ready))
    if words:
        return _Use((), ready, _no_field(target), yields="" not in words)
    return _Use((), ready, "left out", yields=ready.drops(column))


def _recognised(ready: ColumnMap) -> str:
    return f"recognised as an export of {ready.title}"


def _no_field(target: Target) -> str:
    return f"left out, since {target.name} has no field for it"
