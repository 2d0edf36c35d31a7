"""A consumer's rules: what of a batch is applied, what was seen before, and what is put aside.

All of it is decided from the messages and the places that their tenants have reached.
"""

from collections.abc import Mapping

import msgspec

from application.feed.message import Message
from application.feed.port import (
    Delivery,
    FeedBatch,
    FeedGapError,
    FeedMixedError,
    Undecodable,
)


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
    origin = delivery.origin
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
    identities = {(origin.store, origin.epoch) for origin in batch.origins if origin is not None}
    if len(identities) > 1:
        raise FeedMixedError(
            f"{batch.partition.topic} holds messages of several stores or epochs: {identities}"
        )
    return next(iter(identities), None)
