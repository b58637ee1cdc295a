"""
The keys of a row: the forms that a contact would hold, with aliases and limits.

Rules:
    Forms are computed again only for a key one of whose fields has moved.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from upsertcore.engine.aliases import former_forms
from upsertcore.model.contact import NO_HISTORY
from upsertcore.model.packed_row import (
    ALIASES,
    FORMS,
    HISTORY,
    ID,
    pack_forms,
    unpack_forms,
)
from upsertcore.store.key_lookup import NO_ENTRIES
from upsertcore.store.policy_constants import (
    FIRST,
    INDEX,
    KEY_COLUMNS,
    KEYS,
)
from upsertcore.values import FrozenMap, same

if TYPE_CHECKING:
    from upsertcore.policy.keys import Key
    from upsertcore.store.policy_constants import FastCall, Values

__all__ = ["are_free", "exceeds_limit", "holdings"]


def exceeds_limit(forms: Iterable[Any]) -> bool:
    """Return whether there are more forms of a key than a contact may hold."""
    return any(
        key.max_forms is not None and len(unpack_forms(part)) > key.max_forms
        for key, part in zip(KEYS, forms, strict=True)
    )


def holdings(
    call: FastCall, before: Any, after: Values, forms: list[Any]
) -> tuple[list[Any] | None, Any]:
    """
    Compute the forms of a contact whose keys have several fields, aliases or a limit.

    Args:
        call: The call.
        before: The row of the contact.
        after: The new values.
        forms: Per key, the forms of the sent value, or those that are held.

    Returns:
        The forms that the contact would hold, and its history; None in place of the
        forms if a limit is exceeded, another contact holds one of them, or the general
        path is needed.
    """
    sent, scope = call[:2]
    results = [*forms]
    aliases: dict[str, tuple[str, ...]] = {}
    history = before[HISTORY] or NO_HISTORY
    for number, key in enumerate(KEYS):
        columns, held = KEY_COLUMNS[number], before[FORMS + number]
        former = history[ALIASES].get(key.name, ())
        if all(same(after[column], before[FIRST + column]) for column in columns):
            results[number] = held
        else:
            new = unpack_forms(results[number])
            if len(columns) > 1:
                if key.any_of and key.fields[0] in sent:
                    return None, None
                new = key.forms(
                    {n: after[c] for n, c in zip(key.fields, columns, strict=True)}
                )
                if key.unique and not are_free(key, new, scope, before[ID]):
                    return None, None
            if key.keep_aliases and key.max_forms is not None:
                return None, None
            retained = unpack_forms(held) if key.keep_aliases else former
            former = former_forms(retained, new)
            results[number] = pack_forms(new + former)
        if former:
            aliases[key.name] = former
    if exceeds_limit(results):
        return None, None
    if aliases != history[ALIASES]:
        parts = FrozenMap.trusted(aliases), *history[1:]
        return results, parts if any(parts) else None
    return results, before[HISTORY]


def are_free(key: Key, forms: tuple[str, ...], scope: str, id: str) -> bool:
    """Return whether no other contact holds one of these forms."""
    entries = INDEX.scopes(key.name).get(scope, NO_ENTRIES)
    return all(entries.get(form, id) == id for form in forms)
