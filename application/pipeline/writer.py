"""The one pipeline that owns idempotency, group commit and retry: every command of a process passes here.

The writer is a task on its process's event loop. While it waits for the store, the loop takes in the
next batch. It decides a batch against its cache of states and appends it in one call, as long as nobody
else writes; once somebody does, they write in turns of many batches each. Nobody hears "done" of what is
not durable, and nobody hears "refused" of what was decided on a stale state.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from application.pipeline.command import Envelope, Outcome
from application.pipeline.deciding import Decided, decide, load_foreseen
from application.pipeline.pending import Pending, refuse_all
from application.pipeline.ports import (
    AppendBatch,
    Appended,
    BehindError,
    ContentRefusedError,
    EventStore,
    Known,
    KnownKey,
    Moved,
    OutcomeUnknownError,
    StoreUnavailableError,
)
from application.pipeline.queue import MAX_TENANT_COMMANDS, CommandQueue
from application.pipeline.recovery import recover
from application.pipeline.state_cache import MAX_CACHED_BYTES, StateCache
from domain.errors import Code, DomainError
from domain.receipt import ReceiptSigner

MAX_BATCH_COMMANDS: Final = 512
TURN_SECONDS: Final = 0.06
"""How long a process writes before it lets others write: it catches up with their batches once for so long."""
NO_TURNS_SECONDS: Final = 5.0
"""Where somebody hangs in his turn, or keeps it out of malice, each batch is written by the lock for so long."""
SHARED_TURNS: Final = 20
"""After so many turns in which nobody else wrote, a process writes whenever it likes."""


class Writer:
    """Submits commands to the store, each tenant's in the order in which they come."""

    def __init__(
        self,
        store: EventStore,
        *,
        receipts: ReceiptSigner,
        max_tenant_commands: int = MAX_TENANT_COMMANDS,
        max_cached_bytes: int = MAX_CACHED_BYTES,
    ) -> None:
        self._store = store
        self._receipts = receipts
        self._cache = StateCache(store, max_bytes=max_cached_bytes)
        self._queue = CommandQueue(max_tenant_commands)
        self._shared = 0
        """For how many more turns others are expected to write."""
        self._is_behind = False
        """Whether others are known to have written since the cache's position."""
        self._turn_ends: float | None = None
        """When it is somebody else's turn, by the loop's clock; None where no turn is held."""
        self._turns_after = 0.0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.is_busy = False
        """Whether commands are being written at this moment."""

    @property
    def position(self) -> int:
        """The last position that this writer knows of; -1 before the first batch."""
        return self._cache.position

    def start(self) -> None:
        """Begin to work; call it on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="writer")

    async def close(self) -> None:
        """Refuse new commands, finish those in the queue, and give up the store."""
        self._closing = True
        self._arrived.set()
        if self._task:
            await self._task
        await self._store.close()

    def submit(self, envelope: Envelope) -> asyncio.Future[Outcome]:
        """Queue a command. Its future gives the outcome, or raises `DomainError`.

        Raises `DomainError` (`unavailable`) at once where the tenant's queue is full or the writer is closing.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        pending = Pending(envelope, future)
        if self._closing or not self._queue.has_room(
            envelope.tenant, size=pending.size, bulk=pending.size > 1
        ):
            raise DomainError(Code.UNAVAILABLE, "The service takes no more commands at the moment.")
        self._queue.add(pending)
        self._arrived.set()
        return future

    async def submit_all(self, envelopes: Sequence[Envelope]) -> list[asyncio.Future[Outcome]]:
        """Queue commands in order as there is room; `unavailable` only where there is none at all."""
        futures: list[asyncio.Future[Outcome]] = []
        for envelope in envelopes:
            while futures and not self._closing and not self._queue.has_room(envelope.tenant, bulk=True):
                self._room.clear()
                await self._room.wait()
            try:
                futures.append(self.submit(envelope))
            except DomainError as error:
                if not futures:
                    raise
                refused: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
                refused.set_exception(error)
                futures.append(refused)
        return futures

    # --- the loop

    async def _run(self) -> None:
        with suppress(StoreUnavailableError):  # whoever comes first then hears of it
            await self._cache.begin()
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._arrived.clear()
                self.is_busy = False
                await self._arrived.wait()
                self.is_busy = True
                continue
            batch = self._queue.take(MAX_BATCH_COMMANDS)
            self._room.set()
            try:
                try:
                    await self._process(batch)
                    self._cache.trim()
                finally:
                    if self._turn_ends is not None and (not self._queue or _clock() > self._turn_ends):
                        await self._end_turn()
            except Exception as error:  # noqa: BLE001  passed on to every caller
                # A bug must not leave callers hanging, nor a wrong cache behind; each hears of it as a 500.
                self._cache.forget()
                refuse_all(batch, error)

    async def _process(self, batch: list[Pending]) -> None:
        try:
            await self._write(batch)
        except StoreUnavailableError as error:
            self._cache.forget()
            away = DomainError(Code.UNAVAILABLE, f"The database is away, nothing was written: {error}")
            unknown = DomainError(
                Code.OUTCOME_UNKNOWN,
                f"The database is away after it broke off: {error}; ask again with the same key.",
            )
            for pending in batch:  # what broke off once was sent, and may still be written
                pending.refuse(unknown if pending.breaks else away)
        except OutcomeUnknownError:
            self._cache.forget()
            self._shared = SHARED_TURNS
            remaining = await recover(batch, self._store)
            if remaining:
                await self._process(remaining)
        except ContentRefusedError as error:
            self._cache.forget()
            if len(batch) == 1:
                refuse_all(
                    batch, DomainError(Code.INVALID_REQUEST, f"The database refuses the content: {error}")
                )
            else:
                middle = len(batch) // 2
                await self._process(batch[:middle])
                await self._process(batch[middle:])

    async def _write(self, batch: list[Pending]) -> None:
        """Append a batch: in one call as long as nobody else writes, else in a turn that begins with the lock."""
        await self._cache.begin()
        while batch:
            if self._is_behind or (self._shared and self._turn_ends is None):
                batch = await self._append_locked(batch)
                continue
            try:
                batch = await self._append(batch)
            except BehindError:
                self._is_behind = True

    async def _append_locked(self, batch: list[Pending]) -> list[Pending]:
        """Take the turn, catch up, and append while nobody else can: who writes without turns learns so of this one."""
        if self._turn_ends is None and _clock() >= self._turns_after:
            if await self._store.take_turn():
                self._turn_ends = _clock() + TURN_SECONDS
            else:
                self._turns_after = _clock() + NO_TURNS_SECONDS
        with suppress(BehindError):  # what is loaded here, nobody waits for under the lock
            await load_foreseen(batch, self._cache)
        try:
            tail = await self._store.lock(after=self._cache.position)
            others_wrote = tail.head.position > self._cache.position
            self._shared = SHARED_TURNS if others_wrote else max(self._shared - 1, 0)
            self._cache.catch_up(tail)
            self._is_behind = False
            return await self._append(batch)
        finally:
            await self._store.unlock()

    async def _end_turn(self) -> None:
        self._turn_ends = None
        with suppress(StoreUnavailableError):  # it ended with the connection
            await self._store.end_turn()

    async def _append(self, batch: list[Pending]) -> list[Pending]:
        """Decide and append once; returns the commands that are still to be decided.

        A refused command's key goes along, and the call is made even where there is nothing to append:
        a refusal counts only if the head is where it was decided, and its key has no answer yet. A
        command that may not act at all is refused whatever its key.
        """
        decided = await decide(batch, self._cache, now=self._store.now(), receipts=self._receipts)
        denied = {id(pending) for pending in decided.denied}
        keyed = [(pending, key) for pending in batch if id(pending) not in denied for key in pending.keys]
        result = await self._store.append(
            AppendBatch(
                decided_at=self._cache.position,
                recorded_at=decided.recorded_at,
                keys=[key for _, key in keyed],
                commands=[command for _, command in decided.accepted],
            )
        )
        match result:
            case Appended(position=position):
                self._finish(decided, position)
                return []
            case Moved():
                self._is_behind = True
                return batch
            case Known(keys=known):
                for found in known:
                    _replay(*keyed[found.index], found)
                answered = {id(keyed[found.index][0]) for found in known}
                return [pending for pending in batch if id(pending) not in answered]

    def _finish(self, decided: Decided, position: int) -> None:
        """The batch is durable: take its states over, and only now tell the callers."""
        cache = self._cache
        last = cache.position
        if decided.accepted:
            cache.position, cache.recorded_at = position, decided.recorded_at
        cache.take_over(decided.overlay)
        for pending, command in decided.accepted:
            last += len(command.events)
            pending.answer(Outcome(position=last, response=command.response))
        assert last == cache.position
        for pending, response in decided.answered:
            pending.answer(Outcome(position=position, response=response))
        for pending, error in decided.refused:
            pending.refuse(error)


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _replay(pending: Pending, key: tuple[str, str, str], found: KnownKey) -> None:
    """Give the first answer to the same command; another one may not have its key."""
    if found.request_hash == pending.request_hash:
        pending.answer(Outcome(position=found.position, response=found.response, replayed=True))
        return
    refusal = DomainError(
        Code.IDEMPOTENCY_KEY_REUSED,
        f"The idempotency key was used before, by another command: the one at position {found.position}.",
        first_position=found.position,
    )
    if pending.size > 1:
        refusal.extra["element"] = pending.keys.index(key)
    pending.refuse(refusal)
