"""Exceptions of application functions and of locks are kept."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import ContactBook, Policy, _lazy, errors, field, first_match, normalize
from upsertcore.policy.fields import check_field_name


class RefusingNormaliser:
    """A normaliser that raises a refusal while ``raises`` is set."""

    def __init__(self, refusal: errors.Refused) -> None:
        self.refusal, self.raises = refusal, False

    def __call__(self, value: Any) -> str | None:
        """Normalise text."""
        if self.raises:
            raise self.refusal
        return normalize.exact(value)


def test_refusal_raised_by_a_normaliser_is_the_callers() -> None:
    """The policy's ``on_no_key`` does not apply to it."""
    normaliser = RefusingNormaliser(errors.NoMatchKey(("id",)))
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


def test_refusal_raised_by_a_normaliser_is_collected_for_its_row() -> None:
    normaliser = RefusingNormaliser(errors.InvalidField("id", "1", "must be better"))
    book = ContactBook(Policy(first_match("id"), {"id": field(key=normaliser)}))
    normaliser.raises = True
    [result] = book.upsert_many(
        [{"id": "1"}], on_duplicates="refuse_all", on_refused="collect"
    )

    assert result is normaliser.refusal


def test_refusal_raised_in_a_trial_run_is_raised_under_ignore() -> None:
    """``on_found="ignore"`` runs the rules without storing their result."""
    normaliser = RefusingNormaliser(
        errors.InvalidField("main", "b@x", "must be better")
    )
    keys: dict[str, Any] = {
        "mail": _any_of_key(normaliser),
        "id": _any_of_key(normalize.exact, "id", "more"),
    }
    lines = {name: field() for name in ("id", "main", "more")}
    policy = Policy(first_match("id"), lines, keys=keys, on_found="ignore")
    book = ContactBook(policy)
    book.upsert({"id": "1", "main": "a@x"})
    normaliser.raises = True
    with pytest.raises(errors.InvalidField, match="must be better"):
        book.upsert({"id": "1", "main": "b@x"})


def _any_of_key(normaliser: Any, *names: str) -> Any:
    from upsertcore import key

    return key(*(names or ("main", "more")), normalize=normaliser, any_of=True)


def test_id_that_is_no_text_is_unknown() -> None:
    """A subclass of text is read as text."""

    class Id(str):
        __slots__ = ()

    book = ContactBook(Policy(first_match("id"), {"id": field(key=normalize.exact)}))
    contact = book.upsert({"id": "1"}).contact

    assert book.get(Id(contact.id)) == contact
    with pytest.raises(errors.UnknownContact):
        book.get(7)  # type: ignore[arg-type]


class BrokenLock:
    """A lock that cannot be taken, and raises when it is released."""

    def __init__(self, words: str, *, interrupted: bool = True) -> None:
        self.words, self.interrupted = words, interrupted

    def acquire(self) -> None:
        """Raise as an interrupted wait does."""
        if self.interrupted:
            raise KeyboardInterrupt

    def release(self) -> None:
        """Raise as a lock does that is not held."""
        raise RuntimeError(self.words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cannot release un-acquired lock", KeyboardInterrupt),
        ("something else", RuntimeError),
    ],
)
def test_interrupted_wait_for_the_lock_is_raised(words: str, expected: Any) -> None:
    """The error of the release does not replace it."""
    policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    store = ContactBook(policy)._store
    state = store.completed
    store.lock = BrokenLock(words)  # type: ignore[assignment]
    with pytest.raises(expected):
        store.publish(state, state)
    with pytest.raises(expected):
        store.read(len)


def test_write_is_published_though_its_lock_is_released_twice() -> None:
    policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    book = ContactBook(policy)
    book.upsert({"id": "1"})
    store = book._store
    state = store.completed
    words = "cannot release un-acquired lock"
    store.lock = BrokenLock(words, interrupted=False)  # type: ignore[assignment]

    assert store.publish(state, state)


def test_unknown_field_name_is_refused() -> None:
    """A blank name too, whatever the option for further fields."""
    check_field_name("rules", "city", {"city": field()}, None)
    with pytest.raises(errors.InvalidPolicy, match="rules: unknown field ''"):
        check_field_name("rules", "", {}, field())


def test_lazy_name_of_a_module_is_the_module() -> None:
    get, _names = _lazy.export("upsertcore", {"errors": "errors"})

    assert get("errors") is errors
