"""
Lazy exports: public names of a package whose modules load at first use.

Rules:
    After the first use a name is an ordinary attribute.
    A name that is not exported raises ``AttributeError``.
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
    Return ``__getattr__`` and ``__dir__`` for a package.

    Args:
        package: The full name of the package.
        homes: Public name to the module of the package that defines it; where both are
            equal, the module itself is exported.

    Returns:
        A function that loads an exported name, and one that lists all names, loaded or
        not.

    Cost:
        The first use of a name imports its module; later uses are attribute access.

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
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=sys.modules[package])
        value = import_module(f"{package}.{home}")
        if home != name:
            value = getattr(value, name)
            setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names
