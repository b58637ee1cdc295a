"""Connected components: the driver and the cluster agree."""

from __future__ import annotations

import logging
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from upsertcore.replay import component_roots
from upsertcore.spark.components import (
    cluster_components,
    connected_components,
    table_components,
)
from upsertcore.spark.schemas import labels_schema

pytestmark = pytest.mark.full

KIND = pa.list_(pa.string())


def table(links: dict[int, list[str]]) -> pa.Table:
    nodes = pa.array([*links], pa.int64())
    return pa.table({"node": nodes, "links": pa.array([*links.values()], KIND)})


def labels(components: pa.Table) -> dict[int, int]:
    nodes, numbers = components.column("node"), components.column("component")
    return dict(zip(nodes.to_pylist(), numbers.to_pylist(), strict=True))


def graph() -> dict[int, list[str]]:
    """Make a long chain, a star, and pairs, under shuffled numbers."""
    rng = Random(5)
    numbers = rng.sample(range(10_000), 200)
    links: dict[int, list[str]] = {number: [] for number in numbers}
    for place in range(60):
        links[numbers[place]] = [f"chain {place}", f"chain {place + 1}"]
    for place in range(60, 100):
        links[numbers[place]] = ["star", f"own {place}"]
    for place in range(100, 180):
        links[numbers[place]] = [f"pair {rng.randrange(60)}"]
    return links


def expected(links: dict[int, list[str]]) -> dict[int, int]:
    nodes = sorted(links)
    roots = component_roots([links[node] for node in nodes])
    components = {node: nodes[root] for node, root in zip(nodes, roots, strict=True)}
    return {
        node: component for node, component in components.items() if node != component
    }


def test_component_of_a_table_has_its_least_node_as_label() -> None:
    """The least node itself has no row."""
    assert expected(graph()) == labels(table_components(table(graph())))
    assert {} == labels(table_components(table({})))
    assert {} == labels(table_components(table({3: [], 1: ["a"]})))


@pytest.mark.parametrize("limit", [200, 199], ids=["driver", "cluster"])
def test_components_on_driver_and_cluster_are_equal(
    spark: Any, caplog: pytest.LogCaptureFixture, limit: int
) -> None:
    """The rounds of the cluster are logged."""
    caplog.set_level(logging.INFO, "upsertcore.spark")
    links = spark.createDataFrame(table(graph())).localCheckpoint()

    components = connected_components(links, 200, limit)

    assert labels_schema() == components.schema
    assert expected(graph()) == labels(components.toArrow())
    engine = "driver" if limit == 200 else "cluster"
    assert f"computed on the {engine}" in caplog.records[0].getMessage()
    if limit < 200:
        assert "components: round 1, " in caplog.text
        assert "components: computed on the cluster in " in caplog.text


def test_too_many_rounds_on_the_cluster_are_an_error(spark: Any) -> None:
    links = spark.createDataFrame(table(graph()))

    with pytest.raises(RuntimeError, match="not computed after 1 rounds"):
        cluster_components(links, rounds=1)
