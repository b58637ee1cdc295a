"""
Naive twins of withholding: what a key in use, or a block, keeps out of a contact.

Rules:
    A patch is merged again and again, each time without the fields withheld so far.
    The effect of a field is found by merging once with it and once without it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.oracle.keys import (
    Row,
    composite,
    forms,
    forms_of_value,
    held_forms,
    key_named,
)
from tests.oracle.patch import clear_omitted, fill_defaults, merge
from tests.oracle.values import same
from upsertcore import Policy, errors


class PatchMerge:
    """One patch, merged into the contacts found, with or without some of its fields."""

    def __init__(
        self,
        policy: Policy,
        base: Row,
        plan: Row,
        rules: Row,
        *,
        new: bool,
        replaces: bool = False,
        updating: bool = False,
        matched_by: str | None = None,
    ) -> None:
        self.policy, self.base, self.rules, self.new = policy, base, rules, new
        self.replaces, self.matched_by = replaces and not new, matched_by
        self.updating = updating
        self.sent, self.read = plan["sent"], dict(plan["ignored"])
        self.out: dict[str, str] = {}

    def draft(self, *out: str) -> tuple[Row, Row]:
        """Merge without some more fields; return the draft and the ignored fields."""
        draft, ignored = self.draft_or_refusal({*self.out, *out})
        if isinstance(ignored, errors.MissingField):
            raise ignored
        return draft, ignored

    def draft_or_refusal(self, left_out: set[str]) -> tuple[Row, Any]:
        """Merge without some fields; a refusal may replace the ignored fields."""
        draft = deepcopy(self.base)
        ignored = {**self.read, **{n: why for n, why in self.out.items() if why}}
        if self.replaces:
            read = self.sent, self.read, self.rules
            clear_omitted(self.policy, draft, *read, self.matched_by)
        merge(
            *(self.policy, draft, self.sent, ignored, self.rules),
            creating=self.new,
            updating=self.updating,
            clears=self.replaces,
            out=left_out,
        )
        try:
            if self.new:
                fill_defaults(
                    self.policy, draft["fields"], self.sent, ignored, self.rules
                )
        except errors.MissingField as error:
            return draft, error
        return draft, ignored

    def value(self, name: str, *out: str) -> tuple[Any, Any]:
        """Return a field and its clock as they would be without some fields."""
        draft, _ = self.draft_or_refusal({*self.out, *out})
        return draft["fields"].get(name), draft["clocks"].get(name)

    def primaries(self, name: str) -> list[str]:
        """List the primaries whose sent values are appended to a list now."""
        appending = []
        for key in self.policy.all_keys:
            first = key.fields[0]
            if key.append_new and key.fields[-1] == name and first in self.sent:
                # Alone, since another primary may bring the same form.
                others = [n for n in self.possible_primaries(name) if n != first]
                with_it = self.value(name, *others)
                without = self.value(name, *others, first)
                appending += [] if same([*with_it], [*without]) else [first]
        return appending

    def own_value(self, name: str) -> Any:
        """Return what a field would be by its own sent value."""
        return self.value(name, *self.possible_primaries(name))[0]

    def possible_primaries(self, name: str) -> list[str]:
        """List the primaries whose values may be appended to a list."""
        keys = [key for key in self.policy.all_keys if key.append_new]
        return [key.fields[0] for key in keys if key.fields[-1] == name]

    def moves(self, name: str) -> bool:
        """Return whether the patch changes a field by the value sent for it."""
        if name not in self.sent or name in self.out:
            return False
        others = self.possible_primaries(name)
        with_it, without = self.value(name, *others), self.value(name, name, *others)
        return not same([*with_it], [*without])

    def movers(self, name: str) -> dict[str, Any]:
        """Map each sent field that changes a field to the value that it brings."""
        values = {name: self.own_value(name)} if self.moves(name) else {}
        return values | {first: self.sent[first] for first in self.primaries(name)}

    def brought_value(self, name: str) -> Any:
        """Return what a sent field would store, or would append to a list."""
        joins = any(
            name in self.primaries(key.fields[-1])
            for key in self.policy.all_keys
            if key.append_new and key.fields[0] == name and not self.updating
        )
        return self.sent[name] if joins else self.own_value(name)

    def with_linked(self, names: list[str]) -> list[str]:
        """List some fields, and those that change and identify together with them."""
        linked = [*names]
        for name in linked:
            lists = [
                key.fields[-1]
                for key in self.policy.all_keys
                if key.append_new and name in self.primaries(key.fields[-1])
            ]
            for part in (name, *lists):
                for other in linked_fields(self.policy, part):
                    linked += [n for n in self.movers(other) if n not in linked]
        return linked


def linked_fields(policy: Policy, name: str) -> list[str]:
    """List the fields of all composite keys that are linked with a field."""
    parts = [{*key.fields} for key in policy.all_keys if composite(key)]
    found = {name}
    for _ in parts:
        for fields in parts:
            found |= fields if found & fields else set()
    if not any(name in fields for fields in parts):
        return []
    order = [n for key in policy.all_keys if composite(key) for n in key.fields]
    return [n for n in dict.fromkeys(order) if n in found]


def merge_and_withhold(
    book: Any, rows: list[Row | None], merging: PatchMerge, plan: Row
) -> Row:
    """Merge a patch; withhold the fields that others hold, and those linked to them."""
    policy, sent = book.policy, plan["sent"]
    merging.draft()
    blocked = [n for n, why in merging.read.items() if why == "blocked"]
    blocked_fields = [n for n in blocked if n not in sent and linked_fields(policy, n)]
    linked = [
        name
        for name in merging.with_linked(blocked_fields)
        if name not in blocked_fields
    ]
    values = {name: merging.brought_value(name) for name in linked}
    merging.out |= dict.fromkeys(linked, "composite")
    try:
        draft, _ = merging.draft()
    except errors.MissingField as error:
        raise errors.InvalidField(error.field, values[error.field], "") from error
    while clashes := clashes_of(book, rows, draft, plan):
        withheld = withheld_fields(merging, clashes, draft)
        plan["withheld"] += [
            (name, value, *by) for name, (value, *by) in withheld.items()
        ]
        merging.out |= dict.fromkeys(withheld, "")
        try:
            draft, _ = merging.draft()
        except errors.MissingField as error:
            raise in_use(policy, merging.sent, withheld, error.field) from error
    draft, ignored = merging.draft()
    plan["ignored"].clear()
    plan["ignored"].update(ignored)
    return draft


def clashes_of(
    book: Any, rows: list[Row | None], draft: Row, plan: Row
) -> list[tuple[Any, dict[str, str]]]:
    """List the keys in use with new forms that others hold, form by holder."""
    policy, clashes, apart = book.policy, [], plan.get("apart", [])
    for key in [key for key in policy.all_keys if key.unique or key.name in apart]:
        old_forms = {form for row in rows for form in held_forms(policy, key, row)}
        new_forms = [
            form
            for form in forms(policy, key, draft["fields"])
            if form not in old_forms
        ]
        holders = {form: book.look(key.name, form, plan["scope"]) for form in new_forms}
        taken = {form: ids[0] for form, ids in holders.items() if ids}
        if taken and policy.on_key_in_use != "allow":
            clashes.append((key, taken))
            if policy.on_key_in_use == "refuse":
                break
        elif taken:
            plan["also_matched"] += [id for form in taken for id in holders[form]]
    return clashes


def clashing_fields(
    merging: PatchMerge, key: Any, taken: dict[str, str]
) -> dict[str, str]:
    """Map the sent fields that brought a key in use to its holder."""
    fields: dict[str, str] = {}
    for name in key.fields:
        for mover, value in merging.movers(name).items():
            forms = [*taken] if composite(key) else forms_of_value(key, name, value)
            for form in forms:
                if form in taken:
                    fields.setdefault(mover, taken[form])
    order = [name for name in key.fields if name in fields]
    return {name: fields[name] for name in dict.fromkeys([*order, *fields])}


def withheld_fields(
    merging: PatchMerge, clashes: list[tuple[Any, dict[str, str]]], draft: Row
) -> Row:
    """Map the withheld fields to (value, holder, key), in the order of the keys."""
    policy, fields = merging.policy, draft["fields"]
    direct: Row = {}
    for key, taken in clashes:
        names, holder = clashing_fields(merging, key, taken), next(iter(taken.values()))
        if not names or policy.on_key_in_use == "refuse":
            if composite(key):
                raise errors.KeyInUse(key.name, parts(key, merging.sent), holder)
            for name, field_holder in names.items():
                raise errors.KeyInUse(name, merging.sent.get(name), field_holder)
            carry = [
                n
                for n in key.fields
                if {*taken} & {*forms_of_value(key, n, fields.get(n))}
            ]
            raise errors.KeyInUse(carry[0], None, holder)
        for name, field_holder in names.items():
            direct.setdefault(
                name, (merging.brought_value(name), field_holder, key.name)
            )
    withheld: Row = {}
    for key, taken in clashes:
        names = clashing_fields(merging, key, taken)
        withheld |= {name: direct[name] for name in names if name not in withheld}
        for name, field_holder in names.items():
            for other in merging.with_linked([name]):
                linked = (merging.brought_value(other), field_holder, key.name)
                withheld.setdefault(other, direct.get(other, linked))
    return withheld


def parts(key: Any, fields: Row) -> Row:
    return {name: fields[name] for name in key.fields if name in fields}


def in_use(policy: Policy, fields: Row, withheld: Row, name: str) -> errors.KeyInUse:
    """Return the refusal of a field that is withheld and required, for its key."""
    _, holder, key_name = withheld[name]
    key = key_named(policy, key_name)
    if composite(key):
        return errors.KeyInUse(key.name, parts(key, fields), holder)
    by = [n for n, item in withheld.items() if [*item[1:]] == [holder, key_name]]
    first = next(n for n in by if n in key.fields)
    return errors.KeyInUse(first, fields.get(first), holder)
