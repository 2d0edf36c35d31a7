"""Ledger accounts, their totals and their entries."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from fastapi import Query, Request
from fastapi.responses import Response

from api.errors import shown
from api.reads.parameters import DatedParameters, name
from api.reads.reader import OneRead, Reader
from api.services import Connection
from domain.capability import Capability
from domain.errors import Code
from projections.engine.reading import DateKey, Page
from projections.views import ledger


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Of all accounts together. Amounts in minor units."""

    debits: int
    credits: int


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """The trial balance: debits and credits are equal."""

    data: list[ledger.Account]
    totals: Totals


async def _chart(connection: Connection, keys: Sequence[str]) -> Mapping[str, Accounts]:
    accounts = await ledger.accounts(connection)
    totals = Totals(
        debits=sum(account.debits for account in accounts),
        credits=sum(account.credits for account in accounts),
    )
    return dict.fromkeys(keys, Accounts(data=accounts, totals=totals))


ACCOUNTS = OneRead(path="/accounts", capabilities=(Capability.ACCOUNT_READ,), fetch=_chart)
BALANCE = OneRead(
    path="/accounts/{code}/balance",
    capabilities=(Capability.ACCOUNT_READ,),
    key=name,
    fetch=ledger.find,
    missing=(Code.ACCOUNT_NOT_FOUND, "There is no account {}."),
)


def add(reader: Reader) -> None:
    """Add the reads of ledger accounts."""
    reader.add_one(ACCOUNTS)
    reader.add_one(BALANCE)

    @reader.routes.get("/accounts/{code}/entries")
    async def list_entries(
        request: Request, code: str, wanted: Annotated[DatedParameters, Query()]
    ) -> Response:
        async def fetch(connection: Connection, after: DateKey | None) -> Page[ledger.Entry, DateKey] | None:
            if not await ledger.find(connection, [name(code)]):
                return None
            return await ledger.entries(
                connection,
                name(code),
                first=wanted.from_,
                last=wanted.to,
                limit=wanted.limit,
                after=after,
            )

        return await reader.page(
            request,
            Capability.ACCOUNT_READ,
            fetch,
            of=f"accounts/{name(code)}/entries",
            key=DateKey,
            parameters=wanted,
            missing=(Code.ACCOUNT_NOT_FOUND, f"There is no account {shown(code)}."),
        )
