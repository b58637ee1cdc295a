"""The blocks of the README are parts of the examples, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import upsertcore

ROOT = Path(__file__).parents[2]
README = Path(upsertcore.__file__).parent / "book" / "README.md"
BLOCK = re.compile(
    r"^```python\n# (tests/sql/\w+\.py)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


def stripped_lines(text: str) -> str:
    """Return a text without the white space around its lines."""
    return "\n".join(line.strip() for line in text.strip().splitlines())


def test_blocks_of_the_readme_are_parts_of_the_examples() -> None:
    ((path, block),) = BLOCK.findall(README.read_text(encoding="utf-8"))
    example = (ROOT / path).read_text(encoding="utf-8")
    assert stripped_lines(block) in stripped_lines(example), path
