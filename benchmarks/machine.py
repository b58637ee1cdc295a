"""
The environment of a run: machine, Python, packages, commit, date.

Rules:
    Everything is read from the system; what is unavailable is left blank.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT
from benchmarks.python_build import python_name

__all__ = ["describe", "machine_info"]

_PACKAGES = (
    *("upsertcore", "attrs", "phonenumbers", "ducks", "littletable", "pydblite"),
    *("duckdb", "polars", "pandas", "numpy", "psycopg", "redis", "pyspark", "pyarrow"),
    *("sqlalchemy", "django"),
)
_CPUINFO = Path("/proc/cpuinfo")


def machine_info() -> dict[str, Any]:
    """
    Return the environment.

    >>> sorted(machine_info())[:4]
    ['commit', 'cores', 'cpu', 'date']
    """
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": _load(),
        "python": python_name(),
        "packages": {**_versions(), "sqlite": sqlite3.sqlite_version},
        "commit": _commit(),
    }


def describe(machine: dict[str, Any]) -> str:
    """
    Return the environment as a sentence.

    >>> describe(
    ...     {"date": "2024-01-02", "python": "CPython 3.11.7", "cpu": "", "cores": 2}
    ... )
    'Measured 2024-01-02; CPython 3.11.7; 2 cores.'
    """
    parts = [
        f"Measured {machine['date']}",
        machine["python"],
        machine.get("system"),
        machine.get("cpu"),
        f"{machine['cores']} cores",
        f"load before {machine['load']}" if machine.get("load") else "",
        f"commit {machine['commit']}" if machine.get("commit") else "",
        ", ".join(f"{name} {v}" for name, v in machine.get("packages", {}).items()),
    ]
    return "; ".join(part for part in parts if part) + "."


def _cpu() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _commit() -> str:
    """Return the commit and whether files differ from it; blank without git."""
    git = shutil.which("git")
    if git is None:
        return ""
    results = [
        subprocess.run(  # noqa: S603 - git, of the project's own folder
            [git, *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        for command in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain"))
    ]
    if any(result.returncode for result in results):
        return ""
    return results[0].stdout.strip() + (
        " with changes" if results[1].stdout.strip() else ""
    )
