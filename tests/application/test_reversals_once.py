"""A transaction is reversed once, and what its reversal reads of the log."""

import asyncio
from typing import Any

from domain import reversal
from domain.errors import Code
from domain.reversal import TransactionReversed
from tests.support.given import on_a_loop
from tests.support.memory_store import MemoryLog, MemoryStore
from tests.support.reversing import (
    check_once,
    invoiced,
    refusal,
    reverse,
    settle,
    states,
    transaction,
)
from tests.support.writer import (
    School,
    answer,
    running_school,
    running_writer,
    top_up,
)


@on_a_loop
async def test_twenty_at_once_take_it_back_once() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        await school.give(top_up(amount=10_000))
        topped_up = await transaction(school, top_up(amount=100))
        found = await asyncio.gather(
            *(school.give(reverse(topped_up)) for _ in range(20)), return_exceptions=True
        )
        await check_once(school, found)


@on_a_loop
async def test_twenty_through_two_processes_take_it_back_once() -> None:
    log = MemoryLog()
    async with running_school(MemoryStore(log)) as school, running_writer(MemoryStore(log)) as writer:
        other = School(writer)
        await school.give(top_up(amount=10_000))
        topped_up = await transaction(school, top_up(amount=100))
        found = await asyncio.gather(
            *(one.give(reverse(topped_up)) for _ in range(10) for one in (school, other)),
            return_exceptions=True,
        )
        await check_once(school, found)


@on_a_loop
async def test_another_process_knows_what_this_one_has_just_written() -> None:
    log = MemoryLog()
    async with running_school(MemoryStore(log)) as school, running_writer(MemoryStore(log)) as writer:
        other = School(writer)
        assert await other.balance() == 0  # it knows the log, as it was
        for _ in range(3):
            await other.give(reverse(await transaction(school, top_up(amount=100))))
        assert await school.balance() == 0


@on_a_loop
async def test_the_same_again_is_a_replay() -> None:
    async with running_school(MemoryStore()) as school:
        topped_up = await transaction(school, top_up(amount=100))
        first = await school.give(reverse(topped_up, key="key-0001"))
        again = await school.give(reverse(topped_up, key="key-0001"))
        assert (again.response, again.replayed) == (first.response, True)


@on_a_loop
async def test_a_dry_run_writes_nothing() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        topped_up = await transaction(school, top_up(amount=100))
        before = len(store.log.events)
        shown = answer(await school.give(reverse(topped_up, dry_run=True)))
        assert shown["events"][-1]["type"] == TransactionReversed.topic
        assert len(store.log.events) == before
        await school.give(reverse(topped_up))


# --- the log


@on_a_loop
async def test_what_it_touches_is_loaded_at_once() -> None:
    log = MemoryLog()
    async with running_school(MemoryStore(log)) as school:
        await school.give(top_up(amount=300))
        bill = await invoiced(school)
        tenders = ({"type": "wallet", "amount": 250}, {"type": "cash", "amount": 100})
        settled = await transaction(school, settle(bill, *tenders))
    store = MemoryStore(log)
    loads: list[int] = []
    original = store.load

    async def load(streams: Any, *, at: int) -> Any:
        loads.append(len(streams))
        return await original(streams, at=at)

    store.load = load  # type: ignore[method-assign]  # a store that does one thing otherwise
    async with running_writer(store) as writer:
        await School(writer).give(reverse(settled))
    assert len(loads) == 2, "what is foreseen, and all that the transaction touched"


@on_a_loop
async def test_nothing_is_written_of_what_is_never_reversed() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        topped_up = await transaction(school, top_up(amount=100))
        assert not any(isinstance(one, reversal.Reversal) for one in states(store).values())
        taken_back = await transaction(school, reverse(topped_up))
        state = states(store)[f"greenhill/transaction/{topped_up}"]
        assert state == reversal.Reversal(version=1, reversed_by=taken_back)


@on_a_loop
async def test_what_this_version_cannot_read_is_not_taken_back() -> None:
    store = MemoryStore()
    async with running_school(store) as school:
        topped_up = await transaction(school, top_up(amount=100))
        _, command = store.log.commands[-1]
        newer = [
            type(one)(one.stream, one.version, "bursar.wallet.topped_up.v99", one.state)
            for one in command.events
        ]
        original = store.events_of

        async def events_of(command_id: str, *, tenant: str) -> Any:
            return newer if command_id == topped_up else await original(command_id, tenant=tenant)

        store.events_of = events_of  # type: ignore[method-assign]  # a store that does one thing otherwise
        error = await refusal(school, reverse(topped_up))
        assert error.code == Code.UNAVAILABLE
        assert "bursar.wallet.topped_up.v99" in error.detail


@on_a_loop
async def test_what_it_reads_is_not_read_again_under_the_lock() -> None:
    log = MemoryLog()
    store = MemoryStore(log)
    read: list[tuple[str, bool]] = []
    original = store.events_of

    async def events_of(command_id: str, *, tenant: str) -> Any:
        read.append((command_id, store._locked))
        return await original(command_id, tenant=tenant)

    store.events_of = events_of  # type: ignore[method-assign]  # a store that does one thing otherwise
    async with running_school(MemoryStore(log)) as other, running_writer(store) as writer:
        school = School(writer)
        assert await school.balance() == 0
        for _ in range(3):
            topped_up = await transaction(other, top_up(amount=100))
            await school.give(reverse(topped_up))
        assert read
        assert not any(locked for _, locked in read[1:]), "it knows by then that others write"
        assert len(read) <= 4
