"""What keys cost is counted at n and at 4n, never timed: it grows as n does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count, product
from types import SimpleNamespace
from typing import Any

import pytest

from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Policy,
    all_agree,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.engine import decide as plan
from upsertcore.engine.max_forms import exceeds_max_forms
from upsertcore.engine.patch import Request
from upsertcore.engine.rematch import rematches
from upsertcore.engine.target import Target
from upsertcore.engine.uniqueness import KeyHoldings, assign_keys
from upsertcore.errors import AmbiguousMatch
from upsertcore.matching.ambiguity import PICKS
from upsertcore.matching.protocol import Match
from upsertcore.matching.strategies import FIRST_MATCH
from upsertcore.policy.held_forms import held_forms
from upsertcore.policy.key_checks import make_keys
from upsertcore.policy.policy import compiled
from upsertcore.rules import keep, union

SMALL, LARGE = 250, 1_000
EXACT = field(key=normalize.exact)


class Form(str):
    """Text that counts how often it is compared, and how often it is looked up."""

    __slots__ = ()
    times = 0

    def __eq__(self, other: object) -> bool:
        Form.times += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        Form.times += 1
        return str.__hash__(self)


def forms(size: int, first: int = 0) -> tuple[Form, ...]:
    return tuple(Form(f"{number}") for number in range(first, first + size))


def compared(call: Callable[[int], Any]) -> None:
    """See that four times as many forms are compared four times as often."""
    counts = []
    for size in (SMALL, LARGE):
        prepared = call(size)
        Form.times = 0
        prepared()
        counts.append(Form.times)

    assert counts[0] > 0
    assert counts[1] <= 4.4 * counts[0]


class View:
    """Answers that nobody holds a form, or always the same contacts."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids

    def holders(self, _key: str, _form: str, _scope: str) -> tuple[str, ...]:
        return self.ids


def asked_of(policy: Policy, patch: dict[str, Any], *ids: str) -> Any:
    """Ask about a patch of keys of one field, in whose forms comparing is counted."""
    view: Any = View(*ids)
    made = {name: tuple(map(Form, value)) for name, value in patch.items()}
    asked = Request(compiled(policy).by_name, (patch, {}), view, "", policy.match, made)
    for name, each in made.items():
        asked.hits[name] = tuple([(form, ids) for form in each])
    return asked


class TestForms:
    """Forms of a long list are never compared each with each."""

    POLICY = Policy(first_match("e"), {"e": EXACT})

    def test_whether_a_patch_finds_its_contact_again(self) -> None:
        """All of its forms are held, or the strategy is asked about them."""

        def all_held(size: int) -> Callable[[], bool]:
            asked = asked_of(self.POLICY, {"e": forms(size)})
            return lambda: rematches(self.POLICY, asked, Match(), (forms(size),))

        def some_held(size: int) -> Callable[[], bool]:
            asked = asked_of(self.POLICY, {"e": forms(size)}, "c-1")
            held = forms(size, size // 2)
            return lambda: rematches(self.POLICY, asked, Match("c-1"), (held,))

        compared(all_held)
        compared(some_held)

    def test_what_a_contact_holds(self) -> None:
        """Its aliases are those that its fields do not make."""

        def held(size: int) -> Callable[[], Any]:
            values = tuple(map(str, range(size)))
            contact: Any = SimpleNamespace(
                fields={"e": values}, aliases={"e": forms(size, size // 2)}
            )
            return lambda: held_forms(self.POLICY, contact)

        compared(held)

    @pytest.mark.parametrize("keep_aliases", [True, False])
    @pytest.mark.parametrize("absorbs", [True, False])
    def test_what_a_draft_claims(self, *, keep_aliases: bool, absorbs: bool) -> None:
        """Its new forms, and those that stay as aliases."""
        line = field(key=normalize.exact, unique=True, keep_aliases=keep_aliases)
        policy = Policy(first_match("e"), {"e": line})

        def claims(size: int) -> Callable[[], KeyHoldings]:
            other: Any = SimpleNamespace(aliases={"e": forms(size, 2 * size)})
            before: Any = SimpleNamespace(
                fields={}, clocks={}, aliases={"e": forms(size, size)}
            )
            gone = ((other, (forms(size, 3 * size),)),) if absorbs else ()
            family = Target(before, (forms(2 * size),), gone)
            asked = asked_of(policy, {"e": forms(size, size // 2)})
            draft: Any = SimpleNamespace(
                after=asked.sent, moved={"e"}, cleared_values=lambda _names: {}
            )
            return lambda: assign_keys(policy, asked, draft, family)

        compared(claims)

    def test_who_else_was_hit(self) -> None:
        """Every holder of every form is named once."""

        def found(size: int) -> Callable[[], Match]:
            ids = forms(size)
            hits = tuple([("form", (id,)) for id in ids])

            class Probe:
                """Gives the hits."""

                def __call__(self, name: str) -> Any:
                    return hits

                def held_forms(self, id: str, name: str) -> tuple[str, ...]:
                    raise NotImplementedError

            return lambda: FIRST_MATCH(("e",), Probe(), PICKS["oldest"])

        compared(found)

    def test_the_names_of_keys(self) -> None:
        """A strategy and a policy take many keys."""

        def strategy(size: int) -> Callable[[], Any]:
            names = forms(size)
            return lambda: first_match(*names)

        def keys(size: int) -> Callable[[], Any]:
            named = dict.fromkeys(forms(size), key("a", "b", normalize=str))
            return lambda: make_keys({}, named)

        compared(strategy)
        compared(keys)


def called(call: Callable[[], object]) -> int:
    """Count the calls that one call makes of functions, the library's and Python's."""
    calls = 0

    def note(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if event in ("call", "c_call") and "upsertcore" in frame.f_code.co_filename:
            calls += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return calls


def book(policy: Policy, *patches: dict[str, Any]) -> ContactBook:
    """Make a book of contacts 0, 1, ..., each created without matching."""
    numbers = count()
    made = ContactBook(policy, ids=lambda: f"{next(numbers)}")
    for patch in patches:
        made.create(patch)
    return made


def mails(size: int, name: str = "a") -> list[str]:
    return [f"{name}{number}@x" for number in range(size)]


MAIL = field(key=normalize.email, rule=union, unique=True, keep_aliases=True)


def plan_of_a_list(size: int) -> Callable[[], object]:
    made = book(Policy(first_match("e"), {"e": MAIL}), {"e": mails(size)})
    return lambda: made.plan({"e": [*mails(size), "new@x"]})


def plan_of_a_list_that_is_kept(size: int) -> Callable[[], object]:
    lines = {"e": field(key=normalize.email, rule=keep)}
    made = book(Policy(first_match("e"), lines), {"e": mails(size)})
    return lambda: made.upsert({"e": [*mails(size // 2), *mails(size, "z")]})


def merge_of_many(size: int) -> Callable[[], object]:
    lines = {"e": MAIL, "tags": field(rule=union)}
    policy = Policy(merge_all("e"), merging(lines, {"e": union, "tags": union}))
    every = [{"e": [each], "tags": [each]} for each in mails(size)]
    made = book(policy, *every)
    return lambda: made.upsert({"e": mails(size)})


def merge_by_a_shared_phone(size: int) -> Callable[[], object]:
    policy = Policy(merge_all("e", "tel"), {"e": MAIL, "tel": EXACT})
    made = book(policy, *[{"e": [each], "tel": 1} for each in mails(size)])
    return lambda: made.upsert({"tel": 1})


def guard_over_a_shared_phone(size: int) -> Callable[[], object]:
    match = first_match("id", "tel", guard="strict", on_contradiction="drop")
    policy = Policy(match, {"id": EXACT, "tel": EXACT}, on_ambiguous="oldest")
    made = book(policy, *[{"id": number, "tel": 1} for number in range(size)])
    return lambda: made.upsert({"id": -1, "tel": 1})


def guard_over_lists(size: int) -> Callable[[], object]:
    match = first_match("id", "tel", guard="if_set")
    exact = field(key=normalize.exact, rule=union)
    policy = Policy(match, {"id": exact, "tel": exact}, on_ambiguous="oldest")
    tels = [*range(size)]
    made = book(policy, *[{"id": [n], "tel": tels} for n in (1, 2, 3)])
    return lambda: made.upsert({"id": [*range(4, size)], "tel": tels})


def list_that_joins(size: int) -> Callable[[], object]:
    mail = key("main", "more", normalize=normalize.email, any_of=True, append_new=True)
    lines = {"id": EXACT, "main": field(), "more": field()}
    policy = Policy(first_match("id"), lines, keys={"mail": mail})
    made = book(policy, {"id": 1, "main": "m@x", "more": mails(size)})
    return lambda: made.upsert({"id": 1, "main": [*mails(size), *mails(size, "z")]})


def list_that_is_withheld(size: int) -> Callable[[], object]:
    who = key("e", "city", normalize=normalize.text)
    lines = {"id": EXACT, "e": MAIL, "city": field()}
    how: Any = {"keys": {"who": who}, "on_key_in_use": "withhold"}
    made = book(
        Policy(first_match("id"), lines, **how),
        *[{"id": n, "e": [each]} for n, each in enumerate(mails(size))],
    )
    return lambda: made.upsert({"id": -1, "e": mails(size), "city": "Oslo"})


def several_that_do_not_agree(size: int) -> Callable[[], object]:
    policy = Policy(all_agree("e"), {"e": MAIL})
    made = book(policy, *[{"e": [each]} for each in mails(size)])

    def call() -> None:
        with pytest.raises(AmbiguousMatch) as caught:
            made.upsert({"e": mails(size)})
        assert len(str(caught.value)) < 200

    return call


def key_that_a_limit_drops(size: int) -> Callable[[], object]:
    limited = field(key=normalize.email, rule=union, max_forms=5, keep_aliases=True)
    policy = Policy(
        merge_all("e", "tel"), {"e": limited, "tel": EXACT}, on_limit="drop"
    )
    made = book(policy, *[{"e": [each], "tel": 1} for each in mails(size)])
    return lambda: made.upsert({"e": ["a1@x"], "tel": 1})


def find_by_a_list(size: int) -> Callable[[], object]:
    made = book(Policy(first_match("e"), {"e": MAIL}), {"e": mails(size)})
    return lambda: made.find("e", mails(size))


def what_is_told(size: int) -> Callable[[], object]:
    made = book(Policy(first_match("e"), {"e": MAIL}), {"e": mails(size)})
    plan = made.plan({"e": [*mails(size), *map(str, range(size))]})
    return plan.explain


@pytest.mark.parametrize(
    "case",
    [
        plan_of_a_list,
        plan_of_a_list_that_is_kept,
        merge_of_many,
        merge_by_a_shared_phone,
        guard_over_a_shared_phone,
        guard_over_lists,
        list_that_joins,
        list_that_is_withheld,
        several_that_do_not_agree,
        key_that_a_limit_drops,
        find_by_a_list,
        what_is_told,
    ],
    ids=lambda case: case.__name__,
)
def test_calls_grow_with_what_is_sent_and_hit(
    case: Callable[[int], Callable[[], object]],
) -> None:
    """Four times as much makes four times as many calls, and a few more."""
    small, large = (called(case(size)) for size in (100, 400))

    assert large <= 4.4 * small


def test_as_many_keys_stay_as_the_limits_let() -> None:
    """As many as if the lowest were left out one by one, over every small book."""
    names = ("a", "b", "c", "d")
    lines = {
        n: field(key=normalize.exact, keep_aliases=True, max_forms=2) for n in names
    }
    policy = Policy(merge_all(*names), lines, on_limit="drop")
    left_out = set()
    for held in product(range(3), repeat=len(names)):
        rows: list[dict[str, Any]] = [{}, {}, {}]
        for name, number in zip(names, held, strict=True):
            rows[number][name] = "1"
        for number, row in enumerate(rows):
            row.update({n: [str(number), "x"] for n in ("a", "c") if n not in row})
        book = ContactBook(policy)
        for row in rows:
            book.create(row)
        sent = dict.fromkeys(names, "1")
        patch = sent, dict[str, str]()
        asked = Request(compiled(policy).by_name, patch, book._index, "", policy.match)
        found, shorter = plan._match(policy, asked)
        by_one, one = _one_by_one(policy, asked)

        assert (found, shorter.sent, shorter.ignored) == (by_one, one.sent, one.ignored)
        assert shorter.dropped_keys == one.dropped_keys
        left_out.add(len(shorter.dropped_keys))
    assert left_out == {0, 1, 2, 3}


def _one_by_one(policy: Policy, asked: Request) -> tuple[Match, Request]:
    found = policy.match.resolve(policy.match.keys, asked, PICKS["oldest"])
    carried = [name for name in policy.match.keys if asked.hits[name]]
    if len(carried) == 1 or not exceeds_max_forms(policy, asked, found):
        return found, asked
    return _one_by_one(policy, asked.without(carried[-1:], "limit"))


def test_a_thousand_keys_are_dropped() -> None:
    """However many they are."""
    names = [f"k{number}" for number in range(1_100)]
    lines = {
        n: field(key=normalize.exact, keep_aliases=True, max_forms=1) for n in names
    }
    book = ContactBook(Policy(merge_all(*names), lines, on_limit="drop"))
    book.create(dict.fromkeys(names, "1"))
    outcome = book.upsert({**dict.fromkeys(names, "2"), "k0": "1"})

    assert outcome.unchanged
    assert len(outcome.ignored) == len(names) - 1
