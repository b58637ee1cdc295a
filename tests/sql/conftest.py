"""Engines: SQLite always, PostgreSQL where libpq finds a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from tests.recipes.conftest import MISSING

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
