"""
All engines, in the order of the report.

Rules:
    After the floor and the library, the rivals that do the same work: they match by
    both keys and tell what they did. Then those that match by both keys and tell
    nothing, then those that match by one key.
    An engine is identified by its name.
    The report lists engines that cannot run here, with the reason.
"""

from __future__ import annotations

from benchmarks.engines.base import Engine
from benchmarks.engines.frames import Duckdb, Pandas, Polars
from benchmarks.engines.objects import Ducks, Littletable, Pydblite
from benchmarks.engines.orms import Django, Sqlalchemy
from benchmarks.engines.ours import HandWritten, Upsert, UpsertMany
from benchmarks.engines.servers import Postgres, Redis
from benchmarks.engines.sql import SqliteBoth, SqliteConflict, SqliteRows, SqliteStaging

__all__ = ["ENGINES", "OURS"]

_ALL: tuple[type[Engine], ...] = (
    *(HandWritten, Upsert, UpsertMany, SqliteRows, Ducks, Littletable, Pydblite),
    *(SqliteBoth, SqliteStaging, Redis, SqliteConflict, Sqlalchemy, Django),
    *(Duckdb, Polars, Pandas, Postgres),
)

ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in _ALL}
"""The engines by name."""

OURS = (HandWritten.name, Upsert.name, UpsertMany.name)
"""The floor and the library: the engines that support the policies of profiles."""
