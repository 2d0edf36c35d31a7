"""Logs that stores share, in memory and in PostgreSQL, and batches to put into them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import psycopg

from adapters.postgres.embedded.cluster import Cluster
from adapters.postgres.store import PostgresStore
from application.pipeline.ports import AppendBatch, EventStore, LoggedEvent, NewCommand
from domain.event import encode
from domain.ids import wallet_stream
from domain.wallet import WalletOpened
from projections.engine import snapshots
from tests.conftest import TEMPLATE, Database
from tests.support.log import top_up
from tests.support.memory_store import MemoryLog, MemoryStore
from tests.support.writer import new_id

AT = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)
DEADLINE_SECONDS = 20.0


_emptied: dict[int, Database] = {}
_EMPTY = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    TRUNCATE events, commands, command_keys, commits, tenant_heads, relay_positions, snapshots;
    UPDATE store SET id = gen_random_uuid(), epoch = 1;
    UPDATE head SET position = 0, commit = 0, commands = 0, hash = sha256(uuid_send(id)), recorded_at = '1970-01-01T00:00:00Z'
        FROM store;
"""


def emptied(cluster: Cluster) -> Database:
    """A database whose log is empty: one for the whole session, since to make one takes a second."""
    found = _emptied.get(cluster.port)
    if found is None:
        found = _emptied[cluster.port] = Database(name="emptied", cluster=cluster)
        with psycopg.connect(cluster.superuser_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE emptied TEMPLATE {TEMPLATE}")
    with psycopg.connect(found.superuser_url) as connection:
        connection.execute(_EMPTY)
    return found


class LogUnderTest(Protocol):
    """A log that several processes may write."""

    def store(self) -> EventStore:
        """Another process's way to it."""
        ...

    async def has_waiter(self) -> bool:
        """Whether a store waits for the lock."""
        ...


class InMemory:
    def __init__(self) -> None:
        self.log = MemoryLog()

    def store(self) -> EventStore:
        return MemoryStore(self.log)

    async def has_waiter(self) -> bool:
        return bool(self.log.lock._waiters)


class InPostgres:
    def __init__(self, database: Database) -> None:
        self.database = database

    def store(self) -> PostgresStore:
        return PostgresStore(self.database.url("bursar_writer"))

    async def has_waiter(self) -> bool:
        return waiters(self.database) > 0


def waiters(database: Database) -> int:
    """How many backends of the database wait for a lock."""
    with psycopg.connect(database.superuser_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'",
            (database.name,),
        ).fetchone()
    assert row is not None
    return int(row[0])


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.01)


def opened(account: str = "STU-1", *, tenant: str = "greenhill") -> LoggedEvent:
    event = WalletOpened(account=account, currency="KES", payer=account, recorded_at=AT)
    return LoggedEvent(wallet_stream(tenant, account), 1, event.topic, encode(event))


def topped_up(
    version: int, amount: int = 100, *, account: str = "STU-1", tenant: str = "greenhill"
) -> LoggedEvent:
    """A top-up as the `version`-th event of a wallet."""
    event = top_up(tenant, account, version, amount=amount).events[-1][2]
    return LoggedEvent(wallet_stream(tenant, account), version, event.topic, encode(event))


def command(*events: LoggedEvent, key: str | None = None, **changes: Any) -> NewCommand:
    command_id = new_id()
    fields: dict[str, Any] = {
        "id": command_id,
        "tenant": "greenhill",
        "client": "TILL",
        "idempotency_keys": (key,) if key else (),
        "request_hash": b"h" * 32,
        "action": "wallet.top_up",
        "actor": "TILL",
        "reason": "",
        "correlation_id": "c-1",
        "trace_id": "",
        "response": json.dumps({"id": command_id}).encode(),
        "events": events,
    }
    return NewCommand(**fields | changes)


def batch(
    decided_at: int,
    *commands: NewCommand,
    keys: Sequence[tuple[str, str, str]] | None = None,
    recorded_at: datetime = AT,
) -> AppendBatch:
    """A batch; its keys are those of its commands unless given."""
    if keys is None:
        keys = [(one.tenant, one.client, key) for one in commands for key in one.idempotency_keys]
    return AppendBatch(decided_at=decided_at, recorded_at=recorded_at, keys=keys, commands=commands)


def store_key(database: Database, process_key: bytes) -> bytes:
    """The key of the database's snapshots."""
    with psycopg.connect(database.superuser_url) as connection:
        row = connection.execute(snapshots.IDENTITY).fetchone()
    assert row is not None
    return snapshots.store_key(process_key, store=row[0], epoch=row[1])
