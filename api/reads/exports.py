"""What became of export batches."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.errors import HttpCode, shown
from api.reads.parameters import DocumentParameters, NoParameters, PageParameters, uuid
from api.reads.reader import Missing, Reader
from domain.capability import Capability
from projections.views import export_batches, export_documents
from projections.views.export_documents import DocumentKey


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
            missing=_missing(batch),
        )

    @routes.get("/quickbooks/exports/{batch}/documents")
    async def list_documents(
        request: Request, batch: str, wanted: Annotated[DocumentParameters, Query()]
    ) -> Response:
        return await reader.page(
            request,
            Capability.EXPORT_RUN,
            lambda connection, after: export_documents.export_documents(
                connection, uuid(batch), state=wanted.state, limit=wanted.limit, after=after
            ),
            of=f"quickbooks/exports/{uuid(batch)}/documents",
            key=DocumentKey,
            parameters=wanted,
            missing=_missing(batch),
        )


def _missing(batch: str) -> Missing:
    return HttpCode.EXPORT_NOT_FOUND, f"There is no export batch {shown(batch)}."
