"""The feed straight from the Postgres log, where no broker is configured.

While the log is written to without a pause, its reader leaves it alone: what is read in large batches, or later, costs
those who write much less. It reads once there is a pause, somebody asks for an export, or very much is waiting.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import psycopg
from psycopg import Connection

from adapters.postgres.failure import LOST
from adapters.postgres.log_reader import CHANNEL, read_commands, store_identity
from application.feed.message import LoggedCommand, Message, build
from application.feed.port import Delivery, FeedBatch, FeedUnavailableError, Origin, Partition, Undecodable

PARTITION: Final = Partition("postgres", 0)
"""The log is one partition; an offset in it is a position."""

MAX_BATCH_COMMANDS: Final = 1000
PAUSE_SECONDS: Final = 0.2
"""Without a commit for so long, the log is not busy."""
MAX_WAITING_EVENTS: Final = 500_000
"""How far a busy log may be ahead of its reader, so that an export never has to wait for long."""

_LOCK: Final = "SELECT pg_try_advisory_lock(hashtext('bursar feed'), hashtext(%(group)s))"

_ASKED: Final = """
    SELECT FROM events WHERE topic = 'bursar.export.requested.v1' AND notification_id > %(after)s LIMIT 1
"""
"""Whether somebody asked for an export. The topic stands here in letters for the sake of its partial index."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(LoggedCommand)


class PostgresFeed:
    """The `Feed` of the database at `url`, for a role that may read the log."""

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def subscribe(
        self, group: str, next_offset: Callable[[Partition], int]
    ) -> Generator["_PostgresSubscription"]:
        """Join the group. One member reads, the others stand by until its connection ends."""
        with _losing_the_feed():
            connection = psycopg.connect(self._url, autocommit=True)
        with connection:
            with _losing_the_feed():
                connection.execute(f"LISTEN {CHANNEL}")
                subscription = _PostgresSubscription(connection, group, next_offset)
            yield subscription

    def decode(self, value: bytes) -> Message | Undecodable:
        """Build the message again from the logged command that was parked."""
        logged = _decoder.decode(value)
        with psycopg.connect(self._url) as connection:
            store, epoch = store_identity(connection)
        return _content(logged, store, epoch)


@contextmanager
def _losing_the_feed() -> Generator[None]:
    """Around what asks the log's database alone: its loss is the feed's, not that of a consumer's effects."""
    try:
        yield
    except LOST as error:
        raise FeedUnavailableError(str(error)) from error


class _PostgresSubscription:
    def __init__(
        self, connection: Connection[Any], group: str, next_offset: Callable[[Partition], int]
    ) -> None:
        self._connection = connection
        self._group = group
        self._next_offset = next_offset
        self._store, self._epoch = store_identity(connection)
        self._position: int | None = None
        self._head = 0  # as it was notified
        self._caught_up = True  # also who begins far behind lets a busy log alone
        self._busy = False

    def poll(self, seconds: float) -> Sequence[FeedBatch]:
        with _losing_the_feed():
            if self._position is None:
                if not self._take_over():
                    self._wait(seconds)
                return []  # at once where it took over: the consumer tells by it that the feed answers
            if self._caught_up and not self._may_read(self._position, seconds):
                return []
            commands = read_commands(self._connection, self._position, MAX_BATCH_COMMANDS)
        self._caught_up = len(commands) < MAX_BATCH_COMMANDS
        if not commands:
            return []
        self._position = commands[-1].position
        deliveries = [self._delivery(command) for command in commands]
        return [FeedBatch(partition=PARTITION, deliveries=deliveries)]

    def applied(self, batch: FeedBatch) -> None:
        """Nothing to tell: the inbox row is in the same database as the log."""

    def _take_over(self) -> bool:
        row = self._connection.execute(_LOCK, {"group": self._group}).fetchone()
        assert row is not None
        if not row[0]:
            return False
        self._position = max(self._next_offset(PARTITION) - 1, 0)
        return True

    def _may_read(self, position: int, seconds: float) -> bool:
        """Wait for a commit, and then for what ends the waiting while the log is busy; False after about `seconds`.

        Without any commit the log is looked at all the same.
        """
        deadline = time.monotonic() + seconds
        self._busy = self._busy or self._wait(seconds)
        while self._busy:
            if self._head - position > MAX_WAITING_EVENTS or self._is_export_requested(position):
                self._busy = False
            elif time.monotonic() > deadline:
                return False
            else:
                time.sleep(PAUSE_SECONDS)
                self._busy = self._wait(0)
        return True

    def _is_export_requested(self, position: int) -> bool:
        return self._connection.execute(_ASKED, {"after": position}).fetchone() is not None

    def _wait(self, seconds: float) -> bool:
        """Wait for a commit, and tell whether there was one.

        What was notified while we were reading is waiting already, and wakes us at once.
        """
        committed = False
        for timeout, stop_after in ((seconds, 1), (0, None)):  # then all that came since
            for notice in self._connection.notifies(timeout=timeout, stop_after=stop_after):
                self._head, committed = int(notice.payload), True
        return committed

    def _delivery(self, logged: LoggedCommand) -> Delivery:
        return Delivery(
            offset=logged.position,
            value=_encoder.encode(logged),
            content=_content(logged, self._store, self._epoch),
        )


def _content(logged: LoggedCommand, store: str, epoch: int) -> Message | Undecodable:
    try:
        return build(logged, store=store, epoch=epoch)
    except (KeyError, msgspec.MsgspecError) as error:
        origin = Origin(store=store, epoch=epoch, tenant=logged.tenant, position=logged.position)
        return Undecodable(reason=f"{type(error).__name__}: {error}", origin=origin)
