"""What becomes which document in QuickBooks: a pure mapping from the events of the public message.

A wallet is to QuickBooks what a gift certificate is: it is sold through an item on a liability account and
redeemed as a negative line of that item. So each wallet tender and each second tender is a line, and whoever
adds up the documents by their accounts gets the ledger's balances, account by account, to the cent.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from adapters.quickbooks.mapping.canonical import Json, reference
from adapters.quickbooks.mapping.document import Document, DocumentKind
from adapters.quickbooks.mapping.money import decimal
from adapters.quickbooks.mapping.payload import (
    Chart,
    item_line,
    link,
    note,
    returned_lines,
    sales_form,
    sold_lines,
)
from adapters.quickbooks.mapping.taken_back import taken_back
from adapters.quickbooks.mapping.wallets import wallet_journal, wallet_receipt
from domain.chart import INCOME_ROLES
from domain.event import Event
from domain.invoice import InvoiceIssued, PaymentApplied, PaymentReversed
from domain.journal import TENDER_ROLES
from domain.sale import SaleCompleted, SaleEvent, SaleRefunded, SaleTender
from domain.wallet import (
    WalletAdjusted,
    WalletCharged,
    WalletChargeReversed,
    WalletMadeDormant,
    WalletPaidOut,
    WalletToppedUp,
    WalletTopUpReversed,
)

ITEM_ROLES: Final = (
    INCOME_ROLES
    | frozenset(TENDER_ROLES.values())
    | {"sales_returns", "discounts", "suspense", "bad_debts", "rounding", "refunds_payable"}
)
"""The roles whose account has an item of its own."""

DOCUMENTED: Final = frozenset(
    event.topic
    for event in (
        SaleCompleted,
        SaleRefunded,
        InvoiceIssued,
        PaymentApplied,
        PaymentReversed,
        WalletToppedUp,
        WalletCharged,
        WalletTopUpReversed,
        WalletChargeReversed,
        WalletAdjusted,
        WalletPaidOut,
        WalletMadeDormant,
    )
)
"""The topics of the events that may become documents."""

_WALLET: Final = TENDER_ROLES["wallet"]
_CASH: Final = TENDER_ROLES["cash"]


def documents(event: Event, account_codes: Mapping[str, str], *, taxed: bool = False) -> list[Document]:
    """List the documents of an event, in the order in which they should be made.

    `account_codes` maps the roles of the tenant's chart to the codes that stood for them at the time; `taxed` says
    whether it is registered for tax.
    """
    chart = Chart(account_codes, taxed)
    made: list[Document] = []
    match event:
        case SaleCompleted():
            made = [_sale(event, chart)]
        case SaleRefunded():
            made = [_refund(event, chart)]
        case InvoiceIssued():
            made = [_invoice(event, chart)]
        case PaymentApplied(tender="wallet"):
            made = _wallet_settlement(event, chart)
        case PaymentApplied():
            made = [_payment(event, chart)]
        case WalletToppedUp():
            made = [_top_up(event, chart)]
        case WalletCharged(purpose="charge") | WalletAdjusted() | WalletPaidOut() | WalletMadeDormant():
            made = [_journal(event, chart)]
        case PaymentReversed() | WalletTopUpReversed() | WalletChargeReversed():
            made = taken_back(event, chart)
        case _:  # also a wallet charged for a sale or an invoice, which has its documents
            pass
    return made


# --- over the counter


def _sale(event: SaleCompleted, chart: Chart) -> Document:
    return _receipt(
        "SalesReceipt",
        event,
        chart,
        sold_lines(event.lines, event.currency, chart),
        tax=chart.tax(event.lines, event.currency),
        note=note(event.transaction_id, event.tenders),
    )


def _refund(event: SaleRefunded, chart: Chart) -> Document:
    returned = [line for line in event.lines if line.total]  # pieces may be worth less than the smallest unit
    return _receipt(
        "RefundReceipt",
        event,
        chart,
        returned_lines(returned, event.currency, chart),
        tax=chart.tax(returned, event.currency),
        note=f"{note(event.transaction_id, event.tenders)}; refund of sale {event.sale}",
    )


def _receipt(
    kind: DocumentKind, event: SaleEvent, chart: Chart, goods: list[Json], *, tax: Json, note: str
) -> Document:
    """The receipt of a sale or of a refund: lines for the `goods`, the tenders not deposited, and cash rounding."""
    deposit, other_tenders = _deposit(event.tenders)
    lines = goods + _tender_lines(other_tenders, event.currency, chart)
    rounding = event.rounding_minor
    if rounding:
        lines.append(item_line(chart, "rounding", rounding, event.currency, "cash rounding"))
    return Document(
        kind=kind,
        source_id=f"{event.transaction_id}/0",
        number=event.receipt,
        effective_date=event.effective_date,
        amount_minor=event.total + rounding - sum(tender.amount for tender in other_tenders),
        currency=event.currency,
        customer=event.customer,
        template=sales_form(
            event.receipt,
            event.effective_date,
            event.customer,
            lines,
            note=note,
            tax=tax,
            deposit=chart.account(deposit),
        ),
    )


def _deposit(tenders: Sequence[SaleTender]) -> tuple[str, list[SaleTender]]:
    """The role of the account deposited to, and the tenders that are lines.

    Deposited is the largest tender that is not the wallet, of equal ones the first; where the wallet pays
    all, nothing is, and till cash is named because a receipt needs an account.
    """
    outside = [tender for tender in tenders if tender.type != "wallet"]
    if not outside:
        return _CASH, list(tenders)
    largest = max(outside, key=lambda tender: tender.amount)
    return TENDER_ROLES[largest.type], [tender for tender in tenders if tender is not largest]


def _tender_lines(tenders: Sequence[SaleTender], currency: str, chart: Chart) -> list[Json]:
    return [
        item_line(
            chart,
            TENDER_ROLES[tender.type],
            -tender.amount,
            currency,
            f"paid by {tender.type} {tender.account or ''}".strip(),
        )
        for tender in tenders
    ]


# --- invoices and their settlement


def _invoice(event: InvoiceIssued, chart: Chart) -> Document:
    form = sales_form(
        event.number,
        event.effective_date,
        event.payer,
        sold_lines(event.lines, event.currency, chart),
        note=note(event.transaction_id),
        tax=chart.tax(event.lines, event.currency),
    )
    return Document(
        kind="Invoice",
        source_id=f"{event.transaction_id}/0",
        number=event.number,
        effective_date=event.effective_date,
        amount_minor=event.total,
        currency=event.currency,
        customer=event.payer,
        template={**form, "DueDate": event.due_date.isoformat()},
    )


def _payment(event: PaymentApplied, chart: Chart) -> Document:
    number = f"{event.receipt}-{event.leg}"
    return Document(
        kind="Payment",
        source_id=f"{event.transaction_id}/{event.leg}",
        number=number,
        effective_date=event.effective_date,
        amount_minor=event.amount,
        currency=event.currency,
        customer=event.payer,
        invoice=event.number,
        template={
            "PaymentRefNum": number,
            "TxnDate": event.effective_date.isoformat(),
            "PrivateNote": note(event.transaction_id, (event,)),
            "CustomerRef": {"value": reference("Customer", event.payer)},
            "DepositToAccountRef": {"value": chart.account(TENDER_ROLES[event.tender])},
            "TotalAmt": decimal(event.amount, event.currency),
            "Line": [link("Invoice", event.number, event.amount, event.currency)],
        },
    )


def _wallet_settlement(event: PaymentApplied, chart: Chart) -> list[Document]:
    """A credit memo on the wallet item, and the payment of 0 that applies it to the invoice."""
    number = f"{event.receipt}-{event.leg}"
    source_id = f"{event.transaction_id}/{event.leg}"
    text = f"wallet payment, not a credit note; wallet {event.account}; {note(event.transaction_id)}"
    memo = Document(
        kind="CreditMemo",
        source_id=source_id,
        number=number,
        effective_date=event.effective_date,
        amount_minor=event.amount,
        currency=event.currency,
        customer=event.payer,
        template=sales_form(
            number,
            event.effective_date,
            event.payer,
            [item_line(chart, _WALLET, event.amount, event.currency, f"wallet {event.account}")],
            note=text,
            tax=chart.tax((), event.currency),
        ),
    )
    application = Document(
        kind="Payment",
        source_id=source_id,
        number=number,
        effective_date=event.effective_date,
        amount_minor=0,
        currency=event.currency,
        customer=event.payer,
        invoice=event.number,
        credit_memo=number,
        template={
            "PaymentRefNum": number,
            "TxnDate": event.effective_date.isoformat(),
            "PrivateNote": text,
            "CustomerRef": {"value": reference("Customer", event.payer)},
            "TotalAmt": decimal(0, event.currency),
            "Line": [
                link("Invoice", event.number, event.amount, event.currency),
                link("CreditMemo", number, event.amount, event.currency),
            ],
        },
    )
    return [memo, application]


# --- wallets


def _top_up(event: WalletToppedUp, chart: Chart) -> Document:
    """A top-up, or what exceeded an invoice in a settlement: then it carries the tender's leg."""
    tender = SaleTender(
        type=event.tender,  # type: ignore[arg-type]  # the event's tender is one of TENDER_ROLES
        amount=event.amount,
        reference=event.reference,
    )
    return wallet_receipt("SalesReceipt", event, chart, note=note(event.transaction_id, (tender,)))


_NoSale = WalletCharged | WalletAdjusted | WalletPaidOut | WalletMadeDormant


def _other_side(event: _NoSale) -> str:
    """The role of the account beside the wallets'."""
    match event:
        case WalletCharged(income=income):
            assert income is not None, "a charge that is neither sale nor invoice names its income role"
            return income
        case WalletAdjusted(role=role):
            return role
        case WalletPaidOut(tender=tender):
            return TENDER_ROLES[tender]
        case WalletMadeDormant():
            return "unclaimed_balances"


def _journal(event: _NoSale, chart: Chart) -> Document:
    """What is no sale: from the wallets to another account, or the other way where an adjustment adds."""
    amount_minor = abs(event.amount)
    debit, credit = _WALLET, _other_side(event)
    if isinstance(event, WalletAdjusted) and event.amount > 0:
        debit, credit = credit, debit
    return wallet_journal(
        event,
        amount_minor,
        debit=chart.account(debit),
        credit=chart.account(credit),
        note=note(event.transaction_id),
    )
