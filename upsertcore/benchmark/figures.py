"""
The figures of a benchmark, as values and as JSON.

Rules:
    Nothing is measured here. A figure of several rounds is its least, median and
    greatest value.
    Only figures of one run are comparable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from attrs import asdict, field, frozen

from upsertcore.evaluation import Spread

__all__ = ["BenchmarkReport", "FastPathUse", "KeyUse", "Latency", "PolicyFigures"]


@final
@frozen
class Latency:
    """
    How long one upsert takes, in microseconds.

    Args:
        median: Half of the upserts take no longer.
        p99: 99 of 100 upserts take no longer.
        worst: The longest.

    >>> one = Spread(2.0, 2.5, 3.0)
    >>> Latency(one, one, one).median.median
    2.5
    """

    median: Spread
    p99: Spread
    worst: Spread


@final
@frozen
class KeyUse:
    """
    How often a key was asked, and what it hit, for the rows that are not refused.

    Args:
        key: Its name.
        asked: The number of rows that have a form of it, and for which it is consulted.
        nothing: How often no contact held the form.
        one: How often one contact did.
        several: How often several did.
        decided: How often the key matched the row to its contact.

    >>> KeyUse("email", asked=3, nothing=1, one=2, several=0, decided=2).asked
    3
    """

    key: str
    asked: int
    nothing: int
    one: int
    several: int
    decided: int


@final
@frozen
class FastPathUse:
    """
    How many calls took the fast path, and why the others did not.

    Args:
        calls: The number of calls.
        fast: How many of them took it.
        reasons: Why the others did not, each with their number; the most common first.

    >>> FastPathUse(4, 3, {"the patch is no plain dict": 1}).share
    0.75
    """

    calls: int
    fast: int
    reasons: Mapping[str, int]

    @property
    def share(self) -> float:
        """The share of the calls that took it; 1.0 of no calls."""
        return self.fast / self.calls if self.calls else 1.0


@final
@frozen
class PolicyFigures:
    """
    The figures of one policy.

    Args:
        name: Its name.
        rows: The number of rows.
        contacts: The number of contacts at the end.
        results: Result of a call to its number; a refusal is counted by its kind.
        singly: Upserts a second, one call each.
        batches: Upserts a second, in batches; None for what takes no batches.
        latency: The time of one upsert.
        growth: Upserts a second in each quarter of the rows.
        contact_bytes: What Python allocates for the book, by contact; None without
            contacts.
        fast_path: The use of the fast path.
        keys: The use of each key of the strategy.
    """

    name: str
    rows: int
    contacts: int
    results: Mapping[str, int]
    singly: Spread
    batches: Spread | None
    latency: Latency
    growth: tuple[Spread, ...]
    contact_bytes: float | None
    fast_path: FastPathUse
    keys: tuple[KeyUse, ...]


@final
@frozen
class BenchmarkReport:
    """
    The report on one policy, or on several in one run.

    Args:
        python: The version of Python.
        rounds: How often times were measured.
        batch: The number of rows of a batch.
        policies: The figures of each policy.

    >>> print(BenchmarkReport("3.11.7", 5, 1_000, ()))
    Python 3.11.7, 5 rounds
    """

    python: str
    rounds: int
    batch: int
    policies: tuple[PolicyFigures, ...] = field(repr=False)

    def __str__(self) -> str:
        lines = [f"Python {self.python}, {self.rounds:,} rounds"]
        for each in self.policies:
            shares = f"{each.fast_path.share:.1%} on the fast path"
            lines += [
                f"{each.name}: {each.rows:,} rows, {each.contacts:,} contacts",
                f"  {each.singly.median:,.0f} upserts a second, {shares}",
                *(f"  {reason}: {n:,}" for reason, n in each.fast_path.reasons.items()),
            ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "python": self.python,
            "rounds": self.rounds,
            "batch": self.batch,
            "policies": [
                {
                    **asdict(each),
                    "results": dict(each.results),
                    "fast_path": {
                        **asdict(each.fast_path),
                        "share": each.fast_path.share,
                        "reasons": dict(each.fast_path.reasons),
                    },
                }
                for each in self.policies
            ],
        }
