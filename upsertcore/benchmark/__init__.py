"""
Benchmark: the matching performance of policies on given rows.

Rules:
    Each measurement is a process of its own, and policies are measured in turn.
    Counts come from another process, so that what is timed counts nothing.
    Only figures of one run are comparable.
"""

from upsertcore.benchmark.drawing import draw
from upsertcore.benchmark.figures import (
    BenchmarkReport,
    FastPathUse,
    KeyUse,
    Latency,
    PolicyFigures,
)
from upsertcore.benchmark.run import benchmark, benchmark_subjects
from upsertcore.benchmark.subject import Runner, Subject, policy_subject

__all__ = [
    "BenchmarkReport",
    "FastPathUse",
    "KeyUse",
    "Latency",
    "PolicyFigures",
    "Runner",
    "Subject",
    "benchmark",
    "benchmark_subjects",
    "draw",
    "policy_subject",
]
