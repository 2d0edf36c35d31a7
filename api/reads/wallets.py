"""Wallets and their statements."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from api.reads.parameters import StatementParameters, WalletParameters, name
from api.reads.reader import OneRead, Reader
from domain.capability import Capability
from domain.errors import Code
from projections.views import wallets
from projections.views.wallets import StatementKey

WALLET = OneRead(
    path="/wallets/{account}",
    capabilities=(Capability.WALLET_READ,),
    key=name,
    fetch=wallets.find,
    missing=(Code.WALLET_NOT_FOUND, "There is no wallet {}."),
)


def add(reader: Reader) -> None:
    """Add the reads of wallets."""

    @reader.routes.get("/wallets")
    async def list_wallets(request: Request, wanted: Annotated[WalletParameters, Query()]) -> Response:
        return await reader.page(
            request,
            Capability.WALLET_READ,
            lambda connection, after: wallets.wallets(
                connection,
                payer=wanted.payer,
                status=wanted.status,
                min_balance=wanted.min_balance,
                max_balance=wanted.max_balance,
                limit=wanted.limit,
                after=after,
            ),
            of="wallets",
            key=str,
            parameters=wanted,
        )

    reader.add_one(WALLET)

    @reader.routes.get("/statements")
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
