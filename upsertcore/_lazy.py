"""
Names that load on demand: a package exports names whose modules load at first use.

Rules:
    A name that was loaded once is an attribute like any other.
    A name that is not in the table is unknown, as anywhere else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["export"]


def export(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """
    Make the ``__getattr__`` and the ``__dir__`` of a package.

    Args:
        package: Its full name.
        homes: Public name to the module of the package that defines it; where the
            two are equal the module itself is the name.

    Returns:
        A function that loads a name of the table, and one that lists all names,
        whether they are loaded or not.

    Cost:
        The first look at a name imports its module; later ones do not call it.

    Source:
        PEP 562, "Module __getattr__ and __dir__".

    >>> get, names = export("upsertcore", {"key": "policy.keys", "errors": "errors"})
    >>> get("key").__module__, get("errors").__name__
    ('upsertcore.policy.keys', 'upsertcore.errors')
    >>> {"key", "errors"} <= set(names())
    True
    """

    def get(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            unknown = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(unknown, name=name, obj=sys.modules[package])
        found = import_module(f"{package}.{home}")
        if home != name:
            found = getattr(found, name)
            setattr(sys.modules[package], name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names
