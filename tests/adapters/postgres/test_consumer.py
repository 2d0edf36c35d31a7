"""What a consumer does by itself, whatever it is fed from; what every feed must hold is in `tests/contract`."""

import random
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import structlog
from structlog.testing import capture_logs

from adapters.postgres.consumer import Consumer, Handler
from adapters.postgres.feed import PostgresFeed
from adapters.system import retry
from adapters.system.retry import MAX_WAIT_SECONDS, MIN_WAIT_SECONDS
from application.feed.message import Message
from tests.conftest import Database
from tests.support.log import append_all, top_up
from tests.support.read_only import read_only
from tests.support.waiting import eventually

PUPIL = "Amina Otieno"


def commit(database: Database) -> None:
    """Commit one message."""
    with psycopg.connect(database.url("bursar_writer")) as connection:
        append_all(connection, [top_up("greenhill", "STU-1", 1)])


def consumer(database: Database, handler: Handler) -> Consumer:
    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(database.url("bursar_exporter"))

    return Consumer(PostgresFeed(database.url("bursar_exporter")), connect, "bench", handler)


class NotedWaits(threading.Event):
    """A stop that is never waited for: how long it would have been is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds.append(timeout)
        return self.is_set()


def test_the_waits_of_a_consumer_grow_while_it_gets_nowhere(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its connections each time and is lost over the same message; a session of hours begins them anew."""
    now = [0.0]
    monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(random, "uniform", lambda _least, most: most)
    attempts, long_session = 9, 6
    stop, ready = NotedWaits(), []

    def lose_the_database(_: psycopg.Connection[Any], __: Sequence[Message]) -> None:
        if len(stop.seconds) == long_session:
            now[0] += 3600
        if len(stop.seconds) == attempts:
            stop.set()
        raise psycopg.OperationalError("the database is shutting down")

    commit(database)
    consumer(database, lose_the_database).run(stop, lambda: ready.append(None))
    growing = [MIN_WAIT_SECONDS * 2**attempt for attempt in range(5)]
    assert growing[-1] < MAX_WAIT_SECONDS < 2 * growing[-1]
    assert stop.seconds == [*growing, MAX_WAIT_SECONDS, *growing[:3]]
    assert len(ready) == 1


def test_it_waits_while_the_database_takes_no_writes(database: Database) -> None:
    """Nothing is put aside for it: the message is as good as it was."""
    stop, applied = threading.Event(), list[int]()

    def apply(_: psycopg.Connection[Any], messages: Sequence[Message]) -> None:
        applied.extend(message.position for message in messages)
        stop.set()

    failures: list[BaseException] = []

    def run() -> None:
        try:
            consumer(database, apply).run(stop, lambda: None)
        except BaseException as error:  # noqa: BLE001 - handed to the test below
            failures.append(error)

    commit(database)
    thread = threading.Thread(target=run)
    with capture_logs() as lines:
        with read_only(database, "bursar_exporter"):
            thread.start()
            eventually(
                lambda: failures or any("ReadOnlySqlTransaction" in line.get("error", "") for line in lines)
            )
        thread.join(30)
    assert not failures, failures
    assert len(applied) == 1
    with psycopg.connect(database.superuser_url) as connection:
        assert connection.execute("SELECT count(*) FROM feed_parked").fetchall() == [(0,)]


def test_no_row_is_quoted_where_a_handler_breaks_a_rule(database: Database) -> None:
    """The database's message does: `Failing row contains (…)`. It is to be told which rule was broken, and where."""
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("CREATE TABLE pupils (name text CONSTRAINT initials CHECK (length(name) < 3))")
        connection.execute("GRANT ALL ON pupils TO bursar_exporter")
    stop = threading.Event()

    def break_a_rule(connection: psycopg.Connection[Any], _: Sequence[Message]) -> None:
        stop.set()  # heard once the message was put aside
        connection.execute("INSERT INTO pupils VALUES (%s)", [PUPIL])

    commit(database)
    with capture_logs([structlog.processors.format_exc_info]) as lines:
        consumer(database, break_a_rule).run(stop, lambda: None)
    told = 'CheckViolation: new row for relation "pupils" violates check constraint "initials"'
    with psycopg.connect(database.superuser_url) as connection:
        assert connection.execute("SELECT reason FROM feed_parked").fetchall() == [(told,)]
    [failed] = [line for line in lines if line["event"] == "handler failed"]
    assert failed["error"] == told
    assert "in break_a_rule" in failed["exception"]
    assert PUPIL not in repr(lines)
