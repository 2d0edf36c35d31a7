"""Transactions: what every command that moved money posted."""

from api.operations.form import ReadForm
from api.operations.shared import PAGE_END, RECEIPT, TRANSACTION
from domain.capability import Capability
from domain.errors import Code
from projections.engine.reading import DateKey, Page
from projections.views.transactions import MAX_EXAMINED, TransactionView

_TRANSACTION = {
    "transaction_id": TRANSACTION,
    "action": "wallet.top_up",
    "effective_date": "2026-11-22",
    "recorded_at": "2026-11-22T09:30:00Z",
    "position": 1038,
    "actor": "OFFICE/brs_4f1d7a2",
    "reason": "",
    "description": "Top-up, mpesa",
    "receipt": RECEIPT["number"],
    "wallet": "STU-0042",
    "metadata": {},
    "postings": [
        {"code": "1020", "role": "mpesa_clearing", "side": "debit", "amount": 150000, "currency": "KES"},
        {"code": "2100", "role": "wallet_liability", "side": "credit", "amount": 150000, "currency": "KES"},
    ],
    "documents": [{"kind": "top_up", "id": TRANSACTION, "number": RECEIPT["number"]}],
    "reverses": None,
    "reversed_by": None,
}

FORMS = (
    ReadForm(
        path="/transactions",
        id="list_transactions",
        tag="Ledger",
        summary="List transactions",
        description="Transactions by effective date, then position, the newest first; where asked for, those that posted"
        " to a ledger account, moved a wallet, were of an action, or of a range of effective dates. Filters add up. Of an"
        f" account or a wallet at most {MAX_EXAMINED:,} movements are looked at for one page, so that with another filter"
        " beside it a page may be short, or empty, while `has_more` says that others follow.",
        answer_type=Page[TransactionView, DateKey],
        capabilities=(Capability.ACCOUNT_READ,),
        answer={"data": [_TRANSACTION], **PAGE_END},
    ),
    ReadForm(
        path="/transactions/{transaction}",
        id="get_transaction",
        tag="Ledger",
        summary="Get a transaction",
        description="One transaction: what it posted, the documents that it made or was about, who gave the command and"
        " why.",
        answer_type=TransactionView,
        capabilities=(Capability.ACCOUNT_READ,),
        codes=(Code.TRANSACTION_NOT_FOUND,),
        answer=_TRANSACTION,
    ),
)
