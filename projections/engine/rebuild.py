"""Rebuild of all read tables from the log, beside the live ones, with proof of whether any row differs.

The log is folded into tables of the same names in schema bursar_shadow, under one snapshot of log and live
tables. Where every digest equals that of the live table at the same position, nothing is left to do. Else the
shadow catches up and takes the live tables' place in one transaction: readers see the old rows or the new.
Killed at any point it leaves the live tables as they were; the next rebuild sweeps up.
"""

import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from threading import Lock
from typing import Any, Final, LiteralString, TypeVar

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.numeric import Int8

from projections.engine.fold import Projection, fold_range, topics_between
from projections.engine.registry import LOCK_POSITIONS, POSITIONS, PROJECTIONS
from projections.views import ledger

_CHUNK_EVENTS: Final = 50_000
_TAIL_EVENTS: Final = 20_000  # so few are folded while the projector waits
_SWITCH_ATTEMPTS: Final = 60
_LOCK_SECONDS: Final = 0.5

_SESSION: Final = """
SET application_name = 'bursar rebuild';
SET synchronous_commit = off;
SET jit = off;
SET plan_cache_mode = force_custom_plan;
SET max_parallel_workers_per_gather = 0;
SET max_parallel_maintenance_workers = 0;
SET enable_mergejoin = off;
SET work_mem = '256MB';
SET maintenance_work_mem = '512MB';
SET search_path = bursar_shadow, public;
"""

_TABLES: Final[tuple[LiteralString, ...]] = tuple(
    table for projection in PROJECTIONS for table in projection.tables
)
# The ledger is half of all events, and has a connection to itself.
_SHARES: Final = (
    (ledger.PROJECTION,),
    tuple(projection for projection in PROJECTIONS if projection is not ledger.PROJECTION),
)

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

Progress = Callable[[int, int], None]
"""Called with the events folded and the events to fold."""


class RebuildRunningError(Exception):
    """Another rebuild of this database is running."""


class SwitchRefusedError(Exception):
    """Readers or a projector held the live tables the whole time; the rebuilt ones were not put in their place."""


class TableDigest(msgspec.Struct, frozen=True, kw_only=True):
    """A table, live and rebuilt: row counts, and digests that do not depend on the rows' order.

    A digest is the sum of a 64-bit hash of each row. `differing` counts the rows that stand in only one of
    the two tables; it is counted where digests differ.
    """

    rows_live: int
    rows_rebuilt: int
    digest_live: str
    digest_rebuilt: str
    differing: int

    @property
    def equal(self) -> bool:
        """Whether the rebuild changes no row of the table."""
        return (self.rows_live, self.digest_live) == (self.rows_rebuilt, self.digest_rebuilt)


class RebuildResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a rebuild found. `events` were folded; `position` is what the tables reflect in the end."""

    tables: dict[str, TableDigest]
    events: int
    position: int
    switched: bool
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether every live table was what the log says."""
        return all(table.equal for table in self.tables.values())


class _Source(msgspec.Struct, frozen=True, kw_only=True):
    """What is rebuilt: an exported snapshot, in it the head, each projection's position and the chunks.

    Chunks are ranges of whole commands, small enough to stay in memory while each fold goes over them.
    Every projection's position is the end of a chunk, or 0.
    """

    snapshot: str
    head: int
    positions: dict[str, int]
    chunks: list[tuple[int, int]]


class _Work:
    """What the connections share: how much they have folded, and what each chunk was found to hold."""

    def __init__(self, total: int, report: Progress) -> None:
        self._done = 0
        self._total = total
        self._report = report
        self._topics: dict[int, frozenset[str]] = {}
        self._lock = Lock()

    def add(self, events: int) -> None:
        """Report progress, as events of the log."""
        with self._lock:
            self._done += events
            self._report(self._done // len(_SHARES), self._total)

    def topics(self, connection: psycopg.Connection[Any], after: int, upto: int) -> frozenset[str]:
        """The topics of a chunk, looked up by whoever comes first."""
        with self._lock:
            if upto not in self._topics:
                self._topics[upto] = topics_between(connection, after=after, upto=upto)
            return self._topics[upto]


def rebuild(projector_url: str, progress: Progress) -> RebuildResult:
    """Fold the log anew, compare with the live tables, and put the new ones in their place where they differ.

    Live tables far behind the log are replaced too, since this is the faster way to its end. The projector may
    run meanwhile. Raises `RebuildRunningError`, `UnknownTopicError` where the log has what this version does not know,
    and `SwitchRefusedError` after about a minute; then the live tables are as they were.
    """
    began = time.monotonic()
    with _connect(projector_url) as connection, _alone(connection):
        _make_shadows(connection)
        with connection.transaction():
            source = _export(connection)
            work = _Work(source.head, progress)
            tables: dict[str, TableDigest] = {}
            for found in _on_each(_SHARES, lambda share: _build(projector_url, share, source, work)):
                tables |= found
        position = min(source.positions.values())
        switch = source.head - position > _TAIL_EVENTS or not all(table.equal for table in tables.values())
        if switch:
            _on_each(_TABLES, lambda table: _finish(projector_url, table))
            position = _catch_up_and_switch(connection, source.head)
        _drop_shadows(connection)
    progress(source.head, source.head)
    return RebuildResult(
        tables=tables,
        events=source.head,
        position=position,
        switched=switch,
        seconds=time.monotonic() - began,
    )


def _on_each(items: Sequence[_Item], work: Callable[[_Item], _Result]) -> list[_Result]:
    """Do the work of all items on two connections."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(work, items))


@contextmanager
def _connect(url: str) -> Generator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_SESSION)
        yield connection


@contextmanager
def _alone(connection: psycopg.Connection[Any]) -> Generator[None]:
    locked = connection.execute("SELECT pg_try_advisory_lock(hashtext('bursar rebuild'))").fetchone()
    if locked != (True,):
        raise RebuildRunningError("Another rebuild is running.")
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(hashtext('bursar rebuild'))")


# Shadow tables ---------------------------------------------------------------------------------------------


def _shadow(table: LiteralString) -> sql.Identifier:
    return sql.Identifier("bursar_shadow", table)


def _drop_shadows(connection: psycopg.Connection[Any]) -> None:
    for table in _TABLES:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_shadow(table)))


def _make_shadows(connection: psycopg.Connection[Any]) -> None:
    """Make empty tables like the live ones, without their indexes and not logged until they are to stay."""
    _drop_shadows(connection)
    for table in _TABLES:
        connection.execute(
            sql.SQL("CREATE UNLOGGED TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").format(
                _shadow(table), sql.Identifier("public", table)
            )
        )


# Fold and compare ------------------------------------------------------------------------------------------


def _export(connection: psycopg.Connection[Any]) -> _Source:
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    row = connection.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None
    head = _head(connection)
    positions: dict[str, int] = dict(connection.execute(POSITIONS).fetchall())
    ends = {_command_end(connection, position) for position in range(_CHUNK_EVENTS, head, _CHUNK_EVENTS)}
    ends |= {position for position in (*positions.values(), head) if position}
    chunks = list(pairwise([0, *sorted(ends)]))
    return _Source(snapshot=row[0], head=head, positions=positions, chunks=chunks)


def _command_end(connection: psycopg.Connection[Any], position: int) -> int:
    """The end of the command that owns `position`."""
    row = connection.execute(
        "SELECT min(position) FROM commands WHERE position >= %s", (Int8(position),)
    ).fetchone()
    assert row is not None
    return int(row[0])


def _build(url: str, share: Sequence[Projection], source: _Source, work: _Work) -> dict[str, TableDigest]:
    """Fold some projections up to the head, and compare each where its live tables are."""
    digests: dict[str, TableDigest] = {}

    def compare(position: int) -> None:
        for projection in share:
            if source.positions[projection.name] == position:
                digests.update({table: _compare(connection, table) for table in projection.tables})

    with _connect(url) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(source.snapshot))
        compare(0)
        for after, upto in source.chunks:
            topics = work.topics(connection, after, upto)
            for projection in share:
                fold_range(connection, projection, after=after, upto=upto, topics=topics)
            work.add(upto - after)
            compare(upto)
    return digests


def _compare(connection: psycopg.Connection[Any], table: LiteralString) -> TableDigest:
    names = {"live": sql.Identifier("public", table), "rebuilt": _shadow(table)}
    sums: dict[str, tuple[int, str]] = {}
    for side, name in names.items():
        digest = sql.SQL(
            "SELECT count(*), coalesce(sum(hash_record_extended(t, 0)), 0)::text FROM {} AS t"
        ).format(name)
        sums[side] = connection.execute(digest).fetchone() or (0, "0")
    differing = 0
    if sums["live"] != sums["rebuilt"]:
        query = sql.SQL(
            "SELECT count(*) FROM ((TABLE {live} EXCEPT ALL TABLE {rebuilt})"
            " UNION ALL (TABLE {rebuilt} EXCEPT ALL TABLE {live})) AS d"
        ).format(**names)
        differing = (connection.execute(query).fetchone() or (0,))[0]
    return TableDigest(
        rows_live=sums["live"][0],
        rows_rebuilt=sums["rebuilt"][0],
        digest_live=sums["live"][1],
        digest_rebuilt=sums["rebuilt"][1],
        differing=differing,
    )


# Switch ----------------------------------------------------------------------------------------------------

_OPTIONS: Final = """
SELECT array_to_string(reloptions, ', ') FROM pg_class
WHERE oid = format('public.%%I', %s::text)::regclass AND reloptions IS NOT NULL
"""
# As the live table has them: first what is no constraint, then the constraints, each with its index.
_INDEXES: Final = """
SELECT replace(pg_get_indexdef(i.indexrelid), ' ON public.', ' ON bursar_shadow.')
FROM pg_index i
WHERE i.indrelid = format('public.%%I', %s::text)::regclass
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""
_CONSTRAINTS: Final = """
SELECT format('ALTER TABLE bursar_shadow.%%I ADD CONSTRAINT %%I %%s', %s::text, conname, pg_get_constraintdef(oid))
FROM pg_constraint
WHERE conrelid = format('public.%%I', %s::text)::regclass AND conindid <> 0
"""


def _finish(url: str, table: LiteralString) -> None:
    """Give a shadow table all that the live one has: durability, indexes, readers, statistics."""
    shadow = _shadow(table)
    with _connect(url) as connection:
        for (options,) in connection.execute(_OPTIONS, (table,)).fetchall():
            connection.execute(sql.SQL("ALTER TABLE {} SET ({})").format(shadow, sql.SQL(options)))
        connection.execute(sql.SQL("ALTER TABLE {} SET LOGGED").format(shadow))
        statements = connection.execute(_INDEXES, (table,)).fetchall()
        statements += connection.execute(_CONSTRAINTS, (table, table)).fetchall()
        for (statement,) in statements:
            connection.execute(sql.SQL(statement))
        connection.execute("SELECT bursar_make_readable(%s::regclass)", (f"bursar_shadow.{table}",))
        connection.execute(sql.SQL("ANALYZE {}").format(shadow))


def _catch_up_and_switch(connection: psycopg.Connection[Any], position: int) -> int:
    """Fold what was committed meanwhile, the last of it while the projector waits, and switch."""
    for _ in range(_SWITCH_ATTEMPTS):
        while (head := _head(connection)) - position > _TAIL_EVENTS:
            position = _fold_all(connection, position, head)
        try:
            return _switch(connection, position)
        except psycopg.errors.QueryCanceled:
            # Somebody reads for long: stand aside rather than hold up all other readers behind them.
            time.sleep(_LOCK_SECONDS)
    raise SwitchRefusedError("The live tables were in use the whole time; nothing was changed. Try again.")


def _switch(connection: psycopg.Connection[Any], position: int) -> int:
    lock = sql.SQL("LOCK TABLE {} IN ").format(
        sql.SQL(", ").join(sql.Identifier("public", table) for table in _TABLES)
    )
    with connection.transaction():
        # Sends autovacuum away, which takes a second, while readers and projector go on.
        connection.execute(lock + sql.SQL("SHARE UPDATE EXCLUSIVE MODE"))
        connection.execute(LOCK_POSITIONS)
        position = _fold_all(connection, position, _head(connection))
        # Given up before any reader has waited for the second after which PostgreSQL looks for deadlocks: one
        # that waits for a table locked here, and holds the next, must not be the victim.
        connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(int(_LOCK_SECONDS * 1000)))
        connection.execute(lock + sql.SQL("ACCESS EXCLUSIVE MODE"))
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SELECT bursar_switch_tables(%s::text[])", (list(_TABLES),))
        connection.execute("UPDATE projection_positions SET position = %s", (Int8(position),))
        for channel in ("bursar_projected", "bursar_keys"):
            connection.execute("SELECT pg_notify(%s, %s)", (channel, str(position)))
    return position


def _head(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT coalesce(max(position), 0) FROM commands").fetchone()
    assert row is not None
    return int(row[0])


def _fold_all(connection: psycopg.Connection[Any], after: int, upto: int) -> int:
    """Fold a tail of whole commands into all shadow tables, in one transaction."""
    with connection.transaction():
        topics = topics_between(connection, after=after, upto=upto)
        for projection in PROJECTIONS:
            fold_range(connection, projection, after=after, upto=upto, topics=topics)
    return upto
