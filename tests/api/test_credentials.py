"""How long a key lives."""

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
import time_machine

from api.credentials import Credential
from api.errors import ApiError
from api.exchange import Exchange
from api.services import Services
from tests.conftest import Database
from tests.support.projected import catch_up, put
from tests.support.school import RECEIPTS, School


def test_a_key_lives_by_the_databases_clock(database: Database) -> None:
    """An API whose clock is an hour ahead takes a key that has half an hour left, and one an hour behind no other."""
    school = School()
    for prefix, minutes in (("live", 30), ("dead", -30)):
        school.run(
            "key.create",
            client="till",
            prefix=prefix,
            key_hash=sha256(prefix.encode()).hexdigest(),
            role="cashier",
            expires_at=(datetime.now(UTC) + timedelta(minutes=minutes)).isoformat(),
        )
    put(database, school)
    catch_up(database)

    async def authenticate(key: bytes) -> Credential:
        writer: Any = None
        services = Services(
            writer=writer, reader_url=database.url("bursar_reader"), receipts=RECEIPTS, version=""
        )
        await services.pool.open()
        services.authenticator.trusted = True
        scope = {"method": "GET", "path": "/", "headers": [(b"authorization", b"Bearer " + key)]}
        exchange: Any = Exchange(scope, writer, writer, writer)
        try:
            first = await services.authenticator.authenticate(exchange)
            assert await services.authenticator.authenticate(exchange) is first  # as it is remembered
            return first
        finally:
            await services.pool.close()

    for hours in (1, -1):
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
            assert asyncio.run(authenticate(b"live")).prefix == "live"
            with pytest.raises(ApiError):
                asyncio.run(authenticate(b"dead"))
