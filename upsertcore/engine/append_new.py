"""
``append_new``: a value of a primary becomes one of the additional values of its key.

Rules:
    A value is appended once, by its form.
    The list that results is cleaned, as a list that is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upsertcore.errors import InvalidField, note_function
from upsertcore.policy.fields import UNUSABLE, as_list
from upsertcore.values import freeze

if TYPE_CHECKING:
    from collections.abc import Iterable

    from upsertcore.policy.keys import Key
    from upsertcore.policy.policy import Policy

__all__ = ["appended", "new_items"]


def new_items(key: Key, value: Any, held: set[str]) -> list[Any]:
    """
    Return the items of a primary value whose forms are not held yet.

    Args:
        key: A key with ``append_new``.
        value: The value: one item, or a list of them.
        held: The forms that are held; those of the returned items are added.

    >>> from upsertcore import key, normalize
    >>> emails = key("email", "more", normalize=normalize.email, any_of=True)
    >>> new_items(emails, ("A@x.org", "b@x.org", "nope"), {"a@x.org"})
    ['b@x.org']
    """
    items = []
    for item in value if type(value) is tuple else (value,):
        form = key.form(item)
        if form is not None and form not in held:
            held.add(form)
            items.append(item)
    return items


def appended(
    policy: Policy,
    name: str,
    items: tuple[Any, ...],
    new: Iterable[Any],
    value: Any,
    holder: str | None = None,
) -> Any:
    """
    Return the additional values of a key with new ones, cleaned.

    Args:
        policy: The policy.
        name: The field of the additional values.
        items: The additional values.
        new: The values to append.
        value: The value of the primary, for a refusal.
        holder: The contact that holds it, None where it was sent.

    Raises:
        InvalidField: If the list is refused.
    """
    options, joined = policy.field_options(name), (*items, *new)
    clean = options.clean
    try:
        cleaned = joined if clean is None else clean(joined)
        cleaned = as_list(options, freeze(cleaned))
        if cleaned is None:
            raise ValueError(UNUSABLE)  # noqa: TRY301 - one refusal for each reason
    except ValueError as error:
        raise InvalidField(name, value, str(error), holder=holder) from error
    except Exception as error:
        note_function(error, name, "clean", clean, joined)
        raise
    return cleaned
