"""Wallet commands: open, top up, charge, freeze, close."""

from collections.abc import Callable, Iterable
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from application.commands.fields import Amount, Currency, EffectiveDate, IncomeRole, Text
from application.pipeline.command import Command, CommandSpec
from application.pipeline.unit_of_work import ReceiptView, UnitOfWork
from domain import wallet
from domain.capability import Capability
from domain.chart import check_income
from domain.errors import Code, DomainError
from domain.event import Transaction
from domain.ids import NAME, Name, WalletId, provider_receipt_stream, wallet_stream
from domain.journal import Journal
from domain.tender import Share
from domain.wallet import WalletView


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a top-up's money comes from. The reference of mpesa and card is claimed, once and for all."""

    type: Annotated[Literal["cash", "bank", "card", "mpesa"], Meta(description="How the money came in.")]
    reference: Name | None = None

    def __post_init__(self) -> None:
        if self.reference:
            msgspec.structs.force_setattr(self, "reference", self.reference.upper())


class OpenWallet(Command, frozen=True, kw_only=True):
    """Open a wallet. Its payer is the account itself unless named."""

    uppercase: ClassVar = ("account", "payer")
    account: Annotated[WalletId, NAME]
    currency: Currency
    payer: Name | None = None

    def streams(self, tenant_name: str) -> Iterable[str]:
        return (wallet_stream(tenant_name, self.account),)


class OfAWallet(Command, frozen=True, kw_only=True):
    """What every command on one wallet has: its account, which a route has in its path."""

    path: ClassVar = "account"
    uppercase: ClassVar = ("account",)
    account: Annotated[WalletId, NAME] = WalletId("")

    def streams(self, tenant_name: str) -> Iterable[str]:
        return (wallet_stream(tenant_name, self.account),)


class TopUp(OfAWallet, frozen=True, kw_only=True):
    """Credit a wallet with money that came in by cash, bank, card or M-Pesa."""

    amount: Amount
    currency: Currency
    source: Source
    effective_date: EffectiveDate | None = None

    def streams(self, tenant_name: str) -> Iterable[str]:
        own = wallet_stream(tenant_name, self.account)
        if self.source.reference is None:
            return (own,)
        return own, provider_receipt_stream(tenant_name, self.source.type, self.source.reference)


class Charge(OfAWallet, frozen=True, kw_only=True):
    """Debit a wallet for what is neither a checkout nor an invoice."""

    amount: Amount
    currency: Currency
    description: Text
    income: IncomeRole = "sales"
    effective_date: EffectiveDate | None = None


class FreezeWallet(OfAWallet, frozen=True, kw_only=True):
    """Let a wallet pay nothing any more, for a reason; money that comes for it is still credited."""


class UnfreezeWallet(FreezeWallet, frozen=True, kw_only=True):
    """Let a frozen wallet pay again, for a reason."""


class CloseWallet(Command, frozen=True, kw_only=True):
    """Close an empty wallet for good; it takes nothing more."""

    path: ClassVar = "account"
    uppercase: ClassVar = ("account",)
    not_yet: ClassVar = ("payout",)
    account: Annotated[WalletId, NAME] = WalletId("")
    payout: Source | None = None

    def streams(self, tenant_name: str) -> Iterable[str]:
        return (wallet_stream(tenant_name, self.account),)


# --- answers


class WalletMoved(msgspec.Struct, frozen=True, kw_only=True):
    """A top-up or a charge."""

    transaction_id: str
    wallet: WalletView
    receipt: ReceiptView


# --- handlers


def current(unit: UnitOfWork, account: WalletId) -> wallet.Wallet:
    """A wallet as of now: of the holds on it that have expired, the end is recorded first."""
    stream = wallet_stream(unit.tenant_name, account)
    state = unit.state(wallet.Wallet, stream)
    if state.holds:
        for expired in wallet.lapse(state, recorded_at=unit.recorded_at):
            unit.emit(stream, expired)
        state = unit.state(wallet.Wallet, stream)
    return state


def available(unit: UnitOfWork, transaction: Transaction) -> Callable[[WalletId], int]:
    """What each wallet may spend in a transaction, for splitting tenders; refused where it may not pay."""

    def of(account: WalletId) -> int:
        return wallet.check_funds(current(unit, account), transaction, wallet_id=account, required_minor=0)

    return of


def pay(
    unit: UnitOfWork,
    transaction: Transaction,
    share: Share,
    *,
    purpose: Literal["sale", "invoice"],
    receipt: str,
    description: str,
) -> None:
    """Charge a wallet with its share of a sale or an invoice."""
    assert share.wallet_id
    charged = wallet.charge(
        current(unit, share.wallet_id),
        transaction,
        wallet_id=share.wallet_id,
        amount_minor=share.amount_minor,
        purpose=purpose,
        receipt=receipt,
        description=description,
    )
    unit.emit(wallet_stream(unit.tenant_name, share.wallet_id), charged)


def spend(
    unit: UnitOfWork,
    transaction: Transaction,
    *,
    account: WalletId,
    amount_minor: int,
    income: str,
    description: str,
) -> ReceiptView:
    """Charge a wallet for what is neither a sale nor an invoice: post it, and give it a receipt."""
    check_income(income)
    state = current(unit, account)
    wallet.check_funds(state, transaction, wallet_id=account, required_minor=amount_minor)
    journal = Journal()
    journal.post("wallet charged", amount_minor, income=income)
    unit.post(journal, transaction)
    receipt = unit.allocate_receipt("charge", amount_minor=amount_minor, currency=transaction.currency)
    charged = wallet.charge(
        state,
        transaction,
        wallet_id=account,
        amount_minor=amount_minor,
        purpose="charge",
        income=income,
        receipt=receipt,
        description=description,
    )
    unit.emit(wallet_stream(unit.tenant_name, account), charged)
    return unit.receipt(receipt)


def handle_open(command: OpenWallet, unit: UnitOfWork) -> WalletView:
    school = unit.tenant()
    if command.currency != school.currency:
        raise DomainError(
            Code.CURRENCY_MISMATCH, f"The tenant's currency is {school.currency}, not {command.currency}."
        )
    stream = wallet_stream(unit.tenant_name, command.account)
    event = wallet.open_wallet(
        unit.state(wallet.Wallet, stream),
        wallet_id=command.account,
        currency=command.currency,
        payer=command.payer or command.account,
        recorded_at=unit.recorded_at,
    )
    unit.emit(stream, event)
    return WalletView.of(unit.state(wallet.Wallet, stream))


def handle_top_up(command: TopUp, unit: UnitOfWork) -> WalletMoved:
    stream = wallet_stream(unit.tenant_name, command.account)
    state = current(unit, command.account)
    transaction = unit.transaction(command.currency, command.effective_date)
    tender, reference = command.source.type, command.source.reference
    journal = Journal()
    journal.post("wallet topped up", command.amount, tender=tender)
    unit.post(journal, transaction)
    receipt = unit.allocate_receipt("top_up", amount_minor=command.amount, currency=command.currency)
    unit.claim(
        transaction,
        provider=tender,
        reference=reference,
        amount_minor=command.amount,
        account=command.account,
    )
    event = wallet.top_up(
        state,
        transaction,
        wallet_id=command.account,
        amount_minor=command.amount,
        tender=tender,
        reference=reference,
        receipt=receipt,
        description=f"Top-up, {tender}",
    )
    unit.emit(stream, event)
    return WalletMoved(
        transaction_id=unit.command_id,
        wallet=WalletView.of(unit.state(wallet.Wallet, stream)),
        receipt=unit.receipt(receipt),
    )


def handle_charge(command: Charge, unit: UnitOfWork) -> WalletMoved:
    receipt = spend(
        unit,
        unit.transaction(command.currency, command.effective_date),
        account=command.account,
        amount_minor=command.amount,
        income=command.income,
        description=command.description,
    )
    return WalletMoved(
        transaction_id=unit.command_id,
        wallet=WalletView.of(current(unit, command.account)),
        receipt=receipt,
    )


def handle_freeze(command: FreezeWallet, unit: UnitOfWork) -> WalletView:
    stream = wallet_stream(unit.tenant_name, command.account)
    decide = wallet.unfreeze if isinstance(command, UnfreezeWallet) else wallet.freeze
    event = decide(current(unit, command.account), wallet_id=command.account, recorded_at=unit.recorded_at)
    if event:
        unit.emit(stream, event)
    return WalletView.of(unit.state(wallet.Wallet, stream))


def handle_close(command: CloseWallet, unit: UnitOfWork) -> WalletView:
    if command.payout:
        raise DomainError(Code.NOT_SUPPORTED, "Pay-outs are not supported yet; leave `payout` out.")
    event = wallet.close(
        current(unit, command.account), wallet_id=command.account, recorded_at=unit.recorded_at
    )
    if event:
        unit.emit(wallet_stream(unit.tenant_name, command.account), event)
    return WalletView.of(current(unit, command.account))


SPECS = (
    CommandSpec(
        action="wallet.open",
        command_type=OpenWallet,
        handler=handle_open,
        answer_type=WalletView,
        capability=Capability.WALLET_OPEN,
    ),
    CommandSpec(
        action="wallet.top_up",
        command_type=TopUp,
        handler=handle_top_up,
        answer_type=WalletMoved,
        capability=Capability.WALLET_TOP_UP,
        key_required=True,
    ),
    CommandSpec(
        action="wallet.charge",
        command_type=Charge,
        handler=handle_charge,
        answer_type=WalletMoved,
        capability=Capability.WALLET_CHARGE,
        key_required=True,
    ),
    CommandSpec(
        action="wallet.freeze",
        command_type=FreezeWallet,
        handler=handle_freeze,
        answer_type=WalletView,
        capability=Capability.WALLET_ADJUST,
        reason_required=True,
        status=200,
    ),
    CommandSpec(
        action="wallet.unfreeze",
        command_type=UnfreezeWallet,
        handler=handle_freeze,
        answer_type=WalletView,
        capability=Capability.WALLET_ADJUST,
        reason_required=True,
        status=200,
    ),
    CommandSpec(
        action="wallet.close",
        command_type=CloseWallet,
        handler=handle_close,
        answer_type=WalletView,
        capability=Capability.WALLET_ADJUST,
        status=200,
    ),
)
