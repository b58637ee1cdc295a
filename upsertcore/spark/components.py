"""
Connected components of linked rows, computed on the driver or on the cluster.

Rules:
    A component is identified by its least node, wherever it is computed.
    A small graph is processed on the driver in one pass, a large one on the cluster in
    rounds, so that no machine holds a whole component.
    Only nodes that differ from their component are returned.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from logging import getLogger

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own manual has it

from upsertcore.replay import component_roots
from upsertcore.spark.schemas import arrow_schema, labels_schema

__all__ = [
    "MAX_ROUNDS",
    "cluster_components",
    "connected_components",
    "driver_components",
    "table_components",
]

_log = getLogger("upsertcore.spark")

_LINKS = pa.large_list(pa.large_string())
"""The type for concatenated links, which may exceed two billion characters."""

MAX_ROUNDS = 100
"""The maximum number of rounds on the cluster; 2 to 10 are usual for any size."""


def connected_components(links: DataFrame, count: int, driver_limit: int) -> DataFrame:
    """
    Compute the connected components of nodes, on the driver or the cluster by size.

    Args:
        links: ``node`` and ``links``, each node once.
        count: The number of its rows.
        driver_limit: The maximum number of rows to process on the driver.

    Returns:
        ``node`` and ``component``, for the nodes that differ from their component.
    """
    if count <= driver_limit:
        message = "components: %d rows, at most driver_limit=%d: computed on the driver"
        _log.info(message, count, driver_limit)
        return F.broadcast(driver_components(links))
    message = "components: %d rows, more than driver_limit=%d: computed on the cluster"
    _log.info(message, count, driver_limit)
    return cluster_components(links)


def driver_components(links: DataFrame) -> DataFrame:
    """
    Compute components by union-find on the driver.

    Args:
        links: As in :func:`connected_components`.

    Cost:
        Near-linear in the links; a few hundred bytes a row on the driver.
    """
    table = table_components(links.select("node", "links").toArrow())
    labels = links.sparkSession.createDataFrame(table, labels_schema())
    # A checkpoint keeps the rows out of the plan, which Spark traverses often.
    return labels.localCheckpoint()


def table_components(links: pa.Table) -> pa.Table:
    """
    Compute the components of a table of links.

    >>> kind = pa.list_(pa.string())
    >>> links = pa.array([["a", "b"], [], ["b"], ["c"], ["a", "c"]], kind)
    >>> nodes = pa.array([9, 8, 7, 5, 6])
    >>> components = table_components(pa.table({"node": nodes, "links": links}))
    >>> components.to_pylist()  # doctest: +NORMALIZE_WHITESPACE
    [{'node': 6, 'component': 5}, {'node': 7, 'component': 5},
     {'node': 9, 'component': 5}]
    """
    if not len(links):
        return arrow_schema(labels_schema()).empty_table()
    # Sorted by node, so that the first of a component is the least.
    table = links.take(pc.sort_indices(links.column("node")))
    link_lists = table.column("links").cast(_LINKS).combine_chunks()
    # Integers represent the links, which are long.
    numbers = link_lists.flatten().dictionary_encode().indices.to_pylist()
    ends = accumulate(link_lists.value_lengths().to_pylist(), initial=0)
    nodes = table.column("node").to_pylist()
    first = component_roots(numbers[start:end] for start, end in pairwise(ends))
    labelled = [place for place, root in enumerate(first) if place != root]
    columns = [[nodes[p] for p in labelled], [nodes[first[p]] for p in labelled]]
    schema = arrow_schema(labels_schema())
    return pa.table([pa.array(values, pa.int64()) for values in columns], schema=schema)


def cluster_components(links: DataFrame, *, rounds: int = MAX_ROUNDS) -> DataFrame:
    """
    Compute components with joins only.

    Each link becomes a star around the least node that has it. Then, in alternation,
    each node connects its greater neighbours to the least node it knows (*large
    star*), and its smaller neighbours to the least of them (*small star*), until each
    component is one star. Both steps preserve connectivity.

    Args:
        links: As in :func:`connected_components`.
        rounds: The maximum number of rounds.

    Raises:
        RuntimeError: If there are more.

    Cost:
        Each round shuffles the edges, whose number never grows, four times; the number
        of rounds is logarithmic in the nodes.

    Source:
        R. Kiveris, S. Lattanzi, V. Mirrokni, V. Rastogi, S. Vassilvitskii,
        "Connected Components in MapReduce and Beyond", 2014.
    """
    edges = _stars_of(links).localCheckpoint()
    for number in range(rounds + 1):
        remaining = _nodes_outside_stars(edges)
        if not remaining:
            _log.info("components: computed on the cluster in %d rounds", number)
            return edges.select(F.col("u").alias("node"), F.col("v").alias("component"))
        _log.info(
            "components: round %d, %d nodes not yet in a star", number + 1, remaining
        )
        if number < rounds:
            edges = _small_star(_large_star(edges)).localCheckpoint()
    raise RuntimeError(f"components: not computed after {rounds} rounds")


def _stars_of(links: DataFrame) -> DataFrame:
    """Return edges (u, v), u greater than v, between nodes that share a link."""
    pairs = links.select(F.col("node").alias("u"), F.explode("links").alias("link"))
    least = pairs.groupBy("link").agg(F.min("u").alias("v"))
    return pairs.join(least, "link").where("u > v").select("u", "v").distinct()


def _nodes_outside_stars(edges: DataFrame) -> int:
    """Count the nodes with several centres, and the centres below another centre."""
    ends = edges.select(F.col("u").alias("node"), F.lit(1).alias("under"))
    centres = edges.select(F.col("v").alias("node"), F.lit(0).alias("under"))
    roles = ends.union(centres).groupBy("node")
    counts = roles.agg(F.sum("under").alias("under"), F.min("under").alias("least"))
    return int(counts.where("under > 1 or (under = 1 and least = 0)").count())


def _large_star(edges: DataFrame) -> DataFrame:
    directed = edges.union(edges.select(F.col("v").alias("u"), F.col("u").alias("v")))
    least = directed.groupBy("u").agg(F.least("u", F.min("v")).alias("m"))
    greater = directed.where("v > u").join(least, "u")
    return greater.select(F.col("v").alias("u"), F.col("m").alias("v")).distinct()


def _small_star(edges: DataFrame) -> DataFrame:
    least = edges.groupBy("u").agg(F.min("v").alias("m"))
    others = edges.join(least, "u").where("v != m")
    smaller = others.select(F.col("v").alias("u"), F.col("m").alias("v"))
    return smaller.union(least.select("u", F.col("m").alias("v"))).distinct()
