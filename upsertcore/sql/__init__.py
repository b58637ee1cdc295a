"""
A book in a database, SQLite or PostgreSQL, with the verbs of a book in memory.

Rules:
    The engine decides, as in memory; this package reads for it, and writes.
    Requires SQLAlchemy, which the extra ``sql`` installs, and for PostgreSQL psycopg,
    which ``postgres`` installs; nothing else in the library imports this package.
"""

from importlib import import_module as _import_module

try:
    _import_module("sqlalchemy")
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "sqlalchemy: upsertcore.sql needs it; pip install 'upsertcore[sql]'",
        name="sqlalchemy",
    ) from error

from upsertcore.sql.schema import Tables, make_tables
from upsertcore.sql.sql_book import SqlBook

__all__ = ["SqlBook", "Tables", "make_tables"]
