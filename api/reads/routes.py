"""Every read under `/v2/finance`."""

from typing import Final

from fastapi import APIRouter

from api.commands.routes import PREFIX
from api.reads import accounts, exports, imports, invoices, receipts, sales, service, wallets
from api.reads.reader import Reader
from api.services import Services

PUBLIC: Final = f"{PREFIX}/receipts/"
"""What anybody may read."""


def router(services: Services) -> APIRouter:
    """All of them."""
    routes = APIRouter(prefix=PREFIX)
    reader = Reader(services)
    service.add(routes, services)
    wallets.add(routes, reader)
    invoices.add(routes, reader)
    sales.add(routes, reader)
    accounts.add(routes, reader)
    exports.add(routes, reader)
    imports.add(routes, reader)
    receipts.add(routes, services)
    return routes
