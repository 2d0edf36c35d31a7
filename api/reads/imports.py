"""Which files were imported."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from api.reads.parameters import ImportParameters
from api.reads.reader import Reader
from domain.capability import Capability
from projections.views import imports


def add(reader: Reader) -> None:
    """Add the read of imports."""

    @reader.routes.get("/imports")
    async def list_imports(request: Request, wanted: Annotated[ImportParameters, Query()]) -> Response:
        return await reader.page(
            request,
            Capability.STATEMENT_READ,
            lambda connection, after: imports.imports(
                connection, sketch=wanted.sketch, limit=wanted.limit, after=after
            ),
            of="imports",
            key=int,
            parameters=wanted,
        )
