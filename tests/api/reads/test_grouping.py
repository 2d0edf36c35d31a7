"""Reads of one thing are grouped: each key is asked for once, and whoever waits hears of it, whatever happens."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from api.errors import ApiError
from api.reads import grouping as grouping_module
from api.reads.grouping import LANES, MAX_GROUP_KEYS, Grouping
from api.services import MAX_WAITING_READS, Moment
from domain.errors import Code
from tests.support.given import on_a_loop

MOMENT = Moment(position=7, head=7)


class Thing(msgspec.Struct):
    """What is read."""

    key: Any


class Reading:
    """An open read."""

    connection = None

    async def moment(self) -> Moment:
        """What it reflects."""
        return MOMENT


@asynccontextmanager
async def read(_tenant: str) -> AsyncGenerator[Any]:
    """Open a read."""
    yield Reading()


class Table:
    """What `fetch` looks into, once `opened`: a thing for each key, but for those that are `missing`."""

    def __init__(self, missing: Sequence[Any] = ()) -> None:
        self.opened = asyncio.Event()
        self.groups: list[list[Any]] = []
        self._missing = missing

    async def fetch(self, _connection: Any, keys: Sequence[Any]) -> Mapping[Any, msgspec.Struct]:
        self.groups.append(list(keys))
        await self.opened.wait()
        return {key: Thing(key) for key in keys if key not in self._missing}


def asked(grouping: Grouping, table: Any, *keys: Any, tenant: str = "t") -> list[asyncio.Task[Any]]:
    """Readers of the keys."""
    return [asyncio.create_task(grouping.ask(table.fetch, tenant, key)) for key in keys]


async def filled_lanes(grouping: Grouping, table: Table) -> list[asyncio.Task[Any]]:
    """Readers that have taken every lane."""
    readers: list[asyncio.Task[Any]] = []
    for number in range(LANES):
        readers += asked(grouping, table, f"first-{number}")
        await asyncio.sleep(0.01)
    assert len(table.groups) == LANES
    return readers


@on_a_loop
async def test_what_waits_goes_as_one_group_of_a_tenant_with_each_key_once() -> None:
    table, grouping = Table(missing=["c"]), Grouping(read)
    readers = await filled_lanes(grouping, table)
    readers += asked(grouping, table, "a", "b", "a", "c")
    others = asked(grouping, table, "a", tenant="other")
    await asyncio.sleep(0)
    table.opened.set()
    answers = [await reader for reader in readers[LANES:]]
    assert answers == [(body, MOMENT) for body in (b'{"key":"a"}', b'{"key":"b"}', b'{"key":"a"}', None)]
    assert await others[0] == (b'{"key":"a"}', MOMENT)
    assert table.groups[LANES:] == [["a", "b", "c"], ["a"]]


@on_a_loop
async def test_a_group_has_no_more_keys_than_it_may_and_the_rest_goes_behind_the_others() -> None:
    table, grouping = Table(), Grouping(read)
    readers = await filled_lanes(grouping, table)
    readers += asked(grouping, table, *range(2 * MAX_GROUP_KEYS + 1))
    readers += asked(grouping, table, "x", tenant="other")
    await asyncio.sleep(0)
    table.opened.set()
    bodies = [(await reader)[0] for reader in readers[LANES:]]
    assert bodies == [b'{"key":%d}' % number for number in range(2 * MAX_GROUP_KEYS + 1)] + [b'{"key":"x"}']
    assert [len(group) for group in table.groups[LANES:]] == [MAX_GROUP_KEYS, 1, MAX_GROUP_KEYS, 1]


class Failing(Table):
    """What fails, or gives what is no JSON."""

    def __init__(self, given: Any) -> None:
        super().__init__()
        self._given = given

    async def fetch(self, _connection: Any, keys: Sequence[Any]) -> Mapping[Any, msgspec.Struct]:
        await self.opened.wait()
        if isinstance(self._given, Exception):
            raise self._given
        return dict.fromkeys(keys, Thing(self._given))


@on_a_loop
async def test_an_error_reaches_everyone_who_waits_and_nobody_else() -> None:
    failures: list[tuple[Any, type[Exception], str]] = [
        (ApiError(Code.UNAVAILABLE, "The database is away."), ApiError, "away"),
        (object(), TypeError, "unsupported"),
    ]
    for given, error, words in failures:
        table, grouping = Failing(given), Grouping(read)
        readers = asked(grouping, table, "a", "a", "b")
        await asyncio.sleep(0.01)
        table.opened.set()
        for reader in readers:
            with pytest.raises(error, match=words):
                await reader
        sound = Table()
        sound.opened.set()
        answers = await asyncio.gather(*asked(grouping, sound, *"abc"))
        assert [body for body, _ in answers] == [b'{"key":"a"}', b'{"key":"b"}', b'{"key":"c"}']


@on_a_loop
async def test_one_who_gave_up_is_in_nobodys_way() -> None:
    table, grouping = Table(), Grouping(read)
    gone, remaining = asked(grouping, table, "a", "a")
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0)
    table.opened.set()
    assert await remaining == (b'{"key":"a"}', MOMENT)


@on_a_loop
async def test_whoever_asks_as_the_last_group_is_answered_is_served() -> None:
    """All lanes end within one turn of the loop, and who was just answered asks again before the next."""
    table, grouping = Table(), Grouping(read)

    async def ask_twice() -> None:
        await grouping.ask(table.fetch, "t", "first")
        await grouping.ask(table.fetch, "t", "again")

    twice = asyncio.create_task(ask_twice())
    await asyncio.sleep(0.01)
    once = asked(grouping, table, "other")
    await asyncio.sleep(0.01)
    assert table.groups == [["first"], ["other"]]
    table.opened.set()
    async with asyncio.timeout(5):
        await asyncio.gather(twice, *once)


@on_a_loop
async def test_one_too_many_hears_so_at_once_and_the_others_are_answered() -> None:
    table, grouping = Table(), Grouping(read)
    readers = asked(grouping, table, *range(MAX_WAITING_READS))
    await asyncio.sleep(0.01)
    with pytest.raises(ApiError) as refusal:
        await grouping.ask(table.fetch, "t", "x")
    assert refusal.value.code == Code.UNAVAILABLE
    table.opened.set()
    assert len(await asyncio.gather(*readers)) == MAX_WAITING_READS
    assert (await grouping.ask(table.fetch, "t", "x"))[0] == b'{"key":"x"}', "and there is room again"


@on_a_loop
async def test_one_who_waits_too_long_hears_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the groups before his are slow; his own is then not asked for any more."""
    monkeypatch.setattr(grouping_module, "MAX_ANSWER_SECONDS", 0.1)
    table, grouping = Table(), Grouping(read)
    readers = await filled_lanes(grouping, table)
    readers += asked(grouping, table, "late", tenant="other")
    for outcome in await asyncio.gather(*readers, return_exceptions=True):
        assert isinstance(outcome, ApiError)
        assert outcome.code == Code.UNAVAILABLE
    table.opened.set()
    monkeypatch.undo()
    assert (await grouping.ask(table.fetch, "t", "next"))[0] == b'{"key":"next"}'
    assert table.groups[LANES:] == [["next"]]
