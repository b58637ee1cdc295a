"""The job and the columns of the README are those of the package."""

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
PATCHES: list[dict[str, Any]] = [
    {"email": "ada@x.org", "tags": ["a"], "visits": 1},
    {"email": "bob@x.org"},
    {"email": "ADA@x.org", "tags": ["b"], "visits": None},
]


def test_extra_requires_the_packages_of_the_job() -> None:
    """``mapInArrow`` of Spark needs pandas, too."""
    required = [
        requirement
        for requirement in requires("upsertcore") or ()
        if re.search("extra == .spark.", requirement)
    ]
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in required}

    assert {"pandas", "pyarrow", "pyspark"} == names


@pytest.mark.parametrize(
    ("heading", "schema"),
    [
        ("Patches", patches_schema(FIELDS)),
        ("Contacts", contacts_schema(FIELDS)),
        ("Outcomes", outcomes_schema()),
    ],
)
def test_tables_of_columns_have_the_columns_of_the_schemas(
    heading: str, schema: StructType
) -> None:
    text = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    first_cells = re.findall(r"(?m)^\| (`.*?`) \|", text)

    assert {*schema.names} == {*re.findall(r"`(\w+)`", " ".join(first_cells))}


def test_table_of_options_has_every_option_and_default() -> None:
    text = README.partition("\n## Options\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| (.*?) \|", text))
    options = inspect.signature(spark_package.upsert).parameters

    assert [*options][3:] == [*rows]
    assert f'`"{options["on_large"].default}"`' == rows["on_large"]
    for name in ("large", "driver_limit"):
        assert options[name].default == int(rows[name].replace(" ", ""))


def test_job_of_the_readme_writes_contacts_and_outcomes(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads a log and known contacts, all in Parquet."""
    monkeypatch.chdir(tmp_path)
    dawn = datetime(2024, 6, 1, tzinfo=UTC)
    log = [
        SentPatch(n, patch, dawn + timedelta(hours=n))
        for n, patch in enumerate(PATCHES)
    ]
    patches = spark.createDataFrame(patches_table(log, FIELDS), patches_schema(FIELDS))
    patches.write.parquet(str(tmp_path / "log" / "2024-06"))
    no_contacts = spark.createDataFrame([], contacts_schema(FIELDS))
    no_contacts.write.parquet(str(tmp_path / "contacts" / "2024-05"))
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```$", README)
    [job] = [block for block in blocks if "upsertcore.spark import" in block]
    places = re.compile(r'"((?:log|contacts|outcomes)/)')
    exec(places.sub(rf'"{tmp_path}/\1', job), {})  # noqa: S102 - the README's text

    contacts = spark.read.parquet(str(tmp_path / "contacts" / "2024-06")).orderBy(
        "place"
    )
    outcomes = spark.read.parquet(str(tmp_path / "outcomes" / "2024-06"))
    assert [
        ("c-0", 2, "ADA@x.org", ["a", "b"], None),
        ("c-1", 1, "bob@x.org", None, None),
    ] == [
        (row.id, row.version, row.fields.email, row.fields.tags, row.fields.visits)
        for row in contacts.collect()
    ]
    assert [(0, "created"), (1, "created"), (2, "updated")] == sorted(
        (row.sequence, row.result) for row in outcomes.collect()
    )
