"""
Evaluation: a policy on labelled data, and two policies beside each other.

Rules:
    A judge watches and decides nothing: it is told whom a record is truly about, and
    what was answered.
    Where a record ends up is asked at the end, since contacts are merged on the way.
    A record that was refused stands alone.
    The same rows, policy and seed give the same report.
"""

from upsertcore.evaluation.evaluate import (
    Contrast,
    Hit,
    Judge,
    KeyScore,
    Parting,
    RecordResult,
    Refusal,
    Report,
    Side,
    Spread,
    begun,
    compare,
    evaluate,
    judged,
    numbered,
)

__all__ = [
    "Contrast",
    "Hit",
    "Judge",
    "KeyScore",
    "Parting",
    "RecordResult",
    "Refusal",
    "Report",
    "Side",
    "Spread",
    "begun",
    "compare",
    "evaluate",
    "judged",
    "numbered",
]
