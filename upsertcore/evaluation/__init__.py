"""
Evaluation: a policy on labelled data, and two policies beside each other.

Rules:
    An evaluator decides nothing: it takes the true person of each record, and the
    result of its call.
    The contact of a record is looked up at the end, since contacts may be merged.
    A refused record is in no contact, and counts as a group of its own.
    The same rows, policy and seed give the same report.
"""

from upsertcore.evaluation.evaluate import (
    Evaluator,
    Hit,
    KeyScore,
    RecordDifference,
    RecordResult,
    Refusal,
    Report,
    ReportComparison,
    Side,
    Spread,
    compare,
    evaluate,
    evaluate_records,
    new_side,
    numbered_ids,
)

__all__ = [
    "Evaluator",
    "Hit",
    "KeyScore",
    "RecordDifference",
    "RecordResult",
    "Refusal",
    "Report",
    "ReportComparison",
    "Side",
    "Spread",
    "compare",
    "evaluate",
    "evaluate_records",
    "new_side",
    "numbered_ids",
]
