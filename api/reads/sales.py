"""Sales."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.errors import shown
from api.reads.parameters import NoParameters, uuid
from api.reads.reader import Reader
from domain.capability import Capability
from domain.errors import Code
from projections.views import sales


def add(routes: APIRouter, reader: Reader) -> None:
    """Add the reads of sales."""

    @routes.get("/sales/{sale}")
    async def read_sale(request: Request, sale: str, _: Annotated[NoParameters, Query()]) -> Response:
        return await reader.answer(
            request,
            Capability.STATEMENT_READ,
            lambda connection: sales.sale(connection, uuid(sale)),
            missing=(Code.SALE_NOT_FOUND, f"There is no sale {shown(sale)}."),
        )
