"""
Whether PostgreSQL is here; nothing else.

Rules:
    Its tests are collected where libpq is told of a server and that answers.
    Where they are not, the summary says so and why.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

WHERE = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")


def missing() -> str:
    """Say why there is no PostgreSQL; nothing where there is."""
    if not any(name in os.environ for name in WHERE):
        return f"none of {', '.join(WHERE)} is set"
    try:
        import psycopg
    except ModuleNotFoundError:
        return "psycopg is not installed"
    try:
        psycopg.connect(connect_timeout=5).close()
    except psycopg.OperationalError as error:
        return str(error)
    return ""


MISSING = missing()
collect_ignore = ["postgres_book.py", "test_postgres_book.py"] if MISSING else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not collected."""
    if MISSING:
        terminalreporter.write_line(f"no test of the book in PostgreSQL: {MISSING}")
