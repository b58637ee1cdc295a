"""Engines: SQLite always, PostgreSQL where libpq finds a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from tests.sql.places import Place
from tests.sql.server import MISSING
from tests.sql.workers import LONGEST

WITHOUT = pytest.mark.skipif(bool(MISSING), reason=MISSING)
POSTGRESQL = pytest.param("postgresql", marks=[pytest.mark.full, WITHOUT])


@pytest.fixture(scope="session", params=["sqlite", POSTGRESQL])
def engine(request: Any) -> Iterator[Engine]:
    if request.param == "sqlite":
        made = create_engine("sqlite://", poolclass=StaticPool)
    else:
        made = create_engine("postgresql+psycopg://")
    yield made
    made.dispose()


@pytest.fixture
def postgres() -> Iterator[Place]:
    """Return a place in PostgreSQL; its tables are dropped afterwards."""
    if MISSING:
        pytest.skip(MISSING)
    place = Place("postgresql+psycopg://", f"t{uuid4().hex[:8]}_")
    yield place
    place.drop()


@pytest.fixture
def sqlite(tmp_path: Path) -> Place:
    """Return a place in a file of SQLite."""
    return Place(f"sqlite:///{tmp_path}/book.db")


@pytest.fixture(params=["sqlite", POSTGRESQL])
def place(request: Any) -> Place:
    """Return a place in either database."""
    made: Place = request.getfixturevalue(
        "sqlite" if request.param == "sqlite" else "postgres"
    )
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not run, and how long racing calls have waited."""
    for name, seconds in LONGEST.items():
        line = f"longest call of racing processes in {name}: {seconds:.2f} s"
        terminalreporter.write_line(line)
    if MISSING:
        terminalreporter.write_line(f"no test of the book in PostgreSQL: {MISSING}")
