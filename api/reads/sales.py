"""Sales."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from api.reads.parameters import SaleParameters, uuid
from api.reads.reader import OneRead, Reader
from domain.capability import Capability
from domain.errors import Code
from projections.engine.reading import DateKey
from projections.views import sales

SALE = OneRead(
    path="/sales/{sale}",
    capabilities=(Capability.STATEMENT_READ,),
    key=uuid,
    fetch=sales.find,
    missing=(Code.SALE_NOT_FOUND, "There is no sale {}."),
)


def add(reader: Reader) -> None:
    """Add the reads of sales."""

    @reader.routes.get("/sales")
    async def list_sales(request: Request, wanted: Annotated[SaleParameters, Query()]) -> Response:
        return await reader.page(
            request,
            Capability.STATEMENT_READ,
            lambda connection, after: sales.sales(
                connection,
                receipt=wanted.receipt,
                customer=wanted.customer,
                wallet=wanted.wallet,
                first=wanted.from_,
                last=wanted.to,
                limit=wanted.limit,
                after=after,
            ),
            of="sales",
            key=DateKey,
            parameters=wanted,
        )

    reader.add_one(SALE)
