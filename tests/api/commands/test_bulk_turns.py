"""A bulk leaves others their turns: between two of them it prepares a hundred elements at most."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest

from api.bodies import Bodies
from api.commands import bulk
from api.commands.bulk import ELEMENTS_AT_ONCE, BulkEndpoint
from api.commands.receipts import SalesByReceipt
from api.credentials import Authenticator, Credential
from api.exchange import Exchange
from domain.capability import CAPABILITIES
from tests.support.bodies import top_up
from tests.support.given import on_a_loop
from tests.support.memory_store import MemoryStore
from tests.support.service import fresh_key
from tests.support.writer import running_school

ELEMENTS = 10 * ELEMENTS_AT_ONCE + 1
OFFICE = Credential(
    tenant="greenhill",
    client="OFFICE",
    prefix="bk_office",
    capabilities=CAPABILITIES,
    expires=None,
    features=frozenset({"FINANCE_V2"}),
)


class Turns:
    """Counts what is done between two turns of others."""

    def __init__(self) -> None:
        self.most = 0
        self._since_the_last = 0

    def count(self) -> None:
        self._since_the_last += 1
        self.most = max(self.most, self._since_the_last)

    async def take(self) -> None:
        """Be the others: take each turn that there is."""
        while True:
            self._since_the_last = 0
            await asyncio.sleep(0)


async def post(endpoint: BulkEndpoint, elements: list[dict[str, Any]]) -> list[Any]:
    """The results of a bulk, without a server between."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(elements).encode()}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"method": "POST", "path": "/v2/finance/bulk", "query_string": b""}
    await endpoint(
        Exchange(scope | {"headers": [(b"authorization", b"Bearer a-key")]}, receive, send, Bodies())
    )
    found: list[Any] = json.loads(sent[-1]["body"])["data"]
    return found


def test_others_have_their_turns_while_a_bulk_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, prepare = Turns(), bulk._prepare

    def counted(*arguments: Any, **options: Any) -> Any:
        turns.count()
        return prepare(*arguments, **options)

    monkeypatch.setattr(bulk, "_prepare", counted)

    async def look_up(_: bytes) -> Credential:
        return OFFICE

    @on_a_loop
    async def test() -> None:
        async with running_school(MemoryStore()) as school:
            await school.do(
                "key.create", client="OFFICE", prefix="bk_office", key_hash="0" * 64, role="admin"
            )
            others = asyncio.create_task(turns.take())
            element = {"action": "wallet.top_up", "data": {"account": "STU-1", **top_up(amount=1)}}
            elements = [{**element, "idempotency_key": fresh_key()} for _ in range(ELEMENTS)]
            nobody: Any = None  # no element is a refund
            endpoint = BulkEndpoint(school.writer, Authenticator(look_up), SalesByReceipt(nobody))
            found = await post(endpoint, elements)
            others.cancel()
            with suppress(asyncio.CancelledError):
                await others
            assert [one["status"] for one in found] == [201] * ELEMENTS
            assert await school.balance() == ELEMENTS

    test()
    assert 0 < turns.most <= ELEMENTS_AT_ONCE
