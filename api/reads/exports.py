"""What became of export batches."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.errors import HttpCode, shown
from api.reads.parameters import NoParameters, PageParameters, uuid
from api.reads.reader import Reader
from domain.capability import Capability
from projections.views import export_batches


def add(routes: APIRouter, reader: Reader) -> None:
    """Add the reads of export batches."""

    @routes.get("/quickbooks/exports")
    async def list_exports(request: Request, page: Annotated[PageParameters, Query()]) -> Response:
        return await reader.page(
            request,
            Capability.EXPORT_RUN,
            lambda connection, after: export_batches.export_batches(
                connection, limit=page.limit, after=after
            ),
            of="quickbooks/exports",
            key=int,
            parameters=page,
        )

    @routes.get("/quickbooks/exports/{batch}")
    async def read_export(request: Request, batch: str, _: Annotated[NoParameters, Query()]) -> Response:
        return await reader.answer(
            request,
            Capability.EXPORT_RUN,
            lambda connection: export_batches.export_batch(connection, uuid(batch)),
            missing=(HttpCode.EXPORT_NOT_FOUND, f"There is no export batch {shown(batch)}."),
        )
