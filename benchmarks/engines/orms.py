"""
Rivals that map tables to Python, on SQLite in memory: SQLAlchemy and Django.

Rules:
    Each uses its own upsert, as its documentation shows, by email only.
    The functions of the floor compute normal forms; a list is stored as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

from benchmarks.engines.base import Engine
from benchmarks.engines.sql import fields_from, row_of
from benchmarks.floor import email_form
from benchmarks.people import LIST
from benchmarks.workloads import Case, Patch

__all__ = ["Django", "Sqlalchemy"]


class Sqlalchemy(Engine):
    """``insert(...).on_conflict_do_update(...)`` of a table, for a list of rows."""

    name = "SQLAlchemy"
    how = "SQLite `:memory:`, on_conflict_do_update, one executemany"
    package = "sqlalchemy"
    both_keys = False

    def setup(self, case: Case) -> None:
        """Create an empty table, and the statement."""
        super().setup(case)
        sa = import_module("sqlalchemy")
        self.columns = ("form", *case.names)
        self.table = sa.Table(
            "contact",
            sa.MetaData(),
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("form", sa.Text, unique=True),
            *(sa.Column(name, sa.Text) for name in case.names),
        )
        self.engine = sa.create_engine("sqlite://")
        self.table.metadata.create_all(self.engine)
        insert = import_module("sqlalchemy.dialects.sqlite").insert(self.table)
        sets = {
            name: sa.func.coalesce(insert.excluded[name], self.table.c[name])
            for name in case.names
        }
        self.statement = insert.on_conflict_do_update(
            index_elements=["form"], set_=sets
        )

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert in one transaction."""
        columns, names = self.columns, self.case.names
        rows = [
            dict(zip(columns, _row(patch, names), strict=True)) for patch in patches
        ]
        # Without rows, SQLAlchemy would insert one of defaults.
        if rows:
            with self.engine.begin() as connection:
                connection.execute(self.statement, rows)

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Return the fields that are not null."""
        names = self.case.names
        with self.engine.connect() as connection:
            rows = connection.execute(self.table.select()).all()
        return (fields_from(names, row[2:]) for row in rows)

    def close(self) -> None:
        """Close the connection."""
        self.engine.dispose()


class Django(Engine):
    """
    ``bulk_create(update_conflicts=True)`` of a model.

    It updates the same fields of every row, to the values of that row. So the patches
    of an email are folded first, and there is one call for each set of fields.
    """

    name = "Django"
    how = "whole batch, SQLite `:memory:`, folded by email, then bulk_create"
    package = "django"
    both_keys = False
    whole_batch = True

    def setup(self, case: Case) -> None:
        """Create an empty table."""
        super().setup(case)
        self.model = _model(case.names)
        self.db = import_module("django.db")
        with self.db.connection.schema_editor() as editor:
            editor.create_model(self.model)

    def run(self, patches: Iterable[Patch]) -> None:
        """Fold the batch, then write it in one transaction."""
        folded: dict[str, Patch] = {}
        for patch in patches:
            folded.setdefault(email_form(patch["email"]), {}).update(patch)
        groups: dict[frozenset[str], list[Any]] = {}
        for form, patch in folded.items():
            item = self.model(form=form, **patch)
            groups.setdefault(frozenset(patch), []).append(item)
        with self.db.transaction.atomic():
            for group, items in groups.items():
                self.model.objects.bulk_create(
                    items,
                    update_conflicts=True,
                    unique_fields=["form"],
                    update_fields=[*group],
                )

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Return the fields that are not null."""
        rows = self.model.objects.values(*self.case.names)
        return ({n: v for n, v in row.items() if v is not None} for row in rows)

    def close(self) -> None:
        """Drop the table; the connection is that of the process."""
        with self.db.connection.schema_editor() as editor:
            editor.delete_model(self.model)


def _row(patch: Patch, names: tuple[str, ...]) -> list[Any]:
    return [email_form(patch["email"]), *row_of(patch, names)]


@cache
def _model(names: tuple[str, ...]) -> Any:
    """Return the model of a table; Django has one of each name in a process."""
    conf = import_module("django.conf")
    if not conf.settings.configured:
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        conf.settings.configure(DATABASES={"default": database})
        import_module("django").setup()
    models = import_module("django.db.models")
    kinds = {LIST: models.JSONField}
    columns = {name: kinds.get(name, models.TextField)(null=True) for name in names}
    members = {
        "__module__": __name__,
        "Meta": type("Meta", (), {"app_label": "benchmarks"}),
        "id": models.AutoField(primary_key=True),
        "form": models.TextField(unique=True),
        **columns,
    }
    return type(f"Contact{_model.cache_info().misses}", (models.Model,), members)
