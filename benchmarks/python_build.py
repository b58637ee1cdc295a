"""
How this Python was built: with profile-guided and link-time optimisation, or without.

Rules:
    Only what the build has recorded is stated.
"""

from __future__ import annotations

import platform
import sysconfig

__all__ = ["python_name"]


def python_name() -> str:
    """
    Return the implementation, the version and the build of this Python.

    >>> python_name().startswith(platform.python_implementation())
    True
    """
    configured = sysconfig.get_config_var("CONFIG_ARGS") or ""
    # A distribution may remove its flags from the record; Debian does.
    removed = not sysconfig.get_config_var("PGO_PROF_USE_FLAG")
    return (
        f"{platform.python_implementation()} {platform.python_version()}"
        f" ({_build(configured, removed=removed)})"
    )


def _build(configured: str, *, removed: bool) -> str:
    """
    Name the build by the arguments of ``configure``.

    >>> _build("'--enable-optimizations' '--with-lto'", removed=False)
    'with PGO, with LTO'
    >>> _build("'--enable-shared'", removed=False)
    'without PGO, without LTO'
    >>> _build("", removed=True)
    'PGO and LTO not recorded'
    """
    pgo = "--enable-optimizations" in configured
    lto = "--with-lto" in configured
    if removed and not (pgo or lto):
        return "PGO and LTO not recorded"
    return f"{'with' if pgo else 'without'} PGO, {'with' if lto else 'without'} LTO"
