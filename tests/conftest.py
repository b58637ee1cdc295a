"""
Hypothesis profiles; nothing else.

Rules:
    ``dev`` is the default; ``--hypothesis-profile=deep`` explores before a release.
    Where ``CI`` is set, Hypothesis has loaded its own ``ci`` profile, which stays.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "dev", max_examples=50, deadline=None, suppress_health_check=slow
)
settings.register_profile(
    "deep",
    max_examples=5_000,
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=slow,
)
if not settings().derandomize:
    settings.load_profile("dev")
