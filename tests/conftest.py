"""
Tiers of tests, profiles of Hypothesis, and what cannot run here.

Rules:
    ``python -m pytest`` is the quick tier: two minutes, a light install.
    ``--full`` adds the tests marked ``full``, which take minutes, or need Spark,
    PostgreSQL, scikit-learn, matplotlib or FastAPI. A summary line says how many
    were left out.
    The quick tier draws fewer examples; ``--full`` draws the profile ``dev``, the same
    examples in every run; ``--hypothesis-profile=deep`` explores before a release.
    Where ``CI`` is set, Hypothesis has loaded its own ``ci`` profile, which stays.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import upsertcore

HERE = Path(__file__).parent
# Modules of tests that cannot be imported without these.
NEEDS = {"fastapi": ("test_service.py",)}
SPARK = [
    *[name for name in ("pyspark", "pyarrow") if not find_spec(name)],
    *([] if shutil.which("java") else ["Java"]),
]
LACKS = [name for name in NEEDS if not find_spec(name)]
LEFT_OUT = pytest.StashKey[int]()

slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "dev",
    max_examples=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=slow,
)
settings.register_profile("quick", settings.get_profile("dev"), max_examples=10)
settings.register_profile(
    "deep",
    max_examples=5_000,
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=slow,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the second tier."""
    description = "run the tests marked full as well, and draw more examples"
    parser.addoption("--full", action="store_true", help=description)


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples are drawn, and leave out what cannot be imported."""
    chosen = config.getoption("--hypothesis-profile", None)
    if chosen is None and not settings().derandomize:
        settings.load_profile("dev" if config.getoption("--full") else "quick")
    ignored = [str(HERE / file) for name in LACKS for file in NEEDS[name]]
    if SPARK:
        roots = HERE, *map(Path, upsertcore.__path__)
        ignored += [str(root / "spark") for root in roots]
    config.option.ignore = [*(config.option.ignore or ()), *ignored]


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave the tests of the second tier out of the first."""
    config.stash[LEFT_OUT] = 0
    if config.getoption("--full"):
        return
    full = [item for item in items if item.get_closest_marker("full")]
    if full:
        config.hook.pytest_deselected(items=full)
        items[:] = [item for item in items if not item.get_closest_marker("full")]
        config.stash[LEFT_OUT] = len(full)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was left out, and how it is run."""
    lines = []
    if count := config.stash.get(LEFT_OUT, 0):
        lines.append(f"{count} tests of the full tier were left out: run with --full")
    if SPARK:
        missing = " and no ".join(SPARK)
        lines.append(f"no test of upsertcore.spark: there is no {missing}")
    if LACKS:
        lines.append(f"no test of what needs {' or '.join(LACKS)}: not installed")
    for line in lines:
        terminalreporter.write_line(line)
