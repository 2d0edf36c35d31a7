"""Invoice commands: create, issue, settle."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from application.commands import holds, wallets
from application.commands.fields import (
    Currency,
    EffectiveDate,
    IncomeRole,
    LineInput,
    TaxCode,
    Text,
    tender_streams,
)
from application.pipeline.command import Command, CommandSpec
from application.pipeline.unit_of_work import ReceiptView, UnitOfWork
from domain import invoice, tenant, wallet
from domain.calendar import EARLIEST_EFFECTIVE_DATE, check_not_before
from domain.capability import Capability
from domain.errors import Code, DomainError
from domain.event import Transaction
from domain.ids import UUID, InvoiceId, Name, WalletId, invoice_stream, wallet_stream
from domain.invoice import InvoiceView
from domain.journal import Journal
from domain.money import format_minor
from domain.tender import Share, Tender, split


class InvoiceLineInput(LineInput, frozen=True, kw_only=True):
    """One line to bill."""

    description: Text
    income: IncomeRole
    tax_code: TaxCode = "A"


class CreateInvoice(Command, frozen=True, kw_only=True):
    """Draft an invoice, and with `issue` issue it at once, which takes the capability `invoice.issue` too."""

    uppercase: ClassVar = ("payer",)
    payer: Annotated[Name, Meta(description="Who owes it; case is ignored.")]
    currency: Currency
    due_date: date
    lines: Annotated[tuple[InvoiceLineInput, ...], Meta(min_length=1, max_length=100)]
    issue: Annotated[bool, Meta(description="Whether to issue it at once.")] = False
    effective_date: EffectiveDate | None = None


class IssueInvoice(Command, frozen=True, kw_only=True):
    """Give a draft its number and post it to the ledger."""

    path: ClassVar = "invoice"
    invoice: Annotated[InvoiceId, UUID] = InvoiceId("")
    effective_date: EffectiveDate | None = None

    def streams(self, tenant_name: str) -> Iterable[str]:
        return (invoice_stream(tenant_name, self.invoice),)


class Settlement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What pays, and as of when."""

    tenders: Annotated[tuple[Tender, ...], Meta(min_length=1, max_length=20)]
    effective_date: EffectiveDate | None = None


class SettleInvoice(Command, frozen=True, kw_only=True):
    """Pay an invoice, in part or whole, by wallet and other tenders; what exceeds it goes to a wallet."""

    path: ClassVar = "invoice"
    invoice: Annotated[InvoiceId, UUID] = InvoiceId("")
    settle: Settlement

    def streams(self, tenant_name: str) -> Iterable[str]:
        yield invoice_stream(tenant_name, self.invoice)
        yield from tender_streams(tenant_name, self.settle.tenders)


# --- answers


class InvoiceSettled(msgspec.Struct, frozen=True, kw_only=True):
    """A settlement."""

    transaction_id: str
    invoice: InvoiceView
    receipt: ReceiptView


# --- handlers


def handle_create(command: CreateInvoice, unit: UnitOfWork) -> InvoiceView:
    if command.issue:
        unit.require(Capability.INVOICE_ISSUE)
    check_not_before(command.due_date, EARLIEST_EFFECTIVE_DATE)
    transaction = unit.transaction(command.currency, command.effective_date)
    invoice_id = InvoiceId(unit.command_id)
    stream = invoice_stream(unit.tenant_name, invoice_id)
    lines = [
        invoice.InvoiceLine(
            description=line.description, **line.priced(income=line.income, tax_code=line.tax_code)
        )
        for line in command.lines
    ]
    event = invoice.draft(
        invoice=invoice_id,
        payer=command.payer,
        currency=command.currency,
        due_date=command.due_date,
        lines=lines,
        recorded_at=unit.recorded_at,
    )
    tenant.check_amount(unit.tenant(), event.total)
    unit.create(stream, event)
    if command.issue:
        _issue(unit, stream, transaction)
    return InvoiceView.of(unit.state(invoice.Invoice, stream))


def handle_issue(command: IssueInvoice, unit: UnitOfWork) -> InvoiceView:
    stream = invoice_stream(unit.tenant_name, command.invoice)
    state = unit.state(invoice.Invoice, stream)
    invoice.check_draft(state, command.invoice)
    _issue(unit, stream, unit.transaction(state.currency, command.effective_date))
    return InvoiceView.of(unit.state(invoice.Invoice, stream))


def _issue(unit: UnitOfWork, stream: str, transaction: Transaction) -> None:
    state = unit.state(invoice.Invoice, stream)
    journal = Journal()
    for line in state.lines:
        journal.post_line("invoice issued", line, income=line.income)
    unit.post(journal, transaction)
    number = unit.allocate_number(
        "invoice",
        kind="invoice",
        document=state.invoice,
        amount_minor=state.total_minor,
        currency=state.currency,
    )
    unit.emit(stream, invoice.issue(state, transaction, number=number))


def handle_settle(command: SettleInvoice, unit: UnitOfWork) -> InvoiceSettled:
    stream = invoice_stream(unit.tenant_name, command.invoice)
    state = unit.state(invoice.Invoice, stream)
    invoice.check_open(state, command.invoice)
    assert state.issued_on
    transaction = unit.transaction(state.currency, command.settle.effective_date, not_before=state.issued_on)
    payer_wallet = WalletId(state.payer)  # a payer's own wallet has the payer's name
    tenders = holds.with_wallets(unit, command.settle.tenders)
    shares = split(
        state.open_minor,
        tenders,
        currency=state.currency,
        wallet=payer_wallet,
        available=_of_the_family(unit, state.payer, holds.available(unit, transaction, tenders)),
        exact=False,
    )
    excess_wallets = {
        share.leg: _excess_wallet(unit, payer_wallet, share, tenders, state.currency)
        for share in shares
        if share.excess_minor
    }
    journal = Journal()
    for share in shares:
        if share.amount_minor:
            journal.post("invoice settled", share.amount_minor, tender=share.type)
        if share.excess_minor:
            journal.post("settlement excess", share.excess_minor, tender=share.type)
    unit.post(journal, transaction)
    received = sum(share.amount_minor + share.excess_minor for share in shares)
    receipt = unit.allocate_receipt("settlement", amount_minor=received, currency=state.currency)
    for share in shares:
        unit.claim(
            transaction,
            provider=share.type,
            reference=share.reference,
            amount_minor=share.amount_minor + share.excess_minor,
            account=excess_wallets.get(share.leg),
        )
    for share in shares:
        if share.amount_minor:
            current = unit.state(invoice.Invoice, stream)
            unit.emit(stream, invoice.apply_payment(current, transaction, share=share, receipt=receipt))
    holds.end(unit, transaction, tenders, shares)
    for share in shares:
        _move_wallets(unit, transaction, share, excess_wallets, receipt=receipt, number=state.number)
    return InvoiceSettled(
        transaction_id=unit.command_id,
        invoice=InvoiceView.of(unit.state(invoice.Invoice, stream)),
        receipt=unit.receipt(receipt),
    )


def _of_the_family(
    unit: UnitOfWork, payer: str, available: Callable[[WalletId], int]
) -> Callable[[WalletId], int]:
    """What each wallet may spend on a payer's bill: the payer's own, and those that have the same payer."""
    own = WalletId(payer)

    def of(account: WalletId) -> int:
        spendable = available(account)
        if account != own:
            payers = (payer, wallets.current(unit, own).payer)
            wallet.check_payer(wallets.current(unit, account), account, *payers)
        return spendable

    return of


def _excess_wallet(
    unit: UnitOfWork, payer_wallet: WalletId, share: Share, tenders: Sequence[Tender], currency: str
) -> WalletId:
    """Whose wallet takes what exceeds the invoice: the tender's, else the wallet tender's, else the payer's."""
    if share.wallet_id:
        return share.wallet_id
    for other in tenders:
        if other.type == "wallet":
            return other.account or payer_wallet
    if unit.state(wallet.Wallet, wallet_stream(unit.tenant_name, payer_wallet)).version:
        return payer_wallet
    raise DomainError(
        Code.NO_WALLET_FOR_EXCESS,
        f"The tenders exceed what is open by {format_minor(share.excess_minor, currency)} {currency},"
        " and no wallet takes it.",
    )


def _move_wallets(
    unit: UnitOfWork,
    transaction: Transaction,
    share: Share,
    excess_wallets: dict[int, WalletId],
    *,
    receipt: str,
    number: str,
) -> None:
    if share.type == "wallet":
        wallets.pay(
            unit,
            transaction,
            share,
            purpose="invoice",
            receipt=receipt,
            description=f"Payment of invoice {number}",
        )
    if share.excess_minor:
        account = excess_wallets[share.leg]
        stream = wallet_stream(unit.tenant_name, account)
        unit.emit(
            stream,
            wallet.top_up(
                wallets.current(unit, account),
                transaction,
                wallet_id=account,
                amount_minor=share.excess_minor,
                tender=share.type,
                reference=share.reference,
                receipt=receipt,
                description=f"Excess of a payment of invoice {number}",
                leg=share.leg,
            ),
        )


SPECS = (
    CommandSpec(
        action="invoice.create",
        command_type=CreateInvoice,
        handler=handle_create,
        answer_type=InvoiceView,
        capability=Capability.INVOICE_CREATE,
        key_required=True,
    ),
    CommandSpec(
        action="invoice.issue",
        command_type=IssueInvoice,
        handler=handle_issue,
        answer_type=InvoiceView,
        capability=Capability.INVOICE_ISSUE,
        key_required=True,
        status=200,
    ),
    CommandSpec(
        action="invoice.settle",
        command_type=SettleInvoice,
        handler=handle_settle,
        answer_type=InvoiceSettled,
        capability=Capability.INVOICE_SETTLE,
        key_required=True,
        status=200,
    ),
)
