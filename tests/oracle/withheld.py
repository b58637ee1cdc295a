"""
Naive twins of leaving out: what a key in use, or a block, keeps out of a contact.

Rules:
    A patch is merged over and over, each time without what is left out by then.
    What a field does is seen by merging once with it and once without it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.oracle.keys import Row, composite, forms, held, key_named, made
from tests.oracle.patch import fill, merge
from tests.oracle.values import same
from upsertcore import Policy, errors


class Merging:
    """One patch, merged into what it found, with or without some of its fields."""

    def __init__(
        self, policy: Policy, base: Row, plan: Row, rules: Row, *, new: bool
    ) -> None:
        self.policy, self.base, self.rules, self.new = policy, base, rules, new
        self.sent, self.read = plan["sent"], dict(plan["ignored"])
        self.out: dict[str, str] = {}

    def draft(self, *out: str) -> tuple[Row, Row]:
        """Merge without what is left out, and these; give the draft and the ignored."""
        draft, ignored = self.drafts({*self.out, *out})
        if isinstance(ignored, errors.MissingField):
            raise ignored
        return draft, ignored

    def drafts(self, gone: set[str]) -> tuple[Row, Any]:
        """Merge without these; in place of the ignored there may be a refusal."""
        draft = deepcopy(self.base)
        ignored = {**self.read, **{n: why for n, why in self.out.items() if why}}
        merge(
            *(self.policy, draft, self.sent, ignored, self.rules),
            creating=self.new,
            out=gone,
        )
        try:
            if self.new:
                fill(self.policy, draft["fields"], self.sent, ignored, self.rules)
        except errors.MissingField as error:
            return draft, error
        return draft, ignored

    def value(self, name: str, *out: str) -> tuple[Any, Any]:
        """Give what a field, and its clock, would be without these."""
        draft, _ = self.drafts({*self.out, *out})
        return draft["fields"].get(name), draft["clocks"].get(name)

    def primaries(self, name: str) -> list[str]:
        """List the primaries whose sent values join a list now."""
        found = []
        for key in self.policy.all_keys:
            first = key.fields[0]
            if key.append_new and key.fields[-1] == name and first in self.sent:
                # By itself, for another primary may bring the same form.
                others = [n for n in self.joining(name) if n != first]
                with_it = self.value(name, *others)
                without = self.value(name, *others, first)
                found += [] if same([*with_it], [*without]) else [first]
        return found

    def own(self, name: str) -> Any:
        """Give what is sent for a field as it is merged, without what joins it."""
        return self.value(name, *self.joining(name))[0]

    def joining(self, name: str) -> list[str]:
        """List the primaries whose values may join a list."""
        keys = [key for key in self.policy.all_keys if key.append_new]
        return [key.fields[0] for key in keys if key.fields[-1] == name]

    def moves(self, name: str) -> bool:
        """Tell whether the patch moves a field by what it sends for it."""
        if name not in self.sent or name in self.out:
            return False
        apart = self.joining(name)
        with_it, without = self.value(name, *apart), self.value(name, name, *apart)
        return not same([*with_it], [*without])

    def movers(self, name: str) -> dict[str, Any]:
        """Give the sent fields that move a field, each with what it brings there."""
        found = {name: self.own(name)} if self.moves(name) else {}
        return found | {first: self.sent[first] for first in self.primaries(name)}

    def brings(self, name: str) -> Any:
        """Give what a sent field would store, or what it would join to a list."""
        joins = any(
            name in self.primaries(key.fields[-1])
            for key in self.policy.all_keys
            if key.append_new and key.fields[0] == name
        )
        return self.sent[name] if joins else self.own(name)

    def along(self, names: list[str]) -> list[str]:
        """List these, and whatever moves and identifies together with one of them."""
        every = [*names]
        for name in every:
            lists = [
                key.fields[-1]
                for key in self.policy.all_keys
                if key.append_new and name in self.primaries(key.fields[-1])
            ]
            for part in (name, *lists):
                for other in together(self.policy, part):
                    every += [n for n in self.movers(other) if n not in every]
        return every


def together(policy: Policy, name: str) -> list[str]:
    """List the fields of all composite keys that are linked with a field, or none."""
    parts = [{*key.fields} for key in policy.all_keys if composite(key)]
    found = {name}
    for _ in parts:
        for each in parts:
            found |= each if found & each else set()
    if not any(name in each for each in parts):
        return []
    order = [n for key in policy.all_keys if composite(key) for n in key.fields]
    return [n for n in dict.fromkeys(order) if n in found]


def settle(book: Any, own: list[Row | None], merging: Merging, plan: Row) -> Row:
    """Merge a patch; leave out what others hold, and what identifies with it."""
    policy, sent = book.policy, plan["sent"]
    merging.draft()
    blocked = [n for n, why in merging.read.items() if why == "blocked"]
    whole = [n for n in blocked if n not in sent and together(policy, n)]
    beside = [name for name in merging.along(whole) if name not in whole]
    values = {name: merging.brings(name) for name in beside}
    merging.out |= dict.fromkeys(beside, "composite")
    try:
        draft, _ = merging.draft()
    except errors.MissingField as error:
        raise errors.InvalidField(error.field, values[error.field], "") from error
    while clashes := clashing(book, own, draft, plan):
        more = assigned(merging, clashes, draft)
        plan["withheld"] += [(name, value, *by) for name, (value, *by) in more.items()]
        merging.out |= dict.fromkeys(more, "")
        try:
            draft, _ = merging.draft()
        except errors.MissingField as error:
            raise in_use(policy, merging.sent, more, error.field) from error
    draft, ignored = merging.draft()
    plan["ignored"].clear()
    plan["ignored"].update(ignored)
    return draft


def clashing(
    book: Any, own: list[Row | None], draft: Row, plan: Row
) -> list[tuple[Any, dict[str, str]]]:
    """List the unique keys with new forms that others hold, form by holder."""
    policy, found = book.policy, []
    for key in [key for key in policy.all_keys if key.unique]:
        had = {form for row in own for form in held(policy, key, row)}
        new = [form for form in forms(policy, key, draft["fields"]) if form not in had]
        holders = {form: book.look(key.name, form, plan["scope"]) for form in new}
        taken = {form: ids[0] for form, ids in holders.items() if ids}
        if taken and policy.on_key_in_use != "allow":
            found.append((key, taken))
            if policy.on_key_in_use == "refuse":
                break
        elif taken:
            plan["also_matched"] += [id for form in taken for id in holders[form]]
    return found


def brought(merging: Merging, key: Any, taken: dict[str, str]) -> dict[str, str]:
    """Give the sent fields that brought a key in use, each with its holder."""
    found: dict[str, str] = {}
    for name in key.fields:
        for mover, value in merging.movers(name).items():
            some = [*taken] if composite(key) else made(key, name, value)
            for form in some:
                if form in taken:
                    found.setdefault(mover, taken[form])
    order = [name for name in key.fields if name in found]
    return {name: found[name] for name in dict.fromkeys([*order, *found])}


def assigned(
    merging: Merging, clashes: list[tuple[Any, dict[str, str]]], draft: Row
) -> Row:
    """Give what is left out, as (value, holder, key), in the order of the keys."""
    policy, fields = merging.policy, draft["fields"]
    direct: Row = {}
    for key, taken in clashes:
        names, holder = brought(merging, key, taken), next(iter(taken.values()))
        if not names or policy.on_key_in_use == "refuse":
            if composite(key):
                raise errors.KeyInUse(key.name, parts(key, merging.sent), holder)
            for name, who in names.items():
                raise errors.KeyInUse(name, merging.sent.get(name), who)
            carry = [n for n in key.fields if {*taken} & {*made(key, n, fields.get(n))}]
            raise errors.KeyInUse(carry[0], None, holder)
        for name, who in names.items():
            direct.setdefault(name, (merging.brings(name), who, key.name))
    every: Row = {}
    for key, taken in clashes:
        names = brought(merging, key, taken)
        every |= {name: direct[name] for name in names if name not in every}
        for name, who in names.items():
            for other in merging.along([name]):
                pulled = (merging.brings(other), who, key.name)
                every.setdefault(other, direct.get(other, pulled))
    return every


def parts(key: Any, fields: Row) -> Row:
    return {name: fields[name] for name in key.fields if name in fields}


def in_use(policy: Policy, fields: Row, every: Row, name: str) -> errors.KeyInUse:
    """Refuse for a field that is left out and needed; of the key, show what is sent."""
    _, holder, key_name = every[name]
    key = key_named(policy, key_name)
    if composite(key):
        return errors.KeyInUse(key.name, parts(key, fields), holder)
    by = [n for n, each in every.items() if [*each[1:]] == [holder, key_name]]
    first = next(n for n in by if n in key.fields)
    return errors.KeyInUse(first, fields.get(first), holder)
