"""
Handing on: a package gives its public names, and loads each when it is asked for.

Rules:
    What was handed on once is an attribute like any other, and is asked for no more.
    A name that is not in the table, nor a module of it, is unknown, as anywhere else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["hand_on"]


def hand_on(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """
    Make the ``__getattr__`` and the ``__dir__`` of a package.

    Args:
        package: Its full name.
        homes: Public name to the module of the package that defines it; where the
            two are equal the module itself is the name.

    Returns:
        What loads a name of the table, or a module that the table names; and what
        lists all names, whether they are loaded or not.

    Cost:
        The first look at a name imports its module; later ones do not come here.

    Source:
        PEP 562, "Module __getattr__ and __dir__".

    >>> give, names = hand_on("upsertcore", {"field": "line", "errors": "errors"})
    >>> give("field").__module__, give("errors").__name__, give("line").__name__
    ('upsertcore.line', 'upsertcore.errors', 'upsertcore.line')
    >>> {"field", "errors"} <= set(names())
    True
    """
    modules = frozenset(homes.values())

    def give(name: str) -> Any:
        home = homes.get(name, name)
        if home not in modules:
            unknown = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(unknown, name=name, obj=sys.modules[package])
        found = import_module(f"{package}.{home}")
        if home != name:
            found = getattr(found, name)
            setattr(sys.modules[package], name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return give, names
