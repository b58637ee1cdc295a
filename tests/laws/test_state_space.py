"""The small world of a policy: it is complete, and has fitting sample values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise, product
from typing import Any

import pytest
from attrs import evolve

from tests.field_options import blocking, merging
from upsertcore import ContactBook, Policy, field, first_match, key, never, normalize
from upsertcore.errors import InvalidRows
from upsertcore.laws import CALLS, LawBroken, Trial, Verdict
from upsertcore.laws.call_kinds import MERGED_ID
from upsertcore.laws.card import _Tally, _worlds
from upsertcore.laws.card_size import _Named, _Patched, parts_of
from upsertcore.laws.contact_shapes import Shapes
from upsertcore.laws.sample_values import (
    Letters,
    distinct_fields,
    field_letters,
    key_letters,
)
from upsertcore.laws.state_space import World, spread
from upsertcore.laws.trial import State
from upsertcore.policy.held_forms import held_forms
from upsertcore.rules import (
    add,
    add_or_remove,
    custom,
    deep,
    immutable,
    items_by,
    keep,
    largest,
    last_updated,
    latest,
    remove,
    replace,
    union,
)
from upsertcore.values import freeze

pytestmark = pytest.mark.full

ABSENT = object()
Row = dict[str, Any]
Table = Mapping[str, Sequence[Any]]


def line(**options: Any) -> Any:
    return field(key=normalize.exact, **options)


def email(**options: Any) -> Any:
    return field(key=normalize.email, **options)


SINGLE = Policy(first_match("id"), {"id": line(unique=True), "name": field()})
PAIR = Policy(
    first_match("id", "email"),
    {"id": line(), "email": email(), "name": field(blank="ignore")},
    on_ambiguous="oldest",
)
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


def test_merged_contacts_have_every_value_clock_and_time() -> None:
    """Blank values, the default, and blanks inside a mapping included."""
    lines = {"id": line(), "note": field(rule=latest(by="at")), "at": field()}
    lines["more"] = field(rule=deep, default={"lang": "en"})
    policy = Policy(
        first_match("id"), merging(lines, {"more": last_updated, "note": keep})
    )
    notes = [state for state, _ in World(policy, "note").merges(2)]
    more = [state for state, _ in World(policy, "more").merges(2)]

    assert (4 * 3) ** 2 == len(notes)
    assert 6**2 * 2 == len(more)
    values = {repr(contact.get("more")) for state in more for contact, _ in state}
    assert {"None", "''"} < values
    assert {repr(freeze(v)) for v in ({"lang": "en"}, {"a": ""}, {"a": "x"})} < values
    assert 2 == len({tuple(c.updated_at for c, _ in state) for state in more})
    assert {None, 1, 2} == {c.clocks.get("note") for state in notes for c, _ in state}


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


def test_spread_yields_each_number_once_and_far_apart() -> None:
    for total in (1, 2, 7, 60, 1009):
        assert [*range(total)] == sorted(spread(total))
    first = sorted(islice(spread(10**400), 10))
    gaps = [(b - a) / 10**400 for a, b in pairwise(first)]

    assert 0.05 < min(gaps)
    assert max(gaps) < 0.2


@pytest.mark.parametrize("sent", ["x", "y"])
@pytest.mark.parametrize("stored", [None, "x", "y", ""])
def test_rule_that_is_wrong_for_one_value_breaks_a_law(stored: Any, sent: str) -> None:
    """For any stored and sent value."""

    def wrong_once(old: Any, new: Any) -> Any:
        return f"{new}!" if (old, new) == (stored, sent) else new

    def flips(old: Any, new: Any) -> Any:
        return "?" if old == f"{sent}!" else wrong_once(old, new)

    policy = Policy(
        first_match("id", "email"),
        {"id": line(unique=True), "email": email(), "name": field(rule=custom(flips))},
        on_ambiguous="oldest",
    )
    world = World(policy, "name", contacts=2, values={"name": ["x", "y"]})
    trials = (
        trial
        for state_places, _ in world.states
        for trial, _ in world.trials(state_places)
    )
    broken = next(trial for trial in trials if is_broken(trial))

    assert (sent, len(broken.before)) == (
        broken.patch["name"],
        int(stored not in (None, sent)),
    )


def is_broken(trial: Trial) -> bool:
    try:
        CALLS["idempotent"](trial)
    except LawBroken:
        return True
    return False


def test_contact_that_is_not_read_has_one_state() -> None:
    """It stands for all its values."""
    world = World(SINGLE, "name", contacts=2)
    place = next(p for p, _ in world.states if len(p) == 2 and 0 not in p)
    read = [(t, n) for t, n in world.trials(place) if t.patch == {"id": 7}]
    unread = [(t, n) for t, n in world.trials(place) if t.patch == {"name": "x"}]

    assert [4] * 4 == [times for _trial, times in read]
    assert [(16, {"name"})] == [(n, {*t.patch}) for t, n in unread]


def test_refused_patch_reads_no_contact() -> None:
    """One state stands for all values of all contacts."""
    lines = {"id": line(), "name": field(null="reject")}
    world = World(Policy(first_match("id"), lines), "name", contacts=1)
    refused = {"id": 7, "name": None}

    assert [1, 4, 4] == [
        times
        for state_places, _weight in world.states
        for trial, times in world.trials(state_places)
        if trial.patch == refused
    ]


def test_required_field_is_missing_in_the_empty_patch_only() -> None:
    policy = Policy(
        first_match("id"), {"id": line(), "a": field(required=True), "b": field()}
    )
    world = World(policy, "b", contacts=1)

    assert [{}] == [patch for patch in world.patches if "a" not in patch]
    assert {"x"} == {patch["a"] for patch in world.patches if patch}
    assert all("a" in patch for patch in world.log_patches())


def test_two_contacts_hold_one_key_under_allow_only() -> None:
    lines = {"id": line(unique=True)}
    free = Policy(first_match("id"), lines, on_key_in_use="allow")

    assert 1 + 3 + 9 == sum(w for _, w in World(free, None, contacts=2).states)
    assert 1 + 3 + 7 == sum(w for _, w in World(SINGLE, None, contacts=2).states)


def test_max_forms_limits_forms_and_aliases() -> None:
    policy = Policy(first_match("id"), {"id": line(keep_aliases=True, max_forms=1)})
    shapes = Shapes(policy, [key_letters(policy, "id", {})])

    assert 5 == len(shapes.every)
    assert max(len(shape.forms[0]) for shape in shapes.every) == 1


@pytest.mark.parametrize(
    "policy",
    [
        Policy(first_match("id"), {"id": line(rule=largest)}),
        Policy(first_match("id"), blocking({"id": line()}, {"id": ("7",)})),
    ],
    ids=["ordered", "blocked"],
)
def test_ordered_or_blocked_values_are_not_interchangeable(policy: Policy) -> None:
    """All of them are tried."""
    world = World(policy, None, contacts=2)

    assert {1} == {weight for _places, weight in world.states}


def test_keys_that_share_a_field_swap_values_together() -> None:
    """Other keys swap them independently."""
    keys = {"pair": key("id", "email", normalize=(normalize.exact, normalize.email))}
    lines = {"id": line(), "email": email()}
    independent = Policy(first_match("id"), lines)
    joined = Policy(first_match("id"), lines, keys=keys)

    for policy, swaps in ((independent, 3), (joined, 1)):
        letters = [key_letters(policy, name, {}) for name in ("id", "email")]
        assert swaps == len(Shapes(policy, letters).swaps())


def test_value_without_forms_is_swapped_with_itself() -> None:
    assert 1 == Letters("name", ("x", "y"), ("x", "y")).swapped(1)


def item(value: Any) -> dict[str, Any]:
    return {"value": value, "metadata": {}}


def values_of(value: Any) -> Any:
    """Normalise the value of an item, as an application may."""
    return normalize.email(value["value"]) if isinstance(value, Mapping) else None


def check_list(value: Any) -> Any:
    if not isinstance(value, (tuple, list)):
        raise ValueError("must be a list")  # noqa: TRY004 - a rejected value
    return value


def check_date(value: Any) -> Any:
    if str(value)[4:5] != "-":
        raise ValueError("must be a date")
    return value


def default_phone(value: Any) -> Any:
    return normalize.phone(value) or "+10000000"


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        (line(), (7, "7", 8, "8")),
        (email(), ("ada@x.org", "ADA@x.org", "bob@x.org", " bob@x.org")),
        (
            field(key=normalize.phone),
            ("+15550001111", "+1 (555) 000-1111", "+15550002222", "+1 555 000 2222"),
        ),
        (field(key=normalize.exact, clean=check_date), ("2024-01-02", "2024-01-03")),
        (
            line(clean=check_list),
            ([7], ["7"], [8], ["8"], [7, "8"], ["8", 7]),
        ),
        (
            field(key=values_of),
            (
                *([item(v)] for v in ("ada@x.org", "ADA@x.org", "bob@x.org")),
                [item(" bob@x.org")],
                [item("ada@x.org"), item(" bob@x.org")],
                [item(" bob@x.org"), item("ada@x.org")],
            ),
        ),
    ],
    ids=["number", "email", "phone", "date", "list", "items"],
)
def test_key_has_sample_values_of_two_forms_in_two_spellings(
    line: Any, sent: tuple[Any, ...]
) -> None:
    """Values that its normaliser and field accept."""
    policy = Policy(first_match("id"), {"id": line})
    letters = key_letters(policy, "id", {})

    assert sent == letters.sent
    assert {(0,), (1,)} <= {*letters.forms}
    for place, forms in enumerate(letters.forms):
        assert tuple([1 - n for n in forms]) == letters.forms[letters.swapped(place)]


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        (field(), ("x", "y")),
        (field(rule=add), (1, 2)),
        (field(rule=largest), ("x", "y")),
        (field(rule=immutable), ("x", "y")),
        (field(rule=latest(by="at")), ("x", "y")),
        (field(rule=union), (["x"], ["y", "x"])),
        (field(rule=remove), (["x"], ["y", "x"])),
        (field(rule=deep), ({"a": "x"}, {"a": "y", "b": "x"}, {"a": None})),
        (field(rule=add_or_remove), (["x"], ["y", "x"], ["-x"])),
        (
            field(rule=items_by("id")),
            ([{"id": "1", "value": "x"}], [{"id": "1", "value": "y"}, {"id": "2"}]),
        ),
        (field(clean=check_date), ("2024-01-02", "2024-01-03", "x")),
        (field(clean=normalize.phone), ("+15550001111", "+15550002222", "x")),
    ],
    ids=map(str, range(12)),
)
def test_field_has_two_sample_values(line: Any, sent: tuple[Any, ...]) -> None:
    """Rule and clean accept them; a third one, if any, removes or is refused."""
    policy = Policy(never(), {"n": line, "at": field()})

    assert sent == field_letters(policy, "n", {}).sent


def test_functions_that_raise_for_other_kinds_have_sample_values() -> None:
    lines = {"id": email(clean=str.lower), "n": field(clean=lambda v: v + 1)}
    policy = Policy(first_match("id"), lines)

    assert ("ada@x.org", "bob@x.org") == key_letters(policy, "id", {}).stored
    assert (1, 2) == field_letters(policy, "n", {}).sent


def test_given_values_are_used_as_they_are() -> None:
    """Two normal forms are found among them."""
    policy = Policy(first_match("id"), {"id": email(), "n": field()})
    values: Table = {"id": ["a@x", "A@x", "b@x", "c@x", None], "n": ["u", "v", "w"]}

    assert ("a@x", "A@x", "b@x") == key_letters(policy, "id", values).sent
    assert ((0,), (1,)) == key_letters(policy, "id", values).forms
    assert ("u", "v", "w") == field_letters(policy, "n", values).sent


def test_key_has_unusual_sample_values() -> None:
    """White space, a value that makes no key, and a blocked one."""
    lines = {"id": line(), "email": email(clean=str.lower)}
    lines |= {"list": line(clean=check_list), "code": line(clean=check_date)}
    match = first_match("id")
    blocks = Policy(match, blocking(lines, {"id": ("n/a",)}), on_blocked="ignore")
    unusual = [
        key_letters(policy, "id", {}).odd for policy in (Policy(match, lines), blocks)
    ]
    unusual_of_others = [
        key_letters(blocks, n, {}).odd for n in ("email", "list", "code")
    ]

    assert [(" \t", True), (" \t", "n/a", True)] == unusual
    assert [(" \t", "n/a"), (" \t", [True]), (" \t",)] == unusual_of_others


def test_unusual_values_are_sent_one_at_a_time() -> None:
    """Beside omitted and plain ones."""
    world = World(PAIR, None, contacts=0)
    unusual = [{*patch.values()} & {" \t", True, "n/a"} for patch in world.patches]

    assert 7 * 7 == len(
        [unusual_values for unusual_values in unusual if not unusual_values]
    )
    assert 2 * 2 * 3 == len(
        [unusual_values for unusual_values in unusual if len(unusual_values) == 1]
    )
    assert len(unusual) == world.patch_count == 7 * 7 + 2 * 2 * 3


@pytest.mark.parametrize("values", [[], ["a"], ["a", "a"], ["a", None]])
def test_too_few_given_values_are_refused(values: list[Any]) -> None:
    """The message names the field and what it needs."""
    policy = Policy(first_match("id"), {"id": line(), "n": field()})
    with pytest.raises(ValueError) as key_error:
        key_letters(policy, "id", {"id": values})
    with pytest.raises(ValueError) as field_error:
        field_letters(policy, "n", {"n": values})

    expected = (
        "id: needs two values of different normal forms; "
        "pass some, as in values={'id': ['a', 'b']}"
    )
    assert expected == str(key_error.value)
    expected = (
        "n: needs two values that the policy takes; "
        "pass some, as in values={'n': ['a', 'b']}"
    )
    assert expected == str(field_error.value)


@pytest.mark.parametrize(
    "normalizer",
    [
        normalize.email,
        normalize.exact,
        normalize.phone,
        normalize.phone_in("US"),
        normalize.text,
        normalize.initials,
        normalize.sorted_tokens,
        normalize.prefix(3),
        normalize.postcode_area,
        normalize.year,
        normalize.nicknames({"Robert": ["Bob"]}),
    ],
)
def test_normaliser_of_the_library_has_sample_values_of_two_forms(
    normalizer: Any,
) -> None:
    policy = Policy(first_match("id"), {"id": field(key=normalizer)})
    letters = key_letters(policy, "id", {})

    assert {form for forms in letters.forms for form in forms} == {0, 1}


def test_distinct_fields_are_one_of_each_kind() -> None:
    """A clock is tried with its field; undeclared ones count as ``other``."""
    lines = {
        "id": line(),
        "a": field(),
        "b": field(null="ignore"),
        "c": field(blank="ignore"),
        "d": field(required=True),
        "e": field(default=1),
        "f": field(rule=latest(by="at")),
        "at": field(rule=largest),
        "g": field(),
    }
    match = first_match("id")

    assert (*"abcdef", "other") == distinct_fields(
        Policy(match, lines, extra_fields=field(rule=replace))
    )
    assert ("other",) == distinct_fields(
        Policy(match, {"id": line(), "other": field()}, extra_fields=field(rule=keep))
    )
