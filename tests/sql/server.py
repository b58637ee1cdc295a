"""
Whether PostgreSQL is available.

Rules:
    Its tests run where libpq finds a server that answers.
    Otherwise the summary has the reason.
"""

from __future__ import annotations

import os

__all__ = ["MISSING"]

VARIABLES = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")


def reason_without_postgres() -> str:
    """Return why there is no PostgreSQL; nothing where there is."""
    if not any(name in os.environ for name in VARIABLES):
        return f"none of {', '.join(VARIABLES)} is set"
    try:
        import psycopg
    except ModuleNotFoundError:
        return "psycopg is not installed"
    try:
        psycopg.connect(connect_timeout=5).close()
    except psycopg.OperationalError as error:
        return str(error)
    return ""


MISSING = reason_without_postgres()
