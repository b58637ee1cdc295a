"""The small world: it is whole, and its letters stand for what a policy takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise, product
from typing import Any

import pytest

from tests.field_options import blocking, merging
from upsertcore import ContactBook, Policy, field, first_match, key, never, normalize
from upsertcore.errors import InvalidRows
from upsertcore.laws import CALLS, LawBroken, Trial, card
from upsertcore.laws.card_size import parts_of
from upsertcore.laws.contact_shapes import Shapes
from upsertcore.laws.sample_values import (
    Letters,
    distinct_fields,
    field_letters,
    key_letters,
)
from upsertcore.laws.state_space import World, spread
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

NONE = object()
Row = dict[str, Any]
Table = Mapping[str, Sequence[Any]]


def line(**how: Any) -> Any:
    return field(key=normalize.exact, **how)


def email(**how: Any) -> Any:
    return field(key=normalize.email, **how)


SINGLE = Policy(first_match("id"), {"id": line(unique=True), "name": field()})
PAIR = Policy(
    first_match("id", "email"),
    {"id": line(), "email": email(), "name": field(blank="ignore")},
    on_ambiguous="oldest",
)
REMEMBERED = Policy(first_match("id"), {"id": line(keep_aliases=True), "name": field()})
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
TWICE_SPELLED: Table = {
    "id": [7, "7", 8, "8"],
    "email": ["ada@x.org", "ADA@x.org", "bob@x.org", " bob@x.org"],
}
# Per policy: what a contact holds of each field, its aliases, its marks and clocks.
TABLES: dict[str, tuple[Policy, Table, Table]] = {
    "single": (SINGLE, {**IDS, "name": ["x", "y", ""]}, {}),
    "pair": (PAIR, {**BOTH, "name": ["x", "y"]}, {}),
    "remembered": (REMEMBERED, {**IDS, "name": ["x", "y", ""]}, {"id": ["7", "8"]}),
    "restored": (RESTORED, {**IDS, "name": ["x", "y", ""]}, {}),
    "composite": (
        COMPOSITE,
        {"first": ["ada@x.org", "bob@x.org"], "born": [7, 8], "name": ["x", "y", ""]},
        {},
    ),
    "clocked": (CLOCKED, {**IDS, "name": ["x", "y", ""]}, {}),
}


def rows(name: str, *, lined: bool) -> list[Row]:
    """Spell out every contact: each field, alias, mark and clock."""
    policy, table, aliases = TABLES[name]
    fields = {n: each for n, each in table.items() if lined or n != "name"}
    marks = [None, "2024-01-01T12:00:00+00:00"][: 1 + (name == "restored")]
    clocks = [NONE, 1, 2] if lined and name == "clocked" else [NONE]
    made = []
    for values in product(*[[NONE, *each] for each in fields.values()]):
        held = {n: v for n, v in zip(fields, values, strict=True) if v is not NONE}
        own = policy.all_keys[0].forms(held)
        former = [[], *[[form] for form in aliases.get("id", ()) if form not in own]]
        for alias, mark, clock in product(former, marks, clocks):
            row: Row = {"scope": "", "version": 1, "fields": held}
            row["created_at"] = row["updated_at"] = "2024-01-01T12:00:00+00:00"
            row.update({"aliases": {"id": alias}} if alias else {})
            row.update({"clocks": {"name": clock}} if clock is not NONE else {})
            row.update({"deleted_at": mark} if mark else {})
            made.append(row)
    return made


def states(name: str, contacts: int, *, lined: bool) -> Iterator[ContactBook]:
    """Give every book of so many contacts, but those that no book may be."""
    for size in range(contacts + 1):
        for each in product(rows(name, lined=lined), repeat=size):
            numbered = [{**row, "id": f"c-{n}"} for n, row in enumerate(each)]
            try:
                yield ContactBook.load(TABLES[name][0], numbered)
            except InvalidRows:
                continue


def patches(name: str, *, lined: bool) -> list[Row]:
    """Spell out every patch; of a key with the line, only what is stored."""
    sent: dict[str, list[Any]] = {}
    odd: dict[str, list[Any]] = {}
    for field_name, values in TABLES[name][1].items():
        spelled: Sequence[Any] = TWICE_SPELLED.get(field_name, values)
        if field_name == "name":
            spelled = ["x", "y"]
            if lined:
                sent["name"] = [NONE, None, " ", *spelled]
        elif lined:
            sent[field_name] = [NONE, *values]
        else:
            spelled = LETTERS.get(field_name, spelled)
            sent[field_name] = [NONE, None, "", *spelled]
            odd[field_name] = [" \t", "n/a" if field_name == "email" else True]
    if lined and name == "clocked":
        sent["at"] = [NONE, 1, 2]
    tables: list[dict[str, list[Any]]] = [sent]
    for one, each in odd.items():
        # One at a time, beside what is omitted or plain.
        plain = {n: [NONE, *TABLES[name][1][n]] for n in odd if n != one}
        tables.append({n: plain.get(n, each) for n in odd})
    return [
        {n: v for n, v in zip(table, values, strict=True) if v is not NONE}
        for table in tables
        for values in product(*table.values())
    ]


LETTERS: Table = {
    "first": ["ada@x.org", "ADA@x.org", "bob@x.org", " bob@x.org"],
    "born": [7, "7", 8, "8"],
}
LAWS = ("idempotent", "nothing_silent", "finds_who_is_named", "refusal_changes_nothing")


def tried(policy: Policy, line: str | None, contacts: int) -> Counter[str]:
    """Count for how many states the trials of each patch stand."""
    world, counts = World(policy, line, contacts=contacts), Counter[str]()
    for places, weight in world.states:
        for trial, times in world.trials(places):
            counts[repr(sorted(trial.patch.items()))] += weight * times
    return counts


@pytest.mark.parametrize("lined", [False, True], ids=["keys", "line"])
@pytest.mark.parametrize("name", TABLES)
def test_the_weights_add_up_to_all_that_there_is(name: str, *, lined: bool) -> None:
    """For each patch to every state of two contacts, no symmetry and nothing lazy."""
    policy = TABLES[name][0]
    count = sum(1 for _book in states(name, 2, lined=lined))
    every = [repr(sorted(patch.items())) for patch in patches(name, lined=lined)]

    assert dict.fromkeys(every, count) == tried(policy, "name" if lined else None, 2)


@pytest.mark.parametrize("name", TABLES)
def test_a_card_says_what_trying_everything_says(name: str) -> None:
    """Law by law: it holds, or not, and speaks of as many calls as there are."""
    contacts = 2 if name == "single" else 1
    spoke, broken = Counter[str](), set()
    for lined in (False, True):
        sent = patches(name, lined=lined)
        for book in states(name, contacts, lined=lined):
            for patch in sent:
                trial = Trial.of(book, patch)
                for law in LAWS:
                    try:
                        spoke[law] += CALLS[law](trial)
                    except LawBroken:
                        broken.add(law)
    made = card(TABLES[name][0], contacts=contacts)

    assert broken == {law for law in LAWS if not made[law].holds}
    assert spoke == {law: made[law].stands_for for law in LAWS}


@pytest.mark.parametrize("line", [None, "name"], ids=["keys", "line"])
@pytest.mark.parametrize("name", TABLES)
def test_states_are_counted_without_being_visited(name: str, line: str | None) -> None:
    """As many as are visited, of each number of contacts."""
    world = World(TABLES[name][0], line)
    for size in range(4):
        assert len([*world.states_of(size)]) == world.count(size)


@pytest.mark.parametrize("name", TABLES)
def test_calls_of_keys_alone_are_counted_exactly(name: str) -> None:
    """A patch for each state."""
    world = World(TABLES[name][0], None, contacts=2)
    for size in range(3):
        tried = [t for p, _ in world.states_of(size) for t in world.trials(p)]
        assert len(tried) == world.estimate(size)


@pytest.mark.parametrize("name", TABLES)
def test_calls_of_a_line_are_estimated(name: str) -> None:
    """By half, or by twice as many at the most."""
    world = World(TABLES[name][0], "name", contacts=2)
    for size in range(3):
        tried = [t for p, _ in world.states_of(size) for t in world.trials(p)]
        assert len(tried) / 2 < world.estimate(size) < len(tried) * 2


@pytest.mark.parametrize("line", [None, "name"], ids=["keys", "line"])
@pytest.mark.parametrize("name", TABLES)
def test_logs_and_merges_stand_for_all_that_there_are(
    name: str, line: str | None
) -> None:
    """Counted without being visited; those that a renaming makes equal are one."""
    world = World(TABLES[name][0], line, contacts=2)
    for part in parts_of(world):
        if part.kind == "logs":
            every = len([patch for patch in world.log_patches() if patch]) ** part.size
        elif line is None:
            every = sum(weight for _, weight in world.states_of(part.size))
        else:
            every = part.estimate
        if part.kind != "calls":
            whole, drawn = [*part.all_cases()], [*part.sample()]
            shown = {repr(each[1]) for each in whole}
            assert len(whole) == len(shown) == part.estimate
            assert every == sum(weight for *_, weight in whole)
            assert shown <= {repr(each[1]) for each in drawn}


def test_contacts_that_are_merged_hold_every_value_clock_and_time() -> None:
    """Blank, the default and what is blank inside a mapping among them."""
    lines = {"id": line(), "note": field(rule=latest(by="at")), "at": field()}
    lines["more"] = field(rule=deep, default={"lang": "en"})
    policy = Policy(
        first_match("id"), merging(lines, {"more": last_updated, "note": keep})
    )
    notes = [state for state, _ in World(policy, "note").merges(2)]
    more = [state for state, _ in World(policy, "more").merges(2)]

    assert (4 * 3) ** 2 == len(notes)
    assert 6**2 * 2 == len(more)
    held = {repr(contact.get("more")) for state in more for contact, _ in state}
    assert {"None", "''"} < held
    assert {repr(freeze(v)) for v in ({"lang": "en"}, {"a": ""}, {"a": "x"})} < held
    assert 2 == len({tuple(c.updated_at for c, _ in state) for state in more})
    assert {None, 1, 2} == {c.clocks.get("note") for state in notes for c, _ in state}


@pytest.mark.parametrize("line", [None, "name"], ids=["keys", "line"])
@pytest.mark.parametrize("name", ["single", "remembered", "clocked"])
def test_what_is_drawn_is_all_at_last(name: str, line: str | None) -> None:
    """Each state, up to the names of its forms, with each patch."""
    world = World(TABLES[name][0], line, contacts=1)
    due = {
        (repr(trial.state), repr(trial.patch))
        for places, _ in world.states_of(1)
        for trial, _ in world.trials(places)
    }
    drawn = [(repr(t.state), repr(t.patch)) for t, _ in world.sample(1)]

    assert due <= {*drawn}
    assert len({*drawn}) == len(drawn)


def test_what_is_drawn_first_is_far_apart() -> None:
    """Each number comes once, and any beginning is spread over all of them."""
    for total in (1, 2, 7, 60, 1009):
        assert [*range(total)] == sorted(spread(total))
    first = sorted(islice(spread(10**400), 10))
    gaps = [(b - a) / 10**400 for a, b in pairwise(first)]

    assert 0.05 < min(gaps)
    assert max(gaps) < 0.2


@pytest.mark.parametrize("sent", ["x", "y"])
@pytest.mark.parametrize("stored", [None, "x", "y", ""])
def test_a_rule_that_misbehaves_for_one_value_is_found(stored: Any, sent: str) -> None:
    """Wherever the field is spelled out for the contacts that a call reads alone."""

    def once_wrong(was: Any, new: Any) -> Any:
        return f"{new}!" if (was, new) == (stored, sent) else new

    def flips(was: Any, new: Any) -> Any:
        return "?" if was == f"{sent}!" else once_wrong(was, new)

    policy = Policy(
        first_match("id", "email"),
        {"id": line(unique=True), "email": email(), "name": field(rule=custom(flips))},
        on_ambiguous="oldest",
    )
    world = World(policy, "name", contacts=2, values={"name": ["x", "y"]})
    trials = (trial for places, _ in world.states for trial, _ in world.trials(places))
    found = next(trial for trial in trials if is_broken(trial))

    assert (sent, len(found.before)) == (
        found.patch["name"],
        int(stored not in (None, sent)),
    )


def is_broken(trial: Trial) -> bool:
    try:
        CALLS["idempotent"](trial)
    except LawBroken:
        return True
    return False


def test_who_stands_by_is_not_spelled_out() -> None:
    """Of a contact that a call does not read, one state stands for all its values."""
    world = World(SINGLE, "name", contacts=2)
    place = next(p for p, _ in world.states if len(p) == 2 and 0 not in p)
    made = [(t, n) for t, n in world.trials(place) if t.patch == {"id": 7}]
    unread = [(t, n) for t, n in world.trials(place) if t.patch == {"name": "x"}]

    assert [4] * 4 == [times for _trial, times in made]
    assert [(16, {"name"})] == [(n, {*t.patch}) for t, n in unread]


def test_what_is_refused_reads_nobody() -> None:
    """One state stands for all values of all contacts."""
    lines = {"id": line(), "name": field(null="reject")}
    world = World(Policy(first_match("id"), lines), "name", contacts=1)
    refused = {"id": 7, "name": None}

    assert [1, 4, 4] == [
        times
        for places, _weight in world.states
        for trial, times in world.trials(places)
        if trial.patch == refused
    ]


def test_needed_fields_are_in_every_patch_but_one() -> None:
    """What is missing is tried too, by the empty patch."""
    policy = Policy(
        first_match("id"), {"id": line(), "a": field(required=True), "b": field()}
    )
    world = World(policy, "b", contacts=1)

    assert [{}] == [patch for patch in world.patches if "a" not in patch]
    assert {"x"} == {patch["a"] for patch in world.patches if patch}
    assert all("a" in patch for patch in world.log_patches())


def test_where_clashes_are_allowed_two_hold_one_key() -> None:
    """Else no state of the world has it."""
    lines = {"id": line(unique=True)}
    free = Policy(first_match("id"), lines, on_key_in_use="allow")

    assert 1 + 3 + 9 == sum(w for _, w in World(free, None, contacts=2).states)
    assert 1 + 3 + 7 == sum(w for _, w in World(SINGLE, None, contacts=2).states)


def test_a_limit_holds_for_aliases_too() -> None:
    """No contact of the world holds more forms than it may."""
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
def test_names_that_count_are_not_renamed(policy: Policy) -> None:
    """Where values are ordered or blocked, both names are tried."""
    world = World(policy, None, contacts=2)

    assert {1} == {weight for _places, weight in world.states}


def test_keys_that_share_a_field_are_renamed_together() -> None:
    """And those that do not, apart."""
    keys = {"pair": key("id", "email", normalize=(normalize.exact, normalize.email))}
    lines = {"id": line(), "email": email()}
    apart = Policy(first_match("id"), lines)
    joined = Policy(first_match("id"), lines, keys=keys)

    for policy, swaps in ((apart, 3), (joined, 1)):
        letters = [key_letters(policy, name, {}) for name in ("id", "email")]
        assert swaps == len(Shapes(policy, letters).swaps())


def test_a_value_without_forms_is_its_own_renaming() -> None:
    """A field that no key is made of has no letters."""
    assert 1 == Letters("name", ("x", "y"), ("x", "y")).swapped(1)


def item(value: Any) -> dict[str, Any]:
    return {"value": value, "metadata": {}}


def values_of(value: Any) -> Any:
    """Take the values out of items, as a host's normaliser for such a field."""
    return normalize.email(value["value"]) if isinstance(value, Mapping) else None


def listed(value: Any) -> Any:
    if not isinstance(value, (tuple, list)):
        raise ValueError("must be a list")  # noqa: TRY004 - a bad value is this
    return value


def a_date(value: Any) -> Any:
    if str(value)[4:5] != "-":
        raise ValueError("must be a date")
    return value


def a_phone(value: Any) -> Any:
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
        (field(key=normalize.exact, clean=a_date), ("2024-01-02", "2024-01-03")),
        (
            line(clean=listed),
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
def test_a_key_has_two_forms_in_two_spellings(line: Any, sent: tuple[Any, ...]) -> None:
    """Of the kind that its normaliser knows and its line takes."""
    policy = Policy(first_match("id"), {"id": line})
    found = key_letters(policy, "id", {})

    assert sent == found.sent
    assert {(0,), (1,)} <= {*found.forms}
    for place, forms in enumerate(found.forms):
        assert tuple([1 - n for n in forms]) == found.forms[found.swapped(place)]


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
        (field(clean=a_date), ("2024-01-02", "2024-01-03", "x")),
        (field(clean=normalize.phone), ("+15550001111", "+15550002222", "x")),
    ],
    ids=map(str, range(12)),
)
def test_a_line_has_two_values(line: Any, sent: tuple[Any, ...]) -> None:
    """Which its rule and ``clean`` take, and perhaps one of which they make nothing."""
    policy = Policy(never(), {"n": line, "at": field()})

    assert sent == field_letters(policy, "n", {}).sent


def test_a_host_whose_functions_know_one_kind_is_asked_on() -> None:
    """What they raise of another kind is no value of theirs."""
    lines = {"id": email(clean=str.lower), "n": field(clean=lambda v: v + 1)}
    policy = Policy(first_match("id"), lines)

    assert ("ada@x.org", "bob@x.org") == key_letters(policy, "id", {}).stored
    assert (1, 2) == field_letters(policy, "n", {}).sent


def test_a_host_may_give_the_values() -> None:
    """They are sent as they are, and the two normal forms found in them."""
    policy = Policy(first_match("id"), {"id": email(), "n": field()})
    given: Table = {"id": ["a@x", "A@x", "b@x", "c@x", None], "n": ["u", "v", "w"]}

    assert ("a@x", "A@x", "b@x") == key_letters(policy, "id", given).sent
    assert ((0,), (1,)) == key_letters(policy, "id", given).forms
    assert ("u", "v", "w") == field_letters(policy, "n", given).sent


def test_a_key_has_odd_values() -> None:
    """White space, and of what makes no key a stored value and a blocked one."""
    lines = {"id": line(), "email": email(clean=str.lower)}
    lines |= {"list": line(clean=listed), "code": line(clean=a_date)}
    match = first_match("id")
    blocks = Policy(match, blocking(lines, {"id": ("n/a",)}), on_blocked="ignore")
    found = [key_letters(each, "id", {}).odd for each in (Policy(match, lines), blocks)]
    others = [key_letters(blocks, n, {}).odd for n in ("email", "list", "code")]

    assert [(" \t", True), (" \t", "n/a", True)] == found
    assert [(" \t", "n/a"), (" \t", [True]), (" \t",)] == others


def test_odd_values_are_sent_one_at_a_time() -> None:
    """Beside what is omitted, and what is plain."""
    world = World(PAIR, None, contacts=0)
    odd = [{*patch.values()} & {" \t", True, "n/a"} for patch in world.patches]

    assert 7 * 7 == len([each for each in odd if not each])
    assert 2 * 2 * 3 == len([each for each in odd if len(each) == 1])
    assert len(odd) == world.patch_count == 7 * 7 + 2 * 2 * 3


@pytest.mark.parametrize("given", [[], ["a"], ["a", "a"], ["a", None]])
def test_values_that_are_too_few_are_refused(given: list[Any]) -> None:
    """The field is named, and what it needs."""
    policy = Policy(first_match("id"), {"id": line(), "n": field()})
    with pytest.raises(ValueError) as keyed:
        key_letters(policy, "id", {"id": given})
    with pytest.raises(ValueError) as lined:
        field_letters(policy, "n", {"n": given})

    expected = (
        "id: needs two values of different normal forms; "
        "pass some, as in values={'id': ['a', 'b']}"
    )
    assert expected == str(keyed.value)
    expected = (
        "n: needs two values that the policy takes; "
        "pass some, as in values={'n': ['a', 'b']}"
    )
    assert expected == str(lined.value)


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
def test_each_normaliser_of_the_library_has_values_of_two_forms(
    normalizer: Any,
) -> None:
    policy = Policy(first_match("id"), {"id": field(key=normalizer)})
    letters = key_letters(policy, "id", {})

    assert {form for forms in letters.forms for form in forms} == {0, 1}


def test_lines_are_one_of_each_kind() -> None:
    """A clock is tried with what goes by it; what is undeclared counts as ``other``."""
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
