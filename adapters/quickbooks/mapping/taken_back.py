"""The documents of what is taken back: of top-ups, charges, and payments of invoices."""

from adapters.quickbooks.mapping.canonical import Json, reference
from adapters.quickbooks.mapping.document import Document
from adapters.quickbooks.mapping.money import decimal
from adapters.quickbooks.mapping.payload import (
    Chart,
    item_line,
    link,
    note,
    sales_form,
)
from adapters.quickbooks.mapping.wallets import wallet_journal, wallet_receipt
from domain.invoice import PaymentReversed
from domain.journal import TENDER_ROLES
from domain.wallet import WalletChargeReversed, WalletTopUpReversed


def taken_back(
    event: PaymentReversed | WalletTopUpReversed | WalletChargeReversed, chart: Chart
) -> list[Document]:
    """List the documents of what is taken back, in the order in which they should be made."""
    match event:
        case PaymentReversed():
            made = _payment(event, chart)
        case WalletTopUpReversed():
            made = [wallet_receipt("RefundReceipt", event, chart, note=_note(event))]
        case WalletChargeReversed(purpose="charge"):
            made = [_charge(event, chart)]
        case _:  # a wallet's payment of an invoice, which has its documents
            made = []
    return made


def _charge(event: WalletChargeReversed, chart: Chart) -> Document:
    """The journal entry of the charge, with its sides changed."""
    assert event.income is not None, "a charge that is neither sale nor invoice names its income role"
    return wallet_journal(
        event,
        event.amount,
        debit=chart.account(event.income),
        credit=chart.account(TENDER_ROLES["wallet"]),
        note=_note(event),
    )


def _payment(event: PaymentReversed, chart: Chart) -> list[Document]:
    """A charge-back of the tender's item, and the payment linked to it from now on, which reopens the invoice."""
    number = f"{event.receipt}-{event.leg}"
    text = f"charge-back of receipt {event.reversed_receipt}"
    role = TENDER_ROLES[event.tender]
    form = sales_form(
        number,
        event.effective_date,
        event.payer,
        [item_line(chart, role, event.amount, event.currency, text)],
        tax=chart.tax((), event.currency),
        note=f"{text}; {_note(event)}",
    )
    charge_back = Document(
        kind="Invoice",
        source_id=f"{event.transaction_id}/{event.leg}",
        number=number,
        effective_date=event.effective_date,
        amount_minor=event.amount,
        currency=event.currency,
        customer=event.payer,
        template={**form, "DueDate": event.effective_date.isoformat()},
    )
    return [charge_back, _linked_to(charge_back, event, chart)]


def _linked_to(charge_back: Document, event: PaymentReversed, chart: Chart) -> Document:
    """The payment as it was made, and of its date; but what it pays is the charge-back."""
    number = f"{event.reversed_receipt}-{event.leg}"
    links = [link("Invoice", charge_back.number, event.amount, event.currency)]
    by_wallet = event.tender == "wallet"
    if by_wallet:  # a payment of 0, which applies the credit memo of the wallet
        links.append(link("CreditMemo", number, event.amount, event.currency))
    total_minor = 0 if by_wallet else event.amount
    payment: Json = {
        "Id": reference("Payment", number),
        "SyncToken": reference("SyncToken", number),
        "PaymentRefNum": number,
        "TxnDate": event.paid_on.isoformat(),
        "PrivateNote": f"ledger transaction {event.reverses}; {_note(event)}",
        "CustomerRef": {"value": reference("Customer", event.payer)},
        "TotalAmt": decimal(total_minor, event.currency),
        "Line": links,
    }
    if not by_wallet:
        payment["DepositToAccountRef"] = {"value": chart.account(TENDER_ROLES[event.tender])}
    return Document(
        kind="Payment",
        source_id=f"{event.reverses}/{event.leg}",
        version=2,
        number=number,
        effective_date=event.paid_on,
        amount_minor=total_minor,
        currency=event.currency,
        customer=event.payer,
        invoice=charge_back.number,
        credit_memo=number if by_wallet else None,
        template=payment,
    )


def _note(event: WalletTopUpReversed | WalletChargeReversed | PaymentReversed) -> str:
    return f"{note(event.transaction_id)}; reverses {event.reverses}"
