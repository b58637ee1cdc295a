"""HOWTO.md shows the examples of ``tests/examples`` word for word, and they run.

Its Python examples with prompts are doctests, which pytest collects itself.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient

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


def test_every_block_of_python_runs() -> None:
    """A block is a doctest, or a file that this module runs."""
    blocks = re.findall(
        r"^ *```python\n *(.*)$", HOWTO.read_text("utf-8"), re.MULTILINE
    )
    others = [line for line in blocks if not line.startswith(">>> ")]

    assert sorted(others) == [f"# tests/examples/{path.name}" for path in FILES]


@pytest.fixture
def service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ModuleType, Path]]:
    """Import the service as a server does, with two tenants and a file."""
    tokens = {"token-a": "acme", "token-g": "globex"}
    tenants = {hashlib.sha256(t.encode()).hexdigest(): n for t, n in tokens.items()}
    path = tmp_path / "contacts.json"
    monkeypatch.setenv("TENANTS", json.dumps(tenants))
    monkeypatch.setenv("CONTACTS", str(path))
    monkeypatch.syspath_prepend(EXAMPLES)
    yield importlib.import_module("service"), path
    del sys.modules["service"]


def header(token: str, **more: str) -> dict[str, str]:
    """Return the headers of a request."""
    names = {name.replace("_", "-"): value for name, value in more.items()}
    return {"Authorization": f"Bearer {token}", **names}


def test_service_creates_updates_and_refuses(service: Any) -> None:
    with TestClient(service[0].app, headers=header("token-a")) as client:
        patch = {"email": "Ada@X.org", "name": "Ada"}
        created = client.post("/contacts/upsert", json=patch)
        again = client.post("/contacts/upsert", json=patch)
        bad = client.post("/contacts/upsert", json={"name": "Ada"})
        malformed = client.post("/contacts/upsert", json=[patch])

    contact = created.json()["contact"]
    assert (created.status_code, created.json()["result"]) == (201, "created")
    assert created.headers["ETag"] == '"1"'
    assert contact["fields"] == {"email": "ada@x.org", "name": "Ada"}
    assert (again.status_code, again.json()["result"]) == (200, "unchanged")
    assert again.json()["contact"] == contact
    assert (bad.status_code, bad.json()["error"]) == (422, "NoMatchKey")
    assert "send a usable value for email" in bad.json()["detail"]
    assert malformed.status_code == 422


def test_service_reads_if_match_as_its_etag_is_written(service: Any) -> None:
    with TestClient(service[0].app, headers=header("token-a")) as client:
        patch = {"email": "ada@x.org", "name": "Ada"}
        etag = client.post("/contacts/upsert", json=patch).headers["ETag"]
        patch["name"] = "Ada King"
        fresh = client.post("/contacts/upsert", json=patch, headers={"If-Match": etag})
        stale = client.post("/contacts/upsert", json=patch, headers={"If-Match": etag})
        bare = client.post("/contacts/upsert", json=patch, headers={"If-Match": "2"})
        read = client.get(f"/contacts/{fresh.json()['contact']['id']}")

    assert (fresh.status_code, fresh.headers["ETag"]) == (200, '"2"')
    assert (stale.status_code, stale.json()["error"]) == (412, "StaleVersion")
    assert bare.status_code == 400
    assert (read.status_code, read.headers["ETag"]) == (200, '"2"')
    assert read.json() == fresh.json()["contact"]


def test_service_answers_a_repeated_call_with_the_first_outcome(service: Any) -> None:
    with TestClient(service[0].app, headers=header("token-a")) as client:
        key = {"Idempotency-Key": "k-1"}
        patch = {"email": "ada@x.org"}
        once, twice = (
            client.post("/contacts/upsert", json=patch, headers=key) for _ in range(2)
        )
        patch["name"] = "Ada"
        reused = client.post("/contacts/upsert", json=patch, headers=key)

    assert once.json() == twice.json()
    assert (once.status_code, twice.status_code) == (201, 201)
    assert (reused.status_code, reused.json()["error"]) == (422, "IdempotencyKeyReused")


def test_service_takes_the_scope_of_every_verb_from_the_token(service: Any) -> None:
    with TestClient(service[0].app) as client:
        mine, other = header("token-a"), header("token-g")
        patch = {"email": "ada@x.org"}
        first = client.post("/contacts/upsert", json=patch, headers=mine).json()
        second = client.post("/contacts/upsert", json=patch, headers=other).json()
        path = f"/contacts/{first['contact']['id']}"
        answers = [
            client.get(path, headers=other).status_code,
            client.delete(path, headers=other).status_code,
            client.get(path, headers=mine).status_code,
            client.get(path).status_code,
            client.get(path, headers=header("token-x")).status_code,
            client.post("/contacts/upsert", json=patch).status_code,
            client.delete(path).status_code,
        ]

    assert first["result"] == second["result"] == "created"
    assert first["contact"]["scope"] == "acme"
    assert answers == [404, 404, 200, 401, 401, 401, 401]


def test_service_answers_404_for_an_unknown_id(service: Any) -> None:
    with TestClient(service[0].app, headers=header("token-a")) as client:
        read, erased = client.get("/contacts/x"), client.delete("/contacts/x")

    assert (read.status_code, erased.status_code) == (404, 404)
    assert read.json()["error"] == "UnknownContact"


def test_service_answers_409_for_keys_of_several_contacts(service: Any) -> None:
    with TestClient(service[0].app, headers=header("token-a")) as client:
        for name in ("ada", "bob"):
            patch = {"email": f"{name}@x.org", "phone": "+15550001111"}
            client.post("/contacts/upsert", json=patch)
        tied = client.post("/contacts/upsert", json={"phone": "+15550001111"})

    assert (tied.status_code, tied.json()["error"]) == (409, "AmbiguousMatch")


def test_service_has_its_contacts_after_a_restart(service: Any) -> None:
    """What was erased is in no file, even before the service stops."""
    module, path = service
    with TestClient(module.app, headers=header("token-a")) as client:
        client.post("/contacts/upsert", json={"email": "ada@x.org"})
        bob = client.post("/contacts/upsert", json={"email": "bob@x.org"}).json()
        gone = client.delete(f"/contacts/{bob['contact']['id']}")
        erased = path.read_text("utf-8")
    module.book = module.load()
    with TestClient(module.app, headers=header("token-a")) as client:
        again = client.post("/contacts/upsert", json={"email": "ada@x.org"})

    assert gone.status_code == 204
    assert "ada@x.org" in erased
    assert "bob@x.org" not in erased
    assert again.json()["result"] == "unchanged"


def check(upsert: Any) -> list[Outcome]:
    """Check that a table behaves as a book does; return the outcomes."""
    book = upsertcore.ContactBook(upsert.policy)
    done = []
    for scope, patch, expected in PATCHES:
        outcome = upsert(patch, scope)
        twin = book.upsert(patch, scope=scope)
        assert outcome.result == twin.result == expected
        assert outcome.contact.fields == twin.contact.fields
        assert outcome.contact.version == twin.contact.version
        done.append(outcome)
    with pytest.raises(errors.NoMatchKey):
        upsert({"name": "Ada"}, "a")
    return done


def test_django_example_stores_what_a_book_does() -> None:
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
    done = check(module.upsert)

    assert module.Person.objects.count() == 3
    assert module.Person.objects.get(pk=done[0].contact.id).email == "ada@x.org"


def test_sqlalchemy_example_stores_what_a_book_does() -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    module = importlib.import_module("tests.examples.sqlalchemy_contacts")
    engine = sqlalchemy.create_engine("sqlite://")
    module.metadata.create_all(engine)

    def upsert(patch: Any, scope: str) -> Outcome:
        outcome: Outcome = module.upsert(engine, patch, scope)
        return outcome

    upsert.policy = module.POLICY  # type: ignore[attr-defined]
    done = check(upsert)

    with engine.connect() as connection:
        rows = connection.execute(module.people.select()).all()
    assert len(rows) == 3
    assert {row.email for row in rows if row.id == done[0].contact.id} == {"ada@x.org"}


def test_sqlalchemy_example_loses_no_update_in_a_race(tmp_path: Path) -> None:
    """Threads create each contact once, and each adds its field."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    module = importlib.import_module("tests.examples.sqlalchemy_contacts")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/people.db")
    module.metadata.create_all(engine)
    patches = [{"email": "ada@x.org", name: "x"} for name in ("name", "phone")]

    with ThreadPoolExecutor(4) as pool:
        calls = [
            pool.submit(module.upsert, engine, {**patch, "email": f"{n}@x.org"}, "a")
            for n in range(20)
            for patch in patches
        ]
        results = [call.result().result for call in calls]
    with engine.connect() as connection:
        bodies = [row.body for row in connection.execute(module.people.select())]
    engine.dispose()

    assert results.count("created") == len(bodies) == 20
    assert all({"name", "phone"} < {*body["fields"]} for body in bodies)


def test_records_of_a_frame_have_no_missing_values() -> None:
    """The two ways of the page, with the frames that need them."""
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
