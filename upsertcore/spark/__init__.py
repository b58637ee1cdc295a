"""
Replay on Spark, for logs that are too large for one machine, with the same results.

Rules:
    The engine decides, as on one machine; this package only partitions the rows.
    Requires pyspark and pyarrow, which the extra ``spark`` installs; nothing else in
    the library imports this package.
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
from upsertcore.spark.to_arrow import patches_table

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
