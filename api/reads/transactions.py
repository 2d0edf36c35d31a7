"""Transactions."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from api.reads.parameters import TransactionParameters, uuid
from api.reads.reader import OneRead, Reader
from domain.capability import Capability
from domain.errors import Code
from projections.engine.reading import DateKey
from projections.views import transactions

TRANSACTION = OneRead(
    path="/transactions/{transaction}",
    capabilities=(Capability.ACCOUNT_READ,),
    key=uuid,
    fetch=transactions.find,
    missing=(Code.TRANSACTION_NOT_FOUND, "There is no transaction {}."),
)


def add(reader: Reader) -> None:
    """Add the reads of transactions."""

    @reader.routes.get("/transactions")
    async def list_transactions(
        request: Request, wanted: Annotated[TransactionParameters, Query()]
    ) -> Response:
        return await reader.page(
            request,
            Capability.ACCOUNT_READ,
            lambda connection, after: transactions.transactions(
                connection,
                account=wanted.account,
                wallet=wanted.wallet,
                action=wanted.action,
                first=wanted.from_,
                last=wanted.to,
                limit=wanted.limit,
                after=after,
            ),
            of="transactions",
            key=DateKey,
            parameters=wanted,
        )

    reader.add_one(TRANSACTION)
