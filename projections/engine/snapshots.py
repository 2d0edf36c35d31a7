"""Snapshots of long streams, so that whoever folds one starts near its end. Never a source of truth.

They are taken by the projector between its batches, a bounded step at a time, so that a stream of millions of
events does not hold up the read tables.
"""

from typing import Any, Final

import msgspec
import psycopg

from domain.aggregates import AGGREGATES, apply, decode, initial, kind_of
from domain.event import State

SNAPSHOT_FORMAT: Final = 5
"""Changes with the shape of any state. A snapshot of another format is as good as none."""

INTERVAL: Final = 2_000
"""A stream is due when it passes a multiple of so many events: known from the event alone, without a count."""

_STEP_EVENTS: Final = 5_000  # some tens of milliseconds

_LOAD: Final = "SELECT state FROM snapshots WHERE originator_id = %s AND format = %s"
_TAIL: Final = """
SELECT topic, state, notification_id FROM events
WHERE originator_id = %s AND originator_version > %s ORDER BY originator_version LIMIT %s
"""
# Of two that race, the longer fold stays; one of another format always goes.
_STORE: Final = """
INSERT INTO snapshots (originator_id, originator_version, position, format, state)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (originator_id) DO UPDATE SET originator_version = excluded.originator_version,
    position = excluded.position, format = excluded.format, state = excluded.state
WHERE snapshots.format <> excluded.format OR snapshots.originator_version < excluded.originator_version
"""


def encode_state(state: State) -> bytes:
    """The stored form of a folded state."""
    return msgspec.json.encode(state)


def decode_state(stream: str, stored_bytes: bytes) -> State:
    """The state of `stream`. The bytes must be of `SNAPSHOT_FORMAT`; else `msgspec.ValidationError` is likely."""
    return msgspec.json.decode(stored_bytes, type=AGGREGATES[kind_of(stream)][0])


def advance(connection: psycopg.Connection[Any], stream: str) -> bool:
    """Bring the snapshot of `stream` up to its end, or a step nearer; True when the end is reached.

    As bursar_projector, in autocommit. Raises `KeyError` for an event that this version does not know.
    """
    row = connection.execute(_LOAD, (stream, SNAPSHOT_FORMAT), prepare=True).fetchone()
    state = initial(stream) if row is None else decode_state(stream, row[0])
    tail = connection.execute(_TAIL, (stream, state.version, _STEP_EVENTS), prepare=True).fetchall()
    for topic, stored, _ in tail:
        apply(state, decode(topic, stored))
    if tail:
        connection.execute(
            _STORE, (stream, state.version, tail[-1][2], SNAPSHOT_FORMAT, encode_state(state)), prepare=True
        )
    return len(tail) < _STEP_EVENTS
