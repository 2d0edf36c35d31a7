"""Turns of the reads that are not grouped: a few at once, and fewer while commands are written, which go first.

So the grouped reads always find a connection, and never wait behind lists and statements.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

from api.reads.grouping import LANES
from api.services import MAX_CONNECTIONS, MAX_WAITING_READS, no_more_reads

MAX_TURNS: Final = MAX_CONNECTIONS - LANES
"""So many at once: what is left of the connections is for the lanes of the grouped reads."""
MAX_TURNS_BESIDE_COMMANDS: Final = 3
"""So many while commands are written: reads go on, and leave them the processor."""
MAX_WAIT_SECONDS: Final = 10.0


class Turns:
    """Gives turns in the order in which they are asked for. `is_busy` tells whether commands are being written."""

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        self._is_busy = is_busy
        self._reading = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Have a turn for the block. Raises `ApiError` (`unavailable`) where too many wait, or it comes too late."""
        if len(self._waiting) >= MAX_WAITING_READS:
            raise no_more_reads()
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(asked)
        self._call()
        try:
            try:
                async with asyncio.timeout(MAX_WAIT_SECONDS):
                    await asked
            except TimeoutError:
                raise no_more_reads() from None
            yield
        finally:
            if asked.done() and not asked.cancelled():
                self._reading -= 1
                self._call()
            elif asked in self._waiting:
                self._waiting.remove(asked)

    def _call(self) -> None:
        """Give what turns there are."""
        most = MAX_TURNS_BESIDE_COMMANDS if self._is_busy() else MAX_TURNS
        while self._waiting and self._reading < most:
            asked = self._waiting.popleft()
            if not asked.done():  # else it was given up
                asked.set_result(None)
                self._reading += 1
