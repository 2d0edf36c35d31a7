"""Rebuild of all read tables from the log, beside the live ones, with proof of whether any row differs.

The log is folded into the shadow range by range, each in a transaction of its own: what is in the log never changes, so
that however long this takes, nobody's old rows are kept for it. Once the shadow is close behind the live tables, each
table is compared in a short snapshot of its own, in which the last events are folded too. Where every digest equals
that of the live table at the same position, nothing is left to do. Else the shadow catches up and takes the live tables'
place in one transaction: readers see the old rows or the new. Killed at any point it leaves the live tables as they were;
the next rebuild sweeps up.
"""

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from threading import Event, Lock
from typing import Any, Final, TypeVar

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.numeric import Int8

from projections.engine import shadow
from projections.engine.fold import Projection, check_known, fold_range, topics_between, topics_in
from projections.engine.registry import LOCK_POSITIONS, POSITIONS, PROJECTIONS
from projections.engine.shadow import TABLES, TableDigest

_CHUNK_EVENTS: Final = 50_000  # few enough to stay in memory while each fold goes over them
_TAIL_EVENTS: Final = 20_000  # so few are folded in a snapshot, and while the projector waits
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

_Item = TypeVar("_Item")

Progress = Callable[[int, int], None]
"""Called with the events folded and the events to fold."""


class RebuildRunningError(Exception):
    """Another rebuild of this database is running."""


class SwitchRefusedError(Exception):
    """Readers or a projector held the live tables the whole time; the rebuilt ones were not put in their place."""


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


def rebuild(projector_url: str, progress: Progress) -> RebuildResult:
    """Fold the log anew, compare with the live tables, and put the new ones in their place where they differ.

    Live tables far behind the log are replaced too, since this is the faster way to its end. The projector may
    run meanwhile. Raises `RebuildRunningError`, `UnknownTopicError` where the log has what this version does not know,
    before anything is folded, and `SwitchRefusedError` after about a minute; then the live tables are as they were.
    """
    with _connect(projector_url) as first, _alone(first), _connect(projector_url) as second:
        return _Rebuild((first, second), progress).run()


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


class _Range(msgspec.Struct, frozen=True):
    """Whole commands after a position, up to this one, and the topics of their events."""

    upto: int
    topics: frozenset[str]


class _Rebuild:
    """One rebuild, on two connections: each takes the next piece of work that nobody has."""

    def __init__(self, connections: Sequence[psycopg.Connection[Any]], progress: Progress) -> None:
        self._connections = connections
        self._connection = connections[0]
        self._progress = progress
        self._head = _head(self._connection)
        self._ranges: dict[int, _Range] = {}
        self._positions = {projection.name: 0 for projection in PROJECTIONS}
        self._folding: set[str] = set()
        self._lock = Lock()
        self._tables: dict[str, TableDigest] = {}

    def run(self) -> RebuildResult:
        began = time.monotonic()
        self._read_topics()
        shadow.make(self._connection)
        self._approach(_live)
        self._on_both(_each(PROJECTIONS), self._compare)
        position = min(self._positions.values())
        equal = all(table.equal for table in self._tables.values())
        switch = not equal or _head(self._connection) - position > _TAIL_EVENTS
        if switch:
            self._approach(_end)
            self._on_both(_each(TABLES), shadow.finish)
            position = self._catch_up_and_switch()
        shadow.drop(self._connection)
        self._progress(self._head, self._head)
        return RebuildResult(
            tables={table: self._tables[table] for table in TABLES},
            events=max(position, *self._positions.values()),
            position=position,
            switched=switch,
            seconds=time.monotonic() - began,
        )

    def _on_both(
        self,
        take: Callable[[], _Item | None],
        work: Callable[[psycopg.Connection[Any], _Item], None],
    ) -> None:
        """Work on both connections until there is nothing to take, or a piece has failed."""
        stop = Event()

        def go_on(connection: psycopg.Connection[Any]) -> None:
            while not stop.is_set() and (item := take()) is not None:
                work(connection, item)

        with ThreadPoolExecutor(len(self._connections)) as pool:
            try:
                for done in as_completed([pool.submit(go_on, each) for each in self._connections]):
                    done.result()
            finally:
                stop.set()

    # Fold ---------------------------------------------------------------------------------------------------

    def _read_topics(self) -> None:
        """Divide the log into ranges, and see that all that is in them is known."""
        multiples = range(_CHUNK_EVENTS, self._head, _CHUNK_EVENTS)
        ends = {_command_end(self._connection, position) for position in multiples}
        ends |= {position for position in (*_live(self._connection).values(), self._head) if position}
        ranges = list(pairwise([0, *sorted(ends)]))

        def read(connection: psycopg.Connection[Any], range_: tuple[int, int]) -> None:
            after, upto = range_
            self._ranges[after] = _Range(upto, topics_in(connection, after=after, upto=upto))

        self._on_both(_each(ranges), read)
        for after, upto in ranges:
            check_known(self._connection, self._ranges[after].topics, after=after, upto=upto)

    def _approach(self, goal: Callable[[psycopg.Connection[Any]], dict[str, int]]) -> None:
        """Fold each projection to where `goal` says, until it is a short way behind what that says by then."""
        while self._is_far_behind(goals := goal(self._connection)):
            self._on_both(partial(self._next_to_fold, goals), partial(self._fold_range_of, goals))

    def _is_far_behind(self, goals: Mapping[str, int]) -> bool:
        return any(goals[name] - position > _TAIL_EVENTS for name, position in self._positions.items())

    def _next_to_fold(self, goals: Mapping[str, int]) -> Projection | None:
        """Take the projection that is least far, so that both connections read the same part of the log."""
        with self._lock:
            waiting = [
                projection
                for projection in PROJECTIONS
                if projection.name not in self._folding
                and self._positions[projection.name] < goals[projection.name]
            ]
            if not waiting:
                return None
            projection = min(waiting, key=lambda projection: self._positions[projection.name])
            self._folding.add(projection.name)
            return projection

    def _fold_range_of(
        self, goals: Mapping[str, int], connection: psycopg.Connection[Any], projection: Projection
    ) -> None:
        after = self._positions[projection.name]
        range_ = self._range(connection, after, goals[projection.name])
        if not range_.topics.isdisjoint(projection.topics):
            with connection.transaction():
                fold_range(connection, projection, after=after, upto=range_.upto, topics=range_.topics)
        with self._lock:
            self._positions[projection.name] = range_.upto
            self._folding.discard(projection.name)
            folded = sum(self._positions.values()) // len(PROJECTIONS)
            self._progress(min(folded, self._head), self._head)

    def _range(self, connection: psycopg.Connection[Any], after: int, goal: int) -> _Range:
        """The next range on the way to `goal`, which is the end of a command."""
        known = self._ranges.get(after)
        if known is not None and known.upto <= goal:
            return known
        # To where a range ends that all projections have, so that from there on its topics are known again.
        multiple = (after // _CHUNK_EVENTS + 1) * _CHUNK_EVENTS
        upto = _command_end(connection, min(multiple, goal))
        return _Range(upto, topics_between(connection, after=after, upto=upto))

    def _fold_rest(self, connection: psycopg.Connection[Any], projection: Projection, upto: int) -> None:
        """Fold a tail in the transaction that is open. Whoever commits it moves the position."""
        after = self._positions[projection.name]
        if after < upto:
            topics = topics_between(connection, after=after, upto=upto)
            fold_range(connection, projection, after=after, upto=upto, topics=topics)

    # Compare ------------------------------------------------------------------------------------------------

    def _compare(self, connection: psycopg.Connection[Any], projection: Projection) -> None:
        """Compare each table of a projection where its live one is, in a snapshot of its own."""
        name = projection.name
        for table in projection.tables:
            while (live := _live(connection))[name] - self._positions[name] > _TAIL_EVENTS:
                self._fold_range_of(live, connection, projection)
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                after, position = self._positions[name], _live(connection)[name]
                self._fold_rest(connection, projection, position)
                self._tables[table] = shadow.compare(connection, table)
            self._positions[name] = max(after, position)

    # Switch -------------------------------------------------------------------------------------------------

    def _catch_up_and_switch(self) -> int:
        """Fold what was committed meanwhile, the last of it while the projector waits, and switch."""
        for _ in range(_SWITCH_ATTEMPTS):
            self._approach(_end)
            try:
                return self._switch()
            except psycopg.errors.QueryCanceled:
                # Somebody reads for long: stand aside rather than hold up all other readers behind them.
                time.sleep(_LOCK_SECONDS)
        raise SwitchRefusedError(
            "The live tables were in use the whole time; nothing was changed. Try again."
        )

    def _switch(self) -> int:
        connection = self._connection
        lock = sql.SQL("LOCK TABLE {} IN ").format(
            sql.SQL(", ").join(sql.Identifier("public", table) for table in TABLES)
        )
        with connection.transaction():
            # Sends autovacuum away, which takes a second, while readers and projector go on.
            connection.execute(lock + sql.SQL("SHARE UPDATE EXCLUSIVE MODE"))
            connection.execute(LOCK_POSITIONS)
            position = _head(connection)
            for projection in PROJECTIONS:
                self._fold_rest(connection, projection, position)
            # Given up before any reader has waited for the second after which PostgreSQL looks for deadlocks: one
            # that waits for a table locked here, and holds the next, must not be the victim.
            connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(int(_LOCK_SECONDS * 1000)))
            connection.execute(lock + sql.SQL("ACCESS EXCLUSIVE MODE"))
            connection.execute("SET LOCAL statement_timeout = 0")
            shadow.switch(connection)
            connection.execute("UPDATE projection_positions SET position = %s", (Int8(position),))
            for channel in ("bursar_projected", "bursar_keys"):
                connection.execute("SELECT pg_notify(%s, %s)", (channel, str(position)))
        return position


def _each(items: Iterable[_Item]) -> Callable[[], _Item | None]:
    """Take one after the other."""
    return partial(next, iter(items), None)


def _head(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT coalesce(max(position), 0) FROM commands").fetchone()
    assert row is not None
    return int(row[0])


def _live(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """How far each projection has come."""
    return dict(connection.execute(POSITIONS).fetchall())


def _end(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """The log's end, for each projection."""
    return dict.fromkeys((projection.name for projection in PROJECTIONS), _head(connection))


def _command_end(connection: psycopg.Connection[Any], position: int) -> int:
    """The end of the command that owns `position`."""
    row = connection.execute(
        "SELECT min(position) FROM commands WHERE position >= %s", (Int8(position),)
    ).fetchone()
    assert row is not None
    return int(row[0])
