"""What the service says of itself."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.credentials import Credential, check_capability
from api.reads.parameters import NoParameters
from api.reads.reader import answer, minimum
from api.services import Services
from domain.capability import Capability
from projections.engine.registry import head_position, positions
from projections.views import tenants


class Ping(msgspec.Struct, frozen=True, kw_only=True):
    """Whose service this is, and how far it is: `position` is the log's, `projections` what each reflects."""

    tenant: str
    version: str
    position: int
    projections: dict[str, int]
    currency: str
    time_zone: str


def add(routes: APIRouter, services: Services) -> None:
    """Add `GET ping`."""

    @routes.get("/ping")
    async def ping(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
        credential: Credential = request.scope["credential"]
        check_capability(
            credential,
            Capability.WALLET_READ
            if Capability.WALLET_READ in credential.capabilities
            else Capability.ACCOUNT_READ,
        )
        async with services.read(credential.tenant, at_least=minimum(request)) as reading:
            school = await tenants.tenant(reading.connection)
            reached = await positions(reading.connection)
            head = await head_position(reading.connection)
        assert school is not None
        return answer(
            Ping(
                tenant=credential.tenant,
                version=services.version,
                position=head,
                projections=reached,
                currency=school.currency,
                time_zone=school.time_zone,
            ),
            reading.position,
        )
