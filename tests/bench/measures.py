"""What is measured. Each function returns a rate; pairs of them alternate in one run."""

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg

from adapters.postgres.store import PostgresStore
from application.commands import COMMANDS
from application.commands.wallets import TopUp
from application.pipeline.command import Envelope
from application.pipeline.ports import AppendBatch, Appended
from application.pipeline.writer import Writer
from domain.ids import uuid7
from domain.receipt import ReceiptSigner
from projections.engine import runner
from projections.engine.rebuild import rebuild
from tests.bench.site import TENANT, Site

CALLERS = 256
SIGNER = ReceiptSigner(key_id="k1", key=bytes(32), page_url="http://127.0.0.1:8000/v2/finance/receipts")
_TOP_UP = COMMANDS["wallet.top_up"]


def new_id() -> str:
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def give(action: str, fields: dict[str, Any], *, key: str | None = None) -> Envelope:
    spec = COMMANDS[action]
    return Envelope(
        spec=spec,
        command=msgspec.convert(fields, spec.command_type),
        command_id=new_id(),
        tenant=TENANT,
        client="BENCH",
        actor="BENCH",
        idempotency_keys=(key,) if key else (),
    )


def top_up(account: str, number: int, *, key: str | None = None) -> Envelope:
    """What the API makes of a top-up: decoded from its JSON, with a key, made of the number unless given."""
    body = b'{"account":"%s","amount":1000,"currency":"KES","source":{"type":"cash"}}' % account.encode()
    return Envelope(
        spec=_TOP_UP,
        command=_decoder.decode(body),
        command_id=new_id(),
        tenant=TENANT,
        client="BENCH",
        actor="BENCH/bk_12345678",
        idempotency_keys=(key or f"top-up-{number:012d}",),
        correlation_id=new_id(),
    )


_decoder = msgspec.json.Decoder(TopUp)


class InProcess:
    """A writer in this process on a database of its own, with some wallets."""

    def __init__(self, site: Site, accounts: Sequence[str]) -> None:
        self.database = site.database()
        self.accounts = accounts
        self.number = 0
        self.writer = Writer(PostgresStore(site.url("writer", self.database)), receipts=SIGNER)

    async def start(self) -> None:
        self.writer.start()
        await self.writer.submit(give("tenant.register", {"country": "KE", "legal_name": "Greenhill"}))
        for account in self.accounts:
            await self.writer.submit(give("wallet.open", {"account": account, "currency": "KES"}))

    async def top_ups_per_second(self, *, seconds: float) -> float:
        """256 callers, each giving one top-up after the other, over the accounts in turn."""
        began = time.perf_counter()
        done = 0

        async def caller() -> None:
            nonlocal done
            while time.perf_counter() - began < seconds:
                self.number += 1
                number = self.number
                await self.writer.submit(top_up(self.accounts[number % len(self.accounts)], number))
                done += 1

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        return done / (time.perf_counter() - began)

    async def fill(self, commands: int) -> None:
        """Give this many top-ups."""
        for start in range(0, commands, 5_000):
            numbers = range(self.number + 1, self.number + min(5_000, commands - start) + 1)
            self.number = numbers[-1]  # no key comes twice
            given = [top_up(self.accounts[number % len(self.accounts)], number) for number in numbers]
            await asyncio.gather(*await self.writer.submit_all(given))


# --- appending in bulk


class Captured(PostgresStore):
    """Keeps the batches that a writer would append, to append them later with nothing else to do."""

    def __init__(self, writer_url: str) -> None:
        super().__init__(writer_url)
        self.batches: list[AppendBatch] = []

    async def append(self, batch: AppendBatch) -> Any:
        if self.batches is not None and len(batch.commands) > 50:
            self.batches.append(batch)
        return await super().append(batch)


async def captured_batches(site: Site, accounts: Sequence[str], commands: int) -> list[AppendBatch]:
    """The very batches that a writer appends for this many top-ups."""
    made = InProcess(site, accounts)
    store = Captured(site.url("writer", made.database))
    made.writer = Writer(store, receipts=SIGNER)
    await made.start()
    await made.fill(commands)
    await made.writer.close()
    site.drop(made.database)
    return store.batches


async def appended_per_second(site: Site, batches: Sequence[AppendBatch]) -> float:
    """Events a second through the append function: keys, command log and chain included."""
    database = site.database()
    store = PostgresStore(site.url("writer", database))
    position = 0
    began = time.perf_counter()
    for batch in batches:
        moved = msgspec.structs.replace(batch, decided_at=position, recorded_at=datetime.now(UTC))
        result = await store.append(moved)
        assert isinstance(result, Appended)
        position = result.position
    elapsed = time.perf_counter() - began
    await store.close()
    site.drop(database)
    return position / elapsed


async def unnested_per_second(site: Site, batches: Sequence[AppendBatch]) -> float:
    """The same rows, of events and of commands, by plain unnest inserts into tables with the same indexes."""
    database = site.database()
    with psycopg.connect(site.superuser_url(database), autocommit=True) as connection:
        connection.execute("CREATE TABLE plain_events (LIKE events INCLUDING INDEXES)")
        connection.execute("GRANT INSERT ON plain_events TO bursar_writer")
    connection_ = await psycopg.AsyncConnection.connect(site.url("writer", database), autocommit=True)
    position = 0
    began = time.perf_counter()
    async with connection_:
        for batch in batches:
            events = [event for command in batch.commands for event in command.events]
            await connection_.execute(
                "INSERT INTO plain_events (originator_id, originator_version, topic, state, notification_id)"
                " SELECT s, v, t, b, %s + n FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[])"
                " WITH ORDINALITY AS e (s, v, t, b, n)",
                (
                    position,
                    [event.stream for event in events],
                    [event.version for event in events],
                    [event.topic for event in events],
                    [event.state for event in events],
                ),
            )
            position += len(events)
    elapsed = time.perf_counter() - began
    site.drop(database)
    return position / elapsed


# --- the read side


def copied_out_per_second(url: str) -> float:
    """Events a second by COPY out of the events table to this process."""
    with psycopg.connect(url) as connection:
        began = time.perf_counter()
        with connection.cursor().copy("COPY events TO STDOUT (FORMAT binary)") as copy:
            for _ in copy:
                pass
        elapsed = time.perf_counter() - began
        return _count(connection) / elapsed


def copied_out_and_in_per_second(url: str) -> float:
    """Events a second by COPY out, and COPY in to a table with the same indexes."""
    with psycopg.connect(url) as source, psycopg.connect(url) as target:
        target.execute("DROP TABLE IF EXISTS copied")
        target.execute("CREATE TABLE copied (LIKE events INCLUDING INDEXES)")
        target.commit()
        began = time.perf_counter()
        with (
            source.cursor().copy("COPY events TO STDOUT (FORMAT binary)") as out,
            target.cursor().copy("COPY copied FROM STDIN (FORMAT binary)") as into,
        ):
            for block in out:
                into.write(block)
        target.commit()
        elapsed = time.perf_counter() - began
        count = _count(source)
        target.execute("DROP TABLE copied")
        target.commit()
        return count / elapsed


def projected_per_second(site: Site, template: str) -> float:
    """Events a second of the projector catching up on a log, from empty read tables."""
    database = site.database(template=template)
    with psycopg.connect(site.url("projector", database), autocommit=True) as connection:
        runner.prepare(connection)
        count = _count(connection)
        began = time.perf_counter()
        while runner.project(connection) is not None:
            pass
        elapsed = time.perf_counter() - began
    site.drop(database)
    return count / elapsed


def rebuilt_per_second(url: str) -> float:
    """Events a second of `bursar rebuild`, digests and switch included."""
    with psycopg.connect(url) as connection:
        count = _count(connection)
    began = time.perf_counter()
    result = rebuild(url, lambda _done, _total: None)
    elapsed = time.perf_counter() - began
    assert all(table.equal for table in result.tables.values())
    return count / elapsed


def _count(connection: "psycopg.Connection[Any]") -> int:
    row = connection.execute("SELECT count(*) FROM events").fetchone()
    assert row is not None
    return int(row[0])
