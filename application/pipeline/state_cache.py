"""The log as a process knows it: how far, and the states of the streams that it has needed."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from application.pipeline.ports import EventStore, Tail
from domain.aggregates import advance
from domain.event import State

MAX_CACHED_STATES: Final = 100_000


class StateCache:
    """States as of `position`, the last one that the process knows of; -1 before it has looked.

    `recorded_at` is the time recorded last. The states that changed least recently go first.
    """

    def __init__(self, store: EventStore, *, max_states: int = MAX_CACHED_STATES) -> None:
        self._store = store
        self._max_states = max_states
        self.states: dict[str, State] = {}
        self.position = -1
        self.recorded_at = datetime.min.replace(tzinfo=UTC)

    async def begin(self) -> None:
        """Look where the log ends, where that is not known. Raises `StoreUnavailableError`."""
        if self.position < 0:
            head = await self._store.head()
            self.position, self.recorded_at = head.position, head.recorded_at

    async def load(self, streams: Iterable[str]) -> None:
        """Load those states that are missing. Raises `StoreUnavailableError`."""
        missing = [stream for stream in set(streams) if stream not in self.states]
        if missing:
            self.states.update(await self._store.load(missing, at=self.position))

    def take_over(self, changed: Mapping[str, State]) -> None:
        """Replace states by what a durable batch made of them."""
        for stream, state in changed.items():
            self.states.pop(stream, None)
            self.states[stream] = state

    def catch_up(self, tail: Tail) -> None:
        """Apply what others wrote; where that is too much, begin anew at the head."""
        self.position, self.recorded_at = tail.head.position, tail.head.recorded_at
        if tail.events is None:
            self.states.clear()
            return
        for event in tail.events:
            state = self.states.get(event.stream)
            if state is not None:
                assert state.version == event.version - 1, event.stream
                self.states[event.stream] = advance(state, event.topic, event.state)

    def forget(self) -> None:
        """Drop everything: what is durable is no longer certain."""
        self.states.clear()
        self.position = -1

    def trim(self) -> None:
        """Drop what is beyond the limit. Not within a batch, whose streams must stay."""
        while len(self.states) > self._max_states:
            del self.states[next(iter(self.states))]
