"""Refunds that name their sale by its receipt: the sale is found before they are queued."""

import msgspec

from api.credentials import Credential
from api.errors import ApiError, FieldError, invalid_request
from api.reads.reader import Reader
from application.commands.pos import Refund
from application.pipeline.command import Command
from domain.errors import Code
from projections.views import sales
from projections.views.sales import SaleOfReceipt


class SalesByReceipt:
    """Puts the sale into a refund that names its receipt. What a receipt stands for never changes, so that the read tables
    are at most late, never wrong; and late is waited for.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def name_sale(self, credential: Credential, command: Command, *, at: str = "") -> None:
        """Name the sale, where `command` is a refund by a receipt. `at` is the pointer of its body.

        Raises `ApiError`: `invalid_request` where it names both or neither, `sale_not_found`, `unavailable`.
        """
        if not isinstance(command, Refund):
            return
        if (command.sale is None) == (command.receipt is None):
            raise invalid_request(FieldError(f"{at}/sale", "Give exactly one of sale and receipt."))
        if command.receipt is None:
            return
        found = await self._reader.look_up(credential, sales.find_by_receipt, command.receipt)
        if found is None:
            raise ApiError(Code.SALE_NOT_FOUND, f"There is no sale with the receipt {command.receipt}.")
        sale = msgspec.json.decode(found, type=SaleOfReceipt).sale
        msgspec.structs.force_setattr(command, "sale", sale)
