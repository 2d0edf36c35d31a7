"""Lists and statements take turns, and nothing else waits behind them."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from api.errors import ApiError
from api.reads import turns
from api.reads.turns import MAX_TURNS, MAX_TURNS_BESIDE_COMMANDS, Turns
from api.services import MAX_WAITING_READS
from tests.support.given import on_a_loop

STATEMENTS = 64


def test_a_ping_does_not_wait_behind_statements(service, admin):
    account = admin.wallet(100)
    admin.get("ping")  # what we have written is projected
    with ThreadPoolExecutor(STATEMENTS) as pool, psycopg.connect(service.superuser_url) as holder:
        holder.execute("LOCK TABLE wallet_transactions IN ACCESS EXCLUSIVE MODE")
        asked = [pool.submit(admin.get, "statements", account=account) for _ in range(STATEMENTS)]
        time.sleep(0.5)
        began = time.monotonic()
        statuses = [admin.get("ping").status_code for _ in range(3)]
        elapsed = time.monotonic() - began
        holder.rollback()
        assert statuses == [200] * 3
        assert elapsed < 2
        assert {one.result().status_code for one in asked} == {200}


async def take(given: Turns, release: asyncio.Event) -> None:
    async with given.turn():
        await release.wait()


def test_one_too_many_hears_so_at_once():
    @on_a_loop
    async def ask() -> None:
        given, release = Turns(lambda: False), asyncio.Event()
        tasks = [asyncio.create_task(take(given, release)) for _ in range(MAX_TURNS + MAX_WAITING_READS)]
        await asyncio.sleep(0)
        with pytest.raises(ApiError, match="no more reads"):
            await take(given, release)
        release.set()
        await asyncio.gather(*tasks)
        await take(given, release)

    ask()


def test_fewer_are_read_while_commands_are_written():
    @on_a_loop
    async def ask() -> None:
        busy, reading, release = [True], 0, asyncio.Event()
        given = Turns(lambda: busy[0])

        async def read() -> None:
            nonlocal reading
            async with given.turn():
                reading += 1
                await release.wait()

        tasks = [asyncio.create_task(read()) for _ in range(2 * MAX_TURNS)]
        await asyncio.sleep(0.01)
        assert reading == MAX_TURNS_BESIDE_COMMANDS
        busy[0] = False
        tasks.append(asyncio.create_task(read()))
        await asyncio.sleep(0.01)
        assert reading == MAX_TURNS
        release.set()
        await asyncio.gather(*tasks)
        assert reading == 2 * MAX_TURNS + 1

    ask()


def test_a_turn_that_comes_too_late_is_given_up(monkeypatch):
    monkeypatch.setattr(turns, "MAX_WAIT_SECONDS", 0.05)

    @on_a_loop
    async def ask() -> None:
        given, release = Turns(lambda: False), asyncio.Event()
        tasks = [asyncio.create_task(take(given, release)) for _ in range(MAX_TURNS)]
        await asyncio.sleep(0)
        with pytest.raises(ApiError, match="no more reads"):
            await take(given, release)
        release.set()
        await asyncio.gather(*tasks)
        for _ in range(MAX_TURNS + 1):
            await take(given, release)

    ask()
