"""A consumer of the feed: what a message does and how far the group is change in one transaction."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg import Connection

from adapters.system.backoff import Backoff
from application.feed.message import Message
from application.feed.port import (
    Admission,
    Feed,
    FeedBatch,
    FeedMixedError,
    FeedUnavailableError,
    Partition,
    PoisonError,
    TenantPlace,
    Undecodable,
    admit,
    identity,
    tenants,
)

Handler = Callable[[Connection[Any], Sequence[Message]], None]
"""Applies messages on the connection, in the consumer's transaction. `PoisonError` puts one aside; after any
other exception each message is tried alone, and which then raises is put aside too; only the loss of the
database is waited out."""

_POLL_SECONDS: Final = 0.5
_log: Final = logging.getLogger(__name__)

_NEXT_OFFSET: Final = """
    SELECT next_offset FROM feed_inbox WHERE consumer_group = %s AND topic = %s AND partition = %s
"""
_JOIN_PARTITION: Final = """
    INSERT INTO feed_inbox (consumer_group, topic, partition, next_offset, last_position)
    VALUES (%s, %s, %s, 0, 0) ON CONFLICT DO NOTHING
"""
_ADVANCE: Final = """
    UPDATE feed_inbox SET next_offset = %s, last_position = greatest(last_position, %s)
    WHERE consumer_group = %s AND topic = %s AND partition = %s
"""
_JOIN_GROUP: Final = "INSERT INTO feed_groups VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_IDENTITY: Final = "SELECT store, epoch FROM feed_groups WHERE consumer_group = %s"
_JOIN_TENANTS: Final = """
    INSERT INTO feed_tenants (consumer_group, tenant, sequence, position, waits)
    SELECT %s, tenant, 0, 0, false FROM unnest(%s::text[]) AS tenant ON CONFLICT DO NOTHING
"""
_LOCK_TENANTS: Final = """
    SELECT tenant, sequence, position, waits FROM feed_tenants
    WHERE consumer_group = %s AND tenant = ANY (%s) ORDER BY tenant FOR UPDATE
"""
_MOVE_TENANTS: Final = """
    UPDATE feed_tenants SET sequence = p.sequence, position = p.position, waits = p.waits
    FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::boolean[]) AS p (tenant, sequence, position, waits)
    WHERE feed_tenants.consumer_group = %s AND feed_tenants.tenant = p.tenant
"""
_PARK: Final = """
    INSERT INTO feed_parked (consumer_group, topic, partition, record_offset, tenant, position, reason, value)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
_PARKED: Final = """
    SELECT position, value FROM feed_parked
    WHERE consumer_group = %s AND tenant = %s AND released_at IS NULL ORDER BY position
"""
_RELEASE: Final = """
    UPDATE feed_parked SET released_at = now()
    WHERE consumer_group = %s AND tenant = %s AND released_at IS NULL
"""
_NO_LONGER_WAITS: Final = "UPDATE feed_tenants SET waits = false WHERE consumer_group = %s AND tenant = %s"


class _OwnershipLostError(Exception):
    """The inbox row moved under us: another member owns the partition now."""


class _HandlerError(Exception):
    """The handler raised what nobody expected."""


class Consumer:
    """A member of a consumer group that applies each message once, whatever is killed and whenever."""

    def __init__(
        self,
        feed: Feed,
        connect: Callable[[], Connection[Any]],
        group: str,
        handler: Handler,
    ) -> None:
        """`connect` opens a connection to the database of the effects, which also holds the inbox."""
        self._feed = feed
        self._connect = connect
        self._group = group
        self._handler = handler
        self._next_offsets: dict[Partition, int] = {}

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        """Apply messages until `stop` is set; call `ready` once when the feed and the database answer.

        Waits out the loss of either. Raises `FeedGapError`, `FeedMixedError` and `FeedLostError`: nothing is
        skipped, so a person must look.
        """
        backoff = Backoff()
        announced = threading.Event()

        def announce() -> None:
            backoff.reset()
            if not announced.is_set():
                announced.set()
                ready()

        while not stop.is_set():
            try:
                self._follow(stop, announce)
            except (FeedUnavailableError, _OwnershipLostError, psycopg.OperationalError) as error:
                _log.warning("%s: the feed is interrupted and will be taken up again: %s", self._group, error)
                backoff.wait(stop)

    def release(self, tenant: str) -> int:
        """Apply what was put aside of a tenant, in order, and let its later messages go on. Returns how many.

        All or nothing: raises `PoisonError` if one of them still cannot be read, and what the handler raises.
        """
        with self._connect() as connection, connection.transaction():
            connection.execute(_LOCK_TENANTS, (self._group, [tenant]))
            rows = connection.execute(_PARKED, (self._group, tenant)).fetchall()
            messages = [self._readable(position, value) for position, value in rows]
            if messages:
                self._handler(connection, messages)
            connection.execute(_RELEASE, (self._group, tenant))
            connection.execute(_NO_LONGER_WAITS, (self._group, tenant))
        return len(messages)

    def _readable(self, position: int, value: bytes) -> Message:
        content = self._feed.decode(value)
        if isinstance(content, Undecodable):
            raise PoisonError(position, content.reason)
        return content

    def _follow(self, stop: threading.Event, announce: Callable[[], None]) -> None:
        with self._connect() as connection:
            connection.autocommit = True
            self._next_offsets.clear()

            def next_offset(partition: Partition) -> int:
                row = connection.execute(
                    _NEXT_OFFSET, (self._group, partition.topic, partition.number)
                ).fetchone()
                self._next_offsets[partition] = row[0] if row else 0
                return self._next_offsets[partition]

            with self._feed.subscribe(self._group, next_offset) as subscription:
                while not stop.is_set():
                    batches = subscription.poll(_POLL_SECONDS)
                    for batch in batches:
                        self._apply(connection, batch)
                        subscription.applied(batch)
                    announce()

    def _apply(self, connection: Connection[Any], batch: FeedBatch) -> None:
        """Apply a batch once; each message that the handler finds to be poison is put aside in another try.

        Where the handler fails otherwise, nobody knows over which message, so each gets a transaction of its own.
        """
        poison: dict[int, str] = {}
        while True:
            try:
                with connection.transaction():
                    self._apply_in_transaction(connection, batch, poison)
            except PoisonError as error:
                poison[error.position] = error.reason
            except _HandlerError as error:
                if len(batch.deliveries) > 1:
                    _log.warning("%s: a handler failed, each message is tried alone: %s", self._group, error)
                    for delivery in batch.deliveries:
                        self._apply(connection, FeedBatch(partition=batch.partition, deliveries=[delivery]))
                    return
                _log.exception("%s: a handler failed at position %d", self._group, batch.last_position)
                poison[batch.last_position] = str(error)
            else:
                self._next_offsets[batch.partition] = batch.next_offset
                return

    def _apply_in_transaction(
        self, connection: Connection[Any], batch: FeedBatch, poison: Mapping[int, str]
    ) -> None:
        self._lock_partition(connection, batch.partition)
        self._check_identity(connection, batch)
        places = self._lock_tenants(connection, tenants(batch))
        admission = admit(batch, places, poison=poison)
        if admission.messages:
            self._handle(connection, admission.messages)
        self._store(connection, batch, admission)

    def _handle(self, connection: Connection[Any], messages: Sequence[Message]) -> None:
        try:
            self._handler(connection, messages)
        except PoisonError as error:
            if error.position not in {message.position for message in messages}:
                raise _HandlerError(str(error)) from error  # putting that aside would change nothing
            raise
        except psycopg.OperationalError:
            raise
        except Exception as error:
            if connection.closed:
                raise psycopg.OperationalError("The connection was lost in a handler.") from error
            raise _HandlerError(f"{type(error).__name__}: {error}") from error

    def _lock_partition(self, connection: Connection[Any], partition: Partition) -> None:
        key = (self._group, partition.topic, partition.number)
        expected = self._next_offsets.get(partition)
        if expected == 0:
            connection.execute(_JOIN_PARTITION, key)
        row = connection.execute(f"{_NEXT_OFFSET} FOR UPDATE", key).fetchone()
        found = row[0] if row else None
        if found is None or found != expected:
            raise _OwnershipLostError(
                f"{partition.topic}/{partition.number} is at {found}, not at {expected} where we left it"
            )

    def _check_identity(self, connection: Connection[Any], batch: FeedBatch) -> None:
        came_from = identity(batch)
        if came_from is None:
            return
        connection.execute(_JOIN_GROUP, (self._group, *came_from))
        follows = connection.execute(_IDENTITY, (self._group,)).fetchone()
        if follows != came_from:
            raise FeedMixedError(
                f"group {self._group} follows store and epoch {follows}, and {batch.partition.topic} is of"
                f" {came_from}"
            )

    def _lock_tenants(self, connection: Connection[Any], names: list[str]) -> dict[str, TenantPlace]:
        connection.execute(_JOIN_TENANTS, (self._group, names))
        rows = connection.execute(_LOCK_TENANTS, (self._group, names)).fetchall()
        return {
            tenant: TenantPlace(sequence=sequence, position=position, waits=waits)
            for tenant, sequence, position, waits in rows
        }

    def _store(self, connection: Connection[Any], batch: FeedBatch, admission: Admission) -> None:
        partition = batch.partition
        key = (self._group, partition.topic, partition.number)
        if admission.parked:
            with connection.cursor() as cursor:
                cursor.executemany(
                    _PARK,
                    [
                        (
                            *key,
                            item.delivery.offset,
                            item.tenant,
                            item.position,
                            item.reason,
                            item.delivery.value,
                        )
                        for item in admission.parked
                    ],
                )
            _log.error(
                "%s: put %d messages aside, the first at offset %d of %s: %s",
                self._group,
                len(admission.parked),
                admission.parked[0].delivery.offset,
                partition.topic,
                admission.parked[0].reason,
            )
        places = list(admission.places.values())
        connection.execute(
            _MOVE_TENANTS,
            (
                list(admission.places),
                [place.sequence for place in places],
                [place.position for place in places],
                [place.waits for place in places],
                self._group,
            ),
        )
        connection.execute(_ADVANCE, (batch.next_offset, batch.last_position, *key))
