"""
The same replay on Spark: a log that outgrows one machine, to the same contacts.

Rules:
    What decides is the core, as on one machine; here rows are only brought together.
    Needs pyspark and pyarrow, which the extra ``spark`` installs; nothing else of
    this library imports this package.
    This package hands on the names of its modules and defines none.
"""

from importlib import import_module as _import_module

try:
    for _name in ("pyarrow", "pyspark"):
        _import_module(_name)
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{error.name}: upsertcore.spark needs pyspark and pyarrow; "
        "pip install 'upsertcore[spark]'",
        name=error.name,
    ) from error

from upsertcore.spark.errors import InvalidColumn, LargeComponent, UnfitValue
from upsertcore.spark.job import Upserted, upsert
from upsertcore.spark.schemas import contacts_schema, outcomes_schema, patches_schema
from upsertcore.spark.writing import patches_table

__all__ = [
    "InvalidColumn",
    "LargeComponent",
    "UnfitValue",
    "Upserted",
    "contacts_schema",
    "outcomes_schema",
    "patches_schema",
    "patches_table",
    "upsert",
]
