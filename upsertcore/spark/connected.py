"""
Components: which rows are linked, on the driver or on the cluster.

Rules:
    A component is called after the least number in it, wherever it was found.
    What fits the driver is joined there, in one pass; what does not is joined on the
    cluster, in rounds, and no machine ever holds a component as a whole.
    Only nodes that are not their own component are told.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from logging import getLogger

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own manual has it

from upsertcore.replay import joined
from upsertcore.spark.schemas import arrow_schema, labels_schema

__all__ = ["MAX_ROUNDS", "connected", "connected_table", "on_cluster", "on_driver"]

_log = getLogger("upsertcore.spark")

_LINKS = pa.large_list(pa.large_string())
"""As links are joined: together they may have more than two billion characters."""

MAX_ROUNDS = 100
"""After how many rounds the cluster gives up; 2 to 10 are usual, for any size."""


def connected(links: DataFrame, count: int, driver_limit: int) -> DataFrame:
    """
    Find the components of linked nodes, where the size says.

    Args:
        links: ``node`` and ``links``, each node once.
        count: How many rows it has.
        driver_limit: Up to how many are joined on the driver.

    Returns:
        ``node`` and ``component``, for the nodes that are not their own component.
    """
    if count <= driver_limit:
        told = "components: %d rows, at most driver_limit=%d: joined on the driver"
        _log.info(told, count, driver_limit)
        return F.broadcast(on_driver(links))
    told = "components: %d rows, more than driver_limit=%d: joined on the cluster"
    _log.info(told, count, driver_limit)
    return on_cluster(links)


def on_driver(links: DataFrame) -> DataFrame:
    """
    Find components by union-find on the driver.

    Args:
        links: As in :func:`connected`.

    Cost:
        Near-linear in the links; a few hundred bytes a row on the driver.
    """
    table = connected_table(links.select("node", "links").toArrow())
    told = links.sparkSession.createDataFrame(table, labels_schema())
    # Else they would be a part of the plan, and Spark walks through all of it often.
    return told.localCheckpoint()


def connected_table(links: pa.Table) -> pa.Table:
    """
    Find components in a table of links.

    >>> kind = pa.list_(pa.string())
    >>> links = pa.array([["a", "b"], [], ["b"], ["c"], ["a", "c"]], kind)
    >>> nodes = pa.array([9, 8, 7, 5, 6])
    >>> found = connected_table(pa.table({"node": nodes, "links": links}))
    >>> found.to_pylist()  # doctest: +NORMALIZE_WHITESPACE
    [{'node': 6, 'component': 5}, {'node': 7, 'component': 5},
     {'node': 9, 'component': 5}]
    """
    if not len(links):
        return arrow_schema(labels_schema()).empty_table()
    # By number, so that the first of a component has the least.
    table = links.take(pc.sort_indices(links.column("node")))
    each = table.column("links").cast(_LINKS).combine_chunks()
    # A link is told from another by its number, which is made here, of all of them.
    numbers = each.flatten().dictionary_encode().indices.to_pylist()
    ends = accumulate(each.value_lengths().to_pylist(), initial=0)
    nodes = table.column("node").to_pylist()
    first = joined(numbers[start:end] for start, end in pairwise(ends))
    moved = [place for place, above in enumerate(first) if place != above]
    columns = [[nodes[p] for p in moved], [nodes[first[p]] for p in moved]]
    schema = arrow_schema(labels_schema())
    return pa.table([pa.array(each, pa.int64()) for each in columns], schema=schema)


def on_cluster(links: DataFrame, *, rounds: int = MAX_ROUNDS) -> DataFrame:
    """
    Find components by joins alone.

    Each link becomes a star around the least node that has it. Then each node takes
    its greater neighbours to the least one that it knows (*large star*), and the
    least of its smaller ones takes the others (*small star*), in turns, until each
    component is one star. Both keep what is connected connected.

    Args:
        links: As in :func:`connected`.
        rounds: After how many it gives up.

    Raises:
        RuntimeError: If it gives up.

    Cost:
        A round shuffles the edges, of which there are never more than at the start,
        four times; the number of rounds grows with the logarithm of the nodes.

    Source:
        R. Kiveris, S. Lattanzi, V. Mirrokni, V. Rastogi, S. Vassilvitskii,
        "Connected Components in MapReduce and Beyond", 2014.
    """
    edges = _stars_of(links).localCheckpoint()
    for number in range(rounds + 1):
        left = _left(edges)
        if not left:
            _log.info("components: joined on the cluster in %d rounds", number)
            return edges.select(F.col("u").alias("node"), F.col("v").alias("component"))
        _log.info("components: round %d, %d nodes not yet in a star", number + 1, left)
        if number < rounds:
            edges = _small_star(_large_star(edges)).localCheckpoint()
    raise RuntimeError(f"components: not joined after {rounds} rounds")


def _stars_of(links: DataFrame) -> DataFrame:
    """Make edges (u, v), u greater than v, of the nodes that have a link in common."""
    pairs = links.select(F.col("node").alias("u"), F.explode("links").alias("link"))
    least = pairs.groupBy("link").agg(F.min("u").alias("v"))
    return pairs.join(least, "link").where("u > v").select("u", "v").distinct()


def _left(edges: DataFrame) -> int:
    """Count what keeps edges from being stars: second centres, and centres in stars."""
    ends = edges.select(F.col("u").alias("node"), F.lit(1).alias("under"))
    centres = edges.select(F.col("v").alias("node"), F.lit(0).alias("under"))
    both = ends.union(centres).groupBy("node")
    told = both.agg(F.sum("under").alias("under"), F.min("under").alias("least"))
    return int(told.where("under > 1 or (under = 1 and least = 0)").count())


def _large_star(edges: DataFrame) -> DataFrame:
    both = edges.union(edges.select(F.col("v").alias("u"), F.col("u").alias("v")))
    least = both.groupBy("u").agg(F.least("u", F.min("v")).alias("m"))
    greater = both.where("v > u").join(least, "u")
    return greater.select(F.col("v").alias("u"), F.col("m").alias("v")).distinct()


def _small_star(edges: DataFrame) -> DataFrame:
    least = edges.groupBy("u").agg(F.min("v").alias("m"))
    others = edges.join(least, "u").where("v != m")
    taken = others.select(F.col("v").alias("u"), F.col("m").alias("v"))
    return taken.union(least.select("u", F.col("m").alias("v"))).distinct()
