"""A Spark job has the contacts and outcomes of one book, for any log."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own manual has it
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DoubleType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
)

from benchmarks.engines.ours import policy_for
from benchmarks.workloads import Case, patches, preload
from tests.spark.sequential import collected_rows, sequential
from upsertcore import Policy, field, first_match, key, merge_all, normalize
from upsertcore.replay import SentPatch
from upsertcore.rules import latest, replace, union
from upsertcore.spark import (
    InvalidColumn,
    LargeComponent,
    contacts_schema,
    outcomes_schema,
    patches_schema,
    patches_table,
    upsert,
)

pytestmark = pytest.mark.full

START = datetime(2024, 1, 2, tzinfo=UTC)
TEXT = StringType()
TEXTS = ArrayType(TEXT)


def struct(**kinds: DataType) -> StructType:
    return StructType([StructField(name, kind) for name, kind in kinds.items()])


def texts(*names: str) -> StructType:
    return struct(**dict.fromkeys(names, TEXT))


def log_of(patches: Any, *, first: int = 0) -> list[SentPatch]:
    """Make a log of scopes and patches, a minute apart."""
    return [
        SentPatch(number, patch, START + timedelta(minutes=number), scope)
        for number, (scope, patch) in enumerate(patches, first)
    ]


def frame_of(spark: Any, log: list[SentPatch], fields: StructType) -> Any:
    """Make a frame of a log; it is in the cluster's memory, not in the plan."""
    table = patches_table(log, fields)
    return spark.createDataFrame(table, patches_schema(fields)).localCheckpoint()


def declared(kind: str, names: tuple[str, ...]) -> StructType:
    """Return the declared fields of a workload."""
    if kind == "SalesforceIQ":
        value = struct(value=TEXT, metadata=MapType(TEXT, TEXT))
        return struct(**dict.fromkeys(names, ArrayType(value)))
    kinds: dict[str, DataType] = dict.fromkeys(names, TEXT)
    if "tags" in kinds:
        kinds["tags"] = TEXTS
    if "contact_id" in kinds:
        kinds["contact_id"] = LongType()
    return struct(**kinds)


def patches_of(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the preload and the patches of a case, in a scope of its own."""
    scope = case.shape if case.kind == "plain" else ""
    return ((scope, patch) for patch in chain(preload(case), patches(case)))


SHAPES = ("mixed", "create", "update", "unchanged", "clash", "hot", "lists")


def test_job_over_all_shapes_agrees_with_one_book(spark: Any) -> None:
    """A log of all workloads of the plain policy."""
    cases = [Case(shape, 10_000) for shape in SHAPES]
    names = (*Case("mixed", 0).names, "tags")
    options = {name: field() for name in names}
    options["email"] = field(key=normalize.email, unique=True)
    options["phone"] = field(key=normalize.phone, unique=True)
    policy = Policy(first_match("email", "phone"), options, on_key_in_use="withhold")
    log = log_of(chain.from_iterable(map(patches_of, cases)))
    fields = declared("plain", names)

    job = upsert(None, frame_of(spark, log, fields), policy)
    contacts, outcomes = job

    assert 100_000 == len(log)
    assert sequential(log, policy) == (
        collected_rows(contacts),
        collected_rows(outcomes),
    )
    assert contacts_schema(fields) == contacts.schema
    assert outcomes_schema() == outcomes.schema
    job.release()


@pytest.mark.parametrize(
    "kind", ["SalesforceIQ", "LeadConnector", "SegMetrics", "Anduin"]
)
def test_job_under_the_policy_of_a_profile_agrees_with_one_book(
    spark: Any, kind: str
) -> None:
    case = Case("mixed", 12_500, kind=kind)
    policy, log = policy_for(case), log_of(patches_of(case))

    job = upsert(None, frame_of(spark, log, declared(kind, case.names)), policy)

    assert sequential(log, policy) == (
        collected_rows(job.contacts),
        collected_rows(job.outcomes),
    )
    job.release()


def random_patches(
    seed: int, size: int, people: int
) -> list[tuple[str, dict[str, Any]]]:
    """Return patches about few people, who share addresses and telephones."""
    rng = Random(seed)
    patches = []
    for number in range(size):
        patch: dict[str, Any] = {"note": f"n{number}", "at": rng.randrange(9)}
        if rng.random() < 0.8:
            patch["email"] = [f"{rng.randrange(people)}@x.org"]
        if rng.random() < 0.4:
            patch["phone"] = f"+1203{rng.randrange(people):07d}"
        if rng.random() < 0.2:
            patch["tags"] = None
        elif rng.random() < 0.5:
            patch["tags"] = {f"t{rng.randrange(3)}": [None, "x"]}
        patches.append((rng.choice(["", "firm"]), patch))
    return patches


MERGING_FIELDS = struct(
    email=TEXTS, phone=TEXT, note=TEXT, tags=MapType(TEXT, TEXTS), at=LongType()
)


def merging_policy() -> Policy:
    """Make a policy with merges, aliases and clocks."""
    return Policy(
        merge_all("email", "phone"),
        {
            "email": field(key=normalize.email, rule=union, keep_aliases=True),
            "phone": field(key=normalize.phone, unique=True, keep_aliases=True),
            "note": field(rule=latest(by="at")),
            "at": field(),
            "tags": field(),
        },
    )


def test_two_jobs_in_sequence_agree_with_one_book(spark: Any) -> None:
    """With merges, aliases, clocks and refusals."""
    policy, log = merging_policy(), log_of(random_patches(7, 3_000, 1_500))
    ids = "c-{}".format
    contacts, outcomes = sequential(log, policy, ids=ids)

    first = upsert(None, frame_of(spark, log[:1_500], MERGING_FIELDS), policy, ids=ids)
    rest = frame_of(spark, log[1_500:], MERGING_FIELDS)
    second = upsert(first.contacts, rest, policy, ids=ids, partitions=2)

    assert contacts == collected_rows(second.contacts)
    job_outcomes = {**collected_rows(first.outcomes), **collected_rows(second.outcomes)}
    # A component has the name of its first row, which may be a contact.
    assert _without_component(outcomes) == _without_component(job_outcomes)
    results = {row["result"] for row in job_outcomes.values()}
    assert {"created", "updated", "merged", "refused"} <= results
    assert any(row["aliases"] for row in contacts.values())
    assert any(row["clocks"] for row in contacts.values())
    assert any(row["merged_ids"] for row in contacts.values())
    first.release()
    second.release()


def _without_component(rows: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {n: row | {"component": None} for n, row in rows.items()}


PERSON_FIELDS = texts("id", "first", "born", "note")


def person_policy() -> Policy:
    """Make a policy with a key whose parts may be in different patches."""
    options = {name: field() for name in PERSON_FIELDS.names}
    options["id"] = field(key=normalize.exact)
    return Policy(
        first_match("person", "id"),
        options,
        keys={"person": key("first", "born", normalize=normalize.text)},
        on_ambiguous="oldest",
    )


def partial_patches(seed: int, size: int) -> list[tuple[str, dict[str, Any]]]:
    """Return random patches with a name, a birthday, or both."""
    rng = Random(seed)
    patches = []
    for number in range(size):
        patch = {"id": f"i{rng.randrange(size // 2)}", "note": f"n{number}"}
        if rng.random() < 0.5:
            patch["first"] = f"f{rng.randrange(size // 8)}"
        if rng.random() < 0.5:
            patch["born"] = f"b{rng.randrange(3)}"
        patches.append(("", patch))
    return patches


def test_components_joined_by_a_computed_key_are_replayed_again(
    spark: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The parts of the key are in two patches."""
    policy, log = person_policy(), log_of(partial_patches(3, 200))
    caplog.set_level(logging.INFO, "upsertcore.spark")

    job = upsert(None, frame_of(spark, log, PERSON_FIELDS), policy, driver_limit=199)

    assert sequential(log, policy) == (
        collected_rows(job.contacts),
        collected_rows(job.outcomes),
    )
    assert (
        "200 rows, more than driver_limit=199: computed on the cluster" in caplog.text
    )
    assert "at most driver_limit=199: computed on the driver" in caplog.text
    assert "replay: round 2, " in caplog.text
    assert "replay: finished in round " in caplog.text
    job.release()


HOT_FIELDS = texts("email", "note")


def email_policy() -> Policy:
    options = {"email": field(key=normalize.email), "note": field()}
    return Policy(first_match("email"), options)


def hot_log() -> list[SentPatch]:
    """Make a log of one address thirty times, another twelve times, and others once."""
    counts = [("hot@x.org", 30), ("warm@x.org", 12)]
    counts += [(f"{number}@x.org", 1) for number in range(20)]
    emails = [email for email, times in counts for _ in range(times)]
    Random(1).shuffle(emails)
    return log_of(
        ("", {"email": email, "note": str(n)}) for n, email in enumerate(emails)
    )


def test_large_component_is_logged_and_has_its_own_partition(
    spark: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the key that most of its rows share."""
    from pyspark.sql.functions import spark_partition_id

    log, policy = hot_log(), email_policy()

    job = upsert(None, frame_of(spark, log, HOT_FIELDS), policy, large=10)

    assert sequential(log, policy) == (
        collected_rows(job.contacts),
        collected_rows(job.outcomes),
    )
    partitions = job.outcomes.select("component", spark_partition_id().alias("part"))
    parts: dict[int, set[int]] = {}
    for component, part in partitions.collect():
        parts.setdefault(part, set()).add(component)
    assert [1, 1] == [len(parts[part]) for part in (4, 5)]
    assert 20 == sum(len(members) for part, members in parts.items() if part < 4)
    hot, warm = [record.getMessage() for record in caplog.records]
    assert "has 30 rows; most share email 'hot@x.org' (30 rows), more than" in hot
    assert "has 12 rows; most share email 'warm@x.org' (12 rows), more than" in warm
    job.release()


def test_large_component_under_refuse_is_an_error(spark: Any) -> None:
    """With its size, and the key that most of its rows share."""
    log = hot_log()
    first = min(row.sequence for row in log if row.patch["email"] == "hot@x.org")

    with pytest.raises(LargeComponent) as raised:
        upsert(
            None,
            frame_of(spark, log, HOT_FIELDS),
            email_policy(),
            large=10,
            on_large="refuse",
        )

    assert (first, 30) == (raised.value.component, raised.value.size)
    assert (("email", "", "hot@x.org", 30),) == raised.value.shared


def test_killed_worker_changes_no_row(spark: Any, tmp_path: Path) -> None:
    """The task is repeated, after a kill in either stage."""
    linked, replayed = tmp_path / "linked", tmp_path / "replayed"

    def kill_once(marker: Path) -> None:
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def form(value: Any) -> str | None:
        if value == "7@x.org":
            kill_once(linked)
        return normalize.email(value)

    def ids(sequence: int) -> str:
        if sequence > 15:
            kill_once(replayed)
        return f"c-{sequence}"

    options = {"email": field(key=form), "note": field()}
    policy, patches = (
        Policy(first_match("email"), options),
        frame_of(spark, hot_log(), HOT_FIELDS),
    )

    interrupted = upsert(None, patches, policy, ids=ids)
    rows = collected_rows(interrupted.contacts), collected_rows(interrupted.outcomes)
    assert linked.exists()
    assert replayed.exists()
    undisturbed = upsert(None, patches, policy, ids=ids)

    assert (
        collected_rows(undisturbed.contacts),
        collected_rows(undisturbed.outcomes),
    ) == rows
    assert sequential(hot_log(), email_policy(), ids=ids) == rows
    interrupted.release()
    undisturbed.release()


NESTED = struct(
    id=LongType(),
    home=struct(city=TEXT, at=struct(lat=DoubleType(), lon=DoubleType())),
    phones=ArrayType(struct(value=TEXT, main=BooleanType())),
    custom=MapType(TEXT, MapType(TEXT, ArrayType(LongType()))),
)
VALUES: list[dict[str, Any]] = [
    {"home": {"city": "Oslo", "at": {"lat": 59.9}}},
    {"home": {}, "phones": [], "custom": {}},
    {"phones": [{"value": "1", "main": False}, {}, None]},
    {"custom": {"a": None, "b": {"c": [1, None], "d": None}}},
    {"phones": None, "home": {"at": {}}},
]


def test_nested_values_sent_again_are_unchanged(spark: Any) -> None:
    """Structs, arrays and maps."""
    options = {name: field() for name in NESTED.names}
    policy = Policy(first_match("id"), options | {"id": field(key=normalize.exact)})
    scoped_patches = [("", {"id": n, **value}) for n, value in enumerate(VALUES)]
    log = log_of(scoped_patches)

    first = upsert(None, frame_of(spark, log, NESTED), policy)
    repeated = frame_of(spark, log_of(scoped_patches, first=10), NESTED)
    second = upsert(first.contacts, repeated, policy)

    contacts, outcomes = sequential(log, policy)
    assert (contacts, outcomes) == (
        collected_rows(first.contacts),
        collected_rows(first.outcomes),
    )
    assert contacts == collected_rows(second.contacts)
    results = [row["result"] for row in collected_rows(second.outcomes).values()]
    assert ["unchanged"] * len(VALUES) == results
    first.release()
    second.release()


def test_empty_log_returns_the_known_contacts_and_no_outcome(spark: Any) -> None:
    known = upsert(None, frame_of(spark, hot_log(), HOT_FIELDS), email_policy())
    no_patches = frame_of(spark, [], HOT_FIELDS).drop("scope", "nulls")

    job = upsert(known.contacts, no_patches, email_policy(), driver_limit=0)
    empty = upsert(None, no_patches, email_policy())

    assert collected_rows(known.contacts) == collected_rows(job.contacts)
    assert ({}, {}, {}) == tuple(map(collected_rows, (job.outcomes, *empty)))
    for result in (known, job, empty):
        result.release()


def test_repeated_or_low_sequence_is_refused_before_the_job(spark: Any) -> None:
    """A sequence is unique, and greater than every place."""
    log = hot_log()
    patches = frame_of(spark, log, HOT_FIELDS)
    job = upsert(None, patches, email_policy())

    with pytest.raises(InvalidColumn, match="0 occurs 2 times"):
        upsert(None, patches.union(patches), email_policy())
    with pytest.raises(InvalidColumn, match="sequence: 0 is not greater than"):
        upsert(job.contacts, patches, email_policy())
    job.release()


def test_invalid_column_is_refused_before_the_job(spark: Any) -> None:
    """A missing column, or one of another type."""
    patches = frame_of(spark, hot_log(), HOT_FIELDS)
    schema = contacts_schema(texts("email", "note", "more"))
    contacts = spark.createDataFrame([], schema)

    with pytest.raises(InvalidColumn, match="patch: is missing; add it as a struct"):
        upsert(None, patches.drop("patch"), email_policy())
    with pytest.raises(InvalidColumn, match="fields: must be struct<email:string,no"):
        upsert(contacts, patches, email_policy())


def test_field_unknown_to_the_policy_is_refused_before_the_job(spark: Any) -> None:
    """As a column of the patch, or as a null."""
    options = {"email": field(key=normalize.email), "note": field()}
    policy = Policy(first_match("email"), options)
    log = [
        SentPatch(0, {"email": "a@x"}, START),
        SentPatch(1, {"email": "b@x", "note": None}, START),
        SentPatch(2, {"email": "c@x", "nope": None}, START),
    ]
    patches = frame_of(spark, log, texts("email"))
    with_null = patches.withColumn("nulls", F.array(F.lit(None).cast("string")))
    reason = "is not a field of the policy, which has email, note"

    with pytest.raises(InvalidColumn, match=f"patch.emial: {reason}"):
        upsert(None, frame_of(spark, [], texts("emial")), policy)
    with pytest.raises(InvalidColumn, match=f"nulls: nope {reason}"):
        upsert(None, patches, policy)
    with pytest.raises(InvalidColumn, match=f"nulls: null {reason}"):
        upsert(None, with_null, policy)
    for accepting, rows in (
        (policy, patches.where("sequence < 2")),
        (policy, patches.drop("nulls")),
        (attrs.evolve(policy, extra_fields=field(rule=replace)), patches),
    ):
        job = upsert(None, rows, accepting)
        assert {"created"} == {row["result"] for row in job.outcomes.collect()}
        job.release()


def test_cleaned_value_of_another_type_ends_the_job(spark: Any) -> None:
    from pyspark.errors import PythonException

    options = {"email": field(key=normalize.email), "note": field(clean=len)}
    policy = Policy(first_match("email"), options)
    job = upsert(None, frame_of(spark, hot_log(), HOT_FIELDS), policy)

    message = "UnfitValue: note: [12] does not fit the declared type string"
    with pytest.raises(PythonException, match=message):
        job.contacts.collect()
    job.release()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"large": 0}, "large: must be 1 or more, not 0"),
        ({"partitions": 0}, "partitions: must be 1 or more, not 0"),
        ({"on_large": "split"}, "on_large: must be 'alone' or 'refuse', not 'split'"),
    ],
    ids=["large", "partitions", "on_large"],
)
def test_invalid_option_is_refused_before_the_job(
    spark: Any, option: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        upsert(None, frame_of(spark, [], HOT_FIELDS), email_policy(), **option)
