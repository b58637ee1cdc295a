"""
How a run is kept: its results as JSON, and what a README says of them.

Rules:
    Whatever else the README says stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["keep"]


def keep(
    folder: Path, name: str, results: Mapping[str, Any], written: Callable[[str], str]
) -> None:
    r"""
    Write results, and the README beside them anew.

    Args:
        folder: Made where it is missing.
        name: Of the file of the results.
        results: What JSON can hold.
        written: Makes the text of the README of the one that stands there, or of "".

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as path:
    ...     for _ in range(2):
    ...         keep(Path(path), "a.json", {"n": 1}, lambda text: text + "x")
    ...     Path(path, "README.md").read_text(), Path(path, "a.json").read_text()
    ('xx', '{\n "n": 1\n}\n')
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    (folder / name).write_text(whole, encoding="utf-8")
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    readme.write_text(written(text), encoding="utf-8")
