"""The live projector: exactly once, whole commands only, woken and never for long behind."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from ops.worker import run_projector
from projections.engine import runner
from projections.engine.fold import Projection
from tests.conftest import Database
from tests.support.log import append_all
from tests.support.projected import a_day, catch_up, dump, forget, put, top_ups
from tests.support.read_only import read_only
from tests.support.school import School
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]


@contextmanager
def running(database: Database) -> Generator[Event]:
    """A projector on a thread of its own; yields the event that stops it."""
    stop, ready, failures = Event(), Event(), list[BaseException]()

    def project() -> None:
        try:
            run_projector(database.url("bursar_projector"), stop, ready.set, snapshot_key=b"of the processes")
        except BaseException as error:  # noqa: BLE001  handed to the test below
            failures.append(error)
            ready.set()

    thread = Thread(target=project)
    thread.start()
    try:
        assert ready.wait(60)
        assert not failures, failures
        yield stop
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        assert not failures, failures


def folded_up_to(database: Database) -> int:
    with psycopg.connect(database.superuser_url) as connection:
        row = connection.execute("SELECT min(position), max(position) FROM projection_positions").fetchone()
    assert row is not None
    assert row[0] == row[1]
    return int(row[0])


def assert_equal_to_a_fresh_fold(database: Database) -> None:
    found = dump(database)
    forget(database)
    catch_up(database)
    assert dump(database) == found


def test_two_projectors_that_race_fold_each_event_once(database: Database) -> None:
    school = School()
    with running(database), running(database):
        for _ in range(4):
            school.run("tenant.feature", feature="FINANCE_V2", enabled=False)
            school.run("tenant.feature", feature="FINANCE_V2", enabled=True)
            head = put(database, school, each_in_its_own_commit=True)
        with psycopg.connect(database.url("bursar_writer"), autocommit=True) as connection:
            version = 1
            for _ in range(60):
                head = append_all(connection, top_ups("greenhill", "HOT", 5, first_version=version))
                version += 6 if version == 1 else 5
        eventually(lambda: folded_up_to(database) == head)
    assert dump(database)["wallet_balances"][0][2] == 300 * 100
    assert_equal_to_a_fresh_fold(database)


def test_killed_at_any_point_it_loses_and_doubles_nothing(database: Database) -> None:
    for tenant, country, keys in (("greenhill", "KE", "a"), ("maple", "CA", "b")):
        school = School(tenant, country)
        a_day(school, keys=keys)
        head = put(database, school)
    with psycopg.connect(database.url("bursar_writer"), autocommit=True) as connection:
        head = append_all(connection, top_ups("maple", "HOT", 3_000))
        head = append_all(connection, top_ups("maple", "HOTTER", 3_000))
    program = (
        "import psycopg, sys\nfrom projections.engine import runner\n"
        "connection = psycopg.connect(sys.argv[1], autocommit=True)\nrunner.prepare(connection)\n"
        "print('.', flush=True)\nwhile runner.project(connection, limit=9): print('.', flush=True)\n"
    )
    generator = random.Random(4)
    kills = 0
    while folded_up_to(database) < head:
        process = subprocess.Popen(
            [sys.executable, "-c", program, database.url("bursar_projector")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(generator.randrange(8)):
            process.stdout.readline()
        time.sleep(generator.random() / 100)  # so that it dies anywhere, not only between two batches
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        kills += 1
    assert kills > 1
    assert_equal_to_a_fresh_fold(database)


def test_it_goes_on_after_its_connection_was_cut(database: Database) -> None:
    school = School()
    with running(database):
        eventually(lambda: folded_up_to(database) == 0)
        with psycopg.connect(database.superuser_url, autocommit=True) as connection:
            cut = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'bursar projector'"
            ).fetchall()
            assert cut == [(True,)]
        head = put(database, school)
        eventually(lambda: folded_up_to(database) == head)


def test_it_waits_while_the_database_takes_no_writes(database: Database) -> None:
    school = School()
    with (
        capture_logs() as lines,
        running(database),
        psycopg.connect(database.url("bursar_writer"), autocommit=True) as writer,
    ):
        with read_only(database, "bursar_projector"):
            head = append_all(writer, top_ups(school.tenant, "HOT", 3))
            eventually(lambda: any("ReadOnlySqlTransaction" in line.get("error", "") for line in lines))
        eventually(lambda: folded_up_to(database) == head)


def test_it_works_though_commands_keep_coming(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Always something more to fold: that must not keep a projector from being ready."""
    stop, genuine, reached = Event(), runner.project, list[int]()
    versions = iter(range(2, 22))

    def busy(connection: psycopg.Connection[Any]) -> runner.FoldedBatch | None:
        batch = genuine(connection)
        assert batch is not None
        reached.append(batch.upto)
        with psycopg.connect(database.url("bursar_writer"), autocommit=True) as writer:
            append_all(writer, top_ups("greenhill", "HOT", 1, first_version=next(versions)))
        return batch

    with psycopg.connect(database.url("bursar_writer"), autocommit=True) as writer:
        first = append_all(writer, top_ups("greenhill", "HOT", 0))
    monkeypatch.setattr(runner, "project", busy)
    runner.follow(database.url("bursar_projector"), stop, stop.set, snapshot_key=b"")
    assert reached == [first]


def test_who_waits_is_told_and_keys_are_told_apart(database: Database) -> None:
    school = School()
    first = put(database, school)
    school.run("wallet.open", account="A")
    with psycopg.connect(database.url("bursar_reader"), autocommit=True) as connection:
        connection.execute("LISTEN bursar_projected")
        connection.execute("LISTEN bursar_keys")
        catch_up(database)
        second = put(database, school)
        catch_up(database)
        told = [(note.channel, note.payload) for note in connection.notifies(timeout=5, stop_after=3)]
    assert sorted(told) == [
        ("bursar_keys", str(first)), ("bursar_projected", str(first)), ("bursar_projected", str(second)),
    ]  # fmt: skip


def test_a_batch_ends_with_a_command(database: Database) -> None:
    school = School()
    school.run("wallet.open", account="A")
    registered = put(database, school)
    with psycopg.connect(database.url("bursar_projector"), autocommit=True) as connection:
        runner.prepare(connection)
        batch = runner.project(connection, limit=3)
        assert batch == runner.FoldedBatch(after=0, upto=registered - 1, long_streams=[])
        batch = runner.project(connection, limit=3)
        assert batch == runner.FoldedBatch(after=registered - 1, upto=registered, long_streams=[])
        assert runner.project(connection) is None


def test_a_projection_that_is_behind_catches_up_alone(database: Database) -> None:
    school = School()
    a_day(school)
    head = put(database, school)
    catch_up(database)
    whole = dump(database)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("DELETE FROM finance_receipts")
        connection.execute("UPDATE projection_positions SET position = 0 WHERE name = 'receipts'")
    catch_up(database, limits=(11,))
    assert folded_up_to(database) == head
    assert dump(database) == whole


def test_small_batches_never_read_a_whole_table(database: Database) -> None:
    """With the projector's settings each fold is planned along indexes, however large the tables are."""
    from projections.engine.registry import PROJECTIONS

    def plans(projection: Projection, connection: psycopg.Connection[tuple[str]]) -> str:
        found: list[str] = []
        for fold in projection.folds:
            statement = fold.sql.replace("%(after)s", "$1").replace("%(upto)s", "$2")
            connection.execute(f"PREPARE fold(bigint, bigint) AS {statement}", prepare=False)  # type: ignore[arg-type]  # a fold
            found += [row[0] for row in connection.execute("EXPLAIN EXECUTE fold(1, 2)", prepare=False)]
            connection.execute("DEALLOCATE fold", prepare=False)
        return "\n".join(found)

    with psycopg.connect(database.url("bursar_projector"), autocommit=True) as connection:
        runner.prepare(connection)
        for projection in PROJECTIONS:
            text = plans(projection, connection)
            assert "Seq Scan" not in text, text
            # What the exports fold reads has a partial index of its own.
            partial = "events_export_requested_idx" if projection.name == "exports" else ""
            assert (partial or "events_notification_id_idx") in text
