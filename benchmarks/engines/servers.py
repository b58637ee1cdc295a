"""
Rivals that need a server: PostgreSQL and Redis.

Rules:
    They are measured if a server is reachable, otherwise left out.
    PostgreSQL is reached with the settings of libpq (``PGHOST``, ``PGUSER``, ...),
    Redis at ``REDIS_URL``.
    They remove what they write: temporary tables, and keys with one prefix.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from itertools import chain, islice
from typing import Any

from benchmarks.engines.base import Engine
from benchmarks.engines.sql import columns, fields_from, row_of
from benchmarks.floor import email_form, phone_form
from benchmarks.people import LIST
from benchmarks.workloads import Case, Patch

__all__ = ["Postgres", "Redis"]

_BATCH = 1_000
_PREFIX = "upsertcore-benchmark:"


class Postgres(Engine):
    """COPY into a temporary table, then one INSERT ... ON CONFLICT."""

    name = "PostgreSQL"
    how = "whole batch, COPY then ON CONFLICT, one transaction"
    package = "psycopg"
    served = True
    both_keys = False
    whole_batch = True

    connection: Any

    @classmethod
    def missing(cls) -> str:
        """Check whether a server is reachable."""
        return super().missing() or _connection_error(lambda: _postgres().close())

    def setup(self, case: Case) -> None:
        """Create two empty temporary tables."""
        super().setup(case)
        self.connection = _postgres()
        texts = ", ".join(f'"{name}" text' for name in case.names)
        for head in ("contact (form text PRIMARY KEY", "sent (place bigint, form text"):
            self.connection.execute(f"CREATE TEMPORARY TABLE {head}, {texts})")
        self.connection.commit()

    def run(self, patches: Iterable[Patch]) -> None:
        """Copy the batch, fold it, and write it."""
        names = self.case.names
        last = ", ".join(
            f'(array_agg("{name}" ORDER BY place DESC)'
            f' FILTER (WHERE "{name}" IS NOT NULL))[1]'
            for name in names
        )
        sets = ", ".join(
            f'"{name}" = coalesce(excluded."{name}", contact."{name}")'
            for name in names
        )
        with self.connection.cursor() as cursor:
            with cursor.copy("COPY sent FROM STDIN") as copy:
                for place, patch in enumerate(patches):
                    form = email_form(patch["email"])
                    copy.write_row([place, form, *row_of(patch, names)])
            cursor.execute(
                f"INSERT INTO contact SELECT form, {last} FROM sent GROUP BY form"  # noqa: S608 - our own names
                f" ON CONFLICT (form) DO UPDATE SET {sets}"
            )
            cursor.execute("TRUNCATE sent")
        self.connection.commit()

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Return the values that are not null."""
        names = self.case.names
        sql = f"SELECT {columns(names)} FROM contact"  # noqa: S608 - our own names
        return (fields_from(names, row) for row in self.connection.execute(sql))

    def close(self) -> None:
        """Close the connection, which drops the tables."""
        self.connection.close()


_UPSERT = """
local by_email, by_phone, prefix = KEYS[1], KEYS[2], KEYS[3]
local id = redis.call('HGET', by_email, ARGV[1])
local called = redis.call('HGET', by_phone, ARGV[2])
local withheld = id and called and called ~= id
id = id or called or tostring(redis.call('INCR', prefix .. 'next'))
local fields = {}
for i = 3, #ARGV, 2 do
  if not (withheld and ARGV[i] == 'phone') then
    fields[#fields + 1] = ARGV[i]
    fields[#fields + 1] = ARGV[i + 1]
  end
end
redis.call('HSET', prefix .. 'contact:' .. id, unpack(fields))
redis.call('HSET', by_email, ARGV[1], id)
if not withheld then redis.call('HSET', by_phone, ARGV[2], id) end
"""


class Redis(Engine):
    """One hash per contact and one per key, by a script, in batches of a thousand."""

    name = "Redis"
    how = "a Lua script, pipelined by 1 000"
    package = "redis"
    served = True

    client: Any

    @classmethod
    def missing(cls) -> str:
        """Check whether a server is reachable."""
        return super().missing() or _connection_error(lambda: _redis().ping())

    def setup(self, case: Case) -> None:
        """Remove the keys of an earlier run."""
        super().setup(case)
        self.client = _redis()
        self._clear()
        self.sha = self.client.script_load(_UPSERT)

    def run(self, patches: Iterable[Patch]) -> None:
        """Send the calls in batches."""
        keys = [f"{_PREFIX}email", f"{_PREFIX}phone", _PREFIX]
        for batch in _batches(patches):
            pipe = self.client.pipeline(transaction=False)
            for patch in batch:
                forms = email_form(patch["email"]), phone_form(patch["phone"])
                pipe.evalsha(self.sha, 3, *keys, *forms, *_flat(patch))
            pipe.execute()

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Read every hash."""
        for key in self.client.scan_iter(f"{_PREFIX}contact:*", count=_BATCH):
            fields: dict[str, Any] = dict(self.client.hgetall(key))
            if LIST in fields:
                fields[LIST] = json.loads(fields[LIST])
            yield fields

    def close(self) -> None:
        """Remove the keys of this run."""
        self._clear()
        self.client.close()

    def _clear(self) -> None:
        for keys in _batches(self.client.scan_iter(f"{_PREFIX}*", count=_BATCH)):
            self.client.delete(*keys)


def _flat(patch: Patch) -> Iterator[Any]:
    pairs = (
        (name, json.dumps(value, ensure_ascii=False) if name == LIST else value)
        for name, value in patch.items()
    )
    return chain.from_iterable(pairs)


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _connection_error(connect: Callable[[], object]) -> str:
    try:
        connect()
    except Exception as error:  # noqa: BLE001 - each client has its own family of errors
        return f"no server is reachable ({type(error).__name__})"
    return ""


def _postgres() -> Any:
    return import_module("psycopg").connect("", connect_timeout=2)


def _redis() -> Any:
    url = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
    return import_module("redis").Redis.from_url(
        url, decode_responses=True, socket_connect_timeout=2
    )
