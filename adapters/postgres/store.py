"""The event store in PostgreSQL: implements `application.pipeline.ports.EventStore` on one async connection."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from adapters.postgres.failure import told
from application.audit import chain
from application.pipeline.ports import (
    MAX_TAIL_EVENTS,
    AppendBatch,
    Appended,
    BehindError,
    ContentRefusedError,
    Head,
    Known,
    KnownKey,
    LoggedEvent,
    Moved,
    OutcomeUnknownError,
    StoreUnavailableError,
    Tail,
)
from domain.aggregates import advance, initial
from domain.event import State
from projections.engine import snapshots

ANSWER_SECONDS: Final = 20.0
"""A database that is connected but does not answer is given up after this long: no caller waits for ever."""

SHORT_EVENTS: Final = 100
"""So many of each stream are read first: of most streams that is all, and only of another may there be a snapshot."""
SLICE_EVENTS: Final = 20_000
"""So many events are read at once."""
MAX_INLINE_EVENTS: Final = 2_000
"""So many are folded on the event loop, within some milliseconds; more go elsewhere."""

# Every query of the writer is by an index; plans kept from when the tables were empty must not forget it.
_OPTIONS: Final = (
    "-c lock_timeout=5s -c idle_in_transaction_session_timeout=15s -c enable_seqscan=off -c enable_bitmapscan=off"
    " -c default_transaction_isolation=read\\ committed -c synchronous_commit=on"
)

_log = structlog.get_logger(__name__)

_UNAVAILABLE: Final = ("25", "40", "53", "55", "57", "58")
"""Classes of SQLSTATE that say that the server does not take it now; 25 is a server that became a standby."""

_HEAD: Final = "SELECT position, recorded_at, clock_timestamp() FROM head ORDER BY position DESC LIMIT 1"
_LOCK: Final = "SELECT position, recorded_at, clock_timestamp() FROM bursar_lock_head()"
_TAIL: Final = """
    SELECT originator_id, originator_version, topic, state FROM events
    WHERE notification_id > %s ORDER BY notification_id LIMIT %s
"""
_SNAPSHOTS: Final = """
    SELECT originator_id, originator_version, position, format, state, seal FROM snapshots
    WHERE originator_id = ANY (%b::text[])
"""
# A stream is read by its own index: with statistics of one hot stream, a plan made for any would scan the positions
# of the whole log for each cold one, hence the sum that no index has.
_LOAD: Final = """
    SELECT w.stream, e.originator_version, e.topic, e.state
    FROM unnest(%b::text[], %b::bigint[]) AS w (stream, version)
    CROSS JOIN LATERAL (
        SELECT originator_version, topic, state FROM events
        WHERE originator_id = w.stream AND originator_version > w.version AND notification_id + 0 <= %s
        ORDER BY originator_version LIMIT %s
    ) AS e
    ORDER BY 1, 2
"""
_APPEND: Final = """
    SELECT outcome, ordinal, request_hash, response, position, now FROM bursar_append(
        %s, %s, %b::text[], %b::text[], %b::text[],
        %b::text[]::uuid[], %b::text[], %b::text[], %b::text[], %b::bytea[],
        %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::bytea[], %b::bigint[],
        %b::text[], %b::bigint[], %b::text[], %b::bytea[], %b::bigint[], %b::text[], %b::bigint[])
"""
_FIND: Final = "SELECT id::text, position, response FROM commands WHERE id = ANY (%s::uuid[])"
_EVENTS_OF: Final = """
    SELECT e.originator_id, e.originator_version, e.topic, e.state
    FROM commands c
    CROSS JOIN LATERAL (
        SELECT * FROM events WHERE notification_id BETWEEN c.first_position AND c.position OFFSET 0
    ) AS e
    WHERE c.id = %s AND c.tenant = %s
    ORDER BY e.notification_id
"""


class PostgresStore:
    """One process's way to the log. It connects when it is first needed, and again after a loss.

    Without the key that seals snapshots there are none for it, and every stream is read from its first event.
    """

    def __init__(self, writer_url: str, *, snapshot_key: bytes = b"") -> None:
        self._url = writer_url
        self._snapshot_key = snapshot_key
        self._store_key = b""
        self._connection: AsyncConnection[TupleRow] | None = None
        self._ahead = timedelta(0)
        """How far the database's clock is ahead of this process's."""

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def _set_clock(self, now: datetime) -> None:
        self._ahead = now - datetime.now(UTC)

    async def head(self) -> Head:
        async with self._unavailable():
            position, recorded_at, now = await self._row(await self._connected(), _HEAD)
            self._set_clock(now)
            return Head(position=position, recorded_at=recorded_at)

    async def load(self, streams: Sequence[str], *, at: int) -> Mapping[str, State]:
        states = {stream: initial(stream) for stream in streams}
        longer = await self._read_on(states, streams, at=at, limit=SHORT_EVENTS)
        if longer and self._store_key:
            states.update(await self._snapshots(longer, at=at))
        while longer:
            longer = await self._read_on(states, longer, at=at, limit=SLICE_EVENTS)
        return states

    async def _read_on(
        self, states: dict[str, State], streams: Sequence[str], *, at: int, limit: int
    ) -> list[str]:
        """Fold the next events of each stream, at most `limit`; those that may have more are returned.

        Cut into slices, so that neither memory nor anybody's patience has to hold a stream of millions.
        """
        limit = min(limit, max(SLICE_EVENTS // len(streams), 1))
        async with self._unavailable():
            connection = await self._connected()
            versions = [states[stream].version for stream in streams]
            cursor = await connection.execute(_LOAD, (list(streams), versions, at, limit), binary=True)
            rows = await cursor.fetchall()
        if len(rows) > MAX_INLINE_EVENTS:
            await asyncio.to_thread(_fold, states, rows)
        else:
            _fold(states, rows)
        read = Counter(row[0] for row in rows)
        return [stream for stream, count in read.items() if count == limit]

    async def _snapshots(self, streams: Sequence[str], *, at: int) -> dict[str, State]:
        """Those states of long streams that are kept, by stream."""
        async with self._unavailable():
            connection = await self._connected()
            rows = await (await connection.execute(_SNAPSHOTS, (list(streams),))).fetchall()
        kept: dict[str, State] = {}
        for snapshot in (snapshots.Snapshot(*row) for row in rows):
            state = snapshot.state_if_genuine(self._store_key)
            if state is None:
                continue
            if snapshot.position > at:
                raise BehindError(snapshot.stream)
            kept[snapshot.stream] = state
        return kept

    async def append(self, batch: AppendBatch) -> Appended | Moved | Known:
        async with self._unavailable():
            connection = await self._connected()
        locked = connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if locked:
                    async with connection.pipeline():
                        cursor = await connection.execute(_APPEND, _arguments(batch))
                        await connection.execute("COMMIT")
                    rows = await cursor.fetchall()
                else:
                    rows = await (await connection.execute(_APPEND, _arguments(batch))).fetchall()
        except psycopg.Error as error:
            raise await self._translate(error) from error
        except TimeoutError as error:
            await self.close()
            raise OutcomeUnknownError("the database does not answer") from error
        outcome = rows[0][0]
        self._set_clock(rows[0][5])
        if outcome == "known":
            responses = {row[4]: row[3] for row in rows if row[3] is not None}
            return Known([KnownKey(row[1] - 1, row[2], responses[row[4]], row[4]) for row in rows])
        return (Appended if outcome == "appended" else Moved)(rows[0][4])

    async def lock(self, *, after: int) -> Tail:
        async with self._unavailable():
            connection = await self._connected()
            # The tail is read by a statement of its own: one that waits for the lock does not see
            # what was committed while it waited.
            async with connection.pipeline():
                await connection.execute("BEGIN")
                locked = await connection.execute(_LOCK)
                tail = await connection.execute(_TAIL, (after, MAX_TAIL_EVENTS + 1), binary=True)
            position, recorded_at, now = _only(await locked.fetchone())
            self._set_clock(now)
            rows = await tail.fetchall()
        events = None if len(rows) > MAX_TAIL_EVENTS else [LoggedEvent(*row) for row in rows]
        return Tail(Head(position=position, recorded_at=recorded_at), events)

    async def take_turn(self) -> bool:
        async with self._unavailable():
            row = await self._row(await self._connected(), "SELECT bursar_take_turn()")
        return bool(row[0])

    async def end_turn(self) -> None:
        if self._connection is not None and not self._connection.closed:
            async with self._unavailable():
                await self._connection.execute("SELECT bursar_end_turn()")

    async def unlock(self) -> None:
        connection = self._connection
        if connection is None or connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            return
        async with self._unavailable():
            await connection.execute("ROLLBACK")

    async def find(self, command_ids: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
        async with self._unavailable():
            connection = await self._connected()
            cursor = await connection.execute(_FIND, (list(command_ids),))
            return {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}

    async def events_of(self, command_id: str, *, tenant: str) -> Sequence[LoggedEvent]:
        async with self._unavailable():
            connection = await self._connected()
            cursor = await connection.execute(_EVENTS_OF, (UUID(command_id), tenant))
            return [LoggedEvent(*row) for row in await cursor.fetchall()]

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _connected(self) -> AsyncConnection[TupleRow]:
        if self._connection is None or self._connection.closed:
            self._connection = await AsyncConnection.connect(
                self._url, autocommit=True, prepare_threshold=2, connect_timeout=2, options=_OPTIONS
            )
            row = await self._row(self._connection, "SELECT current_setting('fsync')")
            if row[0] != "on":
                _log.warning("what is committed may be lost: the server's fsync is off")
            if self._snapshot_key:
                store, epoch = await self._row(self._connection, snapshots.IDENTITY)
                self._store_key = snapshots.store_key(self._snapshot_key, store=store, epoch=epoch)
        return self._connection

    async def _row(self, connection: AsyncConnection[TupleRow], query: LiteralString) -> TupleRow:
        return _only(await (await connection.execute(query)).fetchone())

    @asynccontextmanager
    async def _unavailable(self) -> AsyncGenerator[None]:
        """Around what writes nothing: whatever the driver says, the store was not there."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
        except (psycopg.Error, TimeoutError) as error:
            await self.close()
            raise StoreUnavailableError(type(error).__name__) from error

    async def _translate(self, error: psycopg.Error) -> Exception:
        """What an error of the append call means, by SQLSTATE class and by whether the connection lives."""
        connection = self._connection
        if connection is None or connection.closed or connection.broken:
            await self.close()
            return OutcomeUnknownError(type(error).__name__)
        if error.diag.constraint_name == "commands_id_idx":
            # What was sent before, and taken for lost, was written after all: the look-up finds it.
            return OutcomeUnknownError(type(error).__name__)
        # The first is also what the driver itself does not send, such as a NUL.
        if isinstance(error, psycopg.DataError | psycopg.IntegrityError):
            return ContentRefusedError(type(error).__name__)
        if error.sqlstate is None:
            await self.close()
            return OutcomeUnknownError(type(error).__name__)
        await self.close()
        if error.sqlstate[:2] in _UNAVAILABLE:
            _log.warning("the database takes no append", error=told(error))
            return StoreUnavailableError(type(error).__name__)
        return error


def _fold(states: dict[str, State], rows: Sequence[TupleRow]) -> None:
    for stream, version, topic, state in rows:
        states[stream] = advance(states[stream], topic, state)
        assert states[stream].version == version, stream


def _only(row: TupleRow | None) -> TupleRow:
    assert row is not None, "a table of one row is empty"
    return row


def _arguments(batch: AppendBatch) -> tuple[Any, ...]:
    """The batch as the arrays that `bursar_append` takes."""
    commands = batch.commands
    several = [
        (key, owner)
        for owner, command in enumerate(commands, 1)
        if len(command.idempotency_keys) > 1
        for key in command.idempotency_keys
    ]
    events = [(event, owner) for owner, command in enumerate(commands, 1) for event in command.events]
    return (
        batch.decided_at,
        batch.recorded_at,
        [key[0] for key in batch.keys],
        [key[1] for key in batch.keys],
        [key[2] for key in batch.keys],
        [command.id for command in commands],
        [command.tenant for command in commands],
        [command.client for command in commands],
        [chain.chained_key(command.idempotency_keys) for command in commands],
        [command.request_hash for command in commands],
        [command.action for command in commands],
        [command.actor for command in commands],
        [command.reason for command in commands],
        [command.correlation_id for command in commands],
        [command.trace_id for command in commands],
        [command.response for command in commands],
        [len(command.events) for command in commands],
        [event.stream for event, _ in events],
        [event.version for event, _ in events],
        [event.topic for event, _ in events],
        [event.state for event, _ in events],
        [owner for _, owner in events],
        [key for key, _ in several],
        [owner for _, owner in several],
    )
