"""The feed: the same messages in order, straight from the Postgres log or from Kafka.

A consumer keeps its place itself, in the transaction of its effects; `admission` has the rules.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from application.feed.message import Message


class Partition(msgspec.Struct, frozen=True, order=True):
    """A part of a topic in which order holds. A tenant's messages are all in one."""

    topic: str
    number: int


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a message comes from, so far as it shows without its content."""

    store: str
    epoch: int
    tenant: str
    position: int


class Undecodable(msgspec.Struct, frozen=True, kw_only=True):
    """What arrived is no message that this version can read. Without an origin it is not one of ours."""

    reason: str
    origin: Origin | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What arrived at `offset`; `value` is what `Feed.decode` reads again."""

    offset: int
    value: bytes
    content: Message | Undecodable

    @property
    def origin(self) -> Origin | None:
        """Where it comes from; None if it is not one of ours."""
        content = self.content
        if isinstance(content, Undecodable):
            return content.origin
        return Origin(
            store=content.store, epoch=content.epoch, tenant=content.tenant, position=content.position
        )


class FeedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries of one partition in order, at least one."""

    partition: Partition
    deliveries: Sequence[Delivery]

    @property
    def next_offset(self) -> int:
        """Where to read on once all of it is applied."""
        return self.deliveries[-1].offset + 1

    @property
    def last_position(self) -> int:
        """The highest position in it; 0 where nothing in it is ours."""
        return max(origin.position if origin else 0 for origin in self.origins)

    @property
    def origins(self) -> Sequence[Origin | None]:
        """Where each delivery comes from; None for what is not one of ours."""
        return [delivery.origin for delivery in self.deliveries]


class FeedUnavailableError(Exception):
    """The feed cannot be reached or was lost on the way: subscribe again, later."""


class FeedGapError(Exception):
    """A tenant's sequence has a hole: a message was lost. A person must look; nothing is skipped."""


class FeedMixedError(Exception):
    """A message comes from another store or epoch than what the group applied before."""


class FeedLostError(Exception):
    """The feed no longer holds what the group must read next."""


class PoisonError(Exception):
    """Raised by a handler: it can never apply the message at `position`, and it shall be put aside."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"{reason} (position {position})")
        self.position = position
        self.reason = reason


class Subscription(Protocol):
    """A member's share of a group's partitions, for as long as it is open."""

    def poll(self, seconds: float) -> Sequence[FeedBatch]:
        """Wait up to `seconds` for messages. Raises `FeedUnavailableError` and `FeedLostError`."""
        ...

    def applied(self, batch: FeedBatch) -> None:
        """Let dashboards see how far the group is. Nothing depends on it."""
        ...


class Feed(Protocol):
    """A source of messages. Two members of a group share it; a partition is with one of them at a time."""

    def subscribe(
        self, group: str, next_offset: Callable[[Partition], int]
    ) -> AbstractContextManager[Subscription]:
        """Join `group`; `next_offset` is asked where to begin in each partition that falls to us.

        It may be called from another thread while `poll` runs. Raises `FeedUnavailableError`.
        """
        ...

    def decode(self, value: bytes) -> Message | Undecodable:
        """Read the value of a delivery again; what failed before may be known to a later version."""
        ...
