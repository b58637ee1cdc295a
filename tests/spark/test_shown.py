"""The job and the columns that the README shows are those of the package."""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime, timedelta
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql.types import ArrayType, LongType, StringType, StructField, StructType

from upsertcore import spark as spark_package
from upsertcore.replay import SentPatch
from upsertcore.spark import (
    contacts_schema,
    outcomes_schema,
    patches_schema,
    patches_table,
)

pytestmark = pytest.mark.full

README = Path(spark_package.__file__).with_name("README.md").read_text(encoding="utf-8")
FIELDS = StructType(
    [
        StructField("email", StringType()),
        StructField("tags", ArrayType(StringType())),
        StructField("visits", LongType()),
    ]
)
SENT: list[dict[str, Any]] = [
    {"email": "ada@x.org", "tags": ["a"], "visits": 1},
    {"email": "bob@x.org"},
    {"email": "ADA@x.org", "tags": ["b"], "visits": None},
]


def test_the_extra_brings_what_the_job_asks_for() -> None:
    """Pandas too, without which Spark does no mapInArrow."""
    required = [
        each
        for each in requires("upsertcore") or ()
        if re.search("extra == .spark.", each)
    ]
    names = {re.split(r"[^\w-]", each)[0] for each in required}

    assert {"pandas", "pyarrow", "pyspark"} == names


@pytest.mark.parametrize(
    ("heading", "schema"),
    [
        ("Patches", patches_schema(FIELDS)),
        ("Contacts", contacts_schema(FIELDS)),
        ("Outcomes", outcomes_schema()),
    ],
)
def test_the_tables_of_columns_are_the_schemas(
    heading: str, schema: StructType
) -> None:
    """Each column has a row, and no row is without a column."""
    text = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    first = re.findall(r"(?m)^\| (`.*?`) \|", text)

    assert {*schema.names} == {*re.findall(r"`(\w+)`", " ".join(first))}


def test_the_table_of_options_is_complete() -> None:
    """Every option has a row, with its default if that is text."""
    text = README.partition("\n## Options\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| (.*?) \|", text))
    options = inspect.signature(spark_package.upsert).parameters

    assert [*options][3:] == [*rows]
    assert f'`"{options["on_large"].default}"`' == rows["on_large"]
    for name in ("large", "driver_limit"):
        assert options[name].default == int(rows[name].replace(" ", ""))


def test_the_readme_runs(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a log and known contacts in Parquet to contacts and outcomes in Parquet."""
    monkeypatch.chdir(tmp_path)
    dawn = datetime(2024, 6, 1, tzinfo=UTC)
    log = [SentPatch(n, each, dawn + timedelta(hours=n)) for n, each in enumerate(SENT)]
    patches = spark.createDataFrame(patches_table(log, FIELDS), patches_schema(FIELDS))
    patches.write.parquet(str(tmp_path / "log" / "2024-06"))
    nobody = spark.createDataFrame([], contacts_schema(FIELDS))
    nobody.write.parquet(str(tmp_path / "contacts" / "2024-05"))
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```$", README)
    [job] = [block for block in blocks if "upsertcore.spark import" in block]
    places = re.compile(r'"((?:log|contacts|outcomes)/)')
    exec(places.sub(rf'"{tmp_path}/\1', job), {})  # noqa: S102 - the README's text

    made = spark.read.parquet(str(tmp_path / "contacts" / "2024-06")).orderBy("place")
    told = spark.read.parquet(str(tmp_path / "outcomes" / "2024-06"))
    assert [
        ("c-0", 2, "ADA@x.org", ["a", "b"], None),
        ("c-1", 1, "bob@x.org", None, None),
    ] == [
        (row.id, row.version, row.fields.email, row.fields.tags, row.fields.visits)
        for row in made.collect()
    ]
    assert [(0, "created"), (1, "created"), (2, "updated")] == sorted(
        (row.sequence, row.result) for row in told.collect()
    )
