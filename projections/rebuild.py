"""Rebuild of all read tables from the log, beside the live ones, with proof of whether any row differs.

The log is folded into tables of the same names in schema bursar_shadow, under one snapshot of log and live
tables. Where every digest equals that of the live table at the same position, nothing is left to do. Else the
shadow catches up and takes the live tables' place in one transaction: readers see the old rows or the new.
Killed at any point it leaves the live tables as they were; the next rebuild sweeps up.
"""

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final, LiteralString

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.numeric import Int8

from projections.fold import Projection, fold_range, topics_between
from projections.registry import PROJECTIONS

_CHUNK_EVENTS: Final = 100_000
_TAIL_EVENTS: Final = 20_000  # so few are folded while the projector waits
_SWITCH_ATTEMPTS: Final = 60
_LOCK_SECONDS: Final = 1

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
    """What is rebuilt: an exported snapshot, in it the head and each projection's position."""

    snapshot: str
    head: int
    positions: dict[str, int]


class _Count:
    """Adds up what the connections have folded, and reports it as events of the log."""

    def __init__(self, total: int, report: Progress) -> None:
        self._done = 0
        self._total = total
        self._report = report
        self._lock = Lock()

    def add(self, events: int) -> None:
        with self._lock:
            self._done += events
            self._report(self._done // len(PROJECTIONS), self._total)


def rebuild(projector_url: str, progress: Progress) -> RebuildResult:
    """Fold the log anew, compare with the live tables, and put the new ones in their place where they differ.

    Live tables far behind the log are replaced too, since this is the faster way to its end. The projector may
    run meanwhile. Raises `RebuildRunningError`, and `SwitchRefusedError` after about a minute.
    """
    began = time.monotonic()
    with _connect(projector_url) as connection, _alone(connection):
        _make_shadows(connection)
        with connection.transaction():
            source = _export(connection)
            count = _Count(source.head, progress)
            tables = _in_parallel(
                lambda projection: _build(projector_url, projection, source, count), PROJECTIONS
            )
        behind = source.head - min(source.positions.values())
        switch = behind > _TAIL_EVENTS or not all(table.equal for table in tables.values())
        position = min(source.positions.values())
        if switch:
            _in_parallel(lambda projection: _finish(projector_url, projection), PROJECTIONS)
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


def _in_parallel(
    work: Callable[[Projection], dict[str, TableDigest]], projections: tuple[Projection, ...]
) -> dict[str, TableDigest]:
    """Two connections share the projections; the ledger, half of all events, is first."""
    ordered = sorted(projections, key=lambda projection: projection.name != "ledger")
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = list(pool.map(work, ordered))
    return {name: digest for tables in found for name, digest in tables.items()}


# Shadow tables ---------------------------------------------------------------------------------------------


def _shadow(table: LiteralString) -> sql.Identifier:
    return sql.Identifier("bursar_shadow", table)


def _drop_shadows(connection: psycopg.Connection[Any]) -> None:
    for projection in PROJECTIONS:
        for table in projection.tables:
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_shadow(table)))


def _make_shadows(connection: psycopg.Connection[Any]) -> None:
    """Make empty tables like the live ones, without their indexes and not logged until they are to stay."""
    _drop_shadows(connection)
    for projection in PROJECTIONS:
        for table in projection.tables:
            connection.execute(
                sql.SQL("CREATE UNLOGGED TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").format(
                    _shadow(table), sql.Identifier("public", table)
                )
            )


# Fold and compare ------------------------------------------------------------------------------------------


def _export(connection: psycopg.Connection[Any]) -> _Source:
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    row = connection.execute(
        "SELECT pg_export_snapshot(), (SELECT coalesce(max(position), 0) FROM commands)"
    ).fetchone()
    assert row is not None
    positions = dict(connection.execute("SELECT name, position FROM projection_positions").fetchall())
    return _Source(snapshot=row[0], head=row[1], positions=positions)


def _build(url: str, projection: Projection, source: _Source, count: _Count) -> dict[str, TableDigest]:
    """Fold one projection up to where its live tables are, compare, then fold on to the head."""
    with _connect(url) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(source.snapshot))
        live = source.positions[projection.name]
        _fold_chunks(connection, projection, 0, live, count)
        digests = {table: _compare(connection, table) for table in projection.tables}
        _fold_chunks(connection, projection, live, source.head, count)
        return digests


def _fold_chunks(
    connection: psycopg.Connection[Any], projection: Projection, after: int, upto: int, count: _Count
) -> None:
    while after < upto:
        chunk = _command_end(connection, min(after + _CHUNK_EVENTS, upto))
        topics = topics_between(connection, after=after, upto=chunk)
        fold_range(connection, projection, after=after, upto=chunk, topics=topics)
        count.add(chunk - after)
        after = chunk


def _command_end(connection: psycopg.Connection[Any], position: int) -> int:
    """The end of the command that owns `position`."""
    row = connection.execute(
        "SELECT min(position) FROM commands WHERE position >= %s", (Int8(position),)
    ).fetchone()
    assert row is not None
    return int(row[0])


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


def _finish(url: str, projection: Projection) -> dict[str, TableDigest]:
    """Give the shadow tables all that the live ones have: durability, indexes, readers, statistics."""
    with _connect(url) as connection:
        for table in projection.tables:
            shadow = _shadow(table)
            for (options,) in connection.execute(_OPTIONS, (table,)).fetchall():
                connection.execute(sql.SQL("ALTER TABLE {} SET ({})").format(shadow, sql.SQL(options)))
            connection.execute(sql.SQL("ALTER TABLE {} SET LOGGED").format(shadow))
            statements = connection.execute(_INDEXES, (table,)).fetchall()
            statements += connection.execute(_CONSTRAINTS, (table, table)).fetchall()
            for (statement,) in statements:
                connection.execute(sql.SQL(statement))
            connection.execute("SELECT bursar_make_readable(%s::regclass)", (f"bursar_shadow.{table}",))
            connection.execute(sql.SQL("ANALYZE {}").format(shadow))
    return {}


def _catch_up_and_switch(connection: psycopg.Connection[Any], position: int) -> int:
    """Fold what was committed meanwhile, the last of it while the projector waits, and switch."""
    for _ in range(_SWITCH_ATTEMPTS):
        while (head := _head(connection)) - position > _TAIL_EVENTS:
            position = _fold_all(connection, position, head)
        try:
            return _switch(connection, position)
        except psycopg.errors.LockNotAvailable:
            # Somebody reads for long. Not to queue behind them, with all other readers behind us: again.
            time.sleep(_LOCK_SECONDS / 2)
    raise SwitchRefusedError("The live tables were in use the whole time; nothing was changed. Try again.")


def _switch(connection: psycopg.Connection[Any], position: int) -> int:
    names = [table for projection in PROJECTIONS for table in projection.tables]
    with connection.transaction():
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_LOCK_SECONDS * 1000))
        connection.execute("SELECT FROM projection_positions ORDER BY name FOR UPDATE")
        position = _fold_all(connection, position, _head(connection))
        connection.execute("SELECT bursar_switch_tables(%s::text[])", (names,))
        connection.execute("UPDATE projection_positions SET position = %s", (Int8(position),))
        connection.execute(
            "SELECT pg_notify(channel, %s) FROM unnest(ARRAY['bursar_projected', 'bursar_keys']) AS channel",
            (str(position),),
        )
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
