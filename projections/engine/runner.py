"""The live projector: folds what was committed into the read tables, whole commands only, exactly once.

One transaction locks the positions, folds a batch and moves the positions on, so that two projectors never
fold the same event twice and a crash loses nothing.
"""

import time
from collections.abc import Callable
from threading import Event
from typing import Any, Final

import msgspec
import psycopg
from psycopg.types.numeric import Int8

from projections.engine import snapshots
from projections.engine.fold import check_known, fold_range
from projections.engine.registry import LOCK_POSITIONS, PROJECTIONS, REFLECTED
from projections.views.tenants import KEY_TOPICS

MAX_BATCH_EVENTS: Final = 50_000
"""The most that one transaction folds, unless a single command is larger."""

LOST: Final = (
    psycopg.OperationalError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
)
"""What is raised when the database is lost, or takes no writes, as a server that became a standby."""

_MAX_SMALL_BATCH_EVENTS: Final = 5_000
_POLL_SECONDS: Final = 0.5  # what a notification lost costs at most
_PAUSE_SECONDS: Final = 0.02  # batches begin so far apart: a few large ones cost less than many small
_BUSY_BATCH_EVENTS: Final = 100
_BUSY_PAUSE_SECONDS: Final = 0.05  # and so far after one of more events, since they will be many more

# A small batch must never read a whole table, and not be planned anew each time. What a crash takes back of the
# read tables it takes back of the positions too, so that no commit need wait for the disk.
_SESSION: Final = """
SET application_name = 'bursar projector';
SET synchronous_commit = off;
SET jit = off;
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET work_mem = '64MB';
SET idle_in_transaction_session_timeout = '30s';
LISTEN bursar_log;
"""
_FOR_LARGE_BATCH: Final = """
SET LOCAL plan_cache_mode = force_custom_plan;
SET LOCAL enable_seqscan = on;
SET LOCAL enable_bitmapscan = on;
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = on;
"""

# The last position of the last command that fits, or of the first one where none does.
_UPTO: Final = f"""
SELECT p.position, coalesce(
    (SELECT max(position) FROM commands WHERE position > p.position AND position <= p.position + %(limit)s),
    (SELECT min(position) FROM commands WHERE position > p.position))
FROM ({REFLECTED}) AS p (position)
"""  # noqa: S608  a query of ours
_CONTENT: Final = """
SELECT array_agg(DISTINCT topic),
    coalesce(array_agg(DISTINCT originator_id) FILTER (WHERE originator_version %% %(interval)s = 0), '{}')
FROM events WHERE notification_id > %(after)s AND notification_id <= %(upto)s
"""
_MOVE: Final = """
UPDATE projection_positions p SET position = %(upto)s
FROM unnest(%(names)s::text[], %(positions)s::bigint[]) AS b (name, position)
WHERE p.name = b.name AND p.position = b.position
"""
_NOTIFY: Final = "SELECT pg_notify('bursar_projected', %(upto)s)"
_NOTIFY_KEYS: Final = "SELECT pg_notify('bursar_keys', %(upto)s)"


class FoldedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What was folded: the events of `(after, upto]`, and the streams that are due for a snapshot."""

    after: int
    upto: int
    long_streams: list[str]


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Set a connection of bursar_projector, in autocommit, up for `project`."""
    connection.execute(_SESSION)


def project(connection: psycopg.Connection[Any], *, limit: int = MAX_BATCH_EVENTS) -> FoldedBatch | None:
    """Fold the next batch of at most `limit` events, or return None where there is nothing to fold.

    Waits for another projector's batch. Raises `UnknownTopicError`.
    """
    with connection.transaction():
        with connection.pipeline():
            locked = connection.execute(LOCK_POSITIONS, prepare=True)
            ahead = connection.execute(_UPTO, {"limit": Int8(limit)}, prepare=True)
            positions: dict[str, int] = dict(locked.fetchall())
            after, upto = ahead.fetchone() or (0, None)
        if upto is None:
            return None
        return _fold(connection, positions, after=after, upto=upto)


def _fold(
    connection: psycopg.Connection[Any], positions: dict[str, int], *, after: int, upto: int
) -> FoldedBatch:
    if upto - after > _MAX_SMALL_BATCH_EVENTS:
        connection.execute(_FOR_LARGE_BATCH)
    range_ = {"after": Int8(after), "upto": Int8(upto), "interval": snapshots.INTERVAL}
    names, long_streams = connection.execute(_CONTENT, range_, prepare=True).fetchone() or ([], [])
    topics = frozenset[str](names)
    check_known(connection, topics, after=after, upto=upto)
    behind = {name: position for name, position in positions.items() if position < upto}
    with connection.pipeline():
        for projection in PROJECTIONS:
            if projection.name in behind:
                fold_range(connection, projection, after=behind[projection.name], upto=upto, topics=topics)
        moved = {"upto": Int8(upto), "names": list(behind), "positions": list(behind.values())}
        connection.execute(_MOVE, moved, prepare=True)
        connection.execute(_NOTIFY, {"upto": str(upto)}, prepare=True)
        if topics & KEY_TOPICS:
            connection.execute(_NOTIFY_KEYS, {"upto": str(upto)})
    return FoldedBatch(after=after, upto=upto, long_streams=long_streams)


def follow(url: str, stop: Event, working: Callable[[], None], *, snapshot_key: bytes) -> None:
    """Project on one connection until `stop` is set; `working` is called whenever all that was there is folded.

    Snapshots that count for nothing, as after a change of format, are renewed first: until then whoever needs a long
    stream reads all of it. Without a key none are taken. `url` connects as bursar_projector. Raises one of `LOST` when the database is lost, to be begun again, and
    `UnknownTopicError`.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        prepare(connection)
        identity = connection.execute(snapshots.IDENTITY).fetchone()
        assert identity is not None
        key = snapshots.store_key(snapshot_key, store=identity[0], epoch=identity[1])
        for stream in snapshots.stale(connection, key=key) if snapshot_key else ():
            while not stop.is_set() and not snapshots.advance(connection, stream, key=key):
                pass
        due: set[str] = set()
        while not stop.is_set():
            began = time.monotonic()
            batch = project(connection)
            if batch is not None:
                due.update(batch.long_streams if snapshot_key else ())
                if batch.upto - batch.after > _MAX_SMALL_BATCH_EVENTS:
                    continue  # far behind: snapshots can wait
            working()
            if due and snapshots.advance(connection, stream := next(iter(due)), key=key):
                due.remove(stream)
            if batch is not None:
                is_busy = batch.upto - batch.after > _BUSY_BATCH_EVENTS
                pause = _BUSY_PAUSE_SECONDS if is_busy else _PAUSE_SECONDS
                stop.wait(max(pause - (time.monotonic() - began), 0))
            elif not due:
                _wait(connection)


def _wait(connection: psycopg.Connection[Any]) -> None:
    """Wait to be woken; a notification may get lost, so look at times anyway."""
    for _ in connection.notifies(timeout=_POLL_SECONDS, stop_after=1):
        pass
