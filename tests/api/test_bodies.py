"""The bytes of bodies in flight are bounded: for a tenant's bulks, for a tenant, and in all."""

from typing import Any

import pytest

from api.bodies import MAX_BULK_BYTES, MAX_BYTES, MAX_TENANT_BYTES, Bodies
from api.errors import ApiError
from api.exchange import MAX_BODY_BYTES, MAX_BULK_BODY_BYTES, MAX_DISCARDED_BYTES, Exchange
from domain.errors import Code
from tests.support.given import on_a_loop

SCOPE = {"method": "POST", "path": "/v2/finance/bulk", "headers": [], "query_string": b""}


def sending(bodies: Bodies, tenant: str, *chunks: bytes) -> Exchange:
    """A request of a tenant that sends its body in chunks."""
    remaining = list(chunks)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": remaining.pop(0), "more_body": bool(remaining)}

    async def send(_: Any) -> None:
        """Nobody listens."""

    exchange = Exchange(dict(SCOPE), receive, send, bodies)
    exchange.tenant = tenant
    return exchange


def test_there_is_room_for_what_one_request_may_hold() -> None:
    assert MAX_BODY_BYTES <= MAX_BULK_BODY_BYTES <= MAX_BULK_BYTES < MAX_TENANT_BYTES < MAX_BYTES
    assert MAX_BULK_BODY_BYTES < MAX_DISCARDED_BYTES


@on_a_loop
async def test_bulks_fill_half_of_their_tenants_room_and_give_it_back() -> None:
    bodies = Bodies()
    half = bytes(MAX_BULK_BYTES // 2)
    first, second, third = (sending(bodies, "busy", half) for _ in range(3))
    assert await first.body(bulk=True) == half
    assert await second.body(bulk=True) == half
    with pytest.raises(ApiError) as refusal:
        await sending(bodies, "busy", b"{", b"}").body(bulk=True)
    assert refusal.value.code == Code.UNAVAILABLE
    single, other = sending(bodies, "busy", b"{}"), sending(bodies, "small", b"[", b"]")
    assert await single.body() == b"{}", "a single command finds room"
    assert await other.body(bulk=True) == b"[]"
    for answered in (first, single, other):
        answered.close()
    assert await third.body(bulk=True) == half


@on_a_loop
async def test_all_tenants_together_are_bounded() -> None:
    bodies = Bodies()
    for number in range(MAX_BYTES // MAX_BODY_BYTES):
        await sending(bodies, f"t{number}", bytes(MAX_BODY_BYTES)).body()
    with pytest.raises(ApiError) as refusal:
        await sending(bodies, "one-more", b"{}").body()
    assert refusal.value.code == Code.UNAVAILABLE


@on_a_loop
async def test_what_was_refused_holds_nothing_once_it_is_over() -> None:
    bodies = Bodies()
    too_large = sending(bodies, "busy", *[bytes(MAX_BODY_BYTES // 2)] * 3)
    with pytest.raises(ApiError):
        await too_large.body()
    too_large.close()
    assert bodies.has_room("busy", MAX_TENANT_BYTES, bulk=False)
