"""The event store in memory: what the writer's own tests and the state machines of whole schools run on."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from application.pipeline.ports import (
    MAX_TAIL_EVENTS,
    AppendBatch,
    Appended,
    Head,
    Known,
    KnownKey,
    LoggedEvent,
    Moved,
    NewCommand,
    Tail,
)
from domain.aggregates import advance, initial
from domain.event import State


class MemoryLog:
    """The log itself, which several stores may share as several processes share a database."""

    def __init__(self) -> None:
        self.events: list[LoggedEvent] = []
        self.commands: list[tuple[int, NewCommand]] = []
        self.keys: dict[tuple[str, str, str], tuple[bytes, bytes, int]] = {}
        self.recorded_at = datetime(1970, 1, 1, tzinfo=UTC)
        self.lock = asyncio.Lock()
        self.turn = asyncio.Lock()


class MemoryStore:
    """One process's way to a `MemoryLog`; implements `application.pipeline.ports.EventStore`."""

    def __init__(
        self, log: MemoryLog | None = None, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.log = log or MemoryLog()
        self.now = clock
        self._locked = False
        self._has_turn = False

    async def head(self) -> Head:
        return Head(position=len(self.log.events), recorded_at=self.log.recorded_at)

    async def load(self, streams: Sequence[str], *, at: int) -> Mapping[str, State]:
        states = {stream: initial(stream) for stream in streams}
        for event in self.log.events[:at]:
            if event.stream in states:
                states[event.stream] = advance(states[event.stream], event.topic, event.state)
        return states

    async def append(self, batch: AppendBatch) -> Appended | Moved | Known:
        if not self._locked:
            await self._take_lock()
        try:
            return self._append(batch)
        finally:
            await self.unlock()

    def _append(self, batch: AppendBatch) -> Appended | Moved | Known:
        log = self.log
        if len(log.events) != batch.decided_at:
            return Moved(len(log.events))
        known = [KnownKey(i, *log.keys[key]) for i, key in enumerate(batch.keys) if key in log.keys]
        if known:
            return Known(known)
        assert batch.recorded_at >= log.recorded_at
        for command in batch.commands:
            assert command.events
            log.events.extend(command.events)
            position = len(log.events)
            log.commands.append((position, command))
            log.recorded_at = batch.recorded_at
            for idempotency_key in command.idempotency_keys:
                key = (command.tenant, command.client, idempotency_key)
                assert key not in log.keys
                log.keys[key] = (command.request_hash, command.response, position)
        return Appended(len(log.events))

    async def lock(self, *, after: int) -> Tail:
        await self._take_lock()
        events = self.log.events[after:]
        return Tail(await self.head(), None if len(events) > MAX_TAIL_EVENTS else events)

    async def _take_lock(self) -> None:
        await self.log.lock.acquire()
        self._locked = True

    async def take_turn(self) -> bool:
        try:
            async with asyncio.timeout(0.3):
                await self.log.turn.acquire()
        except TimeoutError:
            return False
        self._has_turn = True
        return True

    async def end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self.log.turn.release()

    async def unlock(self) -> None:
        if self._locked:
            self._locked = False
            self.log.lock.release()

    async def find(self, command_ids: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
        wanted = set(command_ids)
        return {
            command.id: (position, command.response)
            for position, command in self.log.commands
            if command.id in wanted
        }

    async def events_of(self, command_id: str, *, tenant: str) -> Sequence[LoggedEvent]:
        commands = [command for _, command in self.log.commands if command.id == command_id]
        return [event for command in commands if command.tenant == tenant for event in command.events]

    async def close(self) -> None:
        await self.unlock()
        await self.end_turn()
