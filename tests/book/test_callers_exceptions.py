"""Exceptions that an application's function raises, and those of a lock, are kept."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import ContactBook, Policy, _lazy, errors, field, first_match, normalize
from upsertcore.policy.fields import check_field_name


class Refuses:
    """A normaliser that raises a refusal once it is told to."""

    def __init__(self, refusal: errors.Refused) -> None:
        self.refusal, self.raises = refusal, False

    def __call__(self, value: Any) -> str | None:
        """Normalise text."""
        if self.raises:
            raise self.refusal
        return normalize.exact(value)


def test_a_refusal_of_a_normaliser_is_the_callers() -> None:
    """It is not taken for the strategy's own, whatever the policy says of that."""
    normaliser = Refuses(errors.NoMatchKey(("id",)))
    policy = Policy(
        first_match("id"), {"id": field(key=normaliser)}, on_no_key="create"
    )
    book = ContactBook(policy)
    normaliser.raises = True
    for verb in (book.upsert, book.plan):
        with pytest.raises(errors.NoMatchKey) as caught:
            verb({"id": "1"})
        assert caught.value is normaliser.refusal
    assert (normaliser.refusal.is_from_caller, len(book)) == (True, 0)


def test_a_refusal_of_a_normaliser_is_that_of_its_row() -> None:
    """A batch that refuses duplicates names it, and the other rows are done."""
    normaliser = Refuses(errors.InvalidField("id", "1", "must be better"))
    book = ContactBook(Policy(first_match("id"), {"id": field(key=normaliser)}))
    normaliser.raises = True
    [result] = book.upsert_many(
        [{"id": "1"}], on_duplicates="refuse_all", on_refused="collect"
    )

    assert result is normaliser.refusal


def test_a_refusal_of_a_rule_is_no_refusal_of_the_policy() -> None:
    """Under ``on_found="ignore"`` a key that fails in the rules' trial run raises."""
    normaliser = Refuses(errors.InvalidField("main", "b@x", "must be better"))
    keys: dict[str, Any] = {
        "mail": _additional(normaliser),
        "id": _additional(normalize.exact, "id", "more"),
    }
    lines = {name: field() for name in ("id", "main", "more")}
    policy = Policy(first_match("id"), lines, keys=keys, on_found="ignore")
    book = ContactBook(policy)
    book.upsert({"id": "1", "main": "a@x"})
    normaliser.raises = True
    with pytest.raises(errors.InvalidField, match="must be better"):
        book.upsert({"id": "1", "main": "b@x"})


def _additional(normaliser: Any, *names: str) -> Any:
    from upsertcore import key

    return key(*(names or ("main", "more")), normalize=normaliser, any_of=True)


def test_an_id_that_is_no_text_is_unknown() -> None:
    """A subclass of text is read as the text that it is."""

    class Id(str):
        __slots__ = ()

    book = ContactBook(Policy(first_match("id"), {"id": field(key=normalize.exact)}))
    contact = book.upsert({"id": "1"}).contact

    assert book.get(Id(contact.id)) == contact
    with pytest.raises(errors.UnknownContact):
        book.get(7)  # type: ignore[arg-type]


class Broken:
    """A lock that cannot be taken, and complains of its release."""

    def __init__(self, words: str, *, interrupted: bool = True) -> None:
        self.words, self.interrupted = words, interrupted

    def acquire(self) -> None:
        """Raise as an interrupted wait does."""
        if self.interrupted:
            raise KeyboardInterrupt

    def release(self) -> None:
        """Raise as a lock does."""
        raise RuntimeError(self.words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cannot release un-acquired lock", KeyboardInterrupt),
        ("something else", RuntimeError),
    ],
)
def test_an_interrupted_wait_is_what_is_raised(words: str, expected: Any) -> None:
    """The complaint of the lock that was not taken hides no interruption."""
    policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    store = ContactBook(policy)._store
    state = store.completed
    store.lock = Broken(words)  # type: ignore[assignment]
    with pytest.raises(expected):
        store.publish(state, state)


def test_a_write_counts_though_its_lock_was_released_already() -> None:
    """It is published; the release that comes twice is passed over."""
    policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    book = ContactBook(policy)
    book.upsert({"id": "1"})
    store = book._store
    state = store.completed
    words = "cannot release un-acquired lock"
    store.lock = Broken(words, interrupted=False)  # type: ignore[assignment]

    assert store.publish(state, state)


def test_a_field_of_one_call_is_known() -> None:
    """A declared one is; a blank name is none."""
    check_field_name("rules", "city", {"city": field()}, None)
    with pytest.raises(errors.InvalidPolicy, match="rules: unknown field ''"):
        check_field_name("rules", "", {}, field())


def test_a_name_that_is_its_module() -> None:
    """It is the module itself."""
    get, _names = _lazy.export("upsertcore", {"errors": "errors"})

    assert get("errors") is errors
