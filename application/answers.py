"""What commands answer: the shapes that clients rely on. Amounts in minor units."""

from collections.abc import Sequence
from datetime import date

import msgspec

from domain.invoice import Invoice, InvoiceLine, InvoiceStatus
from domain.sale import RefundLine, Sale, SaleTender
from domain.wallet import Wallet


class ReceiptView(msgspec.Struct, frozen=True):
    """A receipt's legal number, and the address that its QR code holds."""

    number: str
    qr: str


class WalletView(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet after the command."""

    account: str
    currency: str
    balance: int
    available: int
    status: str
    payer: str

    @classmethod
    def of(cls, state: Wallet) -> "WalletView":
        return cls(
            account=state.account,
            currency=state.currency,
            balance=state.balance,
            available=state.available,
            status=state.status,
            payer=state.payer,
        )


class WalletMoved(msgspec.Struct, frozen=True, kw_only=True):
    """A top-up or a charge."""

    transaction_id: str
    wallet: WalletView
    receipt: ReceiptView


class InvoiceView(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice after the command; a draft has no number and owes nothing."""

    id: str
    number: str | None
    status: InvoiceStatus
    payer: str
    currency: str
    total: int
    open: int
    due_date: date
    lines: Sequence[InvoiceLine]

    @classmethod
    def of(cls, state: Invoice) -> "InvoiceView":
        assert state.due_date is not None
        return cls(
            id=state.invoice,
            number=state.number or None,
            status=state.status,
            payer=state.payer,
            currency=state.currency,
            total=state.total,
            open=state.open,
            due_date=state.due_date,
            lines=state.lines,
        )


class InvoiceSettled(msgspec.Struct, frozen=True, kw_only=True):
    """A settlement."""

    transaction_id: str
    invoice: InvoiceView
    receipt: ReceiptView


class TenderView(msgspec.Struct, frozen=True):
    """What one tender paid, or got back."""

    type: str
    amount: int


class SaleView(msgspec.Struct, frozen=True, kw_only=True):
    """A sale, what paid for it, and how much of it has been refunded."""

    id: str
    total: int
    refunded: int
    tenders: Sequence[TenderView]

    @classmethod
    def of(cls, state: Sale) -> "SaleView":
        return cls(
            id=state.sale,
            total=state.total,
            refunded=sum(state.returned_amounts),
            tenders=tenders(state.tenders),
        )


class RefundLineView(msgspec.Struct, frozen=True):
    """What of a line (from 1) was taken back."""

    line: int
    amount: int


class RefundView(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken back, and who got it."""

    total: int
    lines: Sequence[RefundLineView]
    tenders: Sequence[TenderView]

    @classmethod
    def of(cls, lines: Sequence[RefundLine], given_back: Sequence[SaleTender]) -> "RefundView":
        return cls(
            total=sum(line.amount for line in lines),
            lines=[RefundLineView(line.line, line.amount) for line in lines],
            tenders=tenders(given_back),
        )


class SaleCompletedAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A checkout; `wallet` is there where one was named or paid."""

    transaction_id: str
    sale: SaleView
    wallet: WalletView | None = None
    receipt: ReceiptView


class SaleRefundedAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refund; `wallet` is there where one got money back."""

    transaction_id: str
    sale: SaleView
    refund: RefundView
    wallet: WalletView | None = None
    receipt: ReceiptView


class ExportQueued(msgspec.Struct, frozen=True, kw_only=True):
    """An export batch that was asked for."""

    batch_id: str
    status: str


class TenantAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A registered school."""

    tenant: str
    country: str
    currency: str


class FeatureAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A feature as it is now."""

    feature: str
    enabled: bool


class KeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without its secret."""

    prefix: str


def tenders(found: Sequence[SaleTender]) -> list[TenderView]:
    """Tenders as answers show them."""
    return [TenderView(tender.type, tender.amount) for tender in found]
