"""The reads: each waits for the position that its caller must see, and answers from one snapshot."""

import re
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any, Final, Literal, Self

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from api.commands.endpoint import PREFIX
from api.credentials import Credential, check_capability
from api.errors import ApiError, HttpCode
from api.services import Connection, Services
from domain.errors import Code
from domain.ids import NAME_PATTERN, UUID_PATTERN
from projections.engine.registry import positions
from projections.views import export_batches, invoices, ledger, receipts, tenants, wallets

Fetch = Callable[[Connection], Awaitable[Any]]

NameParameter = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$", to_upper=True)]


class NoParameters(BaseModel):
    """Unknown parameters are refused: nobody's filter is dropped in silence."""

    model_config = ConfigDict(extra="forbid")


class PageParameters(NoParameters):
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=100, pattern=r"^[\x21-\x7e]+$")


class InvoiceParameters(PageParameters):
    payer: NameParameter | None = None
    status: Literal["draft", "issued", "partially_paid", "paid", "void", "written_off"] | None = None


class StatementParameters(PageParameters):
    account: NameParameter
    from_: date | None = Field(default=None, alias="from", description="First effective date, inclusive.")
    to: date | None = Field(default=None, description="Last effective date, inclusive.")

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.from_ is not None and self.to is not None and self.from_ > self.to:
            raise ValueError("`from` lies after `to`")
        return self


class Reader:
    """Answers reads: waits, fetches, and tells the position that the answer reflects."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def answer(
        self,
        request: Request,
        capability: str,
        fetch: Fetch,
        *,
        missing: tuple[Code | HttpCode, str] | None = None,
    ) -> Response:
        """Answer with what `fetch` finds. Where it finds nothing, look again at the head before saying 404."""
        credential: Credential = request.scope["credential"]
        check_capability(credential, capability)
        at_least = max(_minimum(request), self._services.authenticator.last_written(credential))
        found, position = await self._fetch(credential, fetch, at_least)
        if found is None:
            head = await self._services.write_position()
            if head > position:
                found, position = await self._fetch(credential, fetch, head)
        if found is None:
            assert missing is not None
            raise ApiError(missing[0], missing[1])
        return json(found, position)

    async def _fetch(self, credential: Credential, fetch: Fetch, at_least: int) -> tuple[Any, int]:
        async with self._services.read(credential.tenant, at_least=at_least) as reading:
            return await fetch(reading.connection), reading.position


def json(found: object, position: int) -> Response:
    """An answer with the position that it reflects."""
    return Response(
        msgspec.json.encode(found), media_type="application/json", headers={"Bursar-Position": str(position)}
    )


PUBLIC: Final = f"{PREFIX}/receipts/"
"""What anybody may read."""
_NO_UUID: Final = "00000000-0000-0000-0000-000000000000"


def _uuid(given: str) -> str:
    """An id as the database takes it; what cannot be one names nothing."""
    return given if re.match(UUID_PATTERN, given) else _NO_UUID


def _name(given: str) -> str:
    """A name of the path as it is stored; what cannot be one names nothing."""
    return given.upper() if re.match(NAME_PATTERN, given) else ""


def _minimum(request: Request) -> int:
    given = request.headers.get("bursar-min-position")
    if given is None:
        return 0
    if not (given.isascii() and given.isdigit() and len(given) <= 18):
        raise ApiError(HttpCode.BAD_HEADER, "Bursar-Min-Position is a position: digits alone.")
    return int(given)


def router(services: Services) -> APIRouter:
    """Every read under `/v2/finance`."""
    routes = APIRouter(prefix=PREFIX)
    reader = Reader(services)
    _add_service(routes, services)
    _add_wallets(routes, reader)
    _add_invoices(routes, reader)
    _add_accounts(routes, reader)
    _add_exports(routes, reader)
    _add_receipts(routes, services)
    return routes


def _add_service(routes: APIRouter, services: Services) -> None:
    @routes.get("/ping", summary="Tenant, version, write position and projection positions")
    async def ping(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
        credential: Credential = request.scope["credential"]
        check_capability(
            credential, "wallet.read" if "wallet.read" in credential.capabilities else "account.read"
        )
        async with services.read(credential.tenant, at_least=_minimum(request)) as reading:
            school = await tenants.tenant(reading.connection)
            reached = await positions(reading.connection)
            head = await services.write_position()
        assert school is not None
        return json(
            {
                "tenant": credential.tenant,
                "version": services.version,
                "position": head,
                "projections": reached,
                "currency": school.currency,
                "time_zone": school.time_zone,
            },
            reading.position,
        )


def _add_wallets(routes: APIRouter, reader: Reader) -> None:
    @routes.get("/wallets", summary="List wallets")
    async def list_wallets(request: Request, page: Annotated[PageParameters, Query()]) -> Response:
        return await reader.answer(
            request, "wallet.read", lambda found: wallets.wallets(found, limit=page.limit, cursor=page.cursor)
        )

    @routes.get("/wallets/{account}", summary="Read a wallet")
    async def read_wallet(request: Request, account: str, _: Annotated[NoParameters, Query()]) -> Response:
        name = _name(account)
        return await reader.answer(
            request,
            "wallet.read",
            lambda found: wallets.wallet(found, name),
            missing=(Code.WALLET_NOT_FOUND, f"There is no wallet {name[:40]}."),
        )

    @routes.get("/statements", summary="A wallet's statement")
    async def read_statement(request: Request, wanted: Annotated[StatementParameters, Query()]) -> Response:
        return await reader.answer(
            request,
            "statement.read",
            lambda found: wallets.statement(
                found,
                wanted.account,
                first=wanted.from_,
                last=wanted.to,
                limit=wanted.limit,
                cursor=wanted.cursor,
            ),
            missing=(Code.WALLET_NOT_FOUND, f"There is no wallet {wanted.account}."),
        )


def _add_invoices(routes: APIRouter, reader: Reader) -> None:
    @routes.get("/invoices", summary="List invoices")
    async def list_invoices(request: Request, wanted: Annotated[InvoiceParameters, Query()]) -> Response:
        return await reader.answer(
            request,
            "invoice.read",
            lambda found: invoices.invoices(
                found, payer=wanted.payer, status=wanted.status, limit=wanted.limit, cursor=wanted.cursor
            ),
        )

    @routes.get("/invoices/{invoice}", summary="Read an invoice")
    async def read_invoice(request: Request, invoice: str, _: Annotated[NoParameters, Query()]) -> Response:
        return await reader.answer(
            request,
            "invoice.read",
            lambda found: invoices.invoice(found, _uuid(invoice)),
            missing=(Code.INVOICE_NOT_FOUND, f"There is no invoice {invoice[:40]}."),
        )


def _add_accounts(routes: APIRouter, reader: Reader) -> None:
    @routes.get("/accounts", summary="Every ledger account with its totals: the trial balance")
    async def list_accounts(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
        async def fetch(found: Connection) -> dict[str, object]:
            return {"data": await ledger.accounts(found)}

        return await reader.answer(request, "account.read", fetch)

    @routes.get("/accounts/{code}/balance", summary="One ledger account with its totals")
    async def read_balance(request: Request, code: str, _: Annotated[NoParameters, Query()]) -> Response:
        return await reader.answer(
            request,
            "account.read",
            lambda found: ledger.account(found, _name(code)),
            missing=(Code.ACCOUNT_NOT_FOUND, f"There is no account {code[:40]}."),
        )

    @routes.get("/accounts/{code}/entries", summary="The entries of a ledger account, in record order")
    async def list_entries(request: Request, code: str, page: Annotated[PageParameters, Query()]) -> Response:
        async def fetch(found: Connection) -> object:
            if await ledger.account(found, _name(code)) is None:
                return None
            return await ledger.entries(found, _name(code), limit=page.limit, cursor=page.cursor)

        return await reader.answer(
            request,
            "account.read",
            fetch,
            missing=(Code.ACCOUNT_NOT_FOUND, f"There is no account {code[:40]}."),
        )


def _add_exports(routes: APIRouter, reader: Reader) -> None:
    @routes.get("/quickbooks/exports", summary="List export batches")
    async def list_exports(request: Request, page: Annotated[PageParameters, Query()]) -> Response:
        return await reader.answer(
            request,
            "export.run",
            lambda found: export_batches.export_batches(found, limit=page.limit, cursor=page.cursor),
        )

    @routes.get("/quickbooks/exports/{batch}", summary="Follow an export batch")
    async def read_export(request: Request, batch: str, _: Annotated[NoParameters, Query()]) -> Response:
        return await reader.answer(
            request,
            "export.run",
            lambda found: export_batches.export_batch(found, _uuid(batch)),
            missing=(HttpCode.EXPORT_NOT_FOUND, f"There is no export batch {batch[:40]}."),
        )


def _add_receipts(routes: APIRouter, services: Services) -> None:
    @routes.get("/receipts/{token}", summary="Check a receipt by its QR code; public, without personal data")
    async def check_receipt(token: str, _: Annotated[NoParameters, Query()]) -> Response:
        tenant, _sep, number = token.rpartition(".")[0].partition(".")[2].partition(".")
        if not services.receipts.is_genuine(token, tenant, number):
            raise ApiError(HttpCode.RECEIPT_NOT_FOUND, "This is no receipt of ours.")
        async with services.read(tenant, at_least=0) as reading:
            found = await receipts.receipt(reading.connection, number)
        if found is None:
            # Just printed, perhaps: it may not be projected yet.
            async with services.read(tenant, at_least=await services.write_position()) as reading:
                found = await receipts.receipt(reading.connection, number)
        if found is None:
            raise ApiError(HttpCode.RECEIPT_NOT_FOUND, "This is no receipt of ours.")
        refunded = bool(found.refunded)
        return json(
            {
                "number": number,
                "status": "refunded" if refunded else "valid",
                "kind": found.kind,
                "amount": found.amount,
                "refunded": found.refunded,
                "currency": found.currency,
                "recorded_at": found.recorded_at,
            },
            reading.position,
        )
