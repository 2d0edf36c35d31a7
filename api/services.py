"""What the API's routes work with; built once by `ops.bootstrap`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.credentials import Authenticator, Credential
from api.errors import ApiError, FieldError, invalid_request
from api.projected import ProjectedPosition
from application.pipeline.writer import Writer
from domain.errors import Code
from domain.receipt import ReceiptSigner
from projections.engine.reading import SET_TENANT
from projections.engine.registry import HOLD_STILL, head_position
from projections.views import tenants

Connection = AsyncConnection[TupleRow]

MAX_WAITING_READS: Final = 500
"""How many reads wait for a connection; one more is told at once that the service is busy."""
MAX_READ_SECONDS: Final = 5
"""How long one statement of a read may take."""


class Reading(msgspec.Struct, frozen=True):
    """An open read: one snapshot, shielded to the credential's tenant, which reflects `position`."""

    connection: Any
    position: int


class Services:
    """The writer and the reader, and nothing else: what the API must store is a command."""

    def __init__(self, *, writer: Writer, reader_url: str, receipts: ReceiptSigner, version: str) -> None:
        self.writer = writer
        self.receipts = receipts
        self.version = version
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            reader_url,
            min_size=2,
            max_size=8,
            max_waiting=MAX_WAITING_READS,
            timeout=3,
            open=False,
            kwargs={
                "autocommit": True,
                "prepare_threshold": 2,
                "connect_timeout": 2,
                "options": f"-c statement_timeout={MAX_READ_SECONDS}s",
            },
        )
        self.authenticator = Authenticator(self._look_up)
        self.projected = ProjectedPosition(
            reader_url, keys_changed=self.authenticator.forget, listening=self._set_listening
        )

    async def start(self) -> None:
        """Connect, and begin to work."""
        self.writer.start()
        await self.pool.open()
        self.projected.start()

    async def close(self) -> None:
        """Drain the writer, then give up the connections."""
        await self.writer.close()
        await self.projected.close()
        await self.pool.close()

    def _set_listening(self, value: bool) -> None:
        self.authenticator.trusted = value

    async def _look_up(self, key_hash: bytes) -> Credential | None:
        async with self._connection() as connection:
            found = await tenants.authenticate(connection, key_hash)
        if found is None:
            return None
        return Credential(
            tenant=found.tenant,
            client=found.client,
            prefix=found.prefix,
            capabilities=frozenset(found.capabilities),
            expires_at=found.expires_at,
            features=frozenset(found.features),
        )

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        try:
            async with self.pool.connection() as connection:
                yield connection
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise ApiError(Code.UNAVAILABLE, "The database is away.") from error

    @asynccontextmanager
    async def read(self, tenant: str, *, at_least: int) -> AsyncGenerator[Reading]:
        """Open a read of one tenant's rows once the projections have reached a position.

        It reflects what was in the log when it came, also through another process, unless the projector is
        far behind. Raises `ApiError`: `invalid_request` where the log does not reach `at_least`, `unavailable` where
        the projections do not reach it in time, or the database is away.
        """
        head = await self.write_position()
        if at_least > head:
            raise invalid_request(
                FieldError("/header/Bursar-Min-Position", f"The log ends at {head}, before {at_least}.")
            )
        await self.projected.wait_for(at_least)
        await self.projected.wait_a_little(head)
        async with self._connection() as connection, connection.transaction():
            async with connection.pipeline():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                await connection.execute(HOLD_STILL)
                await connection.execute(SET_TENANT, (tenant,))
                cursor = await connection.execute("SELECT min(position) FROM projection_positions")
            row = await cursor.fetchone()
            yield Reading(connection, 0 if row is None else int(row[0] or 0))

    async def write_position(self) -> int:
        """The head of the log."""
        async with self._connection() as connection:
            return await head_position(connection)
