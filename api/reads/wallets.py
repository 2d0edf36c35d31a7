"""Wallets and their statements."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.errors import shown
from api.reads.parameters import NoParameters, PageParameters, StatementParameters, name
from api.reads.reader import Reader
from domain.capability import Capability
from domain.errors import Code
from projections.views import wallets
from projections.views.wallets import StatementKey


def add(routes: APIRouter, reader: Reader) -> None:
    """Add the reads of wallets."""

    @routes.get("/wallets")
    async def list_wallets(request: Request, page: Annotated[PageParameters, Query()]) -> Response:
        return await reader.page(
            request,
            Capability.WALLET_READ,
            lambda connection, after: wallets.wallets(connection, limit=page.limit, after=after),
            of="wallets",
            key=str,
            parameters=page,
        )

    @routes.get("/wallets/{account}")
    async def read_wallet(request: Request, account: str, _: Annotated[NoParameters, Query()]) -> Response:
        return await reader.answer(
            request,
            Capability.WALLET_READ,
            lambda connection: wallets.wallet(connection, name(account)),
            missing=(Code.WALLET_NOT_FOUND, f"There is no wallet {shown(account)}."),
        )

    @routes.get("/statements")
    async def read_statement(request: Request, wanted: Annotated[StatementParameters, Query()]) -> Response:
        return await reader.page(
            request,
            Capability.STATEMENT_READ,
            lambda connection, after: wallets.statement(
                connection,
                wanted.account,
                first=wanted.from_,
                last=wanted.to,
                limit=wanted.limit,
                after=after,
            ),
            of="statements",
            key=StatementKey,
            parameters=wanted,
            missing=(Code.WALLET_NOT_FOUND, f"There is no wallet {wanted.account}."),
        )
