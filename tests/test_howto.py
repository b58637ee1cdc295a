"""HOWTO.md shows the files of ``tests/examples`` word for word, and they run.

Its Python examples with prompts are doctests, which pytest collects itself.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

import upsertcore
from upsertcore import Outcome, errors

EXAMPLES = Path(__file__).parent / "examples"
HOWTO = Path(upsertcore.__file__).parent / "book" / "HOWTO.md"
FILES = sorted(set(EXAMPLES.glob("*.py")) - {EXAMPLES / "conftest.py"})
PATCHES: list[tuple[str, dict[str, Any], str]] = [
    ("a", {"email": "ada@x.org", "name": "Ada"}, "created"),
    ("a", {"email": "ADA@x.org", "phone": "+15550001111"}, "updated"),
    ("a", {"phone": "0015550001111", "name": "Ada King"}, "updated"),
    ("a", {"email": "ADA@x.org"}, "unchanged"),
    ("b", {"email": "ada@x.org"}, "created"),
    ("a", {"email": "bob@x.org", "phone": None}, "created"),
]


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_howto_shows_each_example_word_for_word(path: Path) -> None:
    """The examples are typed and checked as files; the page has their text."""
    block = f"```python\n# tests/examples/{path.name}\n{path.read_text('utf-8')}```\n"

    assert block in HOWTO.read_text("utf-8")


def test_every_python_block_is_a_doctest_or_an_example_file() -> None:
    blocks = re.findall(
        r"^ *```python\n *(.*)$", HOWTO.read_text("utf-8"), re.MULTILINE
    )
    others = [line for line in blocks if not line.startswith(">>> ")]

    assert sorted(others) == [f"# tests/examples/{path.name}" for path in FILES]


def check_against_book(upsert: Any) -> list[Outcome]:
    """Check that a table behaves as a book does; return the outcomes."""
    book = upsertcore.ContactBook(upsert.policy)
    outcomes = []
    for scope, patch, expected in PATCHES:
        outcome = upsert(patch, scope)
        twin = book.upsert(patch, scope=scope)
        assert outcome.result == twin.result == expected
        assert outcome.contact.fields == twin.contact.fields
        assert outcome.contact.version == twin.contact.version
        outcomes.append(outcome)
    with pytest.raises(errors.NoMatchKey):
        upsert({"name": "Ada"}, "a")
    return outcomes


@pytest.mark.full
def test_django_example_stores_as_a_book_does() -> None:
    django = pytest.importorskip("django")
    conf = importlib.import_module("django.conf")
    conf.settings.configure(
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        },
        USE_TZ=True,
    )
    django.setup()
    module = importlib.import_module("tests.examples.django_contacts")
    connection = importlib.import_module("django.db").connection
    with connection.schema_editor() as editor:
        editor.create_model(module.Person)

    module.upsert.policy = module.POLICY
    outcomes = check_against_book(module.upsert)

    assert module.Person.objects.count() == 3
    assert module.Person.objects.get(pk=outcomes[0].contact.id).email == "ada@x.org"


@pytest.mark.full
def test_records_of_a_data_frame_omit_missing_values() -> None:
    """The page has two ways of making records; both are run."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"email": ["a@x.org", "b@x.org"], "n": [1, None]})
    wide = frame.convert_dtypes()
    plain = wide.astype(object).where(wide.notna(), float("nan"))

    for records in (frame.to_dict("records"), plain.to_dict("records")):
        kept = [
            {name: value for name, value in record.items() if value == value}  # noqa: PLR0124
            for record in records
        ]
        assert [list(record) for record in kept] == [["email", "n"], ["email"]]
