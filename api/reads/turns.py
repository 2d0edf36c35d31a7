"""Turns of the reads that are not grouped: so few at once that the grouped ones never wait behind them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from api.reads.grouping import LANES
from api.services import MAX_CONNECTIONS, MAX_WAITING_READS, no_more_reads

MAX_TURNS: Final = MAX_CONNECTIONS - LANES
"""So many at once: what is left of the connections is for the lanes of the grouped reads."""
MAX_WAIT_SECONDS: Final = 5.0


class Turns:
    """Gives turns in the order in which they are asked for."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MAX_TURNS)
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Have a turn for the block. Raises `ApiError` (`unavailable`) where too many wait, or it comes too late."""
        if self._waiting >= MAX_WAITING_READS:
            raise no_more_reads()
        self._waiting += 1
        try:
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise no_more_reads() from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
