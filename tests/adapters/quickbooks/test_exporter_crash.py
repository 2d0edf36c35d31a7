"""Killed at any moment - the exporter, the emulator, its database connections: each document is there once."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest
import time_machine

from adapters.postgres.feed import PostgresFeed
from adapters.quickbooks.api.calls import Call
from adapters.quickbooks.process import run_exporter
from adapters.quickbooks.sending.documents import Sending
from tests.conftest import Database
from tests.support.emulator import ROOT, Emulator
from tests.support.exporter import Export, play
from tests.support.log import Logged, append_all
from tests.support.read_only import read_only
from tests.support.school import School

DEADLINE_SECONDS = 90
_SENDER = """
import sys, threading
import msgspec, structlog
from adapters.quickbooks.sending.sender import run_sender
from adapters.quickbooks.settings import QuickBooksSettings
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
settings = msgspec.json.decode(sys.argv[2], type=QuickBooksSettings)
run_sender(sys.argv[1], settings, threading.Event(), lambda: print("ready", flush=True))
"""


class Sender:
    """The sender in a process of its own."""

    def __init__(self, export: Export) -> None:
        command = [sys.executable, "-c", _SENDER, export.url, msgspec.json.encode(export.settings).decode()]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=20)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Server(Emulator):
    """An emulator that comes back on its port and its file."""

    def __init__(self, data_file: Path, port: int = 0) -> None:
        self.data_file = data_file
        super().__init__(data_file, port)

    def restart(self) -> None:
        self.end(kill=True)
        super().__init__(self.data_file, self.port)


@pytest.fixture
def export(database: Database, tmp_path: Path) -> Iterator[Export]:
    server = Server(tmp_path / "books.db")
    made = Export(database.url("bursar_exporter"), server)
    play(made.school, 30)
    yield made
    server.end()


@contextmanager
def sending(export: Export) -> Iterator[Callable[[], Sender]]:
    """A sender, and a way to replace it by a new one after killing it."""
    running = [Sender(export)]

    def replace() -> Sender:
        running[0].kill()
        running[0] = Sender(export)
        return running[0]

    try:
        yield replace
    finally:
        running[0].kill()


def confirmed(export: Export) -> int:
    return export.states().get("confirmed", 0)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def disturb(export: Export, batch: str, disturbance: Callable[[], object], times: int = 6) -> None:
    """Disturb each time another part is through, then let the batch end, and check the books."""
    rng = random.Random(7)
    total = sum(export.states().values())
    for round_number in range(times):
        step = max(total // (times + 1), 1)
        goal = min(round_number * step + rng.randrange(step), total)
        wait_for(lambda goal=goal: confirmed(export) >= goal, f"{goal} documents: {export.states()}")
        disturbance()
    # A person may be told of a long absence; what was told goes away by itself.
    wait_for(lambda: export.status(batch) == "completed", f"{export.states()} {export.errors()}")
    export.check_books()


def test_kill_9_of_the_exporter(export: Export) -> None:
    batch = export.request()
    with sending(export) as replace:
        disturb(export, batch, replace)


def test_kill_9_of_the_exporter_where_request_ids_have_expired(export: Export) -> None:
    """So that looking, not the request id, is what keeps a payment from being made twice."""
    batch = export.request()
    export.server.arm("expired_request_ids", count=1000)
    with sending(export) as replace:
        disturb(export, batch, replace)


def test_kill_9_of_quickbooks(export: Export) -> None:
    batch = export.request()
    assert isinstance(export.server, Server)
    with sending(export):
        disturb(export, batch, export.server.restart)


def test_lost_database_connections(export: Export, database: Database) -> None:
    batch = export.request()

    def cut() -> None:
        with psycopg.connect(database.superuser_url) as superuser:
            superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'bursar_exporter' AND datname = current_database()"
            )

    with sending(export):
        disturb(export, batch, cut)


def test_a_database_that_takes_no_writes_for_a_while(export: Export, database: Database) -> None:
    """The sender waits, and no person is told: what it has sent, it sends again under the same request ids."""
    batch = export.request()

    def turn() -> None:
        with read_only(database, "bursar_exporter"):
            time.sleep(0.5)

    sender = Sender(export)
    try:
        disturb(export, batch, turn)
        assert sender.process.poll() is None
    finally:
        sender.kill()


def test_two_senders_share_the_work_without_doing_it_twice(export: Export) -> None:
    batch = export.request()
    with sending(export), sending(export) as replace:
        disturb(export, batch, replace, times=3)


def test_how_long_ago_an_open_call_was_sent_is_told_by_the_databases_clock(
    export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender whose clock is an hour ahead waits as long as any for what may yet come of it."""

    def lose(*_: object) -> None:
        raise psycopg.OperationalError("lost before the answer was noted")

    genuine, ages = Sending._open_calls, list[float]()

    def noting(self: Sending) -> list[Call]:
        found = genuine(self)
        ages.extend(time.monotonic() - call.sent_at for call in found)
        return found

    batch = export.request()
    with monkeypatch.context() as patch:
        patch.setattr(Sending, "_conclude", lose)
        with pytest.raises(psycopg.OperationalError):
            export.send()
    monkeypatch.setattr(Sending, "_open_calls", noting)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1), tick=True):
        export.send()
    assert ages
    assert all(0 <= age < 60 for age in ages)
    export.send_until(batch, "completed")


def append_school(database: Database, school: School, taken: int) -> None:
    """Put what the school did since its `taken`-th command into the log, as the writer does."""
    commands = [
        Logged(tenant=school.tenant, action=action, events=events, id=id_)
        for action, events, id_ in school.events[taken:]
    ]
    with psycopg.connect(database.url("bursar_writer")) as writer:
        append_all(writer, commands)


def test_the_process_follows_the_feed_and_sends(export: Export, database: Database) -> None:
    """From the log, through the feed, to QuickBooks; it ends when told to."""
    school = export.school
    batch = str(school.run("quickbooks.export")["batch_id"])
    append_school(database, school, 0)
    stop, ready = threading.Event(), threading.Event()
    exporter = threading.Thread(
        target=run_exporter, args=(export.url, PostgresFeed(export.url), export.settings, stop, ready.set)
    )
    exporter.start()
    try:
        assert ready.wait(20)
        wait_for(lambda: export.rows("SELECT 1 FROM finance_export_batches") != [], "the batch is registered")
        wait_for(lambda: export.status(batch) == "completed", "the batch is completed")
        taken = len(school.events)
        school.run("wallet.top_up", account="STU-0", amount=1, source={"type": "cash"})
        later = str(school.run("quickbooks.export")["batch_id"])
        append_school(database, school, taken)
        wait_for(
            lambda: export.rows("SELECT 1 FROM finance_export_batches WHERE batch_id = %s", later) != [],
            "the second batch is registered",
        )
        wait_for(lambda: export.status(later) == "completed", "the second batch is completed")
    finally:
        stop.set()
        exporter.join(timeout=20)
    assert not exporter.is_alive()
    export.check_books()
