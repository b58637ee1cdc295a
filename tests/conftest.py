"""
Hypothesis profiles, and what is not collected where it cannot run.

Rules:
    ``dev`` is the default and draws the same examples in every run;
    ``--hypothesis-profile=deep`` explores before a release.
    Where ``CI`` is set, Hypothesis has loaded its own ``ci`` profile, which stays.
    What the extra ``spark`` brings, and Java, may not be here; the summary says so.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

import upsertcore

if TYPE_CHECKING:
    import pytest

LACKS = [
    *[name for name in ("pyspark", "pyarrow") if not find_spec(name)],
    *([] if shutil.which("java") else ["Java"]),
]

slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "dev",
    max_examples=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=slow,
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


def pytest_configure(config: pytest.Config) -> None:
    """Leave out what needs Spark, the examples in the package among it."""
    if LACKS:
        roots = Path(__file__).parent, *map(Path, upsertcore.__path__)
        ignored = [str(root / "spark") for root in roots]
        config.option.ignore = [*(config.option.ignore or ()), *ignored]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out."""
    if LACKS:
        told = f"no test of upsertcore.spark: there is no {' and no '.join(LACKS)}"
        terminalreporter.write_line(told)
