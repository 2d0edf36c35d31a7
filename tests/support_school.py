"""A writer on a store of one's choice, and commands given to it in plain words."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from application.command import Envelope, Outcome
from application.commands import COMMANDS
from application.ports import EventStore
from application.writer import Writer
from domain.ids import uuid7
from domain.receipt import ReceiptSigner

SIGNER = ReceiptSigner(key_id="k1", key=bytes(32), public_url="http://127.0.0.1:8000")


def envelope(action: str, *, tenant: str = "greenhill", key: str | None = None, client: str = "TILL", **fields: Any) -> Envelope:
    """A command of `action` with `fields`, from an operator (no credential is checked)."""
    dry_run = fields.pop("dry_run", False)
    spec = COMMANDS[action]
    return Envelope(
        spec=spec,
        command=msgspec.convert(fields, spec.type),
        command_id=uuid7(time.time_ns() // 1_000_000, os.urandom(10)),
        tenant=tenant,
        client=client,
        actor=client,
        idempotency_key=key,
        dry_run=dry_run,
    )


def answer(outcome: Outcome) -> Any:
    return msgspec.json.decode(outcome.response)


class School:
    """A registered tenant on a writer: `await school.do("wallet.open", …)` returns the answer."""

    def __init__(self, writer: Writer, tenant: str = "greenhill") -> None:
        self.writer = writer
        self.tenant = tenant

    async def outcome(self, action: str, **fields: Any) -> Outcome:
        return await self.writer.submit(envelope(action, tenant=self.tenant, **fields))

    async def do(self, action: str, **fields: Any) -> Any:
        return answer(await self.outcome(action, **fields))


@asynccontextmanager
async def running_school(
    store: EventStore, *, tenant: str = "greenhill", country: str = "KE", **options: Any
) -> AsyncIterator[School]:
    """A school registered on a store, by a writer that is closed afterwards."""
    writer = Writer(store, receipts=SIGNER, **options)
    writer.start()
    school = School(writer, tenant)
    try:
        await school.do("tenant.register", country=country, legal_name="Greenhill Academy")
        yield school
    finally:
        await writer.close()
