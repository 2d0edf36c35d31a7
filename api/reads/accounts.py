"""Ledger accounts, their totals and their entries."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from fastapi import Query, Request
from fastapi.responses import Response

from api.errors import shown
from api.reads.parameters import PageParameters, name
from api.reads.reader import OneRead, Reader
from api.services import Connection
from domain.capability import Capability
from domain.errors import Code
from projections.engine.reading import Page
from projections.views import ledger


class Accounts(msgspec.Struct, frozen=True):
    """The trial balance."""

    data: list[ledger.Account]


async def _chart(connection: Connection, keys: Sequence[str]) -> Mapping[str, Accounts]:
    return dict.fromkeys(keys, Accounts(await ledger.accounts(connection)))


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
    async def list_entries(request: Request, code: str, page: Annotated[PageParameters, Query()]) -> Response:
        async def fetch(connection: Connection, after: int | None) -> Page[ledger.Entry, int] | None:
            if not await ledger.find(connection, [name(code)]):
                return None
            return await ledger.entries(connection, name(code), limit=page.limit, after=after)

        return await reader.page(
            request,
            Capability.ACCOUNT_READ,
            fetch,
            of=f"accounts/{name(code)}/entries",
            key=int,
            parameters=page,
            missing=(Code.ACCOUNT_NOT_FOUND, f"There is no account {shown(code)}."),
        )
