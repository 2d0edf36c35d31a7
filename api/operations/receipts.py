"""The register of receipts, and the public check of one."""

from api.errors import HttpCode
from api.operations.form import ReadForm
from api.operations.shared import PAGE_END, RECEIPT, TRANSACTION
from api.reads.receipts import CheckedReceipt
from domain.capability import Capability
from projections.engine.reading import DateKey, Page
from projections.views.receipts import MAX_EXAMINED, RegisteredReceipt

FORMS = (
    ReadForm(
        path="/receipts",
        id="list_receipts",
        tag="Receipts",
        summary="List receipts",
        description="The receipts that were given out, by effective date, then position, the newest first; where asked for,"
        " the one with a number, or those of a range of effective dates. At most"
        f" {MAX_EXAMINED:,} transactions are looked at for one page, so that it may be short, or empty, while `has_more`"
        " says that others follow.",
        answer_type=Page[RegisteredReceipt, DateKey],
        capabilities=(Capability.STATEMENT_READ,),
        answer={
            "data": [
                {
                    "number": RECEIPT["number"],
                    "kind": "top_up",
                    "amount": 150000,
                    "refunded": 0,
                    "currency": "KES",
                    "transaction_id": TRANSACTION,
                    "recorded_at": "2026-11-22T09:30:00Z",
                    "effective_date": "2026-11-22",
                    "position": 1038,
                    "description": "Top-up, mpesa",
                    "sale": None,
                    "invoice": None,
                    "wallet": "STU-0042",
                }
            ],
            **PAGE_END,
        },
    ),
    ReadForm(
        path="/receipts/{token}",
        id="check_receipt",
        tag="Receipts",
        summary="Check a receipt",
        description=(
            "Whether a receipt is genuine, and how much of it was refunded. Public: it takes no key and tells nothing"
            " personal. The address is the one in the receipt's QR code."
        ),
        answer_type=CheckedReceipt,
        codes=(HttpCode.RECEIPT_NOT_FOUND,),
        answer={
            "number": RECEIPT["number"],
            "status": "valid",
            "kind": "top_up",
            "amount": 150000,
            "refunded": 0,
            "currency": "KES",
            "recorded_at": "2026-11-22T09:30:00Z",
        },
    ),
)
