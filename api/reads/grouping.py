"""Reads of one thing, grouped as the writer groups commands: what waits for the same kind of one tenant goes as one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import msgspec

from api.services import MAX_READ_SECONDS, MAX_WAITING_READS, Connection, Moment, Reading, no_more_reads

LANES: Final = 2
"""Groups in flight: one is made while the database works on another."""
MAX_GROUP_KEYS: Final = 200
MAX_ANSWER_SECONDS: Final = 2.0 * MAX_READ_SECONDS
"""How long anybody waits; more than a statement may take, so that who asks too much is told so."""

Fetch = Callable[[Connection, Sequence[Any]], Awaitable[Mapping[Any, msgspec.Struct]]]
"""Finds what there is of the keys."""

Answer = tuple[bytes | None, Moment]
"""What was found, as JSON, and when; None where there is none."""

_Waiting = list[asyncio.Future[Answer]]


class Grouping:
    """Takes keys one by one, and asks for all that wait at once, each key once. `read` opens a read of a tenant."""

    def __init__(self, read: Callable[[str], AbstractAsyncContextManager[Reading]]) -> None:
        self._read = read
        self._waiting: dict[tuple[Fetch, str], dict[Any, _Waiting]] = {}
        self._count = 0
        self._lanes: set[asyncio.Task[None]] = set()

    async def ask(self, fetch: Fetch, tenant: str, key: Any) -> Answer:
        """What `fetch` finds of a key.

        Raises `ApiError`: `unavailable` where too many wait, or he waited too long, else as a read does.
        """
        if self._count >= MAX_WAITING_READS:
            raise no_more_reads()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault((fetch, tenant), {}).setdefault(key, []).append(answer)
        if len(self._lanes) < LANES:
            self._lanes.add(asyncio.create_task(self._work()))
        self._count += 1
        try:
            async with asyncio.timeout(MAX_ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            raise no_more_reads() from None
        finally:
            self._count -= 1

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._answer(*self._next_group())
        finally:
            # Within the step that found nothing: whoever asks from now on begins a lane.
            lane = asyncio.current_task()
            assert lane is not None
            self._lanes.remove(lane)

    def _next_group(self) -> tuple[Fetch, str, dict[Any, _Waiting]]:
        fetch, tenant = kind = next(iter(self._waiting))
        group = self._waiting.pop(kind)
        rest = [(key, group.pop(key)) for key in list(group)[MAX_GROUP_KEYS:]]
        if rest:
            self._waiting[kind] = dict(rest)  # behind the others
        return fetch, tenant, group

    async def _answer(self, fetch: Fetch, tenant: str, group: Mapping[Any, _Waiting]) -> None:
        keys = [key for key, answers in group.items() if _remaining(answers)]
        if not keys:
            return  # all of them gave up
        try:
            async with self._read(tenant) as reading:
                found = await fetch(reading.connection, keys)
                moment = await reading.moment()
            bodies = {key: msgspec.json.encode(thing) for key, thing in found.items()}
        except Exception as error:  # noqa: BLE001  passed on to every caller
            for key in keys:
                for answer in _remaining(group[key]):
                    answer.set_exception(error)
            return
        for key in keys:
            for answer in _remaining(group[key]):
                answer.set_result((bodies.get(key), moment))


def _remaining(answers: _Waiting) -> _Waiting:
    """Those who still wait."""
    return [answer for answer in answers if not answer.done()]
