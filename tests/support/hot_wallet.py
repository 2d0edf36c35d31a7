"""One of several processes that charge one wallet; started by a test."""

import asyncio
import json
import sys

from adapters.postgres.store import PostgresStore
from application.pipeline.command import Outcome
from application.pipeline.writer import Writer
from domain.errors import Code, DomainError
from tests.support.writer import SIGNER, top_up


async def hammer(writer: Writer, *, name: str, callers: int, turns: int) -> dict[str, int]:
    """Top the wallet up, each key twice; counts what was done, what was replayed, and what went wrong."""
    found = {"done": 0, "replayed": 0, "unknown": 0}

    async def caller(number: int) -> None:
        for turn in range(turns):
            key = f"{name}-{number:03}-{turn // 2:04}"
            outcome: Outcome | None = None
            while outcome is None:
                try:
                    outcome = await writer.submit(top_up(amount=1, key=key))
                except DomainError as error:
                    if error.code != Code.OUTCOME_UNKNOWN:
                        raise
                    found["unknown"] += 1
            found["replayed" if outcome.replayed else "done"] += 1

    await asyncio.gather(*(caller(number) for number in range(callers)))
    return found


async def main(url: str, name: str, callers: int, turns: int) -> None:
    writer = Writer(PostgresStore(url), receipts=SIGNER)
    writer.start()
    try:
        print(json.dumps(await hammer(writer, name=name, callers=callers, turns=turns)))
    finally:
        await writer.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
