"""The small world of a policy: it is complete, and has fitting sample values."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice, pairwise
from typing import Any

import pytest

from tests.field_options import blocking, merging
from upsertcore import Policy, field, first_match, key, never, normalize
from upsertcore.laws import CALLS, LawBroken, Trial
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
    values: dict[str, list[Any]] = {
        "id": ["a@x", "A@x", "b@x", "c@x", None],
        "n": ["u", "v", "w"],
    }

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
