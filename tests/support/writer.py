"""A writer on a store of one's choice, and commands given to it in plain words."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from application.commands import COMMANDS
from application.pipeline.command import CommandSpec, Envelope, Outcome
from application.pipeline.ports import EventStore
from application.pipeline.writer import Writer
from domain.ids import uuid7
from domain.receipt import ReceiptSigner

SIGNER = ReceiptSigner(key_id="k1", key=bytes(32), page_url="http://127.0.0.1:8000/v2/finance/receipts")


def new_id() -> str:
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def envelope(
    action: str,
    *,
    tenant: str = "greenhill",
    key: str | None = None,
    sender: str = "TILL",
    spec: CommandSpec | None = None,
    dry_run: bool = False,
    reason: str = "",
    credential: str | None = None,
    **fields: Any,
) -> Envelope:
    """A command of `action` with `fields`; without a credential it is an operator's.

    The reason is that of the command where it has one, else the request's.
    """
    spec = spec or COMMANDS[action]
    if "reason" in spec.command_type.__struct_fields__:
        fields["reason"], reason = reason, ""
    return Envelope(
        spec=spec,
        command=msgspec.convert(fields, spec.command_type),
        command_id=new_id(),
        tenant=tenant,
        client=sender,
        actor=sender,
        idempotency_keys=(key,) if key else (),
        credential=credential,
        reason=reason,
        dry_run=dry_run,
    )


def top_up(account: str = "STU-1", amount: int = 100, **options: Any) -> Envelope:
    """A top-up by cash."""
    return envelope(
        "wallet.top_up", account=account, amount=amount, currency="KES", source={"type": "cash"}, **options
    )


def charge(account: str = "STU-1", amount: int = 100, **options: Any) -> Envelope:
    """A charge for a fine."""
    return envelope(
        "wallet.charge", account=account, amount=amount, currency="KES", description="Fine", **options
    )


def answer(outcome: Outcome) -> Any:
    return msgspec.json.decode(outcome.response)


class School:
    """A tenant on a writer: `await school.do("wallet.open", …)` returns the answer."""

    def __init__(self, writer: Writer, tenant: str = "greenhill") -> None:
        self.writer = writer
        self.tenant = tenant

    async def give(self, command: Envelope) -> Outcome:
        return await self.writer.submit(command)

    async def do(self, action: str, **fields: Any) -> Any:
        return answer(await self.give(envelope(action, tenant=self.tenant, **fields)))

    async def balance(self, account: str = "STU-1") -> int:
        """The wallet's balance, by a dry run of a top-up by 1."""
        found = await self.give(top_up(account, 1, tenant=self.tenant, dry_run=True))
        return int(answer(found)["answer"]["wallet"]["balance"]) - 1


@asynccontextmanager
async def running_writer(store: EventStore, **options: Any) -> AsyncIterator[Writer]:
    """A writer on a store, closed afterwards."""
    writer = Writer(store, receipts=SIGNER, **options)
    writer.start()
    try:
        yield writer
    finally:
        await writer.close()


@asynccontextmanager
async def running_school(
    store: EventStore, *, tenant: str = "greenhill", country: str = "KE", **options: Any
) -> AsyncIterator[School]:
    """A school with the wallet STU-1, registered on a store, by a writer that is closed afterwards."""
    async with running_writer(store, **options) as writer:
        school = School(writer, tenant)
        await school.do("tenant.register", country=country, legal_name="Greenhill Academy")
        await school.do("wallet.open", account="STU-1", currency={"KE": "KES", "CA": "CAD"}[country])
        yield school
