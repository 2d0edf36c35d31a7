"""The port of the event store. PostgreSQL implements it, and the in-memory store of the tests."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

import msgspec

from domain.event import State

MAX_TAIL_EVENTS: Final = 10_000
"""A process that is further behind starts at the head with an empty cache, rather than read it all under the lock."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The end of the log: its last position, and the time recorded with it (UTC)."""

    position: int
    recorded_at: datetime


class LoggedEvent(msgspec.Struct, frozen=True):
    """An event as stored."""

    stream: str
    version: int
    topic: str
    state: bytes


class NewCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A decided command: its row of the command log, and its events in order.

    It has several idempotency keys where it is many that commit together.
    """

    id: str
    tenant: str
    client: str
    idempotency_keys: tuple[str, ...]
    request_hash: bytes
    action: str
    actor: str
    reason: str
    correlation_id: str
    trace_id: str
    response: bytes
    events: Sequence[LoggedEvent]


class AppendBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided at a position. `keys` holds (tenant, client, key) of rejected commands too."""

    decided_at: int
    recorded_at: datetime
    keys: Sequence[tuple[str, str, str]]
    commands: Sequence[NewCommand]


class Appended(msgspec.Struct, frozen=True):
    """All of the batch is durable; the head is at `position`."""

    position: int


class Moved(msgspec.Struct, frozen=True):
    """Somebody else wrote since, or it was decided by a wrong clock, which is set now: nothing of it was written."""

    position: int


class KnownKey(msgspec.Struct, frozen=True):
    """A key of the batch (by its place in `keys`) that has its answer already."""

    index: int
    request_hash: bytes
    response: bytes
    position: int


class Known(msgspec.Struct, frozen=True):
    """Keys that have their answers already: nothing of the batch was written."""

    keys: Sequence[KnownKey]


class Tail(msgspec.Struct, frozen=True):
    """The head, locked, and the events after the position asked for; None where there are too many."""

    head: Head
    events: Sequence[LoggedEvent] | None


class StoreUnavailableError(Exception):
    """The store did not do it: nothing was written."""


class BehindError(Exception):
    """A stream is kept only as of a later position than was asked for: the process must catch up first."""


class OutcomeUnknownError(Exception):
    """The connection broke while a batch was being committed: it is written whole, or not at all."""


class ContentRefusedError(Exception):
    """The store refuses what one of the batch's commands holds: nothing was written."""


class EventStore(Protocol):
    """The log, as the one writer task of a process uses it. Not for concurrent use."""

    def now(self) -> datetime:
        """The time (UTC) by the clock that all processes of the store share, as far as it is known."""
        ...

    async def head(self) -> Head:
        """The end of the log, read without the lock. Raises `StoreUnavailableError`."""
        ...

    async def load(self, streams: Sequence[str], *, at: int) -> Mapping[str, State]:
        """The states of all `streams` as of position `at`.

        Raises `StoreUnavailableError`, and `BehindError` where `at` lies before what a long stream would be read from.
        """
        ...

    async def append(self, batch: AppendBatch) -> Appended | Moved | Known:
        """Append a batch in one commit; after `lock`, in the one that frees the lock, whatever it answers.

        Raises `StoreUnavailableError`, `ContentRefusedError` or `OutcomeUnknownError`; a lock that was
        held is then to be freed by `unlock`.
        """
        ...

    async def lock(self, *, after: int) -> Tail:
        """Lock the head against all other writers, and read what was written after a position.

        More than `MAX_TAIL_EVENTS` events are not read.

        Raises `StoreUnavailableError`.
        """
        ...

    async def take_turn(self) -> bool:
        """Wait for the turn to write, which processes keep for some batches; false where it does not come soon.

        Nothing depends on it. Raises `StoreUnavailableError`.
        """
        ...

    async def end_turn(self) -> None:
        """Give the turn to whoever waits for it. Raises `StoreUnavailableError`."""
        ...

    async def unlock(self) -> None:
        """Free the lock, where it is held, with nothing written."""
        ...

    async def find(self, command_ids: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
        """Position and response of those commands that were written. Raises `StoreUnavailableError`."""
        ...

    async def events_of(self, command_id: str, *, tenant: str) -> Sequence[LoggedEvent]:
        """A tenant's command's events in order; none where the tenant has no such command.

        Raises `StoreUnavailableError`.
        """
        ...

    async def close(self) -> None:
        """Give up the connection."""
        ...
