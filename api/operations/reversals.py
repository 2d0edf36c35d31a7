"""Reversals of transactions."""

from api.operations.form import CommandForm
from api.operations.shared import (
    MOVED,
    MOVES_MONEY,
    RECEIPT,
    REVERSAL,
    TAKES_WALLETS,
    TRANSACTION,
    event,
    wallet_of,
)
from domain.errors import Code

FORMS = (
    CommandForm(
        action="transaction.reverse",
        path="/transactions/{transaction}/reverse",
        id="reverse_transaction",
        tag="Ledger",
        summary="Reverse a transaction",
        codes=(
            Code.TRANSACTION_NOT_FOUND,
            Code.ALREADY_REVERSED,
            Code.NOT_REVERSIBLE,
            Code.USE_REFUND,
            Code.USE_CREDIT,
            Code.USE_VOID,
            Code.INSUFFICIENT_FUNDS,
            *TAKES_WALLETS,
            Code.COMMAND_TOO_LARGE,
            *MOVES_MONEY,
        ),
        request={"reason": "Charged twice"},
        key="reverse-library-fine-0391",
        answer={
            "transaction_id": REVERSAL,
            "reverses": TRANSACTION,
            "wallets": [wallet_of(145000)],
            "receipt": RECEIPT,
        },
        last_event=event(
            "transaction.reversed",
            f"transaction/{TRANSACTION}",
            **{**MOVED, "transaction_id": REVERSAL},
            reverses=TRANSACTION,
            reason="Charged twice",
            receipt=RECEIPT["number"],
        ),
    ),
)
