"""
The declared schemas: what the columns are called, and of which type.

Rules:
    Nothing is inferred: the host declares the fields once, as a struct, and each
    schema follows from it.
    A type is taken if its values are values of a contact, with nothing lost.
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
    "STORED",
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


STORED = _struct(
    id=StringType(),
    version=LongType(),
    created_at=TimestampType(),
    updated_at=TimestampType(),
    aliases=MapType(StringType(), _TEXTS),
    clocks=MapType(StringType(), StringType()),
    merged_ids=_TEXTS,
    deleted_at=TimestampType(),
)
"""What a contact has besides its place, its scope and its fields."""

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
    Give the schema of a log of patches.

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
    Give the schema of contacts, as they are taken and as they are answered.

    Args:
        fields: As in :func:`patches_schema`.

    >>> contacts_schema(StructType([])).names[:4]
    ['place', 'id', 'scope', 'version']
    """
    parts = {each.name: each.dataType for each in STORED}
    first = {"place": LongType(), "id": parts.pop("id"), "scope": StringType()}
    times = {n: parts.pop(n) for n in ("version", "created_at", "updated_at")}
    return _struct(**first, **times, fields=fields, **parts)


def outcomes_schema() -> StructType:
    """
    Give the schema of outcomes.

    >>> outcomes_schema().names[:3]
    ['sequence', 'component', 'result']
    """
    parts = {each.name: each.dataType for each in _OUTCOME}
    return _struct(sequence=LongType(), component=LongType(), **parts)


def rows_schema(fields: StructType) -> StructType:
    """
    Give the schema of what is replayed: patches, and contacts with ``stored``.

    That is :data:`STORED` as JSON, its times as microseconds since 1970: for each patch
    it is null, and a null struct of maps costs Spark more than the patch itself.
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
    """Give the schema of what links rows; ``node`` is the sequence of a row."""
    return _struct(node=LongType(), known=BooleanType(), links=_TEXTS)


def labels_schema() -> StructType:
    """Give the schema of components: the least sequence that a node belongs to."""
    return _struct(node=LongType(), component=LongType())


def replayed_schema(fields: StructType) -> StructType:
    """Give the schema of what a replay yields: contacts, outcomes and links in one."""
    parts = {each.name: each.dataType for each in STORED}
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
    Give the Arrow schema of one that this module made.

    >>> arrow_schema(labels_schema()).names
    ['node', 'component']
    """
    return pa.schema(list(arrow_type(schema, "")))


def arrow_type(kind: DataType, name: str) -> pa.DataType:
    """
    Give the Arrow type of a column.

    Args:
        kind: Its declared type.
        name: Told where it is none that a value of a contact has.

    Raises:
        InvalidColumn: If it is none.

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
            told = kind.keyType.simpleString()
            raise InvalidColumn(name, f"the keys of a map are string, not {told}")
        return pa.map_(pa.string(), arrow_type(kind.valueType, f"{name}[]"))
    if isinstance(kind, StructType):
        return pa.struct(
            [
                (each.name, arrow_type(each.dataType, f"{name}.{each.name}"))
                for each in kind
            ]
        )
    raise InvalidColumn(name, f"{kind.simpleString()} {_NO_VALUE}")


_NO_VALUE = (
    "is no type of a contact's values, which are text, numbers, booleans, "
    "arrays, maps and structs; cast it to one of them"
)


def check_fields(column: str, fields: DataType) -> StructType:
    """
    See that a struct of fields is one that patches and contacts can have.

    Args:
        column: Its name.
        fields: Its declared type.

    Raises:
        InvalidColumn: If it is no struct, or a field in it cannot be taken.

    >>> check_fields("patch", LongType())
    Traceback (most recent call last):
    ...
    upsertcore.spark.errors.InvalidColumn: patch: must be a struct, not bigint
    """
    if not isinstance(fields, StructType):
        told = fields.simpleString()
        raise InvalidColumn(column, f"must be a struct, not {told}")
    _check_values(column, fields)
    return fields


def _check_values(name: str, kind: DataType) -> None:
    """See that no name stands twice, and that no type but those of values is in it."""
    if isinstance(kind, TimestampType):
        raise InvalidColumn(name, f"timestamp {_NO_VALUE}")
    if isinstance(kind, StructType):
        if not kind.names:
            raise InvalidColumn(name, "must have a field")
        for each, count in Counter(kind.names).items():
            if count > 1:
                raise InvalidColumn(f"{name}.{each}", "stands there twice")
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
    See that a frame has the columns that are declared, in any order, and no others.

    Args:
        schema: The frame's.
        declared: What it must be.
        optional: Names of columns that it may lack.

    Raises:
        InvalidColumn: If it has not.

    >>> check_columns(labels_schema(), labels_schema())
    """
    wanted = {each.name: each.dataType for each in declared}
    kinds = {each.name: each.dataType for each in schema}
    for name in schema.names:
        if name not in wanted:
            have = ", ".join(wanted)
            raise InvalidColumn(name, f"is none of the columns, which are {have}")
    for name, kind in wanted.items():
        if name not in kinds:
            if name not in optional:
                raise InvalidColumn(name, f"is missing; it is {kind.simpleString()}")
        elif _bare(kinds[name]) != _bare(kind):
            told = kinds[name].simpleString()
            raise InvalidColumn(name, f"must be {kind.simpleString()}, not {told}")


def _bare(kind: DataType) -> str:
    """Give a type without its notes on what may be null, which nothing here needs."""
    return str(kind.simpleString())
