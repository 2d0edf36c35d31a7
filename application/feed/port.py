"""The feed: the same messages in order, straight from the Postgres log or from Kafka.

A consumer keeps its place itself, in the transaction of its effects. What may be applied, what was seen
and what is put aside is decided here, from the message and the place that its tenant has reached.
"""

from collections.abc import Callable, Mapping, Sequence
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
    def origins(self) -> "Sequence[Origin | None]":
        """Where each delivery comes from; None for what is not one of ours."""
        return [_origin(delivery.content) for delivery in self.deliveries]


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


class TenantPlace(msgspec.Struct, frozen=True, kw_only=True):
    """How far a group is with a tenant. `waits`: a message was put aside, and later ones wait behind it."""

    sequence: int = 0
    position: int = 0
    waits: bool = False


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery put aside, and why. `tenant` is empty where it is not one of ours."""

    delivery: Delivery
    tenant: str
    position: int
    reason: str


class Admission(msgspec.Struct, kw_only=True):
    """What becomes of a batch: messages to apply, deliveries to park, and the places reached by then."""

    messages: list[Message]
    parked: list[Parked]
    places: dict[str, TenantPlace]


def tenants(batch: FeedBatch) -> list[str]:
    """Name the tenants of a batch, sorted, so that whoever locks their places locks them in one order."""
    return sorted({origin.tenant for origin in batch.origins if origin is not None})


def admit(batch: FeedBatch, places: Mapping[str, TenantPlace], *, poison: Mapping[int, str]) -> Admission:
    """Decide what becomes of each delivery; `poison` gives the reason of what a handler refused, by position.

    What comes of a tenant after a message that is put aside waits behind it. Raises `FeedGapError` where a
    tenant's sequence has a hole.
    """
    admission = Admission(messages=[], parked=[], places=dict(places))
    for delivery in batch.deliveries:
        _admit(delivery, admission, poison=poison)
    return admission


def _admit(delivery: Delivery, admission: Admission, *, poison: Mapping[int, str]) -> None:
    content = delivery.content
    origin = _origin(content)
    if origin is None:
        assert isinstance(content, Undecodable)
        admission.parked.append(Parked(delivery=delivery, tenant="", position=0, reason=content.reason))
        return
    place = admission.places.get(origin.tenant, TenantPlace())
    if origin.position <= place.position:
        return  # sent again after a crash of the relay
    sequence = place.sequence + 1
    if isinstance(content, Message) and content.tenant_sequence != sequence:
        raise FeedGapError(
            f"{origin.tenant}: after message {place.sequence} (position {place.position}) came"
            f" {content.tenant_sequence} (position {content.position})"
        )
    waits = place.waits
    fault = content.reason if isinstance(content, Undecodable) else poison.get(origin.position)
    if fault is None and not waits:
        assert isinstance(content, Message)
        admission.messages.append(content)
    else:
        parked = Parked(
            delivery=delivery,
            tenant=origin.tenant,
            position=origin.position,
            reason=fault or "waits behind a message that was put aside",
        )
        admission.parked.append(parked)
        waits = True
    admission.places[origin.tenant] = TenantPlace(sequence=sequence, position=origin.position, waits=waits)


def identity(batch: FeedBatch) -> tuple[str, int] | None:
    """Name the store and epoch that a batch comes from; None where nothing in it is ours.

    Raises `FeedMixedError` if there are several.
    """
    found = {(origin.store, origin.epoch) for origin in batch.origins if origin is not None}
    if len(found) > 1:
        raise FeedMixedError(f"{batch.partition.topic} holds messages of several stores or epochs: {found}")
    return next(iter(found), None)


def _origin(content: Message | Undecodable) -> Origin | None:
    if isinstance(content, Undecodable):
        return content.origin
    return Origin(store=content.store, epoch=content.epoch, tenant=content.tenant, position=content.position)
