"""The register of receipts, and the public check of one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

import msgspec
from fastapi import Query, Request
from fastapi.responses import Response

from api.errors import ApiError, HttpCode
from api.reads.parameters import ReceiptParameters
from api.reads.reader import Missing, OneRead, Reader
from api.services import Connection
from domain.capability import Capability
from domain.receipt import ReceiptSigner
from projections.engine.reading import DateKey
from projections.views import receipts

_MISSING: Missing = (
    HttpCode.RECEIPT_NOT_FOUND,
    "This is not the token of a receipt of ours, as its QR code has it.",
)


class CheckedReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt as anybody may see it: without personal data. Amounts in minor units."""

    number: str
    status: Literal["valid", "refunded", "reversed"]
    kind: str
    amount: int
    refunded: int
    currency: str
    recorded_at: datetime


class _Genuine(NamedTuple):
    tenant: str
    number: str


def receipt(signer: ReceiptSigner) -> OneRead:
    """The check of receipts that `signer` has signed. Just printed, one may not be projected yet."""

    def genuine(token: str) -> _Genuine:
        tenant, _sep, number = token.rpartition(".")[0].partition(".")[2].partition(".")
        if not signer.is_genuine(token, tenant, number):
            raise ApiError(*_MISSING)
        return _Genuine(tenant, number)

    return OneRead(
        path="/receipts/{token}",
        capabilities=(),
        key=genuine,
        tenant_of=lambda key: key.tenant,
        fetch=_checked,
        missing=_MISSING,
    )


def add(reader: Reader) -> None:
    """Add the register of receipts, for who may read statements."""

    @reader.routes.get("/receipts")
    async def list_receipts(request: Request, wanted: Annotated[ReceiptParameters, Query()]) -> Response:
        return await reader.page(
            request,
            Capability.STATEMENT_READ,
            lambda connection, after: receipts.receipts(
                connection,
                number=wanted.number,
                first=wanted.from_,
                last=wanted.to,
                limit=wanted.limit,
                after=after,
            ),
            of="receipts",
            key=DateKey,
            parameters=wanted,
        )


async def _checked(connection: Connection, keys: Sequence[_Genuine]) -> Mapping[_Genuine, CheckedReceipt]:
    found = await receipts.find(connection, [key.number for key in keys])
    return {
        key: CheckedReceipt(
            number=key.number,
            status=_status(one := found[key.number]),
            kind=one.kind,
            amount=one.amount,
            refunded=one.refunded,
            currency=one.currency,
            recorded_at=one.recorded_at,
        )
        for key in keys
        if key.number in found
    }


def _status(receipt: receipts.Receipt) -> Literal["valid", "refunded", "reversed"]:
    """A sale is refunded, in parts or whole; anything else that was given back was reversed."""
    if not receipt.refunded:
        return "valid"
    return "refunded" if receipt.kind == "sale" else "reversed"
