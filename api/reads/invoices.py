"""Invoices."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.errors import shown
from api.reads.parameters import InvoiceParameters, NoParameters, uuid
from api.reads.reader import Reader
from domain.capability import Capability
from domain.errors import Code
from projections.views import invoices


def add(routes: APIRouter, reader: Reader) -> None:
    """Add the reads of invoices."""

    @routes.get("/invoices")
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

    @routes.get("/invoices/{invoice}")
    async def read_invoice(request: Request, invoice: str, _: Annotated[NoParameters, Query()]) -> Response:
        return await reader.answer(
            request,
            Capability.INVOICE_READ,
            lambda connection: invoices.invoice(connection, uuid(invoice)),
            missing=(Code.INVOICE_NOT_FOUND, f"There is no invoice {shown(invoice)}."),
        )
