"""
Writes the results of a run as JSON, and their tables into a README.

Rules:
    The rest of the README is not changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["write_results"]


def write_results(
    folder: Path, name: str, results: Mapping[str, Any], update: Callable[[str], str]
) -> None:
    r"""
    Write results, and update the README in the same folder.

    Args:
        folder: The folder; it is created if missing.
        name: The name of the results file.
        results: JSON values.
        update: Returns the new text of the README from the current one, or "".

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as path:
    ...     for _ in range(2):
    ...         write_results(Path(path), "a.json", {"n": 1}, lambda text: text + "x")
    ...     Path(path, "README.md").read_text(), Path(path, "a.json").read_text()
    ('xx', '{\n "n": 1\n}\n')
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    (folder / name).write_text(content, encoding="utf-8")
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    readme.write_text(update(text), encoding="utf-8")
