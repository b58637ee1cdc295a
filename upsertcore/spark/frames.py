"""
The frames of a job: input rows, their components, and the results.

Rules:
    Input is validated before any work is done: columns, types and sequence numbers.
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
    CONTACT_METADATA,
    check_columns,
    check_fields,
    contacts_schema,
    outcomes_schema,
    patches_schema,
    rows_schema,
)
from upsertcore.spark.to_arrow import CONTACT_ROW, OUTCOME_ROW

if TYPE_CHECKING:
    from pyspark.sql.types import StructField, StructType

__all__ = ["check_sequences", "input_rows", "split_results", "with_component"]


def input_rows(
    contacts: DataFrame | None, patches: DataFrame, policy: Policy
) -> tuple[DataFrame, StructType]:
    """
    Combine contacts and patches in one frame.

    Args:
        contacts: Contacts in ``contacts_schema``, or None.
        patches: Patches in ``patches_schema``; ``scope`` and ``nulls`` are optional.
        policy: The policy, which must accept every field.

    Returns:
        The columns of ``rows_schema`` without ``component``, and the declared fields.

    Raises:
        InvalidColumn: If a column is not as declared, or the policy does not have a
            field or a name in ``nulls``.

    Cost:
        Reads the column ``nulls`` once, if there is one.
    """
    kinds = {column.name: column.dataType for column in patches.schema}
    if "patch" not in kinds:
        raise InvalidColumn("patch", "is missing; add it as a struct of the fields")
    fields = check_fields("patch", kinds["patch"])
    declared = patches_schema(fields)
    check_columns(patches.schema, declared, optional=("scope", "nulls"))
    if policy.extra_fields is None:
        _check_declared(policy, patches, fields)
    patch_rows = _select(
        patches,
        fields,
        sequence=F.col("sequence"),
        at=F.col("at"),
        values=F.col("patch"),
        **{name: F.col(name) for name in ("scope", "nulls") if name in kinds},
    )
    if contacts is None:
        return patch_rows, fields
    check_columns(contacts.schema, contacts_schema(fields))
    contact_rows = _select(
        contacts,
        fields,
        sequence=F.col("place"),
        scope=F.col("scope"),
        values=F.col("fields"),
        stored=F.to_json(F.struct(*map(_json_column, CONTACT_METADATA))),
    )
    return contact_rows.union(patch_rows), fields


def _check_declared(policy: Policy, patches: DataFrame, fields: StructType) -> None:
    """Check that the policy declares each field of the patches and of ``nulls``."""
    declared = ", ".join(policy.fields)
    for name in fields.names:
        if name not in policy.fields:
            reason = f"is not a field of the policy, which has {declared}"
            raise InvalidColumn(f"patch.{name}", reason)
    if "nulls" not in patches.columns:
        return
    name = F.col("name")
    is_unknown = name.isNull() | ~name.isin(*policy.fields)
    names = patches.select(F.explode("nulls").alias("name")).where(is_unknown)
    [(count, first)] = names.agg(F.count("*"), F.min("name")).collect()
    if count:
        reason = f"{first or 'null'} is not a field of the policy, which has {declared}"
        raise InvalidColumn("nulls", reason)


def _json_column(column: StructField) -> Column:
    """Return a column of a contact as it is written into ``stored``."""
    if isinstance(column.dataType, TimestampType):
        return F.unix_micros(column.name).alias(column.name)
    return F.col(column.name)


def _select(frame: DataFrame, fields: StructType, **columns: Column) -> DataFrame:
    """Select the columns of ``rows_schema``, null if missing."""
    return frame.select(
        *[
            columns.get(column.name, F.lit(None))
            .cast(column.dataType)
            .alias(column.name)
            for column in rows_schema(fields)
            if column.name != "component"
        ]
    )


def check_sequences(links: DataFrame) -> int:
    """
    Check that sequence numbers are unique and greater than the places of contacts.

    Args:
        links: The columns of ``links_schema``.

    Returns:
        The number of rows.

    Raises:
        InvalidColumn: If a number is not unique, or the place of a contact is not less
            than the sequence of every patch.
    """
    places = F.when(F.col("known"), F.col("node"))
    sequences = F.when(~F.col("known"), F.col("node"))
    facts = links.select(F.count("*"), F.max(places), F.min(sequences))
    [(count, last, first)] = facts.collect()
    if last is not None and first is not None and first <= last:
        reason = f"{first} is not greater than {last}, the place of a stored contact"
        raise InvalidColumn("sequence", reason)
    duplicate = links.groupBy("node").count().where("count > 1").orderBy("node").first()
    if duplicate is not None:
        raise InvalidColumn(
            "sequence", f"{duplicate[0]} occurs {duplicate[1]} times; it must be unique"
        )
    return int(count)


def with_component(frame: DataFrame, labels: DataFrame, number: str) -> DataFrame:
    """
    Add the column ``component``.

    Args:
        frame: The frame.
        labels: ``node`` and ``component``; other nodes are their own component.
        number: The column of the frame that contains the node.
    """
    renamed = labels.withColumnRenamed("node", number)
    labelled = frame.join(renamed, number, "left")
    component = F.coalesce("component", number).alias("component")
    return labelled.select(component, *frame.columns)


def split_results(out: DataFrame) -> tuple[DataFrame, DataFrame]:
    """
    Split the result of a replay into contacts and outcomes.

    Args:
        out: The columns of ``replayed_schema``.
    """
    stored = out.where(F.col("kind") == CONTACT_ROW)
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
    answered = out.where(F.col("kind") == OUTCOME_ROW)
    parts = [f"outcome.{name}" for name in outcomes_schema().names[2:]]
    return contacts, answered.select("sequence", "component", *parts)
