"""
The pages that the profiles follow, statement by statement, as a table.

Rules:
    ``cases/seeds.json`` quotes each line of each page, in order, and names for each
    statement the cases that check it, or why it is the application's part.
    ``python -m tests.profiles.seed_table`` writes ``cases/seeds.md`` from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["CASES", "LAYOUT", "TABLE", "calls", "digest", "holds", "seeds", "table"]

CASES = Path(__file__).parents[1] / "cases"
TABLE = CASES / "seeds.md"
LAYOUT = "Layout of the page: it states nothing."
BAR = "\\|"
PROFILES = ("SalesforceIQ", "LeadConnector", "SegMetrics", "Anduin")


def seeds() -> list[dict[str, Any]]:
    """Return the pages, each with its statements."""
    return json.loads((CASES / "seeds.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def calls() -> dict[str, list[dict[str, Any]]]:
    """Return the calls of each documented case, by profile and name."""
    return {
        f"{name}: {case['name']}": case["calls"]
        for name in PROFILES
        for case in json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))
    }


def digest(lines: Iterator[tuple[int, str]]) -> str:
    """
    Return the hash of the lines of a page that are not blank, without white space.

    Args:
        lines: The number of a line, from 1, and text of it; several of one line are
            joined.
    """
    joined: dict[int, str] = {}
    for number, text in lines:
        joined[number] = joined.get(number, "") + re.sub(r"\s+", "", text)
    written = "\n".join(f"{number}:{text}" for number, text in joined.items() if text)
    return hashlib.sha256(written.encode()).hexdigest()


def holds(part: Any, whole: Any) -> bool:
    """
    Return whether a value is contained in another one.

    A mapping is in one that has at least its names, a list in one that has an item
    for each of its own, and any other value in an equal one of the same type.
    """
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            name in whole and holds(value, whole[name]) for name, value in part.items()
        )
    if isinstance(part, list) and part:
        return isinstance(whole, list) and all(
            any(holds(item, other) for other in whole) for item in part
        )
    return type(part) is type(whole) and bool(part == whole)


def table() -> str:
    """Return the text of the table."""
    pages = seeds()
    head = [
        "# What the pages say, and what checks it",
        "",
        "Made by `python -m tests.profiles.seed_table` from `seeds.json`. A case is",
        "one of `<profile>.json` or a test; what no case can check is the",
        "application's part.",
        "",
        "| page | statements | checked by a case | application | layout |",
        "|---|---|---|---|---|",
        *[_counts(page["title"], page["statements"]) for page in pages],
        _counts(
            "all", [statement for page in pages for statement in page["statements"]]
        ),
    ]
    return "\n".join([*head, *[line for page in pages for line in _page(page)], ""])


def _counts(title: str, statements: list[dict[str, Any]]) -> str:
    kinds = Counter(
        "layout" if statement.get("why") == LAYOUT else statement["kind"]
        for statement in statements
    )
    cells = (len(statements), kinds["case"], kinds["application"], kinds["layout"])
    return f"| {title} | {' | '.join(map(str, cells))} |"


def _page(page: dict[str, Any]) -> Iterator[str]:
    yield from (
        "",
        f"## {page['title']}",
        "",
        "| line | statement | |",
        "|---|---|---|",
    )
    for statement in page["statements"]:
        if statement["kind"] == "case":
            check = "; ".join(statement["cases"])
            check += f". {statement['note']}" if "note" in statement else ""
        else:
            check = f"*{statement['why']}*"
        quote = " ".join(statement["quote"].split())
        cells = (str(statement["line"]), f"`` {quote} ``", check)
        yield f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
