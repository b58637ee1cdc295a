"""What hosts test their own policies, normalisers and indexes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from upsertcore import (
    Contact,
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    never,
    normalize,
)
from upsertcore.laws import LawBroken, check, check_log
from upsertcore.model.packed_row import Row
from upsertcore.policy.policy import compiled
from upsertcore.rules import custom, latest, replace
from upsertcore.store.contact_index import ContactIndex
from upsertcore.store.redo import Redo
from upsertcore.testing import (
    POOLS,
    BookMachine,
    Vocabulary,
    books,
    checks,
    contacts,
    json_values,
    new_book,
    patches,
    policies,
    rich_text,
    sample_normaliser,
)
from upsertcore.testing.vocabulary import tidy

pytestmark = pytest.mark.full

EMAIL = field(key=normalize.email, unique=True)
POLICY = Policy(first_match("email"), {"email": EMAIL, "name": field()})
QUICK = settings(
    max_examples=40,
    stateful_step_count=12,
    database=None,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


def first(strategy: st.SearchStrategy[Any], wanted: Any) -> Any:
    """Give the smallest drawn value that is wanted."""
    return find(
        strategy,
        wanted,
        settings=settings(QUICK, max_examples=5_000, phases=tuple(Phase)),
    )


def some(strategy: st.SearchStrategy[Any], wanted: Any) -> Any:
    """Give a drawn value that is wanted, whatever its size."""
    how = settings(QUICK, max_examples=5_000)
    return find(strategy, wanted, settings=how)


@cache
def many() -> list[Policy]:
    """Draw policies, the same each time."""
    drawn: list[Policy] = []

    @settings(QUICK, max_examples=400)
    @given(policies())
    def draw(policy: Policy) -> None:
        drawn.append(policy)

    draw()
    return drawn


def run(machine: type[BookMachine]) -> None:
    run_state_machine_as_test(machine, settings=QUICK)


def broken(machine: type[BookMachine]) -> str:
    """Run a machine that fails; give the law that it names."""
    with pytest.raises(LawBroken) as caught:
        run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=600))
    return caught.value.law


# What is drawn


@pytest.mark.parametrize(
    "wanted",
    [
        lambda patch: patch == {},
        lambda patch: patch.get("email", 0) is None,
        lambda patch: patch.get("name") == "",
        lambda patch: patch.get("email") == "ADA@x.org",
        lambda patch: patch.get("email") == " bob@x.org" and patch.get("name") == "y",
    ],
    ids=["empty", "null", "blank", "other_spelling", "other_form"],
)
def test_a_patch_omits_clears_and_sends(wanted: Any) -> None:
    """Fields are omitted, null and blank, and keys come in two forms and spellings."""
    assert wanted(first(patches(POLICY), wanted))


def test_a_policy_of_keys_alone_has_patches() -> None:
    """Nothing but the key can be sent, and it is."""
    policy = Policy(first_match("email"), {"email": EMAIL})

    assert {"email": "ada@x.org"} == first(patches(policy), lambda patch: patch)


def test_needed_fields_are_mostly_sent() -> None:
    """So that somebody is created; they are left out at times all the same."""
    policy = Policy(
        first_match("email"), {**POLICY.fields, "zip": field(required=True)}
    )
    has = first(patches(policy), lambda patch: "zip" in patch)

    assert {"email": "ada@x.org", "zip": "x"} == has
    assert "zip" not in first(patches(policy), lambda patch: "zip" not in patch)


def test_clocks_are_numbers_where_they_may_be() -> None:
    """The field by which others are ordered takes small numbers, or what it takes."""

    def day(value: Any) -> Any:
        if not isinstance(value, str) or "-" not in value:
            raise ValueError("must be a day")
        return value

    lines = {"email": EMAIL, "city": field(rule=latest(by="at"))}
    numbers = Policy(first_match("email"), {**lines, "at": field()})
    days = Policy(first_match("email"), {**lines, "at": field(clean=day)})

    def clocked(patch: Any) -> bool:
        return bool(patch.get("at"))

    assert first(patches(numbers), clocked)["at"] == 1
    assert first(patches(days), clocked)["at"] == "2024-01-02"


def test_undeclared_fields_are_sent_where_they_may_be() -> None:
    """By the name of ``other``, or by the names that values are given for."""
    by = latest(by="at")
    lines = {"email": EMAIL, "at": field()}
    policy = Policy(first_match("email"), lines, extra_fields=field(rule=by))
    drawn = patches(policy, values={"city": ["Rome"], "other": ["x"]})

    assert first(patches(policy), lambda patch: patch.get("other"))["other"] == "x"
    assert first(drawn, lambda patch: patch.get("city"))["city"] == "Rome"


def test_a_field_without_values_is_named() -> None:
    """What cannot be found is asked for; given, it is sent as it is."""

    def never_right(value: Any) -> Any:
        if value != "XK-7":
            raise ValueError("must be the code")
        return value

    lines = {"email": EMAIL, "code": field(clean=never_right)}
    policy = Policy(first_match("email"), lines)

    with pytest.raises(ValueError, match="code: needs two values"):
        patches(policy)
    drawn = patches(policy, values={"code": ["XK-7"]})
    assert first(drawn, lambda patch: patch.get("code"))["code"] == "XK-7"


@pytest.mark.parametrize("name", ["code", "person"])
def test_a_key_without_values_is_named(name: str) -> None:
    """A normaliser that knows no two forms of what can be found needs values."""
    form = {"XK-7": "7", "XK-8": "8"}.get
    lines = {"code": field(), "name": field()}
    keys = {"person": key("name", "code", normalize=(normalize.text, form))}
    if name == "code":
        lines["code"], keys = field(key=form), {}
    policy = Policy(first_match(name), lines, keys=keys)

    with pytest.raises(ValueError, match="code: needs two values"):
        books(policy)
    drawn = patches(policy, values={"code": ["XK-7", "XK-8"]})
    assert first(drawn, lambda patch: patch.get("code") == "XK-8")


def test_a_book_has_seen_calls() -> None:
    """Empty or not, in the scopes that are named; several may hold one key."""
    policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    drawn = books(policy, scopes=("", "east"))

    assert len(first(drawn, lambda book: len(book) == 0)) == 0
    east = first(drawn, lambda book: book.find("email", "ada@x.org", scope="east"))
    assert ["c-1"] == [contact.id for contact in east]
    twins = first(drawn, lambda book: book.duplicates())
    assert len(twins.changes_since()) == 2


def test_the_same_draw_is_the_same_book() -> None:
    """Ids and times are the book's own, so its rows can be compared."""

    def two(book: ContactBook) -> bool:
        return len(book) == 2

    assert first(books(POLICY), two).dump() == first(books(POLICY), two).dump()


def test_what_is_refused_is_left_out_of_a_book() -> None:
    """A book is drawn all the same."""
    policy = Policy(never(), {"email": field(key=normalize.email, null="reject")})

    @settings(max_examples=30, database=None)
    @given(books(policy))
    def reads(book: ContactBook) -> None:
        assert all(contact.get("email", "") is not None for contact in book)

    reads()


@settings(max_examples=30)
@given(contacts(POLICY, scopes=("east",)))
def test_a_contact_is_of_a_book(contact: Contact) -> None:
    """Of one of those that are drawn, with its scope and an id."""
    assert contact.scope == "east"
    assert contact.id.startswith("c-")


@given(policies(), policies(strict=True, match=merge_all, on_key_in_use=("withhold",)))
def test_policies_are_drawn_from_the_vocabulary(one: Policy, other: Policy) -> None:
    """Any, or some; each has values to be sent, and can be driven."""
    assert {*one.fields} == {*other.fields} == {*POOLS} - {"extra"}
    assert ("merge_all", "withhold") == (other.match.name, other.on_key_in_use)
    assert "idempotent" in other.fields["score"].rule.laws


@pytest.mark.parametrize(
    "wanted",
    [
        lambda policy: policy.match.name == "never",
        lambda policy: (
            "email" not in compiled(policy).by_name
            and "mails" in compiled(policy).by_name
        ),
        lambda policy: policy.match.name == "first_match" and len(policy.all_keys) > 3,
        lambda policy: (
            any(key.blocked for key in policy.all_keys)
            and policy.on_blocked == "ignore"
        ),
        lambda policy: (
            any(key.blocked for key in policy.all_keys)
            and policy.on_blocked == "refuse"
        ),
        lambda policy: policy.on_limit == "drop",
        lambda policy: policy.on_found == "ignore",
        lambda policy: policy.on_not_found == "refuse" or policy.on_found == "refuse",
        lambda policy: (
            policy.extra_fields is not None and policy.extra_fields.rule.by == "at"
        ),
        lambda policy: any(
            each.max_forms and each.keep_aliases for each in policy.all_keys
        ),
        lambda policy: compiled(policy).defaults and compiled(policy).required,
    ],
    ids=[
        "never",
        "no_own_key",
        "many_keys",
        "ignores_blocked",
        "refuses_blocked",
        "drops",
        "no_moves",
        "one_way",
        "clock_for_others",
        "limited_memory",
        "defaults_and_needs",
    ],
)
def test_rare_words_are_drawn_too(wanted: Any) -> None:
    """What few policies say is not forgotten."""
    assert any(map(wanted, many()))


def test_the_functions_of_a_host_can_be_other_ones() -> None:
    """A rule, a normaliser and a cleaning function of one's own stand in policies."""
    mine = custom(lambda _stored, sent: sent, name="mine")
    words = Vocabulary(rule=mine, normaliser=normalize.text, clean=str)
    drawn = policies(vocabulary=words)

    assert some(
        drawn, lambda policy: policy.extra_fields and policy.extra_fields.rule is mine
    )
    assert some(drawn, lambda policy: policy.fields["email"].key is normalize.text)
    assert some(drawn, lambda policy: policy.fields["name"].clean is str)


def test_values_of_a_pool_may_be_refused() -> None:
    """The cleaning function of drawn policies refuses two of them."""
    with pytest.raises(ValueError, match="must be better"):
        tidy("bad")


@settings(max_examples=20)
@given(policies(), st.data())
def test_pools_fit_every_drawn_policy(policy: Policy, data: st.DataObject) -> None:
    """A drawn policy, a drawn book of it, and laws that are asked of both."""
    book = data.draw(books(policy, values=POOLS, max_calls=3))
    check_log(policy, [data.draw(patches(policy, values=POOLS)) for _ in "ab"])
    assert len(book) <= 3


@settings(max_examples=30)
@given(json_values(), rich_text())
def test_text_and_values_are_what_they_say(value: Any, text: str) -> None:
    """Values can be stored, whatever they are; text can be normalised."""
    policy = Policy(
        first_match("email"), {"email": EMAIL}, extra_fields=field(rule=replace)
    )
    book = new_book(policy)

    assert book.upsert({"email": "ada@x.org", "any": value}).created
    assert normalize.email(text) is None or isinstance(normalize.email(text), str)


def test_a_normaliser_is_sampled() -> None:
    """A right one passes; a wrong one is shown with what it makes of a value."""
    sample_normaliser(normalize.phone)

    with pytest.raises(LawBroken, match="total: for '' it returns ''"):
        sample_normaliser(lambda value: str(value).strip())
    with pytest.raises(LawBroken, match="idempotent: for 'aa' it returns 'a'"):
        sample_normaliser(lambda text: text[1:] or None, st.just("aa"))


# The machine, of what is right


class Plain(BookMachine):
    policy = POLICY


class Loose(BookMachine):
    """Clashes are allowed, so it cannot be loaded; nothing is kept to be replayed."""

    policy = Policy(
        merge_all("email", "phone"),
        {
            "email": EMAIL,
            "phone": field(key=normalize.phone),
            "tags": field(),
            "id": field(key=normalize.exact),
        },
        keys={"person": key("tags", "id", normalize=normalize.exact)},
        on_key_in_use="allow",
        on_deleted="refuse",
    )
    values = {"tags": (["a", "b"], "a"), "id": (1, 2)}  # noqa: RUF012 - read only
    scopes = ("",)

    def make(self) -> ContactBook:
        return new_book(self.policy, retain_changes=0)


class Seldom(BookMachine):
    """A patch finds nobody twice; clashes are refused, and updates too."""

    policy = Policy(
        first_match("email"),
        {"email": EMAIL, "phone": field(key=normalize.phone, unique=True)},
        on_found="refuse",
        on_deleted="restore",
    )


@pytest.mark.parametrize("machine", [Plain, Loose, Seldom])
def test_a_sound_policy_passes(machine: type[BookMachine]) -> None:
    """Whatever is called, in whatever order."""
    run(machine)


def test_a_machine_needs_a_policy() -> None:
    """Without one it says so."""

    class Bare(BookMachine):
        pass

    with pytest.raises(TypeError, match="policy: Bare must have one"):
        Bare()


def test_duplicates_are_watched_and_may_be_refused() -> None:
    """Who shares a key is one group, and stays two where nobody may change."""

    class Fixed(BookMachine):
        policy = Policy(
            first_match("email"),
            {"email": field(key=normalize.email), "name": field()},
            on_found="refuse",
        )

    class Joining(BookMachine):
        policy = Policy(first_match("email"), Fixed.policy.fields)

    machine = Fixed()
    for name in ("Ada", "Eve"):
        machine.create({"email": "ada@x.org", "name": name}, "", retried=False)
    machine.dedupe(None)
    machine.read()
    machine.index_is_consistent()

    assert len(machine.book) == 2
    joining = Joining()
    for name in ("Ada", "Eve"):
        joining.create({"email": "ada@x.org", "name": name}, "", retried=False)
    joining.dedupe(None)

    assert len(joining.book) == 1


def test_a_merge_may_be_refused() -> None:
    """Where nobody is changed, nobody is merged, and that is no broken law."""

    class Fixed(BookMachine):
        policy = Policy(
            first_match("id"), {"id": field(key=normalize.exact)}, on_found="refuse"
        )

    machine = Fixed()
    for number in (7, 8):
        machine.book.upsert({"id": number})
    machine.merge([0, 1])

    assert len(machine.book) == 2


def test_a_machine_names_a_field_without_values() -> None:
    """At once, where the class is made."""
    form = {"XK-7": "7"}.get
    with pytest.raises(ValueError, match="code: needs two values"):
        type(
            "Mine",
            (BookMachine,),
            {"policy": Policy(first_match("code"), {"code": field(key=form)})},
        )


# The machine, of what is broken


def test_a_rule_that_appends_is_caught() -> None:
    """Though it declares that sending twice is sending once."""

    def appended(stored: Any, sent: Any) -> Any:
        return sent if stored is None or sent is None else f"{stored},{sent}"

    class Appending(BookMachine):
        policy = Policy(
            first_match("email"),
            {
                "email": EMAIL,
                "log": field(rule=custom(appended, laws=("idempotent",))),
            },
        )

    assert broken(Appending) == "idempotent"


def test_a_normaliser_that_is_not_idempotent_is_caught() -> None:
    """Whatever text shows it."""

    class Peeling(BookMachine):
        policy = Policy(
            first_match("id"),
            {"id": field(key=lambda value: str(value).removeprefix("+") or None)},
        )

    assert broken(Peeling) in ("idempotent", "total")


class Forgetful(ContactIndex):  # type: ignore[misc] # a stand-in, though it is final
    """An index that never takes an entry out, and sees nothing amiss."""

    def store(self, redo: Redo) -> None:
        """Store, and keep finding contacts by what they held before."""
        with self._keeping():
            super().store(redo)

    def store_row(self, was: Row | None, row: Row) -> None:
        """Do the same with a row."""
        with self._keeping():
            super().store_row(was, row)

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        held = {name: deepcopy(scopes) for name, scopes in self._holders.items()}
        yield
        for name, scopes in held.items():
            for scope, entries in scopes.items():
                now = self._holders[name].get(scope, {})
                self._holders[name][scope] = {**entries, **now}

    def check(self) -> None:
        """See nothing."""


def test_an_index_that_forgets_to_remove_is_caught() -> None:
    """What nobody holds any more leads to nobody; its own word is not taken for it."""

    class Leaving(BookMachine):
        policy = Policy(
            first_match("id"),
            {"id": field(key=normalize.exact), "email": field(key=normalize.email)},
        )

        def make(self) -> ContactBook:
            return new_book(self.policy, index=Forgetful(["id", "email"]))

    with pytest.raises((LawBroken, KeyError)):
        run_state_machine_as_test(Leaving, settings=settings(QUICK, max_examples=600))
    machine = Leaving()
    for email in ("ada@x.org", "bob@x.org"):
        machine.book.upsert({"id": 7, "email": email})
        if email == "ada@x.org":
            machine.index_is_consistent()
    with pytest.raises(LawBroken, match="index_follows: email 'ada"):
        machine.index_is_consistent()


def test_an_index_that_is_not_whole_is_caught() -> None:
    """What its own check says is told as a law that is broken."""
    book = new_book(POLICY)
    id = book.upsert({"email": "ada@x.org"}).contact.id
    book._index._holders["email"][""]["eve@x.org"] = id

    with pytest.raises(LawBroken, match="index_follows: expected"):
        checks.check_index(book, ())


def test_check_is_the_law_of_one_call() -> None:
    """The machine asks what a host can ask of one book by itself."""
    assert "idempotent" in check(new_book(POLICY), {"email": "ada@x.org"})
