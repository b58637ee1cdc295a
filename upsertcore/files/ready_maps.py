"""
Ready maps: what is known of the columns of the exports of products.

Rules:
    They are data, ``profiles/exports/NAME.toml``, and have standard words for fields.
    A header that fits several maps equally well is not recognised.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from upsertcore.files.column_map import BadMap, ColumnMap, parse_map
from upsertcore.profiles.target import comparable

__all__ = ["preambles", "ready_map", "ready_maps", "recognised"]


@cache
def ready_maps() -> dict[str, ColumnMap]:
    """
    Return the ready maps by name.

    >>> ready_maps()["hubspot"].title
    'HubSpot'
    """
    folder = files("upsertcore.profiles") / "exports"
    maps = (
        parse_map(entry.read_text(encoding="utf-8"), entry.name.removesuffix(".toml"))
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )
    return {each.name: each for each in sorted(maps, key=lambda each: each.name)}


def ready_map(name: str) -> ColumnMap:
    """
    Return the ready map of a name.

    Raises:
        BadMap: If there is none.

    >>> ready_map("crm")
    Traceback (most recent call last):
    ...
    upsertcore.files.column_map.BadMap: --from: no ready map 'crm'; there are ...
    """
    found = ready_maps().get(name.lower())
    if found is None:
        known = ", ".join(ready_maps())
        raise BadMap(f"--from: no ready map {name!r}; there are {known}, and none")
    return found


def recognised(header: Iterable[str]) -> list[ColumnMap]:
    """
    Return the maps that fit a header best: one, none, or several equally well.

    Args:
        header: The columns.

    >>> names = ["First Name", "Last Name", "URL", "Email Address", "Connected On"]
    >>> [each.name for each in recognised([*names, "Company", "Position"])]
    ['linkedin']
    """
    forms = {form for column in header if (form := comparable(column))}
    sizes: dict[str, int] = {}
    for name, each in ready_maps().items():
        for columns in each.recognise:
            if forms.issuperset(map(comparable, columns)):
                sizes[name] = max(sizes.get(name, 0), len(columns))
    best = max(sizes.values(), default=0)
    return [ready_maps()[name] for name, size in sizes.items() if size == best]


@cache
def preambles() -> frozenset[str]:
    """Return the first lines of the texts that exports have before their header."""
    return frozenset(each.preamble for each in ready_maps().values()) - {""}
