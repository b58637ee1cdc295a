"""Cards against every state and call of a small world, and their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pytest
from attrs import evolve

from tests.laws.test_state_space import PAIR, SINGLE, line
from upsertcore import ContactBook, Policy, field, first_match, key, normalize
from upsertcore.errors import InvalidRows
from upsertcore.laws import CALLS, LawBroken, Trial, Verdict
from upsertcore.laws.call_kinds import MERGED_ID
from upsertcore.laws.card import _Tally, _worlds
from upsertcore.laws.card_size import _Named, _Patched, parts_of
from upsertcore.laws.state_space import World
from upsertcore.laws.trial import State
from upsertcore.policy.held_forms import held_forms
from upsertcore.rules import keep, latest

pytestmark = pytest.mark.full

ABSENT = object()
Row = dict[str, Any]
Table = Mapping[str, Sequence[Any]]


ALIASED = Policy(first_match("id"), {"id": line(keep_aliases=True), "name": field()})
RESTORED = Policy(
    first_match("id"), {"id": line(), "name": field(rule=keep)}, on_deleted="restore"
)
COMPOSITE = Policy(
    first_match("who"),
    {"first": field(), "born": field(), "name": field(null="ignore")},
    keys={"who": key("first", "born", normalize=(normalize.text, normalize.exact))},
)
CLOCKED = Policy(
    first_match("id"),
    {"id": line(unique=True), "name": field(rule=latest(by="at")), "at": field()},
)

IDS: Table = {"id": [7, 8]}
BOTH: Table = {**IDS, "email": ["ada@x.org", "bob@x.org"]}
TWO_SPELLINGS: Table = {
    "id": [7, "7", 8, "8"],
    "email": ["ada@x.org", "ADA@x.org", "bob@x.org", " bob@x.org"],
}
# Per policy: the values of each field of a contact, and its aliases.
TABLES: dict[str, tuple[Policy, Table, Table]] = {
    "single": (SINGLE, {**IDS, "name": ["x", "y", ""]}, {}),
    "pair": (PAIR, {**BOTH, "name": ["x", "y"]}, {}),
    "remembered": (ALIASED, {**IDS, "name": ["x", "y", ""]}, {"id": ["7", "8"]}),
    "restored": (RESTORED, {**IDS, "name": ["x", "y", ""]}, {}),
    "composite": (
        COMPOSITE,
        {"first": ["ada@x.org", "bob@x.org"], "born": [7, 8], "name": ["x", "y", ""]},
        {},
    ),
    "clocked": (CLOCKED, {**IDS, "name": ["x", "y", ""]}, {}),
}


def rows(name: str, *, with_line: bool) -> list[Row]:
    """List every contact: each combination of values, aliases, marks and clocks."""
    policy, table, aliases = TABLES[name]
    fields = {
        n: values_of_field
        for n, values_of_field in table.items()
        if with_line or n != "name"
    }
    marks = [None, "2024-01-01T12:00:00+00:00"][: 1 + (name == "restored")]
    clocks = [ABSENT, 1, 2] if with_line and name == "clocked" else [ABSENT]
    all_rows = []
    for values in product(
        *[[ABSENT, *values_of_field] for values_of_field in fields.values()]
    ):
        stored = {n: v for n, v in zip(fields, values, strict=True) if v is not ABSENT}
        own = policy.all_keys[0].forms(stored)
        former = [[], *[[form] for form in aliases.get("id", ()) if form not in own]]
        for alias, mark, clock in product(former, marks, clocks):
            row: Row = {"scope": "", "version": 1, "fields": stored}
            row["created_at"] = row["updated_at"] = "2024-01-01T12:00:00+00:00"
            row.update({"aliases": {"id": alias}} if alias else {})
            row.update({"clocks": {"name": clock}} if clock is not ABSENT else {})
            row.update({"deleted_at": mark} if mark else {})
            all_rows.append(row)
    return all_rows


def states(name: str, contacts: int, *, with_line: bool) -> Iterator[ContactBook]:
    """Yield every valid book of up to so many contacts."""
    for size in range(contacts + 1):
        for combination in product(rows(name, with_line=with_line), repeat=size):
            numbered = [{**row, "id": f"c-{n}"} for n, row in enumerate(combination)]
            try:
                yield ContactBook.load(TABLES[name][0], numbered)
            except InvalidRows:
                continue


def patches(name: str, *, with_line: bool) -> list[Row]:
    """List every patch; with a field beside the keys, keys have stored values only."""
    sent: dict[str, list[Any]] = {}
    unusual: dict[str, list[Any]] = {}
    for field_name, values in TABLES[name][1].items():
        spelled: Sequence[Any] = TWO_SPELLINGS.get(field_name, values)
        if field_name == "name":
            spelled = ["x", "y"]
            if with_line:
                sent["name"] = [ABSENT, None, " ", *spelled]
        elif with_line:
            sent[field_name] = [ABSENT, *values]
        else:
            spelled = LETTERS.get(field_name, spelled)
            sent[field_name] = [ABSENT, None, "", *spelled]
            unusual[field_name] = [" \t", "n/a" if field_name == "email" else True]
    if with_line and name == "clocked":
        sent["at"] = [ABSENT, 1, 2]
    tables: list[dict[str, list[Any]]] = [sent]
    for unusual_field, unusual_values in unusual.items():
        # One unusual value at a time, beside omitted and plain ones.
        plain = {
            n: [ABSENT, *TABLES[name][1][n]] for n in unusual if n != unusual_field
        }
        tables.append({n: plain.get(n, unusual_values) for n in unusual})
    return [
        {n: v for n, v in zip(table, values, strict=True) if v is not ABSENT}
        for table in tables
        for values in product(*table.values())
    ]


LETTERS: Table = {
    "first": ["ada@x.org", "ADA@x.org", "bob@x.org", " bob@x.org"],
    "born": [7, "7", 8, "8"],
}
LAWS = ("idempotent", "nothing_silent", "finds_who_is_named", "refusal_changes_nothing")


def trial_counts(policy: Policy, line: str | None, contacts: int) -> Counter[str]:
    """Count, per patch, the states that its trials stand for."""
    world, counts = World(policy, line, contacts=contacts), Counter[str]()
    for state_places, weight in world.states:
        for trial, times in world.trials(state_places):
            counts[repr(sorted(trial.patch.items()))] += weight * times
    return counts


@pytest.mark.parametrize("with_line", [False, True], ids=["keys", "line"])
@pytest.mark.parametrize("name", TABLES)
def test_weights_add_up_to_the_number_of_states(name: str, *, with_line: bool) -> None:
    """For each patch, compared with all states of two contacts."""
    policy = TABLES[name][0]
    count = sum(1 for _book in states(name, 2, with_line=with_line))
    expected = [
        repr(sorted(patch.items())) for patch in patches(name, with_line=with_line)
    ]

    assert dict.fromkeys(expected, count) == trial_counts(
        policy, "name" if with_line else None, 2
    )


@pytest.mark.parametrize("name", TABLES)
def test_card_equals_trying_all_calls(name: str) -> None:
    """For each law: whether it holds, and the number of calls."""
    contacts = 2 if name == "single" else 1
    applied, broken = Counter[str](), set()
    for with_line in (False, True):
        sent = patches(name, with_line=with_line)
        for book in states(name, contacts, with_line=with_line):
            for patch in sent:
                trial = Trial.of(book, patch)
                for law in LAWS:
                    try:
                        applied[law] += CALLS[law](trial)
                    except LawBroken:
                        broken.add(law)
    result = tally_of(name, contacts, "calls")

    assert broken == {law for law in LAWS if not result[law].holds}
    assert applied == {law: result[law].stands_for for law in LAWS}


def tally_of(name: str, contacts: int, kind: str) -> dict[str, Verdict]:
    """Try the laws on one kind of what a card tries."""
    policy = TABLES[name][0]
    tally = _Tally(policy)
    for world in _worlds(policy, contacts, None):
        for part in parts_of(world):
            if part.kind == kind:
                tally.try_cases(part, part.all_cases())
    return {verdict.law: verdict for verdict in tally.verdicts()}


@pytest.mark.parametrize("name", TABLES)
def test_calls_by_id_and_with_options_equal_trying_all_states(name: str) -> None:
    """For each law: whether it holds, and the number of calls."""
    applied, broken = Counter[str](), set()
    for with_line in (False, True):
        world = World(TABLES[name][0], "name" if with_line else None, contacts=1)
        parts = [part for part in parts_of(world) if isinstance(part, _Named)]
        sent = {part.size: part._sent for part in parts}
        for state in named_states(name, with_line=with_line):
            for call, patch in sent.get(len(state), []):
                trial = Trial(TABLES[name][0], state, patch, call=call)
                for law in LAWS_BY_ID:
                    try:
                        applied[law] += CALLS[law](trial)
                    except LawBroken:
                        broken.add(law)
    result = tally_of(name, 1, "named")

    assert broken == {law for law in LAWS_BY_ID if not result[law].holds} == set()
    assert applied == {law: result[law].stands_for for law in LAWS_BY_ID}


LAWS_BY_ID = ("idempotent", "nothing_silent", "named_by_id", "visitor_joins")


def named_states(name: str, *, with_line: bool) -> Iterator[State]:
    """Yield every state of up to one contact; with a field, it has all keys."""
    whole = len(World(TABLES[name][0], None).keyed)
    for book in states(name, 1, with_line=with_line):
        contacts = [evolve(one, id="c-1", merged_ids=(MERGED_ID,)) for one in book]
        state = tuple([(one, held_forms(book.policy, one)) for one in contacts])
        if not with_line:
            yield state
            continue
        for contact in contacts:
            own = {n: v for n, v in contact.fields.items() if n != "name"}
            firsts = {n: TABLES[name][1][n][0] for n in own}
            plain = contact.deleted_at is None and not contact.aliases
            if len(own) == whole and own == firsts and plain:
                yield ((evolve(contact, merged_ids=()), state[0][1]),)


@pytest.mark.parametrize("line", [None, "name"], ids=["keys", "line"])
@pytest.mark.parametrize("name", TABLES)
def test_count_of_states_equals_their_number(name: str, line: str | None) -> None:
    world = World(TABLES[name][0], line)
    for size in range(4):
        assert len([*world.states_of(size)]) == world.count(size)


@pytest.mark.parametrize("name", TABLES)
def test_estimate_of_calls_of_keys_is_exact(name: str) -> None:
    world = World(TABLES[name][0], None, contacts=2)
    for size in range(3):
        trials = [t for p, _ in world.states_of(size) for t in world.trials(p)]
        assert len(trials) == world.estimate(size)


@pytest.mark.parametrize("name", TABLES)
def test_estimate_of_calls_of_a_field_is_within_a_factor_of_two(name: str) -> None:
    world = World(TABLES[name][0], "name", contacts=2)
    for size in range(3):
        trials = [t for p, _ in world.states_of(size) for t in world.trials(p)]
        assert len(trials) / 2 < world.estimate(size) < len(trials) * 2


@pytest.mark.parametrize("line", [None, "name"], ids=["keys", "line"])
@pytest.mark.parametrize("name", TABLES)
def test_weights_of_logs_and_merges_add_up(name: str, line: str | None) -> None:
    """Cases that are equal up to names count once."""
    world = World(TABLES[name][0], line, contacts=2)
    for part in parts_of(world):
        if part.kind == "logs":
            expected = (
                len([patch for patch in world.log_patches() if patch]) ** part.size
            )
        elif line is None:
            expected = sum(weight for _, weight in world.states_of(part.size))
            if isinstance(part, (_Named, _Patched)):
                expected *= len(part._sent)
        else:
            expected = part.estimate
        if part.kind != "calls":
            all_cases, sampled = [*part.all_cases()], [*part.sample()]
            shown = {repr(case[1]) for case in all_cases}
            assert len(all_cases) == len(shown) == part.estimate
            assert expected == sum(weight for *_, weight in all_cases)
            assert shown <= {repr(case[1]) for case in sampled}


@pytest.mark.parametrize("line", [None, "name"], ids=["keys", "line"])
@pytest.mark.parametrize("name", ["single", "remembered", "clocked"])
def test_sample_contains_every_state_with_every_patch(
    name: str, line: str | None
) -> None:
    """States that are equal up to names count once."""
    world = World(TABLES[name][0], line, contacts=1)
    expected = {
        (repr(trial.state), repr(trial.patch))
        for state_places, _ in world.states_of(1)
        for trial, _ in world.trials(state_places)
    }
    sampled = [(repr(t.state), repr(t.patch)) for t, _ in world.sample(1)]

    assert expected <= {*sampled}
    assert len({*sampled}) == len(sampled)
