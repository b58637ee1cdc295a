"""
The schemas of the frames: column names and types.

Rules:
    Nothing is inferred: the application declares the fields once, as a struct, and
    each schema is derived from it.
    A type is accepted if a contact can hold its values without loss.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    ByteType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from upsertcore.spark.errors import InvalidColumn

__all__ = [
    "CONTACT_METADATA",
    "arrow_schema",
    "arrow_type",
    "check_columns",
    "check_fields",
    "contacts_schema",
    "labels_schema",
    "links_schema",
    "outcomes_schema",
    "patches_schema",
    "replayed_schema",
    "rows_schema",
]

_LEAVES: dict[type[DataType], pa.DataType] = {
    StringType: pa.string(),
    BooleanType: pa.bool_(),
    ByteType: pa.int8(),
    ShortType: pa.int16(),
    IntegerType: pa.int32(),
    LongType: pa.int64(),
    DoubleType: pa.float64(),
}
_TEXTS = ArrayType(StringType())


def _struct(**columns: DataType) -> StructType:
    return StructType([StructField(name, kind) for name, kind in columns.items()])


CONTACT_METADATA = _struct(
    id=StringType(),
    version=LongType(),
    created_at=TimestampType(),
    updated_at=TimestampType(),
    aliases=MapType(StringType(), _TEXTS),
    clocks=MapType(StringType(), StringType()),
    merged_ids=_TEXTS,
    deleted_at=TimestampType(),
)
"""The columns of a contact except place, scope and fields."""

_OUTCOME = _struct(
    result=StringType(),
    id=StringType(),
    matched_by=StringType(),
    withheld=ArrayType(
        _struct(
            field=StringType(),
            value=StringType(),
            holder=StringType(),
            key=StringType(),
        )
    ),
    ignored=MapType(StringType(), StringType()),
    also_matched=_TEXTS,
    merged=_TEXTS,
    error=_struct(type=StringType(), message=StringType()),
)


def patches_schema(fields: StructType) -> StructType:
    """
    Return the schema of a log of patches.

    Args:
        fields: A column for each field; a null in it is an omitted field.

    >>> fields = StructType([StructField("email", StringType())])
    >>> patches_schema(fields).names
    ['sequence', 'at', 'scope', 'patch', 'nulls']
    """
    return _struct(
        sequence=LongType(),
        at=TimestampType(),
        scope=StringType(),
        patch=fields,
        nulls=_TEXTS,
    )


def contacts_schema(fields: StructType) -> StructType:
    """
    Return the schema of contacts, for input and output.

    Args:
        fields: As in :func:`patches_schema`.

    >>> contacts_schema(StructType([])).names[:4]
    ['place', 'id', 'scope', 'version']
    """
    parts = {column.name: column.dataType for column in CONTACT_METADATA}
    first = {"place": LongType(), "id": parts.pop("id"), "scope": StringType()}
    times = {n: parts.pop(n) for n in ("version", "created_at", "updated_at")}
    return _struct(**first, **times, fields=fields, **parts)


def outcomes_schema() -> StructType:
    """
    Return the schema of outcomes.

    >>> outcomes_schema().names[:3]
    ['sequence', 'component', 'result']
    """
    parts = {column.name: column.dataType for column in _OUTCOME}
    return _struct(sequence=LongType(), component=LongType(), **parts)


def rows_schema(fields: StructType) -> StructType:
    """
    Return the schema of the rows of a replay: patches, and contacts with ``stored``.

    ``stored`` is :data:`CONTACT_METADATA` as JSON, with times as microseconds since
    1970. For patches it is null; a null struct of maps would cost Spark more than the
    patch.
    """
    return _struct(
        component=LongType(),
        sequence=LongType(),
        at=TimestampType(),
        scope=StringType(),
        values=fields,
        nulls=_TEXTS,
        stored=StringType(),
    )


def links_schema() -> StructType:
    """Return the schema of links; ``node`` is the sequence of a row."""
    return _struct(node=LongType(), known=BooleanType(), links=_TEXTS)


def labels_schema() -> StructType:
    """Return the schema of components, identified by their least sequence."""
    return _struct(node=LongType(), component=LongType())


def replayed_schema(fields: StructType) -> StructType:
    """Return the schema of the results of a replay: contacts, outcomes and links."""
    parts = {column.name: column.dataType for column in CONTACT_METADATA}
    return _struct(
        kind=ByteType(),
        component=LongType(),
        sequence=LongType(),
        contact=_struct(scope=StringType(), fields=fields, **parts),
        outcome=_OUTCOME,
        link=StringType(),
    )


def arrow_schema(schema: StructType) -> pa.Schema:
    """
    Return the Arrow schema of a schema of this module.

    >>> arrow_schema(labels_schema()).names
    ['node', 'component']
    """
    return pa.schema(list(arrow_type(schema, "")))


def arrow_type(kind: DataType, name: str) -> pa.DataType:
    """
    Return the Arrow type of a column.

    Args:
        kind: The declared type.
        name: The name of the column, for errors.

    Raises:
        InvalidColumn: If a contact cannot hold values of the type.

    >>> arrow_type(ArrayType(LongType()), "sizes")
    ListType(list<item: int64>)
    """
    leaf = _LEAVES.get(type(kind))
    if leaf is not None:
        return leaf
    if isinstance(kind, TimestampType):
        return pa.timestamp("us", tz="UTC")
    if isinstance(kind, ArrayType):
        return pa.list_(arrow_type(kind.elementType, f"{name}[]"))
    if isinstance(kind, MapType):
        if not isinstance(kind.keyType, StringType):
            key_type = kind.keyType.simpleString()
            raise InvalidColumn(name, f"map keys must be string, not {key_type}")
        return pa.map_(pa.string(), arrow_type(kind.valueType, f"{name}[]"))
    if isinstance(kind, StructType):
        return pa.struct(
            [
                (column.name, arrow_type(column.dataType, f"{name}.{column.name}"))
                for column in kind
            ]
        )
    raise InvalidColumn(name, f"{kind.simpleString()} {_UNSUPPORTED}")


_UNSUPPORTED = (
    "is not supported; cast it to text, a number, a boolean, an array, a map or a "
    "struct"
)


def check_fields(column: str, fields: DataType) -> StructType:
    """
    Check that a column is a struct of supported fields.

    Args:
        column: The name of the column.
        fields: The declared type.

    Raises:
        InvalidColumn: If it is not a struct, or has an unsupported field.

    >>> check_fields("patch", LongType())
    Traceback (most recent call last):
    ...
    upsertcore.spark.errors.InvalidColumn: patch: must be a struct, not bigint
    """
    if not isinstance(fields, StructType):
        raise InvalidColumn(column, f"must be a struct, not {fields.simpleString()}")
    _check_values(column, fields)
    return fields


def _check_values(name: str, kind: DataType) -> None:
    """Check that names are unique and types are supported."""
    if isinstance(kind, TimestampType):
        raise InvalidColumn(name, f"timestamp {_UNSUPPORTED}")
    if isinstance(kind, StructType):
        if not kind.names:
            raise InvalidColumn(name, "must have a field")
        for part_name, count in Counter(kind.names).items():
            if count > 1:
                raise InvalidColumn(f"{name}.{part_name}", "must be unique")
        for part in kind:
            _check_values(f"{name}.{part.name}", part.dataType)
    elif isinstance(kind, ArrayType):
        _check_values(f"{name}[]", kind.elementType)
    elif isinstance(kind, MapType):
        _check_values(f"{name}[]", kind.valueType)
        arrow_type(kind, name)
    else:
        arrow_type(kind, name)


def check_columns(
    schema: StructType, declared: StructType, *, optional: Iterable[str] = ()
) -> None:
    """
    Check that a frame has exactly the declared columns, in any order.

    Args:
        schema: The schema of the frame.
        declared: The declared schema.
        optional: Names of optional columns.

    Raises:
        InvalidColumn: If a column is missing, unknown or of another type.

    >>> check_columns(labels_schema(), labels_schema())
    """
    expected = {column.name: column.dataType for column in declared}
    kinds = {column.name: column.dataType for column in schema}
    for name in schema.names:
        if name not in expected:
            known_names = ", ".join(expected)
            raise InvalidColumn(name, f"unknown column; the columns are {known_names}")
    for name, kind in expected.items():
        if name not in kinds:
            if name not in optional:
                raise InvalidColumn(
                    name, f"is missing; add it as {kind.simpleString()}"
                )
        elif _type_text(kinds[name]) != _type_text(kind):
            actual = kinds[name].simpleString()
            raise InvalidColumn(name, f"must be {kind.simpleString()}, not {actual}")


def _type_text(kind: DataType) -> str:
    """Return the text of a type without its nullability, which does not matter here."""
    return str(kind.simpleString())
