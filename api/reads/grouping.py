"""Reads of one thing, grouped as the writer groups commands: what waits for the same kind of one tenant goes as one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import msgspec

from api.errors import ApiError
from api.services import MAX_WAITING_READS, Connection, Moment, Reading
from domain.errors import Code

LANES: Final = 2
"""Groups in flight: one is made while the database works on another."""
MAX_GROUP_KEYS: Final = 200

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

        Raises `ApiError`: `unavailable` where too many wait, else as a read does.
        """
        if self._count >= MAX_WAITING_READS:
            raise ApiError(Code.UNAVAILABLE, "The service answers no more reads at the moment.")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault((fetch, tenant), {}).setdefault(key, []).append(answer)
        if len(self._lanes) < LANES:
            lane = asyncio.create_task(self._work())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        self._count += 1
        try:
            return await answer
        finally:
            self._count -= 1

    async def _work(self) -> None:
        while self._waiting:
            fetch, tenant = kind = next(iter(self._waiting))
            group = self._waiting.pop(kind)
            rest = [(key, group.pop(key)) for key in list(group)[MAX_GROUP_KEYS:]]
            if rest:
                self._waiting[kind] = dict(rest)  # behind the others
            try:
                async with self._read(tenant) as reading:
                    found = await fetch(reading.connection, list(group))
                    moment = await reading.moment()
            except Exception as error:  # noqa: BLE001  passed on to every caller
                for answer in _waiting(group):
                    answer.set_exception(error)
                continue
            for key, answers in group.items():
                thing = found.get(key)
                body = None if thing is None else msgspec.json.encode(thing)
                for answer in answers:
                    if not answer.done():
                        answer.set_result((body, moment))


def _waiting(group: Mapping[Any, _Waiting]) -> _Waiting:
    """Those of a group who still wait."""
    return [answer for answers in group.values() for answer in answers if not answer.done()]
