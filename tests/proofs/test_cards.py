"""The cards of the four profiles equal those of the README of the laws."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from upsertcore import laws
from upsertcore.profiles import BY_NAME

pytestmark = pytest.mark.full

README = Path(laws.__file__).with_name("README.md").read_text(encoding="utf-8")
NAMES = ("SalesforceIQ", "LeadConnector", "SegMetrics", "Anduin")
MAY_FAIL = {"create_makes_one", "log_again", "any_order"}
NEVER_CLAIMED = {
    *("left_out_together", "clock_travels", "sticky_stays", "sticky_wins"),
    *("one_is_a_list", "constant_is_set", "refused_stays_apart"),
}
"""Laws of what no profile has: composite keys, clocks, conditions of merges, lists."""


def print_card(*words: str) -> dict[str, Any]:
    """Print a card by the command line, in another process."""
    command = [sys.executable, "-m", "upsertcore", "laws", *words, "--json"]
    process = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    card: dict[str, Any] = json.loads(process.stdout)
    return card


@pytest.fixture(name="cards", scope="module")
def _cards() -> dict[str, dict[str, Any]]:
    """Make the four cards, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(NAMES, pool.map(print_card, NAMES), strict=True))


def cell(law: dict[str, Any]) -> str:
    """Write the result of a law."""
    if not law["holds"]:
        return "**fails**"
    return (
        f"{law['calls']:,} ({law['stands_for']:,})"
        if law["calls"]
        else "nothing to try"
    )


def row(number: int, cards: dict[str, dict[str, Any]]) -> str:
    """Write the row of one law."""
    verdicts = [cards[name]["laws"][number] for name in NAMES]
    cells = [cell(verdict) for verdict in verdicts]
    description = verdicts[0]["says"].removesuffix(".")
    return f"| `{verdicts[0]['law']}` | {description} | {' | '.join(cells)} |"


def test_every_profile_has_a_card() -> None:
    assert sorted(NAMES) == sorted(BY_NAME)


def test_every_claimed_law_holds(cards: dict[str, dict[str, Any]]) -> None:
    """A law that does not hold is not claimed."""
    for name, card in cards.items():
        for law in card["laws"]:
            assert law["holds"] or not law["claimed"], (name, law)
            silent = law["law"] in NEVER_CLAIMED
            assert silent or law["calls"] or not law["holds"], (name, law)
        unclaimed = {law["law"] for law in card["laws"] if not law["claimed"]}
        assert MAY_FAIL | NEVER_CLAIMED >= unclaimed >= NEVER_CLAIMED


def test_readme_has_the_printed_cards(cards: dict[str, dict[str, Any]]) -> None:
    """Row by row, with the counts."""
    rows = [row(number, cards) for number in range(len(cards["Anduin"]["laws"]))]
    text = README.partition("\n## The cards of the four profiles\n")[2]
    text = text.partition("\n## ")[0]

    assert "\n".join(rows) == "\n".join(
        re.findall(r"^\| `\w+` .*$", text, re.MULTILINE)
    )


def test_allowed_duplicates_create_two_contacts() -> None:
    """With an idempotency key, one."""
    card = print_card(
        "LeadConnector", "--set", "allow_duplicates=true", "--contacts", "1"
    )
    verdicts = {law["law"]: law for law in card["laws"]}

    assert not verdicts["create_makes_one"]["holds"]
    reason = "created new-1 then created new-2"
    assert reason in verdicts["create_makes_one"]["counterexample"]
    assert verdicts["retry_is_once"]["holds"]
    assert verdicts["idempotent"]["holds"]
