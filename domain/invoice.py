"""The invoice: what a payer owes, from draft to paid."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import ClassVar, Literal, Self, assert_never

import msgspec

from domain.errors import Code, DomainError
from domain.event import Event, MoneyEvent, State, Transaction, stored
from domain.ids import InvoiceId, WalletId
from domain.line import Line
from domain.money import check_limit
from domain.tender import Share, TenderType

InvoiceStatus = Literal["draft", "issued", "partially_paid", "paid"]


class InvoiceLine(Line, frozen=True, kw_only=True):
    """One line as billed."""

    description: str


# --- events
#
# Each says what the invoice's status and open balance are from then on, so that whoever folds many at once
# takes the last one of each invoice and need not know their story.


@stored
class InvoiceDrafted(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "bursar.invoice.drafted.v1"
    invoice: InvoiceId
    payer: str
    currency: str
    due_date: date
    lines: tuple[InvoiceLine, ...]
    total: int
    status: InvoiceStatus
    open: int
    recorded_at: datetime


@stored
class InvoiceIssued(MoneyEvent, frozen=True, kw_only=True):
    """Repeats the document, so that whoever books it elsewhere needs nothing else."""

    topic: ClassVar[str] = "bursar.invoice.issued.v1"
    invoice: InvoiceId
    number: str
    payer: str
    currency: str
    due_date: date
    lines: tuple[InvoiceLine, ...]
    total: int
    status: InvoiceStatus
    open: int


@stored
class PaymentApplied(MoneyEvent, frozen=True, kw_only=True):
    """One tender's share of a settlement: `amount` of the invoice."""

    topic: ClassVar[str] = "bursar.invoice.payment_applied.v1"
    invoice: InvoiceId
    number: str
    payer: str
    currency: str
    receipt: str
    leg: int
    tender: TenderType
    amount: int
    status: InvoiceStatus
    open: int
    account: WalletId | None = None
    reference: str | None = None


@stored
class PaymentReversed(MoneyEvent, frozen=True, kw_only=True):
    """One tender's share of a settlement taken back: `amount` of the invoice is open again.

    `reverses` is the settlement's transaction, `paid_on` its effective date and `reversed_receipt` its receipt, so that
    whoever booked the payment elsewhere finds it; `receipt` is the reversal's own.
    """

    topic: ClassVar[str] = "bursar.invoice.payment_reversed.v1"
    invoice: InvoiceId
    number: str
    payer: str
    currency: str
    receipt: str
    leg: int
    tender: TenderType
    amount: int
    status: InvoiceStatus
    open: int
    account: WalletId | None
    reference: str | None
    reverses: str
    paid_on: date
    reversed_receipt: str


InvoiceEvent = InvoiceDrafted | InvoiceIssued | PaymentApplied | PaymentReversed

# --- state


class Invoice(State, kw_only=True):
    """Amounts in minor units. `number` is empty until issued; `open` is what the payer still owes."""

    invoice: InvoiceId = InvoiceId("")
    number: str = ""
    status: InvoiceStatus = "draft"
    payer: str = ""
    currency: str = ""
    due_date: date | None = None
    issued_on: date | None = None
    lines: tuple[InvoiceLine, ...] = ()
    total_minor: int = 0
    open_minor: int = 0


def evolve(state: Invoice, event: InvoiceEvent) -> None:
    match event:
        case PaymentApplied() | PaymentReversed():
            pass
        case InvoiceIssued():
            state.number = event.number
            state.issued_on = event.effective_date
        case InvoiceDrafted():
            state.invoice = event.invoice
            state.payer = event.payer
            state.currency = event.currency
            state.due_date = event.due_date
            state.lines = event.lines
            state.total_minor = event.total
        case _:
            assert_never(event)
    state.status, state.open_minor = event.status, event.open


# --- as answers show it


class InvoiceView(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as every answer shows it, of a read or of a command; a draft has no number and owes nothing.

    Amounts in minor units.
    """

    id: InvoiceId
    number: str | None
    status: InvoiceStatus
    payer: str
    currency: str
    total: int
    open: int
    due_date: date
    lines: Sequence[InvoiceLine]

    @classmethod
    def of(cls, state: Invoice) -> Self:
        assert state.due_date is not None
        return cls(
            id=state.invoice,
            number=state.number or None,
            status=state.status,
            payer=state.payer,
            currency=state.currency,
            total=state.total_minor,
            open=state.open_minor,
            due_date=state.due_date,
            lines=state.lines,
        )


# --- decisions


def draft(
    *,
    invoice: InvoiceId,
    payer: str,
    currency: str,
    due_date: date,
    lines: Sequence[InvoiceLine],
    recorded_at: datetime,
) -> InvoiceDrafted:
    assert lines
    total = sum(line.total for line in lines)
    check_limit(total)
    return InvoiceDrafted(
        invoice=invoice,
        payer=payer,
        currency=currency,
        due_date=due_date,
        lines=tuple(lines),
        total=total,
        status="draft",
        open=0,
        recorded_at=recorded_at,
    )


def _check_exists(state: Invoice, invoice: InvoiceId) -> None:
    if not state.version:
        raise DomainError(
            Code.INVOICE_NOT_FOUND, f"There is no invoice with the id {invoice}.", invoice=invoice
        )


def check_draft(state: Invoice, invoice: InvoiceId) -> None:
    """Refuse to issue what is no draft (`invoice_not_draft`)."""
    _check_exists(state, invoice)
    if state.status != "draft":
        raise DomainError(
            Code.INVOICE_NOT_DRAFT, f"Invoice {state.number} is {state.status}.", invoice=invoice
        )


def issue(state: Invoice, transaction: Transaction, *, number: str) -> InvoiceIssued:
    check_draft(state, state.invoice)
    assert state.due_date is not None
    return InvoiceIssued(
        invoice=state.invoice,
        number=number,
        payer=state.payer,
        currency=state.currency,
        due_date=state.due_date,
        lines=state.lines,
        total=state.total_minor,
        status="issued",
        open=state.total_minor,
        **transaction.stamp,
    )


def check_open(state: Invoice, invoice: InvoiceId) -> None:
    """Refuse to settle what owes nothing (`invoice_not_open`)."""
    _check_exists(state, invoice)
    if state.status not in ("issued", "partially_paid"):
        hint = (
            "a draft; issue it first (POST invoices/{id}/issue)" if state.status == "draft" else state.status
        )
        raise DomainError(Code.INVOICE_NOT_OPEN, f"The invoice is {hint}.", invoice=invoice)


def apply_payment(state: Invoice, transaction: Transaction, *, share: Share, receipt: str) -> PaymentApplied:
    check_open(state, state.invoice)
    assert 0 < share.amount_minor <= state.open_minor
    remaining = state.open_minor - share.amount_minor
    return PaymentApplied(
        invoice=state.invoice,
        number=state.number,
        payer=state.payer,
        currency=state.currency,
        receipt=receipt,
        leg=share.leg,
        tender=share.type,
        amount=share.amount_minor,
        status="partially_paid" if remaining else "paid",
        open=remaining,
        account=share.wallet_id,
        reference=share.reference,
        **transaction.stamp,
    )


def reverse_payment(
    state: Invoice, transaction: Transaction, *, applied: PaymentApplied, receipt: str
) -> PaymentReversed:
    """Take a payment back: the invoice owes it again."""
    _check_exists(state, applied.invoice)
    open_minor = state.open_minor + applied.amount
    assert 0 < open_minor <= state.total_minor
    return PaymentReversed(
        invoice=state.invoice,
        number=state.number,
        payer=state.payer,
        currency=state.currency,
        receipt=receipt,
        leg=applied.leg,
        tender=applied.tender,
        amount=applied.amount,
        status="issued" if open_minor == state.total_minor else "partially_paid",
        open=open_minor,
        account=applied.account,
        reference=applied.reference,
        reverses=applied.transaction_id,
        paid_on=applied.effective_date,
        reversed_receipt=applied.receipt,
        **transaction.stamp,
    )
