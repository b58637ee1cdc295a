"""
Contacts over HTTP, each tenant for itself, in a database.

Environment:
    DATABASE: Its URL, such as postgresql+psycopg://host/name; a file if there is none.
    TENANTS: JSON, the SHA-256 of each token in hexadecimal digits to its tenant.
"""

import hashlib
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import create_engine

from upsertcore import Contact, Policy, errors, field, first_match, normalize
from upsertcore.sql import SqlBook

POLICY = Policy(
    match=first_match("email", "phone", guard="if_set"),
    fields={
        "email": field(key=normalize.email, unique=True, clean=normalize.email),
        "phone": field(key=normalize.phone),
        "name": field(),
    },
)
TENANTS: dict[str, str] = json.loads(os.environ.get("TENANTS", "{}"))
STATUS: dict[type[Exception], int] = {
    errors.UnknownContact: 404,
    errors.AmbiguousMatch: 409,
    errors.KeysDisagree: 409,
    errors.KeyInUse: 409,
    errors.StaleVersion: 412,
    errors.Overtaken: 503,
}
engine = create_engine(os.environ.get("DATABASE", "sqlite:///contacts.db"))
book = SqlBook(engine, POLICY, retain_calls=10_000)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Create the tables that are missing, when the service starts."""
    book.create_tables()
    yield


app = FastAPI(title="Contacts", lifespan=lifespan)
bearer = HTTPBearer(auto_error=False)


def tenant(
    token: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> str:
    """Return the tenant that the token of a request belongs to."""
    digest = hashlib.sha256((token.credentials if token else "").encode()).hexdigest()
    if digest not in TENANTS:
        raise HTTPException(401, "unknown token", {"WWW-Authenticate": "Bearer"})
    return TENANTS[digest]


def version(if_match: Annotated[str | None, Header()] = None) -> int | None:
    """Return the version that ``If-Match`` names, in quotes, as ``ETag`` has it."""
    if if_match is None:
        return None
    if not re.fullmatch('"[0-9]{1,18}"', if_match):
        raise HTTPException(400, 'If-Match: must be one version in quotes, as "3"')
    return int(if_match.strip('"'))


def answer(contact: Contact, response: Response) -> dict[str, Any]:
    """Return a contact as JSON, and its version as ``ETag``."""
    response.headers["ETag"] = f'"{contact.version}"'
    return contact.to_dict()


@app.exception_handler(errors.UpsertError)
def refused(_: Request, error: Exception) -> JSONResponse:
    """Answer a refusal with its message and its status; 422 for a bad patch."""
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 422)
    body = {"error": type(error).__name__, "detail": str(error)}
    return JSONResponse(body, status)


Tenant = Annotated[str, Depends(tenant)]


@app.post("/contacts/upsert")
def upsert(
    patch: dict[str, Any],
    response: Response,
    scope: Tenant,
    if_version: Annotated[int | None, Depends(version)],
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> dict[str, Any]:
    """Create the contact that the patch is about, or update the one that is known."""
    outcome = book.upsert(
        patch, scope=scope, if_version=if_version, idempotency_key=idempotency_key
    )
    response.status_code = 201 if outcome.result == "created" else 200
    return {
        "result": outcome.result,
        "why": outcome.explain(),
        "contact": answer(outcome.contact, response),
    }


@app.get("/contacts/{id}")
def get(id: str, response: Response, scope: Tenant) -> dict[str, Any]:
    """Return a contact; an id that was merged into another returns that one."""
    return answer(book.get(id, scope=scope), response)


@app.delete("/contacts/{id}", status_code=204)
def erase(id: str, scope: Tenant) -> None:
    """Erase a person from the database, before the answer."""
    book.purge(id, scope=scope)
