"""What became of export batches."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from api.errors import HttpCode, shown
from api.reads.parameters import DocumentParameters, PageParameters, uuid
from api.reads.reader import OneRead, Reader
from domain.capability import Capability
from projections.views import export_batches, export_documents
from projections.views.export_documents import DocumentKey

EXPORT = OneRead(
    path="/quickbooks/exports/{batch}",
    capabilities=(Capability.EXPORT_RUN,),
    key=uuid,
    fetch=export_batches.find,
    missing=(HttpCode.EXPORT_NOT_FOUND, "There is no export batch {}."),
)


def add(reader: Reader) -> None:
    """Add the reads of export batches."""

    @reader.routes.get("/quickbooks/exports")
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

    reader.add_one(EXPORT)

    @reader.routes.get("/quickbooks/exports/{batch}/documents")
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
            missing=(HttpCode.EXPORT_NOT_FOUND, f"There is no export batch {shown(batch)}."),
        )
