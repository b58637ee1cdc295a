"""
Whether PostgreSQL is available.

Rules:
    Its tests are collected where libpq finds a server that answers.
    Otherwise the summary has the reason.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

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
collect_ignore = ["postgres_book.py", "test_postgres_book.py"] if MISSING else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not collected."""
    if MISSING:
        terminalreporter.write_line(f"no test of the book in PostgreSQL: {MISSING}")
