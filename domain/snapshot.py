"""Snapshots: the stored form of a folded state, so that a long stream loads fast. Never a source of truth."""

from typing import Final

import msgspec

from domain.aggregates import AGGREGATES, kind_of
from domain.event import State

SNAPSHOT_FORMAT: Final = 1
"""Changes with the shape of any state. A snapshot of another format is as good as none."""


def encode(state: State) -> bytes:
    """The stored form."""
    return msgspec.json.encode(state)


def decode(stream: str, stored_bytes: bytes) -> State:
    """The state of `stream`. The bytes must be of `SNAPSHOT_FORMAT`; else `msgspec.ValidationError` is likely."""
    return msgspec.json.decode(stored_bytes, type=AGGREGATES[kind_of(stream)][0])
