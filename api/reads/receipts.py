"""The public check of a receipt."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response

from api.errors import ApiError, HttpCode
from api.reads.parameters import NoParameters
from api.reads.reader import answer
from api.services import Services
from projections.views import receipts


class CheckedReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt as anybody may see it: without personal data. Amounts in minor units."""

    number: str
    status: Literal["valid", "refunded"]
    kind: str
    amount: int
    refunded: int
    currency: str
    recorded_at: datetime


def add(routes: APIRouter, services: Services) -> None:
    """Add the check of receipts."""

    @routes.get("/receipts/{token}")
    async def check_receipt(token: str, _: Annotated[NoParameters, Query()]) -> Response:
        tenant, _sep, number = token.rpartition(".")[0].partition(".")[2].partition(".")
        if not services.receipts.is_genuine(token, tenant, number):
            raise _not_ours()
        async with services.read(tenant, at_least=0) as reading:
            receipt = await receipts.receipt(reading.connection, number)
        if receipt is None:
            # Just printed, perhaps: it may not be projected yet.
            async with services.read(tenant, at_least=await services.write_position()) as reading:
                receipt = await receipts.receipt(reading.connection, number)
        if receipt is None:
            raise _not_ours()
        return answer(
            CheckedReceipt(
                number=number,
                status="refunded" if receipt.refunded else "valid",
                kind=receipt.kind,
                amount=receipt.amount,
                refunded=receipt.refunded,
                currency=receipt.currency,
                recorded_at=receipt.recorded_at,
            ),
            reading.position,
        )


def _not_ours() -> ApiError:
    return ApiError(HttpCode.RECEIPT_NOT_FOUND, "This is not a receipt of ours.")
