"""How far the projections are, and waiting for them: woken by the projector, never answered stale."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import psycopg
import structlog

from api.errors import ApiError
from domain.errors import Code

WAIT_SECONDS: Final = 5.0
LITTLE_SECONDS: Final = 0.25
_log = structlog.get_logger("api")


class ProjectedPosition:
    """Follows the projector's notifications on a connection of its own, and reconnects when it is lost.

    `keys_changed` is called when keys or features changed, `listening` with whether such news arrive.
    """

    def __init__(
        self, reader_url: str, *, keys_changed: Callable[[], None], listening: Callable[[bool], None]
    ) -> None:
        self._url = reader_url
        self._keys_changed = keys_changed
        self._listening = listening
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self.position = 0

    def start(self) -> None:
        """Begin to follow; call it on the running event loop."""
        self._task = asyncio.create_task(self._follow(), name="projected position")

    async def close(self) -> None:
        """Stop following."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def wait_for(self, position: int) -> None:
        """Return once the projections have reached a position. Raises `ApiError` (`unavailable`) if too late."""
        if position <= self.position:
            return
        try:
            await self._wait(position, WAIT_SECONDS)
        except TimeoutError:
            raise ApiError(
                Code.UNAVAILABLE, f"The projections are at {self.position}, not yet at {position}."
            ) from None

    async def _wait(self, position: int, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((position, future))
        try:
            await asyncio.wait_for(future, seconds)
        finally:
            self._waiters = [waiter for waiter in self._waiters if waiter[1] is not future]

    async def wait_a_little(self, position: int) -> None:
        """Return once the projections have reached a position, or are too far behind to wait for."""
        if position > self.position:
            with contextlib.suppress(TimeoutError):
                await self._wait(position, LITTLE_SECONDS)

    def _reached(self, position: int) -> None:
        self.position = max(self.position, position)
        for wanted, future in self._waiters:
            if wanted <= self.position and not future.done():
                future.set_result(None)

    async def _follow(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, TimeoutError) as error:
                _log.warning("listener lost", error=type(error).__name__)
            finally:
                self._listening(False)
            await asyncio.sleep(0.2)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=2)
        async with connection:
            await connection.execute("LISTEN bursar_projected")
            await connection.execute("LISTEN bursar_keys")
            # What changed before we listened was not announced to us.
            self._keys_changed()
            self._listening(True)
            while True:
                async with asyncio.timeout(WAIT_SECONDS):
                    cursor = await connection.execute("SELECT min(position) FROM projection_positions")
                    row = await cursor.fetchone()
                self._reached(0 if row is None else int(row[0] or 0))
                # Ends after a second, so that a notification lost costs a waiter no more than that.
                async for notify in connection.notifies(timeout=1.0):
                    if notify.channel == "bursar_keys":
                        self._keys_changed()
                    else:
                        self._reached(int(notify.payload))
