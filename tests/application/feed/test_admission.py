"""The consumer's rules by themselves; tests/contract has them on real feeds."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import count

import msgspec
import pytest

from application.feed.admission import Admission, TenantPlace, admit, identity, tenants
from application.feed.message import FORMAT, Message
from application.feed.port import (
    Delivery,
    FeedBatch,
    FeedGapError,
    FeedMixedError,
    Origin,
    Partition,
    Undecodable,
)

WAITS = "waits behind a message that was put aside"


def message(position: int, sequence: int, *, tenant: str = "greenhill", epoch: int = 1) -> Message:
    return Message(
        format=FORMAT,
        store="store",
        epoch=epoch,
        tenant=tenant,
        tenant_sequence=sequence,
        first_position=position,
        position=position,
        command="wallet.open",
        command_id=str(position),
        recorded_at=datetime.now(UTC),
        actor="tester",
        reason="",
        correlation_id="",
        trace_id="",
        transaction=None,
        events=(),
    )


def unreadable(position: int, *, tenant: str = "greenhill") -> Undecodable:
    return Undecodable(
        reason="unreadable", origin=Origin(store="store", epoch=1, tenant=tenant, position=position)
    )


def batch(*contents: Message | Undecodable) -> FeedBatch:
    offsets: Iterator[int] = count(7)
    return FeedBatch(
        partition=Partition("topic", 0),
        deliveries=[Delivery(offset=next(offsets), value=b"", content=content) for content in contents],
    )


def admitted(
    *contents: Message | Undecodable,
    places: Mapping[str, TenantPlace] | None = None,
    poison: Mapping[int, str] | None = None,
) -> Admission:
    return admit(batch(*contents), places or {}, poison=poison or {})


def parked(admission: Admission) -> list[tuple[int, str, str]]:
    return [(item.position, item.tenant, item.reason) for item in admission.parked]


def test_messages_are_applied_in_order_and_their_tenants_move_on() -> None:
    first, other, second = message(3, 1), message(5, 1, tenant="lakeside"), message(9, 2)
    admission = admitted(first, other, second)
    assert admission.messages == [first, other, second]
    assert parked(admission) == []
    assert admission.places == {
        "greenhill": TenantPlace(sequence=2, position=9),
        "lakeside": TenantPlace(sequence=1, position=5),
    }


def test_what_was_seen_is_dropped() -> None:
    places = {"greenhill": TenantPlace(sequence=2, position=9)}
    new = message(12, 3)
    admission = admitted(message(3, 1), unreadable(9), new, places=places)
    assert (admission.messages, parked(admission)) == ([new], [])


@pytest.mark.parametrize("sequence", [1, 2, 4])
def test_a_hole_in_a_tenants_sequence_is_not_passed_over(sequence: int) -> None:
    with pytest.raises(FeedGapError, match="after message 2"):
        admitted(message(12, sequence), places={"greenhill": TenantPlace(sequence=2, position=9)})


def test_behind_what_is_put_aside_its_tenant_waits_and_no_other() -> None:
    other = message(5, 1, tenant="lakeside")
    admission = admitted(unreadable(3), other, message(9, 2))
    assert admission.messages == [other]
    assert parked(admission) == [(3, "greenhill", "unreadable"), (9, "greenhill", WAITS)]
    assert admission.places["greenhill"] == TenantPlace(sequence=2, position=9, waits=True)
    later = admitted(message(12, 3), places=admission.places)
    assert (later.messages, parked(later)) == ([], [(12, "greenhill", WAITS)])


def test_what_a_handler_refused_is_put_aside_for_its_reason() -> None:
    first = message(3, 1)
    admission = admitted(first, message(9, 2), poison={9: "no account for it"})
    assert admission.messages == [first]
    assert parked(admission) == [(9, "greenhill", "no account for it")]


def test_what_is_not_ours_is_put_aside_and_nobody_waits() -> None:
    mine = message(3, 1)
    admission = admitted(Undecodable(reason="no JSON", origin=None), mine)
    assert (admission.messages, parked(admission)) == ([mine], [(0, "", "no JSON")])
    assert admission.places == {"greenhill": TenantPlace(sequence=1, position=3)}


def test_a_batch_names_its_tenants_and_where_it_comes_from() -> None:
    alien = Undecodable(reason="no JSON", origin=None)
    ours = batch(message(3, 1, tenant="lakeside"), alien, unreadable(5), message(9, 2, tenant="lakeside"))
    assert tenants(ours) == ["greenhill", "lakeside"]
    assert identity(ours) == ("store", 1)
    assert (ours.next_offset, ours.last_position) == (11, 9)
    assert (identity(batch(alien)), tenants(batch(alien))) == (None, [])
    mixed = msgspec.structs.replace(
        ours, deliveries=[*ours.deliveries, *batch(message(12, 3, epoch=2)).deliveries]
    )
    with pytest.raises(FeedMixedError):
        identity(mixed)
