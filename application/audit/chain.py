"""The hash chain over the command log, as docs/reference/chain.md lays it down byte by byte.

The database computes the same in the commit itself; this is the verifier's side, which trusts nothing but
the stored bytes. A command's leaf is RFC 9162's: SHA-256 of 0x00 and the record.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

import msgspec

FORMAT: Final = b"\x01"
SEVERAL_KEYS: Final = "atomic "
"""Before the digest of several keys; no key has a blank."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ChainedEvent(msgspec.Struct, frozen=True):
    """An event as it is hashed."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes


class ChainedCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command's row as it is hashed."""

    first_position: int
    position: int
    id: UUID
    tenant: str
    tenant_sequence: int
    client: str
    idempotency_key: str | None
    request_hash: bytes
    command: str
    actor: str
    reason: str
    correlation_id: str
    response: bytes
    recorded_at: datetime


def _field(value: bytes) -> bytes:
    return len(value).to_bytes(4) + value


def _int(value: int) -> bytes:
    return value.to_bytes(8, signed=True)


def digest(events: Iterable[ChainedEvent]) -> bytes:
    """SHA-256 over the framed events of one command."""
    return sha256(
        b"".join(
            _int(event.position)
            + _field(event.stream.encode())
            + _int(event.version)
            + _field(event.topic.encode())
            + _field(event.state)
            for event in events
        )
    ).digest()


def record(store: UUID, command: ChainedCommand, events_digest: bytes) -> bytes:
    """The record of a command, whose hash is its leaf."""
    microseconds = (command.recorded_at - _EPOCH) // (_EPOCH.resolution)
    fields = (
        store.bytes,
        _int(command.first_position),
        _int(command.position),
        command.id.bytes,
        command.tenant.encode(),
        _int(command.tenant_sequence),
        command.client.encode(),
        (command.idempotency_key or "").encode(),
        command.request_hash,
        command.command.encode(),
        command.actor.encode(),
        command.reason.encode(),
        command.correlation_id.encode(),
        sha256(command.response).digest(),
        _int(microseconds),
        events_digest,
    )
    return FORMAT + b"".join(_field(field) for field in fields)


def chained_key(keys: Sequence[str]) -> str | None:
    """What stands in a command's row for its idempotency keys: none, the only one, or the digest of several."""
    if len(keys) > 1:
        return SEVERAL_KEYS + sha256("\n".join(keys).encode()).hexdigest()
    return keys[0] if keys else None


def leaf(store: UUID, command: ChainedCommand, events: Iterable[ChainedEvent]) -> bytes:
    """The leaf hash of a command with its events."""
    return sha256(b"\x00" + record(store, command, digest(events))).digest()


def commit_hash(number: int, previous_hash: bytes, leaves: Sequence[bytes]) -> bytes:
    """The hash of a commit: over its number, the hash before it, and its leaves in order."""
    return sha256(b"\x02" + _int(number) + previous_hash + b"".join(leaves)).digest()


def genesis(store: UUID) -> bytes:
    """The hash before the first commit."""
    return sha256(store.bytes).digest()
