"""What the API's routes work with; built once by `ops.bootstrap`."""

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import msgspec
import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.errors import LockNotAvailable, QueryCanceled
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from api.credentials import Authenticator, Credential
from api.errors import ApiError, FieldError, HttpCode, invalid_request
from api.projected import ProjectedPosition
from application.pipeline.writer import Writer
from domain.errors import Code
from domain.receipt import ReceiptSigner
from projections.engine.reading import SET_TENANT
from projections.engine.registry import HEAD, HOLD_STILL, REFLECTED, head_position
from projections.views import tenants

Connection = AsyncConnection[TupleRow]

MAX_CONNECTIONS: Final = 8
"""How many reads are in the database at once."""
MAX_WAITING_READS: Final = 500
"""How many reads wait for their turn; one more is told at once that the service is busy."""
MAX_READ_SECONDS: Final = 5
"""How long one statement of a read may take."""
MAX_LOCK_SECONDS: Final = 4
"""How long it may wait for a lock; less, so that who waits for others is not told that he asks too much."""

READ_OPTIONS: Final = (
    f"-c statement_timeout={MAX_READ_SECONDS}s -c lock_timeout={MAX_LOCK_SECONDS}s"
    " -c enable_seqscan=off -c enable_bitmapscan=off"
)
"""Every read is along an index: a table that was small when its plan was made may not stay so, and of a row that changes
the newest version is found first."""

_MOMENT: Final = f"SELECT ({REFLECTED}), ({HEAD})"


class Moment(msgspec.Struct, frozen=True):
    """A snapshot: the position that its read tables reflect, and where the log ends."""

    position: int
    head: int


class Reading:
    """An open read: one snapshot, shielded to one tenant's rows. What is executed goes out with the next fetch."""

    def __init__(self, connection: Connection, moment: AsyncCursor[TupleRow]) -> None:
        self.connection = connection
        self._moment = moment

    async def moment(self) -> Moment:
        """What the snapshot reflects. Ask once."""
        row = await self._moment.fetchone()
        assert row is not None
        return Moment(*row)


class Services:
    """The writer and the reader, and nothing else: what the API must store is a command."""

    def __init__(self, *, writer: Writer, reader_url: str, receipts: ReceiptSigner, version: str) -> None:
        self.writer = writer
        self.receipts = receipts
        self.version = version
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            reader_url,
            min_size=2,
            max_size=MAX_CONNECTIONS,
            max_waiting=MAX_WAITING_READS,
            timeout=3,
            open=False,
            kwargs={
                "autocommit": True,
                "prepare_threshold": 2,
                "connect_timeout": 2,
                "options": READ_OPTIONS,
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
            expires=None if (seconds := found.expires_in_seconds) is None else time.monotonic() + seconds,
            features=frozenset(found.features),
        )

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        try:
            async with self.pool.connection() as connection:
                yield connection
        except LockNotAvailable as error:
            raise ApiError(
                Code.UNAVAILABLE, "The tables are locked, as where a rebuild switches them."
            ) from error
        except QueryCanceled as error:
            raise ApiError(Code.UNAVAILABLE, "The database took too long.") from error
        except TooManyRequests as error:
            raise no_more_reads() from error
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise ApiError(Code.UNAVAILABLE, "The database is away.") from error

    async def wait_for(self, minimum: int, *, own: int = 0) -> None:
        """Return once reads reflect what their caller must see: a position asked for, and his own last one.

        Raises `ApiError`: `invalid_request` where the log does not reach `minimum`, `unavailable` where the
        projections do not reach it in time, or the database is away.
        """
        projected = self.projected
        if minimum > projected.position:
            head = await self.write_position()
            if minimum > head:
                raise invalid_request(
                    FieldError("/header/Bursar-Min-Position", f"The log ends at {head}, before {minimum}.")
                )
        await projected.wait_for(max(minimum, own))

    @asynccontextmanager
    async def read(self, tenant: str) -> AsyncGenerator[Reading]:
        """Open a read of one tenant's rows.

        Raises `ApiError`: `read_timeout` where a statement takes too long, `unavailable` where the database is away.
        """
        async with self._connection() as connection:
            with _told_of_timeouts():
                async with connection.pipeline(), connection.transaction():
                    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    await connection.execute(HOLD_STILL)
                    await connection.execute(SET_TENANT, (tenant,))
                    yield Reading(connection, await connection.execute(_MOMENT, prepare=True))

    async def write_position(self) -> int:
        """The head of the log."""
        async with self._connection() as connection:
            return await head_position(connection)


def no_more_reads() -> ApiError:
    """The refusal (`unavailable`) of a read for which there is no room, or no time."""
    return ApiError(Code.UNAVAILABLE, "The service answers no more reads at the moment.")


@contextmanager
def _told_of_timeouts() -> Generator[None]:
    """Tell a read's caller that it is his question that the database gave up."""
    try:
        yield
    except QueryCanceled as error:
        detail = (
            f"The read took longer than {MAX_READ_SECONDS} seconds and was given up. Ask for less of it, fewer days or a "
            "smaller page; one thing, again later."
        )
        raise ApiError(HttpCode.READ_TIMEOUT, detail) from error
