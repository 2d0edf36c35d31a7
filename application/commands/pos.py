"""Point-of-sale commands: checkout and refund."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from application.commands import holds, wallets
from application.commands.fields import (
    Amount,
    Currency,
    DocumentDiscount,
    EffectiveDate,
    IncomeRole,
    LineDiscount,
    LineInput,
    Prices,
    Quantity,
    SoldTaxCode,
    Text,
    tender_streams,
)
from application.commands.pricing import price_lines
from application.pipeline.command import Command, CommandSpec
from application.pipeline.unit_of_work import ReceiptView, UnitOfWork
from domain import sale, wallet
from domain.capability import Capability
from domain.chart import check_income
from domain.errors import Code, DomainError
from domain.ids import NAME, UUID, Name, SaleId, WalletId, sale_stream, wallet_stream
from domain.journal import Journal
from domain.line import DocumentTax, document_taxes
from domain.sale import RefundLine, SaleTender, SaleView, TenderView, tenders_of
from domain.tender import Tender, cash_as_due, cash_as_paid, change, split
from domain.wallet import WalletView


class SaleLineInput(LineInput, frozen=True, kw_only=True):
    """One line sold."""

    sku: Annotated[Name, Meta(description="What is sold; case is ignored.")]
    description: Annotated[Text, Meta(description="The article in words; by default the SKU.")] | None = None
    income: IncomeRole = "sales"
    tax_code: SoldTaxCode
    discount: LineDiscount | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "sku", self.sku.upper())


class Checkout(Command, frozen=True, kw_only=True):
    """Sell over the counter: wallet first, then the other tenders, in one commit."""

    uppercase: ClassVar = ("customer", "wallet", "till")
    not_yet: ClassVar = ("till",)
    till: Name | None = None
    customer: Name | None = None
    wallet: Annotated[WalletId, NAME] | None = None
    currency: Currency
    prices: Prices | None = None
    lines: Annotated[tuple[SaleLineInput, ...], Meta(min_length=1, max_length=100)]
    discount: DocumentDiscount | None = None
    tenders: Annotated[tuple[Tender, ...], Meta(max_length=20)]
    effective_date: EffectiveDate | None = None

    def streams(self, tenant_name: str) -> Iterable[str]:
        if self.wallet:
            yield wallet_stream(tenant_name, self.wallet)
        yield from tender_streams(tenant_name, self.tenders)


class RefundLineInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pieces of a line (from 1) that come back."""

    line: Annotated[int, Meta(ge=1, le=100, description="The line of the sale, from 1.")]
    quantity: Annotated[Quantity, Meta(description="How many pieces of it come back.")]


class Refund(Command, frozen=True, kw_only=True):
    """Take back pieces of a sale, or an amount of it; the tenders that paid get it back, the last first."""

    uppercase: ClassVar = ("receipt",)
    sale: Annotated[SaleId, UUID, Meta(description="The sale's id, as the checkout answered it.")] | None = (
        None
    )
    receipt: (
        Annotated[
            Name, Meta(description="The number of the sale's receipt, instead of `sale`; case is ignored.")
        ]
        | None
    ) = None
    lines: Annotated[tuple[RefundLineInput, ...], Meta(min_length=1, max_length=100)] | None = None
    amount: Amount | None = None
    effective_date: EffectiveDate | None = None

    def streams(self, tenant_name: str) -> Iterable[str]:
        if self.sale:
            yield sale_stream(tenant_name, self.sale)

    def encoded(self) -> bytes:
        """What was sent: the sale that a receipt's number led to is none of it."""
        return Command.encoded(self if self.receipt is None else msgspec.structs.replace(self, sale=None))


# --- answers


class RefundLineView(msgspec.Struct, frozen=True):
    """What of a line (from 1) was taken back: `amount` is net and tax."""

    line: int
    discount: int
    net: int
    tax: int
    amount: int


class RefundView(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken back, and who got it."""

    net: int
    discount: int
    tax: int
    total: int
    taxes: Sequence[DocumentTax]
    lines: Sequence[RefundLineView]
    tenders: Sequence[TenderView]

    @classmethod
    def of(cls, lines: Sequence[RefundLine], given_back: Sequence[SaleTender]) -> "RefundView":
        return cls(
            net=sum(line.net for line in lines),
            discount=sum(line.discount for line in lines),
            tax=sum(line.tax for line in lines),
            total=sum(line.total for line in lines),
            taxes=document_taxes(lines),
            lines=[
                RefundLineView(line.line, line.discount, line.net, line.tax, line.total) for line in lines
            ],
            tenders=tenders_of(given_back),
        )


class SaleCompletedAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A checkout; `wallet` is there where one was named or paid, `change` where cash was given."""

    transaction_id: str
    sale: SaleView
    wallet: WalletView | None = None
    change: int | None = None
    receipt: ReceiptView


class SaleRefundedAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refund; `wallet` is there where one got money back."""

    transaction_id: str
    sale: SaleView
    refund: RefundView
    wallet: WalletView | None = None
    receipt: ReceiptView


# --- handlers


def _wallet(unit: UnitOfWork, account: WalletId | None) -> WalletView | None:
    """The wallet that an answer shows, where one was named; refused where it is not there."""
    if account is None:
        return None
    state = wallets.current(unit, account)
    if not state.version:
        raise DomainError(Code.WALLET_NOT_FOUND, f"There is no wallet {account}.", account=account)
    return WalletView.of(state)


def _lines(command: Checkout, unit: UnitOfWork, on: date) -> list[sale.SaleLine]:
    for line in command.lines:
        check_income(line.income)
    parts = price_lines(unit, command.lines, on=on, prices=command.prices, discount=command.discount)
    return [
        sale.SaleLine(
            sku=line.sku,
            description=line.description or line.sku,
            quantity=line.quantity,
            income=line.income,
            tax_code=line.tax_code,
            discount=part.discount,
            net=part.net,
            tax=part.tax,
            total=part.total,
            discount_tax=part.discount_tax,
            taxes=part.taxes,
        )
        for line, part in zip(command.lines, parts, strict=True)
    ]


def _post_rounding(journal: Journal, rounding_minor: int) -> None:
    """Post what the school gets more than is due, or with a minus less."""
    if rounding_minor:
        operation = "sale rounded up" if rounding_minor > 0 else "sale rounded down"
        journal.post(operation, abs(rounding_minor))


def handle_checkout(command: Checkout, unit: UnitOfWork) -> SaleCompletedAnswer:
    if command.till:
        raise DomainError(Code.NOT_SUPPORTED, "Tills are not supported yet; leave `till` out.")
    transaction = unit.transaction(command.currency, command.effective_date)
    lines = _lines(command, unit, transaction.stamp["effective_date"])
    total = sum(line.total for line in lines)
    tenders = holds.with_wallets(unit, command.tenders)
    available = holds.available(unit, transaction, tenders)
    if command.wallet:
        available(command.wallet)  # a wallet that is named must be one that may pay, whoever pays
    paid = cash_as_paid(
        split(
            total,
            cash_as_due(total, tenders, command.currency),
            currency=command.currency,
            wallet=command.wallet,
            available=available,
            exact=True,
        ),
        command.currency,
    )
    handed_back = change(paid, command.currency)
    shares = [share for share in paid if share.amount_minor]
    journal = Journal()
    for share in shares:
        journal.post("sale paid", share.amount_minor, tender=share.type)
    for line in lines:
        journal.post_line("sale earned", line, income=line.income)
    _post_rounding(journal, sum(share.amount_minor for share in shares) - total)
    unit.post(journal, transaction)
    receipt = unit.allocate_receipt("sale", amount_minor=total, currency=command.currency)
    for share in shares:
        unit.claim(
            transaction, provider=share.type, reference=share.reference, amount_minor=share.amount_minor
        )
    sale_id = SaleId(unit.command_id)
    event = sale.complete(
        transaction,
        sale=sale_id,
        customer=command.customer or command.wallet,
        lines=lines,
        shares=shares,
        receipt=receipt,
    )
    stream = sale_stream(unit.tenant_name, sale_id)
    unit.create(stream, event)
    holds.end(unit, transaction, tenders, shares)
    for share in shares:
        if share.type == "wallet":
            wallets.pay(
                unit, transaction, share, purpose="sale", receipt=receipt, description=f"Sale {receipt}"
            )
    account = next((share.wallet_id for share in shares if share.type == "wallet"), command.wallet)
    return SaleCompletedAnswer(
        transaction_id=unit.command_id,
        sale=SaleView.of(unit.state(sale.Sale, stream)),
        wallet=_wallet(unit, account),
        change=handed_back,
        receipt=unit.receipt(receipt),
    )


def handle_refund(command: Refund, unit: UnitOfWork) -> SaleRefundedAnswer:
    if (command.lines is None) == (command.amount is None):
        raise DomainError(Code.INVALID_REQUEST, "A refund takes exactly one of lines and amount.")
    if command.sale is None:
        raise DomainError(Code.INVALID_REQUEST, "A refund names its sale.")
    stream = sale_stream(unit.tenant_name, command.sale)
    state = unit.state(sale.Sale, stream)
    sale.check_exists(state, command.sale)
    assert state.sold_on
    transaction = unit.transaction(state.currency, command.effective_date, not_before=state.sold_on)
    if command.lines is not None:
        lines = sale.lines_by_quantity(state, [(line.line, line.quantity) for line in command.lines])
    else:
        lines = sale.lines_by_amount(state, command.amount or 0)
    amount = sum(line.total for line in lines)
    tenders = sale.refund_tenders(state, amount)
    journal = Journal()
    for line in lines:
        if line.total:
            journal.post_line("sale taken back", line)
    for tender in tenders:
        journal.post("sale given back", tender.amount, tender=tender.type)
    _post_rounding(journal, amount - sum(tender.amount for tender in tenders))
    unit.post(journal, transaction)
    receipt = unit.allocate_receipt("refund", amount_minor=amount, currency=state.currency)
    unit.emit(stream, sale.refund(state, transaction, lines=lines, receipt=receipt))
    for tender in tenders:
        if tender.type == "wallet":
            assert tender.account
            credited = wallet_stream(unit.tenant_name, tender.account)
            unit.emit(
                credited,
                wallet.refund(
                    wallets.current(unit, tender.account),
                    transaction,
                    wallet_id=tender.account,
                    amount_minor=tender.amount,
                    sale=command.sale,
                    receipt=receipt,
                    description=f"Refund {receipt}",
                ),
            )
    account = next((tender.account for tender in tenders if tender.type == "wallet"), None)
    return SaleRefundedAnswer(
        transaction_id=unit.command_id,
        sale=SaleView.of(unit.state(sale.Sale, stream)),
        refund=RefundView.of(lines, tenders),
        wallet=_wallet(unit, account),
        receipt=unit.receipt(receipt),
    )


SPECS = (
    CommandSpec(
        action="pos.checkout",
        command_type=Checkout,
        handler=handle_checkout,
        answer_type=SaleCompletedAnswer,
        capability=Capability.POS_SELL,
        key_required=True,
    ),
    CommandSpec(
        action="pos.refund",
        command_type=Refund,
        handler=handle_refund,
        answer_type=SaleRefundedAnswer,
        capability=Capability.POS_REFUND,
        key_required=True,
    ),
)
