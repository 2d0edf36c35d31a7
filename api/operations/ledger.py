"""Ledger accounts, their totals and their entries."""

from api.operations.form import ReadForm
from api.operations.shared import PAGE_END, RECEIPT, TRANSACTION
from api.reads.accounts import Accounts
from domain.capability import Capability
from domain.errors import Code
from projections.engine.reading import DateKey, Page
from projections.views.ledger import Account, Entry

_ACCOUNT = {
    "code": "2100",
    "name": "Wallet liability",
    "type": "liability",
    "role": "wallet_liability",
    "currency": "KES",
    "debits": 0,
    "credits": 150000,
    "balance": 150000,
}

FORMS = (
    ReadForm(
        path="/accounts",
        id="list_accounts",
        tag="Ledger",
        summary="Get the trial balance",
        description="Every ledger account with its totals. Over all of them, debits and credits are equal.",
        answer_type=Accounts,
        capabilities=(Capability.ACCOUNT_READ,),
        answer={"data": [_ACCOUNT], "totals": {"debits": 150000, "credits": 150000}},
    ),
    ReadForm(
        path="/accounts/{code}/balance",
        id="get_account",
        tag="Ledger",
        summary="Get a ledger account",
        description="One ledger account with its totals.",
        answer_type=Account,
        capabilities=(Capability.ACCOUNT_READ,),
        codes=(Code.ACCOUNT_NOT_FOUND,),
        answer=_ACCOUNT,
    ),
    ReadForm(
        path="/accounts/{code}/entries",
        id="list_account_entries",
        tag="Ledger",
        summary="List an account's entries",
        description="Every posting to a ledger account in the order of the log, with the balance after each in that order;"
        " of a range of effective dates by date, then position.",
        answer_type=Page[Entry, DateKey],
        capabilities=(Capability.ACCOUNT_READ,),
        codes=(Code.ACCOUNT_NOT_FOUND,),
        answer={
            "data": [
                {
                    "position": 1039,
                    "transaction_id": TRANSACTION,
                    "effective_date": "2026-11-22",
                    "recorded_at": "2026-11-22T09:30:00Z",
                    "description": "Top-up, mpesa",
                    "receipt": RECEIPT["number"],
                    "debit": 0,
                    "credit": 150000,
                    "balance": 150000,
                }
            ],
            **PAGE_END,
        },
    ),
)
