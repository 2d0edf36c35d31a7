"""Folded states as stored in snapshots, so that a cold start on a long stream stays fast."""

from typing import Final

import msgspec

from domain.aggregates import AGGREGATES, kind_of
from domain.event import State

SNAPSHOT_FORMAT: Final = 1
"""Changes with the shape of any state, and so leaves older snapshots unused."""

_encoder = msgspec.json.Encoder()
_decoders = {kind: msgspec.json.Decoder(state) for kind, (state, _) in AGGREGATES.items()}


def encode(state: State) -> bytes:
    """The stored form of a state."""
    return _encoder.encode(state)


def decode(stream: str, stored: bytes) -> State:
    """Load the state of a stream. Raises `msgspec.ValidationError` for another format's bytes."""
    return _decoders[kind_of(stream)].decode(stored)
