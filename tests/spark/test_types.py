"""What is declared, and what comes through Arrow as it was; no Spark is started."""

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


EVERY = struct(
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


def sent_batch(
    log: Iterable[SentPatch], fields: StructType, stored: Any = None
) -> pa.RecordBatch:
    """Lay patches as a worker gets them."""
    listed = [*log]
    table = patches_table(listed, fields)
    columns = {
        "component": [each.component for each in listed],
        "stored": [None] * len(listed) if stored is None else stored,
    }
    names = {"values": "patch"}
    return pa.RecordBatch.from_arrays(
        [
            pa.array(columns[each.name], each.type)
            if each.name in columns
            else table.column(names.get(each.name, each.name)).combine_chunks()
            for each in arrow_schema(rows_schema(fields))
        ],
        schema=arrow_schema(rows_schema(fields)),
    )


def values_of(number: int) -> dict[str, Any]:
    """Take the values of that number of each field, where it has so many."""
    return {n: each[number] for n, each in VALUES.items() if number < len(each)}


def test_patches_are_read_as_they_were_written() -> None:
    """Each type of value, null fields and omitted ones, come through Arrow."""
    patches = [*map(values_of, range(4)), {}, {"text": None, "struct": None}]
    log = [SentPatch(n, patch, NOW, "s" * n) for n, patch in enumerate(patches)]

    found = [*read_rows([sent_batch(log, EVERY), sent_batch([], EVERY)])]

    assert log == found
    sent = [each.patch for each in found if isinstance(each, SentPatch)]
    assert [*map(freeze, patches)] == [*map(freeze, sent)]


def test_sliced_batches_are_read_as_they_are() -> None:
    """A batch may be a slice of a larger one."""
    log = [SentPatch(n, values_of(n), NOW) for n in range(4)]

    assert log[2:] == [*read_rows([sent_batch(log, EVERY).slice(2)])]


def test_contacts_come_through_with_all_that_they_have() -> None:
    """Aliases, clocks of each type, absorbed ids and times are as they were."""
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
    schema = arrow_schema(replayed_schema(EVERY))
    [batch] = write_batches(
        [StoredContact(3, 5, full), StoredContact(9, 9, bare)], schema
    )

    contact = batch.column("contact")
    parts = {each.name: contact.field(each.name) for each in contact.type}
    assert [5, 9] == batch.column("sequence").to_pylist()
    assert [3, 9] == batch.column("component").to_pylist()
    history = [_history(row) for row in contact.to_pylist()]
    log = [SentPatch(n, {}, NOW, scope, 3) for n, scope in ((5, "firm"), (9, ""))]
    read = sent_batch(log, EVERY, history)
    place = read.schema.get_field_index("values")
    both = read.set_column(place, read.schema.field(place), parts["fields"])
    known = [row.contact for row in read_rows([both]) if isinstance(row, KnownContact)]
    assert [full, bare] == known
    assert thaw(full.clocks) == thaw(known[0].clocks)
    assert [int, float, str] == [type(each) for each in known[0].clocks.values()]


def _history(row: dict[str, Any]) -> str:
    """Write the rest of a contact as the query does: JSON, nulls left out."""
    told = {}
    for each in CONTACT_METADATA:
        value = row[each.name]
        if isinstance(value, datetime):
            value = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
                microseconds=1
            )
        if isinstance(each.dataType, MapType):
            value = dict(value)
        if value is not None:
            told[each.name] = value
    return json.dumps(told)


TEXTS = struct(email=TEXT, first=TEXT, born=TEXT)


def test_a_worker_replays_across_batches() -> None:
    """A component goes on in the next batch; each kind of event is told."""
    policy = Policy(
        first_match("email", "person"),
        {
            "email": field(key=normalize.email),
            "first": field(),
            "born": field(),
        },
        keys={"person": key("first", "born", normalize=normalize.text)},
    )
    sent: list[dict[str, Any]] = [
        {"email": "a@x", "first": "A"},
        {"email": "b@x"},
        {"email": "a@x", "born": "1"},
        {"born": "1"},
    ]
    log = [SentPatch(n, patch, NOW) for n, patch in enumerate(sent)]
    ordered = components(log, policy).rows
    cut = [sent_batch([each], TEXTS) for each in ordered if isinstance(each, SentPatch)]

    found = [*replay_worker(policy, str, TEXTS, Linking(policy))(iter(cut))]

    table = pa.Table.from_batches(found)
    assert [0, 0, 1, 1, 1, 1, 2] == table.column("kind").to_pylist()
    assert ["1:0:a|1"] == table.column("link").drop_null().to_pylist()
    contacts, outcomes = sequential(log, policy)
    answered = found[1]
    assert [0, 2, 1, 3] == answered.column("sequence").to_pylist()
    results = answered.column("outcome").field("result").to_pylist()
    assert [outcomes[n]["result"] for n in (0, 2, 1, 3)] == results
    schema = arrow_schema(replayed_schema(TEXTS))
    assert found[:2] == [*replay_partition(cut, policy, schema, ids=str, watch=False)]
    ids = found[0].column("contact").field("id").to_pylist()
    assert [row["id"] for row in contacts.values()] == ids


def test_a_worker_answers_as_the_book() -> None:
    """Outcomes in which nothing was withheld are told without being made."""
    policy = Policy(
        first_match("email"),
        {
            name: field(key=normalize.email if name == "email" else None)
            for name in TEXTS.names
        },
    )
    sent = [{"email": "a@x"}, {"email": "A@x", "born": "1"}, {"born": "1"}]
    log = [SentPatch(n, patch, NOW) for n, patch in enumerate(sent)]
    batch = sent_batch(cast("Iterable[SentPatch]", components(log, policy).rows), TEXTS)

    found = [
        *replay_worker(policy, "c-{}".format, TEXTS, Linking(policy))(iter([batch]))
    ]

    contacts, outcomes = sequential(log, policy, ids="c-{}".format)
    stored, answered = found
    told = zip(*map(values, answered.column("outcome").flatten()), strict=True)
    names = outcomes_schema().names[2:]
    rows = [dict(zip(names, row, strict=True)) for row in told]
    assert [*outcomes.values()] == [
        row | {"component": component}
        for row, component in zip(rows, (0, 0, 2), strict=True)
    ]
    assert [row["fields"] for row in contacts.values()] == values(
        stored.column("contact").field("fields")
    )


def test_links_are_told_for_each_row() -> None:
    """A row's links are texts; a contact is told from a patch."""
    policy = Policy(
        first_match("email"),
        {"email": field(key=normalize.email), "first": field(), "born": field()},
    )
    stored = {"id": "c", "version": 1, "created_at": 0, "updated_at": 0}
    log = [SentPatch(1, {"email": "A@x"}, NOW), SentPatch(2, {"first": "A"}, NOW)]
    batch = sent_batch(log, TEXTS, [json.dumps(stored), None])

    [found] = link_worker(policy)(iter([batch.drop_columns("component")]))

    assert {
        1: {"known": True, "links": ["0:0:a@x"]},
        2: {"known": False, "links": []},
    } == rows_of([found])


def test_batches_are_full() -> None:
    """Events are written as soon as there are enough of their kind."""
    schema = arrow_schema(replayed_schema(TEXTS))
    events: list[Event | ComputedForms] = [ComputedForms(n, str(n)) for n in range(5)]
    events.append(Replayed(1, 1, Refused("no")))

    found = [batch.num_rows for batch in write_batches(events, schema, size=2)]

    assert [2, 2, 1, 1] == found


def test_outcomes_are_told_with_all_that_they_say() -> None:
    """What was withheld, ignored, hit and absorbed is there, and why it was refused."""
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
    [batch] = write_batches(events, arrow_schema(replayed_schema(EVERY)))

    part = batch.column("outcome")
    names = [each.name for each in part.type]
    told = [
        dict(zip(names, row, strict=True))
        for row in zip(*map(values, part.flatten()), strict=True)
    ]
    none: dict[str, Any] = {
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
            **none,
            "error": {"type": "NoMatchKey", "message": message},
        },
    ] == told


@pytest.mark.parametrize(
    ("name", "value", "told"),
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
def test_what_its_type_would_change_is_refused(
    name: str, value: Any, told: str
) -> None:
    """The error names the field, shows the value, and tells the sequence."""
    fits = StoredContact(1, 1, Contact("c-1", "", {"text": "a"}, 1, NOW, NOW))
    not_fit = StoredContact(1, 7, Contact("c-7", "", {name: value}, 1, NOW, NOW))
    schema = arrow_schema(replayed_schema(EVERY))

    with pytest.raises(UnfitValue) as refused:
        [*write_batches([fits, not_fit], schema)]

    assert told in str(refused.value)
    assert "(sequence 7)" in str(refused.value)
    assert (name, 7) == (refused.value.field, refused.value.sequence)
    assert value == refused.value.value


def test_a_patch_that_is_not_as_declared_is_refused() -> None:
    """A table of patches is as strict as one of contacts."""
    log = [SentPatch(1, {"email": "a"}, NOW), SentPatch(2, {"email": 2}, NOW)]

    with pytest.raises(UnfitValue, match="email: 2 does not fit"):
        patches_table(log, TEXTS)


@pytest.mark.parametrize(
    "kind", [DateType(), DecimalType(), FloatType(), TimestampType()]
)
def test_a_type_without_values_is_refused(kind: DataType) -> None:
    """The error names the column, however deep it stands."""
    for fields, name in (
        (struct(x=kind), "patch.x"),
        (struct(x=ArrayType(kind)), "patch.x[]"),
        (struct(x=MapType(TEXT, kind)), "patch.x[]"),
        (struct(x=struct(y=kind)), "patch.x.y"),
    ):
        with pytest.raises(InvalidColumn) as refused:
            check_fields("patch", fields)
        assert name == refused.value.column
        assert kind.simpleString() in refused.value.reason


@pytest.mark.parametrize(
    ("fields", "told"),
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
def test_a_struct_that_cannot_be_taken(fields: DataType, told: str) -> None:
    """Each name stands once, in a struct that has names, and maps are of text."""
    with pytest.raises(InvalidColumn) as refused:
        check_fields("patch", fields)
    assert told in str(refused.value)


def test_columns_are_those_that_are_declared() -> None:
    """One too many, one missing, and one of another type are named."""
    schema = patches_schema(TEXTS)
    optional = ("scope", "nulls")
    parts = {each.name: each.dataType for each in schema}
    less = {name: kind for name, kind in parts.items() if name not in optional}

    check_columns(struct(**dict(reversed(less.items()))), schema, optional=optional)

    for wrong, told in (
        (parts | {"scopes": TEXT}, "scopes: unknown column; the columns are seq"),
        ({"sequence": LongType()}, "at: is missing; add it as timestamp"),
        (parts | {"sequence": TEXT}, "sequence: must be bigint, not string"),
    ):
        with pytest.raises(InvalidColumn) as refused:
            check_columns(struct(**wrong), schema, optional=optional)
        assert str(refused.value).startswith(told)


def test_nulls_where_there_must_be_none() -> None:
    """A row without number, time, id or version is named."""
    batch = sent_batch([SentPatch(4, {"email": "a"}, NOW)], TEXTS)

    def but(**columns: Any) -> pa.RecordBatch:
        changed = batch
        for name, value in columns.items():
            place = batch.schema.get_field_index(name)
            part = batch.schema.field(place)
            changed = changed.set_column(place, part, pa.array([value], part.type))
        return changed

    full = {"id": "c", "version": 1, "created_at": 0, "updated_at": 0}
    for wrong, told in (
        (but(sequence=None), "sequence: must not be null (greatest other value: none)"),
        (but(at=None), "at: must not be null (sequence 4)"),
        (
            but(nulls=["email"]),
            "nulls: email has a value in patch as well (sequence 4)",
        ),
        (but(stored="{}"), "id: must not be null (place 4)"),
        (
            but(stored=json.dumps(full | {"version": None})),
            "version: must not be null (place 4)",
        ),
        (
            but(stored=json.dumps(full | {"clocks": {"a": "1" * 5000}})),
            "contacts: Exceeds the limit",
        ),
    ):
        with pytest.raises(InvalidColumn) as refused:
            [*read_rows([wrong])]
        assert str(refused.value).startswith(told)


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
def test_a_policy_travels(policy: Policy) -> None:
    """A policy that was sent to a worker decides as the one that stayed."""
    sent: list[dict[str, Any]] = [
        {"email": " A@x.org", "contact_id": 7},
        {"email": "b@x.org"},
    ]
    fits = {*policy.fields} | ({*sent[0]} if policy.extra_fields else set())
    log = [
        SentPatch(n, {name: v for name, v in each.items() if name in fits}, NOW)
        for n, each in enumerate([*sent, *sent])
    ]

    there = pickle.loads(cloudpickle.dumps(policy))  # noqa: S301 - made above

    assert sequential(log, policy) == sequential(log, there)


@pytest.mark.parametrize(
    "error",
    [
        InvalidColumn("at", "is missing"),
        UnfitValue("age", "x", 7, "int64"),
        LargeComponent(7, 5000, (("phone", "firm", "1", 4711),)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel(error: Exception) -> None:
    """An error of a worker is the same one where it arrives."""
    there = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here

    assert (str(error), error.args) == (str(there), there.args)
    assert error.args


def test_a_scope_is_told_with_what_is_shared() -> None:
    """A form is of a scope; the empty one is not told."""
    error = LargeComponent(7, 5000, (("phone", "firm", "1", 4711),))

    assert str(error).endswith("most share phone '1' in 'firm' (4711 rows)")


@pytest.mark.parametrize("name", ["pyarrow", "pyspark"])
def test_without_the_extra_it_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A missing package gives the command that installs it."""
    monkeypatch.setitem(sys.modules, name, None)

    told = rf"^{name}: upsertcore.spark needs .* pip install 'upsertcore\[spark\]'$"
    with pytest.raises(ModuleNotFoundError, match=told):
        importlib.reload(upsertcore.spark)


def test_schemas_are_told_in_one_place() -> None:
    """The names of the columns are those of the README."""
    assert [
        *("place", "id", "scope", "version", "created_at", "updated_at", "fields"),
        *("aliases", "clocks", "merged_ids", "deleted_at"),
    ] == contacts_schema(TEXTS).names
    assert [
        *("sequence", "component", "result", "id", "matched_by", "withheld"),
        *("ignored", "also_matched", "merged", "error"),
    ] == outcomes_schema().names
    whole = contact_row(Contact("c", "", {}, 1, NOW, NOW))
    assert contacts_schema(TEXTS).names[1:] == [*whole]


def test_columns_of_nothing() -> None:
    """Where there are no values, a column of any type is empty."""
    for each in arrow_schema(replayed_schema(EVERY)).field("contact").type:
        if each.name == "fields":
            assert [0] * len(EVERY) == [
                len(to_array((), part.type)) for part in each.type
            ]
