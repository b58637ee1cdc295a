"""The same contacts and outcomes as one book, whatever is sent."""

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
from tests.spark.sequential import listed, sequential
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


def log_of(sent: Any, *, first: int = 0) -> list[SentPatch]:
    """Number what was sent, by scope and patch, a minute apart."""
    return [
        SentPatch(number, patch, START + timedelta(minutes=number), scope)
        for number, (scope, patch) in enumerate(sent, first)
    ]


def frame_of(spark: Any, log: list[SentPatch], fields: StructType) -> Any:
    """Make a frame of a log; it is in the cluster's memory, not in the plan."""
    table = patches_table(log, fields)
    return spark.createDataFrame(table, patches_schema(fields)).localCheckpoint()


def declared(kind: str, names: tuple[str, ...]) -> StructType:
    """Declare the fields of a workload."""
    if kind == "SalesforceIQ":
        value = struct(value=TEXT, metadata=MapType(TEXT, TEXT))
        return struct(**dict.fromkeys(names, ArrayType(value)))
    kinds: dict[str, DataType] = dict.fromkeys(names, TEXT)
    if "tags" in kinds:
        kinds["tags"] = TEXTS
    if "contact_id" in kinds:
        kinds["contact_id"] = LongType()
    return struct(**kinds)


def sent_of(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what is stored first, and what is sent, each in a scope of its own."""
    scope = case.shape if case.kind == "plain" else ""
    return ((scope, patch) for patch in chain(preload(case), patches(case)))


SHAPES = ("mixed", "create", "update", "unchanged", "clash", "hot", "lists")


def test_a_hundred_thousand_patches_of_all_shapes(spark: Any) -> None:
    """A log of all workloads of the plain policy comes to what one book makes."""
    cases = [Case(shape, 10_000) for shape in SHAPES]
    names = (*Case("mixed", 0).names, "tags")
    lines = {name: field() for name in names}
    lines["email"] = field(key=normalize.email, unique=True)
    lines["phone"] = field(key=normalize.phone, unique=True)
    policy = Policy(first_match("email", "phone"), lines, on_key_in_use="withhold")
    log = log_of(chain.from_iterable(map(sent_of, cases)))
    fields = declared("plain", names)

    done = upsert(None, frame_of(spark, log, fields), policy)
    contacts, outcomes = done

    assert 100_000 == len(log)
    assert sequential(log, policy) == (listed(contacts), listed(outcomes))
    assert contacts_schema(fields) == contacts.schema
    assert outcomes_schema() == outcomes.schema
    done.release()


@pytest.mark.parametrize(
    "kind", ["SalesforceIQ", "LeadConnector", "SegMetrics", "Anduin"]
)
def test_the_policies_of_the_profiles(spark: Any, kind: str) -> None:
    """A log under a profile's policy comes to what one book makes."""
    case = Case("mixed", 12_500, kind=kind)
    policy, log = policy_for(case), log_of(sent_of(case))

    done = upsert(None, frame_of(spark, log, declared(kind, case.names)), policy)

    assert sequential(log, policy) == (listed(done.contacts), listed(done.outcomes))
    done.release()


def drawn(seed: int, size: int, people: int) -> list[tuple[str, dict[str, Any]]]:
    """Draw patches about few people, who share addresses and telephones."""
    rng = Random(seed)
    sent = []
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
        sent.append((rng.choice(["", "firm"]), patch))
    return sent


JOINED = struct(
    email=TEXTS, phone=TEXT, note=TEXT, tags=MapType(TEXT, TEXTS), at=LongType()
)


def joining() -> Policy:
    """Make a policy that merges contacts, remembers keys, and goes by clocks."""
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


def test_a_second_job_goes_on_from_the_first(spark: Any) -> None:
    """Merges, aliases, clocks and refusals: two jobs come to what one book makes."""
    policy, log = joining(), log_of(drawn(7, 3_000, 1_500))
    ids = "c-{}".format
    contacts, outcomes = sequential(log, policy, ids=ids)

    first = upsert(None, frame_of(spark, log[:1_500], JOINED), policy, ids=ids)
    rest = frame_of(spark, log[1_500:], JOINED)
    second = upsert(first.contacts, rest, policy, ids=ids, partitions=2)

    assert contacts == listed(second.contacts)
    told = {**listed(first.outcomes), **listed(second.outcomes)}
    # A component is called after its first row, which may be a contact's.
    assert _but_component(outcomes) == _but_component(told)
    seen = {row["result"] for row in told.values()}
    assert {"created", "updated", "merged", "refused"} <= seen
    assert any(row["aliases"] for row in contacts.values())
    assert any(row["clocks"] for row in contacts.values())
    assert any(row["merged_ids"] for row in contacts.values())
    first.release()
    second.release()


def _but_component(rows: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {n: row | {"component": None} for n, row in rows.items()}


PERSON = texts("id", "first", "born", "note")


def persons() -> Policy:
    """Make a policy with a key whose parts may come in different patches."""
    lines = {name: field() for name in PERSON.names}
    lines["id"] = field(key=normalize.exact)
    return Policy(
        first_match("person", "id"),
        lines,
        keys={"person": key("first", "born", normalize=normalize.text)},
        on_ambiguous="oldest",
    )


def in_parts(seed: int, size: int) -> list[tuple[str, dict[str, Any]]]:
    """Draw patches that carry a name and a birthday together, or one of them."""
    rng = Random(seed)
    sent = []
    for number in range(size):
        patch = {"id": f"i{rng.randrange(size // 2)}", "note": f"n{number}"}
        if rng.random() < 0.5:
            patch["first"] = f"f{rng.randrange(size // 8)}"
        if rng.random() < 0.5:
            patch["born"] = f"b{rng.randrange(3)}"
        sent.append(("", patch))
    return sent


def test_components_that_meet_by_what_was_made_are_replayed_anew(
    spark: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A key whose parts came in two patches joins components in a further round."""
    policy, log = persons(), log_of(in_parts(3, 200))
    caplog.set_level(logging.INFO, "upsertcore.spark")

    done = upsert(None, frame_of(spark, log, PERSON), policy, driver_limit=199)

    assert sequential(log, policy) == (listed(done.contacts), listed(done.outcomes))
    assert (
        "200 rows, more than driver_limit=199: computed on the cluster" in caplog.text
    )
    assert "at most driver_limit=199: computed on the driver" in caplog.text
    assert "replay: round 2, " in caplog.text
    assert "replay: finished in round " in caplog.text
    done.release()


HOT = texts("email", "note")


def by_email() -> Policy:
    lines = {"email": field(key=normalize.email), "note": field()}
    return Policy(first_match("email"), lines)


def hot_log() -> list[SentPatch]:
    """Send one address thirty times, another twelve times, and others once."""
    sent = [("hot@x.org", 30), ("warm@x.org", 12)]
    sent += [(f"{number}@x.org", 1) for number in range(20)]
    listed = [email for email, times in sent for _ in range(times)]
    Random(1).shuffle(listed)
    return log_of(("", {"email": e, "note": str(n)}) for n, e in enumerate(listed))


def test_a_large_component_has_a_partition_of_its_own(
    spark: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is named with what its rows share, and nothing else waits for it."""
    from pyspark.sql.functions import spark_partition_id

    log, policy = hot_log(), by_email()

    done = upsert(None, frame_of(spark, log, HOT), policy, large=10)

    assert sequential(log, policy) == (listed(done.contacts), listed(done.outcomes))
    placed = done.outcomes.select("component", spark_partition_id().alias("part"))
    parts: dict[int, set[int]] = {}
    for component, part in placed.collect():
        parts.setdefault(part, set()).add(component)
    assert [1, 1] == [len(parts[part]) for part in (4, 5)]
    assert 20 == sum(len(found) for part, found in parts.items() if part < 4)
    hot, warm = [record.getMessage() for record in caplog.records]
    assert "has 30 rows; most share email 'hot@x.org' (30 rows), more than" in hot
    assert "has 12 rows; most share email 'warm@x.org' (12 rows), more than" in warm
    done.release()


def test_a_large_component_is_refused_where_that_is_asked(spark: Any) -> None:
    """The error names it, its size, and the forms that most of its rows share."""
    log = hot_log()
    first = min(s.sequence for s in log if s.patch["email"] == "hot@x.org")

    with pytest.raises(LargeComponent) as refused:
        upsert(
            None,
            frame_of(spark, log, HOT),
            by_email(),
            large=10,
            on_large="refuse",
        )

    assert (first, 30) == (refused.value.component, refused.value.size)
    assert (("email", "", "hot@x.org", 30),) == refused.value.shared


def test_a_killed_worker_changes_nothing(spark: Any, tmp_path: Path) -> None:
    """A task that is done again, after a kill in either stage, gives the same rows."""
    linked, replayed = tmp_path / "linked", tmp_path / "replayed"

    def die_once(marker: Path) -> None:
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def form(value: Any) -> str | None:
        if value == "7@x.org":
            die_once(linked)
        return normalize.email(value)

    def ids(sequence: int) -> str:
        if sequence > 15:
            die_once(replayed)
        return f"c-{sequence}"

    lines = {"email": field(key=form), "note": field()}
    policy, patches = (
        Policy(first_match("email"), lines),
        frame_of(spark, hot_log(), HOT),
    )

    killed = upsert(None, patches, policy, ids=ids)
    told = listed(killed.contacts), listed(killed.outcomes)
    assert linked.exists()
    assert replayed.exists()
    calm = upsert(None, patches, policy, ids=ids)

    assert (listed(calm.contacts), listed(calm.outcomes)) == told
    assert sequential(hot_log(), by_email(), ids=ids) == told
    killed.release()
    calm.release()


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


def test_nested_values_are_what_they_were(spark: Any) -> None:
    """Structs, arrays and maps come back as sent, so that the same is unchanged."""
    lines = {name: field() for name in NESTED.names}
    policy = Policy(first_match("id"), lines | {"id": field(key=normalize.exact)})
    sent = [("", {"id": n, **value}) for n, value in enumerate(VALUES)]
    log = log_of(sent)

    first = upsert(None, frame_of(spark, log, NESTED), policy)
    again = frame_of(spark, log_of(sent, first=10), NESTED)
    second = upsert(first.contacts, again, policy)

    contacts, outcomes = sequential(log, policy)
    assert (contacts, outcomes) == (listed(first.contacts), listed(first.outcomes))
    assert contacts == listed(second.contacts)
    told = [row["result"] for row in listed(second.outcomes).values()]
    assert ["unchanged"] * len(VALUES) == told
    first.release()
    second.release()


def test_where_nothing_was_sent_contacts_stay(spark: Any) -> None:
    """An empty log answers the contacts that were known, and no outcome."""
    known = upsert(None, frame_of(spark, hot_log(), HOT), by_email())
    nothing = frame_of(spark, [], HOT).drop("scope", "nulls")

    done = upsert(known.contacts, nothing, by_email(), driver_limit=0)
    empty = upsert(None, nothing, by_email())

    assert listed(known.contacts) == listed(done.contacts)
    assert ({}, {}, {}) == tuple(map(listed, (done.outcomes, *empty)))
    for each in (known, done, empty):
        each.release()


def test_numbers_are_looked_at_first(spark: Any) -> None:
    """A sequence stands once, and comes after every place."""
    log = hot_log()
    patches = frame_of(spark, log, HOT)
    done = upsert(None, patches, by_email())

    with pytest.raises(InvalidColumn, match="0 occurs 2 times"):
        upsert(None, patches.union(patches), by_email())
    with pytest.raises(InvalidColumn, match="sequence: 0 is not greater than"):
        upsert(done.contacts, patches, by_email())
    done.release()


def test_frames_are_looked_at_first(spark: Any) -> None:
    """What is missing, or of another type, is named before anything is read."""
    patches = frame_of(spark, hot_log(), HOT)
    wrong = contacts_schema(texts("email", "note", "more"))
    contacts = spark.createDataFrame([], wrong)

    with pytest.raises(InvalidColumn, match="patch: is missing; add it as a struct"):
        upsert(None, patches.drop("patch"), by_email())
    with pytest.raises(InvalidColumn, match="fields: must be struct<email:string,no"):
        upsert(contacts, patches, by_email())


def test_what_the_policy_does_not_declare_ends_the_job_first(spark: Any) -> None:
    """A field that is misspelt, or a null of one, is named; nothing is refused late."""
    lines = {"email": field(key=normalize.email), "note": field()}
    policy = Policy(first_match("email"), lines)
    log = [
        SentPatch(0, {"email": "a@x"}, START),
        SentPatch(1, {"email": "b@x", "note": None}, START),
        SentPatch(2, {"email": "c@x", "nope": None}, START),
    ]
    patches = frame_of(spark, log, texts("email"))
    with_null = patches.withColumn("nulls", F.array(F.lit(None).cast("string")))
    have = "is not a field of the policy, which has email, note"

    with pytest.raises(InvalidColumn, match=f"patch.emial: {have}"):
        upsert(None, frame_of(spark, [], texts("emial")), policy)
    with pytest.raises(InvalidColumn, match=f"nulls: nope {have}"):
        upsert(None, patches, policy)
    with pytest.raises(InvalidColumn, match=f"nulls: null {have}"):
        upsert(None, with_null, policy)
    for table, rows in (
        (policy, patches.where("sequence < 2")),
        (policy, patches.drop("nulls")),
        (attrs.evolve(policy, extra_fields=field(rule=replace)), patches),
    ):
        done = upsert(None, rows, table)
        assert {"created"} == {row["result"] for row in done.outcomes.collect()}
        done.release()


def test_a_value_that_does_not_fit_ends_the_job(spark: Any) -> None:
    """What a policy makes of a value must be of the declared type."""
    from pyspark.errors import PythonException

    lines = {"email": field(key=normalize.email), "note": field(clean=len)}
    policy = Policy(first_match("email"), lines)
    done = upsert(None, frame_of(spark, hot_log(), HOT), policy)

    told = "UnfitValue: note: [12] does not fit the declared type string"
    with pytest.raises(PythonException, match=told):
        done.contacts.collect()
    done.release()


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"large": 0}, "large: must be 1 or more, not 0"),
        ({"partitions": 0}, "partitions: must be 1 or more, not 0"),
        ({"on_large": "split"}, "on_large: must be 'alone' or 'refuse', not 'split'"),
    ],
    ids=["large", "partitions", "on_large"],
)
def test_an_option_that_is_none(spark: Any, option: Any, told: str) -> None:
    """Options are looked at before anything is done."""
    with pytest.raises(ValueError, match=told):
        upsert(None, frame_of(spark, [], HOT), by_email(), **option)
