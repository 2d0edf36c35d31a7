"""The relay: publishes the log to Kafka, each command once per life of a producer, none skipped."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import psycopg
from kafka.errors import KafkaError
from psycopg import Connection

from adapters.kafka.client import Publisher, StoppedError, ensure_topic
from adapters.kafka.records import encode
from adapters.postgres.failure import LOST
from adapters.postgres.log_reader import CHANNEL, read_commands, store_identity
from adapters.system.retry import keep_at
from application.feed.message import build

PARTITIONS: Final = 6
"""Partitions of a topic that the relay makes. The count is fixed for the topic's life."""

MAX_BATCH_COMMANDS: Final = 2000

_POLL_SECONDS: Final = 0.5

_LOCK: Final = "SELECT pg_try_advisory_lock(hashtext('bursar relay'), hashtext(%(topic)s))"
_FIRST: Final = """
    INSERT INTO relay_positions (topic, position, epoch) VALUES (%(topic)s, 0, %(epoch)s) ON CONFLICT DO NOTHING
"""
_POSITION: Final = "SELECT position, epoch FROM relay_positions WHERE topic = %(topic)s"
_MOVE: Final = """
    UPDATE relay_positions SET position = %(reached)s
    WHERE topic = %(topic)s AND position = %(position)s AND epoch = %(epoch)s
"""


class RelayEpochError(Exception):
    """The topic holds messages of another epoch of this store, from before a restore. Publish to a new topic."""


class _MovedError(Exception):
    """The stored position is not where we stopped: another relay was at work."""


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

    Calls `ready` once: when a batch was acknowledged, there was none to publish, or another relay publishes. Waits
    out the loss of database and broker: after any failure a new producer begins at the stored position, so that a
    consumer sees some messages again and misses none. Raises `RelayEpochError`, `TopicMismatchError` and
    `LogDamagedError`, where a person must look.
    """

    def session(working: Callable[[], None]) -> None:
        ensure_topic(bootstrap_servers, topic, partitions=partitions, replication=replication)
        with psycopg.connect(relay_url, autocommit=True, connect_timeout=3) as connection:
            if _lead(connection, topic, stop, working):
                _publish_log(connection, bootstrap_servers, topic, stop, working)

    keep_at(
        session,
        name="relay",
        stop=stop,
        ready=ready,
        lost=(*LOST, KafkaError, _MovedError),
    )


def _lead(
    connection: Connection[Any], topic: str, stop: threading.Event, working: Callable[[], None]
) -> bool:
    """Wait for the lock. It lives as long as the connection by which all is read and moved, and no longer."""
    while not stop.is_set():
        row = connection.execute(_LOCK, {"topic": topic}).fetchone()
        if row == (True,):
            return True
        working()
        stop.wait(_POLL_SECONDS)
    return False


def _publish_log(
    connection: Connection[Any],
    bootstrap_servers: str,
    topic: str,
    stop: threading.Event,
    working: Callable[[], None],
) -> None:
    connection.execute(f"LISTEN {CHANNEL}")
    store, epoch = store_identity(connection)
    position = sent_to = _stored_position(connection, topic, epoch)
    publisher = Publisher(bootstrap_servers, topic)
    try:
        sent: Sequence[Any] = []
        while not stop.is_set():
            # Read while the batch before is on its way.
            commands = read_commands(connection, sent_to, MAX_BATCH_COMMANDS)
            if sent:
                publisher.confirm(sent, stop)
                _move(connection, topic, position, sent_to, epoch)
                position = sent_to
                working()
            if commands:
                sent = publisher.send(encode(build(logged, store=store, epoch=epoch)) for logged in commands)
                sent_to = commands[-1].position
            else:
                sent = []
                working()
                _wait(connection)
    except StoppedError:
        pass  # what was not acknowledged is published again by whoever begins at the stored position
    finally:
        publisher.abandon()


def _stored_position(connection: Connection[Any], topic: str, epoch: int) -> int:
    parameters = {"topic": topic, "epoch": epoch}
    connection.execute(_FIRST, parameters)
    row = connection.execute(_POSITION, parameters).fetchone()
    assert row is not None
    position, published_epoch = row
    if published_epoch != epoch:
        raise RelayEpochError(f"{topic} is of epoch {published_epoch}, and the store is of epoch {epoch}")
    return int(position)


def _move(connection: Connection[Any], topic: str, position: int, reached: int, epoch: int) -> None:
    moved = connection.execute(
        _MOVE, {"reached": reached, "topic": topic, "position": position, "epoch": epoch}
    )
    if moved.rowcount != 1:
        raise _MovedError(f"{topic} is no longer at position {position}")


def _wait(connection: Connection[Any]) -> None:
    """Wait for a commit; one that came while we were reading wakes us at once."""
    for _ in connection.notifies(timeout=_POLL_SECONDS, stop_after=1):
        pass
