"""Sales over the counter and their refunds."""

from api.operations.form import CommandForm, ReadForm
from api.operations.shared import (
    MOVES_MONEY,
    PAGE_END,
    RECEIPT,
    TAKES_LINES,
    TAKES_TENDERS,
    TAKES_WALLETS,
    TRANSACTION,
    wallet_event,
    wallet_of,
)
from domain.capability import Capability
from domain.errors import Code
from projections.engine.reading import DateKey, Page
from projections.views.sales import SaleRecord

_SALE = {
    "id": TRANSACTION,
    "receipt": RECEIPT["number"],
    "customer": "STU-0042",
    "currency": "KES",
    "total": 25000,
    "refunded": 0,
    "lines": [
        {
            "discount": 0,
            "net": 25000,
            "tax": 0,
            "total": 25000,
            "quantity": 1,
            "income": "meals",
            "tax_code": "A",
            "sku": "MEAL",
            "description": "MEAL",
        }
    ],
    "tenders": [{"type": "wallet", "amount": 20000}, {"type": "cash", "amount": 5000}],
}
_RECORD = {
    **_SALE,
    "refunded": 25000,
    "effective_date": "2026-11-22",
    "recorded_at": "2026-11-22T09:30:00Z",
    "position": 1041,
}

FORMS = (
    CommandForm(
        action="pos.checkout",
        path="/pos/checkout",
        id="check_out",
        tag="Point of sale",
        summary="Sell over the counter",
        codes=(*TAKES_TENDERS, Code.TENDER_WITHOUT_WALLET, *TAKES_LINES, *MOVES_MONEY),
        request={
            "wallet": "STU-0042",
            "currency": "KES",
            "lines": [
                {"sku": "MEAL", "quantity": 1, "unit_amount": 25000, "income": "meals", "tax_code": "A"}
            ],
            "tenders": [{"type": "wallet"}, {"type": "cash"}],
        },
        key="till-T1-000123",
        answer={"transaction_id": TRANSACTION, "sale": _SALE, "wallet": wallet_of(0), "receipt": RECEIPT},
        last_event=wallet_event("charged", 20000, "Sale RCT-2026-000017", purpose="sale", income=None),
    ),
    CommandForm(
        action="pos.refund",
        path="/pos/refund",
        id="refund_sale",
        tag="Point of sale",
        summary="Refund a sale",
        codes=(
            Code.SALE_NOT_FOUND,
            Code.REFUND_EXCEEDS_SALE,
            *TAKES_WALLETS,
            Code.COMMAND_TOO_LARGE,
            *MOVES_MONEY,
        ),
        request={"sale": TRANSACTION, "lines": [{"line": 1, "quantity": 1}]},
        key="till-T1-000124",
        answer={
            "transaction_id": "01932d6d-0c77-7b19-a3d5-72e1f04b9c36",
            "sale": {**_SALE, "refunded": 25000},
            "refund": {
                "total": 25000,
                "lines": [{"line": 1, "amount": 25000}],
                "tenders": [{"type": "cash", "amount": 5000}, {"type": "wallet", "amount": 20000}],
            },
            "wallet": wallet_of(20000),
            "receipt": RECEIPT,
        },
        last_event=wallet_event("refunded", 20000, "Refund RCT-2026-000017", sale=TRANSACTION),
    ),
    ReadForm(
        path="/sales",
        id="list_sales",
        tag="Point of sale",
        summary="List sales",
        description="The tenant's sales by effective date, then position, the newest first; where asked for, those with a"
        " receipt's number, of a customer, that a wallet paid, or of a range of effective dates. Filters add up.",
        answer_type=Page[SaleRecord, DateKey],
        capabilities=(Capability.STATEMENT_READ,),
        codes=(Code.NOT_SUPPORTED,),
        answer={"data": [_RECORD], **PAGE_END},
    ),
    ReadForm(
        path="/sales/{sale}",
        id="get_sale",
        tag="Point of sale",
        summary="Get a sale",
        description="One sale with what was sold, what paid for it, and how much of it was refunded.",
        answer_type=SaleRecord,
        capabilities=(Capability.STATEMENT_READ,),
        codes=(Code.SALE_NOT_FOUND,),
        answer=_RECORD,
    ),
)
