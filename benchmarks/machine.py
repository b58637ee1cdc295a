"""
What a result was measured on: machine, Python, packages, commit, date.

Rules:
    Everything is asked of the system, nothing is assumed; what it does not tell is
    left blank.
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

__all__ = ["about", "told"]

_PACKAGES = (
    *("upsertcore", "attrs", "phonenumbers", "ducks", "littletable", "pydblite"),
    *("duckdb", "polars", "pandas", "numpy", "psycopg", "redis", "pyspark", "pyarrow"),
)
_CPUINFO = Path("/proc/cpuinfo")


def about() -> dict[str, Any]:
    """
    Describe the machine.

    >>> sorted(about())[:4]
    ['commit', 'cores', 'cpu', 'date']
    """
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": _load(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {**_versions(), "sqlite": sqlite3.sqlite_version},
        "commit": _commit(),
    }


def told(machine: dict[str, Any]) -> str:
    """
    Tell it in a sentence.

    >>> told({"date": "2024-01-02", "python": "CPython 3.11.7", "cpu": "", "cores": 2})
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
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """Name the commit, and say whether files differ from it; blank without git."""
    git = shutil.which("git")
    if git is None:
        return ""
    said = [
        subprocess.run(  # noqa: S603 - git, of the project's own folder
            [git, *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        for command in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain"))
    ]
    if any(one.returncode for one in said):
        return ""
    return said[0].stdout.strip() + (" with changes" if said[1].stdout.strip() else "")
