"""A document as it is to stand in QuickBooks, and its kinds."""

from datetime import date
from typing import Final, Literal

import msgspec

from adapters.quickbooks.mapping.canonical import Json

DocumentKind = Literal["SalesReceipt", "RefundReceipt", "Invoice", "Payment", "CreditMemo", "JournalEntry"]

NUMBER_FIELD: Final[dict[DocumentKind, str]] = {
    "SalesReceipt": "DocNumber",
    "RefundReceipt": "DocNumber",
    "Invoice": "DocNumber",
    "Payment": "PaymentRefNum",
    "CreditMemo": "DocNumber",
    "JournalEntry": "DocNumber",
}
"""Where each kind carries our number, at most 21 characters. A payment has no document number."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document to be made in QuickBooks.

    `source_id` is the transaction and its leg; a leg has at most one document of each kind. `amount_minor` is
    its total. `customer`, `invoice` (by number) and `credit_memo` (by number) must be in QuickBooks before it.
    `template` is its payload with references (see `reference`) where QuickBooks' ids will stand. Of `version` 2 it changes
    the document that was made of the same source: its `Id` and `SyncToken` are references by its number.
    """

    kind: DocumentKind
    source_id: str
    number: str
    effective_date: date
    amount_minor: int
    currency: str
    customer: str | None
    template: Json
    invoice: str | None = None
    credit_memo: str | None = None
    version: int = 1
