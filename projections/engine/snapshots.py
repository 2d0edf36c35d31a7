"""Snapshots of long streams, so that whoever folds one starts near its end. Never a source of truth.

They are taken by the projector between its batches, a bounded step at a time, so that a stream of millions of
events does not hold up the read tables. Each is sealed with a key of the processes, for one store and its epoch:
whoever writes one into the database without it has written nothing, and neither has who brings one of another store,
or of a time line that a restore gave up.
"""

import hmac
from hashlib import sha256
from typing import Any, Final

import msgspec
import psycopg

from domain.aggregates import AGGREGATES, apply, decode, initial, kind_of
from domain.event import State

INTERVAL: Final = 2_000
"""A stream is due when it passes a multiple of so many events: known from the event alone, without a count."""

_STEP_EVENTS: Final = 5_000  # some tens of milliseconds

IDENTITY: Final = "SELECT id::text, epoch FROM store"
_COLUMNS: Final = "originator_id, originator_version, position, format, state, seal"
_LOAD: Final = f"SELECT {_COLUMNS} FROM snapshots WHERE originator_id = %s"  # noqa: S608  names from above
_ALL: Final = f"SELECT {_COLUMNS} FROM snapshots ORDER BY originator_id"  # noqa: S608  the same
_TAIL: Final = """
SELECT topic, state, notification_id FROM events
WHERE originator_id = %s AND originator_version > %s ORDER BY originator_version LIMIT %s
"""
# Of two that race, the longer fold stays; one that does not count always goes.
_STORE: Final = f"""
INSERT INTO snapshots ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (originator_id) DO UPDATE SET originator_version = excluded.originator_version,
    position = excluded.position, format = excluded.format, state = excluded.state, seal = excluded.seal
WHERE %s OR snapshots.originator_version < excluded.originator_version
"""  # noqa: S608  the same


class Snapshot(msgspec.Struct, frozen=True):
    """A row as it is stored, whether it counts or not."""

    stream: str
    version: int
    position: int
    format: int
    state: bytes
    seal: bytes = b""

    def state_if_genuine(self, key: bytes) -> State | None:
        """The state; None where the row has another format, or not our seal."""
        if (
            not hmac.compare_digest(self.seal, _seal(key, self))
            or self.format != FORMATS[kind_of(self.stream)]
        ):
            return None
        return decode_state(self.stream, self.state)


def _format(state_type: type[State]) -> int:
    _, schemas = msgspec.json.schema_components([state_type])
    digest = sha256(msgspec.json.encode([_REVISION, schemas], order="sorted")).digest()
    return int.from_bytes(digest[:4]) >> 1


_REVISION: Final = 1
"""Raised where a state comes to mean something else in the same shape."""
FORMATS: Final = {kind: _format(state_type) for kind, (state_type, _) in AGGREGATES.items()}
"""By kind of stream: a digest of its state's shape. A snapshot of another one is as good as none."""


def store_key(process_key: bytes, *, store: str, epoch: int) -> bytes:
    """The key that seals the snapshots of one store in one epoch: what every `key` here is."""
    return hmac.digest(process_key, msgspec.json.encode((store, epoch)), "sha256")


def _seal(key: bytes, snapshot: Snapshot) -> bytes:
    fields = (
        snapshot.stream,
        snapshot.version,
        snapshot.position,
        snapshot.format,
        sha256(snapshot.state).hexdigest(),
    )
    return hmac.digest(key, msgspec.json.encode(fields), "sha256")


def sealed(key: bytes, stream: str, state: State, *, position: int) -> Snapshot:
    """A snapshot of a stream's state as of a position."""
    plain = Snapshot(stream, state.version, position, FORMATS[kind_of(stream)], encode_state(state))
    return msgspec.structs.replace(plain, seal=_seal(key, plain))


def encode_state(state: State) -> bytes:
    """The stored form of a folded state."""
    return msgspec.json.encode(state)


def decode_state(stream: str, stored_bytes: bytes) -> State:
    """The state of `stream`. The bytes must be of its format; else `msgspec.ValidationError` is likely."""
    return msgspec.json.decode(stored_bytes, type=AGGREGATES[kind_of(stream)][0])


def advance(connection: psycopg.Connection[Any], stream: str, *, key: bytes) -> bool:
    """Bring the snapshot of `stream` up to its end, or a step nearer; True when the end is reached.

    As bursar_projector, in autocommit. Raises `KeyError` for an event that this version does not know.
    """
    row = connection.execute(_LOAD, (stream,), prepare=True).fetchone()
    genuine = None if row is None else Snapshot(*row).state_if_genuine(key)
    state = genuine or initial(stream)
    tail = connection.execute(_TAIL, (stream, state.version, _STEP_EVENTS), prepare=True).fetchall()
    for topic, stored, _ in tail:
        apply(state, decode(topic, stored))
    if tail:
        snapshot = sealed(key, stream, state, position=tail[-1][2])
        counts_not = row is not None and genuine is None
        connection.execute(_STORE, (*msgspec.structs.astuple(snapshot), counts_not), prepare=True)
    return len(tail) < _STEP_EVENTS


def stale(connection: psycopg.Connection[Any], *, key: bytes) -> list[str]:
    """The streams whose snapshots count for nothing: those of another format, and those without our seal."""
    with connection.cursor() as cursor:
        rows = [Snapshot(*row) for row in cursor.execute(_ALL)]
    streams = [row.stream for row in rows if row.state_if_genuine(key) is None]
    return [stream for stream in streams if "/" in stream and kind_of(stream) in FORMATS]
