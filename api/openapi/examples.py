"""One example for each operation: the documentation shows it, and a test tries it against the service."""

from http import HTTPStatus
from typing import Any, Final

from api.errors import STATUS, HttpCode
from domain.errors import Code, ErrorCode

_WALLET: Final = {
    "account": "STU-0042",
    "currency": "KES",
    "balance": 150000,
    "available": 150000,
    "status": "open",
    "payer": "STU-0042",
}
_TRANSACTION: Final = "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e57"
_INVOICE: Final = "01932d6c-7b10-7a52-8c44-5e2f9d1b3a68"
_RECEIPT: Final = {
    "number": "RCT-2026-000017",
    "qr": "https://bursar.example/v2/finance/receipts/k1.greenhill.RCT-2026-000017.pX3mK0aVb1c8yQ2sTz7fLg",
}
_INVOICE_VIEW: Final = {
    "id": _INVOICE,
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

PARAMETERS: Final = {
    "account": "STU-0042",
    "invoice": _INVOICE,
    "code": "2100",
    "batch": _TRANSACTION,
    "token": _RECEIPT["qr"].rpartition("/")[2],
    "dry_run": True,
}
"""Of parameters; a trial of a command is a dry run unless somebody says otherwise."""

REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "wallet.open": {"account": "STU-0042", "currency": "KES"},
    "wallet.top_up": {
        "amount": 150000,
        "currency": "KES",
        "source": {"type": "mpesa", "reference": "RKT12ABC9"},
    },
    "wallet.charge": {
        "amount": 5000,
        "currency": "KES",
        "description": "Library fine",
        "income": "other_income",
    },
    "invoice.create": {
        "payer": "STU-0042",
        "currency": "KES",
        "due_date": "2026-12-15",
        "lines": [
            {
                "description": "Tuition, term 1",
                "quantity": 1,
                "total": 4500000,
                "income": "tuition",
                "tax_code": "A",
            }
        ],
        "issue": True,
    },
    "invoice.issue": {},
    "invoice.settle": {"settle": {"tenders": [{"type": "wallet"}, {"type": "cash", "amount": 1000000}]}},
    "pos.checkout": {
        "wallet": "STU-0042",
        "currency": "KES",
        "lines": [{"sku": "MEAL", "quantity": 1, "unit_amount": 25000, "income": "meals", "tax_code": "A"}],
        "tenders": [{"type": "wallet"}, {"type": "cash"}],
    },
    "pos.refund": {"sale": _TRANSACTION, "lines": [{"line": 1, "quantity": 1}]},
    "quickbooks.export": {},
}
"""The body of each command."""

KEYS: Final = {
    "wallet.open": "open-STU-0042",
    "wallet.top_up": "mpesa-RKT12ABC9",
    "wallet.charge": "library-fine-0391",
    "invoice.create": "term-1-STU-0042",
    "invoice.issue": "issue-term-1-STU-0042",
    "invoice.settle": "counter-000731",
    "pos.checkout": "till-T1-000123",
    "pos.refund": "till-T1-000124",
    "quickbooks.export": "export-2026-11-22",
}
"""The idempotency key of each command."""

ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "wallet.open": {**_WALLET, "balance": 0, "available": 0},
    "wallet.top_up": {"transaction_id": _TRANSACTION, "wallet": _WALLET, "receipt": _RECEIPT},
    "wallet.charge": {
        "transaction_id": _TRANSACTION,
        "wallet": {**_WALLET, "balance": 145000, "available": 145000},
        "receipt": _RECEIPT,
    },
    "invoice.create": _INVOICE_VIEW,
    "invoice.issue": _INVOICE_VIEW,
    "invoice.settle": {
        "transaction_id": _TRANSACTION,
        "invoice": {**_INVOICE_VIEW, "status": "partially_paid", "open": 3355000},
        "receipt": _RECEIPT,
    },
    "pos.checkout": {
        "transaction_id": _TRANSACTION,
        "sale": {
            "id": _TRANSACTION,
            "total": 25000,
            "refunded": 0,
            "tenders": [{"type": "wallet", "amount": 20000}, {"type": "cash", "amount": 5000}],
        },
        "wallet": {**_WALLET, "balance": 0, "available": 0},
        "receipt": _RECEIPT,
    },
    "pos.refund": {
        "transaction_id": "01932d6d-0c77-7b19-a3d5-72e1f04b9c36",
        "sale": {
            "id": _TRANSACTION,
            "total": 25000,
            "refunded": 25000,
            "tenders": [{"type": "wallet", "amount": 20000}, {"type": "cash", "amount": 5000}],
        },
        "refund": {
            "total": 25000,
            "lines": [{"line": 1, "amount": 25000}],
            "tenders": [{"type": "cash", "amount": 5000}, {"type": "wallet", "amount": 20000}],
        },
        "wallet": {**_WALLET, "balance": 20000, "available": 20000},
        "receipt": _RECEIPT,
    },
    "quickbooks.export": {"batch_id": _TRANSACTION, "status": "queued"},
}
"""What each command answers."""

BULK_REQUEST: Final = [
    {
        "action": "wallet.top_up",
        "idempotency_key": "mpesa-RKT12ABC9",
        "data": {"account": "STU-0042", **REQUESTS["wallet.top_up"]},
    }
]
BULK_ANSWER: Final = {
    "data": [
        {"status": 201, "code": None, "position": 1042, "replayed": False, "data": ANSWERS["wallet.top_up"]}
    ]
}

_PAGE_END: Final = {"next": None, "has_more": False}
_ACCOUNT: Final = {
    "code": "2100",
    "name": "Wallet liability",
    "type": "liability",
    "role": "wallet_liability",
    "currency": "KES",
    "debits": 0,
    "credits": 150000,
    "balance": 150000,
}
_BATCH: Final = {
    "batch_id": _TRANSACTION,
    "status": "completed",
    "reason": None,
    "position": 1043,
    "requested_at": "2026-11-22T09:30:00Z",
    "finished_at": "2026-11-22T09:30:02Z",
    "documents": {"confirmed": 1},
}

READS: Final[dict[str, Any]] = {
    "/ping": {
        "tenant": "greenhill",
        "version": "0.1.0",
        "position": 1042,
        "projections": {"wallets": 1042, "ledger": 1042},
        "currency": "KES",
        "time_zone": "Africa/Nairobi",
    },
    "/wallets": {"data": [_WALLET], **_PAGE_END},
    "/wallets/{account}": _WALLET,
    "/statements": {
        "account": "STU-0042",
        "currency": "KES",
        "opening_balance": 0,
        "closing_balance": 150000,
        "lines": [
            {
                "position": 1042,
                "transaction_id": _TRANSACTION,
                "recorded_at": "2026-11-22T09:30:00Z",
                "effective_date": "2026-11-22",
                "description": "Top-up, mpesa",
                "amount": 150000,
                "balance": 150000,
            }
        ],
        **_PAGE_END,
    },
    "/invoices": {"data": [_INVOICE_VIEW], **_PAGE_END},
    "/invoices/{invoice}": _INVOICE_VIEW,
    "/accounts": {"data": [_ACCOUNT]},
    "/accounts/{code}/balance": _ACCOUNT,
    "/accounts/{code}/entries": {
        "data": [
            {
                "position": 1039,
                "transaction_id": _TRANSACTION,
                "effective_date": "2026-11-22",
                "recorded_at": "2026-11-22T09:30:00Z",
                "debit": 0,
                "credit": 150000,
                "balance": 150000,
            }
        ],
        **_PAGE_END,
    },
    "/quickbooks/exports": {"data": [_BATCH], **_PAGE_END},
    "/quickbooks/exports/{batch}": _BATCH,
    "/receipts/{token}": {
        "number": "RCT-2026-000017",
        "status": "valid",
        "kind": "top_up",
        "amount": 150000,
        "refunded": 0,
        "currency": "KES",
        "recorded_at": "2026-11-22T09:30:00Z",
    },
}
"""What each read answers."""

# --- dry runs and refusals

_RECORDED: Final = {"recorded_at": "2026-11-22T09:30:00.123456Z"}
_MOVED: Final = {"transaction_id": _TRANSACTION, "effective_date": "2026-11-22", **_RECORDED}


def _event(topic: str, stream: str, **data: Any) -> dict[str, Any]:
    return {"type": f"bursar.{topic}.v1", "stream": f"greenhill/{stream}", "data": data}


def _wallet_event(topic: str, amount: int, description: str, **data: Any) -> dict[str, Any]:
    return _event(
        f"wallet.{topic}",
        "wallet/STU-0042",
        **_MOVED,
        account="STU-0042",
        amount=amount,
        currency="KES",
        description=description,
        receipt=_RECEIPT["number"],
        **data,
    )


_ISSUED: Final = _event(
    "invoice.issued",
    f"invoice/{_INVOICE}",
    **_MOVED,
    invoice=_INVOICE,
    **{name: _INVOICE_VIEW[name] for name in ("number", "payer", "currency", "due_date", "lines", "total")},
    status="issued",
    open=4500000,
)
_LAST_EVENTS: Final[dict[str, dict[str, Any]]] = {
    "wallet.open": _event(
        "wallet.opened", "wallet/STU-0042", account="STU-0042", currency="KES", payer="STU-0042", **_RECORDED
    ),
    "wallet.top_up": _wallet_event(
        "topped_up", 150000, "Top-up, mpesa", tender="mpesa", reference="RKT12ABC9", leg=0
    ),
    "wallet.charge": _wallet_event("charged", 5000, "Library fine", purpose="charge", income="other_income"),
    "invoice.create": _ISSUED,
    "invoice.issue": _ISSUED,
    "invoice.settle": _wallet_event(
        "charged", 145000, "Payment of invoice INV-2026-000008", purpose="invoice", income=None
    ),
    "pos.checkout": _wallet_event("charged", 20000, "Sale RCT-2026-000017", purpose="sale", income=None),
    "pos.refund": _wallet_event("refunded", 20000, "Refund RCT-2026-000017", sale=_TRANSACTION),
    "quickbooks.export": _event(
        "export.requested", f"export/{_TRANSACTION}", batch=_TRANSACTION, channel="quickbooks", **_RECORDED
    ),
}


def dry_run(action: str) -> dict[str, Any]:
    """What a dry run of a command answers, its events cut down to the last."""
    answer = dict(ANSWERS[action])
    if "receipt" in answer:
        answer["receipt"] = {**_RECEIPT, "qr": _RECEIPT["qr"].replace("/k1.", "/dry-run.")}
    return {"dry_run": True, "answer": answer, "events": [_LAST_EVENTS[action]]}


_FACTS: Final[dict[ErrorCode, dict[str, Any]]] = {
    Code.INVALID_REQUEST: {
        "detail": "/amount: Give a whole number of minor units from 1 to 1000000000000000, not text.",
        "errors": [
            {
                "pointer": "/amount",
                "detail": "Give a whole number of minor units from 1 to 1000000000000000, not text.",
            }
        ],
    },
    Code.UNAUTHENTICATED: {"tenant": None},
    Code.CAPABILITY_MISSING: {"capability": "wallet.top_up"},
    Code.INSUFFICIENT_FUNDS: {"account": "STU-0042", "available": 150000, "required": 180000},
    Code.REFUND_EXCEEDS_SALE: {"available": 25000, "required": 30000},
    Code.REFERENCE_ALREADY_USED: {"transaction_id": _TRANSACTION},
    HttpCode.RECEIPT_NOT_FOUND: {
        "tenant": None,
        "instance": "/v2/finance/receipts/k1.greenhill.RCT-2026-000017.x",
    },
}


def problem(code: ErrorCode) -> dict[str, Any]:
    """The answer of a refusal."""
    status = STATUS[code]
    return {
        "type": f"urn:bursar:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": code.meaning,
        "instance": "/v2/finance/wallets/STU-0042/top-up",
        "code": code,
        "request_id": "01932d6c-5a3b-7c4e-9f21-3d8b6a0c1e99",
        "tenant": "greenhill",
        "errors": [],
        **_FACTS.get(code, {}),
    }
