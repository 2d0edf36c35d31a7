"""What every event store does, run on each implementation of the port."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from application.pipeline.ports import MAX_TAIL_EVENTS, Appended, Head, Known, KnownKey, Moved
from domain.aggregates import initial
from domain.wallet import Wallet
from tests.support.given import on_a_loop
from tests.support.store import (
    AT,
    InMemory,
    InPostgres,
    LogUnderTest,
    batch,
    command,
    emptied,
    opened,
    topped_up,
    until,
)

STREAM = "greenhill/wallet/STU-1"


@pytest.fixture(params=["memory", "postgres"])
def log(request: pytest.FixtureRequest) -> LogUnderTest:
    if request.param == "memory":
        return InMemory()
    return InPostgres(emptied(request.getfixturevalue("cluster")))


@on_a_loop
async def test_a_new_log_is_empty(log: LogUnderTest) -> None:
    store = log.store()
    assert await store.head() == Head(position=0, recorded_at=datetime(1970, 1, 1, tzinfo=UTC))
    assert await store.load([STREAM, "greenhill/tenant"], at=0) == {
        STREAM: initial(STREAM),
        "greenhill/tenant": initial("greenhill/tenant"),
    }
    assert await store.find([command().id]) == {}
    await store.close()


@on_a_loop
async def test_what_is_appended_is_numbered_and_loads(log: LogUnderTest) -> None:
    store = log.store()
    assert await store.append(batch(0, command(opened(), topped_up(2)), command(topped_up(3)))) == Appended(3)
    later = AT + timedelta(microseconds=1)
    assert await store.append(batch(3, command(topped_up(4)), recorded_at=later)) == Appended(4)
    assert await store.head() == Head(position=4, recorded_at=later)
    state = (await store.load([STREAM], at=4))[STREAM]
    assert isinstance(state, Wallet)
    assert (state.version, state.balance_minor, state.wallet_id) == (4, 300, "STU-1")
    await store.close()


@on_a_loop
async def test_a_batch_of_nothing_says_where_the_head_is(log: LogUnderTest) -> None:
    store = log.store()
    assert await store.append(batch(0)) == Appended(0)
    await store.append(batch(0, command(opened())))
    assert await store.append(batch(1, keys=[("greenhill", "TILL", "unknown")])) == Appended(1)
    assert (await store.head()).position == 1
    await store.close()


@on_a_loop
async def test_a_batch_decided_elsewhere_is_not_written(log: LogUnderTest) -> None:
    mine, other = log.store(), log.store()
    await other.append(batch(0, command(opened(), key="key-0001")))
    assert await mine.append(batch(0, command(opened()))) == Moved(1)
    assert await mine.append(batch(0)) == Moved(1)
    assert await mine.append(batch(2, command(opened()))) == Moved(1)
    # The head comes first: a key that is known says nothing to who does not know the head.
    assert await mine.append(batch(0, keys=[("greenhill", "TILL", "key-0001")])) == Moved(1)
    assert (await mine.head()).position == 1
    await mine.close()
    await other.close()


@on_a_loop
async def test_a_known_key_stops_the_batch_and_has_its_answer(log: LogUnderTest) -> None:
    store = log.store()
    first = command(opened(), topped_up(2), key="key-0001")
    await store.append(batch(0, first, command(topped_up(3))))
    keys = [("greenhill", "TILL", "key-0002"), ("greenhill", "TILL", "key-0001")]
    answer = await store.append(batch(3, command(topped_up(4)), keys=keys))
    assert answer == Known([KnownKey(1, first.request_hash, first.response, 2)])
    assert (await store.head()).position == 3
    await store.close()


@on_a_loop
async def test_a_key_is_its_clients_within_its_tenant(log: LogUnderTest) -> None:
    store = log.store()
    await store.append(batch(0, command(opened(), key="key-0001")))
    elsewhere = [("greenhill", "OTHER", "key-0001"), ("riverside", "TILL", "key-0001")]
    assert await store.append(batch(1, keys=elsewhere)) == Appended(1)
    other = command(opened("X"), client="OTHER", key="key-0001")
    theirs = command(opened("X", tenant="riverside"), tenant="riverside", key="key-0001")
    assert await store.append(batch(1, other, theirs)) == Appended(3)
    await store.close()


@on_a_loop
async def test_streams_load_as_of_a_position(log: LogUnderTest) -> None:
    store = log.store()
    other = "greenhill/wallet/STU-2"
    await store.append(batch(0, command(opened(), topped_up(2), opened("STU-2")), command(topped_up(3, 7))))
    found = [await store.load([STREAM, other], at=position) for position in range(5)]
    assert [one[STREAM].version for one in found] == [0, 1, 2, 2, 3]
    assert [getattr(one[STREAM], "balance_minor", None) for one in found] == [0, 0, 100, 100, 107]
    assert [one[other].version for one in found] == [0, 0, 0, 1, 1]
    await store.close()


@on_a_loop
async def test_what_is_loaded_is_the_callers_own(log: LogUnderTest) -> None:
    store = log.store()
    await store.append(batch(0, command(opened())))
    mine = (await store.load([STREAM], at=1))[STREAM]
    mine.version = 99
    assert (await store.load([STREAM], at=1))[STREAM].version == 1
    await store.close()


@on_a_loop
async def test_the_lock_tells_what_was_written_meanwhile(log: LogUnderTest) -> None:
    mine, other = log.store(), log.store()
    await other.append(batch(0, command(opened()), command(topped_up(2))))
    tail = await mine.lock(after=1)
    assert tail.head == Head(position=2, recorded_at=AT)
    assert tail.events is not None
    assert [(event.stream, event.version) for event in tail.events] == [(STREAM, 2)]
    assert await mine.append(batch(2, command(topped_up(3)))) == Appended(3)
    tail = await other.lock(after=3)
    assert (tail.head.position, tail.events) == (3, [])
    await other.unlock()
    await mine.close()
    await other.close()


@on_a_loop
async def test_the_lock_keeps_every_other_writer_out(log: LogUnderTest) -> None:
    mine, other = log.store(), log.store()
    await mine.lock(after=0)
    appending = asyncio.create_task(other.append(batch(0, command(opened()))))
    await until(log.has_waiter)
    assert not appending.done()
    await mine.unlock()
    assert await appending == Appended(1)

    await mine.lock(after=1)
    locking = asyncio.create_task(other.lock(after=1))
    await until(log.has_waiter)
    assert await mine.append(batch(1, command(topped_up(2)))) == Appended(2)
    tail = await locking
    assert tail.head.position == 2
    assert tail.events is not None
    assert [event.version for event in tail.events] == [2], "who waited sees what was committed meanwhile"
    await other.unlock()
    await mine.close()
    await other.close()


@on_a_loop
async def test_whatever_an_append_answers_it_frees_the_lock(log: LogUnderTest) -> None:
    mine, other = log.store(), log.store()
    await mine.append(batch(0, command(opened(), key="key-0001")))
    await mine.lock(after=1)
    assert isinstance(await mine.append(batch(1, keys=[("greenhill", "TILL", "key-0001")])), Known)
    assert await other.append(batch(1, command(topped_up(2)))) == Appended(2)
    await other.lock(after=2)
    assert await other.append(batch(2)) == Appended(2)
    await mine.lock(after=2)
    await mine.unlock()
    await mine.unlock()
    assert await other.append(batch(2, command(topped_up(3)))) == Appended(3)
    await mine.close()
    await other.close()


@on_a_loop
async def test_a_store_that_is_closed_holds_no_lock(log: LogUnderTest) -> None:
    mine, other = log.store(), log.store()
    await mine.lock(after=0)
    await mine.close()
    assert await other.append(batch(0, command(opened()))) == Appended(1)
    await other.close()


@on_a_loop
async def test_who_is_far_behind_is_not_made_to_read_it_all(log: LogUnderTest) -> None:
    mine, other = log.store(), log.store()
    events = [opened(), *(topped_up(version, 1) for version in range(2, MAX_TAIL_EVENTS + 2))]
    await other.append(batch(0, command(*events)))
    tail = await mine.lock(after=1)
    assert tail.events is not None
    assert len(tail.events) == MAX_TAIL_EVENTS
    await mine.unlock()
    tail = await mine.lock(after=0)
    assert (tail.head.position, tail.events) == (MAX_TAIL_EVENTS + 1, None)
    await mine.unlock()
    await mine.close()
    await other.close()


@on_a_loop
async def test_commands_are_found_by_their_ids(log: LogUnderTest) -> None:
    store = log.store()
    first, second = command(opened(), topped_up(2)), command(topped_up(3))
    await store.append(batch(0, first, second))
    ids = [second.id, first.id, command().id]
    assert await store.find(ids) == {first.id: (2, first.response), second.id: (3, second.response)}
    assert await store.find([command().id]) == {}
    await store.close()


@on_a_loop
async def test_a_command_s_events_are_found_by_its_id_within_its_tenant(log: LogUnderTest) -> None:
    store = log.store()
    first, second = command(opened(), topped_up(2)), command(topped_up(3))
    other = command(opened(tenant="maple"), tenant="maple")
    await store.append(batch(0, first, second, other))
    assert list(await store.events_of(first.id, tenant="greenhill")) == list(first.events)
    assert list(await store.events_of(second.id, tenant="greenhill")) == list(second.events)
    assert list(await store.events_of(other.id, tenant="greenhill")) == []
    assert list(await store.events_of(command().id, tenant="greenhill")) == []
    await store.close()


@on_a_loop
async def test_a_turn_is_waited_for_and_not_for_ever(log: LogUnderTest) -> None:
    first, second = log.store(), log.store()
    assert await first.take_turn()
    waiting = asyncio.create_task(second.take_turn())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await first.end_turn()
    assert await waiting
    async with asyncio.timeout(10):
        assert not await first.take_turn()
    assert await first.append(batch(0, command(opened()))) == Appended(1), "nothing depends on it"
    await second.end_turn()
    await first.end_turn()
    await first.close()
    await second.close()


@on_a_loop
async def test_a_command_may_have_several_keys_and_each_finds_it(log: LogUnderTest) -> None:
    store = log.store()
    several = command(opened(), topped_up(2), idempotency_keys=("key-0001", "key-0002"))
    await store.append(batch(0, command(opened("STU-2")), several, command(topped_up(2, account="STU-2"))))
    for key in several.idempotency_keys:
        asked = [("greenhill", "TILL", "unknown"), ("greenhill", "TILL", key)]
        assert await store.append(batch(4, keys=asked)) == Known(
            [KnownKey(1, several.request_hash, several.response, 3)]
        )
    assert await store.append(batch(4, keys=[("greenhill", "OTHER", "key-0001")])) == Appended(4)
    await store.close()


@on_a_loop
async def test_all_keys_of_one_command_may_be_asked_for_at_once(log: LogUnderTest) -> None:
    store = log.store()
    keys = ("key-0001", "key-0002")
    several = command(opened(), idempotency_keys=keys)
    await store.append(batch(0, several, command(topped_up(2), key="key-0003")))
    found = await store.append(batch(2, keys=[("greenhill", "TILL", key) for key in (*keys, "key-0003")]))
    assert isinstance(found, Known)
    assert sorted((one.index, one.response == several.response, one.position) for one in found.keys) == [
        (0, True, 1),
        (1, True, 1),
        (2, False, 2),
    ]
    await store.close()
