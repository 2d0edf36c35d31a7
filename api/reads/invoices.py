"""Invoices."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from api.reads.parameters import InvoiceParameters, uuid
from api.reads.reader import OneRead, Reader
from domain.capability import Capability
from domain.errors import Code
from projections.views import invoices

INVOICE = OneRead(
    path="/invoices/{invoice}",
    capabilities=(Capability.INVOICE_READ,),
    key=uuid,
    fetch=invoices.find,
    missing=(Code.INVOICE_NOT_FOUND, "There is no invoice with the id {}."),
)


def add(reader: Reader) -> None:
    """Add the reads of invoices."""

    @reader.routes.get("/invoices")
    async def list_invoices(request: Request, wanted: Annotated[InvoiceParameters, Query()]) -> Response:
        return await reader.page(
            request,
            Capability.INVOICE_READ,
            lambda connection, after: invoices.invoices(
                connection, payer=wanted.payer, status=wanted.status, limit=wanted.limit, after=after
            ),
            of="invoices",
            key=str,
            parameters=wanted,
        )

    reader.add_one(INVOICE)
