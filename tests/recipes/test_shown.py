"""The blocks of the README are parts of the recipes, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import upsertcore

HERE = Path(__file__).parent
README = Path(upsertcore.__file__).parent / "book" / "README.md"
BLOCK = re.compile(
    r"^```python\n# (tests/recipes/\w+\.py)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


def stripped_lines(text: str) -> str:
    """Return a text without the white space around its lines."""
    return "\n".join(line.strip() for line in text.strip().splitlines())


def test_blocks_of_the_readme_are_parts_of_the_recipes() -> None:
    blocks = BLOCK.findall(README.read_text(encoding="utf-8"))
    assert len(blocks) == 4
    for path, block in blocks:
        recipe = (HERE / Path(path).name).read_text(encoding="utf-8")
        assert stripped_lines(block) in stripped_lines(recipe), path
