"""What the README shows of a recipe stands in it, word for word."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
README = HERE.parent.parent / "README.md"
BLOCK = re.compile(
    r"^```python\n# (tests/recipes/\w+\.py)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


def lines(text: str) -> str:
    """Give a text without the white space around its lines."""
    return "\n".join(line.strip() for line in text.strip().splitlines())


def test_the_blocks_of_the_readme() -> None:
    """Each block that names a recipe is a part of it."""
    text = README.read_text(encoding="utf-8")
    for path, block in BLOCK.findall(text):
        recipe = (HERE / Path(path).name).read_text(encoding="utf-8")
        assert lines(block) in lines(recipe), path
