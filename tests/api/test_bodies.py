"""The bytes of bodies in flight are bounded, for each tenant and in all, and so is the time that they take to come."""

import asyncio
import socket
from typing import Any

import pytest

from api import exchange as exchange_module
from api.bodies import (
    MAX_BULK_BYTES,
    MAX_BYTES,
    MAX_CLIENT_SMALL_BYTES,
    MAX_SMALL_BYTES,
    MAX_TENANT_BYTES,
    SMALL_BODY_BYTES,
    Bodies,
    HeldBody,
)
from api.errors import ApiError, HttpCode
from api.exchange import (
    MAX_BODY_BYTES,
    MAX_BODY_SECONDS,
    MAX_BULK_BODY_BYTES,
    MAX_DISCARDED_BYTES,
    MAX_PAUSE_SECONDS,
    Exchange,
)
from domain.errors import Code
from tests.support.given import on_a_loop
from tests.support.service import ok, until

SCOPE = {"method": "POST", "path": "/v2/finance/bulk", "headers": [], "query_string": b""}
LARGE = bytes(SMALL_BODY_BYTES + 1)


def sending(
    bodies: Bodies,
    tenant: str,
    *chunks: bytes,
    client: str = "till",
    pause: float = 0,
    stalls: bool = False,
    sent: list[Any] | None = None,
) -> Exchange:
    """A request of a tenant that sends its body in chunks, with pauses; one that stalls never sends the last."""
    remaining = list(chunks)

    async def receive() -> dict[str, Any]:
        if stalls and len(remaining) == 1:
            await asyncio.Event().wait()
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": remaining.pop(0), "more_body": bool(remaining)}

    async def send(message: Any) -> None:
        if sent is not None:
            sent.append(message)

    exchange = Exchange(dict(SCOPE), receive, send, bodies)
    exchange.tenant, exchange.client = tenant, client
    return exchange


async def refused(exchange: Exchange, *, bulk: bool = False) -> Any:
    """The code with which a body is refused."""
    with pytest.raises(ApiError) as refusal:
        await exchange.body(bulk=bulk)
    return refusal.value.code


def test_there_is_room_for_what_one_request_may_hold() -> None:
    assert MAX_BODY_BYTES <= MAX_BULK_BODY_BYTES <= MAX_BULK_BYTES < MAX_TENANT_BYTES < MAX_BYTES
    assert MAX_BULK_BODY_BYTES < MAX_DISCARDED_BYTES
    assert SMALL_BODY_BYTES < MAX_CLIENT_SMALL_BYTES < MAX_SMALL_BYTES


@on_a_loop
async def test_bulks_fill_half_of_their_tenants_room_and_give_it_back() -> None:
    bodies = Bodies()
    half = bytes(MAX_BULK_BYTES // 2)
    first, second, third = (sending(bodies, "busy", half) for _ in range(3))
    assert await first.body(bulk=True) == half
    assert await second.body(bulk=True) == half
    assert await refused(sending(bodies, "busy", LARGE, b"}"), bulk=True) == Code.UNAVAILABLE
    single, other = sending(bodies, "busy", LARGE, b"}"), sending(bodies, "small", LARGE, b"]")
    assert await single.body() == LARGE + b"}", "a single command finds room"
    assert await other.body(bulk=True) == LARGE + b"]"
    for answered in (first, single, other):
        answered.close()
    assert await third.body(bulk=True) == half


async def filled(bodies: Bodies) -> None:
    """Large bodies of several tenants, as many as there is room for."""
    for number in range(MAX_BYTES // MAX_BODY_BYTES):
        await sending(bodies, f"t{number}", bytes(MAX_BODY_BYTES)).body()


@on_a_loop
async def test_all_tenants_together_are_bounded_and_small_bodies_still_find_room() -> None:
    bodies = Bodies()
    await filled(bodies)
    assert await refused(sending(bodies, "one-more", LARGE)) == Code.UNAVAILABLE
    assert await refused(sending(bodies, "one-more", bytes(SMALL_BODY_BYTES), b"}")) == Code.UNAVAILABLE
    for bulk in (False, True):
        assert await sending(bodies, "one-more", b"{", b"}").body(bulk=bulk) == b"{}"
        assert await sending(bodies, "t1", b"{", b"}").body(bulk=bulk) == b"{}"


@on_a_loop
async def test_small_bodies_are_bounded_for_each_client_and_in_all() -> None:
    bodies = Bodies()
    await filled(bodies)
    for client in range(MAX_SMALL_BYTES // MAX_CLIENT_SMALL_BYTES):
        for _ in range(MAX_CLIENT_SMALL_BYTES // SMALL_BODY_BYTES):
            await sending(bodies, "t", bytes(SMALL_BODY_BYTES), client=f"c{client}").body()
        over = bytes(MAX_CLIENT_SMALL_BYTES % SMALL_BODY_BYTES)
        await sending(bodies, "t", over, client=f"c{client}").body()
        assert await refused(sending(bodies, "t", b"{}", client=f"c{client}")) == Code.UNAVAILABLE
    assert await refused(sending(bodies, "t", b"{}", client="another")) == Code.UNAVAILABLE


@on_a_loop
async def test_small_bodies_that_find_their_room_full_take_the_large_ones() -> None:
    bodies = Bodies()
    many = [sending(bodies, "t", bytes(SMALL_BODY_BYTES)) for _ in range(100)]
    for one in many:
        await one.body()
    for one in many:
        one.close()
    await filled(bodies)


@on_a_loop
async def test_what_was_refused_holds_nothing_any_more() -> None:
    bodies = Bodies()
    too_large = sending(bodies, "busy", *[bytes(MAX_BODY_BYTES // 2)] * 3)
    assert await refused(too_large) == HttpCode.PAYLOAD_TOO_LARGE
    assert HeldBody(bodies, tenant="busy", client="till", bulk=False).grow(MAX_TENANT_BYTES)


@on_a_loop
async def test_a_body_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "MAX_PAUSE_SECONDS", 0.2)
    bodies, sent = Bodies(), list[Any]()
    stalled = sending(bodies, "busy", LARGE, b"}", stalls=True, sent=sent)
    with pytest.raises(ApiError) as refusal:
        await stalled.body()
    assert refusal.value.code == HttpCode.REQUEST_TIMEOUT
    await stalled.refuse(refusal.value)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"], "the rest would be taken for the next request"
    stalled.close()
    assert HeldBody(bodies, tenant="busy", client="till", bulk=False).grow(MAX_TENANT_BYTES)
    slow = sending(bodies, "slow", *[b"1"] * 8, pause=0.05)
    assert await slow.body() == b"1" * 8, "what comes slowly is waited for"


@on_a_loop
async def test_a_body_that_comes_drop_by_drop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "MAX_BODY_SECONDS", 0.3)
    assert await refused(sending(Bodies(), "t", *[b"1"] * 1000, pause=0.02)) == HttpCode.REQUEST_TIMEOUT


def test_how_long_a_body_may_take_is_told() -> None:
    assert f"for {MAX_PAUSE_SECONDS} seconds" in HttpCode.REQUEST_TIMEOUT.meaning
    assert f"within {MAX_BODY_SECONDS}." in HttpCode.REQUEST_TIMEOUT.meaning


def test_stalled_uploads_of_one_client_turn_nobody_away(service, admin) -> None:
    """They hear that they came too late, and their connections are closed."""
    account = admin.wallet(100)
    cashier = service.client("cashier").http
    head = (
        f"POST {cashier.base_url.path}wallets/{account}/top-up HTTP/1.1\r\nHost: bursar\r\n"
        f"Authorization: {cashier.headers['authorization']}\r\nIdempotency-Key: of-the-stalled\r\n"
        f"Content-Type: application/json\r\nContent-Length: {MAX_BODY_BYTES}\r\n\r\n"
    ).encode()
    address = (cashier.base_url.host, cashier.base_url.port or 80)
    count = MAX_TENANT_BYTES // MAX_BODY_BYTES
    stalled = [socket.create_connection(address, timeout=30) for _ in range(count)]

    def status_of_a_large_one() -> int:
        return admin.post(f"wallets/{account}/top-up", b"{}".ljust(len(LARGE))).status_code

    try:
        for one in stalled:
            one.sendall(head + bytes(MAX_BODY_BYTES - 1))
        until(lambda: status_of_a_large_one() == 503, "the room is full")
        ok(admin.top_up(account, 1), 201)
        for one in stalled:
            with one.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 408"), "and the connection is closed"
        assert status_of_a_large_one() == 422
    finally:
        for one in stalled:
            one.close()
