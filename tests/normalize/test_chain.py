"""Several normalisers, one after the other."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from upsertcore import ContactBook, Policy, errors, field, first_match, normalize
from upsertcore.laws.normalisers import check_normaliser

START = normalize.chain(normalize.compact, normalize.prefix(4))
MAILBOX = normalize.chain(normalize.email_idna, normalize.email_mailbox)


def test_form_is_that_of_the_last_normaliser() -> None:
    assert [START(value) for value in ("AB-12 34", "ab1", 1234567)] == [
        "ab12",
        "ab1",
        "1234",
    ]
    assert MAILBOX("A.Da+x@GMAIL.com") == "ada@gmail.com"


def test_value_without_a_form_of_one_has_none() -> None:
    assert [START(value) for value in ("--", None, 2.5)] == [None] * 3
    assert normalize.chain(normalize.exact, normalize.email)("ada") is None


def test_form_that_is_not_its_own_is_none() -> None:
    """Without the plus a number has no form of the first normaliser."""
    chain = normalize.chain(normalize.phone, normalize.digits)

    assert chain("+15550001111") is None
    check_normaliser(chain)


def test_chain_of_chains_keeps_the_laws() -> None:
    for chain in (START, MAILBOX, normalize.chain(START, normalize.text, START)):
        check_normaliser(chain)


def test_chains_compare_and_pickle_by_their_normalisers() -> None:
    same = normalize.chain(normalize.compact, normalize.prefix(4))
    other = normalize.chain(normalize.compact, normalize.prefix(3))

    assert (START == same, START == other, hash(START)) == (True, False, hash(same))
    assert pickle.loads(pickle.dumps(START)) == START  # noqa: S301 - pickled here
    assert repr(START) == "chain(compact, prefix(4))"


@pytest.mark.parametrize(
    "arguments", [(), (normalize.email,), (normalize.email, "text")]
)
def test_chain_of_anything_but_functions_is_refused(arguments: Any) -> None:
    message = "chain: must be two normalisers or more; write chain"
    with pytest.raises(TypeError, match=message):
        normalize.chain(*arguments)


def test_result_that_is_no_text_is_refused_with_the_name_of_the_chain() -> None:
    count: Any = len
    chain = normalize.chain(normalize.text, count)
    book = ContactBook(Policy(first_match("id"), {"id": field(key=chain)}))
    with pytest.raises(TypeError, match=r"id: normaliser chain\(text, len\) must ret"):
        book.upsert({"id": "Ada"})


def test_chain_finds_contacts() -> None:
    book = ContactBook(Policy(first_match("email"), {"email": field(key=MAILBOX)}))
    book.upsert({"email": "a.da@gmail.com"})

    assert book.upsert({"email": "ADA+x@googlemail.com"}).updated
    assert len(book) == 1
    with pytest.raises(errors.NoMatchKey):
        book.upsert({"email": "ada"})
