"""Ledger accounts, their totals and their entries."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.errors import shown
from api.reads.parameters import NoParameters, PageParameters, name
from api.reads.reader import Missing, Reader
from api.services import Connection
from domain.capability import Capability
from domain.errors import Code
from projections.engine.reading import Page
from projections.views import ledger


class Accounts(msgspec.Struct, frozen=True):
    """The trial balance."""

    data: list[ledger.Account]


def add(routes: APIRouter, reader: Reader) -> None:
    """Add the reads of ledger accounts."""

    @routes.get("/accounts")
    async def list_accounts(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
        async def fetch(connection: Connection) -> Accounts:
            return Accounts(await ledger.accounts(connection))

        return await reader.answer(request, Capability.ACCOUNT_READ, fetch)

    @routes.get("/accounts/{code}/balance")
    async def read_balance(request: Request, code: str, _: Annotated[NoParameters, Query()]) -> Response:
        return await reader.answer(
            request,
            Capability.ACCOUNT_READ,
            lambda connection: ledger.account(connection, name(code)),
            missing=_missing(code),
        )

    @routes.get("/accounts/{code}/entries")
    async def list_entries(request: Request, code: str, page: Annotated[PageParameters, Query()]) -> Response:
        async def fetch(connection: Connection, after: int | None) -> Page[ledger.Entry, int] | None:
            if await ledger.account(connection, name(code)) is None:
                return None
            return await ledger.entries(connection, name(code), limit=page.limit, after=after)

        return await reader.page(
            request,
            Capability.ACCOUNT_READ,
            fetch,
            of=f"accounts/{name(code)}/entries",
            key=int,
            parameters=page,
            missing=_missing(code),
        )


def _missing(code: str) -> Missing:
    return Code.ACCOUNT_NOT_FOUND, f"There is no account {shown(code)}."
