"""Arguments of a book's verbs: what is refused before anything is done."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import ContactBook, Policy, errors, field, first_match, key, normalize

POLICY = Policy(first_match("email"), {"email": field(key=normalize.email)})


def book() -> ContactBook:
    """Make a book that has one contact."""
    made = ContactBook(POLICY, ids=iter(["c-1", "c-2"]).__next__)
    made.upsert({"email": "a@x"})
    return made


@pytest.mark.parametrize("policy", [None, {}, "POLICY", POLICY.match, Policy])
@pytest.mark.parametrize(
    "call",
    [
        ContactBook,
        lambda policy: ContactBook.load(policy, []),
        lambda policy: ContactBook.from_changes(policy, []),
        lambda policy: book().compare(policy, []),
    ],
    ids=["book", "load", "from_changes", "compare"],
)
def test_a_policy_that_is_none(call: Any, policy: Any) -> None:
    """Wherever one is passed."""
    with pytest.raises(errors.InvalidPolicy, match=": must be a Policy, not "):
        call(policy)


@pytest.mark.parametrize("version", ["1", True, 1.0, 0, -1, [1]], ids=repr)
def test_a_version_is_a_whole_number_from_1(version: Any) -> None:
    """No text, and no number that merely equals one; nothing is written."""
    made = book()
    with pytest.raises(errors.InvalidField, match="if_version: must be a whole"):
        made.upsert({"email": "A@x"}, if_version=version)

    assert made.get("c-1")["email"] == "a@x"
    assert made.upsert({"email": "A@x"}, if_version=1).updated


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"ids": "c-1"}, TypeError, "ids: must be a function, not 'c-1'; pass one"),
        ({"clock": 7}, TypeError, "clock: must be a function, not 7; pass one"),
        (
            {"retain_calls": -1},
            ValueError,
            "retain_calls: must be a whole number from 0",
        ),
        ({"retain_calls": True}, ValueError, "retain_calls: must be a whole number"),
        (
            {"retain_changes": True},
            ValueError,
            "retain_changes: must be a whole number",
        ),
        ({"index": []}, TypeError, "index: must be a ContactIndex, not"),
    ],
    ids=map(str, range(6)),
)
def test_what_a_book_is_made_with(options: Any, error: Any, words: str) -> None:
    """It is refused when the book is made, not at the first call."""
    with pytest.raises(error, match=words):
        ContactBook(POLICY, **options)


@pytest.mark.parametrize("number", ["0", None, 1.0, True], ids=repr)
def test_the_number_of_a_change(number: Any) -> None:
    """A whole number, such as an entry has."""
    with pytest.raises(TypeError, match="number: must be a whole number, not "):
        book().changes_since(number)


@pytest.mark.parametrize("plan", [{}, "c-1", None, POLICY], ids=map(str, range(4)))
def test_a_plan_that_is_none(plan: Any) -> None:
    """An outcome neither."""
    made: Any = book()
    for wrong in (plan, made.upsert({"email": "a@x"})):
        with pytest.raises(TypeError, match="plan: must be a Plan, not "):
            made.apply(wrong)


@pytest.mark.parametrize("outcome", [{}, "c-1", None], ids=map(str, range(3)))
def test_an_outcome_that_is_none(outcome: Any) -> None:
    """A plan or a contact neither."""
    made: Any = book()
    for wrong in (outcome, made.plan({"email": "a@x"}), made.get("c-1")):
        with pytest.raises(TypeError, match="outcome: must be an Outcome, not "):
            made.undo(wrong)


def test_the_policy_of_a_book_stays() -> None:
    """The message says how to go on under another one."""
    made: Any = book()
    with pytest.raises(AttributeError, match=r"policy: is read-only; .*load\(other"):
        made.policy = POLICY

    assert made.policy is POLICY


@pytest.mark.parametrize("entries", [[{}], ["c-1"]], ids=["row", "text"])
def test_entries_that_are_none(entries: Any) -> None:
    """Rows are loaded, not replayed."""
    with pytest.raises(TypeError, match="entries: must be entries, not "):
        ContactBook.from_changes(POLICY, entries)
    with pytest.raises(TypeError, match="not Contact; pass what changes_since"):
        ContactBook.from_changes(POLICY, book())  # type: ignore[arg-type]


@pytest.mark.parametrize("patches", [{"email": "a@x"}, "a@x", None, POLICY])
def test_patches_to_compare_are_several(patches: Any) -> None:
    """As those of a batch."""
    with pytest.raises(TypeError, match="patches: must be a list of mappings, not "):
        book().compare(POLICY, patches)


class Scope(str):
    """Text that is equal to its like, and has no hash."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)


@pytest.mark.parametrize(
    "call",
    [
        lambda made, scope: made.upsert({"email": "b@x"}, scope=scope),
        lambda made, scope: made.create({"email": "b@x"}, scope=scope),
        lambda made, scope: made.apply(made.plan({"email": "b@x"}, scope=scope)),
        lambda made, scope: made.upsert_many([{"email": "b@x"}], scope=scope),
        lambda made, scope: made.find("email", "a@x", scope=scope)[0],
        lambda made, scope: made.get("c-1", scope=scope),
        lambda made, scope: made.delete("c-1", scope=scope),
    ],
    ids=["upsert", "create", "plan", "upsert_many", "find", "get", "delete"],
)
def test_a_scope_of_another_type_of_text_is_plain_text(call: Any) -> None:
    """What is stored under it is found, and can be deleted."""
    made = ContactBook(POLICY, ids=iter(["c-1", "c-2"]).__next__)
    made.upsert({"email": "a@x"}, scope="t")
    call(made, Scope("t"))

    assert all(type(each.scope) is str for each in made)
    for each in made:
        assert (each,) == made.find("email", each["email"], scope="t")
        assert each == made.delete(each.id, scope="t")


def test_a_normaliser_without_a_hash_makes_a_key() -> None:
    """It is called as any other, and compared with none."""

    class Lower:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return True

        def __call__(self, value: Any) -> str:
            return str(value).lower()

    lines = {"a": field(key=Lower(), unique=True), "b": field()}
    pair = key("a", "b", normalize=(Lower(), Lower()))
    made = ContactBook(Policy(first_match("a", "pair"), lines, keys={"pair": pair}))

    results = [made.upsert({"a": value, "b": "B"}).result for value in ("X", "x", "x")]
    assert ["created", "updated", "unchanged"] == results
    assert 1 == len(made.find("pair", {"a": "x", "b": "b"}))
