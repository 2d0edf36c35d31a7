"""A command that waits for its outcome."""

import asyncio
from collections.abc import Sequence

import msgspec

from application.pipeline.command import Envelope, Outcome


class Pending:
    """A command and its caller's future; `followers` sent the same key and body in the same batch.

    `keys` are those under which it acts, by tenant, client and idempotency key. `size` is how many commands it is that
    commit together. `breaks` counts how often its commit lost the connection.
    """

    __slots__ = ("breaks", "envelope", "followers", "future", "keys", "request_hash", "size")

    def __init__(self, envelope: Envelope, future: asyncio.Future[Outcome]) -> None:
        self.envelope = envelope
        self.future = future
        self.breaks = 0
        keys = () if envelope.dry_run else envelope.idempotency_keys
        self.keys = [(envelope.tenant, envelope.client, key) for key in keys]
        self.size = len(self.keys) or 1
        self.request_hash = envelope.request_hash()
        self.followers: list[asyncio.Future[Outcome]] = []

    def is_repeated_by(self, other: "Pending") -> bool:
        """Whether another command under one of the same keys is this one again, and may share its outcome."""
        return (
            self.request_hash == other.request_hash and self.envelope.credential == other.envelope.credential
        )

    def answer(self, outcome: Outcome) -> None:
        """Tell everybody that it is done."""
        if not self.future.done():
            self.future.set_result(outcome)
        for future in self.followers:
            if not future.done():
                future.set_result(msgspec.structs.replace(outcome, replayed=True))

    def refuse(self, error: Exception) -> None:
        """Tell everybody that it is not."""
        for future in (self.future, *self.followers):
            if not future.done():
                future.set_exception(error)


def refuse_all(batch: Sequence[Pending], error: Exception) -> None:
    """Tell everybody in a batch that nothing is done."""
    for pending in batch:
        pending.refuse(error)
