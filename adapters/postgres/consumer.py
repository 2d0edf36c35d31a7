"""A consumer of the feed: what a message does and how far the group is change in one transaction."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import class_row

from adapters.postgres.failure import LOST, told
from adapters.system.retry import keep_at
from application.feed.admission import Admission, Parked, TenantPlace, admit, identity, tenants
from application.feed.message import Message
from application.feed.port import (
    Feed,
    FeedBatch,
    FeedMixedError,
    FeedUnavailableError,
    Partition,
    PoisonError,
    Undecodable,
)

Handler = Callable[[Connection[Any], Sequence[Message]], None]
"""Applies messages on the connection, in the consumer's transaction. `PoisonError` puts one aside; after any
other exception each message is tried alone, and which then raises is put aside too; only the loss of the
database is waited out."""

_POLL_SECONDS: Final = 0.5
_log = structlog.get_logger(__name__)

_NEXT_OFFSET: Final = """
    SELECT next_offset FROM feed_inbox
    WHERE consumer_group = %(group)s AND topic = %(topic)s AND partition = %(partition)s
"""
_JOIN_PARTITION: Final = """
    INSERT INTO feed_inbox (consumer_group, topic, partition, next_offset, last_position)
    VALUES (%(group)s, %(topic)s, %(partition)s, 0, 0) ON CONFLICT DO NOTHING
"""
_ADVANCE: Final = """
    UPDATE feed_inbox
    SET next_offset = %(next_offset)s, last_position = greatest(last_position, %(last_position)s)
    WHERE consumer_group = %(group)s AND topic = %(topic)s AND partition = %(partition)s
"""
_JOIN_GROUP: Final = """
    INSERT INTO feed_groups (consumer_group, store, epoch)
    VALUES (%(group)s, %(store)s, %(epoch)s) ON CONFLICT DO NOTHING
"""
_IDENTITY: Final = "SELECT store, epoch FROM feed_groups WHERE consumer_group = %(group)s"
_JOIN_TENANTS: Final = """
    INSERT INTO feed_tenants (consumer_group, tenant, sequence, position, waits)
    SELECT %(group)s, tenant, 0, 0, false FROM unnest(%(tenants)s::text[]) AS tenant ON CONFLICT DO NOTHING
"""
_LOCK_TENANTS: Final = """
    SELECT tenant, sequence, position, waits FROM feed_tenants
    WHERE consumer_group = %(group)s AND tenant = ANY (%(tenants)s) ORDER BY tenant FOR UPDATE
"""
_MOVE_TENANTS: Final = """
    UPDATE feed_tenants SET sequence = p.sequence, position = p.position, waits = p.waits
    FROM unnest(%(tenants)s::text[], %(sequences)s::bigint[], %(positions)s::bigint[], %(waits)s::boolean[])
        AS p (tenant, sequence, position, waits)
    WHERE feed_tenants.consumer_group = %(group)s AND feed_tenants.tenant = p.tenant
"""
_PARK: Final = """
    INSERT INTO feed_parked (consumer_group, topic, partition, record_offset, tenant, position, reason, value)
    VALUES (%(group)s, %(topic)s, %(partition)s, %(offset)s, %(tenant)s, %(position)s, %(reason)s, %(value)s)
"""
_PARKED: Final = """
    SELECT position, value FROM feed_parked
    WHERE consumer_group = %(group)s AND tenant = %(tenant)s AND released_at IS NULL ORDER BY position
"""
_RELEASE: Final = """
    UPDATE feed_parked SET released_at = now()
    WHERE consumer_group = %(group)s AND tenant = %(tenant)s AND released_at IS NULL
"""
_NO_LONGER_WAITS: Final = """
    UPDATE feed_tenants SET waits = false WHERE consumer_group = %(group)s AND tenant = %(tenant)s
"""


class _PlaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's place as it is stored."""

    tenant: str
    sequence: int
    position: int
    waits: bool


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
        keep_at(
            lambda working: self._follow(stop, working),
            name=self._group,
            stop=stop,
            ready=ready,
            lost=(FeedUnavailableError, _OwnershipLostError, *LOST),
        )

    def release(self, tenant: str) -> int:
        """Apply what was put aside of a tenant, in order, and let its later messages go on. Returns how many.

        All or nothing: raises `PoisonError` if one of them still cannot be read, and what the handler raises.
        """
        parameters = {"group": self._group, "tenant": tenant}
        with self._connect() as connection, connection.transaction():
            connection.execute(_LOCK_TENANTS, {"group": self._group, "tenants": [tenant]})
            parked = connection.execute(_PARKED, parameters).fetchall()
            messages = [self._readable(position, value) for position, value in parked]
            if messages:
                self._handler(connection, messages)
            connection.execute(_RELEASE, parameters)
            connection.execute(_NO_LONGER_WAITS, parameters)
        return len(messages)

    def _readable(self, position: int, value: bytes) -> Message:
        content = self._feed.decode(value)
        if isinstance(content, Undecodable):
            raise PoisonError(position, content.reason)
        return content

    def _follow(self, stop: threading.Event, working: Callable[[], None]) -> None:
        with self._connect() as connection:
            connection.autocommit = True
            self._next_offsets.clear()

            def next_offset(partition: Partition) -> int:
                row = connection.execute(_NEXT_OFFSET, self._key(partition)).fetchone()
                self._next_offsets[partition] = row[0] if row else 0
                return self._next_offsets[partition]

            with self._feed.subscribe(self._group, next_offset) as subscription:
                while not stop.is_set():
                    batches = subscription.poll(_POLL_SECONDS)
                    for batch in batches:
                        self._apply(connection, batch)
                        subscription.applied(batch)
                    working()

    def _key(self, partition: Partition) -> dict[str, Any]:
        """The parameters that name our row of a partition."""
        return {"group": self._group, "topic": partition.topic, "partition": partition.number}

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
                    _log.warning(
                        "handler failed, trying each message alone", worker=self._group, error=str(error)
                    )
                    for delivery in batch.deliveries:
                        self._apply(connection, FeedBatch(partition=batch.partition, deliveries=[delivery]))
                    return
                _log.exception(
                    "handler failed",
                    worker=self._group,
                    position=batch.last_position,
                    error=str(error),
                )
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
        except LOST:
            raise
        except Exception as error:
            if connection.closed:
                raise psycopg.OperationalError("The connection was lost in a handler.") from error
            # Logged with where it was raised, but not with the error itself, whose message may quote a row.
            raise _HandlerError(told(error)).with_traceback(error.__traceback__) from None

    def _lock_partition(self, connection: Connection[Any], partition: Partition) -> None:
        key = self._key(partition)
        expected = self._next_offsets.get(partition)
        if expected == 0:
            connection.execute(_JOIN_PARTITION, key)
        row = connection.execute(f"{_NEXT_OFFSET} FOR UPDATE", key).fetchone()
        stored = row[0] if row else None
        if stored is None or stored != expected:
            raise _OwnershipLostError(
                f"{partition.topic}/{partition.number} is at {stored}, not at {expected} where we stopped"
            )

    def _check_identity(self, connection: Connection[Any], batch: FeedBatch) -> None:
        came_from = identity(batch)
        if came_from is None:
            return
        store, epoch = came_from
        connection.execute(_JOIN_GROUP, {"group": self._group, "store": store, "epoch": epoch})
        follows = connection.execute(_IDENTITY, {"group": self._group}).fetchone()
        if follows != came_from:
            raise FeedMixedError(
                f"group {self._group} follows store and epoch {follows}, and {batch.partition.topic} is of"
                f" {came_from}"
            )

    def _lock_tenants(self, connection: Connection[Any], names: list[str]) -> dict[str, TenantPlace]:
        parameters = {"group": self._group, "tenants": names}
        connection.execute(_JOIN_TENANTS, parameters)
        with connection.cursor(row_factory=class_row(_PlaceRow)) as cursor:
            rows = cursor.execute(_LOCK_TENANTS, parameters).fetchall()
        return {
            row.tenant: TenantPlace(sequence=row.sequence, position=row.position, waits=row.waits)
            for row in rows
        }

    def _store(self, connection: Connection[Any], batch: FeedBatch, admission: Admission) -> None:
        key = self._key(batch.partition)
        if admission.parked:
            self._park(connection, key, admission.parked)
        places = admission.places.values()
        connection.execute(
            _MOVE_TENANTS,
            {
                "group": self._group,
                "tenants": list(admission.places),
                "sequences": [place.sequence for place in places],
                "positions": [place.position for place in places],
                "waits": [place.waits for place in places],
            },
        )
        connection.execute(
            _ADVANCE, {**key, "next_offset": batch.next_offset, "last_position": batch.last_position}
        )

    def _park(self, connection: Connection[Any], key: Mapping[str, Any], parked: Sequence[Parked]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(
                _PARK,
                [
                    {
                        **key,
                        "offset": item.delivery.offset,
                        "tenant": item.tenant,
                        "position": item.position,
                        "reason": item.reason,
                        "value": item.delivery.value,
                    }
                    for item in parked
                ],
            )
        first = parked[0]
        _log.error(
            "messages were put aside",
            worker=self._group,
            messages=len(parked),
            topic=key["topic"],
            offset=first.delivery.offset,
            tenant=first.tenant,
            position=first.position,
            error=first.reason,
        )
