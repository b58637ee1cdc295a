"""Costs of keys, counted at two sizes and never timed: they grow linearly."""

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
from upsertcore.errors import KeysDisagree
from upsertcore.matching.ambiguity import PICKS
from upsertcore.matching.protocol import Match
from upsertcore.matching.strategies import FIRST_MATCH
from upsertcore.policy.held_forms import held_forms
from upsertcore.policy.key_checks import make_keys
from upsertcore.policy.policy import compiled
from upsertcore.rules import keep, union

SMALL, LARGE = 250, 1_000
EXACT = field(key=normalize.exact)


class CountedForm(str):
    """Text that counts its comparisons and its hashes."""

    __slots__ = ()
    operations = 0

    def __eq__(self, other: object) -> bool:
        CountedForm.operations += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        CountedForm.operations += 1
        return str.__hash__(self)


def forms(size: int, first: int = 0) -> tuple[CountedForm, ...]:
    return tuple(CountedForm(f"{number}") for number in range(first, first + size))


def assert_linear_comparisons(make_call: Callable[[int], Any]) -> None:
    """Check that four times as many forms are compared about four times as often."""
    counts = []
    for size in (SMALL, LARGE):
        call_of_size = make_call(size)
        CountedForm.operations = 0
        call_of_size()
        counts.append(CountedForm.operations)

    assert counts[0] > 0
    assert counts[1] <= 4.4 * counts[0]


class View:
    """An index view that returns the same holders for every form."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids

    def holders(self, _key: str, _form: str, _scope: str) -> tuple[str, ...]:
        return self.ids


def request_of(policy: Policy, patch: dict[str, Any], *ids: str) -> Any:
    """Make a request of a patch whose forms count their comparisons."""
    view: Any = View(*ids)
    forms_by_key = {
        name: tuple(map(CountedForm, value)) for name, value in patch.items()
    }
    request = Request(
        compiled(policy).by_name, (patch, {}), view, "", policy.match, forms_by_key
    )
    for name, key_forms in forms_by_key.items():
        request.hits[name] = tuple([(form, ids) for form in key_forms])
    return request


class TestForms:
    """Forms of a long list are not compared pairwise."""

    POLICY = Policy(first_match("e"), {"e": EXACT})

    def test_rematch_compares_linearly(self) -> None:
        def all_held(size: int) -> Callable[[], bool]:
            request = request_of(self.POLICY, {"e": forms(size)})
            return lambda: rematches(self.POLICY, request, Match(), (forms(size),))

        def some_held(size: int) -> Callable[[], bool]:
            request = request_of(self.POLICY, {"e": forms(size)}, "c-1")
            held_forms_of_contact = forms(size, size // 2)
            return lambda: rematches(
                self.POLICY, request, Match("c-1"), (held_forms_of_contact,)
            )

        assert_linear_comparisons(all_held)
        assert_linear_comparisons(some_held)

    def test_held_forms_compare_linearly(self) -> None:
        def aliases_and_fields(size: int) -> Callable[[], Any]:
            values = tuple(map(str, range(size)))
            contact: Any = SimpleNamespace(
                fields={"e": values}, aliases={"e": forms(size, size // 2)}
            )
            return lambda: held_forms(self.POLICY, contact)

        assert_linear_comparisons(aliases_and_fields)

    @pytest.mark.parametrize("keep_aliases", [True, False])
    @pytest.mark.parametrize("absorbs", [True, False])
    def test_key_assignment_compares_linearly(
        self, *, keep_aliases: bool, absorbs: bool
    ) -> None:
        line = field(key=normalize.exact, unique=True, keep_aliases=keep_aliases)
        policy = Policy(first_match("e"), {"e": line})

        def assignment(size: int) -> Callable[[], KeyHoldings]:
            other: Any = SimpleNamespace(aliases={"e": forms(size, 2 * size)})
            before: Any = SimpleNamespace(
                fields={}, clocks={}, aliases={"e": forms(size, size)}
            )
            absorbed_contacts = ((other, (forms(size, 3 * size),)),) if absorbs else ()
            target = Target(before, (forms(2 * size),), absorbed_contacts)
            request = request_of(policy, {"e": forms(size, size // 2)})
            draft: Any = SimpleNamespace(
                after=request.sent, moved={"e"}, cleared_values=lambda _names: {}
            )
            return lambda: assign_keys(policy, request, draft, target)

        assert_linear_comparisons(assignment)

    def test_ambiguous_match_compares_linearly(self) -> None:
        def match(size: int) -> Callable[[], Match]:
            ids = forms(size)
            hits = tuple([("form", (id,)) for id in ids])

            class FixedHits:
                """A probe with fixed hits."""

                def __call__(self, name: str) -> Any:
                    return hits

                def held_forms(self, id: str, name: str) -> tuple[str, ...]:
                    raise NotImplementedError

            return lambda: FIRST_MATCH(("e",), FixedHits(), PICKS["oldest"])

        assert_linear_comparisons(match)

    def test_key_names_compare_linearly(self) -> None:
        """Those of a strategy and of a policy."""

        def strategy(size: int) -> Callable[[], Any]:
            names = forms(size)
            return lambda: first_match(*names)

        def keys(size: int) -> Callable[[], Any]:
            keys_by_name = dict.fromkeys(forms(size), key("a", "b", normalize=str))
            return lambda: make_keys({}, keys_by_name)

        assert_linear_comparisons(strategy)
        assert_linear_comparisons(keys)


def count_calls(call: Callable[[], object]) -> int:
    """Count the calls of functions that one call makes in this library."""
    calls = 0

    def count_event(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if event in ("call", "c_call") and "upsertcore" in frame.f_code.co_filename:
            calls += 1

    before = sys.getprofile()
    sys.setprofile(count_event)
    try:
        call()
    finally:
        sys.setprofile(before)
    return calls


def make_book(policy: Policy, *patches: dict[str, Any]) -> ContactBook:
    """Make a book of contacts 0, 1, ..., each created without matching."""
    numbers = count()
    book = ContactBook(policy, ids=lambda: f"{next(numbers)}")
    for patch in patches:
        book.create(patch)
    return book


def emails(size: int, name: str = "a") -> list[str]:
    return [f"{name}{number}@x" for number in range(size)]


EMAIL_LIST = field(key=normalize.email, rule=union, unique=True, keep_aliases=True)


def plan_with_a_list(size: int) -> Callable[[], object]:
    book = make_book(Policy(first_match("e"), {"e": EMAIL_LIST}), {"e": emails(size)})
    return lambda: book.plan({"e": [*emails(size), "new@x"]})


def upsert_of_a_kept_list(size: int) -> Callable[[], object]:
    lines = {"e": field(key=normalize.email, rule=keep)}
    book = make_book(Policy(first_match("e"), lines), {"e": emails(size)})
    return lambda: book.upsert({"e": [*emails(size // 2), *emails(size, "z")]})


def merge_of_many_contacts(size: int) -> Callable[[], object]:
    lines = {"e": EMAIL_LIST, "tags": field(rule=union)}
    policy = Policy(merge_all("e"), merging(lines, {"e": union, "tags": union}))
    patches = [{"e": [email], "tags": [email]} for email in emails(size)]
    book = make_book(policy, *patches)
    return lambda: book.upsert({"e": emails(size)})


def merge_by_a_shared_phone(size: int) -> Callable[[], object]:
    policy = Policy(merge_all("e", "tel"), {"e": EMAIL_LIST, "tel": EXACT})
    book = make_book(policy, *[{"e": [email], "tel": 1} for email in emails(size)])
    return lambda: book.upsert({"tel": 1})


def guard_over_a_shared_phone(size: int) -> Callable[[], object]:
    match = first_match("id", "tel", guard="strict", on_contradiction="drop")
    policy = Policy(match, {"id": EXACT, "tel": EXACT}, on_ambiguous="oldest")
    book = make_book(policy, *[{"id": number, "tel": 1} for number in range(size)])
    return lambda: book.upsert({"id": -1, "tel": 1})


def guard_over_lists(size: int) -> Callable[[], object]:
    match = first_match("id", "tel", guard="if_set")
    exact = field(key=normalize.exact, rule=union)
    policy = Policy(match, {"id": exact, "tel": exact}, on_ambiguous="oldest")
    tels = [*range(size)]
    book = make_book(policy, *[{"id": [number], "tel": tels} for number in (1, 2, 3)])
    return lambda: book.upsert({"id": [*range(4, size)], "tel": tels})


def list_that_is_appended(size: int) -> Callable[[], object]:
    mail = key("main", "more", normalize=normalize.email, any_of=True, append_new=True)
    lines = {"id": EXACT, "main": field(), "more": field()}
    policy = Policy(first_match("id"), lines, keys={"mail": mail})
    book = make_book(policy, {"id": 1, "main": "m@x", "more": emails(size)})
    return lambda: book.upsert({"id": 1, "main": [*emails(size), *emails(size, "z")]})


def list_that_is_withheld(size: int) -> Callable[[], object]:
    composite = key("e", "city", normalize=normalize.text)
    lines = {"id": EXACT, "e": EMAIL_LIST, "city": field()}
    options: Any = {"keys": {"who": composite}, "on_key_in_use": "withhold"}
    book = make_book(
        Policy(first_match("id"), lines, **options),
        *[{"id": number, "e": [email]} for number, email in enumerate(emails(size))],
    )
    return lambda: book.upsert({"id": -1, "e": emails(size), "city": "Oslo"})


def list_of_disagreeing_keys(size: int) -> Callable[[], object]:
    policy = Policy(all_agree("e"), {"e": EMAIL_LIST})
    book = make_book(policy, *[{"e": [email]} for email in emails(size)])

    def call() -> None:
        with pytest.raises(KeysDisagree) as caught:
            book.upsert({"e": emails(size)})
        assert len(str(caught.value)) < 200

    return call


def key_dropped_by_a_limit(size: int) -> Callable[[], object]:
    limited_key = field(key=normalize.email, rule=union, max_forms=5, keep_aliases=True)
    policy = Policy(
        merge_all("e", "tel"), {"e": limited_key, "tel": EXACT}, on_limit="drop"
    )
    book = make_book(policy, *[{"e": [email], "tel": 1} for email in emails(size)])
    return lambda: book.upsert({"e": ["a1@x"], "tel": 1})


def find_by_a_list(size: int) -> Callable[[], object]:
    book = make_book(Policy(first_match("e"), {"e": EMAIL_LIST}), {"e": emails(size)})
    return lambda: book.find("e", emails(size))


def explanation_of_a_list(size: int) -> Callable[[], object]:
    book = make_book(Policy(first_match("e"), {"e": EMAIL_LIST}), {"e": emails(size)})
    plan = book.plan({"e": [*emails(size), *map(str, range(size))]})
    return plan.explain


@pytest.mark.parametrize(
    "case",
    [
        plan_with_a_list,
        upsert_of_a_kept_list,
        merge_of_many_contacts,
        merge_by_a_shared_phone,
        guard_over_a_shared_phone,
        guard_over_lists,
        list_that_is_appended,
        list_that_is_withheld,
        list_of_disagreeing_keys,
        key_dropped_by_a_limit,
        find_by_a_list,
        explanation_of_a_list,
    ],
    ids=lambda case: case.__name__,
)
def test_calls_grow_linearly_with_forms_and_holders(
    case: Callable[[int], Callable[[], object]],
) -> None:
    """Four times as many make at most 4.4 times as many calls."""
    small, large = (count_calls(case(size)) for size in (100, 400))

    assert large <= 4.4 * small


def test_limit_drops_as_many_keys_as_dropping_one_by_one() -> None:
    """Over every small book."""
    names = ("a", "b", "c", "d")
    lines = {
        name: field(key=normalize.exact, keep_aliases=True, max_forms=2)
        for name in names
    }
    policy = Policy(merge_all(*names), lines, on_limit="drop")
    dropped_counts = set()
    for holders in product(range(3), repeat=len(names)):
        rows: list[dict[str, Any]] = [{}, {}, {}]
        for name, number in zip(names, holders, strict=True):
            rows[number][name] = "1"
        for number, row in enumerate(rows):
            row.update(
                {name: [str(number), "x"] for name in ("a", "c") if name not in row}
            )
        book = ContactBook(policy)
        for row in rows:
            book.create(row)
        values = dict.fromkeys(names, "1")
        patch = values, dict[str, str]()
        request = Request(
            compiled(policy).by_name, patch, book._index, "", policy.match
        )
        match, shorter = plan._match(policy, request)
        expected_match, expected = _match_dropping_one_by_one(policy, request)

        assert (match, shorter.sent, shorter.ignored) == (
            expected_match,
            expected.sent,
            expected.ignored,
        )
        assert shorter.dropped_keys == expected.dropped_keys
        dropped_counts.add(len(shorter.dropped_keys))
    assert dropped_counts == {0, 1, 2, 3}


def _match_dropping_one_by_one(
    policy: Policy, request: Request
) -> tuple[Match, Request]:
    match = policy.match.resolve(policy.match.keys, request, PICKS["oldest"])
    keys_with_hits = [name for name in policy.match.keys if request.hits[name]]
    if len(keys_with_hits) == 1 or not exceeds_max_forms(policy, request, match):
        return match, request
    return _match_dropping_one_by_one(
        policy, request.without(keys_with_hits[-1:], "limit")
    )


def test_limit_may_drop_a_thousand_keys() -> None:
    names = [f"k{number}" for number in range(1_100)]
    lines = {
        name: field(key=normalize.exact, keep_aliases=True, max_forms=1)
        for name in names
    }
    book = ContactBook(Policy(merge_all(*names), lines, on_limit="drop"))
    book.create(dict.fromkeys(names, "1"))
    outcome = book.upsert({**dict.fromkeys(names, "2"), "k0": "1"})

    assert outcome.unchanged
    assert len(outcome.ignored) == len(names) - 1
