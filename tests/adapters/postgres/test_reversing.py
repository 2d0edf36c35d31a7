"""Reversals on the real log: by two processes at once, by one that knows nothing yet, and of commands that were one."""

import asyncio
from typing import Any

from adapters.postgres.store import PostgresStore
from adapters.postgres.verify import verify
from application.pipeline.atomic import together
from tests.conftest import Database
from tests.support.given import on_a_loop
from tests.support.reversing import check_once, reverse, transaction
from tests.support.writer import School, answer, charge, new_id, running_school, running_writer, top_up


def store(database: Database) -> PostgresStore:
    return PostgresStore(database.url("bursar_writer"))


def findings(database: Database) -> list[Any]:
    return verify(database.url("bursar_auditor"), progress=lambda _done, _total: None).findings


@on_a_loop
async def test_twenty_through_two_processes_take_it_back_once(database: Database) -> None:
    async with running_school(store(database)) as school, running_writer(store(database)) as writer:
        other = School(writer)
        await school.give(top_up(amount=10_000))
        topped_up = await transaction(school, top_up(amount=100))
        found = await asyncio.gather(
            *(one.give(reverse(topped_up)) for _ in range(10) for one in (school, other)),
            return_exceptions=True,
        )
        await check_once(school, found)
    assert findings(database) == []


@on_a_loop
async def test_a_process_that_knows_nothing_finds_what_it_takes_back(database: Database) -> None:
    async with running_school(store(database)) as school:
        bulk = together((top_up(amount=100, key="key-0001"), charge(amount=60, key="key-0002")), new_id())
        made = [one["transaction_id"] for one in answer(await school.give(bulk))["answers"]]
        made.append(await transaction(school, charge(amount=40)))
    for transaction_id, left in ((made[2], 40), (made[1], 100), (made[0], 0)):
        async with running_writer(store(database)) as writer:
            found = answer(await School(writer).give(reverse(transaction_id)))
            assert [one["balance"] for one in found["wallets"]] == [left]
    assert findings(database) == []
