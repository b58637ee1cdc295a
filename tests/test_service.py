"""The service of HOWTO.md: its answers, its tenants, and its database."""

from __future__ import annotations

import hashlib
import importlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient

EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture
def service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ModuleType, Path]]:
    """Import the service as a server does, with two tenants and a database."""
    tokens = {"token-a": "acme", "token-g": "globex"}
    tenants = {hashlib.sha256(t.encode()).hexdigest(): n for t, n in tokens.items()}
    path = tmp_path / "contacts.db"
    monkeypatch.setenv("TENANTS", json.dumps(tenants))
    monkeypatch.setenv("DATABASE", f"sqlite:///{path}?timeout=0.01")
    monkeypatch.syspath_prepend(EXAMPLES)
    module = importlib.import_module("service")
    yield module, path
    module.engine.dispose()
    del sys.modules["service"]


def header(token: str, **more: str) -> dict[str, str]:
    """Return the headers of a request."""
    names = {name.replace("_", "-"): value for name, value in more.items()}
    return {"Authorization": f"Bearer {token}", **names}


def test_service_creates_updates_and_refuses(service: Any) -> None:
    with TestClient(service[0].app, headers=header("token-a")) as client:
        patch = {"email": "Ada@X.org", "name": "Ada"}
        created = client.post("/contacts/upsert", json=patch)
        repeated = client.post("/contacts/upsert", json=patch)
        bad = client.post("/contacts/upsert", json={"name": "Ada"})
        malformed = client.post("/contacts/upsert", json=[patch])

    contact = created.json()["contact"]
    assert (created.status_code, created.json()["result"]) == (201, "created")
    assert created.headers["ETag"] == '"1"'
    assert contact["fields"] == {"email": "ada@x.org", "name": "Ada"}
    assert (repeated.status_code, repeated.json()["result"]) == (200, "unchanged")
    assert repeated.json()["contact"] == contact
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


def test_service_asks_to_try_again_while_the_database_is_locked(service: Any) -> None:
    module, path = service
    with TestClient(module.app, headers=header("token-a")) as client:
        module.engine.dispose()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        locked = client.post("/contacts/upsert", json={"email": "ada@x.org"})
        other.execute("ROLLBACK")
        free = client.post("/contacts/upsert", json={"email": "ada@x.org"})
        other.close()

    assert (locked.status_code, locked.json()["error"]) == (503, "Overtaken")
    assert free.status_code == 201


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
    """And its idempotency keys; what was erased is in no table."""
    module, path = service
    key = {"Idempotency-Key": "k-1"}
    with TestClient(module.app, headers=header("token-a")) as client:
        first = client.post("/contacts/upsert", json={"email": "a@x.org"}, headers=key)
        bob = client.post("/contacts/upsert", json={"email": "bob@x.org"}).json()
        deleted = client.delete(f"/contacts/{bob['contact']['id']}")
    del sys.modules["service"]
    other = importlib.import_module("service")
    with TestClient(other.app, headers=header("token-a")) as client:
        again = client.post("/contacts/upsert", json={"email": "a@x.org"}, headers=key)
        repeated = client.post("/contacts/upsert", json={"email": "a@x.org"})
    other.engine.dispose()

    assert deleted.status_code == 204
    assert again.json() == first.json()
    assert repeated.json()["result"] == "unchanged"
    assert len(module.book) == 1
    assert path.exists()
