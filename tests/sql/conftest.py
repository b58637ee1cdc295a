"""Engines: SQLite always, PostgreSQL where libpq finds a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def engine(request: Any) -> Iterator[Engine]:
    if request.param == "sqlite":
        made = create_engine("sqlite://", poolclass=StaticPool)
    else:
        made = create_engine("postgresql+psycopg://")
    yield made
    made.dispose()
