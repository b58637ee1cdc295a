"""
The Spark session of the tests in this folder.

Rules:
    Coverage is measured in this process, and not in workers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    # Many small jobs: the second compiler of the JVM would cost more than it saves.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "2g",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """Start a local session of two cores; a task may fail three times."""
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYSPARK_PYTHON", sys.executable)
        environment.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            environment.delenv(name)
        builder: Any = SparkSession.builder
        for name, value in SETTINGS.items():
            builder = builder.config(name, value)
        session = builder.master("local[2,4]").getOrCreate()
    # Only the JVM needs the variables: later tests start processes of their own.
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()
