"""kafka-python, wrapped: what the relay and the feed need of it, and nothing that can lose a message."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, errors
from kafka.errors import KafkaError, KafkaTimeoutError, TopicAlreadyExistsError
from kafka.net.compat import KafkaNetClient  # pyright: ignore[reportMissingImports]  # its stubs are older
from kafka.net.inet import KafkaNetSocket  # pyright: ignore[reportMissingImports]  # the same

from adapters.kafka.records import Record

MAX_RECORD_BYTES: Final = 16 * 1024 * 1024
"""The largest record that topic, producer and consumer take: a command is never cut."""

_MAX_BLOCK_MS: Final = 2_000  # whoever is told to stop does so within about that
_MAX_REQUEST_MS: Final = 10_000
_MAX_FLUSH_SECONDS: Final = 0.25  # then we look whether we were told to stop
_MAX_DELIVERY_MS: Final = 30_000
MAX_STALL_SECONDS: Final = 30.0
"""How long a client may take beyond its own time-outs before it is given up and another one made."""


class _Direct(KafkaNetSocket):  # type: ignore[misc]  # the library is untyped
    """A connection without a proxy whose socket is closed if it fails.

    The library leaves it to the garbage collector: a file descriptor for each attempt while no broker answers.
    """

    SCHEMES = ("direct",)

    async def sock_connect(self, net: Any, sock: socket.socket, *arguments: Any, **named: Any) -> Any:
        try:
            return await super().sock_connect(net, sock, *arguments, **named)
        except BaseException:
            sock.close()
            raise


_COMMON: Final[dict[str, Any]] = {
    "proxy_url": f"{_Direct.SCHEMES[0]}://",
    "bootstrap_timeout_ms": _MAX_BLOCK_MS,
    "reconnect_backoff_max_ms": 1_000,
}
_NO_METRICS: Final[dict[str, Any]] = {"metrics_enabled": False}
# The settings that pyright's stubs, of an older version of the library, do not know.
_METADATA: Final[dict[str, Any]] = {"wait_for_metadata": True}
_NEVER_GUESS: Final[dict[str, Any]] = {"auto_offset_reset": "none"}
LogTruncationError: Final[type[Exception]] = getattr(errors, "LogTruncationError")  # noqa: B009 - the same
_C = TypeVar("_C")


class TopicMismatchError(Exception):
    """The topic exists with another number of partitions: tenants would change partition and lose order."""


def _opened(make: Callable[..., _C], **configs: Any) -> tuple[_C, Callable[[], None]]:
    """Make a client, and what ends its network thread and fails whatever waits for it.

    A client that finds no broker leaves its thread running, for each attempt one more: it is ended here.
    """
    made: list[Any] = []

    def end() -> None:
        for client in made:
            client.close()

    def net_client(**net_configs: Any) -> Any:
        made.append(KafkaNetClient(**net_configs))
        return made[-1]

    try:
        return make(kafka_client=net_client, **configs), end
    except KafkaError:
        end()
        raise


def ensure_topic(bootstrap_servers: str, topic: str, *, partitions: int, replication: int) -> None:
    """Make the topic if it does not exist. Raises `TopicMismatchError`, and `KafkaError` where no broker answers."""
    admin, _ = _opened(
        KafkaAdminClient, bootstrap_servers=bootstrap_servers, request_timeout_ms=5_000, **_COMMON
    )
    try:
        count = _partition_count(admin, topic)
        if count == 0:
            _create_topic(admin, topic, partitions, replication)
            count = _partition_count(admin, topic)
    finally:
        admin.close()
    if count != partitions:
        raise TopicMismatchError(
            f"{topic} has {count} partitions and not {partitions}; they are fixed for life"
        )


def _partition_count(admin: KafkaAdminClient, topic: str) -> int:
    described: list[dict[str, Any]] = admin.describe_topics([topic])
    return sum(len(entry["partitions"]) for entry in described if entry["name"] == topic)


def _create_topic(admin: KafkaAdminClient, topic: str, partitions: int, replication: int) -> None:
    configs = {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "min.insync.replicas": str(max(1, replication - 1)),
    }
    wanted = {"num_partitions": partitions, "replication_factor": replication, "configs": configs}
    new_topics: Any = {topic: wanted}
    try:
        admin.create_topics(new_topics, **_METADATA)
    except TopicAlreadyExistsError:
        return  # another relay was faster


class StoppedError(Exception):
    """Told to stop before all was acknowledged."""


class Publisher:
    """An idempotent producer for one topic. After any failure it is abandoned and another one made."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        """Raise `KafkaError` where no broker answers."""
        self._topic = topic
        self._producer, self._end = _opened(
            KafkaProducer,
            bootstrap_servers=bootstrap_servers,
            acks="all",
            enable_idempotence=True,
            max_in_flight_requests_per_connection=5,
            allow_auto_create_topics=False,
            max_request_size=MAX_RECORD_BYTES,
            batch_size=256 * 1024,
            linger_ms=20,  # batches fill; the flush that ends each of ours does not wait for it
            max_block_ms=_MAX_BLOCK_MS,
            request_timeout_ms=_MAX_REQUEST_MS,
            delivery_timeout_ms=_MAX_DELIVERY_MS,
            **_NO_METRICS,
            **_COMMON,
        )

    def send(self, records: Iterable[Record]) -> Sequence[Any]:
        """Hand over records to be sent in order; `confirm` tells what became of them. Raises `KafkaError`."""
        return [
            self._producer.send(self._topic, key=record.key, value=record.value, headers=record.headers)
            for record in records
        ]

    def confirm(self, sent: Sequence[Any], stop: threading.Event) -> None:
        """Return when all of what was sent is acknowledged by all replicas in sync.

        Raises `KafkaError` where one is not, or the client does not tell in time, `StoppedError` if `stop` is set
        first; then it is unknown which were written: per partition, the first few of them in order.
        """
        # The library's own thread watches over the time of a delivery; this, over the thread.
        given_up = time.monotonic() + _MAX_DELIVERY_MS / 1000 + MAX_STALL_SECONDS
        while not self._flushed():
            if stop.is_set():
                raise StoppedError
            if time.monotonic() > given_up:
                raise KafkaTimeoutError("the client does not tell what became of a delivery")
        for future in sent:
            if not future.succeeded():
                raise future.exception

    def abandon(self) -> None:
        """Close without sending what is still waiting."""
        # The library's close(timeout=0) raises where something is waiting, and goes on sending it behind us.
        sender: Any = getattr(self._producer, "_sender")  # noqa: B009 - private, and unknown to the stubs
        sender.force_close()
        sender.join(timeout=2)
        if sender.is_alive():
            self._end()
        with suppress(KafkaTimeoutError):
            self._producer.close(timeout=0)

    def _flushed(self) -> bool:
        try:
            self._producer.flush(timeout=_MAX_FLUSH_SECONDS)
        except KafkaTimeoutError:
            return False
        return True


def open_consumer(
    bootstrap_servers: str, group: str, *, max_records: int
) -> tuple[KafkaConsumer, Callable[[], None]]:
    """Make a consumer that reads committed records only, commits nothing by itself and never guesses a place.

    The function beside it abandons it: what hangs in it then raises `KafkaError`. Raises `KafkaError` where no broker
    answers.
    """
    return _opened(
        KafkaConsumer,
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        isolation_level="read_committed",
        allow_auto_create_topics=False,
        max_poll_records=max_records,
        session_timeout_ms=6_000,  # the broker's least: how long a killed member keeps its partitions
        heartbeat_interval_ms=1_000,
        request_timeout_ms=_MAX_REQUEST_MS,
        **_NEVER_GUESS,
        **_NO_METRICS,
        **_COMMON,
    )
