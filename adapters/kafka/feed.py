"""The feed from Kafka."""

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata, TopicPartition

from adapters.kafka import client, records
from adapters.kafka.client import LogTruncationError, open_consumer
from application.feed.message import Message
from application.feed.port import (
    Delivery,
    FeedBatch,
    FeedLostError,
    FeedUnavailableError,
    Partition,
    Undecodable,
)

MAX_BATCH_RECORDS: Final = 1000

_log = structlog.get_logger(__name__)


class KafkaFeed:
    """The `Feed` of one topic."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic

    @contextmanager
    def subscribe(
        self, group: str, next_offset: Callable[[Partition], int]
    ) -> Generator["_KafkaSubscription"]:
        """Join the consumer group, which is the topic's own; Kafka shares the partitions out among its members."""
        try:
            consumer, abandon = open_consumer(
                self._bootstrap_servers, f"{self._topic}.{group}", max_records=MAX_BATCH_RECORDS
            )
        except KafkaError as error:
            raise FeedUnavailableError(f"{type(error).__name__}: {error}") from error
        subscription = _KafkaSubscription(consumer, abandon)
        try:
            if not consumer.partitions_for_topic(self._topic):
                raise FeedUnavailableError(f"topic {self._topic} does not exist yet")
            consumer.subscribe([self._topic], listener=_Seek(consumer, next_offset))
            yield subscription
        finally:
            if not subscription.abandoned:
                consumer.close(autocommit=False, timeout_ms=1_000)

    def decode(self, value: bytes) -> Message | Undecodable:
        """Read a record's value again."""
        return records.decode_value(value)


class _Seek(ConsumerRebalanceListener):  # type: ignore[misc]  # the library is untyped
    """Begins each partition where the group's inbox says. Called on the library's own thread."""

    def __init__(self, consumer: KafkaConsumer, next_offset: Callable[[Partition], int]) -> None:
        self._consumer = consumer
        self._next_offset = next_offset

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing to give back: what was applied is stored with its offset already."""

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Seek. What this raises comes out of `poll`."""
        for place in assigned:
            self._consumer.seek(place, self._next_offset(Partition(place.topic, place.partition)))


class _KafkaSubscription:
    def __init__(self, consumer: KafkaConsumer, abandon: Callable[[], None]) -> None:
        self._consumer = consumer
        self._abandon = abandon
        self.abandoned = False

    def poll(self, seconds: float) -> Sequence[FeedBatch]:
        try:
            with self._within(seconds + client.MAX_STALL_SECONDS):
                polled = self._consumer.poll(timeout_ms=int(seconds * 1000))
        except (OffsetOutOfRangeError, LogTruncationError, NoOffsetForPartitionError) as error:
            raise FeedLostError(f"{type(error).__name__}: {error}") from error
        except KafkaError as error:
            raise FeedUnavailableError(f"{type(error).__name__}: {error}") from error
        return [
            FeedBatch(
                partition=Partition(place.topic, place.partition),
                deliveries=[_delivery(arrived) for arrived in arrivals],
            )
            for place, arrivals in polled.items()
            if arrivals
        ]

    @contextmanager
    def _within(self, seconds: float) -> Generator[None]:
        """Let nothing last longer: the library waits for its own thread without a time-out, and has been seen to wait
        for ever (https://github.com/dpkp/kafka-python/issues/3121).
        """
        watch = threading.Timer(seconds, self._give_up)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _give_up(self) -> None:
        self.abandoned = True
        self._abandon()

    def applied(self, batch: FeedBatch) -> None:
        place = TopicPartition(batch.partition.topic, batch.partition.number)
        try:
            self._consumer.commit_async({place: OffsetAndMetadata(batch.next_offset, "", -1)})
        except KafkaError as error:  # a rebalance is going on; the place that counts is in the inbox
            _log.info(
                "the lag shown is out of date",
                topic=place.topic,
                partition=place.partition,
                error=repr(error),
            )


def _delivery(arrived: Any) -> Delivery:
    value = arrived.value or b""
    return Delivery(offset=arrived.offset, value=value, content=records.decode(value, arrived.headers))
