"""Schemas, and values through Arrow; no Spark session is started."""

from __future__ import annotations

import importlib
import json
import pickle
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pyarrow as pa
import pytest
from pyspark import cloudpickle
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

import upsertcore.spark
from tests.field_options import blocking
from tests.spark.sequential import contact_row, rows_of, sequential
from upsertcore import (
    Contact,
    Outcome,
    Policy,
    Withheld,
    field,
    first_match,
    key,
    normalize,
    profiles,
)
from upsertcore.errors import NoMatchKey, Refused
from upsertcore.replay import (
    ComputedForms,
    Event,
    KnownContact,
    Linking,
    Replayed,
    SentPatch,
    StoredContact,
    components,
)
from upsertcore.spark import (
    InvalidColumn,
    LargeComponent,
    UnfitValue,
    contacts_schema,
    outcomes_schema,
    patches_schema,
    patches_table,
)
from upsertcore.spark.from_arrow import read_rows, values
from upsertcore.spark.job import link_worker, replay_partition, replay_worker
from upsertcore.spark.schemas import (
    CONTACT_METADATA,
    arrow_schema,
    check_columns,
    check_fields,
    replayed_schema,
    rows_schema,
)
from upsertcore.spark.to_arrow import to_array, write_batches
from upsertcore.values import FrozenMap, freeze, thaw

pytestmark = pytest.mark.full

NOW = datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
TEXT = StringType()


def struct(**kinds: DataType) -> StructType:
    return StructType([StructField(name, kind) for name, kind in kinds.items()])


ALL_TYPES = struct(
    text=TEXT,
    flag=BooleanType(),
    tiny=ByteType(),
    small=ShortType(),
    whole=IntegerType(),
    long=LongType(),
    number=DoubleType(),
    list=ArrayType(TEXT),
    map=MapType(TEXT, LongType()),
    struct=struct(a=TEXT, b=struct(c=LongType())),
    structs=ArrayType(struct(a=TEXT, b=ArrayType(LongType()))),
    deep=MapType(TEXT, ArrayType(MapType(TEXT, struct(a=DoubleType())))),
)
VALUES: dict[str, list[Any]] = {
    "text": ["", "Zoë 美咲", "a"],
    "flag": [True, False],
    "tiny": [-128, 127],
    "small": [-32_768],
    "whole": [2**31 - 1],
    "long": [-(2**63), 2**63 - 1],
    "number": [0.1, -1e300],
    "list": [[], ["a", None, ""]],
    "map": [{}, {"a": None, "": 1}],
    "struct": [{}, {"a": ""}, {"b": {}}, {"a": "x", "b": {"c": 3}}],
    "structs": [[], [None, {}, {"b": []}], [{"a": "x", "b": [1, None]}]],
    "deep": [{"x": None}, {"x": [None, {"y": None, "z": {}}, {"z": {"a": 1.5}}]}],
}


def patches_batch(
    log: Iterable[SentPatch], fields: StructType, stored: Any = None
) -> pa.RecordBatch:
    """Make a batch of patches as a worker receives it."""
    rows = [*log]
    table = patches_table(rows, fields)
    columns = {
        "component": [row.component for row in rows],
        "stored": [None] * len(rows) if stored is None else stored,
    }
    names = {"values": "patch"}
    return pa.RecordBatch.from_arrays(
        [
            pa.array(columns[row.name], row.type)
            if row.name in columns
            else table.column(names.get(row.name, row.name)).combine_chunks()
            for row in arrow_schema(rows_schema(fields))
        ],
        schema=arrow_schema(rows_schema(fields)),
    )


def values_of(number: int) -> dict[str, Any]:
    """Return the value with this number of each field that has so many."""
    return {
        name: examples[number]
        for name, examples in VALUES.items()
        if number < len(examples)
    }


def test_patches_through_arrow_are_equal() -> None:
    """Values of each type, null fields and omitted ones."""
    patches = [*map(values_of, range(4)), {}, {"text": None, "struct": None}]
    log = [SentPatch(n, patch, NOW, "s" * n) for n, patch in enumerate(patches)]

    rows = [*read_rows([patches_batch(log, ALL_TYPES), patches_batch([], ALL_TYPES)])]

    assert log == rows
    read_patches = [row.patch for row in rows if isinstance(row, SentPatch)]
    assert [*map(freeze, patches)] == [*map(freeze, read_patches)]


def test_slice_of_a_batch_is_read() -> None:
    log = [SentPatch(n, values_of(n), NOW) for n in range(4)]

    assert log[2:] == [*read_rows([patches_batch(log, ALL_TYPES).slice(2)])]


def test_contacts_through_arrow_are_equal() -> None:
    """With aliases, clocks of each type, absorbed ids and times."""
    full = Contact(
        "c-1",
        "firm",
        values_of(1),
        7,
        NOW,
        NOW + timedelta(microseconds=1),
        aliases={"email": ["a@x", "b@x"], "phone": ["1"]},
        clocks={"a": 1, "b": 1.5, "c": "2024"},
        merged_ids=["c-2", "c-3"],
        deleted_at=NOW + timedelta(days=1),
    )
    bare = Contact("c-4", "", {"text": ""}, 1, NOW, NOW)
    schema = arrow_schema(replayed_schema(ALL_TYPES))
    [batch] = write_batches(
        [StoredContact(3, 5, full), StoredContact(9, 9, bare)], schema
    )

    contact = batch.column("contact")
    parts = {item.name: contact.field(item.name) for item in contact.type}
    assert [5, 9] == batch.column("sequence").to_pylist()
    assert [3, 9] == batch.column("component").to_pylist()
    history = [_history(row) for row in contact.to_pylist()]
    log = [SentPatch(n, {}, NOW, scope, 3) for n, scope in ((5, "firm"), (9, ""))]
    patches = patches_batch(log, ALL_TYPES, history)
    place = patches.schema.get_field_index("values")
    batch_with_contacts = patches.set_column(
        place, patches.schema.field(place), parts["fields"]
    )
    known = [
        row.contact
        for row in read_rows([batch_with_contacts])
        if isinstance(row, KnownContact)
    ]
    assert [full, bare] == known
    assert thaw(full.clocks) == thaw(known[0].clocks)
    assert [int, float, str] == [type(item) for item in known[0].clocks.values()]


def _history(row: dict[str, Any]) -> str:
    """Return the metadata of a contact as the query does: JSON without nulls."""
    metadata = {}
    for column in CONTACT_METADATA:
        value = row[column.name]
        if isinstance(value, datetime):
            value = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
                microseconds=1
            )
        if isinstance(column.dataType, MapType):
            value = dict(value)
        if value is not None:
            metadata[column.name] = value
    return json.dumps(metadata)


TEXT_FIELDS = struct(email=TEXT, first=TEXT, born=TEXT)


def test_worker_replays_a_component_of_several_batches() -> None:
    """Every kind of event is in the result."""
    policy = Policy(
        first_match("email", "person"),
        {
            "email": field(key=normalize.email),
            "first": field(),
            "born": field(),
        },
        keys={"person": key("first", "born", normalize=normalize.text)},
    )
    patches: list[dict[str, Any]] = [
        {"email": "a@x", "first": "A"},
        {"email": "b@x"},
        {"email": "a@x", "born": "1"},
        {"born": "1"},
    ]
    log = [SentPatch(n, patch, NOW) for n, patch in enumerate(patches)]
    ordered = components(log, policy).rows
    batches = [
        patches_batch([row], TEXT_FIELDS)
        for row in ordered
        if isinstance(row, SentPatch)
    ]

    events = [*replay_worker(policy, str, TEXT_FIELDS, Linking(policy))(iter(batches))]

    table = pa.Table.from_batches(events)
    assert [0, 0, 1, 1, 1, 1, 2] == table.column("kind").to_pylist()
    assert ["1:0:a|1"] == table.column("link").drop_null().to_pylist()
    contacts, outcomes = sequential(log, policy)
    replayed = events[1]
    assert [0, 2, 1, 3] == replayed.column("sequence").to_pylist()
    results = replayed.column("outcome").field("result").to_pylist()
    assert [outcomes[n]["result"] for n in (0, 2, 1, 3)] == results
    schema = arrow_schema(replayed_schema(TEXT_FIELDS))
    assert events[:2] == [
        *replay_partition(batches, policy, schema, ids=str, watch=False)
    ]
    ids = events[0].column("contact").field("id").to_pylist()
    assert [row["id"] for row in contacts.values()] == ids


def test_outcomes_of_a_worker_are_those_of_the_book() -> None:
    """Also of patches without a withheld value, which have no ``Outcome``."""
    policy = Policy(
        first_match("email"),
        {
            name: field(key=normalize.email if name == "email" else None)
            for name in TEXT_FIELDS.names
        },
    )
    patches = [{"email": "a@x"}, {"email": "A@x", "born": "1"}, {"born": "1"}]
    log = [SentPatch(n, patch, NOW) for n, patch in enumerate(patches)]
    batch = patches_batch(
        cast("Iterable[SentPatch]", components(log, policy).rows), TEXT_FIELDS
    )

    batches = [
        *replay_worker(policy, "c-{}".format, TEXT_FIELDS, Linking(policy))(
            iter([batch])
        )
    ]

    contacts, outcomes = sequential(log, policy, ids="c-{}".format)
    stored, replayed = batches
    columns = zip(*map(values, replayed.column("outcome").flatten()), strict=True)
    names = outcomes_schema().names[2:]
    rows = [dict(zip(names, row, strict=True)) for row in columns]
    assert [*outcomes.values()] == [
        row | {"component": component}
        for row, component in zip(rows, (0, 0, 2), strict=True)
    ]
    assert [row["fields"] for row in contacts.values()] == values(
        stored.column("contact").field("fields")
    )


def test_link_worker_returns_the_links_of_each_row() -> None:
    """A stored contact is marked as known."""
    policy = Policy(
        first_match("email"),
        {"email": field(key=normalize.email), "first": field(), "born": field()},
    )
    stored = {"id": "c", "version": 1, "created_at": 0, "updated_at": 0}
    log = [SentPatch(1, {"email": "A@x"}, NOW), SentPatch(2, {"first": "A"}, NOW)]
    batch = patches_batch(log, TEXT_FIELDS, [json.dumps(stored), None])

    [result] = link_worker(policy)(iter([batch.drop_columns("component")]))

    assert {
        1: {"known": True, "links": ["0:0:a@x"]},
        2: {"known": False, "links": []},
    } == rows_of([result])


def test_events_are_written_when_a_batch_is_full() -> None:
    schema = arrow_schema(replayed_schema(TEXT_FIELDS))
    events: list[Event | ComputedForms] = [ComputedForms(n, str(n)) for n in range(5)]
    events.append(Replayed(1, 1, Refused("no")))

    sizes = [batch.num_rows for batch in write_batches(events, schema, size=2)]

    assert [2, 2, 1, 1] == sizes


def test_outcome_rows_have_every_part_of_the_outcome() -> None:
    """A refused one has the error."""
    ada, bob = (Contact(id, "", {"text": id}, 1, NOW, NOW) for id in ("c-1", "c-2"))
    outcome = Outcome(
        "merged",
        ada,
        ada,
        "email",
        (Withheld("map", freeze({"é": [1]}), "c-2"),),
        FrozenMap({"note": "read-only"}),
        ("c-3",),
        (bob,),
    )
    events = [Replayed(1, 2, outcome), Replayed(1, 3, NoMatchKey(("email",)))]
    [batch] = write_batches(events, arrow_schema(replayed_schema(ALL_TYPES)))

    part = batch.column("outcome")
    names = [column.name for column in part.type]
    rows = [
        dict(zip(names, row, strict=True))
        for row in zip(*map(values, part.flatten()), strict=True)
    ]
    empty: dict[str, Any] = {
        "withheld": [],
        "ignored": {},
        "also_matched": [],
        "merged": [],
    }
    message = "patch: has no key to match by; send a usable value for email"
    assert [
        {
            "result": "merged",
            "id": "c-1",
            "matched_by": "email",
            "withheld": [
                {"field": "map", "value": '{"é": [1]}', "holder": "c-2", "key": "map"}
            ],
            "ignored": {"note": "read-only"},
            "also_matched": ["c-3"],
            "merged": ["c-2"],
            "error": None,
        },
        {
            "result": "refused",
            "id": None,
            "matched_by": None,
            **empty,
            "error": {"type": "NoMatchKey", "message": message},
        },
    ] == rows


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("text", 1, "text: 1 does not fit the declared type string"),
        ("flag", 1, "flag: 1 does not fit the declared type bool"),
        ("number", 1, "number: 1 does not fit the declared type double"),
        ("long", 1.0, "long: 1.0 does not fit the declared type int64"),
        ("long", True, "long: True does not fit the declared type int64"),
        ("long", 2**63, "does not fit the declared type int64"),
        ("tiny", 128, "tiny: 128 does not fit the declared type int8"),
        ("list", "a", "list: 'a' does not fit the declared type list"),
        ("list", ["a", 1], "does not fit the declared type list"),
        ("map", ["a"], "does not fit the declared type map"),
        ("map", {"a": "x"}, "does not fit the declared type map"),
        ("struct", [], "does not fit the declared type struct"),
        ("struct", {"z": 1}, "does not fit the declared type struct"),
        ("struct", {"a": None}, "does not fit the declared type struct"),
        ("other", 3, "other: 3 is of a field that the struct does not declare"),
    ],
    ids=str,
)
def test_value_of_another_type_is_refused_with_field_and_sequence(
    name: str, value: Any, message: str
) -> None:
    valid = StoredContact(1, 1, Contact("c-1", "", {"text": "a"}, 1, NOW, NOW))
    invalid = StoredContact(1, 7, Contact("c-7", "", {name: value}, 1, NOW, NOW))
    schema = arrow_schema(replayed_schema(ALL_TYPES))

    with pytest.raises(UnfitValue) as raised:
        [*write_batches([valid, invalid], schema)]

    assert message in str(raised.value)
    assert "(sequence 7)" in str(raised.value)
    assert (name, 7) == (raised.value.field, raised.value.sequence)
    assert value == raised.value.value


def test_patch_of_another_type_is_refused() -> None:
    log = [SentPatch(1, {"email": "a"}, NOW), SentPatch(2, {"email": 2}, NOW)]

    with pytest.raises(UnfitValue, match="email: 2 does not fit"):
        patches_table(log, TEXT_FIELDS)


@pytest.mark.parametrize(
    "kind", [DateType(), DecimalType(), FloatType(), TimestampType()]
)
def test_unsupported_type_is_refused_by_column(kind: DataType) -> None:
    """At any depth."""
    for fields, name in (
        (struct(x=kind), "patch.x"),
        (struct(x=ArrayType(kind)), "patch.x[]"),
        (struct(x=MapType(TEXT, kind)), "patch.x[]"),
        (struct(x=struct(y=kind)), "patch.x.y"),
    ):
        with pytest.raises(InvalidColumn) as raised:
            check_fields("patch", fields)
        assert name == raised.value.column
        assert kind.simpleString() in raised.value.reason


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (TEXT, "patch: must be a struct, not string"),
        (struct(), "patch: must have a field"),
        (struct(a=struct()), "patch.a: must have a field"),
        (struct(a=MapType(LongType(), TEXT)), "map keys must be string, not bigint"),
        (
            StructType([StructField("a", TEXT), StructField("a", TEXT)]),
            "patch.a: must be unique",
        ),
    ],
    ids=["no struct", "empty", "empty inside", "keys", "twice"],
)
def test_invalid_struct_is_refused_by_column(fields: DataType, message: str) -> None:
    """Names are unique, structs have fields, and map keys are text."""
    with pytest.raises(InvalidColumn) as raised:
        check_fields("patch", fields)
    assert message in str(raised.value)


def test_unknown_missing_or_mistyped_column_is_refused() -> None:
    """The order is free, and optional columns may be absent."""
    schema = patches_schema(TEXT_FIELDS)
    optional = ("scope", "nulls")
    types = {column.name: column.dataType for column in schema}
    required = {name: kind for name, kind in types.items() if name not in optional}

    check_columns(struct(**dict(reversed(required.items()))), schema, optional=optional)

    for invalid, message in (
        (types | {"scopes": TEXT}, "scopes: unknown column; the columns are seq"),
        ({"sequence": LongType()}, "at: is missing; add it as timestamp"),
        (types | {"sequence": TEXT}, "sequence: must be bigint, not string"),
    ):
        with pytest.raises(InvalidColumn) as raised:
            check_columns(struct(**invalid), schema, optional=optional)
        assert str(raised.value).startswith(message)


def test_invalid_null_or_metadata_is_refused_by_row() -> None:
    batch = patches_batch([SentPatch(4, {"email": "a"}, NOW)], TEXT_FIELDS)

    def batch_with(**columns: Any) -> pa.RecordBatch:
        changed = batch
        for name, value in columns.items():
            place = batch.schema.get_field_index(name)
            part = batch.schema.field(place)
            changed = changed.set_column(place, part, pa.array([value], part.type))
        return changed

    full = {"id": "c", "version": 1, "created_at": 0, "updated_at": 0}
    for invalid, message in (
        (
            batch_with(sequence=None),
            "sequence: must not be null (greatest other value: none)",
        ),
        (batch_with(at=None), "at: must not be null (sequence 4)"),
        (
            batch_with(nulls=["email"]),
            "nulls: email has a value in patch as well (sequence 4)",
        ),
        (batch_with(stored="{}"), "id: must not be null (place 4)"),
        (
            batch_with(stored=json.dumps(full | {"version": None})),
            "version: must not be null (place 4)",
        ),
        (
            batch_with(stored=json.dumps(full | {"clocks": {"a": "1" * 5000}})),
            "contacts: Exceeds the limit",
        ),
    ):
        with pytest.raises(InvalidColumn) as raised:
            [*read_rows([invalid])]
        assert str(raised.value).startswith(message)


SYSTEMS: dict[str, Any] = profiles.BY_NAME
LAMBDAS = Policy(
    first_match("email"),
    blocking(
        {
            "email": field(
                key=lambda value: value and str(value).lower(),
                clean=lambda value: value.strip(),
            )
        },
        {"email": normalize.PLACEHOLDERS},
    ),
)


@pytest.mark.parametrize(
    "policy",
    [*(system().policy for system in SYSTEMS.values()), LAMBDAS],
    ids=[*SYSTEMS, "lambdas"],
)
def test_pickled_policy_decides_as_the_original(policy: Policy) -> None:
    patches: list[dict[str, Any]] = [
        {"email": " A@x.org", "contact_id": 7},
        {"email": "b@x.org"},
    ]
    names = {*policy.fields} | ({*patches[0]} if policy.extra_fields else set())
    log = [
        SentPatch(n, {name: v for name, v in patch.items() if name in names}, NOW)
        for n, patch in enumerate([*patches, *patches])
    ]

    copied = pickle.loads(cloudpickle.dumps(policy))  # noqa: S301 - made above

    assert sequential(log, policy) == sequential(log, copied)


@pytest.mark.parametrize(
    "error",
    [
        InvalidColumn("at", "is missing"),
        UnfitValue("age", "x", 7, "int64"),
        LargeComponent(7, 5000, (("phone", "firm", "1", 4711),)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_pickled_error_is_equal(error: Exception) -> None:
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here

    assert (str(error), error.args) == (str(copied), copied.args)
    assert error.args


def test_message_of_a_large_component_names_a_scope() -> None:
    """An empty scope is left out."""
    error = LargeComponent(7, 5000, (("phone", "firm", "1", 4711),))

    assert str(error).endswith("most share phone '1' in 'firm' (4711 rows)")


@pytest.mark.parametrize("name", ["pyarrow", "pyspark"])
def test_missing_extra_is_an_error_with_the_command_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)

    message = rf"^{name}: upsertcore.spark needs .* pip install 'upsertcore\[spark\]'$"
    with pytest.raises(ModuleNotFoundError, match=message):
        importlib.reload(upsertcore.spark)


def test_schemas_have_the_columns_of_the_readme() -> None:
    assert [
        *("place", "id", "scope", "version", "created_at", "updated_at", "fields"),
        *("aliases", "clocks", "merged_ids", "deleted_at"),
    ] == contacts_schema(TEXT_FIELDS).names
    assert [
        *("sequence", "component", "result", "id", "matched_by", "withheld"),
        *("ignored", "also_matched", "merged", "error"),
    ] == outcomes_schema().names
    row = contact_row(Contact("c", "", {}, 1, NOW, NOW))
    assert contacts_schema(TEXT_FIELDS).names[1:] == [*row]


def test_arrays_without_values_have_length_zero() -> None:
    """For columns of every type."""
    for column in arrow_schema(replayed_schema(ALL_TYPES)).field("contact").type:
        if column.name == "fields":
            assert [0] * len(ALL_TYPES) == [
                len(to_array((), part.type)) for part in column.type
            ]
