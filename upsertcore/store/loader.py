"""
The loader: a contact into an index, as a row, if it fits a policy.

Rules:
    Its ids, its fields, its aliases and its unique keys are checked.
    Keys are looked up as on the fast path, without a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, final

from upsertcore.engine.conflicts import keys_in_use, unknown_names
from upsertcore.errors import InvalidField, Refused
from upsertcore.model.contact import NO_HISTORY, Parts
from upsertcore.model.packed_row import (
    ALIASES,
    MERGED_IDS,
    NO_ROWS,
    pack,
    pack_forms,
    unpack_forms,
)
from upsertcore.store.key_lookup import NO_ENTRIES, key_plan

if TYPE_CHECKING:
    from upsertcore.policy.policy import Policy
    from upsertcore.store.contact_index import ContactIndex
    from upsertcore.store.key_index import Entries

__all__ = ["Loader"]


@final
class Loader:
    """
    Loads contacts into an index under a policy, each if it fits.

    Args:
        index: Made with the policy's key names; no reader may use it meanwhile.
        policy: The policy.

    ``whole`` are the names of the index, in order, where the policy takes all of them.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import Contact, Policy, field, first_match
    >>> from upsertcore.model.contact import parts_of
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> from upsertcore import normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> index = ContactIndex(["email"])
    >>> ada = Contact("c-1", "", {"email": "ADA@x.org"}, 1, now, now)
    >>> Loader(index, policy).load(parts_of(ada))
    []
    >>> index.holders("email", "ada@x.org")
    ('c-1',)
    """

    __slots__ = ("_index", "_known", "_plans", "_policy", "whole")

    def __init__(self, index: ContactIndex, policy: Policy) -> None:
        self._index, self._policy = index, policy
        self._known = frozenset(policy.fields.keys() & index.names.declared)
        names = index.names.declared
        self.whole = names if self._known.issuperset(names) else None
        refuses = policy.on_key_in_use != "allow"
        keys = enumerate(policy.all_keys)
        # Holders of a key matter only where they refuse a contact.
        self._plans = [
            key_plan(n, key, index.scopes(key.name) if key.unique and refuses else {})
            for n, key in keys
        ]

    def load(self, parts: Parts) -> list[Refused]:
        """
        Load a contact, as the newest.

        Args:
            parts: Its parts.

        Returns:
            Why it is not loaded: ``InvalidField`` if an id is in use, or it has aliases
            of a key that the policy lacks; ``UnknownField`` for each field that the
            policy does not take; ``KeyInUse`` for each unique key that another contact
            of its scope holds. Empty if it is loaded.
        """
        id, scope, fields, _version, _created_at, _updated_at, history = parts
        index, names = self._index, self._index.names.declared
        refusals: list[Refused] = []
        is_whole = self.whole == tuple(fields)
        if (
            not (is_whole or self._known.issuperset(fields))
            or history is not None
            or id in index.rows.get(scope, NO_ROWS)
            or (index.redirects and index.has_id(id, scope))
        ):
            refusals += self._conflicts(id, scope, fields, history or NO_HISTORY)
            if not refusals:
                names = index.names.of(fields)
        forms = self._free_forms(parts, refusals)
        if refusals:
            return refusals
        values = fields.values() if is_whole else map(fields.get, names)
        index.store_row(None, pack(parts, names, index.next, forms, values))
        if history is not None:
            for merged_id in history[MERGED_IDS]:
                index.redirects[scope, merged_id] = id
        return refusals

    def _free_forms(self, parts: Parts, refusals: list[Refused]) -> list[Any]:
        """Return the forms of each key, as a row has them; refuse those in use."""
        _id, scope, fields, _version, _created_at, _updated_at, history = parts
        forms, in_use = [], False
        for _number, field, key, scopes, short, is_form, look in self._plans:
            entries = scopes.get(scope, NO_ENTRIES)
            value = fields.get(field) if field else fields
            if short and type(value) is str and value.isascii():
                form = short(value)
                holder = entries.get(form)
                if holder is None and not is_form(form):
                    form, holder = look(value, entries)
            else:
                form, holder = look(value, entries)
            if history is not None:
                aliases = history[ALIASES].get(key, ())
                form, holder = _with_aliases(form, aliases, entries)
            if holder is not None:
                in_use = True
            forms.append(form)
        if in_use:
            refusals += self._keys_in_use(parts, forms)
        return forms

    def _keys_in_use(self, parts: Parts, forms: list[Any]) -> list[Refused]:
        id, scope, fields, *_ = parts
        scopes_of = {name: scopes for _n, _field, name, scopes, *_ in self._plans}

        def holder(key: str, form: str) -> str | None:
            if form not in scopes_of[key].get(scope, NO_ENTRIES):
                return None
            [first, *_] = self._index.holders(key, form, scope)
            # The keys of a row that is there twice are not a further conflict.
            return None if first == id else first

        return [*keys_in_use(self._policy, fields, map(unpack_forms, forms), holder)]

    def _conflicts(
        self, id: str, scope: str, fields: Iterable[str], history: tuple[Any, ...]
    ) -> Iterator[Refused]:
        """Find ids that are in use, and names that the policy lacks."""
        aliases, clocks, merged_ids, _deleted_at = history
        taken = [id for id in (id, *merged_ids) if self._index.has_id(id, scope)]
        if taken or id in merged_ids:
            reason = "is a duplicate contact id; keep one of the rows"
            yield InvalidField("id", (*taken, id)[0], reason)
        yield from unknown_names(self._policy, (*fields, *clocks), aliases)


def _with_aliases(part: Any, aliases: tuple[str, ...], entries: Entries) -> Any:
    """Return the forms of a key with aliases last, and a holder of one of them."""
    current = unpack_forms(part)
    known = {*current}
    forms = (*current, *[form for form in aliases if form not in known])
    held = [entries[form] for form in forms if form in entries]
    return pack_forms(forms), held[0] if held else None
