"""The documents of a wallet's movements that are neither sale nor invoice."""

from typing import Literal

from adapters.quickbooks.mapping.canonical import Json
from adapters.quickbooks.mapping.document import Document
from adapters.quickbooks.mapping.payload import Chart, item_line, journal_line, sales_form
from domain.journal import TENDER_ROLES
from domain.wallet import (
    WalletAdjusted,
    WalletCharged,
    WalletChargeReversed,
    WalletMadeDormant,
    WalletPaidOut,
    WalletToppedUp,
    WalletTopUpReversed,
)


def wallet_receipt(
    kind: Literal["SalesReceipt", "RefundReceipt"],
    event: WalletToppedUp | WalletTopUpReversed,
    chart: Chart,
    *,
    note: str,
) -> Document:
    """A receipt or a refund of the wallet item, on the account of the tender; in a settlement it carries the leg."""
    number = f"{event.receipt}-{event.leg}" if event.leg else event.receipt
    return Document(
        kind=kind,
        source_id=f"{event.transaction_id}/{event.leg}",
        number=number,
        effective_date=event.effective_date,
        amount_minor=event.amount,
        currency=event.currency,
        customer=event.account,
        template=sales_form(
            number,
            event.effective_date,
            event.account,
            [item_line(chart, TENDER_ROLES["wallet"], event.amount, event.currency, event.description)],
            note=note,
            tax=chart.tax((), event.currency),
            deposit=chart.account(TENDER_ROLES[event.tender]),
        ),
    )


def wallet_journal(
    event: WalletCharged | WalletChargeReversed | WalletAdjusted | WalletPaidOut | WalletMadeDormant,
    amount_minor: int,
    *,
    debit: Json,
    credit: Json,
    note: str,
) -> Document:
    """A journal entry between the wallets' account and another; `debit` and `credit` stand for accounts."""
    text = f"wallet {event.account}: {event.description}"
    return Document(
        kind="JournalEntry",
        source_id=f"{event.transaction_id}/0",
        number=event.receipt,
        effective_date=event.effective_date,
        amount_minor=amount_minor,
        currency=event.currency,
        customer=None,
        template={
            "DocNumber": event.receipt,
            "TxnDate": event.effective_date.isoformat(),
            "PrivateNote": note,
            "Line": [
                journal_line("Debit", debit, amount_minor, event.currency, text),
                journal_line("Credit", credit, amount_minor, event.currency, text),
            ],
        },
    )
