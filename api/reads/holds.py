"""Holds on wallets."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from api.errors import shown
from api.reads.parameters import HoldParameters, name, uuid
from api.reads.reader import OneRead, Reader
from api.services import Connection
from domain.capability import Capability
from domain.errors import Code
from domain.wallet import HoldView
from projections.engine.reading import Page
from projections.views import holds, wallets

HOLD = OneRead(
    path="/holds/{hold}",
    capabilities=(Capability.WALLET_READ,),
    key=uuid,
    fetch=holds.find,
    missing=(Code.HOLD_NOT_FOUND, "There is no hold {}."),
)


def add(reader: Reader) -> None:
    """Add the reads of holds."""
    reader.add_one(HOLD)

    @reader.routes.get("/wallets/{account}/holds")
    async def list_holds(
        request: Request, account: str, wanted: Annotated[HoldParameters, Query()]
    ) -> Response:
        async def fetch(connection: Connection, after: str | None) -> Page[HoldView, str] | None:
            if not await wallets.find(connection, [name(account)]):
                return None
            return await holds.holds(
                connection, name(account), status=wanted.status, limit=wanted.limit, after=after
            )

        return await reader.page(
            request,
            Capability.WALLET_READ,
            fetch,
            of=f"wallets/{name(account)}/holds",
            key=str,
            parameters=wanted,
            missing=(Code.WALLET_NOT_FOUND, f"There is no wallet {shown(account)}."),
        )
