"""
The frames of a job: what comes in as one, and what is written beside it.

Rules:
    What comes in is looked at before anything is done: columns, types and numbers.
    Nothing here decides anything about a contact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own manual has it
from pyspark.sql.types import TimestampType

from upsertcore.policy.policy import Policy
from upsertcore.spark.errors import InvalidColumn
from upsertcore.spark.schemas import (
    STORED,
    check_columns,
    check_fields,
    contacts_schema,
    outcomes_schema,
    patches_schema,
    rows_schema,
)
from upsertcore.spark.writing import ANSWERED
from upsertcore.spark.writing import STORED as STORED_KIND

if TYPE_CHECKING:
    from pyspark.sql.types import StructField, StructType

__all__ = ["answers", "check_numbers", "labelled", "sources"]


def sources(
    contacts: DataFrame | None, patches: DataFrame, policy: Policy
) -> tuple[DataFrame, StructType]:
    """
    Make one frame of what is known and what was sent.

    Args:
        contacts: As ``contacts_schema`` has them; None for nobody.
        patches: As ``patches_schema`` has them; ``scope`` and ``nulls`` may be missing.
        policy: The table, which must take every field.

    Returns:
        The columns of ``rows_schema`` but ``component``, and the declared fields.

    Raises:
        InvalidColumn: If a column is not as it is declared, or a field, or a name in
            ``nulls``, is none of the policy's.

    Cost:
        The column ``nulls``, where there is one, is read once.
    """
    kinds = {each.name: each.dataType for each in patches.schema}
    if "patch" not in kinds:
        raise InvalidColumn("patch", "is missing; it is a struct of the fields")
    fields = check_fields("patch", kinds["patch"])
    declared = patches_schema(fields)
    check_columns(patches.schema, declared, optional=("scope", "nulls"))
    if policy.extra_fields is None:
        _check_declared(policy, patches, fields)
    sent = _select(
        patches,
        fields,
        sequence=F.col("sequence"),
        at=F.col("at"),
        values=F.col("patch"),
        **{name: F.col(name) for name in ("scope", "nulls") if name in kinds},
    )
    if contacts is None:
        return sent, fields
    check_columns(contacts.schema, contacts_schema(fields))
    known = _select(
        contacts,
        fields,
        sequence=F.col("place"),
        scope=F.col("scope"),
        values=F.col("fields"),
        stored=F.to_json(F.struct(*map(_told, STORED))),
    )
    return known.union(sent), fields


def _check_declared(policy: Policy, patches: DataFrame, fields: StructType) -> None:
    """See that the policy declares each field that patches have, and each null."""
    have = ", ".join(policy.fields)
    for name in fields.names:
        if name not in policy.fields:
            reason = f"is no field of the policy, whose fields are {have}"
            raise InvalidColumn(f"patch.{name}", reason)
    if "nulls" not in patches.columns:
        return
    name = F.col("name")
    strange = name.isNull() | ~name.isin(*policy.fields)
    names = patches.select(F.explode("nulls").alias("name")).where(strange)
    [(count, first)] = names.agg(F.count("*"), F.min("name")).collect()
    if count:
        reason = f"{first or 'null'} is no field of the policy, whose fields are {have}"
        raise InvalidColumn("nulls", reason)


def _told(column: StructField) -> Column:
    """Give a part of a contact as it is written into ``stored``."""
    if isinstance(column.dataType, TimestampType):
        return F.unix_micros(column.name).alias(column.name)
    return F.col(column.name)


def _select(frame: DataFrame, fields: StructType, **columns: Column) -> DataFrame:
    """Lay the columns of ``rows_schema``, null where there is none."""
    return frame.select(
        *[
            columns.get(each.name, F.lit(None)).cast(each.dataType).alias(each.name)
            for each in rows_schema(fields)
            if each.name != "component"
        ]
    )


def check_numbers(links: DataFrame) -> int:
    """
    See that each row has a number of its own, and that contacts stand in front.

    Args:
        links: The columns of ``links_schema``.

    Returns:
        How many rows there are.

    Raises:
        InvalidColumn: If a number stands twice, or a contact's place is not less than
            the sequence of every patch.
    """
    known = F.when(F.col("known"), F.col("node"))
    sent = F.when(~F.col("known"), F.col("node"))
    facts = links.select(F.count("*"), F.max(known), F.min(sent))
    [(count, last, first)] = facts.collect()
    if last is not None and first is not None and first <= last:
        reason = f"{first} is not greater than {last}, the place of a stored contact"
        raise InvalidColumn("sequence", reason)
    twice = links.groupBy("node").count().where("count > 1").orderBy("node").first()
    if twice is not None:
        raise InvalidColumn("sequence", f"{twice[0]} stands there {twice[1]} times")
    return int(count)


def labelled(frame: DataFrame, labels: DataFrame, number: str) -> DataFrame:
    """
    Add the column ``component``.

    Args:
        frame: Of rows.
        labels: ``node`` and ``component``; whom they do not tell is its own.
        number: The column of the frame that a node is in.
    """
    told = labels.withColumnRenamed("node", number)
    joined = frame.join(told, number, "left")
    component = F.coalesce("component", number).alias("component")
    return joined.select(component, *frame.columns)


def answers(out: DataFrame) -> tuple[DataFrame, DataFrame]:
    """
    Take contacts and outcomes from what was replayed.

    Args:
        out: The columns of ``replayed_schema``.
    """
    stored = out.where(F.col("kind") == STORED_KIND)
    contacts = stored.select(
        F.col("sequence").alias("place"),
        F.col("contact.id").alias("id"),
        "contact.scope",
        "contact.version",
        "contact.created_at",
        "contact.updated_at",
        "contact.fields",
        "contact.aliases",
        "contact.clocks",
        "contact.merged_ids",
        "contact.deleted_at",
    )
    answered = out.where(F.col("kind") == ANSWERED)
    parts = [f"outcome.{name}" for name in outcomes_schema().names[2:]]
    return contacts, answered.select("sequence", "component", *parts)
