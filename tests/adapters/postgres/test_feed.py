"""When the feed reads a log that is written to without a pause."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from adapters.postgres import feed
from adapters.postgres.feed import PostgresFeed
from domain.export_batch import ExportRequested
from domain.ids import export_stream
from tests.conftest import Database
from tests.support.log import Logged, append_all, top_up

POLL_SECONDS = 0.1
BATCH = "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57"


class Reader:
    """A subscription that notes what it read, in how many batches."""

    def __init__(self, subscription: Any) -> None:
        self._subscription = subscription
        self.positions: list[int] = []
        self.batches = 0

    def poll(self) -> None:
        for batch in self._subscription.poll(POLL_SECONDS):
            self.positions += [delivery.offset for delivery in batch.deliveries]
            self.batches += 1


@pytest.fixture
def reader(database: Database) -> Iterator[Reader]:
    with PostgresFeed(database.url("bursar_exporter")).subscribe("test", lambda _: 0) as subscription:
        made = Reader(subscription)
        for _ in range(2):  # it takes over, and finds nothing
            made.poll()
        yield made


class Writer:
    """Commits a command every few milliseconds, until it is stopped."""

    def __init__(self, url: str) -> None:
        self.positions: list[int] = []
        self._connection = psycopg.connect(url, autocommit=True)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.wait(0.005):
            self._append(top_up("greenhill", "W", len(self.positions) + 1))

    def _append(self, command: Logged) -> int:
        with self._lock:
            self.positions.append(append_all(self._connection, [command]))
            return self.positions[-1]

    def request_export(self) -> int:
        """Ask for an export in the midst of it all; its position."""
        asked = ExportRequested(batch=BATCH, channel="quickbooks", recorded_at=datetime.now(UTC))
        event = (export_stream("greenhill", BATCH), 1, asked)
        return self._append(Logged(tenant="greenhill", action="quickbooks.export", events=[event]))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()


@pytest.fixture
def writer(database: Database, reader: Reader) -> Iterator[Writer]:
    """Begins once the reader follows."""
    made = Writer(database.url("bursar_writer"))
    yield made
    made.stop()


def test_a_busy_log_is_read_in_few_batches_and_whole_once_there_is_a_pause(
    reader: Reader, writer: Writer
) -> None:
    while len(writer.positions) < 100:
        reader.poll()
    assert reader.batches < 10, "but for pauses of the machine it is left alone"
    writer.stop()
    while len(reader.positions) < len(writer.positions):
        reader.poll()
    assert reader.positions == writer.positions
    assert reader.batches < 15


def test_who_begins_beside_a_busy_log_leaves_it_alone_too(
    database: Database, reader: Reader, writer: Writer
) -> None:
    while len(writer.positions) < 50:
        reader.poll()
    with PostgresFeed(database.url("bursar_exporter")).subscribe("late", lambda _: 0) as subscription:
        late = Reader(subscription)
        while len(writer.positions) < 150:
            late.poll()
        assert late.batches < 10
        writer.stop()
        while len(late.positions) < len(writer.positions):
            late.poll()
    assert late.positions == writer.positions


def test_an_export_is_seen_at_once_however_busy_the_log_is(reader: Reader, writer: Writer) -> None:
    while len(writer.positions) < 20:
        reader.poll()
    asked = writer.request_export()
    polls = 0
    while asked not in reader.positions:
        reader.poll()
        polls += 1
    assert polls <= 3
    assert reader.positions == writer.positions[: len(reader.positions)]


def test_a_busy_log_is_never_far_ahead(
    reader: Reader, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_WAITING_EVENTS", 60)
    while len(writer.positions) < 200:
        reader.poll()
        behind = len(writer.positions) - len(reader.positions)
    assert reader.positions
    assert behind < 150
