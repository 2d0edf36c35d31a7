"""How far the projections are, and waiting for them: woken by the projector, never answered stale."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import psycopg
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from api.errors import ApiError
from domain.errors import Code
from projections.engine.registry import REFLECTED

WAIT_SECONDS: Final = 5.0
LITTLE_SECONDS: Final = 0.25
MIN_RETRY_SECONDS: Final = 0.2
MAX_RETRY_SECONDS: Final = 1.0
"""A listener that was lost is back soon after its database: until then waiting reads are not woken."""

_log = structlog.get_logger(__name__)


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
        """Listen, and begin again after a loss: soon at first, then more seldom, and at random, as workers do."""
        attempts = AsyncRetrying(
            retry=retry_if_exception_type((psycopg.Error, TimeoutError)),
            wait=wait_random_exponential(multiplier=MIN_RETRY_SECONDS, max=MAX_RETRY_SECONDS),
            before_sleep=_log_loss,
        )
        async for attempt in attempts:
            with attempt:
                try:
                    await self._listen(attempt.retry_state)
                finally:
                    self._listening(False)

    async def _listen(self, state: RetryCallState) -> None:
        """Follow on one connection until it is lost; once it follows, the next loss counts as the first."""
        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=2)
        async with connection:
            await connection.execute("LISTEN bursar_projected")
            await connection.execute("LISTEN bursar_keys")
            # What changed before we listened was not announced to us.
            self._keys_changed()
            self._listening(True)
            while True:
                async with asyncio.timeout(WAIT_SECONDS):
                    cursor = await connection.execute(REFLECTED)
                    row = await cursor.fetchone()
                assert row is not None
                self._reached(row[0])
                state.attempt_number = 1
                # Ends after a second, so that a notification lost costs a waiter no more than that.
                async for notify in connection.notifies(timeout=1.0):
                    if notify.channel == "bursar_keys":
                        self._keys_changed()
                    else:
                        self._reached(int(notify.payload))


def _log_loss(state: RetryCallState) -> None:
    assert state.outcome is not None
    error = state.outcome.exception()
    _log.warning("interrupted", worker="listener", attempt=state.attempt_number, error=repr(error))
