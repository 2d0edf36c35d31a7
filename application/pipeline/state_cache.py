"""The log as a process knows it: how far, and the states of the streams that it has needed."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from application.pipeline.ports import EventStore, LoggedEvent, Tail
from application.pipeline.records import is_record, load_record
from domain.aggregates import advance
from domain.event import State

MAX_CACHED_BYTES: Final = 200_000_000
_OBJECT_BYTES: Final = 6
"""What a byte of an encoded state takes in memory at most: 3.5 measured for a wallet, 5.5 where it moved every day."""

_WEIGHED_EVERY: Final = 16
"""A state is weighed when it comes, and after so many events: what it holds grows slowly after its first one."""


class StateCache:
    """States as of `position`, the last one that the process knows of; -1 before it has looked.

    `recorded_at` is the time recorded last. The states that changed least recently go first.
    """

    def __init__(self, store: EventStore, *, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._bytes = 0
        self._weights: dict[str, int] = {}
        self._encoded = bytearray()
        self._encoder = msgspec.msgpack.Encoder()
        # Not a dict, in which the first one is found behind all that were ever dropped.
        self.states: OrderedDict[str, State] = OrderedDict()
        self.records: dict[str, Sequence[LoggedEvent]] = {}
        """Transactions of the past, by `record_name`, for the batch that asked for them."""
        self.position = -1
        self.recorded_at = datetime.min.replace(tzinfo=UTC)

    async def begin(self) -> None:
        """Look where the log ends, where that is not known. Raises `StoreUnavailableError`."""
        if self.position < 0:
            head = await self._store.head()
            self.position, self.recorded_at = head.position, head.recorded_at

    async def load(self, names: Iterable[str]) -> None:
        """Load those states and records that are missing. Raises `StoreUnavailableError`."""
        missing = [name for name in set(names) if name not in self.states and name not in self.records]
        if not missing:
            return
        streams = [name for name in missing if not is_record(name)]
        if streams:
            self.take_over(await self._store.load(streams, at=self.position))
        for name in missing:
            if is_record(name):
                self.records[name] = await load_record(self._store, name)

    def take_over(self, changed: Mapping[str, State]) -> None:
        """Keep states as a durable batch made them, or as they were loaded."""
        for stream, state in changed.items():
            self.states.pop(stream, None)
            self.states[stream] = state
            if stream not in self._weights or state.version % _WEIGHED_EVERY == 0:
                self._weigh(stream, state)

    def _weigh(self, stream: str, state: State) -> None:
        self._encoder.encode_into(state, self._encoded)
        weight = _OBJECT_BYTES * len(self._encoded)
        self._bytes += weight - self._weights.get(stream, 0)
        self._weights[stream] = weight

    def catch_up(self, tail: Tail) -> None:
        """Apply what others wrote; where that is too much, begin anew at the head."""
        # What there was never changes; what there was not, others may have written.
        self.records = {name: record for name, record in self.records.items() if record}
        self.position, self.recorded_at = tail.head.position, tail.head.recorded_at
        if tail.events is None:
            self._clear()
            return
        changed: dict[str, State] = {}
        for event in tail.events:
            state = self.states.get(event.stream)
            if state is not None:
                assert state.version == event.version - 1, event.stream
                self.states[event.stream] = changed[event.stream] = advance(state, event.topic, event.state)
        self.take_over(changed)

    def forget(self) -> None:
        """Drop everything: what is durable is no longer certain."""
        self._clear()
        self.position = -1

    def trim(self) -> None:
        """Drop what is beyond the limit. Not within a batch, whose streams must stay."""
        self.records.clear()
        while self._bytes > self._max_bytes:
            stream, _ = self.states.popitem(last=False)
            self._bytes -= self._weights.pop(stream)

    def _clear(self) -> None:
        self.states.clear()
        self.records.clear()
        self._weights.clear()
        self._bytes = 0
