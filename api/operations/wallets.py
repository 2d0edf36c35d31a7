"""Wallets and their statements."""

from api.operations.form import CommandForm, ReadForm
from api.operations.shared import (
    MOVED,
    MOVES_MONEY,
    PAGE_END,
    RECEIPT,
    RECORDED,
    TAKES_WALLETS,
    TRANSACTION,
    event,
    wallet_event,
    wallet_of,
)
from domain.capability import Capability
from domain.errors import Code
from domain.wallet import WalletView
from projections.engine.reading import Page
from projections.views.wallets import MAX_EXAMINED, Statement

TOP_UP = CommandForm(
    action="wallet.top_up",
    path="/wallets/{account}/top-up",
    id="top_up_wallet",
    tag="Wallets",
    summary="Top up a wallet",
    codes=(Code.REFERENCE_ALREADY_USED, Code.REFERENCE_REQUIRED, *TAKES_WALLETS, *MOVES_MONEY),
    request={
        "amount": 150000,
        "currency": "KES",
        "source": {"type": "mpesa", "reference": "RKT12ABC9"},
    },
    key="mpesa-RKT12ABC9",
    answer={"transaction_id": TRANSACTION, "wallet": wallet_of(150000), "receipt": RECEIPT},
    last_event=wallet_event(
        "topped_up", 150000, "Top-up, mpesa", tender="mpesa", reference="RKT12ABC9", leg=0
    ),
)

FORMS = (
    CommandForm(
        action="wallet.open",
        path="/wallets",
        id="open_wallet",
        tag="Wallets",
        summary="Open a wallet",
        codes=(Code.CURRENCY_MISMATCH, Code.WALLET_EXISTS),
        request={"account": "STU-0042", "currency": "KES"},
        key="open-STU-0042",
        answer=wallet_of(0),
        last_event=event(
            "wallet.opened",
            "wallet/STU-0042",
            account="STU-0042",
            currency="KES",
            payer="STU-0042",
            **RECORDED,
        ),
    ),
    TOP_UP,
    CommandForm(
        action="wallet.charge",
        path="/wallets/{account}/charge",
        id="charge_wallet",
        tag="Wallets",
        summary="Charge a wallet",
        codes=(Code.INSUFFICIENT_FUNDS, Code.UNKNOWN_INCOME_ROLE, *TAKES_WALLETS, *MOVES_MONEY),
        request={
            "amount": 5000,
            "currency": "KES",
            "description": "Library fine",
            "income": "other_income",
        },
        key="library-fine-0391",
        answer={"transaction_id": TRANSACTION, "wallet": wallet_of(145000), "receipt": RECEIPT},
        last_event=wallet_event("charged", 5000, "Library fine", purpose="charge", income="other_income"),
    ),
    CommandForm(
        action="wallet.freeze",
        path="/wallets/{account}/freeze",
        id="freeze_wallet",
        tag="Wallets",
        summary="Freeze a wallet",
        codes=(*TAKES_WALLETS, Code.REASON_REQUIRED),
        request={},
        key="freeze-STU-0042",
        answer=wallet_of(150000) | {"status": "frozen"},
        last_event=event("wallet.frozen", "wallet/STU-0042", account="STU-0042", status="frozen", **RECORDED),
    ),
    CommandForm(
        action="wallet.unfreeze",
        path="/wallets/{account}/unfreeze",
        id="unfreeze_wallet",
        tag="Wallets",
        summary="Unfreeze a wallet",
        codes=(*TAKES_WALLETS, Code.REASON_REQUIRED),
        request={},
        key="unfreeze-STU-0042",
        answer=wallet_of(150000),
        last_event=event("wallet.unfrozen", "wallet/STU-0042", account="STU-0042", status="open", **RECORDED),
    ),
    CommandForm(
        action="wallet.close",
        path="/wallets/{account}/close",
        id="close_wallet",
        tag="Wallets",
        summary="Close a wallet",
        codes=(Code.WALLET_NOT_FOUND, Code.WALLET_NOT_EMPTY),
        request={},
        key="close-STU-0042",
        answer=wallet_of(0) | {"status": "closed"},
        last_event=event("wallet.closed", "wallet/STU-0042", account="STU-0042", status="closed", **RECORDED),
    ),
    CommandForm(
        action="wallet.transfer",
        path="/wallets/transfer",
        id="transfer_money",
        tag="Wallets",
        summary="Transfer between wallets",
        codes=(
            Code.NOT_SAME_FAMILY,
            Code.INSUFFICIENT_FUNDS,
            *TAKES_WALLETS,
            Code.CURRENCY_MISMATCH,
            Code.AMOUNT_TOO_LARGE,
            Code.ACCOUNT_NOT_OPEN,
        ),
        request={"from": "STU-0042", "to": "STU-0043", "amount": 5000, "currency": "KES"},
        key="transfer-0042-0043-1",
        answer={
            "transaction_id": TRANSACTION,
            "from": wallet_of(140000),
            "to": wallet_of(5000, account="STU-0043"),
        },
        last_event=event(
            "wallet.transferred_in",
            "wallet/STU-0043",
            **MOVED,
            account="STU-0043",
            amount=5000,
            currency="KES",
            description="Transfer from STU-0042",
            other="STU-0042",
        ),
    ),
    ReadForm(
        path="/wallets",
        id="list_wallets",
        tag="Wallets",
        summary="List wallets",
        description="The tenant's wallets, by account; where asked for, of a payer, of a status, or with a balance. With"
        f" a balance at most {MAX_EXAMINED:,} wallets are looked at for one page, which may thus be short, or empty, while"
        " `has_more` says that others follow.",
        answer_type=Page[WalletView, str],
        capabilities=(Capability.WALLET_READ,),
        answer={"data": [wallet_of(150000)], **PAGE_END},
    ),
    ReadForm(
        path="/wallets/{account}",
        id="get_wallet",
        tag="Wallets",
        summary="Get a wallet",
        description="One wallet with its balance.",
        answer_type=WalletView,
        capabilities=(Capability.WALLET_READ,),
        codes=(Code.WALLET_NOT_FOUND,),
        answer=wallet_of(150000),
    ),
    ReadForm(
        path="/statements",
        id="get_statement",
        tag="Statements",
        summary="Get a wallet's statement",
        description=(
            "A wallet's movements by effective date, then position, with the balance after each. Opening and closing"
            " balance are those of the whole range, whatever page of it is asked for."
        ),
        query={"account": "STU-0042"},
        answer_type=Statement,
        capabilities=(Capability.STATEMENT_READ,),
        codes=(Code.WALLET_NOT_FOUND,),
        answer={
            "account": "STU-0042",
            "currency": "KES",
            "order": "effective",
            "opening_balance": 0,
            "closing_balance": 150000,
            "lines": [
                {
                    "position": 1042,
                    "transaction_id": TRANSACTION,
                    "recorded_at": "2026-11-22T09:30:00Z",
                    "effective_date": "2026-11-22",
                    "description": "Top-up, mpesa",
                    "amount": 150000,
                    "balance": 150000,
                }
            ],
            **PAGE_END,
        },
    ),
)
