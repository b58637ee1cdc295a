"""Invalid arguments of a book's verbs are refused before anything is written."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import ContactBook, Policy, errors, field, first_match, key, normalize

POLICY = Policy(first_match("email"), {"email": field(key=normalize.email)})


def make_book() -> ContactBook:
    """Make a book of one contact."""
    book = ContactBook(POLICY, ids=iter(["c-1", "c-2"]).__next__)
    book.upsert({"email": "a@x"})
    return book


@pytest.mark.parametrize("policy", [None, {}, "POLICY", POLICY.match, Policy])
@pytest.mark.parametrize(
    "call",
    [
        ContactBook,
        lambda policy: ContactBook.load(policy, []),
        lambda policy: ContactBook.from_changes(policy, []),
        lambda policy: make_book().compare(policy, []),
    ],
    ids=["book", "load", "from_changes", "compare"],
)
def test_policy_of_another_type_is_refused(call: Any, policy: Any) -> None:
    with pytest.raises(errors.InvalidPolicy, match=": must be a Policy, not "):
        call(policy)


@pytest.mark.parametrize("version", ["1", True, 1.0, 0, -1, [1]], ids=repr)
def test_if_version_that_is_no_positive_integer_is_refused(version: Any) -> None:
    """A number that equals one, such as a float, is refused too."""
    book = make_book()
    with pytest.raises(errors.InvalidField, match="if_version: must be a whole"):
        book.upsert({"email": "A@x"}, if_version=version)

    assert book.get("c-1")["email"] == "a@x"
    assert book.upsert({"email": "A@x"}, if_version=1).updated


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
def test_invalid_option_is_refused_by_the_constructor(
    options: Any, error: Any, words: str
) -> None:
    with pytest.raises(error, match=words):
        ContactBook(POLICY, **options)


@pytest.mark.parametrize("number", ["0", None, 1.0, True], ids=repr)
def test_change_number_that_is_no_integer_is_refused(number: Any) -> None:
    with pytest.raises(TypeError, match="number: must be a whole number, not "):
        make_book().changes_since(number)


@pytest.mark.parametrize("plan", [{}, "c-1", None, POLICY], ids=map(str, range(4)))
def test_apply_of_another_type_is_refused(plan: Any) -> None:
    """An outcome included."""
    book: Any = make_book()
    for argument in (plan, book.upsert({"email": "a@x"})):
        with pytest.raises(TypeError, match="plan: must be a Plan, not "):
            book.apply(argument)


@pytest.mark.parametrize("outcome", [{}, "c-1", None], ids=map(str, range(3)))
def test_undo_of_another_type_is_refused(outcome: Any) -> None:
    """A plan and a contact included."""
    book: Any = make_book()
    for argument in (outcome, book.plan({"email": "a@x"}), book.get("c-1")):
        with pytest.raises(TypeError, match="outcome: must be an Outcome, not "):
            book.undo(argument)


def test_policy_of_a_book_is_read_only() -> None:
    """The message names the way to another policy."""
    book: Any = make_book()
    with pytest.raises(AttributeError, match=r"policy: is read-only; .*load\(other"):
        book.policy = POLICY

    assert book.policy is POLICY


@pytest.mark.parametrize("entries", [[{}], ["c-1"]], ids=["row", "text"])
def test_entries_of_another_type_are_refused(entries: Any) -> None:
    """Rows are loaded, not replayed."""
    with pytest.raises(TypeError, match="entries: must be entries, not "):
        ContactBook.from_changes(POLICY, entries)
    with pytest.raises(TypeError, match="not Contact; pass what changes_since"):
        ContactBook.from_changes(POLICY, make_book())  # type: ignore[arg-type]


@pytest.mark.parametrize("patches", [{"email": "a@x"}, "a@x", None, POLICY])
def test_patches_to_compare_that_are_no_list_are_refused(patches: Any) -> None:
    with pytest.raises(TypeError, match="patches: must be a list of mappings, not "):
        make_book().compare(POLICY, patches)


class Scope(str):
    """Text without a hash."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)


@pytest.mark.parametrize(
    "call",
    [
        lambda book, scope: book.upsert({"email": "b@x"}, scope=scope),
        lambda book, scope: book.create({"email": "b@x"}, scope=scope),
        lambda book, scope: book.apply(book.plan({"email": "b@x"}, scope=scope)),
        lambda book, scope: book.upsert_many([{"email": "b@x"}], scope=scope),
        lambda book, scope: book.find("email", "a@x", scope=scope)[0],
        lambda book, scope: book.get("c-1", scope=scope),
        lambda book, scope: book.delete("c-1", scope=scope),
    ],
    ids=["upsert", "create", "plan", "upsert_many", "find", "get", "delete"],
)
def test_scope_of_a_subclass_of_str_is_stored_as_text(call: Any) -> None:
    """Its contacts are found and deleted under the plain text."""
    book = ContactBook(POLICY, ids=iter(["c-1", "c-2"]).__next__)
    book.upsert({"email": "a@x"}, scope="t")
    call(book, Scope("t"))

    assert all(type(contact.scope) is str for contact in book)
    for contact in book:
        assert (contact,) == book.find("email", contact["email"], scope="t")
        assert contact == book.delete(contact.id, scope="t")


def test_normaliser_without_a_hash_makes_a_key() -> None:
    class Lower:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return True

        def __call__(self, value: Any) -> str:
            return str(value).lower()

    lines = {"a": field(key=Lower(), unique=True), "b": field()}
    pair = key("a", "b", normalize=(Lower(), Lower()))
    book = ContactBook(Policy(first_match("a", "pair"), lines, keys={"pair": pair}))

    results = [book.upsert({"a": value, "b": "B"}).result for value in ("X", "x", "x")]
    assert ["created", "updated", "unchanged"] == results
    assert 1 == len(book.find("pair", {"a": "x", "b": "b"}))
