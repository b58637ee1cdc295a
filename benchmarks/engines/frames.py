"""
Rivals that process the whole batch as columns: polars, pandas and duckdb.

Rules:
    The time includes the conversion from a list of dicts to columns.
    A batch is one group-by: the last value that is not null, per email. There is no
    decision, and therefore no outcome, for a single patch.
    Stored rows come first in the same group-by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

from benchmarks.engines.base import Engine, lacks
from benchmarks.engines.sql import columns
from benchmarks.people import LIST
from benchmarks.workloads import Case, Patch

__all__ = ["Duckdb", "Pandas", "Polars"]

Columns = dict[str, list[Any]]


def _columns(names: Sequence[str], patches: Iterable[Patch]) -> Columns:
    rows = patches if isinstance(patches, list) else list(patches)
    return {name: [row.get(name) for row in rows] for name in names}


def _non_null(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return ({n: v for n, v in row.items() if v is not None} for row in rows)


class Polars(Engine):
    """A lazy ``group_by`` of a ``DataFrame``."""

    name = "polars"
    how = "whole batch, one group_by"
    package = "polars"
    both_keys = False
    whole_batch = True

    frame: Any

    def setup(self, case: Case) -> None:
        """Create an empty frame."""
        super().setup(case)
        pl = self.polars = import_module("polars")
        kinds = {LIST: pl.List(pl.String)}
        self.schema = {name: kinds.get(name, pl.String) for name in case.names}
        self.frame = pl.DataFrame({}, schema=self.schema)

    def run(self, patches: Iterable[Patch]) -> None:
        """Fold the batch into the frame."""
        pl = self.polars
        batch = pl.DataFrame(_columns(self.case.names, patches), schema=self.schema)
        form = pl.col("email").str.strip_chars().str.to_lowercase()
        rows = pl.concat([self.frame, batch]).lazy().with_columns(form=form)
        last = pl.col(self.case.names).drop_nulls().last()
        folded = rows.group_by("form").agg(last)
        self.frame = folded.select(self.case.names).collect()

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Return the values that are not null."""
        return _non_null(self.frame.to_dicts())


class Pandas(Engine):
    """``groupby(...).last()`` of a ``DataFrame``."""

    name = "pandas"
    how = "whole batch, one groupby"
    package = "pandas"
    both_keys = False
    whole_batch = True

    frame: Any

    def setup(self, case: Case) -> None:
        """Create an empty frame."""
        super().setup(case)
        self.pandas = import_module("pandas")
        self.frame = None

    def run(self, patches: Iterable[Patch]) -> None:
        """Fold the batch into the frame."""
        # dtype object keeps text and lists as they are, without further packages.
        rows = self.pandas.DataFrame(_columns(self.case.names, patches), dtype="object")
        if self.frame is not None:
            rows = self.pandas.concat([self.frame, rows], ignore_index=True)
        form = rows["email"].str.strip().str.lower()
        self.frame = rows.groupby(form, sort=False).last()

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Return the values that are not null."""
        rows = self.frame.to_dict("records")
        return (
            {name: v for name, v in row.items() if isinstance(v, (str, list))}
            for row in rows
        )


class Duckdb(Engine):
    """A batch through a registered frame, and INSERT ... ON CONFLICT."""

    name = "duckdb"
    how = "whole batch, GROUP BY then ON CONFLICT"
    package = "duckdb"
    both_keys = False
    whole_batch = True

    @classmethod
    def missing(cls) -> str:
        """Require pandas as well, which passes the batch to the database."""
        return super().missing() or lacks("pandas")

    def setup(self, case: Case) -> None:
        """Create an empty table."""
        super().setup(case)
        self.pandas = import_module("pandas")
        self.connection = import_module("duckdb").connect(":memory:")
        kinds = ", ".join(
            f'"{name}" VARCHAR{"[]" if name == LIST else ""}' for name in case.names
        )
        self.connection.execute(
            f"CREATE TABLE contact (form VARCHAR PRIMARY KEY, {kinds})"
        )

    def run(self, patches: Iterable[Patch]) -> None:
        """Fold the batch, then write it."""
        names = self.case.names
        batch = self.pandas.DataFrame(_columns(names, patches), dtype="object")
        batch["place"] = range(len(batch))
        last = ", ".join(
            f'arg_max("{name}", place) FILTER ("{name}" IS NOT NULL)' for name in names
        )
        sets = ", ".join(
            f'"{name}" = coalesce(excluded."{name}", contact."{name}")'
            for name in names
        )
        self.connection.register("sent", batch)
        self.connection.execute(
            f"INSERT INTO contact SELECT lower(trim(email)) AS form, {last}"  # noqa: S608 - our own names
            f" FROM sent GROUP BY form ON CONFLICT (form) DO UPDATE SET {sets}"
        )
        self.connection.unregister("sent")

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Return the values that are not null."""
        names = self.case.names
        sql = f"SELECT {columns(names)} FROM contact"  # noqa: S608 - our own names
        rows = self.connection.execute(sql).fetchall()
        return _non_null(dict(zip(names, row, strict=True)) for row in rows)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
