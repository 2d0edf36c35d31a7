"""The relay: publishes the log to Kafka, each command once per life of a producer, none skipped."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import psycopg
from kafka.errors import KafkaError
from psycopg import Connection

from adapters.kafka.client import Publisher, StoppedError, ensure_topic
from adapters.kafka.records import encode
from adapters.postgres.log_reader import CHANNEL, read_commands, store_identity
from adapters.system.backoff import Backoff
from application.feed.message import build

PARTITIONS: Final = 6
"""Partitions of a topic that the relay makes. The count is fixed for the topic's life."""

_BATCH: Final = 2000
_WAIT_SECONDS: Final = 0.5
_log: Final = logging.getLogger(__name__)

_LOCK: Final = "SELECT pg_try_advisory_lock(hashtext('bursar relay'), hashtext(%s))"
_FIRST: Final = (
    "INSERT INTO relay_positions (topic, position, epoch) VALUES (%s, 0, %s) ON CONFLICT DO NOTHING"
)
_POSITION: Final = "SELECT position, epoch FROM relay_positions WHERE topic = %s"
_MOVE: Final = "UPDATE relay_positions SET position = %s WHERE topic = %s AND position = %s AND epoch = %s"


class RelayEpochError(Exception):
    """The topic holds messages of another epoch of this store (a restore). Publish to a new topic."""


class _MovedError(Exception):
    """The stored position is not where we left it: another relay was at work."""


def run_relay(
    relay_url: str,
    bootstrap_servers: str,
    topic: str,
    stop: threading.Event,
    ready: Callable[[], None],
    *,
    partitions: int = PARTITIONS,
    replication: int = 1,
) -> None:
    """Publish commands as they are committed until `stop` is set; one relay per topic does, others stand by.

    Calls `ready` once, when database and broker answer. Waits out the loss of either: after any failure a
    new producer begins at the stored position, so that a consumer sees some messages again and misses none.
    Raises `RelayEpochError`, `TopicMismatchError` and `LogDamagedError`, where a person must look.
    """
    backoff = Backoff()
    announced = False
    while not stop.is_set():
        try:
            ensure_topic(bootstrap_servers, topic, partitions=partitions, replication=replication)
            with psycopg.connect(relay_url, autocommit=True, connect_timeout=3) as connection:
                if not announced:
                    announced = True
                    ready()
                if _lead(connection, topic, stop):
                    _publish_log(connection, bootstrap_servers, topic, stop, backoff)
        except StoppedError:
            return
        except (psycopg.OperationalError, KafkaError, _MovedError) as error:
            _log.warning(
                "the relay was interrupted and will begin again: %s: %s", type(error).__name__, error
            )
            backoff.wait(stop)


def _lead(connection: Connection[Any], topic: str, stop: threading.Event) -> bool:
    """Wait for the lock. It lives as long as the connection by which all is read and moved, and no longer."""
    while not stop.is_set():
        row = connection.execute(_LOCK, (topic,)).fetchone()
        if row == (True,):
            return True
        stop.wait(_WAIT_SECONDS)
    return False


def _publish_log(
    connection: Connection[Any], bootstrap_servers: str, topic: str, stop: threading.Event, backoff: Backoff
) -> None:
    connection.execute(f"LISTEN {CHANNEL}")
    store, epoch = store_identity(connection)
    position = sent_to = _stored_position(connection, topic, epoch)
    publisher = Publisher(bootstrap_servers, topic)
    try:
        sent: Sequence[Any] = []
        while not stop.is_set():
            # Read while the batch before is on its way.
            commands = read_commands(connection, sent_to, _BATCH)
            if sent:
                publisher.confirm(sent, stop)
                _move(connection, topic, position, sent_to, epoch)
                position = sent_to
                backoff.reset()
            if commands:
                sent = publisher.send(encode(build(logged, store=store, epoch=epoch)) for logged in commands)
                sent_to = commands[-1].position
            else:
                sent = []
                _wait(connection)
    finally:
        publisher.abandon()


def _stored_position(connection: Connection[Any], topic: str, epoch: int) -> int:
    connection.execute(_FIRST, (topic, epoch))
    row = connection.execute(_POSITION, (topic,)).fetchone()
    assert row is not None
    position, published_epoch = row
    if published_epoch != epoch:
        raise RelayEpochError(f"{topic} is of epoch {published_epoch}, and the store is of epoch {epoch}")
    return int(position)


def _move(connection: Connection[Any], topic: str, position: int, reached: int, epoch: int) -> None:
    moved = connection.execute(_MOVE, (reached, topic, position, epoch))
    if moved.rowcount != 1:
        raise _MovedError(f"{topic} is no longer at position {position}")


def _wait(connection: Connection[Any]) -> None:
    """Wait for a commit; one that came while we were reading wakes us at once."""
    for _ in connection.notifies(timeout=_WAIT_SECONDS, stop_after=1):
        pass
