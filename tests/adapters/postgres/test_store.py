"""The writer on PostgreSQL: several writers on one wallet, broken connections, ghosts, poison, snapshots."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import structlog

from adapters.postgres import store as postgres_store
from adapters.postgres.embedded import cluster as cluster_module
from adapters.postgres.embedded.cluster import Cluster, temporary_cluster
from adapters.postgres.store import PostgresStore
from adapters.postgres.verify import verify
from application.pipeline import recovery
from application.pipeline.command import Envelope, Outcome
from application.pipeline.ports import (
    Appended,
    BehindError,
    ContentRefusedError,
    Known,
    Moved,
    NewCommand,
    OutcomeUnknownError,
    StoreUnavailableError,
)
from application.pipeline.writer import Writer
from domain.errors import Code, DomainError
from projections.engine import snapshots
from tests.conftest import Database
from tests.support.hot_wallet import hammer
from tests.support.proxy import proxied
from tests.support.store import AT, batch, command, emptied, opened, store_key, topped_up, until, waiters
from tests.support.writer import School, answer, charge, running_school, running_writer, top_up

STREAM = "greenhill/wallet/STU-1"
SNAPSHOT_KEY = b"of the processes"


@pytest.fixture
def database(cluster: Cluster) -> Database:
    return emptied(cluster)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "MAX_RECOVERY_SECONDS", 0.3)


def on_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*args: Any, **options: Any) -> None:
        async def within_a_deadline() -> None:
            async with asyncio.timeout(120):
                await test(*args, **options)

        asyncio.run(within_a_deadline())

    return run


def store(database: Database) -> PostgresStore:
    return PostgresStore(database.url("bursar_writer"))


def one(database: Database, query: str) -> Any:
    with psycopg.connect(database.superuser_url) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[arg-type]  # written below
    assert row is not None
    return row[0]


def check(database: Database, *, top_ups: int) -> None:
    """All of the top-ups by 1 are there, each once, and the log is whole."""
    found = verify(database.url("bursar_auditor"), progress=lambda _position, _head: None)
    assert found.findings == []
    assert one(database, "SELECT count(*) FROM commands WHERE command = 'wallet.top_up'") == top_ups
    counts = "SELECT array_agg((convert_from(state, 'UTF8')::json ->> 'count')::int ORDER BY notification_id) FROM events"
    assert one(database, f"{counts} WHERE topic = 'bursar.series.number_allocated.v1'") == list(
        range(1, top_ups + 1)
    )


async def outcomes(writer: Writer, *commands: Envelope) -> list[Outcome | BaseException]:
    return await asyncio.gather(*(writer.submit(one) for one in commands), return_exceptions=True)


def done(outcome: Outcome | BaseException) -> Outcome:
    assert isinstance(outcome, Outcome), outcome
    return outcome


def code(outcome: Outcome | BaseException) -> Code:
    assert isinstance(outcome, DomainError), outcome
    return outcome.code


# --- what the log counts


@on_a_loop
async def test_commands_are_counted_across_batches_and_refusals(database: Database) -> None:
    writing = store(database)

    async def append(decided_at: int, *commands: NewCommand) -> type:
        keys = [("greenhill", "TILL", "a-rejected-commands-key")]
        return type(await writing.append(batch(decided_at, *commands, keys=keys)))

    def counts() -> tuple[list[list[int]], int]:
        commits = one(database, "SELECT json_agg(ARRAY[number, commands] ORDER BY number) FROM commits")
        return commits, one(database, "SELECT commands FROM head")

    three = [command(opened(name, tenant=tenant)) for name, tenant in (("A", "x"), ("B", "x"), ("A", "y"))]
    assert await append(0, *three) is Appended
    assert counts() == ([[1, 3]], 3)
    assert await append(3) is Appended  # a batch of rejected commands alone
    assert await append(0, command(topped_up(2, account="A", tenant="x"))) is Moved
    taken = command(
        opened("C", tenant="x"), topped_up(2, account="C", tenant="x"), key="a-rejected-commands-key"
    )
    assert await append(3, msgspec.structs.replace(taken, tenant="greenhill")) is Appended
    assert await append(5, command(topped_up(2, account="A", tenant="x"))) is Known
    with pytest.raises(ContentRefusedError):
        await writing.append(batch(5, command(opened("D")), command(opened("A", tenant="x"))))
    assert counts() == ([[1, 3], [2, 4]], 4)
    assert await writing.append(batch(5, command(opened("D")), command(opened("E")))) == Appended(7)
    assert counts() == ([[1, 3], [2, 4], [3, 6]], 6)
    assert one(database, "SELECT count(*) FROM commands") == 6
    await writing.close()


@on_a_loop
async def test_a_command_id_is_taken_once(database: Database) -> None:
    writing = store(database)
    first = command(opened("A"))
    await writing.append(batch(0, first))
    with pytest.raises(OutcomeUnknownError):  # so that it is looked up by its id
        await writing.append(batch(1, command(opened("B"), id=first.id)))
    assert one(database, "SELECT count(*) FROM commands") == 1
    await writing.close()


# --- several writers


@on_a_loop
async def test_two_writers_of_one_process_on_one_wallet(database: Database) -> None:
    async with running_school(store(database)) as here, running_writer(store(database)) as there:
        found = await asyncio.gather(
            hammer(here.writer, name="here", callers=16, turns=20),
            hammer(there, name="there", callers=16, turns=20),
        )
        assert found == [{"done": 160, "replayed": 160, "unknown": 0}] * 2
        assert await here.balance() == 320
    check(database, top_ups=320)


@on_a_loop
async def test_two_processes_on_one_wallet(database: Database) -> None:
    async with running_school(store(database)) as school:
        running = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.support.hot_wallet", database.url("bursar_writer"), name, "32", "20",
                stdout=subprocess.PIPE,
            )
            for name in ("process-1", "process-2")
        ]  # fmt: skip
        own = await hammer(school.writer, name="process-3", callers=4, turns=10)
        printed = [await process.communicate() for process in running]
        assert [process.returncode for process in running] == [0, 0]
        assert [json.loads(out) for out, _ in printed] == [{"done": 320, "replayed": 320, "unknown": 0}] * 2
        assert own == {"done": 20, "replayed": 20, "unknown": 0}
        assert await school.balance() == 660
    check(database, top_ups=660)


@on_a_loop
async def test_a_replay_is_one_where_another_writer_did_it_first(database: Database) -> None:
    async with running_school(store(database)) as here, running_writer(store(database)) as there:
        await here.give(top_up())
        first = done((await outcomes(there, charge(key="key-0001")))[0])
        again = await here.give(charge(key="key-0001"))
        assert (again.response, again.position, again.replayed) == (first.response, first.position, True)
        assert code((await outcomes(here.writer, charge(key="key-0002")))[0]) == Code.INSUFFICIENT_FUNDS


# --- content


@pytest.mark.parametrize("behind", [False, True])
def test_a_poisoned_command_is_refused_alone(database: Database, behind: bool) -> None:
    @on_a_loop
    async def test() -> None:
        async with running_school(store(database)) as school:
            school.writer._is_behind = behind
            commands = [top_up(amount=1, reason="a\0b" if number in (3, 9) else "") for number in range(16)]
            found = await outcomes(school.writer, *commands)
            assert [code(found.pop(number)) for number in (9, 3)] == [Code.INVALID_REQUEST] * 2
            assert {done(one).replayed for one in found} == {False}
            assert await school.balance() == 14
        check(database, top_ups=14)

    test()


@on_a_loop
async def test_a_version_that_is_taken_is_the_last_guard(database: Database) -> None:
    mine = store(database)
    await mine.append(batch(0, command(opened(), topped_up(2))))
    with pytest.raises(ContentRefusedError):
        await mine.append(batch(2, command(topped_up(3)), command(topped_up(2))))
    await mine.lock(after=2)
    with pytest.raises(ContentRefusedError):
        await mine.append(batch(2, command(topped_up(2))))
    await mine.unlock()
    assert await mine.append(batch(2, command(topped_up(3)))) == Appended(3), "numbered without a gap"
    await mine.close()


@pytest.mark.parametrize(
    "wrong",
    [
        batch(0, command(opened()), recorded_at=AT - timedelta(days=365 * 100)),
        batch(0, command(opened()), command()),
    ],
    ids=["recorded before the last one", "a command without an event"],
)
def test_what_no_writer_sends_is_refused_whole(database: Database, wrong: Any) -> None:
    @on_a_loop
    async def test() -> None:
        mine = store(database)
        with pytest.raises(psycopg.Error):
            await mine.append(wrong)
        assert (await mine.head()).position == 0
        await mine.close()

    test()


@on_a_loop
async def test_a_fast_clock_dates_nothing(database: Database) -> None:
    """What is recorded never goes back: one such commit would date all that come after it."""
    mine, ahead = store(database), datetime.now(UTC) + timedelta(hours=1)
    assert await mine.append(batch(0, command(opened()), recorded_at=ahead)) == Moved(0)
    assert await mine.append(batch(0, keys=[("greenhill", "TILL", "key-0001")], recorded_at=ahead)) == Moved(
        0
    ), "nor does it refuse anything"
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert await mine.append(batch(0, command(opened()), recorded_at=soon)) == Appended(1)
    assert await mine.append(batch(1, command(topped_up(2)), recorded_at=soon)) == Appended(2)
    await mine.close()


@pytest.mark.parametrize("wrong", [timedelta(days=-40), timedelta(minutes=-2), timedelta(hours=1)])
def test_the_database_has_the_clock_of_all_processes(
    database: Database, monkeypatch: pytest.MonkeyPatch, wrong: timedelta
) -> None:
    class Wrong(datetime):
        by = wrong

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + cls.by

    @on_a_loop
    async def test() -> None:
        monkeypatch.setattr(postgres_store, "datetime", Wrong)
        mine = store(database)
        async with running_school(mine) as school:
            for Wrong.by in (wrong, 2 * wrong):  # whether it is wrong from the start or becomes so
                await school.give(top_up())
                await school.give(top_up())
                recorded_at = (await mine.head()).recorded_at
                assert abs(recorded_at - datetime.now(UTC)) < timedelta(minutes=1)

    test()


@on_a_loop
async def test_a_server_that_became_a_standby_takes_nothing_now(database: Database) -> None:
    mine = store(database)
    await mine.head()
    assert mine._connection
    await mine._connection.execute("SET default_transaction_read_only = on")  # as after a failover
    with pytest.raises(StoreUnavailableError):
        await mine.append(batch(0, command(opened())))
    await mine.close()


# --- broken connections


@asynccontextmanager
async def fragile_school(database: Database) -> Any:
    """A school whose writer goes by a proxy, warm: what it sends next is the append call."""
    async with (
        proxied(database.superuser_url) as proxy,
        running_school(PostgresStore(proxy.url(database.url("bursar_writer")))) as school,
    ):
        for _ in range(4):
            await school.give(top_up(amount=1))
        yield school, proxy


async def hold_head(database: Database) -> psycopg.AsyncConnection[Any]:
    holder = await psycopg.AsyncConnection.connect(database.url("bursar_writer"))
    await holder.execute("SELECT bursar_lock_head()")
    return holder


@pytest.mark.parametrize("behind", [False, True])
def test_a_connection_that_breaks_before_the_answer(database: Database, behind: bool) -> None:
    @on_a_loop
    async def test() -> None:
        async with fragile_school(database) as (school, proxy):
            school.writer._is_behind = behind
            proxy.cut("answer", skip=2 if behind else 0)
            found = await outcomes(
                school.writer, top_up(amount=1, key="key-0001"), top_up(amount=1), charge(amount=500)
            )
            assert proxy.was_cut.is_set()
            assert [done(one).replayed for one in found[:2]] == [False, False]
            assert code(found[2]) == Code.INSUFFICIENT_FUNDS
            again = await school.give(top_up(amount=1, key="key-0001"))
            assert (again.response, again.replayed) == (done(found[0]).response, True)
            assert await school.balance() == 6
        check(database, top_ups=6)

    test()


@on_a_loop
async def test_a_ghost_that_commits_late_is_waited_for(database: Database) -> None:
    async with fragile_school(database) as (school, proxy):
        holder = await hold_head(database)
        proxy.cut("request")
        waiting = asyncio.create_task(school.give(top_up(amount=1, key="key-0001")))
        await proxy.was_cut.wait()

        async def both_wait() -> bool:
            return waiters(database) == 2  # the ghost's append, and the writer's look-up behind it

        await until(both_wait)
        assert not waiting.done()
        await holder.rollback()
        await holder.close()
        assert not (await waiting).replayed
        assert await school.balance() == 5
    check(database, top_ups=5)


@on_a_loop
async def test_a_ghost_that_died_is_not_waited_for_and_done_again(database: Database) -> None:
    async with fragile_school(database) as (school, proxy):
        holder = await hold_head(database)
        proxy.cut("request")
        waiting = asyncio.create_task(school.give(top_up(amount=1, key="key-0001")))
        await proxy.was_cut.wait()

        async def ghost_waits() -> bool:
            return waiters(database) >= 1

        await until(ghost_waits)
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%bursar_append(%' AND datname = current_database() AND pid <> pg_backend_pid()"
        assert one(database, ended) == 1
        await holder.rollback()
        await holder.close()
        assert not (await waiting).replayed
        assert await school.balance() == 5
    check(database, top_ups=5)


@pytest.mark.usefixtures("hasty")
@on_a_loop
async def test_a_ghost_that_commits_after_its_caller_gave_up_is_found_by_the_same_key(
    database: Database,
) -> None:
    async with fragile_school(database) as (school, proxy):
        holder = await hold_head(database)
        proxy.refuse = True
        proxy.cut("request")
        found = await outcomes(school.writer, top_up(amount=1, key="key-0001"))
        assert code(found[0]) == Code.OUTCOME_UNKNOWN
        proxy.refuse = False
        retry = asyncio.create_task(school.give(top_up(amount=1, key="key-0001")))

        async def both_wait() -> bool:
            return waiters(database) == 2  # the ghost, and the second attempt behind it

        await until(both_wait)
        await holder.rollback()
        await holder.close()
        assert (await retry).replayed
        assert await school.balance() == 5
    check(database, top_ups=5)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("how", ["answer", "request"])
def test_a_database_that_stays_away_leaves_the_outcome_unknown(database: Database, how: Any) -> None:
    @on_a_loop
    async def test() -> None:
        async with fragile_school(database) as (school, proxy):
            proxy.refuse = True
            proxy.cut(how)
            found = await outcomes(school.writer, top_up(amount=1, key="key-0001"))
            assert code(found[0]) == Code.OUTCOME_UNKNOWN
            assert code((await outcomes(school.writer, top_up(amount=1)))[0]) == Code.UNAVAILABLE
            proxy.refuse = False
            assert (await school.give(top_up(amount=1, key="key-0001"))).replayed
            assert await school.balance() == 5
        check(database, top_ups=5)

    test()


@on_a_loop
async def test_a_backend_that_is_ended_again_and_again(database: Database) -> None:
    """Whoever asks again with the same key after `outcome_unknown` or `unavailable` loses and doubles nothing."""
    done_so_far = 0
    end = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE usename = 'bursar_writer' AND datname = current_database()"
    )

    async def caller(school: School, number: int) -> None:
        nonlocal done_so_far
        for turn in range(25):
            while True:
                try:
                    await school.give(top_up(amount=1, key=f"key-{number:03}-{turn:03}"))
                    break
                except DomainError as error:
                    if error.code not in (Code.OUTCOME_UNKNOWN, Code.UNAVAILABLE):
                        raise
                    await asyncio.sleep(0.01)
            done_so_far += 1

    async with running_school(store(database)) as school:
        working = asyncio.gather(*(caller(school, number) for number in range(16)))
        ended = 0
        async with await psycopg.AsyncConnection.connect(database.superuser_url, autocommit=True) as killer:
            while not working.done():
                before = done_so_far

                async def some_more(before: int = before) -> bool:
                    return working.done() or done_so_far >= before + 10

                await until(some_more)
                row = await (await killer.execute(end)).fetchone()
                assert row is not None
                ended += row[0]
        await working
        assert (done_so_far, ended > 5) == (400, True)
    check(database, top_ups=400)


@on_a_loop
async def test_a_lock_that_is_held_too_long_is_unavailable(database: Database) -> None:
    async with running_school(store(database)) as school:
        await school.give(top_up(amount=1))
        holder = await hold_head(database)
        found = await outcomes(school.writer, top_up(amount=1), charge(amount=500))
        assert [code(one) for one in found] == [Code.UNAVAILABLE] * 2
        await holder.rollback()
        await holder.close()
        assert await school.balance() == 1
    check(database, top_ups=1)


@on_a_loop
async def test_a_server_that_is_not_there_is_unavailable(database: Database) -> None:
    async with proxied(database.superuser_url) as proxy:
        proxy.refuse = True
        gone = PostgresStore(proxy.url(database.url("bursar_writer")))
        with pytest.raises(StoreUnavailableError):
            await gone.head()
        with pytest.raises(StoreUnavailableError):
            await gone.append(batch(0, command(opened())))
        async with running_writer(gone) as writer:
            assert code((await outcomes(writer, top_up()))[0]) == Code.UNAVAILABLE


# --- snapshots


def put_snapshot(database: Database, snapshot: snapshots.Snapshot) -> None:
    with psycopg.connect(database.url("bursar_projector")) as connection:
        connection.execute("DELETE FROM snapshots")
        connection.execute(
            "INSERT INTO snapshots VALUES (%s, %s, %s, %s, %s, %s)", msgspec.structs.astuple(snapshot)
        )


@on_a_loop
async def test_a_state_loads_from_its_snapshot_and_what_follows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_store, "SHORT_EVENTS", 1)
    mine = PostgresStore(database.url("bursar_writer"), snapshot_key=SNAPSHOT_KEY)
    await mine.append(
        batch(0, command(opened(), topped_up(2, 100)), command(topped_up(3, 10)), command(topped_up(4, 1)))
    )
    state: Any = (await mine.load([STREAM], at=3))[STREAM]
    state.balance_minor = 7_000  # not what the events say, so that one sees where it came from
    key = store_key(database, SNAPSHOT_KEY)
    genuine = snapshots.sealed(key, STREAM, state, position=3)
    put_snapshot(database, genuine)
    loaded = [(await mine.load([STREAM], at=at))[STREAM] for at in (3, 4)]
    assert [getattr(one, "balance_minor", None) for one in loaded] == [7_000, 7_001]
    assert [one.version for one in loaded] == [3, 4]
    with pytest.raises(BehindError):
        await mine.load([STREAM], at=2)
    found = verify(database.url("bursar_auditor"), progress=lambda _position, _head: None)
    assert [finding.position for finding in found.findings] == [3], "and verify knows that it is not genuine"
    for forged in (
        snapshots.sealed(b"another key", STREAM, state, position=3),
        snapshots.sealed(SNAPSHOT_KEY, STREAM, state, position=3),
        msgspec.structs.replace(genuine, seal=b""),
        msgspec.structs.replace(genuine, position=2),
        msgspec.structs.replace(genuine, state=genuine.state.replace(b"7000", b"9000")),
        msgspec.structs.replace(genuine, format=genuine.format - 1),
    ):
        put_snapshot(database, forged)
        assert getattr((await mine.load([STREAM], at=4))[STREAM], "balance_minor", None) == 111
    await mine.close()


@pytest.mark.parametrize("change", ["epoch = epoch + 1", "id = gen_random_uuid()"])
def test_a_snapshot_of_another_time_line_or_store_does_not_count(
    database: Database, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_store, "SHORT_EVENTS", 1)

    async def balance() -> int:
        mine = PostgresStore(database.url("bursar_writer"), snapshot_key=SNAPSHOT_KEY)
        state: Any = (await mine.load([STREAM], at=2))[STREAM]
        await mine.close()
        return int(state.balance_minor)

    async def snapshot_of_more_than_was() -> None:
        mine = store(database)
        await mine.append(batch(0, command(opened(), topped_up(2, 100))))
        state: Any = (await mine.load([STREAM], at=2))[STREAM]
        await mine.close()
        state.balance_minor = 7_000
        key = store_key(database, SNAPSHOT_KEY)
        put_snapshot(database, snapshots.sealed(key, STREAM, state, position=2))

    asyncio.run(snapshot_of_more_than_was())
    assert asyncio.run(balance()) == 7_000
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute(f"UPDATE store SET {change}")
    assert asyncio.run(balance()) == 100


@on_a_loop
async def test_short_streams_are_loaded_by_one_statement(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks for snapshots of what cannot have one."""
    monkeypatch.setattr(postgres_store, "_SNAPSHOTS", "SELECT 1 / 0 WHERE %b::text[] IS NOT NULL")
    mine = PostgresStore(database.url("bursar_writer"), snapshot_key=SNAPSHOT_KEY)
    await mine.append(batch(0, command(opened(), topped_up(2, 100))))
    assert (await mine.load([STREAM, "greenhill/wallet/NONE"], at=2))[STREAM].version == 2
    monkeypatch.setattr(postgres_store, "SHORT_EVENTS", 2)
    with pytest.raises(StoreUnavailableError):
        await mine.load([STREAM], at=2)
    await mine.close()


@on_a_loop
async def test_a_process_that_is_behind_the_only_snapshot_catches_up_first(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_store, "SHORT_EVENTS", 10)
    mine = PostgresStore(database.url("bursar_writer"), snapshot_key=SNAPSHOT_KEY)
    async with running_school(mine) as school, running_writer(store(database)) as other:
        await outcomes(other, *(top_up(amount=1) for _ in range(30)))
        state = (await mine.load([STREAM], at=other.position))[STREAM]
        put_snapshot(
            database,
            snapshots.sealed(store_key(database, SNAPSHOT_KEY), STREAM, state, position=other.position),
        )
        school.writer._cache.states.clear()
        assert answer(await school.give(top_up(amount=1)))["wallet"]["balance"] == 31


@on_a_loop
async def test_a_long_stream_is_read_in_slices_beside_the_loop(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_store, "SLICE_EVENTS", 7)
    monkeypatch.setattr(postgres_store, "MAX_INLINE_EVENTS", 3)
    sizes: list[int] = []
    fold = postgres_store._fold

    def watched(states: Any, rows: Any) -> None:
        sizes.append(len(rows))
        assert (threading.current_thread() is threading.main_thread()) == (len(rows) <= 3)
        fold(states, rows)

    monkeypatch.setattr(postgres_store, "_fold", watched)
    mine = store(database)
    await mine.append(batch(0, command(opened(), *(topped_up(n, 1) for n in range(2, 31)))))
    other = "greenhill/wallet/OTHER"
    loaded = await mine.load([STREAM, other], at=29)
    assert (loaded[STREAM].version, loaded[other].version) == (29, 0)
    assert (sizes[0], sum(sizes)) == (3, 29)
    assert max(sizes) == 7
    await mine.close()


@on_a_loop
async def test_a_process_that_starts_cold_goes_on_where_the_log_is(database: Database) -> None:
    async with running_school(store(database)) as school:
        await school.give(top_up(amount=50))
    async with running_writer(store(database)) as writer:
        assert writer.position == -1
        moved = await writer.submit(charge(amount=50))
        assert answer(moved)["wallet"]["balance"] == 0
        assert writer.position == moved.position


@on_a_loop
async def test_what_is_answered_is_durable_whatever_the_database_is_set_to(database: Database) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database.name} SET synchronous_commit = off")
        connection.execute("ALTER ROLE bursar_writer SET synchronous_commit = off")
    try:
        async with running_school(store(database)) as school:
            connection = school.writer._store._connection  # type: ignore[attr-defined]  # PostgreSQL's store has it, the port has not
            row = await (await connection.execute("SHOW synchronous_commit")).fetchone()
            assert row == ("on",)
    finally:
        with psycopg.connect(database.superuser_url, autocommit=True) as connection:
            connection.execute("ALTER ROLE bursar_writer RESET synchronous_commit")
            connection.execute(f"ALTER DATABASE {database.name} RESET synchronous_commit")


def test_a_server_that_may_lose_what_it_answered_is_told_of_at_start(
    shared_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has given a command yet."""
    monkeypatch.setitem(cluster_module._SETTINGS, "fsync", "off")

    @on_a_loop
    async def start(url: str) -> None:
        with structlog.testing.capture_logs() as logs:
            async with running_writer(PostgresStore(url)):

                async def is_told() -> bool:
                    return bool(logs)

                await until(is_told)
        assert [log["event"] for log in logs] == ["what is committed may be lost: the server's fsync is off"]

    with temporary_cluster(shared_folder / "unsafe") as made:
        start(made.superuser_url)
