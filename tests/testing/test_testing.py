"""The test kit of the package: strategies, machines and checks for hosts."""

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
from upsertcore.rules import add, custom, latest, replace
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


def smallest(strategy: st.SearchStrategy[Any], wanted: Any) -> Any:
    """Return the smallest drawn value that satisfies a condition."""
    return find(
        strategy,
        wanted,
        settings=settings(QUICK, max_examples=5_000, phases=tuple(Phase)),
    )


def any_drawn(strategy: st.SearchStrategy[Any], wanted: Any) -> Any:
    """Return a drawn value that satisfies a condition."""
    search = settings(QUICK, max_examples=5_000)
    return find(strategy, wanted, settings=search)


@cache
def drawn_policies() -> list[Policy]:
    """Draw policies, the same each time."""
    found: list[Policy] = []

    @settings(QUICK, max_examples=400)
    @given(policies())
    def draw(policy: Policy) -> None:
        found.append(policy)

    draw()
    return found


def run_machine(machine: type[BookMachine]) -> None:
    run_state_machine_as_test(machine, settings=QUICK)


def broken_law(machine: type[BookMachine]) -> str:
    """Run a machine that fails; return the law that it names."""
    with pytest.raises(LawBroken) as error:
        run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=600))
    return error.value.law


# Strategies


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
def test_patches_omit_clear_and_send_fields(wanted: Any) -> None:
    """Keys have two forms, in several spellings."""
    assert wanted(smallest(patches(POLICY), wanted))


def test_patches_of_a_policy_with_keys_alone_have_the_key() -> None:
    policy = Policy(first_match("email"), {"email": EMAIL})

    assert {"email": "ada@x.org"} == smallest(patches(policy), lambda patch: patch)


def test_patches_mostly_have_the_required_fields() -> None:
    """So most of them create a contact."""
    policy = Policy(
        first_match("email"), {**POLICY.fields, "zip": field(required=True)}
    )
    complete = smallest(patches(policy), lambda patch: "zip" in patch)

    assert {"email": "ada@x.org", "zip": "x"} == complete
    assert "zip" not in smallest(patches(policy), lambda patch: "zip" not in patch)


def test_clock_is_a_number_unless_its_field_refuses_numbers() -> None:
    def day(value: Any) -> Any:
        if not isinstance(value, str) or "-" not in value:
            raise ValueError("must be a day")
        return value

    lines = {"email": EMAIL, "city": field(rule=latest(by="at"))}
    numbers = Policy(first_match("email"), {**lines, "at": field()})
    days = Policy(first_match("email"), {**lines, "at": field(clean=day)})

    def has_clock(patch: Any) -> bool:
        return bool(patch.get("at"))

    assert smallest(patches(numbers), has_clock)["at"] == 1
    assert smallest(patches(days), has_clock)["at"] == "2024-01-02"


def test_patches_have_undeclared_fields_where_allowed() -> None:
    """Named "other", or as the given values name them."""
    by = latest(by="at")
    lines = {"email": EMAIL, "at": field()}
    policy = Policy(first_match("email"), lines, extra_fields=field(rule=by))
    drawn = patches(policy, values={"city": ["Rome"], "other": ["x"]})

    assert smallest(patches(policy), lambda patch: patch.get("other"))["other"] == "x"
    assert smallest(drawn, lambda patch: patch.get("city"))["city"] == "Rome"


def test_field_without_known_values_needs_them() -> None:
    """Given values are sent unchanged."""

    def refuse_other_codes(value: Any) -> Any:
        if value != "XK-7":
            raise ValueError("must be the code")
        return value

    lines = {"email": EMAIL, "code": field(clean=refuse_other_codes)}
    policy = Policy(first_match("email"), lines)

    with pytest.raises(ValueError, match="code: needs two values"):
        patches(policy)
    drawn = patches(policy, values={"code": ["XK-7"]})
    assert smallest(drawn, lambda patch: patch.get("code"))["code"] == "XK-7"


@pytest.mark.parametrize("name", ["code", "person"])
def test_key_without_known_forms_needs_values(name: str) -> None:
    form = {"XK-7": "7", "XK-8": "8"}.get
    lines = {"code": field(), "name": field()}
    keys = {"person": key("name", "code", normalize=(normalize.text, form))}
    if name == "code":
        lines["code"], keys = field(key=form), {}
    policy = Policy(first_match(name), lines, keys=keys)

    with pytest.raises(ValueError, match="code: needs two values"):
        books(policy)
    drawn = patches(policy, values={"code": ["XK-7", "XK-8"]})
    assert smallest(drawn, lambda patch: patch.get("code") == "XK-8")


def test_books_have_contacts_of_the_given_scopes() -> None:
    """They may be empty, and several contacts may hold one key."""
    policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    drawn = books(policy, scopes=("", "east"))

    assert len(smallest(drawn, lambda book: len(book) == 0)) == 0
    east = smallest(drawn, lambda book: book.find("email", "ada@x.org", scope="east"))
    assert ["c-1"] == [contact.id for contact in east]
    twins = smallest(drawn, lambda book: book.duplicates())
    assert len(twins.changes_since()) == 2


def test_same_draw_gives_the_same_book() -> None:
    """Ids and times are the book's own, so rows can be compared."""

    def has_two(book: ContactBook) -> bool:
        return len(book) == 2

    assert (
        smallest(books(POLICY), has_two).dump()
        == smallest(books(POLICY), has_two).dump()
    )


def test_book_is_drawn_under_a_policy_that_refuses_patches() -> None:
    """The refused patches are left out."""
    policy = Policy(never(), {"email": field(key=normalize.email, null="reject")})

    @settings(max_examples=30, database=None)
    @given(books(policy))
    def check_emails(book: ContactBook) -> None:
        assert all(contact.get("email", "") is not None for contact in book)

    check_emails()


@settings(max_examples=30)
@given(contacts(POLICY, scopes=("east",)))
def test_contact_has_a_scope_and_an_id_of_a_book(contact: Contact) -> None:
    assert contact.scope == "east"
    assert contact.id.startswith("c-")


@given(policies(), policies(strict=True, match=merge_all, on_key_in_use=("withhold",)))
def test_policies_use_the_vocabulary_and_the_given_options(
    one: Policy, other: Policy
) -> None:
    assert {*one.fields} == {*other.fields} == {*POOLS} - {"extra"}
    assert ("merge_all", "withhold") == (other.match.name, other.on_key_in_use)
    assert "idempotent" in other.fields["score"].rule.laws


def test_strict_policy_that_merges_under_a_guard_allows_no_key_in_use() -> None:
    """With ``"allow"`` a second call may merge what the first one kept apart."""
    drawn = policies(strict=True, match=merge_all)
    guarded = smallest(drawn, lambda policy: policy.match.guard is not None)

    assert guarded.on_key_in_use != "allow"


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
        lambda policy: (
            policy.extra_fields is not None
            and (policy.extra_fields.null, policy.extra_fields.blank)
            == ("ignore", "clear")
        ),
        lambda policy: policy.extra_fields is not None and policy.extra_fields.many,
        lambda policy: any(
            key.max_forms and key.keep_aliases for key in policy.all_keys
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
        "empty_others",
        "lists_of_others",
        "limited_memory",
        "defaults_and_needs",
    ],
)
def test_policies_have_rare_options(wanted: Any) -> None:
    assert any(map(wanted, drawn_policies()))


def test_vocabulary_takes_functions_of_the_host() -> None:
    """A rule, a normaliser and a cleaning function."""
    own_rule = custom(lambda _stored, sent: sent, name="mine")
    words = Vocabulary(rule=own_rule, normaliser=normalize.text, clean=str)
    drawn = policies(vocabulary=words)

    assert any_drawn(
        drawn,
        lambda policy: policy.extra_fields and policy.extra_fields.rule is own_rule,
    )
    assert any_drawn(drawn, lambda policy: policy.fields["email"].key is normalize.text)
    assert any_drawn(drawn, lambda policy: policy.fields["name"].clean is str)


def test_clean_of_drawn_policies_refuses_two_values() -> None:
    with pytest.raises(ValueError, match="must be better"):
        tidy("bad")


@settings(max_examples=20)
@given(policies(), st.data())
def test_pools_have_values_for_every_drawn_policy(
    policy: Policy, data: st.DataObject
) -> None:
    book = data.draw(books(policy, values=POOLS, max_calls=3))
    check_log(policy, [data.draw(patches(policy, values=POOLS)) for _ in "ab"])
    assert len(book) <= 3


@settings(max_examples=30)
@given(json_values(), rich_text())
def test_json_values_are_stored_and_text_is_normalised(value: Any, text: str) -> None:
    policy = Policy(
        first_match("email"), {"email": EMAIL}, extra_fields=field(rule=replace)
    )
    book = new_book(policy)

    assert book.upsert({"email": "ada@x.org", "any": value}).created
    assert normalize.email(text) is None or isinstance(normalize.email(text), str)


def test_sample_normaliser_shows_the_broken_law_and_the_value() -> None:
    sample_normaliser(normalize.phone)

    with pytest.raises(LawBroken, match="total: for '' it returns ''"):
        sample_normaliser(lambda value: str(value).strip())
    with pytest.raises(LawBroken, match="idempotent: for 'aa' it returns 'a'"):
        sample_normaliser(lambda text: text[1:] or None, st.just("aa"))


# The machine, under sound policies


class PlainMachine(BookMachine):
    policy = POLICY


class AllowingMachine(BookMachine):
    """Clashes are allowed, so the book cannot be loaded; it keeps no changes."""

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


class RefusingMachine(BookMachine):
    """Clashes and updates are refused."""

    policy = Policy(
        first_match("email"),
        {"email": EMAIL, "phone": field(key=normalize.phone, unique=True)},
        on_found="refuse",
        on_deleted="restore",
    )


@pytest.mark.parametrize("machine", [PlainMachine, AllowingMachine, RefusingMachine])
def test_machine_passes_under_a_sound_policy(machine: type[BookMachine]) -> None:
    run_machine(machine)


def test_machine_without_a_policy_is_refused() -> None:
    class Bare(BookMachine):
        pass

    with pytest.raises(TypeError, match="policy: Bare must have one"):
        Bare()


def test_machine_accepts_duplicates_that_the_policy_keeps() -> None:
    """Under a policy that updates no contact, a group stays unmerged."""

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


@pytest.mark.parametrize("on_unknown_id", ["create", "next", "refuse"])
def test_machine_names_contacts_by_ids(on_unknown_id: Any) -> None:
    """Ids that are known, unknown, or of another scope."""

    class Named(BookMachine):
        policy = Policy(
            first_match("id", "email"),
            {"email": field(key=normalize.email)},
            id_field="id",
            on_unknown_id=on_unknown_id,
        )

    machine = Named()
    machine.book.create({"email": "ada@x.org"})
    for verb in ("update", "create", "upsert"):
        for pick in range(3):
            for scope in ("", "east"):
                machine.name_by_id(pick, {"email": "bob@x.org"}, scope, verb)
    machine.read()


@pytest.mark.parametrize("on_no_key", ["create", "refuse"])
def test_machine_identifies_visitors(on_no_key: Any) -> None:
    """That become part of a contact, or are another one, or unknown."""

    class Visited(BookMachine):
        policy = Policy(
            first_match("email"),
            {"email": field(key=normalize.email), "name": field()},
            on_no_key=on_no_key,
        )

    machine = Visited()
    for patch in ({"email": "ada@x.org"}, {"email": "bob@x.org"}, {"name": "V"}):
        machine.book.create(patch)
    for pick in range(4):
        machine.identify(pick, {"name": "Ada"}, "east")
        machine.identify(pick, {"email": "ada@x.org"}, "")
    machine.read()

    assert machine.book.get("c-3").id == "c-1"
    assert [contact.id for contact in machine.book.scan({})][:2] == ["c-1", "c-2"]


def test_machine_accepts_a_refused_merge() -> None:
    class Fixed(BookMachine):
        policy = Policy(
            first_match("id"), {"id": field(key=normalize.exact)}, on_found="refuse"
        )

    machine = Fixed()
    for number in (7, 8):
        machine.book.upsert({"id": number})
    machine.merge([0, 1])
    machine.merge([0, 1], planned=True)

    assert len(machine.book) == 2


@pytest.mark.parametrize("planned", [True, False])
def test_machine_merges_with_a_patch_that_changes_nothing_again(planned: Any) -> None:
    class Plain(BookMachine):
        policy = Policy(
            first_match("id"), {"id": field(key=normalize.exact), "visits": field()}
        )

    class Counting(BookMachine):
        policy = Policy(
            first_match("id"), {**Plain.policy.fields, "visits": field(rule=add)}
        )

    for machine in (Plain(), Counting()):
        for number in (7, 8):
            machine.book.upsert({"id": number})
        machine.merge([0, 1], {"visits": 3}, planned=planned)

        assert [dict(one.fields) for one in machine.book] == [{"id": 7, "visits": 3}]


def test_machine_class_with_a_field_without_values_is_refused() -> None:
    form = {"XK-7": "7"}.get
    with pytest.raises(ValueError, match="code: needs two values"):
        type(
            "Mine",
            (BookMachine,),
            {"policy": Policy(first_match("code"), {"code": field(key=form)})},
        )


# The machine, with broken functions and indexes


def test_machine_finds_a_rule_that_is_not_idempotent() -> None:
    """Although the rule declares the law."""

    def append(stored: Any, sent: Any) -> Any:
        return sent if stored is None or sent is None else f"{stored},{sent}"

    class AppendingMachine(BookMachine):
        policy = Policy(
            first_match("email"),
            {
                "email": EMAIL,
                "log": field(rule=custom(append, laws=("idempotent",))),
            },
        )

    assert broken_law(AppendingMachine) == "idempotent"


def test_machine_finds_a_normaliser_that_is_not_idempotent() -> None:
    class PeelingMachine(BookMachine):
        policy = Policy(
            first_match("id"),
            {"id": field(key=lambda value: str(value).removeprefix("+") or None)},
        )

    assert broken_law(PeelingMachine) in ("idempotent", "total")


class KeepingIndex(ContactIndex):  # type: ignore[misc] # a stand-in, though it is final
    """An index that never removes an entry, and whose check passes."""

    def store(self, redo: Redo) -> None:
        """Store, and keep the entries from before."""
        with self._keeping():
            super().store(redo)

    def store_row(self, before: Row | None, row: Row) -> None:
        """Store a row, and keep the entries from before."""
        with self._keeping():
            super().store_row(before, row)

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        before = {name: deepcopy(scopes) for name, scopes in self._holders.items()}
        yield
        for name, scopes in before.items():
            for scope, entries in scopes.items():
                after = self._holders[name].get(scope, {})
                self._holders[name][scope] = {**entries, **after}

    def check(self) -> None:
        """Pass."""


def test_machine_finds_an_index_that_keeps_removed_entries() -> None:
    """The check of the index itself passes."""

    class KeepingMachine(BookMachine):
        policy = Policy(
            first_match("id"),
            {"id": field(key=normalize.exact), "email": field(key=normalize.email)},
        )

        def make(self) -> ContactBook:
            return new_book(self.policy, index=KeepingIndex(["id", "email"]))

    with pytest.raises((LawBroken, KeyError)):
        run_state_machine_as_test(
            KeepingMachine, settings=settings(QUICK, max_examples=600)
        )
    machine = KeepingMachine()
    for email in ("ada@x.org", "bob@x.org"):
        machine.book.upsert({"id": 7, "email": email})
        if email == "ada@x.org":
            machine.index_is_consistent()
    with pytest.raises(LawBroken, match="index_follows: email 'ada"):
        machine.index_is_consistent()


def test_broken_check_of_an_index_is_a_broken_law() -> None:
    book = new_book(POLICY)
    id = book.upsert({"email": "ada@x.org"}).contact.id
    book._index._holders["email"][""]["eve@x.org"] = id

    with pytest.raises(LawBroken, match="index_follows: expected"):
        checks.check_index(book, ())


def test_page_that_misses_a_contact_is_a_broken_law() -> None:
    book = new_book(POLICY)
    for name in ("ada", "bob", "cy"):
        book.upsert({"email": f"{name}@x.org"})
    checks.check_scan(book)
    rows = book._index.rows[""]
    for id, row in [*rows.items()][::-1]:
        del rows[id]
        rows[id] = row

    with pytest.raises(LawBroken, match="scan: pages of ''"):
        checks.check_scan(book)


def test_check_names_the_laws_of_one_call() -> None:
    assert "idempotent" in check(new_book(POLICY), {"email": "ada@x.org"})
