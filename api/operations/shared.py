"""What the forms of several features share: refusals, and parts of their examples."""

from typing import Any, Final

from api.operations.form import Codes
from domain.errors import Code

# --- refusals

MOVES_MONEY: Final[Codes] = (
    Code.CURRENCY_MISMATCH,
    Code.EFFECTIVE_DATE_IN_FUTURE,
    Code.EFFECTIVE_DATE_TOO_EARLY,
    Code.AMOUNT_TOO_LARGE,
    Code.ACCOUNT_NOT_OPEN,
    Code.SERIES_EXHAUSTED,
)
TAKES_WALLETS: Final[Codes] = (Code.WALLET_NOT_FOUND, Code.WALLET_NOT_OPEN, Code.WALLET_CLOSED)
TAKES_LINES: Final[Codes] = (Code.UNKNOWN_INCOME_ROLE, Code.COMMAND_TOO_LARGE)
TAXED: Final[Codes] = (
    Code.UNKNOWN_TAX_CODE,
    Code.TAX_CODE_NOT_IN_FORCE,
    Code.NOT_TAX_REGISTERED,
    Code.ROLE_WITHOUT_ACCOUNT,
    Code.DISCOUNT_EXCEEDS_PRICE,
)
TAKES_TENDERS: Final[Codes] = (
    Code.INSUFFICIENT_FUNDS,
    Code.REFERENCE_ALREADY_USED,
    Code.REFERENCE_REQUIRED,
    Code.TENDERS_AMBIGUOUS,
    Code.TENDERS_EXCEED_TOTAL,
    Code.TENDERS_TOO_LOW,
    Code.HOLD_NOT_FOUND,
    Code.HOLD_NOT_ACTIVE,
    *TAKES_WALLETS,
)

# --- examples

TRANSACTION: Final = "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57"
REVERSAL: Final = "01932d6c-9c02-7f1b-8a15-6b0d4e7c2f93"
RECEIPT: Final = {
    "number": "RCT-2026-000017",
    "qr": "https://bursar.example/v2/finance/receipts/k1.greenhill.RCT-2026-000017.pX3mK0aVb1c8yQ2sTz7fLg",
}
INVOICE: Final = {
    "id": "01932d6c-7b10-7a52-8c44-5e2f9d1b3a68",
    "number": "INV-2026-000008",
    "status": "issued",
    "payer": "STU-0042",
    "currency": "KES",
    "total": 4500000,
    "open": 4500000,
    "due_date": "2026-12-15",
    "lines": [
        {
            "discount": 0,
            "net": 4500000,
            "tax": 0,
            "total": 4500000,
            "quantity": 1,
            "income": "tuition",
            "tax_code": "A",
            "description": "Tuition, term 1",
        }
    ],
}
PAGE_END: Final = {"next": None, "has_more": False}
RECORDED: Final = {"recorded_at": "2026-11-22T09:30:00.123456Z"}
MOVED: Final = {"transaction_id": TRANSACTION, "effective_date": "2026-11-22", **RECORDED}


def wallet_of(balance_minor: int, *, held_minor: int = 0, account: str = "STU-0042") -> dict[str, Any]:
    """A wallet with this balance, of which so much is held. All of them have one payer."""
    return {
        "account": account,
        "currency": "KES",
        "payer": "STU-0042",
        "balance": balance_minor,
        "held": held_minor,
        "available": balance_minor - held_minor,
        "overdraft_limit": 0,
        "status": "open",
    }


def event(topic: str, stream: str, **data: Any) -> dict[str, Any]:
    """An event as a dry run answers it."""
    return {"type": f"bursar.{topic}.v1", "stream": f"greenhill/{stream}", "data": data}


def wallet_event(topic: str, amount_minor: int, description: str, **data: Any) -> dict[str, Any]:
    """An event that moves money into a wallet or out of it."""
    return event(
        f"wallet.{topic}",
        "wallet/STU-0042",
        **MOVED,
        account="STU-0042",
        amount=amount_minor,
        currency="KES",
        description=description,
        receipt=RECEIPT["number"],
        **data,
    )
