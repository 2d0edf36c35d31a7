"""The public check of a receipt."""

from api.errors import HttpCode
from api.operations.form import ReadForm
from api.operations.shared import RECEIPT
from api.reads.receipts import CheckedReceipt

FORMS = (
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
