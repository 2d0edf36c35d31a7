"""What became of a batch whose commit lost its connection."""

import asyncio
from collections.abc import Sequence
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from application.pipeline.command import Outcome
from application.pipeline.pending import Pending, refuse_all
from application.pipeline.ports import EventStore, OutcomeUnknownError, StoreUnavailableError
from domain.errors import Code, DomainError

MAX_RECOVERY_SECONDS: Final = 5.0
"""How long callers wait for the fate of a commit whose connection broke, before they hear `outcome_unknown`."""
MAX_BREAKS: Final = 3
"""How often a command is decided again after its commit lost the connection and was found not to exist."""

_MAX_PAUSE_SECONDS: Final = 0.5
_NO_TAIL: Final = 2**62
"""Behind it nothing was written that would be read under the lock."""


async def recover(batch: Sequence[Pending], store: EventStore) -> list[Pending]:
    """Answer the commands that were written, and return those to be decided again.

    The look-up takes the lock first: until the lost connection's backend has ended, its commit may still come,
    and it holds the lock as long as it may.
    """
    ids = [pending.envelope.command_id for pending in batch]
    attempts = AsyncRetrying(
        retry=retry_if_exception_type((StoreUnavailableError, OutcomeUnknownError)),
        wait=wait_random_exponential(multiplier=0.1, max=_MAX_PAUSE_SECONDS),
        sleep=asyncio.sleep,
    )

    async def look_up() -> dict[str, tuple[int, bytes]]:
        await store.lock(after=_NO_TAIL)
        written = await store.find(ids)
        await store.unlock()
        return dict(written)

    try:
        async with asyncio.timeout(MAX_RECOVERY_SECONDS):
            written: dict[str, tuple[int, bytes]] = await attempts(look_up)
    except TimeoutError:
        await store.close()
        refuse_all(
            batch,
            DomainError(
                Code.OUTCOME_UNKNOWN, "The database broke off during the commit; ask again with the same key."
            ),
        )
        return []
    remaining: list[Pending] = []
    for pending in batch:
        if pending.envelope.command_id in written:
            position, response = written[pending.envelope.command_id]
            pending.answer(Outcome(position=position, response=response))
            continue
        pending.breaks += 1
        if pending.breaks < MAX_BREAKS:
            remaining.append(pending)
        else:
            pending.refuse(
                DomainError(
                    Code.OUTCOME_UNKNOWN,
                    "The database breaks off again and again; ask again with the same key.",
                )
            )
    return remaining
